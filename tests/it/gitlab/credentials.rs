//! Authentication: credentials, their state, and their scopes.

use super::api::{Result, message};
use super::http::{Answer, Request};
use super::state::{Person, Standing, State};
use serde_json::json;

/// The sender of a request; `None` without a credential. One of `scopes` is required.
pub fn authenticate<'s>(
    state: &'s State,
    request: &Request,
    scopes: &[&str],
) -> Result<Option<&'s Person>> {
    let bearer = || {
        let (scheme, token) = request.header("Authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some((token, true))
    };
    let private = request.header("PRIVATE-TOKEN").map(|token| (token, false));
    let Some((credential, as_bearer)) = private.or_else(bearer) else { return Ok(None) };
    let known = |person: &&Person| person.credential == credential && (as_bearer || !person.oauth);
    let person = state.people.iter().find(known).ok_or_else(|| message(401, "401 Unauthorized"))?;
    let refused = |status, error, description: &str, scope: Option<&str>| {
        let mut body = json!({"error": error, "error_description": description});
        if let Some(scope) = scope {
            body["scope"] = scope.into();
        }
        Err(Answer::json(status, &body))
    };
    match person.standing {
        Standing::Valid => {}
        Standing::Expired => {
            let text = "Token is expired. You can either do re-authorization or token refresh.";
            return refused(401, "invalid_token", text, None);
        }
        Standing::Revoked => {
            let text = "Token was revoked. You have to re-authorize from the user.";
            return refused(401, "invalid_token", text, None);
        }
    }
    if !scopes.is_empty() && !person.scopes.iter().any(|scope| scopes.contains(&scope.as_str())) {
        let text = "The request requires higher privileges than provided by the access token.";
        return refused(403, "insufficient_scope", text, Some("api read_api"));
    }
    Ok(Some(person))
}

/// Like [`authenticate`], but requires a credential.
pub fn required<'s>(state: &'s State, request: &Request, scopes: &[&str]) -> Result<&'s Person> {
    authenticate(state, request, scopes)?.ok_or_else(|| message(401, "401 Unauthorized"))
}
