//! The form of pull Secret that a rotation can edit: one YAML document in block style with the
//! credentials under `data`.

use super::expiries::EXPIRES_AT;
use super::manifest::Manifest;
use crate::answers::SecretType;
use crate::yaml_edit;
use crate::yaml_path::text;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_yaml::{Mapping, Value};
use zeroize::Zeroizing;

/// Whether a rotation can edit `manifest`.
#[must_use]
pub fn is_editable(manifest: &str) -> bool {
    let Ok(read) = Manifest::parse(manifest) else { return false };
    let can_set = |path: &[&str]| yaml_edit::set(manifest, path, "x").is_ok();
    can_set(&["metadata", "annotations", EXPIRES_AT]) && can_set(&["data", read.kind().data_key()])
}

/// The Secret `document` converted to that form: the same object without comments. `None` if it
/// cannot be rotated in any form.
#[must_use]
pub fn in_block_style(document: &Value) -> Option<Zeroizing<String>> {
    let mut object = document.as_mapping()?.clone();
    let declared = text(document, &["type"])?;
    let kind = SecretType::ALL.into_iter().find(|kind| kind.kubernetes_type() == declared)?;
    // The API server merges `stringData` the same way.
    if let Some(Value::Mapping(plain)) = object.shift_remove("stringData") {
        let data = object.entry("data".into()).or_insert_with(|| Value::Mapping(Mapping::new()));
        for (key, value) in plain {
            data.as_mapping_mut()?.insert(key, STANDARD.encode(value.as_str()?).into());
        }
    }
    let text = Zeroizing::new(serde_yaml::to_string(&object).ok()?);
    (is_editable(&text) && text.contains(kind.data_key())).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    const CONFIG: &str = r#"{"auths":{"ghcr.io":{"auth":"YTpi"}}}"#;

    fn read(text: &str) -> Value {
        yaml::read(text).unwrap()
    }

    #[test]
    fn every_form_becomes_one_that_a_rotation_edits() {
        let data = STANDARD.encode(CONFIG);
        let kind = "kubernetes.io/dockerconfigjson";
        let head = format!("apiVersion: v1\nkind: Secret\ntype: {kind}\n");
        let block = format!("{head}metadata:\n  name: a\n  labels:\n    b: \"yes\"\n");
        assert!(is_editable(&format!("{block}data:\n  .dockerconfigjson: {data}\n")));
        for (form, is_same) in [
            (format!("{head}metadata: {{name: a}}\ndata:\n  .dockerconfigjson: {data}\n"), true),
            (format!("{block}data: {{.dockerconfigjson: {data}}}\n"), true),
            (format!("{block}stringData:\n  .dockerconfigjson: '{CONFIG}'\n"), false),
        ] {
            assert!(!is_editable(&form), "{form}");
            let written = in_block_style(&read(&form)).unwrap();
            assert!(is_editable(&written), "{}", *written);
            assert_eq!(read(&written) == read(&form), is_same);
            assert_eq!(text(&read(&written), &["data", ".dockerconfigjson"]), Some(&*data));
        }
    }

    #[test]
    fn what_is_broken_stays_as_it_is() {
        let head = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n";
        for rest in [
            "type: Opaque\ndata: {a: b}\n",
            "type: kubernetes.io/dockercfg\n",
            "type: kubernetes.io/dockercfg\ndata: {.dockercfg: '?'}\n",
        ] {
            assert!(in_block_style(&read(&format!("{head}{rest}"))).is_none(), "{rest}");
        }
    }
}
