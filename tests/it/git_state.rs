//! Repositories in unusual states of git: anything unsupported is refused, and nothing is written.

use super::support::{Run, SECRET, Sandbox, have};
use std::fs;
use std::process::Command;

/// A commit in the generated repository.
pub fn commit(sandbox: &Sandbox) -> Run {
    sandbox.rotate("gldt-Second", &["--no-input", "--commit"])
}

pub fn output_of_git(sandbox: &Sandbox, args: &[&str]) -> String {
    sandbox.git(args).success().stdout.trim().to_owned()
}

/// `run` under strace with `options`.
pub fn traced(options: &[&str], run: Run) -> Run {
    let inner = run.command();
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null"]).args(options);
    command.arg(inner.get_program()).args(inner.get_args());
    command.current_dir(inner.get_current_dir().unwrap()).env_clear();
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Run::of(command)
}

#[test]
fn head_that_cannot_be_read_for_a_moment_is_not_taken_for_a_detached_one() {
    if !have("strace") {
        return;
    }
    let mut failures = 0;
    for number in 1..40 {
        let sandbox = Sandbox::with_hello();
        let branch = output_of_git(&sandbox, &["symbolic-ref", "HEAD"]);
        let head = sandbox.hello(".git/HEAD").display().to_string();
        let inject = format!("inject=openat:error=EMFILE:when={number}");
        let output =
            traced(&["-P", &head, "-e", "trace=openat", "-e", &inject], commit(&sandbox)).output();
        assert_eq!(
            output_of_git(&sandbox, &["symbolic-ref", "HEAD"]),
            branch,
            "{number}: {}",
            output.stderr
        );
        let commits = output_of_git(&sandbox, &["rev-list", "--count", &branch]);
        let expected = if output.code == Some(0) { "2" } else { "1" };
        assert_eq!(commits, expected, "{number}: {}", output.stderr);
        failures += usize::from(output.code != Some(0));
    }
    assert!(failures > 0);
}

#[test]
fn a_branch_whose_name_is_not_utf_8_is_refused() {
    let sandbox = Sandbox::with_hello();
    let checkout = r"git checkout -q -b $(printf 'caf\351')";
    sandbox.run("sh", &["-c", checkout]).cwd(sandbox.hello("")).success();
    let before = fs::read(sandbox.hello(".git/HEAD")).unwrap();
    commit(&sandbox).failure(1).says("is not UTF-8").says("hint: git branch -m NAME");
    assert_eq!(fs::read(sandbox.hello(".git/HEAD")).unwrap(), before);
    sandbox.git(&["branch", "-m", "cafe"]).success();
    commit(&sandbox).success();
    assert_eq!(output_of_git(&sandbox, &["symbolic-ref", "HEAD"]), "refs/heads/cafe");
}

#[test]
fn head_that_is_a_symbolic_link_is_refused_with_what_makes_a_file_of_it() {
    let sandbox = Sandbox::with_hello();
    let branch = output_of_git(&sandbox, &["symbolic-ref", "HEAD"]);
    let head = sandbox.hello(".git/HEAD");
    fs::remove_file(&head).unwrap();
    std::os::unix::fs::symlink(&branch, &head).unwrap();
    let output = commit(&sandbox).failure(1);
    output.says("it is a symbolic link");
    assert!(head.is_symlink());
    let hint = output.stderr.lines().find_map(|line| line.strip_prefix("hint: ")).unwrap();
    sandbox.run("sh", &["-c", hint]).cwd(sandbox.hello("")).success();
    commit(&sandbox).success();
    assert_eq!(output_of_git(&sandbox, &["symbolic-ref", "HEAD"]), branch);
    assert_eq!(output_of_git(&sandbox, &["rev-list", "--count", &branch]), "2");
}

#[test]
fn a_commit_on_an_alias_of_a_branch_moves_the_branch() {
    let sandbox = Sandbox::with_hello();
    let branch = output_of_git(&sandbox, &["symbolic-ref", "HEAD"]);
    sandbox.git(&["update-ref", "refs/heads/trunk", "HEAD"]).success();
    sandbox.git(&["symbolic-ref", &branch, "refs/heads/trunk"]).success();
    // git locks the alias, too.
    let lock = sandbox.hello(&format!(".git/{branch}.lock"));
    fs::write(&lock, "").unwrap();
    commit(&sandbox).failure(1).says(".lock` exists");
    fs::remove_file(&lock).unwrap();
    commit(&sandbox).success();
    assert_eq!(output_of_git(&sandbox, &["symbolic-ref", &branch]), "refs/heads/trunk");
    assert_eq!(output_of_git(&sandbox, &["rev-list", "--count", "refs/heads/trunk"]), "2");
    for log in ["HEAD", branch.as_str(), "refs/heads/trunk"] {
        let newest = output_of_git(&sandbox, &["rev-parse", &format!("{log}@{{0}}")]);
        assert_eq!(newest, output_of_git(&sandbox, &["rev-parse", "HEAD"]), "{log}");
    }
    // A reference to itself has no end.
    sandbox.write("work/hello-infra/.git/refs/heads/trunk", format!("ref: {branch}\n"));
    commit(&sandbox).failure(1);
}

#[test]
fn what_somebody_has_staged_on_purpose_stays_staged() {
    let stage: [&[&str]; 4] = [
        &["rm", "-q", "--cached", "-r", "kubernetes/base/worker*"],
        &["update-index", "--chmod=+x", "README.md"],
        &["restore", "--staged", "--source=HEAD~1", "README.md"],
        &["restore", "--staged", "--source=HEAD~1", ".makeinfra.yaml"],
    ];
    for args in stage {
        let sandbox = Sandbox::with_hello();
        let add = ["add", "worker", "--port", "none", "--image", super::support::IMAGE, "--commit"];
        sandbox.agreed(&add).success();
        sandbox.append("README.md", "\nOurs.\n");
        sandbox.git(&["commit", "-q", "-a", "-m", "Say what is ours"]).success();
        if args.last() == Some(&".makeinfra.yaml") {
            sandbox.git(&["reset", "-q", "--hard", "HEAD^"]).success();
        }
        sandbox.git(args).success();
        let staged = output_of_git(&sandbox, &["diff", "--cached"]);
        assert!(!staged.is_empty(), "{args:?}");
        let checked = super::check::check(&sandbox, &[]);
        assert!(checked.ids("ok").contains("index-current"), "{args:?}");
        let output = commit(&sandbox).output();
        assert!(!output.stderr.contains("git's index"), "{args:?}: {}", output.stderr);
        assert_eq!(
            output_of_git(&sandbox, &["diff", "--cached"]),
            staged,
            "{args:?}: {}",
            output.stderr
        );
    }
}

#[test]
fn new_files_of_a_stopped_commit_come_into_the_index_with_the_others() {
    let sandbox = Sandbox::with_hello();
    let add = ["add", "worker", "--port", "none", "--image", super::support::IMAGE, "--commit"];
    sandbox.agreed(&add).success();
    sandbox.git(&["read-tree", "HEAD^"]).success();
    let checked = super::check::check(&sandbox, &[]);
    assert!(checked.problems().contains(&"index-current"), "{:?}", checked.problems());
    commit(&sandbox).success().says("git's index had an older version of `.makeinfra.yaml`");
    assert_eq!(output_of_git(&sandbox, &["status", "--porcelain"]), "");
}

#[test]
fn a_broken_file_in_the_place_of_an_object_is_replaced() {
    let removal = ["remove", "worker", "--commit"];
    let rotation =
        ["rotate", "--token-username", "two", "--token-file", "../../token2", "--commit"];
    for (args, bytes) in [(&rotation[..], 300), (&rotation[..], 0), (&removal[..], 20)] {
        let sandbox = Sandbox::with_hello();
        sandbox.write_private("token2", "gldt-Second");
        let add = ["add", "worker", "--port", "none", "--image", super::support::IMAGE, "--commit"];
        sandbox.agreed(&add).success();
        sandbox.append("kubernetes/base/kustomization.yaml", "# Ours.\n");
        sandbox.git(&["commit", "-q", "-a", "-m", "Say what is ours"]).success();
        let head = output_of_git(&sandbox, &["rev-parse", "HEAD"]);
        let before = output_of_git(&sandbox, &["rev-list", "--objects", &head]);
        let run = || match args {
            ["rotate", ..] => sandbox.here(args),
            _ => sandbox.agreed(args),
        };
        run().success();
        let objects =
            output_of_git(&sandbox, &["rev-list", "--objects", "HEAD", &format!("^{head}")]);
        // Repeated: with the tests' fixed dates, every object has the same id.
        sandbox.git(&["reset", "-q", "--hard", &head]).success();
        let ids = objects.lines().filter_map(|line| line.split_whitespace().next());
        let ids: Vec<_> = ids.filter(|id| !before.contains(id)).collect();
        assert!(ids.len() > 2, "{objects}");
        for id in ids {
            let file = sandbox.hello(&format!(".git/objects/{}/{}", &id[..2], &id[2..]));
            let whole = fs::read(&file).unwrap();
            fs::remove_file(&file).unwrap();
            fs::write(&file, &whole[..bytes.min(whole.len() - 1)]).unwrap();
        }
        run().success();
        sandbox.git(&["fsck", "--strict"]).success();
        assert_eq!(
            output_of_git(&sandbox, &["rev-list", "--objects", "HEAD", &format!("^{head}")]),
            objects
        );
    }
}

#[test]
fn a_directory_of_objects_that_git_makes_or_removes_at_the_same_moment_is_no_failure() {
    if !have("strace") {
        return;
    }
    let sandbox = Sandbox::with_hello();
    // Every other call reports that the directory exists. Creating the file in it then fails, and
    // the directory is created after all.
    let inject = ["-e", "trace=mkdir,mkdirat", "-e", "inject=mkdir,mkdirat:error=EEXIST:when=1+2"];
    traced(&inject, commit(&sandbox)).success();
    sandbox.git(&["fsck", "--strict"]).success();
}

#[test]
fn only_a_lock_that_is_held_is_said_to_be_another_makeinfra() {
    if !have("strace") {
        return;
    }
    let sandbox = Sandbox::with_hello();
    let git = sandbox.hello(".git/").display().to_string();
    let before = output_of_git(&sandbox, &["rev-parse", "HEAD"]);
    let mut is_told = false;
    for number in 1..12 {
        let inject = format!("inject=openat:error=EMFILE:when={number}");
        let run = traced(&["-P", &git, "-e", "trace=openat", "-e", &inject], commit(&sandbox));
        let output = run.output();
        assert!(!output.stderr.contains("another makeinfra"), "{number}: {}", output.stderr);
        is_told |= output.stderr.contains("cannot lock `")
            && output.stderr.contains("Too many open files");
        sandbox.git(&["reset", "-q", "--hard", &before]).success();
    }
    assert!(is_told);
    let flock = |error: &str| {
        let inject = format!("inject=flock:error={error}");
        traced(&["-e", "trace=flock", "-e", &inject], commit(&sandbox))
    };
    flock("EIO").failure(1).says("cannot lock `");
    flock("EAGAIN").failure(1).says("another makeinfra");
    flock("ENOLCK").success();
}

#[test]
fn what_head_has_is_not_taken_for_absent_where_it_cannot_be_read() {
    let sandbox = Sandbox::with_hello();
    let id = output_of_git(&sandbox, &["rev-parse", &format!("HEAD:{SECRET}")]);
    fs::remove_file(sandbox.hello(&format!(".git/objects/{}/{}", &id[..2], &id[2..]))).unwrap();
    let output = commit(&sandbox).failure(1);
    assert!(!output.stderr.contains("staged changes"), "{}", output.stderr);
    output.says("cannot read HEAD");
}

#[test]
fn a_file_that_is_only_meant_to_be_added_has_no_staged_changes() {
    let sandbox = Sandbox::with_hello();
    let set = |args: &[&str]| {
        sandbox
            .here(&[&["secret", "set", "db", "A", "--stdin"], args].concat())
            .stdin("one")
            .success()
    };
    set(&[]);
    sandbox.git(&["add", "-N", "secrets/kubernetes"]).success();
    set(&["--commit"]);
    assert_eq!(output_of_git(&sandbox, &["status", "--porcelain"]), "");
}

#[test]
fn what_is_in_progress_is_called_by_its_name() {
    let sandbox = Sandbox::with_hello();
    let output = || commit(&sandbox).failure(1);
    sandbox.git(&["bisect", "start"]).success();
    output().says("a bisect is in progress").says("hint: git status");
    sandbox.agreed(&["env", "add", "staging"]).failure(1).says("a bisect is in progress");
    sandbox.git(&["bisect", "reset"]).success();
    commit(&sandbox).success();
    sandbox.git(&["revert", "--no-commit", "HEAD"]).success();
    output().says("a revert is in progress");
}

#[test]
fn a_name_that_git_accepts_is_written_as_git_writes_it() {
    for (name, date) in [
        ("Ada <B>", "2026-01-02T03:04:05Z"),
        ("Ada <B>", "1767323045 +0130"),
        ("Ada <B>", "Fri, 2 Jan 2026 03:04:05 -0200"),
        (", Ada\nof <B>; \"", "2026-01-02 03:04:05 +0100"),
        ("Ada\nof B", "2026-01-02T03:04:05Z"),
    ] {
        let sandbox = Sandbox::with_hello();
        let named = |run: Run| {
            let dated = run.env("GIT_AUTHOR_DATE", date).env("GIT_COMMITTER_DATE", date);
            dated.env("GIT_AUTHOR_NAME", name).env("GIT_COMMITTER_NAME", name)
        };
        let expected = named(sandbox.git(&["var", "GIT_AUTHOR_IDENT"])).success().stdout;
        named(commit(&sandbox)).success();
        for format in ["%an <%ae> %ad", "%cn <%ce> %cd"] {
            let log = ["log", "-1", "--date=raw", &format!("--format={format}")];
            assert_eq!(output_of_git(&sandbox, &log), expected.trim(), "{name:?}, {date}");
        }
        sandbox.git(&["fsck", "--strict"]).success();
        assert_eq!(output_of_git(&sandbox, &["reflog", "HEAD"]).lines().count(), 2);
    }
    let sandbox = Sandbox::with_hello();
    commit(&sandbox)
        .env("GIT_COMMITTER_NAME", "<>")
        .failure(1)
        .says("git has no user name and email");
}

#[test]
fn an_index_or_a_configuration_that_is_a_symbolic_link_is_not_replaced() {
    let link = |sandbox: &Sandbox, name: &str| {
        let place = sandbox.hello(&format!(".git/{name}"));
        let away = sandbox.path("away");
        fs::rename(&place, &away).unwrap();
        std::os::unix::fs::symlink(&away, &place).unwrap();
        place
    };
    let sandbox = Sandbox::with_hello();
    let place = link(&sandbox, "index");
    commit(&sandbox).failure(1).says("it is a symbolic link").says("hint: ls -l");
    assert!(place.is_symlink());
    assert_eq!(output_of_git(&sandbox, &["status", "--porcelain"]), "");
    // A linked work tree has its own index.
    let sandbox = Sandbox::with_hello();
    let script = "git -c filter.git-crypt.smudge=cat worktree add -q ../tree -b other && cp -r secrets ../tree";
    sandbox.run("sh", &["-c", script]).cwd(sandbox.hello("")).success();
    let place = link(&sandbox, "worktrees/tree/index");
    let set = ["secret", "set", "database", "PASSWORD", "--stdin", "--commit"];
    let refused = sandbox.makeinfra(&set).cwd(sandbox.work("tree")).stdin("value").failure(1);
    refused.says("it is a symbolic link").says(&place.display().to_string());
    assert!(place.is_symlink());
    let sandbox = Sandbox::of_kustomize();
    let place = link(&sandbox, "config");
    sandbox.agreed(&["adopt", "--commit"]).failure(1).says("it is a symbolic link");
    assert!(place.is_symlink());
    assert_eq!(output_of_git(&sandbox, &["status", "--porcelain"]), "");
}

#[test]
fn a_loose_object_without_its_end_is_named_and_not_read_for_ever() {
    let sandbox = Sandbox::with_hello();
    // Data that zlib cannot compress.
    let mut state = 1_u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    let noise: Vec<u8> = noise.take(4000).collect();
    fs::write(sandbox.hello("noise"), noise).unwrap();
    sandbox.git(&["add", "noise"]).success();
    let id = output_of_git(&sandbox, &["rev-parse", ":noise"]);
    sandbox.git(&["commit", "-q", "-m", "Noise"]).success();
    let object = sandbox.hello(&format!(".git/objects/{}/{}", &id[..2], &id[2..]));
    let whole = fs::read(&object).unwrap();
    fs::remove_file(&object).unwrap();
    fs::write(&object, &whole[..512]).unwrap();
    for args in [vec!["check"], vec!["env", "list"], vec!["check", "--deep"]] {
        let said = sandbox.makeinfra(&args).cwd(sandbox.hello("")).failure(1);
        said.says(&object.display().to_string()).says("is truncated");
    }
    let said = commit(&sandbox).failure(1);
    let hint = said.stderr.lines().find_map(|line| line.strip_prefix("hint: ")).unwrap();
    sandbox.run("sh", &["-c", hint.split("; ").next().unwrap()]).cwd(sandbox.hello("")).success();
    assert!(sandbox.git(&["fsck"]).output().stdout.contains(&format!("missing blob {id}")));
    fs::write(&object, whole).unwrap();
    commit(&sandbox).success();
}
