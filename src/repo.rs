//! Git in process: creates a repository, stages files (secrets as ciphertext) and commits.
//!
//! libgit2 runs no clean filters, so `Index::add_path` would store a Secret in plaintext. This
//! module creates every blob from bytes in memory and refuses an unencrypted blob below `secrets/`.

mod aside;
mod attributes;
mod audit;
mod auditor;
mod back;
mod commit;
mod earlier;
mod encrypt;
mod exposed;
mod head;
mod history;
mod identity;
mod index;
mod keys;
mod locks;
mod loss;
mod objects;
mod open;
mod pick;
mod repair;
mod sharing;
mod tips;
mod trial;
mod truncated;
mod unlock;
mod unmerged;
mod unsupported;

pub use attributes::Remedy;
pub use audit::{Audit, Filter, KeyState, Program};
pub use auditor::Plain;
pub use commit::{Blob, Commit, identity_commands};
pub use exposed::{Exposed, ExposedIn};
pub use head::HeadSecret;
pub use history::{History, Leak};
pub use open::{
    Encryption, Repo, RepoLocation, choose_repository, directory, surrounding_work_tree,
};
pub use tips::{Committed, Upstream};
pub use trial::Trial;
pub use unmerged::Unmerged;

pub use crate::templates::SECRETS;

use crate::advice::Advice;
use crate::error::{Failure, Result};
use crate::files;
use crate::git_crypt::{self, Key};
use crate::interrupt::Interrupts;
use crate::templates::{File, Kind};
use attributes::Attributes;
use git2::{ErrorCode, Oid, Repository, RepositoryInitOptions};
use identity::identity;
use index::entry;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The commands that turn a split or sparse index into one that libgit2 can read.
fn plain_index() -> Advice {
    Advice::git("update-index --no-split-index").and(Advice::git("sparse-checkout disable"))
}

/// A new repository with git-crypt set up.
pub struct New {
    git: Repository,
}

impl New {
    /// Creates the repository in `dir`, with git-crypt's key and configuration and the hooks of the
    /// generated tree.
    pub fn create(dir: &Path, key: &Key) -> Result<Self> {
        // Everything that a new object refers to was written a moment ago, so reading it back to
        // verify it is wasted time.
        git2::opts::strict_object_creation(false);
        let mut options = RepositoryInitOptions::new();
        options.no_reinit(true).external_template(false);
        let git = Repository::init_opts(dir, &options)
            .map_err(|error| failed("make the git repository", &error))?;
        remove_probes(dir)?;
        open_without_packs(&git)?;
        configure(&git.path().join("config"))?;
        write_key(&git.path().join(git_crypt::KEY_FILE), key)?;
        Ok(Self { git })
    }

    /// Stages `files`, which are already in the work tree; secrets are staged as ciphertext.
    /// Returns the tree of all files.
    pub fn stage(&self, files: &[File], key: &Key, interrupts: &Interrupts) -> Result<Oid> {
        let mut index = self.git.index().map_err(|error| failed("open the index", &error))?;
        for file in files {
            interrupts.check()?;
            let text = file.text.expose().as_bytes();
            let blob = match file.kind {
                Kind::Secret => self.store(&file.path, &key.encrypt(text))?,
                Kind::Plain | Kind::Executable => self.store(&file.path, text)?,
            };
            let executable = file.kind == Kind::Executable;
            let entry = entry(&self.git, &file.path, blob, executable)?;
            index.add(&entry).map_err(|error| failed("stage a file", &error))?;
        }
        // The tree is written before the index: the index then caches its id, and git does not have
        // to build it again.
        let tree = index.write_tree().and_then(|tree| index.write().map(|()| tree));
        let tree = tree.map_err(|error| failed("write the index", &error))?;
        locks::remove_for(&self.git.path().join("index"))?;
        Ok(tree)
    }

    fn store(&self, path: &str, bytes: &[u8]) -> Result<Oid> {
        check_encrypted(path, bytes)?;
        let top = work_tree(&self.git);
        // The directory itself does not outlast a failure.
        let parent = top.parent().unwrap_or(&top);
        Ok(objects::write_new_blob(&self.git.path().join("objects"), bytes)
            .map_err(|error| files::cannot("write to directory", parent, &error))?)
    }

    /// Creates the first commit, of `tree`, and returns its id. `None` if git does not know the
    /// author.
    pub fn commit(&self, tree: Oid, message: &str) -> Result<Option<String>> {
        let Some((author, committer)) = identity(&self.git)? else { return Ok(None) };
        let commit = || -> std::result::Result<(Oid, String), git2::Error> {
            let tree = self.git.find_tree(tree)?;
            let id = commit::create_commit(&self.git, [&author, &committer], message, &tree, &[])?;
            let head = self.git.find_reference("HEAD")?;
            let branch = head.symbolic_target()?.unwrap_or("HEAD");
            self.git.reference(branch, id, false, &format!("commit (initial): {message}"))?;
            // Read back from the disk by libgit2.
            Ok((self.git.head()?.peel_to_commit()?.id(), branch.to_owned()))
        };
        let (id, branch) = commit().map_err(|error| failed("commit", &error))?;
        locks::remove_for(&self.git.path().join(branch))?;
        Ok(Some(id.to_string()))
    }

    /// Whether the user's configuration asks for signed commits, which makeinfra does not make.
    #[must_use]
    pub fn wants_signed_commits(&self) -> bool {
        wants_signed_commits(&self.git)
    }
}

fn wants_signed_commits(git: &Repository) -> bool {
    git.config().and_then(|config| config.get_bool("commit.gpgSign")).unwrap_or(false)
}

/// Stores `bytes` as the blob of `path`.
fn store(git: &Repository, path: &str, bytes: &[u8]) -> Result<Oid> {
    check_encrypted(path, bytes)?;
    Ok(git.blob(bytes).map_err(|error| failed("store a file", &error))?)
}

/// Fails if `bytes` must not become the blob of `path`. All content passes here before it enters an
/// object database, except that of [`store_text`], which takes nothing below `secrets/`.
fn check_encrypted(path: &str, bytes: &[u8]) -> Result<()> {
    if path.starts_with(SECRETS) && !git_crypt::is_encrypted(bytes) {
        return Err(Failure::failed(format!("refused to store `{path}` unencrypted"))
            .because("this is a bug in makeinfra")
            .into());
    }
    Ok(())
}

/// Stores `bytes` as the blob of `path`, which git knows as `in_git` and for which no filter may be
/// set. Git's own line-ending conversion applies.
fn store_text(git: &Repository, path: &str, in_git: &str, bytes: &[u8]) -> Result<Oid> {
    if path.starts_with(SECRETS) || Attributes::of(git)?.has_filter(in_git) {
        return Err(Failure::failed(format!("refused to store `{path}` without its filter"))
            .because("a filter in `.gitattributes` changes it")
            .hint(Advice::git(format!("add {path}")).why("omit --commit, then"))
            .into());
    }
    let stored = git.blob_writer(Some(Path::new(in_git))).and_then(|mut writer| {
        let written = std::io::Write::write_all(&mut writer, bytes);
        written.map_err(|error| git2::Error::from_str(&error.to_string()))?;
        writer.commit()
    });
    Ok(stored.map_err(|error| failed("store a file", &error))?)
}

/// Opens the object database while it has no pack directory: libgit2 would otherwise rescan that
/// directory before it writes any object. No other process can add a pack to a repository that is
/// just being created.
fn open_without_packs(git: &Repository) -> Result<()> {
    let packs = git.path().join("objects/pack");
    fs::remove_dir(&packs)
        .and_then(|()| {
            git.odb().map(drop).map_err(|error| std::io::Error::other(error.message().to_owned()))
        })
        .and_then(|()| fs::create_dir(&packs))
        .map_err(|error| {
            Failure::failed("cannot open the object database").because(error.to_string()).into()
        })
}

/// Removes the files with which libgit2 probes for symlink support; it leaves one behind if it
/// cannot delete it.
fn remove_probes(dir: &Path) -> Result<()> {
    let cannot = |error: &std::io::Error| files::cannot("write to directory", dir, error);
    for entry in files::entries(dir).map_err(|error| cannot(&error))? {
        if entry.name.to_string_lossy().starts_with("_git2_") {
            fs::remove_file(entry.path).map_err(|error| cannot(&error))?;
        }
    }
    Ok(())
}

/// Adds the hooks path and git-crypt's filter to the configuration of a new repository. One write:
/// libgit2 would rewrite the whole file for each of the five lines.
fn configure(config: &Path) -> Result<()> {
    let added = fs::read_to_string(config).and_then(|text| {
        let (core, hooks) = ("[core]\n", "[core]\n\thooksPath = .githooks\n");
        let text = if text.contains(core) { text.replacen(core, hooks, 1) } else { text + hooks };
        fs::write(config, text + git_crypt::CONFIG)
    });
    Ok(added.map_err(|error| {
        Failure::failed("cannot write `.git/config`").because(error.to_string())
    })?)
}

fn write_key(path: &Path, key: &Key) -> Result<()> {
    use std::io::Write;
    let written = path
        .parent()
        .map_or(Ok(()), |parent| fs::DirBuilder::new().recursive(true).mode(0o700).create(parent))
        .and_then(|()| fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path))
        .and_then(|mut file| file.write_all(&key.to_file()));
    Ok(written.map_err(|error| {
        Failure::failed("cannot write the git-crypt key").because(error.to_string())
    })?)
}

fn work_tree(git: &Repository) -> PathBuf {
    git.workdir().map(Path::to_owned).unwrap_or_default()
}

/// A libgit2 error while trying to `what`, as a failure.
fn failed(what: &str, error: &git2::Error) -> Failure {
    let failure =
        Failure::failed(format!("cannot {what}")).because(crate::error::printable(error.message()));
    match error.code() {
        ErrorCode::Locked => {
            failure.hint("wait for the other git process; if none is running, remove the lock file")
        }
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_to_store_an_unencrypted_secret() {
        let dir = tempfile::tempdir().unwrap();
        let key = Key::generate().unwrap();
        let repo = New::create(dir.path(), &key).unwrap();
        assert!(repo.store("secrets/kubernetes/a.yaml", b"kind: Secret").is_err());
        assert!(repo.store("secrets/kubernetes/a.yaml", &key.encrypt(b"kind: Secret")).is_ok());
        assert!(store(&repo.git, "secrets/kubernetes/a.yaml", b"kind: Secret").is_err());
        assert!(
            store(&repo.git, "secrets/kubernetes/a.yaml", &key.encrypt(b"kind: Secret")).is_ok()
        );
        assert!(store(&repo.git, "Makefile", b"all:").is_ok());
    }
}
