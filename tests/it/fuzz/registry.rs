//! Answers of registries and token services.

use super::{fuzz, text};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use makeinfra::registry::challenge::{self, Challenge};
use makeinfra::registry::errors;
use makeinfra::registry::grant::Grant;

#[test]
fn a_challenge_comes_back_as_it_was_read() {
    let words = [
        "Bearer ",
        "Basic ",
        "realm=\"",
        "service=\"",
        "error=\"invalid_token\"",
        "https://gitlab.com/jwt/auth",
        "container_registry",
        "\"",
        "\\\"",
        "\\",
        ", ",
        ",",
        "=",
        "==",
        "Negotiate",
        "\n",
        "scope=\"repository:a:pull\"",
    ];
    fuzz("challenge", &words, Vec::new(), |bytes| {
        let Some(text) = text(bytes) else { return };
        let Some(found) = challenge::find(text.lines()) else { return };
        let Challenge::Bearer { realm, service, .. } = &found else { return };
        let parts = [Some(realm), service.as_ref()].into_iter().flatten();
        assert!(parts.map(String::len).sum::<usize>() <= text.len());
        let quoted = |text: &str| text.replace('\\', r"\\").replace('"', "\\\"");
        let service = service.iter().map(|service| format!(",service=\"{}\"", quoted(service)));
        let again = format!("Bearer realm=\"{}\"{}", quoted(realm), service.collect::<String>());
        let Some(Challenge::Bearer { realm: again, .. }) = challenge::find([again.as_str()]) else {
            panic!("{again}")
        };
        assert_eq!(again, *realm);
        assert!(
            !found.is_gitlab()
                || challenge::find(text.lines()).is_some_and(|found| found.is_gitlab())
        );
    });
}

#[test]
fn a_token_that_is_granted_can_be_sent() {
    let words = [
        "\"token\":\"",
        "\"access_token\":\"",
        "\"",
        "{",
        "}",
        ",",
        ".",
        "eyJhIjoxfQ",
        "eyJhY2Nlc3MiOltdfQ",
        "null",
        "\\n",
        "\"access\":[{\"name\":\"a\",\"actions\":[\"pull\"]}]",
        "\"access\":null",
        "\"*\"",
    ];
    fuzz("token-answer", &words, Vec::new(), |bytes| {
        // The same bytes as an answer, and as the payload of its token.
        let payload = format!(r#"{{"token":"e30.{}.c2ln"}}"#, URL_SAFE_NO_PAD.encode(bytes));
        for body in [bytes, payload.as_bytes()] {
            let Some(grant) = Grant::read(body) else { continue };
            let header = grant.authorization.expose();
            assert!(
                header.starts_with("Bearer ") && header.len() > 7 && header.len() <= body.len() + 7
            );
            assert!(header[7..].bytes().all(|byte| byte.is_ascii_graphic()));
            let _ = grant.allows("group/a");
        }
        assert!(Grant::read(payload.as_bytes()).is_some());
    });
}

#[test]
fn an_error_of_a_registry_has_codes_that_are_in_it() {
    let words = [
        "{\"errors\":[",
        "{\"code\":\"UNAUTHORIZED\",\"message\":\"",
        "DENIED",
        "NAME_UNKNOWN",
        "\"error\":\"invalid_grant\"",
        "expired",
        "or expired",
        "not found",
        "permission",
        "<html>",
        "null",
        "]}",
        "\"}",
    ];
    fuzz("registry-error", &words, Vec::new(), |bytes| {
        let found = errors::read(bytes);
        let has = |word: &str| String::from_utf8_lossy(bytes).to_lowercase().contains(word);
        assert!(!found.says_expired || has("expired"));
        assert!(!found.says_no_repository || bytes.len() > 9);
        assert!(!found.is_refusal() || bytes.contains(&b'{'));
    });
}
