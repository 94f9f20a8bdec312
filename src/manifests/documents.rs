//! Files taken apart into YAML documents.

use super::{Fault, FaultKind, kind};
use crate::work_tree::Content;
use serde::Deserialize;
use serde_yaml::{Deserializer, Value};
use std::collections::BTreeMap;

/// Files by their path below the top of the repository, those that were looked for and not found among them.
pub type Files = BTreeMap<String, Content>;

/// The documents of all files that hold any.
pub(super) struct Documents {
    files: BTreeMap<String, Vec<Value>>,
    faults: Vec<(String, String)>,
}

impl Documents {
    pub(super) fn parse(files: &Files) -> Self {
        Self::parse_only(files, |_| true)
    }

    /// The documents of those files whose path is `wanted`.
    pub(super) fn parse_only(files: &Files, wanted: impl Fn(&str) -> bool) -> Self {
        let mut documents = Self { files: BTreeMap::new(), faults: Vec::new() };
        for (path, content) in files.iter().filter(|(path, _)| wanted(path)) {
            let fault = match content {
                Content::Absent => continue,
                Content::Unread(why) => (*why).to_owned(),
                Content::Locked => "it is locked: encrypted, and this clone is not unlocked".to_owned(),
                Content::Bytes(bytes) => match documents_of(bytes) {
                    Ok(values) => {
                        documents.files.insert(path.clone(), values);
                        continue;
                    }
                    Err(place) => place,
                },
            };
            documents.faults.push((path.clone(), fault));
        }
        documents
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &[Value])> {
        self.files.iter().map(|(path, values)| (path.as_str(), values.as_slice()))
    }

    pub(super) fn of(&self, path: &str) -> Option<&[Value]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// Whether there is such a file, read or not.
    pub(super) fn exists(&self, path: &str) -> bool {
        self.files.contains_key(path) || self.faults.iter().any(|(faulty, _)| faulty == path)
    }

    pub(super) fn faults(&self) -> impl Iterator<Item = Fault> {
        self.faults.iter().map(|(path, message)| Fault {
            path: path.clone(),
            kind: FaultKind::Parse,
            message: message.clone(),
        })
    }
}

/// The documents of a file that are mappings; a `List` is what it lists. The error is the place, since
/// the parser's own words quote the text.
pub(super) fn documents_of(bytes: &[u8]) -> Result<Vec<Value>, String> {
    let place = |error: &serde_yaml::Error| match error.location() {
        Some(at) => format!("it is not YAML from line {}, column {} on", at.line(), at.column()),
        None => "it is not YAML".to_owned(),
    };
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

/// Whether `items` are those of a `kind: List`: objects with a kind each.
fn is_list(items: &[Value]) -> bool {
    !items.is_empty() && items.iter().all(|item| kind(item).is_some())
}
