//! The meaning of a text about a pull: first the layer that it comes from, then its words. A table
//! and its lookup. Pure.
//!
//! tests/vectors/pull-texts.json has the texts that it is based on, with their sources.

use super::cause::Cause;
use super::chain::{Chain, ErrorSource};
use super::layer::Layer::{
    self, Kubelet, Mirror, NameServer, Proxy, Registry, Runtime, Storage, TokenService,
};
use super::text::bounded;
use super::tries::tries;

/// The possible layers, the cause, and words that must all be in the text, in lower case.
type Sign = (&'static [Layer], Cause, &'static [&'static str]);

const KUBELET: &[Layer] = &[Kubelet];
const RUNTIME: &[Layer] = &[Runtime];
const PROXY: &[Layer] = &[Proxy];
const NAMES: &[Layer] = &[NameServer];
const MIRROR: &[Layer] = &[Mirror];
const TOKENS: &[Layer] = &[TokenService];
const REGISTRY: &[Layer] = &[Registry];
const STORAGE: &[Layer] = &[Storage];
/// Layers that write to the node's disk.
const DISK: &[Layer] = &[Runtime, Storage];
/// Layers that decide about credentials.
const FRONT: &[Layer] = &[Registry, TokenService];
/// Layers that are reached through the network.
const REMOTE: &[Layer] = &[Registry, TokenService, Storage, Mirror, Proxy];

/// The first matching row counts, so specific rows come first. Rows of the kubelet and the runtime
/// have words that no other layer uses; all other rows, and rows without words, only count if the
/// text comes from their layers.
const PULL: &[Sign] = &[
    (KUBELET, Cause::AuthMalformed, &["illegal base64 data"]),
    (KUBELET, Cause::AuthMalformed, &["unable to parse auth field"]),
    (KUBELET, Cause::ImageNeverPulled, &["errimageneverpull"]),
    (KUBELET, Cause::ImageNeverPulled, &["is not present with pull policy of never"]),
    (KUBELET, Cause::SecretMissing, &["unable to retrieve some image pull secrets"]),
    (KUBELET, Cause::SecretMissing, &["unable to retrieve pull secret"]),
    (KUBELET, Cause::PullThrottled, &["pull qps exceeded"]),
    (KUBELET, Cause::InvalidImageName, &["invalidimagename"]),
    (KUBELET, Cause::InvalidImageName, &["invalid reference format"]),
    (KUBELET, Cause::InvalidImageName, &["couldn't parse image"]),
    (KUBELET, Cause::InvalidImageName, &["failed to parse image name"]),
    (RUNTIME, Cause::ImageNameTooShort, &["short name mode is enforcing"]),
    (RUNTIME, Cause::ImageNameTooShort, &["did not resolve to an alias and no"]),
    (RUNTIME, Cause::ImageNameTooShort, &["unqualified-search"]),
    (RUNTIME, Cause::ImageNotSigned, &["signaturevalidationfailed"]),
    (RUNTIME, Cause::ImageNotSigned, &["a signature was required"]),
    (RUNTIME, Cause::ImageNotSigned, &["source image rejected"]),
    (RUNTIME, Cause::ImageNotSigned, &["rejected by policy"]),
    (RUNTIME, Cause::RuntimeDown, &["dial unix"]),
    (RUNTIME, Cause::RuntimeDown, &["error reading from server"]),
    (RUNTIME, Cause::RuntimeDown, &["transport is closing"]),
    (RUNTIME, Cause::RuntimeDown, &["failed to inspect image", "deadline exceeded"]),
    (RUNTIME, Cause::RuntimeDown, &["failed to inspect image", "deadlineexceeded"]),
    (RUNTIME, Cause::RuntimeDown, &["cannot connect to the docker daemon"]),
    (RUNTIME, Cause::PullLocked, &["ref ", " locked for "]),
    (RUNTIME, Cause::NodeDiskFull, &["no space left on device"]),
    (RUNTIME, Cause::NodeDiskFull, &["disk quota exceeded"]),
    (RUNTIME, Cause::WrongPlatform, &["no match for platform"]),
    (RUNTIME, Cause::WrongPlatform, &["no matching manifest for"]),
    (RUNTIME, Cause::WrongPlatform, &["no image found in manifest list for architecture"]),
    (RUNTIME, Cause::WrongPlatform, &["no image found in image index for architecture"]),
    (RUNTIME, Cause::WrongPlatform, &["cannot be used on this platform"]),
    (RUNTIME, Cause::WrongPlatform, &["does not match the specified platform"]),
    (RUNTIME, Cause::WrongPlatform, &["a windows version", "is incompatible with"]),
    (RUNTIME, Cause::FormatNotSupported, &["manifest.v1+prettyjws"]),
    (RUNTIME, Cause::FormatNotSupported, &["schema 1"]),
    (RUNTIME, Cause::FormatNotSupported, &["no signatures"]),
    (RUNTIME, Cause::FormatNotSupported, &["unsupported manifest media type"]),
    (RUNTIME, Cause::FormatNotSupported, &["unsupported media type application/"]),
    (RUNTIME, Cause::FormatNotSupported, &["unsupported mediatype application/"]),
    // Go's x509 errors are the same for every peer.
    (REMOTE, Cause::CertificateExpired, &["certificate has expired"]),
    (REMOTE, Cause::CertificateExpired, &["certificate is not yet valid"]),
    (REMOTE, Cause::CertificateWithoutAddress, &["doesn't contain any ip sans"]),
    (REMOTE, Cause::CertificateOfAnotherName, &["certificate is valid for"]),
    (REMOTE, Cause::CertificateOfAnotherName, &["certificate is not valid for any names"]),
    (REMOTE, Cause::CertificateOfAnotherName, &["legacy common name field"]),
    (REMOTE, Cause::CertificateUntrusted, &["signed by unknown authority"]),
    (REMOTE, Cause::CertificateUntrusted, &["certificate is not trusted"]),
    (REMOTE, Cause::CertificateRefused, &["x509:"]),
    (REMOTE, Cause::CertificateRefused, &["failed to verify certificate"]),
    (PROXY, Cause::ProxyWantsLogin, &["proxy authentication required"]),
    (PROXY, Cause::ProxyWantsLogin, &["authrequir"]),
    (PROXY, Cause::ProxyWantsLogin, &["authenticationrequired"]),
    (PROXY, Cause::ProxyWantsLogin, &["407"]),
    (PROXY, Cause::ProxyMalformed, &["invalid proxy"]),
    (PROXY, Cause::ProxyMalformed, &[": parse "]),
    (PROXY, Cause::ProxyMalformed, &["invalid domain name"]),
    (PROXY, Cause::ProxyMalformed, &["too many colons in address"]),
    (PROXY, Cause::ProxyMalformed, &["missing port in address"]),
    (PROXY, Cause::ProxyMalformed, &["unknown port"]),
    (PROXY, Cause::ProxyMalformed, &["invalid port"]),
    (PROXY, Cause::ProxyMalformed, &["unknown scheme"]),
    (PROXY, Cause::ProxyUnknown, &["lookup "]),
    (PROXY, Cause::ProxyWithoutTls, &["first record does not look like a tls handshake"]),
    (PROXY, Cause::ProxyWithoutTls, &["server gave http response to https client"]),
    (PROXY, Cause::ProxyUnreachable, &["dial tcp"]),
    (PROXY, Cause::ProxyUnreachable, &["timeout"]),
    (PROXY, Cause::ProxyUnreachable, &["connection refused"]),
    (PROXY, Cause::ProxyUnreachable, &["no route to host"]),
    (PROXY, Cause::ProxyUnreachable, &["deadline exceeded"]),
    (PROXY, Cause::ProxyRefuses, &[]),
    (REGISTRY, Cause::ProxyWantsLogin, &["407 proxy authentication required"]),
    (NAMES, Cause::HostUnknown, &["no such host"]),
    (NAMES, Cause::NameServerFails, &[]),
    (FRONT, Cause::NameServerFails, &["temporary failure in name resolution"]),
    (FRONT, Cause::HostUnknown, &["no such host"]),
    (FRONT, Cause::HostUnknown, &["name or service not known"]),
    (REMOTE, Cause::RateLimited, &["toomanyrequests"]),
    (REMOTE, Cause::RateLimited, &["429"]),
    (REMOTE, Cause::RateLimited, &["too many requests"]),
    (STORAGE, Cause::StorageRefuses, &["accessdenied"]),
    (STORAGE, Cause::StorageRefuses, &["access denied"]),
    (STORAGE, Cause::StorageRefuses, &["request has expired"]),
    (STORAGE, Cause::StorageRefuses, &["signaturedoesnotmatch"]),
    (STORAGE, Cause::StorageRefuses, &["authorizationfailure"]),
    (STORAGE, Cause::StorageFails, &["<error><code>"]),
    (REMOTE, Cause::NotARegistry, &["invalid character '<'"]),
    (REMOTE, Cause::NotARegistry, &["text/html"]),
    (REMOTE, Cause::NotARegistry, &["<html"]),
    (REMOTE, Cause::RegistryWantsTls, &["client sent an http request to an https server"]),
    (REMOTE, Cause::RegistryWithoutTls, &["server gave http response to https client"]),
    (REMOTE, Cause::RegistryWithoutTls, &["first record does not look like a tls handshake"]),
    (REMOTE, Cause::TlsFails, &["remote error: tls"]),
    (REMOTE, Cause::TlsFails, &["handshake failure"]),
    (MIRROR, Cause::MirrorRefuses, &["401"]),
    (MIRROR, Cause::MirrorRefuses, &["403"]),
    (MIRROR, Cause::MirrorRefuses, &["unauthorized"]),
    (MIRROR, Cause::MirrorRefuses, &["denied"]),
    (MIRROR, Cause::MirrorRefuses, &["no basic auth credentials"]),
    (MIRROR, Cause::MirrorUnreachable, &["connection refused"]),
    (MIRROR, Cause::MirrorUnreachable, &["timeout"]),
    (MIRROR, Cause::MirrorUnreachable, &["no route to host"]),
    (MIRROR, Cause::MirrorUnreachable, &["network is unreachable"]),
    (MIRROR, Cause::MirrorUnreachable, &["deadline exceeded"]),
    (MIRROR, Cause::MirrorUnreachable, &["dial tcp"]),
    (MIRROR, Cause::MirrorFails, &[]),
    (RUNTIME, Cause::ImageDamaged, &["unexpected commit digest"]),
    (RUNTIME, Cause::ImageDamaged, &["filesystem layer verification failed"]),
    (RUNTIME, Cause::ImageDamaged, &["digest did not match"]),
    (RUNTIME, Cause::ImageDamaged, &["digest mismatch"]),
    (RUNTIME, Cause::ImageDamaged, &["wrong diff id"]),
    (RUNTIME, Cause::ImageDamaged, &["does not match expected digest"]),
    (RUNTIME, Cause::ImageDamaged, &["failed size validation"]),
    (DISK, Cause::UnpackFailed, &["operation not permitted"]),
    (DISK, Cause::UnpackFailed, &["permission denied"]),
    (DISK, Cause::UnpackFailed, &["read-only file system"]),
    (DISK, Cause::UnpackFailed, &["input/output error"]),
    (STORAGE, Cause::BearerRefused, &["invalid_token"]),
    (STORAGE, Cause::BearerRefused, &["does not match bearer token resource"]),
    (STORAGE, Cause::PullDenied, &["denied:"]),
    (STORAGE, Cause::PullDenied, &["unauthorized:"]),
    (STORAGE, Cause::DownloadBroken, &["unexpected eof"]),
    (STORAGE, Cause::StorageRefuses, &["403"]),
    (STORAGE, Cause::StorageRefuses, &["401"]),
    (STORAGE, Cause::LayerMissing, &["404"]),
    (STORAGE, Cause::LayerMissing, &["unknown blob"]),
    (STORAGE, Cause::LayerMissing, &["blob unknown"]),
    (STORAGE, Cause::LayerMissing, &["not found"]),
    (STORAGE, Cause::StorageUnreachable, &["connection refused"]),
    (STORAGE, Cause::StorageUnreachable, &["timeout"]),
    (STORAGE, Cause::StorageUnreachable, &["did not properly respond"]),
    (STORAGE, Cause::StorageUnreachable, &["actively refused it"]),
    (STORAGE, Cause::StorageUnreachable, &["no route to host"]),
    (STORAGE, Cause::StorageUnreachable, &["network is unreachable"]),
    (STORAGE, Cause::StorageUnreachable, &["request canceled"]),
    (STORAGE, Cause::StorageUnreachable, &["deadline exceeded"]),
    (STORAGE, Cause::StorageUnreachable, &["dial tcp"]),
    (STORAGE, Cause::DownloadBroken, &["goaway"]),
    (STORAGE, Cause::DownloadBroken, &["connection reset"]),
    (STORAGE, Cause::DownloadBroken, &["connection lost"]),
    (STORAGE, Cause::DownloadBroken, &["connection timed out"]),
    (STORAGE, Cause::DownloadBroken, &["eof"]),
    (STORAGE, Cause::DownloadBroken, &["stream error"]),
    (STORAGE, Cause::DownloadBroken, &["short read"]),
    (RUNTIME, Cause::StoreDamaged, &["content digest", "not found"]),
    (RUNTIME, Cause::StoreDamaged, &["layer does not exist"]),
    (RUNTIME, Cause::StoreDamaged, &["layer not known"]),
    (RUNTIME, Cause::StoreDamaged, &["failed to inspect image"]),
    (RUNTIME, Cause::UnpackFailed, &["failed to unpack"]),
    (RUNTIME, Cause::PullGivenUp, &["context canceled"]),
    (RUNTIME, Cause::PullGivenUp, &["because of no progress"]),
    (RUNTIME, Cause::UnpackFailed, &[]),
    (STORAGE, Cause::StorageFails, &[]),
    (FRONT, Cause::AddressRefused, &["client with ip"]),
    (FRONT, Cause::AddressRefused, &["/acr/firewall"]),
    (FRONT, Cause::RegistryPolicy, &["container registry is deprecated"]),
    (FRONT, Cause::RegistryPolicy, &["requires billing to be enabled"]),
    (FRONT, Cause::RegistryPolicy, &["projectpolicyviolation"]),
    (FRONT, Cause::RegistryPolicy, &["precondition failed"]),
    (FRONT, Cause::RegistryPolicy, &["http 412"]),
    (FRONT, Cause::RegistryPolicy, &["due to configured policy"]),
    (FRONT, Cause::RegistryPolicy, &["download blocking policy"]),
    (FRONT, Cause::TokenExpired, &["token has expired"]),
    (FRONT, Cause::TokenExpired, &["token is expired"]),
    (FRONT, Cause::PulledAnonymously, &["failed to fetch anonymous token", "403"]),
    (FRONT, Cause::PulledAnonymously, &["failed to fetch anonymous token", "401"]),
    (FRONT, Cause::PulledAnonymously, &["no basic auth credentials"]),
    (FRONT, Cause::PulledAnonymously, &["unauthenticated request"]),
    (FRONT, Cause::TokenRefused, &["failed to fetch oauth token", "401"]),
    (FRONT, Cause::TokenRefused, &["http basic: access denied"]),
    (FRONT, Cause::TokenRefused, &["incorrect username or password"]),
    (FRONT, Cause::TokenRefused, &["invalid username or password"]),
    (FRONT, Cause::TokenRefused, &["wrong username"]),
    (FRONT, Cause::TokenRefused, &["please use personal access token to login"]),
    (FRONT, Cause::TokenRefused, &["bad credentials"]),
    (FRONT, Cause::TokenRefused, &["bad username or password"]),
    (FRONT, Cause::TokenRefused, &["invalid_grant"]),
    (FRONT, Cause::TokenRefused, &["could not find robot"]),
    (FRONT, Cause::TokenDenied, &["failed to fetch oauth token", "403"]),
    (FRONT, Cause::TokenDenied, &["is not authorized to perform"]),
    (FRONT, Cause::TokenDenied, &["does not match expected scopes"]),
    (FRONT, Cause::BearerRefused, &["invalid_token"]),
    (FRONT, Cause::BearerRefused, &["does not match bearer token resource"]),
    (FRONT, Cause::TokenOfAnotherProject, &["insufficient_scope"]),
    (TOKENS, Cause::TokenServiceBroken, &["500"]),
    (TOKENS, Cause::TokenServiceBroken, &["502"]),
    (TOKENS, Cause::TokenServiceBroken, &["503"]),
    (TOKENS, Cause::TokenServiceBroken, &["504"]),
    // Cloudflare's own status codes, 520 to 530, which have no text.
    (TOKENS, Cause::TokenServiceBroken, &["unexpected status", ": 52"]),
    (TOKENS, Cause::TokenServiceBroken, &["unexpected status", ": 530"]),
    // Docker adds "pull access denied" to any answer, with or without credentials; CRI-O reports
    // "invalid username/password" for any 401.
    (FRONT, Cause::PullDenied, &["may require 'docker login'"]),
    (FRONT, Cause::PullDenied, &["may require authorization"]),
    (FRONT, Cause::PullDenied, &["invalid username/password"]),
    (FRONT, Cause::PullDenied, &["invalid status code from registry 403"]),
    (FRONT, Cause::PullDenied, &["invalid status code from registry 401"]),
    (FRONT, Cause::PullDenied, &["no scope specified"]),
    (FRONT, Cause::PullDenied, &["denied:"]),
    (FRONT, Cause::PullDenied, &["unauthorized:"]),
    (FRONT, Cause::PullDenied, &["authentication required"]),
    (FRONT, Cause::PullDenied, &["authorization failed"]),
    (FRONT, Cause::PullDenied, &["is not authorized"]),
    (REGISTRY, Cause::TagMissing, &["manifest unknown"]),
    (REGISTRY, Cause::TagMissing, &["manifest_unknown"]),
    (REGISTRY, Cause::TagMissing, &["name unknown"]),
    (REGISTRY, Cause::TagMissing, &["name_unknown"]),
    (REGISTRY, Cause::TagMissing, &["repository name not known to registry"]),
    (REGISTRY, Cause::TagMissing, &["code = notfound"]),
    (REGISTRY, Cause::TagMissing, &["404"]),
    (REGISTRY, Cause::TagMissing, &["not found"]),
    (REGISTRY, Cause::TagMissing, &["does not exist"]),
    (REGISTRY, Cause::TagMissing, &["was deleted or has expired"]),
    (REGISTRY, Cause::TagMissing, &["no such image"]),
    (FRONT, Cause::PullDenied, &["401"]),
    (FRONT, Cause::PullDenied, &["403"]),
    (FRONT, Cause::PullDenied, &["unauthorized"]),
    (FRONT, Cause::PullDenied, &["access denied"]),
    (FRONT, Cause::PullDenied, &["denied"]),
    (FRONT, Cause::PullDenied, &["forbidden"]),
    (FRONT, Cause::RegistryRefuses, &["connection refused"]),
    (FRONT, Cause::RegistryRefuses, &["actively refused it"]),
    (FRONT, Cause::RegistryTimeout, &["did not properly respond"]),
    (FRONT, Cause::RegistryTimeout, &["i/o timeout"]),
    (FRONT, Cause::RegistryTimeout, &["handshake timeout"]),
    (FRONT, Cause::RegistryTimeout, &["client.timeout exceeded"]),
    (FRONT, Cause::RegistryTimeout, &["timeout awaiting"]),
    (FRONT, Cause::RegistryTimeout, &["request canceled while waiting for connection"]),
    (FRONT, Cause::RegistryTimeout, &["no route to host"]),
    (FRONT, Cause::RegistryTimeout, &["host is down"]),
    (FRONT, Cause::RegistryTimeout, &["network is unreachable"]),
    // The system's message differs.
    (FRONT, Cause::RegistryTimeout, &["dial tcp"]),
    (FRONT, Cause::RegistryTimeout, &["connection timed out"]),
    // The time-out of a request, not of the whole pull.
    (FRONT, Cause::RegistryTimeout, &["://\": context deadline exceeded"]),
    (FRONT, Cause::RegistryTimeout, &["://: context deadline exceeded"]),
    (FRONT, Cause::TlsFails, &["tls: "]),
    (REGISTRY, Cause::RegistryBroken, &["500 internal server error"]),
    (REGISTRY, Cause::RegistryBroken, &["502"]),
    (REGISTRY, Cause::RegistryBroken, &["503"]),
    (REGISTRY, Cause::RegistryBroken, &["504"]),
    (REGISTRY, Cause::RegistryBroken, &["internal server error"]),
    (REGISTRY, Cause::RegistryBroken, &["unexpected status", ": 52"]),
    (REGISTRY, Cause::RegistryBroken, &["unexpected status", ": 530"]),
    (REGISTRY, Cause::RegistryBroken, &["invalid status code from registry 5"]),
    (REGISTRY, Cause::RegistryBroken, &["received unexpected http status: 5"]),
    (REGISTRY, Cause::RegistryBroken, &["registryunavailable"]),
    (FRONT, Cause::DownloadBroken, &["unexpected eof"]),
    (FRONT, Cause::ConnectionBroken, &["connection reset by peer"]),
    (FRONT, Cause::ConnectionBroken, &["broken pipe"]),
    (FRONT, Cause::ConnectionBroken, &["connection lost"]),
    (FRONT, Cause::ConnectionBroken, &["goaway"]),
    (FRONT, Cause::ConnectionBroken, &[": eof"]),
    (TOKENS, Cause::RegistryTimeout, &["deadline exceeded"]),
    (TOKENS, Cause::TokenServiceBroken, &["failed to fetch"]),
    (RUNTIME, Cause::PullGivenUp, &["deadline exceeded"]),
    (RUNTIME, Cause::PullGivenUp, &["deadlineexceeded"]),
];

/// The meaning of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PullMeaning {
    /// `None` if the words have no known meaning.
    pub(super) cause: Option<Cause>,
    /// The layer that it comes from; `None` if neither structure nor words tell.
    pub(super) layer: Option<Layer>,
    pub(super) speaker: ErrorSource,
    /// Whether it quotes a registry's own denial, and not just a status.
    pub(super) is_denied: bool,
}

/// The meaning of `text` about a pull of `image`.
pub(super) fn read(text: &str, image: &str) -> PullMeaning {
    let text = &*bounded(text);
    let tries = read_tries(text, image);
    // The kubelet tries all its credentials: one that got further than a refusal was valid. A
    // server that was not reached, or failed, has not judged a credential.
    let further = |meaning: &&PullMeaning| {
        meaning
            .cause
            .is_some_and(|cause| !cause.is_refusal() && !cause.leaves_credential_unjudged())
    };
    let refused = |meaning: &&PullMeaning| meaning.cause.is_some_and(Cause::is_refusal);
    let best = tries.iter().find(further).or(tries.iter().find(refused)).or(tries.first());
    best.cloned().unwrap_or_else(|| read_one(text, image))
}

/// Problems of further attempts that the refusal returned by [`read`] does not explain.
pub(super) fn beside(text: &str, image: &str) -> Vec<PullMeaning> {
    let text = &*bounded(text);
    if read(text, image).cause.is_none_or(|cause| !cause.is_refusal()) {
        return Vec::new();
    }
    let mut others = read_tries(text, image);
    others.retain(|meaning| meaning.cause.is_some_and(Cause::leaves_credential_unjudged));
    others.dedup_by_key(|meaning| meaning.cause);
    others
}

fn read_tries(text: &str, image: &str) -> Vec<PullMeaning> {
    tries(text).into_iter().map(|text| read_one(text, image)).collect()
}

/// The cause, if `text` is the kubelet's reason for not even asking a runtime.
pub(super) fn of_kubelet(text: &str) -> Option<Cause> {
    let text = text.to_lowercase();
    let rows = PULL.iter().filter(|(layers, ..)| *layers == KUBELET);
    rows.filter(|row| fits(row, &text)).map(|(_, cause, _)| *cause).next()
}

fn read_one(text: &str, image: &str) -> PullMeaning {
    let chain = Chain::of(text);
    let speaker = chain.speaker(image);
    let counts = |(layers, _, words): &Sign| match speaker.layer {
        Some(layer) => layers.contains(&layer) || (is_of_node(layers) && !words.is_empty()),
        None => (is_of_node(layers) && !words.is_empty()) || layers.first() == Some(&Registry),
    };
    let words = chain.words(image);
    let row = PULL.iter().find(|row| counts(row) && fits(row, &words));
    let layer = match (row, speaker.layer) {
        (Some((layers, ..)), Some(layer)) if layers.contains(&layer) => Some(layer),
        (Some((layers, ..)), _) => layers.first().copied(),
        (None, layer) => layer,
    };
    let is_denied = ["access forbidden", "denied"].iter().any(|denial| words.contains(denial));
    match row.map(|(_, cause, _)| *cause) {
        // A registry that serves its blobs itself also decides about access to them.
        Some(Cause::StorageRefuses) if speaker.is_own => PullMeaning {
            cause: Some(Cause::PullDenied),
            layer: Some(Registry),
            speaker,
            is_denied,
        },
        Some(Cause::TagMissing) if chain.asks_for_part(image) => {
            PullMeaning { cause: Some(Cause::LayerMissing), layer, speaker, is_denied }
        }
        cause => PullMeaning { cause, layer, speaker, is_denied },
    }
}

fn is_of_node(layers: &[Layer]) -> bool {
    layers == KUBELET || layers == RUNTIME
}

fn fits((.., words): &Sign, text: &str) -> bool {
    words.iter().all(|word| match word.parse::<u16>() {
        Ok(_) => has_number(text, word),
        Err(_) => text.contains(word),
    })
}

/// Whether `text` contains a number on its own, and not within a digest, a tag, an address or a
/// port.
fn has_number(text: &str, number: &str) -> bool {
    let is_end =
        |c: Option<char>| c.is_none_or(|c| !c.is_ascii_alphanumeric() && !".-_:/".contains(c));
    text.match_indices(number).any(|(at, _)| {
        let (before, behind) = (&text[..at], &text[at + number.len()..]);
        let behind = behind.strip_prefix([':', '.', ';', ',']).unwrap_or(behind);
        is_end(before.chars().next_back()) && is_end(behind.chars().next())
    })
}

#[cfg(test)]
mod tests;
