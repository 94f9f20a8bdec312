//! Secrets other than the pull secret: what a key and a value are, and what setting one makes of the Secret's file,
//! which people edit, too. Pure. No fault quotes what is in the file.

mod env_file;
mod kustomization;
mod listing;

pub use env_file::{EnvFile, Trap};
pub use kustomization::{Generator, KeyFile, Kustomization};
pub use listing::{Generated, ListedKey, Listing, Unlisted};

use crate::answers::DnsLabel;
use crate::pull_secret::begins_like_a_token;
use crate::secret::Secret;
use crate::yaml_edit::{self, Document, Refusal};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// How many bytes the values of one Secret may have together (kubernetes `pkg/apis/core`, `MaxSecretSize`).
pub const MAX_SIZE: usize = 1 << 20;
/// What the API server says no to, as a rule.
const TOO_LARGE: Refusal =
    "must leave the whole Secret at 1048576 bytes at most, which is all that Kubernetes takes";

/// The key of a value (kubernetes `IsConfigMapKey`).
pub struct Key(String);

impl Key {
    /// Checks `text`; the error is a rule that follows "`KEY`".
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if begins_like_a_token(text) {
            return Err("must be the name of a value; this begins like a token");
        }
        if !(1..=253).contains(&text.len()) || !text.bytes().all(allowed) {
            return Err("must have letters, digits, `-`, `_` and `.` only, and at most 253 of them");
        }
        if text == "." || text.starts_with("..") {
            return Err("must not be `.` and not begin with `..`");
        }
        Ok(Self(text.to_owned()))
    }

    /// The text as it was accepted.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether every kubelet makes a variable of it.
    #[must_use]
    pub fn is_variable(&self) -> bool {
        self.0.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !self.0.starts_with(|first: char| first.is_ascii_digit())
    }
}

/// A value: bytes that are cleared, and that nobody outside of here sees.
pub struct Value(Zeroizing<Vec<u8>>);

impl Value {
    /// Checks `bytes`; the error is a rule that follows "the value".
    pub fn new(bytes: Zeroizing<Vec<u8>>) -> Result<Self, &'static str> {
        Self::check(&bytes).map(|()| Self(bytes))
    }

    /// The same check without a value.
    pub fn check(bytes: &[u8]) -> Result<(), &'static str> {
        match bytes.len() {
            0 => Err("must not be empty"),
            length if length > MAX_SIZE => Err(TOO_LARGE),
            _ => Ok(()),
        }
    }

    /// As it stands under `data`.
    #[must_use]
    pub fn base64(&self) -> Secret {
        Secret::new(STANDARD.encode(&*self.0))
    }

    /// As text without NUL, which is what a variable can hold.
    #[must_use]
    pub fn is_text(&self) -> bool {
        self.text().is_some_and(|text| !text.contains('\0'))
    }

    fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn is(&self, bytes: &[u8]) -> bool {
        *self.0 == bytes
    }

    /// Whether `base64`, with the line breaks that readers allow, stands for it.
    fn is_base64(&self, base64: &str) -> bool {
        let mut bare = Zeroizing::new(String::with_capacity(base64.len()));
        bare.extend(base64.chars().filter(|letter| !letter.is_ascii_whitespace()));
        STANDARD.decode(bare.as_bytes()).map(Zeroizing::new).is_ok_and(|bytes| *bytes == *self.0)
    }
}

/// The file of a Secret, understood as far as its values can be set.
pub struct Manifest<'a> {
    text: &'a str,
    document: Document<'a>,
}

impl<'a> Manifest<'a> {
    /// Reads `text`, the file of the Secret `name` in `namespace`.
    pub fn parse(text: &'a str, name: &DnsLabel, namespace: &DnsLabel) -> Result<Self, Refusal> {
        let document = Document::parse(text)?;
        let is = |path: &[&str], wanted: &str| document.scalar(path) == Some(wanted);
        if !is(&["kind"], "Secret") || !is(&["apiVersion"], "v1") {
            return Err("it is no `kind: Secret` of `apiVersion: v1`");
        }
        if !is(&["metadata", "name"], name.as_str()) {
            return Err("its `metadata.name` is not that of its file, by which `make` finds it");
        }
        let of_none = !document.keys(&["metadata"]).contains(&"namespace");
        if !of_none && !is(&["metadata", "namespace"], namespace.as_str()) {
            return Err("its `metadata.namespace` is not the namespace of this repository");
        }
        if document.scalar(&["type"]).is_some_and(|kind| kind.starts_with("kubernetes.io/dockerc")) {
            return Err("it is a pull secret, which `makeinfra rotate` is for");
        }
        if document.scalar(&["immutable"]).is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Err("it is immutable: the cluster would refuse another value");
        }
        Ok(Self { text, document })
    }

    /// Whether there is a value of that key.
    #[must_use]
    pub fn has(&self, key: &Key) -> bool {
        ["data", "stringData"].iter().any(|field| self.document.keys(&[field]).contains(&key.as_str()))
    }

    /// The file with `value` under `key`; none if it is there already. Where `stringData` has the key, which beats
    /// `data`, it is set there.
    pub fn set(&self, key: &Key, value: &Value) -> Result<Option<Secret>, Refusal> {
        let (data, plain) = (["data", key.as_str()], ["stringData", key.as_str()]);
        let has_plain = self.document.keys(&["stringData"]).contains(&key.as_str());
        let has_data = self.document.keys(&["data"]).contains(&key.as_str());
        if !has_plain && self.document.scalar(&data).is_some_and(|held| value.is_base64(held)) {
            return Ok(None);
        }
        let base64 = value.base64();
        let text = match value.text() {
            Some(text) if has_plain => {
                let edited = yaml_edit::set(self.text, &plain, text)?;
                // An older value that does not count is one that nobody remembers.
                if has_data { yaml_edit::remove(&edited, &data)? } else { edited }
            }
            None if has_plain => {
                let edited = yaml_edit::set(self.text, &data, base64.expose())?;
                yaml_edit::remove(&edited, &plain)?
            }
            _ => yaml_edit::set(self.text, &data, base64.expose())?,
        };
        if size(&Document::parse(&text)?) > MAX_SIZE {
            return Err("its values would have more than 1048576 bytes, which is all that Kubernetes takes");
        }
        if *text == *self.text {
            return Ok(None);
        }
        let mut text = text;
        Ok(Some(Secret::new(std::mem::take(&mut text))))
    }
}

/// How many bytes the values have together, as the API server counts.
fn size(document: &Document) -> usize {
    let sum = |field: &str, length: fn(&str) -> usize| -> usize {
        let values = document.keys(&[field]).into_iter().filter_map(|key| document.scalar(&[field, key]));
        values.map(length).sum()
    };
    let decoded =
        |text: &str| text.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=').count() * 3 / 4;
    sum("data", decoded) + sum("stringData", str::len)
}

#[cfg(test)]
mod tests;
