//! `makeinfra remove`: removes a component with all its entries.

use super::add::{WORKER, names};
use super::env_add::{repeated, sizeless};
use super::environments::{built, with_environments};
use super::support::Sandbox;
use std::fs;

const BASE: &str = "kubernetes/base/kustomization.yaml";
const PRODUCTION: &str = "kubernetes/overlays/production/kustomization.yaml";
const STAGING: &str = "kubernetes/overlays/staging/kustomization.yaml";

#[test]
fn after_an_addition_the_tree_is_as_it_was() {
    for args in [
        WORKER,
        &[
            "add",
            "worker",
            "--ingress",
            "worker.example.com",
            "--tls",
            "--service-account",
            "--config",
            "../app.env",
        ],
        &["add", "worker", "--workload", "job"],
    ] {
        let sandbox = with_environments(&["--ingress", "hello.example.com"]);
        sandbox.write("work/app.env", "A=1\n");
        let before = sandbox.tree();
        sandbox.agreed(&[args, &["--commit"]].concat()).success();
        sandbox.agreed(&["remove", "worker", "--commit"]).success();
        let after = sandbox.tree();
        for (path, text) in &before {
            assert_eq!(
                String::from_utf8_lossy(text),
                String::from_utf8_lossy(&after[path]),
                "{args:?}"
            );
        }
        assert_eq!(after.len(), before.len(), "{args:?}");
        assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
    }
}

/// A worker with additions by users.
fn with_entries() -> Sandbox {
    let sandbox = with_environments(&[]);
    sandbox.agreed(WORKER).success();
    let scaler = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: jobs}\nspec: {maxReplicas: 3, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: worker}}\n";
    sandbox.put("kubernetes/base/scaler.yaml", scaler);
    sandbox.edit(
        BASE,
        "  - worker-deployment.yaml\n",
        "  - worker-deployment.yaml\n  - scaler.yaml\n",
    );
    let patch =
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: worker}\nspec: {paused: false}\n";
    sandbox.put("kubernetes/overlays/production/more.yaml", patch);
    sandbox.append(PRODUCTION, "patches:\n  - path: more.yaml\n  - target: {kind: Deployment, name: worker}\n    patch: |-\n      - op: remove\n        path: /spec/paused\n  - target: {kind: Deployment, name: hello}\n    patch: |-\n      - op: add\n        path: /spec/paused\n        value: false\n");
    sandbox.append(STAGING, "replicas:\n  - name: worker\n    count: 1\n");
    sandbox.commit_all();
    sandbox
}

#[test]
fn entries_of_people_go_along_and_the_plan_shows_them() {
    let sandbox = with_entries();
    let output = sandbox.here(&["remove", "worker", "--dry-run"]).success();
    assert_eq!(
        sizeless(&sandbox.placeless(&output.stdout)),
        "\
Remove component worker

DIR/
├── .makeinfra.yaml                 changed
└── kubernetes/
    ├── base/
    │   ├── kustomization.yaml      changed
    │   ├── scaler.yaml             deleted
    │   └── worker-deployment.yaml  deleted
    └── overlays/
        ├── production/
        │   ├── kustomization.yaml  changed
        │   └── more.yaml           deleted
        └── staging/
            └── kustomization.yaml  changed

- `kubernetes/overlays/staging/kustomization.yaml` also loses entries written by hand: replicas of `worker`
- `kubernetes/overlays/production/kustomization.yaml` also loses entries written by hand: patch \
`kubernetes/overlays/production/more.yaml`, a patch for `worker`
- `kubernetes/base/kustomization.yaml` also loses entries written by hand: resource `kubernetes/base/scaler.yaml`

Nothing was written: this is a dry run.
"
    );
    let output = sandbox.agreed(&["remove", "worker", "--commit"]).success();
    output.prints("make deploy ENV=staging").prints("make prune ENV=staging");
    let text = sandbox.read(PRODUCTION);
    assert!(!text.contains("worker") && text.contains("name: hello}"), "{text}");
    assert!(!sandbox.read(STAGING).contains("replicas"));
    sandbox.is_sound();
    for dir in ["kubernetes/overlays/staging", "kubernetes/overlays/production"] {
        let Some(documents) = built(&sandbox, dir) else { return };
        assert_eq!(names(&documents), ["Deployment/hello", "Service/hello"]);
    }
}

#[test]
fn an_image_stays_while_another_component_has_it() {
    let sandbox = with_environments(&[]);
    let image = ["--port", "none", "--image", "registry.gitlab.com/group/worker:3", "--commit"];
    for name in ["one", "two"] {
        sandbox.agreed(&[&["add", name], &image[..]].concat()).success();
    }
    sandbox.agreed(&["remove", "one", "--commit"]).success();
    assert!(sandbox.read(STAGING).contains("group/worker"));
    sandbox.agreed(&["remove", "two", "--commit"]).success();
    assert!(!sandbox.read(STAGING).contains("group/worker"));
    // A user's own container also counts.
    sandbox.agreed(&[&["add", "one"], &image[..]].concat()).success();
    let sidecar =
        "      containers:\n        - {name: side, image: registry.gitlab.com/group/worker}\n";
    sandbox.edit("kubernetes/base/deployment.yaml", "      containers:\n", sidecar);
    sandbox.commit_all();
    sandbox.agreed(&["remove", "one", "--commit"]).success();
    assert!(sandbox.read(STAGING).contains("group/worker"));
}

#[test]
fn what_git_could_not_bring_back_stops_it() {
    let sandbox = with_entries();
    sandbox.append("kubernetes/base/worker-deployment.yaml", "# mine\n");
    let before = sandbox.tree();
    sandbox
        .agreed(&["remove", "worker"])
        .failure(1)
        .says("cannot delete files that git cannot restore")
        .says("`kubernetes/base/worker-deployment.yaml`: it has uncommitted edits");
    assert_eq!(sandbox.tree(), before);
    sandbox.commit_all();
    sandbox.put(
        "kubernetes/base/claims.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: worker}\n",
    );
    sandbox.agreed(&["remove", "worker"]).failure(1).says("claims.yaml`: git does not track it");
    fs::remove_file(sandbox.hello("kubernetes/base/claims.yaml")).unwrap();
    sandbox.agreed(&["remove", "worker"]).success();
}

#[test]
fn a_file_with_more_in_it_stays_and_is_told() {
    let sandbox = with_entries();
    let more = "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: hello}\nspec: {paused: false}\n";
    sandbox.append("kubernetes/overlays/production/more.yaml", more);
    sandbox.append(PRODUCTION, "configurations:\n  - worker\n");
    sandbox.commit_all();
    let output = sandbox.agreed(&["remove", "worker", "--dry-run"]).success();
    output
        .prints("of `kubernetes/overlays/production/kustomization.yaml` still refers to `worker`");
    assert!(!output.stdout.contains("more.yaml  "), "{}", output.stdout);
}

#[test]
fn what_cannot_be_removed_is_told() {
    let sandbox = Sandbox::with_hello();
    sandbox.agreed(&["remove", "hello"]).failure(1).says("the project's own component");
    sandbox.agreed(&["remove", "worker"]).failure(1).says("component `worker` does not exist");
    sandbox.agreed(WORKER).success();
    sandbox.commit_all();
    sandbox.edit(BASE, "resources:\n", "resources: &all\n");
    sandbox.agreed(&["remove", "worker"]).failure(1).says(&format!("cannot edit `{BASE}`"));
}

#[test]
fn what_a_killed_run_has_left_undone_is_done_by_the_next_one() {
    repeated(&with_entries, &["remove", "worker"]);
}
