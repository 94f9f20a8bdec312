//! What git holds of the secrets: which paths it encrypts, and which blobs are plaintext
//! nonetheless. Changes nothing and never shows a blob's content.

use super::attributes::Remedy;
use super::auditor::{Auditor, Plain, is_gits_own};
use super::history::History;
use super::trial::{self, Trial};
use super::unmerged::Unmerged;
use super::{Repo, failed, plain_index};
use crate::environment;
use crate::error::Result;
use crate::git_crypt::{self, Key, UNLOCK};
use git2::Oid;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// How the relevant paths are protected, and what git holds of them.
#[derive(Debug, Default)]
pub struct Audit {
    /// Secret files, each with the git-crypt filter that covers it, or with the change that would
    /// cover it.
    pub covered: BTreeMap<String, std::result::Result<String, Remedy>>,
    /// Attribute files that git-crypt encrypts, which makes them unreadable in a locked clone, each
    /// with its remedy.
    pub closed_attributes: Vec<(String, Remedy)>,
    /// Secret files whose ciphertext git would alter, each with the responsible attribute and its
    /// remedy.
    pub spoiled: Vec<(String, &'static str, Remedy)>,
    /// The filters that the attributes name.
    pub filters: Vec<Filter>,
    /// Files whose index entry matches an earlier commit, while HEAD and the work tree agree on
    /// newer content.
    pub behind: Vec<String>,
    /// Files in the work tree that should be deployed, but that git ignores and does not track.
    pub ignored: Vec<String>,
    /// Files of a generated repository that should be deployed, but that git does not track.
    pub untracked: Vec<String>,
    /// Generated files that are in HEAD but not in the work tree.
    pub lost: BTreeSet<String>,
    /// Environments in the record of HEAD.
    pub environments: BTreeSet<String>,
    /// Files below `secrets/` with unresolved merge conflicts.
    pub unmerged: Vec<Unmerged>,
    /// Secret files of the index.
    pub index: Plain,
    /// Secret files of HEAD; `None` before the first commit.
    pub head: Option<Plain>,
    /// Findings in all commits; `None` if they were not requested.
    pub history: Option<History>,
    /// The command that unlocks this clone.
    pub unlock: &'static str,
}

/// A git-crypt filter as set up in this clone.
#[derive(Debug)]
pub struct Filter {
    /// `git-crypt` or `git-crypt-KEYNAME`.
    pub name: String,
    /// Whether git's configuration has the filter.
    pub configured: bool,
    /// Whether the program that git would run exists on this machine.
    pub program: Program,
    /// Whether git fails if the filter cannot run (`filter.NAME.required`).
    pub required: bool,
    /// State of the filter's key.
    pub key: KeyState,
    /// Mode of the key file; `None` if there is none.
    pub mode: Option<u32>,
    /// Path of the key file.
    pub file: String,
}

/// Location of a filter's program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Found where git looks for it.
    Found,
    /// Not on `PATH`, where git looks for it.
    NotOnPath,
    /// Not at the path that the configuration names.
    Missing,
}

/// Whether a filter's key is usable.
#[derive(Debug, PartialEq, Eq)]
pub enum KeyState {
    /// There is no key file.
    Missing,
    /// The file is not a valid key file.
    Broken,
    /// The key was tried on what the index and HEAD hold, if anything.
    Tried(Trial),
}

impl Repo {
    /// Examines everything below `secrets/`, everything that `.gitattributes` assigns to git-crypt,
    /// and the files `also`. `present` are the secret files of the work tree.
    pub fn audit(&self, present: &[String], also: &[String], history: bool) -> Result<Audit> {
        let in_git =
            |paths: &[String]| paths.iter().map(|path| self.in_git(path)).collect::<Vec<_>>();
        let (present, also) = (in_git(present), in_git(also));
        let mut auditor = Auditor::new(self, &also)?;
        let index = auditor
            .index()
            .map_err(|error| failed("read the index", &error).hint(plain_index()))?;
        let run = |auditor: &mut Auditor| -> std::result::Result<Audit, git2::Error> {
            let mut covered = BTreeMap::new();
            let names = index.iter().map(|(path, _)| path).chain(&present).chain(&also);
            for path in names.filter(|path| !is_gits_own(path)) {
                if !covered.contains_key(path) {
                    covered.insert(path.clone(), auditor.attributes.cover(path, &self.prefix));
                }
            }
            let encrypted = covered.iter().filter(|(_, filter)| filter.is_ok());
            let spoiled = encrypted.filter_map(|(path, _)| {
                let attribute = auditor.attributes.spoiled(path)?;
                let remedy = auditor.attributes.unspoil(path, &self.prefix);
                Some((self.out_of_git(path.clone()), attribute, remedy))
            });
            let spoiled = spoiled.collect();
            let default = git_crypt::FILTER.to_owned();
            let mut used: BTreeSet<&String> = covered.values().flatten().collect();
            // The attribute may be missing while everything else is still in order.
            if used.is_empty() && !covered.is_empty() {
                used.insert(&default);
            }
            let head = auditor.head()?;
            let both: BTreeSet<_> = index.iter().chain(head.iter().flatten()).collect();
            let filters: Vec<_> =
                used.into_iter().map(|name| self.filter_state(name, &covered, &both)).collect();
            let opens =
                |key: &KeyState| matches!(key, KeyState::Tried(trial) if trial.closed.is_empty());
            let works = |filter: &Filter| filter.configured && opens(&filter.key);
            // Determining the command walks HEAD's tree.
            let unlock = if filters.iter().all(works) { UNLOCK } else { self.unlock_or_init() };
            let known: HashSet<_> = head.iter().flatten().cloned().collect();
            Ok(Audit {
                unlock,
                filters,
                covered: covered
                    .into_iter()
                    .map(|(path, filter)| (self.out_of_git(path), filter))
                    .collect(),
                spoiled,
                closed_attributes: auditor.closed_attributes()?,
                behind: if self.is_merging() { Vec::new() } else { self.behind_paths()? },
                ignored: Vec::new(),
                untracked: Vec::new(),
                lost: BTreeSet::new(),
                environments: BTreeSet::new(),
                unmerged: self.unmerged()?,
                index: auditor.plain(&index)?,
                head: head.map(|files| auditor.plain(&files)).transpose()?,
                history: if history { Some(auditor.history(&known)?) } else { None },
            })
        };
        Ok(run(&mut auditor).map_err(|error| failed("read the repository", &error))?)
    }

    /// Whether git ignores `path`, which is relative to the top of the work tree.
    #[must_use]
    pub fn ignores(&self, path: &str) -> bool {
        self.git.is_path_ignored(self.in_git(path)).unwrap_or(false)
    }

    fn filter_state(
        &self,
        name: &str,
        covered: &BTreeMap<String, std::result::Result<String, Remedy>>,
        files: &BTreeSet<&(String, Oid)>,
    ) -> Filter {
        let config = self.git.config().and_then(|mut config| config.snapshot());
        let clean = config
            .as_ref()
            .ok()
            .and_then(|config| config.get_str(&format!("filter.{name}.clean")).ok());
        let required = config.as_ref().is_ok_and(|config| {
            config.get_bool(&format!("filter.{name}.required")).unwrap_or(false)
        });
        let file = self.key_file(name);
        let key = match trial::read(&file) {
            Ok(None) => KeyState::Missing,
            Err(_) => KeyState::Broken,
            Ok(Some(bytes)) => match Key::from_file(&bytes) {
                Err(_) => KeyState::Broken,
                Ok(key) => {
                    let of_filter = |path: &String| {
                        covered.get(path).is_some_and(|found| found.as_deref() == Ok(name))
                    };
                    let mut trial = Trial::default();
                    for (path, id) in files.iter().filter(|(path, _)| of_filter(path)) {
                        if let Ok(blob) = self.git.find_blob(*id) {
                            trial.on(&key, &self.out_of_git(path.clone()), blob.content());
                        }
                    }
                    trial.closed.dedup();
                    KeyState::Tried(trial)
                }
            },
        };
        let program = clean.and_then(git_crypt::filter_program);
        Filter {
            name: name.to_owned(),
            configured: clean.is_some_and(git_crypt::is_filter_command),
            program: match program {
                Some(program) if is_installed(&program) => Program::Found,
                Some(program) if program.contains('/') => Program::Missing,
                _ => Program::NotOnPath,
            },
            required,
            key,
            mode: file.metadata().ok().map(|found| found.permissions().mode() & 0o7777),
            file: file.display().to_string(),
        }
    }
}

/// Whether a shell would find `program`.
fn is_installed(program: &str) -> bool {
    let can_run = |path: &Path| {
        path.metadata()
            .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        return can_run(Path::new(program));
    }
    let path = environment::raw("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| can_run(&dir.join(program)))
}
