//! `makeinfra token list`: the deploy tokens in GitLab, and what this repository has to do with each. Only reads.

use super::deploy_tokens::{Gitlab, Gitlabs, Meant, Network};
use super::{encrypted, not_generated};
use crate::advice::Advice;
use crate::answers::{Expiry, Record, Superseded};
use crate::cli::TokenList as Options;
use crate::error::{Failure, Result, printable};
use crate::git_crypt;
use crate::gitlab::{Token, TokenName};
use crate::pull_secret::{Manifest, Provenance};
use crate::repo::Repo;
use crate::report::Report;
use crate::ui::Ui;
use serde_json::json;

/// What the Secret of one environment says of tokens.
struct Holding {
    environment: String,
    provenance: Provenance,
    /// What its own token signs in as.
    username: Option<String>,
}

/// What this repository has to do with a token.
#[derive(Debug, PartialEq, Eq)]
enum Use {
    /// These environments sign in with it.
    Used(Vec<String>),
    /// These environments did.
    Superseded(Vec<String>),
    /// It was made for this repository, and no Secret names it.
    Orphan,
    /// It is somebody else's.
    Other,
}

/// A token in the list.
struct Row {
    token: Token,
    of: Use,
    is_active: bool,
}

/// Runs the command.
pub fn list(options: &Options, ui: &mut Ui) -> Result<Report> {
    let repo = Repo::find(&options.repo, "token list")?;
    repo.check_key(git_crypt::FILTER)?;
    let root = repo.root();
    let text = encrypted::read(LIST, Record::FILE, &root.join(Record::FILE))?;
    let none = || not_generated(&root, format!("`{}` does not exist", Record::FILE));
    let record = Record::parse(text.ok_or_else(none)?.expose().to_owned())?;
    let holdings = holdings(&repo, &record)?;
    let recorded = holdings.iter().find_map(|holding| holding.provenance.issued.as_ref());
    let network = Network { plain_http: options.plain_http, ca_file: options.ca_file.as_deref() };
    let mut gitlabs = Gitlabs::new(&options.access, network, options.gitlab_group.as_deref(), false);
    let gitlab = gitlabs.connect(Meant { recorded, image: Some(record.answers.image()) }, ui)?;
    let repository = record.answers.project.directory();
    let rows = rows(&gitlab, &holdings, &repository, ui)?;
    let next = match rows.iter().any(|row| matches!(row.of, Use::Superseded(_) | Use::Orphan)) {
        true => vec![Advice::makeinfra("rotate").with("--finish").why("delete what is no longer used")],
        false => Vec::new(),
    };
    let title = gitlab.place.title();
    Ok(Report {
        text: format!("Deploy tokens of the {title} at {}:\n\n{}", gitlab.api.instance(), table(&rows)),
        own: json!({
            "gitlab": gitlab.api.instance().as_str(),
            "owner": gitlab.place.path,
            "time": gitlab.time.to_string(),
            "tokens": rows.iter().map(Row::json).collect::<Vec<_>>(),
        }),
        repo: Some(root),
        next,
        ..Report::default()
    })
}

/// What its errors say that it cannot do.
const LIST: &str = "list the tokens of";

fn holdings(repo: &Repo, record: &Record) -> Result<Vec<Holding>> {
    let answers = &record.answers;
    let mut holdings = Vec::new();
    for environment in answers.environments.iter() {
        let path = environment.secret_file(&answers.secret_name);
        let Some(text) = encrypted::read(LIST, &path, &repo.root().join(&path))? else { continue };
        let manifest = Manifest::parse(text.expose())
            .map_err(|fault| Failure::failed(format!("cannot {LIST} `{path}`")).because(fault))?;
        let key = manifest.own(Some(&answers.registry));
        holdings.push(Holding {
            environment: environment.name.to_string(),
            username: key.and_then(|key| manifest.config().username(key)),
            provenance: manifest.provenance().clone(),
        });
    }
    Ok(holdings)
}

/// All tokens of the project or group, and those elsewhere that the repository names; the next to end first.
fn rows(gitlab: &Gitlab, holdings: &[Holding], repository: &str, ui: &mut Ui) -> Result<Vec<Row>> {
    let mut tokens = gitlab.tokens.clone();
    let named = holdings.iter().flat_map(|holding| {
        let own = holding.provenance.issued.iter().map(|issued| &issued.token);
        let superseded = holding.provenance.superseded.iter().filter_map(|replaced| match &replaced.token {
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
            let again = Advice::makeinfra("token list").option("--gitlab-host", at.instance.as_str());
            ui.warn(format!("the deploy token {} is of another GitLab: {}", at.id, again.typed(None)));
            continue;
        }
        let found = gitlab.api.token(at).map_err(|refusal| {
            refusal.failure(format!("cannot look at the deploy token {}", at.id), at.instance.as_str())
        })?;
        match found {
            Some(token) => tokens.push(token),
            None => {
                ui.warn(format!("GitLab has no deploy token {} any more, which a pull secret names", at.id));
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
    // What never ends comes last.
    rows.sort_by_key(|row| (end(row).is_none(), end(row), row.token.at.id));
    Ok(rows)
}

fn used(token: &Token, holdings: &[Holding], repository: &str) -> Use {
    let names = |wanted: &dyn Fn(&Holding) -> bool| -> Vec<String> {
        holdings.iter().filter(|holding| wanted(holding)).map(|holding| holding.environment.clone()).collect()
    };
    let is_own = |holding: &Holding| match &holding.provenance.issued {
        Some(issued) => issued.token == token.at,
        // By hand: two may have one user name only if that is no number's.
        None => {
            let number = holding.username.as_deref().and_then(Superseded::of_username);
            number.is_some_and(|number| number.id() == token.at.id)
        }
    };
    let is_superseded = |holding: &Holding| {
        holding.provenance.superseded.iter().any(|known| match &known.token {
            Superseded::Issued(at) => *at == token.at,
            Superseded::ByHand(id) => *id == token.at.id,
        })
    };
    let (own, superseded) = (names(&is_own), names(&is_superseded));
    if !own.is_empty() {
        return Use::Used(own);
    }
    if !superseded.is_empty() {
        return Use::Superseded(superseded);
    }
    let is_named = TokenName::parse(&token.name).is_some_and(|name| name.is_of(repository));
    if is_named { Use::Orphan } else { Use::Other }
}

impl Use {
    fn as_str(&self) -> &'static str {
        match self {
            Self::Used(_) => "used",
            Self::Superseded(_) => "superseded",
            Self::Orphan => "orphan",
            Self::Other => "other",
        }
    }

    fn environments(&self) -> &[String] {
        match self {
            Self::Used(names) | Self::Superseded(names) => names,
            Self::Orphan | Self::Other => &[],
        }
    }
}

impl Row {
    fn json(&self) -> serde_json::Value {
        let Token { at, name, username, expires_at, scopes, revoked } = &self.token;
        json!({
            "token": at.to_string(),
            "id": at.id,
            "name": name,
            "username": username,
            "expires_at": expires_at.as_ref().map(Expiry::as_str),
            "scopes": scopes,
            "revoked": revoked,
            "active": self.is_active,
            "use": self.of.as_str(),
            "environments": self.of.environments(),
        })
    }

    fn cells(&self) -> [String; 4] {
        let token = &self.token;
        let end = token.expires_at.as_ref().map_or("never", Expiry::as_str);
        let state = match (token.revoked, self.is_active) {
            (true, _) => " (revoked)",
            (false, false) => " (expired)",
            (false, true) => "",
        };
        let of = match &self.of {
            Use::Used(names) => format!("used by {}", names.join(", ")),
            Use::Superseded(names) => format!("superseded in {}", names.join(", ")),
            Use::Orphan | Use::Other => self.of.as_str().to_owned(),
        };
        [token.at.id.to_string(), format!("{end}{state}"), of, printable(&token.name)]
    }
}

/// Columns that are as wide as they must be.
fn table(rows: &[Row]) -> String {
    let head = ["ID", "EXPIRES", "USE", "NAME"].map(str::to_owned);
    let lines: Vec<_> = std::iter::once(head).chain(rows.iter().map(Row::cells)).collect();
    crate::ui::columns(&lines)
}
