//! What of an update a cluster refuses, or keeps although the repository no longer has it. Pure.

use crate::change::objects::{self, at, text};
use crate::change::{Files, Plan};
use crate::context::Context;
use serde_yaml::Value;
use std::collections::BTreeMap;

/// Fields that the API server lets nobody change, by kind.
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

/// Kind and name.
type Object = (String, String);

/// What is to be known before `plan`, which changes `files`, is done; a sentence each.
pub(in crate::change) fn hazards(files: &Files, plan: &Plan) -> Vec<String> {
    let step = |path: &str| plan.steps.iter().find(|step| step.path == path);
    let mut before: BTreeMap<Object, Value> = BTreeMap::new();
    let mut after: BTreeMap<Object, Value> = BTreeMap::new();
    // What an overlay has of an object is a patch.
    let there = files.below(Context::BASE).map(|(path, _)| path);
    let made = plan.steps.iter().map(|step| step.path.as_str()).filter(|path| files.get(path).is_none());
    let is_in_base = |path: &&str| objects::is_yaml(path) && path.starts_with(Context::BASE);
    for path in there.chain(made).filter(is_in_base) {
        let now = files.bytes(path).ok().flatten();
        let then = step(path).map_or(now, |step| step.after.as_ref());
        for (all, bytes) in [(&mut before, now), (&mut after, then)] {
            let documents = bytes.map(|bytes| objects::documents(bytes)).unwrap_or_default();
            all.extend(documents.into_iter().filter_map(|one| Some((object(&one)?, one))));
        }
    }
    let mut found = Vec::new();
    for ((kind, name), old) in &before {
        let Some(new) = after.get(&(kind.clone(), name.clone())) else {
            found.push(format!(
                "{kind} `{name}` is no longer deployed: `make prune` deletes it from the cluster"
            ));
            continue;
        };
        for (_, path) in IMMUTABLE.iter().filter(|(of, _)| of == kind) {
            if at(old, path) != at(new, path) {
                found.push(format!(
                    "{kind} `{name}` changes `{}`, which the cluster does not allow: delete it there before `make deploy`",
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
