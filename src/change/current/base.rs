//! The values in the manifests that all environments share. Pure.

use super::super::Files;
use super::super::objects::{self, HOST, TLS_HOST, at, text};
use super::{parsed, renamed, set};
use crate::answers::{
    Answer, Arguments, Component, HealthPath, Host, ImageRef, PodSecurity, Port, Replicas, Workload,
};
use crate::context::Context;
use crate::yaml;
use crate::yaml_edit::Document;
use serde_yaml::Value;

/// The annotation with the issuer of a certificate.
const ISSUER: &[&str] = &["metadata", "annotations", "cert-manager.io/cluster-issuer"];

/// The objects of the base, each with its file.
pub(super) struct Base<'f>(Vec<(&'f str, Value)>);

impl<'f> Base<'f> {
    pub(super) fn read(files: &'f Files) -> Self {
        let mut all = Vec::new();
        for (path, _) in files.below(Context::BASE).filter(|(path, _)| objects::is_yaml(path)) {
            let found = files.text(path).ok().flatten().and_then(documents).unwrap_or_default();
            all.extend(found.into_iter().map(|document| (path, document)));
        }
        Self(all)
    }

    /// Reads the values of `component`, whose files have the prefix `prefix`. `has_room` tells
    /// whether a host is acceptable.
    pub(super) fn read_component(
        &self,
        component: &mut Component,
        prefix: &str,
        has_room: &dyn Fn(&Host) -> bool,
    ) {
        let (kind, file) = (component.workload.kind(), component.workload.as_str());
        if let Some(workload) = self.object(kind, component, &format!("{prefix}{file}")) {
            read_workload(component, workload);
        }
        if component.ingress.is_some()
            && let Some(ingress) = self.object("Ingress", component, &format!("{prefix}ingress"))
        {
            read_ingress(component, ingress, has_room);
        }
    }

    /// The standard with which the pods of `component` comply as written.
    pub(super) fn pod_security(&self, component: &Component, prefix: &str) -> Option<PodSecurity> {
        let (kind, file) = (component.workload.kind(), component.workload.as_str());
        let workload = self.object(kind, component, &format!("{prefix}{file}"))?;
        let pod = at(workload, component.workload.pod())?;
        let container = objects::own_container(workload, component)?;
        let drops = at(container, &["securityContext", "capabilities", "drop"]);
        let is_non_root = at(pod, &["securityContext", "runAsNonRoot"]).and_then(Value::as_bool);
        match drops
            .map(|drops| drops.as_sequence().is_some_and(|all| all.iter().any(|one| one == "ALL")))
        {
            Some(true) if is_non_root == Some(true) => Some(PodSecurity::Restricted),
            None => Some(PodSecurity::Baseline),
            Some(_) => None,
        }
    }

    /// The object of `kind` with the name of `component`: in the generated file, or the only one.
    fn object(&self, kind: &str, component: &Component, file: &str) -> Option<&Value> {
        let own = format!("{}/{file}.yaml", Context::BASE);
        let name = component.name.as_str();
        let mut named: Vec<_> = self
            .0
            .iter()
            .filter(|(_, document)| objects::is_object(document, kind, name))
            .collect();
        if named.len() > 1 {
            named.retain(|(path, _)| *path == own);
        }
        if let [(_, document)] = named.as_slice() { Some(document) } else { None }
    }
}

/// The documents of `text`; `None` if one of them is not YAML, or has anchors.
pub(super) fn documents(text: &str) -> Option<Vec<Value>> {
    let mut parts = vec![String::new()];
    for line in text.strip_prefix('\u{feff}').unwrap_or(text).split_inclusive('\n') {
        if line
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
        {
            parts.push(String::new());
        }
        parts.last_mut()?.push_str(line);
    }
    let is_blank = |line: &str| matches!(line.trim(), "" | "---") || line.trim().starts_with('#');
    let documents = parts.iter().filter(|part| !part.lines().all(is_blank));
    documents
        .map(|part| {
            Document::parse(part).ok()?;
            yaml::read::<Value>(part).ok()
        })
        .collect()
}

fn read_workload(component: &mut Component, workload: &Value) {
    match component.workload {
        Workload::Deployment => {
            let replicas = number::<Replicas>(at(workload, &["spec", "replicas"]));
            set(&mut component.replicas, replicas.map(|replicas| replicas.0));
        }
        Workload::CronJob => {
            let schedule = text(workload, &["spec", "schedule"]).and_then(parsed);
            set(&mut component.schedule, schedule.map(Some));
            match at(workload, &["spec", "timeZone"]) {
                None => component.time_zone = None,
                Some(zone) => {
                    set(&mut component.time_zone, zone.as_str().and_then(parsed).map(Some));
                }
            }
        }
        Workload::Job => {}
    }
    let Some(container) = objects::own_container(workload, component) else { return };
    let image = text(container, &["image"]).and_then(|image| ImageRef::parse_unpinned(image).ok());
    let image = image.and_then(|image| renamed(&component.image, image.name()));
    set(&mut component.image, image);
    set(&mut component.args, arguments(container.get("args")));
    if component.port.is_some() {
        set(&mut component.port, port(container).map(Some));
        if let Some(path) = health_path(container) {
            component.health_path = path;
        }
    }
}

fn arguments(args: Option<&Value>) -> Option<Arguments> {
    let Some(args) = args else { return Some(Arguments::default()) };
    let texts = args.as_sequence()?.iter().map(|one| one.as_str().map(str::to_owned));
    let texts = texts.collect::<Option<Vec<_>>>()?;
    if texts.is_empty() { Some(Arguments::default()) } else { parsed(&Arguments::text(&texts)) }
}

/// The port `http`, or the only one.
fn port(container: &Value) -> Option<u16> {
    let all: Vec<_> = objects::list(container, "ports").collect();
    let named = all.iter().find(|port| text(port, &["name"]) == Some("http"));
    let port = named.or(if let [only] = all.as_slice() { Some(only) } else { None })?;
    number::<Port>(port.get("containerPort")).map(|port| port.0)
}

/// The path that all probes request; the inner `None` for TCP probes.
#[expect(clippy::option_option, reason = "that they ask for no path is an answer")]
fn health_path(container: &Value) -> Option<Option<HealthPath>> {
    let probes = ["startupProbe", "readinessProbe", "livenessProbe"];
    let mut paths = probes.iter().filter_map(|name| container.get(name)).map(|probe| {
        match (probe.get("httpGet"), probe.get("tcpSocket")) {
            (Some(get), None) => parsed(text(get, &["path"])?).map(Some),
            (None, Some(_)) => Some(None),
            _ => None,
        }
    });
    let first: Option<HealthPath> = paths.next()??;
    paths.all(|path| path.as_ref() == Some(&first)).then_some(first)
}

fn read_ingress(component: &mut Component, ingress: &Value, has_room: &dyn Fn(&Host) -> bool) {
    let tls = match at(ingress, &["spec", "tls"]) {
        None => Some(false),
        Some(_) => text(ingress, TLS_HOST).map(|_| true),
    };
    let host = text(ingress, HOST)
        .filter(|host| text(ingress, TLS_HOST).is_none_or(|other| other == *host));
    set(&mut component.ingress, host.and_then(parsed).filter(has_room).map(Some));
    let issuer = match at(ingress, ISSUER) {
        None => Some(None),
        Some(issuer) => issuer.as_str().and_then(parsed).map(Some),
    };
    // An issuer implies TLS.
    let (tls, issuer) =
        (tls.unwrap_or(component.tls), issuer.unwrap_or(component.tls_issuer.clone()));
    if tls || issuer.is_none() {
        (component.tls, component.tls_issuer) = (tls, issuer);
    }
}

/// A number that its type accepts, and not a string.
fn number<A: Answer>(value: Option<&Value>) -> Option<A> {
    parsed(&value?.as_u64()?.to_string())
}
