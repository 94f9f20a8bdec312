//! Which objects kustomize considers the same: those with the same version, kind, name and
//! namespace.
//!
//! Source: kustomize v5, `api/resmap/reswrangler.go` (`Append`, `appendReplaceOrMerge`) and
//! `kyaml/resid/resid.go`.

use super::kustomization::Generator;
use super::resource::{DEFAULT, Resource};
use super::{is_cluster_wide, printed};
use crate::yaml_path::{kind, text};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// The error if `resources` contain the same object twice, as a sentence about their kustomization.
pub(super) fn twice(resources: &[Resource]) -> Option<String> {
    let mut known = HashMap::with_capacity(resources.len());
    for resource in resources {
        let version = text(&resource.value, &["apiVersion"]).unwrap_or_default();
        let kind = kind(&resource.value).unwrap_or_default();
        let namespace = if is_cluster_wide(kind) { DEFAULT } else { resource.namespace() };
        match known.entry((version, kind, resource.name(), namespace)) {
            Entry::Vacant(entry) => {
                entry.insert(resource);
            }
            Entry::Occupied(entry) => {
                let places = if entry.get().file == resource.file {
                    format!("in `{}`", printed_path(&resource.file))
                } else {
                    format!(
                        "in `{}` and in `{}`",
                        printed_path(&entry.get().file),
                        printed_path(&resource.file)
                    )
                };
                return Some(format!(
                    "has {} `{}` twice, {places}, which kustomize refuses",
                    printed(kind),
                    printed(resource.name())
                ));
            }
        }
    }
    None
}

/// The error if an object has no name, as a sentence about its file.
pub(super) fn nameless(resource: &Resource) -> Option<String> {
    resource.name().is_empty().then(|| {
        let kind = printed(kind(&resource.value).unwrap_or_default());
        format!(
            "{kind} in `{}` has no `metadata.name`, which kustomize refuses",
            printed_path(&resource.file)
        )
    })
}

/// Index of the resource with the identity of `generator`, which generates the kind `wanted`;
/// `None` if there is none. The error is a sentence about its kustomization.
pub(super) fn generated(
    generator: &Generator,
    wanted: &str,
    resources: &[Resource],
) -> Result<Option<usize>, String> {
    let namespace = generator.namespace.as_deref().filter(|one| !one.is_empty()).unwrap_or(DEFAULT);
    let is_it = |resource: &Resource| {
        kind(&resource.value) == Some(wanted)
            && text(&resource.value, &["apiVersion"]) == Some("v1")
            && resource
                .identities()
                .any(|identity| identity == (generator.name.as_str(), namespace))
    };
    let found: Vec<_> =
        resources.iter().enumerate().filter(|(_, one)| is_it(one)).map(|(at, _)| at).collect();
    let name = format!("{wanted} `{}`", printed(&generator.name));
    match (&found[..], generator.changes) {
        ([], false) => Ok(None),
        ([only], true) => Ok(Some(*only)),
        ([], true) => Err(format!(
            "the generator changes {name}, which does not exist: kustomize refuses that"
        )),
        (_, false) => Err(format!(
            "the generator creates {name}, which already exists: kustomize refuses that"
        )),
        (_, true) => Err(format!(
            "the generator changes {name}, which exists several times: kustomize refuses that"
        )),
    }
}

/// A path, if it can be printed.
fn printed_path(path: &str) -> &str {
    if path.contains(char::is_control) { "?" } else { path }
}
