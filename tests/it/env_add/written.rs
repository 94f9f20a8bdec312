//! What is committed, and what a killed run leaves for the next one.

use super::super::support::Sandbox;
use super::repeated;
use super::secrets::with_database;

#[test]
fn just_its_own_files_are_committed() {
    let sandbox = Sandbox::with_hello();
    sandbox.append("README.md", "staged\n");
    sandbox.git(&["add", "README.md"]).success();
    sandbox.put("mine", "untracked\n");
    sandbox
        .agreed(&["env", "add", "staging", "--commit"])
        .success()
        .prints("Add environment staging, committed as ");
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "M  README.md\n?? mine\n");
    let shown = sandbox.git(&["log", "-1", "--format=%s"]).success().stdout;
    assert_eq!(shown, "Add environment staging\n");
}

#[test]
fn what_a_killed_run_has_left_undone_is_done_by_the_next_one() {
    let original = || {
        let sandbox = Sandbox::new();
        sandbox.new_hello(&["--ingress", "hello.example.com"]).success();
        sandbox
    };
    repeated(&original, &["env", "add", "staging"]);
    repeated(&with_database, &["env", "add", "staging", "--with-secrets"]);
}

#[test]
fn what_was_written_beside_its_place_is_swept() {
    let sandbox = Sandbox::with_hello();
    let left = "secrets/kubernetes/staging/.gitlab.secret.yaml.makeinfra-Ab12Cd34Ef56";
    sandbox.put(left, "plain");
    sandbox.agreed(&["env", "add", "staging"]).success().says("left behind by a killed run");
    assert!(!sandbox.hello(left).exists());
}

#[test]
fn a_kill_at_any_time_can_be_repeated() {
    use std::process::Stdio;
    use std::time::{Duration, Instant};
    let begin = Instant::now();
    Sandbox::with_hello().agreed(&["env", "add", "staging"]).success();
    let whole = begin.elapsed() / 2;
    for round in 0..20 {
        let sandbox = Sandbox::with_hello();
        let mut command = sandbox.agreed(&["env", "add", "staging"]).command();
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(2) + whole * round / 20);
        child.kill().unwrap();
        child.wait().unwrap();
        sandbox.agreed(&["env", "add", "staging", "--commit"]).success();
        assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "", "{round}");
        sandbox.git(&["fsck", "--strict"]).success();
    }
}
