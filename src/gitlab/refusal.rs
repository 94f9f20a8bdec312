//! The meaning of GitLab's errors: one sentence each, and what to type. Their forms: `{"message":
//! text | {field: [text]}}`, `{"error": text}`, `{"error": "insufficient_scope", ..}`, plain text
//! with 429, a proxy's web page. Pure.

use super::is_json;
use crate::advice::Advice;
use crate::answers::{Owner, looks_like_token};
use crate::error::{Failure, Kind, printable};
use crate::http::{HttpError, HttpErrorKind, Reply};
use serde_json::Value;

/// The maximum length of a message from GitLab that is shown.
const LONGEST: usize = 200;

/// Why GitLab did not do what was requested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GitlabRefusal {
    /// GitLab could not be reached.
    HttpError(HttpError),
    /// The credential is wrong or has expired.
    Unauthorized,
    /// The credential lacks the scope.
    Scope,
    /// The user lacks the role.
    Role {
        /// The project or group.
        place: String,
        /// The required role.
        need: Need,
    },
    /// It does not exist, or is hidden from the user.
    NotFound {
        /// What was requested.
        what: String,
    },
    /// There is no such route: a proxy has changed the path.
    NoRoute,
    /// It was moved, and requests that change something fail at the old path.
    Moved,
    /// Too many requests.
    TooMany {
        /// Seconds to wait; `None` if GitLab does not say.
        wait: Option<u64>,
    },
    /// A value was refused; GitLab's message about it.
    Rejected(String),
    /// GitLab reports an internal error.
    Server {
        /// The status code.
        status: u16,
    },
    /// The answer is not from GitLab's API.
    NoApi,
    /// A redirect led to another host, which was sent no credential.
    Elsewhere,
    /// The list was incomplete.
    Incomplete,
    /// The credential would be sent over plain http.
    Plain {
        /// The host.
        host: String,
    },
}

/// The role required for creating tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// For a project.
    Maintainer,
    /// For a group.
    Owner,
}

impl Need {
    /// The role required for the deploy tokens of `owner`.
    pub(super) fn of(owner: Owner) -> Self {
        match owner {
            Owner::Project(_) => Self::Maintainer,
            Owner::Group(_) => Self::Owner,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Maintainer => "Maintainer",
            Self::Owner => "Owner",
        }
    }
}

impl GitlabRefusal {
    /// The refusal that `reply` expresses, about `what`; `need` is the role that may be missing.
    pub(super) fn of(reply: &Reply, what: &str, need: Need) -> Self {
        let body: Value = if is_json(reply) {
            serde_json::from_slice(&reply.body).unwrap_or_default()
        } else {
            Value::Null
        };
        let error = body.get("error").and_then(Value::as_str).unwrap_or_default();
        match reply.status {
            429 => Self::TooMany {
                wait: reply.header("retry-after").and_then(|text| text.trim().parse().ok()),
            },
            status if status >= 500 => Self::Server { status },
            // A proxy's page says nothing about GitLab.
            _ if !body.is_object() => Self::NoApi,
            401 => Self::Unauthorized,
            403 if error == "insufficient_scope" || error == "insufficient_granular_scope" => {
                Self::Scope
            }
            403 => Self::Role { place: what.to_owned(), need },
            // GitLab's answer for an unknown route; the one for an unknown project has a `message`.
            404 if body.get("message").is_none() => Self::NoRoute,
            404 => Self::NotFound { what: what.to_owned() },
            301 | 302 | 307 | 308 | 405 => Self::Moved,
            400 | 409 | 422 => Self::Rejected(words(&body)),
            _ => Self::NoApi,
        }
    }

    /// Whether nothing was sent, and so nothing was done.
    pub(super) fn is_before_sending(&self) -> bool {
        match self {
            Self::Plain { .. } => true,
            Self::HttpError(trouble) => !matches!(
                trouble.fault(),
                HttpErrorKind::TimeOut
                    | HttpErrorKind::Broken
                    | HttpErrorKind::TooLong
                    | HttpErrorKind::NoHttp
                    | HttpErrorKind::Redirects
                    // These may also end an established connection.
                    | HttpErrorKind::Unreachable
                    | HttpErrorKind::NoTls
                    | HttpErrorKind::OtherTls
            ),
            _ => false,
        }
    }

    /// Whether repeating the request later may well succeed.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        match self {
            Self::HttpError(_)
            | Self::TooMany { .. }
            | Self::Server { .. }
            | Self::NoApi
            | Self::NoRoute
            | Self::Elsewhere
            | Self::Incomplete => true,
            Self::Unauthorized
            | Self::Scope
            | Self::Role { .. }
            | Self::NotFound { .. }
            | Self::Moved
            | Self::Rejected(_)
            | Self::Plain { .. } => false,
        }
    }

    /// The sentence about the GitLab at `instance`.
    #[must_use]
    pub fn message(&self, instance: &str) -> String {
        match self {
            Self::HttpError(trouble) => trouble.message(),
            Self::Unauthorized => {
                format!("{instance} rejects the access token: it is wrong, revoked or expired")
            }
            Self::Scope => "the access token lacks the scope `api`".to_owned(),
            Self::Role { place, need } => format!(
                "managing deploy tokens of the {place} requires the role {}, which this access \
                 token lacks",
                need.as_str()
            ),
            Self::NotFound { what } => {
                format!("{what} not found at {instance}, or this access token has no access to it")
            }
            Self::NoRoute => {
                format!(
                    "API route not found at {instance}, or a proxy in front of it decodes `%2F` in \
                     paths"
                )
            }
            Self::Moved => "the project was moved, and its old path accepts no changes".to_owned(),
            Self::TooMany { wait: Some(wait) } => {
                format!("{instance} is limiting requests: retry in {wait} s")
            }
            Self::TooMany { wait: None } => format!("{instance} is limiting requests"),
            Self::Rejected(words) if words.is_empty() => format!("{instance} rejected the request"),
            Self::Rejected(words) => format!("{instance} rejected the request: {words}"),
            Self::Server { status } => format!("{instance} failed with status {status}"),
            Self::NoApi => format!("the answer of {instance} is not from GitLab's API"),
            Self::Elsewhere => {
                format!("{instance} redirects to another host; the access token was not sent there")
            }
            Self::Incomplete => {
                format!("{instance} did not return the complete list of deploy tokens")
            }
            Self::Plain { host } => {
                format!("`{host}` uses plain HTTP, which would expose the access token")
            }
        }
    }

    /// What to type, for the GitLab at `instance`.
    #[must_use]
    pub fn hint(&self, instance: &str) -> Advice {
        match self {
            Self::HttpError(trouble) => trouble.hint().into(),
            Self::Unauthorized | Self::Scope => format!(
                "create an access token with the scope `api`: \
                 {instance}/-/user_settings/personal_access_tokens"
            )
            .into(),
            Self::Role { .. } => {
                "use another access token, or have another person create the deploy token: \
                 --token-file FILE"
                    .into()
            }
            Self::NotFound { .. } => "--gitlab-group PATH, if the token belongs to a group".into(),
            Self::Moved => "repeat the command: it looks up the project again".into(),
            Self::TooMany { .. } | Self::Server { .. } | Self::Incomplete => {
                "repeat the command later".into()
            }
            Self::Rejected(_) => "--expires-in 90d".into(),
            Self::NoApi | Self::NoRoute | Self::Elsewhere => {
                format!("--gitlab-host https://HOST, if {instance} is not your GitLab").into()
            }
            Self::Plain { .. } => "--plain-http, if the network is trusted".into(),
        }
    }

    /// The failure to do `what` because of this refusal.
    #[must_use]
    pub fn failure(&self, what: impl Into<String>, instance: &str) -> Failure {
        let kind = match self {
            Self::Unauthorized | Self::Scope | Self::Role { .. } => Kind::RefusedToken,
            _ if self.is_unknown() => Kind::Unknown,
            _ => Kind::Failed,
        };
        let failure = Failure::failed(what).kind(kind);
        failure.because(self.message(instance)).hint(self.hint(instance))
    }
}

/// GitLab's message about a refused value, without anything that could be a token.
fn words(body: &Value) -> String {
    let list = |value: &Value| -> String {
        let items = value.as_array().into_iter().flatten().filter_map(Value::as_str);
        items.collect::<Vec<_>>().join(", ")
    };
    let message = body.get("message").or_else(|| body.get("error"));
    let text = match message {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Object(fields)) => {
            let fields = fields.iter().map(|(name, value)| format!("{name} {}", list(value)));
            fields.collect::<Vec<_>>().join("; ")
        }
        _ => String::new(),
    };
    let text: String = printable(&text).chars().take(LONGEST).collect();
    if looks_like_token(&text) { String::new() } else { text }
}
