//! Adds an environment: copies another one's overlay, pipeline file and pull Secret, or records an
//! overlay that was made by hand. Pure.

use super::copy::{self, Copy};
use super::current::Overlay;
use super::objects::{self, HOST};
use super::{Bytes, Files, MadeFrom, OVERLAYS, Plan, merge, record, rendered, text_of};
use crate::advice::Advice;
use crate::answers::{
    Answer, Answers, Ci, ContextName, DnsLabel, Environment, EnvironmentName, Host, Name, Record,
    Setting, Sheet, Values,
};
use crate::error::{Failure, Result};
use crate::yaml_edit;
use zeroize::Zeroizing;

mod ingress;
mod pipeline;
mod secrets;

use ingress::{Ingress, base_ingress, ingresses};

/// The request.
#[derive(Default)]
pub struct Options {
    /// The environment to copy.
    pub like: Option<EnvironmentName>,
    /// The namespace.
    pub namespace: Option<DnsLabel>,
    /// The kubectl context of its cluster.
    pub context: Option<ContextName>,
    /// Whether `make` asks before it changes anything there.
    pub protect: bool,
    /// The number of pods of the project's own component.
    pub replicas: Option<u32>,
    /// The host of that component's Ingress.
    pub ingress: Option<Host>,
    /// Whether to copy other Secrets besides the pull Secret.
    pub with_secrets: bool,
    /// The pull Secret.
    pub pull_secret: PullSecret,
}

/// The source of a new environment's pull Secret.
#[derive(Default)]
pub enum PullSecret {
    /// The copied environment's, if it has one.
    #[default]
    Copied,
    /// One with a deploy token that has not been read yet: an existing file may be it.
    Awaited,
    /// The finished manifest, with its own deploy token.
    Own(Bytes),
}

/// An environment that is about to be added.
pub struct NewEnvironment<'r> {
    made_from: MadeFrom<'r>,
    options: &'r Options,
    name: &'r EnvironmentName,
    /// The environment to copy.
    like: &'r Environment,
    /// The answers including it.
    pub sheet: Sheet,
    /// Its answers that differ from those of the copied environment.
    changed: Vec<(Name, String)>,
    /// The Ingress hosts of each component.
    ingresses: Vec<Option<Ingress>>,
    /// Whether its overlay was made by hand.
    by_hand: bool,
}

impl<'r> NewEnvironment<'r> {
    /// Decides what the environment `name` is: a copy, or an existing overlay that no earlier run
    /// has begun.
    pub fn decide(
        files: &Files,
        made_from: MadeFrom<'r>,
        name: &'r EnvironmentName,
        options: &'r Options,
    ) -> Result<Self> {
        let like = like(made_from.record, options.like.as_ref())?;
        let dir = format!("{OVERLAYS}/{name}");
        let Some(kustomization) = super::kustomization(files, &dir) else {
            return Self::copied(files, made_from, name, options, like);
        };
        // A killed run leaves nothing but what this run would write.
        if let Ok(copied) = Self::copied(files, made_from, name, options, like)
            && let Ok(answers) = copied.sheet.answers()
            && copied.plan(files, &answers).is_ok()
        {
            return Ok(copied);
        }
        Self::by_hand(files, made_from, name, options, like, &kustomization)
    }

    fn copied(
        files: &Files,
        made_from: MadeFrom<'r>,
        name: &'r EnvironmentName,
        options: &'r Options,
        like: &'r Environment,
    ) -> Result<Self> {
        let protect = options.protect || name.is_production();
        let namespace = match &options.namespace {
            Some(namespace) => namespace.to_string(),
            None => namespace_like(made_from.record, like, name),
        };
        let context = options.context.as_ref().or(like.context.as_ref()).map(ToString::to_string);
        let ingresses =
            ingresses(files, made_from.record, like, name, protect, context.as_deref(), options)?;
        let mut changed = vec![
            (Name::Namespace, namespace),
            (Name::Protect, protect.to_string()),
            (Name::Secrets, format!("{}/{name}", Environment::SECRETS)),
        ];
        changed.extend(context.map(|context| (Name::Context, context)));
        changed.extend(options.replicas.map(|replicas| (Name::Replicas, replicas.to_string())));
        let main = ingresses.first().and_then(Option::as_ref);
        changed.extend(main.map(|main| (Name::Ingress, main.new.clone())));
        Self::new(made_from, options, name, like, changed, ingresses, false)
    }

    fn by_hand(
        files: &Files,
        made_from: MadeFrom<'r>,
        name: &'r EnvironmentName,
        options: &'r Options,
        like: &'r Environment,
        path: &str,
    ) -> Result<Self> {
        let dir = format!("{OVERLAYS}/{name}");
        let typed = [
            ("--like", options.like.is_some()),
            ("--namespace", options.namespace.is_some()),
            ("--context", options.context.is_some()),
            ("--protect", options.protect),
            ("--replicas", options.replicas.is_some()),
            ("--ingress", options.ingress.is_some()),
            ("--with-secrets", options.with_secrets),
        ];
        if let Some((option, _)) = typed.into_iter().find(|(_, is_typed)| *is_typed) {
            return Err(Failure::usage(format!("`{option}` requires a new overlay"))
                .because(format!("`{dir}` already exists and is recorded unchanged"))
                .hint(Advice::makeinfra(format!("env add {name}")))
                .into());
        }
        let missing = |what: &str, file: &str| {
            Failure::failed(format!("cannot record `{dir}`"))
                .because(format!("`{file}` has no {what}"))
                .hint(format!("add it as in `{}`", like.overlay()))
        };
        let kustomization = files.text(path)?;
        let overlay = Overlay::new(kustomization, None);
        let namespace = overlay.namespace().ok_or_else(|| missing("`namespace`", path))?;
        let file = format!("{dir}/{}", Environment::SETTINGS);
        let settings = files.text(&file)?.ok_or_else(|| {
            let source = format!("{}/{}", like.overlay(), Environment::SETTINGS);
            Failure::failed(format!("cannot record `{dir}`"))
                .because(format!("`{file}` does not exist"))
                .hint(Advice::at_top(format!("cp {source} {file}")))
        })?;
        let overlay = Overlay::new(kustomization, Some(settings));
        let value = |setting: Setting| overlay.setting(setting).filter(|value| !value.is_empty());
        let secrets = value(Setting::Secrets).ok_or_else(|| missing("`SECRETS`", &file))?;
        if value(Setting::Namespace) != Some(namespace) {
            return Err(Failure::failed(format!("cannot record `{dir}`"))
                .because(format!("`NAMESPACE` in `{file}` differs from `namespace` in `{path}`"))
                .hint(Advice::edit(&file))
                .into());
        }
        let mut changed = vec![
            (Name::Namespace, namespace.to_owned()),
            (Name::Protect, value(Setting::Protected).is_some().to_string()),
            (Name::Secrets, secrets.to_owned()),
        ];
        changed.extend(value(Setting::Context).map(|context| (Name::Context, context.to_owned())));
        let main = made_from.record.answers.main();
        if main.ingress.is_some() {
            let base = base_ingress(files, main);
            let patched = overlay.patched(main.name.as_str(), HOST).ok().flatten();
            let host = patched.or(base.map(|(host, _)| host));
            changed.extend(host.map(|host| (Name::Ingress, host)));
        }
        let count = overlay.count(main.name.as_str()).ok().flatten();
        changed.extend(count.map(|count| (Name::Replicas, count.to_string())));
        Self::new(made_from, options, name, like, changed, Vec::new(), true)
    }

    fn new(
        made_from: MadeFrom<'r>,
        options: &'r Options,
        name: &'r EnvironmentName,
        like: &'r Environment,
        changed: Vec<(Name, String)>,
        ingresses: Vec<Option<Ingress>>,
        by_hand: bool,
    ) -> Result<Self> {
        let new = |of: Name| {
            changed.iter().find(|(name, _)| *name == of).map(|(_, value)| value.as_str())
        };
        check_namespace(made_from.record, name, new(Name::Namespace), new(Name::Context), by_hand)?;
        let mut sheet = made_from.record.sheet.clone();
        if sheet.environments.is_empty() {
            let own = sheet.environment(&like.name);
            own.insert(Name::Namespace, Some(like.namespace.to_string()));
            own.insert(Name::Protect, Some("false".to_owned()));
            own.insert(Name::Secrets, Some(like.secrets.clone()));
        }
        // What a hand-made overlay does not say is not taken from another environment.
        let mut values =
            if by_hand { Values::default() } else { sheet.environment(&like.name).clone() };
        values.extend(changed.iter().map(|(name, value)| (*name, Some(value.clone()))));
        *sheet.environment(name) = values;
        Ok(Self { made_from, options, name, like, sheet, changed, ingresses, by_hand })
    }

    /// The environment that it is copied from.
    #[must_use]
    pub fn like(&self) -> &'r Environment {
        self.like
    }

    /// Whether its overlay was made by hand, and is only recorded.
    #[must_use]
    pub fn is_by_hand(&self) -> bool {
        self.by_hand
    }

    /// The plan. `answers` are those of the sheet.
    pub fn plan(&self, files: &Files, answers: &Answers) -> Result<Plan> {
        let mut plan = Plan::default();
        let to = answers.environment(self.name.as_str()).unwrap_or(&answers.environments.first);
        self.state(&mut plan, files, to);
        let pipeline = format!(".gitlab/{}.yml", self.name);
        if self.by_hand && answers.ci == Ci::Gitlab && files.get(&pipeline).is_none() {
            plan.notes.push(format!("no pipeline job deploys it: `{pipeline}` does not exist"));
        }
        if !self.by_hand {
            self.copy_secrets(&mut plan, files, answers, to)?;
            self.copy_overlay(&mut plan, files, answers, to)?;
            self.copy_pipeline(&mut plan, files, answers)?;
        }
        let copied = !self.by_hand;
        let text =
            record::with_environment(self.made_from.record, self.like, to, &self.changed, copied)?;
        Record::parse(text.clone())?;
        plan.write_text(files, Record::FILE, &text)?;
        Ok(plan)
    }

    /// Notes the decisions.
    fn state(&self, plan: &mut Plan, files: &Files, to: &Environment) {
        let like = &self.like.name;
        plan.facts.push(if self.by_hand {
            ("overlay", format!("{}, recorded unchanged", to.overlay()))
        } else {
            ("copied from", like.to_string())
        });
        plan.facts.push(("namespace", to.namespace.to_string()));
        plan.facts.push((
            "context",
            to.context
                .as_ref()
                .map_or("the current context of kubectl".to_owned(), ToString::to_string),
        ));
        plan.facts.push((
            "protected",
            if to.protect { "yes: make asks for confirmation" } else { "no" }.to_owned(),
        ));
        if let Some(replicas) = self.options.replicas {
            plan.facts.push(("pods", replicas.to_string()));
        }
        let names = self.made_from.record.answers.components.iter().map(|one| one.name.as_str());
        for (place, (name, ingress)) in names.zip(&self.ingresses).enumerate() {
            let of = if place > 0 { format!(" ({name})") } else { String::new() };
            plan.facts
                .extend(ingress.as_ref().map(|ingress| ("host", format!("{}{of}", ingress.new))));
        }
        if self.by_hand {
            plan.facts.extend(to.ingress.as_ref().map(|host| ("host", host.to_string())));
        } else {
            self.warn_of_base_hosts(plan, files, to);
        }
    }

    fn copy_overlay(
        &self,
        plan: &mut Plan,
        files: &Files,
        answers: &Answers,
        to: &Environment,
    ) -> Result<()> {
        let (from, dir) = (self.like.overlay(), to.overlay());
        let path = super::kustomization(files, &from).ok_or_else(|| {
            Failure::failed(format!("cannot copy `{from}`"))
                .because("it has no kustomization.yaml")
                .hint(Advice::makeinfra("env add NAME").with("--like ENV"))
        })?;
        let hosts = self.hosts(files, &from, to);
        let copy = Copy { from: self.like, to, hosts: &hosts };
        let target = |path: &str| format!("{dir}{}", path.strip_prefix(&from).unwrap_or_default());
        let file = format!("{from}/{}", Environment::SETTINGS);
        for (path, found) in
            files.below(&from).filter(|(one, found)| *one != path && *one != file && !found.ignored)
        {
            if let Some(bytes) = files.bytes(path)? {
                plan.create(files, &target(path), copy.file(bytes), found.executable)?;
            }
        }
        let settings = files.text(&file)?.unwrap_or_default();
        let settings = hosts.replaced(&copy::settings(settings, to));
        plan.create(files, &target(&file), Zeroizing::new(settings.into_bytes()), false)?;
        let text = files.text(&path)?.unwrap_or_default();
        let edited = copy.kustomization(&path, &from, text, &mut plan.notes)?;
        let edited = self.with_patches(&path, &edited, answers, to)?;
        // If the lines merge to the same content, the layout of a fresh overlay is used.
        let fresh = (
            rendered(self.made_from.templates, &self.made_from.record.answers)?,
            rendered(self.made_from.templates, answers)?,
        );
        let both = (text_of(&fresh.0, &path), text_of(&fresh.1, &target(&path)));
        let merged = match both {
            (Some(old), Some(new)) => merge::lines(old, text, new)?,
            _ => None,
        };
        let text = merged.filter(|merged| yaml_edit::same(merged, &edited)).unwrap_or(edited);
        plan.create(files, &target(&path), Zeroizing::new(text.into_bytes()), false)
    }
}

/// The environment to copy: the named one, otherwise the only one, otherwise the first that is not
/// protected.
fn like<'r>(record: &'r Record, name: Option<&EnvironmentName>) -> Result<&'r Environment> {
    let all = &record.answers.environments;
    if let Some(name) = name {
        return all.iter().find(|one| one.name == *name).ok_or_else(|| {
            let names = all.iter().map(|one| one.name.to_string()).collect::<Vec<_>>().join(", ");
            Failure::usage(format!("the environment in `--like` does not exist: `{name}`"))
                .because(format!("existing: {names}"))
                .hint(format!("--like {}", all.first.name))
                .into()
        });
    }
    Ok(all.iter().find(|one| !one.protect).unwrap_or(&all.first))
}

/// The namespace of the environment `name`, formed like that of `like` if that contains its own
/// name.
fn namespace_like(record: &Record, like: &Environment, name: &EnvironmentName) -> String {
    let parts: Vec<_> = like.namespace.as_str().split(like.name.as_str()).collect();
    let ends = |part: &str, at: usize| match at {
        0 => part.is_empty() || part.ends_with('-'),
        _ => part.is_empty() || part.starts_with('-'),
    };
    match parts[..] {
        [before, after] if ends(before, 0) && ends(after, 1) && parts.concat() != "" => {
            format!("{before}{name}{after}")
        }
        _ => format!("{}-{name}", record.answers.project),
    }
}

/// Fails if an environment of the same cluster has the namespace of the new environment `name`.
fn check_namespace(
    record: &Record,
    name: &EnvironmentName,
    namespace: Option<&str>,
    context: Option<&str>,
    by_hand: bool,
) -> Result<()> {
    let Answers { environments, project, .. } = &record.answers;
    let has = |one: &Environment, namespace: &str| {
        one.namespace.as_str() == namespace
            && one.context.as_ref().map(ContextName::as_str) == context
    };
    let Some((namespace, other)) = namespace.and_then(|namespace| {
        Some((namespace, environments.iter().find(|one| has(one, namespace))?))
    }) else {
        return Ok(());
    };
    let free =
        [format!("{project}-{name}"), format!("{project}-{name}-2")].into_iter().find(|free| {
            DnsLabel::parse(free).is_ok() && !environments.iter().any(|one| has(one, free))
        });
    let hint = if by_hand {
        Advice::edit_matching(&format!("{OVERLAYS}/{name}/*"))
    } else {
        Advice::makeinfra(format!("env add {name}"))
            .with(format_args!("--namespace {}", free.as_deref().unwrap_or("NS")))
    };
    Err(Failure::usage(format!(
        "the environment `{}` already uses the namespace `{namespace}`",
        other.name
    ))
    .because("environments in the same cluster must have different namespaces")
    .hint(hint)
    .into())
}

/// The bytes of a text.
fn bytes(text: &str) -> Bytes {
    Zeroizing::new(text.as_bytes().to_vec())
}
