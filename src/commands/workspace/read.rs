//! The files from which plans are made: in the work tree and in HEAD. Changes nothing.

use crate::answers::Record;
use crate::change::{Files, WorkTreeFile};
use crate::error::Result;
use crate::files;
use crate::repo::{Repo, SECRETS};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Size limit, above any manifest that an API server accepts.
const LIMIT: usize = 4 << 20;
/// The directories from which plans are made, besides the record.
const DIRECTORIES: [&str; 4] = ["kubernetes/base", "kubernetes/overlays", ".gitlab", "secrets"];

/// Which files a command reads in addition to those that deploy.
#[derive(Default)]
pub(in crate::commands) struct Scope {
    /// Whether to read all files in HEAD, apart from Secrets.
    pub(in crate::commands) is_tracked: bool,
    /// Other paths.
    pub(in crate::commands) paths: Vec<String>,
}

/// Reads the files in the work tree from which plans are made.
pub(super) fn read(repo: &Repo, root: &Path, scope: &Scope) -> Result<Files> {
    let mut all = Files::default();
    let mut open: Vec<PathBuf> = DIRECTORIES.iter().map(PathBuf::from).collect();
    let mut found = vec![PathBuf::from(Record::FILE)];
    while let Some(dir) = open.pop() {
        let dir_found = root.join(&dir);
        let entries = match files::entries(&dir_found) {
            Err(error) if files::is_absent(&error) => continue,
            entries => entries.map_err(|error| files::cannot("read", &dir_found, &error))?,
        };
        for entry in entries {
            let path = dir.join(&entry.name);
            if entry.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    let tracked = if scope.is_tracked { tracked(repo)? } else { Vec::new() };
    found.extend(tracked.iter().chain(&scope.paths).map(PathBuf::from));
    found.sort();
    found.dedup();
    let names: Vec<_> = found.iter().filter_map(|path| path.to_str().map(str::to_owned)).collect();
    let filtered = repo.filtered(&names)?;
    let modes_count = repo.modes_count();
    for path in found {
        let file = root.join(&path);
        let Some(name) = path.to_str().map(str::to_owned) else { continue };
        let metadata = match file.symlink_metadata() {
            Err(error) if files::is_absent(&error) => continue,
            metadata => metadata.map_err(|error| files::cannot("inspect", &file, &error))?,
        };
        // Leftovers of killed runs are swept before anything is written.
        if files::is_leftover(&path) {
            continue;
        }
        let content = match files::not_a_repo_file_because(&name, &file) {
            // Content is only encrypted below `secrets/`; elsewhere it would be taken for
            // plaintext.
            _ if filtered.contains(&name) && !name.starts_with(SECRETS) => Err(
                "a filter in `.gitattributes`, such as git-crypt, changes it, but it is not under \
                 `secrets/`",
            ),
            Some(why) => Err(why),
            None => match files::read(&file, LIMIT) {
                Ok(Some(bytes)) => Ok(bytes),
                Ok(None) => continue,
                Err(_) if metadata.len() > LIMIT as u64 => Err("it is larger than 4 MiB"),
                Err(_) => Err("it cannot be read"),
            },
        };
        let executable = if modes_count {
            metadata.permissions().mode() & 0o100 != 0
        } else {
            repo.is_executable_in_head(&name)?
        };
        let ignored = repo.is_ignored(&name);
        all.insert(name, WorkTreeFile { content, executable, ignored });
    }
    Ok(all)
}

/// Reads the same files from HEAD.
pub(super) fn read_committed(repo: &Repo, scope: &Scope) -> Result<Files> {
    let mut all = Files::default();
    let mut paths = Vec::new();
    for dir in DIRECTORIES {
        paths.extend(repo.committed_below(dir)?);
    }
    paths.extend(repo.has_in_head(Record::FILE)?.then(|| Record::FILE.to_owned()));
    if scope.is_tracked {
        paths.extend(tracked(repo)?);
    }
    for path in paths {
        let content = repo.committed(&path)?.ok_or("it cannot be read in HEAD");
        let executable = repo.is_executable_in_head(&path)?;
        all.insert(path, WorkTreeFile { content, executable, ignored: false });
    }
    Ok(all)
}

/// The files of HEAD that are not below `secrets/`.
pub(super) fn tracked(repo: &Repo) -> Result<Vec<String>> {
    let mut paths = repo.committed_below("")?;
    paths.retain(|path| !path.starts_with(SECRETS));
    Ok(paths)
}
