//! The state of secret files, and the pull secrets in them.

use super::paths::is_manifest;
use super::{PullSecret, Reader, SecretFileState};
use crate::git_crypt;
use crate::manifests::{documents, is_sops, later};
use crate::pull_secret::Inspected;
use crate::repo::SECRETS;
use crate::work_tree::Content;
use serde_yaml::Value;

/// Prefix of a value that SOPS has encrypted, in files of any format.
const SOPS_VALUE: &str = "ENC[AES256_GCM,";

impl Reader {
    /// Whether the file `path`, from which a Secret is generated, exists and only git-crypt would
    /// encrypt it.
    pub(super) fn is_secret_input(&self, path: &str) -> bool {
        // Files below `secrets/` are secret anyway.
        !path.starts_with(SECRETS)
            && self.tree.has(path)
            && !self.open_bytes(path).text().is_some_and(|text| text.contains(SOPS_VALUE))
    }

    /// The state of a secret file, and the pull secrets in it.
    pub(super) fn secret_file(&self, path: &str) -> (SecretFileState, Vec<PullSecret>) {
        let locked = match self.tree.read(path) {
            Content::Bytes(bytes) => git_crypt::is_encrypted(&bytes),
            _ => false,
        };
        // The value of a key may be arbitrary bytes.
        let content = if is_manifest(path) { self.open(path) } else { self.open_bytes(path) };
        let state = match &content {
            Content::Absent => SecretFileState::Absent,
            Content::Locked => SecretFileState::Locked,
            Content::Unread(why) => SecretFileState::Unread(why),
            Content::Bytes(_) if locked => SecretFileState::Opened,
            Content::Bytes(_) => SecretFileState::Plain,
        };
        if !is_manifest(path) && !self.secrets.iter().any(|named| named == path) {
            return (state, Vec::new());
        }
        match content.text().map(pull_secrets_in) {
            Some(None) => (SecretFileState::NotYaml, Vec::new()),
            Some(Some(found)) if found.is_empty() && content.text().is_some_and(has_sops) => {
                (SecretFileState::Sops, Vec::new())
            }
            Some(Some(found))
                if found.is_empty() && content.text().and_then(why_later).is_some() =>
            {
                (
                    SecretFileState::Later(content.text().and_then(why_later).unwrap_or_default()),
                    Vec::new(),
                )
            }
            Some(Some(found)) => (state, at(path, found)),
            None => (state, Vec::new()),
        }
    }
}

/// The pull secrets in a file, if it can be read.
pub(super) fn pull_secrets_of((path, content): (&String, &Content)) -> Vec<PullSecret> {
    let text = content.text().filter(|text| names_a_secret(text));
    at(path, text.and_then(pull_secrets_in).unwrap_or_default())
}

/// The pull secrets `found`, located in the file `path`.
fn at(path: &str, found: Vec<Inspected>) -> Vec<PullSecret> {
    found.into_iter().map(|secret| PullSecret::new(path, secret)).collect()
}

/// Whether a file may contain `kind: Secret` in any notation: this spares parsing most manifests.
fn names_a_secret(text: &str) -> bool {
    text.contains('\\') || text.matches("Secret").count() > text.matches("imagePullSecret").count()
}

/// The pull secrets in a file, without those that SOPS has encrypted or that are filled in later;
/// `None` if it is not YAML.
fn pull_secrets_in(text: &str) -> Option<Vec<Inspected>> {
    let documents = documents(text.as_bytes()).ok()?;
    let is_whole = |document: &&Value| !is_sops(document) && later(document).is_none();
    Some(documents.iter().filter(is_whole).filter_map(Inspected::of).collect())
}

/// Why the content of a Secret in the file is filled in later; `None` if it is not.
fn why_later(text: &str) -> Option<&'static str> {
    documents(text.as_bytes()).ok()?.iter().find_map(later)
}

/// Whether SOPS has encrypted a document of the file.
fn has_sops(text: &str) -> bool {
    documents(text.as_bytes()).is_ok_and(|documents| documents.iter().any(is_sops))
}
