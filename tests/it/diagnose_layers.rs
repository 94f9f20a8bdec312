//! `makeinfra diagnose` and layers: a cause claims no more than the text, the pod and the Secrets
//! prove.

use super::diagnose::{evidence, found_in};
use super::support::Sandbox;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const IMAGE: &str = "registry.example.com/group/app:1";
/// The answer of Docker Hub, Harbor and plain registries, also to anonymous pulls.
const DENIED: &str = "failed to resolve reference \"registry.example.com/group/app:1\": pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed";
const REFUSED: &str =
    "failed to authorize: failed to fetch oauth token: unexpected status: 401 Unauthorized";
const MISSING: &str = "Unable to retrieve some image pull secrets (gitlab); attempting to pull the image may not succeed.";

/// A pod of `image` whose pull failed with `text`; the kubelet missed its pull secret if
/// `is_missing`.
fn failed(image: &str, text: &str, is_missing: bool) -> Value {
    let waiting = json!({"waiting": {"reason": "ErrImagePull", "message": text}});
    let status = json!({"name": "hello", "ready": false, "state": waiting});
    let events = [("FailedToRetrieveImagePullSecret", MISSING)];
    let events = if is_missing { &events[..] } else { &[] };
    let mut list = evidence(&json!({"phase": "Pending", "containerStatuses": [status]}), events);
    list["items"][0]["spec"]["containers"][0]["image"] = json!(image);
    list
}

fn with_secret(mut list: Value, namespace: &str, registry: &str, user: &str) -> Value {
    let entry = json!({"auth": STANDARD.encode(format!("{user}:a-good-password"))});
    let config = STANDARD.encode(json!({"auths": {registry: entry}}).to_string());
    list["items"].as_array_mut().unwrap().push(json!({
        "kind": "Secret", "metadata": {"name": "gitlab", "namespace": namespace},
        "type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": config},
    }));
    list
}

/// The first cause of `list`, which must be `id`.
#[track_caller]
fn diagnosed(list: &Value, id: &str) -> (String, String) {
    let found = found_in(&Sandbox::new(), list);
    let first = &found["causes"][0];
    assert_eq!(first["id"], id, "{found:#}");
    (first["message"].as_str().unwrap().to_owned(), first["hint"].as_str().unwrap().to_owned())
}

#[test]
fn a_token_is_called_valid_only_where_a_known_secret_serves_the_image() {
    let host = "registry.example.com";
    let denied = || failed(IMAGE, DENIED, false);
    let (said, _) = diagnosed(&denied(), "pull-denied");
    assert!(!said.contains("valid"), "{said}");
    diagnosed(&with_secret(denied(), "another", host, "robot"), "pull-denied");
    diagnosed(
        &with_secret(denied(), "hello", "other.example.com", "robot"),
        "registry-key-does-not-match",
    );
    let (said, hint) =
        diagnosed(&with_secret(denied(), "hello", host, "robot"), "token-of-another-project");
    assert!(said.contains("the token is valid") && !hint.contains("GitLab"), "{said} {hint}");
    let list = with_secret(denied(), "hello", host, "gitlab+deploy-token-1");
    let (said, hint) = diagnosed(&list, "token-of-another-project");
    assert!(said.contains("another project") && hint.contains("GitLab"), "{said} {hint}");
}

#[test]
fn a_pod_that_names_no_pull_secret_is_a_cause_only_if_nothing_was_sent() {
    let without = |mut list: Value| {
        list["items"][0]["spec"]["imagePullSecrets"] = Value::Null;
        list
    };
    let (said, _) = diagnosed(&without(failed(IMAGE, DENIED, false)), "no-pull-secret-named");
    assert!(said.contains("does not exist"), "{said}");
    let (said, _) = diagnosed(&without(failed(IMAGE, REFUSED, false)), "token-refused");
    assert!(said.contains("the node's own"), "{said}");
}

#[test]
fn what_a_text_says_is_told_beside_a_cause_that_does_not_explain_it() {
    let all = |list: &Value| {
        let found = found_in(&Sandbox::new(), list);
        let ids = found["causes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|cause| cause["id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    let not_found = "unexpected status from HEAD request to https://registry.example.com/v2/group/app/manifests/1: 404 Not Found";
    assert_eq!(all(&failed(IMAGE, not_found, true)), ["secret-missing", "tag-missing"]);
    assert_eq!(all(&failed(IMAGE, DENIED, true)), ["secret-missing"]);
    let expired = "failed to resolve reference \"registry.example.com/group/app:1\": denied: Your authorization token has expired. Reauthenticate and try again.";
    let damaged =
        with_secret(failed(IMAGE, expired, false), "hello", "registry.example.com", " robot");
    assert!(all(&damaged).contains(&"token-expired".to_owned()), "{:?}", all(&damaged));
    let tries = format!(
        "[rpc error: code = Unknown desc = {REFUSED}, rpc error: code = Unknown desc = received unexpected HTTP status: 500 Internal Server Error]"
    );
    assert_eq!(all(&failed(IMAGE, &tries, false)), ["token-refused", "registry-broken"]);
}

#[test]
fn a_missing_secret_explains_what_a_stranger_is_told_and_nothing_else() {
    let not_found = "unexpected status from HEAD request to https://registry.example.com/v2/group/app/manifests/1: 404 Not Found";
    diagnosed(&failed(IMAGE, DENIED, true), "secret-missing");
    diagnosed(&failed(IMAGE, not_found, true), "secret-missing");
    diagnosed(&failed(IMAGE, not_found, false), "tag-missing");
    let full = "failed to extract layer sha256:1: write /a: no space left on device: unknown";
    diagnosed(&failed(IMAGE, full, true), "node-disk-full");
    diagnosed(&failed(IMAGE, REFUSED, true), "token-refused");
}

#[test]
fn advice_is_that_of_the_registry_s_vendor() {
    let denied =
        "failed to authorize: failed to fetch oauth token: unexpected status: 403 Forbidden";
    for (image, word) in [
        ("ghcr.io/owner/app:1", "read:packages"),
        ("quay.io/owner/app:1", "Quay"),
        ("europe-docker.pkg.dev/project/app:1", "_json_key"),
        ("owner.azurecr.io/app:1", "AcrPull"),
        ("docker.io/owner/app:1", "Docker Hub"),
    ] {
        let (said, hint) = diagnosed(&failed(image, denied, false), "token-denied");
        assert!(
            hint.contains(word) && !format!("{said} {hint}").contains("GitLab"),
            "{image}: {said} {hint}"
        );
    }
    let image = "registry.gitlab.com/group/app:1";
    diagnosed(&failed(image, denied, false), "token-without-registry-scope");
}

#[test]
fn images_of_volumes_and_of_ephemeral_containers_are_pulled_too() {
    let text = "failed to resolve reference \"quay.io/group/model:1\": unauthorized: access to the requested resource is not authorized";
    let mut list = failed(IMAGE, text, false);
    list["items"][0]["spec"]["volumes"] = json!([{"name": "data"}, {"name": "model", "image": {"reference": "quay.io/group/model:1"}}]);
    let (said, _) = diagnosed(&list, "pull-denied");
    assert!(said.contains("`quay.io/group/model:1`"), "{said}");
    assert!(
        found_in(&Sandbox::new(), &list)["causes"][0]["subject"]
            .as_str()
            .unwrap()
            .ends_with("volume model")
    );

    let missing = "failed to resolve reference \"docker.io/library/tools:1\": docker.io/library/tools:1: not found";
    let ready = json!({"name": "hello", "ready": true, "state": {"running": {"startedAt": "2026-11-23T20:00:10Z"}}});
    let debug = |state: Value| {
        let status = json!({
            "phase": "Running", "containerStatuses": [ready],
            "ephemeralContainerStatuses": [{"name": "debugger", "state": state}],
        });
        let mut list = evidence(&status, &[]);
        list["items"][0]["spec"]["ephemeralContainers"] =
            json!([{"name": "debugger", "image": "tools:1"}]);
        list
    };
    let waiting = json!({"waiting": {"reason": "ErrImagePull", "message": missing}});
    let (said, hint) = diagnosed(&debug(waiting), "tag-missing");
    assert!(said.contains("`tools:1`") && !hint.contains("set-image"), "{said} {hint}");
    let ended = json!({"terminated": {"exitCode": 1, "reason": "Error"}});
    assert_eq!(found_in(&Sandbox::new(), &debug(ended))["verdict"], "fine");
}
