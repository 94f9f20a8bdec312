//! Options of `rotate`.

use super::{
    CheckOptions, GitlabOptions, JobsOption, Repositories, RunOptions, SecretOptions, TokenOptions,
};
use clap::Args;

/// Options of `rotate`.
#[derive(Debug, Args)]
pub struct Rotate {
    /// Which repositories.
    #[command(flatten)]
    pub repositories: Repositories,
    /// Change only this environment's pull secret (repeatable) [default: all environments, if they
    /// share the token].
    #[arg(long, value_name = "ENV")]
    pub env: Vec<String>,
    /// Commit the changed files and nothing else.
    #[arg(long)]
    pub commit: bool,
    /// Add an entry for another registry, such as ghcr.io, in every environment; keep all other
    /// entries.
    #[arg(long, value_name = "HOST")]
    #[arg(conflicts_with_all = ["registry", "remove_registry", "from_gitlab"])]
    #[arg(help_heading = "Pull secret")]
    pub add_registry: Option<String>,
    /// Remove the entry for another registry in every environment; keep all other entries.
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
    /// Whether others decide about it.
    #[command(flatten)]
    pub propose: ProposeOptions,
    /// Finish what was begun.
    #[command(flatten)]
    pub finish: FinishOptions,
    /// How much is asked at the same time.
    #[command(flatten)]
    pub jobs: JobsOption,
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

/// The end of a rotation.
#[derive(Debug, Args)]
#[command(next_help_heading = "Finish")]
pub struct FinishOptions {
    /// Verify that every environment has the new token, then delete the old tokens in GitLab.
    #[arg(long, group = "asks", conflicts_with_all = [
        "from_gitlab", "add_registry", "remove_registry", "keep_token", "registry", "email",
        "secret_type", "expires_at", "token", "token_username", "ask",
    ])]
    pub finish: bool,
    /// Vouch that the cluster of ENV has the new token, if makeinfra cannot ask the cluster
    /// (repeatable).
    #[arg(long, value_name = "ENV", requires = "finish")]
    pub deployed: Vec<String>,
    /// kubectl context to ask, for all environments or as ENV=NAME for one [default: the
    /// environment's].
    #[arg(long, value_name = "NAME", requires = "finish")]
    pub context: Vec<String>,
    /// Skip the confirmation for tokens that were created by hand or belong to a group.
    #[arg(long, requires = "finish")]
    pub yes: bool,
}

/// A new token that others decide about.
#[derive(Debug, Args)]
#[command(next_help_heading = "Merge request")]
pub struct ProposeOptions {
    /// For a scheduled pipeline: if a token expires soon, commit a new one, push it to the branch
    /// makeinfra/rotate-token and open a merge request to BRANCH.
    #[arg(long, value_name = "BRANCH", requires = "from_gitlab")]
    #[arg(conflicts_with_all = ["finish", "registry"])]
    pub propose: Option<String>,
    /// Time before expiry at which --propose replaces a token: 30d, 6w, 48h [default: 30d].
    #[arg(long, value_name = "TIME", requires = "propose", allow_hyphen_values = true)]
    pub due_in: Option<String>,
    /// Remote or URL to push to; with --gitlab-token-env, the push uses that access token, too
    /// [default: origin].
    #[arg(long, value_name = "URL", requires = "propose")]
    pub push_to: Option<String>,
}

impl Rotate {
    /// Whether what is written is committed.
    #[must_use]
    pub fn commits(&self) -> bool {
        self.commit || self.propose.propose.is_some()
    }
}
