//! `makeinfra env list`.

use crate::answers::{Answer, Environment, ImageRef, RegistryKey};
use crate::cli::EnvList as Options;
use crate::commands::not_generated;
use crate::error::{Explanation, Failure, Result, explain};
use crate::inspection::{Inspection, Scope};
use crate::manifests::Workload;
use crate::report::Report;
use crate::ui;
use serde_json::json;

/// A row of the list.
struct Row<'r> {
    environment: &'r Environment,
    images: Vec<&'r ImageRef>,
    /// The token's expiry; `None` if unknown.
    expires_at: Option<String>,
    /// Expiries of the tokens for further registries.
    other_expiries: Vec<(RegistryKey, String)>,
}

/// Runs the command.
pub fn list(options: &Options) -> Result<Report> {
    let inspection =
        Inspection::of(&Scope { repo: options.repo.clone(), ..Scope::default() }, "env list")?;
    let record = match &inspection.record {
        Some(Ok(record)) => record,
        Some(Err(error)) => {
            let Explanation { message, causes, hint, .. } = explain(error);
            let failure = Failure::failed(message).because(causes.join(", "));
            return Err(hint.into_iter().fold(failure, Failure::hint).into());
        }
        None => {
            return Err(not_generated(&inspection.root, "no `.makeinfra.yaml`").into());
        }
    };
    let answers = &record.answers;
    let rows: Vec<_> = answers
        .environments
        .iter()
        .map(|environment| {
            let path = environment.secret_file(&answers.secret_name);
            let secret = inspection.pull_secrets.iter().find(|found| found.path == path);
            let directory = environment.overlay();
            let overlay =
                inspection.manifests.overlays.iter().find(|overlay| overlay.path == directory);
            let workloads = overlay.into_iter().flat_map(|overlay| &overlay.workloads);
            let mut images: Vec<&ImageRef> = Vec::new();
            for pull in workloads.flat_map(Workload::pulls) {
                if !images.contains(&pull.image) {
                    images.push(pull.image);
                }
            }
            let others = secret.into_iter().flat_map(|found| found.secret.other_expiries.iter());
            let others = others
                .filter_map(|(key, date)| Some((RegistryKey::parse(key).ok()?, date.to_owned())));
            Row {
                environment,
                images,
                expires_at: secret.and_then(|found| found.secret.expires_at.clone()),
                other_expiries: others.collect(),
            }
        })
        .collect();
    let environments: Vec<_> = rows.iter().map(Row::json).collect();
    Ok(Report {
        text: table(&rows),
        own: json!({"project": answers.project.as_str(), "environments": environments}),
        repo: Some(inspection.root.clone()),
        ..Report::default()
    })
}

impl Row<'_> {
    fn json(&self) -> serde_json::Value {
        let environment = self.environment;
        let others = self.other_expiries.iter().map(|(key, date)| (key.to_string(), json!(date)));
        let others: serde_json::Map<_, _> = others.collect();
        json!({
            "name": environment.name.as_str(),
            "protected": environment.protect,
            "namespace": environment.namespace.as_str(),
            "context": environment.context.as_ref().map(ToString::to_string),
            "images": self.images.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "token_expires_at": self.expires_at,
            "other_tokens_expire_at": others,
        })
    }

    fn cells(&self) -> [String; 5] {
        let environment = self.environment;
        let mark = if environment.protect { " (protected)" } else { "" };
        let images: Vec<_> = self.images.iter().map(ToString::to_string).collect();
        let own = self.expires_at.clone().unwrap_or_else(|| "unknown".to_owned());
        let others = self.other_expiries.iter().map(|(key, date)| format!("{key}: {date}"));
        let expiries: Vec<_> = std::iter::once(own).chain(others).collect();
        [
            format!("{}{mark}", environment.name),
            environment.namespace.to_string(),
            environment.context.as_ref().map_or("current".to_owned(), ToString::to_string),
            expiries.join(", "),
            images.join(", "),
        ]
    }
}

/// Formats the rows in columns of minimal width.
fn table(rows: &[Row]) -> String {
    let head = ["ENVIRONMENT", "NAMESPACE", "CONTEXT", "TOKEN EXPIRES", "IMAGE"].map(str::to_owned);
    let lines: Vec<_> = std::iter::once(head).chain(rows.iter().map(Row::cells)).collect();
    ui::columns(&lines)
}
