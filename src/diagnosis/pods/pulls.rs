//! What a pod's failed pulls say, joined with the pull secrets that the kubelet missed.

use super::super::case::PodCase;
use super::super::cause::Cause;
use super::super::event::Event;
use super::super::pull_signs::{self, PullMeaning};
use super::super::refusal::RefusalKind;
use super::super::{Fill, Finding, Layer, join, vendor};

/// The message if GitLab itself refuses a token, in contrast to a ban by the server in front of it.
const ONLY_SCOPE: &str = "GitLab accepts the token but does not allow it to use the registry: it \
                          lacks the scope read_registry";

impl PodCase<'_> {
    /// Findings for a failed pull. If the status is only the back-off after it, the newest event
    /// has the reason.
    pub(super) fn pull(&self, container: &str, text: String) -> Vec<Finding> {
        let own = self.pod.image(container);
        let names = |text: &str, image: &str| !image.is_empty() && text.contains(image);
        // A container waits for the images of its volumes as for its own.
        let volume_in = |text: &str| {
            let volumes = self.pod.image_volumes();
            volumes.filter(|(_, image)| !names(text, own) && names(text, image)).last()
        };
        let matches_container = |event: &&Event| {
            // Only a pull names the image; CRI-O's inspection may omit it.
            let text = event.text();
            let is_of_other = event.container().is_empty()
                && !names(text, own)
                && volume_in(text).is_none()
                && self.pod.images().any(|image| names(text, image));
            is_of_pull(event) && event.concerns(container) && !is_of_other
        };
        let event = self.events.iter().find(matches_container);
        let volume = volume_in(&text).or_else(|| event.and_then(|event| volume_in(event.text())));
        let quoted = event.and_then(|event| event.text().split('"').nth(1)).unwrap_or_default();
        let image = match volume {
            Some((_, image)) => image,
            None if own.is_empty() => quoted,
            None => own,
        };
        let event = event.map(Event::words);
        let of_status =
            Some(pull_signs::read(&text, image)).filter(|meaning| meaning.cause.is_some());
        let of_event = || event.clone().map(|event| (pull_signs::read(&event, image), event));
        let found = of_status.map(|meaning| (meaning, text.clone())).or_else(of_event);
        let (meaning, words) = found.unwrap_or_else(|| (pull_signs::read(&text, image), text));
        let subject = match volume {
            Some((name, _)) => format!("{}, volume {name}", self.subject("")),
            None => self.subject(container),
        };
        let mut found = self.pulled(&meaning, words, image, subject, &self.fill(container));
        for finding in found.iter_mut().filter(|finding| finding.cause == Cause::TagMissing) {
            // `make` only sets the images of containers.
            if volume.is_some() {
                finding.hint =
                    "correct the image reference of the volume in the workload, then: {make deploy}"
                        .into();
            } else if self.pod.is_ephemeral(container) {
                finding.hint = "start debugging again with an image that exists".into();
            }
        }
        found
    }

    /// The findings for a text about a pull of `image` by this pod: the cause first, then problems
    /// in the text that the cause does not explain.
    fn pulled(
        &self,
        meaning: &PullMeaning,
        words: String,
        image: &str,
        subject: String,
        fill: &Fill,
    ) -> Vec<Finding> {
        let missed = self.missed();
        let of_others = pull_signs::beside(&words, image).into_iter().filter_map(|meaning| {
            let fill = fill.clone().of_pull(&meaning, image);
            let finding = self.known.finding(
                meaning.cause?,
                subject.clone(),
                &fill,
                std::slice::from_ref(&words),
            );
            Some(Finding { layer: meaning.layer, ..finding })
        });
        let of_others: Vec<_> = of_others.collect();
        let evidence: Vec<_> =
            [words].into_iter().chain(missed.iter().map(|missed| missed.text.clone())).collect();
        let pull = join::FailedPull { meaning, image, missed: missed.as_ref() };
        let vendor = self.known.vendor(meaning, image, self.pod);
        let fill = fill.clone().of_pull(meaning, image).of_vendor(vendor);
        let cause = match meaning.cause {
            // A user that is known but may not even ask has a token without any scope for the
            // registry.
            Some(Cause::TokenDenied) if vendor == &vendor::GITLAB => Cause::TokenWithoutScope,
            cause => cause.unwrap_or(Cause::PullFailed),
        };
        let mut finding = self.known.finding(cause, subject, &fill, &evidence);
        if cause == Cause::TokenWithoutScope && meaning.is_denied {
            finding.message = ONLY_SCOPE.into();
            finding.hint = "create a deploy token with read_registry in GitLab, then: {makeinfra \
                            rotate --commit} && {make deploy}"
                .into();
        }
        let finding = Finding { layer: meaning.layer, ..finding };
        let worded = Some(finding.clone()).filter(|_| cause.needs_more_than_a_pull_secret());
        let joined = join::joined(self.known, self, finding, &pull, &fill);
        let worded = worded.filter(|worded| worded.cause != joined.cause);
        [joined].into_iter().chain(worded).chain(of_others).collect()
    }

    /// The pull secrets that the kubelet missed, if `found` is about a pull and does not mention
    /// them.
    pub(super) fn also_missed(&self, found: &[Finding]) -> Option<Finding> {
        let missed = self.missed()?;
        let causes = || found.iter().map(|finding| finding.cause);
        let is_mentioned = causes().any(|cause| {
            let missing =
                [Cause::SecretMissing, Cause::SecretInAnotherNamespace, Cause::SecretChangedSince];
            missing.contains(&cause)
        });
        let is_refused = causes().any(|cause| RefusalKind::of(cause).is_some());
        let sign = (Cause::FurtherSecretMissing, Layer::Kubelet);
        (is_refused && !is_mentioned).then(|| self.container_finding(sign, "", &[missed.text]))
    }
}

/// Whether an event reports a failed pull and its reason, or an entry that could not be read before
/// a pull.
pub(super) fn is_of_pull(event: &Event) -> bool {
    let is_kubelets = || event.is("Failed") && pull_signs::of_kubelet(event.text()).is_some();
    event.is("InspectFailed") || event.text().starts_with("Failed to pull image") || is_kubelets()
}

/// Whether `reason`, the kubelet's, means that a container waits for its image.
pub(in crate::diagnosis) fn is_pull(reason: &str) -> bool {
    reason.contains("ImagePull")
        || matches!(
            reason,
            "ErrImageNeverPull"
                | "InvalidImageName"
                | "ImageInspectError"
                | "RegistryUnavailable"
                | "SignatureValidationFailed"
        )
}
