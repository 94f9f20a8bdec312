//! Pull secrets: the deploy token, the docker config built from it, the manifest that contains it,
//! and the images for which the kubelet uses it.
//!
//! Token values leave this module only inside the finished base64 and the finished manifest. Does
//! no I/O.

pub mod auth;
mod block;
mod docker_config;
mod edit;
mod expiries;
pub mod go_json;
mod hidden;
mod inspected;
pub mod keyring;
mod login;
mod manifest;
mod notes;
mod provenance;
mod traces;

pub use block::{in_block_style, is_editable};
pub use docker_config::{DockerConfig, Fault};
pub use edit::{Edit, Rewritten};
pub use expiries::OtherExpiries;
pub use hidden::Hidden;
pub use inspected::{Aspect, Flaw, Inspected, SecretDiff};
pub use login::{JOB_TOKEN, ShortLived};
pub use manifest::{Manifest, OWN, Rewrite, RotatedEntry, SEVERAL};
pub use provenance::{Issued, Provenance, Replaced, add_repositories};
pub use traces::Traces;

use crate::answers::{Expiry, ImageRef, Name, RegistryKey, Rule, TokenKind, TokenUsername};
use crate::error::{Failure, Result};
use crate::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// A GitLab deploy token, or any other user name and password for a registry.
pub struct DeployToken {
    username: TokenUsername,
    value: Secret,
    expires_at: Option<Expiry>,
    issued: Option<Issued>,
    repositories: Vec<String>,
}

impl DeployToken {
    /// Combines a user name and a token value. The error is the rule that the value breaks for
    /// every registry.
    pub fn new(username: TokenUsername, value: Secret) -> std::result::Result<Self, Rule> {
        login::check(value.expose())?;
        Ok(Self { username, value, expires_at: None, issued: None, repositories: Vec::new() })
    }

    /// Sets the token's expiry date.
    #[must_use]
    pub fn expiring(mut self, expires_at: Option<Expiry>) -> Self {
        self.expires_at = expires_at;
        self
    }

    /// Sets the token's identity in GitLab's API.
    #[must_use]
    pub fn issued_as(mut self, issued: Option<Issued>) -> Self {
        self.issued = issued;
        self
    }

    /// The token's identity in GitLab's API; `None` if the token was not issued through it.
    #[must_use]
    pub fn issued(&self) -> Option<&Issued> {
        self.issued.as_ref()
    }

    /// Marks the token as shared by `repositories`, given by name.
    #[must_use]
    pub fn shared_by(mut self, repositories: Vec<String>) -> Self {
        self.repositories = repositories;
        self
    }

    /// The names of the repositories that share the token; empty if it is for one repository alone.
    #[must_use]
    pub fn repositories(&self) -> &[String] {
        &self.repositories
    }

    /// The user name, which is not secret.
    #[must_use]
    pub fn username(&self) -> &TokenUsername {
        &self.username
    }

    /// The value of the `Authorization` header for signing in to a registry.
    #[must_use]
    pub fn authorization(&self) -> Secret {
        basic(self.username.as_str(), self.value.expose())
    }

    /// The rule whose breach suggests that the value was not copied correctly; `None` if it looks
    /// right.
    #[must_use]
    pub fn suspicion(&self) -> Option<Rule> {
        login::suspicion(self.value.expose())
    }

    /// What kind of short-lived credential this is at `registry`; `None` unless it is known to
    /// expire within a day.
    #[must_use]
    pub fn short_lived(&self, registry: &RegistryKey) -> Option<ShortLived> {
        ShortLived::of(self.username.as_str(), self.value.expose(), registry.host())
    }

    /// Why this is not a deploy token, judging by its prefix, as a continuation of "the token";
    /// `None` if nothing shows.
    #[must_use]
    pub fn unfit(&self) -> Option<String> {
        login::unfit(self.value.expose())
    }

    /// What makes this unlikely to be a token as GitLab displays it. It may still be valid.
    #[must_use]
    pub fn oddities(&self) -> Vec<&'static str> {
        oddities(self.username.as_str(), self.value.expose())
    }

    /// The token's expiry; `None` if unknown.
    #[must_use]
    pub fn expires_at(&self) -> Option<&Expiry> {
        self.expires_at.as_ref()
    }
}

/// Whether `text` looks like a misplaced token, judging by its prefix.
#[must_use]
pub fn begins_like_a_token(text: &str) -> bool {
    TokenKind::of(text).is_some()
}

/// User names of cloud providers, whose passwords do not look like GitLab's tokens.
const CLOUDS: [&str; 4] = ["AWS", "_json_key", "_json_key_base64", "oauth2accesstoken"];

fn oddities(username: &str, value: &str) -> Vec<&'static str> {
    let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let mut found = Vec::new();
    let is_quoted = value.len() > 1
        && ["'", "\"", "`"].iter().any(|quote| value.starts_with(quote) && value.ends_with(quote));
    let name = value.split_once('=').map_or("", |(name, _)| name);
    let is_assignment =
        name.len() > 2 && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    if value == username {
        found.push("the token equals its user name: was the name pasted twice?");
    }
    if TokenKind::of(value).is_none() && login::is_repeated(value) {
        found.push("the token is the same text several times in a row: was it pasted twice?");
    }
    if is_quoted {
        found.push("the token is in quotes, which become part of it");
    } else if is_assignment {
        found.push("the token begins with a variable name and `=`, which become part of it");
    } else if !CLOUDS.contains(&username) && !value.bytes().all(is_usual) {
        found.push(
            "the token contains characters that GitLab tokens never contain: was too much text \
             copied?",
        );
    }
    found
}

/// User name and token in HTTP's Basic scheme (RFC 7617).
fn basic(username: &str, value: &str) -> Secret {
    let pair = Zeroizing::new(format!("{username}:{value}"));
    let mut header = Zeroizing::new(String::with_capacity(pair.len() * 2 + 16));
    header.push_str("Basic ");
    STANDARD.encode_string(pair.as_bytes(), &mut header);
    Secret::new(std::mem::take(&mut header))
}

/// Checks the rule for token values that applies if no registry can be asked.
pub fn check_value(value: &str) -> std::result::Result<(), Rule> {
    login::check(value)?;
    login::suspicion(value).map_or(Ok(()), Err)
}

/// Fails unless the kubelet would use an entry `registry` for `image`.
pub fn check_registry(registry: &RegistryKey, image: &ImageRef) -> Result<()> {
    if keyring::matches(registry.as_str(), image) {
        return Ok(());
    }
    let hint = format!("{} {}", Name::Registry.option(), RegistryKey::for_image(image));
    Err(unmatched_registry().hint(hint).into())
}

/// The failure for a registry key that does not match the project's image.
#[must_use]
pub fn unmatched_registry() -> Failure {
    Failure::usage("`--registry` must match the image")
        .because("with this key, the kubelet would find no credentials and pull anonymously")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_in_as_http_wants_it() {
        // Example of RFC 7617, section 2.
        let header = basic("Aladdin", "open sesame");
        assert_eq!(header.expose(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }
}
