//! `makeinfra check` on repositories as found in practice: other kinds, other tools, Secrets from
//! elsewhere.

use super::check::{Checked, check_in};
use super::rotate::manifest;
use super::support::*;
use std::time::{Duration, Instant};

const KEY: &str = r#"{"registry.gitlab.com":{"auth":"dTpw"}}"#;

/// A pod with the image of all these tests and the pull secret `gitlab`.
const POD: &str = "{imagePullSecrets: [{name: gitlab}], containers: [{name: a, image: 'registry.gitlab.com/a/b:1'}]}";

fn object(version: &str, kind: &str, spec: &str) -> String {
    let spec = spec.replace("POD", POD);
    format!(
        "apiVersion: {version}\nkind: {kind}\nmetadata: {{name: app, namespace: hello}}\nspec: {spec}\n"
    )
}

fn deployment() -> String {
    object("apps/v1", "Deployment", "{template: {spec: POD}}")
}

/// Checks `kubernetes/` with these files, and the pull secret if `with_secret`.
#[track_caller]
fn checked(files: &[(&str, &str)], with_secret: bool) -> Checked {
    let sandbox = Sandbox::new();
    for (path, text) in files {
        sandbox.write(&format!("work/x/kubernetes/{path}"), text);
    }
    if with_secret {
        sandbox.write_private("work/x/secret.yaml", manifest("dockercfg", KEY));
        return check_in(&sandbox, "x", &["--manifests", "kubernetes", "--secret", "secret.yaml"]);
    }
    sandbox.run("git", &["init", "-q", "x"]).success();
    check_in(&sandbox, "x", &["--manifests", "kubernetes"])
}

#[track_caller]
fn finds(files: &[(&str, &str)], problems: &[&str], warnings: &[&str], words: &[&str]) {
    let checked = checked(files, true);
    assert_eq!(
        (checked.problems(), checked.warnings()),
        (problems.to_vec(), warnings.to_vec()),
        "{files:?}"
    );
    let all: String = problems.iter().chain(warnings).map(|id| checked.messages(id)).collect();
    for word in words {
        assert!(all.contains(word), "{word}: {all}");
    }
}

#[test]
fn pod_templates_of_any_kind_are_read() {
    for (version, kind, spec) in [
        ("argoproj.io/v1alpha1", "Rollout", "{template: {spec: POD}}"),
        ("serving.knative.dev/v1", "Service", "{template: {spec: POD}}"),
        ("apps.kruise.io/v1alpha1", "CloneSet", "{template: {spec: POD}}"),
        ("batch/v1", "CronJob", "{jobTemplate: {spec: {template: {spec: POD}}}}"),
        ("keda.sh/v1alpha1", "ScaledJob", "{jobTargetRef: {template: {spec: POD}}}"),
        ("kubeflow.org/v1", "TFJob", "{tfReplicaSpecs: {Worker: {template: {spec: POD}}}}"),
        ("ray.io/v1", "RayCluster", "{workerGroupSpecs: [{template: {spec: POD}}]}"),
        ("agents.x-k8s.io/v1", "Sandbox", "{podTemplate: {spec: POD}}"),
    ] {
        let good = object(version, kind, spec);
        finds(&[("a.yaml", &good)], &[], &[], &[]);
        let other = good.replace("registry.gitlab.com", "quay.io");
        finds(
            &[("a.yaml", &other)],
            &["pull-secret-matches-images"],
            &[],
            &[&format!("{kind} app: no registry key")],
        );
    }
}

#[test]
fn all_that_a_pod_pulls_is_read() {
    for part in [
        "ephemeralContainers: [{name: e, image: 'quay.io/a/b:1'}]",
        "initContainers: [{name: e, image: 'quay.io/a/b:1'}]",
        "volumes: [{name: v, image: {reference: 'quay.io/a/b:1', pullPolicy: Always}}]",
    ] {
        let text =
            deployment().replace("{imagePullSecrets", &format!("{{{part}, imagePullSecrets"));
        finds(&[("a.yaml", &text)], &["pull-secret-matches-images"], &[], &["`quay.io/a/b:1`"]);
    }
}

#[test]
fn the_tag_latest_is_a_note() {
    let text = deployment().replace("a/b:1", "a/b:latest");
    let found = checked(&[("a.yaml", &text)], true);
    assert_eq!((found.problems(), found.warnings()), (vec![], vec![]));
    assert!(found.ids("note").contains("images-pinned"), "{}", found.messages("images-pinned"));
    assert!(found.messages("images-pinned").contains("a/b:latest` changes with every push"));
}

#[test]
fn a_container_without_an_image_is_named() {
    let said = ["Deployment app: container e has no image"];
    for none in ["{name: e}", "{name: e, image: null}", "{name: e, image: ''}"] {
        let beside = deployment().replace("containers: [", &format!("containers: [{none}, "));
        finds(&[("a.yaml", &beside)], &["images-pinned"], &[], &said);
        // A kustomization may add it.
        let kustomization = "resources: [a.yaml]\nnamespace: hello\ntransformers: [x.yaml]\n";
        let files = [("a.yaml", beside.as_str()), ("kustomization.yaml", kustomization)];
        finds(&files, &[], &["images-pinned", "manifests-kustomize"], &said);
        // Alone, it may be a fragment of a workload.
        let spec = format!("{{template: {{spec: {{containers: [{none}]}}}}}}");
        finds(
            &[("a.yaml", &object("apps/v1", "Deployment", &spec))],
            &[],
            &["images-pinned"],
            &said,
        );
    }
}

#[test]
fn what_no_kubelet_pulls_needs_no_credentials() {
    let never = "{name: e, image: 'quay.io/a/b:1', imagePullPolicy: Never}";
    let template = |metadata: &str| format!("{{template: {{{metadata}spec: POD}}}}");
    let istio = template("metadata: {annotations: {inject.istio.io/templates: gateway}}, ");
    let auto =
        object("apps/v1", "Deployment", &istio).replace("'registry.gitlab.com/a/b:1'", "auto");
    let trigger = |path: &str| {
        let all = format!(
            r#"[{{"from":{{"kind":"ImageStreamTag","name":"b:1"}},"fieldPath":"{path}"}}]"#
        );
        let other = deployment().replace("'registry.gitlab.com/a/b:1'", "' '");
        other.replace(
            "{name: app,",
            &format!(
                "{{name: app, annotations: {{image.openshift.io/triggers: '{}'}},",
                all.replace('\'', "''")
            ),
        )
    };
    for text in [
        deployment().replace("containers: [", &format!("containers: [{never}, ")),
        auto,
        trigger("spec.template.spec.containers[0].image"),
        trigger(r#"spec.template.spec.containers[?(@.name==\"a\")].image"#),
    ] {
        finds(&[("a.yaml", &text)], &[], &[], &[]);
    }
    // That of another container.
    finds(
        &[("a.yaml", &trigger("spec.template.spec.containers[1].image"))],
        &["images-pinned"],
        &[],
        &[],
    );
}

#[test]
fn an_image_that_is_no_text_is_a_problem_that_names_the_field() {
    for (value, what) in [
        ("{repository: a, tag: b}", "a mapping"),
        ("[a]", "a list"),
        ("1.5", "a number"),
        ("true", "a truth value"),
        ("!x a", "a value with a tag"),
    ] {
        let text = deployment().replace("'registry.gitlab.com/a/b:1'", value);
        let said = format!(
            "`spec.template.spec.containers[0].image` must be an image reference, but is {what}"
        );
        finds(&[("a.yaml", &text)], &["images-pinned"], &[], &[&said]);
    }
    for value in [
        "'${IMAGE}'",
        "'registry.gitlab.com/a/b:${TAG}'",
        "'{{ image }}'",
        "<image>",
        "IMAGE_NAME",
        "$(IMAGE)",
    ] {
        let text = deployment().replace("'registry.gitlab.com/a/b:1'", value);
        finds(&[("a.yaml", &text)], &[], &["images-pinned"], &["is filled in at deployment"]);
    }
}

#[test]
fn what_is_not_read_is_named() {
    let good = deployment();
    let kind = |version: &str, kind: &str, spec: &str| object(version, kind, spec);
    let chart = "apiVersion: v2\nname: a\nversion: 1.0.0\n";
    let template = "{{- if .Values.x }}\nkind: Deployment\n{{- end }}\n";
    for (path, text, words) in [
        (
            "p.yaml",
            kind("monitoring.coreos.com/v1", "Prometheus", "{image: 'quay.io/a/b:1'}"),
            "Prometheus app: has an image at `spec.image`",
        ),
        (
            "p.yaml",
            kind(
                "argoproj.io/v1alpha1",
                "Workflow",
                "{templates: [{container: {image: 'quay.io/a/b:1'}}]}",
            ),
            "`spec.templates[0].container.image`",
        ),
        (
            "p.yaml",
            kind("argoproj.io/v1alpha1", "Application", "{source: {path: a}}"),
            "Application app: deploys what is described elsewhere",
        ),
        (
            "p.yaml",
            kind("helm.toolkit.fluxcd.io/v2", "HelmRelease", "{chart: {}}"),
            "HelmRelease app: deploys",
        ),
        (
            "p.yaml",
            kind("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "{path: ./a}"),
            "Kustomization app: deploys",
        ),
        ("p.yaml", template.to_owned(), "a template: "),
        ("app.jsonnet", "{ a: 1 }".to_owned(), "app.jsonnet: Jsonnet"),
        ("app.cue", "a: 1".to_owned(), "app.cue: CUE"),
        ("app.yaml.j2", template.to_owned(), "a template language"),
    ] {
        finds(&[("a.yaml", &good), (path, &text)], &[], &["manifests-kustomize"], &[words]);
    }
    let files = [
        ("a.yaml", good.as_str()),
        ("chart/Chart.yaml", chart),
        ("chart/values.yaml", "image: {repository: a, tag: b}\n"),
        ("chart/templates/d.yaml", template),
        ("chart/templates/_helpers.tpl", "{{ define }}"),
        ("chart/charts/sub/Chart.yaml", chart),
    ];
    finds(&files, &[], &["manifests-kustomize"], &["kubernetes/chart/Chart.yaml: a Helm chart"]);
    assert_eq!(checked(&files, true).messages("manifests-kustomize").lines().count(), 1);
    // A repository with only a chart does have workloads.
    finds(
        &files[1..],
        &[],
        &["manifests-kustomize", "workloads-found"],
        &["in the files that could be read"],
    );
    for (path, text) in [
        (
            "crd.yaml",
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nspec: {image: {name: a}}\n",
        ),
        (
            "policy.yaml",
            "apiVersion: kyverno.io/v1\nkind: ClusterPolicy\nspec: {rules: [{image: '!*:latest'}]}\n",
        ),
        ("empty.yaml", "---\n# nothing\n---\n"),
        ("tabs.json", "{\n\t\"kind\": \"ConfigMap\",\n\t\"data\": {}\n}\n"),
        ("notes.md", "```yaml\nkind: Pod\n```\n"),
    ] {
        finds(&[("a.yaml", &good), (path, text)], &[], &[], &[]);
    }
}

#[test]
fn a_secret_that_comes_from_elsewhere_is_not_missing() {
    let closed = ["pull-secret-present"];
    let good = deployment();
    let head = "metadata: {name: gitlab, namespace: hello}\n";
    let sops = "kind: Secret\napiVersion: v1\ntype: kubernetes.io/dockerconfigjson\ndata: {.dockerconfigjson: 'ENC[AES256_GCM,data:x]'}\n\
                sops: {mac: x, version: 3.8.1}\n";
    let pull = "kind: Secret\napiVersion: v1\ntype: kubernetes.io/dockerconfigjson\n";
    for (text, word) in [
        (format!("apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\n{head}spec: {{encryptedData: {{.dockerconfigjson: x}}}}\n"), "SealedSecret"),
        ("apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: x, namespace: hello}\nspec: {template: {metadata: {name: gitlab}}}\n".into(), "SealedSecret"),
        ("apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: x, namespace: hello}\nspec: {target: {name: gitlab}}\n".into(), "ExternalSecret"),
        (format!("apiVersion: external-secrets.io/v1\nkind: ExternalSecret\n{head}spec: {{}}\n"), "ExternalSecret"),
        ("apiVersion: isindir.github.com/v1alpha3\nkind: SopsSecret\nmetadata: {name: x}\nspec: {secretTemplates: [{name: gitlab}]}\n".into(), "SopsSecret"),
        (format!("{sops}{head}"), "SOPS"),
        (format!("{pull}{head}data: {{.dockerconfigjson: '${{DOCKER_CONFIG_JSON_B64}}'}}\n"), 
            "it is filled in at deployment"),
        (format!("{pull}{head}data: {{.dockerconfigjson: <dockerconfig | base64encode>}}\n"), 
            "it is filled in at deployment"),
        (format!("{pull}{head}stringData: {{.dockerconfigjson: '${{DOCKER_CONFIG_JSON}}'}}\n"), 
            "it is filled in at deployment"),
        (format!("{pull}{head}stringData: {{.dockerconfigjson: '{{\"auths\":{{\"registry.gitlab.com\":{{\"auth\":\"${{AUTH}}\"}}}}}}'}}\n"), 
            "it is filled in at deployment"),
        (format!("{pull}metadata: {{name: gitlab, namespace: hello, annotations: {{replicator.v1.mittwald.de/replicate-from: a/b}}}}\ndata: {{.dockerconfigjson: e30=}}\n"), "a controller copies it"),
    ] {
        let found = checked(&[("a.yaml", &good), ("s.yaml", &text)], false);
        assert_eq!(found.problems(), Vec::<&str>::new(), "{text}");
        assert!(closed.iter().all(|id| found.warnings().contains(id)), "{text}");
        assert!(found.messages("pull-secret-present").contains(word), "{}", found.messages("pull-secret-present"));
        // Next to one that can be read.
        let second = good.replace("name: gitlab", "name: sealed").replace("app", "other");
        let text = text.replace("name: gitlab", "name: sealed");
        let files = [("a.yaml", good.as_str()), ("b.yaml", &second), ("s.yaml", &text)];
        finds(&files, &[], &["pull-secret-matches-images"], &["the content of the pull secret `sealed` is unknown", word]);
    }
    // It is unknown what else a repository without a record deploys.
    let found = checked(&[("a.yaml", &good)], false);
    assert_eq!(found.problems(), Vec::<&str>::new());
    assert!(found.messages("pull-secret-present").contains("must come from elsewhere"));
}

#[test]
fn a_secret_that_a_controller_copies_may_be_in_the_namespace() {
    let elsewhere = deployment().replace("namespace: hello", "namespace: other");
    finds(&[("a.yaml", &elsewhere)], &["pull-secret-namespace"], &[], &[]);
    for annotation in [
        "reflector.v1.k8s.emberstack.com/reflection-auto-enabled: 'true'",
        "replicator.v1.mittwald.de/replicate-to: other",
        "kubed.appscode.com/sync: ''",
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("work/x/kubernetes/a.yaml", &elsewhere);
        let copied = format!("  name: gitlab\n  annotations: {{{annotation}}}\n");
        let secret = manifest("dockercfg", KEY).replace("  name: gitlab\n", &copied);
        sandbox.write_private("work/x/secret.yaml", secret);
        let found =
            check_in(&sandbox, "x", &["--manifests", "kubernetes", "--secret", "secret.yaml"]);
        assert_eq!(
            (found.problems(), found.warnings()),
            (vec![], vec!["pull-secret-namespace"]),
            "{annotation}"
        );
        assert!(found.messages("pull-secret-namespace").contains("a controller may copy it"));
    }
}

#[test]
fn a_registry_key_with_capitals_is_named_as_such() {
    let sandbox = Sandbox::new();
    sandbox.write("work/x/kubernetes/a.yaml", deployment());
    let key = KEY.replace("registry.", "Registry.");
    sandbox.write_private("work/x/secret.yaml", manifest("dockercfg", &key));
    let found = check_in(&sandbox, "x", &["--manifests", "kubernetes", "--secret", "secret.yaml"]);
    assert_eq!(found.problems(), ["pull-secret-matches-images"]);
    let said = found.messages("pull-secret-matches-images");
    assert!(
        said.contains("the registry key `registry.gitlab.com` contains capital letters"),
        "{said}"
    );
}

#[test]
fn a_pull_secret_of_nowhere_is_a_warning_unless_another_one_serves() {
    let names = |names: &str| deployment().replace("[{name: gitlab}]", &format!("[{names}]"));
    let both = names("{name: gitlab}, {name: ecr-cred}");
    finds(&[("a.yaml", &both)], &[], &[], &[]);
    finds(&[("a.yaml", &names("{name: ecr-cred}, {name: gitlab}"))], &[], &[], &[]);
    let words = ["`ecr-cred`", "not found in these files"];
    let warnings = ["pull-secret-matches-images", "pull-secret-name"];
    finds(&[("a.yaml", &names("{name: ecr-cred}"))], &[], &warnings, &words);
    // Neither does another one that does not cover all images.
    let more = both.replace("containers: [", "containers: [{name: e, image: 'quay.io/a/b:1'}, ");
    finds(&[("a.yaml", &more)], &[], &warnings, &words);
}

#[test]
fn a_generated_or_a_json_pull_secret_is_one() {
    let json = manifest("dockercfg", KEY);
    let json =
        serde_json::to_string_pretty(&serde_yaml::from_str::<serde_json::Value>(&json).unwrap())
            .unwrap();
    let found =
        checked(&[("a.yaml", &deployment()), ("secret.json", &json.replace("  ", "\t"))], false);
    assert!(found.problems().iter().all(|id| id.starts_with("secrets-")), "{:?}", found.problems());
    assert!(found.messages("pull-secret-present").contains("contains Secret `gitlab`"));

    let kustomization = |rest: &str| {
        format!(
            "resources: [a.yaml]\nnamespace: hello\nsecretGenerator:\n- name: gitlab\n  type: kubernetes.io/dockerconfigjson\n  {rest}\n"
        )
    };
    let config = r#"{"auths":{"registry.gitlab.com":{"auth":"dTpw"}}}"#;
    let app = deployment();
    let of = |rest: &str, config: &str| {
        checked(
            &[
                ("a.yaml", &app),
                ("kustomization.yaml", &kustomization(rest)),
                ("config.json", config),
            ],
            false,
        )
    };
    let found = of("files: [.dockerconfigjson=config.json]", config);
    assert!(found.problems().iter().all(|id| id.starts_with("secrets-")), "{:?}", found.problems());
    assert!(
        found.messages("secrets-covered").contains("kubernetes/config.json"),
        "{}",
        found.messages("secrets-covered")
    );
    // A key that does not match the type, and an image that does not match the Secret.
    let found = of("files: [config.json]", config);
    assert!(found.problems().contains(&"pull-secret-type"), "{:?}", found.problems());
    let said = found.messages("pull-secret-type");
    let mend = "(write `files: [.dockerconfigjson=config.json]`: ${EDITOR:-vi} kubernetes/kustomization.yaml)";
    assert!(said.starts_with("kubernetes/kustomization.yaml: ") && said.contains(mend), "{said}");
    let found = of("files: [.dockerconfigjson=config.json]", &config.replace("gitlab", "other"));
    assert!(found.problems().contains(&"pull-secret-matches-images"), "{:?}", found.problems());
    let found = of("files: [.dockerconfigjson=../../elsewhere.json]", config);
    assert!(found.messages("pull-secret-present").contains("from files that could not be read"));
}

#[test]
fn what_a_secret_is_generated_from_is_a_secret_file() {
    let app = deployment();
    for (list, file) in [
        ("envs: [.env]", ".env"),
        ("env: db.env", "db.env"),
        ("files: [a=b/config.json]", "b/config.json"),
    ] {
        let kustomization = format!(
            "resources: [a.yaml]\nnamespace: hello\nsecretGenerator:\n- name: db\n  {list}\n"
        );
        let of = |text: &str, kustomization: &str| {
            checked(&[("a.yaml", &app), ("kustomization.yaml", kustomization), (file, text)], false)
        };
        let is_covered = |found: &Checked| !found.problems().contains(&"secrets-covered");
        let found = of("PASSWORD=x\n", &kustomization);
        assert!(
            !is_covered(&found)
                && found.messages("secrets-covered").contains(&format!("kubernetes/{file}"))
        );
        let settings = kustomization.replace("secretGenerator", "configMapGenerator");
        assert!(is_covered(&of("PASSWORD=x\n", &settings)), "{file}");
        let sealed = "PASSWORD=ENC[AES256_GCM,data:qg==,iv:a,tag:b,type:str]\nsops_version=3.9.0\n";
        assert!(is_covered(&of(sealed, &kustomization)), "{file}");
    }
}

#[test]
fn what_a_kustomization_may_change_is_a_warning() {
    let bare = deployment().replace("imagePullSecrets: [{name: gitlab}], ", "");
    let kustomization = "resources: [a.yaml]\nnamespace: hello\n";
    finds(
        &[("a.yaml", &bare), ("kustomization.yaml", kustomization)],
        &["workloads-name-pull-secret"],
        &[],
        &[],
    );
    for field in [
        "transformers: [x.yaml]",
        "replacements: [{path: r.yaml}]",
        "components: ['https://x/y?ref=1']",
    ] {
        let text = format!("{kustomization}{field}\n");
        let ids = ["manifests-kustomize", "workloads-name-pull-secret"];
        finds(&[("a.yaml", &bare), ("kustomization.yaml", &text)], &[], &ids, &["may change that"]);
    }
}

#[test]
fn one_secret_of_a_base_is_in_the_namespaces_of_all_overlays() {
    let app = deployment().replace(", namespace: hello", "");
    let secret = manifest("dockercfg", KEY);
    for affix in ["", "namePrefix: a-\n", "nameSuffix: -b\n"] {
        let sandbox = Sandbox::new();
        sandbox.write("work/x/k/base/app.yaml", &app);
        sandbox.write_private("work/x/k/base/secret.yaml", &secret);
        sandbox.write("work/x/k/base/kustomization.yaml", "resources: [app.yaml, secret.yaml]\n");
        for name in ["staging", "production"] {
            let text = format!("resources: [../../base]\nnamespace: {name}\n{affix}");
            sandbox.write(&format!("work/x/k/overlays/{name}/kustomization.yaml"), text);
        }
        let found =
            check_in(&sandbox, "x", &["--manifests", "k", "--secret", "k/base/secret.yaml"]);
        assert_eq!((found.problems(), found.warnings()), (vec![], vec![]), "{affix}");
    }
}

#[test]
fn what_is_no_file_is_named_and_never_read() {
    let sandbox = Sandbox::new();
    sandbox.write("work/x/kubernetes/app.yaml", deployment());
    sandbox.write_private("work/x/secret.yaml", manifest("dockercfg", KEY));
    sandbox
        .run(
            "mkfifo",
            &["x/kubernetes/pipe.yaml", "x/kubernetes/pipe.json", "x/kubernetes/pipe.tpl"],
        )
        .success();
    sandbox.run("truncate", &["-s", "1G", "x/kubernetes/huge.yaml"]).success();
    sandbox.run("ln", &["-s", "/dev/zero", "x/kubernetes/zero.yaml"]).success();
    let begun = Instant::now();
    let found = check_in(&sandbox, "x", &["--manifests", "kubernetes", "--secret", "secret.yaml"]);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(found.problems(), ["manifests-parse"]);
    assert_eq!(
        found.messages("manifests-parse").lines().count(),
        4,
        "{}",
        found.messages("manifests-parse")
    );
}

/// `number` manifests, each a Deployment with its own service account and Secret, in one directory
/// and below a kustomization.
fn many(number: usize) -> Sandbox {
    let sandbox = Sandbox::new();
    let mut names = String::new();
    for at in 0..number {
        let account = format!(
            "kind: ServiceAccount\nmetadata: {{name: a{at}}}\nimagePullSecrets: [{{name: s{at}}}]\n"
        );
        let secret = manifest("dockercfg", KEY).replace("name: gitlab", &format!("name: s{at}"));
        let app = deployment()
            .replace("imagePullSecrets: [{name: gitlab}]", &format!("serviceAccountName: a{at}"));
        let app = app.replace("name: app", &format!("name: app{at}"));
        let place = if at % 2 == 0 { "plain" } else { "built" };
        sandbox.write_private(
            &format!("work/x/k/{place}/{at}.yaml"),
            format!("{app}---\n{account}---\n{secret}"),
        );
        if at % 2 == 1 {
            names.push_str(&format!("- {at}.yaml\n"));
        }
    }
    sandbox
        .write("work/x/k/built/kustomization.yaml", format!("namePrefix: p-\nresources:\n{names}"));
    sandbox
}

#[test]
fn ten_times_the_manifests_take_about_ten_times_as_long() {
    let time = |number: usize| {
        let sandbox = many(number);
        let begun = Instant::now();
        let found = check_in(&sandbox, "x", &["--manifests", "k", "--secret", "k/plain/0.yaml"]);
        assert!(found.messages("workloads-found").contains(&format!("{number} workloads")));
        begun.elapsed()
    };
    let (few, all) = (time(200), time(2_000));
    assert!(all < few * 25, "{few:?} {all:?}");
}

#[test]
fn without_a_record_no_hint_is_a_command_that_needs_one() {
    let bad =
        manifest("dockercfg", r#"{"registry.gitlab.com":{"auth":"Z2l0bGFiLWNpLXRva2VuOng="}}"#);
    let expired = manifest("dockercfg", KEY).replace(
        "  name: gitlab",
        "  name: gitlab\n  annotations: {makeinfra/expires-at: '2020-01-01'}",
    );
    for secret in [&bad, &expired] {
        let sandbox = Sandbox::new();
        sandbox.write("work/x/kubernetes/a.yaml", deployment());
        sandbox.write_private("work/x/secret.yaml", secret);
        let found =
            check_in(&sandbox, "x", &["--manifests", "kubernetes", "--secret", "secret.yaml"]);
        assert_eq!(found.code, Some(1), "{secret}");
        for check in &found.checks {
            assert!(!check["hint"].as_str().unwrap().contains("makeinfra rotate"), "{check}");
        }
        let edits = |check: &&serde_json::Value| {
            check["hint"].as_str().unwrap().contains("${EDITOR:-vi} secret.yaml")
        };
        assert_eq!(found.checks.iter().filter(edits).count(), 1, "{secret}");
    }
}

#[test]
fn where_manifests_are_elsewhere_the_hint_leads_there() {
    let sandbox = Sandbox::new();
    sandbox.run("git", &["init", "-q", "x"]).success();
    sandbox.write("work/x/README.md", "x");
    let found = check_in(&sandbox, "x", &[]).messages("workloads-found");
    assert!(
        found.contains("the directory is missing or empty")
            && found.contains("(makeinfra check --manifests DIR)"),
        "{found}"
    );
    let new = ["new", "shop", "--no-git", "--no-token", "--image", IMAGE];
    sandbox.makeinfra(&new).cwd(sandbox.work("x")).success();
    let found = check_in(&sandbox, "x", &[]).messages("workloads-found");
    assert!(found.contains("(makeinfra check shop-infra)"), "{found}");
}

#[test]
fn a_generated_pull_secret_with_a_hash_is_named_by_its_own_build_and_namespace_alone() {
    let plain = deployment();
    let nowhere = plain.replace(", namespace: hello", "");
    let generator = |more: &str| {
        format!(
            "secretGenerator:\n- {{name: gitlab, type: kubernetes.io/dockercfg, files: [.dockercfg=key.json]{more}}}\n"
        )
    };
    let with = |app: &str, more: &str| format!("resources: [a.yaml]\n{}{app}", generator(more));
    let alone = generator("");
    let unhashed = generator(", options: {disableNameSuffixHash: true}");
    for (dir, app, kustomization, is_wrong) in [
        ("k", &plain, &with("namespace: hello\n", ""), false),
        ("k", &nowhere, &with("", ""), false),
        // kustomize updates references within its own namespace.
        ("k", &nowhere, &with("", ", namespace: other"), true),
        ("k", &nowhere, &with("namespace: hello\n", ", namespace: other"), false),
        // Another directory is another build.
        ("app", &plain, &alone, true),
        ("app", &plain, &unhashed, false),
    ] {
        let files = [
            (&*format!("{dir}/a.yaml"), &**app),
            ("k/kustomization.yaml", &**kustomization),
            ("k/key.json", KEY),
        ];
        let checked = checked(&files, false);
        let said = checked.messages("pull-secret-name");
        assert_eq!(said.contains("appends a hash"), is_wrong, "{kustomization}: {said}");
        assert!(checked.problems().iter().all(|id| !id.starts_with("pull-secret-name")), "{said}");
        assert_eq!(
            said.contains("disableNameSuffixHash: true} in kubernetes/k/kustomization.yaml"),
            is_wrong
        );
    }
}

#[test]
fn a_secret_of_another_name_is_told_as_it_is_called_where_it_is_deployed() {
    let app = deployment().replace(", namespace: hello", "");
    let secret = manifest("dockercfg", KEY).replace("namespace: hello", "namespace: other");
    let kustomization = "resources: [a.yaml, s.yaml]\nnamePrefix: a-\n";
    let files =
        [("k/a.yaml", &*app), ("k/s.yaml", &*secret), ("k/kustomization.yaml", kustomization)];
    let said = checked(&files, false).messages("pull-secret-name");
    assert!(said.contains("names the pull secret `gitlab`, but found Secret `a-gitlab`"), "{said}");
}
