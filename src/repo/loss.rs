//! Whether git could restore a file.

use super::{Repo, SECRETS, failed};
use crate::advice::{Advice, shell_word};
use crate::error::Result;
use crate::git_crypt;
use git2::{Error, ObjectType, Status, TreeWalkMode, TreeWalkResult};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

impl Repo {
    /// Whether git ignores `path` and does not track it.
    #[must_use]
    pub fn is_ignored(&self, path: &str) -> bool {
        self.git.is_path_ignored(self.in_git(path)).unwrap_or(false) && !self.is_tracked(path)
    }

    /// The `git add` command for `paths`, with `-f` if git ignores any of them.
    #[must_use]
    pub fn add(&self, paths: &[impl AsRef<str>]) -> Advice {
        let is_ignored = paths.iter().any(|path| self.is_ignored(path.as_ref()));
        let words: Vec<_> = paths.iter().map(|path| shell_word(Path::new(path.as_ref()))).collect();
        let is_option_like = words.iter().any(|word| word.starts_with('-'));
        let options = match (is_ignored, is_option_like) {
            (true, _) => "-f -- ",
            (false, true) => "-- ",
            (false, false) => "",
        };
        Advice::git(format!("add {options}{}", words.join(" ")))
    }

    /// Why the last commit does not restore the file `path` with the content `bytes`, as a sentence
    /// about "it"; `None` if it does.
    pub fn loss(&self, path: &str, bytes: &[u8]) -> Result<Option<&'static str>> {
        const EDITED: &str = "it has uncommitted edits";
        const UNTRACKED: &str = "git does not track it";
        if self.is_ignored(path) {
            return Ok(Some("git ignores it"));
        }
        if path.starts_with(SECRETS) {
            // libgit2 does not run git-crypt's filter, so the plaintext of HEAD is compared here.
            let Some(blob) = self.head_blob(path)? else {
                return Ok(Some(if self.is_tracked(path) {
                    "it was never committed"
                } else {
                    UNTRACKED
                }));
            };
            let is_same =
                if git_crypt::is_encrypted(blob.content()) && !git_crypt::is_encrypted(bytes) {
                    self.key(path)?.encrypt(bytes) == blob.content()
                } else {
                    bytes == blob.content()
                };
            return Ok((!is_same).then_some(EDITED));
        }
        let status = self
            .git
            .status_file(Path::new(&self.in_git(path)))
            .map_err(|error| failed("ask git for a file", &error))?;
        Ok(match status {
            _ if status.contains(Status::IGNORED) => Some("git ignores it"),
            // A file that is only staged for removal is still in HEAD.
            _ if status.contains(Status::WT_NEW) && !status.contains(Status::INDEX_DELETED) => {
                Some(UNTRACKED)
            }
            _ if status.contains(Status::INDEX_NEW) => Some("it was never committed"),
            _ if status == Status::CURRENT => None,
            // Git does not see a difference in line endings alone as an edit.
            _ => self.head_blob(path)?.map_or(Some(EDITED), |blob| {
                (without_returns(blob.content()) != without_returns(bytes)).then_some(EDITED)
            }),
        })
    }

    /// The plaintext of `path` in HEAD; `None` if it is absent or no key decrypts it.
    pub fn committed(&self, path: &str) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let Some(blob) = self.head_blob(path)? else { return Ok(None) };
        Ok(if git_crypt::is_encrypted(blob.content()) {
            self.key(path).ok().and_then(|key| key.decrypt(blob.content()))
        } else {
            Some(Zeroizing::new(blob.content().to_vec()))
        })
    }

    /// Whether the index has `path`.
    #[must_use]
    pub fn is_tracked(&self, path: &str) -> bool {
        let path = self.in_git(path);
        self.git.index().is_ok_and(|index| index.get_path(Path::new(&path), 0).is_some())
    }

    /// Git's pre-commit hook; `None` if there is none.
    #[must_use]
    pub fn pre_commit_hook(&self) -> Option<PathBuf> {
        let config = self.git.config().and_then(|mut config| config.snapshot());
        let set = config.and_then(|config| config.get_path("core.hooksPath"));
        let set =
            set.ok().filter(|dir| !dir.as_os_str().is_empty()).map(|dir| self.top().join(dir));
        let hook = set.unwrap_or_else(|| self.git.commondir().join("hooks")).join("pre-commit");
        hook.is_file().then_some(hook)
    }

    /// Whether git takes its hooks from the directory `dir`; `None` if the repository is part of a
    /// larger one.
    #[must_use]
    pub fn hooks_are_in(&self, dir: &str) -> Option<bool> {
        let config = self.git.config().and_then(|mut config| config.snapshot());
        let path = config.and_then(|config| config.get_path("core.hooksPath")).unwrap_or_default();
        let root = self.root();
        let is_it = match (path.as_os_str().is_empty(), root.join(path).canonicalize()) {
            (false, Ok(path)) => root.join(dir).canonicalize().is_ok_and(|dir| dir == path),
            _ => false,
        };
        self.prefix.is_empty().then_some(is_it)
    }

    /// Whether git reads file modes from the file system (`core.fileMode`).
    #[must_use]
    pub fn modes_count(&self) -> bool {
        self.git.config().and_then(|config| config.get_bool("core.filemode")).unwrap_or(true)
    }

    /// Whether HEAD has `path` as an executable file.
    pub fn is_executable_in_head(&self, path: &str) -> Result<bool> {
        let entry = self.head_entry(&self.in_git(path))?;
        Ok(entry.is_some_and(|entry| entry.filemode() == i32::from(git2::FileMode::BlobExecutable)))
    }

    /// Files below the directory `dir` in HEAD; an empty `dir` is the top.
    pub fn committed_below(&self, dir: &str) -> Result<Vec<String>> {
        let path = self.in_git(dir);
        let cannot = |error: Error| failed("read HEAD", &error);
        let below = match path.trim_end_matches('/') {
            "" => self.head_tree()?,
            path => {
                let entry =
                    self.head_entry(path)?.filter(|entry| entry.kind() == Some(ObjectType::Tree));
                entry.map(|entry| self.git.find_tree(entry.id())).transpose().map_err(cannot)?
            }
        };
        let dir = if dir.is_empty() { String::new() } else { format!("{dir}/") };
        let mut found = Vec::new();
        if let Some(below) = below {
            // Files with non-UTF-8 names are not makeinfra's.
            let walked = below.walk(TreeWalkMode::PreOrder, |parent, entry| {
                let is_file = entry.kind() == Some(ObjectType::Blob);
                if let (true, Ok(name)) = (is_file, entry.name()) {
                    found.push(format!("{dir}{parent}{name}"));
                }
                TreeWalkResult::Ok
            });
            walked.map_err(cannot)?;
        }
        Ok(found)
    }
}

/// `bytes` with CRLF replaced by LF.
fn without_returns(bytes: &[u8]) -> Vec<u8> {
    let is_end = |at: usize| bytes[at] == b'\r' && bytes.get(at + 1) == Some(&b'\n');
    (0..bytes.len()).filter(|at| !is_end(*at)).map(|at| bytes[at]).collect()
}
