//! Local edits of manifests keep their meaning when something is added or removed: everything
//! deployed stays the same, apart from what is new.

use super::add::WORKER;
use super::environments::built;
use super::support::{Output, Sandbox};
use serde_json::Value;
use std::fs;

const DEPLOYMENT: &str = "kubernetes/base/deployment.yaml";
const INGRESS: &str = "kubernetes/base/ingress.yaml";
const BASE: &str = "kubernetes/base/kustomization.yaml";
const PRODUCTION: &str = "kubernetes/overlays/production/kustomization.yaml";
const STAGING: &str = "kubernetes/overlays/staging/kustomization.yaml";
const TWO: [&str; 4] = ["--env", "staging", "--env", "production"];
const SAME_IMAGE: &[&str] = &["add", "worker", "--port", "none"];
const OVERLAYS: [&str; 2] = ["kubernetes/overlays/staging", "kubernetes/overlays/production"];
const ENTRY: &str = "images:\n  - name: registry.gitlab.com/group/hello\n    newTag: \"1.0.0\"\n";

/// Edits of a file: its path, the text to replace (empty: append), and the new text.
type Edits<'e> = &'e [(&'e str, &'e str, &'e str)];

fn edited(new: &[&str], edits: Edits) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.new_hello(new).success();
    for (path, from, to) in edits {
        if from.is_empty() {
            sandbox.append(path, to);
        } else {
            sandbox.edit(path, from, to);
        }
    }
    sandbox.commit_all();
    sandbox
}

fn run(sandbox: &Sandbox, command: &[&str]) -> Output {
    sandbox.agreed(command).output()
}

/// Adds, and expects everything in `dirs` unchanged, plus the worker; and everything as before once
/// that is removed.
#[track_caller]
fn adds(new: &[&str], edits: Edits, command: &[&str], dirs: &[&str]) -> Sandbox {
    let sandbox = edited(new, edits);
    let before: Vec<_> = dirs.iter().map(|dir| built(&sandbox, dir)).collect();
    let tree = sandbox.tree();
    let output = run(&sandbox, &[command, &["--commit"]].concat());
    assert_eq!(output.code, Some(0), "{edits:?}\n{}{}", output.stdout, output.stderr);
    for (dir, before) in dirs.iter().zip(before) {
        let (Some(before), Some(after)) = (before, built(&sandbox, dir)) else { continue };
        let is_new = |one: &&Value| one["metadata"]["name"] == "worker";
        let old: Vec<_> = after.iter().filter(|one| !is_new(one)).cloned().collect();
        assert_eq!(old, before, "{edits:?}, {dir}");
        let new: Vec<_> = after.iter().filter(is_new).collect();
        assert!(
            !new.is_empty() && new.iter().all(|one| has_tag(one)),
            "{edits:?}, {dir}: {new:#?}"
        );
    }
    let output = run(&sandbox, &["remove", "worker", "--commit"]);
    assert_eq!(output.code, Some(0), "{edits:?}\n{}{}", output.stdout, output.stderr);
    for (path, text) in &sandbox.tree() {
        // After the removal, a tag that was given to a list for both stays a tag.
        let same = tree.get(path) == Some(text) || edits.iter().any(|(file, _, _)| file == path);
        assert!(same, "{edits:?}, {path}:\n{}", String::from_utf8_lossy(text));
    }
    sandbox
}

fn has_tag(object: &Value) -> bool {
    let image = &object["spec"]["template"]["spec"]["containers"][0]["image"];
    image.as_str().is_none_or(|image| image.rsplit('/').next().unwrap().contains(':'))
}

/// Expects that nothing is written, and that the conflicting file is named.
#[track_caller]
fn stops(new: &[&str], edits: Edits, command: &[&str], file: &str) {
    let sandbox = edited(new, edits);
    let output = run(&sandbox, command);
    assert_eq!(output.code, Some(1), "{edits:?}\n{}{}", output.stdout, output.stderr);
    output.says(&format!("cannot edit `{file}`")).says("hint: ");
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "", "{edits:?}");
}

#[test]
fn each_environment_keeps_its_tag_its_numbers_and_its_host() {
    let host = [&TWO[..], &["--ingress", "hello.example.com", "--tls"]].concat();
    for command in [WORKER, SAME_IMAGE] {
        for edits in [
            &[(STAGING, "newTag: \"1.0.0\"", "newTag: \"1.1.0\"")][..],
            &[(PRODUCTION, "", "replicas:\n  - {name: hello, count: 6}\n")],
            &[
                (DEPLOYMENT, "memory: 256Mi", "memory: 2Gi"),
                (DEPLOYMENT, "replicas: 2", "replicas: 9"),
            ],
            &[(BASE, "", "labels:\n  - pairs: {team: x}\n")],
        ] {
            adds(&TWO, edits, command, &OVERLAYS);
        }
        for edits in [
            &[(STAGING, "value: staging.hello.example.com", "value: www.example.com")][..],
            &[(INGRESS, "- host: hello.example.com", "- host: www.example.com")],
        ] {
            adds(&host, edits, command, &OVERLAYS);
        }
    }
}

#[test]
fn what_was_added_to_or_taken_from_a_kustomization_stays_so() {
    let patch = "patches:\n  - target: {kind: Deployment, name: hello}\n    patch: |-\n      - op: add\n        path: /spec/paused\n        value: false\n";
    for edits in [
        &[(PRODUCTION, "", "replicas:\n  - name: hello\n    count: 5\n")][..],
        &[(PRODUCTION, "", patch)],
        &[(BASE, "", patch)],
        &[(BASE, "  - service.yaml\n", "")],
        &[(PRODUCTION, "newTag: \"1.0.0\"", "newTag: 2.0.0  # tested")],
        &[(BASE, "  - deployment.yaml\n  - service.yaml", "- service.yaml\n- deployment.yaml")],
        // The name of the image has changed.
        &[
            (DEPLOYMENT, "registry.gitlab.com/group/hello", "registry.gitlab.com/team/hello"),
            (PRODUCTION, "registry.gitlab.com/group/hello", "registry.gitlab.com/team/hello"),
        ],
        &[(DEPLOYMENT, "replicas: 2\n  revision", "revision")],
        &[(DEPLOYMENT, "        - name: hello\n", "        - name: app\n")],
    ] {
        for command in [WORKER, SAME_IMAGE] {
            adds(&[], edits, command, &OVERLAYS[1..]);
        }
    }
    let renamed = [(
        DEPLOYMENT,
        "image: registry.gitlab.com/group/hello ",
        "image: registry.gitlab.com/team/hello ",
    )];
    let output = run(&edited(&[], &renamed), SAME_IMAGE);
    assert_eq!(output.code, Some(2), "{}", output.stdout);
    output.says("do not contain the image of `hello`").says("hint: makeinfra add worker --image");
}

#[test]
fn what_cannot_be_told_apart_stops_it() {
    let flow = (
        BASE,
        "resources:\n  - deployment.yaml\n  - service.yaml\n",
        "resources: [deployment.yaml, service.yaml]\n",
    );
    stops(&[], &[flow], WORKER, BASE);
    stops(&[], &[(BASE, "", "---\nkind: ConfigMap\n")], WORKER, BASE);
    stops(&[], &[(PRODUCTION, "images:", "images: &images")], WORKER, PRODUCTION);
}

#[test]
fn wherever_the_tag_of_an_environment_stands_it_stays() {
    let inline = (
        DEPLOYMENT,
        "image: registry.gitlab.com/group/hello ",
        "image: registry.gitlab.com/group/hello:2.0.0 ",
    );
    let shared =
        (BASE, "", "images:\n  - name: registry.gitlab.com/group/hello\n    newTag: \"5\"\n");
    for edits in [
        &[inline, (STAGING, ENTRY, ""), (PRODUCTION, ENTRY, "")][..],
        &[shared, (STAGING, ENTRY, ""), (PRODUCTION, ENTRY, "")],
        &[shared, (STAGING, ENTRY, "")],
    ] {
        let sandbox = edited(&TWO, edits);
        let before = OVERLAYS.map(|dir| built(&sandbox, dir));
        let output = run(&sandbox, SAME_IMAGE);
        assert_eq!(output.code, Some(0), "{edits:?}\n{}", output.stderr);
        for (dir, before) in OVERLAYS.iter().zip(before) {
            let (Some(before), Some(after)) = (before, built(&sandbox, dir)) else { return };
            let image = |objects: &[Value], name: &str| {
                let object = objects
                    .iter()
                    .find(|one| one["kind"] == "Deployment" && one["metadata"]["name"] == name);
                object.unwrap()["spec"]["template"]["spec"]["containers"][0]["image"].clone()
            };
            assert_eq!(image(&after, "hello"), image(&before, "hello"), "{edits:?}, {dir}");
            assert_eq!(image(&after, "worker"), image(&before, "hello"), "{edits:?}, {dir}");
        }
    }
}

#[test]
fn a_tag_that_a_kustomization_has_for_an_image_is_the_only_one() {
    let sidecar = "      containers:\n        - {name: proxy, image: docker.io/envoy}\n";
    let edits = [
        (DEPLOYMENT, "      containers:\n", sidecar),
        (PRODUCTION, "images:\n", "images:\n  - {name: docker.io/envoy, newTag: \"1.30\"}\n"),
    ];
    let sandbox = edited(&[], &edits);
    let output = run(&sandbox, &["add", "gateway", "--image", "docker.io/envoy:2.0"]);
    assert_eq!(output.code, Some(1), "{}", output.stdout);
    output.says("`docker.io/envoy` uses another tag").says(&format!("`{PRODUCTION}` sets the tag"));
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
    adds(
        &[],
        &edits,
        &["add", "worker", "--port", "none", "--image", "docker.io/envoy:1.30"],
        &OVERLAYS[1..],
    );
}

#[test]
fn the_record_may_be_written_by_hand() {
    for (from, to) in [
        ("version: \"", "version:   \""),
        ("  ci: gitlab\n", "  ci: gitlab  # not yet\n  email: ops@example.com\n"),
        ("template:", "owner: team-a\ntemplate:"),
        ("  project: hello\n", "  # Ask ops first.\n  project: hello\n"),
        ("      namespace: hello\n", "      # Ours.\n      namespace: hello  # forever\n"),
    ] {
        let sandbox =
            edited(&[], &[(".makeinfra.yaml", from, to), (".makeinfra.yaml", "", "team: b\n")]);
        for command in [SAME_IMAGE, &["env", "add", "staging"]] {
            let output = run(&sandbox, &[command, &["--commit"]].concat());
            assert_eq!(output.code, Some(0), "{to}\n{}{}", output.stdout, output.stderr);
        }
        let text = sandbox.read(".makeinfra.yaml");
        assert!(
            text.contains("    worker:") && text.contains("    staging:") && text.contains(to),
            "{text}"
        );
        assert!(text.ends_with("team: b\n"), "{text}");
        let before = sandbox.git(&["show", "HEAD~2:.makeinfra.yaml"]).success().stdout;
        for command in
            [&["env", "remove", "staging", "--commit"], &["remove", "worker", "--commit", "--yes"]]
        {
            let output = sandbox.here(&[&command[..], &["--no-input"]].concat()).output();
            assert_eq!(output.code, Some(0), "{to}\n{}{}", output.stdout, output.stderr);
        }
        assert_eq!(sandbox.read(".makeinfra.yaml"), before);
    }
}

#[test]
fn what_to_type_next_is_for_the_repository_that_was_named() {
    for command in [WORKER, &["env", "add", "staging"]] {
        let sandbox = Sandbox::with_hello();
        let other = sandbox.work("other");
        sandbox.run("git", &["init", "-q", "other"]).success();
        let args = [command, &["../hello-infra", "--no-input", "--json"]].concat();
        let found = sandbox.makeinfra(&args).cwd(&other).success().json();
        let next: Vec<_> =
            found["next"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
        let commit = next.iter().find(|one| one.contains("commit")).unwrap();
        sandbox.run("sh", &["-c", commit]).cwd(&other).success();
        assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "", "{next:?}");
        let deploy = next.iter().find(|one| one.contains(" deploy")).unwrap();
        assert!(
            deploy.starts_with("make -C /") && deploy.contains("/hello-infra deploy"),
            "{deploy}"
        );
    }
}

#[test]
fn what_is_not_deployed_is_in_nobodys_way() {
    let sandbox = Sandbox::with_hello();
    sandbox.put("kubernetes/examples/x.yaml", "kind: Deployment\nmetadata:\n  name: worker\n");
    fs::write(sandbox.hello("kubernetes/base/latin.yaml"), b"a: \"\xe9\"\n").unwrap();
    sandbox.put("kubernetes/base/crds.yaml", &"# large\n".repeat(600_000));
    sandbox.edit(BASE, "resources:\n", "resources:\n  - crds.yaml\n  - latin.yaml\n");
    sandbox.commit_all();
    for command in
        [WORKER, &["env", "add", "staging"], &["remove", "worker"], &["env", "remove", "staging"]]
    {
        let output = run(&sandbox, &[command, &["--commit"]].concat());
        assert_eq!(output.code, Some(0), "{command:?}: {}", output.stderr);
    }
}

#[test]
fn a_host_of_several_ingresses_is_a_warning() {
    let said = "several Ingresses in the same cluster have the host `hello.example.com`: ";
    let both = [&TWO[..], &["--protect", "staging", "--ingress", "hello.example.com"]].concat();
    let sandbox = Sandbox::new();
    sandbox
        .new_hello(&both)
        .success()
        .says(&format!("{said}hello in staging, hello in production"));
    let apart = [&both[..], &["--context", "staging=a", "--context", "production=b"]].concat();
    assert_eq!(Sandbox::new().new_hello(&apart).success().stderr, "");
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.new_hello(&["--ingress", "hello.example.com"]).success().stderr, "");
    run(&sandbox, &["add", "api", "--ingress", "hello.example.com"])
        .says(&format!("{said}hello, api"));
}

/// Common edits of manifests, which are independent of each other.
const EDITS: [(&str, &str, &str); 22] = [
    (DEPLOYMENT, "replicas: 2", "replicas: 6"),
    (DEPLOYMENT, "  replicas: 2\n", ""),
    (DEPLOYMENT, "memory: 256Mi", "memory: \"3Gi\""),
    (
        DEPLOYMENT,
        "      containers:\n",
        "      containers:\n        - {name: proxy, image: envoy:1}\n",
    ),
    (DEPLOYMENT, "          ports:\n", "          env: [{name: A, value: b}]\n          ports:\n"),
    (DEPLOYMENT, "---\n", "# Ours.\n---\n"),
    (DEPLOYMENT, "spec:\n", "  annotations: {team: x}\nspec:\n"),
    ("kubernetes/base/service.yaml", "port: 80", "port: 8000"),
    (INGRESS, "- host: hello.example.com", "- host: www.example.com"),
    (INGRESS, "        - hello.example.com", "        - www.example.com"),
    (INGRESS, "  rules:\n", "  ingressClassName: nginx\n  rules:\n"),
    (PRODUCTION, "newTag: \"1.0.0\"", "newTag: 2.0.0  # tested"),
    (PRODUCTION, "", "commonAnnotations: {team: x}\n"),
    (PRODUCTION, "", "replicas:\n  - name: hello\n    count: 4 # enough\n"),
    (PRODUCTION, "", "# The end.\n"),
    (PRODUCTION, "images:\n", "images:\n  - {name: envoy, newTag: \"2\"}\n"),
    (PRODUCTION, "---\n", ""),
    (BASE, "  - service.yaml\n", "  - service.yaml\n  - budget.yaml\n"),
    (BASE, "", "labels:\n  - pairs: {team: x}\n"),
    (BASE, "resources:\n", "# Ours.\nresources:\n"),
    (
        "kubernetes/overlays/production/namespace.yaml",
        "kind: Namespace\n",
        "kind: Namespace\n# Ours.\n",
    ),
    (".makeinfra.yaml", "  environments:\n", "  # Ours.\n  environments:\n"),
];

#[test]
fn any_two_edits_stay_in_force() {
    let budget = "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: hello}\nspec: {minAvailable: 1, selector: {matchLabels: {app.kubernetes.io/name: hello}}}\n";
    let original = Sandbox::new();
    original.new_hello(&["--ingress", "hello.example.com", "--tls"]).success();
    fs::write(original.hello("kubernetes/base/budget.yaml"), budget).unwrap();
    let pairs = (0..EDITS.len())
        .flat_map(|one| (one + 1..EDITS.len()).map(move |two| [EDITS[one], EDITS[two]]));
    let mut done = 0;
    // Every eighth pair is enough for one run.
    for edits in pairs.step_by(8) {
        let sandbox = Sandbox::new();
        let [from, to] =
            [original.work("hello-infra"), sandbox.work("")].map(|path| path.display().to_string());
        sandbox.run("cp", &["-a", "--", &from, &to]).success();
        let mut applied = true;
        for (path, from, to) in edits {
            let text = sandbox.read(path);
            applied &= text.contains(from);
            let text = if from.is_empty() { text + to } else { text.replacen(from, to, 1) };
            sandbox.put(path, &text);
        }
        // One edit may have removed what the other one would change.
        if !applied {
            continue;
        }
        let Some(before) = built(&sandbox, OVERLAYS[1]) else { return };
        sandbox.commit_all();
        for command in [SAME_IMAGE, WORKER, &["env", "add", "staging"]] {
            let output = run(&sandbox, command);
            assert_eq!(output.code, Some(0), "{edits:?}, {command:?}\n{}", output.stderr);
            let after = built(&sandbox, OVERLAYS[1]).unwrap();
            let old: Vec<_> =
                after.into_iter().filter(|one| one["metadata"]["name"] != "worker").collect();
            assert_eq!(old, before, "{edits:?}, {command:?}");
            if command[0] == "env" {
                // The new environment has all of it, too.
                let found = built(&sandbox, OVERLAYS[0]).unwrap();
                let plain = |all: &[Value]| {
                    Value::from(all)
                        .to_string()
                        .replace("hello-staging", "hello")
                        .replace("\"staging\"", "\"production\"")
                };
                let hosts = |text: String| {
                    text.replace("staging.hello.example", "hello.example")
                        .replace("staging.www.example", "www.example")
                        .replace("www.example", "hello.example")
                };
                assert_eq!(hosts(plain(&found)), hosts(plain(&before)), "{edits:?}");
            }
            sandbox.git(&["reset", "-q", "--hard"]).success();
            sandbox.git(&["clean", "-qfd"]).success();
            done += 1;
        }
    }
    assert!(done > 60, "{done}");
}
