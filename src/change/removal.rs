//! Removes a component: its files and every kustomization entry for it, including those of users.
//! Pure.

use super::component::dirs;
use super::objects::{self, list, text};
use super::{Files, MadeFrom, Plan, merge, not_edited, record, rendered, text_of};
use crate::advice::Advice;
use crate::answers::{Component, Record};
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::manifests::{self, kustomization};
use crate::yaml_edit::{self, Document, Step};
use serde_yaml::Value;
use std::collections::BTreeSet;

/// The lists of a kustomization that may have entries for a component.
const LISTS: [&str; 7] = [
    "resources",
    "patches",
    "patchesStrategicMerge",
    "patchesJson6902",
    "images",
    "replicas",
    "configMapGenerator",
];

/// Decides which entries belong to the component.
struct ComponentRemoval<'f> {
    files: &'f Files,
    component: &'f Component,
    /// The files that were generated for it.
    generated: BTreeSet<String>,
    /// Whether to remove its image, which no other component has.
    with_image: bool,
}

/// Plans the removal of the component `name`.
pub fn remove_component(files: &Files, made_from: MadeFrom, name: &str) -> Result<Plan> {
    let MadeFrom { record, templates } = made_from;
    let known = &record.answers;
    if known.main().name.as_str() == name {
        return Err(Failure::failed(format!(
            "cannot remove `{name}`, the project's own component"
        ))
        .hint("to end the project, delete the repository")
        .into());
    }
    let place = known.components.iter().position(|one| one.name.as_str() == name);
    let found = place.and_then(|place| Some((place, known.components.iter().nth(place)?)));
    let Some((place, component)) = found else {
        let names = known
            .components
            .rest
            .iter()
            .map(|one| one.name.to_string())
            .collect::<Vec<_>>()
            .join(", ");
        let names = if names.is_empty() {
            "the project has no other components".into()
        } else {
            format!("existing: {names}")
        };
        return Err(Failure::failed(format!("component `{name}` does not exist"))
            .because(names)
            .hint(Advice::at_top("cat .makeinfra.yaml"))
            .into());
    };
    let text = record::component_dropped(&record.text, name)?;
    let after = Record::parse(text.clone())?;
    let context = Context::new(known, templates.version());
    let generated: BTreeSet<_> = context.components()[place]
        .manifests()
        .iter()
        .map(String::as_str)
        .chain(context.components()[place].config_file())
        .map(|file| format!("{}/{file}", Context::BASE))
        .collect();
    let mut gone = ComponentRemoval { files, component, generated, with_image: false };
    gone.with_image = !gone.is_image_used(record);
    let mut plan = Plan::default();
    let (before, after) = (rendered(templates, known)?, rendered(templates, &after.answers)?);
    let mut deleted = gone.generated.clone();
    // Overlays first: kustomize fails on a reference to an object that the base no longer has.
    for dir in dirs(files).iter().rev() {
        let Some(path) = super::kustomization(files, dir) else { continue };
        let fresh = kustomization::generated(dir);
        gone.edit(
            &mut plan,
            dir,
            &path,
            [text_of(&before, &fresh), text_of(&after, &fresh)],
            &mut deleted,
        )?;
    }
    deleted.extend(gone.own_files());
    for path in &deleted {
        if files.get(path).is_some() {
            match named_by(files, &plan, path) {
                Some(list) => plan.notes.push(format!("`{path}` stays: `{list}` still lists it")),
                None => plan.remove(files, path)?,
            }
        }
    }
    gone.note_mentions(&mut plan);
    plan.write_text(files, Record::FILE, &text)?;
    Ok(plan)
}

impl ComponentRemoval<'_> {
    fn name(&self) -> &str {
        self.component.name.as_str()
    }

    /// Whether another component, or a container that users have added, has the image.
    fn is_image_used(&self, record: &Record) -> bool {
        let name = self.component.image.name();
        let others = record.answers.components.iter().filter(|one| one.name != self.component.name);
        let mut images: Vec<_> = others.map(|one| one.image.name().to_owned()).collect();
        for dir in dirs(self.files) {
            for (path, document) in objects::below(self.files, &dir) {
                if !self.generated.contains(path) && !self.owns(&document) {
                    objects::images(&document, &mut images);
                }
            }
        }
        images.iter().any(|image| image == name)
    }

    /// Removes the component's entries from the kustomization at `path`. `fresh` is the generated
    /// kustomization with the component and without. Adds files that are useless without their
    /// entries to `deleted`.
    fn edit(
        &self,
        plan: &mut Plan,
        dir: &str,
        path: &str,
        fresh: [Option<&str>; 2],
        deleted: &mut BTreeSet<String>,
    ) -> Result<()> {
        let Some(ours) = self.files.text(path)? else { return Ok(()) };
        let refused = |refusal| not_edited(path, refusal);
        let (found, generated) =
            (objects::kustomization(Some(ours)), objects::kustomization(fresh[0]));
        let mut edited = ours.to_owned();
        let mut own = Vec::new();
        for key in LISTS {
            let all: Vec<_> = list(&found, key).collect();
            for (place, entry) in all.iter().enumerate().rev() {
                let Some(what) = self.concerns(dir, key, entry, deleted) else { continue };
                let step = [Step::Key(key), Step::Item(place)];
                edited = yaml_edit::remove_item(&edited, &step).map_err(refused)?.to_string();
                if key != "images" && !list(&generated, key).any(|known| known == *entry) {
                    own.push(what);
                }
            }
        }
        if edited == ours {
            return Ok(());
        }
        let left = Document::parse(&edited).map_err(refused)?;
        let is_needed = ["configMapGenerator", "secretGenerator"]
            .iter()
            .any(|key| left.keys(&[]).contains(key));
        let options = found.get("generatorOptions");
        if found.get("configMapGenerator").is_some()
            && !is_needed
            && options == generated.get("generatorOptions")
        {
            edited =
                yaml_edit::remove(&edited, &["generatorOptions"]).map_err(refused)?.to_string();
        }
        if let [Some(before), Some(after)] = fresh {
            edited = merge::lists(before, ours, after, &edited)?;
        }
        own.reverse();
        if !own.is_empty() {
            plan.notes
                .push(format!("`{path}` also loses entries written by hand: {}", own.join(", ")));
        }
        plan.write_text(self.files, path, &edited)
    }

    /// What `entry` of the list `key` is, if it is for the component; otherwise `None`.
    fn concerns(
        &self,
        dir: &str,
        key: &str,
        entry: &Value,
        deleted: &mut BTreeSet<String>,
    ) -> Option<String> {
        let named = text(entry, &["name"]) == Some(self.name());
        match key {
            "images" => (self.with_image
                && text(entry, &["name"]) == Some(self.component.image.name()))
            .then(|| "an image".to_owned()),
            "replicas" if named => Some(format!("replicas of `{}`", self.name())),
            "configMapGenerator" if named => Some(format!("config map `{}`", self.name())),
            "resources" => {
                let path = manifests::below(dir, entry.as_str()?)?;
                let is_it = self.generated.contains(&path) || self.is_own_file(&path);
                is_it.then(|| format!("resource `{path}`"))
            }
            "patches" | "patchesJson6902" | "patchesStrategicMerge" => {
                let file =
                    text(entry, &["path"]).or(entry.as_str().filter(|text| !text.contains('\n')));
                let file = file.and_then(|file| manifests::below(dir, file));
                let inline = text(entry, &["patch"]).or(entry.as_str()).unwrap_or_default();
                let inline = objects::documents(inline.as_bytes());
                let is_target = text(entry, &["target", "name"]) == Some(self.name())
                    && text(entry, &["target", "kind"])
                        .is_none_or(|kind| objects::kinds(self.component).contains(&kind));
                let is_own = file.as_ref().is_some_and(|file| self.is_own_file(file));
                let is_inline =
                    file.is_none() && !inline.is_empty() && inline.iter().all(|one| self.owns(one));
                if !is_target && !is_own && !is_inline {
                    return None;
                }
                let what = match &file {
                    Some(file) => format!("patch `{file}`"),
                    None => format!("a patch for `{}`", self.name()),
                };
                deleted.extend(file);
                Some(what)
            }
            _ => None,
        }
    }

    /// Whether everything in the file at `path` belongs to the component.
    fn is_own_file(&self, path: &str) -> bool {
        let Some(Ok(bytes)) = self.files.get(path).map(|found| &found.content) else {
            return false;
        };
        let found = objects::documents(bytes);
        !found.is_empty() && found.iter().all(|one| self.owns(one))
    }

    /// All files of users that contain nothing but objects of the component.
    fn own_files(&self) -> Vec<String> {
        let all = dirs(self.files);
        let files = all.iter().flat_map(|dir| self.files.below(dir));
        let is_manifest = |path: &&str| objects::is_yaml(path) && !kustomization::is_one(path);
        files
            .map(|(path, _)| path)
            .filter(is_manifest)
            .filter(|path| self.is_own_file(path))
            .map(str::to_owned)
            .collect()
    }

    /// Whether `document` is an object of the component, a patch of one, or an object that exists
    /// for it alone.
    fn owns(&self, document: &Value) -> bool {
        let name = Some(self.name());
        let kinds = objects::kinds(self.component);
        let kind = text(document, &["kind"]).unwrap_or_default();
        let is_object = kinds.contains(&kind) && text(document, &["metadata", "name"]) == name;
        let scales = text(document, &["spec", "scaleTargetRef", "name"]) == name
            && text(document, &["spec", "scaleTargetRef", "kind"])
                .is_some_and(|kind| kinds.contains(&kind));
        let selects = [
            &["spec", "selector", "matchLabels"][..],
            &["spec", "podSelector", "matchLabels"],
            &["spec", "selector"],
        ]
        .iter()
        .filter_map(|path| objects::at(document, path)?.get("app.kubernetes.io/name")?.as_str())
        .any(|label| Some(label) == name);
        is_object || scales || selects
    }

    /// Notes the lines of kustomizations that still contain its name.
    fn note_mentions(&self, plan: &mut Plan) {
        let mut notes = Vec::new();
        for dir in dirs(self.files) {
            let Some(path) = super::kustomization(self.files, &dir) else { continue };
            let Some(text) = text_after(self.files, plan, &path) else { continue };
            for (number, line) in text.lines().enumerate() {
                let code = line.split_once(" #").map_or(line, |(code, _)| code);
                let mut words =
                    code.split(|c: char| !c.is_ascii_alphanumeric() && !"-_./:@".contains(c));
                if !code.trim_start().starts_with('#') && words.any(|word| word == self.name()) {
                    notes.push(format!(
                        "line {} of `{path}` still refers to `{}`",
                        number + 1,
                        self.name()
                    ));
                }
            }
        }
        plan.notes.extend(notes);
    }
}

/// The text of `path` after `plan`.
fn text_after<'p>(files: &'p Files, plan: &'p Plan, path: &str) -> Option<&'p str> {
    match plan.steps.iter().find(|step| step.path == path) {
        Some(step) => std::str::from_utf8(step.after.as_ref()?).ok(),
        None => files.text(path).ok().flatten(),
    }
}

/// The kustomization that lists the file `path` after `plan`.
fn named_by(files: &Files, plan: &Plan, path: &str) -> Option<String> {
    dirs(files).into_iter().find_map(|dir| {
        let list = super::kustomization(files, &dir)?;
        let found = objects::kustomization(text_after(files, plan, &list));
        let mut words = Vec::new();
        scalars(&found, &mut words);
        let names = words
            .iter()
            .filter_map(|word| manifests::below(&dir, word.rsplit('=').next().unwrap_or(word)));
        names.into_iter().any(|named| named == path).then_some(list)
    })
}

/// Every string in `value`.
fn scalars<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Sequence(items) => items.iter().for_each(|item| scalars(item, found)),
        Value::Mapping(entries) => entries.values().for_each(|inner| scalars(inner, found)),
        _ => {}
    }
}
