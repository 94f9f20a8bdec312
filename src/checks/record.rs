//! Whether the files are those of the recorded answers and of this version's templates.

use super::{Check, Id, Known, or_ok};
use crate::advice::Advice;
use crate::answers::{Record, Version};
use crate::inspection::Inspection;

pub(super) fn checks(inspection: &Inspection, known: &Known) -> Vec<Check> {
    let Some(Ok(record)) = &inspection.record else { return Vec::new() };
    let mut found = vec![version(record)];
    let Some(unfollowed) = &known.unfollowed else { return found };
    let unfollowed = unfollowed.iter().map(|one| {
        let message = format!("the files do not follow its `answers.{}`", one.answer);
        Check::warning(Id::RecordFollowed, Record::FILE, message)
            .hint(Advice::makeinfra("update").with(format_args!("--from {}", one.revision)))
    });
    found.extend(or_ok(unfollowed.collect(), || {
        Check::ok(Id::RecordFollowed, Record::FILE, "the files follow its answers")
    }));
    found
}

fn version(record: &Record) -> Check {
    let (id, own) = (Id::TemplatesCurrent, Version::own());
    match &record.version {
        Some(version) if *version < own => {
            let message = format!("the files are of the templates of {version}; this is makeinfra {own}");
            Check::note(id, Record::FILE, message).hint(Advice::makeinfra("update"))
        }
        Some(version) => Check::ok(id, Record::FILE, format!("the files are of the templates of {version}")),
        None => Check::warning(id, Record::FILE, "it has no `version`: nothing can be updated or added")
            .hint(Advice::git("log -p -- .makeinfra.yaml")),
    }
}
