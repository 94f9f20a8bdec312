//! Git's lock files: taken as git takes them, and marked so that those of a killed run are
//! recognised.
//!
//! Git's own lock files do not name their owner. Those of makeinfra do, and a run that holds the
//! lock on `.git` knows that no other makeinfra is running, so it may delete them.

use super::Repo;
use crate::advice::{Advice, shell_word};
use crate::error::{Failure, Result, printable};
use crate::files;
use git2::Reference;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Protects the picked commit from garbage collection while the pick is open.
pub(super) const KEPT: &str = "refs/makeinfra/update";
/// Names the picked commit for git while the pick is open.
pub(super) const PICK: &str = "CHERRY_PICK_HEAD";
/// The content of makeinfra's lock files.
const OURS: &[u8] = b"makeinfra\n";
/// How long to wait for a running git process; most hold their locks for milliseconds.
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(5);
/// How many references git follows, including HEAD (`SYMREF_MAXDEPTH` in git's refs.h).
const DEPTH: usize = 5;
/// Size limit for a reference file, far above any real one.
const REFERENCE: usize = 8192;
/// Prefixes of per-worktree references (gitrepository-layout(5)).
const OF_A_TREE: [&str; 3] = ["refs/bisect/", "refs/rewritten/", "refs/worktree/"];

/// A lock file of git that this run holds.
struct Lock {
    path: PathBuf,
    is_held: bool,
}

/// What HEAD refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    /// The references from the one that HEAD names to the one that holds the commit (possibly the
    /// same); empty if HEAD is detached.
    pub(super) names: Vec<String>,
}

/// Lock files that keep git from making changes.
pub struct Locks(Vec<Lock>);

impl Locks {
    /// Releases all locks after `what` was done. Fails if a lock file cannot be removed.
    pub fn release(self, what: &str) -> Result<()> {
        let mut left = Vec::new();
        for mut lock in self.0 {
            lock.is_held = false;
            // A second attempt often succeeds.
            if remove(&lock.path).is_err() && remove(&lock.path).is_err() {
                left.push(lock.path.clone());
                continue;
            }
            // Best effort: a lock file that reappears after a power cut only blocks git.
            let _ = lock.path.parent().map(files::sync_directory);
        }
        if left.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = left.iter().map(|path| format!("`{}`", path.display())).collect();
        let words: Vec<_> = left.iter().map(|path| shell_word(path)).collect();
        Err(Failure::failed(format!("{what}, but lock files cannot be removed"))
            .because(names.join(", "))
            .hint(Advice::anywhere(format!("rm {}", words.join(" "))))
            .after_writing()
            .into())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.is_held {
            // The next run recognises the file as ours.
            let _ = remove(&self.path);
        }
    }
}

/// Removes the lock file of `path` that libgit2 made: it renames by hard link and ignores a lock
/// file that it cannot remove.
pub(super) fn remove_for(path: &Path) -> Result<()> {
    let file = lock_file(path);
    Ok(remove(&file).map_err(|error| files::cannot("remove", &file, &error))?)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

impl Repo {
    /// Locks the repository against other makeinfra runs until the returned file is dropped. Fails
    /// if one is running. `None` if the file system does not support locks.
    pub fn lock(&self) -> Result<Option<fs::File>> {
        match files::lock(self.git.path()) {
            Ok(None) => {
                Err(Failure::failed("another makeinfra process is running in this repository")
                    .because(format!("it has locked `{}`", self.git.path().display()))
                    .hint("wait until it has finished, then try again")
                    .into())
            }
            Ok(lock) => {
                self.sweep();
                Ok(lock)
            }
            Err(error) if files::has_no_locks(&error) => Ok(None),
            Err(error) => Err(files::cannot("lock", self.git.path(), &error).into()),
        }
    }

    /// Deletes what killed runs left in `.git`: lock files and temporary files, none of them
    /// needed.
    fn sweep(&self) {
        // If HEAD's target cannot be determined, its lock files stay.
        let names = self.head().map_or_else(|_| Vec::new(), |head| head.names);
        let branches: Vec<_> = names.iter().map(|name| lock_file(&self.reference(name))).collect();
        let is_of_this_tree =
            |path: &PathBuf| path.parent() == Some(self.git.path()) || branches.contains(path);
        for path in self.lock_files(&names).into_iter().filter(is_of_this_tree) {
            if files::read(&path, OURS.len())
                .is_ok_and(|found| found.is_some_and(|found| *found == OURS))
            {
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

    /// Locks the index, HEAD and everything that HEAD refers to, in git's order. Returns what HEAD
    /// refers to under these locks.
    pub(super) fn lock_for_commit(&self) -> Result<(Locks, Head)> {
        let mut locks = Locks(vec![self.take(&self.git.path().join("index"))?]);
        let head = self.follow_head(|place| {
            locks.0.push(self.take(place)?);
            Ok(())
        })?;
        Ok((locks, head))
    }

    /// Locks the index and the file that marks an open cherry-pick.
    pub(super) fn lock_for_pick(&self) -> Result<Locks> {
        let all = ["index", PICK].map(|name| self.take(&self.git.path().join(name)));
        Ok(Locks(all.into_iter().collect::<Result<_>>()?))
    }

    /// Locks git's configuration.
    pub(super) fn lock_config(&self) -> Result<Locks> {
        Ok(Locks(vec![self.take(&self.git.commondir().join("config"))?]))
    }

    /// What HEAD refers to at this moment.
    pub(super) fn head(&self) -> Result<Head> {
        self.follow_head(|_| Ok(()))
    }

    /// The file of the reference `name`, which need not exist: the reference may be packed.
    pub(super) fn reference(&self, name: &str) -> PathBuf {
        let is_of_a_tree = OF_A_TREE.iter().any(|below| name.starts_with(below));
        if is_of_a_tree { self.git.path() } else { self.git.commondir() }.join(name)
    }

    /// Follows HEAD. Calls `before` with each file on the way before reading it.
    fn follow_head(&self, mut before: impl FnMut(&Path) -> Result<()>) -> Result<Head> {
        let mut names: Vec<String> = Vec::new();
        let mut place = self.git.path().join("HEAD");
        loop {
            before(&place)?;
            let Some(name) = read_symbolic(&place, names.is_empty())? else {
                return Ok(Head { names });
            };
            if names.len() + 1 == DEPTH || names.contains(&name) {
                return Err(Failure::failed("cannot read HEAD")
                    .because(format!(
                        "its chain of symbolic references is a loop or longer than {DEPTH}"
                    ))
                    .hint(Advice::git("symbolic-ref HEAD"))
                    .into());
            }
            place = self.reference(&name);
            names.push(name);
        }
    }

    /// Fails if a lock file that would block a commit stays for longer than [`PATIENCE`].
    pub(super) fn check_unlocked(&self) -> Result<()> {
        let files = self.lock_files(&self.head()?.names);
        let begin = Instant::now();
        loop {
            let Some(found) = files.iter().find(|path| path.symlink_metadata().is_ok()) else {
                return Ok(());
            };
            if begin.elapsed() > PATIENCE {
                return Err(self.locked(found).into());
            }
            sleep(PAUSE);
        }
    }

    /// Lock files that git and libgit2 make for everything written here, where HEAD refers to
    /// `names`.
    fn lock_files(&self, names: &[String]) -> Vec<PathBuf> {
        let own = ["index", "HEAD", PICK].map(|name| self.git.path().join(name));
        let common = ["config", "packed-refs", KEPT].map(|name| self.git.commondir().join(name));
        let names = names.iter().map(|name| self.reference(name));
        own.into_iter().chain(common).chain(names).map(|path| lock_file(&path)).collect()
    }

    /// Creates the lock file of `path`, which appears with its full content.
    fn take(&self, path: &Path) -> Result<Lock> {
        let file = lock_file(path);
        let cannot = |error: &io::Error| files::cannot("write", &file, error);
        // A packed branch may have no directory.
        if let Some(dir) = file.parent() {
            fs::create_dir_all(dir).map_err(|error| cannot(&error))?;
        }
        let mut made = files::temporary(self.git.path(), "lock").map_err(|error| cannot(&error))?;
        // Synced, so that the next run recognises it even after a power cut.
        made.write_all(OURS)
            .and_then(|()| made.as_file().sync_all())
            .map_err(|error| cannot(&error))?;
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
                "`{}` exists: another git process is running, or was killed and left the file \
                 behind",
                shown.display()
            ))
            .hint(Advice::at_top(format!("rm {}", shell_word(shown))))
    }
}

/// The reference that the reference file `place` points to (git's refs/files-backend.c); `None` if
/// the file holds an id, or if it is not HEAD and does not exist because it is packed or not yet
/// created.
fn read_symbolic(place: &Path, is_head: bool) -> Result<Option<String>> {
    let cannot = |error: &io::Error| files::cannot("read", place, error);
    let unreadable =
        |cause: &str| Failure::failed(format!("cannot read `{}`", place.display())).because(cause);
    let found = match place.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !is_head => return Ok(None),
        found => found.map_err(|error| cannot(&error))?,
    };
    if found.is_symlink() {
        let failure = unreadable("it is a symbolic link, which a commit would replace");
        let target = fs::read_link(place).map_err(|error| cannot(&error))?;
        return Err(
            match target.to_str().filter(|target| is_head && Reference::is_valid_name(target)) {
                Some(target) => failure
                    .hint(
                        Advice::git("config core.preferSymlinkRefs false")
                            .and(Advice::git("symbolic-ref HEAD").arg(target)),
                    )
                    .into(),
                None => failure.hint(Advice::anywhere("ls -l").path(place)).into(),
            },
        );
    }
    // Git keeps the empty directories of deleted branches `NAME/...` until it needs the name.
    if found.is_dir() && !is_head {
        return Ok(None);
    }
    // The file existed a moment ago; git may have packed the reference since.
    let Some(bytes) = files::read(place, REFERENCE)? else {
        return if is_head { Err(unreadable("it has disappeared").into()) } else { Ok(None) };
    };
    let bytes = bytes.trim_ascii_end();
    let Some(name) = bytes.strip_prefix(b"ref:") else {
        let is_id = matches!(bytes.len(), 40 | 64) && bytes.iter().all(u8::is_ascii_hexdigit);
        return if is_id {
            Ok(None)
        } else {
            Err(unreadable("it contains neither a commit nor a reference").into())
        };
    };
    let name = name.trim_ascii_start();
    let Ok(name) = std::str::from_utf8(name) else {
        let shown = printable(&String::from_utf8_lossy(name));
        let cause = format!("it names `{shown}`, which is not UTF-8");
        return Err(unreadable(&cause).hint(Advice::git("branch -m NAME")).into());
    };
    if !Reference::is_valid_name(name) {
        return Err(unreadable("it names something that is not a reference")
            .hint(Advice::git("symbolic-ref HEAD"))
            .into());
    }
    Ok(Some(name.to_owned()))
}

/// The lock file of `path`, by git's naming.
fn lock_file(path: &Path) -> PathBuf {
    let mut file = path.as_os_str().to_owned();
    file.push(".lock");
    PathBuf::from(file)
}
