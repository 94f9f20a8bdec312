//! The sign-in, as containerd does it: `/v2/`, the challenge, the token service (distribution's
//! `docs/spec/auth/token.md`).
//!
//! Signs in once. A refused sign-in is an answer: asking again gets an address banned.

use super::challenge::{self, Challenge};
use super::grant::Grant;
use super::transport::{Reply, Request, Transport};
use super::trouble::Fault;
use super::verdict::Verdict;
use crate::secret::Secret;
use serde::Deserialize;
use ureq::http::Uri;

/// More than any token's answer has.
const GRANT_LIMIT: u64 = 64 << 10;

/// A registry as it answers at `/v2/`.
pub(super) struct Endpoint {
    /// `https://HOST/v2/`.
    base: String,
    host: String,
    /// How it wants one to sign in; none: not at all.
    challenge: Option<Challenge>,
}

/// What one has once signed in.
pub(super) enum Session<'s> {
    /// Nothing is needed.
    Open,
    /// User name and token with each request.
    Basic(&'s Secret),
    /// A token of the token service.
    Bearer(Grant),
}

impl Session<'_> {
    /// The header `Authorization` of a request.
    pub(super) fn authorization(&self) -> Option<&Secret> {
        match self {
            Self::Open => None,
            Self::Basic(secret) => Some(secret),
            Self::Bearer(grant) => Some(&grant.authorization),
        }
    }

    /// Whether `path` may be pulled; none if only the registry knows.
    pub(super) fn allows(&self, path: &str) -> Option<bool> {
        match self {
            Self::Open => Some(true),
            Self::Basic(_) => None,
            Self::Bearer(grant) => grant.allows(path),
        }
    }
}

impl Endpoint {
    /// Finds the registry at `host`: in https, or where that is allowed and it speaks no TLS, in http.
    pub(super) fn find(transport: &Transport, host: &str) -> Result<Self, Verdict> {
        let ping = |scheme: &str| {
            let base = format!("{scheme}://{host}/v2/");
            let url = parse(&base)?;
            Ok::<_, Verdict>(transport.send(&Request::get(url)).map(|reply| (base, reply)))
        };
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let (base, reply) = match ping("https")? {
            Err(trouble)
                if transport.may_be_plain(name)
                    && matches!(trouble.fault, Fault::NoTls | Fault::Refused | Fault::Broken) =>
            {
                ping("http")??
            }
            answer => answer?,
        };
        let challenge = match reply.status {
            // A web page for whatever is asked.
            200 if reply.media_type.starts_with("text/html") => return Err(Verdict::NoRegistry),
            200 => None,
            401 => Some(
                challenge::find(reply.challenges.iter().map(String::as_str)).ok_or(Verdict::UnknownSignIn)?,
            ),
            404 => return Err(Verdict::NoRegistry),
            status => return Err(other(status)),
        };
        Ok(Self { base, host: name.to_owned(), challenge })
    }

    /// The URL of `rest` below `/v2/`.
    pub(super) fn url(&self, rest: &str) -> Result<Uri, Verdict> {
        parse(&format!("{}{rest}", self.base))
    }

    /// Signs in, once for all `paths`, with `credentials` or as nobody.
    pub(super) fn sign_in<'s>(
        &self,
        transport: &Transport,
        credentials: Option<&'s Secret>,
        paths: &[String],
    ) -> Result<Session<'s>, Verdict> {
        match (&self.challenge, credentials) {
            (None, _) => Ok(Session::Open),
            (Some(Challenge::Basic), None) => Err(Verdict::Private),
            (Some(Challenge::Basic), Some(secret)) => {
                let reply = transport
                    .send(&Request { authorization: Some(secret), ..Request::get(parse(&self.base)?) })?;
                match reply.status {
                    200 => Ok(Session::Basic(secret)),
                    _ if reply.moved => Err(Verdict::Moved),
                    401 => Err(Verdict::WrongToken),
                    status => Err(other(status)),
                }
            }
            (Some(Challenge::Bearer { realm, service, .. }), _) => {
                let scopes: Vec<String> =
                    paths.iter().map(|path| format!("repository:{path}:pull")).collect();
                let mut query: Vec<(&str, &str)> = Vec::new();
                query.extend(service.as_deref().map(|service| ("service", service)));
                query.extend(scopes.iter().map(|scope| ("scope", scope.as_str())));
                let url = self.realm(transport, realm)?;
                let reply = transport.send(&Request {
                    query,
                    authorization: credentials,
                    limit: GRANT_LIMIT,
                    ..Request::get(url)
                })?;
                grant(&reply, credentials.is_some()).map(Session::Bearer)
            }
        }
    }

    /// The token service's URL, if a token may go there: in plain http only where that is allowed for both.
    fn realm(&self, transport: &Transport, realm: &str) -> Result<Uri, Verdict> {
        let url: Uri = realm.parse().map_err(|_| Verdict::UnknownSignIn)?;
        let host = url.host().unwrap_or_default();
        let plain = transport.may_be_plain(host) && transport.may_be_plain(&self.host);
        match url.scheme_str() {
            // A user name in a URL would be sent in place of the token's.
            _ if url.authority().is_some_and(|authority| authority.as_str().contains('@')) => {
                Err(Verdict::UnknownSignIn)
            }
            Some("https") => Ok(url),
            Some("http") if plain => Ok(url),
            Some("http") => Err(Verdict::UnsafeRealm),
            _ => Err(Verdict::UnknownSignIn),
        }
    }
}

/// What the token service's answer means.
fn grant(reply: &Reply, signed_in: bool) -> Result<Grant, Verdict> {
    match reply.status {
        200 => Grant::read(&reply.body).ok_or(Verdict::Unexpected { status: 200 }),
        401 | 403 if reply.moved => Err(Verdict::Moved),
        // What bans an address stands before GitLab and does not know how registries put it.
        403 if !has_code(&reply.body, "DENIED") => Err(Verdict::Banned),
        401 | 403 if !signed_in => Err(Verdict::Private),
        401 => Err(Verdict::WrongToken),
        403 => Err(Verdict::NoScope),
        404 => Err(Verdict::Disabled),
        status => Err(other(status)),
    }
}

/// What a status means that is no answer to the question.
pub(super) fn other(status: u16) -> Verdict {
    match status {
        403 => Verdict::Banned,
        429 => Verdict::TooMany,
        status => Verdict::Unexpected { status },
    }
}

/// Whether `body` is an error of a registry (distribution's `docs/spec/api.md`, "Errors") with `code`.
pub(super) fn has_code(body: &[u8], code: &str) -> bool {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<Error>,
    }
    #[derive(Deserialize)]
    struct Error {
        code: String,
    }
    serde_json::from_slice(body).is_ok_and(|body: Errors| body.errors.iter().any(|error| error.code == code))
}

fn parse(url: &str) -> Result<Uri, Verdict> {
    url.parse().map_err(|_| Verdict::NoRegistry)
}
