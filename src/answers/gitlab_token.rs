//! How GitLab's tokens begin (its documentation, "Token prefixes"): a hint and never a proof, since an instance may prepend
//! its own prefix and old tokens have none.

/// What a token opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// What its scopes say of one project or group.
    Deploy,
    /// A CI job, for as long as the job runs.
    Job,
    /// Far more than a registry: what a person, an application or a runner may.
    Broad,
    /// Something that is no use for a registry.
    Other,
}

const PREFIXES: [(&str, TokenKind); 13] = [
    ("gldt-", TokenKind::Deploy),
    ("glcbt-", TokenKind::Job),
    ("glpat-", TokenKind::Broad),
    ("gloas-", TokenKind::Broad),
    ("glrt-", TokenKind::Broad),
    ("glptt-", TokenKind::Broad),
    ("glsoat-", TokenKind::Broad),
    ("glft-", TokenKind::Broad),
    ("glrtr-", TokenKind::Other),
    ("glimt-", TokenKind::Other),
    ("glagent-", TokenKind::Other),
    ("glwt-", TokenKind::Other),
    ("glffct-", TokenKind::Other),
];

impl TokenKind {
    /// The kind of the token that `text` is, as far as its beginning tells.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        PREFIXES.iter().find(|(prefix, _)| text.starts_with(prefix)).map(|(_, kind)| *kind)
    }
}

/// Whether something in `text` begins as GitLab's tokens do, and goes on as long.
#[must_use]
pub fn looks_like_token(text: &str) -> bool {
    let goes_on = |rest: &str| {
        rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte)).count() >= 8
    };
    PREFIXES.iter().any(|(prefix, _)| {
        text.match_indices(prefix).any(|(at, _)| {
            !text[..at].ends_with(|before: char| before.is_ascii_alphanumeric())
                && goes_on(&text[at + prefix.len()..])
        })
    })
}
