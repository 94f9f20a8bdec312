//! System calls on git's own files that fail: an unreadable file does not count as absent, and what
//! stays is named.

use super::git_state::{commit, output_of_git, traced};
use super::support::{Output, Sandbox, have};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

/// A rotation that commits while the calls `calls` on `path` fail with `fault`.
fn faulty(sandbox: &Sandbox, path: &str, calls: &str, fault: &str) -> Output {
    let path = sandbox.hello(path).display().to_string();
    let (trace, inject) = (format!("trace={calls}"), format!("inject={calls}:{fault}"));
    traced(&["-P", &path, "-e", &trace, "-e", &inject], commit(sandbox)).output()
}

#[test]
fn a_lock_file_that_cannot_be_removed_is_tried_once_more_and_then_named() {
    if !have("strace") {
        return;
    }
    let lock = ".git/index.lock";
    for (fault, code) in
        [("error=EIO:when=1", 0), ("error=EIO:when=1..2", 1), ("error=ENOENT:when=1", 0)]
    {
        let sandbox = Sandbox::with_hello();
        let output = faulty(&sandbox, lock, "unlink,unlinkat", fault);
        assert_eq!(output.code, Some(code), "{fault}: {}", output.stderr);
        // In either case, the output about the commit is correct.
        assert_eq!(output_of_git(&sandbox, &["rev-list", "--count", "HEAD"]), "2", "{fault}");
        if code == 1 {
            output
                .says("the change is committed as")
                .says("but lock files cannot be removed")
                .says(lock);
            let hint = output.stderr.lines().find_map(|line| line.strip_prefix("hint: ")).unwrap();
            sandbox.run("sh", &["-c", hint]).cwd(sandbox.hello("")).success();
            sandbox.git(&["commit", "-q", "--allow-empty", "-m", "More"]).success();
        }
    }
}

#[test]
fn a_file_system_without_locks_is_no_failure_and_a_broken_one_is() {
    if !have("strace") {
        return;
    }
    for (fault, code) in [("error=ENOLCK", 0), ("error=EIO", 1)] {
        let sandbox = Sandbox::with_hello();
        let output = faulty(&sandbox, ".git", "flock", fault);
        assert_eq!(output.code, Some(code), "{fault}: {}", output.stderr);
        if code == 1 {
            output.says("cannot lock");
        }
    }
}

#[test]
fn aliases_are_followed_as_far_as_git_follows_them() {
    let sandbox = Sandbox::with_hello();
    let branch = output_of_git(&sandbox, &["symbolic-ref", "HEAD"]);
    sandbox.git(&["update-ref", "refs/heads/end", "HEAD"]).success();
    // HEAD and its branch are two names; git follows five.
    let alias = |depth: usize| {
        let names: Vec<_> = (0..depth).map(|number| format!("refs/heads/alias{number}")).collect();
        let mut from = branch.clone();
        for name in names.iter().map(String::as_str).chain(["refs/heads/end"]) {
            sandbox.write(&format!("work/hello-infra/.git/{from}"), format!("ref: {name}\n"));
            name.clone_into(&mut from);
        }
    };
    for depth in 0..5 {
        alias(depth);
        let is_known_to_git =
            sandbox.git(&["rev-parse", "-q", "--verify", "HEAD"]).output().code == Some(0);
        let output = commit(&sandbox).output();
        assert_eq!(output.code == Some(0), is_known_to_git, "{depth}: {}", output.stderr);
        sandbox.git(&["update-ref", "--no-deref", &branch, "refs/heads/end"]).output();
    }
}

#[test]
fn a_head_that_names_nothing_is_refused_and_stays() {
    let sandbox = Sandbox::with_hello();
    let head = sandbox.hello(".git/HEAD");
    let texts =
        ["z".repeat(40), "a".repeat(39), "ref: ".to_owned(), "ref: refs/heads/a..b".to_owned()];
    for text in texts {
        fs::write(&head, format!("{text}\n")).unwrap();
        commit(&sandbox).failure(1);
        assert_eq!(fs::read_to_string(&head).unwrap(), format!("{text}\n"));
    }
    // A branch is not read as a symbolic link, whatever its target.
    let sandbox = Sandbox::with_hello();
    let branch =
        sandbox.hello(&format!(".git/{}", output_of_git(&sandbox, &["symbolic-ref", "HEAD"])));
    let away = sandbox.path("away");
    fs::rename(&branch, &away).unwrap();
    std::os::unix::fs::symlink(&away, &branch).unwrap();
    commit(&sandbox).failure(1).says("it is a symbolic link").says("hint: ls -l");
    assert!(branch.is_symlink());
}

#[test]
fn a_head_that_cannot_be_looked_at_is_not_taken_for_a_detached_one() {
    if !have("strace") {
        return;
    }
    let mut failures = 0;
    // A single fault, and repeated ones, for calls that only std makes.
    let faults = (1..12).map(|number| ("statx,?newfstatat,?lstat,?stat", format!("when={number}")));
    for (calls, when) in faults.chain((1..6).map(|number| ("statx", format!("when={number}+")))) {
        let sandbox = Sandbox::with_hello();
        let branch = output_of_git(&sandbox, &["symbolic-ref", "HEAD"]);
        for path in [".git/HEAD".to_owned(), format!(".git/{branch}")] {
            let before = output_of_git(&sandbox, &["rev-list", "--count", &branch]);
            let output = faulty(&sandbox, &path, calls, &format!("error=EIO:{when}"));
            assert_eq!(
                output_of_git(&sandbox, &["symbolic-ref", "HEAD"]),
                branch,
                "{when}: {}",
                output.stderr
            );
            let commits: u32 =
                output_of_git(&sandbox, &["rev-list", "--count", &branch]).parse().unwrap();
            let expected = before.parse::<u32>().unwrap() + u32::from(output.code == Some(0));
            assert_eq!(commits, expected, "{when}, {path}: {}", output.stderr);
            failures += usize::from(output.code != Some(0));
        }
    }
    assert!(failures > 0);
}

#[test]
fn a_lock_of_a_git_at_work_is_waited_for() {
    let sandbox = Sandbox::with_hello();
    let lock = sandbox.hello(".git/index.lock");
    let ends = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ends.load(Ordering::Relaxed) {
                let held = fs::File::create_new(&lock);
                sleep(Duration::from_millis(30));
                if held.is_ok() {
                    fs::remove_file(&lock).unwrap();
                }
                sleep(Duration::from_millis(10));
            }
        });
        let outputs: Vec<_> = (0..8)
            .map(|number| {
                sandbox
                    .rotate(&format!("gldt-Number{number}"), &["--no-input", "--commit"])
                    .output()
            })
            .collect();
        ends.store(true, Ordering::Relaxed);
        for output in outputs {
            assert_eq!(output.code, Some(0), "{}", output.stderr);
        }
    });
    assert_eq!(output_of_git(&sandbox, &["rev-list", "--count", "HEAD"]), "9");
}
