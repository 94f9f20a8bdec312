//! Nothing is encrypted with another repository's key: every command that writes tries the key
//! first.

use super::support::{SECRET, Sandbox, have};
use std::fs;

/// A locked clone of a generated repository in which somebody has run `git-crypt init`.
fn second_init() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--export-key", "key"]).success();
    sandbox.run("git", &["clone", "-q", "hello-infra", "clone"]).success();
    sandbox.run("git-crypt", &["init"]).cwd(sandbox.work("clone")).success();
    sandbox
}

const REFUSED: &str =
    "the git-crypt key of this clone belongs to another repository; nothing was written";

#[test]
fn a_second_git_crypt_init_is_refused_by_every_command_that_writes() {
    if !have("git-crypt") {
        return;
    }
    let sandbox = second_init();
    let clone = sandbox.work("clone");
    let token = sandbox.write_private("token2", "gldt-second").display().to_string();
    let commands: [&[&str]; 10] = [
        &["secret", "set", "database", "PASSWORD", "--stdin"],
        &["secret", "set", "database", "PASSWORD", "--stdin", "--commit"],
        &["secret", "unset", "database", "PASSWORD", "--yes"],
        &["rotate", "--token-username", "u", "--token-file", &token],
        &["rotate", "--token-username", "u", "--token-file", &token, "--commit"],
        &["env", "add", "staging", "--yes"],
        &["env", "add", "staging", "--yes", "--commit"],
        &["add", "worker", "--port", "none", "--yes", "--commit"],
        &["update", "--yes"],
        &["adopt", ".", "--yes"],
    ];
    let status = || sandbox.run("git", &["status", "--porcelain"]).cwd(&clone).success().stdout;
    let before = status();
    for command in commands {
        let output = sandbox.makeinfra(command).cwd(&clone).stdin("pw").failure(11);
        output.says(REFUSED).says("does not decrypt `secrets/kubernetes/gitlab.secret.yaml`");
        output.says("hint: git-crypt lock --force && git-crypt unlock KEY_FILE\n");
        assert_eq!(status(), before, "{command:?}");
    }
    let checked = sandbox.makeinfra(&["check", "clone"]).failure(1);
    for path in [SECRET, "secrets/kubernetes/kustomization.yaml"] {
        checked.prints(&format!(
            "{path}: the git-crypt key of this clone is a different one and cannot decrypt it \
             [secrets-key]"
        ));
    }
    // The hint works.
    sandbox
        .run("sh", &["-c", "git-crypt lock --force && git-crypt unlock ../key"])
        .cwd(&clone)
        .success();
    sandbox
        .makeinfra(&["secret", "set", "database", "PASSWORD", "--stdin"])
        .cwd(&clone)
        .stdin("pw")
        .success();
}

#[test]
fn a_folder_is_not_made_in_a_repository_whose_key_is_another() {
    if !have("git-crypt") {
        return;
    }
    let sandbox = second_init();
    let output = sandbox.new_hello(&["--no-git", "--output", "clone"]).failure(11);
    output.says(REFUSED);
    assert!(!sandbox.work("clone/hello-infra").exists());
}

#[test]
fn a_file_that_somebody_else_encrypted_is_named_and_stops_nobody() {
    if !have("git-crypt") {
        return;
    }
    let sandbox = second_init();
    // With git alone, which checks nothing.
    let clone = sandbox.work("clone");
    fs::write(clone.join("secrets/kubernetes/other.env"), "A=b\n").unwrap();
    sandbox.run("git", &["add", "secrets/kubernetes/other.env"]).cwd(&clone).success();
    sandbox.run("git", &["commit", "-q", "-m", "x"]).cwd(&clone).success();
    sandbox.makeinfra(&["env", "add", "staging", "--yes"]).cwd(&clone).failure(11).says(REFUSED);
    // The owner of the key fetches the commit.
    sandbox.git(&["fetch", "-q", "../clone"]).success();
    sandbox.git(&["-c", "filter.git-crypt.smudge=cat", "merge", "-q", "FETCH_HEAD"]).success();
    let checked = sandbox.makeinfra(&["check", "hello-infra"]).failure(1);
    checked.prints("secrets/kubernetes/other.env: encrypted with another key");
    assert!(!checked.stdout.contains("gitlab.secret.yaml: encrypted"), "{}", checked.stdout);
    sandbox.rotate("gldt-second", &["--commit"]).success();
}

#[test]
fn a_key_is_found_where_either_git_crypt_keeps_it_for_a_linked_work_tree() {
    if !have("git-crypt") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--export-key", "key"]).success();
    let script = "git -c filter.git-crypt.smudge=cat worktree add -q ../tree -b other";
    sandbox.run("sh", &["-c", script]).cwd(sandbox.hello("")).success();
    let (main, linked) =
        (sandbox.hello(".git/git-crypt"), sandbox.hello(".git/worktrees/tree/git-crypt"));
    let set = |value: &str| {
        let args = ["secret", "set", "database", "PASSWORD", "--stdin", "--commit"];
        sandbox.run("sh", &["-c", "git checkout -q -- ."]).cwd(sandbox.work("tree")).output();
        sandbox.makeinfra(&args).cwd(sandbox.work("tree")).stdin(value)
    };
    let plain = |sandbox: &Sandbox| {
        for path in [SECRET, "secrets/kubernetes/kustomization.yaml"] {
            fs::copy(sandbox.hello(path), sandbox.work("tree").join(path)).unwrap();
        }
    };
    plain(&sandbox);
    // In the repository's git directory, as with git-crypt 0.8.
    set("one").success();
    // In the work tree's, as with 0.7.
    fs::rename(&main, &linked).unwrap();
    set("two").success();
    // In neither.
    fs::rename(&linked, sandbox.path("away")).unwrap();
    set("three").failure(10).says("git-crypt unlock KEY_FILE");
    // Another key in one of the two, whichever git-crypt would use.
    fs::rename(sandbox.path("away"), &main).unwrap();
    let other = Sandbox::with_hello();
    fs::create_dir_all(linked.join("keys")).unwrap();
    fs::copy(other.hello(".git/git-crypt/keys/default"), linked.join("keys/default")).unwrap();
    set("four").failure(11).says(REFUSED);
    sandbox.rotate("gldt-second", &["--commit"]).success();
}
