//! Creates a token in GitLab, and revokes it if it ends up unused. The journal records it
//! throughout.

use super::journal::JournalEntry;
use super::{Gitlab, Journal};
use crate::advice::Advice;
use crate::answers::{Expiry, TokenRef};
use crate::cli::GitlabOptions;
use crate::error::{Failure, Result};
use crate::gitlab::{GitlabRefusal, Lifetime, NotMinted, Token, TokenName};
use crate::pull_secret::{DeployToken, Issued};
use crate::ui::{Reply, Text, Ui};
use jiff::{SignedDuration, Timestamp};
use std::path::PathBuf;

/// The maximum time that a request may be pending after its reply was lost, and that a token may
/// exist before a file has it.
pub(in crate::commands) const LATE: SignedDuration = SignedDuration::from_hours(1);
/// The default lifetime of a token.
const USUAL: &str = "90d";

/// A request for a token.
pub(in crate::commands) struct TokenRequest<'o> {
    /// The repositories, as in token names, that of the journal first.
    pub(in crate::commands) repositories: Vec<String>,
    /// The environments that get the token.
    pub(in crate::commands) environments: Vec<String>,
    /// The tops of the other repositories.
    pub(in crate::commands) sharing_roots: Vec<PathBuf>,
    /// The lifetime.
    pub(in crate::commands) lifetime: &'o Lifetime,
}

/// A token that was just created and is not in a Secret yet.
pub(in crate::commands) struct NewToken {
    /// The token's identity in GitLab's API.
    at: TokenRef,
    entry: JournalEntry,
}

impl NewToken {
    /// Its entry in the journal.
    pub(in crate::commands) fn entry(&self) -> &JournalEntry {
        &self.entry
    }
}

/// The lifetime of the new token: from the options, or asked for.
pub(in crate::commands) fn lifetime(
    options: &GitlabOptions,
    expires_at: Option<&Expiry>,
    ui: &Ui,
) -> Result<Lifetime> {
    let now = Timestamp::now();
    let hint = format!("--expires-in {USUAL}");
    if let Some(expiry) = expires_at {
        let until = Lifetime::until(expiry, now);
        return Ok(
            until.map_err(|rule| Failure::usage(format!("`--expires-at` {rule}")).hint(hint))?
        );
    }
    if let Some(text) = &options.expires_in {
        let from_now = Lifetime::from_now(text, now);
        return Ok(
            from_now.map_err(|rule| Failure::usage(format!("`--expires-in` {rule}")).hint(hint))?
        );
    }
    if !ui.can_ask() {
        let failure = Failure::usage("`--from-gitlab` requires `--expires-in` or `--expires-at`");
        return Err(failure.hint(hint).into());
    }
    let question = Text {
        question: "Lifetime of the new token (90d, 12w, 48h)",
        default: Some(USUAL),
        ..Text::default()
    };
    let check = |text: &str| Lifetime::from_now(text, now).map(drop);
    match ui.text(&question, check)? {
        Reply::Answer(text) => Ok(Lifetime::from_now(&text, now)
            .map_err(|rule| Failure::usage(format!("the time {rule}")))?),
        Reply::Back => lifetime(options, expires_at, ui),
    }
}

impl Gitlab {
    /// Creates the token that `order` describes.
    pub(in crate::commands) fn mint(
        &self,
        journal: &Journal,
        order: &TokenRequest,
        ui: &mut Ui,
    ) -> Result<(DeployToken, NewToken)> {
        // A token whose value was lost is deleted, and another one is created.
        for _ in 0..2 {
            if let Some(minted) = self.try_mint(journal, order, ui)? {
                return Ok(minted);
            }
        }
        let lost = Failure::unknown("GitLab's answer was lost twice; no token is left in GitLab");
        Err(lost.hint("repeat the command later").into())
    }

    /// A single attempt; `None` if GitLab created a token, its reply was lost, and the token was
    /// deleted again.
    fn try_mint(
        &self,
        journal: &Journal,
        order: &TokenRequest,
        ui: &mut Ui,
    ) -> Result<Option<(DeployToken, NewToken)>> {
        let cannot = "GitLab created no deploy token; nothing was written";
        let instance = self.api.instance();
        let name = TokenName::new(&order.repositories, &order.environments, self.time)
            .map_err(|error| Failure::failed(cannot).because(error))?;
        let mut entry = journal.begin(&name, instance, &self.place, &order.sharing_roots)?;
        let waiting = ui.wait("creating a deploy token in GitLab", 1);
        let minted = self.api.mint(&self.place, &name, order.lifetime);
        drop(waiting);
        let minted = match minted {
            Ok(minted) => minted,
            Err(NotMinted::Refused(refusal)) => {
                entry.end()?;
                return Err(refusal.failure(cannot, instance.as_str()).into());
            }
            Err(NotMinted::Lost(refusal)) => {
                return self.recover(&entry, &refusal, ui).map(|()| None);
            }
        };
        let at = minted.token.at.clone();
        let token = DeployToken::new(minted.username, minted.value).map_err(|rule| {
            Failure::failed("cannot use the token that GitLab created").because(rule)
        });
        let noted = entry.made(at.id);
        let token = match (token, noted) {
            (Ok(token), Ok(())) => token,
            (token, noted) => {
                let error = token.err().map(Into::into).or(noted.err());
                let error = error.unwrap_or_else(|| Failure::failed(cannot).into());
                self.discard(&entry, &at, ui);
                return Err(error);
            }
        };
        if order.lifetime.end().is_some() && minted.token.expires_at.is_none() {
            ui.warn("GitLab created the token without the requested expiry");
        }
        let issued = Issued { token: at.clone(), owner: self.place.path.clone() };
        let token = token.expiring(minted.token.expires_at).issued_as(Some(issued));
        Ok(Some((token, NewToken { at, entry })))
    }

    /// Finds the token of `entry`, whose reply was lost, and deletes it.
    fn recover(&self, entry: &JournalEntry, refusal: &GitlabRefusal, ui: &mut Ui) -> Result<()> {
        let instance = self.api.instance().as_str();
        let unknown = || {
            Failure::unknown(
                "cannot determine whether GitLab created a deploy token; nothing was written",
            )
            .because(refusal.message(instance))
            .hint("repeat the command: it first looks for the token and deletes it")
        };
        let (tokens, _) = self.api.list(&self.place).map_err(|_| unknown())?;
        let found = tokens.iter().find(|token| token.name == entry.name).ok_or_else(unknown)?;
        self.api.delete(&found.at).map_err(|_| unknown())?;
        entry.end()?;
        ui.warn(format!("GitLab's answer was lost; deleted deploy token {}", found.at.id));
        Ok(())
    }

    /// Revokes the token. If that fails, the journal keeps the entry for the next run.
    fn discard(&self, entry: &JournalEntry, at: &TokenRef, ui: &mut Ui) {
        match self.api.delete(at) {
            Ok(_) => {
                ui.warn(format!("deleted the new deploy token {} in GitLab", at.id));
                if let Err(error) = entry.end() {
                    ui.warn(error.to_string());
                }
            }
            Err(refusal) => {
                if let Err(error) = entry.keep() {
                    ui.warn(error.to_string());
                }
                let next = Advice::makeinfra("rotate").with("--finish").typed(None);
                let why = refusal.message(self.api.instance().as_str());
                ui.warn(format!("the new deploy token {} stays in GitLab: {why}; {next}", at.id));
            }
        }
    }

    /// Settles `fresh` after `done`: removes it from the journal, or revokes it unless `is_held`
    /// says that a Secret has it.
    pub(in crate::commands) fn settle_fresh<T>(
        &self,
        fresh: &NewToken,
        done: Result<T>,
        is_held: impl FnOnce(&TokenRef) -> Result<bool>,
        ui: &mut Ui,
    ) -> Result<T> {
        self.settle(fresh, done.is_ok(), is_held, ui);
        done
    }

    /// Settles `fresh`; `is_used` if a Secret has it permanently.
    pub(in crate::commands) fn settle(
        &self,
        fresh: &NewToken,
        is_used: bool,
        is_held: impl FnOnce(&TokenRef) -> Result<bool>,
        ui: &mut Ui,
    ) {
        let held = if is_used { Ok(true) } else { is_held(&fresh.at) };
        match held {
            Ok(false) => self.discard(&fresh.entry, &fresh.at, ui),
            // The failure's hint may restore the old file, so the next run decides.
            Ok(true) if !is_used => {}
            Ok(true) => {
                if let Err(error) = fresh.entry.end() {
                    ui.warn(error.to_string());
                }
            }
            Err(error) => {
                if let Err(error) = fresh.entry.keep() {
                    ui.warn(error.to_string());
                }
                ui.warn(format!("the new deploy token {} stays in GitLab: {error}", fresh.at.id));
            }
        }
    }

    /// Deletes what earlier runs of this clone left in GitLab, unless `is_held` says that a Secret
    /// has it, in this repository or at the given paths. With `dry_run`, only reports it.
    pub(in crate::commands) fn clean_up(
        &self,
        journal: &Journal,
        is_held: impl Fn(&TokenRef, &[PathBuf]) -> Result<bool>,
        dry_run: bool,
        ui: &mut Ui,
    ) -> Result<()> {
        for entry in journal.entries()? {
            let here = entry.instance == *self.api.instance();
            if !here || dry_run {
                let finish = Advice::makeinfra("rotate").with("--finish");
                let finish = if here {
                    finish
                } else {
                    finish.option("--gitlab-host", entry.instance.as_str())
                };
                ui.warn(format!(
                    "an earlier run may have left the deploy token `{}` in GitLab: {}",
                    entry.name,
                    finish.typed(None)
                ));
                continue;
            }
            let cannot = |refusal: GitlabRefusal| {
                let what =
                    format!("cannot delete the deploy token `{}` of an earlier run", entry.name);
                refusal.failure(what, entry.instance.as_str())
            };
            let found = match entry.token() {
                Some(token) => self.api.token(&token).map(|found| found.map(|found| found.at)),
                None => self.find(&entry).map(|found| found.map(|token| token.at)),
            };
            let deleted = match found {
                Ok(Some(token)) if is_held(&token, &entry.sharing_roots)? => {
                    // A merge may have dropped the token, so the warning is the only mention of it.
                    let list = Advice::makeinfra("token list").typed(None);
                    ui.warn(format!(
                        "the deploy token {} stays in GitLab, because an interrupted run had put \
                         it into a pull secret; {list}",
                        token.id
                    ));
                    Ok(None)
                }
                Ok(Some(token)) => self.api.delete(&token).map(|_| Some(token.id)),
                // The request may still be pending.
                Ok(None) if entry.id.is_none() && self.time.duration_since(entry.since) < LATE => {
                    continue;
                }
                Ok(None) => Ok(None),
                Err(refusal) => Err(refusal),
            };
            match deleted {
                Ok(Some(id)) => {
                    ui.warn(format!(
                        "deleted the deploy token {id}, left in GitLab by an earlier run"
                    ));
                }
                Ok(None) => {}
                // That token cannot pull this image, and this credential cannot tell more.
                Err(refusal @ (GitlabRefusal::NotFound { .. } | GitlabRefusal::Role { .. }))
                    if entry.place.owner != self.place.owner =>
                {
                    ui.warn(format!(
                        "cannot determine whether the deploy token `{}` of an earlier run still \
                         exists: {}",
                        entry.name,
                        refusal.message(entry.instance.as_str())
                    ));
                    continue;
                }
                Err(refusal) => return Err(cannot(refusal).into()),
            }
            entry.end()?;
        }
        Ok(())
    }

    /// The token that `entry` requested; `None` if it does not exist.
    fn find(&self, entry: &JournalEntry) -> std::result::Result<Option<Token>, GitlabRefusal> {
        let by_name =
            |tokens: &[Token]| tokens.iter().find(|token| token.name == entry.name).cloned();
        if entry.place.owner == self.place.owner {
            return Ok(by_name(&self.tokens));
        }
        self.api.list(&entry.place).map(|(tokens, _)| by_name(&tokens))
    }
}
