//! The commands below `secret` and their options.

use super::{Late, RunOptions};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// The commands below `secret`.
#[derive(Debug, Subcommand)]
pub enum Secret {
    /// Set a value in an application Secret, encrypted in git; `make deploy` applies it to the
    /// cluster.
    Set(Late<SecretSet>),
    /// Remove a key from an application Secret; removing the last key removes the Secret.
    Unset(Late<SecretUnset>),
    /// List the Secrets of each environment and their keys, never their values.
    List(Late<SecretList>),
}

/// Which environments are meant.
#[derive(Debug, Default, Args)]
pub struct EnvironmentChoice {
    /// Environment; if there are several, --env or --all-environments is required.
    #[arg(long, value_name = "ENV")]
    pub env: Option<String>,
    /// All environments, each in its own Secrets directory.
    #[arg(long, conflicts_with = "env")]
    pub all_environments: bool,
}

/// Options of `secret set`.
#[derive(Debug, Args)]
#[command(
    after_help = "Prompts for the value unless --stdin or --from-file is given. The value cannot \
                  be an argument, because arguments are visible in `ps` and in the shell history."
)]
pub struct SecretSet {
    /// Name of the Secret; its values are in secrets/kubernetes/NAME.env.
    pub name: String,
    /// Key, such as `DATABASE_PASSWORD`; with `envFrom`, the key is the name of the variable.
    pub key: String,
    /// Repository, or any directory in it.
    #[arg(default_value = ".")]
    pub repo: PathBuf,
    /// Which environments are meant.
    #[command(flatten)]
    pub environments: EnvironmentChoice,
    /// Read the value from standard input and remove a line break at its end.
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
    /// Name of the Secret.
    pub name: String,
    /// Key to remove.
    pub key: String,
    /// Repository, or any directory in it.
    #[arg(default_value = ".")]
    pub repo: PathBuf,
    /// Which environments are meant.
    #[command(flatten)]
    pub environments: EnvironmentChoice,
    /// Commit the Secret's files and their kustomization, and nothing else.
    #[arg(long)]
    pub commit: bool,
    /// Skip the confirmation.
    #[arg(long)]
    pub yes: bool,
    /// How to run.
    #[command(flatten)]
    pub run: RunOptions,
}

/// Options of `secret list`.
#[derive(Debug, Args)]
pub struct SecretList {
    /// Repository, or any directory in it.
    #[arg(default_value = ".")]
    pub repo: PathBuf,
    /// List this environment only.
    #[arg(long, value_name = "ENV")]
    pub env: Option<String>,
    /// Print the result as one JSON object.
    #[arg(long)]
    pub json: bool,
}
