//! Compares HEAD with another commit, and moves HEAD back to an earlier one as if the later commit
//! had never been made.

use super::commit::{Blob, Commit};
use super::{Repo, failed, identity};
use crate::error::{Failure, Result};
use git2::{Error, ErrorCode, FileMode, Oid, Tree, TreeEntry};
use std::path::Path;
use zeroize::Zeroizing;

impl Repo {
    /// Locks what git must not change while HEAD moves back to the commit `to`, which may differ
    /// from HEAD only in `paths`. Returns the blobs that `to` has of them. Fails if other changes
    /// are staged in these paths.
    pub fn begin_return(&self, to: &str, paths: &[String]) -> Result<(Commit<'_>, Vec<Blob>)> {
        let (locks, named) = self.lock_for_commit()?;
        self.check_committable()?;
        let read = || -> std::result::Result<_, Error> {
            let to = self.git.find_commit(Oid::from_str(to)?)?;
            let tree = to.tree()?;
            let blob = |path: &String| {
                let entry = tree.get_path(Path::new(&self.in_git(path))).ok();
                let executable = u32::try_from(entry.as_ref().map_or(0, TreeEntry::filemode));
                let executable = executable == Ok(u32::from(FileMode::BlobExecutable));
                Blob { path: path.clone(), id: entry.map(|entry| entry.id()), executable }
            };
            let blobs: Vec<_> = paths.iter().map(blob).collect();
            let head = self.git.head()?.peel_to_commit()?;
            let differ = self.differing(&head.tree()?, &tree)?;
            let is_whole =
                differ.iter().all(|path| paths.iter().any(|known| self.in_git(known) == *path));
            Ok((head.id(), to.id(), blobs, is_whole))
        };
        let (head, to, blobs, is_whole) =
            read().map_err(|error| failed("read a commit", &error))?;
        if !is_whole {
            return Err(Failure::failed(format!("cannot go back to {to}"))
                .because("HEAD differs from it in more files than were written")
                .into());
        }
        let id = to.to_string();
        self.check_staged(&blobs)?;
        let Some((_, committer)) = identity(&self.git)? else {
            return Err(Failure::failed(format!("cannot go back to {id}"))
                .because("git has no user name and email")
                .into());
        };
        let log = super::commit::log_line(head, to, &committer, &format!("reset: moving to {id}"));
        Ok((Commit::new(self, locks, named, to, log), blobs))
    }

    /// Paths, as git knows them, whose content differs between two trees.
    fn differing(&self, one: &Tree, other: &Tree) -> std::result::Result<Vec<String>, Error> {
        let diff = self.git.diff_tree_to_tree(Some(one), Some(other), None)?;
        let files = diff
            .deltas()
            .flat_map(|delta| [delta.old_file().path_bytes(), delta.new_file().path_bytes()]);
        let paths = files.flatten().map(|path| String::from_utf8_lossy(path).into_owned());
        Ok(paths.collect())
    }

    /// Whether HEAD is detached.
    pub fn is_detached(&self) -> Result<bool> {
        Ok(self.git.head_detached().map_err(|error| failed("read HEAD", &error))?)
    }

    /// Names of the configured remotes.
    pub fn remotes(&self) -> Result<Vec<String>> {
        let found = self.git.remotes().map_err(|error| failed("read the configuration", &error))?;
        Ok(found.iter().flatten().flatten().map(str::to_owned).collect())
    }

    /// Whether the object `id` exists in this clone.
    #[must_use]
    pub fn has_object(&self, id: &str) -> bool {
        Oid::from_str(id).is_ok_and(|id| self.git.odb().is_ok_and(|objects| objects.exists(id)))
    }

    /// Whether the commit `id` is reachable from HEAD.
    pub fn has_commit(&self, id: &str) -> Result<bool> {
        let found = || {
            let (head, id) = (self.git.head()?.peel_to_commit()?.id(), Oid::from_str(id)?);
            Ok::<_, Error>(head == id || self.git.graph_descendant_of(head, id)?)
        };
        Ok(found().map_err(|error| failed("read the history", &error))?)
    }

    /// Paths changed since the merge base of HEAD and the commit `id`: those changed by `id`, and
    /// those changed by HEAD. `None` if there is no merge base.
    pub fn changed_since_common(&self, id: &str) -> Result<Option<(Vec<String>, Vec<String>)>> {
        let found = || {
            let (head, id) = (self.git.head()?.peel_to_commit()?.id(), Oid::from_str(id)?);
            let base = match self.git.merge_base(head, id) {
                Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
                base => base?,
            };
            let tree = |id| self.git.find_commit(id).and_then(|commit| commit.tree());
            let base = tree(base)?;
            let since = |id| self.differing(&base, &tree(id)?);
            Ok(Some((since(id)?, since(head)?)))
        };
        let found = found().map_err(|error: Error| failed("read the history", &error))?;
        let named =
            |paths: Vec<String>| paths.into_iter().map(|path| self.out_of_git(path)).collect();
        Ok(found.map(|(theirs, ours)| (named(theirs), named(ours))))
    }

    /// The plaintext of the secret `path` in the commit `id`; `None` if the commit has no encrypted
    /// file there or this clone cannot decrypt it.
    pub fn secret_at(&self, id: &str, path: &str) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let found = || {
            let tree = self.git.find_commit(Oid::from_str(id)?)?.tree()?;
            match tree.get_path(Path::new(&self.in_git(path))) {
                Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
                entry => entry?.to_object(&self.git).map(|object| object.into_blob().ok()),
            }
        };
        let blob = found().map_err(|error: Error| failed("read a commit", &error))?;
        Ok(match blob {
            Some(blob) => self.key(path)?.decrypt(blob.content()),
            None => None,
        })
    }
}
