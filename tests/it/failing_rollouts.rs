//! What `make deploy` says of a rollout that fails: the reason, and what to type.

use super::environments::with_environments;
use super::examples::repo;
use super::stand_in::{StandIn, fails, prints};
use super::support::files_below;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;

/// The cases of tests/data/pull-failures by their names: the pod, the states of its containers, and its events.
pub fn recorded() -> BTreeMap<String, Value> {
    let dir = repo("tests/data/pull-failures");
    let case = |file: String| {
        let list: Value = serde_json::from_str(&fs::read_to_string(dir.join(&file)).unwrap()).unwrap();
        let items = list["items"].as_array().unwrap();
        let pod = items.iter().find(|item| item["kind"] == "Pod").unwrap();
        let state = |status: &Value| json!({"state": status["state"], "lastState": status["lastState"]});
        let states: Vec<_> =
            pod["status"]["containerStatuses"].as_array().unwrap().iter().map(state).collect();
        let event = |event: &Value| {
            let about = |field: &str| event["involvedObject"][field].as_str().unwrap().to_owned();
            let object = format!("{}/{}", about("kind"), about("name"));
            json!({"object": object, "reason": event["reason"], "message": event["message"]})
        };
        let events: Vec<_> = items.iter().filter(|item| item["kind"] == "Event").map(event).collect();
        let case = json!({"pod": pod["metadata"]["name"], "containerStatuses": states, "events": events});
        (file.trim_end_matches(".json").to_owned(), case)
    };
    files_below(&dir).into_iter().map(case).collect()
}

/// How the cluster's answers to the questions of the script look in the recorded cases.
fn measured() -> Vec<(String, Vec<String>)> {
    recorded().into_iter().map(|(name, case)| (name, answers(&case))).collect()
}

fn answers(case: &Value) -> Vec<String> {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let state = |status: &Value| {
        let waiting = &status["state"]["waiting"];
        format!("hello: {} {}  ", word(&waiting["reason"]), word(&waiting["message"]))
    };
    let reasons: Vec<_> = case["containerStatuses"].as_array().unwrap().iter().map(state).collect();
    let events = case["events"].as_array().unwrap().iter().map(|event| {
        let object = word(&event["object"]).rsplit('/').next().unwrap().to_owned();
        format!("2026-11-23T20:00:16Z   {object}   {}   {}", word(&event["reason"]), word(&event["message"]))
    });
    let events: Vec<_> = events.collect();
    let owners = format!("hello hello-7fddd5c49d {}", word(&case["pod"]));
    failed_rollout(&reasons.join("\n"), &events.join("\n"), &owners)
}

fn failed_rollout(reasons: &str, events: &str, owners: &str) -> Vec<String> {
    vec![
        fails("rollout status", "error: timed out waiting for the condition"),
        prints("get replicasets,pods*metadata.name", owners),
        prints("get events", &format!("LAST   OBJECT   REASON   MESSAGE\n{events}")),
        prints("get pods*containerStatuses", reasons),
        prints("get pods*--output=wide", "NAME   READY   STATUS"),
    ]
}

/// Expects that a rollout with these answers ends with this cause and this advice.
#[track_caller]
fn explained(cluster: &StandIn, name: &str, answers: &[String], cause: &str, advice: &str) {
    cluster.answers(answers);
    let output = cluster.make(&["deploy"]).failure(2);
    let (_, last) =
        output.stderr.split_once("error: the rollout of deployment/hello failed: ").unwrap_or_else(|| {
            panic!("{name} is not explained:\n{}{}", output.stdout, output.stderr);
        });
    let (said, hint) = last.split_once("\nhint: ").unwrap();
    assert!(said.contains(cause), "{name}: no `{cause}` in `{said}`");
    assert!(hint.contains(advice), "{name}: no `{advice}` in `{hint}`");
}

/// The cases of tests/data/pull-failures: the name, what is said, and what is advised.
pub const EXPLAINED: [(&str, &str, &str); 14] = [
    ("auth-malformed", "malformed", "makeinfra rotate"),
    ("auths-wrapper-under-dockercfg", "403, anonymous", "makeinfra rotate"),
    ("identity-token-only", "403, anonymous", "makeinfra rotate"),
    (
        "invalid-image-name",
        "image reference is malformed",
        "kubernetes/overlays/production/kustomization.yaml",
    ),
    ("line-break-in-password", "401: the registry refused the token", "makeinfra rotate"),
    ("no-pull-secret-named", "403, anonymous", "registry key"),
    ("no-wrapper-under-dockerconfigjson", "403, anonymous", "makeinfra rotate"),
    ("registry-key-does-not-match", "403, anonymous", "registry key"),
    ("secret-in-another-namespace", "not in namespace", "make gitlab-secret"),
    ("secret-missing", "not in namespace", "make gitlab-secret"),
    ("tag-missing", "the registry has no registry.gitlab.com/group/hello:1.0.0", "make set-image TAG="),
    ("token-of-another-project", "not for this image", "in the project of"),
    ("token-refused", "401: the registry refused the token", "new deploy token"),
    ("token-without-registry-scope", "lacks the scope read_registry", "read_registry"),
];

#[test]
fn every_measured_failure_of_a_pull_is_explained() {
    let cluster = StandIn::new();
    let mut cases = measured();
    cases.retain(|(name, _)| name != "pulled");
    assert_eq!(cases.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), EXPLAINED.map(|row| row.0));
    for ((name, answers), (_, cause, advice)) in cases.iter().zip(EXPLAINED) {
        explained(&cluster, name, answers, cause, advice);
    }
}

#[test]
fn other_reasons_are_explained_too() {
    let cluster = StandIn::new();
    for (reasons, events, cause, advice) in [
        (
            "hello: ErrImagePull Requesting bearer token: invalid status code from registry 403",
            "",
            "anonymous",
            "rotate",
        ),
        (
            "",
            "Failed unable to parse auth field, must be formatted as base64(username:password)",
            "malformed",
            "rotate",
        ),
        (
            "hello: CreateContainerConfigError container has runAsNonRoot and image will run as root",
            "",
            "runs as root",
            "baseline",
        ),
        (
            "hello: CreateContainerConfigError container has runAsNonRoot and image has non-numeric user (app)",
            "",
            "USER is a name",
            "runAsUser",
        ),
        (
            "hello: CrashLoopBackOff back-off 10s restarting failed container",
            "",
            "starts and ends",
            "make logs",
        ),
        ("hello: CrashLoopBackOff back-off 10s restarting  OOMKilled", "", "more memory", "limits.memory"),
        (
            "",
            r#"FailedCreate pods "hello-x" is forbidden: exceeded quota: q, requested: pods=1"#,
            "quota",
            "replicas",
        ),
        (
            "",
            r#"FailedCreate pods "hello-x" is forbidden: violates PodSecurity "restricted:latest""#,
            "refuses the pods",
            "label namespace hello",
        ),
        (
            "",
            "FailedScheduling 0/1 nodes are available: 1 Insufficient memory.",
            "no node has room",
            "requests",
        ),
        (
            "",
            r#"Failed Failed to pull image "r.test/a:1": failed to do request: Head "https://r.test/v2/a/manifests/1": dial tcp: no such host"#,
            "cannot reach the registry",
            "a certificate",
        ),
        (
            "",
            r#"Failed Failed to pull image "r.test/a:1": failed to fetch oauth token: Get "https://gitlab.test/jwt/auth": dial tcp: i/o timeout"#,
            "cannot reach the registry",
            "a certificate",
        ),
    ] {
        let event = format!("2026-11-23T20:00:16Z   hello   {events}");
        explained(&cluster, cause, &failed_rollout(reasons, &event, "hello"), cause, advice);
    }
}

#[test]
fn events_of_other_applications_explain_nothing() {
    let cluster = StandIn::new();
    let other = "2026-11-23T20:00:16Z   hello-world-1   Failed   insufficient_scope: authorization failed";
    cluster.answers(&failed_rollout("", other, "hello hello-7fddd5c49d"));
    let output = cluster.make(&["deploy"]).failure(2);
    assert!(!output.stdout.contains("insufficient_scope"), "{}", output.stdout);
    output.says("error: the rollout of deployment/hello failed\nhint: make status, make logs");
}

#[test]
fn what_an_earlier_rollout_failed_of_is_not_told_again() {
    let cluster = StandIn::new();
    let anonymous = "hello: ErrImagePull failed to fetch anonymous token: unexpected status: 403 Forbidden";
    let missing = "hello: ErrImagePull rpc error: code = NotFound desc = not found";
    let narrowed = [
        prints("get deployment/hello*revision", "7"),
        prints("get replicasets *revision", "6 aaaa\n7 bbbb\n8"),
        prints("get pods*pod-template-hash=bbbb*containerStatuses", missing),
    ];
    cluster.answers(&[&narrowed[..], &failed_rollout(anonymous, "", "")].concat());
    cluster.make(&["deploy"]).failure(2).says("the registry has no registry.gitlab.com/group/hello:1.0.0");
}

#[test]
fn restart_and_rollback_explain_a_failure_as_well() {
    let cluster = StandIn::new();
    let refused = "hello: ErrImagePull failed to fetch oauth token: unexpected status: 401 Unauthorized";
    for target in ["restart", "rollback"] {
        cluster.answers(&failed_rollout(refused, "", ""));
        cluster.make(&[target]).failure(2).says("401: the registry refused the token");
    }
}

#[test]
fn an_unchanged_deployment_whose_pull_failed_gets_new_pods() {
    let cluster = StandIn::new();
    for status in [
        r#"{"containerStatuses":[{"state":{"waiting":{"reason":"ImagePullBackOff"}}}]}"#,
        r#"{"conditions":[{"reason":"ProgressDeadlineExceeded","status":"False"}]}"#,
    ] {
        cluster.answers(&[prints("get pods*status", status)]);
        cluster.make(&["deploy"]).success();
        let steps = cluster.steps();
        let at = |step: &str| steps.iter().position(|seen| seen == step);
        assert!(at("rollout restart deployment/hello") < at("rollout status deployment/hello"), "{steps:?}");
        assert!(at("rollout restart deployment/hello").is_some(), "{steps:?}");
    }
}

#[test]
fn a_changed_deployment_is_not_restarted_on_top() {
    let cluster = StandIn::new();
    let template = "*spec.template}*) grep -c kustomize= \"${0%/*}/calls\" || true ;;\n".to_owned();
    cluster.answers(&[template, prints("get pods*status", "ImagePullBackOff")]);
    cluster.make(&["deploy"]).success();
    assert!(!cluster.steps().iter().any(|step| step.starts_with("rollout restart")), "{:?}", cluster.steps());
}

#[test]
fn a_secret_that_came_too_late_for_the_kubelet_is_not_the_cause() {
    let cluster = StandIn::new();
    let late = "2026-11-23T20:00:16Z   hello-x   FailedToRetrieveImagePullSecret   Unable to retrieve some image pull secrets";
    let crash = failed_rollout("hello: CrashLoopBackOff back-off 10s", late, "hello hello-x");
    explained(&cluster, "late", &crash, "the application starts and ends again", "make logs");
    let pull = failed_rollout("hello: ErrImagePull failed", late, "hello hello-x");
    explained(&cluster, "missing", &pull, "not in namespace", "make gitlab-secret");
}

#[test]
fn hints_name_the_environment_that_failed() {
    let cluster = StandIn { sandbox: with_environments(&[]) };
    let late = "2026-11-23T20:00:16Z   hello-x   FailedToRetrieveImagePullSecret   Unable to retrieve";
    for (reasons, hint) in [
        ("hello: ErrImagePull failed", "make gitlab-secret ENV=production\n"),
        ("hello: CrashLoopBackOff back-off", "make logs ENV=production"),
        ("hello: x 401 Unauthorized", "`make deploy ENV=production`"),
        ("hello: ErrImagePull x: not found", "make gitlab-secret ENV=production"),
        ("", "make status ENV=production"),
    ] {
        cluster.answers(&failed_rollout(
            reasons,
            if reasons.is_empty() { "" } else { late },
            "hello hello-x",
        ));
        let output = cluster.make(&["deploy", "ENV=production", "YES=1"]).failure(2);
        output.says(hint);
    }
}
