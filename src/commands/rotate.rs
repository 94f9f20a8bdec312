//! `makeinfra rotate`: writes a new deploy token to the pull secrets and changes nothing else.

mod finish;
mod found;
mod issue;
mod propose;
mod report;
mod together;
mod write;

use super::deploy_tokens;
use super::fleet::{Fleet, Task};
use super::scope;
use super::sign_in;
use super::transaction;
use super::{missing, secret_answers, sweep_repository, token_source};
use crate::advice::{Advice, shell_word};
use crate::answers::{Answer, ImageRef, Name, RegistryKey, Sheet};
use crate::cli::{Repositories, Rotate as Options};
use crate::credentials::{Source, warn_if_past};
use crate::error::{Failure, Result};
use crate::inspection::Inspection;
use crate::pull_secret::DeployToken;
use crate::questions::Given;
use crate::report::Report;
use crate::rotation::{EntryChoice, Files, Plan, RotateOverrides};
use crate::ui::Ui;
use found::{RotationTarget, inspect, open};
use std::path::Path;
use write::write;

/// The action that failures name.
const ROTATE: &str = "rotate";

impl Task for Options {
    const COMMAND: &'static str = "rotate";

    fn repositories(&self) -> &Repositories {
        &self.repositories
    }

    fn environment(&self) -> Option<&str> {
        match self.env.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    fn reads_stdin(&self) -> bool {
        token_source(&self.token).is_ok_and(|source| source.reads_stdin())
    }

    fn one(&self, repo: &Path, ui: &mut Ui) -> Result<Report> {
        run(self, repo, ui)
    }

    fn several(&self, fleet: &Fleet, ui: &mut Ui) -> Result<()> {
        together::run(self, fleet, ui)
    }
}

/// Runs the command for the repository at `repo`.
fn run(options: &Options, repo: &Path, ui: &mut Ui) -> Result<Report> {
    check_options(options)?;
    if options.finish.finish {
        return finish::run(options, repo, ui);
    }
    if let Some(target) = &options.propose.propose {
        return propose::run(options, target, repo, ui);
    }
    let source = token_source(&options.token)?;
    let overrides = overrides(options, ui)?;
    let lifetime = if options.gitlab.from_gitlab {
        Some(deploy_tokens::lifetime(&options.gitlab, overrides.expires_at.as_ref(), ui)?)
    } else {
        None
    };
    let (mut found, _lock) = open(options, repo, &overrides, ui)?;
    sweep_repository(&found.root(), options.run.dry_run, ui);
    if let Some(plan) = without_token(options, &found, &overrides, ui)? {
        return write_or_tell(options, &found, &overrides, &plan, ui);
    }
    if let Some(lifetime) = lifetime {
        return issue::run(options, &mut found, &overrides, &lifetime, ui);
    }
    let lacking: Vec<String> = source.missing().into_iter().map(str::to_owned).collect();
    if options.run.dry_run && !lacking.is_empty() {
        return Ok(report::dry_run(options, &found, None));
    }
    if !lacking.is_empty() && !ui.can_ask() {
        let hint = again(options).with("--token-username NAME --token-file FILE");
        return Err(missing(&lacking, hint));
    }
    if !lacking.is_empty() {
        ui.intro("makeinfra rotate")?;
        let paths: Vec<_> = found.files.secrets.iter().map(|file| file.path.as_str()).collect();
        let registry = found.files.registry(&overrides)?;
        ui.note("Pull secret", &format!("{}\nfor {registry}", paths.join("\n")))?;
    }
    let token = token(options, source, &found, &overrides, ui)?;
    let plan = planned(&found, &token, &overrides, ui)?;
    if plan.rotates() && !keeps_own_token(options) {
        warn_of_others(&found.files, &[found.name()], ui);
    }
    if options.check.check {
        let inspection = inspect(&found)?;
        let images = images(&found, &plan, &overrides, &inspection)?;
        found.checked = sign_in::check(&options.check, &token, &images, &again(options), ui)?;
    }
    write_or_tell(options, &found, &overrides, &plan, ui)
}

/// Fails on combinations of options that clap does not detect.
fn check_options(options: &Options) -> Result<()> {
    let file = options.repositories.repos.iter().find(|repo| repo.is_file());
    if let (Some(None), Some(file)) = (&options.token.from_docker_config, file) {
        let failure = Failure::usage("`--from-docker-config` requires a `=` before the file");
        let file = shell_word(file);
        return Err(failure
            .hint(again(options).with(format!("--from-docker-config={file}")))
            .into());
    }
    let asks_gitlab = options.gitlab.from_gitlab || options.finish.finish;
    if let Some(option) = options.gitlab.given().filter(|_| !asks_gitlab) {
        let failure = Failure::usage(format!("`{option}` requires `--from-gitlab` or `--finish`"));
        return Err(failure.hint(again(options).with("--from-gitlab --expires-in 90d")).into());
    }
    Ok(())
}

/// The plan of a change that needs no token; `None` if it needs one.
fn without_token(
    options: &Options,
    found: &RotationTarget,
    overrides: &RotateOverrides,
    ui: &mut Ui,
) -> Result<Option<Plan>> {
    if let EntryChoice::Removed(registry) = &overrides.entry {
        return found.files.remove(registry).map(Some);
    }
    let Some(expires_at) = overrides.expires_at.as_ref().filter(|_| options.keep_token) else {
        return Ok(None);
    };
    warn_if_past(expires_at, ui);
    found.files.expire(expires_at, overrides).map(Some)
}

/// The plan for `token`.
fn planned(
    found: &RotationTarget,
    token: &DeployToken,
    overrides: &RotateOverrides,
    ui: &mut Ui,
) -> Result<Plan> {
    let plan = found.files.rotate(token, overrides)?;
    // For a token that GitLab issued, the expiry was chosen already.
    if plan.rotates() && token.expires_at().is_none() && token.issued().is_none() {
        warn_of_expiry(found, overrides, ui);
    }
    Ok(plan)
}

/// The images that are pulled with the token.
fn images<'i>(
    found: &'i RotationTarget,
    plan: &Plan,
    overrides: &RotateOverrides,
    inspection: &'i Inspection,
) -> Result<Vec<&'i ImageRef>> {
    let deployed: Vec<_> = inspection.manifests.pulls().map(|pull| pull.image).collect();
    found.files.images(plan, overrides, &deployed)
}

/// Warns if the new token's expiry is not recorded although it should be.
fn warn_of_expiry(found: &RotationTarget, overrides: &RotateOverrides, ui: &mut Ui) {
    let options = "--expires-at DATE, or --expires-at never";
    match (found.files.expiry(overrides), &overrides.entry) {
        (Some(known), _) => ui.warn(format!(
            "the expiry of the new token is unknown (expiry of the old token: {known}): {options}"
        )),
        (None, EntryChoice::Added(registry)) => {
            ui.warn(format!("the expiry of the token of {registry} is unknown: {options}"));
        }
        (None, _) => {}
    }
}

/// Warns about repositories that keep the token while those in `given` get a new one.
fn warn_of_others(files: &Files, given: &[String], ui: &mut Ui) {
    let keeping: Vec<_> =
        files.sharing().into_iter().filter(|name| !given.contains(name)).collect();
    if !keeping.is_empty() {
        ui.warn(format!(
            "the old token is still in use: {} shared it with this repository; `rotate --finish` \
             requires them, too",
            keeping.join(", ")
        ));
    }
}

/// Writes `plan`, or reports it in a dry run.
fn write_or_tell(
    options: &Options,
    found: &RotationTarget,
    overrides: &RotateOverrides,
    plan: &Plan,
    ui: &mut Ui,
) -> Result<Report> {
    if options.run.dry_run {
        return Ok(report::dry_run(options, found, Some(plan)));
    }
    let is_mended = options.commits() && transaction::repair_index(&found.repo, ui)?;
    let commit = write(options, found, overrides, plan, &report::subject(options, found))?;
    let mut report = report::outcome(options, found, plan, commit.as_deref());
    report.changed |= is_mended;
    if ui.tells_next() {
        report.next = report::steps(options, found, plan, commit.as_deref());
    }
    Ok(report)
}

/// The command to repeat with another token.
fn again(options: &Options) -> Advice {
    let environments = options.env.iter().map(|name| ("--env", name));
    let registries =
        [("--add-registry", &options.add_registry), ("--registry", &options.secret.registry)];
    let registries =
        registries.into_iter().filter_map(|(option, value)| Some((option, value.as_ref()?)));
    let again = environments
        .chain(registries)
        .fold(Advice::makeinfra("rotate"), |again, (option, value)| again.option(option, value));
    if options.check.check { again.with("--check") } else { again }
}

/// Whether the project's own token stays unchanged.
fn keeps_own_token(options: &Options) -> bool {
    options.keep_token || options.add_registry.is_some() || options.remove_registry.is_some()
}

fn overrides(options: &Options, ui: &Ui) -> Result<RotateOverrides> {
    let mut sheet = Sheet::default();
    secret_answers(&options.secret, &mut sheet, |_| false)?;
    let given = Given::collect(sheet, &[], None, None, ui)?;
    let key = |option: &str, text: &str| {
        RegistryKey::parse(text).map_err(|rule| {
            Failure::usage(format!("`{option}` {rule}")).hint(format!("{option} ghcr.io"))
        })
    };
    let entry = match (&options.add_registry, &options.remove_registry, given.get(Name::Registry)?)
    {
        (Some(host), ..) => EntryChoice::Added(key("--add-registry", host)?),
        (_, Some(host), _) => EntryChoice::Removed(key("--remove-registry", host)?),
        (.., Some(registry)) => EntryChoice::Named(registry),
        _ => EntryChoice::Own,
    };
    Ok(RotateOverrides {
        entry,
        email: given.get(Name::Email)?,
        kind: given.get(Name::SecretType)?,
        expires_at: given.get(Name::ExpiresAt)?,
    })
}

fn token(
    options: &Options,
    source: Source,
    found: &RotationTarget,
    overrides: &RotateOverrides,
    ui: &mut Ui,
) -> Result<DeployToken> {
    let registry = found.files.registry(overrides)?;
    source.read(
        &registry,
        found.files.image(),
        options.check.check,
        overrides.expires_at.clone(),
        ui,
    )
}
