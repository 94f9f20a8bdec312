//! The targets of a patch.
//!
//! Source: kustomize v5, `api/types/selector.go` and `api/resmap/reswrangler.go`: regular
//! expressions that match whole names, including earlier ones, and Kubernetes' label selectors.

use super::resource::Resource;
use crate::yaml_path::{at, text};
use serde_yaml::Value;

/// A target.
#[derive(Default)]
pub(super) struct Selector {
    group: Option<Pattern>,
    version: Option<Pattern>,
    kind: Option<Pattern>,
    name: Option<Pattern>,
    namespace: Option<Pattern>,
    labels: Vec<Requirement>,
    annotations: Vec<Requirement>,
    /// The kind, as written.
    pub(super) written_kind: Option<String>,
}

/// A regular expression, limited to what is used in practice: letters, `.`, `.*` and `|`.
struct Pattern(Vec<Vec<Part>>);

enum Part {
    One(char),
    Any,
    Many,
}

/// A part of a label selector.
struct Requirement {
    key: String,
    /// `None` for any value.
    value: Option<String>,
    is_wanted: bool,
}

impl Selector {
    /// Parses a target; `None` if it selects in unsupported ways.
    pub(super) fn of(value: &Value) -> Option<Self> {
        let mut selector = Self::default();
        for (key, value) in value.as_mapping()? {
            if value.is_null() {
                continue;
            }
            let value = value.as_str()?;
            match key.as_str()? {
                "group" => selector.group = Some(Pattern::of(value)?),
                "version" => selector.version = Some(Pattern::of(value)?),
                "kind" => {
                    selector.kind = Some(Pattern::of(value)?);
                    selector.written_kind = Some(value.to_owned());
                }
                "name" => selector.name = Some(Pattern::of(value)?),
                "namespace" => selector.namespace = Some(Pattern::of(value)?),
                "labelSelector" => selector.labels = requirements(value)?,
                "annotationSelector" => selector.annotations = requirements(value)?,
                _ => return None,
            }
        }
        Some(selector)
    }

    pub(super) fn takes(&self, resource: &Resource) -> bool {
        let is = |pattern: &Option<Pattern>, text: &str| {
            pattern.as_ref().is_none_or(|pattern| pattern.matches(text))
        };
        let (group, version) = group_version(&resource.value);
        let meets = |requirements: &[Requirement], field: &str| {
            let found = at(&resource.value, &["metadata", field]);
            requirements.iter().all(|one| one.meets(found))
        };
        is(&self.group, group)
            && is(&self.version, version)
            && is(&self.kind, text(&resource.value, &["kind"]).unwrap_or_default())
            && resource
                .identities()
                .any(|(name, namespace)| is(&self.name, name) && is(&self.namespace, namespace))
            && meets(&self.labels, "labels")
            && meets(&self.annotations, "annotations")
    }
}

/// The group (empty for the core) and the version in `apiVersion`.
pub(super) fn group_version(value: &Value) -> (&str, &str) {
    let written = text(value, &["apiVersion"]).unwrap_or_default();
    written.split_once('/').unwrap_or(("", written))
}

impl Pattern {
    /// Parses an expression; `None` if it is not supported. An empty one matches everything.
    fn of(text: &str) -> Option<Self> {
        let text = if text.is_empty() { ".*" } else { text };
        let text = text.strip_prefix('^').unwrap_or(text);
        let text = text.strip_suffix('$').unwrap_or(text);
        text.split('|').map(parts).collect::<Option<Vec<_>>>().map(Self)
    }

    fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        self.0.iter().any(|parts| matches(parts, &text))
    }
}

fn parts(text: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        parts.push(match c {
            '.' if rest.next_if_eq(&'*').is_some() => Part::Many,
            '.' => Part::Any,
            '\\' => Part::One(rest.next().filter(|c| !c.is_ascii_alphanumeric())?),
            '(' | ')' | '[' | ']' | '{' | '}' | '*' | '+' | '?' | '^' | '$' => return None,
            c => Part::One(c),
        });
        if matches!(rest.peek(), Some('*' | '+' | '?' | '{')) {
            return None;
        }
    }
    Some(parts)
}

/// Whether `parts` match all of `text`. On a mismatch, backtracks to the last `.*` and lets it take
/// one more character.
fn matches(parts: &[Part], text: &[char]) -> bool {
    let (mut part, mut at) = (0, 0);
    let mut retry = None;
    loop {
        match (parts.get(part), text.get(at)) {
            (Some(Part::Many), _) => {
                part += 1;
                retry = Some((part, at));
            }
            (Some(Part::Any), Some(_)) => (part, at) = (part + 1, at + 1),
            (Some(Part::One(wanted)), Some(c)) if wanted == c => (part, at) = (part + 1, at + 1),
            (None, None) => return true,
            _ => match retry {
                Some((after, from)) if from < text.len() => {
                    (part, at) = (after, from + 1);
                    retry = Some((after, from + 1));
                }
                _ => return false,
            },
        }
    }
}

/// The parts of a label selector; `None` if it has sets (`in`, `notin`).
fn requirements(text: &str) -> Option<Vec<Requirement>> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let split = |mark: &str| {
                let (key, value) = part.split_once(mark)?;
                Some((key.trim().to_owned(), Some(value.trim().to_owned())))
            };
            let (is_wanted, (key, value)) = if let Some(found) = split("!=") {
                (false, found)
            } else if let Some(found) = split("==").or_else(|| split("=")) {
                (true, found)
            } else if let Some(key) = part.strip_prefix('!') {
                (false, (key.to_owned(), None))
            } else {
                (true, (part.to_owned(), None))
            };
            let plain =
                |text: &str| !text.contains(char::is_whitespace) && !text.contains(['(', ')']);
            (plain(&key) && value.as_deref().is_none_or(plain)).then_some(Requirement {
                key,
                value,
                is_wanted,
            })
        })
        .collect()
}

impl Requirement {
    fn meets(&self, found: Option<&Value>) -> bool {
        let found = found.and_then(|found| found.get(self.key.as_str())).and_then(Value::as_str);
        let is_so = match &self.value {
            Some(value) => found == Some(value.as_str()),
            None => found.is_some(),
        };
        is_so == self.is_wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_for_the_whole_name() {
        for (pattern, name, is_match) in [
            ("web", "web", true),
            ("web", "web-2", false),
            ("web.*", "web-2", true),
            (".*-2", "web-2", true),
            (".*", "", true),
            ("^web$", "web", true),
            ("a|web|b", "web", true),
            ("w.b", "web", true),
            ("w.*b.*c", "wxbbyc", true),
            ("w.*b.*c", "wxbby", false),
            ("a\\.b", "a.b", true),
            ("a\\.b", "axb", false),
            ("", "anything", true),
        ] {
            let found = Pattern::of(pattern).unwrap().matches(name);
            assert_eq!(found, is_match, "{pattern} {name}");
        }
        for pattern in ["(a|b)", "a+", "[ab]", "a*", "a?", ".+", "\\d", "a{2}", ".{2}"] {
            assert!(Pattern::of(pattern).is_none(), "{pattern}");
        }
    }

    #[test]
    fn label_selectors_are_kubernetes_own() {
        let labels: Value = serde_yaml::from_str("{a: b, c: ''}").unwrap();
        for (selector, is_met) in [
            ("a=b", true),
            ("a == b, c", true),
            ("a!=b", false),
            ("x!=b", true),
            ("!x", true),
            ("!a", false),
            ("x", false),
            ("", true),
        ] {
            let found = requirements(selector).unwrap().iter().all(|one| one.meets(Some(&labels)));
            assert_eq!(found, is_met, "{selector}");
        }
        assert!(requirements("a in (b, c)").is_none());
    }
}
