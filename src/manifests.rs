//! What the manifests of a repository deploy: workloads with their images, pull secrets and
//! namespaces, after applying the parts of kustomize that affect them.
//!
//! Pure: works on files that were read before, and lists the further files that it needs. Not a
//! second kustomize: anything that it does not support is a [`Fault`] rather than a guess.

mod build;
mod documents;
mod foreign;
mod identity;
mod images;
mod injected;
mod json_patch;
pub mod kustomization;
mod kustomize;
mod links;
mod patch;
mod pods;
mod resource;
mod scaling;
mod secret;
mod select;
mod transform;
mod workload;

pub use documents::documents;
pub use foreign::language;
pub use kustomization::below;
pub use resource::{Generated, Input};
pub use scaling::Scaled;
pub use secret::{DeployedSecret, Origin, is_sops, later};
pub use workload::{Image, ImagePull, NoImage, Workload};

use crate::work_tree::Content;
use crate::yaml_path::{kind, list, text};
use build::Builder;
use documents::Documents;
use kustomize::Kustomize;
use resource::Resource;
use serde_yaml::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Files by path below the top of the repository, including those that were not found.
pub type Files = BTreeMap<String, Content>;

/// Objects that are deployed together.
pub struct Overlay {
    /// The directory of the kustomization, or of plain manifests.
    pub path: String,
    /// The workloads.
    pub workloads: Vec<Workload>,
    /// The Secrets.
    pub secrets: Vec<DeployedSecret>,
    /// Names of the Secrets that its other resources use, including pull secrets.
    pub named_secrets: BTreeSet<String>,
    /// The hosts of its Ingresses.
    pub hosts: BTreeSet<String>,
    /// The workloads whose number of pods is also set by an autoscaler.
    pub scaled: Vec<Scaled>,
    /// The file that leaves some of it undetermined; `None` if everything is known.
    pub unsure: Option<String>,
}

/// Everything that is deployed.
pub struct Manifests {
    /// The kustomizations that no other one uses, and the files that none uses.
    pub overlays: Vec<Overlay>,
    /// Problems of the files, and features that this module does not support.
    pub faults: Vec<Fault>,
    /// The files and directories that a kustomization lists.
    pub named: BTreeSet<String>,
    /// The files from which a kustomization generates Secrets.
    pub secret_inputs: BTreeSet<String>,
    /// The number of files read.
    pub files: usize,
    /// Secrets by name, as indices of the overlay and of the Secret in it.
    by_name: Places,
    /// Secrets by file, likewise.
    by_file: Places,
}

type Places = HashMap<String, Vec<(usize, usize)>>;

/// A problem with one file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The file.
    pub path: String,
    /// The kind.
    pub kind: FaultKind,
    /// The problem, as a sentence about "it"; never a value.
    pub message: String,
}

/// The kind of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// It is not valid YAML.
    Parse,
    /// It is encrypted, which leaves its content undetermined.
    Locked,
    /// kustomize would fail on it.
    Build,
    /// kustomize supports it, but this module does not.
    Beyond,
    /// Another program or a controller generates what is deployed.
    Unread,
}

/// Parsed files from which several kustomizations can be built.
pub struct Builds(Documents);

impl Builds {
    /// Parses `files`.
    #[must_use]
    pub fn of(files: &Files) -> Self {
        Self(Documents::parse(files))
    }

    /// The objects that the kustomization in `dir` produces, as far as it is supported.
    #[must_use]
    pub fn built(&self, dir: &str) -> Vec<Value> {
        let kustomize = Kustomize::new(&self.0);
        let built = Builder::new(&kustomize).build(dir);
        built.resources.into_iter().map(|resource| resource.value).collect()
    }
}

impl Manifests {
    /// Reads the directories `dirs`, of which `files` contains every file, and everything that
    /// these need.
    #[must_use]
    pub fn read(files: &Files, dirs: &[String]) -> Self {
        let documents = Documents::parse(files);
        let in_dirs = |path: &str| dirs.iter().any(|dir| is_in(path, dir));
        let kustomize = Kustomize::new(&documents);
        let mut builder = Builder::new(&kustomize);
        let mut overlays = Vec::new();
        let mut faults: Vec<Fault> = documents.faults().collect();
        for dir in kustomize.roots() {
            let built = builder.build(&dir);
            if in_dirs(&dir) {
                faults.extend(unread(&built.resources));
                overlays.push(overlay(dir, &built.resources, built.unsure));
            }
        }
        for dir in dirs {
            let mut plain = Vec::new();
            for (path, values) in documents.all().filter(|(path, _)| is_in(path, dir)) {
                if !kustomize.concerns(path) {
                    plain.extend(values.iter().map(|value| Resource::new(path, value.clone())));
                }
            }
            if !plain.is_empty() {
                faults.extend(unread(&plain));
                let unsure = documents.unread_in(dir).map(str::to_owned);
                overlays.push(overlay(dir.clone(), &plain, unsure));
            }
        }
        let (named, secret_inputs) = (kustomize.named(), kustomize.secret_inputs());
        faults.extend(builder.into_faults());
        faults.sort();
        faults.dedup();
        let (mut by_name, mut by_file) = (Places::new(), Places::new());
        for (overlay, secrets) in overlays.iter().map(|overlay| &overlay.secrets).enumerate() {
            for (at, secret) in secrets.iter().enumerate() {
                by_name.entry(secret.name.clone()).or_default().push((overlay, at));
                by_file.entry(secret.file.clone()).or_default().push((overlay, at));
            }
        }
        Self {
            overlays,
            faults,
            named,
            secret_inputs,
            files: documents.all().count(),
            by_name,
            by_file,
        }
    }

    /// The paths to which the kustomizations among `files` refer, but which `files` lacks.
    #[must_use]
    pub fn wanted(files: &Files) -> BTreeSet<String> {
        let documents = Documents::parse_only(files, kustomization::is_one);
        Kustomize::new(&documents).wanted(files)
    }

    /// The Secrets called `name` in all overlays.
    pub fn secrets_called(&self, name: &str) -> impl Iterator<Item = &DeployedSecret> {
        self.secrets_at(&self.by_name, name)
    }

    /// The generated Secret `name` that an object in `namespace` of `overlay` cannot reference by
    /// this name: kustomize appends a hash to the name, and updates references only within the same
    /// build and namespace. `None` if there is another Secret with that name.
    #[must_use]
    pub fn out_of_reach(
        &self,
        overlay: &Overlay,
        namespace: Option<&str>,
        name: &str,
    ) -> Option<&DeployedSecret> {
        let is_hashed =
            |one: &DeployedSecret| matches!(&one.origin, Origin::Generated(made) if made.is_hashed);
        let namespace_of = |namespace: Option<&str>| namespace.unwrap_or("default").to_owned();
        let is_renewed = |one: &DeployedSecret| {
            one.name == name && namespace_of(one.namespace.as_deref()) == namespace_of(namespace)
        };
        if overlay.secrets.iter().any(is_renewed) || !self.secrets_called(name).all(is_hashed) {
            return None;
        }
        self.secrets_called(name).next()
    }

    /// The Secrets that the overlays take from a file.
    pub fn secrets_in(&self, file: &str) -> impl Iterator<Item = &DeployedSecret> {
        self.secrets_at(&self.by_file, file)
    }

    fn secrets_at<'m>(
        &'m self,
        places: &'m Places,
        key: &str,
    ) -> impl Iterator<Item = &'m DeployedSecret> {
        let places = places.get(key).into_iter().flatten();
        places.map(|(overlay, at)| &self.overlays[*overlay].secrets[*at])
    }

    /// The workloads of all overlays.
    pub fn workloads(&self) -> impl Iterator<Item = &Workload> {
        self.overlays.iter().flat_map(|overlay| &overlay.workloads)
    }

    /// Every image pull, with its workload and pull secrets.
    pub fn pulls(&self) -> impl Iterator<Item = ImagePull<'_>> {
        self.workloads().flat_map(Workload::pulls)
    }
}

/// Objects in `resources` that deploy something besides their pods.
fn unread(resources: &[Resource]) -> impl Iterator<Item = Fault> {
    resources.iter().filter_map(|resource| {
        let why = pods::of(&resource.value).unread?;
        let kind = kind(&resource.value).unwrap_or_default();
        let message = format!("{} {}: {why}", printed(kind), printed(resource.name()));
        Some(Fault { path: resource.file.clone(), kind: FaultKind::Unread, message })
    })
}

/// A kind or a name, if it is valid: a file could have a token in its place.
fn printed(text: &str) -> &str {
    let is_fine = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    if is_fine && (1..=63).contains(&text.len()) { text } else { "?" }
}

fn overlay(path: String, resources: &[Resource], unsure: Option<String>) -> Overlay {
    let of_kind = |wanted: &'static str| {
        resources
            .iter()
            .map(|resource| &resource.value)
            .filter(move |value| kind(value) == Some(wanted))
    };
    let rules = of_kind("Ingress")
        .filter_map(|value| value.get("spec"))
        .flat_map(|spec| list(spec, "rules"));
    let hosts = rules.filter_map(|rule| text(rule, &["host"])).filter(|host| !host.is_empty());
    let mut named_secrets = BTreeSet::new();
    for value in resources.iter().map(|resource| &resource.value) {
        if kind(value) != Some("Secret") && !secret::is_maker(value) {
            collect_secret_names(value, &mut named_secrets);
        }
    }
    Overlay {
        secrets: resources.iter().flat_map(secret::deployed).collect(),
        scaled: scaling::scaled(resources),
        named_secrets,
        hosts: hosts.map(str::to_owned).collect(),
        workloads: workload::workloads(resources, unsure.as_deref()),
        path,
        unsure,
    }
}

/// Whether objects of `kind` have no namespace (Kubernetes' cluster-scoped kinds that are commonly
/// deployed).
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

/// Names of the Secrets that `object` uses, including pull secrets.
#[must_use]
pub fn named_secrets(object: &Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    collect_secret_names(object, &mut names);
    names
}

/// Adds the names of the Secrets that `value` uses, in any field that Kubernetes' kinds have for
/// them.
fn collect_secret_names(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Sequence(items) => items.iter().for_each(|item| collect_secret_names(item, names)),
        Value::Mapping(entries) => {
            for (key, value) in entries {
                let name = match key.as_str() {
                    // Volumes and Ingresses.
                    Some("secretName") => value.as_str(),
                    // Environment variables and projected volumes.
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
    dir.is_empty()
        || path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
