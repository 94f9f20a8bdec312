mod round_trip;

use super::super::{Files, WorkTreeFile, rendered};
use super::*;
use crate::answers::{Sheet, from_yaml};
use crate::templates::TemplateSet;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

type Texts = BTreeMap<String, String>;

const STAGING: &str = "kubernetes/overlays/staging/kustomization.yaml";
const STAGING_MK: &str = "kubernetes/overlays/staging/environment.mk";
const STAGING_NS: &str = "kubernetes/overlays/staging/namespace.yaml";
const PRODUCTION: &str = "kubernetes/overlays/production/kustomization.yaml";
const PRODUCTION_MK: &str = "kubernetes/overlays/production/environment.mk";
const PRODUCTION_NS: &str = "kubernetes/overlays/production/namespace.yaml";
const DEPLOYMENT: &str = "kubernetes/base/deployment.yaml";
const INGRESS: &str = "kubernetes/base/ingress.yaml";
const WORKER: &str = "kubernetes/base/worker-deployment.yaml";
const NIGHTLY: &str = "kubernetes/base/nightly-cronjob.yaml";
const API_INGRESS: &str = "kubernetes/base/api-ingress.yaml";

const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// Two environments, an Ingress with TLS, two components with the same image and two with others,
/// one with a digest.
const SHOP: &str = "
project: shop
image: registry.gitlab.com/group/shop:1.0.0
ingress: shop.example.com
tls-issuer: letsencrypt
health-path: /healthz
environments:
  staging: {}
  production: {replicas: 3, context: live}
components:
  worker: {port: ~, args: [work, --queue=mail]}
  nightly: {workload: cronjob, schedule: 0 3 * * *, time-zone: Europe/Berlin, image: 'group/nightly:1.2.0'}
  api:
    image: group/api:2.0.0@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    ingress: api.example.com
";

fn answers(sheet: &str) -> Answers {
    Sheet::from_yaml(from_yaml(sheet).unwrap(), &Name::ALL).unwrap().answers().unwrap()
}

fn texts(answers: &Answers) -> Texts {
    let files = rendered(&TemplateSet::embedded(), answers).unwrap().into_iter();
    files.map(|file| (file.path, file.text.expose().to_owned())).collect()
}

fn files(texts: &Texts) -> Files {
    let mut files = Files::default();
    for (path, text) in texts {
        let content = Ok(Zeroizing::new(text.clone().into_bytes()));
        files.insert(path.clone(), WorkTreeFile { content, executable: false, ignored: false });
    }
    files
}

fn record(texts: &Texts) -> Record {
    Record::parse(texts[Record::FILE].clone()).unwrap()
}

/// A repository after `edits`: the file, its old text, and the new one, replaced everywhere.
fn edited(sheet: &str, edits: &[(&str, &str, &str)]) -> (Record, Texts) {
    let mut texts = texts(&answers(sheet));
    let record = record(&texts);
    for (path, old, new) in edits {
        let text = texts.get_mut(*path).unwrap();
        assert!(text.contains(old), "{path} has no {old:?}:\n{text}");
        *text = text.replace(old, new);
    }
    (record, texts)
}

/// The differences, one line each.
fn described(current: &Current) -> Vec<String> {
    let none = || "none".to_owned();
    let line = |one: &Difference| {
        let place = [
            one.environment.as_ref().map(ToString::to_string),
            one.component.as_ref().map(ToString::to_string),
        ];
        let place: Vec<_> = place.into_iter().flatten().collect();
        let [old, new] =
            [&one.recorded, &one.found].map(|value| value.clone().unwrap_or_else(none));
        format!("{} ({}): {old} -> {new}", one.name.as_str(), place.join(" "))
    };
    current.differences.iter().map(line).collect()
}

/// Asserts that rendering the answers read from an edited repository gives the edited files, with
/// the differences `expected`.
#[track_caller]
fn is_read(edits: &[(&str, &str, &str)], expected: &[&str]) {
    let (record, texts) = edited(SHOP, edits);
    let current = answers_in(&files(&texts), &record);
    let fresh = self::texts(&current.answers);
    for (path, ..) in edits {
        assert_eq!(fresh[*path], texts[*path], "{path}");
    }
    assert_eq!(described(&current), expected);
    // These answers also give a valid record.
    Record::parse(fresh[Record::FILE].clone()).unwrap();
}

/// Asserts that edits are ignored.
#[track_caller]
fn is_recorded(edits: &[(&str, &str, &str)]) {
    let (record, texts) = edited(SHOP, edits);
    let current = answers_in(&files(&texts), &record);
    assert_eq!(described(&current), [""; 0]);
    assert_eq!(current.answers, record.answers);
}

#[test]
fn a_repository_that_nobody_edited_has_the_recorded_answers() {
    let image = "project: shop\nimage: registry.gitlab.com/group/shop:1.0.0\n";
    let digest = format!("project: shop\nimage: 'group/shop@{DIGEST}'\nservice-account: yes\n");
    for sheet in [
        SHOP,
        &digest,
        image,
        &format!("{image}port: ~\nargs: ['a b', '#', \"1e3\"]\nconfig: yes\n"),
        &format!("{image}workload: cronjob\nschedule: '@daily'\n"),
        &format!("{image}workload: job\npod-security: baseline\nenvironments: {{qa: {{}}}}\n"),
        &format!("{image}ingress: '*.example.com'\ntls: yes\n"),
    ] {
        let texts = texts(&answers(sheet));
        let record = record(&texts);
        let current = answers_in(&files(&texts), &record);
        assert_eq!(described(&current), [""; 0], "{sheet}");
        assert_eq!(self::texts(&current.answers), texts, "{sheet}");
        let with_returns =
            texts.iter().map(|(path, text)| (path.clone(), text.replace('\n', "\r\n")));
        let current = answers_in(&files(&with_returns.collect()), &record);
        assert_eq!(current.answers, record.answers, "{sheet}");
    }
}

#[test]
fn tags_and_digests_are_those_of_each_environment() {
    let image = "registry.gitlab.com/group/shop";
    let digest = format!("digest: {}", DIGEST.replace("aa", "bb"));
    let tag = "newTag: \"1.0.0\"";
    let changed = format!("image (staging shop): {image}:1.0.0 -> {image}:2.0.0");
    is_read(&[(STAGING, tag, "newTag: \"2.0.0\"")], &[&changed]);
    is_read(
        &[(STAGING, tag, "newTag: \"2.0.0\""), (PRODUCTION, tag, "newTag: \"1.9.0\"")],
        &[&changed, &format!("image (production shop): {image}:1.0.0 -> {image}:1.9.0")],
    );
    let changed =
        format!("image (staging shop): {image}:1.0.0 -> {image}@{}", DIGEST.replace("aa", "bb"));
    is_read(&[(STAGING, tag, &digest)], &[&changed]);
    // `make set-image` removes the comment after a digest.
    let known = format!("digest: {DIGEST}  # 2.0.0");
    let changed = format!("image (staging api): group/api:2.0.0@{DIGEST} -> group/api:2.1.0");
    is_read(&[(STAGING, &known, "newTag: \"2.1.0\"")], &[&changed]);
    let changed = format!("group/api:2.0.0@{DIGEST} -> group/api@{}", DIGEST.replace("aa", "bb"));
    is_read(&[(STAGING, &known, &digest)], &[&format!("image (staging api): {changed}")]);
    let changed =
        format!("image (staging api): group/api:2.0.0@{DIGEST} -> group/api:2.1.0@{DIGEST}");
    is_read(&[(STAGING, "# 2.0.0", "# 2.1.0")], &[&changed]);
    // Removing the entry also removes the tag.
    let entry = "  - name: group/nightly\n    newTag: \"1.2.0\"\n";
    is_read(&[(STAGING, entry, "")], &["image (staging nightly): group/nightly:1.2.0 -> none"]);
}

#[test]
fn another_image_is_read_from_base() {
    let (old, new) = ("group/nightly", "mirror.example.com/nightly");
    let both = [(NIGHTLY, old, new), (STAGING, old, new), (PRODUCTION, old, new)];
    is_read(&both, &[&format!("image (nightly): {old} -> {new}")]);
    // The image of another component comes with that component's tag.
    let (record, texts) = edited(SHOP, &[(NIGHTLY, old, "registry.gitlab.com/group/shop")]);
    let found = answers_in(&files(&texts), &record).answers;
    assert_eq!(found.components.rest[1].image, found.components.first.image);
    assert_eq!(
        found.environments.first.deployed[1].image,
        found.environments.first.deployed[0].image
    );
    // `newName` is never generated, but the tag beside it is.
    let entry = "name: group/nightly\n    newTag: \"1.2.0\"";
    let named = "name: group/nightly\n    newName: mirror/nightly\n    newTag: \"1.3.0\"";
    let (record, texts) = edited(SHOP, &[(STAGING, entry, named)]);
    let current = answers_in(&files(&texts), &record);
    assert_eq!(
        described(&current),
        ["image (staging nightly): group/nightly:1.2.0 -> group/nightly:1.3.0"]
    );
}

#[test]
fn namespaces_are_read_where_both_files_agree() {
    let names = ["shop-staging", "qa"];
    let edits = [STAGING, STAGING_MK, STAGING_NS].map(|path| (path, names[0], names[1]));
    is_read(&edits, &["namespace (staging): shop-staging -> qa"]);
    for (path, ..) in &edits[..2] {
        is_recorded(&[(path, names[0], names[1])]);
    }
    is_recorded(&[
        (STAGING, "namespace: shop-staging", "# namespace: qa"),
        (STAGING_MK, names[0], "qa"),
    ]);
    is_recorded(&[
        (STAGING, "namespace: shop-staging", "namespace: QA"),
        (STAGING_MK, names[0], "QA"),
    ]);
    // Two environments of a cluster cannot share them.
    let same = |path| (path, "shop-staging", "shop-production");
    is_recorded(&[
        same(STAGING),
        same(STAGING_MK),
        (STAGING_MK, "CONTEXT   :=", "CONTEXT   := live"),
    ]);
}

#[test]
fn settings_are_read_from_environment_mk() {
    is_read(
        &[(STAGING_MK, "CONTEXT   :=", "CONTEXT   := eu/qa")],
        &["context (staging): none -> eu/qa"],
    );
    is_read(&[(PRODUCTION_MK, " live", "")], &["context (production): live -> none"]);
    is_read(
        &[(STAGING_MK, "PROTECTED :=", "PROTECTED := yes")],
        &["protect (staging): false -> true"],
    );
    is_read(&[(PRODUCTION_MK, ":= yes", ":=")], &["protect (production): true -> false"]);
    let (old, new) = ("secrets/kubernetes/staging", "secrets/kubernetes/qa");
    let changed = "secrets (staging): secrets/kubernetes/staging -> secrets/kubernetes/qa";
    is_read(&[(STAGING_MK, old, new), (STAGING, old, new)], &[changed]);
    is_recorded(&[(STAGING_MK, old, new)]);
    is_recorded(&[(STAGING_MK, old, "elsewhere"), (STAGING, old, "elsewhere")]);
    is_recorded(&[(STAGING_MK, "PROTECTED :=", "PROTECTED := # yes")]);
    is_recorded(&[(STAGING_MK, "CONTEXT   :=", "CONTEXT   := $(HERE)")]);
    is_recorded(&[(STAGING_MK, "CONTEXT   :=", "CONTEXT   := a # b")]);
    is_recorded(&[(STAGING_MK, "CONTEXT   :=", "ifdef CI\nCONTEXT   := ci\nendif")]);
    is_recorded(&[(STAGING_MK, "CONTEXT   :=", "HERE      :=")]);
}

#[test]
fn counts_and_hosts_are_read_from_both_layers() {
    is_read(&[(PRODUCTION, "count: 3", "count: 7")], &["replicas (production shop): 3 -> 7"]);
    let own = "replicas:\n  - name: shop\n    count: 1\n  - name: worker\n    count: 4\npatches:";
    let changed = ["replicas (staging shop): 2 -> 1", "replicas (staging worker): 2 -> 4"];
    is_read(&[(STAGING, "patches:", own)], &changed);
    let none = "replicas:\n  - name: shop\n    count: 3\n";
    is_read(&[(PRODUCTION, none, "")], &["replicas (production shop): 3 -> 2"]);
    is_read(&[(DEPLOYMENT, "replicas: 2", "replicas: 5")], &["replicas (shop): 2 -> 5"]);
    is_recorded(&[(PRODUCTION, "count: 3", "count: many")]);
    is_recorded(&[(PRODUCTION, "count: 3", "count: 5000")]);
    is_recorded(&[(DEPLOYMENT, "replicas: 2", "replicas: 5000")]);

    let host = "staging.shop.example.com";
    let changed = [&format!("ingress (staging shop): {host} -> qa.example.com")[..]];
    is_read(&[(STAGING, host, "qa.example.com")], &changed);
    is_read(
        &[(INGRESS, "shop.example.com", "shop.example.org")],
        &["ingress (shop): shop.example.com -> shop.example.org"],
    );
    let tls =
        format!("      - op: replace\n        path: /spec/tls/0/hosts/0\n        value: {host}\n");
    is_read(&[(STAGING, &tls, "")], &["tls (staging shop): true -> false"]);
    // The host and that of the certificate differ.
    is_recorded(&[(STAGING, &tls, &tls.replace(host, "qa.example.com"))]);
    is_recorded(&[(INGRESS, "- host: shop", "- host: www.shop")]);
    is_recorded(&[(STAGING, host, "QA_1")]);
    // No environment can have a subdomain of it.
    is_recorded(&[(API_INGRESS, "api.example.com", "\"*.example.com\"")]);
    // A patch file may do what was removed here.
    let start = "patches:\n  - target:\n      kind: Ingress\n      name: shop\n    patch: |-\n";
    is_recorded(&[(STAGING, start, "patches:\n  - path: hosts.yaml\n  - patch: |-\n")]);
}

#[test]
fn values_of_manifests_are_read_from_base() {
    is_read(
        &[(DEPLOYMENT, "containerPort: 8080", "containerPort: 9090")],
        &["port (shop): 8080 -> 9090"],
    );
    is_read(&[(DEPLOYMENT, "/healthz", "/up")], &["health-path (shop): /healthz -> /up"]);
    let serve = r#"args (worker): ["work","--queue=mail"] -> ["serve"]"#;
    is_read(&[(WORKER, "- work\n            - \"--queue=mail\"", "- serve")], &[serve]);
    let all = "          args:\n            - work\n            - \"--queue=mail\"\n";
    is_read(&[(WORKER, all, "")], &[r#"args (worker): ["work","--queue=mail"] -> none"#]);
    let schedule = "schedule (nightly): 0 3 * * * -> @hourly";
    is_read(&[(NIGHTLY, "\"0 3 * * *\"", "\"@hourly\"")], &[schedule]);
    let zone = "time-zone (nightly): Europe/Berlin -> none";
    is_read(&[(NIGHTLY, "  timeZone: Europe/Berlin\n", "")], &[zone]);
    let issuer = "tls-issuer (shop): letsencrypt -> staging-ca";
    is_read(&[(INGRESS, "letsencrypt", "staging-ca")], &[issuer]);
}

#[test]
fn what_is_not_clear_stays_as_recorded() {
    is_recorded(&[(DEPLOYMENT, "containerPort: 8080", "containerPort: \"9090\"")]);
    is_recorded(&[(DEPLOYMENT, "containerPort: 8080", "containerPort: &port 9090")]);
    is_recorded(&[(DEPLOYMENT, "containerPort: 8080", "containerPort: [9090")]);
    is_recorded(&[(DEPLOYMENT, "- name: shop\n          image", "- name: other\n          image")]);
    is_recorded(&[(
        DEPLOYMENT,
        "/healthz\n              port: http\n            periodSeconds: 5",
        "/up\n              port: http\n            periodSeconds: 5",
    )]);
    is_recorded(&[(WORKER, "- work", "- 1")]);
    is_recorded(&[(NIGHTLY, "\"0 3 * * *\"", "at three")]);
    let tag = "newTag: \"1.0.0\"";
    is_recorded(&[(STAGING, tag, "newTag: 2.0")]);
    is_recorded(&[(STAGING, tag, "newTag: &tag \"2.0.0\"")]);
    is_recorded(&[(STAGING, tag, "newTag: \"2.0.0\"\n\tbroken")]);
    let twice = format!("{tag}\n  - name: registry.gitlab.com/group/shop\n    newTag: \"2.0.0\"");
    is_recorded(&[(STAGING, tag, &twice)]);
    is_recorded(&[(STAGING, tag, &format!("newTag: \"2.0.0\"\n    digest: {DIGEST}"))]);
    // An issuer implies TLS.
    is_recorded(&[(
        INGRESS,
        "  tls:\n    - hosts:\n        - shop.example.com\n      secretName: shop-tls\n",
        "",
    )]);
    // The pods still comply with the stricter standard.
    is_recorded(&[
        (STAGING_NS, "restricted", "baseline"),
        (PRODUCTION_NS, "restricted", "baseline"),
    ]);
}

#[test]
fn files_that_are_missing_say_nothing() {
    let texts = texts(&answers(SHOP));
    let record = record(&texts);
    for (path, _) in texts.iter().filter(|(path, _)| path.starts_with("kubernetes/")) {
        let mut left = texts.clone();
        left.remove(path);
        let current = answers_in(&files(&left), &record);
        assert_eq!(current.answers, record.answers, "{path}");
    }
    assert_eq!(answers_in(&Files::default(), &record).answers, record.answers);
}

#[test]
fn a_manifest_may_hold_more_objects_and_stand_elsewhere() {
    let (record, mut texts) = edited(SHOP, &[(DEPLOYMENT, "replicas: 2", "replicas: 5")]);
    let text =
        format!("# ours\n---\n{}", texts.remove(INGRESS).unwrap().replace("letsencrypt", "ca"));
    let deployment = texts.get_mut(DEPLOYMENT).unwrap();
    deployment.push_str(&text);
    // Of two objects with the same name, the one in the generated file counts.
    let old = deployment.replace("replicas: 5", "replicas: 9");
    let ingress = |text: &str| text[text.find("# ours").unwrap()..].to_owned();
    texts.insert("kubernetes/base/old.yaml".to_owned(), old.replace(&ingress(&old), ""));
    let current = answers_in(&files(&texts), &record);
    assert_eq!(
        described(&current),
        ["replicas (shop): 2 -> 5", "tls-issuer (shop): letsencrypt -> ca"]
    );
}
