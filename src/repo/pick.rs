//! An update with conflicts, left as an open cherry-pick that users resolve with git.
//!
//! Renames are not detected: git would apply a change to a file that merely resembles the deleted
//! one.

use super::commit::create_commit;
use super::index::{EXECUTABLE, bare, entry};
use super::locks::{KEPT, PICK};
use super::{Blob, Repo, failed, identity};
use crate::advice::Advice;
use crate::error::{Failure, Result};
use crate::files::{self, Batch};
use crate::interrupt::Interrupts;
use git2::build::CheckoutBuilder;
use git2::{Error, Index, IndexEntry, MergeFileOptions, MergeOptions, Oid, Status};
use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Aborts an open cherry-pick.
const ABORT: &str = "cherry-pick --abort";
/// Position of the stage bits in the flags of an index entry (git's index-format).
const STAGE: u16 = 12;

impl Repo {
    /// Starts a cherry-pick of the change from `base` to `wish`, both applied on top of HEAD. It
    /// ends with conflicts: markers in the work tree, stages in the index.
    ///
    /// libgit2's own cherry-pick writes the index last. If it is killed before that, `git
    /// cherry-pick --abort` takes the files already written for edits and keeps them. This function
    /// first enters every changed path into the index as a conflict, so that git restores each of
    /// them whatever the work tree has.
    ///
    /// Everything is written under makeinfra's own locks, which the next run recognises. It could
    /// not tell libgit2's locks from those of a running git.
    pub fn pick(
        &self,
        base: &[Blob],
        wish: &[Blob],
        message: &str,
        interrupts: &Interrupts,
    ) -> Result<()> {
        let start = |error: Error| failed("start the cherry-pick", &error);
        let locks = self.lock_for_pick()?;
        let (new, mut merged) = self.merged(base, wish, message)?;
        let paths = self.changed(&merged).map_err(start)?;
        self.check_unchanged(&paths)?;
        self.write_objects(&self.picked(new, &merged).map_err(start)?)?;
        let write = |place: &Path, text: String| {
            let mut batch = Batch::default();
            batch.add_in(self.git.path(), place, text, 0o644)?;
            batch.publish(interrupts)?;
            batch.keep();
            Ok::<_, anyhow::Error>(())
        };
        write(&self.reference(KEPT), format!("{new}\n"))?;
        let open = || -> Result<()> {
            write(&self.git.path().join(PICK), format!("{new}\n"))?;
            write(&self.git.path().join("MERGE_MSG"), format!("{message}\n"))?;
            self.edit_index(interrupts, |index| {
                let both = |path: &String| replace(index, path, &self.stages(path, &merged)?);
                Ok(paths.iter().try_for_each(both).map_err(start)?)
            })
        };
        if let Err(error) = open() {
            // Nothing but git's state files says so far that a cherry-pick is open.
            return Err(match self.git.cleanup_state() {
                Ok(()) => error,
                Err(_) => not_all(&error),
            });
        }
        let label = format!("{:.7} ({message})", new.to_string());
        let is_open = |path: &&String| !stages(path, &merged).is_empty();
        let (open, clean): (Vec<_>, Vec<_>) = paths.iter().partition(is_open);
        let mut checkout = CheckoutBuilder::new();
        // A safe checkout refuses to start on an index with conflicts. All conflicts in this one
        // are ours.
        checkout.safe().refresh(false).update_index(false).disable_pathspec_match(true);
        for path in &clean {
            checkout.path(path.as_str());
        }
        let mut write = || -> std::result::Result<(), Error> {
            if !clean.is_empty() {
                self.git.checkout_index(Some(&mut merged), Some(&mut checkout))?;
            }
            open.iter()
                .try_for_each(|path| self.write_markers(path, &stages(path, &merged), &label))
        };
        let written =
            write().map_err(|error| failed("write all files of the update", &error).into());
        let written = written.and_then(|()| {
            self.edit_index(interrupts, |index| {
                let cannot = |error: Error| failed("stage a file", &error);
                for path in &open {
                    replace(index, path, &stages(path, &merged)).map_err(cannot)?;
                }
                for path in &clean {
                    let found = merged.get_path(Path::new(path), 0);
                    let fresh = found
                        .map(|found| entry(&self.git, path, found.id, found.mode == EXECUTABLE));
                    replace(index, path, fresh.transpose()?.as_slice()).map_err(cannot)?;
                }
                Ok(())
            })
        });
        written.map_err(|error: anyhow::Error| not_all(&error))?;
        locks.release("the cherry-pick is open")
    }

    /// Edits the index with `edit` and writes it. The index must be locked.
    fn edit_index(
        &self,
        interrupts: &Interrupts,
        edit: impl FnOnce(&mut Index) -> Result<()>,
    ) -> Result<()> {
        let mut batch = Batch::default();
        self.add_edited_index(&mut batch, edit)?;
        batch.publish(interrupts)?;
        batch.keep();
        Ok(())
    }

    /// Writes the file `path` with conflict markers where `sides` disagree. libgit2 would leave a
    /// lock file beside it on failure.
    fn write_markers(
        &self,
        path: &str,
        sides: &[IndexEntry],
        label: &str,
    ) -> std::result::Result<(), Error> {
        let side = |stage: u16| sides.iter().find(|side| side.flags >> STAGE & 3 == stage);
        // A file that one side deleted stays as it is.
        let (Some(ours), Some(theirs)) = (side(2), side(3)) else { return Ok(()) };
        let nothing = bare(path, self.git.blob(&[])?, ours.mode);
        let mut options = MergeFileOptions::new();
        options.our_label("HEAD").their_label(label);
        let merged = self.git.merge_file_from_index(
            side(1).unwrap_or(&nothing),
            ours,
            theirs,
            Some(&mut options),
        )?;
        let file = self.top().join(path);
        let written = fs::write(&file, merged.content()).and_then(|()| {
            let mode = file.metadata()?.permissions().mode();
            match merged.mode() {
                EXECUTABLE => {
                    fs::set_permissions(&file, Permissions::from_mode(mode | (mode & 0o444) >> 2))
                }
                _ => Ok(()),
            }
        });
        written.map_err(|error| Error::from_str(&format!("{path}: {error}")))
    }

    /// Creates the commit to pick; returns it with the index that results from applying it to HEAD.
    fn merged(&self, base: &[Blob], wish: &[Blob], message: &str) -> Result<(Oid, Index)> {
        let Some((author, committer)) = identity(&self.git)? else {
            return Err(Failure::failed("cannot commit")
                .because("git has no user name and email")
                .into());
        };
        let run = || -> std::result::Result<(Oid, Index), Error> {
            let head = self.git.head()?.peel_to_commit()?;
            let commit = |parent: &git2::Commit, blobs: &[Blob], message: &str| {
                let tree = self.git.find_tree(self.tree(&head.tree()?, blobs)?)?;
                create_commit(&self.git, [&author, &committer], message, &tree, &[parent])
            };
            let old = self.git.find_commit(commit(
                &head,
                base,
                "Files as generated before the update",
            )?)?;
            let new = self.git.find_commit(commit(&old, wish, message)?)?;
            let mut options = MergeOptions::new();
            options.find_renames(false);
            Ok((new.id(), self.git.cherrypick_commit(&new, &head, 0, Some(&options))?))
        };
        Ok(run().map_err(|error| failed("start the cherry-pick", &error))?)
    }

    /// The objects of the commit `new`, of its parent and of the index `merged`.
    fn picked(&self, new: Oid, merged: &Index) -> std::result::Result<Vec<Oid>, Error> {
        let head = self.git.head()?.peel_to_tree()?.id();
        let new = self.git.find_commit(new)?;
        let old = new.parent(0)?;
        // The empty blob, which stands for the missing side of a conflict.
        let mut all = vec![self.git.blob(&[])?];
        all.extend(merged.iter().map(|entry| entry.id));
        for commit in [old, new] {
            self.new_objects(commit.tree_id(), Some(head), &mut all)?;
            all.push(commit.id());
        }
        Ok(all)
    }

    /// Paths, as git knows them, that differ between HEAD and `merged`.
    fn changed(&self, merged: &Index) -> std::result::Result<BTreeSet<String>, Error> {
        let head = self.git.head()?.peel_to_tree()?;
        let diff = self.git.diff_tree_to_index(Some(&head), Some(merged), None)?;
        let path = |delta: git2::DiffDelta| {
            let file = delta.new_file().path().or(delta.old_file().path());
            file.and_then(Path::to_str).map(str::to_owned)
        };
        let mut paths: BTreeSet<String> = diff.deltas().filter_map(path).collect();
        for conflict in merged.conflicts()? {
            let conflict = conflict?;
            let entries = [conflict.ancestor, conflict.our, conflict.their];
            paths.extend(
                entries.into_iter().flatten().filter_map(|one| String::from_utf8(one.path).ok()),
            );
        }
        Ok(paths)
    }

    /// Fails if the work tree has content at `paths` that git could not restore.
    fn check_unchanged(&self, paths: &BTreeSet<String>) -> Result<()> {
        let is_changed = |path: &&String| match self.git.status_file(Path::new(path)) {
            Ok(status) => status != Status::CURRENT,
            // The path exists neither in git nor in the work tree.
            Err(error) => error.code() != git2::ErrorCode::NotFound,
        };
        let changed: Vec<_> =
            paths.iter().filter(is_changed).map(|path| format!("`{path}`")).collect();
        if changed.is_empty() {
            return Ok(());
        }
        Err(Failure::failed(
            "files that the cherry-pick would write have edits; nothing was written",
        )
        .because(changed.join(", "))
        .hint(Advice::git("status"))
        .into())
    }

    /// Conflict entries for `path`: those of `merged`, or one between HEAD and the content of
    /// `merged`.
    fn stages(&self, path: &str, merged: &Index) -> std::result::Result<Vec<IndexEntry>, Error> {
        let theirs = merged.get_path(Path::new(path), 0);
        let found = stages(path, merged);
        if !found.is_empty() {
            return Ok(found);
        }
        let head = self.git.head()?.peel_to_tree()?;
        let ours = match head.get_path(Path::new(path)) {
            Ok(ours) => Some(bare(path, ours.id(), ours.filemode().cast_unsigned())),
            Err(error) if error.code() == git2::ErrorCode::NotFound => None,
            Err(error) => return Err(error),
        };
        let ours = [1, 2].into_iter().filter_map(|stage| Some(staged(ours.as_ref()?, stage)));
        Ok(ours.chain(theirs.as_ref().map(|theirs| staged(theirs, 3))).collect())
    }

    /// Deletes the reference to the commit of a pick that has ended.
    pub fn forget_pick(&self) -> Result<()> {
        if self.is_merging() {
            return Ok(());
        }
        // libgit2 would lock the reference.
        match fs::remove_file(self.reference(KEPT)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(files::cannot("remove", &self.reference(KEPT), &error).into());
            }
            _ => {}
        }
        match self.git.find_reference(KEPT).and_then(|mut kept| kept.delete()) {
            Err(error) if error.code() != git2::ErrorCode::NotFound => {
                Err(failed("delete a reference", &error).into())
            }
            _ => Ok(()),
        }
    }

    /// Staged paths: those whose index entry differs from HEAD.
    pub fn staged(&self) -> Result<Vec<String>> {
        let run = || -> std::result::Result<Vec<String>, Error> {
            let head = self.git.head()?.peel_to_tree()?;
            let diff = self.git.diff_tree_to_index(Some(&head), None, None)?;
            let path = |delta: git2::DiffDelta| {
                let file = delta.new_file().path().or(delta.old_file().path());
                file.map(|path| path.display().to_string())
            };
            Ok(diff.deltas().filter_map(path).collect())
        };
        Ok(run().map_err(|error| failed("compare the index with HEAD", &error))?)
    }
}

/// The failure that leaves a cherry-pick open.
fn not_all(error: &anyhow::Error) -> anyhow::Error {
    let failure = Failure::failed("cannot write all of the update").because(format!("{error:#}"));
    failure.hint(Advice::git(ABORT)).into()
}

/// `entry` as one side of a conflict.
fn staged(entry: &IndexEntry, stage: u16) -> IndexEntry {
    let mode = entry.mode;
    IndexEntry {
        flags: stage << STAGE,
        ..bare(&String::from_utf8_lossy(&entry.path), entry.id, mode)
    }
}

/// The sides of the conflict at `path` in `index`; empty if there is no conflict.
fn stages(path: &str, index: &Index) -> Vec<IndexEntry> {
    let sides = (1..=3).filter_map(|stage| {
        let entry = index.get_path(Path::new(path), stage)?;
        Some(staged(&entry, u16::try_from(stage).unwrap_or_default()))
    });
    sides.collect()
}

/// Replaces everything that `index` has at `path` by `entries`.
fn replace(
    index: &mut Index,
    path: &str,
    entries: &[IndexEntry],
) -> std::result::Result<(), Error> {
    for stage in 0..=3 {
        if index.get_path(Path::new(path), stage).is_some() {
            index.remove(Path::new(path), stage)?;
        }
    }
    entries.iter().try_for_each(|entry| index.add(entry))
}
