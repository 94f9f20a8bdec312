//! An updated repository on the node that runs the older one.

use super::{Scene, bed, tells_no_token};
use crate::older::Edit;
use crate::support::{IMAGE, kubectls};

/// Differences of the older version: another history limit, another surge, no line about the shell,
/// and an object that is removed.
const CHANGES: [Edit; 4] = [
    (
        "kubernetes/base/COMPONENT/WORKLOAD.yaml.tera",
        "revisionHistoryLimit: 5",
        "revisionHistoryLimit: 9",
    ),
    ("kubernetes/base/COMPONENT/WORKLOAD.yaml.tera", "maxSurge: 1", "maxSurge: 25%"),
    ("kubernetes/base/kustomization.yaml.tera", "resources:\n", "resources:\n  - old.yaml\n"),
    ("kubernetes/base/old.yaml", "", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: old\n"),
];

#[test]
fn what_an_older_version_deployed_is_updated_in_place() {
    let Some(bed) = bed() else { return };
    for kubectl in kubectls() {
        let (scene, _token) = Scene::with_pods(&bed, &kubectl, IMAGE, &["--replicas", "1"]);
        scene.sandbox.make_older(&CHANGES);
        // An edit of the pods that must survive the update.
        scene.edit("kubernetes/base/deployment.yaml", "memory: 256Mi", "memory: 512Mi");
        scene.sandbox.commit_all();
        tells_no_token(scene.make(&["deploy"]).success());
        assert_eq!(scene.get("deployment/hello", "{.spec.revisionHistoryLimit}"), "9");
        let uid = scene.get("deployment/hello", "{.metadata.uid}");

        let output = tells_no_token(scene.sandbox.agreed(&["update", "--commit"]).success());
        output.prints("ConfigMap `old` is no longer deployed");
        scene.make(&["diff"]).failure(2).prints("revisionHistoryLimit");
        let output = tells_no_token(scene.make(&["deploy"]).success());
        output.prints("successfully rolled out").says("no longer in git");
        let output = scene.make(&["diff"]).success();
        assert_eq!(output.stdout.trim(), "");
        let field = |path: &str| scene.get("deployment/hello", path);
        assert_eq!(
            field("{.spec.revisionHistoryLimit} {.spec.strategy.rollingUpdate.maxSurge}"),
            "5 1"
        );
        assert_eq!(field("{.spec.template.spec.containers[0].resources.limits.memory}"), "512Mi");
        assert_eq!(field("{.metadata.uid}"), uid, "it is not replaced");
        assert_eq!(field("{.status.availableReplicas}"), "1");
        scene.make(&["prune", "YES=1"]).success();
        assert_eq!(scene.get("configmap/old", "{.metadata.name}"), "");
        scene.is_fine();
    }
}
