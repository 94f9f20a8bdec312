//! Temporary files of a secret are where no `git add` finds them, and the next run removes them.

use super::atomic::Disk;
use super::support::*;
use std::fs;
use std::path::Path;

/// A repository with attributes for each Secret by name, but for no file beside them.
fn covered_by_name() -> Sandbox {
    let sandbox = Sandbox::with_hello();
    fs::write(sandbox.hello(".gitignore"), "").unwrap();
    fs::write(
        sandbox.hello(".gitattributes"),
        "secrets/**/*.yaml filter=git-crypt diff=git-crypt\n",
    )
    .unwrap();
    sandbox.git(&["add", "-A"]).success();
    sandbox.git(&["commit", "-q", "--no-verify", "-m", "Ours"]).success();
    sandbox
}

/// The names of temporary files in `dir`.
fn temporary(dir: &Path) -> Vec<String> {
    let names =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains(".makeinfra-")).collect()
}

#[test]
fn git_add_takes_no_temporary_file_of_a_killed_rotation() {
    if !have("strace") || !have("git-crypt") {
        return;
    }
    let sandbox = covered_by_name();
    let (dir, own) = (sandbox.hello("secrets/kubernetes"), sandbox.hello(".git"));
    let mut left = 0;
    for call in ["rename", "renameat", "renameat2"] {
        for number in 1..=6 {
            let fault = format!("inject=?{call}:signal=SIGKILL:when={number}");
            let value = format!("gldt-{call}-{number}");
            let output = sandbox.rotate(&value, &[]).traced(&fault);
            if output.code.is_some() {
                break;
            }
            let held = temporary(&own).into_iter().filter(|name| {
                fs::read_to_string(own.join(name))
                    .is_ok_and(|text| needles(&value).iter().any(|one| text.contains(one)))
            });
            left += held.count();
            sandbox.git(&["add", "-A"]).success();
            let staged = sandbox.git(&["ls-files", "-s"]).success().stdout;
            for line in staged.lines().filter(|line| line.contains("secrets/")) {
                let id = line.split_whitespace().nth(1).unwrap();
                let blob = sandbox.git(&["cat-file", "blob", id]).success();
                let is_encrypted = blob.bytes.starts_with(b"\0GITCRYPT\0");
                assert!(is_encrypted || blob.bytes.is_empty(), "{fault}: {line}");
            }
            sandbox.git(&["reset", "-q", "--hard"]).success();
        }
    }
    assert!(left > 0, "no run was killed while the token was in a temporary file");
    sandbox.rotate("gldt-last", &[]).success();
    assert_eq!((temporary(&dir), temporary(&own)), (Vec::new(), Vec::new()));
    assert_eq!(mode(&sandbox.hello(SECRET)), 0o600);
}

#[test]
fn git_add_takes_no_temporary_file_of_a_killed_adoption() {
    if !have("strace") || !have("git-crypt") {
        return;
    }
    let mut killed = 0;
    for call in ["renameat", "renameat2", "unlink"] {
        for number in (1..40).step_by(3) {
            let sandbox = Sandbox::of_kustomize();
            let fault = format!("inject=?{call}:signal=SIGKILL:when={number}");
            let run = sandbox.makeinfra(&["adopt", "--yes"]).cwd(sandbox.hello(""));
            if run.traced(&fault).code.is_some() {
                break;
            }
            killed += 1;
            let files = files_below(&sandbox.hello("")).into_iter();
            for path in files.filter(|path| path.contains(".makeinfra-")) {
                let bytes = fs::read(sandbox.hello(&path)).unwrap();
                assert_no_token(&bytes, &format!("{fault}: {path}"));
            }
            sandbox.git(&["add", "-A"]).success();
            for path in sandbox.git(&["ls-files", "secrets"]).success().stdout.lines() {
                let blob = sandbox.git(&["cat-file", "blob", &format!(":{path}")]).success();
                assert_no_token(&blob.bytes, &format!("{fault}: {path}"));
            }
            sandbox.git(&["reset", "-q", "--hard"]).success();
            sandbox.git(&["clean", "-fdq"]).success();
            sandbox.makeinfra(&["adopt", "--yes"]).cwd(sandbox.hello("")).success();
            assert_eq!(temporary(&sandbox.hello(".git")), Vec::<String>::new(), "{fault}");
        }
    }
    assert!(killed > 5, "{killed} runs were killed");
}

#[test]
fn where_no_rename_leads_out_of_git_the_temporary_file_must_be_covered() {
    let sandbox = covered_by_name();
    let git = sandbox.hello(".git");
    sandbox.run("mv", &["hello-infra/.git", "git"]).success();
    let Some(_disk) = Disk::mount(&git, "size=8m") else { return };
    sandbox.run("cp", &["-a", "git/.", &git.display().to_string()]).success();
    let before = fs::read(sandbox.hello(SECRET)).unwrap();
    let refused = sandbox.rotate("gldt-new", &[]).failure(1);
    refused.says("cannot write `secrets/kubernetes/gitlab.secret.yaml` safely");
    refused.says("hint: echo '.*.makeinfra-*' >> .gitignore");
    assert_eq!(fs::read(sandbox.hello(SECRET)).unwrap(), before);
    assert_eq!(temporary(&sandbox.hello("secrets/kubernetes")), Vec::<String>::new());
    sandbox
        .run("sh", &["-c", "echo '.*.makeinfra-*' >> .gitignore"])
        .cwd(sandbox.hello(""))
        .success();
    sandbox.rotate("gldt-new", &["--commit"]).success();
    assert_ne!(fs::read(sandbox.hello(SECRET)).unwrap(), before);
    // The attributes may cover it, too.
    fs::write(sandbox.hello(".gitignore"), "").unwrap();
    fs::write(sandbox.hello(".gitattributes"), "secrets/** filter=git-crypt diff=git-crypt\n")
        .unwrap();
    sandbox.rotate("gldt-newer", &[]).success();
}

#[test]
fn a_linked_work_tree_has_them_in_its_own_directory() {
    if !have("strace") {
        return;
    }
    let sandbox = covered_by_name();
    let linked = sandbox.path("work/linked");
    sandbox.git(&["config", "core.hooksPath", "/dev/null"]).success();
    sandbox
        .git(&["worktree", "add", "-q", "--no-checkout", &linked.display().to_string()])
        .success();
    sandbox.run("git", &["read-tree", "HEAD"]).cwd(&linked).success();
    sandbox.run("cp", &["-r", "hello-infra/.", "copy"]).success();
    sandbox.run("rm", &["-r", "copy/.git"]).success();
    sandbox.run("cp", &["-r", "copy/.", "linked"]).success();
    let own = sandbox.hello(".git/worktrees/linked");
    sandbox.rotate("gldt-new", &[]).cwd(&linked).traced("inject=?fsync:signal=SIGKILL:when=1");
    assert_eq!(temporary(&linked.join("secrets/kubernetes")), Vec::<String>::new());
    assert!(!temporary(&own).is_empty());
    sandbox.rotate("gldt-new", &[]).cwd(&linked).success();
    assert_eq!(temporary(&own), Vec::<String>::new());
}

#[test]
fn what_cannot_be_taken_back_stays_until_it_is_brought_back() {
    if !have("strace") {
        return;
    }
    let mut lost = 0;
    let set = |sandbox: &Sandbox, key: &str, value: &str, args: &[&str]| {
        let file = sandbox.write_private("value", value).display().to_string();
        let base = ["secret", "set", "web", key, "--from-file", &file];
        sandbox.makeinfra(&[&base[..], args].concat()).cwd(sandbox.hello(""))
    };
    for number in 1..=14 {
        let sandbox = Sandbox::with_hello();
        set(&sandbox, "A", "old-value", &[]).success();
        let file = sandbox.hello("secrets/kubernetes/web.env");
        let fault = format!("inject=?rename,?renameat:error=EIO:when={number}+");
        let output = set(&sandbox, "A", "new-value", &["--commit"]).traced(&fault);
        if output.code == Some(0) {
            break;
        }
        let of_file = format!("the old content of `{}` is in `", file.display());
        let Some(kept) =
            output.stderr.split_once(&of_file).and_then(|(_, rest)| rest.split('`').next())
        else {
            continue;
        };
        lost += 1;
        // Another change does not remove it.
        set(&sandbox, "B", "other", &[]).output();
        assert_eq!(fs::read_to_string(kept).unwrap(), "A=old-value\n", "{fault}");
        assert!(!sandbox.git(&["status", "--porcelain"]).success().stdout.contains("makeinfra-"));
        let hint = output.stderr.lines().find_map(|line| line.strip_prefix("hint: ")).unwrap();
        sandbox.run("sh", &["-c", hint]).success();
        assert_eq!(fs::read_to_string(&file).unwrap(), "A=old-value\n", "{fault}");
    }
    assert!(lost > 0, "nothing was lost");
}

#[test]
fn what_was_deleted_comes_back_where_nothing_can_be_renamed() {
    if !have("strace") {
        return;
    }
    let mut failed = 0;
    for number in 1..=14 {
        let sandbox = Sandbox::with_hello();
        let value = sandbox.write_private("value", "old-value").display().to_string();
        let hello = sandbox.hello("");
        let set = ["secret", "set", "web", "A", "--from-file", &value, "--commit"];
        sandbox.makeinfra(&set).cwd(&hello).success();
        let unset = ["secret", "unset", "web", "A", "--yes", "--commit"];
        let fault = format!("inject=?renameat:error=EIO:when={number}+");
        if sandbox.makeinfra(&unset).cwd(&hello).traced(&fault).code == Some(0) {
            break;
        }
        failed += 1;
        let found = fs::read_to_string(sandbox.hello("secrets/kubernetes/web.env")).ok();
        assert_eq!(found.as_deref(), Some("A=old-value\n"), "{fault}");
    }
    assert!(failed > 5, "{failed} runs failed");
}
