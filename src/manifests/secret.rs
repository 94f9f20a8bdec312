//! The Secrets of an overlay: those in its files, those that kustomize generates, and those that a
//! controller creates in the cluster.

use super::resource::{Generated, Resource};
use super::workload::is_placeholder;
use crate::answers::SecretType;
use crate::yaml_path::{at, kind, list, text};
use serde_yaml::Value;

/// A Secret among the resources of an overlay.
pub struct DeployedSecret {
    /// The file.
    pub file: String,
    /// The deployed name.
    pub name: String,
    /// The name in the file, before prefixes and suffixes.
    pub written: String,
    /// The namespace, in which the kustomization overrides the file.
    pub namespace: Option<String>,
    /// The origin.
    pub origin: Origin,
}

/// The origin of a Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Its file contains it.
    Manifest,
    /// Its file contains it, encrypted by SOPS.
    Sops,
    /// Its file contains it, but its content is filled in later; the reason, as a sentence about
    /// the content.
    Later(&'static str),
    /// A kustomization generates it.
    Generated(Generated),
    /// A controller creates it in the cluster, from an object of this kind.
    Controller(&'static str),
}

/// Kinds whose controllers create a Secret, and the path of its name, which defaults to that of the
/// object.
const MAKERS: [(&str, &[&str]); 13] = [
    ("SealedSecret", &["spec", "template", "metadata", "name"]),
    ("ExternalSecret", &["spec", "target", "name"]),
    ("ClusterExternalSecret", &["spec", "externalSecretSpec", "target", "name"]),
    ("VaultStaticSecret", &["spec", "destination", "name"]),
    ("VaultDynamicSecret", &["spec", "destination", "name"]),
    ("VaultPKISecret", &["spec", "destination", "name"]),
    ("OnePasswordItem", &["metadata", "name"]),
    ("InfisicalSecret", &["spec", "managedSecretReference", "secretName"]),
    ("DopplerSecret", &["spec", "managedSecret", "name"]),
    ("BitwardenSecret", &["spec", "secretName"]),
    ("AzureKeyVaultSecret", &["spec", "output", "secret", "name"]),
    ("AWSSecretsManager", &["metadata", "name"]),
    ("Certificate", &["spec", "secretName"]),
];

/// Kinds that create several Secrets, the list of these, and the field with the name.
const LISTS: [(&str, &str, &str); 2] = [
    ("SecretProviderClass", "secretObjects", "secretName"),
    ("SopsSecret", "secretTemplates", "name"),
];

/// Whether SOPS has encrypted `document`: SOPS adds a mapping with its metadata.
#[must_use]
pub fn is_sops(document: &Value) -> bool {
    at(document, &["sops"])
        .is_some_and(|sops| sops.get("mac").is_some() || sops.get("version").is_some())
}

/// Annotations that make a controller copy another Secret's content into a Secret:
/// mittwald/kubernetes-replicator, emberstack/kubernetes-reflector.
const FILLS: [&str; 2] =
    ["replicator.v1.mittwald.de/replicate-from", "reflector.v1.k8s.emberstack.com/reflects"];

/// Why the content of the pull secret `document` changes before or in the cluster, as a sentence
/// about it; `None` if it does not.
#[must_use]
pub fn later(document: &Value) -> Option<&'static str> {
    if kind(document) != Some("Secret") {
        return None;
    }
    if FILLS.iter().any(|name| at(document, &["metadata", "annotations", name]).is_some()) {
        return Some("a controller copies it from another Secret");
    }
    let keys = SecretType::ALL.map(SecretType::data_key);
    let data = |key: &str| text(document, &["data", key]).is_some_and(is_placeholder);
    let string_data = |key: &str| text(document, &["stringData", key]).is_some_and(has_placeholder);
    let is_put_in = keys.into_iter().any(|key| data(key) || string_data(key));
    is_put_in.then_some("it is filled in at deployment")
}

/// Whether the JSON `text` contains, or is, a placeholder: `${NAME}`, `$(NAME)` or `{{ NAME }}`.
fn has_placeholder(text: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
    };
    let is_closed = |open: &str, close: char| {
        let mut pieces = text.split(open).skip(1);
        pieces.any(|piece| piece.split_once(close).is_some_and(|(name, _)| is_name(name)))
    };
    let is_json = text.trim_start().starts_with('{') && !text.trim_start().starts_with("{{");
    text.contains("{{")
        || is_closed("${", '}')
        || is_closed("$(", ')')
        || !is_json && is_placeholder(text)
}

/// Whether a controller creates a Secret from `object`.
pub(super) fn is_maker(object: &Value) -> bool {
    let kind = kind(object).unwrap_or_default();
    MAKERS.iter().any(|(maker, _)| *maker == kind) || LISTS.iter().any(|(maker, ..)| *maker == kind)
}

/// The Secret that `resource` is, or those that a controller creates from it.
pub(super) fn deployed(resource: &Resource) -> Vec<DeployedSecret> {
    let (object, kind) = (&resource.value, kind(&resource.value).unwrap_or_default());
    let namespace = text(object, &["metadata", "namespace"]).map(str::to_owned);
    let own = text(object, &["metadata", "name"]);
    let secret = |name: &str, origin: Origin| DeployedSecret {
        file: resource.file.clone(),
        name: name.to_owned(),
        written: resource.written_name().to_owned(),
        namespace: namespace.clone(),
        origin,
    };
    if kind == "Secret" {
        let origin = match &resource.generated {
            Some(generated) => Origin::Generated(generated.clone()),
            None if is_sops(object) => Origin::Sops,
            None => later(object).map_or(Origin::Manifest, Origin::Later),
        };
        return own.map(|name| secret(name, origin)).into_iter().collect();
    }
    if let Some((maker, path)) = MAKERS.iter().find(|(maker, _)| *maker == kind) {
        let name = text(object, path).filter(|name| !name.is_empty()).or(own);
        let mut found: Vec<_> =
            name.map(|name| secret(name, Origin::Controller(maker))).into_iter().collect();
        // It creates one in each namespace that it selects.
        if *maker == "ClusterExternalSecret" {
            for one in &mut found {
                one.namespace = None;
            }
        }
        return found;
    }
    let lists = LISTS.iter().filter(|(maker, ..)| *maker == kind);
    let names = lists.flat_map(|(maker, field, name)| {
        let items = object.get("spec").into_iter().flat_map(move |spec| list(spec, field));
        items.filter_map(move |item| Some((*maker, text(item, &[name])?)))
    });
    names.map(|(maker, name)| secret(name, Origin::Controller(maker))).collect()
}
