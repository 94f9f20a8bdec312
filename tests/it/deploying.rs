//! What `make deploy` and similar targets ask a cluster, and how they handle its answers.
//! `cluster.rs` uses a real API server.

use super::environments::with_environments;
use super::stand_in::{StandIn, arm, differs, fails, prints};
use super::support::{Output, SECRET, TOKEN, assert_no_token, mode, needles};
use rexpect::reader::Options;
use rexpect::session::spawn_with_options;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

const OVERLAY: &str = "kubernetes/overlays/production";
const FORBIDDEN: &str = r#"Error from server (Forbidden): namespaces "hello" is forbidden: User "eve" cannot get resource "namespaces" in API group "" in the namespace "hello""#;
const NO_NAMESPACE: &str = r#"Error from server (NotFound): namespaces "hello" not found"#;
pub const TYPE_CHANGED: &str = r#"The Secret "gitlab" is invalid: type: Invalid value: "kubernetes.io/dockerconfigjson": field is immutable"#;
pub const JOB_CHANGED: &str = r#"The Job "migrate" is invalid: spec.template: Invalid value: {"Spec":{"Containers":[{"Args":["migrate"]}]}}: field is immutable"#;
const UNREACHABLE: &str = "The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?";
const KINDS: &str = "configmaps,secrets,services,ingresses,serviceaccounts,deployments,statefulsets,daemonsets,jobs,\
                     cronjobs,horizontalpodautoscalers,poddisruptionbudgets,networkpolicies";

/// Expects no token in the output.
#[track_caller]
fn tells_no_token(output: &Output) {
    assert_no_token(output.stdout.as_bytes(), "stdout");
    assert_no_token(output.stderr.as_bytes(), "stderr");
}

/// Several errors from one kubectl.
pub fn one_of_several(error: &str) -> String {
    let text = error.replacen("The Job", "Job.batch", 1).replacen("The Secret", "Secret", 1);
    format!("Error from server (Invalid): {text}")
}

/// The steps that change something.
fn changes(cluster: &StandIn) -> Vec<String> {
    let changes = |step: &String| {
        step.starts_with("delete") || step.starts_with("apply") && !step.ends_with(" server")
    };
    cluster.steps().into_iter().filter(changes).collect()
}

#[test]
fn make_n_shows_the_kubectl_commands_of_a_deploy() {
    let cluster = StandIn::new();
    let printed = cluster.make(&["-n", "deploy"]).success().stdout;
    let apply = "apply --server-side --force-conflicts --field-manager=makeinfra";
    for command in [
        format!("kubectl --namespace=hello {apply} --filename={OVERLAY}/namespace.yaml"),
        format!("kubectl --namespace=hello {apply} --kustomize={OVERLAY}"),
        "kubectl --namespace=hello rollout status deployments,statefulsets,daemonsets --selector="
            .to_owned(),
        "makeinfra/project=hello,makeinfra/environment=production".to_owned(),
        "--timeout=\"$ROLLOUT_TIMEOUT\"".to_owned(),
    ] {
        assert!(printed.contains(&command), "{command}:\n{printed}");
    }
    let both = StandIn { sandbox: with_environments(&["--context", "production=prd"]) };
    let printed = both.make(&["-n", "deploy", "ENV=production"]).success().stdout;
    assert!(
        printed.contains("kubectl --namespace=hello-production --context=prd apply "),
        "{printed}"
    );
    both.answers(&[]);
    both.make(&["-n", "undeploy", "ENV=staging"]).success();
    assert_eq!(both.calls(), Vec::<Vec<String>>::new());
}

#[test]
fn a_first_deploy_reaches_the_cluster_eight_times() {
    let cluster = StandIn::new();
    cluster.answers(&[prints("get namespace", "")]);
    let output = cluster.make(&["deploy"]).success();
    tells_no_token(&output);
    cluster.saw_no_token();
    let steps = [
        "get namespace hello",
        "apply kubernetes/overlays/production/namespace.yaml",
        "apply kubernetes/overlays/production server",
        "get jobs,pods",
        "apply kubernetes/overlays/production",
        "rollout status deployments,statefulsets,daemonsets",
        "get replicasets,controllerrevisions,pods,jobs",
        &format!("get {KINDS}"),
    ];
    assert_eq!(cluster.reaching(), steps);
    output.prints("environment production, namespace hello, context test-context\n");
    for call in cluster.calls().iter().filter(|call| call.contains(&"apply".to_owned())) {
        let wanted = [
            "--server-side",
            "--force-conflicts",
            "--field-manager=makeinfra",
            "--namespace=hello",
        ];
        assert!(wanted.iter().all(|option| call.contains(&(*option).to_owned())), "{call:?}");
    }
    // An existing namespace is not touched, and several targets run one after the other.
    for args in [&["deploy"][..], &["-j4", "deploy"], &["--jobs", "--keep-going", "deploy"]] {
        cluster.answers(&[]);
        cluster.make(args).success();
        assert_eq!(cluster.reaching()[1..], steps[2..], "{args:?}");
    }
}

#[test]
fn the_timeout_of_the_rollout_can_be_chosen_and_is_checked_first() {
    let cluster = StandIn::new();
    for target in ["deploy", "restart", "rollback"] {
        cluster.answers(&[]);
        cluster.make(&[target, "ROLLOUT_TIMEOUT=5m"]).success();
        let waits = |call: &Vec<String>| {
            call.contains(&"status".into()) && call.contains(&"--timeout=5m".into())
        };
        assert!(cluster.calls().iter().any(waits), "{:?}", cluster.calls());
        for wrong in ["", "x", "5", "-1s", "1s;touch made", "$(shell touch made)9s"] {
            cluster.answers(&[]);
            let output = cluster.make(&[target, &format!("ROLLOUT_TIMEOUT={wrong}")]).failure(2);
            output.says("ROLLOUT_TIMEOUT= must be like 90s or 5m");
            assert_eq!(changes(&cluster), Vec::<String>::new());
        }
    }
    assert!(!cluster.sandbox.hello("made").exists());
}

#[test]
fn a_locked_file_never_reaches_kubectl() {
    let cluster = StandIn::new();
    let blob =
        cluster.sandbox.git(&["cat-file", "blob", &format!("HEAD:{SECRET}")]).success().bytes;
    fs::write(cluster.sandbox.hello(SECRET), blob).unwrap();
    for target in ["deploy", "gitlab-secret", "diff", "prune"] {
        // `-i` continues after a failed command, but none follows.
        for args in [&[target][..], &["-i", target], &["-k", target]] {
            let output = cluster.make(args).output();
            output.says("error: locked: secrets/kubernetes/gitlab.secret.yaml\nhint: git-crypt unlock KEY_FILE, or git-crypt unlock if your GPG key was added\n");
            cluster.was_left_alone();
        }
    }
    for target in ["restart", "rollback", "status"] {
        cluster.make(&[target]).success();
    }
}

#[test]
fn what_was_decrypted_is_closed_to_others() {
    for target in ["setup", "deploy", "diff"] {
        let cluster = StandIn::new();
        let path = cluster.sandbox.hello(SECRET);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        cluster.make(&[target]).success();
        assert_eq!(mode(&path), 0o600, "{target}");
    }
}

#[test]
fn without_a_pull_secret_nothing_is_deployed() {
    let cluster = StandIn::new();
    fs::remove_dir_all(cluster.sandbox.work("hello-infra")).unwrap();
    cluster.sandbox.new_without_token(&[]).success();
    for target in ["deploy", "gitlab-secret"] {
        cluster
            .make(&[target])
            .failure(2)
            .says("error: no pull secret yet\nhint: makeinfra rotate\n");
    }
    cluster.was_left_alone();
}

#[test]
fn two_namespaces_of_one_overlay_are_refused() {
    let cluster = StandIn::new();
    cluster.sandbox.edit(
        &format!("{OVERLAY}/kustomization.yaml"),
        "namespace: hello",
        "namespace: other",
    );
    for target in ["deploy", "diff", "gitlab-secret", "prune"] {
        cluster
            .make(&[target])
            .failure(2)
            .says("error: two namespaces: `other` in")
            .says("`hello` in its");
        cluster.was_left_alone();
    }
}

#[test]
fn who_may_not_look_at_the_namespace_may_deploy() {
    let cluster = StandIn::new();
    cluster.answers(&[fails("get namespace", FORBIDDEN)]);
    assert_eq!(
        cluster.make(&["deploy"]).success().stderr,
        "",
        "an answer that is expected is no error"
    );
}

#[test]
fn what_kubectl_says_is_shown_as_it_is_and_ends_every_target() {
    let cluster = StandIn::new();
    let [context, other] =
        [prints("config view", "test-context"), arm("", UNREACHABLE, ">&2; exit 2")];
    cluster.answers(&[context, other]);
    for target in [
        "deploy",
        "namespace",
        "gitlab-secret",
        "diff",
        "status",
        "logs",
        "restart",
        "rollback",
        "undeploy",
        "prune",
    ] {
        let takes_yes = !["diff", "status", "logs"].contains(&target);
        let mut args = vec![target];
        args.extend(takes_yes.then_some("YES=1"));
        let output = cluster.make(&args).failure(2);
        assert!(output.stderr.starts_with(UNREACHABLE), "{target}: {}", output.stderr);
        assert_eq!(changes(&cluster), Vec::<String>::new(), "{target}");
    }
    // A template is shortened to a thousand characters.
    cluster.answers(&[fails("--dry-run=server", &format!("error: {}", "x".repeat(3000)))]);
    let output = cluster.make(&["deploy"]).failure(2);
    assert_eq!(output.stderr.lines().next().unwrap().len(), 1000);
}

#[test]
fn an_objection_of_the_server_changes_nothing() {
    for text in [
        r#"The Service "hello" is invalid: spec.ports[0].name: Invalid value: "HTTP_""#.to_owned(),
        r#"The Secret "gitlab" is invalid: data[.dockercfg]: Required value"#.to_owned(),
        format!("{}\n{}", one_of_several(TYPE_CHANGED), one_of_several(r#"The Job "x" is invalid: spec.x: Required"#)),
        r#"The Secret "gitlab" is invalid: [type: Invalid value: "x": field is immutable, data[.dockercfg]: Required value]"#
            .to_owned(),
        r#"The Secret "gitlab" is invalid: data: Forbidden: field is immutable when `immutable` is set"#.to_owned(),
        r#"The Deployment "hello" is invalid: spec.selector: Invalid value: {}: field is immutable"#.to_owned(),
        NO_NAMESPACE.to_owned(),
    ] {
        let cluster = StandIn::new();
        cluster.answers(&[fails("--dry-run=server", &format!("service/hello serverside-applied (x)\n{text}"))]);
        let output = cluster.make(&["deploy"]).failure(2);
        assert!(output.stderr.starts_with(&text), "{text}: {}", output.stderr);
        assert_eq!(changes(&cluster), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn jobs_and_secrets_that_can_only_be_replaced_are() {
    let both = format!("{}\n{}", one_of_several(JOB_CHANGED), one_of_several(TYPE_CHANGED));
    for (text, deleted) in [
        (TYPE_CHANGED, "secret/gitlab"),
        (JOB_CHANGED, "job/migrate"),
        (&both, "job/migrate secret/gitlab"),
    ] {
        let cluster = StandIn::new();
        cluster.answers(&[fails("--dry-run=server", &format!("Warning: old\n{text}"))]);
        cluster.make(&["deploy"]).success();
        let wanted = [&format!("delete {deleted}"), "apply kubernetes/overlays/production"];
        assert_eq!(changes(&cluster), wanted);
    }
}

#[test]
fn jobs_that_failed_or_hang_are_replaced_and_hanging_pods_deleted() {
    let cluster = StandIn::new();
    let names = "deployment.apps/hello serverside-applied\njob.batch/migrate serverside-applied\njob.batch/slow serverside-applied";
    let cases = [
        ("Job/migrate /  FailureTarget Failed", "delete job/migrate", true),
        ("Pod/migrate-x Job/migrate ErrImagePull PodScheduled", "delete job/migrate", true),
        (
            "Pod/hello-5d-x ReplicaSet/hello-5d ImagePullBackOff Initialized",
            "delete pod/hello-5d-x",
            false,
        ),
    ];
    for (state, step, before) in cases {
        cluster.answers(&[prints("get jobs,pods", state), prints("apply*--kustomize", names)]);
        cluster.make(&["deploy"]).success();
        let apply = "apply kubernetes/overlays/production";
        assert_eq!(
            changes(&cluster),
            if before { [step, apply] } else { [apply, step] },
            "{state}"
        );
    }
    for other in [
        "Job/migrate /  SuccessCriteriaMet Complete",
        "Job/theirs /  Failed",
        "Pod/theirs-5d-x ReplicaSet/theirs-5d ImagePullBackOff ",
        "Pod/hello-worker-5d-x ReplicaSet/hello-worker-5d ImagePullBackOff ",
        "Pod/hello-5d-x ReplicaSet/hello-5d CrashLoopBackOff Ready",
        "Pod/x / ImagePullBackOff ",
    ] {
        cluster.answers(&[prints("get jobs,pods", other), prints("apply*--kustomize", names)]);
        cluster.make(&["deploy"]).success();
        assert_eq!(changes(&cluster).len(), 1, "{other}");
    }
}

#[test]
fn jobs_are_waited_for_before_the_rollout() {
    let cluster = StandIn::new();
    let names = "deployment.apps/hello serverside-applied\njob.batch/migrate serverside-applied";
    cluster.answers(&[prints("apply*--kustomize", names), prints("get job/migrate", "Complete")]);
    cluster.make(&["deploy"]).success();
    let steps = cluster.steps();
    let at = |start: &str| steps.iter().position(|step| step.starts_with(start)).unwrap();
    assert!(at("wait job/migrate") < at("rollout status"), "{steps:?}");
    cluster.answers(&[
        prints("apply*--kustomize", names),
        prints("get job/migrate", "FailureTarget Failed"),
    ]);
    let output = cluster.make(&["deploy"]).failure(2);
    output.says("error: job/migrate failed\nhint: makeinfra diagnose\n");
    assert!(!cluster.steps().iter().any(|step| step.starts_with("rollout")));
    cluster.answers(&[
        prints("apply*--kustomize", names),
        fails("wait job/migrate", "error: timed out"),
    ]);
    cluster.make(&["deploy"]).failure(2).says("error: job/migrate is not complete");
}

#[test]
fn what_kubectl_quotes_of_a_secret_is_not_shown() {
    let cluster = StandIn::new();
    let file = cluster.sandbox.hello("secrets/kubernetes/database.env");
    let value = "pass word: \"quoted\\\" größe";
    fs::write(&file, format!("PASSWORD={value}\nZm9vYmFyYmF6cXV4==\nflag=1\nUMLAUT=pässwört9ü\n"))
        .unwrap();
    fs::write(cluster.sandbox.hello("secrets/kubernetes/KEY"), "-----BEGIN-----\nMIIEvQIBADAN\n")
        .unwrap();
    let [base64, nested] = [1, 4].map(|at| needles(TOKEN)[at].clone());
    let dockercfg = fs::read_to_string(cluster.sandbox.hello(SECRET)).unwrap();
    let dockercfg = dockercfg
        .lines()
        .find_map(|line| line.trim().strip_prefix(".dockercfg: "))
        .unwrap()
        .to_owned();
    for (text, shown) in [
        (
            format!("error: .data: expected map, got &{{{dockercfg}}}"),
            "error: .data: expected map, got &{***",
        ),
        (format!("error: invalid {value:?} here"), "error: invalid \"***"),
        ("error: keys Zm9vYmFyYmF6cXV4 twice".to_owned(), "error: keys ***"),
        ("error: line [103 108 100 116] has MIIEvQIBADAN".to_owned(), "error: line [***] has ***"),
        // Splitting at non-ASCII characters would leave parts that are too short.
        ("error: bad line pässwört9ü".to_owned(), "error: bad line ***"),
        ("error: the Secret gitlab has no flag".to_owned(), "error: the Secret gitlab has no flag"),
    ] {
        let answer = arm("", &text, ">&2; exit 2");
        cluster.answers(&[prints("get namespace", "namespace/hello"), answer]);
        for target in ["deploy", "gitlab-secret", "diff", "prune"] {
            let output = cluster.make(&[target]).failure(2);
            assert!(output.stderr.contains(shown), "{target}, {shown}: {}", output.stderr);
            for secret in [value, &base64, &nested, "Zm9vYmFy", "MIIEvQ", "103 108"] {
                assert!(
                    !output.stderr.contains(secret) && !output.stdout.contains(secret),
                    "{secret}"
                );
            }
        }
    }
}

// diff

#[test]
fn diff_says_whether_anything_would_change() {
    let cluster = StandIn::new();
    cluster.make(&["diff"]).success();
    assert_eq!(changes(&cluster), Vec::<String>::new());
    for (answer, text) in [
        (differs("diff*--kustomize", "+  replicas: 3"), "+  replicas: 3"),
        (arm("diff*--kustomize", NO_NAMESPACE, ">&2; exit 2"), "namespace hello is missing"),
    ] {
        cluster.answers(&[answer]);
        cluster.make(&["diff"]).failure(2).prints(text);
        cluster.make(&["diff", "CHANGES=ok"]).success().prints(text);
        cluster.make(&["diff", "CHANGES=no"]).env("CHANGES", "ok").failure(2);
    }
    cluster.answers(&[
        arm("diff*--kustomize", UNREACHABLE, ">&2; exit 2"),
        fails("--dry-run=server", UNREACHABLE),
    ]);
    cluster.make(&["diff", "CHANGES=ok"]).failure(2).says(UNREACHABLE);
}

#[test]
fn diff_names_what_can_only_be_replaced_and_compares_the_rest() {
    let cluster = StandIn::new();
    let built = "kind: Job\nmetadata:\n  name: migrate\n---\nkind: Secret\nmetadata:\n  name: gitlab\n---\n\
                 kind: ConfigMap\ndata:\n  name: migrate\nmetadata:\n  name: kept\n---\nkind: Job\nmetadata:\n  name: other";
    let rest =
        "*\"diff \"*--filename=-*) cat >\"${0%/*}/rest\"; echo +more; exit 1 ;;\n".to_owned();
    let both = format!("{}\n{}", one_of_several(JOB_CHANGED), one_of_several(TYPE_CHANGED));
    cluster.answers(&[
        arm("diff*--kustomize", JOB_CHANGED, ">&2; exit 2"),
        fails("--dry-run=server", &both),
        prints("kustomize kubernetes", built),
        rest,
    ]);
    let output = cluster.make(&["diff"]).failure(2);
    assert_eq!(output.stdout, "to be replaced:\njob/migrate\nsecret/gitlab\n+more\n");
    let rest = fs::read_to_string(cluster.sandbox.path("bin/rest")).unwrap();
    assert!(
        !rest.contains("name: gitlab")
            && rest.contains("name: kept")
            && rest.contains("name: other"),
        "{rest}"
    );
    assert!(!rest.contains("kind: Job\nmetadata:\n  name: migrate\n"), "{rest}");
    cluster.make(&["diff", "CHANGES=ok"]).success();
    cluster.saw_no_token();
}

#[test]
fn diff_shows_no_copy_of_a_secret_in_an_annotation() {
    let copy = r#"{"apiVersion":"v1","data":{"PASSWORD":"aHVudGVyMg=="},"kind":"Secret"}"#;
    let cluster = StandIn::new();
    for shown in [
        format!(
            "-    kubectl.kubernetes.io/last-applied-configuration: |\n-      {copy}\n+  labels:"
        ),
        format!("-    kubectl.kubernetes.io/last-applied-configuration: '{copy}'\n   name: db"),
        format!(
            "     kubectl.kubernetes.io/last-applied-configuration: \"{}\"",
            copy.replace('"', "\\\"")
        ),
    ] {
        cluster.answers(&[differs("diff*--kustomize", &shown)]);
        let output = cluster.make(&["diff"]).failure(2);
        assert!(
            !output.stdout.contains("aHVud") && output.stdout.contains("***"),
            "{}",
            output.stdout
        );
    }
}

// leftovers

/// A line for each object with our labels: its name, its owner, and the field managers.
pub fn listed(lines: &[&str]) -> String {
    prints(&format!("get*{KINDS}"), &lines.join("\n"))
}

pub const LISTED: [&str; 8] = [
    "Deployment/hello owner: by:Apply",
    "Deployment/old owner: by:Update Apply",
    "ConfigMap/copied owner: by:",
    "ConfigMap/updated owner: by:Update",
    "Job/nightly-1 owner:0a1b by:Apply",
    "Secret/used-0a owner: by:Apply",
    "ConfigMap/free-0a owner: by:Apply",
    "Secret/gitlab owner: by:Apply",
];

#[test]
fn leftovers_are_named_and_pruned() {
    let cluster = StandIn::new();
    let used = prints("get replicasets,controllerrevisions", "hello used-0a free");
    let answers = [
        used,
        listed(&LISTED),
        prints("get persistentvolumeclaims", "PersistentVolumeClaim/data statefulset/"),
    ];
    cluster.answers(&answers);
    let output = cluster.make(&["deploy"]).success();
    assert!(output.stdout.ends_with("deployment/old\nconfigmap/free-0a\n"), "{}", output.stdout);
    output.says("no longer in git; to delete from the cluster: make prune\n");
    assert_eq!(changes(&cluster).len(), 1);
    cluster
        .make(&["prune"])
        .failure(2)
        .says("not a terminal")
        .prints("persistentvolumeclaim/data stays\n");
    cluster.answers(&answers);
    cluster.make(&["prune", "YES=1"]).success();
    assert_eq!(changes(&cluster), ["delete deployment/old configmap/free-0a"]);
    // Nothing is left over.
    cluster.answers(&[listed(&LISTED[..1])]);
    cluster.make(&["prune"]).success().prints("nothing to delete\n");
    assert_eq!(cluster.make(&["deploy"]).success().stderr, "");
}

#[test]
fn what_may_not_be_listed_is_named_as_not_looked_at() {
    let cluster = StandIn::new();
    let denied = r#"Error from server (Forbidden): networkpolicies.networking.k8s.io is forbidden: User "eve" cannot list resource "networkpolicies" in API group "networking.k8s.io" in the namespace "hello""#;
    cluster.answers(&[fails(
        &format!("get*{KINDS}"),
        &format!("Deployment/old owner: by:Apply\n{denied}"),
    )]);
    let output = cluster.make(&["deploy"]).success();
    output.says("skipped, no permission to list: networkpolicies\n").prints("deployment/old\n");
    // Whether a Secret is in use is undetermined, so nothing is reported as left over.
    cluster.answers(&[
        fails("get replicasets,controllerrevisions", "Error from server (Forbidden): x"),
        listed(&LISTED),
    ]);
    cluster
        .make(&["prune", "YES=1"])
        .success()
        .says("(Forbidden): x")
        .prints("nothing to delete\n");
    cluster.answers(&[fails(&format!("get*{KINDS}"), UNREACHABLE)]);
    cluster.make(&["prune", "YES=1"]).failure(2).says(UNREACHABLE);
    assert_eq!(changes(&cluster), Vec::<String>::new());
}

// undeploy

#[test]
fn undeploy_deletes_what_was_applied_and_names_what_stays() {
    let cluster = StandIn::new();
    let claims =
        "PersistentVolumeClaim/data-db-0 statefulset/db\nPersistentVolumeClaim/keep statefulset/";
    let answers = [
        listed(&[&LISTED[..], &["StatefulSet/db owner: by:Apply"]].concat()),
        prints("get persistentvolumeclaims", claims),
    ];
    cluster.answers(&answers);
    for args in [
        &["undeploy"][..],
        &["undeploy", "YES="],
        &["undeploy", "YES=0"],
        &["undeploy", "YES=$(shell touch x)"],
    ] {
        let output = cluster.make(args).env("YES", "1").stdin("y\n").failure(2);
        output
            .says("Delete these objects? Namespace hello is kept.")
            .says("not a terminal")
            .says("hint: YES=1 confirms");
        output.prints("persistentvolumeclaim/data-db-0 goes\npersistentvolumeclaim/keep stays\n");
        assert_eq!(changes(&cluster), Vec::<String>::new());
    }
    cluster.make(&["undeploy", "YES=1"]).success();
    let all = "delete deployment/hello deployment/old secret/used-0a configmap/free-0a secret/gitlab statefulset/db";
    assert_eq!(changes(&cluster), [all]);
    assert!(!cluster.sandbox.hello("x").exists());
}

#[test]
fn undeploy_asks_on_a_terminal() {
    for (reply, deletes) in
        [("n", false), ("", false), ("maybe", false), ("y", true), ("yes", true)]
    {
        let cluster = StandIn::new();
        cluster.answers(&[listed(&LISTED)]);
        let mut command = cluster.make(&["undeploy"]).command();
        command.stdin(Stdio::inherit());
        let options = Options::new().timeout_ms(Some(10_000));
        let mut terminal = spawn_with_options(command, options).unwrap();
        let before = terminal.exp_string("Delete these").unwrap();
        assert!(before.contains("context test-context"), "it says where before it asks: {before}");
        terminal.exp_string("[y/N]").unwrap();
        terminal.send_line(reply).unwrap();
        let shown = terminal.exp_eof().unwrap();
        assert_eq!(shown.contains("nothing was changed"), !deletes, "{reply}: {shown}");
        assert_eq!(changes(&cluster).len(), usize::from(deletes), "{reply}");
    }
}

#[test]
fn a_protected_environment_changes_only_if_somebody_says_so() {
    let cluster = StandIn { sandbox: with_environments(&[]) };
    let targets = ["deploy", "gitlab-secret", "namespace", "run", "restart", "rollback"];
    for target in targets {
        for flags in [&[][..], &["-i"], &["-k"], &["-o", "confirm"]] {
            cluster.answers(&[]);
            let output = cluster
                .make(&[flags, &[target, "ENV=production"]].concat())
                .env("YES", "1")
                .output();
            output.says(
                "error: cannot ask \"Change production?\": not a terminal\nhint: YES=1 confirms\n",
            );
            cluster.was_left_alone();
        }
        cluster.make(&[target, "ENV=staging"]).success();
        cluster.make(&[target, "ENV=production", "YES=1"]).success();
    }
}
