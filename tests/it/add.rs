//! `makeinfra add`: components next to the project's own.

use super::env_add::{repeated, sizeless};
use super::environments::{built, with_environments};
use super::support::{IMAGE, SECRET, Sandbox};
use serde_json::Value;
use std::fs;

pub const WORKER: &[&str] =
    &["add", "worker", "--port", "none", "--image", "registry.gitlab.com/group/worker:3"];

pub fn names(documents: &[Value]) -> Vec<String> {
    let mut names: Vec<_> = documents
        .iter()
        .filter(|one| one["kind"] != "Secret")
        .map(|one| {
            format!(
                "{}/{}",
                one["kind"].as_str().unwrap(),
                one["metadata"]["name"].as_str().unwrap()
            )
        })
        .collect();
    names.sort();
    names
}

#[test]
fn the_plan_comes_first() {
    let sandbox = with_environments(&["--ingress", "hello.example.com"]);
    let before = sandbox.tree();
    let command = [
        "add",
        "api",
        "--image",
        "registry.gitlab.com/group/api:2",
        "--ingress",
        "api.example.com",
    ];
    let output = sandbox.here(&[&command[..], &["--dry-run", "--diff"]].concat()).success();
    let plan = sizeless(&sandbox.placeless(&output.stdout));
    let (plan, rest) = plan.split_once("\n--- ").unwrap();
    let (diff, facts) = rest.split_once("\nimage ").unwrap();
    assert!(
        facts.contains("registry.gitlab.com/group/api:2") && facts.contains("api.example.com"),
        "{facts}"
    );
    assert_eq!(
        plan,
        "\
New component api

DIR/
├── .makeinfra.yaml                 changed
└── kubernetes/
    ├── base/
    │   ├── api-deployment.yaml     new
    │   ├── api-ingress.yaml        new
    │   ├── api-service.yaml        new
    │   └── kustomization.yaml      changed
    └── overlays/
        ├── production/
        │   └── kustomization.yaml  changed
        └── staging/
            └── kustomization.yaml  changed
"
    );
    let of_staging = "\
a/kubernetes/overlays/staging/kustomization.yaml
+++ b/kubernetes/overlays/staging/kustomization.yaml
@@ -15,6 +15,8 @@ labels:
 images:
   - name: registry.gitlab.com/group/hello
     newTag: \"1.0.0\"
+  - name: registry.gitlab.com/group/api
+    newTag: \"2\"
 patches:
   - target:
       kind: Ingress
@@ -23,3 +25,10 @@ patches:
       - op: replace
         path: /spec/rules/0/host
         value: staging.hello.example.com
+  - target:
+      kind: Ingress
+      name: api
+    patch: |-
+      - op: replace
+        path: /spec/rules/0/host
+        value: staging.api.example.com
";
    assert!(diff.contains(of_staging), "{diff}");
    assert_eq!(sandbox.tree(), before);
    sandbox.here(&command).failure(2).says("(`--yes` confirms, `--dry-run` previews)");
    let output = sandbox.agreed(&command).success();
    let (_, after) = output.stdout.split_once("\nAdd api: done.\n").unwrap();
    assert_eq!(
        after,
        "
Next:

  git add -A -- .makeinfra.yaml kubernetes/base/api-deployment.yaml kubernetes/base/api-ingress.yaml kubernetes/base/api-service.yaml kubernetes/base/kustomization.yaml kubernetes/overlays/production/kustomization.yaml kubernetes/overlays/staging/kustomization.yaml && git commit -m 'Add api' -- .makeinfra.yaml kubernetes/base/api-deployment.yaml kubernetes/base/api-ingress.yaml kubernetes/base/api-service.yaml kubernetes/base/kustomization.yaml kubernetes/overlays/production/kustomization.yaml kubernetes/overlays/staging/kustomization.yaml
  # show what changes in the cluster
  make diff ENV=staging CHANGES=ok
  # deploy it
  make deploy ENV=staging
"
    );
}

#[test]
fn a_worker_and_a_cron_job_stand_beside_the_service_and_edits_stay() {
    let sandbox = Sandbox::with_hello();
    sandbox.append("README.md", "# Ours\n");
    sandbox.edit("kubernetes/base/deployment.yaml", "replicas: 2", "replicas: 7");
    let overlay = "kubernetes/overlays/production/kustomization.yaml";
    sandbox.edit(overlay, "newTag: \"1.0.0\"", "newTag: \"2.0.0\"");
    sandbox.commit_all();
    let (secret, readme, makefile) = (
        fs::read(sandbox.hello(SECRET)).unwrap(),
        sandbox.read("README.md"),
        sandbox.read("Makefile"),
    );
    let pipeline = sandbox.read(".gitlab-ci.yml");
    sandbox.agreed(&[WORKER, &["--commit"]].concat()).success();
    let nightly = [
        "add",
        "nightly",
        "--workload",
        "cronjob",
        "--schedule",
        "0 3 * * *",
        "--arg=report",
        "--commit",
    ];
    sandbox.agreed(&nightly).success();
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
    assert_eq!(fs::read(sandbox.hello(SECRET)).unwrap(), secret);
    assert_eq!(
        (sandbox.read("README.md"), sandbox.read("Makefile"), sandbox.read(".gitlab-ci.yml")),
        (readme, makefile, pipeline)
    );
    sandbox.is_sound();
    let Some(documents) = built(&sandbox, "kubernetes/overlays/production") else { return };
    let expected = ["CronJob/nightly", "Deployment/hello", "Deployment/worker", "Service/hello"];
    assert_eq!(names(&documents), expected);
    let of = |kind: &str, name: &str| {
        let found = |one: &&Value| one["kind"] == kind && one["metadata"]["name"] == name;
        documents.iter().find(found).unwrap()["spec"].clone()
    };
    assert_eq!(of("Deployment", "hello")["replicas"], 7);
    let pod = &of("CronJob", "nightly")["jobTemplate"]["spec"]["template"]["spec"];
    assert_eq!(pod["containers"][0]["image"], "registry.gitlab.com/group/hello:2.0.0");
    assert_eq!(pod["containers"][0]["args"][0], "report");
    assert_eq!(pod["imagePullSecrets"][0]["name"], "gitlab");
    let worker = &of("Deployment", "worker")["template"]["spec"]["containers"][0];
    assert_eq!(worker["image"], "registry.gitlab.com/group/worker:3");
}

#[test]
fn it_runs_in_every_environment_and_comes_along_to_a_new_one() {
    let sandbox = with_environments(&["--ingress", "hello.example.com"]);
    sandbox.agreed(&["add", "api", "--ingress", "api.example.com", "--replicas", "3"]).success();
    let output = sandbox.agreed(&["env", "add", "qa"]).success();
    output.prints("host         qa.hello.example.com\nhost         qa.api.example.com (api)\n");
    let host = |dir: &str| {
        let documents = built(&sandbox, &format!("kubernetes/overlays/{dir}"))?;
        let ingress = documents
            .iter()
            .find(|one| one["kind"] == "Ingress" && one["metadata"]["name"] == "api")
            .unwrap();
        Some(ingress["spec"]["rules"][0]["host"].as_str().unwrap().to_owned())
    };
    let Some(production) = host("production") else { return };
    assert_eq!(production, "api.example.com");
    assert_eq!(host("staging").unwrap(), "staging.api.example.com");
    assert_eq!(host("qa").unwrap(), "qa.api.example.com");
}

#[test]
fn what_cannot_be_added_is_told_and_changes_nothing() {
    let sandbox = Sandbox::with_hello();
    sandbox.agreed(&[WORKER, &["--commit"]].concat()).success();
    let redis = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: redis}\nspec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: redis, image: \"redis:7\"}]}}}\n";
    sandbox.put("kubernetes/base/cache.yaml", redis);
    sandbox.edit(
        "kubernetes/base/kustomization.yaml",
        "resources:\n",
        "resources:\n  - cache.yaml\n",
    );
    sandbox.put("kubernetes/base/tool-deployment.yaml", "mine: yes\n");
    sandbox.commit_all();
    let other_tag = IMAGE.replace("1.0.0", "2");
    for (args, code, said) in [
        (&["hello"][..], 1, "component `hello` already exists"),
        (&["worker"], 1, "component `worker` already exists"),
        (&["redis", "--port", "none"], 1, "Deployment `redis` already exists"),
        (
            &["tool"],
            1,
            "`kubernetes/base/tool-deployment.yaml` already exists with different content",
        ),
        (&["Api"], 2, "`NAME` must consist"),
        (&["api", "--port", "x"], 2, "`--port` must be"),
        (&["api", "--image", &other_tag], 1, "`registry.gitlab.com/group/hello` uses another tag"),
        (&["api", "--workload", "cronjob"], 2, "`--schedule`"),
        (&["api", "--replicas", "1", "--replicas", "2"], 2, "cannot be used more than once"),
        (&["api", "--config", "nowhere.env"], 2, "file not found"),
    ] {
        sandbox.agreed(&[&["add"], args].concat()).failure(code).says(said).says("hint: ");
        assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "", "{args:?}");
    }
    let output = sandbox.agreed(&["add", "queue", "--image", "nats:2", "--port", "4222"]).success();
    output.says("`nats` is pulled without credentials");
    // A second run has nothing to do.
    let tree = sandbox.tree();
    sandbox
        .agreed(&["add", "queue", "--image", "nats:2", "--port", "4222"])
        .success()
        .prints("Nothing to do");
    sandbox.agreed(&["add", "queue", "--image", "nats:2", "--port", "1"]).failure(1).says("exists");
    assert_eq!(sandbox.tree(), tree);
}

#[test]
fn what_a_killed_run_has_left_undone_is_done_by_the_next_one() {
    let original = || {
        let sandbox = with_environments(&["--ingress", "hello.example.com"]);
        sandbox.write("work/worker.env", "A=1\n");
        sandbox
    };
    let more = [
        "add",
        "api",
        "--ingress",
        "api.example.com",
        "--config",
        "../worker.env",
        "--image",
        "a.b/api:1",
    ];
    repeated(&original, &more);
}
