//! The report of `makeinfra rotate --propose`.

use super::super::found::RotationTarget;
use super::super::report;
use super::{BRANCH, ExpiringTokens, Proposal};
use crate::advice::Advice;
use crate::answers::Expiry;
use crate::commands::deploy_tokens::Gitlab;
use crate::commands::short;
use crate::gitlab::Lifetime;
use crate::pull_secret::Issued;
use crate::report::Report;
use jiff::Timestamp;
use serde_json::{Value, json};

/// What was done about a token that expires soon.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ProposalResult {
    /// Nothing: no token expires soon.
    NotDue,
    /// Nothing: a dry run.
    Rehearsed,
    /// A new token was pushed to the branch.
    Proposed,
    /// The branch had a new token already.
    TakenUp,
}

/// `own`, the JSON of every rotation, extended by that of a proposal.
fn with(own: Value, proposal: &Proposal, done: ProposalResult) -> Value {
    let Value::Object(mut all) = own else { return own };
    let Value::Object(more) = json!({
        "due": done != ProposalResult::NotDue,
        "proposed": done == ProposalResult::Proposed,
        "taken_up": done == ProposalResult::TakenUp,
        "branch": BRANCH,
        "target": proposal.target,
    }) else {
        return Value::Object(all);
    };
    all.extend(more);
    Value::Object(all)
}

fn bare(proposal: &Proposal, commit: Option<&str>) -> Value {
    json!({"dry_run": proposal.options.run.dry_run, "changes": [], "commit": commit, "check": null})
}

/// Reports that no token expires before `limit`.
pub(super) fn not_due(proposal: &Proposal, found: &RotationTarget, limit: &Timestamp) -> Report {
    let brief = format!("no deploy token expires before {}", limit.strftime("%Y-%m-%d"));
    Report {
        text: format!("Nothing to do: {brief}.\n"),
        brief,
        repo: Some(found.root()),
        own: with(bare(proposal, None), proposal, ProposalResult::NotDue),
        ..Report::default()
    }
}

/// Reports that a new token would be created.
pub(super) fn dry_run(
    proposal: &Proposal,
    found: &RotationTarget,
    due: &ExpiringTokens,
    gitlab: &Gitlab,
    lifetime: &Lifetime,
) -> Report {
    let report = report::dry_run_of_gitlab(proposal.options, found, gitlab, lifetime);
    let end = due.end.as_ref().map_or("at an unknown time", Expiry::as_str);
    let names: Vec<_> = due.environments.iter().map(ToString::to_string).collect();
    let text = format!("The deploy token of {} expires {end}.\n{}", names.join(", "), report.text);
    Report { text, own: with(report.own.clone(), proposal, ProposalResult::Rehearsed), ..report }
}

/// Reports the new token in the commit `id` on the branch, with the `remarks` of the remote.
pub(super) fn proposed(
    proposal: &Proposal,
    id: &str,
    remarks: &[String],
    report: Report,
) -> Report {
    let remarks: String = remarks.iter().map(|line| format!("  {line}\n")).collect();
    let text = format!(
        "{}Pushed {} to the branch {BRANCH}, with a merge request to {}.\n{remarks}",
        report.text,
        short(id),
        proposal.target
    );
    let own = with(report.own.clone(), proposal, ProposalResult::Proposed);
    Report { text, own, next: next(), ..report }
}

/// Reports that the branch already had the new token `issued` in the commit `id`.
pub(super) fn taken_up(
    proposal: &Proposal,
    found: &RotationTarget,
    id: &str,
    issued: &Issued,
) -> Report {
    let brief =
        format!("the branch {BRANCH} has the deploy token {} in {}", issued.token.id, short(id));
    Report {
        text: format!("Nothing was created: {brief}, which is not merged yet.\n"),
        brief,
        repo: Some(found.root()),
        changed: !proposal.options.run.dry_run,
        own: with(bare(proposal, Some(id)), proposal, ProposalResult::TakenUp),
        next: next(),
        ..Report::default()
    }
}

fn next() -> Vec<Advice> {
    let finish = Advice::makeinfra("rotate").with("--finish");
    vec![finish.why("in a clone, after merging and deploying it, delete the old token in GitLab")]
}
