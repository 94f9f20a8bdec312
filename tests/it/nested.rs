//! A generated folder of a larger git repository (`makeinfra new --no-git` inside one), and the top
//! that commands find.

use super::support::{SECRET, Sandbox, TOKEN, all_objects, assert_no_token, files_below, have};
use std::fs;
use std::path::PathBuf;

/// A git repository in the work directory, with git-crypt set up if `encrypts`.
fn outer(encrypts: bool) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.run("git", &["init", "-q"]).success();
    if encrypts {
        sandbox.run("git-crypt", &["init"]).success();
    }
    sandbox.run("git", &["commit", "-q", "--allow-empty", "-m", "begin"]).success();
    sandbox
}

/// Writes a file of the larger repository.
fn put(sandbox: &Sandbox, path: &str, text: &str) -> PathBuf {
    let file = sandbox.work(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, text).unwrap();
    file
}

fn committed() -> Sandbox {
    let sandbox = outer(true);
    sandbox.new_hello(&["--no-git"]).success();
    sandbox.run("git", &["add", "hello-infra"]).success();
    sandbox
        .run("git", &["commit", "-q", "-m", "Generate hello-infra", "--", "hello-infra"])
        .success();
    sandbox
}

#[test]
fn a_folder_of_a_repository_without_git_crypt_gets_no_token() {
    let sandbox = outer(false);
    let before = files_below(&sandbox.work(""));
    let output = sandbox.new_hello(&["--no-git"]).failure(1);
    output
        .says("would store the token in plaintext")
        .says("it does not use git-crypt")
        .says("git-crypt init");
    assert_eq!(files_below(&sandbox.work("")), before);
    // Without a token there is nothing to protect yet.
    let output = sandbox.new_without_token(&["--no-git"]).success();
    output.prints("git-crypt init").prints("makeinfra rotate");
    assert!(sandbox.hello("secrets/kubernetes/kustomization.yaml").is_file());
}

#[test]
fn a_folder_of_a_locked_clone_gets_no_token() {
    if !have("git-crypt") {
        return;
    }
    let sandbox = outer(true);
    put(&sandbox, ".gitattributes", "*.key filter=git-crypt diff=git-crypt\n");
    sandbox.run("git", &["add", ".gitattributes"]).success();
    sandbox.run("git", &["commit", "-q", "-m", "attributes"]).success();
    sandbox.run("git-crypt", &["lock"]).success();
    let output = sandbox.new_hello(&["--no-git"]).failure(10);
    // `git-crypt init` would create a key that nobody else has.
    output.says("this clone is locked").says("git-crypt unlock");
    assert!(!output.stderr.contains("git-crypt init"), "{}", output.stderr);
    assert!(!sandbox.work("hello-infra").exists());
}

#[test]
fn a_folder_of_an_unlocked_repository_is_encrypted_there() {
    if !have("git-crypt") {
        return;
    }
    let sandbox = outer(true);
    let output = sandbox.new_hello(&["--no-git"]).success();
    output.prints("    sh hello-infra/.githooks/pre-commit || exit 1\n");
    // GitLab only reads a pipeline at the top.
    for file in [".gitlab-ci.yml", ".gitlab", ".git"] {
        assert!(!sandbox.hello(file).exists(), "{file}");
    }
    assert!(
        fs::read_to_string(sandbox.hello(".makeinfra.yaml")).unwrap().contains("\n  ci: none\n")
    );
    let commands = output.stdout.lines().find(|line| line.contains("git -C")).unwrap();
    let command = commands.split("  #").next().unwrap().trim();
    sandbox.run("sh", &["-ec", command]).success();
    let blob = sandbox.run("git", &["show", &format!("HEAD:hello-infra/{SECRET}")]).output();
    assert!(blob.stdout.starts_with("\0GITCRYPT\0"), "{:?}", blob.stdout);
    assert_no_token(&all_objects(&sandbox, &sandbox.work("")), "git's objects");
    let output = sandbox.makeinfra(&["check"]).cwd(sandbox.hello("kubernetes")).success();
    output.prints("0 problems");
}

#[test]
fn the_line_for_the_outer_hook_refuses_plaintext() {
    if !have("git-crypt") {
        return;
    }
    let sandbox = committed();
    let hook = put(
        &sandbox,
        ".git/hooks/pre-commit",
        "#!/bin/sh\nsh hello-infra/.githooks/pre-commit || exit 1\n",
    );
    fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    sandbox.run("git", &["commit", "-q", "--allow-empty", "-m", "nothing"]).success();
    put(&sandbox, "hello-infra/.gitattributes", "");
    put(&sandbox, "hello-infra/secrets/kubernetes/plain.env", "PASSWORD=x\n");
    sandbox.run("git", &["add", "hello-infra"]).success();
    let output = sandbox.run("git", &["commit", "-q", "-m", "plain"]).failure(1);
    output.says("secrets/kubernetes/plain.env");
}

#[test]
fn a_rotation_commits_in_the_larger_repository() {
    if !have("git-crypt") {
        return;
    }
    let sandbox = committed();
    put(&sandbox, "other", "somebody's work\n");
    sandbox.run("git", &["add", "other"]).success();
    sandbox.rotate("gldt-new", &["--commit"]).success();
    let output = sandbox.run("git", &["show", "--stat", "--format=", "HEAD"]).success();
    assert!(output.stdout.contains(&format!("hello-infra/{SECRET}")), "{}", output.stdout);
    assert!(!output.stdout.contains("other"), "{}", output.stdout);
    let status = sandbox.run("git", &["status", "--short"]).success();
    assert_eq!(status.stdout, "A  other\n");
    assert_no_token(&all_objects(&sandbox, &sandbox.work("")), "git's objects");
    assert!(!status.stdout.contains(TOKEN));
}

#[test]
fn the_nearest_record_is_the_top() {
    if !have("git-crypt") {
        return;
    }
    let sandbox = committed();
    let check = |dir: &str| {
        sandbox.makeinfra(&["check", "--verbose"]).cwd(sandbox.work(dir)).output().stdout
    };
    let whole = check("hello-infra");
    assert!(whole.contains("ok       secrets/kubernetes/gitlab.secret.yaml: "), "{whole}");
    // A hint is for the current directory.
    let lines = |text: &str| {
        text.lines().filter(|line| !line.contains("hint:")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines(&check("hello-infra/kubernetes/base")), lines(&whole));
    // Above the folder there is no record, so the top of git's work tree counts.
    assert_ne!(check(""), whole);
}

#[test]
fn plaintext_beside_the_folder_is_not_its_business() {
    if !have("git-crypt") {
        return;
    }
    let sandbox = committed();
    put(&sandbox, "secrets/other.yaml", "kind: Secret\n");
    sandbox.run("git", &["add", "secrets"]).success();
    sandbox.run("git", &["commit", "-q", "-m", "plain, elsewhere"]).success();
    sandbox.makeinfra(&["check"]).cwd(sandbox.hello("")).success().prints("0 problems");
    // Below the folder, it counts.
    put(&sandbox, "hello-infra/.gitattributes", "");
    put(&sandbox, "hello-infra/secrets/kubernetes/plain.env", "PASSWORD=x\n");
    sandbox.run("git", &["add", "hello-infra"]).success();
    let output = sandbox.makeinfra(&["check"]).cwd(sandbox.hello("")).failure(1);
    output.prints("secrets/kubernetes/plain.env: plaintext in the index");
    assert!(!output.stdout.contains("hello-infra/secrets"), "{}", output.stdout);
}

#[test]
fn a_folder_with_a_name_that_is_not_utf8_is_refused_and_not_taken_for_the_top() {
    use std::os::unix::ffi::OsStrExt;
    let sandbox = outer(true);
    put(&sandbox, "d.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n");
    let folder = sandbox.work("").join(std::ffi::OsStr::from_bytes(b"sub\xff"));
    fs::create_dir(&folder).unwrap();
    let before = files_below(&sandbox.work(""));
    for args in [&["adopt", "--project", "web", "--yes"][..], &["check"]] {
        let mut command = sandbox.makeinfra(args).cwd(folder.clone()).command();
        command.arg(if args[0] == "adopt" { "." } else { "--json" });
        let output = super::support::Run::of(command).output();
        assert_ne!(output.code, Some(0), "{args:?}: {}", output.stdout);
        assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
    }
    assert_eq!(files_below(&sandbox.work("")), before);
}
