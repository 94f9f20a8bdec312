//! Lists a directory of Secrets: the files that its kustomization refers to, and the keys of each
//! generated Secret. Reads through a function and never returns a value. Never interprets part of a
//! file that it cannot read.

use super::{EnvFile, Kustomization, MisleadingLine};
use crate::git_crypt;
use crate::manifests::{below, kustomization};
use crate::work_tree::Content;
use crate::yaml_edit::Document;
use zeroize::Zeroizing;

/// The Secrets of one directory.
#[derive(Debug)]
pub struct Listing {
    /// The path of the kustomization.
    pub path: String,
    /// The parsed kustomization.
    pub kustomization: Kustomization,
    /// Its `resources`, as paths below the top of the repository: files or directories.
    pub resources: Vec<String>,
    /// The Secret manifests among the resources.
    pub manifests: Vec<SecretManifest>,
    /// The Secrets that it generates.
    pub secrets: Vec<Generated>,
}

/// A Secret that is written as a manifest.
#[derive(Debug, PartialEq, Eq)]
pub struct SecretManifest {
    /// The path.
    pub path: String,
    /// The name.
    pub name: String,
    /// Whether it is a pull secret.
    pub is_pull: bool,
    /// The keys.
    pub keys: Vec<String>,
}

/// A Secret that a kustomization generates.
#[derive(Debug)]
pub struct Generated {
    /// The name without the hash suffix.
    pub name: String,
    /// Its source files, as paths below the top of the repository.
    pub files: Vec<String>,
    /// The keys, each with the file that has its value.
    pub keys: Vec<ListedKey>,
    /// Misleading lines of its env files: file, line number from 1, reason.
    pub traps: Vec<(String, usize, MisleadingLine)>,
}

/// A key of a Secret.
#[derive(Debug, PartialEq, Eq)]
pub struct ListedKey {
    /// The name.
    pub name: String,
    /// The file that has the value.
    pub file: String,
    /// Whether the whole file is the value.
    pub is_file: bool,
}

/// Why a directory of Secrets cannot be read or changed.
#[derive(Debug, PartialEq, Eq)]
pub struct DirectoryFault {
    /// The file.
    pub path: String,
    /// The problem, as a sentence about "it"; never a value.
    pub why: String,
    /// Whether the file is encrypted, which leaves its content undetermined.
    pub is_locked: bool,
}

impl DirectoryFault {
    pub(super) fn new(path: &str, why: &str) -> Self {
        Self { path: path.to_owned(), why: why.to_owned(), is_locked: false }
    }
}

impl Listing {
    /// Lists the directory `dir`, a path below the top of the repository. `read` returns the
    /// content of a file.
    pub fn of(dir: &str, read: &dyn Fn(&str) -> Content) -> Result<Self, DirectoryFault> {
        let opened = Opened::at(dir, read)?;
        let manifests = opened.manifests(dir, read)?;
        let Opened { path, kustomization, .. } = opened;
        let fault = |why: &str| DirectoryFault::new(&path, why);
        let full = |reference: &str| {
            below(dir, reference).ok_or_else(|| fault("it names a path outside the repository"))
        };
        let resources =
            kustomization.resources.iter().map(|one| full(one)).collect::<Result<_, _>>()?;
        let mut secrets = Vec::new();
        for generator in &kustomization.generators {
            let mut found = Generated {
                name: generator.name.clone(),
                files: Vec::new(),
                keys: Vec::new(),
                traps: Vec::new(),
            };
            for env in &generator.envs {
                let file = full(env)?;
                let bytes = plain(&file, read(&file))?;
                let env = EnvFile::parse(&bytes);
                let key = |name: &str| ListedKey {
                    name: name.to_owned(),
                    file: file.clone(),
                    is_file: false,
                };
                found.keys.extend(env.keys().map(key));
                found.traps.extend(env.traps().map(|(line, trap)| (file.clone(), line, trap)));
                found.files.push(file);
            }
            for one in &generator.files {
                let file = full(&one.path)?;
                plain(&file, read(&file))?;
                found.keys.push(ListedKey {
                    name: one.key.clone(),
                    file: file.clone(),
                    is_file: true,
                });
                found.files.push(file);
            }
            secrets.push(found);
        }
        Ok(Self { path, kustomization, resources, manifests, secrets })
    }

    /// All files that belong to it, the kustomization first. A directory among its resources counts
    /// as one.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        let generated = self.secrets.iter().flat_map(|secret| &secret.files);
        std::iter::once(&self.path).chain(&self.resources).chain(generated).map(String::as_str)
    }
}

/// The kustomization of a directory.
pub(super) struct Opened {
    pub(super) path: String,
    pub(super) text: Zeroizing<String>,
    pub(super) kustomization: Kustomization,
}

impl Opened {
    pub(super) fn at(dir: &str, read: &dyn Fn(&str) -> Content) -> Result<Self, DirectoryFault> {
        let mut found = kustomization::places(dir)
            .map(|path| (read(&path), path))
            .filter(|(content, _)| !matches!(content, Content::Absent));
        let (content, path) =
            found.next().unwrap_or_else(|| (Content::Absent, kustomization::generated(dir)));
        let fault = |why: &str| DirectoryFault::new(&path, why);
        let bytes = plain(&path, content)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| fault("it is not UTF-8 text"))?;
        let text = Zeroizing::new(text.to_owned());
        let kustomization = Kustomization::parse(&text).map_err(fault)?;
        Ok(Self { path, text, kustomization })
    }

    /// The Secrets among the resources. Directories and files that are not YAML are skipped.
    pub(super) fn manifests(
        &self,
        dir: &str,
        read: &dyn Fn(&str) -> Content,
    ) -> Result<Vec<SecretManifest>, DirectoryFault> {
        let mut found = Vec::new();
        for path in self.kustomization.resources.iter().filter_map(|one| below(dir, one)) {
            let bytes = match read(&path) {
                Content::Absent | Content::Unread(_) => continue,
                content => plain(&path, content)?,
            };
            let text = std::str::from_utf8(&bytes).unwrap_or_default();
            found.extend(text.split("\n---").filter_map(|text| SecretManifest::of(&path, text)));
        }
        Ok(found)
    }
}

impl SecretManifest {
    /// Parses the Secret in one document; `None` if it is not a Secret.
    fn of(path: &str, text: &str) -> Option<Self> {
        let document =
            Document::parse(text).ok().filter(|found| found.scalar(&["kind"]) == Some("Secret"))?;
        let kind = document.scalar(&["type"]).unwrap_or_default();
        let keys = ["data", "stringData"].into_iter().flat_map(|field| document.keys(&[field]));
        Some(Self {
            path: path.to_owned(),
            name: document.scalar(&["metadata", "name"])?.to_owned(),
            is_pull: ["kubernetes.io/dockercfg", "kubernetes.io/dockerconfigjson"].contains(&kind),
            keys: keys.map(str::to_owned).collect(),
        })
    }
}

/// The bytes of a file. Fails if it cannot be read or is encrypted.
pub(super) fn plain(path: &str, content: Content) -> Result<Zeroizing<Vec<u8>>, DirectoryFault> {
    let fault = |why: &str, is_locked| DirectoryFault {
        path: path.to_owned(),
        why: why.to_owned(),
        is_locked,
    };
    let locked = || fault("it is encrypted, and this clone is locked", true);
    match content {
        Content::Bytes(bytes) if git_crypt::is_encrypted(&bytes) => Err(locked()),
        Content::Locked => Err(locked()),
        Content::Bytes(bytes) => Ok(bytes),
        Content::Absent => Err(fault("it does not exist", false)),
        Content::Unread(why) => Err(fault(why, false)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const TEXT: &str = "\
resources:
  - gitlab.secret.yaml
  - ../shared
secretGenerator:
  - name: database
    envs:
      - database.env
    files:
      - database.d/tls.key
      - CA=../ca.pem
  - name: mail
    env: mail.env
";

    fn list(files: &[(&str, &[u8])]) -> Result<Listing, DirectoryFault> {
        let files: BTreeMap<_, _> = files.iter().copied().collect();
        let read = |path: &str| match files.get(path) {
            Some(bytes) => Content::Bytes(Zeroizing::new(bytes.to_vec())),
            None => Content::Absent,
        };
        Listing::of("secrets/kubernetes/qa", &read)
    }

    fn all() -> Vec<(&'static str, &'static [u8])> {
        vec![
            ("secrets/kubernetes/qa/kustomization.yaml", TEXT.as_bytes()),
            ("secrets/kubernetes/qa/database.env", b"A=1\nhunter2\n"),
            ("secrets/kubernetes/qa/database.d/tls.key", b"x"),
            ("secrets/kubernetes/ca.pem", b"x"),
            ("secrets/kubernetes/qa/mail.env", b"M=1\n"),
        ]
    }

    #[test]
    fn names_every_file_and_the_keys_of_each_secret() {
        let listing = list(&all()).unwrap();
        assert_eq!(
            listing.files().collect::<Vec<_>>(),
            [
                "secrets/kubernetes/qa/kustomization.yaml",
                "secrets/kubernetes/qa/gitlab.secret.yaml",
                "secrets/kubernetes/shared",
                "secrets/kubernetes/qa/database.env",
                "secrets/kubernetes/qa/database.d/tls.key",
                "secrets/kubernetes/ca.pem",
                "secrets/kubernetes/qa/mail.env",
            ]
        );
        let keys = |at: usize| {
            listing.secrets[at]
                .keys
                .iter()
                .map(|key| (key.name.as_str(), key.is_file))
                .collect::<Vec<_>>()
        };
        assert_eq!(keys(0), [("A", false), ("tls.key", true), ("CA", true)]);
        assert_eq!(keys(1), [("M", false)]);
        let traps = &listing.secrets[0].traps;
        assert_eq!(
            traps[..],
            [("secrets/kubernetes/qa/database.env".to_owned(), 2, MisleadingLine::NoEquals)]
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named_and_never_quoted() {
        let mut files = all();
        files[1].1 = b"\0GITCRYPT\0abc";
        let fault = list(&files).unwrap_err();
        assert_eq!(
            (fault.path.as_str(), fault.is_locked),
            ("secrets/kubernetes/qa/database.env", true)
        );
        files.remove(1);
        assert_eq!(list(&files).unwrap_err().why, "it does not exist");
        for (text, why) in [
            (&b"a: [hunter2"[..], "it is not a single YAML document"),
            (b"resources: [/etc/hunter2]\n", "it names a path outside the repository"),
            (b"secretGenerator:\n  - envs: [hunter2]\n", "an entry of secretGenerator has no name"),
            (
                b"resources:\n  - a: hunter2\n",
                "it has another kind of value where a file path is required",
            ),
            (b"\xff", "it is not UTF-8 text"),
        ] {
            assert_eq!(
                list(&[("secrets/kubernetes/qa/kustomization.yaml", text)]).unwrap_err().why,
                why
            );
        }
        assert_eq!(list(&[]).unwrap_err().path, "secrets/kubernetes/qa/kustomization.yaml");
        let text = b"secretGenerator:\n  - name: a\n    literals:\n      - A=1\npatches:\n  - patch: |-\n      - op: add\n";
        let listing = list(&[("secrets/kubernetes/qa/Kustomization", text)]).unwrap();
        assert_eq!(listing.kustomization.printed, ["patches", "literals"]);
    }
}
