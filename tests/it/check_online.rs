//! `makeinfra check --online`: the registries' answers about the images of a repository, asked as
//! the kubelet would.

use super::registry_bed::{Bed, Setup};
use super::support::*;
use serde_json::{Value, json};
use std::fs;

/// A sandbox with `hello-infra` for an image of the bed, created without asking a registry.
fn hello(image: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let token = sandbox.path("token").display().to_string();
    let args = ["new", "hello", "--image", image, "--token-username", USER, "--token-file", &token];
    sandbox.makeinfra(&args).success();
    sandbox
}

fn check(sandbox: &Sandbox, args: &[&str]) -> Run {
    let base = ["check", "hello-infra", "--online", "--json"];
    sandbox.makeinfra(&[&base[..], args].concat())
}

/// Runs it, and returns status, message and hint of the online checks.
#[track_caller]
fn asked(run: Run, code: i32) -> Vec<[String; 3]> {
    let output = run.failure(code);
    let checks = output.json()["checks"].as_array().unwrap().clone();
    let online = checks.iter().filter(|check| check["id"] == "images-pull");
    online
        .map(|check| {
            ["status", "message", "hint"].map(|name| check[name].as_str().unwrap().to_owned())
        })
        .collect()
}

#[track_caller]
fn one(run: Run, code: i32, status: &str, message: &str) {
    let asked = asked(run, code);
    let [[found, text, hint]] = &asked[..] else { panic!("{asked:?}") };
    assert!(found == status && text.contains(message), "{asked:?}");
    assert_eq!(hint.is_empty(), status == "ok", "{asked:?}");
}

#[test]
fn says_whether_the_image_can_be_pulled() {
    let Some(bed) = Bed::start() else { return };
    let sandbox = hello(&bed.image("group/hello:1.0.0"));
    one(check(&sandbox, &[]), 0, "ok", "can be pulled");
    let output = sandbox.makeinfra(&["check", "hello-infra", "--online", "--verbose"]).failure(0);
    assert!(output.stdout.contains("can be pulled [images-pull]"), "{}", output.stdout);
    bed.knows("gldt-another", "group", "read_registry");
    one(check(&sandbox, &[]), 1, "problem", "refuses the sign-in");
    bed.knows(TOKEN, "group", "read_repository");
    one(check(&sandbox, &[]), 1, "problem", "lacks the scope `read_registry`");
    bed.knows(TOKEN, "other", "read_registry");
    one(check(&sandbox, &[]), 1, "problem", "belongs to another project");
    assert_eq!(bed.sign_ins().len(), 5, "one sign-in a run: {:?}", bed.sign_ins());
    // Offline, none of this is known, and no registry is asked.
    sandbox.makeinfra(&["check", "hello-infra"]).failure(0);
    assert_eq!(bed.sign_ins().len(), 5);
    for (image, message) in [
        ("group/hello:9.9.9", "has no `9.9.9`"),
        ("group/nothing:1.0.0", "no repository `group/nothing`"),
    ] {
        bed.knows(TOKEN, "group", "read_registry");
        one(check(&hello(&bed.image(image)), &[]), 1, "problem", message);
    }
    one(check(&hello(&bed.image("open/hello:1.0.0")), &[]), 0, "ok", "it is public");
}

#[test]
fn what_nobody_can_tell_has_an_exit_code_of_its_own() {
    let Some(bed) = Bed::start() else { return };
    let sandbox = hello(&bed.image("group/hello:1.0.0"));
    drop(bed);
    one(check(&sandbox, &[]), 3, "warning", "refuses connections");
    one(check(&sandbox, &["--strict"]), 1, "warning", "refuses connections");
    // A problem takes precedence.
    fs::remove_file(sandbox.hello("Makefile")).unwrap();
    one(check(&sandbox, &[]), 1, "warning", "refuses connections");
}

#[test]
fn a_locked_secret_asks_nobody() {
    let Some(bed) = Bed::start() else { return };
    let sandbox = hello(&bed.image("group/hello:1.0.0"));
    sandbox.run("git", &["clone", "-q", "hello-infra", "clone"]).success();
    fs::remove_dir_all(sandbox.work("hello-infra")).unwrap();
    fs::rename(sandbox.work("clone"), sandbox.work("hello-infra")).unwrap();
    let asked = asked(check(&sandbox, &[]), 3);
    assert!(asked[0][0] == "warning" && asked[0][1].contains("is locked"), "{asked:?}");
    assert_eq!(bed.sign_ins(), Vec::<String>::new());
}

#[test]
fn what_the_kubelet_cannot_read_is_no_credential() {
    let Some(bed) = Bed::start() else { return };
    let sandbox = hello(&bed.image("group/hello:1.0.0"));
    // As written by kubectl 1.9.0: the pull is anonymous.
    let text = fs::read_to_string(sandbox.hello(SECRET)).unwrap();
    sandbox.write_private(
        &format!("work/hello-infra/{SECRET}"),
        text.replace("  .dockercfg:", "  .dockerconfigjson:"),
    );
    one(check(&sandbox, &[]), 1, "problem", "there are no credentials for it");
    fs::remove_file(sandbox.hello(SECRET)).unwrap();
    one(check(&sandbox, &[]), 1, "problem", "there are no credentials for it");
    assert_eq!(bed.sign_ins(), Vec::<String>::new());
}

/// A repository made by hand with a Deployment for each image, and the pull secret for another one.
fn many(bed: &Bed, images: &[String]) -> Sandbox {
    let sandbox = hello(&bed.image("group/hello:1.0.0"));
    let secret = fs::read(sandbox.hello(SECRET)).unwrap();
    sandbox.write("work/many/secret.yaml", secret);
    for (number, image) in images.iter().enumerate() {
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": format!("app{number}"), "namespace": "hello"},
            "spec": {"template": {"spec": {
                "imagePullSecrets": [{"name": "gitlab"}], "containers": [{"name": "app", "image": image}],
            }}},
        });
        sandbox.write(&format!("work/many/manifests/{number}.yaml"), deployment.to_string());
    }
    sandbox
}

fn check_many(sandbox: &Sandbox, args: &[&str]) -> Run {
    let base =
        ["check", ".", "--manifests", "manifests", "--secret", "secret.yaml", "--online", "--json"];
    sandbox.makeinfra(&[&base[..], args].concat()).cwd(sandbox.work("many"))
}

#[test]
fn signs_in_once_for_all_images_whatever_comes_of_it() {
    let Some(bed) = Bed::start() else { return };
    let images: Vec<_> =
        ["group/hello:1.0.0", "group/hello:many", "group/second:1.0.0", "open/hello:1.0.0"]
            .iter()
            .flat_map(|path| [bed.image(path), bed.image(path)])
            .collect();
    let sandbox = many(&bed, &images);
    let all = asked(check_many(&sandbox, &[]), 0);
    assert!(all.len() == 8 && all.iter().all(|check| check[0] == "ok"), "{all:?}");
    let sign_ins = bed.sign_ins();
    assert_eq!(sign_ins.len(), 1, "{sign_ins:?}");
    for path in ["group/hello", "group/second", "open/hello"] {
        assert!(sign_ins[0].contains(&format!("repository:{path}:pull")), "{sign_ins:?}");
    }
    bed.knows("gldt-another", "group", "read_registry");
    let all = asked(check_many(&sandbox, &[]), 1);
    assert!(
        all.len() == 8 && all.iter().all(|check| check[1].contains("refuses the sign-in")),
        "{all:?}"
    );
    assert_eq!(bed.sign_ins().len(), 2, "never a second sign-in after a refusal");
}

#[test]
fn signs_in_again_only_for_what_one_url_does_not_take_and_never_after_a_refusal() {
    let Some(bed) = Bed::start() else { return };
    let images: Vec<_> = (0..120)
        .map(|number| bed.image(&format!("group/{}part{number}:1", "long/".repeat(12))))
        .collect();
    let sandbox = many(&bed, &images);
    let all = asked(check_many(&sandbox, &[]), 1);
    assert!(
        all.len() == 120 && all.iter().all(|check| check[1].contains("has no repository")),
        "{all:?}"
    );
    let sign_ins = bed.sign_ins();
    assert!((2..=4).contains(&sign_ins.len()), "{}", sign_ins.len());
    assert!(sign_ins.iter().all(|line| line.len() < 8 << 10));
    bed.knows("gldt-another", "group", "read_registry");
    let all = asked(check_many(&sandbox, &[]), 1);
    assert!(all.iter().all(|check| check[1].contains("refuses the sign-in")), "{all:?}");
    assert_eq!(bed.sign_ins().len(), sign_ins.len() + 1);
}

#[test]
fn an_image_without_credentials_is_asked_for_as_nobody() {
    let Some(bed) = Bed::start() else { return };
    // To the kubelet, this is another registry than the Secret's.
    let host = bed.host().replace("127.0.0.1", "localhost");
    let sandbox =
        many(&bed, &[format!("{host}/group/hello:1.0.0"), format!("{host}/open/hello:1.0.0")]);
    let mut all = asked(check_many(&sandbox, &[]), 1);
    all.sort();
    assert!(all[0][0] == "ok" && all[0][1].contains("it is public"), "{all:?}");
    assert!(
        all[1][0] == "problem" && all[1][1].contains("there are no credentials for it"),
        "{all:?}"
    );
    assert_eq!(bed.sign_ins(), Vec::<String>::new());
}

#[test]
fn tells_for_which_platforms_an_image_is_built() {
    let Some(bed) = Bed::start() else { return };
    let one_platform = hello(&bed.image("group/hello:1.0.0"));
    let two = hello(&bed.image("group/hello:many"));
    one(check(&one_platform, &["--platform", "linux/amd64"]), 0, "ok", "can be pulled");
    let message = "does not exist for linux/arm64, only for linux/amd64";
    one(check(&one_platform, &["--platform", "linux/arm64"]), 1, "problem", message);
    one(check(&two, &["--platform", "linux/arm64"]), 0, "ok", "can be pulled");
    let message = "does not exist for linux/s390x, only for linux/amd64, linux/arm64";
    one(check(&two, &["--platform", "linux/s390x"]), 1, "problem", message);
    for bad in ["arm64", "linux/", "linux/arm64/v8/x", "linux/\u{1b}", TOKEN] {
        check(&two, &["--platform", bad]).failure(2).says("`--platform` must be OS/ARCHITECTURE");
    }
    two.makeinfra(&["check", "--platform", "linux/arm64"])
        .failure(2)
        .says("`--running` or `--online` is required");
}

#[test]
fn asks_a_registry_with_a_private_authority() {
    let Some(bed) = Bed::with(&Setup { tls: &["127.0.0.1"], ..Setup::default() }) else { return };
    let sandbox = hello(&bed.image("group/hello:1.0.0"));
    one(check(&sandbox, &[]), 3, "warning", "an unknown authority");
    one(check(&sandbox, &["--ca-file", &bed.ca_file()]), 0, "ok", "can be pulled");
}

#[test]
fn changes_nothing_and_leaves_the_token_where_it_is() {
    let Some(bed) = Bed::start() else { return };
    let sandbox = hello(&bed.image("group/hello:1.0.0"));
    let files = || -> Vec<(String, Vec<u8>)> {
        let top = sandbox.path("");
        let paths = files_below(&top).into_iter();
        paths.map(|path| (path.clone(), fs::read(top.join(&path)).unwrap())).collect()
    };
    let before = files();
    let output = check(&sandbox, &[]).success();
    assert_ne!(output.json(), Value::Null);
    assert!(files() == before);
    assert_no_token(output.bytes.as_slice(), "stdout");
    assert_no_token(bed.logs().as_bytes(), "the logs");
}
