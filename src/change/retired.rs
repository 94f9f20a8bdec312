//! Removes an environment: its overlay, its pipeline file, and the secret files that only its
//! kustomization lists. Pure.

use super::{Files, Plan, listed, record};
use crate::advice::Advice;
use crate::answers::{Environment, Record, Superseded};
use crate::error::{Failure, Result};
use crate::pull_secret::Manifest;

/// The removal of an environment.
pub struct EnvironmentRemoval {
    /// The plan.
    pub plan: Plan,
    /// The namespace, which stays in the cluster.
    pub namespace: String,
    /// The context of its cluster; `None` for the current one.
    pub context: Option<String>,
    /// The deploy tokens that no other environment has or lists as superseded. They stay in GitLab.
    pub tokens: Vec<Superseded>,
    /// Whether GitLab issued the token of another environment.
    pub is_issued: bool,
}

/// Plans the removal of the environment `name`.
pub fn remove_environment(
    files: &Files,
    record: &Record,
    name: &str,
) -> Result<EnvironmentRemoval> {
    let all = &record.answers.environments;
    let Some(gone) = record.answers.environment(name) else {
        let names = all.iter().map(|one| one.name.to_string()).collect::<Vec<_>>().join(", ");
        return Err(Failure::failed(format!("environment `{name}` does not exist"))
            .because(format!("existing: {names}"))
            .hint(Advice::makeinfra("env list"))
            .into());
    };
    if all.rest.is_empty() {
        return Err(Failure::failed(format!("cannot remove `{name}`, the only environment"))
            .hint(Advice::makeinfra("env add NAME").why("add another environment first"))
            .into());
    }
    let mut plan = Plan::default();
    plan.notes.push(format!(
        "the objects in namespace `{}` stay in the cluster: delete them first with `make undeploy \
         ENV={name}`, which needs these files",
        gone.namespace
    ));
    let others = all.iter().filter(|one| one.name != gone.name);
    let others: Vec<_> =
        others.flat_map(|one| tokens_of(files, record, one).unwrap_or_default()).collect();
    let mut tokens = tokens_of(files, record, gone).unwrap_or_default();
    tokens.retain(|token| !others.contains(token));
    if !tokens.is_empty() {
        let list = tokens.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        plan.notes.push(format!("deploy tokens that only {name} uses stay in GitLab: {list}"));
    }
    for path in secret_files(files, record, gone)? {
        plan.remove(files, &path)?;
    }
    let overlay = gone.overlay();
    let settings = format!("{overlay}/{}", Environment::SETTINGS);
    let list = super::kustomization(files, &overlay);
    let is_last = |path: &str| path == settings || Some(path) == list.as_deref();
    let mut paths: Vec<_> = files.below(&overlay).map(|(path, _)| path.to_owned()).collect();
    // The file by which make recognises an environment comes last.
    paths.sort_by_key(|path| is_last(path));
    for path in paths {
        plan.remove(files, &path)?;
    }
    let pipeline = format!(".gitlab/{name}.yml");
    if files.get(&pipeline).is_some() {
        plan.remove(files, &pipeline)?;
    }
    for (path, _) in files.below(&gone.secrets) {
        let is_gone = plan.steps.iter().any(|step| step.path == path);
        let is_of_another = all
            .iter()
            .filter(|one| {
                one.name != gone.name && one.secrets.starts_with(&format!("{}/", gone.secrets))
            })
            .any(|one| path.starts_with(&format!("{}/", one.secrets)));
        if !is_gone && !is_of_another {
            plan.notes.push(format!(
                "`{path}` stays: no kustomization of {name} lists it, or another environment uses \
                 it"
            ));
        }
    }
    plan.facts.push(("namespace", gone.namespace.to_string()));
    let context = gone.context.as_ref().map(ToString::to_string);
    plan.facts.push((
        "context",
        context.clone().unwrap_or_else(|| "the current context of kubectl".to_owned()),
    ));
    let text = record::environment_dropped(&record.text, name)?;
    Record::parse(text.clone())?;
    plan.write_text(files, Record::FILE, &text)?;
    let is_issued = others.iter().any(|token| matches!(token, Superseded::Issued(_)));
    Ok(EnvironmentRemoval {
        plan,
        namespace: gone.namespace.to_string(),
        context,
        tokens,
        is_issued,
    })
}

/// The deploy tokens that the Secret of `one` has, or has superseded; `None` if it cannot be read.
fn tokens_of(files: &Files, record: &Record, one: &Environment) -> Option<Vec<Superseded>> {
    let answers = &record.answers;
    let text = files.text(&one.secret_file(&answers.secret_name)).ok()??;
    let manifest = Manifest::parse(text).ok()?;
    let provenance = manifest.provenance();
    let by_hand = || {
        let username = manifest.config().username(manifest.own(Some(&answers.registry))?)?;
        Superseded::of_username(&username)
    };
    let issued = provenance.issued.as_ref().map(|issued| Superseded::Issued(issued.token.clone()));
    let held = issued.or_else(by_hand);
    Some(
        held.into_iter()
            .chain(provenance.superseded.iter().map(|replaced| replaced.token.clone()))
            .collect(),
    )
}

/// The files that only the kustomization of its Secrets lists, followed by that kustomization.
fn secret_files(files: &Files, record: &Record, gone: &Environment) -> Result<Vec<String>> {
    let Some(listing) = listed(files, &gone.secrets)? else { return Ok(Vec::new()) };
    let mut kept = Vec::new();
    for other in record.answers.environments.iter().filter(|one| one.name != gone.name) {
        if other.secrets == gone.secrets {
            return Err(Failure::failed(format!("cannot remove the Secrets of {}", gone.name))
                .because(format!("{} uses the same ones: `{}`", other.name, gone.secrets))
                .hint(format!("give {} its own Secrets directory in its overlay", other.name))
                .into());
        }
        if let Some(listing) = listed(files, &other.secrets)? {
            kept.extend(listing.files().map(str::to_owned).collect::<Vec<_>>());
        }
    }
    let mut paths: Vec<String> = Vec::new();
    for path in listing.files().skip(1).chain([listing.path.as_str()]) {
        let is_kept = kept.iter().any(|other| other == path) || !path.starts_with(super::SECRETS);
        // A directory among its resources is not a file.
        if !is_kept && files.get(path).is_some() && !paths.iter().any(|known| known == path) {
            paths.push(path.to_owned());
        }
    }
    Ok(paths)
}
