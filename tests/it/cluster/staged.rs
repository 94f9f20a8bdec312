//! What is said of failures that are put on a stage: recorded pods and events of the real ones, in a real API server.

use super::{Scene, with_every_kubectl};
use crate::failing_rollouts::{EXPLAINED, recorded};
use serde_json::{Value, json};
use std::thread::sleep;
use std::time::Duration;

/// A pod of the application that no node takes, so that its status stays as it is written.
fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/name": "hello"}},
        "spec": {
            "nodeSelector": {"makeinfra.test/none": "none"},
            "automountServiceAccountToken": false,
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "hello", "image": "registry.gitlab.com/group/hello:1.0.0",
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
            }],
        },
    })
}

impl Scene {
    fn create(&self, object: &Value) {
        // A new namespace has no service account for the first moments.
        for _ in 0..50 {
            let output = self.kubectl(&["create", "-f", "-"]).stdin(object.to_string()).output();
            match output.code {
                Some(0) => return,
                _ if output.stderr.contains("serviceaccount") => sleep(Duration::from_millis(200)),
                _ => panic!("{}", output.stderr),
            }
        }
        panic!("no service account `default`");
    }

    /// A pod with that status, and its events.
    fn stage(&self, case: &Value) {
        self.create(&pod("hello-pod"));
        let path = format!("/api/v1/namespaces/{}/pods/hello-pod", self.namespace);
        let get = || self.kubectl(&["get", "--raw", &path]).success().json();
        // Then the scheduler has written what it has to say.
        let mut pod = get();
        for _ in 0..100 {
            if pod["status"]["conditions"].is_array() {
                break;
            }
            sleep(Duration::from_millis(100));
            pod = get();
        }
        pod["metadata"]["resourceVersion"].take();
        let status = |status: &Value| {
            let mut status = status.clone();
            for (key, value) in [("name", "hello"), ("image", ""), ("imageID", "")] {
                status[key] = value.into();
            }
            status["ready"] = false.into();
            status["restartCount"] = 0.into();
            status
        };
        let statuses = case["containerStatuses"].as_array().unwrap().iter().map(status).collect();
        pod["status"] = json!({"phase": "Pending"});
        pod["status"]["containerStatuses"] = Value::Array(statuses);
        let replace = ["replace", "--raw", &format!("{path}/status"), "-f", "-"];
        self.kubectl(&replace).stdin(pod.to_string()).success();
        let mut events = Vec::new();
        for (number, event) in case["events"].as_array().unwrap().iter().enumerate() {
            let name = match event["object"].as_str().unwrap().split_once('/').unwrap() {
                ("Pod", _) => "hello-pod",
                (_, name) => name,
            };
            events.push(self.event(&format!("event-{number}"), name, event));
        }
        // One of an application whose name begins like ours.
        let other = json!({"reason": "Failed", "message": "OTHER insufficient_scope runAsNonRoot and image will run as root"});
        events.push(self.event("other", "hello-world-pod", &other));
        self.create(&json!({"apiVersion": "v1", "kind": "List", "items": events}));
    }

    fn event(&self, name: &str, object: &str, event: &Value) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": name}, "type": "Warning",
            "involvedObject": {"kind": "Pod", "name": object, "namespace": self.namespace},
            "reason": event["reason"], "message": event["message"], "lastTimestamp": "2026-11-25T01:00:00Z",
            "source": {"component": "test"},
        })
    }

    fn clear(&self) {
        self.kubectl(&["delete", "pods,events", "--all", "--grace-period=0", "--force"]).success();
    }
}

#[test]
fn every_measured_failure_of_a_pull_is_explained() {
    let cases = recorded();
    with_every_kubectl(|scene| {
        scene.make(&["deploy"]).success();
        // The rollout of no pods succeeds, so this says that it failed, and the pods on the stage are of no rollout; all
        // other answers are the cluster's.
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in *'rollout status'*) echo 'error: timed out waiting for the condition' >&2; exit 1 ;;\n\
             *'get deployment/hello'*revision*) exit 1 ;; esac\n\
             exec {} \"$@\"\n",
            scene.kubectl
        );
        let failing = scene.sandbox.write_program("failing", &script).display().to_string();
        for (name, cause, advice) in EXPLAINED {
            scene.stage(&cases[name]);
            let run = scene.sandbox.make(&["restart", &format!("KUBECTL={failing}")]);
            let output = run.env("KUBECONFIG", &scene.kubeconfig).failure(2);
            let said = output.stderr.split_once("error: the rollout of deployment/hello failed: ");
            let Some((_, said)) = said else { panic!("{name}: {}{}", output.stdout, output.stderr) };
            assert!(said.contains(cause) && said.contains(advice), "{name}: {said}");
            assert!(
                output.stdout.contains("hello-pod") && !output.stdout.contains("OTHER"),
                "{}",
                output.stdout
            );
            scene.clear();
            // kubectl takes no two restarts in one second.
            sleep(Duration::from_secs(1));
        }
    });
}

#[test]
fn pods_that_wait_for_a_pull_are_replaced_by_the_next_deploy() {
    let cases = recorded();
    with_every_kubectl(|scene| {
        scene.make(&["deploy"]).success();
        let generation = || scene.get("deployment/hello", "{.metadata.generation}");
        let before = generation();
        scene.stage(&cases["token-refused"]);
        let output = scene.make(&["deploy"]).success();
        assert!(output.stdout.contains("deployment.apps/hello restarted"), "{}", output.stdout);
        assert_ne!(generation(), before);
        scene.clear();
        let output = scene.make(&["deploy"]).success();
        assert!(!output.stdout.contains("restarted"), "{}", output.stdout);
    });
}
