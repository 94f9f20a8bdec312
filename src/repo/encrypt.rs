//! git-crypt set up in a repository that exists, as `git-crypt init` does it.

use super::{Repo, failed, write_key};
use crate::error::{Failure, Result};
use crate::files;
use crate::git_crypt::{self, Key};
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// git-crypt in a repository that had none: taken back unless kept.
pub struct Installed {
    /// The key file, if it was made.
    key: Option<PathBuf>,
    /// The configuration, and what it was.
    config: PathBuf,
    before: Vec<u8>,
}

impl Installed {
    /// Lets it stay.
    pub fn keep(mut self) {
        self.key = None;
        self.config = PathBuf::new();
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        if self.config.as_os_str().is_empty() {
            return;
        }
        // What cannot be taken back does no harm: the next run finds and uses it.
        let _ = replace(&self.config, &self.before);
        if let Some(key) = &self.key {
            let _ = fs::remove_file(key);
            let dirs = key.ancestors().skip(1).take(2);
            let _ = dirs.into_iter().try_for_each(fs::remove_dir);
        }
    }
}

impl Repo {
    /// The default git-crypt key of this clone, if it has one.
    pub fn default_key(&self) -> Result<Option<Key>> {
        let file = self.key_file("git-crypt");
        let Some(bytes) = files::read(&file, 1 << 20)? else { return Ok(None) };
        let key = Key::from_file(&bytes);
        Ok(Some(key.map_err(|_| {
            Failure::failed(format!("`{}` is not a git-crypt key", file.display()))
                .hint(format!("mv {0} {0}.old", files::shell_word(&file)))
        })?))
    }

    /// Writes the key, if it is not there, and git's configuration of the filter.
    pub fn install_git_crypt(&self, key: &Key) -> Result<Installed> {
        let config = self.git.commondir().join("config");
        let before = fs::read(&config).map_err(|error| files::cannot("read", &config, &error))?;
        let file = self.key_file("git-crypt");
        let is_new = !file.exists();
        if is_new {
            write_key(&file, key)?;
        }
        let installed =
            Installed { key: is_new.then_some(file), config: config.clone(), before: before.clone() };
        let gap: &[u8] = if before.is_empty() || before.ends_with(b"\n") { b"" } else { b"\n" };
        let after = [&before, gap, git_crypt::CONFIG.as_bytes()].concat();
        replace(&config, &after).map_err(|error| files::cannot("write", &config, &error))?;
        // Read by libgit2 once more, or it would not know the filter.
        self.git
            .config()
            .and_then(|mut config| config.snapshot())
            .map_err(|error| failed("read git's configuration", &error))?;
        Ok(installed)
    }
}

/// Gives git's configuration file another content, under the lock that git takes (git's lockfile.h).
fn replace(config: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let lock = config.with_extension("lock");
    let mode = config.metadata()?.permissions().mode() & 0o777;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&lock)?;
    let written =
        file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&lock, config));
    if written.is_err() {
        let _ = fs::remove_file(&lock);
    }
    written
}
