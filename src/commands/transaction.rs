//! The only place that changes an existing repository. It prepares all files beside their targets
//! (secrets in git's directory) and all objects, then moves all files into place, then commits
//! exactly these. If anything fails before the commit, nothing has changed.

use crate::answers::Record;
use crate::error::Result;
use crate::files::{self, Batch};
use crate::git_crypt::Key;
use crate::interrupt::Interrupts;
use crate::manifests::kustomization;
use crate::repo::{Blob, Commit, Repo, SECRETS};
use crate::ui::Ui;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// States that a change is written and only its commit is missing.
pub(super) const ONLY_THE_COMMIT: &str = "Only the commit remains to be done.\n";

/// A change in progress.
pub(super) struct Transaction<'r> {
    repo: &'r Repo,
    /// Defers signals until the change is complete.
    interrupts: Interrupts,
    batch: Batch,
    /// Directories of the work tree, and whether a rename from git's directory reaches them.
    reached: BTreeMap<PathBuf, bool>,
    /// The content of the commit.
    blobs: Vec<Blob>,
    /// The key with which to set up git-crypt; `None` if that is set up.
    new_key: Option<&'r Key>,
}

impl<'r> Transaction<'r> {
    pub(super) fn begin(repo: &'r Repo) -> Result<Self> {
        let interrupts = Interrupts::hold()?;
        let (batch, reached) = (Batch::default(), BTreeMap::new());
        Ok(Self { repo, interrupts, batch, reached, blobs: Vec::new(), new_key: None })
    }

    /// Also sets up git-crypt with `key`.
    pub(super) fn with_git_crypt(mut self, key: Option<&'r Key>) -> Self {
        self.new_key = key;
        self
    }

    /// Writes `bytes` to the file `path`, which keeps its mode apart from `executable`. A new file
    /// gets the permissions of the repository's first files; a secret is private.
    pub(super) fn write(
        &mut self,
        path: &str,
        bytes: &[u8],
        executable: Option<bool>,
    ) -> Result<()> {
        self.write_like(path, Record::FILE, bytes, executable)
    }

    /// Like [`Self::write`]; a new file gets the permissions of `model`.
    pub(super) fn write_like(
        &mut self,
        path: &str,
        model: &str,
        bytes: &[u8],
        executable: Option<bool>,
    ) -> Result<()> {
        let root = self.repo.root();
        let file = root.join(path);
        let known = mode_of(&file).or_else(|| mode_of(&root.join(model))).unwrap_or(0o644);
        if kustomization::is_one(path) {
            self.batch.wait();
        }
        let mode = mode(path, known, executable);
        if self.is_private(path) {
            let dir = self.aside(path)?;
            return self.batch.add_in(&dir, &file, bytes, mode);
        }
        self.batch.add(&file, bytes, mode)
    }

    /// Deletes the file `path`.
    pub(super) fn delete(&mut self, path: &str) -> Result<()> {
        let dir = self.aside(path)?;
        self.batch.delete_in(&dir, &self.repo.root().join(path))
    }

    /// Whether `git add` must not find the content of the file `path` under another name.
    fn is_private(&self, path: &str) -> bool {
        path.starts_with(SECRETS) || self.repo.is_ignored(path)
    }

    /// The directory for temporary files of `path`: git's directory if a rename from there reaches
    /// the target, otherwise the target's directory.
    fn aside(&mut self, path: &str) -> Result<PathBuf> {
        let (own, file) = (self.repo.own_directory(), self.repo.root().join(path));
        let near = file.ancestors().skip(1).find(|dir| dir.is_dir()).unwrap_or(own).to_owned();
        let is_reached = match self.reached.get(&near) {
            Some(known) => *known,
            None => files::reaches(own, &near, Record::FILE)?,
        };
        self.reached.insert(near, is_reached);
        if is_reached {
            return Ok(own.to_owned());
        }
        if self.is_private(path) {
            self.repo.check_sibling(path)?;
        }
        Ok(file.parent().unwrap_or(own).to_owned())
    }

    /// Adds `bytes` at `path` to the commit, encrypted if it is below `secrets/`.
    pub(super) fn stage(&mut self, path: &str, bytes: &[u8], executable: bool) -> Result<()> {
        self.blobs.push(if path.starts_with(SECRETS) {
            let ciphertext = match self.new_key {
                Some(key) => key.encrypt(bytes),
                None => self.repo.key(path)?.encrypt(bytes),
            };
            self.repo.store(path, &ciphertext)?
        } else {
            self.repo.store_text(path, bytes, executable)?
        });
        Ok(())
    }

    /// Removes `path` in the commit.
    pub(super) fn stage_removal(&mut self, path: &str) {
        self.blobs.push(Repo::removal(path));
    }

    /// Performs the change, and commits what was staged with `message`. `recheck` is called last
    /// and fails if something changed in the meantime. Returns the commit's id; `None` if nothing
    /// was staged.
    pub(super) fn finish(
        self,
        message: &str,
        recheck: impl FnOnce() -> Result<()>,
    ) -> Result<Option<String>> {
        self.interrupts.check()?;
        // Whatever takes time or disk space comes before the first visible change.
        let commit = if self.blobs.is_empty() {
            None
        } else {
            Some(self.repo.begin_commit(&self.blobs, message)?)
        };
        recheck()?;
        self.publish(commit)
    }

    /// Performs the change, and moves HEAD back to the commit `to`, which must have the files
    /// `paths` as they are afterwards.
    pub(super) fn go_back(mut self, to: &str, paths: &[String]) -> Result<()> {
        let (commit, blobs) = self.repo.begin_return(to, paths)?;
        self.blobs = blobs;
        self.publish(Some(commit)).map(drop)
    }

    /// Publishes the files and then HEAD with `commit`. Returns its id.
    fn publish(self, commit: Option<Commit<'r>>) -> Result<Option<String>> {
        let Self { repo, interrupts, mut batch, blobs, new_key, .. } = self;
        // The key precedes what is encrypted with it.
        let mut all = Batch::default();
        let locks = new_key.map(|key| repo.install_git_crypt(key, &mut all)).transpose()?;
        all.append(&mut batch);
        all.publish(&interrupts)?;
        let id = match commit {
            Some(commit) => Some(commit.publish(all, &blobs, &interrupts)?),
            None => {
                all.keep();
                None
            }
        };
        if let Some(locks) = locks {
            let done = id
                .as_deref()
                .map_or_else(|| "the files are written".to_owned(), Repo::committed_as);
            locks.release(&done)?;
        }
        Ok(id)
    }
}

/// Updates the index to HEAD if an earlier commit was interrupted before writing it, and reports
/// that. Returns whether it was written.
pub(super) fn repair_index(repo: &Repo, ui: &mut Ui) -> Result<bool> {
    let repaired = repo.repair_index(&Interrupts::hold()?)?;
    for path in &repaired {
        ui.warn(format!(
            "git's index had an older version of `{path}`; it now has the one in HEAD"
        ));
    }
    Ok(!repaired.is_empty())
}

/// The files of one side of a merge: bytes and executable flag; `None` if the side lacks the file.
pub(super) type Side<'s> = Vec<(&'s str, Option<(&'s [u8], bool)>)>;

/// Leaves the change from `base` to `wish` as a cherry-pick with conflicts.
pub(super) fn pick(repo: &Repo, [base, wish]: [Side; 2], message: &str) -> Result<()> {
    let interrupts = Interrupts::hold()?;
    let store = |side: Side| -> Result<Vec<Blob>> {
        let mut blobs = Vec::new();
        for (path, file) in side {
            match file {
                Some((bytes, executable)) => blobs.push(repo.store_text(path, bytes, executable)?),
                None if repo.has_in_head(path)? => blobs.push(Repo::removal(path)),
                None => {}
            }
        }
        Ok(blobs)
    };
    let (base, wish) = (store(base)?, store(wish)?);
    interrupts.check()?;
    repo.pick(&base, &wish, message, &interrupts)
}

/// Deletes what a pick that has ended left in git.
pub(super) fn forget_pick(repo: &Repo) -> Result<()> {
    repo.forget_pick()
}

/// The permissions of the file `path`, based on `known`: its own, or those of a similar file.
fn mode(path: &str, known: u32, executable: Option<bool>) -> u32 {
    match executable {
        _ if path.starts_with(SECRETS) => 0o600,
        // Everyone who may read it may execute it.
        Some(true) => known | (known & 0o444) >> 2,
        Some(false) => known & !0o111,
        None => known,
    }
}

/// The permissions of a file; `None` if it does not exist.
fn mode_of(file: &Path) -> Option<u32> {
    file.metadata().ok().map(|found| found.permissions().mode() & 0o777)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_keeps_its_mode_but_for_who_may_run_it() {
        for (path, known, executable, expected) in [
            ("Makefile", 0o664, None, 0o664),
            ("run.sh", 0o750, None, 0o750),
            ("run.sh", 0o644, Some(true), 0o755),
            ("run.sh", 0o755, Some(true), 0o755),
            ("run.sh", 0o640, Some(true), 0o750),
            ("run.sh", 0o755, Some(false), 0o644),
            ("run.sh", 0o600, Some(false), 0o600),
            ("secrets/kubernetes/gitlab.secret.yaml", 0o644, None, 0o600),
            ("secrets/run.sh", 0o755, Some(true), 0o600),
        ] {
            assert_eq!(mode(path, known, executable), expected, "{path} {known:o} {executable:?}");
        }
    }

    #[test]
    fn the_mode_of_a_file_is_its_permissions_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        assert_eq!(mode_of(&file), None);
        std::fs::write(&file, "").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o4751)).unwrap();
        assert_eq!(mode_of(&file), Some(0o751));
    }
}
