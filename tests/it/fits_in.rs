//! Programs that run makeinfra: kubectl, and the pre-commit framework.

use super::examples::repo;
use super::support::*;
use std::fs;
use std::os::unix::fs::symlink;

#[test]
fn kubectl_runs_it_as_a_plugin() {
    let Some(kubectl) = kubectl() else { return };
    let sandbox = Sandbox::with_hello();
    let program = env!("CARGO_BIN_EXE_makeinfra");
    // The script of the packages, and a link as after `cargo install`.
    fs::create_dir_all(sandbox.path("packages")).unwrap();
    symlink(program, sandbox.path("packages/makeinfra")).unwrap();
    symlink(repo("packaging/kubectl-makeinfra"), sandbox.path("packages/kubectl-makeinfra"))
        .unwrap();
    fs::create_dir(sandbox.path("links")).unwrap();
    symlink(program, sandbox.path("links/kubectl-makeinfra")).unwrap();
    let text = r#"{"kind": "List", "items": []}"#;
    let pods = sandbox.write("all pods", text).display().to_string();
    let asked = ["diagnose", "hello-infra", "--events", &pods];
    for dir in ["packages", "links"] {
        let path = format!("{}:{}", sandbox.path(dir).display(), sandbox.own_path());
        let run = |args: &[&str]| {
            sandbox.run(&kubectl, &[&["makeinfra"], args].concat()).env("PATH", &path)
        };
        run(&["check", "hello-infra"]).success().prints("0 problems");
        run(&["check", "hello-infra", "--nonsense"]).failure(2);
        let (plugin, direct) = (run(&asked).output(), sandbox.makeinfra(&asked).output());
        assert_eq!((plugin.code, plugin.stdout), (direct.code, direct.stdout), "{dir}");
    }
}

#[test]
fn the_pre_commit_framework_runs_it() {
    let Some(program) = cached("pre-commit-4.7.0/bin/pre-commit") else { return };
    let sandbox = Sandbox::with_hello();
    // The hooks' repository, and one that uses them.
    fs::create_dir(sandbox.work("makeinfra")).unwrap();
    let hooks = repo(".pre-commit-hooks.yaml");
    fs::copy(hooks, sandbox.work("makeinfra/.pre-commit-hooks.yaml")).unwrap();
    let git = |args: &[&str]| sandbox.run("git", args).cwd(sandbox.work("makeinfra")).success();
    git(&["init", "-q"]);
    git(&["add", "-A"]);
    git(&["commit", "-qm", "Hooks"]);
    let own = std::path::Path::new(env!("CARGO_BIN_EXE_makeinfra"))
        .parent()
        .unwrap()
        .display()
        .to_string();
    let path = format!("{own}:{}", sandbox.own_path());
    let source = sandbox.work("makeinfra").display().to_string();
    let args = ["try-repo", &source, "makeinfra-check-system", "--all-files", "--verbose"];
    let run = || sandbox.run(&program, &args).cwd(sandbox.hello("")).env("PATH", &path);
    run().success().prints("0 problems").prints("Passed");
    sandbox.edit("kubernetes/base/deployment.yaml", "name: gitlab", "name: other");
    run().failure(1).prints("pull-secret-name").prints("Failed");
}
