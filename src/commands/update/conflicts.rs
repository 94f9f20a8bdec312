//! An update with conflicts: on request, left as a cherry-pick for the user to resolve.

use super::{Options, UpdateRoute, typed};
use crate::advice::{Advice, shell_word};
use crate::change::{Conflict, GeneratedFile, Step, Update};
use crate::commands::agree;
use crate::commands::encrypted;
use crate::commands::managed::ManagedRepo;
use crate::commands::transaction::{self, Side};
use crate::commands::workspace::Stage;
use crate::error::{Failure, Kind, Outcome, Result, explain};
use crate::report::{FileChange, Report};
use crate::ui::Ui;
use serde_json::json;
use std::path::Path;

/// The failure of an update with conflicts that were not requested.
pub(super) fn refused(update: &Update, typed: Advice) -> Failure {
    let causes: Vec<_> =
        update.conflicts.iter().map(|one| format!("`{}`: {}", one.path, one.why)).collect();
    Failure::failed(format!("conflicts in {}; nothing was written", files(update)))
        .kind(Kind::Conflict)
        .because(causes.join("; "))
        .hint(typed.with("--conflicts"))
}

/// Shows the conflicts and, after confirmation, leaves them in the work tree.
pub(super) fn run(
    options: &Options,
    managed: &ManagedRepo,
    route: &UpdateRoute,
    update: &Update,
    ui: &mut Ui,
) -> Result<Report> {
    let title = format!("{}: conflicts in {}", route.title(), files(update));
    let mut shown: String =
        update.conflicts.iter().map(|one| format!("  {}: {}\n", one.path, one.why)).collect();
    let merged = update.plan.steps.iter().filter(|step| !step.is_done());
    shown.extend(merged.map(|step| format!("  {}: merged\n", step.path)));
    shown.extend(update.hazards.iter().map(|hazard| format!("- {hazard}\n")));
    let mut report = facts(managed, update, |_| true);
    report.own["dry_run"] = options.plan.run.dry_run.into();
    report.own["notes"] = json!(update.hazards);
    report.brief.clone_from(&title);
    report.is_pending = options.plan.run.dry_run;
    if options.plan.run.dry_run {
        report.text = format!("{title}\n\n{shown}\nNothing was written: this is a dry run.\n");
        report.more = typed(options).with("--conflicts");
        // The same outcome as the update itself.
        report.outcome = Outcome::Conflicts;
        return Ok(report);
    }
    if !options.conflicts {
        let plan = format!("{shown}\ngit will leave them open, as in a cherry-pick.");
        agree(
            &typed(options).typed(Some(&managed.workspace.repo.root())),
            &title,
            &plan,
            None,
            ui,
        )?;
    }
    if managed.workspace.reread()? != managed.workspace.files
        || managed.workspace.repo.head_id()? != managed.workspace.head
    {
        return Err(encrypted::changed_meanwhile("files were").into());
    }
    let staged = managed.workspace.repo.staged()?;
    if !staged.is_empty() {
        return Err(Failure::failed(
            "there are staged changes, which `git cherry-pick --abort` would discard",
        )
        .because(staged.join(", "))
        .hint(Advice::git("commit -m 'Edit'"))
        .into());
    }
    managed.workspace.repo.check_can_commit()?;
    if managed.workspace.stage == Stage::Preflight {
        report.is_pending = true;
        return Ok(report);
    }
    transaction::pick(&managed.workspace.repo, sides(update), &route.title())?;
    report.text = format!("{title}\n\n{shown}");
    report.changed = true;
    report.next = next(update);
    let open =
        Failure::failed(format!("unresolved conflicts in {}", files(update))).kind(Kind::Conflict);
    report.error = Some(explain(&open.hint(Advice::git("status")).into()));
    Ok(report)
}

/// The JSON facts: the files that change as `wanted` says, and the conflicts.
pub(super) fn facts(
    managed: &ManagedRepo,
    update: &Update,
    wanted: impl Fn(&Step) -> bool,
) -> Report {
    let pending = update.plan.steps.iter().filter(|step| !step.is_done() && wanted(step));
    let conflict = |one: &Conflict| json!({"path": one.path, "why": one.why});
    Report {
        repo: Some(managed.workspace.repo.root()),
        files: pending.map(|step| FileChange::new(&step.path, step.change())).collect(),
        own: json!({"conflicts": update.conflicts.iter().map(conflict).collect::<Vec<_>>()}),
        ..Report::default()
    }
}

fn files(update: &Update) -> String {
    match update.conflicts.len() {
        1 => "1 file".to_owned(),
        count => format!("{count} files"),
    }
}

/// The next commands: edit files with markers; decide about files that one side lacks.
fn next(update: &Update) -> Vec<Advice> {
    let words = |all: &[&Conflict]| {
        all.iter().map(|one| shell_word(Path::new(&one.path))).collect::<Vec<_>>().join(" ")
    };
    let (gone, marked): (Vec<_>, Vec<_>) =
        update.conflicts.iter().partition(|one| one.wish.is_none());
    let mut next = Vec::new();
    if !marked.is_empty() {
        let paths = words(&marked);
        next.push(
            Advice::edit_all(marked.iter().map(|one| &one.path))
                .why("resolve the conflicts between <<<<<<< and >>>>>>>"),
        );
        next.push(Advice::git(format!("add -- {paths}")));
    }
    if !gone.is_empty() {
        let remove = Advice::git(format!("rm -- {}", words(&gone)));
        next.push(remove.why("no longer generated; `git add` keeps a file"));
    }
    next.push(Advice::git("cherry-pick --continue"));
    next.push(Advice::git("cherry-pick --abort").why("or undo the update"));
    next
}

/// Both sides of the cherry-pick: what merged cleanly is a change of ours alone, everything else is
/// as generated.
fn sides(update: &Update) -> [Side<'_>; 2] {
    fn of<'s>(
        path: &'s str,
        entry: Option<&'s GeneratedFile>,
    ) -> (&'s str, Option<(&'s [u8], bool)>) {
        (path, entry.map(|entry| (&entry.bytes[..], entry.executable)))
    }
    let base = update.conflicts.iter().map(|one| of(&one.path, one.base.as_ref()));
    let wish = update.conflicts.iter().map(|one| of(&one.path, one.wish.as_ref()));
    let merged = update.plan.steps.iter().map(|step| {
        let after = step.after.as_ref().map(|after| (&after[..], step.executable));
        (step.path.as_str(), after)
    });
    [base.collect(), merged.chain(wish).collect()]
}
