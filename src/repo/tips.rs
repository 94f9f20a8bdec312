//! The files below `secrets/` as commits have them: those that a branch, a tag, a stash or HEAD names, and the older ones.
//! Changes nothing.

use super::{Repo, SECRETS, failed};
use crate::error::Result;
use crate::git_crypt;
use git2::{Commit, ObjectType, Oid, Sort, TreeWalkMode, TreeWalkResult};
use std::collections::HashSet;
use std::path::Path;
use zeroize::Zeroizing;

/// A file below `secrets/` of a commit.
pub struct Committed {
    /// Its path below the top of the repository.
    pub path: String,
    /// The plain content; `None` if this clone has no key that opens it, or not the object.
    pub plain: Option<Zeroizing<Vec<u8>>>,
}

/// A commit that another repository shares, as far as this clone knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstream {
    /// The branch has none, and there is no other repository.
    NoRemote,
    /// There is another repository, and the branch is not pushed there.
    NotPushed,
    /// The commit that was last seen there.
    At(String),
}

impl Repo {
    /// The files of all tips, each content once. Time is linear in their number.
    pub fn secrets_of_tips(&self) -> Result<Vec<Committed>> {
        let references = self.git.references().map_err(|error| failed("read references", &error))?;
        let named = references.filter_map(std::result::Result::ok);
        let named = named.filter_map(|reference| reference.peel_to_commit().ok());
        let head = self.git.head().and_then(|head| head.peel_to_commit()).ok();
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        for commit in named.chain(head) {
            self.add_secrets(&commit, &mut seen, &mut found)?;
        }
        Ok(found)
    }

    /// The files of the commit with this `id`.
    pub fn secrets_of(&self, id: &str) -> Result<Vec<Committed>> {
        let commit = Oid::from_str(id).and_then(|id| self.git.find_commit(id));
        let commit = commit.map_err(|error| failed("read a commit", &error))?;
        let mut found = Vec::new();
        self.add_secrets(&commit, &mut HashSet::new(), &mut found)?;
        Ok(found)
    }

    /// Calls `take` with the content of `path` in HEAD's commits, from new to old, each content once, until it gives something.
    pub fn search_history<T>(
        &self,
        path: &str,
        mut take: impl FnMut(&[u8]) -> Option<T>,
    ) -> Result<Option<T>> {
        let mut walk = self.git.revwalk().map_err(|error| failed("read the history", &error))?;
        let ready = walk.set_sorting(Sort::TOPOLOGICAL).and_then(|()| walk.push_head());
        if ready.is_err() {
            return Ok(None);
        }
        let (path, mut seen) = (self.in_git(path), HashSet::new());
        // What is missing of a shallow clone ends it.
        for commit in walk.map_while(std::result::Result::ok) {
            let tree = self.git.find_commit(commit).and_then(|commit| commit.tree());
            let Ok(entry) = tree.and_then(|tree| tree.get_path(Path::new(&path))) else { continue };
            if !seen.insert(entry.id()) {
                continue;
            }
            let Some(plain) = self.plain(&self.out_of_git(path.clone()), entry.id()) else { continue };
            if let Some(found) = take(&plain) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// What this clone last saw of the branch elsewhere.
    pub fn upstream(&self) -> Result<Upstream> {
        let remotes = self.git.remotes().map_err(|error| failed("read the remotes", &error))?;
        let head = self.git.head().ok();
        let branch = head.as_ref().and_then(|head| head.name().ok()).unwrap_or_default();
        let upstream = self.git.branch_upstream_name(branch).ok();
        let upstream = upstream.and_then(|name| name.as_str().ok().map(str::to_owned));
        let commit = upstream.and_then(|name| self.git.find_reference(&name).ok()?.peel_to_commit().ok());
        Ok(match commit {
            Some(commit) => Upstream::At(commit.id().to_string()),
            None if remotes.is_empty() => Upstream::NoRemote,
            None => Upstream::NotPushed,
        })
    }

    fn add_secrets(
        &self,
        commit: &Commit,
        seen: &mut HashSet<Oid>,
        found: &mut Vec<Committed>,
    ) -> Result<()> {
        let top = self.in_git(SECRETS.trim_end_matches('/'));
        let Ok(tree) = commit.tree() else { return Ok(()) };
        let Ok(entry) = tree.get_path(Path::new(&top)) else { return Ok(()) };
        let Some(tree) = entry.to_object(&self.git).ok().and_then(|object| object.into_tree().ok()) else {
            return Ok(());
        };
        if !seen.insert(tree.id()) {
            return Ok(());
        }
        let mut blobs = Vec::new();
        let walked = tree.walk(TreeWalkMode::PreOrder, |dir, entry| {
            let is_new = seen.insert(entry.id());
            if is_new && entry.kind() == Some(ObjectType::Blob) {
                blobs.push((
                    format!("{SECRETS}{dir}{}", String::from_utf8_lossy(entry.name_bytes())),
                    entry.id(),
                ));
            }
            // What was seen elsewhere was read there.
            if is_new { TreeWalkResult::Ok } else { TreeWalkResult::Skip }
        });
        walked.map_err(|error| failed("read a commit", &error))?;
        found.extend(blobs.into_iter().map(|(path, id)| Committed { plain: self.plain(&path, id), path }));
        Ok(())
    }

    /// The plain content of a blob that was committed as `path`.
    fn plain(&self, path: &str, id: Oid) -> Option<Zeroizing<Vec<u8>>> {
        let blob = self.git.find_blob(id).ok()?;
        match git_crypt::is_encrypted(blob.content()) {
            true => self.key(path).ok()?.decrypt(blob.content()),
            false => Some(Zeroizing::new(blob.content().to_vec())),
        }
    }
}
