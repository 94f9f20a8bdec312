//! Whether there is a pull secret at all, and whether it could be read.

use super::{
    Check, EnvironmentHint, ExternalFacts, Id, count, new_token_hint, or_ok, quoted, secret_title,
    word, write,
};
use crate::advice::Advice;
use crate::answers::{Environment, Record};
use crate::git_crypt::UNLOCK;
use crate::inspection::{Inspection, SecretFile, SecretFileState};
use crate::manifests::{DeployedSecret, Origin};
use std::collections::BTreeMap;

pub(super) fn checks(inspection: &Inspection, known: &ExternalFacts) -> Vec<Check> {
    let id = Id::PullSecretPresent;
    let files = || inspection.secret_files.iter();
    let has =
        |file: &&SecretFile| inspection.pull_secrets.iter().any(|secret| secret.path == file.path);
    let mut found: Vec<_> = files()
        .filter(|file| file.expected && !has(file))
        .map(|file| missing(inspection, file))
        .collect();
    // One line is enough for several files that may contain a pull secret.
    let named = files().any(|file| file.expected);
    if let (false, Some(file)) = (named, files().find(|file| file.state == SecretFileState::Locked))
    {
        found.push(missing(inspection, file));
    }
    if inspection.pull_secrets.is_empty() && found.is_empty() {
        if inspection.manifests.pulls().next().is_some()
            && inspection.manifests.pulls().all(|pull| known.is_public(pull.image))
        {
            return vec![Check::ok(id, inspection.dirs.join(", "), "no image needs a pull secret")];
        }
        found.extend(absent(inspection));
    }
    or_ok(found, || {
        let mut titles: Vec<_> = inspection.pull_secrets.iter().map(secret_title).collect();
        titles.dedup();
        let files = match inspection.pull_secrets.len() {
            1 => String::new(),
            several => format!(", in {}", count(several, "file")),
        };
        let message = format!("contains {}{files}", titles.join(", "));
        Check::ok(id, &inspection.pull_secrets[0].path, message)
    })
}

/// The check for a repository without a readable pull secret: another repository or a controller
/// may create those that the workloads reference.
fn absent(inspection: &Inspection) -> Vec<Check> {
    let id = Id::PullSecretPresent;
    let mut named = BTreeMap::new();
    for workload in inspection.manifests.workloads() {
        for name in &workload.pull_secrets {
            let why = || inspection.why_closed(workload, name);
            named.entry(name).or_insert_with(why);
        }
    }
    let closed = named.iter().filter_map(|(name, why)| {
        let message = format!("content not checked: {}", why.as_ref()?);
        Some(Check::warning(id, format!("Secret {}", quoted(name)), message))
    });
    let closed: Vec<_> = closed.collect();
    if !closed.is_empty() {
        return closed;
    }
    let path = inspection.default_secret_file();
    match named.keys().next() {
        Some(name) if inspection.record.is_none() => {
            let message = format!(
                "this repository has no pull secret; {}, which the workloads name, must come from \
                 elsewhere",
                quoted(name)
            );
            let hint = Advice::makeinfra("check").with("--secret FILE");
            vec![Check::warning(id, path, message).hint(hint)]
        }
        _ => vec![Check::problem(id, path, "this repository has no pull secret").hint(
            match inspection.record {
                Some(_) => "{makeinfra check --secret FILE}, or {makeinfra rotate}",
                None => {
                    "{makeinfra check --secret FILE}, or {makeinfra adopt}, then {makeinfra rotate}"
                }
            },
        )],
    }
}

/// The check for a secret file without a pull secret.
fn missing(inspection: &Inspection, file: &SecretFile) -> Check {
    let id = Id::PullSecretPresent;
    let rotate = if inspection.record.is_some() {
        EnvironmentHint::of_file(inspection, &file.path).with_env(Advice::makeinfra("rotate"))
    } else {
        Advice::makeinfra("check").with("--secret FILE")
    };
    match file.state {
        SecretFileState::Locked => Check::warning(id, &file.path, "locked: content not checked")
            .hint(Advice::at_top(UNLOCK)),
        SecretFileState::Sops => {
            let message = "encrypted by SOPS: content not checked";
            Check::warning(id, &file.path, message)
        }
        SecretFileState::Later(why) => {
            let message = format!("content not checked: {why}");
            Check::warning(id, &file.path, message)
        }
        SecretFileState::Absent
            if inspection.pull_secret_under_other_name(&file.path).is_some() =>
        {
            let other = inspection.pull_secret_under_other_name(&file.path);
            let name = other.and_then(|other| other.secret.name.as_deref()).unwrap_or_default();
            let message = format!(
                "`secret-name` must be {}, the name in files and workloads; an update does not \
                 change it",
                quoted(name)
            );
            Check::problem(id, Record::FILE, message)
                .hint(write(&format!("secret-name: {name}"), Record::FILE))
        }
        SecretFileState::Absent => match elsewhere(inspection, &file.path) {
            Some(other) => {
                let message = format!("file is missing; the pull secret is in {other}");
                let first =
                    Advice::edit(other).and(rotate).why("remove it there and create it again");
                Check::problem(id, &file.path, message).hint(first)
            }
            None => Check::problem(
                id,
                &file.path,
                "file is missing, so the kubelet pulls without credentials",
            )
            .hint(rotate),
        },
        SecretFileState::Unread(why) => Check::problem(id, &file.path, why)
            .hint(Advice::at_top(format!("ls -l {}", word(&file.path)))),
        SecretFileState::NotYaml => Check::problem(id, &file.path, "not valid YAML")
            .hint(new_token_hint(inspection, &file.path)),
        SecretFileState::Plain | SecretFileState::Opened => {
            Check::problem(id, &file.path, "contains no pull secret")
                .hint(new_token_hint(inspection, &file.path))
        }
    }
}

/// The manifest that has the Secret which belongs in `path`: a rotation would create it a second
/// time.
fn elsewhere<'i>(inspection: &'i Inspection, path: &str) -> Option<&'i str> {
    let answers = &inspection.record.as_ref()?.as_ref().ok()?.answers;
    let is_own = |one: &&Environment| one.secret_file(&answers.secret_name) == path;
    let overlay = answers.environments.iter().find(is_own)?.overlay();
    let overlay = inspection.manifests.overlays.iter().find(|one| one.path == overlay)?;
    let is_it = |one: &&DeployedSecret| {
        one.written == answers.secret_name.as_str() && !matches!(one.origin, Origin::Controller(_))
    };
    overlay.secrets.iter().find(is_it).map(|one| one.file.as_str())
}
