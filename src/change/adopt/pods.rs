//! The pods of an object, and the Pod Security Standard that they comply with. Pure.

use super::survey::Survey;
use crate::answers::PodSecurity;
use crate::change::objects::{at, list, text};
use serde_yaml::Value;

/// The strictest standard that all pods comply with; `None` if they violate even `baseline`.
pub(super) fn pod_security(survey: &Survey) -> Option<PodSecurity> {
    let pods: Vec<_> = survey.manifests.values().flatten().filter_map(pod).collect();
    if !pods.iter().all(|pod| is_baseline(pod)) {
        return None;
    }
    let is_strict = pods.iter().all(|pod| is_restricted(pod));
    Some(if is_strict { PodSecurity::Restricted } else { PodSecurity::Baseline })
}

/// The pod in `object`; `None` if it has none.
pub(super) fn pod(object: &Value) -> Option<&Value> {
    match text(object, &["kind"])? {
        "Pod" => object.get("spec"),
        "CronJob" => at(object, &["spec", "jobTemplate", "spec", "template", "spec"]),
        _ => at(object, &["spec", "template", "spec"]),
    }
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    ["initContainers", "containers"].into_iter().flat_map(|key| list(pod, key))
}

/// Whether a pod complies with `baseline`, as far as commonly used fields tell.
fn is_baseline(pod: &Value) -> bool {
    let is_set =
        |value: &Value, path: &[&str]| at(value, path).and_then(Value::as_bool) == Some(true);
    let shares_host = ["hostNetwork", "hostPID", "hostIPC"].iter().any(|key| is_set(pod, &[key]));
    let has_path = list(pod, "volumes").any(|volume| volume.get("hostPath").is_some());
    let is_open = |container: &Value| {
        is_set(container, &["securityContext", "privileged"])
            || at(container, &["securityContext", "capabilities", "add"]).is_some()
            || list(container, "ports").any(|port| port.get("hostPort").is_some())
    };
    !shares_host && !has_path && !containers(pod).any(is_open)
}

/// Whether a pod also complies with `restricted`.
fn is_restricted(pod: &Value) -> bool {
    let of = |container: &Value, path: &[&str]| -> Option<Value> {
        let path = [&["securityContext"], path].concat();
        at(container, &path).or_else(|| at(pod, &path)).cloned()
    };
    containers(pod).all(|container| {
        let drops = at(container, &["securityContext", "capabilities", "drop"]);
        let drops_all = drops
            .and_then(Value::as_sequence)
            .is_some_and(|all| all.iter().any(|one| one == "ALL"));
        let escalates = at(container, &["securityContext", "allowPrivilegeEscalation"])
            .and_then(Value::as_bool);
        let profile = of(container, &["seccompProfile", "type"]);
        let is_confined = profile.is_some_and(|one| one == "RuntimeDefault" || one == "Localhost");
        let is_non_root =
            of(container, &["runAsNonRoot"]).and_then(|one| one.as_bool()) == Some(true);
        drops_all && escalates == Some(false) && is_confined && is_non_root
    })
}
