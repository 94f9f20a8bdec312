//! What is refused before GitLab is asked, and which programs see secrets.

use super::super::finish::Rotated;
use super::super::gitlab_bed::MAINTAINER;
use super::super::support::{SECRET, have, needles};
use super::World;
use std::fs;
use std::process::Command;

#[test]
fn a_locked_clone_asks_gitlab_for_nothing() {
    if !have("git-crypt") {
        return;
    }
    let Some(world) = World::start() else { return };
    world.sandbox.git(&["config", "core.hooksPath", "/dev/null"]).success();
    world.sandbox.run("git-crypt", &["lock"]).cwd(world.sandbox.hello("")).success();
    let before = fs::read(world.sandbox.hello(SECRET)).unwrap();
    assert!(before.starts_with(b"\0GITCRYPT"));
    for args in [&["--commit"][..], &[], &["--dry-run"]] {
        world.rotate(args).failure(10).says("git-crypt unlock");
    }
    let run = world.sandbox.makeinfra(&["rotate", "--finish", "--yes", "--context", "test"]);
    let run = run.cwd(world.sandbox.work("hello-infra")).env("GITLAB_HOST", world.bed.gitlab.url());
    run.env("GITLAB_TOKEN", MAINTAINER).failure(10).says("git-crypt unlock");
    assert_eq!((world.bed.gitlab.log(), world.ids()), (Vec::new(), vec![1]));
    assert_eq!(fs::read(world.sandbox.hello(SECRET)).unwrap(), before);
    assert_eq!(world.journal(), [""; 0]);
}

/// Arguments and environments of all processes of a run, except for the run itself.
fn children(run: super::super::support::Run, world: &World) -> String {
    let (inner, log) = (run.command(), world.sandbox.path("execve"));
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-v", "-s", "100000", "-e", "trace=execve", "-o"]).arg(&log);
    strace.arg(inner.get_program()).args(inner.get_args());
    strace.current_dir(inner.get_current_dir().unwrap()).env_clear();
    strace.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = super::super::support::Run::of(strace).success();
    world.assert_no_secret_said(&output);
    fs::read_to_string(log).unwrap()
}

#[test]
fn no_argument_and_no_environment_has_a_token() {
    if !have("strace") {
        return;
    }
    let Some(rotated) = Rotated::new() else { return };
    let world = &rotated.0;
    // From a file, so that it is in no environment.
    let file = world.sandbox.path("api").display().to_string();
    let access = ["--gitlab-token-file", &file];
    let rotate = world.rotate(&[&["--commit"][..], &access].concat()).without_env("GITLAB_TOKEN");
    let mut calls = children(rotate, world);
    rotated.deploy();
    let finish =
        rotated.finish(&[&["--yes", "--commit"][..], &access].concat()).without_env("GITLAB_TOKEN");
    let values: Vec<String> =
        world.bed.gitlab.tokens().into_iter().map(|token| token.token).collect();
    calls += &children(finish, world);
    assert!(calls.contains("kubectl"), "no program was called");
    for secret in values.iter().map(String::as_str).chain([MAINTAINER]) {
        for needle in needles(secret) {
            assert!(!calls.contains(&needle), "{secret} is in a call");
        }
    }
}
