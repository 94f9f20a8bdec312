//! The Secrets of an overlay: those in its files, those that kustomize generates, and those that a
//! controller makes in the cluster.

use super::resource::{Generated, Resource};
use super::workload::is_placeholder;
use crate::answers::SecretType;
use crate::yaml_path::{at, kind, list, text};
use serde_yaml::Value;

/// A Secret among the resources of an overlay.
pub struct DeployedSecret {
    /// Its file.
    pub file: String,
    /// Its name.
    pub name: String,
    /// Its name in its file, which prefixes and suffixes change.
    pub written: String,
    /// Its namespace, with the kustomization's over the file's.
    pub namespace: Option<String>,
    /// Where it is from.
    pub origin: Origin,
}

/// Where a Secret is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// It stands in its file.
    Manifest,
    /// It stands in its file, encrypted by SOPS.
    Sops,
    /// It stands in its file, and what is in it comes later: why, as a sentence about it.
    Later(&'static str),
    /// A kustomization generates it.
    Generated(Generated),
    /// An object of this kind has a controller make it in the cluster.
    Controller(&'static str),
}

/// Kinds whose controllers make a Secret, and where they have its name: else it is called as they
/// are.
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

/// Kinds that make several, and the list that has their names.
const LISTS: [(&str, &str, &str); 2] = [
    ("SecretProviderClass", "secretObjects", "secretName"),
    ("SopsSecret", "secretTemplates", "name"),
];

/// Whether SOPS has encrypted `document`: it adds a mapping with what it was encrypted with.
#[must_use]
pub fn is_sops(document: &Value) -> bool {
    at(document, &["sops"])
        .is_some_and(|sops| sops.get("mac").is_some() || sops.get("version").is_some())
}

/// Annotations by which a controller fills a Secret with what is in another one:
/// mittwald/kubernetes-replicator, emberstack/kubernetes-reflector.
const FILLS: [&str; 2] =
    ["replicator.v1.mittwald.de/replicate-from", "reflector.v1.k8s.emberstack.com/reflects"];

/// Why what is in the pull secret `document` is not what it will be in a cluster, as a sentence
/// about it; `None` if it is.
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
    is_put_in.then_some("it is put in before it is deployed")
}

/// Whether something is put into the JSON `text`: all of it, or a `${NAME}`, `$(NAME)` or
/// `{{ NAME }}` in it.
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

/// Whether a controller makes a Secret of `object`.
pub(super) fn is_maker(object: &Value) -> bool {
    let kind = kind(object).unwrap_or_default();
    MAKERS.iter().any(|(maker, _)| *maker == kind) || LISTS.iter().any(|(maker, ..)| *maker == kind)
}

/// The Secrets that `resource` is, or that are made of it.
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
        // It makes one in each namespace that it selects.
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
