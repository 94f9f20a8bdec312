//! What the manifests of a repository deploy: workloads with their images, pull secrets and
//! namespaces, after as much of kustomize as matters to them.
//!
//! Pure: works on files that were read before, and says which others it needs. It is no second
//! kustomize: what it does not understand is a [`Fault`] and not a guess.

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
pub use workload::{Image, NoImage, Pull, Workload};

use crate::work_tree::Content;
use crate::yaml_path::{kind, list, text};
use build::Builder;
use documents::Documents;
use kustomize::Kustomize;
use resource::Resource;
use serde_yaml::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Files by their path below the top of the repository, those that were looked for and not found
/// among them.
pub type Files = BTreeMap<String, Content>;

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
    /// The hosts of its Ingresses.
    pub hosts: BTreeSet<String>,
    /// The workloads whose number of pods an autoscaler decides, too.
    pub scaled: Vec<Scaled>,
    /// The file because of which some of it is not known; `None` if all of it is.
    pub unsure: Option<String>,
}

/// All that is deployed.
pub struct Manifests {
    /// The kustomizations that no other one uses, and the files that none does.
    pub overlays: Vec<Overlay>,
    /// What is wrong with the files, or beyond this module.
    pub faults: Vec<Fault>,
    /// The files and directories that a kustomization names.
    pub named: BTreeSet<String>,
    /// The files that a kustomization generates Secrets from.
    pub secret_inputs: BTreeSet<String>,
    /// How many files were read.
    pub files: usize,
    /// Where the Secrets of a name are: which overlay, and which of its Secrets.
    by_name: Places,
    /// The same for those of a file.
    by_file: Places,
}

type Places = HashMap<String, Vec<(usize, usize)>>;

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
    /// Another program or a controller makes what is deployed of it.
    Unread,
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
        let kustomize = Kustomize::new(&self.0);
        let built = Builder::new(&kustomize).build(dir);
        built.resources.into_iter().map(|resource| resource.value).collect()
    }
}

impl Manifests {
    /// Reads what lies in the directories `dirs`, of which `files` holds every file, and what these
    /// need.
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

    /// The paths that the kustomizations among `files` refer to and that `files` does not have.
    #[must_use]
    pub fn wanted(files: &Files) -> BTreeSet<String> {
        let documents = Documents::parse_only(files, kustomization::is_one);
        Kustomize::new(&documents).wanted(files)
    }

    /// The Secrets of a name, those of all overlays.
    pub fn secrets_called(&self, name: &str) -> impl Iterator<Item = &DeployedSecret> {
        self.secrets_at(&self.by_name, name)
    }

    /// The Secret `name` that a kustomization generates, where what is in `namespace` of `overlay`
    /// cannot name it so: kustomize puts a hash behind the name, and renews what names it in the
    /// same build and namespace alone. `None` if there is another one of that name.
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

    /// Every image that is pulled, for whom, and with which pull secrets.
    pub fn pulls(&self) -> impl Iterator<Item = Pull<'_>> {
        self.workloads().flat_map(Workload::pulls)
    }
}

/// What `resources` deploy beside their pods.
fn unread(resources: &[Resource]) -> impl Iterator<Item = Fault> {
    resources.iter().filter_map(|resource| {
        let why = pods::of(&resource.value).unread?;
        let kind = kind(&resource.value).unwrap_or_default();
        let message = format!("{} {}: {why}", printed(kind), printed(resource.name()));
        Some(Fault { path: resource.file.clone(), kind: FaultKind::Unread, message })
    })
}

/// A kind or a name, if it looks like one: the files could have a token in its place.
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

/// Whether objects of `kind` are in no namespace (Kubernetes' list of such kinds, those that people
/// deploy).
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
    dir.is_empty()
        || path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
