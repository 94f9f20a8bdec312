//! Token sources: the answer of GitLab's API, docker's configuration, a file with only a token.

use super::super::support::Sandbox;
use super::{fuzz, quotes_no_token};
use makeinfra::answers::{Answer, ImageRef, RegistryKey, TokenUsername};
use makeinfra::credentials::{Source, Value};
use makeinfra::error::explain;
use makeinfra::ui::Ui;
use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;

/// Writes the bytes to a file that `source` turns into a token source.
fn read_from_file(
    target: &'static str,
    words: &[&'static str],
    source: impl Fn(PathBuf) -> Source,
) {
    let sandbox = Sandbox::in_memory();
    let file = sandbox.write_private("login", "");
    let registry = RegistryKey::parse("registry.gitlab.com").unwrap();
    let image = ImageRef::parse("registry.gitlab.com/group/project:1").unwrap();
    // Shared by all inputs, because it prints each warning once.
    let ui = RefCell::new(Ui::new(true));
    fuzz(target, words, Vec::new(), |bytes| {
        // Docker's helpers are programs, which must not be started here.
        if bytes.to_ascii_lowercase().windows(4).any(|word| word == b"cred") {
            return;
        }
        fs::write(&file, bytes).unwrap();
        match source(file.clone()).read(&registry, Some(&image), true, None, &mut ui.borrow_mut()) {
            Ok(token) => {
                let header = token.authorization();
                assert!(
                    header.expose().bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
                );
                assert!(header.expose().len() <= 4 * (bytes.len() + 64));
            }
            Err(error) => quotes_no_token(&explain(&error)),
        }
    });
    quotes_no_token(&ui.into_inner().into_warnings());
}

#[test]
fn the_answer_of_gitlab_is_read_or_refused_without_a_quote() {
    let words = [
        "{",
        "}",
        "\"username\":\"gitlab+deploy-token-1\"",
        "\"token\":\"gldt-Marker_7Qx9vWk2Zq4T8\"",
        "\"expires_at\":null",
        "\"expires_at\":\"2027-12-31T00:00:00.000Z\"",
        "\"scopes\":[\"read_registry\"]",
        "\"revoked\":true",
        ",",
        ":",
        "null",
        "\\n",
        "[]",
    ];
    read_from_file("gitlab-answer", &words, Source::Json);
}

#[test]
fn a_docker_login_is_read_or_refused_without_a_quote() {
    let words = [
        "{\"auths\":{",
        "}",
        "\"registry.gitlab.com\":",
        "\"https://registry.gitlab.com/v2/\":",
        "\"registry.gitlab.com/group\":",
        "{\"auth\":\"dTpnbGR0LU1hcmtlcl83UXg5dldrMg==\"}",
        "\"identitytoken\":\"gldt-Marker_7Qx9vWk2Zq4T8\"",
        "\"username\":\"u\"",
        "\"password\":\"p\"",
        "\"AUTH\":null",
        "\\ud800",
        ",",
        "\"auth\":\"dTpw\\n\"",
    ];
    read_from_file("docker-login", &words, |file| Source::DockerConfig(Some(file)));
}

#[test]
fn a_file_with_a_token_is_read_or_refused_without_a_quote() {
    let username = TokenUsername::parse("gitlab+deploy-token-1").unwrap();
    let words = [
        "gldt-Marker_7Qx9vWk2Zq4T8",
        "\u{feff}",
        "TOKEN=",
        "{\"a\":1}",
        "\u{200b}",
        "glpat-",
        "ghs_",
        "\"",
        "\r\n",
    ];
    read_from_file("token-file", &words, |file| {
        Source::Pair(Some(username.clone()), Value::File(file))
    });
}
