//! Judges a repository that was read before: each check says ok, warning or problem, why, and what
//! to type. Pure; never quotes a value of a secret.

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
pub use online::{Cleared, Question};
pub use place::Place;
pub use rotation::key_for;

use crate::advice::Advice;
use crate::answers::ImageRef;
use crate::inspection::Inspection;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeSet;

/// How a check went, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Something does not work, or is in the open.
    Problem,
    /// Something deserves a look, or could not be checked.
    Warning,
    /// Something is worth knowing, and never counts.
    Note,
    /// As it should be.
    Ok,
}

/// What one check says about one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Which check.
    pub id: Id,
    /// How it went.
    pub status: Status,
    /// What it is about: a file, a workload.
    pub subject: String,
    /// What is right or wrong with it, as a sentence about it.
    pub message: String,
    /// What to type.
    pub hint: Advice,
    /// The image reference that it is about, as it is written; `None` if it is about none.
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

    /// A check of `id` about `subject`, which may hold names from files and clusters.
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

    /// The same, and what to type.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Advice>) -> Self {
        self.hint = hint.into();
        self
    }
}

/// What the repository as it is does not say.
#[derive(Debug, Default, Clone)]
pub struct Known {
    /// Names of images, or what they begin with, that anybody may pull.
    pub public: Vec<String>,
    /// Images that a registry has just shown to be public.
    pub proven: BTreeSet<String>,
    /// The full names of the images of components that are recorded as public.
    pub recorded: BTreeSet<String>,
    /// Answers that the files do not follow; `None` if that is unknown, as outside git.
    pub unfollowed: Option<Vec<Unfollowed>>,
}

impl Known {
    /// The same with what is recorded.
    fn with_record(&self, inspection: &Inspection) -> Self {
        let mut known = self.clone();
        if let Some(Ok(record)) = &inspection.record {
            known.public.extend(record.public.iter().cloned());
            let public = record.answers.components.iter().filter(|component| component.is_public());
            known.recorded.extend(public.map(|component| component.image.normalized_name()));
        }
        known
    }

    /// Whether anybody may pull `image`, as the user says, a registry has shown, or its registry
    /// has nothing else.
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

/// Registries, and parts of them, where nothing is private.
const PUBLIC: [&str; 5] =
    ["docker.io/library", "k8s.gcr.io", "mcr.microsoft.com", "public.ecr.aws", "registry.k8s.io"];

/// An answer that the files do not follow.
#[derive(Debug, Clone)]
pub struct Unfollowed {
    /// Its place below `answers`.
    pub answer: String,
    /// The commit whose record the files follow; `None` if that is HEAD, and the record was edited
    /// since.
    pub revision: Option<String>,
}

/// All checks of `inspection` at the time `now` that need no registry, [`sort`]ed. A check
/// for which there is no ground (no git, no history wanted) is left out.
#[must_use]
pub fn all(inspection: &Inspection, known: &Known, now: Timestamp) -> Vec<Check> {
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

/// The worst first, else in the order of [`Id::ALL`].
pub fn sort(checks: &mut [Check]) {
    checks.sort_by_key(|check| (check.status, check.id));
}

/// `found`, or that all is well.
fn or_ok(found: Vec<Check>, ok: impl FnOnce() -> Check) -> Vec<Check> {
    if found.is_empty() { vec![ok()] } else { found }
}

/// An edit of the file `path`, in which `line` is to be written.
fn write(line: &str, path: &str) -> Advice {
    Advice::edit(path).why(format!("write `{line}`"))
}

/// `1 file`, `2 files`.
#[must_use]
pub fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Text that may hold names from files, fit for a terminal.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().take(1000).map(|c| if c.is_control() { '?' } else { c }).collect()
}
