//! `makeinfra env remove`.

use crate::advice::Advice;
use crate::answers::{Answer, EnvironmentName, Superseded};
use crate::change::{self, Files};
use crate::cli::EnvRemove as Options;
use crate::commands::managed::ManagedRepo;
use crate::commands::workspace::Proposal;
use crate::error::{Failure, Result};
use crate::report::Report;
use crate::ui::Ui;

/// Runs the command.
pub fn remove(options: &Options, ui: &mut Ui) -> Result<Report> {
    let name = EnvironmentName::parse(&options.name).map_err(|rule| {
        Failure::usage(format!("`NAME` {rule}")).hint(Advice::makeinfra("env list"))
    })?;
    let managed = ManagedRepo::open(&options.repo, "env remove staging", &options.plan)?;
    let record =
        &managed.record_with(|record| record.answers.environment(name.as_str()).is_some())?;
    let retired = change::remove_environment(&managed.workspace.files, record, name.as_str())?;
    let plan = |files: &Files| {
        change::remove_environment(files, record, name.as_str()).map(|retired| retired.plan)
    };
    let kubectl = retired.context.iter().fold(Advice::anywhere("kubectl"), |kubectl, context| {
        kubectl.arg("--context").arg(context)
    });
    let mut next = vec![
        kubectl
            .arg("delete")
            .arg("namespace")
            .arg(retired.namespace)
            .why("delete the objects there, including volumes"),
    ];
    if retired.tokens.iter().any(|token| matches!(token, Superseded::Issued(_))) {
        let had = format!("the deploy tokens that only {name} used");
        next.push(if retired.is_issued {
            let finish = Advice::makeinfra("rotate").with("--finish");
            finish.why(format!("asks on a terminal whether to delete {had}"))
        } else {
            Advice::makeinfra("token list").why(format!("list {had}; delete them in GitLab"))
        });
    }
    let proposal = Proposal {
        title: format!("Remove environment {name}"),
        command: Advice::makeinfra(format!("env remove {name}")),
        message: format!("Remove environment {name}"),
        checked: None,
        edited: &[],
        new_key: None,
        next,
        plan: &plan,
    };
    managed.workspace.propose(&proposal, &options.plan, ui)
}
