//! `makeinfra rotate`: a new deploy token in the pull secrets, and nothing else changed.

mod finish;
mod issue;
mod report;
mod together;
mod write;

use super::deploy_tokens;
use super::elsewhere;
use super::encrypted;
use super::fleet::{Fleet, Task};
use super::scope;
use super::sign_in::{self, Checked};
use super::transaction;
use super::{missing, not_generated, secret_answers, sweep_repository, templates_of, token_source};
use crate::advice::{Advice, shell_word};
use crate::answers::{Answer, Environment, ImageRef, Name, Record, RegistryKey, Sheet};
use crate::cli::{Repositories, Rotate as Options};
use crate::credentials::{Source, warn_if_past};
use crate::error::{Failure, Result, printable};
use crate::git_crypt;
use crate::inspection::{Inspection, Scope};
use crate::manifests::kustomization;
use crate::pull_secret::DeployToken;
use crate::questions::Given;
use crate::repo::Repo;
use crate::report::Report;
use crate::rotation::{Entry, Files, Plan, RotateOverrides, SecretFile};
use crate::secret::Secret;
use crate::templates::TemplateSet;
use crate::ui::Ui;
use std::path::{Path, PathBuf};
use write::write;

/// What its errors say that it cannot do.
const ROTATE: &str = "rotate";

/// The repository as it is.
struct Found {
    repo: Repo,
    files: Files,
    /// For each Secret file whether HEAD holds another one; nobody knows where the key is missing.
    uncommitted: Vec<bool>,
    /// Whether an earlier rotation has written a token that HEAD does not hold.
    is_rotated: bool,
    /// What the registry says of the new token, if it was asked.
    checked: Option<Checked>,
}

impl Found {
    /// The top of the repository.
    fn root(&self) -> PathBuf {
        self.repo.root()
    }

    /// The text that each Secret file has in the end, with its path; those that are not there are left out.
    fn texts<'t>(&'t self, plan: &'t Plan) -> impl Iterator<Item = (&'t str, &'t Secret)> {
        let both = self.files.secrets.iter().zip(&plan.secrets);
        both.filter_map(|(file, change)| {
            Some((file.path.as_str(), change.text.as_ref().or(file.text.as_ref())?))
        })
    }
}

impl Task for Options {
    const COMMAND: &'static str = "rotate";

    fn repositories(&self) -> &Repositories {
        &self.repositories
    }

    fn environment(&self) -> Option<&str> {
        match self.env.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    fn reads_stdin(&self) -> bool {
        token_source(&self.token).is_ok_and(|source| source.reads_stdin())
    }

    fn one(&self, repo: &Path, ui: &mut Ui) -> Result<Report> {
        run(self, repo, ui)
    }

    fn several(&self, fleet: &Fleet, ui: &mut Ui) -> Result<()> {
        together::run(self, fleet, ui)
    }
}

/// Runs the command for the repository at `repo`.
fn run(options: &Options, repo: &Path, ui: &mut Ui) -> Result<Report> {
    check_options(options)?;
    if options.finish.finish {
        return finish::run(options, repo, ui);
    }
    let source = token_source(&options.token)?;
    let overrides = overrides(options, ui)?;
    let lifetime = match options.gitlab.from_gitlab {
        true => Some(deploy_tokens::lifetime(&options.gitlab, overrides.expires_at.as_ref(), ui)?),
        false => None,
    };
    let (mut found, _lock) = open(options, repo, &overrides, ui)?;
    sweep_repository(&found.root(), options.run.dry_run, ui);
    if let Some(plan) = without_token(options, &found, &overrides, ui)? {
        return write_or_tell(options, &found, &overrides, &plan, ui);
    }
    if let Some(lifetime) = lifetime {
        return issue::run(options, &mut found, &overrides, &lifetime, ui);
    }
    let lacking: Vec<String> = source.missing().into_iter().map(str::to_owned).collect();
    if options.run.dry_run && !lacking.is_empty() {
        return Ok(report::dry_run(options, &found, None));
    }
    if !lacking.is_empty() && !ui.can_ask() {
        let hint = again(options).with("--token-username NAME --token-file FILE");
        return Err(missing(&lacking, hint));
    }
    if !lacking.is_empty() {
        ui.intro("makeinfra rotate")?;
        let paths: Vec<_> = found.files.secrets.iter().map(|file| file.path.as_str()).collect();
        let registry = found.files.registry(&overrides)?;
        ui.note("Pull secret", &format!("{}\nfor {registry}", paths.join("\n")))?;
    }
    let token = token(options, source, &found, &overrides, ui)?;
    let plan = planned(&found, &token, &overrides, ui)?;
    if plan.rotates() && !keeps_own_token(options) {
        warn_of_others(&found.files, &[issue::repository(&found)], ui);
    }
    if options.check.check {
        let inspection = inspect(&found)?;
        let images = images(&found, &plan, &overrides, &inspection)?;
        found.checked = sign_in::check(&options.check, &token, &images, &again(options), ui)?;
    }
    write_or_tell(options, &found, &overrides, &plan, ui)
}

/// Fails if options do not go together in a way that clap does not know.
fn check_options(options: &Options) -> Result<()> {
    let file = options.repositories.repos.iter().find(|repo| repo.is_file());
    if let (Some(None), Some(file)) = (&options.token.from_docker_config, file) {
        let failure = Failure::usage("`--from-docker-config` takes its file after a `=`");
        let file = shell_word(file);
        return Err(failure.hint(again(options).with(format!("--from-docker-config={file}"))).into());
    }
    let asks_gitlab = options.gitlab.from_gitlab || options.finish.finish;
    if let Some(option) = options.gitlab.given().filter(|_| !asks_gitlab) {
        let failure = Failure::usage(format!("`{option}` requires `--from-gitlab` or `--finish`"));
        return Err(failure.hint(again(options).with("--from-gitlab --expires-in 90d")).into());
    }
    Ok(())
}

/// Finds the repository at `repo`, with all that can be known to go wrong whatever the token. Nobody else rotates in it until
/// what comes with it is dropped.
fn open(
    options: &Options,
    repo: &Path,
    overrides: &RotateOverrides,
    ui: &mut Ui,
) -> Result<(Found, Option<std::fs::File>)> {
    let mut found = find(options, repo, overrides)?;
    let lock = if options.run.dry_run { None } else { found.repo.lock()? };
    check(options, &mut found, overrides, ui)?;
    Ok((found, lock))
}

/// The plan of a change that needs no token; `None` if it needs one.
fn without_token(
    options: &Options,
    found: &Found,
    overrides: &RotateOverrides,
    ui: &mut Ui,
) -> Result<Option<Plan>> {
    if let Entry::Removed(registry) = &overrides.entry {
        return found.files.remove(registry).map(Some);
    }
    let Some(expires_at) = overrides.expires_at.as_ref().filter(|_| options.keep_token) else {
        return Ok(None);
    };
    warn_if_past(expires_at, ui);
    found.files.expire(expires_at, overrides).map(Some)
}

/// The plan for `token`.
fn planned(found: &Found, token: &DeployToken, overrides: &RotateOverrides, ui: &mut Ui) -> Result<Plan> {
    let plan = found.files.rotate(token, overrides)?;
    // Of one that GitLab made, the expiry was asked for.
    if plan.rotates() && token.expires_at().is_none() && token.issued().is_none() {
        warn_of_expiry(found, overrides, ui);
    }
    Ok(plan)
}

/// The images that are pulled with the token.
fn images<'i>(
    found: &'i Found,
    plan: &Plan,
    overrides: &RotateOverrides,
    inspection: &'i Inspection,
) -> Result<Vec<&'i ImageRef>> {
    let deployed: Vec<_> = inspection.manifests.pulls().map(|pull| pull.image).collect();
    found.files.images(plan, overrides, &deployed)
}

/// Warns if nothing will say when the new token expires, though something should.
fn warn_of_expiry(found: &Found, overrides: &RotateOverrides, ui: &mut Ui) {
    let options = "--expires-at DATE, or --expires-at never";
    match (found.files.expiry(overrides), &overrides.entry) {
        (Some(known), _) => ui.warn(format!(
            "the expiry of the new token is unknown (that of the old one: {known}): {options}"
        )),
        (None, Entry::Added(registry)) => {
            ui.warn(format!("the expiry of the token of {registry} is unknown: {options}"));
        }
        (None, _) => {}
    }
}

/// Warns of the repositories that keep the token which those called `given` get another one for.
fn warn_of_others(files: &Files, given: &[String], ui: &mut Ui) {
    let keeping: Vec<_> = files.sharing().into_iter().filter(|name| !given.contains(name)).collect();
    if !keeping.is_empty() {
        ui.warn(format!(
            "the old token stays in use: {} had it together with this repository; `rotate --finish` will ask for them, too",
            keeping.join(", ")
        ));
    }
}

/// Writes `plan`, or tells of it.
fn write_or_tell(
    options: &Options,
    found: &Found,
    overrides: &RotateOverrides,
    plan: &Plan,
    ui: &mut Ui,
) -> Result<Report> {
    if options.run.dry_run {
        return Ok(report::dry_run(options, found, Some(plan)));
    }
    let is_mended = options.commit && transaction::mend_index(&found.repo, ui)?;
    let commit = write(options, found, overrides, plan, &report::subject(options, found))?;
    let mut report = report::outcome(options, found, plan, commit.as_deref());
    report.changed |= is_mended;
    Ok(report)
}

/// The command as it is given again with another token.
fn again(options: &Options) -> Advice {
    let environments = options.env.iter().map(|name| ("--env", name));
    let registries = [("--add-registry", &options.add_registry), ("--registry", &options.secret.registry)];
    let registries = registries.into_iter().filter_map(|(option, value)| Some((option, value.as_ref()?)));
    let again = environments
        .chain(registries)
        .fold(Advice::makeinfra("rotate"), |again, (option, value)| again.option(option, value));
    if options.check.check { again.with("--check") } else { again }
}

/// Whether the project's own token stays.
fn keeps_own_token(options: &Options) -> bool {
    options.keep_token || options.add_registry.is_some() || options.remove_registry.is_some()
}

fn overrides(options: &Options, ui: &Ui) -> Result<RotateOverrides> {
    let mut sheet = Sheet::default();
    secret_answers(&options.secret, &mut sheet, |_| false)?;
    let given = Given::collect(sheet, &[], None, None, ui)?;
    let key = |option: &str, text: &str| {
        RegistryKey::parse(text)
            .map_err(|rule| Failure::usage(format!("`{option}` {rule}")).hint(format!("{option} ghcr.io")))
    };
    let entry = match (&options.add_registry, &options.remove_registry, given.get(Name::Registry)?) {
        (Some(host), ..) => Entry::Added(key("--add-registry", host)?),
        (_, Some(host), _) => Entry::Removed(key("--remove-registry", host)?),
        (.., Some(registry)) => Entry::Named(registry),
        _ => Entry::Own,
    };
    Ok(RotateOverrides {
        entry,
        email: given.get(Name::Email)?,
        kind: given.get(Name::SecretType)?,
        expires_at: given.get(Name::ExpiresAt)?,
    })
}

/// Finds the repository and reads what it has.
fn find(options: &Options, repo: &Path, overrides: &RotateOverrides) -> Result<Found> {
    let repo = Repo::find(repo, "rotate")?;
    repo.check_key(git_crypt::FILTER)?;
    let root = repo.root();
    let record = encrypted::read(ROTATE, Record::FILE, &root.join(Record::FILE))?;
    let record = record.map(|text| Record::parse(text.expose().to_owned())).transpose()?;
    let paths = match &record {
        Some(record) => record.answers.secret_files(),
        None => vec![Environment::default_secret_file()],
    };
    let mut secrets = Vec::new();
    for (place, path) in paths.into_iter().enumerate() {
        let text = encrypted::read(ROTATE, &path, &root.join(&path))?;
        let kustomization = kustomization(&root, &path)?;
        secrets.push(SecretFile { place, path, text, kustomization });
    }
    if record.is_none() && secrets.iter().all(|file| file.text.is_none()) {
        let secret = Environment::default_secret_file();
        return Err(not_generated(&root, format!("neither `{}` nor `{secret}` exists", Record::FILE)).into());
    }
    // Only a file that is missing is rendered.
    let templates = match &record {
        Some(record) if secrets.iter().any(|file| file.text.is_none()) => templates_of(record)?,
        _ => TemplateSet::embedded(),
    };
    let mut files = Files { record, templates, secrets };
    files.choose(&scope::names("--env", &options.env)?, overrides)?;
    let found = Found { repo, files, uncommitted: Vec::new(), is_rotated: false, checked: None };
    check_name(&found)?;
    Ok(found)
}

/// Fails if a Secret file is missing because somebody edited its name in the record: another one would be made beside it.
fn check_name(found: &Found) -> Result<()> {
    let files = &found.files;
    let missing = files.secrets.iter().find(|file| files.record.is_some() && file.text.is_none());
    let Some(path) = missing.map(|file| &file.path) else { return Ok(()) };
    let inspection = inspect(found)?;
    let Some(name) = inspection.called_otherwise(path).and_then(|other| other.secret.name.as_deref()) else {
        return Ok(());
    };
    Err(Failure::failed(format!("cannot rotate `{path}`"))
        .because(format!("`secret-name` in `{}` is not the name that files and workloads have", Record::FILE))
        .hint(Advice::edit(Record::FILE).why(format!("write `secret-name: {}`", printable(name))))
        .into())
}

/// The kustomization of the directory that the file `path` is in, with its path.
fn kustomization(root: &Path, path: &str) -> Result<Option<(String, Secret)>> {
    let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
    for path in kustomization::places(dir) {
        if let Some(text) = encrypted::read(ROTATE, &path, &root.join(&path))? {
            return Ok(Some((path, text)));
        }
    }
    Ok(None)
}

/// All that can be known to go wrong before a token is asked for.
fn check(options: &Options, found: &mut Found, overrides: &RotateOverrides, ui: &mut Ui) -> Result<()> {
    let Found { repo, files, uncommitted, is_rotated, .. } = found;
    for file in &files.secrets {
        repo.check_protected(&file.path)?;
    }
    for warning in files.check(overrides)? {
        ui.warn(warning);
    }
    if let Some(record) = &files.record {
        let answers = &record.answers;
        for file in files.secrets.iter().filter(|file| file.text.is_none()) {
            let own = answers.environments.iter().skip(file.place).take(1);
            let is_own = |_: &Environment, path: &str| path == file.path;
            elsewhere::check(&repo.root(), own, answers.secret_name.as_str(), is_own)?;
        }
    }
    for file in &files.secrets {
        let (text, stake) = (file.text.as_ref(), "that token; revoke it");
        uncommitted.push(encrypted::check_head(repo, &file.path, text, options.commit, stake, ui)?);
    }
    for (at, file) in files.secrets.iter().enumerate() {
        let committed =
            repo.key(&file.path).ok().map(|key| repo.head_plain(&file.path, &key)).transpose()?.flatten();
        let committed = committed.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok());
        *is_rotated |= committed.is_some_and(|committed| files.differs_from(at, committed));
    }
    if *is_rotated && options.commit && keeps_own_token(options) {
        ui.warn("the commit includes the token of an earlier rotation, which is not in HEAD yet");
    }
    Ok(())
}

/// Reads the manifests, for their images.
fn inspect(found: &Found) -> Result<Inspection> {
    Inspection::of(&Scope { repo: found.root(), ..Scope::default() }, "rotate")
}

fn token(
    options: &Options,
    source: Source,
    found: &Found,
    overrides: &RotateOverrides,
    ui: &mut Ui,
) -> Result<DeployToken> {
    let registry = found.files.registry(overrides)?;
    source.read(&registry, found.files.image(), options.check.check, overrides.expires_at.clone(), ui)
}
