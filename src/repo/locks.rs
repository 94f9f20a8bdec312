//! git's lock files: taken as git takes them, with a mark by which those of a killed run are known.
//!
//! A lock file of git's says nothing of who made it. Ours do, and whoever has the lock on `.git` knows that no other makeinfra
//! is at work: they can go.

use super::Repo;
use crate::advice::{Advice, shell_word};
use crate::error::{Failure, Result};
use crate::files;
use git2::ReferenceType;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Keeps the commit that is picked from being collected while the pick is open.
pub(super) const KEPT: &str = "refs/makeinfra/update";
/// What a lock file of ours holds.
const OURS: &[u8] = b"makeinfra\n";
/// How long a git process at work is waited for; most have what they lock for milliseconds.
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(5);

/// A lock file of git's that is held.
struct Lock {
    path: PathBuf,
    is_held: bool,
}

/// What git must not change for now.
pub struct Locks(Vec<Lock>);

impl Locks {
    /// Gives all of them up after `what` was done. Fails if one cannot be removed.
    pub fn release(self, what: &str) -> Result<()> {
        for mut lock in self.0 {
            // Once more: what fails is often gone the next time.
            if remove(&lock.path).is_err() && remove(&lock.path).is_err() {
                let path = &lock.path;
                return Err(Failure::failed(format!("{what}, but a lock file cannot be removed"))
                    .because(format!("`{}`", path.display()))
                    .hint(Advice::anywhere(format!("rm {}", shell_word(path))))
                    .into());
            }
            lock.is_held = false;
            // One that comes back after a power cut would only stop git.
            let _ = lock.path.parent().map(files::sync_directory);
        }
        Ok(())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.is_held {
            // The next run knows it as ours.
            let _ = remove(&self.path);
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

impl Repo {
    /// Fails if another makeinfra is at work in the repository; none is until the answer is dropped. A file system without
    /// locks gives none.
    pub fn lock(&self) -> Result<Option<fs::File>> {
        match files::lock(self.git.path()) {
            Ok(None) => Err(Failure::failed("another makeinfra is at work in this repository")
                .because(format!("it holds the lock on `{}`", self.git.path().display()))
                .hint("wait for it and try again")
                .into()),
            Ok(lock) => {
                self.sweep();
                Ok(lock)
            }
            Err(_) => Ok(None),
        }
    }

    /// Removes what killed runs have left in `.git`. It holds nothing that anybody misses.
    fn sweep(&self) {
        let branch = self.branch().map(|name| lock_file(&self.git.commondir().join(name)));
        let is_of_this_tree =
            |path: &PathBuf| path.parent() == Some(self.git.path()) || Some(path) == branch.as_ref();
        for path in self.lock_files().into_iter().filter(is_of_this_tree) {
            if files::read(&path, OURS.len()).is_ok_and(|found| found.is_some_and(|found| *found == OURS)) {
                let _ = fs::remove_file(path);
            }
        }
        for entry in files::entries(self.git.path()).into_iter().flatten() {
            let path = entry.path;
            // libgit2 writes the next index beside it.
            let is_lock = path.extension().is_some_and(|end| end == "lock");
            if files::is_leftover(&if is_lock { path.with_extension("") } else { path.clone() }) {
                let _ = fs::remove_file(path);
            }
        }
    }

    /// Locks the index, HEAD and what HEAD names, in this order, as git does.
    pub(super) fn lock_for_commit(&self) -> Result<Locks> {
        let mut locks = Locks(Vec::new());
        for name in ["index", "HEAD"] {
            locks.0.push(self.take(&self.git.path().join(name))?);
        }
        // Nobody else changes what HEAD names any more.
        if let Some(branch) = self.branch() {
            locks.0.push(self.take(&self.git.commondir().join(branch))?);
        }
        Ok(locks)
    }

    /// The same for git's configuration.
    pub(super) fn lock_config(&self) -> Result<Locks> {
        Ok(Locks(vec![self.take(&self.git.commondir().join("config"))?]))
    }

    /// The full name of the branch that HEAD names; `None` if HEAD names a commit.
    pub(super) fn branch(&self) -> Option<String> {
        let head = self.git.find_reference("HEAD").ok()?;
        match (head.kind(), head.symbolic_target()) {
            (Some(ReferenceType::Symbolic), Ok(Some(target))) => Some(target.to_owned()),
            _ => None,
        }
    }

    /// Fails if a lock file is there that would be in the way of a commit, and stays.
    pub(super) fn check_unlocked(&self) -> Result<()> {
        let begin = Instant::now();
        loop {
            let Some(found) = self.lock_files().into_iter().find(|path| path.symlink_metadata().is_ok())
            else {
                return Ok(());
            };
            if begin.elapsed() > PATIENCE {
                return Err(self.locked(&found).into());
            }
            sleep(PAUSE);
        }
    }

    /// The lock files that git makes, and libgit2, of all that is written here.
    fn lock_files(&self) -> Vec<PathBuf> {
        let own = ["index", "HEAD", "CHERRY_PICK_HEAD"].map(|name| self.git.path().join(name));
        let common = ["config", "packed-refs", KEPT].map(|name| self.git.commondir().join(name));
        let branch = self.branch().map(|name| self.git.commondir().join(name));
        own.into_iter().chain(common).chain(branch).map(|path| lock_file(&path)).collect()
    }

    /// Makes the lock file of `path`. It has its content from its first moment on.
    fn take(&self, path: &Path) -> Result<Lock> {
        let file = lock_file(path);
        let cannot = |error: &io::Error| files::cannot("write", &file, error);
        // A branch that is packed may have no directory.
        if let Some(dir) = file.parent() {
            fs::create_dir_all(dir).map_err(|error| cannot(&error))?;
        }
        let mut made = files::temporary(self.git.path(), "lock").map_err(|error| cannot(&error))?;
        // After a power cut, too, it is known as ours.
        made.write_all(OURS).and_then(|()| made.as_file().sync_all()).map_err(|error| cannot(&error))?;
        let begin = Instant::now();
        loop {
            match made.persist_noclobber(&file) {
                Ok(_) => return Ok(Lock { path: file, is_held: true }),
                Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                    if begin.elapsed() > PATIENCE {
                        return Err(self.locked(&file).into());
                    }
                    made = error.file;
                    sleep(PAUSE);
                }
                Err(error) => return Err(cannot(&error.error).into()),
            }
        }
    }

    /// The failure because of the lock file `path`.
    fn locked(&self, path: &Path) -> Failure {
        let root = self.root();
        let root = root.canonicalize().unwrap_or(root);
        let shown = path.strip_prefix(&root).unwrap_or(path);
        Failure::failed("cannot commit")
            .because(format!(
                "`{}` exists: another git process is at work, or it was killed and left the file",
                shown.display()
            ))
            .hint(Advice::at_top(format!("rm {}", shell_word(shown))))
    }
}

/// The lock file of `path`, as git calls it.
fn lock_file(path: &Path) -> PathBuf {
    let mut file = path.as_os_str().to_owned();
    file.push(".lock");
    PathBuf::from(file)
}
