//! `makeinfra check` finds a pull secret's token wherever git has it in plaintext in another file.

use super::check::{check, commit};
use super::support::{SECRET, Sandbox, TOKEN, USER, assert_no_token};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fs;

/// Texts that contain the token, one in each form.
fn texts() -> Vec<String> {
    let auth = |before: &str| STANDARD.encode(format!("{before}{USER}:{TOKEN}"));
    let config =
        |gap: &str| format!("{gap}{{\"auths\":{{\"r.io\":{{\"auth\":\"{}\"}}}}}}", auth(""));
    let manifest = STANDARD.encode(config(" "));
    let lines: Vec<_> = manifest.as_bytes().chunks(76).map(String::from_utf8_lossy).collect();
    vec![
        format!("token: {TOKEN}\n"),
        auth(""),
        auth("a"),
        auth("ab"),
        config(""),
        STANDARD.encode(config("")),
        STANDARD.encode(config(" ")),
        STANDARD.encode(config("  ")),
        lines.join("\n"),
    ]
}

#[test]
fn a_token_is_found_in_any_file_of_the_index_and_of_head_however_it_is_written() {
    let sandbox = Sandbox::with_hello();
    for (number, text) in texts().iter().enumerate() {
        fs::create_dir_all(sandbox.hello("docs/deep")).unwrap();
        let name = format!("docs/deep/notes {number}.bin");
        fs::write(sandbox.hello(&name), text).unwrap();
        sandbox.git(&["add", "docs"]).success();
        let checked = check(&sandbox, &[]);
        let said = checked.messages("pull-secret-exposed");
        assert!(said.contains(&format!(
            "{name}: contains the token of a pull secret in plaintext, and it is in the index"
        )));
        assert_no_token(said.as_bytes(), "the output");
        commit(&sandbox, "Oh no");
        sandbox.git(&["rm", "-q", &name]).success();
        assert!(
            check(&sandbox, &[])
                .messages("pull-secret-exposed")
                .contains(&format!("{name}: contains"))
        );
        commit(&sandbox, "Mend it");
        assert!(check(&sandbox, &[]).ids("ok").contains("pull-secret-exposed"), "{name}");
    }
    let checked = check(&sandbox, &["--deep"]);
    for number in 0..texts().len() {
        let said = checked.messages("pull-secret-exposed");
        assert!(said.contains(&format!(
            "notes {number}.bin: contains the token of a pull secret in plaintext, and it is in commit "
        )));
    }
    sandbox.makeinfra(&["check", "hello-infra", "--deep", "--json"]).failure(1);
}

#[test]
fn the_copy_of_a_pull_secret_is_found_and_its_ciphertext_is_not() {
    let sandbox = Sandbox::with_hello();
    assert!(check(&sandbox, &["--deep"]).ids("ok").contains("pull-secret-exposed"));
    fs::copy(sandbox.hello(SECRET), sandbox.hello("backup.txt")).unwrap();
    sandbox.git(&["add", "backup.txt"]).success();
    assert_eq!(check(&sandbox, &[]).problems(), ["pull-secret-exposed"]);
    // It may be in an encrypted file.
    sandbox.git(&["rm", "-q", "--cached", "backup.txt"]).success();
    fs::remove_file(sandbox.hello("backup.txt")).unwrap();
    sandbox.rotate("gldt-Another_8Rx0wXl3", &["--commit"]).success();
    assert!(check(&sandbox, &["--deep"]).ids("ok").contains("pull-secret-exposed"));
}
