//! How a pull was refused, and what could explain that. Pure.

use super::cause::Cause;
use crate::checks::Id;

/// How a pull was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RefusalKind {
    /// It was anonymous.
    Anonymous,
    /// It is unknown whether credentials were sent.
    Denied,
    /// The credentials are valid, but not for this image.
    NotFor,
    /// The credentials are refused.
    Refused,
    /// The entry is malformed, so nothing was sent.
    Malformed,
    /// The text may also be an answer to an anonymous pull.
    Hidden,
}

impl RefusalKind {
    pub(super) fn of(cause: Cause) -> Option<Self> {
        Some(match cause {
            Cause::PulledAnonymously => Self::Anonymous,
            Cause::PullDenied | Cause::TokenOfAnotherProject | Cause::BearerRefused => Self::Denied,
            Cause::TokenDenied | Cause::TokenWithoutScope => Self::NotFor,
            Cause::TokenRefused | Cause::TokenExpired => Self::Refused,
            Cause::AuthMalformed => Self::Malformed,
            Cause::TagMissing | Cause::RateLimited | Cause::PullFailed => Self::Hidden,
            _ => return None,
        })
    }

    /// Whether no credentials were sent, or may not have been.
    pub(super) fn without_credential(self) -> bool {
        matches!(self, Self::Anonymous | Self::Denied)
    }

    /// Possible explanations, the most likely first: the check that finds it in the files, and the
    /// cause.
    pub(super) fn suspects(self) -> &'static [(Id, Cause)] {
        match self {
            Self::Anonymous => &DENIED[..7],
            Self::Denied => &DENIED,
            Self::NotFor => &[(Id::PullSecretMatchesImages, Cause::RegistryKeyDoesNotMatch)],
            Self::Refused => &[
                (Id::PullSecretAuth, Cause::CredentialsMalformed),
                (Id::PullSecretCredentials, Cause::NoUsableCredentials),
                (Id::PullSecretExpiry, Cause::TokenExpired),
            ],
            Self::Malformed => &[(Id::PullSecretAuth, Cause::AuthMalformed)],
            Self::Hidden => &[],
        }
    }
}

/// Explanations for a pull without credentials; the last ones are for wrong credentials.
const DENIED: [(Id, Cause); 9] = [
    (Id::PullSecretPresent, Cause::SecretMissing),
    (Id::PullSecretNamespace, Cause::SecretInAnotherNamespace),
    (Id::PullSecretName, Cause::SecretMissing),
    (Id::PullSecretType, Cause::WrongType),
    (Id::PullSecretWrapping, Cause::WrongWrapping),
    (Id::PullSecretCredentials, Cause::NoUsableCredentials),
    (Id::PullSecretMatchesImages, Cause::RegistryKeyDoesNotMatch),
    (Id::PullSecretAuth, Cause::CredentialsMalformed),
    (Id::PullSecretExpiry, Cause::TokenExpired),
];
