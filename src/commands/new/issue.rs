//! `makeinfra new --from-gitlab`: after the plan is confirmed, GitLab issues the token and the
//! registry tries it.

use super::tokens::{Tokens, again, images};
use super::{Draft, Options, Outcome, Plan, write};
use crate::answers::{Answer, Answers, Expiry, Name, TokenRef, TokenUsername};
use crate::commands::deploy_tokens::{
    self, Gitlab, Gitlabs, Journal, JournalLock, OwnerHints, TokenRequest, is_held_below,
};
use crate::commands::sign_in;
use crate::error::{Failure, Result};
use crate::gitlab::Lifetime;
use crate::pull_secret::DeployToken;
use crate::questions::Given;
use crate::secret::Secret;
use crate::ui::Ui;

/// A token to be created.
pub(super) struct PendingToken {
    gitlab: Gitlab,
    journal: Journal,
    _held: Option<JournalLock>,
    lifetime: Lifetime,
}

/// The lifetime of the token; `None` if GitLab does not issue it.
pub(super) fn lifetime(options: &Options, given: &Given, ui: &Ui) -> Result<Option<Lifetime>> {
    if let Some(option) = options.gitlab.given().filter(|_| !options.gitlab.from_gitlab) {
        let failure = Failure::usage(format!("`{option}` requires `--from-gitlab`"));
        return Err(failure.hint("--from-gitlab --expires-in 90d").into());
    }
    if !options.gitlab.from_gitlab {
        return Ok(None);
    }
    let expires_at: Option<Expiry> = given.get(Name::ExpiresAt)?;
    deploy_tokens::lifetime(&options.gitlab, expires_at.as_ref(), ui).map(Some)
}

impl PendingToken {
    /// Runs all checks in GitLab, and deletes what a killed run left there.
    pub(super) fn prepare(
        options: &Options,
        draft: &Draft,
        lifetime: Lifetime,
        ui: &mut Ui,
    ) -> Result<Self> {
        let (network, group) =
            ((&options.check.registry).into(), options.gitlab.gitlab_group.as_deref());
        let mut gitlabs = Gitlabs::new(&options.gitlab.access, network, group, true);
        let gitlab = gitlabs
            .connect(OwnerHints { recorded: None, image: Some(draft.answers.image()) }, ui)?;
        let journal = Journal::beside(&draft.target)?;
        let held = if options.run.dry_run { None } else { Some(journal.hold()?) };
        // The target does not exist, so no Secret has a token that is still in the journal.
        gitlab.clean_up(&journal, |_, _| Ok(false), options.run.dry_run, ui)?;
        Ok(Self { gitlab, journal, _held: held, lifetime })
    }

    /// A placeholder for the token, for the list of files in the plan.
    pub(super) fn planned(answers: &Answers) -> Result<Tokens> {
        let username = TokenUsername::parse(TokenUsername::EXAMPLE).map_err(Failure::failed)?;
        let token = DeployToken::new(username, Secret::new("planned".to_owned()))
            .map_err(Failure::failed)?;
        Ok(Tokens::all(token, answers))
    }

    /// Adds the token to the description of `plan`.
    pub(super) fn describe(&self, plan: &mut Plan) {
        plan.usernames = vec![format!("a new deploy token of the {}", self.gitlab.place.title())];
        plan.expiries = vec![self.lifetime.end().map_or("never".to_owned(), |end| end.to_string())];
    }

    /// Creates the token and writes `plan` with it.
    pub(super) fn write(
        &self,
        options: &Options,
        mut plan: Plan,
        ui: &mut Ui,
    ) -> Result<(Plan, Outcome)> {
        let (gitlab, journal) = (&self.gitlab, &self.journal);
        let environments =
            plan.answers.environments.iter().map(|one| one.name.to_string()).collect();
        let repositories = vec![plan.answers.project.directory()];
        let lifetime = &self.lifetime;
        let order =
            TokenRequest { repositories, environments, sharing_roots: Vec::new(), lifetime };
        let (token, fresh) = gitlab.mint(journal, &order, ui)?;
        let done = (|| {
            let again = again(&plan.answers).with("--from-gitlab --expires-in 90d");
            let images = images(&plan.answers);
            plan.checked =
                Some(sign_in::check_fresh(&options.check.registry, &token, &images, &again, ui)?);
            let tokens = Tokens::all(token, &plan.answers);
            plan.files = tokens.render(&plan.answers)?;
            (plan.usernames, plan.expiries) = (tokens.usernames(), tokens.expiries());
            // From here on the repository may exist, so a token is only deleted after a check.
            write(options, &plan, || fresh.entry().end())
        })();
        // Another process may have created a repository of that name.
        let is_held = |token: &TokenRef| is_held_below(&plan.target, token);
        let outcome = gitlab.settle_fresh(&fresh, done, is_held, ui)?;
        Ok((plan, outcome))
    }
}
