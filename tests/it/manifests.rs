//! The generated manifests: strict types, kustomize, arbitrary valid answers.

use super::support::{IMAGE, SECRET, Sandbox, USER, have, kubectls};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Namespace, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::Ingress;
use makeinfra::answers::{
    Answers, Arguments, ClusterIssuer, Name, Record, Sheet, Values, Workload, unfit,
};
use makeinfra::context::Payload;
use makeinfra::templates::TemplateSet;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;

/// Rules for yamllint. A token has no line breaks, and comments may be as wide as the README.
pub const YAML_RULES: &str = "{extends: default, rules: {line-length: {max: 120, allow-non-breakable-words: true, \
                              allow-non-breakable-inline-mappings: true}, \
                              document-start: disable, comments: {min-spaces-from-content: 1}}}";

/// Parses YAML as `T` and serialises it again: unknown fields get lost, and wrong types are
/// refused.
#[track_caller]
pub fn strict<T: DeserializeOwned + Serialize>(yaml: &str) -> Value {
    let value: Value = serde_yaml::from_str(yaml).unwrap();
    let typed: T = serde_json::from_value(value.clone()).unwrap();
    assert_eq!(serde_json::to_value(&typed).unwrap(), value, "a field that the type does not have");
    value
}

/// The answers in `values`; `None` if they are not valid.
fn accepted(values: &Values) -> Option<Answers> {
    Sheet { values: values.clone(), ..Sheet::default() }.answers().ok()
}

/// The answers in `pairs`, in addition to a project and an image.
fn answers(pairs: &[(Name, &str)]) -> Answers {
    let mut values: Values = [(Name::Project, "hello"), (Name::Image, IMAGE)]
        .iter()
        .chain(pairs)
        .map(|(name, text)| (*name, Some((*text).to_owned())))
        .collect();
    values.remove(&Name::Output);
    accepted(&values).unwrap()
}

/// The rendered files by path, with a pull secret of a fixed payload.
fn render(answers: &Answers) -> BTreeMap<String, String> {
    let payload = Payload { expires_at: Some("2999-01-01"), ..Payload::bare("e30=") };
    let files = TemplateSet::embedded().render(answers, &[Some(payload)]).unwrap();
    files.into_iter().map(|file| (file.path, file.text.expose().to_owned())).collect()
}

#[test]
fn every_manifest_is_read_strictly() {
    for pairs in [
        &[][..],
        &[(Name::Ingress, "hello.example.com"), (Name::HealthPath, "/healthz")],
        &[
            (Name::PodSecurity, "baseline"),
            (Name::Replicas, "0"),
            (Name::SecretType, "dockerconfigjson"),
        ],
    ] {
        let files = render(&answers(pairs));
        let deployment = strict::<Deployment>(&files["kubernetes/base/deployment.yaml"]);
        let pod = &deployment["spec"]["template"]["spec"];
        assert_eq!(pod["imagePullSecrets"], json!([{"name": "gitlab"}]));
        strict::<Service>(&files["kubernetes/base/service.yaml"]);
        strict::<Namespace>(&files["kubernetes/overlays/production/namespace.yaml"]);
        let secret = strict::<Secret>(&files[SECRET]);
        assert_eq!(secret["metadata"]["annotations"]["makeinfra/expires-at"], "2999-01-01");
        // The overlay sets the namespace of the Secret, too.
        assert_eq!(secret["metadata"].get("namespace"), None);
        assert_eq!(
            files.contains_key("kubernetes/base/ingress.yaml"),
            !pairs.is_empty() && pairs[0].0 == Name::Ingress
        );
        if let Some(ingress) = files.get("kubernetes/base/ingress.yaml") {
            strict::<Ingress>(ingress);
        }
    }
}

#[test]
fn probes_and_security_follow_the_answers() {
    let pod = |pairs: &[(Name, &str)]| {
        let deployment: Value =
            serde_yaml::from_str(&render(&answers(pairs))["kubernetes/base/deployment.yaml"])
                .unwrap();
        deployment["spec"]["template"]["spec"].clone()
    };
    let restricted = pod(&[]);
    let container = &restricted["containers"][0];
    assert_eq!(restricted["securityContext"]["runAsNonRoot"], true);
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(container["securityContext"]["capabilities"]["drop"], json!(["ALL"]));
    assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
    assert_eq!(restricted["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    assert!(container["readinessProbe"].get("tcpSocket").is_some());
    assert!(container["resources"]["requests"].is_object());

    let baseline = pod(&[(Name::PodSecurity, "baseline"), (Name::HealthPath, "/up?x=1")]);
    assert!(baseline["securityContext"].get("runAsNonRoot").is_none());
    assert_eq!(baseline["containers"][0]["readinessProbe"]["httpGet"]["path"], "/up?x=1");
}

#[test]
fn kustomize_builds_the_deployment_with_its_tag_or_digest() {
    let digest = format!("registry.gitlab.com/group/hello@sha256:{}", "ab".repeat(32));
    for image in
        [IMAGE, &digest, "registry.gitlab.com:5050/group/hello:1.10", "me/app:1", "nginx:1.27"]
    {
        let sandbox = Sandbox::new();
        let args =
            ["new", "hello", "--image", image, "--no-token", "--ingress", "hello.example.com"];
        sandbox.makeinfra(&args).success();
        for kubectl in kubectls() {
            let built = sandbox.run(&kubectl, &["kustomize", "kubernetes/overlays/production"]);
            let built = built.cwd(sandbox.hello("")).success();
            let documents: Vec<Value> = serde_yaml::Deserializer::from_str(&built.stdout)
                .map(|document| serde::Deserialize::deserialize(document).unwrap())
                .collect();
            let kinds: Vec<_> =
                documents.iter().map(|document| document["kind"].as_str().unwrap()).collect();
            assert_eq!(kinds.len(), 3, "{kinds:?}");
            assert!(documents.iter().all(|document| document["metadata"]["namespace"] == "hello"));
            let deployment =
                documents.iter().find(|document| document["kind"] == "Deployment").unwrap();
            assert_eq!(
                deployment["spec"]["template"]["spec"]["containers"][0]["image"],
                image,
                "{}",
                kubectl.display()
            );
        }
    }
}

#[test]
fn the_secret_is_what_kubectl_creates() {
    if !have("kubectl") {
        return;
    }
    for email in [None, Some("ops@example.com")] {
        let sandbox = Sandbox::new();
        let email_args: Vec<&str> = email.map_or(vec![], |email| vec!["--email", email]);
        sandbox
            .new_hello(&[&["--secret-type", "dockerconfigjson"], &email_args[..]].concat())
            .success();
        let email_flag = email.map(|email| format!("--docker-email={email}"));
        let user = format!("--docker-username={USER}");
        // kubectl requires the token as an argument. It is the tests' own.
        let password = format!("--docker-password={}", super::support::TOKEN);
        let mut args = vec![
            "create",
            "secret",
            "docker-registry",
            "gitlab",
            "--namespace=hello",
            "--dry-run=client",
        ];
        args.extend(["-o", "yaml", "--docker-server=registry.gitlab.com", &user, &password]);
        args.extend(email_flag.as_deref());
        let theirs = sandbox.run("kubectl", &args).success().stdout;
        let decoded = |yaml: &str| {
            let secret = strict_data(yaml);
            let data =
                STANDARD.decode(secret["data"][".dockerconfigjson"].as_str().unwrap()).unwrap();
            (
                secret["type"].clone(),
                secret["metadata"]["name"].clone(),
                String::from_utf8(data).unwrap(),
            )
        };
        let ours = fs::read_to_string(sandbox.hello(SECRET)).unwrap();
        assert_eq!(decoded(&ours), decoded(&theirs));
    }
}

fn strict_data(yaml: &str) -> Value {
    serde_yaml::from_str(yaml).unwrap()
}

#[test]
fn yaml_is_tidy() {
    if !have("yamllint") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox
        .new_hello(&[
            "--ingress",
            "hello.example.com",
            "--health-path",
            "/healthz",
            "--expires-at",
            "2999-01-01",
        ])
        .success();
    sandbox.run("yamllint", &["--strict", "-d", YAML_RULES, "."]).cwd(sandbox.hello("")).success();
}

/// One of `texts`.
fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(texts).prop_map(str::to_owned)
}

/// Valid answers, including odd ones.
fn any_answers() -> impl Strategy<Value = Values> {
    let label = prop_oneof![
        "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?",
        // Words that YAML 1.1 or 1.2 parses as another type.
        one_of(&[
            "null",
            "true",
            "on",
            "y",
            "no",
            "123",
            "1e3",
            "0x1f",
            "0o17",
            "1-2",
            "2027-12-31",
            "0"
        ]),
    ];
    let project =
        prop_oneof!["[a-z]([a-z0-9-]{0,20}[a-z0-9])?", one_of(&["null", "true", "on", "y", "e1"])];
    let tag = prop_oneof![
        "[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}",
        one_of(&["1.10", "1e3", "0x1f", "true", "null", "_", "1_000", "12"])
    ];
    let path = "[a-z0-9]{1,8}((\\.|_|__|-{1,3})[a-z0-9]{1,8}){0,2}(/[a-z0-9]{1,8}){0,2}";
    let host = one_of(&["", "registry.gitlab.com/", "localhost:5000/", "a.b:443/", "10.0.0.1/"]);
    let image = (host, path, tag, any::<bool>()).prop_map(|(host, path, tag, digest)| {
        let digest = if digest { format!("@sha256:{}", "0e".repeat(32)) } else { String::new() };
        format!("{host}{path}:{tag}{digest}")
    });
    let health = "/[a-zA-Z0-9._~!&'()*+,;=:@/?%-]{0,20}";
    let email = "[!-?A-~]{1,10}@[!-?A-~]{1,10}";
    let ingress =
        "(\\*\\.)?[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?(\\.[a-z]([a-z0-9-]{0,8}[a-z0-9])?){1,3}";
    (
        (project, image, label.clone(), label),
        (prop::option::of(health), prop::option::of(email), prop::option::of(ingress)),
        (1..=65535u32, 0..=1000u32, any::<bool>(), any::<bool>(), any::<bool>()),
    )
        .prop_map(
            |(
                (project, image, namespace, secret),
                (health, email, ingress),
                (port, replicas, baseline, json, ci),
            )| {
                let level = if baseline { "baseline" } else { "restricted" };
                let kind = if json { "dockerconfigjson" } else { "dockercfg" };
                Values::from([
                    (Name::Project, Some(project)),
                    (Name::Image, Some(image)),
                    (Name::Namespace, Some(namespace)),
                    (Name::SecretName, Some(secret)),
                    (Name::HealthPath, health),
                    (Name::Email, email),
                    (Name::Ingress, ingress),
                    (Name::Port, Some(port.to_string())),
                    (Name::Replicas, Some(replicas.to_string())),
                    (Name::PodSecurity, Some(level.into())),
                    (Name::SecretType, Some(kind.into())),
                    (Name::Ci, Some(if ci { "gitlab" } else { "none" }.into())),
                ])
            },
        )
        .prop_flat_map(|values| any_workload().prop_map(move |own| with(values.clone(), own)))
        .prop_filter("accepted", |values| accepted(values).is_some())
}

/// The answers in `values`, without those that contradict `own`.
fn with(mut values: Values, own: Values) -> Values {
    values.extend(own);
    for name in Name::ALL {
        if unfit(name, &values).is_some() {
            values.remove(&name);
        }
    }
    if !matches!(values.get(&Name::Ingress), Some(Some(_))) {
        values.remove(&Name::Tls);
        values.remove(&Name::TlsIssuer);
    }
    values
}

/// How it runs, and rarely used answers.
fn any_workload() -> impl Strategy<Value = Values> {
    let schedule =
        one_of(&["@daily", "*/5 * * * *", "0 3 ? jan-jun MON", "@every 1h30m", "0 0 1 1 0"]);
    let zone = prop::option::of(one_of(&["Etc/UTC", "Europe/Berlin", "Etc/GMT+5"]));
    let args = prop::option::of(prop::collection::vec("[ -~äß€]{0,12}", 1..4));
    let issuer = prop::option::of(one_of(&["letsencrypt", "true", "1e3", "a.b"]));
    (one_of(&["deployment", "cronjob", "job"]), schedule, zone, args, issuer, any::<[bool; 4]>())
        .prop_map(|(workload, schedule, zone, args, issuer, [no_port, tls, account, config])| {
            let yes = |on: bool| on.then(|| "yes".to_owned());
            let texts = [
                (Name::Workload, Some(workload)),
                (Name::Schedule, Some(schedule)),
                (Name::TimeZone, zone),
                (Name::Args, args.map(|args| Arguments::text(&args))),
                (Name::Tls, yes(tls || issuer.is_some())),
                (Name::TlsIssuer, issuer),
                (Name::ServiceAccount, yes(account)),
                (Name::Config, yes(config)),
            ];
            let mut values: Values =
                texts.into_iter().filter_map(|(name, text)| Some((name, Some(text?)))).collect();
            if no_port {
                values.insert(Name::Port, None);
            }
            values
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_accepted_answers_read_back_equal(values in any_answers()) {
        let answers = accepted(&values).unwrap();
        let files = render(&answers);
        prop_assert_eq!(&Record::parse(files[".makeinfra.yaml"].clone()).unwrap().answers, &answers);

        let main = answers.main();
        let text = &files[&format!("kubernetes/base/{}.yaml", main.workload.as_str())];
        let workload = match main.workload {
            Workload::Deployment => strict::<Deployment>(text),
            Workload::CronJob => strict::<CronJob>(text),
            Workload::Job => strict::<Job>(text),
        };
        let pod = main.workload.pod().iter().fold(&workload, |value, key| &value[*key]);
        let container = &pod["containers"][0];
        prop_assert_eq!(&workload["metadata"]["name"], answers.project.as_str());
        prop_assert_eq!(&container["image"], answers.image().name());
        prop_assert_eq!(&pod["imagePullSecrets"][0]["name"], answers.secret_name.as_str());
        let args = container["args"].as_array().into_iter().flatten().map(|arg| arg.as_str().unwrap());
        prop_assert!(args.eq(main.args.as_slice()), "{:?}", container["args"]);
        if main.workload == Workload::Deployment {
            prop_assert_eq!(&workload["spec"]["replicas"], main.replicas);
        } else {
            prop_assert_eq!(&pod["restartPolicy"], "Never");
        }
        if let Some(schedule) = &main.schedule {
            prop_assert_eq!(&workload["spec"]["schedule"], schedule.as_str());
        }
        prop_assert_eq!(container["ports"][0]["containerPort"].as_u64(), main.port.map(u64::from));
        if let Some(path) = &main.health_path {
            prop_assert_eq!(&container["livenessProbe"]["httpGet"]["path"], path.as_str());
        }
        prop_assert_eq!(container.get("livenessProbe").is_some(), main.port.is_some());
        prop_assert_eq!(pod.get("serviceAccountName").is_some(), main.service_account);
        if main.service_account {
            let account = strict::<ServiceAccount>(&files["kubernetes/base/serviceaccount.yaml"]);
            prop_assert_eq!(&account["imagePullSecrets"], &pod["imagePullSecrets"]);
            prop_assert_eq!(&account["metadata"]["name"], &pod["serviceAccountName"]);
        }
        let namespace = strict::<Namespace>(&files["kubernetes/overlays/production/namespace.yaml"]);
        prop_assert_eq!(&namespace["metadata"]["name"], answers.environments.first.namespace.as_str());
        prop_assert_eq!(files.contains_key("kubernetes/base/service.yaml"), main.port.is_some());
        if let Some(service) = files.get("kubernetes/base/service.yaml") {
            let service = strict::<Service>(service);
            prop_assert_eq!(&service["spec"]["selector"], &workload["spec"]["selector"]["matchLabels"]);
        }
        let secret = strict::<Secret>(&files[&format!("secrets/kubernetes/{}.secret.yaml", answers.secret_name)]);
        prop_assert_eq!(&secret["metadata"]["name"], answers.secret_name.as_str());
        prop_assert_eq!(&secret["type"], answers.secret_type.kubernetes_type());
        if let Some(host) = &answers.main().ingress {
            let ingress = strict::<Ingress>(&files["kubernetes/base/ingress.yaml"]);
            prop_assert_eq!(&ingress["spec"]["rules"][0]["host"], host.as_str());
            let tls = ingress["spec"]["tls"][0]["hosts"][0].as_str();
            prop_assert_eq!(tls, main.tls.then_some(host.as_str()));
            let issuer = &ingress["metadata"]["annotations"]["cert-manager.io/cluster-issuer"];
            prop_assert_eq!(issuer.as_str(), main.tls_issuer.as_ref().map(ClusterIssuer::as_str));
        }
        let kustomization: Value = serde_yaml::from_str(&files["kubernetes/overlays/production/kustomization.yaml"]).unwrap();
        prop_assert_eq!(&kustomization["namespace"], answers.environments.first.namespace.as_str());
        let base: Value = serde_yaml::from_str(&files["kubernetes/base/kustomization.yaml"]).unwrap();
        prop_assert_eq!(base.get("configMapGenerator").is_some(), main.config);
        prop_assert_eq!(base.get("images"), None);
        let image = &kustomization["images"][0];
        prop_assert_eq!(&image["name"], answers.image().name());
        if let Some(digest) = answers.image().digest() {
            prop_assert_eq!(&image["digest"], digest);
        } else {
            prop_assert_eq!(&image["newTag"], answers.image().tag().unwrap());
        }
    }

    #[test]
    fn what_runs_and_where_changes_nothing_that_people_read(values in any_answers()) {
        let named = [Name::Project, Name::Image, Name::Registry, Name::SecretName, Name::PodSecurity, Name::Ci];
        let plain: Values =
            values.iter().filter(|(name, _)| named.contains(name)).map(|(name, text)| (*name, text.clone())).collect();
        let (files, plain) = (render(&accepted(&values).unwrap()), render(&accepted(&plain).unwrap()));
        let is_read = |path: &str| ![".gitlab/", "kubernetes/", "secrets/", ".makeinfra.yaml"].iter().any(|own| path.starts_with(own));
        let read: Vec<_> = files.iter().filter(|(path, _)| is_read(path)).collect();
        prop_assert!(read.len() > 5, "{:?}", read);
        for (path, text) in read {
            prop_assert_eq!(text, &plain[path], "{}", path);
        }
    }
}
