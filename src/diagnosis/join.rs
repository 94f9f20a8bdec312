//! Explains a refused pull by combining the pod, the Secret in the cluster and the repository.
//!
//! The pod is considered first, then the Secret in the cluster, because the kubelet used that one,
//! and the repository's files only if the Secret in the cluster is unknown.

mod of_cluster;
mod of_pod;

use super::case::{MissedSecrets, PodCase};
use super::cause::Cause;
use super::in_cluster::{InCluster, file_of, in_cluster};
use super::pull_signs::PullMeaning;
use super::refusal::RefusalKind;
use super::{DiagnosisInput, Fill, Finding, Layer};
use crate::advice::Advice;
use crate::answers::ImageRef;
use crate::checks::{Check, Id, Status};
use crate::inspection::PullSecret;
use crate::pull_secret::{Hidden, Inspected};

/// A failed pull.
pub(super) struct FailedPull<'p> {
    /// The meaning of its text.
    pub(super) meaning: &'p PullMeaning,
    pub(super) image: &'p str,
    /// The pull secrets that the kubelet missed; `None` if it missed none.
    pub(super) missed: Option<&'p MissedSecrets>,
}

/// Whether `image` is one of Docker Hub's official images, none of which is private.
fn is_official(image: &str) -> bool {
    ImageRef::parse_unpinned(image)
        .is_ok_and(|image| image.is_docker_hub() && image.path().starts_with("library/"))
}

/// `finding` for an official image: Docker Hub usually refuses one that does not exist.
fn no_official_image(known: &DiagnosisInput, finding: Finding, fill: &Fill) -> Finding {
    let hint = "correct the image name in the workload, then: {make deploy}".into();
    let message = known.without_tokens(fill).fills(
        "Docker Hub denies `{image}`: official images are public, so the name is probably wrong",
    );
    Finding { cause: Cause::PullDenied, message, hint, ..finding }
}

/// `finding` for a pull, combined with everything else that is known. `fill` has the values that
/// `finding` knows.
pub(super) fn joined(
    known: &DiagnosisInput,
    case: &PodCase,
    finding: Finding,
    pull: &FailedPull,
    fill: &Fill,
) -> Finding {
    let Some(refusal) = RefusalKind::of(finding.cause) else {
        return with_registry_answer(known, case, finding, pull.image);
    };
    // A status alone may stand for a refused login.
    let says_absent = finding.evidence.iter().any(|text| text.contains("pull access denied"));
    if refusal == RefusalKind::Denied && says_absent && is_official(pull.image) {
        return no_official_image(known, finding, fill);
    }
    let join = Join { known, case, pull, fill, refusal };
    let better = join.of_pod().or_else(|| join.of_cluster()).or_else(|| join.of_files());
    let Finding { cause, subject, evidence, .. } = finding;
    // The event about the Secret comes from the kubelet.
    let layer = finding.layer.or(pull.missed.map(|_| Layer::Kubelet));
    match better {
        // Registries also deny images that do not exist.
        Some(mut better)
            if better.cause == Cause::RegistryKeyDoesNotMatch && refusal == RefusalKind::Denied =>
        {
            better.message.push_str(", or the image does not exist");
            Finding { subject, evidence, layer, ..better }
        }
        Some(better) => Finding { subject, evidence, layer, ..better },
        // The token is only known to be valid if it is known at all.
        None if cause == Cause::TokenOfAnotherProject && !join.sent_valid_credential() => {
            let denied = Finding { subject, evidence, layer, ..join.finding(Cause::PullDenied) };
            with_registry_answer(known, case, denied, pull.image)
        }
        None => {
            let mut finding = Finding { subject, evidence, layer, ..finding };
            if cause == Cause::PulledAnonymously && join.is_fine_in_files() {
                finding.hint = "{make gitlab-secret}, then: {make restart}".into();
            }
            with_registry_answer(known, case, finding, pull.image)
        }
    }
}

/// `finding`, extended by the answer of a registry that was asked with the repository's
/// credentials.
fn with_registry_answer(
    known: &DiagnosisInput,
    case: &PodCase,
    mut finding: Finding,
    image: &str,
) -> Finding {
    let title = known.workload_of(case.pod).map(|found| format!("{} {}", found.kind, found.name));
    let is_its = |check: &&Check| {
        check.id.is_online() && title.as_ref().is_some_and(|title| *title == check.subject)
    };
    let mut checks: Vec<_> = known.checks.iter().filter(is_its).collect();
    // The answer about another image of the workload only counts if there is none about this one.
    checks.sort_by_key(|check| check.image.as_deref() != Some(image));
    let Some(check) = checks.first() else { return finding };
    finding.evidence.push(format!(
        "with the repository's credentials, the registry answers: {}",
        check.message
    ));
    finding.check = Some(check.id);
    match check.status {
        Status::Problem => finding.hint.clone_from(&check.hint),
        Status::Ok if RefusalKind::of(finding.cause).is_some() => {
            finding.hint = "{make gitlab-secret}, then: {make restart}".into();
        }
        Status::Ok | Status::Note | Status::Warning => {}
    }
    finding
}

struct Join<'k> {
    known: &'k DiagnosisInput<'k>,
    case: &'k PodCase<'k>,
    pull: &'k FailedPull<'k>,
    fill: &'k Fill,
    refusal: RefusalKind,
}

impl<'k> Join<'k> {
    /// Whether the kubelet had a flawless credential for the image, as far as the Secret is known.
    fn sent_valid_credential(&self) -> bool {
        let good = |secret: &Inspected| self.serves(secret) && self.flaw(secret).is_none();
        if self.case.pod.is_only_known_by_name() {
            return self.files().any(|file| good(&file.secret));
        }
        self.named().any(|name| match self.in_cluster(name) {
            InCluster::Found(secret) => good(secret),
            InCluster::Missing | InCluster::Other => false,
            InCluster::Unknown => self
                .files()
                .any(|file| file.secret.name.as_deref() == Some(name) && good(&file.secret)),
        })
    }

    /// Whether the repository has a pull secret for the image, and its checks found no problem.
    fn is_fine_in_files(&self) -> bool {
        let is_wrong = |check: &Check| check.status == Status::Problem;
        self.files().any(|file| self.serves(&file.secret))
            && !self.known.checks.iter().any(is_wrong)
    }

    fn files(&self) -> impl Iterator<Item = &'k PullSecret> {
        self.known.repository.into_iter().flat_map(|repository| &repository.pull_secrets)
    }

    fn in_cluster(&self, name: &str) -> InCluster<'k> {
        in_cluster(self.known, &self.case.pod.metadata.namespace, name)
    }

    fn serves(&self, secret: &Inspected) -> bool {
        ImageRef::parse_unpinned(self.pull.image)
            .is_ok_and(|image| secret.serves(&image.normalized_name()))
    }

    fn file(&self, secret: &Inspected) -> Option<&'k PullSecret> {
        file_of(self.known, secret)
    }

    /// The explanation from the checks of the repository.
    fn of_files(&self) -> Option<Finding> {
        let is_known = |name| !matches!(self.in_cluster(name), InCluster::Unknown);
        let all_known = !self.case.pod.is_only_known_by_name() && self.named().all(is_known);
        if all_known && self.refusal != RefusalKind::Malformed {
            return None;
        }
        self.refusal
            .suspects()
            .iter()
            .find_map(|(id, cause)| Some(self.of_check(*cause, self.problem(*id)?)))
    }

    fn of_check(&self, cause: Cause, check: &Check) -> Finding {
        let message = format!("{}: {}", check.subject, check.message);
        Finding {
            message,
            hint: then_deploy(&check.hint),
            check: Some(check.id),
            ..self.finding(cause)
        }
    }

    /// The problem that the check `id` reports about the pod's workload, or about a file.
    fn problem(&self, id: Id) -> Option<&'k Check> {
        let workload = self
            .known
            .workload_of(self.case.pod)
            .map(|found| format!("{} {}", found.kind, found.name));
        let is_of_workloads = matches!(
            id,
            Id::PullSecretName
                | Id::PullSecretNamespace
                | Id::PullSecretMatchesImages
                | Id::WorkloadsNamePullSecret
        );
        let about = |check: &Check| {
            !is_of_workloads || workload.as_ref().is_none_or(|title| *title == check.subject)
        };
        let mut checks = self
            .known
            .checks
            .iter()
            .filter(|check| check.id == id && check.status == Status::Problem);
        checks.find(|check| about(check))
    }

    fn named(&self) -> impl Iterator<Item = &'k str> {
        self.case.pod.spec.image_pull_secrets.iter().map(|secret| secret.name.as_str())
    }

    fn finding(&self, cause: Cause) -> Finding {
        self.known.finding(cause, "", self.fill, &[])
    }

    fn shown_image(&self) -> String {
        super::text::shown(self.pull.image, &Hidden::default())
    }
}

/// The hint of a check, followed by the command that deploys the change.
fn then_deploy(hint: &Advice) -> Advice {
    hint.clone().then(Advice::make("deploy"))
}
