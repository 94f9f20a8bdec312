//! Whether git has a pull secret's token in plaintext in another file.

use super::super::{Check, Id, count, or_ok};
use super::revoke;
use crate::advice::Advice;
use crate::inspection::Inspection;
use crate::repo::ExposedIn;

pub(super) fn checks(inspection: &Inspection) -> Vec<Check> {
    let id = Id::PullSecretExposed;
    let (Some(git), Some(exposed)) = (&inspection.git, &inspection.exposed) else {
        return Vec::new();
    };
    // Other checks report these files.
    let plain: Vec<_> =
        git.index.plain.iter().chain(git.head.iter().flat_map(|head| &head.plain)).collect();
    let leaks = git.history.iter().flat_map(|history| &history.leaks);
    let is_reported =
        |path: &String| plain.contains(&path) || leaks.clone().any(|leak| leak.path == *path);
    let mut found: Vec<_> = exposed
        .found
        .iter()
        .filter(|(path, _)| !is_reported(path))
        .map(|(path, place)| {
            let place = match place {
                ExposedIn::Index => "it is in the index".to_owned(),
                ExposedIn::Head => "it is in HEAD".to_owned(),
                ExposedIn::Commit(commit) => {
                    format!("it is in commit {}", commit.chars().take(8).collect::<String>())
                }
            };
            Check::problem(
                id,
                path,
                format!("contains the token of a pull secret in plaintext, and {place}"),
            )
            .hint(revoke(inspection).aside("keep the token in the pull secret only"))
        })
        .collect();
    if exposed.incomplete {
        let message = "this clone does not have all files; the rest was not searched for the token";
        found.push(Check::warning(id, "git", message).hint(Advice::git("fsck")));
    }
    or_ok(found, || {
        let files = count(exposed.files, "file");
        Check::ok(
            id,
            "git",
            format!("no other file contains the token in plaintext: {files} searched"),
        )
    })
}
