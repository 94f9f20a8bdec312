//! `makeinfra rotate` over several repositories: checks all of them, reads one token, and writes it
//! to each.

mod gitlab;
mod groups;

use super::found::open_again;
use super::{
    Options, RotationTarget, again, check_options, finish, images, inspect, issue, keeps_own_token,
    open, overrides, planned, report, warn_of_others, without_token, write_or_tell,
};
use crate::advice::Advice;
use crate::answers::ImageRef;
use crate::commands::fleet::{Fleet, Preflight};
use crate::commands::sign_in::{self, RegistryVerdicts};
use crate::commands::{missing, sweep_repository, token_source};
use crate::credentials::Source;
use crate::error::{Failure, Result};
use crate::pull_secret::DeployToken;
use crate::registry::PARALLEL;
use crate::report::Report;
use crate::rotation::{EntryChoice, Plan, RotateOverrides};
use crate::ui::Ui;
use groups::RotationCandidate;
use std::path::Path;
use std::thread;

/// What all repositories get.
struct Given<'g> {
    overrides: &'g RotateOverrides,
    /// `None` if the change needs no token, or a dry run does not know it.
    token: Option<DeployToken>,
    /// The registries' verdicts; `None` if they were not asked.
    asked: Option<RegistryVerdicts>,
}

/// Runs the command.
pub(super) fn run(options: &Options, fleet: &Fleet, ui: &mut Ui) -> Result<()> {
    check_options(options)?;
    if options.finish.finish {
        return finish::several(options, fleet, ui);
    }
    if let Some(target) = &options.propose.propose {
        let again = Advice::makeinfra("rotate").with("--from-gitlab").option("--propose", target);
        return Err(Failure::usage("`--propose` takes one repository").hint(again).into());
    }
    let source = token_source(&options.token)?;
    let overrides = &overrides(options, ui)?;
    if options.gitlab.from_gitlab {
        return gitlab::run(options, overrides, fleet, ui);
    }
    let preflights =
        &fleet.look(Fleet::cores(), |repo, ui| look(options, repo, overrides, ui), ui)?;
    let token = token(options, source, overrides, fleet, preflights, ui)?;
    let mut given = Given { overrides, token, asked: None };
    if let Some(token) = given.token.as_ref().filter(|_| options.check.check) {
        given.asked = Some(ask(options, token, overrides, fleet, preflights, ui)?);
    }
    let given = &given;
    let written = |at: usize, ui: &mut Ui| {
        let judged = |found: &mut RotationTarget, plan: &Plan, ui: &mut Ui| {
            if let Some(token) =
                given.token.as_ref().filter(|_| plan.rotates() && !keeps_own_token(options))
            {
                warn_of_others(&found.files, &names_with(token, found), ui);
            }
            given.judge(options, found, plan, ui)
        };
        let ready = preflights[at].ready();
        write(options, &fleet.places[at].path, ready, overrides, given.token.as_ref(), judged, ui)
    };
    fleet.carry_out(Fleet::writers(), preflights, written, ui)
}

/// Checks the repository at `repo`, independent of the token.
fn look(
    options: &Options,
    repo: &Path,
    overrides: &RotateOverrides,
    ui: &mut Ui,
) -> Result<(Report, RotationCandidate)> {
    let (found, _lock) = open(options, repo, overrides, ui)?;
    let plan = without_token(options, &found, overrides, ui)?;
    let mut report = report::dry_run(options, &found, plan.as_ref());
    report.is_pending |= options.commits() && found.uncommitted.contains(&true);
    let registry = if plan.is_none() { Some(found.files.registry(overrides)?) } else { None };
    let ready = RotationCandidate {
        name: found.name(),
        root: found.root(),
        registry,
        image: found.files.image().cloned(),
        judged: found.judged(ui.warnings())?,
        issued: found.files.issued(),
        environments: issue::environments(&found),
        files: options.gitlab.from_gitlab.then_some(found.files),
    };
    Ok((report, ready))
}

/// Reads the one token; `None` if it is not needed or not available.
fn token(
    options: &Options,
    source: Source,
    overrides: &RotateOverrides,
    fleet: &Fleet,
    preflights: &[Preflight<RotationCandidate>],
    ui: &mut Ui,
) -> Result<Option<DeployToken>> {
    let wanted = fleet.places.iter().zip(preflights).filter_map(|(place, look)| {
        let ready = look.ready()?;
        Some((place.name.as_str(), ready.registry.as_ref()?, ready))
    });
    let wanted: Vec<_> = wanted.collect();
    let Some((first, registry, ready)) = wanted.first() else { return Ok(None) };
    if let Some((other, its, _)) = wanted.iter().find(|(_, other, _)| other != registry) {
        return Err(Failure::usage(
            "one token cannot be used for different registries; nothing was written",
        )
        .because(format!("`{first}` is for {registry}, `{other}` for {its}"))
        .hint("run the command once per registry")
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
    let token = source.read(registry, ready.image.as_ref(), options.check.check, expires_at, ui)?;
    let is_shared = wanted.len() > 1 && matches!(overrides.entry, EntryChoice::Own);
    let names = wanted.iter().filter(|_| is_shared).map(|(_, _, ready)| ready.name.clone());
    Ok(Some(token.shared_by(names.collect())))
}

/// Asks registries about the images of all repositories together, so that a refused login is not
/// tried again.
fn ask(
    options: &Options,
    token: &DeployToken,
    overrides: &RotateOverrides,
    fleet: &Fleet,
    preflights: &[Preflight<RotationCandidate>],
    ui: &mut Ui,
) -> Result<RegistryVerdicts> {
    let pulled = |at: usize| -> Result<Vec<ImageRef>> {
        if preflights[at].ready().is_none() {
            return Ok(Vec::new());
        }
        let mut ui = Ui::quiet();
        let (found, _lock) = open(options, &fleet.places[at].path, overrides, &mut ui)?;
        let plan = planned(&found, token, overrides, &mut ui)?;
        Ok(images(&found, &plan, overrides, &inspect(&found)?)?.into_iter().cloned().collect())
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let all = fleet.gather(cores, pulled, "searching for images", ui)?;
    // Unreadable files are reported when they are written.
    let all = all.into_iter().filter_map(Result::ok).flatten().collect();
    sign_in::ask_once(&options.check, options.jobs.or(PARALLEL), token, all, ui)
}

/// The names of the repositories that share `token`, including that of `found`.
fn names_with(token: &DeployToken, found: &RotationTarget) -> Vec<String> {
    let own = std::iter::once(found.name());
    own.chain(token.repositories().iter().cloned()).collect()
}

/// Completes the repository at `repo` after `judged` has passed.
fn write(
    options: &Options,
    repo: &Path,
    ready: Option<&RotationCandidate>,
    overrides: &RotateOverrides,
    token: Option<&DeployToken>,
    judged: impl FnOnce(&mut RotationTarget, &Plan, &mut Ui) -> Result<()>,
    ui: &mut Ui,
) -> Result<Report> {
    let (mut found, _lock) = match ready {
        // A commit needs more checks than the first pass has made.
        Some(ready) if !options.commits() => {
            open_again(options, repo, overrides, &ready.judged, ui)?
        }
        _ => open(options, repo, overrides, ui)?,
    };
    sweep_repository(&found.root(), options.run.dry_run, ui);
    let plan = match (without_token(options, &found, overrides, ui)?, token) {
        (Some(plan), _) => plan,
        (None, Some(token)) => planned(&found, token, overrides, ui)?,
        (None, None) => return Ok(report::dry_run(options, &found, None)),
    };
    judged(&mut found, &plan, ui)?;
    write_or_tell(options, &found, overrides, &plan, ui)
}

impl Given<'_> {
    /// Fails if a registry refused the token for an image of this repository.
    fn judge(
        &self,
        options: &Options,
        found: &mut RotationTarget,
        plan: &Plan,
        ui: &mut Ui,
    ) -> Result<()> {
        let Some(asked) = &self.asked else { return Ok(()) };
        let inspection = inspect(found)?;
        let images = images(found, plan, self.overrides, &inspection)?;
        found.checked = Some(asked.judge(&images, &again(options), &found.root(), ui)?);
        Ok(())
    }
}
