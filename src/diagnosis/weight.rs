//! What follows from a cause.

use super::Cause;

/// How much follows from it, the heaviest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// Something does not run because of it.
    Wrong,
    /// Nobody can tell.
    Unknown,
    /// Worth a line.
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

    /// Whether a registry was reached, and refused the pull for want of a right.
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

    /// Whether whoever decides on a credential was not reached, or failed, so that nothing is known
    /// of the credential.
    pub(super) fn is_of_the_way(self) -> bool {
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

    /// Whether a text that tells it is not explained by a pull secret alone, though a pull secret
    /// may be wrong, too.
    pub(super) fn says_more_than_a_refusal(self) -> bool {
        matches!(self, Self::TagMissing | Self::RateLimited | Self::TokenExpired)
    }
}
