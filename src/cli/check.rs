//! The options of the commands that look for what is wrong.

use super::{HistoryOptions, JobsOption, OnlineOptions, Repositories, RunningOptions, ViewOptions};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Options of `check`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 no problems, 1 problems found, 2 invalid options, 3 undetermined \
                  (a registry or the cluster did not answer). Changes nothing. Contacts registries \
                  only with --online or --running, and the cluster only with --running."
)]
pub struct Check {
    /// Which repositories.
    #[command(flatten)]
    pub repositories: Repositories,
    /// Directory with manifests (repeatable) [default: kubernetes].
    #[arg(long, value_name = "DIR")]
    pub manifests: Vec<PathBuf>,
    /// File with a pull secret (repeatable) [default: all under secrets/ and among the manifests].
    #[arg(long, value_name = "FILE")]
    pub secret: Vec<PathBuf>,
    /// Image that is public, or prefix of public images such as docker.io/library (repeatable).
    #[arg(long, value_name = "NAME")]
    pub public: Vec<String>,
    /// How far back it reads.
    #[command(flatten)]
    pub history: HistoryOptions,
    /// What is listed, and what counts.
    #[command(flatten)]
    pub view: ViewOptions,
    /// Print the result as one JSON object.
    #[arg(long)]
    pub json: bool,
    /// Print the findings as a GitLab code quality report or as JUnit XML.
    #[arg(long, value_enum, conflicts_with_all = ["json", "verbose", "failed_to"])]
    pub format: Option<Format>,
    /// How much is asked at the same time.
    #[command(flatten)]
    pub jobs: JobsOption,
    /// Whether a cluster is asked.
    #[command(flatten)]
    pub cluster: RunningOptions,
    /// Whether registries are asked.
    #[command(flatten)]
    pub online: OnlineOptions,
}

/// A format that other programs read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// GitLab code quality report, shown in merge requests.
    Gitlab,
    /// JUnit XML, with one test per check.
    Junit,
}

/// Options of `diagnose`.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 nothing wrong, 1 cause found, 2 invalid options, 3 \
                        undetermined. Changes nothing. The kubectl command comes from the variable \
                        KUBECTL, or else from the repository's Makefile.")]
pub struct Diagnose {
    /// Repository, or any directory in it [default: .].
    pub repo: Option<PathBuf>,
    /// Environment [default: the first].
    #[arg(long, value_name = "ENV")]
    pub env: Option<String>,
    /// Read the output of `kubectl get pods,events -o json` from FILE instead of asking a cluster
    /// (`-` for standard input).
    #[arg(long, value_name = "FILE", conflicts_with = "context")]
    pub events: Option<PathBuf>,
    /// kubectl context [default: the environment's, or else the current context].
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Namespace [default: that of the manifests].
    #[arg(long, value_name = "NS")]
    pub namespace: Option<String>,
    /// Print the result as one JSON object.
    #[arg(long)]
    pub json: bool,
    /// Whether registries are asked.
    #[command(flatten)]
    pub online: OnlineOptions,
}
