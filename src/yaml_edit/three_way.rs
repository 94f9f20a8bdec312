//! Three-way merge of a YAML file by meaning: applies the change from `base` to `theirs` to `ours`.
//!
//! Owns which fields and list items of three versions correspond, and how each is merged. Mappings
//! merge by key. Lists merge by the identity of their items if Kubernetes or kustomize defines one
//! ([`identity`]); any other list is a single value. A value that ours and theirs changed
//! differently is a conflict and never blended. `ours` is edited in place: fields that theirs did
//! not change keep their bytes.
//!
//! Comments above or after a key or an item, above the first key and below the last value follow
//! theirs if ours has them as in base. Other comments, blank lines, the order of keys and the order
//! of items in a [`identity::Kind::Set`] are not merged; a caller that needs them merges lines
//! first. A comment of ours inside something that theirs removes or rewrites is a conflict, and so
//! is a list that theirs reordered and ours changed.

mod comments;
mod identity;
mod meaning;
mod place;
mod siblings;
#[cfg(test)]
mod tests;

use super::lines::{Edit, apply, line_end, newline};
use super::tree::{Node, Value};
use super::{BEYOND, Document, FLOW, Refusal, Step, scalar, stays_readable};
use identity::{Id, Kind, identities};
use meaning::{ExpectedMeaning, same};
use place::{Child, PlacedNode, indented, is_flow, is_inline};
use zeroize::Zeroizing;

/// The result of a merge.
pub enum Merged {
    /// The merged text.
    Clean(Zeroizing<String>),
    /// The fields that both sides changed differently, such as
    /// `spec.template.spec.containers[0].image`. Indices count from 0, in ours if it has the item
    /// and otherwise in theirs.
    Conflict(Vec<String>),
}

/// `ours` with the change from `base` to `theirs`. For each of the three, refuses whatever
/// [`Document::parse`] refuses and repeated keys; also refuses a change inside `{…}` or `[…]` that
/// needs lines of its own.
pub fn three_way(base: &str, ours: &str, theirs: &str) -> Result<Merged, Refusal> {
    let [old, own, new] =
        [Document::parse(base)?, Document::parse(ours)?, Document::parse(theirs)?];
    for document in [&old, &own, &new] {
        meaning::refuse_unclear_keys(&document.root)?;
    }
    if theirs == base || theirs == ours {
        return Ok(Merged::Clean(Zeroizing::new(ours.to_owned())));
    }
    if ours == base && newline(ours) == newline(theirs) {
        return Ok(Merged::Clean(Zeroizing::new(theirs.to_owned())));
    }
    by_meaning(ours, &old, &own, &new)
}

fn by_meaning<'n>(
    text: &str,
    base: &'n Document<'n>,
    ours: &'n Document<'n>,
    theirs: &'n Document<'n>,
) -> Result<Merged, Refusal> {
    let mut merge =
        Merge { base, ours, theirs, edits: Vec::new(), conflicts: Vec::new(), path: Vec::new() };
    let [head, tail] = comments::head_and_tail(base, ours, theirs);
    merge.edits.extend(head);
    let [old, own, new] =
        [base, ours, theirs].map(|document| PlacedNode { node: &document.root, place: None });
    let meant = merge.value(Some(old), own, new)?;
    merge.edits.extend(tail);
    let Merge { mut edits, conflicts, .. } = merge;
    if !conflicts.is_empty() {
        return Ok(Merged::Conflict(conflicts));
    }
    // An insertion before a line precedes the edits of that line.
    edits.sort_by_key(|edit| (edit.range.start, !edit.range.is_empty()));
    if edits.windows(2).any(|pair| pair[1].range.start < pair[0].range.end) {
        return Err(BEYOND);
    }
    let merged = apply(text, ours.text, edits);
    let after = Document::parse(&merged).map_err(|_| BEYOND)?;
    if meant.is(&after.root) && stays_readable(text, &merged) {
        Ok(Merged::Clean(merged))
    } else {
        Err(BEYOND)
    }
}

struct Merge<'n> {
    base: &'n Document<'n>,
    ours: &'n Document<'n>,
    theirs: &'n Document<'n>,
    /// Edits of `ours`. At one position, in the order of the merged text.
    edits: Vec<Edit>,
    conflicts: Vec<String>,
    path: Vec<Step<'n>>,
}

impl<'n> Merge<'n> {
    /// Merges a value that ours and theirs have at `self.path`.
    fn value(
        &mut self,
        base: Option<PlacedNode<'n>>,
        ours: PlacedNode<'n>,
        theirs: PlacedNode<'n>,
    ) -> Result<ExpectedMeaning<'n>, Refusal> {
        let is_settled =
            base.is_some_and(|base| same(base.node, theirs.node)) || same(ours.node, theirs.node);
        let is_unedited = base.is_some_and(|base| same(base.node, ours.node));
        // Inside `{…}` there is no room for a key on a line of its own.
        let is_whole = is_flow(self.ours, ours.node) && (is_settled || is_unedited);
        if !is_whole && let Some((kind, versions)) = self.children(base, ours, theirs) {
            let [old, own, new] = &versions;
            if kind != Kind::List || !is_reordered(old, new) || !is_reordered(own, new) {
                return self.siblings(kind, (base, ours, theirs), &versions);
            }
        }
        if is_settled {
            self.follow_comment(base, ours, theirs);
            return Ok(ExpectedMeaning::As(ours.node));
        }
        match base.filter(|_| is_unedited) {
            Some(base) => self.rewrite(base, ours, theirs),
            None => {
                self.conflict();
                Ok(ExpectedMeaning::As(ours.node))
            }
        }
    }

    /// The children of the three versions; `None` if they cannot be told apart.
    fn children(
        &self,
        base: Option<PlacedNode<'n>>,
        ours: PlacedNode<'n>,
        theirs: PlacedNode<'n>,
    ) -> Option<(Kind, [Vec<Child<'n>>; 3])> {
        let (kind, [old, own, new]) = match (&ours.node.value, &theirs.node.value) {
            (Value::Map { .. }, Value::Map { .. }) => (Kind::Map, [const { Vec::new() }; 3]),
            (Value::List(own), Value::List(new)) => {
                let old = base.map_or(&[][..], |base| super::lists::items(base.node));
                let Some(Step::Key(key)) = self.path.last() else { return None };
                identities(key, [old, own, new])?
            }
            _ => return None,
        };
        let is_map = |spot: &PlacedNode| matches!(spot.node.value, Value::Map { .. });
        let base = base.filter(|base| is_map(base) == (kind == Kind::Map));
        let old = base.map_or(Vec::new(), |base| place::children(self.base, base, old));
        Some((
            kind,
            [old, place::children(self.ours, ours, own), place::children(self.theirs, theirs, new)],
        ))
    }

    /// Replaces a value that ours left unchanged by that of theirs, in their notation.
    fn rewrite(
        &mut self,
        base: PlacedNode<'n>,
        ours: PlacedNode<'n>,
        theirs: PlacedNode<'n>,
    ) -> Result<ExpectedMeaning<'n>, Refusal> {
        let (text, from) = (self.ours.text, self.theirs.text);
        let (old, new) = (ours.node, theirs.node);
        let is_absent = |node: &Node| node.start == node.end;
        let in_place = is_inline(self.ours, old) && is_inline(self.theirs, new);
        if in_place && !is_absent(old) && !is_absent(new) {
            let source = Zeroizing::new(from[new.start..new.end].to_owned());
            self.edits.push(Edit::new(old.start..old.end, source));
            self.follow_comment(Some(base), ours, theirs);
        } else if comments::has_own((self.ours, ours), (self.base, base)) {
            self.conflict();
        } else {
            let (place, source) = (ours.place.ok_or(FLOW)?, theirs.place.ok_or(FLOW)?);
            let lines = &from[source.after..line_end(from, new.end)];
            let lines = indented(lines, source.column, place.column, newline(text));
            self.edits.push(Edit::new(place.after..line_end(text, old.end), lines));
        }
        Ok(ExpectedMeaning::As(new))
    }

    /// Merges the comment on the line of a value or its key.
    fn follow_comment(&mut self, base: Option<PlacedNode>, ours: PlacedNode, theirs: PlacedNode) {
        let edit = base.and_then(|base| {
            comments::at_end_of_line((self.base, base), (self.ours, ours), (self.theirs, theirs))
        });
        self.edits.extend(edit);
    }

    /// Reports the field at `self.path`, by keys alone, because values may be secret.
    fn conflict(&mut self) {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"_-/".contains(&byte);
        let mut name = String::new();
        for step in &self.path {
            match step {
                Step::Key(key) if !key.is_empty() && key.bytes().all(is_word) => {
                    name.push_str(if name.is_empty() { "" } else { "." });
                    name.push_str(key);
                }
                Step::Key(key) => {
                    let key = scalar(key);
                    name.push_str(&if key.starts_with('"') {
                        format!("[{key}]")
                    } else {
                        format!("[\"{key}\"]")
                    });
                }
                Step::Item(at) => name.push_str(&format!("[{at}]")),
            }
        }
        self.conflicts.push(name);
    }
}

/// Whether the common items are in a different order in `new`.
fn is_reordered(old: &[Child], new: &[Child]) -> bool {
    let places: std::collections::HashMap<&Id, usize> =
        old.iter().enumerate().map(|(at, child)| (&child.id, at)).collect();
    let found: Vec<_> = new.iter().filter_map(|child| places.get(&child.id)).collect();
    !found.is_sorted()
}
