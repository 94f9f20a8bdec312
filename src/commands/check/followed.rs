//! Whether the files follow the answers in the record: an edit, a commit or a merge may have
//! changed the answers alone.

use crate::answers::{Name, Record};
use crate::change::{self, Difference, Files};
use crate::checks::Unfollowed;
use crate::commands::managed::ManagedRepo;
use crate::commands::templates_of;
use crate::commands::workspace::Scope;
use crate::git_crypt;
use crate::repo::Repo;
use std::path::Path;

/// The answers that the files do not follow. `None` if undetermined: without a commit, during a
/// merge, or if other checks report the reason.
///
/// `record` is the one in `repo`, which is at `path`.
pub(super) fn unfollowed(path: &Path, repo: Repo, record: &Record) -> Option<Vec<Unfollowed>> {
    let committed = repo.head_text(Record::FILE).ok()??;
    // The files were rendered from these answers.
    if record.text == committed && repo.earlier(Record::FILE).is_empty() {
        let is_known = repo.in_progress().is_none()
            && repo.check_key(git_crypt::FILTER).is_ok()
            && templates_of(record).is_ok();
        return is_known.then(Vec::new);
    }
    drop(repo);
    let managed = ManagedRepo::open_with(path, "check", Scope::default(), false).ok()?;
    let committed = managed.committed.as_ref()?;
    let is_edited = managed.record.text != committed.text;
    let edits = is_edited.then_some((None, committed)).into_iter();
    let mut found = unfollowed_among(&managed, &managed.record, edits);
    let mut earlier = unfollowed_since(&managed, committed);
    earlier.all.retain(|one| found.all.iter().all(|edit| edit.answer != one.answer));
    found.all.append(&mut earlier.all);
    (found.is_known && earlier.is_known || !found.all.is_empty()).then_some(found.all)
}

/// The answers in HEAD's record that the files do not follow, each with the commit whose record
/// they do follow.
pub(in crate::commands) fn unfollowed_in_head(repo: &Path) -> Vec<Unfollowed> {
    let managed = ManagedRepo::open_with(repo, "check", Scope::default(), false).ok();
    let found = managed
        .as_ref()
        .and_then(|managed| Some(unfollowed_since(managed, managed.committed.as_ref()?)));
    found.map_or(Vec::new(), |found| found.all)
}

/// The findings, and whether they are complete.
struct Findings {
    all: Vec<Unfollowed>,
    is_known: bool,
}

fn unfollowed_since(managed: &ManagedRepo, committed: &Record) -> Findings {
    let earlier: Vec<_> = managed
        .workspace
        .repo
        .earlier(Record::FILE)
        .into_iter()
        .filter_map(|(revision, text)| Some((Some(revision), Record::parse(text).ok()?)))
        .collect();
    unfollowed_among(
        managed,
        committed,
        earlier.iter().map(|(revision, record)| (revision.clone(), record)),
    )
}

/// The answers of `record` for which the files still follow one of the records `before` it.
fn unfollowed_among<'r>(
    managed: &ManagedRepo,
    record: &Record,
    before: impl Iterator<Item = (Option<String>, &'r Record)>,
) -> Findings {
    let mut found = Findings { all: Vec::new(), is_known: true };
    for (revision, earlier) in before {
        let names = added(earlier, record, &managed.workspace.files).into_iter();
        let changed = changed(managed, earlier, record, revision.is_none());
        found.is_known &= changed.is_some();
        for answer in names.chain(changed.unwrap_or_default()) {
            if found.all.iter().all(|one| one.answer != answer) {
                found.all.push(Unfollowed { answer, revision: revision.clone() });
            }
        }
    }
    found
}

/// The components of `record` that neither `earlier` nor the files have.
fn added(earlier: &Record, record: &Record, files: &Files) -> Vec<String> {
    let new = record
        .answers
        .components
        .iter()
        .filter(|one| earlier.answers.components.iter().all(|known| known.name != one.name));
    new.filter(|one| !change::is_deployed(files, one))
        .map(|one| format!("components.{}", one.name))
        .collect()
}

/// The answers that changed since `earlier` but have their old value in the files. `None` if one of
/// them cannot be read from the files: an Ingress, for example, may be the user's own.
///
/// After an edit of the record (`is_edit`), also the answers for which the files have a third
/// value.
fn changed(
    managed: &ManagedRepo,
    earlier: &Record,
    record: &Record,
    is_edit: bool,
) -> Option<Vec<String>> {
    let here = change::answers_in(&managed.workspace.files, earlier).differences;
    let is = |one: &Difference, other: &Difference| {
        (one.name, &one.environment, &one.component)
            == (other.name, &other.environment, &other.component)
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
    let left = asked.iter().filter(|one| match here.iter().find(|other| is(one, other)) {
        Some(other) => is_edit && other.found != one.found,
        None => true,
    });
    Some(left.map(|one| one.place(main)).collect())
}
