//! Sign-in as containerd does it: `/v2/`, the challenge, the token service (distribution's
//! `docs/spec/auth/token.md`).
//!
//! Signs in once. A refusal is final: repeated attempts can get an address banned.

use super::challenge::{self, Challenge};
use super::errors;
use super::grant::Grant;
use super::verdict::Verdict;
use crate::http::{HttpErrorKind, Reply, Request, Transport};
use crate::secret::Secret;
use ureq::http::Uri;

/// Size limit for a token service's answer, far above any real one.
const GRANT_LIMIT: u64 = 64 << 10;
/// Size limit for an error, far above any real one.
pub(super) const ERROR_LIMIT: u64 = 64 << 10;

/// A registry, as it answers at `/v2/`.
pub(super) struct Endpoint {
    /// `https://HOST/v2/`.
    base: String,
    host: String,
    /// The required sign-in; `None` if `/v2/` requires none.
    challenge: Option<Challenge>,
    /// Whether it requires a login only at its manifests, so that `/v2/` does not say whether one
    /// is needed.
    is_open: bool,
}

/// The result of a sign-in.
pub(super) enum Session<'s> {
    /// No credentials are needed.
    Open,
    /// User name and token in each request, which the registry may not have verified yet.
    Basic {
        /// The value of the `Authorization` header.
        authorization: &'s Secret,
        /// Whether the registry has accepted it.
        is_taken: bool,
    },
    /// A token from the token service.
    Bearer(Grant),
}

impl Session<'_> {
    /// The `Authorization` header for a request.
    pub(super) fn authorization(&self) -> Option<&Secret> {
        match self {
            Self::Open => None,
            Self::Basic { authorization, .. } => Some(authorization),
            Self::Bearer(grant) => Some(&grant.authorization),
        }
    }

    /// Whether `path` may be pulled; `None` if only the registry knows.
    pub(super) fn allows(&self, path: &str) -> Option<bool> {
        match self {
            // `/v2/` may be open although the repository is not.
            Self::Open | Self::Basic { .. } => None,
            Self::Bearer(grant) => grant.allows(path),
        }
    }
}

impl Endpoint {
    /// Finds the registry at `host`: over https, or over http if that is allowed and the registry
    /// does not support TLS.
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
                    && matches!(
                        trouble.fault(),
                        HttpErrorKind::NoTls | HttpErrorKind::Refused | HttpErrorKind::Broken
                    ) =>
            {
                ping("http")??
            }
            answer => answer?,
        };
        let challenge = match reply.status {
            // A server that answers every request with a web page.
            200 if reply.media_type.starts_with("text/html") => return Err(Verdict::NoRegistry),
            200 => None,
            401 => Some(challenge::find(reply.challenges()).ok_or(Verdict::UnknownSignIn)?),
            404 => return Err(Verdict::NoRegistry),
            status => return Err(other(status)),
        };
        Ok(Self { base, host: name.to_owned(), is_open: challenge.is_none(), challenge })
    }

    /// The URL of `rest` below `/v2/`.
    pub(super) fn url(&self, rest: &str) -> Result<Uri, Verdict> {
        parse(&format!("{}{rest}", self.base))
    }

    /// The same registry after it required `challenge` at its manifests.
    pub(super) fn asking(&self, challenge: Challenge) -> Self {
        let (base, host) = (self.base.clone(), self.host.clone());
        Self { challenge: Some(challenge), base, host, is_open: true }
    }

    /// The URL of its token service; `None` if it has named none.
    pub(super) fn token_service(&self) -> Option<&str> {
        match &self.challenge {
            Some(Challenge::Bearer { realm, .. }) => Some(realm),
            _ => None,
        }
    }

    /// Whether it belongs to a GitLab, as far as its answers show.
    pub(super) fn is_gitlab(&self) -> bool {
        self.challenge.as_ref().is_some_and(Challenge::is_gitlab)
    }

    /// Signs in once for all `paths`, with `credentials` or anonymously.
    pub(super) fn sign_in<'s>(
        &self,
        transport: &Transport,
        credentials: Option<&'s Secret>,
        paths: &[String],
    ) -> Result<Session<'s>, Verdict> {
        match (&self.challenge, credentials) {
            (Some(Challenge::Basic), None) if self.is_open => Err(Verdict::Private),
            // Nexus serves manifests to everyone but protects `/v2/`; runtimes only request the
            // manifest.
            (None, _) | (Some(Challenge::Basic), None) => Ok(Session::Open),
            (Some(Challenge::Basic), Some(authorization)) if self.is_open => {
                Ok(Session::Basic { authorization, is_taken: false })
            }
            (Some(Challenge::Basic), Some(authorization)) => {
                let url = parse(&self.base)?;
                let reply = transport.send(&Request {
                    limit: ERROR_LIMIT,
                    ..Request::get(url).authorized(Some(authorization))
                })?;
                match reply.status {
                    200 => Ok(Session::Basic { authorization, is_taken: true }),
                    _ => Err(refusal(&reply, true, false)),
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
                    limit: GRANT_LIMIT,
                    ..Request::get(url).authorized(credentials)
                })?;
                match reply.status {
                    200 => Grant::read(&reply.body)
                        .map(Session::Bearer)
                        .ok_or(Verdict::Unexpected { status: 200 }),
                    404 => Err(Verdict::Disabled),
                    _ => Err(refusal(&reply, credentials.is_some(), self.is_gitlab())),
                }
            }
        }
    }

    /// The URL of the token service, if a token may be sent there: over plain http only if that is
    /// allowed for both.
    fn realm(&self, transport: &Transport, realm: &str) -> Result<Uri, Verdict> {
        let url: Uri = realm.parse().map_err(|_| Verdict::UnknownSignIn)?;
        let host = url.host().unwrap_or_default();
        let plain = transport.may_be_plain(host) && transport.may_be_plain(&self.host);
        match url.scheme_str() {
            // A user name in the URL would be sent instead of the token's.
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

/// The meaning of a refused sign-in. Registries differ: for a wrong token GHCR and Artifact
/// Registry answer 403 `DENIED`, ACR 400; for an expired one ECR answers 403.
fn refusal(reply: &Reply, signed_in: bool, gitlab: bool) -> Verdict {
    let error = errors::read(&reply.body);
    match reply.status {
        401 | 403 if reply.moved => Verdict::Moved,
        400 | 401 | 403 if signed_in && error.says_expired => Verdict::Expired,
        // The server that bans addresses is in front of the registry and does not use its error
        // format.
        403 if !error.is_refusal() => Verdict::Banned,
        401 | 403 if !signed_in => Verdict::Private,
        400 if !signed_in && error.is_refusal() => Verdict::Private,
        401 => Verdict::WrongToken { gitlab },
        400 if error.is_refusal() => Verdict::WrongToken { gitlab },
        403 if gitlab => Verdict::NoScope,
        403 if error.says_permission => Verdict::OtherProject { gitlab },
        403 => Verdict::Denied,
        status => other(status),
    }
}

/// The meaning of a status that does not answer the question.
pub(super) fn other(status: u16) -> Verdict {
    match status {
        403 => Verdict::Banned,
        429 => Verdict::TooMany,
        status => Verdict::Unexpected { status },
    }
}

fn parse(url: &str) -> Result<Uri, Verdict> {
    url.parse().map_err(|_| Verdict::NoRegistry)
}
