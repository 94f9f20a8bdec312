//! Asks a cluster through kubectl, as the repository's own Makefile would. Reads only; what it was
//! told and what it means for pods is `diagnosis`' business.
//!
//! `KUBECTL` may be a program with options and quotes around them, and variables before it, as the
//! Makefile's shell takes it. It is split here without a shell, so that a repository that is only
//! looked at runs no more than the program that it names; what only a shell or make could
//! understand is refused.

use crate::advice::Advice;
use crate::error::{Failure, Result};
use crate::tool::{Said, Tool, Trouble};
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

/// How long the API server may take for one answer.
const REQUEST: &str = "--request-timeout=10s";
/// How long kubectl may take, with the login that a kubeconfig may want.
const PATIENCE: Duration = Duration::from_secs(60);
/// More than a namespace of some thousand pods.
const LIMIT: usize = 64 << 20;
/// What tells why pods do not run.
const KINDS: &str = "pods,events,replicasets,deployments,serviceaccounts";
/// What tells it of pods that end.
const BATCH_KINDS: &str = "jobs,cronjobs";
/// What runs, and what the next pods are made from.
const RUNNING_KINDS: &str = "pods,serviceaccounts,replicasets,statefulsets,daemonsets,jobs";

/// What of a namespace is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// What tells why pods do not run, with Jobs and `CronJob`s, which not everybody may read, if
    /// there are any.
    Trouble {
        /// Whether Jobs and `CronJob`s are wanted.
        batch: bool,
    },
    /// What runs, and what the next pods are made from.
    Running,
}

/// A kubectl with its options.
#[derive(Debug)]
pub struct Kubectl {
    words: Vec<String>,
    dir: PathBuf,
    context: Option<String>,
}

/// What a cluster answered.
pub struct Answer {
    /// JSON, as `kubectl get` prints it; empty where there is nothing.
    pub json: Zeroizing<Vec<u8>>,
    /// The kinds that this user may not read.
    pub refused: Vec<String>,
}

/// Why a cluster gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KubectlError {
    /// There is no such program.
    NoKubectl,
    /// No such context, cluster or user.
    NoContext,
    /// The API server was not reached.
    Unreachable,
    /// Nobody is logged in.
    Login,
    /// This user may not read it.
    Forbidden,
    /// Something else.
    Failed,
}

/// A silence, and what kubectl said; that may be anything.
pub type KubectlFailure = (KubectlError, String);

impl Kubectl {
    /// The kubectl of the variable `KUBECTL` or of a Makefile's text, run in `dir`.
    pub fn new(
        variable: Option<&str>,
        makefile: Option<&str>,
        dir: &Path,
        context: Option<&str>,
    ) -> Result<Self> {
        let written = makefile.and_then(|makefile| assigned(makefile, "KUBECTL"));
        let (command, trusted) = match (variable, written) {
            (_, Some((value, Operator::Always))) | (None, Some((value, Operator::IfUnset))) => {
                (value, false)
            }
            (variable, _) => (variable.unwrap_or_default(), true),
        };
        let command = if command.is_empty() { "kubectl" } else { command };
        let words = words(command)?;
        if !trusted && !is_harmless(&words) {
            return Err(Failure::failed("did not run the `KUBECTL` of the Makefile")
                .because(
                    "it is more than kubectl with a context, a cluster, a user or a \
                          namespace, and may run anything",
                )
                .hint(Advice::at_top("KUBECTL=kubectl makeinfra diagnose"))
                .into());
        }
        Ok(Self { words, dir: dir.to_owned(), context: context.map(str::to_owned) })
    }

    /// The name of the program, for people.
    #[must_use]
    pub fn program(&self) -> &str {
        self.words.iter().find(|word| !word.contains('=')).map_or("kubectl", String::as_str)
    }

    /// The context that is asked; none if kubectl does not tell.
    #[must_use]
    pub fn context(&self) -> Option<String> {
        let said = self
            .run(&["config", "view", "--minify", "--output=jsonpath={.current-context}"])
            .ok()?;
        let name = String::from_utf8_lossy(&said.stdout).trim().to_owned();
        Some(name).filter(|name| said.success && !name.is_empty())
    }

    /// What the namespace has of what is wanted.
    pub fn state(
        &self,
        namespace: &str,
        wanted: Wanted,
    ) -> std::result::Result<Answer, KubectlFailure> {
        let kinds = match wanted {
            Wanted::Trouble { batch: true } => &format!("{KINDS},{BATCH_KINDS}"),
            Wanted::Trouble { batch: false } => KINDS,
            Wanted::Running => RUNNING_KINDS,
        };
        self.get(&[kinds], namespace)
    }

    /// The Secrets of these names, as far as they are there.
    pub fn secrets(
        &self,
        names: &[String],
        namespace: &str,
    ) -> std::result::Result<Answer, KubectlFailure> {
        let names = names.iter().map(String::as_str);
        self.get(
            &["secret", "--ignore-not-found"].into_iter().chain(names).collect::<Vec<_>>(),
            namespace,
        )
    }

    /// All Secrets of `namespace`, or of all namespaces.
    pub fn all_secrets(
        &self,
        namespace: Option<&str>,
    ) -> std::result::Result<Answer, KubectlFailure> {
        match namespace {
            Some(namespace) => self.get(&["secrets"], namespace),
            None => self.get(&["secrets", "--all-namespaces"], "default"),
        }
    }

    fn get(&self, what: &[&str], namespace: &str) -> std::result::Result<Answer, KubectlFailure> {
        let namespace = format!("--namespace={namespace}");
        let said = self.run(&[&[namespace.as_str(), "get", "--output=json"], what].concat())?;
        let refused = refused(&said.stderr);
        // Some kinds may be forbidden and the others told.
        let blank = said.stdout.iter().all(u8::is_ascii_whitespace);
        let has_answer = said.stdout.first() == Some(&b'{');
        match said.success
            || (has_answer && !refused.is_empty() && !refused.iter().any(|kind| kind == "pods"))
        {
            true if blank => Ok(Answer { json: Zeroizing::default(), refused }),
            true => Ok(Answer { json: said.stdout, refused }),
            false => Err((kubectl_error(&said.stderr), complaint(&said.stderr))),
        }
    }

    fn run(&self, arguments: &[&str]) -> std::result::Result<Said, KubectlFailure> {
        // The program `env` reads the variables that stand before a command, as a shell does.
        let variables = self.words.first().is_some_and(|word| word.contains('='));
        let words: Vec<_> =
            variables.then(|| "env".to_owned()).into_iter().chain(self.words.clone()).collect();
        let context = self.context.as_ref().map(|context| format!("--context={context}"));
        let options = context.into_iter().chain([REQUEST.to_owned()]);
        let given = words[1..]
            .iter()
            .cloned()
            .chain(options)
            .chain(arguments.iter().map(|word| (*word).to_owned()));
        let arguments: Vec<_> = given.collect();
        let tool = Tool {
            program: &words[0],
            arguments: &arguments,
            dir: &self.dir,
            limit: LIMIT,
            patience: PATIENCE,
        };
        tool.run()
            .map_err(|trouble| match trouble {
                Trouble::NotStarted(error) => (KubectlError::NoKubectl, error.to_string()),
                Trouble::TooLong => {
                    (KubectlError::Unreachable, format!("no answer in {} s", PATIENCE.as_secs()))
                }
                Trouble::TooMuch => {
                    (KubectlError::Failed, format!("its answer has more than {} MiB", LIMIT >> 20))
                }
                Trouble::Unread(error) => (KubectlError::Failed, error.to_string()),
            })
            .and_then(|said| match variables && !said.success && said.stderr.starts_with("env: ") {
                true => Err((KubectlError::NoKubectl, complaint(&said.stderr))),
                false => Ok(said),
            })
    }
}

/// Whether a Makefile's assignment lets the variable of the environment win.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    IfUnset,
    Always,
}

/// The context that a generated Makefile has for an environment, or for the only one.
#[must_use]
pub fn context_of(makefile: &str) -> Option<String> {
    let (value, _) = assigned(makefile, "CONTEXT")?;
    (!value.is_empty() && !value.contains('$')).then(|| value.to_owned())
}

/// The last value that a Makefile gives to the variable `name`.
fn assigned<'m>(makefile: &'m str, name: &str) -> Option<(&'m str, Operator)> {
    let value = |line: &'_ str| -> Option<(usize, Operator)> {
        let rest = line
            .strip_prefix("export ")
            .unwrap_or(line)
            .trim_start()
            .strip_prefix(name)?
            .trim_start();
        let operators = [
            ("?=", Operator::IfUnset),
            (":::=", Operator::Always),
            ("::=", Operator::Always),
            (":=", Operator::Always),
            ("=", Operator::Always),
        ];
        let (value, operator) = operators
            .iter()
            .find_map(|(sign, operator)| Some((rest.strip_prefix(sign)?, *operator)))?;
        Some((line.len() - value.len(), operator))
    };
    let mut found = makefile
        .lines()
        .filter_map(|line| value(line).map(|(at, operator)| (&line[at..], operator)));
    found
        .next_back()
        .map(|(value, operator)| (value.split(" #").next().unwrap_or(value).trim(), operator))
}

/// Whether a stranger's Makefile may have it run: a client of Kubernetes, found on PATH, with
/// options that choose among what the user's own kubeconfig has. Another kubeconfig could name any
/// program to sign in with.
fn is_harmless(words: &[String]) -> bool {
    let mut left = words.iter().map(String::as_str);
    match left.next() {
        Some("kubectl" | "oc") => {}
        Some("k3s" | "microk8s" | "minikube") if left.next() == Some("kubectl") => {}
        _ => return false,
    }
    let options = [
        "--as",
        "--as-group",
        "--context",
        "--cluster",
        "--user",
        "--namespace",
        "-n",
        "--request-timeout",
    ];
    while let Some(word) = left.next() {
        let named = word.split_once('=').map_or(word, |(name, _)| name);
        if word == "--" {
            continue;
        }
        if !options.contains(&named) || (named == word && left.next().is_none()) {
            return false;
        }
    }
    true
}

fn words(command: &str) -> Result<Vec<String>> {
    let needs_a_shell = |c: char| "$`;|&<>()*?\n\\".contains(c);
    let words = shlex::split(command).unwrap_or_default();
    let is_program = words.iter().any(|word| !word.contains('='));
    if !is_program
        || command.contains(needs_a_shell)
        || words.iter().any(|word| word.starts_with('~'))
    {
        return Err(Failure::failed("cannot read `KUBECTL`, the kubectl of this repository")
            .because("it is not a program with options, which is all that makeinfra runs")
            .hint(Advice::at_top("KUBECTL=\"kubectl --context NAME\" makeinfra diagnose"))
            .into());
    }
    Ok(words)
}

/// What kubectl says of an error, without its log.
fn complaint(stderr: &str) -> String {
    let is_log = |line: &&str| {
        let (level, rest) = line.split_at_checked(1).unwrap_or_default();
        "EIWF".contains(level)
            && rest.len() > 4
            && rest.as_bytes()[..4].iter().all(u8::is_ascii_digit)
    };
    let said: Vec<_> =
        stderr.lines().filter(|line| !line.trim().is_empty() && !is_log(line)).take(3).collect();
    match said.is_empty() {
        true => stderr.lines().next_back().unwrap_or_default().to_owned(),
        false => said.join("; "),
    }
}

/// What kubectl means by what it prints, as far as its words are known: the first row that has any
/// of them.
const WORDS: [(KubectlError, &[&str]); 4] = [
    (KubectlError::Forbidden, &["(Forbidden)"]),
    (
        KubectlError::Login,
        &[
            "(Unauthorized)",
            "must be logged in",
            "provide credentials",
            "getting credentials",
            "exec plugin",
        ],
    ),
    (
        KubectlError::NoContext,
        &[
            "context was not found",
            "does not exist",
            "no context exists",
            "cluster has no server defined",
        ],
    ),
    (
        KubectlError::Unreachable,
        &[
            "was refused",
            "Unable to connect",
            "no such host",
            "i/o timeout",
            "deadline exceeded",
            "Client.Timeout",
            "timed out",
            "x509",
            "TLS handshake",
            "no route to host",
            "network is unreachable",
            "ServiceUnavailable",
        ],
    ),
];

fn kubectl_error(stderr: &str) -> KubectlError {
    let said = WORDS.iter().find(|(_, words)| words.iter().any(|word| stderr.contains(word)));
    said.map_or(KubectlError::Failed, |(error, _)| *error)
}

/// The kinds that are forbidden:
/// `pods is forbidden: User "x" cannot list resource "pods" in API group ""…`.
fn refused(stderr: &str) -> Vec<String> {
    let lines = stderr.lines().filter(|line| line.contains("(Forbidden)"));
    let kinds =
        lines.filter_map(|line| line.split("cannot list resource \"").nth(1)?.split('"').next());
    kinds
        .filter(|kind| [KINDS, BATCH_KINDS, RUNNING_KINDS].iter().any(|all| all.contains(kind)))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kubectl(variable: Option<&str>, makefile: &str) -> Option<Vec<String>> {
        Kubectl::new(variable, Some(makefile), Path::new("/"), None)
            .ok()
            .map(|kubectl| kubectl.words)
    }

    #[test]
    fn the_variable_and_the_makefile_decide_as_make_does() {
        for (variable, makefile, command) in [
            (None, "", "kubectl"),
            (None, "KUBECTL         ?= kubectl\n", "kubectl"),
            (
                None,
                "KUBECTL ?= kubectl --context a # ours\nall:\n\t$(KUBECTL) get\n",
                "kubectl|--context|a",
            ),
            (Some("k --context 'a b'"), "KUBECTL ?= kubectl", "k|--context|a b"),
            (Some("k"), "export KUBECTL := oc", "oc"),
            (None, "KUBECTL =", "kubectl"),
            (None, "KUBECTL_OPTIONS = x\nkubectl = y", "kubectl"),
            (Some("KUBECONFIG=/a/b \"my kubectl\""), "", "KUBECONFIG=/a/b|my kubectl"),
        ] {
            let expected: Vec<_> = command.split('|').map(str::to_owned).collect();
            assert_eq!(kubectl(variable, makefile), Some(expected), "{variable:?} {makefile}");
        }
    }

    #[test]
    fn the_context_stands_in_the_settings_of_an_environment_or_in_the_makefile() {
        assert_eq!(context_of("NAMESPACE := live\nCONTEXT   := eu/live\n"), Some("eu/live".into()));
        assert_eq!(context_of("CONTEXT   :=\n"), None);
        assert_eq!(context_of("CONTEXT := $(CLUSTER)\n"), None);
    }

    #[test]
    fn what_needs_a_shell_or_make_is_refused() {
        for command in [
            "$(HOME)/kubectl",
            "kubectl | tee x",
            "kubectl; rm x",
            "`x`",
            "~/kubectl",
            "A=b",
            "'",
            "a\\ b",
        ] {
            assert_eq!(kubectl(Some(command), ""), None, "{command}");
        }
    }

    #[test]
    fn each_refusal_of_kubectl_is_known() {
        // Seen with kubectl 1.36, some with older ones.
        for (said, silence_) in [
            (
                "The connection to the server 127.0.0.1:1 was refused - did you specify the right \
                 host or port?",
                KubectlError::Unreachable,
            ),
            (
                "Unable to connect to the server: dial tcp: lookup nosuch.invalid on 10.0.0.53:53: \
                 no such host",
                KubectlError::Unreachable,
            ),
            (
                "Error in configuration: context was not found for specified context: nope",
                KubectlError::NoContext,
            ),
            ("error: context \"nope\" does not exist", KubectlError::NoContext),
            ("error: auth info \"none\" does not exist", KubectlError::NoContext),
            ("error: You must be logged in to the server (Unauthorized)", KubectlError::Login),
            (
                "Error from server (Forbidden): pods is forbidden: User \"a\" cannot list resource \
                 \"pods\" in API group \"\"",
                KubectlError::Forbidden,
            ),
            ("error: unknown flag: --frobnicate", KubectlError::Failed),
        ] {
            assert_eq!(kubectl_error(said), silence_, "{said}");
        }
    }

    #[test]
    fn the_log_is_left_out_of_a_complaint_unless_there_is_nothing_else() {
        let log = "E1125 04:37:24.582167   10549 memcache.go:265] \"Unhandled Error\" err=\"x\"";
        assert_eq!(
            complaint(&format!("{log}\n{log}\nThe connection was refused")),
            "The connection was refused"
        );
        assert_eq!(complaint(log), log);
        assert_eq!(complaint(""), "");
    }
}
