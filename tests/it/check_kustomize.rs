//! How `makeinfra check` reads kustomizations, compared with `kubectl kustomize`.

use super::check_manifests::pulls;
use super::support::*;
use makeinfra::manifests::{FaultKind, Files, Manifests};
use makeinfra::work_tree::{Content, WorkTree};
use std::path::Path;
use zeroize::Zeroizing;

const BASE: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  template:
    spec:
      serviceAccountName: robot
      containers:
      - {name: web, image: 'registry.gitlab.com/a/web:1', envFrom: [{secretRef: {name: login}}]}
      - {name: side, image: 'quay.io/a/side:1'}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: night}
spec:
  jobTemplate: {spec: {template: {spec: {imagePullSecrets: [{name: regcred}], containers: [{name: night, image: 'registry.gitlab.com/a/night'}]}}}}
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: roll}
spec:
  template: {spec: {imagePullSecrets: [{name: regcred}], containers: [{name: roll, image: 'registry.gitlab.com/a/web:1'}]}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: robot}
imagePullSecrets: [{name: regcred}]
---
apiVersion: v1
kind: Secret
metadata: {name: regcred}
type: kubernetes.io/dockerconfigjson
data: {.dockerconfigjson: e30=}
";

/// A component, a second base with a prefix, and patch files, next to the kustomization of each
/// row.
const FILES: [(&str, &str); 8] = [
    ("base/all.yaml", BASE),
    ("base/kustomization.yaml", "resources: [all.yaml]\n"),
    (
        "component/kustomization.yaml",
        "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [more.yaml]\nimages: [{name: quay.io/a/side, \
         newName: ghcr.io/a/side}]\npatches:\n- target: {kind: Deployment}\n  patch: |\n    - {op: add, path: \
         /spec/template/spec/imagePullSecrets, value: [{name: regcred}]}\n",
    ),
    (
        "component/more.yaml",
        "apiVersion: batch/v1\nkind: Job\nmetadata: {name: more}\nspec: {template: {spec: {imagePullSecrets: [{name: regcred}], \
         containers: [{name: m, image: 'quay.io/a/side:2'}]}}}\n",
    ),
    ("prefixed/kustomization.yaml", "namePrefix: in-\nresources: [../base]\n"),
    (
        "top/merge.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {imagePullSecrets: [{name: \
      other}], containers: [{name: side, $patch: delete}, {name: new, image: 'quay.io/a/new:1'}]}}}\n",
    ),
    (
        "top/patch.json",
        "[{\"op\": \"replace\", \"path\": \"/spec/template/spec/containers/0/image\", \"value\": \"quay.io/a/json:3\"}]\n",
    ),
    ("top/config.json", "{\"auths\": {}}\n"),
];

/// Kustomizations as found in practice.
const ROWS: [&str; 28] = [
    "resources: [../base]",
    "resources: [../base]\nnamespace: shop\n",
    "resources: [../base]\nnamespace: shop\nnamePrefix: a-\nnameSuffix: -b\n",
    "resources: [../prefixed]\nnamePrefix: out-\n",
    "resources: [../prefixed]\nnamespace: shop\npatches: [{path: merge.yaml}]\n",
    "resources: [../base]\ncomponents: [../component]\nnamespace: shop\n",
    "resources: [../base]\ncomponents: [../component]\nnamePrefix: a-\n",
    "resources: [../base]\npatches: [{path: merge.yaml}]\n",
    "resources: [../base]\npatchesStrategicMerge: [merge.yaml]\n",
    "resources: [../base]\npatches: [{path: patch.json, target: {kind: Deployment}}]\n",
    "resources: [../base]\npatches: [{path: patch.json, target: {kind: Deployment|Rollout}}]\n",
    "resources: [../base]\npatches: [{path: patch.json, target: {name: w.*}}]\n",
    "resources: [../base]\npatches: [{path: patch.json, target: {labelSelector: app=web}}]\n",
    "resources: [../base]\npatches: [{path: patch.json, target: {labelSelector: 'app!=web', kind: Deployment}}]\n",
    "resources: [../base]\npatches: [{path: patch.json, target: {group: apps, version: v1}}]\n",
    "resources: [../base]\npatches: [{path: patch.json, target: {group: batch, kind: Deployment}}]\n",
    "resources: [../base]\npatches: [{path: patch.json, target: {namespace: default, kind: Deployment}}]\nnamespace: shop\n",
    "resources: [../base]\npatchesJson6902: [{path: patch.json, target: {group: apps, version: v1, kind: Deployment, name: web}}]\nimages: \
     [{name: quay.io/a/json, newTag: '9'}]\n",
    "resources: [../base]\npatches:\n- target: {kind: CronJob}\n  patch: |-\n    - op: test\n      path: /metadata/name\n      value: \
     night\n    - op: replace\n      path: /spec/jobTemplate/spec/template/spec/imagePullSecrets/0/name\n      value: night\n",
    "resources: [../base]\npatches:\n- patch: |\n    apiVersion: argoproj.io/v1alpha1\n    kind: Rollout\n    metadata: {name: roll}\n    \
     spec: {template: {spec: {imagePullSecrets: [{name: x}], containers: [{name: c, image: 'quay.io/a/c:1'}]}}}\n",
    "resources: [../base]\npatches:\n- target: {kind: Deployment}\n  patch: |\n    apiVersion: apps/v1\n    kind: Deployment\n    metadata: \
     {name: any}\n    spec: {template: {spec: {serviceAccountName: null}}}\n",
    "resources: [../base]\npatches:\n- patch: |\n    apiVersion: batch/v1\n    kind: CronJob\n    metadata: {name: night}\n    $patch: delete\n",
    "resources: [../base]\nimages: [{name: registry.gitlab.com/a/web, newTag: '7'}, {name: quay.io/a/side, digest: 'sha256:00'}]\n",
    "resources: [../base]\nreplicas: [{name: web, count: 5}]\nlabels: [{pairs: {tier: web}, includeSelectors: true}]\n",
    "resources: [../base]\ncommonAnnotations: {a: b}\nconfigMapGenerator: [{name: c, literals: [a=b]}]\npatches:\n- patch: |\n    apiVersion: \
     v1\n    kind: ConfigMap\n    metadata: {name: c}\n    data: {x: y}\n",
    "resources: [../base]\nnamePrefix: a-\nsecretGenerator: [{name: login, literals: [a=b], options: {disableNameSuffixHash: true}}]\n",
    "resources: [../base]\nsecretGenerator: [{name: pull, type: kubernetes.io/dockerconfigjson, files: [.dockerconfigjson=config.json]}]\n\
     generatorOptions: {disableNameSuffixHash: true}\nnamespace: shop\n",
    "resources: [../base]\nnamespace: shop\nnamePrefix: a-\ncomponents: [../component]\npatches: [{path: merge.yaml}]\nimages: [{name: \
     registry.gitlab.com/a/web, newName: ghcr.io/a/web}]\n",
];

/// Reads the kustomization in `dir`.
pub fn read(root: &Path, dir: &str) -> Manifests {
    let tree = WorkTree::list(root, |_| false).unwrap();
    let mut files: Files =
        tree.at(dir).map(|(path, _)| (path.to_owned(), tree.read(path))).collect();
    loop {
        let wanted = Manifests::wanted(&files);
        if wanted.is_empty() {
            break;
        }
        files.extend(wanted.into_iter().map(|path| (path.clone(), tree.read(&path))));
    }
    Manifests::read(&files, &[dir.to_owned()])
}

/// Reads `text`, which kustomize has built.
pub fn built(text: Vec<u8>) -> Manifests {
    let real = Files::from([("all.yaml".to_owned(), Content::Bytes(Zeroizing::new(text)))]);
    Manifests::read(&real, &[String::new()])
}

/// The pulls, the unknown service accounts, the Secrets and the referenced Secrets.
pub fn seen(manifests: &Manifests) -> Vec<String> {
    let mut lines = pulls(manifests);
    lines.extend(manifests.workloads().map(|one| {
        format!(
            "{} {} in {:?}: account {:?}",
            one.kind, one.name, one.namespace, one.unknown_account
        )
    }));
    for overlay in &manifests.overlays {
        lines.extend(
            overlay.secrets.iter().map(|one| format!("Secret {} in {:?}", one.name, one.namespace)),
        );
        lines.extend(overlay.named_secrets.iter().map(|name| format!("names {name}")));
    }
    lines.sort();
    lines
}

#[test]
fn kustomizations_of_people_are_read_as_kustomize_builds_them() {
    if !have("kubectl") {
        return;
    }
    let sandbox = Sandbox::new();
    for (path, text) in FILES {
        sandbox.write(&format!("work/k/{path}"), text);
    }
    for row in ROWS {
        sandbox.write("work/k/top/kustomization.yaml", row);
        let real = built(sandbox.run("kubectl", &["kustomize", "k/top"]).success().bytes);
        let ours = read(&sandbox.path("work/k"), "top");
        assert!(ours.faults.is_empty(), "{row}\n{:?}", ours.faults);
        assert_eq!(seen(&ours), seen(&real), "{row}");
        assert!(ours.workloads().all(|workload| workload.unsure.is_none()), "{row}");
    }
}

#[test]
fn what_is_not_evaluated_leaves_a_doubt_and_what_fails_is_a_fault() {
    if !have("kubectl") {
        return;
    }
    let sandbox = Sandbox::new();
    for (path, text) in FILES {
        sandbox.write(&format!("work/k/{path}"), text);
    }
    sandbox.write(
        "work/k/outside.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 3}\n",
    );
    for row in [
        "patches: [{path: patch.json}]",
        "patches: [{path: patch.json, target: {kind: ServiceAccount}}]",
        "patches: [{path: patch.json, target: {kind: Rollout}}]",
        "patches: [{path: none.json, target: {kind: Deployment}}]",
        "components: [../nowhere]",
        "components: [.]",
        "patches:\n- patch: |\n    apiVersion: apps/v2\n    kind: Deployment\n    metadata: {name: web}\n",
        "patches:\n- patch: |\n    apiVersion: apps/v1\n    kind: Deployment\n    metadata: {name: web, namespace: x}\n",
        "patches:\n- target: {kind: Deployment}\n  patch: |\n    - {op: remove, path: /spec/none}\n",
        "patches:\n- target: {kind: Deployment}\n  patch: |\n    - {op: test, path: /metadata/name, value: x}\n",
        "patches: [{path: patch.json, target: {name: '(web|x)'}}]",
        "helmGlobals: {chartHome: x}",
        "resources: [../base/all.yaml]",
        "patchesStrategicMerge: [../outside.yaml]",
        "patches: [{path: ../outside.yaml}]",
        "configMapGenerator: [{name: c, files: [../outside.yaml]}]",
        "configMapGenerator: [{name: c, envs: [../outside.yaml]}]",
        "secretGenerator: [{name: c, files: [x=../outside.yaml]}]",
        "patches:\n- target: {kind: Deployment, labelSelector: 'app in (web)'}\n  patch: |\n    - {op: remove, path: /spec/replicas}\n",
    ] {
        let base = if row.starts_with("resources") { "" } else { "resources: [../base]\n" };
        sandbox.write("work/k/top/kustomization.yaml", format!("{base}{row}\n"));
        let builds = sandbox.run("kubectl", &["kustomize", "k/top"]).output().code == Some(0);
        let ours = read(&sandbox.path("work/k"), "top");
        let refuses = ours.faults.iter().any(|fault| fault.kind == FaultKind::Build);
        assert_eq!(refuses, !builds, "{row}\n{:?}", ours.faults);
        assert!(
            ours.faults.is_empty() || ours.workloads().all(|one| one.unsure.is_some()),
            "{row}"
        );
    }
}

#[test]
fn the_same_object_twice_in_one_build_is_refused_where_kustomize_refuses_it() {
    if !have("kubectl") {
        return;
    }
    let object = |kind: &str, name: &str, more: &str| {
        format!("apiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}{more}}}\n---\n")
    };
    let sandbox = Sandbox::new();
    let web = object("Service", "web", "");
    for (path, text) in [
        ("base/all.yaml", web.clone()),
        ("base/kustomization.yaml", "resources: [all.yaml]\n".to_owned()),
        ("prefixed/kustomization.yaml", "resources: [../base]\nnamePrefix: p-\n".to_owned()),
        ("moved/kustomization.yaml", "resources: [../base]\nnamespace: moved\n".to_owned()),
        ("component/all.yaml", web.clone()),
        (
            "component/kustomization.yaml",
            "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [all.yaml]\n"
                .to_owned(),
        ),
        ("top/dup.yaml", web.clone()),
        ("top/both.yaml", web.clone() + &web),
        ("top/default.yaml", object("Service", "web", ", namespace: default")),
        ("top/older.yaml", web.replace("v1", "v2")),
        ("top/secret.yaml", object("Secret", "web", "")),
        ("top/config.yaml", object("ConfigMap", "c", "")),
        (
            "top/two.yaml",
            object("ConfigMap", "c", ", namespace: a") + &object("ConfigMap", "c", ", namespace: b"),
        ),
        (
            "top/roles.yaml",
            object("ClusterRole", "c", ", namespace: a") + &object("ClusterRole", "c", ", namespace: b"),
        ),
        ("top/nameless.yaml", "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: web}\n".to_owned()),
    ] {
        sandbox.write(
            &format!("work/k/{path}"),
            text.replace("v1\nkind: ClusterRole", "rbac.authorization.k8s.io/v1\nkind: ClusterRole"),
        );
    }
    let generator = |name: &str, more: &str| format!("{{name: {name}, {more}literals: [a=b]}}");
    let made = |all: &[String]| format!("configMapGenerator: [{}]\n", all.join(", "));
    let merge = generator("c", "behavior: merge, ");
    for row in [
        "resources: [../base, dup.yaml]\n".to_owned(),
        "resources: [../base, dup.yaml]\nnamePrefix: a-\n".to_owned(),
        "resources: [../prefixed, dup.yaml]\n".to_owned(),
        "resources: [../moved, dup.yaml]\n".to_owned(),
        "resources: [../moved, dup.yaml]\nnamespace: z\n".to_owned(),
        "resources: [both.yaml]\n".to_owned(),
        "resources: [dup.yaml, ./dup.yaml]\n".to_owned(),
        "resources: [dup.yaml, default.yaml]\n".to_owned(),
        "resources: [dup.yaml, older.yaml, secret.yaml]\n".to_owned(),
        "resources: [../base]\ncomponents: [../component]\n".to_owned(),
        "resources: [../prefixed]\ncomponents: [../component]\n".to_owned(),
        "components: [../component, ../component]\n".to_owned(),
        "resources: [two.yaml]\n".to_owned(),
        "resources: [two.yaml]\nnamespace: b\n".to_owned(),
        "resources: [roles.yaml]\n".to_owned(),
        "resources: [nameless.yaml]\n".to_owned(),
        "resources: [config.yaml]\n".to_owned() + &made(&[generator("c", "")]),
        "resources: [config.yaml]\n".to_owned() + &made(std::slice::from_ref(&merge)),
        "resources: [two.yaml]\n".to_owned() + &made(std::slice::from_ref(&merge)),
        made(std::slice::from_ref(&merge)),
        made(&[generator("c", ""), generator("c", "")]),
        made(&[generator("c", "namespace: x, "), generator("c", "")]),
        made(&[generator("c", "namespace: x, "), generator("c", "")]) + "namespace: x\n",
        made(&[generator("c", "")]) + "secretGenerator: [{name: c, literals: [a=b]}]\n",
    ] {
        sandbox.write("work/k/top/kustomization.yaml", &row);
        let builds = sandbox.run("kubectl", &["kustomize", "k/top"]).output().code == Some(0);
        let ours = read(&sandbox.path("work/k"), "top");
        let refuses = ours.faults.iter().any(|fault| fault.kind == FaultKind::Build);
        assert_eq!(refuses, !builds, "{row}\n{:?}", ours.faults);
    }
}

#[test]
fn what_of_a_kustomization_is_not_evaluated_is_named_with_its_file() {
    for (row, field, what) in [
        ("replacements: [{path: r.yaml}]\n", "`replacements`", "copies between objects"),
        (
            "vars: [{name: X, objref: {kind: Secret, name: regcred, apiVersion: v1}}]\n",
            "`vars`",
            "`$(NAME)`",
        ),
        ("helmCharts: [{name: c}]\n", "`helmCharts`", "the output of the charts"),
        (
            "transformers: [t.yaml]\nhelmGlobals: {chartHome: x}\n",
            "`transformers`",
            "their changes",
        ),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("work/k/base/all.yaml", BASE);
        sandbox.write("work/k/base/kustomization.yaml", "resources: [all.yaml]\n");
        sandbox.write("work/k/top/kustomization.yaml", format!("resources: [../base]\n{row}"));
        let faults = read(&sandbox.path("work/k"), "top").faults;
        let told = faults.iter().find(|fault| fault.message.contains(field));
        let told = told.unwrap_or_else(|| panic!("{row}: {faults:?}"));
        assert!(told.message.contains(what) && told.kind == FaultKind::Beyond, "{told:?}");
        assert_eq!(told.path, "top/kustomization.yaml");
    }
}

#[test]
fn two_kustomization_files_in_one_directory_are_refused() {
    if !have("kubectl") {
        return;
    }
    for name in ["kustomization.yml", "Kustomization"] {
        let sandbox = Sandbox::new();
        sandbox.write("work/k/base/all.yaml", BASE);
        for file in ["kustomization.yaml", name] {
            sandbox.write(&format!("work/k/base/{file}"), "resources: [all.yaml]\n");
        }
        sandbox.write("work/k/top/kustomization.yaml", "resources: [../base]\n");
        assert_ne!(sandbox.run("kubectl", &["kustomize", "k/top"]).output().code, Some(0));
        let faults = read(&sandbox.path("work/k"), "top").faults;
        assert!(faults.iter().any(|fault| fault.kind == FaultKind::Build), "{name}: {faults:?}");
    }
}
