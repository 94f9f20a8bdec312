//! The repository to rotate: its Secret files, its record, and all checks that are possible before
//! a token is obtained.

use super::{Options, ROTATE, keeps_own_token};
use crate::advice::Advice;
use crate::answers::{Environment, EnvironmentName, Record};
use crate::commands::elsewhere;
use crate::commands::encrypted;
use crate::commands::scope;
use crate::commands::sign_in::SignInCheck;
use crate::commands::{not_generated, templates_of};
use crate::error::{Failure, Result, printable};
use crate::git_crypt;
use crate::inspection::{Inspection, Scope};
use crate::manifests::kustomization;
use crate::repo::{Repo, RepoLocation};
use crate::rotation::{Files, Plan, RotateOverrides, SecretFile};
use crate::secret::Secret;
use crate::templates::TemplateSet;
use crate::ui::Ui;
use sha1::{Digest, Sha1};
use std::path::{Path, PathBuf};

/// The repository in its current state.
pub(super) struct RotationTarget {
    pub(super) repo: Repo,
    pub(super) files: Files,
    /// For each Secret file, whether HEAD has different content; `false` if undetermined because
    /// the key is missing.
    pub(super) uncommitted: Vec<bool>,
    /// Whether an earlier rotation has written a token that HEAD does not have.
    pub(super) is_rotated: bool,
    /// The registry's answer about the new token; `None` if it was not asked.
    pub(super) checked: Option<SignInCheck>,
}

/// The result of successful checks, in compact form.
pub(super) struct PassedChecks {
    place: RepoLocation,
    /// A digest of everything that the checks depend on and that may change: the files and HEAD.
    seen: [u8; 20],
    uncommitted: Vec<bool>,
    is_rotated: bool,
    warnings: Vec<String>,
}

impl RotationTarget {
    /// Reads the Secret files of all environments of `repo`. Fails if this clone has the key of
    /// another repository.
    pub(super) fn read(repo: Repo) -> Result<Self> {
        repo.check_key(git_crypt::FILTER)?;
        Self::read_files(repo)
    }

    fn read_files(repo: Repo) -> Result<Self> {
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
            secrets.push(SecretFile::new(place, path, text, kustomization));
        }
        if record.is_none() && secrets.iter().all(|file| file.text.is_none()) {
            let secret = Environment::default_secret_file();
            return Err(not_generated(
                &root,
                format!("neither `{}` nor `{secret}` exists", Record::FILE),
            )
            .into());
        }
        // Templates are only needed to render a missing file.
        let templates = match &record {
            Some(record) if secrets.iter().any(|file| file.text.is_none()) => templates_of(record)?,
            _ => TemplateSet::embedded(),
        };
        let files = Files { record, templates, secrets };
        Ok(Self { repo, files, uncommitted: Vec::new(), is_rotated: false, checked: None })
    }

    /// Restricts the rotation to the environments `names`; without names, requires that all share
    /// their credentials.
    pub(super) fn choose(
        &mut self,
        names: &[EnvironmentName],
        overrides: &RotateOverrides,
    ) -> Result<()> {
        self.files.choose(names, overrides)?;
        check_name(self)
    }

    /// Runs all checks. Keeps other rotations out of the repository until the result is dropped.
    pub(super) fn prepare(
        &mut self,
        options: &Options,
        overrides: &RotateOverrides,
        ui: &mut Ui,
    ) -> Result<Option<std::fs::File>> {
        let lock = if options.run.dry_run { None } else { self.repo.lock()? };
        check(options, self, overrides, ui)?;
        Ok(lock)
    }

    /// The result of successful checks including `warnings`, which [`open_again`] compares.
    pub(super) fn judged(&self, warnings: &[String]) -> Result<PassedChecks> {
        Ok(PassedChecks {
            place: self.repo.place(),
            seen: self.seen()?,
            uncommitted: self.uncommitted.clone(),
            is_rotated: self.is_rotated,
            warnings: warnings.to_vec(),
        })
    }

    fn seen(&self) -> Result<[u8; 20]> {
        let mut digest = Sha1::new();
        let mut part = |bytes: Option<&[u8]>| {
            // The length prefix makes the encoding of the parts unambiguous.
            digest.update(bytes.map_or(u64::MAX, |bytes| bytes.len() as u64).to_le_bytes());
            digest.update(bytes.unwrap_or_default());
        };
        part(self.repo.head_id()?.as_deref().map(str::as_bytes));
        part(self.files.record.as_ref().map(|record| record.text.as_bytes()));
        for file in &self.files.secrets {
            part(Some(file.path.as_bytes()));
            part(file.text.as_ref().map(|text| text.expose().as_bytes()));
            part(file.kustomization.as_ref().map(|(_, text)| text.expose().as_bytes()));
        }
        Ok(digest.finalize().into())
    }

    /// The repository's name in token names and annotations.
    pub(super) fn name(&self) -> String {
        name_of(self.files.record.as_ref(), &self.root())
    }

    /// The top of the repository.
    pub(super) fn root(&self) -> PathBuf {
        self.repo.root()
    }

    /// The final text of each Secret file, with its path; files that do not exist are skipped.
    pub(super) fn texts<'t>(
        &'t self,
        plan: &'t Plan,
    ) -> impl Iterator<Item = (&'t str, &'t Secret)> {
        let both = self.files.secrets.iter().zip(&plan.secrets);
        both.filter_map(|(file, change)| {
            Some((file.path.as_str(), change.text.as_ref().or(file.text.as_ref())?))
        })
    }
}

/// The name of the repository at `root`.
pub(super) fn name_of(record: Option<&Record>, root: &Path) -> String {
    let recorded = record.map(|record| record.answers.project.directory());
    let directory = || root.file_name().map(|name| plain(&name.to_string_lossy()));
    recorded.or_else(directory).unwrap_or_default()
}

/// A name without the characters that separate names in token names and annotations.
fn plain(name: &str) -> String {
    name.replace(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c), "-")
}

/// Opens the repository at `repo` and runs all checks that do not depend on the token. Keeps other
/// rotations out of the repository until the result is dropped.
pub(super) fn open(
    options: &Options,
    repo: &Path,
    overrides: &RotateOverrides,
    ui: &mut Ui,
) -> Result<(RotationTarget, Option<std::fs::File>)> {
    let mut found = find(options, repo, overrides)?;
    let lock = found.prepare(options, overrides, ui)?;
    Ok((found, lock))
}

/// Like [`open`], but skips the checks if nothing has changed since `judged`.
pub(super) fn open_again(
    options: &Options,
    repo: &Path,
    overrides: &RotateOverrides,
    judged: &PassedChecks,
    ui: &mut Ui,
) -> Result<(RotationTarget, Option<std::fs::File>)> {
    let mut found = RotationTarget::read_files(Repo::again(&judged.place)?)?;
    found.choose(&scope::names("--env", &options.env)?, overrides)?;
    let lock = if options.run.dry_run { None } else { found.repo.lock()? };
    // A missing file depends on more than the digest covers.
    if found.files.secrets.iter().any(|file| file.text.is_none()) || judged.seen != found.seen()? {
        drop((found, lock));
        return open(options, repo, overrides, ui);
    }
    found.uncommitted.clone_from(&judged.uncommitted);
    found.is_rotated = judged.is_rotated;
    for warning in &judged.warnings {
        ui.warn(warning);
    }
    Ok((found, lock))
}

/// Opens the repository at `repo` and reads the files of the chosen environments.
pub(super) fn find(
    options: &Options,
    repo: &Path,
    overrides: &RotateOverrides,
) -> Result<RotationTarget> {
    let mut found = RotationTarget::read(Repo::find(repo, "rotate")?)?;
    found.choose(&scope::names("--env", &options.env)?, overrides)?;
    Ok(found)
}

/// All checks that are possible before a token is obtained.
pub(super) fn check(
    options: &Options,
    found: &mut RotationTarget,
    overrides: &RotateOverrides,
    ui: &mut Ui,
) -> Result<()> {
    let RotationTarget { repo, files, uncommitted, is_rotated, .. } = found;
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
        uncommitted.push(encrypted::check_head(
            repo,
            &file.path,
            text,
            options.commits(),
            stake,
            ui,
        )?);
    }
    for (at, file) in files.secrets.iter().enumerate() {
        let committed = repo
            .key(&file.path)
            .ok()
            .map(|key| repo.head_plain(&file.path, &key))
            .transpose()?
            .flatten();
        let committed = committed.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok());
        *is_rotated |= committed.is_some_and(|committed| files.differs_from(at, committed));
    }
    if *is_rotated && options.commits() && keeps_own_token(options) {
        ui.warn(
            "the commit will include the token of an earlier rotation, which is not in HEAD yet",
        );
    }
    Ok(())
}

/// Fails if a Secret file is missing because its name was edited in the record: a second one would
/// be created next to it.
fn check_name(found: &RotationTarget) -> Result<()> {
    let files = &found.files;
    let missing = files.secrets.iter().find(|file| files.record.is_some() && file.text.is_none());
    let Some(path) = missing.map(|file| &file.path) else { return Ok(()) };
    let inspection = inspect(found)?;
    let Some(name) = inspection
        .pull_secret_under_other_name(path)
        .and_then(|other| other.secret.name.as_deref())
    else {
        return Ok(());
    };
    Err(Failure::failed(format!("cannot rotate `{path}`"))
        .because(format!(
            "`secret-name` in `{}` differs from the name in files and workloads",
            Record::FILE
        ))
        .hint(Advice::edit(Record::FILE).why(format!("write `secret-name: {}`", printable(name))))
        .into())
}

/// The kustomization in the directory of the file `path`, with its path.
fn kustomization(root: &Path, path: &str) -> Result<Option<(String, Secret)>> {
    let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
    for path in kustomization::places(dir) {
        if let Some(text) = encrypted::read(ROTATE, &path, &root.join(&path))? {
            return Ok(Some((path, text)));
        }
    }
    Ok(None)
}

/// Reads the manifests, for their images.
pub(super) fn inspect(found: &RotationTarget) -> Result<Inspection> {
    Inspection::of(&Scope { repo: found.root(), ..Scope::default() }, "rotate")
}
