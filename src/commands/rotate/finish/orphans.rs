//! Tokens in GitLab that only their names tie to a repository: leftovers of a crash, or tokens that
//! another clone is about to write.

use super::super::Options;
use super::case::FinishCase;
use super::sharing::Sharing;
use crate::advice::Advice;
use crate::answers::{Superseded, TokenRef};
use crate::commands::deploy_tokens::{Gitlab, LATE, is_held_now, remote};
use crate::error::{Failure, Result};
use crate::gitlab::{Token, TokenName};
use crate::repo::Repo;
use crate::ui::Ui;

/// Lists the tokens that only their names tie to the repository `cases[at]`, and deletes those that
/// the user confirms. Errors become warnings: other tokens may have been deleted before, which must
/// be reported.
pub(super) fn orphans(
    options: &Options,
    gitlab: &Gitlab,
    cases: &[FinishCase],
    at: usize,
    sharing: &Sharing,
    ui: &mut Ui,
) {
    for token in gitlab.tokens.iter().filter(|token| token.is_active(gitlab.time)) {
        let Some(name) = TokenName::parse(&token.name).filter(|name| name.is_of(&cases[at].name))
        else {
            continue;
        };
        if let Err(error) = orphan(options, gitlab, cases, at, sharing, (token, &name), ui) {
            ui.warn(format!("the deploy token {} stays in GitLab: {error}", token.at.id));
            // A user who interrupts a question is not asked another one.
            if Failure::from(&error).signal().is_some() {
                return;
            }
        }
    }
}

/// Handles one such `token`, called `name`.
fn orphan(
    options: &Options,
    gitlab: &Gitlab,
    cases: &[FinishCase],
    at: usize,
    sharing: &Sharing,
    (token, name): (&Token, &TokenName),
    ui: &mut Ui,
) -> Result<()> {
    let what = Superseded::Issued(token.at.clone());
    let is_listed = cases.iter().any(|case| case.old_tokens.iter().any(|old| old.what == what));
    // The token may have been deleted a moment ago.
    let is_there = || gitlab.api.token(&token.at).is_ok_and(|found| found.is_some());
    if is_listed || is_held_by_any(cases, at, name, sharing, &token.at)? || !is_there() {
        return Ok(());
    }
    let message = format!(
        "no Secret of this clone contains the deploy token {} `{}`",
        token.at.id, token.name
    );
    let unseen: Vec<_> =
        name.repositories.iter().filter(|name| sharing.called(name).is_empty()).cloned().collect();
    if !unseen.is_empty() {
        let unseen = unseen.join(", ");
        ui.warn(format!(
            "{message}; it was also created for {unseen}: if none of them contains it, delete it in \
             GitLab"
        ));
    } else if gitlab.time.duration_since(name.time) < LATE {
        ui.warn(format!(
            "{message}; it is less than an hour old, so another clone may be about to write it"
        ));
    } else if options.run.dry_run || !ui.can_ask() {
        ui.warn(format!("{message}; on a terminal, this command asks whether to delete it"));
    } else if let Some(why) = behind(options, &cases[at])? {
        let fetch = Advice::git("fetch --all").typed(Some(&cases[at].root));
        ui.warn(format!("{message}; {why}, so it may be in use there: {fetch}"));
    } else {
        ui.warn(format!("{message}, nor does any remote branch; a cluster may still have it"));
        if ui.decide("Delete it?", &["no", "yes"])? == "yes" {
            gitlab.api.delete(&token.at).map_err(|refusal| {
                let instance = gitlab.api.instance().as_str();
                refusal
                    .failure(format!("cannot delete it: {}", refusal.message(instance)), instance)
            })?;
            ui.warn(format!("deleted the deploy token {}", token.at.id));
        }
    }
    Ok(())
}

/// Which remote branches this clone of `case` does not know; `None` if it knows all of them.
fn behind(options: &Options, case: &FinishCase) -> Result<Option<String>> {
    let repo = Repo::find(&case.root, "rotate --finish")?;
    for name in repo.remotes()? {
        let network = (&options.check.registry).into();
        match remote(&repo.top(), &name, &options.gitlab.access, network)?.tips() {
            Ok(tips) if tips.iter().all(|id| repo.has_object(id)) => {}
            Ok(_) => return Ok(Some(format!("`{name}` has commits that this clone lacks"))),
            Err(why) => return Ok(Some(format!("cannot reach `{name}` ({why})"))),
        }
    }
    Ok(None)
}

/// Whether the clone `cases[at]`, or another one that `name` mentions, holds `token`.
fn is_held_by_any(
    cases: &[FinishCase],
    at: usize,
    name: &TokenName,
    sharing: &Sharing,
    token: &TokenRef,
) -> Result<bool> {
    let others = name.repositories.iter().flat_map(|name| sharing.called(name)).copied();
    for place in std::iter::once(at).chain(others.filter(|other| *other != at)) {
        if is_held_now(&Repo::find(&cases[place].root, "rotate --finish")?, token)? {
            return Ok(true);
        }
    }
    Ok(false)
}
