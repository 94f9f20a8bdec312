//! Users' manifests, and the kustomizations that combine them.

use super::{fuzz, parts, quotes_no_token};
use makeinfra::manifests::{Files, Manifests, below, documents};
use makeinfra::work_tree::Content;
use zeroize::Zeroizing;

pub const WORDS: [&str; 66] = [
    "\n%%\n",
    "apiVersion: v1\n",
    "apiVersion: apps/v1\n",
    "kind: Deployment\n",
    "kind: CronJob\n",
    "kind: List\n",
    "items:\n",
    "kind: Secret\n",
    "kind: Kustomization\n",
    "kind: Component\n",
    "metadata:\n  name: a\n",
    "  namespace: b\n",
    "  labels: {app: a}\n",
    "spec:\n",
    "  template:\n    spec:\n",
    "containers:\n  - name: a\n    image: r.example.com/a:1\n",
    "      imagePullSecrets: [{name: gitlab}]\n",
    "initContainers:\n",
    "serviceAccountName: a\n",
    "resources:\n",
    "  - ../base\n",
    "  - base\n",
    "  - one.yaml\n",
    "  - .\n",
    "  - ..\n",
    "  - /etc\n",
    "  - https://example.com/x?ref=1\n",
    "components:\n",
    "  - component\n",
    "bases: [base]\n",
    "namespace: b\n",
    "namePrefix: p-\n",
    "nameSuffix: -s\n",
    "commonLabels: {a: b}\n",
    "images:\n  - name: r.example.com/a\n    newTag: \"2\"\n",
    "    newName: r.example.com/b\n",
    "    digest: sha256:00\n",
    "replicas:\n  - name: a\n    count: 3\n",
    "patches:\n",
    "  - path: patch.yaml\n",
    "    target: {kind: Deployment}\n",
    "    target: {name: a.*|(b}\n",
    "  - patch: |-\n      - op: replace\n        path: /spec/replicas\n        value: 1\n",
    "patchesStrategicMerge: [patch.yaml]\n",
    "patchesJson6902:\n",
    "- op: remove\n  path: /spec/template/spec/containers/0\n",
    "- op: add\n  path: /spec/template/spec/containers/-\n  value: {}\n",
    "/~1~0/",
    "$patch: delete\n",
    "$patch: replace\n",
    "$setElementOrder/containers: []\n",
    "secretGenerator:\n  - name: s\n    envs: [s.env]\n",
    "    behavior: merge\n",
    "    literals: [a=b]\n",
    "configMapGenerator:\n",
    "generatorOptions: {disableNameSuffixHash: true}\n",
    "---\n",
    "{{ .Values.image }}",
    "&a ",
    "*a",
    "<<: *a\n",
    "null",
    "[]",
    "{}",
    "sops: {}\n",
    "data: {.dockercfg: e30=}\n",
];

/// The paths of the parts of an input.
const PATHS: [&str; 6] = [
    "k/kustomization.yaml",
    "k/base/kustomization.yaml",
    "k/base/one.yaml",
    "k/component/kustomization.yaml",
    "k/patch.yaml",
    "k/other.yaml",
];

fn files_of(parts: &[&str]) -> Files {
    let bytes = |text: &str| Content::Bytes(Zeroizing::new(text.as_bytes().to_vec()));
    PATHS.iter().zip(parts).map(|(path, text)| ((*path).to_owned(), bytes(text))).collect()
}

/// A tree of files as one input.
fn seeds() -> Vec<Vec<u8>> {
    let example = [
        "examples/hello-infra/kubernetes/overlays/production/kustomization.yaml",
        "examples/hello-infra/kubernetes/base/kustomization.yaml",
        "examples/hello-infra/kubernetes/base/deployment.yaml",
    ];
    let data = [
        "tests/data/kustomize/overlays/staging/kustomization.yaml",
        "tests/data/kustomize/base/kustomization.yaml",
        "tests/data/kustomize/base/store.yaml",
        "tests/data/kustomize/overlays/production/kustomization.yaml",
        "tests/data/kustomize/overlays/staging/patches/shop.yaml",
    ];
    let tree = |paths: &[&str]| super::files(paths).join(&b"\n%%\n"[..]);
    [vec![tree(&example), tree(&data)], super::files(&["tests/data/helm-template.yaml"])].concat()
}

#[test]
fn what_manifests_deploy_is_found_or_a_fault_that_quotes_nothing() {
    fuzz("manifests", &WORDS, seeds(), |bytes| {
        if let Err(fault) = documents(bytes) {
            quotes_no_token(&fault);
        }
        let Some(parts) = parts(bytes) else { return };
        let files = files_of(&parts);
        for path in Manifests::wanted(&files) {
            assert!(!path.starts_with('/') && !path.split('/').any(|part| part == ".."), "{path}");
        }
        let found = Manifests::read(&files, &["k".to_owned()]);
        assert!(found.pulls().count() <= 1_000 + 200 * bytes.len());
        // A fault concerns a file, or one of the resources in it.
        assert!(found.faults.len() <= 100 + bytes.len());
        for fault in &found.faults {
            assert!(
                fault.message.len() <= 1_000 + bytes.len()
                    && !fault.message.contains(char::is_control),
                "{fault:?}"
            );
        }
    });
}

#[test]
fn a_path_that_a_kustomization_names_stays_in_the_repository() {
    let words = [
        "..",
        "../",
        "/",
        "./",
        "//",
        "https://",
        "git@",
        "::",
        ".git/",
        "?ref=",
        "github.com/",
        "\\",
        "base",
    ];
    fuzz("kustomization-path", &words, Vec::new(), |bytes| {
        let Some(text) = super::text(bytes) else { return };
        let (dir, reference) =
            text.split_once('\n').unwrap_or(("kubernetes/overlays/production", text));
        if dir.split('/').any(|part| matches!(part, "." | "..")) {
            return;
        }
        let Some(path) = below(dir, reference) else { return };
        assert!(!path.starts_with('/') && !path.ends_with('/'));
        assert!(path.is_empty() || path.split('/').all(|part| !matches!(part, "" | "." | "..")));
        assert!(below("", &path).is_none_or(|again| again == path));
    });
}
