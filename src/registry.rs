//! Whether images can be pulled: signs in to their registries as containerd does, with the
//! credentials that the kubelet would use, and asks for the manifests.
//!
//! One sign-in for each registry and credentials, refused or not, for however many images. Reads
//! only; changes nothing anywhere. Nothing of what was sent or received is in a verdict.

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

/// The most bytes of scopes in one URL: GitLab's nginx refuses a request line of more than 8 KiB.
const SCOPES: usize = 6 << 10;
/// Images that are asked for at the same time, unless somebody wants another number.
pub const PARALLEL: usize = 8;

/// How to ask.
#[derive(Debug, Default)]
pub struct Options<'o> {
    /// Whether registries may be spoken to without TLS.
    pub plain_http: bool,
    /// Certificates of authorities to trust beside the machine's.
    pub ca_file: Option<&'o Path>,
    /// What the images must be built for.
    pub platform: Option<Platform>,
}

/// An image, and what the kubelet would sign in with: values of the header `Authorization`, in its
/// order. None of them: it would pull as nobody.
pub struct Pull<'p> {
    /// The image.
    pub image: &'p ImageRef,
    /// The credentials.
    pub credentials: Vec<&'p Secret>,
}

/// Asks registries.
pub struct Registries {
    transport: Transport,
    platform: Option<Platform>,
    parallel: usize,
}

/// What is known of one registry, asked for once.
struct Registry<'p> {
    host: &'p str,
    endpoint: OnceLock<Result<Endpoint, Verdict>>,
    sign_ins: Vec<SignIn<'p>>,
}

/// One sign-in, for all images that it is for; several, if their paths are too long for one URL.
struct SignIn<'p> {
    credentials: Option<&'p Secret>,
    parts: Vec<Part<'p>>,
}

/// As many paths as one URL takes.
#[derive(Default)]
struct Part<'p> {
    paths: Vec<String>,
    session: OnceLock<Result<Session<'p>, Verdict>>,
    /// The same for a registry that asks for a login only where its manifests are.
    late: OnceLock<(Endpoint, Result<Session<'p>, Verdict>)>,
}

impl Registries {
    /// Prepares to ask; reads certificates, and sends nothing yet.
    pub fn new(options: Options) -> error::Result<Self> {
        let authorities = options.ca_file.map(|file| Authorities { named: "`--ca-file`", file });
        let transport = Transport::new(options.plain_http, authorities.as_slice())?;
        Ok(Self { transport, platform: options.platform, parallel: PARALLEL })
    }

    /// The URL of the token service that the registry of `image` names; `None` if it names none.
    /// Signs in to nothing.
    pub fn token_service(&self, image: &ImageRef) -> Result<Option<String>, Verdict> {
        let endpoint = Endpoint::find(&self.transport, address(image))?;
        Ok(endpoint.token_service().map(str::to_owned))
    }

    /// The same, and asks for up to `number` images at the same time.
    #[must_use]
    pub fn at_once(self, number: usize) -> Self {
        Self { parallel: number.max(1), ..self }
    }

    /// The verdicts for `pulls`, in their order. Calls `done` whenever one is there, from any
    /// thread.
    #[must_use]
    pub fn ask(&self, pulls: &[Pull], done: &(dyn Fn() + Sync)) -> Vec<Verdict> {
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

    /// The best that comes of the credentials, since the kubelet tries one after the other.
    fn judge<'p>(&self, registries: &[Registry<'p>], pull: &Pull<'p>) -> Verdict {
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
                // Who was refused once does not try again for other paths.
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
        // Whoever pulls as nobody has just shown it; else nobody's own sign-in says so, if anything
        // does.
        let public = !known
            || matches!(signed_in, Session::Open)
            || find(None).map(session).is_some_and(|nobody| {
                nobody.is_ok_and(|nobody| nobody.allows(&path) == Some(true))
            });
        Ok(Verdict::Pulls { public })
    }
}

/// What to sign in with, one after the other; nothing at all is one of them.
fn attempts<'p>(pull: &Pull<'p>) -> Vec<Option<&'p Secret>> {
    if pull.credentials.is_empty() {
        vec![None]
    } else {
        pull.credentials.iter().copied().map(Some).collect()
    }
}

/// Each registry once, with each of its credentials once.
fn registries<'p>(pulls: &[Pull<'p>]) -> Vec<Registry<'p>> {
    let mut registries: Vec<Registry> = Vec::new();
    for pull in pulls {
        let host = address(pull.image);
        let at =
            registries.iter().position(|registry| registry.host == host).unwrap_or_else(|| {
                registries.push(Registry { host, endpoint: OnceLock::new(), sign_ins: Vec::new() });
                registries.len() - 1
            });
        // Nobody is asked for, too: whether an image is public.
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
        // `&scope=repository%3A…%3Apull`, with what is not plain in three letters.
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

/// Where the registry of `image` listens: Docker Hub's has another name than its images.
fn address(image: &ImageRef) -> &str {
    if image.is_docker_hub() { "registry-1.docker.io" } else { image.host() }
}

fn same(one: Option<&Secret>, other: Option<&Secret>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.expose() == other.expose(),
        (one, other) => one.is_none() && other.is_none(),
    }
}
