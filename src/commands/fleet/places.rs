//! Which repositories are meant by the paths that were given: each work tree once.

use crate::answers::Record;
use crate::files;
use crate::ui::Waiting;
use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A repository among several.
pub(in crate::commands) struct Place {
    /// As it was given.
    pub(in crate::commands) path: PathBuf,
    /// What it is called. What was typed and is no directory may be a token in the wrong place: it
    /// is not quoted.
    pub(in crate::commands) name: String,
    /// Where among git's directories its own is: two repositories may be folders of one.
    pub(super) git: Option<usize>,
}

/// Each work tree once, under the first of its names. The first `typed` are from the command line.
pub(super) fn places(paths: Vec<PathBuf>, typed: usize, waiting: &Waiting) -> Vec<Place> {
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
        places.push(Place { path, name, git });
    }
    places
}

/// The top of the repository that `dir` lies in, as far as names tell.
fn nearest(dir: &Path) -> &Path {
    let is_top = |dir: &&Path| dir.join(Record::FILE).is_file() || dir.join(".git").exists();
    dir.ancestors().find(is_top).unwrap_or(dir)
}

/// What is git's own of the repository at `root`.
fn git_of(root: &Path) -> Option<PathBuf> {
    root.ancestors().map(|dir| dir.join(".git")).find(|git| git.exists())
}
