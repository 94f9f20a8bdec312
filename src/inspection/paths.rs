//! How paths are named, and those that options name.

use crate::advice::Advice;
use crate::error::{Failure, Result};
use std::path::{Path, PathBuf};

/// The paths that the option `option` gives, below `root`.
pub(super) fn named(
    root: &Path,
    paths: &[PathBuf],
    option: &str,
    right: fn(&Path) -> bool,
) -> Result<Vec<String>> {
    let below = |path: &PathBuf| {
        let real = path.canonicalize().ok().filter(|real| right(real));
        let inside = real.as_ref().and_then(|real| real.strip_prefix(root).ok());
        inside.map(|inside| inside.to_string_lossy().into_owned()).ok_or_else(|| {
            // What leads nowhere may be a token in the wrong place: it is not quoted.
            let what = if option == "--secret" { "a file" } else { "a directory" };
            let hint = Advice::makeinfra("check").with(format_args!("{option} PATH"));
            Failure::usage(format!("`{option}` must be {what} in the repository")).hint(hint).into()
        })
    };
    paths.iter().map(below).collect()
}

/// Whether `mode` is that of a regular file: a link stores no content of one in git.
pub(super) fn is_file(mode: u32) -> bool {
    mode & 0o170_000 == 0o100_000
}

/// Whether `path` is named as manifests are.
pub(super) fn is_manifest(path: &str) -> bool {
    ["yaml", "yml", "json"].iter().any(|extension| has_extension(path, extension))
}

fn has_extension(path: &str, wanted: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found.eq_ignore_ascii_case(wanted))
}
