//! Pushes the commit with the new token. If the remote refuses it, restores the clone to its
//! previous state.

use super::super::found::RotationTarget;
use super::super::report::SUBJECT;
use super::{BRANCH, Proposal, report};
use crate::advice::Advice;
use crate::answers::Record;
use crate::commands::transaction::Transaction;
use crate::error::{Failure, Result};
use crate::remote::{Push, Pushed};
use crate::report::Report;

/// Push options that make GitLab open the merge request (`doc/topics/git/commit.md`, push options).
pub(super) fn push_options(target: &str) -> Vec<String> {
    vec![
        "merge_request.create".to_owned(),
        format!("merge_request.target={target}"),
        format!("merge_request.title={SUBJECT}"),
        "merge_request.remove_source_branch".to_owned(),
    ]
}

/// Pushes HEAD, whose parent is `before`, replacing `tip`.
pub(super) fn run(
    proposal: &Proposal,
    found: &RotationTarget,
    before: &str,
    tip: Option<&str>,
    report: Report,
) -> Result<Report> {
    let id = found.repo.head_id()?.unwrap_or_default();
    let options = push_options(proposal.target);
    let push = Push { id: &id, branch: BRANCH, expected: tip, options: &options };
    let refused = match proposal.remote.push(&push, false) {
        Pushed::Done(remarks) => return Ok(report::proposed(proposal, &id, &remarks, report)),
        Pushed::Refused(why) => why,
        // The reply may have been lost although the commit arrived.
        Pushed::Unknown(why) => match arrived(proposal, &id) {
            Some(true) => return Ok(report::proposed(proposal, &id, &[], report)),
            Some(false) => why,
            None => return Err(undetermined(proposal, why).into()),
        },
        Pushed::Late(why) => match arrived(proposal, &id) {
            Some(true) => return Ok(report::proposed(proposal, &id, &[], report)),
            Some(false) | None => return Err(undetermined(proposal, why).into()),
        },
    };
    let failure = Failure::failed(format!("`{}` refused the branch `{BRANCH}`", proposal.name))
        .because(refused);
    match go_back(found, before) {
        Ok(()) => Err(failure.hint("allow the push, and repeat the command").into()),
        Err(error) => {
            let reset = Advice::git("reset --hard").arg(before);
            let failure = failure.hint(reset.why(format!("HEAD still has the commit: {error}")));
            Err(failure.after_writing().into())
        }
    }
}

/// Whether the branch has the commit `id`; `None` if undetermined.
fn arrived(proposal: &Proposal, id: &str) -> Option<bool> {
    proposal.remote.branch(BRANCH).ok().map(|there| there.as_deref() == Some(id))
}

/// The failure of a push that may have arrived or may still arrive, so that the token is kept.
fn undetermined(proposal: &Proposal, why: String) -> Failure {
    let name = proposal.name;
    Failure::unknown(format!(
        "cannot determine whether `{name}` has the new token on the branch `{BRANCH}`; the token \
         is kept"
    ))
    .because(why)
    .hint(Advice::git("ls-remote").arg(name).arg(BRANCH))
    .after_writing()
}

/// Restores HEAD, index and files to the commit `before`.
fn go_back(found: &RotationTarget, before: &str) -> Result<()> {
    let secrets = found
        .files
        .secrets
        .iter()
        .filter_map(|file| Some((&file.path, file.text.as_ref()?.expose())));
    let lists = found.files.secrets.iter().filter_map(|file| file.kustomization.as_ref());
    let lists = lists.map(|(path, text)| (path, text.expose()));
    let record = found.files.record.as_ref().map(|record| record.text.as_str());
    let file = Record::FILE.to_owned();
    let all: Vec<(&String, &str)> =
        secrets.chain(lists).chain(record.map(|text| (&file, text))).collect();
    let mut transaction = Transaction::begin(&found.repo)?;
    let mut paths: Vec<String> = Vec::new();
    for (path, text) in all {
        if !paths.contains(path) {
            transaction.write(path, text.as_bytes(), None)?;
            paths.push(path.clone());
        }
    }
    transaction.go_back(before, &paths)
}
