//! Unusual places for `makeinfra update`: a folder of a larger repository, file systems without
//! modes, links, a git that signs, merges of two users' components.

use super::older::Edit;
use super::support::{Run, Sandbox, files_below, have, mode};
use makeinfra::answers::Record;
use makeinfra::templates::TemplateSet;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::SystemTime;

const DEPLOYMENT: &str = "kubernetes/base/deployment.yaml";
const KEPT: &str = "refs/makeinfra/update";

/// A changed field, and a line of the README.
const CHANGES: [Edit; 2] = [
    (
        "kubernetes/base/COMPONENT/WORKLOAD.yaml.tera",
        "revisionHistoryLimit: 5",
        "revisionHistoryLimit: 9",
    ),
    ("README.md.tera", "Deploying requires", "To deploy you need"),
];

fn update(sandbox: &Sandbox, args: &[&str]) -> Run {
    sandbox.here(&[&["update"], args].concat())
}

fn git(sandbox: &Sandbox, args: &[&str]) -> String {
    sandbox.git(args).success().stdout
}

/// Changes the same field in the repository.
fn disagree(sandbox: &Sandbox) {
    sandbox.edit(DEPLOYMENT, "revisionHistoryLimit: 9", "revisionHistoryLimit: 3");
    sandbox.commit_all();
}

/// Resolves the conflict of [`disagree`] in favour of the repository.
fn decide(sandbox: &Sandbox) {
    sandbox.git(&["checkout", "-q", "--ours", "--", DEPLOYMENT]).success();
    sandbox.git(&["add", "--", DEPLOYMENT]).success();
    sandbox.git(&["-c", "core.editor=true", "cherry-pick", "--continue"]).success();
}

/// All files below `dir`, with their modification times.
fn times(dir: &Path) -> BTreeMap<String, (Vec<u8>, SystemTime)> {
    let file = |path: String| {
        let at = dir.join(&path);
        let found = (fs::read(&at).unwrap(), at.metadata().unwrap().modified().unwrap());
        (path, found)
    };
    files_below(dir).into_iter().map(file).collect()
}

#[test]
fn a_folder_of_a_larger_repository_is_updated_alone() {
    if !have("git-crypt") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.run("git", &["init", "-q"]).success();
    sandbox.run("git-crypt", &["init"]).success();
    // It has the name of a file in the folder.
    sandbox.write("work/README.md", "To deploy you need a ladder.\n");
    sandbox.write("work/other/notes", "first\n");
    sandbox.run("git", &["add", "README.md", "other"]).success();
    sandbox.run("git", &["commit", "-q", "-m", "begin"]).success();
    sandbox.new_hello(&["--no-git"]).success();
    sandbox.commit_all();
    sandbox.make_older(&CHANGES);
    sandbox.write("work/other/notes", "edited and not committed\n");
    sandbox.git(&["add", "../other/notes"]).success();
    update(&sandbox, &["--yes", "--commit"]).success();
    let changed = git(&sandbox, &["diff", "--name-only", "HEAD^", "HEAD"]);
    let expected =
        [".makeinfra.yaml", "README.md", DEPLOYMENT].map(|path| format!("hello-infra/{path}\n"));
    assert_eq!(changed, expected.concat());
    assert_eq!(git(&sandbox, &["status", "--porcelain"]), "M  other/notes\n");
    update(&sandbox, &["--check"]).success();

    // With conflicts, aborted.
    sandbox.git(&["reset", "-q", "--hard", "HEAD^"]).success();
    disagree(&sandbox);
    sandbox.write("work/other/notes", "edited and not committed\n");
    sandbox.write("work/other/new", "untracked\n");
    let (before, head) = (times(&sandbox.work("other")), git(&sandbox, &["rev-parse", "HEAD"]));
    let tree = sandbox.tree();
    let output = update(&sandbox, &["--conflicts"]).failure(12);
    output.prints(DEPLOYMENT);
    assert!(!output.stdout.contains("hello-infra/kubernetes"), "{}", output.stdout);
    let open = git(&sandbox, &["status", "--porcelain"]);
    let hello = |status: &str, path: &str| format!("{status} hello-infra/{path}\n");
    let expected = [
        hello("M ", Record::FILE),
        hello("M ", "README.md"),
        hello("UU", DEPLOYMENT),
        " M other/notes\n?? other/new\n".to_owned(),
    ];
    assert_eq!(open, expected.concat());
    sandbox.git(&["cherry-pick", "--abort"]).success();
    assert!(sandbox.tree() == tree && git(&sandbox, &["rev-parse", "HEAD"]) == head);
    assert_eq!(git(&sandbox, &["status", "--porcelain"]), " M other/notes\n?? other/new\n");
    // With conflicts, continued.
    update(&sandbox, &["--conflicts"]).failure(12);
    decide(&sandbox);
    let changed = git(&sandbox, &["diff", "--name-only", "HEAD^", "HEAD"]);
    assert_eq!(changed, "hello-infra/.makeinfra.yaml\nhello-infra/README.md\n");
    assert!(times(&sandbox.work("other")) == before, "files outside are left alone");
    assert_eq!(
        fs::read_to_string(sandbox.work("README.md")).unwrap(),
        "To deploy you need a ladder.\n"
    );
    update(&sandbox, &["--check"]).success();
}

/// A repository of a version whose deploy script was not executable, in a git with `core.fileMode`
/// off.
fn without_modes() -> Sandbox {
    let own = TemplateSet::embedded();
    let hook =
        own.files().find(|(path, _)| *path == "dot_githooks/executable_pre-commit").unwrap().1;
    let edits =
        [("dot_githooks/executable_pre-commit", "", ""), ("dot_githooks/pre-commit", "", hook)];
    let sandbox = Sandbox::older(&[&CHANGES[..], &edits].concat(), &[]);
    sandbox.git(&["config", "core.fileMode", "false"]).success();
    // A mode that a user has set.
    sandbox.git(&["update-index", "--chmod=+x", "README.md"]).success();
    sandbox.git(&["commit", "-qm", "Edit"]).success();
    sandbox
}

#[test]
fn modes_arrive_where_the_file_system_has_none() {
    let modes = |sandbox: &Sandbox, more: &[&str]| {
        let list = git(sandbox, &[&["ls-tree", "HEAD"], more].concat());
        list.lines().map(|line| line[..6].to_owned()).collect::<Vec<_>>()
    };
    let paths = [".githooks/pre-commit", "Makefile", "README.md"];
    let sandbox = without_modes();
    assert_eq!(modes(&sandbox, &paths), ["100644", "100644", "100755"]);
    update(&sandbox, &["--yes", "--commit"]).success();
    assert_eq!(modes(&sandbox, &paths), ["100755", "100644", "100755"]);
    assert_eq!(git(&sandbox, &["diff", "--name-only", "HEAD^", "HEAD"]).lines().count(), 4);
    // With `core.fileMode` on, only the user's change in the index is left.
    let status = git(&sandbox, &["-c", "core.fileMode=true", "status", "--porcelain"]);
    assert_eq!(status, " M README.md\n");
    assert_eq!(mode(&sandbox.hello(".githooks/pre-commit")) & 0o111, 0o111);
    update(&sandbox, &["--check"]).success();
    // The same in a cherry-pick.
    let sandbox = without_modes();
    disagree(&sandbox);
    update(&sandbox, &["--conflicts"]).failure(12);
    assert!(git(&sandbox, &["ls-files", "-s", ".githooks/pre-commit"]).starts_with("100755 "));
    decide(&sandbox);
    assert_eq!(modes(&sandbox, &paths), ["100755", "100644", "100755"]);
    assert_eq!(git(&sandbox, &["status", "--porcelain"]), "");
}

#[test]
fn a_link_is_never_followed_or_replaced() {
    let sandbox = Sandbox::older(&CHANGES, &[]);
    let outside = sandbox.write("outside", sandbox.read("README.md"));
    let before = sandbox.read("README.md");
    for (path, target) in [("README.md", &outside), ("kubernetes", &sandbox.path("moved"))] {
        if path == "kubernetes" {
            fs::rename(sandbox.hello(path), target).unwrap();
        } else {
            fs::remove_file(sandbox.hello(path)).unwrap();
        }
        std::os::unix::fs::symlink(target, sandbox.hello(path)).unwrap();
        sandbox.commit_all();
        let head = git(&sandbox, &["rev-parse", "HEAD"]);
        for args in [&["--yes"][..], &["--yes", "--commit"], &["--conflicts"]] {
            let output = update(&sandbox, args).failure(1);
            output.says("cannot use `");
            assert!(sandbox.hello(path).is_symlink(), "{path}");
            assert_eq!(fs::read_to_string(&outside).unwrap(), before);
            assert!(
                path == "README.md"
                    || fs::read_to_string(target.join("base/deployment.yaml"))
                        .unwrap()
                        .contains("revisionHistoryLimit: 9")
            );
            assert_eq!(git(&sandbox, &["status", "--porcelain"]), "");
            assert_eq!(git(&sandbox, &["rev-parse", "HEAD"]), head);
        }
        if path == "README.md" {
            sandbox.git(&["reset", "-q", "--hard", "HEAD^"]).success();
        }
    }
}

#[test]
fn a_file_that_both_added_is_a_conflict_if_it_differs() {
    let ignored = [CHANGES[0], CHANGES[1], ("dot_gitignore", "", "")];
    let fresh = Sandbox::with_hello().read(".gitignore");
    let sandbox = Sandbox::older(&ignored, &[]);
    sandbox.put(".gitignore", &fresh);
    sandbox.commit_all();
    update(&sandbox, &["--yes", "--commit"]).success();
    assert_eq!(sandbox.read(".gitignore"), fresh);

    let sandbox = Sandbox::older(&ignored, &[]);
    sandbox.put(".gitignore", "mine\n");
    sandbox.commit_all();
    let tree = sandbox.tree();
    update(&sandbox, &["--yes"]).failure(12).says("`.gitignore`: now generated");
    update(&sandbox, &["--conflicts"]).failure(12);
    assert!(git(&sandbox, &["status", "--porcelain"]).contains("AA .gitignore\n"));
    let text = sandbox.read(".gitignore");
    assert!(text.starts_with("<<<<<<< HEAD\nmine\n=======\n") && text.contains(&fresh), "{text}");
    sandbox.git(&["cherry-pick", "--abort"]).success();
    assert_eq!(sandbox.tree(), tree);
}

#[test]
fn two_components_that_were_added_on_two_branches_are_healed_after_the_merge() {
    for from in ["HEAD^1", "HEAD^2"] {
        let sandbox = Sandbox::with_hello();
        sandbox.git(&["checkout", "-q", "-b", "other"]).success();
        sandbox.agreed(&["add", "mailer", "--port", "none", "--commit"]).success();
        sandbox.git(&["checkout", "-q", "-"]).success();
        sandbox.agreed(&["add", "worker", "--port", "none", "--commit"]).success();
        sandbox.git(&["merge", "-q", "other"]).failure(1);
        // git's markers share the lines that both have in common; users want both parts in full.
        let record = |stage: &str| git(&sandbox, &["show", &format!(":{stage}:{}", Record::FILE)]);
        let (ours, theirs) = (record("2"), record("3"));
        sandbox.put(Record::FILE, &(ours + theirs.split_once("  components:\n").unwrap().1));
        let side = if from == "HEAD^1" { "--ours" } else { "--theirs" };
        let open = git(&sandbox, &["diff", "--name-only", "--diff-filter=U"]);
        let lists: Vec<_> =
            open.lines().filter(|path| path.ends_with("kustomization.yaml")).collect();
        assert!(!lists.is_empty(), "{open}");
        for path in lists {
            sandbox.git(&["checkout", "-q", side, "--", path]).success();
        }
        sandbox.commit_all();
        let missing = if from == "HEAD^1" { "mailer" } else { "worker" };
        assert!(!sandbox.read("kubernetes/base/kustomization.yaml").contains(missing));
        update(&sandbox, &["--from", from, "--yes", "--commit"]).success();
        sandbox.is_sound();
        for name in ["mailer", "worker"] {
            let list = sandbox.read("kubernetes/base/kustomization.yaml");
            assert!(list.contains(&format!("{name}-deployment.yaml")), "{from}: {list}");
        }
        update(&sandbox, &["--check"]).success();
    }
}

#[test]
fn a_check_writes_nothing() {
    let sandbox = Sandbox::older(&CHANGES, &[]);
    // Stat data that git would refresh.
    sandbox.put("Makefile", &sandbox.read("Makefile"));
    let all = || (times(&sandbox.hello(".git")), times(&sandbox.hello("")));
    let before = all();
    update(&sandbox, &["--check"]).failure(1).prints("README.md");
    update(&sandbox, &["--check", "--json"]).failure(1).prints("\"due\"");
    update(&sandbox, &["--dry-run"]).success();
    assert!(all() == before);
    // On a read-only file system.
    let script = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" && ! touch \"$1/x\" 2>/dev/null || exit 99
        cd \"$1\" && exec \"$2\" update --check";
    let program = env!("CARGO_BIN_EXE_makeinfra");
    let dir = sandbox.hello("").display().to_string();
    let output = sandbox.run("unshare", &["-m", "sh", "-c", script, "sh", &dir, program]).output();
    if output.stderr.contains("unshare") || output.code == Some(99) {
        eprintln!("SKIPPED: this machine does not let a test mount: {}", output.stderr);
        return;
    }
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    output.prints("README.md");
    assert!(all() == before);
}

#[test]
fn no_signer_is_needed() {
    let sandbox = Sandbox::older(&CHANGES, &[]);
    sandbox.git(&["config", "commit.gpgSign", "true"]).success();
    sandbox.git(&["config", "gpg.program", "false"]).success();
    update(&sandbox, &["--yes", "--commit"]).success().says("this commit will not be signed");
    assert_eq!(git(&sandbox, &["status", "--porcelain"]), "");
    sandbox.git(&["reset", "-q", "--hard", "HEAD^"]).success();
    sandbox.edit(DEPLOYMENT, "revisionHistoryLimit: 9", "revisionHistoryLimit: 3");
    sandbox.git(&["commit", "-q", "--no-gpg-sign", "-am", "Edit"]).success();
    update(&sandbox, &["--conflicts"]).failure(12).says("unresolved conflicts in");
    sandbox.git(&["cherry-pick", "--abort"]).success();
}

#[test]
fn without_an_identity_nothing_is_written() {
    let nobody = |run: Run| {
        let names =
            ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"];
        names.into_iter().fold(run, Run::without_env)
    };
    let sandbox = Sandbox::older(&CHANGES, &[]);
    for args in [&["--yes", "--commit"][..], &["--conflicts"]] {
        if args.len() == 1 {
            disagree(&sandbox);
        }
        let all = || (times(&sandbox.hello(".git")), times(&sandbox.hello("")));
        let before = all();
        let output = nobody(update(&sandbox, args)).failure(1);
        output.says("git has no user name and email").says("hint: git config --global user.name");
        assert!(all() == before, "{args:?}");
    }
}

#[test]
fn an_open_update_survives_a_collection_of_garbage() {
    let sandbox = Sandbox::older(&CHANGES, &[]);
    disagree(&sandbox);
    update(&sandbox, &["--conflicts"]).failure(12);
    let picked = sandbox.read(".git/CHERRY_PICK_HEAD");
    sandbox.git(&["gc", "-q", "--prune=now"]).success();
    assert_eq!(git(&sandbox, &["rev-parse", KEPT]), picked);
    sandbox.git(&["cat-file", "-e", &format!("{}^{{tree}}", picked.trim())]).success();
    decide(&sandbox);
    update(&sandbox, &["--check"]).success();
    sandbox.git(&["fsck", "--strict"]).success();
}

#[test]
fn the_same_edit_of_the_record_and_of_the_files_is_no_conflict() {
    let sandbox = Sandbox::with_hello();
    sandbox.edit(DEPLOYMENT, "containerPort: 8080", "containerPort: 9090");
    sandbox.commit_all();
    sandbox.edit(Record::FILE, "port: 8080", "port: 9090");
    update(&sandbox, &["--yes", "--commit"]).success();
    assert!(sandbox.read(DEPLOYMENT).contains("containerPort: 9090"));
    assert!(sandbox.read(Record::FILE).contains("port: 9090"));
    assert_eq!(git(&sandbox, &["status", "--porcelain"]), "");
    update(&sandbox, &["--check"]).success();
    sandbox.is_sound();
}

#[test]
fn what_is_printed_as_json_can_be_read_by_programs() {
    let sandbox = Sandbox::older(&CHANGES, &[]);
    let paths = |list: &serde_json::Value| {
        let path = |one: &serde_json::Value| one["path"].as_str().unwrap().to_owned();
        let mut found: Vec<_> = list.as_array().unwrap().iter().map(path).collect();
        found.sort();
        found
    };
    let all = [".makeinfra.yaml", "README.md", DEPLOYMENT];
    let plan = update(&sandbox, &["--dry-run", "--json"]).success().json();
    assert_eq!(
        (paths(&plan["files"]), &plan["dry_run"]),
        (all.map(str::to_owned).to_vec(), &true.into())
    );
    assert!(plan["next"].as_array().unwrap().iter().all(serde_json::Value::is_string), "{plan}");
    let due = update(&sandbox, &["--check", "--json"]).failure(1).json();
    assert_eq!((paths(&due["files"]).len(), &due["due"]), (3 - 1, &true.into()), "{due}");
    disagree(&sandbox);
    for args in [&["--dry-run", "--json"][..], &["--conflicts", "--json"]] {
        let output = update(&sandbox, args).output();
        assert_eq!(output.code, Some(12), "{}", output.stderr);
        let found = output.json();
        assert_eq!(paths(&found["conflicts"]), [DEPLOYMENT]);
        assert_eq!(
            found["conflicts"][0]["why"],
            "you and the templates changed spec.revisionHistoryLimit"
        );
        assert_eq!(paths(&found["files"]), [".makeinfra.yaml", "README.md"]);
        let next = found["next"].as_array().unwrap();
        assert_eq!(next.is_empty(), args[0] == "--dry-run", "{found}");
    }
    sandbox.git(&["cherry-pick", "--abort"]).success();
    disagree_not(&sandbox);
    let done = update(&sandbox, &["--yes", "--commit", "--json"]).success().json();
    assert_eq!(done["commit"].as_str().unwrap(), git(&sandbox, &["rev-parse", "HEAD"]).trim());
    assert_eq!(paths(&done["files"]), all);
    assert!(done["next"][0].as_str().unwrap().starts_with("make diff"), "{done}");
}

/// Reverts [`disagree`].
fn disagree_not(sandbox: &Sandbox) {
    sandbox.git(&["reset", "-q", "--hard", "HEAD^"]).success();
    assert!(fs::metadata(sandbox.hello(DEPLOYMENT)).unwrap().permissions().mode() & 0o111 == 0);
}
