//! The kustomizations of an adopted repository: edits those of users in place, and adds what they
//! lack. Pure.

use super::layout::Layout;
use super::secrets::SecretFile;
use super::survey::{Kustomization, PathStep, Survey, is_below, is_secret};
use crate::answers::{Answers, Environment, ProjectName};
use crate::change::objects::{self, list};
use crate::change::{Files, kustomization, not_edited, text_of};
use crate::context::Context;
use crate::error::Result;
use crate::manifests;
use crate::opaque;
use crate::templates::File;
use crate::yaml;
use crate::yaml_edit::{self, Document, Step};
use serde_yaml::Value;
use std::collections::{BTreeMap, BTreeSet};
use zeroize::Zeroizing;

/// The label of the Pod Security Standard.
const ENFORCE: [&str; 3] = ["metadata", "labels", "pod-security.kubernetes.io/enforce"];

/// The inputs.
pub(super) struct Parts<'p> {
    pub(super) answers: &'p Answers,
    /// The files at their new paths, without Secrets.
    pub(super) after: &'p Files,
    /// The survey of these files.
    pub(super) here: &'p Survey,
    /// The survey of the original files, and the new paths.
    pub(super) survey: &'p Survey,
    pub(super) layout: &'p Layout,
    pub(super) secrets: &'p [SecretFile],
    pub(super) rendered: &'p [File],
    /// Whether all pods comply with the Pod Security Standard `baseline`.
    pub(super) is_baseline: bool,
}

impl Parts<'_> {
    /// The texts of files that are neither unchanged nor as generated.
    pub(super) fn compose(&self) -> Result<BTreeMap<String, String>> {
        let mut texts = BTreeMap::new();
        for kustomization in
            self.survey.kustomizations.values().filter(|one| !is_below(&one.path, "secrets"))
        {
            let path = self.layout.file(&kustomization.path);
            if let Some(text) = self.after.text(path)? {
                texts.insert(path.to_owned(), self.with_new_places(kustomization, path, text)?);
            }
        }
        self.base(&mut texts)?;
        for environment in self.answers.environments.iter() {
            self.overlay(environment, &mut texts)?;
        }
        Ok(texts)
    }

    /// `text`, a kustomization that is now at `path`, with updated references. Secrets have a
    /// kustomization of their own.
    fn with_new_places(
        &self,
        kustomization: &Kustomization,
        path: &str,
        text: &str,
    ) -> Result<String> {
        // The error names its old path.
        let refused = |refusal| not_edited(&kustomization.path, refusal);
        let dir = parent(path);
        let mut text = Zeroizing::new(text.to_owned());
        for reference in kustomization.references.iter().rev() {
            let place: Vec<_> = reference.place.iter().map(step).collect();
            let is_secret =
                self.secrets.iter().any(|file| !file.is_part && file.path == reference.target);
            if is_secret && reference.is_resource() {
                // In reverse order, so that the other positions stay valid.
                text = yaml_edit::remove_item(&text, &place).map_err(refused)?;
                continue;
            }
            let target = if self.survey.kustomizations.contains_key(&reference.target) {
                self.layout.dir(&reference.target)
            } else {
                self.layout.file(&reference.target)
            };
            let (old, new) =
                (relative(parent(&kustomization.path), &reference.target), relative(dir, target));
            if old != new {
                let new = format!("{}{new}", reference.prefix);
                text = yaml_edit::replace(&text, &place, &new).map_err(refused)?;
            }
        }
        Ok(text.to_string())
    }

    /// Lists every manifest in the kustomization of the base, if makeinfra generates that.
    fn base(&self, texts: &mut BTreeMap<String, String>) -> Result<()> {
        let generated = manifests::kustomization::generated(Context::BASE);
        let path = kustomization(self.after, Context::BASE).unwrap_or_else(|| generated.clone());
        let is_new = self.after.get(&path).is_none();
        let refused = |refusal| not_edited(&path, refusal);
        let manifests = self.here.manifests.iter();
        let manifests =
            manifests.filter(|(file, all)| is_below(file, Context::BASE) && !is_secret(all));
        let (sources, known) = (self.layout.sources(), self.survey.named());
        let is_unnamed = |file: &str| sources.get(file).is_some_and(|from| !known.contains(from));
        let manifests: Vec<_> = manifests
            .map(|(file, _)| file.as_str())
            .filter(|file| is_new || is_unnamed(file))
            .collect();
        if manifests.is_empty() {
            return Ok(());
        }
        let known = texts.remove(&path);
        let text = known
            .or_else(|| text_of(self.rendered, &generated).map(str::to_owned))
            .unwrap_or_default();
        let mut text = Zeroizing::new(text);
        let names: Vec<_> = manifests.iter().map(|file| relative(Context::BASE, file)).collect();
        let listed = |text: &str| opaque::Kustomization::parse(text).map(|one| one.resources);
        let there: BTreeSet<_> = listed(&text).map_err(refused)?.into_iter().collect();
        let missing: Vec<_> =
            names.iter().filter(|name| !there.contains(*name)).map(String::as_str).collect();
        text = opaque::add_resources(&text, &missing).map_err(refused)?;
        if is_new {
            let names: BTreeSet<_> = names.iter().collect();
            let resources = listed(&text).map_err(refused)?;
            for (at, _) in
                resources.iter().enumerate().rev().filter(|(_, name)| !names.contains(name))
            {
                text = yaml_edit::remove_item(&text, &[Step::Key("resources"), Step::Item(at)])
                    .map_err(refused)?;
            }
        }
        texts.insert(path, text.to_string());
        Ok(())
    }

    /// Edits a user's overlay of an environment: sets its namespace, Secrets, the labels that
    /// identify objects, and the image's tag.
    fn overlay(
        &self,
        environment: &Environment,
        texts: &mut BTreeMap<String, String>,
    ) -> Result<()> {
        let dir = environment.overlay();
        let namespace = format!("{dir}/namespace.yaml");
        if !self.is_baseline
            && self.after.get(&namespace).is_none()
            && let Some(text) = text_of(self.rendered, &namespace)
        {
            let open = yaml_edit::remove(text, &ENFORCE)
                .map_err(|refusal| not_edited(&namespace, refusal))?;
            texts.insert(namespace, open.to_string());
        }
        let Some(path) = kustomization(self.after, &dir) else { return Ok(()) };
        let Some(text) = texts.remove(&path) else { return Ok(()) };
        let generated = manifests::kustomization::generated(&dir);
        let generated = text_of(self.rendered, &generated).unwrap_or_default();
        let edited = self.with_settings(environment, &text, generated);
        let sources = self.layout.sources();
        let now = sources.get(path.as_str()).copied().unwrap_or(&path);
        texts.insert(path.clone(), edited.map_err(|refusal| not_edited(now, refusal))?);
        Ok(())
    }

    fn with_settings(
        &self,
        environment: &Environment,
        text: &str,
        generated: &str,
    ) -> std::result::Result<String, yaml_edit::Refusal> {
        let dir = environment.overlay();
        let root: Value = yaml::read(text).unwrap_or_default();
        let mut text = yaml_edit::set(text, &["namespace"], environment.namespace.as_str())?;
        if !manifests::kustomization::resources(&root, &dir).any(|path| path == environment.secrets)
        {
            text = opaque::add_resource(&text, &relative(&dir, &environment.secrets))?;
        }
        let project = |one: &Value| {
            one.get("pairs").and_then(|pairs| pairs.get(ProjectName::LABEL)).is_some()
        };
        if !list(&root, "labels").any(project) {
            text = with_item(&text, generated, "labels")?;
        }
        let image = self.answers.image().name();
        let is_it = |one: &Value| {
            ["name", "newName"].iter().any(|key| objects::text(one, &[key]) == Some(image))
        };
        if !list(&root, "images").any(is_it) {
            text = with_item(&text, generated, "images")?;
        }
        Ok(text.to_string())
    }
}

/// `text` with the first item of the list `key` in `generated`, if there is one.
fn with_item(text: &str, generated: &str, key: &str) -> yaml_edit::Edited {
    let from = Document::parse(generated)?;
    if from.count(&[Step::Key(key)]) == 0 {
        return Ok(Zeroizing::new(text.to_owned()));
    }
    if !Document::parse(text)?.keys(&[]).contains(&key) {
        return yaml_edit::graft(text, &[key], generated, &[key]);
    }
    let root: Value = yaml::read(generated).unwrap_or_default();
    let item = list(&root, key)
        .next()
        .and_then(|item| serde_yaml::to_string(item).ok())
        .unwrap_or_default();
    yaml_edit::push(text, &[Step::Key(key)], item.trim_end())
}

fn step(place: &PathStep) -> Step<'static> {
    match place {
        PathStep::Key(key) => Step::Key(key),
        PathStep::Item(at) => Step::Item(*at),
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

/// `target` relative to the directory `dir`.
fn relative(dir: &str, target: &str) -> String {
    let parts = |path: &'_ str| {
        path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let (from, to) = (parts(dir), parts(target));
    let shared = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
    let up = std::iter::repeat_n("..".to_owned(), from.len() - shared);
    up.chain(to[shared..].iter().cloned()).collect::<Vec<_>>().join("/")
}
