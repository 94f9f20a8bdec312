//! Fourth and fifth step: an old token that nobody needs is deleted in GitLab, and the registry refuses it.

use super::super::Options;
use super::super::issue::gitlabs;
use super::old::Old;
use super::proof::{Proved, Tenant};
use crate::answers::{Answers, ImageRef, Owner, Superseded, TokenRef};
use crate::commands::deploy_tokens::{Gitlab, Journal, Meant, is_held, is_held_among};
use crate::commands::sign_in;
use crate::error::{Result, printable};
use crate::gitlab::{Refusal, Token, TokenName};
use crate::registry::{Pull, Standing};
use crate::repo::Repo;
use crate::ui::Ui;
use jiff::SignedDuration;

/// The name by which GitLab gives a token to jobs (`doc/user/project/deploy_tokens`).
const OF_JOBS: &str = "gitlab-deploy-token";
/// How young a token is that another clone may be about to write.
const YOUNG: SignedDuration = SignedDuration::from_hours(1);

/// What became of an old token.
pub(super) struct Fate {
    pub(super) state: State,
    pub(super) message: String,
    /// What the registry said of it afterwards; `None` if it was not asked.
    pub(super) refused: Option<(Proved, String)>,
}

/// Where an old token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It was deleted just now.
    Deleted,
    /// It was not there any more.
    Gone,
    /// It is there, and why is known.
    Kept,
    /// Nobody can tell.
    Unknown,
}

impl Fate {
    fn new(state: State, message: impl Into<String>) -> Self {
        Self { state, message: message.into(), refused: None }
    }

    /// Whether GitLab has it no more.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self.state, State::Deleted | State::Gone)
    }

    pub(super) fn state(&self) -> &'static str {
        match self.state {
            State::Deleted => "deleted",
            State::Gone => "gone",
            State::Kept => "kept",
            State::Unknown => "unknown",
        }
    }
}

/// Deletes those of `olds` that every environment has done without, and what this clone has left in GitLab.
pub(super) fn all(
    options: &Options,
    repo: &Repo,
    journal: &Journal,
    answers: &Answers,
    tenants: &[Tenant],
    olds: &[Old],
    ui: &mut Ui,
) -> Result<Vec<Fate>> {
    let reasons: Vec<_> = olds.iter().map(|old| reason(old, tenants)).collect();
    let wanted = reasons.iter().any(Option::is_none) || !journal.entries()?.is_empty();
    if !wanted {
        let kept = reasons.into_iter().flatten();
        return Ok(kept.map(|reason| Fate::new(State::Kept, reason)).collect());
    }
    let recorded = tenants.iter().find_map(|tenant| tenant.provenance.issued.as_ref());
    let gitlab = gitlabs(options).connect(Meant { recorded, image: Some(answers.image()) }, ui)?;
    gitlab.clean_up(
        journal,
        |token, fellows| is_held_among(repo, fellows, token),
        options.run.dry_run,
        ui,
    )?;
    let mut fates = Vec::new();
    for (old, reason) in olds.iter().zip(reasons) {
        let fate = match reason {
            Some(reason) => Fate::new(State::Kept, reason),
            None => delete(options, &gitlab, old, ui)?,
        };
        fates.push(fate);
    }
    orphans(options, repo, &gitlab, answers, olds, ui)?;
    refused(options, answers.image(), olds, &mut fates, ui)?;
    Ok(fates)
}

/// Why `old` must stay; `None` if it need not.
fn reason(old: &Old, tenants: &[Tenant]) -> Option<String> {
    let holder = tenants.iter().find(|tenant| old.is_in(tenant.text.expose().as_bytes()));
    if let Some(tenant) = holder {
        return Some(format!("kept: `{}` holds it", tenant.path));
    }
    let unproved: Vec<_> = old
        .listed
        .iter()
        .map(|place| &tenants[*place])
        .filter(|tenant| !tenant.is_done())
        .map(|tenant| tenant.environment.name.to_string())
        .collect();
    (!unproved.is_empty()).then(|| format!("kept: not everything is proved for {}", unproved.join(", ")))
}

/// Deletes `old`, if it is the one that is meant.
fn delete(options: &Options, gitlab: &Gitlab, old: &Old, ui: &mut Ui) -> Result<Fate> {
    let instance = gitlab.api.instance();
    let unknown = |refusal: &Refusal| Fate::new(State::Unknown, refusal.message(instance.as_str()));
    let at = match &old.what {
        Superseded::Issued(token) if token.instance != *instance => {
            let message = format!("kept: another GitLab issued it: --gitlab-host {}", token.instance);
            return Ok(Fate::new(State::Kept, message));
        }
        Superseded::Issued(token) => token.clone(),
        Superseded::ByHand(id) => TokenRef { instance: instance.clone(), owner: gitlab.place.owner, id: *id },
    };
    let token = match gitlab.api.token(&at) {
        Ok(Some(token)) => token,
        // One that was made by hand may be that of a group, or of another project.
        Ok(None) if matches!(old.what, Superseded::ByHand(_)) => {
            let message = format!(
                "kept: the {} has no such token; name its group with --gitlab-group PATH, or delete it by hand",
                gitlab.place.title()
            );
            return Ok(Fate::new(State::Kept, message));
        }
        Ok(None) => return Ok(Fate::new(State::Gone, "GitLab no longer has it")),
        Err(refusal) => return Ok(unknown(&refusal)),
    };
    if let Superseded::ByHand(id) = old.what
        && token.username != format!("gitlab+deploy-token-{id}")
    {
        return Ok(Fate::new(State::Kept, "kept: it has another user name in GitLab"));
    }
    if options.run.dry_run {
        return Ok(Fate::new(State::Kept, "would be deleted"));
    }
    if let Some(why) = declined(options, old, &token, gitlab, ui)? {
        return Ok(Fate::new(State::Kept, why));
    }
    Ok(match gitlab.api.delete(&at) {
        Ok(true) => Fate::new(State::Deleted, "deleted in GitLab"),
        Ok(false) => Fate::new(State::Gone, "GitLab no longer has it"),
        Err(refusal) => unknown(&refusal),
    })
}

/// Asks about a token that others may use. Says why it stays, if nobody agreed.
fn declined(
    options: &Options,
    old: &Old,
    token: &Token,
    gitlab: &Gitlab,
    ui: &mut Ui,
) -> Result<Option<String>> {
    let name = printable(&token.name);
    let is_of_jobs = token.name == OF_JOBS;
    let what = match (&old.what, token.at.owner) {
        _ if is_of_jobs => {
            ui.warn(format!(
                "the deploy token `{name}` gives CI_DEPLOY_USER and CI_DEPLOY_PASSWORD to the jobs of the {}: without it \
                 they have none",
                gitlab.place.title()
            ));
            "which CI jobs use"
        }
        (Superseded::ByHand(_), _) => "which was made by hand",
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
    Ok((ui.decide(&question, &["no", "yes"])? == "no").then(|| "kept: the deletion was declined".to_owned()))
}

/// Names the tokens that only their names tie to this repository, and deletes those that somebody agrees to.
fn orphans(
    options: &Options,
    repo: &Repo,
    gitlab: &Gitlab,
    answers: &Answers,
    olds: &[Old],
    ui: &mut Ui,
) -> Result<()> {
    let repository = answers.project.directory();
    for token in gitlab.tokens.iter().filter(|token| token.is_active(gitlab.time)) {
        let Some(name) = TokenName::parse(&token.name).filter(|name| name.is_of(&repository)) else {
            continue;
        };
        let is_listed = olds.iter().any(|old| old.what == Superseded::Issued(token.at.clone()));
        // Deleted just now.
        let is_there = || gitlab.api.token(&token.at).is_ok_and(|found| found.is_some());
        if is_listed || is_held(repo, &token.at)? || !is_there() {
            continue;
        }
        let told = format!("no Secret of this clone holds the deploy token {} `{}`", token.at.id, token.name);
        if gitlab.time.duration_since(name.time) < YOUNG {
            ui.warn(format!(
                "{told}; it is less than an hour old, and another clone may be about to write it"
            ));
        } else if options.run.dry_run || !ui.can_ask() {
            ui.warn(format!("{told}; on a terminal, this command asks whether to delete it"));
        } else if ui.decide(&format!("{told}. Delete it?"), &["no", "yes"])? == "yes" {
            match gitlab.api.delete(&token.at) {
                Ok(_) => ui.warn(format!("deleted the deploy token {}", token.at.id)),
                Err(refusal) => {
                    ui.warn(format!("{told}; {}", refusal.message(gitlab.api.instance().as_str())));
                }
            }
        }
    }
    Ok(())
}

/// Has the registry of `image` say that it takes the deleted tokens no more: one sign-in each.
fn refused(options: &Options, image: &ImageRef, olds: &[Old], fates: &mut [Fate], ui: &Ui) -> Result<()> {
    let registries = sign_in::registries(&options.check.registry)?;
    for (old, fate) in olds.iter().zip(fates) {
        let (true, Some(known)) = (fate.is_gone(), &old.credentials) else { continue };
        let waiting = ui.wait("asking the registry", 1);
        let pull = Pull { image, credentials: vec![&known.authorization] };
        let verdict = registries.ask(&[pull], &|| waiting.step()).into_iter().next();
        drop(waiting);
        fate.refused = verdict.map(|verdict| match verdict.standing() {
            Standing::Refused => (Proved::Yes, "the registry refuses it".to_owned()),
            Standing::Good if !verdict.takes_login() => {
                (Proved::Unknown, "the image is public: its registry does not tell".to_owned())
            }
            Standing::Good | Standing::Absent => (Proved::No, "the registry still accepts it".to_owned()),
            Standing::Unknown => (Proved::Unknown, verdict.message(image)),
        });
        if fate.refused.as_ref().is_some_and(|(proved, _)| *proved == Proved::No) {
            // Whatever GitLab says, it is not gone: it stays listed.
            fate.state = State::Unknown;
        }
    }
    Ok(())
}
