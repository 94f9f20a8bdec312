//! Which repositories a command is about that takes several.

use clap::Args;
use std::path::{Path, PathBuf};

/// The repositories, and where those are listed that have to be given again.
#[derive(Debug, Args)]
pub struct Repositories {
    /// Repositories, or directories in them [default: .].
    #[arg(value_name = "REPO")]
    pub repos: Vec<PathBuf>,
    /// Also use the repositories listed in FILE, one path per line (`-` for standard input).
    #[arg(long, value_name = "FILE", help_heading = "Several repositories")]
    pub repos_from: Option<PathBuf>,
    /// Write the repositories that failed or were not started to FILE, for --repos-from.
    #[arg(long, value_name = "FILE", help_heading = "Several repositories")]
    pub failed_to: Option<PathBuf>,
}

impl Repositories {
    /// The one that is meant if no list is given; `None` if several are.
    #[must_use]
    pub fn one(&self) -> Option<&Path> {
        match (self.repos.as_slice(), &self.repos_from) {
            ([], None) => Some(Path::new(".")),
            ([one], None) => Some(one),
            _ => None,
        }
    }
}

/// How much is done at the same time where a network is waited for.
#[derive(Debug, Args)]
pub struct JobsOption {
    /// Check N images, and ask the clusters of N repositories, in parallel [default: 8].
    #[arg(long, value_name = "N", requires = "asks", help_heading = "Several repositories")]
    #[arg(value_parser = clap::value_parser!(u8).range(1..))]
    jobs: Option<u8>,
}

impl JobsOption {
    /// The number; `usual` unless it is given.
    #[must_use]
    pub fn or(&self, usual: usize) -> usize {
        self.jobs.map_or(usual, usize::from)
    }
}
