//! Whether the input files of generated Secrets are listed, merged, and free of misleading lines.

use super::super::{Check, Id, count, or_ok};
use crate::advice::{Advice, shell_word};
use crate::files::is_leftover;
use crate::git_crypt::UNLOCK;
use crate::inspection::{Inspection, SecretFileState};
use crate::manifests::kustomization;
use crate::opaque::{Listing, MisleadingLine};
use crate::repo::{SECRETS, Unmerged};
use std::path::Path;

pub(super) fn checks(inspection: &Inspection) -> Vec<Check> {
    let mut checks = merged(inspection);
    if matches!(inspection.record, Some(Ok(_))) {
        checks.extend(listed(inspection));
        checks.extend(generated(inspection));
    }
    checks
}

fn merged(inspection: &Inspection) -> Vec<Check> {
    let id = Id::SecretsMerged;
    let Some(git) = &inspection.git else { return Vec::new() };
    let both = git.unmerged.iter().filter(|one| one.ours && one.theirs).map(|one| word(&one.path));
    let both = both.collect::<Vec<_>>().join(" ");
    let found = git.unmerged.iter().map(|one| {
        let path = word(&one.path);
        let (message, resolve) = match one {
            Unmerged { ours: true, theirs: true, .. } => (
                "changed on both branches, and git cannot merge encrypted files: take one side's \
                 version (--ours or --theirs) of all of them, commit the merge, and repeat the \
                 other side's `makeinfra` commands",
                Advice::git(format!("checkout --ours -- {both}"))
                    .and(Advice::git(format!("add {both}"))),
            ),
            Unmerged { ours: true, .. } => (
                "changed on our branch and deleted on the other one: keep it, or delete it with \
                 `git rm`",
                Advice::git(format!("add {path}")),
            ),
            Unmerged { ours: false, .. } => (
                "changed on the other branch and deleted on ours: keep it, or delete it with `git \
                 rm`",
                Advice::git(format!("checkout --theirs -- {path}"))
                    .and(Advice::git(format!("add {path}"))),
            ),
        };
        Check::problem(id, &one.path, message).hint(resolve)
    });
    or_ok(found.collect(), || Check::ok(id, SECRETS, "no merge left two versions of a file"))
}

fn listed(inspection: &Inspection) -> Vec<Check> {
    let id = Id::SecretsListed;
    let files = || inspection.secret_files.iter().filter(|file| file.path.starts_with(SECRETS));
    if let Some(one) = inspection.git.iter().flat_map(|git| &git.unmerged).next() {
        let message = "not checked: a merge left two versions of the file";
        return vec![Check::warning(id, &one.path, message)];
    }
    let named = &inspection.manifests.named;
    let kustomized = |path: &str| {
        let (dir, _) = path.rsplit_once('/').filter(|_| kustomization::is_one(path))?;
        Some(dir.to_owned())
    };
    let locked = files()
        .find(|file| file.state == SecretFileState::Locked && kustomized(&file.path).is_some());
    if let Some(file) = locked {
        let message = "locked: the file names in it were not checked";
        return vec![Check::warning(id, &file.path, message).hint(Advice::at_top(UNLOCK))];
    }
    let is_gits =
        |path: &str| matches!(path.rsplit('/').next(), Some(".gitattributes" | ".gitignore"));
    let stray = files().filter(|file| {
        let by_name = named.contains(&file.path);
        let as_directory = kustomized(&file.path).is_some_and(|dir| named.contains(&dir));
        file.state != SecretFileState::Absent && !by_name && !as_directory && !is_gits(&file.path)
    });
    let found = stray.map(|file| {
        if is_leftover(Path::new(&file.path)) {
            return Check::problem(
                id,
                &file.path,
                "left behind by a killed run; may contain a secret",
            )
            .hint(Advice::at_top(format!("rm {}", word(&file.path))));
        }
        let message =
            "not listed in any kustomization, so it is never deployed: list it, or delete it";
        let is_home = |dir: &str| file.path.starts_with(&format!("{dir}/"));
        let home = inspection.listings.iter().filter(|one| is_home(&one.path));
        // A file elsewhere may have another purpose.
        match home.max_by_key(|one| one.path.len()) {
            Some(home) => {
                let kustomization = kustomization::generated(&home.path);
                Check::problem(id, &file.path, message).hint(Advice::edit(&kustomization))
            }
            None => Check::warning(id, &file.path, message)
                .hint("list it in the kustomization of a directory under secrets/"),
        }
    });
    or_ok(found.collect(), || {
        Check::ok(
            id,
            SECRETS,
            format!("kustomizations list all of {}", count(files().count(), "file")),
        )
    })
}

fn generated(inspection: &Inspection) -> Vec<Check> {
    let id = Id::SecretsGenerated;
    let mut found = Vec::new();
    let mut secrets = 0;
    for directory in &inspection.listings {
        match &directory.listing {
            Ok(listing) => {
                secrets += listing.secrets.len();
                found.extend(traps(listing));
                found.extend(printed(listing));
            }
            Err(fault) if fault.is_locked => {
                let message = "locked: the generated Secrets were not checked";
                found.push(Check::warning(id, &fault.path, message).hint(Advice::at_top(UNLOCK)));
            }
            Err(fault) => {
                let hint = Advice::edit(&fault.path);
                found.push(Check::problem(id, &fault.path, &fault.why).hint(hint));
            }
        }
    }
    or_ok(found, || {
        let secrets = count(secrets, "Secret");
        Check::ok(
            id,
            SECRETS,
            format!("{secrets} generated; kustomize reads every line as intended"),
        )
    })
}

/// Misleading lines, by number and never by content.
fn traps(listing: &Listing) -> impl Iterator<Item = Check> {
    let id = Id::SecretsGenerated;
    listing.secrets.iter().flat_map(|secret| &secret.traps).map(move |(path, line, trap)| {
        let message = format!("line {line}: {}", trap.message());
        let check = if trap.breaks() {
            Check::problem(id, path, message)
        } else {
            Check::warning(id, path, message)
        };
        check.hint(match trap {
            MisleadingLine::CarriageReturn => {
                Advice::at_top(format!("sed -i 's/\\r$//' {}", word(path)))
            }
            _ => Advice::edit(path),
        })
    })
}

fn printed(listing: &Listing) -> impl Iterator<Item = Check> {
    listing.kustomization.printed.iter().map(|field| {
        let message = format!("has inline `{field}`, which kustomize prints in errors");
        let hint = match *field {
            "literals" => "replace each with {makeinfra secret set NAME KEY}",
            _ => "move the patch to a file and write its `path` here",
        };
        Check::problem(Id::SecretsGenerated, &listing.path, message).hint(hint)
    })
}

fn word(path: &str) -> String {
    shell_word(Path::new(path))
}
