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

pub mod advice;
pub mod answers;
pub mod change;
pub mod checks;
pub mod cli;
pub mod cluster;
pub mod commands;
pub mod context;
pub mod credentials;
pub mod diagnosis;
pub mod environment;
pub mod error;
pub mod files;
pub mod git_crypt;
pub mod inspection;
pub mod interrupt;
pub mod manifests;
pub mod opaque;
pub mod pull_secret;
pub mod questions;
pub mod registry;
pub mod repo;
pub mod rotation;
pub mod secret;
pub mod templates;
pub mod tool;
pub mod ui;
pub mod work_tree;
pub mod yaml_edit;
pub mod yaml_path;

use cli::{Cli, Command, Env, Secret};
use commands::{add, adopt, check, diagnose, env, man, new, remove, rotate, secrets, update};
use error::{Outcome, Result};
use ui::Ui;

/// Runs the command of `cli`.
pub fn run(cli: &Cli) -> Result<Outcome> {
    match &cli.command {
        Command::New(options) => new::run(options, &mut Ui::new(options.run.no_input))?,
        Command::Rotate(options) => rotate::run(options, &mut Ui::new(options.run.no_input))?,
        Command::Add(options) => add::run(options, &mut Ui::new(options.plan.run.no_input))?,
        Command::Remove(options) => remove::run(options, &mut Ui::new(options.plan.run.no_input))?,
        Command::Env(Env::Add(options)) => env::add(options, &mut Ui::new(options.plan.run.no_input))?,
        Command::Env(Env::Remove(options)) => env::remove(options, &mut Ui::new(options.plan.run.no_input))?,
        Command::Env(Env::List(options)) => env::list(options, &Ui::new(true))?,
        Command::Secret(Secret::Set(options)) => secrets::set(options, &mut Ui::new(options.run.no_input))?,
        Command::Secret(Secret::Unset(options)) => {
            secrets::unset(options, &mut Ui::new(options.run.no_input))?;
        }
        Command::Secret(Secret::List(options)) => secrets::list(options, &mut Ui::new(true))?,
        Command::Update(options) => {
            return update::run(options, &mut Ui::new(options.plan.run.no_input || options.check));
        }
        Command::Adopt(options) => adopt::run(options, &mut Ui::new(options.plan.run.no_input))?,
        Command::Check(options) => return check::run(options, &Ui::new(true)),
        Command::Diagnose(options) => return diagnose::run(options, &Ui::new(true)),
        Command::Completions { shell } => man::completions(*shell, &Ui::new(true))?,
        Command::Man => man::man(&Ui::new(true))?,
    }
    Ok(Outcome::Done)
}
