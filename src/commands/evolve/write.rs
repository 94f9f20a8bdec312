//! Writes a plan: every file beside its place first, then all of them into their places, then a commit of just these.

use super::{Evolution, Proposal};
use crate::answers::Record;
use crate::change::{Plan, Step};
use crate::cli::PlanOptions;
use crate::commands::encrypted;
use crate::error::Result;
use crate::files::Batch;
use crate::interrupt::Interrupts;
use crate::repo::{Blob, Repo};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

impl Evolution {
    /// Writes what is not done yet. Gives the id of the commit, if one was wanted and there was something to commit.
    pub(super) fn write(
        &self,
        proposal: &Proposal,
        plan: &Plan,
        options: &PlanOptions,
    ) -> Result<Option<String>> {
        let root = self.repo.root();
        let interrupts = Interrupts::hold()?;
        let mode = |path: &Path| path.metadata().ok().map(|file| file.permissions().mode() & 0o777);
        // A new file is as open as those that were made with the repository.
        let plain = mode(&root.join(Record::FILE)).unwrap_or(0o644);
        let mut batch = Batch::default();
        for step in plan.steps.iter().filter(|step| !step.is_done()) {
            let file = root.join(&step.path);
            let Some(after) = &step.after else {
                batch.delete(&file)?;
                continue;
            };
            let new = match (step.is_secret(), step.executable) {
                (true, _) => 0o600,
                // Those may run it who may read it.
                (false, true) => plain | (plain & 0o444) >> 2,
                (false, false) => plain,
            };
            batch.add(&file, after.as_slice(), mode(&file).unwrap_or(new))?;
        }
        let mut secrets = Vec::new();
        if options.commit {
            // What can fail is done before anything is in its place.
            for step in self.uncommitted(plan)?.into_iter().filter(|step| step.is_secret()) {
                if let Some(after) = &step.after {
                    let cipher = self.repo.key(&step.path)?.encrypt(after);
                    secrets.push(self.repo.store(&step.path, &cipher)?);
                }
            }
            self.repo.check_can_commit()?;
        }
        batch.publish(&interrupts)?;
        if !options.commit {
            return Ok(None);
        }
        self.commit(proposal, plan, secrets)
    }

    /// Commits the files of the plan that HEAD does not have so; none if there is none.
    fn commit(&self, proposal: &Proposal, plan: &Plan, mut blobs: Vec<Blob>) -> Result<Option<String>> {
        let uncommitted = self.uncommitted(plan)?;
        for step in uncommitted.iter().filter(|step| step.after.is_some() && !step.is_secret()) {
            blobs.push(self.repo.store_file(&step.path, step.executable)?);
        }
        let gone = uncommitted.iter().filter(|step| step.after.is_none());
        blobs.extend(gone.map(|step| Repo::removal(&step.path)));
        if blobs.is_empty() {
            return Ok(None);
        }
        let paths: Vec<_> = uncommitted.iter().map(|step| step.path.as_str()).collect();
        encrypted::commit(&self.repo, &blobs, &proposal.message, &paths).map(Some)
    }

    /// The steps that HEAD does not have so.
    fn uncommitted<'p>(&self, plan: &'p Plan) -> Result<Vec<&'p Step>> {
        let mut all = Vec::new();
        for step in &plan.steps {
            let is_in_head = match &step.after {
                None => !self.repo.has_in_head(&step.path),
                Some(after) if step.is_secret() => self.repo.loss(&step.path, after)?.is_none(),
                // What is not in its place yet is not in HEAD either.
                Some(after) => step.is_done() && self.repo.loss(&step.path, after)?.is_none(),
            };
            if !is_in_head {
                all.push(step);
            }
        }
        Ok(all)
    }
}
