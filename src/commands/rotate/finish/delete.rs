//! Fourth and fifth step: deletes an unneeded old token in GitLab, and verifies that the registry
//! refuses it.

use super::super::Options;
use super::super::issue::gitlabs;
use super::case::FinishCase;
use super::gone::{proved_gone, refused};
use super::old::SupersededToken;
use super::orphans::orphans;
use super::outcome::{TokenOutcome, TokenState};
use super::sharing::Sharing;
use crate::answers::{Owner, Superseded, TokenRef};
use crate::commands::deploy_tokens::{Gitlab, Gitlabs, Journal, OwnerHints, is_held_among};
use crate::error::{Failure, Result, printable};
use crate::gitlab::{GitlabRefusal, Token};
use crate::repo::Repo;
use crate::ui::Ui;
use std::path::PathBuf;

/// The name of the token that GitLab gives to CI jobs (`doc/user/project/deploy_tokens`).
const OF_JOBS: &str = "gitlab-deploy-token";

/// Deletes the old tokens of one repository that no environment needs, and what this clone left in
/// GitLab. Locks the journal.
pub(super) fn one(
    options: &Options,
    repo: &Repo,
    case: &mut FinishCase,
    ui: &mut Ui,
) -> Result<()> {
    let sharing = Sharing::of(std::slice::from_ref(case), None);
    let mut deletion = Deletion { options, gitlabs: gitlabs(options), done: Vec::new() };
    let cases = std::slice::from_ref(case);
    let (outcomes, gitlab) = deletion.of(repo, cases, 0, &sharing, ui)?;
    case.outcomes = outcomes;
    if gitlab.is_some() {
        refused(options, case.answers.image(), &case.old_tokens, &mut case.outcomes, ui)?;
    }
    Ok(())
}

/// Like [`one`], for several repositories. `unread` was named as well but could not be examined.
/// Returns the error of each repository.
pub(super) fn several(
    options: &Options,
    cases: &mut [FinishCase],
    unread: Option<String>,
    ui: &mut Ui,
) -> Result<Vec<Option<Failure>>> {
    let sharing = Sharing::of(cases, unread);
    let mut deletion = Deletion { options, gitlabs: gitlabs(options), done: Vec::new() };
    let mut asked: Vec<String> = Vec::new();
    let mut failures = Vec::new();
    for at in 0..cases.len() {
        match deletion.with_journal(cases, at, &sharing, ui) {
            Ok((mut outcomes, gitlab)) => {
                let case = &cases[at];
                if let Some(gitlab) = gitlab {
                    proved_gone(options, &gitlab, case, &mut outcomes, &mut asked, ui)?;
                }
                cases[at].outcomes = outcomes;
                failures.push(None);
            }
            Err(error) => {
                let failure = Failure::from(&error);
                if failure.signal().is_some() {
                    return Err(failure.into());
                }
                failures.push(Some(failure));
            }
        }
    }
    Ok(failures)
}

/// The deletions of one run.
struct Deletion<'d> {
    options: &'d Options,
    gitlabs: Gitlabs<'d>,
    /// Results for tokens that were deleted for an earlier repository.
    done: Vec<(TokenRef, TokenState)>,
}

impl Deletion<'_> {
    /// Locks the journal of the repository `cases[at]`, and deletes what may be deleted.
    fn with_journal(
        &mut self,
        cases: &[FinishCase],
        at: usize,
        sharing: &Sharing,
        ui: &mut Ui,
    ) -> Result<(Vec<TokenOutcome>, Option<Gitlab>)> {
        if cases[at].is_done() || cases[at].is_unproved {
            return Ok((Vec::new(), None));
        }
        let repo = Repo::find(&cases[at].root, "rotate --finish")?;
        let _held = if self.options.run.dry_run { None } else { Some(Journal::of(&repo).hold()?) };
        self.of(&repo, cases, at, sharing, ui)
    }

    /// The outcomes for the old tokens of `repo`, which is `cases[at]`, and the GitLab if it was
    /// asked.
    fn of(
        &mut self,
        repo: &Repo,
        cases: &[FinishCase],
        at: usize,
        sharing: &Sharing,
        ui: &mut Ui,
    ) -> Result<(Vec<TokenOutcome>, Option<Gitlab>)> {
        let (options, case) = (self.options, &cases[at]);
        let mut reasons = Vec::new();
        for old in &case.old_tokens {
            let own = old.kept_by(&case.tenants);
            reasons.push(if own.is_some() { own } else { sharing.reason(cases, at, old)? });
        }
        if !case.old_tokens.is_empty() && reasons.iter().all(Option::is_some) && !case.has_entries()
        {
            let kept = reasons.into_iter().flatten();
            return Ok((
                kept.map(|reason| TokenOutcome::new(TokenState::Kept, reason)).collect(),
                None,
            ));
        }
        let recorded = case.tenants.iter().find_map(|tenant| tenant.provenance.issued.as_ref());
        let meant = OwnerHints { recorded, image: Some(case.answers.image()) };
        let gitlab = self.gitlabs.connect(meant, ui)?;
        let is_held =
            |token: &TokenRef, sharing_roots: &[PathBuf]| is_held_among(repo, sharing_roots, token);
        gitlab.clean_up(&Journal::of(repo), is_held, options.run.dry_run, ui)?;
        let mut outcomes = Vec::new();
        // Whatever ends the run, earlier deletions are reported and removed from the lists.
        let mut ended: Option<String> = None;
        for (old, reason) in case.old_tokens.iter().zip(reasons) {
            let kept = reason.or_else(|| ended.clone());
            let outcome = match kept {
                Some(kept) => TokenOutcome::new(TokenState::Kept, kept),
                None => self.delete(&gitlab, old, ui).unwrap_or_else(|error| {
                    let kept = format!("kept: {error}");
                    ended = Some(kept.clone());
                    TokenOutcome::new(TokenState::Kept, kept)
                }),
            };
            outcomes.push(outcome);
        }
        if ended.is_none() {
            orphans(options, &gitlab, cases, at, sharing, ui);
        }
        Ok((outcomes, Some(gitlab)))
    }

    /// Deletes `old` if GitLab's token is the same one.
    fn delete(
        &mut self,
        gitlab: &Gitlab,
        old: &SupersededToken,
        ui: &mut Ui,
    ) -> Result<TokenOutcome> {
        let options = self.options;
        let instance = gitlab.api.instance();
        let unknown = |refusal: &GitlabRefusal| {
            TokenOutcome::new(TokenState::Unknown, refusal.message(instance.as_str()))
        };
        let at = old.at(gitlab);
        if at.instance != *instance {
            let message = format!("kept: another GitLab issued it: --gitlab-host {}", at.instance);
            return Ok(TokenOutcome::new(TokenState::Kept, message));
        }
        if let Some((_, state)) = self.done.iter().find(|(done, _)| *done == at) {
            return Ok(TokenOutcome::gone(*state));
        }
        let token = match gitlab.api.token(&at) {
            Ok(Some(token)) => token,
            // A token that was created by hand may belong to a group or another project.
            Ok(None) if matches!(old.what, Superseded::ByHand(_)) => {
                let message = format!(
                    "kept: the {} does not have this token; name its group with --gitlab-group \
                     PATH, or delete it by hand",
                    gitlab.place.title()
                );
                return Ok(TokenOutcome::new(TokenState::Kept, message));
            }
            Ok(None) => return Ok(TokenOutcome::gone(TokenState::Gone)),
            Err(refusal) => return Ok(unknown(&refusal)),
        };
        if let Superseded::ByHand(id) = old.what
            && token.username != format!("gitlab+deploy-token-{id}")
        {
            return Ok(TokenOutcome::new(
                TokenState::Kept,
                "kept: its user name in GitLab is different",
            ));
        }
        if options.run.dry_run {
            return Ok(TokenOutcome::new(TokenState::Kept, "would be deleted"));
        }
        if let Some(why) = declined(options, old, &token, gitlab, ui)? {
            return Ok(TokenOutcome::new(TokenState::Kept, why));
        }
        let state = match gitlab.api.delete(&at) {
            Ok(true) => TokenState::Deleted,
            Ok(false) => TokenState::Gone,
            Err(refusal) => return Ok(unknown(&refusal)),
        };
        self.done.push((at, state));
        Ok(TokenOutcome::gone(state))
    }
}

/// Asks about a token that others may use. Returns why it is kept, unless the user agreed.
fn declined(
    options: &Options,
    old: &SupersededToken,
    token: &Token,
    gitlab: &Gitlab,
    ui: &mut Ui,
) -> Result<Option<String>> {
    let name = printable(&token.name);
    let is_of_jobs = token.name == OF_JOBS;
    let what = match (&old.what, token.at.owner) {
        _ if is_of_jobs => {
            ui.warn(format!(
                "the deploy token `{name}` provides CI_DEPLOY_USER and CI_DEPLOY_PASSWORD to the \
                 jobs of the {}; without it, the jobs have neither",
                gitlab.place.title()
            ));
            "which CI jobs use"
        }
        (Superseded::ByHand(_), _) => "which was created by hand",
        (_, Owner::Group(_)) => "which other projects of its group may use",
        _ => return Ok(None),
    };
    if options.finish.yes && !is_of_jobs {
        return Ok(None);
    }
    if !ui.can_ask() {
        let how = if is_of_jobs { "on a terminal" } else { "`--yes`" };
        return Ok(Some(format!("kept: deleting `{name}`, {what}, requires confirmation ({how})")));
    }
    let question = format!("Delete deploy token {} `{name}`, {what}?", token.at.id);
    Ok((ui.decide(&question, &["no", "yes"])? == "no")
        .then(|| "kept: the deletion was declined".to_owned()))
}
