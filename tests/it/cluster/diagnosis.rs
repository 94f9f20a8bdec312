//! `makeinfra diagnose` on a real node: the first finding is the problem, and its hint fixes it.

use super::{Scene, bed, tells_no_token};
use crate::support::{IMAGE, TOKEN, kubectls};
use serde_json::Value;
use std::fs;
use std::thread::sleep;
use std::time::Duration;

const DEPLOYMENT: &str = "kubernetes/base/deployment.yaml";

impl Scene {
    /// The output of `diagnose --json`, with its exit code; the token is in neither form of the
    /// output.
    fn diagnose(&self) -> (Option<i32>, Value) {
        let run = |args: &[&str]| {
            let run = self
                .sandbox
                .makeinfra(&[&["diagnose"], args].concat())
                .env("KUBECTL", &self.kubectl);
            tells_no_token(
                run.cwd(self.sandbox.work("hello-infra"))
                    .env("KUBECONFIG", &self.kubeconfig)
                    .output(),
            )
        };
        let (text, json) = (run(&[]), run(&["--json"]));
        assert!(text.stderr.is_empty() && json.stderr.is_empty(), "{}{}", text.stderr, json.stderr);
        (json.code, json.json())
    }

    /// Deploys, which fails, and expects `cause` first, with `hint`.
    #[track_caller]
    fn is_told(&self, cause: &str, hint: &str) -> Value {
        self.make(&["deploy", "ROLLOUT_TIMEOUT=15s"]).failure(2);
        self.comes_to(cause, hint)
    }

    /// Waits for `cause` as the first finding: between two attempts, a pod may look fine.
    #[track_caller]
    pub(super) fn comes_to(&self, cause: &str, hint: &str) -> Value {
        let mut found = Value::Null;
        for _ in 0..20 {
            found = self.diagnose().1;
            if found["causes"][0]["id"] == cause {
                assert!(found["causes"][0]["hint"].as_str().unwrap().contains(hint), "{found:#}");
                assert_eq!(self.diagnose().0, Some(1));
                return found;
            }
            sleep(Duration::from_secs(1));
        }
        panic!("no {cause}: {found:#}\n{}", self.kubectl(&["get", "pods,events"]).output().stdout);
    }

    pub(super) fn is_fine(&self) {
        let (code, found) = self.diagnose();
        assert_eq!((code, &found["verdict"]), (Some(0), &Value::from("fine")), "{found:#}");
        assert_eq!(found["causes"], Value::Array(vec![]), "{found:#}");
    }
}

#[test]
fn what_is_not_there_and_what_runs_is_told() {
    let Some(bed) = bed() else { return };
    for kubectl in kubectls() {
        let (scene, _token) = Scene::with_pods(&bed, &kubectl, IMAGE, &[]);
        scene.comes_to("namespace-missing", "make deploy");
        scene.make(&["namespace"]).success();
        scene.comes_to("not-deployed", "make deploy");
        scene.make(&["deploy"]).success();
        scene.is_fine();
    }
}

#[test]
fn a_refused_token_is_told_from_an_older_one_in_the_cluster() {
    let Some(bed) = bed() else { return };
    for kubectl in kubectls() {
        let (scene, token) = Scene::with_pods(&bed, &kubectl, IMAGE, &[]);
        // Revoked, and recreated in GitLab.
        token.becomes("gldt-Second_7Qx9vWk2", "group", "read_registry");
        scene.is_told("token-refused", "makeinfra rotate --commit && make deploy");
        let file =
            scene.sandbox.write_private("second", "gldt-Second_7Qx9vWk2").display().to_string();
        let args = ["rotate", "--token-username", &token.username, "--token-file", &file];
        scene.sandbox.makeinfra(&args).cwd(scene.sandbox.work("hello-infra")).success();
        scene.comes_to("secret-outdated", "make gitlab-secret");
        scene.make(&["deploy"]).success();
        scene.is_fine();
    }
    let (scene, token) = Scene::with_pods(&bed, &kubectls()[0], IMAGE, &[]);
    token.becomes(TOKEN, "group", "read_repository");
    scene.is_told("token-without-registry-scope", "read_registry");
    token.becomes(TOKEN, "other", "read_registry");
    scene.make(&["restart"]).output();
    scene.comes_to("token-of-another-project", "for this image");
}

#[test]
fn a_pull_without_credentials_is_told_by_what_is_missing() {
    let Some(bed) = bed() else { return };
    let kubectl = &kubectls()[0];
    let (scene, _token) = Scene::with_pods(&bed, kubectl, IMAGE, &[]);
    let (named, none) = ("imagePullSecrets:\n        - name: gitlab\n", "imagePullSecrets: []\n");
    scene.edit(DEPLOYMENT, named, none);
    scene.is_told("no-pull-secret-named", "imagePullSecrets");
    scene.edit(DEPLOYMENT, none, named);
    // The output of kubectl 1.9.0, in the cluster only.
    let good = scene.secret();
    let data = good.lines().find_map(|line| line.trim().strip_prefix(".dockercfg: ")).unwrap();
    let json =
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, data.trim_matches('"'))
            .unwrap();
    let wrapped = format!("{{\"auths\":{}}}", String::from_utf8(json).unwrap());
    let wrapped = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, wrapped);
    scene.write_secret(&good.replace(data, &wrapped));
    let found = scene.is_told("wrong-wrapping", "makeinfra rotate && make deploy");
    assert!(found["causes"][0]["message"].as_str().unwrap().contains("kubectl 1.9.0"), "{found:#}");
    scene.write_secret(&good);
    scene.comes_to("secret-outdated", "make gitlab-secret");
    scene.kubectl(&["delete", "secret", "gitlab"]).success();
    scene.make(&["restart", "ROLLOUT_TIMEOUT=5s"]).output();
    scene.comes_to("secret-missing", "make gitlab-secret");
    scene.make(&["deploy"]).success();
    scene.is_fine();
}

#[test]
fn what_is_not_about_pulls_is_told_too() {
    let Some(bed) = bed() else { return };
    let kubectl = &kubectls()[0];
    for (image, cause, hint) in [
        ("root", "runs-as-root", "--pod-security baseline"),
        ("named", "user-not-numeric", "runAsUser"),
        ("crash", "crash-loop", "logs"),
        ("none", "tag-missing", "make set-image"),
    ] {
        let reference = format!("registry.gitlab.com/group/{image}:1.0.0");
        let (scene, _token) = Scene::with_pods(&bed, kubectl, &reference, &[]);
        scene.is_told(cause, hint);
    }
    let (scene, _token) = Scene::with_pods(&bed, kubectl, IMAGE, &[]);
    scene.make(&["namespace"]).success();
    scene.kubectl(&["create", "quota", "small", "--hard=pods=0"]).success();
    scene.is_told("quota-exceeded", "describe quota");
    scene.kubectl(&["delete", "quota", "small"]).success();
    let deployment = fs::read_to_string(scene.sandbox.hello(DEPLOYMENT)).unwrap();
    for (from, to, cause, hint) in [
        ("cpu: 50m", "cpu: 5000", "no-node-has-room", "resources.requests"),
        (
            "allowPrivilegeEscalation: false",
            "allowPrivilegeEscalation: true",
            "pod-security",
            "securityContext",
        ),
        (
            "resources:",
            "envFrom: [{configMapRef: {name: settings}}]\n          resources:",
            "config-map-missing",
            "kustomization.yaml",
        ),
        ("resources:", "command: [/none]\n          resources:", "command-not-found", "command:"),
        ("port: http", "port: 9", "probe-failing", "port and path"),
    ] {
        scene.edit(DEPLOYMENT, from, to);
        scene.is_told(cause, hint);
        fs::write(scene.sandbox.hello(DEPLOYMENT), &deployment).unwrap();
    }
    scene.make(&["deploy"]).success();
    scene.is_fine();
}
