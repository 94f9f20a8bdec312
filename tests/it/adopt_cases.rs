//! Difficult repositories for an adoption, which must keep every object and every secret, or
//! refuse.

use super::adopt::{PRODUCTION, built};
use super::by_hand::{deployment, pull_secret};
use super::support::{SECRET, Sandbox, TOKEN, USER, all_objects, assert_no_token};
use makeinfra::answers::Record;
use std::fs;

const IMAGE: &str = "registry.gitlab.com/group/hello:1.0.0";

/// A Secret of an application with the marker token as its value.
fn secret(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\nstringData:\n  PASSWORD: {TOKEN}\n"
    )
}

fn config_map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  a: b\n")
}

/// A repository with these files and a Deployment `hello`.
fn with(files: &[(&str, &str)]) -> Sandbox {
    let sandbox = Sandbox::empty();
    for (path, text) in files {
        sandbox.put(path, text);
    }
    sandbox.commit_all();
    sandbox
}

/// Expects a refusal with nothing written.
#[track_caller]
fn refused(files: &[(&str, &str)], says: &[&str]) {
    let sandbox = with(files);
    let before = sandbox.tree();
    let output = sandbox.adopt(&["--yes", "--commit"]).output();
    assert!(output.code.is_some_and(|code| code == 1 || code == 2), "{}", output.stdout);
    for text in says {
        output.says(text);
    }
    assert_eq!(sandbox.tree(), before);
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
}

#[test]
fn no_output_shows_a_secret() {
    let hello = deployment("hello", IMAGE);
    let both = format!("{hello}---\n{}", secret("database"));
    for files in [
        &[("k8s/deployment.yaml", &*hello), ("k8s/secret.yaml", &secret("database"))][..],
        &[("k8s/deployment.yaml", &both)],
        &[
            ("k8s/deployment.yaml", &hello),
            ("k8s/p.yaml", &pull_secret(USER, "gitlab", "dockercfg", "registry.gitlab.com")),
        ],
    ] {
        let sandbox = with(files);
        for args in [
            &["--dry-run", "--diff", "--json"][..],
            &["--dry-run", "--diff"],
            &["--yes", "--commit", "--diff", "--json"],
        ] {
            let output = sandbox.adopt(args).success();
            assert_no_token(output.stdout.as_bytes(), "stdout");
            assert_no_token(output.stderr.as_bytes(), "stderr");
        }
    }
}

#[test]
fn what_would_lose_a_file_or_change_the_objects_is_refused() {
    let (hello, map) = (deployment("hello", IMAGE), config_map("own"));
    let base = ("k8s/base/kustomization.yaml", "resources: [app.yaml]\n");
    let overlay = "resources:\n- ../../base\n- cm.yaml\n";
    let app = ("k8s/base/app.yaml", &*hello);
    let eu = [("k8s/eu/prod/kustomization.yaml", overlay), ("k8s/eu/prod/cm.yaml", &*map)];
    let us = [("k8s/us/prod/kustomization.yaml", overlay), ("k8s/us/prod/cm.yaml", &*map)];
    let both: Vec<_> = [base, app].into_iter().chain(eu).chain(us).collect();
    refused(&both, &["two overlays have the name `prod`"]);
    let namespace =
        |name: &str| format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n");
    refused(
        &[("app.yaml", &hello), ("a.yaml", &namespace("a")), ("b.yaml", &namespace("b"))],
        &["several namespaces", "`a` and `b`"],
    );
    refused(
        &[("staging/app.yaml", &hello), ("production/app.yaml", &hello)],
        &["Deployment `hello` exists in several files"],
    );
    let mixed = hello.replacen("metadata:\n", "metadata:\n  namespace: monitoring\n", 1);
    refused(
        &[("app.yaml", &mixed), ("map.yaml", &map)],
        &["`--namespace` is required", "hint: --namespace monitoring"],
    );
    let missing = "resources: [app.yaml]\nsecretGenerator:\n- name: s\n  envs: [.env.secret]\n";
    refused(
        &[("k8s/kustomization.yaml", missing), ("k8s/app.yaml", &hello)],
        &["would refer to a missing file", ".env.secret"],
    );
}

#[test]
fn the_objects_are_the_same_whatever_kustomize_makes_of_them() {
    let hello = deployment("hello", IMAGE).replace("gitlab", "pull");
    let pull = pull_secret(USER, "pull", "dockercfg", "registry.gitlab.com");
    let example = secret("database");
    let patch = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: pull\n  annotations: {a: b}\n";
    for (base, overlay) in [
        (
            "resources: [app.yaml, pull.yaml]\nnamePrefix: web-\n",
            "resources: [../../base]\nnamespace: web\n",
        ),
        (
            "resources: [app.yaml, pull.yaml]\npatches: [{path: patch.yaml}]\n",
            "resources: [../../base]\nnamespace: web\n",
        ),
        (
            "resources:\n- app.yaml\n- pull.yaml\n",
            "resources:\n- ../../base\nnamespace: web\nnamePrefix: web-\n",
        ),
        ("resources: [app.yaml, ../secrets]\n", "resources:\n- ../../base\nnamespace: web\n"),
        ("resources:\n- app.yaml\n- pull.yaml\n", "bases:\n- ../../base\nnamespace: web\n"),
    ] {
        let overlay = overlay.replace("resources: [../../base]", "resources:\n- ../../base");
        let mut files = vec![
            ("k8s/base/kustomization.yaml", base),
            ("k8s/base/app.yaml", &*hello),
            ("k8s/base/pull.yaml", &pull),
            ("k8s/base/patch.yaml", patch),
            ("k8s/overlays/production/kustomization.yaml", &overlay),
            ("docs/secret.example.yaml", &example),
        ];
        if base.contains("../secrets") {
            files.push(("k8s/secrets/kustomization.yaml", "resources: [pull.yaml]\n"));
            files.push(("k8s/secrets/pull.yaml", &pull));
        }
        let sandbox = with(&files);
        let before = built(&sandbox, "k8s/overlays/production");
        let done = sandbox.adopt(&["--yes", "--commit"]).success();
        assert!(built(&sandbox, PRODUCTION) == before, "{base}{overlay}");
        done.says("in plaintext");
        assert!(sandbox.hello("docs/secret.example.yaml").exists());
        assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
        sandbox.here(&["update", "--check"]).success();
    }
}

#[test]
fn containers_keep_their_tags() {
    let worker = deployment("worker", "registry.gitlab.com/group/hello:0.9");
    let sandbox =
        with(&[("k8s/web.yaml", &deployment("hello", IMAGE)), ("k8s/worker.yaml", &worker)]);
    sandbox.adopt(&["--yes", "--commit"]).success().prints("containers use several tags of");
    let images: Vec<_> = built(&sandbox, PRODUCTION)
        .iter()
        .map(|one| {
            one["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(images, [IMAGE, "registry.gitlab.com/group/hello:0.9"]);
    sandbox.here(&["update", "--check"]).success();
}

#[test]
fn a_name_that_a_kustomization_changes_is_the_one_that_is_pulled() {
    let kustomization = "namespace: web\nresources:\n- app.yaml\nimages:\n- name: hello\n  newName: registry.example.com/hello\n  newTag: v3\n";
    let sandbox = with(&[
        ("k8s/kustomization.yaml", kustomization),
        ("k8s/app.yaml", &deployment("hello", "hello")),
    ]);
    let before = built(&sandbox, "k8s");
    sandbox
        .adopt(&["--yes", "--commit"])
        .success()
        .prints("image        registry.example.com/hello:v3");
    assert!(built(&sandbox, PRODUCTION) == before);
    sandbox.rotate(TOKEN, &["--commit"]).success();
    sandbox.here(&["update", "--check"]).success();
    sandbox.here(&["check"]).success();
    sandbox.make(&["set-image", "TAG=v4"]).success();
    assert!(format!("{:?}", built(&sandbox, PRODUCTION)).contains("registry.example.com/hello:v4"));
}

#[test]
fn a_base_stays_the_base() {
    let parts = [
        ("kubernetes/base/kustomization.yaml", "resources: [web]\n"),
        ("kubernetes/base/web/kustomization.yaml", "resources: [app.yaml]\n"),
    ];
    let hello = deployment("hello", IMAGE);
    let (map, old) = (config_map("map"), deployment("old", IMAGE));
    let sandbox = with(&[&parts[..], &[("kubernetes/base/web/app.yaml", &hello)]].concat());
    sandbox.adopt(&["--yes", "--commit"]).success().prints("environments production");
    assert!(sandbox.hello("kubernetes/base/web/app.yaml").exists());
    // A file that nothing listed is not deployed afterwards, and a copy elsewhere stays.
    let sandbox = with(&[
        ("kubernetes/base/kustomization.yaml", "resources: [app.yaml]\n"),
        ("kubernetes/base/app.yaml", &hello),
        ("docs/app.yaml", &hello),
        ("test/fixtures/map.yaml", &map),
        ("old/deployment.yaml", &old),
    ]);
    sandbox
        .adopt(&["--yes", "--commit"])
        .success()
        .prints("`old/deployment.yaml` stays where it is: no kustomization lists it");
    assert_eq!(built(&sandbox, PRODUCTION).len(), 1);
    assert!(
        sandbox.hello("docs/app.yaml").exists() && sandbox.hello("test/fixtures/map.yaml").exists()
    );
}

#[test]
fn a_commit_has_no_plaintext_and_nothing_of_other_edits() {
    // An untracked Secret, and one with local edits.
    let sandbox = with(&[
        ("k8s/app.yaml", &deployment("hello", IMAGE)),
        ("k8s/old.yaml", &config_map("old")),
    ]);
    sandbox.put("k8s/pull.yaml", &pull_secret(USER, "gitlab", "dockercfg", "registry.gitlab.com"));
    fs::remove_file(sandbox.hello("k8s/old.yaml")).unwrap();
    sandbox.adopt(&["--yes", "--commit"]).success();
    assert_no_token(&all_objects(&sandbox, &sandbox.hello("")), "an object");
    assert!(sandbox.read(SECRET).contains("dockercfg"));
    // The deletion is left for the user to commit.
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, " D k8s/old.yaml\n");
    // A file that is too large stays in place.
    let sandbox = with(&[
        ("k8s/app.yaml", &deployment("hello", IMAGE)),
        ("k8s/big.yaml", &"# x\n".repeat(2 << 20)),
    ]);
    sandbox.adopt(&["--yes", "--commit"]).success().prints("`k8s/big.yaml` stays unchanged");
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
    assert!(sandbox.hello("k8s/big.yaml").exists());
}

#[test]
fn an_ignored_file_that_a_kustomization_names_moves_and_stays_ignored() {
    let kustomization =
        "resources:\n- app.yaml\nsecretGenerator:\n- name: s\n  envs:\n  - .env.secret\n";
    let sandbox = with(&[
        (".gitignore", ".env.secret\n"),
        ("k8s/kustomization.yaml", kustomization),
        ("k8s/app.yaml", &deployment("hello", IMAGE)),
    ]);
    sandbox.put("k8s/.env.secret", &format!("PASSWORD={TOKEN}\n"));
    let before = built(&sandbox, "k8s");
    sandbox.adopt(&["--yes", "--commit"]).success();
    let names = |objects: &[serde_yaml::Value]| -> Vec<String> {
        objects.iter().map(|one| one["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&built(&sandbox, PRODUCTION)), names(&before));
    assert_no_token(&all_objects(&sandbox, &sandbox.hello("")), "an object");
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
}

#[test]
fn the_right_pull_secret_is_rotated_and_the_others_are_named() {
    let worker = deployment("worker", "docker.io/team/worker:1").replace("gitlab", "aaa");
    let sandbox = with(&[
        ("k8s/hello.yaml", &deployment("hello", IMAGE)),
        ("k8s/worker.yaml", &worker),
        ("k8s/a.yaml", &pull_secret("ada", "aaa", "dockercfg", "https://index.docker.io/v1/")),
        ("k8s/b.yaml", &pull_secret(USER, "gitlab", "dockercfg", "registry.gitlab.com")),
    ]);
    let done = sandbox.adopt(&["--yes", "--commit"]).success();
    done.prints("pull secret  gitlab (dockercfg)").prints(
        "`k8s/a.yaml` is the pull Secret `aaa`, but `makeinfra rotate` replaces only `gitlab`",
    );
    let other = sandbox.read("secrets/kubernetes/a.yaml");
    sandbox.rotate("gldt-Another_8Rz0", &["--commit"]).success();
    assert_eq!(sandbox.read("secrets/kubernetes/a.yaml"), other);
    sandbox.here(&["check"]).success();
}

#[test]
fn what_is_not_taken_is_told() {
    let sandbox = with(&[
        ("k8s/app.yaml", &deployment("hello", IMAGE)),
        ("k8s/broken.yaml", "a: [\n"),
        ("k8s/more/broken.yml", "a: [\n"),
        ("k8s/job.yaml", "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: x-}\n"),
        ("GNUmakefile", "deploy:\n\tkubectl apply -f k8s\n"),
    ]);
    let done = sandbox.adopt(&["--yes", "--commit"]).success();
    for path in ["k8s/broken.yaml", "k8s/job.yaml"] {
        done.prints(&format!("`{path}` stays and is not deployed"));
    }
    done.prints("`k8s/more/broken.yml` stays and is not deployed: it is not valid YAML");
    done.prints("no manifest sets the namespace of production, so `hello` is assumed");
    done.prints("`GNUmakefile` refers to `k8s`, which will move");
    assert!(!sandbox.hello("Makefile").exists());
    assert!(Record::parse(sandbox.read(Record::FILE)).unwrap().own.contains("Makefile"));
    let key = sandbox.path("work").canonicalize().unwrap().join("hello-infra.git-crypt-key");
    done.prints(&format!("git-crypt export-key {}", key.display()));
    sandbox.here(&["update", "--check"]).success();
}

#[test]
fn git_crypt_is_not_set_up_in_a_linked_work_tree() {
    let sandbox = with(&[("k8s/app.yaml", &deployment("hello", IMAGE))]);
    sandbox.git(&["worktree", "add", "-q", "../linked"]).success();
    sandbox
        .makeinfra(&["adopt", "linked", "--project", "hello", "--yes"])
        .failure(1)
        .says("in a linked work tree");
}

#[test]
fn no_file_takes_the_place_of_another() {
    let (hello, other) = (deployment("hello", IMAGE), deployment("other", IMAGE));
    refused(
        &[("k8s/app.yaml", &hello), ("kubernetes/base/app.yaml", &other)],
        &[
            "cannot move `k8s/app.yaml`",
            "`kubernetes/base/app.yaml` already exists with different content",
        ],
    );
    // An untracked file still exists afterwards.
    let sandbox = with(&[("kubernetes/base/app.yaml", &other)]);
    sandbox.put("k8s/app.yaml", &hello);
    sandbox.adopt(&["--yes"]).failure(1).says("cannot move `k8s/app.yaml`");
    assert_eq!(sandbox.read("k8s/app.yaml"), hello);
    // A Makefile that git could not restore is not replaced.
    let sandbox = Sandbox::of_the_post();
    sandbox.append("Makefile", "ours:\n");
    sandbox
        .adopt(&["--yes", "--take", "Makefile"])
        .failure(1)
        .says("it has uncommitted edits")
        .says("git add -- Makefile");
    assert!(sandbox.read("Makefile").contains("ours:"));
}

#[test]
fn an_ignored_file_is_not_moved_to_where_git_sees_it() {
    let kustomization =
        "resources:\n- app.yaml\nsecretGenerator:\n- name: s\n  envs:\n  - db.env\n";
    let sandbox = with(&[
        (".gitignore", "/k8s/db.env\n"),
        ("k8s/kustomization.yaml", kustomization),
        ("k8s/app.yaml", &deployment("hello", IMAGE)),
    ]);
    sandbox.put("k8s/db.env", &format!("PASSWORD={TOKEN}\n"));
    let refused = sandbox.adopt(&["--yes", "--commit"]).failure(1);
    refused.says("hint: echo /kubernetes/base/db.env >> .gitignore");
    sandbox.append(".gitignore", "/kubernetes/base/db.env\n");
    sandbox.commit_all();
    fs::set_permissions(
        sandbox.hello("k8s/db.env"),
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )
    .unwrap();
    sandbox.adopt(&["--yes", "--commit"]).success();
    assert_eq!(super::support::mode(&sandbox.hello("kubernetes/base/db.env")), 0o600);
    assert_no_token(&all_objects(&sandbox, &sandbox.hello("")), "an object");
}

#[test]
fn no_object_changes_its_namespace() {
    let inside = |name: &str, namespace: &str| {
        deployment(name, IMAGE).replacen(
            "metadata:\n",
            &format!("metadata:\n  namespace: {namespace}\n"),
            1,
        )
    };
    let (one, two) = (inside("one", "a"), inside("two", "b"));
    let kustomization = ("k8s/kustomization.yaml", "resources:\n- one.yaml\n- two.yaml\n");
    refused(
        &[kustomization, ("k8s/one.yaml", &one), ("k8s/two.yaml", &two)],
        &["would be created again in another namespace"],
    );
    let live = "namespace: live\nresources:\n- app.yaml\n";
    let sandbox =
        with(&[("k8s/kustomization.yaml", live), ("k8s/app.yaml", &deployment("hello", IMAGE))]);
    let refused = sandbox.adopt(&["--yes", "--namespace", "other"]).failure(1);
    refused
        .says("it is in `live`, but `other` would be the namespace of `production`")
        .says("makeinfra adopt --namespace live");
}

#[test]
fn hints_name_what_is_there() {
    let hello = deployment("hello", IMAGE);
    let flow = "resources: [../../base]\nnamespace: web\n";
    let files = [
        ("k8s/base/kustomization.yaml", "resources:\n- app.yaml\n"),
        ("k8s/base/app.yaml", &*hello),
        ("k8s/overlays/production/kustomization.yaml", flow),
    ];
    refused(
        &files,
        &[
            "cannot edit `k8s/overlays/production/kustomization.yaml`",
            "${EDITOR:-vi} k8s/overlays/production/kustomization.yaml",
        ],
    );
    let sandbox = Sandbox::of_kustomize();
    let refused = sandbox.adopt(&["--yes", "--namespace", "one"]).failure(2);
    refused.says("hint: --namespace '{project}-{env}'");
}

#[test]
fn examples_say_nothing_of_the_image() {
    let example = deployment("aaa", "docker.io/evil/sample:9").replace("gitlab", "sample");
    let kustomization = ("k8s/kustomization.yaml", "resources:\n- app.yaml\n");
    let app = deployment("web", IMAGE);
    for (files, args) in [
        (vec![kustomization, ("k8s/app.yaml", &*app), ("docs/example.yaml", &example)], &[][..]),
        (
            vec![("k8s/app.yaml", &*app), ("kubernetes/base/example.yaml", &example)],
            &["--manifests", "k8s"],
        ),
    ] {
        let sandbox = with(&files);
        let plan = sandbox.adopt(&[&["--dry-run"], args].concat()).success();
        plan.prints(&format!("image        {IMAGE}\n")).prints("pull secret  gitlab, missing");
    }
}

#[test]
fn secrets_in_kustomizations_are_not_shown() {
    let literals = format!(
        "resources:\n- ../../base\nsecretGenerator:\n- name: s\n  literals:\n  - PASSWORD={TOKEN}\n"
    );
    let patch = format!(
        "resources:\n- ../../base\npatches:\n- patch: |-\n    apiVersion: v1\n    kind: Secret\n    metadata: {{name: s}}\n    stringData: {{PASSWORD: {TOKEN}}}\n"
    );
    for overlay in [literals, patch] {
        let sandbox = with(&[
            ("k8s/base/kustomization.yaml", "resources:\n- app.yaml\n- secret.yaml\n"),
            ("k8s/base/app.yaml", &deployment("hello", IMAGE)),
            ("k8s/base/secret.yaml", &secret("s").replace(TOKEN, "placeholder")),
            (
                "k8s/overlays/production/kustomization.yaml",
                &overlay.replace("name: s\n  lit", "name: t\n  lit"),
            ),
        ]);
        for args in [&["--dry-run", "--diff"][..], &["--dry-run", "--diff", "--json"]] {
            let output = sandbox.adopt(args).success();
            assert_no_token(output.stdout.as_bytes(), "stdout");
            assert!(output.stdout.contains("(contains a Secret, not shown)"), "{}", output.stdout);
        }
    }
}

#[test]
fn secrets_in_a_kept_file_that_is_no_yaml_are_not_shown() {
    let broken = format!("{}---\n{{{{ broken\n", secret("s"));
    let indented = secret("s").lines().map(|line| format!("    {line}\n")).collect::<String>();
    let readme = format!("# Hello\n\nOur Secret:\n\n{indented}");
    for (path, text) in [("scripts/deploy.sh", &broken), ("README.md", &readme)] {
        let sandbox = with(&[
            ("k8s/app.yaml", &deployment("hello", IMAGE)),
            ("Makefile", "deploy:\n"),
            (path, text),
        ]);
        let output = sandbox.adopt(&["--dry-run", "--diff"]).success();
        assert_no_token(output.stdout.as_bytes(), path);
        output.prints(&format!("+++ b/{path}\n(contains a Secret, not shown)"));
    }
}

#[test]
fn secrets_of_one_file_name_get_names_of_their_own_and_sops_stays() {
    let sops = "apiVersion: v1\nkind: Secret\nmetadata: {name: enc}\nstringData: {a: 'ENC[x]'}\nsops: {version: 3}\n";
    let sandbox = with(&[
        ("app/app.yaml", &deployment("hello", IMAGE)),
        ("app/secret.yaml", &secret("one")),
        ("db/secret.yaml", &secret("two")),
        ("app/enc.yaml", sops),
    ]);
    sandbox
        .adopt(&["--yes", "--commit"])
        .success()
        .prints("`app/enc.yaml` stays where it is: it is encrypted by SOPS");
    assert!(sandbox.read("secrets/kubernetes/secret.yaml").contains("name: one"));
    assert!(sandbox.read("secrets/kubernetes/two.yaml").contains("name: two"));
    assert_eq!(built(&sandbox, PRODUCTION).len(), 3);
}

#[test]
fn a_hint_after_a_failure_names_the_folder() {
    let sandbox = with(&[("apps/hello/k8s/app.yaml", &deployment("hello", IMAGE))]);
    let folder = sandbox.hello("apps/hello").canonicalize().unwrap();
    let refused = sandbox.adopt(&["apps/hello", "--no-input"]).failure(1);
    refused.says(&format!("hint: makeinfra adopt {} --yes", folder.display()));
}

#[test]
fn the_pull_secret_that_serves_an_image_is_the_one_to_name() {
    let bare = |name: &str, image: &str| {
        deployment(name, image).replace("      imagePullSecrets:\n        - name: gitlab\n", "")
    };
    let sandbox = with(&[
        ("k8s/hello.yaml", &deployment("hello", IMAGE)),
        ("k8s/worker.yaml", &bare("worker", "docker.io/team/worker:1")),
        ("k8s/cron.yaml", &bare("cron", "registry.gitlab.com/group/cron:1")),
        ("k8s/a.yaml", &pull_secret("ada", "hub", "dockercfg", "https://index.docker.io/v1/")),
        ("k8s/b.yaml", &pull_secret(USER, "gitlab", "dockercfg", "registry.gitlab.com")),
    ]);
    sandbox.adopt(&["--yes", "--commit"]).success().prints("pull secret  gitlab (dockercfg)");
    // Even if no workload references one yet.
    let unnamed = with(&[
        ("k8s/hello.yaml", &bare("hello", IMAGE)),
        ("k8s/a.yaml", &pull_secret("ada", "hub", "dockercfg", "https://index.docker.io/v1/")),
        ("k8s/b.yaml", &pull_secret(USER, "gitlab", "dockercfg", "registry.gitlab.com")),
    ]);
    unnamed.adopt(&["--dry-run"]).success().prints("pull secret  gitlab (dockercfg)");
    let check = sandbox.here(&["check"]).output();
    for (name, file) in [("hub", "worker"), ("gitlab", "cron")] {
        let hint = format!(
            "write `imagePullSecrets: [{{name: {name}}}]`: ${{EDITOR:-vi}} kubernetes/base/{file}.yaml; beside `containers:`"
        );
        assert!(check.stdout.contains(&hint), "{}", check.stdout);
    }
}
