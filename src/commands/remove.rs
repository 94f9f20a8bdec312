//! `makeinfra remove`: removes a component from a repository.

use super::managed::ManagedRepo;
use super::workspace::Proposal;
use crate::advice::Advice;
use crate::answers::{Answer, ComponentName, Record};
use crate::change::{self, Files, MadeFrom};
use crate::cli::Remove as Options;
use crate::error::{Failure, Result};
use crate::report::Report;
use crate::ui::Ui;

/// Runs the command.
pub fn run(options: &Options, ui: &mut Ui) -> Result<Report> {
    let name = ComponentName::parse(&options.name).map_err(|rule| {
        Failure::usage(format!("`NAME` {rule}")).hint(Advice::makeinfra("remove worker"))
    })?;
    let managed = ManagedRepo::open(&options.repo, "remove worker", &options.plan)?;
    let has = |record: &Record| record.answers.components.iter().any(|one| one.name == name);
    let record = &managed.record_with(has)?;
    let made_from = MadeFrom { record, templates: &managed.templates };
    let plan = |files: &Files| change::remove_component(files, made_from, name.as_str());
    let answers = &record.answers;
    let environment = answers.choice(&answers.environments.first);
    let proposal = Proposal {
        title: format!("Remove component {name}"),
        command: Advice::makeinfra(format!("remove {name}")),
        message: format!("Remove {name}"),
        checked: None,
        edited: &[],
        new_key: None,
        next: vec![
            Advice::make("deploy")
                .for_env(environment)
                .why("deploy; the output lists what is left in the cluster"),
            Advice::make("prune").for_env(environment).why("delete that after confirmation"),
        ],
        plan: &plan,
    };
    managed.workspace.propose(&proposal, &options.plan, ui)
}
