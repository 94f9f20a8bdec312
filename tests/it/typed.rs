//! Variables typed for `make`: they are honoured as data, and refused if they have no meaning.
//! Inherited variables choose nothing.

use super::environments::with_environments;
use super::makefile::TARGETS;
use super::stand_in::StandIn;

/// The variables, each with the targets that accept it; if empty, all do.
const VARIABLES: [(&str, &[&str]); 14] = [
    ("ENV", &[]),
    ("CONTEXT", &[]),
    ("KUBECTL", &[]),
    ("ROLLOUT_TIMEOUT", &[]),
    ("APP", &["logs", "run", "restart", "rollback"]),
    ("TAG", &["set-image"]),
    ("DIGEST", &["set-image"]),
    ("IMAGE", &["set-image"]),
    ("FROM", &["set-image"]),
    ("TAIL", &["logs"]),
    ("FOLLOW", &["logs"]),
    ("REVISION", &["rollback"]),
    (
        "YES",
        &[
            "deploy",
            "gitlab-secret",
            "namespace",
            "run",
            "restart",
            "rollback",
            "prune",
            "undeploy",
        ],
    ),
    ("CHANGES", &["diff"]),
];

const PAYLOADS: [&str; 8] = [
    "1s; touch made #s",
    "$$(touch made)1s",
    "`touch made`1s",
    "$(shell touch made)1s",
    "1s\ntouch made\n1s",
    "1s' || touch made; '1s",
    "1s\" || touch made; \"1s",
    "1)$(shell touch made)$(if s",
];

fn environments() -> StandIn {
    let cluster = StandIn { sandbox: with_environments(&["--context", "production=prd"]) };
    cluster.answers(&[]);
    cluster
}

#[test]
fn no_variable_becomes_shell_or_make_text() {
    let cluster = StandIn::new();
    for target in TARGETS.map(|target| target[0]) {
        let takes =
            VARIABLES.iter().filter(|(_, takers)| takers.is_empty() || takers.contains(&target));
        for (name, _) in takes {
            for payload in PAYLOADS {
                let typed = format!("{name}={payload}");
                // Confirmed, so that a target that asks continues.
                let agrees = *name != "YES" && VARIABLES[12].1.contains(&target);
                let args =
                    [&[target, typed.as_str()][..], if agrees { &["YES=1"] } else { &[] }].concat();
                cluster.make(&args).output();
                assert!(!cluster.sandbox.hello("made").exists(), "{args:?}");
            }
        }
    }
    // These two may come from the environment.
    for name in ["KUBECTL", "ROLLOUT_TIMEOUT"] {
        for payload in PAYLOADS {
            for args in [&["deploy"][..], &["-e", "deploy"], &["restart"]] {
                cluster.make(args).env(name, payload).output();
                assert!(!cluster.sandbox.hello("made").exists(), "{name}={payload} {args:?}");
            }
        }
    }
}

#[test]
fn a_variable_of_another_target_is_an_error_that_names_the_target() {
    let cluster = StandIn::new();
    for target in TARGETS.map(|target| target[0]) {
        for (name, takers) in VARIABLES.iter().filter(|(_, takers)| !takers.is_empty()) {
            let run = cluster.make(&["-n", target, &format!("{name}=1")]);
            if takers.contains(&target) {
                run.success();
            } else {
                let output = run.failure(2);
                output.says(&format!("{name}= is for: make "));
                assert!(
                    takers.iter().all(|taker| output.stderr.contains(taker)),
                    "{}",
                    output.stderr
                );
            }
        }
    }
    // It applies to one of the given targets.
    cluster.make(&["set-image", "deploy", "TAG=1.2.3", "YES=1"]).success();
}

#[test]
fn near_misses_and_derived_names_are_errors_that_name_what_is_meant() {
    let cluster = StandIn::new();
    for (name, meant) in [
        ("env", "ENV="),
        ("ENVIRONMENT", "ENV="),
        ("NAMESPACE", "ENV="),
        ("OVERLAY", "ENV="),
        ("PROJECT", "ENV="),
        ("PROTECTED", "ENV="),
        ("SECRETS", "ENV="),
        ("context", "CONTEXT="),
        ("app", "APP="),
        ("tag", "TAG="),
        ("yes", "YES="),
        ("TIMEOUT", "ROLLOUT_TIMEOUT="),
    ] {
        for target in ["deploy", "restart", "undeploy", "set-image"] {
            let output = cluster.make(&[target, &format!("{name}=hello-production")]).failure(2);
            output.says(&format!("{name}= ")).says(meant);
        }
    }
    cluster.was_left_alone();
}

#[test]
fn other_variables_are_ignored() {
    let cluster = StandIn::new();
    cluster.make(&["deploy"]).success();
    let calls = cluster.calls();
    cluster.answers(&[]);
    cluster.make(&["deploy", "V=1", "J=2", "CFLAGS=-O2", "prefix=/usr"]).success();
    assert_eq!(cluster.calls(), calls);
    cluster.answers(&[]);
    // A parent make passes on what was typed for it.
    let parent = cluster.sandbox.write("work/Makefile", "all:\n\t$(MAKE) -C hello-infra deploy\n");
    let parent = ["-f", parent.to_str().unwrap(), "V=1"];
    cluster.sandbox.run("make", &parent).env("PATH", cluster.sandbox.own_path()).success();
    assert_eq!(cluster.calls(), calls);
}

#[test]
fn what_is_set_outside_chooses_nothing() {
    let cluster = environments();
    let deploy = ["deploy", "ENV=staging"];
    cluster.make(&deploy).success();
    let calls = cluster.calls();
    for name in VARIABLES
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !["KUBECTL", "ROLLOUT_TIMEOUT"].contains(name))
    {
        cluster.answers(&[]);
        cluster.make(&deploy).env(name, "production").success();
        assert_eq!(cluster.calls(), calls, "{name}");
    }
    let derived = [
        "NAMESPACE",
        "PROTECTED",
        "SECRETS",
        "PROJECT",
        "OVERLAY",
        "ENVIRONMENT",
        "APPLY",
        "KUBE",
        "STEP",
    ];
    cluster.answers(&[]);
    let run = derived.iter().fold(cluster.make(&deploy), |run, name| run.env(name, "production"));
    run.success();
    assert_eq!(cluster.calls(), calls);

    for name in ["NAMESPACE", "PROTECTED", "SECRETS"] {
        cluster.answers(&[]);
        cluster
            .make(&["-e", "deploy", "ENV=staging"])
            .env(name, "x")
            .failure(2)
            .says(name)
            .says("make -e");
        cluster.make(&deploy).env("MAKEFLAGS", "e").env(name, "x").failure(2).says(name);
        cluster.make(&deploy).env("MAKEFLAGS", format!(" -- {name}=x")).failure(2).says(name);
        cluster.was_left_alone();
    }
    for name in derived.iter().filter(|name| !["NAMESPACE", "PROTECTED", "SECRETS"].contains(*name))
    {
        cluster.answers(&[]);
        cluster.make(&["-e", "deploy", "ENV=staging"]).env(name, "production").success();
        assert_eq!(cluster.calls(), calls, "{name}");
    }
    // The checked goals are those that are made.
    cluster.answers(&[]);
    for make in [
        cluster.make(&["restart", "ENV=production"]).env("MAKECMDGOALS", "help"),
        cluster.make(&["restart", "ENV=production", "MAKECMDGOALS=help"]),
    ] {
        make.failure(2).says("MAKECMDGOALS= cannot be set");
        cluster.was_left_alone();
    }
    // The environment of a CI job provides neither environment nor confirmation.
    cluster.answers(&[]);
    for target in [
        &["deploy", "ENV=production"][..],
        &["undeploy", "ENV=staging"],
        &["-e", "deploy", "ENV=production"],
    ] {
        cluster
            .answers(&[super::stand_in::prints("get*horizontal", "Service/gone owner: by:Apply")]);
        cluster.make(target).env("YES", "1").failure(2).says("not a terminal").says("YES=1");
    }
    cluster.answers(&[]);
    cluster.make(&["deploy"]).env("ENV", "staging").failure(2).says("ENV= is required");
    cluster.was_left_alone();
}

#[test]
fn the_time_for_a_rollout_is_checked_first() {
    let cluster = StandIn::new();
    for wrong in ["x", "5", "-1s", "1d", "", "soon"] {
        for target in ["deploy", "restart", "rollback"] {
            let output = cluster.make(&[target, &format!("ROLLOUT_TIMEOUT={wrong}")]).failure(2);
            output.says("ROLLOUT_TIMEOUT=").says("5m");
        }
    }
    cluster.was_left_alone();
    for good in ["0", "0s", "90s", "1m30s", "1.5h"] {
        cluster.make(&["restart", &format!("ROLLOUT_TIMEOUT={good}")]).success();
        assert!(cluster.calls().last().unwrap().contains(&format!("--timeout={good}")));
    }
}

#[test]
fn an_application_has_no_name_that_selects_others() {
    let cluster = StandIn::new();
    for target in ["logs", "restart", "rollback", "run"] {
        for name in ["-A", "--all-namespaces", "x --all-namespaces"] {
            cluster.answers(&[]);
            cluster.make(&[target, &format!("APP={name}")]).output();
            let words = cluster.calls().concat();
            assert!(
                !words.contains(&name.to_owned())
                    && !words.contains(&"--all-namespaces".to_owned()),
                "{words:?}"
            );
        }
    }
}
