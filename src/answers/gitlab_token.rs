//! The only table of the prefixes of GitLab's tokens (its documentation, "Token prefixes"). A
//! prefix is a hint and never a proof: an instance may have its own prefix, and old tokens have
//! none.

/// What a token grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// The scopes within one project or group.
    Deploy,
    /// The permissions of a CI job, while the job runs.
    Job,
    /// A registry, and everything else that a user may do.
    Broad,
    /// Nothing useful for a registry; what the token is called.
    Other(&'static str),
}

const PREFIXES: [(&str, TokenKind); 14] = [
    ("gldt-", TokenKind::Deploy),
    ("glcbt-", TokenKind::Job),
    ("glpat-", TokenKind::Broad),
    ("gloas-", TokenKind::Other("the secret of an OAuth application")),
    ("glrt-", TokenKind::Other("a runner's token")),
    ("glrtr-", TokenKind::Other("a runner's token")),
    ("GR1348941", TokenKind::Other("a runner's registration token")),
    ("glptt-", TokenKind::Other("a pipeline trigger's token")),
    ("glsoat-", TokenKind::Other("a SCIM token")),
    ("glft-", TokenKind::Other("a feed token")),
    ("glimt-", TokenKind::Other("an incoming mail token")),
    ("glagent-", TokenKind::Other("the token of an agent for Kubernetes")),
    ("glwt-", TokenKind::Other("a workspace's token")),
    ("glffct-", TokenKind::Other("the token of a feature flags client")),
];

impl TokenKind {
    /// The kind of the token `text`, judging by its prefix.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        PREFIXES.iter().find(|(prefix, _)| text.starts_with(prefix)).map(|(_, kind)| *kind)
    }
}

/// The text after each token prefix in `text`; a prefix in the middle of a word does not count.
pub fn after_prefixes(text: &str) -> impl Iterator<Item = &str> {
    PREFIXES.iter().flat_map(move |(prefix, _)| {
        let begins =
            |at: &usize| !text[..*at].ends_with(|before: char| before.is_ascii_alphanumeric());
        let places = text.match_indices(prefix).map(|(at, _)| at).filter(begins);
        places.map(|at| &text[at + prefix.len()..])
    })
}

/// Whether `text` contains a prefix of GitLab's tokens followed by enough characters.
#[must_use]
pub fn looks_like_token(text: &str) -> bool {
    let goes_on = |rest: &str| {
        rest.bytes()
            .take_while(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
            .count()
            >= 8
    };
    after_prefixes(text).any(goes_on)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prefix_is_known_wherever_a_token_stands() {
        for (prefix, kind) in PREFIXES {
            let token = format!("{prefix}Marker_7Qx9vWk2");
            assert_eq!(TokenKind::of(&token), Some(kind), "{prefix}");
            assert!(looks_like_token(&format!("https://u:{token}@host")), "{prefix}");
            assert!(
                !looks_like_token(&format!("x{token}")) && !looks_like_token(prefix),
                "{prefix}"
            );
        }
        assert_eq!(TokenKind::of("hunter2"), None);
    }
}
