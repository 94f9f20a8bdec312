//! Records every advice in debug builds, so that tests can have the named programs parse it.

use crate::environment;
use std::io::Write;

/// Appends a line to the file in which tests collect advice: the argument lists, and all other
/// words.
pub(super) fn record(commands: &[Vec<String>], words: &[&str]) {
    let Some(file) = environment::advice() else { return };
    let line = serde_json::json!({ "commands": commands, "words": words });
    let file = std::fs::OpenOptions::new().append(true).create(true).open(file);
    // If this fails, the test that needs the line fails.
    let _ = file.and_then(|mut file| writeln!(file, "{line}"));
}
