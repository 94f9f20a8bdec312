//! What to type to make git-crypt work in a clone.

use super::{Repo, SECRETS};
use crate::advice::Unlocking;
use crate::error::{Kind, Result};
use crate::files;
use crate::git_crypt::{self, UNLOCK};
use git2::{ObjectType, Status, StatusOptions, TreeWalkMode, TreeWalkResult};
use std::path::Path;

/// Size limit for secret files, far above any real one.
const LIMIT: usize = 64 << 20;

impl Repo {
    /// The command that unlocks a locked clone.
    #[must_use]
    pub fn unlock(&self) -> &'static str {
        if self.has_gpg() { "git-crypt unlock" } else { UNLOCK }
    }

    /// Whether the key is in the repository, encrypted for the GPG keys of its users.
    fn has_gpg(&self) -> bool {
        self.top().join(".git-crypt/keys").is_dir()
    }

    /// The command for a clone without a key. In a locked clone, `git-crypt init` would create a
    /// key that nobody else has.
    #[must_use]
    pub fn unlock_or_init(&self) -> &'static str {
        if self.uses_git_crypt() { self.unlock() } else { "git-crypt init" }
    }

    /// The kind of failure that a missing key is: a clone is only locked if git-crypt has encrypted
    /// something.
    pub(super) fn without_key(&self) -> Kind {
        if self.uses_git_crypt() { Kind::Locked } else { Kind::Failed }
    }

    /// Whether git has anything that git-crypt has encrypted or should encrypt.
    #[must_use]
    pub fn uses_git_crypt(&self) -> bool {
        self.holds_ciphertext() || self.commits_attributes()
    }

    /// What `git-crypt unlock` needs in this clone.
    #[must_use]
    pub fn unlocking(&self) -> Unlocking {
        let mut unlocking = Unlocking {
            has_gpg: self.has_gpg(),
            in_progress: self.in_progress(),
            ..Unlocking::default()
        };
        let mut wanted = StatusOptions::new();
        wanted.include_untracked(false);
        let Ok(all) = self.git.statuses(Some(&mut wanted)) else { return unlocking };
        for entry in all.iter().filter(|entry| !entry.status().is_ignored()) {
            let Ok(path) = entry.path().map(str::to_owned) else { continue };
            let Some(blob) =
                self.secret_blob(&path).filter(|_| entry.status() == Status::WT_MODIFIED)
            else {
                unlocking.stashes = true;
                continue;
            };
            let path = self.out_of_git(path);
            let Ok(Some(bytes)) = files::read(&self.root().join(&path), LIMIT) else { continue };
            match self.key(&path).ok().and_then(|key| key.decrypt(&blob)) {
                Some(_) if *bytes == blob => unlocking.in_ciphertext.push(path),
                Some(plain) => unlocking.stashes |= *plain != *bytes,
                None if git_crypt::is_encrypted(&bytes) => {}
                None => unlocking.in_plaintext.push(path),
            }
        }
        unlocking
    }

    /// The index's content of git's `path`; `None` if it is not encrypted.
    fn secret_blob(&self, path: &str) -> Option<Vec<u8>> {
        let index = self.git.index().ok()?;
        let blob = self.git.find_blob(index.get_path(Path::new(path), 0)?.id).ok()?;
        git_crypt::is_encrypted(blob.content()).then(|| blob.content().to_vec())
    }

    /// Whether this is a linked work tree.
    #[must_use]
    pub fn is_linked(&self) -> bool {
        self.git.is_worktree()
    }

    /// Whether HEAD has `path` in plaintext.
    pub fn is_plain_in_head(&self, path: &str) -> Result<bool> {
        Ok(self.head_blob(path)?.is_some_and(|blob| !git_crypt::is_encrypted(blob.content())))
    }

    /// Whether the index has an encrypted file below `secrets/`.
    fn holds_ciphertext(&self) -> bool {
        let secrets = self.in_git(SECRETS);
        self.git.index().is_ok_and(|index| {
            let mut below = index.iter().filter(|entry| entry.path.starts_with(secrets.as_bytes()));
            below.any(|entry| {
                self.git
                    .find_blob(entry.id)
                    .is_ok_and(|blob| git_crypt::is_encrypted(blob.content()))
            })
        })
    }

    /// Whether an attribute file of HEAD assigns anything to git-crypt.
    fn commits_attributes(&self) -> bool {
        let Ok(tree) = self.git.head().and_then(|head| head.peel_to_tree()) else { return false };
        let mut found = false;
        // Stopping a walk early returns an error.
        let _ = tree.walk(TreeWalkMode::PreOrder, |_, entry| {
            if entry.kind() != Some(ObjectType::Blob) || entry.name_bytes() != b".gitattributes" {
                return TreeWalkResult::Ok;
            }
            let blob = self.git.find_blob(entry.id());
            found = blob.is_ok_and(|blob| git_crypt::is_named_in(blob.content()));
            if found { TreeWalkResult::Abort } else { TreeWalkResult::Ok }
        });
        found
    }
}
