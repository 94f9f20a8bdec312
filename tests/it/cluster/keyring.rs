//! Our port of the kubelet's keyring, compared with the kubelet's own code on generated cases.
//!
//! `keyring-check` is built with the test bed, from the Kubernetes modules pinned in
//! tests/cluster/go.mod.

use super::Bed;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use makeinfra::answers::{Answer, ImageRef};
use makeinfra::pull_secret::{Manifest, keyring};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::thread;

const CASES: usize = 20_000;

/// A registry key that differs in one of many ways from host and path of one of [`images`].
fn keys() -> impl Strategy<Value = String> {
    let scheme = select(vec!["", "", "", "https://", "http://", "HTTPS://", "oci://", "//"]);
    let host = select(vec![
        "registry.gitlab.com",
        "registry.gitlab.com",
        "registry.*.com",
        "*.gitlab.com",
        "*.*.com",
        "reg[i-s]stry.gitlab.com",
        "registry.gitlab.c?m",
        "Registry.gitlab.com",
        "gitlab.com",
        "a.registry.gitlab.com",
        "docker.io",
        "index.docker.io",
        "localhost",
        "*",
        "registry.gitlab.com.",
        "user@registry.gitlab.com",
        "[::1]",
        " registry.gitlab.com",
    ]);
    let port = select(vec!["", "", "", ":5050", ":443", ":", ":x"]);
    let path = select(vec![
        "",
        "",
        "",
        "/",
        "/group",
        "/group/",
        "/gro",
        "/group/hello",
        "/group/hello/x",
        "/v1/",
        "/v2/",
        "/v1",
        "/v2",
        "/v2/group",
        "/v1/group/",
        "/*",
        "/group?x",
        "/group#x",
        "/%67roup",
        "/library",
        "\n",
    ]);
    (scheme, host, port, path)
        .prop_map(|(scheme, host, port, path)| format!("{scheme}{host}{port}{path}"))
}

fn images() -> impl Strategy<Value = &'static str> {
    select(vec![
        "registry.gitlab.com/group/hello:1.0.0",
        "registry.gitlab.com/group/hello/x:1",
        "registry.gitlab.com/groupother/hello:1",
        "registry.gitlab.com:5050/group/hello:1.0.0",
        "registry.gitlab.com:443/group/hello:1",
        "registry.gitlab.com/v2/hello:1",
        "registry.gitlab.com/library:1",
        "nginx:1.27",
        "group/hello:1",
        "docker.io/group/hello:1",
        "localhost:5050/group/hello:1",
        "localhost/group:1",
    ])
}

/// An entry with plain fields, `auth`, or both, well-formed or not.
fn entries() -> impl Strategy<Value = Value> {
    let name = select(vec!["ada", "gitlab+deploy-token-1", "a:b", ""]);
    let auth = |name: &str, password: &str| STANDARD.encode(format!("{name}:{password}"));
    (name, 0..30_u8).prop_map(move |(name, form)| match form {
        0 => json!({"username": name, "password": "p", "email": "ada@example.com"}),
        1 => json!({"auth": auth(name, "p")}),
        2 => json!({"username": "other", "password": "q", "auth": auth(name, "p:q")}),
        3 => json!({"username": name, "password": "p", "auth": ""}),
        4 => json!({"auth": auth(name, "p").trim_end_matches('=')}),
        5 => json!({"auth": format!("{}\n", auth(name, "p"))}),
        6 => json!({"auth": format!("{} ", auth(name, "p"))}),
        7 => json!({"auth": STANDARD.encode("no colon")}),
        8 => json!({"Username": name, "PASSWORD": "p", "auth": null}),
        _ => json!({"username": name, "password": "p", "auth": auth(name, "p")}),
    })
}

/// A manifest of a pull secret, and an image.
fn cases() -> impl Strategy<Value = (String, &'static str)> {
    let entries = proptest::collection::vec((keys(), entries()), 1..4);
    (entries, any::<bool>(), images()).prop_map(|(entries, modern, image)| {
        let entries: Map<String, Value> = entries.into_iter().collect();
        let (kind, data) = match modern {
            true => ("dockerconfigjson", json!({"auths": entries})),
            false => ("dockercfg", json!(entries)),
        };
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "gitlab"},
            "type": format!("kubernetes.io/{kind}"),
            "data": {format!(".{kind}"): STANDARD.encode(data.to_string())},
        });
        (secret.to_string(), image)
    })
}

/// The user names that the kubelet would try according to our port, sorted; `None` if the Secret
/// fails the pull.
fn ours(secret: &str, image: &str) -> Option<Vec<String>> {
    let manifest = Manifest::parse(secret).ok()?;
    let config = manifest.config();
    config.check().ok()?;
    let image = ImageRef::parse(image).unwrap();
    let found = keyring::matching(config.keys(), &image).into_iter();
    let mut names: Vec<_> = found.map(|key| config.username(key).unwrap_or_default()).collect();
    names.sort();
    Some(names)
}

/// The same according to the kubelet's code.
fn theirs(answer: &Value) -> Option<Vec<String>> {
    let credentials = answer["credentials"].as_array()?;
    let mut names: Vec<_> =
        credentials.iter().map(|found| found["username"].as_str().unwrap().to_owned()).collect();
    names.sort();
    Some(names)
}

#[test]
fn our_keyring_is_the_kubelets_over_generated_secrets() {
    let Some(bed) = Bed::find() else { return };
    let mut check = Command::new(bed.program("keyring-check"))
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut runner = TestRunner::deterministic();
    let asked: Vec<_> =
        (0..CASES).map(|_| cases().new_tree(&mut runner).unwrap().current()).collect();
    let lines: String = asked
        .iter()
        .map(|(secret, image)| format!("{}\n", json!({"secrets": [secret], "image": image})))
        .collect();
    let mut stdin = check.stdin.take().unwrap();
    let writer = thread::spawn(move || stdin.write_all(lines.as_bytes()).unwrap());
    let (mut served, mut refused) = (0, 0);
    let answers = BufReader::new(check.stdout.take().unwrap()).lines();
    for ((secret, image), answer) in asked.iter().zip(answers) {
        let answer: Value = serde_json::from_str(&answer.unwrap()).unwrap();
        let (ours, theirs) = (ours(secret, image), theirs(&answer));
        assert_eq!(ours, theirs, "{image} with {secret}: {answer}");
        served += usize::from(ours.as_ref().is_some_and(|names| !names.is_empty()));
        refused += usize::from(ours.is_none());
    }
    writer.join().unwrap();
    assert!(check.wait().unwrap().success());
    // The cases are only useful if every kind occurs.
    assert!(served > CASES / 20 && refused > CASES / 20, "{served} served, {refused} refused");
}

#[test]
fn the_generated_secret_passes_the_api_servers_validation() {
    use crate::support::{SECRET, Sandbox, TOKEN, USER};
    let Some(bed) = Bed::find() else { return };
    for kind in ["dockercfg", "dockerconfigjson"] {
        let sandbox = Sandbox::new();
        sandbox.new_hello(&["--secret-type", kind]).success();
        let file = sandbox.hello(SECRET).display().to_string();
        let check = |image: &str| {
            sandbox.run(bed.program("keyring-check"), &[&file, image]).success().json()
        };
        let found = json!([{"username": USER, "password": TOKEN}]);
        assert_eq!(check("registry.gitlab.com/group/hello:1.0.0"), json!({"credentials": found}));
        assert_eq!(check("registry.example.com/group/hello:1.0.0"), json!({"credentials": []}));
        assert!(!fs::read_to_string(&file).unwrap().contains(TOKEN));
    }
}
