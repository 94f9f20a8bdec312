//! Beside a git that adds and commits without end: nobody's change is lost, and exit 0 means that it is committed.

use super::{Bed, CASES};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

#[test]
fn a_running_git_loses_nothing_and_takes_nothing() {
    for case in CASES.iter().filter(|case| case.name != "new") {
        let bed = Bed::new(case);
        for round in 0..3 {
            bed.reset();
            let stop = AtomicBool::new(false);
            let git = |args: &[&str]| bed.sandbox.git(args).output();
            let (output, commits) = thread::scope(|scope| {
                let other = scope.spawn(|| {
                    let mut commits = 0;
                    while !stop.load(Ordering::SeqCst) {
                        fs::write(bed.sandbox.hello("notes.txt"), format!("{commits}\n")).unwrap();
                        git(&["add", "notes.txt"]);
                        commits += u32::from(git(&["commit", "-qm", "Note"]).code == Some(0));
                    }
                    commits
                });
                let output = (0..5).map(|_| bed.again().output()).find(|output| output.code == Some(0));
                stop.store(true, Ordering::SeqCst);
                (output, other.join().unwrap())
            });
            let what = format!("{}, round {round}", case.name);
            assert!(output.is_some(), "{what}: it never finishes");
            // git may have been stopped before it had added the file, or had committed it.
            bed.sandbox.git(&["add", "notes.txt"]).success();
            bed.sandbox.git(&["commit", "-qm", "Note", "--", "notes.txt"]).output();
            let subjects = bed.sandbox.git(&["log", "--format=%s"]).success().stdout;
            let notes = subjects.lines().filter(|subject| *subject == "Note").count();
            assert!(notes >= commits as usize, "{what}: {notes} of {commits} commits");
            assert_eq!(bed.sandbox.git(&["status", "--porcelain"]).success().stdout, "", "{what}");
            bed.sandbox.run("rm", &["-f", "hello-infra/notes.txt"]).success();
            let differing = bed.differing();
            assert!(differing.is_empty(), "{what}: {differing:?}");
            bed.sandbox.git(&["fsck", "--strict"]).success();
        }
    }
}
