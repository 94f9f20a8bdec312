//! git's lock files: taken as git takes them, with a mark by which those of a killed run are known.
//!
//! A lock file of git's says nothing of who made it. Ours do, and whoever has the lock on `.git`
//! knows that no other makeinfra is at work: they can go.

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

/// Keeps the commit that is picked from being collected while the pick is open.
pub(super) const KEPT: &str = "refs/makeinfra/update";
/// Names the commit that is picked while the pick is open, for git.
pub(super) const PICK: &str = "CHERRY_PICK_HEAD";
/// What a lock file of ours holds.
const OURS: &[u8] = b"makeinfra\n";
/// How long a git process at work is waited for; most have what they lock for milliseconds.
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(5);
/// How many references git follows, HEAD included (`SYMREF_MAXDEPTH` in its refs.h).
const DEPTH: usize = 5;
/// More than HEAD or another reference in a file has.
const REFERENCE: usize = 8192;
/// References that each work tree has for itself (gitrepository-layout).
const OF_A_TREE: [&str; 3] = ["refs/bisect/", "refs/rewritten/", "refs/worktree/"];

/// A lock file of git's that is held.
struct Lock {
    path: PathBuf,
    is_held: bool,
}

/// What HEAD names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    /// The references from the one that HEAD names to the one that has the commit, which may be the
    /// same; none if HEAD itself has it.
    pub(super) names: Vec<String>,
}

/// What git must not change for now.
pub struct Locks(Vec<Lock>);

impl Locks {
    /// Gives all of them up after `what` was done. Fails if one cannot be removed.
    pub fn release(self, what: &str) -> Result<()> {
        let mut left = Vec::new();
        for mut lock in self.0 {
            lock.is_held = false;
            // Once more: what fails is often gone the next time.
            if remove(&lock.path).is_err() && remove(&lock.path).is_err() {
                left.push(lock.path.clone());
                continue;
            }
            // One that comes back after a power cut would only stop git.
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
            // The next run knows it as ours.
            let _ = remove(&self.path);
        }
    }
}

/// Removes the lock file of `path`, which libgit2 has made: it gives the file its name by a link,
/// and takes no notice of a lock that stays.
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
    /// Fails if another makeinfra is at work in the repository; none is until the answer is
    /// dropped. A file system without locks gives none.
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
            Err(error) if files::has_no_locks(&error) => Ok(None),
            Err(error) => Err(files::cannot("lock", self.git.path(), &error).into()),
        }
    }

    /// Removes what killed runs have left in `.git`. It holds nothing that anybody misses.
    fn sweep(&self) {
        // What HEAD names cannot be told: its lock files stay.
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

    /// Locks the index, HEAD and all that HEAD names, in this order, as git does. Gives what it
    /// names while they are locked.
    pub(super) fn lock_for_commit(&self) -> Result<(Locks, Head)> {
        let mut locks = Locks(vec![self.take(&self.git.path().join("index"))?]);
        let head = self.follow_head(|place| {
            locks.0.push(self.take(place)?);
            Ok(())
        })?;
        Ok((locks, head))
    }

    /// The same for what says that a cherry-pick is open, and for the index.
    pub(super) fn lock_for_pick(&self) -> Result<Locks> {
        let all = ["index", PICK].map(|name| self.take(&self.git.path().join(name)));
        Ok(Locks(all.into_iter().collect::<Result<_>>()?))
    }

    /// The same for git's configuration.
    pub(super) fn lock_config(&self) -> Result<Locks> {
        Ok(Locks(vec![self.take(&self.git.commondir().join("config"))?]))
    }

    /// What HEAD names now.
    pub(super) fn head(&self) -> Result<Head> {
        self.follow_head(|_| Ok(()))
    }

    /// The file of the reference `name`, whether it is there or packed.
    pub(super) fn reference(&self, name: &str) -> PathBuf {
        let is_of_a_tree = OF_A_TREE.iter().any(|below| name.starts_with(below));
        if is_of_a_tree { self.git.path() } else { self.git.commondir() }.join(name)
    }

    /// Follows HEAD. Each file on the way is given to `before`, and then read.
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
                        "it names a reference by way of more than {DEPTH} others, or of itself"
                    ))
                    .hint(Advice::git("symbolic-ref HEAD"))
                    .into());
            }
            place = self.reference(&name);
            names.push(name);
        }
    }

    /// Fails if a lock file is there that would be in the way of a commit, and stays.
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

    /// The lock files that git makes, and libgit2, of all that is written here, where HEAD names
    /// `names`.
    fn lock_files(&self, names: &[String]) -> Vec<PathBuf> {
        let own = ["index", "HEAD", PICK].map(|name| self.git.path().join(name));
        let common = ["config", "packed-refs", KEPT].map(|name| self.git.commondir().join(name));
        let names = names.iter().map(|name| self.reference(name));
        own.into_iter().chain(common).chain(names).map(|path| lock_file(&path)).collect()
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
                "`{}` exists: another git process is at work, or it was killed and left the file",
                shown.display()
            ))
            .hint(Advice::at_top(format!("rm {}", shell_word(shown))))
    }
}

/// The name that the file of a reference has for another one (git's refs/files-backend.c); `None`
/// if it has an id, or if it is not HEAD and not there, because it is packed or not made yet.
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
    // git leaves the directories of branches that were `NAME/...` until it needs the name.
    if found.is_dir() && !is_head {
        return Ok(None);
    }
    // What git has replaced in the meantime is there again.
    let Some(bytes) = files::read(place, REFERENCE)? else {
        return if is_head { Err(unreadable("it is gone").into()) } else { Ok(None) };
    };
    let bytes = bytes.trim_ascii_end();
    let Some(name) = bytes.strip_prefix(b"ref:") else {
        let is_id = matches!(bytes.len(), 40 | 64) && bytes.iter().all(u8::is_ascii_hexdigit);
        return if is_id {
            Ok(None)
        } else {
            Err(unreadable("it has neither a commit nor a name").into())
        };
    };
    let name = name.trim_ascii_start();
    let Ok(name) = std::str::from_utf8(name) else {
        let shown = printable(&String::from_utf8_lossy(name));
        let cause = format!("it names `{shown}`, which is not UTF-8");
        return Err(unreadable(&cause).hint(Advice::git("branch -m NAME")).into());
    };
    if !Reference::is_valid_name(name) {
        return Err(unreadable("what it names is not a reference")
            .hint(Advice::git("symbolic-ref HEAD"))
            .into());
    }
    Ok(Some(name.to_owned()))
}

/// The lock file of `path`, as git calls it.
fn lock_file(path: &Path) -> PathBuf {
    let mut file = path.as_os_str().to_owned();
    file.push(".lock");
    PathBuf::from(file)
}
