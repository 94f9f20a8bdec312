//! What the texts of kubelets, schedulers, admission and container runtimes mean. Pure, and only a table: a text that
//! is not in it means nothing.
//!
//! tests/data/runtime-texts.json has the texts that it was made from, with where each was seen.

use super::cause::Cause;

/// A cause, and words of a text that tells it: all of one row, in lower case.
type Sign = (Cause, &'static [&'static str]);

/// Why an image is not pulled. A refusal says more than the back-off after it, so the order is that of what they tell.
const PULL: &[Sign] = &[
    (Cause::AuthMalformed, &["illegal base64 data"]),
    (Cause::AuthMalformed, &["unable to parse auth field"]),
    (Cause::ImageNeverPulled, &["errimageneverpull"]),
    (Cause::ImageNeverPulled, &["is not present with pull policy of never"]),
    (Cause::ImageNameTooShort, &["short name mode is enforcing"]),
    (Cause::ImageNameTooShort, &["did not resolve to an alias and no"]),
    (Cause::ImageNameTooShort, &["unqualified-search"]),
    (Cause::InvalidImageName, &["invalidimagename"]),
    (Cause::InvalidImageName, &["invalid reference format"]),
    (Cause::InvalidImageName, &["couldn't parse image"]),
    (Cause::ImageNotSigned, &["signaturevalidationfailed"]),
    (Cause::ImageNotSigned, &["a signature was required"]),
    (Cause::ImageNotSigned, &["rejected by policy"]),
    (Cause::RateLimited, &["toomanyrequests"]),
    (Cause::RateLimited, &["429 too many requests"]),
    (Cause::RateLimited, &["pull qps exceeded"]),
    (Cause::NodeDiskFull, &["no space left on device"]),
    (Cause::RegistryWithoutTls, &["server gave http response to https client"]),
    (Cause::RegistryWithoutTls, &["first record does not look like a tls handshake"]),
    (Cause::RegistryCertificate, &["x509:"]),
    (Cause::RegistryCertificate, &["tls: failed to verify certificate"]),
    (Cause::RegistryUnknown, &["no such host"]),
    (Cause::RegistryUnknown, &["server misbehaving"]),
    (Cause::RegistryUnknown, &["temporary failure in name resolution"]),
    (Cause::RegistryRefuses, &["connect: connection refused"]),
    (Cause::RegistryRefuses, &["connection refused"]),
    (Cause::WrongPlatform, &["no match for platform in manifest"]),
    (Cause::WrongPlatform, &["no matching manifest for"]),
    (Cause::WrongPlatform, &["no image found in manifest list for architecture"]),
    (Cause::WrongPlatform, &["no image found in image index for architecture"]),
    (Cause::PulledAnonymously, &["failed to fetch anonymous token", "403 forbidden"]),
    (Cause::PulledAnonymously, &["failed to fetch anonymous token", "401 unauthorized"]),
    (Cause::PulledAnonymously, &["no basic auth credentials"]),
    (Cause::TokenRefused, &["failed to fetch oauth token", "401 unauthorized"]),
    (Cause::TokenRefused, &["invalid username/password"]),
    (Cause::TokenRefused, &["http basic: access denied"]),
    (Cause::TokenRefused, &["incorrect username or password"]),
    (Cause::TokenWithoutScope, &["failed to fetch oauth token", "403 forbidden"]),
    // Docker puts "pull access denied" before the answer of whoever it asked, with credentials or without.
    (Cause::PullDenied, &["may require 'docker login'"]),
    (Cause::PullDenied, &["denied: access forbidden"]),
    (Cause::PullDenied, &["denied: requested access to the resource is denied"]),
    (Cause::PullDenied, &["invalid status code from registry 403"]),
    (Cause::PullDenied, &["invalid status code from registry 401"]),
    (Cause::PullDenied, &["access to the requested resource is not authorized"]),
    (Cause::PullDenied, &["authentication required"]),
    (Cause::TokenOfAnotherProject, &["insufficient_scope"]),
    (Cause::TagMissing, &["manifest unknown"]),
    (Cause::TagMissing, &["name unknown"]),
    (Cause::TagMissing, &["repository name not known to registry"]),
    (Cause::TagMissing, &["code = notfound"]),
    (Cause::TagMissing, &["failed to resolve reference", ": not found"]),
    (Cause::PullDenied, &["401 unauthorized"]),
    (Cause::PullDenied, &["403 forbidden"]),
    (Cause::RegistryTimeout, &["i/o timeout"]),
    (Cause::RegistryTimeout, &["tls handshake timeout"]),
    (Cause::RegistryTimeout, &["client.timeout exceeded"]),
    (Cause::RegistryTimeout, &["deadline exceeded"]),
    (Cause::RegistryTimeout, &["deadlineexceeded"]),
    (Cause::RegistryTimeout, &["no route to host"]),
    (Cause::RegistryTimeout, &["network is unreachable"]),
    (Cause::RegistryBroken, &["500 internal server error"]),
    (Cause::RegistryBroken, &["502 bad gateway"]),
    (Cause::RegistryBroken, &["503 service unavailable"]),
    (Cause::RegistryBroken, &["504 gateway time"]),
    (Cause::RegistryBroken, &["invalid status code from registry 5"]),
    (Cause::RegistryBroken, &["received unexpected http status: 5"]),
    (Cause::RegistryBroken, &["registryunavailable"]),
    (Cause::RegistryBroken, &["connection reset by peer"]),
    (Cause::RegistryBroken, &[": eof"]),
];

/// Why a container is not made or started.
const START: &[Sign] = &[
    (Cause::RunsAsRoot, &["runasnonroot and image will run as root"]),
    (Cause::RunsAsRoot, &["runasnonroot but container will run as root"]),
    (Cause::RunsAsRoot, &["container's runasuser breaks non-root policy"]),
    (Cause::UserNotNumeric, &["non-numeric user"]),
    (Cause::KeyMissing, &["couldn't find key"]),
    (Cause::KeyMissing, &["references non-existent"]),
    (Cause::ConfigMapMissing, &["configmap \"", "not found"]),
    (Cause::ConfigMapMissing, &["configmaps \"", "not found"]),
    (Cause::AppSecretMissing, &["secret \"", "not found"]),
    (Cause::AppSecretMissing, &["secrets \"", "not found"]),
    (Cause::WrongPlatform, &["exec format error"]),
    (Cause::CommandNotFound, &["executable file", "not found"]),
    (Cause::CommandNotFound, &["stat ", "no such file or directory", "exec: "]),
    (Cause::CommandNotFound, &["starting container process", "no such file or directory", "exec"]),
    (Cause::CommandNotFound, &["start container process", "no such file or directory", "exec"]),
    (Cause::CommandNotFound, &["no command specified"]),
    (Cause::CommandNotExecutable, &["exec", "permission denied"]),
    (Cause::NodeDiskFull, &["no space left on device"]),
    (Cause::OutOfMemory, &["oomkilled"]),
    (Cause::OutOfMemory, &["container init was oom-killed"]),
];

/// Why no node takes a pod. Several reasons stand in one text: the one that its owner can mend comes first.
const SCHEDULE: &[Sign] = &[
    (Cause::VolumeNotBound, &["persistentvolumeclaim"]),
    (Cause::VolumeNotBound, &["volume node affinity conflict"]),
    (Cause::VolumeNotBound, &["didn't find available persistent volumes"]),
    (Cause::NoNodeHasRoom, &["insufficient "]),
    (Cause::NoNodeHasRoom, &["too many pods"]),
    (Cause::NoNodeHasRoom, &["free ports"]),
    (Cause::NoNodeMatches, &["node affinity"]),
    (Cause::NoNodeMatches, &["node selector"]),
    (Cause::NoNodeMatches, &["matchnodeselector"]),
    (Cause::NoNodeMatches, &["node(s) didn't match"]),
    (Cause::NodeNotReady, &["node.kubernetes.io/not-ready"]),
    (Cause::NodeNotReady, &["node.kubernetes.io/unreachable"]),
    (Cause::NodeNotReady, &["were not ready"]),
    (Cause::NodeNotReady, &["were unschedulable"]),
    (Cause::NodeNotReady, &["no nodes available to schedule pods"]),
    (Cause::NodesTainted, &["taint"]),
];

/// Why pods are not even created.
const CREATE: &[Sign] = &[
    (Cause::QuotaExceeded, &["exceeded quota"]),
    (Cause::QuotaNeedsLimits, &["failed quota", "must specify"]),
    (Cause::PodSecurity, &["violates podsecurity"]),
    (Cause::PodSecurity, &["pod security policy"]),
    (Cause::PodSecurity, &["podsecuritypolicy"]),
    (Cause::PodSecurity, &["security context constraint"]),
    (Cause::LimitRange, &["usage per container"]),
    (Cause::LimitRange, &["usage per pod"]),
    (Cause::ServiceAccountMissing, &["serviceaccount", "not found"]),
    (Cause::ServiceAccountMissing, &["service account", "not found"]),
    (Cause::AdmissionRefused, &["admission webhook"]),
    (Cause::AdmissionRefused, &["forbidden"]),
    (Cause::AdmissionRefused, &["is invalid"]),
];

/// Why a pod's volumes and network are not there.
const PREPARE: &[Sign] = &[
    (Cause::KeyMissing, &["references non-existent"]),
    (Cause::ConfigMapMissing, &["configmap", "not found"]),
    (Cause::AppSecretMissing, &["secret \"", "not found"]),
    (Cause::AppSecretMissing, &["secrets \"", "not found"]),
    (Cause::SandboxFailed, &["failedcreatepodsandbox"]),
    (Cause::SandboxFailed, &["networknotready"]),
    (Cause::MountFailed, &["failedmount"]),
    (Cause::MountFailed, &["failedattachvolume"]),
    (Cause::MountFailed, &["failedmapvolume"]),
];

pub(super) fn pull(text: &str) -> Option<Cause> {
    find(PULL, text)
}

pub(super) fn start(text: &str) -> Option<Cause> {
    find(START, text)
}

pub(super) fn schedule(text: &str) -> Option<Cause> {
    find(SCHEDULE, text)
}

pub(super) fn create(text: &str) -> Option<Cause> {
    find(CREATE, text)
}

pub(super) fn prepare(text: &str) -> Option<Cause> {
    find(PREPARE, text)
}

/// Any of them, for a text of which nothing else is known.
pub(super) fn any(text: &str) -> Option<Cause> {
    [PULL, START, PREPARE, SCHEDULE, CREATE].into_iter().find_map(|table| find(table, text))
}

fn find(table: &[Sign], text: &str) -> Option<Cause> {
    let text = text.to_lowercase();
    table.iter().find(|(_, words)| words.iter().all(|word| text.contains(word))).map(|(cause, _)| *cause)
}
