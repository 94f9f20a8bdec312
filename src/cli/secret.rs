//! The commands below `secret` and their options.

use super::RunOptions;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// The commands below `secret`.
#[derive(Debug, Subcommand)]
pub enum Secret {
    /// Set one value of an application Secret, encrypted in git; `make deploy` brings it to the
    /// cluster.
    Set(SecretSet),
    /// Remove one key from an application Secret; removing the last key removes the Secret.
    Unset(SecretUnset),
    /// List the Secrets of each environment and their keys, never their values.
    List(SecretList),
}

/// Which environments are meant.
#[derive(Debug, Default, Args)]
pub struct EnvironmentChoice {
    /// The environment; with several, --env or --all-environments is required.
    #[arg(long, value_name = "ENV")]
    pub env: Option<String>,
    /// All environments, each in its own directory of Secrets.
    #[arg(long, conflicts_with = "env")]
    pub all_environments: bool,
}

/// Options of `secret set`.
#[derive(Debug, Args)]
#[command(
    after_help = "Asks for the value, unless --stdin or --from-file is given. No argument takes \
                  it, because arguments show in `ps` and in the shell's history."
)]
pub struct SecretSet {
    /// The Secret's name; its values are in secrets/kubernetes/NAME.env.
    pub name: String,
    /// The key, such as `DATABASE_PASSWORD`; with `envFrom` it is the variable's name.
    pub key: String,
    /// The repository, or any directory in it.
    #[arg(default_value = ".")]
    pub repo: PathBuf,
    /// Which environments are meant.
    #[command(flatten)]
    pub environments: EnvironmentChoice,
    /// Read the value from standard input; a line break at its end is removed.
    #[arg(long, group = "value")]
    pub stdin: bool,
    /// Read the value from a file, unchanged.
    #[arg(long, value_name = "FILE", group = "value")]
    pub from_file: Option<PathBuf>,
    /// Commit the Secret's files and their kustomization, and nothing else.
    #[arg(long)]
    pub commit: bool,
    /// How to run.
    #[command(flatten)]
    pub run: RunOptions,
}

/// Options of `secret unset`.
#[derive(Debug, Args)]
#[command(
    after_help = "Shows the plan and asks for confirmation; --yes and --no-input skip the question."
)]
pub struct SecretUnset {
    /// The Secret's name.
    pub name: String,
    /// The key to remove.
    pub key: String,
    /// The repository, or any directory in it.
    #[arg(default_value = ".")]
    pub repo: PathBuf,
    /// Which environments are meant.
    #[command(flatten)]
    pub environments: EnvironmentChoice,
    /// Commit the Secret's files and their kustomization, and nothing else.
    #[arg(long)]
    pub commit: bool,
    /// Skip the question.
    #[arg(long)]
    pub yes: bool,
    /// How to run.
    #[command(flatten)]
    pub run: RunOptions,
}

/// Options of `secret list`.
#[derive(Debug, Args)]
pub struct SecretList {
    /// The repository, or any directory in it.
    #[arg(default_value = ".")]
    pub repo: PathBuf,
    /// Only this environment.
    #[arg(long, value_name = "ENV")]
    pub env: Option<String>,
    /// Print the result as one JSON object.
    #[arg(long)]
    pub json: bool,
}
