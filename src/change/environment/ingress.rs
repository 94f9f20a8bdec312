//! The hosts of a new environment, and the patches for them. Pure.

use super::super::copy;
use super::super::hosts::{self, Hosts};
use super::super::objects::{self, HOST, TLS_HOST};
use super::super::{Files, Plan, kustomization, not_edited, rendered, text_of};
use super::{NewEnvironment, Options};
use crate::advice::Advice;
use crate::answers::{
    Answer, Answers, Component, ContextName, Environment, EnvironmentName, Host, Record, Workload,
};
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::manifests;
use crate::yaml_edit;
use serde_yaml::Value;

/// The hosts of a component's Ingress.
pub(super) struct Ingress {
    /// The host in the base.
    pub(super) base: String,
    /// Whether the host is also in its certificate.
    pub(super) tls: bool,
    /// The host in the copied environment.
    pub(super) old: String,
    /// The host in the new environment.
    pub(super) new: String,
}

impl NewEnvironment<'_> {
    /// Notes the hosts in the base that belong to no component, so that both environments would
    /// serve them.
    pub(super) fn warn_of_base_hosts(&self, plan: &mut Plan, files: &Files, to: &Environment) {
        let known =
            |host: &String| self.ingresses.iter().flatten().any(|ingress| ingress.base == *host);
        let mut hosts: Vec<_> = objects::below(files, Context::BASE)
            .iter()
            .flat_map(|(_, document)| objects::hosts(document))
            .collect();
        hosts.retain(|host| !known(host));
        hosts.sort();
        hosts.dedup();
        for host in hosts {
            plan.notes.push(format!(
                "`{}` has the host `{host}`, which {} would also use: patch it in \
                 `{}/kustomization.yaml`",
                Context::BASE,
                self.name,
                to.overlay()
            ));
        }
    }

    /// The hosts that change in the copy.
    pub(super) fn hosts(&self, files: &Files, from: &str, to: &Environment) -> Hosts {
        let mut hosts = Hosts::default();
        for ingress in self.ingresses.iter().flatten() {
            hosts.add(&ingress.old, &ingress.new);
        }
        let path = kustomization(files, from).unwrap_or_default();
        let found = objects::kustomization(files.text(&path).ok().flatten());
        for host in copy::hosts_in(&found, &objects::below(files, from)) {
            let base = host.strip_prefix(&format!("{}.", self.like.name)).unwrap_or(&host);
            if let Some(new) =
                hosts::by_rule(self.name, to.protect, base, std::slice::from_ref(&host))
            {
                hosts.add(&host, &new);
            }
        }
        hosts
    }

    /// `text` with the patches and replica counts that the copied overlay did not need.
    pub(super) fn with_patches(
        &self,
        path: &str,
        text: &str,
        answers: &Answers,
        to: &Environment,
    ) -> Result<String> {
        let overlay = manifests::kustomization::generated(&to.overlay());
        let mut bare = answers.clone();
        let here = bare
            .environments
            .iter_mut()
            .find(|one| one.name == to.name)
            .map(|one| &mut one.deployed);
        let Some(here) = here else { return Ok(text.to_owned()) };
        for one in here.iter_mut() {
            (one.host, one.replicas) = (None, None);
        }
        let mut wished = bare.clone();
        let found = objects::kustomization(Some(text));
        let mut edited = text.to_owned();
        let Some(new) = wished.environments.iter_mut().find(|one| one.name == to.name) else {
            return Ok(edited);
        };
        for ((deployed, component), ingress) in
            new.deployed.iter_mut().zip(answers.components.iter()).zip(&self.ingresses)
        {
            let Some(ingress) = ingress else { continue };
            let patched = objects::patched_host(&found, component.name.as_str(), HOST);
            if patched.as_ref().unwrap_or(&ingress.base) != &ingress.new {
                deployed.host = Host::parse(&ingress.new).ok();
                deployed.tls = ingress.tls;
            }
        }
        let main = answers.main();
        if let (Some(replicas), Some(deployed)) = (self.options.replicas, new.deployed.first_mut())
        {
            let named = |entry: &Value| objects::text(entry, &["name"]) == Some(main.name.as_str());
            match objects::list(&found, "replicas").position(named) {
                Some(at) => {
                    use yaml_edit::Step::{Item, Key};
                    let count = [Key("replicas"), Item(at), Key("count")];
                    edited = yaml_edit::replace_literal(&edited, &count, &replicas.to_string())
                        .map_err(|refusal| not_edited(path, refusal))?
                        .to_string();
                }
                None if main.workload == Workload::Deployment => deployed.replicas = Some(replicas),
                None => {}
            }
        }
        let (bare, wished) = (
            rendered(self.made_from.templates, &bare)?,
            rendered(self.made_from.templates, &wished)?,
        );
        let (Some(old), Some(new)) = (text_of(&bare, &overlay), text_of(&wished, &overlay)) else {
            return Ok(edited);
        };
        Ok(yaml_edit::add(&edited, old, new)
            .map_err(|refusal| not_edited(path, refusal))?
            .to_string())
    }
}

/// The Ingress host of `component` in the base, and whether its certificate has it, too.
pub(super) fn base_ingress(files: &Files, component: &Component) -> Option<(String, bool)> {
    component.ingress.as_ref()?;
    let all = objects::below(files, Context::BASE);
    let (_, ingress) = all
        .iter()
        .find(|(_, document)| objects::is_object(document, "Ingress", component.name.as_str()))?;
    Some((objects::text(ingress, HOST)?.to_owned(), objects::text(ingress, TLS_HOST).is_some()))
}

/// The hosts of each component: in the base, in `like`, and in the new environment.
pub(super) fn ingresses(
    files: &Files,
    record: &Record,
    like: &Environment,
    name: &EnvironmentName,
    protect: bool,
    context: Option<&str>,
    options: &Options,
) -> Result<Vec<Option<Ingress>>> {
    let path = kustomization(files, &like.overlay()).unwrap_or_default();
    let overlay = objects::kustomization(files.text(&path)?);
    let mut all = Vec::new();
    for (place, component) in record.answers.components.iter().enumerate() {
        let asked = options.ingress.as_ref().filter(|_| place == 0);
        let Some((base, tls)) = base_ingress(files, component) else {
            if asked.is_some() {
                return Err(Failure::usage(format!(
                    "`--ingress` requires a project with an Ingress, but `{}` has none",
                    Context::BASE
                ))
                .hint(Advice::makeinfra(format!("env add {name}")))
                .into());
            }
            all.push(None);
            continue;
        };
        let taken = |one: &&Environment| one.context.as_ref().map(ContextName::as_str) == context;
        let taken: Vec<_> = record
            .answers
            .environments
            .iter()
            .filter(taken)
            .filter_map(|one| {
                one.deployed
                    .get(place)?
                    .host
                    .as_ref()
                    .map_or(Some(base.clone()), |host| Some(host.to_string()))
            })
            .collect();
        let new = match asked {
            Some(host) => host.to_string(),
            None => hosts::by_rule(name, protect, &base, &taken).ok_or_else(|| {
                Failure::usage(format!("cannot prepend `{name}` to the host `{base}`"))
                    .hint(Advice::makeinfra(format!("env add {name}")).with("--ingress HOST"))
            })?,
        };
        let old = objects::patched_host(&overlay, component.name.as_str(), HOST)
            .unwrap_or_else(|| base.clone());
        all.push(Some(Ingress { base, tls, old, new }));
    }
    Ok(all)
}
