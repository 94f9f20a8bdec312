//! Comments: those of a range, and those of the template, which follow its changes.

use super::super::Document;
use super::super::lines::{Edit, line_end, line_start, newline, next_line};
use super::super::tree::{Node, Value};
use super::place::{PlacedNode, Position, is_flow, is_inline};
use std::collections::HashSet;
use std::ops::Range;
use zeroize::Zeroizing;

/// Whether `ours` has a comment, between the start of the value's key or dash and the end of its
/// last line, that `base` has neither there nor above. Reordering an item's keys moves the comment
/// above the item inside it.
pub(super) fn has_own(ours: (&Document, PlacedNode), base: (&Document, PlacedNode)) -> bool {
    let [own, mut known] = [ours, base].map(|(document, spot)| {
        let start = spot.place.map_or(spot.node.start, |place| place.after);
        within(document.text, start, spot.node)
    });
    known.extend(lines_above(base.0.text, base.1.place));
    let known: HashSet<_> = known.into_iter().collect();
    own.iter().any(|comment| !known.contains(comment))
}

/// The comments from `start` to the end of the last line of `node`.
fn within<'t>(text: &'t str, start: usize, node: &Node) -> Vec<&'t str> {
    fn scalars(node: &Node, found: &mut Vec<Range<usize>>) {
        match &node.value {
            Value::Scalar { .. } => found.push(node.start..node.end),
            Value::List(items) => items.iter().for_each(|item| scalars(item, found)),
            Value::Map { entries, .. } => entries.iter().for_each(|entry| {
                scalars(&entry.key, found);
                scalars(&entry.value, found);
            }),
        }
    }
    let mut taken = Vec::new();
    scalars(node, &mut taken);
    let end = line_end(text, node.end);
    taken.push(end..end);
    let mut comments = Vec::new();
    let mut at = start;
    for scalar in taken {
        // Between scalars, `#` always starts a comment.
        let between = text.get(at..scalar.start).unwrap_or_default();
        comments
            .extend(between.lines().filter_map(|line| Some(line[line.find('#')?..].trim_end())));
        at = scalar.end;
    }
    comments
}

/// The edit that gives a value the end-of-line comment of `theirs`, if `ours` has that of `base`.
pub(super) fn at_end_of_line(
    base: (&Document, PlacedNode),
    ours: (&Document, PlacedNode),
    theirs: (&Document, PlacedNode),
) -> Option<Edit> {
    let [old, own, new] = [base, ours, theirs].map(|(document, spot)| end_of_line(document, spot));
    let ((old, was_header), (range, is_header), (new, will_be_header)) = (old?, own?, new?);
    let (old, new) = (&base.0.text[old], &theirs.0.text[new]);
    let fits = was_header == is_header && is_header == will_be_header;
    let is_news = ours.0.text[range.clone()].trim() == old.trim() && new.trim() != old.trim();
    (fits && is_news).then(|| Edit::new(range, Zeroizing::new(new.trim_end().to_owned())))
}

/// The text after a value on its line (after the colon if the value is on the lines below): blanks
/// and a comment.
fn end_of_line(document: &Document, spot: PlacedNode) -> Option<(Range<usize>, bool)> {
    let (text, node, place) = (document.text, spot.node, spot.place?);
    let is_header = match &node.value {
        Value::Scalar { .. } => false,
        _ => !is_flow(document, node),
    };
    if !is_header && !is_inline(document, node) {
        return None;
    }
    let start = if is_header { place.after } else { node.end };
    let range = start..line_end(text, start);
    let rest = &text[range.clone()];
    let is_comment = rest.starts_with([' ', '\t']) && rest.trim_start().starts_with('#');
    (rest.trim().is_empty() || is_comment).then_some((range, is_header))
}

/// The edit that gives a key or an item the comments above it in `theirs`, if `ours` has those of
/// `base`.
pub(super) fn above(
    base: (&Document, Option<Position>),
    ours: (&Document, Option<Position>),
    theirs: (&Document, Option<Position>),
) -> Option<Edit> {
    let place = ours.1.filter(|place| place.alone)?;
    let [old, own, new] =
        [base, ours, theirs].map(|(document, place)| lines_above(document.text, place));
    if own != old || new == old {
        return None;
    }
    let mut with = String::new();
    for comment in new {
        with.push_str(&" ".repeat(place.column));
        with.push_str(comment);
        with.push_str(newline(ours.0.text));
    }
    Some(Edit::new(place.comments_above(ours.0.text), Zeroizing::new(with)))
}

pub(super) fn lines_above(text: &str, place: Option<Position>) -> Vec<&str> {
    let range = place.map_or(0..0, |place| place.comments_above(text));
    text[range].lines().map(str::trim).collect()
}

/// The edits that replace the part above the first key and the part below the last value by those
/// of `theirs`, if `ours` has those of `base`.
pub(super) fn head_and_tail(
    base: &Document,
    ours: &Document,
    theirs: &Document,
) -> [Option<Edit>; 2] {
    let parts = [base, ours, theirs].map(|document| {
        let text = document.text;
        let entries = document.root.entries();
        let head = entries.first().map_or(0, |first| line_start(text, first.key.start));
        let tail = entries.last().map_or(text.len(), |last| next_line(text, last.value.end));
        [0..head, tail..text.len()]
    });
    let [old, own, new] = parts;
    [0, 1].map(|part| {
        let [was, is, will] =
            [(base, &old), (ours, &own), (theirs, &new)].map(|(document, ranges)| {
                document.text[ranges[part].clone()].lines().collect::<Vec<_>>()
            });
        // The text before the tail lacks a line break.
        let is_open = part == 1 && !ours.text[..own[1].start].ends_with('\n');
        if is != was || will == was || is_open {
            return None;
        }
        // A comment that an empty line separates from the last key stays when that key is removed,
        // and becomes the tail of `theirs`.
        let stays = |line: &&str| {
            [(base, &old), (ours, &own)].iter().all(|(document, ranges)| {
                apart(&document.text[ranges[0].end..ranges[1].start]).contains(line.trim())
            })
        };
        let will: Vec<_> =
            if part == 1 { will.into_iter().filter(|line| !stays(line)).collect() } else { will };
        if will.iter().all(|line| line.trim().is_empty()) && was.is_empty() {
            return None;
        }
        let with = will.iter().map(|line| format!("{line}{}", newline(ours.text))).collect();
        Some(Edit::new(own[part].clone(), Zeroizing::new(with)))
    })
}

/// The comments of `text` that an empty line separates from what follows.
fn apart(text: &str) -> HashSet<&str> {
    let mut found = HashSet::new();
    let mut is_apart = false;
    for line in text.lines().rev().map(str::trim) {
        if !line.starts_with('#') {
            is_apart = line.is_empty();
        } else if is_apart {
            found.insert(line);
        }
    }
    found
}
