//! An env file as kustomize reads it (kustomize `api/kv/kv.go`): `KEY=value` lines, in which
//! quotes, blanks and comments after the value are part of it. Finds misleading lines, and reports
//! them by number and never by content.

use super::{Key, Value};
use std::collections::BTreeSet;
use zeroize::Zeroizing;

/// The longest line that kustomize reads (Go's `bufio.MaxScanTokenSize` minus the line break). It
/// silently drops a longer line and all lines after it, and exits with 0.
const MAX_LINE: usize = (64 << 10) - 1;
/// The longest value that is written to an env file, which leaves room for a key.
const MAX_VALUE: usize = 60_000;
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Why a line is misleading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MisleadingLine {
    /// No `=`: kustomize takes the whole line as a key with an empty value.
    NoEquals,
    /// Part of a PEM block, or otherwise a continuation of the previous line's value.
    Continued,
    /// `export ` before the key.
    Export,
    /// Nothing before the `=`: kustomize skips the line.
    EmptyKey,
    /// A key that Kubernetes does not accept.
    BadKey,
    /// A repeated key: kustomize refuses the file.
    Repeated,
    /// Longer than kustomize reads.
    TooLong,
    /// Not UTF-8: kustomize refuses the file and prints the line.
    NotUtf8,
    /// Quotes around the value, which are part of it.
    Quotes,
    /// Leading or trailing blanks, which are part of the value.
    Blanks,
    /// A byte order mark at the start of the file.
    ByteOrderMark,
    /// CRLF at the end of the line.
    CarriageReturn,
}

impl MisleadingLine {
    /// The problem, as a sentence about the line.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::NoEquals => {
                "no `=`: kustomize treats the whole line as a key with an empty value (`makeinfra \
                 secret set --from-file` stores multi-line values)"
            }
            Self::Continued => {
                "continues the value of an earlier line: kustomize treats it as a key (`makeinfra \
                 secret set --from-file` stores multi-line values)"
            }
            Self::Export => "begins with `export`, which becomes part of the key",
            Self::EmptyKey => "no key before the `=`: kustomize skips the line",
            Self::BadKey => "invalid key: only letters, digits, `-`, `_` and `.` are allowed",
            Self::Repeated => "the key was set in an earlier line: kustomize refuses the file",
            Self::TooLong => "longer than 64 KiB: kustomize drops this line and all lines below",
            Self::NotUtf8 => "not UTF-8: kustomize refuses the file and prints the line",
            Self::Quotes => "quotes around the value become part of the value",
            Self::Blanks => "blanks around the value become part of the value",
            Self::ByteOrderMark => "begins with a byte order mark (BOM)",
            Self::CarriageReturn => "ends with CRLF instead of LF",
        }
    }

    /// Whether kustomize reads the line differently from how it looks; otherwise it may be
    /// intended.
    #[must_use]
    pub fn breaks(self) -> bool {
        !matches!(self, Self::Quotes | Self::Blanks | Self::ByteOrderMark | Self::CarriageReturn)
    }

    /// Whether the key is undetermined.
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

/// An env file, parsed into lines.
pub struct EnvFile<'t> {
    lines: Vec<Line<'t>>,
}

/// A line including its line break.
struct Line<'t> {
    raw: &'t [u8],
    /// `None` for a comment, an empty line, or a line whose key is undetermined.
    pair: Option<(&'t str, &'t [u8])>,
    traps: Vec<MisleadingLine>,
}

impl<'t> EnvFile<'t> {
    /// Splits `text` into lines. Any text is a valid env file.
    #[must_use]
    pub fn parse(text: &'t [u8]) -> Self {
        let mut lines: Vec<Line> = Vec::new();
        let (mut seen, mut in_pem) = (BTreeSet::new(), false);
        for raw in text.split_inclusive(|byte| *byte == b'\n') {
            let above_is_bad =
                lines.last().is_some_and(|line| line.traps.iter().any(|trap| trap.hides_key()));
            let mut line = Line::parse(raw, lines.is_empty());
            if (in_pem && !line.is_empty()) || (above_is_bad && line.looks_like_base64()) {
                line = Line { raw, pair: None, traps: vec![MisleadingLine::Continued] };
            }
            in_pem = (in_pem && !contains(raw, b"-----END ")) || opens_pem(raw);
            if let Some((key, _)) = line.pair
                && !seen.insert(key)
            {
                line.traps.push(MisleadingLine::Repeated);
            }
            lines.push(line);
        }
        Self { lines }
    }

    /// Misleading lines, with line numbers from 1.
    pub fn traps(&self) -> impl Iterator<Item = (usize, MisleadingLine)> {
        let numbered = self.lines.iter().enumerate();
        numbered.flat_map(|(at, line)| line.traps.iter().map(move |trap| (at + 1, *trap)))
    }

    /// The keys, in order. Only text before a `=` counts as a key, since anything else may be a
    /// value.
    pub fn keys(&self) -> impl Iterator<Item = &'t str> {
        self.lines.iter().filter_map(|line| Some(line.pair?.0))
    }

    /// Total size of the values in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.lines.iter().filter_map(|line| Some(line.pair?.1.len())).sum()
    }

    /// Whether the file has the key.
    #[must_use]
    pub fn has(&self, key: &Key) -> bool {
        self.keys().any(|found| found == key.as_str())
    }

    /// Whether the file has `value` under `key`.
    #[must_use]
    pub fn holds(&self, key: &Key, value: &Value) -> bool {
        let mut found = self
            .lines
            .iter()
            .filter_map(|line| line.pair)
            .filter(|(found, _)| *found == key.as_str());
        matches!((found.next(), found.next()), (Some((_, held)), None) if value.is(held))
    }

    /// The text with `value` under `key`: on its existing line, or on a new last line. Of a
    /// repeated key, one line stays.
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

    /// The text without the lines of `key`; `None` if no other key is left, even if comments are.
    #[must_use]
    pub fn unset(&self, key: &Key) -> Option<Zeroizing<Vec<u8>>> {
        let is_it = |line: &&Line| line.pair.is_some_and(|(found, _)| found == key.as_str());
        // A line that cannot be parsed may hold something that is still needed.
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

    /// A buffer for all lines and `more` bytes, so that no partial copy stays behind in memory.
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
            traps.push(MisleadingLine::TooLong);
        }
        if let Some(rest) = line.strip_suffix(b"\r") {
            line = rest;
            traps.push(MisleadingLine::CarriageReturn);
        }
        if let Some(rest) = line.strip_prefix(BOM).filter(|_| is_first) {
            line = rest;
            traps.push(MisleadingLine::ByteOrderMark);
        }
        let Ok(text) = std::str::from_utf8(line) else {
            traps.push(MisleadingLine::NotUtf8);
            return Self { raw, pair: None, traps };
        };
        let text = text.trim_start();
        if text.is_empty() || text.starts_with('#') {
            return Self { raw, pair: None, traps };
        }
        let Some((key, value)) = text.split_once('=') else {
            traps.push(MisleadingLine::NoEquals);
            return Self { raw, pair: None, traps };
        };
        let trap = match key {
            "" => Some(MisleadingLine::EmptyKey),
            _ if key.starts_with("export ") || key.starts_with("export\t") => {
                Some(MisleadingLine::Export)
            }
            _ => Key::parse(key).err().map(|_| MisleadingLine::BadKey),
        };
        if let Some(trap) = trap {
            traps.push(trap);
            return Self { raw, pair: None, traps };
        }
        if value.trim() != value {
            traps.push(MisleadingLine::Blanks);
        }
        if is_quoted(value.trim()) {
            traps.push(MisleadingLine::Quotes);
        }
        Self { raw, pair: Some((key, value.as_bytes())), traps }
    }

    /// Whether the line is empty.
    fn is_empty(&self) -> bool {
        self.raw.trim_ascii().is_empty()
    }

    /// Whether this may be the last line of base64, whose padding looks like the `=` after a key.
    fn looks_like_base64(&self) -> bool {
        self.pair.is_some_and(|(_, value)| value.is_empty() || value == b"=")
    }
}

impl Value {
    /// Whether the value fits on a line of an env file unchanged.
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

    /// The line that assigns the value to `key`.
    fn line(&self, key: &Key) -> Zeroizing<Vec<u8>> {
        let mut line = Zeroizing::new(Vec::with_capacity(key.as_str().len() + self.len() + 2));
        line.extend_from_slice(key.as_str().as_bytes());
        line.push(b'=');
        line.extend_from_slice(self.bytes());
        line.push(b'\n');
        line
    }
}

/// Whether the value has quotes around it, which users expect to be removed.
fn is_quoted(text: &str) -> bool {
    text.len() > 1
        && ['"', '\'', '`']
            .into_iter()
            .any(|quote| text.starts_with(quote) && text.ends_with(quote))
}

/// Whether a multi-line PEM block begins on this line.
fn opens_pem(line: &[u8]) -> bool {
    contains(line, b"-----BEGIN ") && !contains(line, b"-----END ")
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[cfg(test)]
mod tests;
