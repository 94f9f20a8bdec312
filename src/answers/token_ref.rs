//! References to a deploy token: by GitLab's API, or by user name.

use super::{Answer, Instance, Rule};
use std::fmt;

/// The owner of a deploy token, by number because a path may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// A project.
    Project(u64),
    /// A group.
    Group(u64),
}

impl Owner {
    /// Its path below `/api/v4/`.
    #[must_use]
    pub fn api_path(self) -> String {
        match self {
            Self::Project(number) => format!("projects/{number}"),
            Self::Group(number) => format!("groups/{number}"),
        }
    }
}

/// A deploy token, by its URL in GitLab's API (`doc/api/deploy_tokens.md`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRef {
    /// The GitLab that issued it.
    pub instance: Instance,
    /// Its project or group.
    pub owner: Owner,
    /// Its number.
    pub id: u64,
}

impl fmt::Display for TokenRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { instance, owner, id } = self;
        write!(f, "{instance}/api/v4/{}/deploy_tokens/{id}", owner.api_path())
    }
}

impl Answer for TokenRef {
    const EXAMPLE: &'static str = "https://gitlab.com/api/v4/projects/42/deploy_tokens/17";

    fn parse(text: &str) -> Result<Self, Rule> {
        const RULE: Rule = "must be the URL of a deploy token in GitLab's API";
        let (instance, rest) = text.split_once("/api/v4/").ok_or(RULE)?;
        let mut parts = rest.split('/');
        let owner: fn(u64) -> Owner = match parts.next() {
            Some("projects") => Owner::Project,
            Some("groups") => Owner::Group,
            _ => return Err(RULE),
        };
        let number = |text: Option<&str>| -> Option<u64> {
            text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
        };
        let (Some(of), Some("deploy_tokens"), Some(id), None) =
            (number(parts.next()), parts.next(), number(parts.next()), parts.next())
        else {
            return Err(RULE);
        };
        let found = Self { instance: Instance::parse(instance)?, owner: owner(of), id };
        // Only accepts the canonical form, so that texts can be compared.
        if found.to_string() == text { Ok(found) } else { Err(RULE) }
    }
}

/// A token that was replaced and is not deleted yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Superseded {
    /// Issued by GitLab for this repository.
    Issued(TokenRef),
    /// Created by hand: only `gitlab+deploy-token-ID` is known.
    ByHand(u64),
}

/// The prefix of the user name that GitLab gives a deploy token by default
/// (`app/models/deploy_token.rb`).
const DEFAULT_USER: &str = "gitlab+deploy-token-";

impl Superseded {
    /// The token with the user name `username`, if that contains its number.
    #[must_use]
    pub fn of_username(username: &str) -> Option<Self> {
        let digits = username.strip_prefix(DEFAULT_USER)?;
        let id: u64 = digits.parse().ok()?;
        (id.to_string() == digits).then_some(Self::ByHand(id))
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> u64 {
        match self {
            Self::Issued(token) => token.id,
            Self::ByHand(id) => *id,
        }
    }
}

impl fmt::Display for Superseded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Issued(token) => token.fmt(f),
            Self::ByHand(id) => write!(f, "{DEFAULT_USER}{id}"),
        }
    }
}

impl Answer for Superseded {
    const EXAMPLE: &'static str = TokenRef::EXAMPLE;

    fn parse(text: &str) -> Result<Self, Rule> {
        Self::of_username(text).map_or_else(|| TokenRef::parse(text).map(Self::Issued), Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_named_by_one_text_only() {
        for text in [
            TokenRef::EXAMPLE,
            "http://127.0.0.1:81/root/api/v4/groups/7/deploy_tokens/18446744073709551615",
            "gitlab+deploy-token-5",
        ] {
            assert_eq!(Superseded::parse(text).unwrap().to_string(), text);
        }
        for bad in [
            "",
            "17",
            "https://gitlab.com/api/v4/projects/42/deploy_tokens/017",
            "https://gitlab.com/api/v4/projects/42/deploy_tokens/17/",
            "https://gitlab.com/api/v4/projects/42/deploy_tokens/17?x",
            "https://gitlab.com/api/v4/projects/a%2Fb/deploy_tokens/17",
            "https://gitlab.com/api/v4/users/42/deploy_tokens/17",
            "HTTPS://gitlab.com/api/v4/projects/42/deploy_tokens/17",
            "https://x@gitlab.com/api/v4/projects/42/deploy_tokens/17",
            "gitlab+deploy-token-",
            "gitlab+deploy-token-05",
            "gitlab+deploy-token-+5",
        ] {
            assert!(Superseded::parse(bad).is_err(), "{bad:?}");
        }
    }
}
