//! Whether the commit hook of a generated repository can run.

use super::Reader;
use crate::answers::Record;

/// The hook, as it is in this clone.
pub struct Hook {
    /// Whether its file is there, and may be run.
    pub state: HookState,
    /// Whether git looks for hooks where it is; `None` in a folder of a larger repository, whose
    /// own hook calls it.
    pub is_set: Option<bool>,
}

/// The file of a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookState {
    /// It can be run.
    Ready,
    /// It is there, and git does not run it.
    NotExecutable,
    /// It is not there.
    Missing,
}

impl Hook {
    /// Its file.
    pub const FILE: &str = ".githooks/pre-commit";
    /// The directory of hooks.
    pub const DIR: &str = ".githooks";
}

impl Reader {
    /// The hook of a generated repository; `None` outside git, and where the hook is of the
    /// repository's owner.
    pub(super) fn hook(&self, record: Option<&Record>) -> Option<Hook> {
        let repo = self.repo.as_ref()?;
        record.filter(|record| !record.own.contains(Hook::FILE))?;
        let is_set = repo.hooks_are_in(Hook::DIR);
        let state = match self.tree.has(Hook::FILE) {
            false => HookState::Missing,
            // The hook above runs it with `sh`.
            true if is_set.is_some() && self.tree.mode(Hook::FILE) & 0o111 == 0 => {
                HookState::NotExecutable
            }
            true => HookState::Ready,
        };
        Some(Hook { state, is_set })
    }
}
