//! The deploy tokens in GitLab, and their relation to a repository: in use by its Secrets,
//! superseded, or tied to it by name only. Only reads.

use super::Gitlab;
use crate::advice::Advice;
use crate::answers::{Expiry, Record, Superseded};
use crate::commands::encrypted;
use crate::error::{Failure, Result};
use crate::gitlab::{Token, TokenName};
use crate::pull_secret::{Manifest, Provenance};
use crate::repo::Repo;
use crate::ui::Ui;

/// The tokens in the Secret of one environment.
pub(in crate::commands) struct SecretTokens {
    pub(in crate::commands) environment: String,
    pub(in crate::commands) provenance: Provenance,
    /// The user name of its own token.
    pub(in crate::commands) username: Option<String>,
}

/// How a repository uses a token.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::commands) enum TokenUse {
    /// These environments use it.
    Used(Vec<String>),
    /// These environments have replaced it.
    Superseded(Vec<String>),
    /// It was created for this repository, but no Secret has it.
    Orphan,
    /// It has nothing to do with this repository.
    Other,
}

/// A row of the list.
pub(in crate::commands) struct Row {
    pub(in crate::commands) token: Token,
    pub(in crate::commands) of: TokenUse,
    pub(in crate::commands) is_active: bool,
}

/// The tokens in the Secrets of all environments. `verb` is the action that failures name.
pub(in crate::commands) fn holdings(
    verb: &str,
    repo: &Repo,
    record: &Record,
) -> Result<Vec<SecretTokens>> {
    let answers = &record.answers;
    let mut holdings = Vec::new();
    for environment in answers.environments.iter() {
        let path = environment.secret_file(&answers.secret_name);
        let Some(text) = encrypted::read(verb, &path, &repo.root().join(&path))? else { continue };
        let manifest = Manifest::parse(text.expose())
            .map_err(|fault| Failure::failed(format!("cannot {verb} `{path}`")).because(fault))?;
        let key = manifest.own(Some(&answers.registry));
        holdings.push(SecretTokens {
            environment: environment.name.to_string(),
            username: key.and_then(|key| manifest.config().username(key)),
            provenance: manifest.provenance().clone(),
        });
    }
    Ok(holdings)
}

/// All tokens of the project or group, and those elsewhere that the repository refers to; the next
/// to expire first.
pub(in crate::commands) fn rows(
    gitlab: &Gitlab,
    holdings: &[SecretTokens],
    repository: &str,
    ui: &mut Ui,
) -> Result<Vec<Row>> {
    let mut tokens = gitlab.tokens.clone();
    let named = holdings.iter().flat_map(|holding| {
        let own = holding.provenance.issued.iter().map(|issued| &issued.token);
        let superseded =
            holding.provenance.superseded.iter().filter_map(|replaced| match &replaced.token {
                Superseded::Issued(token) => Some(token),
                Superseded::ByHand(_) => None,
            });
        own.chain(superseded)
    });
    for at in named {
        if tokens.iter().any(|token| token.at == *at) {
            continue;
        }
        if at.instance != *gitlab.api.instance() {
            let again =
                Advice::makeinfra("token list").option("--gitlab-host", at.instance.as_str());
            ui.warn(format!(
                "the deploy token {} belongs to another GitLab: {}",
                at.id,
                again.typed(None)
            ));
            continue;
        }
        let found = gitlab.api.token(at).map_err(|refusal| {
            refusal.failure(format!("cannot read the deploy token {}", at.id), at.instance.as_str())
        })?;
        match found {
            Some(token) => tokens.push(token),
            None => {
                ui.warn(format!(
                    "the deploy token {}, which a pull secret names, no longer exists in GitLab",
                    at.id
                ));
            }
        }
    }
    let row = |token: Token| Row {
        of: used(&token, holdings, repository),
        is_active: token.is_active(gitlab.time),
        token,
    };
    let mut rows: Vec<_> = tokens.into_iter().map(row).collect();
    let end = |row: &Row| row.token.expires_at.as_ref().map(Expiry::instant);
    // Tokens without an expiry come last.
    rows.sort_by_key(|row| (end(row).is_none(), end(row), row.token.at.id));
    Ok(rows)
}

fn used(token: &Token, holdings: &[SecretTokens], repository: &str) -> TokenUse {
    let names = |wanted: &dyn Fn(&SecretTokens) -> bool| -> Vec<String> {
        holdings
            .iter()
            .filter(|holding| wanted(holding))
            .map(|holding| holding.environment.clone())
            .collect()
    };
    let is_own = |holding: &SecretTokens| match &holding.provenance.issued {
        Some(issued) => issued.token == token.at,
        // Matched by user name: two tokens can only share one that contains no number.
        None => {
            let number = holding.username.as_deref().and_then(Superseded::of_username);
            number.is_some_and(|number| number.id() == token.at.id)
        }
    };
    let is_superseded = |holding: &SecretTokens| {
        holding.provenance.superseded.iter().any(|known| match &known.token {
            Superseded::Issued(at) => *at == token.at,
            Superseded::ByHand(id) => *id == token.at.id,
        })
    };
    let (own, superseded) = (names(&is_own), names(&is_superseded));
    if !own.is_empty() {
        return TokenUse::Used(own);
    }
    if !superseded.is_empty() {
        return TokenUse::Superseded(superseded);
    }
    let is_named = TokenName::parse(&token.name).is_some_and(|name| name.is_of(repository));
    if is_named { TokenUse::Orphan } else { TokenUse::Other }
}

impl TokenUse {
    /// Its identifier in JSON.
    pub(in crate::commands) fn as_str(&self) -> &'static str {
        match self {
            Self::Used(_) => "used",
            Self::Superseded(_) => "superseded",
            Self::Orphan => "orphan",
            Self::Other => "other",
        }
    }

    /// The environments concerned.
    pub(in crate::commands) fn environments(&self) -> &[String] {
        match self {
            Self::Used(names) | Self::Superseded(names) => names,
            Self::Orphan | Self::Other => &[],
        }
    }
}
