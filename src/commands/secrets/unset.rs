//! `makeinfra secret unset`: removes a key from a generated Secret, and with its last key also its
//! files and its entry.

use super::{Target, is_change, parse};
use crate::advice::Advice;
use crate::cli::SecretUnset as Options;
use crate::commands::transaction::{ONLY_THE_COMMIT, repair_index};
use crate::commands::{agree, short, sweep_repository};
use crate::error::{Failure, Result};
use crate::git_crypt;
use crate::inspection::{Inspection, Scope};
use crate::opaque::{Directory, Effect, SecretChange};
use crate::report::Report;
use crate::ui::Ui;
use serde_json::json;

/// Runs the command.
pub fn unset(options: &Options, ui: &mut Ui) -> Result<Report> {
    let (name, key) = parse(&options.name, &options.key)?;
    let target = Target::find(&options.repo, &options.environments, "secret unset NAME KEY")?;
    target.repo.check_key(git_crypt::FILTER)?;
    target.check_name(&name)?;
    let _lock = if options.run.dry_run { None } else { target.repo.lock()? };
    let read = |path: &str| target.disk.read(path);
    let directories = target.directories(&read, &name, "change")?;
    target.check_git(&directories, options.commit, ui)?;
    sweep_repository(&target.disk.root, options.run.dry_run, ui);
    let change = |directory: &Directory| {
        directory.unset(name.as_str(), &key).map_err(|fault| target.failure("change", fault))
    };
    let changes = directories.iter().map(change).collect::<Result<Vec<_>>>()?;
    let uncommitted =
        target.uncommitted(&name, &key, &directories, &changes, options.commit, ui)?;
    // A removal by an earlier run that was not committed; other uncommitted changes are not
    // committed here.
    let is_left = options.commit && !uncommitted.is_empty() && target.is_in_head(&name, &key)?;
    if !is_change(&changes) && !is_left {
        return Err(Failure::failed(format!("Secret {name} has no key {}", key.as_str()))
            .because("it is neither in the env file nor in its own file")
            .hint(Advice::makeinfra("secret list"))
            .into());
    }
    if let Some(users) = users(options, &target, &changes) {
        ui.warn(format!("{users} still uses Secret {name} and cannot start without it"));
    }
    let tree = if is_change(&changes) { target.tree(&changes) } else { ONLY_THE_COMMIT.to_owned() };
    let committed = options.commit.then_some(&uncommitted);
    let mut report = target.report(&changes, committed, options.run.dry_run);
    if options.run.dry_run {
        report.text = format!("{tree}\nNothing was written: this is a dry run.\n");
        return Ok(report);
    }
    if is_change(&changes) && !options.yes && !options.run.no_input {
        let title = format!("Remove {} from Secret {name}", key.as_str());
        agree("makeinfra secret unset", &title, &tree, None, ui)?;
    }
    if options.commit {
        repair_index(&target.repo, ui)?;
    }
    let message = format!("Remove {} from Secret {name}", key.as_str());
    let commit = target.apply(&changes, options.commit.then_some((&uncommitted, &message)))?;
    report.next = target.deploy_steps("deploy it; pods that use the Secret are replaced");
    if commit.is_none() {
        report.next.extend(uncommitted.commit_step(&target.repo, &message));
    }
    let done = commit
        .as_ref()
        .map_or_else(String::new, |commit| format!(", committed as {}", short(commit)));
    report.text = format!("Removed {} from Secret {name}{done}.\n", key.as_str());
    report.changed = true;
    report.own["commit"] = json!(commit);
    Ok(report)
}

/// The changed overlays whose manifests reference a Secret that is deleted; `None` if there are
/// none.
fn users(options: &Options, target: &Target, changes: &[SecretChange]) -> Option<String> {
    if !changes.iter().any(|change| change.effect == Effect::Delete) {
        return None;
    }
    let scope = Scope { repo: options.repo.clone(), ..Scope::default() };
    let inspection = Inspection::of(&scope, "secret unset").ok()?;
    let overlays = inspection.manifests.overlays.iter();
    let users: Vec<_> = overlays
        .filter(|one| target.environments().any(|environment| environment.overlay() == one.path))
        .filter(|one| one.named_secrets.contains(&options.name))
        .map(|one| format!("`{}`", one.path))
        .collect();
    (!users.is_empty()).then(|| users.join(", "))
}
