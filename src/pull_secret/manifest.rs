//! The Secret manifest as a file that people edit: understands it, and changes only what a rotation
//! has to change. Names, labels, comments and the order of everything stay.

use super::docker_config::{DockerConfig, Fault};
use super::notes::Notes;
use super::{DeployToken, Provenance, Traces, keyring};
use crate::answers::{Answer, Email, Expiry, ImageRef, RegistryKey, SecretType, Superseded, TokenUsername};
use crate::secret::Secret;
use crate::yaml;
use crate::yaml_edit;
use crate::yaml_path;
use serde_yaml::Value;
use zeroize::Zeroizing;

/// The one fault that an option can mend.
pub const SEVERAL: Fault = "it has several registries, and `.makeinfra.yaml` names none of them";

/// Why the project's own entry stays.
pub const OWN: Fault = "its entry is the project's own, without which the image could not be pulled";

/// A pull secret's manifest.
pub struct Manifest<'a> {
    text: &'a str,
    name: String,
    namespace: Option<String>,
    kind: SecretType,
    notes: Notes,
    config: DockerConfig,
}

/// Which entry a rotation is about.
#[derive(Debug, Clone, Copy, Default)]
pub enum Wanted<'a> {
    /// The project's own.
    #[default]
    Own,
    /// The one with this registry key; if there is none, the project's own gets the key.
    Named(&'a RegistryKey),
    /// The one with this registry key, which is new if there is none.
    Added(&'a RegistryKey),
}

/// What a rotation is to change beside the credentials; what is none stays.
#[derive(Default)]
pub struct Rewrite<'a> {
    /// The registry key of `.makeinfra.yaml`, which tells the right entry of several.
    pub recorded: Option<&'a RegistryKey>,
    /// The entry.
    pub wanted: Wanted<'a>,
    /// A new e-mail address.
    pub email: Option<&'a Email>,
    /// The type to convert to.
    pub kind: Option<SecretType>,
}

/// A manifest after a rotation.
pub struct Rewritten {
    /// The whole file.
    pub text: Secret,
    /// What is different now, a line each; user names, dates and types, never a value.
    pub changes: Vec<String>,
}

impl<'a> Manifest<'a> {
    /// Reads `text`, the plain content of the file.
    pub fn parse(text: &'a str) -> Result<Self, Fault> {
        let root: Value = yaml::read(text).map_err(|_| "it is not one YAML document")?;
        let text_at = |path: &[&str]| yaml_path::text(&root, path).map(str::to_owned);
        let annotation = |name: &str| text_at(&["metadata", "annotations", name]);
        if text_at(&["kind"]).as_deref() != Some("Secret")
            || text_at(&["apiVersion"]).as_deref() != Some("v1")
        {
            return Err("it is not a `kind: Secret` of `apiVersion: v1`");
        }
        let kind = text_at(&["type"])
            .and_then(|found| SecretType::ALL.into_iter().find(|kind| kind.kubernetes_type() == found))
            .ok_or("its `type` is neither `kubernetes.io/dockercfg` nor `kubernetes.io/dockerconfigjson`")?;
        if root.get("stringData").is_some() {
            return Err("it has `stringData`; makeinfra keeps credentials under `data`");
        }
        let base64 = text_at(&["data", kind.data_key()]).map(Zeroizing::new).ok_or(match kind {
            SecretType::Dockercfg => "its type wants the key `.dockercfg` under `data`",
            SecretType::Dockerconfigjson => "its type wants the key `.dockerconfigjson` under `data`",
        })?;
        Ok(Self {
            text,
            name: text_at(&["metadata", "name"]).ok_or("it has no `metadata.name`")?,
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

    /// When the token expires, as the file says it.
    #[must_use]
    pub fn expires_at(&self) -> Option<&str> {
        self.notes.expires_at.as_deref()
    }

    /// Where the project's own token is from, and which ones it has replaced.
    #[must_use]
    pub fn provenance(&self) -> &Provenance {
        &self.notes.provenance
    }

    /// The credentials.
    #[must_use]
    pub fn config(&self) -> &DockerConfig {
        &self.config
    }

    /// Whether the kubelet would find credentials for `image` in it.
    #[must_use]
    pub fn serves(&self, image: &ImageRef) -> bool {
        self.config.keys().any(|key| keyring::matches(key, image))
    }

    /// The key of the entry for `registry`, however it is written: `ghcr.io`, `https://ghcr.io`.
    #[must_use]
    pub fn entry(&self, registry: &RegistryKey) -> Option<&str> {
        let exact = self.config.keys().find(|found| *found == registry.as_str());
        exact.or_else(|| {
            let same = |found: &&str| RegistryKey::parse(found).is_ok_and(|found| found.is_same(registry));
            self.config.keys().find(same)
        })
    }

    /// The key of the project's own entry, where the record says `recorded`; the first if it names none of them.
    #[must_use]
    pub fn own(&self, recorded: Option<&RegistryKey>) -> Option<&str> {
        let is_recorded = |found: &&str| recorded.is_some_and(|recorded| *found == recorded.as_str());
        self.config.keys().find(is_recorded).or_else(|| self.config.keys().next())
    }

    /// Until when the token of the entry `key` lasts, where the record says that `recorded` is the project's own.
    #[must_use]
    pub fn expiry(&self, key: &str, recorded: Option<&RegistryKey>) -> Option<String> {
        let found =
            if self.own(recorded) == Some(key) { self.expires_at() } else { self.notes.others.of(key) };
        found.map(str::to_owned)
    }

    /// The key of the entry that a rotation is about, as it is now; none if that entry is yet to come.
    pub fn rotated_key(&self, rewrite: &Rewrite) -> Result<Option<&str>, Fault> {
        let exact = |key: &RegistryKey| self.config.keys().find(|found| *found == key.as_str());
        let recorded = rewrite.recorded.and_then(exact);
        match rewrite.wanted {
            Wanted::Added(key) => return Ok(self.entry(key)),
            Wanted::Named(key) => {
                // The project's own is then renamed.
                let other = self.entry(key).filter(|found| Some(*found) != recorded);
                if let Some(found) = exact(key).or(other.filter(|_| recorded.is_some())) {
                    return Ok(Some(found));
                }
            }
            Wanted::Own => {}
        }
        if recorded.is_some() {
            return Ok(recorded);
        }
        let mut keys = self.config.keys();
        match (keys.next(), keys.next()) {
            (only, None) => Ok(only),
            (Some(_), Some(_)) if matches!(rewrite.wanted, Wanted::Named(_)) => Ok(None),
            _ => Err(SEVERAL),
        }
    }

    /// The manifest with the credentials of `token`; none if it holds just these already.
    ///
    /// Fails where the text cannot be changed without touching more than it should.
    pub fn rotate(mut self, token: &DeployToken, rewrite: &Rewrite) -> Result<Option<Rewritten>, Fault> {
        let mut changes = Vec::new();
        let (old_key, new_key) = self.keys_for(rewrite)?;
        let own = self.own(rewrite.recorded);
        let is_other = own.is_some() && own != old_key.as_deref();
        if let Some(old) = &old_key
            && *old != new_key
        {
            changes.push(format!("registry: {} -> {new_key}", shown_key(old)));
            self.config.rename(old, &new_key);
        }
        let held = self.config.holds(&new_key, token);
        let username = old_key.as_deref().and_then(|key| self.config.username(key));
        self.change_credentials(&new_key, token, rewrite.email, &mut changes);
        let date = token.expires_at().map(ToString::to_string);
        let before = self.dated(&new_key, is_other).map(str::to_owned);
        // The same token has its old expiry; that of another one is not known.
        let after = date.or_else(|| before.clone().filter(|_| held));
        let kind = rewrite.kind.unwrap_or(self.kind);
        if kind != self.kind {
            changes.push(format!("type: {} -> {}", self.kind.kubernetes_type(), kind.kubernetes_type()));
            if kind == SecretType::Dockercfg && self.config.has_more() {
                changes
                    .push("left out: what stood beside `auths`, for which a dockercfg has no place".into());
            }
        }
        if after != before {
            changes.push(expiry_change(before.as_ref(), after.as_ref()));
        }
        if changes.is_empty() {
            return Ok(None);
        }
        if is_other {
            let verb = if old_key.is_none() { "new registry" } else { "registry" };
            changes.insert(0, format!("{verb}: {}", shown_key(&new_key)));
        }
        let mut notes = self.with_date(&new_key, is_other, after);
        if !is_other && !held {
            notes.provenance = notes.provenance.after(token, username.as_deref());
        }
        self.rewritten(kind, &notes, changes).map(Some)
    }

    /// The manifest with `expires_at` as the expiry of the token that it holds; none if it says so already.
    pub fn expire(self, expires_at: &Expiry, rewrite: &Rewrite) -> Result<Option<Rewritten>, Fault> {
        let Some(key) = self.rotated_key(rewrite)?.map(str::to_owned) else {
            return Err("it has no entry for this registry");
        };
        let is_other = self.own(rewrite.recorded) != Some(key.as_str());
        let before = self.dated(&key, is_other).map(str::to_owned);
        let after = Some(expires_at.to_string());
        if before == after {
            return Ok(None);
        }
        let changes = vec![expiry_change(before.as_ref(), after.as_ref())];
        let notes = self.with_date(&key, is_other, after);
        self.rewritten(self.kind, &notes, changes).map(Some)
    }

    /// The manifest that remembers none of `deleted` as tokens that are still there; none if it does so already.
    pub fn forget(self, deleted: &[Superseded]) -> Result<Option<Rewritten>, Fault> {
        let provenance = self.notes.provenance.without(deleted);
        if provenance == self.notes.provenance {
            return Ok(None);
        }
        let forgotten = self.notes.provenance.superseded.iter().map(|replaced| &replaced.token);
        let forgotten = forgotten.filter(|token| deleted.contains(token));
        let changes = forgotten.map(|token| format!("deleted: {token}")).collect();
        let notes = Notes { provenance, ..self.notes.clone() };
        self.rewritten(self.kind, &notes, changes).map(Some)
    }

    /// The manifest without the entry for `registry`; none if it has no such entry.
    pub fn remove(
        mut self,
        registry: &RegistryKey,
        recorded: Option<&RegistryKey>,
    ) -> Result<Option<Rewritten>, Fault> {
        let Some(key) = self.entry(registry).map(str::to_owned) else { return Ok(None) };
        if self.own(recorded) == Some(key.as_str()) {
            return Err(OWN);
        }
        self.config.remove(&key);
        let notes = self.with_date(&key, true, None);
        let changes = vec![format!("removed registry: {}", shown_key(&key))];
        self.rewritten(self.kind, &notes, changes).map(Some)
    }

    /// Until when the token of the entry `key` lasts: the project's own, or with `is_other` another one.
    fn dated(&self, key: &str, is_other: bool) -> Option<&str> {
        if is_other { self.notes.others.of(key) } else { self.expires_at() }
    }

    /// What the annotations say with this `date` for the entry `key`.
    fn with_date(&self, key: &str, is_other: bool, date: Option<String>) -> Notes {
        let mut notes = self.notes.clone();
        match is_other {
            true => notes.others.set(key, date),
            false => notes.expires_at = date,
        }
        notes
    }

    /// The key that the rotated entry has now, and the one that it will have.
    fn keys_for(&self, rewrite: &Rewrite) -> Result<(Option<String>, String), Fault> {
        let old = self.rotated_key(rewrite)?.map(str::to_owned);
        let recorded = rewrite.recorded;
        let new = match (rewrite.wanted, &old) {
            (Wanted::Own | Wanted::Added(_), Some(old)) => old.clone(),
            // Written otherwise, it is still that entry; only the project's own gets another key.
            (Wanted::Named(key), Some(old))
                if self.entry(key) == Some(old.as_str()) && self.own(recorded) != Some(old.as_str()) =>
            {
                old.clone()
            }
            (Wanted::Named(key) | Wanted::Added(key), _) => key.to_string(),
            (Wanted::Own, None) => recorded.ok_or("it has no registry yet, and none was named")?.to_string(),
        };
        Ok((old, new))
    }

    fn change_credentials(
        &mut self,
        key: &str,
        token: &DeployToken,
        email: Option<&Email>,
        changes: &mut Vec<String>,
    ) {
        if !self.config.holds(key, token) {
            let new = token.username();
            changes.push(match self.config.username(key) {
                Some(old) if old == new.as_str() => {
                    format!("user name: {new}, as before, with another token")
                }
                Some(old) => format!("user name: {} -> {new}", shown(&old)),
                None => format!("user name: {new}"),
            });
            let old = Traces::of_entry(&self.config, key);
            let is_kept = |email: &String| Email::parse(email).is_ok() && !old.are_in(email.as_bytes());
            let kept = self.config.email(key).filter(is_kept);
            self.config.set(key, token, kept.as_deref());
        }
        if let Some(email) = email
            && self.config.email(key).as_deref() != Some(email.as_str())
        {
            changes.push(format!("e-mail: {email}"));
            self.config.set_email(key, email);
        }
    }

    fn rewritten(&self, kind: SecretType, notes: &Notes, changes: Vec<String>) -> Result<Rewritten, Fault> {
        self.config.check()?;
        let text = self.edited(kind, notes)?;
        self.verify(&text, kind, notes)?;
        Ok(Rewritten { text, changes })
    }

    fn edited(&self, kind: SecretType, notes: &Notes) -> Result<Secret, Fault> {
        let payload = self.config.encode(kind);
        let mut text = Zeroizing::new(self.text.to_owned());
        let changed =
            self.notes.annotations().zip(notes.annotations()).filter(|(before, after)| before != after);
        for (_, (name, value)) in changed {
            let annotation = ["metadata", "annotations", name];
            text = match value {
                Some(value) => yaml_edit::set(&text, &annotation, &value)?,
                None => yaml_edit::remove(&text, &annotation)?,
            };
        }
        if kind != self.kind {
            text = yaml_edit::set(&text, &["type"], kind.kubernetes_type())?;
            text = yaml_edit::rename_key(&text, &["data", self.kind.data_key()], kind.data_key())?;
        }
        text = yaml_edit::set(&text, &["data", kind.data_key()], payload.expose())?;
        Ok(Secret::new(std::mem::take(&mut text)))
    }

    /// Reads the new text again: nothing but the intended may differ.
    fn verify(&self, text: &Secret, kind: SecretType, notes: &Notes) -> Result<(), Fault> {
        const BEYOND: Fault = "it is written in a way that makeinfra cannot change safely";
        let read = Manifest::parse(text.expose()).map_err(|_| BEYOND)?;
        let same = read.kind == kind
            && (&read.name, &read.namespace) == (&self.name, &self.namespace)
            && read.notes == *notes
            && read.config.encode(kind).expose() == self.config.encode(kind).expose();
        if same { Ok(()) } else { Err(BEYOND) }
    }
}

/// A registry key from a file. One with a user and a password in it is none of ours, and is not shown.
fn shown_key(key: &str) -> String {
    RegistryKey::parse(key).map_or("another key".to_owned(), |key| key.to_string())
}

/// Dates from a file, if they are some: somebody may have put the token in their place.
fn expiry_change(before: Option<&String>, after: Option<&String>) -> String {
    let shown = |date: Option<&String>| match date {
        Some(date) if Expiry::parse(date).is_ok() => date.clone(),
        Some(_) => "no date".to_owned(),
        None => "unknown".to_owned(),
    };
    format!("expires: {} -> {}", shown(before), shown(after))
}

/// A user name from a file, if it is one: somebody may have taken the token for it.
fn shown(old: &str) -> &str {
    if TokenUsername::parse(old).is_ok() { old } else { "no user name" }
}
