//! The meaning of documents, regardless of layout, and the expected meaning of a merge.

use super::super::tree::{Entry, Node, Value};
use super::super::{BEYOND, Refusal};
use std::collections::{HashMap, HashSet};

/// The meaning that the merge computed, in the order of the merged text, which is checked against
/// it.
pub(super) enum ExpectedMeaning<'n> {
    As(&'n Node),
    Map(Vec<(&'n str, ExpectedMeaning<'n>)>),
    List(Vec<ExpectedMeaning<'n>>),
}

impl ExpectedMeaning<'_> {
    pub(super) fn is(&self, node: &Node) -> bool {
        match (self, &node.value) {
            (Self::As(meant), _) => meant.means(node),
            (Self::Map(meant), Value::Map { entries, .. }) => {
                meant.len() == entries.len()
                    && meant
                        .iter()
                        .zip(entries)
                        .all(|((key, meant), entry)| is_named(entry, key) && meant.is(&entry.value))
            }
            (Self::List(meant), Value::List(items)) => {
                meant.len() == items.len()
                    && meant.iter().zip(items).all(|(meant, item)| meant.is(item))
            }
            _ => false,
        }
    }
}

/// Whether both mean the same to Kubernetes: neither redundant quotes nor the order of keys matter.
pub(super) fn same(one: &Node, two: &Node) -> bool {
    match (&one.value, &two.value) {
        (Value::Scalar { text: first, .. }, Value::Scalar { text: second, .. }) => {
            match (one.string(), two.string()) {
                (Some(one), Some(two)) => one == two,
                (None, None) => first == second || one.is_null() && two.is_null(),
                _ => false,
            }
        }
        (Value::List(one), Value::List(two)) => {
            one.len() == two.len() && one.iter().zip(two).all(|(one, two)| same(one, two))
        }
        (Value::Map { entries: one, .. }, Value::Map { entries: two, .. }) => {
            if one.len() != two.len() {
                return false;
            }
            let in_order =
                one.iter().zip(two).all(|(one, two)| one.key.scalar() == two.key.scalar());
            if in_order {
                return one.iter().zip(two).all(|(one, two)| same(&one.value, &two.value));
            }
            let others: HashMap<_, _> =
                two.iter().map(|entry| (entry.key.scalar(), &entry.value)).collect();
            one.iter().all(|entry| {
                others.get(&entry.key.scalar()).is_some_and(|other| same(&entry.value, other))
            })
        }
        _ => false,
    }
}

/// Refuses repeated keys and keys that are not scalars, which cannot be named in a path.
pub(super) fn refuse_unclear_keys(node: &Node) -> Result<(), Refusal> {
    match &node.value {
        Value::Scalar { .. } => Ok(()),
        Value::List(items) => items.iter().try_for_each(refuse_unclear_keys),
        Value::Map { entries, .. } => {
            let mut known = HashSet::new();
            entries.iter().try_for_each(|entry| {
                if !known.insert(entry.key.scalar().ok_or(BEYOND)?) {
                    return Err("it has a key twice");
                }
                refuse_unclear_keys(&entry.value)
            })
        }
    }
}

fn is_named(entry: &Entry, key: &str) -> bool {
    entry.key.scalar() == Some(key)
}
