//! `makeinfra env`: the environments of a repository.

mod list;

pub use list::list;

use super::evolve::{Evolution, Proposal, Typed};
use crate::answers::{Answer, DnsLabel, Environment, EnvironmentName, Host, Name, Sheet, Workload};
use crate::change::Policy;
use crate::cli::EnvAdd as Options;
use crate::context::Payload;
use crate::error::{Failure, Result};
use crate::pull_secret::Manifest;
use crate::questions;
use crate::ui::Ui;
use std::path::Path;

/// Runs `env add`.
pub fn add(options: &Options, ui: &mut Ui) -> Result<()> {
    let name = environment_name("NAME", &options.name)?;
    let evolution = Evolution::open(&options.repo, "env add staging", &options.run)?;
    let sheet = with_environment(&evolution, &name, options)?;
    let answers = evolution.adopted.answers(&sheet).map_err(questions::failure)?;
    let new = answers.environments.iter().last().unwrap_or(&answers.environments.first);
    let first = &answers.environments.first;
    if let Some(main) = new.deployed.first() {
        for (option, wanted, is_there) in [
            ("--ingress", options.ingress.is_some(), main.host.is_some()),
            ("--replicas", options.replicas.is_some(), main.replicas.is_some()),
        ] {
            if wanted && !is_there {
                let what = if option == "--ingress" { "host of the Ingress" } else { "Deployment" };
                return Err(Failure::usage(format!("`{option}` would change nothing"))
                    .because(format!("the {what} is not where makeinfra puts it in the manifests"))
                    .hint(format!(
                        "leave it out, and edit {} afterwards",
                        new.overlay() + "/kustomization.yaml"
                    ))
                    .into());
            }
        }
    }

    // The new environment gets the token of the first.
    let path = first.secret_file(&answers.secret_name);
    let text = evolution.secret(&path)?;
    let manifest = text.as_ref().map(|text| {
        Manifest::parse(text.expose()).map_err(|fault| {
            Failure::failed(format!("cannot copy the token of `{path}`"))
                .because(fault)
                .hint("makeinfra check")
        })
    });
    let manifest = manifest.transpose()?;
    let base64 = manifest.as_ref().map(|manifest| manifest.config().encode(answers.secret_type));
    let expires_at = manifest.as_ref().and_then(Manifest::expires_at);
    let payload = base64.as_ref().map(|base64| Payload { base64: base64.expose(), expires_at });
    let mut payloads = vec![None; answers.environments.rest.len()];
    payloads.push(payload);

    let token = match manifest {
        Some(_) => format!("that of {}", first.name),
        None => "none yet".to_owned(),
    };
    let mut decisions = vec![
        ("namespace", new.namespace.to_string()),
        ("context", new.context.as_ref().map_or("the current one".to_owned(), ToString::to_string)),
        ("image", answers.image().to_string()),
        ("token", token),
        ("protected", if new.protect { "yes: make asks first" } else { "no" }.to_owned()),
    ];
    let main = new.deployed.first();
    if let Some(replicas) = main.and_then(|main| main.replicas)
        && answers.main().workload == Workload::Deployment
    {
        decisions.insert(3, ("pods", replicas.to_string()));
    }
    decisions.extend(main.and_then(|main| Some(("ingress", main.host.as_ref()?.to_string()))));
    super::warn_of_shared_hosts(&answers, ui);
    if evolution.adopted.shares_hosts() {
        ui.warn(format!(
            "an Ingress has further hosts, which {name} would share: give it others in `{}/kustomization.yaml`",
            new.overlay()
        ));
    }
    let Typed { make, git, repo } = evolution.typed();
    let mut next = vec![
        (
            format!("{git} add -A && {git} commit -m 'Add an environment'"),
            "git-crypt encrypts the Secret on the way",
        ),
        (format!("{make} deploy ENV={name}"), "bring it to the cluster"),
    ];
    if new.protect || base64.is_none() {
        next.insert(0, (format!("makeinfra rotate --env {name}{repo}"), "give it a deploy token of its own"));
    }
    for file in further_secrets(&evolution.repo.root().join(&first.secrets), &answers.secret_name) {
        next.insert(
            0,
            (
                format!("makeinfra secret set {file} KEY{repo} --env {name}"),
                "each environment has values of its own",
            ),
        );
    }
    let proposal = Proposal {
        answers: &answers,
        policy: Policy { merge: false, keep: &options.keep.keep },
        payloads: &payloads,
        title: format!("New environment {name}"),
        decisions,
        command: format!("makeinfra env add {name}{repo}"),
        done: format!("Added environment {name}."),
        next,
    };
    evolution.propose(&proposal, &options.run, ui)
}

/// The names of the Secrets in a directory, but for the pull secret.
fn further_secrets(dir: &Path, pull_secret: &DnsLabel) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".secret.yaml").map(str::to_owned));
    let mut names: Vec<_> =
        names.filter(|name| DnsLabel::parse(name).is_ok_and(|label| label != *pull_secret)).collect();
    names.sort();
    names
}

/// The answers with the environment called `name`.
fn with_environment(evolution: &Evolution, name: &EnvironmentName, options: &Options) -> Result<Sheet> {
    let mut sheet = evolution.adopted.sheet.clone();
    let answers = &evolution.record.answers;
    if answers.environment(name.as_str()).is_some() {
        return Err(Failure::failed(format!("there is an environment `{name}` already"))
            .hint("makeinfra env list")
            .into());
    }
    let context = options.context.as_deref();
    let same_place = |one: &&Environment| {
        options.namespace.as_deref() == Some(one.namespace.as_str())
            && one.context.as_ref().map(ToString::to_string).as_deref() == context
    };
    if let Some(other) = answers.environments.iter().find(same_place) {
        return Err(Failure::usage(format!("`--namespace` is that of {} in the same cluster", other.name))
            .hint(format!("--namespace {}-{name}", answers.project))
            .into());
    }
    let given = [
        (Name::Namespace, options.namespace.clone()),
        (Name::Context, options.context.clone()),
        (Name::Protect, options.protect.then(|| "yes".to_owned())),
        (Name::Replicas, options.replicas.clone()),
        (Name::Ingress, options.ingress.clone()),
    ];
    let host = sheet.values.get(&Name::Ingress).cloned().flatten();
    if options.ingress.is_some() && host.is_none() {
        return Err(Failure::usage("`--ingress` is for a project with an Ingress, and this one has none")
            .hint("leave it out")
            .into());
    }
    let values = sheet.environment(name);
    for (name, text) in given.into_iter().filter_map(|(name, text)| Some((name, text?))) {
        name.check(&text).map_err(|rule| questions::failure(crate::answers::Refused::Broken(name, rule)))?;
        values.insert(name, Some(text));
    }
    if let Some(host) = host {
        // The host itself is that of an environment that is there.
        let below = format!("{name}.{host}");
        if options.ingress.is_none() && Host::parse(&below).is_err() {
            return Err(Failure::usage(format!("the host `{host}` has no room for `{name}` before it"))
                .hint(format!("makeinfra env add {name} --ingress HOST"))
                .into());
        }
        values.entry(Name::Ingress).or_insert(Some(below));
    }
    Ok(sheet)
}

fn environment_name(what: &str, text: &str) -> Result<EnvironmentName> {
    Ok(EnvironmentName::parse(text)
        .map_err(|rule| Failure::usage(format!("`{what}` {rule}")).hint("makeinfra env add staging"))?)
}
