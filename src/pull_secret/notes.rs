//! What the annotations of a pull secret's manifest say of its tokens. Pure.

use super::Provenance;
use super::expiries::{EXPIRES_AT, OTHER_EXPIRIES, OtherExpiries};

/// All that they say.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Notes {
    /// When the project's own token ends.
    pub(super) expires_at: Option<String>,
    /// When those of further registries end.
    pub(super) others: OtherExpiries,
    /// Where the own token is from.
    pub(super) provenance: Provenance,
}

impl Notes {
    /// Reads the annotations, which `annotation` finds by name.
    pub(super) fn read(annotation: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            expires_at: annotation(EXPIRES_AT),
            others: OtherExpiries::parse(annotation(OTHER_EXPIRIES).as_deref()),
            provenance: Provenance::read(annotation),
        }
    }

    /// The annotations, with what is to become of each; `None` if it goes.
    pub(super) fn annotations(&self) -> impl Iterator<Item = (&'static str, Option<String>)> {
        let dates = [(EXPIRES_AT, self.expires_at.clone()), (OTHER_EXPIRIES, self.others.text())];
        dates.into_iter().chain(self.provenance.annotations())
    }
}
