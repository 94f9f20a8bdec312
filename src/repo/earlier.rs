//! A file's content in earlier commits.

use super::Repo;
use crate::advice::Advice;
use crate::error::{Failure, Result};
use std::path::Path;

impl Repo {
    /// Earlier texts of `path`, each with its revision: those of the parents of the newest commit
    /// that changed it, of which a merge has several.
    #[must_use]
    pub fn earlier(&self, path: &str) -> Vec<(String, String)> {
        /// How many commits are searched. An older change is the repository's normal state, and
        /// each commit costs time in every check.
        const COMMITS: usize = 200;
        let path = self.in_git(path);
        let blob = |commit: &git2::Commit| {
            let tree = commit.tree().ok()?;
            Some(tree.get_path(Path::new(&path)).ok()?.id())
        };
        let Ok(mut commit) = self.git.head().and_then(|head| head.peel_to_commit()) else {
            return Vec::new();
        };
        let now = blob(&commit);
        for depth in 0..COMMITS {
            let mut found = Vec::new();
            for (number, parent) in commit.parents().enumerate() {
                let id = blob(&parent).filter(|id| Some(*id) != now);
                let text = id.and_then(|id| {
                    String::from_utf8(self.git.find_blob(id).ok()?.content().to_vec()).ok()
                });
                let name = match depth {
                    0 => format!("HEAD^{}", number + 1),
                    _ => parent.id().to_string(),
                };
                found.extend(text.map(|text| (name, text)));
            }
            if !found.is_empty() {
                return found;
            }
            match commit.parent(0) {
                Ok(parent) => commit = parent,
                Err(_) => break,
            }
        }
        Vec::new()
    }

    /// The text of `path` in the commit that `revision` names.
    pub fn text_at(&self, revision: &str, path: &str) -> Result<Option<String>> {
        let commit = self.git.revparse_single(revision).and_then(|object| object.peel_to_commit());
        // The revision is not quoted: if git cannot resolve it, it may be anything.
        let commit = commit.map_err(|_| {
            Failure::usage("`--from` must name a commit")
                .hint(Advice::makeinfra("update").with("--from HEAD^"))
        })?;
        let blob = commit
            .tree()
            .and_then(|tree| tree.get_path(Path::new(&self.in_git(path))))
            .and_then(|entry| entry.to_object(&self.git)?.peel_to_blob());
        Ok(blob.ok().and_then(|blob| String::from_utf8(blob.content().to_vec()).ok()))
    }
}
