//! `makeinfra update`: local changes stay, and changes of the templates arrive.

use super::older::{Edit, OLDER};
use super::support::{Run, Sandbox, have, mode};
use makeinfra::answers::Record;
use std::fs;

pub const DEPLOYMENT: &str = "kubernetes/base/deployment.yaml";
pub const BASE: &str = "kubernetes/base/kustomization.yaml";
pub const OVERLAY: &str = "kubernetes/overlays/production/kustomization.yaml";

/// Changes in this version: a comment, a field, the head of a file, a list, a line of the README, a
/// new file, a removed file.
const CHANGES: [Edit; 7] = [
    (
        "kubernetes/base/COMPONENT/WORKLOAD.yaml.tera",
        "  # Immutable: only a label that never changes belongs here.\n",
        "",
    ),
    (
        "kubernetes/base/COMPONENT/WORKLOAD.yaml.tera",
        "revisionHistoryLimit: 5",
        "revisionHistoryLimit: 9",
    ),
    (
        "Makefile.tera",
        "# Deploys {{ project }} to Kubernetes.",
        "# Brings {{ project }} to Kubernetes.",
    ),
    ("kubernetes/base/kustomization.yaml.tera", "resources:\n", "resources:\n  - old.yaml\n"),
    ("kubernetes/base/old.yaml", "", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: old\n"),
    ("README.md.tera", "Deploying requires", "To deploy you need"),
    ("dot_gitignore", "", ""),
];

pub fn older(args: &[&str]) -> Sandbox {
    Sandbox::older(&CHANGES, args)
}

pub fn update(sandbox: &Sandbox, args: &[&str]) -> Run {
    sandbox.here(&[&["update"], args].concat())
}

/// Expects what `new` generates today from the same answers, apart from secrets.
#[track_caller]
pub fn is_fresh(sandbox: &Sandbox, args: &[&str]) {
    let fresh = Sandbox::new();
    fresh.new_hello(args).success();
    let (mut ours, mut wanted) = (sandbox.tree(), fresh.tree());
    for tree in [&mut ours, &mut wanted] {
        tree.retain(|path, _| !path.starts_with("secrets/") && !path.starts_with(".git/"));
    }
    let paths = |tree: &super::env_add::Tree| tree.keys().cloned().collect::<Vec<_>>();
    assert_eq!(paths(&ours), paths(&wanted));
    for (path, text) in &wanted {
        assert_eq!(String::from_utf8_lossy(&ours[path]), String::from_utf8_lossy(text), "{path}");
        assert_eq!(mode(&sandbox.hello(path)), mode(&fresh.hello(path)), "{path}");
    }
}

#[test]
fn an_untouched_repository_becomes_what_new_would_make() {
    let both = ["--env", "staging", "--env", "production", "--ingress", "hello.example.com"];
    for args in [&[][..], &both, &["--workload", "cronjob", "--schedule", "@daily"]] {
        let sandbox = older(args);
        let secrets = sandbox.git(&["ls-tree", "-r", "HEAD", "secrets"]).success().stdout;
        update(&sandbox, &["--check"]).failure(1).prints("Makefile\n");
        let plan = update(&sandbox, &["--dry-run"]).success();
        plan.prints(&format!("templates    {OLDER} -> {}", env!("CARGO_PKG_VERSION")))
            .prints("old.yaml");
        // A removed ConfigMap, which the cluster keeps.
        update(&sandbox, &["--no-input"]).failure(1).says("ConfigMap `old` is no longer deployed");
        let done = update(&sandbox, &["--yes", "--commit"]).success();
        done.prints(
            "- ConfigMap `old` is no longer deployed; `make prune` deletes it from the cluster",
        );
        assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
        is_fresh(&sandbox, args);
        assert_eq!(sandbox.git(&["ls-tree", "-r", "HEAD", "secrets"]).success().stdout, secrets);
        // Repeating it changes nothing.
        let head = sandbox.git(&["rev-parse", "HEAD"]).success().stdout;
        update(&sandbox, &["--no-input", "--commit"]).success().prints("Nothing to do");
        assert_eq!(sandbox.git(&["rev-parse", "HEAD"]).success().stdout, head);
        update(&sandbox, &["--check"]).success().prints("Up to date.\n");
        sandbox.is_sound();
    }
}

#[test]
fn twice_without_a_commit_is_once_too() {
    let sandbox = older(&[]);
    update(&sandbox, &["--yes"]).success();
    let tree = sandbox.tree();
    update(&sandbox, &["--yes"]).success().prints("Nothing to do");
    update(&sandbox, &["--dry-run"]).success().prints("Nothing to do: already done.");
    assert_eq!(sandbox.tree(), tree);
    update(&sandbox, &["--yes", "--commit"]).success().prints("committed as");
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
    is_fresh(&sandbox, &[]);
}

#[test]
fn what_people_changed_stays() {
    let sandbox = older(&["--replicas", "3"]);
    sandbox.append("README.md", "\n## Ours\n\nAsk Ada.\n");
    sandbox.append("Makefile", "\nours: ## Ours\n\t@echo ours\n");
    sandbox.edit(
        DEPLOYMENT,
        "      containers:\n",
        "      containers:\n        - name: sidecar\n          image: example.com/sidecar:1\n",
    );
    sandbox.edit(DEPLOYMENT, "memory: 256Mi", "memory: 512Mi");
    sandbox.make(&["set-image", "TAG=2.0.0"]).success();
    for file in ["kustomization.yaml", "environment.mk", "namespace.yaml"] {
        let path = format!("kubernetes/overlays/production/{file}");
        let text = sandbox.read(&path);
        sandbox.put(
            &path,
            &text
                .replace("namespace: hello\n", "namespace: ours\n")
                .replace(":= hello\n", ":= ours\n")
                .replace("  name: hello\n", "  name: ours\n"),
        );
    }
    sandbox.put(
        "kubernetes/base/own.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: own\n",
    );
    sandbox.edit(BASE, "resources:\n", "resources:\n  - own.yaml\n");
    sandbox.git(&["rm", "-q", "kubernetes/base/service.yaml"]).success();
    sandbox.edit(BASE, "  - service.yaml\n", "");
    sandbox.commit_all();
    let before = sandbox.tree();
    let done = update(&sandbox, &["--yes", "--commit"]).success();
    done.prints(
        "kept as in the files: image of hello in production: registry.gitlab.com/group/hello:1.0.0",
    );
    done.prints(
        "deleted here and not restored (`--restore PATH` restores a file): \
         `kubernetes/base/service.yaml`",
    );
    let after = |path: &str| sandbox.read(path);
    assert!(
        after("README.md").ends_with("\n## Ours\n\nAsk Ada.\n")
            && after("README.md").contains("Deploying requires")
    );
    assert!(
        after("Makefile").contains("ours: ## Ours\n\t@echo ours\n")
            && after("Makefile").starts_with("# Deploys hello")
    );
    let deployment = after(DEPLOYMENT);
    for text in
        ["sidecar:1", "memory: 512Mi", "revisionHistoryLimit: 5", "  # Immutable:", "replicas: 3"]
    {
        assert!(deployment.contains(text), "{text}: {deployment}");
    }
    let base = after(BASE);
    assert!(
        base.contains("own.yaml") && !base.contains("service.yaml") && !base.contains("old.yaml"),
        "{base}"
    );
    let overlay = after(OVERLAY);
    assert!(
        overlay.contains("newTag: \"2.0.0\"") && overlay.contains("namespace: ours"),
        "{overlay}"
    );
    assert_eq!(before["kubernetes/base/own.yaml"], sandbox.tree()["kubernetes/base/own.yaml"]);
    assert!(!sandbox.hello("kubernetes/base/service.yaml").exists());
    update(&sandbox, &["--check"]).success();
    // Restored on request.
    update(&sandbox, &["--restore", "kubernetes/base/service.yaml", "--yes"]).success();
    assert!(sandbox.hello("kubernetes/base/service.yaml").exists());
    update(&sandbox, &["--restore", "kubernetes/base/none.yaml", "--yes"])
        .failure(2)
        .says("--restore kubernetes/base/none.yaml");
}

#[test]
fn a_number_that_was_changed_here_is_not_changed_back() {
    // kpt loses this one.
    let edits = [(
        "kubernetes/base/COMPONENT/WORKLOAD.yaml.tera",
        "replicas: {{ component.replicas }}",
        "replicas: 5",
    )];
    let sandbox = Sandbox::older(&edits, &["--replicas", "5"]);
    sandbox.edit(DEPLOYMENT, "replicas: 5", "replicas: 9");
    sandbox.commit_all();
    update(&sandbox, &["--yes", "--commit"]).success();
    assert!(sandbox.read(DEPLOYMENT).contains("replicas: 9"));
}

#[test]
fn files_are_followed_where_people_and_templates_moved_them() {
    let moved =
        [("dot_githooks/executable_pre-commit", "", ""), ("hooks/executable_pre-commit", "", "")];
    let hook = makeinfra::templates::TemplateSet::embedded();
    let hook = hook.files().find(|(path, _)| *path == moved[0].0).unwrap().1.to_owned();
    let edits = [moved[0], ("hooks/executable_pre-commit", "", hook.as_str()), CHANGES[1]];
    let sandbox = Sandbox::older(&edits, &[]);
    // The template of the hook was moved, and the hook was edited; the Deployment was moved by the
    // user.
    sandbox.append("hooks/pre-commit", "# ours\n");
    sandbox.git(&["mv", DEPLOYMENT, "kubernetes/base/web.yaml"]).success();
    sandbox.edit(BASE, "deployment.yaml", "web.yaml");
    sandbox.edit("kubernetes/base/web.yaml", "memory: 256Mi", "memory: 512Mi");
    sandbox.commit_all();
    update(&sandbox, &["--yes", "--commit"])
        .success()
        .prints("is updated at its new path `kubernetes/base/web.yaml`");
    assert!(!sandbox.hello("hooks").exists() && !sandbox.hello(DEPLOYMENT).exists());
    assert!(sandbox.read(".githooks/pre-commit").ends_with("# ours\n"));
    assert_eq!(mode(&sandbox.hello(".githooks/pre-commit")) & 0o111, 0o111);
    let web = sandbox.read("kubernetes/base/web.yaml");
    assert!(web.contains("revisionHistoryLimit: 5") && web.contains("memory: 512Mi"), "{web}");
}

#[test]
fn a_file_that_merely_looks_like_one_that_was_deleted_is_somebodys_own() {
    let sandbox = older(&[]);
    let text = sandbox.read(DEPLOYMENT).replace("name: hello", "name: other");
    sandbox.git(&["rm", "-q", DEPLOYMENT]).success();
    sandbox.put("kubernetes/base/other.yaml", &text);
    sandbox.edit(BASE, "deployment.yaml", "other.yaml");
    sandbox.commit_all();
    update(&sandbox, &["--yes", "--commit"]).success().prints(DEPLOYMENT);
    assert_eq!(sandbox.read("kubernetes/base/other.yaml"), text);
    assert!(!sandbox.hello(DEPLOYMENT).exists());
}

#[test]
fn line_ends_are_no_edits() {
    let sandbox = older(&[]);
    for path in ["README.md", DEPLOYMENT, "Makefile"] {
        let text = sandbox.read(path).replace('\n', "\r\n");
        sandbox.put(path, &text);
    }
    update(&sandbox, &["--yes"]).success();
    for path in ["README.md", DEPLOYMENT, "Makefile"] {
        let text = sandbox.read(path);
        assert_eq!(text.matches('\n').count(), text.matches("\r\n").count(), "{path}");
    }
    sandbox.git(&["add", "-A"]).success();
    sandbox.git(&["commit", "-qm", "Update"]).success();
    for path in ["README.md", DEPLOYMENT, "Makefile"] {
        let blob = sandbox.git(&["cat-file", "blob", &format!("HEAD:{path}")]).success().stdout;
        sandbox.put(path, &blob);
    }
    is_fresh(&sandbox, &[]);
}

#[test]
fn what_is_dirty_or_in_the_way_is_not_written_over() {
    let sandbox = older(&[]);
    sandbox.append("Makefile", "# mine\n");
    let before = sandbox.tree();
    let output = update(&sandbox, &["--yes"]).failure(1);
    output
        .says("`Makefile`: it has uncommitted edits")
        .says("git add Makefile && git commit -m 'Edit' -- Makefile");
    assert_eq!(sandbox.tree(), before);
    sandbox.git(&["checkout", "-q", "."]).success();
    // Unrelated files may have local edits.
    sandbox.append("kubernetes/overlays/production/environment.mk", "# mine\n");
    sandbox.put(".gitignore", "# mine\n");
    let output = update(&sandbox, &["--yes"]).failure(12);
    output.says(".gitignore");
    fs::remove_file(sandbox.hello(".gitignore")).unwrap();
    update(&sandbox, &["--yes", "--commit"]).success();
    assert_eq!(
        sandbox.git(&["status", "--porcelain"]).success().stdout,
        " M kubernetes/overlays/production/environment.mk\n"
    );
}

/// A repository in which the same lines were changed locally and by the templates.
pub fn with_conflict() -> Sandbox {
    let sandbox = older(&[]);
    sandbox.edit("README.md", "To deploy you need", "You cannot deploy without");
    sandbox.edit(DEPLOYMENT, "revisionHistoryLimit: 9", "revisionHistoryLimit: 3");
    sandbox.commit_all();
    sandbox
}

#[test]
fn conflicts_are_gits_own() {
    if !have("git") {
        return;
    }
    let sandbox = with_conflict();
    let (before, head) = (sandbox.tree(), sandbox.git(&["rev-parse", "HEAD"]).success().stdout);
    for args in [&["--yes"][..], &["--no-input"]] {
        let output = update(&sandbox, args).failure(12);
        output
            .says("conflicts in 2 files; nothing was written")
            .says("you and the templates changed spec.revisionHistoryLimit")
            .says("hint: makeinfra update --conflicts");
        assert_eq!(sandbox.tree(), before);
    }
    update(&sandbox, &["--dry-run"])
        .failure(12)
        .prints("README.md: you and the templates changed the same lines");
    assert_eq!(sandbox.tree(), before);
    let output = update(&sandbox, &["--conflicts"]).failure(12);
    output.prints("git cherry-pick --continue").says("unresolved conflicts in");
    let status = sandbox.git(&["status"]).success().stdout;
    assert!(
        status.contains("cherry-pick") && status.contains("both modified:   README.md"),
        "{status}"
    );
    assert!(
        sandbox.read("README.md").contains("<<<<<<<")
            && sandbox.read(DEPLOYMENT).contains(">>>>>>>")
    );
    // Everything else was merged.
    assert!(sandbox.read("Makefile").starts_with("# Deploys hello"));
    update(&sandbox, &["--yes"]).failure(1).says("in progress");
    sandbox.git(&["gc", "-q", "--prune=now"]).success();
    // Aborted.
    sandbox.git(&["cherry-pick", "--abort"]).success();
    assert_eq!(sandbox.tree(), before);
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
    assert_eq!(sandbox.git(&["rev-parse", "HEAD"]).success().stdout, head);
    // Continued.
    update(&sandbox, &["--conflicts"]).failure(12);
    for (path, ours) in
        [("README.md", "You cannot deploy without"), (DEPLOYMENT, "revisionHistoryLimit: 3")]
    {
        let text = sandbox.read(path);
        let mut kept = String::new();
        let mut side = 0;
        for line in text.lines() {
            match line.get(..7) {
                Some("<<<<<<<") => side = 1,
                Some("=======") => side = 2,
                Some(">>>>>>>") => side = 0,
                _ if side < 2 => kept += &format!("{line}\n"),
                _ => {}
            }
        }
        assert!(kept.contains(ours), "{kept}");
        sandbox.put(path, &kept);
    }
    sandbox.git(&["add", "-A"]).success();
    sandbox.git(&["-c", "core.editor=true", "cherry-pick", "--continue"]).success();
    let log = sandbox.git(&["log", "-1", "--format=%s %an"]).success().stdout;
    assert_eq!(log, format!("Update to makeinfra {} Ada\n", env!("CARGO_PKG_VERSION")));
    assert!(
        sandbox.read(Record::FILE).contains(&format!("version: \"{}\"", env!("CARGO_PKG_VERSION")))
    );
    update(&sandbox, &["--check"]).success();
    // Nothing is kept once it has ended.
    update(&sandbox, &["--yes"]).success();
    sandbox.git(&["rev-parse", "-q", "--verify", "refs/makeinfra/update"]).failure(1);
    sandbox.is_sound();
}

#[test]
fn a_conflict_is_refused_before_it_could_lose_anything() {
    let sandbox = with_conflict();
    sandbox.put("notes.txt", "mine\n");
    sandbox.git(&["add", "notes.txt"]).success();
    let before = sandbox.tree();
    update(&sandbox, &["--conflicts"])
        .failure(1)
        .says("there are staged changes")
        .says("notes.txt");
    sandbox.git(&["reset", "-q"]).success();
    sandbox.append("Makefile", "# mine\n");
    update(&sandbox, &["--conflicts"]).failure(1).says("`Makefile`: it has uncommitted edits");
    sandbox.git(&["checkout", "-q", "Makefile"]).success();
    // An untracked file does not matter.
    assert_eq!(sandbox.tree(), before);
    update(&sandbox, &["--conflicts"]).failure(12).says("unresolved conflicts in");
    sandbox.git(&["cherry-pick", "--abort"]).success();
    assert_eq!(sandbox.tree(), before);
    // An answer that was edited but not committed would be lost.
    sandbox.edit(Record::FILE, "port: 8080", "port: 9090");
    let output = update(&sandbox, &["--conflicts"]).failure(1);
    output
        .says("git commit -m 'Change answers' -- .makeinfra.yaml && makeinfra update --from HEAD^");
}

#[test]
fn lists_without_keys_are_never_blended() {
    let edits = [(
        "kubernetes/base/COMPONENT/WORKLOAD.yaml.tera",
        "          args:\n",
        "          args:\n            - --old\n",
    )];
    let args = ["--arg", "serve", "--arg", "--verbose"];
    let sandbox = Sandbox::older(&edits, &args);
    sandbox.edit(DEPLOYMENT, "--verbose", "--quiet");
    sandbox.commit_all();
    update(&sandbox, &["--yes"]).failure(12).says(".args");
    update(&sandbox, &["--conflicts"]).failure(12);
    assert!(sandbox.read(DEPLOYMENT).contains("<<<<<<<"));
}

#[test]
fn it_works_after_a_squash_in_a_shallow_clone_and_in_a_linked_work_tree() {
    let sandbox = older(&[]);
    sandbox.append("README.md", "\nOurs.\n");
    sandbox.commit_all();
    sandbox
        .run(
            "git",
            &[
                "clone",
                "-q",
                "--depth",
                "1",
                &format!("file://{}", sandbox.hello("").display()),
                "shallow",
            ],
        )
        .success();
    let key = sandbox.hello(".git/git-crypt/keys/default").display().to_string();
    if have("git-crypt") {
        sandbox.run("git-crypt", &["unlock", &key]).cwd(sandbox.work("shallow")).success();
    }
    // git-crypt looks for its key in the wrong place there.
    let plain = ["-c", "filter.git-crypt.smudge=cat", "-c", "filter.git-crypt.required=false"];
    sandbox.git(&[&plain[..], &["worktree", "add", "-q", "../linked"]].concat()).success();
    for dir in ["shallow", "linked"] {
        sandbox.makeinfra(&["update", dir, "--yes", "--commit"]).success().prints("committed as");
        let text = fs::read_to_string(sandbox.work(dir).join("README.md")).unwrap();
        assert!(text.ends_with("\nOurs.\n") && text.contains("Deploying requires"), "{dir}");
    }
}

#[test]
fn a_locked_clone_can_be_updated() {
    let sandbox = older(&[]);
    sandbox.run("git", &["clone", "-q", "hello-infra", "locked"]).success();
    sandbox.makeinfra(&["update", "locked", "--yes", "--commit"]).success().prints("committed as");
    let status =
        sandbox.run("git", &["status", "--porcelain"]).cwd(sandbox.work("locked")).success().stdout;
    assert_eq!(status, "");
}

#[test]
fn a_file_of_ones_own_is_left_alone_until_it_is_taken() {
    let sandbox = older(&[]);
    sandbox.put("Makefile", "ours:\n\t@echo ours\n");
    sandbox.append(Record::FILE, "own:\n  - Makefile\n  - README.md\n");
    sandbox.commit_all();
    let readme = sandbox.read("README.md");
    let done = update(&sandbox, &["--yes", "--commit"]).success();
    done.prints("- not updated, because `own` lists them: `Makefile`, `README.md`");
    assert_eq!(sandbox.read("Makefile"), "ours:\n\t@echo ours\n");
    assert_eq!(sandbox.read("README.md"), readme);
    update(&sandbox, &["--check"]).success();
    update(&sandbox, &["--take", "Dockerfile"])
        .failure(2)
        .says("`--take Dockerfile` is not in the list `own`");
    update(&sandbox, &["--take", "Makefile", "--take", "README.md", "--yes", "--commit"]).success();
    assert!(sandbox.read("Makefile").starts_with("# Deploys hello"));
    assert!(!sandbox.read(Record::FILE).contains("own"), "{}", sandbox.read(Record::FILE));
    is_fresh(&sandbox, &[]);
    for (own, said) in [
        ("own: Makefile", "must be a list of paths"),
        ("own: [../x]", "must be a list"),
        ("own: [/etc]", "must be"),
    ] {
        let record = sandbox.read(Record::FILE);
        sandbox.append(Record::FILE, &format!("{own}\n"));
        update(&sandbox, &["--yes"]).failure(1).says(said);
        sandbox.put(Record::FILE, &record);
    }
}

#[test]
fn what_each_environment_builds_is_compared() {
    let overlay = "kubernetes/overlays/ENV/kustomization.yaml.tera";
    let edits = [
        (overlay, "resources:\n", "resources:\n  - old.yaml\n"),
        (
            "kubernetes/overlays/ENV/old.yaml",
            "",
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: old\n",
        ),
        (
            "kubernetes/base/COMPONENT/service.yaml.tera",
            "type: ClusterIP\n",
            "type: ClusterIP\n  clusterIP: None\n",
        ),
    ];
    let sandbox = Sandbox::older(&edits, &["--env", "staging", "--env", "production"]);
    // An environment that does not deploy an object is not affected by its removal.
    sandbox.edit("kubernetes/overlays/staging/kustomization.yaml", "  - old.yaml\n", "");
    fs::remove_file(sandbox.hello("kubernetes/overlays/staging/old.yaml")).unwrap();
    sandbox.commit_all();
    let plan = update(&sandbox, &["--dry-run"]).success();
    plan.prints(
        "- production: ConfigMap `old` is no longer deployed; `make prune` deletes it from the \
         cluster\n",
    );
    plan.prints("- Service `hello` changes `spec.clusterIP`, which is immutable in the cluster");
    update(&sandbox, &["--no-input"])
        .failure(1)
        .says("production: ConfigMap `old` is no longer deployed");
}
