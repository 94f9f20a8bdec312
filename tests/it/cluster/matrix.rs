//! Everything that the matrix generates, sent to a real API server, and six of its rows with pods.

use super::{Bed, DeployToken, Scene, bed, kubeconfig};
use crate::matrix::{Row, Stage, Tree, matrix, pod_template, repository, rows};
use crate::support::{TOKEN, kubectls};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::thread::sleep;
use std::time::Duration;

/// The objects of a stage moved to `namespace`, and the pods of its workloads: only for a pod
/// itself does the API server report a violation of the namespace's Pod Security Standard.
fn objects(stage: &Stage, namespace: &str) -> Vec<Value> {
    let mut objects: Vec<Value> = stage.documents().cloned().collect();
    for template in stage.built.iter().filter_map(pod_template) {
        let mut pod = template.clone();
        pod["apiVersion"] = "v1".into();
        pod["kind"] = "Pod".into();
        pod["metadata"]["name"] = "pod".into();
        // Its own account does not exist, because nothing is created.
        pod["spec"].as_object_mut().unwrap().remove("serviceAccountName");
        objects.push(pod);
    }
    for object in objects.iter_mut().filter(|object| object["kind"] != "Namespace") {
        object["metadata"]["namespace"] = namespace.into();
    }
    objects
}

impl Scene {
    /// The errors of the API server and kubectl for objects that are not created; `None` if there
    /// are none.
    fn refuses(&self, objects: &[Value]) -> Option<String> {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
        let apply = ["apply", "--server-side", "--dry-run=server", "-f", "-"];
        let output = self.kubectl(&apply).stdin(list).output();
        // A warning also counts.
        let fine = output.code == Some(0) && output.stderr.is_empty();
        assert!(!fine || output.stdout.lines().count() == objects.len(), "{}", output.stdout);
        (!fine).then_some(output.stderr)
    }

    /// Creates a namespace like the row's, with the scene's name.
    fn namespace_like(&self, tree: &Tree) {
        let of_row = tree.stages[0].documents().find(|object| object["kind"] == "Namespace");
        let mut namespace = of_row.unwrap().clone();
        namespace["metadata"]["name"] = self.namespace.as_str().into();
        self.kubectl(&["create", "-f", "-"]).stdin(namespace.to_string()).success();
        // A new namespace has no service account for a moment, and pods need one.
        for _ in 0..100 {
            if !self.get("serviceaccount/default", "{.metadata.uid}").is_empty() {
                return;
            }
            sleep(Duration::from_millis(100));
        }
        panic!("no service account `default`");
    }
}

#[test]
fn an_api_server_accepts_every_row() {
    let Some(kubeconfig) = kubeconfig() else { return };
    let trees = matrix();
    for level in ["restricted", "baseline"] {
        let trees: Vec<_> =
            trees.iter().filter(|tree| tree.row.has("pod-security", level)).collect();
        let scene = Scene::new(&kubectls().pop().unwrap(), &kubeconfig);
        scene.namespace_like(trees[0]);
        let stages =
            || trees.iter().flat_map(|tree| tree.stages.iter().map(move |stage| (tree, stage)));
        let all: Vec<_> =
            stages().flat_map(|(_, stage)| objects(stage, &scene.namespace)).collect();
        // All at once; if there is an error, one by one to find the row.
        if let Some(said) = scene.refuses(&all) {
            for (tree, stage) in stages() {
                if let Some(said) = scene.refuses(&objects(stage, &scene.namespace)) {
                    panic!("{}\n{}: {said}", tree.row.line(), stage.dir);
                }
            }
            panic!("{said}");
        }
        // It does refuse something.
        let pod = all.iter().find(|object| object["kind"] == "Pod").unwrap();
        let mut privileged = pod.clone();
        privileged["spec"]["hostNetwork"] = true.into();
        assert!(scene.refuses(&[privileged]).unwrap().contains("violates PodSecurity"));
    }
}

/// One row for each way to have environments, together with as many values as possible.
fn six() -> Vec<Row> {
    let rows = rows();
    let ways: BTreeSet<_> = rows.iter().map(|row| row.value("environments")).collect();
    let mut seen = BTreeSet::new();
    let mut best = |way: &str| {
        let of_way =
            rows.iter().filter(|row| row.has("environments", way) && !row.has("replicas", "none"));
        let row = of_way
            .max_by_key(|row| row.values().filter(|value| !seen.contains(value)).count())
            .unwrap();
        seen.extend(row.values());
        row.clone()
    };
    ways.into_iter().map(&mut best).collect()
}

/// The namespaces of a row, deleted when dropped.
struct Namespaces<'s> {
    scene: &'s Scene,
    names: Vec<String>,
}

impl Drop for Namespaces<'_> {
    fn drop(&mut self) {
        for name in &self.names {
            self.scene
                .kubectl(&["delete", "namespace", name, "--ignore-not-found", "--wait=false"])
                .output();
        }
    }
}

/// Generates a row's repository with the bed's images, token and namespaces, and deploys all of it.
fn deploy(bed: &Bed, row: &Row) {
    let scene = Scene::new(&kubectls().pop().unwrap(), &bed.kubeconfig());
    let token = DeployToken::new(
        bed,
        &scene.namespace.replace("makeinfra-test", "gitlab+deploy-token"),
        TOKEN,
    );
    let image = if row.has("pod-security", "baseline") { "root" } else { "hello" };
    let image = format!("registry.gitlab.com/group/{image}:1.0.0");
    let one = row.has("environments", "none") || row.has("environments", "added");
    let namespace =
        if one { scene.namespace.clone() } else { format!("{}-{{env}}", scene.namespace) };
    let health: &[&str] =
        if row.has("health-path", "none") { &[] } else { &["--health-path", "/"] };
    let mut commands = row.commands_with(&[
        ("project", &["hello"]),
        ("image", &["--image", &image]),
        ("namespace", &["--namespace", &namespace]),
        ("port", &[]),
        // The bed's images run forever, which no Job does.
        ("workload", &[]),
        ("health-path", health),
        ("token", &["--token-username", &token.username, "--token-file", "../token"]),
        ("context", &[]),
        ("git", &[]),
    ]);
    commands.retain(|command| !command.iter().any(|word| word == "job"));
    let worker = |word: &&mut String| word.starts_with("registry.gitlab.com/group/worker");
    commands.iter_mut().flatten().filter(worker).for_each(|word| word.clone_from(&image));
    for command in commands.iter_mut().filter(|command| command[0] == "env") {
        command.extend(["--namespace".to_owned(), format!("{}-{}", scene.namespace, command[2])]);
    }
    let line = format!("{commands:?}");
    let root = repository(&scene.sandbox, &commands, &line);
    let list = scene.sandbox.makeinfra(&["env", "list", "--json"]).cwd(&root).success().json();
    let environments = list["environments"].as_array().unwrap();
    let name = |environment: &Value| environment["namespace"].as_str().unwrap().to_owned();
    let namespaces = Namespaces { scene: &scene, names: environments.iter().map(name).collect() };
    assert!(
        namespaces.names.iter().all(|name| name.starts_with(&scene.namespace)),
        "{:?}",
        namespaces.names
    );
    for (environment, namespace) in environments.iter().zip(&namespaces.names) {
        let to = environment["name"].as_str().map(|name| format!("ENV={name}"));
        let args: Vec<_> = ["deploy", "YES=1"].into_iter().chain(to.as_deref()).collect();
        let output = scene.make(&args).output();
        assert_eq!(output.code, Some(0), "{line}\n{args:?}\n{}{}", output.stdout, output.stderr);
        let there = ["--kubeconfig", scene.kubeconfig.to_str().unwrap(), "--namespace", namespace];
        let kubectl = |args: &[&str]| {
            scene.sandbox.run(&scene.kubectl, &[&there[..], args].concat()).success()
        };
        // On a busy machine, a ready pod may miss a probe again.
        kubectl(&["wait", "deployments", "--all", "--for=condition=Available", "--timeout=60s"]);
        let deployments = kubectl(&["get", "deployments", "--output=json"]).json();
        let deployments = deployments["items"].as_array().unwrap();
        assert!(!deployments.is_empty(), "{line}");
        for deployment in deployments {
            let (wanted, there) =
                (&deployment["spec"]["replicas"], &deployment["status"]["availableReplicas"]);
            assert_eq!(wanted, there, "{line}\n{deployment}");
        }
    }
    assert!(fs::read_dir(scene.sandbox.work("")).unwrap().count() == 1);
}

#[test]
fn the_six_rows_differ() {
    let rows = six();
    assert_eq!(rows.len(), 6);
    for parameter in
        ["pod-security", "secret-type", "ingress", "secret-name", "further Secret", "replicas"]
    {
        let values: BTreeSet<_> = rows.iter().map(|row| row.value(parameter)).collect();
        assert!(values.len() > 1, "{parameter}: {values:?}");
    }
}

#[test]
fn six_rows_deploy() {
    let Some(bed) = bed() else { return };
    for row in six() {
        deploy(&bed, &row);
    }
}
