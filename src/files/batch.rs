//! Several files of a repository, changed together: all of them, or none.

use super::{Replacement, cannot};
use crate::error::Result;
use crate::interrupt::Interrupts;
use std::fs;
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
    old: Option<(Zeroizing<Vec<u8>>, u32)>,
}

impl Batch {
    /// Writes `bytes` beside `target`, with `mode`; makes missing directories. `old` is what is there now.
    pub fn add(&mut self, target: &Path, bytes: &[u8], mode: u32, old: Option<&[u8]>) -> Result<()> {
        let missing: Vec<_> = target.ancestors().skip(1).take_while(|dir| !dir.exists()).collect();
        self.made.extend(missing.into_iter().rev().map(Path::to_owned));
        self.changes.push(Change {
            target: target.to_owned(),
            new: Some(Replacement::prepare(target, bytes, mode)?),
            old: old.map(|bytes| (Zeroizing::new(bytes.to_vec()), mode)),
        });
        Ok(())
    }

    /// Deletes `target`, whose content is `old` and whose mode `mode`.
    pub fn delete(&mut self, target: &Path, mode: u32, old: &[u8]) {
        let old = Some((Zeroizing::new(old.to_vec()), mode));
        self.changes.push(Change { target: target.to_owned(), new: None, old });
    }

    /// Makes all changes, in the order in which they were added. Where one fails, those before it are taken back. What is
    /// new never takes the place of another file. Directories that are empty then go, up to `top`.
    pub fn publish(mut self, top: &Path, interrupts: &Interrupts) -> Result<()> {
        interrupts.check()?;
        let mut done = Vec::new();
        let mut failure = None;
        for Change { target, new, old } in self.changes.drain(..) {
            let result = match (new, &old) {
                (Some(file), None) => file.publish_new(),
                (Some(file), Some(_)) => file.publish(),
                (None, _) => fs::remove_file(&target).map_err(|error| cannot("remove", &target, &error).into()),
            };
            match result {
                Ok(()) => done.push((target, old)),
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        if let Some(error) = failure {
            for (target, old) in done.into_iter().rev() {
                // Nothing more can be done than to try.
                let _ = match old {
                    Some((bytes, mode)) => {
                        Replacement::prepare(&target, &bytes, mode).and_then(Replacement::publish)
                    }
                    None => fs::remove_file(&target).map_err(anyhow::Error::from),
                };
            }
            return Err(error);
        }
        self.made.clear();
        for (target, _) in &done {
            let parents = target.ancestors().skip(1).take_while(|dir| *dir != top);
            for dir in parents {
                // Only an empty one goes.
                if fs::remove_dir(dir).is_err() {
                    break;
                }
            }
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
