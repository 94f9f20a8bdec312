//! Separates current evidence from outdated evidence. Problems of an older rollout are over,
//! although its pods stay until the newer one works. A failed pod (of a Job, or evicted) is over
//! once a later one has settled, although it stays until somebody deletes it.

use super::DiagnosisInput;
use super::objects::{Metadata, Pod, Workload};
use jiff::Timestamp;
use std::collections::{HashMap, HashSet};

/// Identifies a series of successive pods: the namespace, the owner's kind, and the name that they
/// have in common.
pub(super) type Line<'k> = (&'k str, &'k str, &'k str);

/// The pods that are current evidence.
pub(super) fn pods<'k>(known: &DiagnosisInput<'k>, pods: &[&'k Pod]) -> Vec<&'k Pod> {
    let sets = known.evidence.workloads.iter().filter(|object| object.kind == "ReplicaSet");
    let revisions: HashMap<_, _> = sets
        .map(|set| {
            ((set.metadata.namespace.as_str(), set.metadata.name.as_str()), set.metadata.revision())
        })
        .collect();
    let age = |pod: &'k Pod| {
        let revision = revisions.get(&(pod.metadata.namespace.as_str(), owner(&pod.metadata).1));
        (revision.copied().flatten(), pod.metadata.created())
    };
    let mut newest: HashMap<Line, &Pod> = HashMap::new();
    let mut settled: HashMap<Line, Option<Timestamp>> = HashMap::new();
    for pod in pods {
        let line = line(&pod.metadata);
        let so_far = newest.entry(line).or_insert(pod);
        if age(pod) > age(so_far) {
            *so_far = pod;
        }
        if pod.has_settled() {
            let so_far = settled.entry(line).or_default();
            *so_far = (*so_far).max(pod.metadata.created());
        }
    }
    // The failure of a Job is not over because another pod of it did better.
    let jobs: Vec<_> =
        known.evidence.workloads.iter().filter(|object| object.kind == "Job").collect();
    let failed: HashSet<_> = failed_jobs(&jobs)
        .into_iter()
        .map(|job| (job.metadata.namespace.as_str(), "Job", job.metadata.name.as_str()))
        .collect();
    let counts = |pod: &&&'k Pod| {
        let line = line(&pod.metadata);
        let (kind, name) = owner(&pod.metadata);
        if failed.contains(&(line.0, kind, name)) {
            return true;
        }
        let is_rollout = line.1 == "ReplicaSet";
        let of_newest =
            newest.get(&line).is_some_and(|newest| owner(&newest.metadata) == owner(&pod.metadata));
        let is_over = pod.has_failed()
            && settled.get(&line).is_some_and(|last| pod.metadata.created() < *last);
        (of_newest || !is_rollout) && !is_over
    };
    pods.iter().filter(counts).copied().collect()
}

/// The Jobs that have failed and were not followed by a completed one of the same `CronJob`.
pub(super) fn failed_jobs<'k>(jobs: &[&'k Workload]) -> Vec<&'k Workload> {
    let line = |job: &'k Workload| line_of(&job.metadata.namespace, "Job", &job.metadata.name);
    let mut last: HashMap<_, Option<Timestamp>> = HashMap::new();
    for job in jobs.iter().filter(|job| job.has_ended()) {
        let so_far = last.entry(line(job)).or_default();
        *so_far = (*so_far).max(job.metadata.created());
    }
    let is_last = |job: &&&'k Workload| last.get(&line(job)) == Some(&job.metadata.created());
    let failed = jobs.iter().filter(|job| job.condition("Failed").is_some());
    failed.filter(is_last).copied().collect()
}

fn owner(metadata: &Metadata) -> (&str, &str) {
    metadata
        .owner_references
        .first()
        .map_or(("", &metadata.name), |owner| (&owner.kind, &owner.name))
}

/// The series of a pod.
pub(super) fn line(metadata: &Metadata) -> Line<'_> {
    let (kind, name) = owner(metadata);
    line_of(&metadata.namespace, kind, name)
}

/// The series of an owner's pods.
pub(super) fn line_of<'k>(namespace: &'k str, kind: &'k str, name: &'k str) -> Line<'k> {
    match kind {
        "ReplicaSet" => (namespace, kind, name.rsplit_once('-').map_or(name, |(name, _)| name)),
        "Job" => (namespace, kind, run_of(name)),
        // Objects that create pods belong to the same series.
        "Deployment" => (namespace, "ReplicaSet", name),
        "CronJob" => (namespace, "Job", name),
        _ => (namespace, kind, name),
    }
}

/// What a Job is a run of: the name of a `CronJob`'s Job ends with digits for its time; any other
/// Job is its own series.
fn run_of(job: &str) -> &str {
    let is_time = |rest: &str| rest.len() >= 8 && rest.bytes().all(|byte| byte.is_ascii_digit());
    job.rsplit_once('-').filter(|(_, rest)| is_time(rest)).map_or(job, |(name, _)| name)
}
