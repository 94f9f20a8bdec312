//! Lines of an attribute file, parsed as git parses them (`gitattributes(5)`, git's attr.c). Pure.

use super::pattern::Pattern;

/// Git ignores longer lines (attr.h, `ATTR_MAX_LINE_LENGTH`).
const LONG: usize = 2048;
/// Prefix of a macro definition.
const MACRO: &[u8] = b"[attr]";

/// The state that a line gives an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// `name`
    Set,
    /// `-name`
    Unset,
    /// `!name`: as if no line had set it.
    Unspecified,
    /// `name=value`
    Value(Vec<u8>),
}

/// Attributes and their states, in the order of the line.
pub(super) type States = Vec<(Vec<u8>, State)>;

/// What a line applies to.
#[derive(Debug)]
pub(super) enum Line {
    /// Files that match a pattern.
    Files(Pattern, States),
    /// The macro of this name, which expands to other attributes.
    Macro(Vec<u8>, States),
}

impl Line {
    /// Whether git ignores the line since 2.44 because of a reserved attribute name (attr.c,
    /// `attr_name_reserved`). Older versions read it.
    pub(super) fn is_reserved(&self) -> bool {
        let is_own = |name: &[u8]| name.starts_with(b"builtin_");
        match self {
            Self::Files(_, states) => states.iter().any(|(name, _)| is_own(name)),
            Self::Macro(name, states) => {
                is_own(name) || states.iter().any(|(name, _)| is_own(name))
            }
        }
    }
}

/// Where an attribute file was read from: git parses files and blobs differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// From the disk: a NUL ends a line, and a byte order mark is skipped.
    Disk,
    /// From the index: a NUL ends the file.
    Index,
}

/// The effective lines of a file. Macro definitions are only accepted if `macros`.
pub(super) fn read(bytes: &[u8], origin: Origin, macros: bool, folds: bool) -> Vec<Line> {
    let bytes = match origin {
        Origin::Disk => bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes),
        Origin::Index => until(bytes, 0),
    };
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').map(|line| match origin {
        Origin::Disk => line.strip_suffix(b"\r\n").unwrap_or(line),
        Origin::Index => line,
    });
    let lines = lines.map(|line| until(line.strip_suffix(b"\n").unwrap_or(line), 0));
    lines.filter_map(|line| parse(line, macros, folds)).collect()
}

/// The bytes before the first `end`.
fn until(bytes: &[u8], end: u8) -> &[u8] {
    bytes.split(|byte| *byte == end).next().unwrap_or_default()
}

fn parse(line: &[u8], macros: bool, folds: bool) -> Option<Line> {
    let text = trim(line);
    if text.is_empty() || text.starts_with(b"#") || line.len() >= LONG {
        return None;
    }
    let (name, states) = unquote(text).unwrap_or_else(|| {
        let (word, rest) = word(text);
        (word.to_owned(), rest)
    });
    let is_macro = name.len() > MACRO.len() && name.starts_with(MACRO);
    // An escaped NUL ends the pattern.
    let name = until(&name, 0);
    if is_macro && !macros {
        return None;
    }
    let defined = word(trim(name.get(MACRO.len()..).unwrap_or_default())).0;
    if is_macro && !is_name(defined) {
        return None;
    }
    let states = parse_states(trim(states))?;
    if is_macro {
        Some(Line::Macro(defined.to_owned(), states))
    } else {
        Some(Line::Files(Pattern::parse(name, folds)?, states))
    }
}

/// The states of a line; `None` if it is malformed, which makes git ignore the line.
fn parse_states(mut text: &[u8]) -> Option<States> {
    let mut states = States::new();
    while !text.is_empty() {
        let (item, rest) = word(text);
        let (sign, item) = match item {
            [sign @ (b'-' | b'!'), item @ ..] => (Some(*sign), item),
            item => (None, item),
        };
        let equals = item.iter().position(|byte| *byte == b'=');
        let (name, value) =
            (&item[..equals.unwrap_or(item.len())], equals.map(|at| &item[at + 1..]));
        if !is_name(name) {
            return None;
        }
        let state = match (sign, value) {
            (Some(b'-'), _) => State::Unset,
            (Some(_), _) => State::Unspecified,
            (None, Some(value)) => State::Value(value.to_owned()),
            (None, None) => State::Set,
        };
        states.push((name.to_owned(), state));
        text = trim(rest);
    }
    Some(states)
}

fn is_blank(byte: u8) -> bool {
    b" \t\r\n".contains(&byte)
}

/// `text` without leading blanks.
fn trim(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|byte| is_blank(**byte)).count();
    &text[blanks..]
}

/// The first word of `text` and the rest.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|byte| is_blank(*byte)).unwrap_or(text.len()))
}

/// Whether git accepts `name` as an attribute name.
fn is_name(name: &[u8]) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
    !name.is_empty() && name[0] != b'-' && name.iter().all(is_letter)
}

/// A C-quoted pattern and the rest of the line; `None` if it is not quoted or malformed.
fn unquote(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut rest = text.strip_prefix(b"\"")?;
    let mut plain = Vec::new();
    loop {
        let (byte, after) = rest.split_first()?;
        rest = after;
        match byte {
            b'"' => return Some((plain, rest)),
            b'\\' => {
                let (escape, after) = rest.split_first()?;
                rest = after;
                plain.push(match escape {
                    b'a' => 7,
                    b'b' => 8,
                    b't' => b'\t',
                    b'n' => b'\n',
                    b'v' => 11,
                    b'f' => 12,
                    b'r' => b'\r',
                    b'\\' | b'"' => *escape,
                    b'0'..=b'3' => {
                        let (digits, after) = rest.split_at_checked(2)?;
                        rest = after;
                        digits.iter().try_fold(escape - b'0', |number, digit| match digit {
                            b'0'..=b'7' => Some(number << 3 | (digit - b'0')),
                            _ => None,
                        })?
                    }
                    _ => return None,
                });
            }
            byte => plain.push(*byte),
        }
    }
}
