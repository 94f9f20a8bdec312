//! The report of `makeinfra rotate --finish`: the verdict on each environment and each old token,
//! which can serve as evidence for an auditor.

use super::super::Options;
use super::ListCleanup;
use super::case::FinishCase;
use super::outcome::TokenState;
use super::proof::{Proof, ProofResult, ProvedEnvironment};
use crate::advice::Advice;
use crate::commands::encrypted::commit_step;
use crate::commands::short;
use crate::error::Outcome;
use crate::repo::Repo;
use crate::report::{FileChange, Report};
use crate::ui;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::path::Path;

/// The subject of the commit.
pub(super) const SUBJECT: &str = "Remove deleted deploy tokens from the record";

/// The report if there is no old token.
pub(super) fn nothing(options: &Options, root: &Path) -> Report {
    Report {
        text: "Nothing to finish: no pull secret lists an old deploy token.\n".to_owned(),
        brief: "nothing to finish".to_owned(),
        repo: Some(root.to_owned()),
        own: json!({
            "dry_run": options.run.dry_run,
            "time": Timestamp::now().to_string(),
            "environments": [],
            "tokens": [],
            "commit": null,
        }),
        ..Report::default()
    }
}

/// The findings and the next commands.
pub(super) fn outcome(
    options: &Options,
    repo: &Repo,
    case: &FinishCase,
    forgotten: &ListCleanup,
) -> Report {
    let (changed, commit) = (&forgotten.paths, &forgotten.commit);
    let root = repo.root();
    let chosen = case.checked_environments();
    let mut text: String =
        chosen.clone().map(|tenant| environment_section(tenant, &root)).collect();
    if case.old_tokens.is_empty() {
        text.push_str(
            "The pull secrets list no old deploy token. Tokens left in GitLab by earlier runs were \
             looked for.\n",
        );
    }
    for (old, outcome) in case.old_tokens.iter().zip(&case.outcomes) {
        let refused =
            outcome.refused.as_ref().map_or(String::new(), |(_, message)| format!("; {message}"));
        let unasked = match (&outcome.refused, outcome.is_gone()) {
            (None, true) => "; registry not asked: no commit here contains its value",
            _ => "",
        };
        text.push_str(&format!("{}: {}{refused}{unasked}\n", old.title(), outcome.message));
    }
    if options.run.dry_run {
        text.push_str("Nothing was deleted or written: this is a dry run.\n");
    } else if let Some(commit) = commit {
        text.push_str(&format!("{SUBJECT}: committed as {}.\n", short(commit)));
    }
    let mut next = Vec::new();
    if commit.is_none() && !changed.is_empty() {
        next.push(commit_step(repo, changed, SUBJECT));
    }
    let environments: Vec<_> = chosen.map(|tenant| environment(tenant, &root)).collect();
    let registry = |(proved, message): &(ProofResult, String)| json!({"status": proved.as_str(), "message": message});
    let tokens = case.old_tokens.iter().zip(&case.outcomes).map(|(old, outcome)| {
        json!({
            "token": old.what.to_string(),
            "id": old.what.id(),
            "state": outcome.state(),
            "message": outcome.message,
            "registry": outcome.refused.as_ref().map(registry),
        })
    });
    let (brief, more) = brief(case);
    Report {
        text,
        brief,
        more,
        repo: Some(root.clone()),
        changed: !changed.is_empty(),
        files: changed.iter().map(|path| FileChange::new(path, "changed")).collect(),
        own: json!({
            "dry_run": options.run.dry_run,
            "time": Timestamp::now().to_string(),
            "head": repo.head_id().ok().flatten(),
            "environments": environments,
            "tokens": tokens.collect::<Vec<_>>(),
            "commit": commit,
        }),
        next,
        outcome: ended(options, case),
        ..Report::default()
    }
}

/// A one-line summary, and the hint for its worst finding.
fn brief(case: &FinishCase) -> (String, Advice) {
    let kept = case.old_tokens.iter().zip(&case.outcomes).filter(|(_, outcome)| !outcome.is_gone());
    let kept: Vec<_> =
        kept.map(|(old, outcome)| format!("{}: {}", old.title(), outcome.message)).collect();
    if kept.is_empty() {
        let ids: Vec<_> = case.old_tokens.iter().map(|old| old.what.id().to_string()).collect();
        let gone = match ids.as_slice() {
            [] => "tokens left in GitLab by earlier runs were looked for".to_owned(),
            [one] => format!("deploy token {one} is deleted"),
            _ => format!("deploy tokens {} are deleted", ids.join(", ")),
        };
        return (gone, Advice::default());
    }
    let worst = case
        .checked_environments()
        .flat_map(|tenant| tenant.proofs.iter().map(move |proof| (tenant, proof)));
    let worst = worst.filter(|(_, proof)| proof.proved > ProofResult::Unchecked);
    let (because, more) = match worst.max_by_key(|(_, proof)| proof.proved) {
        Some((tenant, proof)) => {
            (format!(" ({}: {})", tenant.environment.name, proof.message), proof.hint.clone())
        }
        None => (String::new(), Advice::default()),
    };
    (format!("{}{because}", kept.join("; ")), more)
}

/// The outcome: everything proved and deleted, a problem, or undetermined.
fn ended(options: &Options, case: &FinishCase) -> Outcome {
    let proofs = case.checked_environments().map(ProvedEnvironment::proved);
    let refused = case
        .outcomes
        .iter()
        .filter_map(|outcome| outcome.refused.as_ref())
        .map(|(proved, _)| *proved);
    let kept = case.outcomes.iter().map(|outcome| match outcome.state {
        TokenState::Deleted | TokenState::Gone => ProofResult::Yes,
        TokenState::Kept if options.run.dry_run => ProofResult::Yes,
        TokenState::Kept => ProofResult::No,
        TokenState::Unknown => ProofResult::Unknown,
    });
    let worst = proofs.clone().chain(refused).max();
    match worst {
        Some(ProofResult::No) => Outcome::Problems,
        // A token that is kept for lack of a proof is not a separate problem.
        Some(ProofResult::Unknown) => Outcome::Unknown,
        _ => match kept.max() {
            Some(ProofResult::No) => Outcome::Problems,
            Some(ProofResult::Unknown) => Outcome::Unknown,
            _ => Outcome::Done,
        },
    }
}

fn environment_section(tenant: &ProvedEnvironment, root: &Path) -> String {
    let environment = &tenant.environment;
    let mut text =
        format!("{} (namespace {})\n", ui::bold(environment.name.as_str()), environment.namespace);
    for Proof { proved, message, hint, .. } in &tenant.proofs {
        let word = match proved {
            ProofResult::Yes => ui::green("ok         "),
            ProofResult::Unchecked => ui::yellow("not checked"),
            ProofResult::Unknown => ui::yellow("unknown    "),
            ProofResult::No => ui::red("problem    "),
        };
        text.push_str(&format!("  {word}  {message}\n"));
        if !hint.is_empty() {
            text.push_str(&format!(
                "               {} {}\n",
                ui::bold("hint:"),
                hint.line(Some(root))
            ));
        }
    }
    text
}

fn environment(tenant: &ProvedEnvironment, root: &Path) -> Value {
    let proof = |Proof { id, proved, message, hint }: &Proof| {
        let hint = hint.line(Some(root));
        json!({"id": id, "status": proved.as_str(), "message": message, "hint": hint})
    };
    let issued = tenant.provenance.issued.as_ref();
    json!({
        "environment": tenant.environment.name.as_str(),
        "namespace": tenant.environment.namespace.as_str(),
        "file": tenant.path,
        "token": issued.map(|issued| issued.token.to_string()),
        "status": tenant.proved().as_str(),
        "proofs": tenant.proofs.iter().map(proof).collect::<Vec<_>>(),
    })
}
