//! Failing deployments on a real node: the exit code, the cluster's messages in the last lines, and
//! nothing half applied.

use super::{Scene, bed, tells_no_token};
use crate::support::{IMAGE, Output, SECRET, TOKEN, kubectls};
use std::fs;
use std::thread::sleep;
use std::time::Duration;

const DEPLOYMENT: &str = "kubernetes/base/deployment.yaml";

/// Deploys until it fails with this among the last warnings: on a busy machine, events arrive late.
#[track_caller]
fn fails(scene: &Scene, warning: &str) -> Output {
    let mut output = scene.make(&["deploy", "ROLLOUT_TIMEOUT=10s"]).failure(2);
    for _ in 0..6 {
        if output.stderr.contains(warning) {
            break;
        }
        sleep(Duration::from_secs(5));
        output = scene.make(&["deploy", "ROLLOUT_TIMEOUT=10s"]).failure(2);
    }
    output.says(warning).says("\nhint: makeinfra diagnose\n");
    output
}

#[test]
fn a_token_that_the_registry_refuses_is_told() {
    let Some(bed) = bed() else { return };
    let cases = [
        ("gldt-other", "group", "read_registry", "401 Unauthorized"),
        (TOKEN, "other", "read_registry", "insufficient_scope"),
        (TOKEN, "group", "read_repository", "403 Forbidden"),
    ];
    for ((value, project, scope, warning), kubectl) in
        cases.into_iter().zip(kubectls().iter().cycle())
    {
        let (scene, token) = Scene::with_pods(&bed, kubectl, IMAGE, &[]);
        token.becomes(value, project, scope);
        fails(&scene, warning);
        // The token is fixed in GitLab, and the same command works.
        token.becomes(TOKEN, "group", "read_registry");
        tells_no_token(scene.make(&["deploy"]).success());
    }
}

#[test]
fn an_image_that_is_not_there_is_told() {
    let Some(bed) = bed() else { return };
    for kubectl in kubectls() {
        let image = "registry.gitlab.com/group/hello:9.9.9";
        let (scene, _token) = Scene::with_pods(&bed, &kubectl, image, &[]);
        fails(&scene, "hello:9.9.9: not found");
        scene.make(&["set-image", "TAG=1.0.0"]).success();
        scene.make(&["deploy"]).success();
    }
}

#[test]
fn pods_that_cannot_be_made_or_started_are_told() {
    let Some(bed) = bed() else { return };
    let kubectl = &kubectls()[0];
    let image = |name: &str| format!("registry.gitlab.com/group/{name}:1.0.0");
    let (scene, _token) = Scene::with_pods(&bed, kubectl, &image("root"), &[]);
    fails(&scene, "image will run as root");
    // The defaults comply with a namespace that enforces "restricted".
    let namespace = format!("namespace/{}", scene.namespace);
    let level = scene.get(&namespace, r"{.metadata.labels.pod-security\.kubernetes\.io/enforce}");
    assert!(level == "restricted" && !scene.pods().is_empty(), "{level}");

    let (scene, _token) = Scene::with_pods(&bed, kubectl, IMAGE, &[]);
    scene.make(&["namespace"]).success();
    scene.kubectl(&["create", "quota", "small", "--hard=pods=0"]).success();
    fails(&scene, "exceeded quota");
    scene.kubectl(&["delete", "quota", "small"]).success();
    scene.edit(DEPLOYMENT, "cpu: 50m", "cpu: 5000");
    fails(&scene, "Insufficient cpu");
    // The settings for an image that runs as root or names its user.
    let (scene, _token) =
        Scene::with_pods(&bed, kubectl, &image("root"), &["--pod-security", "baseline"]);
    scene.make(&["deploy"]).success();
    let (scene, _token) = Scene::with_pods(&bed, kubectl, &image("named"), &[]);
    scene.edit(DEPLOYMENT, "runAsNonRoot: true\n", "runAsNonRoot: true\n        runAsUser: 1000\n");
    scene.make(&["deploy"]).success();
}

#[test]
fn what_is_wrong_in_the_repository_stops_before_anything_is_applied() {
    let Some(bed) = bed() else { return };
    for kubectl in kubectls() {
        let (scene, _token) = Scene::with_pods(&bed, &kubectl, IMAGE, &[]);
        let good = scene.secret();
        let nothing = || {
            let namespace =
                scene.get(&format!("namespace/{}", scene.namespace), "{.metadata.name}");
            assert_eq!(namespace, "", "something was applied");
        };
        scene.sandbox.git(&["crypt", "lock"]).success();
        scene.make(&["deploy"]).failure(2).says("error: locked: ").says("git-crypt unlock");
        nothing();
        scene.sandbox.git(&["crypt", "unlock"]).output();
        fs::remove_file(scene.sandbox.hello(SECRET)).unwrap();
        scene.write_secret(&good);
        let kustomization = scene.sandbox.hello("secrets/kubernetes/kustomization.yaml");
        fs::write(&kustomization, "resources:\n  - gitlab.secret.yaml\n").unwrap();
        scene.make_as("--server=https://127.0.0.1:1", &["deploy"]).failure(2).says("127.0.0.1:1");
        nothing();
        // A missing namespace is the only thing that a refused deployment leaves.
        scene.edit("kubernetes/base/service.yaml", "kind:", "kind");
        scene.make(&["deploy"]).failure(2).says("service.yaml");
        assert_eq!(scene.uid(), "");
        scene.edit("kubernetes/base/service.yaml", "kind", "kind:");
        scene.make(&["deploy"]).success();
    }
}

#[test]
fn a_service_account_with_rights_in_its_namespace_deploys() {
    let Some(bed) = bed() else { return };
    for kubectl in kubectls() {
        let (scene, _token) = Scene::with_pods(&bed, &kubectl, IMAGE, &[]);
        let newest = bed.program("kubectl").display().to_string();
        let admin = |args: &[&str]| {
            let namespace = ["--namespace", &scene.namespace];
            let run = scene.sandbox.run(&newest, &[&namespace[..], args].concat());
            run.env("KUBECONFIG", bed.kubeconfig()).success().stdout
        };
        let file = scene
            .sandbox
            .hello("kubernetes/overlays/production/namespace.yaml")
            .display()
            .to_string();
        admin(&["apply", "--filename", &file]);
        admin(&["create", "serviceaccount", "deployer"]);
        // A token of the account itself, as in CI.
        let token = admin(&["create", "token", "deployer"]);
        let other =
            scene.sandbox.write_private("deployer", fs::read_to_string(bed.kubeconfig()).unwrap());
        let config = other.display().to_string();
        admin(&[
            "config",
            "--kubeconfig",
            &config,
            "set-credentials",
            "deployer",
            "--token",
            token.trim(),
        ]);
        admin(&["config", "--kubeconfig", &config, "set-context", "bed", "--user=deployer"]);
        let make = |args: &[&str]| scene.make(args).env("KUBECONFIG", &other);
        make(&["deploy"]).failure(2).says("(Forbidden)");
        let account = format!("--serviceaccount={}:deployer", scene.namespace);
        admin(&["create", "rolebinding", "deployer", "--clusterrole=admin", &account]);
        let output = tells_no_token(make(&["deploy"]).success());
        assert_eq!(output.stderr, "", "it may list all kinds");
        for target in ["diff", "status", "logs", "restart", "prune"] {
            make(&[target]).success();
        }
        make(&["undeploy", "YES=1"]).success();
    }
}
