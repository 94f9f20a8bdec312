//! Copies the files of an overlay for another environment: changes values in place and leaves the
//! rest unchanged. Pure.

use super::hosts::Hosts;
use super::objects::{self, list, text};
use super::{Bytes, not_edited};
use crate::answers::{Environment, Setting};
use crate::error::Result;
use crate::manifests;
use crate::yaml;
use crate::yaml_edit::Step::{Item, Key};
use crate::yaml_edit::{self, Document};
use zeroize::Zeroizing;

/// The label that distinguishes the objects of environments.
pub(super) const LABEL: &str = "makeinfra/environment";

/// The differences of a copy.
pub(super) struct Copy<'c> {
    /// The environment whose overlay is copied.
    pub(super) from: &'c Environment,
    /// The environment that the copy is for.
    pub(super) to: &'c Environment,
    /// The hosts of the former, with those of the latter.
    pub(super) hosts: &'c Hosts,
}

impl Copy<'_> {
    /// Copies any file other than the kustomization.
    pub(super) fn file(&self, bytes: &Bytes) -> Bytes {
        let Ok(text) = std::str::from_utf8(bytes) else { return bytes.clone() };
        let (old, new) = (self.from.namespace.as_str(), self.to.namespace.as_str());
        let text = self.hosts.replaced(&in_namespace(text, old, new));
        let is_namespace = Document::parse(&text).is_ok_and(|document| {
            document.scalar(&["kind"]) == Some("Namespace")
                && document.scalar(&["metadata", "name"]) == Some(old)
        });
        let named =
            is_namespace.then(|| yaml_edit::set(&text, &["metadata", "name"], new).ok()).flatten();
        Zeroizing::new(named.map_or(text.as_bytes().to_vec(), |text| text.as_bytes().to_vec()))
    }

    /// Copies the kustomization `text`, whose file is `path` and whose overlay is in `dir`. Adds
    /// what it lacks.
    pub(super) fn kustomization(
        &self,
        path: &str,
        dir: &str,
        text: &str,
        notes: &mut Vec<String>,
    ) -> Result<String> {
        let refused = |refusal| not_edited(path, refusal);
        let mut edited =
            yaml_edit::set(text, &["namespace"], self.to.namespace.as_str()).map_err(refused)?;
        let mut labels = Vec::new();
        let mut resources = Vec::new();
        {
            let document = Document::parse(&edited).map_err(refused)?;
            for at in 0..document.count(&[Key("labels")]) {
                let pairs = [Key("labels"), Item(at), Key("pairs")];
                if document.keys_at(&pairs).contains(&LABEL) {
                    labels.push([&pairs[..], &[Key(LABEL)]].concat());
                }
            }
            for at in 0..document.count(&[Key("resources")]) {
                let item = [Key("resources"), Item(at)];
                let named =
                    document.scalar_at(&item).and_then(|named| manifests::below(dir, named));
                if named.as_ref() == Some(&self.from.secrets) {
                    resources.push(item);
                }
            }
        }
        if labels.is_empty() {
            notes.push(format!(
                "`{path}` does not set the label `{LABEL}`, so `make prune` and `make undeploy` \
                 delete nothing there"
            ));
        }
        for label in labels {
            edited = yaml_edit::replace(&edited, &label, self.to.name.as_str()).map_err(refused)?;
        }
        for resource in resources {
            let secrets = format!("../../../{}", self.to.secrets);
            edited = yaml_edit::replace(&edited, &resource, &secrets).map_err(refused)?;
        }
        let text = in_namespace(&edited, self.from.namespace.as_str(), self.to.namespace.as_str());
        Ok(self.hosts.replaced(&text))
    }
}

/// An `environment.mk` with the values of `environment`.
pub(super) fn settings(text: &str, environment: &Environment) -> String {
    let context = environment.context.as_ref().map(ToString::to_string).unwrap_or_default();
    let values = [
        (Setting::Namespace, environment.namespace.as_str()),
        (Setting::Context, &context),
        (Setting::Protected, if environment.protect { "yes" } else { "" }),
        (Setting::Secrets, &environment.secrets),
    ];
    values.into_iter().fold(text.to_owned(), |text, (setting, value)| {
        setting.set(&text, value).unwrap_or_else(|| {
            let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
            format!("{text}{end}{}\n", format!("{} := {value}", setting.as_str()).trim_end())
        })
    })
}

/// The hosts in an overlay with this `kustomization` and these other `documents`.
pub(super) fn hosts_in(
    kustomization: &serde_yaml::Value,
    documents: &[(&str, serde_yaml::Value)],
) -> Vec<String> {
    let mut hosts: Vec<String> =
        documents.iter().flat_map(|(_, document)| objects::hosts(document)).collect();
    for patch in list(kustomization, "patches").filter_map(|patch| text(patch, &["patch"])) {
        hosts.extend(objects::documents(patch.as_bytes()).iter().flat_map(objects::hosts));
        // A JSON patch is a list, in contrast to documents with objects.
        let steps = yaml::read::<Vec<serde_yaml::Value>>(patch).unwrap_or_default();
        let at_host = steps.iter().filter(|step| {
            text(step, &["path"]).is_some_and(|path| {
                path.starts_with("/spec/rules/") && path.ends_with("/host")
                    || path.starts_with("/spec/tls/") && path.contains("/hosts/")
            })
        });
        hosts.extend(at_host.filter_map(|step| text(step, &["value"]).map(str::to_owned)));
    }
    hosts
}

/// `text` with the namespace `new` on every line that sets `old` as one.
fn in_namespace(text: &str, old: &str, new: &str) -> String {
    let line = |line: &str| -> Option<String> {
        let start = line.len() - line.trim_start_matches([' ', '-']).len();
        let key = ["namespace:", "kubernetes.io/metadata.name:"]
            .into_iter()
            .find(|key| line[start..].starts_with(key))?;
        let rest = &line[start + key.len()..];
        let value = rest.trim_start();
        let at = line.len() - value.len();
        let quoted = [format!("\"{old}\""), format!("'{old}'"), old.to_owned()];
        let found = quoted.iter().find(|text| value.starts_with(text.as_str()))?;
        let behind = &value[found.len()..];
        let ends = behind.trim().is_empty()
            || behind.starts_with([' ', '\t']) && behind.trim_start().starts_with('#');
        ends.then(|| format!("{}{}{behind}", &line[..at], yaml_edit::scalar(new)))
    };
    text.split_inclusive('\n').map(|one| line(one).unwrap_or_else(|| one.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_changed_where_a_line_names_it() {
        let text = "namespace: hello\n- namespace: 'hello' # ours\n  name: hello\nnamespace: hello-x\n\
                    kubernetes.io/metadata.name: hello\r\nx: {namespace: hello}\n";
        assert_eq!(
            in_namespace(text, "hello", "hello-qa"),
            "namespace: hello-qa\n- namespace: hello-qa # ours\n  name: hello\nnamespace: hello-x\n\
             kubernetes.io/metadata.name: hello-qa\r\nx: {namespace: hello}\n"
        );
        assert_eq!(in_namespace("namespace: a", "a", "1"), "namespace: \"1\"");
    }
}
