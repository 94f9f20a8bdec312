//! The changes that a command makes to a repository: a list of file changes, planned from the
//! files' texts. Pure.
//!
//! A plan edits values in place and copies what users have written; it never renders over an edited
//! file. Its steps are in the order of writing, so that a killed run can be repeated: new files,
//! then the lists that refer to them, then deletions, and `.makeinfra.yaml` last.

mod adopt;
mod component;
mod copy;
mod current;
mod environment;
mod hosts;
mod merge;
mod objects;
mod record;
mod removal;
mod retired;
mod shown;
mod update;

pub use adopt::{
    Adoption, Request as AdoptionRequest, adopt, generated_files, labelled_project, named_files,
};
pub use component::NewComponent;
pub use current::{Current, Difference, answers_in, differences};
pub use environment::{NewEnvironment, Options, PullSecret};
pub use record::{component_dropped, environment_dropped};
pub use removal::remove_component;
pub use retired::{EnvironmentRemoval, remove_environment};
pub use shown::{diff, keys};
pub use update::{Conflict, Deleted, GeneratedFile, Tree, Update, is_version_alone, update};

use crate::advice::Advice;
use crate::answers::{Answers, Component, Record};
use crate::context::Context;
use crate::error::{Failure, Kind, Result};
use crate::git_crypt::UNLOCK;
use crate::manifests;
use crate::opaque::{ListedKey, Listing};
use crate::templates::{File, SECRETS, TemplateSet};
use crate::work_tree::Content;
use std::collections::{BTreeMap, BTreeSet};
use zeroize::Zeroizing;

/// The content of a file, which may be secret.
pub type Bytes = Zeroizing<Vec<u8>>;

/// The directory of the overlays.
const OVERLAYS: &str = "kubernetes/overlays";

/// A file of the work tree.
#[derive(Clone, PartialEq, Eq)]
pub struct WorkTreeFile {
    /// The content, or why it cannot be used, as a sentence about "it".
    pub content: std::result::Result<Bytes, &'static str>,
    /// Whether the file is executable.
    pub executable: bool,
    /// Whether git ignores the file.
    pub ignored: bool,
}

/// The files from which a plan is made, by path below the top of the repository.
#[derive(Default, PartialEq, Eq)]
pub struct Files(BTreeMap<String, WorkTreeFile>);

impl Files {
    /// Adds a file.
    pub fn insert(&mut self, path: String, found: WorkTreeFile) {
        self.0.insert(path, found);
    }

    /// All files, sorted by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &WorkTreeFile)> {
        self.0.iter().map(|(path, found)| (path.as_str(), found))
    }

    /// The file at `path`.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&WorkTreeFile> {
        self.0.get(path)
    }

    /// The files below the directory `dir`, sorted by path.
    pub fn below(&self, dir: &str) -> impl Iterator<Item = (&str, &WorkTreeFile)> {
        let start = format!("{dir}/");
        self.0
            .iter()
            .map(|(path, found)| (path.as_str(), found))
            .filter(move |(path, _)| path.starts_with(&start))
    }

    /// The content of `path`; `None` if there is no such file. Fails if it cannot be used.
    pub fn bytes(&self, path: &str) -> Result<Option<&Bytes>> {
        let Some(found) = self.0.get(path) else { return Ok(None) };
        match &found.content {
            Ok(bytes) => Ok(Some(bytes)),
            Err(why) => Err(Failure::failed(format!("cannot use `{path}`"))
                .because(*why)
                .hint(Advice::at_top(format!("ls -l {path}")))
                .into()),
        }
    }

    /// The text of `path`; `None` if there is no such file. Fails if it is not text.
    pub fn text(&self, path: &str) -> Result<Option<&str>> {
        let Some(bytes) = self.bytes(path)? else { return Ok(None) };
        Ok(Some(std::str::from_utf8(bytes).map_err(|_| {
            Failure::failed(format!("`{path}` is not UTF-8 text"))
                .hint(Advice::at_top(format!("file {path}")))
        })?))
    }
}

/// The change to one file.
#[derive(Clone, PartialEq, Eq)]
pub struct Step {
    /// Path below the top of the repository.
    pub path: String,
    /// The old content; `None` if the file does not exist.
    pub before: Option<Bytes>,
    /// The new content; `None` if the file is deleted.
    pub after: Option<Bytes>,
    /// Whether a new file is executable.
    pub executable: bool,
    /// Whether the file becomes executable or stops being so; `None` if that does not change.
    pub mode: Option<bool>,
}

impl Step {
    /// Whether nothing is left to do, as after a killed run.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.before == self.after && self.mode.is_none()
    }

    /// The kind of change, in a word.
    #[must_use]
    pub fn change(&self) -> &'static str {
        match (&self.before, &self.after) {
            (None, _) => "new",
            (_, None) => "deleted",
            _ => "changed",
        }
    }

    /// Whether the file is below `secrets/`.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.path.starts_with(SECRETS)
    }
}

/// What the files of a repository were rendered from.
#[derive(Clone, Copy)]
pub struct MadeFrom<'r> {
    /// The record with the answers.
    pub record: &'r Record,
    /// The templates of the recorded version.
    pub templates: &'r TemplateSet,
}

/// A planned change.
#[derive(Clone, Default)]
pub struct Plan {
    /// The steps in the order of writing, including those that are done.
    pub steps: Vec<Step>,
    /// The decisions: names with values.
    pub facts: Vec<(&'static str, String)>,
    /// Further information, one sentence each.
    pub notes: Vec<String>,
    /// Secrets that the manifests use but nobody has set, each with its keys.
    pub lacking: Vec<(String, Vec<String>)>,
    /// Files that keep their content at another path: from, to. Their steps are included.
    pub moves: BTreeMap<String, String>,
    /// Possible changes that the plan does not make.
    pub offers: Vec<Step>,
    /// Paths of files with secrets outside `secrets/`, which no diff may show.
    pub hidden: BTreeSet<String>,
}

impl Plan {
    /// Whether every step is done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.steps.iter().all(Step::is_done)
    }

    /// The change of one file as a unified diff, without secrets.
    pub fn diff(&self, step: &Step) -> Result<String> {
        if self.hidden.contains(&step.path) {
            return Ok(format!(
                "--- a/{0}\n+++ b/{0}\n(contains a Secret, not shown)\n",
                step.path
            ));
        }
        diff(step)
    }

    /// The old paths of files that keep their content, by new path.
    #[must_use]
    pub fn sources(&self) -> BTreeMap<&str, &str> {
        self.moves.iter().map(|(from, to)| (to.as_str(), from.as_str())).collect()
    }

    /// The steps worth showing: not those that are done, and not the removal of a moved file, which
    /// may be secret.
    pub fn visible<'p>(&'p self, files: &'p Files) -> impl Iterator<Item = &'p Step> {
        let sources = self.sources();
        let holds =
            |from: &str, step: &Step| files.bytes(from).ok().flatten() == step.after.as_ref();
        self.steps.iter().filter(move |step| {
            let leaves = step.after.is_none() && self.moves.contains_key(&step.path);
            !step.is_done()
                && !leaves
                && !sources.get(step.path.as_str()).is_some_and(|from| holds(from, step))
        })
    }

    /// Whether both change the same files in the same way.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        let same = |(one, two): (&Step, &Step)| {
            one.path == two.path && one.before == two.before && one.after == two.after
        };
        self.steps.len() == other.steps.len() && self.steps.iter().zip(&other.steps).all(same)
    }

    /// Sets the content of the file at `path` to `after`.
    fn write(&mut self, files: &Files, path: &str, after: Bytes, executable: bool) -> Result<()> {
        let before = files.bytes(path)?.cloned();
        self.steps.push(Step {
            path: path.to_owned(),
            before,
            after: Some(after),
            executable,
            mode: None,
        });
        Ok(())
    }

    /// Like [`Self::write`], for a text.
    fn write_text(&mut self, files: &Files, path: &str, after: &str) -> Result<()> {
        self.write(files, path, Zeroizing::new(after.as_bytes().to_vec()), false)
    }

    /// Creates the file `path`. Fails if it exists with other content.
    fn create(&mut self, files: &Files, path: &str, after: Bytes, executable: bool) -> Result<()> {
        if files.bytes(path)?.is_some_and(|before| **before != *after) {
            return Err(Failure::failed(format!("`{path}` already exists with different content"))
                .hint(Advice::git(format!("log -- {path}")))
                .into());
        }
        self.write(files, path, after, executable)
    }

    /// Deletes the file at `path`.
    fn remove(&mut self, files: &Files, path: &str) -> Result<()> {
        let before = files.bytes(path)?.cloned();
        let executable = files.get(path).is_some_and(|found| found.executable);
        self.steps.push(Step {
            path: path.to_owned(),
            before,
            after: None,
            executable,
            mode: None,
        });
        Ok(())
    }
}

/// The files generated from `answers`, without a token.
fn rendered(templates: &TemplateSet, answers: &Answers) -> Result<Vec<File>> {
    templates.render(answers, &[])
}

/// The text of `path` among generated files.
fn text_of<'f>(files: &'f [File], path: &str) -> Option<&'f str> {
    files.iter().find(|file| file.path == path).map(|file| file.text.expose())
}

/// The path of the kustomization in `dir`.
fn kustomization(files: &Files, dir: &str) -> Option<String> {
    manifests::kustomization::places(dir).find(|path| files.get(path).is_some())
}

/// The files and directories in `resources` of the kustomization in `dir`.
fn resources(files: &Files, dir: &str) -> Result<Vec<String>> {
    let Some(path) = kustomization(files, dir) else { return Ok(Vec::new()) };
    let root = objects::kustomization(files.text(&path)?);
    Ok(manifests::kustomization::resources(&root, dir).collect())
}

/// The content of the Secrets directory `dir`; `None` if it has no kustomization. Fails if it is
/// locked.
fn listed(files: &Files, dir: &str) -> Result<Option<Listing>> {
    if kustomization(files, dir).is_none() {
        return Ok(None);
    }
    let read = |path: &str| match files.get(path).map(|found| &found.content) {
        Some(Ok(bytes)) => Content::Bytes(bytes.clone()),
        Some(Err(why)) => Content::Unread(why),
        None if manifests::kustomization::is_one(path) => Content::Absent,
        // A killed run may have deleted the file, which then has no keys.
        None => Content::Bytes(Bytes::default()),
    };
    match Listing::of(dir, &read) {
        Ok(listing) => Ok(Some(listing)),
        Err(fault) => {
            let hint =
                if fault.is_locked { Advice::at_top(UNLOCK) } else { Advice::makeinfra("check") };
            let kind = if fault.is_locked { Kind::Locked } else { Kind::Failed };
            let failure = Failure::failed(format!("cannot read `{}`", fault.path)).kind(kind);
            Err(failure.because(fault.why).hint(hint).into())
        }
    }
}

/// The Secrets of a listing, except for the pull Secret, each with its keys.
fn secret_names(listing: &Listing, pull_secret: &str) -> Vec<(String, Vec<String>)> {
    let manifests = listing.manifests.iter().filter(|one| one.path != pull_secret);
    let manifests = manifests.map(|one| (one.name.clone(), one.keys.clone()));
    let keys = |keys: &[ListedKey]| keys.iter().map(|key| key.name.clone()).collect();
    manifests
        .chain(listing.secrets.iter().map(|secret| (secret.name.clone(), keys(&secret.keys))))
        .collect()
}

/// Whether a kustomization of the base lists a file with the workload of `component`.
#[must_use]
pub fn is_deployed(files: &Files, component: &Component) -> bool {
    resources(files, Context::BASE).unwrap_or_default().iter().any(|path| {
        let bytes = files.bytes(path).ok().flatten();
        let documents = bytes.map(|bytes| objects::documents(bytes)).unwrap_or_default();
        let (kind, name) = (component.workload.kind(), component.name.as_str());
        documents.iter().any(|one| objects::is_object(one, kind, name))
    })
}

/// The failure to edit `path`.
fn not_edited(path: &str, refusal: &'static str) -> Failure {
    Failure::failed(format!("cannot edit `{path}`"))
        .because(format!("{refusal}; write each key and list item on its own line"))
        .hint(Advice::edit(path))
}

/// The failure for an environment or a component `name` that exists already.
#[must_use]
pub fn exists_already(what: &str, name: &str) -> Failure {
    let hint = match what {
        "environment" => Advice::makeinfra("env list"),
        _ => "choose another name".into(),
    };
    Failure::failed(format!("{what} `{name}` already exists"))
        .because(format!("it is in `{}`", Record::FILE))
        .hint(hint)
}
