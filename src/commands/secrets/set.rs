//! `makeinfra secret set`: one value of a generated Secret, and nothing else changed.

use super::{Target, is_change, parse, warn_of_traps};
use crate::advice::Advice;
use crate::answers::{DnsLabel, Workload};
use crate::cli::SecretSet as Options;
use crate::commands::{commands, missing, next_steps, print_json, short, sweep_repository};
use crate::context::Context;
use crate::credentials::OpaqueSource as Source;
use crate::error::Result;
use crate::inspection::{Inspection, Scope};
use crate::opaque::{Change, Directory, Effect, Key, Value};
use crate::ui::Ui;
use serde_json::json;

/// Runs the command.
pub fn set(options: &Options, ui: &mut Ui) -> Result<()> {
    let source = match &options.from_file {
        Some(file) => Source::File(file.clone()),
        None if options.stdin => Source::Stdin,
        None => Source::Prompt,
    };
    let (name, key) = parse(&options.name, &options.key)?;
    let target = Target::find(&options.repo, &options.environments, "secret set NAME KEY")?;
    target.check_name(&name)?;
    let _lock = if options.run.dry_run { None } else { target.repo.lock()? };
    let read = |path: &str| target.disk.read(path);
    let directories = target.directories(&read, &name, "change")?;
    target.check_git(&directories, options.commit, ui)?;
    sweep_repository(&target.disk.root, options.run.dry_run, ui);
    let asks = matches!(source, Source::Prompt);
    if asks && !options.run.dry_run && !ui.can_ask() {
        let example = Advice::makeinfra("secret set NAME KEY").with("--from-file FILE");
        return Err(missing(&["the value: --stdin or --from-file FILE".to_owned()], example));
    }
    if asks && options.run.dry_run {
        return print_unasked(options, &target, &name, &key, ui);
    }
    let value = source.read(&format!("Value of {} in Secret {name}", key.as_str()), ui)?;
    let change = |directory: &Directory| {
        directory.set(name.as_str(), &key, &value).map_err(|fault| target.failure("change", fault))
    };
    let changes = directories.iter().map(change).collect::<Result<Vec<_>>>()?;
    warn_of_traps(changes.iter().flat_map(|change| &change.traps), ui);
    if options.run.dry_run {
        return print_dry_run(options, &target, &changes, ui);
    }
    let uncommitted = target.uncommitted(&name, &key, &directories, &changes, options.commit, ui)?;
    let message = format!("Set {} in Secret {name}", key.as_str());
    let commit = match is_change(&changes) || options.commit {
        true => target.apply(&changes, options.commit.then_some((&uncommitted, &message)))?,
        false => None,
    };
    let mut steps = steps(&target, is_change(&changes));
    if commit.is_none() {
        steps.extend(uncommitted.commit_step(&message));
    }
    let outcome = Outcome { name: &name, key: &key, value: &value, changes: &changes, commit, steps };
    outcome.print(options, &target, ui)
}

/// What was done.
struct Outcome<'o> {
    name: &'o DnsLabel,
    key: &'o Key,
    value: &'o Value,
    changes: &'o [Change],
    commit: Option<String>,
    steps: Vec<Advice>,
}

impl Outcome<'_> {
    fn print(&self, options: &Options, target: &Target, ui: &Ui) -> Result<()> {
        let root = &target.disk.root;
        let places: Vec<_> = self.changes.iter().map(|change| change.place.as_str()).collect();
        if options.run.json {
            let paths: Vec<_> = places.iter().map(|place| root.join(place).display().to_string()).collect();
            let object = json!({
                "path": paths.first(),
                "paths": paths,
                "created": self.changes.iter().any(|change| change.effect == Effect::Create),
                "changed": is_change(self.changes),
                "commit": self.commit,
                "next": commands(&self.steps, root),
            });
            return print_json(object, ui);
        }
        let (key, places) = (self.key.as_str(), places.join(", "));
        let steps = next_steps(&self.steps, root);
        let done = self.commit.as_ref().map(|commit| format!("committed as {}", short(commit)));
        if !is_change(self.changes) {
            let done = done.unwrap_or_else(|| "nothing was written".to_owned());
            return ui
                .print(&format!("{places} already has this value of {key}; {done}.\n\nNext:\n\n{steps}"));
        }
        let done = done.map_or_else(String::new, |done| format!(", {done}"));
        let usage = if is_named(options, self.name) { String::new() } else { self.usage(target) };
        ui.print(&format!("Set {key} of Secret {} in {places}{done}.\n{usage}\nNext:\n\n{steps}", self.name))
    }

    /// How a container gets the values of a Secret that no manifest names.
    fn usage(&self, target: &Target) -> String {
        let name = self.name;
        let workload = target.record.answers.main().workload;
        let file = format!("{}/{}.yaml", Context::BASE, workload.as_str());
        // The pod of a CronJob stands deeper.
        let pad = "  ".repeat(workload.pod().len() - Workload::Deployment.pod().len());
        if self.key.is_variable() && self.value.is_text() {
            return format!(
                "\nNo manifest names Secret {name} yet. To give its keys to a container as variables, add beside `image` in \
                 {file}:\n\n\
                 {pad}          envFrom:\n{pad}            - secretRef:\n{pad}                name: {name}\n"
            );
        }
        format!(
            "\nNo manifest names Secret {name} yet. To give its keys to a container as files, add to these two lists in \
             {file}:\n\n\
             {pad}          volumeMounts:\n{pad}            - name: {name}\n{pad}              mountPath: /run/secrets/{name}\n\
             {pad}              readOnly: true\n\
             {pad}      volumes:\n{pad}        - name: {name}\n{pad}          secret:\n{pad}            secretName: {name}\n"
        )
    }
}

/// Whether a manifest names the Secret.
fn is_named(options: &Options, name: &DnsLabel) -> bool {
    let scope = Scope { repo: options.repo.clone(), ..Scope::default() };
    let named = |inspection: Inspection| {
        inspection.manifests.overlays.iter().any(|overlay| overlay.named_secrets.contains(name.as_str()))
    };
    Inspection::of(&scope, "secret set").is_ok_and(named)
}

fn steps(target: &Target, is_change: bool) -> Vec<Advice> {
    let stays = target.record.answers.components.iter().any(|one| one.workload == Workload::Deployment);
    target.deploy_steps(match is_change {
        true if stays => "deploy it; the pods that use it are replaced",
        true => "deploy it, for the next run",
        false => "if the cluster does not have it yet",
    })
}

fn print_dry_run(options: &Options, target: &Target, changes: &[Change], ui: &Ui) -> Result<()> {
    if options.run.json {
        let places = changes.iter().map(|change| target.disk.root.join(&change.place).display().to_string());
        let places: Vec<_> = places.collect();
        let object =
            json!({"dry_run": true, "path": places.first(), "paths": places, "changed": is_change(changes)});
        return print_json(object, ui);
    }
    if !is_change(changes) {
        let places: Vec<_> = changes.iter().map(|change| change.place.as_str()).collect();
        return ui.print(&format!(
            "{} already has this value of {}.\n\nNothing was written: this is a dry run.\n",
            places.join(", "),
            options.key
        ));
    }
    ui.print(&format!("{}\nNothing was written: this is a dry run.\n", target.tree(changes)))
}

/// Where the value goes depends on it, and a dry run does not ask for one.
fn print_unasked(options: &Options, target: &Target, name: &DnsLabel, key: &Key, ui: &Ui) -> Result<()> {
    let own: Vec<_> = target.environments().map(|one| super::own_files(one, name, key)).collect();
    if options.run.json {
        let places: Vec<_> =
            own.iter().map(|[env, _]| target.disk.root.join(env).display().to_string()).collect();
        let object = json!({"dry_run": true, "path": places.first(), "paths": places, "changed": null});
        return print_json(object, ui);
    }
    let lines: String = own
        .iter()
        .map(|[env, file]| {
            format!("{env}: {}\n  or, if a line cannot hold the value, {file}\n", key.as_str())
        })
        .collect();
    ui.print(&format!("{lines}\nNothing was written: this is a dry run.\n"))
}
