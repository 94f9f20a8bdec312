//! What the Makefile's targets make of further Secrets. The same against a real API server: `cluster/further.rs`.

use super::stand_in::{StandIn, arm, differs, fails, prints};
use super::support::{TOKEN, have};
use std::fs;

const FILE: &str = "secrets/kubernetes/db.secret.yaml";

/// A repository with a further Secret, and its cluster, which has version 7 of it.
fn cluster() -> StandIn {
    let cluster = StandIn::new();
    set(&cluster, "db", TOKEN);
    answers(&cluster, &[]);
    cluster
}

fn set(cluster: &StandIn, name: &str, value: &str) {
    let args = ["secret", "set", name, "PASSWORD", "hello-infra", "--stdin"];
    cluster.sandbox.makeinfra(&args).stdin(value).success();
}

fn answers(cluster: &StandIn, arms: &[String]) {
    // What a kubectl without a cluster prints: the name that is in the file.
    let name = "*'annotate --local'*) file=${3#--filename=}; [ \"$1\" != --namespace=hello ] && exit 9; \
                file=${4#--filename=}; sed -n 's|^  name: |secret/|p' \"$file\" ;;\n";
    let versions = prints("get secret db", "db=7 ");
    cluster.answers(&[arms, &[name.to_owned(), versions]].concat());
}

fn has(cluster: &StandIn, step: &str) -> bool {
    cluster.steps().iter().any(|seen| seen == step)
}

#[test]
fn deploy_brings_them_after_the_pull_secret_and_remembers_their_versions() {
    let cluster = cluster();
    cluster.make(&["deploy"]).success();
    let steps = cluster.steps();
    let at = |step: &str| {
        steps.iter().position(|seen| seen == step).unwrap_or_else(|| panic!("{step}: {steps:#?}"))
    };
    assert!(at("apply secrets/kubernetes/gitlab.secret.yaml") < at(&format!("apply {FILE}")));
    assert!(at(&format!("apply {FILE}")) < at("apply kubernetes"));
    assert!(at("rollout restart deployment/hello") < at("rollout status deployment/hello"));
    cluster.saw_no_token();
    let apply: Vec<_> = cluster
        .calls()
        .into_iter()
        .filter(|call| call.join(" ").contains(&format!("--filename={FILE}")))
        .collect();
    assert!(apply.iter().any(|call| call[0] == "apply" && call.contains(&"--server-side".into())));
    let remembered = cluster.calls().concat().contains(&"makeinfra/secrets=db=7 ".to_owned());
    assert!(remembered, "{:?}", cluster.calls());
}

#[test]
fn pods_are_replaced_only_if_a_secret_is_new_to_them() {
    let cluster = cluster();
    answers(&cluster, &[prints("get deployment/hello*makeinfra/secrets", "db=7 ")]);
    cluster.make(&["deploy"]).success();
    assert!(!has(&cluster, "rollout restart deployment/hello"));
    assert!(!cluster.calls().concat().join(" ").contains("makeinfra/secrets=db"));
    // New pods by the manifests read the new values.
    let template = "*spec.template}*) grep -c kustomize= \"${0%/*}/calls\" || true ;;\n".to_owned();
    answers(&cluster, &[template]);
    cluster.make(&["deploy"]).success();
    assert!(!has(&cluster, "rollout restart deployment/hello"));
    assert!(cluster.calls().concat().contains(&"makeinfra/secrets=db=7 ".to_owned()));
}

#[test]
fn what_is_not_a_readable_secret_of_its_name_never_reaches_the_cluster() {
    let cluster = cluster();
    let good = fs::read(cluster.sandbox.hello(FILE)).unwrap();
    let other = String::from_utf8(good.clone()).unwrap().replace("name: db", "name: other");
    for (bytes, word) in [
        (b"\0GITCRYPT\0abc".to_vec(), "db.secret.yaml is locked"),
        (Vec::new(), "there is no Secret in"),
        (other.into_bytes(), "must hold a Secret called db"),
    ] {
        fs::write(cluster.sandbox.hello(FILE), bytes).unwrap();
        for target in ["deploy", "secrets", "diff"] {
            cluster.make(&[target]).failure(2).says(word).says("hint: ");
            let touched = |step: &String| step.starts_with("apply") || step.starts_with("diff");
            assert!(!cluster.steps().iter().any(touched), "{:?}", cluster.steps());
        }
    }
    cluster.make(&["gitlab-secret"]).success();
}

#[test]
fn diff_masks_their_values() {
    let cluster = cluster();
    let text = format!(" apiVersion: v1\n data:\n-  PASSWORD: {TOKEN}\n+  PASSWORD: '***'\n kind: Secret");
    answers(&cluster, &[differs("diff*db.secret.yaml", &text)]);
    let output = cluster.make(&["diff"]).failure(2);
    assert!(output.stdout.contains("-  PASSWORD: ***\n"), "{}", output.stdout);
    answers(&cluster, &[prints("get namespace", "")]);
    assert!(cluster.make(&["diff", "CHANGES=ok"]).success().stdout.contains("secret/db\n"));
}

#[test]
fn what_the_cluster_quotes_of_them_is_not_shown() {
    let cluster = cluster();
    let text = format!("Error from server: .stringData: expected map, got &{{{TOKEN}}}");
    answers(
        &cluster,
        &[fails("apply*db.secret.yaml", &text), arm("diff*db.secret.yaml", &text, ">&2; exit 2")],
    );
    for target in ["deploy", "secrets", "diff"] {
        cluster.make(&[target]).failure(2).says("expected map, got ***");
    }
    assert!(!has(&cluster, "apply kubernetes"));
}

#[test]
fn undeploy_deletes_those_with_a_file_here_and_a_locked_one_by_its_name() {
    let cluster = cluster();
    set(&cluster, "mail", "x");
    fs::write(cluster.sandbox.hello("secrets/kubernetes/mail.secret.yaml"), b"\0GITCRYPT\0abc").unwrap();
    answers(&cluster, &[]);
    cluster.make(&["undeploy", "YES=1"]).success();
    let deleted: Vec<_> = cluster.steps().into_iter().filter(|step| step.starts_with("delete")).collect();
    assert_eq!(
        deleted,
        ["delete kubernetes", "delete secret gitlab", "delete secret db", "delete secret mail"]
    );
    // A file of another name is no reason to delete somebody's `db`.
    let other = fs::read_to_string(cluster.sandbox.hello(FILE)).unwrap().replace("name: db", "name: other");
    fs::write(cluster.sandbox.hello(FILE), other).unwrap();
    answers(&cluster, &[]);
    cluster.make(&["undeploy", "YES=1"]).failure(2).says("must hold a Secret called db");
    assert!(!cluster.steps().iter().any(|step| step.starts_with("delete")));
}

#[test]
fn the_real_kubectl_tells_a_files_name_without_a_cluster() {
    if !have("kubectl") {
        return;
    }
    for kubectl in super::support::kubectls() {
        let cluster = cluster();
        let run = |target: &str| {
            let kubectl = format!("KUBECTL={}", kubectl.display());
            cluster.sandbox.make(&[target, &kubectl]).env("KUBECONFIG", "/nowhere").failure(2)
        };
        assert!(!run("secrets").stderr.contains("must hold"));
        let good = fs::read_to_string(cluster.sandbox.hello(FILE)).unwrap();
        for text in [
            good.replace("name: db", "name: other"),
            good.replace("namespace: hello", "namespace: other"),
            good.replace("kind: Secret", "kind: ConfigMap"),
            format!("{good}---\n{good}"),
            good.replace("data:", &format!("data: [{TOKEN}")),
        ] {
            fs::write(cluster.sandbox.hello(FILE), text).unwrap();
            run("secrets").says("must hold a Secret called db, of namespace hello, and nothing else");
        }
    }
}
