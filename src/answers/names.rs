//! Names: projects, namespaces, hosts, paths, users.

use super::{Answer, Rule, TokenKind, looks_like_token};
use std::fmt;

/// Declares a text type that can only be created by [`Answer::parse`].
macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name(String);

        impl $name {
            /// The accepted text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_type! {
    /// A project's name: an RFC 1035 label, because the Service has it. An `-infra` suffix is
    /// removed, so `hello` and `hello-infra` are the same project.
    ProjectName
}

impl ProjectName {
    /// The label by which `make prune` and `make undeploy` find the objects of a project.
    pub const LABEL: &'static str = "makeinfra/project";

    /// The repository's directory: `<project>-infra`.
    #[must_use]
    pub fn directory(&self) -> String {
        format!("{}-infra", self.0)
    }
}

impl Answer for ProjectName {
    const EXAMPLE: &'static str = "hello";

    fn parse(text: &str) -> Result<Self, Rule> {
        let name = text.strip_suffix("-infra").unwrap_or(text);
        let begins_with_letter = name.starts_with(|first: char| first.is_ascii_lowercase());
        if begins_with_letter && is_dns_label(name) {
            Ok(Self(name.to_owned()))
        } else {
            Err("must consist of at most 63 lower-case letters, digits and `-`, begin with a \
                 letter and end with a letter or digit (RFC 1035)")
        }
    }
}

text_type! {
    /// A component's name: an RFC 1035 label, because its Service has it.
    ComponentName
}

impl Answer for ComponentName {
    const EXAMPLE: &'static str = "worker";

    fn parse(text: &str) -> Result<Self, Rule> {
        if text.starts_with(|first: char| first.is_ascii_lowercase()) && is_dns_label(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err("must consist of at most 63 lower-case letters, digits and `-`, begin with a \
                 letter and end with a letter or digit (RFC 1035)")
        }
    }
}

impl From<&ProjectName> for ComponentName {
    fn from(project: &ProjectName) -> Self {
        Self(project.0.clone())
    }
}

text_type! {
    /// A DNS label (RFC 1123): a namespace or the name of a Secret.
    DnsLabel
}

impl Answer for DnsLabel {
    const EXAMPLE: &'static str = "hello";

    fn parse(text: &str) -> Result<Self, Rule> {
        if is_dns_label(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(
                "must be a DNS label: at most 63 lower-case letters, digits and `-`, with a letter \
                 or digit at both ends (RFC 1123)",
            )
        }
    }
}

impl DnsLabel {
    /// The default name of a pull secret.
    #[must_use]
    pub fn gitlab() -> Self {
        Self("gitlab".into())
    }
}

impl From<&ProjectName> for DnsLabel {
    fn from(project: &ProjectName) -> Self {
        Self(project.0.clone())
    }
}

text_type! {
    /// A DNS name for an Ingress rule; its first label may be `*`.
    Host
}

impl Answer for Host {
    const EXAMPLE: &'static str = "hello.example.com";

    fn parse(text: &str) -> Result<Self, Rule> {
        let name = text.strip_prefix("*.").unwrap_or(text);
        // A numeric last label would make it an IP address, which an Ingress refuses.
        let numeric = name
            .rsplit('.')
            .next()
            .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
        if text.len() <= 253 && !numeric && name.split('.').all(is_dns_label) {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be a DNS name: lower-case labels of letters, digits and `-`, separated by \
                 dots, without scheme, port or path, and not an IP address")
        }
    }
}

text_type! {
    /// An absolute URL path for HTTP probes (RFC 3986, `path-absolute` with an optional query).
    HealthPath
}

impl Answer for HealthPath {
    const EXAMPLE: &'static str = "/healthz";

    fn parse(text: &str) -> Result<Self, Rule> {
        let allowed =
            |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!&'()*+,;=:@/?%".contains(&byte);
        if text.starts_with('/') && text.len() <= 1024 && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be a URL path that begins with `/` and contains no spaces, `$`, `#` or \
                 quotes")
        }
    }
}

text_type! {
    /// An e-mail address, as far as a pull secret requires: one `@`, printable ASCII, no spaces.
    Email
}

impl Answer for Email {
    const EXAMPLE: &'static str = "ops@example.com";

    fn parse(text: &str) -> Result<Self, Rule> {
        let parts = text.split_once('@');
        let both = parts.is_some_and(|(user, host)| {
            !user.is_empty() && !host.is_empty() && !host.contains('@')
        });
        if both && text.len() <= 254 && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be an email address (NAME@HOST, without spaces)")
        }
    }
}

text_type! {
    /// The user name of a deploy token. It cannot contain `:`, which ends it in the Basic scheme
    /// (RFC 7617).
    TokenUsername
}

impl Answer for TokenUsername {
    const EXAMPLE: &'static str = "gitlab+deploy-token-1";

    fn parse(text: &str) -> Result<Self, Rule> {
        let bad = |c: char| c == ':' || c.is_whitespace() || c.is_control();
        if TokenKind::of(text) == Some(TokenKind::Deploy) || looks_like_token(text) {
            return Err("must be the user name, but this value begins like a token");
        }
        if !text.is_empty() && text.len() <= 255 && !text.contains(bad) {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be a non-empty user name without `:`, spaces and control characters")
        }
    }
}

/// Whether `text` is an RFC 1123 label.
pub(super) fn is_dns_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_LABELS: [&str; 12] = [
        "Hello",
        "my_app",
        "",
        "..",
        "a/b",
        "my app",
        "-app",
        "app-",
        "größe",
        "a.b",
        "a\nb",
        "a123456789b123456789c123456789d123456789e123456789f123456789g123",
    ];

    #[test]
    fn a_project_is_an_rfc_1035_label_without_infra() {
        assert_eq!(ProjectName::parse("hello-infra").unwrap().as_str(), "hello");
        assert_eq!(ProjectName::parse("hello").unwrap().directory(), "hello-infra");
        assert_eq!(ProjectName::parse("a".repeat(63).as_str()).unwrap().as_str().len(), 63);
        for bad in NO_LABELS.into_iter().chain(["1app", "-infra", "infra-"]) {
            assert!(ProjectName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_namespace_is_a_dns_label() {
        assert!(DnsLabel::parse("1-a").is_ok());
        for bad in NO_LABELS {
            assert!(DnsLabel::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_ingress_host_is_a_dns_name() {
        for good in ["hello.example.com", "localhost", "*.example.com", "xn--bcher-kva.example"] {
            assert!(Host::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "Hello.example.com",
            "https://a.b",
            "a.b:80",
            "a..b",
            "10.0.0.1",
            "a_b.c",
            "*",
            "a.*.b",
            "a.b.",
        ] {
            assert!(Host::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_text_can_carry_a_line_a_quote_or_a_make_variable() {
        for bad in ["/a\nb", "/$(x)", "/#", "/\"", "a", "", "/a b"] {
            assert!(HealthPath::parse(bad).is_err(), "{bad:?}");
        }
        for bad in ["a", "a@", "@b", "a@b\n", "a b@c", "a@b@c"] {
            assert!(Email::parse(bad).is_err(), "{bad:?}");
        }
        for bad in ["", "glpat-Marker_7Qx9vWk2", "a:b", "a b", "a\n", "gldt-Ab1"] {
            assert!(TokenUsername::parse(bad).is_err(), "{bad:?}");
        }
    }
}
