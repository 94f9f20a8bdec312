//! Git's index: adds and removes entries, with the stat data by which git detects changed files.

use super::{Blob, Repo, failed, plain_index, work_tree};
use crate::advice::Advice;
use crate::error::{Failure, Result};
use crate::files::{self, Batch};
use git2::{Error, Index, IndexEntry, IndexTime, Oid, Repository};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// The mode of an executable file.
pub(super) const EXECUTABLE: u32 = 0o100_755;

/// The mode of a regular file.
const fn mode(executable: bool) -> u32 {
    if executable { EXECUTABLE } else { 0o100_644 }
}

impl Repo {
    /// Adds the index with `blobs` to `batch`.
    pub(super) fn add_index(&self, batch: &mut Batch, blobs: &[Blob]) -> Result<()> {
        self.add_edited_index(batch, |index| {
            blobs.iter().try_for_each(|blob| {
                let removed = match blob.id {
                    Some(id) => return self.add_to(index, blob, id),
                    None => remove(index, &self.in_git(&blob.path)),
                };
                Ok(removed.map_err(|error| failed("stage a file", &error))?)
            })
        })
    }

    /// Adds the index as changed by `edit` to `batch`.
    pub(super) fn add_edited_index(
        &self,
        batch: &mut Batch,
        edit: impl FnOnce(&mut Index) -> Result<()>,
    ) -> Result<()> {
        let place = self.git.path().join("index");
        let cannot = |error: &std::io::Error| files::cannot("read", &place, error);
        let before = fs::read(&place).map_err(|error| cannot(&error))?;
        let found = place.metadata().map_err(|error| cannot(&error))?;
        // Header of git's index-format: signature, version, number of entries.
        let count = before
            .get(8..12)
            .and_then(|bytes| <[u8; 4]>::try_from(bytes).ok())
            .map(u32::from_be_bytes);
        let make = |copy: &Path| -> Result<()> {
            // libgit2 uses this time to find entries whose files may have changed since.
            let modified = found.modified().map_err(|error| cannot(&error))?;
            let opened = fs::OpenOptions::new().write(true).open(copy);
            opened.and_then(|file| file.set_modified(modified)).map_err(|error| cannot(&error))?;
            self.write_index(copy, count, edit)
        };
        batch.add_made(self.git.path(), &place, &before, found.permissions().mode() & 0o777, make)
    }

    /// Edits the index file `place`, which must have `count` entries: libgit2 reads an index that
    /// it cannot open as an empty one.
    fn write_index(
        &self,
        place: &Path,
        count: Option<u32>,
        edit: impl FnOnce(&mut Index) -> Result<()>,
    ) -> Result<()> {
        // A second handle to the repository, which uses the copy as its index.
        let git = Repository::open(self.git.path())
            .map_err(|error| failed("open the git repository", &error))?;
        let opened =
            Index::open(place).and_then(|mut index| git.set_index(&mut index).map(|()| index));
        let mut index =
            opened.map_err(|error| failed("read the index", &error).hint(plain_index()))?;
        if u32::try_from(index.len()).ok() != count {
            return Err(Failure::failed("cannot read the index")
                .because("its entries do not match its header")
                .hint(Advice::git("fsck"))
                .into());
        }
        edit(&mut index)?;
        Ok(index.write().map_err(|error| failed("write the index", &error))?)
    }

    /// Stages `id` at the path of `blob`. If the work tree has other content, the entry gets no
    /// stat data: with it, `git status` and `git commit -a` would not notice the user's edit.
    fn add_to(&self, index: &mut Index, blob: &Blob, id: Oid) -> Result<()> {
        let path = self.in_git(&blob.path);
        // The stat data is taken before the content is compared: a later edit changes the time or
        // the size.
        let fresh = entry(&self.git, &path, id, blob.executable);
        let entry = if self.is_in_work_tree(&blob.path, Some(id)) {
            fresh?
        } else {
            bare(&path, id, mode(blob.executable))
        };
        Ok(index.add(&entry).map_err(|error| failed("stage a file", &error))?)
    }
}

/// The index entry of a work-tree file with the content `id`, including its stat data, so that git
/// takes it as unchanged without running a filter.
pub(super) fn entry(git: &Repository, path: &str, id: Oid, executable: bool) -> Result<IndexEntry> {
    let file = work_tree(git).join(path);
    let stat = fs::symlink_metadata(&file).map_err(|error| {
        Failure::failed(format!("cannot inspect `{path}`")).because(error.to_string())
    })?;
    // Git itself truncates these numbers to 32 bits.
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

/// An index entry without stat data: git compares the content with the file.
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

/// Removes `path` from `index` if it is there.
fn remove(index: &mut Index, path: &str) -> std::result::Result<(), Error> {
    let path = Path::new(path);
    if index.get_path(path, 0).is_some() { index.remove(path, 0) } else { Ok(()) }
}
