//! The linters and builders that `tests/quality/build` puts into the cache.

use crate::support::cached;
use std::path::PathBuf;

pub fn kube_score() -> Option<PathBuf> {
    cached("kube-score-1.20.0/kube-score")
}

/// The kustomize in kubectl 1.27, the oldest that works with the generated repository.
pub fn oldest_kustomize() -> Option<PathBuf> {
    cached("kustomize-5.0.1/kustomize")
}

/// The Python that has kubernetes-validate.
pub fn kubernetes_validate() -> Option<PathBuf> {
    cached("kubernetes-validate-1.37.0/bin/python3")
}

pub fn mbake() -> Option<PathBuf> {
    cached("mbake-1.4.6/bin/mbake")
}

pub fn checkov() -> Option<PathBuf> {
    cached("checkov-3.3.30/bin/checkov")
}
