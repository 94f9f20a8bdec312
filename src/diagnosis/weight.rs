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
}
