//! How `makeinfra check` reads everything that makeinfra writes, compared with what `kubectl
//! kustomize` builds.

use super::{Tree, matrix};
use crate::adopt::PRODUCTION;
use crate::check_kustomize::{built, read, seen};
use crate::support::{Sandbox, have};
use makeinfra::manifests::{Manifests, Origin};
use std::collections::BTreeSet;

/// The alphabet of kustomize's hash suffixes (`api/internal/hasher`), whose characters spell no
/// word.
const HASH: &str = "bcdfghkmt2456789";

/// `lines` with `-HASH` appended to the names of Secrets that have a hash.
fn with_hashes(lines: Vec<String>, is_hashed: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let mut lines: Vec<_> = lines
        .into_iter()
        .map(|line| {
            let words = line.split_inclusive(|c: char| !is_of_name(c)).map(|word| {
                let name = word.trim_end_matches(|c: char| !is_of_name(c));
                is_hashed(name).map_or(word.to_owned(), |name| {
                    name + &word[word.trim_end_matches(|c: char| !is_of_name(c)).len()..]
                })
            });
            words.collect::<String>()
        })
        .collect();
    lines.sort();
    lines
}

/// What is read of `ours`, with hashed Secrets marked.
fn of_ours(ours: &Manifests) -> Vec<String> {
    let secrets = ours.overlays.iter().flat_map(|overlay| &overlay.secrets);
    let hashed: BTreeSet<&str> = secrets
        .filter(|one| matches!(&one.origin, Origin::Generated(made) if made.is_hashed))
        .map(|one| one.name.as_str())
        .collect();
    with_hashes(seen(ours), |name| hashed.contains(name).then(|| format!("{name}-HASH")))
}

/// The same for what kustomize has built.
fn of_kustomize(real: &Manifests) -> Vec<String> {
    with_hashes(seen(real), |name| {
        let (name, hash) = name.rsplit_once('-')?;
        (hash.len() == 10 && hash.chars().all(|c| HASH.contains(c))).then(|| format!("{name}-HASH"))
    })
}

#[track_caller]
fn agrees(root: &std::path::Path, dir: &str, text: &str, at: &str) {
    let ours = read(root, dir);
    assert!(ours.faults.is_empty(), "{at}\n{:?}", ours.faults);
    assert!(ours.workloads().all(|workload| workload.unsure.is_none()), "{at}");
    assert_eq!(of_ours(&ours), of_kustomize(&built(text.as_bytes().to_vec())), "{at}");
}

#[test]
fn what_makeinfra_writes_is_read_as_kustomize_builds_it() {
    let mut hashed = 0;
    for tree in matrix().iter() {
        for stage in tree.stages.iter().filter(|stage| !stage.built.is_empty()) {
            let at = format!("{}\n{}", tree.row.line(), stage.dir);
            let text =
                Tree::kustomize(tree, &crate::support::kubectl().unwrap(), "kustomize", &stage.dir);
            agrees(&tree.root, &stage.dir, &text, &at);
            hashed += usize::from(
                of_ours(&read(&tree.root, &stage.dir)).iter().any(|line| line.contains("-HASH")),
            );
        }
    }
    assert!(hashed > 10 || !have("kubectl"), "{hashed}");
}

#[test]
fn what_was_adopted_is_read_as_kustomize_builds_it() {
    if !have("kubectl") {
        return;
    }
    let sandbox = Sandbox::of_the_post();
    sandbox.adopt(&["--yes", "--commit"]).success();
    let set = ["secret", "set", "mail", "PASSWORD", "--stdin"];
    sandbox.makeinfra(&set).cwd(sandbox.hello("")).stdin("value").success();
    for args in
        [&["env", "add", "staging", "--yes"][..], &["add", "worker", "--port", "none", "--yes"]]
    {
        sandbox.here(args).success();
    }
    for dir in [PRODUCTION.to_owned(), PRODUCTION.replace("production", "staging")] {
        let text =
            sandbox.run("kubectl", &["kustomize", &dir]).cwd(sandbox.hello("")).success().stdout;
        agrees(&sandbox.hello(""), &dir, &text, &dir);
    }
}
