//! The next commands that `makeinfra adopt` prints, typed.

use super::by_hand::{deployment, pull_secret};
use super::support::{Run, Sandbox, all_objects, assert_no_token};
use std::fs;
use std::os::unix::fs::PermissionsExt;

const HOOK: &str = "refuse commits with plaintext under secrets/";

/// The commands of the list, in order.
fn steps(output: &str) -> Vec<String> {
    let list = output.split_once("\nNext:\n").unwrap().1.lines();
    list.filter_map(|line| line.strip_prefix("  "))
        .filter(|line| !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

fn shell(sandbox: &Sandbox, line: &str) -> Run {
    let line = match line.strip_prefix("makeinfra ") {
        Some(rest) => format!("{} {rest}", env!("CARGO_BIN_EXE_makeinfra")),
        None => line.to_owned(),
    };
    sandbox.run("sh", &["-c", &line]).cwd(sandbox.hello(""))
}

/// Types all that need no cluster, and returns the programs that were called.
fn typed(sandbox: &Sandbox, output: &str) -> Vec<String> {
    let mut done = Vec::new();
    for step in steps(output) {
        done.push(step.split(' ').take(2).collect::<Vec<_>>().join(" "));
        if step.starts_with("makeinfra rotate") {
            let token = sandbox.path("token").display().to_string();
            shell(sandbox, &format!("{step} --token-username u --token-file {token} --commit"))
                .success();
        } else if !step.contains(" CHANGES=ok") && !step.ends_with(" deploy") {
            shell(sandbox, &step).success();
        }
    }
    done
}

#[test]
fn the_next_steps_are_complete_and_in_order() {
    let key = ["git-crypt export-key"];
    let rest = ["make setup", "makeinfra rotate", "makeinfra check", "make diff", "make deploy"];
    let cases = [
        (Sandbox::of_helm as fn() -> Sandbox, [&key[..], &rest].concat()),
        (Sandbox::of_the_post, vec!["git config", "makeinfra check"]),
    ];
    for (prepare, expected) in cases {
        for commit in [&["--commit"][..], &[]] {
            let sandbox = prepare();
            let done = sandbox.adopt(&[&["--yes"], commit].concat()).success();
            let mut typed = typed(&sandbox, &done.stdout);
            if commit.is_empty() {
                assert_eq!(typed.remove(0), "git add");
            }
            assert_eq!(typed, expected);
            assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
            sandbox.here(&["check"]).success();
            // The hook runs.
            sandbox.put("secrets/kubernetes/open.yaml", "a: b\n");
            sandbox.git(&["-c", "filter.git-crypt.clean=cat", "add", "secrets"]).success();
            sandbox.git(&["commit", "-qm", "Open"]).failure(1).says("plaintext in the index");
        }
    }
}

#[test]
fn a_hook_that_people_have_is_not_turned_off() {
    for own in [".git/hooks", ".husky"] {
        let sandbox = Sandbox::of_the_post();
        if own == ".husky" {
            sandbox.git(&["config", "core.hooksPath", own]).success();
        }
        let hook = format!("{own}/pre-commit");
        sandbox.put(&hook, "#!/bin/sh\n");
        fs::set_permissions(sandbox.hello(&hook), fs::Permissions::from_mode(0o755)).unwrap();
        let done = sandbox.adopt(&["--yes", "--commit"]).success();
        assert!(!done.stdout.contains(HOOK), "{}", done.stdout);
        let line = "sh .githooks/pre-commit || exit 1";
        done.prints(&format!("/{hook}` requires this line: {line}\n"));
        sandbox.append(&hook, &format!("{line}\n"));
        sandbox.append("README.md", "Ours.\n");
        sandbox.git(&["commit", "-qam", "Edit"]).success();
    }
}

#[test]
fn what_an_adopted_repository_does_not_get_from_adopt_is_said() {
    let sandbox = Sandbox::of_the_post();
    let first = ["--yes", "--commit", "--namespace", "web", "--project", "shop"];
    sandbox.adopt(&first).success();
    // Repeating the command finds nothing to do.
    sandbox.adopt(&first).success().prints("Nothing to do");
    for (option, other) in
        [("--project", "other"), ("--namespace", "other"), ("--image", "a/b:1"), ("--ci", "gitlab")]
    {
        sandbox
            .adopt(&["--yes", option, other])
            .failure(2)
            .says(&format!("`{option} {other}` has no effect: the repository is already adopted"))
            .says("hint: ${EDITOR:-vi} .makeinfra.yaml && makeinfra update");
    }
    sandbox
        .adopt(&["--yes", "--take", "Makefile"])
        .failure(2)
        .says("hint: makeinfra update --take Makefile");
    sandbox.here(&["update", "--take", "Makefile", "--yes", "--commit"]).success();
    sandbox.adopt(&["--yes", "--take", "Makefile"]).success().prints("Nothing to do");
}

#[test]
fn the_next_steps_of_a_folder_can_be_typed_above_it() {
    let sandbox = Sandbox::empty();
    sandbox.put("apps/shop/k8s/app.yaml", &deployment("shop", "registry.gitlab.com/group/shop:1"));
    sandbox.commit_all();
    let done = sandbox.adopt(&["apps/shop", "--yes"]).success();
    let typed = typed(&sandbox, &done.stdout);
    assert_eq!(typed.len(), 6, "{typed:?}");
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
    sandbox.here(&["check", "apps/shop"]).success();
}

#[test]
fn a_repository_without_a_commit_gets_one_first() {
    let sandbox = Sandbox::empty();
    sandbox.put("k8s/app.yaml", &deployment("hello", "registry.gitlab.com/group/hello:1"));
    sandbox.put("k8s/pull.yaml", &pull_secret("u", "gitlab", "dockercfg", "registry.gitlab.com"));
    let refused = sandbox.adopt(&["--yes", "--commit"]).failure(1);
    refused.says("the repository has no commits yet");
    let hint =
        refused.stderr.lines().find_map(|line| line.strip_prefix("hint: ")).unwrap().to_owned();
    shell(&sandbox, &hint).success();
    let done = sandbox.adopt(&["--yes", "--commit"]).success();
    typed(&sandbox, &done.stdout);
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
    assert_no_token(&all_objects(&sandbox, &sandbox.hello("")), "an object");
    // Without `--commit`, the list includes the first commit.
    let sandbox = Sandbox::empty();
    sandbox.put("k8s/app.yaml", &deployment("hello", "registry.gitlab.com/group/hello:1"));
    let done = sandbox.adopt(&["--yes"]).success();
    typed(&sandbox, &done.stdout);
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
    sandbox.here(&["check"]).success();
}
