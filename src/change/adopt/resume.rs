//! Resumes an adoption that was killed while writing: it is planned from the previous state, so
//! that it ends as it would have. Pure.

use super::survey::is_below;
use super::{Adoption, Request, planned};
use crate::change::{Files, OVERLAYS, SECRETS};
use crate::context::Context;
use crate::templates::TemplateSet;
use std::collections::BTreeSet;

/// The rest of an adoption that has written some of `files`; `None` if they are not from one.
pub(super) fn resumed(files: &Files, request: &Request) -> Option<Adoption> {
    let mut new = written(files, request);
    let mut gone: BTreeSet<&str> = request.missing.iter().map(|(path, _)| path).collect();
    // Each iteration considers fewer files as new.
    while !new.is_empty() {
        let mut adoption = planned(&before(files, request, &new, &gone), request).ok()?;
        let plan = &adoption.plan;
        let step = |path: &str| plan.steps.iter().find(|step| step.path == path);
        let is_done = |path: &str| {
            step(path).is_some_and(|step| files.bytes(path).ok().flatten() == step.after.as_ref())
        };
        let others = new.iter().filter(|path| step(path).is_none()).copied();
        // A file that users have deleted has no copy.
        let has_copy = |path: &str| plan.moves.get(path).is_some_and(|to| files.get(to).is_some());
        let deleted = gone.iter().filter(|path| !has_copy(path)).copied();
        let (others, deleted): (Vec<_>, Vec<_>) = (others.collect(), deleted.collect());
        if others.is_empty() && deleted.is_empty() {
            if !new.iter().all(|path| is_done(path)) {
                return None;
            }
            for step in &mut adoption.plan.steps {
                step.before = files.bytes(&step.path).ok()?.cloned();
            }
            return Some(adoption);
        }
        new.retain(|path| !others.contains(path));
        gone.retain(|path| !deleted.contains(path));
    }
    None
}

/// The untracked files at paths where an adoption writes.
fn written<'f>(files: &'f Files, request: &Request) -> BTreeSet<&'f str> {
    let templates = request.templates.last().into_iter().flat_map(TemplateSet::files);
    let generated: BTreeSet<_> =
        templates.filter_map(|(template, _)| generated(template)).collect();
    let is_place = |path: &str| {
        [Context::BASE, OVERLAYS].iter().any(|dir| is_below(path, dir))
            || path.starts_with(SECRETS)
            || path.starts_with(".gitlab/")
            || generated.contains(path)
    };
    let untracked =
        files.iter().map(|(path, _)| path).filter(|path| !request.tracked.contains(*path));
    untracked.filter(|path| is_place(path)).collect()
}

/// The files as they were, without those that are `new`, and with those that are `gone`.
fn before(files: &Files, request: &Request, new: &BTreeSet<&str>, gone: &BTreeSet<&str>) -> Files {
    let mut before = Files::default();
    for (path, found) in files.iter().filter(|(path, _)| !new.contains(path)) {
        before.insert(path.to_owned(), found.clone());
    }
    for (path, found) in request.missing.iter().filter(|(path, _)| gone.contains(path)) {
        before.insert(path.to_owned(), found.clone());
    }
    before
}

/// The path of the file that a template at the top produces.
pub(super) fn generated(template: &str) -> Option<String> {
    let name = template.strip_suffix(".tera").unwrap_or(template);
    let name = name.replace("dot_", ".").replace("executable_", "");
    (!name.starts_with("kubernetes/") && !name.starts_with(SECRETS)).then_some(name)
}
