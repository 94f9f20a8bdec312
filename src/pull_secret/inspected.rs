//! Inspects a pull secret as the API server and the kubelet would, and reports all flaws instead of
//! only the first. Never quotes its content.

use super::docker_config::{DockerConfig, Entry, wipe};
use super::expiries::{EXPIRES_AT, OTHER_EXPIRIES, OtherExpiries};
use super::login::{self, JOB_TOKEN, ShortLived};
use super::{auth, keyring};
use crate::answers::{Answer, RegistryKey, SecretType};
use crate::secret::Secret;
use crate::yaml;
use crate::yaml_path::{at, kind, text};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_yaml::Value;
use zeroize::{Zeroize, Zeroizing};

/// Annotations that let controllers copy a Secret to other namespaces:
/// emberstack/kubernetes-reflector, mittwald/kubernetes-replicator, kubeops/config-syncer (formerly
/// kubed).
const COPIES: [&str; 6] = [
    "reflector.v1.k8s.emberstack.com/reflection-allowed",
    "reflector.v1.k8s.emberstack.com/reflection-auto-enabled",
    "replicator.v1.mittwald.de/replicate-to",
    "replicator.v1.mittwald.de/replicate-to-matching",
    "replicator.v1.mittwald.de/replication-allowed",
    "kubed.appscode.com/sync",
];

/// A Secret in a file that is, or was meant to be, a pull secret.
pub struct Inspected {
    /// The name; `None` if it has none.
    pub name: Option<String>,
    /// The namespace; `None` if the file does not set one.
    pub namespace: Option<String>,
    /// The token's expiry, according to the annotation.
    pub expires_at: Option<String>,
    /// Expiries of the tokens for further registries.
    pub other_expiries: OtherExpiries,
    /// Whether its annotations let a controller copy it to other namespaces.
    pub is_copied: bool,
    /// The flaws.
    pub flaws: Vec<Flaw>,
    config: Option<DockerConfig>,
    kind: String,
    data: Option<Zeroizing<Vec<u8>>>,
}

/// How a Secret in a cluster differs from that in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretDiff {
    /// Same type and data.
    Same,
    /// Different data.
    OtherData,
    /// Different type.
    OtherType,
}

/// What a flaw is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aspect {
    /// The type, and the `data` key that it requires.
    Type,
    /// The JSON around the entries.
    Wrapping,
    /// The content of `auth`, user name and token.
    Auth,
    /// Whether there are credentials, and whether they last.
    Credentials,
    /// Credentials that work but grant more than a pull secret needs.
    TooMuch,
}

/// A flaw: a sentence about "it", without any value.
#[derive(Debug, PartialEq, Eq)]
pub struct Flaw {
    /// What the flaw is about.
    pub aspect: Aspect,
    /// The description.
    pub message: String,
    /// The registry key of the affected entry; `None` if it is not about one entry.
    pub key: Option<String>,
    /// Whether the login merely looks wrong: if a registry accepts it, nothing is wrong.
    pub is_suspicion: bool,
}

impl Inspected {
    /// Whether it has the same credentials as `other`.
    #[must_use]
    pub fn holds_as(&self, other: &Self) -> bool {
        self.data.is_some() && self.data == other.data
    }

    /// Inspects one YAML document; `None` if it neither is nor was meant to be a pull secret.
    #[must_use]
    pub fn of(document: &Value) -> Option<Self> {
        if kind(document)? != "Secret" {
            return None;
        }
        let text = |path: &[&str]| text(document, path);
        let declared = text(&["type"]).unwrap_or("Opaque");
        let by_type = SecretType::ALL.into_iter().find(|kind| kind.kubernetes_type() == declared);
        let has = |kind: SecretType, field: &str| {
            document.get(field).and_then(|data| data.get(kind.data_key())).is_some()
        };
        let has_key = |kind: SecretType| has(kind, "data") || has(kind, "stringData");
        let by_key = SecretType::ALL.into_iter().find(|kind| has_key(*kind));
        by_type.or(by_key)?;
        let mut inspected = Self {
            name: text(&["metadata", "name"]).map(str::to_owned),
            namespace: text(&["metadata", "namespace"]).map(str::to_owned),
            expires_at: text(&["metadata", "annotations", EXPIRES_AT]).map(str::to_owned),
            other_expiries: OtherExpiries::parse(text(&[
                "metadata",
                "annotations",
                OTHER_EXPIRIES,
            ])),
            is_copied: COPIES.iter().any(|name| {
                at(document, &["metadata", "annotations", name])
                    .is_some_and(|value| value.as_str() != Some("false"))
            }),
            flaws: Vec::new(),
            config: None,
            kind: declared.to_owned(),
            data: by_type.or(by_key).and_then(|kind| payload(kind, &text)),
        };
        match by_type {
            Some(kind) if has_key(kind) => {
                let is_null = |field: &&str| {
                    at(document, &[field, kind.data_key()]).is_some_and(Value::is_null)
                };
                let is_null = ["data", "stringData"].iter().any(is_null);
                inspected.look_into(kind, &text, is_null);
            }
            Some(kind) => {
                let key = kind.data_key();
                inspected.flaw(
                    Aspect::Type,
                    format!("type `{declared}` requires the key `{key}` under `data`"),
                );
            }
            None => {
                let wanted = by_key.map_or("", SecretType::kubernetes_type);
                inspected.flaw(
                    Aspect::Type,
                    format!(
                        "the data key requires `type: {wanted}`, which is missing, so the kubelet \
                         ignores the Secret"
                    ),
                );
            }
        }
        Some(inspected)
    }

    /// Inspects the text of a file with one document.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        let mut document = yaml::read(text).ok()?;
        let found = Self::of(&document);
        wipe_yaml(&mut document);
        found
    }

    /// Inspects an object from an API server, and clears its memory.
    #[must_use]
    pub fn of_json(mut object: serde_json::Value) -> Option<Self> {
        let document = serde_yaml::to_value(&object);
        wipe(&mut object);
        let mut document = document.ok()?;
        let found = Self::of(&document);
        wipe_yaml(&mut document);
        found
    }

    /// The registry keys; empty if the kubelet cannot read any.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.config.iter().flat_map(DockerConfig::keys)
    }

    /// Whether the kubelet can read entries in it.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.config.is_some()
    }

    /// Whether the kubelet would find an entry for the image `name`, in the form that
    /// [`keyring::matches_name`] takes.
    #[must_use]
    pub fn serves(&self, name: &str) -> bool {
        self.keys().any(|key| keyring::matches_name(key, name))
    }

    /// Values of the `Authorization` header that the kubelet would try for the image `name`, in its
    /// order.
    #[must_use]
    pub fn authorizations(&self, name: &str) -> Vec<Secret> {
        let Some(config) = &self.config else { return Vec::new() };
        let keys = keyring::matching_name(config.keys(), name);
        keys.into_iter().filter_map(|key| config.authorization(key)).collect()
    }

    /// Expiry, according to the annotations, of the token that the kubelet would use for the image
    /// `name`. `recorded` is the project's own registry according to the record.
    #[must_use]
    pub fn expiry_for(&self, name: &str, recorded: Option<&str>) -> Option<&str> {
        let first = self.expires_at.as_deref();
        let Some(config) = &self.config else { return first };
        let Some(key) = keyring::matching_name(config.keys(), name).into_iter().next() else {
            return first;
        };
        let own = config.keys().find(|key| Some(*key) == recorded).or_else(|| config.keys().next());
        let is_own = own.is_some_and(|own| own == key || config.shares(key, config, own));
        self.other_expiries.of(key).or_else(|| first.filter(|_| is_own))
    }

    /// Compares type and data with `other`, regardless of how they are written.
    #[must_use]
    pub fn compare(&self, other: &Self) -> SecretDiff {
        if self.kind != other.kind {
            SecretDiff::OtherType
        } else if self.data != other.data {
            SecretDiff::OtherData
        } else {
            SecretDiff::Same
        }
    }

    /// The credentials; `None` if they cannot be read.
    #[must_use]
    pub fn config(&self) -> Option<&DockerConfig> {
        self.config.as_ref()
    }

    fn look_into<'v>(
        &mut self,
        kind: SecretType,
        text: &dyn Fn(&[&str]) -> Option<&'v str>,
        is_null: bool,
    ) {
        // In the API server, `stringData` takes precedence.
        let config =
            match (text(&["stringData", kind.data_key()]), text(&["data", kind.data_key()])) {
                (Some(data), _) | (None, Some(data)) if data.trim().is_empty() => {
                    Err("the data is empty")
                }
                (Some(json), _) => DockerConfig::from_json(kind, json.as_bytes()),
                (None, Some(base64)) if base64.trim().contains([' ', '\t']) => {
                    Err("the base64 data contains blanks, which the API server refuses")
                }
                (None, Some(base64)) => DockerConfig::decode(kind, base64),
                (None, None) if is_null => Err("the data is empty"),
                (None, None) => Err("the data is not text"),
            };
        match config {
            Ok(config) => {
                for entry in config.entries() {
                    self.look_at(&entry, &config);
                }
                if config.has_invalid_duplicate() {
                    let message = "an entry exists twice and the first `auth` is malformed, so the \
                                   kubelet refuses all entries";
                    self.flaw(Aspect::Auth, message.into());
                }
                if config.keys().next().is_none() {
                    self.flaw(Aspect::Credentials, "no entry for any registry".into());
                }
                self.config = Some(config);
            }
            Err(fault) => self.flaw(Aspect::Wrapping, fault.to_owned()),
        }
    }

    fn look_at(&mut self, entry: &Entry, config: &DockerConfig) {
        // A key that contains a user and a password was not written by makeinfra and is not shown.
        let key = RegistryKey::parse(entry.key);
        let host = key.as_ref().map(|key| key.host().to_owned()).unwrap_or_default();
        let of = match key {
            Ok(key) => format!("of `{key}`"),
            Err(_) => "of an entry".to_owned(),
        };
        let flaw = |aspect, message, is_suspicion| Flaw {
            aspect,
            message,
            key: Some(entry.key.to_owned()),
            is_suspicion,
        };
        let (username, password) = match auth::decode(&entry.auth) {
            _ if entry.auth.is_empty() => (entry.username.to_string(), entry.password.clone()),
            Ok(both) => both,
            Err(_) => {
                let why = match auth::decode(entry.auth.trim()) {
                    Ok(_) => "begins or ends with a blank",
                    Err(_) => "is not base64 of USERNAME:PASSWORD",
                };
                let message = format!("the `auth` {of} {why}, so the kubelet refuses all entries");
                return self.flaws.push(flaw(Aspect::Auth, message, false));
            }
        };
        let differs = |field: &str, decoded: &str| !field.is_empty() && field != decoded;
        if differs(&entry.username, &username) || differs(&entry.password, &password) {
            let message = format!(
                "the `auth` {of} differs from `username` and `password`; the kubelet uses `auth`, \
                 other programs may not"
            );
            self.flaws.push(flaw(Aspect::Auth, message, false));
        }
        for (what, value, is_odd) in [
            (
                "user name",
                username.as_str(),
                username.trim() != username || username.contains(char::is_control),
            ),
            ("token", password.as_str(), login::is_odd(&password)),
        ] {
            if is_odd {
                let kind = login::odd_part(value);
                let message = format!("the {what} {of} has an extra {kind}");
                self.flaws.push(flaw(Aspect::Auth, message, true));
            }
        }
        let empty = username.is_empty() || password.is_empty();
        let is_identity_token = username == "<token>" || (empty && entry.identity_token);
        let message = if is_identity_token {
            format!("the login {of} is an identity token, which the kubelet ignores")
        } else if empty && config.has_helper() {
            format!(
                "the credentials {of} are in docker's credential helper (`credsStore`), not in \
                 this file"
            )
        } else if empty {
            format!("the credentials {of} are empty, but the kubelet uses them")
        } else if let Some(login) = ShortLived::of(&username, &password, &host) {
            match login {
                JOB_TOKEN => format!("the credentials {of} belong to a CI job and expire with it"),
                ShortLived { what, ends, .. } => {
                    format!("the credentials {of} are {what}, which {ends}")
                }
            }
        } else if let Some(what) = login::unfit(&password) {
            return self.flaws.push(flaw(Aspect::TooMuch, format!("the token {of} {what}"), false));
        } else {
            return;
        };
        self.flaws.push(flaw(Aspect::Credentials, message, false));
    }

    fn flaw(&mut self, aspect: Aspect, message: String) {
        self.flaws.push(Flaw { aspect, message, key: None, is_suspicion: false });
    }
}

fn wipe_yaml(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Sequence(items) => items.iter_mut().for_each(wipe_yaml),
        Value::Mapping(entries) => entries.iter_mut().for_each(|(_, value)| wipe_yaml(value)),
        _ => {}
    }
}

/// The content of the data key of `kind`, base64-decoded if possible; `None` if there is none. In
/// the API server, `stringData` takes precedence.
fn payload<'v>(
    kind: SecretType,
    text: &dyn Fn(&[&str]) -> Option<&'v str>,
) -> Option<Zeroizing<Vec<u8>>> {
    if let Some(json) = text(&["stringData", kind.data_key()]) {
        return Some(Zeroizing::new(json.as_bytes().to_vec()));
    }
    let base64 = text(&["data", kind.data_key()])?;
    let compact: Zeroizing<String> =
        Zeroizing::new(base64.chars().filter(|c| !c.is_ascii_whitespace()).collect());
    let decoded = STANDARD.decode(compact.as_bytes());
    Some(Zeroizing::new(decoded.unwrap_or_else(|_| compact.as_bytes().to_vec())))
}

#[cfg(test)]
mod tests;
