//! Ctrl-C and SIGTERM while the registry does not know the new token yet: anything left is in the
//! journal.

use super::super::gitlab::Gitlab;
use super::super::gitlab_bed::GitlabBed;
use super::World;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A signal and its number.
const SIGNALS: [(&str, i32); 2] = [("INT", 2), ("TERM", 15)];

#[test]
fn between_two_tries_a_signal_loses_no_token() {
    for (name, number) in SIGNALS {
        let Some(bed) = GitlabBed::with(Gitlab::start(), Duration::from_secs(600)) else { return };
        let world = World::with(bed);
        let before = (world.secret(), world.sandbox.git(&["rev-parse", "HEAD"]).success().stdout);
        let run = world.rotate(&["--commit"]).without_env("MAKEINFRA_TEST_ADVICE");
        let child = run.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // It was refused once, and a pause follows.
        let begun = Instant::now();
        let refused = || {
            world
                .bed
                .registry
                .sign_ins_of("gitlab+deploy-token-2")
                .iter()
                .any(|one| one.ends_with("401"))
        };
        while !refused() {
            assert!(begun.elapsed() < Duration::from_secs(20), "{}", world.bed.registry.logs());
            sleep(Duration::from_millis(5));
        }
        sleep(Duration::from_millis(100));
        let id = child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let code = output.status.code().or(output.status.signal().map(|signal| 128 + signal));
        assert_eq!(code, Some(128 + number), "{said}");
        // Either both the token and its journal entry exist, or neither.
        world.account(name);
        assert_eq!(
            world.ids().contains(&2),
            world.entries().iter().any(|entry| entry.contains("\"id\":2")),
            "{name}"
        );
        assert_eq!(
            (world.secret(), world.sandbox.git(&["rev-parse", "HEAD"]).success().stdout),
            before
        );
        assert_eq!(world.sandbox.git(&["status", "--porcelain"]).success().stdout, "");
        let left = super::super::support::files_below(&world.sandbox.hello(""));
        assert!(!left.iter().any(|file| file.contains(".makeinfra-")), "{left:?}");
    }
}

#[test]
fn the_next_run_deletes_what_a_signal_has_left() {
    let Some(bed) = GitlabBed::with(Gitlab::start(), Duration::from_secs(3)) else { return };
    let world = World::with(bed);
    let run = world.rotate(&["--commit"]).without_env("MAKEINFRA_TEST_ADVICE");
    let mut child = run.command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while world.bed.registry.sign_ins_of("gitlab+deploy-token-2").is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(20));
        sleep(Duration::from_millis(5));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    child.wait().unwrap();
    world.rotate(&["--commit"]).success();
    assert_eq!((world.ids(), world.journal()), (vec![1, 3], Vec::new()));
    world.is_settled("after a signal");
}
