//! The commands, one file each: the sequence of steps, no decisions. This file has what they share.

pub mod add;
pub mod adopt;
pub mod check;
pub mod complete;
mod component;
mod deploy_tokens;
pub mod diagnose;
mod elsewhere;
mod encrypted;
pub mod env;
pub mod fleet;
pub mod man;
mod managed;
pub mod new;
pub mod remove;
pub mod rotate;
pub mod schema;
mod scope;
pub mod secrets;
mod sign_in;
mod target;
pub mod tokens;
mod transaction;
pub mod update;
mod workspace;

use crate::advice::Advice;
use crate::answers::{
    Answer, Answers, EnvironmentName, Name, Record, Sheet, TokenUsername, Version,
};
use crate::cli::{SecretOptions, TokenOptions};
use crate::credentials::{Source, Value};
use crate::error::{Failure, Result};
use crate::files::{self, Leftover};
use crate::repo::Repo;
use crate::report::Report;
use crate::templates::{Archive, TemplateSet, Unavailable};
use crate::ui::Ui;
use scope::Scoped;
use std::path::{Path, PathBuf};

/// The token sources in the options, for all environments and for single ones; `is_one` tells
/// whether a name is an environment's. Without a source, a hidden prompt.
fn token_sources(
    options: &TokenOptions,
    is_one: impl Fn(&EnvironmentName) -> bool,
) -> Result<Sources> {
    let usernames = Scoped::read("--token-username", &options.token_username, &is_one)?;
    let files = Scoped::read("--token-file", &options.token_file, &is_one)?;
    let variables = Scoped::read("--token-env", &options.token_env, &is_one)?;
    let json = Scoped::read("--token-json", &options.token_json, &is_one)?;
    let username = |text: Option<&String>| {
        text.map(|text| {
            TokenUsername::parse(text).map_err(|rule| {
                Failure::usage(format!("`--token-username` {rule}"))
                    .hint(format!("--token-username {}", TokenUsername::EXAMPLE))
            })
        })
        .transpose()
    };
    let mut names: Vec<&EnvironmentName> = Vec::new();
    for name in files
        .own
        .iter()
        .chain(&json.own)
        .map(|(name, _)| name)
        .chain(variables.own.iter().map(|(name, _)| name))
    {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if let Some((name, _)) = usernames.own.iter().find(|(name, _)| !names.contains(&name)) {
        return Err(Failure::usage(format!(
            "`--token-username` requires a token, but `{name}` has none of its own"
        ))
        .hint(format!("--token-file {name}=FILE"))
        .into());
    }
    let own = names.into_iter().map(|name| {
        let pair = |value| {
            let username = username(usernames.of(name).or(usernames.common.as_ref()))?;
            Ok::<_, anyhow::Error>(Source::Pair(username, value))
        };
        let source = match (json.of(name), files.of(name), variables.of(name)) {
            (Some(file), ..) => Source::Json(file.clone()),
            (None, Some(file), _) => pair(Value::File(file.clone()))?,
            (None, None, variable) => pair(Value::Env(variable.cloned().unwrap_or_default()))?,
        };
        Ok((name.clone(), source))
    });
    let own = own.collect::<Result<Vec<_>>>()?;
    let common = match (json.common, &options.from_docker_config) {
        (Some(file), _) => Source::Json(file),
        (None, Some(file)) => Source::DockerConfig(file.clone()),
        (None, None) if options.from_ci => Source::Ci,
        (None, None) => {
            let value = match (files.common, variables.common) {
                (Some(file), _) => Value::File(file),
                (None, Some(variable)) => Value::Env(variable),
                (None, None) if options.token_stdin => Value::Stdin,
                (None, None) => Value::Prompt,
            };
            Source::Pair(username(usernames.common.as_ref())?, value)
        }
    };
    Ok(Sources { common, own })
}

/// The token sources of a command.
struct Sources {
    /// For all environments without a source of their own.
    common: Source,
    /// For single environments.
    own: Vec<(EnvironmentName, Source)>,
}

impl Sources {
    /// All sources.
    fn all(&self) -> impl Iterator<Item = &Source> {
        std::iter::once(&self.common).chain(self.own.iter().map(|(_, source)| source))
    }

    /// The sources that the environments `names` need. Without names there is one environment.
    fn needed(&self, names: &[EnvironmentName]) -> impl Iterator<Item = &Source> + use<'_> {
        let has_own = |name: &EnvironmentName| self.own.iter().any(|(own, _)| own == name);
        let common = names.is_empty() || !names.iter().all(has_own);
        self.all().skip(usize::from(!common))
    }

    /// The environments among `names` that use `source`; empty unless there are others with another
    /// source.
    fn whose(&self, source: &Source, names: &[EnvironmentName]) -> String {
        if self.own.is_empty() {
            return String::new();
        }
        let own = |name: &EnvironmentName| {
            self.own.iter().find(|(own, _)| own == name).map(|(_, source)| source)
        };
        let has = |name: &&EnvironmentName| std::ptr::eq(own(name).unwrap_or(&self.common), source);
        names.iter().filter(has).map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}

/// The only token source in the options.
fn token_source(options: &TokenOptions) -> Result<Source> {
    Ok(token_sources(options, |_| false)?.common)
}

/// Adds the options that both commands have to `sheet`, as answers; `is_one` tells whether a name
/// is an environment's.
fn secret_answers(
    options: &SecretOptions,
    sheet: &mut Sheet,
    is_one: impl Fn(&EnvironmentName) -> bool,
) -> Result<()> {
    let texts = [
        (Name::Registry, &options.registry),
        (Name::SecretType, &options.secret_type),
        (Name::Email, &options.email),
    ];
    sheet
        .values
        .extend(texts.into_iter().filter_map(|(name, text)| Some((name, Some(text.clone()?)))));
    Scoped::read("--expires-at", &options.expires_at, is_one)?.answer(Name::ExpiresAt, sheet);
    Ok(())
}

/// Shows the plan of `command` and asks for confirmation.
///
/// `diff` is the diff of the files, shown on request; `None` if the plan contains it.
fn agree(
    command: &str,
    title: &str,
    plan: &str,
    diff: Option<&dyn Fn() -> Result<String>>,
    ui: &mut Ui,
) -> Result<()> {
    if !ui.can_ask() {
        let cannot =
            "cannot ask for confirmation: not a terminal (`--yes` confirms, `--dry-run` previews)";
        return Err(Failure::usage(cannot).into());
    }
    ui.intro(command)?;
    ui.note(title, plan.trim_end())?;
    let words: &[_] = if diff.is_some() { &["yes", "no", "diff"] } else { &["yes", "no"] };
    loop {
        match (ui.decide("Go on?", words)?, diff) {
            ("yes", _) => return Ok(()),
            ("diff", Some(diff)) => ui.note("Changes", &diff()?)?,
            _ => return Err(Failure::failed("declined; nothing was written").into()),
        }
    }
}

/// The failure that names everything that is missing at once.
fn missing(missing: &[String], hint: impl Into<Advice>) -> anyhow::Error {
    Failure::usage("required answers are missing, and makeinfra cannot ask for them")
        .because(missing.join(", "))
        .hint(hint)
        .into()
}

/// Deletes leftovers of killed runs beside `target` and reports them; with `dry_run`, only reports
/// them.
fn sweep(target: &Path, kind: Leftover, dry_run: bool, ui: &mut Ui) {
    take_away(files::leftovers(target, kind).unwrap_or_default(), dry_run, ui);
}

/// Deletes leftovers of killed runs anywhere in the repository at `root` where commands write.
fn sweep_repository(root: &Path, dry_run: bool, ui: &mut Ui) {
    sweep(&root.join(Record::FILE), Leftover::File, dry_run, ui);
    for dir in [".gitlab", "kubernetes", "secrets"] {
        take_away(files::leftovers_below(&root.join(dir)), dry_run, ui);
    }
}

fn take_away(leftovers: Vec<PathBuf>, dry_run: bool, ui: &mut Ui) {
    for leftover in leftovers {
        let name = leftover.display();
        if dry_run {
            ui.warn(format!("a killed run left `{name}` behind"));
            continue;
        }
        match files::remove(&leftover) {
            Ok(()) => ui.warn(format!("removed `{name}`, left behind by a killed run")),
            Err(_) => ui.warn(format!(
                "a killed run left `{name}` behind, which may contain a token: {}",
                Advice::anywhere("rm -r").path(&leftover).typed(None)
            )),
        }
    }
}

/// Warns about images that are likely mistakes: a moving tag, or a host that is not a registry.
fn warn_of_images(answers: &Answers, ui: &mut Ui) {
    for image in answers.components.iter().map(|component| &component.image) {
        if image.tag() == Some("latest") && image.digest().is_none() {
            ui.warn(format!(
                "`{image}` changes with every push of this tag, and a rollback would not restore \
                 the old image: use a unique tag"
            ));
        }
        if image.host() == "gitlab.com" {
            ui.warn(format!("`{image}`: gitlab.com is not a registry; use registry.gitlab.com"));
        }
    }
}

/// Warns about hosts that several Ingresses of a cluster share: which one gets a request is
/// undefined.
fn warn_of_shared_hosts(answers: &Answers, ui: &mut Ui) {
    for (host, who) in answers.shared_hosts() {
        ui.warn(format!("several Ingresses in the same cluster have the host `{host}`: {who}"));
    }
}

/// The failure for a repository that makeinfra did not generate.
fn not_generated(root: &Path, cause: impl Into<String>) -> Failure {
    let message = format!("`{}` was not generated by makeinfra", root.display());
    Failure::failed(message).because(cause).hint(Advice::makeinfra("adopt"))
}

/// The templates from which the files of a repository were rendered.
fn templates_of(record: &Record) -> Result<TemplateSet> {
    let cannot =
        |cause: String| Failure::failed(format!("cannot use `{}`", Record::FILE)).because(cause);
    let Some(version) = &record.version else {
        return Err(cannot(
            "it has no `version`, so the templates of its files are unknown".to_owned(),
        )
        .hint(format!("version: \"{}\"", Version::own()))
        .into());
    };
    archive()?.find(version).map_err(|why| {
        let own = Version::own();
        match why {
            Unavailable::Newer => cannot(format!(
                "it was written by makeinfra {version}, which is newer than this makeinfra {own}"
            )),
            Unavailable::Unknown => cannot(format!(
                "makeinfra {own} does not contain the templates of version {version}"
            )),
            Unavailable::Incomplete => {
                cannot(format!("the templates of version {version} are incomplete"))
            }
        }
        .hint(Advice::git(format!("log -p -- {}", Record::FILE)))
        .into()
    })
}

/// The released templates that this makeinfra contains.
#[cfg(not(debug_assertions))]
fn archive() -> Result<Archive> {
    Ok(Archive::embedded())
}

/// The released templates, including those that the tests provide.
#[cfg(debug_assertions)]
fn archive() -> Result<Archive> {
    let embedded = Archive::embedded();
    let Some(dir) = crate::environment::releases() else { return Ok(embedded) };
    let mut released = Vec::new();
    for below in ["versions", "files"] {
        let entries = files::entries(&dir.join(below))
            .map_err(|error| files::cannot("read", &dir, &error))?;
        for entry in entries {
            let text = std::fs::read_to_string(&entry.path)
                .map_err(|error| files::cannot("read", &entry.path, &error))?;
            released.push((format!("{below}/{}", entry.name.to_string_lossy()), text));
        }
    }
    Ok(embedded.with(Archive::new(released)))
}

/// The top of the repository that contains `path`; `None` if there is none.
#[must_use]
pub fn top(path: &Path) -> Option<PathBuf> {
    let dir = files::existing_directory(path)?;
    match Repo::around(&dir, "").ok().flatten() {
        Some(repo) => Some(repo.root()),
        // A repository made by `makeinfra new --no-git`.
        None => Some(dir).filter(|dir| dir.join(Record::FILE).is_file()),
    }
}

/// The report for the result `done`: a failure gets the repository at `root` and, if it is about
/// one, the environment.
#[must_use]
pub fn reported(
    done: Result<Report>,
    root: impl FnOnce() -> Option<PathBuf>,
    environment: Option<&str>,
) -> Report {
    let failed = |error| Report::failed(&error, root()).for_env(environment);
    settled(done.unwrap_or_else(failed))
}

/// `report` with unlock hints adapted to the current state of the clone.
fn settled(mut report: Report) -> Report {
    let Some(root) = report.repo.clone() else { return report };
    let hint = report.error.as_mut().and_then(|error| error.hint.as_mut());
    unlock_as_needed(&root, report.next.iter_mut().chain(hint));
    report
}

/// Extends the unlock hints in `hints` by what the clone at `root` requires first, such as stashing
/// edits.
fn unlock_as_needed<'a>(root: &Path, hints: impl Iterator<Item = &'a mut Advice>) {
    let mut hints = hints.filter(|hint| hint.unlocks()).peekable();
    if hints.peek().is_none() {
        return;
    }
    let Ok(Some(repo)) = Repo::around(root, "") else { return };
    let unlocking = repo.unlocking();
    for hint in hints {
        *hint = std::mem::take(hint).unlocking(&unlocking);
    }
}

/// A commit id abbreviated for display.
fn short(commit: &str) -> &str {
    &commit[..commit.len().min(8)]
}
