//! The layer that a text comes from: a part of the way from a pod to its image, or of the cluster.

use serde::Serialize;

/// A part that reports errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// The node's proxy.
    Proxy,
    /// The node's name server.
    NameServer,
    /// A host that the node uses in place of the registry.
    Mirror,
    /// The service that issues tokens for a registry.
    TokenService,
    /// The registry, or whatever answers at its address.
    Registry,
    /// The storage of the image's layers.
    Storage,
    /// The node's container runtime.
    Runtime,
    /// The node's kubelet.
    Kubelet,
    /// The scheduler.
    Scheduler,
    /// The API server.
    ApiServer,
}

impl Layer {
    /// Its name in a sentence.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Proxy => "the proxy",
            Self::NameServer => "the DNS server",
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
