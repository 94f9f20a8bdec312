//! The answers that determine a repository, each in a type that only a valid text can become.
//!
//! Does no I/O. A refusal is a [`Rule`] that says what is allowed, with an example; it never quotes
//! the refused text, which may be a misplaced token.

mod choices;
mod component;
mod config;
mod date;
mod environment;
mod followed;
mod gitlab_token;
mod image;
mod instance;
mod location;
mod name;
mod named;
mod names;
mod record;
mod registry;
pub mod schema;
mod settings;
mod sheet;
mod token_ref;
mod version;
mod workload;

pub use choices::{Ci, PodSecurity, SecretType, Switch};
pub use component::{Component, unfit};
pub use config::{Config, ConfigFault};
pub use date::Expiry;
pub use environment::{Deployed, Environment};
pub use gitlab_token::{TokenKind, after_prefixes, looks_like_token};
pub use image::ImageRef;
pub use instance::Instance;
pub use location::{ContextName, EnvironmentName};
pub use name::Name;
pub use named::{FileFault, Refused, Values, from_mapping, from_yaml, given};
pub use names::{ComponentName, DnsLabel, Email, HealthPath, Host, ProjectName, TokenUsername};
pub use record::Record;
pub use registry::RegistryKey;
pub use settings::Setting;
pub use sheet::Sheet;
pub use token_ref::{Owner, Superseded, TokenRef};
pub use version::Version;
pub use workload::{Arguments, ClusterIssuer, Schedule, TimeZone, Workload};

/// What is allowed, as a sentence that follows "must".
pub type Rule = &'static str;

/// A value that a user types: an option, a line of the answers file, a prompt.
pub trait Answer: Sized {
    /// An accepted value, for hints.
    const EXAMPLE: &'static str;
    /// All values, if there are few.
    const CHOICES: &'static [&'static str] = &[];

    /// Parses `text`, or fails with the rule that it breaks.
    fn parse(text: &str) -> Result<Self, Rule>;
}

/// Everything on which the templates depend, apart from the token. The same answers give the same
/// bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// Project name; the repository is called `<project>-infra`.
    pub project: ProjectName,
    /// The components. The first is the project's own, with the project's name.
    pub components: OneOrMore<Component>,
    /// The environments.
    pub environments: OneOrMore<Environment>,
    /// The registry key of the project's own entry in the pull secret.
    pub registry: RegistryKey,
    /// The Pod Security Standard of the namespaces.
    pub pod_security: PodSecurity,
    /// Name of the pull secret.
    pub secret_name: DnsLabel,
    /// Type of the pull secret.
    pub secret_type: SecretType,
    /// E-mail address in the pull secret; registries ignore it.
    pub email: Option<Email>,
    /// The service that checks and deploys the repository.
    pub ci: Ci,
    /// The image for the pipeline's jobs, which contains makeinfra and its tools; `None` if the
    /// jobs install their tools.
    pub ci_image: Option<ImageRef>,
    /// Whether a scheduled pipeline rotates deploy tokens that expire soon.
    pub ci_rotate: bool,
}

impl Answers {
    /// Hosts that several Ingresses of a cluster share, each with its users.
    #[must_use]
    pub fn shared_hosts(&self) -> Vec<(String, String)> {
        let mut all: Vec<(Option<&str>, &Host, Vec<String>)> = Vec::new();
        for environment in self.environments.iter() {
            let context = environment.context.as_ref().map(ContextName::as_str);
            for (component, deployed) in self.components.iter().zip(&environment.deployed) {
                let Some(shared) = &component.ingress else { continue };
                let host = deployed.host.as_ref().unwrap_or(shared);
                let who = match self.choice(environment) {
                    Some(name) => format!("{} in {name}", component.name),
                    None => component.name.to_string(),
                };
                match all.iter_mut().find(|(other, known, _)| *other == context && *known == host) {
                    Some((_, _, others)) => others.push(who),
                    None => all.push((context, host, vec![who])),
                }
            }
        }
        let shared = all.into_iter().filter(|(_, _, who)| who.len() > 1);
        shared.map(|(_, host, who)| (host.to_string(), who.join(", "))).collect()
    }

    /// The project's own component.
    #[must_use]
    pub fn main(&self) -> &Component {
        &self.components.first
    }

    /// The image of the project's own component.
    #[must_use]
    pub fn image(&self) -> &ImageRef {
        &self.components.first.image
    }

    /// The name of `environment` if commands need it; `None` if it is the only one.
    #[must_use]
    pub fn choice<'e>(&self, environment: &'e Environment) -> Option<&'e EnvironmentName> {
        (!self.environments.rest.is_empty()).then_some(&environment.name)
    }

    /// The argument with which `make` selects `environment`: empty if it is the only one, otherwise
    /// ` ENV=NAME`.
    #[must_use]
    pub fn make_argument(&self, environment: &Environment) -> String {
        self.choice(environment).map_or_else(String::new, |name| format!(" ENV={name}"))
    }

    /// The files of the pull secrets, one for each environment.
    #[must_use]
    pub fn secret_files(&self) -> Vec<String> {
        self.environments.iter().map(|one| one.secret_file(&self.secret_name)).collect()
    }

    /// The environment `name`.
    #[must_use]
    pub fn environment(&self, name: &str) -> Option<&Environment> {
        self.environments.iter().find(|environment| environment.is_called(name))
    }
}

/// A list that is never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneOrMore<T> {
    /// The first item.
    pub first: T,
    /// The others.
    pub rest: Vec<T>,
}

impl<T> OneOrMore<T> {
    /// All items.
    pub fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        std::iter::once(&self.first).chain(&self.rest)
    }

    /// All items, mutable.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        std::iter::once(&mut self.first).chain(&mut self.rest)
    }
}

/// A TCP port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port(pub u16);

impl Answer for Port {
    const EXAMPLE: &'static str = "8080";

    fn parse(text: &str) -> Result<Self, Rule> {
        plain_number(text)
            .filter(|port| *port > 0)
            .map(Self)
            .ok_or("must be a port (1 to 65535) or none")
    }
}

/// The number of pods of a Deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replicas(pub u32);

impl Answer for Replicas {
    const EXAMPLE: &'static str = "2";

    fn parse(text: &str) -> Result<Self, Rule> {
        plain_number(text)
            .filter(|replicas| *replicas <= 1000)
            .map(Self)
            .ok_or("must be a whole number from 0 to 1000")
    }
}

/// Accepts digits only: Rust's own parser would also accept `+8080`.
fn plain_number<N: std::str::FromStr>(text: &str) -> Option<N> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_digits_in_range() {
        assert_eq!(Port::parse("8080"), Ok(Port(8080)));
        assert_eq!(Port::parse("65535"), Ok(Port(65535)));
        for bad in
            ["0", "70000", "-1", "+80", "", "http", "80 ", "8e3", "0x50", "99999999999999999999"]
        {
            assert!(Port::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Replicas::parse("0"), Ok(Replicas(0)));
        for bad in ["-1", "1001", "two", "1.5", ""] {
            assert!(Replicas::parse(bad).is_err(), "{bad}");
        }
    }
}
