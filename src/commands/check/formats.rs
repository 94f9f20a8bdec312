//! Machine-readable formats of `check`: GitLab's code quality report and JUnit XML.
//!
//! Formats: GitLab, "Code Quality report format" (docs.gitlab.com, `ci/testing/code_quality`); the
//! `JUnit` schema as GitLab and Jenkins read it.

use super::typed;
use crate::answers::Record;
use crate::checks::{Check, Status};
use crate::cli::Format;
use quick_xml::Writer;
use quick_xml::events::BytesText;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path};

/// The location of the findings.
pub(super) struct ReportLocation<'p> {
    /// The top of the repository.
    pub(super) root: &'p Path,
    /// Path of the repository in git's work tree with a trailing slash, as a prefix of all paths.
    pub(super) folder: &'p str,
}

/// `checks` in `format`. `is_bad` tells which of them count as problems.
pub(super) fn document(
    format: Format,
    checks: &[Check],
    place: &ReportLocation,
    is_bad: impl Fn(&Check) -> bool,
) -> String {
    match format {
        Format::Gitlab => code_quality(checks, place),
        Format::Junit => junit(checks, place, is_bad).expect("writing to memory does not fail"),
    }
}

/// An array of findings, without checks that are ok.
fn code_quality(checks: &[Check], place: &ReportLocation) -> String {
    let mut seen = Occurrences::default();
    let found = checks.iter().filter_map(|check| {
        let severity = match check.status {
            Status::Problem => "critical",
            Status::Warning => "minor",
            Status::Note => "info",
            Status::Ok => return None,
        };
        // Digits are removed because a message may count days, and the fingerprint must stay the
        // same.
        let message: String = check.message.chars().filter(|c| !c.is_ascii_digit()).collect();
        let known = format!("{}\0{}\0{message}", check.id.as_str(), check.subject);
        let number = seen.next(&known);
        Some(json!({
            "description": text_with_hint(check, place),
            "check_name": check.id,
            "fingerprint": hex(&format!("{known}\0{number}")),
            "severity": severity,
            "location": {"path": path(check, place), "lines": {"begin": 1}},
        }))
    });
    format!("{:#}\n", Value::Array(found.collect()))
}

/// A test suite with one test per check. GitLab only shows the first of several tests with the same
/// name, so names are unique.
fn junit(
    checks: &[Check],
    place: &ReportLocation,
    is_bad: impl Fn(&Check) -> bool,
) -> io::Result<String> {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    let failures = checks.iter().filter(|check| is_bad(check)).count().to_string();
    let counts =
        [("tests", checks.len().to_string()), ("failures", failures), ("errors", "0".to_owned())];
    let counts = || counts.iter().map(|(name, number)| (*name, number.as_str()));
    let mut seen = Occurrences::default();
    writer.create_element("testsuites").with_attributes(counts()).write_inner_content(
        |writer| {
            let suite =
                writer.create_element("testsuite").with_attribute(("name", "makeinfra check"));
            suite.with_attributes(counts()).write_inner_content(|writer| {
                for check in checks {
                    let number = seen.next(&format!("{}\0{}", check.id.as_str(), check.subject));
                    let suffix = if number > 1 { format!(" ({number})") } else { String::new() };
                    let name = allowed(&format!("{}{suffix}", check.subject));
                    let (path, text) =
                        (allowed(&path(check, place)), allowed(&text_with_hint(check, place)));
                    let case = writer.create_element("testcase").with_attributes([
                        ("classname", check.id.as_str()),
                        ("name", name.as_str()),
                        ("file", path.as_str()),
                    ]);
                    if is_bad(check) {
                        case.write_inner_content(|writer| {
                            let message = allowed(&check.message);
                            let failure = writer.create_element("failure");
                            let failure = failure.with_attribute(("message", message.as_str()));
                            failure.write_text_content(BytesText::new(&text)).map(drop)
                        })?;
                    } else if check.status == Status::Ok {
                        case.write_empty()?;
                    } else {
                        case.write_inner_content(|writer| {
                            writer
                                .create_element("system-out")
                                .write_text_content(BytesText::new(&text))
                                .map(drop)
                        })?;
                    }
                }
                Ok(())
            })?;
            Ok(())
        },
    )?;
    let body = String::from_utf8_lossy(&writer.into_inner()).into_owned();
    Ok(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{body}\n"))
}

/// How often each text has occurred.
#[derive(Default)]
struct Occurrences(BTreeMap<String, usize>);

impl Occurrences {
    /// Number of occurrences of `text`, including this one.
    fn next(&mut self, text: &str) -> usize {
        let number = self.0.entry(text.to_owned()).or_default();
        *number += 1;
        *number
    }
}

/// The text for people.
fn text_with_hint(check: &Check, place: &ReportLocation) -> String {
    let text = format!("{}: {}", check.subject, check.message);
    if check.hint.is_empty() {
        text
    } else {
        format!("{text}; hint: {}", typed(&check.hint, Some(place.root)))
    }
}

/// The file of the finding: the subject, or the first path in the subject or the hint; otherwise
/// the record.
fn path(check: &Check, place: &ReportLocation) -> String {
    let hint = typed(&check.hint, Some(place.root));
    let words = |text: &str| -> Vec<String> {
        text.split(|c: char| c.is_whitespace() || "`(),:'\"".contains(c))
            .map(str::to_owned)
            .collect()
    };
    let named = [vec![check.subject.clone()], words(&check.subject), words(&hint)].concat();
    let is_below =
        |word: &str| Path::new(word).components().all(|part| matches!(part, Component::Normal(_)));
    let is_file =
        |word: &String| !word.is_empty() && is_below(word) && place.root.join(word).is_file();
    let found = named.into_iter().find(is_file).unwrap_or_else(|| Record::FILE.to_owned());
    format!("{}{found}", place.folder)
}

fn hex(text: &str) -> String {
    Sha1::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `text` without the two characters that are not control characters but that XML 1.0 excludes.
fn allowed(text: &str) -> String {
    text.replace(['\u{fffe}', '\u{ffff}'], "?")
}
