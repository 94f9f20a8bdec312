//! `makeinfra secret unset` and `makeinfra secret list`.

use super::secret_set::{ENV, KUSTOMIZATION, set_key, text, tree};
use super::support::*;
use std::fs;

/// `makeinfra secret unset db KEY`, confirmed.
fn unset(sandbox: &Sandbox, key: &str, args: &[&str]) -> Run {
    let args = [&["secret", "unset", "db", key, "--yes"], args].concat();
    sandbox.makeinfra(&args).cwd(sandbox.hello(""))
}

fn list(sandbox: &Sandbox, args: &[&str]) -> Run {
    sandbox.makeinfra(&[&["secret", "list"], args].concat()).cwd(sandbox.hello(""))
}

#[test]
fn takes_out_one_key_and_with_the_last_everything() {
    let sandbox = Sandbox::with_hello();
    let fresh = tree(&sandbox);
    set_key(&sandbox, "A", "a", &[]);
    set_key(&sandbox, "B", "b", &[]);
    set_key(&sandbox, "tls.key", "k\n", &["--commit"]);
    let whole = text(&sandbox, KUSTOMIZATION);
    unset(&sandbox, "A", &[]).success();
    assert_eq!(
        (text(&sandbox, ENV), text(&sandbox, KUSTOMIZATION)),
        ("B=b\n".to_owned(), whole.clone())
    );
    let output = unset(&sandbox, "tls.key", &[]).success();
    assert!(!sandbox.hello("secrets/kubernetes/db.d").exists());
    assert_eq!(
        text(&sandbox, KUSTOMIZATION),
        whole.replace("    files:\n      - db.d/tls.key\n", "")
    );
    // The hint commits it, including the deleted file.
    let step = output.stdout.lines().find(|line| line.contains("git add")).unwrap().trim();
    sandbox.run("sh", &["-c", step]).cwd(sandbox.hello("")).success();
    let json = unset(&sandbox, "B", &["--commit", "--json"]).success().json();
    let deleted =
        json["files"].as_array().unwrap().iter().filter(|file| file["change"] == "deleted");
    assert_eq!(deleted.map(|file| &file["path"]).collect::<Vec<_>>(), [ENV], "{json}");
    assert!(tree(&sandbox) == fresh, "{:?}", tree(&sandbox).keys());
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
    let left = sandbox
        .git(&["ls-tree", "-r", "-t", "--name-only", "HEAD", "secrets/kubernetes/"])
        .success()
        .stdout;
    assert_eq!(
        left,
        format!("secrets\nsecrets/kubernetes\n{SECRET}\n{KUSTOMIZATION}\n"),
        "no empty tree"
    );
    sandbox.git(&["fsck", "--strict"]).success();
    sandbox.makeinfra(&["check", "--strict"]).cwd(sandbox.hello("")).success();
}

#[test]
fn a_removal_that_was_not_committed_is_committed_later() {
    let sandbox = Sandbox::with_hello();
    set_key(&sandbox, "A", "a", &["--commit"]);
    unset(&sandbox, "A", &[]).success();
    unset(&sandbox, "A", &[])
        .failure(1)
        .says("Secret db has no key A")
        .says("hint: makeinfra secret list");
    unset(&sandbox, "A", &["--commit"]).success();
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
}

#[test]
fn people_agree_first_and_a_dry_run_only_shows_the_plan() {
    let sandbox = Sandbox::with_hello();
    set_key(&sandbox, "A", TOKEN, &[]);
    set_key(&sandbox, "B", "b", &[]);
    let before = tree(&sandbox);
    let run = |args: &[&str]| {
        let args = [&["secret", "unset", "db", "A"], args].concat();
        sandbox.makeinfra(&args).cwd(sandbox.hello(""))
    };
    run(&[]).failure(2).says("not a terminal").says("`--yes` confirms, `--dry-run` previews");
    let plan = run(&["--dry-run"]).success();
    plan.prints("db.env  A: removed").prints("Nothing was written");
    assert_no_token(plan.stdout.as_bytes(), "the plan");
    assert_eq!(run(&["--dry-run", "--json"]).success().json()["dry_run"], true);
    assert!(tree(&sandbox) == before);
    run(&["--no-input"]).success();
    assert_eq!(text(&sandbox, ENV), "B=b\n");
}

#[test]
fn lines_that_may_be_values_are_kept() {
    let sandbox = Sandbox::with_hello();
    set_key(&sandbox, "A", "a", &[]);
    sandbox.append(ENV, "lost\n");
    unset(&sandbox, "A", &[]).success();
    assert_eq!(text(&sandbox, ENV), "lost\n");
}

#[test]
fn a_secret_that_a_manifest_names_is_not_missed_in_silence() {
    let sandbox = Sandbox::with_hello();
    set_key(&sandbox, "A", "a", &[]);
    let from = "          envFrom:\n            - secretRef:\n                name: db\n          ports:\n";
    sandbox.edit("kubernetes/base/deployment.yaml", "          ports:\n", from);
    let output = unset(&sandbox, "A", &[]).success();
    output.says("`kubernetes/overlays/production` still uses Secret db");
    // Only the environment that loses the Secret is named.
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--env", "staging", "--env", "production"]).success();
    set_key(&sandbox, "A", "a", &["--all-environments"]);
    sandbox.edit("kubernetes/base/deployment.yaml", "          ports:\n", from);
    let output = unset(&sandbox, "A", &["--env", "staging"]).success();
    output.says("warning: `kubernetes/overlays/staging` still uses Secret db");
}

#[test]
fn of_several_environments_one_or_all_lose_it() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--env", "staging", "--env", "production"]).success();
    set_key(&sandbox, "A", "a", &["--all-environments"]);
    unset(&sandbox, "A", &[]).failure(2).says("`--env` or `--all-environments` is required");
    unset(&sandbox, "A", &["--env", "staging"]).success();
    assert!(!sandbox.hello("secrets/kubernetes/staging/db.env").exists());
    assert!(sandbox.hello("secrets/kubernetes/production/db.env").exists());
    // One of them no longer has it.
    unset(&sandbox, "A", &["--all-environments", "--commit"]).success();
    assert!(!sandbox.hello("secrets/kubernetes/production/db.env").exists());
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
}

#[test]
fn refuses_what_is_not_its_business() {
    let sandbox = Sandbox::with_hello();
    unset(&sandbox, "A", &[]).failure(1).says("Secret db has no key A");
    let run = |args: &[&str]| {
        sandbox.makeinfra(&[&["secret", "unset"], args].concat()).cwd(sandbox.hello(""))
    };
    // It does not commit what another command left, either.
    set_key(&sandbox, "B", "b", &[]);
    unset(&sandbox, "A", &["--commit"]).failure(1).says("Secret db has no key A");
    assert_eq!(sandbox.git(&["rev-list", "--count", "HEAD"]).success().stdout, "1\n");
    run(&["gitlab", ".dockercfg"]).failure(2).says("`gitlab` is the pull secret");
    run(&["db"]).failure(2).says("`KEY` is required");
    run(&["db", TOKEN]).failure(2);
    run(&["db", "A", ".", TOKEN]).failure(2);
}

#[test]
fn lists_names_and_never_a_value() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&["--env", "staging", "--env", "production"]).success();
    set_key(&sandbox, "PASSWORD", TOKEN, &["--all-environments"]);
    set_key(&sandbox, "tls.key", format!("{TOKEN}\n"), &["--env", "staging"]);
    let file = "secrets/kubernetes/staging/db.env";
    sandbox.append(file, "hunter2\nexport X=hunter2\nHunter2 Y=1\n");
    let manifest =
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: own\nstringData:\n  KEY: hunter2\n";
    sandbox.write_private("work/hello-infra/secrets/kubernetes/production/own.yaml", manifest);
    sandbox.edit(
        "secrets/kubernetes/production/kustomization.yaml",
        "resources:\n",
        "resources:\n  - own.yaml\n",
    );
    let output = list(&sandbox, &[]).success();
    assert_eq!(
        output.stdout,
        "staging (secrets/kubernetes/staging)\n  \
         gitlab  pull secret\n  \
         db      PASSWORD, tls.key (file)\n\
         \n\
         production (secrets/kubernetes/production)\n  \
         own     KEY (in secrets/kubernetes/production/own.yaml)\n  \
         gitlab  pull secret\n  \
         db      PASSWORD\n"
    );
    output.says(&format!("line 2 of `{file}`: no `=`")).says(&format!("line 3 of `{file}`"));
    let json = list(&sandbox, &["--json", "--env", "staging"]).success();
    for said in [&output.stdout, &output.stderr, &json.stdout, &json.stderr] {
        assert!(!said.to_lowercase().contains("hunter2"), "{said}");
        assert_no_token(said.as_bytes(), "the list");
    }
    let environments = json.json()["environments"].clone();
    assert_eq!(environments.as_array().unwrap().len(), 1);
    let db = &environments[0]["secrets"][1];
    assert_eq!((&db["name"], &db["kind"]), (&"db".into(), &"generated".into()));
    assert_eq!(db["keys"][1], serde_json::json!({"name": "tls.key", "file": true}));
    fs::remove_file(sandbox.hello(file)).unwrap();
    list(&sandbox, &[]).failure(1).says(&format!("cannot read `{file}`")).says("it does not exist");
}

#[test]
fn what_to_type_can_be_typed_where_the_user_is() {
    let sandbox = Sandbox::with_hello();
    let output =
        sandbox.makeinfra(&["secret", "unset", "db", "A", "hello-infra", "--yes"]).failure(1);
    let root = sandbox.hello("").canonicalize().unwrap();
    output.says(&format!("hint: makeinfra secret list {}\n", root.display()));
    // At the top of the repository, the hint is just the command.
    let output = sandbox.here(&["secret", "unset", "db", "A", "--yes"]).failure(1);
    output.says("hint: makeinfra secret list\n");
}
