//! `makeinfra diagnose` and pods that ended: a problem that was fixed since is not a cause, one
//! that was not is.

use super::diagnose::found_in;
use super::support::Sandbox;
use serde_json::{Value, json};

/// A pod of `kind` and `owner` that was created at this minute, in `phase`, with exit code `code`
/// if it ended.
fn pod((kind, owner): (&str, &str), minute: u32, phase: &str, code: Option<i64>) -> Value {
    let state = match (phase, code) {
        (_, Some(code)) => {
            json!({"terminated": {"exitCode": code, "reason": if code == 0 { "Completed" } else { "Error" }}})
        }
        ("Pending", None) => {
            json!({"waiting": {"reason": "ErrImagePull", "message": "unexpected status: 403 Forbidden: fetch anonymous token"}})
        }
        _ => json!({"running": {"startedAt": "2026-11-23T20:00:10Z"}}),
    };
    let policy = if kind == "Job" { "Never" } else { "Always" };
    let ready = phase == "Running";
    json!({
        "kind": "Pod",
        "metadata": {
            "name": format!("{owner}-p{minute}"), "namespace": "hello",
            "creationTimestamp": format!("2026-11-23T20:{minute:02}:00Z"),
            "ownerReferences": [{"kind": kind, "name": owner}],
        },
        "spec": {"nodeName": "node", "restartPolicy": policy, "containers": [{"name": "hello", "image": "registry.gitlab.com/group/project:1.0.0"}]},
        "status": {"phase": phase, "containerStatuses": [{"name": "hello", "ready": ready, "restartCount": 0, "state": state}]},
    })
}

fn evicted(owner: (&str, &str), minute: u32) -> Value {
    let mut pod = pod(owner, minute, "Failed", None);
    pod["status"] = json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."});
    pod
}

/// A Job or `CronJob` with this condition, if any.
fn object(kind: &str, name: &str, minute: u32, condition: &str) -> Value {
    let said = json!({"type": condition, "status": "True", "reason": "DeadlineExceeded", "message": "Job was active longer than specified deadline"});
    json!({
        "kind": kind,
        "metadata": {"name": name, "namespace": "hello", "creationTimestamp": format!("2026-11-23T20:{minute:02}:00Z")},
        "spec": {"suspend": condition == "suspended"},
        "status": {"conditions": [said]},
    })
}

/// The verdict, and the causes with their subjects.
#[track_caller]
fn diagnosed(items: &[Value]) -> (String, Vec<String>) {
    let found = found_in(&Sandbox::new(), &json!({"kind": "List", "items": items}));
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let causes = found["causes"].as_array().unwrap().iter();
    let causes = causes.map(|cause| format!("{}: {}", word(&cause["subject"]), word(&cause["id"])));
    (word(&found["verdict"]), causes.collect())
}

#[track_caller]
fn tells(items: &[Value], verdict: &str, causes: &[&str]) {
    let causes = causes.iter().map(|cause| (*cause).to_owned()).collect();
    assert_eq!(diagnosed(items), (verdict.to_owned(), causes), "{items:#?}");
}

const SET: (&str, &str) = ("ReplicaSet", "hello-7d9d9b64f8");

#[test]
fn an_eviction_is_over_when_a_later_pod_works() {
    let (gone, works) = (evicted(SET, 1), pod(SET, 2, "Running", None));
    tells(&[gone.clone(), works.clone()], "fine", &[]);
    // The working pod was there before, so the other one's successor is missing.
    tells(&[works, evicted(SET, 3)], "cause", &["pod hello-7d9d9b64f8-p3: evicted"]);
    // The last of several counts, and what keeps its successor from working comes first.
    tells(&[gone.clone(), evicted(SET, 2)], "cause", &["pod hello-7d9d9b64f8-p2: evicted"]);
    let waits = pod(SET, 2, "Pending", None);
    let causes =
        ["pod hello-7d9d9b64f8-p2: no-pull-secret-named", "pod hello-7d9d9b64f8-p1: evicted"];
    tells(&[gone.clone(), waits], "cause", &causes);
    // A pod of another Deployment or namespace settles nothing.
    let mut elsewhere = pod(SET, 2, "Running", None);
    elsewhere["metadata"]["namespace"] = json!("other");
    let other = pod(("ReplicaSet", "shop-7d9d9b64f8"), 2, "Running", None);
    tells(&[gone, other, elsewhere], "cause", &["pod hello-7d9d9b64f8-p1: evicted"]);
}

#[test]
fn a_run_that_failed_is_over_when_a_later_one_ended() {
    let run = |minute: u32, phase: &str, code: Option<i64>| {
        pod(("Job", &format!("nightly-2967{minute:04}")), minute, phase, code)
    };
    let (failed, done) = (run(1, "Failed", Some(3)), run(2, "Succeeded", Some(0)));
    tells(&[failed.clone(), done.clone()], "fine", &[]);
    tells(
        &[failed.clone(), run(2, "Failed", Some(4))],
        "cause",
        &["pod nightly-29670002-p2: container-failed"],
    );
    tells(
        &[done, run(3, "Failed", Some(3))],
        "cause",
        &["pod nightly-29670003-p3: container-failed"],
    );
    // A run that has just begun may fail as well.
    tells(
        &[failed.clone(), run(2, "Running", None)],
        "cause",
        &["pod nightly-29670001-p1: container-failed"],
    );
    // Another Job is not a later run.
    let migrate = pod(("Job", "migrate"), 2, "Succeeded", Some(0));
    tells(&[failed, migrate], "cause", &["pod nightly-29670001-p1: container-failed"]);
    // A Job that was retried.
    let job = ("Job", "migrate");
    tells(&[pod(job, 1, "Failed", Some(1)), pod(job, 2, "Succeeded", Some(0))], "fine", &[]);
}

#[test]
fn what_a_container_ended_with_is_told_with_a_command_that_works() {
    let list = json!({"kind": "List", "items": [pod(("Job", "migrate"), 1, "Failed", Some(3))]});
    let found = found_in(&Sandbox::new(), &list);
    let told = &found["causes"][0];
    assert_eq!(told["message"], "container `hello` exited with code 3");
    // There was no earlier container, so kubectl's `--previous` does not apply.
    assert_eq!(told["hint"], "kubectl --namespace hello logs migrate-p1 --container hello");
    assert_eq!(told["evidence"], json!(["Error, exit code 3"]));
}

#[test]
fn a_job_without_pods_tells_by_itself() {
    let failed = object("Job", "migrate", 1, "Failed");
    tells(std::slice::from_ref(&failed), "cause", &["Job migrate: job-failed"]);
    tells(&[object("Job", "migrate", 1, "Complete")], "fine", &[]);
    // Its pod has more details.
    let pod = pod(("Job", "migrate"), 1, "Failed", Some(3));
    tells(&[failed.clone(), pod], "cause", &["pod migrate-p1: container-failed"]);
    let [first, second] = ["nightly-29670001", "nightly-29670002"];
    tells(&[object("Job", first, 1, "Failed"), object("Job", second, 2, "Complete")], "fine", &[]);
    let both = [object("Job", first, 1, "Failed"), object("Job", second, 2, "Failed")];
    tells(&both, "cause", &["Job nightly-29670002: job-failed"]);
    // A CronJob that has not run yet is fine; one that is suspended is worth a note.
    tells(&[object("CronJob", "nightly", 1, "")], "fine", &[]);
    tells(&[object("CronJob", "nightly", 1, "suspended")], "fine", &["CronJob nightly: suspended"]);
}

#[test]
fn a_job_that_failed_is_not_made_good_by_one_of_its_pods() {
    let (job, of) = (object("Job", "migrate", 1, "Failed"), ("Job", "migrate"));
    let (failed, done) = (pod(of, 1, "Failed", Some(1)), pod(of, 2, "Succeeded", Some(0)));
    tells(&[job.clone(), failed, done.clone()], "cause", &["pod migrate-p1: container-failed"]);
    tells(&[job, done], "cause", &["Job migrate: job-failed"]);
}

#[test]
fn what_keeps_one_workload_from_having_pods_is_not_over_because_another_has_some() {
    let refused = |seen: &str| {
        json!({
            "kind": "Event", "reason": "FailedCreate", "message": "pods \"api-1\" is forbidden: exceeded quota: q",
            "involvedObject": {"kind": "ReplicaSet", "name": "api-7d9d9b64f8", "namespace": "hello"}, "lastTimestamp": seen,
        })
    };
    let worker = pod(("ReplicaSet", "worker-7d9d9b64f8"), 5, "Running", None);
    let early = refused("2026-11-23T20:01:00Z");
    tells(
        &[worker.clone(), early.clone()],
        "cause",
        &["ReplicaSet api-7d9d9b64f8: quota-exceeded"],
    );
    // Its own later pods settle it.
    tells(
        &[worker.clone(), early, pod(("ReplicaSet", "api-7d9d9b64f8"), 2, "Running", None)],
        "fine",
        &[],
    );
    // Without events, the Deployment has the reason.
    let said = json!({"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota: q"});
    let deployment = json!({
        "kind": "Deployment", "metadata": {"name": "api", "namespace": "hello"}, "spec": {"replicas": 1}, "status": {"conditions": [said]},
    });
    tells(&[worker, deployment], "cause", &["Deployment api: quota-exceeded"]);
}

#[test]
fn what_kept_a_cronjob_from_a_run_is_over_after_the_next_one() {
    let refused = json!({
        "kind": "Event", "reason": "FailedCreate", "message": "jobs \"nightly-29670001\" is forbidden: exceeded quota: q",
        "involvedObject": {"kind": "CronJob", "name": "nightly", "namespace": "hello"}, "lastTimestamp": "2026-11-23T20:01:00Z",
    });
    let done = pod(("Job", "nightly-29670002"), 2, "Succeeded", Some(0));
    tells(&[refused.clone(), done], "fine", &[]);
    tells(&[refused], "cause", &["CronJob nightly: quota-exceeded"]);
}
