//! Annotations of a pull secret's manifest about its tokens. Pure.

use super::Provenance;
use super::expiries::{EXPIRES_AT, OTHER_EXPIRIES, OtherExpiries};

/// The parsed annotations.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Notes {
    /// Expiry of the project's own token.
    pub(super) expires_at: Option<String>,
    /// Expiries of the tokens for further registries.
    pub(super) others: OtherExpiries,
    /// Origin of the project's own token.
    pub(super) provenance: Provenance,
}

impl Notes {
    /// Reads the annotations; `annotation` looks them up by name.
    pub(super) fn read(annotation: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            expires_at: annotation(EXPIRES_AT),
            others: OtherExpiries::parse(annotation(OTHER_EXPIRIES).as_deref()),
            provenance: Provenance::read(annotation),
        }
    }

    /// The annotations with their new values; `None` for an annotation to remove.
    pub(super) fn annotations(&self) -> impl Iterator<Item = (&'static str, Option<String>)> {
        let dates = [(EXPIRES_AT, self.expires_at.clone()), (OTHER_EXPIRIES, self.others.text())];
        dates.into_iter().chain(self.provenance.annotations())
    }
}
