//! Commits single files of a repository that exists, and nothing else.

use super::{Repo, entry, failed, identity, store, store_file};
use crate::error::{Failure, Result};
use git2::build::TreeUpdateBuilder;
use git2::{Error, ErrorCode, FileMode, Index, Oid, Signature};
use std::path::Path;

/// A stored blob and the path that it is for.
pub struct Blob {
    path: String,
    id: Oid,
    executable: bool,
}

impl Blob {
    /// The path.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl Repo {
    /// Fails unless a commit could be made now.
    pub fn check_can_commit(&self) -> Result<()> {
        let not =
            |cause: &str, hint: &str| Err(Failure::failed("cannot commit").because(cause).hint(hint).into());
        if identity(&self.git)?.is_none() {
            return not(
                "git does not know who you are",
                "git config --global user.name 'YOUR NAME' && git config --global user.email YOU@EXAMPLE.COM",
            );
        }
        if self.is_merging() {
            return not("a merge, rebase or the like is under way", "git status");
        }
        // A split or sparse index is more than libgit2 can read.
        self.git.index().map_err(|error| {
            failed("read the index", &error)
                .hint("git update-index --no-split-index && git sparse-checkout disable")
        })?;
        if self.git.path().join("index.lock").exists() {
            return not("another git is at work here (`.git/index.lock`)", "wait for it, or remove the file");
        }
        match self.git.head() {
            Err(error) if error.code() == ErrorCode::UnbornBranch => {
                not("the repository has no commit yet", "git commit -m 'Generate the repository'")
            }
            Err(error) => Err(failed("read HEAD", &error).into()),
            Ok(_) => Ok(()),
        }
    }

    /// Stores `bytes`, the ciphertext if it is a secret, as a blob for [`Repo::commit`].
    pub fn store(&self, path: &str, bytes: &[u8]) -> Result<Blob> {
        Ok(Blob { path: path.to_owned(), id: store(&self.git, path, bytes)?, executable: false })
    }

    /// Stores the file `path` of the work tree, which is no secret, with the line ends that git would store.
    pub fn store_file(&self, path: &str, executable: bool) -> Result<Blob> {
        let id = store_file(&self.git, path, &self.in_git(path))?;
        Ok(Blob { path: path.to_owned(), id, executable })
    }

    /// Commits `blobs` on top of HEAD, without the files `gone`, and nothing else: what is staged stays staged. Gives the
    /// commit's id.
    pub fn commit(&self, blobs: &[Blob], gone: &[&str], message: &str) -> Result<String> {
        let Some((author, committer)) = identity(&self.git)? else {
            return Err(Failure::failed("cannot commit").because("git does not know who you are").into());
        };
        // All that can fail is done before the branch moves, but for the writing of the index itself.
        let mut index = self.git.index().map_err(|error| failed("open the index", &error))?;
        // libgit2 keeps the index that it has read; git may have written another one since.
        index.read(true).map_err(|error| failed("read the index", &error))?;
        for blob in blobs {
            let entry = entry(&self.git, &self.in_git(&blob.path), blob.id, blob.executable)?;
            index.add(&entry).map_err(|error| failed("stage a file", &error))?;
        }
        remove(&mut index, gone.iter().map(|path| self.in_git(path)))
            .map_err(|error| failed("stage a file", &error))?;
        let commit = self.commit_onto_head(blobs, gone, &author, &committer, message);
        let id = commit.map_err(|error| failed("commit", &error))?;
        index.write().map_err(|error| {
            let paths: Vec<_> = blobs.iter().map(Blob::path).chain(gone.iter().copied()).collect();
            Failure::failed(format!("committed as {id}, but the index still has the old files"))
                .because(error.message())
                .hint(format!("git reset -q -- {}", paths.join(" ")))
        })?;
        Ok(id.to_string())
    }

    fn commit_onto_head(
        &self,
        blobs: &[Blob],
        gone: &[&str],
        author: &Signature,
        committer: &Signature,
        message: &str,
    ) -> std::result::Result<Oid, Error> {
        let head = self.git.head()?.peel_to_commit()?;
        let mut update = TreeUpdateBuilder::new();
        for blob in blobs {
            let mode = if blob.executable { FileMode::BlobExecutable } else { FileMode::Blob };
            update.upsert(self.in_git(&blob.path), blob.id, mode);
        }
        let mut tree = update.create_updated(&self.git, &head.tree()?)?;
        if !gone.is_empty() {
            // An update of the tree would leave an empty tree where a directory has no file any more.
            let mut whole = Index::new()?;
            whole.read_tree(&self.git.find_tree(tree)?)?;
            remove(&mut whole, gone.iter().map(|path| self.in_git(path)))?;
            tree = whole.write_tree_to(&self.git)?;
        }
        let tree = self.git.find_tree(tree)?;
        self.git.commit(Some("HEAD"), author, committer, message, &tree, &[&head])
    }
}

/// Takes those of `paths` that are there out of `index`.
fn remove(index: &mut Index, paths: impl Iterator<Item = String>) -> std::result::Result<(), Error> {
    for path in paths {
        let path = Path::new(&path);
        if index.get_path(path, 0).is_some() {
            index.remove(path, 0)?;
        }
    }
    Ok(())
}
