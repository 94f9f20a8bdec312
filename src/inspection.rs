//! Reads a repository for those who judge it: its files, what git holds of them, its pull secrets and
//! what its manifests deploy. Opens locked files in memory where the key is at hand. Writes nothing,
//! judges nothing (see `checks`).

mod overlays;

pub use overlays::OverlayFiles;

use crate::advice::Advice;
use crate::answers::{Environment, Record};
use crate::error::{Failure, Result};
use crate::git_crypt::{self, Key};
use crate::manifests::{DeployedSecret, Files, Manifests, Pull, documents, kustomization};
use crate::opaque::{DirectoryFault, Listing};
use crate::pull_secret::Inspected;
use crate::repo::{self, Audit, Repo, SECRETS};
use crate::work_tree::{Content, WorkTree};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// How far kustomizations outside of the manifests' directories are followed.
const ROUNDS: usize = 100;

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
    /// The directories of the environments' Secrets.
    pub listings: Vec<SecretsDirectory>,
    /// What is deployed.
    pub manifests: Manifests,
    /// The directories of the manifests.
    pub dirs: Vec<String>,
    /// What is there of each environment, by its name.
    pub overlays: BTreeMap<String, OverlayFiles>,
    /// The Makefile: its path and text.
    pub makefile: Option<(String, String)>,
    /// git-crypt keys that lie in the work tree.
    pub key_files: Vec<String>,
    /// What could not be looked into.
    pub unread: Vec<String>,
}

/// The directory of an environment's Secrets.
pub struct SecretsDirectory {
    /// Its path.
    pub path: String,
    /// What it holds, or why that cannot be told.
    pub listing: std::result::Result<Listing, DirectoryFault>,
}

/// A file that holds secrets.
pub struct SecretFile {
    /// Its path.
    pub path: String,
    /// Its permissions; 0 for a link.
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
                .hint(match command {
                    "check" => Advice::from(
                        "{cd PROJECT-infra}, or name what to look at: {makeinfra check --manifests DIR --secret FILE}",
                    ),
                    "diagnose" => Advice::from(
                        "{cd PROJECT-infra}, or name what to look at: {makeinfra diagnose --namespace NAME}",
                    ),
                    _ => repo::go_there(command),
                })
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

    /// The Secret file that a rotation would write.
    #[must_use]
    pub fn default_secret_file(&self) -> String {
        match &self.record {
            Some(Ok(record)) => record.answers.environments.first.secret_file(&record.answers.secret_name),
            _ => Environment::default_secret_file(),
        }
    }

    /// Whether a rotation writes the file `path`.
    #[must_use]
    pub fn is_rotated(&self, path: &str) -> bool {
        match &self.record {
            Some(Ok(record)) => record.answers.secret_files().iter().any(|file| file == path),
            Some(Err(_)) => path == Environment::default_secret_file(),
            None => false,
        }
    }

    /// The pull secrets in the file of the one environment that deploys to `namespace`.
    #[must_use]
    pub fn own_pull_secrets(&self, namespace: &str) -> Vec<&PullSecret> {
        let Some(Ok(record)) = &self.record else { return Vec::new() };
        let answers = &record.answers;
        let mut here = answers.environments.iter().filter(|one| one.namespace.as_str() == namespace);
        let (Some(environment), None) = (here.next(), here.next()) else { return Vec::new() };
        let path = environment.secret_file(&answers.secret_name);
        self.pull_secrets.iter().filter(|secret| secret.path == path).collect()
    }

    /// The pull secrets that the kubelet would look into for `pull`: called as its pod says, in its namespace.
    /// One that names no namespace goes wherever kubectl is told.
    #[must_use]
    pub fn secrets_for(&self, pull: &Pull) -> Vec<&PullSecret> {
        let here = |secret: &&PullSecret| {
            let namespace = self.namespace(secret);
            namespace.is_none() || pull.namespace.is_none() || namespace == pull.namespace
        };
        let named = pull.pull_secrets.iter().flat_map(|name| self.secrets_called(name));
        named.filter(here).collect()
    }

    /// The pull secrets of a name.
    pub fn secrets_called<'i>(&'i self, name: &str) -> impl Iterator<Item = &'i PullSecret> + use<'i> {
        let name = name.to_owned();
        self.pull_secrets.iter().filter(move |secret| secret.secret.name.as_ref() == Some(&name))
    }

    /// The namespace of a pull secret: that of the kustomization that deploys it, else the file's.
    #[must_use]
    pub fn namespace<'i>(&'i self, secret: &'i PullSecret) -> Option<&'i str> {
        self.deployed(secret).map_or(&secret.secret.namespace, |found| &found.namespace).as_deref()
    }

    /// Whether a kustomization deploys a pull secret.
    #[must_use]
    pub fn is_deployed(&self, secret: &PullSecret) -> bool {
        self.deployed(secret).is_some()
    }

    fn deployed(&self, secret: &PullSecret) -> Option<&DeployedSecret> {
        let mut deployed = self.manifests.overlays.iter().flat_map(|overlay| &overlay.secrets);
        deployed.find(|found| found.file == secret.path && Some(&found.name) == secret.secret.name.as_ref())
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
            let hint = Advice::makeinfra("check").with(format_args!("{option} PATH"));
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
        let expected = match &record {
            _ if !self.secrets.is_empty() => self.secrets.clone(),
            Some(Ok(record)) => record.answers.secret_files(),
            _ => Vec::new(),
        };
        let files = self.manifest_files();
        let among_manifests: Vec<PullSecret> = files.iter().flat_map(pull_secrets_of).collect();
        // A pull secret is a secret wherever it lies.
        let mut secrets: BTreeSet<String> =
            among_manifests.iter().map(|secret| secret.path.clone()).collect();
        secrets.extend(expected.iter().cloned());
        let also: Vec<String> = secrets.iter().cloned().collect();
        secrets.extend(
            self.tree.at(SECRETS).filter(|(_, mode)| is_file(*mode)).map(|(path, _)| path.to_owned()),
        );
        let mut git = None;
        if let Some(repo) = &self.repo {
            let present: Vec<_> = secrets.iter().filter(|path| !repo.ignores(path)).cloned().collect();
            let audit = repo.audit(&present, &also, scope.history)?;
            let given = audit.covered.iter().filter(|(_, filter)| filter.is_some()).map(|(path, _)| path);
            secrets.extend(given.filter(|path| self.tree.has(path)).cloned());
            git = Some(audit);
        }
        let mut inspection = Inspection {
            git,
            secret_files: Vec::new(),
            pull_secrets: Vec::new(),
            manifests: Manifests::read(&files, &self.dirs),
            overlays: self.overlay_files(record.as_ref().and_then(|record| record.as_ref().ok())),
            makefile: self.makefile(),
            key_files: self.tree.key_files().to_vec(),
            unread: self.tree.unread().to_vec(),
            root: self.tree.root().to_owned(),
            dirs: self.dirs.clone(),
            listings: self.listings(record.as_ref().and_then(|record| record.as_ref().ok())),
            record,
        };
        for path in secrets {
            let expected = expected.contains(&path);
            let (state, found) = self.secret_file(&path);
            if self.secrets.is_empty() || expected {
                inspection.pull_secrets.extend(found);
            }
            inspection.secret_files.push(SecretFile { mode: self.tree.mode(&path), path, state, expected });
        }
        Ok(inspection)
    }

    /// The YAML and JSON files of the manifests' directories, and what their kustomizations refer to.
    fn manifest_files(&self) -> Files {
        let is_manifest =
            |path: &str| is_yaml(path) || has_extension(path, "json") || kustomization::is_one(path);
        let mut files = Files::new();
        for dir in &self.dirs {
            for (path, _) in
                self.tree.at(dir).filter(|(path, _)| is_manifest(path) && !path.starts_with(SECRETS))
            {
                files.insert(path.to_owned(), self.open(path));
            }
        }
        // Each round parses all kustomizations again, and finds those that the last one led to.
        for _ in 0..ROUNDS {
            let wanted = Manifests::wanted(&files);
            if wanted.is_empty() {
                break;
            }
            for path in wanted {
                let content = self.open(&path);
                files.insert(path, content);
            }
        }
        files
    }

    /// Reads a file, and decrypts it if it is locked and this clone has its key.
    fn open(&self, path: &str) -> Content {
        self.unlocked(path, self.tree.read(path))
    }

    /// The same for a file that may be no text.
    fn open_bytes(&self, path: &str) -> Content {
        self.unlocked(path, self.tree.read_bytes(path))
    }

    fn unlocked(&self, path: &str, content: Content) -> Content {
        match content {
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
    fn secret_file(&self, path: &str) -> (State, Vec<PullSecret>) {
        let locked = matches!(self.tree.read(path), Content::Bytes(bytes) if git_crypt::is_encrypted(&bytes));
        // The value of a key may be any bytes.
        let content = if is_yaml(path) { self.open(path) } else { self.open_bytes(path) };
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
            Some(None) => (State::NotYaml, Vec::new()),
            Some(Some(_)) => (state, pull_secrets_of((&path.to_owned(), &content))),
            None => (state, Vec::new()),
        }
    }

    /// The directories of all recorded environments' Secrets.
    fn listings(&self, record: Option<&Record>) -> Vec<SecretsDirectory> {
        let environments = record.into_iter().flat_map(|record| record.answers.environments.iter());
        let paths: BTreeSet<&String> = environments.map(|one| &one.secrets).collect();
        let list = |path: &String| SecretsDirectory {
            path: path.clone(),
            listing: Listing::of(path, &|path| self.open_bytes(path)),
        };
        paths.into_iter().map(list).collect()
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

/// The pull secrets in a file, if it can be read.
fn pull_secrets_of((path, content): (&String, &Content)) -> Vec<PullSecret> {
    let found = content.text().and_then(pull_secrets_in).unwrap_or_default();
    found.into_iter().map(|secret| PullSecret { path: path.clone(), secret }).collect()
}

/// The pull secrets in a file; none if it is not YAML.
fn pull_secrets_in(text: &str) -> Option<Vec<Inspected>> {
    let documents = documents(text.as_bytes()).ok()?;
    Some(documents.iter().filter_map(Inspected::of).collect())
}

/// Whether `mode` is that of a regular file: a link stores no content of one in git.
fn is_file(mode: u32) -> bool {
    mode & 0o170_000 == 0o100_000
}

fn is_yaml(path: &str) -> bool {
    has_extension(path, "yaml") || has_extension(path, "yml")
}

fn has_extension(path: &str, wanted: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found.eq_ignore_ascii_case(wanted))
}
