//! URLs in an error, and what they belong to: a registry's API, a blob, a token service. Pure.

use crate::answers::ImageRef;
use std::ops::Range;

/// Hosts of Docker Hub.
const DOCKER_HUB: [&str; 4] =
    ["docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"];
/// Registries that redirect to Google's.
const KUBERNETES: [&str; 2] = ["registry.k8s.io", "k8s.gcr.io"];

/// A URL, without the parts that could be secret.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Link<'t> {
    /// The host with its port, without user and password.
    pub(super) host: &'t str,
    path: &'t str,
    query: &'t str,
    /// Its position in the text, without the scheme.
    pub(super) place: Range<usize>,
}

impl<'t> Link<'t> {
    /// All URLs in `text`, in order.
    pub(super) fn all(text: &'t str) -> Vec<Self> {
        let links = text.match_indices("://").filter_map(|(at, separator)| {
            let before =
                text[..at].strip_suffix("https").or_else(|| text[..at].strip_suffix("http"))?;
            let link = Self::at(text, at + separator.len())?;
            // Registries also mention web pages with explanations.
            let is_asked =
                link.is_api() || link.is_token_service() || link.is_blob() || is_request(before);
            is_asked.then_some(link)
        });
        links.collect()
    }

    fn at(text: &'t str, start: usize) -> Option<Self> {
        let rest = &text[start..];
        let end = rest
            .find(|c: char| c.is_whitespace() || "\"\\'`,)]}”".contains(c))
            .unwrap_or(rest.len());
        let url = rest[..end].trim_end_matches([':', '.']);
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        let (authority, path) = address.split_at(address.find('/').unwrap_or(address.len()));
        let host = authority.rsplit('@').next().unwrap_or_default();
        (!host.is_empty()).then_some(Self { host, path, query, place: start..start + url.len() })
    }

    /// Whether it is a request for a token (docker's "Token Authentication Specification").
    pub(super) fn is_token_service(&self) -> bool {
        let ends = ["/token", "/jwt/auth", "/oauth2/exchange", "/v2/auth"];
        self.query.contains("service=")
            || self.query.contains("scope=")
            || ends.iter().any(|end| self.path.ends_with(end))
    }

    /// Whether it is GitLab's token service.
    pub(super) fn is_gitlab(&self) -> bool {
        self.path.ends_with("/jwt/auth") || self.query.contains("service=container_registry")
    }

    /// The digest of the requested manifest; `None` if it is not a manifest's URL, or has a tag.
    pub(super) fn manifest_digest(&self) -> Option<&'t str> {
        let (_, reference) = self.path.rsplit_once("/manifests/")?;
        reference.contains(':').then_some(reference)
    }

    pub(super) fn is_blob(&self) -> bool {
        self.path.contains("/blobs/")
    }

    /// Whether it belongs to a registry's API (OCI distribution specification), or its predecessor.
    pub(super) fn is_api(&self) -> bool {
        ["/v2/", "/v1/"].iter().any(|api| self.path.contains(api)) || self.path.ends_with("/v2")
    }
}

/// Whether the text before a URL says that the URL was requested.
fn is_request(before: &str) -> bool {
    let before = before.trim_end_matches(['"', '\\', '\'', ' ']);
    let word =
        before.rsplit(|c: char| c.is_whitespace() || "\"{(".contains(c)).next().unwrap_or_default();
    ["get", "head", "post", "put", "to", "code", "url:", "endpoint"]
        .contains(&word.to_lowercase().as_str())
}

/// Whether `host` is that of the registry of `image`.
pub(super) fn same_registry(image: &str, host: &str) -> bool {
    let registry = registry_of(image);
    let plain = |host: &str| host.strip_suffix(":443").unwrap_or(host).to_ascii_lowercase();
    let (registry, host) = (plain(&registry), plain(host));
    // Placeholders by people tell nothing.
    let is_blank = |name: &str| name.contains(['<', '$', '*']);
    registry == host
        || without_crosses(&registry) == without_crosses(&host)
        || image.split('/').next() == Some(host.as_str())
        || is_blank(image)
        || is_blank(&host)
        || (DOCKER_HUB.contains(&registry.as_str()) && DOCKER_HUB.contains(&host.as_str()))
        || (KUBERNETES.contains(&registry.as_str())
            && (host.ends_with(".pkg.dev") || host.ends_with("gcr.io")))
}

/// `host` with longer runs of crosses shortened to two: people anonymise with any number of them.
fn without_crosses(host: &str) -> String {
    let mut short = String::with_capacity(host.len());
    for letter in host.chars() {
        if letter != 'x' || !short.ends_with("xx") {
            short.push(letter);
        }
    }
    short
}

/// The registry host of `image`, which need not be a complete reference.
pub(super) fn registry_of(image: &str) -> String {
    if let Ok(image) = ImageRef::parse_unpinned(image) {
        return image.host().to_owned();
    }
    let first = image.split('/').next().filter(|_| image.contains('/')).unwrap_or_default();
    let is_host = first.contains(['.', ':', '<', '$']) || first == "localhost";
    if is_host { first.to_owned() } else { "docker.io".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_urls_of_an_error_and_no_user_in_them() {
        let text = "Get \"https://user:word@h.example.com:5000/v2/a/blobs/sha256:1?x=1\": see \
                    https://aka.ms/acr, URL: http://k/x or http://k/token?service=k: EOF";
        let links = Link::all(text);
        assert_eq!(
            links.iter().map(|link| link.host).collect::<Vec<_>>(),
            ["h.example.com:5000", "k", "k"]
        );
        assert!(links[0].is_blob() && links[0].is_api() && links[2].is_token_service());
    }

    #[test]
    fn a_registry_has_several_hosts() {
        for (image, host, same) in [
            ("nginx:1", "registry-1.docker.io", true),
            ("docker.io/library/nginx:1", "index.docker.io", true),
            ("quay.io/a/b:1", "quay.io", true),
            ("quay.io/a/b:1", "quay.io:443", true),
            ("registry.k8s.io/pause:3", "us-west1-docker.pkg.dev", true),
            ("quay.io/a/b:1", "mirror.example.com", false),
            ("r.example.com:5000/a:1", "r.example.com", false),
            ("<IMAGE>", "<REPO>", true),
            (
                "XXXX.dkr.ecr.eu-west-1.amazonaws.com/a:1",
                "xxx.dkr.ecr.eu-west-1.amazonaws.com",
                true,
            ),
            ("xx.example.com/a:1", "xxx.example.org", false),
        ] {
            assert_eq!(same_registry(image, host), same, "{image} {host}");
        }
    }
}
