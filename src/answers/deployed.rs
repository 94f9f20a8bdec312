//! What is different about a component in an environment.

use super::{Component, Environment, Host, ImageRef};

/// A component as an environment has it: by rule, until people change it in the manifests. So it is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployed {
    /// Its image, with the tag or digest of the environment.
    pub image: ImageRef,
    /// Whether the kustomization says that tag; else it stands in the manifest.
    pub has_tag: bool,
    /// How many pods run; none: what all environments share says so, or nobody does.
    pub replicas: Option<u32>,
    /// The host of its Ingress; none likewise.
    pub host: Option<Host>,
    /// Whether that host is the one of its certificate, too.
    pub tls: bool,
}

impl Deployed {
    /// `component` in `environment`, as the rules have it. `main` is the project's own component.
    pub(super) fn new(environment: &Environment, component: &Component, main: &Component) -> Self {
        Self {
            image: component.image.clone(),
            has_tag: true,
            replicas: replicas(environment, component, main),
            tls: component.tls,
            host: host(environment, component, main),
        }
    }
}

fn replicas(environment: &Environment, component: &Component, main: &Component) -> Option<u32> {
    let differs = component.name == main.name && environment.replicas != component.replicas;
    differs.then_some(environment.replicas)
}

/// Its host, if that is not what base says.
fn host(environment: &Environment, component: &Component, main: &Component) -> Option<Host> {
    let shared = component.ingress.as_ref()?;
    let host = match component.name == main.name {
        true => environment.ingress.clone()?,
        false => environment.name.host(shared, environment.protect).ok()?,
    };
    (host != *shared).then_some(host)
}
