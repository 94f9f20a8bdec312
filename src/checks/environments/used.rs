//! Whether each environment has what its pods need besides images.

use super::super::pull_secret::{is_name, quoted, workload_title};
use super::{Check, Id, or_ok};
use crate::advice::Advice;
use crate::answers::{Answers, Environment};
use crate::inspection::Inspection;
use crate::manifests::{Overlay, Workload};

/// Secrets that pods use but their environment lacks.
pub(super) fn checks(inspection: &Inspection, answers: &Answers) -> Vec<Check> {
    let id = Id::SecretsUsed;
    let places: Vec<_> = answers
        .environments
        .iter()
        .filter_map(|one| {
            let mut overlays = inspection.manifests.overlays.iter();
            Some((one, overlays.find(|overlay| overlay.path == one.overlay())?))
        })
        .collect();
    let mut found = Vec::new();
    for (environment, overlay) in &places {
        for workload in &overlay.workloads {
            let lacks =
                |name: &&String| !overlay.secrets.iter().any(|secret| secret.name == **name);
            for name in workload.secrets.iter().filter(lacks) {
                let mut others = places
                    .iter()
                    .filter(|(_, other)| other.secrets.iter().any(|secret| secret.name == *name));
                let other = others.next().map(|(other, _)| *other);
                found.push(lacking(answers, environment, overlay, workload, name, other));
            }
        }
    }
    if places.is_empty() {
        return found;
    }
    let mut checks = or_ok(found, || {
        Check::ok(id, "kubernetes/overlays", "every environment has the Secrets that it uses")
    });
    checks.extend(scaled(inspection));
    checks
}

fn lacking(
    answers: &Answers,
    environment: &Environment,
    overlay: &Overlay,
    workload: &Workload,
    name: &str,
    other: Option<&Environment>,
) -> Check {
    let id = Id::SecretsUsed;
    let (title, here) = (workload_title(workload), &environment.name);
    let secret = quoted(name);
    let choice = answers.choice(environment);
    let hint = if is_name(name) {
        Advice::makeinfra(format!("secret set {name} KEY")).for_env(choice)
    } else {
        Advice::edit(&workload.file)
    };
    let check = match (other, &overlay.unsure) {
        (_, Some(file)) => {
            let message = format!(
                "containers use the Secret {secret}; could not check whether {here} has it, \
                 because `{file}` was not fully read"
            );
            return Check::warning(id, title, message);
        }
        (Some(other), None) => Check::problem(
            id,
            title,
            format!(
                "containers use the Secret {secret}, which exists in {} but not in {here}: they \
                 cannot start",
                other.name
            ),
        ),
        (None, None) => Check::warning(
            id,
            title,
            format!(
                "containers use the Secret {secret}, which no file of the environment {here} \
                 defines"
            ),
        ),
    };
    check.hint(hint)
}

/// Workloads whose number of pods is also set by an autoscaler.
fn scaled(inspection: &Inspection) -> Vec<Check> {
    let id = Id::ReplicasScaled;
    let mut found = Vec::new();
    for overlay in &inspection.manifests.overlays {
        found.extend(overlay.scaled.iter().map(|one| {
            let name = if is_name(&one.name) { &one.name } else { "?" };
            let message = format!(
                "has `replicas` and is scaled by a {}: every deployment resets the number of pods",
                one.by
            );
            let hint = format!(
                "add a JSON patch with op: remove, path: /spec/replicas to {}/kustomization.yaml",
                overlay.path
            );
            Check::warning(id, format!("{} {name}", one.kind), message).hint(hint)
        }));
    }
    found.dedup();
    or_ok(found, || {
        Check::ok(id, "kubernetes", "no workload has both `replicas` and an autoscaler")
    })
}
