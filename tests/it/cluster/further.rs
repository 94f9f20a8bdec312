//! Further Secrets in the cluster, and in the environment of the pods.

use super::{Scene, bed, tells_no_token, with_every_kubectl};
use crate::support::{IMAGE, TOKEN, assert_no_token, kubectls};

impl Scene {
    /// `makeinfra secret set db PASSWORD` in the scene's repository.
    fn set(&self, value: &str) {
        let args = ["secret", "set", "db", "PASSWORD", "hello-infra", "--stdin", "--commit"];
        self.sandbox.makeinfra(&args).stdin(value).success();
    }
}

#[test]
fn a_pod_has_the_value_and_a_new_pod_has_the_new_one() {
    let Some(bed) = bed() else { return };
    for kubectl in kubectls() {
        let (scene, _token) = Scene::with_pods(&bed, &kubectl, IMAGE, &["--replicas", "1"]);
        scene.set("first");
        // What the command says that a container needs, and a command that shows the variable.
        let lines = "          envFrom:\n            - secretRef:\n                name: db\n          command:\n            \
                     - sh\n            - -c\n            - 'echo \"value $PASSWORD\"; exec httpd -f -p 8080 -h /www'\n          ports:\n";
        scene.edit("kubernetes/base/deployment.yaml", "          ports:\n", lines);
        let names = || -> Vec<_> { scene.pods().iter().map(|pod| pod["metadata"]["name"].clone()).collect() };
        scene.make(&["deploy"]).success();
        let first = names();
        assert!(scene.make(&["logs"]).success().stdout.contains("value first"));
        let output = scene.make(&["deploy"]).success();
        assert!(!output.stdout.contains("replacing the pods"), "{}", output.stdout);
        assert_eq!(names(), first, "nothing changed, and no pod is replaced");

        scene.set("second");
        let output = scene.make(&["diff"]).failure(2);
        assert!(output.stdout.contains("+  PASSWORD: ***"), "{}", output.stdout);
        let output = scene.make(&["deploy"]).success();
        assert!(output.stdout.contains("replacing the pods"), "{}", output.stdout);
        let second = names();
        assert!(second.iter().all(|pod| !first.contains(pod)), "{first:?} {second:?}");
        assert!(scene.make(&["logs"]).success().stdout.contains("value second"));

        // A deployment that stopped after the Secrets is made good by the next.
        scene.set("third");
        scene.make(&["secrets"]).success();
        assert_eq!(names(), second);
        scene.make(&["deploy"]).success();
        assert!(scene.make(&["logs"]).success().stdout.contains("value third"));
        scene.make(&["diff"]).success();
    }
}

#[test]
fn further_secrets_come_and_go_and_others_stay() {
    with_every_kubectl(|scene| {
        scene.set(TOKEN);
        tells_no_token(scene.make(&["diff"]).failure(2));
        tells_no_token(scene.make(&["deploy"]).success());
        assert_eq!(scene.get("secret/db", "{.type}"), "Opaque");
        scene.kubectl(&["create", "secret", "generic", "theirs", "--from-literal=a=b"]).success();
        let versions = || {
            ["secret/db", "secret/theirs", "deployment/hello"]
                .map(|it| scene.get(it, "{.metadata.resourceVersion}"))
        };
        let before = versions();
        tells_no_token(scene.make(&["deploy"]).success());
        assert_eq!(versions(), before);
        assert_eq!(scene.make(&["diff"]).success().stdout, "no differences\n");
        assert_no_token(scene.get("deployment/hello", "{}").as_bytes(), "the Deployment");
        // Of another type, by hand.
        scene.edit("secrets/kubernetes/db.secret.yaml", "type: Opaque", "type: example.com/other");
        tells_no_token(scene.make(&["diff"]).failure(2));
        tells_no_token(scene.make(&["secrets"]).success());
        assert_eq!(scene.get("secret/db", "{.type}"), "example.com/other");
        // What kubectl or the API server refuses, they may quote.
        let file = scene.sandbox.hello("secrets/kubernetes/db.secret.yaml");
        let good = std::fs::read_to_string(&file).unwrap();
        for bad in [format!("stringData: {TOKEN}\ndata:\n"), format!("data:\n  {TOKEN} x: YQ==\n")] {
            std::fs::write(&file, good.replace("data:\n", &bad)).unwrap();
            for target in ["secrets", "diff", "deploy"] {
                scene.make(&[target]).failure(2).says("error: ");
            }
        }
        std::fs::write(&file, good).unwrap();
        scene.make(&["undeploy", "YES=1"]).success();
        assert_eq!(scene.get("secret/db", "{.metadata.name}"), "");
        assert_eq!(scene.get("secret/theirs", "{.metadata.name}"), "theirs");
    });
}
