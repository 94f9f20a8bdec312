//! `makeinfra add`: one more component in a repository, beside the project's own.

use super::component;
use super::evolve::{Evolution, Proposal, Typed};
use super::scope::Scoped;
use crate::answers::{Answer, Answers, Component, ComponentName, Name, Refused, Values};
use crate::change::{Policy, Taken};
use crate::cli::Add as Options;
use crate::error::{Failure, Result};
use crate::pull_secret::keyring;
use crate::questions;
use crate::ui::Ui;
use std::path::Path;

/// Runs the command.
pub fn run(options: &Options, ui: &mut Ui) -> Result<()> {
    let name = ComponentName::parse(&options.name)
        .map_err(|rule| Failure::usage(format!("`NAME` {rule}")).hint("makeinfra add worker --port none"))?;
    let values = values(options)?;
    let evolution = Evolution::open(&options.repo, "add worker", &options.run)?;
    let known = &evolution.record.answers;
    if known.components.iter().any(|one| one.name == name) {
        return Err(Failure::failed(format!("there is a component `{name}` already"))
            .hint("add one of another name, or edit its manifests")
            .into());
    }
    if !values.contains_key(&Name::Image) && !evolution.adopted.knows_image {
        return Err(Failure::usage(format!(
            "the manifests do not tell the image of `{}`",
            known.main().name
        ))
        .hint(format!("makeinfra add {name} --image REGISTRY/PATH:TAG"))
        .into());
    }
    let settings = options.component.config.as_deref().map(|file| component::settings(Path::new(file), ui));
    let settings = settings.transpose()?;
    let mut sheet = evolution.adopted.sheet.clone();
    sheet.components.push((name.clone(), values));
    let mut answers = evolution.adopted.answers(&sheet).map_err(questions::failure)?;
    if let Some(new) = answers.components.rest.last_mut() {
        new.settings = settings;
    }
    let new = answers.components.iter().last().unwrap_or(&answers.components.first);
    check_room(&evolution.taken(), &answers, new)?;
    if !keyring::matches(answers.registry.as_str(), &new.image) {
        ui.warn(format!(
            "the pull secret is for `{}`: `{}` is pulled without credentials, unless an entry for it is added by hand",
            answers.registry,
            new.image.name()
        ));
    }
    super::warn_of_shared_hosts(&answers, ui);
    let Typed { make, git, repo } = evolution.typed();
    let environment = answers.make_argument(&answers.environments.first);
    let proposal = Proposal {
        answers: &answers,
        // What people have added to lists and pages stays.
        policy: Policy { merge: true, keep: &options.keep.keep },
        payloads: &[],
        title: format!("New component {name}"),
        decisions: decisions(new),
        command: format!("makeinfra add {name}{repo}"),
        done: format!("Added {name}."),
        next: vec![
            (format!("{make} diff{environment} CHANGES=ok"), "what it changes in the cluster"),
            (format!("{make} deploy{environment}"), "bring it there"),
            (format!("{git} add -A && {git} commit -m 'Add {name}'"), ""),
        ],
    };
    evolution.propose(&proposal, &options.run, ui)
}

/// Fails if something in the manifests is called as what `new` brings, or has another tag of its image.
fn check_room(taken: &Taken, answers: &Answers, new: &Component) -> Result<()> {
    let kinds = [
        Some(new.workload.kind()),
        new.port.map(|_| "Service"),
        new.ingress.as_ref().map(|_| "Ingress"),
        new.service_account.then_some("ServiceAccount"),
        new.config.then_some("ConfigMap"),
    ];
    let kinds: Vec<_> = kinds.into_iter().flatten().collect();
    if let Some((kind, file)) = taken.object(&kinds, new.name.as_str()) {
        return Err(Failure::failed(format!("there is a {kind} `{}` already", new.name))
            .because(format!("it stands in `{file}`"))
            .hint("add one of another name")
            .into());
    }
    // Of a component's own image there is the tag that it has.
    let mut others = answers.components.iter().filter(|one| one.name != new.name);
    let is_known = others.any(|one| one.image.name() == new.image.name());
    match taken.other_tag(&new.image).filter(|_| !is_known) {
        Some(file) => Err(Failure::failed(format!("`{}` runs with another tag already", new.image.name()))
            .because(format!("it stands in `{file}`, and a kustomization has one tag for all containers"))
            .hint("--image with that tag, or another name of the image")
            .into()),
        None => Ok(()),
    }
}

/// The answers among the options.
fn values(options: &Options) -> Result<Values> {
    let mut values = component::values(&options.component);
    for (name, texts) in component::scoped(&options.component) {
        // Environments follow by rule here: their kustomizations are there to be edited.
        if let Some(text) = Scoped::read(&name.option(), texts, |_| false)?.common {
            values.insert(name, name.typed(text));
        }
    }
    let broken = values.iter().find_map(|(name, text)| Some((*name, name.check(text.as_deref()?).err()?)));
    match broken {
        Some((name, rule)) => Err(questions::failure(Refused::Broken(name, rule))),
        None => Ok(values),
    }
}

/// What was decided, a line each.
fn decisions(new: &Component) -> Vec<(&'static str, String)> {
    let mut lines =
        vec![("image", new.image.to_string()), (Name::Workload.as_str(), new.workload.as_str().to_owned())];
    lines.extend(new.schedule.as_ref().map(|schedule| ("schedule", schedule.to_string())));
    lines.extend(new.port.map(|port| ("port", port.to_string())));
    lines.extend(new.ingress.as_ref().map(|host| ("ingress", host.to_string())));
    lines
}
