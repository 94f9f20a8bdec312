//! Whether running pods could be pulled again: by another node, or by the same one after it has
//! deleted their images.
//!
//! Determines the kubelet's credentials; the registry's answer comes from outside. The next pod is
//! created from its owner's template, and the API server gives a pod without pull secrets those of
//! its service account (Kubernetes, `plugin/pkg/admission/serviceaccount`). Pure.

use super::evidence::Evidence;
use super::objects::{ContainerStatus, Named, Pod, PodSpec, Workload};
use super::pods::is_pull;
use super::text;
use crate::advice::Advice;
use crate::answers::Answer as _;
use crate::answers::{Expiry, ImageRef};
use crate::checks::{Check, EnvironmentHint, Id, Status, count};
use crate::inspection::Inspection;
use crate::pull_secret::{Hidden, Inspected, SecretDiff};
use crate::registry::{PullQuestion, Standing, Verdict};
use crate::secret::Secret;
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap, HashSet};

/// A namespace of a cluster in which pods are running.
pub struct Running<'e> {
    evidence: &'e Evidence,
    namespace: &'e str,
    /// Pull secrets by name; `None` if this user may not read Secrets.
    secrets: Option<HashMap<&'e str, &'e Inspected>>,
    reads_accounts: bool,
    owners: HashMap<(&'e str, &'e str), &'e Workload>,
    accounts: HashMap<&'e str, &'e [Named]>,
    repository: Option<&'e Inspection>,
    place: EnvironmentHint<'e>,
    hidden: Hidden,
}

/// A running image, and how it would be pulled next.
pub struct NextPull<'e> {
    running: &'e Running<'e>,
    /// `Deployment hello`.
    subject: String,
    /// The number of pods that run it.
    pods: usize,
    /// The image reference, as in the pods.
    reference: &'e str,
    image: Option<ImageRef>,
    login: Login<'e>,
}

/// The kubelet's credentials for a pull.
enum Login<'e> {
    /// None: the pod forbids pulling the image.
    Never,
    /// Undetermined, for this reason.
    Unknown(&'static str),
    /// None: the kubelet refuses all Secrets because of this one.
    Malformed(&'e str),
    /// Those of these Secrets.
    Known { names: Vec<&'e str>, credentials: Vec<Secret> },
}

/// The common properties of pods that are pulled alike.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Group<'e> {
    subject: String,
    reference: &'e str,
    is_never_pulled: bool,
    /// The pull secrets of the next pod; `None` if undetermined.
    names: Option<Vec<&'e str>>,
}

impl<'e> Running<'e> {
    /// The pods of `evidence`, all in `namespace`. `refused` are the kinds that this user may not
    /// read.
    #[must_use]
    pub fn of(
        evidence: &'e Evidence,
        namespace: &'e str,
        refused: &[String],
        repository: Option<&'e Inspection>,
        place: EnvironmentHint<'e>,
    ) -> Self {
        let reads = |kind: &str| !refused.iter().any(|refused| refused == kind);
        let secrets =
            evidence.secrets.iter().filter_map(|secret| Some((secret.name.as_deref()?, secret)));
        let owners = evidence.workloads.iter();
        let accounts = evidence.accounts.iter();
        Self {
            evidence,
            namespace,
            secrets: reads("secrets").then(|| secrets.collect()),
            reads_accounts: reads("serviceaccounts"),
            owners: owners
                .map(|one| ((one.kind.as_str(), one.metadata.name.as_str()), one))
                .collect(),
            accounts: accounts
                .map(|one| (one.metadata.name.as_str(), one.image_pull_secrets.as_slice()))
                .collect(),
            repository,
            place,
            hidden: Hidden::of(evidence.secrets.iter()),
        }
    }

    /// The number of running pods.
    #[must_use]
    pub fn pods(&self) -> usize {
        self.evidence.pods.iter().filter(|pod| runs(pod)).count()
    }

    /// All images of running pods, one entry for all that are pulled alike.
    #[must_use]
    pub fn next_pulls(&'e self) -> Vec<NextPull<'e>> {
        let mut groups: BTreeMap<Group<'e>, HashSet<&str>> = BTreeMap::new();
        for pod in self.evidence.pods.iter().filter(|pod| runs(pod)) {
            let names = self.names(pod);
            let subject = self.owner_title(pod);
            for (reference, is_never_pulled) in images(pod) {
                let (subject, names) = (subject.clone(), names.clone());
                let group = Group { subject, reference, is_never_pulled, names };
                groups.entry(group).or_default().insert(&pod.metadata.name);
            }
        }
        groups.into_iter().map(|(group, pods)| self.next_pull(group, pods.len())).collect()
    }

    fn next_pull(&'e self, group: Group<'e>, pods: usize) -> NextPull<'e> {
        let Group { subject, reference, is_never_pulled, names } = group;
        let image = ImageRef::parse_unpinned(reference).ok();
        let login = match (names, &image) {
            _ if is_never_pulled => Login::Never,
            (None, _) => Login::Unknown("this user is not allowed to read service accounts"),
            (Some(names), Some(image)) => self.login(names, image),
            (Some(names), None) => Login::Known { names, credentials: Vec::new() },
        };
        NextPull { running: self, subject, pods, reference, image, login }
    }

    /// Applies the kubelet's rule: one malformed entry invalidates all Secrets; a Secret that is
    /// missing, of another type or for other images is merely ignored.
    fn login(&self, names: Vec<&'e str>, image: &ImageRef) -> Login<'e> {
        let Some(secrets) = &self.secrets else {
            return if names.is_empty() {
                Login::Known { names, credentials: Vec::new() }
            } else {
                Login::Unknown("this user is not allowed to read Secrets")
            };
        };
        let found: Vec<_> = names.iter().filter_map(|name| secrets.get(name).copied()).collect();
        let is_malformed =
            |secret: &&&Inspected| secret.config().is_some_and(|config| config.check().is_err());
        if let Some(name) =
            found.iter().find(is_malformed).and_then(|secret| secret.name.as_deref())
        {
            return Login::Malformed(name);
        }
        let name = image.normalized_name();
        let credentials = found.iter().flat_map(|secret| secret.authorizations(&name)).collect();
        Login::Known { names, credentials }
    }

    /// The pull secrets of the pod that would replace `pod`.
    fn names(&self, pod: &'e Pod) -> Option<Vec<&'e str>> {
        let texts = |named: &'e [Named]| named.iter().map(|secret| secret.name.as_str()).collect();
        let template = self.owner(pod).and_then(|owner| owner.spec.template.as_ref());
        // A pod that is not recreated, or whose template is unknown, already has those of its
        // account.
        let spec: &PodSpec = template.map_or(&pod.spec, |template| &template.spec);
        if !spec.image_pull_secrets.is_empty() {
            return Some(texts(&spec.image_pull_secrets));
        }
        let account =
            spec.service_account_name.as_deref().or(pod.spec.service_account_name.as_deref());
        if self.reads_accounts {
            Some(
                self.accounts
                    .get(account.unwrap_or("default"))
                    .map_or_else(Vec::new, |named| texts(named)),
            )
        } else {
            None
        }
    }

    fn owner(&self, pod: &Pod) -> Option<&'e Workload> {
        let owner = pod.metadata.owner_references.first()?;
        self.owners.get(&(owner.kind.as_str(), owner.name.as_str())).copied()
    }

    /// The owner of the pod as users know it: a `ReplicaSet`'s Deployment, a Job's `CronJob`.
    fn owner_title(&self, pod: &Pod) -> String {
        let Some(owner) = pod.metadata.owner_references.first() else {
            return format!("Pod {}", pod.metadata.name);
        };
        let above = self.owner(pod).and_then(|owner| owner.metadata.owner_references.first());
        let Named { kind, name } = above.unwrap_or(owner);
        format!("{kind} {name}")
    }
}

impl NextPull<'_> {
    /// What to ask the registry; `None` if nothing is pulled or the credentials are undetermined.
    #[must_use]
    pub fn pull(&self) -> Option<PullQuestion<'_>> {
        match &self.login {
            Login::Known { credentials, .. } => Some(PullQuestion {
                image: self.image.as_ref()?,
                credentials: credentials.iter().collect(),
            }),
            _ => None,
        }
    }

    /// The check that follows from the registry's answer.
    #[must_use]
    pub fn judged(&self, verdict: Option<&Verdict>, now: Timestamp) -> Check {
        let (status, message, hint) = self.judgement(verdict, now);
        let pods =
            if self.pods > 1 { format!(" ({})", count(self.pods, "pod")) } else { String::new() };
        let subject = format!("{}{}{pods}", self.subject, self.running.place.title());
        let shown = |text: &str| text::shown(text, &self.running.hidden);
        let hint = self.running.place.with_env(hint);
        let hint = match self.running.repository {
            Some(repository) => repository.adopted(hint),
            None => hint,
        };
        Check::new(Id::RunningPodsPull, status, shown(&subject), shown(&message)).hint(hint)
    }

    fn judgement(&self, verdict: Option<&Verdict>, now: Timestamp) -> (Status, String, Advice) {
        let (reference, namespace) = (self.reference, self.running.namespace);
        let fails = |why: String| {
            format!("`{reference}` runs from the node's cache, but the next pull will fail: {why}")
        };
        let anew = || Advice::from("{makeinfra rotate --commit} && {make deploy}");
        let (names, credentials) = match &self.login {
            Login::Never => {
                let message =
                    format!("`{reference}` is never pulled: the pod has `imagePullPolicy: Never`");
                return (Status::Note, message, Advice::default());
            }
            Login::Unknown(why) => {
                let hint = Advice::anywhere("kubectl auth can-i --list --namespace").arg(namespace);
                return (
                    Status::Warning,
                    format!("the next pull of `{reference}` was not checked: {why}"),
                    hint,
                );
            }
            Login::Malformed(name) => {
                let why =
                    format!("the Secret `{name}` is malformed, so the kubelet refuses all entries");
                return (Status::Problem, fails(why), anew());
            }
            Login::Known { names, credentials } => (names, credentials),
        };
        let (Some(image), Some(verdict)) = (&self.image, verdict) else {
            let hint = Advice::from("correct it in the workload, then: {make deploy}");
            return (Status::Problem, fails("that is not an image reference".to_owned()), hint);
        };
        let message = verdict.message(image);
        let hint = verdict.hint(image, &Advice::makeinfra("rotate --check")).unwrap_or_default();
        match verdict.standing() {
            Standing::Good => (Status::Ok, message, hint),
            Standing::Absent => (Status::Problem, fails(message), hint),
            Standing::Unknown => (
                Status::Warning,
                format!("the next pull of `{reference}` is undetermined: {message}"),
                hint,
            ),
            Standing::Refused if names.is_empty() || has_provider(image.host()) => {
                let text = format!(
                    "the next pull of `{reference}` is undetermined: {}, and the node's own \
                     credentials (credential provider, container runtime configuration) are not \
                     visible",
                    if names.is_empty() {
                        "the pod names no pull secret".to_owned()
                    } else {
                        message
                    }
                );
                (Status::Warning, text, hint)
            }
            Standing::Refused => {
                let (why, better) = self.refused(names, credentials, image, now);
                let why = why.unwrap_or(message);
                (Status::Problem, fails(why), better.unwrap_or(hint))
            }
        }
    }

    /// Why the pull is refused, as far as more is known than the registry's answer, and what to do
    /// about it.
    fn refused(
        &self,
        names: &[&str],
        credentials: &[Secret],
        image: &ImageRef,
        now: Timestamp,
    ) -> (Option<String>, Option<Advice>) {
        let namespace = self.running.namespace;
        let deploy = || Some(Advice::make("gitlab-secret"));
        let secrets = self.running.secrets.as_ref();
        let in_cluster = |name: &&str| secrets.and_then(|secrets| secrets.get(name).copied());
        if credentials.is_empty() {
            let is_there = |name: &&&str| {
                in_cluster(name).is_some()
                    || self.running.evidence.has_other_secret(namespace, name)
            };
            return match names.iter().find(|name| !is_there(name)) {
                Some(name) => (
                    Some(format!("the Secret `{name}` does not exist in namespace `{namespace}`")),
                    deploy(),
                ),
                None => {
                    let listed = names.join("`, `");
                    let message = format!(
                        "the pull secret `{listed}` has no credentials for `{}`",
                        image.name()
                    );
                    (Some(message), self.is_outdated(names).then(deploy).flatten())
                }
            };
        }
        let found = names.iter().filter_map(in_cluster);
        let recorded = self.running.repository.and_then(Inspection::recorded_registry);
        let image = image.normalized_name();
        let mut expiries =
            found.filter_map(|secret| Expiry::parse(secret.expiry_for(&image, recorded)?).ok());
        let expired = expiries.find(|expiry| expiry.days_left(now) < 0);
        let why = expired.map(|expiry| format!("its token expired on {expiry}"));
        (why, self.is_outdated(names).then(deploy).flatten())
    }

    /// Whether the repository has other data for one of these Secrets that is not deployed yet.
    fn is_outdated(&self, names: &[&str]) -> bool {
        let Running { secrets: Some(secrets), repository: Some(repository), namespace, .. } =
            self.running
        else {
            return false;
        };
        let files = repository.own_pull_secrets(namespace);
        names.iter().any(|name| {
            let file = files.iter().find(|file| file.secret.name.as_deref() == Some(name));
            let both = file.zip(secrets.get(name));
            both.is_some_and(|(file, there)| there.compare(&file.secret) != SecretDiff::Same)
        })
    }
}

/// Whether a pod is running and meant to stay.
fn runs(pod: &Pod) -> bool {
    pod.status.phase.as_deref() == Some("Running") && !pod.is_ending()
}

/// The images that `pod` was started from, each with whether it forbids pulling. Excludes ephemeral
/// containers, which no other pod gets.
fn images(pod: &Pod) -> impl Iterator<Item = (&str, bool)> {
    let statuses =
        || pod.status.init_container_statuses.iter().chain(&pod.status.container_statuses);
    let waits_for_image = |status: &ContainerStatus| {
        let waiting = status.state.waiting.as_ref();
        waiting.and_then(|waiting| waiting.reason.as_deref()).is_some_and(is_pull)
    };
    let waiting: HashSet<&str> = statuses()
        .filter(|status| waits_for_image(status))
        .map(|status| status.name.as_str())
        .collect();
    let containers = pod.spec.init_containers.iter().chain(&pod.spec.containers);
    let of_containers = containers
        .filter(move |container| !waiting.contains(container.name.as_str()))
        .map(|container| {
            (container.image.as_str(), container.image_pull_policy.as_deref() == Some("Never"))
        });
    let volumes = pod.spec.volumes.iter().filter_map(|volume| volume.image.as_ref());
    let of_volumes = volumes
        .map(|image| (image.reference.as_str(), image.pull_policy.as_deref() == Some("Never")));
    of_containers.chain(of_volumes).filter(|(reference, _)| !reference.is_empty())
}

/// Whether cloud nodes usually have a credential provider for `host`: `matchImages` of
/// ecr-credential-provider, auth-provider-gcp and acr-credential-provider.
fn has_provider(host: &str) -> bool {
    let is_ecr =
        host == "public.ecr.aws" || host.contains(".dkr.ecr.") || host.contains(".dkr-ecr.");
    let google = ["gcr.io", ".gcr.io", ".pkg.dev", "container.cloud.google.com"];
    let azure = [".azurecr.io", ".azurecr.cn", ".azurecr.de", ".azurecr.us"];
    is_ecr || google.iter().chain(&azure).any(|end| host.ends_with(end))
}
