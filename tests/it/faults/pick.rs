//! An update with conflicts: whatever stops it, nothing has changed, or a cherry-pick is open that
//! git can abort.

use super::super::support::{Sandbox, files_below, have};
use super::calls::{begin, is_killed, numbered, traced};
use super::{Bed, Case, State, edited, some, words};
use std::path::Path;

const CONFLICTS: Case = Case {
    name: "update, with conflicts",
    prepare: conflicting,
    args: |_| words(&["update", "--conflicts"]),
    is_done_already: "",
    has_new_key: false,
};

/// Lines that both sides changed.
fn conflicting() -> Sandbox {
    let sandbox = edited();
    sandbox.edit("README.md", "To deploy you need", "You cannot deploy without");
    sandbox.edit(
        "kubernetes/base/deployment.yaml",
        "revisionHistoryLimit: 9",
        "revisionHistoryLimit: 3",
    );
    sandbox.commit_all();
    sandbox
}

/// Expects that nothing has changed, or that a cherry-pick is open that git can abort.
#[track_caller]
fn can_be_taken_back(bed: &Bed, what: &str) {
    // The next run removes the locks of a killed one, and nothing else.
    let locks = || {
        let files = files_below(&bed.sandbox.hello(".git")).into_iter();
        files
            .filter(|file| Path::new(file).extension().is_some_and(|end| end == "lock"))
            .collect::<Vec<_>>()
    };
    if !locks().is_empty() {
        // A cherry-pick may be open, which blocks the next run.
        let code = bed.again().output().code;
        assert!([Some(1), Some(12)].contains(&code), "{what}: {code:?}");
        assert_eq!(locks(), [""; 0], "{what}");
    }
    if bed.sandbox.hello(".git/CHERRY_PICK_HEAD").exists() {
        let abort = bed.sandbox.git(&["cherry-pick", "--abort"]).output();
        assert_eq!(abort.code, Some(0), "{what}: {}", abort.stderr);
    }
    let found = State::of(&bed.sandbox);
    assert!(found == bed.before, "{what}: {}", found.differs(&bed.before));
    for file in ["MERGE_MSG", "CHERRY_PICK_HEAD"] {
        assert!(!bed.sandbox.hello(&format!(".git/{file}")).exists(), "{what}: {file}");
    }
    bed.again().failure(12).says("unresolved conflicts in");
    let found = State::of(&bed.sandbox);
    assert!(found == bed.done, "{what}: {}", found.differs(&bed.done));
}

#[test]
fn a_pick_leaves_nothing_or_what_git_takes_back() {
    if !have("strace") {
        return;
    }
    let bed = Bed::from(&CONFLICTS, |run| {
        run.failure(12);
    });
    bed.reset();
    let (_, calls) = traced(&bed, &[]);
    let changes = numbered(&calls, begin(&bed, &calls)).into_iter().filter(|call| call.is_change);
    let faults = changes.flat_map(|call| {
        ["signal=SIGKILL", "error=ENOSPC"]
            .map(|effect| format!("inject={}:{effect}:when={}", call.name, call.number))
    });
    for fault in some(faults.collect(), 0) {
        bed.reset();
        let (output, _) = traced(&bed, std::slice::from_ref(&fault));
        is_killed(&fault, &output);
        assert_ne!(output.code, Some(0), "{fault}");
        let is_open = bed.sandbox.hello(".git/CHERRY_PICK_HEAD").exists();
        let said = output.stderr.contains("git cherry-pick --abort")
            || output.stderr.contains("unresolved conflicts in");
        assert!(output.code.is_none() || !is_open || said, "{fault}: {}", output.stderr);
        can_be_taken_back(&bed, &fault);
    }
}
