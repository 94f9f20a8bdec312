//! Superseded tokens: the environments that list them, and their values, which the history of the
//! repository has.

use super::proof::ProvedEnvironment;
use crate::answers::{RegistryKey, Superseded, TokenRef};
use crate::commands::deploy_tokens::Gitlab;
use crate::error::Result;
use crate::pull_secret::{self, Manifest, Replaced, Traces};
use crate::repo::Repo;
use crate::secret::Secret;

/// A superseded token.
pub(super) struct SupersededToken {
    pub(super) what: Superseded,
    /// The repositories that shared it; empty if it was for this one alone.
    pub(super) repositories: Vec<String>,
    /// Indices of the environments whose Secrets list it.
    pub(super) listed: Vec<usize>,
    /// Its credentials; `None` if no commit of this clone has them.
    pub(super) credentials: Option<Credentials>,
}

/// Credentials of a token, from an earlier commit.
pub(super) struct Credentials {
    pub(super) username: Option<String>,
    pub(super) authorization: Secret,
    pub(super) traces: Traces,
}

/// All tokens that any environment lists, without duplicates. `registry` is the project's own.
pub(super) fn all(
    repo: &Repo,
    tenants: &[ProvedEnvironment],
    registry: &RegistryKey,
) -> Result<Vec<SupersededToken>> {
    let mut old_tokens: Vec<SupersededToken> = Vec::new();
    for (place, tenant) in tenants.iter().enumerate() {
        for Replaced { token, repositories } in tenant.provenance.superseded.iter().cloned() {
            match old_tokens.iter_mut().find(|old| old.what == token) {
                Some(old) => {
                    old.listed.push(place);
                    pull_secret::add_repositories(&mut old.repositories, &repositories);
                }
                None => old_tokens.push(SupersededToken {
                    what: token,
                    repositories,
                    listed: vec![place],
                    credentials: None,
                }),
            }
        }
    }
    for old in &mut old_tokens {
        for place in old.listed.clone() {
            let found = repo.search_history(&tenants[place].path, |bytes| {
                credentials(bytes, &old.what, registry)
            })?;
            if found.is_some() {
                old.credentials = found;
                break;
            }
        }
    }
    Ok(old_tokens)
}

/// The credentials of `what`, if `bytes` are a Secret that has it.
fn credentials(bytes: &[u8], what: &Superseded, registry: &RegistryKey) -> Option<Credentials> {
    let manifest = Manifest::parse(std::str::from_utf8(bytes).ok()?).ok()?;
    let config = manifest.config();
    let key = match what {
        Superseded::Issued(token) => {
            let issued = manifest.provenance().issued.as_ref()?;
            // Among several entries only the recorded one is known to be the own; any other may be
            // another registry's password.
            let only = || config.keys().next().filter(|_| config.keys().count() == 1);
            let own = manifest.entry(registry).or_else(only);
            own.filter(|_| issued.token == *token)?
        }
        Superseded::ByHand(_) => {
            let is_it = |key: &&str| {
                config.username(key).as_deref().and_then(Superseded::of_username).as_ref()
                    == Some(what)
            };
            config.keys().find(is_it)?
        }
    };
    Some(Credentials {
        username: config.username(key),
        authorization: config.authorization(key)?,
        traces: Traces::of_entry(config, key),
    })
}

impl SupersededToken {
    /// Whether `bytes`, the plaintext of a file, contain it.
    pub(super) fn is_in(&self, bytes: &[u8]) -> bool {
        if self.credentials.as_ref().is_some_and(|known| known.traces.are_in(bytes)) {
            return true;
        }
        let Some(manifest) =
            std::str::from_utf8(bytes).ok().and_then(|text| Manifest::parse(text).ok())
        else {
            return false;
        };
        let known = self.credentials.as_ref().and_then(|known| known.username.as_deref());
        let issued = manifest.provenance().issued.as_ref();
        let is_issued = match &self.what {
            Superseded::Issued(token) => issued.is_some_and(|issued| issued.token == *token),
            Superseded::ByHand(_) => false,
        };
        // Two tokens may share a user name, but not a number.
        let is_named = |username: String| match &self.what {
            Superseded::ByHand(_) => {
                Superseded::of_username(&username).as_ref() == Some(&self.what)
            }
            Superseded::Issued(_) => {
                known == Some(username.as_str()) && Superseded::of_username(&username).is_some()
            }
        };
        is_issued
            || manifest
                .config()
                .keys()
                .filter_map(|key| manifest.config().username(key))
                .any(is_named)
    }

    /// Why the token must be kept according to the `tenants` that list it; `None` if it may be
    /// deleted.
    pub(super) fn kept_by(&self, tenants: &[ProvedEnvironment]) -> Option<String> {
        let holder = tenants.iter().find(|tenant| self.is_in(tenant.text.expose().as_bytes()));
        if let Some(tenant) = holder {
            return Some(format!("kept: `{}` contains it", tenant.path));
        }
        let listed = self.listed.iter().map(|place| &tenants[*place]);
        let unproved = listed.filter(|tenant| !tenant.is_done());
        let unproved: Vec<_> = unproved.map(|tenant| tenant.environment.name.to_string()).collect();
        (!unproved.is_empty())
            .then(|| format!("kept: not everything is verified for {}", unproved.join(", ")))
    }

    /// The token's identity in the API of `gitlab`.
    pub(super) fn at(&self, gitlab: &Gitlab) -> TokenRef {
        match &self.what {
            Superseded::Issued(token) => token.clone(),
            Superseded::ByHand(id) => TokenRef {
                instance: gitlab.api.instance().clone(),
                owner: gitlab.place.owner,
                id: *id,
            },
        }
    }

    /// The token's name for users.
    pub(super) fn title(&self) -> String {
        format!("deploy token {}", self.what.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::Answer;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    /// A pull secret with these entries, whose token GitLab has issued.
    fn secret(entries: &[(&str, &str)]) -> String {
        let auths: Vec<_> = entries
            .iter()
            .map(|(key, login)| format!(r#""{key}": {{"auth": "{}"}}"#, STANDARD.encode(login)))
            .collect();
        let payload = STANDARD.encode(format!("{{{}}}", auths.join(", ")));
        format!(
            "apiVersion: v1\nkind: Secret\ntype: kubernetes.io/dockercfg\nmetadata:\n  name: gitlab\n  annotations:\n    \
             makeinfra/token: {}\ndata:\n  .dockercfg: {payload}\n",
            TokenRef::EXAMPLE
        )
    }

    #[test]
    fn the_value_is_that_of_the_projects_own_entry() {
        let registry = RegistryKey::parse("registry.gitlab.com").unwrap();
        let what = Superseded::parse(TokenRef::EXAMPLE).unwrap();
        let username = |entries: &[(&str, &str)]| {
            credentials(secret(entries).as_bytes(), &what, &registry)
                .and_then(|found| found.username)
        };
        let (hub, own) =
            (("https://index.docker.io/v1/", "ada:hub"), ("registry.gitlab.com", "u:gldt-x"));
        assert_eq!(username(&[hub, own]).as_deref(), Some("u"));
        // An earlier record may have had another key.
        assert_eq!(username(&[("registry.example.com", "u:gldt-x")]).as_deref(), Some("u"));
        // Ambiguous: several entries, and none is the recorded one.
        assert_eq!(username(&[hub, ("ghcr.io", "u:x")]), None);
    }
}
