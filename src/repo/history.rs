//! Plaintext secrets in every commit reachable from a branch, a tag or HEAD. Changes nothing.
//!
//! Reads trees instead of diffs: each distinct tree and each distinct blob once.

use super::auditor::{Auditor, Files};
use git2::{Error, Oid, Repository, Sort};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

/// Findings in all commits.
#[derive(Debug)]
pub struct History {
    /// Number of commits read.
    pub commits: usize,
    /// Plaintext secrets, by path.
    pub leaks: Vec<Leak>,
    /// Whether this is a shallow clone.
    pub shallow: bool,
    /// Whether some objects are missing from this clone.
    pub incomplete: bool,
}

/// Plaintext at one path.
#[derive(Debug, PartialEq, Eq)]
pub struct Leak {
    /// The path.
    pub path: String,
    /// The newest commit with the plaintext.
    pub newest: String,
    /// The oldest commit with the plaintext.
    pub oldest: String,
}

/// A tree that may hold secrets, with the newest and oldest commit that have it, as positions in
/// the walk (newest first).
struct Seen {
    prefix: String,
    tree: Oid,
    newest: usize,
    oldest: usize,
}

impl Auditor<'_> {
    /// Reads all commits. `known` is what was already reported for HEAD.
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

/// All commits, children before parents, and whether all of them are in this clone.
pub(super) fn commits(git: &Repository) -> Result<(Vec<Oid>, bool), Error> {
    let mut walk = git.revwalk()?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::TIME)?;
    for glob in ["refs/heads/*", "refs/remotes/*", "refs/tags/*"] {
        walk.push_glob(glob)?;
    }
    // Nothing is reachable from an unborn branch or a dangling name.
    let _ = walk.push_head();
    let mut commits = Vec::new();
    for id in walk {
        match id {
            Ok(id) => commits.push(id),
            // libgit2 cannot skip a commit that is missing from this clone.
            Err(_) => return Ok((commits, false)),
        }
    }
    Ok((commits, true))
}
