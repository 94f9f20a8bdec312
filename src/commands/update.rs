//! `makeinfra update`: the files of a repository as this version generates them, with all that people have changed.

use super::evolve::{Evolution, Proposal, Scope, Typed};
use super::{agree, next_steps, print_json, templates_of};
use crate::answers::Record;
use crate::change::{self, Current, Difference, Files, Plan, Tree, Update};
use crate::cli::Update as Options;
use crate::error::{Failure, Outcome, Result};
use crate::files::shell_word;
use crate::interrupt::Interrupts;
use crate::repo::{Blob, Repo, SECRETS};
use crate::templates::TemplateSet;
use crate::ui::Ui;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;

/// What leads from the recorded version to this one.
struct Way<'w> {
    /// The answers from which the files were rendered.
    recorded: Record,
    /// The answers that are wanted.
    wanted: &'w Record,
    old: TemplateSet,
    new: TemplateSet,
    /// Deleted files that are to come back.
    restored: BTreeSet<String>,
    /// Files that are no longer people's own.
    taken: BTreeSet<String>,
}

/// Runs the command.
pub fn run(options: &Options, ui: &mut Ui) -> Result<Outcome> {
    let writes = !options.plan.run.dry_run && !options.check;
    let scope = Scope { is_tracked: true, paths: Vec::new() };
    let mut evolution = Evolution::open_with(&options.repo, "update", scope, writes)?;
    let paths = Way::find(options, &evolution)?.paths()?;
    evolution.include(paths)?;
    let way = Way::find(options, &evolution)?;
    if writes {
        evolution.repo.forget_pick()?;
    }
    let update = way.update(&evolution.files)?;
    if let Some(path) =
        way.restored.iter().find(|path| !update.plan.steps.iter().any(|step| step.path == **path))
    {
        return Err(Failure::usage(format!("`--restore {path}` is not a generated file that was deleted"))
            .hint("makeinfra update --dry-run")
            .into());
    }
    let not_own = |path: &&String| !evolution.record.own.contains(*path);
    if let Some(path) = way.taken.iter().find(not_own) {
        return Err(Failure::usage(format!("`--take {path}` is not in the list `{}`", Record::OWN))
            .hint(format!("cat {}", Record::FILE))
            .into());
    }
    if options.check {
        return check(options, &update, ui);
    }
    in_the_way(&evolution, &update, options)?;
    if !update.conflicts.is_empty() {
        return conflicts(options, &evolution, &way, &update, ui);
    }
    let run = &options.plan.run;
    if !update.hazards.is_empty() && run.no_input && !options.plan.yes && !run.dry_run {
        return Err(Failure::failed("the update needs attention in the cluster; nothing was written")
            .because(update.hazards.join("; "))
            .hint("makeinfra update --yes")
            .into());
    }
    let plan = |files: &Files| -> Result<Plan> { Ok(way.noted(way.update(files)?, files)) };
    let Typed { make, repo, .. } = evolution.typed();
    let answers = &way.wanted.answers;
    let environment = answers.make_argument(&answers.environments.first);
    let version = way.new.version();
    let proposal = Proposal {
        title: format!("Update to makeinfra {version}"),
        command: format!("makeinfra update{repo}"),
        message: format!("Update to makeinfra {version}"),
        checked: None,
        edited: &[Record::FILE],
        next: vec![
            (format!("{make} diff{environment} CHANGES=ok"), "what it changes in the cluster"),
            (format!("{make} deploy{environment}"), "deploy it"),
        ],
        plan: &plan,
    };
    evolution.propose(&proposal, &options.plan, ui)?;
    Ok(Outcome::Done)
}

impl<'w> Way<'w> {
    fn find(options: &Options, evolution: &'w Evolution) -> Result<Self> {
        let recorded = match &options.from {
            Some(revision) => evolution.repo.text_at(revision, Record::FILE)?.ok_or_else(|| {
                Failure::failed(format!("the commit of `--from` has no `{}`", Record::FILE))
                    .hint(format!("git log -- {}", Record::FILE))
            })?,
            None => evolution.committed.as_ref().unwrap_or(&evolution.record).text.clone(),
        };
        let recorded = Record::parse(recorded)?;
        Ok(Self {
            old: templates_of(&recorded)?,
            recorded,
            wanted: &evolution.record,
            new: TemplateSet::embedded(),
            restored: options.restore.iter().cloned().collect(),
            taken: options.take.iter().cloned().collect(),
        })
    }

    /// The paths of what is generated now.
    fn paths(&self) -> Result<Vec<String>> {
        let files = self.new.render(&self.wanted.answers, &[])?;
        Ok(files.into_iter().map(|file| file.path).filter(|path| !path.starts_with(SECRETS)).collect())
    }

    /// What it makes of `files`. Answers come first: those that nobody asked to change are as the files have them on both
    /// sides, so that they are no change.
    fn update(&self, files: &Files) -> Result<Update> {
        let found = self.found(files).answers;
        let (wish, disputed) = self.wanted.answers.following(&self.recorded.answers, &found);
        if let Some(answer) = disputed.first() {
            return Err(Failure::failed(format!("`answers.{answer}` is not what the files say"))
                .because("it was changed in the record, and differently in the files")
                .hint(format!("$EDITOR {}", Record::FILE))
                .into());
        }
        let own: BTreeSet<_> = self.wanted.own.difference(&self.taken).cloned().collect();
        let base = Tree::from(self.old.render(&found, &[])?).without(&self.wanted.own);
        let wish = Tree::from(self.new.render(&wish, &[])?).without(&own);
        let base = base.with_ours(files, &self.taken, &wish);
        let mut update = change::update(&base, &wish, files, &self.restored)?;
        if !self.taken.is_empty() {
            update.take(files, &self.taken)?;
        }
        Ok(update)
    }

    fn found(&self, files: &Files) -> Current {
        change::answers_in(files, &self.recorded)
    }

    /// The plan of `update`, which was made from `files`, with what there is to know.
    fn noted(&self, update: Update, files: &Files) -> Plan {
        let Update { mut plan, deleted, moved, hazards, .. } = update;
        let (old, new) = (self.old.version(), self.new.version());
        plan.facts.push(("templates", if old == new { new.to_owned() } else { format!("{old} -> {new}") }));
        let differences = change::differences(&self.recorded.answers, &self.wanted.answers);
        plan.facts.extend(differences.iter().map(|one| ("answer", told(one, "->"))));
        plan.notes.extend(hazards);
        let kept = self.found(files).differences;
        plan.notes.extend(
            kept.iter().map(|one| format!("kept as the files have it: {}", told(one, "recorded, now"))),
        );
        plan.notes
            .extend(moved.iter().map(|(from, to)| format!("`{from}` is updated where it is now: `{to}`")));
        let own = &self.wanted.own;
        if !own.is_empty() && old != new {
            let paths = own.iter().map(|path| format!("`{path}`")).collect::<Vec<_>>().join(", ");
            plan.notes.push(format!("`own` lists these, and they are not updated: {paths}"));
        }
        if !deleted.is_empty() {
            let paths = deleted.iter().map(|path| format!("`{path}`")).collect::<Vec<_>>().join(", ");
            plan.notes
                .push(format!("deleted here, and stays so (`--restore PATH` brings a file back): {paths}"));
        }
        plan
    }
}

/// An answer that differs, with both values.
fn told(one: &Difference, between: &str) -> String {
    let place = match (&one.environment, &one.component) {
        (Some(environment), Some(component)) => format!(" of {component} in {environment}"),
        (Some(name), None) => format!(" of {name}"),
        (None, Some(name)) => format!(" of {name}"),
        (None, None) => String::new(),
    };
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
    format!("{}{place}: {} {between} {}", one.name.as_str(), value(&one.recorded), value(&one.found))
}

/// Says whether an update would write anything but the version.
fn check(options: &Options, update: &Update, ui: &Ui) -> Result<Outcome> {
    let pending: Vec<_> = update.plan.steps.iter().filter(|step| !step.is_done()).collect();
    let is_version = |step: &change::Step| step.path == Record::FILE && change::is_version_alone(step);
    let paths: Vec<_> =
        pending.iter().filter(|step| !is_version(step)).map(|step| step.path.as_str()).collect();
    let conflicts: Vec<_> = update.conflicts.iter().map(|one| one.path.as_str()).collect();
    let is_due = !paths.is_empty() || !conflicts.is_empty();
    if options.plan.run.json {
        print_json(json!({"due": is_due, "files": paths, "conflicts": conflicts}), ui)?;
    } else if is_due {
        let list: String = paths.iter().map(|path| format!("  {path}\n")).collect();
        let open: String = conflicts.iter().map(|path| format!("  {path} (conflict)\n")).collect();
        ui.print(&format!("An update would change:\n\n{list}{open}"))?;
    } else {
        ui.print("Up to date.\n")?;
    }
    Ok(if is_due { Outcome::Problems } else { Outcome::Done })
}

/// Fails if the update would write over what git could not bring back.
fn in_the_way(evolution: &Evolution, update: &Update, options: &Options) -> Result<()> {
    if options.plan.run.dry_run {
        return Ok(());
    }
    let has_conflicts = !update.conflicts.is_empty();
    let mut found = Vec::new();
    for step in &update.plan.steps {
        let is_answers = step.path == Record::FILE && !has_conflicts;
        match &step.before {
            // With conflicts, git writes all of them.
            Some(before) if !is_answers && (has_conflicts || !step.is_done()) => {
                found.extend(evolution.repo.loss(&step.path, before)?.map(|why| (step.path.as_str(), why)));
            }
            None if evolution.repo.is_ignored(&step.path) => {
                found.push((step.path.as_str(), "git ignores it"));
            }
            _ => {}
        }
    }
    for conflict in &update.conflicts {
        if let Some(bytes) = evolution.files.bytes(&conflict.path)? {
            found
                .extend(evolution.repo.loss(&conflict.path, bytes)?.map(|why| (conflict.path.as_str(), why)));
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    let Typed { git, repo, .. } = evolution.typed();
    let paths: Vec<_> = found.iter().map(|(path, _)| shell_word(Path::new(path))).collect();
    let paths = paths.join(" ");
    // What was decided by hand is the way from the commit before it.
    let hint = match found.iter().any(|(path, _)| *path == Record::FILE) {
        true => format!("{git} commit -m 'Change answers' -- {paths} && makeinfra update{repo} --from HEAD^"),
        false => format!("{git} add -- {paths} && {git} commit -m 'Edit' -- {paths}"),
    };
    let causes: Vec<_> = found.iter().map(|(path, why)| format!("`{path}`: {why}")).collect();
    Err(Failure::failed("these files would be written over; nothing was written")
        .because(causes.join("; "))
        .hint(hint)
        .into())
}

/// Leaves what cannot be merged to the user, if that is wanted.
fn conflicts(
    options: &Options,
    evolution: &Evolution,
    way: &Way,
    update: &Update,
    ui: &mut Ui,
) -> Result<Outcome> {
    let Typed { git, repo, .. } = evolution.typed();
    let shown: String = update.conflicts.iter().map(|one| format!("  {}: {}\n", one.path, one.why)).collect();
    let (run, count) = (&options.plan.run, update.conflicts.len());
    let files = if count == 1 { "1 file".to_owned() } else { format!("{count} files") };
    let title = format!("Update to makeinfra {}: conflicts in {files}", way.new.version());
    if run.dry_run {
        return report(
            options,
            update,
            &format!("{title}\n\n{shown}\nNothing was written: this is a dry run.\n"),
            &[],
            ui,
        )
        .map(|()| Outcome::Done);
    }
    if !options.conflicts {
        if options.plan.yes || run.no_input || !ui.can_ask() {
            let causes: Vec<_> =
                update.conflicts.iter().map(|one| format!("`{}`: {}", one.path, one.why)).collect();
            return Err(Failure::failed(format!("conflicts in {files}; nothing was written"))
                .because(causes.join("; "))
                .hint(format!("makeinfra update{repo} --conflicts"))
                .into());
        }
        agree(
            &format!("makeinfra update{repo}"),
            &title,
            &format!("{shown}\ngit will hold them open, as in a cherry-pick."),
            ui,
        )?;
    }
    let staged = evolution.repo.staged()?;
    if !staged.is_empty() {
        return Err(Failure::failed("changes are staged, which `git cherry-pick --abort` would drop")
            .because(staged.join(", "))
            .hint(format!("{git} commit -m 'Edit'"))
            .into());
    }
    evolution.repo.check_can_commit()?;
    let interrupts = Interrupts::hold()?;
    let [base, wish] = sides(evolution, update)?;
    interrupts.check()?;
    evolution.repo.pick(&base, &wish, &format!("Update to makeinfra {}", way.new.version()))?;
    let paths: Vec<_> = update.conflicts.iter().map(|one| shell_word(Path::new(&one.path))).collect();
    let next = [
        (format!("$EDITOR {}", paths.join(" ")), "between <<<<<<< and >>>>>>>"),
        (format!("{git} add -- {} && {git} cherry-pick --continue", paths.join(" ")), ""),
        (format!("{git} cherry-pick --abort"), "or take the update back"),
    ];
    report(options, update, &format!("{title}\n\n{shown}\nNext:\n\n{}", next_steps(&next)), &next, ui)?;
    Err(Failure::failed(format!("the update waits for you: conflicts in {files}"))
        .hint(format!("{git} status"))
        .into())
}

/// What enters the cherry-pick: what is merged here is a change of ours alone, and the rest is as it was generated.
fn sides(evolution: &Evolution, update: &Update) -> Result<[Vec<Blob>; 2]> {
    let repo = &evolution.repo;
    let (mut base, mut wish) = (Vec::new(), Vec::new());
    for step in &update.plan.steps {
        match &step.after {
            Some(after) => wish.push(repo.store_text(&step.path, after, step.executable)?),
            None if repo.has_in_head(&step.path) => wish.push(Repo::removal(&step.path)),
            None => {}
        }
    }
    for conflict in &update.conflicts {
        for (side, entry) in [(&mut base, &conflict.base), (&mut wish, &conflict.wish)] {
            match entry {
                Some(entry) => side.push(repo.store_text(&conflict.path, &entry.bytes, entry.executable)?),
                None if repo.has_in_head(&conflict.path) => side.push(Repo::removal(&conflict.path)),
                None => {}
            }
        }
    }
    Ok([base, wish])
}

fn report(options: &Options, update: &Update, text: &str, next: &[(String, &str)], ui: &Ui) -> Result<()> {
    if !options.plan.run.json {
        return ui.print(text);
    }
    let conflict = |one: &change::Conflict| json!({"path": one.path, "why": one.why});
    let object = json!({
        "dry_run": options.plan.run.dry_run,
        "files": update.plan.steps.iter().filter(|step| !step.is_done()).map(|step| &step.path).collect::<Vec<_>>(),
        "conflicts": update.conflicts.iter().map(conflict).collect::<Vec<_>>(),
        "next": next.iter().map(|(command, _)| command).collect::<Vec<_>>(),
    });
    print_json(object, ui)
}
