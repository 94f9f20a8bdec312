//! The meaning of a document, with the byte range of each node.
//!
//! `saphyr-parser` counts characters, and its spans extend over blanks and comments (quoted
//! scalars, `]`, `}`) or end before the colon (missing values), so this module computes the ends
//! itself.

use super::{BEYOND, Refusal, lines};
use crate::yaml;
use saphyr_parser::{Event, ScalarStyle, Span};
use zeroize::Zeroizing;

/// A value or a key.
pub(super) struct Node {
    pub(super) value: Value,
    /// The first byte; for a block scalar, that of its content.
    pub(super) start: usize,
    /// The position after the last byte, without following blanks, comments and line breaks.
    pub(super) end: usize,
}

pub(super) enum Value {
    Scalar { text: Zeroizing<String>, style: ScalarStyle },
    List(Vec<Node>),
    Map { entries: Vec<Entry>, flow: bool },
}

pub(super) struct Entry {
    pub(super) key: Node,
    pub(super) value: Node,
}

/// Deep enough for any manifest, and shallow enough for the stack.
const MAX_DEPTH: usize = 64;
const SYNTAX: Refusal = "it is not a single YAML document";

/// Parses `text`, which must have one document, and returns its root.
pub(super) fn parse(text: &str) -> Result<Node, Refusal> {
    // Characters that only some YAML readers treat as line breaks.
    let disputed = |c: char| matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{7f}');
    let control = |c: char| c.is_ascii_control() && !matches!(c, '\t' | '\n' | '\r');
    if text.contains(|c| control(c) || disputed(c)) || lines::has_lone_return(text) {
        return Err("it contains control characters or unusual line breaks");
    }
    let offsets: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let mut builder = Builder { text, offsets, open: Vec::new(), root: None };
    let mut documents = 0;
    for event in yaml::events(text) {
        // The parser's own message would quote the text.
        let (event, span) = event.map_err(|_| SYNTAX)?;
        documents += usize::from(matches!(event, Event::DocumentStart(_)));
        if documents > 1 {
            return Err(SYNTAX);
        }
        builder.take(event, span)?;
    }
    builder.root.ok_or(SYNTAX)
}

/// The entry of `key`; refuses a mapping with a repeated key.
pub(super) fn find<'n>(entries: &'n [Entry], key: &str) -> Result<Option<&'n Entry>, Refusal> {
    let mut found = entries.iter().filter(|entry| entry.key.scalar() == Some(key));
    match (found.next(), found.next()) {
        (first, None) => Ok(first),
        _ => Err("it has a key twice"),
    }
}

struct Builder<'a> {
    text: &'a str,
    /// Byte position of each character, and the end of the text.
    offsets: Vec<usize>,
    open: Vec<Open>,
    root: Option<Node>,
}

/// An unfinished collection and its nodes; for a mapping, alternating keys and values.
struct Open {
    is_map: bool,
    start: usize,
    flow: bool,
    nodes: Vec<Node>,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Refusal> {
        let anchor_or_tag = match &event {
            // The target of an alias has an anchor and comes first, so aliases need no check.
            Event::Scalar(_, _, anchor, tag) => *anchor > 0 || tag.is_some(),
            Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag) => {
                *anchor > 0 || tag.is_some()
            }
            _ => false,
        };
        if anchor_or_tag {
            return Err("it has anchors, aliases or tags");
        }
        let start = self.byte(span.start.index())?;
        match event {
            Event::Scalar(text, style, ..) => {
                let text = Zeroizing::new(text.into_owned());
                let end = self.scalar_end(start, self.byte(span.end.index())?, style)?;
                self.close(Node { value: Value::Scalar { text, style }, start, end });
            }
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                if self.open.len() >= MAX_DEPTH {
                    return Err("it is nested too deeply");
                }
                // A collection in block style begins without a character of its own.
                let (is_map, flow) = (matches!(event, Event::MappingStart(..)), !span.is_empty());
                self.open.push(Open { is_map, start, flow, nodes: Vec::new() });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Open { is_map, start: first, flow, nodes } = self.open.pop().ok_or(SYNTAX)?;
                let end = match nodes.last() {
                    _ if flow => start + 1,
                    Some(last) => last.end,
                    None => first,
                };
                let value = if is_map { self.map(nodes, flow)? } else { Value::List(nodes) };
                self.close(Node { value, start: first, end });
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, mut node: Node) {
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        // The parser puts a missing value at the end of its key; it belongs after the colon.
        if parent.is_map && parent.nodes.len() % 2 == 1 && node.is_absent() {
            let behind_colon =
                parent.nodes.last().and_then(|key| lines::behind_colon(self.text, key.end));
            let position = behind_colon.unwrap_or(node.end);
            (node.start, node.end) = (position, position);
        }
        parent.nodes.push(node);
    }

    fn map(&self, nodes: Vec<Node>, flow: bool) -> Result<Value, Refusal> {
        let mut entries = Vec::with_capacity(nodes.len() / 2);
        let mut nodes = nodes.into_iter();
        while let (Some(key), Some(value)) = (nodes.next(), nodes.next()) {
            if key.scalar() == Some("<<") && !self.text[key.start..].starts_with(['"', '\'']) {
                return Err("it has a merge key");
            }
            entries.push(Entry { key, value });
        }
        Ok(Value::Map { entries, flow })
    }

    fn byte(&self, char: usize) -> Result<usize, Refusal> {
        self.offsets.get(char).copied().ok_or(BEYOND)
    }

    fn scalar_end(&self, start: usize, end: usize, style: ScalarStyle) -> Result<usize, Refusal> {
        let spanned = self.text.get(start..end).ok_or(BEYOND)?;
        Ok(match style {
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
                lines::quote_end(self.text, start).ok_or(BEYOND)?
            }
            // Only a header, possibly with a comment.
            ScalarStyle::Literal | ScalarStyle::Folded if spanned.trim_end().is_empty() => {
                self.text[..start].trim_end().len()
            }
            ScalarStyle::Literal | ScalarStyle::Folded
                if lines::keeps_blank_lines(self.text, start) =>
            {
                // Up to the last line break, which ends the line below which new content goes.
                let content = spanned.trim_end_matches([' ', '\t']);
                let content = content.strip_suffix('\n').unwrap_or(content);
                start + content.strip_suffix('\r').unwrap_or(content).len()
            }
            _ => start + spanned.trim_end().len(),
        })
    }
}

impl Node {
    /// The decoded text; `None` unless it is a scalar.
    pub(super) fn scalar(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The decoded text; `None` unless every YAML reader parses it as a string.
    pub(super) fn string(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, style }
                if *style != ScalarStyle::Plain || super::scalar::is_plain(text) =>
            {
                Some(text)
            }
            _ => None,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        let null = |text: &str| matches!(text, "" | "~" | "null" | "Null" | "NULL");
        matches!(&self.value, Value::Scalar { text, style: ScalarStyle::Plain } if null(text))
    }

    pub(super) fn is_block_scalar(&self) -> bool {
        matches!(
            &self.value,
            Value::Scalar { style: ScalarStyle::Literal | ScalarStyle::Folded, .. }
        )
    }

    pub(super) fn is_empty_map(&self) -> bool {
        matches!(&self.value, Value::Map { entries, .. } if entries.is_empty())
    }

    fn is_absent(&self) -> bool {
        self.start == self.end && self.is_null()
    }

    /// The entries of a mapping; empty for anything else.
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map { entries, .. } => entries,
            _ => &[],
        }
    }

    /// The entries of a block mapping; `None` unless each one has lines of its own.
    pub(super) fn block_entries(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Map { entries, flow: false } => Some(entries),
            _ => None,
        }
    }

    /// The value at `path`.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| Some(&find(node.entries(), key).ok()??.value))
    }

    /// Whether both mean the same, regardless of position and layout.
    pub(super) fn means(&self, other: &Self) -> bool {
        match (&self.value, &other.value) {
            (Value::Scalar { text: one, style }, Value::Scalar { text: two, style: other }) => {
                // Quoted and block scalars are strings; a plain one may be another type.
                one == two && (*style == ScalarStyle::Plain) == (*other == ScalarStyle::Plain)
            }
            (Value::List(one), Value::List(two)) => {
                one.len() == two.len() && one.iter().zip(two).all(|(one, two)| one.means(two))
            }
            (Value::Map { entries: one, .. }, Value::Map { entries: two, .. }) => {
                one.len() == two.len() && one.iter().zip(two).all(|(one, two)| one.means(two))
            }
            _ => false,
        }
    }

    /// Whether `other` means the same apart from the value at `path`, and from its parents if they
    /// exist for it alone.
    pub(super) fn differs_only_at(&self, other: &Self, path: &[&str]) -> bool {
        let Some((key, rest)) = path.split_first() else {
            return true;
        };
        let named = |entry: &&Entry| entry.key.scalar() == Some(key);
        let others = |node: &'_ Self| node.entries().iter().filter(|entry| !named(entry)).count();
        let mut pairs = self
            .entries()
            .iter()
            .filter(|entry| !named(entry))
            .zip(other.entries().iter().filter(|entry| !named(entry)));
        if others(self) != others(other) || !pairs.all(|(one, two)| one.means(two)) {
            return false;
        }
        let child = |node: &'_ Self| node.entries().iter().position(|entry| named(&entry));
        match (child(self), child(other)) {
            (Some(one), Some(two)) => {
                one == two
                    && self.entries()[one].value.differs_only_at(&other.entries()[two].value, rest)
            }
            (Some(one), None) => self.entries()[one].value.is_only(rest),
            (None, Some(two)) => other.entries()[two].value.is_only(rest),
            (None, None) => true,
        }
    }

    /// Whether it is a chain of mappings with one key each, following `path`.
    fn is_only(&self, path: &[&str]) -> bool {
        match (path.split_first(), self.entries()) {
            (None, _) => true,
            (Some((key, rest)), [only]) => {
                only.key.scalar() == Some(key) && only.value.is_only(rest)
            }
            _ => false,
        }
    }

    /// Whether `other` means the same apart from the new name `new` of the key at `path`.
    pub(super) fn is_renamed(&self, other: &Self, path: &[&str], new: &str) -> bool {
        let Some((key, rest)) = path.split_first() else {
            return self.means(other);
        };
        let (one, two) = (self.entries(), other.entries());
        one.len() == two.len()
            && one.iter().zip(two).all(|(one, two)| match rest {
                _ if one.key.scalar() != Some(key) => one.means(two),
                [] => two.key.string() == Some(new) && one.value.means(&two.value),
                _ => one.key.means(&two.key) && one.value.is_renamed(&two.value, rest, new),
            })
    }
}

impl Entry {
    fn means(&self, other: &Self) -> bool {
        self.key.means(&other.key) && self.value.means(&other.value)
    }
}
