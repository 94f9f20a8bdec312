//! The repositories that the given paths refer to: each work tree once.

use crate::answers::Record;
use crate::files;
use crate::ui::WaitIndicator;
use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// One of several repositories.
pub(in crate::commands) struct FleetMember {
    /// The path as given.
    pub(in crate::commands) path: PathBuf,
    /// The name to display. A typed path that is not a directory is not quoted, because it may be a
    /// misplaced token.
    pub(in crate::commands) name: String,
    /// Index of its git directory, which two repositories may share.
    pub(super) git: Option<usize>,
}

/// Each work tree once, under the first of its paths. The first `typed` paths are from the command
/// line.
pub(super) fn places(
    paths: Vec<PathBuf>,
    typed: usize,
    waiting: &WaitIndicator,
) -> Vec<FleetMember> {
    let mut known: HashSet<(u64, u64)> = HashSet::new();
    let mut unknown: HashSet<PathBuf> = HashSet::new();
    let mut gits: HashMap<PathBuf, usize> = HashMap::new();
    let mut places = Vec::new();
    for (at, path) in paths.into_iter().enumerate() {
        waiting.step();
        let found = files::existing_directory(&path);
        let root = found.as_deref().map(nearest);
        let inode =
            root.and_then(|root| root.metadata().ok()).map(|found| (found.dev(), found.ino()));
        let is_new = match inode {
            Some(inode) => known.insert(inode),
            None => unknown.insert(path.clone()),
        };
        if !is_new {
            continue;
        }
        let next = gits.len();
        let git = root.and_then(git_of).map(|git| *gits.entry(git).or_insert(next));
        let name = match found {
            None if at < typed => format!("REPO {}", at + 1),
            _ => path.display().to_string(),
        };
        places.push(FleetMember { path, name, git });
    }
    places
}

/// The top of the repository that contains `dir`, judging by file names only.
fn nearest(dir: &Path) -> &Path {
    let is_top = |dir: &&Path| dir.join(Record::FILE).is_file() || dir.join(".git").exists();
    dir.ancestors().find(is_top).unwrap_or(dir)
}

/// The git directory of the repository at `root`.
fn git_of(root: &Path) -> Option<PathBuf> {
    root.ancestors().map(|dir| dir.join(".git")).find(|git| git.exists())
}
