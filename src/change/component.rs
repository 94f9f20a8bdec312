//! Adds a component: its own files in the base, and entries for it in the kustomizations. Pure.

use super::current::Overlay;
use super::objects::{self, text};
use super::{Files, MadeFrom, OVERLAYS, Plan, merge, record, rendered, text_of};
use crate::advice::Advice;
use crate::answers::{
    Answer, Answers, Component, ComponentName, Environment, ImageRef, Name, Record, Sheet, Values,
};
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::manifests::kustomization;
use crate::templates::File;
use crate::yaml_edit;
use zeroize::Zeroizing;

/// A component that is about to be added.
pub struct NewComponent<'r> {
    made_from: MadeFrom<'r>,
    name: &'r ComponentName,
    /// The answers including it.
    pub sheet: Sheet,
    /// Its image, with the tag of the environments.
    image: ImageRef,
}

impl<'r> NewComponent<'r> {
    /// Decides what the component `name` is. `values` are the given answers.
    pub fn decide(
        files: &Files,
        made_from: MadeFrom<'r>,
        name: &'r ComponentName,
        mut values: Values,
    ) -> Result<Self> {
        let known = &made_from.record.answers;
        let given = values
            .get(&Name::Image)
            .cloned()
            .flatten()
            .and_then(|text| ImageRef::parse(&text).ok());
        let image = match given {
            Some(image) => image,
            None => main_image(files, made_from.record).ok_or_else(|| {
                Failure::usage(format!(
                    "the manifests do not contain the image of `{}`",
                    known.main().name
                ))
                .hint(Advice::makeinfra(format!("add {name}")).with("--image REGISTRY/PATH:TAG"))
            })?,
        };
        if let Some(file) = other_tag(files, made_from.record, &image) {
            return Err(Failure::failed(format!("`{}` uses another tag", image.name()))
                .because(format!(
                    "`{file}` sets the tag, and a kustomization has one tag per image for all \
                     containers"
                ))
                .hint(Advice::makeinfra(format!("add {name}")).why("use that tag, or omit --image"))
                .into());
        }
        // In the record, all components with the same image share one reference.
        let recorded = known.components.iter().find(|one| one.image.name() == image.name());
        let answer = recorded.map_or(&image, |one| &one.image);
        values.insert(Name::Image, Some(answer.to_string()));
        let mut sheet = made_from.record.sheet.clone();
        sheet.components.push((name.clone(), values));
        Ok(Self { made_from, name, sheet, image })
    }

    /// The plan. `answers` are those of the sheet.
    pub fn plan(&self, files: &Files, answers: &Answers) -> Result<Plan> {
        let mut plan = Plan::default();
        let new =
            answers.components.iter().find(|one| one.name == *self.name).unwrap_or(answers.main());
        self.state(&mut plan, new);
        let (before, after) = (
            rendered(self.made_from.templates, &self.made_from.record.answers)?,
            rendered(self.made_from.templates, answers)?,
        );
        let is_new =
            |path: &str| path.starts_with(Context::BASE) && text_of(&before, path).is_none();
        let own: Vec<_> = after.iter().filter(|file| is_new(&file.path)).collect();
        self.check_room(
            files,
            new,
            &own.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(),
        )?;
        for file in &own {
            let bytes = Zeroizing::new(file.text.expose().as_bytes().to_vec());
            plan.create(files, &file.path, bytes, false)?;
        }
        // Overlays first: an entry for something that the base does not have yet does no harm.
        for environment in answers.environments.iter() {
            let dir = environment.overlay();
            let Some(path) = super::kustomization(files, &dir) else { continue };
            let [before, after] = self.overlays(files, answers, &path)?;
            let fresh = kustomization::generated(&dir);
            edit(&mut plan, files, &path, [text_of(&before, &fresh), text_of(&after, &fresh)])?;
        }
        let path = super::kustomization(files, Context::BASE).ok_or_else(|| {
            Failure::failed(format!("`{}` has no kustomization.yaml", Context::BASE))
                .hint(Advice::git("status"))
        })?;
        let fresh = kustomization::generated(Context::BASE);
        edit(&mut plan, files, &path, [text_of(&before, &fresh), text_of(&after, &fresh)])?;
        let rendered = text_of(&after, Record::FILE).unwrap_or_default();
        let text =
            record::with_component(&self.made_from.record.text, rendered, self.name.as_str())?;
        Record::parse(text.clone())?;
        plan.write_text(files, Record::FILE, &text)?;
        Ok(plan)
    }

    /// Notes the decisions.
    fn state(&self, plan: &mut Plan, new: &Component) {
        plan.facts.push(("image", self.image.to_string()));
        plan.facts.push(("workload", new.workload.as_str().to_owned()));
        plan.facts.extend(new.schedule.as_ref().map(|schedule| ("schedule", schedule.to_string())));
        plan.facts.extend(new.port.map(|port| ("port", port.to_string())));
        plan.facts.extend(new.ingress.as_ref().map(|host| ("host", host.to_string())));
    }

    /// The generated files without the component and with it, for the overlay with the
    /// kustomization `path`. They include the image unless users have set its tag there.
    fn overlays(&self, files: &Files, answers: &Answers, path: &str) -> Result<[Vec<File>; 2]> {
        let has_tag = [Some(path.to_owned()), super::kustomization(files, Context::BASE)]
            .iter()
            .flatten()
            .any(|path| !tags(files, path, self.image.name()).is_empty());
        let mut before = self.made_from.record.answers.clone();
        let mut after = answers.clone();
        for (answers, is_after) in [(&mut before, false), (&mut after, true)] {
            for environment in answers.environments.iter_mut() {
                for (component, deployed) in
                    answers.components.iter().zip(&mut environment.deployed)
                {
                    if deployed.image.name() == self.image.name() {
                        deployed.has_tag = is_after && component.name == *self.name && !has_tag;
                        deployed.image = self.image.clone();
                    }
                }
            }
        }
        Ok([
            rendered(self.made_from.templates, &before)?,
            rendered(self.made_from.templates, &after)?,
        ])
    }

    /// Fails if a deployed manifest already has an object of the component. `own` are the
    /// component's files.
    fn check_room(&self, files: &Files, new: &Component, own: &[&str]) -> Result<()> {
        let kinds = objects::kinds(new);
        let name = self.name.as_str();
        for dir in dirs(files) {
            for resource in super::resources(files, &dir)? {
                let Some(bytes) = files.bytes(&resource).ok().flatten() else { continue };
                if own.contains(&resource.as_str()) {
                    continue;
                }
                let found = objects::documents(bytes);
                let mut kinds = kinds.iter();
                if let Some(kind) =
                    kinds.find(|kind| found.iter().any(|one| objects::is_object(one, kind, name)))
                {
                    return Err(Failure::failed(format!("{kind} `{name}` already exists"))
                        .because(format!("it is in `{resource}`"))
                        .hint(Advice::makeinfra(format!("add {name}-2")).why("choose another name"))
                        .into());
                }
            }
        }
        Ok(())
    }
}

/// Adds what the second generated text has compared with the first to the lists of the
/// kustomization at `path`.
fn edit(plan: &mut Plan, files: &Files, path: &str, fresh: [Option<&str>; 2]) -> Result<()> {
    let (Some(ours), [Some(before), Some(after)]) = (files.text(path)?, fresh) else {
        return Ok(());
    };
    if before == after {
        return plan.write_text(files, path, ours);
    }
    let added =
        yaml_edit::add(ours, before, after).map_err(|refusal| super::not_edited(path, refusal))?;
    plan.write_text(files, path, &merge::lists(before, ours, after, &added)?)
}

/// The directories of the base and of every overlay.
pub(super) fn dirs(files: &Files) -> Vec<String> {
    let mut dirs = vec![Context::BASE.to_owned()];
    for (path, _) in files.below(OVERLAYS) {
        let name = path[OVERLAYS.len() + 1..]
            .split_once('/')
            .map(|(name, _)| format!("{OVERLAYS}/{name}"));
        dirs.extend(name.filter(|name| !dirs.contains(name)));
    }
    dirs
}

/// The references that the kustomization at `path` makes of the image `name`.
fn tags(files: &Files, path: &str, name: &str) -> Vec<ImageRef> {
    Overlay::new(files.text(path).ok().flatten(), None).references(name)
}

/// The image of the project's own component, with the tag of the first environment that sets one.
fn main_image(files: &Files, record: &Record) -> Option<ImageRef> {
    let main = record.answers.main();
    let all = objects::below(files, Context::BASE);
    let workload = all
        .iter()
        .find(|(_, document)| {
            objects::is_object(document, main.workload.kind(), main.name.as_str())
        })
        .map(|(_, document)| document);
    let container = workload.and_then(|workload| objects::own_container(workload, main));
    let written = container.and_then(|container| text(container, &["image"]));
    let name = match written {
        Some(written) => ImageRef::parse_unpinned(written).ok()?.name().to_owned(),
        None => main.image.name().to_owned(),
    };
    let overlays = record.answers.environments.iter().map(Environment::overlay);
    let found = overlays
        .chain([Context::BASE.to_owned()])
        .filter_map(|dir| super::kustomization(files, &dir))
        .find_map(|path| tags(files, &path, &name).into_iter().next());
    let found = found.or_else(|| ImageRef::parse(written?).ok())?;
    // A digest is recorded together with its tag.
    let is_recorded = found.digest().is_some() && found.digest() == main.image.digest();
    Some(if is_recorded && found.name() == main.image.name() { main.image.clone() } else { found })
}

/// The kustomization that sets another tag or digest for `image`, if none sets this one.
fn other_tag(files: &Files, record: &Record, image: &ImageRef) -> Option<String> {
    let version =
        |image: &ImageRef| (image.tag().map(str::to_owned), image.digest().map(str::to_owned));
    let is_same = |one: &ImageRef| {
        version(one) == version(image) || one.digest().is_some() && one.digest() == image.digest()
    };
    let paths: Vec<_> =
        dirs(files).iter().filter_map(|dir| super::kustomization(files, dir)).collect();
    let found: Vec<_> = paths
        .iter()
        .flat_map(|path| tags(files, path, image.name()).into_iter().map(move |tag| (path, tag)))
        .collect();
    if found.iter().any(|(_, tag)| is_same(tag)) {
        return None;
    }
    let recorded = record.answers.components.iter().find(|one| one.image.name() == image.name());
    match found.first() {
        Some((path, _)) => Some((*path).clone()),
        None => recorded
            .filter(|one| !is_same(&one.image) && written(files, image))
            .map(|_| Record::FILE.to_owned()),
    }
}

/// Whether a manifest of the base has `image` with another tag.
fn written(files: &Files, image: &ImageRef) -> bool {
    let mut has_other = false;
    for (_, document) in objects::below(files, Context::BASE) {
        objects::containers(&document, 0, &mut |written| {
            let found = ImageRef::parse(written).ok().filter(|one| one.name() == image.name());
            has_other |= found.is_some_and(|one| one != *image);
        });
    }
    has_other
}
