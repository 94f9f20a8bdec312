//! Workloads: objects with a pod template, and what their pods pull.

use super::injected::Injected;
use super::pods::{self, Pod};
use super::resource::Resource;
use crate::answers::{Answer, ImageRef, Rule};
use crate::yaml_path::{at, kind, list, text};
use serde_yaml::Value;
use std::collections::{BTreeSet, HashMap};

/// The default service account of a pod.
const DEFAULT: &str = "default";

/// An object that runs pods.
pub struct Workload {
    /// The file that contains it.
    pub file: String,
    /// The kind, such as `Deployment`.
    pub kind: String,
    /// The name.
    pub name: String,
    /// The namespace; `None` if neither the manifest nor a kustomization sets one.
    pub namespace: Option<String>,
    /// The pull secrets of its pods, including those of a service account in the manifests.
    pub pull_secrets: Vec<String>,
    /// The service account of its pods that is not in the manifests. It may have pull secrets.
    pub unknown_account: Option<String>,
    /// A kustomization that may change the workload in ways that are not supported; `None` if
    /// everything is known.
    pub unsure: Option<String>,
    /// The Secrets without which its containers do not start.
    pub secrets: BTreeSet<String>,
    /// The images of its containers and volumes, init containers first.
    pub images: Vec<Image>,
}

/// The image of a container or a volume.
pub struct Image {
    /// Its path in the workload, `spec.template.spec.containers[0].image`.
    pub field: String,
    /// The name of the container or volume.
    pub container: String,
    /// The image reference, or why it is unknown.
    pub reference: Result<ImageRef, NoImage>,
    /// Whether it has a tag or a digest.
    pub pinned: bool,
    /// Whether the kubelet pulls it at all.
    pub pulled: bool,
}

/// Why an image is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoImage {
    /// The field has a mapping, a list or a number instead of a string.
    NotText(&'static str),
    /// A placeholder that is replaced before deployment.
    Placeholder,
    /// The string breaks a rule.
    Broken(Rule),
    /// The field is missing.
    Missing,
    /// A controller in the cluster sets it.
    Injected,
}

/// One image pull, with everything that decides whether it works.
pub struct ImagePull<'m> {
    /// The workload.
    pub workload: &'m Workload,
    /// The image; `latest` without tag and digest.
    pub image: &'m ImageRef,
    /// The pull secrets of the pod.
    pub pull_secrets: &'m [String],
    /// The pod's namespace, which must also be that of the Secrets.
    pub namespace: Option<&'m str>,
}

impl Workload {
    /// The pulls of its images, without those that are not image references.
    pub fn pulls(&self) -> impl Iterator<Item = ImagePull<'_>> {
        let pulled = self.images.iter().filter(|image| image.pulled);
        pulled.filter_map(|image| image.reference.as_ref().ok()).map(|image| ImagePull {
            workload: self,
            image,
            pull_secrets: &self.pull_secrets,
            namespace: self.namespace.as_deref(),
        })
    }
}

/// The service accounts of an overlay, by name.
struct Accounts<'r>(HashMap<&'r str, Vec<&'r Value>>);

impl<'r> Accounts<'r> {
    fn of(resources: &'r [Resource]) -> Self {
        let mut accounts: HashMap<_, Vec<_>> = HashMap::new();
        for value in resources.iter().map(|resource| &resource.value) {
            if kind(value) == Some("ServiceAccount")
                && let Some(name) = text(value, &["metadata", "name"])
            {
                accounts.entry(name).or_default().push(value);
            }
        }
        Self(accounts)
    }

    fn find(&self, name: &str, namespace: Option<&str>) -> Option<&'r Value> {
        let is_here = |value: &&&Value| {
            let of = text(value, &["metadata", "namespace"]);
            of.is_none() || namespace.is_none() || of == namespace
        };
        self.0.get(name)?.iter().find(is_here).copied()
    }
}

/// The workloads among `resources`, each with `unsure`.
pub(super) fn workloads(resources: &[Resource], unsure: Option<&str>) -> Vec<Workload> {
    let accounts = Accounts::of(resources);
    let mut found = Vec::new();
    for resource in resources {
        for pod in pods::of(&resource.value).pods {
            found.extend(workload(resource, &pod, &accounts, unsure));
        }
    }
    found
}

fn workload(
    resource: &Resource,
    pod: &Pod,
    accounts: &Accounts,
    unsure: Option<&str>,
) -> Option<Workload> {
    let value = &resource.value;
    let images = images(pod, &Injected::of(value, pod));
    // Without any container it is a fragment for a user's own tool.
    if images.is_empty() {
        return None;
    }
    let namespace = text(value, &["metadata", "namespace"]);
    let mut pull_secrets = names(pod.spec);
    let mut unknown_account = None;
    if pull_secrets.is_empty() {
        let account =
            text(pod.spec, &["serviceAccountName"]).or_else(|| text(pod.spec, &["serviceAccount"]));
        let account = account.filter(|name| !name.is_empty()).unwrap_or(DEFAULT);
        match accounts.find(account, namespace) {
            Some(found) => pull_secrets = names(found),
            None => unknown_account = Some(account.to_owned()).filter(|name| name != DEFAULT),
        }
    }
    let name =
        text(value, &["metadata", "name"]).or_else(|| text(value, &["metadata", "generateName"]));
    Some(Workload {
        file: resource.file.clone(),
        kind: kind(value).unwrap_or_default().to_owned(),
        name: name.unwrap_or_default().to_owned(),
        namespace: namespace.map(str::to_owned),
        pull_secrets,
        unknown_account,
        unsure: unsure.map(str::to_owned),
        secrets: required_secrets(pod.spec),
        images,
    })
}

/// The Secrets of variables and volumes in `pod` that are not optional.
fn required_secrets(pod: &Value) -> BTreeSet<String> {
    let mut named: Vec<(Option<&Value>, &str)> = Vec::new();
    for container in pods::CONTAINERS.iter().flat_map(|name| list(pod, name)) {
        let from = list(container, "envFrom").map(|one| (one.get("secretRef"), "name"));
        let variables =
            list(container, "env").map(|one| (at(one, &["valueFrom", "secretKeyRef"]), "name"));
        named.extend(from.chain(variables));
    }
    for volume in list(pod, "volumes") {
        named.push((volume.get("secret"), "secretName"));
        let sources =
            volume.get("projected").into_iter().flat_map(|projected| list(projected, "sources"));
        named.extend(sources.map(|source| (source.get("secret"), "name")));
    }
    let is_required = |value: &&Value| value.get("optional").and_then(Value::as_bool) != Some(true);
    let required =
        named.into_iter().filter_map(|(value, key)| text(value.filter(is_required)?, &[key]));
    required.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The images of the containers and volumes of `pod`.
fn images(pod: &Pod, injected: &Injected) -> Vec<Image> {
    let mut images = Vec::new();
    for list_name in pods::CONTAINERS {
        for (index, container) in list(pod.spec, list_name).enumerate() {
            let field = format!("{}.{list_name}[{index}].image", pod.path);
            let mut found = image(field, container, container.get("image").unwrap_or(&Value::Null));
            if injected.takes(list_name, index, &found.container, text(container, &["image"])) {
                (found.reference, found.pinned) = (Err(NoImage::Injected), true);
            }
            images.push(found);
        }
    }
    for (index, volume) in list(pod.spec, "volumes").enumerate() {
        let field = format!("{}.volumes[{index}].image.reference", pod.path);
        let reference = at(volume, &["image", "reference"]);
        images.extend(reference.map(|value| image(field, volume, value)));
    }
    images
}

fn image(field: String, of: &Value, value: &Value) -> Image {
    let (reference, pinned) = match value {
        Value::Null => (Err(NoImage::Missing), true),
        Value::String(text) if text.is_empty() => (Err(NoImage::Missing), true),
        Value::String(text) => match ImageRef::parse_unpinned(text) {
            Err(_) if is_placeholder(text) => (Err(NoImage::Placeholder), true),
            reference => (reference.map_err(NoImage::Broken), ImageRef::parse(text).is_ok()),
        },
        Value::Mapping(_) => (Err(NoImage::NotText("a mapping")), true),
        Value::Sequence(_) => (Err(NoImage::NotText("a list")), true),
        Value::Bool(_) => (Err(NoImage::NotText("a truth value")), true),
        Value::Number(_) => (Err(NoImage::NotText("a number")), true),
        Value::Tagged(_) => (Err(NoImage::NotText("a value with a tag")), true),
    };
    let container = text(of, &["name"]).unwrap_or_default().to_owned();
    let policy = text(of, &["imagePullPolicy"]).or_else(|| text(of, &["image", "pullPolicy"]));
    Image { field, container, reference, pinned, pulled: policy != Some("Never") }
}

/// Whether `text` contains a placeholder: `${TAG}`, `{{ .Values.image }}`, `<image>`, `IMAGE_NAME`.
pub(super) fn is_placeholder(text: &str) -> bool {
    let is_name = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    };
    text.contains(['$', '{', '<', '%']) || is_name(text)
}

/// The names in `imagePullSecrets`. The API server drops empty ones.
fn names(value: &Value) -> Vec<String> {
    let names = list(value, "imagePullSecrets").filter_map(|item| text(item, &["name"]));
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}
