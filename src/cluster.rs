//! Asks a cluster through kubectl, as the repository's own Makefile would. Only reads; `diagnosis`
//! interprets the answers.
//!
//! `KUBECTL` may be a program with options, quotes and leading variables, since the Makefile passes
//! it to a shell. Here it is split without a shell, so that inspecting a repository runs no other
//! program than the named one; anything that needs a shell or make to interpret is refused.

mod complaint;
mod makefile;

pub use makefile::context_of;

use crate::advice::Advice;
use crate::error::{Failure, Result};
use crate::tool::{Tool, ToolError, ToolOutput};
use complaint::{complaint, kubectl_error, refused};
use makefile::{Operator, assigned, is_harmless, words};
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

/// The time limit for one answer of the API server.
const REQUEST: &str = "--request-timeout=10s";
/// The time limit for kubectl, including a login that a kubeconfig may require.
const PATIENCE: Duration = Duration::from_secs(60);
/// Size limit, above a namespace with some thousand pods.
const LIMIT: usize = 64 << 20;
/// Kinds that explain why pods do not run.
const KINDS: &str = "pods,events,replicasets,deployments,serviceaccounts";
/// Kinds that explain it for Jobs.
const BATCH_KINDS: &str = "jobs,cronjobs";
/// Kinds that run pods, or from which the next pods are created.
const RUNNING_KINDS: &str = "pods,serviceaccounts,replicasets,statefulsets,daemonsets,jobs";

/// What to ask about a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterQuery {
    /// Kinds that explain why pods do not run, and Jobs and `CronJob`s if there are any: not
    /// everyone may read those.
    Problems {
        /// Whether to include Jobs and `CronJob`s.
        batch: bool,
    },
    /// Kinds that run pods, or from which the next pods are created.
    Running,
}

/// A kubectl with its options.
#[derive(Debug)]
pub struct Kubectl {
    words: Vec<String>,
    dir: PathBuf,
    context: Option<String>,
}

/// The answer of a cluster.
pub struct ClusterAnswer {
    /// JSON as printed by `kubectl get`; empty if nothing was found.
    pub json: Zeroizing<Vec<u8>>,
    /// The kinds that this user may not read.
    pub refused: Vec<String>,
}

/// Why a cluster gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KubectlError {
    /// The program does not exist.
    NoKubectl,
    /// The context, cluster or user does not exist.
    NoContext,
    /// The API server could not be reached.
    Unreachable,
    /// Not logged in.
    Login,
    /// This user may not read it.
    Forbidden,
    /// Another error.
    Failed,
}

/// The kind of error, and kubectl's message, which may be any text.
pub type KubectlFailure = (KubectlError, String);

impl Kubectl {
    /// The kubectl in the variable `KUBECTL`, or in the text of a Makefile, to be run in `dir`.
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
            return Err(Failure::failed("did not run `KUBECTL` from the Makefile")
                .because(
                    "it is more than kubectl with a context, cluster, user or namespace, and could \
                     run anything",
                )
                .hint(Advice::at_top("KUBECTL=kubectl makeinfra diagnose"))
                .into());
        }
        Ok(Self { words, dir: dir.to_owned(), context: context.map(str::to_owned) })
    }

    /// The name of the program, for display.
    #[must_use]
    pub fn program(&self) -> &str {
        self.words.iter().find(|word| !word.contains('=')).map_or("kubectl", String::as_str)
    }

    /// The context in use; `None` if kubectl does not tell.
    #[must_use]
    pub fn context(&self) -> Option<String> {
        let output = self
            .run(&["config", "view", "--minify", "--output=jsonpath={.current-context}"])
            .ok()?;
        let name = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Some(name).filter(|name| output.success && !name.is_empty())
    }

    /// The objects of the `wanted` kinds in the namespace.
    pub fn state(
        &self,
        namespace: &str,
        wanted: ClusterQuery,
    ) -> std::result::Result<ClusterAnswer, KubectlFailure> {
        let kinds = match wanted {
            ClusterQuery::Problems { batch: true } => &format!("{KINDS},{BATCH_KINDS}"),
            ClusterQuery::Problems { batch: false } => KINDS,
            ClusterQuery::Running => RUNNING_KINDS,
        };
        self.get(&[kinds], namespace)
    }

    /// The Secrets with these names, as far as they exist.
    pub fn secrets(
        &self,
        names: &[String],
        namespace: &str,
    ) -> std::result::Result<ClusterAnswer, KubectlFailure> {
        let names = names.iter().map(String::as_str);
        self.get(
            &["secret", "--ignore-not-found"].into_iter().chain(names).collect::<Vec<_>>(),
            namespace,
        )
    }

    /// All Secrets in `namespace`, or in all namespaces.
    pub fn all_secrets(
        &self,
        namespace: Option<&str>,
    ) -> std::result::Result<ClusterAnswer, KubectlFailure> {
        match namespace {
            Some(namespace) => self.get(&["secrets"], namespace),
            None => self.get(&["secrets", "--all-namespaces"], "default"),
        }
    }

    fn get(
        &self,
        what: &[&str],
        namespace: &str,
    ) -> std::result::Result<ClusterAnswer, KubectlFailure> {
        let namespace = format!("--namespace={namespace}");
        let output = self.run(&[&[namespace.as_str(), "get", "--output=json"], what].concat())?;
        let refused = refused(&output.stderr);
        // Some kinds may be forbidden although others were returned.
        let blank = output.stdout.iter().all(u8::is_ascii_whitespace);
        let has_answer = output.stdout.first() == Some(&b'{');
        match output.success
            || (has_answer && !refused.is_empty() && !refused.iter().any(|kind| kind == "pods"))
        {
            true if blank => Ok(ClusterAnswer { json: Zeroizing::default(), refused }),
            true => Ok(ClusterAnswer { json: output.stdout, refused }),
            false => Err((kubectl_error(&output.stderr), complaint(&output.stderr))),
        }
    }

    fn run(&self, arguments: &[&str]) -> std::result::Result<ToolOutput, KubectlFailure> {
        // The program `env` interprets variables before a command like a shell.
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
                ToolError::NotStarted(error) => (KubectlError::NoKubectl, error.to_string()),
                ToolError::TooLong => {
                    (KubectlError::Unreachable, format!("no answer in {} s", PATIENCE.as_secs()))
                }
                ToolError::TooMuch => {
                    (KubectlError::Failed, format!("the answer is larger than {} MiB", LIMIT >> 20))
                }
                ToolError::Unread(error) => (KubectlError::Failed, error.to_string()),
            })
            .and_then(|output| {
                if variables && !output.success && output.stderr.starts_with("env: ") {
                    Err((KubectlError::NoKubectl, complaint(&output.stderr)))
                } else {
                    Ok(output)
                }
            })
    }
}
