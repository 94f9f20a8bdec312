//! The table of all answers: name in files, type, and question.

use super::{
    Answer, Arguments, Ci, ClusterIssuer, ComponentName, ContextName, DnsLabel, Email,
    EnvironmentName, Expiry, HealthPath, Host, ImageRef, PodSecurity, Port, ProjectName,
    RegistryKey, Replicas, Rule, Schedule, SecretType, Switch, TimeZone, Workload,
    config::ConfigFile, location::SecretsDir,
};

/// Declares the answers of a whole repository, in the order of the questions, and those that only
/// its parts have: the name in files, the type with rule and example, the kind of value, and the
/// question.
macro_rules! answers {
    (
        repository { $(
            $(#[$doc:meta])*
            $name:ident = $key:literal, $type:ty, $kind:ident, $question:literal;
        )* }
        parts { $(
            $(#[$part_doc:meta])*
            $part:ident = $part_key:literal, $part_type:ty, $part_kind:ident, $part_question:literal;
        )* }
    ) => {
        /// The name of an answer. Ordered as the questions are asked.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Name {
            $($(#[$doc])* $name,)*
            $($(#[$part_doc])* $part,)*
        }

        impl Name {
            /// The answers of a whole repository, in the order of the questions.
            pub const ALL: [Self; [$($key),*].len()] = [$(Self::$name),*];

            /// The name in files; the option is `--<name>`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $key,)* $(Self::$part => $part_key,)* }
            }

            /// An accepted value.
            #[must_use]
            pub fn example(self) -> &'static str {
                match self {
                    $(Self::$name => <$type>::EXAMPLE,)*
                    $(Self::$part => <$part_type>::EXAMPLE,)*
                }
            }

            /// All accepted values, if there are few.
            #[must_use]
            pub fn choices(self) -> &'static [&'static str] {
                match self {
                    $(Self::$name => <$type>::CHOICES,)*
                    $(Self::$part => <$part_type>::CHOICES,)*
                }
            }

            /// Fails with the rule that `text` breaks as this answer.
            pub fn check(self, text: &str) -> Result<(), Rule> {
                match self {
                    $(Self::$name => <$type>::parse(text).map(drop),)*
                    $(Self::$part => <$part_type>::parse(text).map(drop),)*
                }
            }

            /// The question for users.
            #[must_use]
            pub fn question(self) -> &'static str {
                match self { $(Self::$name => $question,)* $(Self::$part => $part_question,)* }
            }

            fn kind(self) -> Kind {
                match self { $(Self::$name => Kind::$kind,)* $(Self::$part => Kind::$part_kind,)* }
            }
        }
    };
}

/// The kind of value.
#[derive(PartialEq, Eq)]
enum Kind {
    /// A text.
    Text,
    /// A text or none.
    Optional,
    /// Yes or no.
    Switch,
}

answers! {
    repository {
        /// Project name.
        Project = "project", ProjectName, Text, "Project name (the repository is named \
                                                 PROJECT-infra)";
        /// Image reference of the Deployment.
        Image = "image", ImageRef, Text, "Container image";
        /// Registry key of the pull secret.
        Registry = "registry", RegistryKey, Text, "Registry key in the pull secret";
        /// Namespace.
        Namespace = "namespace", NamespacePattern, Text, "Namespace";
        /// The kubectl context of the cluster.
        Context = "context", ContextName, Optional, "kubectl context (none: the current context)";
        /// Whether it runs permanently, on a schedule or once.
        Workload = "workload", Workload, Text, "Kind of workload";
        /// When a cron job runs.
        Schedule = "schedule", Schedule, Text, "Schedule in cron syntax (0 3 * * *, @daily)";
        /// The time zone of the schedule.
        TimeZone = "time-zone", TimeZone, Text, "Time zone of the schedule";
        /// The container's arguments.
        Args = "args", Arguments, Text, "Container arguments";
        /// The container's port.
        Port = "port", Port, Optional, "Port that the container listens on (none: a worker)";
        /// Pods of the Deployment.
        Replicas = "replicas", Replicas, Text, "Pods";
        /// Host of the Ingress.
        Ingress = "ingress", Host, Optional, "Ingress host name";
        /// Whether the Ingress uses TLS.
        Tls = "tls", Switch, Switch, "TLS for the Ingress";
        /// The `ClusterIssuer` of the certificate.
        TlsIssuer = "tls-issuer", ClusterIssuer, Text, "ClusterIssuer for the certificate";
        /// Path of the HTTP probes.
        HealthPath = "health-path", HealthPath, Optional, "Path for HTTP probes (none: TCP probes)";
        /// Whether the pods have their own service account.
        ServiceAccount = "service-account", Switch, Switch, "Service account";
        /// The file with the settings for the `ConfigMap`.
        Config = "config", ConfigFile, Text, "Settings file";
        /// Whether anyone may pull the image.
        Public = "public", Switch, Switch, "Public image";
        /// Pod Security Standard.
        PodSecurity = "pod-security", PodSecurity, Text, "Pod Security Standard";
        /// Name of the pull secret.
        SecretName = "secret-name", PullSecretName, Text, "Pull secret name";
        /// Type of the pull secret.
        SecretType = "secret-type", SecretType, Text, "Pull secret type";
        /// E-mail address inside the pull secret.
        Email = "email", Email, Optional, "Email address in the pull secret";
        /// Expiry of the deploy token. Concerns the token, so it is never in `.makeinfra.yaml`.
        ExpiresAt = "expires-at", Expiry, Optional, "Expiry date of the deploy token";
        /// The service that checks and deploys the repository.
        Ci = "ci", Ci, Text, "CI";
        /// The image for the pipeline's jobs, which contains makeinfra.
        CiImage = "ci-image", ImageRef, Text, "Image for the pipeline's jobs";
        /// Whether a scheduled pipeline rotates deploy tokens.
        CiRotate = "ci-rotate", Switch, Switch, "Replace deploy tokens from a scheduled pipeline";
        /// Parent directory of the repository.
        Output = "output", OutputDirectory, Text, "Parent directory";
    }
    parts {
        /// Name of an environment.
        Environment = "env", EnvironmentName, Text, "Environment";
        /// Name of a component.
        Component = "component", ComponentName, Text, "Component";
        /// Whether `make` asks before it changes anything in an environment.
        Protect = "protect", Switch, Switch, "Protected";
        /// The directory of an environment's Secrets.
        Secrets = "secrets", SecretsDir, Text, "Secrets directory";
    }
}

impl Name {
    /// The option on the command line.
    #[must_use]
    pub fn option(self) -> String {
        match self {
            Self::Project => "PROJECT".into(),
            // Given once for each argument.
            Self::Args => "--arg".into(),
            name => format!("--{}", name.as_str()),
        }
    }

    /// Whether `none` (an empty text, YAML's null) is an answer.
    #[must_use]
    pub fn is_optional(self) -> bool {
        self.kind() == Kind::Optional
    }

    /// Whether the answer is yes or no.
    #[must_use]
    pub fn is_switch(self) -> bool {
        self.kind() == Kind::Switch
    }

    /// The typed value: `none` is no value if the answer has no other word for it.
    #[must_use]
    pub fn typed(self, text: String) -> Option<String> {
        (self != Self::Port || text != "none").then_some(text)
    }
}

/// A namespace, or a pattern for those of all environments, which is validated again after
/// substitution.
struct NamespacePattern;

impl Answer for NamespacePattern {
    const EXAMPLE: &'static str = DnsLabel::EXAMPLE;

    fn parse(text: &str) -> Result<Self, Rule> {
        DnsLabel::parse(&text.replace("{project}", "p").replace("{env}", "e")).map(|_| Self)
    }
}

/// The name of the pull secret.
struct PullSecretName;

impl Answer for PullSecretName {
    const EXAMPLE: &'static str = "gitlab";

    fn parse(text: &str) -> Result<Self, Rule> {
        DnsLabel::parse(text).map(|_| Self)
    }
}

/// The parent directory of the repository.
struct OutputDirectory;

impl Answer for OutputDirectory {
    const EXAMPLE: &'static str = ".";

    fn parse(text: &str) -> Result<Self, Rule> {
        if text.is_empty() { Err("must be a directory (`.` for this one)") } else { Ok(Self) }
    }
}
