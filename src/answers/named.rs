//! Answers by name: what options, the answers file, the config file and `.makeinfra.yaml` share.

use super::{
    Answer, Answers, Ci, DnsLabel, Email, Expiry, HealthPath, Host, ImageRef, PodSecurity, Port, ProjectName,
    RegistryKey, Replicas, Rule, SecretType,
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
    /// The container's port.
    Port,
    /// Pods of the Deployment.
    Replicas,
    /// Host of the Ingress.
    Ingress,
    /// Path of the HTTP probes.
    HealthPath,
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
    /// All of them, in the order in which they are asked.
    pub const ALL: [Self; 15] = [
        Self::Project,
        Self::Image,
        Self::Registry,
        Self::Namespace,
        Self::Port,
        Self::Replicas,
        Self::Ingress,
        Self::HealthPath,
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
            Self::Port => "port",
            Self::Replicas => "replicas",
            Self::Ingress => "ingress",
            Self::HealthPath => "health-path",
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
            name => format!("--{}", name.as_str()),
        }
    }

    /// Whether `none` (an empty text, YAML's null) is an answer.
    #[must_use]
    pub fn is_optional(self) -> bool {
        matches!(self, Self::Ingress | Self::HealthPath | Self::Email | Self::ExpiresAt)
    }

    /// A value that is accepted.
    #[must_use]
    pub fn example(self) -> &'static str {
        match self {
            Self::Project => ProjectName::EXAMPLE,
            Self::Image => ImageRef::EXAMPLE,
            Self::Registry => RegistryKey::EXAMPLE,
            Self::Namespace => DnsLabel::EXAMPLE,
            Self::Port => Port::EXAMPLE,
            Self::Replicas => Replicas::EXAMPLE,
            Self::Ingress => Host::EXAMPLE,
            Self::HealthPath => HealthPath::EXAMPLE,
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
            Self::Namespace | Self::SecretName => parses::<DnsLabel>(text),
            Self::Port => parses::<Port>(text),
            Self::Replicas => parses::<Replicas>(text),
            Self::Ingress => parses::<Host>(text),
            Self::HealthPath => parses::<HealthPath>(text),
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
}

impl Answers {
    /// The answers in `values`, with the default for each that is not there. Project and image have none.
    pub fn from_values(values: &Values) -> Result<Self, Refused> {
        let project: ProjectName = needed(values, Name::Project)?;
        let image: ImageRef = needed(values, Name::Image)?;
        Ok(Self {
            registry: given(values, Name::Registry)?.unwrap_or_else(|| RegistryKey::for_image(&image)),
            namespace: given(values, Name::Namespace)?.unwrap_or_else(|| DnsLabel::from(&project)),
            port: given::<Port>(values, Name::Port)?.map_or(8080, |port| port.0),
            replicas: given::<Replicas>(values, Name::Replicas)?.map_or(2, |replicas| replicas.0),
            ingress: given(values, Name::Ingress)?,
            health_path: given(values, Name::HealthPath)?,
            pod_security: given(values, Name::PodSecurity)?.unwrap_or(PodSecurity::Restricted),
            secret_name: given(values, Name::SecretName)?.unwrap_or_else(DnsLabel::gitlab),
            secret_type: given(values, Name::SecretType)?.unwrap_or(SecretType::Dockercfg),
            email: given(values, Name::Email)?,
            ci: given(values, Name::Ci)?.unwrap_or(Ci::Gitlab),
            project,
            image,
        })
    }
}

/// The value called `name`, if there is one.
pub fn given<A: Answer>(values: &Values, name: Name) -> Result<Option<A>, Refused> {
    match values.get(&name) {
        Some(Some(text)) => A::parse(text).map(Some).map_err(|rule| Refused::Broken(name, rule)),
        Some(None) if !name.is_optional() => Err(Refused::Broken(name, "must have a value")),
        _ => Ok(None),
    }
}

fn needed<A: Answer>(values: &Values, name: Name) -> Result<A, Refused> {
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
}

/// Reads the YAML in `text`, which may begin with a byte order mark.
pub fn from_yaml(text: &str) -> Result<serde_yaml::Value, FileFault> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    serde_yaml::from_str(text)
        .map_err(|error| FileFault::NotAMapping(error.location().map(|place| (place.line(), place.column()))))
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
        Value::String(text) => Ok(Some(text)),
        Value::Number(value) if number => Ok(Some(value.to_string())),
        Value::Null if name.is_optional() => Ok(None),
        _ if number => Err("must be a whole number"),
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
    fn fills_in_the_defaults() {
        let values = read("\u{feff}project: shop\nimage: registry.gitlab.com/me/shop:1.0.0\n").unwrap();
        let answers = Answers::from_values(&values).unwrap();
        assert_eq!(answers.namespace.as_str(), "shop");
        assert_eq!(answers.registry.as_str(), "registry.gitlab.com");
        assert_eq!((answers.port, answers.replicas, answers.secret_name.as_str()), (8080, 2, "gitlab"));
        assert_eq!(answers.ingress, None);
    }

    #[test]
    fn names_what_is_missing_or_broken() {
        let refused = |text: &str| Answers::from_values(&read(text).unwrap()).unwrap_err();
        assert_eq!(refused("{}"), Refused::Missing(Name::Project));
        assert_eq!(refused("project: shop"), Refused::Missing(Name::Image));
        let port = "project: shop\nimage: a/b:1\nport: 70000";
        assert!(matches!(refused(port), Refused::Broken(Name::Port, _)));
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
