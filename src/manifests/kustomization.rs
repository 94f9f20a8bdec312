//! One kustomization file: its names, the paths in it, the fields that are understood, and the names of those that are not.

use super::FaultKind;
use super::images::ImageTag;
use crate::yaml;
use crate::yaml_path::{kind, list, text};
use serde_yaml::Value;

/// The names that kustomize looks for, in its order.
const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Fields that can change neither images, nor pull secrets, nor namespaces.
const HARMLESS: [&str; 13] = [
    "apiVersion",
    "kind",
    "metadata",
    "labels",
    "commonLabels",
    "commonAnnotations",
    "buildMetadata",
    "replicas",
    "sortOptions",
    "generatorOptions",
    "configMapGenerator",
    "openapi",
    "inventory",
];

/// Whether the file `path` is a kustomization.
#[must_use]
pub fn is_one(path: &str) -> bool {
    NAMES.contains(&path.rsplit('/').next().unwrap_or(path))
}

/// Where the kustomization of `dir` may be, in kustomize's order.
pub fn places(dir: &str) -> impl Iterator<Item = String> {
    NAMES.iter().map(move |name| format!("{dir}/{name}"))
}

/// Where the kustomization of `dir` is generated.
#[must_use]
pub fn generated(dir: &str) -> String {
    format!("{dir}/{}", NAMES[0])
}

/// What `text` says; nothing if it is no YAML.
#[must_use]
pub fn read(text: Option<&str>) -> Value {
    text.and_then(|text| yaml::read(text).ok()).unwrap_or_default()
}

/// The files and directories that `resources` of the kustomization `root`, which is in `dir`, names.
pub fn resources(root: &Value, dir: &str) -> impl Iterator<Item = String> {
    list(root, "resources").filter_map(Value::as_str).filter_map(move |one| below(dir, one))
}

/// `reference` from `dir`, as a path below the top of the repository; `None` if it leads out of it.
#[must_use]
pub fn below(dir: &str, reference: &str) -> Option<String> {
    if reference.starts_with('/') || is_remote(reference) {
        return None;
    }
    let mut parts: Vec<&str> = dir.split('/').filter(|part| !part.is_empty()).collect();
    for part in reference.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

pub(super) fn is_remote(reference: &str) -> bool {
    reference.contains("://")
        || reference.contains("?ref=")
        || reference.contains('@')
        || reference.starts_with("github.com/")
}

/// A kustomization.
#[derive(Default)]
pub(super) struct Kustomization {
    /// `resources` and `bases`, as they are written.
    pub(super) resources: Vec<String>,
    pub(super) namespace: Option<String>,
    pub(super) images: Vec<ImageTag>,
    pub(super) patches: Vec<Patch>,
    /// The Secrets that it generates.
    pub(super) secrets: Vec<Generator>,
    /// Whether it is a `kind: Component`, which is nothing by itself.
    pub(super) is_component: bool,
    /// Other files that it takes, so that they are no manifests of their own.
    pub(super) others: Vec<String>,
    /// Its fields that are not understood.
    pub(super) beyond: Vec<String>,
    /// What else is wrong with it.
    pub(super) faults: Vec<(FaultKind, &'static str)>,
}

/// A Secret that is generated from files.
pub(super) struct Generator {
    /// Its name, without the hash.
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    /// Whether it changes a Secret that is there already.
    pub(super) changes: bool,
    /// The files, as they are written; no manifests.
    pub(super) files: Vec<String>,
}

/// A strategic-merge patch.
pub(super) struct Patch {
    pub(super) source: Source,
    pub(super) target: Option<Target>,
}

/// Where a patch stands.
pub(super) enum Source {
    File(String),
    Inline(String),
}

/// What a patch is for, where it does not say so itself.
pub(super) struct Target {
    pub(super) kind: Option<String>,
    pub(super) name: Option<String>,
    pub(super) namespace: Option<String>,
}

impl Kustomization {
    pub(super) fn of(root: &Value) -> Self {
        let mut found = Self::default();
        for (key, value) in root.as_mapping().into_iter().flatten() {
            let key = key.as_str().unwrap_or_default();
            match key {
                "resources" | "bases" => found.resources.extend(texts(value)),
                "namespace" => {
                    found.namespace = value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
                }
                "images" => found.take_images(value),
                "patchesStrategicMerge" => {
                    let patch = |text: String| Patch { source: source(text), target: None };
                    found.patches.extend(texts(value).into_iter().map(patch));
                }
                "patches" => {
                    value.as_sequence().into_iter().flatten().for_each(|item| found.take_patch(item));
                }
                "secretGenerator" => {
                    let items = value.as_sequence().into_iter().flatten();
                    found.secrets.extend(items.filter_map(Generator::of));
                }
                _ if HARMLESS.contains(&key) || value.is_null() => {}
                _ => {
                    found.others.extend(files_in(value));
                    found.beyond.push(key.to_owned());
                }
            }
        }
        found.is_component = kind(root) == Some("Component");
        found
    }

    fn take_images(&mut self, value: &Value) {
        for item in value.as_sequence().into_iter().flatten() {
            match ImageTag::of(item) {
                Ok(image) => self.images.push(image),
                Err(fault) => self.faults.push(fault),
            }
        }
    }

    fn take_patch(&mut self, item: &Value) {
        let text = |name: &str| text(item, &[name]).map(str::to_owned);
        let source = match (text("path"), text("patch")) {
            (Some(path), _) => Source::File(path),
            (None, Some(patch)) => Source::Inline(patch),
            (None, None) => {
                let fault = "a patch of it has neither `path` nor `patch`";
                return self.faults.push((FaultKind::Build, fault));
            }
        };
        let target = match item.get("target") {
            None | Some(Value::Null) => None,
            Some(target) => match Target::of(target) {
                Some(target) => Some(target),
                None => {
                    if let Source::File(path) = source {
                        self.others.push(path);
                    }
                    return self.beyond.push("patches.target".into());
                }
            },
        };
        self.patches.push(Patch { source, target });
    }
}

impl Generator {
    /// Reads an entry of `secretGenerator`; `None` if it has no name.
    fn of(item: &Value) -> Option<Self> {
        let text = |name: &str| text(item, &[name]).map(str::to_owned);
        let list = |name: &str| item.get(name).map(texts).unwrap_or_default();
        let path = |text: String| text.split_once('=').map_or(text.clone(), |(_, path)| path.to_owned());
        let files = list("files").into_iter().map(path);
        Some(Self {
            name: text("name")?,
            namespace: text("namespace"),
            changes: text("behavior").is_some_and(|behavior| behavior != "create"),
            files: list("envs").into_iter().chain(text("env")).chain(files).collect(),
        })
    }
}

impl Target {
    /// Reads a target; none if it selects by more than whole names.
    fn of(value: &Value) -> Option<Self> {
        let mut target = Self { kind: None, name: None, namespace: None };
        for (key, value) in value.as_mapping()? {
            let value = value.as_str()?.to_owned();
            // A regular expression, but for one that is plain letters.
            let plain = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-./".contains(&byte));
            match key.as_str()? {
                "group" | "version" => {}
                "kind" if plain => target.kind = Some(value),
                "name" if plain => target.name = Some(value),
                "namespace" if plain => target.namespace = Some(value),
                "kind" | "name" | "namespace" if value == ".*" => {}
                _ => return None,
            }
        }
        Some(target)
    }
}

/// A patch in `patchesStrategicMerge`: a path, or the patch itself.
fn source(text: String) -> Source {
    if text.contains('\n') { Source::Inline(text) } else { Source::File(text) }
}

fn texts(value: &Value) -> Vec<String> {
    value.as_sequence().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Whatever in `value` may be the path of a file.
fn files_in(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) if !text.contains('\n') => vec![text.clone()],
        Value::Sequence(items) => items.iter().flat_map(files_in).collect(),
        Value::Mapping(entries) => entries.values().flat_map(files_in).collect(),
        _ => Vec::new(),
    }
}
