//! Transformations that a kustomization applies to all of its resources: namespace, prefixes,
//! labels, replicas, images. Pure.

use super::kustomization::Kustomization;
use super::resource::Resource;
use crate::yaml_path::kind;
use serde_yaml::Value;

pub(super) fn transform(kustomization: &Kustomization, resources: &mut [Resource]) {
    for resource in resources {
        if let Some(namespace) = &kustomization.namespace {
            resource.set_namespace(namespace);
        }
        resource.affix(&kustomization.prefix, &kustomization.suffix);
        for (field, pairs) in
            [("labels", &kustomization.labels), ("annotations", &kustomization.annotations)]
        {
            if !pairs.is_empty() {
                resource.add_pairs(field, pairs);
            }
        }
    }
}

pub(super) fn scale_and_tag(kustomization: &Kustomization, resources: &mut [Resource]) {
    const SCALED: [&str; 4] = ["Deployment", "ReplicationController", "ReplicaSet", "StatefulSet"];
    for resource in resources {
        for (name, count) in &kustomization.replicas {
            let is_scaled = kind(&resource.value).is_some_and(|kind| SCALED.contains(&kind));
            if is_scaled
                && resource.was_called(name)
                && let Some(spec) = resource.value.get_mut("spec").and_then(Value::as_mapping_mut)
            {
                spec.insert("replicas".into(), count.clone());
            }
        }
        kustomization.images.iter().for_each(|image| image.apply(&mut resource.value));
    }
}
