//! `makeinfra diagnose`: why the pods of a repository do not run.

use super::check::{RegistryAnswers, ask_registries, typed};
use super::target::{Source, Target};
use super::unlock_as_needed;
use crate::answers::Record;
use crate::checks::{self, Check};
use crate::cli::Diagnose as Options;
use crate::cluster::ClusterQuery;
use crate::diagnosis::{Cause, Diagnosis, DiagnosisInput, Finding, HiddenByNamespace};
use crate::error::{Failure, Outcome, Result};
use crate::files;
use crate::inspection::{Inspection, Scope};
use crate::repo::{self, Repo};
use crate::report::Report;
use crate::ui::{self, Ui};
use jiff::Timestamp;
use serde_json::json;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Size limit, above the events and pods of any namespace.
const LIMIT: usize = 64 << 20;

/// Runs the command.
pub fn run(options: &Options, ui: &Ui) -> Result<Report> {
    let repository = repository(options)?;
    let now = Timestamp::now();
    let checks = match &repository {
        Some(inspection) => checks(options, inspection, now, ui)?,
        None => Vec::new(),
    };
    let (source, mut diagnosis) = match &options.events {
        Some(file) => {
            let source = saved(file, options, repository.as_ref(), ui)?;
            let now = source.evidence.newest().unwrap_or(now);
            let diagnosis = diagnose(&source, repository.as_ref(), &checks, now);
            (source, diagnosis)
        }
        None => live(options, repository.as_ref(), &checks, now)?,
    };
    let root = repository.map(|repository| repository.root);
    if let Some(root) = &root {
        unlock_as_needed(root, diagnosis.findings.iter_mut().map(|finding| &mut finding.hint));
    }
    Ok(Report {
        text: listed(&source, &diagnosis, root.as_deref()),
        own: in_json(&source, &diagnosis, root.as_deref()),
        repo: root,
        outcome: diagnosis.outcome(),
        ..Report::default()
    })
}

/// The checks of the repository, including the registries' answers with `--online`.
fn checks(
    options: &Options,
    inspection: &Inspection,
    now: Timestamp,
    ui: &Ui,
) -> Result<Vec<Check>> {
    // A registry that gave no answer is a check as well.
    let answered = if options.online.online {
        ask_registries(&options.online, inspection, ui)?
    } else {
        RegistryAnswers::default()
    };
    Ok(answered.checks(inspection, checks::ExternalFacts::default(), now))
}

/// The repository; not needed if the options name what to examine.
fn repository(options: &Options) -> Result<Option<Inspection>> {
    let here = PathBuf::from(".");
    let is_enough =
        options.env.is_none() && (options.events.is_some() || options.namespace.is_some());
    if options.repo.is_none() && is_enough {
        let start = repo::directory(&here, "diagnose")?;
        if Repo::around(&start, "diagnose")?.is_none() && !start.join(Record::FILE).is_file() {
            return Ok(None);
        }
    }
    let repo = options.repo.clone().unwrap_or(here);
    Inspection::of(&Scope { repo, ..Scope::default() }, "diagnose").map(Some)
}

/// The output of `kubectl get -o json`, from a file or standard input.
fn saved(
    file: &Path,
    options: &Options,
    repository: Option<&Inspection>,
    ui: &Ui,
) -> Result<Source> {
    let is_stdin = file == Path::new("-");
    let hint = "{kubectl get pods,events -o json > FILE}, then: {makeinfra diagnose --events FILE}";
    let bytes = match is_stdin {
        true => Some(ui.read_stdin(LIMIT)?),
        false if file.is_dir() => {
            return Err(Failure::usage("`--events` must be a file").hint(hint).into());
        }
        false => files::read(file, LIMIT)?,
    };
    let Some(bytes): Option<Zeroizing<Vec<u8>>> = bytes else {
        // The path is not quoted: if it does not exist, it may be a misplaced token.
        return Err(Failure::usage("the `--events` file was not found").hint(hint).into());
    };
    let namespace = if options.env.is_some() && options.namespace.is_none() {
        Some(target(options, repository).namespace()?)
    } else {
        options.namespace.clone()
    };
    let mut source = Source { namespace, ..Source::default() };
    source.evidence.read(&bytes).map_err(|why| {
        let name =
            if is_stdin { "standard input".to_owned() } else { format!("`{}`", file.display()) };
        Failure::failed(format!("cannot read the evidence in {name}")).because(why).hint(hint)
    })?;
    Ok(source)
}

/// Asks the cluster.
fn live(
    options: &Options,
    repository: Option<&Inspection>,
    checks: &[Check],
    now: Timestamp,
) -> Result<(Source, Diagnosis)> {
    let workloads = repository.into_iter().flat_map(|inspection| inspection.manifests.workloads());
    let in_files = workloads.flat_map(|workload| &workload.pull_secrets).map(String::as_str);
    let wanted = ClusterQuery::Problems { batch: has_batch(repository) };
    Ok(match target(options, repository).ask(wanted, in_files)? {
        (source, Some(silence)) => (source, silence),
        (source, None) => {
            let diagnosis = diagnose(&source, repository, checks, now);
            (source, diagnosis)
        }
    })
}

/// Whether Jobs or `CronJob`s may be among the deployed workloads.
fn has_batch(repository: Option<&Inspection>) -> bool {
    let workloads: Vec<_> =
        repository.iter().flat_map(|inspection| inspection.manifests.workloads()).collect();
    workloads.is_empty()
        || workloads.iter().any(|workload| ["Job", "CronJob"].contains(&workload.kind.as_str()))
}

fn diagnose(
    source: &Source,
    repository: Option<&Inspection>,
    checks: &[Check],
    now: Timestamp,
) -> Diagnosis {
    DiagnosisInput {
        evidence: &source.evidence,
        namespace: source.namespace.as_deref(),
        is_live: source.is_live,
        asked: &source.asked,
        refused: &source.refused,
        repository,
        checks,
        now,
        hidden: HiddenByNamespace::default(),
    }
    .diagnose()
}

fn target<'i>(options: &'i Options, repository: Option<&'i Inspection>) -> Target<'i> {
    Target {
        command: "diagnose",
        env: options.env.as_deref(),
        context: options.context.as_deref(),
        namespace: options.namespace.as_deref(),
        repository,
    }
}

fn in_json(source: &Source, diagnosis: &Diagnosis, root: Option<&Path>) -> serde_json::Value {
    let cause = |finding: &Finding| {
        let Finding { cause, subject, message, evidence, hint, check, layer } = finding;
        let hint = typed(hint, root);
        json!({
            "id": cause,
            "layer": layer,
            "subject": subject,
            "message": message,
            "evidence": evidence,
            "hint": hint,
            "check": check,
        })
    };
    let verdict = match diagnosis.outcome() {
        Outcome::Done => "fine",
        Outcome::Problems => "cause",
        _ => "unknown",
    };
    json!({
        "verdict": verdict,
        "context": source.context,
        "namespace": source.namespace,
        "pods": diagnosis.pods,
        "causes": diagnosis.findings.iter().map(cause).collect::<Vec<_>>(),
    })
}

/// The first cause in full, the others on one line each.
fn listed(source: &Source, diagnosis: &Diagnosis, root: Option<&Path>) -> String {
    let mut text = String::new();
    let place = [("context", &source.context), ("namespace", &source.namespace)];
    for (what, name) in place.iter().filter_map(|(what, name)| Some((what, name.as_ref()?))) {
        text.push_str(&ui::dim(&format!("{what:<9} {name}")));
        text.push('\n');
    }
    let (outcome, mut rest) = (diagnosis.outcome(), diagnosis.findings.as_slice());
    match (outcome, rest.split_first()) {
        (Outcome::Problems | Outcome::Unknown, Some((first, others))) => {
            let word = match outcome {
                Outcome::Problems => ui::red("cause"),
                _ => ui::yellow("unknown"),
            };
            text.push_str(&format!("{word}: {}\n", line(first)));
            text.push_str(
                &first
                    .evidence
                    .iter()
                    .map(|text| format!("  message: {text}\n"))
                    .collect::<String>(),
            );
            text.push_str(&format!("  {} {}\n", ui::bold("hint:"), typed(&first.hint, root)));
            rest = others;
        }
        _ => {
            let pods = checks::count(diagnosis.pods, "pod");
            let is_young = rest
                .iter()
                .any(|finding| matches!(finding.cause, Cause::OnTheWay | Cause::PullSlow));
            let all = match diagnosis.pods {
                0 => "nothing is wrong",
                _ if is_young => "nothing wrong so far",
                _ => "all running",
            };
            text.push_str(&format!("{}: {pods}, {all}\n", ui::green("ok")));
        }
    }
    for finding in rest {
        text.push_str(&format!(
            "also: {}\n  {} {}\n",
            line(finding),
            ui::bold("hint:"),
            typed(&finding.hint, root)
        ));
    }
    text
}

fn line(finding: &Finding) -> String {
    format!(
        "{}: {} {}",
        finding.subject,
        finding.message,
        ui::dim(&format!("[{}]", finding.cause.id()))
    )
}
