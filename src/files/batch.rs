//! Several files of a repository, changed together: all of them, or none.

use super::{LETTERS, Replacement, cannot, sibling};
use crate::advice::Advice;
use crate::error::{Failure, Result};
use crate::interrupt::Interrupts;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempPath;
use zeroize::Zeroizing;

/// Changes of files that are prepared beside their places. Unless published, nothing of it stays.
#[derive(Default)]
pub struct Batch {
    changes: Vec<Change>,
    /// Directories that were made for them, the outer ones first.
    made: Vec<PathBuf>,
}

/// A file that changes.
struct Change {
    target: PathBuf,
    /// Its new content; `None` if it is deleted.
    new: Option<Replacement>,
    /// What brings it back: another name of it, beside it; `None` if it is new.
    old: Option<TempPath>,
}

impl Batch {
    /// Writes `content` beside `target`, with `mode`; makes missing directories.
    pub fn add(&mut self, target: &Path, content: impl AsRef<[u8]>, mode: u32) -> Result<()> {
        let old = kept(target)?;
        let missing: Vec<_> = target.ancestors().skip(1).take_while(|dir| !dir.exists()).collect();
        self.made.extend(missing.into_iter().rev().map(Path::to_owned));
        let new = Some(Replacement::prepare(target, content, mode)?);
        self.changes.push(Change { target: target.to_owned(), new, old });
        Ok(())
    }

    /// Deletes the file `target`, and directories that are empty without it.
    pub fn delete(&mut self, target: &Path) -> Result<()> {
        if let Some(old) = kept(target)? {
            self.changes.push(Change { target: target.to_owned(), new: None, old: Some(old) });
        }
        Ok(())
    }

    /// Makes all changes, in the order in which they were added. If one fails, those before it are taken back. What is
    /// new never takes the place of another file.
    pub fn publish(mut self, interrupts: &Interrupts) -> Result<()> {
        interrupts.check()?;
        let mut done = Vec::new();
        for Change { target, new, old } in self.changes.drain(..) {
            let is_deleted = new.is_none();
            let result = match (new, &old) {
                (Some(file), None) => file.publish_new(),
                (Some(file), Some(_)) => file.publish(),
                (None, _) => {
                    fs::remove_file(&target).map_err(|error| cannot("remove", &target, &error).into())
                }
            };
            if let Err(error) = result {
                return Err(match take_back(done) {
                    lost if lost.is_empty() => error,
                    lost => half_done(&error, &lost),
                });
            }
            done.push((target, old, is_deleted));
        }
        self.made.clear();
        let gone: Vec<_> =
            done.into_iter().filter_map(|(target, _, is_deleted)| is_deleted.then_some(target)).collect();
        for target in gone {
            // Only an empty one goes.
            let mut above = target.ancestors().skip(1);
            while above.next().is_some_and(|dir| fs::remove_dir(dir).is_ok()) {}
        }
        Ok(())
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.changes.clear();
        for dir in self.made.iter().rev() {
            // Only an empty one goes.
            let _ = fs::remove_dir(dir);
        }
    }
}

/// A second name of what is at `target`, beside it: to bring it back takes no room on a disk and no byte is copied.
fn kept(target: &Path) -> Result<Option<TempPath>> {
    let Ok(found) = target.symlink_metadata() else { return Ok(None) };
    let (parent, prefix) = sibling(target)?;
    let link = tempfile::Builder::new()
        .prefix(&prefix)
        .rand_bytes(LETTERS)
        .make_in(parent, |path| fs::hard_link(target, path));
    if let Ok(link) = link {
        return Ok(Some(link.into_temp_path()));
    }
    // Some file systems have no links, and some systems allow none to the files of others.
    let bytes = Zeroizing::new(fs::read(target).map_err(|error| cannot("read", target, &error))?);
    let copy = Replacement::prepare(target, &bytes, found.permissions().mode() & 0o7777)?;
    Ok(Some(copy.file.into_temp_path()))
}

/// Undoes changes, the last one first. Gives the files that have to stay as they are.
fn take_back(done: Vec<(PathBuf, Option<TempPath>, bool)>) -> Vec<PathBuf> {
    let mut lost = Vec::new();
    for (target, old, _) in done.into_iter().rev() {
        let is_back = match old {
            Some(old) => old.persist(&target).map_err(|error| {
                // Whoever reads the error finds the old content there.
                lost.extend(error.path.keep());
            }),
            None => fs::remove_file(&target).map_err(|_| lost.push(target)),
        };
        // What is not is in the list.
        let _ = is_back;
    }
    lost
}

/// The failure of a change that could not be taken back, either.
fn half_done(error: &anyhow::Error, lost: &[PathBuf]) -> anyhow::Error {
    let files = lost.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", ");
    Failure::failed("some files are written and others are not, and the system lets nothing be taken back")
        .because(format!("{error:#}; left as they are: {files}"))
        .hint(Advice::git("status"))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn where_one_change_fails_all_are_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("changed"), "old").unwrap();
        fs::write(path("deleted"), "old").unwrap();
        let mut batch = Batch::default();
        batch.add(&path("a/new"), "new", 0o644).unwrap();
        batch.add(&path("changed"), "new", 0o644).unwrap();
        batch.delete(&path("deleted")).unwrap();
        batch.add(&path("late"), "ours", 0o644).unwrap();
        // Somebody else was there first.
        fs::write(path("late"), "theirs").unwrap();
        assert!(batch.publish(&Interrupts::hold().unwrap()).is_err());
        let read = |name: &str| fs::read_to_string(path(name)).ok();
        let found = ["changed", "deleted", "late", "a/new"].map(read);
        assert_eq!(found, [Some("old".into()), Some("old".into()), Some("theirs".into()), None]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn what_is_taken_back_is_the_same_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("changed"), "old").unwrap();
        let inode = |name: &str| fs::metadata(path(name)).unwrap().ino();
        let before = inode("changed");
        let mut batch = Batch::default();
        batch.add(&path("changed"), "new", 0o644).unwrap();
        batch.add(&path("late"), "ours", 0o644).unwrap();
        fs::write(path("late"), "theirs").unwrap();
        assert!(batch.publish(&Interrupts::hold().unwrap()).is_err());
        assert_eq!((inode("changed"), fs::read_dir(dir.path()).unwrap().count()), (before, 2));
        // And what succeeds leaves no second name behind.
        let mut batch = Batch::default();
        batch.add(&path("changed"), "new", 0o644).unwrap();
        batch.delete(&path("late")).unwrap();
        batch.publish(&Interrupts::hold().unwrap()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert_eq!(fs::read_to_string(path("changed")).unwrap(), "new");
    }

    #[test]
    fn what_cannot_be_taken_back_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("inner");
        fs::create_dir(&inner).unwrap();
        fs::write(inner.join("changed"), "old").unwrap();
        let old = kept(&inner.join("changed")).unwrap();
        // What cannot be renamed over.
        fs::remove_file(inner.join("changed")).unwrap();
        fs::create_dir_all(inner.join("changed/full")).unwrap();
        let lost = take_back(vec![(inner.join("changed"), old, false)]);
        assert_eq!(fs::read_to_string(&lost[0]).unwrap(), "old");
        let error = format!("{:?}", crate::error::explain(&half_done(&anyhow::anyhow!("why"), &lost)));
        assert!(error.contains("why") && error.contains(&lost[0].display().to_string()), "{error}");
    }
}
