//! A resource while kustomizations transform it, with its earlier names.

use super::is_cluster_wide;
use crate::yaml_path::{kind, text};
use serde_yaml::{Mapping, Value};

/// The namespace of an object without one, in kustomize's comparisons.
pub(super) const DEFAULT: &str = "default";

/// An object and its origin.
#[derive(Clone)]
pub(super) struct Resource {
    /// The file that contains it.
    pub(super) file: String,
    pub(super) value: Value,
    /// Earlier names, each with its namespace.
    was: Vec<(String, String)>,
    /// The prefixes and suffixes that were added, in order.
    pub(super) affixes: Vec<String>,
    /// How it was generated; `None` if it was not.
    pub(super) generated: Option<Generated>,
}

impl Resource {
    pub(super) fn new(file: impl Into<String>, value: Value) -> Self {
        Self { file: file.into(), value, was: Vec::new(), affixes: Vec::new(), generated: None }
    }

    pub(super) fn name(&self) -> &str {
        text(&self.value, &["metadata", "name"]).unwrap_or_default()
    }

    /// The name before any prefix or suffix.
    pub(super) fn written_name(&self) -> &str {
        self.was.first().map_or_else(|| self.name(), |(name, _)| name)
    }

    pub(super) fn namespace(&self) -> &str {
        let namespace =
            text(&self.value, &["metadata", "namespace"]).filter(|text| !text.is_empty());
        namespace.unwrap_or(DEFAULT)
    }

    /// The current and earlier names, with their namespaces.
    pub(super) fn identities(&self) -> impl Iterator<Item = (&str, &str)> {
        let before = self.was.iter().map(|(name, namespace)| (name.as_str(), namespace.as_str()));
        std::iter::once((self.name(), self.namespace())).chain(before)
    }

    /// Whether it has, or had, the name `name`.
    pub(super) fn was_called(&self, name: &str) -> bool {
        self.identities().any(|(other, _)| other == name)
    }

    fn metadata(&mut self) -> Option<&mut Mapping> {
        let before = (self.name().to_owned(), self.namespace().to_owned());
        let metadata = self.value.as_mapping_mut()?.entry("metadata".into()).or_insert(Value::Null);
        if metadata.is_null() {
            *metadata = Value::Mapping(Mapping::new());
        }
        if !self.was.contains(&before) {
            self.was.push(before);
        }
        metadata.as_mapping_mut()
    }

    pub(super) fn set_namespace(&mut self, namespace: &str) {
        if kind(&self.value).is_none_or(is_cluster_wide) {
            return;
        }
        if let Some(metadata) = self.metadata() {
            metadata.insert("namespace".into(), namespace.into());
        }
    }

    /// Adds a prefix and a suffix to the name, except for the kinds whose names kustomize leaves
    /// alone.
    pub(super) fn affix(&mut self, prefix: &str, suffix: &str) {
        const LEFT: [&str; 3] = ["CustomResourceDefinition", "APIService", "Namespace"];
        if prefix.is_empty() && suffix.is_empty()
            || kind(&self.value).is_none_or(|kind| LEFT.contains(&kind))
        {
            return;
        }
        let name = format!("{prefix}{}{suffix}", self.name());
        if self.name().is_empty() {
            return;
        }
        self.affixes.push(format!("{prefix}/{suffix}"));
        if let Some(metadata) = self.metadata() {
            metadata.insert("name".into(), name.into());
        }
    }

    /// Adds labels or annotations.
    pub(super) fn add_pairs(&mut self, field: &str, pairs: &Mapping) {
        let Some(metadata) = self.value.get_mut("metadata").and_then(Value::as_mapping_mut) else {
            return;
        };
        let found = metadata.entry(field.into()).or_insert(Value::Null);
        if found.is_null() {
            *found = Value::Mapping(Mapping::new());
        }
        if let Some(found) = found.as_mapping_mut() {
            found.extend(pairs.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
    }
}

/// The inputs of a generated Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// The type; `Opaque` by default.
    pub kind: String,
    /// The keys, each with its file below the top of the repository or its text; `None` if the
    /// input is elsewhere.
    pub inputs: Vec<(String, Option<Input>)>,
    /// Whether kustomize appends a hash to the name, so that only the same build can reference it.
    pub is_hashed: bool,
}

impl Generated {
    /// Whether the file `path` is one of its inputs.
    #[must_use]
    pub fn is_made_of(&self, path: &str) -> bool {
        self.inputs
            .iter()
            .any(|(_, input)| matches!(input, Some(Input::File(file)) if file == path))
    }
}

/// The input for a key of a generated Secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Input {
    /// A file.
    File(String),
    /// A text in the kustomization.
    Literal(String),
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Literal(_) => f.write_str("Literal"),
        }
    }
}
