//! Workloads: what has a pod template, and what its pods pull.

use crate::answers::{Answer, ImageRef, Rule};
use crate::yaml_path::{at, kind, list, text};
use serde_yaml::Value;

/// Kinds with a pod in them, and where it is (Kubernetes API reference, apps/v1, batch/v1, core/v1).
const KINDS: [(&str, &[&str]); 8] = [
    ("Deployment", &["spec", "template", "spec"]),
    ("StatefulSet", &["spec", "template", "spec"]),
    ("DaemonSet", &["spec", "template", "spec"]),
    ("CronJob", &["spec", "jobTemplate", "spec", "template", "spec"]),
    ("Job", &["spec", "template", "spec"]),
    ("ReplicaSet", &["spec", "template", "spec"]),
    ("ReplicationController", &["spec", "template", "spec"]),
    ("Pod", &["spec"]),
];

/// Something that runs pods.
pub struct Workload {
    /// The file in which it stands.
    pub file: String,
    /// Its kind, `Deployment`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Its namespace; none where neither the manifest nor a kustomization names one.
    pub namespace: Option<String>,
    /// The pull secrets that its pods name, those of a service account in the manifests included.
    pub pull_secrets: Vec<String>,
    /// What its containers pull, init containers first.
    pub images: Vec<Image>,
}

/// The image of a container.
pub struct Image {
    /// The container's name.
    pub container: String,
    /// What is pulled, or the rule that the text breaks.
    pub reference: Result<ImageRef, Rule>,
    /// Whether it has a tag or a digest.
    pub pinned: bool,
}

/// One pull: all that decides whether it works.
pub struct Pull<'m> {
    /// For whom.
    pub workload: &'m Workload,
    /// What; without tag and digest it is `latest`.
    pub image: &'m ImageRef,
    /// The pull secrets that the pod names.
    pub pull_secrets: &'m [String],
    /// The pod's namespace, where the Secrets must be.
    pub namespace: Option<&'m str>,
}

impl Workload {
    /// What is pulled for it; images that are no image references are left out.
    pub fn pulls(&self) -> impl Iterator<Item = Pull<'_>> {
        self.images.iter().filter_map(|image| image.reference.as_ref().ok()).map(|image| Pull {
            workload: self,
            image,
            pull_secrets: &self.pull_secrets,
            namespace: self.namespace.as_deref(),
        })
    }
}

/// The workloads among `resources`, each with the file that it is from.
pub(super) fn workloads(resources: &[(String, Value)]) -> Vec<Workload> {
    resources.iter().filter_map(|(file, value)| workload(file, value, resources)).collect()
}

fn workload(file: &str, value: &Value, resources: &[(String, Value)]) -> Option<Workload> {
    let (kind, path) = KINDS.iter().find(|(name, _)| kind(value) == Some(name))?;
    let pod = at(value, path)?;
    let containers = list(pod, "initContainers").chain(list(pod, "containers"));
    let images: Vec<Image> = containers.filter_map(image).collect();
    // Without any image it is a part of one, for somebody's own tool.
    if images.is_empty() {
        return None;
    }
    let namespace = text(value, &["metadata", "namespace"]);
    let mut pull_secrets = names(pod);
    if pull_secrets.is_empty() {
        let account = text(pod, &["serviceAccountName"]).or_else(|| text(pod, &["serviceAccount"]));
        pull_secrets = of_account(account.unwrap_or("default"), namespace, resources);
    }
    let name = text(value, &["metadata", "name"]).or_else(|| text(value, &["metadata", "generateName"]));
    Some(Workload {
        file: file.to_owned(),
        kind,
        name: name.unwrap_or_default().to_owned(),
        namespace: namespace.map(str::to_owned),
        pull_secrets,
        images,
    })
}

fn image(container: &Value) -> Option<Image> {
    let written = text(container, &["image"]).filter(|image| !image.is_empty())?;
    Some(Image {
        container: text(container, &["name"]).unwrap_or_default().to_owned(),
        reference: ImageRef::parse_unpinned(written),
        pinned: ImageRef::parse(written).is_ok(),
    })
}

/// The pull secrets of a service account: a pod that names none gets them when it is created.
fn of_account(account: &str, namespace: Option<&str>, resources: &[(String, Value)]) -> Vec<String> {
    let wanted = |value: &&Value| {
        let of = text(value, &["metadata", "namespace"]);
        kind(value) == Some("ServiceAccount")
            && text(value, &["metadata", "name"]) == Some(account)
            && (of.is_none() || namespace.is_none() || of == namespace)
    };
    resources.iter().map(|(_, value)| value).find(wanted).map(names).unwrap_or_default()
}

/// The names in `imagePullSecrets`. The API server drops empty ones.
fn names(value: &Value) -> Vec<String> {
    let names = list(value, "imagePullSecrets").filter_map(|item| text(item, &["name"]));
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Calls `change` on every container of a workload, wherever kustomize looks for one.
pub(super) fn containers_mut(value: &mut Value, change: &mut dyn FnMut(&mut Value)) {
    match value {
        Value::Mapping(entries) => {
            for (key, value) in entries {
                match (key.as_str(), value) {
                    (Some("containers" | "initContainers"), Value::Sequence(items)) => {
                        items.iter_mut().for_each(&mut *change);
                    }
                    (_, value) => containers_mut(value, change),
                }
            }
        }
        Value::Sequence(items) => items.iter_mut().for_each(|item| containers_mut(item, change)),
        _ => {}
    }
}
