//! Whatever stops `makeinfra update`, and whenever: the files are the old ones or the new ones, or a cherry-pick is open that
//! git can take back, and the same command can be given again.

use super::env_add::repeated;
use super::older::Edit;
use super::support::{Output, Run, Sandbox, files_below, have, mode};
use makeinfra::templates::TemplateSet;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const DEPLOYMENT: &str = "kubernetes/base/deployment.yaml";

/// A repository in which a command runs again and again, each time from the same state.
pub struct Bed {
    pub sandbox: Sandbox,
    pub before: State,
    args: &'static [&'static str],
    pub done: State,
    /// How long an undisturbed run takes.
    whole: Duration,
}

/// What a run leaves behind.
#[derive(PartialEq, Eq)]
pub struct State {
    pub files: BTreeMap<String, (u32, Vec<u8>)>,
    pub head: String,
    pub status: String,
}

impl Bed {
    /// `sandbox`, in which makeinfra runs with `args`.
    pub fn new(sandbox: Sandbox, args: &'static [&'static str]) -> Self {
        sandbox.run("cp", &["-a", "hello-infra", "pristine"]).success();
        let before = State::of(&sandbox);
        let begin = Instant::now();
        let output = sandbox.here(args).output();
        let whole = begin.elapsed();
        assert!(output.code == Some(0) || args.contains(&"--conflicts"), "{}", output.stderr);
        let done = State::of(&sandbox);
        assert!(before != done);
        Self { sandbox, before, args, done, whole }
    }

    /// As it was before any run.
    fn reset(&self) {
        fs::remove_dir_all(self.sandbox.hello("")).unwrap();
        self.sandbox.run("cp", &["-a", "pristine", "hello-infra"]).success();
    }

    fn again(&self) -> Run {
        self.sandbox.here(self.args)
    }

    /// Expects that the same command finishes, and that nothing tells of the run before.
    #[track_caller]
    pub fn finishes(&self, what: &str) {
        self.unlock();
        self.again().success();
        let found = State::of(&self.sandbox);
        found.is(&self.done, what);
        assert!(!self.sandbox.hello("hooks").exists(), "{what}: an empty directory is left");
        self.sandbox.git(&["fsck", "--strict"]).success();
    }

    /// git's own locks do not end with a process; people remove them, as git says.
    fn unlock(&self) {
        for file in files_below(&self.sandbox.hello(".git")) {
            if Path::new(&file).extension().is_some_and(|end| end == "lock") {
                fs::remove_file(self.sandbox.hello(".git").join(file)).unwrap();
            }
        }
    }

    /// Expects that nothing has changed, or that a cherry-pick is open that git takes back.
    #[track_caller]
    fn can_be_taken_back(&self, what: &str) -> bool {
        self.unlock();
        let is_open = self.sandbox.hello(".git/CHERRY_PICK_HEAD").exists();
        if is_open {
            let abort = self.sandbox.git(&["cherry-pick", "--abort"]).output();
            assert_eq!(abort.code, Some(0), "{what}: {}", abort.stderr);
        }
        State::of(&self.sandbox).is(&self.before, what);
        for file in ["MERGE_MSG", "CHERRY_PICK_HEAD"] {
            assert!(!self.sandbox.hello(&format!(".git/{file}")).exists(), "{what}: {file}");
        }
        self.again().failure(1).says("unresolved conflicts in");
        State::of(&self.sandbox).is(&self.done, what);
        is_open
    }
}

impl State {
    pub fn of(sandbox: &Sandbox) -> Self {
        let file = |path: String| {
            let at = sandbox.hello(&path);
            let found = (mode(&at), fs::read(&at).unwrap());
            (path, found)
        };
        Self {
            files: files_below(&sandbox.hello("")).into_iter().map(file).collect(),
            head: sandbox.git(&["rev-parse", "HEAD"]).success().stdout,
            status: sandbox.git(&["status", "--porcelain"]).success().stdout,
        }
    }

    #[track_caller]
    pub fn is(&self, other: &Self, what: &str) {
        let differs = |path: &&String| self.files.get(*path) != other.files.get(*path);
        let differing: Vec<_> = self.files.keys().chain(other.files.keys()).filter(differs).collect();
        assert!(differing.is_empty(), "{what}: {differing:?}");
        assert_eq!((&self.head, &self.status), (&other.head, &other.status), "{what}");
    }
}

/// An older repository with an edit of each kind: what is merged, a file that moves and was edited, one that is new, one that
/// goes, and one whose mode changes.
fn edited() -> Sandbox {
    let own = TemplateSet::embedded();
    let hook = own.files().find(|(path, _)| *path == "dot_githooks/executable_pre-commit").unwrap().1;
    let script = own.files().find(|(path, _)| *path == "scripts/deploy.sh").unwrap().1;
    let edits: [Edit; 9] = [
        (
            "kubernetes/base/COMPONENT/WORKLOAD.yaml.tera",
            "revisionHistoryLimit: 5",
            "revisionHistoryLimit: 9",
        ),
        ("Makefile.tera", "# Deploys {{ project }} to Kubernetes.", "# Brings {{ project }} to Kubernetes."),
        ("kubernetes/base/kustomization.yaml.tera", "resources:\n", "resources:\n  - old.yaml\n"),
        ("kubernetes/base/old.yaml", "", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: old\n"),
        ("README.md.tera", "Deploying requires", "To deploy you need"),
        ("dot_gitignore", "", ""),
        ("dot_githooks/executable_pre-commit", "", ""),
        ("hooks/executable_pre-commit", "", hook),
        ("scripts/deploy.sh", "", ""),
    ];
    let sandbox =
        Sandbox::older(&[&edits[..], &[("scripts/executable_deploy.sh", "", script)]].concat(), &[]);
    sandbox.append("README.md", "\n## Ours\n\nAsk Ada.\n");
    sandbox.append("hooks/pre-commit", "# ours\n");
    sandbox.edit(DEPLOYMENT, "memory: 256Mi", "memory: 512Mi");
    sandbox.commit_all();
    sandbox
}

/// The same, with lines that both sides changed.
fn conflicting() -> Sandbox {
    let sandbox = edited();
    sandbox.edit("README.md", "To deploy you need", "You cannot deploy without");
    sandbox.edit(DEPLOYMENT, "revisionHistoryLimit: 9", "revisionHistoryLimit: 3");
    sandbox.commit_all();
    sandbox
}

/// Kills a run after each of many delays, and looks at what is left with `check`.
pub fn killed(bed: &Bed, rounds: u32, check: impl Fn(&Bed, &str)) {
    for round in 0..rounds {
        bed.reset();
        let mut child = bed.again().command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        if round % 2 == 0 {
            sleep(bed.whole * round / rounds);
        } else {
            // The stretch that counts begins with the first thing that is written.
            let begin = Instant::now();
            let is_writing = || {
                bed.sandbox.hello(".git/CHERRY_PICK_HEAD").exists()
                    || fs::read_dir(bed.sandbox.hello(""))
                        .unwrap()
                        .flatten()
                        .any(|entry| entry.file_name().to_string_lossy().contains(".makeinfra-"))
            };
            while !is_writing() && begin.elapsed() < bed.whole * 2 && child.try_wait().unwrap().is_none() {}
            sleep(Duration::from_micros(u64::from(round) * 300));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        check(bed, &format!("{:?}, round {round}", bed.args));
    }
}

#[test]
fn what_a_killed_run_has_left_undone_is_done_by_the_next_one() {
    repeated(&edited, &["update"]);
}

#[test]
fn a_kill_at_any_time_can_be_repeated() {
    for args in [&["update", "--yes"][..], &["update", "--yes", "--commit"]] {
        let bed = Bed::new(edited(), args);
        assert_eq!(bed.done.status.is_empty(), args.len() == 3, "{}", bed.done.status);
        killed(&bed, 8, Bed::finishes);
    }
}

#[test]
fn a_kill_of_a_pick_leaves_nothing_or_what_git_takes_back() {
    let bed = Bed::new(conflicting(), &["update", "--conflicts"]);
    killed(&bed, 8, |bed, what| {
        bed.can_be_taken_back(what);
    });
}

/// The system calls that change something, each at a few of its occurrences.
const CALLS: [&str; 9] =
    ["write", "rename", "renameat", "renameat2", "openat", "linkat", "link", "unlink", "mkdir"];

/// What happens at a system call.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    Kill,
    Full,
}

/// Runs the command under strace, once for each of some occurrences of each system call, at which `fault` happens.
pub fn traced(bed: &Bed, fault: Fault, most: usize, check: impl Fn(&Bed, &str, &Output)) {
    let log = bed.sandbox.path("trace");
    let strace = |run: Run, more: &[&str]| -> Output {
        let inner = run.command();
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "--seccomp-bpf", "-o"]).arg(&log).args(more);
        command.arg(inner.get_program()).args(inner.get_args());
        command.current_dir(inner.get_current_dir().unwrap()).env_clear();
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Run::of(command).output()
    };
    bed.reset();
    let filter = format!("trace={}", CALLS.join(","));
    strace(bed.again(), &["-e", &filter]);
    let calls = fs::read_to_string(&log).unwrap();
    let calls: Vec<_> = calls.lines().filter_map(|line| Some(line.split_once(' ')?.1.trim_start())).collect();
    // What comes before is the loader's, and reads.
    let first = calls.iter().position(|call| call.contains("O_CREAT") || call.starts_with("mkdir(")).unwrap();
    for call in CALLS {
        let is_one = |found: &&&str| found.split('(').next() == Some(call);
        let skipped = calls[..first].iter().filter(is_one).count();
        let all: Vec<_> = calls.iter().filter(is_one).collect();
        // What is said to the user changes nothing.
        let is_said =
            |number: &usize| ["write(1,", "write(2,"].iter().any(|said| all[number - 1].starts_with(said));
        let step = (all.len() - skipped).div_ceil(most).max(1);
        for number in (skipped + 1..=all.len()).step_by(step).filter(|number| !is_said(number)) {
            bed.reset();
            let effect = match fault {
                Fault::Kill => "signal=SIGKILL",
                Fault::Full => "error=ENOSPC",
            };
            let inject = format!("inject={call}:{effect}:when={number}");
            let output = strace(bed.again(), &["-e", &format!("trace={call}"), "-e", &inject]);
            check(bed, &format!("{:?}, {inject}", bed.args), &output);
        }
    }
}

#[test]
fn a_kill_at_a_system_call_can_be_repeated() {
    if !have("strace") {
        return;
    }
    let bed = Bed::new(edited(), &["update", "--yes", "--commit"]);
    traced(&bed, Fault::Kill, 3, |bed, what, _| bed.finishes(what));
    let bed = Bed::new(conflicting(), &["update", "--conflicts"]);
    traced(&bed, Fault::Kill, 3, |bed, what, _| {
        bed.can_be_taken_back(what);
    });
}

#[test]
fn a_full_disk_leaves_the_old_files_or_the_new_ones() {
    if !have("strace") {
        return;
    }
    let bed = Bed::new(edited(), &["update", "--yes", "--commit"]);
    traced(&bed, Fault::Full, 3, |bed, what, output| {
        let found = State::of(&bed.sandbox);
        // What is written and cannot be committed stays, and the error says so.
        let is_written = output.stderr.contains("is written, and not committed");
        let expected = if is_written || output.code == Some(0) || found.head == bed.done.head {
            &bed.done
        } else {
            &bed.before
        };
        // Nobody can delete a sibling where deletion fails: the next run does.
        let found_files: Vec<_> =
            found.files.iter().filter(|(path, _)| !path.contains(".makeinfra-")).collect();
        assert!(found_files == expected.files.iter().collect::<Vec<_>>(), "{what}: {}", output.stderr);
        assert!(output.code != Some(0) || found.head == bed.done.head, "{what}");
        bed.finishes(what);
    });
    let bed = Bed::new(conflicting(), &["update", "--conflicts"]);
    traced(&bed, Fault::Full, 3, |bed, what, output| {
        assert_ne!(output.code, Some(0), "{what}");
        let is_open = bed.sandbox.hello(".git/CHERRY_PICK_HEAD").exists();
        let said = output.stderr.contains("git cherry-pick --abort")
            || output.stderr.contains("unresolved conflicts in");
        assert!(!is_open || said, "{what}: {}", output.stderr);
        bed.can_be_taken_back(what);
    });
}
