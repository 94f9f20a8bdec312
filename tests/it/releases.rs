//! The archive of released templates: it never changes, and always renders the same files.

use super::examples::{repo, update};
use super::matrix;
use super::support::{Sandbox, files_below, have};
use git2::{ObjectType, Oid};
use makeinfra::answers::{Record, Version};
use makeinfra::templates::{Archive, Kind, TemplateSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// The id of everything that a record renders to with `set`: all paths, modes and contents.
fn rendered(set: &TemplateSet, record: &Record) -> Oid {
    let mut list = String::new();
    for file in set.render(&record.answers, &[]).unwrap() {
        let mode = if file.kind == Kind::Executable { "755" } else { "644" };
        let id = Oid::hash_object(ObjectType::Blob, file.text.expose().as_bytes()).unwrap();
        writeln!(list, "{mode} {id} {}", file.path).unwrap();
    }
    Oid::hash_object(ObjectType::Blob, list.as_bytes()).unwrap()
}

/// The stored line for a version: an id and the answers of each row of the matrix, as JSON.
fn kept(version: &str, set: &TemplateSet) -> String {
    let line = |tree: &matrix::Tree| {
        let text = fs::read_to_string(tree.root.join(Record::FILE)).unwrap();
        let value: serde_json::Value = serde_yaml::from_str(&text).unwrap();
        let record = record(version, &value["answers"]);
        format!("{} {}\n", rendered(set, &record), value["answers"])
    };
    matrix::matrix().iter().map(line).collect()
}

fn record(version: &str, answers: &serde_json::Value) -> Record {
    Record::parse(format!("template: default\nversion: \"{version}\"\nanswers: {answers}\n"))
        .unwrap()
}

/// The rows of `kept` whose result has changed.
fn changed(version: &str, set: &TemplateSet, kept: &str) -> Vec<String> {
    let rows = kept.lines().map(|line| line.split_once(' ').unwrap());
    rows.filter(|(id, answers)| {
        let answers = serde_json::from_str(answers).unwrap();
        rendered(set, &record(version, &answers)).to_string() != *id
    })
    .map(|(_, answers)| answers.to_owned())
    .collect()
}

#[test]
fn each_released_version_is_as_it_was_released() {
    let archive = Archive::embedded();
    for version in archive.versions() {
        let set = archive.find(&version).unwrap();
        let list = fs::read_to_string(repo(&format!("releases/versions/{version}"))).unwrap();
        let listed = list.lines().map(|line| line.split_once(' ').unwrap());
        for ((id, path), (found, text)) in listed.zip(set.files()) {
            assert_eq!(path, found, "{version}");
            let now = Oid::hash_object(ObjectType::Blob, text.as_bytes()).unwrap().to_string();
            assert_eq!(now, id, "{version}: {path} was changed");
        }
        let file = repo(&format!("releases/rendered/{version}"));
        if update() && !file.exists() {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, kept(&version.to_string(), &set)).unwrap();
        }
        let kept = fs::read_to_string(&file).expect("make release writes it");
        assert_eq!(
            changed(&version.to_string(), &set, &kept),
            [""; 0],
            "{version} renders something else"
        );
    }
}

#[test]
fn what_a_version_renders_is_told_from_what_another_one_does() {
    let own = TemplateSet::embedded();
    let kept = kept(own.version(), &own);
    assert!(kept.lines().count() > 50);
    assert_eq!(changed(own.version(), &own, &kept), [""; 0]);
    let files =
        own.files().map(|(path, text)| (path.to_owned(), text.replace("Creates", "creates")));
    let other = TemplateSet::new(own.version(), files.map(|(path, text)| (path, text + "\n")));
    assert_eq!(changed(own.version(), &other, &kept).len(), kept.lines().count());
}

/// Copies what `releases/add` reads.
fn copy(sandbox: &Sandbox) {
    let copied = |below: &str| {
        for file in files_below(&repo(below)) {
            sandbox
                .write(&format!("work/{below}/{file}"), fs::read(repo(below).join(&file)).unwrap());
        }
    };
    copied("templates");
    copied("releases");
    fs::copy(repo("Cargo.toml"), sandbox.work("Cargo.toml")).unwrap();
}

/// The archive below `dir`.
fn archive(dir: &Path) -> Archive {
    let read = |path: String| (path.clone(), fs::read_to_string(dir.join(path)).unwrap());
    Archive::new(files_below(dir).into_iter().map(read))
}

#[test]
fn a_release_adds_its_templates_once_and_never_changes_them() {
    if !have("git") {
        return;
    }
    let sandbox = Sandbox::new();
    copy(&sandbox);
    let add = |sandbox: &Sandbox| sandbox.run("sh", &["releases/add"]);
    let version = env!("CARGO_PKG_VERSION");
    let is_new = !repo(&format!("releases/versions/{version}")).exists();
    if is_new {
        add(&sandbox).success().prints(&format!("{version}: "));
    }
    add(&sandbox).success();
    let raised = fs::read_to_string(sandbox.work("Cargo.toml")).unwrap();
    let raised =
        raised.replacen(&format!("version = \"{version}\""), "version = \"0.2.0-rc.9\"", 1);
    fs::write(sandbox.work("templates/new file"), "text\n").unwrap();
    add(&sandbox).failure(1).says("differ from templates/").says("raise the version");
    fs::write(sandbox.work("Cargo.toml"), raised).unwrap();
    let before = files_below(&sandbox.work("releases/files")).len();
    add(&sandbox).success().prints("0.2.0-rc.9: ");
    assert_eq!(
        files_below(&sandbox.work("releases/files")).len(),
        before + 1,
        "versions share files"
    );
    let next =
        archive(&sandbox.work("releases")).find(&Version::parse("0.2.0-rc.9").unwrap()).unwrap();
    let embedded = TemplateSet::embedded();
    let shared: Vec<_> = next.files().filter(|(path, _)| *path != "new file").collect();
    assert_eq!(shared, embedded.files().collect::<Vec<_>>());
    assert_eq!(next.files().count(), shared.len() + 1);
}

#[test]
fn files_of_the_archive_are_used() {
    // There are none until a version is released.
    let below = |dir: &str| {
        let dir = repo(dir);
        if dir.exists() { files_below(&dir) } else { Vec::new() }
    };
    let list =
        |version: &String| fs::read_to_string(repo("releases/versions").join(version)).unwrap();
    let named: String = below("releases/versions").iter().map(list).collect();
    let unused: Vec<_> =
        below("releases/files").into_iter().filter(|id| !named.contains(id)).collect();
    assert_eq!(unused, [""; 0]);
}

#[test]
fn only_whole_parts_of_a_path_are_markers() {
    let files = [
        ("docs/WORKLOADS.md", "a"),
        ("docs/ENVIRONMENT.md", "b"),
        ("COMPONENTS.md", "c"),
        ("docs/COMPONENT/WORKLOAD.md", "d"),
        ("docs/ENV.md", "e"),
        ("DATABASE.yaml", "f"),
        ("docs/dot_x/executable_run", "g"),
    ];
    let set =
        TemplateSet::new("0.2.0", files.map(|(path, text)| (path.to_owned(), text.to_owned())));
    let answers = serde_json::json!({
        "project": "hello", "image": "registry.gitlab.com/group/hello:1", "registry": "registry.gitlab.com",
        "environments": {"staging": {}, "live": {}},
        "components": {"nightly": {"image": "registry.gitlab.com/group/hello:1", "workload": "cronjob", "schedule": "@daily"}},
    });
    let rendered = set.render(&record("0.2.0", &answers).answers, &[]).unwrap();
    let paths: Vec<_> = rendered.iter().map(|file| file.path.as_str()).collect();
    let wanted = [
        "COMPONENTS.md",
        "DATABASE.yaml",
        "docs/.x/run",
        "docs/ENVIRONMENT.md",
        "docs/WORKLOADS.md",
        "docs/deployment.md",
        "docs/live.md",
        "docs/nightly-cronjob.md",
        "docs/staging.md",
    ];
    assert_eq!(paths, wanted);
}

#[test]
fn a_record_of_another_version_is_refused_with_both_versions_and_the_way_out() {
    let sandbox = Sandbox::with_hello();
    let own = env!("CARGO_PKG_VERSION");
    let with = |version: &str| {
        let record = sandbox.read(".makeinfra.yaml");
        let text: String = record
            .lines()
            .map(|line| {
                if line.starts_with("version:") {
                    format!("version: {version}\n")
                } else {
                    format!("{line}\n")
                }
            })
            .collect();
        sandbox.put(".makeinfra.yaml", &text);
    };
    let commands = [
        &["add", "worker", "--port", "none", "--yes"][..],
        &["env", "add", "staging", "--yes"],
        &["env", "list"],
        &["rotate", "--token-username", "a", "--token-file", "../../token"],
        &["secret", "list"],
    ];
    for (version, said) in [
        (
            "\"99.1.0\"",
            format!("it was written by makeinfra 99.1.0, which is newer than this makeinfra {own}"),
        ),
        (
            "\"0.1.0\"",
            format!(
                "it was written by makeinfra 0.1.0, whose layout makeinfra {own} does not support"
            ),
        ),
        ("latest", "`version` must be a version such as 0.2.0".to_owned()),
        ("0.2", "`version` must be a version in quotes".to_owned()),
    ] {
        with(version);
        let before = sandbox.tree();
        for command in commands {
            sandbox.here(command).failure(1).says("`.makeinfra.yaml`").says(&said).says("hint: ");
        }
        sandbox.here(&["check"]).failure(1).prints(&said);
        assert_eq!(sandbox.tree(), before);
    }
    // Commands that need templates report that those of an unreleased version are missing; others
    // work.
    with("\"0.2.0-rc.77\"");
    sandbox
        .here(commands[0])
        .failure(1)
        .says("does not contain the templates of version 0.2.0-rc.77");
    sandbox.here(&["secret", "list"]).success();
    sandbox.rotate("gldt-Next", &[]).success();
}
