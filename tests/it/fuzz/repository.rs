//! Git's attributes. `differential.rs` compares them with git; this target tries many more.

use super::super::support::Sandbox;
use super::{files, fuzz};
use git2::Repository;
use makeinfra::git_crypt;
use makeinfra::repo::Repo;
use std::fs;

#[test]
fn the_last_line_of_an_attribute_file_decides() {
    let sandbox = Sandbox::in_memory();
    let top = sandbox.work("r");
    let git = Repository::init(&top).unwrap();
    // The user's own configuration must not matter.
    git.config().unwrap().set_str("core.attributesFile", "none").unwrap();
    let repo = Repo::find(&top, "check").unwrap();
    let file = top.join(".gitattributes");
    let words = [
        "secrets/** ",
        "filter=git-crypt",
        " diff=git-crypt",
        " -filter",
        " !filter",
        "[attr]vault ",
        " vault",
        "\"",
        "\\",
        "\\052",
        "[!a]",
        "[[:alpha:]]",
        "**/",
        "*",
        "?",
        "!",
        "#",
        "binary",
        "filter=git-crypt-prod",
    ];
    let paths =
        ["secrets/a.env", "secrets/kubernetes/gitlab.secret.yaml", "README.md"].map(str::to_owned);
    fuzz("attributes", &words, files(&["examples/hello-infra/.gitattributes"]), |bytes| {
        let covered = |more: &str| {
            fs::write(&file, [bytes, b"\n", more.as_bytes(), b"\n"].concat()).unwrap();
            repo.covered(&paths).unwrap()
        };
        for filter in covered("").values() {
            assert!(filter.starts_with(git_crypt::FILTER));
        }
        let with = covered("secrets/a.env filter=git-crypt");
        assert_eq!(with.get(&paths[0]).map(String::as_str), Some(git_crypt::FILTER));
        assert!(!covered("secrets/** -filter").keys().any(|path| path.starts_with("secrets/")));
    });
}
