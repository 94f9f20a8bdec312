//! Small files for their owner alone, which outlive a power cut: what is under way elsewhere.

use super::{cannot, is_absent, remove_empty, sync_directory};
use crate::error::Result;
use crate::interrupt::Interrupts;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Puts `bytes` into `file`, with mode 0600, whole or not at all; makes its directory, with mode 0700.
pub fn keep(file: &Path, bytes: &[u8]) -> Result<()> {
    let _interrupts = Interrupts::hold()?;
    let dir = file.parent().unwrap_or(Path::new("."));
    let kept = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).and_then(|()| {
        let mut sibling = tempfile::Builder::new().prefix(".").tempfile_in(dir)?;
        sibling.write_all(bytes)?;
        sibling.as_file().sync_all()?;
        sibling.persist(file).map_err(|failed| failed.error)?;
        sync_directory(dir)?;
        dir.parent().map_or(Ok(()), sync_directory)
    });
    Ok(kept.map_err(|error: io::Error| cannot("write", file, &error))?)
}

/// Removes `file` if it is there, and its directory if that is empty then.
pub fn forget(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if !is_absent(&error) => return Err(cannot("remove", file, &error).into()),
        _ => {}
    }
    file.parent().into_iter().for_each(remove_empty);
    Ok(())
}
