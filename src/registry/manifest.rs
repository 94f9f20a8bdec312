//! Requests an image's manifest: whether it exists, and for which platforms.
//!
//! Specs: distribution's `docs/spec/api.md`; OCI image-spec `image-index.md` and `manifest.md`.

use super::challenge::{self, Challenge};
use super::errors;
use super::session::{ERROR_LIMIT, Endpoint, Session, other};
use super::verdict::Verdict;
use crate::answers::ImageRef;
use crate::http::{Method, Reply, Request, Transport};
use serde::Deserialize;
use std::fmt;

/// The types that runtimes accept: an index or a manifest, of OCI or Docker.
const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
                      application/vnd.oci.image.manifest.v1+json, \
                      application/vnd.docker.distribution.manifest.list.v2+json, \
                      application/vnd.docker.distribution.manifest.v2+json";
/// The largest manifest that registries accept (OCI distribution-spec, "Pushing Manifests").
const MANIFEST_LIMIT: u64 = 4 << 20;

/// The platform of an image: `OS/ARCHITECTURE[/VARIANT]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

impl Platform {
    /// Parses `linux/arm64` or `linux/arm/v7`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let word = |part: &&str| {
            (1..=32).contains(&part.len())
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        };
        let parts: Vec<&str> = text.split('/').collect();
        let (os, architecture, variant) = match parts[..] {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant.to_owned())),
            _ => return None,
        };
        parts.iter().all(word).then(|| Self {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant,
        })
    }

    /// Whether an image for `self` suits `wanted`, which may omit the variant.
    fn is(&self, wanted: &Self) -> bool {
        (&self.os, &self.architecture) == (&wanted.os, &wanted.architecture)
            && (wanted.variant.is_none() || self.variant == wanted.variant)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

/// The parts of an index or a manifest that tell its platforms.
#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    manifests: Vec<Entry>,
    config: Option<Config>,
}

#[derive(Deserialize)]
struct Entry {
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Config {
    digest: String,
}

/// Why there is no manifest.
pub(super) enum Refused {
    /// This verdict.
    For(Verdict),
    /// A login is required here, although `/v2/` required none.
    Challenged(Challenge),
}

impl<V: Into<Verdict>> From<V> for Refused {
    fn from(verdict: V) -> Self {
        Self::For(verdict.into())
    }
}

/// Fails unless the manifest of `image` exists, and for `platform`. `known` if credentials were
/// sent.
pub(super) fn ask(
    transport: &Transport,
    endpoint: &Endpoint,
    session: &Session,
    image: &ImageRef,
    platform: Option<&Platform>,
    known: bool,
) -> Result<(), Refused> {
    let gitlab = endpoint.is_gitlab();
    let get = |rest: &str, method: Method, limit: u64| -> Result<Reply, Verdict> {
        let url = endpoint.url(&format!("{}/{rest}", image.path()))?;
        let authorization = session.authorization();
        Ok(transport.send(&Request {
            method,
            accept: ACCEPT,
            limit,
            ..Request::get(url).authorized(authorization)
        })?)
    };
    let path = format!("manifests/{}", image.reference());
    let reply = match platform {
        None => get(&path, Method::Head, 0)?,
        Some(_) => get(&path, Method::Get, MANIFEST_LIMIT)?,
    };
    Err(match reply.status {
        // A server that answers every request with a web page.
        200 if reply.media_type.starts_with("text/html") => Verdict::NoRegistry,
        200 => {
            let Some(wanted) = platform else { return Ok(()) };
            let found = platforms(&reply.body, |digest| {
                get(&format!("blobs/{digest}"), Method::Get, MANIFEST_LIMIT)
            })?;
            if found.iter().any(|platform| platform.is(wanted)) {
                return Ok(());
            }
            let found = found.iter().map(ToString::to_string).collect();
            Verdict::NoPlatform { wanted: wanted.to_string(), found }
        }
        401 | 403 if reply.moved => Verdict::Moved,
        401 => match (challenge::find(reply.challenges()), session) {
            (Some(challenge), Session::Open) => return Err(Refused::Challenged(challenge)),
            (Some(Challenge::Bearer { error: Some(error), .. }), _) if error == "invalid_token" => {
                Verdict::TokenNotTaken
            }
            (_, Session::Basic { is_taken: false, .. }) => Verdict::WrongToken { gitlab },
            _ if known => Verdict::OtherProject { gitlab },
            _ => Verdict::Private,
        },
        403 if known => Verdict::OtherProject { gitlab },
        403 => Verdict::Private,
        // A HEAD has no body with details, and docker-registry's GET answers MANIFEST_UNKNOWN in
        // both cases.
        404 => {
            let tags = get("tags/list?n=1", Method::Get, ERROR_LIMIT)?;
            let error = errors::read(&tags.body);
            let unknown =
                error.has("NAME_UNKNOWN") || (error.has("NOT_FOUND") && error.says_no_repository);
            if tags.status == 404 && unknown { Verdict::NoRepository } else { Verdict::NoManifest }
        }
        status => other(status),
    }
    .into())
}

/// The platforms in an index, or in the configuration of a manifest.
fn platforms(
    manifest: &[u8],
    blob: impl FnOnce(&str) -> Result<Reply, Verdict>,
) -> Result<Vec<Platform>, Verdict> {
    let unreadable = || Verdict::Unexpected { status: 200 };
    let manifest: Manifest = serde_json::from_slice(manifest).map_err(|_| unreadable())?;
    let Some(config) = manifest.config else {
        // An index also has entries that are not images, such as attestations, with the platform
        // `unknown`.
        let found = manifest.manifests.into_iter().filter_map(|entry| entry.platform);
        return Ok(found
            .filter(|platform| platform.os != "unknown")
            .filter_map(|platform| checked(&platform))
            .collect());
    };
    let reply = blob(&config.digest)?;
    if reply.status != 200 {
        return Err(other(reply.status));
    }
    let platform: Platform = serde_json::from_slice(&reply.body).map_err(|_| unreadable())?;
    Ok(checked(&platform).into_iter().collect())
}

/// `platform` if it consists of plain words: it comes from the network and is displayed.
fn checked(platform: &Platform) -> Option<Platform> {
    Platform::parse(&platform.to_string())
}
