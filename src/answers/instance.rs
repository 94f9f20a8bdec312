//! A GitLab instance: `https://HOST[:PORT][/ROOT]`.

use super::{Answer, Rule, names::is_dns_label};
use std::fmt;

/// The URL of a GitLab's start page without a trailing slash. Normalised, so that equal URLs are
/// equal texts: lower-case host, no default port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    url: String,
    /// Start and end of the host, including its port.
    host: (usize, usize),
}

impl Instance {
    /// The default instance.
    #[must_use]
    pub fn gitlab_com() -> Self {
        Self { url: "https://gitlab.com".to_owned(), host: (8, 18) }
    }

    /// The URL, without a trailing slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// `HOST[:PORT]`.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.url[self.host.0..self.host.1]
    }

    /// The host without the port.
    #[must_use]
    pub fn host(&self) -> &str {
        let authority = self.authority();
        authority.rsplit_once(':').map_or(authority, |(host, _)| host)
    }

    /// Whether the URL is plain http.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.url.starts_with("http://")
    }

    /// The GitLab whose token service is at `realm`, as in a registry's challenge (GitLab's
    /// `config/routes.rb`: `jwt/auth`).
    #[must_use]
    pub fn of_realm(realm: &str) -> Option<Self> {
        let path = realm.split(['?', '#']).next()?;
        Self::parse(path.trim_end_matches('/').strip_suffix("/jwt/auth")?).ok()
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

impl Answer for Instance {
    const EXAMPLE: &'static str = "https://gitlab.example.com";

    fn parse(text: &str) -> Result<Self, Rule> {
        const RULE: Rule = "must be the URL of a GitLab, `https://HOST[:PORT][/ROOT]`, or its host";
        let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
        let scheme = scheme.to_ascii_lowercase();
        let default = match scheme.as_str() {
            "https" => 443,
            "http" => 80,
            _ => return Err(RULE),
        };
        let (authority, root) =
            rest.split_once('/').map_or((rest, ""), |(authority, root)| (authority, root));
        let (host, port) = match authority.split_once(':') {
            Some((host, digits)) => {
                let is_number =
                    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
                let port =
                    digits.parse::<u16>().ok().filter(|port| is_number && *port > 0).ok_or(RULE)?;
                (host, Some(port).filter(|port| *port != default))
            }
            None => (authority, None),
        };
        let host = host.to_ascii_lowercase();
        let root = root.trim_end_matches('/');
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        let is_part = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(is_plain);
        if !host.split('.').all(is_dns_label) || text.len() > 512 {
            return Err(RULE);
        }
        if !(root.is_empty() || root.split('/').all(is_part)) {
            return Err(RULE);
        }
        let begin = scheme.len() + 3;
        let mut url = format!("{scheme}://{host}");
        if let Some(port) = port {
            url.push_str(&format!(":{port}"));
        }
        let end = url.len();
        if !root.is_empty() {
            url.push_str(&format!("/{root}"));
        }
        Ok(Self { url, host: (begin, end) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write_for_a_gitlab() {
        for (text, url, authority) in [
            ("gitlab.com", "https://gitlab.com", "gitlab.com"),
            ("https://gitlab.com/", "https://gitlab.com", "gitlab.com"),
            (
                "HTTPS://GitLab.Example.com:443/git/lab//",
                "https://gitlab.example.com/git/lab",
                "gitlab.example.com",
            ),
            ("http://127.0.0.1:8080/root", "http://127.0.0.1:8080/root", "127.0.0.1:8080"),
            ("localhost:8443", "https://localhost:8443", "localhost:8443"),
        ] {
            let found = Instance::parse(text).unwrap();
            assert_eq!((found.as_str(), found.authority()), (url, authority), "{text}");
        }
        assert_eq!(Instance::parse("gitlab.com"), Ok(Instance::gitlab_com()));
        for bad in [
            "",
            "https://",
            "ftp://gitlab.com",
            "https://user:secret@gitlab.com",
            "gitlab.com:0",
            "gitlab.com:",
            "gitlab.com:99999",
            "https://gitlab.com/../x",
            "https://gitlab.com/a//b",
            "https://gitlab.com?x",
            "git lab",
            "glpat-x_y",
            "gitlab.com\n",
        ] {
            assert!(Instance::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_token_service_names_its_gitlab() {
        let of = |realm| Instance::of_realm(realm).map(|found| found.to_string());
        assert_eq!(of("https://gitlab.com/jwt/auth").as_deref(), Some("https://gitlab.com"));
        assert_eq!(of("https://h/root/jwt/auth?x=1").as_deref(), Some("https://h/root"));
        assert_eq!(of("https://auth.docker.io/token"), None);
    }
}
