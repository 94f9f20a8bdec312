//! Plaintext secrets in every commit that a branch, a tag or HEAD reaches. Changes nothing.
//!
//! Reads trees, not diffs: each distinct tree and each distinct blob once.

use super::auditor::{Auditor, Files};
use git2::{Error, Oid, Repository, Sort};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

/// What was found in the commits.
#[derive(Debug)]
pub struct History {
    /// How many commits were read.
    pub commits: usize,
    /// Plaintext, by path.
    pub leaks: Vec<Leak>,
    /// Whether it is a shallow clone.
    pub shallow: bool,
    /// Whether objects are missing here.
    pub incomplete: bool,
}

/// Plaintext under one path.
#[derive(Debug, PartialEq, Eq)]
pub struct Leak {
    /// The path.
    pub path: String,
    /// The newest commit that holds it.
    pub newest: String,
    /// The oldest.
    pub oldest: String,
}

/// A tree that may hold secrets, and which commits have it: numbers of the walk, from new to old.
struct Seen {
    prefix: String,
    tree: Oid,
    newest: usize,
    oldest: usize,
}

impl Auditor<'_> {
    /// Reads all commits. What HEAD holds was said already: `known`.
    pub(super) fn history(&mut self, known: &HashSet<(String, Oid)>) -> Result<History, Error> {
        let (commits, complete) = commits(self.git)?;
        self.missing |= !complete;
        let mut seen: Vec<Seen> = Vec::new();
        let mut by_tree: HashMap<(String, Oid), usize> = HashMap::new();
        let mut by_root: HashMap<Oid, Vec<usize>> = HashMap::new();
        for (number, commit) in commits.iter().enumerate() {
            let Ok(root) = self.git.find_commit(*commit).map(|commit| commit.tree_id()) else {
                self.missing = true;
                continue;
            };
            if let Some(places) = by_root.get(&root) {
                for place in places {
                    seen[*place].oldest = number;
                }
                continue;
            }
            let Ok(tree) = self.git.find_tree(root) else {
                self.missing = true;
                continue;
            };
            let places = self.scopes(&tree).into_iter().map(|(prefix, tree)| {
                let place = *by_tree.entry((prefix.clone(), tree)).or_insert(seen.len());
                match seen.get_mut(place) {
                    Some(seen) => seen.oldest = number,
                    None => seen.push(Seen { prefix, tree, newest: number, oldest: number }),
                }
                place
            });
            let places = places.collect();
            by_root.insert(root, places);
        }
        let leaks = self.leaks(&seen, &commits, known)?;
        Ok(History {
            commits: commits.len(),
            leaks,
            shallow: self.git.is_shallow(),
            incomplete: self.missing,
        })
    }

    fn leaks(
        &mut self,
        seen: &[Seen],
        commits: &[Oid],
        known: &HashSet<(String, Oid)>,
    ) -> Result<Vec<Leak>, Error> {
        let mut visited = HashMap::new();
        let mut files = Files::new();
        for Seen { prefix, tree, .. } in seen {
            self.walk(*tree, prefix, &mut visited, &mut files);
        }
        let mut plain: BTreeMap<String, HashSet<Oid>> = BTreeMap::new();
        for file in files {
            if !known.contains(&file) && self.is_plain(file.1)? == Some(true) {
                plain.entry(file.0).or_default().insert(file.1);
            }
        }
        let mut leaks = Vec::new();
        for (path, blobs) in plain {
            let holds = |seen: &&Seen| {
                let below = path.strip_prefix(seen.prefix.as_str()).map(Path::new);
                let entry = below
                    .and_then(|below| self.git.find_tree(seen.tree).ok()?.get_path(below).ok());
                entry.is_some_and(|entry| blobs.contains(&entry.id()))
            };
            let holding: Vec<&Seen> = seen.iter().filter(holds).collect();
            let newest = holding.iter().map(|seen| seen.newest).min();
            let oldest = holding.iter().map(|seen| seen.oldest).max();
            if let (Some(newest), Some(oldest)) = (newest, oldest) {
                let (newest, oldest) = (commits[newest].to_string(), commits[oldest].to_string());
                leaks.push(Leak { path: self.repo.out_of_git(path), newest, oldest });
            }
        }
        Ok(leaks)
    }
}

/// Every commit, children before their parents, and whether all of them are in this clone.
pub(super) fn commits(git: &Repository) -> Result<(Vec<Oid>, bool), Error> {
    let mut walk = git.revwalk()?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::TIME)?;
    for glob in ["refs/heads/*", "refs/remotes/*", "refs/tags/*"] {
        walk.push_glob(glob)?;
    }
    // Unborn, or of a name that leads nowhere: nothing hangs on it.
    let _ = walk.push_head();
    let mut commits = Vec::new();
    for id in walk {
        match id {
            Ok(id) => commits.push(id),
            // A commit that is not here; libgit2 cannot walk around it.
            Err(_) => return Ok((commits, false)),
        }
    }
    Ok((commits, true))
}
