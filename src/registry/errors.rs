//! Errors of registries and token services: codes (distribution's `docs/spec/api.md`, "Errors"; RFC
//! 6749, 5.2), and the few phrases that say more than the status. Pure; exposes nothing of the
//! text.

use serde::Deserialize;

/// The errors in a body.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Errors {
    codes: Vec<String>,
    /// Whether they say that the credentials have expired.
    pub says_expired: bool,
    /// Whether they say that the credentials are valid but lack a permission.
    pub says_permission: bool,
    /// Whether they say that a repository, or its project, does not exist.
    pub says_no_repository: bool,
}

#[derive(Default, Deserialize)]
struct Body {
    #[serde(default)]
    errors: Vec<Item>,
    /// The code in the form of OAuth 2.0.
    error: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

/// Codes for a refused login, of registries and OAuth 2.0.
const REFUSALS: [&str; 6] = [
    "DENIED",
    "UNAUTHORIZED",
    "invalid_grant",
    "invalid_client",
    "unauthorized_client",
    "access_denied",
];

impl Errors {
    /// Whether the errors include `code`.
    #[must_use]
    pub fn has(&self, code: &str) -> bool {
        self.codes.iter().any(|found| found == code)
    }

    /// Whether they refuse a login, in a form that registries use.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        REFUSALS.iter().any(|code| self.has(code))
    }
}

/// Parses the body of an answer; a web page counts as empty.
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
        // "invalid or expired" is ambiguous.
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
