//! `makeinfra rotate --from-gitlab --propose`, for scheduled pipelines: if a token expires soon,
//! commits a new one to a branch and opens a merge request.
//!
//! A pipeline's clone has no journal of earlier runs, so the branch and GitLab provide the state:
//! there is never more than one token besides those in use, and this command never deletes a token
//! that only its name ties to the repository.

mod branch;
mod report;
mod share;

use super::found::RotationTarget;
use super::issue::{TokenIssuer, gitlabs};
use super::{Options, overrides};
use crate::advice::Advice;
use crate::answers::{EnvironmentName, Expiry, Record};
use crate::commands::deploy_tokens::{self, OwnerHints, TokenUse, holdings, rows};
use crate::commands::{not_generated, scope, sweep_repository};
use crate::error::{Failure, Kind, Result};
use crate::gitlab::Lifetime;
use crate::pull_secret::Issued;
use crate::remote::{Complaint, Push, Pushed, Remote, is_denied};
use crate::repo::Repo;
use crate::report::Report;
use crate::rotation::RotateOverrides;
use crate::ui::Ui;
use branch::Branch;
use jiff::Timestamp;
use std::path::Path;

/// The branch of the merge request.
const BRANCH: &str = "makeinfra/rotate-token";
/// How soon a token must expire to be rotated, as in `make check-expiry`.
const DUE_IN: &str = "30d";
/// The action that failures name.
const PROPOSE: &str = "propose a rotation of";

/// The remote and the branches of a proposal.
struct Proposal<'p> {
    options: &'p Options,
    overrides: &'p RotateOverrides,
    /// The target branch of the merge request.
    target: &'p str,
    remote: Remote,
    /// The name of the remote.
    name: &'p str,
}

/// The tokens that expire first, if they expire soon.
struct ExpiringTokens {
    environments: Vec<EnvironmentName>,
    /// `None` if unknown.
    end: Option<Expiry>,
}

/// Runs the command for the repository at `repo`, with a merge request into the branch `target`.
pub(super) fn run(options: &Options, target: &str, repo: &Path, ui: &mut Ui) -> Result<Report> {
    let overrides = &overrides(options, ui)?;
    let lifetime = deploy_tokens::lifetime(&options.gitlab, overrides.expires_at.as_ref(), ui)?;
    let limit = limit(options)?;
    let repo = Repo::find(repo, "rotate --from-gitlab --propose")?;
    let name = options.propose.push_to.as_deref().unwrap_or("origin");
    let after = |scheme| name.strip_prefix(scheme).and_then(|rest: &str| rest.split('/').next());
    if after("https://").or_else(|| after("http://")).is_some_and(|host| host.contains('@')) {
        return Err(Failure::usage("`--push-to` must not contain a user name or a password")
            .hint("--push-to https://gitlab.com/group/hello-infra.git --gitlab-token-env NAME")
            .into());
    }
    let network = (&options.check.registry).into();
    let remote = deploy_tokens::remote(&repo.top(), name, &options.gitlab.access, network)?;
    let proposal = Proposal { options, overrides, target, remote, name };
    proposal.check_checkout(&repo)?;
    let mut found = RotationTarget::read(repo)?;
    let Some(due) = proposal.due(&found, &limit)? else {
        return Ok(report::not_due(&proposal, &found, &limit));
    };
    sweep_repository(&found.root(), options.run.dry_run, ui);
    // A remote that refuses access ends the run before anything is created.
    let tip = proposal.remote.branch(BRANCH).map_err(|why| proposal.unreachable("read", why))?;
    proposal.rehearse(&found, tip.as_deref())?;
    let branch = match &tip {
        Some(id) => {
            proposal.remote.fetch(BRANCH).map_err(|why| proposal.unreachable("fetch", why))?;
            branch::judge(&found, id)?
        }
        None => Branch::Free,
    };
    found.choose(&due.environments, overrides)?;
    let _lock = found.prepare(options, overrides, ui)?;
    if let (Branch::Open(issued), Some(id)) = (&branch, &tip) {
        return proposal.take_up(&found, id, issued, ui);
    }
    let issuer = TokenIssuer::open(options, &found, ui)?;
    check_left(&issuer, &found, ui)?;
    if options.run.dry_run {
        return Ok(report::dry_run(&proposal, &found, &due, &issuer.gitlab, &lifetime));
    }
    let before = found.repo.head_id()?.unwrap_or_default();
    let share = |found: &RotationTarget, report, _: &mut Ui| {
        share::run(&proposal, found, &before, tip.as_deref(), report)
    };
    issuer.issue(options, &mut found, overrides, &lifetime, share, ui)
}

/// A token that expires later than this is left alone.
fn limit(options: &Options) -> Result<Timestamp> {
    let text = options.propose.due_in.as_deref().unwrap_or(DUE_IN);
    let limit = Lifetime::from_now(text, Timestamp::now());
    let limit =
        limit.map_err(|rule| Failure::usage(format!("`--due-in` {rule}")).hint("--due-in 30d"))?;
    Ok(limit.end().unwrap_or(Timestamp::MAX))
}

impl Proposal<'_> {
    /// Fails unless HEAD and files may be moved, as in the checkout of a pipeline job.
    fn check_checkout(&self, repo: &Repo) -> Result<()> {
        let cannot =
            |cause: String| Failure::failed("cannot propose a rotation from here").because(cause);
        if !repo.is_detached()? {
            let hint =
                Advice::git("checkout --detach").why("a commit must not move a branch of yours");
            return Err(cannot("HEAD is a branch".to_owned()).hint(hint).into());
        }
        match self.remote.is_clean() {
            Ok(true) => Ok(()),
            Ok(false) => {
                Err(cannot("files of the work tree or the index differ from HEAD".to_owned())
                    .hint(Advice::git("status"))
                    .into())
            }
            Err(why) => Err(cannot(why).hint(Advice::git("status")).into()),
        }
    }

    /// The environments whose token expires first; `None` unless it expires before `limit` or its
    /// expiry is unknown.
    fn due(&self, found: &RotationTarget, limit: &Timestamp) -> Result<Option<ExpiringTokens>> {
        let root = found.root();
        let none = || not_generated(&root, format!("`{}` does not exist", Record::FILE));
        let record = found.files.record.as_ref().ok_or_else(none)?;
        let wanted = scope::names("--env", &self.options.env)?;
        if let Some(unknown) =
            wanted.iter().find(|name| record.answers.environment(name.as_str()).is_none())
        {
            return Err(record
                .no_environment()
                .because(format!("`{unknown}` does not exist"))
                .into());
        }
        let is_due = |end: &Option<Expiry>| end.as_ref().is_none_or(|end| end.instant() <= *limit);
        let named = |places: Vec<usize>| -> Vec<EnvironmentName> {
            let all =
                places.iter().filter_map(|place| record.answers.environments.iter().nth(*place));
            all.map(|one| one.name.clone())
                .filter(|name| wanted.is_empty() || wanted.contains(name))
                .collect()
        };
        let mut all: Vec<_> = found
            .files
            .lifetimes(self.overrides)?
            .into_iter()
            .filter(|(_, end)| is_due(end))
            .collect();
        // A known expiry is more urgent than an unknown one.
        all.sort_by_key(|(_, end)| (end.is_none(), end.as_ref().map(Expiry::instant)));
        let all = all
            .into_iter()
            .map(|(places, end)| ExpiringTokens { environments: named(places), end });
        Ok(all.into_iter().find(|due| !due.environments.is_empty()))
    }

    /// Dry-runs a push of HEAD.
    fn rehearse(&self, found: &RotationTarget, tip: Option<&str>) -> Result<()> {
        let head = found.repo.head_id()?.unwrap_or_default();
        let options = share::push_options(self.target);
        let push = Push { id: &head, branch: BRANCH, expected: tip, options: &options };
        match self.remote.push(&push, true) {
            Pushed::Done(_) => Ok(()),
            Pushed::Refused(why) | Pushed::Unknown(why) | Pushed::Late(why) => {
                Err(self.unreachable("push to", why).into())
            }
        }
    }

    /// The failure to do `verb` to the branch of the remote.
    fn unreachable(&self, verb: &str, why: Complaint) -> Failure {
        let refs = format!("HEAD:refs/heads/{BRANCH}");
        let kind = if is_denied(&why) { Kind::RefusedToken } else { Kind::Failed };
        Failure::failed(format!(
            "cannot {verb} the branch `{BRANCH}` of `{}`; no token was created",
            self.name
        ))
        .kind(kind)
        .because(why)
        .hint(Advice::git("push --dry-run").arg(self.name).arg(refs))
    }

    /// Continues with the rotation on the branch: its commit is `id`, its token `issued`.
    fn take_up(
        &self,
        found: &RotationTarget,
        id: &str,
        issued: &Issued,
        ui: &mut Ui,
    ) -> Result<Report> {
        let api =
            gitlabs(self.options).api(OwnerHints { recorded: Some(issued), image: None }, ui)?;
        let token = &issued.token;
        if *api.instance() != token.instance {
            let cause = format!(
                "its deploy token {} belongs to another GitLab: {}",
                token.id, token.instance
            );
            return Err(branch::in_the_way(&cause).into());
        }
        let known = api.token(token).map_err(|refusal| {
            refusal.failure(
                format!("cannot read the deploy token {}", token.id),
                token.instance.as_str(),
            )
        })?;
        if !known.is_some_and(|known| known.is_active(Timestamp::now())) {
            let cause =
                format!("its deploy token {} was deleted in GitLab or has expired", token.id);
            return Err(branch::in_the_way(&cause).into());
        }
        let dry_run = self.options.run.dry_run;
        if !dry_run {
            self.remote.check_out(id).map_err(|why| {
                Failure::failed(format!("cannot check out {id} of the branch `{BRANCH}`"))
                    .because(why)
            })?;
        }
        Ok(report::taken_up(self, found, id, issued))
    }
}

/// Fails if GitLab has a token for this repository besides those in HEAD's Secrets.
fn check_left(issuer: &TokenIssuer, found: &RotationTarget, ui: &mut Ui) -> Result<()> {
    let Some(record) = &found.files.record else { return Ok(()) };
    let holdings = holdings(PROPOSE, &found.repo, record)?;
    for row in rows(&issuer.gitlab, &holdings, &found.name(), ui)? {
        let is_left = row.is_active && matches!(row.of, TokenUse::Superseded(_) | TokenUse::Orphan);
        // The list may still contain tokens that were deleted a moment ago.
        let is_there = || issuer.gitlab.api.token(&row.token.at).map(|found| found.is_some());
        let cannot = |refusal: crate::gitlab::GitlabRefusal| {
            refusal.failure("cannot read a deploy token", issuer.gitlab.api.instance().as_str())
        };
        if !is_left || !is_there().map_err(cannot)? {
            continue;
        }
        let what = match &row.of {
            TokenUse::Superseded(names) => format!("{} had it before", names.join(", ")),
            _ => "an earlier run created it, but no Secret in HEAD contains it".to_owned(),
        };
        let instance = issuer.gitlab.api.instance().as_str();
        let finish = Advice::makeinfra("rotate").with("--finish").option("--gitlab-host", instance);
        return Err(Failure::failed(format!(
            "no token was created: GitLab still has the deploy token {} `{}`",
            row.token.at.id,
            crate::error::printable(&row.token.name)
        ))
        .because(format!("{what}; at most one token may exist beside those in use"))
        .hint(finish.why("run this in a clone, on a terminal, to delete it"))
        .into());
    }
    Ok(())
}
