//! `makeinfra check --running`: whether running pods could be pulled again, according to the
//! cluster and its registries.

use super::registry_bed::Bed;
use super::stand_in::{StandIn, fails, prints};
use super::support::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const STATE: &str = "get --output=json pods,serviceaccounts,";
const SECRETS: &str = "get --output=json secret";

/// The content of the cluster: pods by Deployment, each with a `ReplicaSet`.
struct Cluster {
    stand_in: StandIn,
    items: Vec<Value>,
    secrets: Vec<Value>,
}

impl Cluster {
    fn new() -> Self {
        let account = json!({"kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "hello"}});
        Self { stand_in: StandIn::new(), items: vec![account], secrets: Vec::new() }
    }

    /// Adds pods of a Deployment that run `image`.
    fn runs(&mut self, name: &str, pods: usize, image: &str, pull_secrets: &[&str]) -> &mut Value {
        let named: Vec<_> = pull_secrets.iter().map(|name| json!({"name": name})).collect();
        let spec =
            json!({"containers": [{"name": "app", "image": image}], "imagePullSecrets": named});
        let set = format!("{name}-5d9c");
        for number in 0..pods {
            self.items.push(json!({
                "kind": "Pod",
                "metadata": {
                    "name": format!("{set}-{number}"), "namespace": "hello",
                    "ownerReferences": [{"kind": "ReplicaSet", "name": set}],
                },
                "spec": spec,
                "status": {
                    "phase": "Running",
                    "containerStatuses": [{"name": "app", "ready": true, "state": {"running": {}}, "lastState": {}}],
                },
            }));
        }
        self.items.push(json!({
            "kind": "ReplicaSet",
            "metadata": {
                "name": set, "namespace": "hello", "ownerReferences": [{"kind": "Deployment", "name": name}],
            },
            "spec": {"replicas": pods, "template": {"spec": spec}},
        }));
        self.items.last_mut().unwrap()
    }

    fn has_secret(&mut self, name: &str, registry: &str, auth: &str) {
        self.secrets.push(json!({
            "kind": "Secret", "metadata": {"name": name, "namespace": "hello"}, "type": "kubernetes.io/dockercfg",
            "data": {".dockercfg": STANDARD.encode(json!({registry: {"auth": auth}}).to_string())},
        }));
    }

    fn has_token(&mut self, name: &str, registry: &str) {
        self.has_secret(name, registry, &STANDARD.encode(format!("{USER}:{TOKEN}")));
    }

    fn check(&self, args: &[&str]) -> Run {
        let list = |items: &[Value]| json!({"kind": "List", "items": items}).to_string();
        self.stand_in
            .answers(&[prints(STATE, &list(&self.items)), prints(SECRETS, &list(&self.secrets))]);
        self.run(args)
    }

    fn run(&self, args: &[&str]) -> Run {
        let run = self.stand_in.sandbox.makeinfra(&[&["check", "--running"], args].concat());
        run.cwd(self.stand_in.sandbox.work("hello-infra"))
            .env("PATH", self.stand_in.sandbox.own_path())
    }

    /// The findings about running pods: status and message by subject, the same as text and as
    /// JSON. No token appears anywhere.
    #[track_caller]
    fn statuses(&self, code: i32) -> BTreeMap<String, (String, String)> {
        let outputs = [self.check(&["--json"]).output(), self.check(&[]).output()];
        for output in &outputs {
            assert_eq!(output.code, Some(code), "{}{}", output.stdout, output.stderr);
            assert_no_token(output.stdout.as_bytes(), "stdout");
            assert_no_token(output.stderr.as_bytes(), "stderr");
        }
        self.stand_in.saw_no_token();
        about(&outputs[0])
    }

    /// The finding about the pods of one Deployment.
    #[track_caller]
    fn of(&self, code: i32, subject: &str) -> (String, String) {
        let told = self.statuses(code);
        told.get(subject).unwrap_or_else(|| panic!("{subject}: {told:#?}")).clone()
    }
}

fn about(output: &Output) -> BTreeMap<String, (String, String)> {
    let json = output.json();
    let checks = json["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["id"] == "running-pods-pull");
    let text = |check: &Value, key: &str| check[key].as_str().unwrap().to_owned();
    checks
        .map(|check| (text(check, "subject"), (text(check, "status"), text(check, "message"))))
        .collect()
}

#[track_caller]
fn says(told: &(String, String), status: &str, words: &[&str]) {
    assert!(told.0 == status && words.iter().all(|word| told.1.contains(word)), "{told:?}");
}

#[test]
fn pods_that_could_be_pulled_again_are_fine_with_one_sign_in() {
    let Some(bed) = Bed::start() else { return };
    let mut cluster = Cluster::new();
    cluster.has_token("gitlab", bed.host());
    cluster.runs("hello", 3, &bed.image("group/hello:1.0.0"), &["gitlab"]);
    cluster.runs("worker", 1, &bed.image("group/hello:many"), &["gitlab"]);
    let told = cluster.statuses(0);
    says(&told["Deployment hello (3 pods)"], "ok", &["group/hello:1.0.0` can be pulled"]);
    says(&told["Deployment worker"], "ok", &["can be pulled"]);
    says(&told["namespace hello of context test-context"], "note", &["4 pods are running"]);
    assert_eq!(bed.sign_ins().len(), 2, "one for each of two runs: {:?}", bed.sign_ins());
    let calls: Vec<_> = cluster.stand_in.calls().iter().map(|call| call.join(" ")).collect();
    let kinds = "pods,serviceaccounts,replicasets,statefulsets,daemonsets,jobs";
    assert_eq!(
        calls[0],
        format!("--request-timeout=10s --namespace=hello get --output=json {kinds}")
    );
    assert!(
        calls.iter().all(|call| call.contains(" get ") || call.contains("config view")),
        "{calls:?}"
    );
}

#[test]
fn a_token_that_the_registry_refuses_by_now_is_found_before_the_next_node_finds_it() {
    let Some(bed) = Bed::start() else { return };
    let mut cluster = Cluster::new();
    cluster.has_token("gitlab", bed.host());
    cluster.runs("hello", 2, &bed.image("group/hello:1.0.0"), &["gitlab"]);
    bed.knows("gldt-another", "group", "read_registry");
    let told = cluster.of(1, "Deployment hello (2 pods)");
    says(
        &told,
        "problem",
        &["runs from the node's cache, but the next pull will fail", "refuses the sign-in"],
    );
    // The Secret has the token's expiry, the registry does not say.
    cluster.secrets[0]["metadata"]["annotations"] = json!({"makeinfra/expires-at": "2024-02-29"});
    says(
        &cluster.of(1, "Deployment hello (2 pods)"),
        "problem",
        &["its token expired on 2024-02-29"],
    );
}

#[test]
fn a_tag_that_was_deleted_is_found() {
    let Some(bed) = Bed::start() else { return };
    let mut cluster = Cluster::new();
    cluster.has_token("gitlab", bed.host());
    cluster.runs("hello", 1, &bed.image("group/hello:0.9.0"), &["gitlab"]);
    let told = cluster.of(1, "Deployment hello");
    says(&told, "problem", &["the next pull will fail", "has no `0.9.0`"]);
}

#[test]
fn a_secret_of_another_namespace_or_for_another_registry_does_not_help() {
    let Some(bed) = Bed::start() else { return };
    let mut cluster = Cluster::new();
    cluster.runs("hello", 1, &bed.image("group/hello:1.0.0"), &["gitlab"]);
    let told = cluster.of(1, "Deployment hello");
    says(&told, "problem", &["the Secret `gitlab` does not exist in namespace `hello`"]);
    cluster.has_token("gitlab", "registry.example.com");
    let told = cluster.of(1, "Deployment hello");
    says(&told, "problem", &["the pull secret `gitlab` has no credentials for", "/group/hello"]);
    assert_eq!(bed.sign_ins(), Vec::<String>::new());
    // Another Secret that works is sufficient, and a public image needs none.
    cluster.has_token("second", bed.host());
    cluster.items.truncate(1);
    cluster.runs("hello", 1, &bed.image("group/hello:1.0.0"), &["gitlab", "second", "third"]);
    cluster.runs("open", 1, &bed.image("open/hello:1.0.0"), &["third"]);
    let told = cluster.statuses(0);
    says(&told["Deployment hello"], "ok", &["can be pulled"]);
    says(&told["Deployment open"], "ok", &["it is public"]);
}

#[test]
fn one_malformed_entry_spoils_every_secret_as_for_the_kubelet() {
    let Some(bed) = Bed::start() else { return };
    let mut cluster = Cluster::new();
    cluster.has_token("gitlab", bed.host());
    cluster.has_secret("other", "registry.example.com", "no base64 of a pair");
    cluster.runs("hello", 1, &bed.image("group/hello:1.0.0"), &["gitlab", "other"]);
    let told = cluster.of(1, "Deployment hello");
    says(&told, "problem", &["the Secret `other` is malformed"]);
    assert_eq!(bed.sign_ins(), Vec::<String>::new());
}

#[test]
fn the_next_pod_gets_what_its_template_or_the_service_account_names_by_then() {
    let Some(bed) = Bed::start() else { return };
    let mut cluster = Cluster::new();
    cluster.has_token("gitlab", bed.host());
    // The pod has its account's pull secret from when it was created; the account has another one
    // now.
    cluster.runs("hello", 1, &bed.image("group/hello:1.0.0"), &["gitlab"])["spec"]["template"]["spec"]
        ["imagePullSecrets"] = json!([]);
    cluster.items[0]["imagePullSecrets"] = json!([{"name": "gone"}]);
    let told = cluster.of(1, "Deployment hello");
    says(&told, "problem", &["the Secret `gone` does not exist in namespace `hello`"]);
    cluster.items[0]["imagePullSecrets"] = json!([{"name": "gitlab"}]);
    says(&cluster.of(0, "Deployment hello"), "ok", &["can be pulled"]);
    // A changed template counts, too.
    cluster.items.truncate(1);
    cluster.runs("hello", 1, &bed.image("group/hello:1.0.0"), &["gitlab"])["spec"]["template"]["spec"]
        ["imagePullSecrets"] = json!([{"name": "gone"}]);
    says(&cluster.of(1, "Deployment hello"), "problem", &["the Secret `gone`"]);
}

#[test]
fn what_only_the_node_knows_is_undetermined() {
    let Some(bed) = Bed::start() else { return };
    let mut cluster = Cluster::new();
    cluster.runs("hello", 1, &bed.image("group/hello:1.0.0"), &[]);
    let told = cluster.of(3, "Deployment hello");
    says(&told, "warning", &["the pod names no pull secret", "credential provider", "not visible"]);
    cluster.check(&["--strict"]).failure(1);
}

#[test]
fn images_that_are_never_pulled_or_wait_for_a_pull_are_no_problem_of_this_check() {
    let Some(bed) = Bed::start() else { return };
    let mut cluster = Cluster::new();
    cluster.runs("local", 1, &bed.image("group/none:1"), &[]);
    for item in &mut cluster.items[1..] {
        let spec = if item["kind"] == "Pod" {
            &mut item["spec"]
        } else {
            &mut item["spec"]["template"]["spec"]
        };
        spec["containers"][0]["imagePullPolicy"] = json!("Never");
    }
    says(&cluster.of(0, "Deployment local"), "note", &["is never pulled"]);
    cluster.items.truncate(1);
    cluster.runs("waits", 1, &bed.image("group/none:1"), &[]);
    cluster.items[1]["status"]["containerStatuses"][0]["state"] =
        json!({"waiting": {"reason": "ImagePullBackOff"}});
    assert!(!cluster.statuses(0).contains_key("Deployment waits"));
    for phase in ["Pending", "Succeeded", "Failed"] {
        cluster.items[1]["status"]["phase"] = json!(phase);
        let told = cluster.statuses(0);
        says(&told["namespace hello of context test-context"], "note", &["no pods are running"]);
    }
}

#[test]
fn every_image_of_a_pod_counts_but_those_of_ephemeral_containers() {
    let Some(bed) = Bed::start() else { return };
    let mut cluster = Cluster::new();
    cluster.has_token("gitlab", bed.host());
    cluster.runs("hello", 1, &bed.image("group/hello:1.0.0"), &["gitlab"]);
    let spec = &mut cluster.items[1]["spec"];
    spec["initContainers"] = json!([{"name": "init", "image": bed.image("group/init:1")}]);
    spec["volumes"] = json!([
        {"name": "none", "emptyDir": {}}, {"name": "model", "image": {"reference": bed.image("group/model:1")}},
    ]);
    spec["ephemeralContainers"] = json!([{"name": "debug", "image": bed.image("group/debug:1")}]);
    let output = cluster.check(&["--json"]).failure(1);
    let checks = output.json()["checks"].to_string();
    for (image, is_asked) in
        [("group/init:1", true), ("group/model:1", true), ("group/debug:1", false)]
    {
        assert_eq!(checks.contains(&bed.image(image)), is_asked, "{image}: {checks}");
    }
}

#[test]
fn a_cluster_or_a_registry_that_does_not_answer_is_undetermined() {
    let Some(bed) = Bed::start() else { return };
    let mut cluster = Cluster::new();
    cluster.stand_in.answers(&[fails("pods", "The connection to the server x was refused")]);
    let output = cluster.run(&["--json"]).failure(3);
    let told = about(&output);
    says(
        &told["namespace hello"],
        "warning",
        &["running images not checked", "the cluster does not answer"],
    );
    // Secrets that this user may not read.
    cluster.runs("hello", 1, &bed.image("group/hello:1.0.0"), &["gitlab"]);
    let list = json!({"kind": "List", "items": cluster.items}).to_string();
    let forbidden = "Error from server (Forbidden): secrets \"gitlab\" is forbidden: User \"x\" cannot get resource";
    cluster.stand_in.answers(&[prints(STATE, &list), fails(SECRETS, forbidden)]);
    let told = about(&cluster.run(&["--json"]).failure(3));
    says(
        &told["Deployment hello"],
        "warning",
        &["was not checked: this user is not allowed to read Secrets"],
    );
    cluster.has_token("gitlab", bed.host());
    drop(bed);
    says(
        &cluster.of(3, "Deployment hello"),
        "warning",
        &["is undetermined", "refuses connections"],
    );
}

#[test]
fn a_secret_that_was_rotated_and_not_deployed_is_known_as_such() {
    let Some(bed) = Bed::start() else { return };
    let mut cluster = Cluster::new();
    cluster.has_secret(
        "gitlab",
        bed.host(),
        &STANDARD.encode(format!("{USER}:gldt-Older_7Qx9vWk2abc")),
    );
    cluster.runs("hello", 1, &bed.image("group/hello:1.0.0"), &["gitlab"]);
    let output = cluster.check(&["--json"]).failure(1);
    assert!(!output.stdout.contains("gldt-Older"), "{}", output.stdout);
    let json = output.json();
    let checks = json["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["subject"] == "Deployment hello").unwrap();
    assert_eq!(check["hint"], "make gitlab-secret", "{check:#}");
}

#[test]
fn every_environment_is_asked_in_its_own_context() {
    let Some(bed) = Bed::start() else { return };
    let mut cluster = Cluster::new();
    let sandbox = &cluster.stand_in.sandbox;
    let args = ["env", "add", "staging", "--context", "eu/staging", "--yes"];
    sandbox.here(&args).success();
    cluster.has_token("gitlab", bed.host());
    cluster.runs("hello", 1, &bed.image("group/hello:1.0.0"), &["gitlab"]);
    cluster.check(&["--json"]).success();
    let calls = cluster.stand_in.calls();
    let asked: Vec<_> =
        calls.iter().filter(|call| call.last().unwrap().starts_with("pods,")).collect();
    let has = |call: &Vec<String>, word: &str| call.iter().any(|found| found == word);
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(
        has(asked[0], "--namespace=hello")
            && !asked[0].iter().any(|word| word.starts_with("--context"))
    );
    assert!(
        has(asked[1], "--namespace=hello-staging") && has(asked[1], "--context=eu/staging"),
        "{asked:?}"
    );
    cluster.check(&["--json", "--env", "staging"]).success();
    assert_eq!(
        cluster.stand_in.calls().iter().filter(|call| has(call, "--namespace=hello")).count(),
        0
    );
    cluster
        .check(&["--env", "nowhere"])
        .failure(2)
        .says("the environment in `--env` does not exist");
}
