//! The purpose of makeinfra: after `make deploy`, the kubelet pulls from a private registry with
//! the Secret.

use super::{Bed, DeployToken, Scene, bed, tells_no_token};
use crate::support::{IMAGE, TOKEN, assert_no_token, kubectls, needles};
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

/// A token that replaces [`TOKEN`].
const SECOND: &str = "gldt-Second_7Qx9vWk2";

impl Scene {
    /// Expects that the Deployment is available, and returns the only image that its pods run.
    pub(super) fn runs(&self) -> String {
        let status =
            || self.kubectl(&["get", "deployment", "hello", "--output=json"]).success().json();
        let all = |status: &serde_json::Value| {
            status["status"]["availableReplicas"] == status["spec"]["replicas"]
        };
        // On a busy machine, the kubelet may retract a pod's readiness for a moment.
        for _ in 0..30 {
            if all(&status()) {
                break;
            }
            sleep(Duration::from_secs(1));
        }
        let status = status();
        assert!(all(&status), "{status}");
        let pods = self.pods();
        assert!(!pods.is_empty());
        let image = |pod: &serde_json::Value| {
            let container = &pod["status"]["containerStatuses"][0];
            assert_eq!(container["restartCount"], 0, "{container}");
            assert!(container["state"]["running"].is_object(), "{container}");
            // A node knows an image by each name under which it was pulled, and shows any of them.
            let id = container["imageID"].as_str().unwrap();
            id.split_once('@').map_or(id, |(_, digest)| digest).to_owned()
        };
        let images: Vec<_> = pods.iter().map(image).collect();
        assert!(images.iter().all(|other| *other == images[0]), "{images:?}");
        images[0].clone()
    }

    fn uids(&self) -> Vec<String> {
        self.pods().iter().map(|pod| pod["metadata"]["uid"].as_str().unwrap().to_owned()).collect()
    }

    /// Everything that the cluster shows of the namespace except for the Secret's data: objects,
    /// events, and descriptions.
    fn all_that_is_told(&self) -> String {
        let kinds = "namespaces,deployments,replicasets,pods,services,ingresses,configmaps,serviceaccounts,events";
        let objects = self.kubectl(&["get", kinds, "--output=yaml"]).success().stdout;
        let described = self
            .kubectl(&["describe", "secrets,deployments,replicasets,pods,events"])
            .success()
            .stdout;
        let secret = self.get("secret/gitlab", "{.metadata}");
        objects + &described + &secret
    }
}

/// How often the token service allowed this user to pull.
fn pulls(bed: &Bed, token: &DeployToken) -> usize {
    let user = format!("user={:?} ", token.username);
    let log = bed.log("token-service");
    log.lines()
        .filter(|line| line.contains(&user) && line.contains(":pull") && line.ends_with(" 200"))
        .count()
}

#[test]
fn a_generated_repository_deploys_a_private_image() {
    let Some(bed) = bed() else { return };
    let by_digest = format!("registry.gitlab.com/group/hello@{}", bed.digest());
    let cases = [
        (IMAGE, &[][..]),
        (IMAGE, &["--secret-type", "dockerconfigjson"]),
        (&by_digest, &["--registry", "registry.gitlab.com/group"]),
        ("registry.example.com:5050/group/hello:1.0.0", &[]),
        (
            "registry.gitlab.com/group/nested/hello:1.0.0",
            &["--secret-type", "dockerconfigjson", "--health-path", "/"],
        ),
    ];
    // Every kubectl runs the first case, and they take turns with the others.
    for (number, kubectl) in kubectls().iter().enumerate() {
        for (_, (image, args)) in
            cases.iter().enumerate().filter(|(case, _)| *case == 0 || case % 3 == number % 3)
        {
            let (scene, token) = Scene::with_pods(&bed, kubectl, image, args);
            let output = tells_no_token(scene.make(&["deploy"]).success());
            assert!(output.stdout.contains("successfully rolled out"), "{}", output.stdout);
            let running = scene.runs();
            assert!(running.ends_with(&bed.digest()), "{running}");
            assert!(pulls(&bed, &token) > 0, "nobody signed in as {}", token.username);
            assert_no_token(scene.all_that_is_told().as_bytes(), "the cluster");
        }
    }
}

#[test]
fn a_rotated_token_works_again_and_restarts_nothing() {
    let Some(bed) = bed() else { return };
    for kubectl in kubectls() {
        let (scene, token) = Scene::with_pods(&bed, &kubectl, IMAGE, &[]);
        scene.make(&["deploy"]).success();
        let (secret, pods) = (scene.uid(), scene.uids());

        token.becomes(SECOND, "group", "read_registry");
        scene.make(&["set-image", "TAG=1.1.0"]).success();
        let output = scene.make(&["deploy", "ROLLOUT_TIMEOUT=20s"]).failure(2);
        output.says("401 Unauthorized").says("hint: makeinfra diagnose\n");
        // The old pods keep running.
        assert!(pods.iter().all(|pod| scene.uids().contains(pod)));

        let file = scene.sandbox.write_private("token2", SECOND).display().to_string();
        let rotate = ["rotate", "--token-username", &token.username, "--token-file", &file];
        scene.sandbox.makeinfra(&rotate).cwd(scene.sandbox.hello("")).success();
        // The hanging pods are deleted, which creates no new revision.
        let revision = scene.get("deployment/hello", "{.metadata.annotations}");
        let output = scene.make(&["deploy"]).success();
        assert_eq!(scene.get("deployment/hello", "{.metadata.annotations}"), revision);
        assert!(needles(SECOND).iter().all(|needle| !output.stdout.contains(needle)));
        assert_eq!(scene.uid(), secret);
        scene.runs();
        for value in [TOKEN, SECOND] {
            let told = scene.all_that_is_told();
            assert!(needles(value).iter().all(|needle| !told.contains(needle)));
        }
    }
}

#[test]
fn a_rotation_restarts_no_pod_that_runs() {
    let Some(bed) = bed() else { return };
    let (scene, token) = Scene::with_pods(&bed, &kubectls()[0], IMAGE, &[]);
    scene.make(&["deploy"]).success();
    let (secret, mut pods) = (scene.uid(), scene.uids());
    token.becomes(SECOND, "group", "read_registry");
    // Even new pods start on this node with the revoked token: it trusts images that it has pulled
    // with this Secret.
    let made_anew = || {
        scene.kubectl(&["delete", "pods", "--all", "--wait=false"]).success();
        scene.kubectl(&["rollout", "status", "deployment/hello", "--timeout=60s"]).success();
        scene.runs();
        scene.uids()
    };
    assert!(made_anew().iter().all(|pod| !pods.contains(pod)));
    pods = scene.uids();
    let file = scene.sandbox.write_private("token2", SECOND).display().to_string();
    let rotate = ["rotate", "--token-username", &token.username, "--token-file", &file];
    scene.sandbox.makeinfra(&rotate).cwd(scene.sandbox.hello("")).success();
    scene.make(&["deploy"]).success();
    let mut after = scene.uids();
    pods.sort();
    after.sort();
    assert_eq!((after, scene.uid()), (pods, secret));
    // The Secret is the same by UID, so what was pulled with it is valid for the new token, too.
    made_anew();
}

#[test]
fn a_secret_of_another_type_and_back_pulls_on() {
    let Some(bed) = bed() else { return };
    for kubectl in kubectls() {
        let (scene, token) = Scene::with_pods(&bed, &kubectl, IMAGE, &[]);
        scene.make(&["deploy"]).success();
        for (kind, tag, value) in
            [("dockerconfigjson", "1.1.0", SECOND), ("dockercfg", "1.0.0", "gldt-third")]
        {
            // With another value, so that the kubelet does not trust earlier pulls.
            token.becomes(value, "group", "read_registry");
            let before = pulls(&bed, &token);
            let file = scene.sandbox.write_private("token2", value).display().to_string();
            let rotate = [
                "rotate",
                "--secret-type",
                kind,
                "--token-username",
                &token.username,
                "--token-file",
                &file,
            ];
            scene.sandbox.makeinfra(&rotate).cwd(scene.sandbox.hello("")).success();
            scene.make(&["set-image", &format!("TAG={tag}")]).success();
            tells_no_token(scene.make(&["deploy"]).success());
            assert_eq!(scene.get("secret/gitlab", "{.type}"), format!("kubernetes.io/{kind}"));
            assert!(pulls(&bed, &token) > before);
            scene.runs();
        }
    }
}

#[test]
fn the_targets_do_what_they_say() {
    let Some(bed) = bed() else { return };
    for kubectl in kubectls() {
        let (scene, _token) = Scene::with_pods(&bed, &kubectl, IMAGE, &[]);
        scene.make(&["-j4", "deploy"]).success();
        let (first, pods) = (scene.runs(), scene.uids());
        let versions = scene.versions();
        scene.make(&["deploy"]).success();
        assert_eq!((scene.versions(), scene.uids()), (versions, pods.clone()));
        scene.make(&["diff"]).success();

        let output = scene.make(&["status"]).success();
        assert!(
            output.stdout.contains("2/2") && output.stdout.contains("Running"),
            "{}",
            output.stdout
        );
        let output = scene.make(&["logs"]).success();
        assert_eq!(output.stdout.matches("started").count(), 2, "{}", output.stdout);
        scene.make(&["restart"]).success();
        assert!(scene.uids().iter().all(|pod| !pods.contains(pod)));

        scene.make(&["set-image", "TAG=1.1.0"]).success();
        assert!(scene.make(&["diff"]).failure(2).stdout.contains("hello:1.1.0"));
        scene.make(&["deploy"]).success();
        assert_ne!(scene.runs(), first);
        scene.make(&["rollback"]).success();
        assert_eq!(scene.runs(), first);

        scene.make(&["undeploy"]).failure(2).says("YES=1");
        assert_eq!(scene.runs(), first);
        scene.make(&["undeploy", "YES=1"]).success();
        assert_eq!(scene.get("secret,deployment,service", "{.items[*].metadata.name}"), "");
        scene.make(&["deploy"]).success();
    }
}

#[test]
fn a_deploy_that_is_interrupted_can_be_repeated() {
    let Some(bed) = bed() else { return };
    let (scene, _token) = Scene::with_pods(&bed, &kubectls()[0], IMAGE, &[]);
    // At every step that takes a while: no namespace, no Secret, no Deployment, and during the
    // rollout.
    for pause in [50, 150, 300, 500, 800, 1300, 2000] {
        let mut command = scene.make(&["deploy"]).command();
        command.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let mut child = command.spawn().unwrap();
        sleep(Duration::from_millis(pause));
        // As from a terminal: make, the shell and kubectl all get it.
        let group = format!("-{}", child.id());
        scene.sandbox.run("kill", &["-INT", "--", &group]).output();
        child.wait().unwrap();
    }
    assert_eq!(scene.sandbox.git(&["status", "--porcelain"]).success().stdout, "");
    scene.make(&["deploy"]).success();
    scene.runs();
}

#[test]
fn the_context_is_chosen_with_kubectl() {
    let Some(bed) = bed() else { return };
    for kubectl in kubectls() {
        let (scene, _token) = Scene::with_pods(&bed, &kubectl, IMAGE, &[]);
        let other =
            scene.sandbox.write_private("two", fs::read_to_string(bed.kubeconfig()).unwrap());
        let config = |args: &[&str]| {
            let file = other.display().to_string();
            scene.kubectl(&[&["config", "--kubeconfig", &file], args].concat()).success()
        };
        config(&["set-cluster", "nowhere", "--server=https://127.0.0.1:1"]);
        config(&["set-context", "wrong", "--cluster=nowhere", "--user=admin"]);
        config(&["use-context", "wrong"]);
        let make = |options: &str| scene.make_as(options, &["deploy"]).env("KUBECONFIG", &other);
        make("").failure(2).says("refused").prints("context wrong\n");
        make("--context none-such").failure(2).says("none-such");
        make("--context bed").success().prints("context bed\n");
        let typed = ["deploy", "CONTEXT=bed"];
        scene.make_as("", &typed).env("KUBECONFIG", &other).success().prints("context bed\n");
        scene.runs();
    }
}
