//! The repository that a command changes: its files, the plan that is shown first, and the one
//! place that carries it out.

mod read;
mod write;

pub(super) use read::Scope;
use read::{read, tracked};

use super::encrypted::commit_added;
use super::sign_in::SignInCheck;
use super::transaction::{ONLY_THE_COMMIT, repair_index};
use super::{agree, sweep_repository, take_away};
use crate::advice::{Advice, shell_word};
use crate::change::{Files, Plan, Step};
use crate::checks::count;
use crate::cli::PlanOptions;
use crate::error::{Failure, Result};
use crate::files;
use crate::git_crypt::{self, Key};
use crate::repo::{Repo, SECRETS};
use crate::report::{FileChange, Report};
use crate::ui::{self, Ui};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The message for a plan whose steps are all done.
const DONE: &str = "Nothing to do: already done";

/// A repository that is about to change.
pub(super) struct Workspace {
    pub(super) repo: Repo,
    pub(super) files: Files,
    scope: Scope,
    /// HEAD when the files were read.
    pub(super) head: Option<String>,
    /// How far the command goes.
    pub(super) stage: Stage,
    /// Held while anything may be written.
    _lock: Option<fs::File>,
}

/// How far a command that writes goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// As far as its options say.
    #[default]
    Whole,
    /// Up to the first write: it is one of several repositories, all of which are checked first.
    Preflight,
    /// Writes without asking: the user has confirmed all repositories together.
    Agreed,
}

/// A plan and its presentation.
pub(super) struct Proposal<'p> {
    /// The title.
    pub(super) title: String,
    /// The command, as shown in the prompt.
    pub(super) command: Advice,
    /// The subject of the commit, which also summarises what was done.
    pub(super) message: String,
    /// The registry's answer about the new deploy token; `None` if it was not asked.
    pub(super) checked: Option<SignInCheck>,
    /// Files whose uncommitted edits are part of the change.
    pub(super) edited: &'static [&'static str],
    /// The key with which to set up git-crypt; `None` if that is set up.
    pub(super) new_key: Option<&'p Key>,
    /// The next commands, after the commit.
    pub(super) next: Vec<Advice>,
    /// Makes the plan.
    pub(super) plan: &'p dyn Fn(&Files) -> Result<Plan>,
}

impl Proposal<'_> {
    /// Whether the plan sets up git's encryption of `secrets/`.
    fn covers(&self, plan: &Plan) -> bool {
        self.new_key.is_some()
            || plan.steps.iter().any(|step| step.path == ".gitattributes" && !step.is_done())
    }
}

impl Workspace {
    /// Reads `scope` of `repo`; `locks` if the command may write.
    pub(super) fn open(repo: Repo, scope: Scope, locks: bool) -> Result<Self> {
        let lock = if locks { repo.lock()? } else { None };
        let root = repo.root();
        if let Some(what) = repo.in_progress() {
            return Err(Failure::failed(format!("cannot change `{}`", root.display()))
                .because(what)
                .hint(Advice::git("status"))
                .into());
        }
        repo.check_key(git_crypt::FILTER)?;
        let (head, files) = (repo.head_id()?, read(&repo, &root, &scope)?);
        Ok(Self { repo, files, scope, head, stage: Stage::default(), _lock: lock })
    }

    /// Also reads `paths`.
    pub(super) fn include(&mut self, paths: Vec<String>) -> Result<()> {
        self.scope.paths.extend(paths);
        self.files = read(&self.repo, &self.repo.root(), &self.scope)?;
        Ok(())
    }

    /// The current files.
    pub(super) fn reread(&self) -> Result<Files> {
        read(&self.repo, &self.repo.root(), &self.scope)
    }

    /// Shows the plan and, after confirmation, carries it out.
    pub(super) fn propose(
        &self,
        proposal: &Proposal,
        options: &PlanOptions,
        ui: &mut Ui,
    ) -> Result<Report> {
        let is_preflight = self.stage == Stage::Preflight;
        self.sweep(options.run.dry_run || is_preflight, ui)?;
        let plan = (proposal.plan)(&self.files)?;
        self.check(proposal, &plan, options, ui)?;
        let shown = self.shown(&plan, options.diff)?;
        let titled = format!("{}\n\n{shown}\n", proposal.title);
        let checked = SignInCheck::line(proposal.checked.as_ref());
        let uncommitted =
            if options.commit { self.uncommitted(proposal, &plan)? } else { Vec::new() };
        let is_pending = !plan.is_done() || !uncommitted.is_empty();
        let mut report = self.report(proposal, &plan, &uncommitted, options)?;
        if options.run.dry_run {
            let done = match (plan.is_done(), uncommitted.is_empty()) {
                (true, true) => format!("{DONE}.\n"),
                (true, false) => ONLY_THE_COMMIT.to_owned(),
                (false, _) => String::new(),
            };
            report.text =
                format!("{titled}{checked}{done}Nothing was written: this is a dry run.\n");
            report.is_pending = is_pending;
            return Ok(report);
        }
        if is_preflight {
            report.is_pending = is_pending;
            return Ok(report);
        }
        let agreed =
            options.yes || options.run.no_input || plan.is_done() || self.stage == Stage::Agreed;
        if !agreed {
            let command = proposal.command.typed(report.repo.as_deref());
            let diff = || self.diffs(&plan);
            let diff: Option<&dyn Fn() -> Result<String>> =
                if options.diff { None } else { Some(&diff) };
            agree(&command, &proposal.title, &shown, diff, ui)?;
        }
        let is_mended = options.commit && repair_index(&self.repo, ui)?;
        self.check_unchanged(proposal, &plan)?;
        let commit = self.write(proposal, &plan, &uncommitted, options)?;
        report.brief = match (&commit, plan.is_done()) {
            (Some(commit), _) => {
                format!("{}, committed as {}", proposal.message, super::short(commit))
            }
            (None, true) => DONE.to_owned(),
            (None, false) => format!("{}: done", proposal.message),
        };
        let notes: String = if commit.is_none() && plan.is_done() {
            plan.notes.iter().map(|note| format!("- {note}\n")).collect()
        } else {
            String::new()
        };
        let done = format!("{}.\n{notes}", report.brief);
        let titled = if agreed && !plan.is_done() { titled } else { String::new() };
        report.text = format!("{titled}{done}{checked}");
        report.next = self.next(proposal, &plan, commit.is_some());
        report.changed = commit.is_some() || !plan.is_done() || is_mended;
        report.own["commit"] = json!(commit);
        Ok(report)
    }

    /// Deletes leftovers of killed runs beside all files that this command may write; in a dry run,
    /// only reports them.
    fn sweep(&self, dry_run: bool, ui: &mut Ui) -> Result<()> {
        let root = self.repo.root();
        sweep_repository(&root, dry_run, ui);
        let tracked = if self.scope.is_tracked { tracked(&self.repo)? } else { Vec::new() };
        let files = tracked.iter().chain(&self.scope.paths).map(|path| root.join(path));
        let dirs: BTreeSet<_> =
            files.filter_map(|file| file.parent().map(Path::to_owned)).collect();
        for dir in dirs {
            take_away(files::leftovers_in(&dir), dry_run, ui);
            // Only removes empty directories, from which the file itself may have disappeared.
            if !dry_run {
                files::remove_empty(&dir);
            }
        }
        Ok(())
    }

    /// Fails if the plan would lose content or expose a secret.
    fn check(
        &self,
        proposal: &Proposal,
        plan: &Plan,
        options: &PlanOptions,
        ui: &mut Ui,
    ) -> Result<()> {
        // Checked first: if git cannot commit at all, asking to commit edits would not help.
        if options.commit && !options.run.dry_run {
            self.repo.check_can_commit()?;
        }
        let mut losses = Vec::new();
        for step in plan.steps.iter().filter(|step| !step.is_done()) {
            if step.is_secret() && step.after.is_some() && !proposal.covers(plan) {
                self.repo.check_protected(&step.path)?;
            }
            let Some(before) = &step.before else { continue };
            // The content is preserved at another path.
            let target = plan.moves.get(&step.path);
            let is_moved = target.is_some();
            // Users must not be told to commit a plaintext secret first.
            let becomes_secret = target.is_some_and(|target| target.starts_with(SECRETS));
            // A file that git does not have yet is committed as part of the change.
            let is_not_gits = is_moved && !self.repo.has_in_head(&step.path)?;
            let loss = self.repo.loss(&step.path, before)?;
            let (is_deleted, committed) =
                (step.after.is_none(), options.commit && !options.run.dry_run);
            match loss {
                Some(why) if is_deleted && !is_moved => losses.push((step.path.as_str(), why)),
                Some(_)
                    if committed
                        && !becomes_secret
                        && !is_not_gits
                        && !proposal.edited.contains(&step.path.as_str()) =>
                {
                    let path = shell_word(Path::new(&step.path));
                    return Err(Failure::failed(format!("cannot commit `{}`", step.path))
                        .because(
                            "it has uncommitted edits, which the commit would include; commit \
                             them, then repeat the command",
                        )
                        .hint(Advice::git(format!("commit -- {path}")))
                        .into());
                }
                _ => {}
            }
        }
        if !losses.is_empty() {
            let causes: Vec<_> =
                losses.iter().map(|(path, why)| format!("`{path}`: {why}")).collect();
            let paths: Vec<_> =
                losses.iter().map(|(path, _)| shell_word(Path::new(path))).collect();
            return Err(Failure::failed(
                "cannot delete files that git cannot restore; nothing was written",
            )
            .because(causes.join("; "))
            .hint(
                Advice::git(format!("status --ignored -- {}", paths.join(" ")))
                    .why("commit or move them first"),
            )
            .into());
        }
        if options.commit && !options.run.dry_run && self.repo.wants_signed_commits() {
            ui.warn("git is configured to sign commits, but this commit will not be signed");
        }
        Ok(())
    }

    /// The decisions, the files that change, and the notes.
    fn shown(&self, plan: &Plan, diff: bool) -> Result<String> {
        let facts: String =
            plan.facts.iter().map(|(name, value)| format!("{name:12} {value}\n")).collect();
        let pending: Vec<_> = plan.steps.iter().filter(|step| !step.is_done()).collect();
        let sources = plan.sources();
        let moved = |step: &Step| sources.get(step.path.as_str()).copied();
        let is_gone = |step: &Step| step.after.is_none() && plan.moves.contains_key(&step.path);
        let shown = pending.iter().filter(|step| !is_gone(step));
        let mut files: Vec<_> =
            shown.map(|step| (step.path.as_str(), note(step, moved(step)))).collect();
        files.sort();
        let root = self.repo.root();
        let tree = if files.is_empty() {
            String::new()
        } else {
            ui::tree(&root.to_string_lossy(), &files)
        };
        let notes: String = plan.notes.iter().map(|note| format!("- {note}\n")).collect();
        let mut parts = vec![tree, notes];
        if diff {
            parts.push(self.diffs(plan)?);
        }
        // At the end, so that the decisions stay visible.
        parts.push(facts);
        parts.retain(|part| !part.is_empty());
        Ok(parts.join("\n"))
    }

    /// The diffs of all files that change.
    fn diffs(&self, plan: &Plan) -> Result<String> {
        let mut parts = Vec::new();
        for step in plan.visible(&self.files) {
            parts.push(plan.diff(step)?);
        }
        for step in &plan.offers {
            parts.push(format!("Not done (--take {}):\n{}", step.path, plan.diff(step)?));
        }
        parts.retain(|part| !part.is_empty());
        Ok(parts.join("\n"))
    }

    /// The next commands, including the commit if it was not made.
    fn next(&self, proposal: &Proposal, plan: &Plan, is_committed: bool) -> Vec<Advice> {
        let mut next = proposal.next.clone();
        let pathspec = self.pathspec(plan);
        if !is_committed && !pathspec.is_empty() {
            let paths = pathspec.iter().map(|path| shell_word(path)).collect::<Vec<_>>().join(" ");
            let is_ignored = plan.steps.iter().any(|step| self.repo.is_ignored(&step.path));
            let force = if is_ignored { "-f " } else { "" };
            let add = Advice::git(format!("add -A {force}-- {paths}"));
            next.insert(0, commit_added(&self.repo, add, &proposal.message, &paths));
        }
        next
    }

    /// The shortest paths that cover exactly the files of `plan`: a directory stands for its files
    /// if it contains no others.
    fn pathspec(&self, plan: &Plan) -> BTreeSet<PathBuf> {
        // A file that HEAD has already needs no commit.
        let differs = |step: &&Step| {
            let committed = self.repo.committed(&step.path);
            committed.ok().is_none_or(|committed| committed != step.after) || step.mode.is_some()
        };
        let all: BTreeSet<_> =
            plan.steps.iter().filter(differs).map(|step| PathBuf::from(&step.path)).collect();
        let holds_nothing_else = |dir: &Path| match files::entries(&self.repo.root().join(dir)) {
            Ok(entries) => entries.iter().all(|entry| all.contains(&dir.join(&entry.name))),
            Err(error) => files::is_absent(&error),
        };
        let short = |path: &PathBuf| match path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() && holds_nothing_else(dir) => dir.to_owned(),
            _ => path.clone(),
        };
        all.iter().map(short).collect()
    }

    /// The report of the plan, and of files that only need to be committed, before it is carried
    /// out.
    fn report(
        &self,
        proposal: &Proposal,
        plan: &Plan,
        uncommitted: &[Step],
        options: &PlanOptions,
    ) -> Result<Report> {
        // In the order of writing.
        let mut pending: Vec<_> = plan.steps.iter().filter(|step| !step.is_done()).collect();
        let is_written =
            |step: &&Step| plan.steps.iter().any(|one| !one.is_done() && one.path == step.path);
        pending.extend(uncommitted.iter().filter(|step| !is_written(step)));
        let decision = |(name, value): &(_, _)| json!({"name": name, "value": value});
        let mut own = json!({
            "dry_run": options.run.dry_run,
            "decisions": plan.facts.iter().map(decision).collect::<Vec<_>>(),
            "notes": plan.notes,
            "commit": null,
        });
        if proposal.checked.is_some() {
            own["check"] = SignInCheck::json(proposal.checked.as_ref());
        }
        if !plan.moves.is_empty() {
            let moves = plan.moves.iter().map(|(from, to)| json!({"from": from, "to": to}));
            own["moves"] = moves.collect();
        }
        if options.diff {
            let diff: Result<Vec<_>> =
                plan.visible(&self.files).map(|step| plan.diff(step)).collect();
            own["diff"] = json!(diff?.join("\n"));
        }
        Ok(Report {
            repo: Some(self.repo.root()),
            files: pending.iter().map(|step| FileChange::new(&step.path, step.change())).collect(),
            brief: brief(proposal, plan, pending.len()),
            own,
            ..Report::default()
        })
    }
}

/// A one-line summary of the plan.
fn brief(proposal: &Proposal, plan: &Plan, pending: usize) -> String {
    if plan.is_done() {
        return "nothing to do".to_owned();
    }
    let files = format!("{}: {}", proposal.title, count(pending, "file"));
    std::iter::once(files).chain(plan.notes.iter().cloned()).collect::<Vec<_>>().join("; ")
}

/// The note on a file in the tree.
fn note(step: &Step, from: Option<&str>) -> String {
    match (&step.before, &step.after) {
        (None, _) if from.is_some() => format!("from {}", from.unwrap_or_default()),
        (None, _) if step.is_secret() => "new, encrypted in git".to_owned(),
        (None, _) => "new".to_owned(),
        (_, None) => "deleted".to_owned(),
        _ => "changed".to_owned(),
    }
}
