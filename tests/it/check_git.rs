//! `makeinfra check` and git: locked clones, plaintext in any commit, and unusual repositories.

use super::check::{check, check_in, commit, edit, stage_plain};
use super::support::*;
use std::fs;

const PLAIN: &str = "secrets/kubernetes/app.yaml";

fn clone(sandbox: &Sandbox, args: &[&str]) {
    let url = format!("file://{}", sandbox.hello("").display());
    sandbox.run("git", &[&["clone", "-q"], args, &[&url, "clone"]].concat()).success();
}

/// A repository with a secret in plaintext in its history, in the two commits that are returned.
fn leaked(sandbox: &Sandbox) -> (String, String) {
    stage_plain(sandbox, PLAIN, TOKEN);
    let oldest = commit(sandbox, "Oh no");
    let newest = commit(sandbox, "Something else");
    sandbox.git(&["rm", "-q", "--cached", PLAIN]).success();
    commit(sandbox, "Mend it");
    (oldest, newest)
}

#[test]
fn a_locked_clone_is_told_to_unlock_and_nothing_of_its_secret_is_called_good() {
    let sandbox = Sandbox::with_hello();
    clone(&sandbox, &[]);
    let checked = check_in(&sandbox, "clone", &[]);
    // A read-only clone needs no key: these are warnings, which `--strict` counts.
    assert_eq!((checked.code, checked.problems()), (Some(0), vec![]));
    assert!(checked.ids("warning").is_superset(&["secrets-filter", "secrets-key"].into()));
    assert_eq!(check_in(&sandbox, "clone", &["--strict"]).code, Some(1));
    for id in [
        "secrets-filter",
        "secrets-key",
        "pull-secret-present",
        "manifests-kustomize",
        "secrets-listed",
    ] {
        assert!(checked.messages(id).contains("git-crypt unlock"), "{}", checked.messages(id));
    }
    assert!(!checked.ids("ok").iter().any(|id| id.starts_with("pull-secret-")));
    assert!(checked.ids("warning").contains("pull-secret-matches-images"));
}

#[test]
fn where_git_crypt_was_never_set_up_it_is_and_where_it_was_nobody_is_told_to_make_another_key() {
    if !have("git-crypt") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.new_without_token(&["--no-git"]).success();
    sandbox.git(&["init", "-q"]).success();
    let checked = check_in(&sandbox, "hello-infra", &[]);
    assert!(checked.messages("secrets-filter").contains("(git-crypt init)"));
    sandbox.agreed(&["env", "add", "staging"]).failure(1).says("hint: git-crypt init\n");
    sandbox.run("git-crypt", &["init"]).cwd(sandbox.hello("")).success();
    sandbox.agreed(&["env", "add", "staging"]).success();
    sandbox.commit_all();
    sandbox.git(&["config", "--remove-section", "filter.git-crypt"]).success();
    for (dir, hint) in [(".", "git-crypt unlock KEY_FILE"), (".git-crypt/keys", "git-crypt unlock")]
    {
        fs::create_dir_all(sandbox.hello(dir)).unwrap();
        sandbox.agreed(&["env", "add", "qa"]).failure(10).says(&format!("hint: {hint}\n"));
        assert!(
            check_in(&sandbox, "hello-infra", &[])
                .messages("secrets-filter")
                .contains(&format!("({hint})"))
        );
    }
}

#[test]
fn an_unlocked_clone_only_has_the_modes_of_git() {
    if !have("git-crypt") {
        return;
    }
    let sandbox = Sandbox::with_hello();
    clone(&sandbox, &[]);
    let key = sandbox.hello(".git/git-crypt/keys/default").display().to_string();
    sandbox.run("git-crypt", &["unlock", &key]).cwd(sandbox.work("clone")).success();
    let checked = check_in(&sandbox, "clone", &[]);
    assert_eq!((checked.problems(), checked.warnings()), (vec![], vec!["secrets-mode"]));
    sandbox.run("make", &["setup"]).cwd(sandbox.work("clone")).success();
    assert_eq!(check_in(&sandbox, "clone", &["--strict"]).code, Some(0));
    // Locked again by the real git-crypt.
    sandbox.run("git-crypt", &["lock"]).cwd(sandbox.work("clone")).success();
    assert!(check_in(&sandbox, "clone", &[]).ids("warning").contains("pull-secret-present"));
}

#[test]
fn a_locked_file_is_opened_in_memory_where_the_key_is_at_hand() {
    let sandbox = Sandbox::with_hello();
    let cipher = sandbox.git(&["cat-file", "blob", &format!("HEAD:{SECRET}")]).success().bytes;
    fs::write(sandbox.hello(SECRET), &cipher).unwrap();
    let checked = check(&sandbox, &["--strict"]);
    assert_eq!(checked.code, Some(0), "{:?}", checked.problems());
    assert!(checked.ids("ok").contains("pull-secret-matches-images"));
    assert_eq!(fs::read(sandbox.hello(SECRET)).unwrap(), cipher, "nothing was written");
}

#[test]
fn plaintext_is_found_in_the_commits_that_hold_it() {
    let sandbox = Sandbox::with_hello();
    let (oldest, newest) = leaked(&sandbox);
    let checked = check(&sandbox, &[]);
    assert_eq!(checked.problems(), ["secrets-history"]);
    let said = checked.messages("secrets-history");
    assert!(said.contains(&format!(
        "{PLAIN}: plaintext in commits from {} to {}",
        &oldest[..8],
        &newest[..8]
    )));
    let checked = check(&sandbox, &["--no-history"]);
    assert_eq!((checked.code, checked.messages("secrets-history")), (Some(0), String::new()));
}

#[test]
fn plaintext_is_found_on_any_branch_and_tag_and_nowhere_else() {
    for (make, found) in [
        (&["branch", "other"][..], true),
        (&["update-ref", "refs/remotes/origin/x", "HEAD"], true),
        (&["tag", "v1"], true),
        (&["tag", "-a", "v1", "-m", "one"], true),
        (&["checkout", "-q", "--detach"], true),
        (&["status"], false),
    ] {
        let sandbox = Sandbox::with_hello();
        let main = sandbox.git(&["rev-parse", "HEAD"]).success().stdout;
        leaked(&sandbox);
        sandbox.git(make).success();
        sandbox.git(&["update-ref", "refs/heads/main", main.trim()]).output();
        sandbox.git(&["update-ref", "refs/heads/master", main.trim()]).output();
        let checked = check(&sandbox, &[]);
        assert_eq!(
            checked.problems().contains(&"secrets-history"),
            found,
            "{make:?}: {:?}",
            checked.problems()
        );
    }
}

#[test]
fn plaintext_counts_wherever_the_attributes_ask_for_encryption() {
    let sandbox = Sandbox::with_hello();
    let attributes = fs::read_to_string(sandbox.hello(".gitattributes")).unwrap();
    for (pattern, path) in [
        ("*.password", "kubernetes/db.password"),
        ("/config/private/*", "config/private/a"),
        ("config/private/a", "config/private/a"),
        ("[attr]vault filter=git-crypt\nconfig/** vault", "config/b/c"),
    ] {
        let line = if pattern.starts_with('[') {
            pattern.into()
        } else {
            format!("{pattern} filter=git-crypt")
        };
        fs::write(sandbox.hello(".gitattributes"), format!("{attributes}{line}\n")).unwrap();
        stage_plain(&sandbox, path, TOKEN);
        let checked = check(&sandbox, &[]);
        assert_eq!(checked.problems(), ["secrets-index"], "{pattern}");
        assert!(checked.messages("secrets-index").contains(path));
        sandbox.git(&["rm", "-q", "--cached", path]).success();
    }
}

#[test]
fn a_pull_secret_beside_the_manifests_must_be_encrypted_too() {
    let sandbox = Sandbox::with_hello();
    let secret = fs::read_to_string(sandbox.hello(SECRET)).unwrap();
    fs::write(sandbox.hello("kubernetes/pull.yaml"), &secret).unwrap();
    let checked = check(&sandbox, &[]);
    assert_eq!(
        (checked.problems(), checked.warnings()),
        (vec!["secrets-covered"], vec!["secrets-mode"])
    );
    assert!(checked.messages("secrets-covered").contains("kubernetes/pull.yaml"));
    stage_plain(&sandbox, "kubernetes/pull.yaml", &secret);
    assert!(check(&sandbox, &[]).problems().contains(&"secrets-index"));
}

#[test]
fn what_is_printed_for_a_file_that_no_attribute_covers_covers_it() {
    let lfs = "*.yaml filter=lfs diff=lfs merge=lfs -text\n";
    let narrow = "secrets/* filter=git-crypt diff=git-crypt\n";
    let late = format!("secrets/** filter=git-crypt diff=git-crypt\n{lfs}");
    let quoted = "secrets/** filter=git-crypt diff=git-crypt\n\"secrets/**\" -filter";
    for (file, text) in [
        (".gitattributes", ""),
        (".gitattributes", narrow),
        (".gitattributes", &late),
        // Without a final line break.
        (".gitattributes", quoted),
        ("secrets/.gitattributes", lfs),
        ("secrets/kubernetes/.gitattributes", "* -filter"),
    ] {
        let sandbox = Sandbox::with_hello();
        fs::write(sandbox.hello(file), text).unwrap();
        let mut typed = Vec::new();
        // One line may cover several files.
        while let Some(hint) = covering(&sandbox) {
            assert!(!typed.contains(&hint), "{file}, {text}: {typed:?} changed nothing");
            sandbox.run("sh", &["-c", &hint]).cwd(sandbox.hello("")).success();
            typed.push(hint);
        }
        assert!(
            !typed.is_empty() && check(&sandbox, &[]).problems().is_empty(),
            "{file}, {text}: {typed:?}"
        );
        sandbox.rotate("gldt-Second", &[]).success();
        sandbox.run("touch", &[SECRET]).cwd(sandbox.hello("")).success();
        sandbox.git(&["add", "-A"]).success();
        assert!(
            sandbox
                .git(&["show", &format!(":{SECRET}")])
                .success()
                .bytes
                .starts_with(b"\0GITCRYPT\0")
        );
    }
    // No line elsewhere has precedence over this one.
    let sandbox = Sandbox::with_hello();
    sandbox.write("work/hello-infra/.git/info/attributes", "secrets/** -filter\n");
    assert_eq!(covering(&sandbox).as_deref(), Some("${EDITOR:-vi} .git/info/attributes"));
    let decides = "`.git/info/attributes` does not assign it to git-crypt";
    assert!(check(&sandbox, &[]).messages("secrets-covered").contains(decides));
    sandbox.rotate("gldt-Second", &[]).failure(1).says(decides);
}

#[test]
fn attributes_that_a_git_takes_from_a_tree_are_unknown() {
    let sandbox = Sandbox::with_hello();
    sandbox.git(&["config", "attr.tree", "HEAD"]).success();
    assert_eq!(covering(&sandbox).as_deref(), Some("git config --unset attr.tree"));
    sandbox
        .rotate("gldt-Second", &[])
        .failure(1)
        .says("would be committed in plaintext")
        .says("hint: git config --unset attr.tree");
    sandbox.git(&["config", "--unset", "attr.tree"]).success();
    sandbox.git(&["config", "--global", "attr.tree", "HEAD"]).success();
    assert_eq!(covering(&sandbox).as_deref(), Some("git config --global --unset attr.tree"));
    sandbox.git(&["config", "--global", "--unset", "attr.tree"]).success();
    for tree in ["HEAD", ""] {
        let refused = sandbox.rotate("gldt-Second", &[]).env("GIT_ATTR_SOURCE", tree).failure(1);
        refused.says("hint: unset GIT_ATTR_SOURCE");
    }
    sandbox.rotate("gldt-Second", &[]).success();
}

#[test]
fn a_line_that_only_older_gits_read_covers_nothing_and_filters() {
    let covers = "secrets/** filter=git-crypt diff=git-crypt";
    for (text, is_covered) in [
        (format!("{covers} builtin_x\n"), false),
        (format!("{covers}\nsecrets/** -filter builtin_x\n"), false),
        ("[attr]builtin_x filter=git-crypt\nsecrets/** builtin_x\n".to_owned(), false),
        ("[attr]vault filter=git-crypt -builtin_x\nsecrets/** vault\n".to_owned(), false),
        // Versions of git that read the line and those that do not agree.
        (format!("{covers}\nsecrets/** -text builtin_x=1\n"), true),
        (format!("secrets/** -filter builtin_x\n{covers}\n"), true),
    ] {
        let sandbox = Sandbox::with_hello();
        fs::write(sandbox.hello(".gitattributes"), &text).unwrap();
        let output = sandbox.rotate("gldt-Second", &[]).output();
        assert_eq!(output.code == Some(0), is_covered, "{text}: {}", output.stderr);
        assert_eq!(covering(&sandbox).is_none(), is_covered, "{text}");
    }
    // If the line removes a filter, an older git runs none, and a newer one does.
    let sandbox = Sandbox::with_hello();
    sandbox.append(
        ".gitattributes",
        ".makeinfra.yaml filter=other\n.makeinfra.yaml -filter builtin_x\n",
    );
    sandbox.git(&["commit", "-qam", "Filter the record"]).success();
    let refused =
        sandbox.makeinfra(&["env", "add", "staging", "--yes", "--commit"]).cwd(sandbox.hello(""));
    refused.failure(1).says("filter");
}

/// The output of `check` for a file that no attribute covers.
fn covering(sandbox: &Sandbox) -> Option<String> {
    let json = sandbox.makeinfra(&["check", "--json"]).cwd(sandbox.hello("")).output().json();
    let open =
        |one: &&serde_json::Value| one["id"] == "secrets-covered" && one["status"] == "problem";
    let found = json["checks"].as_array().unwrap().iter().find(open)?;
    Some(found["hint"].as_str().unwrap().to_owned())
}

#[test]
fn what_cannot_hold_a_secret_is_no_plaintext() {
    let sandbox = Sandbox::with_hello();
    std::os::unix::fs::symlink("../README.md", sandbox.hello("secrets/link")).unwrap();
    fs::write(sandbox.hello("secrets/.gitattributes"), "* -text\n.gitattributes !filter !diff\n")
        .unwrap();
    fs::write(sandbox.hello("secrets/.gitkeep"), "").unwrap();
    stage_plain(&sandbox, "secrets/.gitkeep", "");
    sandbox.git(&["add", "secrets/link", "secrets/.gitattributes"]).success();
    fs::set_permissions(
        sandbox.hello("secrets/.gitkeep"),
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )
    .unwrap();
    commit(&sandbox, "More");
    assert_eq!(check(&sandbox, &["--strict"]).problems(), Vec::<&str>::new());
}

#[test]
fn a_work_tree_of_its_own_uses_the_key_of_the_repository() {
    let sandbox = Sandbox::with_hello();
    sandbox
        .git(&["worktree", "add", "-q", "../tree", "-b", "other"])
        .env("GIT_CONFIG_COUNT", "0")
        .output();
    if !sandbox.work("tree/Makefile").exists() {
        eprintln!("SKIPPED: `git-crypt` is missing, which git runs for a work tree");
        return;
    }
    fs::set_permissions(
        sandbox.work("tree").join(SECRET),
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )
    .unwrap();
    assert_eq!(check_in(&sandbox, "tree", &["--strict"]).problems(), Vec::<&str>::new());
}

#[test]
fn a_shallow_clone_says_that_it_does_not_know_the_rest() {
    let sandbox = Sandbox::with_hello();
    leaked(&sandbox);
    clone(&sandbox, &["--depth", "1"]);
    let checked = check_in(&sandbox, "clone", &[]);
    assert!(
        checked.ids("warning").contains("secrets-history"),
        "{}",
        checked.messages("secrets-history")
    );
    assert!(checked.messages("secrets-history").contains("git fetch --unshallow"));
}

#[test]
fn what_is_missing_from_a_clone_is_not_called_encrypted() {
    let sandbox = Sandbox::with_hello();
    let blob = sandbox.git(&["rev-parse", &format!("HEAD:{SECRET}")]).success().stdout;
    let (dir, rest) = blob.trim().split_at(2);
    fs::remove_file(sandbox.hello(&format!(".git/objects/{dir}/{rest}"))).unwrap();
    let checked = check(&sandbox, &[]);
    assert_eq!(
        checked.warnings(),
        ["pull-secret-exposed", "secrets-head", "secrets-history", "secrets-index"]
    );
    fs::write(sandbox.hello(".git/index"), "no index").unwrap();
    sandbox
        .makeinfra(&["check", "hello-infra"])
        .failure(1)
        .says("cannot read the index")
        .says("hint: ");
}

#[test]
fn a_repository_without_commits_and_one_without_files() {
    let sandbox = Sandbox::new();
    sandbox.run("git", &["init", "-q", "empty"]).success();
    let checked = check_in(&sandbox, "empty", &[]);
    assert_eq!(checked.problems(), ["pull-secret-present", "workloads-found"]);
    sandbox.new_hello(&["--no-commit"]).success();
    stage_plain(&sandbox, PLAIN, TOKEN);
    assert_eq!(check(&sandbox, &[]).problems(), ["secrets-index"]);
}

#[test]
fn what_is_no_repository_is_one_error() {
    let sandbox = Sandbox::with_hello();
    clone(&sandbox, &["--bare"]);
    sandbox.makeinfra(&["check", "clone"]).failure(1).says("no work tree").says("hint: ");
    sandbox
        .makeinfra(&["check"])
        .failure(1)
        .says("no git repository")
        .says("--manifests DIR --secret FILE");
    sandbox.makeinfra(&["check", "nowhere"]).failure(2).says("hint: ");
}

#[test]
fn a_key_is_found_anywhere_but_in_directories_that_git_ignores() {
    let sandbox = Sandbox::with_hello();
    let key = fs::read(sandbox.hello(".git/git-crypt/keys/default")).unwrap();
    for (path, found) in [
        ("hello.git-crypt-key", true),
        ("kubernetes/deep/er/key.yaml.bak", true),
        ("secrets/key", true),
        ("node_modules/x/key", false),
    ] {
        fs::write(sandbox.hello(".git/info/exclude"), "node_modules/\n").unwrap();
        let file = sandbox.hello(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, &key).unwrap();
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let checked = check(&sandbox, &[]);
        assert_eq!(checked.problems().contains(&"key-in-work-tree"), found, "{path}");
        fs::remove_file(&file).unwrap();
    }
}

#[test]
fn a_clone_with_a_named_key_is_judged_by_that_key() {
    let sandbox = Sandbox::with_hello();
    edit(
        &sandbox,
        ".gitattributes",
        "filter=git-crypt diff=git-crypt",
        "filter=git-crypt-prod diff=git-crypt-prod",
    );
    let checked = check(&sandbox, &[]);
    assert_eq!(checked.problems(), ["secrets-filter", "secrets-key"]);
    assert!(checked.messages("secrets-key").contains("git-crypt-prod"));
    let keys = sandbox.hello(".git/git-crypt/keys");
    fs::copy(keys.join("default"), keys.join("prod")).unwrap();
    for (name, value) in [("clean", "git-crypt clean --key-name=prod"), ("required", "true")] {
        sandbox.git(&["config", &format!("filter.git-crypt-prod.{name}"), value]).success();
    }
    assert_eq!(check(&sandbox, &["--strict"]).code, Some(0));
}

#[test]
fn attribute_files_that_git_does_not_read_protect_nothing() {
    use std::os::unix::fs::symlink;
    let link = |sandbox: &Sandbox| {
        fs::rename(sandbox.hello(".gitattributes"), sandbox.hello("attributes")).unwrap();
        symlink("attributes", sandbox.hello(".gitattributes")).unwrap();
    };
    let long = |sandbox: &Sandbox| {
        let text = fs::read_to_string(sandbox.hello(".gitattributes")).unwrap();
        let text =
            text.replace("secrets/** filter", &format!("secrets/** {} filter", "a".repeat(2100)));
        fs::write(sandbox.hello(".gitattributes"), text).unwrap();
    };
    for ignored in [&link as &dyn Fn(&Sandbox), &long] {
        let sandbox = Sandbox::with_hello();
        ignored(&sandbox);
        sandbox.git(&["add", "-A", "--", ".", ":!secrets"]).success();
        let git = sandbox.git(&["check-attr", "filter", "--", super::support::SECRET]).success();
        assert!(git.stdout.contains("unspecified"), "{}", git.stdout);
        let output = sandbox.makeinfra(&["check", "hello-infra"]).failure(1);
        output.prints("[secrets-covered]");
        sandbox.rotate("gldt-Second", &[]).failure(1).says("would be committed in plaintext");
    }
}

#[test]
fn names_of_keys_and_links_lead_nowhere() {
    use std::os::unix::fs::symlink;
    let sandbox = Sandbox::with_hello();
    let attributes = fs::read_to_string(sandbox.hello(".gitattributes")).unwrap();
    let zero = "../".repeat(12) + "dev/zero";
    fs::write(sandbox.hello(".gitattributes"), format!("{attributes}x filter=git-crypt-{zero}\n"))
        .unwrap();
    fs::write(sandbox.hello("x"), "x").unwrap();
    fs::create_dir(sandbox.hello("z")).unwrap();
    symlink("/dev/zero", sandbox.hello("z/.gitattributes")).unwrap();
    sandbox.git(&["-c", "filter.git-crypt.clean=cat", "add", "x", "z", ".gitattributes"]).success();
    // With an address space that could not hold an endless file.
    let script =
        format!("ulimit -v 2000000; exec {} check hello-infra", env!("CARGO_BIN_EXE_makeinfra"));
    let output = sandbox.run("sh", &["-c", &script]).output();
    assert!(matches!(output.code, Some(0 | 1)), "{:?} {}", output.code, output.stderr);
    assert!(output.stdout.contains("problem"), "{}", output.stdout);
}
