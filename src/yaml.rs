//! Parses YAML to values: the only module that calls the parsers, behind a guard against deep
//! nesting.
//!
//! libyaml takes time quadratic in the nesting of `[` and `{`, and only then reports that it is too
//! deep. Errors never quote the text, which may contain a token. Pure.

use saphyr_parser::{Event, Parser, StrInput};
use serde::de::DeserializeOwned;
use serde_yaml::{Deserializer, Value};
use std::fmt;

/// Maximum depth, above that of any real file. The parser of values stops at 128.
const DEEPEST: usize = 100;
/// Up to this number, brackets are parsed quickly even if nested.
const FEW: usize = 2_000;

/// Why a text could not be parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum YamlError {
    /// It is not YAML, or does not have the expected form, from this line and column on (from 1).
    Syntax(Option<(usize, usize)>),
    /// A mapping has a repeated key.
    Twice(Option<(usize, usize)>),
    /// It is nested too deeply.
    Depth,
}

/// A sentence about "it".
impl fmt::Display for YamlError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Syntax(Some((line, column))) => {
                write!(f, "invalid YAML at line {line}, column {column}")
            }
            Self::Syntax(None) => f.write_str("not valid YAML"),
            Self::Twice(Some((line, _))) => {
                write!(f, "a mapping has a key twice, near line {line}")
            }
            Self::Twice(None) => f.write_str("a mapping has a key twice"),
            Self::Depth => f.write_str("it is nested too deeply"),
        }
    }
}

impl From<serde_yaml::Error> for YamlError {
    fn from(error: serde_yaml::Error) -> Self {
        let place = error.location().map(|place| (place.line(), place.column()));
        // The parser reports it in no other way.
        if error.to_string().contains("duplicate entry") {
            Self::Twice(place)
        } else {
            Self::Syntax(place)
        }
    }
}

/// Parses the only document of `text`, which may begin with a byte order mark.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    let text = without_mark(text);
    guard(text)?;
    Ok(serde_yaml::from_str(text)?)
}

/// Parses all documents of `text`, which may begin with a byte order mark, and applies merge keys
/// (`<<`).
pub fn read_all(text: &str) -> Result<Vec<Value>, YamlError> {
    let text = without_mark(text);
    guard(text)?;
    let mut all = Vec::new();
    for document in Deserializer::from_str(text) {
        let mut value: Value = serde::Deserialize::deserialize(document)?;
        value.apply_merge()?;
        all.push(value);
    }
    Ok(all)
}

/// The events of `text`. Their parser is fast, and accepts at most 255 nested brackets.
#[must_use]
pub fn events(text: &str) -> Parser<'_, StrInput<'_>> {
    Parser::new_from_str(text)
}

/// libyaml counts the byte order mark as a column of the first line, so that the second line would
/// begin another document.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn guard(text: &str) -> Result<(), YamlError> {
    if brackets(text) <= DEEPEST {
        return Ok(());
    }
    let mut depth = 0_usize;
    for event in events(text) {
        match event {
            Ok((Event::SequenceStart(..) | Event::MappingStart(..), _)) => depth += 1,
            Ok((Event::SequenceEnd | Event::MappingEnd, _)) => depth = depth.saturating_sub(1),
            Ok(_) => {}
            // The parsers differ here: the other one may accept the text.
            Err(error) => {
                let rest = text
                    .char_indices()
                    .nth(error.marker().index())
                    .map_or("", |(at, _)| &text[at..]);
                let many = brackets(rest) > FEW || depth > DEEPEST;
                return if many { Err(YamlError::Depth) } else { Ok(()) };
            }
        }
        if depth > DEEPEST {
            return Err(YamlError::Depth);
        }
    }
    Ok(())
}

fn brackets(text: &str) -> usize {
    text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    /// 160 KB of nesting, in different ways.
    fn deep() -> impl Iterator<Item = String> {
        let parts = [
            "[",
            "{",
            "[\n",
            "{a: ",
            "{\"a\":",
            "{? ",
            "[a,",
            "[\"]\",",
            "[\"\n]\n\",",
            "[ #]\n",
            "{'}': ",
            "- [\n",
            "- ",
            "? ",
            "&a [",
            "!t [",
            "'\n[",
            "@ [",
            "\t[",
            "\"[",
            "x: |\n [",
            "%a\n[",
        ];
        parts.into_iter().flat_map(|part| {
            let text = part.repeat(160_000 / part.len());
            [
                format!("a: {text}\n"),
                text.clone(),
                format!("'\n{text}"),
                format!("---\na: 1\n---\n{text}"),
            ]
        })
    }

    #[test]
    fn what_would_take_for_ever_is_refused_at_once() {
        for text in deep() {
            let begun = Instant::now();
            let read = read_all(&text);
            let start = &text[..20];
            assert!(begun.elapsed() < Duration::from_secs(3), "{start:?}: {:?}", begun.elapsed());
            // With closed quotes or a block scalar, the brackets are text and nothing is nested.
            assert!(read.is_err() || text.contains(['"', '\'', '|']), "{start:?}");
        }
        for text in
            ["[".repeat(160_000), "{a: ".repeat(40_000), format!("a: {}", "[\n".repeat(80_000))]
        {
            assert_eq!(read::<Value>(&text), Err(YamlError::Depth), "{:?}", &text[..20]);
        }
    }

    #[test]
    fn what_only_looks_deep_is_read() {
        let flat = "- {a: \"]\", b: [it's, 'x]'], c: {d: '{'}}\n".repeat(2000);
        let script = format!("a: |\n{}", "  if [ x = '[' ]; then { echo \"[[\"; }\n".repeat(2000));
        let json =
            format!("[{}]", "{\"a\": [{\"b\": {}}]},\n".repeat(2000).trim_end_matches(",\n"));
        for text in [flat, script, json] {
            assert!(read::<Value>(&text).is_ok() && read_all(&text).is_ok(), "{}", &text[..30]);
        }
    }

    #[test]
    fn a_byte_order_mark_is_not_a_part_of_the_first_line() {
        let text = "\u{feff}a: ä\nb: 1\n";
        assert_eq!(read::<Value>(text), read(&text[3..]));
        assert_eq!(read_all(text).unwrap(), read_all(&text[3..]).unwrap());
        assert!(read::<Value>(text).is_ok());
    }

    #[test]
    fn faults_tell_the_place_and_no_text() {
        for (text, fault) in [
            ("a: [Marker", "invalid YAML at line 2, column 1"),
            ("a: 1\na: Marker\n", "a mapping has a key twice, near line 1"),
            ("a: *Marker\n", "invalid YAML at line 1, column 4"),
        ] {
            assert_eq!(read::<Value>(text).unwrap_err().to_string(), fault, "{text}");
        }
    }
}
