//! Whether the pull secrets that workloads reference exist, in the right namespaces.

use super::{
    Check, EnvironmentHint, ExternalFacts, Id, is_name, of_workload, or_ok, quoted, secret_title,
    workload_title, write,
};
use crate::advice::Advice;
use crate::git_crypt::UNLOCK;
use crate::inspection::{Inspection, PullSecret, SecretFileState};
use crate::manifests::{ImagePull, Overlay, Workload};

/// Whether there is a Secret for each name that a workload references.
pub(super) fn names(inspection: &Inspection, known: &ExternalFacts) -> Vec<Check> {
    let id = Id::PullSecretName;
    let locked = inspection.secret_files.iter().find(|file| file.state == SecretFileState::Locked);
    let mut found = Vec::new();
    let overlays = inspection.manifests.overlays.iter();
    for (overlay, workload) in
        overlays.flat_map(|one| one.workloads.iter().map(move |workload| (one, workload)))
    {
        for name in &workload.pull_secrets {
            if is_served_without(inspection, known, workload, name) {
                continue;
            }
            if let Some(check) = hashed(inspection, overlay, workload, name) {
                found.push(check);
                continue;
            }
            let own = workload
                .namespace
                .as_deref()
                .map_or(Vec::new(), |one| inspection.own_pull_secrets(one));
            let is_called = |secret: &&PullSecret| secret.names().any(|other| other == name);
            let elsewhere = !own.iter().any(is_called)
                && inspection.secrets_in(name, workload.namespace.as_deref()).next().is_none();
            if let (Some(secret), true) = (own.first(), elsewhere) {
                let message = format!(
                    "names the pull secret {}, but the file has {}",
                    quoted(name),
                    secret_title(secret)
                );
                let recorded = inspection.record.as_ref().and_then(|record| record.as_ref().ok());
                let recorded = recorded.map(|record| record.answers.secret_name.as_str());
                let is_called_so =
                    secret.secret.name.as_deref().filter(|name| Some(*name) == recorded);
                let hint = match is_called_so {
                    Some(right) => {
                        write(&format!("imagePullSecrets: [{{name: {right}}}]"), &workload.file)
                    }
                    None => {
                        write(&format!("name: {}", quoted(name).trim_matches('`')), &secret.path)
                    }
                };
                found.push(of_workload(id, workload, &message).hint(hint));
                continue;
            }
            if inspection.secrets_called(name).next().is_some()
                || inspection.why_closed(workload, name).is_some()
            {
                continue;
            }
            let title = workload_title(workload);
            let wanted = quoted(name);
            if let Some(file) = locked {
                let message = format!(
                    "not checked: the Secret {wanted} may be in `{}`, which is locked",
                    file.path
                );
                found.push(Check::warning(id, title, message).hint(Advice::at_top(UNLOCK)));
                continue;
            }
            // By their deployed names.
            let called = |secret: &PullSecret| match secret.names().next() {
                Some(name) => format!("Secret {}", quoted(name)),
                None => secret_title(secret),
            };
            let others: Vec<_> = inspection.pull_secrets.iter().map(called).collect();
            let message =
                format!("names the pull secret {wanted}, but found {}", others.join(", "));
            let first = &inspection.pull_secrets[0];
            let hint = match first.names().next().filter(|name| is_name(name)) {
                Some(name) => {
                    write(&format!("imagePullSecrets: [{{name: {name}}}]"), &workload.file)
                }
                None => Advice::edit(&first.path),
            };
            found.push(match inspection.record {
                Some(_) => of_workload(id, workload, &message).hint(hint),
                // The Secret may come from elsewhere.
                None => Check::warning(id, title, message).hint(hint),
            });
        }
    }
    or_ok(found, || {
        Check::ok(
            id,
            secret_title(&inspection.pull_secrets[0]),
            "has the name that the workloads use",
        )
    })
}

/// The check for a `workload` of `overlay` that references a Secret whose deployed name has a hash
/// suffix.
fn hashed(
    inspection: &Inspection,
    overlay: &Overlay,
    workload: &Workload,
    name: &str,
) -> Option<Check> {
    let namespace = workload.namespace.as_deref();
    let secret = inspection.manifests.out_of_reach(overlay, namespace, name)?;
    if inspection.secrets_called(name).any(|other| !inspection.is_deployed(other)) {
        return None;
    }
    let message = format!(
        "names the pull secret {}, but `{}` appends a hash to that name; only objects of the same \
         kustomization and namespace can use the plain name",
        quoted(name),
        secret.file
    );
    let hint = format!("generatorOptions: {{disableNameSuffixHash: true}} in {}", secret.file);
    Some(
        match inspection.record {
            Some(_) => of_workload(Id::PullSecretName, workload, &message),
            // The Secret may come from elsewhere.
            None => Check::warning(Id::PullSecretName, workload_title(workload), message),
        }
        .hint(hint),
    )
}

/// Whether the other Secrets of `workload` serve all of its images: the kubelet ignores a missing
/// Secret.
fn is_served_without(
    inspection: &Inspection,
    known: &ExternalFacts,
    workload: &Workload,
    name: &str,
) -> bool {
    let others = workload.pull_secrets.iter().filter(|other| *other != name);
    let others =
        others.flat_map(|other| inspection.secrets_in(other, workload.namespace.as_deref()));
    let others: Vec<_> = others.collect();
    let serves = |pull: &ImagePull| {
        let image = pull.image.normalized_name();
        others.iter().any(|secret| secret.secret.serves(&image))
    };
    !others.is_empty() && workload.pulls().all(|pull| known.is_public(pull.image) || serves(&pull))
}

/// Whether the pull secrets are in the namespaces of the pods.
pub(super) fn namespaces(inspection: &Inspection) -> Vec<Check> {
    let id = Id::PullSecretNamespace;
    let mut found = Vec::new();
    for workload in inspection.manifests.workloads() {
        let Some(wanted) = workload.namespace.as_deref() else { continue };
        let own = inspection.own_pull_secrets(wanted);
        for name in &workload.pull_secrets {
            let called: Vec<_> = inspection.secrets_called(name).collect();
            let elsewhere: Vec<_> = called
                .iter()
                .filter_map(|secret| Some((secret, inspection.namespace(secret)?)))
                .collect();
            // The Secret of another environment is right in its own namespace.
            let is_own =
                |(secret, _): &&(&&PullSecret, &str)| own.iter().any(|own| own.path == secret.path);
            let first = if EnvironmentHint::of_namespace(inspection, wanted).is_known() {
                elsewhere.iter().find(is_own)
            } else {
                elsewhere.first()
            };
            let Some((secret, other)) = first.copied() else { continue };
            // A Secret without a namespace goes wherever kubectl is told to put it.
            let is_there = inspection.secrets_in(name, Some(wanted)).next().is_some();
            if elsewhere.len() < called.len()
                || is_there
                || inspection.why_closed(workload, name).is_some()
            {
                continue;
            }
            let (wanted, name, other) = (quoted(wanted), quoted(name), quoted(other));
            let message =
                format!("runs in namespace {wanted}, but the Secret {name} is in {other}");
            let hint = if inspection.is_deployed(secret) {
                // The kustomization's namespace overrides that of the file.

                format!("also list {} in the kustomization for namespace {wanted}", secret.path)
                    .into()
            } else {
                write(&format!("namespace: {}", wanted.trim_matches('`')), &secret.path)
            };
            found.push(if secret.secret.is_copied {
                let message =
                    format!("{message}; according to its annotations, a controller may copy it");
                Check::warning(id, workload_title(workload), message).hint(hint)
            } else {
                of_workload(id, workload, &message).hint(hint)
            });
        }
    }
    or_ok(found, || {
        Check::ok(
            id,
            secret_title(&inspection.pull_secrets[0]),
            "is in the namespace of the workloads",
        )
    })
}
