//! What the commands share that change the answers of a repository: its files follow, as a plan that is shown first.

use super::encrypted::{self, Errand};
use super::{next_steps, print_json, sweep};
use crate::answers::{Answers, Record};
use crate::change::{self, Adopted, Conflict, Policy, Renderings, Step, Taken};
use crate::cli::RunOptions;
use crate::context::{Context, Payload};
use crate::error::{Failure, Result};
use crate::files::{self, Batch, Leftover, shell_word};
use crate::interrupt::Interrupts;
use crate::repo::{Repo, SECRETS};
use crate::secret::Secret;
use crate::templates::{self, File, Kind};
use crate::ui::{self, Ui};
use serde_json::json;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

/// More files than kustomizations name.
const SOURCES: usize = 10_000;
/// More than any generated file has.
const LIMIT: usize = 2 << 20;

/// A repository whose answers are about to change.
pub(super) struct Evolution {
    pub(super) repo: Repo,
    pub(super) record: Record,
    /// The answers as the manifests have them by now.
    pub(super) adopted: Adopted,
    /// Held while anything may be written.
    _lock: Option<std::fs::File>,
}

/// How commands are typed for a repository.
pub(super) struct Typed {
    pub(super) make: String,
    pub(super) git: String,
    /// What names it to makeinfra: nothing, or a blank and its directory.
    pub(super) repo: String,
}

/// What is to be done, and how it is told.
pub(super) struct Proposal<'p> {
    /// The answers as they will be.
    pub(super) answers: &'p Answers,
    /// What to do about files that were edited.
    pub(super) policy: Policy<'p>,
    /// For each environment the content of the pull secret that is made for it; none where there is nothing to make.
    pub(super) payloads: &'p [Option<Payload<'p>>],
    /// What it is about, for the plan.
    pub(super) title: String,
    /// What was decided, a line each.
    pub(super) decisions: Vec<(&'static str, String)>,
    /// The command as it is typed, for hints.
    pub(super) command: String,
    /// What was done, for the report.
    pub(super) done: String,
    /// What to type next.
    pub(super) next: Vec<(String, &'static str)>,
}

impl Evolution {
    /// Opens the repository at `repo` for `command`.
    pub(super) fn open(repo: &Path, command: &str, run: &RunOptions) -> Result<Self> {
        let repo = Repo::find(repo, command)?;
        let lock = if run.dry_run { None } else { repo.lock()? };
        let root = repo.root();
        if repo.is_merging() {
            return Err(Failure::failed(format!("cannot change `{}`", root.display()))
                .because("a merge, rebase or the like is under way")
                .hint("git status")
                .into());
        }
        let record = text(&root, Record::FILE)?.ok_or_else(|| {
            Failure::failed(format!("`{}` is no repository of makeinfra's", root.display()))
                .because(format!("it has no `{}`", Record::FILE))
                .hint("makeinfra new PROJECT")
        })?;
        let record = Record::parse(record)?;
        let adopted = Adopted::read(&record, &|path| text(&root, path))?;
        Ok(Self { repo, record, adopted, _lock: lock })
    }

    /// How make, git and a command of makeinfra's are called for the repository from where the user is.
    pub(super) fn typed(&self) -> Typed {
        let (make, git) = encrypted::typed_at(&self.repo);
        let root = git.strip_prefix("git -C").map(str::to_owned).unwrap_or_default();
        Typed { make, git, repo: root }
    }

    /// What is deployed already, as far as kustomizations name it. What cannot be read has nothing in it.
    pub(super) fn taken(&self) -> Taken {
        let root = self.repo.root();
        let mut taken = Taken::default();
        let environments = self.record.answers.environments.iter();
        let mut open: Vec<PathBuf> = environments.map(|one| PathBuf::from(one.overlay())).collect();
        let mut seen = BTreeSet::new();
        while let Some(path) = open.pop() {
            // What is below secrets/ is for those alone who clear it from memory.
            if path.starts_with(SECRETS) || !seen.insert(path.clone()) || seen.len() > SOURCES {
                continue;
            }
            let is_directory = root.join(&path).is_dir();
            let file = if is_directory { path.join("kustomization.yaml") } else { path.clone() };
            let name = file.to_string_lossy().into_owned();
            let Some(content) = text(&root, &name).ok().flatten() else { continue };
            taken.read(&name, &content);
            if is_directory {
                open.extend(Taken::sources(&content).iter().filter_map(|source| below(&path, source)));
            }
        }
        taken
    }

    /// The plain text of a file with secrets; none where there is none. Fails if it is locked.
    pub(super) fn secret(&self, path: &str) -> Result<Option<Secret>> {
        let errand = Errand { verb: "read", command: "makeinfra" };
        encrypted::read(errand, path, &self.repo.root().join(path))
    }

    /// Shows the plan, and does it if that is wanted.
    pub(super) fn propose(&self, proposal: &Proposal, run: &RunOptions, ui: &mut Ui) -> Result<()> {
        let root = self.repo.root();
        let (plan, mut secrets) = self.plan(proposal)?;
        if let Some(path) = plan.unknown.first() {
            return Err(Failure::usage(format!(
                "`--keep` names `{path}`, which is no file that makeinfra made"
            ))
            .hint("--keep README.md")
            .into());
        }
        if proposal.policy.keep.iter().any(|path| path == Record::FILE) {
            return Err(Failure::usage(format!("`--keep` cannot be `{}`", Record::FILE))
                .because("it says what there is, and every command reads it")
                .hint("take out of it what somebody has written into it, then the same without that `--keep`")
                .into());
        }
        if !plan.conflicts.is_empty() {
            return Err(in_the_way(&plan.conflicts, run, ui)?);
        }
        for file in &secrets {
            self.repo.check_protected(&file.path)?;
        }
        // What a run that was killed has written already is done.
        let there = |file: &File| -> Result<bool> {
            match bytes(&root, &file.path)? {
                None => Ok(false),
                Some(bytes) if *bytes == *file.text.expose().as_bytes() => Ok(true),
                Some(_) => Err(Failure::failed(format!("`{}` exists already", file.path))
                    .hint(format!("ls -l {}", shell_word(Path::new(&file.path))))
                    .into()),
            }
        };
        let places = plan.steps.iter().map(|step| &step.path).chain(secrets.iter().map(|file| &file.path));
        for place in places {
            sweep(&root.join(place), Leftover::File, run.dry_run, ui);
        }
        let there = secrets.iter().map(there).collect::<Result<Vec<_>>>()?;
        let mut there = there.into_iter();
        secrets.retain(|_| !there.next().unwrap_or_default());
        let tree = tree(&root, &plan.steps, &secrets);
        if run.dry_run {
            return self.report(
                proposal,
                &plan,
                &secrets,
                run,
                &format!("{tree}\nNothing was written: this is a dry run.\n"),
                ui,
            );
        }
        if !run.no_input {
            if !ui.can_ask() {
                return Err(Failure::usage("a plan is to be agreed to, and there is nobody to ask")
                    .hint("the same with --dry-run, to see it, or with --no-input, to agree to it")
                    .into());
            }
            let decisions: String =
                proposal.decisions.iter().map(|(name, value)| format!("{name:12} {value}\n")).collect();
            ui.intro(&proposal.command)?;
            ui.note(&proposal.title, &format!("{decisions}\n{}", tree.trim_end()))?;
            if !ui.confirm("Do it?", true)? {
                return Err(Failure::failed("the plan was declined, nothing was written").into());
            }
            if self.plan(proposal)?.0.steps != plan.steps {
                return Err(Failure::failed("files were changed in the meantime, nothing was written")
                    .hint(format!("{}, once more", proposal.command))
                    .into());
            }
        }
        write(&root, &plan.steps, &secrets)?;
        let shown = if run.no_input { format!("{tree}\n") } else { String::new() };
        let kept: String = plan
            .kept
            .iter()
            .map(|kept| {
                let belongs = kept.to.as_ref().map_or_else(String::new, |to| {
                    format!(", and belongs at `{to}` by now, where nothing can be deployed before it is")
                });
                format!("`{}` stays as it is{belongs}; what it lacks:\n\n{}\n", kept.path, kept.change)
            })
            .collect();
        let text = format!("{shown}{}\n{kept}\nNext:\n\n{}", proposal.done, next_steps(&proposal.next));
        self.report(proposal, &plan, &secrets, run, &text, ui)
    }

    fn plan(&self, proposal: &Proposal) -> Result<(change::Plan, Vec<File>)> {
        let root = self.repo.root();
        let now = self.adopted.answers(&self.adopted.sheet).map_err(crate::questions::failure)?;
        let recorded = templates::render(&Context::from(&self.record.answers), &[])?;
        let now = templates::render(&Context::from(&now), &[])?;
        let after = templates::render(&Context::from(proposal.answers), proposal.payloads)?;
        let renderings = Renderings { before: [&recorded, &now], after: &after };
        let plan = change::plan(&renderings, proposal.policy, &|path| text(&root, path))?;
        Ok((plan, after.into_iter().filter(|file| file.kind == Kind::Secret).collect()))
    }

    fn report(
        &self,
        proposal: &Proposal,
        plan: &change::Plan,
        secrets: &[File],
        run: &RunOptions,
        text: &str,
        ui: &Ui,
    ) -> Result<()> {
        if !run.json {
            return ui.print(text);
        }
        let steps =
            plan.steps.iter().map(|step| json!({"path": step.path, "from": step.from, "new": !step.exists}));
        let secrets = secrets.iter().map(|file| json!({"path": file.path, "from": null, "new": true}));
        let object = json!({
            "dry_run": run.dry_run,
            "path": self.repo.root().display().to_string(),
            "files": steps.chain(secrets).collect::<Vec<_>>(),
            "kept": plan.kept.iter().map(conflict).collect::<Vec<_>>(),
            "next": proposal.next.iter().map(|(command, _)| command).collect::<Vec<_>>(),
        });
        print_json(object, ui)
    }
}

/// `source`, as a kustomization in `dir` names it, below the top of the repository; none outside of it.
fn below(dir: &Path, source: &str) -> Option<PathBuf> {
    let mut path = dir.to_owned();
    for part in Path::new(source).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::ParentDir if path.pop() => {}
            Component::CurDir => {}
            _ => return None,
        }
    }
    Some(path)
}

/// The text of a file of the repository that is no secret; none where there is no such file.
fn text(root: &Path, path: &str) -> Result<Option<String>> {
    let Some(bytes) = bytes(root, path)? else { return Ok(None) };
    let text = std::str::from_utf8(&bytes).map(str::to_owned);
    Ok(text
        .map(Some)
        .map_err(|_| Failure::failed(format!("`{path}` is not text (UTF-8)")).hint(format!("file {path}")))?)
}

fn bytes(root: &Path, path: &str) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>> {
    let file = root.join(path);
    if let Some(why) = files::strange(path, &file) {
        return Err(Failure::failed(format!("cannot use `{path}`"))
            .because(why)
            .hint(format!("ls -l {path}"))
            .into());
    }
    files::read(&file, LIMIT)
}

/// Prints the changes that edited files would need, and gives the failure.
fn in_the_way(conflicts: &[Conflict], run: &RunOptions, ui: &Ui) -> Result<anyhow::Error> {
    if run.json {
        print_json(json!({"conflicts": conflicts.iter().map(conflict).collect::<Vec<_>>()}), ui)?;
    } else {
        let changes: Vec<_> = conflicts.iter().map(|conflict| conflict.change.as_str()).collect();
        ui.print(&changes.join("\n"))?;
    }
    let causes: Vec<_> = conflicts.iter().map(|one| format!("`{}`: {}", one.path, one.cause)).collect();
    let failure = Failure::failed("files are in the way, and nothing was written").because(causes.join("; "));
    if conflicts.iter().any(|one| one.path == Record::FILE) {
        let hint =
            format!("take out of `{}` what somebody has written into it, then the same again", Record::FILE);
        return Ok(failure.hint(hint).into());
    }
    if let Some((from, to)) = conflicts.iter().find_map(|one| Some((&one.path, one.to.as_ref()?))) {
        return Ok(failure
            .hint(format!(
                "undo that edit of `{from}` for now, say the same again, and put it into `{to}`, or where all environments share it, `kubernetes/base/kustomization.yaml`, and git mv the files that it names beside it"
            ))
            .into());
    }
    let keep: String =
        conflicts.iter().map(|one| format!(" --keep {}", shell_word(Path::new(&one.path)))).collect();
    Ok(failure.hint(format!("to make the change above by hand, afterwards, say the same with{keep}")).into())
}

fn conflict(conflict: &Conflict) -> serde_json::Value {
    json!({"path": conflict.path, "to": conflict.to, "cause": conflict.cause, "change": conflict.change})
}

fn tree(root: &Path, steps: &[Step], secrets: &[File]) -> String {
    let note = |step: &Step| {
        let size = ui::size(step.text.len());
        match (&step.from, step.exists) {
            (Some(from), _) => format!("{size}, was {from}"),
            (None, true) => format!("{size}, changes"),
            (None, false) => format!("{size}, new"),
        }
    };
    let mut files: Vec<_> = steps.iter().map(|step| (step.path.as_str(), note(step))).collect();
    files.extend(
        secrets
            .iter()
            .map(|file| (file.path.as_str(), format!("{}, new, encrypted in git", ui::size(file.size())))),
    );
    files.sort();
    ui::tree(root.to_string_lossy().trim_end_matches('/'), &files)
}

/// Writes everything beside its place, then puts it there, `.makeinfra.yaml` last: what it says is true then.
fn write(root: &Path, steps: &[Step], secrets: &[File]) -> Result<()> {
    let interrupts = Interrupts::hold()?;
    let mode = |path: &PathBuf| path.metadata().ok().map(|file| file.permissions().mode() & 0o777);
    // A new file is as open as those that were made with the repository.
    let plain = mode(&root.join(Record::FILE)).unwrap_or(0o644);
    let mut batch = Batch::default();
    for file in secrets {
        batch.add(&root.join(&file.path), file.text.expose(), 0o600)?;
    }
    let (record, others): (Vec<_>, Vec<_>) = steps.iter().partition(|step| step.path == Record::FILE);
    for step in others.into_iter().chain(record) {
        let old = root.join(step.from.as_ref().unwrap_or(&step.path));
        batch.add(&root.join(&step.path), &step.text, mode(&old).unwrap_or(plain))?;
        if step.from.is_some() {
            batch.take_away(&old);
        }
    }
    batch.publish(&interrupts)
}
