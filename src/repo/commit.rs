//! Commits single files of an existing repository, and nothing else.

use super::locks::{Head, Locks};
use super::sharing::Sharing;
use super::{Repo, failed, identity, plain_index, store, store_text};
use crate::advice::Advice;
use crate::error::{Failure, Result};
use crate::files::{self, Batch};
use crate::interrupt::Interrupts;
use git2::build::TreeUpdateBuilder;
use git2::{Error, ErrorCode, FileMode, IndexEntry, ObjectType, Oid, Repository, Signature, Tree};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Flag of index entries without content (git's index-format, extended flags).
const INTENT_TO_ADD: u16 = 1 << 13;

/// A commit whose objects are written. While it exists, git changes neither the index nor HEAD.
pub struct Commit<'r> {
    repo: &'r Repo,
    locks: Locks,
    /// What HEAD refers to. The last reference gets the commit.
    head: Head,
    id: Oid,
    /// The line for the reflogs of HEAD and the branch.
    log: String,
}

/// What a commit does with a path: a stored blob, or its removal.
pub struct Blob {
    pub(super) path: String,
    /// `None` if the path is removed.
    pub(super) id: Option<Oid>,
    pub(super) executable: bool,
}

impl Blob {
    /// The path.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// The commands that configure the user's name and address in git.
#[must_use]
pub fn identity_commands() -> Advice {
    let set =
        |name: &str, value: &str| Advice::anywhere("git config --global").arg(name).arg(value);
    set("user.name", "YOUR NAME").and(set("user.email", "YOU@EXAMPLE.COM"))
}

impl Repo {
    /// Fails unless a commit is possible now.
    pub fn check_can_commit(&self) -> Result<()> {
        self.check_unlocked()?;
        self.check_committable()
    }

    /// Like [`Repo::check_can_commit`], but with the locks already taken.
    pub(super) fn check_committable(&self) -> Result<()> {
        let not = |cause: &str, hint: Advice| {
            Err(Failure::failed("cannot commit").because(cause).hint(hint).into())
        };
        if identity(&self.git)?.is_none() {
            return not("git has no user name and email", identity_commands());
        }
        if let Some(what) = self.in_progress() {
            return not(what, Advice::git("status"));
        }
        self.check_file("index")?;
        // libgit2 cannot read a split or sparse index.
        self.git.index().map_err(|error| failed("read the index", &error).hint(plain_index()))?;
        match self.git.head() {
            Err(error) if error.code() == ErrorCode::UnbornBranch => {
                let add = Advice::git("add -A");
                let commit = Advice::git("commit -m 'Generate the repository'");
                not("the repository has no commits yet", add.and(commit))
            }
            Err(error) => Err(failed("read HEAD", &error).into()),
            Ok(_) => Ok(()),
        }
    }

    /// Fails if `name` in the git directory is a symbolic link, which a new file would replace.
    pub(super) fn check_file(&self, name: &str) -> Result<()> {
        let place = if name == "index" { self.git.path() } else { self.git.commondir() }.join(name);
        if place.is_symlink() {
            return Err(Failure::failed(format!("cannot write `{}`", place.display()))
                .because("it is a symbolic link, which the new file would replace")
                .hint(Advice::anywhere("ls -l").path(&place))
                .into());
        }
        Ok(())
    }

    /// Stores `bytes` (ciphertext for a secret) as a blob for [`Repo::begin_commit`].
    pub fn store(&self, path: &str, bytes: &[u8]) -> Result<Blob> {
        self.keep_in_memory()?;
        let id = self.intact_object(|| store(&self.git, path, bytes))?;
        Ok(Blob { path: path.to_owned(), id: Some(id), executable: false })
    }

    /// Stores `bytes` for `path`, which is not a secret, with git's line-ending conversion.
    pub fn store_text(&self, path: &str, bytes: &[u8], executable: bool) -> Result<Blob> {
        self.keep_in_memory()?;
        let id = self.intact_object(|| store_text(&self.git, path, &self.in_git(path), bytes))?;
        Ok(Blob { path: path.to_owned(), id: Some(id), executable })
    }

    /// Fails if committing `blobs` would drop content that is only staged. The index entry of each
    /// path must match HEAD, the work tree (as a killed commit leaves it) or the new content.
    pub fn check_staged(&self, blobs: &[Blob]) -> Result<()> {
        let mut index = self.git.index().map_err(|error| failed("open the index", &error))?;
        index.read(true).map_err(|error| failed("read the index", &error).hint(plain_index()))?;
        for blob in blobs {
            let staged = index.get_path(Path::new(&self.in_git(&blob.path)), 0);
            // An intent-to-add entry (`git add -N`) has no content to lose.
            let is_meant = |entry: &IndexEntry| entry.flags_extended & INTENT_TO_ADD != 0;
            let staged = staged.filter(|entry| !is_meant(entry)).map(|entry| entry.id);
            let committed = self.head_blob(&blob.path)?.map(|found| found.id());
            if staged != committed && staged != blob.id && !self.is_in_work_tree(&blob.path, staged)
            {
                let path = &blob.path;
                return Err(Failure::failed(format!("cannot commit `{path}`"))
                    .because("it has staged changes, which the commit would discard")
                    .hint(Advice::git(format!("diff --cached -- {path}")))
                    .into());
            }
        }
        Ok(())
    }

    /// Like [`Repo::check_staged`], for `paths` whose new content is not known yet.
    pub fn check_unstaged<'p>(&self, paths: impl Iterator<Item = &'p str>) -> Result<()> {
        self.check_staged(&paths.map(Self::removal).collect::<Vec<_>>())
    }

    /// The removal of `path`, for [`Repo::begin_commit`].
    #[must_use]
    pub fn removal(path: &str) -> Blob {
        Blob { path: path.to_owned(), id: None, executable: false }
    }

    /// States that the commit was made, for a failure after it.
    #[must_use]
    pub fn committed_as(id: &str) -> String {
        format!("the change is committed as {id}")
    }

    /// Locks what git must not change while `blobs` are committed on top of HEAD, and writes all
    /// objects, which nothing refers to yet. Fails if other changes are staged in these paths.
    pub fn begin_commit(&self, blobs: &[Blob], message: &str) -> Result<Commit<'_>> {
        let (locks, named) = self.lock_for_commit()?;
        // Checked again under the locks: a merge may have begun while a prompt was open.
        self.check_committable()?;
        self.check_staged(blobs)?;
        let Some((author, committer)) = identity(&self.git)? else {
            return Err(Failure::failed("cannot commit")
                .because("git has no user name and email")
                .into());
        };
        let make = || -> std::result::Result<(Oid, Oid, Vec<Oid>), Error> {
            let head = self.git.head()?.peel_to_commit()?;
            let tree = self.tree(&head.tree()?, blobs)?;
            let mut objects = Vec::new();
            self.new_objects(tree, Some(head.tree_id()), &mut objects)?;
            let tree = self.git.find_tree(tree)?;
            let create =
                || create_commit(&self.git, [&author, &committer], message, &tree, &[&head]);
            let mut id = create()?;
            if self.discard_broken(id)? {
                id = create()?;
            }
            objects.push(id);
            Ok((head.id(), id, objects))
        };
        let (head, id, objects) = make().map_err(|error| failed("commit", &error))?;
        self.write_objects(&objects)?;
        let subject = message.lines().next().unwrap_or_default();
        let log = log_line(head, id, &committer, &format!("commit: {subject}"));
        Ok(Commit { repo: self, locks, head: named, id, log })
    }

    /// The tree `old` with `blobs` applied.
    pub(super) fn tree(&self, old: &Tree, blobs: &[Blob]) -> std::result::Result<Oid, Error> {
        let mut update = TreeUpdateBuilder::new();
        for blob in blobs {
            let mode = if blob.executable { FileMode::BlobExecutable } else { FileMode::Blob };
            if let Some(id) = blob.id {
                update.upsert(self.in_git(&blob.path), id, mode);
            }
        }
        let written = self.intact_tree(old.id(), || update.create_updated(&self.git, old))?;
        // `TreeUpdateBuilder` would leave an empty tree for a directory without files, and
        // `Index::write_tree` reads back each tree that it has written, which crashes libgit2 if
        // that object's file is truncated.
        let mut tree = written;
        for blob in blobs.iter().filter(|blob| blob.id.is_none()) {
            let left = self.without(&self.git.find_tree(tree)?, &self.in_git(&blob.path))?;
            tree =
                left.map_or_else(|| self.intact_builder_tree(&self.git.treebuilder(None)?), Ok)?;
        }
        Ok(tree)
    }
}

impl Repo {
    /// `tree` without `path` and without the directories that this empties; `None` if nothing is
    /// left.
    fn without(&self, tree: &Tree, path: &str) -> std::result::Result<Option<Oid>, Error> {
        let mut builder = self.git.treebuilder(Some(tree))?;
        let (name, below) =
            path.split_once('/').map_or((path, None), |(name, below)| (name, Some(below)));
        let left = match (tree.get_name(name), below) {
            (None, _) => return Ok(Some(tree.id())),
            (Some(_), None) => None,
            (Some(entry), Some(below)) => self.without(&self.git.find_tree(entry.id())?, below)?,
        };
        match left {
            Some(id) => builder.insert(name, id, FileMode::Tree.into()).map(drop)?,
            None => builder.remove(name)?,
        }
        if builder.is_empty() { Ok(None) } else { self.intact_builder_tree(&builder).map(Some) }
    }
}

impl<'r> Commit<'r> {
    /// A commit for the existing object `id`, which HEAD is about to point to. `log` is its reflog
    /// line.
    pub(super) fn new(repo: &'r Repo, locks: Locks, head: Head, id: Oid, log: String) -> Self {
        Self { repo, locks, head, id, log }
    }
}

impl Commit<'_> {
    /// Writes `blobs`, whose files are in place, to the index and then points HEAD to the commit.
    /// On failure, reverts this and everything that `batch` has done. Returns the commit's id.
    ///
    /// The index comes first: a run that is killed in between leaves the files staged, and the next
    /// commit includes them. In the opposite order, the next commit by anyone would restore the old
    /// content.
    pub fn publish(
        self,
        mut batch: Batch,
        blobs: &[Blob],
        interrupts: &Interrupts,
    ) -> Result<String> {
        let published =
            self.publish_all(&mut batch, blobs, interrupts).and_then(|()| self.verify(blobs));
        if let Err(error) = published {
            return Err(batch.revert(error));
        }
        batch.keep();
        let id = self.id.to_string();
        self.locks.release(&Repo::committed_as(&id))?;
        Ok(id)
    }

    fn publish_all(
        &self,
        batch: &mut Batch,
        blobs: &[Blob],
        interrupts: &Interrupts,
    ) -> Result<()> {
        let git = &self.repo.git;
        self.repo.add_index(batch, blobs)?;
        batch.publish(interrupts)?;
        let (names, sharing) = (&self.head.names, Sharing::of(git));
        let mut places = vec![git.path().join("logs/HEAD")];
        places.extend(names.iter().map(|name| self.repo.reference(&format!("logs/{name}"))));
        for log in &places {
            self.add_log(batch, log)?;
        }
        let place =
            names.last().map_or_else(|| git.path().join("HEAD"), |name| self.repo.reference(name));
        batch.add_in(git.path(), &place, format!("{}\n", self.id), mode(&place))?;
        batch.publish(interrupts)?;
        let below = |dir: &&Path| dir.starts_with(git.commondir());
        // The directory of a branch that was packed may be new.
        let synced =
            place.ancestors().skip(2).take_while(below).try_for_each(files::sync_directory);
        for path in
            places.iter().chain([&place]).flat_map(|place| place.ancestors().take_while(below))
        {
            // Existing files keep their modes.
            let _ = sharing.apply(path);
        }
        Ok(synced.map_err(|error| files::cannot("write", &place, &error))?)
    }

    /// Appends the commit's line to the reflog `log`, unless that does not exist and is not wanted
    /// (`core.logAllRefUpdates`).
    fn add_log(&self, batch: &mut Batch, log: &Path) -> Result<()> {
        let config = self.repo.git.config();
        let is_wanted =
            || config.and_then(|config| config.get_bool("core.logAllRefUpdates")).unwrap_or(true);
        let mut text = match fs::read(log) {
            Err(error) if error.kind() == ErrorKind::NotFound && !is_wanted() => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            read => read.map_err(|error| files::cannot("read", log, &error))?,
        };
        text.extend_from_slice(self.log.as_bytes());
        batch.add_in(self.repo.git.path(), log, text, mode(log))
    }

    /// Fails unless HEAD still refers to the same branch, and HEAD and the index have the new
    /// content.
    fn verify(&self, blobs: &[Blob]) -> Result<()> {
        let repo = self.repo;
        let found = || -> std::result::Result<bool, Error> {
            let git = Repository::open(repo.git.path())?;
            let index = git.index()?;
            let staged = |blob: &Blob| {
                index.get_path(Path::new(&repo.in_git(&blob.path)), 0).map(|entry| entry.id)
            };
            let is_staged = blobs.iter().all(|blob| staged(blob) == blob.id);
            Ok(is_staged && git.head()?.peel_to_commit()?.id() == self.id)
        };
        let is_head_the_same = repo.head()? == self.head;
        match found() {
            Ok(true) if is_head_the_same => Ok(()),
            Ok(_) => Err(Failure::failed("cannot commit")
                .because("HEAD or the index does not have the written content")
                .hint(Advice::git("fsck"))
                .into()),
            Err(error) => Err(failed("read the commit", &error).into()),
        }
    }
}

/// A reflog line, in the format of git's `refs/files-backend.c`.
pub(super) fn log_line(from: Oid, to: Oid, committer: &Signature, what: &str) -> String {
    let time = committer.when();
    let (sign, minutes) = (time.sign(), time.offset_minutes().abs());
    format!(
        "{from} {to} {} <{}> {} {sign}{:02}{:02}\t{what}\n",
        committer.name().unwrap_or_default(),
        committer.email().unwrap_or_default(),
        time.seconds(),
        minutes / 60,
        minutes % 60,
    )
}

/// Creates a commit object. libgit2's own function reports success even if the object was not
/// written.
pub(super) fn create_commit(
    git: &Repository,
    [author, committer]: [&Signature; 2],
    message: &str,
    tree: &Tree,
    parents: &[&git2::Commit],
) -> std::result::Result<Oid, Error> {
    let bytes = git.commit_create_buffer(author, committer, message, tree, parents)?;
    git.odb()?.write(ObjectType::Commit, &bytes)
}

/// The mode of the file `place`; if it does not exist, the default mode of git's files.
fn mode(place: &Path) -> u32 {
    place.metadata().map_or(0o644, |found| found.permissions().mode() & 0o777)
}
