//! `makeinfra env add`.

use crate::answers::{Answer, EnvironmentName, Name, Record, Refused, Replicas};
use crate::change::{self, Files, NewEnvironment, Plan};
use crate::cli::EnvAdd as Options;
use crate::commands::evolve::{Evolution, Proposal, Typed};
use crate::commands::warn_of_shared_hosts;
use crate::error::{Failure, Result};
use crate::questions;
use crate::ui::Ui;

/// Runs the command.
pub fn add(options: &Options, ui: &mut Ui) -> Result<()> {
    let name = EnvironmentName::parse(&options.name)
        .map_err(|rule| Failure::usage(format!("`NAME` {rule}")).hint("makeinfra env add staging"))?;
    let wanted = wanted(options)?;
    let evolution = Evolution::open(&options.repo, "env add staging", &options.plan)?;
    // What a run that was killed has recorded, and nobody has committed, is as good as not there.
    let is_recorded = evolution.record.answers.environment(name.as_str()).is_some();
    let stripped;
    let record = match is_recorded {
        true => {
            let committed =
                evolution.committed.as_ref().and_then(|record| record.answers.environment(name.as_str()));
            if committed.is_some() || evolution.record.answers.environments.rest.is_empty() {
                return Err(change::exists_already("environment", name.as_str()).into());
            }
            stripped = Record::parse(change::environment_dropped(&evolution.record.text, name.as_str())?)?;
            &stripped
        }
        false => &evolution.record,
    };
    let new = NewEnvironment::decide(&evolution.files, record, &name, &wanted)?;
    let answers = new.sheet.answers().map_err(questions::failure)?;
    let is_by_hand = new.is_by_hand();
    let plan = |files: &Files| -> Result<Plan> {
        NewEnvironment::decide(files, record, &name, &wanted)?.plan(files, &answers)
    };
    let planned = plan(&evolution.files)?;
    if is_recorded && !planned.is_done() {
        return Err(change::exists_already("environment", name.as_str()).into());
    }
    warn_of_shared_hosts(&answers, ui);
    let Typed { make, repo, .. } = evolution.typed();
    let mut next = Vec::new();
    for (secret, _) in planned.lacking {
        next.push((
            format!("makeinfra secret set {secret} KEY{repo} --env {name}"),
            "each environment has values of its own",
        ));
    }
    if !is_by_hand {
        next.push((format!("makeinfra rotate{repo} --env {name}"), "give it a deploy token of its own"));
    }
    next.push((format!("{make} deploy ENV={name}"), "bring it to the cluster"));
    let proposal = Proposal {
        title: format!("New environment {name}"),
        command: format!("makeinfra env add {name}{repo}"),
        message: format!("Add environment {name}"),
        next,
        plan: &plan,
    };
    evolution.propose(&proposal, &options.plan, ui)
}

/// The options as answers.
fn wanted(options: &Options) -> Result<change::Options> {
    let like = options.like.as_deref().map(EnvironmentName::parse).transpose();
    Ok(change::Options {
        like: like.map_err(|rule| Failure::usage(format!("`--like` {rule}")).hint("makeinfra env list"))?,
        namespace: given(Name::Namespace, options.namespace.as_deref())?,
        context: given(Name::Context, options.context.as_deref())?,
        protect: options.protect,
        replicas: given::<Replicas>(Name::Replicas, options.replicas.as_deref())?.map(|replicas| replicas.0),
        ingress: given(Name::Ingress, options.ingress.as_deref())?,
        with_secrets: options.with_secrets,
    })
}

fn given<T: Answer>(name: Name, text: Option<&str>) -> Result<Option<T>> {
    text.map(T::parse).transpose().map_err(|rule| questions::failure(Refused::Broken(name, rule)))
}
