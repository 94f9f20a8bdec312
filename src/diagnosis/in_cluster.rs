//! Compares the Secrets in the cluster with those in the repository. Pure.

use super::cause::Cause;
use super::refusal::RefusalKind;
use super::{DiagnosisInput, Fill, Finding};
use crate::advice::Advice;
use crate::inspection::PullSecret;
use crate::pull_secret::{Inspected, SecretDiff};

/// The Secret of a given name in the cluster.
pub(super) enum InCluster<'k> {
    Unknown,
    Missing,
    /// It exists but is not a pull secret.
    Other,
    Found(&'k Inspected),
}

pub(super) fn in_cluster<'k>(
    known: &DiagnosisInput<'k>,
    namespace: &str,
    name: &str,
) -> InCluster<'k> {
    match known.evidence.secret(namespace, name) {
        Some(secret) => InCluster::Found(secret),
        None if known.evidence.has_other_secret(namespace, name) => InCluster::Other,
        None if known.asked.iter().any(|asked| asked == name) => InCluster::Missing,
        None => InCluster::Unknown,
    }
}

/// The Secret in the repository that corresponds to `secret` in the cluster.
pub(super) fn file_of<'k>(
    known: &DiagnosisInput<'k>,
    secret: &Inspected,
) -> Option<&'k PullSecret> {
    let here = |file: &&PullSecret| {
        let namespace = &file.secret.namespace;
        file.secret.name == secret.name && (namespace.is_none() || *namespace == secret.namespace)
    };
    known.repository?.pull_secrets.iter().find(here)
}

pub(super) fn differs(secret: &Inspected, file: &PullSecret) -> bool {
    secret.compare(&file.secret) != SecretDiff::Same
}

/// Secrets of the repository that differ in the cluster, unless a finding says so already.
pub(super) fn outdated(known: &DiagnosisInput, findings: &[Finding]) -> Vec<Finding> {
    let is_covered = |finding: &Finding| {
        let is_refused =
            RefusalKind::of(finding.cause).is_some_and(|refusal| refusal != RefusalKind::Hidden);
        is_refused || finding.cause == Cause::SecretOutdated
    };
    if findings.iter().any(is_covered) {
        return Vec::new();
    }
    let files = known.repository.into_iter().flat_map(|repository| {
        // Other namespaces were not asked.
        let is_asked = |file: &&PullSecret| {
            let namespace = repository.namespace(file);
            namespace.is_none() || known.namespace.is_none() || namespace == known.namespace
        };
        repository.pull_secrets.iter().filter(is_asked)
    });
    let found = files.filter_map(|file| {
        let name = file.secret.name.as_deref()?;
        let namespace = known.repository.and_then(|repository| repository.namespace(file));
        let message = match in_cluster(
            known,
            namespace.or(known.namespace).unwrap_or_default(),
            name,
        ) {
            InCluster::Found(secret) if file_of(known, secret).is_some() => {
                match secret.compare(&file.secret) {
                    SecretDiff::Same => return None,
                    SecretDiff::OtherData => {
                        "this Secret has different credentials in the cluster and in the repository"
                    }
                    SecretDiff::OtherType => {
                        "this Secret has a different type in the cluster and in the repository"
                    }
                }
            }
            InCluster::Missing => {
                "this Secret does not exist in the cluster: the next pull would be without \
                 credentials"
            }
            InCluster::Other => "the Secret with this name in the cluster is not a pull secret",
            InCluster::Found(_) | InCluster::Unknown => return None,
        };
        let finding = known.finding(Cause::Repository, &file.path, &Fill::default(), &[]);
        Some(Finding {
            message: message.to_owned(),
            hint: Advice::make("gitlab-secret"),
            ..finding
        })
    });
    found.collect()
}
