//! `environment.mk`, the file in an overlay that the Makefile includes: lines `NAME := value`, in
//! which the value is the rest of the line. Pure.

use std::ops::Range;

/// The variables of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// The namespace.
    Namespace,
    /// The kubectl context; empty for the current one.
    Context,
    /// `yes` if `make` asks before it changes anything.
    Protected,
    /// The directory of the environment's Secrets.
    Secrets,
}

impl Setting {
    /// The name of the variable.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Namespace => "NAMESPACE",
            Self::Context => "CONTEXT",
            Self::Protected => "PROTECTED",
            Self::Secrets => "SECRETS",
        }
    }

    /// The value in `text`, the last one as in make; `None` if it is not set, or only make could
    /// evaluate it.
    #[must_use]
    pub fn of(self, text: &str) -> Option<&str> {
        self.range(text).map(|at| text[at].trim()).filter(|value| !value.contains('$'))
    }

    /// `text` with another value, unchanged otherwise; `None` if the variable is not set.
    #[must_use]
    pub fn set(self, text: &str, value: &str) -> Option<String> {
        let at = self.range(text)?;
        let held = &text[at.clone()];
        let gap = if value.is_empty() { "" } else { " " };
        // A carriage return at the end of the line stays.
        let end = if held.ends_with('\r') { "\r" } else { "" };
        Some(format!("{}{gap}{value}{end}{}", &text[..at.start], &text[at.end..]))
    }

    /// The range of everything after the operator.
    fn range(self, text: &str) -> Option<Range<usize>> {
        let mut start = 0;
        let mut found = None;
        for line in text.split_inclusive('\n') {
            let bare = line.strip_suffix('\n').unwrap_or(line);
            if let Some(value) = self.value(bare) {
                found = Some(start + bare.len() - value.len()..start + bare.len());
            }
            start += line.len();
        }
        found
    }

    /// The text after the operator; `None` unless `line` sets the variable.
    fn value(self, line: &str) -> Option<&str> {
        let rest = line.strip_prefix(self.as_str())?.trim_start_matches([' ', '\t']);
        ["::=", ":=", "="].iter().find_map(|operator| rest.strip_prefix(operator))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# plain\nNAMESPACE := hello\nCONTEXT   :=\nPROTECTED := yes\n\
                        SECRETS   := secrets/kubernetes\n";

    #[test]
    fn values_are_the_rest_of_their_lines() {
        assert_eq!(Setting::Namespace.of(TEXT), Some("hello"));
        assert_eq!(Setting::Context.of(TEXT), Some(""));
        assert_eq!(Setting::Secrets.of(TEXT), Some("secrets/kubernetes"));
        assert_eq!(Setting::Context.of("CONTEXT = a\nCONTEXT := b\n"), Some("b"));
        assert_eq!(Setting::Context.of("CONTEXT := $(x)\n"), None);
        assert_eq!(Setting::Context.of("CONTEXTS := a\n"), None);
    }

    #[test]
    fn another_value_changes_nothing_else() {
        let changed = Setting::Context.set(TEXT, "live").unwrap();
        assert_eq!(changed, TEXT.replace("CONTEXT   :=", "CONTEXT   := live"));
        assert_eq!(Setting::Context.set(&changed, "").unwrap(), TEXT);
        assert_eq!(
            Setting::Namespace.set("NAMESPACE:=a\r\nX=1\r\n", "b").unwrap(),
            "NAMESPACE:= b\r\nX=1\r\n"
        );
        assert_eq!(Setting::Namespace.set("X=1\n", "b"), None);
    }
}
