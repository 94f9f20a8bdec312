//! Files in which git has a token in plaintext, anywhere in the repository. Shows paths and
//! commits, never file contents.

use super::{Repo, failed, plain_index};
use crate::error::Result;
use git2::{Error, ErrorCode, ObjectType, Odb, Oid, Repository, Tree};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Where git holds a token.
#[derive(Debug, Default)]
pub struct Exposed {
    /// Number of distinct file contents that were searched.
    pub files: usize,
    /// Paths, each with the first place that has it: index, HEAD or the newest commit.
    pub found: BTreeMap<String, ExposedIn>,
    /// Whether some objects are missing from this clone.
    pub incomplete: bool,
}

/// Where git holds a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExposedIn {
    /// The index.
    Index,
    /// The commit that HEAD names.
    Head,
    /// The newest commit with the file.
    Commit(String),
}

impl Repo {
    /// Searches the index and HEAD, and with `deep` also every commit reachable from a branch, a
    /// tag or HEAD. `shows` tells whether bytes contain the token; it is called once for each
    /// distinct content.
    pub fn exposed(&self, shows: &dyn Fn(&[u8]) -> bool, deep: bool) -> Result<Exposed> {
        let unread = |error: Error| failed("read the repository", &error);
        let index = self
            .git
            .index()
            .map_err(|error| failed("read the index", &error).hint(plain_index()))?;
        let odb = self.git.odb().map_err(unread)?;
        let mut search = Search {
            repo: self,
            git: &self.git,
            odb,
            shows,
            blobs: HashMap::new(),
            trees: HashSet::new(),
            exposed: Exposed::default(),
        };
        for entry in index.iter().filter(|entry| entry.mode & 0o170_000 != 0o160_000) {
            search
                .blob(entry.id, &String::from_utf8_lossy(&entry.path), &ExposedIn::Index)
                .map_err(unread)?;
        }
        match self.git.head().and_then(|head| head.peel_to_tree()) {
            Ok(tree) => search.tree(tree, &ExposedIn::Head).map_err(unread)?,
            Err(error) if matches!(error.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => {
            }
            Err(error) => return Err(unread(error).into()),
        }
        if deep {
            let (commits, complete) = super::history::commits(&self.git).map_err(unread)?;
            search.exposed.incomplete |= !complete || self.git.is_shallow();
            for id in commits {
                match self.git.find_commit(id).and_then(|commit| commit.tree()) {
                    Ok(tree) => {
                        search.tree(tree, &ExposedIn::Commit(id.to_string())).map_err(unread)?;
                    }
                    Err(_) => search.exposed.incomplete = true,
                }
            }
        }
        search.exposed.files = search.blobs.len();
        Ok(search.exposed)
    }
}

struct Search<'r> {
    repo: &'r Repo,
    git: &'r Repository,
    odb: Odb<'r>,
    shows: &'r dyn Fn(&[u8]) -> bool,
    /// Whether a blob contains the token.
    blobs: HashMap<Oid, bool>,
    /// Trees already searched.
    trees: HashSet<Oid>,
    exposed: Exposed,
}

impl<'r> Search<'r> {
    /// Searches `tree`, skipping what was already searched.
    fn tree(&mut self, tree: Tree<'r>, place: &ExposedIn) -> std::result::Result<(), Error> {
        let mut open = vec![(String::new(), tree)];
        while let Some((dir, tree)) = open.pop() {
            if !self.trees.insert(tree.id()) {
                continue;
            }
            for entry in &tree {
                let path = format!("{dir}{}", String::from_utf8_lossy(entry.name_bytes()));
                match entry.kind() {
                    Some(ObjectType::Tree) => match self.git.find_tree(entry.id()) {
                        Ok(tree) => open.push((path + "/", tree)),
                        Err(_) => self.exposed.incomplete = true,
                    },
                    Some(ObjectType::Blob) => self.blob(entry.id(), &path, place)?,
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn blob(&mut self, id: Oid, path: &str, place: &ExposedIn) -> std::result::Result<(), Error> {
        let shows = match self.blobs.get(&id) {
            Some(known) => *known,
            None => match self.odb.read(id) {
                Ok(blob) => (self.shows)(blob.data()),
                Err(error) if error.code() == ErrorCode::NotFound => {
                    self.exposed.incomplete = true;
                    return Ok(());
                }
                Err(error) => return Err(error),
            },
        };
        self.blobs.insert(id, shows);
        if shows {
            let path = self.repo.out_of_git(path.to_owned());
            self.exposed.found.entry(path).or_insert_with(|| place.clone());
        }
        Ok(())
    }
}
