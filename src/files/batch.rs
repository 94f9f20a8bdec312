//! Changes several files together: all of them, or none. Each change is synced before the next one
//! is made, so that a power cut leaves what a kill could leave: the first changes, in the order in
//! which they were added.

use super::{LETTERS, Replacement, cannot, sibling, sync_directory};
use crate::advice::Advice;
use crate::error::{Failure, Result};
use crate::interrupt::Interrupts;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tempfile::TempPath;
use zeroize::Zeroizing;

/// File changes prepared beside their targets. Discarded unless kept.
#[derive(Default)]
pub struct Batch {
    /// Prepared changes.
    changes: Vec<PreparedChange>,
    /// Whether the next change must wait for the earlier ones.
    waits: bool,
    /// Changes already made.
    done: Vec<AppliedChange>,
    /// Directories created so far, outer ones first.
    made: Vec<PathBuf>,
    /// How many of these directories are synced.
    synced: usize,
}

/// A file change.
struct PreparedChange {
    target: PathBuf,
    /// The new content; `None` if the file is deleted.
    new: Option<Replacement>,
    /// A second name of the old file, to restore it; `None` if the file is new.
    old: Option<TempPath>,
    /// Whether earlier changes must be synced before this one is made.
    waits: bool,
}

/// A file that has been changed.
struct AppliedChange {
    target: PathBuf,
    old: Option<TempPath>,
    is_deleted: bool,
}

impl Batch {
    /// Writes `content` beside `target`, with `mode`; creates missing directories.
    pub fn add(&mut self, target: &Path, content: impl AsRef<[u8]>, mode: u32) -> Result<()> {
        let (parent, _) = sibling(target)?;
        self.add_in(parent, target, content, mode)
    }

    /// Like [`Batch::add`], with the temporary file in `dir`, from which a rename must reach
    /// `target`: see [`super::reaches`].
    pub fn add_in(
        &mut self,
        dir: &Path,
        target: &Path,
        content: impl AsRef<[u8]>,
        mode: u32,
    ) -> Result<()> {
        self.prepare(dir, target, || Replacement::prepare_in(dir, target, content, mode))
    }

    /// Like [`Batch::add_in`], with the file that `make` produces from one with `content`.
    pub fn add_made(
        &mut self,
        dir: &Path,
        target: &Path,
        content: impl AsRef<[u8]>,
        mode: u32,
        make: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<()> {
        self.prepare(dir, target, || {
            Replacement::prepare_in(dir, target, content, mode)?.made(make)
        })
    }

    fn prepare(
        &mut self,
        dir: &Path,
        target: &Path,
        new: impl FnOnce() -> Result<Replacement>,
    ) -> Result<()> {
        let old = kept(dir, target)?;
        let missing: Vec<_> = target.ancestors().skip(1).take_while(|dir| !dir.exists()).collect();
        self.made.extend(missing.into_iter().rev().map(Path::to_owned));
        self.change(target, Some(new()?), old);
        Ok(())
    }

    /// Deletes the file `target` and the directories that this empties. Until [`Batch::keep`], the
    /// file has another name in `dir`.
    pub fn delete_in(&mut self, dir: &Path, target: &Path) -> Result<()> {
        if let Some(old) = kept(dir, target)? {
            self.change(target, None, Some(old));
        }
        Ok(())
    }

    fn change(&mut self, target: &Path, new: Option<Replacement>, old: Option<TempPath>) {
        let waits = std::mem::take(&mut self.waits);
        self.changes.push(PreparedChange { target: target.to_owned(), new, old, waits });
    }

    /// Makes the next change wait until the earlier ones are synced. Changes of existing files
    /// always wait, because they refer to new files.
    pub fn wait(&mut self) {
        self.waits = true;
    }

    /// Moves the prepared changes of `other` to the end of this batch.
    pub fn append(&mut self, other: &mut Self) {
        self.changes.append(&mut other.changes);
        self.made.append(&mut other.made);
    }

    /// Makes the changes that were added. If one fails, reverts all of them, including those of
    /// earlier calls. A new file never replaces another file.
    pub fn publish(&mut self, interrupts: &Interrupts) -> Result<()> {
        let published = interrupts.check().and_then(|()| self.publish_all());
        published.map_err(|error| self.revert(error))
    }

    fn publish_all(&mut self) -> Result<()> {
        let sync = |dir: &Path| sync_directory(dir).map_err(|error| cannot("write", dir, &error));
        // New files may be written in any order as long as nothing refers to them.
        let made = &self.made[self.synced..];
        let mut open: BTreeSet<_> =
            made.iter().filter_map(|dir| dir.parent()).map(Path::to_owned).collect();
        self.synced = self.made.len();
        for PreparedChange { target, new, old, waits } in self.changes.drain(..) {
            let (parent, _) = sibling(&target)?;
            let (is_new, is_deleted) = (old.is_none(), new.is_none());
            if !is_new || waits {
                std::mem::take(&mut open).iter().try_for_each(|dir| sync(dir))?;
            }
            match (new, &old) {
                (Some(file), None) => file.publish_new()?,
                (Some(file), Some(_)) => file.publish()?,
                (None, _) => {
                    fs::remove_file(&target).map_err(|error| cannot("remove", &target, &error))?;
                }
            }
            open.insert(parent.to_owned());
            self.done.push(AppliedChange { target: target.clone(), old, is_deleted });
            if !is_new {
                std::mem::take(&mut open).iter().try_for_each(|dir| sync(dir))?;
            }
        }
        Ok(open.iter().try_for_each(|dir| sync(dir))?)
    }

    /// Reverts everything because of `error`. Returns the error, extended by what could not be
    /// reverted.
    pub fn revert(&mut self, error: anyhow::Error) -> anyhow::Error {
        match revert(std::mem::take(&mut self.done)) {
            lost if lost.is_empty() => error,
            lost => partly_reverted(&error, &lost),
        }
    }

    /// Makes the changes permanent.
    pub fn keep(mut self) {
        self.made.clear();
        for AppliedChange { target, old, is_deleted } in std::mem::take(&mut self.done) {
            drop(old);
            if is_deleted {
                // Only removes empty directories.
                let mut above = target.ancestors().skip(1);
                while above.next().is_some_and(|dir| fs::remove_dir(dir).is_ok()) {}
            }
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        // A destructor cannot report a failure.
        revert(std::mem::take(&mut self.done));
        self.changes.clear();
        for dir in self.made.iter().rev() {
            // Only removes empty directories.
            let _ = fs::remove_dir(dir);
        }
    }
}

/// Gives the file at `target` a second name in `dir`: restoring it then needs no disk space and
/// copies no bytes.
fn kept(dir: &Path, target: &Path) -> Result<Option<TempPath>> {
    let found = match target.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found.map_err(|error| cannot("inspect", target, &error))?,
    };
    let (_, prefix) = sibling(target)?;
    let link = tempfile::Builder::new()
        .prefix(&prefix)
        .rand_bytes(LETTERS)
        .make_in(dir, |path| fs::hard_link(target, path));
    if let Ok(link) = link {
        return Ok(Some(link.into_temp_path()));
    }
    // Some file systems do not support hard links, and some systems do not allow links to other
    // users' files.
    let bytes = Zeroizing::new(fs::read(target).map_err(|error| cannot("read", target, &error))?);
    let copy = Replacement::prepare_in(dir, target, &bytes, found.permissions().mode() & 0o7777)?;
    Ok(Some(copy.file.into_temp_path()))
}

/// A file that could not be restored.
struct UnrestoredFile {
    target: PathBuf,
    /// Where its old content is; `None` if it had none.
    old: Option<PathBuf>,
}

/// Reverts changes, last one first. Returns the files that could not be reverted.
fn revert(done: Vec<AppliedChange>) -> Vec<UnrestoredFile> {
    let mut lost = Vec::new();
    for AppliedChange { target, old, .. } in done.into_iter().rev() {
        let Some(old) = old else {
            if fs::remove_file(&target).is_err() {
                lost.push(UnrestoredFile { target, old: None });
            }
            continue;
        };
        if let Err(error) = old.persist(&target) {
            // If the target is missing, the second name can be linked there instead.
            if fs::hard_link(&error.path, &target).is_err() {
                lost.push(UnrestoredFile { old: keep_copy(error.path, &target), target });
            }
        }
    }
    lost
}

/// Gives `old`, the only copy of the old content of `target`, a name that no later run takes for a
/// leftover; `None` if it is gone.
fn keep_copy(old: TempPath, target: &Path) -> Option<PathBuf> {
    let (dir, (_, prefix)) = (old.parent()?.to_owned(), sibling(target).ok()?);
    let name = |path: &Path| match fs::hard_link(&old, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            // Renaming it failed a moment ago.
            fs::rename(&old, path).or_else(|_| copy(&old, path))
        }
        linked => linked,
    };
    let prefix = format!("{prefix}old-");
    let named =
        tempfile::Builder::new().prefix(&prefix).rand_bytes(LETTERS / 2).make_in(&dir, name);
    let kept = match named {
        Ok(named) => named.into_temp_path().keep().ok(),
        // A name that the next run takes for a leftover is better than none.
        Err(_) => return old.keep().ok(),
    };
    let _ = sync_directory(&dir);
    kept
}

/// Copies `from` to the new file `to`, which is private until it gets the mode of the original.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut read = fs::File::open(from)?;
    let mut written = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    let copied = io::copy(&mut read, &mut written)
        .and_then(|_| written.set_permissions(read.metadata()?.permissions()))
        .and_then(|()| written.sync_all());
    copied.inspect_err(|_| drop(fs::remove_file(to)))
}

/// The failure of a change that could not be reverted.
fn partly_reverted(error: &anyhow::Error, lost: &[UnrestoredFile]) -> anyhow::Error {
    let files =
        lost.iter().map(|one| format!("`{}`", one.target.display())).collect::<Vec<_>>().join(", ");
    let mut cause = format!("{error:#}; could not be restored: {files}");
    let mut hint = None::<Advice>;
    for UnrestoredFile { target, old } in lost {
        let Some(old) = old else { continue };
        cause += &format!("; the old content of `{}` is in `{}`", target.display(), old.display());
        let back = Advice::anywhere("mv").path(old).path(target);
        hint = Some(hint.map_or_else(|| back.clone(), |hint| hint.and(back.clone())));
    }
    Failure::failed("some files are written and others are not, and restoring them failed")
        .because(cause)
        .hint(hint.unwrap_or_else(|| Advice::git("status")))
        .after_writing()
        .into()
}

#[cfg(test)]
mod tests;
