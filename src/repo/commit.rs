//! Commits single files of a repository that exists, and nothing else.

use super::{Repo, entry, failed, identity, plain_index, store, store_text};
use crate::advice::Advice;
use crate::error::{Failure, Result};
use git2::build::TreeUpdateBuilder;
use git2::{Error, ErrorCode, FileMode, Index, Oid, Tree};
use std::path::Path;

/// What a commit makes of a path: a stored blob, or its removal.
pub struct Blob {
    path: String,
    /// `None` if the path is removed.
    id: Option<Oid>,
    executable: bool,
}

impl Blob {
    /// The path.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// What tells git who commits.
#[must_use]
pub fn introduce_yourself() -> Advice {
    let set = |name: &str, value: &str| Advice::anywhere("git config --global").arg(name).arg(value);
    set("user.name", "YOUR NAME").and(set("user.email", "YOU@EXAMPLE.COM"))
}

impl Repo {
    /// Fails unless a commit could be made now.
    pub fn check_can_commit(&self) -> Result<()> {
        let not = |cause: &str, hint: Advice| {
            Err(Failure::failed("cannot commit").because(cause).hint(hint).into())
        };
        if identity(&self.git)?.is_none() {
            return not("git does not know who you are", introduce_yourself());
        }
        if self.is_merging() {
            return not("a merge, a rebase or a cherry-pick is in progress", Advice::git("status"));
        }
        // A split or sparse index is more than libgit2 can read.
        self.git.index().map_err(|error| failed("read the index", &error).hint(plain_index()))?;
        if self.git.path().join("index.lock").exists() {
            return not(
                "another git process is at work here (`.git/index.lock`)",
                "wait for it, or remove the file".into(),
            );
        }
        match self.git.head() {
            Err(error) if error.code() == ErrorCode::UnbornBranch => {
                not("the repository has no commit yet", Advice::git("commit -m 'Generate the repository'"))
            }
            Err(error) => Err(failed("read HEAD", &error).into()),
            Ok(_) => Ok(()),
        }
    }

    /// Stores `bytes`, the ciphertext if it is a secret, as a blob for [`Repo::commit`].
    pub fn store(&self, path: &str, bytes: &[u8]) -> Result<Blob> {
        Ok(Blob { path: path.to_owned(), id: Some(store(&self.git, path, bytes)?), executable: false })
    }

    /// Stores `bytes` for `path`, which is no secret, with the line ends that git would store.
    pub fn store_text(&self, path: &str, bytes: &[u8], executable: bool) -> Result<Blob> {
        let id = store_text(&self.git, path, &self.in_git(path), bytes)?;
        Ok(Blob { path: path.to_owned(), id: Some(id), executable })
    }

    /// Fails if a commit of `blobs` would drop content that is only staged: what the index has of a path must be what HEAD has,
    /// or what the commit will have.
    pub fn check_staged(&self, blobs: &[Blob]) -> Result<()> {
        let mut index = self.git.index().map_err(|error| failed("open the index", &error))?;
        index.read(true).map_err(|error| failed("read the index", &error))?;
        for blob in blobs {
            let staged = index.get_path(Path::new(&self.in_git(&blob.path)), 0).map(|entry| entry.id);
            let committed = self.head_blob(&blob.path).ok().map(|found| found.id());
            if staged != committed && staged != blob.id {
                let path = &blob.path;
                return Err(Failure::failed(format!("cannot commit `{path}`"))
                    .because("it has staged changes, which the commit would drop")
                    .hint(Advice::git(format!("diff --cached -- {path}")))
                    .into());
            }
        }
        Ok(())
    }

    /// The removal of `path` for [`Repo::commit`].
    #[must_use]
    pub fn removal(path: &str) -> Blob {
        Blob { path: path.to_owned(), id: None, executable: false }
    }

    /// Commits `blobs` on top of HEAD and nothing else: what is staged stays staged. Gives the commit's id.
    pub fn commit(&self, blobs: &[Blob], message: &str) -> Result<String> {
        let Some((author, committer)) = identity(&self.git)? else {
            return Err(Failure::failed("cannot commit").because("git does not know who you are").into());
        };
        let mut index = self.git.index().map_err(|error| failed("open the index", &error))?;
        // libgit2 keeps the index that it has read; git may have written another one since.
        index.read(true).map_err(|error| failed("read the index", &error))?;
        let mut before = Vec::new();
        for blob in blobs {
            let path = self.in_git(&blob.path);
            before.push((index.get_path(Path::new(&path), 0), path.clone()));
            let staged = match blob.id {
                Some(id) => index.add(&entry(&self.git, &path, id, blob.executable)?),
                None => remove(&mut index, &path),
            };
            staged.map_err(|error| failed("stage a file", &error))?;
        }
        let commit = || -> std::result::Result<Oid, Error> {
            let head = self.git.head()?.peel_to_commit()?;
            let tree = self.git.find_tree(self.tree(&head.tree()?, blobs)?)?;
            self.git.commit(Some("HEAD"), &author, &committer, message, &tree, &[&head])
        };
        // The index first: a run that is killed in between has staged the files, and the next one commits them.
        index.write().map_err(|error| failed("write the index", &error))?;
        match commit() {
            Ok(id) => Ok(id.to_string()),
            Err(error) => {
                let restored = before.into_iter().try_for_each(|(entry, path)| match entry {
                    Some(entry) => index.add(&entry),
                    None => remove(&mut index, &path),
                });
                // Otherwise the files stay staged, which the hint of the failure allows for.
                let _ = restored.and_then(|()| index.write());
                Err(failed("commit", &error).into())
            }
        }
    }

    /// `old` with `blobs`.
    pub(super) fn tree(&self, old: &Tree, blobs: &[Blob]) -> std::result::Result<Oid, Error> {
        let mut update = TreeUpdateBuilder::new();
        for blob in blobs {
            let mode = if blob.executable { FileMode::BlobExecutable } else { FileMode::Blob };
            if let Some(id) = blob.id {
                update.upsert(self.in_git(&blob.path), id, mode);
            }
        }
        let written = update.create_updated(&self.git, old)?;
        if blobs.iter().all(|blob| blob.id.is_some()) {
            return Ok(written);
        }
        // An update of the tree would leave an empty one where a directory has no file any more.
        let mut index = Index::new()?;
        index.read_tree(&self.git.find_tree(written)?)?;
        for blob in blobs.iter().filter(|blob| blob.id.is_none()) {
            remove(&mut index, &self.in_git(&blob.path))?;
        }
        index.write_tree_to(&self.git)
    }
}

/// Takes `path` out of `index`, if it is there.
fn remove(index: &mut Index, path: &str) -> std::result::Result<(), Error> {
    let path = Path::new(path);
    if index.get_path(path, 0).is_some() { index.remove(path, 0) } else { Ok(()) }
}
