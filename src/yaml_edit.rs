//! Edits a YAML document in place: comments, blank lines, quotes and keys elsewhere keep their
//! bytes.
//!
//! Owns how a value is written ([`scalar`]) and which lines an edit touches. Does not know what the
//! document is about, does no I/O, and refuses when in doubt: the result of each edit is parsed
//! again, and only the given path may differ. A [`Refusal`] never quotes the document, which may
//! contain a token.

mod additions;
mod graft;
mod lines;
mod lists;
mod scalar;
#[cfg(test)]
mod tests;
mod three_way;
mod tree;

pub use additions::{add, same};
pub use graft::{graft, replace, replace_literal};
pub use lists::{Step, push, push_all, remove_item};
pub use scalar::scalar;
pub use three_way::{Merged, three_way};

use crate::yaml;
use lines::{Edit, apply, block_header, line_end, line_start, newline, next_line};
use serde::de::IgnoredAny;
use tree::{Entry, Node, Value};
use zeroize::Zeroizing;

/// Why a document was not read or edited, as a sentence about "it".
pub type Refusal = &'static str;

/// The result of an edit: the whole new text.
pub type Edited = Result<Zeroizing<String>, Refusal>;

const BEYOND: Refusal = "its format cannot be edited safely";
const FLOW: Refusal = "it has `{…}` or `[…]` instead of keys on separate lines";
const NO_KEY: Refusal = "it does not have the key";

/// Sets the value of the key at `path`, in place or at the end of its mapping, creating missing
/// parents. A parent that is `{}` or null becomes a mapping.
pub fn set(text: &str, path: &[&str], value: &str) -> Edited {
    edit(
        text,
        |document| document.setting(path, value),
        |before, after| is_set(before, after, path, value),
    )
}

fn is_set(before: &Node, after: &Node, path: &[&str], value: &str) -> bool {
    after.at(path).and_then(Node::string) == Some(value) && before.differs_only_at(after, path)
}

/// Removes the key at `path`, its value, and their lines. A parent without other keys is removed as
/// well; comments on lines of their own above it stay. A missing key is not an error.
pub fn remove(text: &str, path: &[&str]) -> Edited {
    edit(text, |document| document.removing(path), |before, after| is_removed(before, after, path))
}

fn is_removed(before: &Node, after: &Node, path: &[&str]) -> bool {
    after.at(path).is_none() && before.differs_only_at(after, path)
}

/// Renames the key at `path` to `new`, in place.
pub fn rename_key(text: &str, path: &[&str], new: &str) -> Edited {
    edit(
        text,
        |document| document.renaming(path, new),
        |before, after| before.is_renamed(after, path, new),
    )
}

fn edit(
    text: &str,
    plan: impl FnOnce(&Document) -> Result<Vec<Edit>, Refusal>,
    is_right: impl FnOnce(&Node, &Node) -> bool,
) -> Edited {
    let document = Document::parse(text)?;
    let edits = plan(&document)?;
    if edits.is_empty() {
        return Ok(Zeroizing::new(text.to_owned()));
    }
    let edited = apply(text, document.text, edits);
    let after = Document::parse(&edited).map_err(|_| BEYOND)?;
    if is_right(&document.root, &after.root) && stays_readable(text, &edited) {
        Ok(edited)
    } else {
        Err(BEYOND)
    }
}

/// Whether kubectl's parser can read `edited` if it can read `text`: after some values, it rejects
/// a tab in the following blank line.
fn stays_readable(text: &str, edited: &str) -> bool {
    let is_read = |text: &str| yaml::read::<IgnoredAny>(text).is_ok();
    is_read(edited) || !is_read(text)
}

/// One document whose root is a mapping in block style.
pub struct Document<'a> {
    /// The text without the byte order mark.
    text: &'a str,
    root: Node,
}

impl<'a> Document<'a> {
    /// Parses `text`. Refuses anchors, aliases, tags and merge keys: an edit could change their
    /// meaning elsewhere.
    pub fn parse(text: &'a str) -> Result<Self, Refusal> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let root = tree::parse(text)?;
        match root.value {
            Value::Map { flow: false, .. } => Ok(Self { text, root }),
            _ => Err("it is not a mapping with each key on its own line"),
        }
    }

    /// The decoded value of the scalar at `path`; `None` for null, for anything but a scalar, and
    /// if a key on the path is repeated.
    #[must_use]
    pub fn scalar(&self, path: &[&str]) -> Option<&str> {
        let node = self.root.at(path)?;
        if node.is_null() { None } else { node.scalar() }
    }

    /// The keys of the mapping at `path`, in order; empty if there is none.
    #[must_use]
    pub fn keys(&self, path: &[&str]) -> Vec<&str> {
        let entries = self.root.at(path).map_or(&[][..], Node::entries);
        entries.iter().filter_map(|entry| entry.key.scalar()).collect()
    }

    fn setting(&self, path: &[&str], value: &str) -> Result<Vec<Edit>, Refusal> {
        let mut entries = self.root.block_entries().ok_or(FLOW)?;
        for (depth, key) in path.iter().enumerate() {
            let Some(entry) = tree::find(entries, key)? else {
                let last = entries.last().ok_or(BEYOND)?;
                let lines = self.new_lines(&path[depth..], value, self.indent(last)?);
                return Ok(vec![self.insert_after(last.value.end, &lines)]);
            };
            let rest = &path[depth + 1..];
            match &entry.value.value {
                _ if rest.is_empty() => return self.replacing(entry, value),
                Value::Map { entries: inner, flow: false } => entries = inner,
                _ if entry.value.is_empty_map() || entry.value.is_null() => {
                    return self.filling(entry, rest, value);
                }
                Value::Map { .. } => return Err(FLOW),
                _ => return Err("it has a value instead of keys"),
            }
        }
        Err(NO_KEY)
    }

    /// Replaces the scalar value of `entry`.
    fn replacing(&self, entry: &Entry, value: &str) -> Result<Vec<Edit>, Refusal> {
        let behind_colon = self.behind_colon(entry)?;
        let old = &entry.value;
        let written = Zeroizing::new(scalar(value));
        if old.string().is_some_and(|old| old == value) {
            return Ok(Vec::new());
        }
        match &old.value {
            Value::Scalar { .. } if old.is_block_scalar() => {
                let header = block_header(self.text, behind_colon).ok_or(BEYOND)?;
                // The line of the header keeps its comment; the lines of the value go.
                let content = line_end(self.text, header.end);
                let content = content..old.end.max(content);
                Ok(vec![Edit::new(header, written), Edit::new(content, Zeroizing::default())])
            }
            Value::Scalar { .. } if old.start == old.end => Ok(vec![Edit::new(
                behind_colon..behind_colon,
                Zeroizing::new(format!(" {}", *written)),
            )]),
            Value::Scalar { .. } => Ok(vec![Edit::new(old.start..old.end, written)]),
            _ => Err("it has a list or keys instead of a single value"),
        }
    }

    /// Turns the value of `entry`, which is `{}` or null, into a mapping with the key `path`.
    fn filling(&self, entry: &Entry, path: &[&str], value: &str) -> Result<Vec<Edit>, Refusal> {
        let lines = self.new_lines(path, value, self.indent(entry)? + self.step());
        self.putting_below(entry, &lines)
    }

    /// Puts `lines` below the key of `entry` in place of its value, which is `{}`, `[]` or null.
    fn putting_below(&self, entry: &Entry, lines: &str) -> Result<Vec<Edit>, Refusal> {
        let old = lines::behind_colon(self.text, entry.key.end).ok_or(BEYOND)?..entry.value.end;
        // A value on another line may have comments around it.
        if self.text[old.clone()].contains(['\n', '#']) {
            return Err(BEYOND);
        }
        let lines = self.insert_after(old.end, lines);
        Ok(vec![Edit::new(old, Zeroizing::default()), lines])
    }

    fn removing(&self, path: &[&str]) -> Result<Vec<Edit>, Refusal> {
        // The entries on the way, each with whether it is the only one of its mapping.
        let mut way: Vec<(&Entry, bool)> = Vec::new();
        let mut node = &self.root;
        for key in path {
            let Some(entry) = tree::find(node.entries(), key)? else {
                return Ok(Vec::new());
            };
            let entries = node.block_entries().ok_or(FLOW)?;
            way.push((entry, entries.len() == 1));
            node = &entry.value;
        }
        let (last, _) = way.last().ok_or(NO_KEY)?;
        let top = way.iter().rposition(|(_, only)| !only).ok_or("no key would be left")?;
        let mut edits = Vec::new();
        for (parent, _) in &way[top..way.len() - 1] {
            self.indent(parent)?;
            edits.push(self.delete_lines(parent.key.start, self.behind_colon(parent)?));
        }
        self.indent(last)?;
        self.behind_colon(last)?;
        edits.push(self.delete_lines(last.key.start, last.value.end));
        Ok(edits)
    }

    fn renaming(&self, path: &[&str], new: &str) -> Result<Vec<Edit>, Refusal> {
        let (old, parents) = path.split_last().ok_or(NO_KEY)?;
        let mut entries = self.root.block_entries().ok_or(FLOW)?;
        for key in parents {
            let entry = tree::find(entries, key)?.ok_or(NO_KEY)?;
            entries = entry.value.block_entries().ok_or(FLOW)?;
        }
        let entry = tree::find(entries, old)?.ok_or(NO_KEY)?;
        if *old == new {
            return Ok(Vec::new());
        }
        if tree::find(entries, new)?.is_some() {
            return Err("the new key already exists");
        }
        self.behind_colon(entry)?;
        Ok(vec![Edit::new(entry.key.start..entry.key.end, Zeroizing::new(scalar(new)))])
    }

    /// The lines for `path: value`, nested, starting at `indent`.
    fn new_lines(&self, path: &[&str], value: &str, indent: usize) -> Zeroizing<String> {
        // Allocated large enough, so that no partial copy stays behind in memory.
        let mut lines = Zeroizing::new(String::with_capacity(value.len() * 6 + 1024));
        for (depth, key) in path.iter().enumerate() {
            let end = if depth + 1 == path.len() { "" } else { newline(self.text) };
            lines.push_str(&" ".repeat(indent + depth * self.step()));
            lines.push_str(&scalar(key));
            lines.push(':');
            lines.push_str(end);
        }
        lines.push(' ');
        lines.push_str(&Zeroizing::new(scalar(value)));
        lines
    }

    /// Inserts `lines`, which do not end with a line break, below the line of `position`.
    fn insert_after(&self, position: usize, lines: &str) -> Edit {
        // Inserting at the end of the line makes a last line without a line break an ordinary case.
        let end = line_end(self.text, position);
        let mut with = Zeroizing::new(String::with_capacity(lines.len() + 2));
        with.push_str(newline(self.text));
        with.push_str(lines);
        Edit::new(end..end, with)
    }

    fn delete_lines(&self, first: usize, last: usize) -> Edit {
        Edit::new(line_start(self.text, first)..next_line(self.text, last), Zeroizing::default())
    }

    /// The number of spaces before the key; refuses a key that is not the first token on its line.
    fn indent(&self, entry: &Entry) -> Result<usize, Refusal> {
        let start = line_start(self.text, entry.key.start);
        let before = &self.text[start..entry.key.start];
        if before.bytes().all(|byte| byte == b' ') { Ok(before.len()) } else { Err(BEYOND) }
    }

    /// The position after the colon of the key.
    fn behind_colon(&self, entry: &Entry) -> Result<usize, Refusal> {
        self.indent(entry)?;
        lines::behind_colon(self.text, entry.key.end).ok_or(BEYOND)
    }

    /// The indentation of mappings within the document's root; 2 if there are none.
    fn step(&self) -> usize {
        let children =
            self.root.entries().iter().filter_map(|entry| entry.value.block_entries()?.first());
        let mut steps = children.filter_map(|child| self.indent(child).ok());
        let root = self.root.entries().first().and_then(|first| self.indent(first).ok());
        steps.next().map_or(2, |indent| indent.saturating_sub(root.unwrap_or(0)).max(1))
    }
}
