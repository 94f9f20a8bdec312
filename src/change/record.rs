//! `.makeinfra.yaml`, which is what was answered, however it is written. Pure.

use super::merge;
use crate::answers::Record;
use crate::error::Result;
use crate::yaml_edit;

/// `ours` with the change from `ancestor` to `theirs`, the comments of people included; none where these would be lost.
pub(super) fn merged(ours: &str, ancestor: Option<&str>, theirs: &str) -> Result<Option<String>> {
    // It says which version wrote it, which is this one from now on.
    let version = theirs.lines().find(|line| is_version(line)).unwrap_or_default();
    let ours: String = ours.split_inclusive('\n').map(|line| with_version(line, version)).collect();
    let says_the_same = |text: &String| match (Record::parse(text.clone()), Record::parse(theirs.to_owned()))
    {
        (Ok(merged), Ok(wanted)) => merged.answers == wanted.answers,
        _ => false,
    };
    let ancestor = ancestor.unwrap_or_default();
    if let Some(text) = merge::lines(ancestor, &ours, theirs)?.filter(says_the_same) {
        return Ok(Some(text));
    }
    let comments =
        |text: &str| text.lines().filter(|line| line.contains('#')).map(str::to_owned).collect::<Vec<_>>();
    let known = comments(theirs);
    let nothing_is_lost = comments(&ours).iter().all(|line| known.contains(line)) && has_keys(theirs, &ours);
    Ok(nothing_is_lost.then(|| theirs.to_owned()))
}

/// Whether `text` has all the keys in its root that `other` has.
fn has_keys(text: &str, other: &str) -> bool {
    let [text, other] = [text, other].map(yaml_edit::Document::parse);
    match (text, other) {
        (Ok(text), Ok(other)) => other.keys(&[]).iter().all(|key| text.keys(&[]).contains(key)),
        _ => false,
    }
}

/// `line` with the value that `version` has, if it says a version; what stands behind it stays.
fn with_version(line: &str, version: &str) -> String {
    let value = |line: &str| line.split_whitespace().nth(1).unwrap_or_default().to_owned();
    match is_version(line) {
        true => line.replacen(&value(line), &value(version), 1),
        false => line.to_owned(),
    }
}

fn is_version(line: &str) -> bool {
    line.starts_with("version: ")
}
