//! Repositories with environments, as created by `new --env`.

use super::support::{IMAGE, Sandbox, TOKEN, USER, assert_no_token, kubectl};
use serde_json::{Value, json};
use std::fs;

const BOTH: [&str; 4] = ["--env", "staging", "--env", "production"];

/// `hello-infra` with staging and production.
pub fn with_environments(args: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&[&BOTH[..], args].concat()).success();
    sandbox
}

/// The output of `kubectl kustomize` for a directory, by kind; `None` if no kubectl is new enough
/// for overlays.
pub fn built(sandbox: &Sandbox, dir: &str) -> Option<Vec<Value>> {
    let kubectl = kubectl()?;
    let text = sandbox.run(kubectl, &["kustomize", dir]).cwd(sandbox.hello("")).success().stdout;
    let documents = serde_yaml::Deserializer::from_str(&text);
    Some(documents.map(|document| serde::Deserialize::deserialize(document).unwrap()).collect())
}

fn of_kind<'d>(documents: &'d [Value], kind: &str) -> &'d Value {
    documents.iter().find(|document| document["kind"] == kind).unwrap()
}

#[test]
fn each_environment_has_its_namespace_pods_host_and_secret() {
    let sandbox =
        with_environments(&["--ingress", "hello.example.com", "--replicas", "production=3"]);
    for (name, pods, host) in
        [("staging", 2, "staging.hello.example.com"), ("production", 3, "hello.example.com")]
    {
        let namespace = format!("hello-{name}");
        let file = format!("secrets/kubernetes/{name}/gitlab.secret.yaml");
        let secret: Value =
            serde_yaml::from_str(&fs::read_to_string(sandbox.hello(&file)).unwrap()).unwrap();
        assert!(secret["metadata"].get("namespace").is_none(), "the overlay sets it");
        let blob = sandbox.git(&["cat-file", "blob", &format!("HEAD:{file}")]).success().bytes;
        assert!(blob.starts_with(b"\0GITCRYPT\0"));
        let Some(documents) = built(&sandbox, &format!("kubernetes/overlays/{name}")) else {
            return;
        };
        assert!(documents.iter().all(|document| document["metadata"]["namespace"] == namespace));
        let deployment = of_kind(&documents, "Deployment");
        assert_eq!(deployment["spec"]["replicas"], pods);
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["image"], IMAGE);
        assert_eq!(container["resources"]["limits"], json!({"memory": "256Mi"}));
        assert_eq!(of_kind(&documents, "Ingress")["spec"]["rules"][0]["host"], host);
    }
    sandbox.makeinfra(&["check", "hello-infra"]).success().prints("0 problems, 0 warnings");
}

#[test]
fn the_next_step_names_one_of_several_environments() {
    let sandbox = Sandbox::new();
    sandbox.new_hello(&BOTH).success().prints("  make deploy ENV=staging\n");
    Sandbox::new().new_hello(&["--env", "live"]).success().prints("  make deploy\n");
}

#[test]
fn options_may_be_for_one_environment() {
    let sandbox = Sandbox::new();
    let other = sandbox.write_private("other", "gldt-Other12345");
    let other = format!("qa={}", other.display());
    let args = [
        &BOTH[..],
        &[
            "--env",
            "qa",
            "--protect",
            "qa",
            "--namespace",
            "{env}-{project}",
            "--namespace",
            "qa=quality",
        ],
        &["--replicas", "3", "--replicas", "staging=0", "--context", "eu", "--context", "qa=us"],
        &["--ingress", "hello.example.com", "--ingress", "qa=quality.example.org"],
        &["--token-file", &other, "--expires-at", "2030-01-01", "--expires-at", "qa=2031-01-01"],
    ]
    .concat();
    sandbox.new_hello(&args).success();
    let listed = sandbox.makeinfra(&["env", "list", "hello-infra", "--json"]).success().json();
    let images = json!([IMAGE]);
    let expected = json!([
        {"name": "staging", "protected": false, "namespace": "staging-hello", "context": "eu",
         "images": images, "token_expires_at": "2030-01-01", "other_tokens_expire_at": {}},
        {"name": "production", "protected": true, "namespace": "production-hello", "context": "eu",
         "images": images, "token_expires_at": "2030-01-01", "other_tokens_expire_at": {}},
        {"name": "qa", "protected": true, "namespace": "quality", "context": "us",
         "images": images, "token_expires_at": "2031-01-01", "other_tokens_expire_at": {}},
    ]);
    assert_eq!(listed["environments"], expected);
    let shown = sandbox.makeinfra(&["env", "list", "hello-infra"]).success().stdout;
    assert!(
        shown.contains("qa (protected)          quality           us       2031-01-01"),
        "{shown}"
    );
    let record = fs::read_to_string(sandbox.hello(".makeinfra.yaml")).unwrap();
    assert!(record.contains("    staging:\n      namespace: staging-hello\n      context: eu\n      protect: false\n      replicas: 0\n      ingress: staging.hello.example.com\n"), "{record}");
    assert!(record.contains("      ingress: quality.example.org\n"), "{record}");
    // One token for two environments, another one for the third.
    let username = |args: &[&str]| sandbox.rotate("gldt-Third", args);
    username(&[]).failure(2).says("staging, production; qa").says("--env staging --env production");
}

#[test]
fn an_answers_file_may_have_them_and_options_win() {
    let sandbox = Sandbox::new();
    let answers = "project: hello\nimage: registry.gitlab.com/group/hello:1.0.0\nenvironments:\n  staging: ~\n  live: {protect: yes, namespace: hello, replicas: 4}\n";
    let file = sandbox.write("answers.yaml", answers).display().to_string();
    let args = ["new", "--answers", &file, "--no-token", "--replicas", "live=5", "--json"];
    sandbox.makeinfra(&args).success();
    let record = fs::read_to_string(sandbox.hello(".makeinfra.yaml")).unwrap();
    let (staging, live) = (record.find("staging:").unwrap(), record.find("live:").unwrap());
    assert!(staging < live, "the order of the file: {record}");
    assert!(
        record.contains("live:\n      namespace: hello\n      protect: true\n      replicas: 5\n"),
        "{record}"
    );
}

#[test]
fn wrong_options_are_told() {
    let sandbox = Sandbox::new();
    for (args, said) in [
        (&["--env", "Staging"][..], "`--env` must consist of at most 32 lower-case letters"),
        (&["--env", "a", "--env", "a"], "`--env` names an environment twice"),
        (
            &["--env", "a", "--replicas", "b=1"],
            "an option names the environment `b`, which does not exist",
        ),
        (&["--protect", "b"], "an option names the environment `b`, which does not exist"),
        (
            &["--env", "a", "--replicas", "1", "--replicas", "2"],
            "`--replicas` cannot be used more than once",
        ),
        (&["--env", "a", "--replicas", "a=x"], "`--replicas` must be a whole number"),
        (&["--env", "a", "--env", "b", "--namespace", "one"], "must differ between environments"),
        (&["--namespace", "{env}"], "`--namespace` must be a DNS label"),
        (&["--env", "a", "--ingress", "*.example.com"], "`--ingress` must leave room"),
        (&["--env", "a", "--context", "a b"], "`--context` must be a kubectl context"),
        (&["--env", "a", "--expires-at", "a=2030-01-01"], "`a` has none of its own"),
        (&["--env", "a", "--env", "b", "--token-username", "a=other"], "`a` has none of its own"),
    ] {
        let output = sandbox.new_hello(args).failure(2);
        output.says(said);
        assert!(output.stderr.contains("hint: "), "{}", output.stderr);
        assert!(!sandbox.hello("").exists());
    }
}

#[test]
fn one_environments_token_can_be_rotated() {
    let sandbox = with_environments(&[]);
    let secret = |name: &str| {
        fs::read_to_string(sandbox.hello(&format!("secrets/kubernetes/{name}/gitlab.secret.yaml")))
            .unwrap()
    };
    let (staging, production) = (secret("staging"), secret("production"));
    let output = sandbox.rotate("gldt-Second", &["--dry-run"]).success();
    output.prints("staging/").prints("production/");
    assert_eq!((secret("staging"), secret("production")), (staging.clone(), production.clone()));

    sandbox
        .rotate("gldt-Second", &["--env", "production", "--commit"])
        .success()
        .prints("make deploy ENV=production");
    assert_eq!(secret("staging"), staging);
    assert_ne!(secret("production"), production);
    let changed = sandbox.git(&["show", "--name-only", "--format=", "HEAD"]).success().stdout;
    assert_eq!(changed, "secrets/kubernetes/production/gitlab.secret.yaml\n");
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");

    let output = sandbox.rotate("gldt-Third", &[]).failure(2);
    output
        .says("the environments have different deploy tokens")
        .says("staging; production")
        .says("hint: --env staging");
    sandbox
        .rotate("gldt-Third", &["--env", "qa"])
        .failure(2)
        .says("existing environments: staging, production");
    let output = sandbox
        .rotate("gldt-Third", &["--env", "staging", "--env", "production", "--json"])
        .success()
        .json();
    assert_eq!(output["files"].as_array().unwrap().len(), 2, "{output}");
    let output = sandbox.rotate("gldt-Fourth", &[]).success();
    output.prints("make deploy ENV=staging").prints("make deploy ENV=production");
    // The old token is listed until it is deleted.
    let superseded = "superseded-tokens: gitlab+deploy-token-1\n";
    assert!(secret("staging").contains(superseded), "{}", secret("staging"));
    assert!(
        !secret("staging").replace(superseded, "").contains(USER)
            && !output.stdout.contains("gldt-")
    );
    assert_no_token(secret("staging").as_bytes(), "the rotated file");
    assert_ne!(TOKEN, "gldt-Fourth");
}

#[test]
fn a_further_secret_is_of_one_environment() {
    let sandbox = with_environments(&[]);
    let set = |args: &[&str]| {
        let all = [&["secret", "set", "database", "PASSWORD"], args, &["--stdin", "hello-infra"]]
            .concat();
        sandbox.makeinfra(&all).stdin("hunter2\n")
    };
    set(&["--env", "qa"]).failure(2).says("existing environments: staging, production");
    set(&["--env", "production"]).success().prints("deploy ENV=production");
    for (name, is_there) in [("production", true), ("staging", false)] {
        let file = format!("secrets/kubernetes/{name}/database.env");
        assert_eq!(sandbox.hello(&file).exists(), is_there, "{name}");
    }
}
