//! Options that can be given once for all environments and once for each: `VALUE` and `ENV=VALUE`.

use crate::answers::{Answer, EnvironmentName, Name, Sheet};
use crate::error::{Failure, Result};
use std::ffi::OsStr;

/// The parsed values of an option.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scoped<T> {
    /// For all environments without a value of their own.
    pub common: Option<T>,
    /// For single environments.
    pub own: Vec<(EnvironmentName, T)>,
}

impl<T: AsRef<OsStr> + From<String> + Clone> Scoped<T> {
    /// Parses the values of `option`. The text before a `=` is an environment if `is_one` says so.
    pub(super) fn read(
        option: &str,
        given: &[T],
        is_one: impl Fn(&EnvironmentName) -> bool,
    ) -> Result<Self> {
        let mut scoped = Self { common: None, own: Vec::new() };
        for text in given {
            let split = text.as_ref().to_str().and_then(|text| text.split_once('='));
            let own =
                split.and_then(|(name, value)| Some((EnvironmentName::parse(name).ok()?, value)));
            let twice = match own.filter(|(name, _)| is_one(name)) {
                Some((name, _)) if scoped.of(&name).is_some() => true,
                Some((name, value)) => {
                    scoped.own.push((name, value.to_owned().into()));
                    false
                }
                None => scoped.common.replace(text.clone()).is_some(),
            };
            if twice {
                return Err(Failure::usage(format!("`{option}` cannot be used more than once"))
                    .because("to give it for different environments, use ENV=VALUE")
                    .hint("omit one of them")
                    .into());
            }
        }
        Ok(scoped)
    }

    /// The environment `name`'s own value.
    pub(super) fn of(&self, name: &EnvironmentName) -> Option<&T> {
        self.own.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }
}

impl Scoped<String> {
    /// Puts the values into `sheet` as the answers `name`.
    pub(super) fn answer(self, name: Name, sheet: &mut Sheet) {
        if let Some(text) = self.common {
            sheet.values.insert(name, Some(text));
        }
        for (environment, text) in self.own {
            sheet.environment(&environment).insert(name, Some(text));
        }
    }
}

/// The names given for `option`, without duplicates.
pub(super) fn names(option: &str, texts: &[String]) -> Result<Vec<EnvironmentName>> {
    let mut names: Vec<EnvironmentName> = Vec::new();
    for text in texts {
        let name = EnvironmentName::parse(text).map_err(|rule| {
            Failure::usage(format!("`{option}` {rule}"))
                .hint(format!("{option} {}", EnvironmentName::EXAMPLE))
        })?;
        if names.contains(&name) {
            return Err(Failure::usage(format!("`{option}` names an environment twice"))
                .hint("omit one of them")
                .into());
        }
        names.push(name);
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Read = (Option<String>, Vec<(String, String)>);

    fn read(texts: &[&str]) -> Option<Read> {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        let scoped = Scoped::read("--x", &texts, |name| name.as_str() != "file").ok()?;
        let own =
            scoped.own.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
        Some((scoped.common, own))
    }

    #[test]
    fn what_stands_before_an_equals_sign_may_be_an_environment() {
        let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            read(&["a", "staging=b=c"]),
            Some((Some("a".into()), vec![own("staging", "b=c")]))
        );
        assert_eq!(read(&["./a=b"]), Some((Some("./a=b".into()), vec![])));
        assert_eq!(read(&["file=b"]), Some((Some("file=b".into()), vec![])));
        assert_eq!(read(&["a", "b"]), None);
        assert_eq!(read(&["a=1", "a=2"]), None);
    }
}
