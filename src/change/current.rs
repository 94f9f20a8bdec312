//! The answers according to the files: changes by hand or with `make set-image` replace recorded
//! values. Pure.
//!
//! A value only counts if it is unambiguous: every place that is generated from it has the same
//! value, in a form that its type accepts. Otherwise the recorded value stays. What a component
//! consists of (a port, an Ingress, a service account, settings) is always taken from the record:
//! an object of its name may be the user's own.

mod base;
mod difference;
mod overlay;
#[cfg(test)]
mod tests;

pub use difference::Difference;
pub(super) use overlay::Overlay;

use super::{Files, hosts, objects};
use crate::answers::{
    Answer, Answers, Component, ContextName, Deployed, DnsLabel, Environment, Host, ImageRef, Name,
    PodSecurity, Record, Replicas, Setting, Workload,
};
use base::Base;
use overlay::Unclear;

/// The result of [`answers_in`].
#[derive(Debug)]
pub struct Current {
    /// The recorded answers, updated from the files.
    pub answers: Answers,
    /// The differences from the recorded ones.
    pub differences: Vec<Difference>,
}

/// The answers of `record` according to `files`. A record generated from them is valid.
#[must_use]
pub fn answers_in(files: &Files, record: &Record) -> Current {
    let recorded = &record.answers;
    let mut answers = recorded.clone();
    let base = Base::read(files);
    let overlays: Vec<_> =
        recorded.environments.iter().map(|one| Overlay::plain(files, &one.overlay())).collect();
    for (environment, overlay) in answers.environments.iter_mut().zip(&overlays) {
        read_settings(environment, overlay, recorded);
    }
    keep_apart(&mut answers, recorded);
    read_components(&mut answers, recorded, &base);
    for (environment, overlay) in answers.environments.iter_mut().zip(&overlays) {
        for (component, deployed) in answers.components.iter().zip(&mut environment.deployed) {
            read_deployed(deployed, component, overlay);
        }
        let main = &answers.components.first;
        let Some(deployed) = environment.deployed.first() else { continue };
        environment.ingress = deployed.host.clone().or_else(|| main.ingress.clone());
        if main.workload == Workload::Deployment {
            environment.replicas = deployed.replicas.unwrap_or(main.replicas);
        }
    }
    set(&mut answers.pod_security, pod_security(files, &base, recorded));
    Current { differences: difference::between(recorded, &answers), answers }
}

/// The differences between two sets of answers. Components and environments that only one of them
/// has are skipped.
#[must_use]
pub fn differences(recorded: &Answers, other: &Answers) -> Vec<Difference> {
    difference::between(recorded, other)
}

/// Sets `place` to a value that was read.
fn set<T>(place: &mut T, read: Option<T>) {
    if let Some(value) = read {
        *place = value;
    }
}

/// Parses a value; `None` if its type does not accept it.
fn parsed<A: Answer>(text: &str) -> Option<A> {
    A::parse(text).ok()
}

/// Reads the environment's settings from its overlay.
fn read_settings(environment: &mut Environment, overlay: &Overlay, recorded: &Answers) {
    let setting = |of: Setting| overlay.setting(of).filter(|value| !value.is_empty());
    let namespace = setting(Setting::Namespace).filter(|name| overlay.namespace() == Some(*name));
    set(&mut environment.namespace, namespace.and_then(parsed::<DnsLabel>));
    match overlay.setting(Setting::Context) {
        Some("") => environment.context = None,
        text => set(&mut environment.context, text.and_then(parsed::<ContextName>).map(Some)),
    }
    let secrets = setting(Setting::Secrets).filter(|dir| Name::Secrets.check(dir).is_ok());
    let secrets = secrets.filter(|dir| overlay.includes(&environment.overlay(), dir));
    set(&mut environment.secrets, secrets.map(str::to_owned));
    let was_protected = environment.protect;
    set(&mut environment.protect, overlay.is_protected());
    // Without protection, hosts of further components get the name of the environment.
    let mut further = recorded.components.rest.iter().filter_map(|one| one.ingress.as_ref());
    if !further.all(|host| has_room(environment, host)) {
        environment.protect = was_protected;
    }
}

/// Whether the environment's name can be prepended to the host of a further component.
fn has_room(environment: &Environment, host: &Host) -> bool {
    hosts::by_rule(&environment.name, environment.protect, host.as_str(), &[]).is_some()
}

/// Reverts namespaces and contexts if two environments would have the same: a record must not say
/// so.
fn keep_apart(answers: &mut Answers, recorded: &Answers) {
    let all: Vec<_> = answers.environments.iter().collect();
    let clash = |(place, one): (usize, &&Environment)| {
        all[..place]
            .iter()
            .any(|other| other.namespace == one.namespace && other.context == one.context)
    };
    if all.iter().enumerate().any(clash) {
        for (environment, known) in
            answers.environments.iter_mut().zip(recorded.environments.iter())
        {
            environment.namespace = known.namespace.clone();
            environment.context.clone_from(&known.context);
        }
    }
}

/// Reads the components from the base.
fn read_components(answers: &mut Answers, recorded: &Answers, base: &Base) {
    for (place, component) in answers.components.iter_mut().enumerate() {
        let has_room =
            |host: &Host| place == 0 || answers.environments.iter().all(|one| has_room(one, host));
        let prefix = if place == 0 { String::new() } else { format!("{}-", component.name) };
        base.read_component(component, &prefix, &has_room);
        if component.tls_secret().as_deref() == Some(recorded.secret_name.as_str()) {
            component.tls = false;
            component.tls_issuer = None;
        }
    }
    // In the record, all components with the same image share one reference.
    let mut images: Vec<ImageRef> = Vec::new();
    let all: Vec<_> = recorded.components.iter().map(|one| one.image.clone()).collect();
    for (component, known) in answers.components.iter_mut().zip(&all) {
        let is_new = component.image != *known;
        let kept = all.iter().filter(|one| is_new && one.name() == component.image.name());
        let same =
            images.iter().chain(kept).find(|one| one.name() == component.image.name()).cloned();
        set(&mut component.image, same);
        images.push(component.image.clone());
    }
}

/// Reads a component from an overlay.
fn read_deployed(deployed: &mut Deployed, component: &Component, overlay: &Overlay) {
    let name = component.name.as_str();
    let image = renamed(&deployed.image, component.image.name());
    set(&mut deployed.image, image);
    match overlay.image(component.image.name()) {
        Ok(Some(image)) => (deployed.image, deployed.has_tag) = (image, true),
        Ok(None) => deployed.has_tag = false,
        Err(Unclear) => {}
    }
    if component.workload == Workload::Deployment {
        match overlay.count(name) {
            Ok(Some(count)) => {
                let count = parsed::<Replicas>(&count.to_string());
                set(&mut deployed.replicas, count.map(|count| Some(count.0)));
            }
            Ok(None) => deployed.replicas = None,
            Err(Unclear) => {}
        }
    }
    if component.ingress.is_none() {
        return;
    }
    match overlay.host(name) {
        Ok(Some((host, tls))) => (deployed.host, deployed.tls) = (Some(host), tls),
        Ok(None) => (deployed.host, deployed.tls) = (None, component.tls),
        Err(Unclear) => {}
    }
}

/// `image` with another name.
fn renamed(image: &ImageRef, name: &str) -> Option<ImageRef> {
    ImageRef::parse(&format!("{name}{}", &image.as_str()[image.name().len()..])).ok()
}

/// The standard that all namespaces enforce by label and all pods comply with.
fn pod_security(files: &Files, base: &Base, recorded: &Answers) -> Option<PodSecurity> {
    const LABEL: &[&str] = &["metadata", "labels", "pod-security.kubernetes.io/enforce"];
    let mut labels = recorded.environments.iter().map(|environment| {
        let path = format!("{}/namespace.yaml", environment.overlay());
        let documents = base::documents(files.text(&path).ok().flatten()?)?;
        let [namespace] = documents.as_slice() else { return None };
        parsed::<PodSecurity>(objects::text(namespace, LABEL)?)
    });
    let first = labels.next()??;
    let pods = recorded.components.iter().enumerate().map(|(place, component)| {
        let prefix = if place == 0 { String::new() } else { format!("{}-", component.name) };
        base.pod_security(component, &prefix)
    });
    labels.chain(pods).all(|one| one == Some(first)).then_some(first)
}
