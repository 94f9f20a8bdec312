//! Reads a key file, and tries its key on what git holds encrypted. Knows no repository.

use crate::advice::Advice;
use crate::error::{Failure, Result};
use crate::files;
use crate::git_crypt::{self, Key};
use std::path::Path;
use zeroize::Zeroizing;

/// More than a key file has.
const LIMIT: usize = 1 << 20;

/// The bytes of the key file `file`, if it is there. Never waits for what is no regular file.
pub(super) fn read(file: &Path) -> Result<Option<Zeroizing<Vec<u8>>>> {
    if file.metadata().is_ok_and(|found| !found.is_file()) {
        return Err(Failure::failed(format!("`{}` is not a git-crypt key", file.display()))
            .because("it is not a regular file")
            .hint(Advice::anywhere("ls -l").path(file))
            .into());
    }
    files::read(file, LIMIT)
}

/// What a key opens.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Trial {
    /// How many files it opens.
    pub opened: usize,
    /// The files that it does not open, as git calls them.
    pub closed: Vec<String>,
}

impl Trial {
    /// Tries `key` on a blob of the file `path`, if it is encrypted.
    pub(super) fn on(&mut self, key: &Key, path: &str, blob: &[u8]) {
        if !git_crypt::is_encrypted(blob) {
        } else if key.decrypt(blob).is_some() {
            self.opened += 1;
        } else {
            self.closed.push(path.to_owned());
        }
    }

    /// Whether the key is of another repository. One file that somebody else encrypted wrongly is
    /// no proof.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.closed.len() > self.opened
    }
}
