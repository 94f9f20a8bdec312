//! Whether git has what is deployed, and will keep it with the next commit.

use super::{Check, Id, or_ok};
use crate::advice::{Advice, shell_word};
use crate::inspection::Inspection;
use std::path::Path;

pub(super) fn checks(inspection: &Inspection) -> Vec<Check> {
    let Some(git) = &inspection.git else { return Vec::new() };
    let word = |path: &str| shell_word(Path::new(path));
    let ignored = git.ignored.iter().map(|path| {
        Check::warning(Id::FilesTracked, path, "git ignores it: no clone and no pipeline has it")
            .hint(Advice::git(format!("add -f -- {}", word(path))))
    });
    // All at once: a part of them alone is what somebody has staged.
    let all = git.behind.iter().map(|path| word(path)).collect::<Vec<_>>().join(" ");
    let behind = git.behind.iter().map(|path| {
        let message = "git's index has an earlier version than HEAD: the next commit would bring it back";
        Check::problem(Id::IndexCurrent, path, message)
            .hint(Advice::git(format!("restore --staged -- {all}")))
    });
    let mut checks = or_ok(behind.collect(), || {
        Check::ok(Id::IndexCurrent, "the index", "nothing that HEAD has replaced")
    });
    checks.extend(or_ok(ignored.collect(), || {
        Check::ok(Id::FilesTracked, ".gitignore", "ignores nothing that is deployed")
    }));
    checks
}
