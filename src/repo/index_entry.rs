//! Entries of the index, with what git goes by when it asks whether a file has changed.

use super::{Blob, Repo, failed, work_tree};
use crate::error::{Failure, Result};
use git2::{Index, IndexEntry, IndexTime, Oid, Repository};
use std::fs;
use std::os::unix::fs::MetadataExt;

/// The mode of a file that may be run.
pub(super) const EXECUTABLE: u32 = 0o100_755;

/// The mode of a file.
const fn mode(executable: bool) -> u32 {
    if executable { EXECUTABLE } else { 0o100_644 }
}

impl Repo {
    /// Stages `id` at the path of `blob`. Where the work tree has other content, git is to find
    /// that by itself: the stat data of that file would hide what somebody has edited from
    /// `git status` and `git commit -a`.
    pub(super) fn add_to(&self, index: &mut Index, blob: &Blob, id: Oid) -> Result<()> {
        let path = self.in_git(&blob.path);
        // The stat data first: an edit after it is another time or size.
        let fresh = entry(&self.git, &path, id, blob.executable);
        let entry = match self.is_in_work_tree(&blob.path, Some(id)) {
            true => fresh?,
            false => bare(&path, id, mode(blob.executable)),
        };
        Ok(index.add(&entry).map_err(|error| failed("stage a file", &error))?)
    }
}

/// The index entry of a file in the work tree that has the content of `id`, with its stat data: git
/// then takes it for unchanged without running a filter.
pub(super) fn entry(git: &Repository, path: &str, id: Oid, executable: bool) -> Result<IndexEntry> {
    let file = work_tree(git).join(path);
    let stat = fs::symlink_metadata(&file).map_err(|error| {
        Failure::failed(format!("cannot look at `{path}`")).because(error.to_string())
    })?;
    // git itself cuts these numbers to 32 bits.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "as in git's read-cache.c"
    )]
    Ok(IndexEntry {
        ctime: IndexTime::new(stat.ctime() as i32, stat.ctime_nsec() as u32),
        mtime: IndexTime::new(stat.mtime() as i32, stat.mtime_nsec() as u32),
        dev: stat.dev() as u32,
        ino: stat.ino() as u32,
        uid: stat.uid(),
        gid: stat.gid(),
        file_size: stat.size() as u32,
        ..bare(path, id, mode(executable))
    })
}

/// An entry that nothing is known of but its content: git compares it with the file.
pub(super) fn bare(path: &str, id: Oid, mode: u32) -> IndexEntry {
    let never = IndexTime::new(0, 0);
    IndexEntry {
        ctime: never,
        mtime: never,
        dev: 0,
        ino: 0,
        mode,
        uid: 0,
        gid: 0,
        file_size: 0,
        id,
        flags: 0,
        flags_extended: 0,
        path: path.as_bytes().to_vec(),
    }
}
