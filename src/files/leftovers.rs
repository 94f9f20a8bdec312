//! Leftovers of killed runs beside the files that they were about to write, and the locks that
//! distinguish them from files of running ones.

use super::{DirEntry, LETTERS, MARK, cannot, entries, sibling};
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

/// Siblings of `target` that killed runs left behind, without those of runs still active.
pub fn leftovers(target: &Path, kind: Leftover) -> Result<Vec<PathBuf>> {
    let (parent, prefix) = sibling(target)?;
    let entries = entries(parent).map_err(|error| cannot("read", parent, &error))?;
    // Only names that makeinfra generates: a user's `.hello-infra.makeinfra-backup` does not match.
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

/// Files that killed runs left behind anywhere below `dir`, without those of runs still active.
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

/// Like [`leftovers_below`], in `dir` alone.
#[must_use]
pub fn leftovers_in(dir: &Path) -> Vec<PathBuf> {
    let entries = entries(dir).into_iter().flatten();
    let paths = entries.filter(DirEntry::is_file).map(|entry| entry.path);
    paths.filter(|path| is_leftover(path) && matches!(lock(path), Ok(Some(_)))).collect()
}

/// Whether `path` has the name of a leftover.
#[must_use]
pub fn is_leftover(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let letters = name.rsplit_once(MARK).map_or("", |(_, letters)| letters);
    name.starts_with('.')
        && letters.len() == LETTERS
        && letters.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Deletes a leftover, unless an active run holds its lock by now.
pub fn remove(path: &Path) -> Result<()> {
    let Ok(Some(_lock)) = lock(path) else {
        return Err(Failure::failed(format!("cannot lock `{}`", path.display())).into());
    };
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    Ok(removed.map_err(|error| cannot("remove", path, &error))?)
}

/// Removes the directory `dir` if it is empty.
pub fn remove_empty(dir: &Path) {
    // Fails for a directory that is not empty, as intended.
    let _ = fs::remove_dir(dir);
}

/// A lock that is held while the file is open.
pub type Lock = fs::File;

/// Locks `path` until the returned file is closed. `None` if another process holds the lock, or if
/// `path` does not exist or was replaced while it was being locked. Fails if `path` cannot be
/// opened or the file system does not support locks: see [`has_no_locks`].
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

/// Whether `error`, from [`lock`], means that the file system does not support locks (flock(2),
/// plus the errors of NFS and FUSE).
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
