//! What became of an old token.

use super::proof::Proved;

/// What became of an old token.
pub(super) struct Fate {
    pub(super) state: State,
    pub(super) message: String,
    /// What the registry said of it afterwards; `None` if it was not asked.
    pub(super) refused: Option<(Proved, String)>,
}

/// Where an old token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It was deleted just now.
    Deleted,
    /// It was not there any more.
    Gone,
    /// It is there, and why is known.
    Kept,
    /// Nobody can tell.
    Unknown,
}

impl Fate {
    pub(super) fn new(state: State, message: impl Into<String>) -> Self {
        Self { state, message: message.into(), refused: None }
    }

    /// That of one which GitLab no longer has.
    pub(super) fn gone(state: State) -> Self {
        let message =
            if state == State::Deleted { "deleted in GitLab" } else { "GitLab no longer has it" };
        Self::new(state, message)
    }

    /// Notes what was said of it after it was deleted. What is still taken is not gone, whatever
    /// GitLab said: it stays listed.
    pub(super) fn judge(&mut self, (proved, said): (Proved, String)) {
        if proved == Proved::No {
            self.state = State::Unknown;
        }
        self.refused = Some((proved, said));
    }

    /// Whether GitLab no longer has it.
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
