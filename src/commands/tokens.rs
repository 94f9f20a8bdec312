//! `makeinfra token list`: lists the deploy tokens in GitLab and their relation to this repository.
//! Only reads.

use super::deploy_tokens::{Gitlabs, Network, OwnerHints, Row, TokenUse, holdings, rows};
use super::encrypted;
use crate::advice::Advice;
use crate::answers::Expiry;
use crate::cli::TokenList as Options;
use crate::error::{Result, printable};
use crate::git_crypt;
use crate::gitlab::Token;
use crate::repo::Repo;
use crate::report::Report;
use crate::ui::Ui;
use serde_json::json;

/// Runs the command.
pub fn list(options: &Options, ui: &mut Ui) -> Result<Report> {
    let repo = Repo::find(&options.repo, "token list")?;
    repo.check_key(git_crypt::FILTER)?;
    let root = repo.root();
    let record = encrypted::record(LIST, &root)?;
    let holdings = holdings(LIST, &repo, &record)?;
    let recorded = holdings.iter().find_map(|holding| holding.provenance.issued.as_ref());
    let network = Network { plain_http: options.plain_http, ca_file: options.ca_file.as_deref() };
    let mut gitlabs =
        Gitlabs::new(&options.access, network, options.gitlab_group.as_deref(), false);
    let gitlab =
        gitlabs.connect(OwnerHints { recorded, image: Some(record.answers.image()) }, ui)?;
    let repository = record.answers.project.directory();
    let rows = rows(&gitlab, &holdings, &repository, ui)?;
    let next =
        if rows.iter().any(|row| matches!(row.of, TokenUse::Superseded(_) | TokenUse::Orphan)) {
            vec![
                Advice::makeinfra("rotate")
                    .with("--finish")
                    .why("delete tokens that are no longer used"),
            ]
        } else {
            Vec::new()
        };
    let title = gitlab.place.title();
    Ok(Report {
        text: format!(
            "Deploy tokens of the {title} at {}:\n\n{}",
            gitlab.api.instance(),
            table(&rows)
        ),
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

/// The action that failures name.
const LIST: &str = "list the tokens of";

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
            TokenUse::Used(names) => format!("used by {}", names.join(", ")),
            TokenUse::Superseded(names) => format!("superseded in {}", names.join(", ")),
            TokenUse::Orphan | TokenUse::Other => self.of.as_str().to_owned(),
        };
        [token.at.id.to_string(), format!("{end}{state}"), of, printable(&token.name)]
    }
}

/// Formats the rows in columns of minimal width.
fn table(rows: &[Row]) -> String {
    let head = ["ID", "EXPIRES", "USE", "NAME"].map(str::to_owned);
    let lines: Vec<_> = std::iter::once(head).chain(rows.iter().map(Row::cells)).collect();
    crate::ui::columns(&lines)
}
