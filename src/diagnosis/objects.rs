//! Objects of the cluster's API, reduced to what explains why pods do not run. Pure.
//!
//! Source: Kubernetes API reference, core/v1, apps/v1 and events.k8s.io/v1.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Metadata {
    pub(super) name: String,
    pub(super) namespace: String,
    creation_timestamp: Option<String>,
    deletion_timestamp: Option<String>,
    annotations: Option<BTreeMap<String, String>>,
    #[serde(deserialize_with = "list")]
    pub(super) owner_references: Vec<Named>,
}

impl Metadata {
    /// Namespace and name.
    pub(super) fn key(&self) -> (&str, &str) {
        (&self.namespace, &self.name)
    }

    pub(super) fn created(&self) -> Option<Timestamp> {
        time(self.creation_timestamp.as_deref())
    }

    /// The rollout that a `ReplicaSet` belongs to.
    pub(super) fn revision(&self) -> Option<u64> {
        self.annotations.as_ref()?.get("deployment.kubernetes.io/revision")?.parse().ok()
    }
}

/// A reference. `kind` is that of an owner, and empty elsewhere.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Named {
    pub(super) kind: String,
    pub(super) name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Pod {
    pub(super) metadata: Metadata,
    pub(super) spec: PodSpec,
    pub(super) status: PodStatus,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PodSpec {
    #[serde(deserialize_with = "list")]
    pub(super) containers: Vec<Container>,
    #[serde(deserialize_with = "list")]
    pub(super) init_containers: Vec<Container>,
    #[serde(deserialize_with = "list")]
    ephemeral_containers: Vec<Container>,
    #[serde(deserialize_with = "list")]
    pub(super) image_pull_secrets: Vec<Named>,
    #[serde(deserialize_with = "list")]
    pub(super) volumes: Vec<Volume>,
    pub(super) service_account_name: Option<String>,
    pub(super) node_name: Option<String>,
    pub(super) restart_policy: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) image: String,
    pub(super) image_pull_policy: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Volume {
    name: String,
    pub(super) image: Option<ImageVolume>,
}

/// A volume with the files of an image (KEP-4639), which is pulled like a container's image.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ImageVolume {
    pub(super) reference: String,
    pub(super) pull_policy: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PodStatus {
    pub(super) phase: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) message: Option<String>,
    #[serde(deserialize_with = "list")]
    pub(super) conditions: Vec<Condition>,
    #[serde(deserialize_with = "list")]
    pub(super) init_container_statuses: Vec<ContainerStatus>,
    #[serde(deserialize_with = "list")]
    pub(super) container_statuses: Vec<ContainerStatus>,
    #[serde(deserialize_with = "list")]
    pub(super) ephemeral_container_statuses: Vec<ContainerStatus>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Condition {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) status: String,
    pub(super) reason: Option<String>,
    pub(super) message: Option<String>,
}

impl Condition {
    /// Reason and message.
    pub(super) fn words(&self) -> String {
        reason_and_message(self.reason.as_deref(), self.message.as_deref())
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ContainerStatus {
    pub(super) name: String,
    pub(super) ready: bool,
    pub(super) restart_count: i64,
    pub(super) state: State,
    pub(super) last_state: State,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct State {
    pub(super) waiting: Option<Waiting>,
    pub(super) running: Option<Running>,
    pub(super) terminated: Option<Terminated>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Waiting {
    pub(super) reason: Option<String>,
    pub(super) message: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Running {
    started_at: Option<String>,
}

impl Running {
    pub(super) fn since(&self) -> Option<Timestamp> {
        time(self.started_at.as_deref())
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Terminated {
    pub(super) exit_code: i64,
    pub(super) reason: Option<String>,
    pub(super) message: Option<String>,
}

/// A Deployment, a `ReplicaSet`, a Job, a `CronJob` or another object that creates pods.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Workload {
    pub(super) kind: String,
    pub(super) metadata: Metadata,
    pub(super) spec: WorkloadSpec,
    pub(super) status: WorkloadStatus,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct WorkloadSpec {
    pub(super) replicas: Option<i64>,
    pub(super) suspend: Option<bool>,
    /// The template of its pods; `None` for a `CronJob`.
    pub(super) template: Option<Template>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Template {
    pub(super) spec: PodSpec,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct WorkloadStatus {
    #[serde(deserialize_with = "list")]
    pub(super) conditions: Vec<Condition>,
}

impl Workload {
    /// The condition of this kind, if it is true.
    pub(super) fn condition(&self, kind: &str) -> Option<&Condition> {
        let mut conditions = self.status.conditions.iter();
        conditions.find(|condition| condition.kind == kind && condition.status == "True")
    }

    /// Whether a Job has completed or failed.
    pub(super) fn has_ended(&self) -> bool {
        self.condition("Complete").or_else(|| self.condition("Failed")).is_some()
    }
}

/// A `ServiceAccount`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Account {
    pub(super) metadata: Metadata,
    #[serde(deserialize_with = "list")]
    pub(super) image_pull_secrets: Vec<Named>,
}

impl Pod {
    /// A pod of which only the name is known.
    pub(super) fn known_by_name(namespace: &str, name: &str) -> Self {
        let metadata = Metadata {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            ..Metadata::default()
        };
        Self { metadata, ..Self::default() }
    }

    /// Whether only the name is known.
    pub(super) fn is_only_known_by_name(&self) -> bool {
        self.spec.containers.is_empty()
    }

    /// Whether it is being deleted.
    pub(super) fn is_ending(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// Whether it failed; it is then never restarted.
    pub(super) fn has_failed(&self) -> bool {
        self.status.phase.as_deref() == Some("Failed")
    }

    /// Whether it decides about its predecessors: it has ended, or it works as a pod that is meant
    /// to stay.
    pub(super) fn has_settled(&self) -> bool {
        match self.status.phase.as_deref() {
            Some("Succeeded" | "Failed") => true,
            _ => !self.ends() && self.is_fine(),
        }
    }

    /// Whether its containers are meant to end.
    pub(super) fn ends(&self) -> bool {
        self.spec.restart_policy.as_deref().is_some_and(|policy| policy != "Always")
    }

    /// Whether all its containers are in order.
    pub(super) fn is_fine(&self) -> bool {
        let statuses = &self.status.container_statuses;
        match self.status.phase.as_deref() {
            Some("Succeeded") => true,
            Some("Running") => !statuses.is_empty() && statuses.iter().all(|status| status.ready),
            _ => false,
        }
    }

    fn containers(&self) -> impl Iterator<Item = &Container> {
        let spec = &self.spec;
        spec.init_containers.iter().chain(&spec.containers).chain(&spec.ephemeral_containers)
    }

    /// Whether `container` was added to the running pod.
    pub(super) fn is_ephemeral(&self, container: &str) -> bool {
        self.spec.ephemeral_containers.iter().any(|found| found.name == container)
    }

    /// The images of its containers.
    pub(super) fn images(&self) -> impl Iterator<Item = &str> {
        self.containers().map(|container| container.image.as_str())
    }

    /// The image of a container, as written in the pod.
    pub(super) fn image(&self, container: &str) -> &str {
        let mut all = self.containers();
        all.find(|found| found.name == container).map_or("", |found| found.image.as_str())
    }

    /// The volumes that are images, each with its image.
    pub(super) fn image_volumes(&self) -> impl Iterator<Item = (&str, &str)> {
        let images =
            self.spec.volumes.iter().filter_map(|volume| Some((volume, volume.image.as_ref()?)));
        images.map(|(volume, image)| (volume.name.as_str(), image.reference.as_str()))
    }

    pub(super) fn condition(&self, kind: &str) -> Option<&Condition> {
        self.status.conditions.iter().find(|condition| condition.kind == kind)
    }
}

/// Combines a reason and a message, each of which may be missing or repeat the other.
pub(super) fn reason_and_message(reason: Option<&str>, message: Option<&str>) -> String {
    match (reason.unwrap_or_default(), message.unwrap_or_default()) {
        (reason, "") => reason.to_owned(),
        (reason, message) if reason == message => message.to_owned(),
        ("", message) => message.to_owned(),
        (reason, message) => format!("{reason}: {message}"),
    }
}

pub(super) fn time(text: Option<&str>) -> Option<Timestamp> {
    text?.parse().ok()
}

/// Deserialises a list that may be null, as Go encodes an empty one.
fn list<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
