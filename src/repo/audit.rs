//! What git holds of the secrets: which paths it encrypts, and which blobs are plaintext
//! nonetheless. Changes nothing, and never shows what a blob holds.

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

/// How the paths that matter are protected, and what git holds of them.
#[derive(Debug, Default)]
pub struct Audit {
    /// Secret files, each with the filter by which git-crypt's attribute covers it, or with what
    /// would cover it.
    pub covered: BTreeMap<String, std::result::Result<String, Remedy>>,
    /// Attribute files that git-crypt encrypts, so that git cannot read them in a locked clone,
    /// each with what ends that.
    pub closed_attributes: Vec<(String, Remedy)>,
    /// Secret files whose ciphertext git would change, each with the attribute that makes it so and
    /// with what ends that.
    pub spoiled: Vec<(String, &'static str, Remedy)>,
    /// The filters that the attribute names.
    pub filters: Vec<Filter>,
    /// Files of which the index has what an earlier commit has, and HEAD and the work tree
    /// something else.
    pub behind: Vec<String>,
    /// Files of the work tree that are to be deployed, and that git ignores and does not track.
    pub ignored: Vec<String>,
    /// Files of a generated repository that are to be deployed, and that git does not track.
    pub untracked: Vec<String>,
    /// Generated files that HEAD has, and the work tree has not.
    pub lost: BTreeSet<String>,
    /// The environments that the record in HEAD has.
    pub environments: BTreeSet<String>,
    /// Files below `secrets/` that a merge left open.
    pub unmerged: Vec<Unmerged>,
    /// The index.
    pub index: Plain,
    /// The commit that HEAD names; none where there is no commit yet.
    pub head: Option<Plain>,
    /// All commits; none where they were not asked for.
    pub history: Option<History>,
    /// What to type so that this clone can encrypt.
    pub unlock: &'static str,
}

/// A git-crypt filter, as this clone has it.
#[derive(Debug)]
pub struct Filter {
    /// `git-crypt` or `git-crypt-KEYNAME`.
    pub name: String,
    /// Whether git would run git-crypt.
    pub configured: bool,
    /// Whether the program that git would run is on this machine.
    pub program: Program,
    /// Whether git fails where it cannot.
    pub required: bool,
    /// The state of its key.
    pub key: KeyState,
    /// The mode of the key file, if there is one.
    pub mode: Option<u32>,
    /// The key file's path.
    pub file: String,
}

/// Where the program of a filter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Where git looks for it.
    There,
    /// Not on the path, where git looks for it.
    NotOnPath,
    /// Not at the place that the configuration names.
    NotAtItsPlace,
}

/// Whether a filter's key is of use.
#[derive(Debug, PartialEq, Eq)]
pub enum KeyState {
    /// There is no key file.
    Missing,
    /// The key file is none.
    Broken,
    /// It was tried on what the index and HEAD hold, if there is anything.
    Tried(Trial),
}

impl Repo {
    /// Looks at everything under `secrets/`, at all that `.gitattributes` gives to git-crypt, and
    /// at the files `also`. `present` are the secret files of the work tree.
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
            // Where the attribute is lost, the rest may still be in order.
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
            // To find out takes a walk through HEAD.
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

    /// Whether git would leave `path`, below the top of the work tree, out.
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
                Some(program) if is_installed(&program) => Program::There,
                Some(program) if program.contains('/') => Program::NotAtItsPlace,
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
