//! YAML: values, edits in place, merges.

use super::{files, fuzz, is_bounded, parts, quotes_no_token, text};
use makeinfra::yaml::{read, read_all};
use makeinfra::yaml_edit::{self, Document, Edited, Merged, Step};
use serde_yaml::Value;

const WORDS: [&str; 52] = [
    "---\n",
    "...\n",
    "- ",
    "? ",
    ": ",
    "a: ",
    "{",
    "}",
    "[",
    "]",
    ", ",
    "|\n",
    "|-\n",
    "|+\n",
    ">\n",
    "|2\n",
    "&a ",
    "*a",
    "<<: *a",
    "!t ",
    "!!str ",
    "%YAML 1.2\n",
    "# comment\n",
    " # behind",
    "null",
    "~",
    "{}",
    "[]",
    "\"a\\nb\"",
    "'it''s'",
    "\n  ",
    "\n    ",
    "\n\n",
    "\t",
    "yes",
    "0x10",
    "1e3",
    ".nan",
    "2001-12-14",
    "\u{85}",
    "\u{2028}",
    "a:\n  b: c\n",
    "- a: 1\n  b: 2\n",
    "key: value\n",
    "\"",
    "'",
    "\\\n",
    "kind: Secret\n",
    "spec:\n",
    "name: a\n",
    "\n%%\n",
    "resources:\n  - a.yaml\n",
];

const MANIFESTS: [&str; 4] = [
    "examples/hello-infra/.makeinfra.yaml",
    "examples/hello-infra/kubernetes/overlays/production/kustomization.yaml",
    "examples/hello-infra/kubernetes/base/deployment.yaml",
    "tests/data/helm-template.yaml",
];

#[test]
fn a_yaml_text_is_read_or_refused_without_a_quote() {
    fuzz("yaml", &WORDS, files(&MANIFESTS), |bytes| {
        let Some(text) = text(bytes) else { return };
        let all = read_all(text);
        match read::<Value>(text) {
            Ok(one) => {
                // Only one of the parsers applies merge keys.
                let is_plain = !text.contains("<<");
                assert!(
                    !is_plain
                        || all.is_err()
                        || all.is_ok_and(|all| all.is_empty() || all == [one])
                );
            }
            Err(fault) => quotes_no_token(&fault.to_string()),
        }
    });
}

/// The paths of all keys of a document, parents first.
fn paths(document: &Document) -> Vec<Vec<String>> {
    let mut found: Vec<Vec<String>> = vec![Vec::new()];
    let mut at = 0;
    while at < found.len() && found.len() < 40 {
        let path: Vec<&str> = found[at].iter().map(String::as_str).collect();
        let below: Vec<Vec<String>> = document
            .keys(&path)
            .iter()
            .map(|key| path.iter().chain([key]).map(|key| (*key).to_owned()).collect())
            .collect();
        found.extend(below);
        at += 1;
    }
    found.split_off(1)
}

/// The value at `path` according to another parser.
fn at<'v>(value: &'v mut Value, path: &[&str]) -> Option<&'v mut Value> {
    path.iter().try_fold(value, |value, key| value.get_mut(*key))
}

/// Whether `other` contains all lines of `one`, in order.
fn has_all_lines(one: &str, other: &str) -> bool {
    // A byte order mark stays in place, whichever line comes first.
    let [one, other] = [one, other].map(|text| text.strip_prefix('\u{feff}').unwrap_or(text));
    let mut left = other.lines();
    one.lines().all(|line| left.any(|found| found == line))
}

/// Fails unless an edit followed by its inverse restores `text`, except that line breaks become
/// those of the first line.
fn is_undone(text: &str, removed: Option<String>) {
    let bare = |text: &str| text.trim_end().replace("\r\n", "\n");
    match removed {
        Some(removed) => assert_eq!(bare(&removed), bare(text)),
        // The result must not be unreadable for another parser, unless the input was.
        None => assert!(read::<Value>(text).is_err()),
    }
}

fn edited(result: Edited) -> Option<String> {
    match result {
        Ok(text) => Some(text.to_string()),
        Err(refusal) => {
            quotes_no_token(refusal);
            None
        }
    }
}

/// Fails unless another parser agrees that `after` is `before` with `value` at `path`.
fn agrees(before: &str, after: &str, path: &[&str], value: Option<&str>) {
    let Ok(mut before) = read::<Value>(before) else { return };
    let mut after = read::<Value>(after).unwrap();
    let Some(value) = value else {
        assert!(at(&mut after, path).is_none());
        return;
    };
    // A key that is not a string has another name there.
    let Some(found) = at(&mut after, path) else { return };
    assert_eq!(found, value);
    if let Some(old) = at(&mut before, path) {
        *found = old.clone();
        assert_eq!(after, before);
    }
}

#[test]
fn an_edit_that_succeeds_is_one_for_every_parser_and_keeps_the_other_lines() {
    const VALUES: [&str; 6] = ["new", "a: b # c", "\"\\", "line\nline\n", "", "\u{feff}ä\0"];
    fuzz("yaml-edit", &WORDS, files(&MANIFESTS), |bytes| {
        let Some(text) = text(bytes) else { return };
        let Ok(document) = Document::parse(text) else { return };
        let paths = paths(&document);
        let Some(path) = paths.get(bytes.len() % paths.len().max(1)) else { return };
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let value = VALUES[bytes.len() % VALUES.len()];
        if let Some(after) = edited(yaml_edit::set(text, &path, value)) {
            assert_eq!(Document::parse(&after).unwrap().scalar(&path).unwrap_or_default(), value);
            agrees(text, &after, &path, Some(value));
            is_bounded(after.len(), text.len());
            // Repeating the edit changes nothing.
            assert_eq!(edited(yaml_edit::set(&after, &path, value)).as_ref(), Some(&after));
        }
        let beside = [&path[..path.len() - 1], &["brand-new"]].concat();
        if let Some(after) = edited(yaml_edit::set(text, &beside, value)) {
            agrees(text, &after, &beside, Some(value));
            assert!(has_all_lines(text, &after), "{after}");
            is_undone(text, edited(yaml_edit::remove(&after, &beside)));
        }
        if let Some(after) = edited(yaml_edit::remove(text, &path)) {
            agrees(text, &after, &path, None);
            assert!(has_all_lines(&after, text), "{after}");
        }
        if let Some(after) = edited(yaml_edit::rename_key(text, &path, "brand-new")) {
            assert!(
                document.keys(&path[..path.len() - 1]).len()
                    == Document::parse(&after).unwrap().keys(&path[..path.len() - 1]).len()
            );
            assert_eq!(after.lines().count(), text.lines().count());
        }
        let steps: Vec<Step> = path.iter().map(|key| Step::Key(key)).collect();
        let count = document.count(&steps);
        if let Some(after) = edited(yaml_edit::push(text, &steps, "name: x\nvalue: y")) {
            assert_eq!(Document::parse(&after).unwrap().count(&steps), count + 1);
            if count > 0 {
                assert!(has_all_lines(text, &after), "{after}");
                let last = [&steps[..], &[Step::Item(count)]].concat();
                is_undone(text, edited(yaml_edit::remove_item(&after, &last)));
            }
        }
        if let Some(after) = edited(yaml_edit::graft(text, &beside, text, &path)) {
            assert!(has_all_lines(text, &after) || after.len() > text.len(), "{after}");
        }
    });
}

#[test]
fn a_merge_with_nothing_changed_gives_the_other_side() {
    fuzz("yaml-merge", &WORDS, files(&MANIFESTS[1..2]), |bytes| {
        let Some(parts) = parts(bytes) else { return };
        let [base, ours, theirs] = match parts[..] {
            [one] => [one, one, one],
            [one, other] => [one, one, other],
            [base, ours, theirs, ..] => [base, ours, theirs],
            [] => return,
        };
        match yaml_edit::three_way(base, ours, theirs) {
            Ok(Merged::Clean(merged)) => {
                assert!(Document::parse(&merged).is_ok());
                is_bounded(merged.len(), bytes.len());
            }
            Ok(Merged::Conflict(fields)) => {
                assert!(!fields.is_empty() && base != theirs && base != ours);
            }
            Err(refusal) => quotes_no_token(refusal),
        }
        if let Ok(Merged::Clean(merged)) = yaml_edit::three_way(base, ours, base) {
            assert_eq!(&*merged, ours);
        }
        if let Ok(added) = yaml_edit::add(ours, base, theirs) {
            assert!(Document::parse(&added).is_ok());
        }
    });
}
