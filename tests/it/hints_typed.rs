//! Hints, typed as printed, have the intended effect.

use super::environments::with_environments;
use super::support::{Output, Run, SECRET, Sandbox, have};
use std::fs;
use std::path::Path;

/// The hint of a failed command.
#[track_caller]
pub fn hint(output: &Output) -> &str {
    let hint = output.stderr.lines().rev().find_map(|line| line.strip_prefix("hint: "));
    hint.unwrap_or_else(|| panic!("no hint in:\n{}", output.stderr))
}

/// `command` as typed in the generated repository.
pub fn typed(sandbox: &Sandbox, command: &str) -> Run {
    let programs =
        Path::new(env!("CARGO_BIN_EXE_makeinfra")).parent().unwrap().display().to_string();
    let run = sandbox.run("sh", &["-ec", command]).cwd(sandbox.hello(""));
    run.env("PATH", format!("{programs}:{}", sandbox.own_path()))
}

/// Adds a token's options to `command`.
fn with_token(sandbox: &Sandbox, command: &str) -> String {
    let token = sandbox.write_private("token2", "gldt-new");
    format!("{command} --token-username x --expires-at never --token-file {}", token.display())
}

#[test]
fn a_secret_that_is_no_yaml_is_made_anew_in_its_own_environment() {
    for args in [
        &["--env", "staging"][..],
        &[],
        &["--env", "staging", "--add-registry", "ghcr.io"],
        &["--env", "production", "--env", "staging"],
    ] {
        let sandbox = with_environments(&[]);
        let file = "secrets/kubernetes/staging/gitlab.secret.yaml";
        let production = "secrets/kubernetes/production/gitlab.secret.yaml";
        let before = fs::read_to_string(sandbox.hello(production)).unwrap();
        fs::write(sandbox.hello(file), "kind: [\n").unwrap();
        let output = sandbox.rotate("gldt-new", args).failure(1);
        let (_, command) = hint(&output).split_once(": ").unwrap();
        assert_eq!(command, format!("rm {file} && makeinfra rotate --env staging"));
        typed(&sandbox, &with_token(&sandbox, command)).success().prints("Created");
        assert_eq!(fs::read_to_string(sandbox.hello(production)).unwrap(), before, "{args:?}");
    }
}

#[test]
fn hints_are_for_the_environment_of_the_command() {
    let sandbox = with_environments(&[]);
    let file = "secrets/kubernetes/staging/gitlab.secret.yaml";
    fs::remove_file(sandbox.hello(file)).unwrap();
    let keep =
        ["rotate", "hello-infra", "--env", "staging", "--keep-token", "--expires-at", "2027-01-01"];
    let output = sandbox.makeinfra(&keep).failure(1);
    assert_eq!(
        hint(&output),
        format!("makeinfra rotate {} --env staging", sandbox.work("hello-infra").display())
    );
    let set = ["secret", "set", "db", "PASSWORD", "hello-infra"];
    for (options, shown) in [
        (&["rotate", "hello-infra", "--env", "staging"][..], "--env staging --token-username NAME"),
        (&[&set[..], &["--env", "staging"]].concat(), "secret set db PASSWORD"),
        (&[&set[..], &["--env", "staging"]].concat(), "--env staging --from-file FILE"),
        (&[&set[..], &["--all-environments"]].concat(), "--all-environments --from-file FILE"),
        (
            &["secret", "set", "gitlab", "PASSWORD", "hello-infra", "--env", "staging"],
            "--env staging",
        ),
    ] {
        let output = sandbox.makeinfra(options).failure(2);
        assert!(hint(&output).contains(shown), "{}", output.stderr);
    }
}

/// A locked clone of the repository, and the key that unlocks it.
fn locked_clone(sandbox: &Sandbox) -> String {
    let key = sandbox.path("key").display().to_string();
    sandbox.run("git-crypt", &["export-key", &key]).cwd(sandbox.hello("")).success();
    let own = sandbox.path("origin");
    fs::rename(sandbox.hello(""), &own).unwrap();
    let origin = own.display().to_string();
    sandbox.run("git", &["clone", "-q", &origin, "hello-infra"]).success();
    key
}

/// Gives the clone another repository's key, as if it had been unlocked with it.
fn give_another_key(sandbox: &Sandbox) {
    let keys = sandbox.hello(".git/git-crypt/keys");
    fs::create_dir_all(&keys).unwrap();
    let file = keys.join("default").display().to_string();
    let _ = fs::remove_file(&file);
    sandbox.run("git-crypt", &["keygen", &file]).success();
    for (name, value) in
        [("smudge", "git-crypt smudge"), ("clean", "git-crypt clean"), ("required", "true")]
    {
        sandbox.git(&["config", &format!("filter.git-crypt.{name}"), value]).success();
    }
}

#[test]
fn a_clone_with_edits_is_unlocked_as_its_hint_says() {
    if !have("git-crypt") {
        return;
    }
    for (is_foreign, edits) in [
        (false, &[][..]),
        (false, &["README.md"]),
        (false, &[SECRET]),
        (false, &[SECRET, "README.md"]),
        (true, &[]),
        (true, &["README.md"]),
        (true, &["README.md", SECRET]),
    ] {
        let sandbox = Sandbox::with_hello();
        let key = locked_clone(&sandbox);
        if is_foreign {
            give_another_key(&sandbox);
        }
        for file in edits {
            fs::write(sandbox.hello(file), "edited: here\n").unwrap();
        }
        let code = if is_foreign { 11 } else { 10 };
        let output =
            sandbox.makeinfra(&["rotate", "--no-input"]).cwd(sandbox.hello("")).failure(code);
        let hint = hint(&output).replace("KEY_FILE", &key);
        sandbox.makeinfra(&["check", "hello-infra"]).output().prints("git-crypt unlock");
        let command = match hint.split_once("save your edits under secrets/ elsewhere, then: ") {
            Some((_, command)) => command,
            None => hint.as_str(),
        };
        assert_eq!(command != hint, edits.contains(&SECRET), "{hint}");
        typed(&sandbox, command).success();
        let read = |file: &str| fs::read_to_string(sandbox.hello(file)).unwrap();
        assert!(read(SECRET).contains("dockercfg"), "{is_foreign} {edits:?}");
        assert_eq!(read("README.md") == "edited: here\n", edits.contains(&"README.md"), "{hint}");
        assert_eq!(sandbox.git(&["stash", "list"]).success().stdout, "");
    }
}

#[test]
fn a_merge_comes_to_its_end_before_a_clone_is_unlocked() {
    if !have("git-crypt") {
        return;
    }
    let sandbox = Sandbox::with_hello();
    locked_clone(&sandbox);
    let head = sandbox.git(&["rev-parse", "HEAD"]).success().stdout;
    fs::write(sandbox.hello(".git/MERGE_HEAD"), head).unwrap();
    let output = sandbox.makeinfra(&["rotate", "--no-input"]).cwd(sandbox.hello("")).failure(10);
    assert_eq!(
        hint(&output),
        "a merge is in progress; finish it first, then: git-crypt unlock KEY_FILE"
    );
}

#[test]
fn an_edit_works_without_a_choice_of_an_editor() {
    let sandbox = Sandbox::with_hello();
    sandbox.edit(".makeinfra.yaml", "image:", "image: [");
    sandbox.write_program("vi", "#!/bin/sh\necho \"vi $1\"\n");
    sandbox.write_program("mine", "#!/bin/sh\necho \"mine $1\"\n");
    let output = sandbox.makeinfra(&["update", "hello-infra"]).failure(1);
    let edit = hint(&output);
    typed(&sandbox, edit).success().prints("vi .makeinfra.yaml");
    typed(&sandbox, edit).env("EDITOR", "mine").success().prints("mine .makeinfra.yaml");
}

#[test]
fn what_is_written_in_a_merge_comes_with_its_commit() {
    if !have("git-crypt") {
        return;
    }
    let sandbox = Sandbox::with_hello();
    sandbox.git(&["checkout", "-q", "-b", "other"]).success();
    sandbox.append("README.md", "other\n");
    sandbox.git(&["commit", "-qam", "Other"]).success();
    sandbox.git(&["checkout", "-q", "-"]).success();
    sandbox.git(&["commit", "-q", "--allow-empty", "-m", "Own"]).success();
    sandbox.git(&["merge", "-q", "--no-commit", "other"]).success();
    let set = ["secret", "set", "db", "PASSWORD", "hello-infra", "--stdin"];
    let output = sandbox.makeinfra(&set).stdin("hunter2").success();
    output.prints(
        "# commit it; git-crypt encrypts it; a merge is in progress, whose commit will \
         include it\n",
    );
    let add = output.stdout.lines().find(|line| line.starts_with("  git ")).unwrap();
    typed(&sandbox, add).success();
    sandbox.git(&["commit", "-q", "--no-edit"]).success();
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
    let blob = sandbox.git(&["cat-file", "blob", "HEAD:secrets/kubernetes/db.env"]).success().bytes;
    assert!(blob.starts_with(b"\0GITCRYPT"));
}

#[test]
fn before_the_first_commit_all_of_it_is_committed_first() {
    if !have("git-crypt") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--no-commit"]).success();
    let worker = ["add", "worker", "hello-infra", "--port", "none", "--yes"];
    let output = sandbox.makeinfra(&[&worker[..], &["--commit"]].concat()).failure(1);
    output.says("error: cannot commit\n  the repository has no commits yet\n");
    let first = hint(&output).to_owned();
    let written = sandbox.makeinfra(&worker).success();
    written.prints("# the first commit, of all that is staged\n");
    let commit = written.stdout.lines().find(|line| line.contains("git -C")).unwrap();
    typed(&sandbox, commit).success();
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--no-commit"]).success();
    typed(&sandbox, &first.replace(&format!("-C {} ", hello(&output)), "")).success();
    sandbox.makeinfra(&[&worker[..], &["--commit"]].concat()).success();
    sandbox.makeinfra(&["check", "hello-infra"]).success();
}

/// The repository that the hint of `output` names after `-C`.
fn hello(output: &Output) -> &str {
    hint(output).split(' ').skip_while(|word| *word != "-C").nth(1).unwrap()
}

#[test]
fn a_file_that_may_not_be_read_is_shown_itself() {
    use makeinfra::error::explain;
    use std::io;
    let sandbox = Sandbox::new();
    let token = sandbox.path("token");
    let cannot = |what: &str| {
        let refused = io::Error::from(io::ErrorKind::PermissionDenied);
        explain(&makeinfra::files::cannot(what, &token, &refused).into()).hint.unwrap().line(None)
    };
    assert_eq!(cannot("read"), format!("ls -ld {}", token.display()));
    assert_eq!(cannot("write"), format!("ls -ld {}", token.parent().unwrap().display()));
}
