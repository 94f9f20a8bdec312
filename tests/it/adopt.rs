//! `makeinfra adopt`: existing content stays, and everything works afterwards.

use super::by_hand::{MAKEFILE, deployment};
use super::support::{SECRET, Sandbox, TOKEN, all_objects, assert_no_token, files_below, mode};
use makeinfra::answers::Record;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

pub const PRODUCTION: &str = "kubernetes/overlays/production";

/// All files below the top, including git's.
fn everything(sandbox: &Sandbox) -> Vec<(String, Vec<u8>)> {
    let git =
        ["config", "git-crypt/keys/default", "HEAD", "index"].map(|path| format!(".git/{path}"));
    let files = files_below(&sandbox.hello("")).into_iter().chain(git);
    files.map(|path| (path.clone(), fs::read(sandbox.hello(&path)).unwrap_or_default())).collect()
}

/// The objects that kustomize builds, without makeinfra's labels and order.
pub fn built(sandbox: &Sandbox, dir: &str) -> Vec<serde_yaml::Value> {
    let output = sandbox.run("kubectl", &["kustomize", dir]).cwd(sandbox.hello("")).success();
    let documents = serde_yaml::Deserializer::from_str(&output.stdout);
    let mut all: Vec<serde_yaml::Value> =
        documents.map(|one| serde::Deserialize::deserialize(one).unwrap()).collect();
    for one in &mut all {
        let labels = one["metadata"].get_mut("labels").and_then(|labels| labels.as_mapping_mut());
        if let Some(labels) = labels {
            labels.retain(|key, _| !key.as_str().unwrap().starts_with("makeinfra/"));
            labels.shift_remove("app.kubernetes.io/component");
            if labels.is_empty() {
                one["metadata"].as_mapping_mut().unwrap().shift_remove("labels");
            }
        }
    }
    all.sort_by_key(|one| {
        format!("{} {}", one["kind"].as_str().unwrap(), one["metadata"]["name"].as_str().unwrap())
    });
    all
}

#[test]
fn the_posts_repository_is_taken_over() {
    let sandbox = Sandbox::of_the_post();
    let (deployment, service) =
        (sandbox.read("kubernetes/deployment.yaml"), sandbox.read("kubernetes/service.yaml"));
    let secret = sandbox.read("secrets/kubernetes/gitlab.yaml");
    let done = sandbox.adopt(&["--yes", "--commit"]).success();
    done.prints("image        registry.gitlab.com/group/hello:1.0.0").prints("committed as");
    done.prints("keeps `Makefile`, which lacks the targets diff, ");
    done.prints("`Makefile` refers to `kubernetes/deployment.yaml`, `secrets/kubernetes/gitlab.yaml`, which will move");
    // Bytes are preserved.
    assert_eq!(sandbox.read("kubernetes/base/deployment.yaml"), deployment);
    assert_eq!(sandbox.read("kubernetes/base/service.yaml"), service);
    assert_eq!(sandbox.read("Makefile"), MAKEFILE);
    let labelled =
        "metadata:\n  name: gitlab\n  labels:\n    app.kubernetes.io/component: pull-secret\n";
    assert_eq!(sandbox.read(SECRET), secret.replace("metadata:\n  name: gitlab\n", labelled));
    assert_eq!(mode(&sandbox.hello(SECRET)), 0o600);
    for gone in
        ["kubernetes/deployment.yaml", "kubernetes/service.yaml", "secrets/kubernetes/gitlab.yaml"]
    {
        assert!(!sandbox.hello(gone).exists(), "{gone}");
    }
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
    assert_no_token(&all_objects(&sandbox, &sandbox.hello("")), "an object");
    assert_no_token(done.stdout.as_bytes(), "the report");
    sandbox.is_sound();
    let objects = built(&sandbox, PRODUCTION);
    let kinds: Vec<_> = objects.iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["Deployment", "Secret", "Service"]);
    assert_eq!(
        objects[0]["spec"]["template"]["spec"]["containers"][0]["image"],
        "registry.gitlab.com/group/hello:1.0.0"
    );
    let record = Record::parse(sandbox.read(Record::FILE)).unwrap();
    assert_eq!(
        record.own.iter().map(String::as_str).collect::<Vec<_>>(),
        [
            ".gitattributes",
            "Makefile",
            "kubernetes/base/deployment.yaml",
            "kubernetes/base/service.yaml"
        ]
    );
    // Repeating it changes nothing.
    let before = sandbox.tree();
    sandbox.adopt(&["--yes", "--commit"]).success().prints("Nothing to do");
    sandbox.here(&["update", "--yes"]).success().prints("Nothing to do");
    assert_eq!(sandbox.tree(), before);
}

#[test]
fn afterwards_the_other_commands_work() {
    for sandbox in [Sandbox::of_the_post(), Sandbox::of_kustomize()] {
        let environments = sandbox.hello("k8s").exists();
        sandbox.adopt(&["--yes", "--commit"]).success();
        sandbox.rotate("gldt-Another_8Rz0", &["--commit"]).success();
        let value = sandbox.write_private("value", "pw").display().to_string();
        let env: &[&str] = if environments { &["--all-environments"] } else { &[] };
        let set = ["secret", "set", "database", "PASSWORD", "--from-file", &value, "--commit"];
        sandbox.here(&[&set, env].concat()).success();
        sandbox.here(&["env", "add", "qa", "--yes", "--commit"]).success();
        sandbox.here(&["add", "worker", "--port", "none", "--yes", "--commit"]).success();
        sandbox.here(&["update", "--check"]).success().prints("Up to date.");
        sandbox.is_sound();
        let objects = built(&sandbox, "kubernetes/overlays/qa");
        assert!(objects.iter().any(|one| one["metadata"]["name"] == "worker"));
        assert!(
            objects
                .iter()
                .all(|one| one["metadata"]["namespace"].as_str().unwrap().ends_with("-qa"))
        );
        sandbox.here(&["env", "remove", "qa", "--yes", "--commit"]).success();
        sandbox.here(&["remove", "worker", "--yes", "--commit"]).success();
        sandbox.is_sound();
    }
}

#[test]
fn a_dry_run_and_a_no_write_nothing() {
    for sandbox in [Sandbox::of_the_post(), Sandbox::of_kustomize()] {
        let before = everything(&sandbox);
        sandbox.adopt(&["--dry-run", "--diff"]).success().prints("Nothing was written");
        sandbox.adopt(&["--dry-run", "--json"]).success().json();
        sandbox.adopt(&[]).failure(2).says("cannot ask for confirmation");
        sandbox
            .adopt(&["--no-input"])
            .failure(1)
            .says("files would move; nothing was written")
            .says("--yes");
        assert!(everything(&sandbox) == before);
    }
}

#[test]
fn overlays_become_environments_and_plaintext_is_said_first() {
    let sandbox = Sandbox::of_kustomize();
    let before = built(&sandbox, "k8s/overlays/staging");
    let done = sandbox.adopt(&["--yes", "--commit"]).success();
    assert!(
        done.stderr
            .starts_with("warning: `k8s/overlays/production/regcred.yaml` is in git in plaintext"),
        "{}",
        done.stderr
    );
    done.prints(
        "environments production (namespace team-production), staging (namespace team-staging)",
    );
    done.prints("git-crypt    set up")
        .prints("`.gitlab-ci.yml` refers to `k8s/overlays/production`");
    assert!(built(&sandbox, "kubernetes/overlays/staging") == before);
    // Comments, order and quotes are preserved.
    let overlay = sandbox.read("kubernetes/overlays/staging/kustomization.yaml");
    for kept in [
        "# Where staging runs.\nnamespace: team-staging\n",
        "newTag: \"2.0.1\" # by hand\n",
        "- ../../base\n",
    ] {
        assert!(overlay.contains(kept), "{overlay}");
    }
    assert!(!overlay.contains("regcred.yaml"), "{overlay}");
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
    sandbox.is_sound();
    // A clone with the exported key decrypts everything.
    let key = sandbox.path("key").display().to_string();
    sandbox.run("git-crypt", &["export-key", &key]).cwd(sandbox.hello("")).success();
    sandbox.run("git", &["clone", "-q", "hello-infra", "clone"]).success();
    let secret = "secrets/kubernetes/staging/regcred.secret.yaml";
    assert_no_token(&fs::read(sandbox.work("clone").join(secret)).unwrap(), "the clone");
    sandbox.run("git-crypt", &["unlock", &key]).cwd(sandbox.work("clone")).success();
    assert_eq!(
        fs::read_to_string(sandbox.work("clone").join(secret)).unwrap(),
        sandbox.read(secret)
    );
    assert!(sandbox.read(secret).contains("name: regcred"));
}

#[test]
fn one_kustomization_becomes_the_base() {
    let sandbox = Sandbox::empty();
    sandbox.put("deploy/kustomization.yml", "namespace: web\nresources: [app.yaml]\nimages:\n- name: app\n  newName: registry.example.com/app\n  newTag: v3\n");
    sandbox.put("deploy/app.yaml", &deployment("app", "app"));
    sandbox.commit_all();
    let before = built(&sandbox, "deploy");
    sandbox.adopt(&["--yes", "--commit"]).success().prints("production (namespace web)");
    // The Secret does not exist yet.
    assert!(built(&sandbox, PRODUCTION) == before);
    assert_eq!(
        sandbox.read("kubernetes/base/kustomization.yml").lines().next(),
        Some("namespace: web")
    );
    sandbox.rotate(TOKEN, &["--commit"]).success();
    sandbox.here(&["check"]).success();
}

#[test]
fn a_folder_of_a_larger_repository_is_adopted_alone() {
    let sandbox = Sandbox::empty();
    sandbox.put("apps/shop/k8s/app.yaml", &deployment("shop", "registry.gitlab.com/group/shop:1"));
    sandbox
        .put("apps/other/k8s/app.yaml", &deployment("other", "registry.gitlab.com/group/other:1"));
    sandbox.commit_all();
    let done = sandbox.adopt(&["apps/shop", "--yes", "--commit"]).success();
    done.prints("project      shop")
        .prints("requires this line: sh apps/shop/.githooks/pre-commit || exit 1");
    assert!(sandbox.hello("apps/shop/.makeinfra.yaml").exists());
    assert!(
        sandbox.hello("apps/other/k8s/app.yaml").exists() && !sandbox.hello("Makefile").exists()
    );
    assert!(!sandbox.hello("apps/shop/.gitlab-ci.yml").exists());
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
    let token = sandbox.path("token").display().to_string();
    let rotate =
        ["rotate", "apps/shop", "--token-username", "u", "--token-file", &token, "--commit"];
    sandbox.here(&rotate).success();
    assert_no_token(&all_objects(&sandbox, &sandbox.hello("")), "an object");
    sandbox.here(&["check", "apps/shop"]).success();
    sandbox.here(&["update", "apps/shop", "--check"]).success();
    sandbox.run("make", &["-C", "apps/shop", "check-secrets"]).cwd(sandbox.hello("")).success();
}

#[test]
fn a_record_that_was_deleted_comes_back() {
    let both = ["--env", "staging", "--env", "production", "--ingress", "hello.example.com"];
    for args in [&[][..], &both, &["--port", "none", "--secret-name", "regcred"]] {
        for squashed in [false, true] {
            let sandbox = Sandbox::new();
            sandbox.new_hello(args).success();
            sandbox.append("README.md", "\nOurs.\n");
            let record = sandbox.read(Record::FILE);
            fs::remove_file(sandbox.hello(Record::FILE)).unwrap();
            sandbox.commit_all();
            if squashed {
                let tree =
                    sandbox.git(&["commit-tree", "HEAD^{tree}", "-m", "All"]).success().stdout;
                sandbox.git(&["reset", "-q", "--hard", tree.trim()]).success();
            }
            let before = sandbox.tree();
            // The name of the directory does not matter.
            fs::rename(sandbox.hello(""), sandbox.work("other")).unwrap();
            sandbox.makeinfra(&["adopt", "other", "--yes", "--commit"]).success();
            fs::rename(sandbox.work("other"), sandbox.hello("")).unwrap();
            let mut after = sandbox.tree();
            let found = String::from_utf8(after.remove(Record::FILE).unwrap()).unwrap();
            assert_eq!(after, before);
            let [found, record] = [found, record].map(|text| Record::parse(text).unwrap());
            assert_eq!((&found.own, found.version), (&record.own, record.version));
            let sorted = |answers: makeinfra::answers::Answers| {
                let mut all: Vec<_> = answers.environments.iter().cloned().collect();
                all.sort_by_key(|one| one.name.to_string());
                (
                    all,
                    answers.components,
                    answers.registry,
                    answers.secret_name,
                    answers.ci,
                    answers.pod_security,
                )
            };
            assert_eq!(sorted(found.answers), sorted(record.answers));
            sandbox.here(&["update", "--check"]).success();
            sandbox.is_sound();
        }
    }
}

#[test]
fn a_link_stays_one() {
    let sandbox = Sandbox::of_the_post();
    fs::rename(sandbox.hello("Makefile"), sandbox.work("Makefile")).unwrap();
    symlink("../Makefile", sandbox.hello("Makefile")).unwrap();
    symlink("service.yaml", sandbox.hello("kubernetes/alias.yaml")).unwrap();
    sandbox.commit_all();
    let done = sandbox.adopt(&["--yes", "--commit"]).success();
    done.prints("`kubernetes/alias.yaml` stays unchanged: it is not a regular file");
    assert_eq!(fs::read_link(sandbox.hello("Makefile")).unwrap(), Path::new("../Makefile"));
    assert_eq!(
        fs::read_link(sandbox.hello("kubernetes/alias.yaml")).unwrap(),
        Path::new("service.yaml")
    );
    assert_eq!(fs::read_to_string(sandbox.work("Makefile")).unwrap(), MAKEFILE);
    assert!(Record::parse(sandbox.read(Record::FILE)).unwrap().own.contains("Makefile"));
}

#[test]
fn what_cannot_be_adopted_is_refused_with_nothing_written() {
    let refused = |sandbox: &Sandbox, args: &[&str], code: i32, says: &[&str]| {
        let before = everything(sandbox);
        let output = sandbox.adopt(&[&["--yes", "--commit"], args].concat()).failure(code);
        for text in says {
            output.says(text);
        }
        assert!(everything(sandbox) == before, "{says:?}");
    };
    // A locked clone.
    let sandbox = Sandbox::of_the_post();
    sandbox.run("git-crypt", &["lock"]).cwd(sandbox.hello("")).success();
    refused(&sandbox, &[], 10, &["this clone is locked", "hint: git-crypt unlock"]);
    // No workload.
    let sandbox = Sandbox::empty();
    sandbox.put("README.md", "# Nothing\n");
    sandbox.commit_all();
    refused(&sandbox, &[], 2, &["no workload with an image found", "adopt --manifests DIR"]);
    // Several namespaces.
    for name in ["one", "two"] {
        let text = deployment(name, "a/b:1").replacen(
            "metadata:\n",
            &format!("metadata:\n  namespace: {name}\n"),
            1,
        );
        sandbox.put(&format!("{name}/app.yaml"), &text);
    }
    sandbox.commit_all();
    refused(
        &sandbox,
        &[],
        1,
        &["the manifests name several namespaces", "`one` and `two`", "--manifests DIR"],
    );
    sandbox.adopt(&["--manifests", "one", "--dry-run"]).success().prints("from one/app.yaml");
    // Kustomizations without a base.
    let sandbox = Sandbox::empty();
    for name in ["one", "two"] {
        sandbox.put(&format!("{name}/app.yaml"), &deployment("app", "a/b:1"));
        sandbox.put(&format!("{name}/kustomization.yaml"), "resources:\n- app.yaml\n");
    }
    sandbox.commit_all();
    refused(&sandbox, &[], 1, &["cannot determine which kustomization is the base", "one, two"]);
    // Files that git would not see, and one that the generated Makefile needs.
    let sandbox = Sandbox::of_the_post();
    sandbox.put(".gitignore", "overlays/\n");
    sandbox.commit_all();
    refused(&sandbox, &[], 1, &["git ignores files that would be written", "git check-ignore -v"]);
    let sandbox = Sandbox::of_the_post();
    sandbox.put("scripts/deploy.sh", "echo ours\n");
    sandbox.commit_all();
    refused(
        &sandbox,
        &["--take", "Makefile"],
        1,
        &["the generated Makefile requires `scripts/deploy.sh`"],
    );
    refused(&sandbox, &["--take", "nothing"], 2, &["`--take nothing` is not a generated file"]);
    refused(&sandbox, &["--namespace", "A B"], 2, &["--namespace"]);
    refused(&sandbox, &["--project", "A B"], 2, &["`--project` must consist"]);
    // No git.
    sandbox.makeinfra(&["adopt", "."]).failure(1).says("no git repository").says("hint: git init");
}

#[test]
fn the_makefile_can_be_taken() {
    let sandbox = Sandbox::of_the_post();
    sandbox
        .adopt(&["--dry-run", "--diff"])
        .success()
        .prints("Not done (--take Makefile):\n--- a/Makefile");
    let done = sandbox.adopt(&["--yes", "--commit", "--take", "Makefile"]).success();
    done.prints("make deploy");
    assert!(!done.stdout.contains("`Makefile` refers to"), "{}", done.stdout);
    assert!(!Record::parse(sandbox.read(Record::FILE)).unwrap().own.contains("Makefile"));
    sandbox.is_sound();
    sandbox.make(&["help"]).success().prints("environments: production");
    // Also later.
    let sandbox = Sandbox::of_the_post();
    sandbox.adopt(&["--yes", "--commit"]).success();
    sandbox.here(&["update", "--yes", "--commit", "--take", "Makefile"]).success();
    sandbox.is_sound();
    sandbox.make(&["help"]).success();
}

#[test]
fn dead_ends_point_here() {
    let sandbox = Sandbox::of_the_post();
    for command in [&["add", "worker"][..], &["env", "add", "qa"], &["update"], &["env", "list"]] {
        sandbox
            .here(command)
            .failure(1)
            .says("was not generated by makeinfra")
            .says("hint: makeinfra adopt");
    }
}

#[test]
fn attributes_that_cannot_be_read_are_not_taken_for_absent() {
    let sandbox = Sandbox::of_the_post();
    let before = sandbox.tree();
    // A path that is not a file cannot be read.
    let file = sandbox.write("home/.config/git/attributes", "");
    std::fs::remove_file(&file).unwrap();
    sandbox.run("mkfifo", &[&file.display().to_string()]).success();
    let output = sandbox.here(&["adopt", "--yes", "--commit"]).failure(3);
    output.says("cannot determine whether git encrypts `secrets/kubernetes/gitlab.secret.yaml`");
    output.says("git check-attr filter");
    assert_eq!(sandbox.tree(), before);
    std::fs::remove_file(&file).unwrap();
    sandbox.here(&["adopt", "--yes", "--commit"]).success();
}
