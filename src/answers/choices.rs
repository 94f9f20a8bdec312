//! Answers with a few possible values.

use super::{Answer, Rule};

/// A Pod Security Standard (kubernetes.io, "Pod Security Standards").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodSecurity {
    /// Non-root, no privilege escalation, no capabilities, read-only root file system.
    Restricted,
    /// For images that must run as root.
    Baseline,
}

impl PodSecurity {
    /// Kubernetes' name for it.
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
    const CHOICES: &'static [&'static str] = &["restricted", "baseline"];

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
    /// Both types, in the order in which they are offered.
    pub const ALL: [Self; 2] = [Self::Dockercfg, Self::Dockerconfigjson];

    /// The value of the option.
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

    /// The key of the Secret's `data` that the type requires.
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
    const CHOICES: &'static [&'static str] = &["dockercfg", "dockerconfigjson"];

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
    /// None: deployed by hand.
    None,
}

impl Ci {
    /// The value of the option.
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
    const CHOICES: &'static [&'static str] = &["gitlab", "none"];

    fn parse(text: &str) -> Result<Self, Rule> {
        match text {
            "gitlab" => Ok(Self::Gitlab),
            "none" => Ok(Self::None),
            _ => Err("must be one of: gitlab, none"),
        }
    }
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switch(pub bool);

impl Answer for Switch {
    const EXAMPLE: &'static str = "yes";

    fn parse(text: &str) -> Result<Self, Rule> {
        match text {
            "yes" | "true" => Ok(Self(true)),
            "no" | "false" => Ok(Self(false)),
            _ => Err("must be one of: yes, no"),
        }
    }
}
