//! make with environments: one must be named, and a protected one requires confirmation.

use super::environments::with_environments;
use super::makefile::TARGETS;
use super::stand_in::{StandIn, prints};
use super::support::Sandbox;
use rexpect::reader::Options;
use rexpect::session::spawn_with_options;
use std::process::Stdio;

fn cluster(args: &[&str]) -> StandIn {
    let cluster = StandIn { sandbox: with_environments(args) };
    cluster.answers(&[]);
    cluster
}

#[test]
fn make_goes_where_env_says() {
    let cluster = cluster(&["--context", "production=prod"]);
    for (name, context) in [("staging", None), ("production", Some("--context=prod"))] {
        cluster.answers(&[]);
        cluster.make(&["deploy", &format!("ENV={name}"), "YES=1"]).success();
        let steps = cluster.steps();
        assert!(steps.contains(&format!("apply kubernetes/overlays/{name}")), "{steps:?}");
        for call in cluster.calls().iter().filter(|call| !call.contains(&"--local".to_owned())) {
            assert!(call.contains(&format!("--namespace=hello-{name}")), "{call:?}");
            let found = call.iter().find(|word| word.starts_with("--context"));
            assert_eq!(found.map(String::as_str), context, "{call:?}");
        }
    }
    cluster.saw_no_token();

    cluster.answers(&[]);
    cluster.make(&["status", "ENV=production", "CONTEXT=else where"]).success();
    assert!(cluster.calls().iter().all(|call| call.contains(&"--context=else where".to_owned())));
    let shown = cluster.make(&["-n", "deploy", "ENV=production"]).success().stdout;
    assert!(
        shown.contains("--context=prod") && shown.contains("--namespace=hello-production"),
        "{shown}"
    );
}

#[test]
fn of_several_environments_one_must_be_typed() {
    let cluster = cluster(&[]);
    for target in TARGETS {
        let free = ["help", "setup", "check-secrets", "check-expiry"].contains(&target[0]);
        if free {
            cluster.make(target).success();
            continue;
        }
        let output = cluster.make(target).failure(2);
        output.says("ENV= is required").says("production staging");
        for wrong in ["qa", "", "%", "*", "staging production", "stag", "../staging", "."] {
            let run = cluster.make(&[target, &[&*format!("ENV={wrong}")]].concat());
            run.failure(2).says("ENV= is required");
        }
    }
    assert_eq!(cluster.calls(), Vec::<Vec<String>>::new());
    // A single environment is the default, and may be named.
    let lone = StandIn { sandbox: Sandbox::new() };
    lone.sandbox.new_hello(&["--env", "staging"]).success();
    lone.answers(&[]);
    for args in [&["deploy"][..], &["deploy", "ENV=staging"]] {
        lone.make(args).success();
    }
    lone.make(&["deploy", "ENV=production"]).failure(2).says("ENV= is required");
}

#[test]
fn a_protected_environment_is_not_changed_by_mistake() {
    let ours = prints("get*horizontalpodautoscalers", "Service/gone owner: by:Apply");
    for target in
        ["deploy", "gitlab-secret", "namespace", "run", "restart", "rollback", "prune", "undeploy"]
    {
        let cluster = cluster(&[]);
        for told in [&[][..], &["-i"], &["-k"], &["-i", "-o", "confirm"]] {
            cluster.answers(std::slice::from_ref(&ours));
            let output = cluster.make(&[told, &[target, "ENV=production"]].concat()).output();
            output.says("not a terminal").says("YES=1");
            let steps = cluster.steps();
            let reads = |step: &String| {
                ["config", "get", "annotate"].iter().any(|verb| step.starts_with(verb))
            };
            assert!(steps.iter().all(reads), "{told:?} {steps:?}");
            assert!(target == "prune" || target == "undeploy" || steps.len() < 2, "{steps:?}");
        }
        cluster.make(&[target, "ENV=production"]).failure(2);
        cluster.make(&[target, "ENV=production", "YES=1"]).success();
        cluster.make(&[target, "ENV=production", "YES=no"]).failure(2);
    }
    let cluster = cluster(&[]);
    for target in [&["diff", "CHANGES=ok"][..], &["status"], &["logs"], &["set-image", "TAG=2"]] {
        cluster.make(&[target, &["ENV=production"]].concat()).success();
    }
}

#[test]
fn a_protected_environment_is_changed_on_a_terminal_if_the_answer_is_yes() {
    for (reply, deploys) in [("n", false), ("", false), ("y", true)] {
        let cluster = cluster(&[]);
        let mut command = cluster.make(&["deploy", "ENV=production"]).command();
        command.stdin(Stdio::inherit());
        let options = Options::new().timeout_ms(Some(20_000));
        let mut terminal = spawn_with_options(command, options).unwrap();
        let before = terminal.exp_string("Change production? [y/N]").unwrap();
        assert!(
            before.contains("environment production (protected), namespace hello-production"),
            "{before}"
        );
        terminal.send_line(reply).unwrap();
        let shown = terminal.exp_eof().unwrap();
        assert_eq!(shown.contains("nothing was changed"), !deploys, "{shown}");
        assert_eq!(
            cluster.steps().iter().any(|step| step.starts_with("apply")),
            deploys,
            "{reply}"
        );
    }
}
