//! Whether a rename from one directory to another is possible.

use super::{LETTERS, MARK, cannot};
use crate::error::Result;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

/// Whether a file in `dir` can be renamed into the directory `into`. Device numbers do not tell,
/// because a device may be mounted twice. So an empty file is renamed, named like a leftover of the
/// file `name`.
pub fn reaches(dir: &Path, into: &Path, name: &str) -> Result<bool> {
    match renamed(dir, into, name) {
        Ok(()) => Ok(true),
        Err(error) => match error.kind() {
            ErrorKind::CrossesDevices
            | ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem => Ok(false),
            _ => Err(cannot("write to directory", dir, &error).into()),
        },
    }
}

fn renamed(dir: &Path, into: &Path, name: &str) -> io::Result<()> {
    let probe = tempfile::Builder::new()
        .prefix(&format!(".{name}{MARK}"))
        .rand_bytes(LETTERS)
        .tempfile_in(dir)?;
    let there = into.join(probe.path().file_name().unwrap_or_default());
    probe.into_temp_path().persist(&there).map_err(|failed| failed.error)?;
    // If this fails, the next run removes the empty file.
    let _ = fs::remove_file(there);
    Ok(())
}
