//! `makeinfra check --running`: whether the running pods could be pulled again, with the cluster's
//! own Secrets.

use crate::checks::{Check, Id, Status};
use crate::cli::Check as Options;
use crate::cluster::ClusterQuery;
use crate::commands::target::{Source, Target};
use crate::diagnosis::{Finding, Running};
use crate::error::Result;
use crate::inspection::Inspection;

/// The answers of a repository's clusters.
#[derive(Default)]
pub(super) struct Clusters {
    /// The answer for each target; `None` if there was none.
    sources: Vec<Option<Source>>,
    /// Why some clusters gave no answer.
    pub(super) unseen: Vec<Check>,
    /// How many pods run where.
    pods: Vec<Check>,
}

impl Clusters {
    /// Asks the clusters what is running.
    pub(super) fn ask(options: &Options, inspection: &Inspection) -> Result<Self> {
        let mut clusters = Self::default();
        for target in targets(options, inspection) {
            match target.ask(ClusterQuery::Running, std::iter::empty())? {
                (source, None) => clusters.sources.push(Some(source)),
                (_, Some(silence)) => {
                    clusters.sources.push(None);
                    let finding = silence.findings.first();
                    clusters
                        .unseen
                        .extend(finding.map(|finding| unseen(&target, finding)).transpose()?);
                }
            }
        }
        let answered = clusters.sources.iter().flatten().zip(clusters.running(options, inspection));
        clusters.pods = answered.map(|(source, running)| pods(source, &running)).collect();
        Ok(clusters)
    }

    /// What is running, for each cluster that answered.
    pub(super) fn running<'l>(
        &'l self,
        options: &'l Options,
        inspection: &'l Inspection,
    ) -> Vec<Running<'l>> {
        let both = targets(options, inspection).into_iter().zip(&self.sources);
        let answered = both.filter_map(|(target, source)| Some((target, source.as_ref()?)));
        answered
            .map(|(target, source)| {
                let namespace = source.namespace.as_deref().unwrap_or_default();
                // The place was determined when the cluster was asked.
                let place = target.place().unwrap_or_default();
                Running::of(&source.evidence, namespace, &source.refused, Some(inspection), place)
            })
            .collect()
    }

    /// The checks about the clusters.
    pub(super) fn checks(&self) -> impl Iterator<Item = Check> {
        self.unseen.iter().chain(&self.pods).cloned()
    }
}

/// The number of running pods.
fn pods(source: &Source, running: &Running) -> Check {
    let namespace = source.namespace.as_deref().unwrap_or_default();
    let context =
        source.context.as_ref().map_or(String::new(), |context| format!(" of context {context}"));
    let message = match running.pods() {
        0 => "no pods are running".to_owned(),
        1 => "1 pod is running".to_owned(),
        pods => format!("{pods} pods are running"),
    };
    Check::new(
        Id::RunningPodsPull,
        Status::Note,
        format!("namespace {namespace}{context}"),
        message,
    )
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
            environments
                .map(|environment| Target { env: Some(environment.name.as_str()), ..one })
                .collect()
        }
        _ => vec![one],
    }
}

/// The check that says why the cluster gave no answer.
fn unseen(target: &Target, finding: &Finding) -> Result<Check> {
    let subject = format!("namespace {}{}", target.namespace()?, target.place()?.title());
    let evidence =
        finding.evidence.first().map_or(String::new(), |evidence| format!(": {evidence}"));
    let message = format!("running images not checked: {}{evidence}", finding.message);
    Ok(Check::new(Id::RunningPodsPull, Status::Warning, subject, message)
        .hint(finding.hint.clone()))
}
