//! makeinfra generates `<project>-infra` repositories for Kubernetes and looks after their pull
//! secrets.
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
pub mod gitlab;
pub mod http;
pub mod inspection;
pub mod interrupt;
pub mod manifests;
pub mod opaque;
pub mod pull_secret;
pub mod questions;
pub mod registry;
pub mod remote;
pub mod repo;
pub mod report;
pub mod rotation;
pub mod secret;
pub mod several;
pub mod templates;
pub mod tool;
pub mod ui;
pub mod work_tree;
pub mod yaml;
pub mod yaml_edit;
pub mod yaml_path;

use cli::{Cli, Command, Common, Env, Secret, Token};
use commands::{
    add, adopt, complete, diagnose, env, fleet, man, new, remove, schema, secrets, tokens,
};
use report::Report;
use ui::Ui;

/// Answers a shell's completion request. Returns whether there was one.
pub fn completes(
    arguments: impl IntoIterator<Item = std::ffi::OsString>,
    dir: Option<&std::path::Path>,
) -> clap::error::Result<bool> {
    complete::answered(arguments, dir)
}

/// Runs the command in `cli`.
#[must_use]
pub fn run(cli: &Cli) -> Report {
    let common = cli.command.common();
    let mut ui = Ui::new(common.no_input);
    let report = dispatch(&cli.command, common, &mut ui);
    Report { warnings: ui.into_warnings(), ..report }
}

fn dispatch(command: &Command, common: Common, ui: &mut Ui) -> Report {
    let done = match command {
        Command::Check(options) => return fleet::run(&**options, common, ui),
        Command::Update(options) => return fleet::run(&**options, common, ui),
        Command::Rotate(options) => return fleet::run(&**options, common, ui),
        Command::New(options) => new::run(options, ui),
        Command::Add(options) => add::run(options, ui),
        Command::Remove(options) => remove::run(options, ui),
        Command::Env(Env::Add(options)) => env::add(options, ui),
        Command::Env(Env::Remove(options)) => env::remove(options, ui),
        Command::Env(Env::List(options)) => env::list(options),
        Command::Secret(Secret::Set(options)) => secrets::set(options, ui),
        Command::Secret(Secret::Unset(options)) => secrets::unset(options, ui),
        Command::Secret(Secret::List(options)) => secrets::list(options, ui),
        Command::Token(Token::List(options)) => tokens::list(options, ui),
        Command::Adopt(options) => adopt::run(options, ui),
        Command::Diagnose(options) => diagnose::run(options, ui),
        Command::Completions { shell } => man::completions(*shell),
        Command::Man { output } => output.as_deref().map_or_else(man::man, man::pages),
        Command::Schema { of } => Ok(schema::run(*of)),
    };
    let top = if matches!(command, Command::Adopt(_)) { adopt::top } else { commands::top };
    commands::reported(done, || common.repo.and_then(top), command.environment())
}
