//! The causes why pods do not run. Their identifiers are part of the interface, because scripts
//! read them in `--json`. Each has a sentence and a hint. Does not know how a cause is detected.
//!
//! `{…}` stands for a value of the finding: see [`super::Fill`].

#[macro_use]
mod declare;

use serde::{Serialize, Serializer};

causes! {
    KubectlMissing = "kubectl-missing",
        "cannot run kubectl",
        "install kubectl, or set its path: KUBECTL=/path/to/kubectl {makeinfra diagnose}";
    ContextMissing = "context-missing",
        "kubectl does not have this context",
        "{kubectl config get-contexts}, then: {makeinfra diagnose --context NAME}";
    ClusterUnreachable = "cluster-unreachable",
        "the cluster does not answer",
        "{kubectl config get-contexts}; with another context: {makeinfra diagnose --context NAME}";
    LoginRefused = "login-refused",
        "the cluster rejects this login",
        "sign in to the cluster again: {kubectl auth whoami}";
    NotAllowed = "not-allowed",
        "this user is not allowed to read pods in namespace `{namespace}`",
        "{kubectl --namespace {namespace} create rolebinding {workload} --clusterrole=view \
         --user=USER}";
    KubectlFailed = "kubectl-failed",
        "kubectl failed",
        "{kubectl --namespace {namespace} get pods}";
    NamespaceMissing = "namespace-missing",
        "namespace `{namespace}` does not exist in this cluster",
        "{make deploy}; if it is in another cluster: {makeinfra diagnose --context NAME}";
    NotDeployed = "not-deployed",
        "nothing from this repository is deployed in namespace `{namespace}`",
        "{make deploy}";
    ScaledToZero = "scaled-to-zero",
        "{workload} is scaled to 0 pods",
        "{kubectl --namespace {namespace} scale deployment/{workload} --replicas=1}, or raise \
         replicas: in its manifest and {make deploy}";
    Suspended = "suspended",
        "{workload} is suspended and starts no pods",
        "{kubectl --namespace {namespace} edit cronjob {workload}}, and set suspend: false";

    QuotaExceeded = "quota-exceeded",
        "the quota of namespace `{namespace}` is used up",
        "{kubectl --namespace {namespace} describe quota}; lower replicas or resources.requests, \
         or ask for a larger quota";
    QuotaNeedsLimits = "quota-needs-limits",
        "the quota of namespace `{namespace}` requires resource requests or limits that the pods \
         do not set",
        "add the resources named in the message to the containers, then: {make deploy}";
    LimitRange = "limit-range",
        "the pods' resource requests or limits are outside the limit range of namespace \
         `{namespace}`",
        "{kubectl --namespace {namespace} describe limitrange}";
    PodSecurity = "pod-security",
        "namespace `{namespace}` rejects the pods: its Pod Security level does not allow what they \
         request",
        "set the fields named in the message in securityContext; or: {kubectl label namespace \
         {namespace} pod-security.kubernetes.io/enforce=baseline --overwrite}";
    ServiceAccountMissing = "service-account-missing",
        "the pods' service account does not exist in namespace `{namespace}`",
        "{kubectl --namespace {namespace} create serviceaccount NAME}, or correct \
         serviceAccountName";
    AdmissionRefused = "admission-refused",
        "the cluster refuses to create the pods",
        "the message names what refused; {kubectl --namespace {namespace} get events}";

    NodeNotReady = "node-not-ready",
        "a node that the pod needs is not ready",
        "{kubectl get nodes}; {kubectl describe node NAME}";
    NoNodeHasRoom = "no-node-has-room",
        "no node has room for the pod",
        "lower resources.requests or replicas; see {kubectl describe nodes | grep -A8 Allocated}";
    NodesTainted = "nodes-tainted",
        "every node has a taint that the pod does not tolerate",
        "{kubectl get nodes -o custom-columns=NAME:.metadata.name,TAINTS:.spec.taints}; then add \
         tolerations: to the pod";
    VolumeNotBound = "volume-not-bound",
        "a volume of the pod is missing or cannot be used on any node",
        "{kubectl --namespace {namespace} get persistentvolumeclaims}";
    NoNodeMatches = "no-node-matches",
        "no node has the labels that the pod requires",
        "{kubectl get nodes --show-labels}; then correct nodeSelector or affinity of the pod";
    NotScheduled = "not-scheduled",
        "no node accepts the pod",
        "{kubectl --namespace {namespace} describe pod {pod}}";

    NoPullSecretNamed = "no-pull-secret-named",
        "the pod names no pull secret, so the kubelet pulled without credentials",
        "add imagePullSecrets: [{name: gitlab}] beside `containers:`, then: {make deploy}";
    PodOlderThanAccount = "pod-older-than-service-account",
        "the pod was created before its service account named the pull secret; new pods get it",
        "{make restart}, or: {kubectl --namespace {namespace} delete pod {pod}}";
    SecretInAnotherNamespace = "secret-in-another-namespace",
        "the pull secret is for another namespace than the pod's, `{namespace}`",
        "set namespace: {namespace} in the Secret, then: {make gitlab-secret}";
    SecretMissing = "secret-missing",
        "the pull secret that the pod names does not exist in namespace `{namespace}`",
        "{make gitlab-secret}, then: {make restart}";
    SecretOutdated = "secret-outdated",
        "the pull secret in the cluster differs from the one in this repository",
        "{make gitlab-secret}, then: {make restart}";
    WrongType = "wrong-type",
        "the pull secret has a type that the kubelet ignores",
        "{makeinfra rotate} && {make deploy}";
    WrongWrapping = "wrong-wrapping",
        "the entries of the pull secret are not wrapped as its type requires",
        "{makeinfra rotate} && {make deploy}";
    AuthMalformed = "auth-malformed",
        "an entry of a pull secret is malformed, so the kubelet refuses all entries",
        "{makeinfra rotate} && {make deploy}";
    CredentialsMalformed = "credentials-malformed",
        "the user name or token in the pull secret is malformed",
        "{makeinfra rotate} && {make deploy}";
    NoUsableCredentials = "no-usable-credentials",
        "the pull secret contains no credentials that the kubelet can use",
        "{makeinfra rotate} && {make deploy}";
    RegistryKeyDoesNotMatch = "registry-key-does-not-match",
        "no registry key in the pull secret matches `{image}`",
        "{makeinfra rotate --registry HOST} && {make deploy}";
    TokenExpired = "token-expired",
        "the {token} has expired",
        "create a new {credential}, then: {makeinfra rotate --commit} && {make deploy}";
    SecretChangedSince = "secret-changed-since",
        "the kubelet had no credentials at its last attempt; the pull secret in the cluster has \
         them now",
        "{make restart}, or wait: the kubelet retries within five minutes";
    TokenRefused = "token-refused",
        "{server} refused the {token}: it is wrong, revoked or expired",
        "create a new {credential}, then: {makeinfra rotate --commit} && {make deploy}";
    TokenWithoutScope = "token-without-registry-scope",
        "GitLab refuses the sign-in: the token lacks the scope read_registry, or GitLab has banned \
         the node's address for an hour after failed sign-ins",
        "{makeinfra check --online}; if the token is valid, wait an hour; otherwise create a \
         deploy token with read_registry in GitLab, then: {makeinfra rotate --commit} && {make \
         deploy}";
    TokenDenied = "token-denied",
        "{server} denies the credential sent for `{image}`: it is not allowed to pull this image, \
         or it has expired",
        "grant it that permission, or create a new {credential}, then: {makeinfra rotate --commit} \
         && {make deploy}";
    TokenOfAnotherProject = "token-of-another-project",
        "the token is valid, but not for `{image}`: {elsewhere}, or the image's path is wrong",
        "create a {credential} for this image, then: {makeinfra rotate --commit} && {make deploy}";
    PulledAnonymously = "pulled-anonymously",
        "the kubelet found no credential for `{image}` and pulled anonymously: the name, \
         namespace, wrapping or registry key of the pull secret is wrong",
        "{makeinfra check}";
    BearerRefused = "bearer-token-refused",
        "{server} does not accept the bearer token that its own token service issued for `{image}`",
        "the bearer token may have expired during a long pull, and the kubelet retries; otherwise \
         ask the operators of the registry about its clock and its token service";
    PullDenied = "pull-denied",
        "{server} denies the pull of `{image}`: no credential was sent, the credential is not \
         allowed to pull it, or the image does not exist",
        "{makeinfra check --online}";
    AddressRefused = "address-refused",
        "{server} blocks the node's IP address, whatever the credential",
        "ask the operators of the registry to allow the nodes' addresses";
    RegistryPolicy = "registry-policy",
        "a policy of {server} forbids pulling `{image}`",
        "the message names the policy; ask the operators of the registry, or fix the image and \
         push it again";
    TagMissing = "tag-missing",
        "{server} does not have `{image}`",
        "{make set-image TAG=1.2.3} with a tag that exists, then: {make deploy}";
    InvalidImageName = "invalid-image-name",
        "`{image}` is not an image reference",
        "correct it in kubernetes/overlays/ENV/kustomization.yaml or in the workload, then: {make \
         deploy}";
    ImageNameTooShort = "image-name-too-short",
        "`{image}` names no registry, and the node has no default registry",
        "write the full name, docker.io/… for Docker Hub, then: {make deploy}";
    ImageNeverPulled = "image-never-pulled",
        "`{image}` is not on the node, and the pod forbids pulling it",
        "set imagePullPolicy: IfNotPresent in the container, then: {make deploy}";
    WrongPlatform = "wrong-platform",
        "`{image}` is not built for the node's CPU architecture or operating system",
        "{docker buildx build --platform linux/amd64,linux/arm64 --push .}; see {kubectl get nodes \
         -L kubernetes.io/arch,kubernetes.io/os}";
    FormatNotSupported = "format-not-supported",
        "the node's container runtime does not support the format of `{image}`",
        "build and push the image again with a current tool; {kubectl get nodes -o wide} shows the \
         runtimes";
    RateLimited = "rate-limited",
        "{server} limits requests: too many came from the nodes",
        "wait; for Docker Hub, add a pull secret with its own login, or mirror the image";
    PullThrottled = "pull-throttled",
        "the kubelet throttles the pull of `{image}`: too many images at once",
        "wait, or ask the operators of the nodes to raise registryPullQPS and registryBurst of the \
         kubelet";
    ProxyWantsLogin = "proxy-wants-login",
        "the node's proxy requires a user name and password (407) for connections to `{host}`",
        "ask the operators of the nodes to put a valid login into the container runtime's \
         HTTPS_PROXY, or the registry into NO_PROXY";
    ProxyMalformed = "proxy-malformed",
        "the proxy address configured on the node is malformed",
        "ask the operators of the nodes to set the container runtime's HTTPS_PROXY to a URL like \
         http://proxy.example.com:3128, without quotes and with special characters of a password \
         percent-encoded";
    ProxyUnknown = "proxy-unknown",
        "the node cannot resolve the host name of its proxy `{host}`",
        "ask the operators of the nodes to correct the container runtime's HTTPS_PROXY; a fully \
         qualified name or an IP address works";
    ProxyWithoutTls = "proxy-without-tls",
        "the node's proxy uses plain HTTP, but the node connects to it with HTTPS",
        "ask the operators of the nodes to let the container runtime's HTTPS_PROXY begin with \
         http:// for such a proxy";
    ProxyUnreachable = "proxy-unreachable",
        "the node cannot reach its proxy for connections to `{host}`",
        "ask the operators of the nodes to correct the container runtime's HTTPS_PROXY, or to add \
         the registry to NO_PROXY";
    ProxyRefuses = "proxy-refuses",
        "the node's proxy refuses to connect to `{host}`",
        "ask the operators of the proxy to allow this host, or those of the nodes to add it to the \
         container runtime's NO_PROXY";
    HostUnknown = "host-unknown",
        "the node's DNS server does not know the host `{host}`",
        "check the spelling of the host; otherwise ask the operators of the nodes about their DNS \
         server {resolver}";
    NameServerFails = "name-server-fails",
        "the node cannot resolve `{host}`: its DNS server {resolver} does not answer or fails",
        "ask the operators of the nodes about /etc/resolv.conf and the DNS server {resolver}; the \
         kubelet keeps retrying";
    CertificateExpired = "certificate-expired",
        "the certificate of {server} has expired or is not valid yet, by the node's clock",
        "ask the operators of {server} to renew it; if it is valid, the node's clock is wrong";
    CertificateOfAnotherName = "certificate-of-another-name",
        "the certificate of {server} is for another host name",
        "use the name shown in the message, or ask the operators of {server} for a certificate \
         with the name `{host}`; a gateway in between may also have answered";
    CertificateWithoutAddress = "certificate-without-address",
        "the certificate of {server} does not contain the IP address that the node connects to",
        "use the host name in the image reference, or ask the operators of the host for a \
         certificate with the address (IP SAN)";
    CertificateUntrusted = "certificate-untrusted",
        "the node does not trust the certificate authority (CA) of {server}",
        "install that CA on every node: /etc/containerd/certs.d, /etc/docker/certs.d, or the \
         node's trust store";
    CertificateRefused = "certificate-refused",
        "the node does not accept the certificate of {server}",
        "the message says why; ask the operators of {server}";
    RegistryWithoutTls = "registry-without-tls",
        "{server} uses plain HTTP, but the node connects with HTTPS",
        "give it a certificate, or configure the container runtime of every node to use plain HTTP";
    RegistryWantsTls = "registry-wants-tls",
        "{server} uses HTTPS, but the node connects with plain HTTP",
        "remove http:// for this host from the container runtime's configuration on every node";
    TlsFails = "tls-fails",
        "the node and {server} cannot agree on TLS",
        "the message says why; ask the operators of {server} and of the nodes' proxy";
    NotARegistry = "not-a-registry",
        "{server} answered with a web page: a gateway, a firewall or a login page is in between",
        "check the host and path of the image; otherwise ask the operators of the gateway in front \
         of {server}";
    MirrorRefuses = "mirror-refuses",
        "{server}, which the node uses instead of the registry, refuses `{image}`; pull secrets do \
         not apply to mirrors",
        "ask the operators of the nodes: credentials for a mirror belong in the container \
         runtime's configuration (hosts.toml, registries.yaml)";
    MirrorUnreachable = "mirror-unreachable",
        "the node cannot reach {server}, which it uses instead of the registry of `{image}`",
        "ask the operators of the nodes about the mirrors in the container runtime's configuration \
         (hosts.toml, registries.yaml)";
    MirrorFails = "mirror-fails",
        "{server}, which the node uses instead of the registry, does not deliver `{image}`",
        "ask the operators of the nodes about the mirrors in the container runtime's configuration \
         (hosts.toml, registries.yaml)";
    TokenServiceBroken = "token-service-fails",
        "{server}, which the registry of `{image}` uses for sign-ins, fails",
        "ask the operators of the registry; the kubelet keeps retrying";
    StorageRefuses = "storage-refuses",
        "{server} refuses to deliver a layer of `{image}`, although the registry sent the node \
         there",
        "ask the operators of the registry about its storage: a signed link that expires too \
         early, a wrong clock, or a firewall in between";
    LayerMissing = "layer-missing",
        "{server} lacks a part of `{image}`, although the tag exists",
        "push the image again; otherwise ask the operators of the registry";
    StorageUnreachable = "storage-unreachable",
        "the node cannot reach {server}, which delivers the layers of `{image}`",
        "ask the operators of the nodes to allow connections to `{host}` as well as to the \
         registry";
    DownloadBroken = "download-broken",
        "the download of `{image}` from {server} was interrupted",
        "the kubelet retries; if it keeps failing, ask the operators of the nodes about proxy, MTU \
         and timeouts in between";
    StorageFails = "storage-fails",
        "{server} does not deliver a layer of `{image}`",
        "ask the operators of the registry about its storage; the kubelet keeps retrying";
    RegistryRefuses = "registry-refuses",
        "{server} refuses the node's connections",
        "check the host and port of the image; otherwise ask the operators of the registry or of \
         the nodes' firewall";
    RegistryTimeout = "registry-timeout",
        "the node cannot reach {server}, or not in time",
        "ask the operators of the nodes about firewall and proxy; the kubelet keeps retrying";
    ConnectionBroken = "connection-broken",
        "{server} closed the connection without an answer",
        "ask the operators of the nodes about firewall and proxy, or those of the registry; the \
         kubelet keeps retrying";
    RegistryBroken = "registry-broken",
        "{server} answers with a server error",
        "ask the operators of the registry; the kubelet keeps retrying";
    NodeDiskFull = "node-disk-full",
        "the node's disk is full",
        "{kubectl describe node NAME}; the kubelet removes unused images by itself";
    ImageDamaged = "image-damaged",
        "the content of `{image}` does not match its digest: it was damaged in transit or on the \
         node",
        "push the image again; otherwise ask the operators of the nodes to remove it from the node \
         and to check proxy and mirror";
    UnpackFailed = "unpack-failed",
        "the node's container runtime cannot unpack or store `{image}`",
        "the message says why; ask the operators of the nodes about the runtime's disk, file \
         system and permissions";
    StoreDamaged = "image-store-damaged",
        "the node's container runtime cannot read its own copy of `{image}`",
        "ask the operators of the nodes to remove the image there (crictl rmi), so that it is \
         pulled again";
    RuntimeDown = "runtime-down",
        "the container runtime of the node does not answer",
        "{kubectl get nodes}; ask the operators of the nodes about their container runtime";
    PullLocked = "pull-locked",
        "another pull on the node has locked a layer of `{image}`; it is still running, or it \
         hangs",
        "the kubelet retries; if it keeps failing, ask the operators of the nodes to restart their \
         container runtime";
    PullGivenUp = "pull-given-up",
        "the pull of `{image}` was canceled before it finished",
        "the kubelet retries; if it keeps failing, make the image smaller, or ask the operators of \
         the nodes about network and disk";
    ImageNotSigned = "image-not-signed",
        "the node's signature policy rejects `{image}`",
        "sign the image, or ask the operators of the nodes about their policy.json";
    PullFailed = "pull-failed",
        "`{image}` could not be pulled",
        "{makeinfra check --online}";

    RunsAsRoot = "runs-as-root",
        "`{image}` runs as root, which the pod's security context forbids",
        "give the image a numeric USER, or set runAsUser: 1000 beside runAsNonRoot; to allow root \
         from the start: {makeinfra new --pod-security baseline}";
    UserNotNumeric = "user-not-numeric",
        "the USER of `{image}` is a name, so the kubelet cannot tell whether it is root",
        "set runAsUser: to its numeric id beside runAsNonRoot in the workload, then: {make deploy}";
    ConfigMapMissing = "config-map-missing",
        "a config map that the pod needs does not exist in namespace `{namespace}`",
        "add it to kubernetes/ and to its kustomization.yaml, then: {make deploy}";
    AppSecretMissing = "secret-for-pod-missing",
        "a Secret that the pod needs does not exist in namespace `{namespace}`",
        "{makeinfra secret list}; then: {makeinfra secret set NAME KEY}, or correct the name in \
         the workload, and {make deploy}";
    KeyMissing = "key-missing",
        "a config map or Secret lacks a key that the pod needs",
        "{makeinfra secret set NAME KEY}, or correct the key in the workload or the config map; \
         then: {make deploy}";
    MountFailed = "mount-failed",
        "a volume of the pod cannot be mounted",
        "{kubectl --namespace {namespace} describe pod {pod}}";
    PodNetworkFailed = "pod-network-failed",
        "the node cannot set up the pod's network",
        "{kubectl --namespace {namespace} describe pod {pod}}; ask the operators of the nodes \
         about their network plugin";
    RuntimeHandlerMissing = "runtime-handler-missing",
        "the node lacks the runtime that the pod's runtimeClassName requires",
        "{kubectl get runtimeclasses}; correct runtimeClassName: in the workload, or ask the \
         operators of the nodes to set up that runtime";
    SandboxFailed = "sandbox-failed",
        "the node cannot create the pod's sandbox",
        "{kubectl --namespace {namespace} describe pod {pod}}; ask the operators of the nodes \
         about their container runtime";
    NodeProgramMissing = "node-program-missing",
        "a program that the container runtime needs is missing on the node",
        "the message names it; ask the operators of the nodes to install it";
    CommandNotFound = "command-not-found",
        "the command was not found in the image",
        "correct command: or args: in the workload, or ENTRYPOINT in the image";
    CommandNotExecutable = "command-not-executable",
        "the command in the image is not executable",
        "set mode 0755 when building the image, for the user that it runs as";
    CannotStart = "container-cannot-start",
        "the container cannot be started",
        "{kubectl --namespace {namespace} describe pod {pod}}";
    OutOfMemory = "out-of-memory",
        "container `{container}` needs more memory than its limit",
        "raise resources.limits.memory in the workload, then: {make deploy}";
    ProbeFailing = "probe-failing",
        "a probe of container `{container}` is failing",
        "compare the probe's port and path with those of the application; {kubectl --namespace \
         {namespace} logs {pod}}";
    CrashLoop = "crash-loop",
        "container `{container}` crashes repeatedly with exit code {code}",
        "{kubectl --namespace {namespace} logs {pod} --container {container} --previous}; \
         \"Read-only file system\" means that it writes outside /tmp, \"exec format error\" that \
         it is built for another CPU architecture";
    ContainerFailed = "container-failed",
        "container `{container}` exited with code {code}",
        "{kubectl --namespace {namespace} logs {pod} --container {container}}";
    JobFailed = "job-failed",
        "the Job failed, and none of its pods is left to tell why",
        "{kubectl --namespace {namespace} describe job {workload}}";
    EndsAtOnce = "ends-at-once",
        "container `{container}` finishes and exits with code 0, but its workload must stay up",
        "use a command: that stays in the foreground, or a Job instead of the workload";
    Evicted = "evicted",
        "the node evicted the pod",
        "{kubectl describe node NAME}; raise resources.requests to what the pod uses";
    RolloutStalled = "rollout-stalled",
        "the rollout of {workload} did not finish in time, and no message says why",
        "{kubectl --namespace {namespace} describe pods}";
    NoPods = "no-pods",
        "the evidence contains no pods of this repository",
        "{kubectl --namespace {namespace} get pods,events -o json > FILE}, then: {makeinfra \
         diagnose --events FILE}";
    Unexplained = "unexplained",
        "the pod is not running, and no known cause matches",
        "{kubectl --namespace {namespace} describe pod {pod}}";

    FurtherSecretMissing = "further-secret-missing",
        "a pull secret that the pod names does not exist in namespace `{namespace}`; this may not \
         be why the pull fails",
        "{make gitlab-secret}, or remove its name from imagePullSecrets: in the workload, then: \
         {make deploy}";
    PullSlow = "pull-slow",
        "the pull of `{image}` has been running for {age}",
        "wait, or make the image smaller";
    OnTheWay = "on-the-way",
        "the pod has been starting for {age}",
        "wait, then: {makeinfra diagnose}";
    Repository = "repository",
        "the repository has a problem that has not affected a pod yet",
        "{makeinfra check}";
    NotRead = "not-read",
        "some of the evidence could not be read",
        "{kubectl auth can-i --list --namespace {namespace}}";
}

impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

#[cfg(test)]
mod tests;
