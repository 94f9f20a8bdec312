//! What cannot be added.

use super::super::environments::with_environments;
use super::super::support::Sandbox;

#[test]
fn what_cannot_be_added_is_told_and_changes_nothing() {
    let sandbox = with_environments(&[]);
    let before = sandbox.tree();
    for (args, code, said) in [
        (&["staging"][..], 1, "environment `staging` already exists"),
        (&["Qa"], 2, "`NAME` must consist"),
        (&["qa", "--like", "live"], 2, "the environment in `--like` does not exist: `live`"),
        (
            &["qa", "--ingress", "a.example.com"],
            2,
            "`--ingress` requires a project with an Ingress",
        ),
        (
            &["qa", "--namespace", "hello-staging"],
            2,
            "the environment `staging` already uses the namespace `hello-staging`",
        ),
        (&["qa", "--replicas", "-1"], 2, "`--replicas` must be"),
        (&["qa", "--context", "a b"], 2, "`--context` must be"),
    ] {
        sandbox.agreed(&[&["env", "add"], args].concat()).failure(code).says(said).says("hint: ");
        assert_eq!(sandbox.tree(), before, "{args:?}");
    }
    sandbox.put("secrets/kubernetes/qa/gitlab.secret.yaml", "mine");
    let said = "`secrets/kubernetes/qa/gitlab.secret.yaml` already exists with different content";
    sandbox.agreed(&["env", "add", "qa"]).failure(1).says(said);
    assert!(!sandbox.hello("kubernetes/overlays/qa").exists());
    sandbox.put("kubernetes/overlays/live", "a file");
    sandbox.agreed(&["env", "add", "live"]).failure(1);
    assert!(
        !sandbox.hello("secrets/kubernetes/live").exists()
            && !sandbox.hello(".gitlab/live.yml").exists()
    );
    // Files that cannot be edited safely are refused.
    sandbox.edit("kubernetes/overlays/staging/kustomization.yaml", "images:", "images: &images");
    sandbox
        .agreed(&["env", "add", "demo"])
        .failure(1)
        .says("cannot edit `kubernetes/overlays/staging/kustomization.yaml`");
}

#[test]
fn nothing_changes_in_the_middle_of_a_merge() {
    let sandbox = Sandbox::with_hello();
    let git = |args: &[&str]| sandbox.git(args).output();
    git(&["switch", "-qc", "other"]);
    sandbox.put("README.md", "# One\n");
    git(&["commit", "-qam", "One"]);
    git(&["switch", "-q", "-"]);
    sandbox.put("README.md", "# Two\n");
    git(&["commit", "-qam", "Two"]);
    assert_eq!(git(&["merge", "other"]).code, Some(1));
    for command in [
        &["add", "worker", "--port", "none"][..],
        &["remove", "worker"],
        &["env", "add", "staging"],
        &["env", "remove", "staging"],
    ] {
        let output = sandbox.agreed(command).failure(1);
        output.says("a merge is in progress").says("hint: git status");
    }
}
