//! The generated repository against a real API server, with every kubectl at hand.
//!
//! They run where `MAKEINFRA_TEST_KUBECONFIG` names a kubeconfig of an administrator. Any cluster will do: each
//! scene has a namespace of its own, runs no pod (`--replicas 0`) and deletes the namespace at its end.

use super::examples::repo;
use super::failing_rollouts::EXPLAINED;
use super::manifests::kubectls;
use super::support::{Output, Run, SECRET, Sandbox, TOKEN, assert_no_token, needles};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::Duration;
use std::{env, fs, process};

/// A generated repository, a namespace and a kubectl.
struct Scene {
    sandbox: Sandbox,
    namespace: String,
    kubectl: String,
    kubeconfig: PathBuf,
}

/// Plays a scene with every kubectl, where there is a cluster to play it on.
fn with_every_kubectl(scene: impl Fn(&Scene)) {
    let Some(kubeconfig) = env::var_os("MAKEINFRA_TEST_KUBECONFIG").map(PathBuf::from) else {
        eprintln!(
            "SKIPPED: no cluster. MAKEINFRA_TEST_KUBECONFIG=FILE names a kubeconfig of an administrator of a cluster for \
             tests, as `kind create cluster --kubeconfig FILE` writes one"
        );
        return;
    };
    assert!(kubeconfig.is_file(), "MAKEINFRA_TEST_KUBECONFIG names no file: {}", kubeconfig.display());
    for kubectl in kubectls() {
        scene(&Scene::new(&kubectl, &kubeconfig));
    }
}

impl Scene {
    fn new(kubectl: &Path, kubeconfig: &Path) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let scene = Self {
            sandbox: Sandbox::new(),
            namespace: format!("makeinfra-test-{}-{count}", process::id()),
            kubectl: kubectl.display().to_string(),
            kubeconfig: kubeconfig.canonicalize().unwrap(),
        };
        let args = ["--namespace", &scene.namespace, "--replicas", "0", "--ingress", "hello.example.com"];
        scene.sandbox.new_hello(&[&args[..], &["--expires-at", "2999-01-01"]].concat()).success();
        scene
    }

    /// `make` with this scene's kubectl and `options` after it.
    fn make_as(&self, options: &str, args: &[&str]) -> Run {
        let kubectl = format!("KUBECTL={} {options}", self.kubectl);
        self.sandbox.make(&[args, &[&kubectl]].concat()).env("KUBECONFIG", &self.kubeconfig)
    }

    fn make(&self, args: &[&str]) -> Run {
        self.make_as("", args)
    }

    /// An administrator's kubectl in the namespace.
    fn kubectl(&self, args: &[&str]) -> Run {
        let namespace = ["--namespace", &self.namespace];
        self.sandbox.run(&self.kubectl, &[&namespace[..], args].concat()).env("KUBECONFIG", &self.kubeconfig)
    }

    /// What the cluster has of it, by a path like `{.metadata.uid}`.
    fn get(&self, object: &str, path: &str) -> String {
        let output = format!("jsonpath={path}");
        self.kubectl(&["get", object, "--ignore-not-found", "--output", &output]).success().stdout
    }

    fn uid(&self) -> String {
        self.get("secret/gitlab", "{.metadata.uid}")
    }

    fn versions(&self) -> Vec<String> {
        let namespace = format!("namespace/{}", self.namespace);
        ["secret/gitlab", "deployment/hello", "service/hello", "ingress/hello", &namespace]
            .map(|object| self.get(object, "{.metadata.resourceVersion}"))
            .to_vec()
    }

    fn secret(&self) -> String {
        fs::read_to_string(self.sandbox.hello(SECRET)).unwrap()
    }

    fn write_secret(&self, text: &str) {
        fs::write(self.sandbox.hello(SECRET), text).unwrap();
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.kubectl(&["delete", "namespace", &self.namespace, "--ignore-not-found", "--wait=false"])
            .output();
    }
}

/// Expects the token in no output, and gives it back.
#[track_caller]
fn tells_no_token(output: Output) -> Output {
    assert_no_token(output.stdout.as_bytes(), "stdout");
    assert_no_token(output.stderr.as_bytes(), "stderr");
    output
}

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
fn a_rotated_token_reaches_the_cluster_in_the_same_secret() {
    with_every_kubectl(|scene| {
        scene.make(&["deploy"]).success();
        let (uid, old) = (scene.uid(), scene.get("secret/gitlab", r"{.data.\.dockercfg}"));
        scene.sandbox.rotate("gldt-Second_7Qx9vWk2", &["--commit"]).success();
        let output = tells_no_token(scene.make(&["diff"]).failure(2));
        assert!(output.stdout.contains("+  .dockercfg: ***"), "{}", output.stdout);
        assert!(needles("gldt-Second_7Qx9vWk2").iter().all(|needle| !output.stdout.contains(needle)));
        scene.make(&["deploy"]).success();
        assert_eq!(scene.uid(), uid);
        assert_ne!(scene.get("secret/gitlab", r"{.data.\.dockercfg}"), old);
        // The new token has no expiry, so that annotation is gone, and so is every trace of the old token.
        assert_eq!(scene.get("secret/gitlab", "{.metadata.annotations}"), "");
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
        assert!(output.stdout.contains("its type changed"), "{}", output.stdout);
        let output = tells_no_token(scene.make(&["gitlab-secret"]).success());
        assert!(output.stdout.contains("replacing it"), "{}", output.stdout);
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
            // Its type changed as well, but that is not all that is wrong.
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
                scene.make(&[target]).failure(2).says("error: ");
            }
            assert_eq!(scene.uid(), uid, "{text}");
        }
        scene.write_secret(&good);
        scene.make(&["diff"]).output();
        assert_eq!(scene.uid(), uid);
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
                .says("kubectl apply -f kubernetes/namespace.yaml");
        }
        let output = make(&["namespace"]).success();
        assert!(output.stdout.contains("no right to look at it"), "{}", output.stdout);
        // What the administrator is told to run.
        let file = scene.sandbox.hello("kubernetes/namespace.yaml").display().to_string();
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
        let mut pod = self.kubectl(&["get", "--raw", &path]).success().json();
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
    let text = fs::read_to_string(repo("tests/data/pull-failures.json")).unwrap();
    let cases: Value = serde_json::from_str(&text).unwrap();
    with_every_kubectl(|scene| {
        scene.make(&["deploy"]).success();
        // The rollout of no pods succeeds, so this says that it failed; all other answers are the cluster's.
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in *'rollout status'*) echo 'error: timed out waiting for the condition' >&2; exit 1 ;; esac\n\
             exec {} \"$@\"\n",
            scene.kubectl
        );
        let failing = scene.sandbox.write_program("failing", &script).display().to_string();
        for (name, cause, advice) in EXPLAINED {
            scene.stage(&cases[name]);
            let run = scene.sandbox.make(&["restart", &format!("KUBECTL={failing}")]);
            let output = run.env("KUBECONFIG", &scene.kubeconfig).failure(2);
            let (_, said) =
                output.stderr.split_once("error: the rollout of deployment/hello failed: ").unwrap();
            assert!(said.contains(cause) && said.contains(advice), "{name}: {said}");
            assert!(
                output.stdout.contains("hello-pod") && !output.stdout.contains("OTHER"),
                "{}",
                output.stdout
            );
            scene.clear();
        }
    });
}

#[test]
fn pods_that_wait_for_a_pull_are_replaced_by_the_next_deploy() {
    let text = fs::read_to_string(repo("tests/data/pull-failures.json")).unwrap();
    let cases: Value = serde_json::from_str(&text).unwrap();
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
