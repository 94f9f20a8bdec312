//! Whether images can be pulled: signs in to their registries as containerd does, with the
//! credentials that the kubelet would use, and requests the manifests.
//!
//! Signs in once for each registry and credential, whether refused or not, regardless of the number
//! of images. Only reads. A verdict contains nothing that was sent or received.

pub mod challenge;
pub mod errors;
pub mod grant;
mod manifest;
mod session;
mod verdict;

pub use manifest::Platform;
pub use verdict::{Standing, Verdict};

use crate::answers::ImageRef;
use crate::error;
use crate::http::{Authorities, Transport};
use crate::secret::Secret;
use manifest::Refused;
use session::{Endpoint, Session};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Size limit for the scopes in one URL, in bytes: GitLab's nginx refuses request lines above 8
/// KiB.
const SCOPES: usize = 6 << 10;
/// The default number of images that are queried in parallel.
pub const PARALLEL: usize = 8;

/// How to ask registries.
#[derive(Debug, Default)]
pub struct Options<'o> {
    /// Whether plain http is allowed.
    pub plain_http: bool,
    /// Certificates of authorities to trust in addition to the system's.
    pub ca_file: Option<&'o Path>,
    /// The platform that images must be built for.
    pub platform: Option<Platform>,
}

/// An image, and the credentials that the kubelet would try: values of the `Authorization` header,
/// in its order. Empty for an anonymous pull.
pub struct PullQuestion<'p> {
    /// The image.
    pub image: &'p ImageRef,
    /// The credentials.
    pub credentials: Vec<&'p Secret>,
}

/// A client for registries.
pub struct Registries {
    transport: Transport,
    platform: Option<Platform>,
    parallel: usize,
}

/// The state of one registry, requested once.
struct Registry<'p> {
    host: &'p str,
    endpoint: OnceLock<Result<Endpoint, Verdict>>,
    sign_ins: Vec<SignIn<'p>>,
}

/// One credential's sign-in, for all its images; split into parts if their paths are too long for
/// one URL.
struct SignIn<'p> {
    credentials: Option<&'p Secret>,
    parts: Vec<Part<'p>>,
}

/// The paths of one URL, and the session for them.
#[derive(Default)]
struct Part<'p> {
    paths: Vec<String>,
    session: OnceLock<Result<Session<'p>, Verdict>>,
    /// The session with a registry that requests a login only at its manifests.
    late: OnceLock<(Endpoint, Result<Session<'p>, Verdict>)>,
}

impl Registries {
    /// Prepares a client. Reads certificates but sends nothing yet.
    pub fn new(options: Options) -> error::Result<Self> {
        let authorities = options.ca_file.map(|file| Authorities { named: "`--ca-file`", file });
        let transport = Transport::new(options.plain_http, authorities.as_slice())?;
        Ok(Self { transport, platform: options.platform, parallel: PARALLEL })
    }

    /// The URL of the token service that the registry of `image` names; `None` if it names none.
    /// Does not sign in.
    pub fn token_service(&self, image: &ImageRef) -> Result<Option<String>, Verdict> {
        let endpoint = Endpoint::find(&self.transport, address(image))?;
        Ok(endpoint.token_service().map(str::to_owned))
    }

    /// Sets how many images are queried in parallel.
    #[must_use]
    pub fn at_once(self, number: usize) -> Self {
        Self { parallel: number.max(1), ..self }
    }

    /// The verdicts for `pulls`, in order. Calls `done` after each one, from any thread.
    #[must_use]
    pub fn ask(&self, pulls: &[PullQuestion], done: &(dyn Fn() + Sync)) -> Vec<Verdict> {
        let registries = registries(pulls);
        let verdicts: Vec<OnceLock<Verdict>> = pulls.iter().map(|_| OnceLock::new()).collect();
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..self.parallel.min(pulls.len()) {
                scope.spawn(|| {
                    while let Some(at) =
                        Some(next.fetch_add(1, Ordering::Relaxed)).filter(|at| *at < pulls.len())
                    {
                        verdicts[at].get_or_init(|| self.judge(&registries, &pulls[at]));
                        done();
                    }
                });
            }
        });
        verdicts.into_iter().filter_map(OnceLock::into_inner).collect()
    }

    /// The best verdict among the credentials, since the kubelet tries one after the other.
    fn judge<'p>(&self, registries: &[Registry<'p>], pull: &PullQuestion<'p>) -> Verdict {
        let registry = registries
            .iter()
            .find(|registry| registry.host == address(pull.image))
            .expect("`registries` has the host of every image");
        let attempts = attempts(pull);
        let mut best: Option<Verdict> = None;
        for credentials in attempts {
            let verdict =
                self.attempt(registry, pull.image, credentials).unwrap_or_else(|verdict| verdict);
            if best.as_ref().is_none_or(|best| verdict.standing() < best.standing()) {
                best = Some(verdict);
            }
            if best.as_ref().is_some_and(|best| best.standing() == Standing::Good) {
                break;
            }
        }
        best.unwrap_or(Verdict::Private)
    }

    fn attempt<'p, 'r>(
        &self,
        registry: &'r Registry<'p>,
        image: &ImageRef,
        credentials: Option<&'p Secret>,
    ) -> Result<Verdict, Verdict> {
        let endpoint =
            registry.endpoint.get_or_init(|| Endpoint::find(&self.transport, registry.host));
        let endpoint = endpoint.as_ref().map_err(Clone::clone)?;
        let (known, gitlab, path) = (credentials.is_some(), endpoint.is_gitlab(), image.path());
        let find = |credentials: Option<&'p Secret>| {
            let same = |sign_in: &&SignIn| same(sign_in.credentials, credentials);
            let sign_in = registry.sign_ins.iter().find(same)?;
            let part = sign_in.parts.iter().find(|part| part.paths.contains(&path))?;
            Some((sign_in, part))
        };
        let session =
            |(sign_in, part): (&'r SignIn<'p>, &'r Part<'p>)| -> Result<&'r Session<'p>, Verdict> {
                let begin = |part: &Part| {
                    endpoint.sign_in(&self.transport, sign_in.credentials, &part.paths)
                };
                // Credentials that were refused once are not tried again for other paths.
                for part in [&sign_in.parts[0], part] {
                    part.session.get_or_init(|| begin(part)).as_ref().map_err(Clone::clone)?;
                }
                part.session
                    .get()
                    .map_or(Err(Verdict::Private), |session| session.as_ref().map_err(Clone::clone))
            };
        let sign_in = find(credentials).ok_or(Verdict::Private)?;
        let forbidden = if known { Verdict::OtherProject { gitlab } } else { Verdict::Private };
        let ask = |endpoint: &Endpoint, session: &Session<'p>| match session.allows(&path) {
            Some(false) => Err(Refused::For(forbidden.clone())),
            _ => manifest::ask(
                &self.transport,
                endpoint,
                session,
                image,
                self.platform.as_ref(),
                known,
            ),
        };
        let signed_in = session(sign_in)?;
        match ask(endpoint, signed_in) {
            Ok(()) => {}
            Err(Refused::For(verdict)) => return Err(verdict),
            Err(Refused::Challenged(challenge)) => {
                let (_, part) = sign_in;
                let (endpoint, session) = part.late.get_or_init(|| {
                    let endpoint = endpoint.asking(challenge);
                    let session = endpoint.sign_in(&self.transport, credentials, &part.paths);
                    (endpoint, session)
                });
                return match ask(endpoint, session.as_ref().map_err(Clone::clone)?) {
                    Ok(()) => Ok(Verdict::Pulls { public: !known }),
                    Err(Refused::For(verdict)) => Err(verdict),
                    Err(Refused::Challenged(_)) => Err(forbidden),
                };
            }
        }
        // An anonymous pull has just proved it; otherwise the anonymous sign-in may tell.
        let public = !known
            || matches!(signed_in, Session::Open)
            || find(None).map(session).is_some_and(|nobody| {
                nobody.is_ok_and(|nobody| nobody.allows(&path) == Some(true))
            });
        Ok(Verdict::Pulls { public })
    }
}

/// The credentials to try, one after the other; a single `None` for an anonymous pull.
fn attempts<'p>(pull: &PullQuestion<'p>) -> Vec<Option<&'p Secret>> {
    if pull.credentials.is_empty() {
        vec![None]
    } else {
        pull.credentials.iter().copied().map(Some).collect()
    }
}

/// Each registry once, with each of its credentials once.
fn registries<'p>(pulls: &[PullQuestion<'p>]) -> Vec<Registry<'p>> {
    let mut registries: Vec<Registry> = Vec::new();
    for pull in pulls {
        let host = address(pull.image);
        let at =
            registries.iter().position(|registry| registry.host == host).unwrap_or_else(|| {
                registries.push(Registry { host, endpoint: OnceLock::new(), sign_ins: Vec::new() });
                registries.len() - 1
            });
        // Also anonymously, to find out whether an image is public.
        for credentials in attempts(pull).into_iter().chain([None]) {
            let sign_ins = &mut registries[at].sign_ins;
            let at = sign_ins
                .iter()
                .position(|known| same(known.credentials, credentials))
                .unwrap_or_else(|| {
                    sign_ins.push(SignIn { credentials, parts: vec![Part::default()] });
                    sign_ins.len() - 1
                });
            sign_ins[at].add(pull.image.path());
        }
    }
    registries
}

impl SignIn<'_> {
    fn add(&mut self, path: String) {
        if self.parts.iter().any(|part| part.paths.contains(&path)) {
            return;
        }
        // The length of `&scope=repository%3A…%3Apull`, in which special characters take three
        // bytes.
        let length = |path: &String| 32 + path.len() + 2 * path.matches('/').count();
        let is_full = self.parts.last().is_some_and(|part| {
            part.paths.iter().map(length).sum::<usize>() + length(&path) > SCOPES
        });
        if is_full {
            self.parts.push(Part::default());
        }
        if let Some(part) = self.parts.last_mut() {
            part.paths.push(path);
        }
    }
}

/// The address of the registry of `image`: Docker Hub's differs from the host in its images' names.
fn address(image: &ImageRef) -> &str {
    if image.is_docker_hub() { "registry-1.docker.io" } else { image.host() }
}

fn same(one: Option<&Secret>, other: Option<&Secret>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.expose() == other.expose(),
        (one, other) => one.is_none() && other.is_none(),
    }
}
