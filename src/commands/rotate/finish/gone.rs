//! Fifth proof: deleted tokens no longer work.

use super::super::Options;
use super::case::FinishCase;
use super::old::SupersededToken;
use super::outcome::TokenOutcome;
use super::proof::ProofResult;
use crate::answers::ImageRef;
use crate::commands::deploy_tokens::Gitlab;
use crate::commands::sign_in;
use crate::error::Result;
use crate::registry::{PullQuestion, Standing};
use crate::ui::Ui;

/// Verifies that the deleted tokens of `case` no longer work: the first of each registry by a
/// sign-in, the others by GitLab's answer. `asked` are the registries that were asked already.
pub(super) fn proved_gone(
    options: &Options,
    gitlab: &Gitlab,
    case: &FinishCase,
    outcomes: &mut [TokenOutcome],
    asked: &mut Vec<String>,
    ui: &Ui,
) -> Result<()> {
    for (old, outcome) in
        case.old_tokens.iter().zip(outcomes).filter(|(_, outcome)| outcome.is_gone())
    {
        let host = case.answers.image().host().to_owned();
        if old.credentials.is_some() && !asked.contains(&host) {
            asked.push(host);
            let (old, outcome) = (std::slice::from_ref(old), std::slice::from_mut(outcome));
            refused(options, case.answers.image(), old, outcome, ui)?;
            continue;
        }
        outcome.judge(match gitlab.api.token(&old.at(gitlab)) {
            Ok(None) => (ProofResult::Yes, "no longer in GitLab's API".to_owned()),
            Ok(Some(_)) => (ProofResult::No, "still in GitLab's API".to_owned()),
            Err(refusal) => (ProofResult::Unknown, refusal.message(gitlab.api.instance().as_str())),
        });
    }
    Ok(())
}

/// Signs in once with each deleted token to the registry of `image`, which should refuse it.
pub(super) fn refused(
    options: &Options,
    image: &ImageRef,
    old_tokens: &[SupersededToken],
    outcomes: &mut [TokenOutcome],
    ui: &Ui,
) -> Result<()> {
    let registries = sign_in::registries(&options.check.registry)?;
    for (old, outcome) in old_tokens.iter().zip(outcomes) {
        let (true, Some(known)) = (outcome.is_gone(), &old.credentials) else { continue };
        let waiting = ui.wait("contacting the registry", 1);
        let pull = PullQuestion { image, credentials: vec![&known.authorization] };
        let verdict = registries.ask(&[pull], &|| waiting.step()).into_iter().next();
        drop(waiting);
        let Some(verdict) = verdict else { continue };
        outcome.judge(match verdict.standing() {
            Standing::Refused => (ProofResult::Yes, "the registry refuses it".to_owned()),
            Standing::Good if !verdict.takes_login() => (
                ProofResult::Unknown,
                "the image is public, so the registry cannot tell".to_owned(),
            ),
            Standing::Good | Standing::Absent => {
                (ProofResult::No, "the registry still accepts it".to_owned())
            }
            Standing::Unknown => (ProofResult::Unknown, verdict.message(image)),
        });
    }
    Ok(())
}
