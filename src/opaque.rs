//! Secrets other than the pull secret, which kustomize generates from the files of a directory:
//! what a key and a value are, what such files hold, and what a change of one key makes of them.
//! People edit these files, too. Pure. No fault quotes what is in them.

mod change;
mod env_file;
mod kustomization;
mod listing;

pub use change::{Change, Directory, Effect, Removal, Write};
pub use env_file::{EnvFile, Trap};
pub use kustomization::{Generator, KeyFile, Kustomization, add_resource, add_resources};
pub use listing::{DirectoryFault, Generated, ListedKey, Listing, SecretManifest};

use crate::pull_secret::begins_like_a_token;
use crate::yaml_edit::Refusal;
use zeroize::Zeroizing;

/// How many bytes the values of one Secret may have together (kubernetes `pkg/apis/core`,
/// `MaxSecretSize`).
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
            return Err(
                "must have letters, digits, `-`, `_` and `.` only, and at most 253 of them",
            );
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

/// A value: bytes that are cleared, and that only this module sees.
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
}

#[cfg(test)]
mod tests;
