//! `make check-secrets` and the pre-commit hook: no plaintext below `secrets/` gets past them.

use super::support::{Output, Run, SECRET, Sandbox, have};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

/// Header of every encrypted blob.
const ENCRYPTED: &[u8] = b"\0GITCRYPT\0";

/// A colleague's clone: locked, and with the hook unless stated otherwise.
struct Clone {
    sandbox: Sandbox,
}

impl Clone {
    fn new() -> Self {
        let sandbox = Sandbox::with_hello();
        sandbox.run("git", &["clone", "-q", "hello-infra", "clone"]).success();
        let clone = Self { sandbox };
        clone.run("make", &["setup"]).success();
        clone
    }

    fn path(&self, name: &str) -> PathBuf {
        self.sandbox.work("clone").join(name)
    }

    fn run(&self, program: &str, args: &[&str]) -> Run {
        self.sandbox.run(program, args).cwd(self.path(""))
    }

    fn git(&self, args: &[&str]) -> Output {
        self.run("git", args).success()
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes a file below `secrets/` and stages it, as `git add` does in a locked clone.
    fn stage(&self, name: &str, text: impl AsRef<[u8]>) {
        self.write(name, text);
        self.git(&["add", "--", name]);
    }

    fn check(&self) -> Run {
        self.run("make", &["check-secrets"])
    }

    fn commit(&self) -> Run {
        self.run("git", &["commit", "-q", "-m", "x"])
    }

    /// Expects the check and the hook to refuse the index, naming each of `files` once and no
    /// other.
    #[track_caller]
    fn refused(&self, files: &[&str]) -> Output {
        let head = self.git(&["rev-parse", "HEAD"]).stdout;
        for output in [self.check().failure(2), self.commit().failure(1)] {
            let named: Vec<_> =
                output.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
            let wanted: Vec<_> =
                files.iter().map(|file| format!("error: plaintext in the index: {file}")).collect();
            assert_eq!(named, wanted, "{}", output.stderr);
        }
        assert_eq!(self.git(&["rev-parse", "HEAD"]).stdout, head);
        self.commit().failure(1)
    }

    #[track_caller]
    fn accepted(&self) {
        let output = self.check().success();
        assert_eq!((output.stdout, output.stderr), (String::new(), String::new()));
    }
}

#[test]
fn what_new_made_passes() {
    for args in [
        &[][..],
        &["--no-commit"],
        &["--secret-name", "other", "--secret-type", "dockerconfigjson"],
    ] {
        let sandbox = Sandbox::new();
        sandbox.new_hello(args).success();
        assert_eq!(sandbox.make(&["check-secrets"]).success().stderr, "", "{args:?}");
        assert_eq!(sandbox.git(&["config", "core.hooksPath"]).success().stdout, ".githooks\n");
        // With nothing but git.
        sandbox.git(&["hook", "run", "pre-commit"]).success();
    }
    let sandbox = Sandbox::new();
    sandbox.new_without_token(&[]).success();
    sandbox.make(&["check-secrets"]).success();
    Clone::new().accepted();
}

#[test]
fn what_rotate_made_passes() {
    let sandbox = Sandbox::with_hello();
    sandbox.rotate("gldt-new", &["--commit"]).success();
    sandbox.make(&["check-secrets"]).success();
    if have("git-crypt") {
        sandbox.rotate("gldt-newer", &[]).success();
        sandbox.git(&["commit", "-q", "-m", "Rotate the deploy token", SECRET]).success();
        sandbox.make(&["check-secrets"]).success();
    }
}

#[test]
fn plaintext_in_the_index_of_a_locked_clone_is_refused() {
    let clone = Clone::new();
    clone.stage("secrets/plain.txt", "plain\n");
    clone
        .refused(&["secrets/plain.txt"])
        .says("hint: move these away, then: git reset -q -- secrets && ");
}

#[test]
fn the_advice_for_a_locked_clone_works() {
    if !have("git-crypt") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--export-key", "key"]).success();
    sandbox.run("git", &["clone", "-q", "hello-infra", "clone"]).success();
    let clone = Clone { sandbox };
    clone.run("make", &["setup"]).success();
    clone.stage("secrets/plain.txt", "plain\n");
    // git-crypt does not unlock a clone with local edits.
    clone.stage(SECRET, "changed\n");
    let output = clone.commit().failure(1);
    let advice =
        output.stderr.lines().find_map(|line| line.strip_prefix("hint: move these away, then: "));
    let advice = advice.unwrap().replace("KEY_FILE", "../key");
    // Nothing is lost if nothing was moved.
    assert_ne!(clone.run("sh", &["-c", &advice]).output().code, Some(0));
    assert_eq!(fs::read_to_string(clone.path(SECRET)).unwrap(), "changed\n");
    for name in [SECRET, "secrets/plain.txt"] {
        fs::rename(clone.path(name), clone.sandbox.work(&name.replace('/', "-"))).unwrap();
    }
    clone.run("sh", &["-c", &advice]).success();
    for name in [SECRET, "secrets/plain.txt"] {
        fs::rename(clone.sandbox.work(&name.replace('/', "-")), clone.path(name)).unwrap();
    }
    clone.git(&["add", "--", "secrets"]);
    clone.commit().success();
    clone.accepted();
}

#[test]
fn plaintext_that_came_before_the_attribute_is_refused_with_what_mends_it() {
    if !have("git-crypt") {
        return;
    }
    let sandbox = Sandbox::with_hello();
    let attributes = fs::read(sandbox.hello(".gitattributes")).unwrap();
    fs::write(sandbox.hello(".gitattributes"), "").unwrap();
    fs::write(sandbox.hello("secrets/late.txt"), "plain\n").unwrap();
    sandbox.git(&["add", "secrets/late.txt"]).success();
    let output = sandbox.git(&["commit", "-q", "-m", "x"]).failure(1);
    output.says("secrets/late.txt").says("secrets/** filter=git-crypt");
    fs::write(sandbox.hello(".gitattributes"), attributes).unwrap();
    let output = sandbox.git(&["commit", "-q", "-m", "x"]).failure(1);
    let advice =
        output.stderr.lines().find_map(|line| line.strip_prefix("hint: ")).unwrap().to_owned();
    sandbox.run("sh", &["-c", &advice]).cwd(sandbox.hello("")).success();
    sandbox.git(&["commit", "-q", "-m", "x"]).success();
    sandbox.make(&["check-secrets"]).success();
}

#[test]
fn a_pattern_that_misses_is_refused_until_the_line_is_added_that_is_printed() {
    if !have("git-crypt") {
        return;
    }
    for text in ["secrets/* filter=git-crypt\n", "secrets/** filter=git-crypt\n*.yaml filter=lfs\n"]
    {
        let sandbox = Sandbox::with_hello();
        fs::write(sandbox.hello(".gitattributes"), text).unwrap();
        sandbox.run("touch", &[SECRET]).cwd(sandbox.hello("")).success();
        let commit = || sandbox.git(&["commit", "-q", "-m", "x"]);
        sandbox.git(&["-c", "filter.lfs.clean=cat", "add", "-A"]).success();
        let hint = |output: &Output| {
            output.stderr.lines().find_map(|line| line.strip_prefix("hint: ")).unwrap().to_owned()
        };
        let first = hint(&commit().failure(1));
        let line = first.strip_prefix("add this line to .gitattributes: ").unwrap();
        sandbox.append(".gitattributes", &format!("{line}\n"));
        sandbox.git(&["add", ".gitattributes"]).success();
        let second = hint(&commit().failure(1));
        sandbox.run("sh", &["-c", &second]).cwd(sandbox.hello("")).success();
        commit().success();
        sandbox.make(&["check-secrets"]).success();
    }
}

#[test]
fn plaintext_in_head_alone_fails_the_check_and_its_removal_can_be_committed() {
    let clone = Clone::new();
    clone.stage("secrets/plain.txt", "plain\n");
    clone.git(&["commit", "-q", "-n", "-m", "past the hook"]);
    let output = clone.check().failure(2);
    output.says("plaintext in the index: secrets/plain.txt");
    clone.git(&["rm", "-q", "--cached", "secrets/plain.txt"]);
    let output = clone.check().failure(2);
    output.says("plaintext in HEAD: secrets/plain.txt").says("revoke");
    output.says("makeinfra rotate");
    assert!(!output.stderr.contains("in the index"), "{}", output.stderr);
    clone.commit().success();
    clone.accepted();
}

#[test]
fn any_file_name_is_named() {
    let clone = Clone::new();
    clone.stage("secrets/größe/ä b.txt", "plain\n");
    clone.stage("secrets/it's \"quoted\".txt", "plain\n");
    clone.stage("secrets/two\nlines", "plain\n");
    clone.stage("secrets/tab\there", "plain\n");
    clone.stage("secrets/-n", "plain\n");
    clone.stage("secrets/$(touch x)`touch x`", "plain\n");
    clone.refused(&[
        "secrets/$(touch x)`touch x`",
        "secrets/-n",
        "secrets/größe/ä b.txt",
        r#""secrets/it's \"quoted\".txt""#,
        r#""secrets/tab\there""#,
        r#""secrets/two\nlines""#,
    ]);
    assert!(!clone.path("x").exists());
}

#[test]
fn an_empty_file_is_refused_with_the_reason() {
    let clone = Clone::new();
    clone.stage("secrets/empty", "");
    clone.refused(&["secrets/empty"]).says("it is empty");
}

#[test]
fn links_and_submodules_hold_no_content_of_a_file() {
    let clone = Clone::new();
    symlink("/etc/passwd", clone.path("secrets/link")).unwrap();
    clone.git(&["add", "secrets/link"]);
    let head = clone.git(&["rev-parse", "HEAD"]).stdout;
    clone.git(&[
        "update-index",
        "--add",
        "--cacheinfo",
        &format!("160000,{},secrets/module", head.trim()),
    ]);
    clone.accepted();
    clone.commit().success();
    clone.accepted();
}

#[test]
fn only_the_beginning_of_the_blob_counts() {
    let clone = Clone::new();
    clone.stage("secrets/a", b"\x01GITCRYPT\x01abc\n");
    clone.stage("secrets/b", b"x\n\0GITCRYPT\0abc\n");
    clone.stage("secrets/c", "GITCRYPT");
    clone.stage("secrets/d", b"\0GITCRYPT");
    clone.stage("secrets/e", b"\xff\xfe\0\0\n\n");
    clone.stage("secrets/f", "blob 1\n0000 blob 3\n\0GITCRYPT\0\n");
    clone.refused(&["secrets/a", "secrets/b", "secrets/c", "secrets/d", "secrets/e", "secrets/f"]);
}

#[test]
fn odd_bytes_within_encrypted_blobs_confuse_nothing() {
    let clone = Clone::new();
    let blob = |rest: &[u8]| [ENCRYPTED, rest].concat();
    clone.stage("secrets/a", blob(b""));
    clone.stage("secrets/b", blob(b"\n\n\n\nabc blob 3\nf00 blob 3\nx\n"));
    clone.stage("secrets/c", blob(&(0..=255).cycle().take(300_000).collect::<Vec<u8>>()));
    clone.stage("secrets/d", blob(&vec![0; 3_000_000]));
    clone.stage("secrets/e", blob(&"\n".repeat(70_000).into_bytes()));
    clone.accepted();
    clone.commit().success();
    clone.stage("secrets/z", "plain\n");
    clone.refused(&["secrets/z"]);
}

#[test]
fn before_the_first_commit_there_is_just_the_index() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--no-git"]).success();
    sandbox.make(&["check-secrets"]).failure(2).says("not a git repository");
    sandbox.git(&["init", "-q"]).success();
    sandbox.make(&["check-secrets"]).success();
    sandbox.make(&["setup"]).success();
    sandbox.git(&["add", "."]).success();
    sandbox.make(&["check-secrets"]).failure(2).says(SECRET);
    sandbox.git(&["commit", "-q", "-m", "x"]).failure(1).says(SECRET);
}

#[test]
fn a_partial_commit_is_checked_for_what_it_holds() {
    let clone = Clone::new();
    clone.write("README.md", "changed\n");
    clone.stage("secrets/plain.txt", "plain\n");
    let at = |file: &str| {
        clone.run("git", &["commit", "-q", "-m", "x", file]).cwd(clone.path("kubernetes"))
    };
    at("../secrets/plain.txt").failure(1).says("secrets/plain.txt");
    // Another file may be committed while that one waits.
    at("../README.md").success();
    clone.run("git", &["commit", "-q", "-a", "-m", "x"]).failure(1).says("secrets/plain.txt");
}

#[test]
fn other_ways_to_a_commit_are_checked_too() {
    let clone = Clone::new();
    clone.stage("secrets/plain.txt", "plain\n");
    clone.run("git", &["commit", "-q", "--amend", "-m", "x"]).failure(1).says("secrets/plain.txt");
    clone.git(&["rm", "-q", "--cached", "secrets/plain.txt"]);
    clone.git(&["worktree", "add", "-q", "../tree", "-b", "tree"]);
    fs::write(clone.sandbox.work("tree/secrets/plain.txt"), "plain\n").unwrap();
    let tree = |args: &[&str]| clone.run("git", args).cwd(clone.sandbox.work("tree"));
    tree(&["add", "-A"]).success();
    tree(&["commit", "-q", "-m", "x"]).failure(1).says("secrets/plain.txt");
    clone
        .run("make", &["check-secrets"])
        .cwd(clone.sandbox.work("tree"))
        .failure(2)
        .says("secrets/plain.txt");
}

#[test]
fn it_works_from_a_subdirectory_and_from_elsewhere() {
    let clone = Clone::new();
    clone.stage("secrets/plain.txt", "plain\n");
    clone.commit().cwd(clone.path("secrets")).failure(1).says("index: secrets/plain.txt");
    let elsewhere = |args: &[&str]| clone.sandbox.run("make", args).failure(2);
    elsewhere(&["-C", "clone", "check-secrets"]).says("index: secrets/plain.txt");
    elsewhere(&["--directory=clone/kubernetes/..", "check-secrets"])
        .says("index: secrets/plain.txt");
    clone
        .sandbox
        .run("sh", &["clone/.githooks/pre-commit"])
        .failure(1)
        .says("index: secrets/plain.txt");
    // A CDPATH with another directory of that name.
    fs::create_dir_all(clone.sandbox.path("x/.githooks")).unwrap();
    clone
        .check()
        .env("CDPATH", clone.sandbox.path("x"))
        .failure(2)
        .says("index: secrets/plain.txt");
    let git_dir = clone.path(".git").display().to_string();
    let tree = clone.path("").display().to_string();
    let args = ["--git-dir", &git_dir, "--work-tree", &tree, "commit", "-q", "-m", "x"];
    clone.sandbox.run("git", &args).failure(1).says("index: secrets/plain.txt");
}

#[test]
fn a_folder_of_another_repository_checks_its_own_secrets() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--no-git"]).success();
    sandbox.run("git", &["init", "-q"]).success();
    sandbox.write("work/secrets/not-ours", "plain\n");
    sandbox.run("git", &["add", "secrets"]).success();
    sandbox.make(&["check-secrets"]).success();
    sandbox.run("git", &["add", "."]).success();
    sandbox
        .make(&["check-secrets"])
        .failure(2)
        .says("index: secrets/kubernetes/gitlab.secret.yaml");
}

#[test]
fn a_conflict_is_checked_on_all_its_sides() {
    let clone = Clone::new();
    let blob = |text: &[u8]| {
        clone
            .run("git", &["hash-object", "-w", "--stdin"])
            .stdin(text)
            .success()
            .stdout
            .trim()
            .to_owned()
    };
    let (good, bad) = (blob(&[ENCRYPTED, b"x"].concat()), blob(b"plain"));
    let sides = format!("100644 {good} 2\tsecrets/both\n100644 {bad} 3\tsecrets/both\n");
    clone.run("git", &["update-index", "--index-info"]).stdin(sides).success();
    clone.check().failure(2).says("index: secrets/both");
}

#[test]
fn what_git_cannot_read_is_an_error_and_no_pass() {
    let clone = Clone::new();
    clone.stage("secrets/a", ENCRYPTED);
    clone.stage("secrets/b", [ENCRYPTED, b"b"].concat());
    let blob = clone.git(&["rev-parse", ":secrets/a"]).stdout;
    let object = clone.path(&format!(".git/objects/{}/{}", &blob[..2], &blob[2..].trim()));
    fs::remove_file(object).unwrap();
    clone.check().failure(2).says("cannot determine whether secrets/ is encrypted");
    fs::write(clone.path(".git/index"), "broken").unwrap();
    clone.check().failure(2).says("cannot determine whether secrets/ is encrypted");
}

#[test]
fn sha256_repositories_are_checked_too() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--no-git"]).success();
    if sandbox.git(&["init", "-q", "--object-format=sha256"]).output().code != Some(0) {
        eprintln!("SKIPPED: this git knows no SHA-256");
        return;
    }
    fs::write(sandbox.hello("secrets/a"), ENCRYPTED).unwrap();
    sandbox.git(&["add", "secrets/a"]).success();
    sandbox.make(&["check-secrets"]).success();
    sandbox.git(&["add", "secrets"]).success();
    sandbox.make(&["check-secrets"]).failure(2).says(SECRET);
}

#[test]
fn what_git_reads_below_secrets_may_be_plaintext_and_all_else_may_not() {
    let clone = Clone::new();
    let own = "/.gitattributes !filter !diff\n/.gitignore !filter !diff\n";
    clone.stage("secrets/.gitattributes", own);
    clone.stage("secrets/.gitignore", "*.orig\n");
    clone.accepted();
    clone.commit().success();
    clone.run(env!("CARGO_BIN_EXE_makeinfra"), &["check", "--no-history"]).success();
    clone.stage("secrets/x.gitignore", "a: b\n");
    clone.refused(&["secrets/x.gitignore"]);
}
