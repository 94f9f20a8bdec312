//! The registry key of a pull secret, under which its JSON has an entry.

use super::{Answer, ImageRef, Rule, names::is_dns_label};
use std::fmt;

/// A registry key that the kubelet can match to an image: `[http[s]://]HOST[:PORT][/PATH]`, in
/// which a label of HOST may contain `*`. `pull_secret::keyring` tells whether it matches a given
/// image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryKey(String);

impl RegistryKey {
    /// The key that `docker login` would use for `image`: its `host[:port]`, or for Docker Hub
    /// docker's traditional address.
    #[must_use]
    pub fn for_image(image: &ImageRef) -> Self {
        if image.is_docker_hub() {
            Self("https://index.docker.io/v1/".into())
        } else {
            Self(image.host().into())
        }
    }

    /// The key as in the Secret.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether both are for the same whole registry in different notations: with or without a
    /// scheme, or by another name of Docker Hub.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (self.whole(), other.whole()) {
            (Some(one), Some(other)) => one == other,
            _ => self == other,
        }
    }

    /// The host, if the key is for the whole registry; `None` if it is for a path.
    fn whole(&self) -> Option<&str> {
        let path = without_scheme(&self.0).split_once('/').map_or("", |(_, path)| path);
        let whole = matches!(path, "" | "v1" | "v1/" | "v2" | "v2/");
        whole.then(|| match self.host() {
            "index.docker.io" | "registry-1.docker.io" => "docker.io",
            host => host,
        })
    }

    /// The `host[:port]`, without scheme and path.
    #[must_use]
    pub fn host(&self) -> &str {
        let rest = without_scheme(&self.0);
        rest.split_once('/').map_or(rest, |(host, _)| host)
    }
}

impl fmt::Display for RegistryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Answer for RegistryKey {
    const EXAMPLE: &'static str = "registry.gitlab.com";

    fn parse(text: &str) -> Result<Self, Rule> {
        let rest = without_scheme(text);
        if rest.contains("://") || rest.contains(":/") {
            return Err("must begin with a host name, or with exactly `https://` or `http://`");
        }
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, Some(path)),
            None => (rest, None),
        };
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        if host.contains(|c: char| c.is_ascii_uppercase()) {
            return Err("must have a lower-case host: the kubelet's comparison is case-sensitive");
        }
        let label = |label: &str| is_dns_label(&label.replace('*', "x"));
        if !host.split('.').all(label) {
            return Err("must be a registry host[:port] with an optional path, without spaces");
        }
        let digits = |port: &str| {
            port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|p| p > 0)
        };
        if port.is_some_and(|port| !digits(port)) {
            return Err("must have a port from 1 to 65535 after the colon");
        }
        let in_path = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/".contains(&byte);
        if path.is_some_and(|path| !path.bytes().all(in_path)) || text.len() > 512 {
            return Err("must have a path of letters, digits, `.`, `_`, `-` and `/`");
        }
        Ok(Self(text.to_owned()))
    }
}

/// `key` without a scheme known to the kubelet, which compares schemes exactly.
fn without_scheme(key: &str) -> &str {
    key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_docker_and_the_kubelet_write() {
        for (key, host) in [
            ("registry.gitlab.com", "registry.gitlab.com"),
            ("registry.gitlab.com:5050/group", "registry.gitlab.com:5050"),
            ("https://index.docker.io/v1/", "index.docker.io"),
            ("http://localhost:5000", "localhost:5000"),
            ("*.gitlab.com", "*.gitlab.com"),
        ] {
            assert_eq!(RegistryKey::parse(key).unwrap().host(), host);
        }
    }

    #[test]
    fn refuses_what_would_never_match() {
        for bad in [
            "",
            "htps://registry.gitlab.com",
            "https:/registry.gitlab.com",
            "HTTPS://registry.gitlab.com",
            "Registry.gitlab.com",
            " registry.gitlab.com",
            "registry.gitlab.com\n",
            "registry gitlab.com",
            "registry.gitlab.com:",
            "registry.gitlab.com:0",
            "registry.gitlab.com:x",
            "a..b",
            "/v1/",
            "a.b/c d",
            "user@a.b",
            "a.b?x",
            "https://",
        ] {
            assert!(RegistryKey::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn one_registry_has_several_keys() {
        let same = |one: &str, other: &str| {
            RegistryKey::parse(one).unwrap().is_same(&RegistryKey::parse(other).unwrap())
        };
        assert!(
            same("ghcr.io", "https://ghcr.io/v2/")
                && same("docker.io", "https://index.docker.io/v1/")
        );
        assert!(
            !same("ghcr.io", "ghcr.io/me")
                && !same("ghcr.io", "ghcr.io:443")
                && same("ghcr.io/me", "ghcr.io/me")
        );
    }

    #[test]
    fn the_default_is_what_docker_login_writes() {
        let key = |image| RegistryKey::for_image(&ImageRef::parse(image).unwrap()).0;
        assert_eq!(key("registry.gitlab.com:5050/g/p:1"), "registry.gitlab.com:5050");
        assert_eq!(key("me/app:1"), "https://index.docker.io/v1/");
        assert_eq!(key("docker.io/me/app:1"), "https://index.docker.io/v1/");
    }
}
