//! Files taken apart into YAML documents.

use super::{Fault, FaultKind, kind};
use crate::work_tree::Content;
use serde::Deserialize;
use serde_yaml::{Deserializer, Value};
use std::collections::BTreeMap;

/// Files by their path below the top of the repository, those that were looked for and not found among them.
pub type Files = BTreeMap<String, Content>;

/// Deeper than anything that somebody writes, and shallow enough for the parser.
const MAX_DEPTH: usize = 500;

/// The documents of all files that hold any.
pub(super) struct Documents {
    files: BTreeMap<String, Vec<Value>>,
    faults: Vec<Fault>,
}

impl Documents {
    pub(super) fn parse(files: &Files) -> Self {
        Self::parse_only(files, |_| true)
    }

    /// The documents of those files whose path is `wanted`.
    pub(super) fn parse_only(files: &Files, wanted: impl Fn(&str) -> bool) -> Self {
        let mut parsed = Self { files: BTreeMap::new(), faults: Vec::new() };
        for (path, content) in files.iter().filter(|(path, _)| wanted(path)) {
            let (kind, message) = match content {
                Content::Absent => continue,
                Content::Unread(why) => (FaultKind::Parse, (*why).to_owned()),
                Content::Locked => {
                    (FaultKind::Locked, "it is locked: what is in it was not checked".to_owned())
                }
                Content::Bytes(bytes) => match documents(bytes) {
                    Ok(values) => {
                        parsed.files.insert(path.clone(), values);
                        continue;
                    }
                    Err(place) => (FaultKind::Parse, place),
                },
            };
            parsed.faults.push(Fault { path: path.clone(), kind, message });
        }
        parsed
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &[Value])> {
        self.files.iter().map(|(path, values)| (path.as_str(), values.as_slice()))
    }

    pub(super) fn of(&self, path: &str) -> Option<&[Value]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// Whether there is such a file, read or not.
    pub(super) fn exists(&self, path: &str) -> bool {
        self.files.contains_key(path) || self.faults.iter().any(|fault| fault.path == path)
    }

    pub(super) fn faults(&self) -> impl Iterator<Item = Fault> {
        self.faults.iter().cloned()
    }
}

/// The documents of a file that are mappings; a `List` is what it lists. The error is the place, since
/// the parser's own words quote the text.
pub fn documents(bytes: &[u8]) -> Result<Vec<Value>, String> {
    let place = |error: &serde_yaml::Error| match error.location() {
        Some(at) => format!("it is not YAML from line {}, column {} on", at.line(), at.column()),
        None => "it is not YAML".to_owned(),
    };
    if flow_depth(bytes) > MAX_DEPTH {
        return Err("it is nested too deeply".into());
    }
    let mut found = Vec::new();
    for document in Deserializer::from_slice(bytes) {
        let mut value = Value::deserialize(document).map_err(|error| place(&error))?;
        value.apply_merge().map_err(|error| place(&error))?;
        match value.get_mut("items").and_then(Value::as_sequence_mut) {
            Some(items) if is_list(items) => found.append(items),
            _ => found.push(value),
        }
    }
    found.retain(Value::is_mapping);
    Ok(found)
}

/// How deep `[` and `{` are nested at most, not counting those within a word, nor what closes within the quotes of a
/// line. The parser's time grows with the square of it, long before the parser says that it is too much.
fn flow_depth(bytes: &[u8]) -> usize {
    let (mut depth, mut most, mut before) = (0_usize, 0, b' ');
    for line in bytes.split(|byte| *byte == b'\n') {
        let mut quoted_to = 0;
        for (at, byte) in line.iter().enumerate() {
            match byte {
                b'"' | b'\'' if at >= quoted_to => {
                    let end = line[at + 1..].iter().position(|other| other == byte);
                    quoted_to = end.map_or(quoted_to, |end| at + 1 + end + 1);
                }
                b'[' | b'{' if b" \t\r\n[{,:-?".contains(&before) => depth += 1,
                b']' | b'}' if at >= quoted_to => depth = depth.saturating_sub(1),
                _ => {}
            }
            most = most.max(depth);
            before = *byte;
        }
        before = b'\n';
    }
    most
}

/// Whether `items` are those of a `kind: List`: objects with a kind each.
fn is_list(items: &[Value]) -> bool {
    !items.is_empty() && items.iter().all(|item| kind(item).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_take_for_ever_is_refused_and_what_only_looks_so_is_not() {
        for deep in ["[".repeat(2000), "[\"]\",".repeat(2000), "{'}': ".repeat(2000), "- [\n".repeat(2000)] {
            assert!(documents(format!("a: {deep}\n").as_bytes()).is_err(), "{}", &deep[..8]);
        }
        let flat = "- {a: \"]\", b: [it's, 'x]'], c: {d: '{'}}\n".repeat(2000);
        assert!(documents(flat.as_bytes()).is_ok());
    }
}
