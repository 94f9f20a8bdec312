//! Pull secrets: the deploy token, the docker config made of it, the manifest that holds it, and
//! which images the kubelet uses it for.
//!
//! Token values leave it only inside the finished base64 and the finished manifest. Does no I/O.

pub mod auth;
mod docker_config;
mod inspected;
pub mod keyring;
mod manifest;

pub use docker_config::{DockerConfig, Fault};
pub use inspected::{Aspect, Flaw, Inspected, SecretDiff};
pub use manifest::{Manifest, Rewrite, SEVERAL};

use crate::answers::{Expiry, ImageRef, Name, RegistryKey, Rule, TokenKind, TokenUsername};
use crate::error::{Failure, Result};
use crate::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// The user name of every CI job (GitLab's documentation, "Predefined CI/CD variables").
const JOB: &str = "gitlab-ci-token";

/// A GitLab deploy token, or any other user name and password for a registry.
pub struct DeployToken {
    username: TokenUsername,
    value: Secret,
    expires_at: Option<Expiry>,
}

impl DeployToken {
    /// Puts a user name and the token's value together. The error is the rule that the value breaks.
    pub fn new(username: TokenUsername, value: Secret) -> std::result::Result<Self, Rule> {
        check_value(value.expose())?;
        Ok(Self { username, value, expires_at: None })
    }

    /// The same token with the day on which it ends.
    #[must_use]
    pub fn expiring(mut self, expires_at: Option<Expiry>) -> Self {
        self.expires_at = expires_at;
        self
    }

    /// The user name, which is no secret.
    #[must_use]
    pub fn username(&self) -> &TokenUsername {
        &self.username
    }

    /// The value of the header `Authorization` with which it signs in to a registry.
    #[must_use]
    pub fn authorization(&self) -> Secret {
        basic(self.username.as_str(), self.value.expose())
    }

    /// Whether it is the token of a CI job, which dies with the job.
    #[must_use]
    pub fn is_job_token(&self) -> bool {
        is_job_token(self.username.as_str(), self.value.expose())
    }

    /// Whether it is a token of a person, an application or a runner, as far as its beginning tells.
    #[must_use]
    pub fn opens_too_much(&self) -> bool {
        opens_too_much(self.value.expose())
    }

    /// When the token ends, if that is known.
    #[must_use]
    pub fn expires_at(&self) -> Option<&Expiry> {
        self.expires_at.as_ref()
    }
}

fn is_job_token(username: &str, value: &str) -> bool {
    username == JOB || TokenKind::of(value) == Some(TokenKind::Job)
}

/// Whether `text` is a token in the wrong place, as far as its beginning tells.
#[must_use]
pub fn begins_like_a_token(text: &str) -> bool {
    matches!(TokenKind::of(text), Some(TokenKind::Deploy | TokenKind::Broad))
}

fn opens_too_much(value: &str) -> bool {
    TokenKind::of(value) == Some(TokenKind::Broad)
}

/// User name and token as HTTP sends them (RFC 7617).
fn basic(username: &str, value: &str) -> Secret {
    let pair = Zeroizing::new(format!("{username}:{value}"));
    let mut header = Zeroizing::new(String::with_capacity(pair.len() * 2 + 16));
    header.push_str("Basic ");
    STANDARD.encode_string(pair.as_bytes(), &mut header);
    Secret::new(std::mem::take(&mut header))
}

/// The rule that a token's value breaks, if it breaks one.
pub fn check_value(value: &str) -> std::result::Result<(), Rule> {
    match value {
        "" => Err("must not be empty"),
        _ if value.contains(char::is_whitespace) => Err("must not have spaces or line breaks in it"),
        _ if value.contains(char::is_control) => Err("must not have control characters in it"),
        _ if value.contains(is_invisible) => Err("must not have invisible characters in it"),
        _ if value.len() > 4096 => Err("must have at most 4096 bytes"),
        _ => Ok(()),
    }
}

/// Characters that come along when a text is copied and that nobody sees: joiners, marks, the BOM.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Fails unless the kubelet would use an entry `registry` for `image`.
pub fn check_registry(registry: &RegistryKey, image: &ImageRef) -> Result<()> {
    if keyring::matches(registry.as_str(), image) {
        return Ok(());
    }
    Err(Failure::usage("`--registry` must match the image")
        .because("with this key the kubelet would find no credentials and pull anonymously")
        .hint(format!("{} {}", Name::Registry.option(), RegistryKey::for_image(image)))
        .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_in_as_http_wants_it() {
        // RFC 7617, 2.
        let header = basic("Aladdin", "open sesame");
        assert_eq!(header.expose(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }

    #[test]
    fn a_token_has_no_spaces_and_an_end() {
        assert_eq!(check_value("gldt-Ab_1-"), Ok(()));
        for bad in
            ["", "a b", "a\n", "\ta", "a\u{0}", "a\u{a0}b", "\u{feff}a", "a\u{200b}", &"a".repeat(4097)]
        {
            assert!(check_value(bad).is_err(), "{bad:?}");
        }
    }
}
