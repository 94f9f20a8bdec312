//! The origin of the project's own token and the tokens that it has replaced: annotations in the
//! encrypted Secret. Pure.

use super::DeployToken;
use crate::answers::{Answer, Superseded, TokenRef};
use std::fmt;

/// The annotation with the token's URL in GitLab's API.
pub(super) const TOKEN: &str = "makeinfra/token";
/// The annotation with the path of the project or group that owns the token.
pub(super) const OWNER: &str = "makeinfra/token-owner";
/// The annotation with the repositories that share the token, separated by blanks.
pub(super) const REPOSITORIES: &str = "makeinfra/token-repositories";
/// The annotation with the superseded tokens that are not deleted yet, separated by blanks. A token
/// shared by several repositories is followed by `#` and their names:
/// `https://…/deploy_tokens/17#hello-infra,mailer-infra`.
pub(super) const SUPERSEDED: &str = "makeinfra/superseded-tokens";

/// A token that was issued through GitLab's API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The token's identity in the API.
    pub token: TokenRef,
    /// The path of its project or group when it was issued.
    pub owner: String,
}

/// A token that was replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// The token.
    pub token: Superseded,
    /// The repositories that shared it, including this one; empty if it was for this one alone.
    pub repositories: Vec<String>,
}

/// The content of the annotations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    /// The token in the Secret; `None` if unknown.
    pub issued: Option<Issued>,
    /// The repositories that share the token, including this one; empty if it is for this one
    /// alone.
    pub repositories: Vec<String>,
    /// The tokens that it replaced and that are not deleted yet, oldest first.
    pub superseded: Vec<Replaced>,
    /// Items that are not token references, which are preserved.
    unread: Vec<String>,
}

impl Provenance {
    /// Reads the annotations; `annotation` looks them up by name.
    pub(super) fn read(annotation: impl Fn(&str) -> Option<String>) -> Self {
        let issued = annotation(TOKEN).and_then(|text| TokenRef::parse(&text).ok());
        let owner = annotation(OWNER).unwrap_or_default();
        let repositories = annotation(REPOSITORIES).unwrap_or_default();
        let mut found = Self {
            issued: issued.map(|token| Issued { token, owner }),
            repositories: repositories.split_whitespace().map(str::to_owned).collect(),
            ..Self::default()
        };
        for word in annotation(SUPERSEDED).unwrap_or_default().split_whitespace() {
            match Replaced::parse(word) {
                Some(replaced) => found.supersede(replaced),
                None => found.unread.push(word.to_owned()),
            }
        }
        found
    }

    /// The annotations with their values; `None` for an annotation to omit.
    pub(super) fn annotations(&self) -> [(&'static str, Option<String>); 4] {
        let issued = self.issued.as_ref();
        let superseded =
            self.superseded.iter().map(ToString::to_string).chain(self.unread.iter().cloned());
        let superseded: Vec<_> = superseded.collect();
        [
            (TOKEN, issued.map(|issued| issued.token.to_string())),
            (OWNER, issued.map(|issued| issued.owner.clone()).filter(|owner| !owner.is_empty())),
            (REPOSITORIES, (!self.repositories.is_empty()).then(|| self.repositories.join(" "))),
            (SUPERSEDED, (!superseded.is_empty()).then(|| superseded.join(" "))),
        ]
    }

    /// The provenance after `token` has replaced the token with the user name `username`.
    #[must_use]
    pub(super) fn after(&self, token: &DeployToken, username: Option<&str>) -> Self {
        let mut next = self.clone();
        let by_name = || username.and_then(Superseded::of_username);
        let replaced =
            self.issued.clone().map(|issued| Superseded::Issued(issued.token)).or_else(by_name);
        if let Some(token) = replaced {
            next.supersede(Replaced { token, repositories: self.repositories.clone() });
        }
        next.issued = token.issued().cloned();
        next.repositories = token.repositories().to_vec();
        // A user may return to an earlier token. Numbers are unique within one GitLab only; a token
        // of another GitLab is merely kept a little longer.
        let number = next.issued.as_ref().map(|issued| issued.token.id);
        let own = number.or_else(|| Some(Superseded::of_username(token.username().as_str())?.id()));
        let returned = next.superseded.iter().position(|known| Some(known.token.id()) == own);
        if let Some(returned) = returned.map(|at| next.superseded.remove(at)) {
            add_repositories(&mut next.repositories, &returned.repositories);
            if let (None, Superseded::Issued(token)) = (&next.issued, returned.token) {
                next.issued = Some(Issued { token, owner: String::new() });
            }
        }
        next
    }

    /// The provenance without the superseded tokens `deleted`.
    #[must_use]
    pub(super) fn without(&self, deleted: &[Superseded]) -> Self {
        let mut next = self.clone();
        next.superseded.retain(|replaced| !deleted.contains(&replaced.token));
        next
    }

    fn supersede(&mut self, replaced: Replaced) {
        match self.superseded.iter_mut().find(|known| known.token == replaced.token) {
            Some(known) => add_repositories(&mut known.repositories, &replaced.repositories),
            None => self.superseded.push(replaced),
        }
    }
}

impl Replaced {
    fn parse(word: &str) -> Option<Self> {
        let (token, repositories) = word.split_once('#').unwrap_or((word, ""));
        let repositories =
            repositories.split(',').filter(|name| !name.is_empty()).map(str::to_owned);
        Some(Self { token: Superseded::parse(token).ok()?, repositories: repositories.collect() })
    }
}

impl fmt::Display for Replaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.token.fmt(f)?;
        if self.repositories.is_empty() {
            Ok(())
        } else {
            write!(f, "#{}", self.repositories.join(","))
        }
    }
}

/// Adds the names that are missing from `known`. Two repositories may have the same name, so the
/// larger count wins.
pub fn add_repositories(known: &mut Vec<String>, others: &[String]) {
    let count = |all: &[String], name: &String| all.iter().filter(|other| *other == name).count();
    for name in others {
        if count(known, name) < count(others, name) {
            known.push(name.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::TokenUsername;
    use crate::secret::Secret;

    const FIRST: &str = "https://gitlab.com/api/v4/projects/42/deploy_tokens/1";
    const SECOND: &str = "https://gitlab.com/api/v4/projects/42/deploy_tokens/2";

    fn token(username: &str, url: Option<&str>) -> DeployToken {
        let username = TokenUsername::parse(username).unwrap();
        let issued = url.map(|url| Issued {
            token: TokenRef::parse(url).unwrap(),
            owner: "group/hello".to_owned(),
        });
        DeployToken::new(username, Secret::new("gldt-x".to_owned())).unwrap().issued_as(issued)
    }

    /// The token, its owner, and the superseded tokens.
    fn of(found: &Provenance) -> [Option<String>; 3] {
        let [token, owner, _, superseded] = found.annotations().map(|(_, value)| value);
        [token, owner, superseded]
    }

    fn again(found: &Provenance) -> Provenance {
        let all = found.annotations();
        Provenance::read(|name| {
            all.iter().find(|(known, _)| *known == name).and_then(|(_, value)| value.clone())
        })
    }

    #[test]
    fn replaced_tokens_are_remembered_until_they_are_deleted() {
        let by_hand = Provenance::default();
        let first = by_hand
            .after(&token("gitlab+deploy-token-1", Some(FIRST)), Some("gitlab+deploy-token-9"));
        let [url, owner, old] = of(&first);
        assert_eq!(url.as_deref(), Some(FIRST));
        assert_eq!(owner.as_deref(), Some("group/hello"));
        assert_eq!(old.as_deref(), Some("gitlab+deploy-token-9"));
        let second = first
            .after(&token("gitlab+deploy-token-2", Some(SECOND)), Some("gitlab+deploy-token-1"));
        assert_eq!(of(&second)[2], Some(format!("gitlab+deploy-token-9 {FIRST}")));
        assert_eq!(again(&second), second);
        let deleted = [Superseded::parse(FIRST).unwrap()];
        assert_eq!(of(&second.without(&deleted))[2].as_deref(), Some("gitlab+deploy-token-9"));
    }

    #[test]
    fn a_token_that_comes_back_is_not_superseded() {
        let first = Provenance {
            issued: token("a", Some(FIRST)).issued().cloned(),
            ..Provenance::default()
        };
        let second = first.after(&token("b", Some(SECOND)), Some("a"));
        let back = second.after(&token("gitlab+deploy-token-1", None), Some("b"));
        assert_eq!(
            back.issued.as_ref().map(|issued| issued.token.to_string()).as_deref(),
            Some(FIRST)
        );
        assert_eq!(of(&back)[2].as_deref(), Some(SECOND));
    }

    #[test]
    fn the_repositories_of_a_token_go_with_it() {
        let names =
            |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let shared = token("a", Some(FIRST)).shared_by(names(&["a-infra", "b-infra", "b-infra"]));
        let first = Provenance::default().after(&shared, Some("gitlab+deploy-token-9"));
        assert_eq!(first.annotations()[2].1.as_deref(), Some("a-infra b-infra b-infra"));
        assert_eq!(of(&first)[2].as_deref(), Some("gitlab+deploy-token-9"));
        let second = first.after(&token("b", Some(SECOND)), Some("a"));
        assert_eq!(second.annotations()[2].1, None);
        assert_eq!(
            of(&second)[2],
            Some(format!("gitlab+deploy-token-9 {FIRST}#a-infra,b-infra,b-infra"))
        );
        assert_eq!(again(&second), second);
        // It returns to a token that the other repositories still have.
        let back = second
            .after(&token("c", Some(FIRST)).shared_by(names(&["b-infra", "c-infra"])), Some("b"));
        assert_eq!(back.annotations()[2].1.as_deref(), Some("b-infra c-infra a-infra b-infra"));
        assert_eq!(of(&back)[2], Some(format!("gitlab+deploy-token-9 {SECOND}")));
    }

    #[test]
    fn names_of_others_are_left_alone() {
        let kept = Provenance::read(|name| {
            (name == SUPERSEDED).then(|| "later gitlab+deploy-token-3".into())
        });
        assert_eq!(of(&kept), [None, None, Some("gitlab+deploy-token-3 later".to_owned())]);
        // A user name for another registry.
        assert_eq!(
            of(&Provenance::default().after(&token("ada", None), Some("robot"))),
            [None, None, None]
        );
    }
}
