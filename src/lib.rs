//! makeinfra generates `<project>-infra` repositories for Kubernetes and looks after their pull secrets.
//!
//! Data flows one way, and secret material has its own short path:
//!
//! ```text
//! argv ─ cli ─► questions ─► answers ─► context ─► templates ─► files ─► repo ─► ui
//! token source ─► credentials ─► pull_secret ─► templates (one file) ─► git_crypt ─► repo
//! ```
//!
//! `ARCHITECTURE.md` says what each module owns and which others it may know.

pub mod answers;
pub mod cli;
pub mod commands;
pub mod context;
pub mod credentials;
pub mod environment;
pub mod error;
pub mod files;
pub mod git_crypt;
pub mod interrupt;
pub mod pull_secret;
pub mod questions;
pub mod repo;
pub mod rotation;
pub mod secret;
pub mod templates;
pub mod ui;
pub mod yaml_edit;

use cli::{Cli, Command};
use commands::{new, papers, rotate};
use error::Result;
use ui::Ui;

/// Runs the command of `cli`.
pub fn run(cli: &Cli) -> Result<()> {
    match &cli.command {
        Command::New(options) => new::run(options, &mut Ui::new(options.run.no_input)),
        Command::Rotate(options) => rotate::run(options, &mut Ui::new(options.run.no_input)),
        Command::Completions { shell } => papers::completions(*shell, &Ui::new(true)),
        Command::Man => papers::man(&Ui::new(true)),
    }
}
