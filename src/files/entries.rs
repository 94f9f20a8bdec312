//! Lists directories. The standard library panics if a directory cannot be closed, which happens on
//! some network file systems.

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, openat};
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// A directory entry.
pub struct DirEntry {
    /// The name.
    pub name: OsString,
    /// The path: that of the directory joined with the name.
    pub path: PathBuf,
    kind: FileType,
}

impl DirEntry {
    /// Whether it is a directory and not a link to one.
    #[must_use]
    pub fn is_dir(&self) -> bool {
        self.kind == FileType::Directory
    }

    /// Whether it is a regular file and not a link to one.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.kind == FileType::RegularFile
    }

    /// The metadata of the entry itself; links are not followed.
    pub fn metadata(&self) -> io::Result<Metadata> {
        self.path.symlink_metadata()
    }
}

/// Whether `error` means that nothing exists at the path. Any other error leaves that undetermined.
#[must_use]
pub fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Entries of `dir`, in the order of the file system.
pub fn entries(dir: &Path) -> io::Result<Vec<DirEntry>> {
    let file =
        openat(CWD, dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut found = Vec::new();
    for entry in Dir::new(file)? {
        let entry = entry?;
        let name = OsString::from_vec(entry.file_name().to_bytes().to_vec());
        if name == "." || name == ".." {
            continue;
        }
        let path = dir.join(&name);
        let kind = match entry.file_type() {
            // Some file systems do not report the type in directory entries.
            FileType::Unknown => {
                fs::symlink_metadata(&path).map_or(FileType::Unknown, |found| kind(&found))
            }
            known => known,
        };
        found.push(DirEntry { name, path, kind });
    }
    Ok(found)
}

fn kind(found: &Metadata) -> FileType {
    match (found.is_dir(), found.is_file(), found.is_symlink()) {
        (true, ..) => FileType::Directory,
        (_, true, _) => FileType::RegularFile,
        (.., true) => FileType::Symlink,
        _ => FileType::Unknown,
    }
}
