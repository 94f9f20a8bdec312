//! Verifies an adoption: the environments must still build what was deployed before. Pure.

use super::layout::Layout;
use super::secrets::SecretFile;
use super::survey::{Survey, is_below};
use crate::advice::Advice;
use crate::answers::{Answers, Environment};
use crate::change::objects::{self, text};
use crate::change::{Files, OVERLAYS};
use crate::error::{Failure, Result};
use crate::manifests::{self, Builds, kustomization};
use crate::work_tree::Content;
use serde_yaml::Value;
use std::collections::BTreeMap;

/// How often each object occurs, by kind and name, and its namespace if it has one.
type Objects = BTreeMap<(String, String), (usize, Option<String>)>;

/// Fails unless every reference of a kustomization is valid, and every environment has the same
/// objects as before, apart from Secrets that were deployed in another way.
pub(super) fn verify(
    before: (&Files, &Survey, &Layout),
    after: &Files,
    answers: &Answers,
    secrets: &[SecretFile],
) -> Result<()> {
    let (files, survey, layout) = before;
    check_references(files, after)?;
    let [was, will] = [files, after].map(|files| Builds::of(&contents(files)));
    for environment in answers.environments.iter() {
        let built = count(will.built(&environment.overlay()));
        let known = if layout.is_flat() {
            flat(survey, layout, secrets)
        } else {
            let Some(dir) = root(survey, layout, environment) else { continue };
            count(was.built(dir))
        };
        let all = known.keys().chain(built.keys());
        let differs = |object: &&(String, String)| {
            let [old, new] =
                [&known, &built].map(|all| all.get(*object).map_or(0, |(count, _)| *count));
            // A Secret may be new below `secrets/`, and a killed run leaves two of it.
            let is_same = if object.0 == "Secret" { new > 0 || old == 0 } else { new == old };
            new > 1 || !is_same
        };
        if let Some((kind, name)) = all.into_iter().find(differs) {
            let count = built.get(&(kind.clone(), name.clone())).map_or(0, |(count, _)| *count);
            let what = match count {
                0 => "would no longer be deployed",
                1 => "would be deployed, but is not deployed now",
                _ => "exists in several files",
            };
            return Err(Failure::failed(format!("{kind} `{name}` {what}"))
                .because(format!(
                    "the environment `{}` would have other objects than before",
                    environment.name
                ))
                .hint(Advice::makeinfra("adopt").with("--manifests DIR"))
                .into());
        }
        let moved = known.iter().find_map(|(object, (_, old))| {
            let (old, new) = (old.as_ref()?, built.get(object)?.1.as_ref()?);
            (old != new && object.0 != "Namespace").then_some((object, old, new))
        });
        if let Some(((kind, name), old, new)) = moved {
            return Err(Failure::failed(format!(
                "{kind} `{name}` would be created again in another namespace"
            ))
            .because(format!(
                "it is in `{old}`, but `{new}` would be the namespace of `{}`",
                environment.name
            ))
            .hint(Advice::makeinfra("adopt").with(format!("--namespace {old}")))
            .into());
        }
    }
    Ok(())
}

/// The directory whose kustomization becomes the overlay of `environment`, or the base if it had
/// none.
fn root<'l>(survey: &'l Survey, layout: &'l Layout, environment: &Environment) -> Option<&'l str> {
    let overlay = environment.overlay();
    let roots = survey.roots();
    let mut dirs = layout.dirs().filter(|(dir, _)| roots.contains(dir));
    let own = dirs.find(|(_, to)| *to == overlay).map(|(dir, _)| dir);
    let mut bases =
        layout.dirs().filter(|(dir, to)| roots.contains(dir) && !is_below(to, OVERLAYS));
    own.or_else(|| bases.next().map(|(dir, _)| dir))
}

/// Everything that is deployed without kustomizations. A Namespace that is alone in its file is not
/// a resource.
fn flat(survey: &Survey, layout: &Layout, secrets: &[SecretFile]) -> Objects {
    let is_resource = |path: &String| {
        layout.is_deployed(path)
            && !is_below(layout.file(path), OVERLAYS)
            && (!is_below(path, "secrets") || secrets.iter().any(|file| file.path == *path))
    };
    let files = survey.manifests.iter().filter(|(path, _)| is_resource(path));
    // A killed run has left copies.
    let mut places = BTreeMap::new();
    for (path, documents) in files {
        places.insert(layout.file(path), documents);
    }
    count(places.into_values().flatten().cloned())
}

fn count(objects: impl IntoIterator<Item = Value>) -> Objects {
    let mut all = Objects::new();
    for one in objects {
        let field = |path: &[&str]| text(&one, path).unwrap_or_default().to_owned();
        let entry = all.entry((field(&["kind"]), field(&["metadata", "name"]))).or_default();
        entry.0 += 1;
        entry.1 = text(&one, &["metadata", "namespace"]).map(str::to_owned).or(entry.1.take());
    }
    all
}

fn contents(files: &Files) -> manifests::Files {
    let is_read = |path: &str| objects::is_yaml(path) || path.ends_with("json");
    let files = files.iter().filter(|(path, _)| is_read(path));
    let content = |(path, found): (&str, &crate::change::WorkTreeFile)| {
        Some((path.to_owned(), Content::Bytes(found.content.as_ref().ok()?.clone())))
    };
    files.filter_map(content).collect()
}

/// Fails if a kustomization refers to a file that neither exists nor existed.
fn check_references(files: &Files, after: &Files) -> Result<()> {
    let survey = Survey::of(after, &["kubernetes".to_owned(), "secrets".to_owned()]);
    for one in survey.kustomizations.values() {
        let is_there = |target: &str| {
            let has = |files: &Files| {
                files.get(target).is_some()
                    || kustomization::places(target).any(|path| files.get(&path).is_some())
            };
            has(after) || has(files)
        };
        if let Some(missing) = one.references.iter().find(|reference| !is_there(&reference.target))
        {
            return Err(Failure::failed(format!("`{}` would refer to a missing file", one.path))
                .because(format!("`{}` is missing; nothing was written", missing.target))
                .hint(Advice::git("status --ignored"))
                .into());
        }
    }
    Ok(())
}
