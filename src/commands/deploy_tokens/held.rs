//! Whether anything in a repository still has a token, so that it must not be deleted.

use crate::advice::Advice;
use crate::answers::{Superseded, TokenRef};
use crate::error::{Failure, Result};
use crate::files;
use crate::git_crypt;
use crate::pull_secret::Manifest;
use crate::repo::{Repo, SECRETS};
use std::path::{Path, PathBuf};

/// Size limit, above what the API server accepts for a Secret, base64 included.
const LIMIT: usize = 2 << 20;

/// Like [`is_held`], for `repo` and the repositories at `sharing_roots`. Fails if one of them no
/// longer exists.
pub(in crate::commands) fn is_held_among(
    repo: &Repo,
    sharing_roots: &[PathBuf],
    token: &TokenRef,
) -> Result<bool> {
    for root in sharing_roots {
        let sharing_root = Repo::find(root, "rotate").map_err(|_| {
            Failure::unknown(format!(
                "cannot determine whether the deploy token {} is in use",
                token.id
            ))
            .because(format!("it was also created for `{}`, which cannot be read", root.display()))
            .hint(format!("move the repository back, or delete the token {token} by hand"))
        })?;
        if is_held(&sharing_root, token)? {
            return Ok(true);
        }
    }
    is_held(repo, token)
}

/// Whether `token` may be in use: a file below `secrets/` has it or lists it as superseded, in a
/// work tree of this clone, its index, or a commit that HEAD, a branch, a tag or a stash points to;
/// or one of their ancestors had it. Fails if one of these files cannot be read, which leaves it
/// undetermined.
pub(in crate::commands) fn is_held(repo: &Repo, token: &TokenRef) -> Result<bool> {
    // A token superseded by a later rotation may still be deployed: only the proofs of `--finish`
    // tell.
    if is_any(repo, token, |plain| holds(plain, token) || lists(plain, token))? {
        return Ok(true);
    }
    // So may one that a merge dropped. This clone can decrypt what it has written itself.
    repo.has_ever_had(|file| file.plain.as_ref().is_some_and(|plain| holds(plain, token)))
}

/// Whether one of these files has `token` now.
pub(in crate::commands) fn is_held_now(repo: &Repo, token: &TokenRef) -> Result<bool> {
    is_any(repo, token, |plain| holds(plain, token))
}

fn is_any(repo: &Repo, token: &TokenRef, is_it: impl Fn(&[u8]) -> bool) -> Result<bool> {
    let unread = |path: &str| {
        Failure::unknown(format!(
            "cannot determine whether `{path}` contains the deploy token {}",
            token.id
        ))
        .because("this clone cannot decrypt it")
        .hint(Advice::at_top("git log --all --oneline").arg("--").arg(path))
    };
    for root in [repo.root()].into_iter().chain(repo.other_roots()?) {
        for path in secret_files(&root)? {
            let Some(bytes) = files::read(&root.join(&path), LIMIT)? else { continue };
            let plain = if git_crypt::is_encrypted(&bytes) {
                repo.key(&path)?.decrypt(&bytes).ok_or_else(|| unread(&path))?
            } else {
                bytes
            };
            if is_it(&plain) {
                return Ok(true);
            }
        }
    }
    for file in repo.secrets_of_tips()? {
        let plain = file.plain.ok_or_else(|| unread(&file.path))?;
        if is_it(&plain) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Like [`is_held_now`], for the unencrypted files below `root` alone.
pub(in crate::commands) fn is_held_below(root: &Path, token: &TokenRef) -> Result<bool> {
    for path in secret_files(root)? {
        let bytes = files::read(&root.join(&path), LIMIT)?;
        if bytes.is_some_and(|bytes| holds(&bytes, token)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the text of a file has `token`.
fn holds(bytes: &[u8], token: &TokenRef) -> bool {
    let (url, text) = (token.to_string(), std::str::from_utf8(bytes));
    if !bytes.windows(url.len()).any(|window| window == url.as_bytes()) {
        return false;
    }
    match text.map_err(|_| ()).and_then(|text| Manifest::parse(text).map_err(|_| ())) {
        Ok(manifest) => {
            let issued = manifest.provenance().issued.as_ref();
            issued.is_some_and(|issued| issued.token == *token)
        }
        // A changed file mentions it, so it may be in use.
        Err(()) => true,
    }
}

/// Whether the text of a file lists `token` as superseded.
fn lists(bytes: &[u8], token: &TokenRef) -> bool {
    let manifest = std::str::from_utf8(bytes).ok().and_then(|text| Manifest::parse(text).ok());
    let superseded = Superseded::Issued(token.clone());
    manifest.is_some_and(|manifest| {
        manifest.provenance().superseded.iter().any(|replaced| replaced.token == superseded)
    })
}

/// The files below `secrets/` in the work tree at `root`, without links.
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
