//! Users' edits are copied, and stay in place.

use super::super::environments::{built, with_environments};
use super::super::hints_typed::typed;
use super::super::support::Sandbox;
use super::{PRODUCTION, STAGING};
use std::fs;

#[test]
fn edits_are_copied_and_stay_where_they_were_made() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--ingress", "hello.example.com", "--context", "eu"]).success();
    sandbox.append("README.md", "\n## Ours\n");
    sandbox.append("Makefile", "# ours\n");
    sandbox.append(".gitlab-ci.yml", "# ours\n");
    sandbox.append(".gitlab/production.yml", "# ours\n");
    // A user's own manifest, and a Service that was removed.
    sandbox.put("kubernetes/base/budget.yaml", BUDGET);
    let base = "kubernetes/base/kustomization.yaml";
    sandbox.edit(base, "  - service.yaml\n", "  - budget.yaml\n");
    sandbox.edit(base, "  - ingress.yaml\n", "");
    fs::remove_file(sandbox.hello("kubernetes/base/service.yaml")).unwrap();
    fs::remove_file(sandbox.hello("kubernetes/base/ingress.yaml")).unwrap();
    sandbox.edit(PRODUCTION, "newTag: \"1.0.0\"", "newTag: 1.2.0  # tested: #42");
    sandbox.edit(PRODUCTION, "  - ../../base\n", "  - ../../base\n  # ours\n  - ingress.yaml\n");
    sandbox.append(PRODUCTION, PATCHES);
    sandbox.put("kubernetes/overlays/production/memory.yaml", MEMORY);
    sandbox.put("kubernetes/overlays/production/ingress.yaml", INGRESS);
    sandbox.edit(".makeinfra.yaml", "      context: eu\n", "      context: eu  # Frankfurt\n");
    sandbox.edit(
        "kubernetes/overlays/production/environment.mk",
        "CONTEXT   := eu",
        "CONTEXT   := eu\nOURS := 1",
    );
    let before = sandbox.tree();

    let output =
        sandbox.agreed(&["env", "add", "staging", "--context", "us", "--replicas", "1"]).success();
    output.prints("\ncontext      us\nprotected    no\npods         1\n");
    let after = sandbox.tree();
    assert!(before.iter().all(|(path, text)| path == ".makeinfra.yaml" || after[path] == *text));
    assert_eq!(
        sandbox.read(STAGING).lines().skip(5).collect::<Vec<_>>().join("\n") + "\n",
        "\
namespace: hello-staging
resources:
  - ../../base
  # ours
  - ingress.yaml
  - ../../../secrets/kubernetes/staging
# `make prune` and `make undeploy` find objects by these two labels.
labels:
  - pairs:
      makeinfra/project: hello
      makeinfra/environment: staging
images:
  - name: registry.gitlab.com/group/hello
    newTag: 1.2.0  # tested: #42
# All of it is ours.
patches:
  - path: memory.yaml
  - target: {kind: Deployment, name: hello}
    patch: |-
      - op: add
        path: /spec/template/spec/containers/0/env
        value: [{name: URL, value: 'https://staging.hello.example.com/x'}]
replicas:
  - name: hello
    count: 1
"
    );
    let copy = |path: &str| sandbox.read(&format!("kubernetes/overlays/staging/{path}"));
    assert_eq!(copy("memory.yaml"), MEMORY);
    let hosts = INGRESS
        .replace("hello.example.com", "staging.hello.example.com")
        .replace("namespace: hello", "namespace: hello-staging");
    assert_eq!(
        copy("ingress.yaml"),
        hosts.replace("admin.example.com", "staging.admin.example.com")
    );
    assert_eq!(
        copy("environment.mk").lines().skip(1).collect::<Vec<_>>(),
        [
            "NAMESPACE := hello-staging",
            "CONTEXT   := us",
            "OURS := 1",
            "PROTECTED :=",
            "SECRETS   := secrets/kubernetes/staging"
        ]
    );
    assert!(sandbox.read(".gitlab/staging.yml").ends_with("# ours\n"));
    let record = sandbox.read(".makeinfra.yaml");
    assert!(
        record.contains(
            "    staging:\n      namespace: hello-staging\n      context: us  # Frankfurt\n"
        ),
        "{record}"
    );
    sandbox.commit_all();
    sandbox.is_sound();
    let Some(production) = built(&sandbox, "kubernetes/overlays/production") else { return };
    let text =
        serde_json::to_string(&built(&sandbox, "kubernetes/overlays/staging").unwrap()).unwrap();
    let text = text
        .replace("hello-staging", "hello")
        .replace("staging.", "")
        .replace(
            "\"makeinfra/environment\":\"staging\"",
            "\"makeinfra/environment\":\"production\"",
        )
        .replace("\"replicas\":1", "\"replicas\":2");
    assert_eq!(serde_json::to_string(&production).unwrap(), text);
}

const BUDGET: &str = "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: hello}\nspec: {minAvailable: 1, selector: {matchLabels: {app.kubernetes.io/name: hello}}}\n";
const PATCHES: &str = "# All of it is ours.\npatches:\n  - path: memory.yaml\n  - target: {kind: Deployment, name: hello}\n    patch: |-\n      - op: add\n        path: /spec/template/spec/containers/0/env\n        value: [{name: URL, value: 'https://hello.example.com/x'}]\n";
const MEMORY: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: hello\nspec:\n  template:\n    spec:\n      containers:\n        - name: hello\n          resources: {limits: {memory: 1Gi}}\n";
const INGRESS: &str = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: hello\n  namespace: hello\nspec:\n  rules:\n    - host: hello.example.com # the main one\n      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: hello, port: {number: 80}}}}]}\n    - host: admin.example.com\n      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: hello, port: {number: 80}}}}]}\n";

#[test]
fn lines_that_end_as_on_windows_stay_so() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--ingress", "hello.example.com"]).success();
    for path in [PRODUCTION, ".makeinfra.yaml", "kubernetes/overlays/production/environment.mk"] {
        let text = sandbox.read(path).replace('\n', "\r\n");
        sandbox.put(path, &text);
    }
    sandbox.agreed(&["env", "add", "staging", "--commit"]).success();
    for path in [STAGING, ".makeinfra.yaml", "kubernetes/overlays/staging/environment.mk"] {
        let text = sandbox.read(path);
        assert!(
            text.lines().count() > 4 && text.replace("\r\n", "").lines().count() == 1,
            "{path}: {text:?}"
        );
    }
    // git itself compares sizes until it has read such a file once.
    sandbox.git(&["add", "-A"]).success();
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
    let fresh = Sandbox::new();
    fresh.new_hello(&["--ingress", "hello.example.com"]).success();
    fresh.agreed(&["env", "add", "staging"]).success();
    let built = [&sandbox, &fresh].map(|sandbox| built(sandbox, "kubernetes/overlays/staging"));
    assert_eq!(built[0], built[1]);
}

#[test]
fn another_environment_can_be_the_model() {
    let sandbox =
        with_environments(&["--ingress", "hello.example.com", "--context", "production=prod"]);
    sandbox.edit(PRODUCTION, "newTag: \"1.0.0\"", "newTag: \"0.9.0\"");
    sandbox.commit_all();
    sandbox
        .agreed(&["env", "add", "qa"])
        .success()
        .prints("copied from  staging\n")
        .prints("qa.hello.example.com");
    sandbox.agreed(&["env", "add", "live", "--like", "production", "--protect"]).success().prints(
        "context      prod\nprotected    yes: make asks for \
         confirmation\nhost         live.hello.example.com\n",
    );
    let text = sandbox.read("kubernetes/overlays/live/kustomization.yaml");
    assert!(
        text.contains("newTag: \"0.9.0\"") && text.contains("value: live.hello.example.com"),
        "{text}"
    );
    sandbox
        .agreed(&["env", "add", "demo", "--ingress", "demo.example.org", "--namespace", "show"])
        .success()
        .prints("namespace    show\n");
    assert!(
        sandbox
            .read("kubernetes/overlays/demo/kustomization.yaml")
            .contains("value: demo.example.org\n")
    );
    let listed = sandbox.makeinfra(&["env", "list", "hello-infra", "--json"]).success().json();
    let names: Vec<_> =
        listed["environments"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, ["staging", "production", "qa", "live", "demo"]);
    sandbox.commit_all();
    sandbox.is_sound();
}

#[test]
fn a_hand_made_overlay_is_only_recorded() {
    let sandbox = Sandbox::with_hello();
    sandbox.put(
        "kubernetes/overlays/qa/kustomization.yaml",
        "namespace: quality\nresources: [../../base]\nreplicas: [{name: hello, count: 7}]\n",
    );
    sandbox
        .agreed(&["env", "add", "qa"])
        .failure(1)
        .says("`kubernetes/overlays/qa/environment.mk` does not exist");
    let settings =
        "NAMESPACE := quality\nCONTEXT := eu\nPROTECTED := yes\nSECRETS := secrets/kubernetes/qa\n";
    sandbox.put("kubernetes/overlays/qa/environment.mk", &settings.replace("quality", "other"));
    sandbox.agreed(&["env", "add", "qa"]).failure(1).says("differs from `namespace` in");
    sandbox.put("kubernetes/overlays/qa/environment.mk", settings);
    sandbox
        .agreed(&["env", "add", "qa", "--namespace", "x"])
        .failure(2)
        .says("`--namespace` requires a new overlay");
    let before = sandbox.tree();
    let output = sandbox.agreed(&["env", "add", "qa"]).success();
    output.prints(
        "overlay      kubernetes/overlays/qa, recorded \
         unchanged\nnamespace    quality\ncontext      eu\n",
    );
    let mut after = sandbox.tree();
    let record = String::from_utf8(
        after.insert(".makeinfra.yaml".into(), before[".makeinfra.yaml"].clone()).unwrap(),
    );
    assert_eq!(after, before);
    let entry = "    qa:\n      namespace: quality\n      protect: true\n      secrets: secrets/kubernetes/qa\n      context: eu\n      replicas: 7\n";
    let record = record.unwrap();
    assert!(record.contains(entry), "{record}");
    output.prints("- no pipeline job deploys it: `.gitlab/qa.yml` does not exist\n");
    // The hint of `check` works.
    let check = sandbox.here(&["check"]).failure(1).stdout;
    let (_, hint) = check.split_once(".gitlab/qa.yml: file is missing").unwrap();
    let hint = hint.lines().find_map(|line| line.trim().strip_prefix("hint: ")).unwrap();
    typed(&sandbox, &hint.replace("--restore", "--yes --restore")).success();
    let jobs = fs::read_to_string(sandbox.hello(".gitlab/qa.yml")).unwrap();
    assert!(jobs.contains("make deploy ENV=qa ") && !jobs.contains("production"), "{jobs}");
}

#[test]
fn a_hand_made_overlay_takes_nothing_from_another_one() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--context", "eu", "--replicas", "9"]).success();
    let dir = "kubernetes/overlays/qa";
    sandbox.put(
        &format!("{dir}/kustomization.yaml"),
        "namespace: hello-qa\nresources: [../../base]\n",
    );
    let settings = format!("{dir}/environment.mk");
    sandbox.put(
        &settings,
        "NAMESPACE := hello-qa\nCONTEXT :=\nPROTECTED :=\nSECRETS := secrets/kubernetes/qa\n",
    );
    sandbox
        .agreed(&["env", "add", "qa"])
        .success()
        .prints("context      the current context of kubectl");
    let record = sandbox.read(".makeinfra.yaml");
    let (_, entry) = record.split_once("    qa:\n").unwrap();
    assert_eq!(
        entry,
        "      namespace: hello-qa\n      protect: false\n      secrets: secrets/kubernetes/qa\n"
    );
    // A namespace that is in use is reported with the file to edit.
    for file in ["kustomization.yaml", "environment.mk"] {
        let text = sandbox.read(&format!("{dir}/{file}"));
        sandbox.put(&format!("kubernetes/overlays/demo/{file}"), &text);
    }
    let output = sandbox.agreed(&["env", "add", "demo"]).failure(2);
    output
        .says("the environment `qa` already uses the namespace")
        .says("hint: ${EDITOR:-vi} kubernetes/overlays/demo/*");
}
