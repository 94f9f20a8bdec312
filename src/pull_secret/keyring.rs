//! The keys of a pull secret that the kubelet uses for an image: a port of the keyring of
//! Kubernetes v1.36.3, `pkg/credentialprovider/keyring.go`, including what it takes from Go 1.26.
//!
//! Owns this decision alone. Never sees credentials, never normalises, never does I/O. The port
//! keeps all oddities, so that the answer is the kubelet's rather than a sensible one.

mod glob;
mod url;

use crate::answers::ImageRef;
use url::Url;

/// The key that also applies to Docker Hub images whose name does not match it
/// (`defaultRegistryHost`).
const DEFAULT_REGISTRY: &[u8] = b"index.docker.io";

/// Whether the kubelet would try the credentials under `key` for `image` if there were no others.
#[must_use]
pub fn matches(key: &str, image: &ImageRef) -> bool {
    matches_name(key, &image.normalized_name())
}

/// The keys whose credentials the kubelet tries for `image`, in its order.
#[must_use]
pub fn matching<'k>(keys: impl IntoIterator<Item = &'k str>, image: &ImageRef) -> Vec<&'k str> {
    matching_name(keys, &image.normalized_name())
}

/// [`matches()`] for an image name in the kubelet's form: `docker.io/library/nginx`, without tag
/// and digest.
#[must_use]
pub fn matches_name(key: &str, name: &str) -> bool {
    !matching_name([key], name).is_empty()
}

/// [`matching`] for an image name in the kubelet's form: `docker.io/library/nginx`, without tag and
/// digest.
///
/// Keys that the kubelet treats as equal (`HOST`, `https://HOST/v1/`) keep their given order; the
/// kubelet's own order of these is random.
#[must_use]
pub fn matching_name<'k>(keys: impl IntoIterator<Item = &'k str>, name: &str) -> Vec<&'k str> {
    let mut index: Vec<(Vec<u8>, &str)> =
        keys.into_iter().filter_map(|key| Some((index_key(key)?, key))).collect();
    // `sort.Reverse` over the bytes: of two keys for one host, the one with the longer path comes
    // first.
    index.sort_by(|(one, _), (other, _)| other.cmp(one));
    let select = |wanted: &dyn Fn(&[u8]) -> bool| -> Vec<&'k str> {
        index.iter().filter(|(found, _)| wanted(found)).map(|(_, key)| *key).collect()
    };
    let target = Url::of_schemeless(name.as_bytes());
    let found = select(&|key| {
        let glob = Url::of_schemeless(key);
        matches!((&glob, &target), (Some(glob), Some(target)) if urls_match(glob, target))
    });
    if found.is_empty() && is_default_registry_match(name) {
        return select(&|key| key == DEFAULT_REGISTRY);
    }
    found
}

/// The index under which `BasicDockerKeyring.Add` stores a key: host and path; `None` if it ignores
/// the key.
fn index_key(key: &str) -> Option<Vec<u8>> {
    // Case-sensitive: `HTTPS://` becomes a host called `HTTPS` with an empty port.
    let parsed = match key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")) {
        Some(rest) => Url::of_schemeless(rest.as_bytes())?,
        None => Url::of_schemeless(key.as_bytes())?,
    };
    let mut path = parsed.path.as_slice();
    // Both slashes are required: a bare `/v2` stays and then matches no image.
    if path.starts_with(b"/v2/") || path.starts_with(b"/v1/") {
        path = &path[3..];
    }
    if path == b"/" {
        path = b"";
    }
    Some([parsed.host.as_slice(), path].concat())
}

/// `URLsMatch`: the parts of the key's host are globs, its port is compared, its path is a plain
/// prefix.
fn urls_match(key: &Url, image: &Url) -> bool {
    let (key_host, key_port) = split_host_port(&key.host);
    let (image_host, image_port) = split_host_port(&image.host);
    let parts = |host: &[u8]| host.split(|byte| *byte == b'.').count();
    key_port == image_port
        && parts(key_host) == parts(image_host)
        && image.path.starts_with(&key.path)
        && key_host
            .split(|byte| *byte == b'.')
            .zip(image_host.split(|byte| *byte == b'.'))
            // A malformed pattern is an error in Go, which `Lookup` treats as no match.
            .all(|(glob, part)| glob::matches(glob, part) == Ok(true))
}

/// `isDefaultRegistryMatch`: whether `name` is a Docker Hub image.
fn is_default_registry_match(name: &str) -> bool {
    match name.split_once('/') {
        None => !name.is_empty(),
        Some(("", _)) => false,
        Some(("docker.io" | "index.docker.io", _)) => true,
        Some((first, _)) => !first.contains(['.', ':']),
    }
}

/// `SplitURL` on top of Go's `net.SplitHostPort`. What the latter refuses counts entirely as host.
fn split_host_port(host_port: &[u8]) -> (&[u8], &[u8]) {
    let has = |bytes: &[u8], wanted: u8| bytes.contains(&wanted);
    let whole: (&[u8], &[u8]) = (host_port, b"");
    let Some(colon) = host_port.iter().rposition(|byte| *byte == b':') else {
        return whole;
    };
    let port = &host_port[colon + 1..];
    if host_port.first() == Some(&b'[') {
        let Some(end) = host_port.iter().position(|byte| *byte == b']') else {
            return whole;
        };
        // The first `]` must be just before the last colon, and there must be no other bracket.
        let inside = &host_port[1..end];
        let well_formed =
            end + 1 == colon && !has(inside, b'[') && !has(port, b'[') && !has(port, b']');
        return if well_formed { (inside, port) } else { whole };
    }
    let host = &host_port[..colon];
    let ill_formed = has(host, b':') || has(host_port, b'[') || has(host_port, b']');
    if ill_formed { whole } else { (host, port) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::Answer;
    use serde_json::Value;

    const VECTORS: &str = include_str!("../../tests/vectors/keyring.json");

    fn text<'v>(row: &'v Value, field: &str) -> &'v str {
        row[field].as_str().unwrap()
    }

    /// The image of a row. Digests in the rows have 32 digits; `ImageRef` requires 64, as a runtime
    /// does.
    fn image(row: &Value) -> ImageRef {
        let text = text(row, "image");
        let digest = text
            .split_once("sha256:")
            .map_or(String::new(), |(_, hex)| hex.repeat(64 / hex.len() - 1));
        ImageRef::parse(&format!("{text}{digest}")).unwrap()
    }

    #[test]
    fn decides_as_the_measured_kubelet() {
        let vectors: Value = serde_json::from_str(VECTORS).unwrap();
        let rows = vectors["key_matches_image"].as_array().unwrap();
        assert_eq!(rows.len(), 230);
        for row in rows {
            let expected = row["matches"].as_bool().unwrap();
            assert_eq!(matches(text(row, "key"), &image(row)), expected, "{row}");
        }
    }

    /// The rows about whole Secrets, as far as keys determine them: which entries, in which order.
    #[test]
    fn finds_the_entries_that_the_measured_kubelet_found() {
        let vectors: Value = serde_json::from_str(VECTORS).unwrap();
        let rows = vectors["secret_contents"].as_array().unwrap();
        assert_eq!(rows.len(), 23);
        for row in rows.iter().filter(|row| row["refused_by"].is_null()) {
            let data: Value = serde_json::from_str(text(row, "data")).unwrap();
            let entries = if row["type"] == "dockerconfigjson" { &data["auths"] } else { &data };
            let empty = serde_json::Map::new();
            let keys = entries.as_object().unwrap_or(&empty).keys().map(String::as_str);
            let found = matching(keys, &image(row));
            let credentials = row["credentials"].as_array().unwrap();
            assert_eq!(found.len(), credentials.len(), "{}", row["case"]);
            for (key, credential) in found.iter().zip(credentials).filter(|_| found.len() > 1) {
                assert_eq!(entries[key]["username"], credential["username"]);
            }
        }
    }

    #[test]
    fn tries_longer_paths_first() {
        let keys = [
            "gcr.io",
            "gcr.io/etcd",
            "*.io",
            "https://gcr.io/v1/",
            "other.io",
            "gcr.io/etcd-development",
        ];
        assert_eq!(
            matching_name(keys, "gcr.io/etcd-development/etcd"),
            ["gcr.io/etcd-development", "gcr.io/etcd", "gcr.io", "https://gcr.io/v1/", "*.io"]
        );
        assert!(matching_name(keys, "quay.io:443/etcd").is_empty());
    }

    #[test]
    fn the_docker_hub_key_serves_docker_hub_unless_another_key_does() {
        for name in [
            "nginx",
            "library/nginx",
            "docker.io/library/nginx",
            "index.docker.io/me/app",
            "localhost/app",
        ] {
            assert!(matches_name("https://index.docker.io/v1/", name), "{name}");
        }
        for name in ["", "/nginx", "quay.io/nginx", "localhost:5000/app"] {
            assert!(!matches_name("https://index.docker.io/v1/", name), "{name}");
        }
        // Only that exact key: neither its old form nor one with a path.
        for key in
            ["https://index.docker.io/v1", "https://index.docker.io/v1/me", "index.docker.io:443"]
        {
            assert!(!matches_name(key, "docker.io/me/app"), "{key}");
        }
        assert_eq!(
            matching_name(["index.docker.io", "docker.io"], "docker.io/me/app"),
            ["docker.io"]
        );
    }

    #[test]
    fn keeps_the_oddities_of_go() {
        for (key, name, expected) in [
            ("user:pw@a.b", "a.b/c", true),
            ("a.b?x", "a.b/c", true),
            ("a.b#x", "a.b/c", true),
            ("a.b/c?x", "a.b/c", true),
            ("a.b/%63", "a.b/c", true),
            ("a.b/%zz", "a.b/%zz", false),
            ("a.b:", "a.b/c", true),
            ("a.b:x", "a.b/c", false),
            ("HTTPS://a.b", "a.b/c", false),
            ("a.b/v1/c", "a.b/c/d", true),
            ("a.b/v3/", "a.b/c", false),
            ("//a.b", "a.b/c", false),
            ("", "/c", true),
            ("[::1]:5000", "[::1]:5000/c", true),
            // Without a port, the brackets stay and form a character class.
            ("[::1]", "[::1]/c", false),
            ("[a].b", "a.b/c", false),
            ("a.*", "a.b/c", true),
            ("*", "a.b/c", false),
            ("*.*", "a.b/c", true),
            ("x*z.b", "xyyz.b/c", true),
            ("A.b", "a.b/c", false),
            ("a.b/*", "a.b/c", false),
            ("a b", "a b/c", false),
        ] {
            assert_eq!(matches_name(key, name), expected, "{key} for {name}");
        }
    }

    /// Rows of `TestSplitHostPort` in `net/ip_test.go`, Go 1.26, and two for brackets that it does
    /// not cover.
    #[test]
    fn splits_host_and_port_as_go_does() {
        for (host_port, host, port) in [
            ("localhost:80", "localhost", "80"),
            ("localhost:", "localhost", ""),
            (":80", "", "80"),
            ("[::1]:80", "::1", "80"),
            ("[fe80::1%lo0]:", "fe80::1%lo0", ""),
        ] {
            let expected = (host.as_bytes(), port.as_bytes());
            assert_eq!(split_host_port(host_port.as_bytes()), expected, "{host_port}");
        }
        for refused in [
            "golang.org",
            "[::1]",
            "::1",
            "fe80::1%lo0:80",
            "[foo:bar]",
            "[foo:bar]baz",
            "[foo]bar:baz",
            "[foo]:[bar]:baz",
            "[foo]:[bar]baz",
            "foo[bar]:baz",
            "foo]bar:baz",
            "[f[oo]:80",
            "[foo]:b]ar",
        ] {
            assert_eq!(
                split_host_port(refused.as_bytes()),
                (refused.as_bytes(), &b""[..]),
                "{refused}"
            );
        }
    }
}
