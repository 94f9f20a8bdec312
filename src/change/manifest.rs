//! What stands in a component's manifests and in an environment's kustomization, as far as makeinfra puts it there. Pure.

use crate::answers::{Answer, Component, ImageRef, Replicas, Resources};
use crate::manifests;
use serde_yaml::Value;

/// Where an Ingress has its host.
pub(super) const HOST: &[&str] = &["spec", "rules", "0", "host"];
/// Where it has that of its certificate.
pub(super) const TLS_HOST: &[&str] = &["spec", "tls", "0", "hosts", "0"];

/// The documents of a file; none if one of them is no YAML.
pub(super) fn objects(text: &str) -> Option<Vec<Value>> {
    manifests::documents(text.as_bytes()).ok()
}

/// The one of `kind` and `name` among them.
pub(super) fn named(objects: Vec<Value>, kind: &str, name: &str) -> Option<Value> {
    let is_it = |found: &Value| {
        text(found, &["kind"]) == Some(kind) && text(found, &["metadata", "name"]) == Some(name)
    };
    objects.into_iter().find(is_it)
}

/// What stands at `path`, whose digits count the items of lists.
pub(super) fn at<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, step| match value {
        Value::Sequence(items) => items.get(step.parse::<usize>().ok()?),
        _ => value.get(*step),
    })
}

/// The text at `path`.
pub(super) fn text<'v>(value: &'v Value, path: &[&str]) -> Option<&'v str> {
    at(value, path)?.as_str()
}

/// The container of `component` in its workload, which bears its name, and its place among the others.
pub(super) fn container<'v>(workload: &'v Value, component: &Component) -> Option<(usize, &'v Value)> {
    let containers = at(workload, component.workload.pod())?.get("containers")?.as_sequence()?;
    let named = |one: &Value| text(one, &["name"]) == Some(component.name.as_str());
    containers.iter().enumerate().find(|(_, one)| named(one))
}

/// Where the tag of an image stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stands {
    /// In the environment's own kustomization.
    Here,
    /// In the manifest.
    InManifest,
    /// In the kustomization of what all environments share.
    InBase,
    /// Nobody knows.
    Nowhere,
}

/// An image with its tag or digest.
pub(super) struct Tagged {
    pub(super) image: ImageRef,
    pub(super) stands: Stands,
    /// The name that it is pulled by, if the kustomization says another one.
    pub(super) pulled_as: Option<String>,
}

/// The image of a container that names `written`, if that has a tag or digest.
pub(super) fn inline(written: Option<&str>) -> Option<Tagged> {
    let image = ImageRef::parse(written?).ok()?;
    Some(Tagged { image, stands: Stands::InManifest, pulled_as: None })
}

/// The image `name` with the tag or digest that an entry of a kustomization's `images` gives it.
pub(super) fn reference(name: &str, entry: &Value) -> Option<String> {
    match (entry.get("digest"), entry.get("newTag")) {
        (Some(digest), _) => Some(format!("{name}@{}", digest.as_str()?)),
        (None, tag) => Some(format!("{name}:{}", tag?.as_str()?)),
    }
}

/// A kustomization.
pub(super) struct Overlay(Value);

impl Overlay {
    /// Reads it; nothing is in one that is missing or no YAML.
    pub(super) fn parse(text: Option<&str>) -> Self {
        Self(text.and_then(|text| serde_yaml::from_str(text).ok()).unwrap_or_default())
    }

    fn list(&self, key: &str) -> impl Iterator<Item = &Value> {
        self.0.get(key).and_then(Value::as_sequence).into_iter().flatten()
    }

    /// The image of a container that names `written`, or of a component whose container nobody finds, with what this says
    /// of it; none if it says nothing.
    pub(super) fn tagged(&self, written: Option<&str>, component: &Component) -> Option<Tagged> {
        let recorded = &component.image;
        let written = written.unwrap_or(recorded.name());
        // A name alone is no reference.
        let alone = ImageRef::parse(&format!("{written}:latest"));
        let name = alone.or_else(|_| ImageRef::parse(written)).ok()?.name().to_owned();
        let entry = self.list("images").find(|entry| text(entry, &["name"]) == Some(&name))?;
        let reference = reference(&name, entry)?;
        // A digest is recorded with the tag that it had, if it still is that digest.
        let same =
            name == recorded.name() && recorded.digest().is_some_and(|digest| reference.ends_with(digest));
        let image = if same { recorded.clone() } else { ImageRef::parse(&reference).ok()? };
        let pulled_as = text(entry, &["newName"]).map(str::to_owned);
        Some(Tagged { image, stands: Stands::Here, pulled_as })
    }

    /// How many pods of `component` it wants, if it says so.
    pub(super) fn replicas(&self, component: &Component) -> Option<u32> {
        let named = |entry: &&Value| text(entry, &["name"]) == Some(component.name.as_str());
        let count = self.list("replicas").find(named)?.get("count")?.as_u64()?;
        Some(Replicas::parse(&count.to_string()).ok()?.0)
    }

    /// The resources that it gives the container of `component`, in a patch of its workload.
    pub(super) fn resources(&self, component: &Component) -> Option<Resources> {
        let patches = self.list("patches").filter_map(|patch| text(patch, &["patch"]));
        let mut objects = patches
            .filter_map(|text| named(objects(text)?, component.workload.kind(), component.name.as_str()));
        objects.find_map(|patch| Resources::read(container(&patch, component)?.1.get("resources")))
    }

    /// The host that it puts at `path` of the Ingress of `component`.
    pub(super) fn patched_host(&self, component: &Component, path: &[&str]) -> Option<String> {
        let is_of_ingress = |patch: &&Value| {
            text(patch, &["target", "kind"]) == Some("Ingress")
                && text(patch, &["target", "name"]) == Some(component.name.as_str())
        };
        let pointer = format!("/{}", path.join("/"));
        let texts = self.list("patches").filter(is_of_ingress).filter_map(|patch| text(patch, &["patch"]));
        let steps = texts.filter_map(|text| serde_yaml::from_str::<Vec<Value>>(text).ok()).flatten();
        let mut values = steps.filter(|step| text(step, &["path"]) == Some(&pointer));
        values.find_map(|step| text(&step, &["value"]).map(str::to_owned))
    }
}
