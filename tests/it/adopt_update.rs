//! An adopted repository can be updated: changing the template of every file that users kept causes
//! no conflict.

use super::adopt::{PRODUCTION, built};
use super::by_hand::deployment;
use super::older::{OLDER, templates};
use super::support::{Sandbox, files_below};
use makeinfra::answers::Record;
use makeinfra::templates::TemplateSet;
use std::collections::BTreeMap;
use std::fs;

/// Releases an older template for every file, with a different first line.
fn release_older(sandbox: &Sandbox) -> TemplateSet {
    let own = TemplateSet::embedded();
    let apart = |path: &str| path.contains("secrets/") || path.contains("dot_makeinfra");
    let edits: Vec<_> = own
        .files()
        .filter(|(path, _)| !apart(path))
        .filter_map(|(path, text)| {
            // A comment of its own, otherwise a comment before the first key.
            let is_comment = |line: &&str| line.starts_with('#') && !line.starts_with("#!");
            let is_key =
                |line: &&str| !line.starts_with(['#', '{', '-', ' ']) && line.contains(':');
            let comment =
                text.lines().find(is_comment).map(|line| (line, format!("{line} Once more.")));
            let key = text.lines().find(is_key).map(|line| (line, format!("# Once.\n{line}")));
            // Settings have neither.
            let (now, then) = comment.or(key)?;
            Some((path, now, then))
        })
        .collect();
    let edits: Vec<_> =
        edits.iter().map(|(path, now, then)| (*path, *now, then.as_str())).collect();
    let set = templates(&edits);
    sandbox.release(&set);
    set
}

/// Turns the repository in `dir` into one that the older version adopted.
fn age(sandbox: &Sandbox, dir: &str) {
    let set = release_older(sandbox);
    let at = |path: &str| format!("{dir}{path}");
    let text = sandbox.read(&at(Record::FILE));
    let record = Record::parse(text.clone()).unwrap();
    let mut changed = 0;
    for file in set.render(&record.answers, &[]).unwrap() {
        if !file.path.starts_with("secrets/")
            && !record.own.contains(&file.path)
            && file.path != Record::FILE
        {
            let before = sandbox.read(&at(&file.path));
            sandbox.put(&at(&file.path), file.text.expose());
            changed += usize::from(before != file.text.expose());
        }
    }
    assert!(changed > 2, "{changed}");
    let own = format!("version: \"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(text.contains(&own));
    sandbox.put(&at(Record::FILE), &text.replace(&own, &format!("version: \"{OLDER}\"")));
    sandbox.commit_all();
}

/// Adopts and ages the repository in `dir`, updates it, and expects the users' files unchanged.
fn lives_on(sandbox: &Sandbox, dir: &str, args: &[&str]) {
    let place = if dir.is_empty() { "." } else { dir.trim_end_matches('/') };
    sandbox.here(&[&["adopt", place, "--yes", "--commit"], args].concat()).success();
    let tree = |sandbox: &Sandbox| -> BTreeMap<String, Vec<u8>> {
        let files = files_below(&sandbox.hello("")).into_iter();
        files.map(|path| (path.clone(), fs::read(sandbox.hello(&path)).unwrap())).collect()
    };
    let adopted = tree(sandbox);
    let built_before = built(sandbox, &format!("{dir}{PRODUCTION}"));
    age(sandbox, dir);
    let done = sandbox.here(&["update", place, "--yes", "--commit"]).success();
    done.prints(&format!("templates    {OLDER} -> {}", env!("CARGO_PKG_VERSION")));
    done.prints("not updated, because `own` lists them: ");
    // The result equals an adoption by this version: users' files are unchanged, all others are
    // current.
    let updated = tree(sandbox);
    for (path, bytes) in &adopted {
        let [found, wanted] =
            [&updated[path], bytes].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        assert_eq!(found, wanted, "{path}");
    }
    assert_eq!(updated.len(), adopted.len());
    assert!(built(sandbox, &format!("{dir}{PRODUCTION}")) == built_before);
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
    sandbox.here(&["update", place, "--check"]).success().prints("Up to date.");
}

#[test]
fn the_posts_repository_is_updated_without_a_conflict() {
    lives_on(&Sandbox::of_the_post(), "", &[]);
}

#[test]
fn a_kustomize_repository_is_updated_without_a_conflict() {
    lives_on(&Sandbox::of_kustomize(), "", &[]);
}

#[test]
fn the_output_of_helm_is_updated_without_a_conflict() {
    let sandbox = Sandbox::of_helm();
    let manifests = sandbox.read("rendered/hello.yaml");
    lives_on(&sandbox, "", &[]);
    assert_eq!(sandbox.read("kubernetes/base/hello.yaml"), manifests);
    let objects = built(&sandbox, PRODUCTION);
    let set = objects.iter().find(|one| one["kind"] == "StatefulSet").unwrap();
    assert_eq!(set["metadata"]["labels"]["app.kubernetes.io/managed-by"], "Helm");
    assert!(set["spec"]["volumeClaimTemplates"][0]["metadata"].get("labels").is_none());
    sandbox.is_sound();
}

#[test]
fn a_folder_of_a_larger_repository_is_updated_without_a_conflict() {
    let sandbox = Sandbox::empty();
    sandbox.put("apps/shop/k8s/app.yaml", &deployment("shop", "registry.gitlab.com/group/shop:1"));
    sandbox.put("apps/shop/Makefile", "deploy:\n\tkubectl apply -f k8s\n");
    sandbox.put("README.md", "# All\n");
    sandbox.commit_all();
    lives_on(&sandbox, "apps/shop/", &[]);
}
