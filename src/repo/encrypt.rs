//! git-crypt set up in a repository that exists, as `git-crypt init` does it.

use super::{Repo, failed, write_key};
use crate::advice::shell_word;
use crate::error::{Failure, Result};
use crate::files;
use crate::git_crypt::{self, Key};
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// git-crypt in a repository that had none: taken back unless kept.
#[derive(Default)]
pub struct Installed {
    /// The key file, if it is new.
    key: Option<PathBuf>,
    /// The configuration, and what it was.
    config: Option<(PathBuf, Vec<u8>)>,
}

impl Installed {
    /// Lets it stay.
    pub fn keep(mut self) {
        (self.key, self.config) = (None, None);
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        // What cannot be taken back does no harm: the next run finds and uses it.
        if let Some((config, before)) = &self.config {
            let _ = replace(config, before);
        }
        if let Some(key) = &self.key {
            let _ = fs::remove_file(key);
            // Only directories that are empty go.
            key.ancestors().skip(1).take(2).for_each(|dir| drop(fs::remove_dir(dir)));
        }
    }
}

impl Repo {
    /// The default git-crypt key of this clone, if it has one.
    pub fn default_key(&self) -> Result<Option<Key>> {
        let file = self.key_file(git_crypt::FILTER);
        let Some(bytes) = files::read(&file, 1 << 20)? else { return Ok(None) };
        let key = Key::from_file(&bytes);
        Ok(Some(key.map_err(|_| {
            Failure::failed(format!("`{}` is not a git-crypt key", file.display()))
                .hint(format!("mv {0} {0}.old", shell_word(&file)))
        })?))
    }

    /// Writes the key, if it is not there, and git's configuration of the filter.
    pub fn install_git_crypt(&self, key: &Key) -> Result<Installed> {
        let config = self.git.commondir().join("config");
        let before = fs::read(&config).map_err(|error| files::cannot("read", &config, &error))?;
        let file = self.key_file(git_crypt::FILTER);
        let mut installed = Installed::default();
        if !file.exists() {
            installed.key = Some(file.clone());
            write_key(&file, key)?;
        }
        let gap: &[u8] = if before.is_empty() || before.ends_with(b"\n") { b"" } else { b"\n" };
        let after = [&before, gap, git_crypt::CONFIG.as_bytes()].concat();
        replace(&config, &after).map_err(|error| files::cannot("write", &config, &error))?;
        installed.config = Some((config, before));
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
