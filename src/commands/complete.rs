//! Shell completion: commands and options from the command line's own definitions, and names from
//! the repository around the current directory. Changes nothing, contacts nothing, and shows no
//! value of a Secret.

use super::{encrypted, env, secrets, top};
use crate::cli::{Cli, EnvList, SecretList};
use crate::ui::Ui;
use clap::{Arg, Command};
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use serde_json::Value;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The environment variable through which a shell asks; its value is the name of the shell.
pub const VARIABLE: &str = "MAKEINFRA_COMPLETE";

/// Answers a shell that has set [`VARIABLE`]. Returns whether it was set.
pub fn answered(
    arguments: impl IntoIterator<Item = OsString>,
    dir: Option<&Path>,
) -> clap::error::Result<bool> {
    CompleteEnv::with_factory(definitions).var(VARIABLE).try_complete(arguments, dir)
}

/// The definitions, with candidates for each argument that takes a name from the repository.
fn definitions() -> Command {
    Cli::whole().mut_subcommands(|command| match command.get_name() {
        "env" => command.mut_subcommands(|command| match command.get_name() {
            "remove" => with_names(command, environments),
            _ => with_environments(command),
        }),
        "secret" => command.mut_subcommands(|command| {
            with_environments(command).mut_args(|argument| match argument.get_id().as_str() {
                "name" => with(argument, secret_names),
                "key" => with(argument, secret_keys),
                _ => argument,
            })
        }),
        "remove" => with_names(command, components),
        "new" => command,
        _ => with_environments(command),
    })
}

fn with_names(command: Command, names: fn() -> Vec<String>) -> Command {
    // `mut_arg` would move the argument to the end.
    command.mut_args(|argument| match argument.get_id().as_str() {
        "name" => with(argument, names),
        _ => argument,
    })
}

fn with_environments(command: Command) -> Command {
    command.mut_args(|argument| match argument.get_id().as_str() {
        "env" | "like" => with(argument, environments),
        _ => argument,
    })
}

fn with(argument: Arg, names: fn() -> Vec<String>) -> Arg {
    let candidates = move || names().into_iter().map(CompletionCandidate::new).collect();
    argument.add(ArgValueCandidates::new(candidates))
}

fn environments() -> Vec<String> {
    let list = env::list(&EnvList { repo: here(), json: true });
    list.map(|report| names_in(&report.own["environments"])).unwrap_or_default()
}

/// Components that can be removed: all but the project's own.
fn components() -> Vec<String> {
    let record = top(&here()).and_then(|top| encrypted::record("complete", &top).ok());
    let rest = record.map(|record| record.answers.components.rest).unwrap_or_default();
    rest.iter().map(|component| component.name.to_string()).collect()
}

fn secret_names() -> Vec<String> {
    each_secret(|secret| secret["name"].as_str().into_iter().collect())
}

fn secret_keys() -> Vec<String> {
    each_secret(|secret| secret["keys"].as_array().into_iter().flatten().filter_map(key).collect())
}

fn key(key: &Value) -> Option<&str> {
    key.as_str().or_else(|| key["name"].as_str())
}

/// What `wanted` finds in each Secret of each environment, without duplicates.
fn each_secret(wanted: impl Fn(&Value) -> Vec<&str>) -> Vec<String> {
    let list = secrets::list(&SecretList { repo: here(), env: None, json: true }, &mut Ui::quiet());
    let own = list.map(|report| report.own).unwrap_or_default();
    let environments = own["environments"].as_array().into_iter().flatten();
    let secrets = environments.flat_map(|one| one["secrets"].as_array().into_iter().flatten());
    let mut found: Vec<String> = secrets.flat_map(wanted).map(str::to_owned).collect();
    found.sort();
    found.dedup();
    found
}

fn names_in(list: &Value) -> Vec<String> {
    let names = list.as_array().into_iter().flatten().filter_map(|one| one["name"].as_str());
    names.map(str::to_owned).collect()
}

fn here() -> PathBuf {
    PathBuf::from(".")
}
