//! The new paths of a repository's manifests: what all environments share goes to
//! `kubernetes/base`, the rest to the overlays, because kustomize cannot build a base above an
//! overlay. Pure.

use super::survey::{Survey, is_below, is_secret};
use crate::advice::{Advice, shell_word};
use crate::answers::{Answer, EnvironmentName};
use crate::change::objects::text;
use crate::change::{Files, OVERLAYS};
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::manifests::kustomization;
use serde_yaml::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The paths of the manifests.
#[derive(Default)]
pub(super) struct Layout {
    /// The files that move: from, to.
    pub(super) moves: BTreeMap<String, String>,
    /// The directories of kustomizations with their new paths, even if these are the same.
    dirs: BTreeMap<String, String>,
    /// The environments that have an overlay; if empty, there is only `production`, without one.
    pub(super) environments: Vec<EnvironmentName>,
    /// Manifests that nothing deploys: they stay.
    pub(super) left: BTreeSet<String>,
}

impl Layout {
    /// Determines the layout. `tracked` are the files of the last commit: any others may be from a
    /// killed run.
    pub(super) fn find(survey: &Survey, files: &Files, tracked: &BTreeSet<String>) -> Result<Self> {
        let mut layout = Self::of(survey, tracked)?;
        layout.finish_earlier_run(files, tracked);
        layout.moves.retain(|from, to| from != to);
        layout.check(files, tracked)?;
        Ok(layout)
    }

    /// Like [`Layout::find`], but ignores the content of the files.
    pub(super) fn of(survey: &Survey, tracked: &BTreeSet<String>) -> Result<Self> {
        let is_ours = |dir: &str| {
            let path = survey.kustomizations.get(dir).map(|one| &one.path);
            dir == Context::BASE && path.is_some_and(|path| !tracked.contains(path))
        };
        match survey.roots()[..] {
            [] => Ok(Self::flat(survey)),
            [only] if is_ours(only) && survey.reached(only).len() == 1 => Ok(Self::flat(survey)),
            ref roots => Self::of_kustomizations(survey, roots),
        }
    }

    /// The old path of each moved file, by its new path.
    pub(super) fn sources(&self) -> BTreeMap<&str, &str> {
        self.moves.iter().map(|(from, to)| (to.as_str(), from.as_str())).collect()
    }

    /// Whether all manifests are deployed without a kustomization.
    pub(super) fn is_flat(&self) -> bool {
        self.dirs.is_empty()
    }

    /// The directories of kustomizations with their new paths.
    pub(super) fn dirs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.dirs.iter().map(|(dir, to)| (dir.as_str(), to.as_str()))
    }

    /// Whether the file that is now at `path` is deployed.
    pub(super) fn is_deployed(&self, path: &str) -> bool {
        !self.left.contains(path)
    }

    /// Whether only the overlay can list the file `path`, which contains Secrets, without changing
    /// the objects in the cluster: no kustomization on the way transforms it, and none becomes
    /// empty.
    pub(super) fn can_be_kept_apart(&self, path: &str, survey: &Survey) -> bool {
        const CHANGES: [&str; 10] = [
            "namePrefix",
            "nameSuffix",
            "labels",
            "commonLabels",
            "commonAnnotations",
            "patches",
            "patchesStrategicMerge",
            "patchesJson6902",
            "replacements",
            "transformers",
        ];
        if self.is_flat() || is_below(path, "secrets") {
            return true;
        }
        let is_overlay = |to: &str| is_below(to, OVERLAYS);
        let names_it = |dir: &str| {
            let mut references = survey.kustomizations[dir].references.iter();
            references.any(|one| one.target == path && one.is_resource())
        };
        let leads_to = |dir: &str| survey.reached(dir).iter().any(|dir| names_it(dir));
        let is_changed = |dir: &str| {
            CHANGES.iter().any(|key| survey.kustomizations[dir].value.get(key).is_some())
        };
        let has_others = |dir: &str| {
            let mut resources =
                survey.kustomizations[dir].references.iter().filter(|one| one.is_resource());
            resources.any(|one| survey.manifests.get(&one.target).is_none_or(|all| !is_secret(all)))
        };
        let mut dirs = self.dirs().filter(|(dir, _)| leads_to(dir)).peekable();
        dirs.peek().is_some()
            && dirs.all(|(dir, to)| {
                (is_overlay(to) || !is_changed(dir)) && (!names_it(dir) || has_others(dir))
            })
    }

    /// Fails if two files would have the same path.
    fn check(&self, files: &Files, tracked: &BTreeSet<String>) -> Result<()> {
        let content = |path: &str| files.bytes(path).ok().flatten();
        let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
        for (from, to) in &self.moves {
            // A killed run may have written a kustomization there: generating it again will tell.
            let is_list = kustomization::is_one(to) && !tracked.contains(to);
            let is_there = files.get(to).is_some() && !self.moves.contains_key(to) && !is_list;
            if is_there && content(to) != content(from) {
                return Err(occupied(from, to).into());
            }
            let other = taken.insert(to, from);
            if let Some(other) = other.filter(|other| content(other) != content(from)) {
                return Err(Failure::failed(format!(
                    "`{other}` and `{from}` would both become `{to}`"
                ))
                .because("makeinfra does not merge or overwrite files")
                .hint(Advice::makeinfra("adopt").with("--manifests DIR"))
                .into());
            }
        }
        Ok(())
    }

    /// The new path of the directory `dir` of a kustomization.
    pub(super) fn dir<'d>(&'d self, dir: &'d str) -> &'d str {
        self.dirs.get(dir).map_or(dir, String::as_str)
    }

    /// The new path of the file `path`.
    pub(super) fn file<'f>(&'f self, path: &'f str) -> &'f str {
        self.moves.get(path).map_or(path, String::as_str)
    }

    /// The layout without kustomizations, in which all manifests are deployed.
    fn flat(survey: &Survey) -> Self {
        let mut layout = Self::default();
        let is_placed = |path: &str| is_below(path, Context::BASE) || is_below(path, "secrets");
        let all = survey
            .manifests
            .iter()
            .filter(|(path, documents)| !is_placed(path) && !is_secret(documents));
        // kubectl would apply a file that SOPS has encrypted in its encrypted form.
        let is_sops = |documents: &[Value]| documents.iter().any(|one| one.get("sops").is_some());
        let (sops, all): (Vec<_>, Vec<_>) = all.partition(|(_, documents)| is_sops(documents));
        layout.left = sops.into_iter().map(|(path, _)| path.clone()).collect();
        let common = common(all.iter().map(|(path, _)| path.as_str()));
        let is_namespace = |documents: &[Value]| match documents {
            [only] => text(only, &["kind"]) == Some("Namespace"),
            _ => false,
        };
        let is_alone = all.iter().filter(|(_, documents)| is_namespace(documents)).count() == 1;
        for (path, documents) in all {
            let to = if is_alone && is_namespace(documents) {
                format!("{OVERLAYS}/production/namespace.yaml")
            } else {
                format!("{}/{}", Context::BASE, below(path, &common))
            };
            layout.moves.insert(path.clone(), to);
        }
        layout
    }

    /// The layout of several kustomizations: the roots are the environments, and what they share is
    /// the base.
    fn of_kustomizations(survey: &Survey, roots: &[&str]) -> Result<Self> {
        let mut layout = Self::default();
        let reached: Vec<_> = roots.iter().map(|root| survey.reached(root)).collect();
        if let ([root], [dirs]) = (roots, &reached[..])
            && dirs.len() == 1
        {
            layout.dirs.insert((*root).to_owned(), Context::BASE.to_owned());
        } else {
            let base = base(roots, &reached)?;
            let all = reached.iter().flatten().copied().filter(|dir| !is_below(dir, "secrets"));
            let all: BTreeSet<&str> = all.collect();
            let files: Vec<_> = all.iter().map(|dir| kustomization::generated(dir)).collect();
            let common = common(files.iter().map(String::as_str));
            for dir in all {
                let to = if dir == base {
                    Context::BASE.to_owned()
                } else if roots.contains(&dir) {
                    let name = environment(dir, roots)?;
                    if layout.environments.contains(&name) {
                        return Err(Failure::failed(format!(
                            "two overlays have the name `{name}`"
                        ))
                        .because("an environment is named after the directory of its overlay")
                        .hint(Advice::git(format!("mv {0} {0}-2", shell_word(Path::new(dir)))))
                        .into());
                    }
                    layout.environments.push(name.clone());
                    format!("{OVERLAYS}/{name}")
                } else if is_below(dir, "kubernetes") {
                    dir.to_owned()
                } else {
                    format!("kubernetes/{}", below(dir, &common))
                };
                layout.dirs.insert(dir.to_owned(), to);
            }
        }
        layout.move_named(survey);
        let named = survey.named();
        let is_left = |path: &&String| {
            !named.contains(path.as_str())
                && !is_below(path, "secrets")
                && !is_below(path, "kubernetes/overlays")
        };
        layout.left = survey.manifests.keys().filter(is_left).cloned().collect();
        Ok(layout)
    }

    /// Moves the kustomizations together with the files to which they refer.
    fn move_named(&mut self, survey: &Survey) {
        for (dir, to) in &self.dirs {
            let kustomization = &survey.kustomizations[dir];
            let name = &kustomization.path[kustomization.path.rfind('/').map_or(0, |at| at + 1)..];
            self.moves.insert(kustomization.path.clone(), format!("{to}/{name}"));
            for reference in &kustomization.references {
                let target = &reference.target;
                if is_below(target, dir) && !survey.kustomizations.contains_key(target) {
                    self.moves.insert(target.clone(), format!("{to}/{}", below(target, dir)));
                }
            }
        }
    }

    /// Uses the copies that a killed run has made without removing the originals.
    fn finish_earlier_run(&mut self, files: &Files, tracked: &BTreeSet<String>) {
        let content = |path: &str| files.bytes(path).ok().flatten();
        let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let written = files.below(Context::BASE).filter(|(other, _)| !tracked.contains(*other));
        let copies: BTreeMap<_, _> = written
            .map(|(other, _)| ((name(other), content(other).map(|bytes| &bytes[..])), other))
            .collect();
        let copy = |path: &str| {
            let same = copies.get(&(name(path), content(path).map(|bytes| &bytes[..])))?;
            Some((path.to_owned(), (*same).to_owned()))
        };
        let outside = |path: &&String| !is_below(path, "kubernetes/base");
        let left: BTreeMap<_, _> =
            self.left.iter().filter(outside).filter_map(|path| copy(path)).collect();
        self.left.retain(|path| !left.contains_key(path));
        self.moves.extend(left);
        for (from, to) in &mut self.moves {
            if content(to).is_none()
                && let Some((_, there)) = copy(from).filter(|_| !is_below(from, "kubernetes/base"))
            {
                *to = there;
            }
        }
    }
}

/// The failure to move a file to the path of another one.
pub(super) fn occupied(from: &str, to: &str) -> Failure {
    let word = |path: &str| shell_word(Path::new(path));
    Failure::failed(format!("cannot move `{from}`"))
        .because(format!("its new place `{to}` already exists with different content"))
        .hint(Advice::git(format!("mv {} {}", word(to), word(&format!("{to}.old")))))
}

/// The directory that all `roots` share: the only one, or the one called base. A single root with
/// several of them is the base itself.
fn base<'d>(roots: &[&'d str], reached: &[Vec<&'d str>]) -> Result<&'d str> {
    let is_shared =
        |dir: &str| reached.iter().all(|one| one.contains(&dir)) && !is_below(dir, "secrets");
    let shared: Vec<&str> =
        reached[0].iter().copied().filter(|dir| !roots.contains(dir) && is_shared(dir)).collect();
    let is_called_so = |dir: &&&str| dir.rsplit('/').next() == Some("base");
    if let [root] = roots
        && is_called_so(&root)
    {
        return Ok(root);
    }
    let called_so = shared.iter().find(is_called_so);
    match (called_so, &shared[..], roots) {
        (Some(base), ..) | (None, [base], _) | (None, _, [base]) => Ok(base),
        _ => Err(Failure::failed("cannot determine which kustomization is the base")
            .because(format!("these overlays do not share exactly one base: {}", roots.join(", ")))
            .hint(Advice::makeinfra("adopt").with("--manifests DIR"))
            .into()),
    }
}

/// The name of the environment whose kustomization is in `dir`.
fn environment(dir: &str, roots: &[&str]) -> Result<EnvironmentName> {
    let name = dir.rsplit('/').next().unwrap_or(dir);
    let is_generic = ["", "k8s", "kubernetes", "deploy", "manifests", "overlay"].contains(&name);
    let name = if roots.len() == 1 && is_generic { "production" } else { name };
    Ok(EnvironmentName::parse(name).map_err(|rule| {
        Failure::failed(format!("`{dir}` cannot be an environment"))
            .because(format!("its name {rule}"))
            .hint(Advice::git(format!("mv {} NAME", shell_word(Path::new(dir)))))
    })?)
}

/// The common parent directory of `paths`.
fn common<'p>(paths: impl Iterator<Item = &'p str>) -> String {
    let parents = paths.map(|path| {
        path.split('/').rev().skip(1).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>()
    });
    let shared = parents.reduce(|one, other| {
        one.into_iter()
            .zip(other)
            .take_while(|(one, other)| one == other)
            .map(|(one, _)| one)
            .collect()
    });
    shared.unwrap_or_default().join("/")
}

/// `path` relative to `dir`.
fn below<'p>(path: &'p str, dir: &str) -> &'p str {
    if dir.is_empty() {
        path
    } else {
        path.strip_prefix(dir).map_or(path, |rest| rest.trim_start_matches('/'))
    }
}
