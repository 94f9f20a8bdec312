//! Where the project's own token is from, and which tokens it has replaced: annotations of the encrypted Secret. Pure.

use super::DeployToken;
use crate::answers::{Answer, Superseded, TokenRef};

/// The annotation with the token's URL in GitLab's API.
pub(super) const TOKEN: &str = "makeinfra/token";
/// The annotation with the path of the project or group that it belongs to.
pub(super) const OWNER: &str = "makeinfra/token-owner";
/// The annotation with the tokens that are not deleted yet, with blanks between them.
pub(super) const SUPERSEDED: &str = "makeinfra/superseded-tokens";

/// A token that GitLab issued through its API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// What the API calls it.
    pub token: TokenRef,
    /// The path of its project or group, as it was then.
    pub owner: String,
}

/// What the annotations say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    /// The token that the Secret holds; `None` if nobody knows.
    pub issued: Option<Issued>,
    /// The tokens that it replaced and that are not deleted, the oldest first.
    pub superseded: Vec<Superseded>,
    /// What is no token's name, and is kept.
    unread: Vec<String>,
}

impl Provenance {
    /// Reads the annotations, which `annotation` finds by name.
    pub(super) fn read(annotation: impl Fn(&str) -> Option<String>) -> Self {
        let issued = annotation(TOKEN).and_then(|text| TokenRef::parse(&text).ok());
        let owner = annotation(OWNER).unwrap_or_default();
        let mut found = Self { issued: issued.map(|token| Issued { token, owner }), ..Self::default() };
        for word in annotation(SUPERSEDED).unwrap_or_default().split_whitespace() {
            match Superseded::parse(word) {
                Ok(token) => found.supersede(token),
                Err(_) => found.unread.push(word.to_owned()),
            }
        }
        found
    }

    /// The annotations; `None` for one that says nothing.
    pub(super) fn annotations(&self) -> [(&'static str, Option<String>); 3] {
        let issued = self.issued.as_ref();
        let superseded = self.superseded.iter().map(ToString::to_string).chain(self.unread.iter().cloned());
        let superseded: Vec<_> = superseded.collect();
        [
            (TOKEN, issued.map(|issued| issued.token.to_string())),
            (OWNER, issued.map(|issued| issued.owner.clone()).filter(|owner| !owner.is_empty())),
            (SUPERSEDED, (!superseded.is_empty()).then(|| superseded.join(" "))),
        ]
    }

    /// The same after `token` has replaced the one that signed in as `username`.
    #[must_use]
    pub(super) fn after(&self, token: &DeployToken, username: Option<&str>) -> Self {
        let mut next = self.clone();
        let by_name = || username.and_then(Superseded::of_username);
        let replaced = self.issued.clone().map(|issued| Superseded::Issued(issued.token)).or_else(by_name);
        if let Some(replaced) = replaced {
            next.supersede(replaced);
        }
        next.issued = token.issued().cloned();
        // Somebody may go back to an earlier one. Numbers are of one GitLab: another one's token is kept a little longer.
        let number = next.issued.as_ref().map(|issued| issued.token.id);
        let own = number.or_else(|| Some(Superseded::of_username(token.username().as_str())?.id()));
        let returned = next.superseded.iter().position(|known| Some(known.id()) == own);
        if let Some(returned) = returned.map(|at| next.superseded.remove(at))
            && let (None, Superseded::Issued(token)) = (&next.issued, returned)
        {
            next.issued = Some(Issued { token, owner: String::new() });
        }
        next
    }

    /// The same without those of `deleted`.
    #[must_use]
    pub(super) fn without(&self, deleted: &[Superseded]) -> Self {
        let mut next = self.clone();
        next.superseded.retain(|token| !deleted.contains(token));
        next
    }

    fn supersede(&mut self, token: Superseded) {
        if !self.superseded.contains(&token) {
            self.superseded.push(token);
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
        let issued =
            url.map(|url| Issued { token: TokenRef::parse(url).unwrap(), owner: "group/hello".to_owned() });
        DeployToken::new(username, Secret::new("gldt-x".to_owned())).unwrap().issued_as(issued)
    }

    fn of(found: &Provenance) -> [Option<String>; 3] {
        found.annotations().map(|(_, value)| value)
    }

    #[test]
    fn replaced_tokens_are_remembered_until_they_are_deleted() {
        let by_hand = Provenance::default();
        let first =
            by_hand.after(&token("gitlab+deploy-token-1", Some(FIRST)), Some("gitlab+deploy-token-9"));
        let [url, owner, old] = of(&first);
        assert_eq!(url.as_deref(), Some(FIRST));
        assert_eq!(owner.as_deref(), Some("group/hello"));
        assert_eq!(old.as_deref(), Some("gitlab+deploy-token-9"));
        let second =
            first.after(&token("gitlab+deploy-token-2", Some(SECOND)), Some("gitlab+deploy-token-1"));
        assert_eq!(of(&second)[2], Some(format!("gitlab+deploy-token-9 {FIRST}")));
        let annotation = |name: &str| {
            let all = second.annotations();
            all.iter().find(|(known, _)| *known == name).and_then(|(_, value)| value.clone())
        };
        assert_eq!(Provenance::read(annotation), second);
        let deleted = [Superseded::parse(FIRST).unwrap()];
        assert_eq!(of(&second.without(&deleted))[2].as_deref(), Some("gitlab+deploy-token-9"));
    }

    #[test]
    fn a_token_that_comes_back_is_not_superseded() {
        let first = Provenance { issued: token("a", Some(FIRST)).issued().cloned(), ..Provenance::default() };
        let second = first.after(&token("b", Some(SECOND)), Some("a"));
        let back = second.after(&token("gitlab+deploy-token-1", None), Some("b"));
        assert_eq!(back.issued.as_ref().map(|issued| issued.token.to_string()).as_deref(), Some(FIRST));
        assert_eq!(of(&back)[2].as_deref(), Some(SECOND));
    }

    #[test]
    fn names_of_others_are_left_alone() {
        let kept =
            Provenance::read(|name| (name == SUPERSEDED).then(|| "later gitlab+deploy-token-3".into()));
        assert_eq!(of(&kept), [None, None, Some("gitlab+deploy-token-3 later".to_owned())]);
        // A user name of another registry's.
        assert_eq!(of(&Provenance::default().after(&token("ada", None), Some("robot"))), [None, None, None]);
    }
}
