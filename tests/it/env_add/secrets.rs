//! The Secrets of a new environment: copied, missing, locked.

use super::super::environments::built;
use super::super::hints_typed::{hint, typed};
use super::super::support::{Sandbox, files_below, mode};
use std::fs;

/// A repository with a further Secret that the Deployment uses.
pub fn with_database() -> Sandbox {
    let sandbox = Sandbox::with_hello();
    for (secret, key, value) in [
        ("database", "URL", "hunter2url"),
        ("database", "CA", "hunter\n2"),
        ("mail", "KEY", "hunter2"),
    ] {
        sandbox.here(&["secret", "set", secret, key, "--stdin", "--commit"]).stdin(value).success();
    }
    let uses = "          envFrom:\n            - secretRef: {name: database}\n          ports:\n";
    sandbox.edit("kubernetes/base/deployment.yaml", "          ports:\n", uses);
    sandbox.commit_all();
    sandbox
}

#[test]
fn secrets_that_it_lacks_are_named() {
    let sandbox = with_database();
    let output = sandbox.agreed(&["env", "add", "staging"]).success();
    output
        .prints(
            "- the manifests use `database` (URL, CA), which staging will lack: set each value with `makeinfra \
             secret set`, or copy all with `--with-secrets`\n\
             - not copied without `--with-secrets`: `mail` (KEY)\n",
        )
        .prints("  makeinfra secret set database KEY --env staging\n");
    let files = files_below(&sandbox.hello("secrets/kubernetes/staging"));
    assert_eq!(files, ["gitlab.secret.yaml", "kustomization.yaml"]);
}

#[test]
fn secrets_are_copied_if_that_is_wanted_and_no_value_is_shown() {
    let sandbox = with_database();
    let output = sandbox
        .agreed(&["env", "add", "staging", "--with-secrets", "--diff", "--commit"])
        .success();
    output.prints("secrets      database (URL, CA), mail (KEY)\n").prints(
        "--- /dev/null\n+++ b/secrets/kubernetes/staging/database.env\n(encrypted in git, not shown; keys: URL)\n",
    );
    assert!(!output.stdout.contains("hunter"), "{}", output.stdout);
    let tree = sandbox.tree();
    for (path, text) in
        tree.iter().filter(|(path, _)| path.starts_with("secrets/kubernetes/staging/"))
    {
        assert_eq!(text, &tree[&path.replace("staging/", "")], "{path}");
        assert_eq!(mode(&sandbox.hello(path)), 0o600);
    }
    assert!(tree.contains_key("secrets/kubernetes/staging/database.d/CA"));
    sandbox.is_sound();
    let Some(built) = built(&sandbox, "kubernetes/overlays/staging") else { return };
    assert_eq!(built.iter().filter(|one| one["kind"] == "Secret").count(), 3);
}

#[test]
fn a_locked_clone_cannot_copy_the_token() {
    let sandbox = Sandbox::with_hello();
    for file in ["gitlab.secret.yaml", "kustomization.yaml"] {
        let path = format!("secrets/kubernetes/{file}");
        let blob = sandbox.git(&["cat-file", "blob", &format!("HEAD:{path}")]).success().bytes;
        fs::write(sandbox.hello(&path), blob).unwrap();
    }
    let before = sandbox.tree();
    let output = sandbox.agreed(&["env", "add", "staging"]).failure(10);
    output.says("this clone is locked");
    assert_eq!(sandbox.tree(), before);
    // With the key, git decrypts at checkout.
    typed(&sandbox, hint(&output)).success();
    sandbox.agreed(&["env", "add", "staging", "--dry-run"]).success();
    sandbox.agreed(&["add", "worker", "--port", "none"]).success();
}

#[test]
fn without_a_token_there_is_none_for_the_new_one_either() {
    let sandbox = Sandbox::new();
    sandbox.new_without_token(&[]).success();
    let output = sandbox.agreed(&["env", "add", "staging"]).success();
    output.prints("token        none yet").prints("makeinfra rotate --env staging");
    assert_eq!(files_below(&sandbox.hello("secrets/kubernetes/staging")), ["kustomization.yaml"]);
    sandbox.rotate("gldt-First", &["--env", "staging"]).success();
    sandbox.commit_all();
    assert!(
        built(&sandbox, "kubernetes/overlays/staging")
            .is_none_or(|all| all.iter().any(|one| one["kind"] == "Secret"))
    );
}
