//! Where the parts of a repository are.

use super::{Reader, SCRIPT};
use crate::answers::Record;

/// What is there, and what is elsewhere.
pub struct Layout {
    /// Whether the script that the Makefile runs is there.
    pub has_script: bool,
    /// Whether there is a file in any directory of the manifests.
    pub has_manifests: bool,
    /// The folders that makeinfra generated.
    pub generated: Vec<String>,
}

impl Reader {
    pub(super) fn layout(&self) -> Layout {
        let end = format!("/{}", Record::FILE);
        Layout {
            has_script: self.tree.has(SCRIPT),
            has_manifests: self.dirs.iter().any(|dir| self.tree.at(dir).next().is_some()),
            generated: self
                .tree
                .at("")
                .filter_map(|(path, _)| path.strip_suffix(&end))
                .map(str::to_owned)
                .collect(),
        }
    }
}
