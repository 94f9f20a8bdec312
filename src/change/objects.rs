//! Helpers that look up values in Kubernetes objects and kustomizations. Pure.

use super::Files;
use crate::answers::{Component, ImageRef};
use crate::manifests;
pub(super) use crate::manifests::kustomization::read as kustomization;
use crate::yaml;
pub(super) use crate::yaml_path::{at, list, text};
use serde_yaml::Value;

/// The path of an Ingress's host.
pub(super) const HOST: &[&str] = &["spec", "rules", "0", "host"];
/// The path of the host in its certificate.
pub(super) const TLS_HOST: &[&str] = &["spec", "tls", "0", "hosts", "0"];

/// The documents of a file; empty if one of them is not YAML.
pub(super) fn documents(bytes: &[u8]) -> Vec<Value> {
    manifests::documents(bytes).unwrap_or_default()
}

/// The first document of a text, even if it is a list; null if there is none.
pub(super) fn first(text: &str) -> Value {
    yaml::read_all(text)
        .ok()
        .and_then(|all| all.into_iter().find(|one| !one.is_null()))
        .unwrap_or_default()
}

/// Whether every document of `text` is YAML.
pub(super) fn is_readable(text: &str) -> bool {
    manifests::documents(text.as_bytes()).is_ok()
}

/// All documents below the directory `dir`, each with its file.
pub(super) fn below<'f>(files: &'f Files, dir: &str) -> Vec<(&'f str, Value)> {
    let mut all = Vec::new();
    for (path, found) in files.below(dir).filter(|(path, _)| is_yaml(path)) {
        let documents = found.content.as_ref().map(|bytes| documents(bytes)).unwrap_or_default();
        all.extend(documents.into_iter().map(|document| (path, document)));
    }
    all
}

/// Whether `path` has the name of a YAML file or a kustomization.
pub(super) fn is_yaml(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let end = name.rsplit_once('.').map(|(_, end)| end);
    matches!(end, Some("yaml" | "yml")) || manifests::kustomization::is_one(path)
}

/// Whether `document` is the object with `kind` and `name`.
pub(super) fn is_object(document: &Value, kind: &str, name: &str) -> bool {
    text(document, &["kind"]) == Some(kind) && text(document, &["metadata", "name"]) == Some(name)
}

/// The container in `workload`, the object of `component`, that has the component's name.
pub(super) fn own_container<'v>(workload: &'v Value, component: &Component) -> Option<&'v Value> {
    let pod = at(workload, component.workload.pod())?;
    list(pod, "containers").find(|one| text(one, &["name"]) == Some(component.name.as_str()))
}

/// The kinds of the objects with the name of `component`.
pub(super) fn kinds(component: &Component) -> Vec<&'static str> {
    let kinds = [
        Some(component.workload.kind()),
        component.port.map(|_| "Service"),
        component.ingress.as_ref().map(|_| "Ingress"),
        component.service_account.then_some("ServiceAccount"),
        component.config.then_some("ConfigMap"),
    ];
    kinds.into_iter().flatten().collect()
}

/// The images of the containers in `value`, without tag and digest.
pub(super) fn images(value: &Value, found: &mut Vec<String>) {
    containers(value, 0, &mut |image| {
        if let Ok(image) = ImageRef::parse_unpinned(image) {
            found.push(image.name().to_owned());
        }
    });
}

/// Calls `take` with the image of each container in `value`, as written.
pub(super) fn containers(value: &Value, depth: usize, take: &mut dyn FnMut(&str)) {
    // The depth of a CronJob's containers.
    if depth > 10 {
        return;
    }
    for (key, inner) in value.as_mapping().into_iter().flatten() {
        if matches!(key.as_str(), Some("containers" | "initContainers")) {
            inner
                .as_sequence()
                .into_iter()
                .flatten()
                .filter_map(|one| text(one, &["image"]))
                .for_each(&mut *take);
        }
        containers(inner, depth + 1, take);
    }
}

/// The reference that an `images` entry of a kustomization makes of `name`, with tag or digest.
pub(super) fn reference(entry: &Value) -> Option<String> {
    let name = text(entry, &["name"])?;
    match (entry.get("digest"), entry.get("newTag")) {
        (Some(digest), _) => Some(format!("{name}@{}", digest.as_str()?)),
        (None, tag) => Some(format!("{name}:{}", tag?.as_str()?)),
    }
}

/// The first host that a kustomization's patches set at `path` of the Ingress `name`.
pub(super) fn patched_host(kustomization: &Value, name: &str, path: &[&str]) -> Option<String> {
    patched_hosts(kustomization, name, path).into_iter().next()
}

/// All hosts that they set there.
pub(super) fn patched_hosts(kustomization: &Value, name: &str, path: &[&str]) -> Vec<String> {
    let mut hosts = Vec::new();
    let pointer = format!("/{}", path.join("/"));
    let is_it = |patch: &&Value| {
        text(patch, &["target", "kind"]) == Some("Ingress")
            && text(patch, &["target", "name"]) == Some(name)
    };
    for patch in
        list(kustomization, "patches").filter_map(|patch| Some((patch, text(patch, &["patch"])?)))
    {
        if is_it(&patch.0)
            && let Ok(steps) = yaml::read::<Vec<Value>>(patch.1)
        {
            let steps = steps.iter().filter(|step| text(step, &["path"]) == Some(&pointer));
            hosts.extend(steps.filter_map(|step| text(step, &["value"]).map(str::to_owned)));
        }
        for document in documents(patch.1.as_bytes()) {
            let of_it = is_object(&document, "Ingress", name) || is_it(&patch.0);
            hosts.extend(text(&document, path).filter(|_| of_it).map(str::to_owned));
        }
    }
    hosts
}

/// The hosts of the Ingress `document`, including those of its certificates.
pub(super) fn hosts(document: &Value) -> Vec<String> {
    if text(document, &["kind"]) != Some("Ingress") {
        return Vec::new();
    }
    let Some(spec) = document.get("spec") else { return Vec::new() };
    let rules = list(spec, "rules").filter_map(|rule| text(rule, &["host"]));
    let certificates =
        list(spec, "tls").flat_map(|entry| list(entry, "hosts")).filter_map(|host| host.as_str());
    rules.chain(certificates).map(str::to_owned).collect()
}
