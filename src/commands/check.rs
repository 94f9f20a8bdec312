//! `makeinfra check`: what is wrong with a repository, before a pull fails.

mod followed;
mod running;

pub(super) use followed::unfollowed_in_head;

use followed::unfollowed;

use super::unlock_as_needed;
use crate::advice::Advice;
use crate::checks::{self, Check, Cleared, Known, Question, Status, count};
use crate::cli::{Check as Options, OnlineOptions};
use crate::error::{Failure, Outcome, Result};
use crate::inspection::{Inspection, Scope};
use crate::registry::{self, Platform, Pull, Registries, Standing, Verdict};
use crate::report::Report;
use crate::ui::{self, Ui};
use jiff::Timestamp;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;

/// Runs the command.
pub fn run(options: &Options, ui: &Ui) -> Result<Report> {
    let scope = Scope {
        repo: options.repo.clone(),
        manifests: options.manifests.clone(),
        secrets: options.secret.clone(),
        history: !options.history.no_history,
        searches: true,
        deep: options.history.deep,
    };
    let inspection = Inspection::of(&scope, "check")?;
    let unfollowed = inspection.git.is_some().then(|| unfollowed(&options.repo)).flatten();
    let answered = match options.online.online {
        true => ask_registries(&options.online, &inspection, ui)?,
        false => Answered { sure: true, ..Answered::default() },
    };
    let known = Known { public: options.public.clone(), unfollowed, ..Known::default() };
    let mut sure = answered.sure;
    let mut checks = answered.checks(&inspection, known, Timestamp::now());
    if options.cluster.running {
        sure &= running::checks(options, &inspection, &mut checks, ui)?;
    }
    checks::sort(&mut checks);
    unlock_as_needed(&inspection.root, checks.iter_mut().map(|check| &mut check.hint));
    let bad = |check: &Check| {
        check.status == Status::Problem || (options.view.strict && check.status == Status::Warning)
    };
    let outcome = match checks.iter().any(bad) {
        true => Outcome::Problems,
        false if sure => Outcome::Done,
        false => Outcome::Unknown,
    };
    Ok(Report {
        text: listed(&checks, &inspection, options.view.verbose),
        own: json!({ "checks": checks.iter().map(|check| object(check, &inspection.root)).collect::<Vec<_>>() }),
        repo: Some(inspection.root),
        outcome,
        ..Report::default()
    })
}

/// What registries say of the images.
#[derive(Default)]
pub(super) struct Answered {
    /// What follows from it.
    pub(super) checks: Vec<Check>,
    /// Whether they told about all images.
    pub(super) sure: bool,
    /// The images that anybody may pull.
    pub(super) public: BTreeSet<String>,
    /// What is no fault of the pull secrets.
    cleared: Vec<Cleared>,
}

impl Answered {
    /// All checks of a repository, with the registries' word.
    pub(super) fn checks(self, inspection: &Inspection, known: Known, now: Timestamp) -> Vec<Check> {
        let known = Known { proven: self.public, ..known };
        let mut checks = checks::all(inspection, &known, now);
        checks.extend(self.checks);
        self.cleared.iter().for_each(|cleared| cleared.clear(&mut checks));
        checks::sort(&mut checks);
        checks
    }
}

/// Asks the registries for all images of the repository.
pub(super) fn ask_registries(options: &OnlineOptions, inspection: &Inspection, ui: &Ui) -> Result<Answered> {
    let questions = Question::all(inspection);
    let verdicts = ask(options, questions.iter().map(Question::pull), ui)?;
    let mut answered = Answered { sure: true, ..Answered::default() };
    for (question, verdict) in questions.iter().zip(&verdicts) {
        answered.sure &= verdict.as_ref().is_some_and(|verdict| verdict.standing() != Standing::Unknown);
        answered.public.extend(question.public(verdict.as_ref()).map(ToString::to_string));
        answered.cleared.extend(question.cleared(verdict.as_ref()));
        answered.checks.extend(question.judged(verdict.as_ref()));
    }
    Ok(answered)
}

/// What the registries say of `pulls`, in their order; `None` where there is nothing to ask.
fn ask<'p>(
    options: &OnlineOptions,
    pulls: impl Iterator<Item = Option<Pull<'p>>>,
    ui: &Ui,
) -> Result<Vec<Option<Verdict>>> {
    let platform = options.platform.as_deref().map(|text| {
        Platform::parse(text).ok_or_else(|| {
            Failure::usage("`--platform` must be OS/ARCHITECTURE, with a variant if need be")
                .hint("--platform linux/arm64")
        })
    });
    let registries = Registries::new(registry::Options {
        plain_http: options.registry.plain_http,
        ca_file: options.registry.ca_file.as_deref(),
        platform: platform.transpose()?,
    })?;
    let mut is_asked = Vec::new();
    let pulls: Vec<_> = pulls.inspect(|pull| is_asked.push(pull.is_some())).flatten().collect();
    let waiting = ui.wait("asking registries", pulls.len());
    let mut verdicts = registries.ask(&pulls, &|| waiting.step()).into_iter();
    Ok(is_asked.into_iter().map(|is_asked| is_asked.then(|| verdicts.next()).flatten()).collect())
}

fn object(check: &Check, root: &Path) -> serde_json::Value {
    let Check { id, status, subject, message, hint, .. } = check;
    json!({"id": id, "status": status, "subject": subject, "message": message, "hint": typed(hint, Some(root))})
}

/// `hint` as a line that may hold names from files.
pub(super) fn typed(hint: &Advice, root: Option<&Path>) -> String {
    checks::printable(&hint.line(root))
}

/// One line a check; those that say the same share a hint below. What is worst comes last, where the eye is; what is ok
/// only with `verbose`.
fn listed(checks: &[Check], inspection: &Inspection, verbose: bool) -> String {
    let mut text = String::new();
    let mut numbers = Vec::new();
    for status in [Status::Ok, Status::Note, Status::Warning, Status::Problem] {
        let word = match status {
            Status::Ok => ui::green("ok     "),
            Status::Note => ui::dim("note   "),
            Status::Warning => ui::yellow("warning"),
            Status::Problem => ui::red("problem"),
        };
        let mut number = 0;
        for same in alike(checks, status) {
            for line in same.chunk_by(|one, next| one.subject == next.subject) {
                number += 1;
                let mut ids: Vec<_> = line.iter().map(|check| check.id.as_str()).collect();
                ids.dedup();
                let ids = ui::dim(&format!("[{}]", ids.join(", ")));
                if status != Status::Ok || verbose {
                    text.push_str(&format!("{word}  {}: {} {ids}\n", line[0].subject, line[0].message));
                }
            }
            if !same[0].hint.is_empty() {
                let hint = typed(&same[0].hint, Some(&inspection.root));
                text.push_str(&format!("         {} {hint}\n", ui::bold("hint:")));
            }
        }
        numbers.push((status, number));
    }
    if inspection.git.is_none() {
        text.push_str("\nThis is not a git repository: what git would store was not checked.\n");
    }
    let number =
        |wanted| numbers.iter().find(|(status, _)| *status == wanted).map_or(0, |(_, number)| *number);
    let notes = match number(Status::Note) {
        0 => String::new(),
        notes => format!("{}, ", count(notes, "note")),
    };
    let before = if text.is_empty() { "" } else { "\n" };
    text.push_str(&format!(
        "{before}{}, {}, {notes}{} ok{}\n",
        count(number(Status::Problem), "problem"),
        count(number(Status::Warning), "warning"),
        number(Status::Ok),
        if verbose { "" } else { " (--verbose lists them)" }
    ));
    text
}

/// The checks with `status`, those together that say the same, of one subject or of several, and share a hint.
fn alike(checks: &[Check], status: Status) -> Vec<Vec<&Check>> {
    let mut groups: Vec<Vec<&Check>> = Vec::new();
    for check in checks.iter().filter(|check| check.status == status) {
        let says_the_same = |group: &&mut Vec<&Check>| {
            let first = group[0];
            first.message == check.message
                && first.hint == check.hint
                && (first.subject == check.subject || first.id == check.id)
        };
        match groups.iter_mut().find(says_the_same) {
            Some(group) => group.push(check),
            None => groups.push(vec![check]),
        }
    }
    groups
}
