//! `makeinfra adopt`: takes over a repository that makeinfra did not generate, keeping everything
//! in it.

mod adopted;

use super::archive;
use super::workspace::{Proposal, Scope, Workspace};
use crate::advice::{Advice, hook_line, shell_word};
use crate::answers::{Answer, Ci, Environment, Name, ProjectName, Record, Values};
use crate::change::{self, Adoption, AdoptionRequest, Files, Plan, WorkTreeFile};
use crate::cli::Adopt as Options;
use crate::error::{Failure, Kind, Result};
use crate::git_crypt::Key;
use crate::inspection::Hook;
use crate::manifests::kustomization;
use crate::questions;
use crate::repo::{Encryption, Repo, SECRETS};
use crate::report::Report;
use crate::templates::TemplateSet;
use crate::ui::Ui;
use crate::work_tree::WorkTree;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Runs the command.
pub fn run(options: &Options, ui: &mut Ui) -> Result<Report> {
    let dry_run = options.plan.run.dry_run;
    let repo = Repo::folder(&options.dir, "adopt")?;
    let new_key = new_key(&repo)?;
    let scope = Scope { is_tracked: true, paths: candidates(&repo)? };
    let mut workspace = Workspace::open(repo, scope, !dry_run)?;
    workspace.include(change::named_files(&workspace.files, &below(&options.manifests)))?;
    let known = record(&workspace.files)?;
    if let Some(record) = &known {
        adopted::check(options, record)?;
    }
    let request = request(options, &workspace)?;
    let adoption =
        if known.is_some() { None } else { Some(change::adopt(&workspace.files, &request)?) };
    if let Some(adoption) = &adoption {
        warn(&workspace.repo, adoption, ui)?;
        needs_a_commit(options, &workspace)?;
        needs_a_yes(options, adoption)?;
        if !dry_run {
            in_the_way(&workspace, &request, &adoption.plan)?;
        }
    }
    let plan = |files: &Files| -> Result<Plan> {
        if record(files)?.is_some() {
            return Ok(Plan::default());
        }
        let mut plan = change::adopt(files, &request)?.plan;
        let encryption = if new_key.is_some() { "set up" } else { "in use" };
        plan.facts.push(("git-crypt", encryption.to_owned()));
        plan.notes.extend(hook_to_extend(&workspace.repo));
        Ok(plan)
    };
    let project = &request.project;
    let proposal = Proposal {
        title: format!("Adoption of {project}"),
        command: Advice::makeinfra("adopt"),
        message: format!("Adopt {project} with makeinfra"),
        checked: None,
        edited: &[],
        new_key: new_key.as_ref(),
        next: adoption
            .as_ref()
            .map_or_else(Vec::new, |adoption| next(&workspace.repo, adoption, new_key.is_some())),
        plan: &plan,
    };
    workspace.propose(&proposal, &options.plan, ui)
}

/// The top of the repository that contains `dir`; `None` if there is none.
#[must_use]
pub fn top(dir: &Path) -> Option<PathBuf> {
    Repo::folder(dir, "adopt").ok().map(|repo| repo.root())
}

/// The record; `None` if makeinfra does not manage the repository yet.
fn record(files: &Files) -> Result<Option<Record>> {
    files.text(Record::FILE)?.map(|text| Record::parse(text.to_owned())).transpose()
}

/// The key with which to set up git-crypt; `None` if the repository uses it already. Fails in a
/// locked clone.
fn new_key(repo: &Repo) -> Result<Option<Key>> {
    let is_used = repo.encryption()?;
    if is_used == Encryption::Ready {
        return Ok(None);
    }
    if is_used == Encryption::Locked || repo.uses_git_crypt() {
        return Err(Failure::failed(format!("cannot adopt `{}`", repo.root().display()))
            .kind(Kind::Locked)
            .because("it uses git-crypt, and this clone is locked")
            .hint(Advice::at_top(repo.unlock()))
            .into());
    }
    if repo.is_linked() {
        return Err(Failure::failed("cannot set up git-crypt in a linked work tree")
            .because("git-crypt looks for its key in the main work tree")
            .hint(Advice::git("worktree list"))
            .into());
    }
    if let Some(key) = repo.default_key()? {
        return Ok(Some(key));
    }
    let key = Key::generate()
        .map_err(|cause| Failure::failed("cannot create a git-crypt key").because(cause))?;
    Ok(Some(key))
}

/// Files that may be manifests or Secrets, tracked or not, and those that will be generated.
fn candidates(repo: &Repo) -> Result<Vec<String>> {
    let tree = WorkTree::list(&repo.root(), |dir| repo.ignores(&format!("{dir}/")))?;
    let ends = [".yaml", ".yml", ".json", "Makefile", ".sh"];
    let is_named_so =
        |path: &str| ends.iter().any(|end| path.ends_with(end)) || kustomization::is_one(path);
    let found =
        tree.at("").map(|(path, _)| path).filter(|path| is_named_so(path) && !repo.ignores(path));
    let mut all: Vec<_> = found.map(str::to_owned).collect();
    all.extend(change::generated_files());
    Ok(all)
}

fn request(options: &Options, workspace: &Workspace) -> Result<AdoptionRequest> {
    let repo = &workspace.repo;
    let root = repo.root();
    let name = root.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let labelled = change::labelled_project(&workspace.files);
    let project = options.project.as_deref().or(labelled.as_deref()).unwrap_or(name);
    let project = ProjectName::parse(project).map_err(|rule| match options.project {
        Some(_) => Failure::usage(format!("`--project` {rule}")),
        None => Failure::usage("`--project` is required")
            .because(format!("the directory's name {rule}")),
    });
    let project = project.map_err(|failure| {
        failure.hint(Advice::makeinfra("adopt").with(format!("--project {}", ProjectName::EXAMPLE)))
    })?;
    let mut values = Values::new();
    for (name, text) in [
        (Name::Image, &options.image),
        (Name::Namespace, &options.namespace),
        (Name::Ci, &options.ci),
    ] {
        let Some(text) = text else { continue };
        name.check(text)
            .map_err(|rule| questions::failure(crate::answers::Refused::Broken(name, rule)))?;
        values.insert(name, Some(text.clone()));
    }
    // GitLab only reads the file at the top of a repository.
    if options.ci.is_none() && is_folder(repo) {
        values.insert(Name::Ci, Some(Ci::None.as_str().to_owned()));
    }
    let earlier = repo
        .head_text(Record::FILE)?
        .or_else(|| repo.earlier(Record::FILE).pop().map(|(_, text)| text));
    let tracked: BTreeSet<_> = repo.committed_below("")?.into_iter().collect();
    let mut missing = Files::default();
    for path in tracked.iter().filter(|path| workspace.files.get(path).is_none()) {
        let content = repo.committed(path)?.ok_or("it cannot be read in HEAD");
        missing.insert(
            path.clone(),
            WorkTreeFile { content, executable: repo.is_executable_in_head(path)?, ignored: false },
        );
    }
    let archive = archive()?;
    let released = archive.versions().into_iter().filter_map(|version| archive.find(&version).ok());
    Ok(AdoptionRequest {
        project,
        values,
        manifests: below(&options.manifests),
        taken: below(&options.take).into_iter().collect(),
        tracked,
        missing,
        is_covered: repo.is_covered(&Environment::default_secret_file())?,
        has_script: repo.has_in_head("scripts/deploy.sh")?,
        earlier: earlier.and_then(|text| Record::parse(text).ok()),
        templates: released.chain([TemplateSet::embedded()]).collect(),
    })
}

/// Paths relative to the top.
fn below(paths: &[String]) -> Vec<String> {
    paths
        .iter()
        .map(|path| path.trim_start_matches("./").trim_end_matches('/').to_owned())
        .collect()
}

/// Whether it is a folder of a larger repository.
fn is_folder(repo: &Repo) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real(&repo.root()) != real(&repo.top())
}

/// What the larger repository's hook lacks, or an existing hook that `make setup` would disable.
fn hook_to_extend(repo: &Repo) -> Option<String> {
    let (root, top) = (repo.root(), repo.top());
    let folder = root.strip_prefix(&top).unwrap_or(Path::new(""));
    let hook = if folder.as_os_str().is_empty() {
        format!(
            "`{}`",
            repo.pre_commit_hook().filter(|hook| !hook.ends_with(Hook::FILE))?.display()
        )
    } else {
        format!("the pre-commit hook of `{}`", top.display())
    };
    Some(format!("{hook} requires this line: {}", hook_line(folder)))
}

/// The step that makes git run the generated hook; `None` if it does already, or if an existing
/// hook must call it.
fn hook_step(repo: &Repo, adoption: &Adoption) -> Option<Advice> {
    if repo.hooks_are_in(Hook::DIR) != Some(false)
        || adoption.kept.contains(Hook::FILE)
        || repo.pre_commit_hook().is_some()
    {
        return None;
    }
    let step = if adoption.kept.contains("Makefile") {
        Advice::git(format!("config core.hooksPath {}", Hook::DIR))
    } else {
        Advice::make("setup")
    };
    Some(step.why("refuse commits with plaintext under secrets/"))
}

/// Warns first about what everyone with access to the repository can read.
fn warn(repo: &Repo, adoption: &Adoption, ui: &mut Ui) -> Result<()> {
    for (path, name) in &adoption.secrets {
        if !repo.is_plain_in_head(path)? {
            continue;
        }
        ui.warn(format!(
            "`{path}` is in git in plaintext and stays in its history: put new values into Secret \
             `{name}`, deploy it, and revoke the old values"
        ));
    }
    for (path, name) in adoption.open_secrets.iter().filter(|(path, _)| !repo.is_ignored(path)) {
        let anew = if *name == adoption.answers.secret_name.as_str() {
            Advice::makeinfra("rotate")
        } else {
            Advice::makeinfra("secret set").arg(name).arg("KEY")
        };
        let anew = anew.typed(Some(&repo.root()));
        ui.warn(format!(
            "`{path}` has values of Secret `{name}` in plaintext and stays unchanged: remove the \
             Secret there, create it again under secrets/ (`{anew}`), deploy it, and revoke the \
             old values"
        ));
    }
    Ok(())
}

/// Fails if there is no commit to build on. The index may contain a plaintext Secret, so it is not
/// committed.
fn needs_a_commit(options: &Options, workspace: &Workspace) -> Result<()> {
    if workspace.head.is_some() || !options.plan.commit || options.plan.run.dry_run {
        return Ok(());
    }
    Err(Failure::failed("cannot commit")
        .because("the repository has no commits yet")
        .hint(Advice::git("commit --only --allow-empty -m Begin"))
        .into())
}

/// Fails if files move without the user's agreement.
fn needs_a_yes(options: &Options, adoption: &Adoption) -> Result<()> {
    let run = &options.plan.run;
    if adoption.plan.moves.is_empty() || options.plan.yes || run.dry_run || !run.no_input {
        return Ok(());
    }
    let moves: Vec<_> =
        adoption.plan.moves.iter().map(|(from, to)| format!("`{from}` to `{to}`")).collect();
    Err(Failure::failed("files would move; nothing was written")
        .because(moves.join(", "))
        .hint(Advice::makeinfra("adopt").with("--yes"))
        .into())
}

/// Fails if git would miss a file that is written, would see one that it must not, or could not
/// restore one that is replaced.
fn in_the_way(workspace: &Workspace, request: &AdoptionRequest, plan: &Plan) -> Result<()> {
    let repo = &workspace.repo;
    let open = plan.moves.iter().find(|(from, to)| {
        repo.is_ignored(from) && !repo.is_ignored(to) && !to.starts_with(SECRETS)
    });
    if let Some((from, to)) = open {
        return Err(Failure::failed(format!("git ignores `{from}`, but would not ignore `{to}`"))
            .because("the moved file would be committed")
            .hint(Advice::at_top(format!(
                "echo {} >> .gitignore",
                shell_word(Path::new(&format!("/{to}")))
            )))
            .into());
    }
    for step in plan.steps.iter().filter(|step| request.taken.contains(&step.path)) {
        let Some(before) = &step.before else { continue };
        if let Some(why) = repo.loss(&step.path, before)? {
            let word = shell_word(Path::new(&step.path));
            let add = Advice::git(format!("add -- {word}"));
            return Err(Failure::failed(format!(
                "`{}` would be replaced; nothing was written",
                step.path
            ))
            .because(why)
            .hint(add.and(Advice::git(format!("commit -m 'Edit' -- {word}"))))
            .into());
        }
    }
    // An ignored file moves to a path that is ignored as well.
    let sources = plan.sources();
    let came = |to: &str| sources.get(to).is_some_and(|from| repo.is_ignored(from));
    let new = plan.steps.iter().filter(|step| step.after.is_some() && step.before.is_none());
    let ignored: Vec<_> =
        new.filter(|step| repo.is_ignored(&step.path) && !came(&step.path)).collect();
    let Some(first) = ignored.first() else { return Ok(()) };
    let paths: Vec<_> = ignored.iter().map(|step| format!("`{}`", step.path)).collect();
    Err(Failure::failed("git ignores files that would be written; nothing was written")
        .because(paths.join(", "))
        .hint(Advice::git(format!("check-ignore -v {}", shell_word(Path::new(&first.path)))))
        .into())
}

/// The next commands.
fn next(repo: &Repo, adoption: &Adoption, is_new_key: bool) -> Vec<Advice> {
    let mut next = Vec::new();
    if is_new_key {
        let outside = repo.top().parent().map(Path::to_owned).unwrap_or_default();
        let key = outside.join(format!("{}.git-crypt-key", adoption.answers.project.directory()));
        let export = Advice::at_top(format!("git-crypt export-key {}", shell_word(&key)));
        next.push(export.why("keep the key outside the repository"));
    }
    next.extend(hook_step(repo, adoption));
    let is_plain =
        adoption.secrets.iter().any(|(path, _)| repo.is_plain_in_head(path).unwrap_or(true));
    if !adoption.has_open_pull_secret() && (!adoption.has_pull_secret || is_plain) {
        next.push(Advice::makeinfra("rotate").why("set a deploy token"));
    }
    next.push(Advice::makeinfra("check").why("check for other problems"));
    if !adoption.kept.contains("Makefile") {
        let environment = adoption.answers.choice(&adoption.answers.environments.first);
        let diff = Advice::make("diff").for_env(environment).with("CHANGES=ok");
        next.push(diff.why("show what a deployment would change"));
        next.push(Advice::make("deploy").for_env(environment).why("deploy it"));
    }
    next
}
