//! Whether git has everything that is deployed, and whether the next commit keeps it.

use super::{Check, Id, or_ok};
use crate::advice::{Advice, shell_word};
use crate::inspection::{Hook, HookState, Inspection};
use std::path::Path;

pub(super) fn checks(inspection: &Inspection) -> Vec<Check> {
    let Some(git) = &inspection.git else { return Vec::new() };
    let word = |path: &str| shell_word(Path::new(path));
    let ignored = git.ignored.iter().map(|path| {
        Check::warning(
            Id::FilesTracked,
            path,
            "ignored by git, so it is missing in clones and pipelines",
        )
        .hint(Advice::git(format!("add -f -- {}", word(path))))
    });
    // One command for all paths: a part of them would look like something that was staged on
    // purpose.
    let together =
        |paths: &[String]| paths.iter().map(|path| word(path)).collect::<Vec<_>>().join(" ");
    let (behind, untracked) = (together(&git.behind), together(&git.untracked));
    let untracked = git.untracked.iter().map(|path| {
        Check::warning(
            Id::FilesTracked,
            path,
            "not tracked by git, so it is missing in clones and pipelines",
        )
        .hint(Advice::git(format!("add -- {untracked}")))
    });
    let behind = git.behind.iter().map(|path| {
        let message =
            "git's index has an older version than HEAD; the next commit would restore that \
             version";
        Check::problem(Id::IndexCurrent, path, message)
            .hint(Advice::git(format!("restore --staged -- {behind}")))
    });
    let mut checks = or_ok(behind.collect(), || {
        Check::ok(Id::IndexCurrent, "the index", "nothing older than HEAD")
    });
    checks.extend(or_ok(ignored.chain(untracked).collect(), || {
        Check::ok(Id::FilesTracked, ".gitignore", "ignores no deployed file")
    }));
    checks.extend(inspection.hook.as_ref().map(|found| hook(inspection, found)));
    checks
}

/// Whether git refuses to commit plaintext.
fn hook(inspection: &Inspection, hook: &Hook) -> Check {
    let id = Id::CommitHook;
    let refused = "commits with plaintext under secrets/ are not refused";
    match (hook.state, hook.is_set) {
        (HookState::Missing, _) => {
            Check::warning(id, Hook::FILE, format!("file is missing: {refused}"))
                .hint(inspection.restore_command(Hook::FILE))
        }
        (HookState::NotExecutable, _) => Check::warning(
            id,
            Hook::FILE,
            format!("not executable, so git does not run it: {refused}"),
        )
        .hint(Advice::at_top(format!("chmod +x {}", Hook::FILE))),
        // A pipeline clones but does not commit.
        (HookState::Ready, Some(false)) => {
            let message = format!("not used by this clone (`core.hooksPath`): {refused}");
            Check::note(id, Hook::FILE, message).hint(Advice::make("setup"))
        }
        (HookState::Ready, _) => {
            Check::ok(id, Hook::FILE, "refuses commits with plaintext under secrets/")
        }
    }
}
