//! The answer of a token service: the token, and the access that it declares, read without
//! verification, which is up to the registry. Pure. No error quotes the answer, which is secret.

use crate::secret::Secret;
use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde_json::Value;
use zeroize::{Zeroize, Zeroizing};

/// A token for the registry.
pub struct Grant {
    /// The value of the `Authorization` header.
    pub authorization: Secret,
    access: Option<Vec<Access>>,
}

/// An entry of the `access` list (distribution's `docs/spec/auth/jwt.md`).
#[derive(Deserialize)]
struct Access {
    name: String,
    actions: Vec<String>,
}

/// The answer of a token service (distribution's `docs/spec/auth/token.md`).
#[derive(Deserialize)]
struct Answer {
    token: Option<Zeroizing<String>>,
    access_token: Option<Zeroizing<String>>,
}

impl Grant {
    /// Parses the body of an answer; `None` if it contains no token that can be sent in a header.
    #[must_use]
    pub fn read(body: &[u8]) -> Option<Self> {
        let answer: Answer = serde_json::from_slice(body).ok()?;
        let sendable = |token: &Zeroizing<String>| {
            !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let token = answer.token.filter(sendable).or(answer.access_token.filter(sendable))?;
        Some(Self {
            authorization: Secret::new(format!("Bearer {}", *token)),
            access: access(&token),
        })
    }

    /// Whether the token allows to pull `path`; `None` if it does not say.
    #[must_use]
    pub fn allows(&self, path: &str) -> Option<bool> {
        let pull = |entry: &Access| {
            entry.name == path
                && entry.actions.iter().any(|action| matches!(action.as_str(), "pull" | "*"))
        };
        Some(self.access.as_ref()?.iter().any(pull))
    }
}

/// The `access` list in the payload of a JSON web token (RFC 7519); `None` if `token` is not one.
fn access(token: &str) -> Option<Vec<Access>> {
    let mut parts = token.split('.');
    let (Some(_), Some(payload), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    // Normally without padding, but Docker Hub's once had some.
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let mut payload = GeneralPurpose::new(&URL_SAFE, config).decode(payload).ok()?;
    let claims: Option<Value> = serde_json::from_slice(&payload).ok();
    payload.zeroize();
    match claims?.get_mut("access")?.take() {
        // Go encodes an empty list as null.
        Value::Null => Some(Vec::new()),
        list => serde_json::from_value(list).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;

    fn answer(payload: &str) -> String {
        format!(r#"{{"token":"eyJ9.{}.c2ln"}}"#, URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn reads_what_the_token_allows() {
        let both = answer(
            r#"{"sub":"ü?~","access":[{"type":"repository","name":"group/a","actions":["pull"]},
               {"type":"repository","name":"group/b","actions":["*"]},
               {"type":"repository","name":"group/c","actions":["push"]}]}"#,
        );
        let grant = Grant::read(both.as_bytes()).unwrap();
        assert_eq!(grant.allows("group/a"), Some(true));
        assert_eq!(grant.allows("group/b"), Some(true));
        assert_eq!(grant.allows("group/c"), Some(false));
        assert_eq!(grant.allows("group"), Some(false));
        for none in [r#"{"access":[]}"#, r#"{"access":null}"#] {
            let grant = Grant::read(answer(none).as_bytes()).unwrap();
            assert_eq!(grant.allows("group/a"), Some(false), "{none}");
        }
    }

    #[test]
    fn a_token_that_says_nothing_is_still_a_token() {
        for body in [
            answer("{}"),
            answer("no json"),
            answer(r#"{"access":"x"}"#),
            r#"{"token":"opaque"}"#.into(),
            r#"{"token":"a.%%%.c"}"#.into(),
            r#"{"token":"","access_token":"a.b.c.d"}"#.into(),
        ] {
            let grant = Grant::read(body.as_bytes()).unwrap();
            assert_eq!(grant.allows("group/a"), None, "{body}");
            assert!(grant.authorization.expose().starts_with("Bearer "));
        }
    }

    #[test]
    fn an_answer_without_a_token_is_none() {
        for body in
            ["", "null", "{}", r#"{"token":""}"#, r#"{"token":7}"#, r#"{"token":"a\nb: c"}"#]
        {
            assert!(Grant::read(body.as_bytes()).is_none(), "{body}");
        }
    }

    proptest! {
        #[test]
        fn any_answer_is_read_or_not_and_nothing_else(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Grant::read(&body);
        }

        #[test]
        fn any_payload_is_read_or_not_and_nothing_else(payload in ".{0,100}") {
            let grant = Grant::read(answer(&payload).as_bytes()).unwrap();
            let _ = grant.allows("group/a");
        }
    }
}
