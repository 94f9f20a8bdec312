//! What the targets of make do about several components and kinds of workloads.
//! The same against a real cluster: `cluster/workloads.rs`.

use super::stand_in::{StandIn, arm, differs, fails, prints};
use super::workloads::everything;
use std::fs;

/// What kustomize makes of [`everything`], in short, and of something that somebody added.
const BUILT: &str = "apiVersion: v1\ndata:\n  name: not-this\nkind: ConfigMap\nmetadata:\n  name: hello-abc\n---\n\
    apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  labels:\n    name: x\n  name: hello\nspec:\n  name: y\n---\n\
    kind: Deployment\nmetadata:\n  name: worker\n---\nkind: StatefulSet\nmetadata:\n  name: 'added'\n---\n\
    kind: CronJob\nmetadata:\n  name: nightly\n---\nkind: Job\nmetadata:\n  name: migrate\nspec:\n  ours: 1\n";

const IMMUTABLE: &str = r#"The Job "migrate" is invalid: spec.template: Invalid value: {"spec":{"containers":[{"args":["migrate"]}]}}: field is immutable"#;

fn built() -> String {
    prints("kustomize kubernetes", BUILT)
}

/// The state of the Job.
fn job(state: &str) -> String {
    prints("get job/migrate*status.conditions", state)
}

/// A cluster where all is well, with these answers before.
fn cluster(arms: &[String]) -> StandIn {
    let cluster = StandIn { sandbox: everything(&[]) };
    answers(&cluster, arms);
    cluster
}

fn answers(cluster: &StandIn, arms: &[String]) {
    cluster.answers(&[arms, &[job("Complete"), built()]].concat());
}

/// The steps that begin so, in their order.
fn steps(cluster: &StandIn, starts: &[&str]) -> Vec<String> {
    let wanted = |step: &String| starts.iter().any(|start| step.starts_with(start));
    cluster.steps().into_iter().filter(wanted).collect()
}

#[test]
fn deploy_waits_for_jobs_and_then_for_all_that_runs_always() {
    let cluster = cluster(&[]);
    let output = cluster.make(&["deploy"]).success();
    assert!(output.stdout.contains("job/migrate is complete\n"), "{}", output.stdout);
    let waits = ["get job/migrate", "get job/migrate", "rollout status deployment/hello"];
    let rest = ["rollout status deployment/worker", "rollout status statefulset/added"];
    assert_eq!(steps(&cluster, &["get job", "rollout", "delete"]), [&waits[..], &rest].concat());
    cluster.saw_no_token();
}

#[test]
fn a_job_whose_template_changed_is_replaced_and_nothing_else_is() {
    let cluster = cluster(&[]);
    let once = |text: &str| {
        format!(
            "*apply*--kustomize*) echo 'service/hello applied'; grep -q delete \"${{0%/*}}/calls\" || {{ printf '%s\\n' '{text}' >&2; exit 1; }} ;;\n"
        )
    };
    answers(&cluster, &[once(IMMUTABLE)]);
    let output = cluster.make(&["deploy"]).success();
    assert!(output.stdout.contains("job/migrate: its template changed"), "{}", output.stdout);
    assert!(!output.stderr.contains("migrate") && !output.stdout.contains("containers"), "{}", output.stderr);
    let applied = ["apply kubernetes", "delete job/migrate", "apply kubernetes"];
    assert_eq!(steps(&cluster, &["apply kubernetes", "delete"])[..3], applied);

    for text in [
        r#"The Job "migrate" is invalid: spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0"#,
        r#"The Deployment "worker" is invalid: spec.selector: Invalid value: {}: field is immutable"#,
        "The Job \"migrate\" is invalid: spec.completions: Required value\nThe Service \"hello\" is invalid: spec.clusterIP: Invalid value: field is immutable",
        r#"Error from server (Forbidden): jobs.batch "migrate" is forbidden: User "eve" cannot patch"#,
    ] {
        answers(&cluster, &[fails("apply*--kustomize", text)]);
        cluster.make(&["deploy"]).failure(2).says(text.rsplit(": ").next().unwrap());
        assert_eq!(steps(&cluster, &["delete", "rollout"]), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn a_job_that_failed_is_told_and_starts_again_with_the_next_deploy() {
    let cluster = cluster(&[job("FailureTarget Failed"), prints("logs", "[pod/migrate-x] no such table")]);
    let output = cluster.make(&["deploy"]).failure(2);
    assert!(output.stdout.contains("job/migrate: it failed: once more"), "{}", output.stdout);
    output.says("error: job/migrate failed\n").says("hint: make status, make logs APP=migrate");
    assert!(output.stdout.contains("last lines\n[pod/migrate-x] no such table"), "{}", output.stdout);
    assert_eq!(steps(&cluster, &["delete"]), ["delete job/migrate"]);

    // One that is not there yet, or goes on, is not deleted.
    answers(&cluster, &[job("")]);
    cluster.make(&["deploy", "ROLLOUT_TIMEOUT=1s"]).failure(2).says("job/migrate is not complete after 1s");
    assert_eq!(steps(&cluster, &["delete"]), Vec::<String>::new());
    for time in ["soon", "5", "1x", "-1s"] {
        let output = cluster.make(&["deploy", &format!("ROLLOUT_TIMEOUT={time}")]).failure(2);
        output.says("ROLLOUT_TIMEOUT is no time");
    }
}

#[test]
fn reasons_name_the_file_and_the_image_of_the_component() {
    let cluster = cluster(&[]);
    for (workload, reasons, said) in [
        (
            "deployment/worker",
            "worker: OOMKilled",
            "resources.limits.memory in kubernetes/base/worker-deployment.yaml",
        ),
        ("statefulset/added", "added: OOMKilled", "in the manifest of statefulset/added"),
        ("deployment/hello", "hello: OOMKilled", "in kubernetes/base/deployment.yaml"),
        ("deployment/worker", "worker: CrashLoopBackOff", "make logs APP=worker"),
    ] {
        answers(
            &cluster,
            &[
                fails(&format!("rollout status {workload}"), "error: timed out"),
                prints("get pods*containerStatuses", reasons),
            ],
        );
        let output = cluster.make(&["deploy"]).failure(2);
        output.says(&format!("error: the rollout of {workload} failed: ")).says(said);
    }
    let missing = "migrate: ErrImagePull rpc error: code = NotFound desc = not found";
    let image = "registry.gitlab.com/group/tool:2";
    answers(
        &cluster,
        &[
            fails("rollout status deployment/worker", "error: timed out"),
            prints("get deployment/worker*image", image),
            prints("get pods*containerStatuses", missing),
        ],
    );
    let output = cluster.make(&["deploy"]).failure(2);
    output.says(&format!("the registry has no {image}"));
    output.says("make set-image IMAGE=registry.gitlab.com/group/tool TAG=...");
}

#[test]
fn app_chooses_one_component() {
    let cluster = cluster(&[]);
    cluster.make(&["restart"]).success();
    let all = ["deployment/hello", "deployment/worker", "statefulset/added"];
    assert_eq!(steps(&cluster, &["rollout restart"]), all.map(|one| format!("rollout restart {one}")));
    for (args, call) in [
        (&["restart", "APP=worker"][..], "rollout restart deployment/worker"),
        (&["rollback"], "rollout undo deployment/hello"),
        (&["rollback", "APP=worker"], "rollout undo deployment/worker"),
    ] {
        answers(&cluster, &[]);
        cluster.make(args).success();
        let calls = steps(&cluster, &["rollout restart", "rollout undo"]);
        assert_eq!(calls, [call], "{args:?}");
    }
    answers(&cluster, &[]);
    cluster.make(&["logs", "APP=nightly"]).success();
    let part = "--selector=app.kubernetes.io/part-of=hello";
    let nightly = format!("{part},app.kubernetes.io/name=nightly");
    assert!(cluster.calls().concat().contains(&nightly), "{:?}", cluster.calls());
    cluster.make(&["logs"]).env("APP", "nightly").success();
    assert!(cluster.calls().last().unwrap().contains(&part.to_owned()), "the environment chooses none");
    for target in ["logs", "restart", "rollback", "run"] {
        for evil in ["other", "$(shell touch x)", "`touch x`", "; touch x", "hello\nworker", "hell.", "-A"] {
            answers(&cluster, &[]);
            let output = cluster.make(&[target, &format!("APP={evil}")]).failure(2);
            output.says(&format!("make {target} knows no `")).says("hint: APP= is one of: ");
            assert!(!cluster.sandbox.hello("x").exists(), "{evil}");
            assert!(steps(&cluster, &["rollout", "logs", "create"]).is_empty(), "{evil}");
        }
    }
}

#[test]
fn a_cronjob_is_started_once() {
    let cluster = cluster(&[]);
    cluster.make(&["run"]).success().prints("next: make logs APP=nightly");
    let created = steps(&cluster, &["create"]);
    let (name, rest) = created[0].split_at("create job nightly-".len());
    assert!(name == "create job nightly-" && rest.len() == 10, "{created:?}");
    assert!(cluster.calls().concat().contains(&"--from=cronjob/nightly".to_owned()));
    cluster.answers(&[prints(
        "kustomize kubernetes",
        &format!("{BUILT}---\nkind: CronJob\nmetadata:\n  name: weekly"),
    )]);
    cluster.make(&["run"]).failure(2).says("there are several CronJobs").says("one of: nightly weekly");
    cluster.make(&["run", "APP=weekly"]).success();
    // Where there is none, there is no such target.
    let plain = StandIn::new();
    assert!(!fs::read_to_string(plain.sandbox.hello("Makefile")).unwrap().contains("CronJob"));
}

#[test]
fn with_cronjobs_alone_there_is_nothing_to_wait_for() {
    let cluster = cluster(&[]);
    cluster.answers(&[prints("kustomize kubernetes", "kind: CronJob\nmetadata:\n  name: nightly")]);
    cluster.make(&["deploy"]).success();
    assert_eq!(steps(&cluster, &["rollout", "get job", "delete"]), Vec::<String>::new());
    cluster.make(&["restart"]).failure(2).says("nothing here runs all the time");
    cluster.make(&["rollback"]).failure(2).says("nothing here runs all the time");
    cluster.make(&["status"]).success();
    assert!(cluster.steps().iter().any(|step| step.contains("cronjobs,jobs,pods")), "{:?}", cluster.steps());
}

#[test]
fn diff_shows_all_that_it_can_compare() {
    let cluster = cluster(&[
        arm("diff*--kustomize", IMMUTABLE, ">&2; exit 2"),
        "*'diff '*'--filename=-'*) cat >\"${0%/*}/rest\"; echo '+  replicas: 3'; exit 1 ;;\n".to_owned(),
    ]);
    let output = cluster.make(&["diff", "CHANGES=ok"]).success();
    let shown = "job/migrate: its template changed: make deploy would replace it\n+  replicas: 3\n";
    assert!(output.stdout.starts_with(shown), "{}", output.stdout);
    let rest = fs::read_to_string(cluster.sandbox.path("bin/rest")).unwrap();
    assert!(rest.contains("name: nightly") && rest.contains("name: not-this"), "{rest}");
    assert!(!rest.contains("migrate") && !rest.contains("ours: 1"), "{rest}");
    cluster.make(&["diff"]).failure(2);
    answers(&cluster, &[differs("diff*--kustomize", "+  replicas: 3")]);
    cluster.make(&["diff"]).failure(2);
}

#[test]
fn undeploy_takes_the_settings_of_before_along() {
    let cluster = cluster(&[]);
    cluster.make(&["undeploy", "YES=1"]).success();
    let deleted = ["delete kubernetes", "delete secret gitlab", "delete configmaps"];
    assert_eq!(steps(&cluster, &["delete"]), deleted);
    let selector = "--selector=app.kubernetes.io/part-of=hello,app.kubernetes.io/managed-by=makeinfra";
    assert!(cluster.calls().concat().contains(&selector.to_owned()));
}

#[test]
fn set_image_knows_every_image() {
    let cluster = cluster(&[]);
    let file = || {
        fs::read_to_string(cluster.sandbox.hello("kubernetes/overlays/production/kustomization.yaml"))
            .unwrap()
    };
    let before = file();
    let tool = "IMAGE=registry.gitlab.com/group/tool";
    cluster.make(&["set-image", tool, "TAG=3"]).success().prints("registry.gitlab.com/group/tool:3");
    assert_eq!(file(), before.replace("newTag: \"2\"", "newTag: \"3\""));
    cluster.make(&["set-image", "TAG=1.1.0"]).env("IMAGE", "other").success();
    assert!(file().contains("newTag: \"1.1.0\""));
    for evil in ["registry.gitlab.com/group", "", "$(shell touch x)", "registry.gitlab.com/group/tool\nx"] {
        let output = cluster.make(&["set-image", &format!("IMAGE={evil}"), "TAG=4"]).failure(2);
        output.says("one of: registry.gitlab.com/group/hello registry.gitlab.com/group/tool");
    }
    assert!(!cluster.sandbox.hello("x").exists());
}
