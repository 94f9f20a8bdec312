//! The template trees of released versions, stored by content so that versions share files. Pure.

use super::{TemplateSet, texts};
use crate::answers::Version;
use include_dir::{Dir, include_dir};
use std::collections::BTreeMap;

/// The directory described in `releases/README.md`.
static RELEASES: Dir = include_dir!("$CARGO_MANIFEST_DIR/releases");

/// The directory with the list of each version's files.
const VERSIONS: &str = "versions/";
/// The directory with the contents to which these lists refer.
const FILES: &str = "files/";

/// Released template trees, and that of this version.
pub struct Archive {
    /// The files by path below `releases/`.
    files: BTreeMap<String, String>,
}

/// Why a version has no templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unavailable {
    /// The version is newer than this binary.
    Newer,
    /// There is no such released version.
    Unknown,
    /// The archive lacks a file to which it refers.
    Incomplete,
}

impl Archive {
    /// The archive in this binary.
    #[must_use]
    pub fn embedded() -> Self {
        Self::new(texts(&RELEASES))
    }

    /// An archive of given files, with the paths of `releases/`.
    pub fn new(files: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { files: files.into_iter().collect() }
    }

    /// Adds the files of `other`.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.files.extend(other.files);
        self
    }

    /// The released versions, oldest first.
    #[must_use]
    pub fn versions(&self) -> Vec<Version> {
        let names = self.files.keys().filter_map(|path| path.strip_prefix(VERSIONS));
        let mut versions: Vec<_> = names.filter_map(|name| Version::parse(name).ok()).collect();
        versions.sort();
        versions
    }

    /// The templates of `version`.
    pub fn find(&self, version: &Version) -> Result<TemplateSet, Unavailable> {
        let own = Version::own();
        if *version == own {
            return Ok(TemplateSet::embedded());
        }
        let Some(list) = self.files.get(&format!("{VERSIONS}{version}")) else {
            return Err(if *version > own { Unavailable::Newer } else { Unavailable::Unknown });
        };
        let files = list.lines().map(|line| {
            let (id, path) = line.split_once(' ').ok_or(Unavailable::Incomplete)?;
            let text = self.files.get(&format!("{FILES}{id}")).ok_or(Unavailable::Incomplete)?;
            Ok((path.to_owned(), text.clone()))
        });
        Ok(TemplateSet::new(&version.to_string(), files.collect::<Result<Vec<_>, _>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive() -> Archive {
        let files = [
            ("versions/0.2.0-rc.1", "aa README.md\nbb a/b.tera\n"),
            ("versions/0.2.0-rc.2", "aa README.md\n"),
            ("versions/0.1.7", "cc README.md\n"),
            ("files/aa", "one"),
            ("files/bb", "two"),
        ];
        Archive::new(files.map(|(path, text)| (path.to_owned(), text.to_owned())))
    }

    #[test]
    fn a_tree_is_made_of_shared_files() {
        let find = |version| archive().find(&Version::parse(version).unwrap());
        let set = find("0.2.0-rc.1").unwrap();
        assert_eq!(set.version(), "0.2.0-rc.1");
        assert_eq!(set.files().collect::<Vec<_>>(), [("README.md", "one"), ("a/b.tera", "two")]);
        assert_eq!(find(env!("CARGO_PKG_VERSION")).unwrap(), TemplateSet::embedded());
        assert_eq!(find("0.1.7"), Err(Unavailable::Incomplete));
        assert_eq!(find("0.1.8"), Err(Unavailable::Unknown));
        assert_eq!(find("99.0.0"), Err(Unavailable::Newer));
        let versions: Vec<_> = archive().versions().iter().map(Version::to_string).collect();
        assert_eq!(versions, ["0.1.7", "0.2.0-rc.1", "0.2.0-rc.2"]);
    }
}
