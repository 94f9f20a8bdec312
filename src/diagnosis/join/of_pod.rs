//! The explanation from the pod alone: which pull secrets it references, and which of them was
//! missing.

use super::super::Finding;
use super::super::case::MissedSecrets;
use super::super::cause::Cause;
use super::super::in_cluster::InCluster;
use super::super::refusal::RefusalKind;
use super::{Join, then_deploy};
use crate::advice::Advice;
use crate::checks::Id;

impl Join<'_> {
    /// The explanation from the pod alone: which pull secrets it references, and which of them was
    /// missing.
    pub(super) fn of_pod(&self) -> Option<Finding> {
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
                let mut finding = self.finding(self.pull.meaning.cause?);
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
        if self.pull.meaning.cause == Some(Cause::RateLimited) {
            return named.any(|name| missed.has(name) && serves(name) == Some(true));
        }
        named.filter(|name| !missed.has(name)).all(|name| match self.in_cluster(name) {
            InCluster::Found(secret) => !self.serves(secret),
            InCluster::Missing | InCluster::Other => true,
            InCluster::Unknown => serves(name) == Some(false),
        })
    }
}
