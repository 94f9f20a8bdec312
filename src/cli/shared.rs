//! Options that several commands have.

use clap::{ArgGroup, Args};
use std::path::PathBuf;

/// Whether registries are asked, and what.
#[derive(Debug, Args)]
#[command(next_help_heading = "Registry", group = asks())]
pub struct OnlineOptions {
    /// Also sign in to the registries and request the images, as the kubelet would.
    #[arg(long, id = "ask", group = "asks")]
    pub online: bool,
    /// With --online or --running, check that the images are built for this platform, such as
    /// linux/arm64.
    #[arg(long, value_name = "OS/ARCH", requires = "asks")]
    pub platform: Option<String>,
    /// How registries are spoken to.
    #[command(flatten)]
    pub registry: RegistryOptions,
}

/// The options of which one is enough for those that say how registries are asked.
fn asks() -> ArgGroup {
    ArgGroup::new("asks").multiple(true)
}

/// Whether the cluster is asked what runs, and which one.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub struct RunningOptions {
    /// Also ask the cluster which images are running, and the registries whether the next pull of
    /// each would work.
    #[arg(long, group = "asks")]
    pub running: bool,
    /// With --running, ask about this environment only [default: all].
    #[arg(long, value_name = "ENV", requires = "running")]
    pub env: Option<String>,
    /// With --running, the kubectl context [default: the environment's, or else the current
    /// context].
    #[arg(long, value_name = "NAME", requires = "running")]
    pub context: Option<String>,
    /// With --running, the namespace [default: the environment's].
    #[arg(long, value_name = "NS", requires = "running")]
    pub namespace: Option<String>,
}

/// What the pull secret holds, for both commands.
#[derive(Debug, Args)]
#[command(next_help_heading = "Pull secret")]
pub struct SecretOptions {
    /// Registry key in the pull secret [default: the image's host; with rotate: unchanged].
    #[arg(long, value_name = "KEY")]
    pub registry: Option<String>,
    /// Type of the pull secret: dockercfg or dockerconfigjson [default: dockercfg; with rotate:
    /// unchanged].
    #[arg(long, value_name = "TYPE", hide_possible_values = true)]
    #[arg(value_parser = ["dockercfg", "dockerconfigjson"])]
    pub secret_type: Option<String>,
    /// Email address in the pull secret, ignored by registries [default: none; with rotate:
    /// unchanged].
    #[arg(long, value_name = "ADDR")]
    pub email: Option<String>,
    /// Expiry date of the token (YYYY-MM-DD or RFC 3339), stored in the encrypted Secret.
    #[arg(long, value_name = "DATE", help_heading = "Deploy token")]
    pub expires_at: Vec<String>,
}

/// Whether the registry is asked before anything is written.
#[derive(Debug, Args)]
#[command(next_help_heading = "Registry", group = asks())]
pub struct CheckOptions {
    /// Sign in to the registry first; write nothing if the registry refuses the token.
    #[arg(long, id = "ask", group = "asks")]
    pub check: bool,
    /// How registries are spoken to.
    #[command(flatten)]
    pub registry: RegistryOptions,
}

/// How registries are spoken to.
#[derive(Debug, Args)]
#[command(next_help_heading = "Registry")]
pub struct RegistryOptions {
    /// Also trust the certificate authorities in FILE (PEM).
    #[arg(long, value_name = "FILE", requires = "asks")]
    pub ca_file: Option<PathBuf>,
    /// Use plain HTTP for a registry without TLS; always allowed for registries on this machine.
    #[arg(long, requires = "asks")]
    pub plain_http: bool,
}

/// How a command runs.
#[derive(Debug, Args)]
pub struct RunOptions {
    /// Never prompt; a missing answer is an error.
    #[arg(long)]
    pub no_input: bool,
    /// Show what would be done without doing it.
    #[arg(long)]
    pub dry_run: bool,
    /// Print the result as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// What a check lists, and what counts.
#[derive(Debug, Args)]
pub struct ViewOptions {
    /// Also list checks that passed.
    #[arg(long, short)]
    pub verbose: bool,
    /// Treat warnings as problems.
    #[arg(long)]
    pub strict: bool,
}

/// Whether a plan is confirmed without a question.
#[derive(Debug, Args)]
pub struct ConfirmationOptions {
    /// Skip the confirmation of the plan; still prompt for missing answers.
    #[arg(long)]
    pub yes: bool,
}

/// How a command that changes a repository shows its plan, and whether it asks.
#[derive(Debug, Args)]
pub struct PlanOptions {
    /// Skip the confirmation.
    #[arg(long)]
    pub yes: bool,
    /// Also show the changes as a diff; for files under secrets/, only paths and keys.
    #[arg(long)]
    pub diff: bool,
    /// Commit the changed files and nothing else.
    #[arg(long)]
    pub commit: bool,
    /// How to run.
    #[command(flatten)]
    pub run: RunOptions,
}

/// A deploy token that GitLab makes.
#[derive(Debug, Args)]
#[command(next_help_heading = "GitLab")]
pub struct GitlabOptions {
    /// Have GitLab create a deploy token in the image's project, and try it at the registry.
    #[arg(long, groups = ["token", "asks"])]
    pub from_gitlab: bool,
    /// Lifetime of the token from GitLab: 90d, 12w, 48h; use --expires-at for a date or time
    /// instead.
    #[arg(long, value_name = "TIME", requires = "from_gitlab", conflicts_with = "expires_at")]
    #[arg(allow_hyphen_values = true)]
    pub expires_in: Option<String>,
    /// Group that the token belongs to, instead of a project.
    #[arg(long, value_name = "PATH")]
    pub gitlab_group: Option<String>,
    /// Who asks GitLab.
    #[command(flatten)]
    pub access: GitlabAccess,
}

/// Which GitLab is asked, and with which credential.
#[derive(Debug, Args)]
#[command(next_help_heading = "GitLab")]
pub struct GitlabAccess {
    /// URL of GitLab [default: the one named by the pull secret or the registry].
    #[arg(long, value_name = "URL")]
    pub gitlab_host: Option<String>,
    /// Read the access token for GitLab's API (scope api) from a file [default: `GITLAB_TOKEN`, for
    /// `GITLAB_HOST` or else gitlab.com; then glab's token; then a hidden prompt].
    #[arg(long, value_name = "FILE", conflicts_with = "gitlab_token_env")]
    pub gitlab_token_file: Option<PathBuf>,
    /// Read the access token for GitLab's API from the environment variable NAME.
    #[arg(long, value_name = "NAME")]
    pub gitlab_token_env: Option<String>,
}

impl GitlabOptions {
    /// An option that was given and needs GitLab, if any.
    #[must_use]
    pub fn given(&self) -> Option<&'static str> {
        self.gitlab_group.is_some().then_some("--gitlab-group").or_else(|| self.access.given())
    }
}

impl GitlabAccess {
    fn given(&self) -> Option<&'static str> {
        let given = [
            (self.gitlab_host.is_some(), "--gitlab-host"),
            (self.gitlab_token_file.is_some(), "--gitlab-token-file"),
            (self.gitlab_token_env.is_some(), "--gitlab-token-env"),
        ];
        given.into_iter().find_map(|(is_given, option)| is_given.then_some(option))
    }
}

/// Where the token comes from: one of these.
#[derive(Debug, Args)]
#[command(next_help_heading = "Deploy token")]
pub struct TokenOptions {
    /// User name of the deploy token.
    #[arg(long, value_name = "NAME")]
    #[arg(conflicts_with_all = ["token_json", "from_docker_config", "from_ci"])]
    pub token_username: Vec<String>,
    /// Read the token from standard input.
    #[arg(long, group = "token")]
    pub token_stdin: bool,
    /// Read the token from a file.
    #[arg(long, value_name = "FILE", group = "token")]
    pub token_file: Vec<PathBuf>,
    /// Read the token from the environment variable NAME.
    #[arg(long, value_name = "NAME", group = "token")]
    pub token_env: Vec<String>,
    /// Read the token from the JSON of GitLab's API or of `glab deploy-token create -F json` (`-`
    /// for standard input).
    #[arg(long, value_name = "FILE", group = "token")]
    pub token_json: Vec<PathBuf>,
    /// Use the login stored by docker or podman [default: in the usual files].
    #[arg(long, value_name = "FILE", group = "token", num_args = 0..=1, require_equals = true)]
    pub from_docker_config: Option<Option<PathBuf>>,
    /// Use `CI_DEPLOY_USER` and `CI_DEPLOY_PASSWORD` of a GitLab CI job.
    #[arg(long, group = "token")]
    pub from_ci: bool,
}

impl TokenOptions {
    /// Whether any of them is given.
    #[must_use]
    pub fn are_given(&self) -> bool {
        let Self {
            token_username,
            token_stdin,
            token_file,
            token_env,
            token_json,
            from_docker_config,
            from_ci,
        } = self;
        *token_stdin
            || *from_ci
            || from_docker_config.is_some()
            || !(token_username.is_empty()
                && token_file.is_empty()
                && token_env.is_empty()
                && token_json.is_empty())
    }
}

/// How far back `check` reads.
#[derive(Debug, Args)]
pub struct HistoryOptions {
    /// Do not search older commits for plaintext secrets.
    #[arg(long)]
    pub no_history: bool,
    /// Search every file in every commit for the tokens of the pull secrets.
    #[arg(long, conflicts_with = "no_history")]
    pub deep: bool,
}
