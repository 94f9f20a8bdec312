//! The exit codes that pipelines can distinguish: documented, stable, and the same in JSON.

use super::support::*;
use std::fs;

/// Expects that the command fails with `code`, also in JSON.
#[track_caller]
fn fails(sandbox: &Sandbox, code: i32, args: &[&str]) {
    sandbox.makeinfra(args).failure(code);
    let output = sandbox.makeinfra(&[args, &["--json"]].concat()).output();
    assert_eq!(output.code, Some(code));
    assert_eq!(output.json()["error"]["code"], code);
}

#[test]
fn a_locked_clone_is_10() {
    let sandbox = Sandbox::with_hello();
    sandbox.run("git", &["clone", "-q", "hello-infra", "clone"]).success();
    let token = sandbox.write_private("token2", "gldt-Second").display().to_string();
    let rotate = [
        "rotate",
        "clone",
        "--token-username",
        USER,
        "--token-file",
        &token,
        "--expires-at",
        "never",
    ];
    fails(&sandbox, 10, &rotate);
    let value = sandbox.write_private("value", "x").display().to_string();
    fails(
        &sandbox,
        10,
        &["secret", "set", "app", "KEY", "clone", "--from-file", &value, "--no-input"],
    );
    fails(&sandbox, 10, &["env", "add", "staging", "clone", "--yes"]);
    fails(
        &sandbox,
        10,
        &["rotate", "clone", "clone/.", "--repos-from", &list(&sandbox), "--no-input"],
    );
}

fn list(sandbox: &Sandbox) -> String {
    sandbox.write("list", "clone\n").display().to_string()
}

#[test]
fn another_key_is_11() {
    let sandbox = Sandbox::with_hello();
    let other = Sandbox::with_hello();
    fs::copy(
        other.hello(".git/git-crypt/keys/default"),
        sandbox.hello(".git/git-crypt/keys/default"),
    )
    .unwrap();
    let token = sandbox.write_private("token2", "gldt-Second").display().to_string();
    let rotate = ["rotate", "hello-infra", "--token-username", USER, "--token-file", &token];
    fails(&sandbox, 11, &[&rotate[..], &["--expires-at", "never"]].concat());
    fs::write(sandbox.hello(".git/git-crypt/keys/default"), "no key").unwrap();
    fails(&sandbox, 11, &[&rotate[..], &["--expires-at", "never", "--commit"]].concat());
}
