use super::*;
use std::os::unix::fs::MetadataExt;

#[test]
fn where_one_change_fails_all_are_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("changed"), "old").unwrap();
    fs::write(path("deleted"), "old").unwrap();
    let mut batch = Batch::default();
    batch.add(&path("a/new"), "new", 0o644).unwrap();
    batch.add(&path("changed"), "new", 0o644).unwrap();
    batch.delete_in(dir.path(), &path("deleted")).unwrap();
    batch.add(&path("late"), "ours", 0o644).unwrap();
    // Another process has created the file in the meantime.
    fs::write(path("late"), "theirs").unwrap();
    assert!(batch.publish(&Interrupts::hold().unwrap()).is_err());
    drop(batch);
    let read = |name: &str| fs::read_to_string(path(name)).ok();
    let found = ["changed", "deleted", "late", "a/new"].map(read);
    assert_eq!(found, [Some("old".into()), Some("old".into()), Some("theirs".into()), None]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
}

#[test]
fn what_is_taken_back_is_the_same_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("changed"), "old").unwrap();
    let inode = |name: &str| fs::metadata(path(name)).unwrap().ino();
    let before = inode("changed");
    let mut batch = Batch::default();
    batch.add(&path("changed"), "new", 0o644).unwrap();
    batch.add(&path("late"), "ours", 0o644).unwrap();
    fs::write(path("late"), "theirs").unwrap();
    assert!(batch.publish(&Interrupts::hold().unwrap()).is_err());
    drop(batch);
    assert_eq!((inode("changed"), fs::read_dir(dir.path()).unwrap().count()), (before, 2));
    // A successful batch leaves no second name behind.
    let mut batch = Batch::default();
    batch.add(&path("changed"), "new", 0o644).unwrap();
    batch.delete_in(dir.path(), &path("late")).unwrap();
    batch.publish(&Interrupts::hold().unwrap()).unwrap();
    batch.keep();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(path("changed")).unwrap(), "new");
}

#[test]
fn what_cannot_be_taken_back_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("inner");
    fs::create_dir(&inner).unwrap();
    fs::write(inner.join("changed"), "old").unwrap();
    let old = kept(&inner, &inner.join("changed")).unwrap();
    // A directory cannot be replaced by a rename.
    fs::remove_file(inner.join("changed")).unwrap();
    fs::create_dir_all(inner.join("changed/full")).unwrap();
    let lost =
        revert(vec![AppliedChange { target: inner.join("changed"), old, is_deleted: false }]);
    let old = lost[0].old.as_ref().unwrap();
    assert_eq!(fs::read_to_string(old).unwrap(), "old");
    assert!(!crate::files::is_leftover(old), "{}", old.display());
    // There is no other name.
    assert_eq!(fs::read_dir(&inner).unwrap().count(), 2);
    let error =
        format!("{:?}", crate::error::explain(&partly_reverted(&anyhow::anyhow!("why"), &lost)));
    assert!(error.contains("why") && error.contains(&old.display().to_string()), "{error}");
}

#[test]
fn old_contents_of_one_file_stay_beside_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("file");
    let kept: Vec<_> = ["first", "second"]
        .into_iter()
        .map(|content| {
            fs::write(&target, content).unwrap();
            let old = kept(dir.path(), &target).unwrap().unwrap();
            fs::remove_file(&target).unwrap();
            keep_copy(old, &target).unwrap()
        })
        .collect();
    let read: Vec<_> = kept.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    assert_eq!(read, ["first", "second"]);
    assert!(!kept.iter().any(|path| crate::files::is_leftover(path)), "{kept:?}");
}

#[test]
fn what_is_appended_comes_last_and_is_taken_back_with_its_directories() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let batches = || {
        let (mut first, mut second) = (Batch::default(), Batch::default());
        first.add(&path("first"), "1", 0o644).unwrap();
        second.add(&path("a/b/second"), "2", 0o644).unwrap();
        first.append(&mut second);
        first
    };
    let mut batch = batches();
    fs::write(path("a/b/second"), "theirs").unwrap();
    assert!(batch.publish(&Interrupts::hold().unwrap()).is_err());
    drop(batch);
    assert!(!path("first").exists(), "the first was made before");
    fs::remove_file(path("a/b/second")).unwrap();
    fs::remove_dir_all(path("a")).unwrap();
    drop(batches());
    assert!(!path("a").exists());
    let mut batch = batches();
    batch.publish(&Interrupts::hold().unwrap()).unwrap();
    batch.keep();
    assert_eq!(
        ["first", "a/b/second"].map(|name| fs::read_to_string(path(name)).unwrap()),
        ["1", "2"]
    );
}

#[test]
fn what_another_program_makes_of_a_copy_takes_the_place_of_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("file");
    fs::write(&target, "old").unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
    let make = |copy: &Path| -> Result<()> {
        assert_eq!(fs::read_to_string(copy).unwrap(), "old");
        // libgit2 does the same.
        fs::write(dir.path().join("other"), "new").unwrap();
        fs::rename(dir.path().join("other"), copy).unwrap();
        Ok(())
    };
    let mut batch = Batch::default();
    batch.add_made(dir.path(), &target, "old", 0o640, make).unwrap();
    batch.publish(&Interrupts::hold().unwrap()).unwrap();
    batch.keep();
    let mode = fs::metadata(&target).unwrap().permissions().mode() & 0o777;
    assert_eq!((fs::read_to_string(&target).unwrap().as_str(), mode), ("new", 0o640));
}

#[test]
fn what_can_be_neither_linked_nor_renamed_is_copied() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    fs::write(&from, "old").unwrap();
    fs::set_permissions(&from, fs::Permissions::from_mode(0o640)).unwrap();
    copy(&from, &to).unwrap();
    let mode = fs::metadata(&to).unwrap().permissions().mode() & 0o777;
    assert_eq!((fs::read_to_string(&to).unwrap().as_str(), mode), ("old", 0o640));
    assert!(copy(&from, &to).is_err(), "it is there");
}

#[test]
fn a_file_that_cannot_be_looked_at_is_not_taken_for_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    assert!(kept(dir.path(), &dir.path().join("file/below")).is_err());
    assert!(kept(dir.path(), &dir.path().join("none")).unwrap().is_none());
}

#[test]
fn what_is_deleted_takes_its_empty_directories_along_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::create_dir_all(path("a/b/c")).unwrap();
    for name in ["a/b/c/gone", "a/stays"] {
        fs::write(path(name), "").unwrap();
    }
    let mut batch = Batch::default();
    batch.delete_in(dir.path(), &path("a/b/c/gone")).unwrap();
    batch.delete_in(dir.path(), &path("a/none")).unwrap();
    batch.publish(&Interrupts::hold().unwrap()).unwrap();
    batch.keep();
    assert!(!path("a/b").exists() && path("a/stays").exists());
}
