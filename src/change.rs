//! What new answers make of a repository's files: a plan, and never a surprise. Pure.
//!
//! A file that still is what makeinfra rendered follows the answers. One that somebody has edited is never replaced:
//! the plan says what would have to change in it.

mod adopted;

pub use adopted::Adopted;

use crate::error::{Failure, Result};
use crate::templates::{File, Kind, Origin};
use git2::{FileFavor, MergeFileInput, MergeFileOptions, Patch, merge_file};
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
        let after = file.text.expose();
        let old = [before[0].get(&file.origin), before[1].get(&file.origin)];
        let Some(was) = old[1].or(old[0]) else {
            match current(&file.path)? {
                None => plan.steps.push(step(file, None, false, after)),
                Some(text) if text == after => {}
                Some(_) => {
                    plan.refuse(policy, file, "it exists already, and is not what would be made", "", after)?;
                }
            }
            continue;
        };
        let pristine = old.iter().flatten().map(|file| file.text.expose()).collect::<Vec<_>>();
        let unchanged = was.text.expose() == after;
        if was.path == file.path {
            if unchanged {
                continue;
            }
            match current(&file.path)? {
                Some(text) if text == after => {}
                Some(text) if pristine.contains(&text.as_str()) => {
                    plan.steps.push(step(file, None, true, after));
                }
                Some(text) => match merged(policy, &file.path, pristine[0], &text, after)? {
                    Some(merged) if merged == text => {}
                    Some(merged) => plan.steps.push(step(file, None, true, &merged)),
                    None => plan.refuse(policy, file, EDITED, was.text.expose(), after)?,
                },
                None => plan.refuse(policy, file, "it is not there any more", was.text.expose(), after)?,
            }
            continue;
        }
        match (current(&was.path)?, current(&file.path)?) {
            // A run that was killed has moved it already.
            (None, Some(_)) if unchanged => {}
            (None, Some(text)) if text == after => {}
            (None, None) => plan.refuse(policy, was, "it is not there any more", was.text.expose(), after)?,
            (_, Some(_)) => {
                plan.refuse(policy, file, "it exists already, and something would move there", "", after)?;
            }
            (Some(text), None) if unchanged => plan.steps.push(step(file, Some(&was.path), true, &text)),
            (Some(text), None) if pristine.contains(&text.as_str()) => {
                plan.steps.push(step(file, Some(&was.path), true, after));
            }
            (Some(_), None) => plan.refuse(policy, was, EDITED, was.text.expose(), after)?,
        }
    }
    plan.steps.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(plan)
}

const EDITED: &str = "it was edited, so it is not replaced";

impl Plan {
    /// Notes that `file` cannot become `after`.
    fn refuse(
        &mut self,
        policy: Policy,
        file: &File,
        cause: &'static str,
        before: &str,
        after: &str,
    ) -> Result<()> {
        let conflict = Conflict { path: file.path.clone(), cause, change: diff(&file.path, before, after)? };
        let place = if policy.keep.contains(&file.path) { &mut self.kept } else { &mut self.conflicts };
        place.push(conflict);
        Ok(())
    }
}

fn by_origin(files: &[File]) -> BTreeMap<Origin, &File> {
    files.iter().map(|file| (file.origin, file)).collect()
}

fn step(file: &File, from: Option<&str>, exists: bool, text: &str) -> Step {
    Step {
        path: file.path.clone(),
        from: from.map(str::to_owned),
        exists,
        text: text.to_owned(),
        kind: file.kind,
    }
}

/// `ours` with the change from `ancestor` to `theirs`; none where both changed the same lines, or nothing is merged.
///
/// What both add to the end of a list of YAML does not collide: it has both, if it still is YAML then.
fn merged(policy: Policy, path: &str, ancestor: &str, ours: &str, theirs: &str) -> Result<Option<String>> {
    if !policy.merge {
        return Ok(None);
    }
    let [ancestor, ours, theirs] = [ancestor, ours, theirs].map(|text| {
        let mut input = MergeFileInput::new();
        input.content(text.as_bytes());
        input
    });
    let merge = |favor: FileFavor| {
        let merged = merge_file(&ancestor, &ours, &theirs, Some(MergeFileOptions::new().favor(favor)))
            .map_err(|error| Failure::failed("cannot merge files").because(error.message()))?;
        let text = String::from_utf8_lossy(merged.content()).into_owned();
        Ok::<_, anyhow::Error>(merged.is_automergeable().then_some(text))
    };
    if let Some(text) = merge(FileFavor::Normal)? {
        return Ok(Some(text));
    }
    let is_yaml = |text: &String| serde_yaml::from_str::<serde_yaml::Value>(text).is_ok();
    Ok(if path.ends_with("kustomization.yaml") { merge(FileFavor::Union)?.filter(is_yaml) } else { None })
}

/// The change from `before` to `after`, as a unified diff.
fn diff(path: &str, before: &str, after: &str) -> Result<String> {
    let failed = |error: git2::Error| Failure::failed("cannot compare files").because(error.message());
    let name = Some(Path::new(path));
    let mut shown =
        Patch::from_buffers(before.as_bytes(), name, after.as_bytes(), name, None).map_err(failed)?;
    let text = shown.to_buf().map_err(failed)?;
    let text = String::from_utf8_lossy(&text);
    // What git adds for itself says nothing here.
    Ok(text
        .lines()
        .filter(|line| !line.starts_with("diff --git") && !line.starts_with("index "))
        .map(|line| format!("{line}\n"))
        .collect())
}
