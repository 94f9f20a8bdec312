//! `makeinfra diagnose` and kubectl: which requests are made, what the Secret in the cluster
//! reveals, and a kubectl that fails.

use super::diagnose::evidence;
use super::stand_in::{StandIn, arm, fails, prints};
use super::support::{Output, Run, SECRET, TOKEN, USER, assert_no_token};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::fs;

const STATE: &str = "get --output=json pods,";
const SECRETS: &str = "get --output=json secret";
/// The refusal of an anonymous pull.
const ANONYMOUS: &str =
    "failed to authorize: failed to fetch anonymous token: unexpected status: 403 Forbidden";
const REFUSED: &str =
    "failed to authorize: failed to fetch oauth token: unexpected status: 401 Unauthorized";

fn diagnose(cluster: &StandIn, args: &[&str]) -> Run {
    let run = cluster.sandbox.makeinfra(&[&["diagnose"], args].concat());
    run.cwd(cluster.sandbox.work("hello-infra")).env("PATH", cluster.sandbox.own_path())
}

/// Runs it twice, as text and as JSON, and expects no token in either, or in any call.
#[track_caller]
fn diagnosed(cluster: &StandIn, args: &[&str]) -> (Output, Value) {
    let (text, json) = (
        diagnose(cluster, args).output(),
        diagnose(cluster, &[args, &["--json"]].concat()).output(),
    );
    for output in [&text, &json] {
        assert_no_token(output.stdout.as_bytes(), "stdout");
        assert_no_token(output.stderr.as_bytes(), "stderr");
        assert!(output.stderr.is_empty(), "{}", output.stderr);
    }
    assert_eq!(text.code, json.code);
    cluster.saw_no_token();
    (text, json.json())
}

/// Expects this first cause with this exit code, and returns it.
#[track_caller]
fn cause(cluster: &StandIn, id: &str, code: i32) -> Value {
    let (text, found) = diagnosed(cluster, &[]);
    assert_eq!(found["causes"][0]["id"], id, "{found:#}");
    assert_eq!(text.code, Some(code), "{}", text.stdout);
    let line = text
        .stdout
        .lines()
        .find(|line| line.starts_with("cause: ") || line.starts_with("unknown: "));
    assert!(line.is_some_and(|line| line.contains(&format!("[{id}]"))), "{}", text.stdout);
    found["causes"][0].clone()
}

fn field<'v>(finding: &'v Value, name: &str) -> &'v str {
    finding[name].as_str().unwrap()
}

/// The state of a namespace whose only pod waits for its image.
fn waits(message: &str) -> Value {
    let waiting = json!({"waiting": {"reason": "ErrImagePull", "message": message}});
    let status = json!({"name": "hello", "ready": false, "state": waiting, "lastState": {}});
    state(evidence(&json!({"phase": "Pending", "containerStatuses": [status]}), &[]))
}

/// The state of a namespace whose only pod is running.
fn runs() -> Value {
    let running = json!({"running": {"startedAt": "2026-11-23T20:00:10Z"}});
    let status = json!({"name": "hello", "ready": true, "state": running, "lastState": {}});
    state(evidence(&json!({"phase": "Running", "containerStatuses": [status]}), &[]))
}

/// `list` with what every namespace has, and the image of the tests.
fn state(mut list: Value) -> Value {
    list["items"][0]["spec"]["containers"][0]["image"] = json!(super::support::IMAGE);
    let items = list["items"].as_array_mut().unwrap();
    let metadata = |name: &str| json!({"name": name, "namespace": "hello"});
    items.push(json!({"kind": "ServiceAccount", "metadata": metadata("default")}));
    items.push(
        json!({"kind": "Deployment", "metadata": metadata("hello"), "spec": {"replicas": 2}}),
    );
    list
}

/// The Secret in the cluster's format.
fn secret(kind: &str, config: &Value) -> Value {
    let key = format!(".{kind}");
    json!({
        "kind": "Secret", "metadata": {"name": "gitlab", "namespace": "hello"}, "type": format!("kubernetes.io/{kind}"),
        "data": {key: STANDARD.encode(config.to_string())},
    })
}

fn entry(token: &str) -> Value {
    json!({"auth": STANDARD.encode(format!("{USER}:{token}"))})
}

/// The Secret of the repository's file.
fn of_file(cluster: &StandIn) -> Value {
    let text = fs::read_to_string(cluster.sandbox.hello(SECRET)).unwrap();
    let data = text.lines().find_map(|line| line.trim().strip_prefix(".dockercfg: ")).unwrap();
    let mut secret = secret("dockercfg", &json!({}));
    secret["data"][".dockercfg"] = json!(data.trim_matches('"'));
    secret
}

fn answers(cluster: &StandIn, state: &Value, secret: &Value) {
    let secret = if secret.is_null() { String::new() } else { secret.to_string() };
    cluster.answers(&[prints(STATE, &state.to_string()), prints(SECRETS, &secret)]);
}

#[test]
fn asks_twice_and_changes_nothing() {
    let cluster = StandIn::new();
    answers(&cluster, &runs(), &of_file(&cluster));
    let output = diagnose(&cluster, &["--context", "staging"]).success();
    assert!(
        output.stdout.contains("namespace hello") && output.stdout.contains("ok: 1 pod"),
        "{}",
        output.stdout
    );
    cluster.saw_no_token();
    let calls: Vec<_> = cluster.calls().iter().map(|call| call.join(" ")).collect();
    let options = "--context=staging --request-timeout=10s";
    let expected = [
        format!(
            "{options} --namespace=hello get --output=json pods,events,replicasets,deployments,serviceaccounts"
        ),
        format!("{options} config view --minify --output=jsonpath={{.current-context}}"),
        format!("{options} --namespace=hello get --output=json secret --ignore-not-found gitlab"),
    ];
    assert_eq!(calls, expected);
}

#[test]
fn jobs_are_asked_for_where_there_may_be_some() {
    let cluster = StandIn::new();
    answers(&cluster, &runs(), &of_file(&cluster));
    let job = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate, namespace: hello}\nspec: {template: {spec: {containers: [{name: a, image: a:1}]}}}\n";
    cluster.sandbox.write("work/hello-infra/kubernetes/base/migrate-job.yaml", job);
    let kustomization = cluster.sandbox.work("hello-infra/kubernetes/base/kustomization.yaml");
    let text = fs::read_to_string(&kustomization).unwrap();
    fs::write(&kustomization, text.replace("resources:\n", "resources:\n  - migrate-job.yaml\n"))
        .unwrap();
    diagnose(&cluster, &[]).output();
    let asked =
        |kinds: &str| cluster.calls().iter().any(|call| call.iter().any(|word| word == kinds));
    assert!(
        asked("pods,events,replicasets,deployments,serviceaccounts,jobs,cronjobs"),
        "{:?}",
        cluster.calls()
    );
}

#[test]
fn kubectl_is_the_one_of_the_variable_and_of_the_makefile() {
    let cluster = StandIn::new();
    answers(&cluster, &runs(), &of_file(&cluster));
    let first = |cluster: &StandIn| cluster.calls()[0].clone();
    diagnose(&cluster, &[]).env("KUBECTL", "kubectl --as 'a b'").success();
    assert_eq!(first(&cluster)[..2], ["--as", "a b"]);
    let makefile = cluster.sandbox.hello("Makefile");
    let text = fs::read_to_string(&makefile).unwrap();
    fs::write(&makefile, text.replace("?= kubectl", "?= kubectl --as=ci --context staging # who"))
        .unwrap();
    answers(&cluster, &runs(), &of_file(&cluster));
    diagnose(&cluster, &[]).success();
    assert_eq!(first(&cluster)[..3], ["--as=ci", "--context", "staging"]);
    // The user's own variable may contain variables and paths; a relative path starts at the
    // Makefile.
    answers(&cluster, &runs(), &of_file(&cluster));
    diagnose(&cluster, &[]).env("KUBECTL", "A=1 ../../bin/kubectl").success();
    let environment = fs::read_to_string(cluster.sandbox.path("bin/environment")).unwrap();
    assert!(environment.lines().any(|line| line == "A=1"));
    // An untrusted Makefile can only select from what the user has.
    for value in [
        "../../bin/kubectl",
        "sh -c 'touch pwned'",
        "KUBECONFIG=x kubectl",
        "kubectl --kubeconfig=x",
        "kubectl -n",
    ] {
        fs::write(&makefile, text.replace("?= kubectl", &format!("?= {value}"))).unwrap();
        let output = diagnose(&cluster, &[]).failure(1);
        output
            .says("did not run `KUBECTL` from the Makefile")
            .says("hint: ")
            .says("KUBECTL=kubectl makeinfra diagnose");
        diagnose(&cluster, &[]).env("KUBECTL", "kubectl").success();
    }
    // A value that only a shell could interpret is not run.
    for value in ["kubectl; touch pwned", "$(touch pwned)", "kubectl | tee pwned"] {
        let output = diagnose(&cluster, &[]).env("KUBECTL", value).failure(1);
        output.says("cannot read `KUBECTL`").says("hint: KUBECTL=");
    }
    assert!(!cluster.sandbox.hello("pwned").exists());
}

#[test]
fn the_secret_in_the_cluster_decides_before_the_file() {
    let cluster = StandIn::new();
    let registry = "registry.gitlab.com";
    let outdated = "make gitlab-secret";
    // Flawed in the cluster only: deploying the file fixes it.
    for (config, word) in [
        (json!({"auths": {registry: entry(TOKEN)}}), "kubectl 1.9.0"),
        (json!({"gitlab.com": entry(TOKEN)}), "no registry key matches"),
        (json!({registry: {"identitytoken": TOKEN}}), "identity token"),
        (json!({registry: {}}), "empty"),
    ] {
        answers(&cluster, &waits(ANONYMOUS), &secret("dockercfg", &config));
        let found = cause(&cluster, "secret-outdated", 1);
        assert!(field(&found, "message").contains(word), "{found:#}");
        assert!(field(&found, "hint").contains(outdated), "{found:#}");
    }
    // A token that was only rotated in the file.
    answers(
        &cluster,
        &waits(REFUSED),
        &secret("dockercfg", &json!({registry: entry("gldt-old-one-1")})),
    );
    assert!(field(&cause(&cluster, "secret-outdated", 1), "hint").contains(outdated));
    // The runtime does not say whether credentials were sent.
    let denied = "Requesting bearer token: invalid status code from registry 403 (Forbidden)";
    answers(
        &cluster,
        &waits(denied),
        &secret("dockercfg", &json!({registry: entry("gldt-old-one-1")})),
    );
    cause(&cluster, "secret-outdated", 1);
    answers(&cluster, &waits(denied), &of_file(&cluster));
    assert!(field(&cause(&cluster, "pull-denied", 1), "hint").contains("makeinfra check --online"));
    // The same in both.
    answers(&cluster, &waits(REFUSED), &of_file(&cluster));
    assert!(field(&cause(&cluster, "token-refused", 1), "hint").contains("new deploy token"));
    answers(&cluster, &waits(ANONYMOUS), &of_file(&cluster));
    assert!(field(&cause(&cluster, "secret-changed-since", 1), "hint").contains("make restart"));
    // Missing, or something else.
    answers(&cluster, &waits(ANONYMOUS), &Value::Null);
    assert!(field(&cause(&cluster, "secret-missing", 1), "hint").contains(outdated));
    let other = json!({"kind": "Secret", "metadata": {"name": "gitlab", "namespace": "hello"}, "type": "Opaque", "data": {}});
    answers(&cluster, &waits(ANONYMOUS), &other);
    cause(&cluster, "wrong-type", 1);
}

#[test]
fn a_secret_that_is_flawed_in_both_is_mended_in_the_file() {
    let cluster = StandIn::new();
    let config = json!({"auths": {"registry.gitlab.com": entry(TOKEN)}});
    let text = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: gitlab, namespace: hello}}\ntype: kubernetes.io/dockercfg\n\
         data:\n  .dockercfg: {}\n",
        STANDARD.encode(config.to_string())
    );
    fs::write(cluster.sandbox.hello(SECRET), text).unwrap();
    answers(&cluster, &waits(ANONYMOUS), &secret("dockercfg", &config));
    let found = cause(&cluster, "wrong-wrapping", 1);
    assert_eq!(found["check"], "pull-secret-wrapping");
    assert!(field(&found, "hint").contains("makeinfra rotate && make deploy"), "{found:#}");
    assert!(field(&found, "message").contains("kubectl 1.9.0"), "{found:#}");
}

#[test]
fn pods_that_run_are_fine_and_an_older_secret_is_worth_a_line() {
    let cluster = StandIn::new();
    answers(&cluster, &runs(), &of_file(&cluster));
    let (text, found) = diagnosed(&cluster, &[]);
    assert_eq!(
        (text.code, &found["verdict"], &found["causes"]),
        (Some(0), &json!("fine"), &json!([]))
    );
    for (there, word) in [
        (
            secret("dockercfg", &json!({"registry.gitlab.com": entry("gldt-old-one-1")})),
            "different credentials",
        ),
        (secret("dockerconfigjson", &json!({"auths": {}})), "a different type"),
        (Value::Null, "does not exist in the cluster"),
    ] {
        answers(&cluster, &runs(), &there);
        let (text, _) = diagnosed(&cluster, &[]);
        assert_eq!(text.code, Some(0));
        assert!(
            text.stdout.contains(word) && text.stdout.contains("make gitlab-secret"),
            "{}",
            text.stdout
        );
    }
}

#[test]
fn pods_of_other_applications_are_left_alone() {
    let cluster = StandIn::new();
    let mut list = waits(ANONYMOUS);
    let mut other = list["items"][0].clone();
    other["metadata"]["name"] = json!("hello-world-7d9d9b64f8-aaaaa");
    other["metadata"]["ownerReferences"][0]["name"] = json!("hello-world-7d9d9b64f8");
    list["items"][0] = runs()["items"][0].clone();
    list["items"].as_array_mut().unwrap().push(other);
    answers(&cluster, &list, &of_file(&cluster));
    let (text, _) = diagnosed(&cluster, &[]);
    assert_eq!(text.code, Some(0), "{}", text.stdout);
}

#[test]
fn what_an_older_rollout_met_is_over() {
    let cluster = StandIn::new();
    let mut list = waits(REFUSED);
    let mut older = waits(ANONYMOUS)["items"][0].clone();
    older["metadata"]["name"] = json!("hello-55d8b4f5c7-aaaaa");
    older["metadata"]["ownerReferences"][0]["name"] = json!("hello-55d8b4f5c7");
    older["spec"]["imagePullSecrets"] = json!([]);
    let set = |name: &str, revision: &str| {
        let annotations = json!({"deployment.kubernetes.io/revision": revision});
        let metadata = json!({"name": name, "namespace": "hello", "annotations": annotations});
        json!({"kind": "ReplicaSet", "metadata": metadata, "spec": {"replicas": 1}})
    };
    let items = list["items"].as_array_mut().unwrap();
    items.extend([older, set("hello-55d8b4f5c7", "9"), set("hello-7d9d9b64f8", "10")]);
    answers(&cluster, &list, &of_file(&cluster));
    cause(&cluster, "token-refused", 1);
    // After a rollback, the older one counts as newer.
    let set = list["items"].as_array_mut().unwrap().iter_mut();
    for set in set.filter(|item| {
        item["kind"] == "ReplicaSet" && item["metadata"]["name"] == "hello-55d8b4f5c7"
    }) {
        set["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = json!("11");
    }
    answers(&cluster, &list, &of_file(&cluster));
    cause(&cluster, "no-pull-secret-named", 1);
}

#[test]
fn an_empty_namespace_is_told_from_a_missing_one() {
    let cluster = StandIn::new();
    answers(&cluster, &json!({"kind": "List", "items": []}), &Value::Null);
    cause(&cluster, "namespace-missing", 1);
    let account =
        json!({"kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "hello"}});
    answers(&cluster, &json!({"kind": "List", "items": [account]}), &Value::Null);
    assert_eq!(field(&cause(&cluster, "not-deployed", 1), "hint"), "make deploy");
}

#[test]
fn a_cluster_that_gives_no_answer_is_a_cause_of_its_own() {
    let cluster = StandIn::new();
    for (said, id) in [
        (
            "The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?",
            "cluster-unreachable",
        ),
        (
            "Error in configuration: context was not found for specified context: nope",
            "context-missing",
        ),
        ("error: You must be logged in to the server (Unauthorized)", "login-refused"),
        (
            "Error from server (Forbidden): pods is forbidden: User \"a\" cannot list resource \"pods\" in API group \"\" \
             in the namespace \"hello\"",
            "not-allowed",
        ),
        (&format!("error: \u{1b}[31mwhat {TOKEN} is"), "kubectl-failed"),
    ] {
        cluster.answers(&[fails(STATE, said)]);
        let found = cause(&cluster, id, 3);
        assert!(
            !field(&found, "hint").is_empty() && !found.to_string().contains('\u{1b}'),
            "{found:#}"
        );
    }
    let output = diagnose(&cluster, &[]).env("KUBECTL", "no-such-kubectl").output();
    assert_eq!(output.code, Some(3));
    assert!(output.stdout.contains("no-such-kubectl: cannot run kubectl"), "{}", output.stdout);
}

#[test]
fn what_is_forbidden_does_not_spoil_the_rest() {
    let cluster = StandIn::new();
    let forbidden = |kind: &str| {
        format!(
            "Error from server (Forbidden): {kind} is forbidden: User \"a\" cannot list resource \"{kind}\" in API group \"\""
        )
    };
    let state = arm(
        STATE,
        &waits(REFUSED).to_string(),
        &format!("; echo '{}' >&2; exit 1", forbidden("events")),
    );
    cluster.answers(&[state, fails(SECRETS, &forbidden("secrets"))]);
    cause(&cluster, "token-refused", 1);
    let (text, _) = diagnosed(&cluster, &[]);
    assert!(
        text.stdout.contains("this user is not allowed to read events, secrets"),
        "{}",
        text.stdout
    );
}

#[test]
fn no_answer_of_kubectl_makes_it_panic_or_tell_a_token() {
    let cluster = StandIn::new();
    let half = &of_file(&cluster).to_string()[..300];
    for state in [
        prints(STATE, "not JSON"),
        prints(STATE, half),
        prints(STATE, "{\"kind\": 7}"),
        prints(STATE, ""),
        format!("*\"{STATE}\"*) printf '\\377\\376{{' ;;\n"),
        format!("*\"{STATE}\"*) yes {TOKEN} | head -c 80000000 ;;\n"),
        arm(STATE, TOKEN, ">&2; kill -9 $$"),
    ] {
        cluster.answers(&[state]);
        let (text, found) = diagnosed(&cluster, &[]);
        assert!(matches!(text.code, Some(1 | 3)), "{}", text.stdout);
        assert!(!found["causes"][0]["hint"].as_str().unwrap().is_empty());
    }
    // An unreadable Secret counts as unknown.
    for there in ["not JSON", half, "{\"kind\": 7}"] {
        cluster.answers(&[prints(STATE, &waits(REFUSED).to_string()), prints(SECRETS, there)]);
        cause(&cluster, "token-refused", 1);
    }
}

#[test]
fn a_token_in_any_text_of_the_cluster_is_masked() {
    let cluster = StandIn::new();
    let auth = STANDARD.encode(format!("{USER}:{TOKEN}"));
    let secret = of_file(&cluster);
    let data = secret["data"][".dockercfg"].as_str().unwrap();
    let text = format!(
        "{REFUSED} \u{1b}]0;title\u{7} {TOKEN} Basic {auth} {data} https://{USER}:{TOKEN}@host/"
    );
    for value in [TOKEN.to_owned(), format!("{TOKEN} {auth}\u{1b}[2J")] {
        let mut list = waits(&text);
        for place in [
            "/items/0/metadata/name",
            "/items/0/spec/containers/0/image",
            "/items/0/spec/containers/0/name",
            "/items/0/spec/imagePullSecrets/0/name",
            "/items/0/status/containerStatuses/0/name",
        ] {
            *list.pointer_mut(place).unwrap() = json!(value);
            answers(&cluster, &list, &secret);
            let (text, found) = diagnosed(&cluster, &[]);
            assert!(text.code == Some(1) && !text.stdout.contains('\u{1b}'), "{}", text.stdout);
            assert!(
                found["causes"][0]["evidence"][0].as_str().unwrap().contains("***"),
                "{found:#}"
            );
        }
    }
}
