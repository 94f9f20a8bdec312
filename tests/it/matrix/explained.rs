//! What linters say and makeinfra does not follow. ARCHITECTURE.md has the same list.

use std::fs;
use std::path::Path;

/// A check of kube-score that is not held.
pub struct Explained {
    pub check: &'static str,
    /// The value of a parameter in whose rows it is not held; in all if there is none.
    pub only: Option<(&'static str, &'static str)>,
    pub reason: &'static str,
}

/// The one place where a check is switched off.
pub const EXPLAINED: &[Explained] = &[
    Explained {
        check: "container-image-pull-policy",
        only: None,
        reason: "`Always` would keep pods from starting again while the registry is away; a tag that is never moved needs \
                 no second pull, and from Kubernetes 1.35 on the kubelet checks the pull secret of images that it has",
    },
    Explained {
        check: "container-security-context-user-group-id",
        only: None,
        reason: "user and group are the image's, which makeinfra does not know; `runAsNonRoot` holds what matters",
    },
    Explained {
        check: "container-security-context-readonlyrootfilesystem",
        only: Some(("pod-security", "baseline")),
        reason: "`baseline` is for images that expect to be root and to write where they like",
    },
    Explained {
        check: "container-ephemeral-storage-request-and-limit",
        only: None,
        reason: "how much an application writes to `/tmp` and its log is not known, and a wrong limit evicts it",
    },
    Explained {
        check: "container-resource-requests-equal-limits",
        only: None,
        reason: "CPU has no limit, since a limit throttles a pod on an idle node; the limit of memory leaves room for peaks",
    },
    Explained {
        check: "container-cpu-requests-equal-limits",
        only: None,
        reason: "CPU has a request and no limit, as above",
    },
    Explained {
        check: "container-memory-requests-equal-limits",
        only: None,
        reason: "the limit leaves room for peaks, as above",
    },
    Explained {
        check: "pod-networkpolicy",
        only: None,
        reason: "whom an application talks to is not known, and a policy that is wrong, or that the cluster's network does \
                 not enforce, is worse than none",
    },
    Explained {
        check: "pod-probes-identical",
        only: None,
        reason: "the probes ask the same, but a restart takes a minute of failures, and the traffic stops after 15 seconds",
    },
    Explained {
        check: "deployment-has-poddisruptionbudget",
        only: None,
        reason: "how many pods may be away while a node is drained is for those to say who run it",
    },
    Explained {
        check: "deployment-replicas",
        only: None,
        reason: "the number of pods is an answer; outside of protected environments one is enough",
    },
];

/// The table of ARCHITECTURE.md.
fn table() -> String {
    let rows = EXPLAINED.iter().map(|explained| {
        let only = explained.only.map_or(String::new(), |(name, value)| format!(", with {name} `{value}`"));
        format!("| `{}`{only} | {} |\n", explained.check, explained.reason)
    });
    "| kube-score's check | why it is not held |\n|---|---|\n".to_owned() + &rows.collect::<String>()
}

#[test]
fn architecture_md_explains_what_is_not_held() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md")).unwrap();
    let table = table();
    assert!(text.contains(&format!("\n{table}\n")), "the table of ARCHITECTURE.md should be:\n{table}");
}
