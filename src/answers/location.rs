//! Where a project runs: the environment's name, the kubectl context, the directory of its Secrets.

use super::names::is_dns_label;
use super::{Answer, Host, Rule};
use std::fmt;

/// The directory of Secrets if the environments were not named.
pub(super) const DEFAULT_SECRETS: &str = "secrets/kubernetes";

/// The default environment, which is protected if it was named explicitly.
const PRODUCTION: &str = "production";

/// The rule for a host of which environments cannot have subdomains.
pub(super) const NO_ROOM: Rule = "must leave room for environment names in front of it, or be \
                                  given for each environment as ENV=HOST";

/// The name of an environment: a DNS label that begins with a letter, at most 32 characters long,
/// which leaves room in namespaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentName(String);

impl EnvironmentName {
    /// The name if none was given.
    pub(super) fn production() -> Self {
        Self(PRODUCTION.to_owned())
    }

    /// The accepted name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the one that is protected by default.
    #[must_use]
    pub fn is_production(&self) -> bool {
        self.0 == PRODUCTION
    }

    /// The host of this environment, given the `host` of production and protected environments.
    pub(super) fn host(&self, host: &Host, protect: bool) -> Result<Host, Rule> {
        if protect || self.is_production() {
            return Ok(host.clone());
        }
        Host::parse(&format!("{}.{host}", self.0)).map_err(|_| NO_ROOM)
    }
}

impl fmt::Display for EnvironmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Answer for EnvironmentName {
    const EXAMPLE: &'static str = "staging";

    fn parse(text: &str) -> Result<Self, Rule> {
        let begins_with_letter = text.starts_with(|first: char| first.is_ascii_lowercase());
        if begins_with_letter && is_dns_label(text) && text.len() <= 32 {
            Ok(Self(text.to_owned()))
        } else {
            Err("must consist of at most 32 lower-case letters, digits and `-`, begin with a \
                 letter and end with a letter or digit")
        }
    }
}

/// The name of a kubectl context, limited to characters that neither make nor a shell interprets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextName(String);

impl ContextName {
    /// The accepted name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContextName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Answer for ContextName {
    const EXAMPLE: &'static str = "staging-cluster";

    // Cloud providers' names contain `:`, `/`, `@` and `_`.
    fn parse(text: &str) -> Result<Self, Rule> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/@+".contains(&byte);
        if (1..=253).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with('-') {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be a kubectl context of at most 253 letters, digits and `-_.:/@+`, not \
                 starting with `-` (kubectl config rename-context OLD NEW)")
        }
    }
}

/// The directory of an environment's Secrets.
pub(super) struct SecretsDir(String);

impl SecretsDir {
    /// The accepted directory.
    pub(super) fn into_text(self) -> String {
        self.0
    }
}

impl Answer for SecretsDir {
    const EXAMPLE: &'static str = DEFAULT_SECRETS;

    fn parse(text: &str) -> Result<Self, Rule> {
        let below = text.strip_prefix(DEFAULT_SECRETS).and_then(|rest| rest.strip_prefix('/'));
        if text == DEFAULT_SECRETS || below.is_some_and(|name| EnvironmentName::parse(name).is_ok())
        {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be `secrets/kubernetes` or a directory in it")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for good in ["staging", "production", "qa-2", "a"] {
            assert!(EnvironmentName::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "2qa",
            "Staging",
            "a b",
            "-a",
            "a-",
            "a_b",
            "a/b",
            "..",
            &"a".repeat(33),
            "a\n",
            "{env}",
        ] {
            assert!(EnvironmentName::parse(bad).is_err(), "{bad:?}");
        }
        for good in [
            "kind-kind",
            "gke_p_europe-west1-b_c",
            "arn:aws:eks:eu-1:1:cluster/c",
            "me@c",
            "group/project:agent",
        ] {
            assert!(ContextName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a b", "$(x)", "a'b", "a#b", "a\n", "a;b", "%"] {
            assert!(ContextName::parse(bad).is_err(), "{bad:?}");
        }
        for bad in [
            "secrets",
            "secrets/kubernetesx",
            "secrets/kubernetes/",
            "secrets/kubernetes/../x",
            "x",
        ] {
            assert!(SecretsDir::parse(bad).is_err(), "{bad:?}");
        }
        assert!(SecretsDir::parse("secrets/kubernetes").is_ok());
        assert!(SecretsDir::parse("secrets/kubernetes/staging").is_ok());
    }
}
