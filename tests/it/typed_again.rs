//! What `make` tells people to type does what they meant, and what they did not type chooses nothing.

use super::environments::with_environments;
use super::stand_in::{StandIn, differs, fails, prints};
use super::support::{Sandbox, kubectls};
use std::fs;

fn environments() -> StandIn {
    let cluster = StandIn { sandbox: with_environments(&["--context", "production=prd"]) };
    cluster.answers(&[]);
    cluster
}

#[test]
fn a_hint_keeps_what_was_typed() {
    let cluster = environments();
    let other = ["ENV=production", "CONTEXT=my other"];
    for (args, hint) in [
        (&["deploy", other[0], other[1]][..], "make deploy ENV=production CONTEXT='my other' YES=1"),
        (&["deploy", other[0]], "make deploy ENV=production YES=1"),
        (
            &["rollback", other[0], "APP=worker", "REVISION=3"],
            "make rollback ENV=production APP=worker REVISION=3 YES=1",
        ),
        (&["restart", other[0], "APP=it's"], r"make restart ENV=production APP='it'\''s' YES=1"),
        (&["undeploy", other[1]], "make undeploy ENV=staging CONTEXT='my other' YES=1"),
        (&["deploy", other[0], "ROLLOUT_TIMEOUT=9m"], "make deploy ENV=production ROLLOUT_TIMEOUT=9m YES=1"),
        (&["logs", other[0], "TAIL=x"], "make logs ENV=production TAIL=3"),
        (&["set-image", other[0]], "make set-image ENV=production TAG=1.2.3"),
        (&["set-image", other[0], "IMAGE=a/b"], "make set-image ENV=production IMAGE=a/b TAG=1.2.3"),
        (
            &["restart", "APP=worker", "ROLLOUT_TIMEOUT=5"],
            "make restart ENV=staging APP=worker ROLLOUT_TIMEOUT=5m",
        ),
        (
            &["rollback", "APP=worker", "REVISION=x", "YES=1", "ENV=staging"],
            "make rollback ENV=staging APP=worker REVISION=3",
        ),
        (
            &["rollback", "ENV=prodction", "APP=worker", "REVISION=3", "CONTEXT=other"],
            "make rollback ENV=staging CONTEXT=other APP=worker REVISION=3; there are: staging production",
        ),
        (&["set-image", "deploy", other[0], "TAG=2"], "make deploy ENV=production TAG=2 YES=1"),
        (&["deploy", other[0], "KUBECTL=/no kubectl"], "make deploy ENV=production KUBECTL=/path/to/kubectl"),
    ] {
        cluster.make(args).failure(2).says(hint);
    }
    let file = cluster.sandbox.hello("secrets/kubernetes/production/gitlab.secret.yaml");
    fs::remove_file(file).unwrap();
    cluster.make(&["deploy", "ENV=production"]).failure(2).says("hint: makeinfra rotate --env production");
    cluster.sandbox.write("work/hello-infra/secrets/kubernetes/staging/db.secret.yaml", "");
    cluster.make(&["secrets"]).failure(2).says("hint: makeinfra secret set db KEY --env staging");
    // Advice of a rollout that failed.
    let waits = "hello: ErrImagePull failed to fetch oauth token: unexpected status: 401 Unauthorized";
    cluster.answers(&[fails("rollout status", "timed out"), prints("get pods*jsonpath", waits)]);
    fs::remove_file(cluster.sandbox.hello("secrets/kubernetes/staging/db.secret.yaml")).unwrap();
    let output = cluster.make(&["deploy", "CONTEXT=other"]).failure(2);
    output.says("then `makeinfra rotate --env staging` and `make deploy ENV=staging CONTEXT=other`");
}

#[test]
fn what_is_set_outside_chooses_nothing() {
    let cluster = environments();
    // It is the start-up file of a shell.
    for value in ["/root/.shrc", "", "staging", "qa"] {
        cluster.make(&["deploy"]).env("ENV", value).success().prints("environment staging\n");
    }
    let output = cluster.make(&["deploy"]).env("ENV", "production").failure(2);
    output
        .says("ENV=production is set, and not on make's command line")
        .says("hint: make deploy ENV=production");
    cluster.make(&["status", "ENV=staging"]).env("ENV", "production").success();
    for (name, value) in [("TAIL", "abc"), ("FOLLOW", "1"), ("CONTEXT", "other"), ("APP", "nobody")] {
        let cluster = environments();
        cluster.make(&["logs"]).env(name, value).success();
        let calls = cluster.calls().concat();
        assert!(
            calls.contains(&"--tail=100".into()) && calls.contains(&"--follow=false".into()),
            "{calls:?}"
        );
        assert!(!calls.iter().any(|word| word.contains(value) && value.len() > 1), "{calls:?}");
    }
    cluster.make(&["set-image", "TAG=1.2.3"]).env("DIGEST", "x").success();
    cluster.make(&["set-image"]).env("TAG", "1.2.4").success();
    cluster
        .make(&["help", "ENV=qa"])
        .success()
        .prints("there is no environment `qa`; there are: staging production");
}

#[test]
fn nothing_goes_on_after_a_refusal_whatever_make_is_told() {
    let cluster = environments();
    for args in [&["-i", "deploy", "ENV=production"][..], &["-k", "deploy", "ENV=production"]] {
        cluster.make(args).output();
        assert!(!cluster.steps().iter().any(|step| step.starts_with("apply")), "{:?}", cluster.steps());
    }
}

#[test]
fn the_time_for_a_rollout_is_checked_first_and_is_no_program() {
    let cluster = StandIn::new();
    for wrong in [
        "x",
        "5",
        "-1s",
        "1d",
        "",
        ".s",
        "..5s",
        "1.2.3s",
        "$(shell touch made)9s",
        "`touch made`",
        "1s;touch made",
    ] {
        for target in ["deploy", "restart", "rollback"] {
            let output = cluster.make(&[target, &format!("ROLLOUT_TIMEOUT={wrong}")]).failure(2);
            output.says("ROLLOUT_TIMEOUT is no time");
        }
        assert!(
            !cluster.steps().iter().any(|step| !step.starts_with("config") && !step.starts_with("kustomize"))
        );
    }
    assert!(!cluster.sandbox.hello("made").exists());
    for good in ["0", "0s", "90s", "1m30s", "1.5h", ".5m", "500ms", "1.s"] {
        cluster.make(&["restart", &format!("ROLLOUT_TIMEOUT={good}")]).success();
    }
}

#[test]
fn a_copy_of_a_secret_in_an_annotation_is_not_shown() {
    let cluster = StandIn::new();
    let copy = r#"{"apiVersion":"v1","data":{"PASSWORD":"aHVudGVyMg=="},"kind":"Secret"}"#;
    for shown in [
        format!(
            " metadata:\n   annotations:\n     kubectl.kubernetes.io/last-applied-configuration: |\n       {copy}\n+  labels:\n+    a: b"
        ),
        format!(
            " metadata:\n   annotations:\n-    kubectl.kubernetes.io/last-applied-configuration: '{copy}'\n   name: db"
        ),
        format!("@@ -7,3 +7,3 @@\n       {copy}\n+  labels:\n"),
        // Where `data:` is too far above to be shown.
        "@@ -4,7 +4,7 @@\n   c: '***'\n-  password: aHVudGVyMg==\n+  password: '*** (after)'\n kind: Secret"
            .to_owned(),
        format!(
            " metadata:\n   annotations:\n     kubectl.kubernetes.io/last-applied-configuration: {}\n   name: db",
            copy.replace('"', "\\\"")
        ),
    ] {
        cluster.answers(&[differs("diff*gitlab.secret.yaml", &shown)]);
        let output = cluster.make(&["diff"]).failure(2);
        assert!(!output.stdout.contains("aHVud") && output.stdout.contains("***"), "{}", output.stdout);
    }
}

#[test]
fn a_tag_is_set_where_lines_end_as_on_windows() {
    let cluster = StandIn::new();
    let file = cluster.sandbox.hello("kubernetes/overlays/production/kustomization.yaml");
    let text = fs::read_to_string(&file).unwrap().replace('\n', "\r\n");
    fs::write(&file, &text).unwrap();
    cluster.make(&["set-image", "TAG=1.2.3"]).success().prints("hello:1.2.3\n");
    assert_eq!(fs::read_to_string(&file).unwrap(), text.replace("1.0.0", "1.2.3"));
    fs::rename(&file, cluster.sandbox.hello("kubernetes/ours.yaml")).unwrap();
    std::os::unix::fs::symlink("ours.yaml", &file).unwrap();
    cluster.make(&["set-image", "TAG=1.2.4"]).failure(2).says("kustomization.yaml is a link");
}

#[test]
fn a_comment_on_the_line_of_a_tag_stays() {
    let sandbox = Sandbox::with_hello();
    let file = "kubernetes/overlays/production/kustomization.yaml";
    sandbox.edit(file, "newTag: \"1.0.0\"", "newTag: \"1.0.0\"  # tested: #42");
    sandbox.make(&["set-image", "TAG=2"]).success();
    let text = fs::read_to_string(sandbox.hello(file)).unwrap();
    assert!(text.contains("    newTag: \"2\"  # tested: #42\n"), "{text}");
    let digest = format!("sha256:{}", "0e".repeat(32));
    sandbox.make(&["set-image", &format!("DIGEST={digest}")]).success();
    sandbox.make(&["set-image", "TAG=3"]).success();
    assert!(fs::read_to_string(sandbox.hello(file)).unwrap().contains("newTag: \"3\""));
}

#[test]
fn an_environment_whose_overlay_is_gone_is_told() {
    let cluster = environments();
    fs::remove_file(cluster.sandbox.hello("kubernetes/overlays/staging/kustomization.yaml")).unwrap();
    let output = cluster.make(&["deploy"]).failure(2);
    output.says("there is no kubernetes/overlays/staging/kustomization.yaml").says("hint: git status");
}

#[test]
fn what_was_not_restarted_is_not_waited_for() {
    let sandbox = Sandbox::with_hello();
    let add = ["add", "worker", "--port", "none", "--no-input", "hello-infra"];
    sandbox.makeinfra(&add).success();
    let cluster = StandIn { sandbox };
    let both = "kind: Deployment\nmetadata:\n  name: hello\n---\nkind: Deployment\nmetadata:\n  name: worker";
    for (args, waited) in [
        (&["restart", "APP=worker"][..], &["worker"][..]),
        (&["restart"], &["hello", "worker"]),
        (&["rollback"], &["hello"]),
        (&["rollback", "APP=worker"], &["worker"]),
        (&["deploy"], &["hello", "worker"]),
    ] {
        cluster.answers(&[prints("kustomize kubernetes", both)]);
        cluster.make(args).success();
        let steps = cluster.steps();
        let found: Vec<_> =
            steps.iter().filter_map(|step| step.strip_prefix("rollout status deployment/")).collect();
        assert_eq!(found, waited, "{args:?}");
    }
    // The only one needs no name.
    cluster.answers(&[prints(
        "kustomize kubernetes",
        "kind: Deployment\nmetadata:\n  name: web\n---\nkind: CronJob\nmetadata:\n  name: hello",
    )]);
    cluster.make(&["rollback"]).success();
    assert!(cluster.steps().contains(&"rollout undo deployment/web".to_owned()), "{:?}", cluster.steps());
}

#[test]
fn a_clone_on_a_machine_with_other_line_ends_works() {
    let sandbox = Sandbox::with_hello();
    let clone = ["clone", "-q", "-c", "core.autocrlf=true", "hello-infra", "clone"];
    sandbox.run("git", &clone).success();
    sandbox.run("make", &["help"]).cwd(sandbox.work("clone")).success().prints("usage: make TARGET");
    sandbox.run("make", &["setup"]).cwd(sandbox.work("clone")).success();
}

#[test]
fn a_cluster_that_is_away_is_told_the_same_way_by_every_target() {
    let cluster = StandIn::new();
    let args = ["secret", "set", "db", "PASSWORD", "hello-infra", "--stdin"];
    cluster.sandbox.makeinfra(&args).stdin("x").success();
    let config = "apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: 'http://127.0.0.1:9'}}]\n\
                  contexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {}}]\ncurrent-context: c\n";
    let config = cluster.sandbox.write("config", config);
    for kubectl in kubectls() {
        let typed = format!("KUBECTL={}", kubectl.display());
        let make = |target: &str, config: &std::path::Path| {
            let kubectl = format!("KUBECTL={}", kubectl.display());
            let run = cluster
                .sandbox
                .make(&[target, "YES=1", &kubectl])
                .env("KUBECONFIG", config.to_str().unwrap());
            run.failure(2)
        };
        for target in [
            "deploy",
            "gitlab-secret",
            "secrets",
            "namespace",
            "diff",
            "status",
            "restart",
            "rollback",
            "undeploy",
            "logs",
        ] {
            let said = make(target, &config).stderr;
            let errors: Vec<_> = said.lines().filter(|line| line.starts_with("error: ")).collect();
            assert!(errors.len() == 1 && errors[0].contains("refused"), "{target}: {said}");
            assert!(
                said.contains(&format!(
                    "hint: kubectl config get-contexts; another one: make {target} {typed} CONTEXT=NAME"
                )),
                "{target}: {said}"
            );
            let known =
                |line: &str| ["error: ", "hint: ", "make: "].iter().any(|start| line.starts_with(start));
            assert!(said.lines().all(known) && !said.contains("--validate"), "{target}: {said}");
        }
        let broken = cluster.sandbox.write("broken", "{");
        make("secrets", &broken).says("error: error loading config file").says("hint: kubectl config view");
    }
}
