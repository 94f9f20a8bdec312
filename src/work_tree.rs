//! The files of a repository on disk: which exist, their modes, and the content of those that are
//! requested. Writes nothing, and never follows a link out of the repository.

use crate::error::Result;
use crate::files::{self, cannot};
use crate::git_crypt;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Size limit, above any manifest that an API server accepts.
const LIMIT: u64 = 4 << 20;
/// The possible sizes of a key file: from one key to more versions than anyone creates.
const KEY_SIZES: std::ops::RangeInclusive<u64> = 148..=64 << 10;

/// The files of a repository's work tree.
pub struct WorkTree {
    root: PathBuf,
    files: BTreeMap<String, u32>,
    key_files: Vec<String>,
    unread: Vec<String>,
}

/// The content at a path.
pub enum Content {
    /// The bytes of a file.
    Bytes(Zeroizing<Vec<u8>>),
    /// A file that git-crypt has encrypted, and that no available key decrypts.
    Locked,
    /// Something that was not read; the reason, as a sentence about "it".
    Unread(&'static str),
    /// There is no such file.
    Absent,
}

impl Content {
    /// The text of a file; `None` unless it was read and is text.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }
}

impl WorkTree {
    /// Lists everything below `root`, except for `.git`, other repositories and directories for
    /// which `skipped` is true, and finds git-crypt keys.
    pub fn list(root: &Path, skipped: impl Fn(&str) -> bool) -> Result<Self> {
        let mut tree = Self {
            root: root.to_owned(),
            files: BTreeMap::new(),
            key_files: Vec::new(),
            unread: Vec::new(),
        };
        let mut open = vec![String::new()];
        while let Some(dir) = open.pop() {
            match tree.list_one(&dir) {
                Ok(below) => open.extend(below.into_iter().filter(|dir| !skipped(dir))),
                Err(error) if dir.is_empty() => return Err(cannot("read", root, &error).into()),
                Err(_) => tree.unread.push(dir),
            }
        }
        tree.key_files.sort();
        tree.unread.sort();
        Ok(tree)
    }

    /// Lists the files of one directory, and returns its subdirectories.
    fn list_one(&mut self, dir: &str) -> io::Result<Vec<String>> {
        let mut below = Vec::new();
        for entry in files::entries(&self.root.join(dir))? {
            let name = entry.name.to_string_lossy().into_owned();
            let path = if dir.is_empty() { name.clone() } else { format!("{dir}/{name}") };
            if name == ".git" {
                continue;
            }
            if entry.is_dir() {
                if !entry.path.join(".git").exists() {
                    below.push(path);
                }
                continue;
            }
            let Ok(found) = entry.metadata() else { continue };
            if entry.is_file() && KEY_SIZES.contains(&found.len()) {
                match is_key_file(&entry.path) {
                    Ok(true) => self.key_files.push(path.clone()),
                    Ok(false) => {}
                    Err(_) => self.unread.push(path.clone()),
                }
            }
            self.files.insert(path, found.mode());
        }
        Ok(below)
    }

    /// The top of the repository.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The files at or below `path`, sorted, with their modes as in stat(2).
    pub fn at(&self, path: &str) -> impl Iterator<Item = (&str, u32)> {
        let below = if path.is_empty() {
            String::new()
        } else {
            format!("{}/", path.trim_end_matches('/'))
        };
        let path = path.to_owned();
        self.files
            .iter()
            .map(|(file, mode)| (file.as_str(), *mode))
            .filter(move |(file, _)| *file == path || file.starts_with(&below))
    }

    /// Whether the file `path` exists.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// The permissions of the file `path`; 0 for a link, and if it does not exist.
    #[must_use]
    pub fn mode(&self, path: &str) -> u32 {
        let mode = self.files.get(path).copied().unwrap_or(0);
        if mode & 0o170_000 == 0o100_000 { mode & 0o7777 } else { 0 }
    }

    /// The git-crypt key files.
    #[must_use]
    pub fn key_files(&self) -> &[String] {
        &self.key_files
    }

    /// The paths that could not be read.
    #[must_use]
    pub fn unread(&self) -> &[String] {
        &self.unread
    }

    /// Reads the text or ciphertext at `path`, which need not have been listed.
    #[must_use]
    pub fn read(&self, path: &str) -> Content {
        match self.read_bytes(path) {
            Content::Bytes(bytes)
                if !git_crypt::is_encrypted(&bytes) && std::str::from_utf8(&bytes).is_err() =>
            {
                Content::Unread("it is not UTF-8 text")
            }
            content => content,
        }
    }

    /// Like [`WorkTree::read`], for a file that may not be text.
    #[must_use]
    pub fn read_bytes(&self, path: &str) -> Content {
        let Ok(real) = self.root.join(path).canonicalize() else {
            return if self.files.contains_key(path) {
                Content::Unread("it is a broken symbolic link")
            } else {
                Content::Absent
            };
        };
        if !real.starts_with(&self.root) {
            return Content::Unread("it is a link to a path outside the repository");
        }
        match fs::metadata(&real) {
            Ok(found) if found.is_dir() => return Content::Absent,
            Ok(found) if !found.is_file() => return Content::Unread("it is not a regular file"),
            Ok(found) if found.len() > LIMIT => return Content::Unread("it is larger than 4 MiB"),
            _ => {}
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(8192));
        match fs::File::open(&real).and_then(|file| file.take(LIMIT).read_to_end(&mut bytes)) {
            Ok(_) => Content::Bytes(bytes),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Content::Unread("it cannot be read: permission denied")
            }
            Err(_) => Content::Unread("it cannot be read"),
        }
    }
}

fn is_key_file(path: &Path) -> io::Result<bool> {
    let mut start = [0; 12];
    fs::File::open(path)?.read_exact(&mut start)?;
    Ok(git_crypt::is_key_file(&start))
}
