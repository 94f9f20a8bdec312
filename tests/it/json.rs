//! `--json`: one object on standard output, with the same keys for every command, whether it
//! succeeds or fails.

use super::support::{IMAGE, Sandbox, TOKEN, USER};
use serde_json::{Value, json};

/// The keys that every object has, in order.
const BASE: [&str; 5] = ["repo", "changed", "files", "warnings", "next"];

/// Expects the base keys with their types, and returns the names of the others.
#[track_caller]
fn own_keys(object: &Value) -> String {
    let names: Vec<_> = object.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names[..BASE.len()], BASE, "{object}");
    let repo = object["repo"].as_str();
    assert!(object["repo"].is_null() || repo.is_some_and(|repo| repo.starts_with('/')), "{object}");
    assert!(repo.is_none_or(|repo| !repo.ends_with('/')), "{object}");
    assert!(object["changed"].is_boolean(), "{object}");
    for file in object["files"].as_array().unwrap() {
        assert!(!file["path"].as_str().unwrap().starts_with('/'), "{file}");
        assert!(
            ["new", "changed", "deleted"].contains(&file["change"].as_str().unwrap()),
            "{file}"
        );
    }
    for list in ["warnings", "next"] {
        assert!(object[list].as_array().unwrap().iter().all(Value::is_string), "{object}");
    }
    names[BASE.len()..].join(" ")
}

/// Runs `makeinfra ARGS --json`, with a value on standard input.
#[track_caller]
fn run(sandbox: &Sandbox, args: &[&str]) -> super::support::Output {
    let output = sandbox.makeinfra(&[args, &["--json"]].concat()).stdin(TOKEN).output();
    assert_eq!(output.stdout.lines().count(), 1, "{args:?}: {}{}", output.stdout, output.stderr);
    super::support::assert_no_token(&output.bytes, "the JSON");
    output
}

#[test]
fn every_command_has_the_same_keys() {
    let sandbox = Sandbox::new();
    let new = ["new", "hello", "--image", IMAGE, "--token-username", USER, "--token-stdin"];
    let rotate = ["rotate", "hello-infra", "--token-username", USER, "--token-stdin"];
    let pods = sandbox.write("pods", json!({"kind": "List", "items": []}).to_string());
    let diagnose = ["diagnose", "hello-infra", "--events", pods.to_str().unwrap()];
    let of_new = "dry_run project commit check hook exported_key";
    let of_plan = "dry_run decisions notes commit";
    let of_secret = "dry_run created commit";
    let dry = |args: &[&'static str]| [args, &["--dry-run"]].concat();
    let yes = |args: &[&'static str]| [args, &["hello-infra", "--yes"]].concat();
    for (args, changes, own) in [
        (dry(&new), false, of_new),
        (new.to_vec(), true, of_new),
        (dry(&rotate), false, "dry_run changes commit check"),
        (
            [&rotate[..], &["--email", "a@example.com", "--commit"]].concat(),
            true,
            "dry_run changes commit check",
        ),
        (rotate.to_vec(), false, "dry_run changes commit check"),
        (dry(&["rotate", "hello-infra"]), false, "dry_run changes commit check"),
        (dry(&yes(&["add", "worker", "--port", "none"])), false, of_plan),
        (yes(&["add", "worker", "--port", "none", "--commit"]), true, of_plan),
        (yes(&["remove", "worker", "--diff"]), true, "dry_run decisions notes commit diff"),
        (yes(&["env", "add", "staging"]), true, of_plan),
        (yes(&["env", "add", "staging"]), false, of_plan),
        (yes(&["env", "add", "staging", "--commit"]), true, of_plan),
        (yes(&["env", "remove", "staging", "--commit"]), true, of_plan),
        (vec!["env", "list", "hello-infra"], false, "project environments"),
        (vec!["secret", "set", "db", "A", "hello-infra", "--dry-run"], false, of_secret),
        (vec!["secret", "set", "db", "A", "hello-infra", "--stdin"], true, of_secret),
        (vec!["secret", "set", "db", "A", "hello-infra", "--stdin"], false, of_secret),
        (vec!["secret", "list", "hello-infra"], false, "environments"),
        (dry(&yes(&["secret", "unset", "db", "A"])), false, of_secret),
        (yes(&["secret", "unset", "db", "A"]), true, of_secret),
        (yes(&["update"]), false, "dry_run decisions notes commit conflicts"),
        (vec!["update", "hello-infra", "--check"], false, "conflicts due"),
        (yes(&["adopt"]), false, of_plan),
        (vec!["check", "hello-infra"], false, "checks"),
        (diagnose.to_vec(), false, "verdict context namespace pods causes"),
    ] {
        let output = run(&sandbox, &args);
        let object = output.json();
        assert!(
            output.code == Some(0) || args[0] == "diagnose",
            "{args:?}: {}{object}",
            output.stderr
        );
        assert_eq!(
            (own_keys(&object).as_str(), &object["changed"]),
            (own, &json!(changes)),
            "{args:?}"
        );
        assert_eq!(
            object["repo"],
            sandbox.path("work").canonicalize().unwrap().join("hello-infra").to_str().unwrap()
        );
        let is_dry = args.contains(&"--dry-run");
        let has_files = !object["files"].as_array().unwrap().is_empty();
        assert!(changes || is_dry || !has_files, "{args:?}: {object}");
        assert!(!is_dry || object["next"] == json!([]), "nothing was done: {object}");
    }
}

#[test]
fn an_adoption_tells_what_moves() {
    let sandbox = Sandbox::of_the_post();
    for (args, changes) in [
        (&["adopt", "hello-infra", "--dry-run"][..], false),
        (&["adopt", "hello-infra", "--yes"], true),
    ] {
        let object = run(&sandbox, args).json();
        assert_eq!(own_keys(&object), "dry_run decisions notes commit moves");
        assert_eq!(object["changed"], changes);
        let first =
            json!({"from": "kubernetes/deployment.yaml", "to": "kubernetes/base/deployment.yaml"});
        assert_eq!(object["moves"][0], first);
    }
}

#[test]
fn a_failure_is_an_object_as_well() {
    let sandbox = Sandbox::with_hello();
    let here = sandbox.work("hello-infra").canonicalize().unwrap();
    let here = Some(here.to_str().unwrap());
    std::fs::create_dir(sandbox.path("empty")).unwrap();
    let elsewhere = sandbox.path("empty").display().to_string();
    for (args, code, repo) in [
        (&["new", "hello"][..], 2, None),
        (&["new", "hello", "--image", IMAGE, "--no-token"], 1, None),
        (&["rotate", "hello-infra"], 2, here),
        (&["rotate", &elsewhere], 1, None),
        (&["add", "hello", "hello-infra"], 1, here),
        (&["add", "worker", "hello-infra", "--port", "none"], 2, here),
        (&["remove", "worker", "hello-infra"], 1, here),
        (&["env", "add", "production", "hello-infra"], 1, here),
        (&["env", "remove", "staging", "hello-infra"], 1, here),
        (&["env", "list", &elsewhere], 1, None),
        (&["secret", "set", "gitlab", "A", "hello-infra", "--stdin"], 2, here),
        (&["secret", "unset", "db", "A", "hello-infra"], 1, here),
        (&["secret", "list", &elsewhere], 1, None),
        (&["update", "hello-infra", "--from", "nothing"], 2, here),
        (&["check", &elsewhere], 1, None),
        (&["check", "hello-infra", "--secret", "nothing"], 2, here),
        (&["diagnose", "hello-infra", "--events", "nothing"], 2, here),
        (&["check", "--nonsense"], 2, None),
        (&["secret", "set"], 2, None),
    ] {
        let output = run(&sandbox, args);
        let object = output.json();
        assert_eq!(own_keys(&object), "error", "{args:?}");
        assert_eq!(
            (output.code, object["repo"].as_str()),
            (Some(code), repo),
            "{args:?}: {object}"
        );
        assert_eq!((&object["changed"], &object["files"]), (&json!(false), &json!([])), "{args:?}");
        let error = &object["error"];
        let keys: Vec<_> = error.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["message", "cause", "hint", "code"], "{args:?}");
        assert_eq!(error["code"], code, "{args:?}");
        // The same as in the text output.
        output.says(&format!("error: {}\n", error["message"].as_str().unwrap()));
        for (key, before) in [("cause", "  "), ("hint", "hint: ")] {
            assert!(error[key].is_null() || error[key].is_string(), "{args:?}: {object}");
            if let Some(text) = error[key].as_str() {
                output.says(&format!("{before}{text}\n"));
            }
        }
    }
}

#[test]
fn a_failure_tells_what_was_warned_of_before() {
    let sandbox = Sandbox::new();
    let expired = ["--expires-at", "2020-01-01", "--check", "--plain-http"];
    let image = "localhost:1/group/hello:1.0.0";
    let args = ["new", "hello", "--image", image, "--token-username", USER, "--token-stdin"];
    let output = run(&sandbox, &[&args[..], &expired].concat());
    let object = output.json();
    assert_eq!(own_keys(&object), "error");
    assert_eq!((output.code, &object["error"]["code"]), (Some(3), &json!(3)), "{object}");
    assert!(object["warnings"][0].as_str().unwrap().contains("expired"), "{object}");
}

#[test]
fn what_succeeds_has_no_error_and_what_failed_prints_nothing_without_the_option() {
    let sandbox = Sandbox::with_hello();
    assert!(run(&sandbox, &["env", "list", "hello-infra"]).json().get("error").is_none());
    let output = sandbox.makeinfra(&["remove", "worker", "hello-infra"]).failure(1);
    assert_eq!(output.stdout, "");
    assert_eq!(
        output.stderr,
        "error: component `worker` does not exist\n  the project has no other components\n\
         hint: cd hello-infra && cat .makeinfra.yaml\n"
            .replace(
                "cd hello-infra",
                &format!("cd {}", sandbox.work("hello-infra").canonicalize().unwrap().display())
            )
    );
}
