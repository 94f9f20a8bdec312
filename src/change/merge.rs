//! A change brought into a text that people have edited. Pure.

use crate::error::{Failure, Result};
use crate::yaml_edit;
use git2::{FileFavor, MergeFileInput, MergeFileOptions, merge_file};

/// `ours` with the change from `ancestor` to `theirs`; none where both changed the same lines.
pub(super) fn lines(ancestor: &str, ours: &str, theirs: &str) -> Result<Option<String>> {
    let [ancestor, ours, theirs] = [ancestor, ours, theirs].map(|text| {
        let mut input = MergeFileInput::new();
        input.content(text.as_bytes());
        input
    });
    let merged =
        merge_file(&ancestor, &ours, &theirs, Some(MergeFileOptions::new().favor(FileFavor::Normal)))
            .map_err(|error| Failure::failed("cannot merge files").because(error.message()))?;
    let text = String::from_utf8_lossy(merged.content()).into_owned();
    Ok(merged.is_automergeable().then_some(text))
}

/// `ours`, a kustomization, with what `theirs` has in its lists over `ancestor`; none where that cannot be told from what
/// people have changed. Lines that merge may still mean something else: what counts is what the lists are then.
pub(super) fn lists(ancestor: &str, ours: &str, theirs: &str) -> Result<Option<String>> {
    let Ok(added) = yaml_edit::add(ours, ancestor, theirs) else { return Ok(None) };
    // Where the lines merge to the same, comments have followed, too.
    let merged = lines(ancestor, ours, theirs)?.filter(|merged| yaml_edit::same(merged, &added));
    Ok(Some(merged.unwrap_or_else(|| added.to_string())))
}
