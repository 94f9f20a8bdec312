//! Writes a string as a YAML scalar that every reader parses as that string: readers of YAML 1.1
//! (kubectl's Go, Ruby, `PyYAML`, libyaml) and 1.2, in block and in flow style.

use std::fmt::Write;

/// Words that some reader parses as null, a boolean or a number, in any case (YAML 1.1,
/// `yaml.org/type`).
const WORDS: [&str; 16] = [
    "null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf", "infinity", ".nan",
    ".inf", "nil", "none",
];

/// `value` as a scalar on one line: plain if that is safe, otherwise in double quotes, escaped as
/// in JSON.
#[must_use]
pub fn scalar(value: &str) -> String {
    if is_plain(value) {
        return value.to_owned();
    }
    // Allocated large enough, so that no partial copy stays behind in memory.
    let mut quoted = String::with_capacity(value.len() * 6 + 2);
    quoted.push('"');
    for char in value.chars() {
        match char {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            _ if is_printable(char) => quoted.push(char),
            // Characters that YAML cannot print have at most four hexadecimal digits.
            _ => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(char));
            }
        }
    }
    quoted.push('"');
    quoted
}

/// Whether every reader parses the unquoted `value` as a string. `false` proves nothing.
pub(super) fn is_plain(value: &str) -> bool {
    let bytes = value.as_bytes();
    let inside = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./+=@: ".contains(byte);
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    let begins = first.is_ascii_alphanumeric() || matches!(first, b'/' | b'.');
    let ends = !matches!(last, b':' | b' ');
    let word = WORDS.iter().any(|word| value.eq_ignore_ascii_case(word));
    // Digits, hexadecimal digits, and the separators in integers, floats, sexagesimals and
    // timestamps.
    let in_number = |byte: &u8| byte.is_ascii_hexdigit() || b"xXoOpP_.:+-tTzZ ".contains(byte);
    let number = !first.is_ascii_alphabetic() && *first != b'/' && bytes.iter().all(in_number);
    begins && ends && !word && !number && bytes.iter().all(inside) && !value.contains(": ")
}

/// Whether `char` may appear in the document unescaped: printable in YAML 1.1 and 1.2, not a line
/// break for any reader, and neither invisible nor reordering for humans.
fn is_printable(char: char) -> bool {
    let printable =
        matches!(char, ' '..='~' | '\u{a1}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    let invisible = matches!(char, '\u{ad}' | '\u{61c}' | '\u{feff}');
    let hidden =
        matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}');
    printable && !invisible && !hidden
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn writes_plain_what_is_plainly_a_string() {
        for plain in [
            "gitlab",
            "registry.gitlab.com/group/project:1.0.0",
            "127.0.0.1:5000/app",
            ".dockercfg",
            "100m",
            "64Mi",
            "kubernetes.io/dockercfg",
            "makeinfra/expires-at",
            "/healthz",
            "eyJhIjoiYiJ9Cg==",
            "a b",
            "a@b.c",
            "120s",
            "gitlab+deploy-token-1",
            "yes-no",
            "nullable",
            "e3",
            "5050a/g",
        ] {
            assert_eq!(scalar(plain), plain);
        }
    }

    #[test]
    fn quotes_what_a_reader_could_take_for_something_else() {
        for quoted in [
            "",
            " ",
            "a ",
            " a",
            "null",
            "Null",
            "~",
            "true",
            "TRUE",
            "yes",
            "No",
            "on",
            "OFF",
            "y",
            "N",
            ".nan",
            ".Inf",
            "0",
            "-1",
            "+1",
            "1e3",
            "1.5e+3",
            "0x1f",
            "0X1F",
            "0o17",
            "017",
            "0b101",
            "1_000",
            "12:30",
            "190:20:30",
            "190:20:30.15",
            ".5",
            "5.",
            ".",
            "..",
            "...",
            "---",
            "-",
            "- a",
            "-a",
            "?",
            "? a",
            ":",
            ": a",
            "a: b",
            "a:",
            "a #b",
            "#a",
            "2027-12-31",
            "2001-12-14t21:59:43.10-05:00",
            "2001-12-14 21:59:43",
            "1.0.0",
            "1.27",
            "=",
            "<<",
            "!a",
            "&a",
            "*a",
            "|",
            ">",
            "'a",
            "%a",
            "@a",
            "`a",
            "{a",
            "}",
            "[a",
            "]",
            "a,b",
            "_1",
            ".e+5",
            "+.inf",
            "0x1p-2",
            "12e03",
            "1e-5",
        ] {
            assert_eq!(scalar(quoted), format!("\"{quoted}\""));
        }
    }

    #[test]
    fn escapes_as_json_does() {
        assert_eq!(scalar("a\"b\\c\n\r\t"), r#""a\"b\\c\n\r\t""#);
        assert_eq!(
            scalar("\0\u{1b}\u{7f}\u{85}\u{2028}\u{feff}\u{202e}"),
            r#""\u0000\u001b\u007f\u0085\u2028\ufeff\u202e""#
        );
        assert_eq!(scalar("käse ☃ 🦀"), "\"käse ☃ 🦀\"");
    }

    fn reads_back(value: &str) -> Result<(), TestCaseError> {
        let written = scalar(value);
        for document in [
            format!("k: {written}\n"),
            format!("{written}: v\n"),
            format!("- {written} # c\n"),
            format!("k: [{written}, {{{written}: {written}}}]\n"),
            format!("k:\n  {written}\n"),
        ] {
            let read: serde_yaml::Value = serde_yaml::from_str(&document).unwrap();
            let strings = strings(&read);
            prop_assert!(
                strings.iter().filter(|string| *string == value).count() > 0,
                "{document}"
            );
            prop_assert!(strings.iter().all(|s| s == value || s == "k" || s == "v"), "{document}");
        }
        Ok(())
    }

    /// All scalars; those that are not strings, in a form that no string in the test has.
    fn strings(value: &serde_yaml::Value) -> Vec<String> {
        use serde_yaml::Value;
        match value {
            Value::String(text) => vec![text.clone()],
            Value::Sequence(items) => items.iter().flat_map(strings).collect(),
            Value::Mapping(map) => map
                .iter()
                .flat_map(|(key, value)| [strings(key), strings(value)].concat())
                .collect(),
            other => vec![format!("not a string: {other:?}")],
        }
    }

    proptest! {
        #[test]
        fn any_string_reads_back(value in "\\PC{0,20}|(?s:.{0,20})") {
            reads_back(&value)?;
        }

        #[test]
        fn any_string_of_specials_reads_back(
            value in "[-?:,\\[\\]{}#&*!|>'\"%@` .~=<+/_0-9a-fxoTZnyYN\n\t\\\\]{0,8}",
        ) {
            reads_back(&value)?;
        }

        #[test]
        fn any_word_reads_back(
            index in 0..WORDS.len(),
            upper in any::<u16>(),
            tail in "[ .:0-9]{0,2}",
        ) {
            let case = |(at, c): (usize, char)| match upper >> at & 1 {
                1 => c.to_ascii_uppercase(),
                _ => c,
            };
            let word: String = WORDS[index].chars().enumerate().map(case).collect();
            reads_back(&word)?;
            reads_back(&format!("{word}{tail}"))?;
        }
    }
}
