//! Writes to the user's disk, all or nothing: content goes to a sibling file or directory that is
//! renamed at the end.
//!
//! Never overwrites a file that it was not told to replace, and never follows a link to one.

mod batch;
mod entries;
mod leftovers;
mod private;
mod reach;

pub use batch::Batch;
pub use entries::{DirEntry, entries, is_absent};
pub use leftovers::{
    Leftover, Lock, has_no_locks, is_leftover, leftovers, leftovers_below, leftovers_in, lock,
    remove, remove_empty,
};
pub use private::{forget, keep, private_directory};
pub use reach::reaches;

use crate::advice::{Advice, shell_word};
use crate::error::{Failure, Result};
use crate::interrupt::Interrupts;
use crate::templates::{File, Kind};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tempfile::{NamedTempFile, TempDir};
use zeroize::Zeroizing;

/// Separates a name from the random letters of its temporary sibling. `.gitignore` has it, too.
const MARK: &str = ".makeinfra-";
/// Number of random letters.
const LETTERS: usize = 12;

/// Fails unless `target` can be created: it does not exist or is an empty directory.
pub fn check_target(target: &Path) -> Result<()> {
    let taken = |what: &str| {
        Err(Failure::failed(format!("cannot create `{}`", target.display()))
            .because(what)
            .hint("choose another name, or another directory with `--output DIR`")
            .into())
    };
    match fs::symlink_metadata(target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(cannot("inspect", target, &error).into()),
        Ok(found) if !found.is_dir() => taken("it already exists and is not a directory"),
        Ok(_) => {
            if entries(target).map_err(|error| cannot("read", target, &error))?.is_empty() {
                Ok(())
            } else {
                taken("it already exists and is not empty")
            }
        }
    }
}

/// The directory `path` with links resolved. Fails if it cannot be entered.
pub fn directory(path: &Path) -> Result<PathBuf> {
    let found = fs::canonicalize(path).and_then(|real| {
        if real.is_dir() { Ok(real) } else { Err(io::ErrorKind::NotADirectory.into()) }
    });
    Ok(found.map_err(|error| {
        let hint = format!("mkdir -p {}", shell_word(path));
        let failure = cannot("use directory", path, &error);
        match error.kind() {
            io::ErrorKind::NotFound => failure.hint(hint),
            io::ErrorKind::NotADirectory => failure.hint("name a directory"),
            _ => failure,
        }
    })?)
}

/// Like [`directory`], for text that may not be a path at all; `None` if it cannot be entered.
#[must_use]
pub fn existing_directory(path: &Path) -> Option<PathBuf> {
    fs::canonicalize(path).ok().filter(|real| real.is_dir())
}

/// The text of the user's file `path`; `None` if there is no such file. Fails if it has more than
/// `limit` bytes.
pub fn read(path: &Path, limit: usize) -> Result<Option<Zeroizing<Vec<u8>>>> {
    use io::Read;
    let mut bytes = Zeroizing::new(Vec::with_capacity(8192));
    let read =
        fs::File::open(path).and_then(|file| file.take(limit as u64 + 1).read_to_end(&mut bytes));
    match read.map_err(|error| (error.kind(), error)) {
        Ok(length) if length > limit => {
            Err(Failure::failed(format!("`{}` is too large", path.display()))
                .because(format!("it is larger than {limit} bytes"))
                .hint(Advice::anywhere("ls -l").path(path))
                .into())
        }
        Ok(_) => Ok(Some(bytes)),
        // A name that is too long is not a file's, and may be a misplaced token.
        Err((
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename,
            _,
        )) => Ok(None),
        Err((_, error)) => Err(cannot("read", path, &error).into()),
    }
}

/// Why `file`, which is `path` below the top of a repository, is not one of the repository's own
/// files; `None` if it is, or does not exist.
#[must_use]
pub fn not_a_repo_file_because(path: &str, file: &Path) -> Option<&'static str> {
    if file.symlink_metadata().is_ok_and(|found| !found.is_file()) {
        return Some("it is not a regular file");
    }
    // Git and git-crypt see a linked file at its own place, or not at all.
    let parents = Path::new(path).ancestors().zip(file.ancestors()).skip(1);
    let mut inside = parents.take_while(|(path, _)| path.file_name().is_some());
    inside.any(|(_, dir)| dir.is_symlink()).then_some("a parent directory is a symbolic link")
}

/// Whether users other than the owner may read the file `path`.
#[must_use]
pub fn is_readable_by_others(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o044 != 0)
}

/// A directory under construction: built under another name beside its target, and deleted unless
/// published.
pub struct Staging {
    building: TempDir,
    target: PathBuf,
    /// A lock that ends with the process, so that the next run can tell a leftover from an active
    /// run.
    lock: fs::File,
}

impl Staging {
    /// Creates the sibling of `target`, accessible to the user alone.
    pub fn begin(target: &Path) -> Result<Self> {
        let (parent, prefix) = sibling(target)?;
        for _ in 0..10 {
            let building = tempfile::Builder::new()
                .prefix(&prefix)
                .rand_bytes(LETTERS)
                .permissions(fs::Permissions::from_mode(0o700))
                .tempdir_in(parent)
                .map_err(|error| cannot("write to directory", parent, &error))?;
            // Before it is locked, another run may take it for a leftover and delete it; then try
            // again.
            let Some(lock) = lock(building.path()).map_err(|error| no_locks(parent, &error))?
            else {
                continue;
            };
            return Ok(Self { building, target: target.to_owned(), lock });
        }
        Err(no_locks(parent, &io::ErrorKind::WouldBlock.into()).into())
    }

    /// The directory under construction.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.building.path()
    }

    /// Writes `files` to the directory under construction.
    pub fn write(&self, files: &[File], interrupts: &Interrupts) -> Result<()> {
        let written = written_time();
        let mut last = self.path().to_owned();
        for file in files {
            interrupts.check()?;
            let path = self.path().join(&file.path);
            let parent = path.parent().unwrap_or(self.path());
            let bits = match file.kind {
                Kind::Plain => 0o666,
                Kind::Executable => 0o777,
                Kind::Secret => 0o600,
            };
            // The files are sorted, so each directory is created once.
            let made = if parent == last { Ok(()) } else { fs::create_dir_all(parent) };
            let result = made
                .and_then(|()| {
                    fs::OpenOptions::new().write(true).create_new(true).mode(bits).open(&path)
                })
                .and_then(|mut out| {
                    out.write_all(file.text.expose().as_bytes())?;
                    out.set_modified(written)
                });
            result.map_err(|error| cannot("write", &self.target.join(&file.path), &error))?;
            parent.clone_into(&mut last);
        }
        Ok(())
    }

    /// Sets the mode that the umask allows and then renames the directory, in this order: the
    /// target is never visible while incomplete.
    pub fn publish(self) -> Result<()> {
        let result = plain_directory_mode(self.path())
            .and_then(|mode| fs::set_permissions(self.path(), mode))
            .and_then(|()| fs::rename(self.path(), &self.target));
        result.map_err(|error| match error.kind() {
            io::ErrorKind::DirectoryNotEmpty => cannot("create", &self.target, &error)
                .hint("another process has just created it: choose another name"),
            _ => cannot("create", &self.target, &error),
        })?;
        // The old name does not exist any more; `TempDir` must not delete it.
        let _ = self.building.keep();
        drop(self.lock);
        Ok(())
    }
}

/// New content for a file, written beside it and not yet in place.
pub struct Replacement {
    file: NamedTempFile,
    target: PathBuf,
    mode: fs::Permissions,
}

impl Replacement {
    /// Writes `text` to a file in `dir`. The umask limits `mode` only if `target` does not exist.
    /// Creates the directories that `target` needs.
    fn prepare_in(dir: &Path, target: &Path, text: impl AsRef<[u8]>, mode: u32) -> Result<Self> {
        let (parent, prefix) = sibling(target)?;
        let mode = fs::Permissions::from_mode(mode);
        let written = fs::create_dir_all(parent)
            .and_then(|()| {
                tempfile::Builder::new()
                    .prefix(&prefix)
                    .rand_bytes(LETTERS)
                    .permissions(mode.clone())
                    .tempfile_in(dir)
            })
            .and_then(|mut file| {
                file.write_all(text.as_ref())?;
                if target.exists() {
                    file.as_file().set_permissions(mode.clone())?;
                }
                file.as_file().set_modified(written_time())?;
                // A rename that survives a power cut must not lead to an empty file.
                file.as_file().sync_all()?;
                Ok(file)
            });
        let file = written.map_err(|error| cannot("write", target, &error))?;
        Ok(Self { file, target: target.to_owned(), mode })
    }

    /// The replacement after `make` has changed its file, or replaced it by another file of that
    /// name.
    fn made(self, make: impl FnOnce(&Path) -> Result<()>) -> Result<Self> {
        make(self.file.path())?;
        let synced = fs::File::open(self.file.path()).and_then(|file| {
            file.set_permissions(self.mode.clone())?;
            file.sync_all()
        });
        synced.map_err(|error| cannot("write", &self.target, &error))?;
        Ok(self)
    }

    /// Moves the file to its target, which must not exist.
    pub fn publish_new(self) -> Result<()> {
        let persisted = self.file.persist_noclobber(&self.target).map(drop);
        Ok(persisted.map_err(|error| cannot("create", &self.target, &error.error))?)
    }

    /// Replaces the target.
    pub fn publish(self) -> Result<()> {
        let persisted = self.file.persist(&self.target).map(drop);
        Ok(persisted.map_err(|error| cannot("replace", &self.target, &error.error))?)
    }
}

/// A new file in `dir`, named like a leftover of `name`; deleted unless it gets another name.
pub fn temporary(dir: &Path, name: &str) -> io::Result<NamedTempFile> {
    let mode = fs::Permissions::from_mode(0o644);
    let prefix = format!(".{name}{MARK}");
    tempfile::Builder::new().prefix(&prefix).rand_bytes(LETTERS).permissions(mode).tempfile_in(dir)
}

/// A new private file, written beside its target; deleted unless published.
pub struct NewFile {
    file: NamedTempFile,
    target: PathBuf,
    /// Ends with the process: see [`Staging`]. `None` if the file system does not support locks.
    _lock: Option<fs::File>,
}

impl NewFile {
    /// Writes `bytes` for `target`, which must not exist, with mode 0600.
    pub fn create(target: &Path, bytes: &[u8]) -> Result<Self> {
        let (parent, prefix) = sibling(target)?;
        let cannot = |error: &io::Error| cannot("write", target, error);
        for _ in 0..10 {
            let file =
                tempfile::Builder::new().prefix(&prefix).rand_bytes(LETTERS).tempfile_in(parent);
            let mut file = file.map_err(|error| cannot(&error))?;
            let lock = match lock(file.path()) {
                // Before the file is locked, another run may take it for a leftover and delete it.
                Ok(None) => continue,
                Ok(lock) => lock,
                Err(_) => None,
            };
            file.write_all(bytes).map_err(|error| cannot(&error))?;
            return Ok(Self { file, target: target.to_owned(), _lock: lock });
        }
        Err(cannot(&io::ErrorKind::WouldBlock.into()).into())
    }

    /// Moves the file to its target, which must not exist.
    pub fn publish(self) -> io::Result<()> {
        self.file.persist_noclobber(&self.target).map(drop).map_err(|failed| failed.error)
    }
}

/// Writes `bytes` to the file `target`, which may exist. Writes directly if the target is not a
/// regular file, such as a pipe.
pub fn write(target: &Path, bytes: &[u8]) -> Result<()> {
    // Follows a link, so that the link stays.
    let real = fs::canonicalize(target).or_else(|_| std::path::absolute(target));
    let real = real.map_err(|error| cannot("write", target, &error))?;
    match fs::metadata(&real) {
        Ok(found) if !found.is_file() => {
            let written = fs::OpenOptions::new()
                .write(true)
                .open(&real)
                .and_then(|mut file| file.write_all(bytes));
            Ok(written.map_err(|error| cannot("write", target, &error))?)
        }
        found => {
            let mode = found.map_or(0o600, |found| found.permissions().mode() & 0o777);
            let (parent, _) = sibling(&real)?;
            Replacement::prepare_in(parent, &real, bytes, mode)?.publish()
        }
    }
}

/// Syncs the names in the directory `dir`, as far as the file system supports it.
pub fn sync_directory(dir: &Path) -> io::Result<()> {
    match fs::File::open(dir)?.sync_all() {
        Err(error)
            if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) =>
        {
            Ok(())
        }
        synced => synced,
    }
}

/// The failure to do `what` to `path`.
#[must_use]
pub fn cannot(what: &str, path: &Path, error: &io::Error) -> Failure {
    // `tempfile` adds a path of its own to the system's message.
    let text = error.to_string();
    let cause = text.split_once(" at path ").map_or(text.as_str(), |(cause, _)| cause);
    let failure = Failure::failed(format!("cannot {what} `{}`", path.display())).because(cause);
    // Reading a file requires permission on the file; writing one requires permission on its
    // directory.
    let is_seen = what == "read" && path.symlink_metadata().is_ok();
    let near =
        if is_seen { path } else { path.ancestors().find(|path| path.is_dir()).unwrap_or(path) };
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            failure.hint(Advice::anywhere("df -h").path(near))
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            failure.hint(Advice::anywhere("ls -ld").path(near))
        }
        io::ErrorKind::IsADirectory => failure.hint(Advice::anywhere("ls").path(path)),
        _ => failure,
    }
}

fn no_locks(parent: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("cannot lock a new directory in `{}`", parent.display()))
        .because(error.to_string())
        .hint("--output DIR, on another disk")
}

/// An example of a name that a temporary sibling of `path` may have.
#[must_use]
pub fn sibling_of(path: &str) -> String {
    let (dir, name) = path.split_at(path.rfind('/').map_or(0, |slash| slash + 1));
    format!("{dir}.{name}{MARK}{}", "x".repeat(LETTERS))
}

/// The parent of `target`, and the prefix of its temporary siblings' names.
fn sibling(target: &Path) -> Result<(&Path, String)> {
    match (target.parent(), target.file_name().and_then(|name| name.to_str())) {
        (Some(parent), Some(name)) => Ok((parent, format!(".{name}{MARK}"))),
        _ => Err(Failure::failed(format!("cannot write beside `{}`", target.display())).into()),
    }
}

/// The modification time of written files: two seconds ago, because git reads files that are as new
/// as its index again, through a filter that this machine may not have.
fn written_time() -> SystemTime {
    SystemTime::now() - Duration::from_secs(2)
}

/// The mode of a new directory under the umask, measured because std cannot read the umask.
fn plain_directory_mode(inside: &Path) -> io::Result<fs::Permissions> {
    let probe = inside.join(format!("{MARK}umask"));
    fs::create_dir(&probe)?;
    let mode = fs::metadata(&probe).map(|probe| probe.permissions());
    fs::remove_dir(&probe)?;
    mode
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_for_the_shell_is_quoted_where_it_must_be() {
        assert_eq!(shell_word(Path::new("/a/b-c_1.key")), "/a/b-c_1.key");
        assert_eq!(shell_word(Path::new("it's $HOME")), "'it'\\''s $HOME'");
    }
}
