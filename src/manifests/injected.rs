//! Containers whose images a controller in the cluster sets.

use super::pods::Pod;
use crate::yaml_path::{at, text};
use serde_json::Value as Json;
use serde_yaml::Value;

/// Istio's templates for its own containers (istio.io, "Customizing injection").
const ISTIO: &str = "inject.istio.io/templates";
/// The triggers of `OpenShift`: a JSON list with the path of each image (docs.openshift.com,
/// "Triggering updates on image stream changes").
const OPENSHIFT: &str = "image.openshift.io/triggers";

/// The images of a pod that are injected.
pub(super) struct Injected {
    is_istios: bool,
    /// Paths at which `OpenShift` sets images; empty without triggers.
    triggers: Vec<String>,
}

impl Injected {
    pub(super) fn of(object: &Value, pod: &Pod) -> Self {
        let template = parent(object, &pod.path);
        let annotation = |of: &'_ Value, name: &str| {
            text(of, &["metadata", "annotations", name]).map(str::to_owned)
        };
        let triggers =
            annotation(object, OPENSHIFT).map(|text| match serde_json::from_str(&text) {
                Ok(Json::Array(all)) => all
                    .iter()
                    .filter_map(|one| Some(one.get("fieldPath")?.as_str()?.to_owned()))
                    .collect(),
                // An unsupported list: assume all images.
                _ => vec![String::new()],
            });
        Self {
            is_istios: template.is_some_and(|template| annotation(template, ISTIO).is_some()),
            triggers: triggers.unwrap_or_default(),
        }
    }

    /// Whether the image of the container `name`, at `index` of `list`, is injected in place of
    /// `written`.
    pub(super) fn takes(
        &self,
        list: &str,
        index: usize,
        name: &str,
        written: Option<&str>,
    ) -> bool {
        let is_auto = self.is_istios && written == Some("auto");
        let is_it = |path: &String| {
            path.is_empty()
                || [
                    format!("{list}[{index}].image"),
                    format!("{list}[?(@.name==\"{name}\")].image"),
                    format!("{list}[?(@.name=='{name}')].image"),
                ]
                .iter()
                .any(|end| path.ends_with(end.as_str()))
        };
        is_auto || self.triggers.iter().any(is_it)
    }
}

/// The parent of `path` in `object`, such as `spec.template.spec`.
fn parent<'v>(object: &'v Value, path: &str) -> Option<&'v Value> {
    let above = path.rsplit_once('.').map_or("", |(above, _)| above);
    above.split(['.', '[']).filter(|step| !step.is_empty()).try_fold(object, |value, step| {
        match step.strip_suffix(']') {
            Some(index) => value.as_sequence()?.get(index.parse::<usize>().ok()?),
            None => at(value, &[step]),
        }
    })
}
