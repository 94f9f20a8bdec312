//! What `make deploy` and its like ask of a cluster, and what they make of its answers.
//! The same against a real API server: `cluster.rs`.

use super::stand_in::{StandIn, arm, differs, fails, prints};
use super::support::{Output, SECRET, Sandbox, TOKEN, assert_no_token, have, needles};
use rexpect::reader::Options;
use rexpect::session::spawn_with_options;
use std::fs;
use std::process::Stdio;

const APPLY_SECRET: &str = "apply*gitlab.secret.yaml";
const FORBIDDEN: &str = r#"Error from server (Forbidden): namespaces "hello" is forbidden: User "eve" cannot get resource "namespaces" in API group "" in the namespace "hello""#;
const SECRETS_FORBIDDEN: &str = r#"Error from server (Forbidden): secrets "gitlab" is forbidden: User "eve" cannot patch resource "secrets" in API group "" in the namespace "hello""#;
const NO_NAMESPACE: &str = r#"Error from server (NotFound): namespaces "hello" not found"#;
const IMMUTABLE: &str = r#"The Secret "gitlab" is invalid: type: Invalid value: "kubernetes.io/dockerconfigjson": field is immutable"#;
const UNREACHABLE: &str =
    "The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?";

/// Expects the token in no output.
#[track_caller]
fn tells_no_token(output: &Output) {
    assert_no_token(output.stdout.as_bytes(), "stdout");
    assert_no_token(output.stderr.as_bytes(), "stderr");
}

#[test]
fn deploy_goes_from_the_namespace_to_the_rollout() {
    let steps = [
        "config view",
        "kustomize kubernetes",
        "get namespace hello",
        "apply secrets/kubernetes/gitlab.secret.yaml",
        "annotate secret gitlab kubectl.kubernetes.io/last-applied-configuration-",
        "get deployment/hello",
        "apply kubernetes",
        "get deployment/hello",
        // Its selector, its state and its pods'.
        "get deployment/hello",
        "get deployment/hello",
        "get pods",
        "rollout status deployment/hello",
    ];
    for args in [&["deploy"][..], &["-j4", "deploy"], &["--jobs", "--keep-going", "deploy"]] {
        let cluster = StandIn::new();
        let output = cluster.make(args).success();
        assert_eq!(cluster.steps(), steps, "{args:?}");
        tells_no_token(&output);
        cluster.saw_no_token();
        for call in cluster.calls().iter().filter(|call| call[0] == "apply") {
            let wanted =
                ["--server-side", "--force-conflicts", "--field-manager=makeinfra", "--namespace=hello"];
            assert!(wanted.iter().all(|option| call.contains(&(*option).to_owned())), "{call:?}");
        }
        let at = |text: &str| output.stdout.find(text).unwrap_or_else(|| panic!("{text}: {}", output.stdout));
        assert!(
            at("context     test-context") < at("namespace   hello")
                && at("namespace   hello") < at("applied")
        );
    }
}

#[test]
fn several_targets_at_once_run_one_after_the_other() {
    let cluster = StandIn::new();
    cluster.make(&["-j4", "namespace", "gitlab-secret", "status"]).success();
    let steps = cluster.steps();
    let at = |step: &str| steps.iter().position(|seen| seen.starts_with(step)).unwrap();
    assert!(at("get namespace") < at("apply secrets") && at("annotate") < at("get deployments"), "{steps:?}");
}

#[test]
fn the_timeout_of_the_rollout_can_be_chosen() {
    let cluster = StandIn::new();
    cluster.make(&["deploy"]).success();
    cluster.make(&["deploy", "ROLLOUT_TIMEOUT=5m"]).success();
    let calls = cluster.calls();
    let waits: Vec<_> = calls.iter().filter(|call| call.contains(&"rollout".into())).collect();
    assert_eq!(
        [waits[0].last(), waits[1].last()],
        [Some(&"--timeout=120s".into()), Some(&"--timeout=5m".into())]
    );
}

#[test]
fn a_missing_namespace_is_created_and_one_that_exists_is_not_touched() {
    let cluster = StandIn::new();
    cluster.answers(&[prints("get namespace", "")]);
    cluster.make(&["namespace"]).success();
    assert_eq!(
        cluster.steps(),
        ["config view", "get namespace hello", "apply kubernetes/overlays/production/namespace.yaml"]
    );
    cluster.answers(&[]);
    cluster.make(&["namespace"]).success();
    assert_eq!(cluster.steps(), ["config view", "get namespace hello"]);
}

#[test]
fn a_locked_file_never_reaches_kubectl() {
    let cluster = StandIn::new();
    let blob = cluster.sandbox.git(&["cat-file", "blob", &format!("HEAD:{SECRET}")]).success().bytes;
    fs::write(cluster.sandbox.hello(SECRET), blob).unwrap();
    for target in ["deploy", "gitlab-secret", "diff"] {
        cluster
            .make(&[target])
            .failure(2)
            .says("gitlab.secret.yaml is locked")
            .says("hint: git-crypt unlock");
        cluster.was_left_alone();
    }
}

#[test]
fn a_missing_file_never_reaches_kubectl() {
    let cluster = StandIn::new();
    for empty in [false, true] {
        match empty {
            true => fs::write(cluster.sandbox.hello(SECRET), "").unwrap(),
            false => fs::remove_file(cluster.sandbox.hello(SECRET)).unwrap(),
        }
        for target in ["deploy", "gitlab-secret", "diff"] {
            cluster
                .make(&[target])
                .failure(2)
                .says("no pull secret in secrets/")
                .says("hint: makeinfra rotate");
            cluster.was_left_alone();
        }
    }
}

#[test]
fn a_repository_without_a_token_says_what_to_run() {
    let cluster = StandIn::new();
    fs::remove_dir_all(cluster.sandbox.work("hello-infra")).unwrap();
    cluster.sandbox.new_without_token(&[]).success();
    for target in ["deploy", "gitlab-secret"] {
        cluster.make(&[target]).failure(2).says("hint: makeinfra rotate");
    }
    cluster.was_left_alone();
}

#[test]
fn who_owns_just_the_namespace_may_deploy() {
    let cluster = StandIn::new();
    cluster.answers(&[fails("get namespace", FORBIDDEN)]);
    let output = cluster.make(&["deploy"]).success();
    assert_eq!(output.stderr, "", "an answer that is expected is no error");
    assert!(cluster.steps().contains(&"rollout status deployment/hello".into()));
}

#[test]
fn a_namespace_out_of_reach_is_said_with_what_an_administrator_types() {
    let create = r#"Error from server (Forbidden): namespaces "hello" is forbidden: User "eve" cannot patch resource "namespaces" in API group "" in the namespace "hello""#;
    for arms in [
        // Missing, and it may not be created.
        vec![prints("get namespace", ""), fails("apply*namespace.yaml", create)],
        // It may not even be asked for, and nothing else may be done.
        vec![fails("get namespace", FORBIDDEN), fails(APPLY_SECRET, SECRETS_FORBIDDEN)],
        vec![fails("get namespace", FORBIDDEN), fails(APPLY_SECRET, NO_NAMESPACE)],
    ] {
        let cluster = StandIn::new();
        cluster.answers(&arms);
        let output = cluster.make(&["deploy"]).failure(2);
        output.says("namespace `hello` is missing or out of reach");
        output.says("kubectl apply -f kubernetes/overlays/production/namespace.yaml").says("rolebinding");
        assert!(!cluster.steps().contains(&"apply kubernetes".into()), "it went on");
        assert!(
            !output.stderr.contains("error: error:") && !output.stderr.contains("Error from"),
            "{}",
            output.stderr
        );
    }
}

#[test]
fn a_namespace_that_is_being_deleted_is_said() {
    let text = r#"Error from server (Forbidden): secrets "gitlab" is forbidden: unable to create new content in namespace hello because it is being terminated"#;
    let cluster = StandIn::new();
    cluster.answers(&[fails(APPLY_SECRET, text)]);
    cluster.make(&["deploy"]).failure(2).says("is being deleted: wait");
}

#[test]
fn an_unreachable_server_ends_every_target() {
    let cluster = StandIn::new();
    let log = "E1125 01:53:03.028820    6591 memcache.go:265] \"Unhandled Error\" err=\"connection refused\"";
    let config = prints("config view", "test-context");
    cluster.answers(&[config, fails("", &format!("{log}\n{log}\n{UNREACHABLE}"))]);
    for target in
        ["deploy", "namespace", "gitlab-secret", "diff", "status", "logs", "restart", "rollback", "undeploy"]
    {
        let output = cluster.make(&[target, "YES=1"]).failure(2);
        output.says(UNREACHABLE);
        assert!(!output.stderr.contains("out of reach for this user"), "{target}: {}", output.stderr);
    }
    let output = cluster.make(&["deploy"]).failure(2);
    assert!(!output.stderr.contains("memcache"), "kubectl's log lines are left out:\n{}", output.stderr);
}

#[test]
fn a_secret_whose_type_changed_is_replaced() {
    let cluster = StandIn::new();
    let once = format!(
        "*apply*gitlab.secret.yaml*) grep -q delete \"${{0%/*}}/calls\" || {{ echo '{IMMUTABLE}' >&2; exit 1; }}; echo made ;;\n"
    );
    cluster.answers(&[once]);
    let output = cluster.make(&["gitlab-secret"]).success();
    assert!(output.stdout.contains("its type changed"), "{}", output.stdout);
    assert_eq!(
        cluster.steps()[1..],
        [
            "apply secrets/kubernetes/gitlab.secret.yaml",
            "delete secret gitlab",
            "apply secrets/kubernetes/gitlab.secret.yaml",
            "annotate secret gitlab kubectl.kubernetes.io/last-applied-configuration-",
        ]
    );
}

#[test]
fn nothing_but_a_changed_type_deletes_the_secret() {
    for text in [
        r#"The Secret "gitlab" is invalid: data[.dockercfg]: Required value"#,
        r#"The Secret "gitlab" is invalid: data[.dockercfg]: Invalid value: "<secret contents redacted>": invalid character 'o' in literal false (expecting 'a')"#,
        &format!("{IMMUTABLE}\n* data[.dockercfg]: Required value"),
        r#"The Secret "gitlab" is invalid: data: Forbidden: field is immutable when `immutable` is set"#,
        SECRETS_FORBIDDEN,
        UNREACHABLE,
        "error: timed out",
    ] {
        let cluster = StandIn::new();
        cluster.answers(&[fails(APPLY_SECRET, text)]);
        let output = cluster.make(&["deploy"]).failure(2);
        output.says(text.lines().last().unwrap().rsplit(": ").next().unwrap());
        assert!(!cluster.steps().iter().any(|step| step.starts_with("delete")), "{text}");
        let last = cluster.steps().pop().unwrap();
        assert_eq!(last, "apply secrets/kubernetes/gitlab.secret.yaml", "it went on");
    }
}

#[test]
fn what_the_cluster_quotes_of_a_secret_is_not_shown() {
    let cluster = StandIn::new();
    let [plain, base64, nested] = [0, 1, 4].map(|at| needles(TOKEN)[at].clone());
    for text in [
        format!(
            "Error from server: failed to create typed patch object (hello/gitlab; /v1, Kind=Secret): .stringData: expected map, got &{{{TOKEN}}}"
        ),
        format!(
            "Error from server: failed to create typed patch object (hello/gitlab; /v1, Kind=Secret): .data: expected map, got &{{{nested}}}"
        ),
        format!("error: unable to decode \"x\": illegal base64 data: {base64}"),
        format!("error: error parsing x: could not find expected ':' near {plain}"),
    ] {
        cluster.answers(&[fails(APPLY_SECRET, &text), arm("diff*gitlab.secret.yaml", &text, ">&2; exit 2")]);
        for target in ["deploy", "gitlab-secret", "diff"] {
            cluster.make(&[target]).failure(2).says("error: ");
        }
    }
}

// diff

#[test]
fn diff_says_whether_anything_would_change() {
    let cluster = StandIn::new();
    let output = cluster.make(&["diff"]).success();
    assert_eq!(output.stdout, "no differences\n");
    assert!(!cluster.steps().iter().any(|step| step.starts_with("apply")));
    cluster.answers(&[differs("diff*--kustomize", "-  replicas: 2\n+  replicas: 3")]);
    let output = cluster.make(&["diff"]).failure(2);
    assert!(output.stdout.contains("+  replicas: 3") && !output.stdout.contains("no differences"));
    cluster.answers(&[arm("diff*gitlab.secret.yaml", IMMUTABLE, ">&2; exit 2")]);
    assert!(
        cluster.make(&["diff"]).failure(2).stdout.contains("its type changed: make deploy would replace it")
    );
    cluster.answers(&[arm("diff*--kustomize", UNREACHABLE, ">&2; exit 2")]);
    cluster.make(&["diff"]).failure(2).says(UNREACHABLE);
}

#[test]
fn differences_that_are_asked_for_are_no_failure_but_a_failed_diff_is() {
    let cluster = StandIn::new();
    for (words, text) in
        [("diff*--kustomize", "+  replicas: 3"), ("diff*gitlab.secret.yaml", "+  .dockercfg: ***")]
    {
        cluster.answers(&[differs(words, text)]);
        assert!(cluster.make(&["diff", "CHANGES=ok"]).success().stdout.contains(text));
        for args in [&["diff"][..], &["diff", "CHANGES="], &["diff", "CHANGES=no"]] {
            cluster.make(args).env("CHANGES", "ok").failure(2);
        }
    }
    cluster.answers(&[prints("get namespace", "")]);
    let output = cluster.make(&["diff", "CHANGES=ok"]).success();
    assert!(output.stdout.contains("everything would be created"), "{}", output.stdout);
    for words in ["diff*--kustomize", "diff*gitlab.secret.yaml"] {
        cluster.answers(&[arm(words, UNREACHABLE, ">&2; exit 2")]);
        cluster.make(&["diff", "CHANGES=ok"]).failure(2).says(UNREACHABLE);
    }
}

#[test]
fn diff_of_a_missing_namespace_names_what_would_be_created() {
    if !have("kubectl") {
        return;
    }
    let cluster = StandIn::new();
    let real = cluster.sandbox.run("sh", &["-c", "command -v kubectl"]).success().stdout;
    let kustomize = format!("'kustomize kubernetes') exec {} \"$@\" ;;\n", real.trim());
    cluster.answers(&[prints("get namespace", ""), kustomize]);
    let output = cluster.make(&["diff"]).failure(2);
    for line in ["namespace/hello", "secret/gitlab", "deployment/hello", "service/hello"] {
        assert!(output.stdout.lines().any(|shown| shown == line), "{line}:\n{}", output.stdout);
    }
}

#[test]
fn diff_never_shows_what_is_in_the_secret() {
    let secret = fs::read_to_string(Sandbox::with_hello().hello(SECRET)).unwrap();
    let data = secret.lines().find(|line| line.contains(".dockercfg:")).unwrap().trim();
    // kubectl 1.20 masks nothing, or one side; the annotation is what a client-side apply leaves.
    let text = format!(
        "diff -u -N /tmp/LIVE-1/v1.Secret.hello.gitlab /tmp/MERGED-2/v1.Secret.hello.gitlab\n--- /tmp/LIVE-1/v1\n+++ /tmp/MERGED-2/v1\n\
         @@ -1,6 +1,6 @@\n apiVersion: v1\n data:\n-  {data}\n+  .dockercfg: '***'\n   unchanged: {TOKEN}\n kind: Secret\n metadata:\n   \
         annotations:\n-    kubectl.kubernetes.io/last-applied-configuration: |\n-      {{\"apiVersion\":\"v1\",\"data\":{{\"{}\"}}}}\n\
         +    makeinfra/expires-at: \"2030-01-01\"\n   name: gitlab",
        data.replace(": ", "\":\"")
    );
    let cluster = StandIn::new();
    cluster.answers(&[differs("diff*gitlab.secret.yaml", &text)]);
    let output = cluster.make(&["diff"]).failure(2);
    for shown in ["-  .dockercfg: ***", "+  .dockercfg: ***", "+    makeinfra/expires-at: \"2030-01-01\""] {
        assert!(output.stdout.lines().any(|line| line == shown), "{shown}:\n{}", output.stdout);
    }
    cluster.saw_no_token();
}

// undeploy

#[test]
fn undeploy_without_a_terminal_wants_a_yes() {
    let cluster = StandIn::new();
    for args in [
        &["undeploy"][..],
        &["undeploy", "YES="],
        &["undeploy", "YES=0"],
        &["undeploy", "YES=$(shell touch x)"],
    ] {
        cluster.make(args).stdin("y\n").failure(2).says("no terminal to ask on").says("make undeploy YES=1");
    }
    cluster.make(&["undeploy"]).env("YES", "`touch x`\n1").failure(2);
    cluster.was_left_alone();
    assert_eq!(cluster.sandbox.git(&["status", "--porcelain"]).success().stdout, "");
}

#[test]
fn undeploy_leaves_the_namespace() {
    let cluster = StandIn::new();
    let output = cluster.make(&["undeploy", "YES=1"]).success();
    assert!(output.stdout.contains("namespace hello stays"), "{}", output.stdout);
    assert_eq!(cluster.steps()[1..3], ["delete kubernetes", "delete secret gitlab"]);
    assert!(!cluster.steps().iter().any(|step| step.contains("configmaps")), "it has none");
    let kustomization =
        fs::read_to_string(cluster.sandbox.hello("kubernetes/overlays/production/kustomization.yaml"))
            .unwrap();
    assert!(!kustomization.contains("namespace.yaml"));
}

#[test]
fn undeploy_asks_on_a_terminal() {
    for (reply, deletes) in [("n", false), ("", false), ("maybe", false), ("y", true), ("yes", true)] {
        let cluster = StandIn::new();
        let mut command = cluster.make(&["undeploy"]).command();
        command.stdin(Stdio::inherit());
        let options = Options::new().timeout_ms(Some(10_000));
        let mut terminal = spawn_with_options(command, options).unwrap();
        let before = terminal.exp_string("Delete hello").unwrap();
        assert!(before.contains("test-context"), "it says where before it asks: {before}");
        terminal.exp_string("[y/N]").unwrap();
        terminal.send_line(reply).unwrap();
        let shown = terminal.exp_eof().unwrap();
        assert_eq!(shown.contains("nothing was changed"), !deletes, "{reply}: {shown}");
        assert_eq!(cluster.steps().iter().any(|step| step.starts_with("delete")), deletes, "{reply}");
    }
}
