//! `makeinfra new`: plan everything, check everything, then write it all at once.

use super::{missing, next_steps, print_json, secret_values, sweep, token_source};
use crate::answers::{Answers, Email, Expiry, Name, Values};
use crate::cli::New as Options;
use crate::context::{Context, Payload};
use crate::credentials::{self, Source};
use crate::environment;
use crate::error::{Failure, Result};
use crate::files::{self, NewFile, Staging, shell_word};
use crate::git_crypt::{self, Key};
use crate::interrupt::Interrupts;
use crate::pull_secret::{self, DeployToken, DockerConfig};
use crate::questions::{self, Given};
use crate::repo::{self, surrounding_work_tree};
use crate::templates::{self, File, Kind};
use crate::ui::{self, Ui};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Everything that is decided before the first byte is written.
struct Plan {
    answers: Answers,
    /// The directory that will be made, without links.
    target: PathBuf,
    /// The same as the user would write it.
    shown: PathBuf,
    /// Where the git-crypt key goes, too.
    export_key: Option<PathBuf>,
    files: Vec<File>,
}

/// What was made.
#[derive(Default)]
struct Outcome {
    commit: Option<String>,
    /// The repository is staged, but git does not know who commits.
    nobody: bool,
    /// The commit is not signed, although git is told to sign.
    unsigned: bool,
}

/// Runs the command.
pub fn run(options: &Options, ui: &mut Ui) -> Result<()> {
    let source = if options.no_token { None } else { Some(token_source(&options.token)?) };
    let mut given = given(options, source.as_ref(), ui)?;
    let asked = complete(options, &mut given, source.as_ref(), ui)?;
    let answers = given.answers()?;
    pull_secret::check_registry(&answers.registry, &answers.image)?;
    let (target, shown) = target(&answers, &given)?;
    sweep(&target, options.run.dry_run, ui);
    let export_key = options.export_key.as_deref().map(|file| export_path(file, &target)).transpose()?;
    if let Some(root) = target.parent().and_then(surrounding_work_tree) {
        ui.warn(format!(
            "`{}` lies in the git work tree `{}`: keep it out of there",
            shown.display(),
            root.display()
        ));
    }
    let token = token(options, source, &given, &answers, ui)?;
    let files = render(&answers, token.as_ref())?;
    let plan = Plan { answers, target, shown, export_key, files };
    if options.run.dry_run {
        return print_plan(options, &plan, ui);
    }
    if asked && !agreed(options, &plan, ui)? {
        return Err(Failure::failed("the plan was declined, nothing was written").into());
    }
    let outcome = write(options, &plan)?;
    if outcome.unsigned {
        ui.warn("git is told to sign commits, and this one is not signed: git commit --amend --no-edit -S");
    }
    print_outcome(options, &plan, &outcome, token.is_some(), ui)
}

/// What options and files say.
fn given(options: &Options, source: Option<&Source>, ui: &Ui) -> Result<Given> {
    let from_stdin = options.answers.as_deref() == Some(Path::new("-"));
    if from_stdin && source.is_some_and(Source::reads_stdin) {
        return Err(Failure::usage("standard input cannot be both the answers and the token")
            .hint("--answers FILE or --token-file FILE")
            .into());
    }
    let config = environment::config_home().map(|home| home.join("makeinfra/config.yaml"));
    Given::collect(values(options), options.answers.as_deref(), config.as_deref(), ui)
}

fn values(options: &Options) -> Values {
    let mut values = secret_values(&options.secret);
    let texts = [
        (Name::Project, &options.project),
        (Name::Image, &options.image),
        (Name::Output, &options.output),
        (Name::Namespace, &options.namespace),
        (Name::Port, &options.port),
        (Name::Replicas, &options.replicas),
        (Name::Ingress, &options.ingress),
        (Name::HealthPath, &options.health_path),
        (Name::PodSecurity, &options.pod_security),
        (Name::SecretName, &options.secret_name),
    ];
    values.extend(texts.into_iter().filter_map(|(name, text)| Some((name, Some(text.clone()?)))));
    values
}

/// Asks for what is missing, or names it all in one failure. Says whether anything was asked.
fn complete(options: &Options, given: &mut Given, source: Option<&Source>, ui: &Ui) -> Result<bool> {
    let mut lacking = given.missing();
    let token = source.filter(|_| !options.run.dry_run).map(Source::missing);
    lacking.extend(token.into_iter().flatten().map(str::to_owned));
    if lacking.is_empty() {
        return Ok(false);
    }
    if !ui.can_ask() {
        return Err(missing(
            &lacking,
            "makeinfra new PROJECT --image REF --token-username NAME --token-file FILE",
        ));
    }
    ui.intro("makeinfra new")?;
    if !given.missing().is_empty() {
        questions::ask(given, ui)?;
    }
    Ok(true)
}

/// The directory to make, free of links and as the user would write it.
fn target(answers: &Answers, given: &Given) -> Result<(PathBuf, PathBuf)> {
    let output = given.text(Name::Output).unwrap_or(".");
    let name = answers.project.directory();
    let target = files::directory(Path::new(output))?.join(&name);
    files::check_target(&target)?;
    let shown = if output == "." { PathBuf::from(name) } else { Path::new(output).join(name) };
    Ok((target, shown))
}

/// Where the key goes, if that is a place for a key.
fn export_path(file: &Path, target: &Path) -> Result<PathBuf> {
    let refused = |cause: &str| {
        Failure::usage(format!("cannot export the git-crypt key to `{}`", file.display()))
            .because(cause)
            .hint("--export-key ~/PROJECT-infra.git-crypt-key")
    };
    let name = file.file_name().ok_or_else(|| refused("it names no file"))?;
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // The repository's own directories are not there yet.
    let whole = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let there = whole.ancestors().skip(1).find_map(|above| Some((above, files::directory(above).ok()?)));
    let real = there.and_then(|(above, real)| Some(real.join(whole.strip_prefix(above).ok()?)));
    if real.is_some_and(|real| real.starts_with(target)) {
        return Err(refused("the key must not lie in the repository that it opens").into());
    }
    let file = files::directory(parent)?.join(name);
    if file.symlink_metadata().is_ok() {
        return Err(refused("the file exists").into());
    }
    Ok(file)
}

/// Reads the token, unless there is to be none, or a dry run can do without it.
fn token(
    options: &Options,
    source: Option<Source>,
    given: &Given,
    answers: &Answers,
    ui: &mut Ui,
) -> Result<Option<DeployToken>> {
    let Some(source) = source else { return Ok(None) };
    if options.run.dry_run && !source.missing().is_empty() {
        return Ok(None);
    }
    let mut token = source.read(&answers.registry, Some(&answers.image), ui)?;
    if let Some(expires_at) = given.get::<Expiry>(Name::ExpiresAt)? {
        token = token.expiring(Some(expires_at));
    }
    credentials::warn_if_past(&token, ui);
    Ok(Some(token))
}

fn render(answers: &Answers, token: Option<&DeployToken>) -> Result<Vec<File>> {
    let context = Context::from(answers);
    let Some(token) = token else { return templates::render(&context, None) };
    let email = answers.email.as_ref().map(Email::as_str);
    let base64 = DockerConfig::new(&answers.registry, token, email).encode(answers.secret_type);
    let expires_at = token.expires_at().map(Expiry::as_str);
    templates::render(&context, Some(&Payload { base64: base64.expose(), expires_at }))
}

/// Shows the plan and asks for a yes.
fn agreed(options: &Options, plan: &Plan, ui: &Ui) -> Result<bool> {
    ui.note(&format!("Plan for {}", plan.answers.project.directory()), plan_tree(options, plan).trim_end())?;
    ui.confirm("Create it?")
}

fn write(options: &Options, plan: &Plan) -> Result<Outcome> {
    let interrupts = Interrupts::hold()?;
    let staging = Staging::begin(&plan.target)?;
    staging.write(&plan.files, &interrupts)?;
    let mut outcome = Outcome::default();
    let mut exported = None;
    if !options.no_git {
        let key =
            Key::generate().map_err(|cause| Failure::failed("cannot make a git-crypt key").because(cause))?;
        let repo = repo::New::create(staging.path(), &key)?;
        let tree = repo.stage(&plan.files, &key, &interrupts)?;
        if !options.no_commit {
            let message = format!("Generate {} with makeinfra", plan.answers.project.directory());
            outcome.commit = repo.commit(tree, &message)?;
            outcome.nobody = outcome.commit.is_none();
            outcome.unsigned = outcome.commit.is_some() && repo.wants_signed_commits();
        }
        exported =
            plan.export_key.as_deref().map(|file| NewFile::create(file, &key.to_file())).transpose()?;
    }
    interrupts.check()?;
    staging.publish()?;
    if let Some(exported) = exported {
        exported.keep();
    }
    Ok(outcome)
}

fn print_plan(options: &Options, plan: &Plan, ui: &Ui) -> Result<()> {
    if options.run.json {
        let object = json!({
            "dry_run": true,
            "project": plan.answers.project.as_str(),
            "path": plan.target.display().to_string(),
            "files": listing(plan),
        });
        return print_json(object, ui);
    }
    ui.print(&format!("{}\nNothing was written: this is a dry run.\n", plan_tree(options, plan)))
}

fn plan_tree(options: &Options, plan: &Plan) -> String {
    let secret = crate::context::secret_file(&plan.answers.secret_name);
    let mut files: Vec<(&str, String)> =
        plan.files.iter().map(|file| (file.path.as_str(), note(options, file))).collect();
    if !options.no_token && plan.files.iter().all(|file| file.kind != Kind::Secret) {
        files.push((&secret, "from the deploy token, encrypted in git".to_owned()));
        files.sort();
    }
    ui::tree(&plan.shown.display().to_string(), &files)
}

fn note(options: &Options, file: &File) -> String {
    let size = ui::size(file.text.expose().len());
    if file.kind == Kind::Secret && !options.no_git { format!("{size}, encrypted in git") } else { size }
}

fn listing(plan: &Plan) -> Vec<serde_json::Value> {
    let files = plan.files.iter();
    files.map(|file| json!({"path": file.path, "bytes": file.text.expose().len()})).collect()
}

fn print_outcome(
    options: &Options,
    plan: &Plan,
    outcome: &Outcome,
    has_token: bool,
    ui: &mut Ui,
) -> Result<()> {
    let steps = steps(options, plan, has_token);
    if options.run.json {
        let object = json!({
            "project": plan.answers.project.as_str(),
            "path": plan.target.display().to_string(),
            "files": listing(plan),
            "commit": outcome.commit,
            "exported_key": plan.export_key.as_ref().map(|file| file.display().to_string()),
            "next": steps.iter().map(|(command, _)| command).collect::<Vec<_>>(),
        });
        return print_json(object, ui);
    }
    let state = match (&outcome.commit, options.no_git) {
        (_, true) => "without git".to_owned(),
        (Some(commit), _) => format!("committed as {}", &commit[..commit.len().min(8)]),
        (None, _) => "staged, not committed".to_owned(),
    };
    let mut text = format!("{}\nCreated {} files, {state}.\n", plan_tree(options, plan), plan.files.len());
    if let Some(file) = &plan.export_key {
        text.push_str(&format!("The git-crypt key is in {}.\n", file.display()));
    }
    if outcome.nobody {
        text.push_str("\ngit does not know who you are, so nothing is committed yet. To do it:\n\n");
        text.push_str(&next_steps(&commit_steps(plan)));
    }
    ui.print(&format!("{text}\nNext:\n\n{}", next_steps(&steps)))
}

/// The two commands of someone whom git does not know.
fn commit_steps(plan: &Plan) -> [(String, &'static str); 2] {
    let shown = shell_word(&plan.shown);
    [
        (
            "git config --global user.name 'YOUR NAME' && git config --global user.email YOU@EXAMPLE.COM"
                .to_owned(),
            "tell git who you are",
        ),
        (
            format!(
                "git -C {shown} commit -m 'Generate {} with makeinfra'",
                plan.answers.project.directory()
            ),
            "all is staged, the Secret encrypted",
        ),
    ]
}

/// The next commands: back up the key, go there, deploy.
fn steps(options: &Options, plan: &Plan, has_token: bool) -> Vec<(String, &'static str)> {
    let shown = shell_word(&plan.shown);
    let directory = plan.answers.project.directory();
    let mut steps = Vec::new();
    match &plan.export_key {
        _ if options.no_git => {
            steps.push((format!("cd {shown}"), "no git yet: the Secret in it is plain"));
            steps.push(("git init && git-crypt init".to_owned(), "before the first `git add`"));
        }
        Some(file) => {
            steps.push((
                format!("ls -l {}", shell_word(file)),
                "put this key where your team keeps passwords",
            ));
        }
        None => {
            let key = Path::new(&plan.shown).join(".git").join(git_crypt::KEY_FILE);
            steps.push((
                format!("cp {} ~/{directory}.git-crypt-key", shell_word(&key)),
                "back up the git-crypt key: nobody can unlock a clone without it",
            ));
        }
    }
    match (options.no_git, has_token) {
        (true, true) => {}
        (true, false) => steps.push(("makeinfra rotate".to_owned(), "makes the pull secret")),
        (false, true) => steps.push((format!("cd {shown}"), "")),
        (false, false) => steps.push((format!("cd {shown} && makeinfra rotate"), "makes the pull secret")),
    }
    steps.push(("make deploy".to_owned(), "bring it to the cluster"));
    steps
}
