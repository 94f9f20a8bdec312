//! `tests/vectors`: what its README promises to those who test their own programs with them.

use super::diagnose::CASES;
use super::examples::repo;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;

fn read(name: &str) -> Value {
    let text = fs::read_to_string(repo("tests/vectors").join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn readme() -> String {
    fs::read_to_string(repo("tests/vectors/README.md")).unwrap()
}

/// The rows of each table, with the place in the README where its fields are described.
fn tables() -> [(&'static str, Vec<Value>); 4] {
    let rows = |value: &Value| value.as_array().unwrap().clone();
    let keyring = read("keyring.json");
    [
        ("keyring.json", rows(&keyring["key_matches_image"])),
        ("keyring.json", rows(&keyring["secret_contents"])),
        ("docker-configs.json", rows(&read("docker-configs.json")["rows"])),
        ("pull-texts.json", rows(&read("pull-texts.json"))),
    ]
}

#[test]
fn the_readme_counts_the_rows_and_names_their_fields_and_words() {
    let readme = readme();
    let [matches, contents, configs, texts] = tables().map(|(_, rows)| rows.len());
    for (file, count) in [
        ("keyring.json](keyring.json)", format!("{matches} and {contents}")),
        ("docker-configs.json](docker-configs.json)", configs.to_string()),
        ("pull-failures/](pull-failures)", CASES.len().to_string()),
        ("pull-texts.json](pull-texts.json)", texts.to_string()),
    ] {
        let row = format!("| [{file} | {count} |");
        assert!(readme.contains(&row), "no row `{row}`");
    }
    for (file, rows) in tables() {
        let (_, section) = readme.split_once(&format!("\n## {file}\n")).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let mut words = BTreeSet::new();
        for row in &rows {
            let row = row.as_object().unwrap();
            words.extend(row.keys().map(String::as_str));
            for closed in ["refused_by", "where", "layer", "type"] {
                words.extend(
                    row.get(closed).and_then(Value::as_str).filter(|word| !word.is_empty()),
                );
            }
        }
        // What an earlier section says holds "as above".
        let above = readme.split_once(&format!("\n## {file}\n")).unwrap().0;
        for word in words {
            let named = format!("`{word}`");
            assert!(section.contains(&named) || above.contains(&named), "{file}: {word}");
        }
    }
}

#[test]
fn every_recorded_failure_is_listed_with_what_diagnose_says_of_it() {
    let readme = readme();
    let mut files: BTreeSet<String> = fs::read_dir(repo("tests/vectors/pull-failures"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for (name, with_secret, from_text, ..) in CASES {
        let file = format!("{name}.json");
        let row = readme.lines().find(|line| line.starts_with(&format!("| `{file}` |"))).unwrap();
        let id = |id: &str| if id.is_empty() { "-".to_owned() } else { format!("`{id}`") };
        let end = format!("| {} | {} |", id(from_text), id(with_secret));
        assert!(row.ends_with(&end), "{row} does not end with {end}");
        assert!(files.remove(&file), "{file}");
    }
    assert!(files.is_empty(), "{files:?}");
}

#[test]
fn causes_of_texts_are_ids_of_the_documented_causes() {
    let docs = fs::read_to_string(repo("docs/causes.md")).unwrap();
    for row in read("pull-texts.json").as_array().unwrap() {
        let cause = row["cause"].as_str().unwrap();
        assert!(docs.contains(&format!("`{cause}`")), "{cause}");
    }
}
