//! An env file as kustomize reads it (kustomize `api/kv/kv.go`): `KEY=value` lines, in which
//! quotes, blanks and comments behind a value are part of it. Finds the lines that do not say what
//! they seem to say, by number and never by content.

use super::{Key, Value};
use std::collections::BTreeSet;
use zeroize::Zeroizing;

/// The longest line that kustomize reads (Go's `bufio.MaxScanTokenSize`, less the line break). It
/// drops a longer one and all that follow it, and exits with 0.
const MAX_LINE: usize = (64 << 10) - 1;
/// The longest value that is written to such a file, with room for a key.
const MAX_VALUE: usize = 60_000;
const BOM: &[u8] = b"\xef\xbb\xbf";

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trap {
    /// No `=`: kustomize makes a key of the whole line, with an empty value.
    NoEquals,
    /// A line of a PEM block, or one that goes on with the value of the line above.
    Continued,
    /// `export ` before the key.
    Export,
    /// Nothing before the `=`: kustomize skips the line.
    EmptyKey,
    /// A key that Kubernetes does not take.
    BadKey,
    /// A key of an earlier line: kustomize refuses the file.
    Repeated,
    /// More bytes than kustomize reads in a line.
    TooLong,
    /// Bytes that are not UTF-8: kustomize refuses the file, and prints the line.
    NotUtf8,
    /// Quotes around the value, which are a part of it.
    Quotes,
    /// Blanks before or behind the value, which are a part of it.
    Blanks,
    /// A byte order mark at the start of the file.
    ByteOrderMark,
    /// CRLF at the end of the line.
    CarriageReturn,
}

impl Trap {
    /// What is wrong, as a sentence about the line.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::NoEquals => {
                "it has no `=`: kustomize takes the whole line for a key with an empty value \
                 (`makeinfra secret set --from-file` stores values of several lines)"
            }
            Self::Continued => {
                "it continues the value of a line above: kustomize takes it for a key (`makeinfra \
                 secret set --from-file` stores values of several lines)"
            }
            Self::Export => "it begins with `export`, which becomes part of the key",
            Self::EmptyKey => "it has no key before the `=`: kustomize skips it",
            Self::BadKey => "its key may have letters, digits, `-`, `_` and `.` only",
            Self::Repeated => "its key was set in an earlier line: kustomize refuses the file",
            Self::TooLong => "it is longer than 64 KiB: kustomize drops it with every line below",
            Self::NotUtf8 => "it is not UTF-8: kustomize refuses the file and prints the line",
            Self::Quotes => "it has quotes around the value, which become part of the value",
            Self::Blanks => "it has blanks around the value, which become part of the value",
            Self::ByteOrderMark => "it begins with a byte order mark",
            Self::CarriageReturn => "it ends with CRLF, and not with LF alone",
        }
    }

    /// Whether kustomize does something else than the line seems to say; otherwise it may be meant.
    #[must_use]
    pub fn breaks(self) -> bool {
        !matches!(self, Self::Quotes | Self::Blanks | Self::ByteOrderMark | Self::CarriageReturn)
    }

    /// Whether nobody can tell what the key is.
    fn hides_key(self) -> bool {
        matches!(
            self,
            Self::NoEquals
                | Self::Continued
                | Self::Export
                | Self::EmptyKey
                | Self::BadKey
                | Self::NotUtf8
        )
    }
}

/// The content of an env file.
pub struct EnvFile<'t> {
    lines: Vec<Line<'t>>,
}

/// A line with its line break.
struct Line<'t> {
    raw: &'t [u8],
    /// `None` for a comment, an empty line, and one whose key nobody can tell.
    pair: Option<(&'t str, &'t [u8])>,
    traps: Vec<Trap>,
}

impl<'t> EnvFile<'t> {
    /// Takes `text` apart; every text is an env file.
    #[must_use]
    pub fn parse(text: &'t [u8]) -> Self {
        let mut lines: Vec<Line> = Vec::new();
        let (mut seen, mut in_pem) = (BTreeSet::new(), false);
        for raw in text.split_inclusive(|byte| *byte == b'\n') {
            let above_is_bad =
                lines.last().is_some_and(|line| line.traps.iter().any(|trap| trap.hides_key()));
            let mut line = Line::parse(raw, lines.is_empty());
            if (in_pem && !line.is_empty()) || (above_is_bad && line.looks_like_base64()) {
                line = Line { raw, pair: None, traps: vec![Trap::Continued] };
            }
            in_pem = (in_pem && !contains(raw, b"-----END ")) || opens_pem(raw);
            if let Some((key, _)) = line.pair
                && !seen.insert(key)
            {
                line.traps.push(Trap::Repeated);
            }
            lines.push(line);
        }
        Self { lines }
    }

    /// The lines that do not say what they seem to say, by their numbers from 1.
    pub fn traps(&self) -> impl Iterator<Item = (usize, Trap)> {
        let numbered = self.lines.iter().enumerate();
        numbered.flat_map(|(at, line)| line.traps.iter().map(move |trap| (at + 1, *trap)))
    }

    /// The keys, in their order: only what a `=` follows, since anything else may be a value.
    pub fn keys(&self) -> impl Iterator<Item = &'t str> {
        self.lines.iter().filter_map(|line| Some(line.pair?.0))
    }

    /// How many bytes the values have together.
    #[must_use]
    pub fn size(&self) -> usize {
        self.lines.iter().filter_map(|line| Some(line.pair?.1.len())).sum()
    }

    /// Whether it has the key.
    #[must_use]
    pub fn has(&self, key: &Key) -> bool {
        self.keys().any(|found| found == key.as_str())
    }

    /// Whether `value` is what it has under `key`.
    #[must_use]
    pub fn holds(&self, key: &Key, value: &Value) -> bool {
        let mut found = self
            .lines
            .iter()
            .filter_map(|line| line.pair)
            .filter(|(found, _)| *found == key.as_str());
        matches!((found.next(), found.next()), (Some((_, held)), None) if value.is(held))
    }

    /// The text with `value` under `key`: in the place of its line, or in a new last line. Of a key
    /// that stands several times one line stays.
    #[must_use]
    pub fn set(&self, key: &Key, value: &Value) -> Zeroizing<Vec<u8>> {
        let new = value.line(key);
        let mut text = self.buffer(new.len() + 1);
        let mut done = false;
        for line in &self.lines {
            let is_it = line.pair.is_some_and(|(found, _)| found == key.as_str());
            match (is_it, done) {
                (true, false) => {
                    text.extend_from_slice(&new);
                    done = true;
                }
                (true, true) => {}
                (false, _) => text.extend_from_slice(line.raw),
            }
        }
        if !done {
            if !text.is_empty() && !text.ends_with(b"\n") {
                text.push(b'\n');
            }
            text.extend_from_slice(&new);
        }
        text
    }

    /// The text without the lines of `key`; `None` if no other key is left, whatever comments there
    /// are.
    #[must_use]
    pub fn unset(&self, key: &Key) -> Option<Zeroizing<Vec<u8>>> {
        let is_it = |line: &&Line| line.pair.is_some_and(|(found, _)| found == key.as_str());
        // A line that nobody understands may hold what somebody still needs.
        let counts =
            |line: &Line| line.pair.is_some() || line.traps.iter().any(|trap| trap.hides_key());
        let mut text = self.buffer(0);
        let mut is_used = false;
        for line in self.lines.iter().filter(|line| !is_it(line)) {
            is_used |= counts(line);
            text.extend_from_slice(line.raw);
        }
        is_used.then_some(text)
    }

    /// Room for all lines and `more` bytes, so that no shorter copy stays behind in memory.
    fn buffer(&self, more: usize) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(Vec::with_capacity(
            self.lines.iter().map(|line| line.raw.len()).sum::<usize>() + more,
        ))
    }
}

impl<'t> Line<'t> {
    fn parse(raw: &'t [u8], is_first: bool) -> Self {
        let mut traps = Vec::new();
        let mut line = raw.strip_suffix(b"\n").unwrap_or(raw);
        if line.len() > MAX_LINE {
            traps.push(Trap::TooLong);
        }
        if let Some(rest) = line.strip_suffix(b"\r") {
            line = rest;
            traps.push(Trap::CarriageReturn);
        }
        if let Some(rest) = line.strip_prefix(BOM).filter(|_| is_first) {
            line = rest;
            traps.push(Trap::ByteOrderMark);
        }
        let Ok(text) = std::str::from_utf8(line) else {
            traps.push(Trap::NotUtf8);
            return Self { raw, pair: None, traps };
        };
        let text = text.trim_start();
        if text.is_empty() || text.starts_with('#') {
            return Self { raw, pair: None, traps };
        }
        let Some((key, value)) = text.split_once('=') else {
            traps.push(Trap::NoEquals);
            return Self { raw, pair: None, traps };
        };
        let trap = match key {
            "" => Some(Trap::EmptyKey),
            _ if key.starts_with("export ") || key.starts_with("export\t") => Some(Trap::Export),
            _ => Key::parse(key).err().map(|_| Trap::BadKey),
        };
        if let Some(trap) = trap {
            traps.push(trap);
            return Self { raw, pair: None, traps };
        }
        if value.trim() != value {
            traps.push(Trap::Blanks);
        }
        if is_quoted(value.trim()) {
            traps.push(Trap::Quotes);
        }
        Self { raw, pair: Some((key, value.as_bytes())), traps }
    }

    /// Whether there is nothing on it.
    fn is_empty(&self) -> bool {
        self.raw.trim_ascii().is_empty()
    }

    /// Whether it may be the last line of base64, whose padding looks like a key's `=`.
    fn looks_like_base64(&self) -> bool {
        self.pair.is_some_and(|(_, value)| value.is_empty() || value == b"=")
    }
}

impl Value {
    /// Whether a line of an env file can hold it as it is.
    #[must_use]
    pub fn fits_a_line(&self) -> bool {
        let text = self.text().filter(|text| text.len() <= MAX_VALUE);
        text.is_some_and(|text| {
            text.trim() == text
                && !text.contains(char::is_control)
                && !is_quoted(text)
                && !opens_pem(text.as_bytes())
                && !text.starts_with('\u{feff}')
        })
    }

    /// The line that gives it to `key`.
    fn line(&self, key: &Key) -> Zeroizing<Vec<u8>> {
        let mut line = Zeroizing::new(Vec::with_capacity(key.as_str().len() + self.len() + 2));
        line.extend_from_slice(key.as_str().as_bytes());
        line.push(b'=');
        line.extend_from_slice(self.bytes());
        line.push(b'\n');
        line
    }
}

/// Whether it has quotes around it, which people expect to be taken off.
fn is_quoted(text: &str) -> bool {
    text.len() > 1
        && ['"', '\'', '`']
            .into_iter()
            .any(|quote| text.starts_with(quote) && text.ends_with(quote))
}

/// Whether a PEM block begins there, of which the rest is on further lines.
fn opens_pem(line: &[u8]) -> bool {
    contains(line, b"-----BEGIN ") && !contains(line, b"-----END ")
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[cfg(test)]
mod tests;
