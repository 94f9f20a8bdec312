//! Further Secrets in the cluster, and in the environment of the pods.

use super::{Scene, bed, tells_no_token, with_every_kubectl};
use crate::support::{IMAGE, TOKEN, assert_no_token, kubectls};
use std::fs;

impl Scene {
    /// `makeinfra secret set db PASSWORD` in the scene's repository.
    fn set(&self, value: &str) {
        let args = ["secret", "set", "db", "PASSWORD", "hello-infra", "--stdin", "--commit"];
        self.sandbox.makeinfra(&args).stdin(value).success();
    }
}

#[test]
fn a_changed_value_restarts_its_users_and_a_rollback_brings_the_old_one_back() {
    let Some(bed) = bed() else { return };
    let worker = ["add", "worker", "--port", "none", "--no-input", "hello-infra"];
    for kubectl in kubectls() {
        let (scene, _token) = Scene::with_pods(&bed, &kubectl, IMAGE, &["--replicas", "1"]);
        scene.sandbox.makeinfra(&worker).success();
        scene.set("first");
        // What the command says that a container needs, and a command that shows the variable.
        let lines = "          envFrom:\n            - secretRef:\n                name: db\n          command:\n            \
                     - sh\n            - -c\n            - 'echo \"value $PASSWORD\"; exec httpd -f -p 8080 -h /www'\n          ports:\n";
        scene.edit("kubernetes/base/deployment.yaml", "          ports:\n", lines);
        let generations = || {
            ["hello", "worker"].map(|name| scene.get(&format!("deployment/{name}"), "{.metadata.generation}"))
        };
        let value = || scene.make(&["logs", "APP=hello"]).success().stdout;
        scene.make(&["deploy"]).success();
        assert!(value().contains("value first"));
        let before = generations();
        scene.make(&["deploy"]).success();
        assert_eq!(generations(), before, "nothing changed, and no pod is replaced");

        scene.set("second");
        let output = tells_no_token(scene.make(&["diff"]).failure(2));
        assert!(output.stdout.contains("+  PASSWORD: '***'"), "{}", output.stdout);
        scene.make(&["deploy"]).success();
        let after = generations();
        assert!(after[0] != before[0] && after[1] == before[1], "{before:?} {after:?}");
        assert!(value().contains("value second"));
        scene.make(&["rollback"]).success();
        assert!(value().contains("value first"));
        // The value of an old revision is not left over.
        scene.make(&["prune"]).success().prints("nothing to delete");
        scene.make(&["deploy"]).success();
        assert!(value().contains("value second"));
    }
}

#[test]
fn further_secrets_come_and_go_and_others_stay() {
    with_every_kubectl(|scene| {
        scene.set(TOKEN);
        tells_no_token(scene.make(&["diff"]).failure(2));
        tells_no_token(scene.make(&["deploy"]).success());
        scene.kubectl(&["create", "secret", "generic", "theirs", "--from-literal=a=b"]).success();
        let names = || scene.get("secret", "{.items[*].metadata.name}");
        let before = names();
        assert!(before.starts_with("db-") && before.ends_with(" gitlab theirs"), "{before}");
        tells_no_token(scene.make(&["deploy"]).success());
        assert_eq!(names(), before);
        assert_no_token(scene.get("deployment/hello", "{}").as_bytes(), "the Deployment");
        // Lines that kustomize or the API server refuses are quoted by them.
        let file = scene.sandbox.hello("secrets/kubernetes/db.env");
        let good = fs::read(&file).unwrap();
        for bad in [&b"a key="[..], b"\xff", b"PASSWORD=again\n", b"two words "] {
            let line = [bad, TOKEN.as_bytes(), b"\n"].concat();
            fs::write(&file, [&good[..], &line].concat()).unwrap();
            for target in ["diff", "deploy"] {
                scene.make(&[target]).failure(2).says("rror");
            }
        }
        fs::write(&file, good).unwrap();
        scene.make(&["undeploy", "YES=1"]).success();
        assert_eq!(names(), "theirs");
    });
}
