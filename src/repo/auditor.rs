//! Reads git's objects for an audit: the secret files of the index and of trees, and which of their
//! blobs are plaintext. Changes nothing and never shows a blob's content.

use super::attributes::{self, Attributes, Remedy};
use super::{Repo, SECRETS, failed};
use crate::error::Result;
use crate::git_crypt;
use git2::{ErrorCode, ObjectType, Odb, Oid, Repository};
use std::collections::{BTreeSet, HashMap, HashSet};

/// The secret files of one tree.
#[derive(Debug, Default)]
pub struct Plain {
    /// Number of secret files.
    pub files: usize,
    /// Files stored in plaintext.
    pub plain: Vec<String>,
    /// Files whose content is not in this clone.
    pub missing: Vec<String>,
}

/// Secret files: path and blob.
pub(super) type Files = Vec<(String, Oid)>;

/// Reads git's objects. Its paths are git's; findings are reported with paths of the repository.
pub(super) struct Auditor<'r> {
    pub(super) repo: &'r Repo,
    pub(super) git: &'r Repository,
    odb: Odb<'r>,
    pub(super) attributes: Attributes<'r>,
    /// A path with none of these prefixes is not a secret.
    prefixes: Vec<String>,
    also: &'r [String],
    /// Whether a path is a secret's, cached.
    secret: HashMap<String, bool>,
    /// Whether a blob is plaintext, cached; `None` if it is not in this clone.
    plain: HashMap<Oid, Option<bool>>,
    /// Whether any object is missing from this clone.
    pub(super) missing: bool,
}

impl<'r> Auditor<'r> {
    pub(super) fn new(repo: &'r Repo, also: &'r [String]) -> Result<Self> {
        let git = &repo.git;
        Ok(Self {
            repo,
            git,
            odb: git.odb().map_err(|error| failed("read the repository", &error))?,
            attributes: Attributes::of(git)?,
            prefixes: Vec::new(),
            also,
            secret: HashMap::new(),
            plain: HashMap::new(),
            missing: false,
        })
    }

    /// Secret files of the index.
    pub(super) fn index(&mut self) -> std::result::Result<Files, git2::Error> {
        let index = self.git.index()?;
        let path = |entry: &git2::IndexEntry| String::from_utf8_lossy(&entry.path).into_owned();
        let attribute_files =
            index.iter().filter(|entry| entry.path.ends_with(attributes::FILE.as_bytes()));
        let dirs =
            attribute_files.filter_map(|entry| attributes::directory(&path(&entry))).collect();
        self.prefixes = prefixes(self.repo, &self.attributes, dirs, self.also);
        let mut files = Files::new();
        for entry in index.iter().filter(|entry| is_file(i32::try_from(entry.mode).unwrap_or(0))) {
            // Most paths do not matter, so no string is allocated for them.
            let near = self.prefixes.iter().any(|prefix| entry.path.starts_with(prefix.as_bytes()));
            if near && self.is_secret(&path(&entry)) {
                files.push((path(&entry), entry.id));
            }
        }
        Ok(files)
    }

    /// Secret files of HEAD; `None` before the first commit.
    pub(super) fn head(&mut self) -> std::result::Result<Option<Files>, git2::Error> {
        let tree = match self.git.head().and_then(|head| head.peel_to_tree()) {
            Ok(tree) => tree,
            Err(error) if matches!(error.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let mut files = Files::new();
        for (prefix, id) in self.scopes(&tree) {
            self.walk(id, &prefix, &mut HashMap::new(), &mut files);
        }
        Ok(Some(files))
    }

    /// Attribute files that git-crypt encrypts, or would encrypt, each with its remedy.
    pub(super) fn closed_attributes(
        &mut self,
    ) -> std::result::Result<Vec<(String, Remedy)>, git2::Error> {
        let index = self.git.index()?;
        let is_one = |path: &[u8]| {
            path.rsplit(|byte| *byte == b'/').next() == Some(attributes::FILE.as_bytes())
        };
        let mut closed = Vec::new();
        for entry in index.iter().filter(|entry| is_one(&entry.path)) {
            let path = String::from_utf8_lossy(&entry.path).into_owned();
            let is_encrypted = self.is_plain(entry.id)? == Some(false)
                && self.odb.read(entry.id).is_ok_and(|blob| !blob.data().is_empty());
            if path.starts_with(&self.repo.prefix)
                && (is_encrypted || self.attributes.filter(&path).is_some())
            {
                let remedy = self.attributes.release(&path, &self.repo.prefix);
                closed.push((self.repo.out_of_git(path), remedy));
            }
        }
        Ok(closed)
    }

    pub(super) fn plain(&mut self, files: &Files) -> std::result::Result<Plain, git2::Error> {
        let (mut plain, mut missing) = (BTreeSet::new(), BTreeSet::new());
        for (path, id) in files {
            match self.is_plain(*id)? {
                Some(true) => plain.insert(self.repo.out_of_git(path.clone())),
                Some(false) => false,
                None => missing.insert(self.repo.out_of_git(path.clone())),
            };
        }
        let (plain, missing) = (plain.into_iter().collect(), missing.into_iter().collect());
        Ok(Plain { files: files.len(), plain, missing })
    }

    /// Trees below `root` that may hold secrets, with their paths.
    pub(super) fn scopes(&self, root: &git2::Tree) -> Vec<(String, Oid)> {
        let tree_at = |prefix: &str| match prefix.trim_end_matches('/') {
            "" => Some(root.id()),
            path => {
                let entry = root.get_path(std::path::Path::new(path)).ok()?;
                (entry.kind() == Some(ObjectType::Tree)).then(|| entry.id())
            }
        };
        self.prefixes.iter().filter_map(|prefix| Some((prefix.clone(), tree_at(prefix)?))).collect()
    }

    /// Collects the secret files of `tree`, which is at `path`. Skips trees that were already seen
    /// there.
    pub(super) fn walk(
        &mut self,
        tree: Oid,
        path: &str,
        seen: &mut HashMap<String, HashSet<Oid>>,
        files: &mut Files,
    ) {
        let mut open = vec![(path.to_owned(), tree)];
        while let Some((dir, id)) = open.pop() {
            if !seen.entry(dir.clone()).or_default().insert(id) {
                continue;
            }
            let Ok(tree) = self.git.find_tree(id) else {
                self.missing = true;
                continue;
            };
            for entry in &tree {
                let path = || format!("{dir}{}", String::from_utf8_lossy(entry.name_bytes()));
                match entry.kind() {
                    Some(ObjectType::Tree) => open.push((path() + "/", entry.id())),
                    _ if !is_file(entry.filemode()) => {}
                    _ => {
                        let path = path();
                        if self.is_secret(&path)
                            && seen.entry(path.clone()).or_default().insert(entry.id())
                        {
                            files.push((path, entry.id()));
                        }
                    }
                }
            }
        }
    }

    fn is_secret(&mut self, path: &str) -> bool {
        if is_gits_own(path) {
            return false;
        }
        let below = path.strip_prefix(&self.repo.prefix);
        if below.is_some_and(|path| path.starts_with(SECRETS))
            || self.also.iter().any(|also| also == path)
        {
            return true;
        }
        if let Some(known) = self.secret.get(path) {
            return *known;
        }
        let secret = self.attributes.filter(path).is_some();
        self.secret.insert(path.to_owned(), secret);
        secret
    }

    /// Whether a blob is plaintext; `None` if it is not in this clone. An empty blob does not count
    /// as plaintext.
    pub(super) fn is_plain(&mut self, id: Oid) -> std::result::Result<Option<bool>, git2::Error> {
        if let Some(known) = self.plain.get(&id) {
            return Ok(*known);
        }
        let plain = match self.odb.read(id) {
            Ok(blob) => Some(!blob.data().is_empty() && !git_crypt::is_encrypted(blob.data())),
            Err(error) if error.code() == ErrorCode::NotFound => {
                self.missing = true;
                None
            }
            Err(error) => return Err(error),
        };
        self.plain.insert(id, plain);
        Ok(plain)
    }
}

/// Whether git itself reads the file, so that git-crypt must not encrypt it (git-crypt's README).
pub(super) fn is_gits_own(path: &str) -> bool {
    matches!(path.rsplit('/').next(), Some(".gitattributes" | ".gitignore"))
}

/// Whether a tree entry of `mode` is a regular file: links and submodules hold no secret content.
fn is_file(mode: i32) -> bool {
    mode & 0o170_000 == 0o100_000
}

/// Directories, with a trailing slash, outside of which no path is a secret: `secrets/`, those of
/// the files `also`, and the prefixes of attribute lines that name git-crypt. Paths of a larger
/// repository outside of this one are not considered.
fn prefixes(
    repo: &Repo,
    attributes: &Attributes,
    dirs: BTreeSet<String>,
    also: &[String],
) -> Vec<String> {
    let dir = |path: &str| path.rfind('/').map_or(String::new(), |slash| path[..=slash].to_owned());
    let mut prefixes = BTreeSet::from([repo.in_git(SECRETS)]);
    prefixes.extend(also.iter().map(|path| dir(path)));
    prefixes.extend(attributes.prefixes(std::iter::once(String::new()).chain(dirs)));
    let clamped = prefixes.into_iter().filter_map(|prefix| {
        if repo.prefix.starts_with(&prefix) {
            Some(repo.prefix.clone())
        } else {
            prefix.starts_with(&repo.prefix).then_some(prefix)
        }
    });
    let mut prefixes: BTreeSet<String> = clamped.collect();
    // A directory within another one is redundant.
    let all = prefixes.clone();
    prefixes.retain(|prefix| {
        !all.iter().any(|other| other != prefix && prefix.starts_with(other.as_str()))
    });
    prefixes.into_iter().collect()
}
