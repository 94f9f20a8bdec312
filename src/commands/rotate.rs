//! `makeinfra rotate`: a new deploy token in the pull secret, and nothing else changed.

use super::sign_in::{self, Checked};
use super::{missing, next_steps, print_json, secret_answers, short, sweep, token_source};
use crate::answers::{Environment, Name, Record, Sheet};
use crate::cli::Rotate as Options;
use crate::credentials::{self, Source};
use crate::error::{Failure, Result};
use crate::files::{self, Leftover, Replacement, shell_word};
use crate::git_crypt;
use crate::inspection::{Inspection, Scope};
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
const LIMIT: usize = 2 << 20;

/// The repository as it is.
struct Found {
    repo: Repo,
    files: Files,
    /// The Secret file, below the top of the repository and in full.
    path: String,
    file: PathBuf,
    /// Whether HEAD holds another Secret than the file; nobody knows where the key is missing.
    uncommitted: bool,
    /// What the registry says of the new token, if it was asked.
    checked: Option<Checked>,
}

/// Runs the command.
pub fn run(options: &Options, ui: &mut Ui) -> Result<()> {
    let source = token_source(&options.token)?;
    let wishes = wishes(options, ui)?;
    let mut found = find(options)?;
    let _lock = if options.run.dry_run { None } else { found.repo.lock()? };
    check(options, &mut found, &wishes, ui)?;
    for file in [&found.file, &found.repo.root().join(Record::FILE)] {
        sweep(file, Leftover::File, options.run.dry_run, ui);
    }
    let lacking: Vec<String> = source.missing().into_iter().map(str::to_owned).collect();
    if options.run.dry_run && !lacking.is_empty() {
        return print_dry_run(options, &found, None, ui);
    }
    if !lacking.is_empty() && !ui.can_ask() {
        return Err(missing(&lacking, "makeinfra rotate --token-username NAME --token-file FILE"));
    }
    if !lacking.is_empty() {
        ui.intro("makeinfra rotate")?;
        ui.note("Pull secret", &format!("{}\nfor {}", found.file.display(), found.files.registry(&wishes)?))?;
    }
    let token = token(source, &found, &wishes, ui)?;
    let plan = found.files.rotate(&token, &wishes)?;
    if options.check.check {
        let inspection = inspect(options)?;
        let deployed = inspection.manifests.pulls().map(|pull| pull.image);
        let images = found.files.images(&plan, &wishes, deployed)?;
        found.checked = sign_in::check(&options.check, &token, &images, ui)?;
    }
    if options.run.dry_run {
        return print_dry_run(options, &found, Some(&plan), ui);
    }
    let commit = write(options, &found, &plan)?;
    print_outcome(options, &found, &plan, commit.as_deref(), ui)
}

fn wishes(options: &Options, ui: &Ui) -> Result<Wishes> {
    let mut sheet = Sheet::default();
    secret_answers(&options.secret, &mut sheet, |_| false)?;
    let given = Given::collect(sheet, &[], None, None, ui)?;
    Ok(Wishes {
        registry: given.get(Name::Registry)?,
        email: given.get(Name::Email)?,
        kind: given.get(Name::SecretType)?,
        expires_at: given.get(Name::ExpiresAt)?,
    })
}

/// Finds the repository and reads what it has.
fn find(options: &Options) -> Result<Found> {
    let repo = Repo::find(&options.repo, "rotate")?;
    let root = repo.root();
    let record = read(Record::FILE, &root.join(Record::FILE))?;
    let record = record.map(|text| Record::parse(text.expose().to_owned())).transpose()?;
    let path = record.as_ref().map_or_else(Environment::default_secret_file, |record| {
        record.answers.environments.first.secret_file(&record.answers.secret_name)
    });
    let file = root.join(&path);
    let secret = read(&path, &file)?;
    if secret.is_none() && record.is_none() {
        return Err(Failure::failed(format!("`{}` is no repository of makeinfra's", root.display()))
            .because(format!("it has neither `{}` nor `{path}`", Record::FILE))
            .hint("makeinfra new PROJECT")
            .into());
    }
    Ok(Found {
        repo,
        files: Files { record, place: 0, path: path.clone(), secret },
        path,
        file,
        uncommitted: false,
        checked: None,
    })
}

/// The plain text of a file of the repository; none where there is no such file.
fn read(path: &str, file: &Path) -> Result<Option<Secret>> {
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
fn check(options: &Options, found: &mut Found, wishes: &Wishes, ui: &mut Ui) -> Result<()> {
    let Found { repo, path, .. } = &*found;
    repo.check_protected(path)?;
    for warning in found.files.check(wishes)? {
        ui.warn(warning);
    }
    let text = found.files.secret.as_ref().map(Secret::expose);
    let head = repo.key(path).map(|key| repo.head_secret(path, &key, text));
    let uncommitted =
        text.is_some() && head.as_ref().is_ok_and(|head| *head != HeadSecret::Encrypted { same: true });
    if !options.commit {
        found.uncommitted = uncommitted;
        return Ok(());
    }
    repo.check_can_commit()?;
    if repo.wants_signed_commits() {
        ui.warn("git is told to sign commits; this one will not be signed");
    }
    match head? {
        HeadSecret::Absent | HeadSecret::Encrypted { .. } => {}
        HeadSecret::Plain => ui.warn(format!(
            "HEAD holds `{path}` in plain: whoever has the repository has that token; revoke it"
        )),
        HeadSecret::OtherKey => {
            return Err(Failure::failed(format!("`{path}` was encrypted with another key"))
                .because("the git-crypt key of this clone does not open what HEAD holds")
                .hint("git-crypt lock --force && git-crypt unlock KEY_FILE")
                .into());
        }
    }
    found.uncommitted = uncommitted;
    Ok(())
}

/// Reads the manifests, for their images.
fn inspect(options: &Options) -> Result<Inspection> {
    Inspection::of(&Scope { repo: options.repo.clone(), ..Scope::default() }, "rotate")
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

/// Writes what is to change and commits it if that is wanted. Gives the commit's id.
fn write(options: &Options, found: &Found, plan: &Plan) -> Result<Option<String>> {
    let commits = options.commit && (plan.writes() || found.uncommitted);
    // Where the file holds the token already, it may still have to be committed.
    let Some(text) = plan.secret.as_ref().or(found.files.secret.as_ref()) else { return Ok(None) };
    if !plan.writes() && !commits {
        return Ok(None);
    }
    let interrupts = Interrupts::hold()?;
    let repo = &found.repo;
    let mut replacements = Vec::new();
    let record_file = repo.root().join(Record::FILE);
    if let Some(text) = &plan.secret {
        replacements.push(Replacement::prepare(&found.file, text.expose(), 0o600)?);
    }
    if let Some(text) = &plan.record {
        let mode = record_file.metadata().map_or(0o644, |file| file.permissions().mode() & 0o777);
        replacements.push(Replacement::prepare(&record_file, text, mode)?);
    }
    let mut blobs = Vec::new();
    if commits {
        let cipher = repo.key(&found.path)?.encrypt(text.expose().as_bytes());
        blobs.push(repo.store(&found.path, &cipher)?);
        if let Some(text) = plan.record.as_ref().or(earlier_record(found, text)) {
            blobs.push(repo.store(Record::FILE, text.as_bytes())?);
        }
    }
    interrupts.check()?;
    check_unchanged(found, &record_file)?;
    if commits {
        // Once more: a merge may have begun while the token was waited for.
        repo.check_can_commit()?;
    }
    for replacement in replacements {
        replacement.publish()?;
    }
    if commits { repo.commit(&blobs, "Rotate the deploy token").map(Some) } else { Ok(None) }
}

/// The record, if an earlier rotation that was not committed has changed it, and nobody else has.
fn earlier_record<'f>(found: &'f Found, secret: &Secret) -> Option<&'f String> {
    let committed = found.repo.head_text(Record::FILE)?;
    let record = found.files.record.as_ref()?;
    found.files.only_followed(&committed, secret).then_some(&record.text)
}

/// Fails if somebody changed the files since they were read, while the token was waited for.
fn check_unchanged(found: &Found, record_file: &Path) -> Result<()> {
    let same = |path: &str, file: &Path, before: Option<&str>| -> Result<()> {
        let now = read(path, file)?;
        if now.as_ref().map(Secret::expose) == before {
            return Ok(());
        }
        Err(Failure::failed(format!("`{path}` was changed in the meantime, nothing was written"))
            .hint("makeinfra rotate, once more")
            .into())
    };
    same(&found.path, &found.file, found.files.secret.as_ref().map(Secret::expose))?;
    same(Record::FILE, record_file, found.files.record.as_ref().map(|record| record.text.as_str()))
}

fn print_dry_run(options: &Options, found: &Found, plan: Option<&Plan>, ui: &Ui) -> Result<()> {
    let size = plan.and_then(|plan| plan.secret.as_ref()).map(|text| text.expose().len());
    if options.run.json {
        let object = json!({
            "dry_run": true,
            "path": found.file.display().to_string(),
            "changed": plan.map(Plan::writes),
            "changes": plan.map(|plan| &plan.changes),
            "bytes": size,
            "check": Checked::json(found.checked.as_ref()),
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
    let checked = Checked::line(found.checked.as_ref());
    ui.print(&format!("{tree}{changes}\n{checked}Nothing was written: this is a dry run.\n"))
}

fn print_outcome(options: &Options, found: &Found, plan: &Plan, commit: Option<&str>, ui: &Ui) -> Result<()> {
    let steps = steps(found, plan, commit);
    if options.run.json {
        let object = json!({
            "path": found.file.display().to_string(),
            "changed": plan.writes(),
            "changes": plan.changes,
            "commit": commit,
            "check": Checked::json(found.checked.as_ref()),
            "next": steps.iter().map(|(command, _)| command).collect::<Vec<_>>(),
        });
        return print_json(object, ui);
    }
    let steps = next_steps(&steps);
    let checked = Checked::line(found.checked.as_ref());
    if plan.secret.is_none() {
        let done = commit.map_or_else(
            || match &plan.record {
                Some(_) => format!("`{}` follows it now", Record::FILE),
                None => "nothing was written".to_owned(),
            },
            |commit| format!("committed as {}", short(commit)),
        );
        return ui.print(&format!(
            "{} holds these credentials already; {done}.\n{checked}\nNext:\n\n{steps}",
            found.path
        ));
    }
    let verb = if found.files.secret.is_some() { "Rotated" } else { "Created" };
    let state = commit.map_or_else(String::new, |commit| format!(", committed as {}", short(commit)));
    ui.print(&format!("{verb} {}{state}.\n{}{checked}\nNext:\n\n{steps}", found.path, listed(&plan.changes)))
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
    let mut steps = match &plan.secret {
        Some(_) => vec![(make, "bring the new token to the cluster")],
        None => vec![(make, "if the cluster does not have them yet")],
    };
    if commit.is_none() && (plan.writes() || found.uncommitted) {
        let secret = plan.secret.as_ref().or(found.files.secret.as_ref());
        let earlier = secret.is_some_and(|secret| earlier_record(found, secret).is_some());
        let with_record = plan.record.is_some() || earlier;
        let record = if with_record { format!(" {}", Record::FILE) } else { String::new() };
        let paths = format!("{}{record}", found.path);
        steps.push((
            format!("{git} add {paths} && {git} commit -m 'Rotate the deploy token' -- {paths}"),
            "git-crypt encrypts it on the way",
        ));
    }
    steps
}
