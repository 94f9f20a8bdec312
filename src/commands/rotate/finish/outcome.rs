//! The outcome for an old token.

use super::proof::ProofResult;

/// The outcome for an old token.
pub(super) struct TokenOutcome {
    pub(super) state: TokenState,
    pub(super) message: String,
    /// The registry's answer after the deletion; `None` if it was not asked.
    pub(super) refused: Option<(ProofResult, String)>,
}

/// The state of an old token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenState {
    /// Deleted by this run.
    Deleted,
    /// No longer in GitLab.
    Gone,
    /// Kept for a known reason.
    Kept,
    /// Undetermined.
    Unknown,
}

impl TokenOutcome {
    pub(super) fn new(state: TokenState, message: impl Into<String>) -> Self {
        Self { state, message: message.into(), refused: None }
    }

    /// The outcome for a token that is no longer in GitLab.
    pub(super) fn gone(state: TokenState) -> Self {
        let message = if state == TokenState::Deleted {
            "deleted in GitLab"
        } else {
            "no longer exists in GitLab"
        };
        Self::new(state, message)
    }

    /// Adds the registry's answer after the deletion. A token that is still accepted is not gone,
    /// whatever GitLab said, and stays listed.
    pub(super) fn judge(&mut self, (proved, message): (ProofResult, String)) {
        if proved == ProofResult::No {
            self.state = TokenState::Unknown;
        }
        self.refused = Some((proved, message));
    }

    /// Whether GitLab no longer has the token.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self.state, TokenState::Deleted | TokenState::Gone)
    }

    pub(super) fn state(&self) -> &'static str {
        match self.state {
            TokenState::Deleted => "deleted",
            TokenState::Gone => "gone",
            TokenState::Kept => "kept",
            TokenState::Unknown => "unknown",
        }
    }
}
