//! A registry besides the project's own: its entry is added, rotated and removed, and everything
//! else stays.

use super::registry_bed::Bed;
use super::rotate::docker_config;
use super::support::*;
use serde_json::{Value, json};
use std::fs;

const SECOND: &str = "Marker_ghp_second";

/// `rotate` with a user name and a token on standard input.
fn rotate(sandbox: &Sandbox, token: &str, args: &[&str]) -> Run {
    let base = ["rotate", "hello-infra", "--token-username", "ada", "--token-stdin"];
    sandbox.makeinfra(&[&base[..], args].concat()).stdin(token)
}

fn remove(sandbox: &Sandbox, args: &[&str]) -> Run {
    sandbox.makeinfra(&[&["rotate", "hello-infra", "--remove-registry"][..], args].concat())
}

/// The entries of a Secret file: user name and password by registry key, in order.
fn entries(sandbox: &Sandbox, file: &str) -> Vec<(String, String)> {
    let config = docker_config(&fs::read_to_string(sandbox.hello(file)).unwrap());
    let entries = config.get("auths").unwrap_or(&config).as_object().unwrap().clone();
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    entries
        .iter()
        .map(|(key, entry)| {
            (key.clone(), format!("{}:{}", text(entry, "username"), text(entry, "password")))
        })
        .collect()
}

fn pair(key: &str, login: &str) -> (String, String) {
    (key.to_owned(), login.to_owned())
}

fn own() -> (String, String) {
    pair("registry.gitlab.com", &format!("{USER}:{TOKEN}"))
}

#[test]
fn an_entry_comes_is_rotated_and_goes() {
    for kind in ["dockercfg", "dockerconfigjson"] {
        let sandbox = Sandbox::new();
        sandbox.new_hello(&["--secret-type", kind, "--expires-at", "2099-05-01"]).success();
        let first = fs::read_to_string(sandbox.hello(SECRET)).unwrap();
        let record = fs::read(sandbox.hello(".makeinfra.yaml")).unwrap();
        let output = rotate(&sandbox, SECOND, &["--add-registry", "ghcr.io", "--commit"]).success();
        assert!(
            output.stdout.contains("new registry: ghcr.io\n  user name: ada\n"),
            "{}",
            output.stdout
        );
        assert_eq!(entries(&sandbox, SECRET), [own(), pair("ghcr.io", &format!("ada:{SECOND}"))]);
        let subject = sandbox.git(&["log", "-1", "--format=%s"]).success().stdout;
        assert_eq!(subject, "Add ghcr.io to the pull secret\n");
        assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
        // The same command again, also in another notation.
        for host in ["ghcr.io", "https://ghcr.io", "https://ghcr.io/v2/"] {
            let again = rotate(&sandbox, SECOND, &["--add-registry", host, "--commit", "--json"])
                .success()
                .json();
            assert_eq!(
                (&again["changed"], &again["commit"]),
                (&json!(false), &Value::Null),
                "{host}"
            );
        }
        // A new token for it alone, with its own expiry.
        let args = ["--registry", "ghcr.io", "--expires-at", "2099-01-01", "--commit"];
        let output = rotate(&sandbox, "Marker_third", &args).success();
        assert!(
            output.stdout.contains("registry: ghcr.io\n  user name: ada (unchanged)"),
            "{}",
            output.stdout
        );
        assert_eq!(entries(&sandbox, SECRET), [own(), pair("ghcr.io", "ada:Marker_third")]);
        let text = fs::read_to_string(sandbox.hello(SECRET)).unwrap();
        assert!(text.contains("makeinfra/expires-at: \"2099-05-01\"\n"), "{text}");
        assert!(text.contains("makeinfra/other-expiries: ghcr.io=2099-01-01\n"), "{text}");
        // The project's own token, which a rotation without options changes.
        sandbox.rotate("Marker_own", &["--commit"]).success();
        let now = [
            pair("registry.gitlab.com", "gitlab+deploy-token-2:Marker_own"),
            pair("ghcr.io", "ada:Marker_third"),
        ];
        assert_eq!(entries(&sandbox, SECRET), now);
        assert!(fs::read_to_string(sandbox.hello(SECRET)).unwrap().contains("ghcr.io=2099-01-01"));
        assert_eq!(fs::read(sandbox.hello(".makeinfra.yaml")).unwrap(), record);
        // Back to the initial state.
        let args = [
            "rotate",
            "hello-infra",
            "--token-username",
            USER,
            "--token-stdin",
            "--expires-at",
            "2099-05-01",
        ];
        sandbox.makeinfra(&args).stdin(TOKEN).success();
        let output = remove(&sandbox, &["ghcr.io", "--commit"]).success();
        assert!(output.stdout.contains("removed registry: ghcr.io\n"), "{}", output.stdout);
        let last = fs::read_to_string(sandbox.hello(SECRET)).unwrap();
        assert_eq!(
            last.replace("    makeinfra/superseded-tokens: gitlab+deploy-token-2\n", ""),
            first
        );
        let again = remove(&sandbox, &["ghcr.io", "--commit"]).success();
        assert!(
            again.stdout.contains("has no entry for ghcr.io; nothing was written"),
            "{}",
            again.stdout
        );
    }
}

#[test]
fn every_environment_gets_the_entry_or_the_named_one() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--env", "staging", "--env", "production"]).success();
    let file = |name: &str| format!("secrets/kubernetes/{name}/gitlab.secret.yaml");
    let (staging, production) = (file("staging"), file("production"));
    // Even if the environments' own tokens differ.
    sandbox.rotate("Marker_own", &["--env", "staging", "--commit"]).success();
    rotate(&sandbox, SECOND, &["--add-registry", "ghcr.io", "--commit"]).success();
    let second = pair("ghcr.io", &format!("ada:{SECOND}"));
    assert_eq!(entries(&sandbox, &staging)[1], second);
    assert_eq!(entries(&sandbox, &production), [own(), second.clone()]);
    // Both share one token, so one rotation changes both.
    rotate(&sandbox, "Marker_third", &["--registry", "ghcr.io", "--commit"]).success();
    assert_eq!(entries(&sandbox, &staging)[1], entries(&sandbox, &production)[1]);
    rotate(&sandbox, SECOND, &["--add-registry", "quay.io", "--env", "staging", "--commit"])
        .success();
    assert_eq!((entries(&sandbox, &staging).len(), entries(&sandbox, &production).len()), (3, 2));
    // An environment that lacks it is named, and the hint works when typed.
    let check = sandbox.here(&["check"]).output().stdout;
    assert!(
        check.contains(&format!(
            "{production}: has no entry for `quay.io`, but the pull secret of staging has one"
        )),
        "{check}"
    );
    assert!(!check.contains(&format!("{staging}: has no entry")), "{check}");
    let hint = ["--env", "production", "--add-registry", "quay.io"];
    assert!(check.contains(&format!("hint: makeinfra rotate {}", hint.join(" "))), "{check}");
    rotate(&sandbox, SECOND, &[&hint[..], &["--commit"]].concat()).success();
    assert!(!sandbox.here(&["check"]).output().stdout.contains("has no entry"));
    remove(&sandbox, &["quay.io", "--commit"]).success();
    remove(&sandbox, &["ghcr.io", "--env", "production", "--commit"]).success();
    assert_eq!(
        (entries(&sandbox, &staging).len(), entries(&sandbox, &production)),
        (2, vec![own()])
    );
}

#[test]
fn a_plan_is_shown_and_nothing_written() {
    let sandbox = Sandbox::with_hello();
    let before = fs::read(sandbox.hello(SECRET)).unwrap();
    let output = rotate(&sandbox, SECOND, &["--add-registry", "ghcr.io", "--dry-run"]).success();
    assert!(
        output.stdout.contains("new registry: ghcr.io")
            && output.stdout.contains("this is a dry run")
    );
    assert!(!output.stdout.contains(SECOND));
    let output = remove(&sandbox, &["ghcr.io", "--dry-run"]).success();
    assert!(output.stdout.contains("has no entry for this registry"), "{}", output.stdout);
    assert_eq!(fs::read(sandbox.hello(SECRET)).unwrap(), before);
}

#[test]
fn what_would_leave_the_project_without_its_own_entry_is_refused() {
    let sandbox = Sandbox::with_hello();
    let before = fs::read(sandbox.hello(SECRET)).unwrap();
    remove(&sandbox, &["registry.gitlab.com"])
        .failure(1)
        .says("the project's own")
        .says("makeinfra rotate");
    rotate(&sandbox, SECOND, &["--registry", "ghcr.io"])
        .failure(2)
        .says("must match")
        .says("--add-registry ghcr.io");
    for (args, code, words) in [
        (&["--add-registry", "Ghcr.io"][..], 2, "lower-case host"),
        (&["--add-registry", TOKEN], 2, "--add-registry"),
        (
            &["--add-registry", "https://registry.gitlab.com"],
            2,
            "must differ from the project's own registry",
        ),
        (&["--add-registry", "ghcr.io", "--registry", "ghcr.io"], 2, "cannot be used with"),
        (&["--remove-registry", "ghcr.io"], 2, "cannot be used with"),
    ] {
        rotate(&sandbox, SECOND, args).failure(code).says(words);
    }
    assert_eq!(fs::read(sandbox.hello(SECRET)).unwrap(), before);
    let sandbox = Sandbox::new();
    sandbox.new_without_token(&[]).success();
    rotate(&sandbox, SECOND, &["--add-registry", "ghcr.io"])
        .failure(1)
        .says("pull secret")
        .says("makeinfra rotate");
}

#[test]
fn the_hint_for_an_image_of_another_registry_works_when_typed() {
    let Some(bed) = Bed::start() else { return };
    let sandbox = Sandbox::with_hello();
    let image = bed.image("group/hello:1.0.0");
    sandbox
        .makeinfra(&["add", "side", "hello-infra", "--image", &image, "--port", "none", "--yes"])
        .success();
    let online = || {
        let output = sandbox
            .makeinfra(&["check", "--online", "--no-history", "--json"])
            .cwd(sandbox.hello(""))
            .output();
        let checks = output.json()["checks"].as_array().unwrap().clone();
        let of_side = |check: &&Value| check["subject"].as_str().unwrap().contains("side");
        let found =
            |id: &str| checks.iter().filter(of_side).find(|check| check["id"] == id).cloned();
        (found("images-pull").unwrap(), found("pull-secret-matches-images"))
    };
    let (pull, offline) = online();
    let host = bed.host();
    assert_eq!(pull["hint"], format!("makeinfra rotate --add-registry {host}"));
    let offline = offline.unwrap()["hint"].as_str().unwrap().to_owned();
    assert!(offline.starts_with(&format!("makeinfra rotate --add-registry {host}")), "{offline}");
    let typed = |hint: &Value, token: &str, args: &[&str]| {
        let words: Vec<_> = hint.as_str().unwrap().split(' ').skip(1).map(str::to_owned).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let token_options = ["--token-username", USER, "--token-stdin", "--no-input"];
        sandbox
            .makeinfra(&[&words[..], &token_options, args].concat())
            .cwd(sandbox.hello(""))
            .stdin(token)
    };
    // Only a token that the registry accepts is written.
    typed(&pull["hint"], "gldt-another", &["--check"])
        .failure(13)
        .says(&format!("rotate --add-registry {host} --check"));
    typed(&pull["hint"], TOKEN, &["--check"]).success();
    assert_eq!(online().0["status"], "ok");
    // The hint about a refusal names the right entry.
    bed.knows("gldt-another", "group", "read_registry");
    let hint = online().0["hint"].as_str().unwrap().to_owned();
    assert!(hint.ends_with(&format!("makeinfra rotate --registry {host} --check")), "{hint}");
}

#[test]
fn check_knows_when_each_token_ends() {
    let sandbox = Sandbox::with_hello();
    let args = ["--add-registry", "ghcr.io", "--expires-at", "2020-01-01", "--commit"];
    rotate(&sandbox, SECOND, &args).success();
    let output = sandbox.makeinfra(&["check", "hello-infra", "--json"]).failure(1);
    let checks = output.json()["checks"].as_array().unwrap().clone();
    let found = checks.iter().find(|check| check["id"] == "pull-secret-expiry").unwrap();
    assert_eq!(found["message"], "the token of `ghcr.io` expired on 2020-01-01");
    assert!(
        found["hint"].as_str().unwrap().contains(" --registry ghcr.io --commit && make"),
        "{found}"
    );
    let listed = sandbox.here(&["env", "list"]).success();
    listed.prints("ghcr.io: 2020-01-01");
    let listed = sandbox.here(&["env", "list", "--json"]).success().json();
    assert_eq!(
        listed["environments"][0]["other_tokens_expire_at"],
        serde_json::json!({"ghcr.io": "2020-01-01"})
    );
}

#[test]
fn an_entry_without_an_expiry_is_unknown_and_the_hint_records_one() {
    for args in [&[][..], &["--env", "staging", "--env", "production"]] {
        let sandbox = Sandbox::new();
        sandbox.new_hello(args).success();
        let output = rotate(&sandbox, SECOND, &["--add-registry", "ghcr.io", "--commit"]).success();
        output
            .says("the expiry of the token of ghcr.io is unknown: --expires-at DATE, or --expires-at never");
        assert!(!output.stderr.contains("expiry of the old token"), "{}", output.stderr);
        let checked = super::check::check(&sandbox, &[]);
        assert_eq!((checked.problems(), checked.warnings()), (vec![], vec!["pull-secret-expiry"]));
        let found =
            checked.checks.iter().find(|check| check["id"] == "pull-secret-expiry").unwrap();
        let hint = found["hint"].as_str().unwrap().split(';').next().unwrap();
        assert_eq!(
            hint,
            "makeinfra rotate --registry ghcr.io --keep-token --expires-at YYYY-MM-DD"
        );
        let typed = |date: &str| {
            let hint = hint.replace("YYYY-MM-DD", date) + " --commit";
            let words: Vec<_> = hint.split(' ').skip(1).collect();
            sandbox.makeinfra(&words).cwd(sandbox.hello("")).success()
        };
        typed("2020-01-01").says("expired on 2020-01-01");
        typed("2999-01-01");
        assert_eq!(super::check::check(&sandbox, &["--strict"]).code, Some(0));
    }
}

#[test]
fn a_flaw_of_an_entry_leads_to_that_entry() {
    let sandbox = Sandbox::with_hello();
    rotate(&sandbox, "glpat-Marker_7Qx9vWk2", &["--add-registry", "ghcr.io", "--commit"]).success();
    let output = sandbox.makeinfra(&["check", "--json"]).cwd(sandbox.hello("")).output();
    let checks = output.json()["checks"].as_array().unwrap().clone();
    let found = checks.iter().find(|check| check["id"] == "pull-secret-credentials").unwrap();
    assert_eq!(found["hint"], "makeinfra rotate --registry ghcr.io, with a deploy token");
}
