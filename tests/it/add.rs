//! `makeinfra add`: components beside the project's own.

use super::environments::{built, with_environments};
use super::support::{IMAGE, Run, SECRET, Sandbox};
use serde_json::Value;
use std::fs;

impl Sandbox {
    fn add(&self, args: &[&str]) -> Run {
        self.makeinfra(&[&["add"], args, &["--no-input"]].concat()).cwd(self.work("hello-infra"))
    }
}

fn names(documents: &[Value]) -> Vec<String> {
    let mut names: Vec<_> = documents
        .iter()
        .map(|one| format!("{}/{}", one["kind"].as_str().unwrap(), one["metadata"]["name"].as_str().unwrap()))
        .collect();
    names.sort();
    names
}

#[test]
fn a_worker_and_a_cron_job_stand_beside_the_service_and_edits_stay() {
    let sandbox = Sandbox::with_hello();
    let edit = |path: &str, from: &str, to: &str| {
        let text = fs::read_to_string(sandbox.hello(path)).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(sandbox.hello(path), text.replacen(from, to, 1)).unwrap();
    };
    edit("README.md", "# hello-infra", "# Hello, ours");
    edit("kubernetes/base/deployment.yaml", "replicas: 2", "replicas: 7");
    edit("Makefile", "ROLLOUT_TIMEOUT ?= 120s", "ROLLOUT_TIMEOUT ?= 9m");
    sandbox.make(&["set-image", "TAG=2.0.0"]).success();
    let secret = fs::read(sandbox.hello(SECRET)).unwrap();
    sandbox
        .add(&["worker", "--port", "none", "--image", "registry.gitlab.com/group/worker:3", "--dry-run"])
        .success();
    assert_eq!(
        sandbox.git(&["status", "--porcelain", "--", "kubernetes"]).success().stdout.lines().count(),
        2
    );

    sandbox.add(&["worker", "--port", "none", "--image", "registry.gitlab.com/group/worker:3"]).success();
    let output = sandbox
        .add(&["nightly", "--workload", "cronjob", "--schedule", "0 3 * * *", "--arg=report"])
        .success();
    output.prints("Added nightly.").prints("make deploy");
    let documents = built(&sandbox, "kubernetes").unwrap_or_default();
    if !documents.is_empty() {
        let expected = ["CronJob/nightly", "Deployment/hello", "Deployment/worker", "Service/hello"];
        assert_eq!(names(&documents), expected);
        assert!(documents.iter().all(|one| one["metadata"]["namespace"] == "hello"));
        let of = |kind: &str, name: &str| {
            let found = |one: &&Value| one["kind"] == kind && one["metadata"]["name"] == name;
            documents.iter().find(found).unwrap()["spec"].clone()
        };
        assert_eq!(of("Deployment", "hello")["replicas"], 7);
        let pod = &of("CronJob", "nightly")["jobTemplate"]["spec"]["template"]["spec"];
        assert_eq!(pod["containers"][0]["image"], "registry.gitlab.com/group/hello:2.0.0");
        assert_eq!(pod["containers"][0]["args"][0], "report");
        assert_eq!(pod["imagePullSecrets"][0]["name"], "gitlab");
    }
    for (path, text) in [
        ("README.md", "# Hello, ours\n"),
        ("Makefile", "ROLLOUT_TIMEOUT ?= 9m\n"),
        (".makeinfra.yaml", "  components:\n    worker:\n"),
    ] {
        let found = fs::read_to_string(sandbox.hello(path)).unwrap();
        assert!(found.contains(text), "{path}: {found}");
    }
    assert_eq!(fs::read(sandbox.hello(SECRET)).unwrap(), secret);
    sandbox.git(&["add", "-A"]).success();
    sandbox.git(&["commit", "-qm", "Add"]).success();
    sandbox.makeinfra(&["check", "hello-infra"]).success().prints("0 problems, 0 warnings");
}

#[test]
fn it_runs_in_every_environment_and_comes_along_to_a_new_one() {
    let sandbox = with_environments(&["--ingress", "hello.example.com"]);
    sandbox
        .add(&["api", "--ingress", "api.example.com", "--replicas", "3"])
        .success()
        .prints("make deploy ENV=staging");
    let host = |dir: &str| {
        let documents = built(&sandbox, dir)?;
        let ingress = documents
            .iter()
            .find(|one| one["kind"] == "Ingress" && one["metadata"]["name"] == "api")
            .unwrap();
        Some(ingress["spec"]["rules"][0]["host"].as_str().unwrap().to_owned())
    };
    let Some(production) = host("kubernetes/overlays/production") else { return };
    assert_eq!(production, "api.example.com");
    assert_eq!(host("kubernetes/overlays/staging").unwrap(), "staging.api.example.com");
    sandbox.makeinfra(&["env", "add", "qa", "--no-input", "hello-infra"]).success();
    assert_eq!(host("kubernetes/overlays/qa").unwrap(), "qa.api.example.com");
}

#[test]
fn what_cannot_be_added_is_told_and_changes_nothing() {
    let sandbox = Sandbox::with_hello();
    let other_tag = IMAGE.replace("1.0.0", "2");
    for (args, code, said) in [
        (&["hello"][..], 1, "there is a component `hello` already"),
        (&["Worker"], 2, "`NAME` must begin"),
        (&["worker", "--port", "x"], 2, "`--port` must be"),
        (&["worker", "--image", &other_tag], 2, "`--image` must have the tag"),
        (&["worker", "--workload", "cronjob"], 2, "`--schedule`"),
        (&["worker", "--replicas", "1", "--replicas", "2"], 2, "cannot be used more than once"),
        (&["worker", "--config", "nowhere.env"], 2, "there is no file"),
    ] {
        sandbox.add(args).failure(code).says(said).says("hint: ");
        assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "", "{args:?}");
    }
    let output = sandbox.add(&["cache", "--image", "redis:7.4", "--port", "6379"]).success();
    output.says("`redis` is pulled without credentials");
    sandbox.add(&["cache"]).failure(1).says("there is a component `cache` already");
}

#[test]
fn a_list_that_both_added_to_has_both() {
    let sandbox = Sandbox::with_hello();
    let file = sandbox.hello("kubernetes/overlays/production/kustomization.yaml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("  - service.yaml\n", "  - service.yaml\n  - ours.yaml\n")).unwrap();
    let ours = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ours\n";
    fs::write(sandbox.hello("kubernetes/ours.yaml"), ours).unwrap();
    sandbox.add(&["worker", "--port", "none"]).success();
    if let Some(documents) = built(&sandbox, "kubernetes") {
        let expected = ["ConfigMap/ours", "Deployment/hello", "Deployment/worker", "Service/hello"];
        assert_eq!(names(&documents), expected);
    }
}

#[test]
fn lines_that_both_changed_stop_it() {
    let sandbox = Sandbox::with_hello();
    let file = sandbox.hello("README.md");
    let text = fs::read_to_string(&file).unwrap();
    let edited: String =
        text.lines().map(|line| format!("{}\n", line.replace("deploy another image", "ship it"))).collect();
    fs::write(&file, &edited).unwrap();
    let args = ["worker", "--port", "none", "--image", "registry.gitlab.com/group/worker:3"];
    let output = sandbox.add(&args).failure(1);
    output.says("`README.md`: it was edited").says("--keep README.md").prints("\n+| deploy another image");
    assert_eq!(fs::read_to_string(&file).unwrap(), edited);
    assert!(!sandbox.hello("kubernetes/base/worker-deployment.yaml").exists());
    sandbox
        .add(&[&args[..], &["--keep", "README.md"]].concat())
        .success()
        .prints("`README.md` stays as it is");
    assert_eq!(fs::read_to_string(&file).unwrap(), edited);
}
