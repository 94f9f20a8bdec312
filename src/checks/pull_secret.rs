//! Whether the kubelet finds the pull secrets, can read them, and uses them for every image.

mod present;

use super::rotation::key_for;
use super::{Check, Id, Known, Place, Status, count, or_ok};
use crate::advice::{Advice, shell_word};
use crate::answers::{Answer, DnsLabel, Expiry, RegistryKey};
use crate::git_crypt::UNLOCK;
use crate::inspection::{Inspection, PullSecret, State};
use crate::manifests::{Pull, Workload};
use crate::pull_secret::{Aspect, Flaw, Inspected};
use jiff::Timestamp;
use std::path::Path;

/// How many days before its end a token is worth a warning.
const SOON: i64 = 30;

pub(super) fn checks(inspection: &Inspection, known: &Known, now: Timestamp) -> Vec<Check> {
    let mut checks = present::checks(inspection, known);
    if inspection.pull_secrets.is_empty() {
        if checks.iter().all(|check| check.status == Status::Ok) {
            return checks;
        }
        // Nothing to judge is not the same as nothing wrong.
        let why = "not checked: no pull secret could be read";
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

/// What to type where a rotation would not understand the file.
fn anew(inspection: &Inspection, path: &str) -> Advice {
    match inspection.is_rotated(path) {
        true => Advice::at_top(format!("rm {}", word(path)))
            .and(Place::of_file(inspection, path).of_it(Advice::makeinfra("rotate"))),
        false => Advice::edit(path),
    }
}

fn flaws(inspection: &Inspection, id: Id, aspects: &[Aspect], fine: &str) -> Vec<Check> {
    let mut found = Vec::new();
    for PullSecret { path, secret, .. } in &inspection.pull_secrets {
        let place = Place::of_file(inspection, path);
        for flaw in secret.flaws.iter().filter(|flaw| aspects.contains(&flaw.aspect)) {
            let rotate = format!("{{makeinfra {}}}", rotation(inspection, flaw));
            found.push(match flaw.aspect {
                Aspect::TooMuch => {
                    let hint = format!("{rotate}, with a deploy token");
                    Check::warning(id, path, &flaw.message).hint(place.of_it(hint.as_str()))
                }
                Aspect::Type | Aspect::Wrapping => {
                    Check::problem(id, path, &flaw.message).hint(anew(inspection, path))
                }
                Aspect::Auth | Aspect::Credentials => {
                    Check::problem(id, path, &flaw.message).hint(place.of_it(rotate.as_str()))
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

/// The command that gives the entry of `flaw` other credentials.
fn rotation(inspection: &Inspection, flaw: &Flaw) -> String {
    let record = inspection.record.as_ref().and_then(|record| record.as_ref().ok());
    let own = record.map(|record| record.answers.registry.as_str());
    let other = flaw.key.as_deref().filter(|key| own.is_some_and(|own| own != *key));
    match other.map(RegistryKey::parse) {
        Some(Ok(key)) => format!("rotate --registry {key}"),
        _ => "rotate".to_owned(),
    }
}

/// Whether there is a Secret of each name that a workload names.
fn names(inspection: &Inspection) -> Vec<Check> {
    let id = Id::PullSecretName;
    let locked = inspection.secret_files.iter().find(|file| file.state == State::Locked);
    let mut found = Vec::new();
    for workload in inspection.manifests.workloads() {
        for name in &workload.pull_secrets {
            let own =
                workload.namespace.as_deref().map_or(Vec::new(), |one| inspection.own_pull_secrets(one));
            let is_called = |secret: &&PullSecret| secret.names().any(|other| other == name);
            let elsewhere = !own.iter().any(is_called)
                && inspection.secrets_in(name, workload.namespace.as_deref()).next().is_none();
            if let (Some(secret), true) = (own.first(), elsewhere) {
                let message = format!(
                    "it names the pull secret {}, but its file has {}",
                    quoted(name),
                    secret_title(secret)
                );
                let hint = format!("name: {} in {}", quoted(name).trim_matches('`'), secret.path);
                found.push(of_workload(id, workload, &message).hint(hint));
                continue;
            }
            if inspection.secrets_called(name).next().is_some()
                || inspection.why_closed(workload, name).is_some()
            {
                continue;
            }
            let title = workload_title(workload);
            let wanted = quoted(name);
            if let Some(file) = locked {
                let message = format!(
                    "not checked: the Secret {wanted} that it names may be in `{}`, which is locked",
                    file.path
                );
                found.push(Check::warning(id, title, message).hint(Advice::at_top(UNLOCK)));
                continue;
            }
            let others: Vec<_> = inspection.pull_secrets.iter().map(secret_title).collect();
            let message = format!("it names the pull secret {wanted}, but there is {}", others.join(", "));
            let first = &inspection.pull_secrets[0];
            let hint = match first.secret.name.as_deref().filter(|name| is_name(name)) {
                Some(name) => format!("imagePullSecrets: [{{name: {name}}}] in {}", workload.file).into(),
                None => Advice::edit(&first.path),
            };
            found.push(of_workload(id, workload, &message).hint(hint));
        }
    }
    or_ok(found, || {
        Check::ok(id, secret_title(&inspection.pull_secrets[0]), "is called as the workloads name it")
    })
}

/// Whether it is there where the pods are.
fn namespaces(inspection: &Inspection) -> Vec<Check> {
    let id = Id::PullSecretNamespace;
    let mut found = Vec::new();
    for workload in inspection.manifests.workloads() {
        let Some(wanted) = workload.namespace.as_deref() else { continue };
        let own = inspection.own_pull_secrets(wanted);
        for name in &workload.pull_secrets {
            let called: Vec<_> = inspection.secrets_called(name).collect();
            let elsewhere: Vec<_> =
                called.iter().filter_map(|secret| Some((secret, inspection.namespace(secret)?))).collect();
            // That of another environment is right where it is.
            let is_own = |(secret, _): &&(&&PullSecret, &str)| own.iter().any(|own| own.path == secret.path);
            let first = match Place::of_namespace(inspection, wanted).is_known() {
                true => elsewhere.iter().find(is_own),
                false => elsewhere.first(),
            };
            let Some((secret, other)) = first.copied() else { continue };
            // One that names no namespace goes wherever kubectl is told.
            let is_there = inspection.secrets_in(name, Some(wanted)).next().is_some();
            if elsewhere.len() < called.len() || is_there || inspection.why_closed(workload, name).is_some() {
                continue;
            }
            let (wanted, name, other) = (quoted(wanted), quoted(name), quoted(other));
            let message = format!("it runs in namespace {wanted}, but the Secret {name} is in {other}");
            let hint = match inspection.is_deployed(secret) {
                // The kustomization's namespace wins over that of its file.
                true => format!("list {} in the kustomization for namespace {wanted}, too", secret.path),
                false => format!("namespace: {} in {}", wanted.trim_matches('`'), secret.path),
            };
            found.push(of_workload(id, workload, &message).hint(hint));
        }
    }
    or_ok(found, || {
        Check::ok(id, secret_title(&inspection.pull_secrets[0]), "is in the namespace of the workloads")
    })
}

/// The kubelet's own rule, for every image of every workload.
fn matches(inspection: &Inspection, known: &Known) -> Vec<Check> {
    let id = Id::PullSecretMatchesImages;
    let mut found = Vec::new();
    let mut images = 0;
    for pull in inspection.manifests.pulls().filter(|pull| !known.is_public(pull.image)) {
        if let Some((name, why)) = closed(inspection, &pull) {
            let message =
                format!("not checked: what is in the pull secret {} is not known, since {why}", quoted(name));
            found.push(Check::warning(id, workload_title(pull.workload), message));
            continue;
        }
        if let Some(account) = &pull.workload.unknown_account {
            let message =
                format!("not checked: its service account {} may name a pull secret", quoted(account));
            found.push(Check::warning(id, workload_title(pull.workload), message));
            continue;
        }
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
        Check::ok(id, secret_title(&inspection.pull_secrets[0]), message)
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
    let rotate = key_for(inspection, image, secrets);
    of_workload(Id::PullSecretMatchesImages, pull.workload, &message)
        .hint(rotate.aside(format!("if anybody may pull it: --public {}", image.name())))
}

/// A pull secret of `pull` that nobody can look into, and why, where none of the others has an entry for the image.
pub(super) fn closed<'p>(inspection: &Inspection, pull: &Pull<'p>) -> Option<(&'p str, String)> {
    let image = pull.image.normalized_name();
    if inspection.secrets_for(pull).iter().any(|secret| secret.secret.serves(&image)) {
        return None;
    }
    pull.pull_secrets
        .iter()
        .find_map(|name| Some((name.as_str(), inspection.why_closed(pull.workload, name)?)))
}

/// The Secrets that the kubelet would look into; where they are not as they are named, which is said
/// elsewhere, those that were meant.
pub(super) fn candidates<'i>(inspection: &'i Inspection, pull: &Pull) -> Vec<&'i PullSecret> {
    let anywhere = || pull.pull_secrets.iter().flat_map(|name| inspection.secrets_called(name)).collect();
    let sets: [&dyn Fn() -> Vec<&'i PullSecret>; 3] =
        [&|| inspection.secrets_for(pull), &anywhere, &|| inspection.pull_secrets.iter().collect()];
    sets.iter().map(|set| set()).find(|set| !set.is_empty()).unwrap_or_default()
}

fn expiry(inspection: &Inspection, now: Timestamp) -> Vec<Check> {
    let id = Id::PullSecretExpiry;
    let mut found = Vec::new();
    let mut fine = String::new();
    // One token for all is rotated once.
    let secrets = &inspection.pull_secrets;
    let is_shared = secrets.len() > 1 && secrets.iter().all(|one| one.secret.holds_as(&secrets[0].secret));
    for PullSecret { path, secret, .. } in secrets {
        let place = Place::of_file(inspection, path);
        let of_it = |hint: &str| if is_shared { Advice::from(hint) } else { place.of_it(hint) };
        if secret.expires_at.is_none() {
            let message = "no expiry is recorded: nothing will warn before the token expires";
            // makeinfra writes no Secret of a repository without a record.
            found.push(match inspection.record {
                Some(_) => Check::warning(id, path, message).hint(
                    of_it("{makeinfra rotate --keep-token --expires-at YYYY-MM-DD}")
                        .aside("or `never`, if it does not expire"),
                ),
                None => Check::note(id, path, message)
                    .hint("give it the annotation `makeinfra/expires-at: YYYY-MM-DD`"),
            });
        }
        if secret.expires_at.is_some() || inspection.record.is_some() {
            for key in silent(inspection, secret) {
                let message = format!(
                    "no expiry of the token of `{key}` is recorded: nothing will warn before it expires"
                );
                found.push(match inspection.record {
                    Some(_) => Check::warning(id, path, message).hint(
                        of_it(&format!(
                            "{{makeinfra rotate --registry {key} --keep-token --expires-at YYYY-MM-DD}}"
                        ))
                        .aside("or `never`, if it does not expire"),
                    ),
                    None => Check::note(id, path, message)
                        .hint(format!("add {key}=YYYY-MM-DD to its annotation `makeinfra/other-expiries`")),
                });
            }
        }
        let own = secret.expires_at.iter().map(|date| (None, date.as_str()));
        let others = secret.other_expiries.iter().map(|(key, date)| (RegistryKey::parse(key).ok(), date));
        for (key, text) in own.chain(others) {
            let of = key.as_ref().map_or(String::new(), |key| format!(" of `{key}`"));
            let make = if key.is_none() { "make a new deploy token in GitLab" } else { "make a new token" };
            let rotate = key.map_or("rotate".to_owned(), |key| format!("rotate --registry {key}"));
            let Ok(expiry) = Expiry::parse(text) else {
                let hint = of_it(&format!("{{makeinfra {rotate} --expires-at YYYY-MM-DD}}"));
                let message = format!("its expiry of the token{of} is not a date");
                found.push(Check::warning(id, path, message).hint(hint));
                continue;
            };
            let days = expiry.days_left(now);
            fine = match expiry.is_never() {
                true => format!("the token{of} does not expire"),
                false => format!("the token{of} lasts until {expiry}"),
            };
            let deploy = if is_shared { ", and deploy to each environment" } else { " && {make deploy}" };
            let hint = of_it(&format!("{make}, then: {{makeinfra {rotate} --commit}}{deploy}"));
            if days < 0 {
                let message = format!("the token{of} expired on {expiry}");
                found.push(Check::problem(id, path, message).hint(hint));
            } else if days <= SOON {
                let left = count(usize::try_from(days).unwrap_or(0), "day");
                let message = format!("the token{of} expires on {expiry}, in {left}");
                found.push(Check::warning(id, path, message).hint(hint));
            }
        }
    }
    or_ok(found, || Check::ok(id, &inspection.pull_secrets[0].path, fine))
}

/// The keys of the entries beside the project's own whose token nobody knows the end of.
fn silent(inspection: &Inspection, secret: &Inspected) -> Vec<RegistryKey> {
    let Some(config) = secret.config() else { return Vec::new() };
    let record = inspection.record.as_ref().and_then(|record| record.as_ref().ok());
    let recorded = record.map(|record| record.answers.registry.as_str());
    let own = config.keys().find(|key| Some(*key) == recorded).or_else(|| config.keys().next());
    let is_silent = |key: &&str| {
        let shares = own.is_some_and(|own| config.shares(key, config, own)) && secret.expires_at.is_some();
        Some(*key) != own && !shares && secret.other_expiries.of(key).is_none()
    };
    config.keys().filter(is_silent).filter_map(|key| RegistryKey::parse(key).ok()).collect()
}

/// How a Secret is called in a sentence.
fn secret_title(secret: &PullSecret) -> String {
    format!("Secret {}", secret.secret.name.as_deref().map_or("without a name".to_owned(), quoted))
}

pub(super) fn workload_title(workload: &Workload) -> String {
    let name = if is_name(&workload.name) { &workload.name } else { "without a proper name" };
    let is_kind = workload.kind.len() <= 63 && workload.kind.bytes().all(|byte| byte.is_ascii_alphanumeric());
    format!("{} {name}", if is_kind { &workload.kind } else { "object" })
}

/// A problem of `workload`; only a warning if more files decide it than could be read.
pub(super) fn of_workload(id: Id, workload: &Workload, message: &str) -> Check {
    let title = workload_title(workload);
    match &workload.unsure {
        None => Check::problem(id, title, message),
        Some(file) => Check::warning(id, title, format!("{message}; `{file}` may change that")),
    }
}

/// A name, if it is one: the files could have the token in its place.
pub(super) fn quoted(name: &str) -> String {
    if is_name(name) { format!("`{name}`") } else { "that is not a name".to_owned() }
}

/// Whether `name` is a DNS subdomain (RFC 1123), as the names of objects are.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(|label| DnsLabel::parse(label).is_ok())
}

fn word(path: &str) -> String {
    shell_word(Path::new(path))
}
