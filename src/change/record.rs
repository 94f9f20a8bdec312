//! `.makeinfra.yaml`, which is what was answered, however it is written. Pure.

use super::merge;
use crate::answers::Record;
use crate::error::Result;

/// `ours` with the change from `ancestor` to `theirs`, the comments of people included; none where these would be lost.
pub(super) fn merged(ours: &str, ancestor: Option<&str>, theirs: &str) -> Result<Option<String>> {
    // It says which version wrote it, which is this one from now on.
    let version = theirs.lines().find(|line| is_version(line)).unwrap_or_default();
    let ours: String = ours
        .split_inclusive('\n')
        .map(|line| if is_version(line) { format!("{version}\n") } else { line.to_owned() })
        .collect();
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
    Ok(comments(&ours).iter().all(|line| known.contains(line)).then(|| theirs.to_owned()))
}

fn is_version(line: &str) -> bool {
    line.starts_with("version: ")
}
