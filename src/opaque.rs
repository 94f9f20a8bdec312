//! Secrets other than the pull secret, which kustomize generates from the files of a directory:
//! keys, values, the content of such files, and the changes to one key. Users may edit these files,
//! too. Pure. No error quotes file contents.

mod change;
mod env_file;
mod kustomization;
mod listing;

pub use change::{Directory, Effect, Removal, SecretChange, Write};
pub use env_file::{EnvFile, MisleadingLine};
pub use kustomization::{Generator, KeyFile, Kustomization, add_resource, add_resources};
pub use listing::{DirectoryFault, Generated, ListedKey, Listing, SecretManifest};

use crate::pull_secret::begins_like_a_token;
use crate::yaml_edit::Refusal;
use zeroize::Zeroizing;

/// Size limit for all values of one Secret (kubernetes `pkg/apis/core`, `MaxSecretSize`).
pub const MAX_SIZE: usize = 1 << 20;
/// The API server's size limit, as a rule.
const TOO_LARGE: Refusal =
    "must keep the whole Secret within 1048576 bytes, the limit of Kubernetes";

/// The key of a value (kubernetes `IsConfigMapKey`).
pub struct Key(String);

impl Key {
    /// Checks `text`. The error is a rule that follows "`KEY`".
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if begins_like_a_token(text) {
            return Err("must be the name of a value, but this begins like a token");
        }
        if !(1..=253).contains(&text.len()) || !text.bytes().all(allowed) {
            return Err("must consist of at most 253 letters, digits, `-`, `_` and `.`");
        }
        if text == "." || text.starts_with("..") {
            return Err("must not be `.` or begin with `..`");
        }
        Ok(Self(text.to_owned()))
    }

    /// The accepted text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether every kubelet accepts the key as the name of an environment variable.
    #[must_use]
    pub fn is_variable(&self) -> bool {
        self.0.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !self.0.starts_with(|first: char| first.is_ascii_digit())
    }
}

/// A value: bytes that are cleared on drop and that only this module can read.
pub struct Value(Zeroizing<Vec<u8>>);

impl Value {
    /// Checks `bytes`. The error is a rule that follows "the value".
    pub fn new(bytes: Zeroizing<Vec<u8>>) -> Result<Self, &'static str> {
        Self::check(&bytes).map(|()| Self(bytes))
    }

    /// Like [`Value::new`], without keeping the value.
    pub fn check(bytes: &[u8]) -> Result<(), &'static str> {
        match bytes.len() {
            0 => Err("must not be empty"),
            length if length > MAX_SIZE => Err(TOO_LARGE),
            _ => Ok(()),
        }
    }

    /// Whether the value is text without NUL, and so fits an environment variable.
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
}

#[cfg(test)]
mod tests;
