//! What make targets do with the objects in the cluster; no pods run.

use super::{Scene, tells_no_token, with_every_kubectl};
use crate::support::{TOKEN, needles};
use serde_json::json;
use std::fs;

#[test]
fn deploys_and_then_changes_nothing() {
    with_every_kubectl(|scene| {
        let output = scene.make(&["diff"]).failure(2);
        assert!(output.stdout.contains("is missing"), "{}", output.stdout);
        let output = tells_no_token(scene.make(&["deploy"]).success());
        assert!(output.stdout.contains("successfully rolled out"), "{}", output.stdout);
        let data = scene.get("secret/gitlab", r"{.data.\.dockercfg}");
        assert!(
            scene.secret().contains(&data)
                && needles(TOKEN).iter().any(|needle| data.contains(needle))
        );
        let before = scene.versions();
        assert!(before.iter().all(|version| !version.is_empty()), "{before:?}");
        let output = scene.make(&["diff"]).success();
        assert_eq!((output.stdout.trim(), output.stderr.as_str()), ("", ""));
        tells_no_token(scene.make(&["-j4", "deploy"]).success());
        assert_eq!(scene.versions(), before);
        let output = scene.make(&["status"]).success();
        assert!(output.stdout.contains("deployment.apps/hello"), "{}", output.stdout);
        scene.make(&["logs"]).success();
    });
}

#[test]
fn who_has_rights_in_the_namespace_alone_can_deploy() {
    with_every_kubectl(|scene| {
        let user = format!("system:serviceaccount:{}:deployer", scene.namespace);
        let make = |args: &[&str]| scene.make_as(&format!("--as={user}"), args);
        let account = format!("{}:deployer", scene.namespace);
        make(&["deploy"]).failure(2).says("(Forbidden)");
        // The administrator's part.
        let file = scene
            .sandbox
            .hello("kubernetes/overlays/production/namespace.yaml")
            .display()
            .to_string();
        scene.kubectl(&["apply", "-f", &file]).success();
        make(&["deploy"]).failure(2).says("(Forbidden)");
        let bind = |name: &str, role: &str| {
            scene
                .kubectl(&["create", "rolebinding", name, role, "--serviceaccount", &account])
                .success();
        };
        bind("one", "--clusterrole=admin");
        tells_no_token(make(&["deploy"]).success());
        make(&["diff"]).success();
        // A role that may not even read its namespace.
        scene.kubectl(&["delete", "rolebinding", "one"]).success();
        scene.kubectl(&["create", "role", "own", "--verb=*", "--resource=*.*"]).success();
        bind("two", "--role=own");
        for target in ["deploy", "diff", "restart", "status", "gitlab-secret"] {
            make(&[target]).success();
        }
        make(&["undeploy", "YES=1"]).success();
    });
}

#[test]
fn undeploy_leaves_the_namespace_and_nothing_in_it() {
    with_every_kubectl(|scene| {
        scene.make(&["deploy"]).success();
        scene.make(&["undeploy"]).failure(2).says("YES=1");
        assert_ne!(scene.uid(), "");
        for _ in 0..2 {
            scene.make(&["undeploy", "YES=1"]).success();
            let left = scene.kubectl(&[
                "get",
                "secret/gitlab",
                "deployments,services,ingresses",
                "-o",
                "name",
            ]);
            assert!(!left.output().stdout.contains('/'));
        }
        assert_eq!(
            scene.get(&format!("namespace/{}", scene.namespace), "{.status.phase}"),
            "Active"
        );
    });
}

#[test]
fn another_image_is_deployed_and_rolled_back() {
    let image =
        |scene: &Scene| scene.get("deployment/hello", "{.spec.template.spec.containers[0].image}");
    with_every_kubectl(|scene| {
        scene.make(&["deploy"]).success();
        scene.make(&["set-image", "TAG=1.0.1"]).success();
        let output = scene.make(&["diff"]).failure(2);
        assert!(output.stdout.contains("hello:1.0.1"), "{}", output.stdout);
        scene.make(&["deploy"]).success();
        assert_eq!(image(scene), "registry.gitlab.com/group/hello:1.0.1");
        let output = scene.make(&["rollback"]).success();
        assert_eq!(image(scene), "registry.gitlab.com/group/hello:1.0.0");
        output.prints("git still has the other version");
        scene.make(&["deploy"]).success();
        assert_eq!(image(scene), "registry.gitlab.com/group/hello:1.0.1");
        let digest = format!("sha256:{}", "0a".repeat(32));
        scene.make(&["set-image", &format!("DIGEST={digest}")]).success();
        scene.make(&["deploy"]).success();
        assert_eq!(image(scene), format!("registry.gitlab.com/group/hello@{digest}"));
    });
}

#[test]
fn a_server_that_is_away_or_knows_nobody_is_an_error_of_every_target() {
    with_every_kubectl(|scene| {
        let targets = [
            "deploy",
            "namespace",
            "gitlab-secret",
            "diff",
            "status",
            "logs",
            "restart",
            "rollback",
            "undeploy",
        ];
        for target in targets {
            let output = scene.make_as("--server=https://127.0.0.1:1", &[target]).failure(2);
            assert!(
                output.stderr.contains("refused") || output.stderr.contains("onnect"),
                "{}",
                output.stderr
            );
        }
        // The same cluster and a user with a wrong token.
        let view = ["config", "view", "--minify", "--raw", "--output=json"];
        let mut config = scene.kubectl(&view).success().json();
        config["users"][0]["user"] = json!({"token": "wrong"});
        let file = scene.sandbox.write_private("kubeconfig", config.to_string());
        let output =
            scene.make_as(&format!("--kubeconfig={}", file.display()), &["deploy"]).failure(2);
        output.says("You must be logged in to the server");
    });
}

/// A `ConfigMap` that was added by hand.
const SETTINGS: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata: {}\n";

/// A `StatefulSet` whose volume claims are deleted with it.
const STORE: &str = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata:\n  name: store\nspec:\n  serviceName: hello\n  replicas: 0\n  \
                     persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete}\n  selector: {matchLabels: {app: store}}\n  \
                     template:\n    metadata: {labels: {app: store}}\n    spec:\n      \
                     containers: [{name: store, image: registry.gitlab.com/group/hello:1.0.0}]\n";

#[test]
fn what_git_no_longer_has_is_named_and_pruned_and_nothing_else_is() {
    with_every_kubectl(|scene| {
        let kustomization = "kubernetes/base/kustomization.yaml";
        let claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata:\n  name: keep\nspec:\n  \
                     accessModes: [ReadWriteOnce]\n  resources: {requests: {storage: 1Mi}}\n";
        fs::write(scene.sandbox.hello("kubernetes/base/claim.yaml"), claim).unwrap();
        fs::write(scene.sandbox.hello("kubernetes/base/settings.yaml"), SETTINGS).unwrap();
        fs::write(scene.sandbox.hello("kubernetes/base/store.yaml"), STORE).unwrap();
        let more = "  - settings.yaml\n  - claim.yaml\n  - store.yaml\n";
        scene.edit(kustomization, "resources:\n", &format!("resources:\n{more}"));
        assert_eq!(scene.make(&["deploy"]).success().stderr, "");
        // Objects that were copied with their labels, have another owner, or belong to another
        // environment.
        let labels = ["makeinfra/project=hello", "makeinfra/environment=production"];
        for name in ["copied", "owned"] {
            scene.kubectl(&["create", "configmap", name]).success();
            scene.kubectl(&[&["label", "configmap", name][..], &labels].concat()).success();
        }
        let uid = scene.get("deployment/hello", "{.metadata.uid}");
        let owner =
            json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": "hello", "uid": uid}]);
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {
                "name": "owned", "ownerReferences": owner,
                "labels": {"makeinfra/project": "hello", "makeinfra/environment": "production"},
            },
        });
        let apply =
            ["apply", "--server-side", "--force-conflicts", "--field-manager=makeinfra", "-f", "-"];
        scene.kubectl(&apply).stdin(object.to_string()).success();

        scene.edit(kustomization, more, "");
        let output = scene.make(&["deploy"]).success();
        output
            .says("statefulset/store stays, because deleting it would delete its volume claims\n");
        output.says("no longer in git; to delete from the cluster: make prune\n");
        assert!(output.stdout.ends_with("\nconfigmap/settings\n"), "{}", output.stdout);
        scene
            .make(&["prune"])
            .failure(2)
            .says("YES=1")
            .prints("persistentvolumeclaim/keep stays\n");
        scene.make(&["prune", "YES=1"]).success();
        let left = scene.get("configmap", "{.items[*].metadata.name}");
        assert_eq!(left, "copied kube-root-ca.crt owned");
        assert_eq!(scene.get("persistentvolumeclaim", "{.items[*].metadata.name}"), "keep");
        scene.make(&["prune"]).success().prints("nothing to delete");
        assert_eq!(scene.get("statefulset", "{.items[*].metadata.name}"), "store");

        scene.make(&["undeploy", "YES=1"]).success().prints("persistentvolumeclaim/keep stays");
        assert_eq!(scene.get("persistentvolumeclaim", "{.items[*].metadata.name}"), "keep");
        assert!(scene.get("configmap", "{.items[*].metadata.name}").contains("copied"));
        assert_eq!(scene.get("statefulset", "{.items[*].metadata.name}"), "");
    });
}

#[test]
fn a_protected_environment_is_left_alone_until_somebody_agrees() {
    with_every_kubectl(|scene| {
        scene.edit(
            "kubernetes/overlays/production/environment.mk",
            "PROTECTED :=",
            "PROTECTED := yes",
        );
        for target in ["deploy", "namespace", "gitlab-secret", "restart"] {
            scene.make(&["-i", target]).output().says("Change production?");
        }
        assert_eq!(scene.get(&format!("namespace/{}", scene.namespace), "{.metadata.name}"), "");
        scene.make(&["deploy", "YES=1"]).success();
        assert_ne!(scene.uid(), "");
    });
}

#[test]
fn an_apply_that_would_fail_halfway_changes_nothing() {
    with_every_kubectl(|scene| {
        scene.make(&["deploy"]).success();
        let before = scene.versions();
        scene.edit(
            "kubernetes/base/deployment.yaml",
            "replicas: 0",
            "replicas: 0\n  minReadySeconds: 1",
        );
        scene.edit("kubernetes/base/service.yaml", "targetPort: http", "targetPort: HTTP_");
        scene.make(&["deploy"]).failure(2).says("targetPort");
        assert_eq!(scene.versions(), before);
    });
}
