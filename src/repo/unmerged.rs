//! Secret files with unresolved merge conflicts: git cannot merge ciphertext, so it keeps both
//! sides in the index.

use super::{Repo, SECRETS};
use git2::{Error, IndexEntry};

/// A file that two branches changed.
#[derive(Debug, PartialEq, Eq)]
pub struct Unmerged {
    /// The path.
    pub path: String,
    /// Whether our side has the file; otherwise our side deleted it.
    pub ours: bool,
    /// Whether the other side has the file.
    pub theirs: bool,
}

impl Repo {
    /// Unmerged files below `secrets/`.
    pub(super) fn unmerged(&self) -> Result<Vec<Unmerged>, Error> {
        let mut found = Vec::new();
        for conflict in self.git.index()?.conflicts()? {
            let conflict = conflict?;
            let path = |entry: &IndexEntry| String::from_utf8_lossy(&entry.path).into_owned();
            let (ours, theirs) = (conflict.our.as_ref(), conflict.their.as_ref());
            let Some(path) = ours.or(theirs).or(conflict.ancestor.as_ref()).map(path) else {
                continue;
            };
            found.push(Unmerged {
                path: self.out_of_git(path),
                ours: ours.is_some(),
                theirs: theirs.is_some(),
            });
        }
        found.retain(|one| one.path.starts_with(SECRETS));
        Ok(found)
    }
}
