//! `makeinfra add`: adds a component to a repository, next to the project's own.

use super::component;
use super::managed::ManagedRepo;
use super::scope::Scoped;
use super::workspace::Proposal;
use crate::advice::Advice;
use crate::answers::{Answer, Answers, ComponentName, Record, Refused, Values};
use crate::change::{self, Files, MadeFrom, NewComponent, Plan};
use crate::cli::Add as Options;
use crate::error::{Failure, Result};
use crate::pull_secret::keyring;
use crate::questions;
use crate::report::Report;
use crate::ui::Ui;
use std::path::Path;

/// Runs the command.
pub fn run(options: &Options, ui: &mut Ui) -> Result<Report> {
    let name = ComponentName::parse(&options.name).map_err(|rule| {
        Failure::usage(format!("`NAME` {rule}"))
            .hint(Advice::makeinfra("add worker").with("--port none"))
    })?;
    let values = values(options)?;
    let managed = ManagedRepo::open(&options.repo, "add worker", &options.plan)?;
    // A component that a killed run recorded but did not commit does not count as existing.
    let has = |record: &Record| record.answers.components.rest.iter().any(|one| one.name == name);
    let is_recorded = has(&managed.record);
    if managed.record.answers.main().name == name
        || is_recorded && managed.committed.as_ref().is_some_and(has)
    {
        return Err(change::exists_already("component", name.as_str()).into());
    }
    let stripped;
    let record = if is_recorded {
        stripped = Record::parse(change::component_dropped(&managed.record.text, name.as_str())?)?;
        &stripped
    } else {
        &managed.record
    };
    let made_from = MadeFrom { record, templates: &managed.templates };
    let settings =
        options.component.config.as_deref().map(|file| component::settings(Path::new(file), ui));
    let settings = settings.transpose()?;
    let new = NewComponent::decide(&managed.workspace.files, made_from, &name, values.clone())?;
    let mut answers = new.sheet.answers().map_err(questions::failure)?;
    if let Some(new) = answers.components.rest.last_mut() {
        new.settings = settings;
    }
    let plan = |files: &Files| -> Result<Plan> {
        NewComponent::decide(files, made_from, &name, values.clone())?.plan(files, &answers)
    };
    if is_recorded && !plan(&managed.workspace.files)?.is_done() {
        return Err(change::exists_already("component", name.as_str()).into());
    }
    warn(&answers, ui);
    let environment = answers.choice(&answers.environments.first);
    let proposal = Proposal {
        title: format!("New component {name}"),
        command: Advice::makeinfra(format!("add {name}")),
        message: format!("Add {name}"),
        checked: None,
        edited: &[],
        new_key: None,
        next: vec![
            Advice::make("diff")
                .for_env(environment)
                .with("CHANGES=ok")
                .why("show what changes in the cluster"),
            Advice::make("deploy").for_env(environment).why("deploy it"),
        ],
        plan: &plan,
    };
    managed.workspace.propose(&proposal, &options.plan, ui)
}

/// Warns if the pull Secret does not match the image, and about hosts that two Ingresses share.
fn warn(answers: &Answers, ui: &mut Ui) {
    let new = answers.components.iter().last().unwrap_or(answers.main());
    if !new.is_public() && !keyring::matches(answers.registry.as_str(), &new.image) {
        ui.warn(format!(
            "the pull secret is for `{}`; `{}` is pulled without credentials unless you add an \
             entry for it",
            answers.registry,
            new.image.name()
        ));
    }
    super::warn_of_shared_hosts(answers, ui);
    super::warn_of_images(answers, ui);
}

/// The options as answers.
fn values(options: &Options) -> Result<Values> {
    let mut values = component::values(&options.component);
    for (name, texts) in component::scoped(&options.component) {
        // Only one value for all environments: their kustomizations can be edited.
        if let Some(text) = Scoped::read(&name.option(), texts, |_| false)?.common {
            values.insert(name, name.typed(text));
        }
    }
    let broken =
        values.iter().find_map(|(name, text)| Some((*name, name.check(text.as_deref()?).err()?)));
    match broken {
        Some((name, rule)) => Err(questions::failure(Refused::Broken(name, rule))),
        None => Ok(values),
    }
}
