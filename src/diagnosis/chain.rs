//! Splits the nested error of a pull in the way Go programs build it: `WRAP: WRAP: Get "URL": dial
//! tcp ADDRESS: CAUSE`. Its structure tells which layer reports the error, before its words are
//! interpreted. Pure; knows no causes.

use super::layer::Layer;
use super::link::{Link, registry_of, same_registry};

/// Prefixes that containerd adds to an answer of the token service.
const SIGN_IN: [&str; 5] = [
    "failed to fetch anonymous token",
    "failed to fetch oauth token",
    "failed to authorize",
    "unable to retrieve auth token",
    "requesting bearer token",
];
/// Steps on the node, after the download or before any request.
const LOCAL: [&str; 12] = [
    "failed to extract layer",
    "failed to register layer",
    "adding layer with blob",
    "processing tar file",
    "applylayer",
    "apply failure",
    "unpigz",
    "failed to prepare extraction",
    "dial unix",
    "failed commit on ref",
    "failed to inspect image",
    " locked for ",
];
/// Prefixes of a blob's download.
const DOWNLOAD: [&str; 7] = [
    "httpreadseeker",
    "error pulling image configuration",
    "writing blob",
    "reading blob",
    "fetching blob",
    "failed to read expected number of bytes",
    "failed to copy",
];
/// Prefixes of Go's errors between the node and its proxy. The last is from old versions.
const PROXY: [&str; 4] =
    ["proxyconnect", "socks connect", "invalid proxy", "error connecting to proxy"];
/// Words that precede an image reference, quoted or not.
const NAMES_IMAGE: [&str; 7] = [
    "failed to resolve reference ",
    "failed to pull and unpack image ",
    "failed to get sandbox image ",
    "failed to resolve image ",
    "failed to pull image ",
    "unable to pull sandbox image ",
    "docker://",
];

/// A parsed text.
pub(super) struct Chain<'t> {
    /// The whole text, in lower case.
    pub(super) text: String,
    /// The parts between the colons, outermost first.
    parts: Vec<&'t str>,
    /// The URLs in it, in order.
    links: Vec<Link<'t>>,
    /// The image that it names.
    image: Option<&'t str>,
}

/// The source of an error.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct ErrorSource {
    /// The layer; `None` if the structure does not tell.
    pub(super) layer: Option<Layer>,
    /// The host that was contacted, with its port.
    pub(super) host: Option<String>,
    /// The name server that was asked.
    pub(super) resolver: Option<String>,
    /// Whether the host is that of the image's registry.
    pub(super) is_own: bool,
    /// Whether GitLab's token service is mentioned.
    pub(super) is_gitlab: bool,
}

impl<'t> Chain<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let text = without_others(text);
        Self {
            text: text.to_ascii_lowercase(),
            parts: parts(text),
            links: Link::all(text),
            image: image(text),
        }
    }

    /// The text in lower case without links and image names, which may contain the words of an
    /// error.
    pub(super) fn words(&self, image: &str) -> String {
        let mut words = String::with_capacity(self.text.len());
        let mut end = 0;
        for link in &self.links {
            if let Some(before) = self.text.get(end..link.place.start) {
                words.push_str(before);
                end = link.place.end;
            }
        }
        words.push_str(&self.text[end..]);
        let names = [Some(image), self.image].into_iter().flatten().flat_map(spellings);
        let mut names: Vec<_> = names.filter(|name| name.len() > 2).collect();
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        names.dedup();
        names.iter().fold(words, |words, name| words.replace(name, "<>"))
    }

    /// The source of an error about a pull of `image`, unless the text itself names another image.
    pub(super) fn speaker(&self, image: &str) -> ErrorSource {
        let image = self.image.unwrap_or(image);
        let link = self.links.last();
        let lookup = self.part("lookup ").map(lookup);
        let host = match (lookup, link, self.part("pinging container registry ")) {
            (Some((host, _)), ..) => Some(host),
            (None, Some(link), _) => Some(link.host),
            (None, None, Some(host)) => host.split([' ', '/']).next(),
            (None, None, None) => None,
        };
        ErrorSource {
            layer: self.layer(image),
            host: host.filter(|host| !host.is_empty()).map(str::to_owned),
            is_own: host.is_some_and(|host| same_registry(image, host)),
            resolver: lookup.and_then(|(_, resolver)| resolver).map(str::to_owned),
            is_gitlab: self.links.iter().any(Link::is_gitlab),
        }
    }

    /// Whether a manifest was requested by a digest that `image` does not contain, so that its tag
    /// had been found before.
    pub(super) fn asks_for_part(&self, image: &str) -> bool {
        let image = self.image.unwrap_or(image);
        let of_part = self.part("reading manifest ").and_then(|rest| rest.split(' ').next());
        let digest = self.links.last().and_then(Link::manifest_digest).or(of_part);
        digest.is_some_and(|digest| digest.contains(':') && !image.contains('@'))
    }

    fn layer(&self, image: &str) -> Option<Layer> {
        if PROXY.iter().any(|start| self.part(start).is_some()) || self.is_of_tunnel() {
            return Some(Layer::Proxy);
        }
        if self.has(&LOCAL) {
            return Some(Layer::Runtime);
        }
        if self.part("lookup ").is_some() {
            return Some(Layer::NameServer);
        }
        // The format of object stores, which no registry uses.
        if self.text.contains("<error><code>") {
            return Some(Layer::Storage);
        }
        if self.text.contains("?ns=") || self.text.contains("&ns=") {
            return Some(Layer::Mirror);
        }
        let of_link = self.links.last().map(|link| {
            if link.is_token_service() {
                Layer::TokenService
            } else if link.is_blob() {
                Layer::Storage
            } else if image.is_empty() || same_registry(image, link.host) {
                Layer::Registry
            } else if link.is_api() {
                Layer::Mirror
            } else {
                Layer::Storage
            }
        });
        let by_words = || {
            if self.has(&SIGN_IN) {
                Some(Layer::TokenService)
            } else {
                self.has(&DOWNLOAD).then_some(Layer::Storage)
            }
        };
        match of_link {
            // A realm may be any URL.
            Some(_) if self.has(&SIGN_IN[..2]) => Some(Layer::TokenService),
            found => found.or_else(by_words),
        }
    }

    /// Whether a proxy refused a tunnel to an https server: Go's error then ends with the text of
    /// the status alone.
    fn is_of_tunnel(&self) -> bool {
        let Some((last, before)) = self.parts.split_last() else { return false };
        let is_request = match before {
            [.., request] if request.contains("https://") => true,
            // A URL that whoever displayed the text broke in two.
            [.., request, path] => request.ends_with("https") && path.starts_with('/'),
            _ => false,
        };
        let is_phrase = last.len() > 3 && last.chars().all(|c| c.is_ascii_alphabetic() || c == ' ');
        let is_status = last.starts_with(|c: char| c.is_ascii_uppercase()) && !last.contains("EOF");
        // Some proxies write the status text in one word.
        let is_word = last.len() > 12 && !last.contains(' ');
        is_request && is_phrase && (is_status || is_word)
    }

    /// The rest of the innermost part that begins with `start`.
    fn part(&self, start: &str) -> Option<&'t str> {
        self.parts.iter().rev().find_map(|part| part.strip_prefix(start))
    }

    fn has(&self, words: &[&str]) -> bool {
        words.iter().any(|words| self.text.contains(words))
    }
}

/// Spellings of the name of `image` by runtimes and registries, in lower case. A single word is
/// excluded, because it could be any word.
fn spellings(image: &str) -> Vec<String> {
    let image = image.to_ascii_lowercase();
    let untagged = |name: &str| {
        let name = name.split('@').next().unwrap_or_default();
        let tag = name.rfind(':').filter(|at| !name[*at..].contains('/'));
        tag.map_or(name.to_owned(), |at| name[..at].to_owned())
    };
    let name = untagged(&image);
    let tag = image[name.len()..].split('@').next().unwrap_or_default().trim_start_matches(':');
    let registry = registry_of(&image);
    let path =
        name.strip_prefix(&registry).map_or(name.as_str(), |path| path.trim_start_matches('/'));
    let familiar = path.strip_prefix("library/").unwrap_or(path).to_owned();
    let of_tag = [format!("manifest {tag} in"), format!("tag {tag} "), format!("{familiar}:{tag}")];
    let of_tag = of_tag.into_iter().filter(|_| !tag.is_empty());
    let compound =
        [name.clone(), path.to_owned(), familiar].into_iter().filter(|name| name.contains('/'));
    let host =
        Some(registry).filter(|registry| registry.contains('.') && image.starts_with(registry));
    [image.clone()]
        .into_iter()
        .filter(|image| *image != name)
        .chain(of_tag)
        .chain(compound)
        .chain(host)
        .collect()
}

/// The parts of an error, separated by a colon and a space.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, _) in text.match_indices(':') {
        if text[at + 1..].starts_with(char::is_whitespace) {
            parts.push(&text[start..at]);
            start = at + 1;
        }
    }
    parts.push(&text[start..]);
    let trimmed =
        parts.iter().map(|part| part.trim_matches(|c: char| c.is_whitespace() || c == '"'));
    trimmed.filter(|part| !part.is_empty()).collect()
}

/// Parses `HOST on SERVER`, or a host alone.
fn lookup(words: &str) -> (&str, Option<&str>) {
    let mut words = words.split_whitespace();
    let host = words.next().unwrap_or_default();
    let server = words.next().filter(|word| *word == "on").and_then(|_| words.next());
    (host, server)
}

/// Removes a runtime's report of its other attempts: CRI-O's mirrors, which precede the registry
/// itself, and its attempt to read the image as an artifact.
fn without_others(text: &str) -> &str {
    let text = text.split_once("; artifact err:").map_or(text, |(text, _)| text);
    match text.split_once("(Mirrors also failed: [") {
        Some((_, rest)) => rest.split_once("]):").map_or(text, |(_, rest)| rest),
        None => text,
    }
}

/// The innermost image that the text names.
fn image(text: &str) -> Option<&str> {
    // ASCII lower case keeps the length, so positions match.
    let lower = text.to_ascii_lowercase();
    let names = NAMES_IMAGE.iter().filter_map(|words| {
        let at = lower.rfind(words)? + words.len();
        let rest = text[at..].trim_start_matches(['"', '\\', '“']);
        let end =
            rest.find(|c: char| c.is_whitespace() || "\"\\”,".contains(c)).unwrap_or(rest.len());
        Some(rest[..end].trim_end_matches(':')).filter(|name| !name.is_empty())
    });
    // A runtime resolves the full name.
    let mut names = names;
    names.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speaker(text: &str) -> ErrorSource {
        Chain::of(text).speaker("registry.example.com/group/app:1")
    }

    #[test]
    fn takes_an_error_apart() {
        assert_eq!(
            parts("a b: Get \"https://h:5000/v2/\": dial tcp [::1]:53:\n refused"),
            ["a b", "Get \"https://h:5000/v2/", "dial tcp [::1]:53", "refused"]
        );
        assert_eq!(parts(": : "), Vec::<&str>::new());
    }

    #[test]
    fn the_innermost_host_and_the_name_server_are_known() {
        let found = speaker(
            "Get \"https://a/v2/\": dial tcp: lookup b.example.com on 192.0.2.53:53: no such host",
        );
        assert_eq!(
            (found.layer, found.host.as_deref()),
            (Some(Layer::NameServer), Some("b.example.com"))
        );
        assert_eq!(found.resolver.as_deref(), Some("192.0.2.53:53"));
    }

    #[test]
    fn a_bare_status_is_a_proxy_s_and_an_error_of_go_is_not() {
        let of = |last: &str| {
            speaker(&format!(
                "Head \"https://registry.example.com/v2/group/app/manifests/1\": {last}"
            ))
            .layer
        };
        for last in [
            "Forbidden",
            "Bad Gateway",
            "Proxy Authentication Required",
            "AuthRequir",
            "authenticationrequired",
        ] {
            assert_eq!(of(last), Some(Layer::Proxy), "{last}");
        }
        for last in
            ["EOF", "unauthorized", "denied: Forbidden", "unexpected EOF", "403 Forbidden", ""]
        {
            assert_eq!(of(last), Some(Layer::Registry), "{last}");
        }
    }

    #[test]
    fn what_an_image_is_called_is_no_word_of_an_error() {
        let words = |text: &str, image: &str| Chain::of(text).words(image);
        for (image, text, expected) in [
            (
                "registry.acme.io/team/access-denied:1",
                "failed to resolve reference \"registry.acme.io/team/access-denied:1\": failed to \
                 do request: Head \"https://registry.acme.io/v2/team/access-denied/manifests/1\": \
                 dial tcp 10.0.0.1:443: i/o timeout",
                "failed to resolve reference \"<>\": failed to do request: head \"https://\": dial \
                 tcp 10.0.0.1:443: i/o timeout",
            ),
            (
                "forbidden/app:unauthorized",
                "pull access denied for forbidden/app, repository does not exist",
                "pull access denied for <>, repository does not exist",
            ),
            (
                "forbidden.acme.io/app:not-found",
                "reading manifest not-found in forbidden.acme.io/app: manifest unknown",
                "reading <> <>: manifest unknown",
            ),
            ("denied", "pull access denied for denied", "pull access denied for denied"),
            ("", "denied: https://aka.ms/acr/firewall", "denied: https://aka.ms/acr/firewall"),
        ] {
            assert_eq!(words(text, image), expected);
        }
    }

    #[test]
    fn whoever_else_was_tried_does_not_speak() {
        let found = speaker(
            "(Mirrors also failed: [m.example.com/app:1: pinging container registry m.example.com: \
             Get \"https://m.example.com/v2/\": EOF]): registry.example.com/group/app:1: reading \
             manifest 1 in registry.example.com/group/app: denied",
        );
        assert_eq!((found.layer, found.host), (None, None));
    }
}
