//! A pod with its events and the findings about it.

use super::cause::Cause;
use super::event::Event;
use super::objects::Pod;
use super::{DiagnosisInput, Fill, Finding};
use jiff::{SignedDuration, Timestamp};

/// How long a restart is worth reporting.
const NEWS: SignedDuration = SignedDuration::from_mins(10);

/// A pod with everything that belongs to it.
pub(super) struct PodCase<'k> {
    pub(super) known: &'k DiagnosisInput<'k>,
    pub(super) pod: &'k Pod,
    /// The pod's events, newest first.
    pub(super) events: &'k [Event],
}

/// Pull secrets that the kubelet did not find.
pub(super) struct MissedSecrets {
    /// Their names; empty if the kubelet did not report them.
    names: Vec<String>,
    /// The event that reports it.
    pub(super) text: String,
}

impl MissedSecrets {
    /// Parses the kubelet's `Unable to retrieve some image pull secrets (NAME, NAME); …`.
    fn of(text: String) -> Self {
        let names =
            text.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(names, _)| names);
        let names =
            names.into_iter().flat_map(|names| names.split(',')).map(|name| name.trim().to_owned());
        Self { names: names.filter(|name| !name.is_empty()).collect(), text }
    }

    /// Whether `name` is, or may be, one of them.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|missed| missed == name)
    }
}

impl<'k> PodCase<'k> {
    /// `pod` with its events.
    pub(super) fn of(known: &'k DiagnosisInput, pod: &'k Pod) -> Self {
        let events = known.evidence.events_of(&pod.metadata);
        Self { known, pod, events }
    }

    /// The last result of a probe.
    pub(super) fn probe(&self, container: &str) -> Option<String> {
        let mut events =
            self.events.iter().filter(|event| event.is("Unhealthy") || event.is("ProbeWarning"));
        events.find(|event| event.concerns(container)).map(Event::words)
    }

    /// The newest event with `reason`.
    pub(super) fn last(&self, reason: &str) -> Vec<String> {
        self.events.iter().find(|event| event.is(reason)).map(Event::words).into_iter().collect()
    }

    /// The pull secrets that the kubelet missed; `None` if it missed none.
    pub(super) fn missed(&self) -> Option<MissedSecrets> {
        self.last("FailedToRetrieveImagePullSecret").into_iter().next().map(MissedSecrets::of)
    }

    pub(super) fn age(&self, since: Option<Timestamp>) -> Option<SignedDuration> {
        since.map(|since| self.known.now.duration_since(since))
    }

    pub(super) fn is_news(&self, since: Option<Timestamp>) -> bool {
        self.age(since).is_none_or(|age| age < NEWS)
    }

    pub(super) fn finding(&self, cause: Cause, container: &str, evidence: &[String]) -> Finding {
        self.known.finding(cause, self.subject(container), &self.fill(container), evidence)
    }

    pub(super) fn subject(&self, container: &str) -> String {
        let (name, several) = (&self.pod.metadata.name, self.pod.spec.containers.len() > 1);
        match container {
            "" => format!("pod {name}"),
            _ if several => format!("pod {name}, container {container}"),
            _ => format!("pod {name}"),
        }
    }

    pub(super) fn fill(&self, container: &str) -> Fill {
        let workload = self.known.workload_of(self.pod);
        Fill {
            namespace: self.pod.metadata.namespace.clone(),
            workload: workload.map(|workload| workload.name.clone()).unwrap_or_default(),
            pod: self.pod.metadata.name.clone(),
            container: container.to_owned(),
            image: self.pod.image(container).to_owned(),
            ..Fill::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kubelet_tells_which_secrets_it_missed() {
        let missed = |text: &str| MissedSecrets::of(text.to_owned());
        let two =
            missed("Unable to retrieve some image pull secrets (old, gone); attempting to pull");
        assert_eq!(two.names, ["old", "gone"]);
        assert!(
            two.has("gone") && !two.has("gitlab") && missed("Unable to retrieve").has("gitlab")
        );
    }
}
