//! Finds the pods in an object: in Kubernetes' own kinds, and in the pod templates of all others.

use super::kustomization;
use crate::yaml_path::{at, kind, text};
use serde_yaml::Value;

/// Kubernetes' own kinds that contain a pod, with its path (API reference, apps/v1, batch/v1,
/// core/v1).
pub(super) const KINDS: [(&str, &[&str]); 8] = [
    ("Deployment", &["spec", "template", "spec"]),
    ("StatefulSet", &["spec", "template", "spec"]),
    ("DaemonSet", &["spec", "template", "spec"]),
    ("CronJob", &["spec", "jobTemplate", "spec", "template", "spec"]),
    ("Job", &["spec", "template", "spec"]),
    ("ReplicaSet", &["spec", "template", "spec"]),
    ("ReplicationController", &["spec", "template", "spec"]),
    ("Pod", &["spec"]),
];

/// The lists of a pod's containers, in the order in which they start.
pub(super) const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// Kinds, with their groups, that deploy something defined elsewhere.
const ELSEWHERE: [(&str, &str); 7] = [
    ("HelmRelease", "helm.toolkit.fluxcd.io"),
    ("HelmChart", "helm.cattle.io"),
    ("Application", "argoproj.io"),
    ("ApplicationSet", "argoproj.io"),
    (kustomization::KIND, "kustomize.toolkit.fluxcd.io"),
    ("Bundle", "fleet.cattle.io"),
    ("App", "kappctrl.k14s.io"),
];

/// Groups whose objects describe other objects, so that an image in them is a schema or a pattern.
const DESCRIBING: [&str; 7] = [
    "apiextensions.k8s.io",
    "admissionregistration.k8s.io",
    "kyverno.io",
    "policies.kyverno.io",
    "gatekeeper.sh",
    "kustomize.config.k8s.io",
    "wgpolicyk8s.io",
];

/// A pod in an object.
pub(super) struct Pod<'v> {
    /// Its path, `spec.template.spec`.
    pub(super) path: String,
    pub(super) spec: &'v Value,
}

/// The content of an object.
#[derive(Default)]
pub(super) struct PodsInObject<'v> {
    pub(super) pods: Vec<Pod<'v>>,
    /// Why it deploys more than its pods, as a sentence about it; `None` if it does not.
    pub(super) unread: Option<String>,
}

/// Finds the pods of `object`.
pub(super) fn of(object: &Value) -> PodsInObject<'_> {
    let kind = kind(object).unwrap_or_default();
    let group = text(object, &["apiVersion"]).and_then(|version| version.split_once('/'));
    let group = group.map_or("", |(group, _)| group);
    if let Some((_, path)) = KINDS.iter().find(|(name, _)| *name == kind) {
        let pods = at(object, path).map(|spec| Pod { path: path.join("."), spec });
        return PodsInObject { pods: pods.into_iter().collect(), unread: None };
    }
    let is_below = |other: &str| {
        group.strip_suffix(other).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    if matches!(kind, "ConfigMap" | "Secret" | "List") || DESCRIBING.iter().any(|one| is_below(one))
    {
        return PodsInObject::default();
    }
    if ELSEWHERE.contains(&(kind, group)) {
        let unread = "deploys what is described elsewhere; this was not read".to_owned();
        return PodsInObject { unread: Some(unread), ..PodsInObject::default() };
    }
    let mut walk = Walk { found: PodsInObject::default(), fields: Vec::new() };
    if let Some(entries) = object.as_mapping() {
        for (key, value) in entries {
            if let Some(key) = key.as_str().filter(|key| !matches!(*key, "metadata" | "status")) {
                walk.value(key, value, &mut key.to_owned());
            }
        }
    }
    if let Some(first) = walk.fields.first() {
        let more = match walk.fields.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        walk.found.unread =
            Some(format!("has an image at `{first}`{more}; its pull secret cannot be determined"));
    }
    walk.found
}

struct Walk<'v> {
    found: PodsInObject<'v>,
    /// Paths of images outside pod templates.
    fields: Vec<String>,
}

impl<'v> Walk<'v> {
    /// Searches the value at `path`, which is that of `key`.
    fn value(&mut self, key: &str, value: &'v Value, path: &mut String) {
        match value {
            Value::Sequence(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.below(key, &format!("[{index}]"), item, path);
                }
            }
            Value::Mapping(entries) => {
                if is_template_spec(path) && is_pod(value) {
                    self.found.pods.push(Pod { path: path.clone(), spec: value });
                    return;
                }
                if key == "image"
                    && ["repository", "name"].iter().any(|key| value.get(*key).is_some())
                {
                    self.fields.push(path.clone());
                    return;
                }
                for (key, value) in entries {
                    if let Some(key) = key.as_str() {
                        self.below(key, &format!(".{key}"), value, path);
                    }
                }
            }
            Value::String(text)
                if (key == "image" || key.ends_with("Image") || key == "imageName")
                    && !text.is_empty()
                    && !text.contains(char::is_whitespace) =>
            {
                self.fields.push(path.clone());
            }
            _ => {}
        }
    }

    fn below(&mut self, key: &str, step: &str, value: &'v Value, path: &mut String) {
        let length = path.len();
        path.push_str(step);
        self.value(key, value, path);
        path.truncate(length);
    }
}

/// Whether `path` is that of a pod template's `spec`: `spec.template.spec`,
/// `spec.podTemplate.spec`.
fn is_template_spec(path: &str) -> bool {
    path.strip_suffix(".spec").is_some_and(|above| above.ends_with("emplate"))
}

/// Whether `spec` has containers, like that of a pod.
fn is_pod(spec: &Value) -> bool {
    let items = spec.get("containers").and_then(Value::as_sequence);
    items.is_some_and(|items| items.iter().any(Value::is_mapping))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> (Vec<String>, bool) {
        let object: Value = serde_yaml::from_str(text).unwrap();
        let found = of(&object);
        (found.pods.into_iter().map(|pod| pod.path).collect(), found.unread.is_some())
    }

    #[test]
    fn finds_the_pod_templates_of_any_kind_and_names_what_is_none() {
        let pod = "{containers: [{name: a, image: x/a:1}]}";
        for (kind, spec, paths, is_unread) in [
            ("v1, kind: Pod", pod.to_owned(), &["spec"][..], false),
            (
                "argoproj.io/v1alpha1, kind: Rollout",
                format!("{{template: {{spec: {pod}}}}}"),
                &["spec.template.spec"],
                false,
            ),
            (
                "serving.knative.dev/v1, kind: Service",
                format!("{{template: {{spec: {pod}}}}}"),
                &["spec.template.spec"],
                false,
            ),
            ("v1, kind: Service", "{ports: []}".into(), &[], false),
            (
                "kubeflow.org/v1, kind: TFJob",
                format!(
                    "{{replicas: {{A: {{template: {{spec: {pod}}}}}, B: {{template: {{spec: \
                     {pod}}}}}}}}}"
                ),
                &["spec.replicas.A.template.spec", "spec.replicas.B.template.spec"],
                false,
            ),
            (
                "ray.io/v1, kind: RayCluster",
                format!("{{groups: [{{template: {{spec: {pod}}}}}]}}"),
                &["spec.groups[0].template.spec"],
                false,
            ),
            ("monitoring.coreos.com/v1, kind: Prometheus", "{image: x/a:1}".into(), &[], true),
            ("postgresql.cnpg.io/v1, kind: Cluster", "{imageName: x/a:1}".into(), &[], true),
            (
                "argoproj.io/v1alpha1, kind: Workflow",
                "{templates: [{container: {image: x/a:1}}]}".into(),
                &[],
                true,
            ),
            ("x.io/v1, kind: Chart", "{values: {image: {repository: x/a}}}".into(), &[], true),
            ("argoproj.io/v1alpha1, kind: Application", "{source: {path: a}}".into(), &[], true),
            (
                "kyverno.io/v1, kind: ClusterPolicy",
                format!("{{rules: [{{template: {{spec: {pod}}}}}]}}"),
                &[],
                false,
            ),
            (
                "apiextensions.k8s.io/v1, kind: CustomResourceDefinition",
                "{properties: {image: {name: string}}}".into(),
                &[],
                false,
            ),
            ("constraints.gatekeeper.sh/v1, kind: X", "{image: x/a}".into(), &[], false),
        ] {
            let text = format!("{{apiVersion: {kind}, metadata: {{name: a}}, spec: {spec}}}");
            let expected = paths.iter().map(ToString::to_string).collect::<Vec<_>>();
            assert_eq!(found(&text), (expected, is_unread), "{text}");
        }
    }
}
