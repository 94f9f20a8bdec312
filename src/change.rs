//! What new answers make of a repository's files: a plan, and never a surprise. Pure.
//!
//! A file that still is what makeinfra rendered follows the answers. One that somebody has edited is never replaced:
//! the plan says what would have to change in it.

mod adopted;
mod manifest;
mod merge;
mod record;
mod taken;

pub use adopted::Adopted;
pub use taken::Taken;

use crate::answers::Record;
use crate::error::{Failure, Result};
use crate::templates::{File, Kind, Origin};
use git2::Patch;
use std::collections::BTreeMap;
use std::path::Path;

/// How the files are rendered from the answers as they are: as they were recorded, and as they are in the manifests,
/// where people have changed them since.
pub struct Renderings<'f> {
    /// Both.
    pub before: [&'f [File]; 2],
    /// From the answers as they will be.
    pub after: &'f [File],
}

/// What becomes of the files.
#[derive(Debug, Default)]
pub struct Plan {
    /// What is to be done, sorted by path.
    pub steps: Vec<Step>,
    /// What is in the way.
    pub conflicts: Vec<Conflict>,
    /// Files that stay although the answers would have them changed: the user wants it so.
    pub kept: Vec<Conflict>,
    /// Files that are to stay, and are none of these.
    pub unknown: Vec<String>,
}

/// What becomes of a file.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// Its path below the top of the repository, in the end.
    pub path: String,
    /// Where it was, if it moves.
    pub from: Option<String>,
    /// Whether there is such a file now.
    pub exists: bool,
    /// Its new content.
    pub text: String,
    /// What it may be used for.
    pub kind: Kind,
}

/// A file that cannot follow the answers.
#[derive(Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Its path.
    pub path: String,
    /// Why not, as a sentence about "it".
    pub cause: &'static str,
    /// The change that it would need, as a diff.
    pub change: String,
    /// Where it would have to be, if that is another place.
    pub to: Option<String>,
}

/// What to do about files that were edited.
#[derive(Debug, Clone, Copy)]
pub struct Policy<'p> {
    /// Whether a change is merged into an edited file, where that is clean.
    pub merge: bool,
    /// Files that stay as they are, whatever they would need.
    pub keep: &'p [String],
}

/// The plan. `current` gives the text of a file of the repository, none where there is none.
pub fn plan(
    renderings: &Renderings,
    policy: Policy,
    current: &dyn Fn(&str) -> Result<Option<String>>,
) -> Result<Plan> {
    let before = renderings.before.map(by_origin);
    let mut plan = Plan::default();
    for file in renderings.after.iter().filter(|file| file.kind != Kind::Secret) {
        let old = [before[0].get(&file.origin), before[1].get(&file.origin)];
        let change = Change { file, old: old.map(Option::<&&File>::copied), policy };
        let from = change.was().filter(|was| was.path != file.path);
        if [Some(file), from].into_iter().flatten().any(|one| policy.keep.contains(&one.path)) {
            plan.keep(&change)?;
            continue;
        }
        let outcome = match from {
            Some(was) => change.moved(current(&was.path)?, current(&file.path)?),
            None => change.stays(current(&file.path)?)?,
        };
        match outcome {
            Outcome::Nothing => {}
            Outcome::Step(text, exists) => plan.steps.push(Step {
                path: file.path.clone(),
                from: from.map(|was| was.path.clone()),
                exists,
                text,
                kind: file.kind,
            }),
            Outcome::Conflict(cause) => plan.conflicts.push(change.conflict(cause)?),
        }
    }
    plan.steps.sort_by(|a, b| a.path.cmp(&b.path));
    let known = renderings.after.iter().chain(renderings.before[1]).map(|file| &file.path);
    plan.unknown =
        policy.keep.iter().filter(|path| !known.clone().any(|one| one == *path)).cloned().collect();
    Ok(plan)
}

/// A file that is to follow the answers.
struct Change<'f> {
    /// As it is to be.
    file: &'f File,
    /// As it was recorded, and as it would be by the answers as they are now.
    old: [Option<&'f File>; 2],
    policy: Policy<'f>,
}

enum Outcome {
    Nothing,
    /// Its new text, and whether there is such a file.
    Step(String, bool),
    Conflict(&'static str),
}

impl<'f> Change<'f> {
    fn was(&self) -> Option<&'f File> {
        self.old[1].or(self.old[0])
    }

    fn after(&self) -> &'f str {
        self.file.text.expose()
    }

    /// Whether new answers change nothing in it.
    fn is_none(&self) -> bool {
        self.was().is_some_and(|was| was.text.expose() == self.after())
    }

    /// Whether nobody has edited it. A manifest has to be as the answers are now: one that is as it was recorded is so
    /// because what changed since was changed in another one, for another environment, say.
    fn is_pristine(&self, text: &str) -> bool {
        let is_manifest = self.file.path.starts_with("kubernetes/");
        let texts = if is_manifest { &self.old[1..] } else { &self.old[..] };
        texts.iter().flatten().any(|old| old.text.expose() == text)
    }

    /// What becomes of a file that keeps its place, or is new.
    fn stays(&self, current: Option<String>) -> Result<Outcome> {
        let after = self.after();
        Ok(match current {
            _ if self.is_none() => Outcome::Nothing,
            None if self.was().is_none() => Outcome::Step(after.to_owned(), false),
            None => Outcome::Conflict("it is not there any more"),
            Some(text) if text == after => Outcome::Nothing,
            Some(_) if self.was().is_none() => {
                Outcome::Conflict("it exists already, and is not what would be made")
            }
            Some(text) if self.is_pristine(&text) => Outcome::Step(after.to_owned(), true),
            Some(text) => match self.merged(&text)? {
                Some(merged) if merged == text => Outcome::Nothing,
                Some(merged) => Outcome::Step(merged, true),
                None => Outcome::Conflict(EDITED),
            },
        })
    }

    /// What becomes of one that gets another place, of which there is `old` now and `new` at the other place.
    fn moved(&self, old: Option<String>, new: Option<String>) -> Outcome {
        let Some(old) = old else {
            return match new {
                // A run that was killed has moved it already.
                Some(text) if self.is_none() || text == self.after() => Outcome::Nothing,
                Some(_) => Outcome::Conflict(IN_ITS_PLACE),
                None => Outcome::Conflict("it is not there any more"),
            };
        };
        let text = match () {
            () if self.is_none() => old,
            () if self.is_pristine(&old) => self.after().to_owned(),
            () => return Outcome::Conflict(EDITED),
        };
        match new {
            // A run that was killed has written it, and not yet taken the old one away.
            Some(new) if new == text => Outcome::Step(text, true),
            Some(_) => Outcome::Conflict(IN_ITS_PLACE),
            None => Outcome::Step(text, true),
        }
    }

    /// `ours` with the change that the answers make; none where that collides with what people have changed.
    fn merged(&self, ours: &str) -> Result<Option<String>> {
        let after = self.after();
        if self.file.path == Record::FILE {
            return record::merged(ours, self.old[0].map(|old| old.text.expose()), after);
        }
        if !self.policy.merge {
            return Ok(None);
        }
        let texts = self.old.map(|old| old.map(|old| old.text.expose()));
        if self.file.path.ends_with("kustomization.yaml") {
            return Ok(match texts[1] {
                Some(ancestor) => merge::lists(ancestor, ours, after)?,
                None => None,
            });
        }
        let ancestors = if self.file.path.starts_with("kubernetes/") { &texts[1..] } else { &texts[..] };
        for ancestor in ancestors.iter().flatten() {
            if let Some(merged) = merge::lines(ancestor, ours, after)? {
                return Ok(Some(merged));
            }
        }
        Ok(None)
    }

    /// What is in the way, with the change that would be needed.
    fn conflict(&self, cause: &'static str) -> Result<Conflict> {
        let new = self.file.path.as_str();
        let was = self.was().filter(|_| cause != IN_ITS_PLACE);
        let (old, before) = was.map_or((new, ""), |was| (was.path.as_str(), was.text.expose()));
        Ok(Conflict {
            path: old.to_owned(),
            cause,
            change: diff(old, new, before, self.after())?,
            to: (old != new).then(|| new.to_owned()),
        })
    }
}

const IN_ITS_PLACE: &str = "it exists already, and something would move there";
const EDITED: &str = "it was edited, so it is not replaced";

impl Plan {
    /// Leaves a file as it is, since that is wanted, and notes what it would need.
    fn keep(&mut self, change: &Change) -> Result<()> {
        if !change.is_none() || change.was().is_some_and(|was| was.path != change.file.path) {
            self.kept.push(change.conflict("it stays as it is")?);
        }
        Ok(())
    }
}

fn by_origin(files: &[File]) -> BTreeMap<Origin, &File> {
    files.iter().map(|file| (file.origin, file)).collect()
}

/// The change from `before` to `after`, as a unified diff.
fn diff(old: &str, new: &str, before: &str, after: &str) -> Result<String> {
    let failed = |error: git2::Error| Failure::failed("cannot compare files").because(error.message());
    let names = [old, new].map(|path| Some(Path::new(path)));
    let mut shown =
        Patch::from_buffers(before.as_bytes(), names[0], after.as_bytes(), names[1], None).map_err(failed)?;
    let text = shown.to_buf().map_err(failed)?;
    let text = String::from_utf8_lossy(&text);
    // What git adds for itself says nothing here.
    Ok(text
        .lines()
        .filter(|line| {
            !["diff --git", "index ", "rename ", "similarity "].iter().any(|start| line.starts_with(start))
        })
        .map(|line| format!("{line}\n"))
        .collect())
}
