//! The options of the commands that carry a repository into this version.

use super::{PlanOptions, Repositories};
use clap::Args;
use std::path::PathBuf;

/// Options of `update`.
#[derive(Debug, Args)]
#[command(
    after_help = "Merges template changes into your files, including those that you edited. \
                  Changes nothing under secrets/. Also applies answers that you edited in \
                  .makeinfra.yaml. Leaves conflicts as `git cherry-pick` does: resolve them and \
                  run `git cherry-pick --continue`, or undo the update with `git cherry-pick \
                  --abort`."
)]
pub struct Update {
    /// Which repositories.
    #[command(flatten)]
    pub repositories: Repositories,
    /// How the plan is shown and confirmed.
    #[command(flatten)]
    pub plan: PlanOptions,
    /// Write nothing; exit with 1 if an update would change more than the version.
    #[arg(long, conflicts_with_all = ["yes", "diff", "commit", "dry_run", "conflicts"])]
    pub check: bool,
    /// Start the update despite conflicts, and leave them for you to resolve.
    #[arg(long)]
    pub conflicts: bool,
    /// Commit whose .makeinfra.yaml matches the files [default: HEAD].
    #[arg(long, value_name = "REV")]
    pub from: Option<String>,
    /// Replace a file listed as `own` in .makeinfra.yaml with the generated one, and remove it from
    /// the list (repeatable).
    #[arg(long, value_name = "PATH")]
    pub take: Vec<String>,
    /// Restore a generated file that was deleted (repeatable).
    #[arg(long, value_name = "PATH")]
    pub restore: Vec<String>,
}

/// Options of `adopt`.
#[derive(Debug, Args)]
#[command(
    after_help = "Reads the answers from the manifests and shows them. Moves manifests, unchanged, \
                  to kubernetes/base and kubernetes/overlays, and Secrets to secrets/kubernetes. \
                  Generates missing files. If makeinfra would generate a file differently, your \
                  file stays unchanged and .makeinfra.yaml lists it as `own`, so that `makeinfra \
                  update` does not change it. Sets up git-crypt if the repository does not use it."
)]
pub struct Adopt {
    /// Directory to adopt: the top of a git repository, or a folder in it.
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// How the plan is shown and confirmed.
    #[command(flatten)]
    pub plan: PlanOptions,
    /// Project name [default: the directory's name without -infra].
    #[arg(long, value_name = "NAME")]
    pub project: Option<String>,
    /// Image of the project's own component [default: that of its workload].
    #[arg(long, value_name = "REF")]
    pub image: Option<String>,
    /// Namespace [default: that of the manifests, or else the project name].
    #[arg(long, value_name = "NS")]
    pub namespace: Option<String>,
    /// Pipeline: gitlab or none [default: none in a folder or if you have a pipeline already,
    /// otherwise gitlab].
    #[arg(long, value_name = "NAME")]
    pub ci: Option<String>,
    /// File or directory with manifests (repeatable) [default: all].
    #[arg(long, value_name = "PATH")]
    pub manifests: Vec<String>,
    /// Replace your version of this file with the generated one (repeatable).
    #[arg(long, value_name = "PATH")]
    pub take: Vec<String>,
}
