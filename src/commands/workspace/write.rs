//! Writes a plan: every file beside its target, then all files into place, then a commit of exactly
//! these.

use super::read::read_committed;
use super::{Proposal, Workspace};
use crate::advice::{Advice, shell_word};
use crate::answers::Record;
use crate::change::{Plan, Step};
use crate::cli::PlanOptions;
use crate::commands::encrypted;
use crate::commands::transaction::Transaction;
use crate::error::{Failure, Result};
use std::path::Path;

impl Workspace {
    /// Writes the steps that are not done yet, and commits `uncommitted`. Returns the commit's id;
    /// `None` if none was requested or nothing was left to commit.
    pub(super) fn write(
        &self,
        proposal: &Proposal,
        plan: &Plan,
        uncommitted: &[Step],
        options: &PlanOptions,
    ) -> Result<Option<String>> {
        let mut transaction = Transaction::begin(&self.repo)?.with_git_crypt(proposal.new_key);
        let sources = plan.sources();
        for step in plan.steps.iter().filter(|step| !step.is_done()) {
            let new = step.before.is_none().then_some(step.executable);
            let model = sources.get(step.path.as_str()).copied().unwrap_or(Record::FILE);
            match &step.after {
                Some(after) => {
                    transaction.write_like(&step.path, model, after, step.mode.or(new))?;
                }
                None => transaction.delete(&step.path)?,
            }
        }
        for step in uncommitted {
            match &step.after {
                Some(after) => transaction.stage(&step.path, after, step.executable)?,
                None if self.repo.has_in_head(&step.path)? => transaction.stage_removal(&step.path),
                None => {}
            }
        }
        transaction.finish(&proposal.message, || {
            self.check_unchanged(proposal, plan)?;
            let now = if options.commit { self.uncommitted(proposal, plan)? } else { Vec::new() };
            if now == uncommitted {
                Ok(())
            } else {
                Err(encrypted::changed_meanwhile("HEAD was").into())
            }
        })
    }

    /// Fails if the files have changed in the meantime.
    pub(super) fn check_unchanged(&self, proposal: &Proposal, plan: &Plan) -> Result<()> {
        if (proposal.plan)(&self.reread()?)?.same(plan) {
            Ok(())
        } else {
            Err(encrypted::changed_meanwhile("files were").into())
        }
    }

    /// What HEAD lacks of the change: what is written now, and what a killed run wrote earlier.
    /// Edits by users do not count, unless the change is made from them.
    pub(super) fn uncommitted(&self, proposal: &Proposal, plan: &Plan) -> Result<Vec<Step>> {
        let committed = read_committed(&self.repo, &self.scope)?;
        let from_head = (proposal.plan)(&committed).unwrap_or_default();
        let now = |path: &str| match plan.steps.iter().find(|known| known.path == path) {
            Some(known) => known.after.as_ref(),
            None => self.files.bytes(path).ok().flatten(),
        };
        // An unreadable file still exists, and a file that was deleted here was not moved.
        let is_unread =
            |path: &str| self.files.get(path).is_some_and(|found| found.content.is_err());
        let has_not_moved =
            |path: &str| from_head.moves.get(path).is_some_and(|to| now(to).is_none());
        let is_users_own = |step: &Step| is_unread(&step.path) || has_not_moved(&step.path);
        let is_edited = |path: &str| proposal.edited.contains(&path);
        let mut all: Vec<Step> = Vec::new();
        for step in from_head.steps.iter().filter(|step| !step.is_done() && !is_edited(&step.path))
        {
            if is_users_own(step) {
                continue;
            }
            if step.after.as_ref() == now(&step.path) {
                let executable = self.files.get(&step.path).is_some_and(|found| found.executable);
                all.push(Step {
                    executable: step.mode.unwrap_or(executable || step.executable),
                    ..step.clone()
                });
            } else if !proposal.edited.is_empty() {
                // The record would contradict this file in the commit.
                return Err(Failure::failed(format!("cannot commit `{}`", step.path))
                    .because("it has other uncommitted edits")
                    .hint(Advice::git(format!("diff -- {}", shell_word(Path::new(&step.path)))))
                    .into());
            }
        }
        for step in plan.steps.iter().filter(|step| !step.is_done() && !is_edited(&step.path)) {
            if !all.iter().any(|known| known.path == step.path) {
                all.push(step.clone());
            }
        }
        for path in proposal.edited {
            let (before, after) = (self.repo.committed(path)?, now(path).cloned());
            if before != after {
                all.push(Step {
                    path: (*path).to_owned(),
                    before,
                    after,
                    executable: false,
                    mode: None,
                });
            }
        }
        // A file that git ignores is moved as well, but not committed.
        let (here, there) = (plan.sources(), from_head.sources());
        let comes = |path: &str| here.contains_key(path) || there.contains_key(path);
        all.retain(|step| !comes(&step.path) || !self.repo.is_ignored(&step.path));
        Ok(all)
    }
}
