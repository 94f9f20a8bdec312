//! Findings of linters that makeinfra does not follow. ARCHITECTURE.md has the same list.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Checks that are not met: kube-score's, and Checkov's equivalents, which have numbers.
struct Explained {
    checks: &'static [&'static str],
    /// The value of a parameter in whose rows they are not met; all rows if `None`.
    only: Option<(&'static str, &'static str)>,
    reason: &'static str,
}

/// The only place where checks are disabled.
const EXPLAINED: &[Explained] = &[
    Explained {
        checks: &["container-image-pull-policy", "CKV_K8S_15"],
        only: None,
        reason: "`Always` would keep pods from starting again while the registry is away; a tag that is never moved \
                 needs no second pull, and from Kubernetes 1.35 on the kubelet checks the pull secret of images \
                 that it has",
    },
    Explained {
        checks: &["container-security-context-user-group-id", "CKV_K8S_40"],
        only: None,
        reason: "user and group are the image's, which makeinfra does not know; `runAsNonRoot` enforces what matters",
    },
    Explained {
        checks: &[
            "container-security-context-readonlyrootfilesystem",
            "CKV_K8S_22",
            "CKV_K8S_23",
            "CKV_K8S_28",
            "CKV_K8S_37",
        ],
        only: Some(("pod-security", "baseline")),
        reason: "`baseline` is for images that expect to be root and to write where they like",
    },
    Explained {
        checks: &["container-ephemeral-storage-request-and-limit"],
        only: None,
        reason: "nobody knows how much an application writes to `/tmp` and its log, and a wrong limit evicts it",
    },
    Explained {
        checks: &["container-resource-requests-equal-limits"],
        only: None,
        reason: "CPU has no limit, because a limit throttles a pod on an idle node; the memory limit leaves room \
                 for peaks",
    },
    Explained {
        checks: &["container-cpu-requests-equal-limits", "CKV_K8S_11"],
        only: None,
        reason: "CPU has a request and no limit, as above",
    },
    Explained {
        checks: &["container-memory-requests-equal-limits"],
        only: None,
        reason: "the limit leaves room for peaks, as above",
    },
    Explained {
        checks: &["pod-networkpolicy", "CKV2_K8S_6"],
        only: None,
        reason: "nobody knows whom an application talks to, and a policy that is wrong, or that the cluster does \
                 not enforce, is worse than none",
    },
    Explained {
        checks: &["pod-probes-identical"],
        only: None,
        reason: "both probes ask the same, but a restart takes a minute of failures, while traffic stops after 15 \
                 seconds",
    },
    Explained {
        checks: &["deployment-has-poddisruptionbudget"],
        only: None,
        reason: "only the operators know how many pods may be missing while a node is drained",
    },
    Explained {
        checks: &["deployment-replicas"],
        only: None,
        reason: "the number of pods is an answer; one may be enough",
    },
    Explained {
        checks: &["CKV_K8S_43"],
        only: None,
        reason: "the image is an answer; `new` and `make set-image` accept a digest",
    },
    Explained {
        checks: &["CKV_K8S_8", "CKV_K8S_9"],
        only: None,
        reason: "a worker has no port for a probe; every Deployment with a port has probes",
    },
];

/// The explanation for `check` in a row; `is_it` tells whether the row has a value of a parameter.
pub fn explained(check: &str, is_it: impl Fn(&str, &str) -> bool) -> Option<&'static str> {
    let here = |one: &&Explained| one.only.is_none_or(|(name, value)| is_it(name, value));
    let of_check = |one: &'static Explained| one.checks.iter().find(|known| **known == check);
    EXPLAINED.iter().filter(here).find_map(of_check).copied()
}

/// The explanations for which `is_ours` that were not needed.
pub fn idle(met: &BTreeSet<&str>, is_ours: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let all = EXPLAINED.iter().flat_map(|one| one.checks).copied();
    all.filter(|check| is_ours(check) && !met.contains(check)).collect()
}

/// The table in ARCHITECTURE.md.
fn table() -> String {
    let rows = EXPLAINED.iter().map(|explained| {
        let only = explained
            .only
            .map_or(String::new(), |(name, value)| format!(", with {name} `{value}`"));
        format!("| `{}`{only} | {} |\n", explained.checks.join("`, `"), explained.reason)
    });
    "| check of kube-score or Checkov | why it is not applied |\n|---|---|\n".to_owned()
        + &rows.collect::<String>()
}

#[test]
fn architecture_md_explains_what_is_not_held() {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md")).unwrap();
    let table = table();
    assert!(
        text.contains(&format!("\n{table}\n")),
        "the table of ARCHITECTURE.md should be:\n{table}"
    );
}
