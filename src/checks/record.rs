//! Whether the files match the recorded answers and this version's templates.

use super::{Check, ExternalFacts, Id, or_ok};
use crate::advice::Advice;
use crate::answers::{ImageRef, Record, Version};
use crate::inspection::Inspection;
use std::collections::BTreeSet;

pub(super) fn checks(inspection: &Inspection, known: &ExternalFacts) -> Vec<Check> {
    let Some(Ok(record)) = &inspection.record else { return Vec::new() };
    let mut found = vec![version(record)];
    found.extend(public(record, known));
    let Some(unfollowed) = &known.unfollowed else { return found };
    let unfollowed = unfollowed.iter().map(|one| {
        let (message, update) = match &one.revision {
            Some(revision) => (
                format!("the files do not match `answers.{}`", one.answer),
                Advice::makeinfra("update").with(format_args!("--from {revision}")),
            ),
            None => (
                format!("`answers.{}` was edited, but the files do not match it yet", one.answer),
                Advice::makeinfra("update"),
            ),
        };
        Check::warning(Id::RecordFollowed, Record::FILE, message).hint(update)
    });
    found.extend(or_ok(unfollowed.collect(), || {
        Check::ok(Id::RecordFollowed, Record::FILE, "the files match the answers")
    }));
    found
}

fn version(record: &Record) -> Check {
    let (id, own) = (Id::TemplatesCurrent, Version::own());
    match &record.version {
        Some(version) if *version < own => {
            let message = format!(
                "the files were generated from the templates of version {version}; this is \
                 makeinfra {own}"
            );
            Check::note(id, Record::FILE, message).hint(Advice::makeinfra("update"))
        }
        Some(version) => Check::ok(
            id,
            Record::FILE,
            format!("the files match the templates of version {version}"),
        ),
        None => {
            Check::warning(id, Record::FILE, "has no `version`, so nothing can be updated or added")
                .hint(Advice::git("log -p -- .makeinfra.yaml"))
        }
    }
}

/// A note with the line that records the images of `--public`; `None` if they are recorded.
fn public(record: &Record, known: &ExternalFacts) -> Option<Check> {
    let is_name =
        |name: &&String| ImageRef::parse_unpinned(name).is_ok_and(|image| image.name() == **name);
    let named: BTreeSet<_> = known.public.iter().filter(is_name).collect();
    if named.iter().all(|name| record.public.contains(*name)) {
        return None;
    }
    let all: BTreeSet<_> = named.into_iter().chain(&record.public).map(String::as_str).collect();
    let line = format!("{}: [{}]", Record::PUBLIC, all.into_iter().collect::<Vec<_>>().join(", "));
    let message = format!("`--public` applies to this call only; to record it, write: `{line}`");
    Some(Check::note(Id::RecordFollowed, Record::FILE, message).hint(Advice::edit(Record::FILE)))
}
