//! `makeinfra secret list`: lists the Secrets of each environment with the names of their keys,
//! never a value.

use super::{Target, warn_of_traps};
use crate::answers::Environment;
use crate::cli::{EnvironmentChoice, SecretList as Options};
use crate::error::Result;
use crate::opaque::{Key, Listing};
use crate::report::Report;
use crate::ui::Ui;
use serde_json::json;

/// Runs the command.
pub fn list(options: &Options, ui: &mut Ui) -> Result<Report> {
    let choice =
        EnvironmentChoice { env: options.env.clone(), all_environments: options.env.is_none() };
    let target = Target::find(&options.repo, &choice, "secret list")?;
    let read = |path: &str| target.disk.read(path);
    let mut found = Vec::new();
    for environment in target.environments() {
        let listing = Listing::of(&environment.secrets, &read)
            .map_err(|fault| target.failure("read", fault))?;
        warn_of_traps(listing.secrets.iter().flat_map(|secret| &secret.traps), ui);
        found.push((environment, rows(&listing)));
    }
    let shown: Vec<_> = found.iter().map(|(environment, rows)| table(environment, rows)).collect();
    let environments: Vec<_> =
        found.iter().map(|(environment, rows)| object(environment, rows)).collect();
    Ok(Report {
        text: shown.join("\n"),
        own: json!({ "environments": environments }),
        repo: Some(target.disk.root.clone()),
        ..Report::default()
    })
}

/// A Secret in the list.
struct Row {
    name: String,
    kind: Kind,
    files: Vec<String>,
    /// The keys, each with whether its value is a whole file.
    keys: Vec<(String, bool)>,
}

/// The origin of a Secret.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Pull,
    Generated,
    Manifest,
}

fn rows(listing: &Listing) -> Vec<Row> {
    let is_key = |key: &String| Key::parse(key).is_ok();
    let manifests = listing.manifests.iter().map(|found| Row {
        name: found.name.clone(),
        kind: if found.is_pull { Kind::Pull } else { Kind::Manifest },
        files: vec![found.path.clone()],
        keys: found.keys.iter().filter(|key| is_key(key)).map(|key| (key.clone(), false)).collect(),
    });
    let generated = listing.secrets.iter().map(|found| Row {
        name: found.name.clone(),
        kind: Kind::Generated,
        files: found.files.clone(),
        keys: found
            .keys
            .iter()
            .filter(|key| is_key(&key.name))
            .map(|key| (key.name.clone(), key.is_file))
            .collect(),
    });
    manifests.chain(generated).collect()
}

fn table(environment: &Environment, rows: &[Row]) -> String {
    let mut text = format!("{} ({})\n", environment.name, environment.secrets);
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    for row in rows {
        let keys = row
            .keys
            .iter()
            .map(|(key, is_file)| if *is_file { format!("{key} (file)") } else { key.clone() });
        let keys = keys.collect::<Vec<_>>().join(", ");
        let what = match row.kind {
            Kind::Pull => "pull secret".to_owned(),
            Kind::Manifest => format!("{keys} (in {})", row.files.join(", ")),
            Kind::Generated if keys.is_empty() => "no keys".to_owned(),
            Kind::Generated => keys,
        };
        text.push_str(&format!("  {:width$}  {what}\n", row.name));
    }
    if rows.is_empty() {
        text.push_str("  no Secrets\n");
    }
    text
}

fn object(environment: &Environment, rows: &[Row]) -> serde_json::Value {
    let kind = |kind| match kind {
        Kind::Pull => "pull",
        Kind::Generated => "generated",
        Kind::Manifest => "manifest",
    };
    let keys = |row: &Row| {
        row.keys
            .iter()
            .map(|(name, is_file)| json!({"name": name, "file": is_file}))
            .collect::<Vec<_>>()
    };
    let secret = |row: &Row| json!({"name": row.name, "kind": kind(row.kind), "files": row.files, "keys": keys(row)});
    json!({
        "name": environment.name.as_str(),
        "directory": environment.secrets,
        "secrets": rows.iter().map(secret).collect::<Vec<_>>(),
    })
}
