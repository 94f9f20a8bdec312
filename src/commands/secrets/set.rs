//! `makeinfra secret set`: changes one value of a generated Secret and nothing else.

use super::{Target, Uncommitted, is_change, parse, warn_of_traps};
use crate::advice::Advice;
use crate::answers::{DnsLabel, Environment, Workload};
use crate::cli::SecretSet as Options;
use crate::commands::elsewhere;
use crate::commands::transaction::{ONLY_THE_COMMIT, repair_index};
use crate::commands::{missing, short, sweep_repository};
use crate::context::Context;
use crate::credentials::OpaqueSource as Source;
use crate::error::Result;
use crate::git_crypt;
use crate::inspection::{Inspection, Scope};
use crate::manifests;
use crate::opaque::{Directory, Effect, Key, SecretChange, Value};
use crate::report::{FileChange, Report};
use crate::ui::Ui;
use crate::work_tree::Content;
use serde_json::json;
use std::path::Path;

/// Runs the command.
pub fn set(options: &Options, ui: &mut Ui) -> Result<Report> {
    let source = match &options.from_file {
        Some(file) => Source::File(file.clone()),
        None if options.stdin => Source::Stdin,
        None => Source::Prompt,
    };
    let (name, key) = parse(&options.name, &options.key)?;
    let target = Target::find(&options.repo, &options.environments, "secret set NAME KEY")?;
    target.repo.check_key(git_crypt::FILTER)?;
    target.check_name(&name)?;
    let _lock = if options.run.dry_run { None } else { target.repo.lock()? };
    let read = |path: &str| target.disk.read(path);
    let directories = target.directories(&read, &name, "change")?;
    target.check_git(&directories, options.commit, ui)?;
    sweep_repository(&target.disk.root, options.run.dry_run, ui);
    let asks = matches!(source, Source::Prompt);
    if asks && !options.run.dry_run && !ui.can_ask() {
        let set = Advice::makeinfra("secret set").arg(name.as_str()).arg(key.as_str());
        let all = if options.environments.all_environments { "--all-environments " } else { "" };
        let example = set.with(format!("{all}--from-file FILE"));
        return Err(missing(&["the value: --stdin or --from-file FILE".to_owned()], example));
    }
    if asks && options.run.dry_run {
        return Ok(report_without_value(&target, &name, &key));
    }
    let value = source.read(&format!("Value of {} in Secret {name}", key.as_str()), ui)?;
    let change = |directory: &Directory| {
        directory.set(name.as_str(), &key, &value).map_err(|fault| target.failure("change", fault))
    };
    let changes = directories.iter().map(change).collect::<Result<Vec<_>>>()?;
    for (one, change) in target.environments().zip(&changes) {
        if matches!(change.effect, Effect::Create) {
            let is_own = |one: &Environment, path: &str| Path::new(path).starts_with(&one.secrets);
            elsewhere::check(&target.repo.root(), [one], name.as_str(), is_own)?;
        }
    }
    warn_of_traps(changes.iter().flat_map(|change| &change.traps), ui);
    let uncommitted =
        target.uncommitted(&name, &key, &directories, &changes, options.commit, ui)?;
    let committed = options.commit.then_some(&uncommitted);
    let mut report = target.report(&changes, committed, options.run.dry_run);
    if options.run.dry_run {
        report.text = preview(options, &target, &changes, committed);
        return Ok(report);
    }
    let is_mended = options.commit && repair_index(&target.repo, ui)?;
    let message = format!("Set {} in Secret {name}", key.as_str());
    let commit = if is_change(&changes) || options.commit {
        target.apply(&changes, options.commit.then_some((&uncommitted, &message)))?
    } else {
        None
    };
    let mut next = steps(&target, is_change(&changes));
    if commit.is_none() {
        next.extend(uncommitted.commit_step(&target.repo, &message));
    }
    let unnamed = if is_change(&changes) { unnamed_in(options, &target, &name) } else { None };
    let usage = unnamed.map_or(String::new(), |file| usage(&target, &name, &key, &value, &file));
    let text = summary(&name, &key, &changes, commit.as_deref()) + &usage;
    report.changed = commit.is_some() || is_change(&changes) || is_mended;
    report.own["commit"] = json!(commit);
    Ok(Report { text, next, ..report })
}

/// The text of the report.
fn summary(name: &DnsLabel, key: &Key, changes: &[SecretChange], commit: Option<&str>) -> String {
    let places: Vec<_> = changes.iter().map(|change| change.place.as_str()).collect();
    let (key, places) = (key.as_str(), places.join(", "));
    let committed = commit.map(|commit| format!("committed as {}", short(commit)));
    if is_change(changes) {
        let committed = committed.map_or_else(String::new, |committed| format!(", {committed}"));
        return format!("Set {key} of Secret {name} in {places}{committed}.\n");
    }
    let done = committed.unwrap_or_else(|| "nothing was written".to_owned());
    format!("{places} already contains this value of {key}; {done}.\n")
}

/// How a container in `file` can use a Secret that no manifest references.
fn usage(target: &Target, name: &DnsLabel, key: &Key, value: &Value, file: &str) -> String {
    let workload = target.record.answers.main().workload;
    // The pod of a CronJob is nested deeper.
    let pad = "  ".repeat(workload.pod().len() - Workload::Deployment.pod().len());
    if key.is_variable() && value.is_text() {
        return format!(
            "\nNo manifest uses Secret {name} yet. To give its keys to a container as variables, \
             add beside `image` in {file}:\n\n\
             {pad}          envFrom:\n\
             {pad}            - secretRef:\n\
             {pad}                name: {name}\n"
        );
    }
    format!(
        "\nNo manifest uses Secret {name} yet. To give its keys to a container as files, \
         add to these two lists in {file}:\n\n\
         {pad}          volumeMounts:\n\
         {pad}            - name: {name}\n\
         {pad}              mountPath: /run/secrets/{name}\n\
         {pad}              readOnly: true\n\
         {pad}      volumes:\n\
         {pad}        - name: {name}\n\
         {pad}          secret:\n\
         {pad}            secretName: {name}\n"
    )
}

/// The file of the workload that probably uses the Secret; `None` if a manifest references the
/// Secret.
fn unnamed_in(options: &Options, target: &Target, name: &DnsLabel) -> Option<String> {
    let main = target.record.answers.main();
    let generated = format!("{}/{}.yaml", Context::BASE, main.workload.as_str());
    let scope = Scope { repo: options.repo.clone(), ..Scope::default() };
    let Ok(inspection) = Inspection::of(&scope, "secret set") else { return Some(generated) };
    let overlays = || inspection.manifests.overlays.iter();
    if overlays().any(|overlay| overlay.named_secrets.contains(name.as_str())) {
        return None;
    }
    // In an adopted repository, users have chosen the file names.
    let all = || inspection.manifests.workloads().filter(|one| one.kind == main.workload.kind());
    let is_main = |one: &&manifests::Workload| one.name == main.name.as_str();
    let pulls = |one: &&manifests::Workload| {
        one.images
            .iter()
            .filter_map(|image| image.reference.as_ref().ok())
            .any(|one| one.name() == main.image.name())
    };
    let found = all().find(is_main).or_else(|| all().find(pulls)).or_else(|| all().next());
    Some(found.map_or(generated, |one| one.file.clone()))
}

fn steps(target: &Target, is_change: bool) -> Vec<Advice> {
    let stays =
        target.record.answers.components.iter().any(|one| one.workload == Workload::Deployment);
    target.deploy_steps(match is_change {
        true if stays => "deploy it; pods that use it are replaced",
        true => "deploy it, for the next run",
        false => "if it is not deployed yet",
    })
}

/// The text of a dry run's report.
fn preview(
    options: &Options,
    target: &Target,
    changes: &[SecretChange],
    commit: Option<&Uncommitted>,
) -> String {
    let places: Vec<_> = changes.iter().map(|change| change.place.as_str()).collect();
    let shown = if is_change(changes) {
        target.tree(changes)
    } else {
        let is_left = commit.is_some_and(|what| !what.is_empty());
        let left = if is_left { ONLY_THE_COMMIT } else { "" };
        format!("{} already contains this value of {}.\n{left}", places.join(", "), options.key)
    };
    format!("{shown}\nNothing was written: this is a dry run.\n")
}

/// The report of a dry run without a value. A value is not asked for, although it decides which
/// file changes; it counts as a change because it may be new.
fn report_without_value(target: &Target, name: &DnsLabel, key: &Key) -> Report {
    let own: Vec<_> = target.environments().map(|one| super::own_files(one, name, key)).collect();
    let likely = own.iter().map(|own| {
        let known = own.iter().find(|path| !matches!(target.disk.read(path), Content::Absent));
        FileChange::new(known.unwrap_or(&own[0]), if known.is_some() { "changed" } else { "new" })
    });
    let line = |[env, file]: &[String; 2]| {
        format!("{env}: {}\n  or, if the value does not fit on a line, {file}\n", key.as_str())
    };
    let text = format!(
        "{}\nNothing was written: this is a dry run.\n",
        own.iter().map(line).collect::<String>()
    );
    Report { text, files: likely.collect(), ..target.report(&[], None, true) }
}
