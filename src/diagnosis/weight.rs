//! The consequences of a cause.

use super::Cause;

/// The weight of a cause, heaviest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// It keeps something from running.
    Wrong,
    /// Undetermined.
    Unknown,
    /// Worth mentioning.
    Note,
}

impl Cause {
    pub(super) fn weight(self) -> Weight {
        match self {
            Self::KubectlMissing
            | Self::ContextMissing
            | Self::ClusterUnreachable
            | Self::LoginRefused
            | Self::NotAllowed
            | Self::KubectlFailed
            | Self::RolloutStalled
            | Self::NoPods
            | Self::Unexplained => Weight::Unknown,
            Self::FurtherSecretMissing
            | Self::PullSlow
            | Self::OnTheWay
            | Self::Repository
            | Self::NotRead
            | Self::ScaledToZero
            | Self::Suspended => Weight::Note,
            _ => Weight::Wrong,
        }
    }

    /// Whether a registry was reached and refused the pull for lack of permission.
    pub(super) fn is_refusal(self) -> bool {
        matches!(
            self,
            Self::PulledAnonymously
                | Self::PullDenied
                | Self::TokenOfAnotherProject
                | Self::TokenWithoutScope
                | Self::TokenDenied
                | Self::TokenRefused
                | Self::TokenExpired
                | Self::BearerRefused
        )
    }

    /// Whether the service that decides about a credential was not reached, or failed, so that
    /// nothing is known about the credential.
    pub(super) fn leaves_credential_unjudged(self) -> bool {
        (Self::RateLimited..=Self::NotARegistry).contains(&self)
            || matches!(
                self,
                Self::TokenServiceBroken
                    | Self::RegistryRefuses
                    | Self::RegistryTimeout
                    | Self::ConnectionBroken
                    | Self::RegistryBroken
            )
    }

    /// Whether a pull secret alone does not explain the text of this cause, although a pull secret
    /// may also be wrong.
    pub(super) fn needs_more_than_a_pull_secret(self) -> bool {
        matches!(self, Self::TagMissing | Self::RateLimited | Self::TokenExpired)
    }
}
