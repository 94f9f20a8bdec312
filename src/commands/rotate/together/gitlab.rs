//! `makeinfra rotate --from-gitlab` over several repositories: those that share a token share the
//! new one.

use super::groups::{RotationCandidate, groups};
use super::{look, report, write};
use crate::answers::{ImageRef, TokenRef};
use crate::commands::deploy_tokens::{
    self, Gitlab, Gitlabs, Journal, JournalLock, NewToken, OwnerHints, TokenRequest, is_held,
    is_held_among,
};
use crate::commands::fleet::{Fleet, Preflight};
use crate::commands::rotate::found::{RotationTarget, check, find, inspect};
use crate::commands::rotate::{Options, again, images, issue, warn_of_others};
use crate::commands::sign_in::{self, SignInCheck};
use crate::commands::transaction;
use crate::error::{Failure, Result};
use crate::gitlab::Lifetime;
use crate::pull_secret::DeployToken;
use crate::registry::PARALLEL;
use crate::repo::Repo;
use crate::report::Report;
use crate::rotation::{Plan, RotateOverrides};
use crate::ui::Ui;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::Duration;

/// Runs the command. All checks precede the creation of a token.
pub(super) fn run(
    options: &Options,
    overrides: &RotateOverrides,
    fleet: &Fleet,
    ui: &mut Ui,
) -> Result<()> {
    let lifetime = &deploy_tokens::lifetime(&options.gitlab, overrides.expires_at.as_ref(), ui)?;
    let looked = |repo: &Path, ui: &mut Ui| look(options, repo, overrides, ui);
    let mut preflights = fleet.look(Fleet::cores(), looked, ui)?;
    let mut gitlabs = issue::gitlabs(options);
    let mut shares = Vec::new();
    for members in groups(&preflights, overrides)? {
        match Share::prepare(options, fleet, &preflights, members.clone(), &mut gitlabs, ui) {
            Ok(share) => shares.push(share),
            Err(error) => fleet.refuse(&mut preflights, &members, &error)?,
        }
    }
    let run = Run { options, overrides, lifetime, fleet, shares, journals: Mutex::default() };
    let jobs = options.jobs.or(PARALLEL);
    let done = fleet.carry_out(jobs, &preflights, |at, ui| run.write(at, ui), ui);
    for share in &run.shares {
        share.settle(ui);
    }
    done
}

/// Repositories that share a token.
struct Share {
    /// Indices of the repositories. The journal of the first one records the token.
    members: Vec<usize>,
    names: Vec<String>,
    roots: Vec<PathBuf>,
    environments: Vec<String>,
    gitlab: Gitlab,
    minted: OnceLock<std::result::Result<Minted, Failure>>,
    state: Mutex<ShareProgress>,
}

/// Progress of the repositories of a share.
struct ShareProgress {
    left: usize,
    /// Whether one of them has the token permanently.
    is_used: bool,
    is_settled: bool,
    /// The journal's lock, while the journal records the token.
    held: Option<Arc<JournalLock>>,
}

/// The token of a share.
struct Minted {
    token: DeployToken,
    fresh: NewToken,
    checked: SignInCheck,
}

impl Share {
    /// Reads the state in GitLab for the repositories `members`, and deletes what killed runs left
    /// there.
    fn prepare(
        options: &Options,
        fleet: &Fleet,
        preflights: &[Preflight<RotationCandidate>],
        members: Vec<usize>,
        gitlabs: &mut Gitlabs,
        ui: &mut Ui,
    ) -> Result<Self> {
        let all: Vec<&RotationCandidate> =
            members.iter().filter_map(|at| preflights[*at].ready()).collect();
        let Some(first) = all.first() else {
            return Err(Failure::failed("no repository is left").into());
        };
        let meant = OwnerHints { recorded: first.issued.as_ref(), image: first.image.as_ref() };
        let api = gitlabs.api(meant, ui)?;
        let waiting = ui.wait("contacting GitLab", 1);
        let gitlab = gitlabs.look(&api, meant)?;
        if options.gitlab.gitlab_group.is_none() && first.issued.is_none() {
            check_project(&gitlab, first, &all)?;
        }
        drop(waiting);
        for at in &members {
            let repo = Repo::find(&fleet.places[*at].path, "rotate")?;
            let journal = Journal::of(&repo);
            if journal.entries()?.is_empty() {
                continue;
            }
            let _held = if options.run.dry_run { None } else { Some(journal.hold()?) };
            let is_held = |token: &TokenRef, sharing_roots: &[PathBuf]| {
                is_held_among(&repo, sharing_roots, token)
            };
            gitlab.clean_up(&journal, is_held, options.run.dry_run, ui)?;
        }
        let mut environments: Vec<String> = Vec::new();
        for name in all.iter().flat_map(|ready| &ready.environments) {
            if !environments.contains(name) {
                environments.push(name.clone());
            }
        }
        Ok(Self {
            names: all.iter().map(|ready| ready.name.clone()).collect(),
            roots: all.iter().map(|ready| ready.root.clone()).collect(),
            environments,
            gitlab,
            minted: OnceLock::new(),
            state: Mutex::new(ShareProgress {
                left: members.len(),
                is_used: false,
                is_settled: false,
                held: None,
            }),
            members,
        })
    }

    fn state(&self) -> MutexGuard<'_, ShareProgress> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks one repository as finished; `is_used` if it has the token permanently.
    fn done(&self, is_used: bool, ui: &mut Ui) {
        let mut state = self.state();
        state.left = state.left.saturating_sub(1);
        state.is_used |= is_used;
        let is_last = state.left == 0;
        drop(state);
        if is_last {
            self.settle(ui);
        }
    }

    /// Removes the token from the journal, or revokes it if no Secret has it.
    fn settle(&self, ui: &mut Ui) {
        let mut state = self.state();
        if std::mem::replace(&mut state.is_settled, true) {
            return;
        }
        if let Some(Ok(minted)) = self.minted.get() {
            self.gitlab.settle(&minted.fresh, state.is_used, |token| self.is_held(token), ui);
        }
        state.held = None;
    }

    fn is_held(&self, token: &TokenRef) -> Result<bool> {
        for root in &self.roots {
            if is_held(&Repo::find(root, "rotate")?, token)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Fails unless the images of `all` belong to the project that was found for `first`: a token of
/// another project could not pull them.
fn check_project(
    gitlab: &Gitlab,
    first: &RotationCandidate,
    all: &[&RotationCandidate],
) -> Result<()> {
    let mut known: Vec<&ImageRef> = first.image.iter().collect();
    for (image, name) in all.iter().filter_map(|ready| Some((ready.image.as_ref()?, &ready.name))) {
        if known.iter().any(|known| known.path() == image.path()) {
            continue;
        }
        known.push(image);
        let place = gitlab.api.project_of(image).map_err(|refusal| {
            refusal.failure(
                "GitLab's API request failed; nothing was created",
                gitlab.api.instance().as_str(),
            )
        })?;
        if place.owner != gitlab.place.owner {
            let (one, other) = (gitlab.place.title(), place.title());
            return Err(Failure::failed(
                "a project's deploy token cannot pull from two projects; nothing was created",
            )
            .because(format!(
                "`{}` and `{name}` share a token, but use {one} and {other}",
                first.name
            ))
            .hint("--gitlab-group PATH, with a group that contains both projects")
            .into());
        }
    }
    Ok(())
}

/// What all repositories of a run share.
struct Run<'r> {
    options: &'r Options,
    overrides: &'r RotateOverrides,
    lifetime: &'r Lifetime,
    fleet: &'r Fleet<'r>,
    shares: Vec<Share>,
    /// The locked journals: two repositories may share one.
    journals: Mutex<Vec<(PathBuf, Weak<JournalLock>)>>,
}

impl Run<'_> {
    /// Completes the repository with the index `at`.
    fn write(&self, at: usize, ui: &mut Ui) -> Result<Report> {
        let Some(share) = self.shares.iter().find(|share| share.members.contains(&at)) else {
            return Err(Failure::failed("no token was requested").into());
        };
        if self.options.run.dry_run {
            let found = self.found(at, ui)?;
            let others = share.names.len() - 1;
            return Ok(report::dry_run_of_share(
                self.options,
                &found,
                &share.gitlab,
                self.lifetime,
                others,
            ));
        }
        let done = self.write_with(share, at, ui);
        share.done(done.is_ok(), ui);
        done
    }

    fn write_with(&self, share: &Share, at: usize, ui: &mut Ui) -> Result<Report> {
        if self.options.commits() {
            // Repairs the index first: committing the new token would drop anything left staged.
            let found = self.found(at, ui)?;
            transaction::repair_index(&found.repo, ui)?;
            found.repo.check_unstaged(found.files.secrets.iter().map(|file| file.path.as_str()))?;
        }
        let minted = match share.minted.get_or_init(|| self.mint(share, ui)) {
            Ok(minted) => minted,
            Err(failure) => return Err(failure.clone().into()),
        };
        let tried = |found: &mut RotationTarget, _: &Plan, ui: &mut Ui| {
            found.checked = Some(minted.checked.clone());
            warn_of_others(&found.files, &share.names, ui);
            Ok(())
        };
        let path = &self.fleet.places[at].path;
        write(self.options, path, None, self.overrides, Some(&minted.token), tried, ui)
    }

    /// The repository with the index `at`, without a lock, which the run that is about to write may
    /// hold.
    fn found(&self, at: usize, ui: &mut Ui) -> Result<RotationTarget> {
        let mut found = find(self.options, &self.fleet.places[at].path, self.overrides)?;
        check(self.options, &mut found, self.overrides, ui)?;
        Ok(found)
    }

    /// Creates the token of `share` in GitLab and tries it at the registry. A token that does not
    /// work is deleted again.
    fn mint(&self, share: &Share, ui: &mut Ui) -> std::result::Result<Minted, Failure> {
        self.try_mint(share, ui).map_err(|error| Failure::from(&error))
    }

    fn try_mint(&self, share: &Share, ui: &mut Ui) -> Result<Minted> {
        let [first, sharing_roots @ ..] = share.roots.as_slice() else {
            return Err(Failure::failed("no repository is left").into());
        };
        let journal = Journal::of(&Repo::find(first, "rotate")?);
        share.state().held = Some(self.hold(&journal)?);
        let order = TokenRequest {
            repositories: share.names.clone(),
            environments: share.environments.clone(),
            sharing_roots: sharing_roots.to_vec(),
            lifetime: self.lifetime,
        };
        let (token, fresh) = share.gitlab.mint(&journal, &order, ui)?;
        let names = if sharing_roots.is_empty() { Vec::new() } else { share.names.clone() };
        let token = token.shared_by(names);
        match self.tried(share, &token, ui) {
            Ok(checked) => Ok(Minted { token, fresh, checked }),
            Err(error) => {
                share.gitlab.settle(&fresh, false, |_| Ok(false), ui);
                Err(error)
            }
        }
    }

    /// Locks `journal`, unless another share has locked it already.
    fn hold(&self, journal: &Journal) -> Result<Arc<JournalLock>> {
        let mut journals = self.journals.lock().unwrap_or_else(PoisonError::into_inner);
        journals.retain(|(_, held)| held.strong_count() > 0);
        let known = journals.iter().find(|(dir, _)| dir == journal.dir());
        if let Some(held) = known.and_then(|(_, held)| held.upgrade()) {
            return Ok(held);
        }
        let mut held = journal.hold();
        // A share that has just finished releases its lock a moment later.
        for _ in 0..10 {
            if held.is_ok() {
                break;
            }
            thread::sleep(Duration::from_millis(20));
            held = journal.hold();
        }
        let held = Arc::new(held?);
        journals.push((journal.dir().to_owned(), Arc::downgrade(&held)));
        Ok(held)
    }

    /// The registry's answer about `token`, for the images of all repositories of `share`.
    fn tried(&self, share: &Share, token: &DeployToken, ui: &mut Ui) -> Result<SignInCheck> {
        let mut all: Vec<ImageRef> = Vec::new();
        for at in &share.members {
            // Unreadable files are reported when they are written.
            let pulled = self.pulled(*at, token).unwrap_or_default();
            for image in pulled {
                if !all.contains(&image) {
                    all.push(image);
                }
            }
        }
        let again = again(self.options).with("--from-gitlab --expires-in 90d");
        let all: Vec<&ImageRef> = all.iter().collect();
        sign_in::check_fresh(&self.options.check.registry, token, &all, &again, ui)
    }

    fn pulled(&self, at: usize, token: &DeployToken) -> Result<Vec<ImageRef>> {
        let found = self.found(at, &mut Ui::quiet())?;
        let plan = found.files.rotate(token, self.overrides)?;
        Ok(images(&found, &plan, self.overrides, &inspect(&found)?)?.into_iter().cloned().collect())
    }
}
