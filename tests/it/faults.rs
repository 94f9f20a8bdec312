//! Whatever stops a command, at any time: exit 0 means that HEAD, index and files are new; any
//! other exit means that they are as before, or that the output says what has changed, and the
//! command can be repeated.
//!
//! One table of commands, and one judgement for all faults. `make faults` tries all of them, `make
//! test` a part.

mod beside;
pub mod calls;
pub mod disk;
mod locks;
mod pick;
mod power;
mod several;

use super::env_add::{repeated, repeated_with};
use super::older::Edit;
use super::secret_set::set_key;
use super::support::{
    IMAGE, Output, Run, Sandbox, TOKEN, USER, assert_no_token, files_below, mode,
};
use makeinfra::templates::TemplateSet;
use std::collections::BTreeMap;
use std::{env, fs};

/// A command that writes, and the repository for it.
pub struct Case {
    pub name: &'static str,
    prepare: fn() -> Sandbox,
    args: fn(&Sandbox) -> Vec<String>,
    /// The message if everything is done and committed already; empty if that is not an error.
    is_done_already: &'static str,
    /// Whether it creates a key, which makes the result different each time.
    has_new_key: bool,
}

/// All commands that commit.
const CASES: [Case; 11] = [
    Case {
        name: "new",
        prepare: Sandbox::new,
        args: |sandbox| {
            let token = sandbox.path("token").display().to_string();
            words(&[
                "new",
                "hello",
                "--image",
                IMAGE,
                "--token-username",
                USER,
                "--token-file",
                &token,
            ])
        },
        is_done_already: "it already exists and is not empty",
        has_new_key: true,
    },
    Case {
        name: "add",
        prepare: Sandbox::with_hello,
        args: |_| {
            words(&["add", "worker", "--port", "none", "--image", IMAGE, "--yes", "--commit"])
        },
        is_done_already: "component `worker` already exists",
        has_new_key: false,
    },
    Case {
        name: "remove",
        prepare: || {
            let sandbox = Sandbox::with_hello();
            sandbox
                .agreed(&["add", "worker", "--port", "none", "--image", IMAGE, "--commit"])
                .success();
            sandbox
        },
        args: |_| words(&["remove", "worker", "--yes", "--commit"]),
        is_done_already: "component `worker` does not exist",
        has_new_key: false,
    },
    Case {
        name: "env add",
        prepare: Sandbox::with_hello,
        args: |_| words(&["env", "add", "staging", "--yes", "--commit"]),
        is_done_already: "environment `staging` already exists",
        has_new_key: false,
    },
    Case {
        name: "env remove",
        prepare: || {
            let sandbox = Sandbox::with_hello();
            sandbox.agreed(&["env", "add", "staging", "--commit"]).success();
            sandbox
        },
        args: |_| words(&["env", "remove", "staging", "--yes", "--commit"]),
        is_done_already: "environment `staging` does not exist",
        has_new_key: false,
    },
    Case {
        name: "rotate",
        prepare: Sandbox::with_hello,
        args: |sandbox| {
            let token = sandbox.write_private("token2", "gldt-Second").display().to_string();
            words(&["rotate", "--token-username", "two", "--token-file", &token, "--commit"])
        },
        is_done_already: "",
        has_new_key: false,
    },
    Case {
        name: "secret set",
        prepare: || {
            let sandbox = Sandbox::with_hello();
            set_key(&sandbox, "A", "one", &["--commit"]);
            sandbox
        },
        args: |sandbox| {
            let value = sandbox.write_private("value", "two\nlines").display().to_string();
            words(&["secret", "set", "db", "A", "--from-file", &value, "--commit"])
        },
        is_done_already: "",
        has_new_key: false,
    },
    Case {
        name: "secret unset",
        prepare: || {
            let sandbox = Sandbox::with_hello();
            set_key(&sandbox, "A", "two\nlines", &["--commit"]);
            sandbox
        },
        args: |_| words(&["secret", "unset", "db", "A", "--yes", "--commit"]),
        is_done_already: "has no key A",
        has_new_key: false,
    },
    Case {
        name: "update",
        prepare: edited,
        args: |_| words(&["update", "--yes", "--commit"]),
        is_done_already: "",
        has_new_key: false,
    },
    Case {
        name: "adopt",
        prepare: Sandbox::of_the_post,
        args: |_| words(&["adopt", "--yes", "--commit"]),
        is_done_already: "",
        has_new_key: false,
    },
    Case {
        name: "adopt, without git-crypt",
        prepare: Sandbox::of_kustomize,
        args: |_| words(&["adopt", "--yes", "--commit"]),
        is_done_already: "",
        has_new_key: true,
    },
];

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

pub fn case(name: &str) -> &'static Case {
    CASES.iter().find(|case| case.name == name).unwrap()
}

/// All items if `make faults` asks for it, otherwise every `MAKEINFRA_FAULTS_STEP`th (default 150),
/// beginning with `first`: every tenth takes half an hour.
pub fn some<T>(all: Vec<T>, first: usize) -> impl Iterator<Item = T> {
    let chosen = env::var("MAKEINFRA_FAULTS_STEP").ok().and_then(|step| step.parse().ok());
    let step = if env::var_os("MAKEINFRA_FAULTS").is_some() { 1 } else { chosen.unwrap_or(150) };
    let first = if all.is_empty() { 0 } else { (first % step) % all.len() };
    all.into_iter().skip(first).step_by(step)
}

/// A repository in which a command runs repeatedly, each time from the same state.
pub struct Bed {
    pub case: &'static Case,
    pub sandbox: Sandbox,
    args: Vec<String>,
    before: State,
    done: State,
}

/// The state after a run.
#[derive(PartialEq, Eq)]
pub struct State {
    files: BTreeMap<String, (u32, Vec<u8>)>,
    head: String,
    /// The subject of the last commit.
    subject: String,
    status: String,
    /// Git's configuration of git-crypt, and whether there is a key.
    setup: (Vec<u8>, bool),
}

/// The kind of state that a repository is in.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    Before,
    Done,
    /// Neither, with the differences from both.
    Between(String),
}

impl Bed {
    pub fn new(case: &'static Case) -> Self {
        let bed = Self::from(case, |run| drop(run.success()));
        assert!(bed.done.status.is_empty(), "{}: {}", case.name, bed.done.status);
        bed
    }

    /// Like [`Bed::new`], for a command that `run` runs.
    fn from(case: &'static Case, run: impl FnOnce(Run)) -> Self {
        let sandbox = (case.prepare)();
        let args = (case.args)(&sandbox);
        sandbox.run("cp", &["-a", ".", "../work-pristine"]).success();
        let before = State::of(&sandbox);
        let bed = Self { case, sandbox, args, before, done: State::default() };
        run(bed.again());
        let done = State::of(&bed.sandbox);
        assert!(bed.before != done, "{}", case.name);
        Self { done, ..bed }
    }

    /// Restores the state before any run.
    pub fn reset(&self) {
        for entry in fs::read_dir(self.sandbox.work("")).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                fs::remove_dir_all(path).unwrap();
            } else {
                fs::remove_file(path).unwrap();
            }
        }
        let from = self.sandbox.path("work-pristine").display().to_string();
        self.sandbox.run("cp", &["-a", &format!("{from}/."), "."]).success();
    }

    /// The command.
    pub fn again(&self) -> Run {
        self.again_with(&[])
    }

    /// The command with `more` arguments.
    pub fn again_with(&self, more: &[&str]) -> Run {
        let args: Vec<_> =
            self.args.iter().map(String::as_str).chain(more.iter().copied()).collect();
        let run = self.sandbox.makeinfra(&args);
        // Recording hints must not be affected by faults.
        let run = run.without_env("MAKEINFRA_TEST_ADVICE");
        if self.is_new() { run } else { run.cwd(self.sandbox.hello("")) }
    }

    fn is_new(&self) -> bool {
        self.case.name == "new"
    }

    pub fn found(&self) -> Found {
        let found = State::of(&self.sandbox);
        let same = |one: &State| {
            if self.case.has_new_key { found.is_like(one) } else { found == *one }
        };
        match (same(&self.before), same(&self.done)) {
            (true, _) => Found::Before,
            (_, true) => Found::Done,
            _ => Found::Between(format!(
                "{}\n{}",
                found.differs(&self.before),
                found.differs(&self.done)
            )),
        }
    }

    /// The files that are not as they should be when everything is done.
    pub fn differing(&self) -> Vec<String> {
        let found = State::of(&self.sandbox).files;
        let is_other = |path: &&String| found.get(*path) != self.done.files.get(*path);
        found.keys().chain(self.done.files.keys()).filter(is_other).cloned().collect()
    }

    /// Judges output and state of a run that was disturbed by `what`, and repeats the command until
    /// it finishes.
    #[track_caller]
    pub fn judge(&self, what: &str, output: &Output) {
        let what = format!("{}, {what}", self.case.name);
        assert_no_token(output.stdout.as_bytes(), "stdout");
        assert_no_token(output.stderr.as_bytes(), "stderr");
        assert!(!output.stderr.contains("panicked"), "{what}: {}", output.stderr);
        let found = self.found();
        let said = format!("{what}: exit {:?}, {}", output.code, output.stderr);
        match (output.code, &found) {
            (Some(0), found) => assert_eq!(*found, Found::Done, "{said}"),
            // A killed process prints nothing.
            (_, Found::Before) | (None, Found::Done) => {}
            (Some(_), Found::Done) => assert!(output.stderr.contains("is committed as"), "{said}"),
            (None, Found::Between(how)) => {
                let head = State::of(&self.sandbox).head;
                assert_eq!(head, self.before.head, "{said}: HEAD has moved, and {how}");
                self.lists_only_what_is_there(&said);
            }
            (Some(_), Found::Between(how)) => {
                assert!(output.stderr.contains("could not be restored"), "{said}: {how}");
                self.moves_back(output);
            }
        }
        // If no file can be deleted any more, `.gitattributes` stays without its key, and users
        // must delete it.
        let cannot_delete = what.contains("inject=unlink:error") && what.ends_with('+');
        if !(self.case.has_new_key && cannot_delete && output.code != Some(0)) {
            self.finishes(&what, found == Found::Done);
        }
    }

    /// Types the `mv` of a hint, if there is one: only the user can restore the named files.
    #[track_caller]
    fn moves_back(&self, output: &Output) {
        let mut hints = output.stderr.lines().filter_map(|line| line.strip_prefix("hint: "));
        if let Some(hint) = hints.find(|hint| hint.starts_with("mv ")) {
            self.sandbox.run("sh", &["-c", hint]).cwd(self.sandbox.hello("")).success();
        }
    }

    /// Expects that no kustomization refers to a missing file.
    #[track_caller]
    fn lists_only_what_is_there(&self, what: &str) {
        let files = State::of(&self.sandbox).files;
        for (path, (_, bytes)) in
            files.iter().filter(|(path, _)| path.ends_with("kustomization.yaml"))
        {
            let found: serde_yaml::Value = serde_yaml::from_slice(bytes).unwrap();
            let generators = found["secretGenerator"].as_sequence().cloned().unwrap_or_default();
            let lists = generators
                .iter()
                .flat_map(|one| [&one["envs"], &one["files"]])
                .chain([&found["resources"]]);
            for name in lists.filter_map(serde_yaml::Value::as_sequence).flatten() {
                let name = name.as_str().unwrap().rsplit('=').next().unwrap();
                let file = self.sandbox.hello(path).parent().unwrap().join(name);
                assert!(file.exists(), "{what}: {path} names {name}");
            }
        }
    }

    /// Expects that repeating the command finishes.
    #[track_caller]
    pub fn finishes(&self, what: &str, is_done: bool) {
        let output = self.again().output();
        let is_told = is_done
            && !self.case.is_done_already.is_empty()
            && output.stderr.contains(self.case.is_done_already);
        assert!(
            output.code == Some(0) || is_told,
            "{what}, again: {:?} {}",
            output.code,
            output.stderr
        );
        assert_eq!(self.found(), Found::Done, "{what}, again: {}", output.stderr);
        let left = self.sandbox.hello(".git");
        let left: Vec<_> = files_below(&left.join("refs"))
            .into_iter()
            .chain(top(&left))
            .filter(|name| is_temporary(name) && !name.contains(".makeinfra-old-"))
            .collect();
        assert!(left.is_empty(), "{what}, again: {left:?}");
        let sound = self.sandbox.git(&["fsck", "--strict", "--no-dangling"]).output();
        assert_eq!(
            (sound.code, sound.stderr.contains("error")),
            (Some(0), false),
            "{what}, again: {}",
            sound.stderr
        );
    }
}

impl Default for State {
    fn default() -> Self {
        let (head, subject, status) = (String::new(), String::new(), String::new());
        Self { files: BTreeMap::new(), head, subject, status, setup: (Vec::new(), false) }
    }
}

impl State {
    pub fn of(sandbox: &Sandbox) -> Self {
        if !sandbox.hello("").exists() {
            return Self::default();
        }
        let file = |path: String| {
            let at = sandbox.hello(&path);
            let found = (mode(&at), fs::read(&at).unwrap());
            (path, found)
        };
        let files = files_below(&sandbox.hello("")).into_iter();
        Self {
            files: files.filter(|path| !is_temporary(path)).map(file).collect(),
            head: sandbox.git(&["rev-parse", "HEAD"]).success().stdout,
            subject: sandbox.git(&["log", "-1", "--format=%s"]).success().stdout,
            // A file that cannot be deleted stays until the next run.
            status: lines_without(
                &sandbox.git(&["status", "--porcelain", "--untracked-files=all"]).success().stdout,
                is_temporary,
            ),
            setup: (
                fs::read(sandbox.hello(".git/config")).unwrap(),
                sandbox.hello(".git/git-crypt/keys/default").exists(),
            ),
        }
    }

    /// Whether it is the same state with another key, ignoring commit ids.
    fn is_like(&self, other: &Self) -> bool {
        self.files == other.files
            && [&self.subject, &self.status] == [&other.subject, &other.status]
            && self.setup == other.setup
    }

    fn differs(&self, other: &Self) -> String {
        let is_other = |path: &&String| self.files.get(*path) != other.files.get(*path);
        let mut paths: Vec<_> =
            self.files.keys().chain(other.files.keys()).filter(is_other).collect();
        paths.dedup();
        format!("{paths:?}, HEAD {}, status {:?}", self.head == other.head, self.status)
    }
}

/// Whether it is a leftover of a killed run, which the next one deletes.
fn is_temporary(path: &str) -> bool {
    path.contains(".makeinfra-") || path.rsplit('.').next() == Some("lock")
}

fn lines_without(text: &str, is_left_out: fn(&str) -> bool) -> String {
    text.split_inclusive('\n').filter(|line| !is_left_out(line.trim_end())).collect()
}

/// The names in a directory.
fn top(dir: &std::path::Path) -> Vec<String> {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// An older repository with edits of every kind: one to be merged, one in a file that moves, a new
/// file, a removed one, and one whose mode changes.
pub fn edited() -> Sandbox {
    let own = TemplateSet::embedded();
    let hook =
        own.files().find(|(path, _)| *path == "dot_githooks/executable_pre-commit").unwrap().1;
    let script = own.files().find(|(path, _)| *path == "scripts/deploy.sh").unwrap().1;
    let edits: [Edit; 9] = [
        (
            "kubernetes/base/COMPONENT/WORKLOAD.yaml.tera",
            "revisionHistoryLimit: 5",
            "revisionHistoryLimit: 9",
        ),
        (
            "Makefile.tera",
            "# Deploys {{ project }} to Kubernetes.",
            "# Brings {{ project }} to Kubernetes.",
        ),
        ("kubernetes/base/kustomization.yaml.tera", "resources:\n", "resources:\n  - old.yaml\n"),
        (
            "kubernetes/base/old.yaml",
            "",
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: old\n",
        ),
        ("README.md.tera", "Deploying requires", "To deploy you need"),
        ("dot_gitignore", "", ""),
        ("dot_githooks/executable_pre-commit", "", ""),
        ("hooks/executable_pre-commit", "", hook),
        ("scripts/deploy.sh", "", ""),
    ];
    let sandbox = Sandbox::older(
        &[&edits[..], &[("scripts/executable_deploy.sh", "", script)]].concat(),
        &[],
    );
    sandbox.append("README.md", "\n## Ours\n\nAsk Ada.\n");
    sandbox.append("hooks/pre-commit", "# ours\n");
    sandbox.edit("kubernetes/base/deployment.yaml", "memory: 256Mi", "memory: 512Mi");
    sandbox.commit_all();
    sandbox
}

#[test]
fn what_a_killed_run_has_left_undone_is_done_by_the_next_one() {
    repeated(&edited, &["update"]);
    repeated(&Sandbox::of_the_post, &["adopt"]);
}

#[test]
fn an_adoption_that_was_killed_can_be_given_again_without_a_commit() {
    repeated_with(&Sandbox::of_kustomize, &["adopt"], &[]);
}

#[test]
fn the_marker_is_the_token_of_the_cases() {
    assert_eq!(fs::read_to_string(Sandbox::new().path("token")).unwrap(), TOKEN);
}
