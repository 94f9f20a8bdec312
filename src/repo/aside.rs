//! Where temporary files of secrets lie, so that no `git add` takes them: the attributes of a file
//! say nothing of a file beside it.

use super::Repo;
use crate::advice::Advice;
use crate::error::{Failure, Result};
use crate::files;
use std::path::{Path, PathBuf};

impl Repo {
    /// git's directory of this work tree. git adds nothing from there, and [`Repo::lock`] removes
    /// what killed runs have left.
    #[must_use]
    pub fn own_directory(&self) -> &Path {
        self.git.path()
    }

    /// git's directory that all work trees share.
    #[must_use]
    pub fn common_directory(&self) -> &Path {
        self.git.commondir()
    }

    /// Where the repository is in git's work tree, with a slash at its end; empty: at its top.
    #[must_use]
    pub fn folder_in_git(&self) -> &str {
        &self.prefix
    }

    /// Fails if `git add` would take a temporary file beside `path` in plaintext.
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
                "`git add` would take its temporary file `{sibling}` in plaintext, and no file can \
                 be renamed from `{}`",
                self.own_directory().components().collect::<PathBuf>().display()
            ))
            .hint(if is_open { Advice::at_top("echo >> .gitignore").and(ignore) } else { ignore })
            .into())
    }
}
