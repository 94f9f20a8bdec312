//! `makeinfra new --no-git` inside a git repository: the files become a folder of it.

use crate::advice::{Advice, hook_line};
use crate::error::{Failure, Kind, Result};
use crate::git_crypt;
use crate::repo::{Encryption, Repo};
use std::path::{Path, PathBuf};

/// A folder of a git repository.
pub(super) struct Nested {
    /// The top of the git repository.
    pub(super) top: PathBuf,
    /// The folder, relative to that.
    pub(super) folder: PathBuf,
    /// Whether the git repository encrypts what the folder's `.gitattributes` assigns to git-crypt.
    pub(super) encryption: Encryption,
    /// The command that unlocks it.
    unlock: &'static str,
}

impl Nested {
    /// The git repository that would contain `target`; `None` if there is none. Fails if git would
    /// store the new folder's token in plaintext.
    pub(super) fn find(target: &Path, no_token: bool) -> Result<Option<Self>> {
        let parent = target.parent().unwrap_or(target);
        let Some(repo) = Repo::around(parent, "new")? else { return Ok(None) };
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let top = real(&repo.top());
        let folder = real(parent).join(target.file_name().unwrap_or_default());
        let folder = folder.strip_prefix(&top).map(Path::to_owned).unwrap_or(folder);
        let nested = Self { top, folder, encryption: repo.encryption()?, unlock: repo.unlock() };
        match nested.encryption {
            Encryption::Locked if !no_token => {
                Err(nested.refused("this clone is locked").kind(Kind::Locked).into())
            }
            Encryption::Absent if !no_token => {
                Err(nested.refused("it does not use git-crypt").into())
            }
            _ => {
                repo.check_key(git_crypt::FILTER)?;
                Ok(Some(nested))
            }
        }
    }

    /// What makes the git repository encrypt; `None` if it does already.
    pub(super) fn preparation(&self) -> Option<Advice> {
        let command = match self.encryption {
            Encryption::Ready => return None,
            Encryption::Locked => self.unlock,
            Encryption::Absent => "git-crypt init",
        };
        Some(Advice::anywhere("cd").path(&self.top).and(Advice::anywhere(command)))
    }

    /// The line for the git repository's pre-commit hook.
    pub(super) fn hook(&self) -> String {
        hook_line(&self.folder)
    }

    fn refused(&self, cause: &str) -> Failure {
        Failure::failed(format!(
            "the git repository `{}` would store the token in plaintext",
            self.top.display()
        ))
        .because(cause)
        .hint(self.preparation().unwrap_or_default().say(", or --no-token"))
    }
}
