//! Whether anything in a repository still holds a token, so that it must not be deleted.

use crate::answers::TokenRef;
use crate::commands::encrypted;
use crate::error::{Failure, Result};
use crate::files;
use crate::pull_secret::Manifest;
use crate::repo::{Repo, SECRETS};
use std::path::{Path, PathBuf};

/// Whether a file below `secrets/` holds `token`: in the work tree, or in what HEAD, a branch, a tag or a stash names. Fails if
/// one of them cannot be read: then nobody can tell.
pub(in crate::commands) fn is_held(repo: &Repo, token: &TokenRef) -> Result<bool> {
    let unread = |path: &str| {
        Failure::unknown(format!("undetermined whether `{path}` holds the deploy token {}", token.id))
            .because("this clone cannot decrypt it")
    };
    for path in secret_files(&repo.root())? {
        let bytes = encrypted::read_bytes("rotate", &path, &repo.root().join(&path))?;
        if bytes.is_some_and(|bytes| holds(&bytes, token)) {
            return Ok(true);
        }
    }
    for file in repo.secrets_of_tips()? {
        let plain = file.plain.ok_or_else(|| unread(&file.path))?;
        if holds(&plain, token) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the text of a file says that it holds `token`.
fn holds(bytes: &[u8], token: &TokenRef) -> bool {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let url = token.to_string();
    if !text.contains(&url) {
        return false;
    }
    match Manifest::parse(text) {
        Ok(manifest) => {
            let issued = manifest.provenance().issued.as_ref();
            issued.is_some_and(|issued| issued.token == *token)
        }
        // It is named in a file that somebody has changed: it may be in use.
        Err(_) => true,
    }
}

/// The files below `secrets/` of the work tree at `root`, without links.
fn secret_files(root: &Path) -> Result<Vec<String>> {
    let (mut found, mut dirs) = (Vec::new(), vec![PathBuf::from(SECRETS)]);
    while let Some(dir) = dirs.pop() {
        let entries = match files::entries(&root.join(&dir)) {
            Err(error) if files::is_absent(&error) => continue,
            entries => entries.map_err(|error| files::cannot("read", &root.join(&dir), &error))?,
        };
        for entry in entries {
            let path = dir.join(&entry.name);
            if entry.is_dir() {
                dirs.push(path);
            } else if entry.is_file() {
                found.push(path.to_string_lossy().into_owned());
            }
        }
    }
    Ok(found)
}
