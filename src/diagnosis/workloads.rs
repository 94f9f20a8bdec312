//! Workloads: which pods belong to which, and why pods are missing.

use super::cause::Cause;
use super::event::Event;
use super::objects::{Condition, Pod, Workload as Object};
use super::{DiagnosisInput, Fill, Finding, Layer, current, pods, signs};
use crate::manifests::Workload;
use jiff::Timestamp;
use std::collections::{HashMap, HashSet};

impl<'k> DiagnosisInput<'k> {
    /// The workload of the repository that owns a pod.
    pub(super) fn workload_of(&self, pod: &Pod) -> Option<&'k Workload> {
        let namespace = |workload: &&Workload| {
            workload.namespace.as_ref().is_none_or(|namespace| *namespace == pod.metadata.namespace)
                || self.namespace.is_some()
        };
        let owner = pod.metadata.owner_references.first();
        self.manifest_workloads().filter(namespace).find(|workload| match owner {
            Some(owner) => owns(workload, &owner.kind, &owner.name),
            None => workload.name == pod.metadata.name,
        })
    }

    /// Whether a pod of which only the name is known may belong to the repository: pods are named
    /// after their owners.
    pub(super) fn is_named_as_ours(&self, pod: &Pod) -> bool {
        let name = &pod.metadata.name;
        let ours = |workload: &Workload| {
            let rest = name.strip_prefix(workload.name.as_str());
            rest.is_some_and(|rest| {
                rest.is_empty() || rest.starts_with('-') && rest.matches('-').count() <= 2
            })
        };
        self.is_here(&pod.metadata.namespace)
            && (self.includes_all_pods() || self.manifest_workloads().any(ours))
    }

    fn manifest_workloads(&self) -> impl Iterator<Item = &'k Workload> + use<'k> {
        self.repository.into_iter().flat_map(|repository| repository.manifests.workloads())
    }

    /// Whether an object of `kind` and `name` is one of the repository's, or was created by one.
    fn has(&self, kind: &str, name: &str) -> bool {
        self.includes_all_pods()
            || self.manifest_workloads().any(|workload| {
                (workload.kind == kind && workload.name == name) || owns(workload, kind, name)
            })
    }

    fn is_here(&self, namespace: &str) -> bool {
        self.namespace.is_none_or(|here| here == namespace)
    }
}

/// Whether `workload` creates objects of `kind` with this name: controllers append a hash or a
/// number.
fn owns(workload: &Workload, kind: &str, name: &str) -> bool {
    let made = || {
        let rest =
            name.strip_prefix(workload.name.as_str()).and_then(|rest| rest.strip_prefix('-'));
        rest.is_some_and(|rest| !rest.is_empty() && !rest.contains('-'))
    };
    match (workload.kind.as_str(), kind) {
        ("Deployment", "ReplicaSet") | ("CronJob", "Job") => made(),
        (own, kind) => own == kind && workload.name == name,
    }
}

/// Why pods are missing.
pub(super) fn findings(known: &DiagnosisInput, ours: &[&Pod]) -> Vec<Finding> {
    let mut found = refused(known, ours);
    if ours.is_empty() {
        found.extend(pods::gone(known));
    }
    let deployments: Vec<_> = objects(known, "Deployment").collect();
    let is_scaled = |object: &&&Object| object.spec.replicas == Some(0);
    found.extend(
        deployments
            .iter()
            .filter(is_scaled)
            .map(|one| of_object(known, Cause::ScaledToZero, one, &[])),
    );
    found.extend(batch(known, ours));
    // Jobs and CronJobs need not have pods at the moment.
    let ends = ["CronJob", "Job"].into_iter().any(|kind| objects(known, kind).next().is_some());
    if !found.is_empty() || !ours.is_empty() || (ends && deployments.is_empty()) {
        return found;
    }
    // Silence only proves something if a cluster was asked.
    let is_proof = known.is_live && known.refused.is_empty();
    let Some(namespace) = known.namespace.filter(|_| is_proof) else {
        let fill =
            Fill { namespace: known.namespace.unwrap_or_default().to_owned(), ..Fill::default() };
        return vec![known.finding(Cause::NoPods, "evidence", &fill, &[])];
    };
    let fill = Fill { namespace: namespace.to_owned(), ..Fill::default() };
    // Every namespace has at least the service account `default`.
    let cause = if known.evidence.accounts.is_empty() {
        Cause::NamespaceMissing
    } else if known.repository.is_none() {
        Cause::NoPods
    } else if deployments.is_empty() {
        Cause::NotDeployed
    } else {
        return deployments.iter().map(|deployment| young(known, deployment)).collect();
    };
    vec![known.finding(cause, format!("namespace {namespace}"), &fill, &[])]
}

/// Jobs that failed without leaving a failed pod as evidence, and `CronJob`s that start none.
fn batch(known: &DiagnosisInput, pods: &[&Pod]) -> Vec<Finding> {
    let jobs: Vec<_> = objects(known, "Job").collect();
    let failed = pods.iter().filter(|pod| !pod.is_fine());
    let owners = failed.flat_map(|pod| &pod.metadata.owner_references);
    let owners: HashSet<_> =
        owners.filter(|owner| owner.kind == "Job").map(|owner| &owner.name).collect();
    let has_pod = |job: &Object| owners.contains(&job.metadata.name);
    let failed = current::failed_jobs(&jobs).into_iter().filter(|job| !has_pod(job)).map(|job| {
        let reason = job.condition("Failed").map(Condition::words);
        of_object(known, Cause::JobFailed, job, reason.as_slice())
    });
    let suspended = objects(known, "CronJob").filter(|object| object.spec.suspend == Some(true));
    failed.chain(suspended.map(|object| of_object(known, Cause::Suspended, object, &[]))).collect()
}

/// Refusals to create pods, newer than the newest existing pod of the same owner.
fn refused(known: &DiagnosisInput, pods: &[&Pod]) -> Vec<Finding> {
    let mut newest: HashMap<_, Option<Timestamp>> = HashMap::new();
    for pod in pods {
        let so_far = newest.entry(current::line(&pod.metadata)).or_default();
        *so_far = (*so_far).max(pod.metadata.created());
    }
    let gone: HashSet<_> = known
        .evidence
        .workloads
        .iter()
        .filter(|object| object.spec.replicas == Some(0))
        .map(|object| object.metadata.name.as_str())
        .collect();
    let ours = |event: &&Event| {
        let object = &event.involved_object;
        let since = newest.get(&current::line_of(&object.namespace, &object.kind, &object.name));
        event.is("FailedCreate")
            && known.is_here(&object.namespace)
            && known.has(&object.kind, &object.name)
            && !gone.contains(object.name.as_str())
            && since.is_none_or(|newest| event.seen() > *newest)
    };
    let mut events: Vec<_> = known.evidence.events.iter().filter(ours).collect();
    events.sort_by_key(|event| std::cmp::Reverse(event.seen()));
    let mut found: Vec<Finding> = events
        .iter()
        .map(|event| {
            let (object, words) = (&event.involved_object, event.words());
            create(known, &object.kind, &object.name, &object.namespace, words)
        })
        .collect();
    if !found.is_empty() {
        return found;
    }
    for deployment in objects(known, "Deployment") {
        let metadata = &deployment.metadata;
        if newest.contains_key(&(metadata.namespace.as_str(), "ReplicaSet", metadata.name.as_str()))
        {
            continue;
        }
        let failed = deployment.condition("ReplicaFailure");
        if let Some(message) = failed.and_then(|condition| condition.message.clone()) {
            found.push(create(known, "Deployment", &metadata.name, &metadata.namespace, message));
        }
    }
    found
}

fn create(
    known: &DiagnosisInput,
    kind: &str,
    name: &str,
    namespace: &str,
    words: String,
) -> Finding {
    let (cause, layer) =
        signs::create(&words).unwrap_or((Cause::AdmissionRefused, Layer::ApiServer));
    let fill =
        Fill { namespace: namespace.to_owned(), workload: name.to_owned(), ..Fill::default() };
    let finding = known.finding(cause, format!("{kind} {name}"), &fill, &[words]);
    Finding { layer: Some(layer), ..finding }
}

/// A rollout that did not complete in time.
pub(super) fn stalled(known: &DiagnosisInput, pods: &[&Pod]) -> Vec<Finding> {
    let late = objects(known, "Deployment").filter_map(|deployment| {
        let condition = deployment.status.conditions.iter().find(|condition| {
            condition.kind == "Progressing"
                && condition.reason.as_deref() == Some("ProgressDeadlineExceeded")
        })?;
        let message = condition.message.clone().unwrap_or_default();
        Some(of_object(known, Cause::RolloutStalled, deployment, &[message]))
    });
    late.filter(|_| !pods.iter().all(|pod| pod.is_fine())).collect()
}

/// A Deployment without pods and without a reported reason.
fn young(known: &DiagnosisInput, deployment: &Object) -> Finding {
    let finding = of_object(known, Cause::Unexplained, deployment, &[]);
    let message = "it has no pods, and no known cause matches".to_owned();
    let hint = Fill { namespace: deployment.metadata.namespace.clone(), ..Fill::default() }
        .fills("{kubectl --namespace {namespace} describe deployments,replicasets}");
    Finding { message, hint: hint.as_str().into(), ..finding }
}

fn of_object(
    known: &DiagnosisInput,
    cause: Cause,
    object: &Object,
    evidence: &[String],
) -> Finding {
    let metadata = &object.metadata;
    let fill = Fill {
        namespace: metadata.namespace.clone(),
        workload: metadata.name.clone(),
        ..Fill::default()
    };
    known.finding(cause, format!("{} {}", object.kind, metadata.name), &fill, evidence)
}

fn objects<'k>(known: &'k DiagnosisInput, kind: &'static str) -> impl Iterator<Item = &'k Object> {
    known.evidence.workloads.iter().filter(move |object| {
        object.kind == kind
            && known.is_here(&object.metadata.namespace)
            && known.has(kind, &object.metadata.name)
    })
}
