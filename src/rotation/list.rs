//! The kustomization beside a pull secret, which brings it to the cluster only if it lists its file.

use crate::error::{Failure, Result};
use crate::secret::Secret;
use crate::yaml_edit::{Document, Refusal, Step, push, scalar};

const RESOURCES: &[Step] = &[Step::Key("resources")];
const FILE: &str = "kustomization.yaml";

/// Where the kustomization beside the file `path` is.
pub(super) fn path(path: &str) -> String {
    path.rsplit_once('/').map_or_else(|| FILE.to_owned(), |(dir, _)| format!("{dir}/{FILE}"))
}

/// `list` with the file `path` among its resources; `None` if it is there already.
pub(super) fn with_entry(list: &Secret, path: &str) -> Result<Option<Secret>> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let added = added(list.expose(), name).map_err(|fault| {
        let list = self::path(path);
        Failure::failed(format!("cannot list `{name}` in `{list}`"))
            .because(fault)
            .hint(format!("add `- {name}` to its resources: $EDITOR {list}"))
    })?;
    Ok(added)
}

fn added(list: &str, name: &str) -> std::result::Result<Option<Secret>, Refusal> {
    let document = Document::parse(list)?;
    let mut entries = (0..document.count(RESOURCES))
        .filter_map(|at| document.scalar_at(&[RESOURCES, &[Step::Item(at)]].concat()));
    if entries.any(|entry| entry.trim_start_matches("./") == name) {
        return Ok(None);
    }
    let text = push(list, RESOURCES, &scalar(name))?;
    Ok(Some(Secret::new(text.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_listed_once() {
        for (before, after) in [
            ("resources: []\n", "resources:\n  - a.secret.yaml\n"),
            ("kind: Kustomization\n", "kind: Kustomization\nresources:\n  - a.secret.yaml\n"),
            ("resources:\n  - b.yaml # B\n", "resources:\n  - b.yaml # B\n  - a.secret.yaml\n"),
            ("resources:\n  - ./a.secret.yaml\n", "resources:\n  - ./a.secret.yaml\n"),
        ] {
            let list = Secret::new(before.to_owned());
            let found = with_entry(&list, "secrets/kubernetes/a.secret.yaml").unwrap();
            assert_eq!(found.as_ref().map_or(before, Secret::expose), after);
        }
    }

    #[test]
    fn a_list_that_cannot_be_edited_says_what_to_add() {
        let list = Secret::new("resources: *all\n".to_owned());
        let error = with_entry(&list, "secrets/kubernetes/a.secret.yaml").err().unwrap();
        let report = crate::error::report(&error);
        assert_eq!(report.message, "cannot list `a.secret.yaml` in `secrets/kubernetes/kustomization.yaml`");
        assert!(report.hint.unwrap().contains("- a.secret.yaml"));
    }
}
