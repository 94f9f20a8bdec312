//! Where a project runs.

use super::component::REPLICAS;
use super::names::is_dns_label;
use super::{
    Answer, Component, Deployed, DnsLabel, Host, Name, ProjectName, Refused, Replicas, Rule, Switch, Values,
    given,
};
use std::fmt;

/// A namespace that the project is deployed to, and what is different there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Its name.
    pub name: EnvironmentName,
    /// Its namespace.
    pub namespace: DnsLabel,
    /// The kubectl context of its cluster; none: whichever is current.
    pub context: Option<ContextName>,
    /// Whether `make` asks before it changes anything there.
    pub protect: bool,
    /// How many pods of the project's own component run there.
    pub replicas: u32,
    /// The host of that component's Ingress there.
    pub ingress: Option<Host>,
    /// The directory of its Secrets, below the top of the repository.
    pub secrets: String,
    /// What is different there about each component, in their order.
    pub deployed: Vec<Deployed>,
}

impl Environment {
    /// What an environment's section of a file may say.
    pub const NAMES: [Name; 6] =
        [Name::Namespace, Name::Context, Name::Protect, Name::Replicas, Name::Ingress, Name::Secrets];

    /// The file in its overlay that the Makefile reads.
    pub const SETTINGS: &str = "environment.mk";

    /// Where Secrets are, if the environments were not named.
    pub const SECRETS: &str = "secrets/kubernetes";

    /// Whether it is called `name`.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.name.as_str() == name
    }

    /// The file of the pull secret where nobody says anything else.
    #[must_use]
    pub fn default_secret_file() -> String {
        format!("{}/{}.secret.yaml", Self::SECRETS, DnsLabel::gitlab())
    }

    /// The directory of its kustomization, below the top of the repository.
    #[must_use]
    pub fn overlay(&self) -> String {
        format!("kubernetes/overlays/{}", self.name)
    }

    /// Whether the host of a further component's Ingress leaves room for the environment's name before it.
    pub(super) fn has_room_for(&self, component: &Component) -> bool {
        component.ingress.as_ref().is_none_or(|host| self.name.host(host, self.protect).is_ok())
    }

    /// The file of the Secret called `name`, below the top of the repository.
    #[must_use]
    pub fn secret_file(&self, name: &DnsLabel) -> String {
        format!("{}/{name}.secret.yaml", self.secrets)
    }

    /// The environment of a repository for which none was named: `production`, unprotected.
    pub(super) fn only(
        project: &ProjectName,
        values: &Values,
        replicas: u32,
        ingress: Option<Host>,
    ) -> Result<Self, Refused> {
        Ok(Self {
            name: EnvironmentName(PRODUCTION.to_owned()),
            namespace: given(values, Name::Namespace)?.unwrap_or_else(|| DnsLabel::from(project)),
            context: given(values, Name::Context)?,
            protect: false,
            replicas,
            ingress,
            secrets: Self::SECRETS.to_owned(),
            deployed: Vec::new(),
        })
    }

    /// The environment called `name`. What `values` do not say is made of what `common` says of all of them.
    pub(super) fn named(
        name: EnvironmentName,
        values: &Values,
        project: &ProjectName,
        common: &Common,
    ) -> Result<Self, Refused> {
        let asks = match given::<Switch>(values, Name::Protect)? {
            Some(switch) => switch.0,
            None => name.is_production(),
        };
        let pattern = common.namespace.as_deref().unwrap_or("{project}-{env}");
        let namespace = match given(values, Name::Namespace)? {
            Some(namespace) => namespace,
            None => DnsLabel::parse(
                &pattern.replace("{project}", project.as_str()).replace("{env}", name.as_str()),
            )
            .map_err(|rule| Refused::Broken(Name::Namespace, rule))?,
        };
        let replicas = given::<Replicas>(values, Name::Replicas)?.map(|replicas| replicas.0);
        let ingress = match (given(values, Name::Ingress)?, &common.ingress) {
            (Some(host), _) => Some(host),
            (None, Some(host)) => Some(name.host(host, asks)?),
            (None, None) => None,
        };
        let secrets = match given::<SecretsDir>(values, Name::Secrets)? {
            Some(dir) => dir.0,
            None => format!("{}/{name}", Self::SECRETS),
        };
        Ok(Self {
            context: given(values, Name::Context)?.or_else(|| common.context.clone()),
            replicas: replicas.or(common.replicas).unwrap_or(REPLICAS),
            name,
            namespace,
            protect: asks,
            ingress,
            secrets,
            deployed: Vec::new(),
        })
    }
}

/// What holds for all environments that do not say otherwise.
#[derive(Debug, Default)]
pub(super) struct Common {
    /// A namespace with `{project}` and `{env}` in it.
    pub namespace: Option<String>,
    pub context: Option<ContextName>,
    pub replicas: Option<u32>,
    /// The host of production and of protected environments; the others have theirs below it.
    pub ingress: Option<Host>,
}

/// The environment that there is if none was named, and that is protected if it was.
const PRODUCTION: &str = "production";

/// What is wrong with a host below which environments cannot have theirs.
pub(super) const NO_ROOM: Rule =
    "must have room for the names of environments before it, or be given for each, ENV=HOST";

/// The name of an environment: a DNS label that begins with a letter, at most 32 characters, so that namespaces
/// have room for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentName(String);

impl EnvironmentName {
    /// The name as it was accepted.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the one that is protected without being told.
    #[must_use]
    pub fn is_production(&self) -> bool {
        self.0 == PRODUCTION
    }

    /// The host of this environment, where production and those that are protected have `host`.
    pub(super) fn host(&self, host: &Host, protect: bool) -> Result<Host, Refused> {
        if protect || self.is_production() {
            return Ok(host.clone());
        }
        Host::parse(&format!("{}.{host}", self.0)).map_err(|_| Refused::Broken(Name::Ingress, NO_ROOM))
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
            Err(
                "must begin with a lower-case letter, go on with lower-case letters, digits and `-`, end with a \
                 letter or digit, and have at most 32 characters",
            )
        }
    }
}

/// The name of a kubectl context: what neither make nor a shell takes apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextName(String);

impl ContextName {
    /// The name as it was accepted.
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

    // Cloud providers' names have `:`, `/`, `@` and `_` in them.
    fn parse(text: &str) -> Result<Self, Rule> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/@+".contains(&byte);
        if (1..=253).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with('-') {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be a kubectl context of letters, digits and `-_.:/@+`, the first no `-`, at most 253 \
                 (kubectl config rename-context OLD NEW)")
        }
    }
}

/// The directory of an environment's Secrets.
pub(super) struct SecretsDir(String);

impl Answer for SecretsDir {
    const EXAMPLE: &'static str = Environment::SECRETS;

    fn parse(text: &str) -> Result<Self, Rule> {
        let below = text.strip_prefix(Environment::SECRETS).and_then(|rest| rest.strip_prefix('/'));
        if text == Environment::SECRETS || below.is_some_and(|name| EnvironmentName::parse(name).is_ok()) {
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
        for bad in
            ["", "2qa", "Staging", "a b", "-a", "a-", "a_b", "a/b", "..", &"a".repeat(33), "a\n", "{env}"]
        {
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
        for bad in ["secrets", "secrets/kubernetesx", "secrets/kubernetes/", "secrets/kubernetes/../x", "x"] {
            assert!(SecretsDir::parse(bad).is_err(), "{bad:?}");
        }
        assert!(SecretsDir::parse("secrets/kubernetes").is_ok());
        assert!(SecretsDir::parse("secrets/kubernetes/staging").is_ok());
    }
}
