//! `makeinfra env add`: the plan, what it leaves alone, what is in its way.

use super::environments::{built, with_environments};
use super::support::{Sandbox, files_below};
use std::collections::BTreeMap;
use std::fs;

impl Sandbox {
    fn env_add(&self, args: &[&str]) -> super::support::Run {
        self.makeinfra(&[&["env", "add"], args].concat()).cwd(self.work("hello-infra"))
    }

    /// Every file of the work tree.
    fn tree(&self) -> BTreeMap<String, Vec<u8>> {
        let files = files_below(&self.hello("")).into_iter().filter(|path| !path.starts_with(".git/"));
        files.map(|path| (path.clone(), fs::read(self.hello(&path)).unwrap())).collect()
    }
}

#[test]
fn a_repository_without_environments_gets_two() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--ingress", "hello.example.com", "--expires-at", "2030-01-01"]).success();
    // What people do in the meantime.
    sandbox.make(&["set-image", "TAG=1.2.3"]).success();
    let file = sandbox.hello("kubernetes/base/deployment.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let text = text.replace("replicas: 2", "replicas: 5").replace("memory: 256Mi", "memory: 1Gi");
    fs::write(&file, text.replace("enableServiceLinks: false", "enableServiceLinks: true")).unwrap();
    let secret = sandbox.tree()["secrets/kubernetes/gitlab.secret.yaml"].clone();
    let before = built(&sandbox, "kubernetes");

    let untouched = sandbox.tree();
    sandbox.env_add(&["staging", "--dry-run"]).success().prints("Nothing was written");
    sandbox
        .env_add(&["staging"])
        .failure(2)
        .says("hint: the same with --dry-run, to see it, or with --no-input");
    assert_eq!(sandbox.tree(), untouched);

    let output = sandbox.env_add(&["staging", "--no-input"]).success();
    output.prints("Added environment staging.").prints("make deploy ENV=staging");
    assert_eq!(built(&sandbox, "kubernetes/overlays/production"), before, "it keeps all that it had");
    let tree = sandbox.tree();
    assert_eq!(tree["secrets/kubernetes/gitlab.secret.yaml"], secret);
    assert!(
        !tree.contains_key("kubernetes/base/deployment.yaml")
            && tree.contains_key("kubernetes/base/deployment.yaml")
    );
    if let Some(documents) = built(&sandbox, "kubernetes/overlays/staging") {
        let deployment = documents.iter().find(|document| document["kind"] == "Deployment").unwrap();
        assert_eq!(deployment["metadata"]["namespace"], "hello-staging");
        assert_eq!(deployment["spec"]["replicas"], 1);
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["image"], "registry.gitlab.com/group/hello:1.2.3");
        assert_eq!(container["resources"]["limits"]["memory"], "1Gi");
    }
    // The new Secret has the first one's token and expiry.
    let plain = |path: &str| String::from_utf8(sandbox.tree()[path].clone()).unwrap();
    let data = |text: &str| text.lines().find(|line| line.contains(".dockercfg:")).unwrap().to_owned();
    let new = plain("secrets/kubernetes/staging/gitlab.secret.yaml");
    assert_eq!(data(&new), data(&plain("secrets/kubernetes/gitlab.secret.yaml")));
    assert!(new.contains("2030-01-01") && new.contains("namespace: hello-staging"));
    assert_eq!(super::support::mode(&sandbox.hello("secrets/kubernetes/staging/gitlab.secret.yaml")), 0o600);
    sandbox.git(&["add", "-A"]).success();
    sandbox.git(&["commit", "-qm", "Add an environment"]).success();
    sandbox.makeinfra(&["check", "hello-infra"]).success().prints("0 problems, 0 warnings");
    sandbox.rotate("gldt-Second", &["--dry-run"]).success().prints("staging/");

    sandbox
        .env_add(&["qa", "--no-input", "--protect", "--context", "us", "--ingress", "qa.example.org"])
        .success();
    let listed = sandbox.makeinfra(&["env", "list", "hello-infra", "--json"]).success().json();
    let names: Vec<_> =
        listed["environments"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, ["production", "staging", "qa"]);
    assert_eq!(built(&sandbox, "kubernetes/overlays/production"), before);
}

#[test]
fn what_a_killed_run_has_left_undone_is_done_by_the_next_one() {
    const RECORD: &str = ".makeinfra.yaml";
    let new = ["--ingress", "hello.example.com", "--config", "settings.env"];
    let original = || {
        let sandbox = Sandbox::new();
        sandbox.write("work/settings.env", "LOG_LEVEL=info\n");
        sandbox.new_hello(&new).success();
        sandbox.make(&["set-image", "TAG=1.2.3"]).success();
        sandbox
    };
    let put = |sandbox: &Sandbox, path: &str, content: &[u8]| {
        let name = sandbox.hello(path).strip_prefix(sandbox.path("")).unwrap().to_str().unwrap().to_owned();
        sandbox.write_private(&name, content);
    };
    let done = original();
    let before = done.tree();
    done.env_add(&["staging", "--no-input"]).success();
    let after = done.tree();
    let changed: Vec<_> = after.iter().filter(|(path, text)| before.get(*path) != Some(*text)).collect();
    let is_secret = |path: &str| path.starts_with("secrets/");
    let mut order: Vec<_> = changed.iter().filter(|(path, _)| is_secret(path)).collect();
    order.extend(changed.iter().filter(|(path, _)| !is_secret(path) && *path != RECORD));
    assert!(order.len() > 8, "{order:?}");
    for written in 0..=order.len() {
        // The git-crypt key is another one for each, and no file of the tree.
        let sandbox = original();
        let same = |path: &str| !path.ends_with(".secret.yaml");
        for (path, text) in &order[..written] {
            // The Secret has the token of the first.
            put(&sandbox, path, text);
        }
        // What was written and not yet in its place has the token in it.
        let leftover = "secrets/kubernetes/staging/.gitlab.secret.yaml.makeinfra-Ab12Cd34Ef56";
        put(&sandbox, leftover, b"plain");
        let output = sandbox.env_add(&["staging", "--no-input"]).success();
        output.says("which a run that was killed had left behind");
        let found = sandbox.tree();
        assert_eq!(found.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>(), "{written}");
        for (path, text) in found.iter().filter(|(path, _)| same(path)) {
            assert_eq!(text, &after[path], "{written}: {path}");
        }
    }
    // All is in its place but what has moved.
    let left = ["config.env", "deployment.yaml", "ingress.yaml", "kustomization.yaml", "namespace.yaml"];
    let left = left.map(|name| format!("kubernetes/{name}"));
    for path in &left {
        put(&done, path, &before[path]);
    }
    let output = done.env_add(&["staging", "--no-input"]).failure(1);
    output.says("a run that was killed").says(&format!("hint: rm {}\n", left.join(" ")));
}

#[test]
fn a_file_that_was_edited_stops_it_before_anything_is_written() {
    for edited in
        ["Makefile", "README.md", ".gitlab-ci.yml", "kubernetes/overlays/production/kustomization.yaml"]
    {
        let sandbox = Sandbox::with_hello();
        let file = sandbox.hello(edited);
        fs::write(&file, fs::read_to_string(&file).unwrap() + "# mine\n").unwrap();
        let before = sandbox.tree();
        let output = sandbox.env_add(&["staging", "--no-input"]).failure(1);
        output
            .says("files are in the way, and nothing was written")
            .says("it was edited, so it is not replaced");
        // What has to move cannot stay.
        output.says(if edited.ends_with("kustomization.yaml") { "undo that edit" } else { " --keep " });
        assert!(
            output.stdout.contains("\n@@ ") && output.stdout.contains("\n+"),
            "the change: {}",
            output.stdout
        );
        assert_eq!(sandbox.tree(), before, "{edited}");
    }
}

#[test]
fn an_edited_file_can_be_kept() {
    let sandbox = Sandbox::with_hello();
    fs::write(sandbox.hello("README.md"), "# Ours\n").unwrap();
    let output = sandbox.env_add(&["staging", "--no-input", "--keep", "README.md"]).success();
    output.prints("`README.md` stays as it is");
    assert_eq!(fs::read_to_string(sandbox.hello("README.md")).unwrap(), "# Ours\n");
    assert!(sandbox.hello("kubernetes/overlays/staging/kustomization.yaml").exists());
}

#[test]
fn what_is_in_the_way_is_told_and_stays() {
    let sandbox = with_environments(&[]);
    let before = sandbox.tree();
    sandbox.env_add(&["staging", "--no-input"]).failure(1).says("there is an environment `staging` already");
    sandbox.env_add(&["Qa", "--no-input"]).failure(2).says("`NAME` must begin");
    sandbox
        .env_add(&["qa", "--existing", "x", "--no-input"])
        .failure(2)
        .says("`--existing` is for a repository");
    sandbox.env_add(&["qa", "--ingress", "a.example.com", "--no-input"]).failure(2).says("has none");
    sandbox
        .env_add(&["qa", "--namespace", "hello-staging", "--no-input"])
        .failure(2)
        .says("is that of staging in the same cluster");
    sandbox.env_add(&["qa", "--replicas", "-1", "--no-input"]).failure(2).says("`--replicas` must be");
    assert_eq!(sandbox.tree(), before);
    fs::create_dir_all(sandbox.hello("secrets/kubernetes/qa")).unwrap();
    fs::write(sandbox.hello("secrets/kubernetes/qa/gitlab.secret.yaml"), "mine").unwrap();
    sandbox
        .env_add(&["qa", "--no-input"])
        .failure(1)
        .says("`secrets/kubernetes/qa/gitlab.secret.yaml` exists already");
    assert!(!sandbox.hello("kubernetes/overlays/qa").exists());

    let single = Sandbox::with_hello();
    single
        .env_add(&["production", "--no-input"])
        .failure(2)
        .says("makeinfra env add production --existing staging");
    single.env_add(&["production", "--existing", "staging", "--no-input"]).success();
    let listed = single.makeinfra(&["env", "list", "hello-infra"]).success().stdout;
    assert!(listed.contains("staging                 hello "), "{listed}");
    assert!(listed.contains("production (protected)  hello-production "), "{listed}");
}

#[test]
fn a_locked_clone_cannot_copy_the_token() {
    let sandbox = Sandbox::with_hello();
    let blob =
        sandbox.git(&["cat-file", "blob", "HEAD:secrets/kubernetes/gitlab.secret.yaml"]).success().bytes;
    fs::write(sandbox.hello("secrets/kubernetes/gitlab.secret.yaml"), blob).unwrap();
    let before = sandbox.tree();
    sandbox.env_add(&["staging", "--no-input"]).failure(1).says("it is locked").says("git-crypt unlock");
    assert_eq!(sandbox.tree(), before);
}

#[test]
fn without_a_token_there_is_none_for_the_new_one_either() {
    let sandbox = Sandbox::new();
    sandbox.new_without_token(&[]).success();
    sandbox.env_add(&["staging", "--no-input"]).success().prints("makeinfra rotate --env staging");
    assert!(!sandbox.hello("secrets").exists());
    sandbox.rotate("gldt-First", &["--env", "staging"]).success().prints("Created");
    assert!(sandbox.hello("secrets/kubernetes/staging/gitlab.secret.yaml").exists());
}

#[test]
fn a_directory_that_cannot_be_written_to_leaves_everything_as_it_was() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::with_hello();
    // Root writes anywhere: a file in the place of a directory stops it, too.
    fs::write(sandbox.hello("kubernetes/overlays"), "mine").unwrap();
    let before = sandbox.tree();
    sandbox.env_add(&["staging", "--no-input"]).failure(1);
    assert_eq!(sandbox.tree(), before);
    assert!(
        !sandbox.hello("kubernetes/base").exists() && !sandbox.hello("secrets/kubernetes/staging").exists()
    );
    let mode = fs::metadata(sandbox.hello("kubernetes")).unwrap().permissions().mode();
    assert_eq!(mode & 0o700, 0o700);
}
