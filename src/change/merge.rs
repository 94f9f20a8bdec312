//! Applies a change to a text that users have edited. Pure.

use super::objects::{self, is_yaml};
use crate::error::{Failure, Result};
use crate::yaml_edit;
use git2::{FileFavor, MergeFileInput, MergeFileOptions, Oid, merge_file};

/// `ours` with the change from `ancestor` to `theirs`; `None` if both changed the same lines.
pub(super) fn lines(ancestor: &str, ours: &str, theirs: &str) -> Result<Option<String>> {
    // Merging alone does not initialise libgit2, which cannot allocate memory before that.
    let _ = Oid::from_str("0");
    let [ancestor, ours, theirs] = [ancestor, ours, theirs].map(|text| {
        let mut input = MergeFileInput::new();
        input.content(text.as_bytes());
        input
    });
    let merged = merge_file(
        &ancestor,
        &ours,
        &theirs,
        Some(MergeFileOptions::new().favor(FileFavor::Normal)),
    )
    .map_err(|error| Failure::failed("cannot merge files").because(error.message()))?;
    let text = String::from_utf8_lossy(merged.content()).into_owned();
    Ok(merged.is_automergeable().then_some(text))
}

/// `ours` in which every line that differs between `old` and `new`, which have equally many lines,
/// is as in `new`; `None` if `ours` lacks one of them.
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

/// The kustomization `edited`, which is `ours` with the changes from `ancestor` to `theirs`. If
/// merging the lines gives the same content, uses that layout, in which comments are merged as
/// well. Merged lines alone may have another meaning.
pub(super) fn lists(ancestor: &str, ours: &str, theirs: &str, edited: &str) -> Result<String> {
    let merged = lines(ancestor, ours, theirs)?.filter(|merged| yaml_edit::same(merged, edited));
    Ok(merged.unwrap_or_else(|| edited.to_owned()))
}

/// The result of a merge.
pub(super) enum Merged {
    /// The merged text.
    Clean(String),
    /// A conflict.
    Conflict {
        /// The reason, as a sentence about "it"; quotes no value.
        why: String,
        /// Whether the same lines were changed.
        is_of_lines: bool,
    },
}

/// `ours` with the change from `base` to `theirs`: merged by lines, and for YAML also by fields,
/// because merged lines may mean something that nobody wrote.
pub(super) fn three_way(path: &str, base: &str, ours: &str, theirs: &str) -> Result<Merged> {
    let by_lines = lines(base, ours, theirs)?;
    let same_lines = || Merged::Conflict {
        why: "you and the templates changed the same lines".to_owned(),
        is_of_lines: true,
    };
    if !is_yaml(path) {
        return Ok(by_lines.map_or_else(same_lines, Merged::Clean));
    }
    Ok(match (yaml_edit::three_way(base, ours, theirs), by_lines) {
        (Ok(yaml_edit::Merged::Conflict(fields)), by_lines) => Merged::Conflict {
            why: format!("you and the templates changed {}", fields.join(", ")),
            is_of_lines: by_lines.is_none(),
        },
        (Ok(yaml_edit::Merged::Clean(text)), Some(lines)) if yaml_edit::same(&lines, &text) => {
            Merged::Clean(lines)
        }
        (Ok(yaml_edit::Merged::Clean(text)), _) => Merged::Clean(text.to_string()),
        // Several documents, anchors and so on: the merged lines must still be YAML.
        (Err(_), Some(lines)) if objects::is_readable(&lines) || !objects::is_readable(ours) => {
            Merged::Clean(lines)
        }
        (Err(_), _) => same_lines(),
    })
}
