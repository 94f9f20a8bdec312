//! An existing repository: finds it, determines what protects its secrets, and commits single
//! files.
//!
//! The repository may be a subdirectory of a larger git repository. Paths are relative to its own
//! top, the directory of `.makeinfra.yaml`; this module translates them to and from git's paths.

use super::attributes::Attributes;
use super::trial::{self, Trial};
use super::{failed, truncated, unsupported, wants_signed_commits, work_tree};
use crate::advice::Advice;
use crate::error::{Failure, Result};
use crate::files;
use crate::git_crypt::{self, Key};
use git2::{ErrorCode, Repository, RepositoryState};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Once;

/// Size limit for attribute files, far above any real one.
pub(super) const ATTRIBUTES: usize = 1 << 20;

/// Marks the top of a repository inside a larger one. `answers` owns its content.
pub(super) const RECORD: &str = ".makeinfra.yaml";

/// An existing repository with a work tree.
pub struct Repo {
    pub(super) git: Repository,
    /// Path of the repository below the top of git's work tree: empty, or with a trailing slash.
    pub(super) prefix: String,
    /// Whether new objects currently stay in memory.
    pub(super) in_memory: Cell<bool>,
    /// Results of trying each filter's keys, cached by filter.
    pub(super) tried: RefCell<BTreeMap<String, Vec<(PathBuf, Trial)>>>,
    /// Keys that were read, by key file.
    pub(super) keys: RefCell<BTreeMap<PathBuf, Rc<Key>>>,
}

/// The location of a repository that was found.
pub struct RepoLocation {
    /// The git directory of the work tree.
    git: PathBuf,
    prefix: String,
}

/// Whether this clone can encrypt with git-crypt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// The clone is unlocked.
    Ready,
    /// The repository uses git-crypt, but this clone is locked.
    Locked,
    /// The repository does not use git-crypt.
    Absent,
}

impl Repo {
    /// Finds the repository that contains `start`. `command` is used in the hint.
    pub fn find(start: &Path, command: &str) -> Result<Self> {
        let start = directory(start, command)?;
        match Self::around(&start, command)? {
            Some(repo) => Ok(repo),
            None => {
                Err(none_at(&start, "neither there nor in any parent directory", command).into())
            }
        }
    }

    /// Opens the directory `start` itself as the repository, ignoring any `.makeinfra.yaml` above
    /// it.
    pub fn folder(start: &Path, command: &str) -> Result<Self> {
        let dir = directory(start, command)?;
        let Some(mut repo) = Self::around(&dir, command)? else {
            return Err(Failure::failed(format!("no git repository at `{}`", dir.display()))
                .because("neither there nor in any parent directory")
                .hint(Advice::anywhere("git init").path(&dir))
                .into());
        };
        let top = repo.top();
        let top = top.canonicalize().unwrap_or(top);
        repo.prefix = below(&top, &dir)?;
        Ok(repo)
    }

    /// Opens the repository that contains the directory `dir`; `None` if there is none.
    pub fn around(dir: &Path, command: &str) -> Result<Option<Self>> {
        trust_objects();
        let git = match Repository::discover_path(dir, None::<&Path>) {
            Ok(git) => git,
            Err(error) if error.code() == ErrorCode::NotFound => {
                // Opening a FIFO in place of a file would block.
                dir.ancestors().try_for_each(|dir| unsupported::check_files(&dir.join(".git")))?;
                return Ok(None);
            }
            Err(error) => return Err(unsupported::failure(dir, None, &error).into()),
        };
        unsupported::check_files(&git)?;
        match Repository::open(&git) {
            Ok(git) if git.workdir().is_some() => {
                truncated::check_objects(git.commondir())?;
                let prefix = prefix(&git, dir)?;
                Ok(Some(Self::new(git, prefix)))
            }
            Ok(_) => Err(none_at(dir, "it has no work tree", command).into()),
            Err(error) => Err(unsupported::failure(dir, Some(&git), &error).into()),
        }
    }

    /// The location of the repository, for [`Repo::again`].
    #[must_use]
    pub fn place(&self) -> RepoLocation {
        RepoLocation { git: self.git.path().to_owned(), prefix: self.prefix.clone() }
    }

    /// Reopens the repository at `place` without repeating the checks of the first time.
    pub fn again(place: &RepoLocation) -> Result<Self> {
        let git = Repository::open(&place.git)
            .map_err(|error| unsupported::failure(&place.git, Some(&place.git), &error))?;
        Ok(Self::new(git, place.prefix.clone()))
    }

    fn new(git: Repository, prefix: String) -> Self {
        let (in_memory, tried, keys) = (Cell::new(false), RefCell::default(), RefCell::default());
        Self { git, prefix, in_memory, tried, keys }
    }

    /// Converts `path` to git's path.
    pub(super) fn in_git(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// Converts git's `path` to one relative to the top of this repository.
    pub(super) fn out_of_git(&self, path: String) -> String {
        path.strip_prefix(&self.prefix).map(str::to_owned).unwrap_or(path)
    }

    /// The top of the repository: the nearest directory with a `.makeinfra.yaml`, otherwise the top
    /// of git's work tree.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        // Collecting the components drops the trailing slash.
        work_tree(&self.git).join(&self.prefix).components().collect()
    }

    /// The top of git's work tree, which may be above [`Repo::root`].
    #[must_use]
    pub fn top(&self) -> PathBuf {
        work_tree(&self.git)
    }

    /// Fails unless git would encrypt `path` like every other secret: an attribute covers it, the
    /// filter is configured, no other attribute alters the ciphertext, and the key is the
    /// repository's.
    pub fn check_protected(&self, path: &str) -> Result<()> {
        let filter = self.check_filter(path)?;
        self.check_key(&filter)
    }

    /// Like [`Repo::check_protected`], but does not check the key. Returns the filter.
    pub fn check_filter(&self, path: &str) -> Result<String> {
        let unprotected = |cause: String, hint: Advice| {
            Failure::failed(format!("`{path}` would be committed in plaintext"))
                .because(cause)
                .hint(hint)
        };
        let (attributes, in_git) = (Attributes::of(&self.git)?, self.in_git(path));
        let Some(filter) = attributes.filter(&in_git) else {
            let remedy = attributes.remedy(&in_git, &self.prefix);
            return Err(unprotected(remedy.cause(), remedy.hint()).into());
        };
        let config =
            self.git.config().map_err(|error| failed("read git's configuration", &error))?;
        let clean = config.get_string(&format!("filter.{filter}.clean")).unwrap_or_default();
        if !git_crypt::is_filter_command(&clean) {
            return Err(unprotected(
                format!("filter `{filter}` is not configured in this clone"),
                Advice::at_top(self.unlock_or_init()),
            )
            .kind(self.without_key())
            .into());
        }
        if !config.get_bool(&format!("filter.{filter}.required")).unwrap_or(false) {
            let hint = Advice::git(format!("config filter.{filter}.required true"));
            return Err(unprotected(format!("filter `{filter}` is not required"), hint).into());
        }
        if let Some(attribute) = attributes.spoiled(&in_git) {
            return Err(Failure::failed(format!("git would damage `{path}`"))
                .because(format!("attribute `{attribute}` makes git change the ciphertext"))
                .hint(attributes.unspoil(&in_git, &self.prefix).hint())
                .into());
        }
        Ok(filter)
    }

    /// Whether `git add` would encrypt files that attributes assign to git-crypt's default key.
    pub fn encryption(&self) -> Result<Encryption> {
        let config =
            self.git.config().map_err(|error| failed("read git's configuration", &error))?;
        let clean = config.get_string("filter.git-crypt.clean").unwrap_or_default();
        let is_configured = git_crypt::is_filter_command(&clean)
            && config.get_bool("filter.git-crypt.required").unwrap_or(false);
        let key = trial::read(&self.key_file(git_crypt::FILTER))?;
        if is_configured && key.is_some_and(|bytes| Key::from_file(&bytes).is_ok()) {
            return Ok(Encryption::Ready);
        }
        let index = self
            .git
            .index()
            .map_err(|error| failed("read the index", &error).hint(super::plain_index()))?;
        let in_index = index.iter().filter(|entry| entry.path.ends_with(b".gitattributes"));
        let committed = in_index.filter_map(|entry| self.git.find_blob(entry.id).ok());
        let mut texts: Vec<_> = committed.map(|blob| blob.content().to_vec()).collect();
        texts.extend(
            files::read(&work_tree(&self.git).join(".gitattributes"), ATTRIBUTES)?
                .map(|text| text.to_vec()),
        );
        let is_used = texts.iter().any(|text| git_crypt::is_named_in(text));
        Ok(if is_used { Encryption::Locked } else { Encryption::Absent })
    }

    /// Those of `paths` that attributes assign to git-crypt, each with its filter.
    pub fn covered(&self, paths: &[String]) -> Result<BTreeMap<String, String>> {
        let attributes = Attributes::of(&self.git)?;
        let filter = |path: &String| Some((path.clone(), attributes.filter(&self.in_git(path))?));
        Ok(paths.iter().filter_map(filter).collect())
    }

    /// Whether attributes assign `path` to git-crypt. Fails if an attribute file cannot be read.
    pub fn is_covered(&self, path: &str) -> Result<bool> {
        let (attributes, in_git) = (Attributes::of(&self.git)?, self.in_git(path));
        if attributes.is_unread(&in_git) {
            return Err(Failure::unknown(format!(
                "cannot determine whether git encrypts `{path}`"
            ))
            .because("an attributes file of git cannot be read")
            .hint(Advice::git(format!("check-attr filter -- {path}")))
            .into());
        }
        Ok(attributes.filter(&in_git).is_some())
    }

    /// Whether a merge, rebase or similar operation is in progress, during which the files may be
    /// in an unfinished state.
    #[must_use]
    pub fn is_merging(&self) -> bool {
        self.in_progress().is_some()
    }

    /// The git operation in progress, as a sentence; `None` if there is none.
    #[must_use]
    pub fn in_progress(&self) -> Option<&'static str> {
        let has_conflicts = || self.git.index().is_ok_and(|index| index.has_conflicts());
        match self.git.state() {
            RepositoryState::Clean => has_conflicts().then_some("files have unresolved conflicts"),
            RepositoryState::Merge => Some("a merge is in progress"),
            RepositoryState::Revert | RepositoryState::RevertSequence => {
                Some("a revert is in progress")
            }
            RepositoryState::CherryPick | RepositoryState::CherryPickSequence => {
                Some("a cherry-pick is in progress")
            }
            RepositoryState::Bisect => Some("a bisect is in progress"),
            RepositoryState::Rebase
            | RepositoryState::RebaseInteractive
            | RepositoryState::RebaseMerge => Some("a rebase is in progress"),
            RepositoryState::ApplyMailbox | RepositoryState::ApplyMailboxOrRebase => {
                Some("`git am` is in progress")
            }
        }
    }

    /// Whether the user's configuration asks for signed commits, which makeinfra does not make.
    #[must_use]
    pub fn wants_signed_commits(&self) -> bool {
        wants_signed_commits(&self.git)
    }

    /// Those of `paths` with any filter, git-crypt's or another: what git stores differs from the
    /// file.
    pub fn filtered(&self, paths: &[String]) -> Result<BTreeSet<String>> {
        let attributes = Attributes::of(&self.git)?;
        Ok(paths.iter().filter(|path| attributes.has_filter(&self.in_git(path))).cloned().collect())
    }

    /// The git-crypt filter that `.gitattributes` sets for `path`: `git-crypt` or
    /// `git-crypt-KEYNAME`.
    pub(super) fn filter(&self, path: &str) -> Result<Option<String>> {
        Ok(Attributes::of(&self.git)?.filter(&self.in_git(path)))
    }
}

/// Makes libgit2 read objects as git does: zlib's checksum detects damage, and only `git fsck` also
/// verifies the hash.
fn trust_objects() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| git2::opts::strict_hash_verification(false));
}

/// Path of the nearest `.makeinfra.yaml` directory at or above `dir`, below the top of the work
/// tree; empty if there is none.
fn prefix(git: &Repository, dir: &Path) -> Result<String> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let (top, dir) = (real(&work_tree(git)), real(dir));
    let inside = dir.ancestors().take_while(|above| above.starts_with(&top));
    let nearest = inside.into_iter().find(|above| above.join(RECORD).is_file());
    nearest.map_or(Ok(String::new()), |found| below(&top, found))
}

/// The directory `dir` relative to `top`, as git spells it, with a trailing slash; empty if `dir`
/// is the top.
fn below(top: &Path, dir: &Path) -> Result<String> {
    let Some(below) = dir.strip_prefix(top).ok().and_then(Path::to_str) else {
        let failure = Failure::failed(format!("cannot use directory `{}`", dir.display()));
        return Err(failure.because("its name is not UTF-8").hint("rename it").into());
    };
    Ok(if below.is_empty() { String::new() } else { format!("{below}/") })
}

/// The hint that tells how to run `command` on a repository.
#[must_use]
pub fn choose_repository(command: &str) -> Advice {
    let named = Advice::anywhere(format!("makeinfra {command} PROJECT-infra"));
    Advice::anywhere("cd PROJECT-infra").say(", or name it: ").say(named)
}

/// The directory that a command's `REPO` argument names.
pub fn directory(start: &Path, command: &str) -> Result<PathBuf> {
    // The argument is not quoted: if it is not a directory, it may be a misplaced token.
    let none = || {
        Failure::usage("`REPO` must be a directory that exists").hint(choose_repository(command))
    };
    Ok(files::existing_directory(start).ok_or_else(none)?)
}

fn none_at(dir: &Path, cause: &str, command: &str) -> Failure {
    let failure = Failure::failed(format!("no git repository at `{}`", dir.display()));
    // A repository made by `makeinfra new --no-git`.
    if dir.join(RECORD).is_file() {
        return failure
            .because("it was generated without git, which is required to encrypt its secrets")
            .hint(Advice::at_top(
                "git init && git-crypt init && git add -A && git commit -m 'Add everything'",
            ));
    }
    failure.because(cause).hint(choose_repository(command))
}

/// The git work tree that contains `dir`; `None` if there is none.
#[must_use]
pub fn surrounding_work_tree(dir: &Path) -> Option<PathBuf> {
    Repository::discover(dir).ok()?.workdir().map(Path::to_owned)
}
