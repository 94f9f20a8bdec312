//! Which cluster and namespace a command asks: the environment that is meant, and the kubectl that the repository's Makefile
//! would run for it.

use crate::advice::Advice;
use crate::answers::{Answer as _, DnsLabel, Environment};
use crate::checks::Place;
use crate::cluster::{Kubectl, context_of};
use crate::environment;
use crate::error::{Failure, Result};
use crate::inspection::Inspection;
use std::collections::BTreeSet;
use std::path::Path;

/// What the user said, and the repository that tells the rest.
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
    /// `None` outside of a repository.
    pub(super) repository: Option<&'i Inspection>,
}

impl<'i> Target<'i> {
    /// The kubectl that the repository's Makefile would run, where it would.
    pub(super) fn kubectl(&self) -> Result<Kubectl> {
        let makefile = self.repository.and_then(|inspection| inspection.makefile.as_ref());
        let root = self.repository.map_or(Path::new("."), |inspection| &inspection.root);
        let beside = makefile.and_then(|(path, _)| Path::new(path).parent());
        let dir = beside.map_or(root.to_owned(), |beside| root.join(beside));
        let text = makefile.map(|(_, text)| text.as_str());
        let own = self
            .environment()?
            .and_then(|one| self.repository?.overlays.get(one.name.as_str())?.settings.as_deref());
        let context = self.context.map(str::to_owned).or_else(|| context_of(own.or(text)?));
        Kubectl::new(environment::text("KUBECTL").as_deref(), text, &dir, context.as_deref())
    }

    /// How commands are told the environment that is meant.
    pub(super) fn place(&self) -> Result<Place<'i>> {
        let record = self.repository.and_then(|inspection| inspection.record.as_ref()?.as_ref().ok());
        let chosen = self.environment()?;
        Ok(record.zip(chosen).map_or(Place::default(), |(record, one)| Place::of(&record.answers, one)))
    }

    /// The environment that is meant; `None` if the repository has no record of any.
    fn environment(&self) -> Result<Option<&'i Environment>> {
        let record = self.repository.and_then(|inspection| inspection.record.as_ref()?.as_ref().ok());
        let answers = record.map(|record| &record.answers);
        let Some(name) = self.env else { return Ok(answers.map(|answers| &answers.environments.first)) };
        let found = answers.and_then(|answers| answers.environment(name));
        match (found, record) {
            (Some(found), _) => Ok(Some(found)),
            (None, Some(record)) => Err(record.no_environment().into()),
            (None, None) => Err(Failure::usage("`--env` is for a repository with environments")
                .hint("--context NAME --namespace NAME")
                .into()),
        }
    }

    /// The one namespace that is meant.
    pub(super) fn namespace(&self) -> Result<String> {
        if let Some(namespace) = self.namespace {
            return match DnsLabel::parse(namespace) {
                Ok(namespace) => Ok(namespace.to_string()),
                Err(rule) => {
                    Err(Failure::usage(format!("`--namespace` {rule}")).hint("--namespace hello").into())
                }
            };
        }
        let again = |option: &str| Advice::makeinfra(self.command).with(option);
        let Some(repository) = self.repository else {
            return Err(Failure::usage("no namespace is known").hint(again("--namespace NAME")).into());
        };
        if let Some(one) = self.environment()? {
            return Ok(one.namespace.to_string());
        }
        let workloads = repository.manifests.workloads().filter_map(|workload| workload.namespace.as_deref());
        let known: BTreeSet<_> = workloads.filter(|namespace| DnsLabel::parse(namespace).is_ok()).collect();
        let names: Vec<_> = known.iter().copied().collect();
        match (names.as_slice(), &repository.record) {
            ([one], _) => Ok((*one).to_owned()),
            ([], Some(Ok(record))) => Ok(record.answers.environments.first.namespace.to_string()),
            ([], _) => {
                Err(Failure::failed("the manifests name no namespace").hint(again("--namespace NAME")).into())
            }
            (several, _) => Err(Failure::failed("the manifests are for several namespaces")
                .because(several.join(", "))
                .hint(again(&format!("--namespace {}", several[0])))
                .into()),
        }
    }
}
