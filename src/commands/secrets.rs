//! The commands below `makeinfra secret`, one file each. This file has what they share: choosing
//! environments, reading the files below `secrets/`, and writing and committing a change.

mod list;
mod set;
mod unset;

pub use list::list;
pub use set::set;
pub use unset::unset;

use super::encrypted::{self, commit_step};
use super::not_generated;
use super::transaction::Transaction;
use crate::advice::{Advice, shell_word};
use crate::answers::{Answer, DnsLabel, Environment, Record};
use crate::cli::{EnvironmentChoice, no_argument_for_a_value};
use crate::error::{Failure, Kind, Result};
use crate::files;
use crate::git_crypt::{self, UNLOCK};
use crate::opaque::{
    Directory, DirectoryFault, Effect, EnvFile, Key, Kustomization, MisleadingLine, SecretChange,
};
use crate::pull_secret::begins_like_a_token;
use crate::repo::Repo;
use crate::report::{FileChange, Report};
use crate::ui::{self, Ui};
use crate::work_tree::Content;
use serde_json::json;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Size limit, above the value of a Secret and its kustomization.
const LIMIT: usize = 4 << 20;

/// The repository and the chosen environments.
struct Target {
    repo: Repo,
    record: Record,
    /// Indices of the chosen environments.
    places: Vec<usize>,
    disk: Disk,
}

/// The files of the work tree; caches what was read.
struct Disk {
    root: PathBuf,
    seen: RefCell<BTreeMap<String, Option<Zeroizing<Vec<u8>>>>>,
}

/// What HEAD lacks of the directories that change.
#[derive(Default)]
struct Uncommitted {
    /// The files after the change.
    files: BTreeMap<String, Zeroizing<Vec<u8>>>,
    /// Files in HEAD that are deleted.
    gone: BTreeSet<String>,
}

/// The advice for values that are stored in plaintext.
const STAKE: &str = "those values; change them where they are used";

impl Target {
    /// Opens the repository at `repo` for `command`.
    fn find(repo: &Path, choice: &EnvironmentChoice, command: &str) -> Result<Self> {
        if files::existing_directory(repo).is_none() {
            return Err(no_argument_for_a_value("`REPO` must be a directory that exists").into());
        }
        let repo = Repo::find(repo, command)?;
        let root = repo.root();
        let record = encrypted::read("read", Record::FILE, &root.join(Record::FILE))?
            .ok_or_else(|| not_generated(&root, format!("no `{}`", Record::FILE)))?;
        let record = Record::parse(record.expose().to_owned())?;
        let places = places(choice, &record)?;
        Ok(Self { disk: Disk { root, seen: RefCell::default() }, repo, record, places })
    }

    fn environments(&self) -> impl Iterator<Item = &Environment> {
        let all = self.record.answers.environments.iter().enumerate();
        all.filter(|(place, _)| self.places.contains(place)).map(|(_, one)| one)
    }

    /// Fails if the keys of the Secret `name` are managed elsewhere.
    fn check_name(&self, name: &DnsLabel) -> Result<()> {
        if *name == self.record.answers.secret_name {
            return Err(Failure::usage(format!("`{name}` is the pull secret"))
                .because("it contains only the deploy token")
                .hint(Advice::makeinfra("rotate"))
                .into());
        }
        Ok(())
    }

    /// The directories of Secrets, one for each chosen environment. `verb` is the action on `name`.
    fn directories<'t>(
        &'t self,
        read: &'t dyn Fn(&str) -> Content,
        name: &DnsLabel,
        verb: &str,
    ) -> Result<Vec<Directory<'t>>> {
        let project = self.record.answers.project.as_str();
        let open = |one: &'t Environment| {
            let directory = Directory::open(&one.secrets, project, read)
                .map_err(|fault| self.failure(verb, fault))?;
            let manifests = directory.manifests().map_err(|fault| self.failure(verb, fault))?;
            if let Some(found) = manifests.iter().find(|found| found.name == name.as_str()) {
                return Err(Failure::failed(format!("cannot {verb} Secret `{name}`"))
                    .because(format!(
                        "`{}` is a manifest of it, but this command only changes generated Secrets",
                        found.path
                    ))
                    .hint(if found.is_pull {
                        Advice::makeinfra("rotate")
                    } else {
                        Advice::edit(&found.path)
                    })
                    .into());
            }
            directory.check(name.as_str()).map_err(|fault| self.failure(verb, fault))?;
            Ok(directory)
        };
        self.environments().map(open).collect()
    }

    /// Fails if git would store a file of the Secret `name` in plaintext, or if a commit is not
    /// possible.
    fn check_git(&self, directories: &[Directory], commit: bool, ui: &mut Ui) -> Result<()> {
        for directory in directories {
            self.repo.check_protected(directory.path())?;
        }
        if commit {
            self.repo.check_can_commit()?;
            if self.repo.wants_signed_commits() {
                ui.warn("git is configured to sign commits, but this commit will not be signed");
            }
            // Otherwise a missing key would only be noticed after writing.
            directories
                .iter()
                .try_for_each(|directory| self.repo.key(directory.path()).map(drop))?;
        }
        Ok(())
    }

    /// What HEAD lacks of the directories after `changes`, one for each environment. With `commit`,
    /// fails if it cannot be committed.
    fn uncommitted(
        &self,
        name: &DnsLabel,
        key: &Key,
        directories: &[Directory],
        changes: &[SecretChange],
        commit: bool,
        ui: &mut Ui,
    ) -> Result<Uncommitted> {
        let mut all = Uncommitted::default();
        for ((one, directory), change) in self.environments().zip(directories).zip(changes) {
            let own = own_files(one, name, key);
            let removed = |path: &str| change.removals.iter().any(|removal| removal.path == path);
            let after = |path: &str| match change.writes.iter().find(|write| write.path == path) {
                Some(write) => Some(write.bytes.clone()),
                None if removed(path) => None,
                None => match self.disk.read(path) {
                    Content::Bytes(bytes) => Some(bytes),
                    _ => None,
                },
            };
            let text = after(directory.path()).unwrap_or_default();
            let named = Kustomization::parse(std::str::from_utf8(&text).unwrap_or_default()).ok();
            let named: Vec<_> = named.iter().flat_map(|found| found.files(&one.secrets)).collect();
            let gone = own.iter().chain(change.removals.iter().map(|removal| &removal.path));
            for path in gone.filter(|path| after(path).is_none() && !named.contains(path)) {
                all.gone.extend(self.repo.has_in_head(path)?.then(|| path.clone()));
            }
            let touched = change.writes.iter().map(|write| &write.path);
            let mine = [directory.path().to_owned(), change.place.clone()];
            // A commit whose kustomization refers to a missing file could not be built.
            let mut missing = Vec::new();
            for path in &named {
                missing.extend((!self.repo.has_in_head(path)?).then_some(path));
            }
            for path in touched.chain(&mine).chain(missing) {
                let Some(bytes) = after(path) else { continue };
                self.repo.check_protected(path)?;
                if encrypted::check_head_bytes(&self.repo, path, Some(&bytes), commit, STAKE, ui)? {
                    all.files.insert(path.clone(), bytes);
                }
            }
        }
        Ok(all)
    }

    /// Whether HEAD has `key` of the Secret `name` in one of the environments, as far as this clone
    /// can decrypt.
    fn is_in_head(&self, name: &DnsLabel, key: &Key) -> Result<bool> {
        for one in self.environments() {
            let [env, file] = own_files(one, name, key);
            let text = match self.repo.key(&env) {
                Ok(opens) => self.repo.head_plain(&env, &opens)?,
                Err(_) => None,
            };
            if self.repo.has_in_head(&file)?
                || text.is_some_and(|text| EnvFile::parse(&text).has(key))
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes `changes`, and commits what HEAD lacks if requested. Returns the commit's id.
    fn apply(
        &self,
        changes: &[SecretChange],
        commit: Option<(&Uncommitted, &str)>,
    ) -> Result<Option<String>> {
        let mut transaction = Transaction::begin(&self.repo)?;
        for write in changes.iter().flat_map(|change| &change.writes) {
            transaction.write(&write.path, &write.bytes, None)?;
        }
        for removal in changes.iter().flat_map(|change| &change.removals) {
            transaction.delete(&removal.path)?;
        }
        for (path, bytes) in commit.iter().flat_map(|(what, _)| &what.files) {
            transaction.stage(path, bytes, false)?;
        }
        for path in commit.iter().flat_map(|(what, _)| &what.gone) {
            transaction.stage_removal(path);
        }
        transaction
            .finish(commit.map_or("", |(_, message)| message), || self.disk.check_unchanged())
    }

    /// The report of `changes`, and of files that only need to be committed, before they are
    /// written.
    fn report(
        &self,
        changes: &[SecretChange],
        commit: Option<&Uncommitted>,
        dry_run: bool,
    ) -> Report {
        let written = changes.iter().flat_map(|change| &change.writes).map(|write| {
            let is_new = matches!(self.disk.read(&write.path), Content::Absent);
            FileChange::new(&write.path, if is_new { "new" } else { "changed" })
        });
        let removals = changes.iter().flat_map(|change| &change.removals);
        let deleted = removals.map(|removal| FileChange::new(&removal.path, "deleted"));
        let mut files: Vec<_> = written.chain(deleted).collect();
        for one in commit.iter().flat_map(|what| what.changes(&self.repo)) {
            if !files.iter().any(|known| known.path == one.path) {
                files.push(one);
            }
        }
        Report {
            repo: Some(self.disk.root.clone()),
            files,
            own: json!({
                "dry_run": dry_run,
                "created": changes.iter().any(|change| change.effect == Effect::Create),
                "commit": null,
            }),
            ..Report::default()
        }
    }

    /// The files of `changes` as a tree with a note on each; without sizes, which would reveal the
    /// length of a value.
    fn tree(&self, changes: &[SecretChange]) -> String {
        let mut files: Vec<(&str, String)> = Vec::new();
        for change in changes {
            files.extend(
                change.writes.iter().map(|write| (write.path.as_str(), write.note.clone())),
            );
            files.extend(
                change
                    .removals
                    .iter()
                    .map(|removal| (removal.path.as_str(), format!("deleted: {}", removal.note))),
            );
        }
        files.sort();
        ui::tree(&self.disk.root.to_string_lossy(), &files)
    }

    /// The commands that deploy a change to the environments' clusters.
    fn deploy_steps(&self, why: &'static str) -> Vec<Advice> {
        let step = |(at, one)| {
            let why = if at == 0 { why } else { "" };
            Advice::make("deploy").for_env(self.record.answers.choice(one)).why(why)
        };
        self.environments().enumerate().map(step).collect()
    }

    /// The failure to do `verb` because of a file.
    fn failure(&self, verb: &str, fault: DirectoryFault) -> anyhow::Error {
        let is_lost = !self.disk.root.join(&fault.path).exists()
            && self.repo.has_in_head(&fault.path).unwrap_or(false);
        let hint = match (fault.is_locked, is_lost) {
            (true, _) => Advice::at_top(UNLOCK),
            (false, true) => {
                Advice::git(format!("checkout HEAD -- {}", shell_word(Path::new(&fault.path))))
            }
            (false, false) => Advice::edit(&fault.path),
        };
        let kind = if fault.is_locked { Kind::Locked } else { Kind::Failed };
        let failure = Failure::failed(format!("cannot {verb} `{}`", fault.path)).kind(kind);
        failure.because(fault.why).hint(hint).into()
    }
}

impl Disk {
    fn read(&self, path: &str) -> Content {
        if let Some(known) = self.seen.borrow().get(path) {
            return known.clone().map_or(Content::Absent, Content::Bytes);
        }
        let file = self.root.join(path);
        if let Some(why) = files::not_a_repo_file_because(path, &file) {
            return Content::Unread(why);
        }
        let Ok(bytes) = files::read(&file, LIMIT) else {
            let is_large = file.metadata().is_ok_and(|found| found.len() > LIMIT as u64);
            return Content::Unread(if is_large {
                "it is larger than 4 MiB"
            } else {
                "it cannot be read"
            });
        };
        if bytes.as_ref().is_some_and(|bytes| git_crypt::is_encrypted(bytes)) {
            return Content::Locked;
        }
        self.seen.borrow_mut().insert(path.to_owned(), bytes.clone());
        bytes.map_or(Content::Absent, Content::Bytes)
    }

    /// Fails if a file has changed since it was read, for example during a prompt.
    fn check_unchanged(&self) -> Result<()> {
        let seen = self.seen.borrow();
        let changed = seen.iter().find(|(path, before)| {
            let now = files::read(&self.root.join(path), LIMIT).ok().flatten();
            now != **before || files::not_a_repo_file_because(path, &self.root.join(path)).is_some()
        });
        let Some((path, _)) = changed else { return Ok(()) };
        Err(encrypted::changed_meanwhile(&format!("`{path}` was")).into())
    }
}

impl Uncommitted {
    fn is_empty(&self) -> bool {
        self.files.is_empty() && self.gone.is_empty()
    }

    /// The changes to these files in HEAD.
    fn changes(&self, repo: &Repo) -> impl Iterator<Item = FileChange> {
        let word =
            |path: &String| if repo.has_in_head(path).unwrap_or(false) { "changed" } else { "new" };
        let files = self.files.keys().map(move |path| FileChange::new(path, word(path)));
        files.chain(self.gone.iter().map(|path| FileChange::new(path, "deleted")))
    }

    /// The command that commits them; `None` if HEAD has them.
    fn commit_step(&self, repo: &Repo, message: &str) -> Option<Advice> {
        let paths: Vec<_> = self.files.keys().chain(&self.gone).collect();
        (!paths.is_empty()).then(|| commit_step(repo, &paths, message))
    }
}

/// Parses name and key. An invalid one is not quoted, because it may be a value.
fn parse(name: &str, key: &str) -> Result<(DnsLabel, Key)> {
    let bad = |what: &str, rule: &str| no_argument_for_a_value(&format!("`{what}` {rule}"));
    if begins_like_a_token(name) {
        return Err(
            bad("NAME", "must be the name of a Secret, but this begins like a token").into()
        );
    }
    let name = DnsLabel::parse(name).map_err(|rule| bad("NAME", rule))?;
    let key = Key::parse(key).map_err(|rule| bad("KEY", rule))?;
    Ok((name, key))
}

/// The default files for a key of the Secret `name`.
fn own_files(environment: &Environment, name: &DnsLabel, key: &Key) -> [String; 2] {
    let dir = &environment.secrets;
    [format!("{dir}/{name}.env"), format!("{dir}/{name}.d/{}", key.as_str())]
}

/// Indices of the chosen environments.
fn places(choice: &EnvironmentChoice, record: &Record) -> Result<Vec<usize>> {
    let environments = &record.answers.environments;
    match &choice.env {
        Some(name) => {
            let place = environments.iter().position(|one| one.is_called(name));
            Ok(vec![place.ok_or_else(|| record.no_environment())?])
        }
        None if choice.all_environments || environments.rest.is_empty() => {
            Ok((0..environments.iter().count()).collect())
        }
        None => {
            let names: Vec<_> = environments.iter().map(|one| one.name.as_str()).collect();
            Err(Failure::usage(
                "`--env` or `--all-environments` is required: there are several environments",
            )
            .because(names.join(", "))
            .hint(format!("--env {}", environments.first.name))
            .into())
        }
    }
}

/// Whether any of `changes` writes or deletes a file.
fn is_change(changes: &[SecretChange]) -> bool {
    changes.iter().any(|change| !matches!(change.effect, Effect::Hold | Effect::Lack))
}

/// Warns about misleading lines in env files.
fn warn_of_traps<'t>(
    traps: impl Iterator<Item = &'t (String, usize, MisleadingLine)>,
    ui: &mut Ui,
) {
    for (path, line, trap) in traps {
        ui.warn(format!("line {line} of `{path}`: {}", trap.message()));
    }
}
