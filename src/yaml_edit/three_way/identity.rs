//! Determines which items in the versions of a list are the same item.

use super::super::tree::{Node, Value};
use std::collections::HashSet;

/// What identifies an item or a mapping key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Id<'n> {
    Name(&'n str),
    /// Kind and name of a patch target.
    Target(&'n str, &'n str),
    /// The sorted keys of `pairs`.
    Labels(Vec<&'n str>),
    /// The single entry of a list that has one entry in every version.
    Only,
}

/// How the versions of a collection are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Map,
    /// Scalars whose order is insignificant.
    Set,
    /// Items with an identity, whose order may be significant.
    List,
}

/// Lists of scalars, in kustomizations and manifests, whose items are independent.
const SETS: [&str; 10] = [
    "resources",
    "components",
    "envs",
    "files",
    "configurations",
    "crds",
    "generators",
    "transformers",
    "accessModes",
    "hosts",
];

/// The identities of all items in the versions of the list `key`; `None` if an item has none or
/// shares one.
pub(super) fn identities<'n>(
    key: &str,
    lists: [&'n [Node]; 3],
) -> Option<(Kind, [Vec<Id<'n>>; 3])> {
    let are_scalars =
        lists.iter().copied().flatten().all(|item| matches!(item.value, Value::Scalar { .. }));
    let (kind, rule): (_, fn(&'n Node) -> Option<Id<'n>>) = match key {
        _ if SETS.contains(&key) && are_scalars => (Kind::Set, itself),
        "volumeMounts" => (Kind::List, |item| field(item, "mountPath")),
        "rules" => (Kind::List, |item| field(item, "host")),
        "patches" => (Kind::List, patch),
        "labels"
            if lists
                .iter()
                .all(|list| list.len() < 2 && list.iter().all(|one| labels(one).is_some())) =>
        {
            (Kind::List, |_| Some(Id::Only))
        }
        "labels" => (Kind::List, labels),
        _ => (Kind::List, |item| field(item, "name")),
    };
    let [base, ours, theirs] = lists.map(|list| unique(list, rule));
    let ids = [base?, ours?, theirs?];
    (key != "labels" || !overlap(&ids[1], &ids[2])).then_some((kind, ids))
}

fn unique<'n>(items: &'n [Node], rule: fn(&'n Node) -> Option<Id<'n>>) -> Option<Vec<Id<'n>>> {
    let ids = items.iter().map(rule).collect::<Option<Vec<_>>>()?;
    let mut known = HashSet::new();
    ids.iter().all(|id| known.insert(id)).then_some(ids)
}

fn itself(item: &Node) -> Option<Id<'_>> {
    let plain = !item.is_null() && !item.is_block_scalar();
    item.scalar().filter(|_| plain).map(Id::Name)
}

fn field<'n>(item: &'n Node, key: &str) -> Option<Id<'n>> {
    let value = item.at(&[key])?;
    value.scalar().filter(|_| !value.is_null()).map(Id::Name)
}

fn patch(item: &Node) -> Option<Id<'_>> {
    field(item, "path").or_else(|| {
        match (item.at(&["target", "kind"])?, item.at(&["target", "name"])?) {
            (kind, name) if item.at(&["path"]).is_none() => {
                Some(Id::Target(kind.scalar()?, name.scalar()?))
            }
            _ => None,
        }
    })
}

fn labels(item: &Node) -> Option<Id<'_>> {
    let mut keys: Vec<_> = item
        .at(&["pairs"])?
        .entries()
        .iter()
        .map(|entry| entry.key.scalar())
        .collect::<Option<_>>()?;
    keys.sort_unstable();
    Some(Id::Labels(keys))
}

/// Whether an entry of `ours` alone sets the same label as an entry of `theirs` alone: they may be
/// a single entry that both changed.
fn overlap(ours: &[Id], theirs: &[Id]) -> bool {
    let [ours, theirs] = [(ours, theirs), (theirs, ours)].map(|(own, other)| {
        let other: HashSet<_> = other.iter().collect();
        let keys = own.iter().filter(|id| !other.contains(id)).map(|id| match id {
            Id::Labels(keys) => keys.as_slice(),
            _ => &[],
        });
        keys.flatten().copied().collect::<HashSet<_>>()
    });
    !ours.is_disjoint(&theirs)
}
