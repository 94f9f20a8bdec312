//! The complete output as users see it: help pages, plans, reports and errors, each in a file of
//! `tests/outputs`. After an intended change, run `make outputs` and read the diff.

use super::examples::{repo, update};
use super::older::Edit;
use super::support::{IMAGE, Run, Sandbox, TOKEN, USER, assert_no_token};
use std::fs;

/// The output of a run, without what differs between runs.
pub fn printed(sandbox: &Sandbox, args: &[&str], run: Run) -> String {
    let output = run.output();
    let real = sandbox.path("work").canonicalize().unwrap();
    let plain = |text: &str| {
        let text = text
            .replace(&real.display().to_string(), "/work")
            .replace(&sandbox.path("work").display().to_string(), "/work");
        let mut parts = text.split("committed as ");
        let mut plain = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            plain.push_str("committed as COMMIT");
            plain.push_str(&part[8..]);
        }
        plain.replace(env!("CARGO_PKG_VERSION"), "VERSION")
    };
    assert_no_token(output.stdout.as_bytes(), "stdout");
    assert_no_token(output.stderr.as_bytes(), "stderr");
    let (out, err) = (plain(&output.stdout), plain(&output.stderr));
    let err = if err.is_empty() { String::new() } else { format!("--- standard error\n{err}") };
    format!("$ makeinfra {}\n{out}{err}--- exit {}\n", args.join(" "), output.code.unwrap())
}

/// Expects `tests/outputs/NAME.txt`.
#[track_caller]
pub fn is(name: &str, text: &str) {
    let file = repo(&format!("tests/outputs/{name}.txt"));
    if update() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(text, expected, "{} differs: `make outputs` writes it anew", file.display());
}

/// Runs `makeinfra ARGS` next to the repository, and expects the output `name`.
#[track_caller]
fn shows(sandbox: &Sandbox, name: &str, args: &[&str]) {
    is(name, &printed(sandbox, args, sandbox.makeinfra(args).stdin(TOKEN)));
}

#[test]
fn help_pages() {
    let sandbox = Sandbox::new();
    for command in [
        "",
        "new",
        "rotate",
        "add",
        "remove",
        "env",
        "env add",
        "env remove",
        "env list",
        "secret",
        "secret set",
        "secret unset",
        "secret list",
        "update",
        "adopt",
        "check",
        "diagnose",
    ] {
        let words: Vec<_> = command.split_whitespace().chain(["--help"]).collect();
        shows(
            &sandbox,
            &format!(
                "help-{}",
                if command.is_empty() { "makeinfra".into() } else { command.replace(' ', "-") }
            ),
            &words,
        );
    }
}

const TOKEN_OPTIONS: [&str; 3] = ["--token-username", USER, "--token-stdin"];

#[test]
fn a_repository_is_made_and_its_token_rotated() {
    let sandbox = Sandbox::new();
    let new = [&["new", "hello", "--image", IMAGE][..], &TOKEN_OPTIONS].concat();
    shows(&sandbox, "new-dry-run", &[&new[..], &["--dry-run"]].concat());
    shows(&sandbox, "new", &new);
    shows(&sandbox, "new-again", &new);
    let rotate = [&["rotate", "hello-infra"][..], &TOKEN_OPTIONS].concat();
    shows(&sandbox, "rotate-same", &rotate);
    shows(&sandbox, "rotate", &[&rotate[..], &["--email", "ada@example.com", "--commit"]].concat());
    shows(&sandbox, "rotate-without-token", &["rotate", "hello-infra", "--no-input"]);
    shows(&sandbox, "check", &["check", "hello-infra"]);
    sandbox.append("kubernetes/base/deployment.yaml", "    nonsense: [\n");
    fs::remove_file(sandbox.hello(".git/git-crypt/keys/default")).unwrap();
    shows(&sandbox, "check-problems", &["check", "hello-infra"]);
}

#[test]
fn components_environments_and_secrets() {
    let sandbox = Sandbox::with_hello();
    shows(
        &sandbox,
        "add-dry-run",
        &["add", "worker", "hello-infra", "--port", "none", "--dry-run"],
    );
    shows(
        &sandbox,
        "add",
        &["add", "worker", "hello-infra", "--port", "none", "--yes", "--commit"],
    );
    shows(&sandbox, "add-again", &["add", "worker", "hello-infra", "--port", "none", "--yes"]);
    shows(
        &sandbox,
        "env-add-diff",
        &["env", "add", "staging", "hello-infra", "--dry-run", "--diff"],
    );
    shows(&sandbox, "env-add", &["env", "add", "staging", "hello-infra", "--yes", "--commit"]);
    shows(&sandbox, "env-list", &["env", "list", "hello-infra"]);
    shows(
        &sandbox,
        "env-remove",
        &["env", "remove", "staging", "hello-infra", "--yes", "--commit"],
    );
    shows(
        &sandbox,
        "secret-set",
        &["secret", "set", "database", "PASSWORD", "hello-infra", "--stdin", "--commit"],
    );
    shows(&sandbox, "secret-list", &["secret", "list", "hello-infra"]);
    shows(
        &sandbox,
        "secret-unset",
        &["secret", "unset", "database", "PASSWORD", "hello-infra", "--yes"],
    );
    shows(&sandbox, "remove", &["remove", "worker", "hello-infra", "--yes"]);
}

#[test]
fn updates() {
    let edits: [Edit; 2] = [
        (
            "kubernetes/base/COMPONENT/WORKLOAD.yaml.tera",
            "revisionHistoryLimit: 5",
            "revisionHistoryLimit: 9",
        ),
        ("README.md.tera", "Deploying requires", "To deploy you need"),
    ];
    let sandbox = Sandbox::older(&edits, &[]);
    shows(&sandbox, "update-check", &["update", "hello-infra", "--check"]);
    shows(&sandbox, "update-diff", &["update", "hello-infra", "--dry-run", "--diff"]);
    sandbox.edit("README.md", "To deploy you need", "You cannot deploy without");
    sandbox.commit_all();
    shows(&sandbox, "update-conflict-dry-run", &["update", "hello-infra", "--dry-run"]);
    shows(&sandbox, "update-conflict-refused", &["update", "hello-infra", "--yes"]);
    shows(&sandbox, "update-conflict", &["update", "hello-infra", "--conflicts"]);
    sandbox.git(&["cherry-pick", "--abort"]).success();
    sandbox.edit("README.md", "You cannot deploy without", "To deploy you need");
    sandbox.commit_all();
    shows(&sandbox, "update", &["update", "hello-infra", "--yes", "--commit"]);
}

#[test]
fn several_repositories() {
    let sandbox = super::several::with_three_older();
    fs::write(sandbox.work("list"), "a\nb\nsub/c\n").unwrap();
    shows(&sandbox, "several-update-dry-run", &["update", "a", "b", "--dry-run"]);
    fs::remove_file(sandbox.work("b/kubernetes/base/deployment.yaml")).unwrap();
    shows(&sandbox, "several-check", &["check", "--repos-from", "list", "--failed-to", "failed"]);
    shows(&sandbox, "several-update", &["update", "a", "b", "--yes", "--commit"]);
    let rotate = [&["rotate", "a", "c"][..], &TOKEN_OPTIONS].concat();
    shows(&sandbox, "several-rotate", &[&rotate[..], &["--email", "ada@example.com"]].concat());
    shows(&sandbox, "several-no-list", &["check", "--repos-from", "/dev/null"]);
}

#[test]
fn adoptions() {
    let sandbox = Sandbox::of_the_post();
    shows(&sandbox, "adopt-post-no-input", &["adopt", "hello-infra", "--no-input"]);
    shows(&sandbox, "adopt-post-dry-run", &["adopt", "hello-infra", "--dry-run"]);
    shows(&sandbox, "adopt-post", &["adopt", "hello-infra", "--yes", "--commit"]);
    shows(&sandbox, "adopt-again", &["adopt", "hello-infra", "--yes"]);
    shows(
        &Sandbox::of_kustomize(),
        "adopt-kustomize",
        &["adopt", "hello-infra", "--yes", "--commit"],
    );
    shows(&Sandbox::of_helm(), "adopt-helm", &["adopt", "hello-infra", "--yes", "--commit"]);
    let locked = Sandbox::of_the_post();
    locked.run("git-crypt", &["lock"]).cwd(locked.hello("")).success();
    shows(&locked, "adopt-locked", &["adopt", "hello-infra", "--yes"]);
}

#[test]
fn errors() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.work("empty")).unwrap();
    shows(&sandbox, "error-no-image", &["new", "hello", "--no-input"]);
    // Without a subcommand, a group of commands shows its help.
    for (args, page) in [
        (&[][..], "help-bare"),
        (&["env"], "help-env-bare"),
        (&["help", "env", "add"], "help-command"),
        (&["env", "ad"], "error-command"),
        (&["secret", "get", "db", "PASSWORD"], "error-get"),
    ] {
        shows(&sandbox, page, args);
    }
    let no_file =
        ["new", "hello", "--image", IMAGE, "--token-username", USER, "--token-file", "nofile"];
    shows(&sandbox, "error-token-file", &no_file);
    shows(&sandbox, "error-option", &["new", "hello", "--imge", IMAGE]);
    shows(
        &sandbox,
        "error-value",
        &["new", "hello", "--image", IMAGE, "--no-token", "--port", "70000"],
    );
    shows(&sandbox, "error-no-repository", &["rotate", "empty"]);
    shows(&sandbox, "error-no-directory", &["env", "add", "staging", "hello-infra"]);
    let sandbox = Sandbox::of_the_post();
    shows(&sandbox, "error-by-hand", &["env", "add", "staging", "hello-infra"]);
    let cases = repo("tests/vectors/pull-failures");
    let mut names: Vec<_> = fs::read_dir(&cases).unwrap().map(|one| one.unwrap().path()).collect();
    names.sort();
    for file in names.iter().filter(|file| file.extension().is_some_and(|end| end == "json")) {
        let name = format!("diagnose-{}", file.file_stem().unwrap().to_string_lossy());
        let run = sandbox.makeinfra(&["diagnose", "--events", &file.display().to_string()]);
        is(&name, &printed(&sandbox, &["diagnose", "--events", "FILE"], run));
    }
}
