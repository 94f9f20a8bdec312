//! Combines options, files and prompts to the answers: precedence, missing answers, further
//! questions.

mod fault;
mod interview;

pub use interview::{ask, change};

use crate::advice::Advice;
use crate::answers::{
    self, Answer, Answers, Component, ComponentName, EnvironmentName, FileFault, Name, Refused,
    RegistryKey, Rule, Sheet, Values, Workload,
};
use crate::error::{Failure, Result};
use crate::files;
use crate::pull_secret::keyring;
use crate::ui::Ui;
use fault::file_failure;
use std::path::{Path, PathBuf};

/// Size limit for an answers file, far above any real one.
const LIMIT: usize = 1 << 20;

/// A name of the config file alone: the domain from which the Ingress host of every project is
/// derived.
const INGRESS_DOMAIN: &str = "ingress-domain";

/// Defaults that the config file may contain.
const CONFIG_NAMES: [Name; 11] = [
    Name::Registry,
    Name::Port,
    Name::Replicas,
    Name::HealthPath,
    Name::PodSecurity,
    Name::SecretName,
    Name::SecretType,
    Name::Email,
    Name::Ci,
    Name::CiImage,
    Name::Output,
];

/// The answers given so far. Each is validated at its source, so that an error can name the
/// position.
#[derive(Debug, Default, Clone)]
pub struct Given {
    sheet: Sheet,
    config: Config,
}

/// `config.yaml`: defaults for every project.
#[derive(Debug, Default, Clone)]
struct Config {
    values: Values,
    ingress_domain: Option<String>,
}

impl Given {
    /// Merges the options with the answers file and the config file, in this precedence. `-` as the
    /// answers file is standard input.
    ///
    /// The environments are those that are `declared`, followed by those of the answers file.
    pub fn collect(
        options: Sheet,
        declared: &[EnvironmentName],
        answers: Option<&Path>,
        config: Option<&Path>,
        ui: &Ui,
    ) -> Result<Self> {
        let config = config.map_or_else(|| Ok(Config::default()), Config::read)?;
        check(&options).map_err(|(name, rule)| option_failure(name, rule))?;
        let mut sheet = Sheet::default();
        for name in declared {
            sheet.environment(name);
        }
        let mut from_file = Sheet::default();
        if let Some(file) = answers {
            let bytes = if file == Path::new("-") {
                ui.read_stdin(LIMIT)?
            } else {
                files::read(file, LIMIT)?.ok_or_else(|| {
                    Failure::usage(format!("answers file not found: `{}`", file.display()))
                        .hint(Advice::anywhere("ls -l").path(file))
                })?
            };
            let value = read_yaml(file, &bytes, &Name::ALL)?;
            let mut read = read_sheet(file, value, &Name::ALL)?;
            for (name, _) in &read.environments {
                sheet.environment(name);
            }
            if let Some(dir) = file.parent() {
                beside(dir, &mut read);
            }
            from_file = read;
        }
        let known = sheet.environments.len();
        sheet.add(options);
        if let Some((name, _)) = sheet.environments.get(known) {
            let all: Vec<_> =
                sheet.environments[..known].iter().map(|(name, _)| name.to_string()).collect();
            return Err(Failure::usage(format!(
                "an option names the environment `{name}`, which does not exist"
            ))
            .because(if all.is_empty() {
                "options with ENV=VALUE require `--env`".to_owned()
            } else {
                format!("existing environments: {}", all.join(", "))
            })
            .hint(format!("--env {name}"))
            .into());
        }
        sheet.add(from_file);
        let mut given = Self { sheet, config };
        for (name, value) in &given.config.values {
            // A registry is only a default for its own images, and a port only for a component that
            // has one.
            if *name != Name::Registry && answers::unfit(*name, &given.sheet.values).is_none() {
                given.sheet.values.entry(*name).or_insert_with(|| value.clone());
            }
        }
        Ok(given)
    }

    /// Whether there is a value for `name`, including "none".
    #[must_use]
    pub fn has(&self, name: Name) -> bool {
        self.sheet.values.contains_key(&name)
    }

    /// Sets an answer from a question. Removes defaults of the config file that do not fit it.
    fn set(&mut self, name: Name, value: Option<String>) {
        self.sheet.values.insert(name, value);
        for name in self.config.values.keys() {
            if answers::unfit(*name, &self.sheet.values).is_some() {
                self.sheet.values.remove(name);
            }
        }
    }

    /// Removes the value for `name`, and returns it.
    fn unset(&mut self, name: Name) -> Option<String> {
        self.sheet.values.remove(&name).flatten()
    }

    /// Sets the names of the environments. Individual namespaces replace the common one.
    fn set_environments(&mut self, names: Vec<EnvironmentName>) {
        if !names.is_empty() {
            self.unset(Name::Namespace);
        }
        self.sheet.environments = names.into_iter().map(|name| (name, Values::new())).collect();
    }

    /// Sets an answer of `environment`.
    fn set_of(&mut self, environment: &EnvironmentName, name: Name, value: Option<String>) {
        self.sheet.environment(environment).insert(name, value);
    }

    /// Removes the answers that do not fit the others.
    fn drop_unfit(&mut self) {
        let values = self.sheet.values.clone();
        self.sheet.values.retain(|name, _| answers::unfit(*name, &values).is_none());
    }

    /// Whether the answer was given other than in the config file.
    #[must_use]
    pub fn is_given(&self, name: Name) -> bool {
        self.text(name).is_some() && !self.config.values.contains_key(&name)
    }

    /// Whether `name` is asked for, given what is known so far.
    fn applies(&self, name: Name) -> bool {
        let deployments = || {
            Name::ALL.into_iter().filter(|name| {
                let job = Values::from([(Name::Workload, Some(Workload::Job.as_str().to_owned()))]);
                answers::unfit(*name, &job).is_some()
            })
        };
        match name {
            // An answer that no job has, such as a port, rules out a job.
            Name::Workload => !deployments().any(|name| self.is_given(name)),
            Name::Tls => self.text(Name::Ingress).is_some(),
            _ => answers::unfit(name, &self.sheet.values).is_none(),
        }
    }

    /// The files with settings, each with the index of its component.
    #[must_use]
    pub fn config_files(&self) -> Vec<(usize, PathBuf)> {
        let components = self.sheet.components.iter().map(|(_, values)| values);
        let all = std::iter::once(&self.sheet.values).chain(components).enumerate();
        all.filter_map(|(place, values)| {
            Some((place, PathBuf::from(values.get(&Name::Config)?.as_deref()?)))
        })
        .collect()
    }

    /// The validated value for `name`; `None` if there is none.
    pub fn get<A: Answer>(&self, name: Name) -> Result<Option<A>> {
        answers::given(&self.sheet.values, name).map_err(failure)
    }

    /// The names of the environments; empty if there is one without a name.
    #[must_use]
    pub fn environments(&self) -> Vec<EnvironmentName> {
        self.sheet.environments.iter().map(|(name, _)| name.clone()).collect()
    }

    /// The value that `environment` has of its own.
    pub fn of<A: Answer>(&self, environment: &EnvironmentName, name: Name) -> Result<Option<A>> {
        let own = self.sheet.environments.iter().find(|(known, _)| known == environment);
        own.map_or(Ok(None), |(_, values)| answers::given(values, name).map_err(failure))
    }

    /// Whether `environment` has a value of its own.
    #[must_use]
    pub fn has_of(&self, environment: &EnvironmentName, name: Name) -> bool {
        let mut all = self.sheet.environments.iter();
        all.any(|(known, values)| known == environment && values.contains_key(&name))
    }

    /// The validated text for `name`.
    #[must_use]
    pub fn text(&self, name: Name) -> Option<&str> {
        self.sheet.values.get(&name)?.as_deref()
    }

    /// The required names without a value.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        self.needed().map(Name::option).collect()
    }

    fn needed(&self) -> impl Iterator<Item = Name> {
        let schedule = (self.text(Name::Workload) == Some(Workload::CronJob.as_str()))
            .then_some(Name::Schedule);
        [Name::Project, Name::Image].into_iter().chain(schedule).filter(|name| !self.has(*name))
    }

    /// The answers, including all defaults.
    pub fn answers(&self) -> Result<Answers> {
        let mut sheet = self.sheet.clone();
        let open = answers::unfit(Name::Ingress, &sheet.values).is_none();
        if let Some(host) = self.default_ingress()?.filter(|_| open) {
            sheet.values.entry(Name::Ingress).or_insert(Some(host));
        }
        let mut answers = sheet.answers().map_err(failure)?;
        if !self.has(Name::Registry)
            && let Some(registry) = self.config_registry()?
            && keyring::matches(registry.as_str(), answers.image())
        {
            answers.registry = registry;
        }
        Ok(answers)
    }

    /// An example of an image: on the config file's registry, otherwise on GitLab's.
    fn example_image(&self) -> Result<Option<String>> {
        let project: Option<answers::ProjectName> = self.get(Name::Project)?;
        let registry = self.config_registry()?;
        let host = registry.as_ref().map_or("registry.gitlab.com", RegistryKey::host);
        Ok(project.map(|project| format!("{host}/GROUP/{project}:1.0.0")))
    }

    fn default_ingress(&self) -> Result<Option<String>> {
        let project: Option<answers::ProjectName> = self.get(Name::Project)?;
        Ok(project
            .zip(self.config.ingress_domain.as_ref())
            .map(|(project, domain)| format!("{project}.{domain}")))
    }

    fn config_registry(&self) -> Result<Option<RegistryKey>> {
        answers::given(&self.config.values, Name::Registry).map_err(failure)
    }
}

/// The first value that breaks a rule.
fn check(sheet: &Sheet) -> std::result::Result<(), (Name, Rule)> {
    sheet.all().try_for_each(|(name, value)| match value {
        Some(text) => name.check(text).map_err(|rule| (*name, rule)),
        None if name.is_optional() => Ok(()),
        None => Err((*name, "must have a value")),
    })
}

/// The failure for options that do not form valid answers.
#[must_use]
pub fn failure(refused: Refused) -> anyhow::Error {
    match refused {
        Refused::Missing(name) => option_failure(name, "is missing"),
        Refused::Broken(name, rule) => option_failure(name, rule),
        Refused::Unfit(name, rule) => {
            Failure::usage(format!("`{}` {rule}", name.option())).hint("omit one of them").into()
        }
        Refused::Alone(name, other, value) => {
            let option = other.option();
            let required =
                value.map_or_else(|| option.clone(), |value| format!("{option} {value}"));
            Failure::usage(format!("`{}` requires `{required}`", name.option()))
                .hint(format!("{option} {}", value.unwrap_or(other.example())))
                .into()
        }
    }
}

/// Makes the files that `sheet` names relative to `dir`, where it was read.
fn beside(dir: &Path, sheet: &mut Sheet) {
    let components = sheet.components.iter_mut().map(|(_, values)| values);
    for values in std::iter::once(&mut sheet.values).chain(components) {
        if let Some(Some(file)) = values.get_mut(&Name::Config)
            && let Some(path) = dir.join(&*file).to_str()
        {
            path.clone_into(file);
        }
    }
}

/// The failure for a refused option: the rule and an example, never the value.
fn option_failure(name: Name, rule: Rule) -> anyhow::Error {
    let example = match name {
        Name::Project => {
            return Failure::usage(format!("`{}` {rule}", name.option()))
                .hint(Advice::makeinfra("new").arg(name.example()))
                .into();
        }
        Name::Args => format!("{} work {0} --queue=mail", name.option()),
        Name::Namespace if rule.contains("{env}") => "--namespace '{project}-{env}'".to_owned(),
        Name::Image if rule.contains("of the same image") => {
            "omit the image, or use the same tag as the others".to_owned()
        }
        Name::Component => {
            return Failure::usage(format!("the name of a component {rule}"))
                .hint("components: {worker: {port: null}}")
                .into();
        }
        name if name.is_switch() => name.option(),
        _ => format!("{} {}", name.option(), quoted(name)),
    };
    Failure::usage(format!("`{}` {rule}", name.option())).hint(example).into()
}

impl Config {
    /// Reads `path`; a missing file has no defaults.
    fn read(path: &Path) -> Result<Self> {
        let Some(bytes) = files::read(path, LIMIT)? else { return Ok(Self::default()) };
        // The domain is a key of this file alone, so it is removed before the answers are parsed.
        let mut value = read_yaml(path, &bytes, &CONFIG_NAMES)?;
        let domain = value.as_mapping_mut().and_then(|mapping| mapping.remove(INGRESS_DOMAIN));
        let ingress_domain = match domain {
            None => None,
            Some(serde_yaml::Value::String(domain)) if Name::Ingress.check(&domain).is_ok() => {
                Some(domain)
            }
            Some(_) => {
                return Err(Failure::usage(format!(
                    "`{INGRESS_DOMAIN}` in `{}` must be a DNS name",
                    path.display()
                ))
                .hint(format!("{INGRESS_DOMAIN}: example.com"))
                .into());
            }
        };
        let values = read_sheet(path, value, &CONFIG_NAMES)?.values;
        Ok(Self { values, ingress_domain })
    }
}

fn read_yaml(file: &Path, bytes: &[u8], allowed: &[Name]) -> Result<serde_yaml::Value> {
    let text = std::str::from_utf8(bytes).map_err(|_| {
        Failure::usage(format!("`{}` is not UTF-8 text", file.display()))
            .hint(Advice::anywhere("file").path(file))
    })?;
    answers::from_yaml(text).map_err(|fault| file_failure(file, &fault, allowed))
}

fn read_sheet(file: &Path, value: serde_yaml::Value, allowed: &[Name]) -> Result<Sheet> {
    Sheet::from_yaml(value, allowed)
        .and_then(|sheet| match check(&sheet) {
            Ok(()) => Ok(sheet),
            Err((name, rule)) => Err(FileFault::Value(name, rule)),
        })
        .map_err(|fault| file_failure(file, &fault, allowed))
        .and_then(|sheet| match sheet.components.iter().find_map(contradiction) {
            Some((cause, hint)) => Err(Failure::usage(format!("cannot use `{}`", file.display()))
                .because(cause)
                .hint(hint)
                .into()),
            None => Ok(sheet),
        })
}

/// Answers of a component that contradict each other, and what to do about it.
fn contradiction((component, values): &(ComponentName, Values)) -> Option<(String, String)> {
    let place = |name: Name| format!("`components.{component}.{}`", name.as_str());
    match Component::contradiction(values)? {
        Refused::Missing(name) => Some((
            format!("{} is missing", place(name)),
            format!("{}: {}", name.as_str(), quoted(name)),
        )),
        Refused::Broken(name, rule) | Refused::Unfit(name, rule) => {
            Some((format!("{} {rule}", place(name)), "omit one of them".to_owned()))
        }
        Refused::Alone(name, other, value) => {
            let other = format!("{}: {}", other.as_str(), value.unwrap_or(other.example()));
            Some((format!("{} requires `{other}`", place(name)), other))
        }
    }
}

/// The example for `name`, quoted for both a shell and YAML.
fn quoted(name: Name) -> String {
    let example = name.example();
    if name != Name::Args && example.contains(' ') {
        format!("'{example}'")
    } else {
        example.to_owned()
    }
}
