//! The JSON in a pull secret: registry keys and their entries, in both wrappings.
//!
//! Formats: Kubernetes `pkg/credentialprovider/config.go`; docker/cli
//! `cli/config/types/authconfig.go`.

use super::go_json::{self, Member};
use super::{DeployToken, auth};
use crate::answers::{Email, RegistryKey, SecretType};
use crate::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zeroize::{Zeroize, Zeroizing};

/// An entry as written; missing fields are empty.
pub(super) struct Entry<'c> {
    pub(super) key: &'c str,
    pub(super) username: Zeroizing<String>,
    pub(super) password: Zeroizing<String>,
    pub(super) auth: Zeroizing<String>,
    pub(super) identity_token: bool,
}

/// Why a docker config was refused; never quotes its content.
pub type Fault = &'static str;

const NO_OBJECT: Fault = "the data is not a JSON object";
const NO_ENTRY: Fault =
    "an entry is not a JSON object of strings, so the kubelet refuses all entries";
const BAD_AUTH: Fault =
    "an `auth` is not base64 of USERNAME:PASSWORD, so the kubelet refuses all entries";

/// Registry keys with their credentials.
#[derive(Default)]
pub struct DockerConfig {
    /// Every key once, with its entry as written.
    entries: Vec<Member>,
    /// Fields next to `auths` in a dockerconfigjson, which nothing reads but which are preserved.
    beside: Vec<Member>,
    /// Whether an entry is malformed that a later one with the same key replaces: the kubelet
    /// refuses the config nonetheless.
    has_invalid_duplicate: bool,
}

impl DockerConfig {
    /// A config with only `token`, for `registry`.
    #[must_use]
    pub fn new(registry: &RegistryKey, token: &DeployToken, email: Option<&str>) -> Self {
        let mut config = Self::default();
        config.set(registry.as_str(), token, email);
        config
    }

    /// Decodes the value of the Secret's `data` key: base64 of JSON in the wrapping of `kind`.
    pub fn decode(kind: SecretType, base64: &str) -> Result<Self, Fault> {
        let compact: Zeroizing<String> =
            Zeroizing::new(base64.chars().filter(|c| !c.is_ascii_whitespace()).collect());
        let json = Zeroizing::new(
            STANDARD.decode(compact.as_bytes()).map_err(|_| "the data is not base64")?,
        );
        Self::from_json(kind, &json)
    }

    /// Parses the JSON, in the wrapping of `kind`, as the kubelet does.
    pub fn from_json(kind: SecretType, json: &[u8]) -> Result<Self, Fault> {
        match json {
            [0xef, 0xbb, 0xbf, ..] => {
                return Err("the JSON begins with a byte order mark (BOM), which the API server \
                            refuses");
            }
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
                return Err("the JSON is UTF-16, which the API server refuses");
            }
            _ => {}
        }
        let text = go_json::document(json);
        let members = fields(text.trim_matches([' ', '\t', '\r', '\n'])).ok_or(NO_OBJECT)?;
        if !go_json::has_sound_numbers(&text) {
            return Err("the JSON has a number that the API server refuses");
        }
        let mut config = Self::default();
        match kind {
            // The output of kubectl 1.9.0 (kubernetes issues 57427 and 61358).
            SecretType::Dockercfg
                if members
                    .iter()
                    .all(|member| member.name == "auths" && member.value.starts_with('{'))
                    && !members.is_empty() =>
            {
                return Err(
                    "entries are wrapped in `auths`, which only a dockerconfigjson allows (kubectl \
                     1.9.0 wrote this), so the kubelet finds no entry",
                );
            }
            SecretType::Dockercfg => config.read_entries(members)?,
            SecretType::Dockerconfigjson => config.read_wrapped(members)?,
        }
        Ok(config)
    }

    /// Reads all fields `auths`, in any case and however many, and keeps the others.
    fn read_wrapped(&mut self, members: Vec<Member>) -> Result<(), Fault> {
        const NONE: Fault = "the JSON has no `auths`, so the kubelet finds no entry";
        let mut found = false;
        for member in members {
            if go_json::is_field(&member.name, "auths") {
                found = member.value.as_str() != "null";
                if found {
                    self.read_entries(go_json::members(&member.value).ok_or(NONE)?)?;
                } else {
                    self.entries.clear();
                }
                continue;
            }
            if go_json::is_field(&member.name, "httpheaders") && !is_map_of_texts(&member.value) {
                return Err(
                    "`HttpHeaders` contains values other than strings, so the kubelet refuses all \
                     entries",
                );
            }
            self.beside.push(Member { value: go_json::compact(&member.value), ..member });
        }
        if found { Ok(()) } else { Err(NONE) }
    }

    fn read_entries(&mut self, members: Vec<Member>) -> Result<(), Fault> {
        for member in members {
            let entry = Member { value: go_json::compact(&member.value), ..member };
            let fields = fields(&entry.value).ok_or(NO_ENTRY)?;
            if FIELDS.iter().any(|name| go_json::field(&fields, name).is_none()) {
                return Err(NO_ENTRY);
            }
            match self.entries.iter_mut().find(|known| known.name == entry.name) {
                Some(known) => {
                    self.has_invalid_duplicate |= credentials(&known.value).is_none();
                    *known = entry;
                }
                None => self.entries.push(entry),
            }
        }
        Ok(())
    }

    /// The value of the Secret's `data` key: base64, without line breaks, of compact JSON.
    #[must_use]
    pub fn encode(&self, kind: SecretType) -> Secret {
        // Allocated large enough, so that no partial copy stays behind in memory.
        let mut json = Zeroizing::new(String::with_capacity(64 * 1024));
        match kind {
            SecretType::Dockercfg => write(&mut json, &self.entries),
            SecretType::Dockerconfigjson => {
                json.push_str("{\"auths\":");
                write(&mut json, &self.entries);
                for member in &self.beside {
                    json.push(',');
                    write_member(&mut json, member);
                }
                json.push('}');
            }
        }
        Secret::new(STANDARD.encode(json.as_bytes()))
    }

    /// The registry keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name.as_str())
    }

    /// The entries, in order.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.entries.iter().map(|entry| {
            let fields = fields(&entry.value).unwrap_or_default();
            let text = |name: &str| go_json::field(&fields, name).unwrap_or_default();
            Entry {
                key: &entry.name,
                username: text("username"),
                password: text("password"),
                auth: text("auth"),
                identity_token: !text("identitytoken").is_empty(),
            }
        })
    }

    /// Whether the kubelet refuses all entries because of one that was replaced.
    pub(super) fn has_invalid_duplicate(&self) -> bool {
        self.has_invalid_duplicate
    }

    /// Whether docker keeps credentials in a helper, which the kubelet does not ask.
    pub(super) fn has_helper(&self) -> bool {
        let is_helper = |name: &str| {
            ["credsstore", "credhelpers"].iter().any(|field| go_json::is_field(name, field))
        };
        self.beside.iter().any(|member| is_helper(&member.name))
    }

    /// Whether there are fields next to `auths`.
    #[must_use]
    pub fn has_more(&self) -> bool {
        !self.beside.is_empty()
    }

    /// Whether the kubelet would sign in with exactly `token` for `key`.
    #[must_use]
    pub fn holds(&self, key: &str, token: &DeployToken) -> bool {
        self.credentials(key).is_some_and(|(username, value)| {
            username == token.username().as_str() && *value == token.value.expose()
        })
    }

    /// Whether the kubelet would sign in for `key` with the same credentials as for `other_key` of
    /// `other`.
    #[must_use]
    pub fn shares(&self, key: &str, other: &Self, other_key: &str) -> bool {
        self.credentials(key).is_some_and(|own| other.credentials(other_key) == Some(own))
    }

    /// The user name with which the kubelet would sign in for `key`.
    #[must_use]
    pub fn username(&self, key: &str) -> Option<String> {
        self.credentials(key).map(|(username, _)| username).filter(|username| !username.is_empty())
    }

    /// The value of the `Authorization` header with which the kubelet would sign in for `key`;
    /// `None` if it has neither user name nor token.
    #[must_use]
    pub fn authorization(&self, key: &str) -> Option<Secret> {
        let (username, value) = self.credentials(key)?;
        (!username.is_empty() || !value.is_empty()).then(|| super::basic(&username, &value))
    }

    /// The e-mail address of the entry `key`.
    #[must_use]
    pub fn email(&self, key: &str) -> Option<String> {
        let fields = fields(&self.entry(key)?.value)?;
        let mut email = go_json::field(&fields, "email").filter(|email| !email.is_empty())?;
        Some(std::mem::take(&mut *email))
    }

    /// Sets the credentials of `key` to `token`, in place or at the end.
    pub fn set(&mut self, key: &str, token: &DeployToken, email: Option<&str>) {
        let username = token.username().as_str();
        let pair = Zeroizing::new(format!("{username}:{}", token.value.expose()));
        let auth = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
        let texts = [
            ("username", Some(username)),
            ("password", Some(token.value.expose())),
            ("email", email),
            ("auth", Some(auth.as_str())),
        ];
        let member = |name: &str, text: &str| Member { name: name.to_owned(), value: quoted(text) };
        let members: Vec<_> =
            texts.into_iter().filter_map(|(name, text)| Some(member(name, text?))).collect();
        let mut value = Zeroizing::new(String::with_capacity(16 * 1024));
        write(&mut value, &members);
        match self.entries.iter_mut().find(|entry| entry.name == key) {
            Some(entry) => entry.value = value,
            None => self.entries.push(Member { name: key.to_owned(), value }),
        }
    }

    /// Removes the entry `key`.
    pub fn remove(&mut self, key: &str) {
        self.entries.retain(|entry| entry.name != key);
    }

    /// Renames the key `old` to `new`, in place.
    pub fn rename(&mut self, old: &str, new: &str) {
        self.entries.retain(|entry| entry.name != new || old == new);
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.name == old) {
            new.clone_into(&mut entry.name);
        }
    }

    /// Changes the e-mail address of the entry `key`.
    pub fn set_email(&mut self, key: &str, email: &Email) {
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.name == key) else { return };
        let Some(mut fields) = fields(&entry.value) else { return };
        let value = quoted(email.as_str());
        match fields.iter_mut().rfind(|field| go_json::is_field(&field.name, "email")) {
            Some(field) => field.value = value,
            None => fields.push(Member { name: "email".to_owned(), value }),
        }
        let mut text = Zeroizing::new(String::with_capacity(16 * 1024));
        write(&mut text, &fields);
        entry.value = text;
    }

    /// Fails with the fault for which the kubelet would refuse all entries, including valid ones.
    pub fn check(&self) -> Result<(), Fault> {
        let good = |entry: &Member| credentials(&entry.value).is_some();
        if !self.has_invalid_duplicate && self.entries.iter().all(good) {
            Ok(())
        } else {
            Err(BAD_AUTH)
        }
    }

    fn entry(&self, key: &str) -> Option<&Member> {
        self.entries.iter().find(|entry| entry.name == key)
    }

    /// User name and token of `key` as the kubelet reads them.
    pub(super) fn credentials(&self, key: &str) -> Option<(String, Zeroizing<String>)> {
        credentials(&self.entry(key)?.value)
    }
}

/// The entry fields that the kubelet reads.
const FIELDS: [&str; 4] = ["username", "password", "email", "auth"];

/// The members of an object. Go reads `null` as an empty object.
fn fields(entry: &str) -> Option<Vec<Member>> {
    if entry == "null" { Some(Vec::new()) } else { go_json::members(entry) }
}

/// User name and token of an entry as the kubelet reads them, empty if missing; a non-empty `auth`
/// takes precedence. `None` if `auth` is malformed.
fn credentials(entry: &str) -> Option<(String, Zeroizing<String>)> {
    let fields = fields(entry)?;
    let text = |name: &str| go_json::field(&fields, name).unwrap_or_default();
    let auth = text("auth");
    if !auth.is_empty() {
        return auth::decode(&auth).ok();
    }
    Some((std::mem::take(&mut *text("username")), text("password")))
}

/// Whether Go decodes `value` into a map of strings.
fn is_map_of_texts(value: &str) -> bool {
    value == "null"
        || go_json::members(value).is_some_and(|members| {
            members
                .iter()
                .all(|member| !matches!(go_json::text(&member.value), go_json::Text::Other))
        })
}

fn write(json: &mut String, members: &[Member]) {
    json.push('{');
    for (at, member) in members.iter().enumerate() {
        if at > 0 {
            json.push(',');
        }
        write_member(json, member);
    }
    json.push('}');
}

fn write_member(json: &mut String, Member { name, value }: &Member) {
    json.push_str(&quoted(name));
    json.push(':');
    json.push_str(value);
}

/// `text` as a JSON string.
fn quoted(text: &str) -> Zeroizing<String> {
    Zeroizing::new(serde_json::to_string(text).expect("a text is JSON"))
}

/// Clears the memory of every string in `value`, which a JSON value does not do itself.
pub(super) fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(object) => object.values_mut().for_each(wipe),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
