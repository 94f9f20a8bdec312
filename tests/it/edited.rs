//! What people have changed in manifests stays as they meant it, whatever is added: what goes to the cluster is the same
//! as before, and what is new beside it.

use super::environments::built;
use super::support::{Output, Sandbox};
use serde_json::Value;
use std::fs;

const DEPLOYMENT: &str = "kubernetes/base/deployment.yaml";
const KUSTOMIZATION: &str = "kubernetes/overlays/production/kustomization.yaml";
const PRODUCTION: &str = "kubernetes/overlays/production/kustomization.yaml";
const STAGING: &str = "kubernetes/overlays/staging/kustomization.yaml";
const TWO: [&str; 4] = ["--env", "staging", "--env", "production"];
const WORKER: &[&str] = &["add", "worker", "--port", "none", "--image", "registry.gitlab.com/group/worker:3"];
const SAME_IMAGE: &[&str] = &["add", "worker", "--port", "none"];

/// Edits of a file: its path, what is replaced (nothing: it is added at the end), and by what.
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
    sandbox.git(&["commit", "-qam", "Edit"]).success();
    sandbox
}

fn run(sandbox: &Sandbox, command: &[&str]) -> Output {
    sandbox.makeinfra(&[command, &["--no-input"]].concat()).cwd(sandbox.work("hello-infra")).output()
}

/// Adds, and expects in `dirs` all that was there, as it was, and the worker.
#[track_caller]
fn adds(new: &[&str], edits: Edits, command: &[&str], dirs: &[&str]) -> Sandbox {
    let sandbox = edited(new, edits);
    let before: Vec<_> = dirs.iter().map(|dir| built(&sandbox, dir)).collect();
    let output = run(&sandbox, command);
    assert_eq!(output.code, Some(0), "{edits:?}\n{}{}", output.stdout, output.stderr);
    for (dir, before) in dirs.iter().zip(before) {
        let (Some(before), Some(after)) = (before, built(&sandbox, dir)) else { continue };
        let is_new = |one: &&Value| one["metadata"]["name"] == "worker";
        let old: Vec<_> = after.iter().filter(|one| !is_new(one)).cloned().collect();
        assert_eq!(old, before, "{edits:?}, {dir}");
        let new: Vec<_> = after.iter().filter(is_new).collect();
        assert!(!new.is_empty() && new.iter().all(|one| has_tag(one)), "{edits:?}, {dir}: {new:#?}");
    }
    sandbox
}

fn has_tag(object: &Value) -> bool {
    let image = &object["spec"]["template"]["spec"]["containers"][0]["image"];
    image.as_str().is_none_or(|image| image.rsplit('/').next().unwrap().contains(':'))
}

/// Expects that nothing is written, and that the change is told.
#[track_caller]
fn stops(new: &[&str], edits: Edits, command: &[&str], file: &str) {
    let sandbox = edited(new, edits);
    let output = run(&sandbox, command);
    assert_eq!(output.code, Some(1), "{edits:?}\n{}{}", output.stdout, output.stderr);
    output.says(&format!("`{file}`: it was edited")).prints("\n+");
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "", "{edits:?}");
}

#[test]
fn each_environment_keeps_its_tag_its_numbers_and_its_host() {
    let overlays = ["kubernetes/overlays/staging", "kubernetes/overlays/production"];
    let host = [&TWO[..], &["--ingress", "hello.example.com", "--tls"]].concat();
    for command in [WORKER, SAME_IMAGE] {
        for edits in [
            &[(STAGING, "newTag: \"1.0.0\"", "newTag: \"1.1.0\"")][..],
            &[(PRODUCTION, "newTag: \"1.0.0\"", "newTag: \"0.9.0\"")],
            &[(PRODUCTION, "memory: 256Mi", "memory: 1Gi"), (STAGING, "count: 1", "count: 3")],
            &[(PRODUCTION, "count: 2", "count: 6")],
            // It has no effect while the overlays say otherwise.
            &[("kubernetes/base/deployment.yaml", "memory: 256Mi", "memory: 2Gi")],
            &[("kubernetes/base/deployment.yaml", "replicas: 2", "replicas: 9")],
            &[("kubernetes/base/kustomization.yaml", "", "labels:\n  - pairs: {team: x}\n")],
            &[(PRODUCTION, "", "# ours\nnameSuffix: -x\n")],
        ] {
            let has_suffix = edits[0].2.contains("nameSuffix");
            adds(&TWO, edits, command, if has_suffix { &overlays[..1] } else { &overlays });
        }
        for edits in [
            &[(PRODUCTION, "value: hello.example.com", "value: www.example.com")][..],
            &[("kubernetes/base/ingress.yaml", "- host: hello.example.com", "- host: www.example.com")],
        ] {
            adds(&host, edits, command, &overlays);
        }
    }
}

#[test]
fn what_was_added_to_or_taken_from_a_kustomization_stays_so() {
    let patch = "patches:\n  - target: {kind: Deployment, name: hello}\n    patch: |-\n      - op: add\n        path: /spec/paused\n        value: false\n";
    let only = ["kubernetes"];
    for edits in [
        &[(KUSTOMIZATION, "", "labels:\n  - pairs: {team: x}\n")][..],
        &[(KUSTOMIZATION, "", "replicas:\n  - name: hello\n    count: 5\n")],
        &[(KUSTOMIZATION, "", patch)],
        &[(KUSTOMIZATION, "  - service.yaml\n", "")],
        &[(KUSTOMIZATION, "newTag: \"1.0.0\"", "newTag: \"2.0.0\"  # tested")],
        &[(
            KUSTOMIZATION,
            "resources:\n  - deployment.yaml\n  - service.yaml",
            "resources:\n- service.yaml\n- deployment.yaml",
        )],
        // The name of the image is another one by now.
        &[
            (DEPLOYMENT, "registry.gitlab.com/group/hello", "registry.gitlab.com/team/hello"),
            (KUSTOMIZATION, "registry.gitlab.com/group/hello", "registry.gitlab.com/team/hello"),
        ],
        &[(DEPLOYMENT, "replicas: 2\n  revision", "revision")],
        &[(DEPLOYMENT, "        - name: hello\n", "        - name: app\n")],
    ] {
        for command in [WORKER, SAME_IMAGE] {
            adds(&[], edits, command, &only);
        }
    }
    let renamed =
        [(DEPLOYMENT, "image: registry.gitlab.com/group/hello ", "image: registry.gitlab.com/team/hello ")];
    let sandbox = edited(&[], &renamed);
    let output = run(&sandbox, SAME_IMAGE);
    assert_eq!(output.code, Some(2), "{}", output.stdout);
    output.says("do not tell the image of `hello`").says("--image");
}

#[test]
fn what_cannot_be_told_apart_stops_it() {
    stops(
        &[],
        &[(
            KUSTOMIZATION,
            "resources:\n  - deployment.yaml\n  - service.yaml\n",
            "resources: [deployment.yaml, service.yaml, ours.yaml]\n",
        )],
        WORKER,
        KUSTOMIZATION,
    );
    stops(&[], &[(KUSTOMIZATION, "", "---\nkind: ConfigMap\n")], WORKER, KUSTOMIZATION);
    stops(&[], &[(KUSTOMIZATION, "images:", "images: &images")], WORKER, KUSTOMIZATION);
    // Lists that are moved to another place are not edited on the way.
    let env = &["env", "add", "staging"][..];
    stops(&[], &[(KUSTOMIZATION, "", "replicas:\n  - name: hello\n    count: 5\n")], env, KUSTOMIZATION);
}

#[test]
fn the_environment_that_is_there_stays_as_it_is() {
    let budget = "---\napiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: hello}\nspec: {minAvailable: 1, selector: {matchLabels: {app.kubernetes.io/name: hello}}}\n";
    let sidecar = "        - name: proxy\n          image: envoy:1\n          resources: {limits: {memory: 2Gi}}\n        - name: hello\n";
    let ingress = ["--ingress", "hello.example.com", "--tls"];
    for edits in [
        &[(DEPLOYMENT, "replicas: 2", "replicas: 6"), (DEPLOYMENT, "memory: 256Mi", "memory: 3Gi")][..],
        &[
            (DEPLOYMENT, "replicas: 2", "replicas: 6"),
            (DEPLOYMENT, "memory: 256Mi", "memory: 3Gi"),
            (DEPLOYMENT, "", budget),
        ],
        &[(DEPLOYMENT, "  replicas: 2\n", "")],
        &[(DEPLOYMENT, "        - name: hello\n", "        - name: app\n")],
        &[(DEPLOYMENT, "        - name: hello\n", sidecar)],
        &[(
            DEPLOYMENT,
            "          resources:\n            requests:\n              cpu: 50m\n              memory: 64Mi\n            limits:\n              memory: 256Mi\n",
            "",
        )],
        &[(DEPLOYMENT, "memory: 256Mi", "memory: 256Mi\n              example.com/gpu: 1")],
        &[("kubernetes/base/ingress.yaml", "        - hello.example.com", "        - www.example.com")],
        &[("kubernetes/base/ingress.yaml", "- host: hello.example.com", "- host: www.example.com")],
        &[(
            "kubernetes/base/ingress.yaml",
            "  tls:\n    - hosts:\n        - hello.example.com\n      secretName: hello-tls\n",
            "",
        )],
        &[
            (DEPLOYMENT, "registry.gitlab.com/group/hello", "registry.gitlab.com/team/hello"),
            (KUSTOMIZATION, "registry.gitlab.com/group/hello", "registry.gitlab.com/team/hello"),
        ],
    ] {
        let sandbox = edited(&ingress, edits);
        let before = built(&sandbox, "kubernetes");
        let output = run(&sandbox, &["env", "add", "staging"]);
        assert_eq!(output.code, Some(0), "{edits:?}\n{}{}", output.stdout, output.stderr);
        assert_eq!(built(&sandbox, "kubernetes/overlays/production"), before, "{edits:?}");
        // The new one is whole, and a third one takes after the first.
        let of = |name: &str| -> Option<Vec<Value>> {
            let built = built(&sandbox, &format!("kubernetes/overlays/{name}"))?;
            let text = Value::from(built).to_string().replace(name, "NAME");
            Some(serde_json::from_str::<Vec<Value>>(&text).unwrap())
        };
        let staging = of("staging");
        assert_eq!(staging.as_ref().map(Vec::len), before.map(|before| before.len()), "{edits:?}");
        assert_eq!(run(&sandbox, &["env", "add", "qa"]).code, Some(0), "{edits:?}");
        assert_eq!(of("qa"), staging, "{edits:?}");
    }
}

#[test]
fn a_new_environment_takes_after_the_overlay_of_the_first() {
    let edits =
        [(STAGING, "memory: 256Mi", "memory: 1Gi"), (STAGING, "newTag: \"1.0.0\"", "newTag: \"1.1.0\"")];
    let sandbox = edited(&TWO, &edits);
    assert_eq!(run(&sandbox, &["env", "add", "qa"]).code, Some(0));
    let text = fs::read_to_string(sandbox.hello("kubernetes/overlays/qa/kustomization.yaml")).unwrap();
    assert!(text.contains("memory: 1Gi") && text.contains("newTag: \"1.1.0\""), "{text}");
    sandbox.git(&["diff", "--exit-code", "--", "kubernetes/overlays/production"]).success();
}

#[test]
fn a_host_without_room_for_a_name_is_told() {
    let edits = [("kubernetes/base/ingress.yaml", "- host: hello.example.com", "- host: \"*.example.com\"")];
    let sandbox = edited(&["--ingress", "hello.example.com"], &edits);
    let output = run(&sandbox, &["env", "add", "staging"]);
    assert_eq!(output.code, Some(2), "{}", output.stdout);
    output.says("`*.example.com` has no room for `staging`").says("makeinfra env add staging --ingress HOST");
    let args = ["env", "add", "staging", "--ingress", "s.example.com"];
    assert_eq!(run(&sandbox, &args).code, Some(0));
}

#[test]
fn the_record_may_be_written_by_hand_and_by_other_versions() {
    for (from, to) in [
        ("version: ", "version: \"0.0.9\" # "),
        ("  ci: gitlab\n", "  ci: gitlab\n  email: ops@example.com\n"),
    ] {
        let sandbox = Sandbox::with_hello();
        sandbox.edit(".makeinfra.yaml", from, to);
        for command in [SAME_IMAGE, &["env", "add", "staging"]] {
            let output = run(&sandbox, command);
            assert_eq!(output.code, Some(0), "{to}\n{}{}", output.stdout, output.stderr);
        }
        let text = fs::read_to_string(sandbox.hello(".makeinfra.yaml")).unwrap();
        assert!(text.contains("    worker:") && text.contains("    staging:"), "{text}");
        assert_eq!(text.contains("email: ops@example.com"), to.contains("email"), "{text}");
        assert_eq!(text.matches("version:").count(), 1, "{text}");
    }
    // What makeinfra does not know of stays, or nothing is written.
    for (from, to) in [
        ("template:", "owner: team-a\ntemplate:"),
        ("version: \"0.1.0\"", "version: \"0.1.0\"  # ops pins it"),
    ] {
        let sandbox = Sandbox::with_hello();
        sandbox.edit(".makeinfra.yaml", from, to);
        for command in [SAME_IMAGE, &["env", "add", "staging"]] {
            assert_eq!(run(&sandbox, command).code, Some(0), "{to}");
        }
        let text = fs::read_to_string(sandbox.hello(".makeinfra.yaml")).unwrap();
        assert!(text.contains(to), "{text}");
    }
    let sandbox = Sandbox::with_hello();
    sandbox.append(".makeinfra.yaml", "owner: team-a\n");
    let output = run(&sandbox, SAME_IMAGE);
    assert_eq!(output.code, Some(1), "{}", output.stdout);
    output.says("`.makeinfra.yaml`: it was edited");
    let sandbox = Sandbox::with_hello();
    sandbox.edit(".makeinfra.yaml", "  project: hello\n", "  # Ask ops first.\n  project: hello\n");
    assert_eq!(run(&sandbox, SAME_IMAGE).code, Some(0));
    assert!(fs::read_to_string(sandbox.hello(".makeinfra.yaml")).unwrap().contains("# Ask ops first."));
    let sandbox = Sandbox::with_hello();
    sandbox.edit(".makeinfra.yaml", "  ci: gitlab\n", "  ci: gitlab  # not yet\n");
    let output = run(&sandbox, &["env", "add", "staging"]);
    assert_eq!(output.code, Some(1), "{}", output.stdout);
    output.says("`.makeinfra.yaml`: it was edited");
}

#[test]
fn a_file_that_is_to_stay_stays() {
    let sandbox = edited(&[], &[("README.md", "", "mine\n")]);
    let keep = ["--keep", "README.md", "--keep", "Makefile"];
    let output = run(&sandbox, &[WORKER, &keep].concat());
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    sandbox.git(&["diff", "--exit-code", "--", "README.md", "Makefile"]).success();
    output.prints("`README.md` stays as it is; what it lacks:");
    for command in [WORKER, &["env", "add", "staging"]] {
        let output = run(&Sandbox::with_hello(), &[command, &["--keep", "READM.md"]].concat());
        assert_eq!(output.code, Some(2), "{}", output.stdout);
        output.says("`--keep` names `READM.md`");
    }
    // Even if it is none that could be changed.
    let sandbox = Sandbox::with_hello();
    fs::rename(sandbox.hello("README.md"), sandbox.hello("docs.md")).unwrap();
    std::os::unix::fs::symlink("docs.md", sandbox.hello("README.md")).unwrap();
    assert_eq!(run(&sandbox, &["env", "add", "staging"]).code, Some(1));
    assert_eq!(run(&sandbox, &["env", "add", "staging", "--keep", "README.md"]).code, Some(0));
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
        let target = deploy.replace(" deploy", " help");
        sandbox.run("sh", &["-c", &target]).cwd(&other).success().prints("usage: make TARGET");
    }
}

/// Expects that a command is refused with these words, and that nothing is written.
#[track_caller]
fn refused(sandbox: &Sandbox, command: &[&str], code: i32, words: &[&str]) {
    let before = sandbox.git(&["status", "--porcelain"]).success().stdout;
    let output = run(sandbox, command);
    assert_eq!(output.code, Some(code), "{}{}", output.stdout, output.stderr);
    for word in words {
        output.says(word);
    }
    output.says("hint: ");
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, before);
}

#[test]
fn what_is_in_the_manifests_by_hand_is_not_taken_over() {
    let sidecar = (
        DEPLOYMENT,
        "      containers:\n",
        "      containers:\n        - {name: proxy, image: docker.io/envoy:1.30}\n",
    );
    let entry = (KUSTOMIZATION, "images:\n", "images:\n  - {name: docker.io/envoy, newTag: \"1.30\"}\n");
    for edits in [&[sidecar][..], &[entry]] {
        let sandbox = edited(&[], edits);
        for image in ["docker.io/envoy:2.0", "envoy:1.30-alpine", "envoy:1"] {
            let add = ["add", "gateway", "--image", image];
            refused(&sandbox, &add, 1, &["runs with another tag already"]);
        }
    }
    adds(
        &[],
        &[sidecar],
        &["add", "worker", "--port", "none", "--image", "docker.io/envoy:1.30"],
        &["kubernetes"],
    );
    let redis = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: redis}\nspec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: redis, image: \"redis:7\"}]}}}\n";
    let sandbox = Sandbox::with_hello();
    fs::write(sandbox.hello("kubernetes/cache.yaml"), redis).unwrap();
    sandbox.edit(KUSTOMIZATION, "resources:\n", "resources:\n  - cache.yaml\n");
    refused(
        &sandbox,
        &["add", "redis", "--port", "none"],
        1,
        &["there is a Deployment `redis` already", "kubernetes/cache.yaml"],
    );
    let sandbox =
        edited(&[], &[(KUSTOMIZATION, "", "configMapGenerator:\n  - name: worker\n    literals: [a=b]\n")]);
    sandbox.write("settings.env", "A=1\n");
    let add = [SAME_IMAGE, &["--config", "../../settings.env"]].concat();
    refused(&sandbox, &add, 1, &["there is a ConfigMap `worker` already"]);
}

#[test]
fn a_tag_that_stands_in_the_manifest_is_that_of_a_new_component_too() {
    let inline = (
        DEPLOYMENT,
        "image: registry.gitlab.com/group/hello ",
        "image: registry.gitlab.com/group/hello:1.5.0 ",
    );
    let bare =
        (KUSTOMIZATION, "images:\n  - name: registry.gitlab.com/group/hello\n    newTag: \"1.0.0\"\n", "");
    let sandbox = adds(&[], &[inline, bare], SAME_IMAGE, &["kubernetes"]);
    for document in built(&sandbox, "kubernetes").unwrap_or_default() {
        let image = &document["spec"]["template"]["spec"]["containers"][0]["image"];
        assert!(image.is_null() || image == "registry.gitlab.com/group/hello:1.5.0", "{document:#}");
    }
    // An image that is pulled by another name is so in a new environment, too.
    let mirror = (STAGING, "    newTag:", "    newName: mirror.local/hello\n    newTag:");
    let sandbox = edited(&TWO, &[mirror]);
    assert_eq!(run(&sandbox, &["env", "add", "qa"]).code, Some(0));
    let text = fs::read_to_string(sandbox.hello("kubernetes/overlays/qa/kustomization.yaml")).unwrap();
    assert!(text.contains("newName: mirror.local/hello"), "{text}");
}

#[test]
fn wherever_the_tag_of_an_environment_stands_it_stays() {
    let overlays = ["kubernetes/overlays/staging", "kubernetes/overlays/production"];
    let base = "kubernetes/base/deployment.yaml";
    let inline =
        (base, "image: registry.gitlab.com/group/hello ", "image: registry.gitlab.com/group/hello:2.0.0 ");
    let entry = "images:\n  - name: registry.gitlab.com/group/hello\n    newTag: \"1.0.0\"\n";
    let shared = (
        "kubernetes/base/kustomization.yaml",
        "",
        "images:\n  - name: registry.gitlab.com/group/hello\n    newTag: \"5\"\n",
    );
    for edits in [
        &[inline, (STAGING, entry, "")][..],
        &[inline, (PRODUCTION, entry, "")],
        &[inline, (STAGING, entry, ""), (PRODUCTION, entry, "")],
        &[shared, (STAGING, entry, ""), (PRODUCTION, entry, "")],
        &[shared, (STAGING, entry, "")],
    ] {
        let sandbox = edited(&TWO, edits);
        let before = overlays.map(|dir| built(&sandbox, dir));
        let output = run(&sandbox, SAME_IMAGE);
        assert_eq!(output.code, Some(0), "{edits:?}\n{}", output.stderr);
        for (dir, before) in overlays.iter().zip(before) {
            let (Some(before), Some(after)) = (before, built(&sandbox, dir)) else { return };
            let image = |objects: &[Value], name: &str| {
                let object =
                    objects.iter().find(|one| one["kind"] == "Deployment" && one["metadata"]["name"] == name);
                object.unwrap()["spec"]["template"]["spec"]["containers"][0]["image"].clone()
            };
            assert_eq!(image(&after, "hello"), image(&before, "hello"), "{edits:?}, {dir}");
            assert_eq!(image(&after, "worker"), image(&before, "hello"), "{edits:?}, {dir}");
        }
    }
}

#[test]
fn what_is_not_deployed_is_in_nobodys_way() {
    let sandbox = Sandbox::with_hello();
    fs::create_dir(sandbox.hello("kubernetes/examples")).unwrap();
    fs::write(sandbox.hello("kubernetes/examples/x.yaml"), "kind: Deployment\nmetadata:\n  name: worker\n")
        .unwrap();
    fs::write(sandbox.hello("kubernetes/latin.yaml"), b"a: \"\xe9\"\n").unwrap();
    fs::write(sandbox.hello("kubernetes/crds.yaml"), "# large\n".repeat(300_000)).unwrap();
    sandbox.edit(KUSTOMIZATION, "resources:\n", "resources:\n  - crds.yaml\n  - latin.yaml\n");
    assert_eq!(run(&sandbox, WORKER).code, Some(0));
    // A container's own tag does not count where a kustomization gives it one.
    let redis = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: cache}\nspec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: \"redis:6\"}]}}}\n";
    let sandbox = Sandbox::with_hello();
    fs::write(sandbox.hello("kubernetes/cache.yaml"), redis).unwrap();
    sandbox.edit(KUSTOMIZATION, "resources:\n", "resources:\n  - cache.yaml\n");
    sandbox.append(KUSTOMIZATION, "  - name: redis\n    newTag: \"7\"\n");
    sandbox.git(&["add", "-A"]).success();
    sandbox.git(&["commit", "-qm", "Edit"]).success();
    refused(&sandbox, &["add", "queue", "--image", "redis:6"], 1, &["runs with another tag already"]);
    assert_eq!(run(&sandbox, &["add", "queue", "--image", "redis:7"]).code, Some(0));
}

#[test]
fn other_quotes_are_an_edit_that_stays() {
    let plain = (KUSTOMIZATION, "newTag: \"1.0.0\"", "newTag: 1.1.0");
    stops(&[], &[plain], &["env", "add", "staging"], KUSTOMIZATION);
    adds(&[], &[plain], WORKER, &["kubernetes"]);
}

#[test]
fn an_option_that_would_change_nothing_is_refused() {
    let sandbox = edited(
        &[&TWO[..], &["--ingress", "h.example.com"]].concat(),
        &[("kubernetes/base/ingress.yaml", "    - host: h.example.com\n      http:\n", "    - http:\n")],
    );
    let words = ["`--ingress` would change nothing", "kubernetes/overlays/qa/kustomization.yaml"];
    refused(&sandbox, &["env", "add", "qa", "--ingress", "qa.example.net"], 2, &words);
    let sandbox = edited(&TWO, &[("kubernetes/base/deployment.yaml", "  name: hello\n", "  name: web\n")]);
    refused(&sandbox, &["env", "add", "qa", "--replicas", "3"], 2, &["`--replicas` would change nothing"]);
}

#[test]
fn a_manifest_that_cannot_be_read_stops_it() {
    for command in [WORKER, &["env", "add", "staging"]] {
        let sandbox =
            edited(&["--ingress", "hello.example.com"], &[("kubernetes/base/ingress.yaml", "", "  x: [1\n")]);
        refused(&sandbox, command, 1, &["`kubernetes/base/ingress.yaml` is not YAML", "makeinfra check"]);
    }
}

#[test]
fn hosts_that_no_environment_can_have_another_of_are_a_warning() {
    let more = "    - host: www.example.com\n      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: hello, port: {name: http}}}}]}\n";
    let sandbox = edited(&["--ingress", "hello.example.com"], &[("kubernetes/base/ingress.yaml", "", more)]);
    let output = run(&sandbox, &["env", "add", "staging"]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    output
        .says("further hosts, which staging would share")
        .says("kubernetes/overlays/staging/kustomization.yaml");
}

#[test]
fn an_overlay_without_the_tag_of_an_image_gets_it() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&TWO).success();
    assert_eq!(run(&sandbox, WORKER).code, Some(0));
    sandbox.edit(PRODUCTION, "  - name: registry.gitlab.com/group/worker\n    newTag: \"3\"\n", "");
    sandbox.git(&["add", "-A"]).success();
    sandbox.git(&["commit", "-qm", "Edit"]).success();
    let add = ["add", "other", "--port", "none", "--image", "registry.gitlab.com/group/worker:3"];
    assert_eq!(run(&sandbox, &add).code, Some(0));
    for document in built(&sandbox, "kubernetes/overlays/production").unwrap_or_default() {
        assert!(has_tag(&document), "{document:#}");
    }
}

#[test]
fn how_many_pods_there_are_is_what_the_manifests_say() {
    let pods = |sandbox: &Sandbox, name: &str| {
        let text = fs::read_to_string(sandbox.hello("README.md")).unwrap();
        let row = text.lines().find(|line| line.starts_with(&format!("| {name}"))).unwrap().to_owned();
        row.split(" | ").nth(2).unwrap().to_owned()
    };
    // An autoscaler has the say.
    let sandbox = edited(&[], &[(DEPLOYMENT, "  replicas: 2\n", "")]);
    assert_eq!(run(&sandbox, &["env", "add", "staging"]).code, Some(0));
    assert_eq!(
        (pods(&sandbox, "production"), pods(&sandbox, "staging")),
        ("not set here".into(), "not set here".into())
    );
    // One overlay leaves it to the base, and a new one does not.
    let sandbox = edited(&TWO, &[(STAGING, "replicas:\n  - name: hello\n    count: 1\n", "")]);
    assert_eq!(run(&sandbox, &["env", "add", "qa"]).code, Some(0));
    assert_eq!(pods(&sandbox, "qa"), "1");
    let text = fs::read_to_string(sandbox.hello("kubernetes/overlays/qa/kustomization.yaml")).unwrap();
    assert!(text.contains("count: 1"), "{text}");
}

#[test]
fn the_record_cannot_be_kept_and_what_has_to_move_is_not_offered_to_be() {
    let sandbox = edited(&[], &[(".makeinfra.yaml", "  namespace: hello\n", "  namespace: hello  # ours\n")]);
    let words =
        ["`.makeinfra.yaml`: it was edited", "take out of `.makeinfra.yaml` what somebody has written"];
    refused(&sandbox, &["env", "add", "staging"], 1, &words);
    let keep = ["env", "add", "staging", "--keep", ".makeinfra.yaml"];
    refused(&sandbox, &keep, 2, &["`--keep` cannot be `.makeinfra.yaml`"]);
    let sandbox = edited(&[], &[(KUSTOMIZATION, "", "labels:\n  - pairs: {team: x}\n")]);
    let words = [&format!("put it into `{PRODUCTION}`")[..], "`kubernetes/base/kustomization.yaml`"];
    refused(&sandbox, &["env", "add", "staging"], 1, &words);
}

#[test]
fn where_a_kept_file_belongs_is_told() {
    let sandbox = edited(&[], &[(KUSTOMIZATION, "", "labels:\n  - pairs: {team: x}\n")]);
    let output = run(&sandbox, &["env", "add", "staging", "--keep", KUSTOMIZATION]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    output.prints(&format!("belongs at `{PRODUCTION}` by now"));
    output.prints(&format!("--- a/{KUSTOMIZATION}\n+++ b/{PRODUCTION}\n"));
}

#[test]
fn a_secret_of_any_name_comes_back_from_git() {
    let sandbox = Sandbox::with_hello();
    for name in ["secrets/restore.sh", "secrets/Makefile", "secrets/.githooks/x", "secrets/a/scripts/b.sh"] {
        let attribute = sandbox.git(&["check-attr", "text", "eol", "filter", "--", name]).success().stdout;
        assert!(attribute.contains("text: unset") && attribute.contains("filter: git-crypt"), "{attribute}");
    }
    if super::support::have("git-crypt") {
        // Large enough for a CR and a LF in a row somewhere in what is encrypted.
        let text = "a".repeat(3_000_000);
        fs::write(sandbox.hello("secrets/restore.sh"), &text).unwrap();
        sandbox.git(&["add", "-A"]).success();
        sandbox.git(&["commit", "-qm", "x"]).success();
        fs::remove_file(sandbox.hello("secrets/restore.sh")).unwrap();
        sandbox.git(&["checkout", "--", "secrets"]).success();
        assert!(fs::read_to_string(sandbox.hello("secrets/restore.sh")).unwrap() == text);
    }
}

#[test]
fn a_host_of_several_ingresses_is_a_warning() {
    let said = "the host `hello.example.com` is that of several Ingresses of one cluster: ";
    let both = [&TWO[..], &["--protect", "staging", "--ingress", "hello.example.com"]].concat();
    let sandbox = Sandbox::new();
    sandbox.new_hello(&both).success().says(&format!("{said}hello in staging, hello in production"));
    let apart = [&both[..], &["--context", "staging=a", "--context", "production=b"]].concat();
    assert_eq!(Sandbox::new().new_hello(&apart).success().stderr, "");
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.new_hello(&["--ingress", "hello.example.com"]).success().stderr, "");
    run(&sandbox, &["add", "api", "--ingress", "hello.example.com"]).says(&format!("{said}hello, api"));
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--ingress", "hello.example.com"]).success();
    let args = ["env", "add", "staging", "--ingress", "hello.example.com"];
    run(&sandbox, &args).says(&format!("{said}hello in production, hello in staging"));
}

#[test]
fn nothing_is_added_in_the_middle_of_a_merge() {
    let sandbox = Sandbox::with_hello();
    let git = |args: &[&str]| sandbox.git(args).output();
    git(&["switch", "-qc", "other"]);
    sandbox.edit("README.md", "# hello-infra", "# One");
    git(&["commit", "-qam", "One"]);
    git(&["switch", "-q", "-"]);
    sandbox.edit("README.md", "# hello-infra", "# Two");
    git(&["commit", "-qam", "Two"]);
    assert_eq!(git(&["merge", "other"]).code, Some(1));
    for command in [WORKER, &["env", "add", "staging"]] {
        let output = run(&sandbox, command);
        assert_eq!(output.code, Some(1), "{}", output.stdout);
        output.says("a merge, rebase or the like is under way").says("hint: git status");
    }
}

/// What people do to manifests; none needs another one.
const EDITS: [(&str, &str, &str); 22] = [
    (DEPLOYMENT, "replicas: 2", "replicas: 6"),
    (DEPLOYMENT, "  replicas: 2\n", ""),
    (DEPLOYMENT, "memory: 256Mi", "memory: \"3Gi\""),
    (DEPLOYMENT, "              cpu: 50m\n", "              cpu: 1\n              ephemeral-storage: 1Gi\n"),
    (DEPLOYMENT, "      containers:\n", "      terminationGracePeriodSeconds: 5\n      containers:\n"),
    (DEPLOYMENT, "      containers:\n", "      containers:\n        - {name: proxy, image: envoy:1}\n"),
    (DEPLOYMENT, "          ports:\n", "          env: [{name: A, value: b}]\n          ports:\n"),
    (DEPLOYMENT, "---\n", "# Ours.\n---\n"),
    (DEPLOYMENT, "spec:\n", "  annotations: {team: x}\nspec:\n"),
    ("kubernetes/base/service.yaml", "port: 80", "port: 8000"),
    ("kubernetes/base/ingress.yaml", "- host: hello.example.com", "- host: www.example.com"),
    ("kubernetes/base/ingress.yaml", "        - hello.example.com", "        - www.example.com"),
    ("kubernetes/base/ingress.yaml", "  rules:\n", "  ingressClassName: nginx\n  rules:\n"),
    (KUSTOMIZATION, "newTag: \"1.0.0\"", "newTag: 2.0.0  # tested"),
    (KUSTOMIZATION, "  - service.yaml\n", "  - service.yaml\n  - budget.yaml\n"),
    (KUSTOMIZATION, "", "commonAnnotations: {team: x}\n"),
    (KUSTOMIZATION, "", "labels:\n  - pairs: {team: x}\n"),
    (KUSTOMIZATION, "", "# The end.\n"),
    (KUSTOMIZATION, "resources:\n", "# Ours.\nresources:\n"),
    (KUSTOMIZATION, "images:\n", "images:\n  - {name: envoy, newTag: \"2\"}\n"),
    (KUSTOMIZATION, "---\n", ""),
    ("kubernetes/overlays/production/namespace.yaml", "kind: Namespace\n", "kind: Namespace\n# Ours.\n"),
];

#[test]
fn any_two_edits_stay_in_force_or_stop_it() {
    let budget = "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: hello}\nspec: {minAvailable: 1, selector: {matchLabels: {app.kubernetes.io/name: hello}}}\n";
    let original = Sandbox::new();
    original.new_hello(&["--ingress", "hello.example.com", "--tls"]).success();
    fs::write(original.hello("kubernetes/budget.yaml"), budget).unwrap();
    let pairs =
        (0..EDITS.len()).flat_map(|one| (one + 1..EDITS.len()).map(move |two| [EDITS[one], EDITS[two]]));
    let (mut done, mut stopped) = (0, 0);
    // Every second one is enough for a run.
    for edits in pairs.step_by(2) {
        let sandbox = Sandbox::new();
        let [from, to] =
            [original.work("hello-infra"), sandbox.work("")].map(|path| path.display().to_string());
        sandbox.run("cp", &["-a", "--", &from, &to]).success();
        let mut applied = true;
        for (path, from, to) in edits {
            let text = fs::read_to_string(sandbox.hello(path)).unwrap();
            applied &= text.contains(from);
            let text = if from.is_empty() { text + to } else { text.replacen(from, to, 1) };
            fs::write(sandbox.hello(path), text).unwrap();
        }
        // One may have taken what the other one would have changed.
        if !applied {
            continue;
        }
        let Some(before) = built(&sandbox, "kubernetes") else { return };
        sandbox.git(&["add", "-A"]).success();
        sandbox.git(&["commit", "-qm", "Edit"]).success();
        for (command, dir) in
            [(WORKER, "kubernetes"), (&["env", "add", "staging"], "kubernetes/overlays/production")]
        {
            let output = run(&sandbox, command);
            if output.code == Some(0) {
                let after = built(&sandbox, dir).unwrap();
                let old: Vec<_> =
                    after.into_iter().filter(|one| one["metadata"]["name"] != "worker").collect();
                assert_eq!(old, before, "{edits:?}, {command:?}");
                sandbox.git(&["reset", "-q", "--hard"]).success();
                sandbox.git(&["clean", "-qfd"]).success();
                done += 1;
            } else {
                assert_eq!(output.code, Some(1), "{edits:?}\n{}", output.stderr);
                output.says("it was edited");
                assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "", "{edits:?}");
                stopped += 1;
            }
        }
    }
    assert!(done > 120 && stopped > 25, "{done} done, {stopped} stopped");
}
