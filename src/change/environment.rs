//! A new environment: a copy of another one's overlay, pipeline file and pull Secret, or a hand-made overlay that is
//! recorded. Pure.

use super::copy::{self, Copy};
use super::hosts::{self, Hosts};
use super::objects::{self, HOST, TLS_HOST};
use super::{Bytes, Files, OVERLAYS, Plan, merge, record, rendered, text_of};
use crate::answers::{
    Answer, Answers, Component, ContextName, DnsLabel, Environment, EnvironmentName, Host, Name, Record,
    Setting, Sheet, Workload,
};
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::yaml_edit;
use serde_yaml::Value;
use zeroize::Zeroizing;

mod secrets;

/// What was asked for.
#[derive(Default)]
pub struct Options {
    /// The environment to copy.
    pub like: Option<EnvironmentName>,
    /// Its namespace.
    pub namespace: Option<DnsLabel>,
    /// The kubectl context of its cluster.
    pub context: Option<ContextName>,
    /// Whether `make` asks before it changes anything there.
    pub protect: bool,
    /// How many pods of the project's own component run.
    pub replicas: Option<u32>,
    /// The host of that component's Ingress.
    pub ingress: Option<Host>,
    /// Whether the Secrets beside the pull Secret are copied, too.
    pub with_secrets: bool,
}

/// An environment that is about to be added.
pub struct NewEnvironment<'r> {
    record: &'r Record,
    options: &'r Options,
    name: &'r EnvironmentName,
    /// The environment that it is copied from.
    like: &'r Environment,
    /// The answers with it.
    pub sheet: Sheet,
    /// Its answers that differ from those of the other one.
    changed: Vec<(Name, String)>,
    /// For each component, the hosts of its Ingress.
    ingresses: Vec<Option<Ingress>>,
    /// Whether its overlay was made by hand.
    by_hand: bool,
}

/// The host of a component's Ingress.
struct Ingress {
    /// In base.
    base: String,
    /// Whether that is the host of its certificate, too.
    tls: bool,
    /// In the environment that is copied.
    old: String,
    /// In the new one.
    new: String,
}

impl<'r> NewEnvironment<'r> {
    /// Decides what the environment `name` is: a copy, or an overlay that is there and that no earlier run has begun.
    pub fn decide(
        files: &Files,
        record: &'r Record,
        name: &'r EnvironmentName,
        options: &'r Options,
    ) -> Result<Self> {
        let like = like(record, options.like.as_ref())?;
        let dir = format!("{OVERLAYS}/{name}");
        let Some(kustomization) = super::kustomization(files, &dir) else {
            return Self::copied(files, record, name, options, like);
        };
        // A run that was killed has left nothing but what this one would write.
        if let Ok(copied) = Self::copied(files, record, name, options, like)
            && let Ok(answers) = copied.sheet.answers()
            && copied.plan(files, &answers).is_ok()
        {
            return Ok(copied);
        }
        Self::by_hand(files, record, name, options, like, &kustomization)
    }

    fn copied(
        files: &Files,
        record: &'r Record,
        name: &'r EnvironmentName,
        options: &'r Options,
        like: &'r Environment,
    ) -> Result<Self> {
        let protect = options.protect || name.is_production();
        let namespace = match &options.namespace {
            Some(namespace) => namespace.to_string(),
            None => namespace_like(record, like, name),
        };
        let context = options.context.as_ref().or(like.context.as_ref()).map(ToString::to_string);
        let ingresses = ingresses(files, record, like, name, protect, context.as_deref(), options)?;
        let mut changed = vec![
            (Name::Namespace, namespace),
            (Name::Protect, protect.to_string()),
            (Name::Secrets, format!("{}/{name}", Environment::SECRETS)),
        ];
        changed.extend(context.map(|context| (Name::Context, context)));
        changed.extend(options.replicas.map(|replicas| (Name::Replicas, replicas.to_string())));
        let main = ingresses.first().and_then(Option::as_ref);
        changed.extend(main.map(|main| (Name::Ingress, main.new.clone())));
        Ok(Self::new(record, options, name, like, changed, ingresses, false))
    }

    fn by_hand(
        files: &Files,
        record: &'r Record,
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
            return Err(Failure::usage(format!("`{option}` is for a new overlay"))
                .because(format!("`{dir}` exists and is only recorded as it is"))
                .hint(format!("makeinfra env add {name}"))
                .into());
        }
        let missing = |what: &str, file: &str| {
            Failure::failed(format!("cannot record `{dir}`"))
                .because(format!("`{file}` has no {what}"))
                .hint(format!("add it as in `{}`", like.overlay()))
        };
        let kustomization = objects::kustomization(files.text(path)?);
        let namespace =
            objects::text(&kustomization, &["namespace"]).ok_or_else(|| missing("`namespace`", path))?;
        let file = format!("{dir}/{}", Environment::SETTINGS);
        let settings = files.text(&file)?.ok_or_else(|| missing("settings", &file))?;
        let value = |setting: Setting| setting.of(settings).filter(|value| !value.is_empty());
        let secrets = value(Setting::Secrets).ok_or_else(|| missing("`SECRETS`", &file))?;
        if value(Setting::Namespace) != Some(namespace) {
            return Err(Failure::failed(format!("cannot record `{dir}`"))
                .because(format!("`NAMESPACE` in `{file}` is not the `namespace` of `{path}`"))
                .hint(format!("NAMESPACE := {namespace}"))
                .into());
        }
        let mut changed = vec![
            (Name::Namespace, namespace.to_owned()),
            (Name::Protect, value(Setting::Protected).is_some().to_string()),
            (Name::Secrets, secrets.to_owned()),
        ];
        changed.extend(value(Setting::Context).map(|context| (Name::Context, context.to_owned())));
        let main = record.answers.main();
        if main.ingress.is_some() {
            let base = base_ingress(files, main);
            let host = objects::patched_host(&kustomization, main.name.as_str(), HOST)
                .or(base.map(|(host, _)| host));
            changed.extend(host.map(|host| (Name::Ingress, host)));
        }
        let count = objects::list(&kustomization, "replicas")
            .find(|entry| objects::text(entry, &["name"]) == Some(main.name.as_str()))
            .and_then(|entry| entry.get("count")?.as_u64());
        changed.extend(count.map(|count| (Name::Replicas, count.to_string())));
        Ok(Self::new(record, options, name, like, changed, Vec::new(), true))
    }

    fn new(
        record: &'r Record,
        options: &'r Options,
        name: &'r EnvironmentName,
        like: &'r Environment,
        changed: Vec<(Name, String)>,
        ingresses: Vec<Option<Ingress>>,
        by_hand: bool,
    ) -> Self {
        let mut sheet = record.sheet.clone();
        if sheet.environments.is_empty() {
            let own = sheet.environment(&like.name);
            own.insert(Name::Namespace, Some(like.namespace.to_string()));
            own.insert(Name::Protect, Some("false".to_owned()));
            own.insert(Name::Secrets, Some(like.secrets.clone()));
        }
        let mut values = sheet.environment(&like.name).clone();
        values.extend(changed.iter().map(|(name, value)| (*name, Some(value.clone()))));
        *sheet.environment(name) = values;
        Self { record, options, name, like, sheet, changed, ingresses, by_hand }
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
        if !self.by_hand {
            self.copy_secrets(&mut plan, files, answers, to)?;
            self.copy_overlay(&mut plan, files, answers, to)?;
            self.copy_pipeline(&mut plan, files, answers)?;
        }
        let text = record::with_environment(self.record, self.like, to, &self.changed)?;
        Record::parse(text.clone())?;
        plan.write_text(files, Record::FILE, &text)?;
        Ok(plan)
    }

    /// Notes what was decided.
    fn state(&self, plan: &mut Plan, files: &Files, to: &Environment) {
        let like = &self.like.name;
        plan.facts.push(match self.by_hand {
            true => ("overlay", format!("{}, recorded as it is", to.overlay())),
            false => ("copied from", like.to_string()),
        });
        plan.facts.push(("namespace", to.namespace.to_string()));
        plan.facts.push((
            "context",
            to.context.as_ref().map_or("the current one of kubectl".to_owned(), ToString::to_string),
        ));
        plan.facts.push(("protected", if to.protect { "yes: make asks first" } else { "no" }.to_owned()));
        if let Some(replicas) = self.options.replicas {
            plan.facts.push(("pods", replicas.to_string()));
        }
        let names = self.record.answers.components.iter().map(|one| one.name.as_str());
        for (place, (name, ingress)) in names.zip(&self.ingresses).enumerate() {
            let of = if place > 0 { format!(" ({name})") } else { String::new() };
            plan.facts.extend(ingress.as_ref().map(|ingress| ("host", format!("{}{of}", ingress.new))));
        }
        if self.by_hand {
            plan.facts.extend(to.ingress.as_ref().map(|host| ("host", host.to_string())));
        } else {
            self.warn_of_base_hosts(plan, files, to);
        }
    }

    /// Notes the hosts in base that no component has, which both environments would serve.
    fn warn_of_base_hosts(&self, plan: &mut Plan, files: &Files, to: &Environment) {
        let known = |host: &String| self.ingresses.iter().flatten().any(|ingress| ingress.base == *host);
        let mut hosts: Vec<_> = objects::below(files, Context::BASE)
            .iter()
            .flat_map(|(_, document)| objects::hosts(document))
            .collect();
        hosts.retain(|host| !known(host));
        hosts.sort();
        hosts.dedup();
        for host in hosts {
            plan.notes.push(format!(
                "`{}` has the host `{host}`, which {} would share: patch it in `{}/kustomization.yaml`",
                Context::BASE,
                self.name,
                to.overlay()
            ));
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
                .hint("makeinfra env add NAME --like ENV")
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
        // Where the lines merge to the same, the order of a fresh overlay comes with them.
        let fresh = (rendered(&self.record.answers)?, rendered(answers)?);
        let both = (text_of(&fresh.0, &path), text_of(&fresh.1, &target(&path)));
        let merged = match both {
            (Some(old), Some(new)) => merge::lines(old, text, new)?,
            _ => None,
        };
        let text = merged.filter(|merged| yaml_edit::same(merged, &edited)).unwrap_or(edited);
        plan.create(files, &target(&path), Zeroizing::new(text.into_bytes()), false)
    }

    /// The hosts that change in the copy.
    fn hosts(&self, files: &Files, from: &str, to: &Environment) -> Hosts {
        let mut hosts = Hosts::default();
        for ingress in self.ingresses.iter().flatten() {
            hosts.add(&ingress.old, &ingress.new);
        }
        let path = super::kustomization(files, from).unwrap_or_default();
        let kustomization = objects::kustomization(files.text(&path).ok().flatten());
        for host in copy::hosts_in(&kustomization, &objects::below(files, from)) {
            let base = host.strip_prefix(&format!("{}.", self.like.name)).unwrap_or(&host);
            if let Some(new) = hosts::by_rule(self.name, to.protect, base, std::slice::from_ref(&host)) {
                hosts.add(&host, &new);
            }
        }
        hosts
    }

    /// `text` with the patches and counts that the copied overlay had no need of.
    fn with_patches(&self, path: &str, text: &str, answers: &Answers, to: &Environment) -> Result<String> {
        let overlay = to.overlay() + "/kustomization.yaml";
        let mut bare = answers.clone();
        let here = bare.environments.iter_mut().find(|one| one.name == to.name).map(|one| &mut one.deployed);
        let Some(here) = here else { return Ok(text.to_owned()) };
        here.iter_mut().for_each(|one| (one.host, one.replicas) = (None, None));
        let mut wished = bare.clone();
        let found = objects::kustomization(Some(text));
        let mut edited = text.to_owned();
        let Some(new) = wished.environments.iter_mut().find(|one| one.name == to.name) else {
            return Ok(edited);
        };
        for ((deployed, component), ingress) in
            new.deployed.iter_mut().zip(answers.components.iter()).zip(&self.ingresses)
        {
            let Some(ingress) = ingress else { continue };
            let patched = objects::patched_host(&found, component.name.as_str(), HOST);
            if patched.as_ref().unwrap_or(&ingress.base) != &ingress.new {
                deployed.host = Host::parse(&ingress.new).ok();
                deployed.tls = ingress.tls;
            }
        }
        let main = answers.main();
        if let (Some(replicas), Some(deployed)) = (self.options.replicas, new.deployed.first_mut()) {
            let named = |entry: &Value| objects::text(entry, &["name"]) == Some(main.name.as_str());
            match objects::list(&found, "replicas").position(named) {
                Some(at) => {
                    use yaml_edit::Step::{Item, Key};
                    let count = [Key("replicas"), Item(at), Key("count")];
                    edited = yaml_edit::replace_literal(&edited, &count, &replicas.to_string())
                        .map_err(|refusal| super::not_edited(path, refusal))?
                        .to_string();
                }
                None if main.workload == Workload::Deployment => deployed.replicas = Some(replicas),
                None => {}
            }
        }
        let (bare, wished) = (rendered(&bare)?, rendered(&wished)?);
        let (Some(old), Some(new)) = (text_of(&bare, &overlay), text_of(&wished, &overlay)) else {
            return Ok(edited);
        };
        Ok(yaml_edit::add(&edited, old, new).map_err(|refusal| super::not_edited(path, refusal))?.to_string())
    }

    fn copy_pipeline(&self, plan: &mut Plan, files: &Files, answers: &Answers) -> Result<()> {
        let [old, new] = [&self.like.name, self.name].map(|name| format!(".gitlab/{name}.yml"));
        let Some(ours) = files.text(&old)? else { return Ok(()) };
        let fresh = rendered(answers)?;
        let Some(wish) = text_of(&fresh, &new) else { return Ok(()) };
        let mut text = None;
        // It may have been made when its environment was the only one.
        for is_lone in [true, false] {
            let known = if is_lone { &self.record.answers } else { answers };
            let before = rendered(known)?;
            let renamed = rendered(&self.as_like(answers, is_lone))?;
            let (Some(before), Some(renamed)) = (text_of(&before, &old), text_of(&renamed, &new)) else {
                continue;
            };
            if text.is_none()
                && let Some(ours) = merge::renamed(before, ours, renamed)
            {
                text = merge::lines(renamed, &ours, wish)?;
            }
        }
        let text = text.unwrap_or_else(|| {
            plan.notes.push(format!(
                "`{new}` is as makeinfra generates it: the edits of `{old}` cannot be told from its values"
            ));
            wish.to_owned()
        });
        plan.create(files, &new, Zeroizing::new(text.into_bytes()), false)
    }
}

impl NewEnvironment<'_> {
    /// `answers` in which the new environment is protected as the other one is; with `is_lone`, it is the only one.
    fn as_like(&self, answers: &Answers, is_lone: bool) -> Answers {
        let mut answers = answers.clone();
        for one in answers.environments.iter_mut().filter(|one| one.name == *self.name) {
            one.protect = self.like.protect;
        }
        if is_lone && self.record.answers.environments.rest.is_empty() {
            answers.environments.first =
                answers.environments.iter().last().unwrap_or(&answers.environments.first).clone();
            answers.environments.rest.clear();
        }
        answers
    }
}

/// The environment to copy: the one that is named, or the only one, or the first that is not protected.
fn like<'r>(record: &'r Record, name: Option<&EnvironmentName>) -> Result<&'r Environment> {
    let all = &record.answers.environments;
    if let Some(name) = name {
        return all.iter().find(|one| one.name == *name).ok_or_else(|| {
            let names = all.iter().map(|one| one.name.to_string()).collect::<Vec<_>>().join(", ");
            Failure::usage(format!("`--like` names an environment that does not exist: `{name}`"))
                .because(format!("there are: {names}"))
                .hint(format!("--like {}", all.first.name))
                .into()
        });
    }
    Ok(all.iter().find(|one| !one.protect).unwrap_or(&all.first))
}

/// The namespace of the environment `name`: as that of `like` is made, if its name is in that.
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

/// The host of the Ingress of `component` in base, and whether its certificate has it, too.
fn base_ingress(files: &Files, component: &Component) -> Option<(String, bool)> {
    component.ingress.as_ref()?;
    let all = objects::below(files, Context::BASE);
    let (_, ingress) =
        all.iter().find(|(_, document)| objects::is_object(document, "Ingress", component.name.as_str()))?;
    Some((objects::text(ingress, HOST)?.to_owned(), objects::text(ingress, TLS_HOST).is_some()))
}

/// The hosts of each component, as they are in base and in `like`, and as they will be.
fn ingresses(
    files: &Files,
    record: &Record,
    like: &Environment,
    name: &EnvironmentName,
    protect: bool,
    context: Option<&str>,
    options: &Options,
) -> Result<Vec<Option<Ingress>>> {
    let path = super::kustomization(files, &like.overlay()).unwrap_or_default();
    let overlay = objects::kustomization(files.text(&path)?);
    let mut all = Vec::new();
    for (place, component) in record.answers.components.iter().enumerate() {
        let asked = options.ingress.as_ref().filter(|_| place == 0);
        let Some((base, tls)) = base_ingress(files, component) else {
            if asked.is_some() {
                return Err(Failure::usage(format!(
                    "`--ingress` is for a project with an Ingress, and `{}` has none",
                    Context::BASE
                ))
                .hint(format!("makeinfra env add {name}"))
                .into());
            }
            all.push(None);
            continue;
        };
        let taken = |one: &&Environment| one.context.as_ref().map(ContextName::as_str) == context;
        let taken: Vec<_> = record
            .answers
            .environments
            .iter()
            .filter(taken)
            .filter_map(|one| {
                one.deployed
                    .get(place)?
                    .host
                    .as_ref()
                    .map_or(Some(base.clone()), |host| Some(host.to_string()))
            })
            .collect();
        let new = match asked {
            Some(host) => host.to_string(),
            None => hosts::by_rule(name, protect, &base, &taken).ok_or_else(|| {
                Failure::usage(format!("the host `{base}` has no room for `{name}` before it"))
                    .hint(format!("makeinfra env add {name} --ingress HOST"))
            })?,
        };
        let old =
            objects::patched_host(&overlay, component.name.as_str(), HOST).unwrap_or_else(|| base.clone());
        all.push(Some(Ingress { base, tls, old, new }));
    }
    Ok(all)
}

/// The bytes of a text.
fn bytes(text: &str) -> Bytes {
    Zeroizing::new(text.as_bytes().to_vec())
}
