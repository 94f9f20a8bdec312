//! The files that `makeinfra rotate` writes and commits.

use super::{Options, ROTATE, RotationTarget};
use crate::answers::Record;
use crate::commands::encrypted;
use crate::commands::transaction::Transaction;
use crate::error::Result;
use crate::opaque::Kustomization;
use crate::rotation::{Plan, RotateOverrides};
use crate::secret::Secret;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Writes the changes and commits them with `message` if requested. Returns the commit's id.
pub(super) fn write(
    options: &Options,
    found: &RotationTarget,
    overrides: &RotateOverrides,
    plan: &Plan,
    message: &str,
) -> Result<Option<String>> {
    let commits = options.commits() && (plan.writes() || found.uncommitted.contains(&true));
    if !plan.writes() && !commits {
        return Ok(None);
    }
    let mut transaction = Transaction::begin(&found.repo)?;
    for (file, change) in found.files.secrets.iter().zip(&plan.secrets) {
        if let Some(text) = &change.text {
            transaction.write(&file.path, text.expose().as_bytes(), None)?;
        }
    }
    // Kustomizations are written after the files that they refer to.
    for (path, text) in kustomizations(found, plan) {
        transaction.write(path, text.expose().as_bytes(), None)?;
    }
    if let Some(text) = &plan.record {
        transaction.write(Record::FILE, text.as_bytes(), None)?;
    }
    if commits {
        // A file that has the token already may still need to be committed.
        for (path, text) in found.texts(plan) {
            transaction.stage(path, text.expose().as_bytes(), false)?;
        }
        for (path, bytes) in uncommitted_beside(found, plan)? {
            transaction.stage(&path, &bytes, false)?;
        }
        let committed = found.repo.head_text(Record::FILE)?.map(Record::parse).transpose()?;
        let record = match committed {
            // Edits by users stay uncommitted.
            Some(committed) => found.files.followed(committed, plan, overrides)?,
            None => plan.record.clone(),
        };
        if let Some(text) = record {
            transaction.stage(Record::FILE, text.as_bytes(), false)?;
        }
    }
    transaction.finish(message, || check_unchanged(found))
}

/// The kustomizations that change, each with its new text.
pub(super) fn kustomizations<'t>(
    found: &'t RotationTarget,
    plan: &'t Plan,
) -> impl Iterator<Item = (&'t str, &'t Secret)> {
    let both = found.files.secrets.iter().zip(&plan.secrets);
    both.filter_map(|(file, change)| {
        Some((file.kustomization.as_ref()?.0.as_str(), change.kustomization.as_ref()?))
    })
}

/// The kustomizations that do not list their Secret file in HEAD, and the files that they refer to
/// but HEAD lacks: a commit without them could not be deployed.
pub(super) fn uncommitted_beside(
    found: &RotationTarget,
    plan: &Plan,
) -> Result<BTreeMap<String, Zeroizing<Vec<u8>>>> {
    let repo = &found.repo;
    let mut beside = BTreeMap::new();
    for (file, change) in found.files.secrets.iter().zip(&plan.secrets) {
        let Some((path, before)) = &file.kustomization else { continue };
        let text = change.kustomization.as_ref().unwrap_or(before).expose();
        let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
        let named = |text: &str| {
            Kustomization::parse(text).map(|found| found.files(dir)).unwrap_or_default()
        };
        let key = repo.key(path)?;
        let head = repo.head_plain(path, &key)?.unwrap_or_default();
        if named(std::str::from_utf8(&head).unwrap_or_default()).contains(&file.path) {
            continue;
        }
        beside.insert(path.clone(), Zeroizing::new(text.as_bytes().to_owned()));
        let others = named(text).into_iter().filter(|path| *path != file.path);
        for path in others.filter(|path| found.root().join(path).is_file()) {
            if repo.has_in_head(&path)? {
                continue;
            }
            repo.check_protected(&path)?;
            if let Some(bytes) = encrypted::read_bytes(ROTATE, &path, &found.root().join(&path))? {
                beside.insert(path, bytes);
            }
        }
    }
    Ok(beside)
}

/// The record, if it has changes by an earlier uncommitted rotation and no others.
pub(super) fn earlier_record<'f>(
    found: &'f RotationTarget,
    plan: &Plan,
) -> Result<Option<&'f String>> {
    let committed = found.repo.head_text(Record::FILE)?;
    let (Some(committed), Some(record)) = (committed, &found.files.record) else { return Ok(None) };
    Ok(found.files.only_followed(&committed, plan).then_some(&record.text))
}

/// Fails if the files have changed since they were read, or if git would no longer encrypt them.
fn check_unchanged(found: &RotationTarget) -> Result<()> {
    found
        .files
        .secrets
        .iter()
        .try_for_each(|file| found.repo.check_filter(&file.path).map(drop))?;
    let secrets = found.files.secrets.iter();
    let secrets = secrets.map(|file| (file.path.as_str(), file.text.as_ref().map(Secret::expose)));
    let kustomizations = found.files.secrets.iter().filter_map(|file| file.kustomization.as_ref());
    let kustomizations = kustomizations.map(|(path, text)| (path.as_str(), Some(text.expose())));
    let record = found.files.record.as_ref().map(|record| record.text.as_str());
    for (path, before) in secrets.chain(kustomizations).chain([(Record::FILE, record)]) {
        encrypted::check_unchanged(ROTATE, path, &found.root().join(path), before)?;
    }
    Ok(())
}
