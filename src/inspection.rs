//! Reads a repository for checks and diagnoses: its files, what git holds of them, its pull secrets
//! and what its manifests deploy. Decrypts locked files in memory if the key is available. Writes
//! nothing, judges nothing (see `checks`).

mod generated;
mod hints;
mod hook;
mod layout;
mod lookup;
mod overlays;
mod paths;
mod secret_files;

pub use hook::{Hook, HookState};
pub use layout::Layout;
pub use lookup::Placement;
pub use overlays::OverlayFiles;

use crate::advice::Advice;
use crate::answers::{Environment, Record};
use crate::error::{Failure, Result};
use crate::git_crypt::{self, Key};
use crate::manifests::{self, Files, Manifests, kustomization};
use crate::opaque::{DirectoryFault, Listing};
use crate::pull_secret::{Inspected, Traces};
use crate::repo::{self, Audit, Exposed, Repo, SECRETS};
use crate::work_tree::{Content, WorkTree};
use paths::{is_file, is_manifest, named};
use secret_files::pull_secrets_of;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// How many levels of kustomizations outside the manifests' directories are followed.
const ROUNDS: usize = 100;

/// The default directory of manifests.
const MANIFESTS: &str = "kubernetes";

/// The script that the targets of the Makefile run.
pub const SCRIPT: &str = "scripts/deploy.sh";

/// What to inspect.
#[derive(Debug, Default)]
pub struct Scope {
    /// The repository, or a directory in it.
    pub repo: PathBuf,
    /// Directories of manifests; if empty, `kubernetes`.
    pub manifests: Vec<PathBuf>,
    /// Files with pull secrets; if empty, those below `secrets/` and among the manifests.
    pub secrets: Vec<PathBuf>,
    /// Whether to read all commits.
    pub history: bool,
    /// Whether to search the index and HEAD for the token.
    pub searches: bool,
    /// Whether to search every file of every commit for the token.
    pub deep: bool,
}

/// The inspected repository.
pub struct Inspection {
    /// The top of the repository.
    pub root: PathBuf,
    /// What git holds; `None` outside git.
    pub git: Option<Audit>,
    /// Where git has a token of the pull secrets in plaintext; `None` if there was none to search
    /// for.
    pub exposed: Option<Exposed>,
    /// `.makeinfra.yaml`, or why it could not be read.
    pub record: Option<Result<Record>>,
    /// The files below `secrets/`, and those named as secrets.
    pub secret_files: Vec<SecretFile>,
    /// The pull secrets.
    pub pull_secrets: Vec<PullSecret>,
    /// The directories of the environments' Secrets.
    pub listings: Vec<SecretsDirectory>,
    /// What is deployed.
    pub manifests: Manifests,
    /// The directories of manifests.
    pub dirs: Vec<String>,
    /// The files of each environment, by its name.
    pub overlays: BTreeMap<String, OverlayFiles>,
    /// Path and text of the Makefile.
    pub makefile: Option<(String, String)>,
    /// Which parts of the repository exist, and where.
    pub layout: Layout,
    /// The commit hook; `None` if it is not makeinfra's.
    pub hook: Option<Hook>,
    /// git-crypt keys in the work tree.
    pub key_files: Vec<String>,
    /// Files that could not be read.
    pub unread: Vec<String>,
    /// Indices of the pull secrets by name.
    by_name: HashMap<String, Vec<usize>>,
}

/// The directory of an environment's Secrets.
pub struct SecretsDirectory {
    /// The path.
    pub path: String,
    /// Its content, or why that is undetermined.
    pub listing: std::result::Result<Listing, DirectoryFault>,
}

/// A file that holds secrets.
pub struct SecretFile {
    /// The path.
    pub path: String,
    /// The permissions; 0 for a link.
    pub mode: u32,
    /// Whether the file could be read.
    pub state: SecretFileState,
    /// Whether the file must contain a pull secret.
    pub expected: bool,
}

/// Whether a secret file could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretFileState {
    /// It is in plaintext.
    Plain,
    /// It is encrypted and was decrypted with this clone's key.
    Opened,
    /// It is encrypted, and the key is missing or wrong.
    Locked,
    /// It does not exist.
    Absent,
    /// It was not read; the reason, as a sentence about "it".
    Unread(&'static str),
    /// It is not YAML, although its name says so.
    NotYaml,
    /// SOPS has encrypted its content.
    Sops,
    /// Its content is filled in later; the reason, as a sentence about the content.
    Later(&'static str),
}

/// A pull secret and its location.
pub struct PullSecret {
    /// The file.
    pub path: String,
    /// The pull secret.
    pub secret: Inspected,
    /// Where it is deployed; empty if nothing deploys it.
    placements: Vec<Placement>,
}

impl Inspection {
    /// Reads the repository. `command` is used in hints.
    pub fn of(scope: &Scope, command: &str) -> Result<Self> {
        Ok(Self::with_repo(scope, command)?.0)
    }

    /// Like [`Inspection::of`], and also returns the git repository; `None` outside git.
    pub fn with_repo(scope: &Scope, command: &str) -> Result<(Self, Option<Repo>)> {
        let start = repo::directory(&scope.repo, command)?;
        let repo = Repo::around(&start, command)?;
        let has_record = start.join(Record::FILE).is_file();
        if repo.is_none() && !has_record && (scope.manifests.is_empty() || scope.secrets.is_empty())
        {
            return Err(Failure::failed(format!("no git repository at `{}`", start.display()))
                .because("neither there nor in any parent directory")
                .hint(match command {
                    "check" => Advice::from(
                        "{cd PROJECT-infra}, or name the files: {makeinfra check --manifests DIR \
                         --secret FILE}",
                    ),
                    "diagnose" => Advice::from(
                        "{cd PROJECT-infra}, or name the namespace: {makeinfra diagnose \
                         --namespace NAME}",
                    ),
                    _ => repo::choose_repository(command),
                })
                .into());
        }
        let root = repo.as_ref().map_or(start, Repo::root);
        // Links above the top do not count as links that leave the repository.
        let root = root.canonicalize().unwrap_or(root);
        let dirs = named(&root, &scope.manifests, "--manifests", Path::is_dir)?;
        let secrets = named(&root, &scope.secrets, "--secret", Path::is_file)?;
        let reader = Reader {
            tree: WorkTree::list(&root, |dir| {
                repo.as_ref().is_some_and(|repo| repo.ignores(&format!("{dir}/")))
            })?,
            dirs: if dirs.is_empty() { vec![MANIFESTS.to_owned()] } else { dirs },
            secrets,
            repo,
        };
        Ok((reader.read(scope)?, reader.repo))
    }

    /// The registry of the project's own entry, according to the record.
    #[must_use]
    pub fn recorded_registry(&self) -> Option<&str> {
        let record = self.record.as_ref()?.as_ref().ok()?;
        Some(record.answers.registry.as_str())
    }

    /// The Secret file that a rotation would write.
    #[must_use]
    pub fn default_secret_file(&self) -> String {
        match &self.record {
            Some(Ok(record)) => {
                record.answers.environments.first.secret_file(&record.answers.secret_name)
            }
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
}

struct Reader {
    repo: Option<Repo>,
    tree: WorkTree,
    dirs: Vec<String>,
    secrets: Vec<String>,
}

impl Reader {
    fn read(&self, scope: &Scope) -> Result<Inspection> {
        let record_file = Record::FILE.to_owned();
        let record = self.record();
        let expected = match &record {
            _ if !self.secrets.is_empty() => self.secrets.clone(),
            Some(Ok(record)) => record.answers.secret_files(),
            _ => Vec::new(),
        };
        let files = self.manifest_files();
        let manifests = Manifests::read(&files, &self.dirs);
        let mut generated = self.generated(&manifests);
        let among_manifests: Vec<PullSecret> = files.iter().flat_map(pull_secrets_of).collect();
        // A pull secret counts as a secret file wherever it is.
        let mut secrets: BTreeSet<String> = among_manifests
            .iter()
            .map(|secret| secret.path.clone())
            .chain(generated.keys().cloned())
            .chain(
                manifests.secret_inputs.iter().filter(|path| self.is_secret_input(path)).cloned(),
            )
            .collect();
        secrets.extend(expected.iter().cloned());
        let also: Vec<String> = secrets.iter().cloned().collect();
        secrets.extend(
            self.tree
                .at(SECRETS)
                .filter(|(_, mode)| is_file(*mode))
                .map(|(path, _)| path.to_owned()),
        );
        let mut git = None;
        if let Some(repo) = &self.repo {
            let present: Vec<_> =
                secrets.iter().filter(|path| !repo.ignores(path)).cloned().collect();
            let mut audit = repo.audit(&present, &also, scope.history)?;
            let deployed = files.keys().chain(&secrets).chain([&record_file]);
            self.leave_out(repo, &mut audit, &manifests, deployed);
            // Without a record, an untracked file may be a draft.
            match &record {
                Some(Ok(record)) => self.compare_with_head(repo, record, &mut audit)?,
                Some(Err(_)) => {}
                None => audit.untracked.clear(),
            }
            let given =
                audit.covered.iter().filter(|(_, filter)| filter.is_ok()).map(|(path, _)| path);
            secrets.extend(given.filter(|path| self.tree.has(path)).cloned());
            git = Some(audit);
        }
        let mut inspection = Inspection {
            git,
            exposed: None,
            secret_files: Vec::new(),
            pull_secrets: Vec::new(),
            manifests,
            overlays: self.overlay_files(record.as_ref().and_then(|record| record.as_ref().ok())),
            makefile: self.makefile(),
            layout: self.layout(),
            hook: self.hook(record.as_ref().and_then(|record| record.as_ref().ok())),
            key_files: self.tree.key_files().to_vec(),
            unread: self.tree.unread().to_vec(),
            root: self.tree.root().to_owned(),
            dirs: self.dirs.clone(),
            listings: self.listings(record.as_ref().and_then(|record| record.as_ref().ok())),
            by_name: HashMap::new(),
            record,
        };
        for path in secrets {
            let expected = expected.contains(&path);
            let (state, found) = self.secret_file(&path);
            if self.secrets.is_empty() || expected {
                inspection.pull_secrets.extend(found);
                inspection.pull_secrets.extend(generated.remove(&path).into_iter().flatten());
            }
            inspection.secret_files.push(SecretFile {
                mode: self.tree.mode(&path),
                path,
                state,
                expected,
            });
        }
        for (at, secret) in inspection.pull_secrets.iter_mut().enumerate() {
            secret.place(&inspection.manifests);
            for name in secret.names().collect::<BTreeSet<_>>() {
                inspection.by_name.entry(name.clone()).or_default().push(at);
            }
        }
        let traces = Traces::of(inspection.pull_secrets.iter().map(|found| &found.secret));
        if let Some(repo) = self.repo.as_ref().filter(|_| scope.searches && !traces.is_empty()) {
            let finder = traces.finder();
            inspection.exposed = Some(repo.exposed(&|bytes| finder.finds(bytes), scope.deep)?);
        }
        Ok(inspection)
    }

    /// `.makeinfra.yaml`, or why it cannot be used; `None` if it does not exist.
    fn record(&self) -> Option<Result<Record>> {
        let content = self.tree.read(Record::FILE);
        if let Some(text) = content.text() {
            return Some(Record::parse(text.to_owned()));
        }
        let why = match content {
            Content::Unread(why) => why,
            Content::Absent if !self.tree.root().join(Record::FILE).is_dir() => return None,
            Content::Absent => "it is a directory",
            Content::Locked | Content::Bytes(_) => "the file is encrypted",
        };
        let failure = Failure::failed(format!("cannot read `{}`", Record::FILE)).because(why);
        Some(Err(failure.hint(Advice::at_top("ls -ld").arg(Record::FILE)).into()))
    }

    /// The YAML and JSON files in the manifests' directories, and those that their kustomizations
    /// refer to.
    fn manifest_files(&self) -> Files {
        let is_manifest = |path: &str| is_manifest(path) || kustomization::is_one(path);
        let mut files = Files::new();
        for dir in &self.dirs {
            for (path, _) in self.tree.at(dir).filter(|(path, _)| !path.starts_with(SECRETS)) {
                if is_manifest(path) {
                    files.insert(path.to_owned(), self.open(path));
                } else if manifests::language(path).is_some() {
                    files.insert(path.to_owned(), Content::Unread("not a manifest"));
                }
            }
        }
        // Each round parses all kustomizations again, and finds the files that the previous round
        // led to.
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

    /// Reads a file, and decrypts it if it is locked and this clone has the key.
    fn open(&self, path: &str) -> Content {
        self.unlocked(path, self.tree.read(path))
    }

    /// Like [`Self::open`], for a file that may not be text.
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

    fn key(&self, path: &str) -> Option<Rc<Key>> {
        self.repo.as_ref()?.key(path).ok()
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

    /// The Makefile at the top, or next to the manifests as in the blog post.
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
