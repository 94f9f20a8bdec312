//! `makeinfra rotate` over several repositories: all are looked at, one token is read for all of them, and each gets it.

use super::{
    Found, Options, again, check_options, images, inspect, open, overrides, planned, report, without_token,
    write_or_tell,
};
use crate::advice::Advice;
use crate::answers::{ImageRef, RegistryKey};
use crate::commands::fleet::{Fleet, Look};
use crate::commands::sign_in::{self, Asked};
use crate::commands::{missing, sweep_repository, token_source};
use crate::credentials::Source;
use crate::error::{Failure, Result};
use crate::pull_secret::DeployToken;
use crate::registry::PARALLEL;
use crate::report::Report;
use crate::rotation::RotateOverrides;
use crate::ui::Ui;
use std::path::Path;
use std::thread;

/// What is known of a repository before there is a token for it.
struct Ready {
    /// The registry that the token is for; `None` if the change needs no token.
    registry: Option<RegistryKey>,
    image: Option<ImageRef>,
}

/// What all repositories get.
struct Given<'g> {
    overrides: &'g RotateOverrides,
    /// `None` if the change needs none, or a dry run does not know it.
    token: Option<DeployToken>,
    /// What registries say of it, if they were asked.
    asked: Option<Asked>,
}

/// Runs the command.
pub(super) fn run(options: &Options, fleet: &Fleet, ui: &mut Ui) -> Result<()> {
    if options.gitlab.from_gitlab || options.finish.finish {
        let option = if options.finish.finish { "--finish" } else { "--from-gitlab" };
        return Err(Failure::usage(format!("`{option}` takes one repository"))
            .hint(Advice::makeinfra("rotate").with(option))
            .into());
    }
    let source = token_source(&options.token)?;
    check_options(options)?;
    let overrides = &overrides(options, ui)?;
    let looks = fleet.look(|repo, ui| look(options, repo, overrides, ui), ui)?;
    let token = token(options, source, overrides, fleet, &looks, ui)?;
    let mut given = Given { overrides, token, asked: None };
    if let Some(token) = given.token.as_ref().filter(|_| options.check.check) {
        given.asked = Some(ask(options, token, overrides, fleet, &looks, ui)?);
    }
    fleet.carry_out(&looks, |repo, ui| write(options, repo, &given, ui), ui)
}

/// Looks at the repository at `repo`, whatever the token.
fn look(options: &Options, repo: &Path, overrides: &RotateOverrides, ui: &mut Ui) -> Result<(Report, Ready)> {
    let (found, _lock) = open(options, repo, overrides, ui)?;
    let plan = without_token(options, &found, overrides, ui)?;
    let mut report = report::dry_run(options, &found, plan.as_ref());
    report.is_pending |= options.commit && found.uncommitted.contains(&true);
    let registry = if plan.is_none() { Some(found.files.registry(overrides)?) } else { None };
    Ok((report, Ready { registry, image: found.files.image().cloned() }))
}

/// Reads the one token, if one is needed and can be.
fn token(
    options: &Options,
    source: Source,
    overrides: &RotateOverrides,
    fleet: &Fleet,
    looks: &[Look<Ready>],
    ui: &mut Ui,
) -> Result<Option<DeployToken>> {
    let wanted = fleet.places.iter().zip(looks).filter_map(|(place, look)| {
        let ready = look.ready.as_ref()?;
        Some((place.name.as_str(), ready.registry.as_ref()?, ready))
    });
    let wanted: Vec<_> = wanted.collect();
    let Some((first, registry, ready)) = wanted.first() else { return Ok(None) };
    if let Some((other, its, _)) = wanted.iter().find(|(_, other, _)| other != registry) {
        return Err(Failure::usage("one token cannot be for different registries; nothing was written")
            .because(format!("`{first}` is for {registry}, `{other}` for {its}"))
            .hint("name those of one registry together")
            .into());
    }
    let lacking: Vec<String> = source.missing().into_iter().map(str::to_owned).collect();
    if !lacking.is_empty() {
        if options.run.dry_run {
            return Ok(None);
        }
        if !ui.can_ask() {
            return Err(missing(&lacking, "--token-username NAME --token-file FILE"));
        }
        ui.intro("makeinfra rotate")?;
        let names: Vec<_> = wanted.iter().map(|(name, ..)| *name).collect();
        ui.note("Pull secrets", &format!("{}\nfor {registry}", names.join("\n")))?;
    }
    let expires_at = overrides.expires_at.clone();
    source.read(registry, ready.image.as_ref(), options.check.check, expires_at, ui).map(Some)
}

/// Asks registries about the images of all repositories together: a login that is refused is not tried again.
fn ask(
    options: &Options,
    token: &DeployToken,
    overrides: &RotateOverrides,
    fleet: &Fleet,
    looks: &[Look<Ready>],
    ui: &mut Ui,
) -> Result<Asked> {
    let pulled = |at: usize| -> Result<Vec<ImageRef>> {
        if looks[at].ready.is_none() {
            return Ok(Vec::new());
        }
        let mut ui = Ui::quiet();
        let (found, _lock) = open(options, &fleet.places[at].path, overrides, &mut ui)?;
        let plan = planned(&found, token, overrides, &mut ui)?;
        Ok(images(&found, &plan, overrides, &inspect(&found)?)?.into_iter().cloned().collect())
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let all = fleet.gather(cores, pulled, "looking for images", ui)?;
    // What cannot be read any more is told where it is written.
    let all = all.into_iter().filter_map(Result::ok).flatten().collect();
    sign_in::ask_once(&options.check, options.jobs.or(PARALLEL), token, all, ui)
}

/// Does the rest in the repository at `repo`.
fn write(options: &Options, repo: &Path, given: &Given, ui: &mut Ui) -> Result<Report> {
    let (mut found, _lock) = open(options, repo, given.overrides, ui)?;
    sweep_repository(&found.root(), options.run.dry_run, ui);
    let plan = match (without_token(options, &found, given.overrides, ui)?, &given.token) {
        (Some(plan), _) => plan,
        (None, Some(token)) => planned(&found, token, given.overrides, ui)?,
        (None, None) => return Ok(report::dry_run(options, &found, None)),
    };
    if let Some(asked) = &given.asked {
        found.checked = Some(checked(options, &found, &plan, given.overrides, asked, ui)?);
    }
    write_or_tell(options, &found, given.overrides, &plan, ui)
}

fn checked(
    options: &Options,
    found: &Found,
    plan: &crate::rotation::Plan,
    overrides: &RotateOverrides,
    asked: &Asked,
    ui: &mut Ui,
) -> Result<sign_in::Checked> {
    let inspection = inspect(found)?;
    let images = images(found, plan, overrides, &inspection)?;
    asked.judge(&images, &again(options), &found.root(), ui)
}
