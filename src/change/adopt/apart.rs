//! Moves Secrets that share a file with other objects to files of their own; the rest of each file
//! keeps its bytes. Pure.

use super::layout::Layout;
use super::survey::{Survey, is_below, is_secret};
use crate::change::objects::{self, at, text};
use crate::change::{Bytes, Files, WorkTreeFile};
use crate::error::Result;
use crate::pull_secret::Inspected;
use crate::yaml_edit::{self, Step};
use serde_yaml::Value;
use std::collections::{BTreeMap, BTreeSet};
use zeroize::Zeroizing;

/// A Secret that was extracted from a file.
pub(super) struct ExtractedSecret {
    /// The file that contained it.
    pub(super) path: String,
    pub(super) document: Value,
    pub(super) text: Bytes,
}

/// The files and the Secrets extracted from them.
pub(super) struct ExtractedSecrets {
    /// The files without the extracted Secrets.
    pub(super) files: Files,
    pub(super) parts: Vec<ExtractedSecret>,
}

impl ExtractedSecrets {
    /// Extracts Secrets from files that also have other objects, unless that would change the
    /// cluster.
    pub(super) fn of(files: &Files, limits: &[String], tracked: &BTreeSet<String>) -> Result<Self> {
        let mut apart = Self { files: copy(files), parts: Vec::new() };
        let mut rests = BTreeMap::new();
        for (path, documents) in &Survey::of(files, limits).manifests {
            let wanted = wanted(path, documents);
            let split = files.bytes(path)?.filter(|_| !wanted.is_empty());
            if let Some((rest, parts)) =
                split.and_then(|bytes| split_off(path, bytes, documents, &wanted))
            {
                rests.insert(path.clone(), rest);
                apart.parts.extend(parts);
            }
        }
        if rests.is_empty() {
            return Ok(apart);
        }
        for (path, rest) in rests {
            if let Some(found) = apart.files.get(&path).cloned() {
                apart.files.insert(path, WorkTreeFile { content: Ok(rest), ..found });
            }
        }
        let survey = Survey::of(&apart.files, limits);
        let layout = Layout::of(&survey, tracked)?;
        // An undeployed file may be a copy by a killed run.
        apart.keep(files, |path| {
            !layout.is_deployed(path) || layout.can_be_kept_apart(path, &survey)
        });
        Ok(apart)
    }

    /// Reverts the extraction for the files for which `taken` is false.
    pub(super) fn keep(&mut self, files: &Files, taken: impl Fn(&str) -> bool) {
        let (taken, whole): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.parts).into_iter().partition(|part| taken(&part.path));
        for part in whole {
            if let Some(found) = files.get(&part.path) {
                self.files.insert(part.path, found.clone());
            }
        }
        self.parts = taken;
    }
}

fn copy(files: &Files) -> Files {
    let mut all = Files::default();
    for (path, found) in files.iter() {
        all.insert(path.to_owned(), found.clone());
    }
    all
}

/// Indices of the documents to extract: every Secret among other objects, and pull secrets among
/// other Secrets.
fn wanted(path: &str, documents: &[Value]) -> BTreeSet<usize> {
    let all = || documents.iter().enumerate();
    if !is_secret(documents) {
        let secrets =
            all().filter(|(_, one)| is_secret(std::slice::from_ref(one)) && has_plain_name(one));
        return if is_below(path, "secrets") {
            BTreeSet::new()
        } else {
            secrets.map(|(at, _)| at).collect()
        };
    }
    let pulls = all().filter(|(_, one)| Inspected::of(one).is_some() && has_plain_name(one));
    let mut pulls: BTreeSet<_> = pulls.map(|(at, _)| at).collect();
    if pulls.len() == documents.len() {
        pulls.pop_first();
    }
    pulls
}

/// Whether the object's name can be a file name.
fn has_plain_name(object: &Value) -> bool {
    let is_plain =
        |name: &str| name.bytes().all(|c| c.is_ascii_alphanumeric() || b"-.".contains(&c));
    text(object, &["metadata", "name"]).is_some_and(|name| is_plain(name) && !name.starts_with('.'))
}

/// `bytes` without the documents `wanted`, and these. `None` if splitting the text does not give
/// exactly these documents.
fn split_off(
    path: &str,
    bytes: &Bytes,
    documents: &[Value],
    wanted: &BTreeSet<usize>,
) -> Option<(Bytes, Vec<ExtractedSecret>)> {
    let mut rest = Zeroizing::new(String::new());
    let mut parts = Vec::new();
    let mut first = 0;
    for chunk in chunks(std::str::from_utf8(bytes).ok()?) {
        let count = objects::documents(chunk.as_bytes()).len();
        let places: Vec<_> = wanted.range(first..first + count).map(|at| at - first).collect();
        let own = documents.get(first..first + count)?;
        first += count;
        let is_list = at(&objects::first(chunk), &["items"]).is_some();
        if places.is_empty() {
            rest.push_str(chunk);
            continue;
        }
        for &place in &places {
            let text = if is_list {
                Zeroizing::new(serde_yaml::to_string(&own[place]).ok()?.into_bytes())
            } else {
                Zeroizing::new(without_marker(chunk).as_bytes().to_vec())
            };
            parts.push(ExtractedSecret {
                path: path.to_owned(),
                document: own[place].clone(),
                text,
            });
        }
        if is_list && places.len() < count {
            let mut list = Zeroizing::new(chunk.to_owned());
            for place in places.iter().rev() {
                list = yaml_edit::remove_item(&list, &[Step::Key("items"), Step::Item(*place)])
                    .ok()?;
            }
            rest.push_str(&list);
        }
    }
    let rest = Zeroizing::new(rest.as_bytes().to_vec());
    let kept =
        documents.iter().enumerate().filter(|(at, _)| !wanted.contains(at)).map(|(_, one)| one);
    let is_right = objects::documents(&rest).iter().eq(kept)
        && parts.len() == wanted.len()
        && parts.iter().all(|part| objects::documents(&part.text) == [part.document.clone()]);
    is_right.then_some((rest, parts))
}

/// The documents of a text, each starting with its `---`. No value has that at the beginning of a
/// line.
fn chunks(text: &str) -> Vec<&str> {
    let mut chunks = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        if at > start && is_marker(line) {
            chunks.push(&text[start..at]);
            start = at;
        }
        at += line.len();
    }
    chunks.push(&text[start..]);
    chunks
}

fn is_marker(line: &str) -> bool {
    line.strip_prefix("---")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

/// `chunk` without a first line that is only a marker.
fn without_marker(chunk: &str) -> &str {
    match chunk.split_once('\n') {
        Some((line, rest)) if line.trim_end() == "---" => rest,
        _ => chunk,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str =
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: one # ours\nstringData:\n  a: b\n";
    const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: map}\ndata: {a: '---'}\n";

    fn split(text: &str) -> Option<(String, Vec<String>)> {
        let bytes = Zeroizing::new(text.as_bytes().to_vec());
        let documents = objects::documents(&bytes);
        let wanted = wanted("k8s/all.yaml", &documents);
        let (rest, parts) = split_off("k8s/all.yaml", &bytes, &documents, &wanted)?;
        let read = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        Some((read(&rest), parts.iter().map(|part| read(&part.text)).collect()))
    }

    #[test]
    fn documents_keep_their_bytes() {
        let own = vec![SECRET.to_owned()];
        for (text, rest) in [
            (format!("{MAP}---\n{SECRET}"), MAP.to_owned()),
            (format!("{SECRET}---\n{MAP}"), format!("---\n{MAP}")),
            (
                format!("# top\n---\n{MAP}---\n{SECRET}--- # more\n{MAP}"),
                format!("# top\n---\n{MAP}--- # more\n{MAP}"),
            ),
        ] {
            assert_eq!(split(&text), Some((rest, own.clone())), "{text}");
        }
        let windows = format!("{MAP}---\n{SECRET}").replace('\n', "\r\n");
        let expected = (MAP.replace('\n', "\r\n"), vec![SECRET.replace('\n', "\r\n")]);
        assert_eq!(split(&windows), Some(expected));
    }

    #[test]
    fn a_list_loses_its_item_alone() {
        let item = |text: &str| format!("- {}", text.trim_end().replace('\n', "\n  ") + "\n");
        let head = "apiVersion: v1\nkind: List\nitems:\n";
        let list = format!("{head}# first\n{}{}", item(MAP), item(SECRET));
        let (rest, parts) = split(&list).unwrap();
        assert_eq!(rest, format!("{head}# first\n{}", item(MAP)));
        assert_eq!(objects::documents(parts[0].as_bytes()), objects::documents(SECRET.as_bytes()));
        // JSON is not edited.
        let json = r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"one"}}"#;
        let map = json.replace("Secret", "ConfigMap");
        assert_eq!(split(&format!(r#"{{"kind":"List","items":[{json},{map}]}}"#)), None);
    }

    #[test]
    fn names_that_are_paths_and_values_like_markers_are_left() {
        assert_eq!(
            split(&format!("{MAP}---\n{}", SECRET.replace("one", "../one"))),
            Some((format!("{MAP}---\n{}", SECRET.replace("one", "../one")), Vec::new()))
        );
        let block = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: map}\ndata:\n  a: |\n    x\n    ---\n    y\n";
        assert_eq!(split(&format!("{SECRET}---\n{block}")).unwrap().0, format!("---\n{block}"));
    }
}
