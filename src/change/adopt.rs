//! Adopts a repository that makeinfra did not generate: reads answers from the manifests, moves
//! these unchanged to where kustomize finds them, and generates what is missing. Users' own
//! versions of generated files stay theirs, and the record lists them. Pure.

mod answers;
mod apart;
mod layout;
mod namespaces;
mod notes;
mod overlays;
mod pods;
mod resume;
mod secrets;
mod settle;
mod survey;
mod verify;

use super::objects::{self, text};
use super::{Files, Plan, SECRETS, Step, WorkTreeFile, answers_in};
use crate::advice::Advice;
use crate::answers::{Answer, Answers, ImageRef, Name, ProjectName, Record, Refused, Values};
use crate::error::{Failure, Result};
use crate::templates::{File, TemplateSet};
use answers::Source;
use apart::ExtractedSecrets;
use layout::Layout;
use namespaces::Namespaces;
use overlays::Parts;
use secrets::SecretFile;
use std::collections::BTreeSet;
use survey::Survey;
use zeroize::Zeroizing;

/// The request, and what is known besides the files.
pub struct Request {
    /// The project.
    pub project: ProjectName,
    /// Answers that need not be read from the files.
    pub values: Values,
    /// Files and directories with manifests; if empty, all.
    pub manifests: Vec<String>,
    /// Users' files to be replaced by the generated ones.
    pub taken: BTreeSet<String>,
    /// The files of the last commit.
    pub tracked: BTreeSet<String>,
    /// Files of the last commit that no longer exist.
    pub missing: Files,
    /// Whether attributes already assign everything below `secrets/` to git-crypt.
    pub is_covered: bool,
    /// Whether the last commit has the generated script: otherwise, files that look generated are
    /// from a killed run.
    pub has_script: bool,
    /// The last record of the repository; `None` if it never had one.
    pub earlier: Option<Record>,
    /// The templates from which files may have been rendered, this version's last.
    pub templates: Vec<TemplateSet>,
}

/// The result of an adoption.
pub struct Adoption {
    /// The plan, with its notes.
    pub plan: Plan,
    /// The answers.
    pub answers: Answers,
    /// The files that contain Secrets, each with the name of its first Secret.
    pub secrets: Vec<(String, String)>,
    /// The same for Secrets that stay among other objects.
    pub open_secrets: Vec<(String, String)>,
    /// Whether there is a pull secret for each environment.
    pub has_pull_secret: bool,
    /// Generated files of which users keep their own version.
    pub kept: BTreeSet<String>,
}

impl Adoption {
    /// Whether a pull secret stays in plaintext in its place, so that a second one could not be
    /// deployed.
    #[must_use]
    pub fn has_open_pull_secret(&self) -> bool {
        self.open_secrets.iter().any(|(_, name)| name == self.answers.secret_name.as_str())
    }
}

/// The files that kustomizations list, which an adoption must read.
#[must_use]
pub fn named_files(files: &Files, limits: &[String]) -> Vec<String> {
    survey::named_files(files, limits)
}

/// The project according to the labels in the overlays.
#[must_use]
pub fn labelled_project(files: &Files) -> Option<String> {
    let overlays =
        files.below(super::OVERLAYS).filter_map(|(path, _)| files.text(path).ok().flatten());
    let mut labels = overlays.flat_map(|text| {
        let kustomization = objects::kustomization(Some(text));
        objects::list(&kustomization, "labels").cloned().collect::<Vec<_>>()
    });
    labels.find_map(|one| text(&one, &["pairs", ProjectName::LABEL]).map(str::to_owned))
}

/// The files that an adoption creates at the top. Those further down are read anyway.
#[must_use]
pub fn generated_files() -> Vec<String> {
    TemplateSet::embedded()
        .files()
        .filter_map(|(template, _)| resume::generated(template))
        .collect()
}

/// Plans the adoption, or the rest of one that was killed.
pub fn adopt(files: &Files, request: &Request) -> Result<Adoption> {
    match resume::resumed(files, request) {
        Some(adoption) => Ok(adoption),
        None => planned(files, request),
    }
}

fn planned(files: &Files, request: &Request) -> Result<Adoption> {
    let mut apart = ExtractedSecrets::of(files, &request.manifests, &request.tracked)?;
    let survey = Survey::of(&apart.files, &request.manifests);
    let layout = Layout::find(&survey, &apart.files, &request.tracked)?;
    apart.keep(files, |path| layout.is_deployed(path));
    let survey = Survey::of(&apart.files, &request.manifests);
    if layout.is_flat() {
        let asked = request.values.get(&Name::Namespace).and_then(Option::as_deref);
        Namespaces::of(&survey, |path| layout.is_deployed(path)).check(asked)?;
    }
    let secret_files = secrets::all(&survey, &layout, &apart.files, &apart.parts)?;
    let mut after = moved(&apart.files, &layout, &secret_files);
    let (templates, answers, is_generated) =
        recognise(&apart.files, &after, request, &layout, &secret_files)?;
    let rendered = templates.render(&answers, &[])?;

    let mut adoption = Adoption {
        plan: Plan::default(),
        secrets: secret_files.iter().map(|file| (file.path.clone(), file.name.clone())).collect(),
        open_secrets: open_secrets(&survey, &layout, &secret_files),
        has_pull_secret: false,
        kept: BTreeSet::new(),
        answers,
    };
    let placed = place_secrets(&adoption.answers, &apart.files, &layout, &secret_files, &rendered)?;
    adoption.has_pull_secret =
        adoption.answers.secret_files().iter().all(|path| placed.files.contains_key(path));
    adoption.plan.notes.extend(placed.notes);
    let here = deployed(&after, &survey, &layout);
    let is_baseline = pods::pod_security(&here).is_some();
    let parts = Parts {
        answers: &adoption.answers,
        after: &after,
        here: &here,
        survey: &survey,
        layout: &layout,
        secrets: &secret_files,
        rendered: &rendered,
        is_baseline,
    };
    for (path, text) in parts.compose()? {
        put(&mut after, &path, text.into_bytes(), false);
    }
    let hazards = settle::hazards_of_taking(&after, request, &rendered)?;
    let own = settle::settle(&mut adoption, &mut after, request, &rendered, is_generated)?;
    for (path, bytes) in placed.files {
        let executable = false;
        after.insert(path, WorkTreeFile { content: Ok(bytes), executable, ignored: false });
    }
    let before = Survey::of(files, &request.manifests);
    verify::verify((files, &before, &layout), &after, &adoption.answers, &secret_files)?;
    let text = settle::record_text(&templates, &adoption.answers, request, &own)?;
    put(&mut after, Record::FILE, text.into_bytes(), false);

    let mut moves = layout.moves.clone();
    moves.extend(placed.moves);
    let shared: BTreeSet<_> = apart.parts.iter().map(|part| part.path.as_str()).collect();
    settle::steps(&mut adoption.plan, files, &after, &moves, &shared)?;
    adoption.plan.facts = notes::facts(&adoption, &templates);
    adoption.plan.notes.extend(hazards);
    adoption.plan.notes.extend((!own.is_empty()).then(|| {
        format!(
            "`makeinfra update` will not change {} files, which `{}` lists as `own`",
            own.len(),
            Record::FILE
        )
    }));
    notes::add(
        &mut adoption,
        &notes::Before {
            files,
            survey: &survey,
            layout: &layout,
            moves: &moves,
            here: &here,
            secrets: &secret_files,
            request,
        },
        &after,
        &rendered,
    );
    let steps = adoption.plan.steps.iter().chain(&adoption.plan.offers);
    let shows_secret = |step: &&Step| {
        let sides = [&step.before, &step.after];
        sides.into_iter().flatten().any(|bytes| survey::holds_secret(bytes))
    };
    adoption.plan.hidden = steps.filter(shows_secret).map(|step| step.path.clone()).collect();
    adoption.plan.moves = moves;
    Ok(adoption)
}

/// Secrets that stay in plaintext, each with its file: among other objects, changed by a
/// kustomization of the base, or generated from adjacent files.
fn open_secrets(survey: &Survey, layout: &Layout, taken: &[SecretFile]) -> Vec<(String, String)> {
    let is_taken = |path: &str| taken.iter().any(|file| !file.is_part && file.path == path);
    let files =
        survey.manifests.iter().filter(|(path, _)| layout.is_deployed(path) && !is_taken(path));
    let is_open = |one: &serde_yaml::Value| {
        text(one, &["kind"]) == Some("Secret") && one.get("sops").is_none()
    };
    let name =
        |one: &serde_yaml::Value, path: &[&str]| text(one, path).unwrap_or_default().to_owned();
    let mut found: Vec<_> = files
        .flat_map(|(path, all)| all.iter().map(move |one| (path, one)))
        .filter(|(_, one)| is_open(one))
        .map(|(path, one)| (path.clone(), name(one, &["metadata", "name"])))
        .collect();
    for (dir, _) in layout.dirs() {
        let Some(one) = survey.kustomizations.get(dir) else { continue };
        for generator in objects::list(&one.value, "secretGenerator") {
            let inputs = one.generated_from(generator);
            let literals = generator.get("literals").map(|_| one.path.clone());
            found.extend(
                inputs.into_iter().chain(literals).map(|path| (path, name(generator, &["name"]))),
            );
        }
    }
    found
}

/// `files` at their new paths, without those of Secrets. A moved file replaces one that is there.
fn moved(files: &Files, layout: &Layout, secrets: &[SecretFile]) -> Files {
    let taken: BTreeSet<_> =
        secrets.iter().filter(|file| !file.is_part).map(|file| file.path.as_str()).collect();
    let (moving, staying): (Vec<_>, Vec<_>) = files
        .iter()
        .filter(|(path, _)| !taken.contains(path))
        .partition(|(path, _)| layout.file(path) != *path);
    let mut after = Files::default();
    for (path, found) in staying.into_iter().chain(moving) {
        after.insert(layout.file(path).to_owned(), found.clone());
    }
    after
}

fn put(files: &mut Files, path: &str, bytes: Vec<u8>, executable: bool) {
    let content = Ok(Zeroizing::new(bytes));
    files.insert(path.to_owned(), WorkTreeFile { content, executable, ignored: false });
}

/// The templates from which the files were rendered (this version's if from none), the answers, and
/// whether makeinfra generated the repository.
fn recognise(
    files: &Files,
    after: &Files,
    request: &Request,
    layout: &Layout,
    secrets: &[SecretFile],
) -> Result<(TemplateSet, Answers, bool)> {
    let known = request.earlier.as_ref().and_then(|record| {
        let version = record.version.as_ref()?.to_string();
        Some((request.templates.iter().find(|set| set.version() == version)?, record))
    });
    if let Some((templates, record)) = known {
        return Ok((templates.clone(), record.answers.clone(), true));
    }
    let answers = read(after, request, layout, secrets, &Survey::of(files, &request.manifests))?;
    let mut best: (usize, Option<&TemplateSet>) = (0, None);
    for templates in &request.templates {
        let rendered = templates.render(&answers, &[])?;
        // Only files that reveal their origin count: many repositories share the same few lines.
        let is_telling =
            |file: &&File| ["Makefile", "scripts/deploy.sh"].contains(&file.path.as_str());
        let same = |file: &&File| {
            after
                .bytes(&file.path)
                .ok()
                .flatten()
                .is_some_and(|there| ***there == *file.text.expose().as_bytes())
        };
        let count = rendered.iter().filter(same).count();
        if request.has_script
            && count >= best.0
            && rendered.iter().filter(is_telling).any(|file| same(&file))
        {
            best = (count, Some(templates));
        }
    }
    let newest = request.templates.last().cloned().unwrap_or_else(TemplateSet::embedded);
    Ok(match best.1 {
        Some(templates) => (templates.clone(), answers, true),
        None => (newest, answers, false),
    })
}

/// The deployed files at their new paths, without examples and files outside the limits.
fn deployed(after: &Files, before: &Survey, layout: &Layout) -> Survey {
    let mut survey = Survey::of(after, &["kubernetes".to_owned()]);
    let sources = layout.sources();
    let was_known = |path: &str| before.manifests.contains_key(path) && layout.is_deployed(path);
    survey.manifests.retain(|path, _| sources.contains_key(path.as_str()) || was_known(path));
    survey
}

/// The answers according to the files.
fn read(
    after: &Files,
    request: &Request,
    layout: &Layout,
    secrets: &[SecretFile],
    before: &Survey,
) -> Result<Answers> {
    let survey = deployed(after, before, layout);
    let named = answers::named_pull_secrets(&survey, &request.project);
    let image = answers::main_image(&survey, &request.project);
    let pull_secret = secrets::pull_secret(secrets, &named, image.as_ref(), before);
    let source = Source {
        files: after,
        survey: &survey,
        project: &request.project,
        environments: &layout.environments,
        pull_secret,
        values: &request.values,
        taken: &request.taken,
    };
    let answers = source.answers().map_err(|refused| match refused {
        Refused::Missing(Name::Image) => Failure::usage("no workload with an image found")
            .because("a repository must deploy at least one")
            .hint(Advice::makeinfra("adopt").with("--manifests DIR")),
        Refused::Missing(name) => Failure::usage(format!("`{}` is required", name.option())),
        _ => {
            let (name, rule) = refused.explained(Name::option);
            // With several environments, each has its own namespace.
            let is_pattern = name == Name::Namespace && !layout.environments.is_empty();
            let example = if is_pattern { "'{project}-{env}'" } else { name.example() };
            Failure::usage(format!("`{}` {rule}", name.option()))
                .hint(format!("{} {example}", name.option()))
        }
    })?;
    // Values in generated places are read as in an update.
    let record = Record::parse(TemplateSet::embedded().record(&answers)?)?;
    let mut found = answers_in(after, &record).answers;
    // A kustomization may pull it under another name than the manifest has.
    found.components.first.image = answers.components.first.image;
    let has_other_tags = answers::has_other_tags(&survey, &found.components.first.image);
    for environment in found.environments.iter_mut() {
        let Some(deployed) = environment.deployed.first_mut() else { continue };
        let version = &deployed.image.as_str()[deployed.image.name().len()..];
        let image = ImageRef::parse(&format!("{}{version}", found.components.first.image.name()));
        deployed.image = image.unwrap_or_else(|_| found.components.first.image.clone());
        deployed.has_tag &= !has_other_tags;
    }
    Ok(found)
}

fn place_secrets(
    answers: &Answers,
    files: &Files,
    layout: &Layout,
    secrets: &[SecretFile],
    rendered: &[File],
) -> Result<secrets::PlacedSecrets> {
    let lists = rendered.iter().filter(|file| file.path.starts_with(SECRETS));
    let lists = lists.map(|file| (file.path.clone(), file.text.expose().to_owned())).collect();
    let overlay = |path: &str| {
        let rest = layout.file(path).strip_prefix(super::OVERLAYS)?.trim_start_matches('/');
        rest.split_once('/').map(|(name, _)| name.to_owned())
    };
    secrets::place(secrets, files, answers, &lists, &overlay)
}
