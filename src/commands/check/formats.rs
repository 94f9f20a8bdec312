//! What other programs than people and scripts read of `check`: GitLab's code quality report and JUnit's XML.
//!
//! Formats: GitLab, "Code Quality report format" (docs.gitlab.com, `ci/testing/code_quality`); the `JUnit` schema as GitLab and
//! Jenkins read it.

use super::typed;
use crate::checks::{Check, Status};
use crate::cli::Format;
use crate::error::Result;
use quick_xml::Writer;
use quick_xml::events::BytesText;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use std::collections::BTreeMap;
use std::path::Path;

/// `checks` of the repository at `root` in `format`. `is_bad` says which of them count as problems.
pub(super) fn document(
    format: Format,
    checks: &[Check],
    root: &Path,
    is_bad: impl Fn(&Check) -> bool,
) -> Result<String> {
    match format {
        Format::Gitlab => Ok(code_quality(checks, root)),
        Format::Junit => Ok(junit(checks, root, is_bad)?),
    }
}

/// An array of findings; what is ok is none.
fn code_quality(checks: &[Check], root: &Path) -> String {
    let mut seen = BTreeMap::new();
    let found = checks.iter().filter_map(|check| {
        let severity = match check.status {
            Status::Problem => "critical",
            Status::Warning => "minor",
            Status::Note => "info",
            Status::Ok => return None,
        };
        // Stable from day to day: a message may count days.
        let subject = (check.id, check.subject.as_str());
        let number = *seen.entry(subject).and_modify(|number| *number += 1).or_insert(0);
        Some(json!({
            "description": said(check, root),
            "check_name": check.id,
            "fingerprint": fingerprint(check, number),
            "severity": severity,
            "location": {"path": path(check, root), "lines": {"begin": 1}},
        }))
    });
    format!("{:#}\n", Value::Array(found.collect()))
}

/// A test suite with a test a check.
fn junit(
    checks: &[Check],
    root: &Path,
    is_bad: impl Fn(&Check) -> bool,
) -> std::result::Result<String, std::io::Error> {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    let failures = checks.iter().filter(|check| is_bad(check)).count().to_string();
    let counts = [("tests", checks.len().to_string()), ("failures", failures), ("errors", "0".to_owned())];
    let counts = || counts.iter().map(|(name, number)| (*name, number.as_str()));
    writer.create_element("testsuites").with_attributes(counts()).write_inner_content(|writer| {
        let suite = writer.create_element("testsuite").with_attribute(("name", "makeinfra check"));
        suite.with_attributes(counts()).write_inner_content(|writer| {
            for check in checks {
                let (path, said) = (path(check, root), said(check, root));
                let case = writer.create_element("testcase").with_attributes([
                    ("classname", check.id.as_str()),
                    ("name", check.subject.as_str()),
                    ("file", path.as_str()),
                ]);
                if is_bad(check) {
                    case.write_inner_content(|writer| {
                        let failure = writer.create_element("failure");
                        let failure = failure.with_attribute(("message", check.message.as_str()));
                        failure.write_text_content(BytesText::new(&said)).map(drop)
                    })?;
                } else if check.status == Status::Ok {
                    case.write_empty()?;
                } else {
                    case.write_inner_content(|writer| {
                        writer
                            .create_element("system-out")
                            .write_text_content(BytesText::new(&said))
                            .map(drop)
                    })?;
                }
            }
            Ok(())
        })?;
        Ok(())
    })?;
    let body = String::from_utf8_lossy(&writer.into_inner()).into_owned();
    Ok(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{body}\n"))
}

/// What people are told.
fn said(check: &Check, root: &Path) -> String {
    let said = format!("{}: {}", check.subject, check.message);
    match check.hint.is_empty() {
        true => said,
        false => format!("{said}; hint: {}", typed(&check.hint, Some(root))),
    }
}

/// The file that it is about: the first that its subject names, else the record.
fn path(check: &Check, root: &Path) -> String {
    let words = check.subject.split(|c: char| c.is_whitespace() || "`(),:".contains(c));
    let is_file =
        |word: &&str| !word.is_empty() && !word.starts_with(['/', '.']) && root.join(word).is_file();
    words.into_iter().find(is_file).unwrap_or(crate::answers::Record::FILE).to_owned()
}

fn fingerprint(check: &Check, number: usize) -> String {
    let digest = Sha1::digest(format!("{}\0{}\0{number}", check.id.as_str(), check.subject));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
