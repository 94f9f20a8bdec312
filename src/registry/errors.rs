//! The errors of registries and token services: codes (distribution's `docs/spec/api.md`, "Errors";
//! RFC 6749, 5.2), and the few words in them that tell more than the status does. Pure; nothing of
//! what was read gets out.

use serde::Deserialize;

/// What a body says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Errors {
    codes: Vec<String>,
    /// That the credentials were good once.
    pub says_expired: bool,
    /// That the credentials are good, and lack a right.
    pub says_permission: bool,
    /// That a repository, or the project that it is in, is not there.
    pub says_no_repository: bool,
}

#[derive(Default, Deserialize)]
struct Body {
    #[serde(default)]
    errors: Vec<Item>,
    /// Of OAuth 2.0.
    error: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

/// Codes of a refused login, of registries and of OAuth 2.0.
const REFUSALS: [&str; 6] = [
    "DENIED",
    "UNAUTHORIZED",
    "invalid_grant",
    "invalid_client",
    "unauthorized_client",
    "access_denied",
];

impl Errors {
    /// Whether it has `code`.
    #[must_use]
    pub fn has(&self, code: &str) -> bool {
        self.codes.iter().any(|found| found == code)
    }

    /// Whether it refuses a login in the words that registries have for that.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        REFUSALS.iter().any(|code| self.has(code))
    }
}

/// Reads the body of an answer; of a web page nothing is read.
#[must_use]
pub fn read(body: &[u8]) -> Errors {
    let text = String::from_utf8_lossy(body).to_lowercase();
    if text.trim_start().starts_with('<') {
        return Errors::default();
    }
    let body: Body = serde_json::from_slice(body).unwrap_or_default();
    let messages: Vec<_> = body.errors.iter().filter_map(|item| item.message.as_deref()).collect();
    let no_repository = |message: &&str| {
        let message = message.to_lowercase();
        message.contains("not found") && !message.starts_with("artifact")
    };
    Errors {
        // "invalid or expired" leaves open which.
        says_expired: text.contains("expired")
            && !["or expired", "expired or", "or has expired"]
                .iter()
                .any(|open| text.contains(open)),
        says_permission: text.contains("permission")
            || text.contains("is not authorized to perform"),
        says_no_repository: messages.iter().any(no_repository),
        codes: body.errors.into_iter().filter_map(|item| item.code).chain(body.error).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expired_token_is_told_only_where_that_is_certain() {
        for (body, expired) in [
            (
                "Your Authorization Token has expired. Please run 'aws ecr get-login \
                 --no-include-email'",
                true,
            ),
            (
                r#"{"errors":[{"code":"DENIED","message":"Your authorization token has expired."}]}"#,
                true,
            ),
            (r#"{"errors":[{"code":"UNAUTHORIZED","message":"invalid or expired token"}]}"#, false),
            ("<html>Your session has expired</html>", false),
            (r#"{"errors":[{"code":"DENIED","message":"denied"}]}"#, false),
            ("", false),
        ] {
            assert_eq!(read(body.as_bytes()).says_expired, expired, "{body}");
        }
    }

    #[test]
    fn codes_are_those_of_registries_and_of_oauth() {
        for refusal in [
            r#"{"errors":[{"code":"DENIED","message":"denied","detail":null}]}"#,
            r#"{"errors":[{"message":"no code"},{"code":"UNAUTHORIZED"}]}"#,
            r#"{"error":"invalid_grant","error_description":"x"}"#,
        ] {
            assert!(read(refusal.as_bytes()).is_refusal(), "{refusal}");
        }
        for other in [
            "Forbidden",
            "{}",
            r#"{"errors":[]}"#,
            r#"{"errors":[{"code":"TOOMANYREQUESTS"}]}"#,
            r#"{"errors":[{"code":7}]}"#,
        ] {
            assert!(!read(other.as_bytes()).is_refusal(), "{other}");
        }
    }
}
