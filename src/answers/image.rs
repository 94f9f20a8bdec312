//! Image references, as container runtimes parse them.

use super::{Answer, Rule};
use std::fmt;

/// A reference with a tag, a digest or both: `[HOST[:PORT]/]PATH[:TAG][@sha256:HEX]`.
///
/// Grammar: github.com/distribution/reference, `regexp.go`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRef {
    text: String,
    /// End of `HOST[:PORT]`; 0 for a Docker Hub image without a host.
    host_end: usize,
    /// End of the name, where the tag or digest begins.
    name_end: usize,
}

/// The default host.
const DOCKER_HUB: &str = "docker.io";

impl ImageRef {
    /// The whole reference.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Host and path as written, without tag and digest.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.text[..self.name_end]
    }

    /// The tag; `None` if there is none.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        let rest = self.text[self.name_end..].strip_prefix(':')?;
        Some(rest.split_once('@').map_or(rest, |(tag, _)| tag))
    }

    /// The digest, `sha256:…`; `None` if there is none.
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        self.text[self.name_end..].split_once('@').map(|(_, digest)| digest)
    }

    /// The registry's host, including a port; `docker.io` by default.
    #[must_use]
    pub fn host(&self) -> &str {
        if self.host_end == 0 { DOCKER_HUB } else { &self.text[..self.host_end] }
    }

    /// The path on the registry; `library/nginx` for `nginx`.
    #[must_use]
    pub fn path(&self) -> String {
        let path = self.name()[self.host_end..].trim_start_matches('/');
        let library = if self.is_docker_hub() && !path.contains('/') { "library/" } else { "" };
        format!("{library}{path}")
    }

    /// The reference of the manifest in a request: the digest if there is one, otherwise the tag,
    /// otherwise `latest`.
    #[must_use]
    pub fn reference(&self) -> &str {
        self.digest().or(self.tag()).unwrap_or("latest")
    }

    /// Whether the image is on Docker Hub.
    #[must_use]
    pub fn is_docker_hub(&self) -> bool {
        matches!(self.host(), DOCKER_HUB | "index.docker.io")
    }

    /// Host and path in full, for which the kubelet looks up credentials: `nginx:1.27` is
    /// `docker.io/library/nginx`.
    #[must_use]
    pub fn normalized_name(&self) -> String {
        if !self.is_docker_hub() {
            return self.name().to_owned();
        }
        format!("{DOCKER_HUB}/{}", self.path())
    }
}

impl ImageRef {
    /// Parses a reference that may lack both tag and digest. Like a runtime, treats it as having
    /// the tag `latest`.
    pub fn parse_unpinned(text: &str) -> Result<Self, Rule> {
        Self::parse(text).or_else(|rule| Self::parse(&format!("{text}:latest")).map_err(|_| rule))
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Answer for ImageRef {
    const EXAMPLE: &'static str = "registry.gitlab.com/group/project:1.0.0";

    fn parse(text: &str) -> Result<Self, Rule> {
        if text.contains("://") {
            return Err("must be an image reference without a scheme: HOST/PATH:TAG");
        }
        let (named, digest) = match text.split_once('@') {
            Some((named, digest)) => (named, Some(digest)),
            None => (text, None),
        };
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return Err(
                "must have a digest in the form `sha256:` plus 64 lower-case hexadecimal digits",
            );
        }
        // A colon after the last slash begins a tag; one before it begins a port.
        let path_start = named.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match named[path_start..].find(':') {
            Some(colon) => (&named[..path_start + colon], Some(&named[path_start + colon + 1..])),
            None => (named, None),
        };
        if tag.is_none() && digest.is_none() {
            return Err("must have a tag or a digest: without one, the running version is unknown");
        }
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err("must have a tag of at most 128 letters, digits, `_`, `.` and `-`, not \
                        starting with `.` or `-`");
        }
        let host_end = match name.split_once('/') {
            Some((first, _)) if is_host_like(first) => first.len(),
            _ => 0,
        };
        if !is_host(&name[..host_end]) {
            return Err(
                "must name a registry host[:port] of lower-case letters, digits, `-` and dots",
            );
        }
        // With a host, the path begins after its slash; without one, no leading slash is allowed.
        let path = if host_end == 0 { name } else { &name[(host_end + 1).min(name.len())..] };
        if name.len() > 255 || !path.split('/').all(is_path_component) {
            return Err(
                "must have a path of lower-case letters and digits, with `.`, `_`, `__` or `-` \
                 between them and parts separated by `/`",
            );
        }
        Ok(Self { text: text.to_owned(), host_end, name_end: name.len() })
    }
}

/// Whether the first part of a name is a host rather than a Docker Hub user.
fn is_host_like(first: &str) -> bool {
    first.contains(['.', ':'])
        || first == "localhost"
        || first.contains(|c: char| c.is_ascii_uppercase())
}

/// Whether `host` is empty or `HOST[:PORT]`. Refuses upper case, because the kubelet compares hosts
/// case-sensitively and containerd does not normalise them.
fn is_host(host: &str) -> bool {
    let (name, port) = host.split_once(':').unwrap_or((host, "1"));
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let labels = name.split('.').all(super::names::is_dns_label);
    host.is_empty() || (labels && digits && port.parse::<u16>().is_ok_and(|port| port > 0))
}

fn is_path_component(part: &str) -> bool {
    let word = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = part.as_bytes();
    // Separators: one `.`, one or two `_`, any number of `-`; never at either end.
    let separators = bytes.split(|byte| word(byte)).all(|run| match run {
        [] | [b'.' | b'_'] | [b'_', b'_'] => true,
        run => run.iter().all(|byte| *byte == b'-'),
    });
    bytes.first().is_some_and(word) && bytes.last().is_some_and(word) && separators
}

fn is_tag(tag: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (1..=128).contains(&tag.len()) && tag.bytes().all(inner) && !tag.starts_with(['.', '-'])
}

fn is_digest(digest: &str) -> bool {
    digest.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64
            && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    #[test]
    fn takes_a_reference_apart() {
        let image =
            ImageRef::parse(&format!("registry.example.com:5050/group/sub/app:1.0@sha256:{HEX}"))
                .unwrap();
        assert_eq!(image.host(), "registry.example.com:5050");
        assert_eq!(image.name(), "registry.example.com:5050/group/sub/app");
        assert_eq!(image.path(), "group/sub/app");
        assert_eq!(image.tag(), Some("1.0"));
        assert_eq!(image.digest(), Some(format!("sha256:{HEX}").as_str()));
        assert_eq!(image.reference(), format!("sha256:{HEX}"));
        let image = ImageRef::parse("localhost:5000/app:1").unwrap();
        assert_eq!((image.path().as_str(), image.reference()), ("app", "1"));
        assert_eq!(
            (image.host(), image.name(), image.digest()),
            ("localhost:5000", "localhost:5000/app", None)
        );
    }

    #[test]
    fn a_name_without_a_host_is_on_docker_hub() {
        for (text, normalized) in [
            ("nginx:1.27", "docker.io/library/nginx"),
            ("docker.io/library/nginx:1", "docker.io/library/nginx"),
            ("me/app:1", "docker.io/me/app"),
            ("registry.gitlab.com/me/app:1", "registry.gitlab.com/me/app"),
        ] {
            assert_eq!(ImageRef::parse(text).unwrap().normalized_name(), normalized);
        }
    }

    #[test]
    fn refuses_what_a_runtime_would_not_pull_or_nobody_could_pin() {
        for bad in [
            "",
            "registry.gitlab.com/group/project",
            "app:",
            "app:.1",
            "app:a b",
            "https://registry.gitlab.com/a/b:1",
            "registry.gitlab.com/Group/project:1",
            "Registry.gitlab.com/group/project:1",
            "app@sha256:abc",
            "app@md5:aaaa",
            "registry.gitlab.com//app:1",
            "registry.gitlab.com/:1",
            "/app:1",
            "a.b:0/app:1",
            "a.b:99999/app:1",
            "a.b:x/app:1",
            "app:1\n",
            "app:1$(x)",
            "a___b:1",
            "-a:1",
            "app:1@",
            "a.b/app-:1",
        ] {
            assert!(ImageRef::parse(bad).is_err(), "{bad:?}");
        }
        assert!(ImageRef::parse(&format!("app@sha256:{}", HEX.to_uppercase())).is_err());
        for good in [
            "a__b:1",
            "a--b:1",
            "registry.gitlab.com/g/a.b_c-d:v1_2.3-x",
            &format!("app@sha256:{HEX}"),
        ] {
            assert!(ImageRef::parse(good).is_ok(), "{good}");
        }
    }
}
