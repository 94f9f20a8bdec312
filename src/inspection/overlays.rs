//! The directories of the environments as they are: which exist, and their settings.

use super::Reader;
use crate::answers::{Environment, Record};
use crate::manifests::documents;
use serde_yaml::Value;
use std::collections::BTreeMap;

/// The directory of the overlays.
const OVERLAYS: &str = "kubernetes/overlays";

/// The files of an environment.
#[derive(Debug, Default)]
pub struct OverlayFiles {
    /// The text of its `environment.mk`, which the Makefile includes.
    pub settings: Option<String>,
    /// Its `kustomization.yaml`; null if that is not YAML.
    pub kustomization: Option<Value>,
    /// Whether the pipeline has a file for it.
    pub has_pipeline: bool,
}

impl Reader {
    /// The environments that are recorded or have a directory, by name.
    pub(super) fn overlay_files(&self, record: Option<&Record>) -> BTreeMap<String, OverlayFiles> {
        let below = format!("{OVERLAYS}/");
        let mut found: BTreeMap<String, OverlayFiles> = BTreeMap::new();
        for one in record.into_iter().flat_map(|record| record.answers.environments.iter()) {
            found.entry(one.name.to_string()).or_default();
        }
        for (path, _) in self.tree.at(OVERLAYS) {
            let Some((name, file)) =
                path.strip_prefix(&below).and_then(|rest| rest.split_once('/'))
            else {
                continue;
            };
            if [Environment::SETTINGS, "kustomization.yaml"].contains(&file) {
                found.entry(name.to_owned()).or_default();
            }
        }
        for (name, files) in &mut found {
            let text = |file: &str| {
                self.tree.read(&format!("{OVERLAYS}/{name}/{file}")).text().map(str::to_owned)
            };
            files.settings = text(Environment::SETTINGS);
            files.kustomization = text("kustomization.yaml").map(|text| {
                let first = documents(text.as_bytes()).ok().and_then(|all| all.into_iter().next());
                first.unwrap_or_default()
            });
            files.has_pipeline = self.tree.has(&format!(".gitlab/{name}.yml"));
        }
        found
    }
}
