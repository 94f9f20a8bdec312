//! The documentation: every link is valid, each page begins with its question, and the tables of
//! ids match the program. `readme.rs` runs the commands.

use super::examples::repo;
use makeinfra::checks::{EnvironmentHint, Id};
use makeinfra::diagnosis::{Cause, Diagnosis};
use makeinfra::error::Outcome;
use std::fs;

/// The maximum length of the README.
const LINES_OF_README: usize = 120;

/// README, CONTRIBUTING and all of `docs/`: path and text.
pub fn pages() -> Vec<(String, String)> {
    let mut paths: Vec<_> =
        fs::read_dir(repo("docs")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    paths.sort();
    let docs = paths.iter().map(|name| format!("docs/{}", name.to_str().unwrap()));
    let paths = ["README.md", "CONTRIBUTING.md"].map(str::to_owned).into_iter().chain(docs);
    paths.map(|path| (path.clone(), page(&path))).collect()
}

pub fn page(path: &str) -> String {
    fs::read_to_string(repo(path)).unwrap()
}

/// The lines of a page's shell blocks, without comments.
pub fn commands(text: &str) -> Vec<String> {
    let blocks = text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let lines =
        blocks.flat_map(str::lines).map(|line| line.split("  #").next().unwrap().trim().to_owned());
    lines.filter(|line| !line.is_empty()).collect()
}

/// The lines of a page outside blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_block = false;
    text.lines().filter(move |line| {
        let is_fence = line.starts_with("```");
        in_block ^= is_fence;
        !in_block && !is_fence
    })
}

/// The anchor of a heading, as forges generate it: letters, digits, `-` and `_` in lower case,
/// blanks as `-`.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || "-_ ".contains(*c);
    heading
        .trim()
        .to_lowercase()
        .chars()
        .filter(kept)
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

fn anchors(text: &str) -> Vec<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#'))).collect()
}

/// The targets of all links and pictures of a page.
fn links(text: &str) -> Vec<&str> {
    prose(text)
        .flat_map(|line| line.split("](").skip(1))
        .map(|rest| rest.split(')').next().unwrap())
        .collect()
}

/// The ids in the first column of the tables of `text`.
fn ids(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(id, _)| id)
        .collect()
}

/// The text below the heading `title`, up to the next heading of its level or above.
#[track_caller]
fn section<'t>(text: &'t str, title: &str) -> &'t str {
    let rest = text.split_once(&format!("\n{title}\n")).unwrap_or_else(|| panic!("no `{title}`")).1;
    let level = title.split(' ').next().unwrap().len();
    let ends = (2..=level).filter_map(|level| rest.find(&format!("\n{} ", "#".repeat(level))));
    &rest[..ends.min().unwrap_or(rest.len())]
}

#[test]
fn every_link_leads_somewhere() {
    let others = ["ARCHITECTURE.md", "CHANGELOG.md", "examples/ansible/README.md"];
    let others = others.map(|path| (path.to_owned(), page(path)));
    let mut wrong = Vec::new();
    let mut count = 0;
    for (path, text) in pages().into_iter().chain(others) {
        for link in links(&text).into_iter().filter(|link| !link.contains("://")) {
            count += 1;
            let (file, heading) =
                link.split_once('#').map_or((link, None), |(file, heading)| (file, Some(heading)));
            let target = match file {
                "" => repo(&path),
                file => repo(&path).parent().unwrap().join(file),
            };
            let has = |heading| {
                anchors(&fs::read_to_string(&target).unwrap()).contains(&str::to_owned(heading))
            };
            if !target.exists() || heading.is_some_and(|heading| !has(heading)) {
                wrong.push(format!("{path}: {link}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 50, "{count}");
}

#[test]
fn the_readme_is_short_and_leads_to_every_page() {
    let readme = page("README.md");
    assert!(readme.lines().count() <= LINES_OF_README, "{} lines", readme.lines().count());
    let links = links(&readme);
    for (path, _) in pages().iter().skip(1) {
        assert!(links.iter().any(|link| link.split('#').next() == Some(path)), "{path}");
    }
}

#[test]
fn every_page_begins_with_its_question_and_an_answer() {
    for (path, text) in pages().iter().skip(1) {
        let mut paragraphs = text.split("\n\n");
        assert!(paragraphs.next().unwrap().starts_with("# "), "{path}");
        assert!(paragraphs.next().unwrap().ends_with('?'), "{path}");
        for line in prose(text).filter(|line| !line.starts_with('|')) {
            assert!(line.chars().count() <= 120, "{path}: {line}");
        }
    }
}

#[test]
fn the_page_of_checks_has_them_all() {
    let text = page("docs/checks.md");
    let mut listed = ids(section(&text, "## All checks"));
    let mut all: Vec<_> = Id::ALL.iter().map(|id| id.as_str()).collect();
    listed.sort_unstable();
    all.sort_unstable();
    assert_eq!(listed, all);
}

#[test]
fn the_page_of_causes_has_them_all_by_what_follows() {
    let text = page("docs/causes.md");
    let text = section(&text, "## All causes");
    let with = |outcome: Outcome| {
        let follows = |cause: &&Cause| {
            Diagnosis::of(**cause, None, "", "", EnvironmentHint::default()).outcome() == outcome
        };
        Cause::ALL.iter().filter(follows).map(|cause| cause.id()).collect::<Vec<_>>()
    };
    assert_eq!(ids(section(text, "### Undetermined")), with(Outcome::Unknown));
    let mut notes = ids(section(text, "### Notes"));
    notes.sort_unstable();
    let mut expected = with(Outcome::Done);
    expected.sort_unstable();
    assert_eq!(notes, expected);
    let mut listed = ids(text);
    let mut all: Vec<_> = Cause::ALL.iter().map(|cause| cause.id()).collect();
    listed.sort_unstable();
    all.sort_unstable();
    assert_eq!(listed, all);
}

#[test]
fn an_anchor_is_as_forges_make_it() {
    assert_eq!(anchor(" What `check` looks at: all"), "what-check-looks-at-all");
    assert_eq!(anchor("CI & more"), "ci--more");
}
