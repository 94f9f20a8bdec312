//! `makeinfra rotate --finish`: proves for each environment that the old tokens are not needed,
//! then deletes them. The steps: the new token pulls, the cluster has it, git has it and shares it,
//! the old token is deleted, the registry refuses it.

mod case;
mod cluster;
mod delete;
mod git;
mod gone;
mod images;
mod old;
mod orphans;
mod outcome;
mod proof;
mod pulls;
mod report;
mod sharing;
mod together;

pub(super) use together::several;

use super::Options;
use crate::answers::Superseded;
use crate::commands::deploy_tokens::Journal;
use crate::commands::encrypted;
use crate::commands::transaction::{self, Transaction};
use crate::error::{Failure, Result};
use crate::pull_secret::Edit;
use crate::registry::PARALLEL;
use crate::repo::Repo;
use crate::report::Report;
use crate::secret::Secret;
use crate::ui::Ui;
use case::FinishCase;
use std::path::Path;

/// The action that failures name.
const FINISH: &str = "finish the rotation of";

/// Runs the command.
pub(super) fn run(options: &Options, repo: &Path, ui: &mut Ui) -> Result<Report> {
    let repo = Repo::find(repo, "rotate --finish")?;
    let _lock = if options.run.dry_run { None } else { repo.lock()? };
    let mut case = FinishCase::read(options, &repo, ui)?;
    // GitLab is also asked about tokens that no Secret names: a pipeline has no journal in its
    // clone.
    let names_gitlab = options.gitlab.given().is_some() || case.answers.ci_rotate;
    let was_issued = case.tenants.iter().any(|tenant| tenant.provenance.issued.is_some());
    let asks = ui.can_ask() && (names_gitlab || was_issued);
    if case.is_done() && !asks {
        return Ok(report::nothing(options, &repo.root()));
    }
    let _held = if options.run.dry_run { None } else { Some(Journal::of(&repo).hold()?) };
    // Each proof relies on the previous ones.
    if !case.old_tokens.is_empty() {
        pulls::prove(options, options.jobs.or(PARALLEL), std::slice::from_mut(&mut case), ui)?;
        let proofs = case.prove(options, &repo, ui)?;
        case.add(proofs);
    }
    delete::one(options, &repo, &mut case, ui)?;
    let forgotten = forget(options, &repo, &case, ui)?;
    Ok(report::outcome(options, &repo, &case, &forgotten))
}

/// What was written.
#[derive(Default)]
struct ListCleanup {
    paths: Vec<String>,
    commit: Option<String>,
}

/// Removes the deleted tokens from the lists in the Secrets.
fn forget(options: &Options, repo: &Repo, case: &FinishCase, ui: &mut Ui) -> Result<ListCleanup> {
    let both = case.old_tokens.iter().zip(&case.outcomes);
    let gone: Vec<Superseded> =
        both.filter(|(_, outcome)| outcome.is_gone()).map(|(old, _)| old.what.clone()).collect();
    if gone.is_empty() || options.run.dry_run {
        return Ok(ListCleanup::default());
    }
    let mut changed: Vec<(&str, Secret)> = Vec::new();
    for tenant in &case.tenants {
        let cannot =
            |fault| Failure::failed(format!("cannot {FINISH} `{}`", tenant.path)).because(fault);
        let manifest = Edit::of(tenant.text.expose()).map_err(cannot)?;
        if let Some(rewritten) = manifest.forget(&gone).map_err(cannot)? {
            changed.push((&tenant.path, rewritten.text));
        }
    }
    if changed.is_empty() {
        return Ok(ListCleanup::default());
    }
    if options.commit {
        transaction::repair_index(repo, ui)?;
    }
    let mut transaction = Transaction::begin(repo)?;
    for (path, text) in &changed {
        transaction.write(path, text.expose().as_bytes(), None)?;
        if options.commit {
            transaction.stage(path, text.expose().as_bytes(), false)?;
        }
    }
    let unchanged = || {
        case.tenants.iter().try_for_each(|tenant| {
            let file = repo.root().join(&tenant.path);
            encrypted::check_unchanged(FINISH, &tenant.path, &file, Some(tenant.text.expose()))
        })
    };
    let commit = transaction.finish(report::SUBJECT, unchanged)?;
    Ok(ListCleanup {
        paths: changed.into_iter().map(|(path, _)| path.to_owned()).collect(),
        commit,
    })
}
