//! Workloads whose number of pods is set by both a manifest and an autoscaler.

use super::resource::Resource;
use crate::yaml_path::{at, kind, text};
use std::collections::HashMap;

/// A workload with `replicas` that an autoscaler scales.
pub struct Scaled {
    /// The workload's file.
    pub file: String,
    /// The kind.
    pub kind: String,
    /// The name.
    pub name: String,
    /// The kind of the autoscaler.
    pub by: &'static str,
}

/// Kinds of autoscalers; KEDA's defaults to a Deployment.
const SCALERS: [&str; 2] = ["HorizontalPodAutoscaler", "ScaledObject"];

/// The workloads among `resources` that have both `replicas` and an autoscaler.
pub(super) fn scaled(resources: &[Resource]) -> Vec<Scaled> {
    let mut targets = HashMap::new();
    for resource in resources {
        let by = SCALERS.into_iter().find(|scaler| kind(&resource.value) == Some(scaler));
        let target = at(&resource.value, &["spec", "scaleTargetRef"]);
        if let (Some(by), Some(target)) = (by, target)
            && let Some(name) = text(target, &["name"])
        {
            targets.insert((kind(target).unwrap_or("Deployment"), name, resource.namespace()), by);
        }
    }
    if targets.is_empty() {
        return Vec::new();
    }
    let has_replicas = |resource: &&Resource| {
        at(&resource.value, &["spec", "replicas"]).is_some_and(|replicas| !replicas.is_null())
    };
    let found = resources.iter().filter(has_replicas).filter_map(|resource| {
        let kind = kind(&resource.value)?;
        let namespace = resource.namespace();
        // The target has the name from its file: prefixes are added later.
        let by =
            resource.identities().find_map(|(name, _)| targets.get(&(kind, name, namespace)))?;
        Some(Scaled {
            file: resource.file.clone(),
            kind: kind.into(),
            name: resource.name().into(),
            by,
        })
    });
    found.collect()
}
