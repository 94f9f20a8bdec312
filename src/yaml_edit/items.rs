//! Edits inside lists, and entries that are brought in from elsewhere.

use super::lines::{Edit, line_end, line_start, newline, next_line};
use super::tree::{self, Entry, Node, Value};
use super::{BEYOND, Document, Edited, FLOW, NO_KEY, Refusal, edit, scalar};
use zeroize::Zeroizing;

/// Gives the scalar at `path` another value in its place. Numbers in the path count the items of lists. A value that is not
/// there is a refusal.
pub fn replace(text: &str, path: &[&str], value: &str) -> Edited {
    replace_with(text, path, value, &scalar(value))
}

/// The same for what is no string: a number or a boolean, as YAML has it.
pub fn replace_literal(text: &str, path: &[&str], literal: &str) -> Edited {
    replace_with(text, path, literal, literal)
}

fn replace_with(text: &str, path: &[&str], value: &str, written: &str) -> Edited {
    edit(
        text,
        |document| {
            let node = document.root.step(path).ok_or(NO_KEY)?;
            let Value::Scalar { text: old, .. } = &node.value else {
                return Err("it has a list or keys where one value is needed");
            };
            if old.as_str() == value {
                return Ok(Vec::new());
            }
            if node.is_block_scalar() || node.start == node.end {
                return Err(BEYOND);
            }
            Ok(vec![Edit::new(node.start..node.end, Zeroizing::new(written.to_owned()))])
        },
        |before, after| {
            after.step(path).and_then(Node::scalar) == Some(value) && before.differs_only_below(after, path)
        },
    )
}

/// Takes the items at `places` out of the list in the root called `key`, with the comments right above each. A list that
/// would be empty goes with its key; one of `resources` stays as `[]`, without which kustomize takes nothing for a
/// kustomization.
pub fn remove_items(text: &str, key: &str, places: &[usize]) -> Edited {
    edit(
        text,
        |document| document.removing_items(key, places),
        |before, after| {
            let Ok(Some(old)) = tree::find(before.entries(), key) else { return false };
            let kept: Vec<_> = items(&old.value)
                .iter()
                .enumerate()
                .filter(|(place, _)| !places.contains(place))
                .map(|(_, item)| item)
                .collect();
            let new = tree::find(after.entries(), key).ok().flatten();
            let found = new.map_or(&[][..], |entry| items(&entry.value));
            found.len() == kept.len()
                && kept.iter().zip(found).all(|(one, two)| one.means(two))
                && before.differs_only_at(after, &[key])
        },
    )
}

/// `text` with the entry that `from` has at `source`, as `path`: at the end of its mapping, with all the parents that are
/// missing. Refuses if there is a `path` already.
pub fn graft(text: &str, path: &[&str], from: &str, source: &[&str]) -> Edited {
    let from = Document::parse(from)?;
    let entry = from.entry(source)?;
    edit(
        text,
        |document| document.grafting(path, &from, entry),
        |before, after| {
            after.at(path).is_some_and(|node| node.means(&entry.value)) && before.differs_only_at(after, path)
        },
    )
}

fn items(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(items) => items,
        _ => &[],
    }
}

impl Document<'_> {
    fn removing_items(&self, key: &str, places: &[usize]) -> Result<Vec<Edit>, Refusal> {
        let entry = tree::find(self.root.entries(), key)?.ok_or(NO_KEY)?;
        let all = items(&entry.value);
        if places.is_empty() {
            return Ok(Vec::new());
        }
        if places.iter().any(|place| *place >= all.len()) {
            return Err(NO_KEY);
        }
        let first = all.first().ok_or(NO_KEY)?;
        self.dash(first)?;
        if places.len() == all.len() {
            let whole = line_start(self.text, entry.key.start)..next_line(self.text, entry.value.end);
            let empty = format!("{key}: []{}", newline(self.text));
            let rest = if key == "resources" { empty } else { String::new() };
            return Ok(vec![Edit::new(whole, Zeroizing::new(rest))]);
        }
        let mut places = places.to_vec();
        places.sort_unstable();
        places.dedup();
        let mut edits = Vec::new();
        for place in places {
            let item = &all[place];
            let indent = self.dash(item)?;
            let mut start = line_start(self.text, item.start);
            // A comment above the first item may be about the whole list.
            while place > 0 && start > 0 {
                let above = line_start(self.text, start - 1);
                let line = &self.text[above..start];
                let blanks = line.len() - line.trim_start_matches(' ').len();
                if blanks != indent || !line.trim_start().starts_with('#') {
                    break;
                }
                start = above;
            }
            edits.push(Edit::new(start..next_line(self.text, item.end), Zeroizing::default()));
        }
        Ok(edits)
    }

    /// The entry at `path`, with lines of its own.
    fn entry(&self, path: &[&str]) -> Result<&Entry, Refusal> {
        let (last, parents) = path.split_last().ok_or(NO_KEY)?;
        let mut entries = self.root.block_entries().ok_or(FLOW)?;
        for key in parents {
            let entry = tree::find(entries, key)?.ok_or(NO_KEY)?;
            entries = entry.value.block_entries().ok_or(FLOW)?;
        }
        let entry = tree::find(entries, last)?.ok_or(NO_KEY)?;
        self.indent(entry)?;
        Ok(entry)
    }

    fn grafting(&self, path: &[&str], from: &Document, entry: &Entry) -> Result<Vec<Edit>, Refusal> {
        let mut entries = self.root.block_entries().ok_or(FLOW)?;
        for (depth, key) in path.iter().enumerate() {
            let Some(found) = tree::find(entries, key)? else {
                let last = entries.last().ok_or(BEYOND)?;
                let lines = self.grafted(&path[depth..], self.indent(last)?, from, entry)?;
                return Ok(vec![self.insert_after(last.value.end, &lines)]);
            };
            if depth + 1 == path.len() {
                return Err("it has the key already");
            }
            match &found.value.value {
                Value::Map { entries: inner, flow: false } => entries = inner,
                // `components: {}`, or nothing behind the colon.
                _ if found.value.is_null() || found.value.is_empty_map() => {
                    let colon = self.colon(found)?;
                    let old = &self.text[colon + 1..found.value.end];
                    if old.contains(['\n', '#']) {
                        return Err(BEYOND);
                    }
                    let indent = self.indent(found)? + self.step();
                    let lines = self.grafted(&path[depth + 1..], indent, from, entry)?;
                    let mut edits = vec![self.insert_after(found.value.end, &lines)];
                    if !old.is_empty() {
                        edits.insert(0, Edit::new(colon + 1..found.value.end, Zeroizing::default()));
                    }
                    return Ok(edits);
                }
                _ => return Err(FLOW),
            }
        }
        Err(NO_KEY)
    }

    /// The lines of `entry`, which is of `from`, as the last key of `path`, below the others.
    fn grafted(
        &self,
        path: &[&str],
        indent: usize,
        from: &Document,
        entry: &Entry,
    ) -> Result<String, Refusal> {
        let mut lines = String::new();
        let (last, parents) = path.split_last().ok_or(NO_KEY)?;
        for (depth, key) in parents.iter().enumerate() {
            let blanks = " ".repeat(indent + depth * self.step());
            lines.push_str(&format!("{blanks}{}:{}", scalar(key), newline(self.text)));
        }
        let (indent, old) = (indent + parents.len() * self.step(), from.indent(entry)?);
        let end = line_end(from.text, entry.value.end);
        lines.push_str(&" ".repeat(indent));
        lines.push_str(&scalar(last));
        for (at, line) in from.text[entry.key.end..end].lines().enumerate() {
            if at == 0 {
                lines.push_str(line);
                continue;
            }
            let blanks = line.len() - line.trim_start_matches(' ').len();
            lines.push_str(newline(self.text));
            if !line.trim().is_empty() {
                lines.push_str(&" ".repeat((indent + blanks).saturating_sub(old)));
            }
            lines.push_str(line.trim_start_matches(' '));
        }
        Ok(lines)
    }
}

impl Node {
    /// What stands at `path`, whose numbers count the items of lists.
    fn step(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, step| match &node.value {
            Value::List(items) => items.get(step.parse::<usize>().ok()?),
            _ => Some(&tree::find(node.entries(), step).ok()??.value),
        })
    }

    /// Whether `other` means the same but for the value at `path`, which both have.
    fn differs_only_below(&self, other: &Self, path: &[&str]) -> bool {
        let Some((step, rest)) = path.split_first() else { return true };
        match (&self.value, &other.value) {
            (Value::List(one), Value::List(two)) => {
                let place = step.parse::<usize>().ok();
                one.len() == two.len()
                    && one.iter().zip(two).enumerate().all(|(at, (one, two))| match Some(at) == place {
                        true => one.differs_only_below(two, rest),
                        false => one.means(two),
                    })
            }
            (Value::Map { entries: one, .. }, Value::Map { entries: two, .. }) => {
                one.len() == two.len()
                    && one.iter().zip(two).all(|(one, two)| {
                        one.key.means(&two.key)
                            && match one.key.scalar() == Some(step) {
                                true => one.value.differs_only_below(&two.value, rest),
                                false => one.value.means(&two.value),
                            }
                    })
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KUSTOMIZATION: &str = "\
resources:
  - ../../base  # shared
  # ours
  - ../../../secrets/kubernetes
labels:
- pairs: {a: b, 'makeinfra/environment': production} # ours
replicas:
  - name: hello
    count: 2
";

    #[test]
    fn replaces_values_in_lists() {
        for (path, value, old, new) in [
            (&["resources", "1"][..], "../x", "- ../../../secrets/kubernetes\n", "- ../x\n"),
            (
                &["labels", "0", "pairs", "makeinfra/environment"],
                "true",
                ": production} # ours",
                ": \"true\"} # ours",
            ),
        ] {
            assert_eq!(*replace(KUSTOMIZATION, path, value).unwrap(), KUSTOMIZATION.replace(old, new));
        }
        let count = replace_literal(KUSTOMIZATION, &["replicas", "0", "count"], "3").unwrap();
        assert_eq!(*count, KUSTOMIZATION.replace("count: 2", "count: 3"));
        for path in [&["resources"][..], &["resources", "2"], &["images", "0"], &["labels", "0", "pairs"]] {
            assert!(replace(KUSTOMIZATION, path, "x").is_err(), "{path:?}");
        }
    }

    #[test]
    fn removes_items_with_the_comments_above_them() {
        let without = "resources:\n  - ../../base  # shared\nlabels:";
        let removed = remove_items(KUSTOMIZATION, "resources", &[1]).unwrap();
        assert!(removed.starts_with(without), "{}", *removed);
        let emptied = remove_items(KUSTOMIZATION, "resources", &[1, 0]).unwrap();
        assert!(emptied.starts_with("resources: []\nlabels:"), "{}", *emptied);
        let gone = remove_items(KUSTOMIZATION, "replicas", &[0]).unwrap();
        assert!(gone.ends_with("# ours\n") && !gone.contains("replicas"), "{}", *gone);
        assert!(remove_items("a: [b, c]\nd: e\n", "a", &[0]).is_err());
        assert!(remove_items(KUSTOMIZATION, "images", &[0]).is_err());
        let crlf = remove_items("a:\r\n- b\r\n# of c\r\n- c\r\n- d\r\n", "a", &[1]).unwrap();
        assert_eq!(*crlf, "a:\r\n- b\r\n- d\r\n");
    }

    #[test]
    fn grafts_entries_with_their_comments() {
        let record = "a:\n  environments:\n    one:\n      # why\n      x: 1  # here\n      y: z\n    # end\n";
        let copied =
            graft(record, &["a", "environments", "two"], record, &["a", "environments", "one"]).unwrap();
        let new = "    two:\n      # why\n      x: 1  # here\n      y: z\n";
        assert_eq!(*copied, record.replace("    # end\n", &format!("{new}    # end\n")));
        let path = &["b", "c", "one"];
        let other = graft("b:\r\n    k: v\r\n", path, record, &["a", "environments", "one"]).unwrap();
        assert_eq!(
            *other,
            "b:\r\n    k: v\r\n    c:\r\n        one:\r\n          # why\r\n          x: 1  # here\r\n          y: z\r\n"
        );
        let empty = graft("b: {}\n", path, record, &["a", "environments", "one"]).unwrap();
        assert!(empty.starts_with("b:\n  c:\n    one:\n"), "{}", *empty);
        assert!(graft(record, &["a", "environments", "one"], record, &["a", "environments", "one"]).is_err());
        assert!(graft(record, &["x"], record, &["a", "none"]).is_err());
    }
}
