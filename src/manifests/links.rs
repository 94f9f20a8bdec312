//! References to a Secret or a service account by name, after prefixes or suffixes have changed the
//! name.
//!
//! Source: kustomize v5, `api/internal/accumulator/namereferencetransformer.go`: only the kinds
//! that it knows.

use super::pods::KINDS;
use super::resource::Resource;
use crate::yaml_path::kind;
use serde_yaml::Value;
use std::collections::HashMap;

/// Indices of the resources that have, or had, a name, by kind and name.
type Index = HashMap<(String, String), Vec<usize>>;

/// Replaces references to earlier names by current ones. `false` if one of them is ambiguous.
pub(super) fn renew(resources: &mut [Resource]) -> bool {
    if resources.iter().all(|resource| resource.affixes.is_empty()) {
        return true;
    }
    let mut index = Index::new();
    for (at, resource) in resources.iter().enumerate() {
        if let Some(kind @ ("Secret" | "ServiceAccount")) = kind(&resource.value) {
            for (name, _) in resource.identities() {
                let found = index.entry((kind.to_owned(), name.to_owned())).or_default();
                if found.last() != Some(&at) {
                    found.push(at);
                }
            }
        }
    }
    let mut is_clear = true;
    for at in 0..resources.len() {
        let refers = kind(&resources[at].value).is_some_and(|kind| {
            matches!(kind, "ServiceAccount" | "Ingress")
                || KINDS.iter().any(|(known, _)| *known == kind)
        });
        if !refers {
            continue;
        }
        let mut value = std::mem::take(&mut resources[at].value);
        // Its own names must stay available while other resources are compared with them.
        resources[at].value = Value::Mapping(
            ["kind", "metadata"]
                .into_iter()
                .filter_map(|key| Some((key.into(), value.get(key)?.clone())))
                .collect(),
        );
        names(&mut value, &mut |kind, name| match today(resources, &index, at, kind, name) {
            Ok(Some(new)) => *name = new,
            Ok(None) => {}
            Err(()) => is_clear = false,
        });
        resources[at].value = value;
    }
    is_clear
}

/// The current name of what the resource `by` calls `name`: in its namespace, and with the same
/// prefixes if there are several.
fn today(
    resources: &[Resource],
    index: &Index,
    by: usize,
    kind: &str,
    name: &str,
) -> Result<Option<String>, ()> {
    let Some(all) = index.get(&(kind.to_owned(), name.to_owned())) else { return Ok(None) };
    let here: Vec<_> =
        all.iter().filter(|at| resources[**at].namespace() == resources[by].namespace()).collect();
    let alike = here.iter().filter(|at| resources[***at].affixes == resources[by].affixes);
    let alike: Vec<_> = alike.copied().collect();
    match (&here[..], &alike[..]) {
        ([], _) => Ok(None),
        ([one], _) | (_, [one]) => Ok(Some(resources[**one].name().to_owned())),
        _ => Err(()),
    }
}

/// Calls `change` with the kind and the name of every Secret and service account in `value`.
fn names(value: &mut Value, change: &mut dyn FnMut(&str, &mut String)) {
    match value {
        Value::Sequence(items) => items.iter_mut().for_each(|item| names(item, change)),
        Value::Mapping(entries) => {
            for (key, value) in entries {
                match (key.as_str(), value) {
                    (Some("serviceAccountName" | "serviceAccount"), Value::String(name)) => {
                        change("ServiceAccount", name);
                    }
                    (Some("secretName"), Value::String(name)) => change("Secret", name),
                    (Some("secretRef" | "secretKeyRef"), value) => name_in(value, change),
                    (Some("imagePullSecrets" | "secrets"), Value::Sequence(items)) => {
                        for item in items {
                            name_in(item, change);
                        }
                    }
                    (Some("secret"), value) => {
                        name_in(value, change);
                        names(value, change);
                    }
                    (_, value) => names(value, change),
                }
            }
        }
        _ => {}
    }
}

fn name_in(value: &mut Value, change: &mut dyn FnMut(&str, &mut String)) {
    if let Some(Value::String(name)) = value.get_mut("name") {
        change("Secret", name);
    }
}
