//! Groups repositories by shared token. Pure.

use crate::answers::{ImageRef, RegistryKey};
use crate::commands::fleet::Preflight;
use crate::commands::rotate::found::PassedChecks;
use crate::error::Result;
use crate::pull_secret::Issued;
use crate::rotation::{Files, RotateOverrides};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A repository before there is a token for it.
pub(super) struct RotationCandidate {
    /// The repository's name in token names and annotations.
    pub(super) name: String,
    pub(super) root: PathBuf,
    /// The registry that the token is for; `None` if the change needs no token.
    pub(super) registry: Option<RegistryKey>,
    pub(super) image: Option<ImageRef>,
    /// The result of the checks.
    pub(super) judged: PassedChecks,
    /// The current token; `None` if GitLab did not issue it.
    pub(super) issued: Option<Issued>,
    pub(super) environments: Vec<String>,
    /// The files, if the tokens of several repositories are compared.
    pub(super) files: Option<Files>,
}

/// Indices of the repositories that are ready, grouped by shared token. A repository without a
/// token is a group of its own.
pub(super) fn groups(
    preflights: &[Preflight<RotationCandidate>],
    overrides: &RotateOverrides,
) -> Result<Vec<Vec<usize>>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    // Only repositories with the same user name are compared.
    let mut known: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, look) in preflights.iter().enumerate() {
        let Some(files) = look.ready().and_then(|ready| ready.files.as_ref()) else { continue };
        let Some(username) = files.username(overrides)? else {
            groups.push(vec![at]);
            continue;
        };
        let alike = known.entry(username).or_default();
        let mut shared = None;
        for group in alike.iter().copied() {
            let other =
                groups[group].first().and_then(|first| preflights[*first].ready()?.files.as_ref());
            if let Some(other) = other
                && files.shares(other, overrides)?
            {
                shared = Some(group);
                break;
            }
        }
        match shared {
            Some(group) => groups[group].push(at),
            None => {
                alike.push(groups.len());
                groups.push(vec![at]);
            }
        }
    }
    Ok(groups)
}
