//! A repository that a command changes: the record, and the templates from which the files were
//! rendered.

use super::workspace::{Scope, Workspace};
use super::{not_generated, templates_of};
use crate::answers::Record;
use crate::cli::PlanOptions;
use crate::error::Result;
use crate::repo::Repo;
use crate::templates::TemplateSet;
use std::path::Path;

/// A generated repository that a command is about to change.
pub(super) struct ManagedRepo {
    pub(super) workspace: Workspace,
    pub(super) record: Record,
    /// The record in HEAD; `None` if there is none or this version cannot read it.
    pub(super) committed: Option<Record>,
    /// The templates from which the files were rendered.
    pub(super) templates: TemplateSet,
}

impl ManagedRepo {
    /// Opens the repository at `repo` for `command`.
    pub(super) fn open(repo: &Path, command: &str, options: &PlanOptions) -> Result<Self> {
        Self::open_with(repo, command, Scope::default(), !options.run.dry_run)
    }

    /// Like [`ManagedRepo::open`], for a command that reads `scope`; `locks` if it may write.
    pub(super) fn open_with(repo: &Path, command: &str, scope: Scope, locks: bool) -> Result<Self> {
        let workspace = Workspace::open(Repo::find(repo, command)?, scope, locks)?;
        let text = workspace.files.text(Record::FILE)?.ok_or_else(|| {
            not_generated(&workspace.repo.root(), format!("no `{}`", Record::FILE))
        })?;
        let record = Record::parse(text.to_owned())?;
        let committed =
            workspace.repo.head_text(Record::FILE)?.and_then(|text| Record::parse(text).ok());
        let templates = templates_of(&record)?;
        Ok(Self { workspace, record, committed, templates })
    }

    /// The record to use for a removal: that of HEAD if `has` is true for it alone, as after an
    /// uncommitted removal.
    pub(super) fn record_with(&self, has: impl Fn(&Record) -> bool) -> Result<Record> {
        let committed = self.committed.as_ref().filter(|record| !has(&self.record) && has(record));
        let mut record = Record::parse(committed.unwrap_or(&self.record).text.clone())?;
        record.text.clone_from(&self.record.text);
        Ok(record)
    }
}
