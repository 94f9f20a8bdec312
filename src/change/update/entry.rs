//! One file on the three sides of an update, and its merge. Pure.

use super::super::{Bytes, Files, merge};
use super::is_apart;
use crate::error::Result;
use crate::templates::{File, Kind, Origin};
use std::collections::{BTreeMap, BTreeSet};
use zeroize::Zeroizing;

/// The directory of the environments' pipelines.
const PIPELINES: &str = ".gitlab/";

/// A generated file.
#[derive(Clone, PartialEq, Eq)]
pub struct GeneratedFile {
    /// The content.
    pub bytes: Bytes,
    /// Whether the file is executable.
    pub executable: bool,
    /// The template and its target.
    pub origin: Origin,
}

/// Generated files by path, without Secrets and the record.
#[derive(Clone, Default)]
pub struct Tree(BTreeMap<String, GeneratedFile>);

impl Tree {
    /// The file at `path`.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&GeneratedFile> {
        self.0.get(path)
    }

    /// The tree without `paths`.
    #[must_use]
    pub fn without(mut self, paths: &BTreeSet<String>) -> Self {
        self.0.retain(|path, _| !paths.contains(path));
        self
    }

    /// The tree with the files of `wish` for the environments for which `is_known` is true.
    #[must_use]
    pub fn with_environments(mut self, wish: &Self, is_known: impl Fn(&str) -> bool) -> Self {
        let of_one =
            |entry: &GeneratedFile| entry.origin.environment.as_deref().is_some_and(&is_known);
        self.0.extend(
            wish.iter()
                .filter(|(_, entry)| of_one(entry))
                .map(|(path, entry)| (path.clone(), entry.clone())),
        );
        self
    }

    /// The tree with the pipelines of its environments as in `other`.
    #[must_use]
    pub fn with_pipelines(mut self, other: &Self) -> Self {
        for (path, entry) in self.0.iter_mut().filter(|(path, _)| path.starts_with(PIPELINES)) {
            if let Some(other) = other.get(path) {
                entry.clone_from(other);
            }
        }
        self
    }

    /// The tree with the repository's own files at `paths`, if `wish` has them: `wish` will replace
    /// these files.
    #[must_use]
    pub fn with_ours(&self, files: &Files, paths: &BTreeSet<String>, wish: &Self) -> Self {
        let mut all = self.clone();
        for path in paths {
            let bytes = files.bytes(path).ok().flatten();
            if let (Some(bytes), Some(wish)) = (bytes, wish.get(path)) {
                let executable = files.get(path).is_some_and(|found| found.executable);
                let entry =
                    GeneratedFile { bytes: bytes.clone(), executable, origin: wish.origin.clone() };
                all.0.insert(path.clone(), entry);
            }
        }
        all
    }

    /// All files, sorted by path.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &GeneratedFile)> {
        self.0.iter()
    }
}

impl From<Vec<File>> for Tree {
    fn from(files: Vec<File>) -> Self {
        let entry = |file: File| {
            let executable = file.kind == Kind::Executable;
            let bytes = Zeroizing::new(file.text.expose().as_bytes().to_vec());
            (file.path, GeneratedFile { bytes, executable, origin: file.origin })
        };
        Self(files.into_iter().filter(|file| !is_apart(&file.path)).map(entry).collect())
    }
}

/// A file of the repository.
pub(super) struct Side<'s> {
    bytes: &'s Bytes,
    pub(super) executable: bool,
}

/// The result of a merge.
pub(super) enum Merge {
    /// The merged content.
    Clean(Bytes),
    /// The reason of a conflict, and whether the sides can be compared line by line.
    Conflict(String, bool),
}

impl<'s> Side<'s> {
    pub(super) fn read(files: &'s Files, path: &str) -> Result<Option<Self>> {
        let executable = files.get(path).is_some_and(|found| found.executable);
        Ok(files.bytes(path)?.map(|bytes| Self { bytes, executable }))
    }

    /// Whether the file equals `entry`, apart from line endings.
    pub(super) fn is(&self, entry: &GeneratedFile) -> bool {
        self.executable == entry.executable && self.has(entry)
    }

    /// Whether the content is `bytes`.
    pub(super) fn holds(&self, bytes: &Bytes) -> bool {
        self.bytes == bytes
    }

    fn has(&self, entry: &GeneratedFile) -> bool {
        **self.bytes == *entry.bytes
            || with_line_feeds(self.bytes).is_some_and(|bytes| bytes == **entry.bytes)
    }

    /// The content with the change from `old` to `new`.
    pub(super) fn merged(
        &self,
        path: &str,
        old: &GeneratedFile,
        new: &GeneratedFile,
    ) -> Result<Merge> {
        if old.bytes == new.bytes || self.has(new) {
            return Ok(Merge::Clean(self.bytes.clone()));
        }
        let bare = with_line_feeds(self.bytes);
        let ends = |text: &str| match bare {
            Some(_) => Zeroizing::new(text.replace('\n', "\r\n").into_bytes()),
            None => Zeroizing::new(text.as_bytes().to_vec()),
        };
        let text = |bytes: &[u8]| std::str::from_utf8(bytes).map(str::to_owned).ok();
        let (Some(before), Some(after)) = (text(&old.bytes), text(&new.bytes)) else {
            return Ok(Merge::Conflict(
                "you and the templates changed it, and it is not text".to_owned(),
                true,
            ));
        };
        if self.has(old) {
            return Ok(Merge::Clean(ends(&after)));
        }
        let Some(ours) = text(bare.as_ref().unwrap_or(self.bytes)) else {
            return Ok(Merge::Conflict(
                "you and the templates changed it, and it is not text".to_owned(),
                true,
            ));
        };
        Ok(match merge::three_way(path, &before, &ours, &after)? {
            merge::Merged::Clean(text) => Merge::Clean(ends(&text)),
            merge::Merged::Conflict { why, is_of_lines } => Merge::Conflict(why, is_of_lines),
        })
    }
}

/// `bytes` with LF in place of CRLF; `None` unless every line ends with CRLF.
fn with_line_feeds(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let ends = text.bytes().filter(|byte| *byte == b'\n').count();
    (ends > 0 && text.matches("\r\n").count() == ends)
        .then(|| text.replace("\r\n", "\n").into_bytes())
}
