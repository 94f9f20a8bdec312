//! Files from which another program generates manifests: they are reported, and not read.

use super::{Fault, FaultKind, Files};
use crate::work_tree::Content;
use std::collections::{BTreeMap, BTreeSet};

/// The file at the top of a Helm chart.
const CHART: &str = "Chart.yaml";

/// Languages from which manifests are generated, by file extension.
const LANGUAGES: [(&str, &str); 14] = [
    (".jsonnet", "Jsonnet"),
    (".libsonnet", "Jsonnet"),
    (".cue", "CUE"),
    (".dhall", "Dhall"),
    (".pkl", "Pkl"),
    (".k", "KCL"),
    (".tf", "Terraform"),
    (".hcl", "HCL"),
    (".tpl", "a template language"),
    (".tmpl", "a template language"),
    (".gotmpl", "a template language"),
    (".j2", "a template language"),
    (".jinja", "a template language"),
    (".erb", "a template language"),
];

/// The files found.
pub(super) struct Foreign {
    /// The directories of Helm charts.
    charts: BTreeSet<String>,
    /// The number of files of each language in each directory, and the first of them.
    languages: BTreeMap<(String, &'static str), (String, usize)>,
}

/// The language of the file `path`; `None` if it is YAML.
#[must_use]
pub fn language(path: &str) -> Option<&'static str> {
    LANGUAGES.iter().find(|(end, _)| path.ends_with(end)).map(|(_, language)| *language)
}

/// Whether `bytes`, which are not YAML, are a template for it.
pub(super) fn is_template(bytes: &[u8]) -> bool {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    ["{{", "{%", "<%"].iter().any(|mark| text.contains(mark))
}

impl Foreign {
    pub(super) fn among(files: &Files) -> Self {
        let mut found = Self { charts: BTreeSet::new(), languages: BTreeMap::new() };
        let is_there = |content: &Content| !matches!(content, Content::Absent);
        let there = || files.iter().filter(|(_, content)| is_there(content)).map(|(path, _)| path);
        let place = |path: &'_ String| match path.rsplit_once('/') {
            Some((dir, name)) => (dir.to_owned(), name.to_owned()),
            None => (String::new(), path.clone()),
        };
        found
            .charts
            .extend(there().map(place).filter(|(_, name)| name == CHART).map(|(dir, _)| dir));
        for path in there() {
            // Files in a chart belong to the chart.
            if let (Some(language), None) = (language(path), found.chart_of(path)) {
                let (dir, _) = place(path);
                let entry = found.languages.entry((dir, language));
                entry.or_insert_with(|| (path.clone(), 0)).1 += 1;
            }
        }
        found
    }

    /// Whether the file `path` is one of them.
    pub(super) fn has(&self, path: &str) -> bool {
        language(path).is_some() || self.chart_of(path).is_some()
    }

    fn chart_of(&self, path: &str) -> Option<&str> {
        let mut dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
        loop {
            if let Some(chart) = self.charts.get(dir) {
                return Some(chart);
            }
            dir = match dir.rsplit_once('/') {
                Some((above, _)) => above,
                None if dir.is_empty() => return None,
                None => "",
            };
        }
    }

    /// A fault for each chart, and for each language in a directory.
    pub(super) fn faults(&self) -> Vec<Fault> {
        let fault =
            |path: String, message: String| Fault { path, kind: FaultKind::Unread, message };
        let is_inner = |chart: &&String| chart.is_empty() || self.chart_of(chart).is_none();
        let charts = self.charts.iter().filter(is_inner).map(|dir| {
            let path = if dir.is_empty() { CHART.to_owned() } else { format!("{dir}/{CHART}") };
            fault(path, "a Helm chart: the output of its templates was not read".into())
        });
        let languages = self.languages.iter().map(|((_, language), (first, number))| {
            let others = match number - 1 {
                0 => String::new(),
                1 => ", like 1 other file beside it".into(),
                more => format!(", like {more} other files beside it"),
            };
            fault(first.clone(), format!("{language}{others}: its output was not read"))
        });
        charts.chain(languages).collect()
    }
}
