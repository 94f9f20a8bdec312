//! `makeinfra check` on repositories written by hand, and on malicious files.

use super::check::{check, check_in, edit};
use super::examples::repo;
use super::rotate::manifest;
use super::support::*;
use makeinfra::manifests::{Files, Manifests};
use makeinfra::work_tree::{Content, WorkTree};
use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// The pull secret of all repositories written by hand.
fn secret(namespace: &str) -> String {
    manifest("dockercfg", r#"{"registry.gitlab.com":{"auth":"dTpw"}}"#)
        .replace("namespace: hello", &format!("namespace: {namespace}"))
}

fn workload(kind: &str, spec: &str) -> String {
    format!(
        "kind: {kind}\nmetadata: {{name: app, namespace: hello}}\nspec: {}\n",
        spec.replace("POD", "{imagePullSecrets: [{name: gitlab}], containers: [{name: a, image: 'registry.gitlab.com/a/b:1'}]}")
    )
}

fn template(kind: &str) -> String {
    workload(kind, "{template: {spec: POD}}")
}

/// Checks `kubernetes/app.yaml` in a directory outside git.
#[track_caller]
fn check_file(text: impl AsRef<[u8]>) -> super::check::Checked {
    let sandbox = Sandbox::new();
    sandbox.write("work/x/secret.yaml", secret("hello"));
    sandbox.write("work/x/kubernetes/app.yaml", text);
    check_in(&sandbox, "x", &["--manifests", "kubernetes", "--secret", "secret.yaml"])
}

/// The blog post's repository: the Makefile is next to the manifests, and there is no record.
fn blog_post(sandbox: &Sandbox) {
    sandbox.run("git", &["init", "-q", "-b", "main", "hello-infra"]).success();
    for (path, text) in [
        (".gitattributes", "secrets/** filter=git-crypt diff=git-crypt\n".to_owned()),
        (
            "kubernetes/Makefile",
            "KUBECTL=kubectl\ndeploy: gitlab-secret\n\t$(KUBECTL) apply -n project -f project.yaml\ngitlab-secret:\n\t$(KUBECTL) get \
             secret gitlab -n project || $(KUBECTL) apply -f ../secrets/kubernetes/gitlab.secret.yaml\n"
                .to_owned(),
        ),
        ("kubernetes/project.yaml", template("Deployment").replace(", namespace: hello", "")),
        (SECRET, secret("project")),
    ] {
        let file = sandbox.hello(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    fs::set_permissions(sandbox.hello(SECRET), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
    sandbox.run("git-crypt", &["init"]).cwd(sandbox.hello("")).success();
    sandbox.git(&["add", "-A"]).success();
    sandbox.git(&["commit", "-q", "-m", "By hand"]).success();
}

#[test]
fn the_repository_of_the_blog_post_has_one_fault() {
    if !have("git-crypt") {
        return;
    }
    let sandbox = Sandbox::new();
    blog_post(&sandbox);
    let checked = check(&sandbox, &[]);
    assert_eq!((checked.code, checked.warnings()), (Some(0), vec!["makefile-targets"]));
    assert!(checked.messages("makefile-targets").contains("never updates an existing Secret"));
    // The mistake in the post, with kubectl 1.9.
    fs::write(
        sandbox.hello(SECRET),
        manifest("dockercfg", r#"{"auths":{"registry.gitlab.com":{"auth":"dTpw"}}}"#),
    )
    .unwrap();
    let checked = check(&sandbox, &[]);
    assert_eq!(checked.problems(), ["pull-secret-wrapping"]);
    assert!(checked.messages("pull-secret-wrapping").contains("kubectl 1.9"));
}

#[test]
fn options_name_the_files_of_any_repository() {
    let sandbox = Sandbox::new();
    sandbox.write("work/x/deploy/one/app.yaml", template("Deployment"));
    sandbox.write("work/x/deploy/two/app.yaml", template("StatefulSet"));
    sandbox.write("work/x/vault/a.yaml", secret("hello"));
    sandbox.write("work/x/vault/b.yml", secret("other"));
    let one = ["--manifests", "deploy/one", "--secret", "vault/a.yaml"];
    assert_eq!(check_in(&sandbox, "x", &one).problems(), [""; 0]);
    sandbox.run("chmod", &["600", "x/vault/a.yaml", "x/vault/b.yml"]).success();
    let checked = check_in(
        &sandbox,
        "x",
        &[&one[..], &["--manifests", "deploy/two", "--secret", "vault/b.yml"]].concat(),
    );
    assert_eq!((checked.code, checked.problems()), (Some(0), vec![]));
    assert!(checked.messages("workloads-found").contains("2 workloads"));
    // From another directory, with the same messages.
    let args = ["x", "--manifests", "x/deploy/one", "--secret", "x/vault/b.yml"];
    assert_eq!(check_in(&sandbox, ".", &args).problems(), ["pull-secret-namespace"]);
}

#[test]
fn every_kind_of_workload_counts() {
    for kind in ["Deployment", "StatefulSet", "DaemonSet", "Job", "ReplicaSet"] {
        let good = template(kind);
        assert_eq!(check_file(&good).problems(), [""; 0], "{kind}");
        let bare = good.replace("imagePullSecrets: [{name: gitlab}], ", "");
        assert!(check_file(bare).problems().contains(&"workloads-name-pull-secret"), "{kind}");
    }
    for text in [
        workload("Pod", "POD"),
        workload("CronJob", "{jobTemplate: {spec: {template: {spec: POD}}}}"),
        format!("kind: List\nitems:\n- {}", template("Deployment").replace('\n', "\n  ")),
        format!("---\n# nothing\n---\n{}---\n{}", template("Job"), template("Deployment")),
        template("Deployment").replace("containers:", "initContainers: [{image: 'registry.gitlab.com/a/init:1'}], containers:"),
        "a: &x {imagePullSecrets: [{name: gitlab}]}\nkind: Pod\nmetadata: {name: a, namespace: hello}\nspec:\n  <<: *x\n  containers: \
         [{image: 'registry.gitlab.com/a/b:1'}]\n"
            .into(),
    ] {
        assert_eq!(check_file(&text).problems(), [""; 0], "{text}");
    }
    let init = template("Deployment")
        .replace("containers:", "initContainers: [{image: 'quay.io/a/init'}], containers:");
    let checked = check_file(init);
    assert_eq!(checked.problems(), ["images-pinned", "pull-secret-matches-images"]);
}

#[test]
fn a_service_account_names_the_pull_secret_for_its_pods() {
    let bare = template("Deployment").replace("imagePullSecrets: [{name: gitlab}], ", "");
    let account = "kind: ServiceAccount\nmetadata: {name: NAME, namespace: hello}\nimagePullSecrets: [{name: gitlab}]\n";
    let with = |text: &str, name: &str| format!("{text}---\n{}", account.replace("NAME", name));
    assert_eq!(check_file(with(&bare, "default")).problems(), [""; 0]);
    let named = bare.replace("containers:", "serviceAccountName: app, containers:");
    assert_eq!(check_file(with(&named, "app")).problems(), [""; 0]);
    for text in [
        with(&bare, "app"),
        with(&bare, "default").replace("default, namespace: hello", "default, namespace: x"),
    ] {
        assert!(check_file(&text).problems().contains(&"workloads-name-pull-secret"), "{text}");
    }
    // An unknown account may have been patched in the cluster.
    let checked = check_file(with(&named, "default"));
    assert_eq!(checked.problems(), [""; 0]);
    assert_eq!(
        checked.warnings(),
        ["pull-secret-matches-images", "secrets-mode", "workloads-name-pull-secret"]
    );
}

/// The pulls, one per line, sorted.
pub fn pulls(manifests: &Manifests) -> Vec<String> {
    let mut lines: Vec<_> = manifests
        .pulls()
        .map(|pull| {
            let of = pull.workload;
            format!(
                "{} {} in {:?}: {} with {:?}",
                of.kind, of.name, pull.namespace, pull.image, pull.pull_secrets
            )
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn overlays_are_read_as_kustomize_builds_them() {
    if !have("kubectl") {
        return;
    }
    let sandbox = Sandbox::new();
    let root = repo("tests/data/kustomize");
    let tree = WorkTree::list(&root, |_| false).unwrap();
    for (overlay, number) in [("overlays/production", 7), ("overlays/staging", 6)] {
        let built = sandbox.run("kubectl", &["kustomize", overlay]).cwd(&root).success().bytes;
        let real = Files::from([("all.yaml".to_owned(), Content::Bytes(Zeroizing::new(built)))]);
        let real = pulls(&Manifests::read(&real, &[String::new()]));
        let mut files: Files =
            tree.at(overlay).map(|(path, _)| (path.to_owned(), tree.read(path))).collect();
        loop {
            let wanted = Manifests::wanted(&files);
            if wanted.is_empty() {
                break;
            }
            files.extend(wanted.into_iter().map(|path| (path.clone(), tree.read(&path))));
        }
        let ours = Manifests::read(&files, &[overlay.to_owned()]);
        assert_eq!(pulls(&ours), real, "{overlay}");
        assert_eq!((real.len(), ours.faults.len()), (number, 0), "{:?}", ours.faults);
    }
}

#[test]
fn each_overlay_is_checked_in_its_own_namespace() {
    let sandbox = Sandbox::new();
    sandbox.run("cp", &["-r", repo("tests/data/kustomize").to_str().unwrap(), "x"]).success();
    let staging = secret("shop-staging").replace("name: gitlab", "name: gitlab-staging");
    sandbox.write_private("work/x/secrets/one.yaml", secret("shop"));
    sandbox.write_private("work/x/secrets/two.yaml", secret("shop-staging"));
    sandbox.write_private("work/x/secrets/three.yaml", staging);
    let args = |last: &'static str| {
        [
            "--manifests",
            "base",
            "--manifests",
            "overlays",
            "--secret",
            "secrets/one.yaml",
            "--secret",
            "secrets/two.yaml",
            "--secret",
            last,
        ]
    };
    let checked = check_in(&sandbox, "x", &args("secrets/three.yaml"));
    assert_eq!((checked.code, checked.problems(), checked.warnings()), (Some(0), vec![], vec![]));
    assert!(checked.messages("workloads-found").contains("9 workloads with 13 images"));
    let checked = check_in(&sandbox, "x", &args("secrets/two.yaml"));
    assert_eq!(
        (checked.problems(), checked.warnings()),
        (vec![], vec!["pull-secret-matches-images", "pull-secret-name"])
    );
    assert!(checked.messages("pull-secret-name").contains("gitlab-staging"));
}

#[test]
fn what_is_more_than_a_subset_of_kustomize_is_one_warning_a_file() {
    for (field, word) in [
        ("helmCharts: []\nreplacements: []\n", "`helmCharts`, `replacements`"),
        ("patches: [{patch: 'kind: A', target: {labelSelector: a in (b)}}]\n", "`patches.target`"),
        (
            "patches: [{target: {kind: Deployment}, patch: 'x: y'}]\n",
            "neither a strategic-merge nor",
        ),
        ("components: [https://example.com/x?ref=1]\n", "a component is outside the repository"),
    ] {
        let sandbox = Sandbox::with_hello();
        edit(
            &sandbox,
            "kubernetes/overlays/production/kustomization.yaml",
            "images:\n",
            &format!("{field}images:\n"),
        );
        let checked = check(&sandbox, &[]);
        assert_eq!(
            (checked.problems(), checked.warnings()),
            (vec![], vec!["manifests-kustomize"]),
            "{field}"
        );
        let said = checked.messages("manifests-kustomize");
        assert!(said.contains(word) && said.lines().count() == 1, "{said}");
    }
}

#[test]
fn what_kustomize_refuses_is_a_problem() {
    let (base, overlay) =
        ("kubernetes/base/kustomization.yaml", "kubernetes/overlays/production/kustomization.yaml");
    for (file, old, new, word) in [
        (base, "- service.yaml", "- ../nowhere", "neither a file nor a kustomization"),
        (overlay, "newTag: \"1.0.0\"", "newTag: 1.0", "put it in quotes"),
        (overlay, "images:\n", "patches: [{path: nowhere.yaml}]\nimages:\n", "does not exist"),
        (
            overlay,
            "images:\n",
            "patches: [{patch: '{kind: Job, metadata: {name: x}}'}]\nimages:\n",
            "its kind and name",
        ),
        (base, "- service.yaml", "- ../overlays/production", "which uses it"),
        (
            base,
            "- service.yaml",
            "- service.yaml\n  - ./service.yaml",
            "Service `hello` twice, in `kubernetes/base/service.yaml`",
        ),
    ] {
        let sandbox = Sandbox::with_hello();
        edit(&sandbox, file, old, new);
        let checked = check(&sandbox, &[]);
        assert!(
            checked.problems().contains(&"manifests-kustomize"),
            "{new}: {:?}",
            checked.problems()
        );
        assert!(
            checked.messages("manifests-kustomize").contains(word),
            "{}",
            checked.messages("manifests-kustomize")
        );
    }
}

/// Nine aliases to nine aliases, and so on: a billion of the first.
fn billion_laughs() -> String {
    let mut text = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    text
}

#[test]
fn files_that_nobody_should_write_are_a_fault_and_no_panic() {
    let deep = format!("a: {}", "[".repeat(200_000));
    let wide = format!("kind: ConfigMap\ndata: {{{}}}\n", "a".repeat(5 << 20));
    for (name, text) in [
        ("odd bytes", b"\xff\xfe\x00\x01kind".to_vec()),
        ("a control character", b"kind: \x07Pod\n".to_vec()),
        ("an alias bomb", billion_laughs().into_bytes()),
        ("an alias to nothing", b"a: *b\n".to_vec()),
        ("deep nesting", deep.into_bytes()),
        ("5 MiB", wide.into_bytes()),
        ("a key twice", b"kind: Pod\nkind: Pod\n".to_vec()),
        ("a token where none belongs", format!("kind: Pod\n{TOKEN}").into_bytes()),
    ] {
        let begun = Instant::now();
        let checked = check_file(text);
        assert!(
            checked.problems().contains(&"manifests-parse"),
            "{name}: {:?}",
            checked.problems()
        );
        assert!(begun.elapsed() < Duration::from_secs(20), "{name}: {:?}", begun.elapsed());
    }
    for text in [
        "",
        "~",
        "- 1\n- 2\n",
        "text",
        "kind: [Pod]\n",
        "kind: Pod\nspec: 1\n",
        "kind: Pod\nmetadata: []\nspec: {containers: {}}",
    ] {
        let checked = check_file(text);
        assert!(
            checked.problems().contains(&"workloads-found"),
            "{text}: {:?}",
            checked.problems()
        );
    }
}

#[test]
fn kustomizations_that_grow_or_turn_in_circles_come_to_an_end() {
    let sandbox = Sandbox::new();
    sandbox.write_private("work/x/secret.yaml", secret("hello"));
    sandbox.write("work/x/kubernetes/k0/kustomization.yaml", "resources: [app.yaml]");
    sandbox.write("work/x/kubernetes/k0/app.yaml", template("Deployment"));
    for level in 1..40 {
        let text = format!("resources: [../k{0}, ../m{0}]", level - 1);
        sandbox.write(&format!("work/x/kubernetes/k{level}/kustomization.yaml"), text);
        let text = format!("resources: [../k{}]", level - 1);
        sandbox.write(&format!("work/x/kubernetes/m{}/kustomization.yaml", level - 1), text);
    }
    // The same with components, which produce nothing themselves.
    sandbox.write("work/x/kubernetes/c/kustomization.yaml", "components: [../c39]");
    for level in 0..40 {
        let below = level.max(1) - 1;
        let text = format!("kind: Component\ncomponents: [../c{below}, ../c{below}]");
        sandbox.write(&format!("work/x/kubernetes/c{level}/kustomization.yaml"), text);
    }
    sandbox.write("work/x/kubernetes/a/kustomization.yaml", "resources: [../b]");
    sandbox.write("work/x/kubernetes/b/kustomization.yaml", "resources: [../a]");
    // Nested deeper than any stack, and one file many times.
    for level in 0..12_000 {
        let text = format!("resources: [../d{}]", level + 1);
        sandbox.write(&format!("work/x/kubernetes/d{level}/kustomization.yaml"), text);
    }
    let twice = format!("resources:\n{}", "- app.yaml\n".repeat(20_000));
    sandbox.write("work/x/kubernetes/t/kustomization.yaml", twice);
    sandbox.write("work/x/kubernetes/t/app.yaml", template("Deployment"));
    let begun = Instant::now();
    let checked =
        check_in(&sandbox, "x", &["--manifests", "kubernetes", "--secret", "secret.yaml"]);
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    let said = checked.messages("manifests-kustomize");
    assert!(
        said.contains("more than 100 kustomizations") && said.contains("names `app.yaml` twice"),
        "{said}"
    );
    assert!(said.contains("which uses it") && said.contains("more than 20000 resources"), "{said}");
}

#[test]
fn links_directories_and_pipes_in_the_place_of_files() {
    let sandbox = Sandbox::with_hello();
    let outside = sandbox.write("outside.yaml", format!("kind: Secret\n{TOKEN}"));
    symlink(&outside, sandbox.hello("kubernetes/outside.yaml")).unwrap();
    symlink("nowhere", sandbox.hello("kubernetes/nowhere.yaml")).unwrap();
    symlink("base/service.yaml", sandbox.hello("kubernetes/inside.yaml")).unwrap();
    symlink(".", sandbox.hello("kubernetes/loop")).unwrap();
    sandbox.run("mkfifo", &["hello-infra/kubernetes/pipe.yaml"]).success();
    fs::create_dir(sandbox.hello("kubernetes/directory.yaml")).unwrap();
    let checked = check(&sandbox, &[]);
    assert_eq!(checked.problems(), ["manifests-parse"]);
    let said = checked.messages("manifests-parse");
    for word in [
        "outside.yaml: it is a link to a path outside",
        "nowhere.yaml: it is a broken symbolic link",
        "pipe.yaml: it is not a regular",
    ] {
        assert!(said.contains(word), "{said}");
    }
    assert_eq!(said.lines().count(), 3, "{said}");
    for file in [
        SECRET,
        "Makefile",
        ".makeinfra.yaml",
        ".gitattributes",
        "kubernetes/overlays/production/kustomization.yaml",
        "kubernetes/base/deployment.yaml",
    ] {
        let sandbox = Sandbox::with_hello();
        fs::remove_file(sandbox.hello(file)).unwrap();
        fs::create_dir(sandbox.hello(file)).unwrap();
        assert_ne!(check(&sandbox, &[]).code, Some(101), "{file}");
    }
}

#[test]
fn names_from_files_cannot_command_a_terminal_or_show_a_token() {
    let sandbox = Sandbox::with_hello();
    edit(&sandbox, "kubernetes/base/deployment.yaml", "  name: hello\n", "  name: \"\\e[2J\"\n");
    edit(&sandbox, SECRET, "  name: gitlab", &format!("  name: {TOKEN}"));
    edit(
        &sandbox,
        "kubernetes/overlays/production/kustomization.yaml",
        "namespace: hello",
        &format!("namespace: {TOKEN}"),
    );
    let output = sandbox.makeinfra(&["check", "hello-infra"]).failure(1);
    assert!(!output.stdout.contains('\u{1b}'), "{:?}", output.stdout);
}
