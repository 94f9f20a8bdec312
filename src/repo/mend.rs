//! An index that a commit has left behind: stopped after its branch had moved, as git's own commits
//! can be.
//!
//! The next commit of anybody would bring the old content back, which neither HEAD nor the work
//! tree has.

use super::commit::Blob;
use super::open::RECORD;
use super::{Repo, SECRETS, failed};
use crate::error::Result;
use crate::files::{self, Batch};
use crate::git_crypt;
use crate::interrupt::Interrupts;
use git2::{Commit, Error, ErrorClass, ErrorCode, FileMode, Index, Oid, Tree};
use std::path::Path;

/// More than a file that is written here has.
const LIMIT: usize = 4 << 20;
/// What a tree or the index has at a path: the content and the mode; `None` if it has nothing
/// there.
type Found = Option<(Oid, u32)>;

impl Repo {
    /// Has the index agree with HEAD where it has, of all that the last commit changed, what the
    /// commit before has, and the work tree has what HEAD has. Gives these paths.
    ///
    /// A commit that was stopped leaves all of them behind. One path of several is what somebody
    /// has staged on purpose, and so is a commit that makeinfra did not make.
    pub fn mend_index(&self, interrupts: &Interrupts) -> Result<Vec<String>> {
        let behind =
            || self.behind().map_err(|error| failed("compare the index with HEAD", &error));
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
    pub(super) fn behind_paths(&self) -> std::result::Result<Vec<String>, Error> {
        Ok(self.behind()?.into_iter().map(|blob| blob.path).collect())
    }

    /// What HEAD has at these paths.
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
            // What is not below the top is nothing that is committed here.
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
        // Every commit of makeinfra's changes one of these.
        let is_marked = |blob: &Blob| blob.path == RECORD || blob.path.starts_with(SECRETS);
        Ok(if found.iter().any(is_marked) { found } else { Vec::new() })
    }

    /// Whether the work tree has of `path` what HEAD has.
    fn is_as_in_head(&self, path: &str) -> bool {
        self.head_blob(path)
            .is_ok_and(|blob| self.is_in_work_tree(path, blob.map(|blob| blob.id())))
    }

    /// Whether the work tree has the content of `blob` at `path`; `None`: nothing.
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

/// The trees before and after `commit`; `None` if it is the first one or a merge.
fn trees<'r>(commit: &Commit<'r>) -> std::result::Result<Option<(Tree<'r>, Tree<'r>)>, Error> {
    if commit.parent_count() != 1 {
        return Ok(None);
    }
    Ok(Some((commit.parent(0)?.tree()?, commit.tree()?)))
}

fn in_tree(tree: &Tree, path: &str) -> std::result::Result<Found, Error> {
    match tree.get_path(Path::new(path)) {
        Ok(entry) => Ok(Some((entry.id(), entry.filemode().cast_unsigned()))),
        Err(error) if error.code() == ErrorCode::NotFound && error.class() == ErrorClass::Tree => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn in_index(index: &Index, path: &str) -> Found {
    index.get_path(Path::new(path), 0).map(|entry| (entry.id, entry.mode))
}

/// Whether it is nothing, or a file as they are written here.
fn is_file(found: Found) -> bool {
    let modes = [FileMode::Blob, FileMode::BlobExecutable].map(u32::from);
    found.is_none_or(|(_, mode)| modes.contains(&mode))
}
