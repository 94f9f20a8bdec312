//! Data from a cluster and kubectl: objects, events, texts of runtimes, the Makefile's line with
//! kubectl.

use super::{files, fuzz, quotes_no_token, shows_token, text};
use jiff::Timestamp;
use makeinfra::cluster::{Kubectl, context_of};
use makeinfra::diagnosis::{Diagnosis, DiagnosisInput, Evidence, HiddenByNamespace};
use std::path::Path;

const WORDS: [&str; 60] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "\"kind\":\"List\"",
    "\"items\":[",
    "\"kind\":\"Pod\"",
    "\"kind\":\"Event\"",
    "\"kind\":\"Secret\"",
    "\"kind\":\"Deployment\"",
    "\"kind\":\"ReplicaSet\"",
    "\"kind\":\"Job\"",
    "\"kind\":\"ServiceAccount\"",
    "\"metadata\":{\"name\":\"a\",\"namespace\":\"b\"}",
    "\"spec\":{\"containers\":[{\"name\":\"a\",\"image\":\"r.example.com/a:1\"}]}",
    "\"imagePullSecrets\":[{\"name\":\"gitlab\"}]",
    "\"status\":{\"phase\":\"Pending\"",
    "\"containerStatuses\":[{\"name\":\"a\",\"image\":\"a\",\"state\":{\"waiting\":{\"reason\":\"ImagePullBackOff\",\"message\":\"",
    "\"reason\":\"ErrImagePull\"",
    "\"reason\":\"Failed\"",
    "\"message\":\"",
    "\"note\":\"",
    "\"involvedObject\":{\"kind\":\"Pod\",\"name\":\"a\",\"namespace\":\"b\"}",
    "\"count\":2147483648",
    "\"lastTimestamp\":\"2026-01-01T00:00:00Z\"",
    "\"lastTimestamp\":\"-009999-01-01T00:00:00Z\"",
    "\"eventTime\":null",
    "\"creationTimestamp\":\"9999-12-31T23:59:59Z\"",
    "\"ownerReferences\":[{\"kind\":\"ReplicaSet\",\"name\":\"a\",\"controller\":true}]",
    "\"type\":\"kubernetes.io/dockercfg\"",
    "\"data\":{\".dockercfg\":\"eyJyIjp7ImF1dGgiOiJkVHB3In19\"}",
    "\"replicas\":-1",
    "\"deletionTimestamp\":\"x\"",
    "Failed to pull image \\\"",
    "failed to resolve reference \\\"",
    "rpc error: code = Unknown desc = ",
    "Get \\\"https://registry.gitlab.com/v2/\\\": ",
    "dial tcp: lookup ",
    " on 10.0.0.10:53: no such host",
    "(Mirrors also failed: [",
    "]): ",
    "; artifact err:",
    "://",
    "http://u:gldt-Marker_7Qx9vWk2Zq4T8@h/",
    "x509: certificate signed by unknown authority",
    "?ns=",
    "/jwt/auth?service=container_registry",
    "docker://",
    "İ",
    "K",
    "\\u001b[31m",
    "…",
    "“",
    "”",
    "proxyconnect tcp: ",
    "https",
    ": ",
];

fn diagnosis(evidence: &Evidence) -> Diagnosis {
    let now = evidence.newest().unwrap_or(Timestamp::UNIX_EPOCH);
    let known = DiagnosisInput {
        evidence,
        namespace: None,
        is_live: false,
        asked: &[],
        refused: &[],
        repository: None,
        checks: &[],
        now,
        hidden: HiddenByNamespace::default(),
    };
    known.diagnose()
}

/// Fails if any output quotes a token, moves the cursor, or is too long.
fn can_be_shown(found: &Diagnosis) {
    for finding in &found.findings {
        let texts = finding.evidence.iter().chain([&finding.message, &finding.subject]);
        for text in texts {
            assert!(!shows_token(text) && !text.contains(char::is_control), "{text:?}");
            assert!(text.chars().count() <= 2_000, "{text}");
        }
        assert!(!shows_token(&finding.hint.line(None)), "{:?}", finding.hint);
    }
}

fn recorded() -> Vec<Vec<u8>> {
    let dir = "tests/vectors/pull-failures";
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let paths = super::super::support::files_below(&top.join(dir))
        .into_iter()
        .map(|file| format!("{dir}/{file}"));
    files(&paths.collect::<Vec<_>>().iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn what_a_cluster_tells_is_diagnosed_and_shown_without_a_token() {
    fuzz("events", &WORDS, recorded(), |bytes| {
        let mut evidence = Evidence::default();
        if let Err(fault) = evidence.read(bytes) {
            quotes_no_token(fault);
        }
        can_be_shown(&diagnosis(&evidence));
        assert!(evidence.pull_secrets().count() <= bytes.len());
    });
}

/// Texts from issues.
fn runtime_texts() -> Vec<Vec<u8>> {
    let texts: serde_json::Value =
        serde_json::from_slice(&files(&["tests/vectors/pull-texts.json"])[0]).unwrap();
    texts
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|row| Some(row["text"].as_str()?.as_bytes().to_vec()))
        .collect()
}

#[test]
fn the_text_of_any_runtime_is_taken_apart_and_shown_without_a_token() {
    fuzz("runtime-text", &WORDS[36..], runtime_texts(), |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let image = text.split('"').nth(1).unwrap_or("registry.gitlab.com/group/project:1");
        let metadata = serde_json::json!({"name": "a", "namespace": "b"});
        let waiting = serde_json::json!({"reason": "ErrImagePull", "message": text});
        let pod = serde_json::json!({
            "kind": "Pod",
            "metadata": metadata,
            "spec": {"containers": [{"name": "a", "image": image}]},
            "status": {"phase": "Pending", "containerStatuses": [{"name": "a", "image": image, "state": {"waiting": waiting}}]},
        });
        let event = serde_json::json!({
            "kind": "Event",
            "metadata": metadata,
            "involvedObject": {"kind": "Pod", "name": "a", "namespace": "b"},
            "reason": "Failed",
            "message": text,
        });
        let object = if bytes.len() % 2 == 0 { pod } else { event };
        let mut evidence = Evidence::default();
        evidence.read(object.to_string().as_bytes()).unwrap();
        can_be_shown(&diagnosis(&evidence));
    });
}

#[test]
fn a_makefile_has_no_other_program_run_than_a_client_of_kubernetes() {
    let words = [
        "KUBECTL ?= kubectl",
        "KUBECTL := ",
        "export ",
        "CONTEXT := ",
        "kubectl --context a",
        "minikube kubectl --",
        "$(",
        "`",
        "'a b'",
        "\\",
        "--kubeconfig=x",
        "::=",
        " #",
        "A=b ",
        "|",
    ];
    fuzz(
        "kubectl",
        &words,
        files(&[
            "examples/hello-infra/Makefile",
            "examples/hello-infra/kubernetes/overlays/production/environment.mk",
        ]),
        |bytes| {
            let Some(text) = text(bytes) else { return };
            match Kubectl::new(None, Some(text), Path::new("/"), None) {
                Ok(kubectl) => assert!(
                    ["kubectl", "oc", "k3s", "microk8s", "minikube"].contains(&kubectl.program()),
                    "{}",
                    kubectl.program()
                ),
                Err(error) => quotes_no_token(&makeinfra::error::explain(&error)),
            }
            if let Some(context) = context_of(text) {
                assert!(!context.contains('$') && !context.is_empty());
            }
            // The user's own environment may name any program, but none that needs a shell.
            if let Err(error) = Kubectl::new(Some(text), None, Path::new("/"), None) {
                quotes_no_token(&makeinfra::error::explain(&error));
            }
        },
    );
}
