//! The parts of a repository, and where they are.

use super::{Hook, Reader, SCRIPT};
use crate::answers::{Environment, Record};
use crate::error::Result;
use crate::files::is_leftover;
use crate::manifests::{Manifests, kustomization};
use crate::repo::{Audit, Repo, SECRETS};
use std::collections::BTreeSet;
use std::path::Path;

/// Which parts exist.
pub struct Layout {
    /// Whether the script that the Makefile runs exists.
    pub has_script: bool,
    /// Whether any directory of manifests contains a file.
    pub has_manifests: bool,
    /// The folders that makeinfra generated.
    pub generated: Vec<String>,
}

impl Reader {
    /// Records those of the files `deployed` that git does not have.
    pub(super) fn leave_out<'p>(
        &self,
        repo: &Repo,
        audit: &mut Audit,
        manifests: &Manifests,
        deployed: impl Iterator<Item = &'p String>,
    ) {
        let is_left_out = |path: &&String| {
            let is_input = manifests.secret_inputs.contains(*path) && !path.starts_with(SECRETS);
            let is_deployed = !is_input && !is_leftover(Path::new(path));
            is_deployed && self.tree.has(path) && !repo.is_tracked(path)
        };
        let left_out: BTreeSet<&String> = deployed.filter(is_left_out).collect();
        for path in left_out {
            let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
            let is_named = || {
                let is_kustomization = kustomization::is_one(path) && manifests.named.contains(dir);
                !path.starts_with(SECRETS) || is_kustomization || manifests.named.contains(path)
            };
            if repo.ignores(path) {
                audit.ignored.push(path.clone());
            } else if is_named() && !matches!(audit.covered.get(path), Some(Err(_))) {
                // A file that git would store in plaintext must not be added, and one that nothing
                // refers to is not deployed.
                audit.untracked.push(path.clone());
            }
        }
    }

    /// Records what HEAD has of a generated repository: files whose absence fails checks, and
    /// environments.
    pub(super) fn compare_with_head(
        &self,
        repo: &Repo,
        record: &Record,
        audit: &mut Audit,
    ) -> Result<()> {
        let of_environment = |one: &Environment| {
            let overlay = one.overlay();
            let files = ["kustomization.yaml", Environment::SETTINGS]
                .map(|file| format!("{overlay}/{file}"));
            files.into_iter().chain([one.pipeline_file()])
        };
        let of_all = ["Makefile", SCRIPT, Hook::FILE].map(str::to_owned);
        let wanted = record.answers.environments.iter().flat_map(of_environment).chain(of_all);
        for path in wanted.filter(|path| !self.tree.has(path)) {
            if repo.has_in_head(&path)? {
                audit.lost.insert(path);
            }
        }
        let committed = repo.head_text(Record::FILE)?;
        let other = committed.as_ref().filter(|text| **text != record.text);
        let other = other.and_then(|text| Record::parse(text.clone()).ok());
        let is_same = committed.as_ref() == Some(&record.text);
        let committed = if is_same { Some(record) } else { other.as_ref() };
        let environments =
            committed.into_iter().flat_map(|record| record.answers.environments.iter());
        audit.environments = environments.map(|one| one.name.to_string()).collect();
        Ok(())
    }

    pub(super) fn layout(&self) -> Layout {
        let end = format!("/{}", Record::FILE);
        Layout {
            has_script: self.tree.has(SCRIPT),
            has_manifests: self.dirs.iter().any(|dir| self.tree.at(dir).next().is_some()),
            generated: self
                .tree
                .at("")
                .filter_map(|(path, _)| path.strip_suffix(&end))
                .map(str::to_owned)
                .collect(),
        }
    }
}
