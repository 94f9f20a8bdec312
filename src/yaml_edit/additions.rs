//! Adds what one version of a document has in its lists, compared with another version, to a third
//! one with local edits.

use super::lines::{Edit, line_end, line_start, newline};
use super::tree::{self, Entry, Node, Value};
use super::{BEYOND, Document, Edited, FLOW, Refusal, apply, stays_readable};
use zeroize::Zeroizing;

/// `text` with the items that root lists of `new` have compared with `old` appended to its lists of
/// the same name, and with the keys that `old` lacks appended. Refuses if `new` differs in anything
/// else, or if such a list no longer exists in `text`.
pub fn add(text: &str, old: &str, new: &str) -> Edited {
    let [ours, old, new] = [Document::parse(text)?, Document::parse(old)?, Document::parse(new)?];
    let has = |document: &Document, key: &str| {
        Ok::<_, Refusal>(tree::find(document.root.entries(), key)?.is_some())
    };
    for entry in old.root.entries() {
        if !has(&new, entry.key.scalar().ok_or(BEYOND)?)? {
            return Err("it would lose a key");
        }
    }
    let mut edits = Vec::new();
    let mut at_end = Zeroizing::new(String::new());
    let mut expected = Vec::new();
    for entry in new.root.entries() {
        let key = entry.key.scalar().ok_or(BEYOND)?;
        let before = tree::find(old.root.entries(), key)?;
        let here = tree::find(ours.root.entries(), key)?;
        let items = match before {
            Some(before) => added(&before.value, &entry.value)?,
            None => list(&entry.value).map_or(Vec::new(), |items| items.iter().collect()),
        };
        match here {
            Some(_) if before.is_some() && items.is_empty() => {}
            // A new key that the document has already, and no list to extend: its value stays.
            Some(_) if before.is_none() && list(&entry.value).is_none() => {}
            Some(here) => {
                let known =
                    list(&here.value).ok_or("it has another kind of value instead of a list")?;
                let missing: Vec<_> = items
                    .into_iter()
                    .filter(|item| !known.iter().any(|one| one.means(item)))
                    .collect();
                let named =
                    |item: &Node| item.at(&["name"]).and_then(Node::scalar).map(str::to_owned);
                let is_taken = |item: &&Node| {
                    named(item).is_some_and(|name| {
                        known.iter().any(|one| named(one) == Some(name.clone()))
                    })
                };
                if missing.iter().any(is_taken) {
                    return Err("an item of that name already exists");
                }
                edits.extend(ours.appending(known, &new, &missing)?);
                expected.extend(missing.into_iter().map(|item| (key, item)));
            }
            None if before.is_none() => {
                at_end.push_str(newline(ours.text));
                at_end.push_str(&new.with_comments(entry)?.replace('\n', newline(ours.text)));
            }
            None if items.is_empty() => {}
            None => return Err("the list to add to no longer exists"),
        }
    }
    edits.sort_by_key(|(at, _)| *at);
    let mut edits: Vec<_> = edits.into_iter().map(|(_, edit)| edit).collect();
    if !at_end.is_empty() {
        let last = ours.root.entries().last().ok_or(BEYOND)?;
        let end = line_end(ours.text, last.value.end);
        edits.push(Edit::new(end..end, at_end));
    }
    let edited = apply(text, ours.text, edits);
    let after = Document::parse(&edited).map_err(|_| BEYOND)?;
    let is_right = is_right(&ours.root, &after.root, &new.root, &expected);
    if is_right && stays_readable(text, &edited) { Ok(edited) } else { Err(BEYOND) }
}

/// Whether both documents mean the same, regardless of the order of keys and list items in their
/// roots.
#[must_use]
pub fn same(one: &str, other: &str) -> bool {
    let (Ok(one), Ok(other)) = (Document::parse(one), Document::parse(other)) else { return false };
    let alike = |one: &Node, other: &Node| match (list(one), list(other)) {
        (Some(one), Some(other)) => {
            one.len() == other.len()
                && one.iter().all(|item| other.iter().any(|two| two.means(item)))
        }
        _ => one.means(other),
    };
    let (one, other) = (one.root.entries(), other.root.entries());
    one.len() == other.len()
        && one.iter().all(|entry| {
            other.iter().any(|two| two.key.means(&entry.key) && alike(&two.value, &entry.value))
        })
}

/// Whether `after` is `before` with `items` at the ends of its lists, and with keys of `new` that
/// it lacked.
pub(super) fn is_right(before: &Node, after: &Node, new: &Node, items: &[(&str, &Node)]) -> bool {
    let kept = before.entries().iter().zip(after.entries()).all(|(one, two)| {
        let mut more =
            items.iter().filter(|(key, _)| one.key.scalar() == Some(key)).map(|(_, item)| *item);
        let grown = match (list(&one.value), list(&two.value)) {
            (Some(old), Some(found)) if found.len() >= old.len() => {
                let (kept, grown) = found.split_at(old.len());
                kept.iter().zip(old).all(|(one, two)| one.means(two))
                    && grown.iter().all(|item| more.next().is_some_and(|wanted| wanted.means(item)))
                    && more.next().is_none()
            }
            _ => more.next().is_none() && one.value.means(&two.value),
        };
        one.key.means(&two.key) && grown
    });
    let further = after.entries().iter().skip(before.entries().len());
    let known = |entry: &Entry| {
        new.entries()
            .iter()
            .any(|wanted| wanted.key.means(&entry.key) && wanted.value.means(&entry.value))
    };
    kept && after.entries().len() >= before.entries().len() && further.into_iter().all(known)
}

/// The items that `new` adds to `old`; refuses if they differ in anything else.
fn added<'n>(old: &Node, new: &'n Node) -> Result<Vec<&'n Node>, Refusal> {
    let (Some(before), Some(after)) = (list(old), list(new)) else {
        return if old.means(new) { Ok(Vec::new()) } else { Err("it would get another value") };
    };
    if before.iter().any(|item| !after.iter().any(|one| one.means(item))) {
        return Err("it would lose an item of a list");
    }
    Ok(after.iter().filter(|item| !before.iter().any(|one| one.means(item))).collect())
}

fn list(node: &Node) -> Option<&[Node]> {
    match &node.value {
        Value::List(items) => Some(items),
        _ => None,
    }
}

impl Document<'_> {
    /// The edit that inserts `items` of `from` below the last one that is already `known` here,
    /// with its position.
    fn appending(
        &self,
        known: &[Node],
        from: &Document,
        items: &[&Node],
    ) -> Result<Option<(usize, Edit)>, Refusal> {
        if items.is_empty() {
            return Ok(None);
        }
        let last = known.last().ok_or(FLOW)?;
        let indent = self.dash(last)?;
        let mut with = Zeroizing::new(String::new());
        for item in items {
            let old = from.dash(item)?;
            for line in
                from.text[line_start(from.text, item.start)..line_end(from.text, item.end)].lines()
            {
                let blanks = line.len() - line.trim_start_matches(' ').len();
                with.push_str(newline(self.text));
                with.push_str(&" ".repeat((indent + blanks).saturating_sub(old)));
                with.push_str(line.trim_start_matches(' '));
            }
        }
        let end = line_end(self.text, last.end);
        Ok(Some((end, Edit::new(end..end, with))))
    }

    /// The number of spaces before the dash of an item; refuses a dash that does not begin a line.
    pub(super) fn dash(&self, item: &Node) -> Result<usize, Refusal> {
        let before = &self.text[line_start(self.text, item.start)..item.start];
        let blanks = before.len() - before.trim_start_matches(' ').len();
        if before.trim() == "-" { Ok(blanks) } else { Err(FLOW) }
    }

    /// The lines of a root entry, including the comments above it.
    fn with_comments(&self, entry: &Entry) -> Result<String, Refusal> {
        self.indent(entry)?;
        let mut start = line_start(self.text, entry.key.start);
        while start > 0 {
            let above = line_start(self.text, start - 1);
            if !self.text[above..].starts_with('#') {
                break;
            }
            start = above;
        }
        let lines: Vec<_> =
            self.text[start..line_end(self.text, entry.value.end)].lines().collect();
        Ok(lines.join("\n"))
    }
}
