//! The command line: clap's types, and what clap's own errors say here. Decides nothing else.

mod check;
mod component;
mod late;
mod rotate;
mod secret;
mod several;
mod shared;
mod token;
mod update;
mod usage;

pub use check::{Check, Diagnose, Format};
pub use component::ComponentOptions;
pub use late::Late;
pub use rotate::{FinishOptions, Rotate};
pub use secret::{EnvironmentChoice, Secret, SecretList, SecretSet, SecretUnset};
pub use several::{JobsOption, Repositories};
pub use shared::{
    CheckOptions, ConfirmationOptions, GitlabAccess, GitlabOptions, HistoryOptions, OnlineOptions,
    PlanOptions, RegistryOptions, RunOptions, RunningOptions, SecretOptions, TokenOptions,
    ViewOptions,
};
pub use token::{Token, TokenList};
pub use update::{Adopt, Update};
pub use usage::{is_bare, no_argument_for_a_value, usage_failure};

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use std::path::{Path, PathBuf};

/// Generate and maintain a PROJECT-infra repository: Kubernetes manifests, a Makefile, and a
/// git-crypt encrypted pull secret for a private GitLab registry.
#[derive(Debug, Parser)]
#[command(name = "makeinfra", version, max_term_width = 100)]
#[command(
    after_help = "Start here: makeinfra new hello --image registry.gitlab.com/group/hello:1.0.0"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// The definitions with the options of all commands, which [`CommandFactory::command`] leaves
    /// out until a command is given.
    #[must_use]
    pub fn whole() -> clap::Command {
        let mut command = Self::command();
        command.build();
        command
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Generate a git repository with Makefile, manifests and encrypted pull secret.
    New(Late<New>),
    /// Replace the deploy token in a repository's pull secret.
    Rotate(Late<Rotate>),
    /// Add a component to a repository, such as a worker, a second service or a cron job.
    Add(Late<Add>),
    /// Remove a component from a repository.
    Remove(Late<Remove>),
    /// Add, remove or list the environments of a repository.
    #[command(subcommand)]
    Env(Env),
    /// Set or remove values in application Secrets, or list their keys.
    #[command(subcommand)]
    Secret(Secret),
    /// List a repository's deploy tokens in GitLab.
    #[command(subcommand)]
    Token(Token),
    /// Update generated files to this version of makeinfra and keep your edits.
    Update(Late<Update>),
    /// Adopt an existing repository: plain manifests, kustomize or `helm template` output.
    Adopt(Late<Adopt>),
    /// Find problems in a repository before an image pull fails.
    Check(Late<Check>),
    /// Find out why pods are not running, from the cluster or from saved events.
    Diagnose(Late<Diagnose>),
    /// Print shell completions.
    Completions {
        /// Shell to print completions for.
        shell: Shell,
    },
    /// Print the manual page.
    Man {
        /// Write one page per command to this directory instead, for packages.
        #[arg(long, value_name = "DIR")]
        output: Option<PathBuf>,
    },
    /// Print a JSON schema for editors and for programs that read `--json` output.
    Schema {
        /// What the schema describes.
        #[arg(value_enum)]
        of: Schema,
    },
}

/// The shells that have completions.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[expect(missing_docs, reason = "names of shells")]
pub enum Shell {
    Bash,
    Elvish,
    Fish,
    Nushell,
    Powershell,
    Zsh,
}

/// What there are schemas of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Schema {
    /// The file `.makeinfra.yaml`.
    Record,
    /// The answers file of `new --answers`.
    Answers,
    /// The output of `--json`.
    Output,
}

/// What the options of all commands have in common.
#[derive(Debug, Clone, Copy, Default)]
pub struct Common<'c> {
    /// The repository that the command is about, or a directory in it; `None` if it is about none.
    pub repo: Option<&'c Path>,
    /// Whether the result is printed as JSON.
    pub json: bool,
    /// Whether nothing may be asked.
    pub no_input: bool,
}

impl Command {
    /// What its options have in common with those of others.
    #[must_use]
    pub fn common(&self) -> Common<'_> {
        let (repo, run) = match self {
            Self::New(options) => (None, &options.run),
            Self::Rotate(options) => (options.repositories.one(), &options.run),
            Self::Add(options) => (Some(options.repo.as_path()), &options.plan.run),
            Self::Remove(options) => (Some(options.repo.as_path()), &options.plan.run),
            Self::Env(Env::Add(options)) => (Some(options.repo.as_path()), &options.plan.run),
            Self::Env(Env::Remove(options)) => (Some(options.repo.as_path()), &options.plan.run),
            Self::Secret(Secret::Set(options)) => (Some(options.repo.as_path()), &options.run),
            Self::Secret(Secret::Unset(options)) => (Some(options.repo.as_path()), &options.run),
            Self::Update(options) => (options.repositories.one(), &options.plan.run),
            Self::Adopt(options) => (Some(options.dir.as_path()), &options.plan.run),
            Self::Env(Env::List(options)) => return Common::of_reader(&options.repo, options.json),
            Self::Secret(Secret::List(options)) => {
                return Common::of_reader(&options.repo, options.json);
            }
            Self::Token(Token::List(options)) => {
                let no_input = options.no_input;
                return Common { no_input, ..Common::of_reader(&options.repo, options.json) };
            }
            Self::Check(options) => {
                return Common {
                    repo: options.repositories.one(),
                    json: options.json,
                    no_input: true,
                };
            }
            Self::Diagnose(options) => {
                let repo = options.repo.as_deref().unwrap_or(Path::new("."));
                return Common::of_reader(repo, options.json);
            }
            Self::Completions { .. } | Self::Man { .. } | Self::Schema { .. } => {
                return Common::default();
            }
        };
        Common { repo, json: run.json, no_input: run.no_input }
    }
}

impl Command {
    /// The one environment that the command names for all that it does.
    #[must_use]
    pub fn environment(&self) -> Option<&str> {
        match self {
            Self::Rotate(options) => match options.env.as_slice() {
                [only] => Some(only),
                _ => None,
            },
            Self::Secret(Secret::Set(options)) => options.environments.env.as_deref(),
            Self::Secret(Secret::Unset(options)) => options.environments.env.as_deref(),
            Self::Check(options) => options.cluster.env.as_deref(),
            Self::Diagnose(options) => options.env.as_deref(),
            _ => None,
        }
    }
}

impl<'c> Common<'c> {
    /// Of a command that reads `repo` and asks nothing.
    fn of_reader(repo: &'c Path, json: bool) -> Self {
        Self { repo: Some(repo), json, no_input: true }
    }
}

/// Options of `new`.
#[derive(Debug, Args)]
pub struct New {
    /// Project name; the repository is named PROJECT-infra (an -infra at the end of the name is
    /// dropped).
    pub project: Option<String>,
    /// Read answers from a YAML file whose keys are the names of these options (`-` for standard
    /// input).
    #[arg(long, value_name = "FILE")]
    pub answers: Option<PathBuf>,
    /// How to run.
    #[command(flatten)]
    pub run: RunOptions,
    /// Whether the plan is confirmed.
    #[command(flatten)]
    pub confirmation: ConfirmationOptions,
    /// What runs.
    #[command(flatten)]
    pub component: ComponentOptions,
    /// Namespace [default: PROJECT; with --env: {project}-{env}].
    #[arg(long, value_name = "NS", help_heading = "Pods")]
    pub namespace: Vec<String>,
    /// Pod Security Standard: restricted, or baseline for images that must run as root [default:
    /// restricted].
    #[arg(long, value_name = "LEVEL", help_heading = "Pods")]
    #[arg(value_parser = ["restricted", "baseline"])]
    #[arg(hide_possible_values = true)]
    pub pod_security: Option<String>,
    /// Name of an environment with its own namespace, kustomize overlay and pull secret
    /// (repeatable). Options for namespace, context, pods, host and deploy token also accept
    /// ENV=VALUE for one environment.
    #[arg(long, value_name = "ENV", help_heading = "Environments")]
    pub env: Vec<String>,
    /// Ask for confirmation before `make` changes this environment (repeatable); `production` is
    /// always protected if --env names it.
    #[arg(long, value_name = "ENV", help_heading = "Environments")]
    pub protect: Vec<String>,
    /// kubectl context that `make` uses [default: the current context].
    #[arg(long, value_name = "NAME", help_heading = "Environments")]
    pub context: Vec<String>,
    /// Directory to create the repository in [default: .].
    #[arg(long, value_name = "DIR", help_heading = "Repository")]
    pub output: Option<String>,
    /// What checks and deploys it.
    #[command(flatten)]
    pub pipeline: PipelineOptions,
    /// Write the files only; create no git repository.
    #[arg(long, conflicts_with = "export_key", help_heading = "Repository")]
    pub no_git: bool,
    /// Stage the files but do not commit them.
    #[arg(long, help_heading = "Repository")]
    pub no_commit: bool,
    /// Also write the git-crypt key to FILE as a backup.
    #[arg(long, value_name = "FILE", help_heading = "Repository")]
    pub export_key: Option<PathBuf>,
    /// Name of the pull secret [default: gitlab].
    #[arg(long, value_name = "NAME", help_heading = "Pull secret")]
    pub secret_name: Option<String>,
    /// What the pull secret holds.
    #[command(flatten)]
    pub secret: SecretOptions,
    /// Where the token comes from.
    #[command(flatten)]
    pub token: TokenOptions,
    /// Create no pull secret yet; `makeinfra rotate` creates it later.
    #[arg(long, group = "token", help_heading = "Deploy token")]
    #[arg(conflicts_with_all = ["token_username", "ask"])]
    pub no_token: bool,
    /// Whether GitLab makes the token.
    #[command(flatten)]
    pub gitlab: GitlabOptions,
    /// Whether the registry is asked.
    #[command(flatten)]
    pub check: CheckOptions,
}

/// What checks and deploys a new repository.
#[derive(Debug, Args)]
#[command(next_help_heading = "Repository")]
pub struct PipelineOptions {
    /// Pipeline to generate: gitlab or none [default: gitlab].
    #[arg(long, value_name = "CI", value_parser = ["gitlab", "none"], hide_possible_values = true)]
    pub ci: Option<String>,
    /// Image for the pipeline's jobs, with makeinfra, git, git-crypt, kubectl and make; merge
    /// requests then show findings of `makeinfra check`.
    #[arg(long, value_name = "IMAGE")]
    pub ci_image: Option<String>,
    /// Replace deploy tokens from a scheduled pipeline before they expire; the repository's README
    /// lists the requirements.
    #[arg(long)]
    pub ci_rotate: bool,
}

/// Options of `add`.
#[derive(Debug, Args)]
#[command(after_help = "Adds the component's files to kubernetes/base and its entries to the \
                        kustomizations. Everything else stays unchanged.")]
pub struct Add {
    /// Component name.
    pub name: String,
    /// Repository, or any directory in it.
    #[arg(default_value = ".")]
    pub repo: PathBuf,
    /// How the plan is shown and confirmed. Before the component: what follows a heading is below
    /// it.
    #[command(flatten)]
    pub plan: PlanOptions,
    /// What it is; without an image, it runs the project's own.
    #[command(flatten)]
    pub component: ComponentOptions,
}

/// Options of `remove`.
#[derive(Debug, Args)]
#[command(
    after_help = "Removes the files that `makeinfra add` wrote and every entry for the component \
                  in a kustomization, including entries that you wrote. The plan lists them. \
                  Refuses to delete a file that git cannot restore."
)]
pub struct Remove {
    /// Component name.
    pub name: String,
    /// Repository, or any directory in it.
    #[arg(default_value = ".")]
    pub repo: PathBuf,
    /// How the plan is shown and confirmed.
    #[command(flatten)]
    pub plan: PlanOptions,
}

/// What to do about environments.
#[derive(Debug, Subcommand)]
pub enum Env {
    /// Add an environment by copying another one's overlay, including your edits.
    Add(Late<EnvAdd>),
    /// Remove an environment's overlay, pipeline file and secret files.
    Remove(Late<EnvRemove>),
    /// List environments with their images, namespaces and token expiry.
    List(Late<EnvList>),
}

/// Options of `env add`.
#[derive(Debug, Args)]
#[command(after_help = "Copies the overlay, the pipeline file and the pull secret of another \
                        environment, and adapts namespace, hosts, context, protection and label. \
                        If the overlay already exists, it is only recorded. With any deploy token \
                        option, the new environment gets its own token instead of a copy; \
                        --token-username alone prompts for the token.")]
pub struct EnvAdd {
    /// Name for the new environment.
    pub name: String,
    /// Repository, or any directory in it.
    #[arg(default_value = ".")]
    pub repo: PathBuf,
    /// Environment to copy [default: the first unprotected one].
    #[arg(long, value_name = "ENV")]
    pub like: Option<String>,
    /// Namespace of the new environment [default: PROJECT-NAME].
    #[arg(long, value_name = "NS")]
    pub namespace: Option<String>,
    /// kubectl context that `make` uses for it [default: as in the copied environment].
    #[arg(long, value_name = "CONTEXT")]
    pub context: Option<String>,
    /// Number of pods [default: as in the copied environment].
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub replicas: Option<String>,
    /// Host name of the Ingress [default: NAME.HOST].
    #[arg(long, value_name = "HOST")]
    pub ingress: Option<String>,
    /// Ask for confirmation before `make` changes this environment; `production` is always
    /// protected.
    #[arg(long)]
    pub protect: bool,
    /// Copy all Secrets instead of only the pull secret.
    #[arg(long)]
    pub with_secrets: bool,
    /// How the plan is shown and confirmed.
    #[command(flatten)]
    pub plan: PlanOptions,
    /// Expiry date of its own deploy token (YYYY-MM-DD or RFC 3339), stored in the encrypted
    /// Secret.
    #[arg(long, value_name = "DATE", help_heading = "Deploy token")]
    pub expires_at: Option<String>,
    /// Where a deploy token of its own comes from.
    #[command(flatten)]
    pub token: TokenOptions,
    /// Whether the registry is asked.
    #[command(flatten)]
    pub check: CheckOptions,
}

/// Options of `env remove`.
#[derive(Debug, Args)]
#[command(
    after_help = "Deletes nothing in the cluster: run `make undeploy ENV=NAME` first. Refuses to \
                  delete a file that git cannot restore."
)]
pub struct EnvRemove {
    /// Environment name.
    pub name: String,
    /// Repository, or any directory in it.
    #[arg(default_value = ".")]
    pub repo: PathBuf,
    /// How the plan is shown and confirmed.
    #[command(flatten)]
    pub plan: PlanOptions,
}

/// Options of `env list`.
#[derive(Debug, Args)]
pub struct EnvList {
    /// Repository, or any directory in it.
    #[arg(default_value = ".")]
    pub repo: PathBuf,
    /// Print the result as one JSON object.
    #[arg(long)]
    pub json: bool,
}
