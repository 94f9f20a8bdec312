//! A generated repository, and a fake `kubectl` that records its calls and gives answers observed
//! from an API server.

use super::support::{Run, Sandbox, assert_no_token};
use std::fs;

/// The beginning of the fake programs, which records arguments and environment. One write per call,
/// because both ends of a pipe record theirs at the same time.
const RECORD: &str = "call=$(printf '%s\\037' \"$@\")\nprintf '%s\\n' \"$call\" >>\"${0%/*}/calls\"\n\
                      env >>\"${0%/*}/environment\"\n";

/// The answers of a cluster without problems.
const FINE: &str = r#"
*"config view"*) printf test-context ;;
*"get namespace"*) echo namespace/hello ;;
*"annotate --local"*) printf '%s\n' secret/gitlab service/hello deployment.apps/hello ;;
*"--dry-run=server"*) echo "deployment.apps/hello serverside-applied (server dry run)" ;;
*"apply "*) echo "deployment.apps/hello serverside-applied" ;;
*"rollout status"*) echo 'deployment "hello" successfully rolled out' ;;
*"rollout restart"* | *"rollout undo"*) echo "deployment.apps/hello done" ;;
*) ;;
"#;

/// A repository `hello-infra` and its cluster.
pub struct StandIn {
    pub sandbox: Sandbox,
}

impl StandIn {
    pub fn new() -> Self {
        let stand_in = Self { sandbox: Sandbox::with_hello() };
        stand_in.answers(&[]);
        stand_in
    }

    /// Gives these answers precedence over those of [`FINE`]: arms of a shell `case`, as built by
    /// [`fails`] and [`prints`]. Forgets the calls so far.
    pub fn answers(&self, arms: &[String]) {
        let script = format!("#!/bin/sh\n{RECORD}case \"$*\" in\n{}{FINE}esac\n", arms.concat());
        self.sandbox.write_program("kubectl", &script);
        for record in ["bin/calls", "bin/environment"] {
            self.sandbox.write(record, "");
        }
    }

    pub fn make(&self, args: &[&str]) -> Run {
        self.sandbox.make(args).env("PATH", self.sandbox.own_path())
    }

    /// The arguments of every call so far.
    pub fn calls(&self) -> Vec<Vec<String>> {
        let text = fs::read_to_string(self.sandbox.path("bin/calls")).unwrap();
        let words = |line: &str| line.split_terminator('\u{1f}').map(str::to_owned).collect();
        text.lines().map(words).collect()
    }

    /// The calls in short form: without options, except for applied files and dry runs.
    pub fn steps(&self) -> Vec<String> {
        let short = |call: &Vec<String>| {
            let kept = |word: &&String| {
                let options = ["--filename=", "--kustomize=", "--dry-run="];
                !word.starts_with("--") || options.iter().any(|option| word.starts_with(option))
            };
            let words: Vec<_> =
                call.iter().filter(kept).map(|word| word.rsplit('=').next().unwrap()).collect();
            words.join(" ")
        };
        self.calls().iter().map(short).collect()
    }

    /// The steps that read or change the cluster.
    pub fn reaching(&self) -> Vec<String> {
        let local = |step: &String| step == "config view" || step.starts_with("annotate ");
        self.steps().into_iter().filter(|step| !local(step)).collect()
    }

    /// Expects no call that reads or changes anything in the cluster.
    #[track_caller]
    pub fn was_left_alone(&self) {
        assert_eq!(self.reaching(), Vec::<String>::new());
    }

    /// Expects the token in no argument and no environment of a call.
    #[track_caller]
    pub fn saw_no_token(&self) {
        for record in ["bin/calls", "bin/environment"] {
            assert_no_token(&fs::read(self.sandbox.path(record)).unwrap(), record);
        }
    }
}

/// Calls with `words` (`*` matches anything) fail with exit code 1 and `text`.
pub fn fails(words: &str, text: &str) -> String {
    arm(words, text, ">&2; exit 1")
}

/// Calls with `words` print `text`.
pub fn prints(words: &str, text: &str) -> String {
    arm(words, text, "")
}

/// Calls with `words` print `text` and exit with 1, like `kubectl diff` with differences.
pub fn differs(words: &str, text: &str) -> String {
    arm(words, text, "; exit 1")
}

/// One arm of the `case`; `then` follows the command that prints.
pub fn arm(words: &str, text: &str, then: &str) -> String {
    let pattern: Vec<_> = words.split('*').map(quoted).collect();
    format!("*{}*) printf '%s\\n' {} {then} ;;\n", pattern.join("*"), quoted(text))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
