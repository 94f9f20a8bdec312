//! The JSON inside a pull secret: registry keys and their entries, in the two wrappings.
//!
//! Formats: Kubernetes `pkg/credentialprovider/config.go`; docker/cli `cli/config/types/authconfig.go`.

use super::{DeployToken, auth};
use crate::answers::{Email, RegistryKey, SecretType};
use crate::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use zeroize::{Zeroize, Zeroizing};

/// An entry as it is written; a field that is missing is empty.
pub(super) struct Entry<'c> {
    pub(super) key: &'c str,
    pub(super) username: &'c str,
    pub(super) password: &'c str,
    pub(super) auth: &'c str,
    pub(super) identity_token: bool,
}

/// Why a docker config was refused; never with anything of its content.
pub type Fault = &'static str;

/// Registry keys with their credentials.
pub struct DockerConfig {
    entries: Map<String, Value>,
    /// What stands beside `auths` in a dockerconfigjson; nobody reads it, and it is kept.
    beside: Map<String, Value>,
}

impl DockerConfig {
    /// Only `token`, for `registry`.
    #[must_use]
    pub fn new(registry: &RegistryKey, token: &DeployToken, email: Option<&str>) -> Self {
        let mut config = Self { entries: Map::new(), beside: Map::new() };
        config.set(registry.as_str(), token, email);
        config
    }

    /// Reads the value of the Secret's `data` key: base64 of JSON in the wrapping of `kind`.
    pub fn decode(kind: SecretType, base64: &str) -> Result<Self, Fault> {
        let compact: Zeroizing<String> =
            Zeroizing::new(base64.chars().filter(|c| !c.is_ascii_whitespace()).collect());
        let json = Zeroizing::new(STANDARD.decode(compact.as_bytes()).map_err(|_| "its data is not base64")?);
        Self::from_json(kind, &json)
    }

    /// Reads the JSON itself, in the wrapping of `kind`.
    pub fn from_json(kind: SecretType, json: &[u8]) -> Result<Self, Fault> {
        let Ok(Value::Object(mut object)) = serde_json::from_slice(json) else {
            return Err("its data holds no JSON object");
        };
        let config = match kind {
            // What kubectl 1.9.0 wrote (kubernetes issues 57427 and 61358).
            SecretType::Dockercfg if object.contains_key("auths") => {
                wipe_all(&mut object);
                return Err(
                    "it wraps its entries in `auths`, as only a dockerconfigjson may (kubectl 1.9.0 wrote that): \
                     the kubelet finds none",
                );
            }
            SecretType::Dockercfg => Self { entries: object, beside: Map::new() },
            SecretType::Dockerconfigjson => {
                let Some(Value::Object(entries)) = object.shift_remove("auths") else {
                    wipe_all(&mut object);
                    return Err("its JSON has no `auths`, without which the kubelet finds no entry");
                };
                Self { entries, beside: object }
            }
        };
        let text = |value: Option<&Value>| value.is_none_or(|value| value.is_string() || value.is_null());
        let entry = |value: &Value| value.is_object() && FIELDS.iter().all(|name| text(field(value, name)));
        if config.entries.values().all(entry) {
            Ok(config)
        } else {
            Err("one of its entries is not a JSON object of strings, so the kubelet refuses them all")
        }
    }

    /// The value of the Secret's `data` key: base64, without line breaks, of compact JSON.
    #[must_use]
    pub fn encode(&self, kind: SecretType) -> Secret {
        let mut object = match kind {
            SecretType::Dockercfg => self.entries.clone(),
            SecretType::Dockerconfigjson => {
                let mut object = Map::from_iter([("auths".to_owned(), Value::Object(self.entries.clone()))]);
                object.extend(self.beside.clone());
                object
            }
        };
        // Large enough from the start, so that no shorter copy stays behind in memory.
        let mut json = Zeroizing::new(Vec::with_capacity(64 * 1024));
        let written = serde_json::to_writer(&mut *json, &object);
        debug_assert!(written.is_ok(), "a map with text keys is valid JSON, and memory takes it");
        wipe_all(&mut object);
        Secret::new(STANDARD.encode(&*json))
    }

    /// The registry keys, in their order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The entries, in their order.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.entries.iter().map(|(key, entry)| {
            let text = |name: &str| field(entry, name).and_then(Value::as_str).unwrap_or_default();
            Entry {
                key,
                username: text("username"),
                password: text("password"),
                auth: text("auth"),
                identity_token: !text("identitytoken").is_empty(),
            }
        })
    }

    /// Whether docker keeps credentials elsewhere, which the kubelet does not ask.
    pub(super) fn has_helper(&self) -> bool {
        ["credsStore", "credHelpers"].iter().any(|name| self.beside.contains_key(*name))
    }

    /// Whether anything stands beside `auths`.
    #[must_use]
    pub fn has_more(&self) -> bool {
        !self.beside.is_empty()
    }

    /// Whether the kubelet would sign in with just `token` for `key`.
    #[must_use]
    pub fn holds(&self, key: &str, token: &DeployToken) -> bool {
        self.credentials(key).is_some_and(|(username, value)| {
            username == token.username().as_str() && *value == token.value.expose()
        })
    }

    /// Whether the kubelet would sign in the same for `key` with this as for `other_key` with `other`.
    #[must_use]
    pub fn shares(&self, key: &str, other: &Self, other_key: &str) -> bool {
        self.credentials(key).is_some_and(|own| other.credentials(other_key) == Some(own))
    }

    /// The user name that the kubelet would sign in with for `key`.
    #[must_use]
    pub fn username(&self, key: &str) -> Option<String> {
        self.credentials(key).map(|(username, _)| username).filter(|username| !username.is_empty())
    }

    /// The value of the header `Authorization` with which the kubelet would sign in for `key`; none where it has
    /// neither user name nor token.
    #[must_use]
    pub fn authorization(&self, key: &str) -> Option<Secret> {
        let (username, value) = self.credentials(key)?;
        (!username.is_empty() || !value.is_empty()).then(|| super::basic(&username, &value))
    }

    /// The e-mail address of the entry `key`.
    #[must_use]
    pub fn email(&self, key: &str) -> Option<&str> {
        field(self.entries.get(key)?, "email")?.as_str().filter(|email| !email.is_empty())
    }

    /// Gives `key` the credentials of `token`, in its old place or at the end.
    pub fn set(&mut self, key: &str, token: &DeployToken, email: Option<&str>) {
        let username = token.username().as_str();
        let pair = Zeroizing::new(format!("{username}:{}", token.value.expose()));
        let mut entry = Map::new();
        entry.insert("username".into(), username.into());
        entry.insert("password".into(), token.value.expose().into());
        if let Some(email) = email {
            entry.insert("email".into(), email.into());
        }
        entry.insert("auth".into(), STANDARD.encode(pair.as_bytes()).into());
        if let Some(mut old) = self.entries.insert(key.into(), Value::Object(entry)) {
            wipe(&mut old);
        }
    }

    /// Takes the entry `key` out.
    pub fn remove(&mut self, key: &str) {
        if let Some(mut old) = self.entries.shift_remove(key) {
            wipe(&mut old);
        }
    }

    /// Calls the entry `old` `new`, in its place.
    pub fn rename(&mut self, old: &str, new: &str) {
        let renamed = std::mem::take(&mut self.entries)
            .into_iter()
            .map(|(key, entry)| if key == old { (new.to_owned(), entry) } else { (key, entry) });
        self.entries = renamed.collect();
    }

    /// Changes the e-mail address of the entry `key`.
    pub fn set_email(&mut self, key: &str, email: &Email) {
        if let Some(Value::Object(entry)) = self.entries.get_mut(key) {
            entry.insert("email".into(), email.as_str().into());
        }
    }

    /// The fault for which the kubelet would refuse all entries, the good ones too.
    pub fn check(&self) -> Result<(), Fault> {
        let good = |key: &String| self.credentials(key).is_some();
        let bad =
            "an `auth` in it is not base64 of USERNAME:PASSWORD, so that the kubelet refuses every entry";
        if self.entries.keys().all(good) { Ok(()) } else { Err(bad) }
    }

    /// User name and token as the kubelet reads them, empty where they are missing: a non-empty `auth`
    /// beats the other two. None where `auth` is malformed.
    fn credentials(&self, key: &str) -> Option<(String, Zeroizing<String>)> {
        let entry = self.entries.get(key)?;
        let text = |name: &str| field(entry, name).and_then(Value::as_str).unwrap_or_default();
        match text("auth") {
            "" => Some((text("username").to_owned(), Zeroizing::new(text("password").to_owned()))),
            auth => auth::decode(auth).ok(),
        }
    }
}

/// The fields of an entry that the kubelet reads.
const FIELDS: [&str; 4] = ["username", "password", "email", "auth"];

/// A field of an entry, its name in any case: so Go reads JSON.
fn field<'v>(entry: &'v Value, name: &str) -> Option<&'v Value> {
    let exact = entry.get(name);
    exact.or_else(|| {
        entry.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    })
}

impl Drop for DockerConfig {
    fn drop(&mut self) {
        wipe_all(&mut self.entries);
        wipe_all(&mut self.beside);
    }
}

/// Clears the memory of every text in `value`: a JSON value does not do that by itself.
pub(super) fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(object) => wipe_all(object),
        _ => {}
    }
}

fn wipe_all(object: &mut Map<String, Value>) {
    object.values_mut().for_each(wipe);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::{Answer, TokenUsername};

    fn token(username: &str, value: &str) -> DeployToken {
        DeployToken::new(TokenUsername::parse(username).unwrap(), Secret::new(value.into())).unwrap()
    }

    fn json(config: &DockerConfig, kind: SecretType) -> String {
        String::from_utf8(STANDARD.decode(config.encode(kind).expose()).unwrap()).unwrap()
    }

    #[test]
    fn writes_what_kubectl_writes() {
        let key = RegistryKey::parse("registry.gitlab.com").unwrap();
        let config = DockerConfig::new(&key, &token("u", "p"), Some("a@b.c"));
        assert_eq!(
            json(&config, SecretType::Dockerconfigjson),
            r#"{"auths":{"registry.gitlab.com":{"username":"u","password":"p","email":"a@b.c","auth":"dTpw"}}}"#
        );
        let config = DockerConfig::new(&key, &token("u", "p"), None);
        assert_eq!(
            json(&config, SecretType::Dockercfg),
            r#"{"registry.gitlab.com":{"username":"u","password":"p","auth":"dTpw"}}"#
        );
    }

    #[test]
    fn keeps_other_entries_and_their_order() {
        let old =
            r#"{"auths":{"b":{"auth":"dTpw"},"a":{"auth":"dTpw","x":1},"c":{}},"HttpHeaders":{"k":"v"}}"#;
        let mut config = DockerConfig::decode(SecretType::Dockerconfigjson, &STANDARD.encode(old)).unwrap();
        config.set("a", &token("new", "t"), None);
        assert_eq!(
            json(&config, SecretType::Dockerconfigjson),
            r#"{"auths":{"b":{"auth":"dTpw"},"a":{"username":"new","password":"t","auth":"bmV3OnQ="},"c":{}},"HttpHeaders":{"k":"v"}}"#
        );
        config.rename("b", "z");
        assert_eq!(config.keys().collect::<Vec<_>>(), ["z", "a", "c"]);
    }

    #[test]
    fn knows_its_credentials_however_they_are_written() {
        for entry in
            [r#"{"auth":"dTpw"}"#, r#"{"username":"u","password":"p"}"#, r#"{"auth":"dTpw","password":"x"}"#]
        {
            let base64 = STANDARD.encode(format!(r#"{{"r":{entry}}}"#));
            let config = DockerConfig::decode(SecretType::Dockercfg, &base64).unwrap();
            assert!(config.holds("r", &token("u", "p")), "{entry}");
            assert!(!config.holds("r", &token("u", "x")), "{entry}");
            assert_eq!(config.username("r").as_deref(), Some("u"));
        }
    }

    #[test]
    fn reads_secrets_as_the_measured_kubelet_does() {
        let vectors: Value =
            serde_json::from_str(include_str!("../../tests/data/keyring-vectors.json")).unwrap();
        for row in vectors["secret_contents"].as_array().unwrap() {
            let text = |name: &str| row[name].as_str().unwrap();
            let kind = SecretType::parse(text("type")).unwrap();
            let digest = text("image").contains('@');
            let image = crate::answers::ImageRef::parse(text("image")).ok().filter(|_| !digest).unwrap();
            let config = DockerConfig::decode(kind, &STANDARD.encode(text("data")));
            let config = config.and_then(|config| config.check().map(|()| config));
            let wrapped_wrongly = text("case").contains("wrapper");
            let Ok(config) = config else {
                assert!(!row["refused_by"].is_null() || wrapped_wrongly, "{}", text("case"));
                continue;
            };
            assert!(row["refused_by"].is_null(), "{}", text("case"));
            let found = super::super::keyring::matching(config.keys(), &image).into_iter().map(|key| {
                let (username, value) = config.credentials(key).unwrap();
                serde_json::json!({"username": username, "password": *value})
            });
            assert_eq!(
                found.collect::<Vec<_>>(),
                *row["credentials"].as_array().unwrap(),
                "{}",
                text("case")
            );
        }
    }

    #[test]
    fn refuses_what_the_kubelet_would_not_read() {
        use SecretType::{Dockercfg, Dockerconfigjson};
        for (kind, json) in [
            (Dockercfg, r#"{"auths":{"r":{"auth":"dTpw"}}}"#),
            (Dockercfg, "[]"),
            (Dockercfg, r#"{"r":"dTpw"}"#),
            (Dockerconfigjson, r#"{"r":{"auth":"dTpw"}}"#),
            (Dockerconfigjson, r#"{"auths":[]}"#),
            (Dockerconfigjson, ""),
        ] {
            assert!(DockerConfig::decode(kind, &STANDARD.encode(json)).is_err(), "{json}");
        }
        assert!(DockerConfig::decode(Dockercfg, "%%%").is_err());
    }
}
