//! List items anywhere in a document: reads, appends and removes them.

use super::lines::{Edit, line_start, newline, next_line};
use super::tree::{self, Entry, Node, Value};
use super::{BEYOND, Document, Edited, FLOW, NO_KEY, Refusal, edit};
use zeroize::Zeroizing;

/// A step of a path to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'s> {
    /// Into a mapping, by key.
    Key(&'s str),
    /// Into a list, by index from 0.
    Item(usize),
}

/// Appends `item`, YAML without indentation, to the list at `path`. A list that is missing, null or
/// `[]` is created; its parents must exist.
pub fn push(text: &str, path: &[Step], item: &str) -> Edited {
    push_all(text, path, &[item])
}

/// Like [`push`], with several items.
pub fn push_all(text: &str, path: &[Step], new: &[&str]) -> Edited {
    let added = new.iter().map(|item| tree::parse(item)).collect::<Result<Vec<_>, _>>()?;
    edit(
        text,
        |document| if new.is_empty() { Ok(Vec::new()) } else { document.pushing(path, new) },
        |before, after| is_same_but(before, after, path, &|old, now| is_grown(old, now, &added)),
    )
}

/// Whether `after` is the list `before` followed by the items `added`.
pub(super) fn is_grown(before: Option<&Node>, after: Option<&Node>, added: &[Node]) -> bool {
    let (old, now) = (before.map_or(&[][..], items), after.map_or(&[][..], items));
    now.len() == old.len() + added.len()
        && old.iter().chain(added).zip(now).all(|(wanted, found)| wanted.means(found))
}

/// Removes the item at `path`, which ends with its index, from its list. The key of the list is
/// removed with the last item. Comments on lines of their own above it stay.
pub fn remove_item(text: &str, path: &[Step]) -> Edited {
    let Some((Step::Item(gone), list)) = path.split_last() else { return Err(NO_KEY) };
    edit(
        text,
        |document| document.removing_item(list, *gone),
        |before, after| is_same_but(before, after, list, &|old, now| is_shrunk(old, now, *gone)),
    )
}

/// Whether `after` is the list `before` without the item with the index `gone`, or absent if that
/// was the last one.
pub(super) fn is_shrunk(before: Option<&Node>, after: Option<&Node>, gone: usize) -> bool {
    let (old, now) = (before.map_or(&[][..], items), after.map_or(&[][..], items));
    let kept = old.iter().enumerate().filter(|(at, _)| *at != gone).map(|(_, item)| item);
    (after.is_none() || !now.is_empty())
        && now.len() + 1 == old.len()
        && kept.zip(now).all(|(wanted, found)| wanted.means(found))
}

impl Document<'_> {
    /// The decoded value of the scalar at `path`; `None` for null and for anything else.
    #[must_use]
    pub fn scalar_at(&self, path: &[Step]) -> Option<&str> {
        let node = self.node(path)?;
        if node.is_null() { None } else { node.scalar() }
    }

    /// The number of items in the list at `path`; 0 if it is not a list.
    #[must_use]
    pub fn count(&self, path: &[Step]) -> usize {
        self.node(path).map_or(0, |node| items(node).len())
    }

    /// The keys of the mapping at `path`, in order; empty if it is not a mapping.
    #[must_use]
    pub fn keys_at(&self, path: &[Step]) -> Vec<&str> {
        let entries = self.node(path).map_or(&[][..], Node::entries);
        entries.iter().filter_map(|entry| entry.key.scalar()).collect()
    }

    pub(super) fn node(&self, path: &[Step]) -> Option<&Node> {
        path.iter().try_fold(&self.root, |node, step| match step {
            Step::Key(key) => Some(&tree::find(node.entries(), key).ok()??.value),
            Step::Item(at) => items(node).get(*at),
        })
    }

    fn pushing(&self, path: &[Step], new: &[&str]) -> Result<Vec<Edit>, Refusal> {
        let Some((Step::Key(key), parents)) = path.split_last() else { return Err(NO_KEY) };
        let entries = self.node(parents).and_then(Node::block_entries).ok_or(FLOW)?;
        let Some(entry) = tree::find(entries, key)? else {
            let last = entries.last().ok_or(BEYOND)?;
            let column = self.column(entries.first().ok_or(BEYOND)?)?;
            let mut lines =
                Zeroizing::new(format!("{}{}:", " ".repeat(column), super::scalar(key)));
            lines.push_str(newline(self.text));
            lines.push_str(&self.items_lines(new, column + self.list_step()));
            return Ok(vec![self.insert_after(last.value.end, &lines)]);
        };
        let list = &entry.value;
        if let Some(last) = items(list).last() {
            return Ok(vec![self.insert_after(last.end, &self.items_lines(new, self.dash(last)?))]);
        }
        if !list.is_null() && !matches!(&list.value, Value::List(_)) {
            return Err("it has another kind of value instead of a list");
        }
        let lines = self.items_lines(new, self.column(entry)? + self.list_step());
        self.putting_below(entry, &lines)
    }

    fn removing_item(&self, list: &[Step], gone: usize) -> Result<Vec<Edit>, Refusal> {
        let found = self.node(list).map_or(&[][..], items);
        let item = found.get(gone).ok_or("it does not have the item")?;
        self.dash(item)?;
        let mut start = line_start(self.text, item.start);
        if found.len() == 1 {
            let Some((Step::Key(key), parents)) = list.split_last() else { return Err(BEYOND) };
            let entries = self.node(parents).and_then(Node::block_entries).ok_or(FLOW)?;
            let entry = tree::find(entries, key)?.ok_or(NO_KEY)?;
            if entries.len() == 1 {
                return Err("no key would be left");
            }
            self.indent(entry)?;
            start = line_start(self.text, entry.key.start);
        }
        Ok(vec![Edit::new(start..next_line(self.text, item.end), Zeroizing::default())])
    }

    /// The lines of items with their dashes after `indent` spaces, without the last line break.
    fn items_lines(&self, items: &[&str], indent: usize) -> Zeroizing<String> {
        let lines = items.iter().map(|item| self.item_lines(item, indent)).collect::<Vec<_>>();
        let size = lines.iter().map(|lines| lines.len()).sum::<usize>();
        // Allocated large enough, so that no partial copy stays behind in memory.
        let mut all = Zeroizing::new(String::with_capacity(size + 2 * lines.len()));
        for (number, lines) in lines.iter().enumerate() {
            if number > 0 {
                all.push_str(newline(self.text));
            }
            all.push_str(lines);
        }
        all
    }

    /// The lines of an item with its dash after `indent` spaces, without the last line break.
    fn item_lines(&self, item: &str, indent: usize) -> Zeroizing<String> {
        let mut lines = Zeroizing::new(String::with_capacity(item.len() * 2 + 1024));
        for (number, line) in item.lines().enumerate() {
            if number > 0 {
                lines.push_str(newline(self.text));
            }
            lines.push_str(&" ".repeat(indent));
            lines.push_str(if number == 0 { "- " } else { "  " });
            lines.push_str(line);
        }
        lines
    }

    /// The column of the key, after blanks and list dashes.
    fn column(&self, entry: &Entry) -> Result<usize, Refusal> {
        let before = &self.text[line_start(self.text, entry.key.start)..entry.key.start];
        if before.bytes().all(|byte| b" -".contains(&byte)) {
            Ok(before.len())
        } else {
            Err(BEYOND)
        }
    }

    /// The indentation of list dashes relative to their key; 2 if the document has no list.
    fn list_step(&self) -> usize {
        let step = |entry: &Entry| {
            let dash = self.dash(items(&entry.value).first()?).ok()?;
            dash.checked_sub(self.indent(entry).ok()?)
        };
        self.root.entries().iter().find_map(step).unwrap_or(2)
    }
}

/// The items of a list; empty for anything else.
pub(super) fn items(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(items) => items,
        _ => &[],
    }
}

/// Whether both mean the same apart from the value at `path`, which `is_right` judges. A key may be
/// added at the end or removed.
pub(super) fn is_same_but(
    before: &Node,
    after: &Node,
    path: &[Step],
    is_right: &dyn Fn(Option<&Node>, Option<&Node>) -> bool,
) -> bool {
    let Some((step, rest)) = path.split_first() else { return is_right(Some(before), Some(after)) };
    match step {
        Step::Item(at) => {
            let (old, now) = (items(before), items(after));
            old.len() == now.len()
                && old.iter().zip(now).enumerate().all(|(place, (one, two))| {
                    if place == *at {
                        is_same_but(one, two, rest, is_right)
                    } else {
                        one.means(two)
                    }
                })
        }
        Step::Key(key) => {
            let named = |entry: &&Entry| entry.key.scalar() == Some(key);
            let others =
                |node: &'_ Node| node.entries().iter().filter(|entry| !named(entry)).count();
            let mut pairs = before
                .entries()
                .iter()
                .filter(|entry| !named(entry))
                .zip(after.entries().iter().filter(|entry| !named(entry)));
            if others(before) != others(after)
                || !pairs.all(|(one, two)| one.key.means(&two.key) && one.value.means(&two.value))
            {
                return false;
            }
            let find = |node: &'_ Node| node.entries().iter().position(|entry| named(&entry));
            match (find(before), find(after)) {
                (Some(one), Some(two)) => {
                    one == two
                        && is_same_but(
                            &before.entries()[one].value,
                            &after.entries()[two].value,
                            rest,
                            is_right,
                        )
                }
                (old, now) if rest.is_empty() => is_right(
                    old.map(|at| &before.entries()[at].value),
                    now.map(|at| &after.entries()[at].value),
                ),
                _ => false,
            }
        }
    }
}

#[cfg(test)]
mod tests;
