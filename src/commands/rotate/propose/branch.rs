//! Judges the branch of the merge request: it has a rotation to continue with, nothing of value, or
//! other people's work.

use super::super::found::RotationTarget;
use super::BRANCH;
use crate::advice::Advice;
use crate::answers::{Record, RegistryKey, Superseded};
use crate::error::{Failure, Result};
use crate::pull_secret::{Issued, Manifest};

/// What to do with the branch.
#[derive(Debug)]
pub(super) enum Branch {
    /// Replace it by a new rotation: it does not exist, or HEAD has everything that it has.
    Free,
    /// Keep it: it has this new token and is not merged yet.
    Open(Issued),
}

/// How a Secret file of the branch relates to that of HEAD.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// HEAD has, or had, the same token.
    Known,
    /// Its token has superseded that of HEAD.
    Newer(Issued),
    /// Anything else.
    Other,
}

/// Judges the branch, whose commit `id` is in the clone. Fails if it has other people's work.
pub(super) fn judge(found: &RotationTarget, id: &str) -> Result<Branch> {
    let repo = &found.repo;
    if repo.has_commit(id)? {
        return Ok(Branch::Free);
    }
    let Some((theirs, ours)) = repo.changed_since_common(id)? else {
        return Err(in_the_way("it has no commit in common with HEAD").into());
    };
    let registry = found.files.record.as_ref().map(|record| &record.answers.registry);
    let mut steps = Vec::new();
    for file in found.files.secrets.iter().filter(|file| theirs.contains(&file.path)) {
        let path = &file.path;
        let Some(plain) = repo.secret_at(id, path)? else {
            return Err(in_the_way(&format!(
                "`{path}` there is not encrypted with the key of this repository"
            ))
            .into());
        };
        let (Some(head), Ok(text)) = (&file.text, std::str::from_utf8(&plain)) else {
            return Err(in_the_way(&format!("`{path}` there is new or not text")).into());
        };
        let step =
            if head.expose() == text { Step::Known } else { step(head.expose(), text, registry) };
        if step == Step::Other {
            let cause = format!("`{path}` there has no token that replaces the one in HEAD");
            return Err(in_the_way(&cause).into());
        }
        steps.push(step);
    }
    let newer: Vec<_> = steps.iter().filter_map(Step::newer).collect();
    // The pipeline of the branch deploys its Secrets, so none of them may be older than that of
    // HEAD.
    let outdated = found.files.secrets.iter().find(|file| ours.contains(&file.path));
    match newer.first() {
        Some(_) if outdated.is_some() => {
            let path = outdated.map_or("", |file| file.path.as_str());
            return Err(in_the_way(&format!("`{path}` has changed in HEAD since then")).into());
        }
        Some(issued) if newer.len() == steps.len() => return Ok(Branch::Open((*issued).clone())),
        Some(_) => return Err(in_the_way("HEAD already has a part of it").into()),
        None => {}
    }
    // The rotation was merged as another commit, but other people's additions may not have been.
    let lists = found.files.secrets.iter().filter_map(|file| file.kustomization.as_ref());
    let is_ours = |path: &String| {
        path == Record::FILE
            || found.files.secrets.iter().any(|file| file.path == *path)
            || lists.clone().any(|(list, _)| list == path)
    };
    match theirs.iter().find(|path| !is_ours(path)) {
        Some(path) => {
            Err(in_the_way(&format!("it also changes `{}`", crate::error::printable(path))).into())
        }
        None if steps.is_empty() => Err(in_the_way("it has no new token").into()),
        None => Ok(Branch::Free),
    }
}

/// The failure for a branch that can be neither continued nor replaced.
pub(super) fn in_the_way(cause: &str) -> Failure {
    Failure::failed(format!("the branch `{BRANCH}` already exists; no token was created"))
        .because(cause)
        .hint(
            Advice::git(format!("push origin --delete {BRANCH}"))
                .why("merge it, or delete it and then its token with `rotate --finish`"),
        )
}

impl Step {
    fn newer(&self) -> Option<&Issued> {
        match self {
            Self::Newer(issued) => Some(issued),
            Self::Known | Self::Other => None,
        }
    }
}

/// How the Secret `theirs` relates to `head`.
fn step(head: &str, theirs: &str, registry: Option<&RegistryKey>) -> Step {
    let (Ok(head), Ok(theirs)) = (Manifest::parse(head), Manifest::parse(theirs)) else {
        return Step::Other;
    };
    let (ours, other) = (head.provenance(), theirs.provenance());
    let Some(issued) = &other.issued else { return Step::Other };
    let is_held = ours.issued.as_ref().is_some_and(|own| own.token == issued.token);
    let was_held = |token: &Superseded| ours.superseded.iter().any(|known| known.token == *token);
    if is_held || was_held(&Superseded::Issued(issued.token.clone())) {
        return Step::Known;
    }
    let by_name = || head.own(registry).and_then(|key| head.config().username(key));
    let replaced = match &ours.issued {
        Some(own) => Some(Superseded::Issued(own.token.clone())),
        None => by_name().as_deref().and_then(Superseded::of_username),
    };
    // A token with a custom user name has no number by which it could be listed.
    let is_listed = |token: &Superseded| other.superseded.iter().any(|known| known.token == *token);
    if replaced.iter().chain(ours.superseded.iter().map(|known| &known.token)).all(is_listed) {
        Step::Newer(issued.clone())
    } else {
        Step::Other
    }
}
