//! `makeinfra env add`.

use crate::advice::Advice;
use crate::answers::{
    Answer, Answers, Environment, EnvironmentName, Expiry, Name, Record, Refused, Replicas,
};
use crate::change::{self, Files, MadeFrom, NewEnvironment, Plan, PullSecret};
use crate::cli::EnvAdd as Options;
use crate::commands::managed::ManagedRepo;
use crate::commands::sign_in::{self, SignInCheck};
use crate::commands::workspace::Proposal;
use crate::commands::{missing, token_source, warn_of_shared_hosts};
use crate::credentials::Source;
use crate::error::{Failure, Result};
use crate::questions;
use crate::report::Report;
use crate::rotation::SecretFile;
use crate::secret::Secret;
use crate::ui::Ui;

/// Runs the command.
pub fn add(options: &Options, ui: &mut Ui) -> Result<Report> {
    let name = EnvironmentName::parse(&options.name).map_err(|rule| {
        Failure::usage(format!("`NAME` {rule}")).hint(Advice::makeinfra("env add staging"))
    })?;
    let mut wanted = wanted(options)?;
    let own_token = OwnToken::read(options)?;
    if own_token.is_some() {
        wanted.pull_secret = PullSecret::Awaited;
    }
    let managed = ManagedRepo::open(&options.repo, "env add staging", &options.plan)?;
    // An environment that a killed run recorded but did not commit does not count as existing.
    let is_recorded = managed.record.answers.environment(name.as_str()).is_some();
    let stripped;
    let record = if is_recorded {
        let committed =
            managed.committed.as_ref().and_then(|record| record.answers.environment(name.as_str()));
        if committed.is_some() || managed.record.answers.environments.rest.is_empty() {
            return Err(change::exists_already("environment", name.as_str()).into());
        }
        stripped =
            Record::parse(change::environment_dropped(&managed.record.text, name.as_str())?)?;
        &stripped
    } else {
        &managed.record
    };
    let made_from = MadeFrom { record, templates: &managed.templates };
    let new = NewEnvironment::decide(&managed.workspace.files, made_from, &name, &wanted)?;
    let answers = new.sheet.answers().map_err(questions::failure)?;
    let (like, is_by_hand) = (new.like(), new.is_by_hand());
    let mut checked = None;
    let has_own_token = own_token.is_some();
    if let Some(token) = own_token {
        if is_by_hand {
            return Err(Failure::usage("a deploy token requires a new overlay")
                .because("the existing overlay is recorded unchanged")
                .hint(
                    Advice::makeinfra(format!("env add {name}"))
                        .and(Advice::makeinfra("rotate").for_env(Some(&name))),
                )
                .into());
        }
        // Other problems are reported before a token is asked for.
        new.plan(&managed.workspace.files, &answers)?;
        (wanted.pull_secret, checked) =
            token.manifest(options, &managed, like, &answers, &name, ui)?;
    }
    let plan = |files: &Files| -> Result<Plan> {
        NewEnvironment::decide(files, made_from, &name, &wanted)?.plan(files, &answers)
    };
    let planned = plan(&managed.workspace.files)?;
    if is_recorded && !planned.is_done() {
        return Err(change::exists_already("environment", name.as_str()).into());
    }
    warn_of_shared_hosts(&answers, ui);
    let mut next = Vec::new();
    for (secret, _) in planned.lacking {
        let set = Advice::makeinfra(format!("secret set {secret} KEY")).for_env(Some(&name));
        next.push(set.why("each environment has its own values"));
    }
    if !is_by_hand && !has_own_token {
        next.push(
            Advice::makeinfra("rotate").for_env(Some(&name)).why("give it its own deploy token"),
        );
    }
    next.push(Advice::make("deploy").for_env(Some(&name)).why("deploy it"));
    let proposal = Proposal {
        title: format!("New environment {name}"),
        command: Advice::makeinfra(format!("env add {name}")),
        message: format!("Add environment {name}"),
        checked,
        edited: &[],
        new_key: None,
        next,
        plan: &plan,
    };
    managed.workspace.propose(&proposal, &options.plan, ui)
}

/// The options as answers.
fn wanted(options: &Options) -> Result<change::Options> {
    let like = options.like.as_deref().map(EnvironmentName::parse).transpose();
    Ok(change::Options {
        like: like.map_err(|rule| {
            Failure::usage(format!("`--like` {rule}")).hint(Advice::makeinfra("env list"))
        })?,
        namespace: given(Name::Namespace, options.namespace.as_deref())?,
        context: given(Name::Context, options.context.as_deref())?,
        protect: options.protect,
        replicas: given::<Replicas>(Name::Replicas, options.replicas.as_deref())?
            .map(|replicas| replicas.0),
        ingress: given(Name::Ingress, options.ingress.as_deref())?,
        with_secrets: options.with_secrets,
        pull_secret: PullSecret::Copied,
    })
}

fn given<T: Answer>(name: Name, text: Option<&str>) -> Result<Option<T>> {
    text.map(T::parse).transpose().map_err(|rule| questions::failure(Refused::Broken(name, rule)))
}

/// The command to repeat with another deploy token.
fn again(name: &str) -> Advice {
    Advice::makeinfra("env add").arg(name).with("--token-username NAME --token-file FILE")
}

/// A deploy token for the new environment alone.
struct OwnToken {
    source: Source,
    expires_at: Option<Expiry>,
}

impl OwnToken {
    /// Its source; `None` if no option names one.
    fn read(options: &Options) -> Result<Option<Self>> {
        let expires_at = given(Name::ExpiresAt, options.expires_at.as_deref())?;
        if options.token.are_given() {
            return Ok(Some(Self { source: token_source(&options.token)?, expires_at }));
        }
        let lone = [("--expires-at", expires_at.is_some()), ("--check", options.check.check)];
        match lone.into_iter().find(|(_, is_given)| *is_given) {
            Some((option, _)) => Err(Failure::usage(format!(
                "`{option}` requires a deploy token, but none is given"
            ))
            .hint(again(&options.name))
            .into()),
            None => Ok(None),
        }
    }

    /// The pull Secret of `like` with the token in it, and the registry's answer about the token.
    fn manifest(
        self,
        options: &Options,
        managed: &ManagedRepo,
        like: &Environment,
        answers: &Answers,
        name: &EnvironmentName,
        ui: &mut Ui,
    ) -> Result<(PullSecret, Option<SignInCheck>)> {
        let lacking: Vec<_> = self.source.missing().into_iter().map(str::to_owned).collect();
        if !lacking.is_empty() && options.plan.run.dry_run {
            return Ok((PullSecret::Awaited, None));
        }
        if !lacking.is_empty() && !ui.can_ask() {
            return Err(missing(&lacking, again(name.as_str())));
        }
        let place =
            answers.environments.iter().position(|one| one.name == *name).unwrap_or_default();
        let path = answers.secret_files().swap_remove(place);
        let model = managed.workspace.files.text(&like.secret_file(&answers.secret_name))?;
        let model = model.map(|text| Secret::new(text.to_owned()));
        let file = SecretFile::new(place, path, model, None);
        let (registry, asked) = (file.registry(answers)?, options.check.check);
        let token =
            self.source.read(&registry, Some(answers.image()), asked, self.expires_at, ui)?;
        let again = again(name.as_str()).with("--check");
        let checked = sign_in::check(&options.check, &token, &[answers.image()], &again, ui)?;
        let own = file.with_token(answers, &managed.templates, &token)?.map(PullSecret::Own);
        Ok((own.unwrap_or_default(), checked))
    }
}
