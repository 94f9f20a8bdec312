//! Pairs the paths of a file in base, wish and the repository. Pure.

use super::super::Files;
use super::entry::{GeneratedFile, Tree};
use super::is_apart;
use crate::change::objects;
use crate::templates::Origin;
use std::collections::{BTreeMap, BTreeSet};

/// All files of base and wish, each once.
pub(super) struct Moves {
    pub(super) pairs: Vec<Pair>,
}

/// One file, with its path on each side.
pub(super) struct Pair {
    pub(super) base: Option<String>,
    pub(super) wish: Option<String>,
    /// Its current path in the repository.
    pub(super) ours: Option<String>,
}

impl Pair {
    /// The new path of the file that is now `at`.
    pub(super) fn target<'p>(&'p self, at: &'p str) -> &'p str {
        let is_moved_by_people = self.base.as_deref() != Some(at);
        match &self.wish {
            Some(wish) if !is_moved_by_people => wish,
            _ => at,
        }
    }
}

impl Moves {
    pub(super) fn find(base: &Tree, wish: &Tree, files: &Files) -> Self {
        let renamed = renamed(base, wish);
        let by_origin: BTreeMap<Origin, &String> =
            wish.iter().map(|(path, entry)| (entry.origin.clone(), path)).collect();
        let mut pairs = Vec::new();
        let mut paired = BTreeSet::new();
        for (path, entry) in base.iter() {
            let mut origin = entry.origin.clone();
            if let Some(template) = renamed.get(&origin.template) {
                origin.template.clone_from(template);
            }
            let target =
                if wish.get(path).is_some() { Some(path) } else { by_origin.get(&origin).copied() };
            // A path that base has is paired with itself.
            let target =
                target.filter(|target| *target == path || base.get(target).is_none()).cloned();
            paired.extend(target.clone());
            let ours = match &target {
                _ if files.get(path).is_some() => Some(path.clone()),
                // An earlier run has moved it.
                Some(target) if target != path && files.get(target).is_some() => {
                    Some(target.clone())
                }
                _ => moved(path, entry, base, wish, files),
            };
            pairs.push(Pair { base: Some(path.clone()), wish: target, ours });
        }
        for (path, _) in wish.iter().filter(|(path, _)| !paired.contains(*path)) {
            let ours = files.get(path).is_some().then(|| path.clone());
            pairs.push(Pair { base: None, wish: Some(path.clone()), ours });
        }
        Self { pairs }
    }

    /// Files that users moved: from, to.
    pub(super) fn moved_by_users(&self) -> Vec<(String, String)> {
        let moved = |pair: &Pair| {
            let (from, to) = (pair.base.clone()?, pair.ours.clone()?);
            (from != to && pair.wish.as_ref() != Some(&to)).then_some((from, to))
        };
        self.pairs.iter().filter_map(moved).collect()
    }
}

/// Templates with another path in the newer tree, recognised by a text that only one template has.
fn renamed(base: &Tree, wish: &Tree) -> BTreeMap<String, String> {
    let (gone, come) = (without(base, wish), without(wish, base));
    let same = |one: &[&GeneratedFile], other: &[&GeneratedFile]| {
        one.len() == other.len()
            && one.iter().zip(other).all(|(one, other)| one.bytes == other.bytes)
    };
    let mut found = BTreeMap::new();
    for (old, entries) in &gone {
        let mut candidates = come.iter().filter(|(_, others)| same(entries, others));
        if let (Some((new, _)), None) = (candidates.next(), candidates.next()) {
            found.insert(old.clone(), new.clone());
        }
    }
    found
}

/// The files of those templates of `tree` that `other` does not have.
fn without<'t>(tree: &'t Tree, other: &Tree) -> BTreeMap<String, Vec<&'t GeneratedFile>> {
    let known: BTreeSet<_> = other.iter().map(|(_, entry)| &entry.origin.template).collect();
    let mut files: BTreeMap<String, Vec<&GeneratedFile>> = BTreeMap::new();
    for (_, entry) in tree.iter().filter(|(_, entry)| !known.contains(&entry.origin.template)) {
        files.entry(entry.origin.template.clone()).or_default().push(entry);
    }
    files
}

/// Where users moved the file generated at `path`: to the only path with the same bytes, otherwise
/// to the only one with its object.
fn moved(
    path: &str,
    entry: &GeneratedFile,
    base: &Tree,
    wish: &Tree,
    files: &Files,
) -> Option<String> {
    let others = || {
        files.iter().filter(|(other, _)| {
            *other != path
                && !is_apart(other)
                && base.get(other).is_none()
                && wish.get(other).is_none()
        })
    };
    let mut same = others()
        .filter(|(_, found)| found.content.as_ref().is_ok_and(|bytes| *bytes == entry.bytes));
    match (same.next(), same.next()) {
        (Some((other, _)), None) => return Some(other.to_owned()),
        (Some(_), Some(_)) => return None,
        (None, _) => {}
    }
    // An object of this name in an overlay is a patch.
    let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
    let object = object(&entry.bytes)?;
    let mut same = others().filter(|(other, found)| {
        objects::is_yaml(other)
            && other.starts_with(&format!("{dir}/"))
            && found
                .content
                .as_ref()
                .is_ok_and(|bytes| self::object(bytes).as_ref() == Some(&object))
    });
    match (same.next(), same.next()) {
        (Some((other, _)), None) => Some(other.to_owned()),
        _ => None,
    }
}

/// The file that contains the only object of `entry`, which was generated at `path`.
pub(super) fn holder(path: &str, entry: &GeneratedFile, files: &Files) -> Option<String> {
    let (kind, name) = object(&entry.bytes)?;
    let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
    let mut others =
        files.below(dir).filter(|(other, _)| *other != path && objects::is_yaml(other));
    let has = |bytes: &[u8]| {
        objects::documents(bytes).iter().any(|one| objects::is_object(one, &kind, &name))
    };
    others
        .find(|(_, found)| found.content.as_ref().is_ok_and(|bytes| has(bytes)))
        .map(|(other, _)| other.to_owned())
}

/// Kind and name of the only object in a file.
fn object(bytes: &[u8]) -> Option<(String, String)> {
    match &objects::documents(bytes)[..] {
        [one] => {
            let text = |path: &[&str]| objects::text(one, path).map(str::to_owned);
            Some((text(&["kind"])?, text(&["metadata", "name"])?))
        }
        _ => None,
    }
}
