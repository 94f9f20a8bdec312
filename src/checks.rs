//! Judges a repository that was read before: each check says ok, note, warning or problem, why, and
//! what to type. Pure; never quotes a secret value.

mod environments;
mod git;
mod id;
mod manifests;
mod online;
mod place;
mod pull_secret;
mod record;
mod rotation;
mod secrets;

pub use id::Id;
pub use online::{Question, RefutedSuspicion};
pub use place::EnvironmentHint;
pub use rotation::key_for;

use crate::advice::Advice;
use crate::answers::ImageRef;
use crate::inspection::Inspection;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeSet;

/// The result of a check, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Something does not work, or is exposed.
    Problem,
    /// Something deserves a look, or could not be checked.
    Warning,
    /// Something worth knowing that never counts as a problem.
    Note,
    /// Everything is as it should be.
    Ok,
}

/// The result of one check for one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The check.
    pub id: Id,
    /// The result.
    pub status: Status,
    /// The subject: a file or a workload.
    pub subject: String,
    /// The reason, as a sentence about the subject.
    pub message: String,
    /// What to type.
    pub hint: Advice,
    /// The affected image reference, as written; `None` if the check is not about an image.
    pub image: Option<String>,
}

impl Check {
    fn ok(id: Id, subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(id, Status::Ok, subject, message)
    }

    fn warning(id: Id, subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(id, Status::Warning, subject, message)
    }

    fn note(id: Id, subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(id, Status::Note, subject, message)
    }

    fn problem(id: Id, subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(id, Status::Problem, subject, message)
    }

    /// A result of the check `id` for `subject`, which may contain names from files and clusters.
    pub fn new(
        id: Id,
        status: Status,
        subject: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        let (subject, message) = (printable(&subject.into()), printable(&message.into()));
        Self { id, status, subject, message, hint: Advice::default(), image: None }
    }

    #[must_use]
    fn about(mut self, image: &ImageRef) -> Self {
        self.image = Some(image.to_string());
        self
    }

    /// Sets what to type.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Advice>) -> Self {
        self.hint = hint.into();
        self
    }
}

/// Facts that the files of the repository do not tell.
#[derive(Debug, Default, Clone)]
pub struct ExternalFacts {
    /// Names or prefixes of images that the user says anyone may pull.
    pub public: Vec<String>,
    /// Images that a registry has just shown to be public.
    pub proven: BTreeSet<String>,
    /// Full names of images of components that are recorded as public.
    pub recorded: BTreeSet<String>,
    /// Answers that the files do not follow; `None` if undetermined, as outside git.
    pub unfollowed: Option<Vec<Unfollowed>>,
}

impl ExternalFacts {
    /// The facts, extended by the record.
    fn with_record(&self, inspection: &Inspection) -> Self {
        let mut known = self.clone();
        if let Some(Ok(record)) = &inspection.record {
            known.public.extend(record.public.iter().cloned());
            let public = record.answers.components.iter().filter(|component| component.is_public());
            known.recorded.extend(public.map(|component| component.image.normalized_name()));
        }
        known
    }

    /// Whether anyone may pull `image`: the user says so, a registry has shown it, or its registry
    /// only has public images.
    fn is_public(&self, image: &ImageRef) -> bool {
        if self.proven.contains(&image.to_string())
            || self.recorded.contains(&image.normalized_name())
        {
            return true;
        }
        let (written, full) = (image.name(), image.normalized_name());
        let given = self.public.iter().map(|name| name.trim_end_matches('/'));
        given.chain(PUBLIC).any(|name| {
            let begins = |image: &str| {
                image
                    .strip_prefix(name)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            !name.is_empty() && (begins(written) || begins(&full))
        })
    }
}

/// Registries, and parts of them, that only have public images.
const PUBLIC: [&str; 5] =
    ["docker.io/library", "k8s.gcr.io", "mcr.microsoft.com", "public.ecr.aws", "registry.k8s.io"];

/// An answer that the files do not follow.
#[derive(Debug, Clone)]
pub struct Unfollowed {
    /// Its path below `answers`.
    pub answer: String,
    /// The commit whose record the files follow; `None` if that is HEAD, and the record was edited
    /// since.
    pub revision: Option<String>,
}

/// All checks of `inspection` at the time `now` that need no registry, [`sort`]ed. Skips checks
/// without a basis (no git, no history requested).
#[must_use]
pub fn all(inspection: &Inspection, known: &ExternalFacts, now: Timestamp) -> Vec<Check> {
    let given = known;
    let known = &known.with_record(inspection);
    let mut checks = secrets::checks(inspection);
    checks.extend(git::checks(inspection));
    checks.extend(pull_secret::checks(inspection, known, now));
    checks.extend(manifests::checks(inspection, known));
    checks.extend(environments::checks(inspection));
    checks.extend(record::checks(inspection, given));
    sort(&mut checks);
    checks
}

/// Sorts the worst first, then in the order of [`Id::ALL`].
pub fn sort(checks: &mut [Check]) {
    checks.sort_by_key(|check| (check.status, check.id));
}

/// `found`, or `ok` if it is empty.
fn or_ok(found: Vec<Check>, ok: impl FnOnce() -> Check) -> Vec<Check> {
    if found.is_empty() { vec![ok()] } else { found }
}

/// The hint to add `line` to the file `path`.
fn write(line: &str, path: &str) -> Advice {
    Advice::edit(path).why(format!("write `{line}`"))
}

/// `1 file`, `2 files`.
#[must_use]
pub fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Text that may contain names from files, made safe for a terminal.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().take(1000).map(|c| if c.is_control() { '?' } else { c }).collect()
}
