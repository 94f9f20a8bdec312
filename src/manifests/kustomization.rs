//! One kustomization file: its possible names, the paths in it, the supported fields, and the names
//! of unsupported ones.

use super::FaultKind;
use super::images::ImageTag;
use super::select::Selector;
use crate::yaml;
use crate::yaml_path::{at, kind, list, text};
use serde_yaml::{Mapping, Value};

/// The file names that kustomize looks for, in its order.
pub(super) const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// The kind of such a file; other files use it for objects that are not kustomizations.
pub(super) const KIND: &str = NAMES[2];

/// Fields that never change images, pull secrets or namespaces.
const HARMLESS: [&str; 10] = [
    "apiVersion",
    "kind",
    "metadata",
    "buildMetadata",
    "generatorOptions",
    "sortOptions",
    "openapi",
    "inventory",
    "validators",
    "crds",
];

/// What remains undetermined if a kustomization has `field`.
pub(super) fn not_checked(field: &str) -> Option<&'static str> {
    Some(match field {
        "replacements" => "the fields that it copies between objects",
        "vars" => "the value of `$(NAME)`",
        "helmCharts" | "helmChartInflationGenerator" => "the output of the charts",
        "generators" => "their output",
        "transformers" => "their changes",
        "configurations" => "further fields with names and images",
        _ => return None,
    })
}

/// Whether the file `path` is a kustomization.
#[must_use]
pub fn is_one(path: &str) -> bool {
    NAMES.contains(&path.rsplit('/').next().unwrap_or(path))
}

/// Possible paths of the kustomization of `dir`, in kustomize's order; `dir` is empty for the top
/// of the repository.
pub fn places(dir: &str) -> impl Iterator<Item = String> {
    let slash = if dir.is_empty() { "" } else { "/" };
    NAMES.iter().map(move |name| format!("{dir}{slash}{name}"))
}

/// The path of a generated kustomization of `dir`.
#[must_use]
pub fn generated(dir: &str) -> String {
    format!("{dir}/{}", NAMES[0])
}

/// The parsed `text`; null if it is not YAML.
#[must_use]
pub fn read(text: Option<&str>) -> Value {
    text.and_then(|text| yaml::read(text).ok()).unwrap_or_default()
}

/// The files and directories in `resources` of the kustomization `root`, which is in `dir`.
pub fn resources(root: &Value, dir: &str) -> impl Iterator<Item = String> {
    list(root, "resources").filter_map(Value::as_str).filter_map(move |one| below(dir, one))
}

/// `reference` relative to `dir`, as a path below the top of the repository; `None` if it leads out
/// of it.
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

/// Whether `reference`, which is not a file, is a URL that kustomize fetches.
pub(super) fn is_remote(reference: &str) -> bool {
    let host = reference.split('/').next().unwrap_or_default();
    reference.contains("://")
        || reference.contains("?ref=")
        || reference.starts_with("git@")
        || reference.contains("::")
        || reference.contains(".git/")
        || ["github.com", "gitlab.com", "bitbucket.org"].contains(&host)
}

/// A kustomization.
#[derive(Default)]
pub(super) struct Kustomization {
    /// `resources` and `bases`, as written.
    pub(super) resources: Vec<String>,
    pub(super) components: Vec<String>,
    pub(super) namespace: Option<String>,
    pub(super) prefix: String,
    pub(super) suffix: String,
    pub(super) labels: Mapping,
    pub(super) annotations: Mapping,
    /// Numbers of pods, by workload name.
    pub(super) replicas: Vec<(String, Value)>,
    pub(super) images: Vec<ImageTag>,
    pub(super) patches: Vec<Patch>,
    /// `patchesJson6902`, which kustomize applies later.
    pub(super) late_patches: Vec<Patch>,
    /// The generated Secrets.
    pub(super) secrets: Vec<Generator>,
    /// The generated `ConfigMap`s.
    pub(super) config_maps: Vec<Generator>,
    /// Whether it is a `kind: Component`, which deploys nothing by itself.
    pub(super) is_component: bool,
    /// Other files that it uses, which are therefore not manifests.
    pub(super) others: Vec<String>,
    /// Its unsupported fields.
    pub(super) beyond: Vec<String>,
    /// Further problems.
    pub(super) faults: Vec<(FaultKind, &'static str)>,
}

/// A Secret or a `ConfigMap` that is generated from files.
pub(super) struct Generator {
    /// The name without the hash suffix.
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    /// The type of a Secret.
    pub(super) kind: String,
    /// Whether it changes an existing one.
    pub(super) changes: bool,
    /// The files, as written; they are not manifests.
    pub(super) files: Vec<String>,
    /// The keys, with their file or text.
    pub(super) inputs: Vec<(String, Source)>,
    pub(super) is_hashed: bool,
}

/// A patch.
pub(super) struct Patch {
    pub(super) source: Source,
    pub(super) target: Target,
}

/// The location of a text.
#[derive(Clone)]
pub(super) enum Source {
    File(String),
    Inline(String),
}

/// The target of a patch.
pub(super) enum Target {
    /// The object that the patch names itself.
    Itself,
    /// The objects that a selector matches.
    Selected(Selector),
    /// An unsupported target.
    Unknown,
}

impl Kustomization {
    pub(super) fn of(root: &Value) -> Self {
        let mut found = Self::default();
        let is_hashed = at(root, &["generatorOptions", "disableNameSuffixHash"])
            .and_then(Value::as_bool)
            != Some(true);
        for (key, value) in root.as_mapping().into_iter().flatten() {
            let key = key.as_str().unwrap_or_default();
            let text = || value.as_str().unwrap_or_default().to_owned();
            let items = || value.as_sequence().into_iter().flatten();
            match key {
                "resources" | "bases" => found.resources.extend(texts(value)),
                "components" => found.components.extend(texts(value)),
                "namespace" => found.namespace = Some(text()).filter(|text| !text.is_empty()),
                "namePrefix" => found.prefix = text(),
                "nameSuffix" => found.suffix = text(),
                "commonLabels" => {
                    found.labels.extend(value.as_mapping().cloned().unwrap_or_default());
                }
                "commonAnnotations" => {
                    found.annotations.extend(value.as_mapping().cloned().unwrap_or_default());
                }
                "labels" => {
                    let pairs = items().filter_map(|item| item.get("pairs")?.as_mapping());
                    found.labels.extend(pairs.flat_map(Clone::clone));
                }
                "replicas" => {
                    let one = |item: &Value| {
                        Some((self::text(item, &["name"])?.to_owned(), item.get("count")?.clone()))
                    };
                    found.replicas.extend(items().filter_map(one));
                }
                "images" => found.take_images(value),
                "patchesStrategicMerge" => {
                    let patch =
                        |text: String| Patch { source: source(text), target: Target::Itself };
                    found.patches.extend(texts(value).into_iter().map(patch));
                }
                "patches" => {
                    let all: Vec<_> = items().filter_map(|item| found.patch(item)).collect();
                    found.patches.extend(all);
                }
                "patchesJson6902" => {
                    let all: Vec<_> = items().filter_map(|item| found.patch(item)).collect();
                    found.late_patches.extend(all);
                }
                "secretGenerator" => {
                    found.secrets.extend(items().filter_map(|item| Generator::of(item, is_hashed)));
                }
                "configMapGenerator" => {
                    found
                        .config_maps
                        .extend(items().filter_map(|item| Generator::of(item, is_hashed)));
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

    fn patch(&mut self, item: &Value) -> Option<Patch> {
        let text =
            |name: &str| text(item, &[name]).filter(|text| !text.is_empty()).map(str::to_owned);
        let source = match (text("path"), text("patch")) {
            (Some(path), _) => Source::File(path),
            (None, Some(patch)) => Source::Inline(patch),
            (None, None) => {
                self.faults.push((FaultKind::Build, "a patch has neither `path` nor `patch`"));
                return None;
            }
        };
        let has_options =
            item.get("options").and_then(Value::as_mapping).is_some_and(|all| !all.is_empty());
        let target = match item.get("target") {
            _ if has_options => Target::Unknown,
            None | Some(Value::Null) => Target::Itself,
            Some(target) => Selector::of(target).map_or(Target::Unknown, Target::Selected),
        };
        Some(Patch { source, target })
    }
}

impl Generator {
    /// Parses an entry of a generator; `None` if it has no name.
    fn of(item: &Value, is_hashed: bool) -> Option<Self> {
        let text = |name: &str| text(item, &[name]).map(str::to_owned);
        let list = |name: &str| item.get(name).map(texts).unwrap_or_default();
        let mut inputs = Vec::new();
        for written in list("files") {
            let (key, path) = match written.split_once('=') {
                Some((key, path)) => (key.to_owned(), path.to_owned()),
                None => {
                    (written.rsplit('/').next().unwrap_or(&written).to_owned(), written.clone())
                }
            };
            inputs.push((key, Source::File(path)));
        }
        let files = inputs.iter().filter_map(|(_, source)| match source {
            Source::File(path) => Some(path.clone()),
            Source::Inline(_) => None,
        });
        let files = list("envs").into_iter().chain(text("env")).chain(files).collect();
        for literal in list("literals") {
            if let Some((key, value)) = literal.split_once('=') {
                inputs.push((key.to_owned(), Source::Inline(value.to_owned())));
            }
        }
        let own = at(item, &["options", "disableNameSuffixHash"]).and_then(Value::as_bool);
        Some(Self {
            name: text("name")?,
            namespace: text("namespace"),
            kind: text("type").unwrap_or_else(|| "Opaque".to_owned()),
            changes: text("behavior").is_some_and(|behavior| behavior != "create"),
            files,
            inputs,
            is_hashed: own.map_or(is_hashed, |is_disabled| !is_disabled),
        })
    }
}

/// An entry of `patchesStrategicMerge`: a path, or the patch itself.
fn source(text: String) -> Source {
    if text.contains('\n') { Source::Inline(text) } else { Source::File(text) }
}

fn texts(value: &Value) -> Vec<String> {
    value.as_sequence().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Everything in `value` that may be the path of a file.
fn files_in(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) if !text.contains('\n') => vec![text.clone()],
        Value::Sequence(items) => items.iter().flat_map(files_in).collect(),
        Value::Mapping(entries) => entries.values().flat_map(files_in).collect(),
        _ => Vec::new(),
    }
}
