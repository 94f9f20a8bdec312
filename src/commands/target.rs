//! The cluster and namespace that a command asks: the chosen environment, and the kubectl that the
//! repository's Makefile would run for it.

use crate::advice::Advice;
use crate::answers::{Answer as _, DnsLabel, Environment};
use crate::checks::EnvironmentHint;
use crate::cluster::{ClusterQuery, Kubectl, KubectlError, context_of};
use crate::diagnosis::{Cause, Diagnosis, Evidence};
use crate::environment;
use crate::error::{Failure, Result};
use crate::inspection::Inspection;
use std::collections::BTreeSet;
use std::path::Path;

/// The user's options, and the repository that provides the rest.
#[derive(Clone, Copy)]
pub(super) struct Target<'i> {
    /// The command, for hints.
    pub(super) command: &'static str,
    /// `--env`.
    pub(super) env: Option<&'i str>,
    /// `--context`.
    pub(super) context: Option<&'i str>,
    /// `--namespace`.
    pub(super) namespace: Option<&'i str>,
    /// `None` outside a repository.
    pub(super) repository: Option<&'i Inspection>,
}

/// The origin of evidence, and the evidence.
#[derive(Default)]
pub(super) struct Source {
    pub(super) evidence: Evidence,
    pub(super) is_live: bool,
    pub(super) context: Option<String>,
    pub(super) namespace: Option<String>,
    /// Secrets that were requested from the cluster and readable if they existed.
    pub(super) asked: Vec<String>,
    /// Kinds that this user may not read.
    pub(super) refused: Vec<String>,
}

impl<'i> Target<'i> {
    /// Asks the cluster about the namespace, including all pull secrets that anything there or
    /// `more` references; or returns why there is no answer.
    pub(super) fn ask<'n>(
        &self,
        wanted: ClusterQuery,
        more: impl Iterator<Item = &'n str>,
    ) -> Result<(Source, Option<Diagnosis>)> {
        let (namespace, kubectl, place) = (self.namespace()?, self.kubectl()?, self.place()?);
        let mut source =
            Source { namespace: Some(namespace.clone()), is_live: true, ..Source::default() };
        let answer = match kubectl.state(&namespace, wanted) {
            Ok(answer) => answer,
            Err((error, text)) => {
                let subject =
                    if error == KubectlError::NoKubectl { kubectl.program() } else { "kubectl" };
                let silence = Diagnosis::of(cause(error), Some(&namespace), subject, &text, place);
                return Ok((source, Some(silence)));
            }
        };
        source.context = kubectl.context();
        source.refused = answer.refused;
        if let Err(why) = source.evidence.read(&answer.json) {
            let silence =
                Diagnosis::of(Cause::KubectlFailed, Some(&namespace), "kubectl", why, place);
            return Ok((source, Some(silence)));
        }
        // Only valid names may become arguments.
        let is_name = |name: &String| {
            name.len() <= 253 && name.split('.').all(|part| DnsLabel::parse(part).is_ok())
        };
        let in_cluster = source.evidence.pull_secrets().map(str::to_owned);
        let names: BTreeSet<_> =
            in_cluster.chain(more.map(str::to_owned)).filter(is_name).collect();
        let names: Vec<_> = names.into_iter().collect();
        if !names.is_empty() {
            match kubectl.secrets(&names, &namespace) {
                // None of them exists.
                Ok(answer) if answer.json.is_empty() => source.asked = names,
                Ok(answer) if source.evidence.read(&answer.json).is_ok() => source.asked = names,
                _ => source.refused.push("secrets".to_owned()),
            }
        }
        Ok((source, None))
    }

    /// The kubectl that the repository's Makefile would run.
    pub(super) fn kubectl(&self) -> Result<Kubectl> {
        let makefile = self.repository.and_then(|inspection| inspection.makefile.as_ref());
        let root = self.repository.map_or(Path::new("."), |inspection| &inspection.root);
        let beside = makefile.and_then(|(path, _)| Path::new(path).parent());
        let dir = beside.map_or(root.to_owned(), |beside| root.join(beside));
        let text = makefile.map(|(_, text)| text.as_str());
        let context = self.named_context()?;
        Kubectl::new(environment::text("KUBECTL").as_deref(), text, &dir, context.as_deref())
    }

    /// The context from the options or the repository; `None` leaves it to kubectl.
    pub(super) fn named_context(&self) -> Result<Option<String>> {
        let makefile = self.repository.and_then(|inspection| inspection.makefile.as_ref());
        let text = makefile.map(|(_, text)| text.as_str());
        let own = self
            .environment()?
            .and_then(|one| self.repository?.overlays.get(one.name.as_str())?.settings.as_deref());
        Ok(self.context.map(str::to_owned).or_else(|| context_of(own.or(text)?)))
    }

    /// How commands refer to the chosen environment.
    pub(super) fn place(&self) -> Result<EnvironmentHint<'i>> {
        let record =
            self.repository.and_then(|inspection| inspection.record.as_ref()?.as_ref().ok());
        let chosen = self.environment()?;
        Ok(record.zip(chosen).map_or(EnvironmentHint::default(), |(record, one)| {
            EnvironmentHint::of(&record.answers, one)
        }))
    }

    /// The chosen environment; `None` if the repository has no record.
    fn environment(&self) -> Result<Option<&'i Environment>> {
        let record =
            self.repository.and_then(|inspection| inspection.record.as_ref()?.as_ref().ok());
        let answers = record.map(|record| &record.answers);
        let Some(name) = self.env else {
            return Ok(answers.map(|answers| &answers.environments.first));
        };
        let found = answers.and_then(|answers| answers.environment(name));
        match (found, record) {
            (Some(found), _) => Ok(Some(found)),
            (None, Some(record)) => Err(record.no_environment().into()),
            (None, None) => Err(Failure::usage("`--env` requires a repository with environments")
                .hint("--context NAME --namespace NAME")
                .into()),
        }
    }

    /// The chosen namespace.
    pub(super) fn namespace(&self) -> Result<String> {
        if let Some(namespace) = self.namespace {
            return match DnsLabel::parse(namespace) {
                Ok(namespace) => Ok(namespace.to_string()),
                Err(rule) => Err(Failure::usage(format!("`--namespace` {rule}"))
                    .hint("--namespace hello")
                    .into()),
            };
        }
        let again = |option: &str| Advice::makeinfra(self.command).with(option);
        let Some(repository) = self.repository else {
            return Err(Failure::usage("cannot determine the namespace")
                .hint(again("--namespace NAME"))
                .into());
        };
        if let Some(one) = self.environment()? {
            return Ok(one.namespace.to_string());
        }
        let workloads =
            repository.manifests.workloads().filter_map(|workload| workload.namespace.as_deref());
        let known: BTreeSet<_> =
            workloads.filter(|namespace| DnsLabel::parse(namespace).is_ok()).collect();
        let names: Vec<_> = known.iter().copied().collect();
        match (names.as_slice(), &repository.record) {
            ([one], _) => Ok((*one).to_owned()),
            ([], Some(Ok(record))) => Ok(record.answers.environments.first.namespace.to_string()),
            ([], _) => Err(Failure::failed("the manifests do not set a namespace")
                .hint(again("--namespace NAME"))
                .into()),
            (several, _) => Err(Failure::failed("the manifests use several namespaces")
                .because(several.join(", "))
                .hint(again(&format!("--namespace {}", several[0])))
                .into()),
        }
    }
}

fn cause(error: KubectlError) -> Cause {
    match error {
        KubectlError::NoKubectl => Cause::KubectlMissing,
        KubectlError::NoContext => Cause::ContextMissing,
        KubectlError::Unreachable => Cause::ClusterUnreachable,
        KubectlError::Login => Cause::LoginRefused,
        KubectlError::Forbidden => Cause::NotAllowed,
        KubectlError::Failed => Cause::KubectlFailed,
    }
}
