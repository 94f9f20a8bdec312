//! Diagnoses one pod: what its containers wait for or ended with, and what its events say about
//! that. Events about something that is over (a pull that succeeded on the second attempt) are
//! ignored.

mod pulls;

pub(super) use pulls::is_pull;

use super::case::PodCase;
use super::cause::Cause;
use super::event::Event;
use super::objects::{ContainerStatus, Pod, Terminated, Waiting, reason_and_message};
use super::signs::Meaning;
use super::{DiagnosisInput, Fill, Finding, Layer, pull_signs, signs};
use jiff::SignedDuration;
use pulls::is_of_pull;

/// How long a pod may be starting before that needs a reason.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60);
/// Exit codes of a container that was told to end, or killed: 128 plus the signal's number.
const TOLD_TO_END: [i64; 2] = [137, 143];

/// Findings from the events of pods that are not in the evidence.
pub(super) fn gone(known: &DiagnosisInput) -> Vec<Finding> {
    let pods_known_by_name =
        known.evidence.pods_known_by_name().into_iter().filter(|pod| known.is_named_as_ours(pod));
    let findings = |pod: Pod| PodCase::of(known, &pod).event_findings();
    pods_known_by_name.flat_map(findings).collect()
}

/// Problems of `pod`, for each container.
pub(super) fn findings(known: &DiagnosisInput, pod: &Pod) -> Vec<Finding> {
    let case = PodCase::of(known, pod);
    let mut found = if case.pod.is_fine() { case.restarts() } else { case.wrong() };
    found.extend(case.ephemeral());
    found.dedup();
    found.extend(case.also_missed(&found));
    found
}

impl PodCase<'_> {
    fn wrong(&self) -> Vec<Finding> {
        let status = &self.pod.status;
        if status.reason.as_deref() == Some("Evicted") {
            return vec![self.finding(
                Cause::Evicted,
                "",
                &[reason_and_message(status.reason.as_deref(), status.message.as_deref())],
            )];
        }
        if status.reason.as_deref() == Some("NodeLost") || self.lost_its_node() {
            return vec![self.finding(Cause::NodeNotReady, "", &self.last("NodeNotReady"))];
        }
        if let Some(finding) = self.unscheduled() {
            return vec![finding];
        }
        let statuses: Vec<_> =
            status.init_container_statuses.iter().chain(&status.container_statuses).collect();
        if !statuses.is_empty() {
            return statuses.iter().flat_map(|status| self.container(status)).collect();
        }
        // The kubelet has not reported any container.
        let found = self.prepared().map_or_else(|| self.event_findings(), |found| vec![found]);
        if found.is_empty() { vec![self.waits("")] } else { found }
    }

    /// Findings from the events since the last start, for a pod of which nothing else is known.
    fn event_findings(&self) -> Vec<Finding> {
        let since = self.events.iter().take_while(|event| !event.is("Started"));
        let since: Vec<_> = since.collect();
        if let Some(event) = since.iter().find(|event| is_of_pull(event)) {
            return self.pull(event.container(), String::new());
        }
        let find = |is: &dyn Fn(&Event) -> Option<Meaning>| {
            let (sign, event) = since.iter().find_map(|event| Some((is(event)?, event)))?;
            Some(self.container_finding(sign, event.container(), &[event.words()]))
        };
        let of_kubelet = |cause| (cause, Layer::Kubelet);
        let found = find(&|event| {
            signs::any(&event.words())
                .or_else(|| pull_signs::of_kubelet(&event.words()).map(of_kubelet))
        })
        .or_else(|| find(&|event| event.is("Unhealthy").then_some(of_kubelet(Cause::ProbeFailing))))
        .or_else(|| {
            find(&|event| {
                let is_back_off = event.text().contains("restarting failed container");
                is_back_off.then_some(of_kubelet(Cause::CrashLoop))
            })
        });
        found.into_iter().collect()
    }

    fn lost_its_node(&self) -> bool {
        let not_ready = self.pod.condition("Ready").is_some_and(|ready| ready.status != "True");
        not_ready && self.events.first().is_some_and(|event| event.is("NodeNotReady"))
    }

    fn unscheduled(&self) -> Option<Finding> {
        if self.pod.spec.node_name.is_some() {
            return None;
        }
        let scheduled =
            self.pod.condition("PodScheduled").filter(|condition| condition.status == "False");
        let texts: Vec<String> = match scheduled {
            Some(condition) => vec![condition.words()],
            None => self.last("FailedScheduling"),
        };
        let text = texts.first()?;
        let sign = signs::schedule(text).unwrap_or((Cause::NotScheduled, Layer::Scheduler));
        Some(self.container_finding(sign, "", &texts))
    }

    /// Problems of one container.
    fn container(&self, status: &ContainerStatus) -> Vec<Finding> {
        match &status.state.waiting {
            Some(waiting) => self.waiting(status, waiting),
            None => self.running_or_ended(status).into_iter().collect(),
        }
    }

    fn running_or_ended(&self, status: &ContainerStatus) -> Option<Finding> {
        let name = status.name.as_str();
        if let Some(ended) = &status.state.terminated {
            let is_init =
                self.pod.spec.init_containers.iter().any(|container| container.name == name);
            return (ended.exit_code != 0 || !(self.pod.ends() || is_init))
                .then(|| self.ended(status, ended));
        }
        let running = status.state.running.as_ref()?;
        if status.ready {
            return None;
        }
        if let Some(ended) = &status.last_state.terminated
            && self.is_news(running.since())
            && self.probe(name).is_none()
        {
            return Some(self.ended(status, ended));
        }
        Some(match self.probe(name) {
            Some(text) => {
                self.container_finding((Cause::ProbeFailing, Layer::Kubelet), name, &[text])
            }
            None => self.waits(name),
        })
    }

    fn waiting(&self, status: &ContainerStatus, waiting: &Waiting) -> Vec<Finding> {
        let name = status.name.as_str();
        let text = reason_and_message(waiting.reason.as_deref(), waiting.message.as_deref());
        let reason = waiting.reason.as_deref().unwrap_or_default();
        match reason {
            "CrashLoopBackOff" => vec![self.ended(
                status,
                status.last_state.terminated.as_ref().unwrap_or(&Terminated::default()),
            )],
            "ContainerCreating" | "PodInitializing" | "" => {
                let earlier = self.pod.status.init_container_statuses.iter();
                let blocked = reason == "PodInitializing"
                    && earlier.clone().any(|status| {
                        status.state.terminated.as_ref().is_none_or(|end| end.exit_code != 0)
                    });
                let found = (!blocked).then(|| self.prepared().unwrap_or_else(|| self.waits(name)));
                found.into_iter().collect()
            }
            _ if is_pull(reason) => self.pull(name, text),
            // If the kubelet has no other reason, it uses the error itself as the reason.
            _ => match signs::start(&text) {
                Some(sign) => vec![self.container_finding(sign, name, &[text])],
                None if pull_signs::of_kubelet(&text).is_some() => self.pull(name, text),
                None => {
                    let failed = self.last("Failed");
                    let sign = failed.iter().find_map(|text| signs::start(text));
                    let sign = sign.unwrap_or((Cause::CannotStart, Layer::Runtime));
                    vec![self.container_finding(sign, name, &[vec![text], failed].concat())]
                }
            },
        }
    }

    /// A finding about a container, with the layer that reports it.
    fn container_finding(
        &self,
        (cause, layer): Meaning,
        container: &str,
        evidence: &[String],
    ) -> Finding {
        Finding { layer: Some(layer), ..self.finding(cause, container, evidence) }
    }

    /// Ephemeral containers that cannot be started; those that ended have served their purpose.
    fn ephemeral(&self) -> Vec<Finding> {
        let statuses = self.pod.status.ephemeral_container_statuses.iter();
        let waiting = statuses.filter_map(|status| Some((status, status.state.waiting.as_ref()?)));
        waiting.flat_map(|(status, waiting)| self.waiting(status, waiting)).collect()
    }

    /// The finding for a container that ended.
    fn ended(&self, status: &ContainerStatus, end: &Terminated) -> Finding {
        let name = status.name.as_str();
        let text = reason_and_message(end.reason.as_deref(), end.message.as_deref());
        let killed =
            TOLD_TO_END.contains(&end.exit_code) && end.reason.as_deref() != Some("OOMKilled");
        let probe = self.probe(name).filter(|_| killed);
        let (cause, layer) = match signs::start(&text) {
            Some((cause, layer)) => (cause, Some(layer)),
            None if probe.is_some() => (Cause::ProbeFailing, Some(Layer::Kubelet)),
            None if matches!(end.reason.as_deref(), Some("StartError" | "ContainerCannotRun")) => {
                (Cause::CannotStart, Some(Layer::Runtime))
            }
            None if end.exit_code == 0 && end.reason.is_some() => (Cause::EndsAtOnce, None),
            None if self.pod.has_failed() => (Cause::ContainerFailed, None),
            None => (Cause::CrashLoop, None),
        };
        // Without a reason, it is unknown how the container ended.
        let code = if end.reason.is_some() { end.exit_code.to_string() } else { "?".to_owned() };
        let restarts = Some(status.restart_count).filter(|count| *count > 0);
        let restarts = restarts.map(|count| format!(", {count} restarts")).unwrap_or_default();
        let times = format!("{text}, exit code {code}{restarts}");
        let fill = Fill { code, ..self.fill(name) };
        let evidence: Vec<_> = probe.into_iter().chain([times]).collect();
        Finding { layer, ..self.known.finding(cause, self.subject(name), &fill, &evidence) }
    }

    /// Findings about containers that run now but were restarted.
    fn restarts(&self) -> Vec<Finding> {
        let statuses = self.pod.status.container_statuses.iter();
        let found = statuses.filter_map(|status| {
            let since = status.state.running.as_ref()?.since();
            let end = status.last_state.terminated.as_ref()?;
            (status.restart_count > 1 && self.is_news(since)).then(|| self.ended(status, end))
        });
        found.collect()
    }

    /// Why the pod's volumes, network or image are not ready.
    fn prepared(&self) -> Option<Finding> {
        let bad = |event: &&Event| {
            [
                "FailedMount",
                "FailedCreatePodSandBox",
                "NetworkNotReady",
                "FailedAttachVolume",
                "FailedMapVolume",
            ]
            .iter()
            .any(|reason| event.is(reason))
        };
        if let Some(event) = self.events.iter().find(bad) {
            let words = event.words();
            return Some(self.unprepared(event, words));
        }
        // The pull has begun, and nothing has happened since.
        let pulling = self.events.first().filter(|event| event.is("Pulling"))?;
        let age = self.age(pulling.seen()).filter(|age| *age > PATIENCE)?;
        let image = pulling.text().split('"').nth(1).unwrap_or_default().to_owned();
        let fill = Fill { image, age: approximate_age(age), ..self.fill("") };
        Some(self.known.finding(Cause::PullSlow, self.subject(""), &fill, &[pulling.words()]))
    }

    /// The finding for a node that cannot set up the pod. The image of the pod's sandbox is pulled
    /// like any other.
    fn unprepared(&self, event: &Event, words: String) -> Finding {
        let is_pull = event.is("FailedCreatePodSandBox") && words.contains("sandbox image");
        let meaning =
            Some(pull_signs::read(&words, "")).filter(|meaning| is_pull && meaning.cause.is_some());
        let Some(meaning) = meaning else {
            let sign = signs::prepare(&words).unwrap_or((Cause::MountFailed, Layer::Kubelet));
            return self.container_finding(sign, "", &[words]);
        };
        // The image belongs to the node, so no pull secret of the pod applies.
        let image =
            words.split_once("sandbox image \"").and_then(|(_, rest)| rest.split('"').next());
        let image = image.unwrap_or_default().to_owned();
        let fill = self.fill("").of_pull(&meaning, &image);
        let cause = meaning.cause.unwrap_or(Cause::SandboxFailed);
        let finding = self.known.finding(cause, self.subject(""), &fill, &[words]);
        Finding { layer: meaning.layer, ..finding }
    }

    /// No known problem, which is normal for a while.
    fn waits(&self, container: &str) -> Finding {
        let newest = self.events.first();
        let created = self.pod.metadata.created();
        let moved = newest.and_then(Event::seen).max(created);
        let cause = match self.age(moved) {
            Some(age) if age <= PATIENCE => Cause::OnTheWay,
            _ => Cause::Unexplained,
        };
        let age = self.age(created).map(approximate_age).unwrap_or_default();
        let fill = Fill { age, ..self.fill(container) };
        let newest = newest.map(Event::words);
        self.known.finding(cause, self.subject(container), &fill, newest.as_slice())
    }
}

fn approximate_age(age: SignedDuration) -> String {
    match age.as_secs() {
        seconds @ ..120 => format!("{} s", seconds.max(0)),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}
