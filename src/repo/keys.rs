//! Git-crypt keys of this clone. Each is tried on git's encrypted content before anything is
//! encrypted with it: `git-crypt init` in a locked clone creates a key that nobody else has.

use super::attributes::{self, Attributes};
use super::trial::{Trial, read};
use super::{Repo, SECRETS, failed};
use crate::advice::Advice;
use crate::error::{Failure, Kind, Result};
use crate::git_crypt::{self, Key, UNLOCK_ANEW};
use git2::{ErrorCode, ObjectType, Oid, TreeWalkMode, TreeWalkResult};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

impl Repo {
    /// Fails if the key of `filter` does not decrypt what HEAD holds encrypted with that filter.
    /// Succeeds if the key is missing, since nothing can be encrypted with it.
    pub fn check_key(&self, filter: &str) -> Result<()> {
        let mut tried = self.tried.borrow_mut();
        let trials = match tried.get(filter) {
            Some(known) => known,
            None => tried.entry(filter.to_owned()).or_insert(self.try_keys(filter)?),
        };
        let Some((file, trial)) = trials.iter().find(|(_, trial)| trial.is_foreign()) else {
            return Ok(());
        };
        let path = self.out_of_git(trial.closed[0].clone());
        Err(Failure::failed(
            "the git-crypt key of this clone belongs to another repository; nothing was written",
        )
        .kind(Kind::WrongKey)
        .because(format!("`{}` does not decrypt `{path}` in HEAD", file.display()))
        .hint(Advice::at_top(UNLOCK_ANEW))
        .into())
    }

    fn try_keys(&self, filter: &str) -> Result<Vec<(PathBuf, Trial)>> {
        let mut keys = Vec::new();
        for file in self.key_files(filter) {
            let bytes = read(&file)?;
            // An invalid key file cannot encrypt anything, either.
            keys.extend(bytes.and_then(|bytes| Key::from_file(&bytes).ok()).map(|key| (file, key)));
        }
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let blobs = self.encrypted(filter)?;
        let trials = keys.into_iter().map(|(file, key)| {
            let mut trial = Trial::default();
            for (path, id) in &blobs {
                // A blob that is missing from this clone proves nothing.
                if let Ok(blob) = self.git.find_blob(*id) {
                    trial.on(&key, path, blob.content());
                }
            }
            (file, trial)
        });
        Ok(trials.collect())
    }

    /// Files of HEAD, or of the index before the first commit, that attributes assign to `filter`.
    /// The default filter also gets files below `secrets/` without an attribute.
    fn encrypted(&self, filter: &str) -> Result<Vec<(String, Oid)>> {
        let attributes = Attributes::of(&self.git)?;
        let unread = |error: git2::Error| failed("read the repository", &error);
        let index = self
            .git
            .index()
            .map_err(|error| failed("read the index", &error).hint(super::plain_index()))?;
        let path = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let dirs: BTreeSet<_> =
            index.iter().filter_map(|entry| attributes::directory(&path(&entry.path))).collect();
        let mut prefixes = attributes.prefixes(std::iter::once(String::new()).chain(dirs));
        let secrets = self.in_git(SECRETS);
        prefixes.insert(secrets.clone());
        let is_near = |path: &str| prefixes.iter().any(|prefix| path.starts_with(prefix.as_str()));
        let is_ours = |path: &str| match attributes.filter(path) {
            Some(found) => found == filter,
            None => filter == git_crypt::FILTER && path.starts_with(&secrets),
        };
        let mut found = BTreeMap::new();
        match self.git.head().and_then(|head| head.peel_to_tree()) {
            Ok(tree) => {
                let leads_there = |dir: &str| {
                    prefixes
                        .iter()
                        .any(|prefix| prefix.starts_with(dir) || dir.starts_with(prefix.as_str()))
                };
                let walked = tree.walk(TreeWalkMode::PreOrder, |dir, entry| {
                    let path = format!("{dir}{}", path(entry.name_bytes()));
                    match entry.kind() {
                        Some(ObjectType::Tree) if !leads_there(&format!("{path}/")) => {
                            return TreeWalkResult::Skip;
                        }
                        Some(ObjectType::Blob) if is_near(&path) && is_ours(&path) => {
                            found.insert(path, entry.id());
                        }
                        _ => {}
                    }
                    TreeWalkResult::Ok
                });
                // A tree that is missing from this clone ends the walk.
                if let Err(error) = walked
                    && error.code() != ErrorCode::NotFound
                {
                    return Err(unread(error).into());
                }
            }
            Err(error) if matches!(error.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => {
                let all = index.iter().map(|entry| (path(&entry.path), entry.id));
                found.extend(all.filter(|(path, _)| is_near(path) && is_ours(path)));
            }
            Err(error) => return Err(unread(error).into()),
        }
        Ok(found.into_iter().collect())
    }

    /// The git-crypt key for `path`.
    pub fn key(&self, path: &str) -> Result<Rc<Key>> {
        let file = self.key_file(&self.filter(path)?.unwrap_or_default());
        if let Some(key) = self.keys.borrow().get(&file) {
            return Ok(Rc::clone(key));
        }
        let bytes = read(&file)?.ok_or_else(|| {
            Failure::failed("this clone has no git-crypt key")
                .kind(self.without_key())
                .because(format!("`{}` does not exist", file.display()))
                .hint(Advice::at_top(self.unlock_or_init()))
        })?;
        let key = Key::from_file(&bytes).map_err(|_| {
            Failure::failed(format!("`{}` is not a git-crypt key", file.display()))
                .kind(Kind::WrongKey)
                .hint(Advice::at_top(self.unlock_or_init()))
        })?;
        let key = Rc::new(key);
        self.keys.borrow_mut().insert(file, Rc::clone(&key));
        Ok(key)
    }

    /// Path of a git-crypt filter's key, whether or not it exists.
    pub(super) fn key_file(&self, filter: &str) -> PathBuf {
        let [own, common] = self.key_files(filter);
        if own.exists() { own } else { common }
    }

    /// Candidate key files. In a linked work tree, git-crypt 0.7 keeps keys in the work tree's own
    /// git directory, 0.8 in that of the repository.
    fn key_files(&self, filter: &str) -> [PathBuf; 2] {
        let name = filter.strip_prefix("git-crypt-").unwrap_or("default");
        let in_dir = |dir: &Path| dir.join("git-crypt/keys").join(name);
        [in_dir(self.git.path()), in_dir(self.git.commondir())]
    }
}
