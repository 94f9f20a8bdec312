//! `makeinfra env add`: the plan, and helpers for all of its tests.

mod edits;
mod hosts;
mod refused;
mod secrets;
mod written;

use super::environments::{built, with_environments};
use super::support::{Run, Sandbox, files_below, mode};
use std::collections::BTreeMap;
use std::fs;

/// All files of a work tree.
pub type Tree = BTreeMap<String, Vec<u8>>;

impl Sandbox {
    /// A command in the generated repository with its plan confirmed.
    pub fn agreed(&self, args: &[&str]) -> Run {
        self.makeinfra(&[args, &["--yes"]].concat()).cwd(self.work("hello-infra"))
    }

    /// A command in the generated repository.
    pub fn here(&self, args: &[&str]) -> Run {
        self.makeinfra(args).cwd(self.work("hello-infra"))
    }

    /// All files of the work tree.
    pub fn tree(&self) -> Tree {
        let files = files_below(&self.hello("")).into_iter();
        files.map(|path| (path.clone(), fs::read(self.hello(&path)).unwrap())).collect()
    }

    pub fn commit_all(&self) {
        self.git(&["add", "-A"]).success();
        self.git(&["commit", "-qm", "Edit"]).success();
    }

    /// The output of a command without the path of the sandbox.
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

    /// Expects `makeinfra check` to find no problem.
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
    let plan =
        sandbox.placeless(&sandbox.here(&["env", "add", "staging", "--dry-run"]).success().stdout);
    assert_eq!(
        sizeless(&plan),
        "\
New environment staging

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

copied from  production
namespace    hello-staging
context      the current context of kubectl
protected    no
host         staging.hello.example.com
token        copied from production

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
  # give it its own deploy token
  makeinfra rotate --env staging
  # deploy it
  make deploy ENV=staging
"
    );
    // A second run has nothing to do.
    let tree = sandbox.tree();
    sandbox.here(&["env", "add", "staging", "--no-input"]).success().prints("Nothing to do");
    assert_eq!(sandbox.tree(), tree);
}

/// A plan without file sizes.
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
    let new: Vec<_> =
        after.keys().filter(|path| !before.contains_key(*path)).map(String::as_str).collect();
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
    assert_eq!(
        mode(&sandbox.hello(STAGING)) & 0o444,
        mode(&sandbox.hello(".makeinfra.yaml")) & 0o444
    );
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
    let blob =
        sandbox.git(&["cat-file", "blob", "HEAD:secrets/kubernetes/staging/gitlab.secret.yaml"]);
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
        let other =
            text.replace("staging", "production").replace("PROTECTED :=\n", "PROTECTED := yes\n");
        assert_eq!(&other, &production[file], "{file}");
        let comments =
            text.lines().filter_map(|line| line.split_once('#')).map(|(_, comment)| comment);
        for comment in comments {
            assert!(
                !comment.contains("staging") && !comment.contains("hello"),
                "{file}: {comment}"
            );
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
        // The pipeline of an only environment may differ.
        copied.insert(".gitlab/staging.yml".into(), both[".gitlab/staging.yml"].clone());
        for (path, text) in &both {
            let [one, two] =
                [text, &copied[path]].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            assert_eq!(one, two, "{args:?}, {path}");
        }
        assert_eq!(both.len(), copied.len());
    }
}

/// Runs `command` in `original`, and again after it was killed at each write.
#[track_caller]
pub fn repeated(original: &dyn Fn() -> Sandbox, command: &[&str]) {
    repeated_with(original, command, &["--commit"]);
}

/// Like [`repeated`], with the options `again` when the command is repeated.
pub fn repeated_with(original: &dyn Fn() -> Sandbox, command: &[&str], again: &[&str]) {
    let done = original();
    let before = done.tree();
    let files = order(&done.here(&[command, &["--dry-run", "--json"]].concat()).success());
    done.agreed(command).success();
    let after = done.tree();
    assert_eq!(files.last().map(String::as_str), Some(".makeinfra.yaml"));
    for written in 0..=files.len() {
        let sandbox = original();
        if !sandbox.hello(".git/git-crypt").exists() {
            // git-crypt is set up before the files are written.
            let places = [".git/git-crypt", ".git/config"]
                .map(|path| done.hello(path).display().to_string());
            sandbox
                .run("cp", &["-a", &places[0], &places[1], ".git"])
                .cwd(sandbox.hello(""))
                .success();
        }
        for path in &files[..written] {
            let file = sandbox.hello(path);
            if after.contains_key(path) {
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                // With its mode, as a run would write it.
                fs::copy(done.hello(path), &file).unwrap();
            } else {
                fs::remove_file(&file).unwrap();
            }
        }
        let told = sandbox.agreed(&[command, again].concat()).output();
        assert_eq!(told.code, Some(0), "{written}: {files:?}\n{}", told.stderr);
        let found = sandbox.tree();
        assert_eq!(
            found.keys().collect::<Vec<_>>(),
            after.keys().collect::<Vec<_>>(),
            "{written}: {files:?}"
        );
        for (path, text) in found.iter().filter(|(path, _)| !path.starts_with("secrets/")) {
            let [one, two] =
                [text, &after[path]].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            assert_eq!(one, two, "{written}: {path}");
        }
        if again == ["--commit"] {
            assert_eq!(
                sandbox.git(&["status", "--porcelain"]).success().stdout,
                "",
                "{written}: {files:?}"
            );
        }
        assert!(before != found);
    }
}
