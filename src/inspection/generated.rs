//! The pull secrets that kustomizations generate, as the resulting Secrets.

use super::{Placement, PullSecret, Reader};
use crate::answers::SecretType;
use crate::manifests::{DeployedSecret, Generated, Input, Manifests, Origin};
use crate::pull_secret::Inspected;
use crate::work_tree::Content;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_yaml::{Mapping, Value};
use std::collections::BTreeMap;

impl Reader {
    /// The generated pull secrets by input file; empty for a file that could not be read.
    pub(super) fn generated(&self, manifests: &Manifests) -> BTreeMap<String, Vec<PullSecret>> {
        let mut found: BTreeMap<String, Vec<PullSecret>> = BTreeMap::new();
        for secret in manifests.overlays.iter().flat_map(|overlay| &overlay.secrets) {
            let Origin::Generated(generated) = &secret.origin else { continue };
            let Some((key, Some(input))) = pull_input(generated) else { continue };
            let (path, data) = match input {
                Input::File(path) => {
                    let content = self.open_bytes(path);
                    let bytes = match content {
                        Content::Bytes(bytes) => Some(("data", STANDARD.encode(&*bytes))),
                        Content::Locked | Content::Unread(_) | Content::Absent => None,
                    };
                    (path, bytes)
                }
                Input::Literal(text) => (&secret.file, Some(("stringData", text.clone()))),
            };
            let entry = found.entry(path.clone()).or_default();
            // Several overlays may share the kustomization.
            let same =
                |other: &&mut PullSecret| other.secret.name.as_ref() == Some(&secret.written);
            if let Some(other) = entry.iter_mut().find(same) {
                other.placements.push(Placement::of(secret));
                continue;
            }
            let object = data.map(|(field, data)| object(secret, generated, field, key, data));
            let inspected = object.as_ref().and_then(Inspected::of);
            entry.extend(inspected.map(|inspected| {
                let mut found = PullSecret::new(path, inspected);
                found.placements.push(Placement::of(secret));
                found
            }));
        }
        found
    }
}

/// The key and the input of a pull secret's credentials; `None` if it is another kind of Secret.
fn pull_input(generated: &Generated) -> Option<&(String, Option<Input>)> {
    let keys = SecretType::ALL.map(SecretType::data_key);
    let of_key = generated.inputs.iter().find(|(key, _)| keys.contains(&key.as_str()));
    let is_pull = SecretType::ALL.iter().any(|kind| kind.kubernetes_type() == generated.kind);
    of_key.or_else(|| generated.inputs.first().filter(|_| is_pull))
}

fn object(
    secret: &DeployedSecret,
    generated: &Generated,
    field: &str,
    key: &str,
    data: String,
) -> Value {
    let mapping = |entries: Vec<(&str, Value)>| {
        Value::Mapping(
            entries.into_iter().map(|(key, value)| (key.into(), value)).collect::<Mapping>(),
        )
    };
    let mut metadata = vec![("name", secret.written.clone().into())];
    metadata.extend(secret.namespace.iter().map(|one| ("namespace", one.clone().into())));
    mapping(vec![
        ("kind", "Secret".into()),
        ("metadata", mapping(metadata)),
        ("type", generated.kind.clone().into()),
        (field, mapping(vec![(key, data.into())])),
    ])
}
