//! Repositories that cannot be opened, or that would block: one correct sentence, and a hint that
//! works.

use super::support::Sandbox;
use std::fs;

fn check(sandbox: &Sandbox, dir: &str) -> super::support::Output {
    let script = format!("timeout 10 {} check {dir}", env!("CARGO_BIN_EXE_makeinfra"));
    sandbox.run("sh", &["-c", &script]).failure(1)
}

#[test]
fn what_git_alone_can_open_is_named_with_the_way_out() {
    let sandbox = Sandbox::with_hello();
    sandbox.git(&["config", "core.repositoryformatversion", "1"]).success();
    for (extension, value, says, hint) in [
        (
            "refStorage",
            "reftable",
            "its references are in `reftable` format",
            "refs migrate --ref-format=files",
        ),
        ("objectFormat", "sha256", "it uses SHA-256 object names", "git init --object-format=sha1"),
        ("foo", "a\u{1b}[31mb", "the git extension `foo=a?[31mb`", " clone . "),
    ] {
        sandbox.git(&["config", &format!("extensions.{extension}"), value]).success();
        let output = check(&sandbox, "hello-infra");
        output.says(says).says("hint: ").says(hint);
        assert!(!output.stderr.contains('\u{1b}'), "{}", output.stderr);
        sandbox
            .git(&[
                "config",
                "--file",
                ".git/config",
                "--unset",
                &format!("extensions.{extension}"),
            ])
            .success();
    }
    check_ok(&sandbox);
}

fn check_ok(sandbox: &Sandbox) {
    sandbox.makeinfra(&["check", "hello-infra"]).success();
}

#[test]
fn the_way_out_of_sha256_keeps_every_commit() {
    let sandbox = Sandbox::new();
    if sandbox.run("git", &["init", "-q", "--object-format=sha256", "big"]).output().code != Some(0)
    {
        eprintln!("SKIPPED: this git knows no SHA-256");
        return;
    }
    sandbox.write("work/big/a", "a");
    sandbox.run("sh", &["-c", "cd big && git add a && git commit -q -m 'one commit'"]).success();
    let output = check(&sandbox, "big");
    let hint =
        output.stderr.lines().find_map(|line| line.strip_prefix("hint: ")).unwrap().to_owned();
    sandbox.run("sh", &["-c", &hint]).success();
    let log = sandbox.run("git", &["-C", "big-sha1", "log", "--oneline", "--all"]).success().stdout;
    assert!(log.contains("one commit"), "{log}");
}

#[test]
fn a_repository_of_another_user_is_named_as_such() {
    let sandbox = Sandbox::with_hello();
    let repo = sandbox.hello("").canonicalize().unwrap();
    if sandbox.run("chown", &["-R", "12345:12345", "hello-infra"]).output().code != Some(0) {
        eprintln!("SKIPPED: only root gives files to another user");
        return;
    }
    let output = check(&sandbox, "hello-infra");
    output.says("belongs to another user");
    let hint =
        output.stderr.lines().find_map(|line| line.strip_prefix("hint: ")).unwrap().to_owned();
    assert_eq!(hint, format!("git config --global --add safe.directory {}", repo.display()));
    sandbox.run("sh", &["-c", &hint]).success();
    check_ok(&sandbox);
}

#[test]
fn no_file_of_git_is_waited_for() {
    for file in ["HEAD", "index", "config", "git-crypt/keys/default", "packed-refs", "info/exclude"]
    {
        let sandbox = Sandbox::with_hello();
        let file = sandbox.hello(".git").join(file);
        let _ = fs::remove_file(&file);
        sandbox.run("mkfifo", &[&file.display().to_string()]).success();
        let output = check(&sandbox, "hello-infra");
        let said = output.stdout.clone() + &output.stderr;
        assert!(
            said.contains("regular file") || said.contains("not a git-crypt key"),
            "{}: {said}",
            file.display()
        );
        sandbox.rotate("gldt-second", &["--commit"]).failure(1).says("regular file");
        fs::remove_file(&file).unwrap();
        fs::File::create(&file).unwrap().set_len(1 << 30).unwrap();
        if file.ends_with("info/exclude")
            || file.ends_with("packed-refs")
            || file.ends_with("default")
        {
            continue;
        }
        check(&sandbox, "hello-infra").says("too large");
    }
}

#[test]
fn terminal_escapes_of_git_files_stay_off_the_screen() {
    for (file, text) in
        [("HEAD", "ref: \u{1b}[31mx\n"), ("config", "[co\u{1b}[31mre\n"), ("HEAD", "\u{1b}[2J")]
    {
        let sandbox = Sandbox::with_hello();
        fs::write(sandbox.hello(".git").join(file), text).unwrap();
        for output in [
            sandbox.makeinfra(&["check", "hello-infra"]).output(),
            sandbox.rotate("gldt-second", &["--commit"]).output(),
        ] {
            assert!(
                !output.stderr.contains('\u{1b}') && !output.stdout.contains('\u{1b}'),
                "{}",
                output.stderr
            );
        }
    }
}
