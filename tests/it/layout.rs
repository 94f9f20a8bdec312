//! The layout of a generated repository: every path with its mode, and which file determines what.

use super::support::*;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// `makeinfra new`, with a token.
pub const DEFAULT: &str = "\
100644 .gitattributes
100755 .githooks/pre-commit
100644 .gitignore
100644 .gitlab-ci.yml
100644 .gitlab/production.yml
100644 .makeinfra.schema.json
100644 .makeinfra.yaml
100644 Makefile
100644 README.md
100644 kubernetes/base/deployment.yaml
100644 kubernetes/base/kustomization.yaml
100644 kubernetes/base/service.yaml
100644 kubernetes/overlays/production/environment.mk
100644 kubernetes/overlays/production/kustomization.yaml
100644 kubernetes/overlays/production/namespace.yaml
100644 scripts/deploy.sh
100644 secrets/kubernetes/gitlab.secret.yaml
100644 secrets/kubernetes/kustomization.yaml
";

/// `makeinfra new --no-token`.
pub const WITHOUT_TOKEN: &str = "\
100644 .gitattributes
100755 .githooks/pre-commit
100644 .gitignore
100644 .gitlab-ci.yml
100644 .gitlab/production.yml
100644 .makeinfra.schema.json
100644 .makeinfra.yaml
100644 Makefile
100644 README.md
100644 kubernetes/base/deployment.yaml
100644 kubernetes/base/kustomization.yaml
100644 kubernetes/base/service.yaml
100644 kubernetes/overlays/production/environment.mk
100644 kubernetes/overlays/production/kustomization.yaml
100644 kubernetes/overlays/production/namespace.yaml
100644 scripts/deploy.sh
100644 secrets/kubernetes/kustomization.yaml
";

/// `makeinfra new --env staging --env production`.
const TWO_ENVIRONMENTS: &str = "\
100644 .gitattributes
100755 .githooks/pre-commit
100644 .gitignore
100644 .gitlab-ci.yml
100644 .gitlab/production.yml
100644 .gitlab/staging.yml
100644 .makeinfra.schema.json
100644 .makeinfra.yaml
100644 Makefile
100644 README.md
100644 kubernetes/base/deployment.yaml
100644 kubernetes/base/kustomization.yaml
100644 kubernetes/base/service.yaml
100644 kubernetes/overlays/production/environment.mk
100644 kubernetes/overlays/production/kustomization.yaml
100644 kubernetes/overlays/production/namespace.yaml
100644 kubernetes/overlays/staging/environment.mk
100644 kubernetes/overlays/staging/kustomization.yaml
100644 kubernetes/overlays/staging/namespace.yaml
100644 scripts/deploy.sh
100644 secrets/kubernetes/production/gitlab.secret.yaml
100644 secrets/kubernetes/production/kustomization.yaml
100644 secrets/kubernetes/staging/gitlab.secret.yaml
100644 secrets/kubernetes/staging/kustomization.yaml
";

/// The paths of a layout.
pub fn paths(layout: &str) -> Vec<String> {
    layout.lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
}

/// The files of the work tree, with git's modes.
fn on_disk(sandbox: &Sandbox) -> String {
    let line = |path: String| {
        let mode = fs::symlink_metadata(sandbox.hello(&path)).unwrap().permissions().mode();
        format!("{} {path}\n", if mode & 0o111 == 0 { "100644" } else { "100755" })
    };
    files_below(&sandbox.work("hello-infra")).into_iter().map(line).collect()
}

/// The files of the first commit, with their modes.
fn in_git(sandbox: &Sandbox) -> String {
    let tree =
        sandbox.git(&["ls-tree", "-r", "--format=%(objectmode) %(path)", "HEAD"]).success().stdout;
    assert_eq!(sandbox.git(&["status", "--porcelain", "--ignored"]).success().stdout, "");
    tree
}

/// The objects that a directory of the generated repository builds.
fn build(sandbox: &Sandbox, dir: &str) -> Vec<Value> {
    let built = sandbox.run("kubectl", &["kustomize", dir]).cwd(sandbox.hello("")).success().stdout;
    serde_yaml::Deserializer::from_str(&built)
        .map(|document| serde::Deserialize::deserialize(document).unwrap())
        .collect()
}

/// The only object of a kind among built ones.
#[track_caller]
fn only<'v>(objects: &'v [Value], kind: &str) -> &'v Value {
    let found: Vec<_> = objects.iter().filter(|object| object["kind"] == kind).collect();
    assert_eq!(found.len(), 1, "{kind}: {objects:?}");
    found[0]
}

fn overlay(name: &str) -> String {
    format!("kubernetes/overlays/{name}")
}

#[test]
fn one_environment_is_called_production_and_has_its_secrets_in_the_posts_own_place() {
    let sandbox = Sandbox::with_hello();
    assert_eq!(on_disk(&sandbox), DEFAULT);
    assert_eq!(in_git(&sandbox), DEFAULT);
    let settings =
        fs::read_to_string(sandbox.hello("kubernetes/overlays/production/environment.mk")).unwrap();
    let settings: Vec<_> = settings.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(
        settings,
        ["NAMESPACE := hello", "CONTEXT   :=", "PROTECTED :=", "SECRETS   := secrets/kubernetes"]
    );
}

#[test]
fn several_environments_have_their_own_namespaces_and_secrets_and_production_is_protected() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--env", "staging", "--env", "production"]).success();
    assert_eq!(on_disk(&sandbox), TWO_ENVIRONMENTS);
    assert_eq!(in_git(&sandbox), TWO_ENVIRONMENTS);
    for (name, protected) in [("staging", "PROTECTED :="), ("production", "PROTECTED := yes")] {
        let settings =
            fs::read_to_string(sandbox.hello(&overlay(name)).join("environment.mk")).unwrap();
        for line in [
            &format!("NAMESPACE := hello-{name}"),
            protected,
            &format!("SECRETS   := secrets/kubernetes/{name}"),
        ] {
            assert!(settings.lines().any(|found| found == line), "{line}: {settings}");
        }
    }
}

#[test]
fn a_single_named_environment_is_laid_out_like_one_of_several() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--env", "production"]).success();
    let expected = TWO_ENVIRONMENTS.lines().filter(|line| !line.contains("staging"));
    assert_eq!(on_disk(&sandbox).lines().collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    let settings =
        fs::read_to_string(sandbox.hello("kubernetes/overlays/production/environment.mk")).unwrap();
    assert!(settings.contains("NAMESPACE := hello-production\n"), "{settings}");
    assert!(settings.contains("PROTECTED := yes\n"), "{settings}");
}

#[test]
fn without_a_token_only_the_pull_secret_is_missing() {
    let sandbox = Sandbox::new();
    sandbox.new_without_token(&[]).success();
    assert_eq!(on_disk(&sandbox), WITHOUT_TOKEN);
    assert_eq!(in_git(&sandbox), WITHOUT_TOKEN);
    // kustomize fails on an empty kustomization, but not on an empty list.
    let text = fs::read_to_string(sandbox.hello("secrets/kubernetes/kustomization.yaml")).unwrap();
    assert!(text.ends_with("\nresources: []\n"), "{text}");
    if have("kubectl") {
        build(&sandbox, &overlay("production"));
    }
}

#[test]
fn without_git_the_files_are_the_same() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--no-git"]).success();
    assert_eq!(on_disk(&sandbox), DEFAULT);
    assert!(!sandbox.hello(".git").exists());
    let with_git = Sandbox::with_hello();
    for path in paths(DEFAULT) {
        assert_eq!(
            fs::read(sandbox.hello(&path)).unwrap(),
            fs::read(with_git.hello(&path)).unwrap(),
            "{path}"
        );
    }
}

#[test]
fn without_a_pipeline_there_is_no_file_of_one() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--ci", "none"]).success();
    let expected: Vec<_> = DEFAULT.lines().filter(|line| !line.contains(".gitlab")).collect();
    assert_eq!(in_git(&sandbox).lines().collect::<Vec<_>>(), expected);
}

#[test]
fn the_pull_secret_has_the_posts_type_unless_another_is_asked_for() {
    for (args, kind, key) in [
        (&[][..], "kubernetes.io/dockercfg", ".dockercfg"),
        (&["--secret-type", "dockercfg"], "kubernetes.io/dockercfg", ".dockercfg"),
        (
            &["--secret-type", "dockerconfigjson"],
            "kubernetes.io/dockerconfigjson",
            ".dockerconfigjson",
        ),
    ] {
        let sandbox = Sandbox::new();
        sandbox.new_hello(args).success();
        let text = fs::read_to_string(sandbox.hello(SECRET)).unwrap();
        let secret: Value = serde_yaml::from_str(&text).unwrap();
        assert_eq!(secret["type"], kind, "{args:?}");
        assert_eq!(
            secret["data"].as_object().unwrap().keys().collect::<Vec<_>>(),
            [key],
            "{args:?}"
        );
        // The overlay sets its namespace, and `make gitlab-secret` finds it by its label.
        assert_eq!(secret["metadata"].get("namespace"), None);
        assert_eq!(secret["metadata"]["labels"]["app.kubernetes.io/component"], "pull-secret");
    }
}

#[test]
fn the_base_builds_without_the_key() {
    if !have("kubectl") {
        return;
    }
    let sandbox = Sandbox::with_hello();
    let unlocked = build(&sandbox, "kubernetes/base");
    let kinds: Vec<_> = unlocked.iter().map(|object| object["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["Service", "Deployment"]);
    // A new clone is locked: the base can be built in it, the overlay cannot.
    let url = format!("file://{}", sandbox.hello("").display());
    sandbox.run("git", &["clone", "-q", &url, "clone"]).success();
    let kustomize =
        |dir: &str| sandbox.run("kubectl", &["kustomize", dir]).cwd(sandbox.work("clone")).output();
    assert_eq!(kustomize(&overlay("production")).code, Some(1));
    let locked = kustomize("kubernetes/base");
    assert_eq!((locked.code, locked.stderr.as_str()), (Some(0), ""));
    let whole =
        sandbox.run("kubectl", &["kustomize", "kubernetes/base"]).cwd(sandbox.hello("")).success();
    assert_eq!(locked.stdout, whole.stdout);
}

#[test]
fn an_overlay_says_only_what_differs_from_the_base() {
    if !have("kubectl") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox
        .new_hello(&["--env", "staging", "--env", "production", "--ingress", "hello.example.com"])
        .success();
    sandbox.edit("kubernetes/base/deployment.yaml", "replicas: 2", "replicas: 5");
    sandbox.edit("kubernetes/base/deployment.yaml", "memory: ", "memory: 7");
    sandbox.edit(
        "kubernetes/base/ingress.yaml",
        "host: hello.example.com",
        "host: hello.example.org",
    );
    let base = build(&sandbox, "kubernetes/base");
    let container = "/spec/template/spec/containers/0";
    for (name, host) in
        [("staging", "staging.hello.example.com"), ("production", "hello.example.org")]
    {
        let built = build(&sandbox, &overlay(name));
        let deployment = only(&built, "Deployment");
        assert_eq!(deployment["spec"]["replicas"], 5, "{name}");
        let resources = |objects: &[Value]| {
            only(objects, "Deployment").pointer(&format!("{container}/resources")).unwrap().clone()
        };
        assert_eq!(resources(&built), resources(&base), "{name}");
        // Its own host is what differs.
        assert_eq!(only(&built, "Ingress").pointer("/spec/rules/0/host").unwrap(), host, "{name}");
        // The overlay sets the tag, as a comment in the base says.
        assert_eq!(deployment.pointer(&format!("{container}/image")).unwrap(), IMAGE, "{name}");
        for object in &built {
            let labels = &object["metadata"]["labels"];
            assert_eq!(object["metadata"]["namespace"], format!("hello-{name}"), "{object}");
            assert_eq!(
                (&labels["makeinfra/project"], &labels["makeinfra/environment"]),
                (&Value::from("hello"), &Value::from(name))
            );
        }
        // Our labels are only in metadata: in a selector or a template they would be immutable.
        assert!(!deployment["spec"].to_string().contains("makeinfra/"), "{name}");
    }
    let image = fs::read_to_string(sandbox.hello("kubernetes/base/deployment.yaml")).unwrap();
    let image = image.lines().find(|line| line.contains("image: ")).unwrap();
    assert!(image.contains("overlays/"), "no word on where the tag is: {image}");
}

#[test]
fn two_fresh_environments_differ_in_values_alone() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--env", "staging", "--env", "production"]).success();
    for file in [
        "kubernetes/overlays/ENV/kustomization.yaml",
        "kubernetes/overlays/ENV/environment.mk",
        "kubernetes/overlays/ENV/namespace.yaml",
        "secrets/kubernetes/ENV/kustomization.yaml",
        "secrets/kubernetes/ENV/gitlab.secret.yaml",
    ] {
        let [staging, production] = ["staging", "production"]
            .map(|name| {
                (name, fs::read_to_string(sandbox.hello(&file.replace("ENV", name))).unwrap())
            })
            .map(|(name, text)| {
                for line in text.lines() {
                    let comment = line
                        .trim_start()
                        .strip_prefix('#')
                        .or(line.split_once(" #").map(|(_, c)| c));
                    assert!(
                        !comment.is_some_and(|comment| comment.contains(name)),
                        "{file}: {line}"
                    );
                }
                text.replace(name, "ENV").replace("PROTECTED := yes", "PROTECTED :=")
            });
        assert_eq!(staging, production, "{file}");
    }
}
