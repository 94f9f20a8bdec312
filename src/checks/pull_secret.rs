//! Whether the kubelet can find and read the pull secrets, and uses them for every image.

mod expiry;
mod named;
mod present;

use super::rotation::key_for;
use super::{Check, EnvironmentHint, ExternalFacts, Id, Status, count, or_ok, write};
use crate::advice::{Advice, shell_word};
use crate::answers::{Answer, DnsLabel, RegistryKey, SecretType};
use crate::inspection::{Inspection, PullSecret};
use crate::manifests::{ImagePull, Input, Origin, Workload};
use crate::pull_secret::{Aspect, Flaw, keyring};
use jiff::Timestamp;
use std::path::Path;

pub(super) fn checks(inspection: &Inspection, known: &ExternalFacts, now: Timestamp) -> Vec<Check> {
    let mut checks = present::checks(inspection, known);
    if inspection.pull_secrets.is_empty() {
        if checks.iter().all(|check| check.status == Status::Ok) {
            return checks;
        }
        // Reported, because having nothing to judge does not mean that nothing is wrong.
        let why = "not checked: no pull secret could be read";
        let ids = Id::ALL
            .iter()
            .filter(|id| **id > Id::PullSecretPresent && **id <= Id::PullSecretExpiry);
        checks.extend(ids.map(|id| Check::warning(*id, "pull secret", why)));
        return checks;
    }
    for (id, aspects, fine) in [
        (Id::PullSecretType, &[Aspect::Type][..], "type and data key agree"),
        (Id::PullSecretWrapping, &[Aspect::Wrapping], "entries are wrapped as the type requires"),
        (Id::PullSecretAuth, &[Aspect::Auth], "`auth` matches user name and token"),
        (
            Id::PullSecretCredentials,
            &[Aspect::Credentials, Aspect::TooMuch],
            "credentials are not short-lived",
        ),
    ] {
        checks.extend(flaws(inspection, id, aspects, fine));
    }
    checks.extend(named::names(inspection, known));
    checks.extend(named::namespaces(inspection));
    checks.extend(matches(inspection, known));
    checks.extend(expiry::checks(inspection, now));
    checks
}

/// What to type if a rotation could not edit the file.
fn new_token_hint(inspection: &Inspection, path: &str) -> Advice {
    if inspection.is_rotated(path) {
        Advice::at_top(format!("rm {}", word(path)))
            .and(EnvironmentHint::of_file(inspection, path).with_env(Advice::makeinfra("rotate")))
    } else {
        Advice::edit(path)
    }
}

fn flaws(inspection: &Inspection, id: Id, aspects: &[Aspect], fine: &str) -> Vec<Check> {
    let mut found = Vec::new();
    for PullSecret { path, secret, .. } in &inspection.pull_secrets {
        let place = EnvironmentHint::of_file(inspection, path);
        for flaw in secret.flaws.iter().filter(|flaw| aspects.contains(&flaw.aspect)) {
            let rotate = format!("{{makeinfra {}}}", rotation(inspection, flaw));
            // A rotation only knows the files in the record.
            let or_edit = |hint: &str| {
                if inspection.is_rotated(path) { place.with_env(hint) } else { Advice::edit(path) }
            };
            if let (Aspect::Type, Some((file, line))) = (flaw.aspect, generated(inspection, path)) {
                found.push(Check::problem(id, &file, &flaw.message).hint(write(&line, &file)));
                continue;
            }
            found.push(match flaw.aspect {
                Aspect::TooMuch => {
                    let hint = format!("{rotate}, with a deploy token");
                    Check::warning(id, path, &flaw.message).hint(or_edit(&hint))
                }
                Aspect::Type | Aspect::Wrapping => {
                    Check::problem(id, path, &flaw.message).hint(new_token_hint(inspection, path))
                }
                Aspect::Auth | Aspect::Credentials => {
                    Check::problem(id, path, &flaw.message).hint(or_edit(&rotate))
                }
            });
        }
    }
    // An earlier aspect that fails hides the later ones.
    let unread = |secret: &&PullSecret| match aspects[0] {
        Aspect::Type => false,
        Aspect::Wrapping => secret.secret.flaws.iter().any(|flaw| flaw.aspect == Aspect::Type),
        _ => !secret.secret.is_readable(),
    };
    if let (true, Some(secret)) = (found.is_empty(), inspection.pull_secrets.iter().find(unread)) {
        found.push(Check::warning(id, &secret.path, "not checked because of the problem above"));
    }
    or_ok(found, || Check::ok(id, &inspection.pull_secrets[0].path, fine))
}

/// The kustomization that generates a pull secret from the file `path` with a key or type that does
/// not match it, and the correct line; `None` if there is none.
fn generated(inspection: &Inspection, path: &str) -> Option<(String, String)> {
    let secrets = inspection.manifests.overlays.iter().flat_map(|overlay| &overlay.secrets);
    secrets.into_iter().find_map(|secret| {
        let Origin::Generated(generated) = &secret.origin else { return None };
        let is_it =
            |input: &Option<Input>| matches!(input, Some(Input::File(file)) if file == path);
        let (key, _) = generated.inputs.iter().find(|(_, input)| is_it(input))?;
        let kind =
            SecretType::ALL.into_iter().find(|kind| kind.kubernetes_type() == generated.kind);
        let line = match kind {
            Some(kind) => {
                let dir = secret.file.rsplit_once('/').map_or("", |(dir, _)| dir);
                let written = Path::new(path).strip_prefix(dir).ok()?.display();
                format!("files: [{}={written}]", kind.data_key())
            }
            None => {
                let kind = SecretType::ALL.into_iter().find(|kind| kind.data_key() == key)?;
                format!("type: {}", kind.kubernetes_type())
            }
        };
        Some((secret.file.clone(), line))
    })
}

/// The command that replaces the credentials in the entry of `flaw`.
fn rotation(inspection: &Inspection, flaw: &Flaw) -> String {
    let record = inspection.record.as_ref().and_then(|record| record.as_ref().ok());
    let own = record.map(|record| record.answers.registry.as_str());
    let other = flaw.key.as_deref().filter(|key| own.is_some_and(|own| own != *key));
    match other.map(RegistryKey::parse) {
        Some(Ok(key)) => format!("rotate --registry {key}"),
        _ => "rotate".to_owned(),
    }
}

/// Applies the kubelet's own rule to every image of every workload.
fn matches(inspection: &Inspection, known: &ExternalFacts) -> Vec<Check> {
    let id = Id::PullSecretMatchesImages;
    let mut found = Vec::new();
    let mut images = 0;
    for pull in inspection.manifests.pulls().filter(|pull| !known.is_public(pull.image)) {
        if let Some((name, why)) = closed(inspection, &pull) {
            let message = format!(
                "not checked: the content of the pull secret {} is unknown: {why}",
                quoted(name)
            );
            found.push(Check::warning(id, workload_title(pull.workload), message));
            continue;
        }
        if let Some(account) = &pull.workload.unknown_account {
            let message = format!(
                "not checked: its service account {} may name a pull secret",
                quoted(account)
            );
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
        let message =
            format!("has credentials for {} by the kubelet's own rule", count(images, "image"));
        Check::ok(id, secret_title(&inspection.pull_secrets[0]), message)
    })
}

fn unmatched(inspection: &Inspection, pull: &ImagePull, secrets: &[&PullSecret]) -> Check {
    let keys =
        secrets.iter().flat_map(|secret| secret.secret.keys()).map(|key| match RegistryKey::parse(
            key,
        ) {
            Ok(key) => format!("`{key}`"),
            // A key that contains a user and a password was not written by makeinfra and is not
            // shown.
            Err(_) => "one that no registry has".to_owned(),
        });
    let keys: Vec<_> = keys.collect();
    let keys = if keys.is_empty() { "none".to_owned() } else { keys.join(", ") };
    let image = pull.image;
    let lower = secrets.iter().flat_map(|secret| secret.secret.keys()).map(str::to_ascii_lowercase);
    let mut meant = lower.filter(|key| keyring::matches_name(key, &image.normalized_name()));
    let meant = meant.find_map(|key| RegistryKey::parse(&key).ok());
    let message = meant.map(|key| {
        format!(
            "the registry key `{key}` contains capital letters, so the kubelet does not find it \
             for `{image}`"
        )
    });
    let message = message.unwrap_or_else(|| {
        format!(
            "no registry key matches `{image}`, so the kubelet pulls it without credentials; found \
             {keys}"
        )
    });
    let rotate = key_for(inspection, image, secrets);
    of_workload(Id::PullSecretMatchesImages, pull.workload, &message)
        .hint(rotate.aside(format!("if the image is public: --public {}", image.name())))
}

/// A pull secret of `pull` whose content is undetermined, and why; `None` if another one has an
/// entry for the image.
pub(super) fn closed<'p>(
    inspection: &Inspection,
    pull: &ImagePull<'p>,
) -> Option<(&'p str, String)> {
    let image = pull.image.normalized_name();
    if inspection.secrets_for(pull).iter().any(|secret| secret.secret.serves(&image)) {
        return None;
    }
    pull.pull_secrets
        .iter()
        .find_map(|name| Some((name.as_str(), why_unknown(inspection, pull.workload, name)?)))
}

/// Why the content of the pull secret `name` of `workload` is undetermined, as a sentence about it.
fn why_unknown(inspection: &Inspection, workload: &Workload, name: &str) -> Option<String> {
    let is_nowhere = || {
        inspection.record.is_none()
            && inspection.secrets_called(name).next().is_none()
            && inspection.manifests.secrets_called(name).next().is_none()
    };
    let closed = inspection.why_closed(workload, name);
    closed.or_else(|| is_nowhere().then(|| "not found in these files".to_owned()))
}

/// The Secrets that the kubelet would read. If there are none of these names, which another check
/// reports, the ones that were probably intended.
pub(super) fn candidates<'i>(inspection: &'i Inspection, pull: &ImagePull) -> Vec<&'i PullSecret> {
    let anywhere =
        || pull.pull_secrets.iter().flat_map(|name| inspection.secrets_called(name)).collect();
    let sets: [&dyn Fn() -> Vec<&'i PullSecret>; 3] =
        [&|| inspection.secrets_for(pull), &anywhere, &|| inspection.pull_secrets.iter().collect()];
    sets.iter().map(|set| set()).find(|set| !set.is_empty()).unwrap_or_default()
}

/// The Secret's designation in a sentence.
fn secret_title(secret: &PullSecret) -> String {
    format!("Secret {}", secret.secret.name.as_deref().map_or("without a name".to_owned(), quoted))
}

pub(super) fn workload_title(workload: &Workload) -> String {
    let name = if is_name(&workload.name) { &workload.name } else { "without a proper name" };
    let is_kind =
        workload.kind.len() <= 63 && workload.kind.bytes().all(|byte| byte.is_ascii_alphanumeric());
    format!("{} {name}", if is_kind { &workload.kind } else { "object" })
}

/// A problem of `workload`; only a warning if it also depends on files that could not be read.
pub(super) fn of_workload(id: Id, workload: &Workload, message: &str) -> Check {
    let title = workload_title(workload);
    match &workload.unsure {
        None => Check::problem(id, title, message),
        Some(file) => Check::warning(id, title, format!("{message}; `{file}` may change that")),
    }
}

/// A name in quotes if it is valid: a file could have the token in its place.
pub(super) fn quoted(name: &str) -> String {
    if is_name(name) { format!("`{name}`") } else { "with an invalid name".to_owned() }
}

/// Whether `name` is a DNS subdomain (RFC 1123), as the names of objects are.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(|label| DnsLabel::parse(label).is_ok())
}

fn word(path: &str) -> String {
    shell_word(Path::new(path))
}
