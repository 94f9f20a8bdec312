//! The outcome for an old token.

use super::proof::Proved;

/// The outcome for an old token.
pub(super) struct Fate {
    pub(super) state: State,
    pub(super) message: String,
    /// The registry's answer after the deletion; `None` if it was not asked.
    pub(super) refused: Option<(Proved, String)>,
}

/// The state of an old token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Deleted by this run.
    Deleted,
    /// No longer in GitLab.
    Gone,
    /// Kept for a known reason.
    Kept,
    /// Undetermined.
    Unknown,
}

impl Fate {
    pub(super) fn new(state: State, message: impl Into<String>) -> Self {
        Self { state, message: message.into(), refused: None }
    }

    /// The outcome for a token that is no longer in GitLab.
    pub(super) fn gone(state: State) -> Self {
        let message =
            if state == State::Deleted { "deleted in GitLab" } else { "GitLab no longer has it" };
        Self::new(state, message)
    }

    /// Adds the registry's answer after the deletion. A token that is still accepted is not gone,
    /// whatever GitLab said, and stays listed.
    pub(super) fn judge(&mut self, (proved, said): (Proved, String)) {
        if proved == Proved::No {
            self.state = State::Unknown;
        }
        self.refused = Some((proved, said));
    }

    /// Whether GitLab no longer has the token.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self.state, State::Deleted | State::Gone)
    }

    pub(super) fn state(&self) -> &'static str {
        match self.state {
            State::Deleted => "deleted",
            State::Gone => "gone",
            State::Kept => "kept",
            State::Unknown => "unknown",
        }
    }
}
