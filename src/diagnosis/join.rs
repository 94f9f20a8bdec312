//! What a refused pull means, once the pod, the Secret in the cluster and the repository are looked at together.
//!
//! The pod is asked first, then the Secret in the cluster, since the kubelet used that, and the repository's files only
//! where the Secret in the cluster is not known.

use super::case::Case;
use super::cause::Cause;
use super::{Fill, Finding, Known};
use crate::advice::Advice;
use crate::answers::{Answer, Expiry, ImageRef, RegistryKey};
use crate::checks::{Check, Id, Status};
use crate::inspection::PullSecret;
use crate::pull_secret::{Aspect, Inspected, SecretDiff};

/// How a pull was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// As somebody who showed nothing.
    Anonymous,
    /// Without telling whether anything was shown.
    Denied,
    /// With credentials that are good, but not for this.
    NotFor,
    /// With credentials that are refused.
    Refused,
    /// Before anything was sent.
    Malformed,
}

impl Refusal {
    fn of(cause: Cause) -> Option<Self> {
        Some(match cause {
            Cause::PulledAnonymously => Self::Anonymous,
            Cause::PullDenied => Self::Denied,
            Cause::TokenOfAnotherProject | Cause::TokenWithoutScope => Self::NotFor,
            Cause::TokenRefused => Self::Refused,
            Cause::AuthMalformed => Self::Malformed,
            _ => return None,
        })
    }

    /// Whether nothing was shown, as far as anybody knows.
    fn without_credential(self) -> bool {
        matches!(self, Self::Anonymous | Self::Denied)
    }

    /// What explains it, the first thing first: the check that finds it in the files, and the cause that it is.
    fn suspects(self) -> &'static [(Id, Cause)] {
        match self {
            Self::Anonymous | Self::Denied => &[
                (Id::PullSecretPresent, Cause::SecretMissing),
                (Id::PullSecretNamespace, Cause::SecretInAnotherNamespace),
                (Id::PullSecretName, Cause::SecretMissing),
                (Id::PullSecretType, Cause::WrongType),
                (Id::PullSecretWrapping, Cause::WrongWrapping),
                (Id::PullSecretCredentials, Cause::NoUsableCredentials),
                (Id::PullSecretMatchesImages, Cause::RegistryKeyDoesNotMatch),
            ],
            Self::NotFor => &[(Id::PullSecretMatchesImages, Cause::RegistryKeyDoesNotMatch)],
            Self::Refused => &[
                (Id::PullSecretAuth, Cause::CredentialsMalformed),
                (Id::PullSecretCredentials, Cause::NoUsableCredentials),
                (Id::PullSecretExpiry, Cause::TokenExpired),
            ],
            Self::Malformed => &[(Id::PullSecretAuth, Cause::AuthMalformed)],
        }
    }
}

/// `finding` of a pull of `image`, with what else is known. `is_missing`: the kubelet found a pull secret not to be there.
pub(super) fn joined(known: &Known, case: &Case, finding: Finding, image: &str, is_missing: bool) -> Finding {
    let Some(refusal) = Refusal::of(finding.cause) else {
        return told_by_registry(known, case, finding, image);
    };
    let join = Join { known, case, image, refusal };
    let better = join.of_pod(is_missing).or_else(|| join.of_cluster()).or_else(|| join.of_files());
    match better {
        Some(better) => Finding { subject: finding.subject, evidence: finding.evidence, ..better },
        None => told_by_registry(known, case, finding, image),
    }
}

/// `finding` with what the registry says that was asked with the repository's credentials.
fn told_by_registry(known: &Known, case: &Case, mut finding: Finding, image: &str) -> Finding {
    let title = known.workload_of(case.pod).map(|found| format!("{} {}", found.kind, found.name));
    let is_its =
        |check: &&Check| check.id.is_online() && title.as_ref().is_some_and(|title| *title == check.subject);
    let mut checks: Vec<_> = known.checks.iter().filter(is_its).collect();
    // What is said of another image of the same workload tells nothing, if there is one of this image.
    checks.sort_by_key(|check| check.image.as_deref() != Some(image));
    let Some(check) = checks.first() else { return finding };
    finding
        .evidence
        .push(format!("the registry, asked with the repository's credentials: {}", check.message));
    finding.check = Some(check.id);
    match check.status {
        Status::Problem => finding.hint.clone_from(&check.hint),
        Status::Ok if Refusal::of(finding.cause).is_some() => {
            finding.hint = "{make gitlab-secret}, then: {make restart}".into();
        }
        Status::Ok | Status::Note | Status::Warning => {}
    }
    finding
}

struct Join<'k> {
    known: &'k Known<'k>,
    case: &'k Case<'k>,
    image: &'k str,
    refusal: Refusal,
}

impl<'k> Join<'k> {
    /// What the pod itself tells: which pull secrets it names, and that one of them was not there.
    fn of_pod(&self, is_missing: bool) -> Option<Finding> {
        let pod = self.case.pod;
        if pod.is_ghost()
            && self.refusal.without_credential()
            && let Some(check) = self.problem(Id::WorkloadsNamePullSecret)
        {
            return Some(self.of_check(Cause::NoPullSecretNamed, check));
        }
        if pod.spec.image_pull_secrets.is_empty() && !pod.is_ghost() && self.refusal != Refusal::Malformed {
            let account = pod.spec.service_account_name.as_deref().unwrap_or("default");
            let newer = self.known.evidence.accounts.iter().any(|found| {
                found.metadata.name == account
                    && found.metadata.namespace == pod.metadata.namespace
                    && !found.image_pull_secrets.is_empty()
            });
            if newer {
                return Some(self.finding(Cause::PodOlderThanAccount));
            }
            let check = self.problem(Id::WorkloadsNamePullSecret);
            let mut finding = self.finding(Cause::NoPullSecretNamed);
            if let Some(check) = check {
                finding.hint = then_deploy(&check.hint);
                finding.check = Some(check.id);
            } else if self.known.workload_of(pod).is_some_and(|workload| !workload.pull_secrets.is_empty()) {
                finding.message.push_str(", though the repository names one");
                finding.hint = Advice::make("deploy");
            }
            return Some(finding);
        }
        if !is_missing || !self.refusal.without_credential() {
            return None;
        }
        let in_files = [
            (Id::PullSecretNamespace, Cause::SecretInAnotherNamespace),
            (Id::PullSecretName, Cause::SecretMissing),
        ];
        let of_files =
            in_files.iter().find_map(|(id, cause)| Some(self.of_check(*cause, self.problem(*id)?)));
        of_files.or_else(|| {
            let cause = if self.is_there_now() { Cause::SecretChangedSince } else { Cause::SecretMissing };
            Some(self.finding(cause))
        })
    }

    fn is_there_now(&self) -> bool {
        let mut named = self.named().peekable();
        named.peek().is_some()
            && named.all(|name| matches!(in_cluster(self.known, name), InCluster::There(_)))
    }

    /// What the Secrets in the cluster tell that the pod names.
    fn of_cluster(&self) -> Option<Finding> {
        let all: Vec<_> = self.named().map(|name| in_cluster(self.known, name)).collect();
        if all.is_empty() || all.iter().any(|secret| matches!(secret, InCluster::Unknown)) {
            return None;
        }
        let there: Vec<&Inspected> = all
            .iter()
            .filter_map(|secret| match secret {
                InCluster::There(secret) => Some(*secret),
                _ => None,
            })
            .collect();
        if there.is_empty() && self.refusal.without_credential() {
            let is_other = all.iter().any(|secret| matches!(secret, InCluster::Other));
            return Some(self.finding(if is_other { Cause::WrongType } else { Cause::SecretMissing }));
        }
        let is_good = |secret: &&Inspected| self.serves(secret) && self.flaw(secret).is_none();
        let one_is_good = self.refusal.without_credential() && there.iter().any(is_good);
        if one_is_good && self.refusal == Refusal::Anonymous {
            return Some(self.finding(Cause::SecretChangedSince));
        }
        // The kubelet tries them all, so that a bad one beside a good one explains nothing.
        let suspects = there.iter().filter(|_| !one_is_good);
        let flawed = suspects.into_iter().find_map(|secret| Some((*secret, self.flaw(secret)?)));
        let Some((secret, (id, cause, message))) = flawed else {
            let other =
                there.iter().find(|secret| self.file(secret).is_some_and(|file| differs(secret, file)))?;
            let mut finding = self.finding(Cause::SecretOutdated);
            finding.message = format!("{}: {}", finding.message, title(other));
            return Some(finding);
        };
        let mended =
            self.file(secret).filter(|file| differs(secret, file) && self.flaw(&file.secret).is_none());
        let mut finding = self.finding(if mended.is_some() { Cause::SecretOutdated } else { cause });
        finding.message = match mended {
            Some(_) => {
                format!("the cluster does not have the repository's pull secret yet; in its own, {message}")
            }
            None => format!("{}: {message}", title(secret)),
        };
        if let (None, Some(check)) = (mended, self.problem(id)) {
            finding.hint = then_deploy(&check.hint);
            finding.check = Some(id);
        } else if let (Cause::RegistryKeyDoesNotMatch, Ok(image)) =
            (finding.cause, ImageRef::parse_unpinned(self.image))
        {
            let rotate = Advice::makeinfra("rotate");
            let rotate = rotate.with(format_args!("--registry {}", RegistryKey::for_image(&image)));
            finding.hint = then_deploy(&rotate);
        }
        Some(finding)
    }

    /// The first thing that is wrong with a Secret and explains the refusal.
    fn flaw(&self, secret: &Inspected) -> Option<(Id, Cause, String)> {
        self.refusal.suspects().iter().find_map(|(id, cause)| {
            let aspect = match id {
                Id::PullSecretType => Aspect::Type,
                Id::PullSecretWrapping => Aspect::Wrapping,
                Id::PullSecretAuth => Aspect::Auth,
                Id::PullSecretCredentials => Aspect::Credentials,
                Id::PullSecretMatchesImages => {
                    let unmatched = secret.is_readable() && !self.serves(secret);
                    return unmatched
                        .then(|| (*id, *cause, format!("no registry key matches `{}`", self.shown_image())));
                }
                Id::PullSecretExpiry => {
                    let expiry = Expiry::parse(secret.expires_at.as_deref()?).ok()?;
                    let is_over = expiry.days_left(self.known.now) < 0;
                    return is_over.then(|| (*id, *cause, format!("the token expired on {expiry}")));
                }
                _ => return None,
            };
            let flaw = secret.flaws.iter().find(|flaw| flaw.aspect == aspect)?;
            Some((*id, *cause, flaw.message.clone()))
        })
    }

    fn serves(&self, secret: &Inspected) -> bool {
        ImageRef::parse_unpinned(self.image).is_ok_and(|image| secret.serves(&image.normalized_name()))
    }

    fn file(&self, secret: &Inspected) -> Option<&'k PullSecret> {
        file_of(self.known, secret)
    }

    /// What the checks of the repository tell.
    fn of_files(&self) -> Option<Finding> {
        let is_known = |name| !matches!(in_cluster(self.known, name), InCluster::Unknown);
        let all_known = !self.case.pod.is_ghost() && self.named().all(is_known);
        if all_known && self.refusal != Refusal::Malformed {
            return None;
        }
        self.refusal.suspects().iter().find_map(|(id, cause)| Some(self.of_check(*cause, self.problem(*id)?)))
    }

    fn of_check(&self, cause: Cause, check: &Check) -> Finding {
        let message = format!("{}: {}", check.subject, check.message);
        Finding { message, hint: then_deploy(&check.hint), check: Some(check.id), ..self.finding(cause) }
    }

    /// The problem that check `id` has with the pod's workload, or with a file.
    fn problem(&self, id: Id) -> Option<&'k Check> {
        let workload =
            self.known.workload_of(self.case.pod).map(|found| format!("{} {}", found.kind, found.name));
        let is_of_workloads = matches!(
            id,
            Id::PullSecretName
                | Id::PullSecretNamespace
                | Id::PullSecretMatchesImages
                | Id::WorkloadsNamePullSecret
        );
        let about =
            |check: &Check| !is_of_workloads || workload.as_ref().is_none_or(|title| *title == check.subject);
        let mut checks =
            self.known.checks.iter().filter(|check| check.id == id && check.status == Status::Problem);
        checks.find(|check| about(check))
    }

    fn named(&self) -> impl Iterator<Item = &'k str> {
        self.case.pod.spec.image_pull_secrets.iter().map(|secret| secret.name.as_str())
    }

    fn finding(&self, cause: Cause) -> Finding {
        let fill = Fill { image: self.image.to_owned(), ..self.case.fill("") };
        self.known.finding(cause, "", &fill, &[])
    }

    fn shown_image(&self) -> String {
        super::text::shown(self.image, std::iter::empty())
    }
}

/// What the Secret of a name is in the cluster.
enum InCluster<'k> {
    Unknown,
    Missing,
    /// It is there, and no pull secret.
    Other,
    There(&'k Inspected),
}

fn in_cluster<'k>(known: &Known<'k>, name: &str) -> InCluster<'k> {
    let is = |secret: &&Inspected| secret.name.as_deref() == Some(name);
    match known.evidence.secrets.iter().find(is) {
        Some(secret) => InCluster::There(secret),
        None if known.evidence.other_secrets.iter().any(|other| other == name) => InCluster::Other,
        None if known.asked.iter().any(|asked| asked == name) => InCluster::Missing,
        None => InCluster::Unknown,
    }
}

/// The Secret of the repository that is meant to be `secret` in the cluster.
fn file_of<'k>(known: &Known<'k>, secret: &Inspected) -> Option<&'k PullSecret> {
    let here = |file: &&PullSecret| {
        let namespace = &file.secret.namespace;
        file.secret.name == secret.name && (namespace.is_none() || *namespace == secret.namespace)
    };
    known.repository?.pull_secrets.iter().find(here)
}

fn differs(secret: &Inspected, file: &PullSecret) -> bool {
    secret.likeness(&file.secret) != SecretDiff::Same
}

/// Secrets of the repository that the cluster does not have as they are, where no finding says so yet.
pub(super) fn outdated(known: &Known, findings: &[Finding]) -> Vec<Finding> {
    if findings
        .iter()
        .any(|finding| Refusal::of(finding.cause).is_some() || finding.cause == Cause::SecretOutdated)
    {
        return Vec::new();
    }
    let files = known.repository.into_iter().flat_map(|repository| {
        // Of another namespace nobody has asked.
        let is_asked = |file: &&PullSecret| {
            let namespace = repository.namespace(file);
            namespace.is_none() || known.namespace.is_none() || namespace == known.namespace
        };
        repository.pull_secrets.iter().filter(is_asked)
    });
    let found = files.filter_map(|file| {
        let name = file.secret.name.as_deref()?;
        let message = match in_cluster(known, name) {
            InCluster::There(secret) if file_of(known, secret).is_some() => match secret
                .likeness(&file.secret)
            {
                SecretDiff::Same => return None,
                SecretDiff::OtherData => {
                    "the cluster has other credentials in this Secret than the repository"
                }
                SecretDiff::OtherType => "the cluster has this Secret with another type than the repository",
            },
            InCluster::Missing => {
                "the cluster does not have this Secret: the next pull would be without credentials"
            }
            InCluster::Other => "the cluster has a Secret of this name that is not a pull secret",
            InCluster::There(_) | InCluster::Unknown => return None,
        };
        let finding = known.finding(Cause::Repository, &file.path, &Fill::default(), &[]);
        Some(Finding { message: message.to_owned(), hint: Advice::make("gitlab-secret"), ..finding })
    });
    found.collect()
}

fn title(secret: &Inspected) -> String {
    let name = secret.name.as_deref().filter(|name| super::is_plain(name)).unwrap_or("without a name");
    format!("Secret {name}")
}

/// What a check says to type, and what brings it to the cluster.
fn then_deploy(hint: &Advice) -> Advice {
    hint.clone().then(Advice::make("deploy"))
}
