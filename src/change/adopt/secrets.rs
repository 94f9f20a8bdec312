//! The Secrets of a repository: the new paths of their files, and the kustomizations that list
//! them. Values are copied, never interpreted. Pure.

use super::answers::PullSecretFacts;
use super::apart::ExtractedSecret;
use super::layout::{Layout, occupied};
use super::survey::{Survey, is_below, is_secret};
use crate::advice::Advice;
use crate::answers::{Answers, Environment, ImageRef};
use crate::change::objects;
use crate::change::{Bytes, Files, not_edited};
use crate::error::{Failure, Kind, Result};
use crate::git_crypt::{self, UNLOCK};
use crate::manifests::{self, kustomization};
use crate::opaque;
use crate::pull_secret::{self, Inspected};
use crate::yaml_edit::{self, Document};
use serde_yaml::Value;
use std::collections::{BTreeMap, BTreeSet};
use zeroize::Zeroizing;

/// The label by which the Makefile and its script find the pull Secret.
const COMPONENT: &str = "app.kubernetes.io/component";
const PULL_SECRET: &str = "pull-secret";

/// A file that contains nothing but Secrets, or a Secret that gets its own file.
pub(super) struct SecretFile {
    /// The current path.
    pub(super) path: String,
    /// The name of its first Secret.
    pub(super) name: String,
    /// `None` unless it is a pull secret that is alone in its file.
    pub(super) pull: Option<PullSecretFacts>,
    /// Whether other objects stay in the file at `path`.
    pub(super) is_part: bool,
    text: Bytes,
    /// The pull secret in a form that can be rotated; `None` if `text` is in such a form already.
    rotatable: Option<Bytes>,
}

impl SecretFile {
    fn of(path: &str, documents: &[Value], text: Bytes, is_part: bool) -> Self {
        let mut file = Self {
            path: path.to_owned(),
            name: objects::text(&documents[0], &["metadata", "name"])
                .unwrap_or_default()
                .to_owned(),
            pull: None,
            is_part,
            text,
            rotatable: None,
        };
        let Ok(written) = std::str::from_utf8(&file.text) else { return file };
        let [only] = documents else { return file };
        let rotatable = match Inspected::of(only) {
            Some(_) if !pull_secret::is_editable(written) => pull_secret::in_block_style(only),
            _ => None,
        };
        file.pull =
            PullSecretFacts::read(only, rotatable.as_deref().map_or(written, String::as_str));
        file.rotatable =
            rotatable.map(|mut text| Zeroizing::new(std::mem::take(&mut *text).into_bytes()));
        file
    }
}

/// All files to be moved below `secrets/`, including Secrets that are `parts` of other files. Fails
/// if one cannot be read.
pub(super) fn all(
    survey: &Survey,
    layout: &Layout,
    files: &Files,
    parts: &[ExtractedSecret],
) -> Result<Vec<SecretFile>> {
    let locked = files.below("secrets").find(|(_, found)| {
        found.content.as_ref().is_ok_and(|bytes| git_crypt::is_encrypted(bytes))
    });
    if let Some((path, _)) = locked {
        return Err(Failure::failed(format!("cannot read `{path}`"))
            .kind(Kind::Locked)
            .because("it is encrypted, and this clone is locked")
            .hint(Advice::at_top(UNLOCK))
            .into());
    }
    let mut found = Vec::new();
    let secrets = survey.manifests.iter().filter(|(_, all)| is_secret(all));
    for (path, documents) in secrets.filter(|(path, _)| layout.can_be_kept_apart(path, survey)) {
        let text = files.bytes(path)?.cloned().unwrap_or_default();
        found.push(SecretFile::of(path, documents, text, false));
    }
    let parts = parts.iter();
    found.extend(parts.map(|part| {
        SecretFile::of(&part.path, std::slice::from_ref(&part.document), part.text.clone(), true)
    }));
    Ok(found)
}

/// The pull secret with one of `names`, otherwise one that any object references, otherwise one
/// that serves `image`, otherwise the first.
pub(super) fn pull_secret<'s>(
    all: &'s [SecretFile],
    names: &[String],
    image: Option<&ImageRef>,
    survey: &Survey,
) -> Option<&'s PullSecretFacts> {
    let pulls = || all.iter().filter_map(|file| file.pull.as_ref());
    let by_name = names.iter().find_map(|name| pulls().find(|one| one.name == *name));
    let is_named = |one: &&PullSecretFacts| {
        let objects = survey.manifests.values().flatten();
        objects.into_iter().any(|object| manifests::named_secrets(object).contains(&one.name))
    };
    let serves = |one: &&PullSecretFacts| image.is_some_and(|image| one.serves(image));
    let serving = || pulls().find(|one| is_named(one) && serves(one));
    by_name
        .or_else(serving)
        .or_else(|| pulls().find(is_named))
        .or_else(|| pulls().find(serves))
        .or_else(|| pulls().next())
}

/// The Secrets after the adoption.
#[derive(Default)]
pub(super) struct PlacedSecrets {
    /// Files by path: Secrets that move or change, and the kustomizations that list them.
    pub(super) files: BTreeMap<String, Bytes>,
    /// Files that move: from, to.
    pub(super) moves: BTreeMap<String, String>,
    /// Further information.
    pub(super) notes: Vec<String>,
}

/// Assigns its Secrets to each environment. `lists` are the generated kustomizations of Secrets.
/// `overlay` returns the environment in whose overlay a file was.
pub(super) fn place(
    all: &[SecretFile],
    files: &Files,
    answers: &Answers,
    lists: &BTreeMap<String, String>,
    overlay: &dyn Fn(&str) -> Option<String>,
) -> Result<PlacedSecrets> {
    let mut placed = PlacedSecrets::default();
    for environment in answers.environments.iter() {
        let mut own = Vec::new();
        for file in all {
            if owner(file, answers, overlay).is_some_and(|owner| owner != environment.name.as_str())
            {
                continue;
            }
            let is_pull =
                file.pull.as_ref().is_some_and(|pull| pull.name == answers.secret_name.as_str());
            let name = file.path.rsplit('/').next().unwrap_or_default();
            let own_name = format!("{}/{}.yaml", environment.secrets, file.name);
            let to = if is_pull {
                environment.secret_file(&answers.secret_name)
            } else if file.is_part {
                own_name.clone()
            } else if is_below(&file.path, &environment.secrets) {
                file.path.clone()
            } else {
                format!("{}/{name}", environment.secrets)
            };
            let bytes = if is_pull { labelled(file, &mut placed.notes) } else { file.text.clone() };
            // A killed run may have written it there.
            let is_other = |to: &str| placed.files.get(to).is_some_and(|there| *there != bytes);
            // `secret.yaml` is a common name, so a conflicting file gets the Secret's name.
            let to = if is_other(&to) { own_name } else { to };
            if is_other(&to) || to != file.path && differs(files, &to, &bytes)? {
                return Err(occupied(&file.path, &to).into());
            }
            if file.is_part {
                let (name, path) = (&file.name, &file.path);
                placed
                    .notes
                    .push(format!("Secret `{name}` moves from `{path}` to its own file, `{to}`"));
            } else if to != file.path {
                placed.moves.insert(file.path.clone(), to.clone());
            }
            if !own.contains(&to) {
                own.push(to.clone());
            }
            placed.files.insert(to, bytes);
        }
        list_all(environment, &own, files, lists, &mut placed)?;
    }
    let mut seen = BTreeSet::new();
    placed.notes.retain(|note| seen.insert(note.clone()));
    // A file that stays in place for one environment is not moved.
    placed.moves.retain(|from, _| !placed.files.contains_key(from));
    Ok(placed)
}

/// The only environment that uses `file`: the one of its overlay, or the one whose directory of
/// Secrets is nearest to the file.
fn owner(
    file: &SecretFile,
    answers: &Answers,
    overlay: &dyn Fn(&str) -> Option<String>,
) -> Option<String> {
    let around = answers.environments.iter().filter(|one| is_below(&file.path, &one.secrets));
    let nearest = around.max_by_key(|one| one.secrets.len()).map(|one| one.name.to_string());
    overlay(&file.path).or(nearest)
}

fn differs(files: &Files, path: &str, bytes: &Bytes) -> Result<bool> {
    Ok(files.bytes(path)?.is_some_and(|there| there != bytes))
}

/// The pull Secret with the label that identifies it.
fn labelled(file: &SecretFile, notes: &mut Vec<String>) -> Bytes {
    let path = &file.path;
    if file.rotatable.is_some() {
        notes.push(format!(
            "the pull Secret in `{path}` is rewritten in block style, which `makeinfra rotate` \
             requires; its comments are lost"
        ));
    }
    let bytes = file.rotatable.as_ref().unwrap_or(&file.text);
    let Ok(text) = std::str::from_utf8(bytes) else { return bytes.clone() };
    let label = ["metadata", "labels", COMPONENT];
    let labelled_as =
        Document::parse(text).ok().and_then(|document| document.scalar(&label).map(str::to_owned));
    if labelled_as.as_deref() == Some(PULL_SECRET) {
        return bytes.clone();
    }
    match yaml_edit::set(text, &label, PULL_SECRET) {
        Ok(mut labelled) => {
            let instead = labelled_as
                .map_or(String::new(), |labelled_as| format!(" instead of `{labelled_as}`"));
            notes.push(format!(
                "the pull Secret in `{path}` gets the label `{COMPONENT}: {PULL_SECRET}`{instead}"
            ));
            Zeroizing::new(std::mem::take(&mut *labelled).into_bytes())
        }
        Err(_) => {
            notes.push(format!(
                "`make deploy` finds the pull Secret by the label `{COMPONENT}: {PULL_SECRET}`: \
                 add this label to `{path}`"
            ));
            bytes.clone()
        }
    }
}

/// Adds the files `own` to the kustomization of an environment's Secrets.
fn list_all(
    environment: &Environment,
    own: &[String],
    files: &Files,
    lists: &BTreeMap<String, String>,
    placed: &mut PlacedSecrets,
) -> Result<()> {
    let dir = &environment.secrets;
    let path =
        crate::change::kustomization(files, dir).unwrap_or_else(|| kustomization::generated(dir));
    let mut text = match files.text(&path)? {
        Some(text) => Zeroizing::new(text.to_owned()),
        None => Zeroizing::new(lists.get(&path).cloned().unwrap_or_default()),
    };
    let refused = |refusal| not_edited(&path, refusal);
    let named = opaque::Kustomization::parse(&text).map_err(refused)?.files(dir);
    let missing = own.iter().filter(|file| !named.contains(file));
    let missing =
        missing.map(|file| file.strip_prefix(dir.as_str()).unwrap_or(file).trim_start_matches('/'));
    text = opaque::add_resources(&text, &missing.collect::<Vec<_>>()).map_err(refused)?;
    placed.files.insert(path, Zeroizing::new(text.as_bytes().to_vec()));
    Ok(())
}
