//! The kustomizations among files: which exist, what each refers to, and which ones no other uses.

use super::documents::Documents;
use super::kustomization::{Kustomization, NAMES, Source, below, is_one, places};
use super::{FaultKind, Files};
use std::collections::{BTreeMap, BTreeSet};

pub(super) struct Kustomize<'d> {
    pub(super) documents: &'d Documents,
    /// File and content of each kustomization, by directory.
    kustomizations: BTreeMap<String, (String, Kustomization)>,
    /// Files and directories that a kustomization uses.
    taken: BTreeSet<String>,
}

impl<'d> Kustomize<'d> {
    pub(super) fn new(documents: &'d Documents) -> Self {
        let mut kustomizations = BTreeMap::new();
        for (path, values) in documents.all() {
            let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
            if is_one(path) && !kustomizations.contains_key(dir) {
                let kustomization = values.first().map(Kustomization::of).unwrap_or_default();
                kustomizations.insert(dir.to_owned(), (path.to_owned(), kustomization));
            }
        }
        for (dir, (file, kustomization)) in &mut kustomizations {
            let beside = NAMES
                .map(|name| if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") });
            if beside.iter().any(|path| path != file && documents.exists(path)) {
                let why = "the directory has another kustomization file, and kustomize accepts \
                           only one: delete one";
                kustomization.faults.push((FaultKind::Build, why));
            }
        }
        let mut taken = BTreeSet::new();
        for (dir, (_, kustomization)) in &kustomizations {
            for reference in references(kustomization) {
                taken.extend(below(dir, reference).filter(|path| path != dir));
            }
        }
        Self { documents, kustomizations, taken }
    }

    /// The kustomization in the directory `dir`, with its file.
    pub(super) fn get(&self, dir: &str) -> Option<(&str, &Kustomization)> {
        self.kustomizations.get(dir).map(|(file, kustomization)| (file.as_str(), kustomization))
    }

    /// Paths to which the kustomizations refer, but which `files` lacks. A reference may be a file,
    /// or a directory with a kustomization.
    pub(super) fn wanted(&self, files: &Files) -> BTreeSet<String> {
        let mut wanted = BTreeSet::new();
        for path in &self.taken {
            wanted.extend(
                places(path).chain([path.clone()]).filter(|path| !files.contains_key(path)),
            );
        }
        wanted
    }

    /// The directories of the kustomizations that no other one uses, and one of each cycle.
    pub(super) fn roots(&self) -> Vec<String> {
        let (mut roots, mut reached) = (Vec::new(), BTreeSet::new());
        let free = self.kustomizations.keys().filter(|dir| !self.taken.contains(*dir));
        for dir in free.chain(self.kustomizations.keys()) {
            let component = self.kustomizations[dir].1.is_component;
            if !component && self.reach(dir, &mut reached) {
                roots.push(dir.clone());
            }
        }
        roots
    }

    /// Marks everything that `dir` uses. `false` if `dir` was marked before.
    fn reach(&self, dir: &str, reached: &mut BTreeSet<String>) -> bool {
        let mut open = vec![dir.to_owned()];
        let mut fresh = false;
        while let Some(dir) = open.pop() {
            let Some((_, kustomization)) = self.kustomizations.get(&dir) else { continue };
            if reached.insert(dir.clone()) {
                fresh = true;
                open.extend(
                    references(kustomization).filter_map(|reference| below(&dir, reference)),
                );
            }
        }
        fresh
    }

    /// Whether the file `path` belongs to a kustomization: it is one, is used by one, or is in the
    /// directory of one.
    pub(super) fn concerns(&self, path: &str) -> bool {
        let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
        self.taken.contains(path) || self.kustomizations.contains_key(dir)
    }

    /// Files and directories that the kustomizations list, including those that only generators
    /// read.
    pub(super) fn named(&self) -> BTreeSet<String> {
        self.taken.iter().cloned().chain(self.secret_inputs()).collect()
    }

    /// The files from which Secrets are generated.
    pub(super) fn secret_inputs(&self) -> BTreeSet<String> {
        let inputs = self.kustomizations.iter().flat_map(|(dir, (_, kustomization))| {
            let files = kustomization.secrets.iter().flat_map(|one| &one.files);
            files.filter_map(move |reference| below(dir, reference))
        });
        inputs.collect()
    }
}

/// All paths in a kustomization.
fn references(kustomization: &Kustomization) -> impl Iterator<Item = &str> {
    let patches = kustomization.patches.iter().chain(&kustomization.late_patches);
    let patches = patches.filter_map(|patch| match &patch.source {
        Source::File(path) => Some(path),
        Source::Inline(_) => None,
    });
    let places = kustomization.resources.iter().chain(&kustomization.components);
    places.chain(patches).chain(&kustomization.others).map(String::as_str)
}
