//! Updates a repository from one rendering to another: applies what changes between `base` and
//! `wish` to the files with their local edits. Leaves out everything below `secrets/`, which is
//! never rendered again and never merged. Pure.
//!
//! Files are paired by the template that they come from, never by similarity: a file that looks
//! similar is the user's own.

mod entry;
mod hazards;
mod moves;

pub use entry::{GeneratedFile, Tree};
pub(super) use hazards::hazards;

use super::{Bytes, Files, Plan, SECRETS, Step, merge, record};
use crate::answers::Record;
use crate::error::Result;
use crate::manifests::kustomization;
use entry::{Merge, Side};
use moves::Moves;
use std::collections::BTreeSet;

/// The result of an update.
#[derive(Default)]
pub struct Update {
    /// What was merged, or can be done without a merge.
    pub plan: Plan,
    /// What the user must decide.
    pub conflicts: Vec<Conflict>,
    /// Locally deleted files, which stay deleted.
    pub deleted: Vec<Deleted>,
    /// Files that users moved: from, to.
    pub moved: Vec<(String, String)>,
    /// Changes that a cluster refuses, and objects that it keeps, one sentence each.
    pub hazards: Vec<String>,
}

/// A generated file that was deleted locally.
pub struct Deleted {
    /// The path at which it would be.
    pub path: String,
    /// The file that now contains its object among others, if the change was not applied there.
    pub elsewhere: Option<String>,
}

/// A file that both sides changed.
pub struct Conflict {
    /// The current path; if the file does not exist, the path at which it would be.
    pub path: String,
    /// The previously generated file; `None` if there was none, or none with which the others can
    /// be compared.
    pub base: Option<GeneratedFile>,
    /// The newly generated file; `None` if it is no longer generated.
    pub wish: Option<GeneratedFile>,
    /// Why it cannot be merged, as a sentence about "it".
    pub why: String,
}

/// Plans the update from `base` to `wish`. Deleted files in `restored` are restored.
pub fn update(
    base: &Tree,
    wish: &Tree,
    files: &Files,
    restored: &BTreeSet<String>,
) -> Result<Update> {
    let moves = Moves::find(base, wish, files);
    let mut update = Update { moved: moves.moved_by_users(), ..Update::default() };
    for pair in &moves.pairs {
        let old = pair.base.as_ref().and_then(|path| base.get(path));
        let new = pair.wish.as_ref().and_then(|path| wish.get(path));
        if old == new && pair.ours.is_some() && pair.ours == pair.wish {
            continue;
        }
        let ours = match &pair.ours {
            Some(path) => Side::read(files, path)?,
            None => None,
        };
        let here = pair.ours.as_ref().zip(ours.as_ref());
        match (old, new, here) {
            (Some(old), Some(new), Some((at, ours))) => {
                update.both(files, at, pair.target(at), &Sides { old, ours, new })?;
            }
            (Some(old), None, Some((at, ours))) if ours.is(old) => {
                update.delete(files, at, ours)?;
            }
            (Some(old), None, Some((at, _))) => update.conflicts.push(Conflict {
                path: at.clone(),
                base: Some(old.clone()),
                wish: None,
                why: "no longer generated, but edited here".to_owned(),
            }),
            (None, Some(new), Some((at, ours))) if !ours.is(new) => {
                update.conflicts.push(Conflict {
                    path: at.clone(),
                    base: None,
                    wish: Some(new.clone()),
                    why: "now generated, but already exists with different content".to_owned(),
                });
            }
            // Another command has written the file, and HEAD may not have it yet.
            (None, Some(new), Some((at, _))) => update.write(files, at, new)?,
            (None, Some(new), None) => {
                update.write(files, pair.wish.as_deref().unwrap_or_default(), new)?;
            }
            (Some(old), Some(new), None) => {
                let path = pair.wish.as_deref().unwrap_or_default();
                if restored.contains(path) {
                    update.write(files, path, new)?;
                } else {
                    let elsewhere = if old == new { None } else { moves::holder(path, old, files) };
                    update.deleted.push(Deleted { path: path.to_owned(), elsewhere });
                }
            }
            _ => {}
        }
    }
    // Kustomizations follow the files that they list, and the record comes last.
    update.plan.steps.sort_by_key(|step| (rank(step), step.path.clone()));
    update.hazards = hazards(files, &update.plan);
    Ok(update)
}

/// The order of writing: a killed run leaves no reference to a missing file, and an outdated record
/// rather than a premature one.
fn rank(step: &Step) -> u8 {
    match &step.after {
        None => 2,
        Some(_) if kustomization::is_one(&step.path) => 1,
        Some(_) => 0,
    }
}

impl Update {
    /// Updates the record. It already contains what is wanted, so only differences in how templates
    /// write it are merged: `old` and `new` are the same answers as written by the two versions.
    /// Removes `taken` from the list of the users' own files.
    pub fn record(
        &mut self,
        files: &Files,
        old: &str,
        new: &str,
        taken: &BTreeSet<String>,
    ) -> Result<()> {
        let ours = files.text(Record::FILE)?.unwrap_or_default();
        let text = match merge::three_way(Record::FILE, old, ours, new)? {
            merge::Merged::Clean(text) => text,
            // The version must be updated; users can see the rest.
            merge::Merged::Conflict { .. } => record::with_version(ours, new)?,
        };
        let text = record::taken(&text, taken)?;
        Record::parse(text.clone())?;
        self.step(files, Record::FILE, Bytes::new(text.into_bytes()), false)
    }
}

/// One file on three sides.
struct Sides<'s> {
    old: &'s GeneratedFile,
    ours: &'s Side<'s>,
    new: &'s GeneratedFile,
}

impl Update {
    /// A file that all three have; ours is at `at` and goes to `target`.
    fn both(&mut self, files: &Files, at: &str, target: &str, sides: &Sides) -> Result<()> {
        let Sides { old, ours, new } = sides;
        if old == new && at == target {
            return Ok(());
        }
        let executable =
            if old.executable == new.executable { ours.executable } else { new.executable };
        let bytes = match ours.merged(at, old, new)? {
            Merge::Clean(bytes) => bytes,
            Merge::Conflict(..) if at != target => {
                // The file is generated at the new path, and users must transfer their edits.
                self.conflicts.push(Conflict {
                    path: at.to_owned(),
                    base: Some((*old).clone()),
                    wish: None,
                    why: format!("now generated as `{target}`, but edited here"),
                });
                return self.write(files, target, new);
            }
            Merge::Conflict(why, is_comparable) => {
                self.conflicts.push(Conflict {
                    path: at.to_owned(),
                    base: is_comparable.then(|| (*old).clone()),
                    wish: Some((*new).clone()),
                    why,
                });
                return Ok(());
            }
        };
        if at != target {
            // A killed run may have written it there without deleting the old file.
            let is_there = Side::read(files, target)?.is_some_and(|there| there.holds(&bytes));
            if files.get(target).is_some() && !is_there {
                self.conflicts.push(Conflict {
                    path: target.to_owned(),
                    base: None,
                    wish: Some((*new).clone()),
                    why: format!(
                        "`{at}` moves there, but the file already exists with different content"
                    ),
                });
                return Ok(());
            }
            self.delete(files, at, ours)?;
            return self.step(files, target, bytes, executable);
        }
        self.step(files, at, bytes, executable)
    }

    fn write(&mut self, files: &Files, path: &str, entry: &GeneratedFile) -> Result<()> {
        self.step(files, path, entry.bytes.clone(), entry.executable)
    }

    fn step(&mut self, files: &Files, path: &str, after: Bytes, executable: bool) -> Result<()> {
        let before = files.bytes(path)?.cloned();
        let is_executable = files.get(path).is_some_and(|found| found.executable);
        let mode = (before.is_some() && is_executable != executable).then_some(executable);
        self.plan.steps.push(Step {
            path: path.to_owned(),
            before,
            after: Some(after),
            executable,
            mode,
        });
        Ok(())
    }

    fn delete(&mut self, files: &Files, path: &str, ours: &Side) -> Result<()> {
        let before = files.bytes(path)?.cloned();
        let step = Step {
            path: path.to_owned(),
            before,
            after: None,
            executable: ours.executable,
            mode: None,
        };
        self.plan.steps.push(step);
        Ok(())
    }
}

/// Whether a change of the record only affects its version.
#[must_use]
pub fn is_version_alone(step: &Step) -> bool {
    let text = |bytes: &Option<Bytes>| {
        let text = String::from_utf8_lossy(bytes.as_ref()?).into_owned();
        let other = text.lines().filter(|line| !line.starts_with("version:"));
        Some(other.map(str::to_owned).collect::<Vec<_>>())
    };
    text(&step.before) == text(&step.after)
}

/// Whether the file at `path` is merged separately, or not at all.
fn is_apart(path: &str) -> bool {
    path.starts_with(SECRETS) || path == Record::FILE
}
