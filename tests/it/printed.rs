//! What a command that changes a repository prints, commits and leaves, and what it refuses to
//! touch.

use super::support::{Sandbox, TOKEN, all_objects, assert_no_token, have};
use std::fs;

#[test]
fn the_commit_that_is_printed_takes_the_files_of_the_change_alone() {
    if !have("git-crypt") {
        return;
    }
    let sandbox = Sandbox::with_hello();
    for file in ["kubernetes/base/mine.yaml", "secrets/mine.env", "README.md"] {
        fs::write(sandbox.hello(file), "mine\n").unwrap();
    }
    for args in [
        &["env", "add", "staging"][..],
        &["add", "worker", "--port", "none"],
        &["remove", "worker"],
        &["env", "remove", "staging"],
    ] {
        let output = sandbox.agreed(args).success();
        let line =
            output.stdout.lines().find_map(|line| line.strip_prefix("  git ")).unwrap().to_owned();
        sandbox.run("sh", &["-ec", &format!("git {line}")]).cwd(sandbox.hello("")).success();
        let left = sandbox.git(&["status", "--porcelain"]).success().stdout;
        assert_eq!(
            left, " M README.md\n?? kubernetes/base/mine.yaml\n?? secrets/mine.env\n",
            "{args:?}"
        );
    }
}

#[test]
fn what_a_killed_run_left_is_named_and_the_next_command_removes_it() {
    let sandbox = Sandbox::with_hello();
    let left = "secrets/kubernetes/gone/.gitlab.secret.yaml.makeinfra-Ab3dEf7hIj2l";
    let leave = || {
        let file = sandbox.hello(left);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, TOKEN).unwrap();
    };
    leave();
    let output = sandbox.makeinfra(&["check", "hello-infra"]).failure(1);
    output.prints("left behind by a killed run").prints(&format!("/hello-infra && rm {left}\n"));
    for args in [&["env", "add", "staging"][..], &["add", "worker", "--port", "none"]] {
        leave();
        sandbox.agreed(args).success().says("left behind by a killed run");
        assert!(!sandbox.hello(left).exists(), "{args:?}");
    }
    leave();
    sandbox.rotate("gldt-new", &["--env", "production"]).success().says("left behind");
    assert!(!sandbox.hello(left).exists());
}

#[test]
fn what_a_filter_changes_outside_of_secrets_is_neither_copied_nor_shown() {
    let sandbox = Sandbox::with_hello();
    let private = "kubernetes/overlays/production/private.env";
    for filter in ["git-crypt", "git-crypt-team", "lfs"] {
        fs::write(
            sandbox.hello(".gitattributes"),
            format!("kubernetes/**/private.env filter={filter}\n"),
        )
        .unwrap();
        fs::write(sandbox.hello(private), format!("PASSWORD={TOKEN}\n")).unwrap();
        for more in [
            &["--yes", "--commit"][..],
            &["--yes"],
            &["--dry-run", "--diff"],
            &["--json", "--diff", "--yes"],
        ] {
            let args = [&["env", "add", "staging", "hello-infra"], more].concat();
            let output = sandbox.makeinfra(&args).failure(1);
            output.says(private).says("a filter in `.gitattributes`");
            assert_no_token(output.stdout.as_bytes(), "stdout");
            assert_no_token(output.stderr.as_bytes(), "stderr");
            assert!(!sandbox.hello("kubernetes/overlays/staging").exists(), "{filter}: {more:?}");
        }
    }
    assert_no_token(&all_objects(&sandbox, &sandbox.hello("")), "git's objects");
}

#[test]
fn a_commit_drops_nothing_that_is_only_staged() {
    let sandbox = Sandbox::with_hello();
    let file = "kubernetes/overlays/production/kustomization.yaml";
    let text = fs::read_to_string(sandbox.hello(file)).unwrap();
    fs::write(sandbox.hello(file), format!("{text}# staged\n")).unwrap();
    sandbox.git(&["add", file]).success();
    fs::write(sandbox.hello(file), &text).unwrap();
    let add = [
        "add",
        "worker",
        "--port",
        "none",
        "--image",
        "registry.gitlab.com/group/worker:2",
        "--commit",
    ];
    let status = sandbox.git(&["status", "--porcelain"]).success().stdout;
    sandbox
        .agreed(&add)
        .failure(1)
        .says("it has staged changes, which the commit would discard")
        .says(file);
    assert_eq!(
        sandbox.git(&["status", "--porcelain"]).success().stdout,
        status,
        "nothing was written"
    );
    sandbox.git(&["reset", "-q", "--", file]).success();
    sandbox.agreed(&add).success();
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
}
