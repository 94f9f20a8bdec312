//! Edits the Secret manifest as a file that users edit, too: changes only what a rotation must
//! change. Names, labels, comments and the order of everything stay.

use super::docker_config::Fault;
use super::manifest::{Manifest, OWN, Rewrite, RotatedEntry};
use super::notes::Notes;
use super::{DeployToken, Traces};
use crate::answers::{Answer, Email, Expiry, RegistryKey, SecretType, Superseded, TokenUsername};
use crate::secret::Secret;
use crate::yaml_edit;
use zeroize::Zeroizing;

/// A rewritten manifest.
pub struct Rewritten {
    /// The text of the whole file.
    pub text: Secret,
    /// The same, parsed.
    pub manifest: Manifest,
    /// Descriptions of the changes, one line each: user names, dates and types, never a value.
    pub changes: Vec<String>,
}

/// A manifest being edited.
pub struct Edit<'a> {
    /// The plaintext of the file.
    text: &'a str,
    manifest: Manifest,
}

impl<'a> Edit<'a> {
    /// Starts from `text`, the plaintext of the file.
    pub fn of(text: &'a str) -> Result<Self, Fault> {
        Ok(Self { text, manifest: Manifest::parse(text)? })
    }

    /// The manifest with the credentials of `token`; `None` if it has them already.
    ///
    /// Fails if the text cannot be changed without touching unrelated parts.
    pub fn rotate(
        mut self,
        token: &DeployToken,
        rewrite: &Rewrite,
    ) -> Result<Option<Rewritten>, Fault> {
        let mut changes = Vec::new();
        let (old_key, new_key) = self.keys_for(rewrite)?;
        let own = self.manifest.own(rewrite.recorded);
        let is_other = own.is_some() && own != old_key.as_deref();
        if let Some(old) = &old_key
            && *old != new_key
        {
            changes.push(format!("registry: {} -> {new_key}", shown_key(old)));
            self.manifest.config.rename(old, &new_key);
        }
        let held = self.manifest.config.holds(&new_key, token);
        let username = old_key.as_deref().and_then(|key| self.manifest.config.username(key));
        self.change_credentials(&new_key, token, rewrite.email, &mut changes);
        let date = token.expires_at().map(ToString::to_string);
        let before = self.dated(&new_key, is_other).map(str::to_owned);
        // The same token keeps its expiry; that of another token is unknown.
        let after = date.or_else(|| before.clone().filter(|_| held));
        let kind = rewrite.kind.unwrap_or(self.manifest.kind);
        if kind != self.manifest.kind {
            changes.push(format!(
                "type: {} -> {}",
                self.manifest.kind.kubernetes_type(),
                kind.kubernetes_type()
            ));
            if kind == SecretType::Dockercfg && self.manifest.config.has_more() {
                changes.push(
                    "dropped: everything beside `auths`, which a dockercfg cannot contain".into(),
                );
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

    /// The manifest with `expires_at` as the expiry of its token; `None` if it has that already.
    pub fn expire(
        self,
        expires_at: &Expiry,
        rewrite: &Rewrite,
    ) -> Result<Option<Rewritten>, Fault> {
        let Some(key) = self.manifest.rotated_key(rewrite)?.map(str::to_owned) else {
            return Err("there is no entry for this registry");
        };
        let is_other = self.manifest.own(rewrite.recorded) != Some(key.as_str());
        let before = self.dated(&key, is_other).map(str::to_owned);
        let after = Some(expires_at.to_string());
        if before == after {
            return Ok(None);
        }
        let changes = vec![expiry_change(before.as_ref(), after.as_ref())];
        let notes = self.with_date(&key, is_other, after);
        self.rewritten(self.manifest.kind, &notes, changes).map(Some)
    }

    /// The manifest without `deleted` in its list of superseded tokens; `None` if it lists none of
    /// them.
    pub fn forget(self, deleted: &[Superseded]) -> Result<Option<Rewritten>, Fault> {
        let provenance = self.manifest.notes.provenance.without(deleted);
        if provenance == self.manifest.notes.provenance {
            return Ok(None);
        }
        let forgotten =
            self.manifest.notes.provenance.superseded.iter().map(|replaced| &replaced.token);
        let forgotten = forgotten.filter(|token| deleted.contains(token));
        let changes = forgotten.map(|token| format!("deleted: {token}")).collect();
        let notes = Notes { provenance, ..self.manifest.notes.clone() };
        self.rewritten(self.manifest.kind, &notes, changes).map(Some)
    }

    /// The manifest without the entry for `registry`; `None` if it has no such entry.
    pub fn remove(
        mut self,
        registry: &RegistryKey,
        recorded: Option<&RegistryKey>,
    ) -> Result<Option<Rewritten>, Fault> {
        let Some(key) = self.manifest.entry(registry).map(str::to_owned) else { return Ok(None) };
        if self.manifest.own(recorded) == Some(key.as_str()) {
            return Err(OWN);
        }
        self.manifest.config.remove(&key);
        let notes = self.with_date(&key, true, None);
        let changes = vec![format!("removed registry: {}", shown_key(&key))];
        self.rewritten(self.manifest.kind, &notes, changes).map(Some)
    }

    /// Expiry of the token in the entry `key`, which is the project's own unless `is_other`.
    fn dated(&self, key: &str, is_other: bool) -> Option<&str> {
        if is_other { self.manifest.notes.others.of(key) } else { self.manifest.expires_at() }
    }

    /// The annotations with `date` as the expiry for the entry `key`.
    fn with_date(&self, key: &str, is_other: bool, date: Option<String>) -> Notes {
        let mut notes = self.manifest.notes.clone();
        if is_other {
            notes.others.set(key, date);
        } else {
            notes.expires_at = date;
        }
        notes
    }

    /// The current key of the rotated entry (`None` if it does not exist yet) and its new key.
    fn keys_for(&self, rewrite: &Rewrite) -> Result<(Option<String>, String), Fault> {
        let old = self.manifest.rotated_key(rewrite)?.map(str::to_owned);
        let recorded = rewrite.recorded;
        let new = match (rewrite.wanted, &old) {
            (RotatedEntry::Own | RotatedEntry::Added(_), Some(old)) => old.clone(),
            // The same registry spelled differently is still that entry. Only the project's own
            // entry changes its key.
            (RotatedEntry::Named(key), Some(old))
                if self.manifest.entry(key) == Some(old.as_str())
                    && self.manifest.own(recorded) != Some(old.as_str()) =>
            {
                old.clone()
            }
            (RotatedEntry::Named(key) | RotatedEntry::Added(key), _) => key.to_string(),
            (RotatedEntry::Own, None) => {
                recorded.ok_or("there is no registry yet, and none was given")?.to_string()
            }
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
        if !self.manifest.config.holds(key, token) {
            let new = token.username();
            changes.push(match self.manifest.config.username(key) {
                Some(old) if old == new.as_str() => {
                    format!("user name: {new} (unchanged), with a new token")
                }
                Some(old) => format!("user name: {} -> {new}", shown(&old)),
                None => format!("user name: {new}"),
            });
            let old = Traces::of_entry(&self.manifest.config, key);
            let is_kept =
                |email: &String| Email::parse(email).is_ok() && !old.are_in(email.as_bytes());
            let kept = self.manifest.config.email(key).filter(is_kept);
            self.manifest.config.set(key, token, kept.as_deref());
        }
        if let Some(email) = email
            && self.manifest.config.email(key).as_deref() != Some(email.as_str())
        {
            changes.push(format!("email: {email}"));
            self.manifest.config.set_email(key, email);
        }
    }

    fn rewritten(
        &self,
        kind: SecretType,
        notes: &Notes,
        changes: Vec<String>,
    ) -> Result<Rewritten, Fault> {
        self.manifest.config.check()?;
        let text = self.edited(kind, notes)?;
        let manifest = self.verified(&text, kind, notes)?;
        Ok(Rewritten { text, manifest, changes })
    }

    fn edited(&self, kind: SecretType, notes: &Notes) -> Result<Secret, Fault> {
        let payload = self.manifest.config.encode(kind);
        let mut text = Zeroizing::new(self.text.to_owned());
        let changed = self
            .manifest
            .notes
            .annotations()
            .zip(notes.annotations())
            .filter(|(before, after)| before != after);
        for (_, (name, value)) in changed {
            let annotation = ["metadata", "annotations", name];
            text = match value {
                Some(value) => yaml_edit::set(&text, &annotation, &value)?,
                None => yaml_edit::remove(&text, &annotation)?,
            };
        }
        if kind != self.manifest.kind {
            text = yaml_edit::set(&text, &["type"], kind.kubernetes_type())?;
            text = yaml_edit::rename_key(
                &text,
                &["data", self.manifest.kind.data_key()],
                kind.data_key(),
            )?;
        }
        text = yaml_edit::set(&text, &["data", kind.data_key()], payload.expose())?;
        Ok(Secret::new(std::mem::take(&mut text)))
    }

    /// Parses the new text and fails if anything else than intended has changed.
    fn verified(&self, text: &Secret, kind: SecretType, notes: &Notes) -> Result<Manifest, Fault> {
        const BEYOND: Fault = "makeinfra cannot edit its format safely";
        let read = Manifest::parse(text.expose()).map_err(|_| BEYOND)?;
        let same = read.kind == kind
            && (&read.name, &read.namespace) == (&self.manifest.name, &self.manifest.namespace)
            && read.notes == *notes
            && read.config.encode(kind).expose() == self.manifest.config.encode(kind).expose();
        if same { Ok(read) } else { Err(BEYOND) }
    }
}

/// A registry key from a file. One that contains a user and a password was not written by makeinfra
/// and is not shown.
fn shown_key(key: &str) -> String {
    RegistryKey::parse(key).map_or("another key".to_owned(), |key| key.to_string())
}

/// Describes a change of dates from a file. Only shows valid dates: a user may have entered the
/// token instead.
fn expiry_change(before: Option<&String>, after: Option<&String>) -> String {
    let shown = |date: Option<&String>| match date {
        Some(date) if Expiry::parse(date).is_ok() => date.clone(),
        Some(_) => "no date".to_owned(),
        None => "unknown".to_owned(),
    };
    format!("expires: {} -> {}", shown(before), shown(after))
}

/// A user name from a file, if it is valid: a user may have entered the token instead.
fn shown(old: &str) -> &str {
    if TokenUsername::parse(old).is_ok() { old } else { "no user name" }
}
