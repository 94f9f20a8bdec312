//! Go's `filepath.Match` on Unix (`path/filepath/match.go`, Go 1.26), over bytes.
//!
//! Knows nothing of registries.

/// The pattern is malformed at a position that was examined (`ErrBadPattern`).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadPattern;

const SEPARATOR: u8 = b'/';

/// Whether all of `name` matches `pattern`: `*`, `?`, `[a-z]`, `[^a]`, and `
/// ` before any character.
pub(super) fn matches(mut pattern: &[u8], mut name: &[u8]) -> Result<bool, BadPattern> {
    while !pattern.is_empty() {
        let (star, chunk, rest) = next_chunk(pattern);
        pattern = rest;
        if star && chunk.is_empty() {
            return Ok(!name.contains(&SEPARATOR));
        }
        // The last chunk must consume the whole name.
        let fits = |left: &[u8]| left.is_empty() || !rest.is_empty();
        let mut found = match_chunk(chunk, name)?.filter(|left| fits(left));
        if found.is_none() && star {
            let skippable = name.iter().take_while(|byte| **byte != SEPARATOR).count();
            for skip in 1..=skippable {
                found = match_chunk(chunk, &name[skip..])?.filter(|left| fits(left));
                if found.is_some() {
                    break;
                }
            }
        }
        let Some(left) = found else {
            return Ok(false);
        };
        name = left;
    }
    Ok(name.is_empty())
}

/// `scanChunk`: whether the pattern begins with stars, the text up to the next star, and the rest.
fn next_chunk(pattern: &[u8]) -> (bool, &[u8], &[u8]) {
    let stars = pattern.iter().take_while(|byte| **byte == b'*').count();
    let pattern = &pattern[stars..];
    let (mut at, mut in_range) = (0, false);
    while at < pattern.len() {
        match pattern[at] {
            b'\\' => at += 1,
            b'[' => in_range = true,
            b']' => in_range = false,
            b'*' if !in_range => break,
            _ => {}
        }
        at += 1;
    }
    let (chunk, rest) = pattern.split_at(at.min(pattern.len()));
    (stars > 0, chunk, rest)
}

/// `matchChunk`: the rest of `name` after `chunk`, which contains no star; `None` if it does not
/// match. Reads the chunk to its end even after a mismatch, because a malformed chunk is an error
/// regardless.
fn match_chunk<'n>(mut chunk: &[u8], mut name: &'n [u8]) -> Result<Option<&'n [u8]>, BadPattern> {
    let mut failed = false;
    while let Some((first, rest)) = chunk.split_first() {
        failed |= name.is_empty();
        match first {
            b'[' => {
                let mut wanted = '\0';
                if !failed {
                    let (char, size) = decode(name);
                    (wanted, name) = (char, &name[size..]);
                }
                let (hit, after) = match_class(rest, wanted)?;
                failed |= !hit;
                chunk = after;
                continue;
            }
            b'?' => {
                if !failed {
                    failed = name[0] == SEPARATOR;
                    name = &name[decode(name).1..];
                }
                chunk = rest;
                continue;
            }
            b'\\' => chunk = rest,
            _ => {}
        }
        let (literal, rest) = chunk.split_first().ok_or(BadPattern)?;
        if !failed {
            failed = literal != &name[0];
            name = &name[1..];
        }
        chunk = rest;
    }
    Ok((!failed).then_some(name))
}

/// A character class after its `[`: whether it contains `wanted`, and the text after its `]`.
fn match_class(mut class: &[u8], wanted: char) -> Result<(bool, &[u8]), BadPattern> {
    let negated = class.first() == Some(&b'^');
    if negated {
        class = &class[1..];
    }
    let (mut hit, mut ranges) = (false, 0);
    loop {
        if ranges > 0 && class.first() == Some(&b']') {
            return Ok((hit != negated, &class[1..]));
        }
        let (low, after) = class_char(class)?;
        let (high, after) = match after.split_first() {
            Some((b'-', after)) => class_char(after)?,
            _ => (low, after),
        };
        hit |= (low..=high).contains(&wanted);
        class = after;
        ranges += 1;
    }
}

/// `getEsc`: one end of a range, which must not end the class.
fn class_char(class: &[u8]) -> Result<(char, &[u8]), BadPattern> {
    let class = match class.split_first() {
        None | Some((b'-' | b']', _)) => return Err(BadPattern),
        Some((b'\\', escaped)) => escaped,
        Some(_) => class,
    };
    if class.is_empty() {
        return Err(BadPattern);
    }
    let (char, size) = decode(class);
    let invalid = char == char::REPLACEMENT_CHARACTER && size == 1;
    if invalid || size == class.len() { Err(BadPattern) } else { Ok((char, &class[size..])) }
}

/// `utf8.DecodeRune`: the first character and its length; U+FFFD with length 1 if invalid.
fn decode(bytes: &[u8]) -> (char, usize) {
    let valid = match std::str::from_utf8(&bytes[..bytes.len().min(4)]) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    };
    valid.chars().next().map_or((char::REPLACEMENT_CHARACTER, 1), |char| (char, char.len_utf8()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of `path/filepath/match_test.go`, Go 1.26.
    #[test]
    fn agrees_with_the_tests_of_go() {
        for (pattern, name, expected) in [
            ("abc", "abc", Ok(true)),
            ("*", "abc", Ok(true)),
            ("*c", "abc", Ok(true)),
            ("a*", "a", Ok(true)),
            ("a*", "ab/c", Ok(false)),
            ("a*/b", "abc/b", Ok(true)),
            ("a*/b", "a/c/b", Ok(false)),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/f", Ok(true)),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", Ok(false)),
            ("a*b?c*x", "abxbbxdbxebxczzx", Ok(true)),
            ("a*b?c*x", "abxbbxdbxebxczzy", Ok(false)),
            ("ab[c]", "abc", Ok(true)),
            ("ab[b-d]", "abc", Ok(true)),
            ("ab[e-g]", "abc", Ok(false)),
            ("ab[^c]", "abc", Ok(false)),
            ("ab[^e-g]", "abc", Ok(true)),
            ("a\\*b", "a*b", Ok(true)),
            ("a\\*b", "ab", Ok(false)),
            ("a?b", "a☺b", Ok(true)),
            ("a[^a]b", "a☺b", Ok(true)),
            ("a???b", "a☺b", Ok(false)),
            ("[a-ζ]*", "α", Ok(true)),
            ("*[a-ζ]", "A", Ok(false)),
            ("a?b", "a/b", Ok(false)),
            ("[\\]a]", "]", Ok(true)),
            ("[\\-x]", "-", Ok(true)),
            ("[x\\-]", "z", Ok(false)),
            ("[]a]", "]", Err(BadPattern)),
            ("[-]", "-", Err(BadPattern)),
            ("[x-]", "x", Err(BadPattern)),
            ("[-x]", "a", Err(BadPattern)),
            ("\\", "a", Err(BadPattern)),
            ("[a-b-c]", "a", Err(BadPattern)),
            ("[", "a", Err(BadPattern)),
            ("[^bc", "a", Err(BadPattern)),
            ("a[", "a", Err(BadPattern)),
            ("a[", "ab", Err(BadPattern)),
            ("a[", "x", Err(BadPattern)),
            ("a/b[", "x", Err(BadPattern)),
            ("*x", "xxx", Ok(true)),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), name.as_bytes()),
                expected,
                "{pattern} on {name}"
            );
        }
    }

    /// Consequences of Go's code that its tests do not cover.
    #[test]
    fn agrees_with_go_on_stars_in_classes_later_starts_and_bytes_that_are_no_text() {
        for (pattern, name, expected) in [
            ("a[*]b", "a*b", Ok(true)),
            ("a[*]b", "axb", Ok(false)),
            ("bc", "abc", Ok(false)),
            ("[\u{fffd}]", "\u{fffd}", Ok(true)),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), name.as_bytes()),
                expected,
                "{pattern} on {name}"
            );
        }
        assert_eq!(matches(b"[\xff]", b"\xff"), Err(BadPattern));
        assert_eq!(matches(b"?\xff", b"\xfe\xff"), Ok(true));
    }
}
