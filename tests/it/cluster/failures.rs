//! Deploys that fail, on the real node: the exit code, the reason in the last lines, and nothing half applied.

use super::{Scene, bed, tells_no_token};
use crate::support::{IMAGE, Output, SECRET, TOKEN, kubectls};
use std::fs;

const DEPLOYMENT: &str = "kubernetes/base/deployment.yaml";

/// Expects that a deploy fails with this cause and this advice, in its last lines.
#[track_caller]
fn fails(scene: &Scene, cause: &str, advice: &str) -> Output {
    let output = scene.make(&["deploy", "ROLLOUT_TIMEOUT=20s"]).failure(2);
    let (_, last) = output
        .stderr
        .split_once("error: the rollout of deployment/hello failed: ")
        .unwrap_or_else(|| panic!("not explained:\n{}\n{}", output.stdout, output.stderr));
    assert!(
        last.contains(cause) && last.contains(advice),
        "no `{cause}` and `{advice}`: {last}\n{}",
        output.stdout
    );
    assert!(last.lines().count() < 7, "{last}");
    output
}

#[test]
fn a_token_that_the_registry_refuses_is_told() {
    let Some(bed) = bed() else { return };
    let cases = [
        ("gldt-other", "group", "read_registry", "401: the registry refused the token", "makeinfra rotate"),
        (TOKEN, "other", "read_registry", "not for this image", "in the project of"),
        (TOKEN, "group", "read_repository", "lacks the scope read_registry", "read_registry in GitLab"),
    ];
    for ((value, project, scope, cause, advice), kubectl) in cases.into_iter().zip(kubectls().iter().cycle())
    {
        let (scene, token) = Scene::with_pods(&bed, kubectl, IMAGE, &[]);
        token.becomes(value, project, scope);
        let output = fails(&scene, cause, advice);
        assert!(output.stdout.contains("Failed to pull image"), "{}", output.stdout);
        // What was wrong is put right in GitLab, and the same command works.
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
        fails(&scene, &format!("the registry has no {image}"), "make set-image TAG=");
        scene.make(&["set-image", "TAG=1.0.0"]).success();
        scene.make(&["deploy"]).success();
    }
    let image = "registry.gitlab.com/group/none:1.0.0";
    let (scene, _token) = Scene::with_pods(&bed, &kubectls()[0], image, &[]);
    fails(&scene, &format!("the registry has no {image}"), "make set-image TAG=");
}

#[test]
fn without_a_credential_that_matches_the_pull_is_anonymous() {
    let Some(bed) = bed() else { return };
    let kubectl = &kubectls()[0];
    let (scene, _token) = Scene::with_pods(&bed, kubectl, IMAGE, &[]);
    let (named, none) = ("imagePullSecrets:\n        - name: gitlab\n", "imagePullSecrets: []\n");
    scene.edit(DEPLOYMENT, named, none);
    let output = fails(&scene, "403, anonymous", "makeinfra rotate");
    assert!(output.stdout.contains("failed to fetch anonymous token"), "{}", output.stdout);
    scene.edit(DEPLOYMENT, none, named);
    // A Secret that is not there.
    scene.edit(DEPLOYMENT, "- name: gitlab", "- name: gitlap");
    let output = fails(&scene, "the Secret that kubernetes/base/deployment.yaml names", "make gitlab-secret");
    assert!(output.stdout.contains("FailedToRetrieveImagePullSecret"), "{}", output.stdout);
    scene.edit(DEPLOYMENT, "- name: gitlap", "- name: gitlab");
    // A registry that no name server knows.
    scene.edit(DEPLOYMENT, "registry.gitlab.com", "registry.none.test");
    fails(&scene, "cannot reach the registry", "above say why");
    scene.edit(DEPLOYMENT, "registry.none.test", "registry.gitlab.com");
    scene.make(&["deploy"]).success();
}

#[test]
fn an_image_that_may_not_run_is_told() {
    let Some(bed) = bed() else { return };
    for (image, cause, advice) in [
        ("root", "the image runs as root", "--pod-security baseline"),
        ("named", "USER is a name", "runAsUser"),
        ("crash", "starts and ends again", "make logs"),
    ] {
        for kubectl in kubectls() {
            let reference = format!("registry.gitlab.com/group/{image}:1.0.0");
            let (scene, _token) = Scene::with_pods(&bed, &kubectl, &reference, &[]);
            let output = fails(&scene, cause, advice);
            assert!(output.stdout.contains("recent events"), "{}", output.stdout);
            // The defaults are what a namespace that enforces "restricted" admits.
            let namespace = format!("namespace/{}", scene.namespace);
            let level = scene.get(&namespace, r"{.metadata.labels.pod-security\.kubernetes\.io/enforce}");
            assert!(level == "restricted" && !scene.pods().is_empty(), "{level}");
        }
    }
    // The advice works.
    let reference = "registry.gitlab.com/group/root:1.0.0";
    let (scene, _token) = Scene::with_pods(&bed, &kubectls()[0], reference, &["--pod-security", "baseline"]);
    scene.make(&["deploy"]).success();
    let reference = "registry.gitlab.com/group/named:1.0.0";
    let (scene, _token) = Scene::with_pods(&bed, &kubectls()[0], reference, &[]);
    scene.edit(DEPLOYMENT, "runAsNonRoot: true\n", "runAsNonRoot: true\n        runAsUser: 1000\n");
    scene.make(&["deploy"]).success();
}

#[test]
fn a_quota_that_is_used_up_is_told() {
    let Some(bed) = bed() else { return };
    for kubectl in kubectls() {
        let (scene, _token) = Scene::with_pods(&bed, &kubectl, IMAGE, &[]);
        scene.make(&["namespace"]).success();
        scene.kubectl(&["create", "quota", "small", "--hard=pods=0"]).success();
        let output = fails(&scene, "quota is used up", "larger quota");
        assert!(output.stdout.contains("exceeded quota"), "{}", output.stdout);
        scene.kubectl(&["delete", "quota", "small"]).success();
    }
}

#[test]
fn pods_that_no_node_takes_are_told() {
    let Some(bed) = bed() else { return };
    let (scene, _token) = Scene::with_pods(&bed, &kubectls()[0], IMAGE, &[]);
    scene.edit(DEPLOYMENT, "cpu: 50m", "cpu: 5000");
    fails(&scene, "no node has room", "resources.requests");
}

#[test]
fn what_is_wrong_in_the_repository_stops_before_anything_is_applied() {
    let Some(bed) = bed() else { return };
    for kubectl in kubectls() {
        let (scene, _token) = Scene::with_pods(&bed, &kubectl, IMAGE, &[]);
        let good = scene.secret();
        let nothing = || {
            let namespace = scene.get(&format!("namespace/{}", scene.namespace), "{.metadata.name}");
            assert_eq!(namespace, "", "something was applied");
        };
        scene.sandbox.git(&["crypt", "lock"]).success();
        scene.make(&["deploy"]).failure(2).says("is locked").says("git-crypt unlock");
        nothing();
        fs::remove_file(scene.sandbox.hello(SECRET)).unwrap();
        scene.make(&["deploy"]).failure(2).says("there is no pull secret").says("makeinfra rotate");
        nothing();
        scene.write_secret(&good);
        scene.edit("kubernetes/base/service.yaml", "kind:", "kind");
        scene.make(&["deploy"]).failure(2).says("error: ");
        nothing();
        scene.edit("kubernetes/base/service.yaml", "kind", "kind:");
        scene.make_as("--server=https://127.0.0.1:1", &["deploy"]).failure(2).says("CONTEXT=NAME");
        nothing();
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
        let file = scene.sandbox.hello("kubernetes/overlays/production/namespace.yaml").display().to_string();
        admin(&["apply", "--filename", &file]);
        admin(&["create", "serviceaccount", "deployer"]);
        // A token of the account itself, as CI would have it.
        let token = admin(&["create", "token", "deployer"]);
        let other = scene.sandbox.write_private("deployer", fs::read_to_string(bed.kubeconfig()).unwrap());
        let config = other.display().to_string();
        admin(&["config", "--kubeconfig", &config, "set-credentials", "deployer", "--token", token.trim()]);
        admin(&["config", "--kubeconfig", &config, "set-context", "bed", "--user=deployer"]);
        let make = |target: &str| scene.make(&[target]).env("KUBECONFIG", &other);
        make("deploy").failure(2).says("missing or out of reach for this user").says("rolebinding");
        let account = format!("--serviceaccount={}:deployer", scene.namespace);
        admin(&["create", "rolebinding", "deployer", "--clusterrole=admin", &account]);
        tells_no_token(make("deploy").success());
        for target in ["diff", "status", "logs", "restart"] {
            make(target).success();
        }
    }
}
