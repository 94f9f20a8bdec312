//! The content of HEAD.

use super::{Repo, failed};
use crate::error::Result;
use crate::git_crypt::{self, Key};
use git2::{Blob, ErrorClass, ErrorCode, ObjectType, Tree, TreeEntry};
use std::path::Path;
use zeroize::Zeroizing;

/// What HEAD holds of a secret file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadSecret {
    /// Nothing.
    Absent,
    /// The ciphertext of the given or another text, encrypted with the given key.
    Encrypted {
        /// Whether it is the given text.
        same: bool,
    },
    /// Ciphertext under another key.
    OtherKey,
    /// Plaintext.
    Plain,
}

impl Repo {
    /// The id of HEAD's commit; `None` before the first commit.
    pub fn head_id(&self) -> Result<Option<String>> {
        match self.git.head().and_then(|head| head.peel_to_commit()) {
            Ok(commit) => Ok(Some(commit.id().to_string())),
            Err(error) if matches!(error.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => {
                Ok(None)
            }
            Err(error) => Err(failed("read HEAD", &error).into()),
        }
    }

    /// The text of `path` in HEAD; `None` if it is absent or not text.
    pub fn head_text(&self, path: &str) -> Result<Option<String>> {
        let blob = self.head_blob(path)?;
        Ok(blob.and_then(|blob| String::from_utf8(blob.content().to_vec()).ok()))
    }

    /// The tree of HEAD; `None` before the first commit.
    pub(super) fn head_tree(&self) -> Result<Option<Tree<'_>>> {
        match self.git.head() {
            Err(error) if error.code() == ErrorCode::UnbornBranch => Ok(None),
            head => Ok(Some(
                head.and_then(|head| head.peel_to_tree())
                    .map_err(|error| failed("read HEAD", &error))?,
            )),
        }
    }

    /// The entry of git's `path` in HEAD; `None` if there is none. Fails if an object cannot be
    /// read.
    pub(super) fn head_entry(&self, path: &str) -> Result<Option<TreeEntry<'static>>> {
        let Some(tree) = self.head_tree()? else { return Ok(None) };
        match tree.get_path(Path::new(path)) {
            // The tree has no such entry. A missing object is a different error.
            Err(error)
                if error.code() == ErrorCode::NotFound && error.class() == ErrorClass::Tree =>
            {
                Ok(None)
            }
            found => Ok(Some(found.map_err(|error| failed("read HEAD", &error))?)),
        }
    }

    /// The file at `path` in HEAD; `None` if there is none. Fails if an object cannot be read.
    pub(super) fn head_blob(&self, path: &str) -> Result<Option<Blob<'_>>> {
        let entry = self
            .head_entry(&self.in_git(path))?
            .filter(|entry| entry.kind() == Some(ObjectType::Blob));
        let blob = entry.map(|entry| self.git.find_blob(entry.id())).transpose();
        Ok(blob.map_err(|error| failed("read HEAD", &error))?)
    }

    /// What HEAD holds at `path`, compared with the work tree's `text`.
    pub fn head_secret(&self, path: &str, key: &Key, text: Option<&[u8]>) -> Result<HeadSecret> {
        Ok(match self.head_blob(path)? {
            None => HeadSecret::Absent,
            Some(blob) if !git_crypt::is_encrypted(blob.content()) => HeadSecret::Plain,
            Some(blob) => match key.decrypt(blob.content()) {
                Some(plain) => HeadSecret::Encrypted {
                    same: text.is_some_and(|text| text == plain.as_slice()),
                },
                None => HeadSecret::OtherKey,
            },
        })
    }

    /// The plaintext of `path` in HEAD; `None` if `key` does not decrypt it.
    pub fn head_plain(&self, path: &str, key: &Key) -> Result<Option<Zeroizing<Vec<u8>>>> {
        Ok(self.head_blob(path)?.and_then(|blob| key.decrypt(blob.content())))
    }

    /// Whether HEAD has a file at `path`.
    pub fn has_in_head(&self, path: &str) -> Result<bool> {
        Ok(self.head_blob(path)?.is_some())
    }
}
