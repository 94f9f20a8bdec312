//! Whether the manifests can be read, and whether their workloads are ready to pull images.

use super::{
    Check, EnvironmentHint, ExternalFacts, Id, count, or_ok,
    pull_secret::{is_name, of_workload, quoted, workload_title},
    write,
};
use crate::advice::{Advice, shell_word};
use crate::answers::{Environment, Record};
use crate::git_crypt::UNLOCK;
use crate::inspection::{Inspection, Layout, SCRIPT, SecretFileState};
use crate::manifests::{FaultKind, NoImage, Workload};
use crate::pull_secret::Inspected;
use std::path::Path;

/// The targets on which the generated README, CI and users rely.
const TARGETS: [&str; 16] = [
    "help",
    "setup",
    "deploy",
    "gitlab-secret",
    "namespace",
    "diff",
    "status",
    "logs",
    "run",
    "restart",
    "rollback",
    "undeploy",
    "prune",
    "set-image",
    "check-secrets",
    "check-expiry",
];
/// The only target in a repository that was made by hand, as in the blog post.
const BY_HAND: [&str; 1] = ["gitlab-secret"];

pub(super) fn checks(inspection: &Inspection, known: &ExternalFacts) -> Vec<Check> {
    [
        parse(inspection),
        kustomize(inspection),
        found(inspection),
        name_pull_secret(inspection, known),
        pinned(inspection),
        makefile(inspection),
    ]
    .concat()
}

fn parse(inspection: &Inspection) -> Vec<Check> {
    let id = Id::ManifestsParse;
    let faults = inspection.manifests.faults.iter().filter(|fault| fault.kind == FaultKind::Parse);
    let mut found: Vec<_> = faults.map(|fault| file(id, &fault.path, &fault.message)).collect();
    if let Some(Err(error)) = &inspection.record {
        let explanation = crate::error::explain(error);
        let hint = explanation.hint.unwrap_or_default();
        found.push(Check::problem(id, Record::FILE, explanation.causes.join(", ")).hint(hint));
    }
    let not_yaml = inspection
        .secret_files
        .iter()
        .filter(|file| file.state == SecretFileState::NotYaml && !file.expected);
    found.extend(not_yaml.map(|secret| file(id, &secret.path, "not valid YAML")));
    or_ok(found, || {
        let files = count(inspection.manifests.files, "file");
        Check::ok(id, inspection.dirs.join(", "), format!("{files}, all valid YAML"))
    })
}

fn file(id: Id, path: &str, message: &str) -> Check {
    Check::problem(id, path, message).hint(Advice::edit(path))
}

fn kustomize(inspection: &Inspection) -> Vec<Check> {
    let id = Id::ManifestsKustomize;
    let found = inspection.manifests.faults.iter().filter_map(|fault| match fault.kind {
        FaultKind::Parse => None,
        FaultKind::Locked => {
            Some(Check::warning(id, &fault.path, &fault.message).hint(Advice::at_top(UNLOCK)))
        }
        FaultKind::Build => Some(file(id, &fault.path, &fault.message)),
        FaultKind::Beyond => {
            let dir = Path::new(&fault.path).parent().filter(|dir| !dir.as_os_str().is_empty());
            let dir = dir.unwrap_or(Path::new("."));
            Some(
                Check::warning(id, &fault.path, &fault.message).hint(
                    Advice::at_top(format!("kubectl kustomize {} | grep image:", shell_word(dir)))
                        .why("check the images yourself"),
                ),
            )
        }
        FaultKind::Unread => {
            Some(Check::warning(id, &fault.path, &fault.message).hint(unread_hint(&fault.path)))
        }
    });
    let dirs = inspection.dirs.join(", ");
    or_ok(found.collect(), || Check::ok(id, dirs, "all kustomize features in use were evaluated"))
}

/// How to examine what a program generates from the file `path`.
fn unread_hint(path: &str) -> Advice {
    match path.strip_suffix("Chart.yaml") {
        Some(dir) => {
            let dir = if dir.is_empty() { "." } else { dir.trim_end_matches('/') };
            let word = shell_word(Path::new(dir));
            Advice::at_top(format!("helm template {word} | grep image:"))
                .why("check the images yourself")
        }
        None => Advice::default(),
    }
}

fn found(inspection: &Inspection) -> Vec<Check> {
    let (id, dirs) = (Id::WorkloadsFound, inspection.dirs.join(", "));
    let (workloads, images) =
        (inspection.manifests.workloads().count(), inspection.manifests.pulls().count());
    let is_unread = |kind| {
        matches!(kind, FaultKind::Beyond | FaultKind::Unread | FaultKind::Locked | FaultKind::Parse)
    };
    let Layout { has_manifests, generated, .. } = &inspection.layout;
    if !has_manifests && workloads == 0 {
        let check = Check::problem(id, dirs, "the directory is missing or empty");
        let folders =
            generated.iter().take(3).map(|folder| Advice::at_top("makeinfra check").arg(folder));
        return vec![check.hint(match inspection.record {
            None => {
                folders.reduce(|all, folder| all.say(" or ").say(folder)).unwrap_or_else(elsewhere)
            }
            Some(_) => elsewhere(),
        })];
    }
    if workloads == 0 {
        let hint = Advice::makeinfra("check").with("--manifests DIR --secret FILE");
        return vec![if inspection.manifests.faults.iter().any(|fault| is_unread(fault.kind)) {
            Check::warning(id, dirs, "no workload found in the files that could be read").hint(hint)
        } else {
            Check::problem(id, dirs, "no workload found").hint(hint)
        }];
    }
    let message = format!("{} with {}", count(workloads, "workload"), count(images, "image"));
    vec![Check::ok(id, dirs, message)]
}

/// How to check manifests in other directories.
fn elsewhere() -> Advice {
    Advice::makeinfra("check").with("--manifests DIR")
}

/// The name of the pull secret that `workload` should reference: one that serves its images,
/// otherwise the recorded one.
fn fitting(inspection: &Inspection, known: &ExternalFacts, workload: &Workload) -> String {
    let secrets = || {
        let all = inspection.pull_secrets.iter();
        all.filter_map(|one| {
            Some((one.secret.name.as_deref().filter(|name| is_name(name))?, &one.secret))
        })
    };
    let pulls: Vec<_> = workload.pulls().filter(|pull| !known.is_public(pull.image)).collect();
    let serves =
        |secret: &Inspected| pulls.iter().all(|pull| secret.serves(&pull.image.normalized_name()));
    let serving = secrets().find(|(_, secret)| serves(secret)).map(|(name, _)| name.to_owned());
    let record = inspection.record.as_ref().and_then(|record| record.as_ref().ok());
    let recorded = || record.map(|record| record.answers.secret_name.to_string());
    let any = || secrets().next().map(|(name, _)| name.to_owned());
    serving.or_else(recorded).or_else(any).unwrap_or_else(|| "gitlab".to_owned())
}

fn name_pull_secret(inspection: &Inspection, known: &ExternalFacts) -> Vec<Check> {
    let id = Id::WorkloadsNamePullSecret;
    let needs = |workload: &&Workload| workload.pulls().any(|pull| !known.is_public(pull.image));
    let bare = inspection
        .manifests
        .workloads()
        .filter(needs)
        .filter(|workload| workload.pull_secrets.is_empty());
    let is_patched = inspection.makefile.iter().any(|(_, text)| patches_account(text));
    let found = bare.map(|workload| {
        let name = fitting(inspection, known, workload);
        let check = match &workload.unknown_account {
            Some(account) => Check::warning(
                id,
                workload_title(workload),
                format!(
                    "names no pull secret; its service account {} is not in the manifests and may \
                     name one",
                    quoted(account)
                ),
            ),
            None if is_patched => Check::warning(
                id,
                workload_title(workload),
                "names no pull secret; the Makefile patches a service account, which may name one",
            ),
            None => of_workload(
                id,
                workload,
                "names no pull secret, so the kubelet pulls without credentials",
            ),
        };
        let pull_secrets = format!("imagePullSecrets: [{{name: {name}}}]");
        check.hint(write(&pull_secrets, &workload.file).aside("beside `containers:`"))
    });
    let found: Vec<_> = found.collect();
    if inspection.manifests.workloads().next().is_none() {
        return found;
    }
    or_ok(found, || {
        let workloads = count(inspection.manifests.workloads().count(), "workload");
        Check::ok(
            id,
            inspection.dirs.join(", "),
            format!("{workloads}, each with a pull secret if it needs one"),
        )
    })
}

/// Whether `makefile` adds pull secrets to a service account: `kubectl patch serviceaccount default
/// -p …`.
fn patches_account(makefile: &str) -> bool {
    let words = ["patch serviceaccount", "patch sa ", "patch serviceaccounts"];
    makefile.lines().any(|line| words.iter().any(|word| line.contains(word)))
}

fn pinned(inspection: &Inspection) -> Vec<Check> {
    let id = Id::ImagesPinned;
    let mut found = Vec::new();
    let overlays = inspection.manifests.overlays.iter();
    for (overlay, workload) in overlays
        .flat_map(|overlay| overlay.workloads.iter().map(move |workload| (overlay, workload)))
    {
        for image in
            workload.images.iter().filter(|image| !image.pinned || image.reference.is_err())
        {
            let container =
                Some(&image.container).filter(|name| is_name(name)).map_or("?", |name| name);
            let (message, is_known) = match &image.reference {
                Ok(image) => (
                    format!(
                        "`{}` has neither a tag nor a digest, so the running version is unknown",
                        image.name()
                    ),
                    true,
                ),
                Err(NoImage::NotText(what)) => (
                    format!("`{}` must be an image reference, but is {what}", field(&image.field)),
                    true,
                ),
                Err(NoImage::Placeholder) => (
                    format!(
                        "not checked: the image of container {container} is filled in at \
                         deployment (`{}`)",
                        field(&image.field)
                    ),
                    false,
                ),
                Err(NoImage::Injected) => continue,
                // A workload without any image may be a fragment for a user's own tool.
                Err(NoImage::Missing) => (
                    format!("container {container} has no image"),
                    workload.images.iter().any(|image| image.reference != Err(NoImage::Missing)),
                ),
                Err(NoImage::Broken(rule)) => {
                    (format!("the image of container {container} {rule}"), true)
                }
            };
            let (file, place) = if inspection.record.is_some() {
                (
                    format!("{}/kustomization.yaml", overlay.path),
                    EnvironmentHint::of_namespace(
                        inspection,
                        workload.namespace.as_deref().unwrap_or_default(),
                    ),
                )
            } else {
                (workload.file.clone(), EnvironmentHint::default())
            };
            let file = if matches!(image.reference, Err(NoImage::NotText(_))) {
                workload.file.clone()
            } else {
                file
            };
            let message = message + &place.title();
            let check = if is_known {
                of_workload(id, workload, &message)
            } else {
                Check::warning(id, workload_title(workload), message)
            };
            found.push(check.hint(Advice::edit(&file)));
        }
    }
    found.dedup();
    if inspection.manifests.workloads().next().is_none() {
        return found;
    }
    let mut found = or_ok(found, || {
        Check::ok(id, inspection.dirs.join(", "), "every image has a tag or a digest")
    });
    found.extend(moving(inspection));
    found
}

/// The images with a moving tag.
fn moving(inspection: &Inspection) -> Vec<Check> {
    let mut found = Vec::new();
    for workload in inspection.manifests.workloads() {
        let images = workload.images.iter().filter(|image| image.pinned && image.pulled);
        for image in images.filter_map(|image| image.reference.as_ref().ok()) {
            if image.as_str().ends_with(":latest") {
                let message = format!("`{image}` changes with every push of this tag");
                found.push(Check::note(Id::ImagesPinned, workload_title(workload), message));
            }
        }
    }
    found.dedup();
    found
}

/// The path of an image's field. Its keys come from a file.
fn field(path: &str) -> &str {
    let is_fine =
        path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".[]-_/".contains(&byte));
    if is_fine && path.len() <= 120 { path } else { "image" }
}

fn makefile(inspection: &Inspection) -> Vec<Check> {
    let id = Id::MakefileTargets;
    let ours = inspection.record.is_some();
    let Some((path, text)) = &inspection.makefile else {
        return if ours {
            vec![
                Check::problem(id, "Makefile", "file is missing")
                    .hint(inspection.restore_command("Makefile")),
            ]
        } else {
            Vec::new()
        };
    };
    let is_own = matches!(&inspection.record, Some(Ok(record)) if record.own.contains(path));
    let ours = ours && !is_own;
    let wanted: &[&str] = if ours { &TARGETS } else { &BY_HAND };
    let has = |target: &&str| text.lines().any(|line| targets(line).any(|found| found == *target));
    let missing: Vec<_> = wanted.iter().copied().filter(|target| !has(target)).collect();
    // An environment.mk has values and no targets; any other included file may have targets.
    let includes = text
        .lines()
        .filter_map(|line| line.trim_start_matches('-').strip_prefix("include "))
        .any(|included| !included.trim_end().ends_with(Environment::SETTINGS));
    let mut found = Vec::new();
    if !missing.is_empty() {
        let message = format!("target `{}` is missing", missing.join("`, `"));
        found.push(if ours && !includes {
            Check::problem(id, path, message).hint(Advice::git(format!("log -p -- {path}")))
        } else {
            Check::warning(id, path, message).hint(Advice::edit(path))
        });
    }
    if ours && text.contains(SCRIPT) && !inspection.layout.has_script {
        let check =
            Check::problem(id, SCRIPT, "file is missing, but targets of the Makefile run it");
        found.push(check.hint(inspection.restore_command(SCRIPT)));
    }
    if text.lines().any(|line| line.contains("get secret") && line.contains("||")) {
        let message = "`get secret … ||` never updates an existing Secret, so a rotated token does \
                       not reach the cluster";
        found.push(
            Check::warning(id, path, message)
                .hint("{kubectl apply --server-side --force-conflicts -f FILE}, unconditionally"),
        );
    }
    or_ok(found, || Check::ok(id, path, format!("has {}", count(wanted.len(), "target"))))
}

/// The targets in the first line of a rule.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    let names = match line.split_once(':') {
        Some((names, rest))
            if !line.starts_with(['\t', '#', ' ']) && !rest.starts_with([':', '=']) =>
        {
            names
        }
        _ => "",
    };
    names.split_whitespace()
}
