//! Where temporary files of secrets go so that no `git add` picks them up: a file's attributes do
//! not apply to a temporary file beside it.

use super::Repo;
use crate::advice::Advice;
use crate::error::{Failure, Result};
use crate::files;
use std::path::{Path, PathBuf};

impl Repo {
    /// The git directory of this work tree. Git adds nothing from there, and [`Repo::lock`] removes
    /// what killed runs left behind.
    #[must_use]
    pub fn own_directory(&self) -> &Path {
        self.git.path()
    }

    /// The git directory that all work trees share.
    #[must_use]
    pub fn common_directory(&self) -> &Path {
        self.git.commondir()
    }

    /// Path of the repository in git's work tree with a trailing slash; empty at the top.
    #[must_use]
    pub fn folder_in_git(&self) -> &str {
        &self.prefix
    }

    /// Fails if `git add` would add a temporary file beside `path` in plaintext.
    pub fn check_sibling(&self, path: &str) -> Result<()> {
        let sibling = files::sibling_of(path);
        if self.is_ignored(&sibling) || self.check_protected(&sibling).is_ok() {
            return Ok(());
        }
        let ignore = Advice::at_top("echo '.*.makeinfra-*' >> .gitignore");
        let text =
            files::read(&self.root().join(".gitignore"), super::open::ATTRIBUTES).ok().flatten();
        let is_open = text.is_some_and(|text| text.last().is_some_and(|byte| *byte != b'\n'));
        Err(Failure::failed(format!("cannot write `{path}` safely"))
            .because(format!(
                "`git add` would add its temporary file `{sibling}` in plaintext, and files cannot \
                 be renamed from `{}`",
                self.own_directory().components().collect::<PathBuf>().display()
            ))
            .hint(if is_open { Advice::at_top("echo >> .gitignore").and(ignore) } else { ignore })
            .into())
    }
}
