//! What `check` and `diagnose` say about one environment, including the hints, is about that
//! environment.

use super::check::{Checked, check_in};
use super::diagnose::evidence;
use super::environments::with_environments;
use super::stand_in::{StandIn, prints};
use super::support::{SECRET, Sandbox, TOKEN};
use serde_json::{Value, json};
use std::fs;

const PRODUCTION: &str = "secrets/kubernetes/production/gitlab.secret.yaml";

fn check(sandbox: &Sandbox) -> Checked {
    check_in(sandbox, "hello-infra", &[])
}

fn messages_of(checked: &Checked, status: &str) -> Vec<String> {
    checked.ids(status).into_iter().map(|id| checked.messages(id)).collect()
}

#[test]
fn a_pull_secret_that_is_not_there_is_no_fault_of_another_environment() {
    let sandbox = with_environments(&[]);
    fs::write(sandbox.hello(PRODUCTION), "").unwrap();
    let checked = check(&sandbox);
    assert_eq!(
        checked.problems(),
        ["pull-secret-present"],
        "{:?}",
        messages_of(&checked, "problem")
    );
    // If the file is missing, the kustomization that lists it cannot be built, either.
    fs::remove_file(sandbox.hello(PRODUCTION)).unwrap();
    let checked = check(&sandbox);
    let problems = messages_of(&checked, "problem").concat();
    assert_eq!(checked.problems(), ["manifests-kustomize", "pull-secret-present"], "{problems}");
    assert!(problems.contains("makeinfra rotate --env production"), "{problems}");
    assert!(!problems.contains("staging"), "{problems}");
    let sandbox = with_environments(&[]);
    sandbox.edit(PRODUCTION, "  name: gitlab", "  name: foo");
    let checked = check(&sandbox);
    let problems = messages_of(&checked, "problem");
    assert_eq!(checked.problems(), ["pull-secret-name"], "{problems:?}");
    assert!(
        problems[0].contains(
            "the file has Secret `foo` (write `name: gitlab`: ${EDITOR:-vi} secrets/kubernetes/production/"
        ),
        "{problems:?}"
    );
    // The recorded name is right.
    let sandbox = with_environments(&[]);
    let deployment = "kubernetes/base/deployment.yaml";
    sandbox.edit(deployment, "- name: gitlab\n", "- name: gitlap\n");
    let checked = check(&sandbox);
    let problems = messages_of(&checked, "problem").concat();
    assert_eq!(checked.problems(), ["pull-secret-name"], "{problems}");
    let right =
        format!("(write `imagePullSecrets: [{{name: gitlab}}]`: ${{EDITOR:-vi}} {deployment})");
    assert!(problems.contains(&right) && !problems.contains("write `name: gitlap`"), "{problems}");
    let sandbox = with_environments(&[]);
    sandbox.edit(PRODUCTION, "metadata:\n", "metadata:\n  namespace: other\n");
    let checked = check(&sandbox);
    assert_eq!(checked.problems(), [""; 0], "the overlay's namespace wins: {:?}", checked.checks);
}

#[test]
fn what_a_check_says_to_type_is_for_the_environment_that_it_is_about() {
    let sandbox = Sandbox::new();
    sandbox.write_private("token2", "gldt-Other-one-1");
    let token = sandbox.path("token2").display().to_string();
    let own = [
        "--env",
        "staging",
        "--env",
        "production",
        "--token-username",
        "production=p",
        "--token-file",
        &format!("production={token}"),
        "--expires-at",
        "2999-01-01",
        "--expires-at",
        "production=2020-01-01",
    ];
    sandbox.new_hello(&own).success();
    let said = check(&sandbox).messages("pull-secret-expiry");
    assert!(
        said.contains("makeinfra rotate --env production --commit && make deploy ENV=production"),
        "{said}"
    );
    let kustomization = "kubernetes/overlays/production/kustomization.yaml";
    sandbox.edit(kustomization, "group/hello\n", "group/helo\n");
    let said = check(&sandbox).messages("images-pinned");
    assert!(
        said.contains("so the running version is unknown (production)")
            && said.contains(kustomization),
        "{said}"
    );
    assert!(!said.contains("staging"), "{said}");
}

#[test]
fn a_line_that_kustomize_misreads_is_told_of_the_environment_that_has_it() {
    let sandbox = with_environments(&[]);
    let set = ["secret", "set", "db", "PASSWORD", "--stdin", "--all-environments"];
    sandbox.makeinfra(&set).cwd(sandbox.hello("")).stdin("x").success();
    assert!(check(&sandbox).ids("ok").contains("secrets-generated"));
    sandbox.append("secrets/kubernetes/production/db.env", &format!("{TOKEN}\n"));
    let checked = check(&sandbox);
    assert_eq!(checked.problems(), ["secrets-generated"]);
    let said = checked.messages("secrets-generated");
    assert!(said.contains("secrets/kubernetes/production/db.env: line 2: no `=`"), "{said}");
    assert!(!said.contains("staging") && !said.contains(TOKEN), "{said}");
}

/// The first finding of `diagnose`, and its hint.
#[track_caller]
fn first(sandbox: &Sandbox, args: &[&str], list: &Value) -> (String, String) {
    let args = [&["diagnose", "--events", "-", "--json"], args].concat();
    let found =
        sandbox.makeinfra(&args).cwd(sandbox.hello("")).stdin(list.to_string()).output().json();
    let word = |name: &str| found["causes"][0][name].as_str().unwrap().to_owned();
    (word("id"), word("hint"))
}

#[test]
fn what_a_diagnosis_says_to_type_is_for_the_environment_of_the_pod() {
    let sandbox = with_environments(&[]);
    let add = ["add", "api", "--image", "registry.gitlab.com/group/api:2", "--no-input"];
    sandbox.makeinfra(&add).cwd(sandbox.hello("")).success();
    let waits = |namespace: &str, image: &str, said: &str| {
        let state = json!({"waiting": {"reason": "ErrImagePull", "message": said}});
        let status =
            json!({"phase": "Pending", "containerStatuses": [{"name": "hello", "state": state}]});
        let text = evidence(&status, &[])
            .to_string()
            .replace("\"namespace\":\"hello\"", &format!("\"namespace\":\"{namespace}\""));
        let mut list: Value = serde_json::from_str(&text).unwrap();
        list["items"][0]["spec"]["containers"][0]["image"] = json!(image);
        list
    };
    let missing = "rpc error: code = NotFound desc = failed to pull and unpack image: not found";
    let (hello, api) = (super::support::IMAGE, "registry.gitlab.com/group/api:2");
    for (namespace, image, args, hint) in [
        (
            "hello-production",
            hello,
            &[][..],
            "make set-image ENV=production TAG=1.2.3 with a tag that exists, then: make deploy ENV=production",
        ),
        (
            "hello-production",
            hello,
            &["--env", "production"],
            "make set-image ENV=production TAG=1.2.3 with a tag that exists, then: make deploy ENV=production",
        ),
        (
            "hello-staging",
            api,
            &[],
            "make set-image ENV=staging IMAGE=registry.gitlab.com/group/api TAG=1.2.3 with a tag that exists, then: make deploy ENV=staging",
        ),
    ] {
        let list = waits(namespace, image, missing);
        assert_eq!(first(&sandbox, args, &list), ("tag-missing".to_owned(), hint.to_owned()));
    }
    // Without environments, only the image can be chosen.
    let plain = Sandbox::with_hello();
    assert!(plain.hello(SECRET).exists());
    let (_, hint) = first(&plain, &[], &waits("hello", hello, missing));
    assert!(hint.starts_with("make set-image TAG=1.2.3"), "{hint}");
    let refused =
        "failed to authorize: failed to fetch oauth token: unexpected status: 401 Unauthorized";
    let (_, hint) =
        first(&sandbox, &["--env", "production"], &waits("hello-production", hello, refused));
    assert_eq!(
        hint,
        "create a new deploy token with read_registry in GitLab, then: makeinfra rotate --env \
         production --commit && make deploy ENV=production"
    );
    let output = sandbox
        .makeinfra(&["diagnose", "--env", "production"])
        .cwd(sandbox.hello(""))
        .env("KUBECONFIG", "/nowhere")
        .output();
    assert!(!output.stdout.contains("makeinfra diagnose --context"), "{}", output.stdout);
}

#[test]
fn hints_can_be_typed_where_the_user_is() {
    let sandbox = Sandbox::with_hello();
    fs::remove_file(sandbox.hello(SECRET)).unwrap();
    fs::remove_file(sandbox.hello("Makefile")).unwrap();
    let root = sandbox.work("hello-infra").canonicalize().unwrap().display().to_string();
    let hints = |dir: &str, args: &[&str]| {
        let output =
            sandbox.makeinfra(&[&["check"], args].concat()).cwd(sandbox.work(dir)).output();
        let hints =
            output.stdout.lines().filter_map(|line| Some(line.split_once("hint: ")?.1.to_owned()));
        hints.collect::<Vec<_>>()
    };
    let restore = "checkout HEAD -- Makefile";
    let edit = "${EDITOR:-vi} secrets/kubernetes/kustomization.yaml";
    assert_eq!(hints("hello-infra", &[]), ["makeinfra rotate", edit, &format!("git {restore}")]);
    let elsewhere = [
        format!("makeinfra rotate {root}"),
        format!("cd {root} && {edit}"),
        format!("git -C {root} {restore}"),
    ];
    assert_eq!(hints("", &["hello-infra"]), elsewhere);
    assert_eq!(hints("hello-infra/kubernetes", &[]), elsewhere);
    sandbox.run("sh", &["-ec", &elsewhere[2]]).success();
    assert_eq!(hints("", &["hello-infra"]), elsewhere[..2]);
    let events =
        evidence(&Value::Null, &[("FailedCreate", "exceeded quota, requests must specify cpu")]);
    let diagnose = |dir: &str, args: &[&str]| {
        let args = [&["diagnose", "--events", "-"], args].concat();
        sandbox.makeinfra(&args).cwd(sandbox.work(dir)).stdin(events.to_string()).output().stdout
    };
    assert!(diagnose("hello-infra", &[]).contains("hint: makeinfra rotate\n"));
    let all = format!("hint: makeinfra rotate {root}\n");
    assert!(diagnose("", &["hello-infra"]).contains(&all), "{}", diagnose("", &["hello-infra"]));
}

#[test]
fn a_second_pull_secret_is_found_where_it_is() {
    let sandbox = Sandbox::with_hello();
    let config = "eyJhdXRocyI6eyJkb2NrZXIuaW8iOnsiYXV0aCI6ImRUcHcifX19";
    let text = format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: dockerhub\ntype: kubernetes.io/dockerconfigjson\ndata:\n  .dockerconfigjson: {config}\n"
    );
    sandbox.write_private("work/hello-infra/secrets/kubernetes/dockerhub.secret.yaml", text);
    sandbox.append("secrets/kubernetes/kustomization.yaml", "  - dockerhub.secret.yaml\n");
    sandbox.edit(
        "kubernetes/base/deployment.yaml",
        "        - name: gitlab\n",
        "        - name: gitlab\n        - name: dockerhub\n",
    );
    let checked = check(&sandbox);
    assert_eq!(checked.problems(), [""; 0], "{:?}", messages_of(&checked, "problem"));
}

#[test]
fn a_file_of_evidence_is_silent_of_what_it_was_not_asked_for() {
    let sandbox = with_environments(&[]);
    let none = json!({"kind": "List", "items": []});
    for args in [&[][..], &["--namespace", "hello-staging"], &["--env", "production"]] {
        assert_eq!(first(&sandbox, args, &none).0, "no-pods", "{args:?}");
    }
}

#[test]
fn the_secrets_of_other_namespaces_are_not_missed() {
    let cluster = StandIn { sandbox: with_environments(&[]) };
    let account = json!({"kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "hello-production"}});
    cluster.answers(&[prints(
        "get --output=json pods,",
        &json!({"kind": "List", "items": [account]}).to_string(),
    )]);
    let run = cluster.sandbox.makeinfra(&["diagnose", "--env", "production", "--json"]);
    let found =
        run.cwd(cluster.sandbox.hello("")).env("PATH", cluster.sandbox.own_path()).output().json();
    let subjects: Vec<_> =
        found["causes"].as_array().unwrap().iter().map(|one| one["subject"].to_string()).collect();
    assert!(subjects.iter().any(|one| one.contains(PRODUCTION)), "{found:#}");
    assert!(
        !subjects.iter().any(|one| one.contains("staging") || one.contains("more")),
        "{found:#}"
    );
}
