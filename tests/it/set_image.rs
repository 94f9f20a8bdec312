//! `make set-image` changes one line of the overlay, or nothing.

use super::environments::with_environments;
use super::support::{Sandbox, mode};
use super::workloads::everything;
use std::fs;
use std::os::unix::fs::PermissionsExt;

const KUSTOMIZATION: &str = "kubernetes/overlays/production/kustomization.yaml";

fn kustomization(sandbox: &Sandbox) -> String {
    fs::read_to_string(sandbox.hello(KUSTOMIZATION)).unwrap()
}

fn digest() -> String {
    format!("sha256:{}", "0a".repeat(32))
}

#[test]
fn one_line_changes() {
    let sandbox = Sandbox::with_hello();
    let before = kustomization(&sandbox);
    fs::set_permissions(sandbox.hello(KUSTOMIZATION), fs::Permissions::from_mode(0o640)).unwrap();
    let long = "a".repeat(128);
    for (arg, line) in [
        ("TAG=1.2.3".to_owned(), "newTag: \"1.2.3\"".to_owned()),
        ("TAG=1.10".into(), "newTag: \"1.10\"".into()),
        ("TAG=_x-Y.z".into(), "newTag: \"_x-Y.z\"".into()),
        (format!("TAG={long}"), format!("newTag: \"{long}\"")),
        (format!("DIGEST={}", digest()), format!("digest: {}", digest())),
        ("TAG=1.0.0".into(), "newTag: \"1.0.0\"".into()),
    ] {
        sandbox.make(&["set-image", &arg]).success().prints("make deploy");
        assert_eq!(kustomization(&sandbox), before.replace("newTag: \"1.0.0\"", &line));
        assert_eq!(mode(&sandbox.hello(KUSTOMIZATION)), 0o640);
    }
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
}

#[test]
fn what_is_no_tag_is_refused() {
    let sandbox = Sandbox::with_hello();
    let long = "a".repeat(129);
    for tag in [
        "",
        ".x",
        "-x",
        "a b",
        "a\"b",
        "a'b",
        "a/b",
        "a:b",
        "a,b",
        "$(shell touch x)",
        "a$(shell touch x)b",
        "`touch x`",
        "\";touch x;\"",
        "';touch x;'",
        "a#b",
        "a&b",
        "a\\1",
        "a\\",
        "ä",
        "a\nb",
        "\n",
        "1.0.0\n",
        "$(TAG)",
        "$",
        "${x}",
        "%",
        "*",
        &long,
    ] {
        sandbox.make(&["set-image", &format!("TAG={tag}")]).failure(2).says("error: ");
        // Inherited variables are ignored.
        sandbox.make(&["set-image"]).env("TAG", tag).failure(2).says("error: ");
    }
    for digest in
        ["", "sha256:1", "sha512:aa", &format!("sha256:{}", "A".repeat(64)), "$(shell touch x)"]
    {
        sandbox.make(&["set-image", &format!("DIGEST={digest}")]).failure(2).says("error: ");
    }
    for both in [
        &["TAG=1", "FROM=production"][..],
        &["TAG=1", &format!("DIGEST={}", digest())],
        &["FROM=qa"],
    ] {
        sandbox.make(&[&["set-image"], both].concat()).failure(2).says("error: ");
    }
    sandbox.make(&["set-image"]).env("TAG", "3.0.0").failure(2).says("make set-image TAG=");
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
}

#[test]
fn other_images_are_left_alone() {
    let sandbox = Sandbox::with_hello();
    let text = |line: &str| {
        format!(
            "images:\n  - name: other\n    newTag: \"9\"\n  - newName: mirror/hello\n    name: x\n    newTag: \"7\"\n  \
             - name: \"registry.gitlab.com/group/hello\"\n    newName: mirror/hello\n    {line}\n  - name: third\n    \
             newTag: \"8\"\n"
        )
    };
    fs::write(sandbox.hello(KUSTOMIZATION), text(&format!("digest: {}", digest()))).unwrap();
    sandbox.make(&["set-image", "TAG=5"]).success();
    assert_eq!(kustomization(&sandbox), text("newTag: \"5\""));
    // It does not guess the position of the line.
    fs::write(sandbox.hello(KUSTOMIZATION), text("# no tag")).unwrap();
    sandbox.make(&["set-image", "TAG=6"]).failure(2).says("no single newTag or digest");
    assert_eq!(kustomization(&sandbox), text("# no tag"));
}

#[test]
fn every_image_can_be_named() {
    let sandbox = everything(&[]);
    let before = kustomization(&sandbox);
    sandbox.make(&["set-image", "IMAGE=registry.gitlab.com/group/tool", "TAG=3"]).success();
    assert_eq!(kustomization(&sandbox), before.replace("newTag: \"2\"", "newTag: \"3\""));
    for other in
        ["registry.gitlab.com/group", "$(shell touch x)", "registry.gitlab.com/group/tool\nx", ".*"]
    {
        sandbox
            .make(&["set-image", &format!("IMAGE={other}"), "TAG=4"])
            .failure(2)
            .says("no single newTag");
    }
    assert_eq!(kustomization(&sandbox), before.replace("newTag: \"2\"", "newTag: \"3\""));
    assert!(!sandbox.hello("x").exists());
}

#[test]
fn line_ends_and_comments_stay() {
    let sandbox = Sandbox::with_hello();
    for line in
        ["newTag: \"1.0.0\"", "newTag: '1.0.0'  # tested: #42", "newTag: \"1.0.0\"  # newTag: old"]
    {
        for end in ["\n", "\r\n"] {
            let text = |tag: &str| {
                let images =
                    format!("images:\n  - name: registry.gitlab.com/group/hello\n    {tag}\n");
                images.replace('\n', end)
            };
            fs::write(sandbox.hello(KUSTOMIZATION), text(line)).unwrap();
            sandbox.make(&["set-image", "TAG=1.2.3"]).success();
            let changed =
                line.replacen("\"1.0.0\"", "\"1.2.3\"", 1).replacen("'1.0.0'", "\"1.2.3\"", 1);
            assert_eq!(kustomization(&sandbox), text(&changed));
            sandbox.make(&["set-image", &format!("DIGEST={}", digest())]).success();
            sandbox.make(&["set-image", "TAG=1.2.3"]).success();
            // The comment after a digest is its tag.
            assert_eq!(kustomization(&sandbox), text("newTag: \"1.2.3\""));
        }
    }
}

#[test]
fn a_failure_leaves_the_old_file_and_nothing_else() {
    let sandbox = Sandbox::with_hello();
    let before = kustomization(&sandbox);
    let overlay = || fs::read_dir(sandbox.hello("kubernetes/overlays/production")).unwrap().count();
    let files = overlay();
    for (program, script) in [
        // The last step fails; the file is intact until then.
        ("mv", "#!/bin/sh\nexit 1\n"),
        // The written file is incomplete.
        ("sed", "#!/bin/sh\nhead -c 20 /dev/zero\nexit 1\n"),
        ("awk", "#!/bin/sh\nhead -c 20 /dev/zero\nexit 1\n"),
        ("cp", "#!/bin/sh\nexit 1\n"),
        ("mv", "#!/bin/sh\nkill -TERM $PPID\nsleep 1\nexit 1\n"),
    ] {
        let path = sandbox.write_program(program, script);
        sandbox.make(&["set-image", "TAG=2.0.0"]).env("PATH", sandbox.own_path()).failure(2);
        fs::remove_file(path).unwrap();
        assert_eq!(kustomization(&sandbox), before, "{program}");
        assert_eq!(overlay(), files, "{program}: {script}");
    }
}

#[test]
fn a_tag_is_of_one_environment_and_may_come_from_another() {
    let sandbox = with_environments(&[]);
    let text = |name: &str| {
        fs::read_to_string(sandbox.hello(&format!("kubernetes/overlays/{name}/kustomization.yaml")))
            .unwrap()
    };
    let production = text("production");
    sandbox
        .make(&["set-image", "TAG=2.0.0", "ENV=staging"])
        .success()
        .prints("make deploy ENV=staging");
    assert!(text("staging").contains("newTag: \"2.0.0\""));
    assert_eq!(text("production"), production);
    sandbox.make(&["set-image", "FROM=staging", "ENV=production"]).success();
    assert_eq!(text("production"), production.replace("1.0.0", "2.0.0"));
    sandbox.make(&["set-image", &format!("DIGEST={}", digest()), "ENV=staging"]).success();
    sandbox.make(&["set-image", "FROM=staging", "ENV=production"]).success();
    assert_eq!(
        text("production"),
        production.replace("newTag: \"1.0.0\"", &format!("digest: {}", digest()))
    );
    for other in
        ["qa", "", ".", "../overlays/staging", "staging production", "$(shell touch x)", "*"]
    {
        sandbox
            .make(&["set-image", &format!("FROM={other}"), "ENV=production"])
            .failure(2)
            .says("error: ");
    }
    assert!(!sandbox.hello("x").exists());
}
