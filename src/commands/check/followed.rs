//! Whether the files follow the answers in HEAD's record: a commit, or a merge, may have changed these alone.

use crate::answers::{Name, Record};
use crate::change::{self, Difference, Files};
use crate::checks::Unfollowed;
use crate::commands::evolve::Evolution;
use crate::commands::workspace::Scope;
use std::path::Path;

/// The answers that the files do not follow, each with the commit whose record they do follow. `None` if that
/// cannot be told: without a commit, while a merge is open, or if other checks name the reason.
pub(in crate::commands) fn unfollowed(repo: &Path) -> Option<Vec<Unfollowed>> {
    let evolution = Evolution::open_with(repo, "check", Scope::default(), false).ok()?;
    let record = evolution.committed.as_ref()?;
    let mut all: Vec<Unfollowed> = Vec::new();
    let mut is_known = true;
    for (revision, text) in evolution.workspace.repo.earlier(Record::FILE) {
        let Ok(earlier) = Record::parse(text) else { continue };
        let names = added(&earlier, record, &evolution.workspace.files).into_iter();
        let changed = changed(&evolution, &earlier, record);
        is_known &= changed.is_some();
        for answer in names.chain(changed.unwrap_or_default()) {
            if all.iter().all(|one| one.answer != answer) {
                all.push(Unfollowed { answer, revision: revision.clone() });
            }
        }
    }
    (is_known || !all.is_empty()).then_some(all)
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

/// The answers that were changed since `earlier`, whose value the files still have. `None` if one of them cannot be read in the
/// files: whether there is an Ingress at all, for example, may be somebody's own doing.
fn changed(evolution: &Evolution, earlier: &Record, record: &Record) -> Option<Vec<String>> {
    let here = change::answers_in(&evolution.workspace.files, earlier).differences;
    let is = |one: &Difference, other: &Difference| {
        (one.name, &one.environment, &one.component) == (other.name, &other.environment, &other.component)
    };
    let is_read = |one: &Difference| {
        let is_structure = matches!(one.name, Name::Workload | Name::ServiceAccount | Name::Tls);
        !is_structure && one.recorded.is_some() && one.found.is_some()
    };
    let main = &record.answers.main().name;
    let asked = change::differences(&earlier.answers, &record.answers);
    if !asked.iter().all(is_read) {
        return None;
    }
    let left = asked.iter().filter(|one| here.iter().all(|other| !is(one, other)));
    Some(left.map(|one| one.place(main)).collect())
}
