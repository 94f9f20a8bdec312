//! What the cluster tells: pods, events, workloads, service accounts and Secrets, from the JSON that `kubectl get -o json`
//! prints. An item that is not as the API has it is left out and counted. Pure; keeps nothing of a Secret but what
//! `pull_secret` makes of it.

use super::objects::{Account, Event, Pod, Workload};
use crate::pull_secret::Inspected;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeSet;

/// All that is known of a namespace.
#[derive(Default)]
pub struct Evidence {
    pub(super) pods: Vec<Pod>,
    pub(super) events: Vec<Event>,
    pub(super) workloads: Vec<Workload>,
    pub(super) accounts: Vec<Account>,
    /// The pull secrets among what was read.
    pub(super) secrets: Vec<Inspected>,
    /// The names of the others.
    pub(super) other_secrets: Vec<String>,
    /// How many items were not understood.
    pub(super) not_understood: usize,
}

impl Evidence {
    /// Adds what `json` holds: a List of any kinds, single objects, or several of either one after the other. The
    /// error is a sentence about "it", without anything of its content.
    pub fn read(&mut self, json: &[u8]) -> Result<(), &'static str> {
        let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
        if std::str::from_utf8(json).is_err() {
            return Err("it is not text (UTF-8)");
        }
        let mut documents = serde_json::Deserializer::from_slice(json).into_iter::<Value>().peekable();
        if documents.peek().is_none() {
            return Err("it is empty");
        }
        for document in documents {
            match document.map_err(|_| "it is not JSON")? {
                Value::Object(object) if object.contains_key("kind") => self.add(Value::Object(object)),
                _ => return Err("it is not what `kubectl get` prints"),
            }
        }
        Ok(())
    }

    fn add(&mut self, mut value: Value) {
        let kind = value.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        let Some(items) = value.get_mut("items").and_then(Value::as_array_mut) else {
            return self.add_one(&kind, value);
        };
        // The API's own lists do not repeat the kind.
        let of = kind.strip_suffix("List").unwrap_or_default();
        for item in std::mem::take(items) {
            let kind = item.get("kind").and_then(Value::as_str).unwrap_or(of).to_owned();
            self.add_one(&kind, item);
        }
    }

    fn add_one(&mut self, kind: &str, value: Value) {
        let understood = match kind {
            "Pod" => keep(&mut self.pods, value),
            "Event" => keep(&mut self.events, value),
            "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Job" | "CronJob" => {
                keep(&mut self.workloads, value)
            }
            "ServiceAccount" => keep(&mut self.accounts, value),
            "Secret" => self.add_secret(value),
            _ => true,
        };
        self.not_understood += usize::from(!understood);
    }

    fn add_secret(&mut self, value: Value) -> bool {
        let name = value.pointer("/metadata/name").and_then(Value::as_str).map(str::to_owned);
        match Inspected::of_json(value) {
            Some(secret) => self.secrets.push(secret),
            None => self.other_secrets.extend(name),
        }
        true
    }

    /// The names of the pull secrets that pods, what they are made from, and service accounts name.
    pub fn pull_secrets(&self) -> impl Iterator<Item = &str> {
        let of_pods = self.pods.iter().flat_map(|pod| &pod.spec.image_pull_secrets);
        let templates = self.workloads.iter().filter_map(|object| object.spec.template.as_ref());
        let of_templates = templates.flat_map(|template| &template.spec.image_pull_secrets);
        let of_accounts = self.accounts.iter().flat_map(|account| &account.image_pull_secrets);
        of_pods.chain(of_templates).chain(of_accounts).map(|secret| secret.name.as_str())
    }

    /// The pods of which there is nothing but events: name and namespace, and nothing in them.
    pub(super) fn ghosts(&self) -> Vec<Pod> {
        let of_pods =
            self.events.iter().map(|event| &event.involved_object).filter(|object| object.kind == "Pod");
        let names: BTreeSet<_> = of_pods.map(|object| (&object.namespace, &object.name)).collect();
        names.into_iter().map(|(namespace, name)| Pod::ghost(namespace, name)).collect()
    }

    /// The newest time in it.
    #[must_use]
    pub fn newest(&self) -> Option<Timestamp> {
        let of_pods = self.pods.iter().filter_map(|pod| pod.metadata.created());
        self.events.iter().filter_map(Event::seen).chain(of_pods).max()
    }
}

fn keep<T: serde::de::DeserializeOwned>(kept: &mut Vec<T>, value: Value) -> bool {
    let understood = serde_json::from_value(value).ok();
    let has = understood.is_some();
    kept.extend(understood);
    has
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Evidence, &'static str> {
        let mut evidence = Evidence::default();
        evidence.read(json.as_bytes()).map(|()| evidence)
    }

    #[test]
    fn takes_every_way_in_which_kubectl_prints() {
        let (pod, event) = (r#"{"kind":"Pod"}"#, r#"{"kind":"Event","reason":"Failed"}"#);
        for json in [
            format!(r#"{{"kind":"List","items":[{pod},{event}]}}"#),
            format!("{pod}\n{event}"),
            r#"{"kind":"PodList","items":[{}]} {"kind":"EventList","items":[{"note":"x","regarding":{"kind":"Pod"}}]}"#
                .to_owned(),
            format!("\u{feff}{{\"kind\":\"List\",\"items\":[{pod},{event}]}}"),
        ] {
            let found = read(&json).unwrap();
            assert_eq!((found.pods.len(), found.events.len(), found.not_understood), (1, 1, 0), "{json}");
        }
    }

    #[test]
    fn counts_what_is_not_as_the_api_has_it_and_takes_nulls() {
        let found = read(
            r#"{"kind":"List","items":[{"kind":"Pod","spec":7},{"kind":"Pod","spec":{"containers":null}}]}"#,
        )
        .unwrap();
        assert_eq!((found.pods.len(), found.not_understood), (1, 1));
        for bad in ["", "{", "[]", "7", "{\"a\":1}", "kind: List"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
