//! Hands the tests every advice that was given, so that they can have its programs take it. In
//! debug builds alone.

use crate::environment;
use std::io::Write;

/// Adds a line to the file in which the tests collect them: the argument lists, and all other
/// words.
pub(super) fn record(commands: &[Vec<String>], words: &[&str]) {
    let Some(file) = environment::advice() else { return };
    let line = serde_json::json!({ "commands": commands, "words": words });
    let file = std::fs::OpenOptions::new().append(true).create(true).open(file);
    // A test that needs the line misses it.
    let _ = file.and_then(|mut file| writeln!(file, "{line}"));
}
