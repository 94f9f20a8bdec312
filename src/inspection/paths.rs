//! Names of paths, and paths given as options.

use crate::advice::Advice;
use crate::error::{Failure, Result};
use std::path::{Path, PathBuf};

/// The paths given for `option`, relative to `root`.
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
            // The path is not quoted: if it does not exist, it may be a misplaced token.
            let what = if option == "--secret" { "a file" } else { "a directory" };
            let hint = Advice::makeinfra("check").with(format_args!("{option} PATH"));
            Failure::usage(format!("`{option}` must be {what} in the repository")).hint(hint).into()
        })
    };
    paths.iter().map(below).collect()
}

/// Whether `mode` is that of a regular file: in git, a link has no content of its own.
pub(super) fn is_file(mode: u32) -> bool {
    mode & 0o170_000 == 0o100_000
}

/// Whether `path` has a manifest's extension.
pub(super) fn is_manifest(path: &str) -> bool {
    ["yaml", "yml", "json"].iter().any(|extension| has_extension(path, extension))
}

fn has_extension(path: &str, wanted: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found.eq_ignore_ascii_case(wanted))
}
