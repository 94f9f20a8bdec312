//! Generated Secrets in the cluster and in the environment of pods.

use super::{Scene, bed, tells_no_token, with_every_kubectl};
use crate::support::{IMAGE, TOKEN, assert_no_token, kubectls};

const WORKER: &str = "components:\n  worker: {port: null, replicas: 1, args: [sh, -c, 'trap \"exit 0\" TERM; sleep 3600 & wait']}\n";

impl Scene {
    /// `makeinfra secret set db KEY` in the scene's repository.
    fn set(&self, key: &str, value: &str) {
        let args = ["secret", "set", "db", key, "hello-infra", "--stdin", "--commit"];
        self.sandbox.makeinfra(&args).stdin(value).success();
    }

    /// The names of the pods of a component.
    fn pods_of(&self, component: &str) -> Vec<String> {
        let name = |pod: serde_json::Value| pod["metadata"]["name"].as_str().unwrap().to_owned();
        let mut names: Vec<_> = self.pods().into_iter().map(name).collect();
        names.retain(|name| name.starts_with(&format!("{component}-")));
        names
    }

    /// The names of the Secrets generated from db, with any hash.
    fn generated(&self) -> Vec<String> {
        let names = self
            .kubectl(&["get", "secrets", "--output=jsonpath={.items[*].metadata.name}"])
            .success();
        names
            .stdout
            .split_whitespace()
            .filter(|name| name.starts_with("db-"))
            .map(str::to_owned)
            .collect()
    }
}

#[test]
fn a_new_value_replaces_just_the_pods_that_use_it_and_a_rollback_brings_the_old_one_back() {
    let Some(bed) = bed() else { return };
    let dir = tempfile::tempdir().unwrap();
    let answers = dir.path().join("answers.yaml");
    std::fs::write(&answers, WORKER).unwrap();
    let args = ["--replicas", "1", "--answers", answers.to_str().unwrap()];
    for kubectl in kubectls() {
        let (scene, _token) = Scene::with_pods(&bed, &kubectl, IMAGE, &args);
        scene.set("PASSWORD", "first");
        scene.set("tls.key", "two\nlines\n");
        // The lines that the command prints for a container, and a command that shows the variable.
        let lines = "          envFrom:\n            - secretRef:\n                name: db\n          command:\n            \
                     - sh\n            - -c\n            - 'echo \"value $PASSWORD\"; exec httpd -f -p 8080 -h /www'\n          ports:\n";
        scene.edit("kubernetes/base/deployment.yaml", "          ports:\n", lines);
        let logs = || scene.make(&["logs"]).success().stdout;
        scene.make(&["deploy"]).success();
        let (web, worker) = (scene.pods_of("hello"), scene.pods_of("worker"));
        assert!(logs().contains("value first"), "{}", logs());
        scene.make(&["deploy"]).success();
        assert_eq!(
            (scene.pods_of("hello"), scene.pods_of("worker")),
            (web.clone(), worker.clone())
        );

        scene.set("PASSWORD", "second");
        scene.make(&["deploy"]).success();
        let second = scene.pods_of("hello");
        assert!(second.iter().all(|pod| !web.contains(pod)), "{web:?} {second:?}");
        assert_eq!(scene.pods_of("worker"), worker, "it does not use the Secret");
        assert!(logs().contains("value second"), "{}", logs());
        assert_eq!(scene.generated().len(), 2, "the revision before still has its own");

        scene.make(&["rollback"]).success();
        assert!(logs().contains("value first"), "{}", logs());
        scene.make(&["deploy"]).success();
        assert!(logs().contains("value second"), "git has the second value: {}", logs());
        assert_eq!(scene.pods_of("worker"), worker);
    }
}

#[test]
fn no_value_is_shown_on_its_way_to_the_cluster() {
    with_every_kubectl(|scene| {
        scene.set("PASSWORD", TOKEN);
        scene.set("FILE", &format!("{TOKEN}\n\n"));
        // Before the first deployment, there is no namespace to compare with.
        tells_no_token(scene.make(&["diff"]).output());
        tells_no_token(scene.make(&["deploy"]).success());
        let [name] = scene.generated().try_into().unwrap();
        assert_eq!(scene.get(&format!("secret/{name}"), "{.type}"), "Opaque");
        assert_no_token(scene.get("deployment/hello", "{}").as_bytes(), "the Deployment");
        let version =
            |name: &str| scene.get(&format!("secret/{name}"), "{.metadata.resourceVersion}");
        let before = version(&name);
        tells_no_token(scene.make(&["deploy"]).success());
        assert_eq!(version(&name), before);
        scene.set("PASSWORD", &format!("{TOKEN}2"));
        let output = tells_no_token(scene.make(&["diff"]).failure(2));
        assert!(output.stdout.contains("PASSWORD"), "{}", output.stdout);
        tells_no_token(scene.make(&["deploy"]).success());
        assert_eq!(scene.generated().len(), 2);
    });
}
