//! What the targets of make do about several components and kinds of workloads.
//! The same against a real cluster: `cluster/workloads.rs`.

use super::stand_in::{StandIn, arm, fails, prints};
use super::workloads::everything;
use std::fs;

const KINDS: &str = "deployments,statefulsets,daemonsets";
const OURS: &str = "--selector=makeinfra/project=hello,makeinfra/environment=production";

/// The two texts about what is immutable: the first if it is the only error, the other if there are several.
const IMMUTABLE: [&str; 2] = [
    r#"The Job "migrate" is invalid: spec.template: Invalid value: {"spec":{"containers":[{"args":["migrate"]}]}}: field is immutable"#,
    r#"Error from server (Invalid): Job.batch "migrate" is invalid: spec.template: Invalid value: {"spec":{}}: field is immutable"#,
];

/// A cluster where all is well, with these answers before.
fn cluster(arms: &[String]) -> StandIn {
    let cluster = StandIn { sandbox: everything(&[]) };
    answers(&cluster, arms);
    cluster
}

fn answers(cluster: &StandIn, arms: &[String]) {
    let applied = "job.batch/migrate serverside-applied\ndeployment.apps/hello serverside-applied";
    cluster.answers(&[arms, &[prints("apply*--kustomize", applied)]].concat());
}

/// The steps with one of these words, in their order.
fn steps(cluster: &StandIn, verbs: &[&str]) -> Vec<String> {
    let wanted = |step: &String| step.split(' ').any(|word| verbs.contains(&word));
    cluster.steps().into_iter().filter(wanted).collect()
}

#[test]
fn deploy_waits_for_jobs_and_then_for_all_that_runs_always() {
    let cluster = cluster(&[]);
    cluster.make(&["deploy", "ROLLOUT_TIMEOUT=7m"]).success();
    let waits = ["wait job/migrate", &format!("rollout status {KINDS}")];
    assert_eq!(steps(&cluster, &["wait", "rollout", "delete"]), waits);
    for call in cluster.calls().iter().filter(|call| call.contains(&waits[0][..4].to_owned())) {
        assert!(call.contains(&"--timeout=7m".to_owned()), "{call:?}");
    }
    assert!(cluster.calls().iter().any(|call| call.contains(&"status".to_owned()) && call.contains(&OURS.to_owned())));
    cluster.saw_no_token();
}

#[test]
fn a_job_whose_template_changed_is_replaced_and_nothing_else_is() {
    let cluster = cluster(&[]);
    for text in IMMUTABLE {
        answers(&cluster, &[fails("apply*--kustomize*--dry-run=server", text)]);
        let output = cluster.make(&["deploy"]).success();
        assert!(!output.stderr.contains("containers"), "{}", output.stderr);
        let overlay = "apply kubernetes/overlays/production";
        assert_eq!(steps(&cluster, &["apply", "delete"]), [overlay, "delete job/migrate", overlay]);
    }
    for text in [
        r#"The Job "migrate" is invalid: spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0"#,
        r#"The Deployment "worker" is invalid: spec.selector: Invalid value: {}: field is immutable"#,
        "The Job \"migrate\" is invalid: spec.completions: Required value\nThe Service \"hello\" is invalid: spec.clusterIP: Invalid value: field is immutable",
        r#"Error from server (Forbidden): jobs.batch "migrate" is forbidden: User "eve" cannot patch"#,
    ] {
        answers(&cluster, &[fails("apply*--kustomize*--dry-run=server", text)]);
        cluster.make(&["deploy"]).failure(2).says(text);
        assert_eq!(steps(&cluster, &["delete", "rollout"]), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn a_job_that_failed_is_told_and_starts_again_with_the_next_deploy() {
    let failed = [prints("get jobs,pods", "Job/migrate / Failed"), prints("get job/migrate", "FailureTarget Failed")];
    let cluster = cluster(&failed);
    cluster.make(&["deploy"]).failure(2).says("job/migrate failed").says("hint: makeinfra diagnose");
    assert_eq!(steps(&cluster, &["delete", "rollout"]), ["delete job/migrate"]);
    // One that goes on is not deleted.
    answers(&cluster, &[prints("get jobs,pods", "Job/migrate / "), fails("wait", "timed out waiting")]);
    cluster.make(&["deploy"]).failure(2).says("job/migrate is not complete");
    assert_eq!(steps(&cluster, &["delete"]), Vec::<String>::new());
}

#[test]
fn app_chooses_one_component() {
    let cluster = cluster(&[]);
    for (args, verb, app) in [
        (&["restart"][..], "restart", None),
        (&["restart", "APP=worker"], "restart", Some("worker")),
        (&["rollback"], "undo", Some("hello")),
        (&["rollback", "APP=worker", "REVISION=3"], "undo", Some("worker")),
    ] {
        answers(&cluster, &[]);
        cluster.make(args).success();
        let found = steps(&cluster, &["rollout"]);
        assert_eq!(found, [format!("rollout {verb} {KINDS}"), format!("rollout status {KINDS}")]);
        let selector = app.map_or(OURS.to_owned(), |app| format!("{OURS},app.kubernetes.io/name={app}"));
        let calls = cluster.calls();
        let chosen = calls.iter().filter(|call| call.contains(&selector)).count();
        assert_eq!(chosen, 2, "what was not restarted is not waited for: {calls:?}");
    }
    assert!(cluster.calls().concat().contains(&"--to-revision=3".to_owned()));
    answers(&cluster, &[]);
    cluster.make(&["rollback"]).env("REVISION", "42").success();
    assert!(cluster.calls().concat().contains(&"--to-revision=0".to_owned()));

    let part = "--selector=app.kubernetes.io/part-of=hello";
    for (args, wanted) in [
        (&["logs"][..], vec![part.to_owned(), "--tail=100".to_owned()]),
        (
            &["logs", "APP=nightly", "TAIL=5", "FOLLOW=1"],
            vec![format!("{part},app.kubernetes.io/name=nightly"), "--tail=5".into(), "--follow".into()],
        ),
    ] {
        answers(&cluster, &[]);
        cluster.make(args).success();
        let call = cluster.calls().concat();
        assert!(wanted.iter().all(|word| call.contains(word)), "{call:?}");
        assert_eq!(call.contains(&"--follow".to_owned()), args.len() > 1);
    }
}

#[test]
fn a_component_that_is_not_there_is_an_error() {
    for target in ["restart", "rollback"] {
        let cluster = cluster(&[arm("rollout *APP", "", ""), arm("rollout ", "No resources found in hello namespace.", ">&2")]);
        cluster.make(&[target, "APP=nobody"]).failure(2).says("nobody");
    }
}

#[test]
fn a_cronjob_is_started_once() {
    let cluster = cluster(&[]);
    cluster.make(&["run", "APP=nightly"]).success();
    let created = steps(&cluster, &["create"]);
    let date = created[0].strip_prefix("create job nightly-").unwrap_or_else(|| panic!("{created:?}"));
    assert!(date.len() == 10 && date.bytes().all(|letter| letter.is_ascii_digit()), "{created:?}");
    assert_eq!(created.len(), 1);
    assert!(cluster.calls().concat().contains(&"--from=cronjob/nightly".to_owned()));
    // The project's own needs no name.
    answers(&cluster, &[]);
    cluster.make(&["run"]).success();
    assert!(cluster.calls().concat().contains(&"--from=cronjob/hello".to_owned()));
}

#[test]
fn diff_shows_all_that_it_can_compare() {
    let built = "kind: Job\nmetadata:\n  name: migrate\nspec:\n  ours: 1\n---\nkind: CronJob\nmetadata:\n  name: nightly\n---\n\
                 kind: ConfigMap\nmetadata:\n  name: migrate\n---\nkind: Job\nmetadata:\n  name: migrate2";
    let cluster = cluster(&[]);
    for text in IMMUTABLE {
        answers(
            &cluster,
            &[
                arm("diff*--kustomize", text, ">&2; exit 2"),
                fails("apply*--kustomize*--dry-run=server", text),
                prints("kustomize kubernetes", built),
                "*'diff '*'--filename=-'*) cat >\"${0%/*}/rest\"; echo '+  replicas: 3'; exit 1 ;;\n".to_owned(),
            ],
        );
        let output = cluster.make(&["diff", "CHANGES=ok"]).success();
        output.prints("job/migrate\n").prints("+  replicas: 3\n");
        assert!(!(output.stdout + &output.stderr).contains("containers"));
        let rest = fs::read_to_string(cluster.sandbox.path("bin/rest")).unwrap();
        for kept in ["kind: CronJob", "kind: ConfigMap", "name: migrate2"] {
            assert!(rest.contains(kept), "{kept}: {rest}");
        }
        assert!(!rest.contains("ours: 1"), "{rest}");
        cluster.make(&["diff"]).failure(2);
    }
    assert_eq!(steps(&cluster, &["delete"]), Vec::<String>::new());
    answers(&cluster, &[arm("diff*--kustomize", "error: You must be logged in", ">&2; exit 2")]);
    cluster.make(&["diff", "CHANGES=ok"]).failure(2).says("You must be logged in");
}
