//! Secrets that the manifests define in a place where no command looks: a second one with the same
//! name could not be deployed.

use crate::advice::Advice;
use crate::answers::Environment;
use crate::error::{Failure, Result};
use crate::inspection::{Inspection, Scope};
use crate::manifests::Origin;
use std::path::Path;

/// Fails if an environment defines the Secret `name` in a file whose path is not among `own`.
pub(super) fn check<'e>(
    root: &Path,
    environments: impl IntoIterator<Item = &'e Environment>,
    name: &str,
    own: impl Fn(&Environment, &str) -> bool,
) -> Result<()> {
    let scope = Scope { repo: root.to_owned(), ..Scope::default() };
    let inspection = Inspection::of(&scope, "read")?;
    for environment in environments {
        let overlay =
            inspection.manifests.overlays.iter().find(|one| one.path == environment.overlay());
        let secrets = overlay.iter().flat_map(|one| &one.secrets);
        let mut others = secrets.filter(|one| {
            (one.name == name || one.written == name)
                && !matches!(one.origin, Origin::Controller(_))
                && !own(environment, &one.file)
        });
        if let Some(other) = others.next() {
            return Err(Failure::failed(format!("cannot create Secret `{name}`"))
                .because(format!(
                    "`{}` already defines it, and kustomize accepts only one definition",
                    other.file
                ))
                .hint(Advice::edit(&other.file).why("remove it there first"))
                .into());
        }
    }
    Ok(())
}
