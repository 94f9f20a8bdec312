//! Answers by name: what options, the answers file, the config file and `.makeinfra.yaml` share.

use super::{
    Answer, Arguments, Ci, ClusterIssuer, ComponentName, ContextName, DnsLabel, Email, EnvironmentName,
    Expiry, HealthPath, Host, ImageRef, PodSecurity, Port, ProjectName, RegistryKey, Replicas, Rule,
    Schedule, SecretType, Switch, TimeZone, Workload, config::ConfigFile, location::SecretsDir,
};
use std::collections::BTreeMap;

/// The name of an answer. Its order is the order in which the questions are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// Project name.
    Project,
    /// Image reference of the Deployment.
    Image,
    /// Registry key of the pull secret.
    Registry,
    /// Namespace of everything.
    Namespace,
    /// The kubectl context of the cluster.
    Context,
    /// Whether `make` asks before it changes anything in an environment.
    Protect,
    /// The directory of an environment's Secrets.
    Secrets,
    /// Name of an environment.
    Environment,
    /// Name of a component.
    Component,
    /// Whether it runs all the time, on a schedule or once.
    Workload,
    /// When a cron job runs.
    Schedule,
    /// The time zone of that.
    TimeZone,
    /// The container's arguments.
    Args,
    /// The container's port.
    Port,
    /// Pods of the Deployment.
    Replicas,
    /// Host of the Ingress.
    Ingress,
    /// Whether the Ingress speaks TLS.
    Tls,
    /// What of cert-manager's makes the certificate.
    TlsIssuer,
    /// Path of the HTTP probes.
    HealthPath,
    /// Whether the pods have a service account of their own.
    ServiceAccount,
    /// The file with the settings that become a config map.
    Config,
    /// Pod Security Standard.
    PodSecurity,
    /// Name of the pull secret.
    SecretName,
    /// Type of the pull secret.
    SecretType,
    /// E-mail address inside the pull secret.
    Email,
    /// When the deploy token ends. Of the token, so never in `.makeinfra.yaml`.
    ExpiresAt,
    /// What checks and deploys the repository.
    Ci,
    /// Parent directory of the repository.
    Output,
}

impl Name {
    /// Those of a whole repository, in the order in which they are asked.
    pub const ALL: [Self; 24] = [
        Self::Project,
        Self::Image,
        Self::Registry,
        Self::Namespace,
        Self::Context,
        Self::Workload,
        Self::Schedule,
        Self::TimeZone,
        Self::Args,
        Self::Port,
        Self::Replicas,
        Self::Ingress,
        Self::Tls,
        Self::TlsIssuer,
        Self::HealthPath,
        Self::ServiceAccount,
        Self::Config,
        Self::PodSecurity,
        Self::SecretName,
        Self::SecretType,
        Self::Email,
        Self::ExpiresAt,
        Self::Ci,
        Self::Output,
    ];

    /// The name in files; the option is `--<name>`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Image => "image",
            Self::Registry => "registry",
            Self::Namespace => "namespace",
            Self::Context => "context",
            Self::Protect => "protect",
            Self::Secrets => "secrets",
            Self::Environment => "env",
            Self::Component => "component",
            Self::Workload => "workload",
            Self::Schedule => "schedule",
            Self::TimeZone => "time-zone",
            Self::Args => "args",
            Self::Port => "port",
            Self::Replicas => "replicas",
            Self::Ingress => "ingress",
            Self::Tls => "tls",
            Self::TlsIssuer => "tls-issuer",
            Self::HealthPath => "health-path",
            Self::ServiceAccount => "service-account",
            Self::Config => "config",
            Self::PodSecurity => "pod-security",
            Self::SecretName => "secret-name",
            Self::SecretType => "secret-type",
            Self::Email => "email",
            Self::ExpiresAt => "expires-at",
            Self::Ci => "ci",
            Self::Output => "output",
        }
    }

    /// How it is given on the command line.
    #[must_use]
    pub fn option(self) -> String {
        match self {
            Self::Project => "PROJECT".into(),
            // Given once for each.
            Self::Args => "--arg".into(),
            name => format!("--{}", name.as_str()),
        }
    }

    /// Whether `none` (an empty text, YAML's null) is an answer.
    #[must_use]
    pub fn is_optional(self) -> bool {
        matches!(
            self,
            Self::Context | Self::Port | Self::Ingress | Self::HealthPath | Self::Email | Self::ExpiresAt
        )
    }

    /// Whether the answer is yes or no.
    #[must_use]
    pub fn is_switch(self) -> bool {
        matches!(self, Self::Protect | Self::Tls | Self::ServiceAccount)
    }

    /// The value that somebody typed: `none` stands for none where there is no other word for it.
    #[must_use]
    pub fn typed(self, text: String) -> Option<String> {
        (self != Self::Port || text != "none").then_some(text)
    }

    /// A value that is accepted.
    #[must_use]
    pub fn example(self) -> &'static str {
        match self {
            Self::Project => ProjectName::EXAMPLE,
            Self::Image => ImageRef::EXAMPLE,
            Self::Registry => RegistryKey::EXAMPLE,
            Self::Namespace => DnsLabel::EXAMPLE,
            Self::Context => ContextName::EXAMPLE,
            Self::Secrets => SecretsDir::EXAMPLE,
            Self::Environment => EnvironmentName::EXAMPLE,
            Self::Component => ComponentName::EXAMPLE,
            Self::Workload => Workload::EXAMPLE,
            Self::Schedule => Schedule::EXAMPLE,
            Self::TimeZone => TimeZone::EXAMPLE,
            Self::Args => Arguments::EXAMPLE,
            Self::Port => Port::EXAMPLE,
            Self::Replicas => Replicas::EXAMPLE,
            Self::Ingress => Host::EXAMPLE,
            Self::Protect | Self::Tls | Self::ServiceAccount => Switch::EXAMPLE,
            Self::TlsIssuer => ClusterIssuer::EXAMPLE,
            Self::HealthPath => HealthPath::EXAMPLE,
            Self::Config => ConfigFile::EXAMPLE,
            Self::PodSecurity => PodSecurity::EXAMPLE,
            Self::SecretName => "gitlab",
            Self::SecretType => SecretType::EXAMPLE,
            Self::Email => Email::EXAMPLE,
            Self::ExpiresAt => Expiry::EXAMPLE,
            Self::Ci => Ci::EXAMPLE,
            Self::Output => ".",
        }
    }

    /// The rule that `text` breaks as this answer, if it breaks one.
    pub fn check(self, text: &str) -> Result<(), Rule> {
        fn parses<A: Answer>(text: &str) -> Result<(), Rule> {
            A::parse(text).map(|_| ())
        }
        match self {
            Self::Project => parses::<ProjectName>(text),
            Self::Image => parses::<ImageRef>(text),
            Self::Registry => parses::<RegistryKey>(text),
            // A pattern, where there are environments; it is checked once more when they are put into it.
            Self::Namespace => parses::<DnsLabel>(&text.replace("{project}", "p").replace("{env}", "e")),
            Self::SecretName => parses::<DnsLabel>(text),
            Self::Context => parses::<ContextName>(text),
            Self::Secrets => parses::<SecretsDir>(text),
            Self::Environment => parses::<EnvironmentName>(text),
            Self::Component => parses::<ComponentName>(text),
            Self::Workload => parses::<Workload>(text),
            Self::Schedule => parses::<Schedule>(text),
            Self::TimeZone => parses::<TimeZone>(text),
            Self::Args => parses::<Arguments>(text),
            Self::Port => parses::<Port>(text),
            Self::Replicas => parses::<Replicas>(text),
            Self::Ingress => parses::<Host>(text),
            Self::Protect | Self::Tls | Self::ServiceAccount => parses::<Switch>(text),
            Self::TlsIssuer => parses::<ClusterIssuer>(text),
            Self::HealthPath => parses::<HealthPath>(text),
            Self::Config => parses::<ConfigFile>(text),
            Self::PodSecurity => parses::<PodSecurity>(text),
            Self::SecretType => parses::<SecretType>(text),
            Self::Email => parses::<Email>(text),
            Self::ExpiresAt => parses::<Expiry>(text),
            Self::Ci => parses::<Ci>(text),
            Self::Output if text.is_empty() => Err("must be a directory, `.` for this one"),
            Self::Output => Ok(()),
        }
    }
}

/// Answers as text; `None` says "none" where that is an answer.
pub type Values = BTreeMap<Name, Option<String>>;

/// Why values do not make answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// A value that is needed and not there.
    Missing(Name),
    /// A value that breaks a rule.
    Broken(Name, Rule),
    /// A value where another answer leaves no room for one.
    Unfit(Name, Rule),
}

/// The value called `name`, if there is one.
pub fn given<A: Answer>(values: &Values, name: Name) -> Result<Option<A>, Refused> {
    match values.get(&name) {
        Some(Some(text)) => A::parse(text).map(Some).map_err(|rule| Refused::Broken(name, rule)),
        Some(None) if !name.is_optional() => Err(Refused::Broken(name, "must have a value")),
        _ => Ok(None),
    }
}

pub(super) fn needed<A: Answer>(values: &Values, name: Name) -> Result<A, Refused> {
    given(values, name)?.ok_or(Refused::Missing(name))
}

/// What is wrong with a file of answers.
#[derive(Debug, PartialEq, Eq)]
pub enum FileFault {
    /// Not YAML, or not a mapping. Line and column begin at 1.
    NotAMapping(Option<(usize, usize)>),
    /// A name that does not exist; given only if it looks like a name.
    Unknown(Option<String>),
    /// A value of the wrong type, or one that breaks a rule.
    Value(Name, Rule),
    /// A section that is none.
    Section(Rule),
    /// The name of an entry of a section breaks a rule.
    EntryName(Rule),
    /// A name stands twice.
    Twice,
    /// Something in a section, in the entry of this name if it is one.
    In(&'static str, Option<String>, Box<FileFault>),
}

/// Reads the YAML in `text`, which may begin with a byte order mark.
pub fn from_yaml(text: &str) -> Result<serde_yaml::Value, FileFault> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    serde_yaml::from_str(text).map_err(|error| {
        // Its place is that of the mapping.
        if error.to_string().contains("duplicate entry") {
            FileFault::Twice
        } else {
            FileFault::NotAMapping(error.location().map(|place| (place.line(), place.column())))
        }
    })
}

/// The answers in the mapping `value`, in which the names in `allowed` may stand.
///
/// Faults never quote a value: a token may have landed in the file.
pub fn from_mapping(value: serde_yaml::Value, allowed: &[Name]) -> Result<Values, FileFault> {
    use serde_yaml::Value;
    let mapping = match value {
        Value::Mapping(mapping) => mapping,
        Value::Null => return Ok(Values::new()),
        _ => return Err(FileFault::NotAMapping(None)),
    };
    let mut values = Values::new();
    for (key, value) in mapping {
        let key = key.as_str().unwrap_or_default();
        let Some(name) = allowed.iter().copied().find(|name| name.as_str() == key) else {
            return Err(FileFault::Unknown(name_like(key)));
        };
        values.insert(name, text_of(name, value).map_err(|rule| FileFault::Value(name, rule))?);
    }
    Ok(values)
}

/// A scalar as text. Numbers are taken only where a number is meant: `1e3` as a name would become 1000.
fn text_of(name: Name, value: serde_yaml::Value) -> Result<Option<String>, Rule> {
    use serde_yaml::Value;
    let number = matches!(name, Name::Port | Name::Replicas);
    match value {
        Value::String(text) => Ok(name.typed(text)),
        Value::Number(value) if number => Ok(Some(value.to_string())),
        Value::Bool(value) if name.is_switch() => Ok(Some(if value { "yes" } else { "no" }.into())),
        // Which file it was is no longer of interest.
        Value::Bool(true) if name == Name::Config => Ok(Some("yes".into())),
        Value::Sequence(items) if name == Name::Args => {
            let texts = items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>();
            texts
                .map(|texts| Some(Arguments::text(&texts)))
                .ok_or("must be a list of texts: put numbers in quotes")
        }
        Value::Null if name.is_optional() => Ok(None),
        _ if name == Name::Args => Err("must be a list of texts"),
        _ if number => Err("must be a whole number"),
        _ if name.is_switch() => Err("must be yes or no"),
        Value::Bool(_) | Value::Number(_) => Err("must be text: put it in quotes"),
        _ => Err("must be text"),
    }
}

/// `key` if it can be shown: the form of a name, and no longer than one.
fn name_like(key: &str) -> Option<String> {
    let letters = key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-' || byte == b'_');
    (letters && (1..=24).contains(&key.len())).then(|| key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Values, FileFault> {
        from_mapping(from_yaml(text)?, &Name::ALL)
    }

    #[test]
    fn faults_in_a_file_never_quote_it() {
        let fault = |text: &str| read(text).unwrap_err();
        assert_eq!(fault("imge: a/b:1"), FileFault::Unknown(Some("imge".into())));
        assert_eq!(fault("gldt-Ab1: x"), FileFault::Unknown(None));
        assert_eq!(fault("- project"), FileFault::NotAMapping(None));
        assert!(matches!(fault("a: [\n"), FileFault::NotAMapping(Some(_))));
        assert!(matches!(fault("namespace: 123"), FileFault::Value(Name::Namespace, _)));
        assert!(matches!(fault("port: [1]"), FileFault::Value(Name::Port, _)));
        assert!(matches!(fault("namespace: ~"), FileFault::Value(Name::Namespace, _)));
        assert_eq!(read("ingress: ~").unwrap()[&Name::Ingress], None);
    }

    #[test]
    fn every_example_is_accepted() {
        for name in Name::ALL {
            assert_eq!(name.check(name.example()), Ok(()), "{name:?}");
        }
    }
}
