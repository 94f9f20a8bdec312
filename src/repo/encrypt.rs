//! Sets up git-crypt in an existing repository, as `git-crypt init` does.

use super::locks::Locks;
use super::{Repo, trial};
use crate::advice::shell_word;
use crate::error::{Failure, Result};
use crate::files::{self, Batch};
use crate::git_crypt::{self, Key};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use zeroize::Zeroizing;

impl Repo {
    /// The default git-crypt key of this clone; `None` if it has none.
    pub fn default_key(&self) -> Result<Option<Key>> {
        let file = self.key_file(git_crypt::FILTER);
        let Some(bytes) = trial::read(&file)? else { return Ok(None) };
        let key = Key::from_file(&bytes);
        Ok(Some(key.map_err(|_| {
            Failure::failed(format!("`{}` is not a git-crypt key", file.display()))
                .hint(format!("mv {0} {0}.old", shell_word(&file)))
        })?))
    }

    /// Adds the key (if it is missing) and git's filter configuration to `batch`. The returned
    /// locks keep other processes from changing the configuration.
    pub fn install_git_crypt(&self, key: &Key, batch: &mut Batch) -> Result<Locks> {
        self.check_file("config")?;
        let locks = self.lock_config()?;
        let config = self.git.commondir().join("config");
        let cannot = |error: &std::io::Error| files::cannot("read", &config, error);
        let before = fs::read(&config).map_err(|error| cannot(&error))?;
        let mode = config.metadata().map_err(|error| cannot(&error))?.permissions().mode() & 0o777;
        let file = self.key_file(git_crypt::FILTER);
        if !file.exists() {
            batch.add_in(self.git.path(), &file, Zeroizing::new(key.to_file()), 0o600)?;
        }
        let gap: &[u8] = if before.is_empty() || before.ends_with(b"\n") { b"" } else { b"\n" };
        let after = [&before, gap, git_crypt::CONFIG.as_bytes()].concat();
        batch.add_in(self.git.path(), &config, after, mode)?;
        Ok(locks)
    }
}
