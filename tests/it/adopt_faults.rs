//! Whatever stops `makeinfra adopt`, and whenever: nothing has changed, or the same command finishes.

use super::env_add::repeated;
use super::support::{Sandbox, have};
use super::update_faults::{Bed, Fault, State, killed, traced};
use std::fs;

const COMMAND: &[&str] = &["adopt", "--yes", "--commit"];

/// What git is told of git-crypt.
fn setup(sandbox: &Sandbox) -> (Vec<u8>, bool) {
    let config = fs::read(sandbox.hello(".git/config")).unwrap();
    (config, sandbox.hello(".git/git-crypt").exists())
}

#[test]
fn what_a_killed_run_has_left_undone_is_done_by_the_next_one() {
    repeated(&Sandbox::of_the_post, &["adopt"]);
}

#[test]
fn a_kill_at_any_time_can_be_repeated() {
    for args in [COMMAND, &COMMAND[..2]] {
        killed(&Bed::new(Sandbox::of_the_post(), args), 8, Bed::finishes);
    }
}

#[test]
fn a_kill_at_a_system_call_can_be_repeated() {
    if have("strace") {
        traced(&Bed::new(Sandbox::of_the_post(), COMMAND), Fault::Kill, 3, |bed, what, _| bed.finishes(what));
    }
}

#[test]
fn a_full_disk_leaves_nothing_behind_or_all_of_it() {
    if !have("strace") {
        return;
    }
    let bed = Bed::new(Sandbox::of_the_post(), COMMAND);
    traced(&bed, Fault::Full, 3, |bed, what, output| {
        let found = State::of(&bed.sandbox);
        assert!(output.code != Some(0) || found.head == bed.done.head, "{what}");
        let is_written = output.stderr.contains("is written, and not committed");
        let expected = if is_written || found.head == bed.done.head { &bed.done } else { &bed.before };
        let files: Vec<_> = found.files.iter().filter(|(path, _)| !path.contains(".makeinfra-")).collect();
        assert!(files == expected.files.iter().collect::<Vec<_>>(), "{what}: {}", output.stderr);
        bed.finishes(what);
    });
}

#[test]
fn git_crypt_is_set_up_with_everything_or_not_at_all() {
    if !have("strace") {
        return;
    }
    let sandbox = Sandbox::of_kustomize();
    let before = setup(&sandbox);
    let bed = Bed::new(sandbox, COMMAND);
    traced(&bed, Fault::Full, 4, |bed, what, output| {
        // With the files written, the key is needed.
        let is_written = output.code == Some(0) || output.stderr.contains("is written, and not committed");
        let after = setup(&bed.sandbox);
        assert_eq!(after == before, !is_written, "{what}: {}", output.stderr);
        bed.sandbox.here(COMMAND).success();
        assert_eq!(bed.sandbox.git(&["status", "--porcelain"]).success().stdout, "", "{what}");
        bed.sandbox.is_sound();
    });
}
