//! `changed` in `--json` is true exactly if something was written, and `files` is empty exactly if
//! nothing is, or would be.

use super::faults::edited;
use super::secret_set::set_key;
use super::support::{IMAGE, Output, Run, SECRET, Sandbox, USER, have};
use serde_json::{Value, json};

/// A command that writes, and the repository for it.
type Case = (&'static [&'static str], fn() -> Sandbox);

const CASES: [Case; 18] = [
    (
        &["new", "hello", "--image", IMAGE, "--token-username", USER, "--token-file", "../token"],
        Sandbox::new,
    ),
    (&["new", "hello", "--image", IMAGE, "--no-token", "--no-commit"], Sandbox::new),
    (&["new", "hello", "--image", IMAGE, "--no-token", "--no-git"], Sandbox::new),
    (&["rotate", "--token-username", "two", "--token-file", "../../value"], Sandbox::with_hello),
    (&["rotate", "--token-username", USER, "--token-file", "../../token"], Sandbox::with_hello),
    (&["rotate", "--keep-token", "--expires-at", "2031-01-01"], Sandbox::with_hello),
    (
        &[
            "rotate",
            "--add-registry=ghcr.io",
            "--token-username",
            "two",
            "--token-file",
            "../../value",
        ],
        Sandbox::with_hello,
    ),
    (&["rotate", "--remove-registry", "ghcr.io"], Sandbox::with_hello),
    (&["add", "worker", "--port", "none"], Sandbox::with_hello),
    (&["remove", "worker"], || {
        let sandbox = Sandbox::with_hello();
        sandbox.agreed(&["add", "worker", "--port", "none", "--commit"]).success();
        sandbox
    }),
    (&["env", "add", "staging"], Sandbox::with_hello),
    (&["env", "remove", "staging"], || {
        let sandbox = Sandbox::with_hello();
        sandbox.agreed(&["env", "add", "staging", "--commit"]).success();
        sandbox
    }),
    (&["secret", "set", "db", "A", "--from-file", "../../value"], Sandbox::with_hello),
    (&["secret", "unset", "db", "A"], || {
        let sandbox = Sandbox::with_hello();
        set_key(&sandbox, "A", "one", &["--commit"]);
        sandbox
    }),
    (&["update"], edited),
    (&["update"], Sandbox::with_hello),
    (&["adopt"], Sandbox::of_the_post),
    (&["adopt"], Sandbox::of_kustomize),
];

/// Files with their modes, and git's content, without leftovers that the next run removes.
fn state(sandbox: &Sandbox) -> String {
    let script = "
        [ -d hello-infra ] || exit 0
        cd hello-infra
        find . -name .git -prune -o -type f ! -name '.*.makeinfra-*' -printf '%m ' -exec sha1sum {} ';' | sort
        [ ! -d .git ] || { cat .git/config; git rev-parse -q --verify HEAD; git ls-files -s; }";
    sandbox.run("sh", &["-c", script]).output().stdout
}

fn run(sandbox: &Sandbox, args: &[&str]) -> Output {
    started(sandbox, args).output()
}

/// The command without prompts, with JSON output.
fn started(sandbox: &Sandbox, args: &[&str]) -> Run {
    let has_no_plan = matches!(args[..2], ["new" | "rotate", _] | ["secret", "set"]);
    let yes = if has_no_plan { "--no-input" } else { "--yes" };
    let dir = if args[0] == "new" { sandbox.work("") } else { sandbox.hello("") };
    let all = [args, &[yes, "--json"]].concat();
    sandbox.makeinfra(&all.into_iter().filter(|arg| !arg.is_empty()).collect::<Vec<_>>()).cwd(dir)
}

/// Whether the object lists a file.
fn has_files(object: &Value) -> bool {
    !object["files"].as_array().unwrap().is_empty()
}

#[test]
fn changed_is_true_exactly_if_something_was_written() {
    for (args, prepare) in CASES {
        let sandbox = prepare();
        sandbox.write_private("value", "gldt-Second");
        let mut told = Vec::new();
        for commit in ["", "", "--commit", "--commit"] {
            if args[0] == "new" && !commit.is_empty() {
                continue;
            }
            let args = [args, &[commit]].concat();
            let before = state(&sandbox);
            let dry = run(&sandbox, &[&args[..], &["--dry-run"]].concat());
            assert_eq!(state(&sandbox), before, "{args:?}");
            let real = run(&sandbox, &args);
            let is_changed = state(&sandbox) != before;
            assert_eq!(dry.code, real.code, "{args:?}: {} {}", dry.stderr, real.stderr);
            let (dry, real) = (dry.json(), real.json());
            assert_eq!(real["changed"], json!(is_changed), "{args:?}: {real}");
            assert_eq!(dry["changed"], json!(false), "{args:?}: {dry}");
            assert_eq!(has_files(&real), is_changed, "{args:?}: {real}");
            assert_eq!(dry["files"], real["files"], "{args:?}");
            told.push(is_changed);
        }
        let does_nothing = args == ["update"] && told == [false; 4]
            || args[0] == "rotate" && (args.contains(&USER) || args.contains(&"--remove-registry"));
        let expected: &[bool] = match (args[0], does_nothing) {
            ("new", _) => &[true, false],
            (_, true) => &[false; 4],
            (_, false) => &[true, false, true, false],
        };
        assert_eq!(told, expected, "{args:?}");
    }
}

#[test]
fn a_value_that_is_not_known_yet_counts_as_a_change() {
    let sandbox = Sandbox::with_hello();
    let unknown = |args: &[&str]| {
        let object = run(&sandbox, &[args, &["--dry-run"]].concat()).json();
        assert_eq!(object["changed"], json!(false));
        object["files"].clone()
    };
    assert_eq!(unknown(&["rotate", ""]), json!([{"path": SECRET, "change": "changed"}]));
    let (env, file) = ("secrets/kubernetes/db.env", "secrets/kubernetes/db.d/A");
    let set = ["secret", "set", "db", "A"];
    assert_eq!(unknown(&set), json!([{"path": env, "change": "new"}]));
    set_key(&sandbox, "A", "one", &[]);
    assert_eq!(unknown(&set), json!([{"path": env, "change": "changed"}]));
    set_key(&sandbox, "A", "two\nlines\n", &[]);
    assert_eq!(unknown(&set), json!([{"path": file, "change": "changed"}]));
}

#[test]
fn a_token_that_cannot_be_read_changes_nothing_and_is_an_error_in_a_dry_run_too() {
    let sandbox = Sandbox::with_hello();
    let before = state(&sandbox);
    sandbox.write_private("value", "\n");
    for file in ["../../missing", "../../value"] {
        for dry in ["", "--dry-run"] {
            let args = ["rotate", "--token-username", "two", "--token-file", file, dry];
            let output = run(&sandbox, &args);
            let object = output.json();
            assert!(output.code != Some(0), "{object}");
            assert_eq!(
                (&object["changed"], &object["files"]),
                (&json!(false), &json!([])),
                "{object}"
            );
        }
    }
    assert_eq!(state(&sandbox), before);
}

#[test]
fn an_update_with_conflicts_has_changed_something() {
    let sandbox = super::update::older(&[]);
    sandbox.edit("README.md", "To deploy you need", "Ask Ada for");
    sandbox.commit_all();
    let before = state(&sandbox);
    for (more, is_changed) in
        [("", false), ("--dry-run", false), ("--conflicts", true), ("--conflicts", false)]
    {
        let object = run(&sandbox, &["update", more]).json();
        assert_eq!(
            (&object["changed"], state(&sandbox) != before),
            (&json!(is_changed), more == "--conflicts")
        );
        assert_eq!(object.get("error").is_some(), more != "--dry-run", "{object}");
    }
}

#[test]
fn a_failure_after_something_was_written_has_changed_something() {
    if !have("strace") {
        return;
    }
    let mut failed = 0;
    for (args, prepare) in CASES.iter().filter(|(args, _)| args[0] != "new") {
        let sandbox = prepare();
        sandbox.write_private("value", "gldt-Second");
        let before = state(&sandbox);
        let run = started(&sandbox, &[args, &["--commit"][..]].concat());
        let output = run.traced("inject=unlink:error=EACCES");
        let is_changed = state(&sandbox) != before;
        assert_eq!(output.json()["changed"], json!(is_changed), "{args:?}: {}", output.stdout);
        failed += u32::from(is_changed && output.code == Some(1));
    }
    assert!(failed > 5, "{failed}");
}

#[test]
fn an_index_that_is_mended_has_changed() {
    let set = ["secret", "set", "db", "A", "--from-file", "../../value", "--commit"];
    let add = ["env", "add", "staging", "--commit"];
    for args in [&set[..], &["update", "--commit"]] {
        let sandbox = Sandbox::with_hello();
        sandbox.write_private("value", "one");
        let git =
            |script: &str| sandbox.run("sh", &["-c", script]).cwd(sandbox.hello(".git")).success();
        git("cp index ../../index");
        assert_eq!(
            run(&sandbox, if args == set { &set } else { &add }).json()["changed"],
            json!(true)
        );
        git("cp ../../index index");
        for is_changed in [true, false] {
            let before = state(&sandbox);
            let object = run(&sandbox, args).json();
            assert_eq!(state(&sandbox) != before, is_changed, "{args:?}: {object}");
            assert_eq!(object["changed"], json!(is_changed), "{args:?}: {object}");
        }
    }
}
