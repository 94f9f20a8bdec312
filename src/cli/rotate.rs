//! Options of `rotate`.

use super::{CheckOptions, GitlabOptions, RunOptions, SecretOptions, TokenOptions};
use clap::Args;
use std::path::PathBuf;

/// Options of `rotate`.
#[derive(Debug, Args)]
pub struct Rotate {
    /// The repository, or any directory in it.
    #[arg(default_value = ".")]
    pub repo: PathBuf,
    /// Change only the pull secret of this environment (repeatable) [default: all, if they share the token].
    #[arg(long, value_name = "ENV")]
    pub env: Vec<String>,
    /// Commit the files that change and nothing else.
    #[arg(long)]
    pub commit: bool,
    /// Add an entry for another registry, such as ghcr.io, in every environment; all other entries stay.
    #[arg(long, value_name = "HOST", conflicts_with_all = ["registry", "remove_registry", "from_gitlab"])]
    #[arg(help_heading = "Pull secret")]
    pub add_registry: Option<String>,
    /// Remove the entry of another registry, in every environment; all other entries stay.
    #[arg(long, value_name = "HOST", help_heading = "Pull secret", conflicts_with_all = [
        "registry", "email", "secret_type", "expires_at", "token", "token_username", "ask",
    ])]
    pub remove_registry: Option<String>,
    /// Keep the token and only record when it expires; requires --expires-at.
    #[arg(long, help_heading = "Pull secret", requires = "expires_at", conflicts_with_all = [
        "add_registry", "remove_registry", "email", "secret_type", "token", "token_username", "ask",
    ])]
    pub keep_token: bool,
    /// How to run.
    #[command(flatten)]
    pub run: RunOptions,
    /// What changes beside the token.
    #[command(flatten)]
    pub secret: SecretOptions,
    /// Where the token comes from.
    #[command(flatten)]
    pub token: TokenOptions,
    /// Whether GitLab makes the token.
    #[command(flatten)]
    pub gitlab: GitlabOptions,
    /// Whether the registry is asked.
    #[command(flatten)]
    pub check: CheckOptions,
}
