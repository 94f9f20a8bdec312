//! Which pull secrets a pod would get: by name, namespace and what deploys them.

use super::{Inspection, PullSecret};
use crate::manifests::{DeployedSecret, ImagePull, Manifests, Origin, Workload};
use crate::pull_secret::Inspected;

/// A pull secret as deployed to a cluster.
pub struct Placement {
    /// The deployed name.
    pub name: String,
    /// The namespace; `None` if it goes wherever kubectl is told to put it.
    pub namespace: Option<String>,
}

impl Placement {
    pub(super) fn of(secret: &DeployedSecret) -> Self {
        Self { name: secret.name.clone(), namespace: secret.namespace.clone() }
    }

    fn is_in(&self, namespace: Option<&str>) -> bool {
        self.namespace.is_none() || namespace.is_none() || self.namespace.as_deref() == namespace
    }
}

impl PullSecret {
    pub(super) fn new(path: &str, secret: Inspected) -> Self {
        Self { path: path.to_owned(), secret, placements: Vec::new() }
    }

    /// Adds where `manifests` deploy the pull secret.
    pub(super) fn place(&mut self, manifests: &Manifests) {
        let is_it = |found: &&DeployedSecret| Some(&found.written) == self.secret.name.as_ref();
        let found = manifests.secrets_in(&self.path).filter(is_it).map(Placement::of);
        self.placements.extend(found);
    }

    /// The deployed names, or the name in its file if nothing deploys it.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        let own = self.secret.name.iter().filter(|_| self.placements.is_empty());
        self.placements.iter().map(|placement| &placement.name).chain(own)
    }

    /// Whether it is called `name` in `namespace`, as far as either is known.
    fn is_found(&self, name: &str, namespace: Option<&str>) -> bool {
        if self.placements.is_empty() {
            let own = self.secret.namespace.as_deref();
            let is_here = own.is_none() || namespace.is_none() || own == namespace;
            return is_here && self.secret.name.as_deref() == Some(name);
        }
        self.placements.iter().any(|placement| placement.name == name && placement.is_in(namespace))
    }
}

impl Inspection {
    /// The pull secrets in the files of the only environment that deploys to `namespace`.
    #[must_use]
    pub fn own_pull_secrets(&self, namespace: &str) -> Vec<&PullSecret> {
        let Some(Ok(record)) = &self.record else { return Vec::new() };
        let answers = &record.answers;
        let mut here =
            answers.environments.iter().filter(|one| one.namespace.as_str() == namespace);
        let (Some(environment), None) = (here.next(), here.next()) else { return Vec::new() };
        let path = environment.secret_file(&answers.secret_name);
        self.pull_secrets.iter().filter(|secret| secret.path == path).collect()
    }

    /// The pull secrets that the kubelet would read for `pull`: those with the names in the pod, in
    /// its namespace. A pull secret without a namespace goes wherever kubectl is told to put it.
    #[must_use]
    pub fn secrets_for(&self, pull: &ImagePull) -> Vec<&PullSecret> {
        pull.pull_secrets.iter().flat_map(|name| self.secrets_in(name, pull.namespace)).collect()
    }

    /// The pull secrets called `name` in `namespace`, or in any namespace if `namespace` is
    /// unknown.
    pub fn secrets_in(
        &self,
        name: &str,
        namespace: Option<&str>,
    ) -> impl Iterator<Item = &PullSecret> {
        self.secrets_called(name).filter(move |secret| secret.is_found(name, namespace))
    }

    /// The pull secrets called `name`.
    pub fn secrets_called<'i>(
        &'i self,
        name: &str,
    ) -> impl Iterator<Item = &'i PullSecret> + use<'i> {
        self.by_name.get(name).into_iter().flatten().map(|at| &self.pull_secrets[*at])
    }

    /// The namespace of a pull secret: the first that a kustomization sets, otherwise that of the
    /// file.
    #[must_use]
    pub fn namespace<'i>(&'i self, secret: &'i PullSecret) -> Option<&'i str> {
        let placed = secret.placements.first();
        placed.map_or(&secret.secret.namespace, |placement| &placement.namespace).as_deref()
    }

    /// Whether the manifests deploy a pull secret.
    #[must_use]
    pub fn is_deployed(&self, secret: &PullSecret) -> bool {
        !secret.placements.is_empty()
    }

    /// Why the content of the pull secret `name` of `workload` is undetermined, as a sentence about
    /// it; `None` if it can be read, or if there is no such Secret.
    #[must_use]
    pub fn why_closed(&self, workload: &Workload, name: &str) -> Option<String> {
        let namespace = workload.namespace.as_deref();
        if self.secrets_in(name, namespace).next().is_some() {
            return None;
        }
        let called = self.manifests.secrets_called(name);
        let mut here = called.filter(|secret| Placement::of(secret).is_in(namespace));
        here.find_map(|secret| match &secret.origin {
            Origin::Controller(kind) => {
                Some(format!("a controller creates it from the {kind} in `{}`", secret.file))
            }
            Origin::Sops => Some(format!("it is encrypted by SOPS in `{}`", secret.file)),
            Origin::Later(why) => Some(format!("{why} (`{}`)", secret.file)),
            Origin::Generated(_) => {
                Some(format!("`{}` generates it from files that could not be read", secret.file))
            }
            Origin::Manifest => None,
        })
    }
}
