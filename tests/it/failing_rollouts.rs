//! What `make deploy` prints about a failing rollout: the pods, the last warnings, and the command
//! that finds the cause.

use super::environments::with_environments;
use super::stand_in::{StandIn, fails, prints};

const TIMED_OUT: &str = "error: timed out waiting for the condition";

fn failed_rollout() -> [fn() -> String; 3] {
    [
        || fails("rollout status", TIMED_OUT),
        || prints("get pods", "NAME   READY   STATUS\nhello-x   0/1   ImagePullBackOff"),
        || {
            let line =
                |number| format!("{number}s   Warning   Failed   pod/hello-x   event {number}");
            let events: Vec<_> = (1..=30).map(line).collect();
            prints("events --types=Warning", &events.join("\n"))
        },
    ]
}

fn answers() -> Vec<String> {
    failed_rollout().iter().map(|answer| answer()).collect()
}

#[test]
fn a_failed_rollout_shows_the_pods_and_the_last_warnings() {
    let cluster = StandIn::new();
    for target in ["deploy", "restart", "rollback"] {
        cluster.answers(&answers());
        let output = cluster.make(&[target]).failure(2);
        output.says("hello-x   0/1   ImagePullBackOff\n").says("event 21\n").says("event 30\n");
        assert!(!output.stderr.contains("event 20"), "{}", output.stderr);
        output.says(&format!("{TIMED_OUT}\nhint: makeinfra diagnose\n"));
        // It is the last step.
        assert!(cluster.steps().last().unwrap().starts_with("events"), "{target}");
    }
}

#[test]
fn the_hint_names_the_environment_where_there_are_several() {
    let cluster = StandIn { sandbox: with_environments(&[]) };
    cluster.answers(&answers());
    let output = cluster.make(&["deploy", "ENV=staging"]).failure(2);
    output.says("hint: makeinfra diagnose --env staging\n");
}

#[test]
fn what_is_replaced_by_hand_has_no_rollout_to_fail() {
    let cluster = StandIn::new();
    let by_hand = "error: rollout status is only available for RollingUpdate strategy type";
    cluster.answers(&[fails("rollout status", by_hand)]);
    assert_eq!(cluster.make(&["deploy"]).success().stderr, "");
    cluster.answers(&[fails("rollout status", &format!("{by_hand}\n{TIMED_OUT}"))]);
    cluster.make(&["deploy"]).failure(2).says(TIMED_OUT);
}
