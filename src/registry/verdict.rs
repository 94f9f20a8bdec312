//! The meaning of a registry's answers: one sentence each, and what to type. Pure.
//!
//! Claims no more than is known: few registries distinguish a wrong token from a revoked or an
//! expired one.

use crate::advice::Advice;
use crate::answers::ImageRef;
use crate::http::HttpError;

/// Whether an image can be pulled with the given credentials, and otherwise why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The image can be pulled. `public`: also without credentials.
    Pulls {
        /// Whether anyone may pull it.
        public: bool,
    },
    /// The credentials are valid, but the registry has no such tag or digest.
    NoManifest,
    /// The credentials are valid, but the registry has no such repository.
    NoRepository,
    /// The image exists, but only for other platforms.
    NoPlatform {
        /// The requested platform.
        wanted: String,
        /// The image's platforms, such as `linux/amd64`.
        found: Vec<String>,
    },
    /// The user name or token is refused.
    WrongToken {
        /// Whether a GitLab refuses them.
        gitlab: bool,
    },
    /// The token has expired.
    Expired,
    /// The login is wrong, has expired or lacks a permission; the registry does not say which.
    Denied,
    /// The token is valid but may not use any registry.
    NoScope,
    /// The credentials are valid, but not for this repository.
    OtherProject {
        /// Whether the repository is in a GitLab.
        gitlab: bool,
    },
    /// There are no credentials, and the image is not public.
    Private,
    /// The host is not a container registry.
    NoRegistry,
    /// The token service says that its registry is disabled.
    Disabled,
    /// The registry refuses access without a reason, as it does with a banned address.
    Banned,
    /// Too many requests.
    TooMany,
    /// The URL of the token service is one to which no token must be sent.
    UnsafeRealm,
    /// A redirect led to another host, which requires its own credentials.
    Moved,
    /// The registry requires a kind of sign-in that container runtimes do not support.
    UnknownSignIn,
    /// The registry refuses the token of its own token service.
    TokenNotTaken,
    /// An unexpected answer.
    Unexpected {
        /// The status code.
        status: u16,
    },
    /// The registry could not be reached.
    HttpError(HttpError),
}

/// What a verdict implies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// The image can be pulled.
    Good,
    /// The credentials are valid, but the image does not exist.
    Absent,
    /// Undetermined.
    Unknown,
    /// The image cannot be pulled with these credentials.
    Refused,
}

impl Verdict {
    /// What the verdict implies.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match self {
            Self::Pulls { .. } => Standing::Good,
            Self::NoManifest | Self::NoRepository | Self::NoPlatform { .. } => Standing::Absent,
            Self::WrongToken { .. }
            | Self::Expired
            | Self::Denied
            | Self::NoScope
            | Self::OtherProject { .. }
            | Self::Private
            | Self::NoRegistry
            | Self::Disabled
            | Self::UnsafeRealm => Standing::Refused,
            Self::Banned
            | Self::TooMany
            | Self::Moved
            | Self::UnknownSignIn
            | Self::TokenNotTaken
            | Self::Unexpected { .. }
            | Self::HttpError(_) => Standing::Unknown,
        }
    }

    /// Whether the credentials are refused, so that others might work.
    #[must_use]
    pub fn refuses_login(&self) -> bool {
        self.standing() == Standing::Refused
            && !matches!(self, Self::NoRegistry | Self::Disabled | Self::UnsafeRealm)
    }

    /// Whether it proves that the registry accepts the login. A registry that requires none proves
    /// nothing.
    #[must_use]
    pub fn takes_login(&self) -> bool {
        matches!(self, Self::Pulls { public: false } | Self::NoManifest | Self::NoPlatform { .. })
    }

    /// The sentence about `image`.
    #[must_use]
    pub fn message(&self, image: &ImageRef) -> String {
        let (host, path) = (image.host(), image.path());
        match self {
            Self::Pulls { public: false } => format!("`{image}` can be pulled"),
            Self::Pulls { public: true } => {
                format!("`{image}` can be pulled; it is public and needs no pull secret")
            }
            Self::NoManifest => {
                format!("the sign-in succeeds, but `{host}/{path}` has no `{}`", image.reference())
            }
            Self::NoRepository => {
                format!("the sign-in succeeds, but `{host}` has no repository `{path}`")
            }
            Self::NoPlatform { wanted, found } => {
                format!("`{image}` does not exist for {wanted}, only for {}", found.join(", "))
            }
            Self::Expired => format!("`{host}` says that the token has expired"),
            Self::Denied => format!(
                "`{host}` denies the sign-in without a reason: the user name or token is wrong, or \
                 the token has expired or is not allowed to pull"
            ),
            Self::WrongToken { .. } => format!(
                "`{host}` refuses the sign-in without a reason: the user name or token is wrong, \
                 or the token is revoked or expired"
            ),
            Self::NoScope => format!(
                "`{host}` does not allow the token to use the registry: in GitLab, it lacks the \
                 scope `read_registry`"
            ),
            Self::OtherProject { gitlab: false } => {
                format!(
                    "the sign-in succeeds, but this login is not allowed to pull `{path}`, or the \
                     path is wrong"
                )
            }
            Self::OtherProject { gitlab: true } => format!(
                "the token is valid but not allowed to pull `{path}`: it belongs to another \
                 project, or the path is wrong"
            ),
            Self::Private => {
                format!("`{image}` is not public, and there are no credentials for it")
            }
            Self::NoRegistry => format!("`{host}` is not a container registry"),
            Self::Disabled => {
                format!("the token service of `{host}` says that no registry is enabled")
            }
            Self::Banned => format!(
                "`{host}` refuses to answer without a reason: it may have banned this address \
                 after too many failed sign-ins"
            ),
            Self::TooMany => format!("`{host}` limits requests: too many came from this address"),
            Self::UnsafeRealm => {
                format!("`{host}` requests the token over plain HTTP; it was not sent")
            }
            Self::Moved => {
                format!("`{host}` redirects to another host; the token was not sent there")
            }
            Self::UnknownSignIn => {
                format!(
                    "`{host}` requires a kind of sign-in that container runtimes do not support"
                )
            }
            Self::TokenNotTaken => {
                format!("`{host}` does not accept the bearer token of its own token service")
            }
            Self::Unexpected { status } => {
                format!("`{host}` gives an unexpected answer: status {status}")
            }
            Self::HttpError(trouble) => trouble.message(),
        }
    }

    /// What to type; `None` if nothing is wrong. `mend` is the command that sets and tries another
    /// token.
    #[must_use]
    pub fn hint(&self, image: &ImageRef, mend: &Advice) -> Option<Advice> {
        let (host, path) = (image.host(), image.path());
        let again =
            |first: &str| Advice::from(format!("{first}, then: ").as_str()).say(mend.clone());
        Some(match self {
            Self::Pulls { .. } => return None,
            Self::NoManifest => {
                "push it, or use an existing tag: {make set-image TAG=1.0.0}".into()
            }
            Self::NoRepository => Advice::anywhere("docker push").arg(image.to_string()),
            Self::NoPlatform { wanted, .. } => Advice::anywhere("docker buildx build --platform")
                .arg(wanted)
                .arg("--push")
                .arg("-t")
                .arg(image.to_string())
                .arg("."),
            Self::WrongToken { gitlab: true } => {
                again("check it in GitLab (Settings > Repository > Deploy tokens)")
            }
            Self::WrongToken { gitlab: false } => again(&format!("check the login at {host}")),
            Self::Expired => again(&format!("create a new token at {host}")),
            Self::Denied if host == "ghcr.io" => {
                again("create a personal access token (classic) with scope `read:packages`")
            }
            Self::Denied => {
                again(&format!("create a token at {host} that is allowed to pull `{path}`"))
            }
            Self::NoScope => again("create a deploy token with scope `read_registry`"),
            Self::OtherProject { gitlab: true } => format!(
                "create the deploy token in the project that owns `{path}`, or in a group above it"
            )
            .into(),
            Self::OtherProject { gitlab: false } => {
                format!("allow this login to pull `{path}` at {host}").into()
            }
            Self::Private => Advice::makeinfra("rotate").with(format_args!("--registry {host}")),
            Self::NoRegistry | Self::Disabled => {
                "GitLab shows the registry host under Deploy > Container registry; for gitlab.com, \
                 it is registry.gitlab.com"
                    .into()
            }
            Self::Banned => "wait an hour before the next sign-in: every failed sign-in prolongs \
                             the ban"
                .into(),
            Self::TooMany => "wait a few minutes, then try again".into(),
            Self::UnsafeRealm => {
                "tell the operators of the registry; or --plain-http, if the network is trusted"
                    .into()
            }
            Self::Moved | Self::UnknownSignIn | Self::TokenNotTaken | Self::Unexpected { .. } => {
                format!("curl -v https://{host}/v2/").into()
            }
            Self::HttpError(trouble) => trouble.hint().into(),
        })
    }

    /// A stable identifier for JSON.
    #[must_use]
    pub fn id(&self) -> &'static str {
        match self {
            Self::Pulls { public: false } => "pulls",
            Self::Pulls { public: true } => "public",
            Self::NoManifest => "no-manifest",
            Self::NoRepository => "no-repository",
            Self::NoPlatform { .. } => "no-platform",
            Self::WrongToken { .. } => "wrong-token",
            Self::Expired => "expired-token",
            Self::Denied => "denied",
            Self::NoScope => "no-scope",
            Self::OtherProject { .. } => "other-project",
            Self::Private => "private",
            Self::NoRegistry => "no-registry",
            Self::Disabled => "registry-disabled",
            Self::Banned => "banned",
            Self::TooMany => "too-many-requests",
            Self::UnsafeRealm => "unsafe-realm",
            Self::Moved => "moved",
            Self::UnknownSignIn => "unknown-sign-in",
            Self::TokenNotTaken => "token-not-taken",
            Self::Unexpected { .. } => "unexpected-answer",
            Self::HttpError(_) => "not-reached",
        }
    }
}

impl From<HttpError> for Verdict {
    fn from(trouble: HttpError) -> Self {
        Self::HttpError(trouble)
    }
}
