//! First proof: the new token pulls the images of the environment, as the kubelet would with its
//! Secret.

use super::super::Options;
use super::case::FinishCase;
use super::images::Question;
use super::proof::{Proof, ProofResult, ProvedEnvironment};
use crate::advice::Advice;
use crate::commands::sign_in;
use crate::error::Result;
use crate::registry::{PullQuestion, Standing};
use crate::ui::Ui;

const ID: &str = "pulls";

/// Asks the registries about the images of all `cases` together, up to `jobs` at the same time, so
/// that a refused login is not tried again.
pub(super) fn prove(
    options: &Options,
    jobs: usize,
    cases: &mut [FinishCase],
    ui: &Ui,
) -> Result<()> {
    let registries = sign_in::registries(&options.check.registry)?.at_once(jobs);
    let questions = cases.iter().flat_map(|case| &case.questions);
    let pulls: Vec<_> = questions
        .map(|question| PullQuestion {
            image: &question.image,
            credentials: question.credentials.iter().collect(),
        })
        .collect();
    let waiting = ui.wait("contacting the registry", pulls.len());
    let mut verdicts = registries.ask(&pulls, &|| waiting.step()).into_iter();
    drop(waiting);
    for case in cases {
        let FinishCase { questions, tenants, old_tokens, .. } = case;
        for (Question { tenant, image, .. }, verdict) in questions.iter().zip(&mut verdicts) {
            let tenant = &mut tenants[*tenant];
            let again = Advice::makeinfra("rotate").for_env(tenant.choice.as_ref());
            let proved = match verdict.standing() {
                Standing::Good => ProofResult::Yes,
                Standing::Unknown => ProofResult::Unknown,
                Standing::Absent | Standing::Refused => ProofResult::No,
            };
            let hint = verdict
                .hint(image, &again)
                .filter(|_| proved != ProofResult::Yes)
                .unwrap_or_default();
            tenant.proofs.push(Proof::new(ID, proved, verdict.message(image), hint));
        }
        let unproved =
            |tenant: &&mut ProvedEnvironment| tenant.is_chosen && tenant.proofs.is_empty();
        for tenant in tenants
            .iter_mut()
            .filter(unproved)
            .filter(|_| !old_tokens.is_empty() || !questions.is_empty())
        {
            let hint = Advice::makeinfra("check");
            tenant.proofs.push(Proof::unknown(
                ID,
                "no image found that uses the pull secret",
                hint,
            ));
        }
    }
    Ok(())
}
