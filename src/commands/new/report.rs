//! The report of `makeinfra new`: the plan before writing, the result and the next commands
//! afterwards.

use super::nested::Nested;
use super::{Options, Outcome, Plan, SignInCheck};
use crate::advice::{Advice, shell_word};
use crate::answers::{Component, EnvironmentName, Workload};
use crate::commands::short;
use crate::git_crypt;
use crate::repo;
use crate::report::{FileChange, Report};
use crate::templates::{File, Kind};
use crate::ui;
use serde_json::json;
use std::path::Path;

/// The report of a dry run.
pub(super) fn plan(options: &Options, plan: &Plan) -> Report {
    let (tree, checked) = (tree(options, plan), SignInCheck::line(plan.checked.as_ref()));
    let text = format!("{tree}\n{checked}Nothing was written: this is a dry run.\n");
    Report { text, ..facts(options, plan, None) }
}

/// The JSON facts; without an outcome, those of a plan.
fn facts(options: &Options, plan: &Plan, outcome: Option<&Outcome>) -> Report {
    let file = |file: &File| FileChange::new(&file.path, "new").sized(file.size());
    Report {
        repo: Some(plan.target.clone()),
        changed: outcome.is_some(),
        files: plan.files.iter().map(file).collect(),
        own: json!({
            "dry_run": options.run.dry_run,
            "project": plan.answers.project.as_str(),
            "commit": outcome.and_then(|outcome| outcome.commit.as_ref()),
            "check": SignInCheck::json(plan.checked.as_ref()),
            "hook": plan.nested.as_ref().map(Nested::hook),
            "exported_key": plan.export_key.as_ref().map(|file| file.display().to_string()),
        }),
        ..Report::default()
    }
}

/// The files, followed by the decisions, which then stay visible on a small terminal.
pub(super) fn decisions(options: &Options, plan: &Plan) -> String {
    let answers = &plan.answers;
    let secret = match plan.usernames.as_slice() {
        [] => "none yet".to_owned(),
        names => format!("{} at {}", names.join(", "), answers.registry),
    };
    let mut lines = vec![("image", answers.image().to_string())];
    for one in answers.environments.iter() {
        let label = answers.choice(one).map_or("namespace", EnvironmentName::as_str);
        let context = one
            .context
            .as_ref()
            .map_or("the current context".to_owned(), |name| format!("context {name}"));
        lines.push((label, format!("{} in {context}", one.namespace)));
    }
    lines.extend([
        runs(answers.main()),
        ("pods run", answers.pod_security.as_str().to_owned()),
        (
            "pull secret",
            format!("{}, {}", answers.secret_name, answers.secret_type.kubernetes_type()),
        ),
        ("user name", secret),
    ]);
    if !plan.expiries.is_empty() {
        lines.push(("expires", plan.expiries.join(", ")));
    }
    lines.extend(answers.main().ingress.as_ref().map(|host| {
        ("ingress", format!("{host}{}", if answers.main().tls { ", with TLS" } else { "" }))
    }));
    lines.extend(answers.components.rest.iter().map(|one| {
        let (what, how) = runs(one);
        ("and", format!("{}, {}: {what} {how}", one.name, one.workload.as_str()))
    }));
    let rotates =
        if answers.ci_rotate { ", with a schedule that replaces deploy tokens" } else { "" };
    lines.push(("pipeline", format!("{}{rotates}", answers.ci.as_str())));
    let lines: String = lines.iter().map(|(name, value)| format!("{name:12} {value}\n")).collect();
    format!("{}\n\n{lines}", tree(options, plan).trim_end())
}

/// How a component runs, in a word or two.
fn runs(component: &Component) -> (&'static str, String) {
    match (component.workload, component.port, &component.schedule) {
        (Workload::Deployment, Some(port), _) => {
            ("port, pods", format!("{port}, {}", component.replicas))
        }
        (Workload::Deployment, None, _) => ("port, pods", format!("none, {}", component.replicas)),
        (Workload::CronJob, _, Some(schedule)) => ("runs", schedule.to_string()),
        (Workload::CronJob | Workload::Job, ..) => ("runs", "once per image".to_owned()),
    }
}

/// The result and the next commands.
pub(super) fn outcome(options: &Options, plan: &Plan, outcome: &Outcome) -> Report {
    let state = match (&outcome.commit, options.no_git) {
        (_, true) => "without git".to_owned(),
        (Some(commit), _) => format!("committed as {}", short(commit)),
        (None, _) => "staged, not committed".to_owned(),
    };
    // A user who confirmed the plan has just seen the tree.
    let tree = if plan.agreed { String::new() } else { format!("{}\n", tree(options, plan)) };
    let mut text = format!(
        "{tree}Created {} with {} files, {state}.\n",
        plan.shown.display(),
        plan.files.len()
    );
    text.push_str(&SignInCheck::line(plan.checked.as_ref()));
    if let Some(file) = &plan.export_key {
        text.push_str(&format!("The git-crypt key is in {}.\n", file.display()));
    }
    if let Some(nested) = &plan.nested {
        text.push_str(&format!(
            "\nAdd this line to the pre-commit hook of {}, so that no commit has plaintext \
             secrets:\n\n    {}\n",
            nested.top.display(),
            nested.hook()
        ));
    }
    Report { text, next: steps(options, plan, outcome), ..facts(options, plan, Some(outcome)) }
}

fn tree(options: &Options, plan: &Plan) -> String {
    let secrets = plan.answers.secret_files();
    let mut files: Vec<(&str, String)> =
        plan.files.iter().map(|file| (file.path.as_str(), note(options, file))).collect();
    if !options.no_token {
        // A dry run proceeds without tokens that were not given yet.
        let absent =
            secrets.iter().filter(|path| plan.files.iter().all(|file| file.path != **path));
        files.extend(
            absent
                .map(|path| (path.as_str(), "from the deploy token, encrypted in git".to_owned())),
        );
        files.sort();
    }
    ui::tree(&plan.shown.display().to_string(), &files)
}

fn note(options: &Options, file: &File) -> String {
    let is_encrypted = file.kind == Kind::Secret && !options.no_git;
    if is_encrypted { "encrypted in git" } else { "" }.to_owned()
}

fn identity_step() -> Advice {
    repo::identity_commands().why("git has no user name and email, so nothing is committed yet")
}

/// A git command in `dir`.
fn git(dir: &Path) -> Advice {
    Advice::anywhere("git -C").path(dir)
}

fn commit_step(plan: &Plan) -> Advice {
    let message = format!("Generate {} with makeinfra", plan.answers.project.directory());
    git(&plan.shown)
        .arg("commit")
        .arg("-m")
        .arg(message)
        .why("everything is staged, the Secret encrypted")
}

/// The next commands: commit, back up the key, change directory, deploy, publish.
fn steps(options: &Options, plan: &Plan, outcome: &Outcome) -> Vec<Advice> {
    let directory = plan.answers.project.directory();
    let copy = format!("~/{directory}.git-crypt-key");
    let rotate = || Advice::anywhere("makeinfra rotate --commit");
    let go = Advice::anywhere("cd").path(&plan.shown);
    let enter = if plan.usernames.is_empty() {
        go.clone().and(rotate()).why("create the pull secret")
    } else {
        go.clone()
    };
    let key = plan.shown.join(".git").join(git_crypt::KEY_FILE);
    let mut steps = Vec::new();
    if outcome.nobody {
        steps.push(identity_step());
    }
    if outcome.commit.is_none() && !options.no_git {
        steps.push(commit_step(plan));
    }
    if let Some(nested) = &plan.nested {
        steps.extend(nested.preparation().map(|command| command.why("before the first `git add`")));
        let add = git(&nested.top).arg("add").path(&nested.folder);
        let commit = git(&nested.top).arg("commit").arg("-m").arg(format!("Generate {directory}"));
        let commit = commit.arg("--").path(&nested.folder);
        steps.push(add.and(commit).why("git-crypt encrypts the secrets"));
        steps.push(enter);
    } else if options.no_git {
        let init = go.and(Advice::anywhere("git init")).and(Advice::anywhere("git-crypt init"));
        steps.push(init.why("before the first `git add`: the Secret is in plaintext"));
        let export = Advice::anywhere(format!("git-crypt export-key {copy}"));
        steps.push(export.why("without it, no clone can be unlocked"));
        let commit = Advice::anywhere("git add .").and(Advice::anywhere("git commit -m Begin"));
        steps.push(commit.and(Advice::anywhere("make setup")));
        if plan.usernames.is_empty() {
            steps.push(rotate().why("create the pull secret"));
        }
    } else {
        steps.push(match &plan.export_key {
            Some(file) => Advice::anywhere("ls -l")
                .path(file)
                .why("put this key into your team's password store"),
            None => Advice::anywhere(format!("cp -i {} {copy}", shell_word(&key)))
                .why("back up the git-crypt key: without it, no clone can be unlocked"),
        });
        steps.push(enter);
    }
    let environment = plan.answers.make_argument(&plan.answers.environments.first);
    steps.push(Advice::anywhere(format!("make deploy{environment}")).why("deploy it"));
    if plan.nested.is_none() {
        let remote = Advice::anywhere("git remote add origin URL");
        steps.push(remote.and(Advice::anywhere("git push -u origin HEAD")).why("publish it"));
    }
    steps
}
