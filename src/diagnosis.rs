//! Why the pods of a repository do not run: takes evidence from the cluster, returns ranked causes.
//!
//! Pure: works on data that was read before, combines it with the offline checks and the Secret in
//! the cluster, and says what to type. The output contains no secret value and no control
//! characters. Unknown texts are not interpreted; the finding then says so.

mod case;
mod cause;
mod chain;
mod current;
mod event;
mod evidence;
mod fill;
mod in_cluster;
mod join;
mod layer;
mod link;
mod objects;
mod pods;
mod pull_signs;
mod refusal;
mod running;
mod signs;
mod text;
mod tries;
mod vendor;
mod weight;
mod workloads;

pub use cause::Cause;
pub use evidence::Evidence;
pub use layer::Layer;
pub use running::{NextPull, Running};

use crate::advice::Advice;
use crate::answers::ImageRef;
use crate::checks::{self, Check, EnvironmentHint, Id};
use crate::error::Outcome;
use crate::inspection::Inspection;
use crate::manifests::{Fault, FaultKind};
use crate::pull_secret::{Hidden, Inspected, keyring};
use fill::{Fill, is_plain};
use jiff::Timestamp;
use objects::Pod;
use pull_signs::PullMeaning;
use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::rc::Rc;
use vendor::Vendor;
use weight::Weight;

/// Everything that is known.
pub struct DiagnosisInput<'k> {
    /// The answers of the cluster.
    pub evidence: &'k Evidence,
    /// The namespace that was asked for; `None` for saved evidence.
    pub namespace: Option<&'k str>,
    /// Whether a cluster was asked. A file may lack anything, so its silence proves nothing.
    pub is_live: bool,
    /// Names of Secrets that were requested from the cluster and readable if they existed.
    pub asked: &'k [String],
    /// Kinds that the cluster did not return, `pods` or `events`.
    pub refused: &'k [String],
    /// The repository; `None` if there is none.
    pub repository: Option<&'k Inspection>,
    /// The checks of the repository.
    pub checks: &'k [Check],
    /// The reference time for ages.
    pub now: Timestamp,
    /// A cache; empty at first.
    pub hidden: HiddenByNamespace,
}

/// Values that no text about a namespace may show, cached by namespace.
#[derive(Default)]
pub struct HiddenByNamespace(RefCell<HashMap<String, Rc<Hidden>>>);

/// A finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The cause.
    pub cause: Cause,
    /// The subject: a pod, a workload, a file.
    pub subject: String,
    /// One sentence.
    pub message: String,
    /// The relevant texts from the cluster.
    pub evidence: Vec<String>,
    /// What to type.
    pub hint: Advice,
    /// The check that reports the same problem; `None` if there is none.
    pub check: Option<Id>,
    /// The layer that the evidence comes from; `None` if that is undetermined.
    pub layer: Option<Layer>,
}

/// The result.
#[derive(Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// The findings, the most likely cause first.
    pub findings: Vec<Finding>,
    /// The number of pods examined.
    pub pods: usize,
}

impl DiagnosisInput<'_> {
    /// Determines the causes.
    #[must_use]
    pub fn diagnose(&self) -> Diagnosis {
        let pods: Vec<_> =
            self.evidence.pods.iter().filter(|pod| !pod.is_ending() && self.is_ours(pod)).collect();
        let current = current::pods(self, &pods);
        let mut findings: Vec<Finding> =
            current.iter().flat_map(|pod| pods::findings(self, pod)).collect();
        findings.extend(workloads::findings(self, &pods));
        if findings.iter().all(|finding| finding.cause.weight() == Weight::Note) {
            findings.extend(workloads::stalled(self, &pods));
        }
        findings.extend(self.upcoming_problems(&findings));
        findings.extend(self.not_read());
        let place = self.place(self.namespace.unwrap_or_default());
        for finding in &mut findings {
            let hint = place.with_env(std::mem::take(&mut finding.hint));
            finding.hint = match self.repository {
                None if hint.is_for_a_repository() => {
                    hint.say(" (in the repository that deploys it)")
                }
                None => hint,
                Some(repository) => repository.adopted(hint),
            };
        }
        Diagnosis { findings: ranked(findings), pods: pods.len() }
    }

    fn is_ours(&self, pod: &Pod) -> bool {
        let here = self.namespace.is_none_or(|namespace| pod.metadata.namespace == namespace);
        here && (self.includes_all_pods() || self.workload_of(pod).is_some())
    }

    /// Whether all pods count as the repository's, because there is no repository, or its names
    /// depend on unsupported features of kustomize.
    fn includes_all_pods(&self) -> bool {
        self.repository.is_none_or(|repository| {
            let beyond = |fault: &Fault| fault.kind == FaultKind::Beyond;
            repository.manifests.workloads().next().is_none()
                || repository.manifests.faults.iter().any(beyond)
        })
    }

    /// What the next pull will run into although no pod has yet.
    fn upcoming_problems(&self, findings: &[Finding]) -> Vec<Finding> {
        let is_reported =
            |check: &Check| findings.iter().any(|finding| finding.check == Some(check.id));
        let of_pulls = |id: Id| (Id::PullSecretPresent..=Id::WorkloadsNamePullSecret).contains(&id);
        let problems = self.checks.iter().filter(|check| check.status == checks::Status::Problem);
        problems
            .filter(|check| of_pulls(check.id) && !is_reported(check))
            .map(|check| Finding {
                cause: Cause::Repository,
                subject: check.subject.clone(),
                message: check.message.clone(),
                evidence: Vec::new(),
                hint: check.hint.clone(),
                check: Some(check.id),
                layer: None,
            })
            .chain(in_cluster::outdated(self, findings))
            .collect()
    }

    fn not_read(&self) -> Option<Finding> {
        let fill =
            Fill { namespace: self.namespace.unwrap_or("NAMESPACE").to_owned(), ..Fill::default() };
        let not_understood = self.evidence.not_understood;
        let message = match (self.refused, not_understood) {
            ([], 0) => return None,
            ([], _) => {
                format!(
                    "{} of the evidence could not be understood",
                    checks::count(not_understood, "item")
                )
            }
            (kinds, _) => format!("this user is not allowed to read {}", kinds.join(", ")),
        };
        let mut finding = self.finding(Cause::NotRead, "evidence", &fill, &[]);
        finding.message = message;
        Some(finding)
    }

    /// A finding with the standard sentence and hint of its cause.
    fn finding(
        &self,
        cause: Cause,
        subject: impl Into<String>,
        fill: &Fill,
        evidence: &[String],
    ) -> Finding {
        let (message, hint) = cause.words();
        let hidden = self.hidden(&fill.namespace);
        let known = self.without_tokens(fill);
        let shown = |text: &str| text::shown(text, &hidden);
        let mut evidence: Vec<String> =
            evidence.iter().map(|text| shown(text)).filter(|text| !text.is_empty()).collect();
        evidence.dedup();
        Finding {
            cause,
            subject: shown(&subject.into()),
            message: known.fills(message),
            evidence,
            hint: self
                .place(&known.namespace)
                .with_env(self.with_image(known.fills(hint).as_str().into(), &known.image)),
            check: None,
            layer: None,
        }
    }

    /// `fill` without the values that contain a token.
    fn without_tokens(&self, fill: &Fill) -> Fill {
        fill.without(|value| text::holds_token(value, &self.hidden(&fill.namespace)))
    }

    /// The environment of the repository that deploys to `namespace`.
    fn place(&self, namespace: &str) -> EnvironmentHint<'_> {
        self.repository.map_or(EnvironmentHint::default(), |repository| {
            EnvironmentHint::of_namespace(repository, namespace)
        })
    }

    /// `hint`, which may set the tag of `image`, extended by the image's name unless it is that of
    /// the project's own component.
    fn with_image(&self, hint: Advice, image: &str) -> Advice {
        let record =
            self.repository.and_then(|repository| repository.record.as_ref()?.as_ref().ok());
        match (record, ImageRef::parse_unpinned(image)) {
            (Some(record), Ok(image)) if image.name() != record.answers.image().name() => {
                hint.with_variable("set-image", &format!("IMAGE={}", image.name()))
            }
            _ => hint,
        }
    }

    /// The vendor of the registry from which `pod` pulls `image`, as far as that shows.
    fn vendor(&self, meaning: &PullMeaning, image: &str, pod: &Pod) -> &'static Vendor {
        let host = link::registry_of(image);
        let record =
            self.repository.and_then(|repository| repository.record.as_ref()?.as_ref().ok());
        let is_recorded = || record.is_some_and(|record| record.answers.registry.host() == host);
        let name = ImageRef::parse_unpinned(image).map(|image| image.normalized_name());
        let signs_in_as = |secret: &Inspected| {
            let (Some(config), Ok(name)) = (secret.config(), &name) else { return false };
            let mut keys = keyring::matching_name(config.keys(), name).into_iter();
            keys.any(|key| {
                config.username(key).is_some_and(|user| user.starts_with("gitlab+deploy-token"))
            })
        };
        let is_signed_in = || {
            let named = pod.spec.image_pull_secrets.iter();
            let mut secrets = named
                .filter_map(|named| self.evidence.secret(&pod.metadata.namespace, &named.name));
            secrets.any(signs_in_as)
        };
        vendor::of(&host, meaning.speaker.is_gitlab || is_recorded() || is_signed_in())
    }

    /// The known passwords, which no text about `namespace` may show: a kubelet only has those for
    /// its pod.
    fn hidden(&self, namespace: &str) -> Rc<Hidden> {
        let mut known = self.hidden.0.borrow_mut();
        if let Some(hidden) = known.get(namespace) {
            return Rc::clone(hidden);
        }
        let of_files = self.repository.into_iter().flat_map(|repository| &repository.pull_secrets);
        let secrets =
            self.evidence.secrets_of(namespace).chain(of_files.map(|found| &found.secret));
        Rc::clone(known.entry(namespace.to_owned()).or_insert_with(|| Rc::new(Hidden::of(secrets))))
    }
}

impl Diagnosis {
    /// The outcome, for the exit code.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self.findings.first().map(|finding| finding.cause.weight()) {
            Some(Weight::Wrong) => Outcome::Problems,
            Some(Weight::Unknown) => Outcome::Unknown,
            Some(Weight::Note) | None => Outcome::Done,
        }
    }

    /// A diagnosis with a single cause, for what prevents any evidence.
    #[must_use]
    pub fn of(
        cause: Cause,
        namespace: Option<&str>,
        subject: &str,
        text: &str,
        place: EnvironmentHint,
    ) -> Self {
        let fill = Fill {
            namespace: namespace.unwrap_or_default().to_owned(),
            workload: "makeinfra".to_owned(),
            ..Fill::default()
        };
        let (message, hint) = cause.words();
        let finding = Finding {
            cause,
            subject: text::shown(subject, &Hidden::default()),
            message: fill.fills(message),
            evidence: Some(text::shown(text, &Hidden::default()))
                .filter(|text| !text.is_empty())
                .into_iter()
                .collect(),
            hint: place.with_env(fill.fills(hint).as_str()),
            check: None,
            layer: None,
        };
        Self { findings: vec![finding], pods: 0 }
    }
}

/// Sorts by weight and then by cause, and merges what several pods report alike.
fn ranked(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by_key(|finding| (finding.cause.weight(), finding.cause));
    let mut kept: Vec<(Finding, usize)> = Vec::new();
    let mut places: HashMap<(Cause, String), usize> = HashMap::new();
    for finding in findings {
        match places.entry((finding.cause, finding.message.clone())) {
            Entry::Occupied(place) => kept[*place.get()].1 += 1,
            Entry::Vacant(place) => {
                place.insert(kept.len());
                kept.push((finding, 0));
            }
        }
    }
    let ranked = kept.into_iter().map(|(mut finding, more)| {
        if more > 0 {
            finding.subject = format!("{} and {more} more", finding.subject);
        }
        finding
    });
    ranked.collect()
}
