//! The options of the commands that carry a repository into this version.

use super::{PlanOptions, Repositories};
use clap::Args;
use std::path::PathBuf;

/// Options of `update`.
#[derive(Debug, Args)]
#[command(
    after_help = "Merges what the templates changed into the files as they are; nothing below \
                  secrets/ changes. Also applies answers that were edited in .makeinfra.yaml. \
                  Conflicts are left as in `git cherry-pick`: resolve them and run `git \
                  cherry-pick --continue`, or take everything back with `git cherry-pick --abort`."
)]
pub struct Update {
    /// Which repositories.
    #[command(flatten)]
    pub repositories: Repositories,
    /// How the plan is shown and confirmed.
    #[command(flatten)]
    pub plan: PlanOptions,
    /// Write nothing; exit 1 if an update would change more than the version.
    #[arg(long, conflicts_with_all = ["yes", "diff", "commit", "dry_run", "conflicts"])]
    pub check: bool,
    /// Start the update despite conflicts, and leave them for you to resolve.
    #[arg(long)]
    pub conflicts: bool,
    /// The commit whose .makeinfra.yaml the files follow [default: HEAD].
    #[arg(long, value_name = "REV")]
    pub from: Option<String>,
    /// Replace a file that .makeinfra.yaml lists as `own` with the generated one, and remove it
    /// from that list (repeatable).
    #[arg(long, value_name = "PATH")]
    pub take: Vec<String>,
    /// Bring back a generated file that was deleted (repeatable).
    #[arg(long, value_name = "PATH")]
    pub restore: Vec<String>,
}

/// Options of `adopt`.
#[derive(Debug, Args)]
#[command(
    after_help = "Reads the answers from the manifests and shows them. Manifests move, unchanged, \
                  to kubernetes/base and kubernetes/overlays, Secrets to secrets/kubernetes. \
                  Missing files are generated. A file of your own that makeinfra would generate \
                  differently stays as it is and is listed as `own` in .makeinfra.yaml, so that \
                  `makeinfra update` leaves it alone. Sets up git-crypt if the repository does not \
                  use it."
)]
pub struct Adopt {
    /// The directory to adopt: the top of a git repository or a folder in it.
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// How the plan is shown and confirmed.
    #[command(flatten)]
    pub plan: PlanOptions,
    /// Name of the project [default: the directory's, without -infra].
    #[arg(long, value_name = "NAME")]
    pub project: Option<String>,
    /// Image of the project's own component [default: that of its workload].
    #[arg(long, value_name = "REF")]
    pub image: Option<String>,
    /// Namespace [default: that of the manifests, else the project's name].
    #[arg(long, value_name = "NS")]
    pub namespace: Option<String>,
    /// Pipeline: gitlab or none [default: none in a folder or beside a pipeline of your own, else
    /// gitlab].
    #[arg(long, value_name = "NAME")]
    pub ci: Option<String>,
    /// File or directory with manifests (repeatable) [default: all].
    #[arg(long, value_name = "PATH")]
    pub manifests: Vec<String>,
    /// Replace this file of yours with the generated one (repeatable).
    #[arg(long, value_name = "PATH")]
    pub take: Vec<String>,
}
