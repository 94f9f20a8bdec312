//! The meaning of texts from kubelets, schedulers, admission and container runtimes, except those
//! about a pull. Pure, and only a table: a text that is not in it has no meaning.
//!
//! tests/vectors/pull-texts.json has the texts that it is based on, with their sources.

use super::cause::Cause;
use super::layer::Layer::{
    self, ApiServer as API, Kubelet as KUBELET, Runtime as RUNTIME, Scheduler as SCHEDULER,
};

/// The layer, the cause, and words that must all be in the text, in lower case.
type Sign = (Layer, Cause, &'static [&'static str]);

/// Why a container is not created or started.
const START: &[Sign] = &[
    (KUBELET, Cause::RunsAsRoot, &["runasnonroot and image will run as root"]),
    (KUBELET, Cause::RunsAsRoot, &["runasnonroot but container will run as root"]),
    (KUBELET, Cause::RunsAsRoot, &["container's runasuser breaks non-root policy"]),
    (KUBELET, Cause::UserNotNumeric, &["non-numeric user"]),
    (KUBELET, Cause::KeyMissing, &["couldn't find key"]),
    (KUBELET, Cause::KeyMissing, &["references non-existent"]),
    (KUBELET, Cause::ConfigMapMissing, &["configmap \"", "not found"]),
    (KUBELET, Cause::ConfigMapMissing, &["configmaps \"", "not found"]),
    (KUBELET, Cause::AppSecretMissing, &["secret \"", "not found"]),
    (KUBELET, Cause::AppSecretMissing, &["secrets \"", "not found"]),
    // What was pulled, in the node's store.
    (RUNTIME, Cause::StoreDamaged, &["image not known"]),
    (RUNTIME, Cause::StoreDamaged, &["layer not known"]),
    (RUNTIME, Cause::StoreDamaged, &["does not resolve to an image id"]),
    (RUNTIME, Cause::StoreDamaged, &["unpacking image", "content digest", "not found"]),
    (RUNTIME, Cause::ImageDamaged, &["wrong diff id"]),
    (RUNTIME, Cause::UnpackFailed, &["unpacking image"]),
    (RUNTIME, Cause::WrongPlatform, &["exec format error"]),
    (RUNTIME, Cause::NodeProgramMissing, &["apparmor_parser", "not found"]),
    (
        RUNTIME,
        Cause::NodeProgramMissing,
        &["unable to retrieve oci runtime error", "executable file", "not found"],
    ),
    (RUNTIME, Cause::NodeProgramMissing, &["failed to start shim", "executable file", "not found"]),
    (RUNTIME, Cause::CommandNotFound, &["executable file", "not found"]),
    (RUNTIME, Cause::CommandNotFound, &["stat ", "no such file or directory", "exec: "]),
    (
        RUNTIME,
        Cause::CommandNotFound,
        &["starting container process", "no such file or directory", "exec"],
    ),
    (
        RUNTIME,
        Cause::CommandNotFound,
        &["start container process", "no such file or directory", "exec"],
    ),
    (RUNTIME, Cause::CommandNotFound, &["no command specified"]),
    (RUNTIME, Cause::CommandNotExecutable, &["exec", "permission denied"]),
    (RUNTIME, Cause::NodeDiskFull, &["no space left on device"]),
    (RUNTIME, Cause::OutOfMemory, &["oomkilled"]),
    (RUNTIME, Cause::OutOfMemory, &["container init was oom-killed"]),
];

/// Why no node accepts a pod. A text may contain several reasons: those that the owner can fix come
/// first.
const SCHEDULE: &[Sign] = &[
    (SCHEDULER, Cause::VolumeNotBound, &["persistentvolumeclaim"]),
    (SCHEDULER, Cause::VolumeNotBound, &["volume node affinity conflict"]),
    (SCHEDULER, Cause::VolumeNotBound, &["didn't find available persistent volumes"]),
    (SCHEDULER, Cause::NoNodeHasRoom, &["insufficient "]),
    (SCHEDULER, Cause::NoNodeHasRoom, &["too many pods"]),
    (SCHEDULER, Cause::NoNodeHasRoom, &["free ports"]),
    (SCHEDULER, Cause::NoNodeMatches, &["node affinity"]),
    (SCHEDULER, Cause::NoNodeMatches, &["node selector"]),
    (SCHEDULER, Cause::NoNodeMatches, &["matchnodeselector"]),
    (SCHEDULER, Cause::NoNodeMatches, &["node(s) didn't match"]),
    (SCHEDULER, Cause::NodeNotReady, &["node.kubernetes.io/not-ready"]),
    (SCHEDULER, Cause::NodeNotReady, &["node.kubernetes.io/unreachable"]),
    (SCHEDULER, Cause::NodeNotReady, &["were not ready"]),
    (SCHEDULER, Cause::NodeNotReady, &["were unschedulable"]),
    (SCHEDULER, Cause::NodeNotReady, &["no nodes available to schedule pods"]),
    (SCHEDULER, Cause::NodesTainted, &["taint"]),
];

/// Why pods are not even created.
const CREATE: &[Sign] = &[
    (API, Cause::QuotaExceeded, &["exceeded quota"]),
    (API, Cause::QuotaNeedsLimits, &["failed quota", "must specify"]),
    (API, Cause::PodSecurity, &["violates podsecurity"]),
    (API, Cause::PodSecurity, &["pod security policy"]),
    (API, Cause::PodSecurity, &["podsecuritypolicy"]),
    (API, Cause::PodSecurity, &["security context constraint"]),
    (API, Cause::LimitRange, &["usage per container"]),
    (API, Cause::LimitRange, &["usage per pod"]),
    (API, Cause::ServiceAccountMissing, &["serviceaccount", "not found"]),
    (API, Cause::ServiceAccountMissing, &["service account", "not found"]),
    (API, Cause::AdmissionRefused, &["admission webhook"]),
    (API, Cause::AdmissionRefused, &["forbidden"]),
    (API, Cause::AdmissionRefused, &["is invalid"]),
];

/// Why a pod's volumes and network are not ready.
const PREPARE: &[Sign] = &[
    (KUBELET, Cause::KeyMissing, &["references non-existent"]),
    (KUBELET, Cause::ConfigMapMissing, &["configmap", "not found"]),
    (KUBELET, Cause::AppSecretMissing, &["secret \"", "not found"]),
    (KUBELET, Cause::AppSecretMissing, &["secrets \"", "not found"]),
    (RUNTIME, Cause::NodeDiskFull, &["failedcreatepodsandbox", "no space left on device"]),
    (RUNTIME, Cause::RuntimeHandlerMissing, &["failedcreatepodsandbox", "no runtime for"]),
    (KUBELET, Cause::PodNetworkFailed, &["networknotready"]),
    (KUBELET, Cause::PodNetworkFailed, &["failedcreatepodsandbox", "cni"]),
    (KUBELET, Cause::PodNetworkFailed, &["failedcreatepodsandbox", "network"]),
    (KUBELET, Cause::PodNetworkFailed, &["failedcreatepodsandbox", "plugin type"]),
    (KUBELET, Cause::SandboxFailed, &["failedcreatepodsandbox"]),
    (KUBELET, Cause::MountFailed, &["failedmount"]),
    (KUBELET, Cause::MountFailed, &["failedattachvolume"]),
    (KUBELET, Cause::MountFailed, &["failedmapvolume"]),
];

/// The meaning of a text and the layer that it comes from.
pub(super) type Meaning = (Cause, Layer);

pub(super) fn start(text: &str) -> Option<Meaning> {
    find(START, text)
}

pub(super) fn schedule(text: &str) -> Option<Meaning> {
    find(SCHEDULE, text)
}

pub(super) fn create(text: &str) -> Option<Meaning> {
    find(CREATE, text)
}

pub(super) fn prepare(text: &str) -> Option<Meaning> {
    find(PREPARE, text)
}

/// Searches all tables, for a text without context.
pub(super) fn any(text: &str) -> Option<Meaning> {
    [START, PREPARE, SCHEDULE, CREATE].into_iter().find_map(|table| find(table, text))
}

fn find(table: &[Sign], text: &str) -> Option<Meaning> {
    let text = text.to_lowercase();
    let found = table.iter().find(|(.., words)| words.iter().all(|word| text.contains(word)));
    found.map(|(layer, cause, _)| (*cause, *layer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_of_the_node_is_none_of_the_image() {
        for (text, cause) in [
            (
                "get apparmor_parser version: exec: \"apparmor_parser\": executable file not found \
                 in $PATH",
                Cause::NodeProgramMissing,
            ),
            (
                "OCI runtime create failed: unable to retrieve OCI runtime error: exec: \
                 \"nvidia-container-runtime\": executable file not found in $PATH: unknown",
                Cause::NodeProgramMissing,
            ),
            (
                "unable to start container process: exec: \"serve\": executable file not found in \
                 $PATH: unknown",
                Cause::CommandNotFound,
            ),
        ] {
            assert_eq!(start(text), Some((cause, RUNTIME)), "{text}");
        }
    }

    #[test]
    fn a_container_may_not_be_made_because_of_what_the_node_has_of_its_image() {
        for (text, cause) in [
            (
                "reading image \"0a1b\": locating image with ID \"0a1b\": image not known",
                Cause::StoreDamaged,
            ),
            (
                "error unpacking image: failed to extract layer sha256:1: failed to get reader \
                 from content store: content digest sha256:2: not found",
                Cause::StoreDamaged,
            ),
            (
                "failed to create containerd container: error unpacking image: mount callback \
                 failed: operation not supported",
                Cause::UnpackFailed,
            ),
        ] {
            assert_eq!(start(text), Some((cause, RUNTIME)), "{text}");
        }
    }

    #[test]
    fn a_sandbox_fails_for_more_than_the_network() {
        for (text, cause) in [
            ("plugin type=\"calico\" failed (add): unauthorized", Cause::PodNetworkFailed),
            ("failed to set up sandbox container network for pod", Cause::PodNetworkFailed),
            ("mkdir /var/lib/containerd/x: no space left on device", Cause::NodeDiskFull),
            (
                "failed to get sandbox runtime: no runtime for \"gvisor\" is configured",
                Cause::RuntimeHandlerMissing,
            ),
            (
                "unable to apply cgroup configuration: cannot allocate memory: unknown",
                Cause::SandboxFailed,
            ),
            (
                "open /run/systemd/resolve/resolv.conf: no such file or directory",
                Cause::SandboxFailed,
            ),
        ] {
            let event = format!("FailedCreatePodSandBox: Failed to create pod sandbox: {text}");
            assert_eq!(prepare(&event).map(|(cause, _)| cause), Some(cause), "{text}");
        }
    }
}
