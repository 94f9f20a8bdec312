//! Effects of an update that a cluster refuses, and objects that it keeps although the repository
//! no longer has them. Pure.

use crate::change::objects::{self, at, text};
use crate::change::{Bytes, Files, OVERLAYS, Plan};
use crate::context::Context;
use crate::manifests::{Builds, kustomization};
use crate::work_tree::Content;
use serde_yaml::Value;
use std::collections::BTreeMap;

/// Immutable fields, by kind.
const IMMUTABLE: [(&str, &[&str]); 8] = [
    ("Deployment", &["spec", "selector"]),
    ("DaemonSet", &["spec", "selector"]),
    ("StatefulSet", &["spec", "selector"]),
    ("StatefulSet", &["spec", "serviceName"]),
    ("StatefulSet", &["spec", "volumeClaimTemplates"]),
    ("RoleBinding", &["roleRef"]),
    ("ClusterRoleBinding", &["roleRef"]),
    ("Service", &["spec", "clusterIP"]),
];

/// The directory from which kustomize builds.
const MANIFESTS: &str = "kubernetes";

/// Kind and name.
type Object = (String, String);

/// Warnings to show before `plan` changes `files`, one sentence each: compares what the
/// environments build before and after.
pub(in crate::change) fn hazards(files: &Files, plan: &Plan) -> Vec<String> {
    let before =
        contents(files.below(MANIFESTS).map(|(path, found)| (path, found.content.as_ref().ok())));
    let mut after = before.clone();
    for step in plan.steps.iter().filter(|step| step.path.starts_with(MANIFESTS)) {
        match &step.after {
            Some(bytes) => after.insert(step.path.clone(), bytes.clone()),
            None => after.remove(&step.path),
        };
    }
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let dirs = overlays(&before);
    let [was, will] = [before, after].map(builds);
    for dir in &dirs {
        let [old, new] = [&was, &will].map(|builds| objects(builds, dir));
        for hazard in between(&old, &new) {
            found.entry(hazard).or_default().push(dir.rsplit('/').next().unwrap_or(dir).to_owned());
        }
    }
    let described = |(hazard, names): (String, Vec<String>)| {
        if names.len() == dirs.len() { hazard } else { format!("{}: {hazard}", names.join(", ")) }
    };
    found.into_iter().map(described).collect()
}

/// The contents of files, by path.
type Contents = BTreeMap<String, Bytes>;

fn contents<'f>(files: impl Iterator<Item = (&'f str, Option<&'f Bytes>)>) -> Contents {
    files.filter_map(|(path, bytes)| Some((path.to_owned(), bytes?.clone()))).collect()
}

/// The directories of the overlays; that of the base if there are none.
fn overlays(files: &Contents) -> Vec<String> {
    let paths =
        files.keys().filter(|path| kustomization::is_one(path) && path.starts_with(OVERLAYS));
    let dirs: Vec<_> = paths.filter_map(|path| Some(path.rsplit_once('/')?.0.to_owned())).collect();
    if dirs.is_empty() { vec![Context::BASE.to_owned()] } else { dirs }
}

fn builds(files: Contents) -> Builds {
    let is_read = |path: &String| objects::is_yaml(path) || path.ends_with("json");
    let files = files.into_iter().filter(|(path, _)| is_read(path));
    Builds::of(&files.map(|(path, bytes)| (path, Content::Bytes(bytes))).collect())
}

/// The objects that kustomize builds from `dir`.
fn objects(builds: &Builds, dir: &str) -> BTreeMap<Object, Value> {
    builds.built(dir).into_iter().filter_map(|one| Some((object(&one)?, one))).collect()
}

fn between(old: &BTreeMap<Object, Value>, new: &BTreeMap<Object, Value>) -> Vec<String> {
    let mut found = Vec::new();
    for ((kind, name), old) in old {
        let Some(new) = new.get(&(kind.clone(), name.clone())) else {
            found.push(format!(
                "{kind} `{name}` is no longer deployed; `make prune` deletes it from the cluster"
            ));
            continue;
        };
        for (_, path) in IMMUTABLE.iter().filter(|(of, _)| of == kind) {
            if at(old, path) != at(new, path) {
                found.push(format!(
                    "{kind} `{name}` changes `{}`, which is immutable in the cluster: delete it \
                     there before `make deploy`",
                    path.join(".")
                ));
            }
        }
    }
    found
}

fn object(document: &Value) -> Option<Object> {
    Some((text(document, &["kind"])?.to_owned(), text(document, &["metadata", "name"])?.to_owned()))
}
