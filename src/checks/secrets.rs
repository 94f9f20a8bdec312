//! Whether secrets are encrypted wherever git holds them, and private where they are in plaintext.

mod exposed;
mod generated;

use super::{Check, Id, count, or_ok};
use crate::advice::{Advice, shell_word};
use crate::git_crypt::{FILTER, UNLOCK_ANEW};
use crate::inspection::{Inspection, SecretFileState};
use crate::repo::{Audit, Filter, History, KeyState, Plain, Program, Trial};
use std::path::Path;

/// What to do about values that others can read.
fn revoke(inspection: &Inspection) -> Advice {
    match inspection.record {
        Some(_) => {
            "revoke the exposed values; for a deploy token, revoke it in GitLab, then: {makeinfra \
             rotate --commit}"
                .into()
        }
        None => "revoke the exposed values and replace them".into(),
    }
}

pub(super) fn checks(inspection: &Inspection) -> Vec<Check> {
    let mut checks = Vec::new();
    if let Some(git) = &inspection.git {
        checks.extend(covered(git));
        checks.extend(filters(inspection, git));
        checks.extend(keys(inspection, git));
        checks.extend(plain(Id::SecretsIndex, "the index", &git.index, |path| {
            let add = Advice::git(format!("add --renormalize -- {path}"));
            add.say(", after setting up git-crypt; then ").say(revoke(inspection))
        }));
        if let Some(head) = &git.head {
            checks.extend(plain(Id::SecretsHead, "HEAD", head, |_| revoke(inspection)));
        }
        checks.extend(git.history.iter().flat_map(|history| older(inspection, history)));
    }
    checks.extend(exposed::checks(inspection));
    checks.extend(generated::checks(inspection));
    checks.extend(modes(inspection));
    checks.extend(key_files(inspection));
    checks
}

fn covered(git: &Audit) -> Vec<Check> {
    let id = Id::SecretsCovered;
    let open = git.covered.iter().filter_map(|(path, filter)| Some((path, filter.as_ref().err()?)));
    let found = open.map(|(path, remedy)| {
        let message = format!("git would store it in plaintext: {}", remedy.cause());
        Check::problem(id, path, message).hint(remedy.hint())
    });
    let closed = git.closed_attributes.iter().map(|(path, remedy)| {
        let message = "encrypted by git-crypt, so git cannot read it in a locked clone and stores \
                       secrets in plaintext there";
        let add = Advice::git(format!("add --renormalize -- {}", shell_word(Path::new(path))));
        Check::problem(id, path, message).hint(remedy.hint().and(add))
    });
    let spoiled = git.spoiled.iter().map(|(path, attribute, remedy)| {
        let message = format!(
            "attribute `{attribute}` makes git change the ciphertext, which may then fail to \
             decrypt"
        );
        Check::problem(id, path, message).hint(remedy.hint())
    });
    or_ok(found.chain(closed).chain(spoiled).collect(), || {
        let files = count(git.covered.len(), "secret file");
        Check::ok(id, ".gitattributes", format!("assigns {files} to git-crypt"))
    })
}

fn filters(inspection: &Inspection, git: &Audit) -> Vec<Check> {
    let id = Id::SecretsFilter;
    let found = git.filters.iter().filter_map(|filter| {
        let name = &filter.name;
        match (filter.configured, filter.required) {
            (false, _) if is_locked(inspection, filter) => Some(
                Check::warning(id, name, "this clone is locked and the filter is not configured")
                    .hint(Advice::at_top(git.unlock)),
            ),
            (false, _) => Some(
                Check::problem(
                    id,
                    name,
                    "the filter is not configured, so `git add` stores secrets in plaintext",
                )
                .hint(Advice::at_top(git.unlock)),
            ),
            (true, false) => Some(
                Check::problem(
                    id,
                    name,
                    "the filter is not required, so git stores plaintext if it fails",
                )
                .hint(Advice::git(format!("config filter.{name}.required true"))),
            ),
            (true, true) if filter.program == Program::Missing => Some(
                Check::warning(
                    id,
                    name,
                    "git-crypt is not at the path in this clone's configuration, so `git add` and \
                     `git status` fail",
                )
                .hint(configure(name)),
            ),
            (true, true) if filter.program == Program::NotOnPath => Some(
                Check::warning(
                    id,
                    name,
                    "git-crypt is not installed, so `git add` and `git status` fail",
                )
                .hint(
                    Advice::anywhere("apt-get install git-crypt")
                        .aside("on macOS: `brew install git-crypt`"),
                ),
            ),
            (true, true) => None,
        }
    });
    if git.filters.is_empty() {
        return Vec::new();
    }
    or_ok(found.collect(), || Check::ok(id, "git-crypt", "the filter is configured and required"))
}

/// Configures the filter `name` so that git finds git-crypt on `PATH`.
fn configure(name: &str) -> Advice {
    let key = name.strip_prefix(FILTER).and_then(|rest| rest.strip_prefix('-'));
    let key = key.map(|key| format!(" --key-name={key}")).unwrap_or_default();
    let set = |action: &str| {
        let command = format!("\"git-crypt\" {action}{key}");
        Advice::git(format!("config filter.{name}.{action}")).arg(command.as_str())
    };
    set("clean").and(set("smudge"))
}

/// Whether the clone is locked for `filter`, like every new clone, and has no plaintext secret.
fn is_locked(inspection: &Inspection, filter: &Filter) -> bool {
    let is_gits =
        |path: &str| matches!(path.rsplit('/').next(), Some(".gitattributes" | ".gitignore"));
    let files = || inspection.secret_files.iter().filter(|file| !is_gits(&file.path));
    let states = || files().map(|file| &file.state);
    matches!(filter.key, KeyState::Missing)
        && states().any(|state| *state == SecretFileState::Locked)
        && !states().any(|state| matches!(state, SecretFileState::Plain | SecretFileState::NotYaml))
}

fn keys(inspection: &Inspection, git: &Audit) -> Vec<Check> {
    let id = Id::SecretsKey;
    let found = git.filters.iter().flat_map(|filter| {
        let problem = |subject: &str, message: &str| Check::problem(id, subject, message);
        match &filter.key {
            // A clone that only reads or builds needs no key.
            KeyState::Missing if is_locked(inspection, filter) => {
                let message = "this clone has no key";
                vec![Check::warning(id, &filter.name, message).hint(Advice::at_top(git.unlock))]
            }
            KeyState::Missing => {
                vec![
                    problem(&filter.name, "this clone has no key").hint(Advice::at_top(git.unlock)),
                ]
            }
            KeyState::Broken => vec![
                problem(&filter.name, "the key file is not a git-crypt key")
                    .hint(Advice::at_top(git.unlock)),
            ],
            KeyState::Tried(trial) => {
                trial.closed.iter().map(|path| foreign(trial, path)).collect()
            }
        }
    });
    if git.filters.is_empty() {
        return Vec::new();
    }
    or_ok(found.collect(), || Check::ok(id, "git-crypt", "the key decrypts the secrets in git"))
}

/// The check for a file that this clone's key does not decrypt.
fn foreign(trial: &Trial, path: &str) -> Check {
    if trial.is_foreign() {
        return Check::problem(
            Id::SecretsKey,
            path,
            "the git-crypt key of this clone is a different one and cannot decrypt it",
        )
        .hint(Advice::at_top(UNLOCK_ANEW));
    }
    let message = "encrypted with another key: the key of this repository cannot decrypt it";
    let log = Advice::git(format!("log --oneline -- {}", shell_word(Path::new(path))));
    Check::problem(Id::SecretsKey, path, message)
        .hint(log.aside("restore it from an earlier commit"))
}

fn plain(id: Id, place: &str, found: &Plain, hint: impl Fn(&str) -> Advice) -> Vec<Check> {
    let checks = found.plain.iter().map(|path| {
        let word = shell_word(Path::new(path));
        Check::problem(id, path, format!("plaintext in {place}")).hint(hint(&word))
    });
    let missing = found.missing.iter().map(|path| {
        let message = format!("not checked: this clone lacks the version in {place}");
        Check::warning(id, path, message).hint(Advice::git("fsck"))
    });
    or_ok(checks.chain(missing).collect(), || {
        let files = count(found.files, "secret file");
        Check::ok(id, place, format!("no plaintext among {files}"))
    })
}

fn older(inspection: &Inspection, history: &History) -> Vec<Check> {
    let id = Id::SecretsHistory;
    let short = |id: &str| id.chars().take(8).collect::<String>();
    let mut found: Vec<_> = history
        .leaks
        .iter()
        .map(|leak| {
            let where_ = if leak.newest == leak.oldest {
                format!("commit {}", short(&leak.newest))
            } else {
                format!("commits from {} to {}", short(&leak.oldest), short(&leak.newest))
            };
            Check::problem(
                id,
                &leak.path,
                format!("plaintext in {where_}: everyone with the repository can read it"),
            )
            .hint(revoke(inspection).aside("then use `--no-history` to skip this check"))
        })
        .collect();
    if history.shallow || history.incomplete {
        let hint = Advice::git(if history.shallow { "fetch --unshallow" } else { "fsck" });
        let message = "this clone does not have the full history; the rest was not checked";
        found.push(Check::warning(id, "history", message).hint(hint));
    }
    or_ok(found, || {
        Check::ok(
            id,
            "history",
            format!("{}, no other plaintext", count(history.commits, "commit")),
        )
    })
}

fn modes(inspection: &Inspection) -> Vec<Check> {
    let id = Id::SecretsMode;
    let files = inspection.secret_files.iter().filter(|file| {
        file.state == SecretFileState::Plain || file.state == SecretFileState::NotYaml
    });
    let files = files.map(|file| (file.path.clone(), file.mode));
    let filters = inspection.git.iter().flat_map(|git| &git.filters);
    let keys = filters.filter_map(|filter| Some((filter.file.clone(), filter.mode?)));
    let all: Vec<_> = files.chain(keys).collect();
    let found = all
        .iter()
        .filter(|(path, mode)| mode & 0o077 != 0 && !path.ends_with("/.gitattributes"))
        .map(|(path, mode)| {
            let message = format!("readable by other users on this machine (mode {mode:04o})");
            // Git resets the mode of a secret file at each pull, but never touches a key.
            let is_key = inspection
                .git
                .iter()
                .flat_map(|git| &git.filters)
                .any(|filter| filter.file == *path);
            let check = if is_key { Check::problem } else { Check::warning };
            // An executable file stays executable.
            let closed = if mode & 0o100 == 0 { "600" } else { "700" };
            check(id, path, message)
                .hint(Advice::at_top(format!("chmod {closed} {}", shell_word(Path::new(path)))))
        });
    let found: Vec<_> = found.collect();
    if all.is_empty() {
        return found;
    }
    or_ok(found, || {
        let files = count(all.len(), "file");
        Check::ok(id, "plain secrets and keys", format!("{files}, readable by the owner only"))
    })
}

fn key_files(inspection: &Inspection) -> Vec<Check> {
    let id = Id::KeyInWorkTree;
    let found = inspection.key_files.iter().map(|path| {
        Check::problem(id, path, "git-crypt key that decrypts every secret of this repository")
            .hint(
                Advice::at_top("mv")
                    .arg(path.as_str())
                    .arg("KEY_FILE")
                    .why("move it to your team's password store")
                    .aside("if it was ever committed, create a new key and revoke the token"),
            )
    });
    let unread = inspection.unread.iter().map(|path| {
        Check::warning(id, path, "cannot be read")
            .hint(Advice::at_top(format!("ls -ld {}", shell_word(Path::new(path)))))
    });
    or_ok(found.chain(unread).collect(), || Check::ok(id, "work tree", "contains no git-crypt key"))
}
