//! Answers by name: shared by options, the answers file, the config file and `.makeinfra.yaml`.

use super::{Answer, Arguments, Name, Rule};
use crate::yaml;
use std::collections::BTreeMap;

/// Answers as text; `None` is the answer "none".
pub type Values = BTreeMap<Name, Option<String>>;

/// Why values are not valid answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// A required value is missing.
    Missing(Name),
    /// A value breaks a rule.
    Broken(Name, Rule),
    /// A value is not possible next to another answer.
    Unfit(Name, Rule),
    /// A value requires another answer: its name, and its value if only one is possible.
    Alone(Name, Name, Option<&'static str>),
}

impl Refused {
    /// The answer at fault, and the message about it. `title` formats a name.
    #[must_use]
    pub fn explained(&self, title: impl Fn(Name) -> String) -> (Name, String) {
        match *self {
            Self::Missing(name) => (name, "is missing".to_owned()),
            Self::Broken(name, rule) | Self::Unfit(name, rule) => (name, rule.to_owned()),
            Self::Alone(name, other, None) => (name, format!("requires `{}`", title(other))),
            Self::Alone(name, other, Some(value)) => {
                (name, format!("requires `{}` to be `{value}`", title(other)))
            }
        }
    }
}

/// The value called `name`; `None` if there is none.
pub fn given<A: Answer>(values: &Values, name: Name) -> Result<Option<A>, Refused> {
    match values.get(&name) {
        Some(Some(text)) => A::parse(text).map(Some).map_err(|rule| Refused::Broken(name, rule)),
        Some(None) if !name.is_optional() => Err(Refused::Broken(name, "must have a value")),
        _ => Ok(None),
    }
}

pub(super) fn needed<A: Answer>(values: &Values, name: Name) -> Result<A, Refused> {
    given(values, name)?.ok_or(Refused::Missing(name))
}

/// Why an answers file is invalid.
#[derive(Debug, PartialEq, Eq)]
pub enum FileFault {
    /// Not YAML, or not a mapping, from this line and column on (from 1).
    NotAMapping(Option<(usize, usize)>),
    /// Nested too deeply.
    Depth,
    /// An unknown name; only contained if it looks like a name.
    Unknown(Option<String>),
    /// A value of the wrong type, or one that breaks a rule.
    Value(Name, Rule),
    /// Not a valid section.
    Section(Rule),
    /// The name of a section's entry breaks a rule.
    EntryName(Rule),
    /// A repeated name.
    Twice,
    /// A fault within a section, and within the entry of this name if it is about one.
    In(&'static str, Option<String>, Box<FileFault>),
}

/// Parses the YAML in `text`, which may begin with a byte order mark.
pub fn from_yaml(text: &str) -> Result<serde_yaml::Value, FileFault> {
    yaml::read(text).map_err(|fault| match fault {
        yaml::YamlError::Twice(_) => FileFault::Twice,
        yaml::YamlError::Syntax(place) => FileFault::NotAMapping(place),
        yaml::YamlError::Depth => FileFault::Depth,
    })
}

/// The answers in the mapping `value`, with the names `allowed`.
///
/// Errors never quote a value: a token may have landed in the file.
pub fn from_mapping(value: serde_yaml::Value, allowed: &[Name]) -> Result<Values, FileFault> {
    use serde_yaml::Value;
    let mapping = match value {
        Value::Mapping(mapping) => mapping,
        Value::Null => return Ok(Values::new()),
        _ => return Err(FileFault::NotAMapping(None)),
    };
    let mut values = Values::new();
    for (key, value) in mapping {
        let key = key.as_str().unwrap_or_default();
        let Some(name) = allowed.iter().copied().find(|name| name.as_str() == key) else {
            return Err(FileFault::Unknown(name_like(key)));
        };
        values.insert(name, text_of(name, value).map_err(|rule| FileFault::Value(name, rule))?);
    }
    Ok(values)
}

/// A scalar as text. Numbers are only accepted where a number is expected: `1e3` as a name would
/// become 1000.
fn text_of(name: Name, value: serde_yaml::Value) -> Result<Option<String>, Rule> {
    use serde_yaml::Value;
    let number = matches!(name, Name::Port | Name::Replicas);
    match value {
        Value::String(text) => Ok(name.typed(text)),
        Value::Number(value) if number => Ok(Some(value.to_string())),
        Value::Bool(value) if name.is_switch() => Ok(Some(if value { "yes" } else { "no" }.into())),
        // The path of the file is not recorded.
        Value::Bool(true) if name == Name::Config => Ok(Some("yes".into())),
        Value::Sequence(items) if name == Name::Args => {
            let texts = items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect::<Option<Vec<_>>>();
            texts
                .map(|texts| Some(Arguments::text(&texts)))
                .ok_or("must be a list of strings: put numbers in quotes")
        }
        Value::Null if name.is_optional() => Ok(None),
        _ if name == Name::Args => Err("must be a list of strings"),
        _ if number => Err("must be a whole number"),
        _ if name.is_switch() => Err("must be yes or no"),
        Value::Bool(_) | Value::Number(_) => Err("must be a string: put it in quotes"),
        _ => Err("must be a string"),
    }
}

/// `key` if it can be shown: it has the form and the length of a name.
fn name_like(key: &str) -> Option<String> {
    let letters = key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-' || byte == b'_');
    (letters && (1..=24).contains(&key.len())).then(|| key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Values, FileFault> {
        from_mapping(from_yaml(text)?, &Name::ALL)
    }

    #[test]
    fn faults_in_a_file_never_quote_it() {
        let fault = |text: &str| read(text).unwrap_err();
        assert_eq!(fault("imge: a/b:1"), FileFault::Unknown(Some("imge".into())));
        assert_eq!(fault("gldt-Ab1: x"), FileFault::Unknown(None));
        assert_eq!(fault("- project"), FileFault::NotAMapping(None));
        assert!(matches!(fault("a: [\n"), FileFault::NotAMapping(Some(_))));
        assert!(matches!(fault("namespace: 123"), FileFault::Value(Name::Namespace, _)));
        assert!(matches!(fault("port: [1]"), FileFault::Value(Name::Port, _)));
        assert!(matches!(fault("namespace: ~"), FileFault::Value(Name::Namespace, _)));
        assert_eq!(read("ingress: ~").unwrap()[&Name::Ingress], None);
    }

    #[test]
    fn every_example_is_accepted() {
        for name in Name::ALL {
            assert_eq!(name.check(name.example()), Ok(()), "{name:?}");
            for choice in name.choices() {
                assert_eq!(name.check(choice), Ok(()), "{name:?} {choice}");
            }
            assert!(name.choices().is_empty() || name.choices().contains(&name.example()));
        }
    }
}
