//! The pull secret in the cluster: rotated, of another type, applied earlier by somebody, refused.

use super::{tells_no_token, with_every_kubectl};
use crate::support::{SECRET, TOKEN, assert_no_token, needles};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

#[test]
fn a_rotated_token_reaches_the_cluster_in_the_same_secret() {
    with_every_kubectl(|scene| {
        scene.make(&["deploy"]).success();
        let (uid, old) = (scene.uid(), scene.get("secret/gitlab", r"{.data.\.dockercfg}"));
        scene.sandbox.rotate_as_given("gldt-Second_7Qx9vWk2", &["--commit"]).success();
        let output = tells_no_token(scene.make(&["diff"]).failure(2));
        assert!(output.stdout.contains("+  .dockercfg: '***"), "{}", output.stdout);
        assert!(
            needles("gldt-Second_7Qx9vWk2").iter().all(|needle| !output.stdout.contains(needle))
        );
        scene.make(&["deploy"]).success();
        assert_eq!(scene.uid(), uid);
        assert_ne!(scene.get("secret/gitlab", r"{.data.\.dockercfg}"), old);
        // The new token has no expiry, so that annotation is removed, and only the user name of the
        // old token is left.
        let annotations = scene.get("secret/gitlab", "{.metadata.annotations}");
        assert_eq!(annotations, r#"{"makeinfra/superseded-tokens":"gitlab+deploy-token-1"}"#);
        assert_no_token(scene.get("secret/gitlab", "{}").as_bytes(), "the cluster's Secret");
        scene.make(&["diff"]).success();
    });
}

#[test]
fn a_secret_that_was_applied_client_side_loses_its_copy_of_the_token() {
    with_every_kubectl(|scene| {
        scene.make(&["namespace"]).success();
        let file = scene.sandbox.hello(SECRET).display().to_string();
        scene.kubectl(&["apply", "-f", &file]).success();
        let uid = scene.uid();
        assert!(scene.get("secret/gitlab", "{.metadata.annotations}").contains("last-applied"));
        scene.sandbox.rotate("gldt-new", &[]).success();
        tells_no_token(scene.make(&["diff"]).failure(2));
        tells_no_token(scene.make(&["gitlab-secret"]).success());
        assert_eq!(scene.uid(), uid);
        assert!(!scene.get("secret/gitlab", "{.metadata.annotations}").contains("last-applied"));
        let version = scene.get("secret/gitlab", "{.metadata.resourceVersion}");
        scene.make(&["gitlab-secret"]).success();
        assert_eq!(scene.get("secret/gitlab", "{.metadata.resourceVersion}"), version);
    });
}

#[test]
fn a_secret_of_another_type_is_replaced() {
    with_every_kubectl(|scene| {
        scene.make(&["namespace", "gitlab-secret"]).success();
        let uid = scene.uid();
        scene.sandbox.rotate(TOKEN, &["--secret-type", "dockerconfigjson"]).success();
        let output = tells_no_token(scene.make(&["diff"]).failure(2));
        assert!(output.stdout.contains("to be replaced:\nsecret/gitlab"), "{}", output.stdout);
        let output = tells_no_token(scene.make(&["gitlab-secret"]).success());
        assert!(output.stdout.contains("secret \"gitlab\" deleted"), "{}", output.stdout);
        assert_ne!(scene.uid(), uid);
        assert_eq!(scene.get("secret/gitlab", "{.type}"), "kubernetes.io/dockerconfigjson");
        let version = scene.get("secret/gitlab", "{.metadata.resourceVersion}");
        scene.make(&["gitlab-secret"]).success();
        assert_eq!(scene.get("secret/gitlab", "{.metadata.resourceVersion}"), version);
    });
}

#[test]
fn a_secret_that_the_cluster_refuses_is_neither_replaced_nor_shown() {
    with_every_kubectl(|scene| {
        scene.make(&["namespace", "gitlab-secret"]).success();
        let (uid, good) = (scene.uid(), scene.secret());
        let (head, data) = good.split_once("data:\n").unwrap();
        let data = data.trim();
        let value = data.rsplit(' ').next().unwrap();
        let json = STANDARD.encode(format!("{TOKEN}, and no JSON"));
        for text in [
            format!("{head}data:\n  .dockercfg: {json}\n"),
            // The type has changed as well, but there is another problem.
            format!("{head}data:\n  .dockerconfigjson: {json}\n")
                .replace("io/dockercfg", "io/dockerconfigjson"),
            format!("{head}data:\n  .other: {value}\n"),
            format!("{head}data: {value}\n"),
            format!("{head}stringData: {TOKEN}\n"),
            format!("{head}data:\n  .dockercfg: {TOKEN}\n"),
            format!("{head}data:\n  .dockercfg: [{TOKEN}\n"),
            format!("{head}data:\n  .dockercfg: *{TOKEN}\n"),
            format!("{head}data:\n  .dockercfg:\n    {TOKEN}: {value}\n"),
        ] {
            scene.write_secret(&text);
            for target in ["gitlab-secret", "diff", "deploy"] {
                scene.make(&[target]).failure(2).says("rror");
            }
            assert_eq!(scene.uid(), uid, "{text}");
        }
        scene.write_secret(&good);
        scene.make(&["diff"]).output();
        assert_eq!(scene.uid(), uid);
    });
}

#[test]
fn the_pull_secret_comes_alone_as_the_overlay_renders_it() {
    with_every_kubectl(|scene| {
        scene.make(&["gitlab-secret"]).success();
        assert_eq!(
            scene.get("secret/gitlab", r"{.metadata.labels.makeinfra/environment}"),
            "production"
        );
        let others = scene.get("deployments,services,ingresses", "{.items[*].metadata.name}");
        assert_eq!(others, "");
        assert_eq!(scene.make(&["deploy"]).success().stderr, "");
    });
}
