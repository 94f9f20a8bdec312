//! Next to a git that adds and commits all the time: no change is lost, and exit 0 means committed.

use super::super::support::{Run, Sandbox, have};
use super::{Bed, CASES};
use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

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
                let output =
                    (0..5).map(|_| bed.again().output()).find(|output| output.code == Some(0));
                stop.store(true, Ordering::SeqCst);
                (output, other.join().unwrap())
            });
            let what = format!("{}, round {round}", case.name);
            assert!(output.is_some(), "{what}: it never finishes");
            // git may have been stopped before it added or committed the file.
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

#[test]
fn what_is_edited_while_a_plan_is_written_is_neither_lost_nor_reverted() {
    if !have("strace") {
        return;
    }
    let file = "kubernetes/base/kustomization.yaml";
    for is_committed in [false, true] {
        let sandbox = Sandbox::with_hello();
        let inner = sandbox
            .makeinfra(&["add", "worker", "--port", "none", "--commit", "--yes"])
            .cwd(sandbox.hello(""))
            .command();
        let mut command = Command::new("strace");
        command.args([
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            "inject=fsync:delay_enter=2000000:when=2",
        ]);
        command
            .arg(inner.get_program())
            .args(inner.get_args())
            .current_dir(sandbox.hello(""))
            .env_clear();
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = thread::scope(|scope| {
            let run = scope.spawn(|| Run::of(command).output());
            // Once the files are prepared beside their targets.
            while !sandbox
                .git(&["status", "--porcelain", "--ignored"])
                .success()
                .stdout
                .contains(".makeinfra-")
            {
                thread::sleep(Duration::from_millis(5));
                assert!(!run.is_finished());
            }
            sandbox.append(file, "# ours\n");
            if is_committed {
                sandbox.git(&["commit", "-qm", "Ours", file]).success();
            }
            run.join().unwrap()
        });
        assert_eq!(output.code, Some(1), "{}", output.stderr);
        output.says("changed during the run; nothing was written");
        assert!(fs::read_to_string(sandbox.hello(file)).unwrap().ends_with("# ours\n"));
        assert!(!sandbox.hello("kubernetes/base/worker-deployment.yaml").exists());
        let head = sandbox.git(&["show", &format!("HEAD:{file}")]).success().stdout;
        assert_eq!(head.ends_with("# ours\n"), is_committed);
    }
}
