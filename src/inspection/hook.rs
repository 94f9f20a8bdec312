//! Whether the commit hook of a generated repository can run.

use super::Reader;
use crate::answers::Record;

/// The hook in this clone.
pub struct Hook {
    /// Whether the file exists and is executable.
    pub state: HookState,
    /// Whether git looks for hooks there; `None` in a folder of a larger repository, whose own hook
    /// calls it.
    pub is_set: Option<bool>,
}

/// The state of a hook's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookState {
    /// It can be run.
    Ready,
    /// It exists, but is not executable, so git ignores it.
    NotExecutable,
    /// It does not exist.
    Missing,
}

impl Hook {
    /// The path of the hook.
    pub const FILE: &str = ".githooks/pre-commit";
    /// The directory of hooks.
    pub const DIR: &str = ".githooks";
}

impl Reader {
    /// The hook of a generated repository; `None` outside git, and if the repository's owner
    /// maintains the hook.
    pub(super) fn hook(&self, record: Option<&Record>) -> Option<Hook> {
        let repo = self.repo.as_ref()?;
        record.filter(|record| !record.own.contains(Hook::FILE))?;
        let is_set = repo.hooks_are_in(Hook::DIR);
        let state = match self.tree.has(Hook::FILE) {
            false => HookState::Missing,
            // The larger repository's hook runs it with `sh`.
            true if is_set.is_some() && self.tree.mode(Hook::FILE) & 0o111 == 0 => {
                HookState::NotExecutable
            }
            true => HookState::Ready,
        };
        Some(Hook { state, is_set })
    }
}
