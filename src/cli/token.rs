//! Options of `token`.

use super::{GitlabAccess, Late};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What to do about deploy tokens.
#[derive(Debug, Subcommand)]
pub enum Token {
    /// List deploy tokens in GitLab, with their expiry and which of them this repository uses.
    List(Late<TokenList>),
}

/// Options of `token list`.
#[derive(Debug, Args)]
#[command(
    after_help = "Lists the tokens of the image's project, or of the group that the token in use \
                  belongs to. The next token to expire comes first. Changes nothing; `makeinfra \
                  rotate --finish` deletes old tokens."
)]
pub struct TokenList {
    /// Repository, or any directory in it.
    #[arg(default_value = ".")]
    pub repo: PathBuf,
    /// Print the result as one JSON object.
    #[arg(long)]
    pub json: bool,
    /// Never prompt; a missing access token is an error.
    #[arg(long)]
    pub no_input: bool,
    /// List the tokens of this group instead.
    #[arg(long, value_name = "PATH", help_heading = "GitLab")]
    pub gitlab_group: Option<String>,
    /// Who asks GitLab.
    #[command(flatten)]
    pub access: GitlabAccess,
    /// Also trust the certificate authorities in FILE (PEM).
    #[arg(long, value_name = "FILE", help_heading = "GitLab")]
    pub ca_file: Option<PathBuf>,
    /// Use plain HTTP for a GitLab without TLS; always allowed for a GitLab on this machine.
    #[arg(long, help_heading = "GitLab")]
    pub plain_http: bool,
}
