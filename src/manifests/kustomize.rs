//! The part of kustomize that decides what is pulled: resources and bases, namespace, images and
//! strategic-merge patches, in kustomize's order.

use super::documents::{Documents, Files, documents};
use super::kustomization::{
    Generator, Kustomization, Patch, Source, Target, below, is_one, is_remote, places,
};
use super::{Fault, FaultKind, is_cluster_wide, json_patch, patch};
use crate::yaml;
use crate::yaml_path::{kind, text};
use serde_yaml::Value;
use std::collections::{BTreeMap, BTreeSet};

/// More resources than anybody deploys at once: directories that use each other twice grow like powers.
const MOST: usize = 20_000;

/// More kustomizations below each other than anybody has.
const DEEPEST: usize = 100;

/// Kinds that run nothing, so that no patch of them changes what is pulled, JSON patches included.
const PODLESS: [&str; 8] = [
    "ConfigMap",
    "HorizontalPodAutoscaler",
    "Ingress",
    "Namespace",
    "NetworkPolicy",
    "PersistentVolumeClaim",
    "PodDisruptionBudget",
    "Service",
];

pub(super) struct Kustomize<'d> {
    documents: &'d Documents,
    /// By directory: the file, and what is in it.
    kustomizations: BTreeMap<String, (String, Kustomization)>,
    faults: Vec<Fault>,
    /// Files and directories that a kustomization takes.
    taken: BTreeSet<String>,
    /// How many resources were made, those of every level.
    made: usize,
    is_full: bool,
}

impl<'d> Kustomize<'d> {
    pub(super) fn new(documents: &'d Documents) -> Self {
        let mut kustomizations = BTreeMap::new();
        for (path, values) in documents.all() {
            let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
            // The first name that kustomize finds wins; with two it refuses.
            if is_one(path) && !kustomizations.contains_key(dir) {
                let kustomization = values.first().map(Kustomization::of).unwrap_or_default();
                kustomizations.insert(dir.to_owned(), (path.to_owned(), kustomization));
            }
        }
        let mut taken = BTreeSet::new();
        for (dir, (_, kustomization)) in &kustomizations {
            for reference in references(kustomization) {
                taken.extend(below(dir, reference).filter(|path| path != dir));
            }
        }
        Self { documents, kustomizations, faults: Vec::new(), taken, made: 0, is_full: false }
    }

    /// What the kustomizations refer to and `files` does not have. A reference may be a file or a
    /// directory with a kustomization in it.
    pub(super) fn wanted(&self, files: &Files) -> BTreeSet<String> {
        let mut wanted = BTreeSet::new();
        for path in &self.taken {
            wanted.extend(places(path).chain([path.clone()]).filter(|path| !files.contains_key(path)));
        }
        wanted
    }

    /// The directories of the kustomizations that no other one uses, and one of each circle.
    pub(super) fn roots(&self) -> Vec<String> {
        let (mut roots, mut reached) = (Vec::new(), BTreeSet::new());
        let free = self.kustomizations.keys().filter(|dir| !self.taken.contains(*dir));
        for dir in free.chain(self.kustomizations.keys()) {
            let component = self.kustomizations[dir].1.is_component;
            if !component && self.reach(dir, &mut reached) {
                roots.push(dir.clone());
            }
        }
        roots
    }

    /// Marks what `dir` uses; false if `dir` was marked before.
    fn reach(&self, dir: &str, reached: &mut BTreeSet<String>) -> bool {
        let mut open = vec![dir.to_owned()];
        let mut fresh = false;
        while let Some(dir) = open.pop() {
            let Some((_, kustomization)) = self.kustomizations.get(&dir) else { continue };
            if reached.insert(dir.clone()) {
                fresh = true;
                open.extend(references(kustomization).filter_map(|reference| below(&dir, reference)));
            }
        }
        fresh
    }

    /// Whether the file `path` is for a kustomization: it is one, one takes it, or it lies beside one.
    pub(super) fn concerns(&self, path: &str) -> bool {
        let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
        self.taken.contains(path) || self.kustomizations.contains_key(dir)
    }

    /// What the kustomizations name, and what only generators read: files and directories.
    pub(super) fn named(&self) -> BTreeSet<String> {
        let generators = self.kustomizations.iter().flat_map(|(dir, (_, kustomization))| {
            let files = kustomization.secrets.iter().flat_map(|one| &one.files);
            files.filter_map(move |reference| below(dir, reference))
        });
        self.taken.iter().cloned().chain(generators).collect()
    }

    pub(super) fn into_faults(self) -> Vec<Fault> {
        self.faults
    }

    /// What `kubectl apply -k DIR` would apply, each with the file that it is from.
    pub(super) fn build(&mut self, dir: &str) -> Vec<(String, Value)> {
        (self.made, self.is_full) = (0, false);
        self.build_within(dir, &mut Vec::new())
    }

    fn build_within(&mut self, dir: &str, above: &mut Vec<String>) -> Vec<(String, Value)> {
        // Taken out while it is at work, so that a circle finds nothing.
        let Some((file, kustomization)) = self.kustomizations.remove(dir) else { return Vec::new() };
        if above.len() >= DEEPEST {
            self.fault(
                &file,
                FaultKind::Beyond,
                format!("it is one of more than {DEEPEST} that use each other"),
            );
            self.kustomizations.insert(dir.to_owned(), (file, kustomization));
            return Vec::new();
        }
        above.push(dir.to_owned());
        let before = self.faults.len();
        for (kind, what) in &kustomization.faults {
            self.fault(&file, *kind, (*what).to_owned());
        }
        let mut resources = Vec::new();
        let mut seen = BTreeSet::new();
        for reference in &kustomization.resources {
            if seen.insert(reference.trim_end_matches('/')) {
                resources.extend(self.resource(&file, dir, reference, above));
            } else {
                self.fault(&file, FaultKind::Build, format!("it names `{}` twice", shown(reference)));
            }
        }
        for generator in kustomization.secrets.iter().filter(|one| !one.changes) {
            resources.push((file.clone(), generated(generator)));
        }
        let whole = kustomization.beyond.is_empty() && self.faults.len() == before;
        for patch in &kustomization.patches {
            self.patch(&file, dir, patch, &mut resources, whole);
        }
        if let Some(namespace) = &kustomization.namespace {
            for (_, resource) in &mut resources {
                set_namespace(resource, namespace);
            }
        }
        for image in &kustomization.images {
            for (_, resource) in &mut resources {
                image.apply(resource);
            }
        }
        if !kustomization.beyond.is_empty() {
            let fields: Vec<_> =
                kustomization.beyond.iter().map(|field| format!("`{}`", shown(field))).collect();
            let message = format!("its {} is more than this check understands", fields.join(", "));
            self.fault(&file, FaultKind::Beyond, message);
        }
        above.pop();
        self.kustomizations.insert(dir.to_owned(), (file, kustomization));
        resources
    }

    fn resource(
        &mut self,
        file: &str,
        dir: &str,
        reference: &str,
        above: &mut Vec<String>,
    ) -> Vec<(String, Value)> {
        if self.made > MOST {
            if !self.is_full {
                self.is_full = true;
                self.fault(file, FaultKind::Beyond, format!("it makes more than {MOST} resources"));
            }
            return Vec::new();
        }
        self.made += 1;
        if is_remote(reference) {
            self.fault(file, FaultKind::Beyond, "a resource of it lies on another machine".into());
            return Vec::new();
        }
        let Some(path) = below(dir, reference) else {
            self.fault(file, FaultKind::Beyond, "a resource of it lies outside the repository".into());
            return Vec::new();
        };
        if above.contains(&path) {
            self.fault(file, FaultKind::Build, format!("it uses `{}`, which uses it", shown(&path)));
            return Vec::new();
        }
        let found: Vec<_> = match self.documents.of(&path) {
            Some(values) => values.iter().map(|value| (path.clone(), value.clone())).collect(),
            None if self.kustomizations.contains_key(&path) => self.build_within(&path, above),
            None => {
                if !places(&path).chain([path.clone()]).any(|path| self.documents.exists(&path)) {
                    let message =
                        format!("its resource `{}` is neither a file nor a kustomization", shown(reference));
                    self.fault(file, FaultKind::Build, message);
                }
                Vec::new()
            }
        };
        self.made += found.len();
        found
    }

    fn patch(
        &mut self,
        file: &str,
        dir: &str,
        patch: &Patch,
        resources: &mut Vec<(String, Value)>,
        whole: bool,
    ) {
        let changes = match &patch.source {
            Source::Inline(text) => documents(text.as_bytes()).ok(),
            Source::File(name) => {
                let file_of_it = below(dir, name);
                if file_of_it.as_ref().is_none_or(|path| !self.documents.exists(path)) {
                    self.fault(file, FaultKind::Build, format!("its patch `{}` is not there", shown(name)));
                    return;
                }
                file_of_it.and_then(|path| self.documents.of(&path).map(<[Value]>::to_vec))
            }
        };
        let Some(changes) = changes else { return };
        let aim = patch.target.as_ref().and_then(|target| target.kind.as_deref());
        if aim == Some("Ingress") && changes.is_empty() {
            let operations = match &patch.source {
                Source::Inline(text) => yaml::read(text).unwrap_or_default(),
                Source::File(_) => Value::Null,
            };
            let is_target =
                |resource: &Value| patch.target.as_ref().is_some_and(|target| is_at(target, resource));
            for (_, resource) in resources.iter_mut().filter(|(_, resource)| is_target(resource)) {
                if !json_patch::apply(resource, &operations) {
                    // Its hosts are not known any more.
                    *resource = Value::Null;
                }
            }
            return;
        }
        if aim.is_some_and(|kind| kind != "Ingress" && PODLESS.contains(&kind)) {
            return;
        }
        if changes.is_empty() || !changes.iter().all(patch::is_one) {
            return self.fault(
                file,
                FaultKind::Beyond,
                "one of its patches is not a strategic-merge patch".into(),
            );
        }
        for change in &changes {
            let mut hit = false;
            let target = patch.target.as_ref();
            resources.retain_mut(|(_, resource)| {
                let is_target =
                    target.map_or_else(|| is_same(change, resource), |target| is_at(target, resource));
                hit |= is_target;
                if is_target && patch::deletes(change) {
                    return false;
                }
                if is_target {
                    let (kind, metadata) = (resource.get("kind").cloned(), resource.get("metadata").cloned());
                    patch::merge(resource, change);
                    if target.is_some() {
                        keep_identity(resource, kind, metadata.as_ref());
                    }
                }
                true
            });
            if !hit && target.is_none() && whole {
                self.fault(
                    file,
                    FaultKind::Build,
                    "a patch of it has no resource of its kind and name".into(),
                );
            }
        }
    }

    fn fault(&mut self, path: &str, kind: FaultKind, message: String) {
        self.faults.push(Fault { path: path.to_owned(), kind, message });
    }
}

/// All paths that a kustomization names.
fn references(kustomization: &Kustomization) -> impl Iterator<Item = &str> {
    let patches = kustomization.patches.iter().filter_map(|patch| match &patch.source {
        Source::File(path) => Some(path),
        Source::Inline(_) => None,
    });
    kustomization.resources.iter().chain(patches).chain(&kustomization.others).map(String::as_str)
}

/// The Secret of a generator, without its values. What refers to it gets the same hash behind the name.
fn generated(generator: &Generator) -> Value {
    let mut metadata = serde_yaml::Mapping::from_iter([("name".into(), generator.name.clone().into())]);
    metadata.extend(generator.namespace.iter().map(|one| ("namespace".into(), one.clone().into())));
    let entries =
        [("apiVersion", "v1".into()), ("kind", "Secret".into()), ("metadata", Value::Mapping(metadata))];
    Value::Mapping(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
}

fn set_namespace(resource: &mut Value, namespace: &str) {
    if kind(resource).is_none_or(is_cluster_wide) {
        return;
    }
    if let Some(Value::Mapping(metadata)) = resource.get_mut("metadata") {
        metadata.insert("namespace".into(), namespace.into());
    }
}

/// Whether a patch is for `resource`: same kind, name and, where both name one, namespace.
fn is_same(patch: &Value, resource: &Value) -> bool {
    let namespaces = [patch, resource].map(|value| text(value, &["metadata", "namespace"]));
    kind(patch) == kind(resource)
        && text(patch, &["metadata", "name"]) == text(resource, &["metadata", "name"])
        && (namespaces.contains(&None) || namespaces[0] == namespaces[1])
}

fn is_at(target: &Target, resource: &Value) -> bool {
    let is = |wanted: &Option<String>, path: &[&str]| {
        wanted.is_none() || text(resource, path) == wanted.as_deref()
    };
    is(&target.kind, &["kind"])
        && is(&target.name, &["metadata", "name"])
        && is(&target.namespace, &["metadata", "namespace"])
}

/// A patch with a target may be called anything: its target keeps kind and name.
fn keep_identity(resource: &mut Value, kind: Option<Value>, metadata: Option<&Value>) {
    let Value::Mapping(entries) = resource else { return };
    if let Some(kind) = kind {
        entries.insert("kind".into(), kind);
    }
    if let (Some(name), Some(Value::Mapping(now))) =
        (metadata.and_then(|metadata| metadata.get("name")), entries.get_mut("metadata"))
    {
        now.insert("name".into(), name.clone());
    }
}

/// A name from a file, if it is one that can be printed.
fn shown(text: &str) -> &str {
    if text.len() <= 200 && !text.contains(char::is_control) { text } else { "?" }
}
