//! Options of `token`.

use super::GitlabAccess;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What to do about deploy tokens.
#[derive(Debug, Subcommand)]
pub enum Token {
    /// List the deploy tokens in GitLab, which of them this repository uses, and when each expires.
    List(TokenList),
}

/// Options of `token list`.
#[derive(Debug, Args)]
#[command(
    after_help = "Lists the tokens of the image's project, or of the group that made the token in \
                  use, the next to expire first. Reads only: `makeinfra rotate --finish` deletes."
)]
pub struct TokenList {
    /// The repository, or any directory in it.
    #[arg(default_value = ".")]
    pub repo: PathBuf,
    /// Print the result as one JSON object.
    #[arg(long)]
    pub json: bool,
    /// Never ask; a missing access token is an error.
    #[arg(long)]
    pub no_input: bool,
    /// List the tokens of this group.
    #[arg(long, value_name = "PATH", help_heading = "GitLab")]
    pub gitlab_group: Option<String>,
    /// Who asks GitLab.
    #[command(flatten)]
    pub access: GitlabAccess,
    /// Also trust the certificate authorities in FILE (PEM).
    #[arg(long, value_name = "FILE", help_heading = "GitLab")]
    pub ca_file: Option<PathBuf>,
    /// Use plain http for a GitLab without TLS; always allowed for one on this machine.
    #[arg(long, help_heading = "GitLab")]
    pub plain_http: bool,
}
