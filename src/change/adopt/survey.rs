//! The files of a repository that Kubernetes or kustomize would read. Pure.

use crate::change::Files;
use crate::change::objects::{self, list, text};
use crate::manifests::{below, kustomization};
use crate::opaque::KeyFile;
use serde_yaml::{Mapping, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Manifests and kustomizations, classified.
pub(super) struct Survey {
    /// The objects of every file that contains nothing else.
    pub(super) manifests: BTreeMap<String, Vec<Value>>,
    /// Kustomizations by directory.
    pub(super) kustomizations: BTreeMap<String, Kustomization>,
}

/// A kustomization file.
pub(super) struct Kustomization {
    pub(super) path: String,
    pub(super) value: Value,
    pub(super) references: Vec<Reference>,
}

/// A reference of a kustomization to a file or a directory.
pub(super) struct Reference {
    /// Its position.
    pub(super) place: Vec<PathStep>,
    /// The text before the path: a key and `=`, or nothing.
    pub(super) prefix: String,
    /// The path below the top of the repository.
    pub(super) target: String,
}

impl Kustomization {
    /// The files from which `generator`, one of its own, generates a Secret.
    pub(super) fn generated_from(&self, generator: &Value) -> Vec<String> {
        let dir = self.path.rsplit_once('/').map_or("", |(dir, _)| dir);
        let mut alone = Mapping::new();
        alone.insert("secretGenerator".into(), Value::Sequence(vec![generator.clone()]));
        references(dir, &Value::Mapping(alone))
            .into_iter()
            .map(|reference| reference.target)
            .collect()
    }
}

impl Reference {
    /// Whether it refers to objects that are deployed, in contrast to patches and the like.
    pub(super) fn is_resource(&self) -> bool {
        matches!(self.place[..], [PathStep::Key("resources" | "bases"), _])
    }
}

/// A step of a path to a value.
#[derive(Clone, Copy)]
pub(super) enum PathStep {
    Key(&'static str),
    Item(usize),
}

impl Survey {
    /// Surveys the files at or below one of `limits`; all files if there are none.
    pub(super) fn of(files: &Files, limits: &[String]) -> Self {
        let charts: BTreeSet<_> = files
            .iter()
            .filter_map(|(path, _)| path.strip_suffix("Chart.yaml"))
            .map(str::to_owned)
            .collect();
        let is_within = |path: &str| {
            limits.is_empty() || limits.iter().any(|limit| path == limit || is_below(path, limit))
        };
        let mut found = Self { manifests: BTreeMap::new(), kustomizations: BTreeMap::new() };
        for (path, file) in files.iter() {
            let is_hidden = path.split('/').any(|part| part.starts_with('.'));
            // Templates of a chart are not manifests yet.
            let is_chart = charts.iter().any(|chart| path.starts_with(chart.as_str()));
            let is_named_so = objects::is_yaml(path)
                || Path::new(path).extension().is_some_and(|end| end == "json");
            if is_hidden
                || is_chart
                || !is_named_so
                || !is_within(path) && !is_below(path, "secrets")
            {
                continue;
            }
            let documents =
                file.content.as_ref().map(|bytes| objects::documents(bytes)).unwrap_or_default();
            let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
            if kustomization::is_one(path) {
                let value = documents.into_iter().next().unwrap_or_default();
                let references = references(dir, &value);
                let one = Kustomization { path: path.to_owned(), value, references };
                found.kustomizations.entry(dir.to_owned()).or_insert(one);
            } else if !documents.is_empty() && documents.iter().all(is_object) {
                found.manifests.insert(path.to_owned(), documents);
            }
        }
        found
    }

    /// The kustomizations to which no other one refers, without those of Secrets and components,
    /// which deploy nothing by themselves.
    pub(super) fn roots(&self) -> Vec<&str> {
        let named: BTreeSet<_> =
            self.references().map(|reference| reference.target.as_str()).collect();
        let all = self.kustomizations.iter();
        let all = all.filter(|(_, one)| text(&one.value, &["kind"]) != Some("Component"));
        let dirs = all.map(|(dir, _)| dir.as_str());
        dirs.filter(|dir| !named.contains(dir) && !is_below(dir, "secrets")).collect()
    }

    /// The directories of kustomizations reachable from `dir`, `dir` first.
    pub(super) fn reached(&self, dir: &str) -> Vec<&str> {
        let mut found: Vec<&str> = Vec::new();
        let mut open: Vec<&str> = self
            .kustomizations
            .get_key_value(dir)
            .map(|(dir, _)| dir.as_str())
            .into_iter()
            .collect();
        while let Some(dir) = open.pop() {
            if !found.contains(&dir) {
                found.push(dir);
                let named =
                    self.kustomizations[dir].references.iter().map(|one| one.target.as_str());
                open.extend(named.filter(|target| self.kustomizations.contains_key(*target)));
            }
        }
        found
    }

    /// Everything to which kustomizations refer.
    pub(super) fn named(&self) -> BTreeSet<&str> {
        self.references().map(|reference| reference.target.as_str()).collect()
    }

    fn references(&self) -> impl Iterator<Item = &Reference> {
        self.kustomizations.values().flat_map(|one| &one.references)
    }
}

/// Whether every document of a file is a Secret in plaintext, and so not encrypted by SOPS.
pub(super) fn is_secret(documents: &[Value]) -> bool {
    documents.iter().all(|one| text(one, &["kind"]) == Some("Secret") && one.get("sops").is_none())
}

/// The files to which the kustomizations among `files` refer, present or not.
pub(super) fn named_files(files: &Files, limits: &[String]) -> Vec<String> {
    let survey = Survey::of(files, limits);
    let all = survey.references().map(|reference| reference.target.clone());
    all.filter(|target| !survey.kustomizations.contains_key(target)).collect()
}

/// Whether a file contains a Secret in plaintext: as an object, as literals of a generator, or
/// within a text in another format.
pub(super) fn holds_secret(bytes: &[u8]) -> bool {
    // A patch, an example in a README or a file that is not YAML has it in a line.
    let declares_secret = |line: &str| {
        let mut words = line.split(|char: char| !char.is_alphanumeric());
        words.any(|word| word == "kind") && words.any(|word| word == "Secret")
    };
    String::from_utf8_lossy(bytes).lines().any(declares_secret)
        || objects::documents(bytes).iter().any(|one| {
            text(one, &["kind"]) == Some("Secret")
                || list(one, "secretGenerator").any(|generator| generator.get("literals").is_some())
        })
}

/// Whether `path` is below the directory `dir`.
pub(super) fn is_below(path: &str, dir: &str) -> bool {
    dir.is_empty() || path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
}

/// Whether a document is an API object: configurations of kubectl and other programs have no name.
fn is_object(document: &Value) -> bool {
    let has = |path: &[&str]| text(document, path).is_some();
    has(&["apiVersion"])
        && has(&["kind"])
        && has(&["metadata", "name"])
        && text(document, &["kind"]) != Some("Config")
}

/// The references of the kustomization `value`, which is in `dir` (kustomize's
/// `api/types/kustomization.go`).
fn references(dir: &str, value: &Value) -> Vec<Reference> {
    const LISTS: [&str; 9] = [
        "resources",
        "bases",
        "components",
        "crds",
        "configurations",
        "generators",
        "transformers",
        "validators",
        "patchesStrategicMerge",
    ];
    const WITH_PATH: [&str; 3] = ["patches", "patchesJson6902", "replacements"];
    const GENERATORS: [&str; 2] = ["configMapGenerator", "secretGenerator"];
    let mut found = Vec::new();
    let mut add = |place: Vec<PathStep>, prefix: &str, reference: &str| {
        let target = if reference.contains('\n') { None } else { below(dir, reference) };
        found.extend(target.map(|target| Reference { place, prefix: prefix.to_owned(), target }));
    };
    for key in LISTS {
        for (at, item) in list(value, key).enumerate() {
            add(vec![PathStep::Key(key), PathStep::Item(at)], "", item.as_str().unwrap_or("\n"));
        }
    }
    for key in WITH_PATH {
        for (at, item) in list(value, key).enumerate() {
            add(
                vec![PathStep::Key(key), PathStep::Item(at), PathStep::Key("path")],
                "",
                text(item, &["path"]).unwrap_or("\n"),
            );
        }
    }
    add(
        vec![PathStep::Key("openapi"), PathStep::Key("path")],
        "",
        text(value, &["openapi", "path"]).unwrap_or("\n"),
    );
    for key in GENERATORS {
        for (at, generator) in list(value, key).enumerate() {
            let place =
                |rest: &[PathStep]| [&[PathStep::Key(key), PathStep::Item(at)], rest].concat();
            for (number, item) in list(generator, "files").enumerate() {
                let written = item.as_str().unwrap_or("\n");
                let path = KeyFile::parse(written).path;
                let prefix = &written[..written.len() - path.len()];
                add(place(&[PathStep::Key("files"), PathStep::Item(number)]), prefix, &path);
            }
            for (number, item) in list(generator, "envs").enumerate() {
                add(
                    place(&[PathStep::Key("envs"), PathStep::Item(number)]),
                    "",
                    item.as_str().unwrap_or("\n"),
                );
            }
            add(place(&[PathStep::Key("env")]), "", text(generator, &["env"]).unwrap_or("\n"));
        }
    }
    found
}
