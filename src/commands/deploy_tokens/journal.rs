//! The journal of tokens being created, synced before GitLab is asked, so that the next run finds a
//! token whatever ends this one. Never contains a token's value. One private file per token, in
//! `.git/makeinfra`.

use crate::answers::{Answer, Instance, Owner, TokenRef};
use crate::error::{Failure, Result};
use crate::files;
use crate::gitlab::{ProjectOrGroup, TokenName};
use crate::repo::Repo;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Size limit for an entry, far above any real one.
const LIMIT: usize = 64 << 10;
/// How often to recreate the directory after another run has removed it.
const TRIES: usize = 5;
/// File extension of entries.
const EXTENSION: &str = "json";

/// The journal of one repository.
pub(in crate::commands) struct Journal {
    dir: PathBuf,
    /// Path of the repository in git's work tree; entries of other repositories there are skipped.
    folder: String,
}

/// Locks the journal against other runs while it exists.
pub(in crate::commands) struct JournalLock {
    dir: PathBuf,
    /// `None` if the file system does not support locks.
    _lock: Option<files::Lock>,
}

impl Drop for JournalLock {
    fn drop(&mut self) {
        files::remove_empty(&self.dir);
    }
}

/// A requested token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::commands) struct JournalEntry {
    /// Its name in GitLab.
    pub(in crate::commands) name: String,
    /// The GitLab instance.
    pub(in crate::commands) instance: Instance,
    pub(in crate::commands) place: ProjectOrGroup,
    /// Its number; `None` if GitLab has not answered.
    pub(in crate::commands) id: Option<u64>,
    /// When it was requested, by GitLab's clock.
    pub(in crate::commands) since: Timestamp,
    /// The tops of the other repositories that share it.
    pub(in crate::commands) sharing_roots: Vec<PathBuf>,
    /// [`Journal::folder`].
    folder: String,
    /// The file of the entry.
    file: PathBuf,
}

impl JournalEntry {
    /// The token's identity in GitLab's API; `None` if unknown.
    pub(in crate::commands) fn token(&self) -> Option<TokenRef> {
        let (instance, owner) = (self.instance.clone(), self.place.owner);
        self.id.map(|id| TokenRef { instance, owner, id })
    }

    /// Records that GitLab has created the token with the number `id`.
    pub(in crate::commands) fn made(&mut self, id: u64) -> Result<()> {
        self.id = Some(id);
        self.keep()
    }

    /// Writes the entry to disk.
    pub(in crate::commands) fn keep(&self) -> Result<()> {
        files::keep(&self.file, self.text().as_bytes())
    }

    /// Deletes the entry: a Secret has the token, or the token is deleted.
    pub(in crate::commands) fn end(&self) -> Result<()> {
        files::forget(&self.file)
    }

    fn text(&self) -> String {
        let (kind, number) = match self.place.owner {
            Owner::Project(number) => ("project", number),
            Owner::Group(number) => ("group", number),
        };
        let sharing_roots = self.sharing_roots.iter().map(|root| root.as_os_str().as_bytes());
        let entry = json!({
            "name": self.name,
            "gitlab": self.instance.as_str(),
            "kind": kind,
            "number": number,
            "path": self.place.path,
            "id": self.id,
            "since": self.since.to_string(),
            "fellows": sharing_roots.collect::<Vec<_>>(),
            "folder": self.folder,
        });
        format!("{entry}\n")
    }

    fn parse(text: &[u8], file: PathBuf) -> Option<Self> {
        let value: Value = serde_json::from_slice(text).ok()?;
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        let number = value.get("number").and_then(Value::as_u64)?;
        let owner = match text("kind")? {
            "project" => Owner::Project(number),
            "group" => Owner::Group(number),
            _ => return None,
        };
        Some(Self {
            name: text("name")?.to_owned(),
            instance: Instance::parse(text("gitlab")?).ok()?,
            place: ProjectOrGroup { owner, path: text("path")?.to_owned() },
            id: value.get("id").and_then(Value::as_u64),
            since: text("since")?.parse().ok()?,
            sharing_roots: value
                .get("fellows")?
                .as_array()?
                .iter()
                .map(path)
                .collect::<Option<_>>()?,
            folder: text("folder")?.to_owned(),
            file,
        })
    }
}

/// A path from its bytes, which need not be UTF-8.
fn path(bytes: &Value) -> Option<PathBuf> {
    let byte = |value: &Value| u8::try_from(value.as_u64()?).ok();
    let bytes = bytes.as_array()?.iter().map(byte).collect::<Option<Vec<_>>>()?;
    Some(PathBuf::from(OsString::from_vec(bytes)))
}

impl Journal {
    /// The journal of `repo`, which all its work trees share.
    pub(in crate::commands) fn of(repo: &Repo) -> Self {
        Self {
            dir: repo.common_directory().join("makeinfra"),
            folder: repo.folder_in_git().to_owned(),
        }
    }

    /// The journal of a repository that is yet to be created at `target`, which is a sibling of it.
    pub(in crate::commands) fn beside(target: &Path) -> Result<Self> {
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
            return Err(Failure::failed(format!(
                "cannot create a journal beside `{}`",
                target.display()
            ))
            .into());
        };
        let dir = parent.join(format!(".{}.tokens", name.to_string_lossy()));
        Ok(Self { dir, folder: String::new() })
    }

    /// Locks the journal, and deletes what a killed run left unfinished. Fails if another run has
    /// locked it.
    pub(in crate::commands) fn hold(&self) -> Result<JournalLock> {
        // Another run may remove the directory right after it was created.
        for _ in 0..TRIES {
            files::private_directory(&self.dir)?;
            let lock = match files::lock(&self.dir) {
                Ok(None) => continue,
                Err(error) if files::has_no_locks(&error) => None,
                lock => lock.map_err(|error| files::cannot("lock", &self.dir, &error))?,
            };
            for file in files::leftovers_in(&self.dir) {
                files::remove(&file)?;
            }
            return Ok(JournalLock { dir: self.dir.clone(), _lock: lock });
        }
        Err(Failure::failed("another makeinfra process is creating a token for this repository")
            .because(format!("it has locked `{}`", self.dir.display()))
            .hint("wait until it has finished, then try again")
            .into())
    }

    /// The directory of the journal.
    pub(in crate::commands) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Records that a token called `name` is about to be requested, for the repositories at
    /// `sharing_roots` as well.
    pub(in crate::commands) fn begin(
        &self,
        name: &TokenName,
        instance: &Instance,
        place: &ProjectOrGroup,
        sharing_roots: &[PathBuf],
    ) -> Result<JournalEntry> {
        let file = self
            .dir
            .join(format!("{}.{EXTENSION}", name.to_string().replace([' ', ':', '/'], "-")));
        let entry = JournalEntry {
            name: name.to_string(),
            instance: instance.clone(),
            place: place.clone(),
            id: None,
            since: name.time,
            sharing_roots: sharing_roots.to_vec(),
            folder: self.folder.clone(),
            file,
        };
        if let Err(error) = entry.keep() {
            // The entry may exist although nothing was requested.
            let _ = entry.end();
            return Err(error);
        }
        Ok(entry)
    }

    /// All entries. An unreadable entry is an error, because it may stand for a token.
    pub(in crate::commands) fn entries(&self) -> Result<Vec<JournalEntry>> {
        let found = match files::entries(&self.dir) {
            Err(error) if files::is_absent(&error) => return Ok(Vec::new()),
            found => found.map_err(|error| files::cannot("read", &self.dir, &error))?,
        };
        let is_entry = |path: &Path| path.extension().is_some_and(|found| found == EXTENSION);
        let mut entries = Vec::new();
        for path in found.into_iter().map(|entry| entry.path).filter(|path| is_entry(path)) {
            let Some(text) = files::read(&path, LIMIT)? else { continue };
            let entry = JournalEntry::parse(&text, path.clone()).ok_or_else(|| {
                Failure::failed(format!("cannot read `{}`", path.display()))
                    .because(
                        "it names a deploy token that GitLab may have created, but the file \
                         is damaged",
                    )
                    .hint(crate::advice::Advice::anywhere("cat").path(&path))
            })?;
            if entry.folder == self.folder {
                entries.push(entry);
            }
        }
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn an_entry_is_there_from_before_the_request_until_it_ends() {
        let parent = tempfile::tempdir().unwrap();
        let journal = Journal::beside(&parent.path().join("hello-infra")).unwrap();
        assert_eq!(journal.entries().unwrap(), []);
        let name = TokenName::new(&["hello-infra".to_owned()], &[], Timestamp::now()).unwrap();
        let place = ProjectOrGroup { owner: Owner::Group(7), path: "group/näme".to_owned() };
        let sharing_roots =
            [PathBuf::from("/work/a b"), PathBuf::from(OsString::from_vec(b"/work/\xff".to_vec()))];
        let mut entry =
            journal.begin(&name, &Instance::gitlab_com(), &place, &sharing_roots).unwrap();
        assert_eq!(journal.entries().unwrap(), [entry.clone()]);
        assert_eq!(entry.token(), None);
        entry.made(17).unwrap();
        let found = journal.entries().unwrap();
        assert_eq!(found, [entry.clone()]);
        let url = found[0].token().unwrap().to_string();
        assert_eq!(url, "https://gitlab.com/api/v4/groups/7/deploy_tokens/17");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&entry.file), mode(&journal.dir)), (0o600, 0o700));
        fs::write(journal.dir.join("x.json"), "{").unwrap();
        assert!(journal.entries().is_err());
        fs::remove_file(journal.dir.join("x.json")).unwrap();
        entry.end().unwrap();
        entry.end().unwrap();
        fs::write(journal.dir.join(".x.json.makeinfra-abcdef012345"), "{").unwrap();
        let held = journal.hold().unwrap();
        assert!(journal.hold().is_err());
        drop(held);
        assert!(!journal.dir.exists());
    }
}
