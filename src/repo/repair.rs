//! Repairs an index that a commit left behind because it was stopped after its branch had moved,
//! which also happens to git's own commits.
//!
//! The next commit by anyone would restore the old content, which neither HEAD nor the work tree
//! has.

use super::commit::Blob;
use super::open::RECORD;
use super::{Repo, SECRETS, failed};
use crate::error::Result;
use crate::files::{self, Batch};
use crate::git_crypt;
use crate::interrupt::Interrupts;
use git2::{Commit, Error, ErrorClass, ErrorCode, FileMode, Index, Oid, Tree};
use std::path::Path;

/// Size limit for files, far above any that makeinfra writes.
const LIMIT: usize = 4 << 20;
/// Content and mode at a path of a tree or index; `None` if there is nothing.
type EntryState = Option<(Oid, u32)>;

impl Repo {
    /// Updates the index to HEAD if, for every path that the last commit changed, the index has the
    /// parent's content and the work tree has HEAD's. Returns these paths.
    ///
    /// An interrupted commit leaves all of its paths behind. A single path among several was staged
    /// on purpose, and so was a commit that makeinfra did not make.
    pub fn repair_index(&self, interrupts: &Interrupts) -> Result<Vec<String>> {
        let behind =
            || self.behind().map_err(|error| failed("compare the index with HEAD", &error));
        if self.is_merging() || behind()?.is_empty() {
            return Ok(Vec::new());
        }
        let (locks, _) = self.lock_for_commit()?;
        // Computed again under the locks.
        let blobs = behind()?;
        let mut batch = Batch::default();
        self.add_index(&mut batch, &blobs)?;
        batch.publish(interrupts)?;
        batch.keep();
        locks.release("the index is mended")?;
        Ok(blobs.into_iter().map(|blob| blob.path).collect())
    }

    /// The paths that [`Repo::repair_index`] would update; empty if there is no commit to compare
    /// with.
    pub(super) fn behind_paths(&self) -> std::result::Result<Vec<String>, Error> {
        Ok(self.behind()?.into_iter().map(|blob| blob.path).collect())
    }

    /// HEAD's blobs for the paths of [`Repo::behind_paths`].
    fn behind(&self) -> std::result::Result<Vec<Blob>, Error> {
        let head = match self.git.head() {
            Err(error) if error.code() == ErrorCode::UnbornBranch => return Ok(Vec::new()),
            head => head?.peel_to_commit()?,
        };
        let Some((before, after)) = trees(&head)? else { return Ok(Vec::new()) };
        let mut index = self.git.index()?;
        index.read(true)?;
        let mut found = Vec::new();
        let diff = self.git.diff_tree_to_tree(Some(&before), Some(&after), None)?;
        for delta in diff.deltas() {
            let path = delta.new_file().path().or(delta.old_file().path()).and_then(Path::to_str);
            // makeinfra commits nothing outside of the repository's own top.
            let Some(own) = path.and_then(|path| path.strip_prefix(&self.prefix)) else {
                return Ok(Vec::new());
            };
            let path = self.in_git(own);
            let (old, new) = (in_tree(&before, &path)?, in_tree(&after, &path)?);
            if in_index(&index, &path) != old
                || !is_file(old)
                || !is_file(new)
                || !self.is_as_in_head(own)
            {
                return Ok(Vec::new());
            }
            found.push(Blob {
                path: own.to_owned(),
                id: new.map(|(id, _)| id),
                executable: new
                    .is_some_and(|(_, mode)| mode == u32::from(FileMode::BlobExecutable)),
            });
        }
        // Every commit by makeinfra changes one of these files.
        let is_marked = |blob: &Blob| blob.path == RECORD || blob.path.starts_with(SECRETS);
        Ok(if found.iter().any(is_marked) { found } else { Vec::new() })
    }

    /// Whether `path` has the same content in the work tree as in HEAD.
    fn is_as_in_head(&self, path: &str) -> bool {
        self.head_blob(path)
            .is_ok_and(|blob| self.is_in_work_tree(path, blob.map(|blob| blob.id())))
    }

    /// Whether the work tree has the content of `blob` at `path`; `None` stands for no file.
    pub(super) fn is_in_work_tree(&self, path: &str, blob: Option<Oid>) -> bool {
        let blob = blob.map(|id| self.git.find_blob(id)).transpose();
        match (files::read(&self.root().join(path), LIMIT), blob) {
            (Ok(None), Ok(None)) => true,
            (Ok(Some(bytes)), Ok(Some(blob))) if git_crypt::is_encrypted(blob.content()) => {
                let key = || self.key(path).ok();
                *bytes == blob.content()
                    || key().and_then(|key| key.decrypt(blob.content())) == Some(bytes)
            }
            (Ok(Some(bytes)), Ok(Some(blob))) => *bytes == blob.content(),
            _ => false,
        }
    }
}

/// The trees before and after `commit`; `None` for the first commit and for merges.
fn trees<'r>(commit: &Commit<'r>) -> std::result::Result<Option<(Tree<'r>, Tree<'r>)>, Error> {
    if commit.parent_count() != 1 {
        return Ok(None);
    }
    Ok(Some((commit.parent(0)?.tree()?, commit.tree()?)))
}

fn in_tree(tree: &Tree, path: &str) -> std::result::Result<EntryState, Error> {
    match tree.get_path(Path::new(path)) {
        Ok(entry) => Ok(Some((entry.id(), entry.filemode().cast_unsigned()))),
        Err(error) if error.code() == ErrorCode::NotFound && error.class() == ErrorClass::Tree => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn in_index(index: &Index, path: &str) -> EntryState {
    index.get_path(Path::new(path), 0).map(|entry| (entry.id, entry.mode))
}

/// Whether `found` is absent or a regular file, the only kinds that makeinfra writes.
fn is_file(found: EntryState) -> bool {
    let modes = [FileMode::Blob, FileMode::BlobExecutable].map(u32::from);
    found.is_none_or(|(_, mode)| modes.contains(&mode))
}
