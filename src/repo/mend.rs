//! An index that a commit has left behind: stopped after its branch had moved, as git's own commits can be.
//!
//! The next commit of anybody would bring the old content back, which neither HEAD nor the work tree has.

use super::commit::Blob;
use super::{Repo, failed};
use crate::error::Result;
use crate::files::{self, Batch};
use crate::git_crypt;
use crate::interrupt::Interrupts;
use git2::{Error, Oid};
use std::path::Path;

/// More than a file that is written here has.
const LIMIT: usize = 4 << 20;
/// How many commits back the content of the index is looked for.
const COMMITS: usize = 20;

impl Repo {
    /// Has the index agree with HEAD at each path where it has what an earlier commit has, and HEAD and the work tree agree on
    /// something else. Gives these paths.
    pub fn mend_index(&self, interrupts: &Interrupts) -> Result<Vec<String>> {
        let behind = || self.behind().map_err(|error| failed("compare the index with HEAD", &error));
        if self.is_merging() || behind()?.is_empty() {
            return Ok(Vec::new());
        }
        let (locks, _) = self.lock_for_commit()?;
        // Once more: nobody changes it any longer.
        let blobs = behind()?;
        let mut batch = Batch::default();
        self.add_index(&mut batch, &blobs)?;
        batch.publish(interrupts)?;
        batch.keep();
        locks.release("the index is mended")?;
        Ok(blobs.into_iter().map(|blob| blob.path).collect())
    }

    /// These paths; none where there is no commit to compare with.
    pub(super) fn behind_paths(&self) -> Vec<String> {
        self.behind().unwrap_or_default().into_iter().map(|blob| blob.path).collect()
    }

    /// What HEAD has at these paths.
    fn behind(&self) -> std::result::Result<Vec<Blob>, Error> {
        let tree = self.git.head()?.peel_to_tree()?;
        let mut index = self.git.index()?;
        index.read(true)?;
        let diff = self.git.diff_tree_to_index(Some(&tree), Some(&index), None)?;
        let mut found = Vec::new();
        for delta in diff.deltas() {
            let path = delta.new_file().path().or(delta.old_file().path()).and_then(Path::to_str);
            let Some(path) = path.filter(|path| path.starts_with(&self.prefix)) else { continue };
            let staged = index.get_path(Path::new(path), 0).map(|entry| entry.id);
            let own = self.out_of_git(path.to_owned());
            if self.is_as_in_head(&own) && self.was_committed(path, staged)? {
                let id = tree.get_path(Path::new(path)).ok().map(|entry| entry.id());
                let executable = self.is_executable_in_head(&own);
                found.push(Blob { path: own, id, executable });
            }
        }
        Ok(found)
    }

    /// Whether the work tree has of `path` what HEAD has.
    fn is_as_in_head(&self, path: &str) -> bool {
        match (files::read(&self.root().join(path), LIMIT), self.head_blob(path)) {
            (Ok(None), Err(error)) => error.code() == git2::ErrorCode::NotFound,
            (Ok(Some(bytes)), Ok(blob)) if git_crypt::is_encrypted(blob.content()) => {
                let key = || self.key(path).ok();
                *bytes == blob.content() || key().and_then(|key| key.decrypt(blob.content())) == Some(bytes)
            }
            (Ok(Some(bytes)), Ok(blob)) => *bytes == blob.content(),
            _ => false,
        }
    }

    /// Whether a commit before HEAD has `id` at `path`, or nothing where that is `None`.
    fn was_committed(&self, path: &str, id: Option<Oid>) -> std::result::Result<bool, Error> {
        let mut walk = self.git.revwalk()?;
        walk.push_head()?;
        walk.simplify_first_parent()?;
        for commit in walk.skip(1).take(COMMITS) {
            let tree = self.git.find_commit(commit?)?.tree()?;
            if tree.get_path(Path::new(path)).ok().map(|entry| entry.id()) == id {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
