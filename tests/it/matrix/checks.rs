//! Properties of everything that is generated, whatever the answers.

use super::explained::{explained, idle};
use super::programs::{checkov, kube_score, kubernetes_validate, mbake, oldest_kustomize};
use super::tree::{Tree, documents, matrix, regenerated, with_rows};
use crate::support::{Output, Run, Sandbox, cached, files_below, have, kubectl, mode};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{
    ConfigMap, Namespace, PersistentVolumeClaim, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::thread;

/// What an object loses on its way through its type and back; `None` if nothing.
fn lost<T: DeserializeOwned + Serialize>(object: &Value) -> Option<String> {
    match serde_json::from_value::<T>(object.clone()) {
        Ok(typed) if serde_json::to_value(&typed).unwrap() == *object => None,
        Ok(typed) => {
            Some(format!("unknown fields: {object}\nis {}", serde_json::to_value(&typed).unwrap()))
        }
        Err(error) => Some(format!("{error}: {object}")),
    }
}

fn not_strict(object: &Value) -> Option<String> {
    let what = |key: &str| object[key].as_str().unwrap_or_default();
    match (what("apiVersion"), what("kind")) {
        ("v1", "ConfigMap") => lost::<ConfigMap>(object),
        ("v1", "Namespace") => lost::<Namespace>(object),
        ("v1", "PersistentVolumeClaim") => lost::<PersistentVolumeClaim>(object),
        ("v1", "Secret") => lost::<Secret>(object),
        ("v1", "Service") => lost::<Service>(object),
        ("v1", "ServiceAccount") => lost::<ServiceAccount>(object),
        ("apps/v1", "Deployment") => lost::<Deployment>(object),
        ("apps/v1", "StatefulSet") => lost::<StatefulSet>(object),
        ("autoscaling/v2", "HorizontalPodAutoscaler") => lost::<HorizontalPodAutoscaler>(object),
        ("batch/v1", "CronJob") => lost::<CronJob>(object),
        ("batch/v1", "Job") => lost::<Job>(object),
        ("networking.k8s.io/v1", "Ingress") => lost::<Ingress>(object),
        ("networking.k8s.io/v1", "NetworkPolicy") => lost::<NetworkPolicy>(object),
        ("policy/v1", "PodDisruptionBudget") => lost::<PodDisruptionBudget>(object),
        ("rbac.authorization.k8s.io/v1", "Role") => lost::<Role>(object),
        ("rbac.authorization.k8s.io/v1", "RoleBinding") => lost::<RoleBinding>(object),
        (version, kind) => Some(format!("add {version} {kind} to tests/it/matrix/checks.rs")),
    }
}

/// Runs a program over the files of all rows, and expects that it finds nothing.
#[track_caller]
fn finds_nothing(trees: &[Tree], run: Run) -> Output {
    let output = run.output();
    let said = output.stdout.clone() + &output.stderr;
    assert_eq!(output.code, Some(0), "{}", with_rows(trees, &said));
    output
}

/// The files of all rows for which `wanted` is true, without duplicate texts: linters need a second
/// for some of them.
fn distinct(trees: &[Tree], wanted: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let mut by_text = BTreeMap::new();
    for tree in trees {
        for (path, text) in tree.files().into_iter().filter(|(path, text)| wanted(path, text)) {
            by_text.entry(text).or_insert_with(|| tree.root.join(path).display().to_string());
        }
    }
    by_text.into_values().collect()
}

fn arguments<'a>(options: &[&'a str], files: &'a [String]) -> Vec<&'a str> {
    options.iter().copied().chain(files.iter().map(String::as_str)).collect()
}

#[test]
fn every_object_keeps_all_its_fields_in_its_type() {
    for tree in matrix().iter() {
        for stage in &tree.stages {
            let wrong: Vec<_> = stage.documents().filter_map(not_strict).collect();
            assert!(wrong.is_empty(), "{}\n{}: {}", tree.row.line(), stage.dir, wrong.join("\n"));
        }
    }
}

#[test]
fn every_stage_has_a_namespace_and_workloads() {
    for tree in matrix().iter() {
        let mut namespaces = BTreeSet::new();
        for stage in tree.stages.iter().filter(|stage| !stage.built.is_empty()) {
            let at = format!("{}\n{}", tree.row.line(), stage.dir);
            let beside: Vec<_> = stage.beside.iter().map(|object| &object["kind"]).collect();
            assert_eq!(beside, ["Namespace"], "{at}");
            let is_pull_secret = |object: &&Value| {
                object["metadata"]["labels"]["app.kubernetes.io/component"] == "pull-secret"
            };
            let pull_secrets: Vec<_> = stage.built.iter().filter(is_pull_secret).collect();
            assert_eq!(pull_secrets.len(), usize::from(!tree.row.has("token", "none")), "{at}");
            let has_key = |object: &&Value| {
                object["data"].as_object().unwrap().keys().all(|key| key.starts_with(".docker"))
            };
            assert!(pull_secrets.iter().all(has_key), "{at}");
            // Every object has the label that `make prune` uses, and only in its metadata.
            let environment = stage.dir.rsplit('/').next().unwrap();
            for object in &stage.built {
                let labels = &object["metadata"]["labels"];
                assert_eq!(labels["makeinfra/environment"], environment, "{at}: {object}");
                assert_eq!(
                    labels["makeinfra/project"], labels["app.kubernetes.io/part-of"],
                    "{at}: {object}"
                );
                assert!(!object["spec"].to_string().contains("makeinfra/"), "{at}: {object}");
            }
            let namespace = |object: &Value| object["metadata"]["namespace"].to_string();
            let of: BTreeSet<_> = stage.built.iter().map(namespace).collect();
            assert_eq!(of.len(), 1, "{at}: {of:?}");
            assert!(
                namespaces.insert(of.first().unwrap().clone()),
                "two stages share a namespace: {at}"
            );
            assert!(
                stage.built.iter().any(|object| super::references::pod_template(object).is_some()),
                "{at}"
            );
        }
    }
}

#[test]
fn the_oldest_kustomize_builds_the_same() {
    let by_name = |documents: &[Value]| -> BTreeMap<String, Value> {
        let name = |object: &Value| format!("{} {}", object["kind"], object["metadata"]["name"]);
        documents.iter().map(|object| (name(object), object.clone())).collect()
    };
    let Some(oldest) = oldest_kustomize() else { return };
    if kubectl().is_none() {
        return;
    }
    let trees = matrix();
    let build = |tree: &Tree| {
        for stage in &tree.stages {
            let built = documents(&tree.kustomize(&oldest, "build", &stage.dir));
            let at = format!("{}\n{}", tree.row.line(), stage.dir);
            assert_eq!(by_name(&built), by_name(&stage.built), "{at}");
        }
    };
    thread::scope(|scope| {
        for trees in trees.chunks(trees.len().div_ceil(2)) {
            scope.spawn(move || trees.iter().for_each(build));
        }
    });
}

#[test]
fn the_schemas_of_every_kubernetes_version_accept_it() {
    let Some(python) = kubernetes_validate() else { return };
    let trees = matrix();
    let stages = || trees.iter().flat_map(|tree| &tree.stages);
    let files: Vec<_> = stages().map(|stage| stage.file.display().to_string()).collect();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/quality/schemas");
    let output =
        finds_nothing(&trees, trees[0].sandbox.run(&python, &arguments(&[script], &files)));
    let all = stages().flat_map(super::Stage::documents).count();
    output.prints(&format!("{all} documents, 1.27, 1.28, ")).prints(": 0 wrong");
    // It does find something.
    let sandbox = Sandbox::new();
    let wrong = "kind: Service\napiVersion: v1\nmetadata: {name: a}\nspec: {prots: []}\n---\nkind: Sercive\napiVersion: v1\nmetadata: {name: a}\n";
    let file = sandbox.write("wrong.yaml", wrong).display().to_string();
    let output = sandbox.run(&python, &[script, &file]).failure(1);
    output
        .prints("service/a, Kubernetes 1.27: spec: Additional properties")
        .prints("find schema for kind Sercive");
}

/// kube-linter's default checks that are not met, for the reasons in ARCHITECTURE.md.
const NOT_LINTED: &str = "unset-cpu-requirements,job-ttl-seconds-after-finished";
/// Those that are not met if pods may run as root.
const NOT_LINTED_AS_ROOT: &str = "run-as-non-root,no-read-only-root-fs,drop-net-raw-capability";

#[test]
fn kube_linter_finds_nothing_where_there_is_one() {
    let there = |dir: std::path::PathBuf| dir.join("kube-linter").is_file();
    if !std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(there)) {
        eprintln!("SKIPPED: kube-linter is not on PATH, and the tests cannot get it");
        return;
    }
    for tree in matrix().iter() {
        let root = if tree.row.has("pod-security", "baseline") { NOT_LINTED_AS_ROOT } else { "" };
        let without = format!("--exclude={NOT_LINTED},{root}");
        for stage in tree.stages.iter().filter(|stage| !stage.built.is_empty()) {
            let file = stage.file.display().to_string();
            let args = ["lint", without.trim_end_matches(','), &file];
            let output = tree.sandbox.run("kube-linter", &args).output();
            assert_eq!(
                output.code,
                Some(0),
                "{}\n{}{}",
                tree.row.line(),
                output.stdout,
                output.stderr
            );
        }
    }
}

#[test]
fn kube_score_says_nothing_that_is_not_explained() {
    let Some(program) = kube_score() else { return };
    let (mut wrong, mut met) = (String::new(), BTreeSet::new());
    for tree in matrix().iter() {
        for stage in tree.stages.iter().filter(|stage| !stage.built.is_empty()) {
            // In a process of its own, because objects with the same name in two rows would be the
            // same to it.
            let file = stage.file.display().to_string();
            let args = [
                "score",
                "--all-default-optional",
                "--kubernetes-version=v1.36",
                "--output-format=json",
                &file,
            ];
            let without = ["--ignore-container-cpu-limit", "--disable-ignore-checks-annotations"];
            let output = tree.sandbox.run(&program, &[&args[..], &without].concat()).output();
            let objects = output.json();
            assert!(
                objects.as_array().is_some_and(|objects| !objects.is_empty()),
                "{}",
                output.stderr
            );
            for (object, check) in complaints(&objects) {
                let id = check["check"]["id"].as_str().unwrap();
                match explained(id, |name, value| tree.row.has(name, value)) {
                    Some(check) => _ = met.insert(check),
                    None => {
                        wrong += &format!(
                            "{}\n    {}, {object}: {id}: {}\n",
                            tree.row.line(),
                            stage.dir,
                            check["comments"]
                        );
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    let idle = idle(&met, |check| !is_of_checkov(check));
    assert!(idle.is_empty() || met.is_empty(), "nothing is said of these any more: {idle:?}");
}

fn is_of_checkov(check: &str) -> bool {
    check.starts_with("CKV")
}

/// Checkov's findings in files of manifests.
fn found_by_checkov(sandbox: &Sandbox, program: &Path, files: &[String]) -> Vec<Value> {
    let files = files.iter().flat_map(|file| ["--file", file]);
    // Without network access.
    let options =
        ["--framework=kubernetes", "--output=json", "--quiet", "--compact", "--skip-download"];
    let output =
        sandbox.run(program, &options.into_iter().chain(files).collect::<Vec<_>>()).output();
    let found = output.json();
    assert!(
        found["summary"]["passed"].as_u64().is_some_and(|passed| passed > 0),
        "{found}{}",
        output.stderr
    );
    assert_eq!(found["summary"]["parsing_errors"], 0, "{found}");
    found["results"]["failed_checks"].as_array().unwrap().clone()
}

#[test]
fn checkov_says_nothing_that_is_not_explained() {
    let Some(program) = checkov() else { return };
    let (mut wrong, mut met) = (BTreeSet::new(), BTreeSet::new());
    let trees = matrix();
    let file = |stage: &super::Stage| stage.file.display().to_string();
    let files: Vec<_> = trees.iter().flat_map(|tree| tree.stages.iter().map(file)).collect();
    let found = found_by_checkov(&trees[0].sandbox, &program, &files);
    for failed in &found {
        let field = |name: &str| failed[name].as_str().unwrap();
        let of =
            |tree: &&Tree| tree.stages.iter().any(|stage| file(stage) == field("file_abs_path"));
        let tree = trees.iter().find(of).unwrap();
        let is_it = |name: &str, value: &str| tree.row.has(name, value);
        match explained(field("check_id"), is_it) {
            Some(check) => _ = met.insert(check),
            None => {
                let names = ["check_id", "resource", "check_name", "file_abs_path"].map(field);
                wrong.insert(names.join(" "));
            }
        }
    }
    let wrong: Vec<_> = wrong.into_iter().collect();
    assert!(wrong.is_empty(), "{}", with_rows(&trees, &wrong.join("\n")));
    let idle = idle(&met, is_of_checkov);
    assert!(idle.is_empty(), "nothing is said of these any more: {idle:?}");
    // It does find something.
    let sandbox = Sandbox::new();
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: a}\nspec: {hostPID: true, containers: [{name: a, image: a:1}]}\n";
    let file = sandbox.write("wrong.yaml", pod).display().to_string();
    let found = found_by_checkov(&sandbox, &program, &[file]);
    assert!(found.iter().any(|failed| failed["check_id"] == "CKV_K8S_17"), "{found:?}");
}

/// The failed checks, with their objects.
fn complaints(objects: &Value) -> Vec<(&Value, &Value)> {
    let objects = objects.as_array().into_iter().flatten();
    let checks = objects.flat_map(|object| {
        let checks = object["checks"].as_array().into_iter().flatten();
        checks.map(|check| (&object["object_name"], check))
    });
    // 10 is "all OK".
    checks.filter(|(_, check)| check["skipped"] == false && check["grade"] != 10).collect()
}

#[test]
fn yaml_is_tidy() {
    if have("yamllint") {
        let trees = matrix();
        let roots: Vec<_> = trees.iter().map(|tree| tree.root.display().to_string()).collect();
        let options = ["--strict", "--format=parsable", "-d", crate::manifests::YAML_RULES];
        finds_nothing(&trees, trees[0].sandbox.run("yamllint", &arguments(&options, &roots)));
    }
}

#[test]
fn makefiles_are_valid() {
    let Some(program) = mbake() else { return };
    let trees = matrix();
    let files = distinct(&trees, |path, _| path.ends_with("Makefile"));
    let output =
        finds_nothing(&trees, trees[0].sandbox.run(&program, &arguments(&["validate"], &files)));
    assert_eq!(output.stdout.matches("Valid syntax").count(), files.len(), "{}", output.stdout);
    let sandbox = Sandbox::new();
    let wrong = sandbox.write("work/Makefile", "all:\n    echo spaces\n").display().to_string();
    sandbox.run(&program, &["validate", &wrong]).failure(2);
}

#[test]
fn shellcheck_finds_nothing_in_scripts_hooks_and_recipes() {
    if !have("shellcheck") {
        return;
    }
    let trees = matrix();
    let scripts =
        distinct(&trees, |path, text| text.starts_with("#!") || path.starts_with("scripts/"));
    assert!(scripts.len() >= 2, "{scripts:?}");
    let mut recipes = BTreeMap::new();
    for tree in trees.iter() {
        let makefile = std::fs::read_to_string(tree.root.join("Makefile")).unwrap();
        let targets = makefile.lines().filter(|line| !line.starts_with('\t'));
        let targets = targets.filter_map(|line| Some(line.split_once(": ## ")?.0));
        let targets: Vec<_> = ["--no-print-directory", "-n"].into_iter().chain(targets).collect();
        assert!(targets.len() > 15, "{targets:?}");
        for stage in &tree.stages {
            let environment = format!("ENV={}", stage.dir.rsplit('/').next().unwrap());
            let args = [&targets[..], &[&environment]].concat();
            let output = tree.sandbox.run("make", &args).cwd(&tree.root).output();
            let said = (output.code, output.stderr.as_str());
            assert_eq!(said, (Some(0), ""), "{}\n{args:?}", tree.row.line());
            // Names of objects, which the shell must split: kinds and DNS labels.
            let text = output.stdout.replace(" delete $names\n", " delete \"$names\"\n");
            let name = format!("{environment}.sh");
            let file = || tree.sandbox.write(&name, &text).display().to_string();
            recipes.entry(text.clone()).or_insert_with(file);
        }
    }
    let files = [scripts, recipes.into_values().collect()].concat();
    finds_nothing(
        &trees,
        trees[0].sandbox.run("shellcheck", &arguments(&["--shell=sh", "--format=gcc"], &files)),
    );
}

#[test]
fn gitlabs_schema_accepts_every_pipeline() {
    let Some(checker) = cached("check-jsonschema-0.39.0/bin/check-jsonschema") else { return };
    let trees = matrix();
    let files =
        distinct(&trees, |path, _| path == ".gitlab-ci.yml" || path.starts_with(".gitlab/"));
    assert!(files.len() > 2, "{files:?}");
    let options = ["--builtin-schema", "vendor.gitlab-ci"];
    finds_nothing(&trees, trees[0].sandbox.run(&checker, &arguments(&options, &files)));
}

#[test]
fn makeinfra_itself_finds_nothing_to_mend() {
    for tree in matrix()
        .iter()
        .filter(|tree| !tree.row.has("token", "none") && tree.row.has("git", "commit"))
    {
        let output = tree.sandbox.makeinfra(&["check"]).cwd(&tree.root).output();
        assert_eq!(output.code, Some(0), "{}\n{}", tree.row.line(), output.stdout);
    }
}

#[test]
fn the_same_answers_make_the_same_bytes() {
    let trees = matrix();
    for (tree, again) in trees.iter().zip(regenerated()) {
        assert_eq!(files_below(&tree.root), files_below(&again.root), "{}", tree.row.line());
        for ((path, text), (_, other)) in tree.files().into_iter().zip(again.files()) {
            assert_eq!(text, other, "{}\n{path}", tree.row.line());
            assert_eq!(
                mode(&tree.root.join(&path)),
                mode(&again.root.join(&path)),
                "{}\n{path}",
                tree.row.line()
            );
        }
    }
}
