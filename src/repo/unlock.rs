//! What to type so that git-crypt works in a clone.

use super::Repo;
use crate::error::Result;
use crate::git_crypt::{self, UNLOCK};
use git2::{ObjectType, TreeWalkMode, TreeWalkResult};

impl Repo {
    /// What to type in a locked clone.
    #[must_use]
    pub fn unlock(&self) -> &'static str {
        // git-crypt keeps the key there for those whose GPG keys were added.
        if self.top().join(".git-crypt/keys").is_dir() { "git-crypt unlock" } else { UNLOCK }
    }

    /// What to type in a clone without a key: in a locked one `git-crypt init` would make a key that nobody else has.
    #[must_use]
    pub fn unlock_or_init(&self) -> &'static str {
        if self.uses_git_crypt() { self.unlock() } else { "git-crypt init" }
    }

    /// Whether git has anything that git-crypt has encrypted or is to encrypt.
    #[must_use]
    pub fn uses_git_crypt(&self) -> bool {
        self.holds_ciphertext() || self.commits_attributes()
    }

    /// Whether it is a linked work tree.
    #[must_use]
    pub fn is_linked(&self) -> bool {
        self.git.is_worktree()
    }

    /// Whether HEAD has `path` in plaintext.
    pub fn is_plain_in_head(&self, path: &str) -> Result<bool> {
        Ok(self.head_blob(path)?.is_some_and(|blob| !git_crypt::is_encrypted(blob.content())))
    }

    /// Whether the index has a file below `secrets/` that git-crypt has encrypted.
    fn holds_ciphertext(&self) -> bool {
        let secrets = self.in_git("secrets/");
        self.git.index().is_ok_and(|index| {
            let mut below = index.iter().filter(|entry| entry.path.starts_with(secrets.as_bytes()));
            below.any(|entry| {
                self.git.find_blob(entry.id).is_ok_and(|blob| git_crypt::is_encrypted(blob.content()))
            })
        })
    }

    /// Whether an attribute file of HEAD gives anything to git-crypt.
    fn commits_attributes(&self) -> bool {
        let Ok(tree) = self.git.head().and_then(|head| head.peel_to_tree()) else { return false };
        let mut found = false;
        // A walk that is ended early gives an error.
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
