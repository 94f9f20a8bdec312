//! The Secret manifest: the parsed file of a pull secret.

use super::docker_config::{DockerConfig, Fault};
use super::notes::Notes;
use super::{Provenance, keyring};
use crate::answers::{Answer, Email, ImageRef, RegistryKey, SecretType};
use crate::yaml;
use crate::yaml_path;
use serde_yaml::Value;
use zeroize::Zeroizing;

/// The one fault that an option can resolve.
pub const SEVERAL: Fault = "has several registries, and `.makeinfra.yaml` names none of them";

/// Why the project's own entry cannot be removed.
pub const OWN: Fault = "the project's own entry is required to pull the image";

/// A pull secret's manifest.
pub struct Manifest {
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    pub(super) kind: SecretType,
    pub(super) notes: Notes,
    pub(super) config: DockerConfig,
}

/// The entry to rotate.
#[derive(Debug, Clone, Copy, Default)]
pub enum RotatedEntry<'a> {
    /// The project's own entry.
    #[default]
    Own,
    /// The entry with this registry key; if there is none, the project's own entry gets the key.
    Named(&'a RegistryKey),
    /// The entry with this registry key, which is added if it does not exist.
    Added(&'a RegistryKey),
}

/// Changes to make besides the credentials; `None` leaves a part unchanged.
#[derive(Default)]
pub struct Rewrite<'a> {
    /// The registry key in `.makeinfra.yaml`, which identifies the own entry among several.
    pub recorded: Option<&'a RegistryKey>,
    /// The entry.
    pub wanted: RotatedEntry<'a>,
    /// A new e-mail address.
    pub email: Option<&'a Email>,
    /// The type to convert to.
    pub kind: Option<SecretType>,
}

impl Manifest {
    /// Parses `text`, the plaintext of the file.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let root: Value = yaml::read(text).map_err(|_| "not a single YAML document")?;
        let text_at = |path: &[&str]| yaml_path::text(&root, path).map(str::to_owned);
        let annotation = |name: &str| text_at(&["metadata", "annotations", name]);
        if text_at(&["kind"]).as_deref() != Some("Secret")
            || text_at(&["apiVersion"]).as_deref() != Some("v1")
        {
            return Err("not a `kind: Secret` with `apiVersion: v1`");
        }
        let kind = text_at(&["type"])
            .and_then(|found| {
                SecretType::ALL.into_iter().find(|kind| kind.kubernetes_type() == found)
            })
            .ok_or(
                "`type` is neither `kubernetes.io/dockercfg` nor `kubernetes.io/dockerconfigjson`",
            )?;
        if root.get("stringData").is_some() {
            return Err("has `stringData`, but makeinfra requires credentials under `data`");
        }
        let base64 = text_at(&["data", kind.data_key()]).map(Zeroizing::new).ok_or(match kind {
            SecretType::Dockercfg => "the type requires the key `.dockercfg` under `data`",
            SecretType::Dockerconfigjson => {
                "the type requires the key `.dockerconfigjson` under `data`"
            }
        })?;
        Ok(Self {
            name: text_at(&["metadata", "name"]).ok_or("`metadata.name` is missing")?,
            namespace: text_at(&["metadata", "namespace"]),
            kind,
            notes: Notes::read(annotation),
            config: DockerConfig::decode(kind, &base64)?,
        })
    }

    /// The Secret's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The Secret's type.
    #[must_use]
    pub fn kind(&self) -> SecretType {
        self.kind
    }

    /// The token's expiry, according to the file.
    #[must_use]
    pub fn expires_at(&self) -> Option<&str> {
        self.notes.expires_at.as_deref()
    }

    /// The origin of the project's own token and the tokens that it has replaced.
    #[must_use]
    pub fn provenance(&self) -> &Provenance {
        &self.notes.provenance
    }

    /// The credentials.
    #[must_use]
    pub fn config(&self) -> &DockerConfig {
        &self.config
    }

    /// Whether the kubelet would find credentials for `image`.
    #[must_use]
    pub fn serves(&self, image: &ImageRef) -> bool {
        self.config.keys().any(|key| keyring::matches(key, image))
    }

    /// The key of the entry for `registry`, in any spelling: `ghcr.io`, `https://ghcr.io`.
    #[must_use]
    pub fn entry(&self, registry: &RegistryKey) -> Option<&str> {
        let exact = self.config.keys().find(|found| *found == registry.as_str());
        exact.or_else(|| {
            let same =
                |found: &&str| RegistryKey::parse(found).is_ok_and(|found| found.is_same(registry));
            self.config.keys().find(same)
        })
    }

    /// The key of the project's own entry. `recorded` is the registry key in the record; the first
    /// entry if there is none with that key.
    #[must_use]
    pub fn own(&self, recorded: Option<&RegistryKey>) -> Option<&str> {
        let is_recorded =
            |found: &&str| recorded.is_some_and(|recorded| *found == recorded.as_str());
        self.config.keys().find(is_recorded).or_else(|| self.config.keys().next())
    }

    /// Expiry of the token in the entry `key`. `recorded` is the project's own registry key in the
    /// record.
    #[must_use]
    pub fn expiry(&self, key: &str, recorded: Option<&RegistryKey>) -> Option<String> {
        let found = if self.own(recorded) == Some(key) {
            self.expires_at()
        } else {
            self.notes.others.of(key)
        };
        found.map(str::to_owned)
    }

    /// The current key of the entry to rotate; `None` if the entry does not exist yet.
    pub fn rotated_key(&self, rewrite: &Rewrite) -> Result<Option<&str>, Fault> {
        let exact = |key: &RegistryKey| self.config.keys().find(|found| *found == key.as_str());
        let recorded = rewrite.recorded.and_then(exact);
        match rewrite.wanted {
            RotatedEntry::Added(key) => return Ok(self.entry(key)),
            RotatedEntry::Named(key) => {
                // The project's own entry is excluded: it is renamed instead.
                let other = self.entry(key).filter(|found| Some(*found) != recorded);
                if let Some(found) = exact(key).or(other.filter(|_| recorded.is_some())) {
                    return Ok(Some(found));
                }
            }
            RotatedEntry::Own => {}
        }
        if recorded.is_some() {
            return Ok(recorded);
        }
        let mut keys = self.config.keys();
        match (keys.next(), keys.next()) {
            (only, None) => Ok(only),
            (Some(_), Some(_)) if matches!(rewrite.wanted, RotatedEntry::Named(_)) => Ok(None),
            _ => Err(SEVERAL),
        }
    }
}
