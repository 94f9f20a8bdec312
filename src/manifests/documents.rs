//! Files split into YAML documents.

use super::foreign::{self, Foreign};
use super::{Fault, FaultKind, Files, is_in, kind};
use crate::work_tree::Content;
use crate::yaml;
use serde_yaml::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The documents of all files that have any.
pub(super) struct Documents {
    files: BTreeMap<String, Vec<Value>>,
    /// The files that contain a list, such as JSON patches.
    lists: BTreeMap<String, Value>,
    /// The files that were not read.
    unread: BTreeSet<String>,
    faults: Vec<Fault>,
}

impl Documents {
    pub(super) fn parse(files: &Files) -> Self {
        Self::parse_only(files, |_| true)
    }

    /// The documents of the files whose path is `wanted`.
    pub(super) fn parse_only(files: &Files, wanted: impl Fn(&str) -> bool) -> Self {
        let foreign = Foreign::among(files);
        let mut parsed = Self {
            files: BTreeMap::new(),
            lists: BTreeMap::new(),
            unread: BTreeSet::new(),
            faults: foreign.faults(),
        };
        for (path, content) in files.iter().filter(|(path, _)| wanted(path)) {
            let (kind, message) = match content {
                Content::Absent => continue,
                _ if foreign.has(path) => {
                    parsed.unread.insert(path.clone());
                    continue;
                }
                Content::Unread(why) => (FaultKind::Parse, (*why).to_owned()),
                Content::Locked => (FaultKind::Locked, "locked: content not checked".to_owned()),
                Content::Bytes(bytes) => match split(bytes) {
                    Ok((objects, list)) => {
                        parsed.files.insert(path.clone(), objects);
                        parsed.lists.extend(list.map(|list| (path.clone(), list)));
                        continue;
                    }
                    Err(_) if foreign::is_template(bytes) => {
                        (FaultKind::Unread, "a template: its output was not read".to_owned())
                    }
                    Err(place) => (FaultKind::Parse, place),
                },
            };
            parsed.unread.insert(path.clone());
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

    /// The whole content of a file, including lists; `None` if it was not read.
    pub(super) fn whole(&self, path: &str) -> Option<Vec<Value>> {
        match self.lists.get(path) {
            Some(list) => Some(vec![list.clone()]),
            None => self.of(path).map(<[Value]>::to_vec),
        }
    }

    /// Whether the file exists, read or not.
    pub(super) fn exists(&self, path: &str) -> bool {
        self.files.contains_key(path) || self.unread.contains(path)
    }

    /// The first file in the directory `dir` that was not read.
    pub(super) fn unread_in(&self, dir: &str) -> Option<&str> {
        self.unread.iter().find(|path| is_in(path, dir)).map(String::as_str)
    }

    pub(super) fn faults(&self) -> impl Iterator<Item = Fault> {
        self.faults.iter().cloned()
    }
}

/// The documents of a file that are mappings; a `List` is replaced by its items. The error is the
/// position, because the parser's own message quotes the text.
pub fn documents(bytes: &[u8]) -> Result<Vec<Value>, String> {
    split(bytes).map(|(objects, _)| objects)
}

/// Like [`documents`], and also returns the first document that is a list.
fn split(bytes: &[u8]) -> Result<(Vec<Value>, Option<Value>), String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8 text")?;
    let (mut found, mut list) = (Vec::new(), None);
    for mut value in parsed(text).map_err(|fault| fault.to_string())? {
        if value.is_sequence() {
            list = list.or(Some(value));
            continue;
        }
        match value.get_mut("items").and_then(Value::as_sequence_mut) {
            Some(items) if is_list(items) => found.append(items),
            _ => found.push(value),
        }
    }
    found.retain(Value::is_mapping);
    Ok((found, list))
}

/// Parses text that begins with a bracket as JSON, as kubectl does: unlike YAML, it allows tabs as
/// blanks.
fn parsed(text: &str) -> Result<Vec<Value>, yaml::YamlError> {
    if text.trim_start().starts_with(['{', '[']) {
        let json: Result<Vec<Value>, _> =
            serde_json::Deserializer::from_str(text).into_iter().collect();
        if let Ok(documents) = json {
            return Ok(documents);
        }
    }
    yaml::read_all(text)
}

/// Whether `items` are those of a `kind: List`: objects that each have a kind.
fn is_list(items: &[Value]) -> bool {
    !items.is_empty() && items.iter().all(|item| kind(item).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_read_with_its_tabs_and_a_list_as_what_it_lists() {
        for text in [
            "{\n\t\"kind\": \"A\",\n\t\"x\": 1\n}\n{\"kind\": \"B\"}",
            "\u{feff}{\"kind\": \"List\", \"items\": [{\"kind\": \"A\"}, {\"kind\": \"B\"}]}",
            "{kind: A} # not JSON\n---\n# nothing\n---\nkind: B\n",
        ] {
            let found = documents(text.as_bytes()).unwrap();
            assert_eq!(found.iter().filter_map(kind).collect::<Vec<_>>(), ["A", "B"], "{text}");
        }
        assert_eq!(documents(b"\xff\xfek\0").unwrap_err(), "not UTF-8 text");
    }
}
