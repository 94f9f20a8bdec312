//! Displays a change as a diff, or for a file below `secrets/` only the names of its keys. Pure.

use super::Step;
use crate::error::{Failure, Result};
use crate::opaque::EnvFile;
use crate::yaml_edit::Document;
use git2::Patch;
use std::path::Path;

/// The change of one file as a unified diff; for a file below `secrets/`, its path and the names of
/// its keys.
pub fn diff(step: &Step) -> Result<String> {
    let [old, new] = [&step.before, &step.after].map(Option::is_some);
    let name = |side: &str, is_there: bool| {
        if is_there { format!("{side}/{}", step.path) } else { "/dev/null".to_owned() }
    };
    let head = format!("--- {}\n+++ {}\n", name("a", old), name("b", new));
    if step.is_secret() {
        let keys = keys(step);
        let keys =
            if keys.is_empty() { String::new() } else { format!("; keys: {}", keys.join(", ")) };
        return Ok(format!("{head}(encrypted in git, not shown{keys})\n"));
    }
    let failed =
        |error: git2::Error| Failure::failed("cannot compare files").because(error.message());
    let bytes = |content: &Option<super::Bytes>| {
        content.as_ref().map(|bytes| bytes.to_vec()).unwrap_or_default()
    };
    let path = Some(Path::new(&step.path));
    let (before, after) = (bytes(&step.before), bytes(&step.after));
    let mut shown = Patch::from_buffers(&before, path, &after, path, None).map_err(failed)?;
    let text = shown.to_buf().map_err(failed)?;
    let text = String::from_utf8_lossy(&text);
    // Starts at the first hunk: the modes and ids of git's header are of no use here.
    let hunks =
        text.find("\n@@ ").map_or_else(|| "(binary)\n".to_owned(), |at| text[at + 1..].to_owned());
    Ok(format!("{head}{hunks}"))
}

/// The names of the keys in a file with secrets, never a value; empty for other files.
#[must_use]
pub fn keys(step: &Step) -> Vec<String> {
    let Some(bytes) = step.after.as_ref().or(step.before.as_ref()) else { return Vec::new() };
    if Path::new(&step.path).extension().is_some_and(|end| end == "env") {
        return EnvFile::parse(bytes).keys().map(str::to_owned).collect();
    }
    let Some(document) =
        std::str::from_utf8(bytes).ok().and_then(|text| Document::parse(text).ok())
    else {
        return Vec::new();
    };
    let keys = |field| document.keys(&[field]).into_iter().map(str::to_owned);
    keys("data").chain(keys("stringData")).collect()
}
