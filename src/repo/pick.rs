//! An update with conflicts, left in git's own terms: a cherry-pick that people end as they know it.
//!
//! Renames are not looked for: git would bring a change into a file that merely looks like the one that is gone.

use super::{Blob, Repo, failed, identity};
use crate::error::{Failure, Result};
use git2::build::CheckoutBuilder;
use git2::{CherrypickOptions, Error, MergeOptions};

/// Keeps the commit that is picked from being collected while the pick is open.
const KEPT: &str = "refs/makeinfra/update";

impl Repo {
    /// Starts a cherry-pick of the change from `base` to `wish`, both on top of HEAD. It ends with conflicts: the work tree has
    /// the markers, the index the stages.
    pub fn pick(&self, base: &[Blob], wish: &[Blob], message: &str) -> Result<()> {
        let Some((author, committer)) = identity(&self.git)? else {
            return Err(Failure::failed("cannot commit").because("git does not know who you are").into());
        };
        let start = || -> std::result::Result<(), Error> {
            let head = self.git.head()?.peel_to_commit()?;
            let commit = |parent: &git2::Commit, blobs: &[Blob], message: &str| {
                let tree = self.git.find_tree(self.tree(&head.tree()?, blobs)?)?;
                self.git.commit(None, &author, &committer, message, &tree, &[parent])
            };
            let old = self.git.find_commit(commit(&head, base, "The files as they were generated")?)?;
            let new = self.git.find_commit(commit(&old, wish, message)?)?;
            self.git.reference(KEPT, new.id(), true, "makeinfra update")?;
            let mut merge = MergeOptions::new();
            merge.find_renames(false);
            let mut checkout = CheckoutBuilder::new();
            checkout.safe().allow_conflicts(true).conflict_style_merge(true);
            let mut options = CherrypickOptions::new();
            options.merge_opts(merge).checkout_builder(checkout);
            self.git.cherrypick(&new, Some(&mut options))
        };
        Ok(start().map_err(|error| failed("start the cherry-pick", &error))?)
    }

    /// Lets go of the commit of a pick that has ended.
    pub fn forget_pick(&self) -> Result<()> {
        if self.is_merging() {
            return Ok(());
        }
        match self.git.find_reference(KEPT).and_then(|mut kept| kept.delete()) {
            Err(error) if error.code() != git2::ErrorCode::NotFound => {
                Err(failed("delete a reference", &error).into())
            }
            _ => Ok(()),
        }
    }

    /// The paths that are staged: the index has something else of them than HEAD.
    pub fn staged(&self) -> Result<Vec<String>> {
        let run = || -> std::result::Result<Vec<String>, Error> {
            let head = self.git.head()?.peel_to_tree()?;
            let diff = self.git.diff_tree_to_index(Some(&head), None, None)?;
            let path = |delta: git2::DiffDelta| {
                let file = delta.new_file().path().or(delta.old_file().path());
                file.map(|path| path.display().to_string())
            };
            Ok(diff.deltas().filter_map(path).collect())
        };
        Ok(run().map_err(|error| failed("compare the index with HEAD", &error))?)
    }
}
