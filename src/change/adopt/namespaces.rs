//! The namespaces in the manifests, and whether they can become one environment. Pure.

use super::survey::{Survey, is_secret};
use crate::advice::Advice;
use crate::answers::{Environment, Name, Values};
use crate::change::objects::{list, text};
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::manifests;
use std::collections::BTreeSet;

/// The namespaces that objects set, and whether any that needs one lacks it.
pub(super) struct Namespaces {
    pub(super) named: Vec<String>,
    /// Whether other objects set none.
    is_mixed: bool,
}

impl Namespaces {
    /// Those of the objects in the `deployed` files, except for Secrets.
    pub(super) fn of(survey: &Survey, deployed: impl Fn(&str) -> bool) -> Self {
        let mut named = BTreeSet::new();
        let (mut has_named, mut has_unnamed) = (false, false);
        let files = survey.manifests.iter().filter(|(path, all)| deployed(path) && !is_secret(all));
        for one in files.flat_map(|(_, all)| all) {
            let kind = text(one, &["kind"]).unwrap_or_default();
            let namespace = text(one, &["metadata", "namespace"]);
            has_named |= namespace.is_some();
            has_unnamed |= namespace.is_none() && !manifests::is_cluster_wide(kind);
            let own = text(one, &["metadata", "name"]).filter(|_| kind == "Namespace");
            named.extend(namespace.or(own).map(str::to_owned));
        }
        Self { named: named.into_iter().collect(), is_mixed: has_named && has_unnamed }
    }

    /// Fails unless all objects can be in one namespace (`asked` if given) without moving any of
    /// them.
    pub(super) fn check(&self, asked: Option<&str>) -> Result<()> {
        let others = |one: &&String| asked.is_some_and(|asked| asked != one.as_str());
        if let [first, second, ..] = &self.named[..] {
            return Err(Failure::failed("the manifests name several namespaces")
                .because(format!("`{first}` and `{second}`; an environment has only one"))
                .hint(Advice::makeinfra("adopt").with("--manifests DIR"))
                .into());
        }
        if let Some(other) = self.named.iter().find(others) {
            return Err(Failure::usage("`--namespace` must match the manifests")
                .because("in another namespace, all objects would be created again")
                .hint(format!("--namespace {other}"))
                .into());
        }
        match self.named.first() {
            Some(name) if self.is_mixed && asked.is_none() => {
                Err(Failure::usage("`--namespace` is required")
                    .because(format!("some objects are in `{name}`, others have no namespace"))
                    .hint(format!("--namespace {name}"))
                    .into())
            }
            _ => Ok(()),
        }
    }
}

/// The namespace that all objects with a namespace share.
pub(super) fn namespace(survey: &Survey) -> Option<String> {
    let all = Namespaces::of(survey, |path| path.starts_with("kubernetes/")).named;
    if let [only] = &all[..] { Some(only.clone()) } else { None }
}

/// Whether neither the files nor `asked` determine the namespace of `environment`.
pub(super) fn is_assumed(survey: &Survey, asked: &Values, environment: &Environment) -> bool {
    let kustomized = |dir: &str| {
        let kustomization = survey.kustomizations.get(dir);
        kustomization.is_some_and(|one| one.value.get("namespace").is_some())
    };
    let is_declared = kustomized(&environment.overlay()) || kustomized(Context::BASE);
    !is_declared && namespace(survey).is_none() && !asked.contains_key(&Name::Namespace)
}

/// The namespaces, other than `own`, of `default` accounts to which bindings grant permissions.
pub(super) fn foreign_subjects(survey: &Survey, own: &str) -> BTreeSet<String> {
    let objects = survey.manifests.iter().filter(|(path, _)| path.starts_with("kubernetes/"));
    let subjects = objects.flat_map(|(_, all)| all).flat_map(|one| list(one, "subjects"));
    // kustomize changes the namespace of `default` accounts only.
    let subjects = subjects.filter(|one| text(one, &["name"]) == Some("default"));
    let named = subjects.filter_map(|one| text(one, &["namespace"])).filter(|name| *name != own);
    named.map(str::to_owned).collect()
}
