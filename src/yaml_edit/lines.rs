//! Lines and edits of a text, by byte position. Of YAML, it knows line breaks, blanks and comments
//! only.

use std::ops::Range;
use zeroize::Zeroizing;

/// A range of the text and its replacement.
pub(super) struct Edit {
    pub(super) range: Range<usize>,
    with: Zeroizing<String>,
}

impl Edit {
    pub(super) fn new(range: Range<usize>, with: Zeroizing<String>) -> Self {
        Self { range, with }
    }
}

/// `whole` with `edits` applied, in ascending order. Positions are relative to `text`, a suffix of
/// `whole`.
pub(super) fn apply(whole: &str, text: &str, edits: Vec<Edit>) -> Zeroizing<String> {
    let more = edits.iter().map(|edit| edit.with.len()).sum::<usize>();
    // Allocated large enough, so that no partial copy stays behind in memory.
    let mut edited = Zeroizing::new(String::with_capacity(whole.len() + more));
    edited.push_str(&whole[..whole.len() - text.len()]);
    let mut at = 0;
    for edit in edits {
        edited.push_str(&text[at..edit.range.start]);
        edited.push_str(&edit.with);
        at = edit.range.end;
    }
    edited.push_str(&text[at..]);
    edited
}

pub(super) fn line_start(text: &str, position: usize) -> usize {
    text[..position].rfind('\n').map_or(0, |at| at + 1)
}

/// The end of the line of `position`, before its line break.
pub(super) fn line_end(text: &str, position: usize) -> usize {
    let rest = text[position..].split('\n').next().unwrap_or_default();
    position + rest.strip_suffix('\r').unwrap_or(rest).len()
}

/// The start of the line after that of `position`, or the end of the text.
pub(super) fn next_line(text: &str, position: usize) -> usize {
    text[position..].find('\n').map_or(text.len(), |at| position + at + 1)
}

/// The kind of line break in the text.
pub(super) fn newline(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// Whether there is a CR without LF, which some YAML readers treat as a line break.
pub(super) fn has_lone_return(text: &str) -> bool {
    text.match_indices('\r').any(|(at, _)| !text[at + 1..].starts_with('\n'))
}

/// The position after the colon of a key that ends at `position`, skipping blanks.
pub(super) fn behind_colon(text: &str, position: usize) -> Option<usize> {
    let rest = text[position..].trim_start_matches([' ', '\t']).strip_prefix(':')?;
    Some(text.len() - rest.len())
}

/// The header of a block scalar (`|`, `>-`, `|2+`), after blanks, line breaks and comments.
pub(super) fn block_header(text: &str, mut position: usize) -> Option<Range<usize>> {
    loop {
        match text.as_bytes().get(position)? {
            b' ' | b'\t' | b'\r' | b'\n' => position += 1,
            b'#' => position = line_end(text, position),
            b'|' | b'>' => break,
            _ => return None,
        }
    }
    let more = text[position + 1..]
        .bytes()
        .take_while(|byte| matches!(byte, b'+' | b'-' | b'0'..=b'9'))
        .count();
    Some(position..position + 1 + more)
}

/// Whether the block scalar whose content begins at `content` has a `+` in its header, which makes
/// trailing blank lines part of it.
pub(super) fn keeps_blank_lines(text: &str, content: usize) -> bool {
    let header = text[..line_start(text, content)].trim_end().lines().last().unwrap_or_default();
    // A comment may follow; a `+` in it only means that less is touched.
    header
        .rsplit(['|', '>'])
        .any(|tail| tail.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with('+'))
}

/// The position after the closing quote of the scalar that begins at `start`.
pub(super) fn quote_end(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let quote = *bytes.get(start)?;
    let mut at = start + 1;
    loop {
        let byte = *bytes.get(at)?;
        let pair = byte == b'\\' && quote == b'"'
            || byte == quote && quote == b'\'' && bytes.get(at + 1) == Some(&quote);
        at += if pair { 2 } else { 1 };
        if byte == quote && !pair {
            return Some(at);
        }
    }
}
