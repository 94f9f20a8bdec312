//! `makeinfra check --running`: whether the pods that run could be pulled again, by the cluster's own Secrets.

use super::ask;
use crate::checks::{Check, Id, Status};
use crate::cli::Check as Options;
use crate::cluster::Wanted;
use crate::commands::target::Target;
use crate::diagnosis::{Finding, NextPull, Running};
use crate::error::Result;
use crate::inspection::Inspection;
use crate::registry::Standing;
use crate::ui::Ui;
use jiff::Timestamp;

/// Adds what the clusters and the registries say of what runs. Says whether they told of all of it.
pub(super) fn checks(
    options: &Options,
    inspection: &Inspection,
    checks: &mut Vec<Check>,
    ui: &Ui,
) -> Result<bool> {
    let now = Timestamp::now();
    let mut sure = true;
    let mut told = Vec::new();
    for target in targets(options, inspection) {
        match target.ask(Wanted::Running, std::iter::empty())? {
            (source, None) => told.push((target, source)),
            (_, Some(silence)) => {
                sure = false;
                checks.extend(silence.findings.first().map(|finding| unseen(&target, finding)).transpose()?);
            }
        }
    }
    let mut running = Vec::new();
    for (target, source) in &told {
        let namespace = source.namespace.as_deref().unwrap_or_default();
        let place = target.place()?;
        let of = Running::of(&source.evidence, namespace, &source.refused, Some(inspection), place);
        let context =
            source.context.as_ref().map_or(String::new(), |context| format!(" of context {context}"));
        let message = match of.pods() {
            0 => "no pod runs".to_owned(),
            1 => "1 pod runs".to_owned(),
            pods => format!("{pods} pods run"),
        };
        let subject = format!("namespace {namespace}{context}");
        checks.push(Check::new(Id::RunningPodsPull, Status::Note, subject, message));
        running.push(of);
    }
    let next: Vec<_> = running.iter().flat_map(Running::next_pulls).collect();
    let verdicts = ask(&options.online, next.iter().map(NextPull::pull), ui)?;
    for (next, verdict) in next.iter().zip(verdicts) {
        let check = next.judged(verdict.as_ref(), now);
        sure &= check.status != Status::Warning;
        sure &= verdict.is_none_or(|verdict| verdict.standing() != Standing::Unknown);
        checks.push(check);
    }
    Ok(sure)
}

/// Every environment, or the one that was named.
fn targets<'i>(options: &'i Options, inspection: &'i Inspection) -> Vec<Target<'i>> {
    let one = Target {
        command: "check --running",
        env: options.cluster.env.as_deref(),
        context: options.cluster.context.as_deref(),
        namespace: options.cluster.namespace.as_deref(),
        repository: Some(inspection),
    };
    let is_named = one.env.is_some() || one.context.is_some() || one.namespace.is_some();
    match &inspection.record {
        Some(Ok(record)) if !is_named => {
            let environments = record.answers.environments.iter();
            environments.map(|environment| Target { env: Some(environment.name.as_str()), ..one }).collect()
        }
        _ => vec![one],
    }
}

/// The check that says why the cluster told nothing.
fn unseen(target: &Target, finding: &Finding) -> Result<Check> {
    let subject = format!("namespace {}{}", target.namespace()?, target.place()?.title());
    let said = finding.evidence.first().map_or(String::new(), |said| format!(": {said}"));
    let message = format!("what runs was not checked: {}{said}", finding.message);
    Ok(Check::new(Id::RunningPodsPull, Status::Warning, subject, message).hint(finding.hint.clone()))
}
