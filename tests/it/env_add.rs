//! `makeinfra env add`: the plan, what the copy has, what stays as it was, what is in its way.

use super::environments::{built, with_environments};
use super::support::{Run, Sandbox, files_below, mode};
use std::collections::BTreeMap;
use std::fs;

/// Every file of a work tree.
pub type Tree = BTreeMap<String, Vec<u8>>;

impl Sandbox {
    /// A command in the generated repository that agrees to its plan.
    pub fn agreed(&self, args: &[&str]) -> Run {
        self.makeinfra(&[args, &["--yes"]].concat()).cwd(self.work("hello-infra"))
    }

    /// A command in the generated repository.
    pub fn here(&self, args: &[&str]) -> Run {
        self.makeinfra(args).cwd(self.work("hello-infra"))
    }

    /// Every file of the work tree.
    pub fn tree(&self) -> Tree {
        let files = files_below(&self.hello("")).into_iter();
        files.map(|path| (path.clone(), fs::read(self.hello(&path)).unwrap())).collect()
    }

    pub fn commit_all(&self) {
        self.git(&["add", "-A"]).success();
        self.git(&["commit", "-qm", "Edit"]).success();
    }

    /// What a command printed, with the place of the sandbox left out.
    pub fn placeless(&self, text: &str) -> String {
        let root = self.work("hello-infra").canonicalize().unwrap();
        text.replace(&root.display().to_string(), "DIR")
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.hello(path)).unwrap()
    }

    pub fn put(&self, path: &str, text: &str) {
        fs::create_dir_all(self.hello(path).parent().unwrap()).unwrap();
        fs::write(self.hello(path), text).unwrap();
    }

    /// Expects `makeinfra check` to find nothing.
    #[track_caller]
    pub fn is_sound(&self) {
        self.makeinfra(&["check", "hello-infra"]).success().prints("0 problems");
    }
}

/// The files that a command changes, in the order of writing.
pub fn order(output: &super::support::Output) -> Vec<String> {
    let files = output.json()["files"].as_array().unwrap().clone();
    files.iter().map(|file| file["path"].as_str().unwrap().to_owned()).collect()
}

const STAGING: &str = "kubernetes/overlays/staging/kustomization.yaml";
const PRODUCTION: &str = "kubernetes/overlays/production/kustomization.yaml";

#[test]
fn the_plan_comes_first() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--ingress", "hello.example.com"]).success();
    let before = sandbox.tree();
    let plan = sandbox.placeless(&sandbox.here(&["env", "add", "staging", "--dry-run"]).success().stdout);
    assert_eq!(
        sizeless(&plan),
        "\
New environment staging

copied from  production
namespace    hello-staging
context      the current one of kubectl
protected    no
host         staging.hello.example.com
token        that of production

DIR/
├── .gitlab/
│   └── staging.yml                 new
├── .makeinfra.yaml                 changed
├── kubernetes/
│   └── overlays/
│       └── staging/
│           ├── environment.mk      new
│           ├── kustomization.yaml  new
│           └── namespace.yaml      new
└── secrets/
    └── kubernetes/
        └── staging/
            ├── gitlab.secret.yaml  new, encrypted in git
            └── kustomization.yaml  new, encrypted in git

Nothing was written: this is a dry run.
"
    );
    assert_eq!(
        sandbox.here(&["env", "add", "staging"]).failure(2).stderr,
        "error: cannot ask for confirmation: not a terminal (`--yes` confirms, `--dry-run` previews)\n"
    );
    assert_eq!(sandbox.tree(), before);
    let done = sandbox.agreed(&["env", "add", "staging"]).success().stdout;
    let (shown, after) = done.split_once("\nAdd environment staging: done.\n").unwrap();
    assert_eq!(sandbox.placeless(shown), plan.split("\nNothing was").next().unwrap());
    assert_eq!(
        after,
        "
Next:

  git add -A -- .gitlab/staging.yml .makeinfra.yaml kubernetes/overlays/staging secrets/kubernetes/staging && git commit -m 'Add environment staging' -- .gitlab/staging.yml .makeinfra.yaml kubernetes/overlays/staging secrets/kubernetes/staging
  # give it a deploy token of its own
  makeinfra rotate --env staging
  # deploy it
  make deploy ENV=staging
"
    );
    // Again, there is nothing to do.
    let tree = sandbox.tree();
    sandbox.here(&["env", "add", "staging", "--no-input"]).success().prints("Nothing to do");
    assert_eq!(sandbox.tree(), tree);
}

/// A plan without the sizes of files.
pub fn sizeless(plan: &str) -> String {
    let line = |line: &str| match line.rfind("  ") {
        Some(at) if line[at..].contains(" B, ") || line[at..].contains(" kB, ") => {
            format!("{}{}", &line[..at + 2], line[at..].split_once(", ").unwrap().1)
        }
        _ => line.to_owned(),
    };
    plan.lines().map(|one| format!("{}\n", line(one))).collect()
}

#[test]
fn a_lone_production_stays_exactly_as_it_is() {
    let sandbox = Sandbox::with_hello();
    let before = sandbox.tree();
    sandbox.agreed(&["env", "add", "staging", "--commit"]).success();
    let after = sandbox.tree();
    for (path, text) in &before {
        if path == ".makeinfra.yaml" {
            assert!(after[path].starts_with(text));
        } else {
            assert_eq!(&after[path], text, "{path}");
        }
    }
    let new: Vec<_> = after.keys().filter(|path| !before.contains_key(*path)).map(String::as_str).collect();
    assert_eq!(
        new,
        [
            ".gitlab/staging.yml",
            "kubernetes/overlays/staging/environment.mk",
            STAGING,
            "kubernetes/overlays/staging/namespace.yaml",
            "secrets/kubernetes/staging/gitlab.secret.yaml",
            "secrets/kubernetes/staging/kustomization.yaml",
        ]
    );
    assert_eq!(mode(&sandbox.hello("secrets/kubernetes/staging/gitlab.secret.yaml")), 0o600);
    assert_eq!(mode(&sandbox.hello(STAGING)) & 0o444, mode(&sandbox.hello(".makeinfra.yaml")) & 0o444);
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
    let blob = sandbox.git(&["cat-file", "blob", "HEAD:secrets/kubernetes/staging/gitlab.secret.yaml"]);
    assert!(blob.success().bytes.starts_with(b"\0GITCRYPT\0"));
    sandbox.is_sound();
    let Some(production) = built(&sandbox, "kubernetes/overlays/production") else { return };
    let staging = built(&sandbox, "kubernetes/overlays/staging").unwrap();
    assert_eq!(production.len(), staging.len());
    assert!(staging.iter().all(|one| one["metadata"]["namespace"] == "hello-staging"));
}

#[test]
fn two_fresh_overlays_differ_in_values_alone() {
    let sandbox = with_environments(&[]);
    let of = |name: &str| -> BTreeMap<String, String> {
        let dir = format!("kubernetes/overlays/{name}");
        let files = files_below(&sandbox.hello(&dir)).into_iter();
        files.map(|file| (file.clone(), sandbox.read(&format!("{dir}/{file}")))).collect()
    };
    let (staging, production) = (of("staging"), of("production"));
    assert_eq!(
        staging.keys().collect::<Vec<_>>(),
        ["environment.mk", "kustomization.yaml", "namespace.yaml"]
    );
    for (file, text) in &staging {
        let other = text.replace("staging", "production").replace("PROTECTED :=\n", "PROTECTED := yes\n");
        assert_eq!(&other, &production[file], "{file}");
        let comments = text.lines().filter_map(|line| line.split_once('#')).map(|(_, comment)| comment);
        for comment in comments {
            assert!(!comment.contains("staging") && !comment.contains("hello"), "{file}: {comment}");
        }
    }
}

#[test]
fn a_copy_of_a_fresh_environment_is_a_fresh_one() {
    for args in [
        &[][..],
        &["--ingress", "hello.example.com", "--tls", "--context", "eu", "--replicas", "3"],
        &["--namespace", "{env}-{project}", "--workload", "job"],
    ] {
        let both = Sandbox::new();
        both.new_hello(&[&["--env", "staging", "--env", "qa"], args].concat()).success();
        let copied = Sandbox::new();
        copied.new_hello(&[&["--env", "staging"], args].concat()).success();
        copied.agreed(&["env", "add", "qa"]).success();
        let (both, mut copied) = (both.tree(), copied.tree());
        // Of the only environment the pipeline may be another one.
        copied.insert(".gitlab/staging.yml".into(), both[".gitlab/staging.yml"].clone());
        for (path, text) in &both {
            let [one, two] = [text, &copied[path]].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            assert_eq!(one, two, "{args:?}, {path}");
        }
        assert_eq!(both.len(), copied.len());
    }
}

#[test]
fn edits_are_copied_and_stay_where_they_were_made() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--ingress", "hello.example.com", "--context", "eu"]).success();
    sandbox.append("README.md", "\n## Ours\n");
    sandbox.append("Makefile", "# ours\n");
    sandbox.append(".gitlab-ci.yml", "# ours\n");
    sandbox.append(".gitlab/production.yml", "# ours\n");
    // A manifest of one's own, and a Service that is not wanted.
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

    let output = sandbox.agreed(&["env", "add", "staging", "--context", "us", "--replicas", "1"]).success();
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
    assert_eq!(copy("ingress.yaml"), hosts.replace("admin.example.com", "staging.admin.example.com"));
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
        record.contains("    staging:\n      namespace: hello-staging\n      context: us  # Frankfurt\n"),
        "{record}"
    );
    sandbox.commit_all();
    sandbox.is_sound();
    let Some(production) = built(&sandbox, "kubernetes/overlays/production") else { return };
    let text = serde_json::to_string(&built(&sandbox, "kubernetes/overlays/staging").unwrap()).unwrap();
    let text = text
        .replace("hello-staging", "hello")
        .replace("staging.", "")
        .replace("\"makeinfra/environment\":\"staging\"", "\"makeinfra/environment\":\"production\"")
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
    // git itself looks at the size until it has read such a file once.
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
    let sandbox = with_environments(&["--ingress", "hello.example.com", "--context", "production=prod"]);
    sandbox.edit(PRODUCTION, "newTag: \"1.0.0\"", "newTag: \"0.9.0\"");
    sandbox.commit_all();
    sandbox
        .agreed(&["env", "add", "qa"])
        .success()
        .prints("copied from  staging\n")
        .prints("qa.hello.example.com");
    sandbox.agreed(&["env", "add", "live", "--like", "production", "--protect"]).success().prints(
        "context      prod\nprotected    yes: make asks first\nhost         live.hello.example.com\n",
    );
    let text = sandbox.read("kubernetes/overlays/live/kustomization.yaml");
    assert!(text.contains("newTag: \"0.9.0\"") && text.contains("value: live.hello.example.com"), "{text}");
    sandbox
        .agreed(&["env", "add", "demo", "--ingress", "demo.example.org", "--namespace", "show"])
        .success()
        .prints("namespace    show\n");
    assert!(
        sandbox.read("kubernetes/overlays/demo/kustomization.yaml").contains("value: demo.example.org\n")
    );
    let listed = sandbox.makeinfra(&["env", "list", "hello-infra", "--json"]).success().json();
    let names: Vec<_> =
        listed["environments"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, ["staging", "production", "qa", "live", "demo"]);
    sandbox.commit_all();
    sandbox.is_sound();
}

#[test]
fn production_has_the_host_itself() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--ingress", "hello.example.com", "--env", "staging"]).success();
    let output = sandbox.agreed(&["env", "add", "production", "--commit"]).success();
    output.prints("protected    yes: make asks first\nhost         hello.example.com\n");
    // The patch of staging, with the host that base has.
    let Some(built) = built(&sandbox, "kubernetes/overlays/production") else { return };
    let ingress = built.iter().find(|one| one["kind"] == "Ingress").unwrap();
    assert_eq!(ingress["spec"]["rules"][0]["host"], "hello.example.com");
    sandbox.is_sound();
}

/// With a further Secret, which the Deployment uses.
fn with_database() -> Sandbox {
    let sandbox = Sandbox::with_hello();
    for (secret, key, value) in
        [("database", "URL", "hunter2url"), ("database", "CA", "hunter\n2"), ("mail", "KEY", "hunter2")]
    {
        sandbox.here(&["secret", "set", secret, key, "--stdin", "--commit"]).stdin(value).success();
    }
    let uses = "          envFrom:\n            - secretRef: {name: database}\n          ports:\n";
    sandbox.edit("kubernetes/base/deployment.yaml", "          ports:\n", uses);
    sandbox.commit_all();
    sandbox
}

#[test]
fn secrets_that_it_lacks_are_named() {
    let sandbox = with_database();
    let output = sandbox.agreed(&["env", "add", "staging"]).success();
    output
        .prints(
            "- the manifests use `database` (URL, CA), which staging will not have: set each value with `makeinfra \
             secret set`, or copy them with `--with-secrets`\n\
             - not copied without `--with-secrets`: `mail` (KEY)\n",
        )
        .prints("  makeinfra secret set database KEY --env staging\n");
    let files = files_below(&sandbox.hello("secrets/kubernetes/staging"));
    assert_eq!(files, ["gitlab.secret.yaml", "kustomization.yaml"]);
}

#[test]
fn secrets_are_copied_if_that_is_wanted_and_no_value_is_shown() {
    let sandbox = with_database();
    let output = sandbox.agreed(&["env", "add", "staging", "--with-secrets", "--diff", "--commit"]).success();
    output.prints("secrets      database (URL, CA), mail (KEY)\n").prints(
        "--- /dev/null\n+++ b/secrets/kubernetes/staging/database.env\n(encrypted in git, not shown; keys: URL)\n",
    );
    assert!(!output.stdout.contains("hunter"), "{}", output.stdout);
    let tree = sandbox.tree();
    for (path, text) in tree.iter().filter(|(path, _)| path.starts_with("secrets/kubernetes/staging/")) {
        assert_eq!(text, &tree[&path.replace("staging/", "")], "{path}");
        assert_eq!(mode(&sandbox.hello(path)), 0o600);
    }
    assert!(tree.contains_key("secrets/kubernetes/staging/database.d/CA"));
    sandbox.is_sound();
    let Some(built) = built(&sandbox, "kubernetes/overlays/staging") else { return };
    assert_eq!(built.iter().filter(|one| one["kind"] == "Secret").count(), 3);
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
    sandbox.agreed(&["env", "add", "qa"]).failure(1).says("is not the `namespace` of");
    sandbox.put("kubernetes/overlays/qa/environment.mk", settings);
    sandbox
        .agreed(&["env", "add", "qa", "--namespace", "x"])
        .failure(2)
        .says("`--namespace` is for a new overlay");
    let before = sandbox.tree();
    let output = sandbox.agreed(&["env", "add", "qa"]).success();
    output.prints(
        "overlay      kubernetes/overlays/qa, recorded as it is\nnamespace    quality\ncontext      eu\n",
    );
    let mut after = sandbox.tree();
    let record =
        String::from_utf8(after.insert(".makeinfra.yaml".into(), before[".makeinfra.yaml"].clone()).unwrap());
    assert_eq!(after, before);
    let entry = "    qa:\n      namespace: quality\n      protect: true\n      secrets: secrets/kubernetes/qa\n      context: eu\n      replicas: 7\n";
    let record = record.unwrap();
    assert!(record.contains(entry), "{record}");
    output.prints("- no job of the pipeline deploys it: `.gitlab/qa.yml` does not exist\n");
    // What `check` advises for that works.
    let check = sandbox.here(&["check"]).failure(1).stdout;
    let (_, hint) = check.split_once(".gitlab/qa.yml: it is missing").unwrap();
    let hint = hint.lines().find_map(|line| line.trim().strip_prefix("hint: ")).unwrap();
    sandbox.run("sh", &["-ec", hint]).cwd(sandbox.hello("")).success();
    let jobs = fs::read_to_string(sandbox.hello(".gitlab/qa.yml")).unwrap();
    assert!(jobs.contains("make deploy ENV=qa ") && !jobs.contains("production"), "{jobs}");
}

#[test]
fn a_hand_made_overlay_takes_nothing_from_another_one() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--context", "eu", "--replicas", "9"]).success();
    let dir = "kubernetes/overlays/qa";
    sandbox.put(&format!("{dir}/kustomization.yaml"), "namespace: hello-qa\nresources: [../../base]\n");
    let settings = format!("{dir}/environment.mk");
    sandbox.put(
        &settings,
        "NAMESPACE := hello-qa\nCONTEXT :=\nPROTECTED :=\nSECRETS := secrets/kubernetes/qa\n",
    );
    sandbox.agreed(&["env", "add", "qa"]).success().prints("context      the current one of kubectl");
    let record = sandbox.read(".makeinfra.yaml");
    let (_, entry) = record.split_once("    qa:\n").unwrap();
    assert_eq!(
        entry,
        "      namespace: hello-qa\n      protect: false\n      secrets: secrets/kubernetes/qa\n"
    );
    // A namespace that is taken is told with what to edit.
    for file in ["kustomization.yaml", "environment.mk"] {
        let text = sandbox.read(&format!("{dir}/{file}"));
        sandbox.put(&format!("kubernetes/overlays/demo/{file}"), &text);
    }
    let output = sandbox.agreed(&["env", "add", "demo"]).failure(2);
    output.says("is that of the environment `qa`").says("hint: $EDITOR kubernetes/overlays/demo/*");
}

#[test]
fn the_host_of_an_ingress_of_ones_own_changes_wherever_it_is_patched() {
    let sandbox = with_environments(&["--ingress", "hello.example.com"]);
    let ingress = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: admin}\nspec:\n  rules: [{host: admin.example.com}]\n";
    sandbox.put("kubernetes/base/admin.yaml", ingress);
    sandbox.edit("kubernetes/base/kustomization.yaml", "resources:\n", "resources:\n  - admin.yaml\n");
    let patch = "patches:\n  - target: {kind: Ingress, name: admin}\n    patch: |-\n      - op: replace\n        path: /spec/rules/0/host\n        value: staging.admin.example.com\n";
    sandbox.edit("kubernetes/overlays/staging/kustomization.yaml", "patches:\n", patch);
    sandbox.agreed(&["env", "add", "qa", "--like", "staging"]).success();
    let copy = fs::read_to_string(sandbox.hello("kubernetes/overlays/qa/kustomization.yaml")).unwrap();
    assert!(copy.contains("value: qa.admin.example.com\n"), "{copy}");
    assert!(!copy.contains("staging"), "{copy}");
}

#[test]
fn what_cannot_be_added_is_told_and_changes_nothing() {
    let sandbox = with_environments(&[]);
    let before = sandbox.tree();
    for (args, code, said) in [
        (&["staging"][..], 1, "environment `staging` exists already"),
        (&["Qa"], 2, "`NAME` must begin"),
        (&["qa", "--like", "live"], 2, "`--like` names an environment that does not exist: `live`"),
        (&["qa", "--ingress", "a.example.com"], 2, "`--ingress` is for a project with an Ingress"),
        (
            &["qa", "--namespace", "hello-staging"],
            2,
            "the namespace `hello-staging` is that of the environment `staging`",
        ),
        (&["qa", "--replicas", "-1"], 2, "`--replicas` must be"),
        (&["qa", "--context", "a b"], 2, "`--context` must be"),
    ] {
        sandbox.agreed(&[&["env", "add"], args].concat()).failure(code).says(said).says("hint: ");
        assert_eq!(sandbox.tree(), before, "{args:?}");
    }
    sandbox.put("secrets/kubernetes/qa/gitlab.secret.yaml", "mine");
    let said = "`secrets/kubernetes/qa/gitlab.secret.yaml` exists and has other content";
    sandbox.agreed(&["env", "add", "qa"]).failure(1).says(said);
    assert!(!sandbox.hello("kubernetes/overlays/qa").exists());
    sandbox.put("kubernetes/overlays/live", "a file");
    sandbox.agreed(&["env", "add", "live"]).failure(1);
    assert!(
        !sandbox.hello("secrets/kubernetes/live").exists() && !sandbox.hello(".gitlab/live.yml").exists()
    );
    // What cannot be edited for sure is not edited.
    sandbox.edit("kubernetes/overlays/staging/kustomization.yaml", "images:", "images: &images");
    sandbox
        .agreed(&["env", "add", "demo"])
        .failure(1)
        .says("cannot edit `kubernetes/overlays/staging/kustomization.yaml`");
}

#[test]
fn a_host_without_room_for_a_name_is_told() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--ingress", "hello.example.com"]).success();
    sandbox.edit("kubernetes/base/ingress.yaml", "- host: hello.example.com", "- host: \"*.example.com\"");
    sandbox.commit_all();
    sandbox
        .agreed(&["env", "add", "staging"])
        .failure(2)
        .says("`*.example.com` has no room for `staging`")
        .says("hint: makeinfra env add staging --ingress HOST");
    sandbox.agreed(&["env", "add", "staging", "--ingress", "s.example.com"]).success();
}

#[test]
fn hosts_that_both_would_serve_are_told() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--ingress", "hello.example.com"]).success();
    let more = "    - host: www.example.com\n      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: hello, port: {name: http}}}}]}\n";
    sandbox.append("kubernetes/base/ingress.yaml", more);
    sandbox.agreed(&["env", "add", "staging"]).success().prints(
        "- `kubernetes/base` has the host `www.example.com`, which staging would share: patch it in \
         `kubernetes/overlays/staging/kustomization.yaml`\n",
    );
    sandbox
        .agreed(&["env", "add", "qa", "--ingress", "hello.example.com"])
        .success()
        .says("the host `hello.example.com` is that of several Ingresses of one cluster");
}

#[test]
fn a_locked_clone_cannot_copy_the_token() {
    let sandbox = Sandbox::with_hello();
    for file in ["gitlab.secret.yaml", "kustomization.yaml"] {
        let path = format!("secrets/kubernetes/{file}");
        let blob = sandbox.git(&["cat-file", "blob", &format!("HEAD:{path}")]).success().bytes;
        fs::write(sandbox.hello(&path), blob).unwrap();
    }
    let before = sandbox.tree();
    sandbox.agreed(&["env", "add", "staging"]).failure(1).says("it is locked").says("hint: git-crypt unlock");
    assert_eq!(sandbox.tree(), before);
    sandbox.agreed(&["add", "worker", "--port", "none"]).success();
}

#[test]
fn without_a_token_there_is_none_for_the_new_one_either() {
    let sandbox = Sandbox::new();
    sandbox.new_without_token(&[]).success();
    let output = sandbox.agreed(&["env", "add", "staging"]).success();
    output.prints("token        none yet").prints("makeinfra rotate --env staging");
    assert_eq!(files_below(&sandbox.hello("secrets/kubernetes/staging")), ["kustomization.yaml"]);
    sandbox.rotate("gldt-First", &["--env", "staging"]).success();
    sandbox.commit_all();
    assert!(
        built(&sandbox, "kubernetes/overlays/staging")
            .is_none_or(|all| all.iter().any(|one| one["kind"] == "Secret"))
    );
}

#[test]
fn nothing_changes_in_the_middle_of_a_merge() {
    let sandbox = Sandbox::with_hello();
    let git = |args: &[&str]| sandbox.git(args).output();
    git(&["switch", "-qc", "other"]);
    sandbox.put("README.md", "# One\n");
    git(&["commit", "-qam", "One"]);
    git(&["switch", "-q", "-"]);
    sandbox.put("README.md", "# Two\n");
    git(&["commit", "-qam", "Two"]);
    assert_eq!(git(&["merge", "other"]).code, Some(1));
    for command in [
        &["add", "worker", "--port", "none"][..],
        &["remove", "worker"],
        &["env", "add", "staging"],
        &["env", "remove", "staging"],
    ] {
        let output = sandbox.agreed(command).failure(1);
        output.says("a merge, a rebase or a cherry-pick is in progress").says("hint: git status");
    }
}

#[test]
fn just_its_own_files_are_committed() {
    let sandbox = Sandbox::with_hello();
    sandbox.append("README.md", "staged\n");
    sandbox.git(&["add", "README.md"]).success();
    sandbox.put("mine", "untracked\n");
    sandbox
        .agreed(&["env", "add", "staging", "--commit"])
        .success()
        .prints("Add environment staging, committed as ");
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "M  README.md\n?? mine\n");
    let shown = sandbox.git(&["log", "-1", "--format=%s"]).success().stdout;
    assert_eq!(shown, "Add environment staging\n");
}

/// Does `command` in `original`, and then again after it was killed at each write.
#[track_caller]
pub fn repeated(original: &dyn Fn() -> Sandbox, command: &[&str]) {
    let done = original();
    let before = done.tree();
    let files = order(&done.here(&[command, &["--dry-run", "--json"]].concat()).success());
    done.agreed(command).success();
    let after = done.tree();
    assert_eq!(files.last().map(String::as_str), Some(".makeinfra.yaml"));
    for written in 0..=files.len() {
        let sandbox = original();
        for path in &files[..written] {
            let file = sandbox.hello(path);
            if after.contains_key(path) {
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                // With its mode, as a run writes it.
                fs::copy(done.hello(path), &file).unwrap();
            } else {
                fs::remove_file(&file).unwrap();
            }
        }
        sandbox.agreed(&[command, &["--commit"]].concat()).success();
        let found = sandbox.tree();
        assert_eq!(
            found.keys().collect::<Vec<_>>(),
            after.keys().collect::<Vec<_>>(),
            "{written}: {files:?}"
        );
        for (path, text) in found.iter().filter(|(path, _)| !path.starts_with("secrets/")) {
            let [one, two] = [text, &after[path]].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            assert_eq!(one, two, "{written}: {path}");
        }
        assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "", "{written}: {files:?}");
        assert!(before != found);
    }
}

#[test]
fn what_a_killed_run_has_left_undone_is_done_by_the_next_one() {
    let original = || {
        let sandbox = Sandbox::new();
        sandbox.new_hello(&["--ingress", "hello.example.com"]).success();
        sandbox
    };
    repeated(&original, &["env", "add", "staging"]);
    repeated(&with_database, &["env", "add", "staging", "--with-secrets"]);
}

#[test]
fn what_was_written_beside_its_place_is_swept() {
    let sandbox = Sandbox::with_hello();
    let left = "secrets/kubernetes/staging/.gitlab.secret.yaml.makeinfra-Ab12Cd34Ef56";
    sandbox.put(left, "plain");
    sandbox.agreed(&["env", "add", "staging"]).success().says("which a killed run had left behind");
    assert!(!sandbox.hello(left).exists());
}

#[test]
fn a_kill_at_any_time_can_be_repeated() {
    use std::process::Stdio;
    use std::time::{Duration, Instant};
    let begin = Instant::now();
    Sandbox::with_hello().agreed(&["env", "add", "staging"]).success();
    let whole = begin.elapsed() / 2;
    for round in 0..20 {
        let sandbox = Sandbox::with_hello();
        let mut command = sandbox.agreed(&["env", "add", "staging"]).command();
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(2) + whole * round / 20);
        child.kill().unwrap();
        child.wait().unwrap();
        sandbox.agreed(&["env", "add", "staging", "--commit"]).success();
        assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "", "{round}");
        sandbox.git(&["fsck", "--strict"]).success();
    }
}
