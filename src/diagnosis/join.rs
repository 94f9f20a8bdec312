//! Explains a refused pull by combining the pod, the Secret in the cluster and the repository.
//!
//! The pod is considered first, then the Secret in the cluster, because the kubelet used that one,
//! and the repository's files only if the Secret in the cluster is unknown.

use super::case::{MissedSecrets, PodCase};
use super::cause::Cause;
use super::in_cluster::{InCluster, differs, file_of, in_cluster};
use super::pull_signs::PullMeaning;
use super::refusal::RefusalKind;
use super::{DiagnosisInput, Fill, Finding, Layer};
use crate::advice::Advice;
use crate::answers::{Answer, Expiry, ImageRef, RegistryKey};
use crate::checks::{self, Check, Id, Status};
use crate::inspection::{Inspection, PullSecret};
use crate::pull_secret::{Aspect, Hidden, Inspected};

/// A failed pull.
pub(super) struct FailedPull<'p> {
    /// The meaning of its text.
    pub(super) told: &'p PullMeaning,
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
    /// The explanation from the pod alone: which pull secrets it references, and which of them was
    /// missing.
    fn of_pod(&self) -> Option<Finding> {
        let pod = self.case.pod;
        if pod.is_only_known_by_name()
            && self.refusal.without_credential()
            && let Some(check) = self.problem(Id::WorkloadsNamePullSecret)
        {
            return Some(self.of_check(Cause::NoPullSecretNamed, check));
        }
        if pod.spec.image_pull_secrets.is_empty() && !pod.is_only_known_by_name() {
            return self.of_pod_without_secret();
        }
        let may_be_it = self.refusal.without_credential() || self.refusal == RefusalKind::Hidden;
        let missed = self.pull.missed.filter(|missed| may_be_it && self.is_explained_by(missed))?;
        let in_files = [
            (Id::PullSecretNamespace, Cause::SecretInAnotherNamespace),
            (Id::PullSecretName, Cause::SecretMissing),
        ];
        let of_files =
            in_files.iter().find_map(|(id, cause)| Some(self.of_check(*cause, self.problem(*id)?)));
        of_files.or_else(|| {
            let is_there = self.exist_by_now(missed);
            let cause = if is_there { Cause::SecretChangedSince } else { Cause::SecretMissing };
            Some(self.finding(cause))
        })
    }

    /// The explanation for a pod without pull secrets.
    fn of_pod_without_secret(&self) -> Option<Finding> {
        let pod = self.case.pod;
        match self.refusal {
            RefusalKind::Malformed | RefusalKind::Hidden => return None,
            RefusalKind::NotFor | RefusalKind::Refused => {
                let mut finding = self.finding(self.pull.told.cause?);
                finding.message.push_str(
                    "; the pod names no pull secret, so this credential is the node's own",
                );
                finding.hint =
                    "ask the operators of the nodes about the kubelet's credential provider and \
                     the container runtime's logins"
                        .into();
                return Some(finding);
            }
            RefusalKind::Anonymous | RefusalKind::Denied => {}
        }
        let account = pod.spec.service_account_name.as_deref().unwrap_or("default");
        let account = self.known.evidence.account(&pod.metadata.namespace, account);
        if account.is_some_and(|found| !found.image_pull_secrets.is_empty()) {
            return Some(self.finding(Cause::PodOlderThanAccount));
        }
        let check = self.problem(Id::WorkloadsNamePullSecret);
        let mut finding = self.finding(Cause::NoPullSecretNamed);
        if self.refusal == RefusalKind::Denied {
            let words = "the pod names no pull secret, and {server} denies `{image}`: the image is \
                         private or does not exist";
            finding.message = self.known.without_tokens(self.fill).fills(words);
        }
        if let Some(check) = check {
            finding.hint = then_deploy(&check.hint);
            finding.check = Some(check.id);
        } else if self
            .known
            .workload_of(pod)
            .is_some_and(|workload| !workload.pull_secrets.is_empty())
        {
            finding.message.push_str(", although the repository names one");
            finding.hint = Advice::make("deploy");
        }
        Some(finding)
    }

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

    /// Whether everything that the kubelet missed exists by now.
    fn exist_by_now(&self, missed: &MissedSecrets) -> bool {
        let mut named = self.named().filter(|name| missed.has(name)).peekable();
        named.peek().is_some()
            && named.all(|name| matches!(self.in_cluster(name), InCluster::Found(_)))
    }

    /// Whether no other pull secret of the pod is for the image, so that it may be one of those
    /// that the kubelet missed.
    fn is_explained_by(&self, missed: &MissedSecrets) -> bool {
        let serves = |name: &str| {
            let mut files =
                self.files().filter(|file| file.secret.name.as_deref() == Some(name)).peekable();
            files.peek().is_some().then(|| files.any(|file| self.serves(&file.secret)))
        };
        let workload =
            self.known.workload_of(self.case.pod).filter(|_| self.case.pod.is_only_known_by_name());
        let of_workload = workload.into_iter().flat_map(|workload| &workload.pull_secrets);
        let mut named = self.named().chain(of_workload.map(String::as_str));
        // Registries also limit the rate of unknown users, mostly for other reasons.
        if self.pull.told.cause == Some(Cause::RateLimited) {
            return named.any(|name| missed.has(name) && serves(name) == Some(true));
        }
        named.filter(|name| !missed.has(name)).all(|name| match self.in_cluster(name) {
            InCluster::Found(secret) => !self.serves(secret),
            InCluster::Missing | InCluster::Other => true,
            InCluster::Unknown => serves(name) == Some(false),
        })
    }

    /// The explanation from the pod's Secrets in the cluster.
    fn of_cluster(&self) -> Option<Finding> {
        let all: Vec<_> = self.named().map(|name| self.in_cluster(name)).collect();
        if all.is_empty() || all.iter().any(|secret| matches!(secret, InCluster::Unknown)) {
            return None;
        }
        let there: Vec<&Inspected> = all
            .iter()
            .filter_map(|secret| match secret {
                InCluster::Found(secret) => Some(*secret),
                _ => None,
            })
            .collect();
        if there.is_empty() && self.refusal.without_credential() {
            let is_other = all.iter().any(|secret| matches!(secret, InCluster::Other));
            return Some(self.finding(if is_other {
                Cause::WrongType
            } else {
                Cause::SecretMissing
            }));
        }
        let is_good = |secret: &&Inspected| self.serves(secret) && self.flaw(secret).is_none();
        let one_is_good = self.refusal.without_credential() && there.iter().any(is_good);
        if one_is_good && self.refusal == RefusalKind::Anonymous {
            return Some(self.finding(Cause::SecretChangedSince));
        }
        // The kubelet tries all credentials, so a bad one next to a good one explains nothing.
        let suspects = there.iter().filter(|_| !one_is_good);
        let flawed = suspects.into_iter().find_map(|secret| Some((*secret, self.flaw(secret)?)));
        let Some((secret, (id, cause, message))) = flawed else {
            // If the text shows no refusal, a changed Secret explains nothing.
            if self.refusal == RefusalKind::Hidden {
                return None;
            }
            let is_other = |secret: &&&Inspected| {
                let serves = |file: &PullSecret| self.serves(secret) || self.serves(&file.secret);
                self.file(secret).is_some_and(|file| differs(secret, file) && serves(file))
            };
            let other = there.iter().find(is_other)?;
            let mut finding = self.finding(Cause::SecretOutdated);
            finding.message = format!("{}: {}", finding.message, title(other));
            return Some(finding);
        };
        let mended = self
            .file(secret)
            .filter(|file| differs(secret, file) && self.flaw(&file.secret).is_none());
        let mut finding =
            self.finding(if mended.is_some() { Cause::SecretOutdated } else { cause });
        finding.message = match mended {
            Some(_) => {
                format!(
                    "the pull secret in the cluster is not the one in the repository: {message}"
                )
            }
            None => format!("{}: {message}", title(secret)),
        };
        if let (None, Some(check)) = (mended, self.problem(id)) {
            finding.hint = then_deploy(&check.hint);
            finding.check = Some(id);
        } else if finding.cause == Cause::RegistryKeyDoesNotMatch
            && !super::text::holds_token(self.pull.image, &Hidden::default())
            && let Ok(image) = ImageRef::parse_unpinned(self.pull.image)
        {
            finding.hint = then_deploy(&self.key_for(&image, secret));
        }
        Some(finding)
    }

    /// The command that makes `secret` serve `image`.
    fn key_for(&self, image: &ImageRef, secret: &Inspected) -> Advice {
        let first = || self.known.repository.and_then(|repository| repository.pull_secrets.first());
        match (self.known.repository, self.file(secret).or_else(first)) {
            (Some(repository), Some(file)) => checks::key_for(repository, image, &[file]),
            // It is unknown which registry is the project's own.
            _ => {
                let key = RegistryKey::for_image(image);
                let beside = Advice::makeinfra("rotate").with(format_args!("--add-registry {key}"));
                let own = Advice::makeinfra("rotate").with(format_args!("--registry {key}"));
                own.say(", if the project's own image is there, otherwise ").say(beside)
            }
        }
    }

    /// The first flaw of a Secret that explains the refusal.
    fn flaw(&self, secret: &Inspected) -> Option<(Id, Cause, String)> {
        self.refusal.suspects().iter().find_map(|(id, cause)| {
            let aspect = match id {
                Id::PullSecretType => Aspect::Type,
                Id::PullSecretWrapping => Aspect::Wrapping,
                Id::PullSecretAuth => Aspect::Auth,
                Id::PullSecretCredentials => Aspect::Credentials,
                Id::PullSecretMatchesImages => {
                    let unmatched = secret.is_readable() && !self.serves(secret);
                    return unmatched.then(|| {
                        (*id, *cause, format!("no registry key matches `{}`", self.shown_image()))
                    });
                }
                Id::PullSecretExpiry => {
                    let recorded = self.known.repository.and_then(Inspection::recorded_registry);
                    let image = ImageRef::parse_unpinned(self.pull.image).ok()?.normalized_name();
                    let expiry = Expiry::parse(secret.expiry_for(&image, recorded)?).ok()?;
                    let is_over = expiry.days_left(self.known.now) < 0;
                    return is_over
                        .then(|| (*id, *cause, format!("the token expired on {expiry}")));
                }
                _ => return None,
            };
            let flaw = secret.flaws.iter().find(|flaw| flaw.aspect == aspect)?;
            Some((*id, *cause, flaw.message.clone()))
        })
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

fn title(secret: &Inspected) -> String {
    let name =
        secret.name.as_deref().filter(|name| super::is_plain(name)).unwrap_or("without a name");
    format!("Secret {name}")
}

/// The hint of a check, followed by the command that deploys the change.
fn then_deploy(hint: &Advice) -> Advice {
    hint.clone().then(Advice::make("deploy"))
}
