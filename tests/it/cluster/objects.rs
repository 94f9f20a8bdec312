//! What the targets make of the objects in the cluster; no pod runs.

use super::{Scene, tells_no_token, with_every_kubectl};
use crate::support::{TOKEN, needles};
use serde_json::json;

#[test]
fn deploys_and_then_changes_nothing() {
    with_every_kubectl(|scene| {
        let output = scene.make(&["diff"]).failure(2);
        assert!(output.stdout.contains("everything would be created"), "{}", output.stdout);
        let output = tells_no_token(scene.make(&["deploy"]).success());
        assert!(output.stdout.contains("successfully rolled out"), "{}", output.stdout);
        let data = scene.get("secret/gitlab", r"{.data.\.dockercfg}");
        assert!(scene.secret().contains(&data) && needles(TOKEN).iter().any(|needle| data.contains(needle)));
        let before = scene.versions();
        assert!(before.iter().all(|version| !version.is_empty()), "{before:?}");
        let output = scene.make(&["diff"]).success();
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("no differences\n", ""));
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
        for target in ["deploy", "diff", "gitlab-secret"] {
            let output = make(&[target]).failure(2);
            output
                .says("missing or out of reach for this user")
                .says("kubectl apply -f kubernetes/overlays/production/namespace.yaml");
        }
        let output = make(&["namespace"]).success();
        assert!(output.stdout.contains("no right to look at it"), "{}", output.stdout);
        // What the administrator is told to run.
        let file = scene.sandbox.hello("kubernetes/overlays/production/namespace.yaml").display().to_string();
        scene.kubectl(&["apply", "-f", &file]).success();
        make(&["deploy"]).failure(2).says("missing or out of reach for this user").says("rolebinding");
        let bind = |name: &str, role: &str| {
            scene.kubectl(&["create", "rolebinding", name, role, "--serviceaccount", &account]).success();
        };
        bind("one", "--clusterrole=admin");
        tells_no_token(make(&["deploy"]).success());
        make(&["diff"]).success();
        // A role that may not even ask for its namespace.
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
            let left =
                scene.kubectl(&["get", "secret/gitlab", "deployments,services,ingresses", "-o", "name"]);
            assert!(!left.output().stdout.contains('/'));
        }
        assert_eq!(scene.get(&format!("namespace/{}", scene.namespace), "{.status.phase}"), "Active");
    });
}

#[test]
fn another_image_is_deployed_and_rolled_back() {
    let image = |scene: &Scene| scene.get("deployment/hello", "{.spec.template.spec.containers[0].image}");
    with_every_kubectl(|scene| {
        scene.make(&["deploy"]).success();
        scene.make(&["set-image", "TAG=1.0.1"]).success();
        let output = scene.make(&["diff"]).failure(2);
        assert!(output.stdout.contains("hello:1.0.1"), "{}", output.stdout);
        scene.make(&["deploy"]).success();
        assert_eq!(image(scene), "registry.gitlab.com/group/hello:1.0.1");
        let output = scene.make(&["rollback"]).success();
        assert_eq!(image(scene), "registry.gitlab.com/group/hello:1.0.0");
        assert!(
            output.stdout.contains("running    registry.gitlab.com/group/hello:1.0.0"),
            "{}",
            output.stdout
        );
        assert!(
            output.stdout.contains("in git     registry.gitlab.com/group/hello:1.0.1"),
            "{}",
            output.stdout
        );
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
            let output = scene.make_as("--server=https://127.0.0.1:1", &[target, "YES=1"]).failure(2);
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
        let output = scene.make_as(&format!("--kubeconfig={}", file.display()), &["deploy"]).failure(2);
        output.says("You must be logged in to the server");
    });
}
