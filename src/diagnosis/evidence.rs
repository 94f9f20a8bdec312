//! Evidence from the cluster: pods, events, workloads, service accounts and Secrets, from the JSON
//! that `kubectl get -o json` prints. Malformed items are skipped and counted. Pure; keeps nothing
//! of a Secret apart from what `pull_secret` extracts.

use super::event::Event;
use super::objects::{Account, Metadata, Pod, Workload};
use crate::pull_secret::Inspected;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Everything known about namespaces.
#[derive(Default)]
pub struct Evidence {
    pub(super) pods: Vec<Pod>,
    /// Sorted by object, and then newest first.
    pub(super) events: Vec<Event>,
    pub(super) workloads: Vec<Workload>,
    /// Sorted by namespace and name.
    pub(super) accounts: Vec<Account>,
    /// The pull secrets, sorted by namespace and name.
    pub(super) secrets: Vec<Inspected>,
    /// Namespaces and names of other Secrets.
    other_secrets: BTreeSet<(String, String)>,
    /// The number of malformed items.
    pub(super) not_understood: usize,
}

/// The fields that tell how to parse an object. Its parts are parsed one after the other, so that a
/// large List is never in memory twice.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Head<'j> {
    #[serde(borrow)]
    kind: Option<Cow<'j, str>>,
    #[serde(borrow, deserialize_with = "items")]
    items: Option<Vec<&'j RawValue>>,
}

impl<'j> Head<'j> {
    /// Empty for anything but an object; serde would accept a list in place of one.
    fn of(object: &'j RawValue) -> Self {
        let object = Some(object.get()).filter(|text| text.starts_with('{'));
        object.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }
}

impl Evidence {
    /// Adds the content of `json`: a List of any kinds, single objects, or several of these in a
    /// row. The error is a sentence about "it", without any of its content.
    pub fn read(&mut self, json: &[u8]) -> Result<(), &'static str> {
        let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
        let Ok(json) = std::str::from_utf8(json) else { return Err("it is not UTF-8 text") };
        if json.trim().is_empty() {
            return Err("it is empty");
        }
        for document in serde_json::Deserializer::from_str(json).into_iter::<&RawValue>() {
            let document = document.map_err(|_| "it is not JSON")?;
            let head = Head::of(document);
            let Some(kind) = head.kind else { return Err("it is not output of `kubectl get`") };
            // Lists of the API do not repeat the kind in their items.
            let of = kind.strip_suffix("List").unwrap_or_default();
            match head.items {
                None => self.add(&kind, document),
                Some(items) => items.into_iter().for_each(|item| {
                    self.add(Head::of(item).kind.as_deref().unwrap_or(of), item);
                }),
            }
        }
        self.events.sort_by(|one, other| {
            let (a, b) = (&one.involved_object, &other.involved_object);
            a.key().cmp(&b.key()).then_with(|| other.seen().cmp(&one.seen()))
        });
        self.accounts.sort_by(|one, other| one.metadata.key().cmp(&other.metadata.key()));
        self.secrets.sort_by(|one, other| key(one).cmp(&key(other)));
        Ok(())
    }

    fn add(&mut self, kind: &str, item: &RawValue) {
        let understood = match kind {
            "Pod" => keep(&mut self.pods, item),
            "Event" => keep(&mut self.events, item),
            "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Job" | "CronJob" => {
                keep(&mut self.workloads, item)
            }
            "ServiceAccount" => keep(&mut self.accounts, item),
            "Secret" => self.add_secret(item),
            _ => true,
        };
        self.not_understood += usize::from(!understood);
    }

    fn add_secret(&mut self, item: &RawValue) -> bool {
        let Ok(value) = serde_json::from_str::<Value>(item.get()) else { return false };
        let text =
            |path| value.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        match Inspected::of_json(value) {
            Some(secret) => self.secrets.push(secret),
            None => {
                self.other_secrets.insert((namespace, name));
            }
        }
        true
    }

    /// The events of a pod, newest first.
    pub(super) fn events_of(&self, pod: &Metadata) -> &[Event] {
        let key = ("Pod", pod.namespace.as_str(), pod.name.as_str());
        let start = self.events.partition_point(|event| event.involved_object.key() < key);
        let rest = &self.events[start..];
        &rest[..rest.partition_point(|event| event.involved_object.key() == key)]
    }

    /// The service account `name` in `namespace`.
    pub(super) fn account(&self, namespace: &str, name: &str) -> Option<&Account> {
        let found = self
            .accounts
            .binary_search_by(|account| account.metadata.key().cmp(&(namespace, name)));
        found.ok().map(|at| &self.accounts[at])
    }

    /// The pull secret `name` in `namespace`.
    pub(super) fn secret(&self, namespace: &str, name: &str) -> Option<&Inspected> {
        // Saved evidence may lack the namespace.
        let find = |wanted| self.secrets.binary_search_by(|secret| key(secret).cmp(&wanted)).ok();
        let at = find((Some(namespace), Some(name))).or_else(|| find((None, Some(name))))?;
        self.secrets.get(at)
    }

    /// The pull secrets in `namespace`, and those without a namespace.
    pub(super) fn secrets_of(&self, namespace: &str) -> impl Iterator<Item = &Inspected> {
        let of = |namespace: Option<&str>| {
            let rest =
                &self.secrets[self.secrets.partition_point(|secret| key(secret).0 < namespace)..];
            &rest[..rest.partition_point(|secret| key(secret).0 == namespace)]
        };
        of(None).iter().chain(of(Some(namespace)))
    }

    /// Whether there is a Secret `name` in `namespace` that is not a pull secret.
    pub(super) fn has_other_secret(&self, namespace: &str, name: &str) -> bool {
        self.other_secrets.contains(&(namespace.to_owned(), name.to_owned()))
    }

    /// Names of the pull secrets that pods, their templates and service accounts reference.
    pub fn pull_secrets(&self) -> impl Iterator<Item = &str> {
        let of_pods = self.pods.iter().flat_map(|pod| &pod.spec.image_pull_secrets);
        let templates = self.workloads.iter().filter_map(|object| object.spec.template.as_ref());
        let of_templates = templates.flat_map(|template| &template.spec.image_pull_secrets);
        let of_accounts = self.accounts.iter().flat_map(|account| &account.image_pull_secrets);
        of_pods.chain(of_templates).chain(of_accounts).map(|secret| secret.name.as_str())
    }

    /// Pods that are only known from events, with nothing but namespace and name.
    pub(super) fn pods_known_by_name(&self) -> Vec<Pod> {
        let of_pods = self
            .events
            .iter()
            .map(|event| &event.involved_object)
            .filter(|object| object.kind == "Pod");
        let names: BTreeSet<_> = of_pods.map(|object| (&object.namespace, &object.name)).collect();
        names.into_iter().map(|(namespace, name)| Pod::known_by_name(namespace, name)).collect()
    }

    /// The newest time in the evidence.
    #[must_use]
    pub fn newest(&self) -> Option<Timestamp> {
        let of_pods = self.pods.iter().filter_map(|pod| pod.metadata.created());
        self.events.iter().filter_map(Event::seen).chain(of_pods).max()
    }
}

fn key(secret: &Inspected) -> (Option<&str>, Option<&str>) {
    (secret.namespace.as_deref(), secret.name.as_deref())
}

/// The items of a list; `None` if there is no list.
fn items<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<&'de RawValue>>, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).ok())
}

fn keep<T: DeserializeOwned>(kept: &mut Vec<T>, item: &RawValue) -> bool {
    let understood = serde_json::from_str(item.get()).ok();
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
