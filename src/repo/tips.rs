//! Files below `secrets/` in commits: those that a branch, a tag, a stash or HEAD points to, and
//! older ones. Changes nothing.

use super::{Repo, SECRETS, failed};
use crate::error::Result;
use crate::files;
use crate::git_crypt;
use git2::{
    Commit, ErrorClass, ErrorCode, Index, ObjectType, Oid, Repository, Sort, TreeWalkMode,
    TreeWalkResult,
};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A file below `secrets/` in a commit.
pub struct Committed {
    /// Path relative to the top of the repository.
    pub path: String,
    /// The plaintext; `None` if this clone has no key that decrypts it or lacks the object.
    pub plain: Option<Zeroizing<Vec<u8>>>,
}

/// Another work tree of the same clone.
struct Linked {
    /// Its top, which may no longer exist.
    top: Option<PathBuf>,
    /// The checked-out commit; `None` if a branch is checked out.
    head: Option<Oid>,
    index: PathBuf,
}

/// The reference of the stashes.
const STASH: &str = "refs/stash";
/// Size limit for a path or an id, far above any real one.
const LINE: usize = 64 << 10;

/// The commit that another repository shares, as far as this clone knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstream {
    /// The branch has no upstream, and the repository no remote.
    NoRemote,
    /// There is a remote, but the branch was not pushed.
    NotPushed,
    /// The last known commit of the upstream branch.
    At(String),
}

impl Repo {
    /// Files of everything that a reference, a stash, or the HEAD or index of a work tree points
    /// to, each content once. Takes time linear in their number. Unreadable objects are an error:
    /// they may exist.
    pub fn secrets_of_tips(&self) -> Result<Vec<Committed>> {
        let (mut seen, mut found) = (HashSet::new(), Vec::new());
        let heads = self.linked()?.into_iter().filter_map(|linked| linked.head);
        for id in self.named()?.into_iter().chain(heads) {
            let object =
                self.git.find_object(id, None).map_err(|error| failed("read a commit", &error))?;
            // A tag can point to any kind of object.
            let Ok(commit) = object.peel_to_commit() else { continue };
            self.add_secrets(&commit, &mut seen, &mut found)?;
        }
        let indexes = self.linked()?.into_iter().map(|linked| linked.index);
        for file in
            [self.git.path().join("index")].into_iter().chain(indexes).filter(|file| file.exists())
        {
            let index = Index::open(&file).map_err(|error| failed("read the index", &error))?;
            let top = self.in_git(SECRETS);
            let staged = index.iter().filter(|entry| entry.path.starts_with(top.as_bytes()));
            for entry in staged.filter(|entry| seen.insert(entry.id)) {
                let path = self.out_of_git(String::from_utf8_lossy(&entry.path).into_owned());
                found.push(Committed { plain: self.plain(&path, entry.id), path });
            }
        }
        Ok(found)
    }

    /// Whether `is_it` holds for a file in any commit reachable from references, stashes and HEADs,
    /// each content once. A shallow clone lacks older commits.
    pub fn has_ever_had(&self, is_it: impl Fn(&Committed) -> bool) -> Result<bool> {
        let unread = |error: git2::Error| failed("read the history", &error);
        let mut walk = self.git.revwalk().map_err(unread)?;
        let heads = self.linked()?.into_iter().filter_map(|linked| linked.head);
        for id in self.named()?.into_iter().chain(heads) {
            let object = self.git.find_object(id, None).map_err(unread)?;
            if let Ok(commit) = object.peel_to_commit() {
                walk.push(commit.id()).map_err(unread)?;
            }
        }
        let (mut seen, mut found) = (HashSet::new(), Vec::new());
        for id in walk {
            let commit = self.git.find_commit(id.map_err(unread)?).map_err(unread)?;
            self.add_secrets(&commit, &mut seen, &mut found)?;
            if found.drain(..).any(|file| is_it(&file)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Ids that references and stashes point to, including older stashes.
    fn named(&self) -> Result<Vec<Oid>> {
        let references =
            self.git.references().map_err(|error| failed("read references", &error))?;
        let mut ids = Vec::new();
        for reference in references {
            let reference = reference.map_err(|error| failed("read references", &error))?;
            // A symbolic reference adds nothing: its target is listed itself.
            ids.extend(reference.target());
        }
        match self.git.head() {
            Ok(head) => ids.extend(head.target()),
            Err(error) if matches!(error.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => {
            }
            Err(error) => return Err(failed("read HEAD", &error).into()),
        }
        let stashes = self.git.reflog(STASH).map_err(|error| failed("read the stashes", &error))?;
        for id in stashes.iter().map(|entry| entry.id_new()) {
            let commit =
                self.git.find_commit(id).map_err(|error| failed("read a stash", &error))?;
            // The further parents of a stash hold the index and the untracked files.
            ids.extend(commit.parent_ids().skip(1).chain([id]));
        }
        Ok(ids)
    }

    /// The tops of this repository in other work trees of the same clone.
    pub fn other_roots(&self) -> Result<Vec<PathBuf>> {
        let linked = self.linked()?.into_iter().filter_map(|linked| linked.top);
        Ok(linked.map(|top| top.join(&self.prefix)).filter(|root| *root != self.root()).collect())
    }

    /// The other work trees of the same clone, including the main one.
    fn linked(&self) -> Result<Vec<Linked>> {
        let common = self.git.commondir();
        let listed = common.join("worktrees");
        let entries = match files::entries(&listed) {
            Err(error) if files::is_absent(&error) => Vec::new(),
            entries => entries.map_err(|error| files::cannot("read", &listed, &error))?,
        };
        let mut found = Vec::new();
        for dir in entries.into_iter().map(|entry| entry.path).chain([common.to_owned()]) {
            let text = |name: &str| -> Result<String> {
                let bytes = files::read(&dir.join(name), LINE)?.unwrap_or_default();
                Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
            };
            let top = if dir == *common {
                Repository::open(common).ok().and_then(|git| git.workdir().map(Path::to_owned))
            } else {
                Path::new(&text("gitdir")?).parent().map(Path::to_owned)
            };
            // A branch name is skipped: the references include it.
            let head = Oid::from_str(&text("HEAD")?).ok();
            found.push(Linked { index: dir.join("index"), head, top });
        }
        Ok(found)
    }

    /// Files of the commit with this `id`.
    pub fn secrets_of(&self, id: &str) -> Result<Vec<Committed>> {
        let commit = Oid::from_str(id).and_then(|id| self.git.find_commit(id));
        let commit = commit.map_err(|error| failed("read a commit", &error))?;
        let mut found = Vec::new();
        self.add_secrets(&commit, &mut HashSet::new(), &mut found)?;
        Ok(found)
    }

    /// Calls `take` with the content of `path` in HEAD's commits, newest first and each content
    /// once, until it returns a value.
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
        // A shallow clone ends at its first missing commit.
        for commit in walk.map_while(std::result::Result::ok) {
            let tree = self.git.find_commit(commit).and_then(|commit| commit.tree());
            let Ok(entry) = tree.and_then(|tree| tree.get_path(Path::new(&path))) else { continue };
            if !seen.insert(entry.id()) {
                continue;
            }
            let Some(plain) = self.plain(&self.out_of_git(path.clone()), entry.id()) else {
                continue;
            };
            if let Some(found) = take(&plain) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The last known state of the upstream branch.
    pub fn upstream(&self) -> Result<Upstream> {
        let remotes = self.git.remotes().map_err(|error| failed("read the remotes", &error))?;
        let head = self.git.head().ok();
        let branch = head.as_ref().and_then(|head| head.name().ok()).unwrap_or_default();
        let upstream = self.git.branch_upstream_name(branch).ok();
        let upstream = upstream.and_then(|name| name.as_str().ok().map(str::to_owned));
        let commit =
            upstream.and_then(|name| self.git.find_reference(&name).ok()?.peel_to_commit().ok());
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
        let unread = |error: git2::Error| failed("read a commit", &error);
        let entry = match commit.tree().map_err(unread)?.get_path(Path::new(&top)) {
            // The tree has no such entry. A missing object is a different error.
            Err(error)
                if error.code() == ErrorCode::NotFound && error.class() == ErrorClass::Tree =>
            {
                return Ok(());
            }
            entry => entry.map_err(unread)?,
        };
        let Ok(tree) = entry.to_object(&self.git).map_err(unread)?.into_tree() else {
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
            // Trees and blobs seen before were already read.
            if is_new { TreeWalkResult::Ok } else { TreeWalkResult::Skip }
        });
        walked.map_err(|error| failed("read a commit", &error))?;
        found.extend(
            blobs.into_iter().map(|(path, id)| Committed { plain: self.plain(&path, id), path }),
        );
        Ok(())
    }

    /// The plaintext of a blob that was committed as `path`.
    fn plain(&self, path: &str, id: Oid) -> Option<Zeroizing<Vec<u8>>> {
        let blob = self.git.find_blob(id).ok()?;
        if git_crypt::is_encrypted(blob.content()) {
            self.key(path).ok()?.decrypt(blob.content())
        } else {
            Some(Zeroizing::new(blob.content().to_vec()))
        }
    }
}
