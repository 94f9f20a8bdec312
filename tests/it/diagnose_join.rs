//! How `makeinfra diagnose` combines its sources: a Secret is only a cause of what it can explain.

use super::diagnose::{evidence, project};
use super::support::{Sandbox, TOKEN, USER};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const OWN: &str = "registry.gitlab.com/group/project:1.0.0";
const OTHER_TOKEN: &str = "gldt-Another_7Qx9vWk2ab";

/// A pod of `image` with these pull secrets, whose pull failed with `text`.
fn failed(image: &str, named: &[&str], text: &str) -> Value {
    let waiting = json!({"waiting": {"reason": "ErrImagePull", "message": text}});
    let status = json!({"name": "hello", "ready": false, "state": waiting});
    let mut list = evidence(&json!({"phase": "Pending", "containerStatuses": [status]}), &[]);
    let spec = &mut list["items"][0]["spec"];
    spec["containers"][0]["image"] = json!(image);
    spec["imagePullSecrets"] = named.iter().map(|name| json!({"name": name})).collect();
    list
}

/// The error for a reference that containerd could not resolve.
fn unresolved(image: &str, why: &str) -> String {
    format!(
        "rpc error: code = Unknown desc = failed to pull and unpack image \"{image}\": failed to resolve reference \"{image}\": {why}"
    )
}

/// `list` with the cluster's Secret `gitlab`, which has `token` for `registry`.
fn with_secret(mut list: Value, registry: &str, token: &str) -> Value {
    let entry = json!({"username": USER, "password": token, "auth": STANDARD.encode(format!("{USER}:{token}"))});
    let config = STANDARD.encode(json!({registry: entry}).to_string());
    list["items"].as_array_mut().unwrap().push(json!({
        "kind": "Secret", "metadata": {"name": "gitlab", "namespace": "hello"},
        "type": "kubernetes.io/dockercfg", "data": {".dockercfg": config},
    }));
    list
}

/// The causes of `list`, the first of which must be `id`.
#[track_caller]
fn diagnosed(sandbox: &Sandbox, dir: &str, list: &Value, id: &str) -> Vec<Value> {
    let run = sandbox.makeinfra(&["diagnose", "--events", "-", "--json"]).stdin(list.to_string());
    let found = run.cwd(sandbox.work(dir)).output().json();
    assert_eq!(found["causes"][0]["id"], id, "{found:#}");
    found["causes"].as_array().unwrap().clone()
}

#[test]
fn a_secret_that_changed_explains_only_a_refusal_of_an_image_that_it_serves() {
    let sandbox = project();
    let changed = |image: &str, why: &str| {
        with_secret(
            failed(image, &["gitlab"], &unresolved(image, why)),
            "registry.gitlab.com",
            OTHER_TOKEN,
        )
    };
    let denied = "pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed";
    let status = |host: &str, path: &str, status: &str| {
        format!("unexpected status from HEAD request to https://{host}/v2/{path}: {status}")
    };
    let (redis, bitnami) = ("docker.io/library/redis:7", "docker.io/bitnami/redis:7.2");
    let limited =
        status("registry-1.docker.io", "library/redis/manifests/7", "429 Too Many Requests");
    let strange = status("registry.gitlab.com", "group/project/manifests/1.0.0", "400 Bad Request");
    for (image, why, id) in [
        (OWN, format!("{OWN}: not found"), "tag-missing"),
        (redis, limited, "rate-limited"),
        (bitnami, format!("{bitnami}: not found"), "tag-missing"),
        (OWN, strange, "pull-failed"),
    ] {
        let causes = diagnosed(&sandbox, "hello-infra", &changed(image, &why), id);
        let also = causes
            .iter()
            .skip(1)
            .any(|cause| cause["message"].as_str().unwrap().contains("different credentials"));
        assert!(also, "{causes:#?}");
    }
    diagnosed(&sandbox, "hello-infra", &changed(OWN, denied), "secret-outdated");
}

#[test]
fn one_missing_secret_of_several_explains_only_what_no_other_could_have_opened() {
    let sandbox = project();
    let missing = |image: &str, why: &str, names: &str| {
        let mut list = failed(image, &["gitlab", "old"], &unresolved(image, why));
        let text = format!(
            "Unable to retrieve some image pull secrets ({names}); attempting to pull the image may not succeed."
        );
        list["items"].as_array_mut().unwrap().push(json!({
            "kind": "Event", "reason": "FailedToRetrieveImagePullSecret", "message": text,
            "involvedObject": {"kind": "Pod", "name": "hello-7d9d9b64f8-xfkqs", "namespace": "hello"},
            "lastTimestamp": "2026-11-23T20:11:00Z",
        }));
        list
    };
    let not_found = format!("{OWN}: not found");
    let strange = "unexpected status from HEAD request to https://registry.gitlab.com/v2/group/project/manifests/1.0.0: 400 Bad Request";
    let limited = "unexpected status from HEAD request to https://registry-1.docker.io/v2/library/redis/manifests/7: 429 Too Many Requests";
    for (image, why, id) in [
        (OWN, &*not_found, "tag-missing"),
        (OWN, strange, "pull-failed"),
        ("docker.io/library/redis:7", limited, "rate-limited"),
    ] {
        for list in [
            missing(image, why, "old"),
            with_secret(missing(image, why, "old"), "registry.gitlab.com", OTHER_TOKEN),
        ] {
            let causes = diagnosed(&sandbox, "hello-infra", &list, id);
            assert!(
                causes.iter().any(|cause| cause["id"] == "further-secret-missing"),
                "{causes:#?}"
            );
        }
    }
    let all = |why| missing(OWN, why, "gitlab, old");
    diagnosed(&sandbox, "hello-infra", &all(&not_found), "secret-missing");
    // The existing one is for another registry.
    diagnosed(
        &sandbox,
        "",
        &with_secret(missing(OWN, &not_found, "old"), "ghcr.io", OTHER_TOKEN),
        "secret-missing",
    );
    // The content of the existing one is unknown.
    diagnosed(&sandbox, "", &missing(OWN, &not_found, "old"), "tag-missing");
}

#[test]
fn a_bare_403_of_gitlab_s_token_service_may_be_a_ban() {
    let sandbox = Sandbox::new();
    let why = "failed to authorize: failed to fetch oauth token: unexpected status from GET request to https://gitlab.com/jwt/auth?scope=repository%3Agroup%2Faccess-denied%3Apull&service=container_registry: 403 Forbidden";
    let said = |image: &str, why: &str| {
        let list = failed(image, &["gitlab"], &unresolved(image, why));
        let cause = diagnosed(&sandbox, "", &list, "token-without-registry-scope").swap_remove(0);
        (cause["message"].as_str().unwrap().to_owned(), cause["hint"].as_str().unwrap().to_owned())
    };
    for image in [OWN, "registry.gitlab.com/group/access-denied:1"] {
        let (message, hint) = said(image, why);
        assert!(message.contains("read_registry") && message.contains("banned"), "{message}");
        assert!(
            hint.starts_with("makeinfra check --online") && hint.contains("wait an hour"),
            "{hint}"
        );
    }
    let (message, hint) = said(OWN, &format!("{why}: denied: access forbidden"));
    assert!(
        !message.contains("banned") && hint.starts_with("create a deploy token"),
        "{message} {hint}"
    );
}

#[test]
fn the_advice_for_a_registry_beside_the_project_s_can_be_typed() {
    let sandbox = project();
    let image = "ghcr.io/acme/side:1";
    let why = "failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://ghcr.io/token?scope=repository%3Aacme%2Fside%3Apull&service=ghcr.io: 401 Unauthorized";
    let list = with_secret(
        failed(image, &["gitlab"], &unresolved(image, why)),
        "registry.gitlab.com",
        TOKEN,
    );
    let hint = |dir| {
        let cause = diagnosed(&sandbox, dir, &list, "registry-key-does-not-match").swap_remove(0);
        cause["hint"].as_str().unwrap().to_owned()
    };
    assert_eq!(hint("hello-infra"), "makeinfra rotate --add-registry ghcr.io && make deploy");
    let token = sandbox.path("token").display().to_string();
    let rotate =
        ["rotate", "--add-registry", "ghcr.io", "--token-username", USER, "--token-file", &token];
    sandbox.makeinfra(&rotate).cwd(sandbox.work("hello-infra")).success();
    let open = hint("");
    let typed = "makeinfra rotate --registry ghcr.io, if the project's own image is there, \
                 otherwise makeinfra rotate --add-registry ghcr.io && make deploy";
    assert!(open.starts_with(typed), "{open}");
}

#[test]
fn what_docker_hub_denies_may_be_misspelled() {
    let sandbox = project();
    let denied = "pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed";
    let list = |image: &str, named: &[&str]| {
        with_secret(failed(image, named, &unresolved(image, denied)), "registry.gitlab.com", TOKEN)
    };
    for named in [&["gitlab"][..], &[]] {
        let official = "docker.io/library/ngnix:1.27";
        let cause = diagnosed(&sandbox, "hello-infra", &list(official, named), "pull-denied")
            .swap_remove(0);
        let (message, hint) = (cause["message"].as_str().unwrap(), cause["hint"].as_str().unwrap());
        assert!(
            message.contains("`docker.io/library/ngnix:1.27`: official images are public"),
            "{message}"
        );
        assert!(
            hint.starts_with("correct the image name") && hint.contains("make deploy"),
            "{hint}"
        );
    }
    let private = list("docker.io/acme/app:1", &["gitlab"]);
    let cause =
        diagnosed(&sandbox, "hello-infra", &private, "registry-key-does-not-match").swap_remove(0);
    assert!(
        cause["message"].as_str().unwrap().ends_with(", or the image does not exist"),
        "{cause:#}"
    );
}

#[test]
fn where_the_repository_is_fine_its_secret_is_to_be_applied() {
    let sandbox = project();
    let why = "failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://gitlab.com/jwt/auth?scope=repository%3Agroup%2Fproject%3Apull&service=container_registry: 403 Forbidden";
    let list = failed(OWN, &["gitlab"], &unresolved(OWN, why));
    for (dir, start) in
        [("hello-infra", "make gitlab-secret, then: make restart"), ("", "makeinfra check")]
    {
        let cause = diagnosed(&sandbox, dir, &list, "pulled-anonymously").swap_remove(0);
        assert!(cause["hint"].as_str().unwrap().starts_with(start), "{cause:#}");
    }
}

#[test]
fn a_token_is_rotated_where_makeinfra_knows_the_repository_and_adopted_first_elsewhere() {
    let sandbox = Sandbox::new();
    sandbox.run("git", &["init", "-q", "own"]).success();
    let pod = "kind: Deployment\napiVersion: apps/v1\nmetadata: {name: hello}\nspec: {template: {spec: {imagePullSecrets: \
               [{name: gitlab}], containers: [{name: a, image: 'registry.gitlab.com/group/project:1.0.0'}]}}}\n";
    sandbox.write("work/own/kubernetes/app.yaml", pod);
    let denied = unresolved(
        OWN,
        "failed to authorize: failed to fetch oauth token: unexpected status from GET request to https://gitlab.com/jwt/auth?service=container_registry: 401 Unauthorized",
    );
    let list = with_secret(failed(OWN, &["gitlab"], &denied), "registry.gitlab.com", TOKEN);
    let hint = |dir: &str| {
        let run =
            sandbox.makeinfra(&["diagnose", "--events", "-", "--json"]).stdin(list.to_string());
        let found = run.cwd(sandbox.work(dir)).output().json();
        found["causes"][0]["hint"].as_str().unwrap().to_owned()
    };
    let own = hint("own");
    assert!(
        own.starts_with("makeinfra adopt, then: ") && own.contains("makeinfra rotate"),
        "{own}"
    );
    let outside = hint("");
    assert!(outside.contains("makeinfra rotate") && !outside.contains("adopt"), "{outside}");
    // The file that a rotation uses even without a record.
    sandbox.write("work/own/secrets/kubernetes/gitlab.secret.yaml", "kind: Secret\n");
    assert!(!hint("own").contains("adopt"), "{}", hint("own"));
}
