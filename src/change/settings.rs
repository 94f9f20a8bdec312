//! An overlay's `environment.mk`: values by line, as make reads them. Pure.

use super::Files;
use crate::answers::Environment;
use crate::error::Result;

/// What an `environment.mk` says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) namespace: Option<String>,
    pub(super) context: Option<String>,
    pub(super) protect: bool,
    pub(super) secrets: Option<String>,
}

impl Settings {
    /// Those of the overlay in `dir`; `None` if it has no such file.
    pub(super) fn read(files: &Files, dir: &str) -> Result<Option<Self>> {
        let text = files.text(&format!("{dir}/{}", Environment::SETTINGS))?;
        let get = |text: &str, name: &str| value(text, name).map(str::to_owned);
        Ok(text.map(|text| Self {
            namespace: get(text, "NAMESPACE"),
            context: get(text, "CONTEXT"),
            protect: value(text, "PROTECTED").is_some(),
            secrets: get(text, "SECRETS"),
        }))
    }
}

/// `text` with what `environment` has of its own.
pub(super) fn edited(text: &str, environment: &Environment) -> String {
    let context = environment.context.as_ref().map(ToString::to_string).unwrap_or_default();
    let values = [
        ("NAMESPACE", environment.namespace.as_str()),
        ("CONTEXT", &context),
        ("PROTECTED", if environment.protect { "yes" } else { "" }),
        ("SECRETS", &environment.secrets),
    ];
    let mut edited = text.to_owned();
    for (name, value) in values {
        edited = with(&edited, name, value);
    }
    edited
}

/// The value of the variable `name`; `None` if it is empty or not there. The last one counts.
fn value<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let found = text.lines().filter_map(|line| assigned(line, name).map(|at| line[at..].trim())).next_back();
    found.filter(|value| !value.is_empty())
}

/// `text` in which the variable `name` has `value`.
fn with(text: &str, name: &str, value: &str) -> String {
    let mut found = false;
    let mut edited: String = text
        .split_inclusive('\n')
        .map(|line| {
            let bare = line.trim_end_matches(['\n', '\r']);
            let Some(at) = assigned(bare, name) else { return line.to_owned() };
            found = true;
            let rest = &bare[at..];
            let blanks = &rest[..rest.len() - rest.trim_start().len()];
            let blanks = if rest.trim().is_empty() { " " } else { blanks };
            let value = if value.is_empty() { String::new() } else { format!("{blanks}{value}") };
            format!("{}{value}{}", &bare[..at], &line[bare.len()..])
        })
        .collect();
    if !found {
        let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
        if !edited.is_empty() && !edited.ends_with('\n') {
            edited.push_str(end);
        }
        edited.push_str(&format!("{name} := {value}").trim_end().to_owned());
        edited.push_str(end);
    }
    edited
}

/// Where the value begins, behind the `=`, if `line` assigns the variable `name`.
fn assigned(line: &str, name: &str) -> Option<usize> {
    let rest = line.strip_prefix(name)?;
    let operator = rest.trim_start();
    let sign = [":=", "?=", "="].into_iter().find(|sign| operator.starts_with(sign))?;
    Some(line.len() - operator.len() + sign.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_change_and_nothing_else() {
        let text = "# why\r\nNAMESPACE := hello\r\nCONTEXT   :=\r\nPROTECTED := yes\r\nNAMESPACES := x\r\n";
        assert_eq!((value(text, "NAMESPACE"), value(text, "CONTEXT")), (Some("hello"), None));
        let edited = with(&with(&with(text, "NAMESPACE", "qa"), "CONTEXT", "us"), "PROTECTED", "");
        assert_eq!(
            edited,
            "# why\r\nNAMESPACE := qa\r\nCONTEXT   := us\r\nPROTECTED :=\r\nNAMESPACES := x\r\n"
        );
        assert_eq!(with(&edited, "SECRETS", "secrets/x"), format!("{edited}SECRETS := secrets/x\r\n"));
        assert_eq!(with("A=b", "B", ""), "A=b\nB :=\n");
    }
}
