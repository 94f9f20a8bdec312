//! `makeinfra new`: plans everything, checks everything, then writes everything at once.

mod issue;
mod nested;
mod report;
mod tokens;

use super::component;
use super::scope::{self, Scoped};
use super::sign_in::SignInCheck;
use super::{
    Sources, missing, secret_answers, sweep, token_sources, warn_of_images, warn_of_shared_hosts,
};
use crate::advice::Advice;
use crate::answers::{Answers, Ci, Name, ProjectName, Sheet};
use crate::cli::New as Options;
use crate::environment;
use crate::error::{Failure, Result};
use crate::files::{self, Leftover, NewFile, Staging};
use crate::git_crypt::{self, Key};
use crate::interrupt::Interrupts;
use crate::pull_secret;
use crate::questions::{self, Given};
use crate::repo::{self, surrounding_work_tree};
use crate::report::Report;
use crate::templates::File;
use crate::ui::Ui;
use issue::PendingToken;
use nested::Nested;
use std::io;
use std::path::{Path, PathBuf};
use tokens::Tokens;

/// Everything that is decided before the first byte is written.
struct Plan {
    answers: Answers,
    /// The directory to create, with links resolved.
    target: PathBuf,
    /// The same directory as the user would write it.
    shown: PathBuf,
    /// An additional path for the git-crypt key.
    export_key: Option<PathBuf>,
    /// User names of the deploy tokens; empty without tokens.
    usernames: Vec<String>,
    /// Expiries of the tokens.
    expiries: Vec<String>,
    files: Vec<File>,
    /// The registry's answer about the token; `None` if it was not asked.
    checked: Option<SignInCheck>,
    /// Whether the user has confirmed the plan.
    agreed: bool,
    /// The git repository in which it becomes a folder.
    nested: Option<Nested>,
}

/// What was created.
#[derive(Default)]
struct Outcome {
    commit: Option<String>,
    /// Whether the commit is missing because git does not know the author.
    nobody: bool,
    /// Whether the commit is unsigned although git is configured to sign.
    unsigned: bool,
}

/// Location and content of the repository, before there is a token.
struct Draft {
    answers: Answers,
    target: PathBuf,
    shown: PathBuf,
    export_key: Option<PathBuf>,
    nested: Option<Nested>,
}

/// Runs the command.
pub fn run(options: &Options, ui: &mut Ui) -> Result<Report> {
    let mut given = given(options, ui)?;
    let lifetime = issue::lifetime(options, &given, ui)?;
    let sources = if options.no_token || lifetime.is_some() {
        None
    } else {
        Some(token_sources(&options.token, |name| given.environments().contains(name))?)
    };
    check_stdin(options, sources.as_ref())?;
    let asked = complete(options, &mut given, sources.as_ref(), ui)?;
    let mut draft = Draft::of(options, &given, ui)?;
    if options.no_token && given.has(Name::ExpiresAt) {
        ui.warn("`--expires-at` requires a token: use it with `makeinfra rotate`");
    }
    let mut tokens = Tokens::read(options, sources, &given, &draft.answers, ui)?;
    let (plan, issue) = loop {
        let checked = tokens.check(options, &draft.answers, ui)?;
        let issue = lifetime
            .as_ref()
            .map(|lifetime| PendingToken::prepare(options, &draft, lifetime.clone(), ui))
            .transpose()?;
        let files = match &issue {
            Some(_) => PendingToken::planned(&draft.answers)?.render(&draft.answers)?,
            None => tokens.render(&draft.answers)?,
        };
        let mut plan = draft.with(files, &tokens, checked);
        if let Some(issue) = &issue {
            issue.describe(&mut plan);
        }
        if options.run.dry_run {
            return Ok(report::plan(options, &plan));
        }
        if !asked || options.confirmation.yes {
            break (plan, issue);
        }
        let title = format!("Plan for {}", plan.answers.project.directory());
        ui.note(&title, &report::decisions(options, &plan))?;
        plan.agreed = ui.decide("Create it?", &["yes", "no"])? == "yes";
        if plan.agreed {
            break (plan, issue);
        }
        if !questions::change(&mut given, ui)? {
            return Err(Failure::failed("the plan was declined, nothing was written").into());
        }
        draft = Draft::of(options, &given, ui)?;
        tokens.follow(&draft.answers);
    };
    drop(tokens);
    let (plan, outcome) = match issue {
        Some(issue) => issue.write(options, plan, ui)?,
        None => {
            let outcome = write(options, &plan, || Ok(()))?;
            (plan, outcome)
        }
    };
    if outcome.unsigned {
        let sign = Advice::anywhere("git commit --amend --no-edit -S");
        let sign = Advice::anywhere("cd").path(&plan.shown).and(sign).typed(None);
        ui.warn(format!(
            "git is configured to sign commits, but this commit is not signed: {sign}"
        ));
    }
    Ok(report::outcome(options, &plan, &outcome))
}

impl Draft {
    /// The plan for `given`.
    fn of(options: &Options, given: &Given, ui: &mut Ui) -> Result<Self> {
        let mut answers = given.answers()?;
        for (place, file) in given.config_files() {
            let settings = component::settings(&file, ui)?;
            if let Some(component) = answers.components.iter_mut().nth(place) {
                component.settings = Some(settings);
            }
        }
        if !answers.main().is_public() {
            pull_secret::check_registry(&answers.registry, answers.image())?;
        }
        warn_of_shared_hosts(&answers, ui);
        warn_of_images(&answers, ui);
        let (target, shown) = target(given)?;
        sweep(&target, Leftover::Directory, options.run.dry_run, ui);
        let export_key =
            options.export_key.as_deref().map(|file| export_path(file, &target)).transpose()?;
        if let Some(file) = &export_key {
            sweep(file, Leftover::File, options.run.dry_run, ui);
        }
        let nested = if options.no_git { Nested::find(&target, options.no_token)? } else { None };
        if nested.is_some() {
            // GitLab only reads the file at the top of a repository.
            let options_of_ci =
                [("--ci-image", given.is_given(Name::CiImage)), ("--ci-rotate", answers.ci_rotate)];
            if let Some((option, _)) = options_of_ci.iter().find(|(_, is_given)| *is_given) {
                return Err(Failure::usage(format!("`{option}` requires a separate repository"))
                    .because("GitLab reads the pipeline only at the top of a git repository")
                    .hint("omit it")
                    .into());
            }
            (answers.ci, answers.ci_image) = (Ci::None, None);
        } else if let Some(root) =
            target.parent().and_then(surrounding_work_tree).filter(|_| !options.no_git)
        {
            ui.warn(format!(
                "`{}` is inside the git work tree `{}`, which will treat it as an embedded \
                 repository: --output DIR",
                shown.display(),
                root.display()
            ));
        }
        Ok(Self { answers, target, shown, export_key, nested })
    }

    fn with(self, files: Vec<File>, tokens: &Tokens, checked: Option<SignInCheck>) -> Plan {
        let Self { answers, target, shown, export_key, nested } = self;
        let (usernames, expiries) = (tokens.usernames(), tokens.expiries());
        Plan {
            answers,
            target,
            shown,
            export_key,
            usernames,
            expiries,
            files,
            checked,
            agreed: false,
            nested,
        }
    }
}

/// The answers in options and files.
fn given(options: &Options, ui: &Ui) -> Result<Given> {
    let config = environment::config_home().map(|home| home.join("makeinfra/config.yaml"));
    let declared = scope::names("--env", &options.env)?;
    Given::collect(sheet(options)?, &declared, options.answers.as_deref(), config.as_deref(), ui)
}

fn sheet(options: &Options) -> Result<Sheet> {
    let mut sheet = Sheet::default();
    let texts = [
        (Name::Project, &options.project),
        (Name::Output, &options.output),
        (Name::PodSecurity, &options.pod_security),
        (Name::SecretName, &options.secret_name),
        (Name::Ci, &options.pipeline.ci),
        (Name::CiImage, &options.pipeline.ci_image),
    ];
    sheet
        .values
        .extend(texts.into_iter().filter_map(|(name, text)| Some((name, Some(text.clone()?)))));
    sheet
        .values
        .extend(options.pipeline.ci_rotate.then(|| (Name::CiRotate, Some("yes".to_owned()))));
    sheet.values.extend(component::values(&options.component));
    let own = [(Name::Namespace, &options.namespace[..]), (Name::Context, &options.context)];
    for (name, texts) in own.into_iter().chain(component::scoped(&options.component)) {
        // The values of these options contain no `=`.
        Scoped::read(&name.option(), texts, |_| true)?.answer(name, &mut sheet);
    }
    secret_answers(&options.secret, &mut sheet, |_| true)?;
    for name in scope::names("--protect", &options.protect)? {
        sheet.environment(&name).insert(Name::Protect, Some("yes".to_owned()));
    }
    Ok(sheet)
}

/// Fails if standard input is needed for two things.
fn check_stdin(options: &Options, sources: Option<&Sources>) -> Result<()> {
    let tokens =
        sources.map_or(0, |sources| sources.all().filter(|source| source.reads_stdin()).count());
    let from_stdin = options.answers.as_deref() == Some(Path::new("-"));
    if tokens + usize::from(from_stdin) < 2 {
        return Ok(());
    }
    let both = if from_stdin { "both the answers and the token" } else { "two tokens" };
    Err(Failure::usage(format!("standard input cannot be {both}"))
        .hint("--answers FILE or --token-file FILE")
        .into())
}

/// Asks for missing answers, or fails with a list of all. Returns whether anything was asked.
fn complete(
    options: &Options,
    given: &mut Given,
    sources: Option<&Sources>,
    ui: &Ui,
) -> Result<bool> {
    let mut lacking = given.missing();
    if let Some(sources) = sources.filter(|_| !options.run.dry_run) {
        let environments = given.environments();
        for source in sources.needed(&environments) {
            let of = sources.whose(source, &environments);
            for option in source.missing() {
                let option =
                    if of.is_empty() { option.to_owned() } else { format!("{option} for {of}") };
                if !lacking.contains(&option) {
                    lacking.push(option);
                }
            }
        }
    }
    if lacking.is_empty() {
        return Ok(false);
    }
    if !ui.can_ask() {
        return Err(missing(
            &lacking,
            Advice::makeinfra("new PROJECT")
                .with("--image REF --token-username NAME --token-file FILE"),
        ));
    }
    ui.intro("makeinfra new")?;
    if given.has(Name::Project) {
        // Checked before asking a dozen questions.
        target(given)?;
    }
    if !given.missing().is_empty() {
        questions::ask(given, ui)?;
    }
    Ok(true)
}

/// The directory to create, with links resolved and as the user would write it.
fn target(given: &Given) -> Result<(PathBuf, PathBuf)> {
    let output = given.text(Name::Output).unwrap_or(".");
    let project: Option<ProjectName> = given.get(Name::Project)?;
    let name = project.map(|project| project.directory()).unwrap_or_default();
    let target = files::directory(Path::new(output))?.join(&name);
    files::check_target(&target)?;
    let shown = if output == "." { PathBuf::from(name) } else { Path::new(output).join(name) };
    Ok((target, shown))
}

/// The path for the key, if a key may be written there.
fn export_path(file: &Path, target: &Path) -> Result<PathBuf> {
    let refused = |cause: &str| {
        Failure::usage(format!("cannot export the git-crypt key to `{}`", file.display()))
            .because(cause)
            .hint("--export-key ~/PROJECT-infra.git-crypt-key")
    };
    let name = file.file_name().ok_or_else(|| refused("it names no file"))?;
    let parent =
        file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // The repository's own directories do not exist yet.
    let whole = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let there =
        whole.ancestors().skip(1).find_map(|above| Some((above, files::directory(above).ok()?)));
    let real = there.and_then(|(above, real)| Some(real.join(whole.strip_prefix(above).ok()?)));
    if real.is_some_and(|real| real.starts_with(target)) {
        return Err(refused("the key must not be inside the repository that it decrypts").into());
    }
    let file = files::directory(parent)?.join(name);
    if file.symlink_metadata().is_ok() {
        return Err(refused("the file already exists").into());
    }
    Ok(file)
}

/// The failure to write the key to `file` after the repository was created.
fn not_exported(plan: &Plan, file: &Path, error: &io::Error) -> Failure {
    let made = plan.shown.display();
    Failure::failed(format!(
        "`{made}` was created, but its git-crypt key was not exported to `{}`",
        file.display()
    ))
    .because(error.to_string())
    .hint(
        Advice::anywhere("cp")
            .path(&plan.target.join(".git").join(git_crypt::KEY_FILE))
            .arg("KEY_FILE"),
    )
    .after_writing()
}

/// Writes all of `plan`. Calls `last` when everything but the final name exists.
fn write(options: &Options, plan: &Plan, last: impl FnOnce() -> Result<()>) -> Result<Outcome> {
    let interrupts = Interrupts::hold()?;
    let staging = Staging::begin(&plan.target)?;
    staging.write(&plan.files, &interrupts)?;
    let mut outcome = Outcome::default();
    let mut exported = None;
    if !options.no_git {
        let key = Key::generate()
            .map_err(|cause| Failure::failed("cannot create a git-crypt key").because(cause))?;
        let repo = repo::New::create(staging.path(), &key)?;
        let tree = repo.stage(&plan.files, &key, &interrupts)?;
        if !options.no_commit {
            let message = format!("Generate {} with makeinfra", plan.answers.project.directory());
            outcome.commit = repo.commit(tree, &message)?;
            outcome.nobody = outcome.commit.is_none();
            outcome.unsigned = outcome.commit.is_some() && repo.wants_signed_commits();
        }
        exported = plan
            .export_key
            .as_deref()
            .map(|file| NewFile::create(file, &key.to_file()))
            .transpose()?;
    }
    interrupts.check()?;
    last()?;
    staging.publish()?;
    // A key without its repository is useless, and would block the next run.
    if let (Some(exported), Some(file)) = (exported, &plan.export_key) {
        exported.publish().map_err(|error| not_exported(plan, file, &error))?;
    }
    Ok(outcome)
}
