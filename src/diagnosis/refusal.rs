//! How a pull was refused, and what could explain that. Pure.

use super::cause::Cause;
use crate::checks::Id;

/// How a pull was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// As somebody who showed nothing.
    Anonymous,
    /// Without telling whether anything was shown.
    Denied,
    /// With credentials that are good, but not for this.
    NotFor,
    /// With credentials that are refused.
    Refused,
    /// Before anything was sent.
    Malformed,
    /// In words that a registry may also have for whoever shows nothing.
    Hidden,
}

impl Refusal {
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

    /// Whether nothing was shown, as far as anybody knows.
    pub(super) fn without_credential(self) -> bool {
        matches!(self, Self::Anonymous | Self::Denied)
    }

    /// What explains it, the first thing first: the check that finds it in the files, and the cause
    /// that it is.
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

/// What explains that nothing was shown, and last, what explains that the wrong thing was.
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
