//! What was proved about an environment, step by step.

use crate::advice::Advice;
use crate::answers::{Environment, EnvironmentName};
use crate::pull_secret::Provenance;
use crate::secret::Secret;

/// The result of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ProofResult {
    Yes,
    /// Not checked, or not completely, which does not block anything.
    Unchecked,
    /// Undetermined.
    Unknown,
    No,
}

impl ProofResult {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "ok",
            Self::Unchecked => "not-checked",
            Self::Unknown => "unknown",
            Self::No => "problem",
        }
    }
}

/// The result of one step.
#[derive(Debug, Clone)]
pub(super) struct Proof {
    /// `pulls`, `cluster`, `other-secrets`, `git`.
    pub(super) id: &'static str,
    pub(super) proved: ProofResult,
    pub(super) message: String,
    pub(super) hint: Advice,
}

impl Proof {
    pub(super) fn ok(id: &'static str, message: impl Into<String>) -> Self {
        Self::new(id, ProofResult::Yes, message, Advice::default())
    }

    pub(super) fn unchecked(id: &'static str, message: impl Into<String>) -> Self {
        Self::new(id, ProofResult::Unchecked, message, Advice::default())
    }

    pub(super) fn no(
        id: &'static str,
        message: impl Into<String>,
        hint: impl Into<Advice>,
    ) -> Self {
        Self::new(id, ProofResult::No, message, hint)
    }

    pub(super) fn unknown(
        id: &'static str,
        message: impl Into<String>,
        hint: impl Into<Advice>,
    ) -> Self {
        Self::new(id, ProofResult::Unknown, message, hint)
    }

    pub(super) fn new(
        id: &'static str,
        proved: ProofResult,
        message: impl Into<String>,
        hint: impl Into<Advice>,
    ) -> Self {
        Self { id, proved, message: message.into(), hint: hint.into() }
    }
}

/// An environment with a pull Secret.
pub(super) struct ProvedEnvironment {
    pub(super) environment: Environment,
    /// The name; `None` if commands do not need it.
    pub(super) choice: Option<EnvironmentName>,
    /// Whether it was chosen for the checks.
    pub(super) is_chosen: bool,
    /// Whether the user vouches for its cluster (`--deployed`).
    pub(super) is_vouched_for: bool,
    /// Path of its Secret file.
    pub(super) path: String,
    /// Plaintext of its Secret file.
    pub(super) text: Secret,
    /// The Secret's name.
    pub(super) name: String,
    pub(super) provenance: Provenance,
    pub(super) proofs: Vec<Proof>,
}

impl ProvedEnvironment {
    /// Whether nothing prevents the deletion of its old tokens. An environment that was not checked
    /// counts as not done.
    pub(super) fn is_done(&self) -> bool {
        self.proved() <= ProofResult::Unchecked
    }

    /// The worst of its proofs.
    pub(super) fn proved(&self) -> ProofResult {
        let worst = self.proofs.iter().map(|proof| proof.proved).max();
        worst.filter(|_| self.is_chosen).unwrap_or(ProofResult::Unknown)
    }
}
