//! What killed runs left beside the files that they were about to write, and the locks that tell it
//! from runs at work.

use super::{Entry, LETTERS, MARK, cannot, entries, sibling};
use crate::error::{Failure, Result};
use rustix::io::Errno;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What a killed run can leave behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftover {
    /// A directory of [`super::Staging`].
    Directory,
    /// A file of [`super::Replacement`].
    File,
}

/// Siblings of `target` that killed runs left behind. Those of runs still at work are not among
/// them.
pub fn leftovers(target: &Path, kind: Leftover) -> Result<Vec<PathBuf>> {
    let (parent, prefix) = sibling(target)?;
    let entries = entries(parent).map_err(|error| cannot("read", parent, &error))?;
    // Just the names that are made here: somebody's `.hello-infra.makeinfra-backup` is not for us.
    let named = |name: &str| {
        name.strip_prefix(&prefix).is_some_and(|letters| {
            letters.len() == LETTERS && letters.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
    };
    let ours = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(named)
            && fs::symlink_metadata(path).is_ok_and(|found| match kind {
                Leftover::Directory => found.is_dir(),
                Leftover::File => found.is_file(),
            })
            && matches!(lock(path), Ok(Some(_)))
    };
    Ok(entries.into_iter().map(|entry| entry.path).filter(ours).collect())
}

/// The files that killed runs left behind anywhere below `dir`. Those of runs still at work are not
/// among them.
#[must_use]
pub fn leftovers_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in entries(&dir).into_iter().flatten() {
            if entry.is_dir() {
                open.push(entry.path);
            } else if entry.is_file()
                && is_leftover(&entry.path)
                && matches!(lock(&entry.path), Ok(Some(_)))
            {
                found.push(entry.path);
            }
        }
    }
    found.sort();
    found
}

/// The same in `dir` alone.
#[must_use]
pub fn leftovers_in(dir: &Path) -> Vec<PathBuf> {
    let entries = entries(dir).into_iter().flatten();
    let paths = entries.filter(Entry::is_file).map(|entry| entry.path);
    paths.filter(|path| is_leftover(path) && matches!(lock(path), Ok(Some(_)))).collect()
}

/// Whether `path` is named as what a killed run leaves behind.
#[must_use]
pub fn is_leftover(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let letters = name.rsplit_once(MARK).map_or("", |(_, letters)| letters);
    name.starts_with('.')
        && letters.len() == LETTERS
        && letters.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Removes a leftover, unless a run at work has it by now.
pub fn remove(path: &Path) -> Result<()> {
    let Ok(Some(_lock)) = lock(path) else {
        return Err(Failure::failed(format!("cannot lock `{}`", path.display())).into());
    };
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    Ok(removed.map_err(|error| cannot("remove", path, &error))?)
}

/// Removes the directory `dir` if it is empty.
pub fn remove_empty(dir: &Path) {
    // One that is not empty cannot be removed this way, which is no failure.
    let _ = fs::remove_dir(dir);
}

/// What is locked as long as it is open.
pub type Lock = fs::File;

/// The lock on `path`, which ends with the file; `None` if somebody has it, or if `path` is gone,
/// maybe once it is taken. Fails if `path` cannot be opened, and where the file system has no
/// locks: see [`has_no_locks`].
pub fn lock(path: &Path) -> io::Result<Option<Lock>> {
    let file = match fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    match file.try_lock() {
        Err(fs::TryLockError::WouldBlock) => return Ok(None),
        Err(fs::TryLockError::Error(error)) => return Err(error),
        Ok(()) => {}
    }
    let inode = |found: fs::Metadata| (found.dev(), found.ino());
    let same = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        found => inode(found?) == inode(file.metadata()?),
    };
    Ok(same.then_some(file))
}

/// Whether `error`, of [`lock`], is that of a file system without locks (flock(2), and what NFS and
/// FUSE say).
#[must_use]
pub fn has_no_locks(error: &io::Error) -> bool {
    let none =
        [Errno::NOLCK, Errno::NOSYS, Errno::OPNOTSUPP, Errno::INVAL].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|number| none.contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Staging;

    #[test]
    fn a_leftover_is_told_from_a_run_at_work() {
        let parent = tempfile::tempdir().unwrap();
        let target = parent.path().join("hello-infra");
        let running = Staging::begin(&target).unwrap();
        assert!(leftovers(&target, Leftover::Directory).unwrap().is_empty());
        let left = parent.path().join(".hello-infra.makeinfra-Ab12Cd34Ef56");
        fs::create_dir(&left).unwrap();
        for other in [
            ".other-infra.makeinfra-Ab12Cd34Ef56",
            ".hello-infra.makeinfra-backup-1",
            ".hello-infra.makeinfra-ab.cde",
        ] {
            fs::create_dir(parent.path().join(other)).unwrap();
        }
        fs::write(parent.path().join(".hello-infra.makeinfra-myfile"), "").unwrap();
        assert_eq!(leftovers(&target, Leftover::Directory).unwrap(), [left]);
        drop(running);
    }
}
