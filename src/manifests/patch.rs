//! Strategic-merge patches, as far as they affect containers and pull secrets.
//!
//! Source: Kubernetes' `strategicpatch`. The relevant lists merge by `name`; all others are
//! replaced.

use super::pods::KINDS;
use super::resource::Resource;
use super::select::group_version;
use crate::yaml_path::{kind, text};
use serde_yaml::{Mapping, Value};

/// The lists in which a patch changes the item with the same name.
const BY_NAME: [&str; 7] = [
    "containers",
    "initContainers",
    "ephemeralContainers",
    "imagePullSecrets",
    "env",
    "volumes",
    "secrets",
];

/// Whether `patch` is a strategic-merge patch, and not a list of JSON-patch operations.
pub(super) fn is_one(patch: &Value) -> bool {
    kind(patch).is_some() || patch.get("metadata").is_some() || patch.get("spec").is_some()
}

/// Whether `patch` deletes its target.
pub(super) fn deletes(patch: &Value) -> bool {
    directive(patch) == Some("delete")
}

fn directive(value: &Value) -> Option<&str> {
    text(value, &["$patch"])
}

/// Whether `patch` is for `resource`: same version, kind, name and namespace, including earlier
/// names.
pub(super) fn is_for(patch: &Value, resource: &Resource) -> bool {
    let namespace = text(patch, &["metadata", "namespace"]).unwrap_or("default");
    let name = text(patch, &["metadata", "name"]).unwrap_or_default();
    kind(patch) == kind(&resource.value)
        && group_version(patch) == group_version(&resource.value)
        && resource.identities().any(|identity| identity == (name, namespace))
}

/// Merges `patch` into the object `target`. Which lists merge by name is only known for Kubernetes'
/// own kinds.
pub(super) fn merge_object(target: &mut Value, patch: &Value) {
    let is_own = kind(target).is_some_and(|kind| {
        kind == "ServiceAccount" || KINDS.iter().any(|(known, _)| *known == kind)
    });
    merge(target, patch, is_own);
}

fn merge(target: &mut Value, patch: &Value, by_name: bool) {
    let Value::Mapping(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_mapping() || directive(patch) == Some("replace") {
        *target = Value::Mapping(Mapping::new());
    }
    let Value::Mapping(entries) = target else { return };
    for (key, change) in changes {
        let name = key.as_str().unwrap_or_default();
        if name.starts_with('$') {
            continue;
        }
        if change.is_null() || deletes(change) {
            entries.remove(key);
            continue;
        }
        match (entries.get_mut(key), change) {
            (Some(Value::Sequence(old)), Value::Sequence(new))
                if by_name && BY_NAME.contains(&name) =>
            {
                merge_list(old, new);
            }
            (Some(old), _) => merge(old, change, by_name),
            (None, _) => {
                let mut fresh = Value::Null;
                merge(&mut fresh, change, by_name);
                entries.insert(key.clone(), fresh);
            }
        }
    }
}

fn merge_list(old: &mut Vec<Value>, new: &[Value]) {
    if new.iter().any(|item| directive(item) == Some("replace")) {
        old.clear();
    }
    let mut added = Vec::new();
    for item in new {
        let same =
            |other: &Value| other.get("name").is_some() && other.get("name") == item.get("name");
        match old.iter().position(same) {
            Some(at) if deletes(item) => {
                old.remove(at);
            }
            Some(at) => merge(&mut old[at], item, true),
            None if item.get("name").is_some() && !deletes(item) => added.push(item.clone()),
            None => {}
        }
    }
    // kustomize puts new items first.
    added.append(old);
    *old = added;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(target: &str, patch: &str) -> Value {
        let mut target = serde_yaml::from_str(target).unwrap();
        merge(&mut target, &serde_yaml::from_str(patch).unwrap(), true);
        target
    }

    #[test]
    fn merges_as_strategic_merge_does() {
        for (target, patch, expected) in [
            ("{a: {b: 1, c: 2}}", "{a: {b: 3}}", "{a: {b: 3, c: 2}}"),
            ("{a: {b: 1, c: 2}}", "{a: {b: null}}", "{a: {c: 2}}"),
            ("{a: {b: 1, c: 2}}", "{a: {$patch: replace, d: 3}}", "{a: {d: 3}}"),
            ("{a: {b: 1}, c: 2}", "{a: {$patch: delete}}", "{c: 2}"),
            ("{args: [1, 2]}", "{args: [3]}", "{args: [3]}"),
            (
                "{containers: [{name: a, image: x}, {name: b, image: y}]}",
                "{containers: [{name: b, image: z}, {name: c, image: w}]}",
                "{containers: [{name: c, image: w}, {name: a, image: x}, {name: b, image: z}]}",
            ),
            (
                "{containers: [{name: a, image: x}, {name: b, image: y}]}",
                "{containers: [{name: a, $patch: delete}]}",
                "{containers: [{name: b, image: y}]}",
            ),
            (
                "{imagePullSecrets: [{name: a}]}",
                "{imagePullSecrets: [{$patch: replace}, {name: b}]}",
                "{imagePullSecrets: [{name: b}]}",
            ),
        ] {
            assert_eq!(
                merged(target, patch),
                serde_yaml::from_str::<Value>(expected).unwrap(),
                "{patch}"
            );
        }
    }
}
