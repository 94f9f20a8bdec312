//! `makeinfra rotate`: a new deploy token in the pull secret, and nothing else changed.

use super::{missing, next_steps, print_json, secret_values, sweep, token_source};
use crate::answers::{Name, Record};
use crate::cli::Rotate as Options;
use crate::credentials::{self, Source};
use crate::error::{Failure, Result};
use crate::files::{self, Replacement, shell_word};
use crate::git_crypt;
use crate::interrupt::Interrupts;
use crate::pull_secret::DeployToken;
use crate::questions::Given;
use crate::repo::{HeadSecret, Repo};
use crate::rotation::{Files, Plan, Wishes};
use crate::secret::Secret;
use crate::ui::{self, Ui};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// More than the API server takes for a Secret, base64 included.
const LIMIT: u64 = 2 << 20;

/// The repository as it is.
struct Found {
    repo: Repo,
    files: Files,
    /// The Secret file, below the top of the repository and in full.
    path: String,
    file: PathBuf,
}

/// Runs the command.
pub fn run(options: &Options, ui: &mut Ui) -> Result<()> {
    let source = token_source(&options.token)?;
    let wishes = wishes(options, ui)?;
    let found = find(options)?;
    check(options, &found, &wishes, ui)?;
    sweep(&found.file, options.run.dry_run, ui);
    let lacking: Vec<String> = source.missing().into_iter().map(str::to_owned).collect();
    if options.run.dry_run && !lacking.is_empty() {
        return print_dry_run(options, &found, None, ui);
    }
    if !lacking.is_empty() && !ui.can_ask() {
        return Err(missing(&lacking, "makeinfra rotate --token-username NAME --token-file FILE"));
    }
    let token = token(source, &found, &wishes, ui)?;
    let plan = found.files.rotate(&token, &wishes)?;
    if options.run.dry_run {
        return print_dry_run(options, &found, Some(&plan), ui);
    }
    let commit = write(options, &found, &plan)?;
    print_outcome(options, &found, &plan, commit.as_deref(), ui)
}

fn wishes(options: &Options, ui: &Ui) -> Result<Wishes> {
    let given = Given::collect(secret_values(&options.secret), None, None, ui)?;
    Ok(Wishes {
        registry: given.get(Name::Registry)?,
        email: given.get(Name::Email)?,
        kind: given.get(Name::SecretType)?,
        expires_at: given.get(Name::ExpiresAt)?,
    })
}

/// Finds the repository and reads what it has.
fn find(options: &Options) -> Result<Found> {
    let repo = Repo::find(&options.repo)?;
    let root = repo.root();
    let record = match files::read(&root.join(Record::FILE), LIMIT)? {
        Some(bytes) => Some(Record::parse(String::from_utf8_lossy(&bytes).into_owned())?),
        None => None,
    };
    let path = Files::path(record.as_ref());
    let file = root.join(&path);
    let secret = read_secret(&path, &file)?;
    if secret.is_none() && record.is_none() {
        return Err(Failure::failed(format!("`{}` is no repository of makeinfra's", root.display()))
            .because(format!("it has neither `{}` nor `{path}`", Record::FILE))
            .hint("makeinfra new PROJECT")
            .into());
    }
    Ok(Found { repo, files: Files { record, secret }, path, file })
}

/// The plain text of the Secret file; none where there is no such file.
fn read_secret(path: &str, file: &Path) -> Result<Option<Secret>> {
    let refused = |cause: &str| Failure::failed(format!("cannot rotate `{path}`")).because(cause);
    if file.symlink_metadata().is_ok_and(|found| !found.is_file()) {
        return Err(refused("it is no regular file").hint(format!("ls -l {path}")).into());
    }
    match files::read(file, LIMIT)? {
        Some(bytes) if git_crypt::is_encrypted(&bytes) => {
            Err(refused("it is locked: encrypted, and this clone is not unlocked")
                .hint("git-crypt unlock KEY_FILE")
                .into())
        }
        Some(bytes) => match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(Some(Secret::new(text.to_owned()))),
            Err(_) => Err(refused("it is not text (UTF-8)").hint(format!("file {path}")).into()),
        },
        None => Ok(None),
    }
}

/// All that can be known to go wrong before a token is asked for.
fn check(options: &Options, found: &Found, wishes: &Wishes, ui: &mut Ui) -> Result<()> {
    let Found { repo, path, .. } = found;
    repo.check_protected(path)?;
    found.files.check(wishes)?;
    if !options.commit {
        return Ok(());
    }
    repo.check_can_commit()?;
    if repo.wants_signed_commits() {
        ui.warn("git is told to sign commits; this one will not be signed");
    }
    match repo.head_secret(path, &repo.key(path)?) {
        HeadSecret::Absent | HeadSecret::Encrypted => Ok(()),
        HeadSecret::Plain => {
            ui.warn(format!(
                "HEAD holds `{path}` in plain: whoever has the repository has that token; revoke it"
            ));
            Ok(())
        }
        HeadSecret::OtherKey => Err(Failure::failed(format!("`{path}` was encrypted with another key"))
            .because("the git-crypt key of this clone does not open what HEAD holds")
            .hint("git-crypt lock --force && git-crypt unlock KEY_FILE")
            .into()),
    }
}

fn token(source: Source, found: &Found, wishes: &Wishes, ui: &mut Ui) -> Result<DeployToken> {
    let registry = found.files.registry(wishes)?;
    let mut token = source.read(&registry, found.files.image(), ui)?;
    if let Some(expires_at) = &wishes.expires_at {
        token = token.expiring(Some(expires_at.clone()));
    }
    credentials::warn_if_past(&token, ui);
    Ok(token)
}

/// Writes both files and commits them if that is wanted. Gives the commit's id.
fn write(options: &Options, found: &Found, plan: &Plan) -> Result<Option<String>> {
    let Some(text) = &plan.secret else { return Ok(None) };
    let interrupts = Interrupts::hold()?;
    let repo = &found.repo;
    let record_file = repo.root().join(Record::FILE);
    let secret = Replacement::prepare(&found.file, text.expose(), 0o600)?;
    let record = match &plan.record {
        Some(text) => {
            let mode = record_file.metadata().map_or(0o644, |file| file.permissions().mode() & 0o777);
            Some(Replacement::prepare(&record_file, text, mode)?)
        }
        None => None,
    };
    let mut blobs = Vec::new();
    if options.commit {
        let cipher = repo.key(&found.path)?.encrypt(text.expose().as_bytes());
        blobs.push(repo.store(&found.path, &cipher)?);
        if let Some(text) = &plan.record {
            blobs.push(repo.store(Record::FILE, text.as_bytes())?);
        }
    }
    interrupts.check()?;
    secret.publish()?;
    if let Some(record) = record {
        record.publish()?;
    }
    if !options.commit {
        return Ok(None);
    }
    let commit = repo.commit(&blobs, "Rotate the deploy token");
    Ok(Some(
        commit.map_err(|error| error.context(format!("`{}` is written, but not committed", found.path)))?,
    ))
}

fn print_dry_run(options: &Options, found: &Found, plan: Option<&Plan>, ui: &Ui) -> Result<()> {
    let size = plan.and_then(|plan| plan.secret.as_ref()).map(|text| text.expose().len());
    if options.run.json {
        let object = json!({
            "dry_run": true,
            "path": found.file,
            "changed": plan.map(|plan| plan.secret.is_some()),
            "changes": plan.map(|plan| &plan.changes),
            "bytes": size,
        });
        return print_json(object, ui);
    }
    let verb = if found.files.secret.is_some() { "replace" } else { "create" };
    let note = match (plan, size) {
        (_, Some(size)) => format!("{}, {verb}", ui::size(size)),
        (Some(_), None) => "holds this token already".to_owned(),
        (None, None) => format!("{verb}, from the deploy token"),
    };
    let mut files = vec![(found.path.as_str(), note)];
    if let Some(record) = plan.and_then(|plan| plan.record.as_ref()) {
        files.insert(0, (Record::FILE, format!("{}, replace", ui::size(record.len()))));
    }
    let tree = ui::tree(found.repo.root().to_string_lossy().trim_end_matches('/'), &files);
    let changes = plan.map(|plan| listed(&plan.changes)).unwrap_or_default();
    ui.print(&format!("{tree}{changes}\nNothing was written: this is a dry run.\n"))
}

fn print_outcome(options: &Options, found: &Found, plan: &Plan, commit: Option<&str>, ui: &Ui) -> Result<()> {
    let steps = steps(found, plan, commit);
    if options.run.json {
        let object = json!({
            "path": found.file,
            "changed": plan.secret.is_some(),
            "changes": plan.changes,
            "commit": commit,
            "next": steps.iter().map(|(command, _)| command).collect::<Vec<_>>(),
        });
        return print_json(object, ui);
    }
    let steps = next_steps(&steps);
    if plan.secret.is_none() {
        return ui.print(&format!(
            "{} holds these credentials already; nothing was written.\n\nNext:\n\n{steps}",
            found.path
        ));
    }
    let verb = if found.files.secret.is_some() { "Rotated" } else { "Created" };
    let state = commit
        .map_or_else(String::new, |commit| format!(", committed as {}", &commit[..commit.len().min(8)]));
    ui.print(&format!("{verb} {}{state}.\n{}\nNext:\n\n{steps}", found.path, listed(&plan.changes)))
}

fn listed(changes: &[String]) -> String {
    changes.iter().map(|change| format!("  {change}\n")).collect()
}

fn steps(found: &Found, plan: &Plan, commit: Option<&str>) -> Vec<(String, &'static str)> {
    let root = shell_word(Path::new(found.repo.root().to_string_lossy().trim_end_matches('/')));
    let here = Path::new(".").canonicalize().is_ok_and(|here| here.as_path() == found.repo.root().as_path());
    let (make, git) = match here {
        true => ("make deploy".to_owned(), "git".to_owned()),
        false => (format!("make -C {root} deploy"), format!("git -C {root}")),
    };
    if plan.secret.is_none() {
        return vec![(make, "if the cluster does not have them yet")];
    }
    let mut steps = vec![(make, "bring the new token to the cluster")];
    if commit.is_none() {
        let record = if plan.record.is_some() { format!(" {}", Record::FILE) } else { String::new() };
        let paths = format!("{}{record}", found.path);
        steps.push((
            format!("{git} add {paths} && {git} commit -m 'Rotate the deploy token' -- {paths}"),
            "git-crypt encrypts it on the way",
        ));
    }
    steps
}
