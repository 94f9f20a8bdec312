//! Small private files that survive a power cut, for operations in progress elsewhere.

use super::{cannot, is_absent, sync_directory, temporary};
use crate::error::Result;
use crate::interrupt::Interrupts;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

/// Writes `bytes` to `file`, atomically and with mode 0600; creates its directory with mode 0700.
pub fn keep(file: &Path, bytes: &[u8]) -> Result<()> {
    let _interrupts = Interrupts::hold()?;
    let dir = file.parent().unwrap_or(Path::new("."));
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let kept = make(dir).and_then(|()| {
        let mut sibling = temporary(dir, &name)?;
        sibling.as_file().set_permissions(fs::Permissions::from_mode(0o600))?;
        sibling.write_all(bytes)?;
        sibling.as_file().sync_all()?;
        sibling.persist(file).map_err(|failed| failed.error)?;
        sync_directory(dir)?;
        dir.parent().map_or(Ok(()), sync_directory)
    });
    Ok(kept.map_err(|error: io::Error| cannot("write", file, &error))?)
}

/// Creates the directory `dir` with mode 0700 if it does not exist.
pub fn private_directory(dir: &Path) -> Result<()> {
    Ok(make(dir).map_err(|error| cannot("create", dir, &error))?)
}

fn make(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Deletes `file` if it exists.
pub fn forget(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if !is_absent(&error) => return Err(cannot("remove", file, &error).into()),
        _ => {}
    }
    Ok(())
}
