//! Shared by the commands that change an encrypted file: reading it, comparing it with HEAD, and
//! the next commands.

use super::not_generated;
use crate::advice::{Advice, shell_word};
use crate::answers::Record;
use crate::error::{Failure, Kind, Result};
use crate::files;
use crate::git_crypt::{self, UNLOCK, UNLOCK_ANEW};
use crate::repo::{HeadSecret, Repo};
use crate::secret::Secret;
use crate::ui::Ui;
use std::path::Path;
use zeroize::Zeroizing;

/// Size limit, above what the API server accepts for a Secret, base64 included.
const LIMIT: usize = 2 << 20;

/// The plaintext of a file; `None` if it does not exist.
pub(super) fn read(verb: &str, path: &str, file: &Path) -> Result<Option<Secret>> {
    let Some(bytes) = read_bytes(verb, path, file)? else { return Ok(None) };
    let text = std::str::from_utf8(&bytes).map(|text| Some(Secret::new(text.to_owned())));
    Ok(text.map_err(|_| {
        refused(verb, path, "it is not UTF-8 text").hint(Advice::at_top(format!("file {path}")))
    })?)
}

/// The plaintext bytes of a file; `None` if it does not exist.
pub(super) fn read_bytes(
    verb: &str,
    path: &str,
    file: &Path,
) -> Result<Option<Zeroizing<Vec<u8>>>> {
    if let Some(why) = files::not_a_repo_file_because(path, file) {
        return Err(refused(verb, path, why).hint(Advice::at_top(format!("ls -l {path}"))).into());
    }
    match files::read(file, LIMIT)? {
        Some(bytes) if git_crypt::is_encrypted(&bytes) => {
            Err(refused(verb, path, "it is encrypted, and this clone is locked")
                .kind(Kind::Locked)
                .hint(Advice::at_top(UNLOCK))
                .into())
        }
        bytes => Ok(bytes),
    }
}

/// The record of the repository at `root`.
pub(super) fn record(verb: &str, root: &Path) -> Result<Record> {
    let text = read(verb, Record::FILE, &root.join(Record::FILE))?;
    let none = || not_generated(root, format!("`{}` does not exist", Record::FILE));
    Record::parse(text.ok_or_else(none)?.expose().to_owned())
}

/// The failure to do `verb` to `path`, without a hint.
fn refused(verb: &str, path: &str, cause: &str) -> Failure {
    Failure::failed(format!("cannot {verb} `{path}`")).because(cause)
}

/// The failure for a file that changed during a prompt.
pub(super) fn changed_meanwhile(what: &str) -> Failure {
    Failure::failed(format!("{what} changed during the run; nothing was written"))
        .hint("repeat the command")
}

/// Whether HEAD has different content than `text`; `false` if undetermined for lack of a key. With
/// `commit`, fails unless a commit is possible. `stake` says what a plaintext Secret exposes, and
/// what to do about it.
pub(super) fn check_head(
    repo: &Repo,
    path: &str,
    text: Option<&Secret>,
    commit: bool,
    stake: &str,
    ui: &mut Ui,
) -> Result<bool> {
    check_head_bytes(repo, path, text.map(|text| text.expose().as_bytes()), commit, stake, ui)
}

/// Like [`check_head`], for a file that may not be text.
pub(super) fn check_head_bytes(
    repo: &Repo,
    path: &str,
    text: Option<&[u8]>,
    commit: bool,
    stake: &str,
    ui: &mut Ui,
) -> Result<bool> {
    let head = repo.key(path).and_then(|key| repo.head_secret(path, &key, text));
    let uncommitted = text.is_some()
        && head.as_ref().is_ok_and(|head| *head != HeadSecret::Encrypted { same: true });
    if !commit {
        return Ok(uncommitted);
    }
    repo.check_can_commit()?;
    if repo.wants_signed_commits() {
        ui.warn("git is configured to sign commits, but this commit will not be signed");
    }
    match head? {
        HeadSecret::Absent | HeadSecret::Encrypted { .. } => {}
        HeadSecret::Plain => {
            ui.warn(format!(
                "HEAD contains `{path}` in plaintext: everyone with the repository has {stake}"
            ));
        }
        HeadSecret::OtherKey => {
            return Err(Failure::failed(format!("`{path}` was encrypted with another key"))
                .kind(Kind::WrongKey)
                .because("the git-crypt key of this clone does not decrypt the version in HEAD")
                .hint(Advice::at_top(UNLOCK_ANEW))
                .into());
        }
    }
    Ok(uncommitted)
}

/// Fails if the file has changed since it was read as `before`, for example during a prompt.
pub(super) fn check_unchanged(
    verb: &str,
    path: &str,
    file: &Path,
    before: Option<&str>,
) -> Result<()> {
    if read(verb, path, file)?.as_ref().map(Secret::expose) == before {
        return Ok(());
    }
    Err(changed_meanwhile(&format!("`{path}` was")).into())
}

/// The command that commits the files `paths` of the work tree.
pub(super) fn commit_step(repo: &Repo, paths: &[impl AsRef<str>], message: &str) -> Advice {
    let words =
        paths.iter().map(|path| shell_word(Path::new(path.as_ref()))).collect::<Vec<_>>().join(" ");
    let commit = commit_added(repo, repo.add(paths), message, &words);
    let why = "commit it; git-crypt encrypts it";
    match commit.reason() {
        "" => commit.why(why),
        more => {
            let why = format!("{why}; {more}");
            commit.why(why)
        }
    }
}

/// The command that commits the files `paths`, given as shell words, after `add` has staged them.
/// During a merge or similar, git only commits everything; and a first commit without the other
/// files would be useless.
pub(super) fn commit_added(repo: &Repo, add: Advice, message: &str, paths: &str) -> Advice {
    if let Some(what) = repo.in_progress() {
        return add.why(format!("{what}, whose commit will include it"));
    }
    if matches!(repo.head_id(), Ok(None)) {
        let first = if repo.is_tracked(Record::FILE) { "Generate the repository" } else { message };
        return add
            .and(Advice::git(format!("commit -m '{first}'")))
            .why("the first commit, of all that is staged");
    }
    add.and(Advice::git(format!("commit -m '{message}' -- {paths}")))
}
