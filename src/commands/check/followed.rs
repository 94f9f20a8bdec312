//! Whether the files follow the answers in HEAD's record: a commit, or a merge, may have changed these alone.

use crate::answers::Record;
use crate::change::{self, Difference, Files};
use crate::checks::Unfollowed;
use crate::commands::evolve::{Evolution, Scope};
use std::path::Path;

/// The answers that the files do not follow, each with the commit whose record they do follow. `None` if that
/// cannot be told: without a commit, while a merge is open, or if other checks name the reason.
pub(in crate::commands) fn unfollowed(repo: &Path) -> Option<Vec<Unfollowed>> {
    let evolution = Evolution::open_with(repo, "check", Scope::default(), false).ok()?;
    let record = evolution.committed.as_ref()?;
    let mut all: Vec<Unfollowed> = Vec::new();
    for (revision, text) in evolution.repo.earlier(Record::FILE) {
        let Ok(earlier) = Record::parse(text) else { continue };
        let names = added(&earlier, record, &evolution.files).into_iter();
        let changed = changed(&evolution, &earlier, record).into_iter();
        for answer in names.chain(changed) {
            if all.iter().all(|one| one.answer != answer) {
                all.push(Unfollowed { answer, revision: revision.clone() });
            }
        }
    }
    Some(all)
}

/// The components that `earlier` does not have and base does not either.
fn added(earlier: &Record, record: &Record, files: &Files) -> Vec<String> {
    let new = record
        .answers
        .components
        .iter()
        .filter(|one| earlier.answers.components.iter().all(|known| known.name != one.name));
    new.filter(|one| !change::is_deployed(files, one)).map(|one| format!("components.{}", one.name)).collect()
}

/// The answers that were changed since `earlier`, whose value the files still have.
fn changed(evolution: &Evolution, earlier: &Record, record: &Record) -> Vec<String> {
    let has_same = |one: &Record, other: &Record| {
        let names = |record: &Record| {
            let components = record.answers.components.iter().map(|one| one.name.to_string());
            let environments = record.answers.environments.iter().map(|one| one.name.to_string());
            components.chain(environments).collect::<Vec<_>>()
        };
        names(one) == names(other)
    };
    if !has_same(earlier, record) {
        return Vec::new();
    }
    let here = change::answers_in(&evolution.files, earlier).differences;
    let is = |one: &Difference, other: &Difference| {
        (one.name, &one.environment, &one.component) == (other.name, &other.environment, &other.component)
    };
    let main = &record.answers.main().name;
    let asked = change::differences(&earlier.answers, &record.answers).into_iter();
    asked.filter(|one| here.iter().all(|other| !is(one, other))).map(|one| one.place(main)).collect()
}
