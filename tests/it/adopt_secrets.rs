//! `makeinfra adopt` and Secrets in various forms: afterwards a rotation works, or is not
//! suggested.

use super::adopt::{self, PRODUCTION};
use super::by_hand::{deployment, pull_secret};
use super::env_add::repeated_with;
use super::support::{SECRET, Sandbox, TOKEN, USER, assert_no_token};
use std::fs;

const IMAGE: &str = "registry.gitlab.com/group/hello:1.0.0";
const KUSTOMIZATION: &str = "# Ours.\nresources:\n- app.yaml\n";

fn pull() -> String {
    pull_secret(USER, "gitlab", "dockerconfigjson", "registry.gitlab.com")
}

/// The objects that kustomize builds, without the namespace that only the overlay sets.
fn built(sandbox: &Sandbox, dir: &str) -> Vec<serde_yaml::Value> {
    let mut all = adopt::built(sandbox, dir);
    for one in &mut all {
        one["metadata"].as_mapping_mut().unwrap().shift_remove("namespace");
    }
    all
}

fn opaque(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\nstringData:\n  PASSWORD: {TOKEN}\n"
    )
}

/// `text` as a list item.
fn item(text: &str) -> String {
    format!("- {}\n", text.trim_end().replace('\n', "\n  "))
}

fn with(files: &[(&str, &str)]) -> Sandbox {
    let sandbox = Sandbox::empty();
    for (path, text) in files {
        sandbox.put(path, text);
    }
    sandbox.commit_all();
    sandbox
}

/// Adopts, and expects the same objects as before, a pull secret that can be rotated, and no token
/// in a commit.
fn adopted(sandbox: &Sandbox, before: &[serde_yaml::Value]) {
    let commit = sandbox.git(&["rev-parse", "HEAD"]).success().stdout;
    let done = sandbox.adopt(&["--yes", "--commit"]).success();
    done.prints("pull secret  gitlab (dockerconfigjson)");
    done.prints("gets the label `app.kubernetes.io/component: pull-secret`");
    assert!(built(sandbox, PRODUCTION) == before, "{}", done.stdout);
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
    assert_no_token(done.stdout.as_bytes(), "the report");
    let new =
        sandbox.git(&["diff", commit.trim(), "HEAD", "--no-textconv", "--text"]).success().stdout;
    let added: String = new.lines().filter(|line| line.starts_with('+')).collect();
    assert_no_token(added.as_bytes(), "the commit");
    sandbox.adopt(&["--yes", "--commit"]).success().prints("Nothing to do");
    sandbox
        .rotate("gldt-Another_8Rz0", &["--commit"])
        .success()
        .prints(&format!("Rotated {SECRET}"));
    sandbox.here(&["update", "--check"]).success();
    sandbox.here(&["check"]).success();
    assert_eq!(built(sandbox, PRODUCTION).len(), before.len());
}

#[test]
fn a_secret_among_other_objects_gets_a_file_of_its_own() {
    let app = deployment("hello", IMAGE);
    let list =
        format!("apiVersion: v1\nkind: List\nitems:\n# The web.\n{}{}", item(&app), item(&pull()));
    for (shared, rest) in [
        (format!("{app}---\n{}", pull()), app.clone()),
        (format!("# Ours.\n---\n{}---\n{app}", pull()), format!("# Ours.\n---\n{app}")),
        (format!("{app}---\n{}---\n{}", pull(), opaque("database")), app.clone()),
        (list.clone(), list.replace(&item(&pull()), "")),
    ] {
        for kustomization in [None, Some(KUSTOMIZATION)] {
            let mut files = vec![("k8s/app.yaml", &*shared)];
            files.extend(kustomization.map(|text| ("k8s/kustomization.yaml", text)));
            let sandbox = with(&files);
            sandbox.put("one/kustomization.yaml", "resources:\n- app.yaml\n");
            fs::copy(sandbox.hello("k8s/app.yaml"), sandbox.hello("one/app.yaml")).unwrap();
            let before = built(&sandbox, "one");
            fs::remove_dir_all(sandbox.hello("one")).unwrap();
            adopted(&sandbox, &before);
            assert_eq!(sandbox.read("kubernetes/base/app.yaml"), rest);
            assert!(!sandbox.hello("k8s/app.yaml").exists());
        }
    }
}

#[test]
fn a_file_that_stays_in_its_place_loses_its_secrets_alone() {
    let app = deployment("hello", IMAGE);
    let sandbox = with(&[
        ("kubernetes/base/app.yaml", &*format!("{app}---\n{}", pull())),
        ("kubernetes/base/kustomization.yaml", KUSTOMIZATION),
        ("secrets/kubernetes/more.yaml", &format!("{}---\n{}", opaque("one"), opaque("two"))),
    ]);
    let done = sandbox.adopt(&["--yes", "--diff"]).success();
    done.prints("Secret `gitlab` moves from `kubernetes/base/app.yaml` to its own file");
    assert_no_token(done.stdout.as_bytes(), "the diff");
    assert_eq!(sandbox.read("kubernetes/base/app.yaml"), app);
    assert_eq!(
        sandbox.read("secrets/kubernetes/more.yaml"),
        format!("{}---\n{}", opaque("one"), opaque("two"))
    );
    assert_eq!(built(&sandbox, PRODUCTION).len(), 4);
}

#[test]
fn each_environment_gets_what_it_had() {
    let app = deployment("hello", IMAGE);
    let overlay = "resources:\n- ../../base\n- own.yaml\n";
    let own = |name: &str| format!("{}---\n{}", opaque(name), pull());
    let both = format!("{app}---\n{}", opaque("shared"));
    let mut files =
        vec![("k8s/base/kustomization.yaml", KUSTOMIZATION), ("k8s/base/app.yaml", &*both)];
    let texts = ["staging", "production"].map(|name| {
        let dir = format!("k8s/overlays/{name}");
        [
            (format!("{dir}/kustomization.yaml"), format!("namespace: {name}\n{overlay}")),
            (format!("{dir}/own.yaml"), own(name)),
        ]
    });
    files.extend(texts.iter().flatten().map(|(path, text)| (&**path, &**text)));
    let sandbox = with(&files);
    let before =
        ["staging", "production"].map(|name| built(&sandbox, &format!("k8s/overlays/{name}")));
    sandbox.adopt(&["--yes", "--commit"]).success();
    for (name, before) in ["staging", "production"].iter().zip(before) {
        assert!(built(&sandbox, &format!("kubernetes/overlays/{name}")) == before, "{name}");
        assert!(
            sandbox
                .read(&format!("secrets/kubernetes/{name}/gitlab.secret.yaml"))
                .contains(".dockerconfigjson")
        );
        assert!(sandbox.hello(&format!("secrets/kubernetes/{name}/shared.yaml")).exists());
    }
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
    sandbox.is_sound();
}

#[test]
fn a_pull_secret_in_any_form_can_be_rotated_and_deployed() {
    let app = deployment("hello", IMAGE);
    let block = pull();
    let json =
        serde_json::to_string_pretty(&serde_yaml::from_str::<serde_json::Value>(&block).unwrap())
            .unwrap();
    let flow = "metadata: {name: gitlab, labels: {team: web}}\n";
    for (name, text) in [
        ("pull.yaml", block.replace("metadata:\n  name: gitlab\n", flow)),
        ("pull.yaml", block.replace("metadata:\n  name: gitlab\n", "metadata: {name: gitlab}\n")),
        ("pull.yaml", block.replace("\ndata:\n  ", "\ndata: {").trim_end().to_owned() + "}\n"),
        ("pull.yaml", format!("apiVersion: v1\nkind: List\nitems:\n{}", item(&block))),
        ("pull.yaml", format!("---\n{block}---\n")),
        (
            "pull.yaml",
            block.replace(
                "name: gitlab\n",
                "name: gitlab\n  labels:\n    app.kubernetes.io/component: web\n",
            ),
        ),
        ("pull.json", json),
    ] {
        let path = format!("k8s/{name}");
        let sandbox = with(&[("k8s/app.yaml", &*app), (&path, &text)]);
        sandbox.put("one/kustomization.yaml", &format!("resources:\n- app.yaml\n- {name}\n"));
        for file in ["app.yaml", name] {
            fs::copy(sandbox.hello(&format!("k8s/{file}")), sandbox.hello(&format!("one/{file}")))
                .unwrap();
        }
        let before = built(&sandbox, "one");
        fs::remove_dir_all(sandbox.hello("one")).unwrap();
        adopted(&sandbox, &before);
        assert!(sandbox.read(SECRET).contains("\n    app.kubernetes.io/component: pull-secret\n"));
    }
    // The API server encodes `stringData` itself.
    let config = format!(
        "{{\"auths\":{{\"registry.gitlab.com\":{{\"username\":\"u\",\"password\":\"{TOKEN}\"}}}}}}"
    );
    let (head, _) = block.split_once("\ndata:\n").unwrap();
    let sandbox = with(&[
        ("k8s/app.yaml", &*app),
        ("k8s/pull.yaml", &format!("{head}\nstringData:\n  .dockerconfigjson: '{config}'\n")),
    ]);
    sandbox.adopt(&["--yes", "--commit"]).success().prints("is rewritten in block style");
    assert!(sandbox.read(SECRET).contains("\ndata:\n  .dockerconfigjson: "));
    sandbox.rotate("gldt-Another_8Rz0", &["--commit"]).success();
}

#[test]
fn no_command_makes_a_secret_twice() {
    let app = deployment("hello", IMAGE);
    let patched = "resources:\n- app.yaml\n- secrets.yaml\npatches:\n- path: patch.yaml\n";
    let patch = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: gitlab\n  annotations: {a: b}\n";
    let sandbox = with(&[
        ("k8s/kustomization.yaml", patched),
        ("k8s/app.yaml", &*app),
        ("k8s/patch.yaml", patch),
        ("k8s/secrets.yaml", &format!("{}---\n{}", pull(), opaque("database"))),
    ]);
    let before = built(&sandbox, "k8s");
    let done = sandbox.adopt(&["--yes", "--commit"]).success();
    done.prints("pull secret  gitlab, in plaintext");
    done.says("remove the Secret there, create it again under secrets/ (`makeinfra secret set database KEY`)");
    done.says("remove the Secret there, create it again under secrets/ (`makeinfra rotate`)");
    assert!(!done.stdout.contains("makeinfra rotate"), "{}", done.stdout);
    assert!(built(&sandbox, PRODUCTION) == before);
    let file = "kubernetes/base/secrets.yaml";
    let value = sandbox.write_private("value", "pw").display().to_string();
    sandbox
        .here(&["secret", "set", "database", "PASSWORD", "--from-file", &value])
        .failure(1)
        .says(&format!("`{file}` already defines it, and kustomize accepts only one definition"))
        .says(&format!("hint: remove it there first: ${{EDITOR:-vi}} {file}"));
    sandbox
        .rotate("gldt-Another_8Rz0", &[])
        .failure(1)
        .says(&format!("`{file}` already defines it, and kustomize accepts only one definition"));
    let check = sandbox.here(&["check"]).output();
    assert!(
        check.stdout.contains(&format!("file is missing; the pull secret is in {file}")),
        "{}",
        check.stdout
    );
    assert!(built(&sandbox, PRODUCTION) == before);
    // As the hints say.
    sandbox.put(file, "");
    sandbox.put("kubernetes/base/kustomization.yaml", "resources:\n- app.yaml\n");
    sandbox.rotate("gldt-Another_8Rz0", &[]).success();
    sandbox.here(&["secret", "set", "database", "PASSWORD", "--from-file", &value]).success();
    assert_eq!(built(&sandbox, PRODUCTION).len(), before.len());
}

#[test]
fn the_advice_to_name_a_secret_is_about_a_file_that_is_there() {
    let web = deployment("web", IMAGE);
    let sandbox = with(&[("k8s/web.yaml", &*web), ("k8s/pull.yaml", &pull())]);
    sandbox.adopt(&["--yes", "--commit", "--project", "shop"]).success();
    let value = sandbox.write_private("value", "pw").display().to_string();
    let set = ["secret", "set", "database", "PASSWORD", "--from-file", &value];
    sandbox.here(&set).success().prints("add beside `image` in kubernetes/base/web.yaml:");
}

#[test]
fn a_secret_that_was_taken_out_before_a_kill_is_taken_out() {
    let both = format!("{}---\n{}", deployment("hello", IMAGE), pull());
    for dir in ["k8s", "kubernetes/base"] {
        let (app, list) = (format!("{dir}/app.yaml"), format!("{dir}/kustomization.yaml"));
        let shared = || with(&[(&app, &both), (&list, KUSTOMIZATION)]);
        repeated_with(&shared, &["adopt"], &[]);
    }
}
