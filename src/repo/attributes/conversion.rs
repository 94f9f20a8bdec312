//! Git's conversions of a file besides its filter (`convert_attrs` in git's convert.c), which
//! corrupt ciphertext.

use super::line::State;
use super::{Attributes, Directory, Stack};

/// Attributes that make git change ciphertext. `text=auto` does not: ciphertext always contains a
/// NUL.
const TEXT: &str = "text";
const EOL: &str = "eol";
const ENCODING: &str = "working-tree-encoding";

impl Attributes<'_> {
    /// The attribute that would make git alter the ciphertext of `path`; `None` if there is none.
    pub(in crate::repo) fn spoiled(&self, path: &str) -> Option<&'static str> {
        self.spoiled_with(path, None)
    }

    /// Like `spoiled`, with the attribute file of one directory replaced by `other`.
    pub(super) fn spoiled_with(
        &self,
        path: &str,
        other: Option<(&str, &Directory)>,
    ) -> Option<&'static str> {
        let [now, then] = self.stacks(path, other).map(|stack| stack.spoiled());
        now.or(then)
    }
}

impl Stack<'_> {
    fn spoiled(&self) -> Option<&'static str> {
        let state = |name: &str| self.state(name.as_bytes(), |_| true);
        spoiled(state(TEXT).into_iter().chain(state("crlf")), state(EOL), state(ENCODING))
    }
}

/// The attribute that spoils ciphertext. `text` has the states of `text` and of its old name
/// `crlf`.
fn spoiled<'s>(
    text: impl Iterator<Item = &'s State>,
    eol: Option<&State>,
    encoding: Option<&State>,
) -> Option<&'static str> {
    let is = |state: Option<&State>, values: &[&str]| match state {
        Some(State::Value(value)) => values.iter().any(|known| known.as_bytes() == value),
        _ => false,
    };
    // Any other value counts as unspecified.
    let decides = |state: &&State| match state {
        State::Set | State::Unset => true,
        State::Unspecified => false,
        State::Value(_) => is(Some(state), &["input", "auto"]),
    };
    let by_text = match text.into_iter().find(decides) {
        Some(State::Unset) => None,
        Some(state) if is(Some(state), &["auto"]) => None,
        Some(_) => Some(TEXT),
        None => is(eol, &["lf", "crlf"]).then_some(EOL),
    };
    // If the attribute is set without a value, git does not store the file at all.
    let is_utf8 =
        |value: &[u8]| value.eq_ignore_ascii_case(b"utf-8") || value.eq_ignore_ascii_case(b"utf8");
    let by_encoding = match encoding {
        None | Some(State::Unspecified) => None,
        Some(State::Value(value)) if value.is_empty() || is_utf8(value) => None,
        Some(_) => Some(ENCODING),
    };
    by_text.or(by_encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_ciphertext_is_known_as_git_knows_it() {
        let value = |text: &str| Some(State::Value(text.as_bytes().to_owned()));
        let (set, unset, unspecified) =
            (Some(State::Set), Some(State::Unset), Some(State::Unspecified));
        for (text, crlf, eol, encoding, expected) in [
            (None, None, None, None, None),
            (set.clone(), None, None, None, Some(TEXT)),
            (value("input"), None, None, None, Some(TEXT)),
            (value("auto"), None, value("crlf"), None, None),
            (value("other"), None, None, None, None),
            (value("other"), set.clone(), None, None, Some(TEXT)),
            (None, set.clone(), None, None, Some(TEXT)),
            (unset.clone(), set.clone(), value("lf"), None, None),
            (unspecified.clone(), None, value("lf"), None, Some(EOL)),
            (None, None, value("crlf"), None, Some(EOL)),
            (None, None, value("other"), None, None),
            (unset.clone(), None, None, value("UTF-16"), Some(ENCODING)),
            (unset.clone(), None, None, value("utf-8"), None),
            (unset.clone(), None, None, set, Some(ENCODING)),
            (unset, None, None, unspecified, None),
        ] {
            let found = spoiled(text.iter().chain(&crlf), eol.as_ref(), encoding.as_ref());
            assert_eq!(found, expected, "{text:?} {crlf:?} {eol:?} {encoding:?}");
        }
    }
}
