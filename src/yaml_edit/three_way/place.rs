//! Positions of mapping keys and list items, and their lines at another indentation.

use super::super::lines::{behind_colon, line_end, line_start};
use super::super::tree::{Node, Value};
use super::super::{Document, FLOW, Refusal};
use super::identity::{Id, Kind};
use std::ops::Range;
use zeroize::Zeroizing;

/// A value and its position.
#[derive(Clone, Copy)]
pub(super) struct PlacedNode<'n> {
    pub(super) node: &'n Node,
    /// `None` for the root, and inside `{…}` and `[…]`.
    pub(super) place: Option<Position>,
}

/// The position of a key or a dash in block style.
#[derive(Clone, Copy)]
pub(super) struct Position {
    /// The first byte of the key, or the dash.
    pub(super) head: usize,
    /// After the colon or the dash.
    pub(super) after: usize,
    pub(super) column: usize,
    /// Whether it is the first token on its line; false for the first key of an item.
    pub(super) alone: bool,
    /// End of the preceding token: comments above that position belong elsewhere.
    floor: usize,
}

pub(super) struct Child<'n> {
    pub(super) id: Id<'n>,
    pub(super) key: Option<&'n Node>,
    pub(super) spot: PlacedNode<'n>,
}

/// The children of a mapping, or of a list whose items have the identities `ids`.
pub(super) fn children<'n>(
    document: &Document,
    parent: PlacedNode<'n>,
    ids: Vec<Id<'n>>,
) -> Vec<Child<'n>> {
    let text = document.text;
    let mut floor = parent.place.map(|place| place.after);
    let mut child = |id: Id<'n>, key: Option<&'n Node>, node: &'n Node, is_block: bool| {
        let place = match key {
            _ if !is_block => None,
            Some(key) => key_place(text, key, floor),
            None => dash_place(text, node, floor),
        };
        floor = Some(node.end);
        Child { id, key, spot: PlacedNode { node, place } }
    };
    match &parent.node.value {
        Value::Scalar { .. } => Vec::new(),
        Value::Map { entries, flow } => {
            let named =
                entries.iter().filter_map(|entry| Some((Id::Name(entry.key.scalar()?), entry)));
            named.map(|(id, entry)| child(id, Some(&entry.key), &entry.value, !flow)).collect()
        }
        Value::List(items) => {
            let is_block = !is_flow(document, parent.node);
            ids.into_iter().zip(items).map(|(id, item)| child(id, None, item, is_block)).collect()
        }
    }
}

/// The position of a key. A comment at the top of the document belongs to no key, so for the first
/// key `floor` is `None`.
fn key_place(text: &str, key: &Node, floor: Option<usize>) -> Option<Position> {
    let start = line_start(text, key.start);
    let before = &text[start..key.start];
    let alone = before.bytes().all(|byte| byte == b' ');
    if !alone && !before.bytes().all(|byte| b" -".contains(&byte)) {
        return None;
    }
    let (after, floor) = (behind_colon(text, key.end)?, floor.unwrap_or(start));
    Some(Position { head: key.start, after, column: before.len(), alone, floor })
}

fn dash_place(text: &str, item: &Node, floor: Option<usize>) -> Option<Position> {
    let start = line_start(text, item.start);
    let before = &text[start..item.start];
    let column = before.len() - before.trim_start_matches(' ').len();
    let head = start + column;
    let place =
        Position { head, after: head + 1, column, alone: true, floor: floor.unwrap_or(start) };
    (before.trim() == "-").then_some(place)
}

pub(super) fn is_flow(document: &Document, node: &Node) -> bool {
    matches!(node.value, Value::Map { .. } | Value::List(_))
        && document.text[node.start..].starts_with(['{', '['])
}

/// Whether the value is entirely on the line of its key or dash.
pub(super) fn is_inline(document: &Document, node: &Node) -> bool {
    let is_one_thing = match &node.value {
        Value::Scalar { .. } => !node.is_block_scalar(),
        _ => is_flow(document, node),
    };
    is_one_thing && !document.text[node.start..node.end].contains('\n')
}

impl Position {
    /// The comment lines directly above, at the same indentation.
    pub(super) fn comments_above(&self, text: &str) -> Range<usize> {
        let end = line_start(text, self.head);
        let above = text.get(self.floor..end).filter(|_| self.alone).unwrap_or_default();
        // Text after the floor on the same line is not a line of its own.
        let lines: Vec<_> = above.split_inclusive('\n').skip(1).collect();
        let is_own = |line: &&&str| {
            line.find(|c| c != ' ') == Some(self.column) && line[self.column..].starts_with('#')
        };
        let size: usize = lines.iter().rev().take_while(is_own).map(|line| line.len()).sum();
        end - size..end
    }
}

/// `text` with all lines but the first moved from the indentation `old` to `new`.
pub(super) fn indented(text: &str, old: usize, new: usize, newline: &str) -> Zeroizing<String> {
    // Allocated large enough, so that no partial copy stays behind in memory.
    let breaks = text.matches('\n').count();
    let mut lines = Zeroizing::new(String::with_capacity(text.len() + (new + 2) * (breaks + 1)));
    // `lines` would drop the blank line at the end of a block scalar, which may be part of it.
    for (number, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if number == 0 {
            lines.push_str(line);
            continue;
        }
        let content = line.trim_start_matches(' ');
        lines.push_str(newline);
        if !content.is_empty() {
            lines.push_str(&" ".repeat((new + line.len() - content.len()).saturating_sub(old)));
        }
        lines.push_str(content);
    }
    lines
}

/// The lines of `child`, including the comments above them, at the indentation `column`; without a
/// final line break.
pub(super) fn lines_of(
    document: &Document,
    child: &Child,
    kind: Kind,
    column: usize,
    newline: &str,
) -> Result<Zeroizing<String>, Refusal> {
    let (text, node, blanks) = (document.text, child.spot.node, " ".repeat(column));
    let join = |parts: &[&str]| {
        // Allocated large enough, so that no partial copy stays behind in memory.
        let mut lines =
            Zeroizing::new(String::with_capacity(parts.iter().map(|part| part.len()).sum()));
        for part in parts {
            lines.push_str(part);
        }
        lines
    };
    let Some(place) = child.spot.place else {
        // Moves from `{…}` or `[…]` to a line of its own.
        let key = child.key.map_or("", |key| &text[key.start..key.end]);
        let value = &text[node.start..node.end];
        let lead = match (kind, value) {
            (Kind::Map, "") => ":",
            (Kind::Map, _) => ": ",
            _ => "- ",
        };
        return if [key, value].iter().any(|part| part.contains('\n')) {
            Err(FLOW)
        } else {
            Ok(join(&[&blanks, key, lead, value]))
        };
    };
    let mut comments = String::new();
    for comment in text[place.comments_above(text)].lines() {
        comments.push_str(&format!("{blanks}{}{newline}", comment.trim()));
    }
    let own = &text[place.head..line_end(text, node.end)];
    Ok(join(&[&comments, &blanks, &indented(own, place.column, column, newline)]))
}
