//! JSON as Go's `encoding/json` decodes it into structs, which is what the kubelet and docker do:
//! Go 1.26, `decode.go` and `fold.go`. Repeated names count, field names match case-insensitively,
//! and bytes that are not UTF-8 become U+FFFD.
//!
//! Measured against the kubelet's own code: `tests/vectors/docker-configs.json`. Never quotes
//! its input.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use zeroize::Zeroizing;

/// A name and its value, as written.
pub struct Member {
    /// The name.
    pub name: String,
    /// The value: JSON without surrounding whitespace.
    pub value: Zeroizing<String>,
}

/// A value where a string is expected.
pub enum Text {
    /// `null`, for which Go leaves the previous value unchanged.
    Null,
    /// A string.
    Of(Zeroizing<String>),
    /// Anything else, for which Go refuses the whole document.
    Other,
}

/// The document in `bytes` as Go sees it: invalid UTF-8 and unpaired surrogates become U+FFFD.
#[must_use]
pub fn document(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 3));
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|_| text.push('\u{fffd}'));
    }
    with_whole_surrogates(&text)
}

/// `text` with each escape of an unpaired surrogate replaced by `
/// ufffd`.
fn with_whole_surrogates(text: &str) -> Zeroizing<String> {
    let unit = |rest: &str| -> Option<u16> {
        let digits = rest.strip_prefix("\\u")?.get(..4)?;
        if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            u16::from_str_radix(digits, 16).ok()
        } else {
            None
        }
    };
    let mut whole = Zeroizing::new(String::with_capacity(text.len()));
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        whole.push_str(&rest[..at]);
        rest = &rest[at..];
        let taken = match (unit(rest), rest.get(6..).and_then(unit)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                whole.push_str("\\ufffd");
                rest = &rest[6..];
                continue;
            }
            // Skips the next character, so that `
            // ` counts as one escape.
            _ => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
        };
        whole.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    whole.push_str(rest);
    whole
}

/// The members of the object `text`, in order and including repeated ones; `None` if it is not an
/// object.
#[must_use]
pub fn members(text: &str) -> Option<Vec<Member>> {
    serde_json::from_str::<Members>(text).ok().map(|members| members.0)
}

/// Whether Go accepts all numbers in the document `text`: the API server decodes every value,
/// including those that nothing uses.
#[must_use]
pub fn has_sound_numbers(text: &str) -> bool {
    serde_json::from_str::<Sound>(text).is_ok()
}

/// The string that `value` encodes.
#[must_use]
pub fn text(value: &str) -> Text {
    match value {
        "null" => Text::Null,
        _ if value.starts_with('"') => serde_json::from_str(value)
            .map_or(Text::Other, |text: String| Text::Of(Zeroizing::new(text))),
        _ => Text::Other,
    }
}

/// Whether Go decodes the name `name` into the field `wanted`, given in lower case. `fold.go` also
/// folds two non-ASCII letters.
#[must_use]
pub fn is_field(name: &str, wanted: &str) -> bool {
    let folded = name.chars().map(|c| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    });
    folded.eq(wanted.chars())
}

/// The string in the field `wanted` of `members`: the last one that is not `null`, empty if there
/// is none. `None` if one is not a string.
#[must_use]
pub fn field(members: &[Member], wanted: &str) -> Option<Zeroizing<String>> {
    let mut found = Zeroizing::new(String::new());
    for member in members.iter().filter(|member| is_field(&member.name, wanted)) {
        match text(&member.value) {
            Text::Null => {}
            Text::Of(text) => found = text,
            Text::Other => return None,
        }
    }
    Some(found)
}

/// `value` without insignificant whitespace.
#[must_use]
pub fn compact(value: &str) -> Zeroizing<String> {
    let mut compact = Zeroizing::new(String::with_capacity(value.len()));
    let (mut in_text, mut escaped) = (false, false);
    for c in value.chars() {
        if in_text || !matches!(c, ' ' | '\t' | '\r' | '\n') {
            compact.push(c);
        }
        in_text ^= c == '"' && !escaped;
        escaped = in_text && c == '\\' && !escaped;
    }
    compact
}

struct Members(Vec<Member>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    members.push(Member { name, value: Zeroizing::new(value.get().to_owned()) });
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

/// Any valid value, which is discarded; a number out of range is invalid.
struct Sound;

impl<'de> Deserialize<'de> for Sound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Sound {
    type Value = Self;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_is_repeated_in_its_order() {
        let found = members(r#" {"a": {"b" : 1}, "A":null,"a":"x\"y"} "#).unwrap();
        let pairs: Vec<_> =
            found.iter().map(|member| (member.name.as_str(), member.value.as_str())).collect();
        assert_eq!(pairs, [("a", r#"{"b" : 1}"#), ("A", "null"), ("a", r#""x\"y""#)]);
        for text in ["", "null", "[]", "{", "{}x", "\u{feff}{}", r#"{"a":01}"#, "{\"a\":\"\t\"}"] {
            assert!(members(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn makes_of_bytes_and_escapes_what_go_makes_of_them() {
        let read = |bytes: &[u8]| document(bytes).to_string();
        assert_eq!(read(b"\"a\xffb\xe2\x82\""), "\"a\u{fffd}b\u{fffd}\u{fffd}\"");
        assert_eq!(
            read(br#""\ud83d\ude00 \ud800 \ude00\u0041 \\ud800""#),
            r#""\ud83d\ude00 \ufffd \ufffd\u0041 \\ud800""#
        );
        assert_eq!(read(br#""\ud800\u12"#), r#""\ufffd\u12"#);
    }

    #[test]
    fn a_field_is_found_in_any_case_and_the_last_text_counts() {
        let found = members(r#"{"Auth":"a","AUTH":"b","auth":null,"u\u017fername":"c"}"#).unwrap();
        assert_eq!(field(&found, "auth").unwrap().as_str(), "b");
        assert_eq!(field(&found, "username").unwrap().as_str(), "c");
        assert!(field(&members(r#"{"auth":7}"#).unwrap(), "auth").is_none());
    }

    #[test]
    fn blanks_inside_a_text_stay() {
        assert_eq!(compact("{ \"a b\\\" c\" :\n[1, 2 ] }").as_str(), "{\"a b\\\" c\":[1,2]}");
        assert_eq!(compact(r#"{ "a\\" : " x" }"#).as_str(), r#"{"a\\":" x"}"#);
    }
}
