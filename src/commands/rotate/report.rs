//! The report of `makeinfra rotate`: the plan, the result, the next commands.

use super::write::{earlier_record, kustomizations, uncommitted_beside};
use super::{Options, RotationTarget, keeps_own_token};
use crate::advice::Advice;
use crate::answers::{Answers, Record};
use crate::commands::deploy_tokens::Gitlab;
use crate::commands::encrypted::commit_step;
use crate::commands::short;
use crate::commands::sign_in::SignInCheck;
use crate::gitlab::Lifetime;
use crate::report::{FileChange, Report};
use crate::rotation::{Plan, SecretFile, SecretFileChange};
use crate::ui;
use serde_json::json;

/// The subject of the commit with a new token.
pub(super) const SUBJECT: &str = "Rotate the deploy token";

/// The JSON facts; without a plan, those of a rotation whose token is not known yet.
fn facts(
    options: &Options,
    found: &RotationTarget,
    plan: Option<&Plan>,
    commit: Option<&str>,
) -> Report {
    let secrets = found.files.secrets.iter().enumerate();
    // A file that is written already may still need to be committed.
    let is_left = |at: usize| options.commits() && found.uncommitted.get(at) == Some(&true);
    let is_written = |at: usize| plan.is_none_or(|plan| plan.secrets[at].text.is_some());
    let secrets = secrets.filter(|(at, _)| is_written(*at) || is_left(*at));
    let secrets = secrets.map(|(_, file)| {
        FileChange::new(&file.path, if file.text.is_some() { "changed" } else { "new" })
    });
    let named = plan.into_iter().flat_map(|plan| kustomizations(found, plan));
    let record = plan.and_then(|plan| plan.record.as_ref()).map(|_| Record::FILE);
    let beside =
        named.map(|(path, _)| path).chain(record).map(|path| FileChange::new(path, "changed"));
    Report {
        repo: Some(found.root()),
        changed: !options.run.dry_run && (commit.is_some() || plan.is_some_and(Plan::writes)),
        files: secrets.chain(beside).collect(),
        own: json!({
            "dry_run": options.run.dry_run,
            "changes": plan.map(Plan::changes).unwrap_or_default(),
            "commit": commit,
            "check": SignInCheck::json(found.checked.as_ref()),
        }),
        ..Report::default()
    }
}

/// The report of a dry run.
pub(super) fn dry_run(options: &Options, found: &RotationTarget, plan: Option<&Plan>) -> Report {
    let mut files: Vec<(&str, String)> = Vec::new();
    if plan.is_some_and(|plan| plan.record.is_some()) {
        files.push((Record::FILE, "changed".to_owned()));
    }
    let named = plan.into_iter().flat_map(|plan| kustomizations(found, plan));
    files.extend(named.map(|(path, _)| (path, "names the file of the pull secret".to_owned())));
    for (at, file) in found.files.secrets.iter().enumerate() {
        let verb = if file.text.is_some() { "changed" } else { "new" };
        let note = match (plan, plan.and_then(|plan| plan.secrets[at].text.as_ref())) {
            (_, Some(_)) => format!("{verb}, encrypted in git"),
            (Some(_), None) if options.remove_registry.is_some() => {
                "has no entry for this registry".to_owned()
            }
            (Some(_), None) if options.keep_token => "already records this expiry".to_owned(),
            (Some(_), None) => "already contains this token".to_owned(),
            (None, None) => format!("{verb}, with the deploy token"),
        };
        files.push((file.path.as_str(), note));
    }
    files.sort();
    let tree = ui::tree(&found.root().to_string_lossy(), &files);
    let changes = plan.map(|plan| listed(&plan.changes())).unwrap_or_default();
    let checked = SignInCheck::line(found.checked.as_ref());
    let text = format!("{tree}{changes}\n{checked}Nothing was written: this is a dry run.\n");
    let brief = match plan {
        None => "would get the deploy token".to_owned(),
        Some(plan) if !plan.writes() => "nothing to do".to_owned(),
        Some(plan) => plan.changes().into_iter().cloned().collect::<Vec<_>>().join("; "),
    };
    let is_pending = plan.is_none_or(Plan::writes);
    Report { text, brief, is_pending, ..facts(options, found, plan, None) }
}

/// The report of a dry run in which GitLab would issue the token.
pub(super) fn dry_run_of_gitlab(
    options: &Options,
    found: &RotationTarget,
    gitlab: &Gitlab,
    lifetime: &Lifetime,
) -> Report {
    let until = lifetime.end().map_or("without expiry".to_owned(), |end| format!("until {end}"));
    let title = gitlab.place.title();
    let instance = gitlab.api.instance();
    let mut report = dry_run(options, found, None);
    report.text = format!(
        "GitLab at {instance} would create a deploy token for the {title}, {until}.\n{}",
        report.text
    );
    report
}

/// Like [`dry_run_of_gitlab`], for one of several repositories; `others` get the same token.
pub(super) fn dry_run_of_share(
    options: &Options,
    found: &RotationTarget,
    gitlab: &Gitlab,
    lifetime: &Lifetime,
    others: usize,
) -> Report {
    let mut report = dry_run_of_gitlab(options, found, gitlab, lifetime);
    let shared = match others {
        0 => String::new(),
        1 => ", with 1 other repository".to_owned(),
        _ => format!(", with {others} other repositories"),
    };
    report.brief = format!("would get a new deploy token of the {}{shared}", gitlab.place.title());
    report
}

/// The report of a completed rotation.
pub(super) fn outcome(
    options: &Options,
    found: &RotationTarget,
    plan: &Plan,
    commit: Option<&str>,
) -> Report {
    let text = summary(options, found, plan, commit);
    let brief = text.lines().next().unwrap_or_default().trim_end_matches('.').to_owned();
    Report { text, brief, ..facts(options, found, Some(plan), commit) }
}

/// The text of the report.
fn summary(options: &Options, found: &RotationTarget, plan: &Plan, commit: Option<&str>) -> String {
    let checked = SignInCheck::line(found.checked.as_ref());
    let named = |wanted: &dyn Fn(&SecretFile, &SecretFileChange) -> bool| {
        let both = found.files.secrets.iter().zip(&plan.secrets);
        let paths: Vec<_> = both
            .filter(|(file, change)| wanted(file, change))
            .map(|(file, _)| file.path.as_str())
            .collect();
        paths.join(", ")
    };
    if !plan.rotates() {
        let done = commit.map_or_else(
            || match &plan.record {
                Some(_) => format!("`{}` was updated to match", Record::FILE),
                None => match kustomizations(found, plan).next() {
                    Some((path, _)) => format!("`{path}` now lists it"),
                    None => "nothing was written".to_owned(),
                },
            },
            |commit| format!("committed as {}", short(commit)),
        );
        let paths = named(&|_, _| true);
        let one = found.files.secrets.len() == 1;
        return match &options.remove_registry {
            Some(host) => {
                let verb = if one { "has" } else { "have" };
                format!("{paths} {verb} no entry for {host}; {done}.\n")
            }
            None if options.keep_token => {
                let verb = if one { "records" } else { "record" };
                format!("{paths} already {verb} this expiry; {done}.\n")
            }
            None => {
                let verb = if one { "contains" } else { "contain" };
                format!("{paths} already {verb} these credentials; {done}.\n{checked}")
            }
        };
    }
    let state =
        commit.map_or_else(String::new, |commit| format!(", committed as {}", short(commit)));
    let done: Vec<_> = [
        (
            if keeps_own_token(options) { "Changed" } else { "Rotated" },
            named(&|file, change| change.text.is_some() && file.text.is_some()),
        ),
        ("Created", named(&|file, change| change.text.is_some() && file.text.is_none())),
    ]
    .into_iter()
    .filter(|(_, paths)| !paths.is_empty())
    .map(|(verb, paths)| format!("{verb} {paths}{state}.\n"))
    .collect();
    let changes = listed(&plan.changes());
    format!("{}{changes}{checked}", done.concat())
}

fn listed(changes: &[&String]) -> String {
    changes.iter().map(|change| format!("  {change}\n")).collect()
}

/// The next commands: commit, and deploy to each environment that has a new token.
pub(super) fn steps(
    options: &Options,
    found: &RotationTarget,
    plan: &Plan,
    commit: Option<&str>,
) -> Vec<Advice> {
    let answers = found.files.record.iter().map(|record| &record.answers);
    let environments =
        answers.flat_map(|answers| answers.environments.iter().map(move |one| (answers, one)));
    let deployed = environments
        .enumerate()
        .filter(|(place, _)| found.files.secrets.iter().any(|file| file.place == *place));
    let deploy = |(_, (answers, one)): (usize, (&Answers, _))| {
        Advice::make("deploy").for_env(answers.choice(one))
    };
    let mut steps: Vec<_> = deployed.map(deploy).collect();
    if steps.is_empty() {
        steps.push(Advice::make("deploy"));
    }
    steps[0] = steps[0].clone().why(match plan.rotates() {
        true if keeps_own_token(options) => "deploy the pull secret",
        true => "deploy the new token",
        false => "if they are not deployed yet",
    });
    let finish = superseding(found, plan).filter(|_| plan.rotates()).map(|others| {
        let together = if others.is_empty() {
            String::new()
        } else {
            format!(", in one run with {}", others.join(", "))
        };
        Advice::makeinfra("rotate").with("--finish").why(format!(
            "after deploying and pushing it, delete the old token in GitLab{together}"
        ))
    });
    if commit.is_none() && (plan.writes() || found.uncommitted.contains(&true)) {
        let with_record = plan.record.is_some()
            || earlier_record(found, plan).is_ok_and(|record| record.is_some());
        let mut paths: Vec<_> = found.files.secrets.iter().map(|file| file.path.as_str()).collect();
        // Without the key, HEAD's content is undetermined.
        let beside = uncommitted_beside(found, plan).map(|beside| beside.into_keys().collect());
        let beside: Vec<String> = beside.unwrap_or_else(|_| {
            kustomizations(found, plan).map(|(path, _)| path.to_owned()).collect()
        });
        paths.extend(beside.iter().map(String::as_str));
        paths.extend(with_record.then_some(Record::FILE));
        steps.push(commit_step(&found.repo, &paths, &subject(options, found)));
    }
    steps.extend(finish);
    steps
}

/// The other repositories that shared the superseded tokens in the Secrets; `None` if the Secrets
/// list none.
fn superseding(found: &RotationTarget, plan: &Plan) -> Option<Vec<String>> {
    let own = found.name();
    let mut others: Option<Vec<String>> = None;
    for (file, change) in found.files.secrets.iter().zip(&plan.secrets) {
        let Ok(Some(manifest)) = file.manifest_after(change) else { continue };
        for replaced in &manifest.provenance().superseded {
            let others = others.get_or_insert_default();
            for name in replaced.repositories.iter().filter(|name| **name != own) {
                if !others.contains(name) {
                    others.push(name.clone());
                }
            }
        }
    }
    others
}

/// The subject of the commit.
pub(super) fn subject(options: &Options, found: &RotationTarget) -> String {
    let rotate = SUBJECT;
    match (&options.add_registry, &options.remove_registry, options.keep_token, found.is_rotated) {
        (Some(host), _, _, false) => format!("Add {host} to the pull secret"),
        (Some(host), _, _, true) => format!("{rotate}, and add {host} to the pull secret"),
        (_, Some(host), _, false) => format!("Remove {host} from the pull secret"),
        (_, Some(host), _, true) => format!("{rotate}, and remove {host} from the pull secret"),
        (_, _, true, false) => "Record when the deploy token expires".to_owned(),
        (_, _, true, true) => format!("{rotate}, and record when it expires"),
        (_, _, false, _) => rotate.to_owned(),
    }
}
