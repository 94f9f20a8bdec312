//! Repositories that git may open but makeinfra cannot: the reason, and what to type. Changes
//! nothing.

use super::failed;
use crate::advice::Advice;
use crate::error::{Failure, Result};
use git2::{Config, Error, ErrorCode};
use std::fs;
use std::path::{Path, PathBuf};

/// Files that are read completely when a repository is opened, with size limits far above any real
/// one.
const FILES: [(&str, u64); 6] = [
    ("HEAD", 1 << 16),
    ("config", 16 << 20),
    ("commondir", 1 << 16),
    ("packed-refs", 1 << 30),
    ("index", 1 << 30),
    ("info/exclude", 16 << 20),
];

/// Fails if reading a file of the git directory `git` would block.
pub(super) fn check_files(git: &Path) -> Result<()> {
    for (name, limit) in FILES {
        let file = git.join(name);
        let why = match fs::metadata(&file) {
            Ok(found) if !found.is_file() => "it is not a regular file",
            Ok(found) if found.len() >= limit => "it is too large",
            _ => continue,
        };
        return Err(Failure::failed(format!("cannot read `{}`", file.display()))
            .because(why)
            .hint(Advice::anywhere("ls -l").path(&file))
            .into());
    }
    Ok(())
}

/// The failure to open the repository that contains `dir`, with the git directory `git`.
pub(super) fn failure(dir: &Path, git: Option<&Path>, error: &Error) -> Failure {
    let top = git.map_or_else(|| dir.to_owned(), top);
    if error.code() == ErrorCode::Owner {
        return Failure::failed(format!("cannot open the git repository `{}`", top.display()))
            .because("its directory belongs to another user, so git refuses it (safe.directory)")
            .hint(
                Advice::anywhere("git config --global")
                    .arg("--add")
                    .arg("safe.directory")
                    .path(&top),
            );
    }
    match git.and_then(extension) {
        Some(extension) => {
            let (why, hint) = explained(&extension, &top);
            Failure::failed(format!("cannot open the git repository `{}`", top.display()))
                .because(why)
                .hint(hint)
        }
        None => failed("open the git repository", error).hint(git_at(&top, "status")),
    }
}

/// The top of the work tree with the git directory `git`.
fn top(git: &Path) -> PathBuf {
    let plain: PathBuf = git.components().collect();
    match plain.file_name() {
        Some(name) if name == ".git" => plain.parent().map(Path::to_owned).unwrap_or(plain),
        _ => plain,
    }
}

/// A repository-format extension that libgit2 does not support, with its value; `None` if there is
/// none.
fn extension(git: &Path) -> Option<(String, String)> {
    /// Extensions that libgit2 supports (its `builtin_extensions`).
    const KNOWN: [&str; 3] = ["noop", "worktreeconfig", "preciousobjects"];
    let config = Config::open(&git.join("config")).ok()?;
    let mut found = Vec::new();
    let entries = config.entries(Some("^extensions\\.")).ok()?;
    entries
        .for_each(|entry| {
            if let (Ok(name), Ok(value)) = (entry.name(), entry.value()) {
                found.push((name.trim_start_matches("extensions.").to_owned(), value.to_owned()));
            }
        })
        .ok()?;
    let is_known = |(name, value): &(String, String)| {
        KNOWN.contains(&name.as_str()) || name == "objectformat" && value == "sha1"
    };
    found.into_iter().find(|extension| !is_known(extension))
}

/// The git command `words`, run at `top`.
fn git_at(top: &Path, words: &str) -> Advice {
    words.split(' ').fold(Advice::anywhere("git -C").path(top), Advice::arg)
}

fn explained((name, value): &(String, String), top: &Path) -> (String, Advice) {
    match name.as_str() {
        "refstorage" => (
            "its references are in `reftable` format, which makeinfra does not support".to_owned(),
            git_at(top, "refs migrate --ref-format=files").aside("requires git 2.46"),
        ),
        "objectformat" => {
            let name = top.file_name().unwrap_or_default().to_string_lossy();
            let copy = top.with_file_name(format!("{name}-sha1"));
            let import = git_at(&copy, "fast-import");
            (
                "it uses SHA-256 object names, but makeinfra supports only SHA-1".to_owned(),
                Advice::anywhere("git init --object-format=sha1")
                    .path(&copy)
                    .and(git_at(top, "fast-export --all"))
                    .say(" | ")
                    .say(import),
            )
        }
        "partialclone" => (
            "it is a partial clone, but makeinfra supports only complete clones".to_owned(),
            git_at(top, "fetch --refetch --no-filter")
                .and(git_at(top, "config --unset extensions.partialClone")),
        ),
        name => {
            let name = crate::error::printable(&format!("{name}={value}"));
            let copy = top.with_file_name("COPY");
            (
                format!("makeinfra does not support the git extension `{name}`"),
                git_at(top, "clone .").path(&copy).aside("a clone has no extensions"),
            )
        }
    }
}
