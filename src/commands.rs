//! The commands, one file each: the sequence of steps, no decisions. Here is what they share.

pub mod check;
pub mod diagnose;
pub mod new;
pub mod papers;
pub mod rotate;
mod sign_in;

use crate::answers::{Answer, Name, TokenUsername, Values};
use crate::cli::{SecretOptions, TokenOptions};
use crate::credentials::{Source, Value};
use crate::error::{Failure, Result};
use crate::files::{self, Leftover};
use crate::ui::{self, Ui};
use serde_json::json;
use std::path::Path;

/// The token source that the options name; a hidden prompt where they name none.
fn token_source(options: &TokenOptions) -> Result<Source> {
    if let Some(file) = &options.token_json {
        return Ok(Source::Json(file.clone()));
    }
    if let Some(file) = &options.from_docker_config {
        return Ok(Source::DockerConfig(file.clone()));
    }
    if options.from_ci {
        return Ok(Source::Ci);
    }
    let username = options.token_username.as_deref().map(|text| {
        TokenUsername::parse(text).map_err(|rule| {
            Failure::usage(format!("`--token-username` {rule}"))
                .hint(format!("--token-username {}", TokenUsername::EXAMPLE))
        })
    });
    let value = match (&options.token_file, &options.token_env) {
        (Some(file), _) => Value::File(file.clone()),
        (None, Some(variable)) => Value::Env(variable.clone()),
        (None, None) if options.token_stdin => Value::Stdin,
        (None, None) => Value::Prompt,
    };
    Ok(Source::Pair(username.transpose()?, value))
}

/// The answers among the options of both commands.
fn secret_values(options: &SecretOptions) -> Values {
    [
        (Name::Registry, &options.registry),
        (Name::SecretType, &options.secret_type),
        (Name::Email, &options.email),
        (Name::ExpiresAt, &options.expires_at),
    ]
    .into_iter()
    .filter_map(|(name, text)| Some((name, Some(text.clone()?))))
    .collect()
}

/// The failure that names everything that is missing at once.
fn missing(missing: &[String], hint: &str) -> anyhow::Error {
    Failure::usage("some answers are missing, and there is nobody to ask")
        .because(missing.join(", "))
        .hint(hint)
        .into()
}

/// Takes away what killed runs left beside `target`, and says so; with `dry_run` only says so.
fn sweep(target: &Path, kind: Leftover, dry_run: bool, ui: &mut Ui) {
    for leftover in files::leftovers(target, kind).unwrap_or_default() {
        let name = leftover.display();
        if dry_run {
            ui.warn(format!("`{name}` was left behind by a run that was killed"));
            continue;
        }
        match files::remove(&leftover) {
            Ok(()) => ui.warn(format!("removed `{name}`, which a run that was killed had left behind")),
            Err(_) => ui.warn(format!(
                "`{name}` was left behind by a run that was killed and may hold a token: rm -r {}",
                files::shell_word(&leftover)
            )),
        }
    }
}

/// Prints `object` as one line of JSON, with the warnings so far.
fn print_json(mut object: serde_json::Value, ui: &Ui) -> Result<()> {
    object["warnings"] = json!(ui.warnings());
    ui.print(&format!("{object}\n"))
}

/// A commit's id, as people say it.
fn short(commit: &str) -> &str {
    &commit[..commit.len().min(8)]
}

/// Commands to type next, each below what it is for, as a block that can be pasted into a shell.
fn next_steps(steps: &[(String, &str)]) -> String {
    let mut text = String::new();
    for (command, why) in steps {
        if !why.is_empty() {
            text.push_str(&ui::dim(&format!("  # {why}\n")));
        }
        text.push_str(&format!("  {}\n", ui::bold(command)));
    }
    text
}
