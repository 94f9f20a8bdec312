//! Reads a key file and tries its key on git's encrypted content. Knows no repository.

use crate::advice::Advice;
use crate::error::{Failure, Result};
use crate::files;
use crate::git_crypt::{self, Key};
use std::path::Path;
use zeroize::Zeroizing;

/// Size limit for key files, far above any real one.
const LIMIT: usize = 1 << 20;

/// The bytes of the key file `file`; `None` if it does not exist. Never blocks on something that is
/// not a regular file.
pub(super) fn read(file: &Path) -> Result<Option<Zeroizing<Vec<u8>>>> {
    if file.metadata().is_ok_and(|found| !found.is_file()) {
        return Err(Failure::failed(format!("`{}` is not a git-crypt key", file.display()))
            .because("it is not a regular file")
            .hint(Advice::anywhere("ls -l").path(file))
            .into());
    }
    files::read(file, LIMIT)
}

/// What a key decrypts.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Trial {
    /// Number of files that it decrypts.
    pub opened: usize,
    /// Files that it does not decrypt, with git's paths.
    pub closed: Vec<String>,
}

impl Trial {
    /// Tries `key` on a blob of the file `path` if the blob is encrypted.
    pub(super) fn on(&mut self, key: &Key, path: &str, blob: &[u8]) {
        if !git_crypt::is_encrypted(blob) {
        } else if key.decrypt(blob).is_some() {
            self.opened += 1;
        } else {
            self.closed.push(path.to_owned());
        }
    }

    /// Whether the key belongs to another repository. A single file that somebody encrypted with a
    /// wrong key is not enough.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.closed.len() > self.opened
    }
}
