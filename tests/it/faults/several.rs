//! Commands over several repositories: whatever stops them, each repository is as before or done,
//! repeating the command finishes, and exit 0 means that all are done.

use super::super::several::{with_three, with_three_older};
use super::super::support::{Output, Run, Sandbox, assert_no_token, files_below, have, mode};
use super::calls::{begin_at, faults, numbered, traced_run};
use super::{is_temporary, lines_without, some, words};
use std::collections::BTreeMap;
use std::fs;

/// The repositories.
const NAMES: [&str; 2] = ["a", "b"];

struct Bed {
    sandbox: Sandbox,
    args: Vec<String>,
    before: [State; 2],
    done: [State; 2],
}

/// The state of a repository after a run.
#[derive(Debug, Default, PartialEq, Eq)]
struct State {
    files: BTreeMap<String, (u32, Vec<u8>)>,
    head: String,
    status: String,
}

impl State {
    fn of(sandbox: &Sandbox, name: &str) -> Self {
        let git = |args: &[&str]| sandbox.run("git", args).cwd(sandbox.work(name)).success().stdout;
        let dir = sandbox.work(name);
        let files = files_below(&dir).into_iter().filter(|path| !is_temporary(path));
        let file = |path: String| {
            let at = dir.join(&path);
            let found = (mode(&at), fs::read(&at).unwrap());
            (path, found)
        };
        Self {
            files: files.map(file).collect(),
            head: git(&["rev-parse", "HEAD"]),
            status: lines_without(
                &git(&["status", "--porcelain", "--untracked-files=all"]),
                is_temporary,
            ),
        }
    }

    fn both(sandbox: &Sandbox) -> [Self; 2] {
        NAMES.map(|name| Self::of(sandbox, name))
    }
}

impl Bed {
    fn new(sandbox: Sandbox, args: &[&str]) -> Self {
        sandbox.run("rm", &["-rf", "c", "hello-infra"]).success();
        sandbox.run("cp", &["-a", ".", "../work-pristine"]).success();
        let before = State::both(&sandbox);
        let bed = Self { sandbox, args: words(args), before, done: Default::default() };
        bed.again().success();
        let done = State::both(&bed.sandbox);
        assert!(bed.before.iter().zip(&done).all(|(before, done)| before.head != done.head));
        Self { done, ..bed }
    }

    fn again(&self) -> Run {
        let args: Vec<_> = self.args.iter().map(String::as_str).collect();
        self.sandbox.makeinfra(&args).without_env("MAKEINFRA_TEST_ADVICE")
    }

    fn reset(&self) {
        let script = "find . -mindepth 1 -delete; cp -a ../work-pristine/. .";
        self.sandbox.run("sh", &["-c", script]).success();
    }

    /// Returns how many are done. Fails if one is in an intermediate state that was not reported.
    #[track_caller]
    fn judge(&self, what: &str, output: &Output) {
        assert_no_token(output.stdout.as_bytes(), "stdout");
        assert_no_token(output.stderr.as_bytes(), "stderr");
        let said = format!("{what}: exit {:?}\n{}{}", output.code, output.stdout, output.stderr);
        assert!(!said.contains("panicked"), "{said}");
        for (at, (name, found)) in NAMES.iter().zip(State::both(&self.sandbox)).enumerate() {
            let is_done = found == self.done[at];
            let line = output.stdout.lines().find(|line| line.contains(&format!(" {name}: ")));
            match line.map(|line| line.split_whitespace().next().unwrap()) {
                Some("ok") => assert!(is_done, "{name}, {said}"),
                // A failed run reports what has changed nevertheless.
                Some(_) => assert!(
                    found == self.before[at]
                        || line.unwrap().contains("committed as")
                        || line.unwrap().contains("could not be restored")
                            && found.head == self.before[at].head,
                    "{name}, {said}"
                ),
                None if output.code == Some(0) => panic!("{name} is not told of, {said}"),
                // A kill may leave uncommitted files, but never another HEAD.
                None => assert!(is_done || found.head == self.before[at].head, "{name}, {said}"),
            }
            assert!(output.code != Some(0) || is_done, "{name}, {said}");
        }
        let again = self.again().output();
        assert_eq!(again.code, Some(0), "{what}, again: {}{}", again.stdout, again.stderr);
        for (at, found) in State::both(&self.sandbox).into_iter().enumerate() {
            assert!(found == self.done[at], "{what}, again: {} {}", NAMES[at], found.status);
        }
    }
}

fn sweep(sandbox: Sandbox, args: &[&str]) {
    if !have("strace") {
        return;
    }
    let bed = Bed::new(sandbox, args);
    let log = bed.sandbox.path("trace");
    bed.reset();
    let (output, calls) = traced_run(bed.again(), &log, &[]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    // Calls that only read are tested with a single repository.
    let changes = numbered(&calls, begin_at(&bed.sandbox.path(""), &calls))
        .into_iter()
        .filter(|call| call.is_change);
    let all = faults(&changes.collect::<Vec<_>>());
    eprintln!("{}: {} faults", args[0], all.len());
    for fault in some(all, args[0].len()) {
        bed.reset();
        let (output, _) = traced_run(bed.again(), &log, std::slice::from_ref(&fault));
        // Calls are counted by thread, so one of them may occur less often.
        if output.code.is_some() && fault.contains("SIGKILL") {
            continue;
        }
        bed.judge(&fault, &output);
    }
}

#[test]
fn rotate_over_several() {
    let sandbox = with_three();
    let token = sandbox.write_private("token2", "gldt-Second").display().to_string();
    let args = [
        "rotate",
        "a",
        "b",
        "--token-username",
        "two",
        "--token-file",
        &token,
        "--expires-at",
        "never",
        "--commit",
    ];
    sweep(sandbox, &args);
}

#[test]
fn update_over_several() {
    sweep(with_three_older(), &["update", "a", "b", "--yes", "--commit"]);
}
