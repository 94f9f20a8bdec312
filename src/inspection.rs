//! Reads a repository for those who judge it: its files, what git holds of them, its pull secrets and
//! what its manifests deploy. Opens locked files in memory where the key is at hand. Writes nothing,
//! judges nothing (see `checks`).

use crate::answers::{DnsLabel, Record};
use crate::context::secret_file;
use crate::error::{Failure, Result};
use crate::files::shell_word;
use crate::git_crypt::{self, Key};
use crate::manifests::{Files, Manifests};
use crate::pull_secret::Inspected;
use crate::repo::{self, Audit, Repo, SECRETS};
use crate::work_tree::{Content, WorkTree};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The directory of the manifests, if none is named.
const MANIFESTS: &str = "kubernetes";

/// Which repository, and what of it.
#[derive(Debug, Default)]
pub struct Scope {
    /// The repository, or a directory in it.
    pub repo: PathBuf,
    /// Directories of manifests; none: `kubernetes`.
    pub manifests: Vec<PathBuf>,
    /// Files with pull secrets; none: those under `secrets/` and among the manifests.
    pub secrets: Vec<PathBuf>,
    /// Whether to read all commits.
    pub history: bool,
}

/// A repository as it is.
pub struct Inspection {
    /// The top of it.
    pub root: PathBuf,
    /// What git holds; none outside of git.
    pub git: Option<Audit>,
    /// `.makeinfra.yaml`, or why it was not understood.
    pub record: Option<Result<Record>>,
    /// The files under `secrets/`, and those that were named as secrets.
    pub secret_files: Vec<SecretFile>,
    /// The pull secrets.
    pub pull_secrets: Vec<PullSecret>,
    /// What is deployed.
    pub manifests: Manifests,
    /// The directories of the manifests.
    pub dirs: Vec<String>,
    /// The Makefile: its path and text.
    pub makefile: Option<(String, String)>,
    /// git-crypt keys that lie in the work tree.
    pub key_files: Vec<String>,
    /// What could not be looked into.
    pub unread: Vec<String>,
}

/// A file that holds secrets.
pub struct SecretFile {
    /// Its path.
    pub path: String,
    /// Its permissions.
    pub mode: u32,
    /// Whether it lies there in plain.
    pub state: State,
    /// Whether there must be a pull secret in it.
    pub expected: bool,
}

/// How far a secret file could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is plain.
    Plain,
    /// It is encrypted and was decrypted with this clone's key.
    Opened,
    /// It is encrypted, and the key is missing or another.
    Locked,
    /// It is not there.
    Absent,
    /// It was not read: why, as a sentence about "it".
    Unread(&'static str),
    /// It is not YAML, though its name says so.
    NotYaml,
}

/// A pull secret and where it stands.
pub struct PullSecret {
    /// Its file.
    pub path: String,
    /// What it is.
    pub secret: Inspected,
}

impl Inspection {
    /// Reads the repository; `command` is for hints.
    pub fn of(scope: &Scope, command: &str) -> Result<Self> {
        let start = repo::directory(&scope.repo, command)?;
        let repo = Repo::around(&start, command)?;
        let has_record = start.join(Record::FILE).is_file();
        if repo.is_none() && !has_record && (scope.manifests.is_empty() || scope.secrets.is_empty()) {
            return Err(Failure::failed(format!("no git repository at `{}`", start.display()))
                .because("neither there nor in any directory above")
                .hint(format!(
                    "cd PROJECT-infra, or name what to look at: makeinfra {command} --manifests DIR --secret FILE"
                ))
                .into());
        }
        let root = repo.as_ref().map_or(start, Repo::root);
        // Links on the way to the top are no links out of it.
        let root = root.canonicalize().unwrap_or(root);
        let dirs = named(&root, &scope.manifests, "--manifests", Path::is_dir)?;
        let secrets = named(&root, &scope.secrets, "--secret", Path::is_file)?;
        Reader {
            tree: WorkTree::list(&root, |dir| {
                repo.as_ref().is_some_and(|repo| repo.ignores(&format!("{dir}/")))
            })?,
            dirs: if dirs.is_empty() { vec![MANIFESTS.to_owned()] } else { dirs },
            secrets,
            repo,
        }
        .read(scope)
    }
}

/// The paths that the option `option` gives, below `root`.
fn named(root: &Path, paths: &[PathBuf], option: &str, right: fn(&Path) -> bool) -> Result<Vec<String>> {
    let below = |path: &PathBuf| {
        let real = path.canonicalize().ok().filter(|real| right(real));
        let inside = real.as_ref().and_then(|real| real.strip_prefix(root).ok());
        inside.map(|inside| inside.to_string_lossy().into_owned()).ok_or_else(|| {
            // What leads nowhere may be a token in the wrong place: it is not quoted.
            let what = if option == "--secret" { "a file" } else { "a directory" };
            let hint = format!("makeinfra check {} {option} PATH", shell_word(root));
            Failure::usage(format!("`{option}` must be {what} in the repository")).hint(hint).into()
        })
    };
    paths.iter().map(below).collect()
}

struct Reader {
    repo: Option<Repo>,
    tree: WorkTree,
    dirs: Vec<String>,
    secrets: Vec<String>,
}

impl Reader {
    fn read(self, scope: &Scope) -> Result<Inspection> {
        let record = self.tree.read(Record::FILE).text().map(|text| Record::parse(text.to_owned()));
        let named = !self.secrets.is_empty();
        let expected = match &record {
            _ if named => self.secrets.clone(),
            Some(Ok(record)) => vec![secret_file(&record.answers.secret_name)],
            _ => Vec::new(),
        };
        let mut secrets: Vec<(String, u32)> =
            self.tree.at(SECRETS).map(|(path, mode)| (path.to_owned(), mode)).collect();
        for path in &expected {
            if !secrets.iter().any(|(found, _)| found == path) {
                let mode = self.tree.at(path).next().map_or(0, |(_, mode)| mode);
                secrets.push((path.clone(), mode));
            }
        }
        let files = self.manifest_files();
        let mut inspection = Inspection {
            git: None,
            secret_files: Vec::new(),
            pull_secrets: Vec::new(),
            manifests: Manifests::read(&files, &self.dirs),
            makefile: self.makefile(),
            key_files: self.tree.key_files().to_vec(),
            unread: self.tree.unread().to_vec(),
            root: self.tree.root().to_owned(),
            dirs: self.dirs.clone(),
            record,
        };
        if let Some(repo) = &self.repo {
            let ignored = |path: &&String| !expected.contains(path) && repo.ignores(path);
            let present: Vec<_> =
                secrets.iter().map(|(path, _)| path).filter(|path| !ignored(path)).cloned().collect();
            inspection.git = Some(repo.audit(&present, &expected, scope.history)?);
        }
        for (path, mode) in secrets {
            let looked_at = !named || expected.contains(&path);
            let (state, found) = self.secret_file(&path);
            inspection.secret_files.push(SecretFile {
                expected: expected.contains(&path),
                path: path.clone(),
                mode: mode & 0o7777,
                state,
            });
            if looked_at {
                let found = found.into_iter().map(|secret| PullSecret { path: path.clone(), secret });
                inspection.pull_secrets.extend(found);
            }
        }
        if !named {
            for (path, content) in &files {
                if !inspection.secret_files.iter().any(|file| file.path == *path) {
                    let found = content.text().map(pull_secrets_in).unwrap_or_default().unwrap_or_default();
                    let found = found.into_iter().map(|secret| PullSecret { path: path.clone(), secret });
                    inspection.pull_secrets.extend(found);
                }
            }
        }
        Ok(inspection)
    }

    /// The YAML and JSON files of the manifests' directories, and what their kustomizations refer to.
    fn manifest_files(&self) -> Files {
        let is_manifest = |path: &str| {
            let name = path.rsplit('/').next().unwrap_or(path);
            is_yaml(path) || has_extension(path, "json") || name == "Kustomization"
        };
        let mut files = Files::new();
        for dir in &self.dirs {
            for (path, _) in self.tree.at(dir).filter(|(path, _)| is_manifest(path) && !is_secret(path)) {
                files.insert(path.to_owned(), self.open(path));
            }
        }
        loop {
            let wanted = Manifests::wanted(&files);
            if wanted.is_empty() {
                return files;
            }
            for path in wanted {
                let content = self.open(&path);
                files.insert(path, content);
            }
        }
    }

    /// Reads a file, and decrypts it if it is locked and this clone has its key.
    fn open(&self, path: &str) -> Content {
        match self.tree.read(path) {
            Content::Bytes(bytes) if git_crypt::is_encrypted(&bytes) => {
                match self.key(path).and_then(|key| key.decrypt(&bytes)) {
                    Some(plain) => Content::Bytes(plain),
                    None => Content::Locked,
                }
            }
            content => content,
        }
    }

    fn key(&self, path: &str) -> Option<Key> {
        self.repo.as_ref()?.key(path).ok()
    }

    /// How a secret file is, with the pull secrets in it.
    fn secret_file(&self, path: &str) -> (State, Vec<Inspected>) {
        let locked = matches!(self.tree.read(path), Content::Bytes(bytes) if git_crypt::is_encrypted(&bytes));
        let content = self.open(path);
        let state = match &content {
            Content::Absent => State::Absent,
            Content::Locked => State::Locked,
            Content::Unread(why) => State::Unread(why),
            Content::Bytes(_) if locked => State::Opened,
            Content::Bytes(_) => State::Plain,
        };
        if !is_yaml(path) && !self.secrets.iter().any(|named| named == path) {
            return (state, Vec::new());
        }
        match content.text().map(pull_secrets_in) {
            Some(Some(found)) => (state, found),
            Some(None) => (State::NotYaml, Vec::new()),
            None => (state, Vec::new()),
        }
    }

    /// The Makefile at the top, or beside the manifests, as in the blog post.
    fn makefile(&self) -> Option<(String, String)> {
        let dirs = std::iter::once("").chain(self.dirs.iter().map(String::as_str));
        let names = ["GNUmakefile", "makefile", "Makefile"];
        let paths = dirs.flat_map(|dir| names.map(|name| format!("{dir}/{name}")));
        paths.map(|path| path.trim_start_matches('/').to_owned()).find_map(|path| {
            let text = self.tree.read(&path).text()?.to_owned();
            Some((path, text))
        })
    }
}

/// The pull secrets in a file; none if it is not YAML.
fn pull_secrets_in(text: &str) -> Option<Vec<Inspected>> {
    let mut found = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        let mut value = serde_yaml::Value::deserialize(document).ok()?;
        value.apply_merge().ok()?;
        let items = value.get("items").and_then(serde_yaml::Value::as_sequence);
        found.extend(items.into_iter().flatten().chain([&value]).filter_map(Inspected::of));
    }
    Some(found)
}

fn is_secret(path: &str) -> bool {
    path.starts_with(SECRETS)
}

fn is_yaml(path: &str) -> bool {
    has_extension(path, "yaml") || has_extension(path, "yml")
}

fn has_extension(path: &str, wanted: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found.eq_ignore_ascii_case(wanted))
}

impl Inspection {
    /// The name of the Secret file that a rotation would write.
    #[must_use]
    pub fn default_secret_file(&self) -> String {
        let name = match &self.record {
            Some(Ok(record)) => record.answers.secret_name.clone(),
            _ => DnsLabel::gitlab(),
        };
        secret_file(&name)
    }
}
