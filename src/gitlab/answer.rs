//! GitLab's answers, reduced to the fields that are needed.

use super::{GitlabRefusal, Need, ProjectOrGroup};
use crate::answers::{Answer, Expiry, Instance, Owner, TokenRef, TokenUsername};
use crate::secret::Secret;
use jiff::Timestamp;
use serde::Deserialize;
use zeroize::Zeroizing;

/// The access level of a maintainer (GitLab's `doc/api/access_requests.md`).
const MAINTAINER: u64 = 40;
/// The access level of an owner.
pub(super) const OWNER: u64 = 50;

#[derive(Deserialize)]
pub(super) struct Project {
    id: u64,
    path_with_namespace: String,
    permissions: Option<Permissions>,
}

#[derive(Deserialize)]
struct Permissions {
    project_access: Option<Member>,
    group_access: Option<Member>,
}

#[derive(Deserialize)]
pub(super) struct Member {
    pub(super) access_level: u64,
}

impl Project {
    /// The project's location. Fails if the user is known to lack the role for creating tokens
    /// there.
    pub(super) fn place(self) -> Result<ProjectOrGroup, GitlabRefusal> {
        let level = self.access_level();
        let place =
            ProjectOrGroup { owner: Owner::Project(self.id), path: self.path_with_namespace };
        match level {
            Some(level) if level < MAINTAINER => {
                Err(GitlabRefusal::Role { place: place.title(), need: Need::Maintainer })
            }
            _ => Ok(place),
        }
    }

    /// The user's access level; `None` if the answer does not have it, as for administrators and
    /// members of a group with which the project is shared.
    fn access_level(&self) -> Option<u64> {
        let permissions = self.permissions.as_ref()?;
        let levels = [&permissions.project_access, &permissions.group_access];
        levels.into_iter().flatten().map(|member| member.access_level).max()
    }
}

#[derive(Deserialize)]
pub(super) struct Group {
    pub(super) id: u64,
    pub(super) full_path: String,
}

#[derive(Deserialize)]
pub(super) struct User {
    pub(super) id: u64,
}

#[derive(Deserialize)]
pub(super) struct Credential {
    #[serde(default)]
    scopes: Vec<String>,
}

impl Credential {
    /// Whether the scopes allow to create deploy tokens, as far as they tell: the permissions of
    /// fine-grained tokens are not among them.
    pub(super) fn may_make_tokens(&self) -> bool {
        self.scopes.iter().any(|scope| scope == "api" || !KNOWN.contains(&scope.as_str()))
    }
}

/// Scopes that do not allow it (GitLab's `lib/gitlab/auth.rb`).
const KNOWN: [&str; 11] = [
    "read_user",
    "read_api",
    "read_repository",
    "write_repository",
    "read_registry",
    "write_registry",
    "read_virtual_registry",
    "write_virtual_registry",
    "create_runner",
    "manage_runner",
    "ai_features",
];

/// A deploy token in the API's format.
#[derive(Deserialize)]
pub(super) struct DeployTokenJson {
    id: u64,
    #[serde(default)]
    name: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    expires_at: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    revoked: bool,
    #[serde(default)]
    token: Option<Zeroizing<String>>,
}

impl DeployTokenJson {
    pub(super) fn token(self, instance: &Instance, owner: Owner) -> Token {
        Token {
            at: TokenRef { instance: instance.clone(), owner, id: self.id },
            name: self.name,
            username: self.username,
            expires_at: self.expires_at.and_then(|date| Expiry::parse(&date).ok()),
            scopes: self.scopes,
            revoked: self.revoked,
        }
    }

    /// The token in the answer to its creation, the only answer that has its value.
    pub(super) fn minted(
        mut self,
        instance: &Instance,
        place: &ProjectOrGroup,
    ) -> Result<Minted, GitlabRefusal> {
        let value = self.token.take().map(|mut value| Secret::new(std::mem::take(&mut *value)));
        let value = value.ok_or(GitlabRefusal::NoApi)?;
        let username = TokenUsername::parse(&self.username).map_err(|_| GitlabRefusal::NoApi)?;
        Ok(Minted { username, value, token: self.token(instance, place.owner) })
    }
}

/// An existing deploy token.
#[derive(Debug, Clone)]
pub struct Token {
    /// Its identity in the API.
    pub at: TokenRef,
    /// Its name, which may contain any characters.
    pub name: String,
    /// Its user name.
    pub username: String,
    /// Its expiry; `None` if it never expires.
    pub expires_at: Option<Expiry>,
    /// Its scopes.
    pub scopes: Vec<String>,
    /// Whether it was revoked.
    pub revoked: bool,
}

impl Token {
    /// Whether it works at `now`. Computed, because GitLab's own `expired` only compares dates.
    #[must_use]
    pub fn is_active(&self, now: Timestamp) -> bool {
        !self.revoked && !self.expires_at.as_ref().is_some_and(|end| end.is_over(now))
    }
}

/// A newly created token with its value.
pub struct Minted {
    /// Its user name.
    pub username: TokenUsername,
    /// Its value.
    pub value: Secret,
    /// Everything else.
    pub token: Token,
}
