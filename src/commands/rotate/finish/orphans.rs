//! Tokens in GitLab that only their names tie to a repository: what a crash may have left, or what another clone is about to write.

use super::super::Options;
use super::case::Case;
use super::sharing::Sharing;
use crate::answers::{Superseded, TokenRef};
use crate::commands::deploy_tokens::{Gitlab, is_held_now};
use crate::error::Result;
use crate::gitlab::TokenName;
use crate::repo::Repo;
use crate::ui::Ui;
use jiff::SignedDuration;

/// How young a token is that another clone may be about to write.
const YOUNG: SignedDuration = SignedDuration::from_hours(1);

/// Names the tokens that only their names tie to the repository at `at` of `cases`, and deletes those that somebody agrees to.
pub(super) fn orphans(
    options: &Options,
    gitlab: &Gitlab,
    cases: &[Case],
    at: usize,
    sharing: &Sharing,
    ui: &mut Ui,
) -> Result<()> {
    let case = &cases[at];
    for token in gitlab.tokens.iter().filter(|token| token.is_active(gitlab.time)) {
        let Some(name) = TokenName::parse(&token.name).filter(|name| name.is_of(&case.name)) else {
            continue;
        };
        let is_listed = case.olds.iter().any(|old| old.what == Superseded::Issued(token.at.clone()));
        // Deleted just now.
        let is_there = || gitlab.api.token(&token.at).is_ok_and(|found| found.is_some());
        if is_listed || is_held_by_any(cases, at, &name, sharing, &token.at)? || !is_there() {
            continue;
        }
        let told = format!("no Secret of this clone holds the deploy token {} `{}`", token.at.id, token.name);
        let unseen: Vec<_> =
            name.repositories.iter().filter(|name| sharing.called(name).is_empty()).cloned().collect();
        if !unseen.is_empty() {
            ui.warn(format!("{told}; it was for {}, too: name them in the same run", unseen.join(", ")));
        } else if gitlab.time.duration_since(name.time) < YOUNG {
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

/// Whether the clone at `at` of `cases`, or another one that `name` is for, holds `token`.
fn is_held_by_any(
    cases: &[Case],
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
