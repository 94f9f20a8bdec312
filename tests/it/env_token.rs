//! `makeinfra env add` with a deploy token of its own.

use super::registry_bed::Bed;
use super::support::{
    Run, Sandbox, TOKEN, USER, all_objects, assert_no_token, files_below, needles,
};
use base64::Engine;
use serde_json::Value;
use std::fs;

const OWN: &str = "gldt-StagingAlone";
const FILE: &str = "secrets/kubernetes/staging/gitlab.secret.yaml";

/// `makeinfra env add staging` with the token [`OWN`].
fn add(sandbox: &Sandbox, args: &[&str]) -> Run {
    let file = sandbox.write_private("token2", OWN).display().to_string();
    let base = ["env", "add", "staging", "--token-username", USER, "--token-file", &file];
    sandbox.here(&[&base[..], args].concat())
}

/// The first entry of a pull Secret, and the Secret's type.
fn entry(sandbox: &Sandbox, file: &str) -> (String, Value) {
    let secret: Value =
        serde_yaml::from_str(&fs::read_to_string(sandbox.hello(file)).unwrap()).unwrap();
    let (_, text) = secret["data"].as_object().unwrap().iter().next().unwrap();
    let json = base64::engine::general_purpose::STANDARD.decode(text.as_str().unwrap()).unwrap();
    let config: Value = serde_json::from_slice(&json).unwrap();
    let config = config.get("auths").unwrap_or(&config);
    let (_, entry) = config.as_object().unwrap().iter().next().unwrap();
    (secret["type"].as_str().unwrap().to_owned(), entry.clone())
}

#[test]
fn it_is_in_the_copy_alone() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--secret-type", "dockerconfigjson"]).success();
    let first = sandbox.read("secrets/kubernetes/gitlab.secret.yaml");
    let output = add(&sandbox, &["--expires-at", "2099-01-31", "--commit", "--yes"]).success();
    output.prints("token        its own");
    assert!(!output.stdout.contains("makeinfra rotate"), "{}", output.stdout);
    assert_no_token(output.stdout.as_bytes(), "stdout");
    let (kind, own) = entry(&sandbox, FILE);
    assert_eq!(kind, "kubernetes.io/dockerconfigjson");
    assert_eq!((own["username"].as_str(), own["password"].as_str()), (Some(USER), Some(OWN)));
    assert!(sandbox.read(FILE).contains("2099-01-31"));
    assert_eq!(sandbox.read("secrets/kubernetes/gitlab.secret.yaml"), first);
    sandbox.is_sound();
    let objects = all_objects(&sandbox, &sandbox.hello(""));
    for needle in needles(OWN) {
        assert!(
            !objects.windows(needle.len()).any(|window| window == needle.as_bytes()),
            "{needle}"
        );
    }
    // Repeating the command completes a change that was not committed.
    let begun = Sandbox::with_hello();
    add(&begun, &["--yes"]).success();
    add(&begun, &["--yes"]).success().prints("Nothing to do");
    add(&begun, &["--yes", "--commit"]).success().prints("committed as");
    assert_eq!(begun.git(&["status", "--porcelain"]).success().stdout, "");
    add(&sandbox, &["--yes"]).failure(1).says("exists");
}

#[test]
fn a_repository_without_a_token_gets_its_first_one() {
    for with_secrets in [&[][..], &["--with-secrets"]] {
        let sandbox = Sandbox::new();
        sandbox.new_without_token(&[]).success();
        add(&sandbox, &[with_secrets, &["--yes"]].concat())
            .success()
            .prints("token        its own");
        assert_eq!(entry(&sandbox, FILE).1["password"], OWN);
        assert!(
            sandbox
                .read("secrets/kubernetes/staging/kustomization.yaml")
                .contains("- gitlab.secret.yaml")
        );
        assert!(!sandbox.hello("secrets/kubernetes/gitlab.secret.yaml").exists());
    }
}

#[test]
fn a_dry_run_needs_no_token_and_writes_nothing() {
    let sandbox = Sandbox::with_hello();
    let before = sandbox.tree();
    for args in [&["--token-username", "a"][..], &["--token-username", "a", "--diff"]] {
        let args = [&["env", "add", "staging", "--dry-run"], args].concat();
        let output = sandbox.here(&args).success();
        output.prints("token        its own").prints("gitlab.secret.yaml");
        assert!(!output.stdout.contains(TOKEN), "{}", output.stdout);
    }
    add(&sandbox, &["--dry-run", "--diff"]).success().prints("token        its own");
    assert_eq!(sandbox.tree(), before);
}

#[test]
fn what_does_not_fit_is_told_before_anything_is_written() {
    let sandbox = Sandbox::with_hello();
    let before = sandbox.tree();
    let usage =
        |args: &[&str]| sandbox.agreed(&[&["env", "add", "staging"], args].concat()).failure(2);
    usage(&["--check"]).says("`--check` requires a deploy token, but none is given");
    usage(&["--expires-at", "2099-01-01"]).says("`--expires-at` requires a deploy token");
    usage(&["--token-username", "a"]).says("--token-file (or --token-stdin, --token-env)");
    usage(&["--token-env", "NOBODY_SET_THIS", "--token-username", "a"]).says("`--token-env`");
    sandbox.edit(
        "kubernetes/overlays/production/kustomization.yaml",
        "  - ../../../secrets/kubernetes\n",
        "",
    );
    let output = add(&sandbox, &["--yes"]).failure(1);
    output
        .says("cannot give staging its own deploy token")
        .says("includes no directory of Secrets");
    sandbox.git(&["checkout", "-q", "."]).success();
    assert_eq!(sandbox.tree(), before);
    for (path, _) in
        before.iter().filter(|(path, _)| path.starts_with("kubernetes/overlays/production"))
    {
        let copy = path.replace("production", "staging");
        sandbox.put(
            &copy,
            &sandbox
                .read(path)
                .replace("secrets/kubernetes", "secrets/kubernetes/staging")
                .replace(" hello\n", " hello-staging\n"),
        );
    }
    add(&sandbox, &["--yes"]).failure(2).says("is recorded unchanged");
}

#[test]
fn a_registry_that_refuses_it_is_heeded() {
    let Some(bed) = Bed::start() else { return };
    let sandbox = Sandbox::new();
    super::sign_in::new(&sandbox, &bed.image("group/hello:1.0.0"), &[]).success();
    let before = files_below(&sandbox.hello(""));
    add(&sandbox, &["--check", "--yes"])
        .failure(13)
        .says("the registry refused the token; nothing was written");
    assert_eq!(files_below(&sandbox.hello("")), before);
    bed.knows(OWN, "group", "read_registry");
    add(&sandbox, &["--check", "--yes"]).success().prints("Checked: ");
    assert_eq!(entry(&sandbox, FILE).1["password"], OWN);
}
