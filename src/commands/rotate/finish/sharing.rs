//! The repositories that an old token concerns: those that list it, have its user name or number,
//! or shared it. Only reads.

use super::case::FinishCase;
use super::git;
use super::old::SupersededToken;
use crate::answers::Superseded;
use crate::error::Result;
use crate::pull_secret::Manifest;
use crate::repo::Repo;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// A token, the repositories that shared it, and whether its value is known.
type Asked = (String, Vec<String>, bool);

/// The repositories of one run, by name and by the tokens in their Secrets.
pub(super) struct Sharing {
    by_name: BTreeMap<String, Vec<usize>>,
    by_token: BTreeMap<String, BTreeSet<usize>>,
    /// A repository that was named but could not be examined.
    unread: Option<String>,
    /// Reasons to keep tokens on behalf of other repositories, cached by everything that they
    /// depend on.
    kept: RefCell<BTreeMap<Asked, Option<String>>>,
}

impl Sharing {
    /// Indexes `cases`. `unread` was named as well but could not be examined.
    pub(super) fn of(cases: &[FinishCase], unread: Option<String>) -> Self {
        let mut found = Self {
            by_name: BTreeMap::new(),
            by_token: BTreeMap::new(),
            unread,
            kept: RefCell::default(),
        };
        for (at, case) in cases.iter().enumerate() {
            found.by_name.entry(case.name.clone()).or_default().push(at);
            let listed = case.old_tokens.iter().map(|old| old.what.to_string());
            let held = case.tenants.iter().flat_map(|tenant| tokens(tenant.text.expose()));
            for token in listed.chain(held) {
                found.by_token.entry(token).or_default().insert(at);
            }
        }
        found
    }

    /// Why `old`, which the repository `cases[at]` lists, must be kept on behalf of others; `None`
    /// if it may be deleted.
    pub(super) fn reason(
        &self,
        cases: &[FinishCase],
        at: usize,
        old: &SupersededToken,
    ) -> Result<Option<String>> {
        let missing: Vec<_> = self.missing(&old.repositories).collect();
        if !missing.is_empty() {
            let name = missing.join(", ");
            return Ok(Some(format!(
                "kept: {name} also used it and must be named in the same run"
            )));
        }
        // The unread repository may know the token by any name.
        if let (Superseded::ByHand(_), Some(name)) = (&old.what, &self.unread) {
            return Ok(Some(format!("kept: `{name}` may contain it and cannot be read")));
        }
        // A reason holds for every repository that lists the token, so it is determined once.
        let key = (old.what.to_string(), old.repositories.clone(), old.credentials.is_some());
        let known = self.kept.borrow().get(&key).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let reason = self.others_reason(cases, at, old)?;
        self.kept.borrow_mut().insert(key, reason.clone());
        Ok(reason)
    }

    /// The reason according to the other repositories that may have `old`; `cases[at]` itself no
    /// longer needs it.
    fn others_reason(
        &self,
        cases: &[FinishCase],
        at: usize,
        old: &SupersededToken,
    ) -> Result<Option<String>> {
        for other in self.others(at, old) {
            let case = &cases[other];
            if case.is_unproved {
                return Ok(Some(format!("kept: nothing is verified for {}", case.name)));
            }
            let listed = case.old_tokens.iter().find(|theirs| theirs.what == old.what);
            let reason = match listed {
                Some(theirs) => theirs.kept_by(&case.tenants),
                None if case
                    .tenants
                    .iter()
                    .any(|tenant| old.is_in(tenant.text.expose().as_bytes())) =>
                {
                    Some("kept: it is in use".to_owned())
                }
                // It may have had the token, and its cluster may still have it.
                None if !case.is_proved() => Some("kept: not everything is verified".to_owned()),
                None => {
                    let repo = Repo::find(&case.root, "rotate --finish")?;
                    git::still_holds(&repo, old)?.map(|why| format!("kept: {why}"))
                }
            };
            if let Some(reason) = reason {
                return Ok(Some(format!("{reason} ({})", case.name)));
            }
        }
        Ok(None)
    }

    /// The names among `repositories` with fewer examined repositories than the list has.
    fn missing<'n>(&self, repositories: &'n [String]) -> impl Iterator<Item = &'n str> {
        let mut wanted: BTreeMap<&str, usize> = BTreeMap::new();
        for name in repositories {
            *wanted.entry(name).or_default() += 1;
        }
        let lacks = |(name, wanted): &(&str, usize)| self.called(name).len() < *wanted;
        wanted.into_iter().filter(lacks).map(|(name, _)| name)
    }

    /// The repositories other than `cases[at]` that may have `old`.
    fn others(&self, at: usize, old: &SupersededToken) -> BTreeSet<usize> {
        let named = old.repositories.iter().filter_map(|name| self.by_name.get(name)).flatten();
        let keys = [old.what.to_string(), Superseded::ByHand(old.what.id()).to_string()];
        let holding = keys.iter().filter_map(|key| self.by_token.get(key)).flatten();
        named.chain(holding).copied().filter(|other| *other != at).collect()
    }

    /// The repositories called `name`.
    pub(super) fn called(&self, name: &str) -> &[usize] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }
}

/// The tokens of a Secret with the plaintext `text`, according to its annotations or user names.
fn tokens(text: &str) -> Vec<String> {
    let Ok(manifest) = Manifest::parse(text) else { return Vec::new() };
    let issued = manifest.provenance().issued.as_ref().map(|issued| issued.token.to_string());
    let usernames = manifest.config().keys().filter_map(|key| manifest.config().username(key));
    let numbers =
        usernames.filter_map(|name| Superseded::of_username(&name)).map(|token| token.to_string());
    issued.into_iter().chain(numbers).collect()
}
