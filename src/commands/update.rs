//! `makeinfra update`: regenerates the files of a repository with this version, keeping all local
//! changes.

mod conflicts;
mod route;

use super::check::unfollowed_in_head;
use super::fleet::{Fleet, Task};
use super::managed::ManagedRepo;
use super::transaction;
use super::workspace::{Proposal, Scope, Stage};
use crate::advice::{Advice, shell_word};
use crate::answers::Record;
use crate::change::{self, Files, Plan, Step, Update};
use crate::checks::count;
use crate::cli::{Repositories, Update as Options};
use crate::error::{Failure, Outcome, Result};
use crate::report::Report;
use crate::ui::Ui;
use route::UpdateRoute;
use serde_json::json;
use std::path::Path;

impl Task for Options {
    const COMMAND: &'static str = "update";

    fn repositories(&self) -> &Repositories {
        &self.repositories
    }

    fn one(&self, repo: &Path, ui: &mut Ui) -> Result<Report> {
        run(self, repo, Stage::Whole, ui)
    }

    fn several(&self, fleet: &Fleet, ui: &mut Ui) -> Result<()> {
        if self.check || self.plan.run.dry_run {
            return fleet.read(
                |at, ui| self.one(&fleet.places[at].path, ui),
                "reading repositories",
                ui,
            );
        }
        let preflights = fleet.look(
            Fleet::cores(),
            |repo, ui| Ok((run(self, repo, Stage::Preflight, ui)?, ())),
            ui,
        )?;
        if !self.plan.yes && !self.plan.run.no_input {
            fleet.agree(&preflights, ui)?;
        }
        let agreed = |at: usize, ui: &mut Ui| run(self, &fleet.places[at].path, Stage::Agreed, ui);
        fleet.carry_out(Fleet::writers(), &preflights, agreed, ui)
    }
}

/// Runs the command for the repository at `repo`.
fn run(options: &Options, repo: &Path, stage: Stage, ui: &mut Ui) -> Result<Report> {
    let writes = !options.plan.run.dry_run && !options.check;
    let scope = Scope { is_tracked: true, paths: Vec::new() };
    let mut managed = ManagedRepo::open_with(repo, "update", scope, writes)?;
    managed.workspace.stage = stage;
    let paths = UpdateRoute::find(options, &managed)?.paths()?;
    managed.workspace.include(paths)?;
    let route = UpdateRoute::find(options, &managed)?;
    let update = route.update(&managed.workspace.files)?;
    route.check(&managed, &update)?;
    // An answer that was committed without its files no longer shows up as a difference.
    let behind = match options.from {
        Some(_) => Vec::new(),
        None => unfollowed_in_head(repo),
    };
    for one in &behind {
        let from = one.revision.as_deref().unwrap_or("HEAD");
        let update = Advice::makeinfra("update").with(format_args!("--from {from}"));
        let update = update.typed(Some(&managed.workspace.repo.root()));
        ui.warn(format!("the files do not match `answers.{}`: {update}", one.answer));
    }
    if options.check {
        return Ok(check(&managed, &update, !behind.is_empty()));
    }
    let typed = typed(options);
    let run = &options.plan.run;
    let is_asked =
        options.conflicts || run.dry_run || !(options.plan.yes || run.no_input) && ui.can_ask();
    if !update.conflicts.is_empty() && !is_asked {
        return Err(conflicts::refused(&update, typed).into());
    }
    in_the_way(&managed, &update, options)?;
    if !update.hazards.is_empty() && run.no_input && !options.plan.yes && !run.dry_run {
        return Err(Failure::failed(
            "the update needs attention in the cluster; nothing was written",
        )
        .because(update.hazards.join("; "))
        .hint(typed.with("--yes"))
        .into());
    }
    if writes && stage != Stage::Preflight {
        transaction::forget_pick(&managed.workspace.repo)?;
    }
    if !update.conflicts.is_empty() {
        return conflicts::run(options, &managed, &route, &update, ui);
    }
    let noted = route.noted(update, &managed.workspace.files)?;
    // The plan only changes with the files, so it is cached.
    let plan = |files: &Files| -> Result<Plan> {
        if *files == managed.workspace.files {
            Ok(noted.clone())
        } else {
            route.noted(route.update(files)?, files)
        }
    };
    let answers = &route.wanted.answers;
    let environment = answers.choice(&answers.environments.first);
    let proposal = Proposal {
        title: route.title(),
        command: typed,
        message: route.title(),
        checked: None,
        edited: &[Record::FILE],
        new_key: None,
        next: vec![
            Advice::make("diff")
                .for_env(environment)
                .with("CHANGES=ok")
                .why("show what changes in the cluster"),
            Advice::make("deploy").for_env(environment).why("deploy it"),
        ],
        plan: &plan,
    };
    let mut report = managed.workspace.propose(&proposal, &options.plan, ui)?;
    report.own["conflicts"] = json!([]);
    Ok(report)
}

/// The command as typed, without options that show or confirm a plan.
fn typed(options: &Options) -> Advice {
    let from = options.from.iter().map(|revision| ("--from", revision));
    let restored = options.restore.iter().map(|path| ("--restore", path));
    let all = from.chain(restored).chain(options.take.iter().map(|path| ("--take", path)));
    all.fold(Advice::makeinfra("update"), |typed, (option, value)| {
        typed.with(format_args!("{option} {}", shell_word(Path::new(value))))
    })
}

/// Reports whether an update would write anything but the version.
fn check(managed: &ManagedRepo, update: &Update, is_behind: bool) -> Report {
    let is_version = |step: &Step| step.path == Record::FILE && change::is_version_alone(step);
    let mut report = conflicts::facts(managed, update, |step| !is_version(step));
    let is_due = is_behind || !report.files.is_empty() || !update.conflicts.is_empty();
    let paths = report.files.iter().map(|file| format!("  {}\n", file.path));
    let open = update.conflicts.iter().map(|one| format!("  {} (conflict)\n", one.path));
    let list: String = paths.chain(open).collect();
    report.text = match list.is_empty() {
        true if is_behind => String::new(),
        true => "Up to date.\n".to_owned(),
        false => format!("An update would change:\n\n{list}"),
    };
    report.brief = match (list.is_empty(), is_behind) {
        (true, false) => "up to date".to_owned(),
        (true, true) => "the files do not match the answers".to_owned(),
        (false, _) => format!("an update would change {}", count(list.lines().count(), "file")),
    };
    if is_due {
        report.more = Advice::makeinfra("update").with("--dry-run");
    }
    report.own["due"] = is_due.into();
    report.outcome = if is_due { Outcome::Problems } else { Outcome::Done };
    report
}

/// Fails if the update would overwrite something that git could not restore.
fn in_the_way(managed: &ManagedRepo, update: &Update, options: &Options) -> Result<()> {
    if options.plan.run.dry_run {
        return Ok(());
    }
    let has_conflicts = !update.conflicts.is_empty();
    let mut found = Vec::new();
    for step in &update.plan.steps {
        let is_answers = step.path == Record::FILE && !has_conflicts;
        match &step.before {
            // With conflicts, git writes all files.
            Some(before) if !is_answers && (has_conflicts || !step.is_done()) => {
                found.extend(
                    managed
                        .workspace
                        .repo
                        .loss(&step.path, before)?
                        .map(|why| (step.path.as_str(), why)),
                );
            }
            None if managed.workspace.repo.is_ignored(&step.path) => {
                found.push((step.path.as_str(), "git ignores it"));
            }
            _ => {}
        }
    }
    for conflict in &update.conflicts {
        if let Some(bytes) = managed.workspace.files.bytes(&conflict.path)? {
            found.extend(
                managed
                    .workspace
                    .repo
                    .loss(&conflict.path, bytes)?
                    .map(|why| (conflict.path.as_str(), why)),
            );
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    let paths: Vec<_> = found.iter().map(|(path, _)| shell_word(Path::new(path))).collect();
    let paths = paths.join(" ");
    // The record was edited by hand, so the update starts from the commit before that.
    let hint = if found.iter().any(|(path, _)| *path == Record::FILE) {
        Advice::git(format!("commit -m 'Change answers' -- {paths}"))
            .and(Advice::makeinfra("update").with("--from HEAD^"))
    } else {
        let paths_of: Vec<_> = found.iter().map(|(path, _)| path).collect();
        managed
            .workspace
            .repo
            .add(&paths_of)
            .and(Advice::git(format!("commit -m 'Edit' -- {paths}")))
    };
    let causes: Vec<_> = found.iter().map(|(path, why)| format!("`{path}`: {why}")).collect();
    Err(Failure::failed("these files would be overwritten; nothing was written")
        .because(causes.join("; "))
        .hint(hint)
        .into())
}
