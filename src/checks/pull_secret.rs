//! Whether the kubelet finds the pull secrets, can read them, and uses them for every image.

use super::{Check, Id, Known, count, manifests::is_public, or_ok};
use crate::answers::{Answer, DnsLabel, Expiry, RegistryKey};
use crate::files::shell_word;
use crate::inspection::{Inspection, PullSecret, SecretFile, State};
use crate::manifests::Pull;
use crate::pull_secret::Aspect;
use jiff::Timestamp;
use std::path::Path;

/// How many days before its end a token is worth a warning.
const SOON: i64 = 30;

pub(super) fn checks(inspection: &Inspection, known: &Known, now: Timestamp) -> Vec<Check> {
    let mut checks = present(inspection);
    if inspection.pull_secrets.is_empty() {
        // Nothing to judge is not the same as nothing wrong.
        let why = "not checked: there is no pull secret that could be read";
        let ids = Id::ALL.iter().filter(|id| **id > Id::PullSecretPresent && **id <= Id::PullSecretExpiry);
        checks.extend(ids.map(|id| Check::warning(*id, "pull secret", why)));
        return checks;
    }
    for (id, aspects, fine) in [
        (Id::PullSecretType, &[Aspect::Type][..], "type and data key agree"),
        (Id::PullSecretWrapping, &[Aspect::Wrapping], "its entries are wrapped as its type wants"),
        (Id::PullSecretAuth, &[Aspect::Auth], "`auth` is what user name and token say"),
        (Id::PullSecretCredentials, &[Aspect::Credentials, Aspect::TooMuch], "has credentials that last"),
    ] {
        checks.extend(flaws(inspection, id, aspects, fine));
    }
    checks.extend(names(inspection));
    checks.extend(namespaces(inspection));
    checks.extend(matches(inspection, known));
    checks.extend(expiry(inspection, now));
    checks
}

fn present(inspection: &Inspection) -> Vec<Check> {
    let id = Id::PullSecretPresent;
    let has = |file: &&SecretFile| inspection.pull_secrets.iter().any(|secret| secret.path == file.path);
    let expected = inspection.secret_files.iter().filter(|file| file.expected && !has(file));
    let mut found: Vec<_> = expected.map(|file| missing(inspection, file)).collect();
    let locked = |file: &&SecretFile| file.state == State::Locked && !file.expected;
    if inspection.pull_secrets.is_empty() && found.is_empty() {
        found.push(match inspection.secret_files.iter().find(locked) {
            Some(file) => missing(inspection, file),
            None => Check::problem(
                id,
                inspection.default_secret_file(),
                "there is no pull secret in this repository",
            )
            .hint("makeinfra check --secret FILE, or makeinfra rotate"),
        });
    }
    or_ok(found, || {
        let names: Vec<_> = inspection.pull_secrets.iter().map(title).collect();
        Check::ok(id, inspection.pull_secrets[0].path.clone(), format!("holds {}", names.join(", ")))
    })
}

/// A secret file without a pull secret in it.
fn missing(inspection: &Inspection, file: &SecretFile) -> Check {
    let id = Id::PullSecretPresent;
    let rotate =
        if inspection.record.is_some() { "makeinfra rotate" } else { "makeinfra check --secret FILE" };
    match file.state {
        State::Locked => Check::warning(id, &file.path, "it is locked: what is in it was not checked")
            .hint("git-crypt unlock KEY_FILE"),
        State::Absent => {
            Check::problem(id, &file.path, "it is not there: the kubelet pulls without credentials")
                .hint(rotate)
        }
        State::Unread(why) => Check::problem(id, &file.path, why).hint(format!("ls -l {}", word(&file.path))),
        State::NotYaml => Check::problem(id, &file.path, "it is not YAML").hint(anew(inspection, &file.path)),
        State::Plain | State::Opened => {
            Check::problem(id, &file.path, "it holds no pull secret").hint(anew(inspection, &file.path))
        }
    }
}

/// What to type where a rotation would not understand the file.
fn anew(inspection: &Inspection, path: &str) -> String {
    let ours = inspection.record.is_some() && path == inspection.default_secret_file();
    match ours {
        true => format!("rm {} && makeinfra rotate", word(path)),
        false => format!("$EDITOR {}", word(path)),
    }
}

fn flaws(inspection: &Inspection, id: Id, aspects: &[Aspect], fine: &str) -> Vec<Check> {
    let mut found = Vec::new();
    for PullSecret { path, secret } in &inspection.pull_secrets {
        for flaw in secret.flaws.iter().filter(|flaw| aspects.contains(&flaw.aspect)) {
            found.push(match flaw.aspect {
                Aspect::TooMuch => {
                    Check::warning(id, path, &flaw.message).hint("makeinfra rotate, with a deploy token")
                }
                Aspect::Type | Aspect::Wrapping => {
                    Check::problem(id, path, &flaw.message).hint(anew(inspection, path))
                }
                Aspect::Auth | Aspect::Credentials => {
                    Check::problem(id, path, &flaw.message).hint("makeinfra rotate")
                }
            });
        }
    }
    // What stands before it in the Secret hides the rest.
    let unread = |secret: &&PullSecret| match aspects[0] {
        Aspect::Type => false,
        Aspect::Wrapping => secret.secret.flaws.iter().any(|flaw| flaw.aspect == Aspect::Type),
        _ => !secret.secret.is_readable(),
    };
    if let (true, Some(secret)) = (found.is_empty(), inspection.pull_secrets.iter().find(unread)) {
        found.push(Check::warning(id, &secret.path, "not checked: the kubelet does not get that far"));
    }
    or_ok(found, || Check::ok(id, &inspection.pull_secrets[0].path, fine))
}

/// Whether there is a Secret of each name that a workload names.
fn names(inspection: &Inspection) -> Vec<Check> {
    let id = Id::PullSecretName;
    let mut found = Vec::new();
    for workload in inspection.manifests.workloads() {
        for name in &workload.pull_secrets {
            if secrets_called(inspection, name).next().is_none() {
                let others: Vec<_> = inspection.pull_secrets.iter().map(title).collect();
                let message = format!(
                    "it names the pull secret {}, but the repository has {}",
                    quoted(name),
                    others.join(", ")
                );
                let hint = match &inspection.pull_secrets[0].secret.name {
                    Some(name) if DnsLabel::parse(name).is_ok() => {
                        format!("imagePullSecrets: [{{name: {name}}}] in {}", workload.file)
                    }
                    _ => format!("$EDITOR {}", word(&inspection.pull_secrets[0].path)),
                };
                found.push(Check::problem(id, workload_title(workload), message).hint(hint));
            }
        }
    }
    or_ok(found, || Check::ok(id, title(&inspection.pull_secrets[0]), "is called as the workloads name it"))
}

/// Whether it is there where the pods are.
fn namespaces(inspection: &Inspection) -> Vec<Check> {
    let id = Id::PullSecretNamespace;
    let mut found = Vec::new();
    for workload in inspection.manifests.workloads() {
        let Some(wanted) = &workload.namespace else { continue };
        for name in &workload.pull_secrets {
            let there: Vec<_> = secrets_called(inspection, name).collect();
            let elsewhere: Vec<_> = there.iter().filter_map(|secret| namespace(inspection, secret)).collect();
            // One that names no namespace goes wherever kubectl is told.
            if elsewhere.len() < there.len() || there.is_empty() || elsewhere.contains(wanted) {
                continue;
            }
            let message = format!(
                "it runs in namespace {}, but the Secret {} is in {}",
                quoted(wanted),
                quoted(name),
                quoted(&elsewhere[0])
            );
            let hint = format!("namespace: {wanted} in {}", there[0].path);
            found.push(Check::problem(id, workload_title(workload), message).hint(hint));
        }
    }
    or_ok(found, || Check::ok(id, title(&inspection.pull_secrets[0]), "is in the namespace of the workloads"))
}

/// The kubelet's own rule, for every image of every workload.
fn matches(inspection: &Inspection, known: &Known) -> Vec<Check> {
    let id = Id::PullSecretMatchesImages;
    let mut found = Vec::new();
    let mut images = 0;
    for pull in inspection.manifests.pulls().filter(|pull| !is_public(pull.image, known)) {
        let secrets = candidates(inspection, &pull);
        if !secrets.iter().any(|secret| secret.secret.is_readable()) {
            let why = "not checked: the kubelet cannot read its pull secret";
            found.push(Check::warning(id, workload_title(pull.workload), why));
            continue;
        }
        images += 1;
        let name = pull.image.normalized_name();
        if !secrets.iter().any(|secret| secret.secret.serves(&name)) {
            found.push(unmatched(inspection, &pull, &secrets));
        }
    }
    found.dedup();
    or_ok(found, || {
        let message = format!("has credentials for {}, by the kubelet's own rule", count(images, "image"));
        Check::ok(id, title(&inspection.pull_secrets[0]), message)
    })
}

fn unmatched(inspection: &Inspection, pull: &Pull, secrets: &[&PullSecret]) -> Check {
    let keys =
        secrets.iter().flat_map(|secret| secret.secret.keys()).map(|key| match RegistryKey::parse(key) {
            Ok(key) => format!("`{key}`"),
            // A key with a user and a password in it is none of ours, and is not shown.
            Err(_) => "one that no registry has".to_owned(),
        });
    let keys: Vec<_> = keys.collect();
    let keys = if keys.is_empty() { "none".to_owned() } else { keys.join(", ") };
    let image = pull.image;
    let message = format!(
        "no registry key matches `{image}`, so the kubelet pulls it without credentials; there is {keys}"
    );
    let rotate = match inspection.record {
        Some(_) => format!("makeinfra rotate --registry {}", RegistryKey::for_image(image)),
        None => format!("registry key {} in {}", RegistryKey::for_image(image), secrets[0].path),
    };
    Check::problem(Id::PullSecretMatchesImages, workload_title(pull.workload), message)
        .hint(format!("{rotate}; if anybody may pull it: --public {}", image.name()))
}

/// The Secrets that the kubelet would look into; where they are not as they are named, which is said
/// elsewhere, those that were meant.
fn candidates<'i>(inspection: &'i Inspection, pull: &Pull) -> Vec<&'i PullSecret> {
    let named = |secret: &&PullSecret| {
        secret.secret.name.as_ref().is_some_and(|name| pull.pull_secrets.contains(name))
    };
    let here = |secret: &&PullSecret| {
        let of = namespace(inspection, secret);
        of.is_none() || pull.namespace.is_none() || of.as_deref() == pull.namespace
    };
    let all = &inspection.pull_secrets;
    let sets: [Vec<&PullSecret>; 3] = [
        all.iter().filter(named).filter(here).collect(),
        all.iter().filter(named).collect(),
        all.iter().collect(),
    ];
    sets.into_iter().find(|set| !set.is_empty()).unwrap_or_default()
}

fn expiry(inspection: &Inspection, now: Timestamp) -> Vec<Check> {
    let id = Id::PullSecretExpiry;
    let mut found = Vec::new();
    let mut fine = "no expiry is recorded".to_owned();
    for PullSecret { path, secret } in &inspection.pull_secrets {
        let Some(text) = &secret.expires_at else { continue };
        let Ok(expiry) = Expiry::parse(text) else {
            let hint = "makeinfra rotate --expires-at YYYY-MM-DD";
            found.push(Check::warning(id, path, "its `makeinfra/expires-at` is no date").hint(hint));
            continue;
        };
        let days = expiry.days_left(now);
        fine = format!("the token lasts until {expiry}");
        let hint = "make a new deploy token in GitLab, then: makeinfra rotate --commit && make deploy";
        if days < 0 {
            found.push(Check::problem(id, path, format!("the token expired on {expiry}")).hint(hint));
        } else if days <= SOON {
            let left = count(usize::try_from(days).unwrap_or(0), "day");
            found.push(
                Check::warning(id, path, format!("the token expires on {expiry}, in {left}")).hint(hint),
            );
        }
    }
    or_ok(found, || Check::ok(id, &inspection.pull_secrets[0].path, fine))
}

fn secrets_called<'i>(inspection: &'i Inspection, name: &'i str) -> impl Iterator<Item = &'i PullSecret> {
    inspection.pull_secrets.iter().filter(move |secret| secret.secret.name.as_deref() == Some(name))
}

/// The namespace of a Secret: the kustomization's, if one deploys it, else the file's.
fn namespace(inspection: &Inspection, secret: &PullSecret) -> Option<String> {
    let mut deployed = inspection.manifests.overlays.iter().flat_map(|overlay| &overlay.secrets);
    deployed
        .find(|found| found.file == secret.path && Some(&found.name) == secret.secret.name.as_ref())
        .map_or_else(|| secret.secret.namespace.clone(), |found| found.namespace.clone())
}

/// How a Secret is called in a sentence.
fn title(secret: &PullSecret) -> String {
    format!("Secret {}", secret.secret.name.as_deref().map_or("without a name".to_owned(), quoted))
}

pub(super) fn workload_title(workload: &crate::manifests::Workload) -> String {
    format!("{} {}", workload.kind, workload.name)
}

/// A name, if it is one: the files could have the token in its place.
fn quoted(name: &str) -> String {
    let label = |part: &str| DnsLabel::parse(part).is_ok();
    if name.len() <= 253 && name.split('.').all(label) {
        format!("`{name}`")
    } else {
        "that is no name".to_owned()
    }
}

fn word(path: &str) -> String {
    shell_word(Path::new(path))
}
