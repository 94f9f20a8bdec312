//! Whether there will be a warning before a token expires.

use super::{Check, EnvironmentHint, Id, count, or_ok};
use crate::advice::Advice;
use crate::answers::{Answer, Expiry, RegistryKey};
use crate::inspection::{Inspection, PullSecret};
use crate::pull_secret::Inspected;
use jiff::Timestamp;

/// How many days before its expiry a token deserves a warning.
const SOON: i64 = 30;

pub(super) fn checks(inspection: &Inspection, now: Timestamp) -> Vec<Check> {
    let id = Id::PullSecretExpiry;
    let mut found = Vec::new();
    let mut fine = String::new();
    // A token that all environments share is rotated once.
    let secrets = &inspection.pull_secrets;
    let is_shared =
        secrets.len() > 1 && secrets.iter().all(|one| one.secret.holds_as(&secrets[0].secret));
    for PullSecret { path, secret, .. } in secrets {
        let place = EnvironmentHint::of_file(inspection, path);
        let with_env =
            |hint: &str| if is_shared { Advice::from(hint) } else { place.with_env(hint) };
        if secret.expires_at.is_none() {
            let message = "no expiry is recorded, so nothing will warn before the token expires";
            // makeinfra does not write Secrets in a repository without a record.
            found.push(match inspection.record {
                Some(_) => Check::warning(id, path, message).hint(
                    with_env("{makeinfra rotate --keep-token --expires-at YYYY-MM-DD}")
                        .aside("or `never` if it does not expire"),
                ),
                None => Check::note(id, path, message)
                    .hint("add the annotation `makeinfra/expires-at: YYYY-MM-DD`"),
            });
        }
        if secret.expires_at.is_some() || inspection.record.is_some() {
            for key in silent(inspection, secret) {
                let message = format!(
                    "no expiry is recorded for the token of `{key}`, so nothing will warn before \
                     it expires"
                );
                found.push(match inspection.record {
                    Some(_) => Check::warning(id, path, message).hint(
                        with_env(&format!(
                            "{{makeinfra rotate --registry {key} --keep-token --expires-at \
                             YYYY-MM-DD}}"
                        ))
                        .aside("or `never` if it does not expire"),
                    ),
                    None => Check::note(id, path, message).hint(format!(
                        "add {key}=YYYY-MM-DD to the annotation `makeinfra/other-expiries`"
                    )),
                });
            }
        }
        let own = secret.expires_at.iter().map(|date| (None, date.as_str()));
        let others =
            secret.other_expiries.iter().map(|(key, date)| (RegistryKey::parse(key).ok(), date));
        for (key, text) in own.chain(others) {
            let of = key.as_ref().map_or(String::new(), |key| format!(" of `{key}`"));
            let make = if key.is_none() {
                "create a deploy token in GitLab"
            } else {
                "create a new token"
            };
            let rotate = key.map_or("rotate".to_owned(), |key| format!("rotate --registry {key}"));
            let Ok(expiry) = Expiry::parse(text) else {
                let hint = if inspection.is_rotated(path) {
                    with_env(&format!("{{makeinfra {rotate} --expires-at YYYY-MM-DD}}"))
                } else {
                    Advice::edit(path)
                };
                let message = format!("the recorded expiry of the token{of} is not a date");
                found.push(Check::warning(id, path, message).hint(hint));
                continue;
            };
            let days = expiry.days_left(now);
            fine = if expiry.is_never() {
                format!("the token{of} does not expire")
            } else {
                format!("the token{of} is valid until {expiry}")
            };
            let deploy =
                if is_shared { ", and deploy to each environment" } else { " && {make deploy}" };
            let hint = if inspection.is_rotated(path) {
                with_env(&format!("{make}, then: {{makeinfra {rotate} --commit}}{deploy}"))
            } else {
                Advice::from("create a new token, then: ").say(Advice::edit(path))
            };
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

/// Registry keys of further entries whose token has no known expiry.
fn silent(inspection: &Inspection, secret: &Inspected) -> Vec<RegistryKey> {
    let Some(config) = secret.config() else { return Vec::new() };
    let recorded = inspection.recorded_registry();
    let own = config.keys().find(|key| Some(*key) == recorded).or_else(|| config.keys().next());
    let is_silent = |key: &&str| {
        let shares =
            own.is_some_and(|own| config.shares(key, config, own)) && secret.expires_at.is_some();
        Some(*key) != own && !shares && secret.other_expiries.of(key).is_none()
    };
    config.keys().filter(is_silent).filter_map(|key| RegistryKey::parse(key).ok()).collect()
}
