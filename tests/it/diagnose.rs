//! `makeinfra diagnose` on saved evidence: 15 cases recorded on a cluster, and texts of other
//! runtimes.

use super::examples::repo;
use super::registry_bed::Bed;
use super::support::{Output, SECRET, Sandbox, TOKEN, USER, assert_no_token};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// The image of the recorded cases.
const PROJECT: &str = "registry.gitlab.com/group/project:1.0.0";
const DEPLOYMENT: &str = "kubernetes/base/deployment.yaml";
const KUSTOMIZATION: &str = "kubernetes/overlays/production/kustomization.yaml";

/// A recorded case: its file, the cause with its repository and without, and a word of the sentence
/// and of the hint.
pub type Row = (&'static str, &'static str, &'static str, &'static str, &'static str);

pub const CASES: [Row; 15] = [
    ("auth-malformed", "auth-malformed", "auth-malformed", "`auth`", "makeinfra rotate"),
    (
        "auths-wrapper-under-dockercfg",
        "wrong-wrapping",
        "pulled-anonymously",
        "kubectl 1.9.0",
        "makeinfra rotate && make deploy",
    ),
    (
        "identity-token-only",
        "no-usable-credentials",
        "pulled-anonymously",
        "identity token",
        "makeinfra rotate",
    ),
    ("invalid-image-name", "invalid-image-name", "invalid-image-name", "Group", "make deploy"),
    (
        "line-break-in-password",
        "credentials-malformed",
        "token-refused",
        "line break",
        "makeinfra rotate",
    ),
    (
        "no-pull-secret-named",
        "no-pull-secret-named",
        "no-pull-secret-named",
        "no pull secret",
        "imagePullSecrets",
    ),
    (
        "no-wrapper-under-dockerconfigjson",
        "wrong-wrapping",
        "pulled-anonymously",
        "no `auths`",
        "makeinfra rotate && make deploy",
    ),
    ("pulled", "", "", "", ""),
    (
        "registry-key-does-not-match",
        "registry-key-does-not-match",
        "pulled-anonymously",
        "`gitlab.com`",
        "makeinfra rotate --registry registry.gitlab.com && make deploy",
    ),
    (
        "secret-in-another-namespace",
        "secret-in-another-namespace",
        "secret-missing",
        "`other`",
        "write `namespace: hello`: ${EDITOR:-vi} secrets/",
    ),
    (
        "secret-missing",
        "secret-missing",
        "secret-missing",
        "not exist in namespace `hello`",
        "make gitlab-secret",
    ),
    ("tag-missing", "tag-missing", "tag-missing", "project:9.9.9", "make set-image"),
    (
        "token-of-another-project",
        "token-of-another-project",
        "pull-denied",
        "another project",
        "token",
    ),
    (
        "token-refused",
        "token-refused",
        "token-refused",
        "revoked",
        "makeinfra rotate --commit && make deploy",
    ),
    (
        "token-without-registry-scope",
        "token-without-registry-scope",
        "token-without-registry-scope",
        "read_registry",
        "read_registry",
    ),
];

/// A repository for the image of the recorded cases, without problems.
pub fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    let token = sandbox.path("token").display().to_string();
    let args =
        ["new", "hello", "--image", PROJECT, "--token-username", USER, "--token-file", &token];
    sandbox.makeinfra(&args).success();
    sandbox
}

/// The repository that caused the case `name`.
pub fn broken(name: &str) -> Sandbox {
    let sandbox = project();
    let auth = |pair: &str| json!({"auth": STANDARD.encode(pair)});
    let good = auth(&format!("{USER}:{TOKEN}"));
    let edit = |file: &str, from: &str, to: &str| {
        let text = fs::read_to_string(sandbox.hello(file)).unwrap();
        assert!(text.contains(from), "no `{from}` in {text}");
        fs::write(sandbox.hello(file), text.replace(from, to)).unwrap();
    };
    let secret = |kind: &str, config: Value| write_secret(&sandbox, kind, &config);
    match name {
        "auth-malformed" => secret("dockercfg", json!({"registry.gitlab.com": {"auth": "%%%"}})),
        "auths-wrapper-under-dockercfg" => {
            secret("dockercfg", json!({"auths": {"registry.gitlab.com": good}}));
        }
        "identity-token-only" => {
            secret("dockercfg", json!({"registry.gitlab.com": {"identitytoken": TOKEN}}));
        }
        "invalid-image-name" => {
            edit(
                KUSTOMIZATION,
                "newTag:",
                "newName: registry.gitlab.com/Group/project\n    newTag:",
            );
        }
        "line-break-in-password" => {
            secret("dockercfg", json!({"registry.gitlab.com": auth(&format!("{USER}:{TOKEN}\n"))}));
        }
        "no-pull-secret-named" => {
            edit(DEPLOYMENT, "      imagePullSecrets:\n        - name: gitlab\n", "");
        }
        "no-wrapper-under-dockerconfigjson" => {
            secret("dockerconfigjson", json!({"registry.gitlab.com": good}));
        }
        "registry-key-does-not-match" => secret("dockercfg", json!({"gitlab.com": good})),
        "secret-in-another-namespace" => {
            edit(SECRET, "metadata:\n", "metadata:\n  namespace: other\n");
            edit(KUSTOMIZATION, "  - ../../../secrets/kubernetes\n", "");
        }
        "tag-missing" => edit(KUSTOMIZATION, "newTag: \"1.0.0\"", "newTag: \"9.9.9\""),
        _ => {}
    }
    sandbox
}

fn write_secret(sandbox: &Sandbox, kind: &str, config: &Value) {
    let data = STANDARD.encode(config.to_string());
    let text = format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: gitlab\n  namespace: hello\n\
         type: kubernetes.io/{kind}\ndata:\n  .{kind}: {data}\n"
    );
    fs::write(sandbox.hello(SECRET), text).unwrap();
}

pub fn recorded(name: &str) -> String {
    repo("tests/vectors/pull-failures").join(format!("{name}.json")).display().to_string()
}

/// Runs `diagnose --json` on the evidence in `file`, and expects no token in the output.
fn diagnose(sandbox: &Sandbox, dir: &Path, file: &str) -> (Output, Value) {
    let plain = sandbox.makeinfra(&["diagnose", "--events", file]).cwd(dir).output();
    let output = sandbox.makeinfra(&["diagnose", "--events", file, "--json"]).cwd(dir).output();
    for output in [&plain, &output] {
        assert_no_token(output.stdout.as_bytes(), "stdout");
        assert_no_token(output.stderr.as_bytes(), "stderr");
    }
    assert_eq!(plain.code, output.code);
    let json = output.json();
    (plain, json)
}

/// The id of the first cause; empty if there is none.
fn first(found: &Value) -> &str {
    match found["verdict"].as_str().unwrap() {
        "fine" => "",
        _ => found["causes"][0]["id"].as_str().unwrap(),
    }
}

#[test]
fn every_recorded_case_is_named_with_the_repository_that_caused_it() {
    for (name, cause, _, sentence, hint) in CASES {
        let sandbox = broken(name);
        let (plain, found) = diagnose(&sandbox, &sandbox.work("hello-infra"), &recorded(name));
        assert_eq!(first(&found), cause, "{name}: {found:#}");
        assert_eq!(plain.code, Some(i32::from(!cause.is_empty())), "{name}");
        if cause.is_empty() {
            assert!(plain.stdout.contains("ok: 1 pod, all running"), "{}", plain.stdout);
            continue;
        }
        let told = &found["causes"][0];
        assert!(told["message"].as_str().unwrap().contains(sentence), "{name}: {told:#}");
        assert!(told["hint"].as_str().unwrap().contains(hint), "{name}: {told:#}");
        assert!(!told["evidence"].as_array().unwrap().is_empty(), "{name}");
        // The text output says the same.
        let line = plain.stdout.lines().find(|line| line.starts_with("cause: ")).unwrap();
        assert!(line.contains(sentence) && line.contains(&format!("[{cause}]")), "{name}: {line}");
    }
}

#[test]
fn without_a_repository_the_text_decides_as_far_as_it_can() {
    let sandbox = Sandbox::new();
    for (name, _, cause, ..) in CASES {
        let (plain, found) = diagnose(&sandbox, &sandbox.path("work"), &recorded(name));
        assert_eq!(first(&found), cause, "{name}: {found:#}");
        assert_eq!(plain.code, Some(i32::from(!cause.is_empty())), "{name}");
    }
}

#[test]
fn events_alone_and_standard_input_are_enough() {
    for (name, with_repository, alone, ..) in CASES {
        let sandbox = broken(name);
        let mut list: Value =
            serde_json::from_str(&fs::read_to_string(recorded(name)).unwrap()).unwrap();
        list["items"].as_array_mut().unwrap().retain(|item| item["kind"] == "Event");
        for (dir, cause) in [("", alone), ("hello-infra", with_repository)] {
            let run =
                sandbox.makeinfra(&["diagnose", "--events", "-", "--json"]).stdin(list.to_string());
            let found = run.cwd(sandbox.work(dir)).output().json();
            let cause = match (name, dir) {
                // A successful pull leaves no evidence, and neither does what a pod references.
                ("pulled", _) => "no-pods",
                ("no-pull-secret-named", "") => "pulled-anonymously",
                _ => cause,
            };
            assert_eq!(first(&found), cause, "{name} {dir}: {found:#}");
        }
    }
}

/// Evidence of a pod `hello-1` with a pull secret, `status`, and events with these reasons and
/// texts.
pub fn evidence(status: &Value, events: &[(&str, &str)]) -> Value {
    let pod = json!({
        "kind": "Pod",
        "metadata": {
            "name": "hello-7d9d9b64f8-xfkqs", "namespace": "hello", "creationTimestamp": "2026-11-23T20:00:00Z",
            "ownerReferences": [{"kind": "ReplicaSet", "name": "hello-7d9d9b64f8"}],
        },
        "spec": {
            "nodeName": "node", "imagePullSecrets": [{"name": "gitlab"}],
            "containers": [{"name": "hello", "image": PROJECT}],
        },
        "status": status,
    });
    let event = |(at, (reason, text)): (usize, &(&str, &str))| {
        let object = match *reason {
            "FailedCreate" => {
                json!({"kind": "ReplicaSet", "name": "hello-7d9d9b64f8", "namespace": "hello"})
            }
            _ => json!({"kind": "Pod", "name": "hello-7d9d9b64f8-xfkqs", "namespace": "hello"}),
        };
        let seen = format!("2026-11-23T20:1{at}:00Z");
        json!({"kind": "Event", "reason": reason, "message": text, "involvedObject": object, "lastTimestamp": seen})
    };
    let pods = if status.is_null() { vec![] } else { vec![pod] };
    let items: Vec<Value> = pods.into_iter().chain(events.iter().enumerate().map(event)).collect();
    json!({"kind": "List", "items": items})
}

/// A status whose only container is in `state`, and was in `last` before.
fn container(state: &Value, last: &Value) -> Value {
    let phase = if state.get("running").is_some() { "Running" } else { "Pending" };
    let status = json!({"name": "hello", "ready": false, "restartCount": 4, "state": state, "lastState": last});
    json!({"phase": phase, "containerStatuses": [status]})
}

fn waiting(reason: &str, message: &str) -> Value {
    container(&json!({"waiting": {"reason": reason, "message": message}}), &json!({}))
}

/// The findings of `diagnose --json` in `list` outside any repository, which must not contain a
/// token.
#[track_caller]
pub fn found_in(sandbox: &Sandbox, list: &Value) -> Value {
    let output = sandbox
        .makeinfra(&["diagnose", "--events", "-", "--json"])
        .stdin(list.to_string())
        .output();
    assert_no_token(output.stdout.as_bytes(), "stdout");
    assert_eq!(output.stderr, "");
    output.json()
}

/// The evidence for a text of tests/vectors/pull-texts.json, in every form in which kubelets report
/// it.
fn shown_as(place: &str, text: &str, image: &str) -> Vec<Value> {
    let back_off = format!("Back-off pulling image \"{image}\"");
    let failed = match text.starts_with("Failed to pull image") {
        true => text.to_owned(),
        false => format!("Failed to pull image \"{image}\": {text}"),
    };
    let running = json!({"running": {"startedAt": "2026-11-23T20:00:10Z"}});
    let crashed = json!({"terminated": {"exitCode": 1, "reason": "Error", "message": text}});
    let lists = match place {
        "pull" => vec![
            evidence(&waiting("ErrImagePull", text), &[]),
            // Before 1.31 the status had no reason, and the event is older than the back-off.
            evidence(
                &waiting("ImagePullBackOff", &back_off),
                &[("Failed", &failed), ("Failed", "Error: ErrImagePull")],
            ),
            // Since 1.31 the status has it.
            evidence(
                &waiting("ImagePullBackOff", &format!("{back_off}: ErrImagePull: {text}")),
                &[],
            ),
        ],
        "sandbox" => {
            vec![evidence(&waiting("ContainerCreating", ""), &[("FailedCreatePodSandBox", text)])]
        }
        "secret" => {
            let events = [("FailedToRetrieveImagePullSecret", text), ("BackOff", &*back_off)];
            let mut list = evidence(&waiting("ImagePullBackOff", &back_off), &events);
            let list_of = || Some(text.split_once('(')?.1.split_once(')')?.0);
            // The format of older kubelets.
            let one = || text.split_once("pull secret ")?.1.split(['/', ' ']).nth(1);
            let named = list_of().or_else(one).unwrap();
            list["items"][0]["spec"]["imagePullSecrets"] = json!([{"name": named}]);
            vec![list]
        }
        "name" => vec![
            evidence(&waiting("InvalidImageName", text), &[]),
            evidence(&waiting("InvalidImageName", ""), &[("InspectFailed", text)]),
        ],
        "inspect" => vec![
            evidence(&waiting("ImageInspectError", text), &[]),
            evidence(&waiting("ImageInspectError", ""), &[("InspectFailed", text)]),
        ],
        "create" => vec![evidence(&Value::Null, &[("FailedCreate", text)])],
        "schedule" => {
            let condition = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": text});
            let mut list = [
                evidence(&json!({"phase": "Pending", "conditions": [condition]}), &[]),
                evidence(&json!({"phase": "Pending"}), &[("FailedScheduling", text)]),
            ];
            for list in &mut list {
                list["items"][0]["spec"]["nodeName"] = Value::Null;
            }
            list.to_vec()
        }
        "config" => vec![
            evidence(&waiting("CreateContainerConfigError", text), &[]),
            evidence(
                &waiting("CreateContainerConfigError", ""),
                &[("Failed", &format!("Error: {text}"))],
            ),
        ],
        "mount" => vec![evidence(&waiting("ContainerCreating", ""), &[("FailedMount", text)])],
        "start" => vec![
            evidence(&waiting("RunContainerError", text), &[]),
            evidence(
                &container(
                    &json!({"waiting": {"reason": "CrashLoopBackOff"}}),
                    &json!({
                        "terminated": {"exitCode": 128, "reason": "StartError", "message": text}
                    }),
                ),
                &[],
            ),
        ],
        "crash" => vec![
            evidence(
                &container(&json!({"waiting": {"reason": "CrashLoopBackOff"}}), &crashed),
                &[],
            ),
            evidence(&container(&crashed, &json!({})), &[]),
        ],
        "probe" => vec![
            evidence(&container(&running, &json!({})), &[("Unhealthy", text)]),
            evidence(
                &container(
                    &json!({"waiting": {"reason": "CrashLoopBackOff"}}),
                    &json!({
                        "terminated": {"exitCode": 137, "reason": "Error"}
                    }),
                ),
                &[
                    ("Unhealthy", text),
                    ("Killing", "Container hello failed liveness probe, will be restarted"),
                ],
            ),
        ],
        other => panic!("no such place: {other}"),
    };
    lists.into_iter().map(|list| with_image(list, image)).collect()
}

fn with_image(mut list: Value, image: &str) -> Value {
    if list["items"][0]["kind"] == "Pod" {
        list["items"][0]["spec"]["containers"][0]["image"] = json!(image);
    }
    list
}

#[test]
fn texts_of_every_runtime_are_understood() {
    let sandbox = Sandbox::new();
    let text = fs::read_to_string(repo("tests/vectors/pull-texts.json")).unwrap();
    let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert!(rows.len() > 300);
    let mut wrong = Vec::new();
    for row in &rows {
        let field = |name: &str| row[name].as_str().unwrap();
        let image = row["image"].as_str().unwrap_or(PROJECT);
        for list in shown_as(field("where"), field("text"), image) {
            let found = found_in(&sandbox, &list);
            let layer = found["causes"][0]["layer"].as_str().unwrap_or_default();
            if (first(&found), layer) != (field("cause"), field("layer")) {
                wrong.push(format!("{row:#}\n{found:#}"));
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

#[test]
fn a_pod_that_is_young_or_slow_is_on_its_way() {
    let sandbox = Sandbox::new();
    let pulling = format!("Pulling image \"{PROJECT}\"");
    let creating = waiting("ContainerCreating", "");
    // Ages in saved evidence are relative to its newest event.
    let young = evidence(&creating, &[]);
    let later = |event: (&str, &str)| {
        let mut list = evidence(&creating, &[event, ("Other", ""), ("Other", "")]);
        for at in [2, 3] {
            list["items"][at]["involvedObject"]["name"] = json!("another");
        }
        list
    };
    let (slow, silent) = (later(("Pulling", &pulling)), later(("Scheduled", "")));
    for (list, verdict, id) in [
        (young, "fine", "on-the-way"),
        (slow, "fine", "pull-slow"),
        (silent, "unknown", "unexplained"),
    ] {
        let found = found_in(&sandbox, &list);
        assert_eq!(
            (&found["verdict"], &found["causes"][0]["id"]),
            (&json!(verdict), &json!(id)),
            "{found:#}"
        );
    }
}

#[test]
fn how_a_container_ended_is_told() {
    let sandbox = Sandbox::new();
    let back_off = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}});
    for (reason, code, cause, word) in [
        ("Error", 3, "crash-loop", "exit code 3"),
        ("OOMKilled", 137, "out-of-memory", "memory"),
        ("Completed", 0, "ends-at-once", "finishes and exits"),
        ("ContainerCannotRun", 127, "container-cannot-start", "cannot be started"),
    ] {
        let last = json!({"terminated": {"exitCode": code, "reason": reason}});
        let found = found_in(&sandbox, &evidence(&container(&back_off, &last), &[]));
        let told = &found["causes"][0];
        assert!(
            told["id"] == cause && told["message"].as_str().unwrap().contains(word),
            "{found:#}"
        );
        let said = told["evidence"][0].as_str().unwrap();
        assert!(
            said.contains(&format!("exit code {code}")) && said.contains("4 restarts"),
            "{said}"
        );
    }
    let evicted = json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."});
    assert_eq!(first(&found_in(&sandbox, &evidence(&evicted, &[]))), "evicted");
}

#[test]
fn evidence_that_cannot_be_read_is_refused_without_a_word_of_it() {
    let sandbox = Sandbox::new();
    let half = &fs::read_to_string(recorded("token-refused")).unwrap()[..900];
    for (name, bytes, why) in [
        ("empty", b"".to_vec(), "it is empty"),
        ("text", format!("NAME {TOKEN}").into_bytes(), "it is not JSON"),
        ("half", half.as_bytes().to_vec(), "it is not JSON"),
        ("binary", b"\xff\xfe{\0}\0".to_vec(), "not UTF-8 text"),
        ("other", format!("[\"{TOKEN}\"]").into_bytes(), "it is not output of `kubectl get`"),
        (
            "config",
            format!("{{\"auths\":{{\"r\":{{\"auth\":\"{TOKEN}\"}}}}}}").into_bytes(),
            "it is not output of `kubectl get`",
        ),
        ("deep", "[".repeat(100_000).into_bytes(), "it is not JSON"),
    ] {
        let file = sandbox.write(&format!("work/{name}"), bytes).display().to_string();
        let output = sandbox.makeinfra(&["diagnose", "--events", &file]).failure(1);
        output
            .says("error: cannot read the evidence in")
            .says(why)
            .says("hint: kubectl get pods,events");
    }
    // A token in place of a file.
    let absent = sandbox.makeinfra(&["diagnose", "--events", TOKEN]).failure(2);
    absent.says("error: the `--events` file was not found").says("hint: kubectl get pods,events");
    let directory = sandbox.makeinfra(&["diagnose", "--events", "."]).failure(2);
    directory.says("`--events` must be a file").says("hint: kubectl get pods,events");
    sandbox.makeinfra(&["diagnose", "--namespace", TOKEN]).failure(2).says("`--namespace` must");
    sandbox.makeinfra(&["diagnose"]).failure(1).says("no git repository");
    // Malformed items are skipped and counted.
    let list = json!({"kind": "List", "items": [{"kind": "Pod", "spec": 7}, {"kind": "Event", "message": [TOKEN]}]});
    let found = found_in(&sandbox, &list);
    assert!(
        found.to_string().contains("2 items of the evidence could not be understood"),
        "{found:#}"
    );
}

#[test]
fn the_word_of_the_registry_joins_the_texts() {
    let Some(bed) = Bed::start() else { return };
    let image = bed.image("group/hello:1.0.0");
    let sandbox = Sandbox::new();
    let token = sandbox.path("token").display().to_string();
    let args =
        ["new", "hello", "--image", &image, "--token-username", USER, "--token-file", &token];
    sandbox.makeinfra(&args).success();
    let text =
        "failed to authorize: failed to fetch oauth token: unexpected status: 401 Unauthorized";
    let mut list = evidence(&waiting("ErrImagePull", text), &[]);
    list["items"][0]["spec"]["containers"][0]["image"] = json!(image);
    let file = sandbox.write("work/events", list.to_string()).display().to_string();
    let ask = |project: &str, scope: &str, word: &str, hint: &str| {
        bed.knows(TOKEN, project, scope);
        let args = ["diagnose", "hello-infra", "--events", &file, "--online", "--json"];
        let found = sandbox.makeinfra(&args).failure(1).json();
        let told = &found["causes"][0];
        assert_eq!(
            (&told["id"], &told["check"]),
            (&json!("token-refused"), &json!("images-pull")),
            "{found:#}"
        );
        let said = told["evidence"].as_array().unwrap().last().unwrap().as_str().unwrap();
        assert!(said.contains(word) && told["hint"].as_str().unwrap().contains(hint), "{found:#}");
    };
    ask(
        "other",
        "read_registry",
        "belongs to another project",
        "create the deploy token in the project",
    );
    ask("group", "read_repository", "lacks the scope `read_registry`", "`read_registry`");
    // The kubelet sent other credentials than the repository has.
    ask("group", "read_registry", "can be pulled", "hello-infra gitlab-secret, then: make -C ");
}
