//! Who speaks in a text: the part of the way from a pod to its image, or of the cluster, whose
//! words these are.

use serde::Serialize;

/// A part that can speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// The node's way out.
    Proxy,
    /// What the node looks names up with.
    NameServer,
    /// A host that the node asks in place of the registry.
    Mirror,
    /// What a registry sends its callers to for a sign-in.
    TokenService,
    /// The registry, or what answers at its address.
    Registry,
    /// Where the layers of an image lie.
    Storage,
    /// The container runtime of the node.
    Runtime,
    /// The kubelet of the node.
    Kubelet,
    /// What chooses a node.
    Scheduler,
    /// What creates the objects.
    ApiServer,
}

impl Layer {
    /// What it is called in a sentence.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Proxy => "the proxy",
            Self::NameServer => "the name server",
            Self::Mirror => "the mirror",
            Self::TokenService => "the token service",
            Self::Storage => "the storage",
            Self::Runtime => "the container runtime",
            Self::Kubelet => "the kubelet",
            Self::Scheduler => "the scheduler",
            Self::ApiServer => "the API server",
            Self::Registry => "the registry",
        }
    }
}
