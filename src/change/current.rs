//! The answers as the files have them: what people have changed by hand or with `make set-image`
//! takes the place of what is recorded. Pure.
//!
//! A value counts only if it is read without doubt: every place that is generated from it says the
//! same, in a form that its type accepts. Otherwise the recorded one stays. What a component
//! consists of (a port, an Ingress, a service account, settings) is always as recorded: an object
//! of its name may be somebody's own.

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

/// What `answers_in` reads.
#[derive(Debug)]
pub struct Current {
    /// The recorded answers with what the files say in their place.
    pub answers: Answers,
    /// Where they differ from the recorded ones.
    pub differences: Vec<Difference>,
}

/// The answers of `record` as `files` have them. A record that is generated from them can be read
/// again.
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

/// Where two sets of answers with the same components and environments differ; nothing is said of
/// what only one has.
#[must_use]
pub fn differences(recorded: &Answers, other: &Answers) -> Vec<Difference> {
    difference::between(recorded, other)
}

/// Puts what was read in the place of a value.
fn set<T>(place: &mut T, read: Option<T>) {
    if let Some(value) = read {
        *place = value;
    }
}

/// A value that its type accepts.
fn parsed<A: Answer>(text: &str) -> Option<A> {
    A::parse(text).ok()
}

/// What the overlay says of its environment.
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
    // Without protection, the hosts of further components get the name of the environment.
    let mut further = recorded.components.rest.iter().filter_map(|one| one.ingress.as_ref());
    if !further.all(|host| has_room(environment, host)) {
        environment.protect = was_protected;
    }
}

/// Whether the host of a further component can be made into one of the environment.
fn has_room(environment: &Environment, host: &Host) -> bool {
    hosts::by_rule(&environment.name, environment.protect, host.as_str(), &[]).is_some()
}

/// Takes back namespaces and contexts if two environments had the same: a record must not say so.
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

/// What base says of the components.
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
    // The record has one reference for all components of an image.
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

/// What the overlay says of a component.
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

/// The standard that the labels of all namespaces name and all pods are written for.
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
