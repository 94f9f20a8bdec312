//! Several repositories in one run: a line or an object for each, in order, a summary, the exit
//! code, and the list of those to repeat.

use super::older::Edit;
use super::registry_bed::Bed;
use super::support::*;
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

/// A difference between an older version's output and this one's.
const EDITS: [Edit; 1] = [("README.md.tera", "Deploying requires", "To deploy you need")];

/// A sandbox with copies of a generated repository called `names`.
fn copies(sandbox: Sandbox, names: &[&str]) -> Sandbox {
    for name in names {
        sandbox.run("cp", &["-r", "hello-infra", name]).success();
    }
    sandbox
}

pub fn with_three() -> Sandbox {
    copies(Sandbox::with_hello(), &["a", "b", "c"])
}

/// Three repositories that an update changes.
pub fn with_three_older() -> Sandbox {
    copies(Sandbox::older(&EDITS, &[]), &["a", "b", "c"])
}

fn head(sandbox: &Sandbox, name: &str) -> String {
    sandbox.run("git", &["rev-parse", "HEAD"]).cwd(sandbox.work(name)).success().stdout
}

/// The beginnings of the lines before the summary, up to the repository's name.
fn begins(output: &Output) -> Vec<String> {
    let lines = output.stdout.lines().take_while(|line| !line.is_empty());
    lines
        .map(|line| {
            line.split(':').next().unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
        })
        .collect()
}

fn objects(output: &Output) -> Vec<Value> {
    output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The content of a list of repositories.
fn list(sandbox: &Sandbox, name: &str) -> Vec<String> {
    let text = fs::read_to_string(sandbox.work(name)).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn each_has_a_line_in_the_order_in_which_they_are_named() {
    let sandbox = with_three();
    fs::remove_file(sandbox.work("b/kubernetes/base/deployment.yaml")).unwrap();
    let output = sandbox.makeinfra(&["check", "c", "b", "nothing", "a"]).failure(1);
    assert_eq!(begins(&output), ["ok c", "problem b", "failed REPO 3", "ok a"]);
    output.prints("\n\n4 repositories: 2 ok, 1 with problems, 1 failed\n");
    let b = sandbox.work("b").canonicalize().unwrap();
    output.prints(&format!("; hint: makeinfra check {}\n", b.display()));
    assert_eq!(output.stderr, "");
    // An argument that is not a directory may be a misplaced token.
    sandbox.makeinfra(&["check", "a", TOKEN]).failure(2);
    sandbox.makeinfra(&["check", "a", TOKEN, "--json"]).failure(2);
}

#[test]
fn the_worst_exit_code_is_that_of_the_run() {
    let sandbox = with_three();
    sandbox.makeinfra(&["check", "a", "b"]).success();
    sandbox.makeinfra(&["check", "a", "nothing"]).failure(2);
    sandbox.edit_in("b", "kubernetes/base/deployment.yaml", "image: ", "image: localhost:1/");
    // A registry that does not exist.
    sandbox.makeinfra(&["check", "a", "c", "--online", "--platform", "linux"]).failure(2);
    fs::remove_file(sandbox.work("b/kubernetes/base/deployment.yaml")).unwrap();
    sandbox.makeinfra(&["check", "nothing", "b"]).failure(1);
}

#[test]
fn one_repository_has_the_output_that_it_always_has() {
    let sandbox = with_three();
    for args in [&["check"][..], &["update", "--dry-run"], &["update", "--check"]] {
        for more in [&[][..], &["--json"]] {
            let args = [args, more].concat();
            let alone = sandbox.makeinfra(&[&args[..], &["a"]].concat()).output();
            sandbox.write("work/list", "a\n");
            for run in [
                sandbox.makeinfra(&[&args[..], &["a", "--failed-to", "failed"]].concat()),
                sandbox.makeinfra(&[&args[..], &["--repos-from", "list"]].concat()),
                sandbox.makeinfra(&[&args[..], &["a", "./a", "a/kubernetes"]].concat()),
            ] {
                let output = run.output();
                assert_eq!(
                    (&output.stdout, &output.stderr),
                    (&alone.stdout, &alone.stderr),
                    "{args:?}"
                );
                assert_eq!(output.code, alone.code);
            }
        }
    }
}

#[test]
fn a_list_may_have_blank_lines_comments_and_line_breaks_of_windows() {
    let sandbox = with_three();
    let text = "# mine\r\n\r\na\r\n   \n  # b\nc";
    sandbox.write("work/list", text);
    let output = sandbox.makeinfra(&["check", "--repos-from", "list"]).success();
    assert_eq!(begins(&output), ["ok a", "ok c"]);
    let output = sandbox.makeinfra(&["check", "b", "--repos-from", "-"]).stdin(text).success();
    assert_eq!(begins(&output), ["ok b", "ok a", "ok c"]);
    // The output of `find -print0`.
    let output = sandbox.makeinfra(&["check", "--repos-from", "-"]).stdin("a\0c\0").success();
    assert_eq!(begins(&output), ["ok a", "ok c"]);
}

#[test]
fn a_list_without_a_repository_is_an_error_and_never_the_current_directory() {
    let sandbox = with_three();
    for text in ["", "\n", "# a\n\r\n"] {
        let run =
            sandbox.makeinfra(&["check", "--repos-from", "-"]).cwd(sandbox.work("a")).stdin(text);
        run.failure(2).says("the `--repos-from` list contains no repository");
    }
    let run = sandbox.makeinfra(&["check", "--repos-from", "nothing"]).cwd(sandbox.work("a"));
    run.failure(2).says("the `--repos-from` file does not exist");
}

#[test]
fn one_work_tree_under_two_names_is_one() {
    let sandbox = with_three();
    std::os::unix::fs::symlink("a", sandbox.work("link")).unwrap();
    let output =
        sandbox.makeinfra(&["check", "link", "a", "b/", "b/kubernetes/base", "./b"]).success();
    assert_eq!(begins(&output), ["ok link", "ok b/"]);
    // Two folders of one git repository count as two.
    let output = sandbox.makeinfra(&["check", "nothing", "nothing", "a"]).failure(2);
    assert_eq!(begins(&output), ["failed REPO 1", "ok a"]);
}

#[test]
fn json_is_one_object_a_line_failures_included() {
    let sandbox = with_three();
    fs::remove_file(sandbox.work("b/kubernetes/base/deployment.yaml")).unwrap();
    sandbox.write("work/list", "a\nno such\nb\nc\n");
    let output = sandbox.makeinfra(&["check", "--repos-from", "list", "--json"]).failure(1);
    let objects = objects(&output);
    let given: Vec<_> = objects.iter().map(|object| object["given"].as_str().unwrap()).collect();
    assert_eq!(given, ["a", "no such", "b", "c"]);
    let alone = sandbox.makeinfra(&["check", "a", "--json"]).success().json();
    let mut first = objects[0].clone();
    first.as_object_mut().unwrap().remove("given");
    assert_eq!(first, alone);
    assert_eq!(
        (&objects[1]["repo"], &objects[1]["error"]["code"]),
        (&Value::Null, &Value::from(2))
    );
    assert!(objects[2].get("error").is_none());
    assert_eq!(output.stderr, "");
}

#[test]
fn those_that_failed_are_listed_and_can_be_given_again() {
    let sandbox = with_three();
    let odd: [&[u8]; 6] = [b"#one", b" two ", b"three\r", b"fo\xffur", b"-five", b"si:x; 'y'"];
    for name in odd {
        fs::create_dir(sandbox.path("work").join(OsStr::from_bytes(name))).unwrap();
    }
    let run = |list: &[u8], code| {
        let args = ["check", "a", "--repos-from", "-", "--failed-to", "failed"];
        let output = sandbox.makeinfra(&args).stdin(list).failure(code);
        (output, fs::read(sandbox.work("failed")).unwrap())
    };
    let (_, failed) =
        run(&[&odd.map(|name| [b"./", name].concat()).join(&b'\0')[..], b"\0"].concat(), 1);
    let (output, again) = run(&failed, 1);
    assert_eq!(failed, again);
    assert_eq!(begins(&output).len(), 7);
    output.prints("  makeinfra check --repos-from failed\n");
    // A path with a line break can only be listed with NULs.
    fs::create_dir(sandbox.work("new\nline")).unwrap();
    let (_, failed) = run(b"b\0new\nline\0c\0#one\0", 1);
    assert_eq!(failed, b"new\nline\0#one\0");
    assert_eq!(run(&failed, 1).1, failed);
    // Written even if nothing failed, overwriting an existing file.
    sandbox.makeinfra(&["check", "a", "b", "--failed-to", "failed"]).success();
    assert_eq!(fs::read(sandbox.work("failed")).unwrap(), b"");
    // The list itself is the output.
    sandbox.write("work/list", "a\nno such\nb\n");
    sandbox.makeinfra(&["check", "--repos-from", "list", "--failed-to", "list"]).failure(2);
    assert_eq!(list(&sandbox, "list"), ["no such"]);
    sandbox.makeinfra(&["check", "a", "b", "--failed-to", "no/such/../dir/"]).failure(1);
}

#[test]
fn what_is_no_file_gets_the_list_as_it_is() {
    let sandbox = with_three();
    sandbox.makeinfra(&["check", "a", "b", "--failed-to", "/dev/null"]).success();
    assert!(!fs::symlink_metadata("/dev/null").unwrap().is_file());
    sandbox.write("work/real", "old\n");
    std::os::unix::fs::symlink("real", sandbox.work("link")).unwrap();
    sandbox.makeinfra(&["check", "a", "nothing", "--failed-to", "link"]).failure(2);
    assert_eq!(list(&sandbox, "real"), ["nothing"]);
    assert!(sandbox.work("link").is_symlink());
}

#[test]
fn an_update_looks_at_all_before_it_writes_the_first() {
    let sandbox = with_three_older();
    sandbox.write("work/b/.git/CHERRY_PICK_HEAD", head(&sandbox, "b"));
    let heads = ["a", "b", "c"].map(|name| head(&sandbox, name));
    let unchanged = || assert_eq!(["a", "b", "c"].map(|name| head(&sandbox, name)), heads);
    let output = sandbox.makeinfra(&["update", "a", "b", "c", "--dry-run"]).failure(1);
    assert_eq!(begins(&output), ["ok a", "failed b", "ok c"]);
    output.prints(": 2 files").prints("3 repositories: 2 ok, 2 would change, 1 failed\n");
    unchanged();
    // There is no terminal.
    let args = ["update", "a", "b", "c", "--commit", "--failed-to", "failed"];
    let output = sandbox.makeinfra(&args).failure(2);
    output.says("cannot ask for confirmation: not a terminal");
    assert_eq!(list(&sandbox, "failed"), ["a", "b", "c"]);
    unchanged();
    let output = sandbox.makeinfra(&[&args[..], &["--yes"]].concat()).failure(1);
    assert_eq!(begins(&output), ["ok a", "failed b", "ok c"]);
    output.prints("committed as ").prints("3 repositories: 2 ok, 2 changed, 1 failed\n");
    assert_eq!(list(&sandbox, "failed"), ["b"]);
    assert_eq!(head(&sandbox, "b"), heads[1]);
    for name in ["a", "c"] {
        assert_ne!(head(&sandbox, name), heads[0]);
        assert!(
            fs::read_to_string(sandbox.work(name).join("README.md"))
                .unwrap()
                .contains("Deploying requires")
        );
    }
    let output = sandbox.makeinfra(&["update", "a", "c", "--commit", "--yes"]).success();
    output.prints("2 repositories: 2 ok\n");
    fs::remove_file(sandbox.work("b/.git/CHERRY_PICK_HEAD")).unwrap();
    let output =
        sandbox.makeinfra(&["update", "--repos-from", "failed", "a", "--json", "--yes"]).success();
    let changed: Vec<_> = objects(&output).iter().map(|object| object["changed"].clone()).collect();
    assert_eq!(changed, [false, true]);
}

#[test]
fn folders_of_one_git_repository_are_updated_one_after_the_other() {
    let sandbox = Sandbox::older(&EDITS, &[]);
    // Both use the same git directory.
    let script = "mkdir all && cd all && git init -q && for name in one two three; do \
        git -C ../hello-infra archive --prefix=$name/ HEAD | tar -x; done && git add -A && git commit -qm all";
    sandbox.run("sh", &["-c", script]).success();
    let all = ["all/one", "all/two", "all/three"];
    let output =
        sandbox.makeinfra(&[&["update", "--commit", "--yes"][..], &all].concat()).success();
    output.prints("3 repositories: 3 ok, 3 changed\n");
    let log = sandbox.run("git", &["log", "--oneline"]).cwd(sandbox.work("all")).success();
    assert_eq!(log.stdout.lines().count(), 4, "{}", log.stdout);
}

#[test]
fn conflicts_keep_an_update_from_one_repository_alone() {
    let sandbox = with_three_older();
    sandbox.edit_in("b", "README.md", "To deploy you need", "You cannot deploy without");
    sandbox.run("git", &["commit", "-qam", "Mine"]).cwd(sandbox.work("b")).success();
    let output = sandbox.makeinfra(&["update", "a", "b", "c", "--commit", "--yes"]).failure(12);
    assert_eq!(begins(&output), ["ok a", "failed b", "ok c"]);
    let b = sandbox.work("b").canonicalize().unwrap();
    output.prints(&format!("hint: makeinfra update {} --conflicts", b.display()));
    let output = sandbox.makeinfra(&["update", "a", "b", "--conflicts", "--yes"]).failure(12);
    output.prints("unresolved conflicts in 1 file");
    assert!(sandbox.work("b/.git/CHERRY_PICK_HEAD").is_file());
}

/// `makeinfra rotate` with the token `value` for all of `args`.
fn rotate(sandbox: &Sandbox, value: &str, args: &[&str]) -> Run {
    let token = sandbox.write_private("token2", value).display().to_string();
    let base =
        ["rotate", "--token-username", USER, "--token-file", &token, "--expires-at", "never"];
    sandbox.makeinfra(&[&base[..], args].concat())
}

fn secret(sandbox: &Sandbox, name: &str) -> Vec<u8> {
    fs::read(sandbox.work(name).join(SECRET)).unwrap()
}

#[test]
fn one_token_gets_into_all_that_can_take_it() {
    let sandbox = with_three();
    sandbox.run("git-crypt", &["lock"]).cwd(sandbox.work("b")).success();
    let old = secret(&sandbox, "a");
    let output = rotate(&sandbox, "gldt-new", &["a", "b", "c", "--dry-run"]).failure(10);
    assert_eq!(begins(&output), ["ok a", "failed b", "ok c"]);
    output.prints("3 repositories: 2 ok, 2 would change, 1 failed\n");
    assert_eq!(secret(&sandbox, "a"), old);
    let output =
        rotate(&sandbox, "gldt-new", &["a", "b", "c", "--commit", "--failed-to", "failed"])
            .failure(10);
    assert_eq!(begins(&output), ["ok a", "failed b", "ok c"]);
    output
        .prints("it is encrypted, and this clone is locked")
        .prints("3 repositories: 2 ok, 2 changed, 1 failed\n");
    let b = sandbox.work("b").canonicalize().unwrap();
    output.prints(&format!("hint: cd {} && git-crypt unlock KEY_FILE\n", b.display()));
    assert_ne!(secret(&sandbox, "a"), old);
    assert_eq!(secret(&sandbox, "a"), secret(&sandbox, "c"));
    // The old token may only be deleted once neither needs it; the copies have the same name.
    let text = String::from_utf8(secret(&sandbox, "a")).unwrap();
    assert!(text.contains("  makeinfra/token-repositories: hello-infra hello-infra\n"), "{text}");
    assert_eq!(list(&sandbox, "failed"), ["b"]);
    for name in ["a", "c"] {
        let status =
            sandbox.run("git", &["status", "--porcelain"]).cwd(sandbox.work(name)).success();
        assert_eq!(status.stdout, "");
    }
    let key = sandbox.work("hello-infra/.git/git-crypt/keys/default").display().to_string();
    sandbox.run("git-crypt", &["unlock", &key]).cwd(sandbox.work("b")).success();
    let output = rotate(&sandbox, "gldt-new", &["a", "--repos-from", "failed", "--json"]).success();
    let changed: Vec<_> = objects(&output).iter().map(|object| object["changed"].clone()).collect();
    assert_eq!(changed, [false, true]);
    assert_eq!(secret(&sandbox, "a"), secret(&sandbox, "b"));
}

#[test]
fn one_token_is_not_for_different_registries() {
    let sandbox = with_three();
    fs::rename(sandbox.work("b"), sandbox.work("old")).unwrap();
    let other = "registry.example.com/group/hello:1.0.0";
    let token = sandbox.path("token").display().to_string();
    let new = ["new", "other", "--image", other, "--token-username", USER, "--token-file", &token];
    sandbox.makeinfra(&new).success();
    fs::rename(sandbox.work("other-infra"), sandbox.work("b")).unwrap();
    let old = ["a", "b", "c"].map(|name| secret(&sandbox, name));
    let args = ["a", "b", "c", "--failed-to", "failed"];
    let output = rotate(&sandbox, "gldt-new", &args).failure(2);
    output.says("one token cannot be used for different registries");
    output.says("`a` is for registry.gitlab.com, `b` for registry.example.com");
    assert_eq!(["a", "b", "c"].map(|name| secret(&sandbox, name)), old);
    assert_eq!(list(&sandbox, "failed"), ["a", "b", "c"]);
    // A locked repository does not count.
    sandbox.run("git-crypt", &["lock"]).cwd(sandbox.work("b")).success();
    rotate(&sandbox, "gldt-new", &args).failure(10);
    assert_eq!(list(&sandbox, "failed"), ["b"]);
}

#[test]
fn a_token_that_nobody_gives_is_missing_once() {
    let sandbox = with_three();
    let output = sandbox.makeinfra(&["rotate", "a", "b"]).failure(2);
    output.says("required answers are missing").says("--token-username");
    let args = ["rotate", "a", "b", "--token-username", USER, "--expires-at", "never"];
    sandbox.makeinfra(&[&args[..], &["--token-stdin"]].concat()).stdin("gldt-new").success();
    assert_eq!(secret(&sandbox, "a"), secret(&sandbox, "b"));
    assert_ne!(secret(&sandbox, "a"), secret(&sandbox, "c"));
    let args = ["rotate", "--token-username", USER, "--token-stdin", "--repos-from", "-"];
    sandbox.makeinfra(&args).stdin(TOKEN).failure(2).says("cannot be both the token and the list");
    let output =
        sandbox.makeinfra(&["rotate", "a", "b", "--from-docker-config", "../token"]).failure(2);
    output.says("`--from-docker-config` requires a `=` before the file");
}

#[test]
fn what_needs_no_token_is_done_in_all() {
    let sandbox = with_three();
    let args = ["rotate", "a", "b", "--keep-token", "--expires-at", "2999-12-31", "--commit"];
    sandbox.makeinfra(&args).success().prints("2 repositories: 2 ok, 2 changed\n");
    sandbox.makeinfra(&args).success().prints("2 repositories: 2 ok\n");
    rotate(&sandbox, "gldt-ghcr", &["a", "b", "--add-registry", "ghcr.io", "--commit"]).success();
    let args = ["rotate", "a", "b", "c", "--remove-registry", "ghcr.io", "--commit"];
    let output = sandbox.makeinfra(&args).success();
    output.prints("3 repositories: 3 ok, 2 changed\n");
}

#[test]
fn a_login_that_is_refused_is_tried_once_for_all() {
    let Some(bed) = Bed::start() else { return };
    let sandbox = Sandbox::new();
    let token = sandbox.path("token").display().to_string();
    let new =
        ["new", "hello", "--token-username", USER, "--token-file", &token, "--expires-at", "never"];
    sandbox
        .makeinfra(&[&new[..], &["--image", &bed.image("group/hello:1.0.0")]].concat())
        .success();
    let sandbox = copies(sandbox, &["a", "b", "c"]);
    let check = ["check", "a", "b", "c", "--online", "--jobs", "2"];
    let output = sandbox.makeinfra(&check).success();
    assert_eq!(begins(&output), ["ok a", "ok b", "ok c"]);
    assert_eq!(bed.sign_ins().len(), 1);
    bed.knows("gldt-good", "group", "read_registry");
    let before = bed.sign_ins().len();
    let output = sandbox.makeinfra(&check).failure(1);
    assert_eq!(begins(&output), ["problem a", "problem b", "problem c"]);
    output.prints("hint: makeinfra check ").prints(" --online\n");
    assert_eq!(bed.sign_ins().len(), before + 1, "{:?}", bed.sign_ins());
    let old = secret(&sandbox, "a");
    let output = rotate(&sandbox, "gldt-bad", &["a", "b", "c", "--check", "--failed-to", "failed"])
        .failure(13);
    assert_eq!(begins(&output), ["failed a", "failed b", "failed c"]);
    output.prints("the registry refused the token; nothing was written");
    assert_eq!(bed.sign_ins().len(), before + 2, "{:?}", bed.sign_ins());
    assert_eq!(secret(&sandbox, "a"), old);
    assert_eq!(list(&sandbox, "failed"), ["a", "b", "c"]);
    rotate(&sandbox, "gldt-good", &["a", "b", "c", "--check"]).success();
    assert_eq!(bed.sign_ins().len(), before + 3, "{:?}", bed.sign_ins());
    assert_eq!(secret(&sandbox, "a"), secret(&sandbox, "c"));
}

/// Runs a command, reads `read` lines and then closes the pipe. Returns the exit status and standard
/// error.
fn closed(run: Run, read: usize) -> (std::process::ExitStatus, String) {
    let mut command = run.command();
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    for _ in 0..read {
        out.read_line(&mut String::new()).unwrap();
    }
    drop(out);
    let output = child.wait_with_output().unwrap();
    (output.status, String::from_utf8(output.stderr).unwrap())
}

#[test]
fn who_closes_the_pipe_has_the_rest_listed() {
    let names: Vec<String> = (0..24).map(|number| format!("repo{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let sandbox = copies(Sandbox::older(&EDITS, &[]), &names);
    let old = head(&sandbox, "hello-infra");
    let args = [&["update", "--yes", "--commit", "--failed-to", "failed"][..], &names].concat();
    let (status, said) = closed(sandbox.makeinfra(&args), 0);
    let failed = list(&sandbox, "failed");
    let untouched: Vec<_> =
        names.iter().filter(|name| head(&sandbox, name) == old).copied().collect();
    assert_eq!(failed, untouched);
    assert!(!failed.is_empty(), "all were written though nobody reads");
    assert_eq!(status.code(), Some(141));
    assert!(said.contains("error: standard output was closed\n"), "{said}");
    assert!(said.contains("hint: makeinfra update --repos-from failed\n"), "{said}");
}

#[test]
fn a_signal_ends_a_run_between_two_repositories() {
    let names: Vec<String> = (0..24).map(|number| format!("repo{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let sandbox = copies(Sandbox::older(&EDITS, &[]), &names);
    let old = head(&sandbox, "hello-infra");
    let args = [&["update", "--yes", "--commit", "--failed-to", "failed"][..], &names].concat();
    let mut command = sandbox.makeinfra(&args).command();
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut String::new()).unwrap();
    sandbox.run("kill", &["-INT", &child.id().to_string()]).success();
    let rest: Vec<String> = out.lines().map(Result::unwrap).collect();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let failed = list(&sandbox, "failed");
    let untouched: Vec<_> =
        names.iter().filter(|name| head(&sandbox, name) == old).copied().collect();
    assert_eq!(failed, untouched, "{said}");
    assert!(!failed.is_empty(), "it was not interrupted: {rest:?}");
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("error: interrupted\n"), "{said}");
    assert!(rest.iter().any(|line| line.starts_with("24 repositories: ")), "{rest:?}");
    for name in &names {
        assert!(!sandbox.work(name).join(".git/index.lock").exists());
    }
    let again =
        sandbox.makeinfra(&["update", "--repos-from", "failed", "--yes", "--commit"]).success();
    assert!(names.iter().all(|name| head(&sandbox, name) != old), "{}", again.stdout);
}

#[test]
fn a_signal_ends_a_run_that_waits_and_those_that_are_not_done_are_listed() {
    let sandbox = with_three();
    sandbox.write_program("kubectl", "#!/bin/sh\n: > ../waits\nexec sleep 60\n");
    let args = ["check", "a", "b", "--running", "--failed-to", "failed"];
    let mut command = sandbox.makeinfra(&args).env("PATH", sandbox.own_path()).command();
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    while !sandbox.work("waits").exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(list(&sandbox, "failed"), ["a", "b"]);
    sandbox.run("kill", &["-TERM", &child.id().to_string()]).success();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.signal(), Some(15), "{said}");
    assert!(
        said.contains("error: interrupted\n  2 repositories were not started or not finished\n"),
        "{said}"
    );
    assert_eq!(list(&sandbox, "failed"), ["a", "b"]);
}

impl Sandbox {
    /// Replaces the first `from` in a file of the repository `name`.
    #[track_caller]
    pub fn edit_in(&self, name: &str, path: &str, from: &str, to: &str) {
        let file = self.work(name).join(path);
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{from}: {text}");
        fs::write(file, text.replacen(from, to, 1)).unwrap();
    }
}
