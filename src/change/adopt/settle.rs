//! Decides which generated files are written, and which stay the users' own. Pure.

use super::layout::occupied;
use super::{Adoption, Request, put};
use crate::advice::Advice;
use crate::answers::{Answers, Ci, Record};
use crate::change::update::hazards;
use crate::change::{Files, Plan, SECRETS, Step, kustomization, record};
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::manifests;
use crate::templates::{File, Kind, TemplateSet};
use std::collections::{BTreeMap, BTreeSet};
use zeroize::Zeroizing;

/// The file that GNU make reads last.
const MAKEFILE: &str = "Makefile";
/// GitLab's pipeline file.
const PIPELINE: &str = ".gitlab-ci.yml";

/// What a cluster refuses if generated manifests replace those of users.
pub(super) fn hazards_of_taking(
    after: &Files,
    request: &Request,
    rendered: &[File],
) -> Result<Vec<String>> {
    let mut plan = Plan::default();
    for file in rendered.iter().filter(|file| request.taken.contains(&file.path)) {
        plan.write(
            after,
            &file.path,
            Zeroizing::new(file.text.expose().as_bytes().to_vec()),
            false,
        )?;
    }
    Ok(hazards(after, &plan))
}

/// Decides for each generated file whether it is written, and lists those that stay the users' own.
pub(super) fn settle(
    adoption: &mut Adoption,
    after: &mut Files,
    request: &Request,
    rendered: &[File],
    is_generated: bool,
) -> Result<BTreeSet<String>> {
    // GNU make prefers these.
    let has_makefile = ["GNUmakefile", "makefile"].iter().any(|path| after.get(path).is_some());
    let mut own = request.earlier.as_ref().map(|record| record.own.clone()).unwrap_or_default();
    for file in
        rendered.iter().filter(|file| !file.path.starts_with(SECRETS) && file.path != Record::FILE)
    {
        let path = file.path.as_str();
        let (bytes, executable) = (file.text.expose().as_bytes(), file.kind == Kind::Executable);
        let there = after.get(path);
        if there.is_some_and(|found| found.content.as_ref().is_ok_and(|there| ***there == *bytes)) {
            continue;
        }
        let is_list = manifests::kustomization::is_one(path);
        let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
        // The component's object is elsewhere or does not exist; a kustomization may have another
        // name.
        let is_left_out = there.is_none()
            && if path == MAKEFILE {
                has_makefile
            } else if is_list {
                kustomization(after, dir).is_some()
            } else {
                path.starts_with(Context::BASE)
            };
        if request.taken.contains(path) || there.is_none() && !is_left_out {
            put(after, path, bytes.to_vec(), executable);
        } else if path == ".gitattributes" && !request.is_covered {
            let text = after.text(path)?.unwrap_or_default();
            put(after, path, protecting(text, file.text.expose()).into_bytes(), false);
            own.insert(path.to_owned());
        } else if !is_generated {
            own.insert(path.to_owned());
            if (there.is_some() || path == MAKEFILE) && !path.starts_with("kubernetes/") {
                adoption.kept.insert(path.to_owned());
            }
            if let Some(Ok(there)) = there.map(|found| &found.content) {
                let after = Some(Zeroizing::new(bytes.to_vec()));
                let before = Some(there.clone());
                adoption.plan.offers.push(Step {
                    path: path.to_owned(),
                    before,
                    after,
                    executable,
                    mode: None,
                });
            }
        }
    }
    own.retain(|path| !request.taken.contains(path));
    if let Some(path) =
        request.taken.iter().find(|path| !rendered.iter().any(|file| file.path == **path))
    {
        return Err(Failure::usage(format!("`--take {path}` is not a generated file"))
            .hint(Advice::makeinfra("adopt").with("--dry-run"))
            .into());
    }
    if !is_generated && adoption.answers.ci == Ci::None && after.get(PIPELINE).is_some() {
        own.insert(PIPELINE.to_owned());
        adoption.kept.insert(PIPELINE.to_owned());
    }
    let script = "scripts/deploy.sh";
    if own.contains(script) && !own.contains(MAKEFILE) {
        return Err(Failure::failed(format!("the generated Makefile requires `{script}`"))
            .because("it already exists with different content")
            .hint(Advice::makeinfra("adopt").with(format!("--take {script}")))
            .into());
    }
    Ok(own)
}

/// A user's attribute file, extended by the generated one's lines about `secrets/`.
fn protecting(text: &str, generated: &str) -> String {
    let mut paragraphs = generated.split("\n\n");
    let of_secrets = paragraphs.find(|one| one.contains("filter=git-crypt")).unwrap_or(generated);
    let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let gap = if text.is_empty() { String::new() } else { format!("{gap}\n") };
    format!("{text}{gap}{}\n", of_secrets.trim_end())
}

/// The record with the list of the users' own files.
pub(super) fn record_text(
    templates: &TemplateSet,
    answers: &Answers,
    request: &Request,
    own: &BTreeSet<String>,
) -> Result<String> {
    let text = match &request.earlier {
        Some(record)
            if record
                .version
                .as_ref()
                .is_some_and(|one| one.to_string() == templates.version()) =>
        {
            record.text.clone()
        }
        _ => templates.record(answers)?,
    };
    let text = record::with_own(&text, own)?;
    Record::parse(text.clone())?;
    Ok(text)
}

/// Plans the steps from `files` to `after`: new files, the lists that refer to them, deletions, and
/// the record. `shared` files lose a Secret once it has its own file.
pub(super) fn steps(
    plan: &mut Plan,
    files: &Files,
    after: &Files,
    moves: &BTreeMap<String, String>,
    shared: &BTreeSet<&str>,
) -> Result<()> {
    let sources: BTreeMap<&str, &str> =
        moves.iter().map(|(from, to)| (to.as_str(), from.as_str())).collect();
    for (path, found) in after.iter() {
        let Ok(bytes) = &found.content else { continue };
        let before = files.bytes(path);
        if before.as_ref().is_ok_and(|before| *before == Some(bytes)) {
            continue;
        }
        let is_taken = sources.contains_key(path) && !moves.contains_key(path);
        // Secrets were compared before.
        if is_taken && before.as_ref().is_ok_and(Option::is_some) && !path.starts_with(SECRETS) {
            return Err(occupied(sources.get(path).copied().unwrap_or_default(), path).into());
        }
        plan.write(files, path, bytes.clone(), found.executable)?;
    }
    for from in moves.keys().filter(|from| after.get(from).is_none()) {
        plan.remove(files, from)?;
    }
    plan.steps.sort_by_key(|step| (rank(step, shared), step.path.clone()));
    Ok(())
}

/// The order of writing, which allows a killed run to be repeated.
fn rank(step: &Step, shared: &BTreeSet<&str>) -> u8 {
    match &step.after {
        None => 2,
        Some(_) if step.before.is_some() && shared.contains(step.path.as_str()) => 2,
        Some(_) if step.path == Record::FILE => 3,
        Some(_) if manifests::kustomization::is_one(&step.path) => 1,
        Some(_) => 0,
    }
}
