//! Several repositories in one run: the list of them, the count of results, and the exit code.
//! Pure.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Parses a list of repositories: one path per line, taken literally. Skips blank lines and those
/// that begin with `#`, and a CR before a line break. In a list that contains NUL, each path ends
/// with NUL, as in the output of `find -print0`; only empty paths are skipped then.
#[must_use]
pub fn parse(list: &[u8]) -> Vec<PathBuf> {
    let path = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
    if list.contains(&0) {
        return list.split(|byte| *byte == 0).filter(|bytes| !bytes.is_empty()).map(path).collect();
    }
    // Editors on Windows add a byte order mark.
    let list = list.strip_prefix(b"\xef\xbb\xbf").unwrap_or(list);
    let lines =
        list.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.filter(|line| !is_skipped(line)).map(path).collect()
}

fn is_skipped(line: &[u8]) -> bool {
    line.trim_ascii().first().is_none_or(|byte| *byte == b'#')
}

/// The list that [`parse`] reads as `paths`, which are directories. It uses NUL only if a path
/// contains a line break.
#[must_use]
pub fn written<'p>(paths: impl Iterator<Item = &'p Path>) -> Vec<u8> {
    let paths: Vec<_> = paths.map(|path| path.as_os_str().as_bytes()).collect();
    let end = if paths.iter().any(|path| path.contains(&b'\n')) { 0 } else { b'\n' };
    let mut list = Vec::new();
    for path in paths {
        if end == b'\n' && (is_skipped(path) || path.starts_with(b"\xef\xbb\xbf")) {
            list.extend(b"./");
        }
        list.extend(path);
        if end == b'\n' && path.ends_with(b"\r") {
            list.push(b'/');
        }
        list.push(end);
    }
    list
}

/// The exit code of a run whose parts ended with `codes`: the worst of failures, 2, 3 and 0.
/// Different failures give 1.
#[must_use]
pub fn worst(codes: impl IntoIterator<Item = u8>) -> u8 {
    let rank = |code: u8| match code {
        0 => 0,
        3 => 1,
        2 => 2,
        _ => 3,
    };
    codes.into_iter().fold(0, |worst, code| match rank(code).cmp(&rank(worst)) {
        Ordering::Greater => code,
        Ordering::Less => worst,
        Ordering::Equal if code == worst => code,
        Ordering::Equal => 1,
    })
}

/// The number of repositories by result.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Without problems.
    pub ok: usize,
    /// Something was written.
    pub changed: usize,
    /// Something would be written without a dry run.
    pub pending: usize,
    /// With problems.
    pub problems: usize,
    /// With undetermined results.
    pub unknown: usize,
    /// The command failed.
    pub failed: usize,
    /// Not started, or not finished.
    pub left: usize,
}

impl Tally {
    /// The summary line.
    #[must_use]
    pub fn line(&self) -> String {
        let Self { ok, changed, pending, problems, unknown, failed, left } = *self;
        let all = ok + problems + unknown + failed + left;
        let counts = [
            (ok, "ok"),
            (problems, "with problems"),
            (unknown, "undetermined"),
            (failed, "failed"),
            (left, "not started"),
        ];
        let mut parts: Vec<String> = counts
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        for (count, what) in [(pending, "would change"), (changed, "changed")] {
            if count > 0 {
                parts.insert(usize::from(ok > 0), format!("{count} {what}"));
            }
        }
        format!("{all} repositories: {}\n", parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    fn read(list: &[u8]) -> Vec<String> {
        parse(list).iter().map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn a_list_has_a_path_a_line() {
        assert_eq!(read(b"a\n\n# no\n  # nor this\nb c \r\n \t\r\n../d"), ["a", "b c ", "../d"]);
        assert_eq!(read(b"\xef\xbb\xbfa\r\n"), ["a"]);
        assert_eq!(read(b"a\0# a\nb\0"), ["a", "# a\nb"]);
        assert!(read(b"\n# nothing\n\r\n").is_empty());
    }

    #[test]
    fn what_is_odd_is_written_so_that_it_is_read_again() {
        let list =
            |paths: &[&str]| String::from_utf8(written(paths.iter().map(Path::new))).unwrap();
        assert_eq!(list(&["a", "../b c"]), "a\n../b c\n");
        assert_eq!(list(&["#a", " ", "b\r"]), "./#a\n./ \nb\r/\n");
        assert_eq!(list(&["a\nb", "#c"]), "a\nb\0#c\0");
        assert_eq!(list(&[]), "");
    }

    proptest! {
        #[test]
        fn every_list_is_read_as_what_was_written(
            paths in vec(vec(select(b"ab/.# \r\n\t\xef\xbb\xbf\xff".to_vec()), 1..6), 0..5)
        ) {
            let path = |bytes: &Vec<u8>| PathBuf::from(OsStr::from_bytes(bytes));
            let given: Vec<PathBuf> = paths.iter().map(path).collect();
            let again = parse(&written(given.iter().map(PathBuf::as_path)));
            let plain = |paths: &[PathBuf]| -> Vec<PathBuf> {
                let without_dots = |path: &PathBuf| {
                    path.components().filter(|part| part.as_os_str() != ".").collect()
                };
                paths.iter().map(without_dots).collect()
            };
            prop_assert_eq!(plain(&again), plain(&given));
        }
    }

    #[test]
    fn the_worst_code_is_that_of_the_run() {
        for (codes, worst_code) in [
            (&[][..], 0),
            (&[0, 3], 3),
            (&[3, 2, 0], 2),
            (&[2, 1, 3], 1),
            (&[2, 10], 10),
            (&[10, 1], 1),
        ] {
            assert_eq!(worst(codes.iter().copied()), worst_code, "{codes:?}");
        }
    }

    #[test]
    fn the_summary_leaves_out_what_there_is_none_of() {
        let tally = Tally { ok: 2, problems: 1, ..Tally::default() };
        assert_eq!(tally.line(), "3 repositories: 2 ok, 1 with problems\n");
        let tally = Tally { ok: 2, changed: 1, failed: 1, left: 4, ..Tally::default() };
        assert_eq!(tally.line(), "7 repositories: 2 ok, 1 changed, 1 failed, 4 not started\n");
    }
}
