//! Events of the cluster's API. Pure.
//!
//! Source: Kubernetes API reference, core/v1 and events.k8s.io/v1.

use super::objects::{Metadata, time};
use jiff::Timestamp;
use serde::Deserialize;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Event {
    metadata: Metadata,
    /// The object concerned; `regarding` in events.k8s.io/v1.
    #[serde(alias = "regarding")]
    pub(super) involved_object: Involved,
    pub(super) reason: Option<String>,
    /// `note` in events.k8s.io/v1.
    #[serde(alias = "note")]
    pub(super) message: Option<String>,
    #[serde(rename = "lastTimestamp")]
    last: Option<String>,
    /// Replaces `lastTimestamp` in newer events.
    #[serde(rename = "eventTime")]
    time: Option<String>,
    series: Option<Series>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Involved {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) field_path: Option<String>,
}

impl Involved {
    /// Kind, namespace and name.
    pub(super) fn key(&self) -> (&str, &str, &str) {
        (&self.kind, &self.namespace, &self.name)
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Series {
    last_observed_time: Option<String>,
}

impl Event {
    /// When it was last seen.
    pub(super) fn seen(&self) -> Option<Timestamp> {
        let series =
            self.series.as_ref().and_then(|series| time(series.last_observed_time.as_deref()));
        let others = [self.last.as_deref(), self.time.as_deref()];
        series.or_else(|| others.into_iter().find_map(time)).or_else(|| self.metadata.created())
    }

    pub(super) fn is(&self, reason: &str) -> bool {
        self.reason.as_deref() == Some(reason)
    }

    pub(super) fn text(&self) -> &str {
        self.message.as_deref().unwrap_or_default()
    }

    /// Reason and message.
    pub(super) fn words(&self) -> String {
        format!("{}: {}", self.reason.as_deref().unwrap_or_default(), self.text())
    }

    /// The container concerned; empty if unknown.
    pub(super) fn container(&self) -> &str {
        let path = self.involved_object.field_path.as_deref().and_then(|path| path.split_once('{'));
        path.map_or("", |(_, name)| name.trim_end_matches('}'))
    }

    /// Whether it concerns `container`, as far as both are known.
    pub(super) fn concerns(&self, container: &str) -> bool {
        container.is_empty() || self.container().is_empty() || self.container() == container
    }
}
