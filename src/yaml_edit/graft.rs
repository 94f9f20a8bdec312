//! Replaces values inside lists, and copies entries from other documents.

use super::lines::{Edit, line_end, newline};
use super::lists::{Step, is_same_but};
use super::tree::{self, Entry, Node, Value};
use super::{BEYOND, Document, Edited, FLOW, NO_KEY, Refusal, edit, scalar};
use zeroize::Zeroizing;

/// Replaces the scalar at `path`, which may lead through lists. Refuses if there is no value.
pub fn replace(text: &str, path: &[Step], value: &str) -> Edited {
    replace_with(text, path, value, &scalar(value))
}

/// Like [`replace`], for a number or a boolean as YAML spells it.
pub fn replace_literal(text: &str, path: &[Step], literal: &str) -> Edited {
    replace_with(text, path, literal, literal)
}

fn replace_with(text: &str, path: &[Step], value: &str, written: &str) -> Edited {
    let is_right =
        |_: Option<&Node>, after: Option<&Node>| after.and_then(Node::scalar) == Some(value);
    edit(
        text,
        |document| {
            let node = document.node(path).ok_or(NO_KEY)?;
            let Value::Scalar { text: old, .. } = &node.value else {
                return Err("it has a list or keys instead of a single value");
            };
            if old.as_str() == value {
                return Ok(Vec::new());
            }
            // Without a value, the result does not parse as expected and is refused, too.
            if node.is_block_scalar() {
                return Err(BEYOND);
            }
            Ok(vec![Edit::new(node.start..node.end, Zeroizing::new(written.to_owned()))])
        },
        |before, after| is_same_but(before, after, path, &is_right),
    )
}

/// `text` with the entry at `source` of `from` added as `path`: at the end of its mapping, creating
/// missing parents. Refuses if `path` exists.
pub fn graft(text: &str, path: &[&str], from: &str, source: &[&str]) -> Edited {
    let from = Document::parse(from)?;
    let entry = from.entry(source)?;
    edit(
        text,
        |document| document.grafting(path, &from, entry),
        |before, after| is_grafted(before, after, path, &entry.value),
    )
}

pub(super) fn is_grafted(before: &Node, after: &Node, path: &[&str], value: &Node) -> bool {
    after.at(path).is_some_and(|node| node.means(value)) && before.differs_only_at(after, path)
}

impl Document<'_> {
    /// The entry at `path`, which must have lines of its own.
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

    fn grafting(
        &self,
        path: &[&str],
        from: &Document,
        entry: &Entry,
    ) -> Result<Vec<Edit>, Refusal> {
        let mut entries = self.root.block_entries().ok_or(FLOW)?;
        for (depth, key) in path.iter().enumerate() {
            let Some(found) = tree::find(entries, key)? else {
                let last = entries.last().ok_or(BEYOND)?;
                let lines = self.grafted(&path[depth..], self.indent(last)?, from, entry)?;
                return Ok(vec![self.insert_after(last.value.end, &lines)]);
            };
            if depth + 1 == path.len() {
                return Err("the key already exists");
            }
            match &found.value.value {
                Value::Map { entries: inner, flow: false } => entries = inner,
                // `components: {}`, or nothing after the colon.
                _ if found.value.is_null() || found.value.is_empty_map() => {
                    let indent = self.indent(found)? + self.step();
                    let lines = self.grafted(&path[depth + 1..], indent, from, entry)?;
                    return self.putting_below(found, &lines);
                }
                _ => return Err(FLOW),
            }
        }
        Err(NO_KEY)
    }

    /// The lines of `entry` from the document `from`, as the last key of `path`, below the existing
    /// ones.
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
        use Step::{Item, Key};
        let label = [Key("labels"), Item(0), Key("pairs"), Key("makeinfra/environment")];
        for (path, value, old, new) in [
            (
                &[Key("resources"), Item(1)][..],
                "../x",
                "- ../../../secrets/kubernetes\n",
                "- ../x\n",
            ),
            (&label, "true", ": production} # ours", ": \"true\"} # ours"),
        ] {
            assert_eq!(
                *replace(KUSTOMIZATION, path, value).unwrap(),
                KUSTOMIZATION.replace(old, new)
            );
        }
        let count = [Key("replicas"), Item(0), Key("count")];
        let replaced = replace_literal(KUSTOMIZATION, &count, "3").unwrap();
        assert_eq!(*replaced, KUSTOMIZATION.replace("count: 2", "count: 3"));
        for text in ["a: |-\n  x\n", "a: >\n\n  x\n  z\n", "a: |\n", "a:\n", "a:  # c\n"] {
            assert!(replace(text, &[Key("a")], "y").is_err(), "{text}");
        }
        for path in [
            &[Key("resources")][..],
            &[Key("resources"), Item(2)],
            &[Key("images"), Item(0)],
            &[Key("labels"), Item(0), Key("pairs")],
        ] {
            assert!(replace(KUSTOMIZATION, path, "x").is_err(), "{path:?}");
        }
    }

    #[test]
    fn grafts_entries_with_their_comments() {
        let record = "a:\n  environments:\n    one:\n      # why\n      x: 1  # here\n      y: z\n    # end\n";
        let copied =
            graft(record, &["a", "environments", "two"], record, &["a", "environments", "one"])
                .unwrap();
        let new = "    two:\n      # why\n      x: 1  # here\n      y: z\n";
        assert_eq!(*copied, record.replace("    # end\n", &format!("{new}    # end\n")));
        let path = &["b", "c", "one"];
        let other =
            graft("b:\r\n    k: v\r\n", path, record, &["a", "environments", "one"]).unwrap();
        assert_eq!(
            *other,
            "b:\r\n    k: v\r\n    c:\r\n        one:\r\n          # why\r\n          x: 1  # here\r\n          y: z\r\n"
        );
        let deep = graft("b:\n    k: v\n", &["b", "c", "d", "e"], "e: 1\n", &["e"]).unwrap();
        assert_eq!(*deep, "b:\n    k: v\n    c:\n        d:\n            e: 1\n");
        let filled = graft("a:\n  b#: {}\n", &["a", "b#", "c"], "e: 1\n", &["e"]).unwrap();
        assert_eq!(*filled, "a:\n  b#:\n    c: 1\n");
        let empty = graft("b: {}\n", path, record, &["a", "environments", "one"]).unwrap();
        assert!(empty.starts_with("b:\n  c:\n    one:\n"), "{}", *empty);
        let there =
            graft(record, &["a", "environments", "one"], record, &["a", "environments", "one"]);
        assert_eq!(there.err(), Some("the key already exists"));
        assert!(graft(record, &["x"], record, &["a", "none"]).is_err());
        for text in ["b: x\n", "b: [x]\n", "b: {c: 1}\n", "b:\n  # here\n  {}\n"] {
            assert!(graft(text, &["b", "e"], "e: 1\n", &["e"]).is_err(), "{text}");
        }
    }
}
