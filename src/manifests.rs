//! What the manifests of a repository deploy: workloads with their images, pull secrets and namespaces,
//! after as much of kustomize as matters to them.
//!
//! Pure: works on files that were read before, and says which others it needs. It is no second
//! kustomize: what it does not understand is a [`Fault`] and not a guess.

mod documents;
mod images;
mod json_patch;
pub mod kustomization;
mod kustomize;
mod patch;
mod workload;

pub use documents::{Files, documents};
pub use kustomization::below;
pub use workload::{Image, Pull, Workload};

use crate::yaml_path::{kind, list, text};
use documents::Documents;
use kustomize::Kustomize;
use serde_yaml::Value;
use std::collections::BTreeSet;

/// What is deployed together.
pub struct Overlay {
    /// The kustomization's directory, or the directory whose plain files these are.
    pub path: String,
    /// What runs.
    pub workloads: Vec<Workload>,
    /// The Secrets in it.
    pub secrets: Vec<DeployedSecret>,
    /// The names of the Secrets that its other resources use, pull secrets among them.
    pub named_secrets: BTreeSet<String>,
    /// The hosts of its Ingresses; without those that a patch changes in a way that is not understood.
    pub hosts: BTreeSet<String>,
}

/// A Secret among the resources of an overlay.
pub struct DeployedSecret {
    /// Its file.
    pub file: String,
    /// Its name.
    pub name: String,
    /// Its namespace, with the kustomization's over the file's.
    pub namespace: Option<String>,
}

/// All that is deployed.
pub struct Manifests {
    /// The kustomizations that no other one uses, and the files that none does.
    pub overlays: Vec<Overlay>,
    /// What is wrong with the files, or beyond this module.
    pub faults: Vec<Fault>,
    /// The files and directories that a kustomization names.
    pub named: BTreeSet<String>,
    /// How many files were read.
    pub files: usize,
}

/// Something about one file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The file.
    pub path: String,
    /// What kind of fault.
    pub kind: FaultKind,
    /// What is wrong, as a sentence about "it"; never a value.
    pub message: String,
}

/// How bad a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// It could not be read as YAML.
    Parse,
    /// It is encrypted, and nobody can tell what is in it.
    Locked,
    /// kustomize would fail on it.
    Build,
    /// kustomize understands it, and this module does not.
    Beyond,
}

/// Files that are read once, for what several kustomizations make of them.
pub struct Builds(Documents);

impl Builds {
    /// Reads `files`.
    #[must_use]
    pub fn of(files: &Files) -> Self {
        Self(Documents::parse(files))
    }

    /// The objects that the kustomization in `dir` makes, as far as it is understood.
    #[must_use]
    pub fn built(&self, dir: &str) -> Vec<Value> {
        Kustomize::new(&self.0).build(dir).into_iter().map(|(_, object)| object).collect()
    }
}

impl Manifests {
    /// Reads what lies in the directories `dirs`, of which `files` holds every file, and what these need.
    #[must_use]
    pub fn read(files: &Files, dirs: &[String]) -> Self {
        let documents = Documents::parse(files);
        let in_dirs = |path: &str| dirs.iter().any(|dir| is_in(path, dir));
        let mut kustomize = Kustomize::new(&documents);
        let mut overlays = Vec::new();
        for dir in kustomize.roots() {
            let resources = kustomize.build(&dir);
            if in_dirs(&dir) {
                overlays.push(overlay(dir, &resources));
            }
        }
        for dir in dirs {
            let mut plain = Vec::new();
            for (path, values) in documents.all().filter(|(path, _)| is_in(path, dir)) {
                if !kustomize.concerns(path) {
                    plain.extend(values.iter().map(|value| (path.to_owned(), value.clone())));
                }
            }
            if !plain.is_empty() {
                overlays.push(overlay(dir.clone(), &plain));
            }
        }
        let named = kustomize.named();
        let mut faults: Vec<Fault> = documents.faults().chain(kustomize.into_faults()).collect();
        faults.sort();
        faults.dedup();
        Self { overlays, faults, named, files: documents.all().count() }
    }

    /// The paths that the kustomizations among `files` refer to and that `files` does not have.
    #[must_use]
    pub fn wanted(files: &Files) -> BTreeSet<String> {
        Kustomize::new(&Documents::parse_only(files, kustomization::is_one)).wanted(files)
    }

    /// The workloads of all overlays.
    pub fn workloads(&self) -> impl Iterator<Item = &Workload> {
        self.overlays.iter().flat_map(|overlay| &overlay.workloads)
    }

    /// Every image that is pulled, for whom, and with which pull secrets.
    pub fn pulls(&self) -> impl Iterator<Item = Pull<'_>> {
        self.workloads().flat_map(Workload::pulls)
    }
}

fn overlay(path: String, resources: &[(String, Value)]) -> Overlay {
    let secrets =
        resources.iter().filter(|(_, value)| kind(value) == Some("Secret")).filter_map(|(file, value)| {
            Some(DeployedSecret {
                file: file.clone(),
                name: text(value, &["metadata", "name"])?.to_owned(),
                namespace: text(value, &["metadata", "namespace"]).map(str::to_owned),
            })
        });
    let ingresses = resources.iter().filter(|(_, value)| kind(value) == Some("Ingress"));
    let rules = ingresses.filter_map(|(_, value)| value.get("spec")).flat_map(|spec| list(spec, "rules"));
    let hosts = rules.filter_map(|rule| text(rule, &["host"])).filter(|host| !host.is_empty());
    let mut named_secrets = BTreeSet::new();
    for (_, value) in resources.iter().filter(|(_, value)| kind(value) != Some("Secret")) {
        collect_secret_names(value, &mut named_secrets);
    }
    Overlay {
        path,
        secrets: secrets.collect(),
        named_secrets,
        hosts: hosts.map(str::to_owned).collect(),
        workloads: workload::workloads(resources),
    }
}

/// Whether objects of `kind` are in no namespace (Kubernetes' list of such kinds, those that people deploy).
#[must_use]
pub fn is_cluster_wide(kind: &str) -> bool {
    const KINDS: [&str; 8] = [
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "IngressClass",
        "Namespace",
        "PersistentVolume",
        "PriorityClass",
        "StorageClass",
    ];
    KINDS.contains(&kind)
}

/// The names of the Secrets that `object` uses, pull Secrets included.
#[must_use]
pub fn named_secrets(object: &Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    collect_secret_names(object, &mut names);
    names
}

/// Adds the names of the Secrets that `value` uses, wherever the kinds of Kubernetes have one.
fn collect_secret_names(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Sequence(items) => items.iter().for_each(|item| collect_secret_names(item, names)),
        Value::Mapping(entries) => {
            for (key, value) in entries {
                let name = match key.as_str() {
                    // Volumes and Ingresses.
                    Some("secretName") => value.as_str(),
                    // Variables, and volumes of several sources.
                    Some("secretRef" | "secretKeyRef" | "secret") => text(value, &["name"]),
                    _ => None,
                };
                names.extend(name.map(str::to_owned));
                if matches!(key.as_str(), Some("imagePullSecrets" | "secrets")) {
                    let items = value.as_sequence().into_iter().flatten();
                    names.extend(items.filter_map(|item| text(item, &["name"])).map(str::to_owned));
                }
                collect_secret_names(value, names);
            }
        }
        _ => {}
    }
}

/// Whether `path` is `dir` or below it.
fn is_in(path: &str, dir: &str) -> bool {
    dir.is_empty() || path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
