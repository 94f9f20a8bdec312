//! Which of several repositories share a token. Pure.

use crate::answers::{ImageRef, RegistryKey};
use crate::commands::fleet::Look;
use crate::commands::rotate::found::Judged;
use crate::error::Result;
use crate::pull_secret::Issued;
use crate::rotation::{Files, RotateOverrides};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What is known of a repository before there is a token for it.
pub(super) struct Ready {
    /// What names of tokens and annotations call it.
    pub(super) name: String,
    pub(super) root: PathBuf,
    /// The registry that the token is for; `None` if the change needs no token.
    pub(super) registry: Option<RegistryKey>,
    pub(super) image: Option<ImageRef>,
    /// What was found to be in order.
    pub(super) judged: Judged,
    /// The token that it has, if GitLab made it.
    pub(super) issued: Option<Issued>,
    pub(super) environments: Vec<String>,
    /// Its files, where the tokens of several are compared.
    pub(super) files: Option<Files>,
}

/// The places of the repositories that are ready, by the token that they share; one without a token
/// shares none.
pub(super) fn groups(
    looks: &[Look<Ready>],
    overrides: &RotateOverrides,
) -> Result<Vec<Vec<usize>>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    // Only those with one user name are compared.
    let mut known: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, look) in looks.iter().enumerate() {
        let Some(files) = look.ready().and_then(|ready| ready.files.as_ref()) else { continue };
        let Some(username) = files.username(overrides)? else {
            groups.push(vec![at]);
            continue;
        };
        let alike = known.entry(username).or_default();
        let mut shared = None;
        for group in alike.iter().copied() {
            let other =
                groups[group].first().and_then(|first| looks[*first].ready()?.files.as_ref());
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
