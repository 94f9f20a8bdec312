//! What make targets do with several components and kinds of workloads, with a stand-in for
//! kubectl. `cluster/workloads.rs` does the same with a real cluster.

use super::stand_in::{StandIn, arm};
use super::workloads::everything;

const KINDS: &str = "deployments,statefulsets,daemonsets";
const OURS: &str = "--selector=makeinfra/project=hello,makeinfra/environment=production";

fn cluster() -> StandIn {
    let cluster = StandIn { sandbox: everything(&[]) };
    cluster.answers(&[]);
    cluster
}

/// The steps with one of these words, in order.
fn steps(cluster: &StandIn, verbs: &[&str]) -> Vec<String> {
    let wanted = |step: &String| step.split(' ').any(|word| verbs.contains(&word));
    cluster.steps().into_iter().filter(wanted).collect()
}

#[test]
fn app_chooses_one_component() {
    let cluster = cluster();
    for (args, verb, app) in [
        (&["restart"][..], "restart", None),
        (&["restart", "APP=worker"], "restart", Some("worker")),
        (&["rollback"], "undo", Some("hello")),
        (&["rollback", "APP=worker", "REVISION=3"], "undo", Some("worker")),
    ] {
        cluster.answers(&[]);
        cluster.make(args).success();
        let found = steps(&cluster, &["rollout"]);
        assert_eq!(found, [format!("rollout {verb} {KINDS}"), format!("rollout status {KINDS}")]);
        let selector =
            app.map_or(OURS.to_owned(), |app| format!("{OURS},app.kubernetes.io/name={app}"));
        let calls = cluster.calls();
        let chosen = calls.iter().filter(|call| call.contains(&selector)).count();
        assert_eq!(chosen, 2, "what was not restarted is not waited for: {calls:?}");
    }
    assert!(cluster.calls().concat().contains(&"--to-revision=3".to_owned()));
    cluster.answers(&[]);
    cluster.make(&["rollback"]).env("REVISION", "42").success();
    assert!(cluster.calls().concat().contains(&"--to-revision=0".to_owned()));

    let part = "--selector=app.kubernetes.io/part-of=hello";
    for (args, wanted) in [
        (&["logs"][..], vec![part.to_owned(), "--tail=100".to_owned()]),
        (
            &["logs", "APP=nightly", "TAIL=5", "FOLLOW=1"],
            vec![
                format!("{part},app.kubernetes.io/name=nightly"),
                "--tail=5".into(),
                "--follow".into(),
            ],
        ),
    ] {
        cluster.answers(&[]);
        cluster.make(args).success();
        let call = cluster.calls().concat();
        assert!(wanted.iter().all(|word| call.contains(word)), "{call:?}");
        assert_eq!(call.contains(&"--follow".to_owned()), args.len() > 1);
    }
}

#[test]
fn a_component_that_is_not_there_is_an_error() {
    for target in ["restart", "rollback"] {
        let cluster = cluster();
        cluster.answers(&[arm("rollout ", "No resources found in hello namespace.", ">&2")]);
        cluster.make(&[target, "APP=nobody"]).failure(2).says("nobody");
    }
}

#[test]
fn a_cronjob_is_started_once() {
    let cluster = cluster();
    cluster.make(&["run", "APP=nightly"]).success();
    let created = steps(&cluster, &["create"]);
    let date =
        created[0].strip_prefix("create job nightly-").unwrap_or_else(|| panic!("{created:?}"));
    assert!(date.len() == 10 && date.bytes().all(|letter| letter.is_ascii_digit()), "{created:?}");
    assert_eq!(created.len(), 1);
    assert!(cluster.calls().concat().contains(&"--from=cronjob/nightly".to_owned()));
    // The project's own component needs no name.
    cluster.answers(&[]);
    cluster.make(&["run"]).success();
    assert!(cluster.calls().concat().contains(&"--from=cronjob/hello".to_owned()));
}
