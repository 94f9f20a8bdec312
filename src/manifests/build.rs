//! The part of kustomize that decides what is pulled, in kustomize's order.
//!
//! Source: kustomize v5, `api/internal/target`: resources, generators, components, then
//! transformers.

use super::kustomization::{
    Generator, Patch, Source, Target, below, is_remote, not_checked, places,
};
use super::kustomize::Kustomize;
use super::resource::{Generated, Input, Resource};
use super::transform::{scale_and_tag, transform};
use super::{Fault, FaultKind, identity, json_patch, links, patch};
use crate::yaml;
use crate::yaml_path::kind;
use serde_yaml::{Mapping, Value};
use std::collections::BTreeSet;

/// Limit on resources, and components that change them, above any real deployment: directories that
/// use each other twice grow exponentially.
const MOST: usize = 20_000;

/// Limit on the nesting of kustomizations, above any real one.
const DEEPEST: usize = 100;

/// Kinds that run nothing, so that patches of them never change what is pulled.
const PODLESS: [&str; 7] = [
    "ConfigMap",
    "HorizontalPodAutoscaler",
    "Namespace",
    "NetworkPolicy",
    "PersistentVolumeClaim",
    "PodDisruptionBudget",
    "Service",
];

/// The output of a kustomization.
pub(super) struct Built {
    pub(super) resources: Vec<Resource>,
    /// The file that leaves some of it undetermined.
    pub(super) unsure: Option<String>,
}

/// Builds kustomizations, one after the other.
pub(super) struct Builder<'k> {
    all: &'k Kustomize<'k>,
    faults: Vec<Fault>,
    /// The directories being built, from outside to inside.
    above: Vec<String>,
    /// The number of resources made on all levels.
    made: usize,
    is_full: bool,
    unsure: Option<String>,
}

impl<'k> Builder<'k> {
    pub(super) fn new(all: &'k Kustomize<'k>) -> Self {
        Self { all, faults: Vec::new(), above: Vec::new(), made: 0, is_full: false, unsure: None }
    }

    pub(super) fn into_faults(self) -> Vec<Fault> {
        self.faults
    }

    /// The objects that `kubectl apply -k DIR` would apply.
    pub(super) fn build(&mut self, dir: &str) -> Built {
        (self.made, self.is_full, self.unsure) = (0, false, None);
        let mut resources = self.within(dir, Vec::new());
        if !links::renew(&mut resources) {
            self.unsure = self.unsure.take().or_else(|| Some(dir.to_owned()));
        }
        Built { resources, unsure: self.unsure.take() }
    }

    /// Builds `dir` on top of `resources`, which a component changes.
    fn within(&mut self, dir: &str, mut resources: Vec<Resource>) -> Vec<Resource> {
        let all = self.all;
        let Some((file, kustomization)) = all.get(dir) else { return resources };
        if self.above.len() >= DEEPEST {
            let message = format!("part of a chain of more than {DEEPEST} kustomizations");
            self.fault(file, FaultKind::Beyond, message);
            return resources;
        }
        self.above.push(dir.to_owned());
        for (kind, what) in &kustomization.faults {
            self.fault(file, *kind, (*what).to_owned());
        }
        if !kustomization.beyond.is_empty() {
            let fields: Vec<_> =
                kustomization.beyond.iter().map(|field| format!("`{}`", shown(field))).collect();
            let mut message = format!("{} is not supported by this check", fields.join(", "));
            let what: Vec<_> =
                kustomization.beyond.iter().filter_map(|field| not_checked(field)).collect();
            if !what.is_empty() {
                message.push_str(&format!("; not checked: {}", what.join(", and ")));
            }
            self.fault(file, FaultKind::Beyond, message);
        }
        let mut seen = BTreeSet::new();
        for reference in &kustomization.resources {
            if seen.insert(reference.trim_end_matches('/')) {
                resources.extend(self.resource(file, dir, reference));
            } else {
                self.fault(file, FaultKind::Build, format!("names `{}` twice", shown(reference)));
            }
        }
        self.refuse(file, || identity::twice(&resources));
        for (kind, generators) in
            [("Secret", &kustomization.secrets), ("ConfigMap", &kustomization.config_maps)]
        {
            for generator in generators {
                self.generate(file, dir, kind, generator, &mut resources);
            }
        }
        for reference in &kustomization.components {
            resources = self.component(file, dir, reference, resources);
        }
        for patch in &kustomization.patches {
            self.patch(file, dir, patch, &mut resources);
        }
        transform(kustomization, &mut resources);
        if kustomization.namespace.is_some() {
            self.refuse(file, || identity::twice(&resources));
        }
        for patch in &kustomization.late_patches {
            self.patch(file, dir, patch, &mut resources);
        }
        scale_and_tag(kustomization, &mut resources);
        self.above.pop();
        resources
    }

    fn component(
        &mut self,
        file: &str,
        dir: &str,
        reference: &str,
        resources: Vec<Resource>,
    ) -> Vec<Resource> {
        if self.is_too_much(file) {
            return resources;
        }
        match below(dir, reference) {
            Some(path) if self.above.contains(&path) => {
                self.fault(
                    file,
                    FaultKind::Build,
                    format!("uses `{}`, which uses it in turn", shown(&path)),
                );
            }
            Some(path) if self.all.get(&path).is_some() => return self.within(&path, resources),
            Some(path) if self.exists(&path) => self.doubt(&path),
            Some(_) => {
                let message = format!("component `{}` is not a kustomization", shown(reference));
                self.fault(file, FaultKind::Build, message);
            }
            None => {
                self.fault(file, FaultKind::Beyond, "a component is outside the repository".into());
            }
        }
        resources
    }

    fn resource(&mut self, file: &str, dir: &str, reference: &str) -> Vec<Resource> {
        if self.is_too_much(file) {
            return Vec::new();
        }
        let Some(path) = below(dir, reference) else {
            let message = if is_remote(reference) {
                "a resource is remote"
            } else {
                "a resource is outside the repository"
            };
            self.fault(file, FaultKind::Beyond, message.into());
            return Vec::new();
        };
        if self.above.contains(&path) {
            self.fault(
                file,
                FaultKind::Build,
                format!("uses `{}`, which uses it in turn", shown(&path)),
            );
            return Vec::new();
        }
        if self.all.documents.of(&path).is_some() {
            self.refuse_outside(file, dir, "resource", reference);
        }
        let found: Vec<_> = match self.all.documents.of(&path) {
            Some(values) => {
                values.iter().map(|value| Resource::new(&path, value.clone())).collect()
            }
            None if self.all.get(&path).is_some() => self.within(&path, Vec::new()),
            None if self.exists(&path) => {
                self.doubt(&path);
                Vec::new()
            }
            None => {
                let message = format!(
                    "resource `{}` is neither a file nor a kustomization",
                    shown(reference)
                );
                self.fault(file, FaultKind::Build, message);
                Vec::new()
            }
        };
        self.made += found.len();
        self.refuse(file, || found.iter().find_map(identity::nameless));
        found
    }

    /// Counts one more resource or component. `true` if the limit is exceeded.
    fn is_too_much(&mut self, file: &str) -> bool {
        self.made += 1;
        if self.made > MOST && !self.is_full {
            self.is_full = true;
            self.fault(file, FaultKind::Beyond, format!("builds more than {MOST} resources"));
        }
        self.is_full
    }

    /// Records why kustomize refuses the output of `file`, unless that is undetermined.
    fn refuse(&mut self, file: &str, why: impl FnOnce() -> Option<String>) {
        if self.unsure.is_none()
            && let Some(why) = why()
        {
            self.fault(file, FaultKind::Build, why);
        }
    }

    /// Records that the file `reference`, a `role` of the kustomization `file` in `dir`, is outside
    /// that directory.
    fn refuse_outside(&mut self, file: &str, dir: &str, role: &str, reference: &str) {
        let inside = format!("{dir}/");
        let is_outside = |path: &String| !dir.is_empty() && !path.starts_with(&inside);
        if below(dir, reference).as_ref().is_some_and(is_outside) {
            let message = format!(
                "{role} `{}` is outside the kustomization's directory, which kustomize refuses: \
                 move it, or name a directory with a kustomization",
                shown(reference)
            );
            self.fault(file, FaultKind::Build, message);
        }
    }

    /// Whether the file `path`, or a kustomization in that directory, exists, even if it was not
    /// read.
    fn exists(&self, path: &str) -> bool {
        self.all.documents.exists(path)
            || places(path).any(|place| self.all.documents.exists(&place))
    }

    /// Generates a Secret without its values, or a `ConfigMap`, or changes an existing one.
    fn generate(
        &mut self,
        file: &str,
        dir: &str,
        kind: &str,
        generator: &Generator,
        resources: &mut Vec<Resource>,
    ) {
        for name in &generator.files {
            self.refuse_outside(file, dir, "generator's file", name);
        }
        let inputs = generator.inputs.iter().map(|(key, source)| {
            let input = match source {
                Source::File(path) => below(dir, path).map(Input::File),
                Source::Inline(text) => Some(Input::Literal(text.clone())),
            };
            (key.clone(), input)
        });
        let inputs: Vec<_> = inputs.collect();
        match identity::generated(generator, kind, resources) {
            Ok(None) => resources.push(new(file, kind, generator, inputs)),
            Ok(Some(at)) => {
                if let Some(found) = &mut resources[at].generated {
                    let given = |key: &String| inputs.iter().any(|(other, _)| other == key);
                    found.inputs.retain(|(key, _)| !given(key));
                    found.inputs.extend(inputs);
                }
            }
            Err(why) => self.refuse(file, || Some(why)),
        }
    }

    fn patch(&mut self, file: &str, dir: &str, patch: &Patch, resources: &mut Vec<Resource>) {
        if let Source::File(name) = &patch.source {
            self.refuse_outside(file, dir, "patch", name);
        }
        let changes = match &patch.source {
            Source::Inline(text) => match yaml::read_all(text) {
                Ok(changes) => changes,
                Err(_) => {
                    return self.fault(file, FaultKind::Beyond, "a patch is not valid YAML".into());
                }
            },
            Source::File(name) => match below(dir, name) {
                Some(place) if self.all.documents.exists(&place) => {
                    match self.all.documents.whole(&place) {
                        Some(changes) => changes,
                        None => return self.doubt(&place),
                    }
                }
                _ => {
                    let message = format!("patch `{}` does not exist", shown(name));
                    return self.fault(file, FaultKind::Build, message);
                }
            },
        };
        let aim = match &patch.target {
            Target::Selected(selector) => selector.written_kind.as_deref(),
            Target::Itself | Target::Unknown => None,
        };
        let operations = match &changes[..] {
            [Value::Sequence(operations)] if operations.iter().all(json_patch::is_one) => {
                Some(operations)
            }
            _ => None,
        };
        match (&patch.target, operations) {
            (Target::Selected(selector), Some(operations)) => {
                for resource in resources.iter_mut().filter(|resource| selector.takes(resource)) {
                    let before = resource.value.clone();
                    if json_patch::apply(&mut resource.value, operations) {
                        continue;
                    }
                    resource.value = before;
                    if self.unsure.is_none() && !aim.is_some_and(|kind| PODLESS.contains(&kind)) {
                        let (kind, name) =
                            (kind(&resource.value).unwrap_or_default(), resource.name());
                        let message = format!(
                            "the path of a JSON patch does not exist in {} `{}`",
                            shown(kind),
                            shown(name)
                        );
                        self.fault(file, FaultKind::Build, message);
                    }
                }
            }
            (Target::Itself, Some(_)) => {
                self.fault(file, FaultKind::Build, "a JSON patch has no `target`".into());
            }
            (Target::Unknown, _) => {
                let message =
                    "`patches.target` or `patches.options` is not supported by this check";
                self.fault(file, FaultKind::Beyond, message.into());
            }
            (target, None) if !changes.is_empty() && changes.iter().all(patch::is_one) => {
                for change in &changes {
                    if !merge(change, target, resources) && self.unsure.is_none() {
                        let message = "a patch matches no resource of its kind and name";
                        self.fault(file, FaultKind::Build, message.into());
                    }
                }
            }
            _ if aim.is_some_and(|kind| PODLESS.contains(&kind)) => {}
            _ => {
                let message = "a patch is neither a strategic-merge nor a JSON patch";
                self.fault(file, FaultKind::Beyond, message.into());
            }
        }
    }

    fn fault(&mut self, path: &str, kind: FaultKind, message: String) {
        self.faults.push(Fault { path: path.to_owned(), kind, message });
        self.doubt(path);
    }

    /// Records that the result may differ because of `path`.
    fn doubt(&mut self, path: &str) {
        if self.unsure.is_none() {
            self.unsure = Some(path.to_owned());
        }
    }
}

/// Merges `change` into its target. `false` if it names its target itself and there is none.
fn merge(change: &Value, target: &Target, resources: &mut Vec<Resource>) -> bool {
    let mut hit = matches!(target, Target::Selected(_));
    resources.retain_mut(|resource| {
        let is_target = match target {
            Target::Selected(selector) => selector.takes(resource),
            Target::Itself | Target::Unknown => patch::is_for(change, resource),
        };
        hit |= is_target;
        if is_target && patch::deletes(change) {
            return false;
        }
        if is_target {
            let (kind, metadata) =
                (resource.value.get("kind").cloned(), resource.value.get("metadata").cloned());
            patch::merge_object(&mut resource.value, change);
            keep_identity(&mut resource.value, kind, metadata.as_ref());
        }
        true
    });
    hit
}

/// Restores a resource's own identity: a patch may have any name if a selector chooses its target,
/// and an earlier name otherwise.
fn keep_identity(resource: &mut Value, kind: Option<Value>, metadata: Option<&Value>) {
    let Value::Mapping(entries) = resource else { return };
    if let Some(kind) = kind {
        entries.insert("kind".into(), kind);
    }
    let Some(Value::Mapping(now)) = entries.get_mut("metadata") else { return };
    for field in ["name", "namespace"] {
        match metadata.and_then(|metadata| metadata.get(field)) {
            Some(before) => now.insert(field.into(), before.clone()),
            None => now.remove(field),
        };
    }
}

/// A Secret without its values, or a `ConfigMap`, made by `generator`.
fn new(
    file: &str,
    kind: &str,
    generator: &Generator,
    inputs: Vec<(String, Option<Input>)>,
) -> Resource {
    let mut metadata = Mapping::from_iter([("name".into(), generator.name.clone().into())]);
    metadata.extend(generator.namespace.iter().map(|one| ("namespace".into(), one.clone().into())));
    let entries = [
        ("apiVersion", "v1".into()),
        ("kind", kind.into()),
        ("metadata", Value::Mapping(metadata)),
    ];
    let value =
        Value::Mapping(entries.into_iter().map(|(key, value)| (key.into(), value)).collect());
    let mut resource = Resource::new(file, value);
    resource.generated =
        Some(Generated { kind: generator.kind.clone(), inputs, is_hashed: generator.is_hashed });
    resource
}

/// A name from a file, if it can be printed.
fn shown(text: &str) -> &str {
    if text.len() <= 200 && !text.contains(char::is_control) { text } else { "?" }
}
