//! Writes a plan: every file beside its place first, then all of them into their places, then a commit of just these.

use super::{Evolution, Proposal};
use crate::answers::Record;
use crate::change::{Plan, Step};
use crate::cli::PlanOptions;
use crate::commands::encrypted;
use crate::error::Result;
use crate::files::Batch;
use crate::interrupt::Interrupts;
use crate::repo::Repo;
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
        let common = mode(&root.join(Record::FILE)).unwrap_or(0o644);
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
                (false, true) => common | (common & 0o444) >> 2,
                (false, false) => common,
            };
            let mode = match (mode(&file), step.mode) {
                (Some(mode), Some(true)) => mode | (mode & 0o444) >> 2,
                (Some(mode), Some(false)) => mode & !0o111,
                (known, _) => known.unwrap_or(new),
            };
            batch.add(&file, after.as_slice(), mode)?;
        }
        let mut blobs = Vec::new();
        let uncommitted = if options.commit { self.uncommitted(proposal, plan) } else { Vec::new() };
        if options.commit {
            // What can fail is done before anything is in its place.
            for step in &uncommitted {
                let Some(after) = &step.after else { continue };
                blobs.push(match step.is_secret() {
                    true => self.repo.store(&step.path, &self.repo.key(&step.path)?.encrypt(after))?,
                    false => self.repo.store_text(&step.path, after, step.executable)?,
                });
            }
            let gone = uncommitted.iter().filter(|step| step.after.is_none()).map(|step| step.path.as_str());
            blobs.extend(gone.filter(|path| self.repo.has_in_head(path)).map(Repo::removal));
            self.repo.check_staged(&blobs)?;
            self.repo.check_can_commit()?;
        }
        batch.publish(&interrupts)?;
        if uncommitted.is_empty() {
            return Ok(None);
        }
        let paths: Vec<_> = uncommitted.iter().map(|step| step.path.as_str()).collect();
        encrypted::commit(&self.repo, &blobs, &proposal.message, &paths).map(Some)
    }

    /// What HEAD lacks of the change: what is written now, and what an earlier run has written that was killed. Edits of
    /// people are neither.
    fn uncommitted(&self, proposal: &Proposal, plan: &Plan) -> Vec<Step> {
        let committed = super::read_committed(&self.repo, &self.scope);
        let from_head = (proposal.plan)(&committed).map(|plan| plan.steps).unwrap_or_default();
        let mut all: Vec<Step> = Vec::new();
        for step in from_head.into_iter().filter(|step| !step.is_done()) {
            let now = match plan.steps.iter().find(|known| known.path == step.path) {
                Some(known) => known.after.as_ref(),
                None => self.files.bytes(&step.path).ok().flatten(),
            };
            if step.after.as_ref() == now {
                let executable = self.files.get(&step.path).is_some_and(|found| found.executable);
                all.push(Step { executable: step.mode.unwrap_or(executable || step.executable), ..step });
            }
        }
        for step in plan.steps.iter().filter(|step| !step.is_done()) {
            if !all.iter().any(|known| known.path == step.path) {
                all.push(step.clone());
            }
        }
        all
    }
}
