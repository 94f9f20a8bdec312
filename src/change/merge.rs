//! A change brought into a text that people have edited. Pure.

use crate::error::{Failure, Result};
use crate::yaml_edit;
use git2::{FileFavor, MergeFileInput, MergeFileOptions, merge_file};

/// `ours` with the change from `ancestor` to `theirs`; `None` if both changed the same lines.
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

/// `ours` in which every line that differs between `old` and `new`, texts with the same number of lines, is as in `new`;
/// `None` if it does not have all of them.
pub(super) fn renamed(old: &str, ours: &str, new: &str) -> Option<String> {
    let pairs: Vec<_> = old.lines().zip(new.lines()).filter(|(old, new)| old != new).collect();
    if old.lines().count() != new.lines().count() {
        return None;
    }
    let has = |line: &str| ours.lines().any(|one| one == line);
    let renamed = |line: &str| {
        let bare = line.trim_end_matches(['\n', '\r']);
        let new = pairs.iter().find(|(old, _)| *old == bare).map_or(bare, |(_, new)| new);
        format!("{new}{}", &line[bare.len()..])
    };
    pairs.iter().all(|(old, _)| has(old)).then(|| ours.split_inclusive('\n').map(renamed).collect())
}

/// The kustomization `edited`, which is `ours` with what `theirs` has over `ancestor`, in the better layout: where the
/// lines merge to the same, comments have followed, too. Lines that merge may still mean something else.
pub(super) fn lists(ancestor: &str, ours: &str, theirs: &str, edited: &str) -> Result<String> {
    let merged = lines(ancestor, ours, theirs)?.filter(|merged| yaml_edit::same(merged, edited));
    Ok(merged.unwrap_or_else(|| edited.to_owned()))
}
