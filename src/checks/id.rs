//! The names of the checks. They are part of the interface: scripts read them in `--json`.

use serde::{Serialize, Serializer};

/// Declares the ids with their texts and documentation in one place.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A check.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Id {
            $($(#[$doc])* $name,)*
        }

        impl Id {
            /// All checks, in the order of display.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The stable identifier.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

ids! {
    /// `.gitattributes` gives every secret file to git-crypt.
    SecretsCovered = "secrets-covered",
    /// The filter is configured and required.
    SecretsFilter = "secrets-filter",
    /// The clone has the key, and it is the right one.
    SecretsKey = "secrets-key",
    /// No secret file is plaintext in the index.
    SecretsIndex = "secrets-index",
    /// Nor in HEAD.
    SecretsHead = "secrets-head",
    /// Nor in any other commit.
    SecretsHistory = "secrets-history",
    /// No merge left a secret file with two versions.
    SecretsMerged = "secrets-merged",
    /// A kustomization names every file below `secrets/`.
    SecretsListed = "secrets-listed",
    /// kustomize makes of env files what they seem to say.
    SecretsGenerated = "secrets-generated",
    /// Only their owner can read plain secret files and keys.
    SecretsMode = "secrets-mode",
    /// No git-crypt key lies in the work tree.
    KeyInWorkTree = "key-in-work-tree",
    /// git refuses commits with plaintext secrets.
    CommitHook = "commit-hook",
    /// The index has nothing that a commit has replaced.
    IndexCurrent = "index-current",
    /// There is a pull secret, and it can be read.
    PullSecretPresent = "pull-secret-present",
    /// Its type and its data key agree.
    PullSecretType = "pull-secret-type",
    /// Its entries are wrapped as its type wants.
    PullSecretWrapping = "pull-secret-wrapping",
    /// `auth` is well formed and equals user name and token.
    PullSecretAuth = "pull-secret-auth",
    /// There are credentials, of a kind that lasts.
    PullSecretCredentials = "pull-secret-credentials",
    /// Its name is the one that the workloads name.
    PullSecretName = "pull-secret-name",
    /// It is in the workloads' namespace.
    PullSecretNamespace = "pull-secret-namespace",
    /// The kubelet finds an entry for every image.
    PullSecretMatchesImages = "pull-secret-matches-images",
    /// git has its token in no other file in plaintext.
    PullSecretExposed = "pull-secret-exposed",
    /// The token has not expired.
    PullSecretExpiry = "pull-secret-expiry",
    /// The registries let every image be pulled.
    ImagesPull = "images-pull",
    /// Pods that run could be pulled again.
    RunningPodsPull = "running-pods-pull",
    /// The files are YAML.
    ManifestsParse = "manifests-parse",
    /// Kustomizations can be built, and were understood.
    ManifestsKustomize = "manifests-kustomize",
    /// There is something to deploy.
    WorkloadsFound = "workloads-found",
    /// git tracks what is deployed.
    FilesTracked = "files-tracked",
    /// Every workload names a pull secret.
    WorkloadsNamePullSecret = "workloads-name-pull-secret",
    /// Every image has a tag or a digest.
    ImagesPinned = "images-pinned",
    /// Makefile, overlays and `.makeinfra.yaml` have the same environments.
    EnvironmentsAgree = "environments-agree",
    /// Every environment has the Secrets that its pods use.
    SecretsUsed = "secrets-used",
    /// No autoscaler and manifest decide the same number of pods.
    ReplicasScaled = "replicas-scaled",
    /// No two environments have the same host.
    HostsDiffer = "hosts-differ",
    /// The Makefile has the targets.
    MakefileTargets = "makefile-targets",
    /// The files follow the answers in `.makeinfra.yaml`.
    RecordFollowed = "record-followed",
    /// The files are of this version's templates.
    TemplatesCurrent = "templates-current",
}

impl Id {
    /// Whether only a registry can tell.
    #[must_use]
    pub fn is_online(self) -> bool {
        matches!(self, Self::ImagesPull | Self::RunningPodsPull)
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
