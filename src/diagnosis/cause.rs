//! The causes why pods do not run. Their identifiers are part of the interface, because scripts
//! read them in `--json`. Each has a sentence and a hint. Does not know how a cause is detected.
//!
//! `{…}` stands for a value of the finding: see [`super::Fill`].

#[macro_use]
mod declare;

use serde::{Serialize, Serializer};

causes! {
    KubectlMissing = "kubectl-missing",
        "kubectl could not be run",
        "install kubectl, or say where it is: KUBECTL=/path/to/kubectl {makeinfra diagnose}";
    ContextMissing = "context-missing",
        "kubectl has no such context",
        "{kubectl config get-contexts}, then: {makeinfra diagnose --context NAME}";
    ClusterUnreachable = "cluster-unreachable",
        "the cluster does not answer",
        "{kubectl config get-contexts}; another one: {makeinfra diagnose --context NAME}";
    LoginRefused = "login-refused",
        "the cluster does not accept this login",
        "sign in to the cluster again: {kubectl auth whoami}";
    NotAllowed = "not-allowed",
        "this user may not read the pods of namespace `{namespace}`",
        "{kubectl --namespace {namespace} create rolebinding {workload} --clusterrole=view \
         --user=USER}";
    KubectlFailed = "kubectl-failed",
        "kubectl failed",
        "{kubectl --namespace {namespace} get pods}";
    NamespaceMissing = "namespace-missing",
        "this cluster has no namespace `{namespace}`",
        "{make deploy}; if it is another cluster's: {makeinfra diagnose --context NAME}";
    NotDeployed = "not-deployed",
        "namespace `{namespace}` has nothing of this repository",
        "{make deploy}";
    ScaledToZero = "scaled-to-zero",
        "{workload} is scaled to 0 pods",
        "{kubectl --namespace {namespace} scale deployment/{workload} --replicas=1}, or replicas: \
         in its manifest and {make deploy}";
    Suspended = "suspended",
        "{workload} is suspended and starts nothing",
        "{kubectl --namespace {namespace} edit cronjob {workload}}, and there: suspend: false";

    QuotaExceeded = "quota-exceeded",
        "the quota of namespace `{namespace}` is used up",
        "{kubectl --namespace {namespace} describe quota}; then lower replicas or \
         resources.requests, or ask for a larger quota";
    QuotaNeedsLimits = "quota-needs-limits",
        "the quota of namespace `{namespace}` wants requests or limits that the pods do not name",
        "add the resources that the text names to the containers, then: {make deploy}";
    LimitRange = "limit-range",
        "the requests or limits of the pods are outside of what namespace `{namespace}` allows",
        "{kubectl --namespace {namespace} describe limitrange}";
    PodSecurity = "pod-security",
        "namespace `{namespace}` refuses the pods: they ask for more than its pod security level \
         allows",
        "set what the text names in securityContext; or: {kubectl label namespace {namespace} \
         pod-security.kubernetes.io/enforce=baseline --overwrite}";
    ServiceAccountMissing = "service-account-missing",
        "the pods' service account does not exist in namespace `{namespace}`",
        "{kubectl --namespace {namespace} create serviceaccount NAME}, or correct \
         serviceAccountName";
    AdmissionRefused = "admission-refused",
        "the cluster refuses to create the pods",
        "the text says who refused; {kubectl --namespace {namespace} get events}";

    NodeNotReady = "node-not-ready",
        "a node that the pod needs is not ready",
        "{kubectl get nodes}; {kubectl describe node NAME}";
    NoNodeHasRoom = "no-node-has-room",
        "no node has room for the pod",
        "lower resources.requests or replicas; {kubectl describe nodes | grep -A8 Allocated}";
    NodesTainted = "nodes-tainted",
        "every node has a taint that the pod does not tolerate",
        "{kubectl get nodes -o custom-columns=NAME:.metadata.name,TAINTS:.spec.taints}; then \
         tolerations: in the pod";
    VolumeNotBound = "volume-not-bound",
        "a volume of the pod is not there or cannot be used on any node",
        "{kubectl --namespace {namespace} get persistentvolumeclaims}";
    NoNodeMatches = "no-node-matches",
        "no node has the labels that the pod asks for",
        "{kubectl get nodes --show-labels}; then nodeSelector and affinity in the pod";
    NotScheduled = "not-scheduled",
        "no node takes the pod",
        "{kubectl --namespace {namespace} describe pod {pod}}";

    NoPullSecretNamed = "no-pull-secret-named",
        "the pod names no pull secret, so the kubelet pulled without credentials",
        "imagePullSecrets: [{name: gitlab}] beside `containers:`, then: {make deploy}";
    PodOlderThanAccount = "pod-older-than-service-account",
        "the pod is older than the pull secret of its service account, which new pods get",
        "{make restart}, or: {kubectl --namespace {namespace} delete pod {pod}}";
    SecretInAnotherNamespace = "secret-in-another-namespace",
        "the pull secret is made for another namespace than the pod's, `{namespace}`",
        "namespace: {namespace} in the Secret, then: {make gitlab-secret}";
    SecretMissing = "secret-missing",
        "the pull secret that the pod names is not in namespace `{namespace}`",
        "{make gitlab-secret}, then: {make restart}";
    SecretOutdated = "secret-outdated",
        "the pull secret in the cluster is not the one of this repository",
        "{make gitlab-secret}, then: {make restart}";
    WrongType = "wrong-type",
        "the pull secret has a type that the kubelet ignores",
        "{makeinfra rotate} && {make deploy}";
    WrongWrapping = "wrong-wrapping",
        "the entries of the pull secret are not wrapped as its type wants",
        "{makeinfra rotate} && {make deploy}";
    AuthMalformed = "auth-malformed",
        "an entry of a pull secret is malformed, and the kubelet then refuses them all",
        "{makeinfra rotate} && {make deploy}";
    CredentialsMalformed = "credentials-malformed",
        "the credentials in the pull secret are not as they were copied",
        "{makeinfra rotate} && {make deploy}";
    NoUsableCredentials = "no-usable-credentials",
        "the pull secret has no credentials that the kubelet can use",
        "{makeinfra rotate} && {make deploy}";
    RegistryKeyDoesNotMatch = "registry-key-does-not-match",
        "no registry key in the pull secret matches `{image}`",
        "{makeinfra rotate --registry HOST} && {make deploy}";
    TokenExpired = "token-expired",
        "the {token} has expired",
        "make a new {credential}, then: {makeinfra rotate --commit} && {make deploy}";
    SecretChangedSince = "secret-changed-since",
        "the kubelet had no credential at its last try, and the pull secret in the cluster has one \
         now",
        "{make restart}, or wait: the kubelet tries again within five minutes";
    TokenRefused = "token-refused",
        "{server} refused the {token}: it is wrong, was revoked or has expired",
        "make a new {credential}, then: {makeinfra rotate --commit} && {make deploy}";
    TokenWithoutScope = "token-without-registry-scope",
        "GitLab refuses the sign-in: the token lacks the scope read_registry, or GitLab has banned \
         the node's address for an hour after refused sign-ins",
        "{makeinfra check --online}; if the token is good, wait an hour; else make a deploy token \
         with read_registry in GitLab, then: {makeinfra rotate --commit} && {make deploy}";
    TokenDenied = "token-denied",
        "a credential was sent for `{image}`, and {server} denies it: it has no right to pull this \
         image, or has expired",
        "give it that right, or make a new {credential}, then: {makeinfra rotate --commit} && \
         {make deploy}";
    TokenOfAnotherProject = "token-of-another-project",
        "the token is valid, but not for `{image}`: {elsewhere}, or the image's path is wrong",
        "make a {credential} for this image, then: {makeinfra rotate --commit} && {make deploy}";
    PulledAnonymously = "pulled-anonymously",
        "the kubelet found no credential for `{image}` and pulled without one: name, namespace, \
         wrapping or registry key of the pull secret are wrong",
        "{makeinfra check}";
    BearerRefused = "bearer-token-refused",
        "{server} does not accept the pass that its own token service issued for `{image}`",
        "the pass ends with a pull that is too long, and the kubelet tries again; else ask who \
         runs the registry about its clock and its token service";
    PullDenied = "pull-denied",
        "{server} denies the pull of `{image}`: no credential for it was sent, or one that may not \
         pull it, or there is no such image",
        "{makeinfra check --online}";
    AddressRefused = "address-refused",
        "{server} refuses the address from which the node asks, whatever the credential",
        "ask who runs the registry to let the nodes' addresses through its firewall";
    RegistryPolicy = "registry-policy",
        "a rule of {server} forbids to pull `{image}`",
        "the text names the rule; ask who runs the registry, or mend the image and push it again";
    TagMissing = "tag-missing",
        "{server} finds no `{image}`",
        "{make set-image TAG=1.2.3} with a tag that exists, then: {make deploy}";
    InvalidImageName = "invalid-image-name",
        "`{image}` is not an image reference",
        "correct it in kubernetes/overlays/ENV/kustomization.yaml or the workload, then: {make \
         deploy}";
    ImageNameTooShort = "image-name-too-short",
        "`{image}` names no registry, and the node does not guess one",
        "write it in full, docker.io/… for Docker Hub, then: {make deploy}";
    ImageNeverPulled = "image-never-pulled",
        "`{image}` is not on the node, and the pod forbids to pull it",
        "imagePullPolicy: IfNotPresent in the container, then: {make deploy}";
    WrongPlatform = "wrong-platform",
        "`{image}` is not built for the node's processor or system",
        "{docker buildx build --platform linux/amd64,linux/arm64 --push .}; {kubectl get nodes -L \
         kubernetes.io/arch,kubernetes.io/os}";
    FormatNotSupported = "format-not-supported",
        "the node's container runtime cannot read the format of `{image}`",
        "build and push the image again with a current tool; {kubectl get nodes -o wide} names the \
         runtimes";
    RateLimited = "rate-limited",
        "{server} had too many requests from the nodes and makes them wait",
        "wait; Docker Hub: sign in with a pull secret of its own, or mirror the image";
    PullThrottled = "pull-throttled",
        "the kubelet itself holds the pull of `{image}` back: too many images at once",
        "wait; ask who runs the nodes about registryPullQPS and registryBurst of the kubelet";
    ProxyWantsLogin = "proxy-wants-login",
        "the node's proxy wants a user name and a password (407) before it lets anything through \
         to `{host}`",
        "ask who runs the nodes: HTTPS_PROXY of the container runtime needs a login that works, or \
         NO_PROXY the registry";
    ProxyMalformed = "proxy-malformed",
        "the address that the node has for its proxy cannot be read",
        "ask who runs the nodes: HTTPS_PROXY of the container runtime is a URL like \
         http://proxy.example.com:3128, without quotes, and special letters of a password are \
         written as in URLs";
    ProxyUnknown = "proxy-unknown",
        "the node cannot look up the name of its own proxy `{host}`",
        "ask who runs the nodes: HTTPS_PROXY of the container runtime names the proxy, and its \
         full name or address works";
    ProxyWithoutTls = "proxy-without-tls",
        "the node's proxy speaks plain http, and the node wants https of it",
        "ask who runs the nodes: HTTPS_PROXY of the container runtime must begin with http:// for \
         such a proxy";
    ProxyUnreachable = "proxy-unreachable",
        "the node does not reach its proxy, through which it should ask `{host}`",
        "ask who runs the nodes: HTTPS_PROXY of the container runtime names a proxy that is off or \
         elsewhere, or NO_PROXY lacks the registry";
    ProxyRefuses = "proxy-refuses",
        "the node's proxy does not open the way to `{host}`",
        "ask who runs the proxy to allow this host, or who runs the nodes to add it to NO_PROXY of \
         the container runtime";
    HostUnknown = "host-unknown",
        "the node's name server (DNS) knows no host `{host}`",
        "look at the host's spelling; else ask who runs the nodes about their name server \
         {resolver}";
    NameServerFails = "name-server-fails",
        "the node cannot look up `{host}`: its name server (DNS) {resolver} does not answer, or \
         fails",
        "ask who runs the nodes about /etc/resolv.conf and the name server {resolver}; the kubelet \
         goes on trying";
    CertificateExpired = "certificate-expired",
        "the certificate of {server} has expired or is not valid yet, by the node's clock",
        "ask who runs {server} to renew the certificate; if it is good, the node's clock is wrong";
    CertificateOfAnotherName = "certificate-of-another-name",
        "the certificate of {server} is made for another name",
        "use the name that the text tells, or ask who runs {server} for a certificate with the \
         name `{host}`; a gateway in between may also answer in its place";
    CertificateWithoutAddress = "certificate-without-address",
        "the certificate of {server} does not name the IP address by which it is asked",
        "use the host's name in the image, or ask who runs it for a certificate with the address \
         (an IP SAN)";
    CertificateUntrusted = "certificate-untrusted",
        "the node does not trust the authority that signed the certificate of {server}",
        "give the container runtime of every node that authority: /etc/containerd/certs.d, \
         /etc/docker/certs.d, or the node's own list";
    CertificateRefused = "certificate-refused",
        "the node does not accept the certificate of {server}",
        "the text says why; ask who runs {server}";
    RegistryWithoutTls = "registry-without-tls",
        "{server} speaks plain http, and the node wants https",
        "give it a certificate, or tell the container runtime of every node that it has none";
    RegistryWantsTls = "registry-wants-tls",
        "{server} speaks https, and the node asks in plain http",
        "take http:// for this host out of the container runtime's configuration on every node";
    TlsFails = "tls-fails",
        "the node and {server} cannot agree on TLS",
        "the text says why; ask who runs {server}, and the nodes' proxy";
    NotARegistry = "not-a-registry",
        "a web page came where {server} should have answered: a gateway, a firewall or a login \
         page speaks in its place",
        "look at host and path of the image; else ask who runs what stands in front of {server}";
    MirrorRefuses = "mirror-refuses",
        "{server}, which the node asks in place of the registry, refuses `{image}`; a pull secret \
         is not for mirrors",
        "ask who runs the nodes: credentials of a mirror belong into the container runtime's \
         configuration (hosts.toml, registries.yaml)";
    MirrorUnreachable = "mirror-unreachable",
        "the node does not reach {server}, which it asks in place of the registry of `{image}`",
        "ask who runs the nodes about the mirrors in the container runtime's configuration \
         (hosts.toml, registries.yaml)";
    MirrorFails = "mirror-fails",
        "{server}, which the node asks in place of the registry, does not deliver `{image}`",
        "ask who runs the nodes about the mirrors in the container runtime's configuration \
         (hosts.toml, registries.yaml)";
    TokenServiceBroken = "token-service-fails",
        "{server}, to which the registry of `{image}` sends for a sign-in, fails",
        "ask who runs the registry; the kubelet goes on trying";
    StorageRefuses = "storage-refuses",
        "{server} refuses the download of a layer of `{image}`, though the registry sent the node \
         there",
        "ask who runs the registry about its storage: a signed link that expires too early, a \
         wrong clock, or a firewall in between";
    LayerMissing = "layer-missing",
        "{server} lacks a part of `{image}`, though the tag is there",
        "push the image again; else ask who runs the registry";
    StorageUnreachable = "storage-unreachable",
        "the node does not reach {server}, from where the layers of `{image}` come",
        "ask who runs the nodes to let them through to `{host}`, too: the registry alone is not \
         enough";
    DownloadBroken = "download-broken",
        "the download of `{image}` from {server} broke off",
        "the kubelet tries again; if it goes on, ask who runs the nodes about proxy, MTU and time \
         limits in between";
    StorageFails = "storage-fails",
        "{server} does not deliver a layer of `{image}`",
        "ask who runs the registry about its storage; the kubelet goes on trying";
    RegistryRefuses = "registry-refuses",
        "nothing listens where the node looks for {server}",
        "look at host and port of the image; else ask who runs the registry, or the nodes' \
         firewall";
    RegistryTimeout = "registry-timeout",
        "the node does not reach {server}, or not in time",
        "ask who runs the nodes about firewall and proxy; the kubelet goes on trying";
    ConnectionBroken = "connection-broken",
        "{server} ended the connection without an answer",
        "ask who runs the nodes about firewall and proxy, or who runs the registry; the kubelet \
         goes on trying";
    RegistryBroken = "registry-broken",
        "{server} fails",
        "ask who runs the registry; the kubelet goes on trying";
    NodeDiskFull = "node-disk-full",
        "the node's disk is full",
        "{kubectl describe node NAME}; the kubelet frees unused images by itself";
    ImageDamaged = "image-damaged",
        "what came for `{image}` is not what its digest says: it was damaged on the way or on the \
         node",
        "push the image again; else ask who runs the nodes to remove it from the node and to look \
         at proxy and mirror";
    UnpackFailed = "unpack-failed",
        "the node's container runtime cannot unpack or store `{image}`",
        "the text says why; ask who runs the nodes about the runtime's disk, file system and \
         rights";
    StoreDamaged = "image-store-damaged",
        "the node's container runtime cannot read what it has of `{image}`",
        "ask who runs the nodes to remove the image there (crictl rmi), so that it is pulled again";
    RuntimeDown = "runtime-down",
        "the container runtime of the node does not answer",
        "{kubectl get nodes}; ask who runs the nodes about their container runtime";
    PullLocked = "pull-locked",
        "another pull holds a layer of `{image}` on the node: it goes on, or hangs",
        "the kubelet tries again; if it goes on, ask who runs the nodes to restart their container \
         runtime";
    PullGivenUp = "pull-given-up",
        "the pull of `{image}` was given up before it was done",
        "the kubelet tries again; if it goes on, make the image smaller, or ask who runs the nodes \
         about network and disk";
    ImageNotSigned = "image-not-signed",
        "the node's policy refuses the signature of `{image}`",
        "sign the image, or ask who runs the nodes about their policy.json";
    PullFailed = "pull-failed",
        "`{image}` could not be pulled",
        "{makeinfra check --online}";

    RunsAsRoot = "runs-as-root",
        "`{image}` runs as root, which the pod's security context refuses",
        "give the image a numeric USER; or runAsUser: 1000 beside runAsNonRoot; or begin with: \
         {makeinfra new --pod-security baseline}";
    UserNotNumeric = "user-not-numeric",
        "the USER of `{image}` is a name, and the kubelet cannot tell whether that is root",
        "its number as runAsUser: beside runAsNonRoot in the workload, then: {make deploy}";
    ConfigMapMissing = "config-map-missing",
        "a config map that the pod needs is not in namespace `{namespace}`",
        "add it to kubernetes/ and its kustomization.yaml, then: {make deploy}";
    AppSecretMissing = "secret-for-pod-missing",
        "a Secret that the pod needs is not in namespace `{namespace}`",
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
        "the node cannot make the pod's network",
        "{kubectl --namespace {namespace} describe pod {pod}}; ask who runs the nodes about their \
         network plugin";
    RuntimeHandlerMissing = "runtime-handler-missing",
        "the node has no runtime of the kind that the pod's runtimeClassName asks for",
        "{kubectl get runtimeclasses}; correct runtimeClassName: in the workload, or ask who runs \
         the nodes to set that runtime up";
    SandboxFailed = "sandbox-failed",
        "the node cannot make the pod's sandbox",
        "{kubectl --namespace {namespace} describe pod {pod}}; ask who runs the nodes about their \
         container runtime";
    NodeProgramMissing = "node-program-missing",
        "a program is missing on the node that its container runtime runs",
        "the text names it; ask who runs the nodes to install it";
    CommandNotFound = "command-not-found",
        "the command is not in the image",
        "correct command: and args: in the workload, or ENTRYPOINT in the image";
    CommandNotExecutable = "command-not-executable",
        "the command in the image may not be executed",
        "mode 0755 in the image's build, for the user that it runs as";
    CannotStart = "container-cannot-start",
        "the container cannot be started",
        "{kubectl --namespace {namespace} describe pod {pod}}";
    OutOfMemory = "out-of-memory",
        "container `{container}` needs more memory than its limit",
        "raise resources.limits.memory in the workload, then: {make deploy}";
    ProbeFailing = "probe-failing",
        "a probe of container `{container}` fails",
        "compare port and path of the probe with where the application listens; {kubectl \
         --namespace {namespace} logs {pod}}";
    CrashLoop = "crash-loop",
        "container `{container}` starts and ends again, with exit code {code}",
        "{kubectl --namespace {namespace} logs {pod} --container {container} --previous}; there \
         \"Read-only file system\": it writes outside of /tmp, \"exec format error\": it is built \
         for another processor";
    ContainerFailed = "container-failed",
        "container `{container}` ended with exit code {code}",
        "{kubectl --namespace {namespace} logs {pod} --container {container}}";
    JobFailed = "job-failed",
        "the Job failed, and no pod is left that tells why",
        "{kubectl --namespace {namespace} describe job {workload}}";
    EndsAtOnce = "ends-at-once",
        "container `{container}` does its work and ends, which a workload that should stay up must \
         not",
        "a command: that stays in the foreground; or a Job in place of the workload";
    Evicted = "evicted",
        "the node threw the pod out",
        "{kubectl describe node NAME}; then raise resources.requests to what the pod uses";
    RolloutStalled = "rollout-stalled",
        "the rollout of {workload} did not finish in time, and nothing tells why",
        "{kubectl --namespace {namespace} describe pods}";
    NoPods = "no-pods",
        "the evidence has no pods that could be of this repository",
        "{kubectl --namespace {namespace} get pods,events -o json > FILE}, then: {makeinfra \
         diagnose --events FILE}";
    Unexplained = "unexplained",
        "the pod does not run, and nothing that is known here tells why",
        "{kubectl --namespace {namespace} describe pod {pod}}";

    FurtherSecretMissing = "further-secret-missing",
        "a pull secret that the pod names is not in namespace `{namespace}`, which need not be why \
         the pull fails",
        "{make gitlab-secret}, or take its name out of imagePullSecrets: in the workload, then: \
         {make deploy}";
    PullSlow = "pull-slow",
        "`{image}` is being pulled since {age}",
        "wait, or make the image smaller";
    OnTheWay = "on-the-way",
        "the pod is on its way since {age}",
        "wait, then: {makeinfra diagnose}";
    Repository = "repository",
        "the repository has a problem that no pod has met yet",
        "{makeinfra check}";
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
mod tests;
