//! Compares answers that were read with the recorded ones. Pure.

use crate::answers::{
    Answers, Arguments, Component, ComponentName, Deployed, Environment, EnvironmentName, Name,
    OneOrMore,
};
use std::fmt::Display;

/// An answer that differs between the files and the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The answer.
    pub name: Name,
    /// The environment; `None` if all share the answer.
    pub environment: Option<EnvironmentName>,
    /// The component, possibly the project's own; `None` if the answer is not about one.
    pub component: Option<ComponentName>,
    /// The recorded value, as written in the record; `None` if there is none.
    pub recorded: Option<String>,
    /// The value in the files; `None` if there is none.
    pub found: Option<String>,
}

impl Difference {
    /// The path of the answer in the record, below `answers`. `main` is the project's own
    /// component.
    #[must_use]
    pub fn place(&self, main: &ComponentName) -> String {
        match (&self.environment, &self.component) {
            (Some(name), _) => format!("environments.{name}.{}", self.name.as_str()),
            (None, Some(name)) if name != main => {
                format!("components.{name}.{}", self.name.as_str())
            }
            (None, _) => self.name.as_str().to_owned(),
        }
    }
}

/// The differences of the repository, its components and its environments.
pub(super) fn between(recorded: &Answers, found: &Answers) -> Vec<Difference> {
    let mut all = Vec::new();
    let standards = [recorded, found].map(|answers| Some(answers.pod_security.as_str().to_owned()));
    note(&mut all, Name::PodSecurity, None, None, standards);
    for (known, component) in
        pairs(&recorded.components, &found.components, |one| one.name.as_str())
    {
        for ((name, old), (_, new)) in of_component(known).into_iter().zip(of_component(component))
        {
            note(&mut all, name, None, Some(component), [old, new]);
        }
    }
    for (known, environment) in
        pairs(&recorded.environments, &found.environments, |one| one.name.as_str())
    {
        for ((name, old), (_, new)) in
            of_environment(known).into_iter().zip(of_environment(environment))
        {
            note(&mut all, name, Some(environment), None, [old, new]);
        }
        let before: Vec<_> = recorded.components.iter().zip(&known.deployed).collect();
        for (new, after) in found.components.iter().zip(&environment.deployed) {
            if let Some((old, before)) = before.iter().find(|(old, _)| old.name == new.name) {
                of_deployed(&mut all, environment, [(old, before), (new, after)]);
            }
        }
    }
    all
}

/// Pairs of items with the same name.
fn pairs<'a, T>(
    one: &'a OneOrMore<T>,
    other: &'a OneOrMore<T>,
    name: impl Fn(&T) -> &str,
) -> Vec<(&'a T, &'a T)> {
    let known = |new: &'a T| one.iter().find(|old| name(old) == name(new)).map(|old| (old, new));
    other.iter().filter_map(known).collect()
}

fn note(
    all: &mut Vec<Difference>,
    name: Name,
    environment: Option<&Environment>,
    component: Option<&Component>,
    [recorded, found]: [Option<String>; 2],
) {
    if recorded != found {
        all.push(Difference {
            name,
            environment: environment.map(|one| one.name.clone()),
            component: component.map(|one| one.name.clone()),
            recorded,
            found,
        });
    }
}

/// The value as text.
fn as_text(value: Option<&impl Display>) -> Option<String> {
    value.map(ToString::to_string)
}

fn of_component(component: &Component) -> Vec<(Name, Option<String>)> {
    let args = component.args.as_slice();
    vec![
        (Name::Image, Some(component.image.name().to_owned())),
        (Name::Workload, Some(component.workload.as_str().to_owned())),
        (Name::Schedule, as_text(component.schedule.as_ref())),
        (Name::TimeZone, component.time_zone.as_ref().map(|zone| zone.as_str().to_owned())),
        (Name::Args, (!args.is_empty()).then(|| Arguments::text(args))),
        (Name::Port, as_text(component.port.as_ref())),
        (Name::Replicas, Some(component.replicas.to_string())),
        (Name::Ingress, as_text(component.ingress.as_ref())),
        (Name::Tls, Some(component.tls.to_string())),
        (Name::TlsIssuer, component.tls_issuer.as_ref().map(|issuer| issuer.as_str().to_owned())),
        (Name::HealthPath, as_text(component.health_path.as_ref())),
        (Name::ServiceAccount, Some(component.service_account.to_string())),
    ]
}

fn of_environment(environment: &Environment) -> Vec<(Name, Option<String>)> {
    vec![
        (Name::Namespace, Some(environment.namespace.to_string())),
        (Name::Context, as_text(environment.context.as_ref())),
        (Name::Protect, Some(environment.protect.to_string())),
        (Name::Secrets, Some(environment.secrets.clone())),
    ]
}

/// The differences of the overlay itself, without what it takes from the base.
fn of_deployed(
    all: &mut Vec<Difference>,
    environment: &Environment,
    both: [(&Component, &Deployed); 2],
) {
    let [(_, before), (component, after)] = both;
    let version = |one: &Deployed| one.image.as_str()[one.image.name().len()..].to_owned();
    let images = both.map(|(_, one)| one.has_tag.then(|| one.image.to_string()));
    // All components with the same image share its tag.
    let is_known = all.iter().any(|one| {
        one.name == Name::Image
            && one.environment.as_ref() == Some(&environment.name)
            && [&one.recorded, &one.found] == images.each_ref()
    });
    if !is_known && (before.has_tag, version(before)) != (after.has_tag, version(after)) {
        note(all, Name::Image, Some(environment), Some(component), images);
    }
    if before.replicas != after.replicas {
        let counts =
            both.map(|(base, here)| Some(here.replicas.unwrap_or(base.replicas).to_string()));
        note(all, Name::Replicas, Some(environment), Some(component), counts);
    }
    if before.host != after.host {
        let hosts = both.map(|(base, here)| as_text(here.host.as_ref().or(base.ingress.as_ref())));
        note(all, Name::Ingress, Some(environment), Some(component), hosts);
    }
    if after.host.is_some() && before.tls != after.tls {
        let tls = both.map(|(_, here)| Some(here.tls.to_string()));
        note(all, Name::Tls, Some(environment), Some(component), tls);
    }
}
