//! Why pods do not run: the names of the causes, which are part of the interface (scripts read them in `--json`),
//! with a sentence and what to type for each. Knows nothing of how a cause is found.
//!
//! `{…}` in them stands for what a finding knows: see [`super::Fill`].

use serde::{Serialize, Serializer};

/// Declares the causes in one place, the ones that explain the others first.
macro_rules! causes {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $sentence:literal, $hint:literal;)*) => {
        /// Why something does not run.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Cause {
            $($(#[$doc])* $name,)*
        }

        impl Cause {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The stable name.
            #[must_use]
            pub fn id(self) -> &'static str {
                match self {
                    $(Self::$name => $id,)*
                }
            }

            /// The sentence, and what to type.
            pub(super) fn words(self) -> (&'static str, &'static str) {
                match self {
                    $(Self::$name => ($sentence, $hint),)*
                }
            }
        }
    };
}

causes! {
    /// There is no such program.
    KubectlMissing = "kubectl-missing",
        "kubectl could not be run",
        "install kubectl, or say where it is: KUBECTL=/path/to/kubectl {makeinfra diagnose}";
    /// The kubeconfig has no such context, cluster or user.
    ContextMissing = "context-missing",
        "kubectl has no such context",
        "{kubectl config get-contexts}, then: {makeinfra diagnose --context NAME}";
    /// The API server does not answer.
    ClusterUnreachable = "cluster-unreachable",
        "the cluster does not answer",
        "{kubectl config get-contexts}; another one: {makeinfra diagnose --context NAME}";
    /// The API server does not know who asks.
    LoginRefused = "login-refused",
        "the cluster does not accept this login",
        "sign in to the cluster again: {kubectl auth whoami}";
    /// Pods may not be read.
    NotAllowed = "not-allowed",
        "this user may not read the pods of namespace `{namespace}`",
        "{kubectl --namespace {namespace} create rolebinding {workload} --clusterrole=view --user=USER}";
    /// kubectl ended for a reason that is not known here.
    KubectlFailed = "kubectl-failed",
        "kubectl failed",
        "{kubectl --namespace {namespace} get pods}";
    /// There is no such namespace.
    NamespaceMissing = "namespace-missing",
        "this cluster has no namespace `{namespace}`",
        "{make deploy}; if it is another cluster's: {makeinfra diagnose --context NAME}";
    /// Nothing of the repository is in the cluster.
    NotDeployed = "not-deployed",
        "namespace `{namespace}` has nothing of this repository",
        "{make deploy}";
    /// The Deployment wants no pods.
    ScaledToZero = "scaled-to-zero",
        "{workload} is scaled to 0 pods",
        "{kubectl --namespace {namespace} scale deployment/{workload} --replicas=1}, or replicas: in its manifest and {make deploy}";
    /// The `CronJob` starts nothing.
    Suspended = "suspended",
        "{workload} is suspended and starts nothing",
        "{kubectl --namespace {namespace} edit cronjob {workload}}, and there: suspend: false";

    /// A quota is used up.
    QuotaExceeded = "quota-exceeded",
        "the quota of namespace `{namespace}` is used up",
        "{kubectl --namespace {namespace} describe quota}; then lower replicas or resources.requests, or ask for a larger quota";
    /// A quota wants requests or limits that are not there.
    QuotaNeedsLimits = "quota-needs-limits",
        "the quota of namespace `{namespace}` wants requests or limits that the pods do not name",
        "add the resources that the text names to the containers, then: {make deploy}";
    /// A `LimitRange` refuses the pods.
    LimitRange = "limit-range",
        "the requests or limits of the pods are outside of what namespace `{namespace}` allows",
        "{kubectl --namespace {namespace} describe limitrange}";
    /// Pod Security admission, or a pod security policy, refuses the pods.
    PodSecurity = "pod-security",
        "namespace `{namespace}` refuses the pods: they ask for more than its pod security level allows",
        "set what the text names in securityContext; or: {kubectl label namespace {namespace} pod-security.kubernetes.io/enforce=baseline --overwrite}";
    /// The service account is not there.
    ServiceAccountMissing = "service-account-missing",
        "the pods' service account does not exist in namespace `{namespace}`",
        "{kubectl --namespace {namespace} create serviceaccount NAME}, or correct serviceAccountName";
    /// A webhook or policy refuses the pods.
    AdmissionRefused = "admission-refused",
        "the cluster refuses to create the pods",
        "the text says who refused; {kubectl --namespace {namespace} get events}";

    /// No node is ready.
    NodeNotReady = "node-not-ready",
        "a node that the pod needs is not ready",
        "{kubectl get nodes}; {kubectl describe node NAME}";
    /// CPU, memory or the number of pods.
    NoNodeHasRoom = "no-node-has-room",
        "no node has room for the pod",
        "lower resources.requests or replicas; {kubectl describe nodes | grep -A8 Allocated}";
    /// Taints.
    NodesTainted = "nodes-tainted",
        "every node has a taint that the pod does not tolerate",
        "{kubectl get nodes -o custom-columns=NAME:.metadata.name,TAINTS:.spec.taints}; then tolerations: in the pod";
    /// Volumes.
    VolumeNotBound = "volume-not-bound",
        "a volume of the pod is not there or cannot be used on any node",
        "{kubectl --namespace {namespace} get persistentvolumeclaims}";
    /// Selectors and affinities.
    NoNodeMatches = "no-node-matches",
        "no node has the labels that the pod asks for",
        "{kubectl get nodes --show-labels}; then nodeSelector and affinity in the pod";
    /// Any other reason of the scheduler.
    NotScheduled = "not-scheduled",
        "no node takes the pod",
        "{kubectl --namespace {namespace} describe pod {pod}}";

    /// The pod names no pull secret.
    NoPullSecretNamed = "no-pull-secret-named",
        "the pod names no pull secret, so the kubelet pulled without credentials",
        "imagePullSecrets: [{name: gitlab}] beside `containers:`, then: {make deploy}";
    /// The service account got its pull secret later.
    PodOlderThanAccount = "pod-older-than-service-account",
        "the pod is older than the pull secret of its service account, which new pods get",
        "{make restart}, or: {kubectl --namespace {namespace} delete pod {pod}}";
    /// The Secret is in the repository, for another namespace.
    SecretInAnotherNamespace = "secret-in-another-namespace",
        "the pull secret is made for another namespace than the pod's, `{namespace}`",
        "namespace: {namespace} in the Secret, then: {make gitlab-secret}";
    /// The Secret is not in the namespace.
    SecretMissing = "secret-missing",
        "the pull secret that the pod names is not in namespace `{namespace}`",
        "{make gitlab-secret}, then: {make restart}";
    /// The cluster has another Secret than the file, and it is the worse one.
    SecretOutdated = "secret-outdated",
        "the pull secret in the cluster is not the one of this repository",
        "{make gitlab-secret}, then: {make restart}";
    /// Type and key do not agree.
    WrongType = "wrong-type",
        "the pull secret has a type that the kubelet ignores",
        "{makeinfra rotate} && {make deploy}";
    /// `auths` or no `auths`.
    WrongWrapping = "wrong-wrapping",
        "the entries of the pull secret are not wrapped as its type wants",
        "{makeinfra rotate} && {make deploy}";
    /// The kubelet cannot read an entry.
    AuthMalformed = "auth-malformed",
        "an entry of a pull secret is malformed, and the kubelet then refuses them all",
        "{makeinfra rotate} && {make deploy}";
    /// Blanks and line breaks, or fields that contradict each other.
    CredentialsMalformed = "credentials-malformed",
        "the credentials in the pull secret are not as they were copied",
        "{makeinfra rotate} && {make deploy}";
    /// Identity tokens, empty entries, job tokens.
    NoUsableCredentials = "no-usable-credentials",
        "the pull secret has no credentials that the kubelet can use",
        "{makeinfra rotate} && {make deploy}";
    /// No key matches the image.
    RegistryKeyDoesNotMatch = "registry-key-does-not-match",
        "no registry key in the pull secret matches `{image}`",
        "{makeinfra rotate --registry HOST} && {make deploy}";
    /// As the annotation says.
    TokenExpired = "token-expired",
        "the deploy token has expired",
        "make a new deploy token in GitLab, then: {makeinfra rotate --commit} && {make deploy}";
    /// The Secret was put right after the last try.
    SecretChangedSince = "secret-changed-since",
        "the kubelet had no credential at its last try, and the pull secret in the cluster has one now",
        "{make restart}, or wait: the kubelet tries again within five minutes";
    /// 401.
    TokenRefused = "token-refused",
        "the registry refused the token: it is wrong, was revoked or has expired",
        "make a new deploy token in GitLab, then: {makeinfra rotate --commit} && {make deploy}";
    /// 403 with credentials.
    TokenWithoutScope = "token-without-registry-scope",
        "the registry knows the token, and it may not use the registry: it lacks the scope read_registry",
        "make a deploy token with read_registry in GitLab, then: {makeinfra rotate --commit} && {make deploy}";
    /// `insufficient_scope`.
    TokenOfAnotherProject = "token-of-another-project",
        "the token is valid, but not for `{image}`: it is of another project, or the image's path is wrong",
        "make a deploy token in the image's own project, then: {makeinfra rotate --commit} && {make deploy}";
    /// 403 without credentials.
    PulledAnonymously = "pulled-anonymously",
        "the kubelet found no credential for `{image}` and pulled without one: name, namespace, wrapping or registry key of the pull secret are wrong",
        "{makeinfra check}";
    /// Docker and CRI-O do not tell whether anything was sent.
    PullDenied = "pull-denied",
        "the registry denies the pull of `{image}`: no credential for it was sent, or one that may not pull it, or there is no such image",
        "{makeinfra check --online}";
    /// No such tag, digest or repository.
    TagMissing = "tag-missing",
        "the registry has no `{image}`",
        "{make set-image TAG=1.2.3} with a tag that exists, then: {make deploy}";
    /// The reference cannot be parsed.
    InvalidImageName = "invalid-image-name",
        "`{image}` is not an image reference",
        "correct it in kubernetes/kustomization.yaml or the workload, then: {make deploy}";
    /// A short name that the node does not complete.
    ImageNameTooShort = "image-name-too-short",
        "`{image}` names no registry, and the node does not guess one",
        "write it in full, docker.io/… for Docker Hub, then: {make deploy}";
    /// `imagePullPolicy: Never`.
    ImageNeverPulled = "image-never-pulled",
        "`{image}` is not on the node, and the pod forbids to pull it",
        "imagePullPolicy: IfNotPresent in the container, then: {make deploy}";
    /// The image is not built for the node, or not a program of its kind.
    WrongPlatform = "wrong-platform",
        "`{image}` is not built for the node's processor",
        "{docker buildx build --platform linux/amd64,linux/arm64 --push .}; {kubectl get nodes -L kubernetes.io/arch}";
    /// 429.
    RateLimited = "rate-limited",
        "the registry had too many requests from the nodes and makes them wait",
        "wait; Docker Hub: sign in with a pull secret of its own, or mirror the image";
    /// x509.
    RegistryCertificate = "registry-certificate",
        "the node does not trust the certificate of the registry",
        "give the container runtime of every node the registry's authority: /etc/containerd/certs.d, /etc/docker/certs.d";
    /// TLS to a server without.
    RegistryWithoutTls = "registry-without-tls",
        "the registry speaks plain http, and the node wants https",
        "give the registry a certificate, or tell the container runtime of every node that it has none";
    /// DNS.
    RegistryUnknown = "registry-unknown",
        "the node's name server does not know the registry of `{image}`",
        "look at the host's spelling; else ask who runs the nodes about their name server";
    /// Connection refused.
    RegistryRefuses = "registry-refuses",
        "nothing listens where the node looks for the registry of `{image}`",
        "look at host and port of the image; else ask who runs the registry, or the nodes' proxy";
    /// Time-outs.
    RegistryTimeout = "registry-timeout",
        "the node does not reach the registry of `{image}`, or not in time",
        "ask who runs the nodes about firewall and proxy; the kubelet goes on trying";
    /// 5xx.
    RegistryBroken = "registry-broken",
        "the registry of `{image}` fails",
        "ask who runs the registry; the kubelet goes on trying";
    /// A full disk.
    NodeDiskFull = "node-disk-full",
        "the node's disk is full",
        "{kubectl describe node NAME}; the kubelet frees unused images by itself";
    /// A policy wants another signature.
    ImageNotSigned = "image-not-signed",
        "the node's policy refuses the signature of `{image}`",
        "sign the image, or ask who runs the nodes about their policy.json";
    /// Any other trouble with a pull.
    PullFailed = "pull-failed",
        "`{image}` could not be pulled",
        "{makeinfra check --online}";

    /// The security context wants a user, and the image is root's.
    RunsAsRoot = "runs-as-root",
        "`{image}` runs as root, which the pod's security context refuses",
        "give the image a numeric USER; or runAsUser: 1000 beside runAsNonRoot; or begin with: {makeinfra new --pod-security baseline}";
    /// The image's USER is a name.
    UserNotNumeric = "user-not-numeric",
        "the USER of `{image}` is a name, and the kubelet cannot tell whether that is root",
        "its number as runAsUser: beside runAsNonRoot in the workload, then: {make deploy}";
    /// A config map is not there.
    ConfigMapMissing = "config-map-missing",
        "a config map that the pod needs is not in namespace `{namespace}`",
        "add it to kubernetes/ and its kustomization.yaml, then: {make deploy}";
    /// A Secret of the application is not there.
    AppSecretMissing = "secret-for-pod-missing",
        "a Secret that the pod needs is not in namespace `{namespace}`",
        "{makeinfra secret list}; then: {makeinfra secret set NAME KEY}, or correct the name in the workload, and {make deploy}";
    /// A key in a config map or Secret is not there.
    KeyMissing = "key-missing",
        "a config map or Secret lacks a key that the pod needs",
        "{makeinfra secret set NAME KEY}, or correct the key in the workload or the config map; then: {make deploy}";
    /// A volume cannot be mounted.
    MountFailed = "mount-failed",
        "a volume of the pod cannot be mounted",
        "{kubectl --namespace {namespace} describe pod {pod}}";
    /// The pod's sandbox or network.
    SandboxFailed = "sandbox-failed",
        "the node cannot make the pod's network",
        "{kubectl --namespace {namespace} describe pod {pod}}; ask who runs the nodes about their network plugin";
    /// The command is not in the image.
    CommandNotFound = "command-not-found",
        "the command is not in the image",
        "correct command: and args: in the workload, or ENTRYPOINT in the image";
    /// The command cannot be executed.
    CommandNotExecutable = "command-not-executable",
        "the command in the image may not be executed",
        "mode 0755 in the image's build, for the user that it runs as";
    /// Any other trouble with a start.
    CannotStart = "container-cannot-start",
        "the container cannot be started",
        "{kubectl --namespace {namespace} describe pod {pod}}";
    /// `OOMKilled`.
    OutOfMemory = "out-of-memory",
        "container `{container}` needs more memory than its limit",
        "raise resources.limits.memory in the workload, then: {make deploy}";
    /// A probe fails, and the container is not ready or was killed for it.
    ProbeFailing = "probe-failing",
        "a probe of container `{container}` fails",
        "compare port and path of the probe with where the application listens; {kubectl --namespace {namespace} logs {pod}}";
    /// It ends with an error, again and again.
    CrashLoop = "crash-loop",
        "container `{container}` starts and ends again, with exit code {code}",
        "{kubectl --namespace {namespace} logs {pod} --container {container} --previous}; there \"Read-only file system\": it writes outside of /tmp, \"exec format error\": it is built for another processor";
    /// It ended with an error, and its pod is not started again.
    ContainerFailed = "container-failed",
        "container `{container}` ended with exit code {code}",
        "{kubectl --namespace {namespace} logs {pod} --container {container}}";
    /// A Job gave up, and no pod of it that failed is left.
    JobFailed = "job-failed",
        "the Job failed, and no pod is left that tells why",
        "{kubectl --namespace {namespace} describe job {workload}}";
    /// It ends without one.
    EndsAtOnce = "ends-at-once",
        "container `{container}` does its work and ends, which a workload that should stay up must not",
        "a command: that stays in the foreground; or a Job in place of the workload";
    /// The node threw the pod out.
    Evicted = "evicted",
        "the node threw the pod out",
        "{kubectl describe node NAME}; then raise resources.requests to what the pod uses";
    /// The rollout took too long.
    RolloutStalled = "rollout-stalled",
        "the rollout of {workload} did not finish in time, and nothing tells why",
        "{kubectl --namespace {namespace} describe pods}";
    /// There is nothing to judge.
    NoPods = "no-pods",
        "the evidence has no pods that could be of this repository",
        "{kubectl --namespace {namespace} get pods,events -o json > FILE}, then: {makeinfra diagnose --events FILE}";
    /// Something does not run, and no text is known.
    Unexplained = "unexplained",
        "the pod does not run, and nothing that is known here tells why",
        "{kubectl --namespace {namespace} describe pod {pod}}";

    /// An image is being pulled for long.
    PullSlow = "pull-slow",
        "`{image}` is being pulled since {age}",
        "wait, or make the image smaller";
    /// All is on its way.
    OnTheWay = "on-the-way",
        "the pod is on its way since {age}",
        "wait, then: {makeinfra diagnose}";
    /// What the next pull will meet, though all pods run.
    Repository = "repository",
        "the repository has a problem that no pod has met yet",
        "{makeinfra check}";
    /// A part of the evidence is missing.
    NotRead = "not-read",
        "a part of the evidence could not be read",
        "{kubectl auth can-i --list --namespace {namespace}}";
}

impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_kebab_case_and_unlike_each_other() {
        let ids: BTreeSet<_> = Cause::ALL.iter().map(|cause| cause.id()).collect();
        assert_eq!(ids.len(), Cause::ALL.len());
        assert!(ids.iter().all(|id| id.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')), "{ids:?}");
    }

    #[test]
    fn nothing_is_without_advice() {
        for cause in Cause::ALL {
            let (sentence, hint) = cause.words();
            assert!(!sentence.is_empty() && !hint.is_empty(), "{}", cause.id());
            assert!(!sentence.ends_with('.') && !hint.ends_with('.'), "{}", cause.id());
        }
    }
}
