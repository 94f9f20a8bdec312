//! An update with conflicts, left in git's own terms: a cherry-pick that people end as they know
//! it.
//!
//! Renames are not looked for: git would bring a change into a file that merely looks like the one
//! that is gone.

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

/// What takes an open cherry-pick back.
const ABORT: &str = "cherry-pick --abort";
/// Where an entry of the index has its stage (git's index-format).
const STAGE: u16 = 12;

impl Repo {
    /// Starts a cherry-pick of the change from `base` to `wish`, both on top of HEAD. It ends with
    /// conflicts: the work tree has the markers, the index the stages.
    ///
    /// libgit2's own cherry-pick writes the index last. A run that is killed before leaves files
    /// that `git cherry-pick --abort` takes for edits and keeps. Here the index first has every
    /// path that changes as a conflict: git then brings each of them back, whatever the work tree
    /// has.
    ///
    /// All is written under locks of ours, which the next run knows: it could not tell libgit2's
    /// from those of a git at work.
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
            // So far nothing but this says that a cherry-pick is open.
            return Err(match self.git.cleanup_state() {
                Ok(()) => error,
                Err(_) => not_all(&error),
            });
        }
        let label = format!("{:.7} ({message})", new.to_string());
        let is_open = |path: &&String| !stages(path, &merged).is_empty();
        let (open, clean): (Vec<_>, Vec<_>) = paths.iter().partition(is_open);
        let mut checkout = CheckoutBuilder::new();
        // It refuses to begin in an index with conflicts, which are our own here.
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

    /// Writes the index as `edit` makes it, which is locked.
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

    /// Writes the file `path` with what `sides` do not agree on between markers. libgit2 would
    /// leave a lock file beside it if that fails.
    fn write_markers(
        &self,
        path: &str,
        sides: &[IndexEntry],
        label: &str,
    ) -> std::result::Result<(), Error> {
        let side = |stage: u16| sides.iter().find(|side| side.flags >> STAGE & 3 == stage);
        // What one of them deleted stays as it is here.
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

    /// The commit to pick, and what HEAD becomes by it.
    fn merged(&self, base: &[Blob], wish: &[Blob], message: &str) -> Result<(Oid, Index)> {
        let Some((author, committer)) = identity(&self.git)? else {
            return Err(Failure::failed("cannot commit")
                .because("git does not know who you are")
                .into());
        };
        let run = || -> std::result::Result<(Oid, Index), Error> {
            let head = self.git.head()?.peel_to_commit()?;
            let commit = |parent: &git2::Commit, blobs: &[Blob], message: &str| {
                let tree = self.git.find_tree(self.tree(&head.tree()?, blobs)?)?;
                create_commit(&self.git, [&author, &committer], message, &tree, &[parent])
            };
            let old =
                self.git.find_commit(commit(&head, base, "The files as they were generated")?)?;
            let new = self.git.find_commit(commit(&old, wish, message)?)?;
            let mut options = MergeOptions::new();
            options.find_renames(false);
            Ok((new.id(), self.git.cherrypick_commit(&new, &head, 0, Some(&options))?))
        };
        Ok(run().map_err(|error| failed("start the cherry-pick", &error))?)
    }

    /// The objects of the commit `new`, of the one before it and of what they are `merged` to.
    fn picked(&self, new: Oid, merged: &Index) -> std::result::Result<Vec<Oid>, Error> {
        let head = self.git.head()?.peel_to_tree()?.id();
        let new = self.git.find_commit(new)?;
        let old = new.parent(0)?;
        // What a conflict has no other side of.
        let mut all = vec![self.git.blob(&[])?];
        all.extend(merged.iter().map(|entry| entry.id));
        for commit in [old, new] {
            self.new_objects(commit.tree_id(), Some(head), &mut all)?;
            all.push(commit.id());
        }
        Ok(all)
    }

    /// The paths, as git knows them, that are not the same in HEAD and in `merged`.
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

    /// Fails if git could not bring back what the work tree has at `paths`.
    fn check_unchanged(&self, paths: &BTreeSet<String>) -> Result<()> {
        let is_changed = |path: &&String| match self.git.status_file(Path::new(path)) {
            Ok(status) => status != Status::CURRENT,
            // Neither git nor the work tree has it.
            Err(error) => error.code() != git2::ErrorCode::NotFound,
        };
        let changed: Vec<_> =
            paths.iter().filter(is_changed).map(|path| format!("`{path}`")).collect();
        if changed.is_empty() {
            return Ok(());
        }
        Err(Failure::failed(
            "git sees edits in files that the cherry-pick would write; nothing was written",
        )
        .because(changed.join(", "))
        .hint(Advice::git("status"))
        .into())
    }

    /// `path` as a conflict: that of `merged`, or one between HEAD and what `merged` has.
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

    /// Lets go of the commit of a pick that has ended.
    pub fn forget_pick(&self) -> Result<()> {
        if self.is_merging() {
            return Ok(());
        }
        // libgit2 would lock it.
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

    /// The paths that are staged: the index has something else of them than HEAD.
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

/// The failure of a cherry-pick that is open.
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

/// The sides of the conflict that `index` has at `path`; none if there is no conflict.
fn stages(path: &str, index: &Index) -> Vec<IndexEntry> {
    let sides = (1..=3).filter_map(|stage| {
        let entry = index.get_path(Path::new(path), stage)?;
        Some(staged(&entry, u16::try_from(stage).unwrap_or_default()))
    });
    sides.collect()
}

/// Puts `entries` into `index` in place of all that it has at `path`.
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
