//! `makeinfra rotate --from-gitlab`: GitLab issues the new token, the registry tries it, and then
//! the rotation is as usual.

use super::{
    Options, RotationTarget, again, images, inspect, report, warn_of_others, write_or_tell,
};
use crate::commands::deploy_tokens::{
    Gitlab, Gitlabs, Journal, JournalLock, OwnerHints, TokenRequest, is_held, is_held_among,
};
use crate::commands::{sign_in, transaction};
use crate::error::Result;
use crate::gitlab::Lifetime;
use crate::inspection::Inspection;
use crate::pull_secret::DeployToken;
use crate::report::Report;
use crate::rotation::RotateOverrides;
use crate::ui::Ui;

/// A GitLab that is ready to issue a token: all checks have passed.
pub(super) struct TokenIssuer {
    pub(super) gitlab: Gitlab,
    inspection: Inspection,
    journal: Journal,
    /// The journal's lock; `None` in a dry run.
    _held: Option<JournalLock>,
}

/// Runs the command. All checks precede the creation of the token.
pub(super) fn run(
    options: &Options,
    found: &mut RotationTarget,
    overrides: &RotateOverrides,
    lifetime: &Lifetime,
    ui: &mut Ui,
) -> Result<Report> {
    let issuer = TokenIssuer::open(options, found, ui)?;
    if options.run.dry_run {
        return Ok(report::dry_run_of_gitlab(options, found, &issuer.gitlab, lifetime));
    }
    issuer.issue(options, found, overrides, lifetime, |_, report, _| Ok(report), ui)
}

impl TokenIssuer {
    /// Reads the state in GitLab, and deletes what an earlier run of this clone left there.
    pub(super) fn open(options: &Options, found: &RotationTarget, ui: &mut Ui) -> Result<Self> {
        let inspection = inspect(found)?;
        let recorded = found.files.issued();
        let image = found
            .files
            .image()
            .or_else(|| inspection.manifests.pulls().map(|pull| pull.image).next());
        let meant = OwnerHints { recorded: recorded.as_ref(), image };
        let gitlab = gitlabs(options).connect(meant, ui)?;
        let journal = Journal::of(&found.repo);
        let held = if options.run.dry_run { None } else { Some(journal.hold()?) };
        gitlab.clean_up(
            &journal,
            |token, sharing_roots| is_held_among(&found.repo, sharing_roots, token),
            options.run.dry_run,
            ui,
        )?;
        Ok(Self { gitlab, inspection, journal, _held: held })
    }

    /// Creates, tries and writes a token, then calls `share` for the rest. On failure, revokes the
    /// token unless a Secret of this clone has it.
    pub(super) fn issue(
        &self,
        options: &Options,
        found: &mut RotationTarget,
        overrides: &RotateOverrides,
        lifetime: &Lifetime,
        share: impl FnOnce(&RotationTarget, Report, &mut Ui) -> Result<Report>,
        ui: &mut Ui,
    ) -> Result<Report> {
        if options.commits() {
            // Repairs the index first: committing the new token would drop anything left staged.
            transaction::repair_index(&found.repo, ui)?;
            found.repo.check_unstaged(found.files.secrets.iter().map(|file| file.path.as_str()))?;
        }
        let (repositories, environments) = (vec![found.name()], environments(found));
        let order =
            TokenRequest { repositories, environments, sharing_roots: Vec::new(), lifetime };
        let (token, fresh) = self.gitlab.mint(&self.journal, &order, ui)?;
        let written = write(options, found, overrides, &self.inspection, &token, ui);
        let done = written.and_then(|report| share(found, report, ui));
        self.gitlab.settle_fresh(&fresh, done, |token| is_held(&found.repo, token), ui)
    }
}

/// How GitLab is contacted.
pub(super) fn gitlabs(options: &Options) -> Gitlabs<'_> {
    let (network, group) =
        ((&options.check.registry).into(), options.gitlab.gitlab_group.as_deref());
    Gitlabs::new(&options.gitlab.access, network, group, true)
}

/// Tries the token and writes it.
fn write(
    options: &Options,
    found: &mut RotationTarget,
    overrides: &RotateOverrides,
    inspection: &Inspection,
    token: &DeployToken,
    ui: &mut Ui,
) -> Result<Report> {
    let plan = found.files.rotate(token, overrides)?;
    let images = images(found, &plan, overrides, inspection)?;
    let again = again(options).with("--from-gitlab --expires-in 90d");
    warn_of_others(&found.files, &[found.name()], ui);
    let checked = sign_in::check_fresh(&options.check.registry, token, &images, &again, ui)?;
    found.checked = Some(checked);
    write_or_tell(options, found, overrides, &plan, ui)
}

/// The environments that get the token.
pub(super) fn environments(found: &RotationTarget) -> Vec<String> {
    let known: Vec<_> =
        found.files.record.iter().flat_map(|record| record.answers.environments.iter()).collect();
    let places = found.files.secrets.iter().map(|file| file.place);
    places.filter_map(|place| known.get(place).map(|one| one.name.to_string())).collect()
}
