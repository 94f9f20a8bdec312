//! `--check`: the answers of a real registry and its token service, and their consequences.

use super::registry_bed::{Bed, Setup};
use super::support::*;
use serde_json::Value;
use std::fs;

/// bcrypt of the tests' token, as produced by `htpasswd -B`.
const HTPASSWD: &str =
    "gitlab+deploy-token-1:$2b$05$abcdefghijklmnopqrstuu5iVdfEQAfSN.B3nCAYPfcA/aXtpp9HK\n";

/// `makeinfra new hello --check` for an image, with the tests' token.
pub fn new(sandbox: &Sandbox, image: &str, args: &[&str]) -> Run {
    let token = sandbox.path("token").display().to_string();
    let base = [
        "new",
        "hello",
        "--image",
        image,
        "--token-username",
        USER,
        "--token-file",
        &token,
        "--check",
    ];
    sandbox.makeinfra(&[&base[..], args].concat())
}

/// Expects that the image is refused for this reason, nothing is written, and the token does not
/// appear.
#[track_caller]
pub fn fails(run: Run, sandbox: &Sandbox, code: i32, reason: &str) -> Output {
    let output = run.failure(code);
    output.says(reason).says("nothing was written").says("hint: ");
    assert!(!sandbox.work("hello-infra").exists());
    output
}

/// Expects that everything is written, and the registry's answer is reported as `id`.
#[track_caller]
fn succeeds(run: Run, id: &str) -> Output {
    let output = run.success();
    assert_eq!(output.json()["check"]["id"], id, "{}", output.stdout);
    assert_no_token(output.stdout.as_bytes(), "stdout");
    assert_no_token(output.stderr.as_bytes(), "stderr");
    output
}

#[test]
fn a_token_that_is_good_is_used() {
    let Some(bed) = Bed::start() else { return };
    let sandbox = Sandbox::new();
    let image = bed.image("group/hello:1.0.0");
    let output = new(&sandbox, &image, &[]).success();
    assert!(
        output.stdout.contains(&format!("Checked: `{image}` can be pulled.\n")),
        "{}",
        output.stdout
    );
    assert_eq!(output.stderr, "");
    assert!(sandbox.hello(SECRET).exists());
    assert_eq!(bed.sign_ins(), [r#"["repository:group/hello:pull"] 200"#]);
    assert_no_token(bed.logs().as_bytes(), "the logs");
    let sandbox = Sandbox::new();
    succeeds(new(&sandbox, &bed.image("group/hello:many"), &["--json"]), "pulls");
}

#[test]
fn a_token_that_is_refused_is_not_used() {
    let Some(bed) = Bed::start() else { return };
    let sandbox = Sandbox::new();
    let image = bed.image("group/hello:1.0.0");
    bed.knows("gldt-another", "group", "read_registry");
    fails(
        new(&sandbox, &image, &[]),
        &sandbox,
        13,
        "the user name or token is wrong, or the token is revoked or expired",
    );
    bed.knows(TOKEN, "group", "read_repository");
    fails(new(&sandbox, &image, &[]), &sandbox, 13, "lacks the scope `read_registry`");
    bed.knows(TOKEN, "grou", "read_registry");
    fails(
        new(&sandbox, &image, &[]),
        &sandbox,
        13,
        "not allowed to pull `group/hello`: it belongs to another project",
    );
    // One sign-in each, and no further one after a refusal.
    let statuses =
        || bed.sign_ins().iter().map(|line| line[line.len() - 3..].to_owned()).collect::<Vec<_>>();
    // The service writes its log after answering.
    let waits = (0..50).take_while(|_| statuses().len() < 3);
    waits.for_each(|_| std::thread::sleep(std::time::Duration::from_millis(100)));
    assert_eq!(statuses(), ["401", "403", "200"]);
}

#[test]
fn a_dry_run_asks_too_and_writes_nothing() {
    let Some(bed) = Bed::start() else { return };
    let sandbox = Sandbox::new();
    let image = bed.image("group/hello:1.0.0");
    let output = new(&sandbox, &image, &["--dry-run"]).success();
    assert!(output.stdout.contains("can be pulled.\nNothing was written"), "{}", output.stdout);
    bed.knows("gldt-another", "group", "read_registry");
    fails(new(&sandbox, &image, &["--dry-run"]), &sandbox, 13, "refuses the sign-in");
}

#[test]
fn an_image_that_is_not_there_yet_is_a_warning() {
    let Some(bed) = Bed::start() else { return };
    for (image, id, warning) in [
        ("group/hello:9.9.9", "no-manifest", "has no `9.9.9`"),
        ("group/nothing:1.0.0", "no-repository", "has no repository `group/nothing`"),
    ] {
        let sandbox = Sandbox::new();
        let output = succeeds(new(&sandbox, &bed.image(image), &["--json"]), id);
        let warnings = output.json()["warnings"].to_string();
        assert!(
            warnings.contains("the sign-in succeeds") && warnings.contains(warning),
            "{warnings}"
        );
        assert!(sandbox.hello(SECRET).exists());
    }
}

#[test]
fn an_image_that_anybody_may_pull_is_said_to_be_public() {
    let Some(bed) = Bed::start() else { return };
    let sandbox = Sandbox::new();
    succeeds(new(&sandbox, &bed.image("open/hello:1.0.0"), &["--json"]), "public");
    // Without sign-in, docker-registry's default.
    let open = Setup { auth: Some(String::new()), ..Setup::default() };
    let bed = Bed::with(&open).unwrap();
    let sandbox = Sandbox::new();
    succeeds(new(&sandbox, &bed.image("group/hello:1.0.0"), &["--json"]), "public");
    assert_eq!(bed.sign_ins(), Vec::<String>::new());
}

#[test]
fn a_registry_with_a_sign_in_of_its_own_is_understood() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("htpasswd", HTPASSWD);
    let auth = serde_json::json!({"htpasswd": {"realm": "a, \"b\"", "path": file}}).to_string();
    let Some(bed) = Bed::with(&Setup { auth: Some(auth), ..Setup::default() }) else { return };
    succeeds(new(&sandbox, &bed.image("group/hello:1.0.0"), &["--json"]), "pulls");
    let sandbox = Sandbox::new();
    sandbox.write_private("token", "gldt-another");
    fails(new(&sandbox, &bed.image("group/hello:1.0.0"), &[]), &sandbox, 13, "refuses the sign-in");
}

#[test]
fn a_host_without_a_registry_is_told() {
    let Some(bed) = Bed::start() else { return };
    let sandbox = Sandbox::new();
    // The token service also answers as a web server.
    let image = format!("{}/group/hello:1.0.0", bed.service());
    fails(new(&sandbox, &image, &[]), &sandbox, 1, "is not a container registry")
        .says("registry.gitlab.com");
    let Some(bed) = Bed::with(&Setup { service: &["--disabled"], ..Setup::default() }) else {
        return;
    };
    let image = bed.image("group/hello:1.0.0");
    fails(new(&sandbox, &image, &[]), &sandbox, 1, "no registry is enabled");
}

#[test]
fn a_ban_is_no_word_on_the_token() {
    for (status, reason) in [("403", "may have banned this address"), ("429", "limits requests")] {
        let service = ["--ban", "1", "--ban-status", status];
        let Some(bed) = Bed::with(&Setup { service: &service, ..Setup::default() }) else { return };
        let sandbox = Sandbox::new();
        let image = bed.image("group/hello:1.0.0");
        bed.knows("gldt-another", "group", "read_registry");
        fails(new(&sandbox, &image, &[]), &sandbox, 13, "refuses the sign-in");
        bed.knows(TOKEN, "group", "read_registry");
        fails(new(&sandbox, &image, &["--no-input"]), &sandbox, 3, reason).says("cannot determine");
    }
}

#[test]
fn a_rotation_writes_only_a_token_that_is_good() {
    let Some(bed) = Bed::start() else { return };
    let sandbox = Sandbox::new();
    new(&sandbox, &bed.image("group/hello:1.0.0"), &[]).success();
    let before = fs::read(sandbox.hello(SECRET)).unwrap();
    let record = fs::read(sandbox.hello(".makeinfra.yaml")).unwrap();
    let token = sandbox.path("token").display().to_string();
    let rotate = |args: &[&str]| {
        let base =
            ["rotate", "hello-infra", "--token-username", USER, "--token-file", &token, "--check"];
        sandbox.makeinfra(&[&base[..], args].concat())
    };
    // Recreated under its name in GitLab: the old token is refused, and this repository does not
    // know the new one yet.
    sandbox.write_private("token", "gldt-Second_7Qx9vWk2");
    rotate(&["--commit"]).failure(13).says("refuses the sign-in").says("nothing was written");
    rotate(&["--dry-run"]).failure(13).says("refuses the sign-in");
    assert_eq!(fs::read(sandbox.hello(SECRET)).unwrap(), before);
    assert_eq!(fs::read(sandbox.hello(".makeinfra.yaml")).unwrap(), record);
    assert_eq!(sandbox.git(&["rev-list", "--count", "HEAD"]).success().stdout, "1\n");
    bed.knows("gldt-Second_7Qx9vWk2", "group", "read_registry");
    let output = rotate(&["--commit"]).success();
    assert!(
        output.stdout.contains("Checked: `") && output.stdout.contains("committed as"),
        "{}",
        output.stdout
    );
    assert_ne!(fs::read(sandbox.hello(SECRET)).unwrap(), before);
    let again = rotate(&["--json"]).success().json();
    assert_eq!((&again["changed"], &again["check"]["id"]), (&Value::Bool(false), &"pulls".into()));
}

#[test]
fn a_rotation_asks_for_the_images_that_are_deployed() {
    let Some(bed) = Bed::start() else { return };
    let sandbox = Sandbox::new();
    new(&sandbox, &bed.image("group/hello:1.0.0"), &[]).success();
    let rotate = |value: &str| {
        let token = sandbox.write_private("token", value).display().to_string();
        let args = [
            "rotate",
            "hello-infra",
            "--token-username",
            USER,
            "--token-file",
            &token,
            "--check",
            "--json",
        ];
        sandbox.makeinfra(&args)
    };
    // Another tag is deployed that is not in `.makeinfra.yaml`, which is not even needed.
    sandbox.make(&["set-image", "TAG=9.9.9"]).success();
    let warnings = rotate(TOKEN).success().json()["warnings"].to_string();
    assert!(warnings.contains("has no `9.9.9`"), "{warnings}");
    sandbox.make(&["set-image", "TAG=many"]).success();
    fs::remove_file(sandbox.hello(".makeinfra.yaml")).unwrap();
    let checked = rotate(TOKEN).success().json()["check"].clone();
    assert_eq!(checked["message"], format!("`{}` can be pulled", bed.image("group/hello:many")));
    // A second container, with an image of a project that the token cannot access.
    let deployment = fs::read_to_string(sandbox.hello("kubernetes/base/deployment.yaml")).unwrap();
    let second = format!(
        "      containers:\n        - name: second\n          image: {}\n",
        bed.image("second/hello:1")
    );
    sandbox.write(
        "work/hello-infra/kubernetes/base/deployment.yaml",
        deployment.replace("      containers:\n", &second),
    );
    rotate(TOKEN).failure(13).says("not allowed to pull `second/hello`");
    // Nothing is deployed, and nothing is recorded.
    fs::remove_dir_all(sandbox.hello("kubernetes")).unwrap();
    rotate(TOKEN).failure(1).says("no image found").says("hint: omit `--check`");
}

#[test]
fn options_that_say_how_to_ask_want_to_be_asked_for() {
    let sandbox = Sandbox::new();
    for option in [&["--plain-http"][..], &["--ca-file", "ca.pem"]] {
        sandbox.new_hello(option).failure(2).says("`--check` is required");
    }
    sandbox.new_without_token(&["--check"]).failure(2).says("cannot be used with");
    for (text, reason) in [("", "contains no certificate"), (TOKEN, "contains no certificate")] {
        let file = sandbox.write_private("ca.pem", text).display().to_string();
        let output = sandbox.new_hello(&["--check", "--ca-file", &file]).failure(2);
        output.says("`--ca-file` must be").says(reason);
    }
    let output = sandbox.new_hello(&["--check", "--ca-file", TOKEN]).failure(2);
    output.says("the file does not exist");
    assert!(!sandbox.work("hello-infra").exists());
}
