//! Third proof: the committed and shared state has the new token, and no file of any environment
//! has the old one. Otherwise the next pipeline would deploy a dead token.

use super::old::SupersededToken;
use super::proof::{Proof, ProvedEnvironment};
use crate::advice::Advice;
use crate::error::Result;
use crate::repo::{Committed, Repo, Upstream};

const ID: &str = "git";

/// Examines HEAD and the last known state of the upstream branch. Returns the proofs of each
/// tenant, in order.
pub(super) fn prove(
    repo: &Repo,
    tenants: &[ProvedEnvironment],
    old_tokens: &[SupersededToken],
) -> Result<Vec<Vec<Proof>>> {
    let head = repo.head_id()?.map(|id| repo.secrets_of(&id)).transpose()?.unwrap_or_default();
    let upstream = repo.upstream()?;
    let shared = match &upstream {
        Upstream::At(id) => Some(repo.secrets_of(id)?),
        Upstream::NoRemote | Upstream::NotPushed => None,
    };
    let mut all: Vec<Vec<Proof>> = tenants.iter().map(|_| Vec::new()).collect();
    for (place, tenant) in tenants.iter().enumerate().filter(|(_, tenant)| tenant.is_chosen) {
        let listed: Vec<_> = old_tokens.iter().filter(|old| old.listed.contains(&place)).collect();
        let proof = match (holder(&head, &listed), &shared, &upstream) {
            (Some(Holder::Unread(path)), ..) => Proof::unknown(
                ID,
                format!("cannot decrypt `{path}` in HEAD"),
                Advice::makeinfra("check"),
            ),
            (Some(Holder::Holds(path, title)), ..) => Proof::no(
                ID,
                format!("`{path}` in HEAD still contains the {title}"),
                Advice::makeinfra("rotate"),
            ),
            (None, None, Upstream::NotPushed) => Proof::no(
                ID,
                "the branch has no upstream, so a pipeline may deploy the old token",
                push(repo),
            ),
            (None, None, _) => {
                Proof::ok(ID, "HEAD contains no old token; there is no remote to push to")
            }
            (None, Some(files), _) => match holder(files, &listed) {
                None if !has(files, tenant) => {
                    let message = "the new token is not pushed, so the next pipeline would deploy \
                                   the old one";
                    Proof::no(ID, message, push(repo))
                }
                None => Proof::ok(ID, "HEAD and its upstream contain the new token and no old one"),
                Some(Holder::Holds(path, title)) => {
                    let message = format!(
                        "`{path}` in the upstream branch still contains the {title}: not pushed"
                    );
                    Proof::no(ID, message, push(repo))
                }
                Some(Holder::Unread(path)) => {
                    let message = format!("cannot decrypt `{path}` in the upstream branch");
                    Proof::unknown(ID, message, Advice::makeinfra("check"))
                }
            },
        };
        all[place].push(proof);
    }
    Ok(all)
}

/// Why `old`, which the Secrets of `repo` do not list, may still be in use there; `None` if it is
/// not.
pub(super) fn still_holds(repo: &Repo, old: &SupersededToken) -> Result<Option<String>> {
    let upstream = match repo.upstream()? {
        Upstream::At(id) => Some(id),
        Upstream::NoRemote | Upstream::NotPushed => None,
    };
    for (id, place) in repo
        .head_id()?
        .map(|id| (id, "HEAD"))
        .into_iter()
        .chain(upstream.map(|id| (id, "the upstream")))
    {
        let found = match holder(&repo.secrets_of(&id)?, &[old]) {
            None => None,
            Some(Holder::Holds(path, _)) => Some(format!("`{path}` in {place} contains it")),
            Some(Holder::Unread(path)) => Some(format!("cannot decrypt `{path}` in {place}")),
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// A file that keeps a token alive.
enum Holder<'f> {
    Holds(&'f str, String),
    Unread(&'f str),
}

/// The first of `files` that has one of `old_tokens` or cannot be read.
fn holder<'f>(files: &'f [Committed], old_tokens: &[&SupersededToken]) -> Option<Holder<'f>> {
    files.iter().find_map(|file| {
        let Some(plain) = &file.plain else { return Some(Holder::Unread(&file.path)) };
        let held = old_tokens.iter().find(|old| old.is_in(plain))?;
        Some(Holder::Holds(&file.path, held.title()))
    })
}

/// Whether `files` have the Secret of `tenant` with its current content.
fn has(files: &[Committed], tenant: &ProvedEnvironment) -> bool {
    let there =
        files.iter().find(|file| file.path == tenant.path).and_then(|file| file.plain.as_ref());
    there.is_some_and(|plain| plain.as_slice() == tenant.text.expose().as_bytes())
}

fn push(repo: &Repo) -> Advice {
    match repo.upstream() {
        Ok(Upstream::NotPushed) => Advice::git("push -u origin HEAD"),
        _ => Advice::git("push"),
    }
}
