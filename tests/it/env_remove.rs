//! `makeinfra env remove`: what is removed, what stays, and what must not be lost.

use super::env_add::repeated;
use super::environments::with_environments;
use super::support::{Sandbox, files_below};
use std::fs;

fn staged() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--ingress", "hello.example.com"]).success();
    sandbox.agreed(&["env", "add", "staging", "--commit"]).success();
    sandbox
}

#[test]
fn after_an_addition_the_tree_is_as_it_was() {
    for new in [
        &[][..],
        &["--ingress", "hello.example.com", "--tls"],
        &["--env", "production", "--context", "eu"],
    ] {
        let sandbox = Sandbox::new();
        sandbox.new_hello(new).success();
        sandbox.edit(
            ".makeinfra.yaml",
            "  environments:\n",
            "  # Where it runs.\n  environments:\n",
        );
        sandbox.commit_all();
        let tree =
            |what: &str| sandbox.git(&["rev-parse", &format!("{what}^{{tree}}")]).success().stdout;
        let before = (tree("HEAD"), sandbox.tree());
        sandbox.agreed(&["env", "add", "staging", "--commit"]).success();
        assert_ne!(tree("HEAD"), before.0);
        sandbox.agreed(&["env", "remove", "staging", "--commit"]).success();
        assert_eq!((tree("HEAD"), sandbox.tree()), before, "{new:?}");
        assert!(!sandbox.hello("kubernetes/overlays/staging").exists());
        assert!(!sandbox.hello("secrets/kubernetes/staging").exists());
        assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
    }
}

#[test]
fn the_plan_says_what_stays_in_the_cluster() {
    let sandbox = with_environments(&["--context", "eu"]);
    let before = sandbox.tree();
    let output = sandbox.here(&["env", "remove", "staging", "--dry-run"]).success();
    assert_eq!(
        super::env_add::sizeless(&sandbox.placeless(&output.stdout)),
        "\
Remove environment staging

DIR/
├── .gitlab/
│   └── staging.yml                 deleted
├── .makeinfra.yaml                 changed
├── kubernetes/
│   └── overlays/
│       └── staging/
│           ├── environment.mk      deleted
│           ├── kustomization.yaml  deleted
│           └── namespace.yaml      deleted
└── secrets/
    └── kubernetes/
        └── staging/
            ├── gitlab.secret.yaml  deleted
            └── kustomization.yaml  deleted

- the objects in namespace `hello-staging` stay in the cluster: delete them first with `make undeploy ENV=staging`, which \
needs these files

namespace    hello-staging
context      eu

Nothing was written: this is a dry run.
"
    );
    sandbox
        .here(&["env", "remove", "staging"])
        .failure(2)
        .says("cannot ask for confirmation: not a terminal");
    assert_eq!(sandbox.tree(), before);
    let output = sandbox.agreed(&["env", "remove", "staging"]).success();
    output.prints("  kubectl --context eu delete namespace hello-staging\n");
    sandbox.commit_all();
    sandbox.is_sound();
}

#[test]
fn the_secrets_of_another_environment_stay() {
    let sandbox = staged();
    sandbox
        .here(&["secret", "set", "database", "URL", "--stdin", "--commit", "--env", "production"])
        .stdin("x")
        .success();
    sandbox.put("secrets/kubernetes/notes.txt", "mine");
    sandbox.agreed(&["env", "remove", "production", "--commit"]).success().prints(
        "- `secrets/kubernetes/notes.txt` stays: no kustomization of production lists it, or \
         another environment uses it\n",
    );
    assert_eq!(
        files_below(&sandbox.hello("secrets")),
        [
            "kubernetes/notes.txt",
            "kubernetes/staging/gitlab.secret.yaml",
            "kubernetes/staging/kustomization.yaml"
        ]
    );
    assert_eq!(files_below(&sandbox.hello("kubernetes/overlays")).len(), 3);
    assert_eq!(files_below(&sandbox.hello(".gitlab")), ["staging.yml"]);
    fs::remove_file(sandbox.hello("secrets/kubernetes/notes.txt")).unwrap();
    sandbox.is_sound();
}

#[test]
fn what_git_could_not_bring_back_stops_it() {
    let overlay = "kubernetes/overlays/staging";
    let secret = "secrets/kubernetes/staging";
    for (path, text, why) in [
        (format!("{overlay}/patch.yaml"), Some("a: b\n"), "git does not track it"),
        (format!("{overlay}/kustomization.yaml"), None, "it has uncommitted edits"),
        (".gitlab/staging.yml".to_owned(), None, "it has uncommitted edits"),
        (format!("{secret}/gitlab.secret.yaml"), None, "it has uncommitted edits"),
        (format!("{secret}/kustomization.yaml"), None, "it has uncommitted edits"),
    ] {
        let sandbox = staged();
        match text {
            Some(text) => sandbox.put(&path, text),
            None => sandbox.append(&path, "# mine\n"),
        }
        let before = sandbox.tree();
        let output = sandbox.agreed(&["env", "remove", "staging"]).failure(1);
        output
            .says("cannot delete files that git cannot restore; nothing was written")
            .says(&format!("`{path}`: {why}"));
        assert_eq!(sandbox.tree(), before, "{path}");
    }
    let sandbox = staged();
    sandbox.put(".git/info/exclude", "local.yaml\n");
    sandbox.put("kubernetes/overlays/staging/local.yaml", "a: b\n");
    sandbox.agreed(&["env", "remove", "staging"]).failure(1).says("local.yaml`: git ignores it");
    fs::remove_file(sandbox.hello("kubernetes/overlays/staging/local.yaml")).unwrap();
    sandbox.here(&["secret", "set", "db", "A", "--stdin", "--env", "staging"]).stdin("x").success();
    sandbox
        .agreed(&["env", "remove", "staging"])
        .failure(1)
        .says("staging/db.env`: git does not track it");
    sandbox.commit_all();
    sandbox.agreed(&["env", "remove", "staging", "--commit"]).success();
    assert!(!sandbox.hello("secrets/kubernetes/staging").exists());
}

#[test]
fn the_last_environment_stays() {
    let sandbox = Sandbox::with_hello();
    sandbox
        .agreed(&["env", "remove", "production"])
        .failure(1)
        .says("cannot remove `production`, the only environment");
    sandbox
        .agreed(&["env", "remove", "staging"])
        .failure(1)
        .says("environment `staging` does not exist")
        .says("existing: production");
}

#[test]
fn a_locked_clone_does_not_know_its_secret_files() {
    let sandbox = staged();
    let path = "secrets/kubernetes/staging/kustomization.yaml";
    let blob = sandbox.git(&["cat-file", "blob", &format!("HEAD:{path}")]).success().bytes;
    fs::write(sandbox.hello(path), blob).unwrap();
    sandbox
        .agreed(&["env", "remove", "staging"])
        .failure(10)
        .says("this clone is locked")
        .says("hint: git checkout HEAD --");
}

#[test]
fn what_a_killed_run_has_left_undone_is_done_by_the_next_one() {
    repeated(&staged, &["env", "remove", "staging"]);
    repeated(&staged, &["env", "remove", "production"]);
}
