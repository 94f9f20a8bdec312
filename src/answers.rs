//! The answers that shape a repository, each in a type that only valid text can become.
//!
//! Does no I/O. A refusal is a [`Rule`]: it says what is allowed and gives an example, and never
//! quotes the refused text, which may be a token that landed in the wrong place.

mod date;
mod image;
mod named;
mod names;
mod record;
mod registry;

pub use date::Expiry;
pub use image::ImageRef;
pub use named::{FileFault, Name, Refused, Values, from_mapping, from_yaml, given};
pub use names::{DnsLabel, Email, HealthPath, Host, ProjectName, TokenUsername};
pub use record::Record;
pub use registry::RegistryKey;

/// Why a text was refused: what is allowed, as a sentence that follows "must".
pub type Rule = &'static str;

/// A value that a user types: an option, a line of the answers file, a prompt.
pub trait Answer: Sized {
    /// A value that is accepted, for hints.
    const EXAMPLE: &'static str;

    /// The value in `text`, or the rule that it breaks.
    fn parse(text: &str) -> Result<Self, Rule>;
}

/// Everything that the templates depend on, bar the token. The same answers give the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// Project name; the repository is called `<project>-infra`.
    pub project: ProjectName,
    /// The Deployment's image.
    pub image: ImageRef,
    /// The key under which the pull secret holds the credentials.
    pub registry: RegistryKey,
    /// Namespace of everything.
    pub namespace: DnsLabel,
    /// The container's port.
    pub port: u16,
    /// Pods of the Deployment.
    pub replicas: u32,
    /// Host of the Ingress; none: no Ingress.
    pub ingress: Option<Host>,
    /// Path of the HTTP probes; none: TCP probes.
    pub health_path: Option<HealthPath>,
    /// Pod Security Standard that the pods keep.
    pub pod_security: PodSecurity,
    /// Name of the pull secret.
    pub secret_name: DnsLabel,
    /// Type of the pull secret.
    pub secret_type: SecretType,
    /// E-mail address inside the pull secret; registries ignore it.
    pub email: Option<Email>,
    /// What checks and deploys the repository beside its users.
    pub ci: Ci,
}

/// A Pod Security Standard (kubernetes.io, "Pod Security Standards").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodSecurity {
    /// Non-root, no privilege escalation, no capabilities, read-only root file system.
    Restricted,
    /// For images that must run as root.
    Baseline,
}

impl PodSecurity {
    /// The name that Kubernetes uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Restricted => "restricted",
            Self::Baseline => "baseline",
        }
    }
}

impl Answer for PodSecurity {
    const EXAMPLE: &'static str = "restricted";

    fn parse(text: &str) -> Result<Self, Rule> {
        match text {
            "restricted" => Ok(Self::Restricted),
            "baseline" => Ok(Self::Baseline),
            _ => Err("must be one of: restricted, baseline"),
        }
    }
}

/// The two types of pull secret that the kubelet reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretType {
    /// `kubernetes.io/dockercfg`, key `.dockercfg`, `{HOST: ENTRY}`.
    Dockercfg,
    /// `kubernetes.io/dockerconfigjson`, key `.dockerconfigjson`, `{"auths": {HOST: ENTRY}}`.
    Dockerconfigjson,
}

impl SecretType {
    /// Both, in the order in which they are offered.
    pub const ALL: [Self; 2] = [Self::Dockercfg, Self::Dockerconfigjson];

    /// The option's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dockercfg => "dockercfg",
            Self::Dockerconfigjson => "dockerconfigjson",
        }
    }

    /// The Secret's `type`.
    #[must_use]
    pub fn kubernetes_type(self) -> &'static str {
        match self {
            Self::Dockercfg => "kubernetes.io/dockercfg",
            Self::Dockerconfigjson => "kubernetes.io/dockerconfigjson",
        }
    }

    /// The key of the Secret's `data` that this type requires.
    #[must_use]
    pub fn data_key(self) -> &'static str {
        match self {
            Self::Dockercfg => ".dockercfg",
            Self::Dockerconfigjson => ".dockerconfigjson",
        }
    }
}

impl Answer for SecretType {
    const EXAMPLE: &'static str = "dockercfg";

    fn parse(text: &str) -> Result<Self, Rule> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or("must be one of: dockercfg, dockerconfigjson")
    }
}

/// The service whose pipeline checks and deploys the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ci {
    /// GitLab CI/CD: `.gitlab-ci.yml`.
    Gitlab,
    /// None: people do.
    None,
}

impl Ci {
    /// The option's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gitlab => "gitlab",
            Self::None => "none",
        }
    }
}

impl Answer for Ci {
    const EXAMPLE: &'static str = "none";

    fn parse(text: &str) -> Result<Self, Rule> {
        match text {
            "gitlab" => Ok(Self::Gitlab),
            "none" => Ok(Self::None),
            _ => Err("must be one of: gitlab, none"),
        }
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
            .ok_or("must be a port: a whole number from 1 to 65535")
    }
}

/// How many pods a Deployment has.
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

/// Digits only: Rust's own parser would take `+8080`, too.
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
        for bad in ["0", "70000", "-1", "+80", "", "http", "80 ", "8e3", "0x50", "99999999999999999999"] {
            assert!(Port::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Replicas::parse("0"), Ok(Replicas(0)));
        for bad in ["-1", "1001", "two", "1.5", ""] {
            assert!(Replicas::parse(bad).is_err(), "{bad}");
        }
    }
}
