//! `makeinfra check`: finds problems in a repository before an image pull fails.

mod followed;
mod formats;
mod running;

pub(super) use followed::unfollowed_in_head;

use followed::unfollowed;
use running::Clusters;

use super::fleet::{Fleet, Task};
use super::unlock_as_needed;
use crate::advice::Advice;
use crate::checks::{self, Check, Question, RefutedSuspicion, Status, Unfollowed, count};
use crate::cli::{Check as Options, OnlineOptions, Repositories};
use crate::diagnosis::{NextPull, Running};
use crate::error::{Failure, Outcome, Result};
use crate::inspection::{Inspection, Scope};
use crate::registry::{self, PARALLEL, Platform, PullQuestion, Registries, Standing, Verdict};
use crate::report::Report;
use crate::ui::{self, Ui};
use jiff::Timestamp;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;

impl Task for Options {
    const COMMAND: &'static str = "check";

    fn repositories(&self) -> &Repositories {
        &self.repositories
    }

    fn environment(&self) -> Option<&str> {
        self.cluster.env.as_deref()
    }

    fn one(&self, repo: &Path, ui: &mut Ui) -> Result<Report> {
        let inspected = InspectedRepo::at(self, repo)?;
        let known = inspected.known(self);
        let next = known.next_pulls();
        let verdicts = if self.asks() {
            ask(&registries(&self.online)?.at_once(self.jobs()), known.pulls(&next), ui)
        } else {
            Vec::new()
        };
        Ok(known.report(self, &next, &mut verdicts.into_iter()))
    }

    fn check_several(&self) -> Result<()> {
        if self.format.is_none() {
            return Ok(());
        }
        let failure = Failure::usage("`--format` takes one repository");
        Err(failure.hint(Advice::anywhere("makeinfra check PROJECT-infra --format gitlab")).into())
    }

    fn several(&self, fleet: &Fleet, ui: &mut Ui) -> Result<()> {
        if !self.asks() {
            return fleet.read(|at, ui| self.one(&fleet.places[at].path, ui), "checking", ui);
        }
        let registries = registries(&self.online)?.at_once(self.jobs());
        let look = |at: usize| InspectedRepo::at(self, &fleet.places[at].path);
        let inspected = fleet.gather(self.jobs(), look, "reading repositories", ui)?;
        // One request for all images: no registry sees a refused login twice.
        let known: Vec<_> =
            inspected.iter().map(|one| Some(one.as_ref().ok()?.known(self))).collect();
        let next: Vec<_> = known
            .iter()
            .map(|one| one.as_ref().map_or_else(Vec::new, RepoFindings::next_pulls))
            .collect();
        let both = known.iter().zip(&next);
        let pulls =
            both.clone().filter_map(|(known, next)| Some(known.as_ref()?.pulls(next))).flatten();
        let mut verdicts = ask(&registries, pulls, ui).into_iter();
        let reports =
            both.map(|(known, next)| Some(known.as_ref()?.report(self, next, &mut verdicts)));
        let reports: Vec<_> = reports.collect();
        drop(next);
        drop(known);
        let done = inspected
            .into_iter()
            .zip(reports)
            .map(|(inspected, report)| inspected.map(|_| report.unwrap_or_default()));
        fleet.report_results(done, ui)
    }
}

impl Options {
    /// Whether registries are asked.
    fn asks(&self) -> bool {
        self.online.online || self.cluster.running
    }

    /// How many clusters, and then images, are queried in parallel.
    fn jobs(&self) -> usize {
        self.jobs.or(PARALLEL)
    }
}

/// A repository and the answers of its clusters.
struct InspectedRepo {
    inspection: Inspection,
    /// Path of the repository in git's work tree with a trailing slash; empty at the top.
    folder: String,
    unfollowed: Option<Vec<Unfollowed>>,
    clusters: Clusters,
}

/// Everything known about a repository before registries are asked.
struct RepoFindings<'l> {
    inspected: &'l InspectedRepo,
    questions: Vec<Question<'l>>,
    running: Vec<Running<'l>>,
}

impl InspectedRepo {
    fn at(options: &Options, repo: &Path) -> Result<Self> {
        let scope = Scope {
            repo: repo.to_owned(),
            manifests: options.manifests.clone(),
            secrets: options.secret.clone(),
            history: !options.history.no_history,
            searches: true,
            deep: options.history.deep,
        };
        let (inspection, git) = Inspection::with_repo(&scope, "check")?;
        let record = inspection.record.as_ref().and_then(|record| record.as_ref().ok());
        let folder = git.as_ref().map(|git| git.folder_in_git().to_owned()).unwrap_or_default();
        let unfollowed = git.zip(record).and_then(|(git, record)| unfollowed(repo, git, record));
        let clusters = if options.cluster.running {
            Clusters::ask(options, &inspection)?
        } else {
            Clusters::default()
        };
        Ok(Self { inspection, folder, unfollowed, clusters })
    }

    fn known<'l>(&'l self, options: &'l Options) -> RepoFindings<'l> {
        let questions =
            if options.online.online { Question::all(&self.inspection) } else { Vec::new() };
        RepoFindings {
            inspected: self,
            questions,
            running: self.clusters.running(options, &self.inspection),
        }
    }
}

impl<'l> RepoFindings<'l> {
    /// The images that are running.
    fn next_pulls(&'l self) -> Vec<NextPull<'l>> {
        self.running.iter().flat_map(Running::next_pulls).collect()
    }

    /// The questions for registries.
    fn pulls<'p>(&'p self, next: &'p [NextPull]) -> impl Iterator<Item = Option<PullQuestion<'p>>> {
        self.questions.iter().map(Question::pull).chain(next.iter().map(NextPull::pull))
    }

    /// The report, given the registries' answers to [`RepoFindings::pulls`].
    fn report(
        &self,
        options: &Options,
        next: &[NextPull],
        verdicts: &mut dyn Iterator<Item = Option<Verdict>>,
    ) -> Report {
        let (inspection, now) = (&self.inspected.inspection, Timestamp::now());
        let answered: Vec<_> = verdicts.take(self.questions.len()).collect();
        let answered = RegistryAnswers::of(&self.questions, &answered);
        let mut sure = answered.sure && self.inspected.clusters.unseen.is_empty();
        let given = checks::ExternalFacts {
            public: options.public.clone(),
            unfollowed: self.inspected.unfollowed.clone(),
            ..checks::ExternalFacts::default()
        };
        let mut checks = answered.checks(inspection, given, now);
        checks.extend(self.inspected.clusters.checks());
        for (next, verdict) in next.iter().zip(verdicts) {
            let check = next.judged(verdict.as_ref(), now);
            sure &= check.status != Status::Warning;
            sure &= verdict.is_none_or(|verdict| verdict.standing() != Standing::Unknown);
            checks.push(check);
        }
        checks::sort(&mut checks);
        unlock_as_needed(&inspection.root, checks.iter_mut().map(|check| &mut check.hint));
        let bad = |check: &Check| {
            check.status == Status::Problem
                || (options.view.strict && check.status == Status::Warning)
        };
        let outcome = match checks.iter().any(bad) {
            true => Outcome::Problems,
            false if sure => Outcome::Done,
            false => Outcome::Unknown,
        };
        let again = Advice::makeinfra("check");
        let again = if options.online.online { again.with("--online") } else { again };
        let again = if options.cluster.running { again.with("--running") } else { again };
        let (text, brief) = listed(&checks, inspection, options.view.verbose);
        let place =
            formats::ReportLocation { root: &inspection.root, folder: &self.inspected.folder };
        let document = |format| formats::document(format, &checks, &place, bad);
        Report {
            text,
            document: options.format.map(document),
            brief,
            more: if outcome == Outcome::Done { Advice::default() } else { again },
            own: json!({ "checks": objects(&checks, &inspection.root) }),
            repo: Some(inspection.root.clone()),
            outcome,
            ..Report::default()
        }
    }
}

/// The registries' answers about the images.
#[derive(Default)]
pub(super) struct RegistryAnswers {
    /// The resulting checks.
    pub(super) checks: Vec<Check>,
    /// Whether there is a definite answer for all images.
    pub(super) sure: bool,
    /// Images that anyone may pull.
    pub(super) public: BTreeSet<String>,
    /// Findings that turned out not to be the pull secrets' fault.
    cleared: Vec<RefutedSuspicion>,
}

impl RegistryAnswers {
    /// The result of `verdicts` on `questions`.
    fn of(questions: &[Question], verdicts: &[Option<Verdict>]) -> Self {
        let mut answered = Self { sure: true, ..Self::default() };
        for (question, verdict) in questions.iter().zip(verdicts) {
            answered.sure &=
                verdict.as_ref().is_some_and(|verdict| verdict.standing() != Standing::Unknown);
            answered.public.extend(question.public(verdict.as_ref()).map(ToString::to_string));
            answered.cleared.extend(question.cleared(verdict.as_ref()));
            answered.checks.extend(question.judged(verdict.as_ref()));
        }
        answered
    }

    /// All checks of a repository, including the registries' answers.
    pub(super) fn checks(
        self,
        inspection: &Inspection,
        known: checks::ExternalFacts,
        now: Timestamp,
    ) -> Vec<Check> {
        let known = checks::ExternalFacts { proven: self.public, ..known };
        let mut checks = checks::all(inspection, &known, now);
        checks.extend(self.checks);
        self.cleared.iter().for_each(|cleared| cleared.clear(&mut checks));
        checks::sort(&mut checks);
        checks
    }
}

/// Asks the registries about all images of the repository.
pub(super) fn ask_registries(
    options: &OnlineOptions,
    inspection: &Inspection,
    ui: &Ui,
) -> Result<RegistryAnswers> {
    let questions = Question::all(inspection);
    let verdicts = ask(&registries(options)?, questions.iter().map(Question::pull), ui);
    Ok(RegistryAnswers::of(&questions, &verdicts))
}

fn registries(options: &OnlineOptions) -> Result<Registries> {
    let platform = options.platform.as_deref().map(|text| {
        Platform::parse(text).ok_or_else(|| {
            Failure::usage("`--platform` must be OS/ARCHITECTURE[/VARIANT]")
                .hint("--platform linux/arm64")
        })
    });
    Registries::new(registry::Options {
        plain_http: options.registry.plain_http,
        ca_file: options.registry.ca_file.as_deref(),
        platform: platform.transpose()?,
    })
}

/// The registries' answers to `pulls`, in order; `None` if there is nothing to ask.
fn ask<'p>(
    registries: &Registries,
    pulls: impl Iterator<Item = Option<PullQuestion<'p>>>,
    ui: &Ui,
) -> Vec<Option<Verdict>> {
    let mut is_asked = Vec::new();
    let pulls: Vec<_> = pulls.inspect(|pull| is_asked.push(pull.is_some())).flatten().collect();
    let waiting = ui.wait("contacting registries", pulls.len());
    let mut verdicts = registries.ask(&pulls, &|| waiting.step()).into_iter();
    is_asked.into_iter().map(|is_asked| is_asked.then(|| verdicts.next()).flatten()).collect()
}

fn objects(checks: &[Check], root: &Path) -> Vec<serde_json::Value> {
    let object = |Check { id, status, subject, message, hint, .. }: &Check| {
        let hint = typed(hint, Some(root));
        json!({"id": id, "status": status, "subject": subject, "message": message, "hint": hint})
    };
    checks.iter().map(object).collect()
}

/// `hint` on one line, safe for names from files.
pub(super) fn typed(hint: &Advice, root: Option<&Path>) -> String {
    checks::printable(&hint.line(root))
}

/// One line per check; checks with the same message share a hint below. The worst come last, where
/// they are seen; those that are ok only appear with `verbose`.
///
/// The second value is the summary with the counts.
fn listed(checks: &[Check], inspection: &Inspection, verbose: bool) -> (String, String) {
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
                    text.push_str(&format!(
                        "{word}  {}: {} {ids}\n",
                        line[0].subject, line[0].message
                    ));
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
    let number = |wanted| {
        numbers.iter().find(|(status, _)| *status == wanted).map_or(0, |(_, number)| *number)
    };
    let notes = match number(Status::Note) {
        0 => String::new(),
        notes => format!("{}, ", count(notes, "note")),
    };
    let before = if text.is_empty() { "" } else { "\n" };
    let counts = format!(
        "{}, {}, {notes}{} ok",
        count(number(Status::Problem), "problem"),
        count(number(Status::Warning), "warning"),
        number(Status::Ok),
    );
    text.push_str(&format!(
        "{before}{counts}{}\n",
        if verbose { "" } else { " (--verbose lists them)" }
    ));
    (text, counts)
}

/// The checks with `status`, grouped if they have the same message, about one or several subjects,
/// and the same hint.
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
