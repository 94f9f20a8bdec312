//! Leftovers of a kill in `.git`: git's locks are reported with a hint that works; makeinfra's own
//! are recognised and removed; an index behind HEAD is repaired.

use super::{Bed, CASES, Found};
use std::fs;

#[test]
fn a_lock_file_of_git_is_told_and_the_hint_removes_it() {
    for case in CASES.iter().filter(|case| case.name != "new") {
        let bed = Bed::new(case);
        bed.reset();
        let branch = bed.sandbox.git(&["symbolic-ref", "HEAD"]).success().stdout;
        for name in ["index", "HEAD", branch.trim()] {
            bed.reset();
            let lock = bed.sandbox.hello(&format!(".git/{name}.lock"));
            fs::write(&lock, "").unwrap();
            let output = bed.again().output();
            let what = format!("{}, {name}: {}", case.name, output.stderr);
            assert_eq!(output.code, Some(1), "{what}");
            assert!(output.stderr.contains(&format!("{name}.lock")), "{what}");
            assert_eq!(bed.found(), Found::Before, "{what}");
            let hint = output
                .stderr
                .lines()
                .find_map(|line| line.strip_prefix("hint: "))
                .unwrap()
                .to_owned();
            let command = hint.split("; ").next().unwrap();
            bed.sandbox.run("sh", &["-c", command]).cwd(bed.sandbox.hello("")).success();
            assert!(!lock.exists(), "{hint}");
            bed.finishes(&what, false);
        }
    }
}

#[test]
fn a_lock_file_of_makeinfra_goes_with_the_next_run() {
    let bed = Bed::new(super::case("rotate"));
    for name in [
        "index.lock",
        "HEAD.lock",
        ".index.makeinfra-Ab12Cd34Ef56",
        ".index.makeinfra-Ab12Cd34Ef56.lock",
    ] {
        bed.reset();
        fs::write(bed.sandbox.hello(&format!(".git/{name}")), "makeinfra\n").unwrap();
        bed.finishes(name, false);
        assert!(!bed.sandbox.hello(&format!(".git/{name}")).exists(), "{name}");
    }
}

#[test]
fn an_index_that_a_commit_has_left_behind_is_mended_by_the_same_command() {
    for name in ["rotate", "secret set"] {
        let bed = Bed::new(super::case(name));
        // As after a commit that was killed once its branch had moved.
        bed.sandbox.git(&["read-tree", "HEAD^"]).success();
        assert_ne!(bed.found(), Found::Done);
        bed.again().success().says("git's index had an older version of `secrets/kubernetes/");
        assert_eq!(bed.found(), Found::Done, "{name}");
        // What a user has staged stays.
        bed.sandbox.append("README.md", "\nOurs.\n");
        bed.sandbox.git(&["add", "README.md"]).success();
        bed.sandbox.git(&["restore", "--worktree", "--source=HEAD", "README.md"]).success();
        bed.again().success();
        assert!(
            bed.sandbox.git(&["status", "--porcelain"]).success().stdout.contains("MM README.md")
        );
    }
}

#[test]
fn what_is_mended_is_told_as_a_change() {
    let bed = Bed::new(super::case("rotate"));
    let changed = || bed.again_with(&["--json"]).success().json()["changed"].clone();
    assert_eq!(changed(), false);
    bed.sandbox.git(&["read-tree", "HEAD^"]).success();
    assert_eq!(changed(), true);
    assert_eq!(changed(), false);
}
