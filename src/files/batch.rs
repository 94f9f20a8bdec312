//! Several files of a repository, changed together: all of them, or none.

use super::{Replacement, cannot};
use crate::error::Result;
use crate::interrupt::Interrupts;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
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
    /// What brings it back; `None` if it is new.
    old: Option<Old>,
}

/// The content and the mode of a file.
struct Old {
    bytes: Zeroizing<Vec<u8>>,
    mode: u32,
}

impl Batch {
    /// Writes `content` beside `target`, with `mode`; makes missing directories.
    pub fn add(&mut self, target: &Path, content: impl AsRef<[u8]>, mode: u32) -> Result<()> {
        let old = old(target)?;
        let missing: Vec<_> = target.ancestors().skip(1).take_while(|dir| !dir.exists()).collect();
        self.made.extend(missing.into_iter().rev().map(Path::to_owned));
        let new = Some(Replacement::prepare(target, content, mode)?);
        self.changes.push(Change { target: target.to_owned(), new, old });
        Ok(())
    }

    /// Deletes the file `target`, and directories that are empty without it.
    pub fn delete(&mut self, target: &Path) -> Result<()> {
        if let Some(old) = old(target)? {
            self.changes.push(Change { target: target.to_owned(), new: None, old: Some(old) });
        }
        Ok(())
    }

    /// Makes all changes, in the order in which they were added. Where one fails, those before it are taken back. What is
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
                take_back(done);
                return Err(error);
            }
            done.push((target, old, is_deleted));
        }
        self.made.clear();
        for (target, ..) in done.iter().filter(|(_, _, is_deleted)| *is_deleted) {
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

/// What is at `target` now.
fn old(target: &Path) -> Result<Option<Old>> {
    let Ok(found) = target.symlink_metadata() else { return Ok(None) };
    let bytes = fs::read(target).map_err(|error| cannot("read", target, &error))?;
    Ok(Some(Old { bytes: Zeroizing::new(bytes), mode: found.permissions().mode() & 0o7777 }))
}

/// Undoes changes, the last one first. Nothing more can be done than to try.
fn take_back(done: Vec<(PathBuf, Option<Old>, bool)>) {
    for (target, old, _) in done.into_iter().rev() {
        let _ = match old {
            Some(Old { bytes, mode }) => {
                Replacement::prepare(&target, &bytes, mode).and_then(Replacement::publish)
            }
            None => fs::remove_file(&target).map_err(anyhow::Error::from),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
