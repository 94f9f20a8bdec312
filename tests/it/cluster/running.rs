//! `makeinfra check --running` on a real node: its prediction of the next pull comes true.

use super::{Bed, Scene, bed, tells_no_token};
use crate::support::{TOKEN, kubectls};
use serde_json::Value;
use std::thread::sleep;
use std::time::Duration;

/// With the address at which both the node and its neighbours reach the registry.
pub(super) const IMAGE: &str = "127.0.0.1:5000/group/hello:1.0.0";

impl Scene {
    /// The finding about the Deployment, requested from the node's network, with the exit code.
    fn next_pull(&self, bed: &Bed) -> (Option<i32>, String, String) {
        let run = self.makeinfra_on_node(bed, &["check", "--running", "--json"]);
        let output = tells_no_token(run.cwd(self.sandbox.work("hello-infra")).output());
        let json = output.json();
        let mut checks = json["checks"].as_array().unwrap().iter();
        // Two findings while the older pod still exists.
        let is_its =
            |check: &&Value| check["subject"].as_str().unwrap().starts_with("Deployment hello");
        let Some(check) = checks.find(is_its) else {
            panic!("nothing of the Deployment: {json:#}")
        };
        let text = |key: &str| check[key].as_str().unwrap().to_owned();
        (output.code, text("status"), text("message"))
    }

    /// Creates a pod that always pulls, and returns what its container finally waits for, if
    /// anything.
    pub(super) fn pulls_again(&self, marker: &str) -> String {
        let patch = serde_json::json!({"spec": {"template": {
            "metadata": {"annotations": {"test/pull": marker}},
            "spec": {"containers": [{"name": "hello", "imagePullPolicy": "Always"}]},
        }}});
        self.kubectl(&["patch", "deployment", "hello", "--patch", &patch.to_string()]).success();
        for _ in 0..60 {
            let pods = self.pods();
            let newest =
                pods.iter().find(|pod| pod["metadata"]["annotations"]["test/pull"] == marker);
            let state =
                newest.map_or(&Value::Null, |pod| &pod["status"]["containerStatuses"][0]["state"]);
            if state["running"].is_object() {
                return String::new();
            }
            if state["waiting"]["reason"] == "ErrImagePull" {
                return state["waiting"]["message"].as_str().unwrap().to_owned();
            }
            sleep(Duration::from_millis(500));
        }
        panic!("{}", self.kubectl(&["get", "pods,events"]).output().stdout);
    }
}

#[test]
fn what_is_said_of_the_next_pull_is_what_the_kubelet_meets() {
    let Some(bed) = bed() else { return };
    for kubectl in kubectls() {
        let (scene, token) = Scene::with_pods(&bed, &kubectl, IMAGE, &["--replicas", "1"]);
        scene.make(&["deploy"]).success();
        let (code, status, message) = scene.next_pull(&bed);
        assert!(code == Some(0) && status == "ok", "{code:?} {status} {message}");
        assert_eq!(scene.pulls_again("fine"), "");
        // Revoked in GitLab: the pod keeps running.
        token.becomes("gldt-Second_7Qx9vWk2", "group", "read_registry");
        let (code, status, message) = scene.next_pull(&bed);
        assert!(code == Some(1) && status == "problem", "{code:?} {status} {message}");
        assert!(message.contains("refuses the sign-in"), "{message}");
        let met = scene.pulls_again("revoked");
        assert!(met.contains("401 Unauthorized"), "{met}");
        token.becomes(TOKEN, "group", "read_registry");
        scene.kubectl(&["delete", "secret", "gitlab"]).success();
        let (code, status, message) = scene.next_pull(&bed);
        assert!(code == Some(1) && status == "problem", "{code:?} {status} {message}");
        assert!(message.contains("the Secret `gitlab` does not exist in namespace"), "{message}");
        let met = scene.pulls_again("missing");
        assert!(met.contains("403 Forbidden"), "{met}");
    }
}
