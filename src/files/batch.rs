//! Several files of a repository, changed together.

use super::{Replacement, cannot};
use crate::error::Result;
use crate::interrupt::Interrupts;
use std::fs;
use std::path::{Path, PathBuf};

/// New contents for files, written beside them and not yet in their places. Unless published, nothing of it stays.
#[derive(Default)]
pub struct Batch {
    files: Vec<Replacement>,
    /// Directories that were made for them, the outer ones first.
    made: Vec<PathBuf>,
    /// Files that are in another place once this is published.
    moved: Vec<PathBuf>,
}

impl Batch {
    /// Writes `text` beside `target`, with `mode`; makes missing directories.
    pub fn add(&mut self, target: &Path, text: &str, mode: u32) -> Result<()> {
        let missing: Vec<_> = target.ancestors().skip(1).take_while(|dir| !dir.exists()).collect();
        self.made.extend(missing.into_iter().rev().map(Path::to_owned));
        self.files.push(Replacement::prepare(target, text, mode)?);
        Ok(())
    }

    /// Takes `old` away once the files are in their places.
    pub fn take_away(&mut self, old: &Path) {
        self.moved.push(old.to_owned());
    }

    /// Puts all files in their places, in the order in which they were added, and takes away what has moved.
    pub fn publish(mut self, interrupts: &Interrupts) -> Result<()> {
        interrupts.check()?;
        for file in self.files.drain(..) {
            file.publish()?;
        }
        for old in &self.moved {
            fs::remove_file(old).map_err(|error| cannot("remove", old, &error))?;
        }
        Ok(())
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.files.clear();
        for dir in self.made.iter().rev() {
            // Only an empty one goes.
            let _ = fs::remove_dir(dir);
        }
    }
}
