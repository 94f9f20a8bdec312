//! The notes of an adoption: the answers that were read, what stays unchanged, and the
//! consequences. Pure.

use super::layout::Layout;
use super::secrets::SecretFile;
use super::survey::{self, Survey};
use super::{Adoption, Request, answers, namespaces};
use crate::answers::Answers;
use crate::change::objects::{self, text};
use crate::change::{Files, text_of};
use crate::templates::{File, TemplateSet};
use std::collections::{BTreeMap, BTreeSet};

/// The decisions: names with values.
pub(super) fn facts(adoption: &Adoption, templates: &TemplateSet) -> Vec<(&'static str, String)> {
    let answers = &adoption.answers;
    let main = answers.main();
    let environments = answers.environments.iter();
    let environments =
        environments.map(|one| format!("{} (namespace {})", one.name, one.namespace));
    let mut facts = vec![
        ("project", answers.project.to_string()),
        ("image", main.image.to_string()),
        ("environments", environments.collect::<Vec<_>>().join(", ")),
        ("registry", answers.registry.to_string()),
        (
            "pull secret",
            if adoption.has_pull_secret {
                format!("{} ({})", answers.secret_name, answers.secret_type.as_str())
            } else if adoption.has_open_pull_secret() {
                format!("{}, in plaintext", answers.secret_name)
            } else {
                format!("{}, missing", answers.secret_name)
            },
        ),
    ];
    facts.extend(main.port.map(|port| ("port", port.to_string())));
    facts.extend(main.ingress.as_ref().map(|host| ("host", host.to_string())));
    facts.push(("replicas", main.replicas.to_string()));
    facts.push(("pod security", answers.pod_security.as_str().to_owned()));
    facts.push(("pipeline", answers.ci.as_str().to_owned()));
    facts.push(("templates", templates.version().to_owned()));
    facts
}

/// The repository before the adoption, and the new paths of its files.
pub(super) struct Before<'b> {
    pub(super) files: &'b Files,
    pub(super) survey: &'b Survey,
    pub(super) layout: &'b Layout,
    pub(super) moves: &'b BTreeMap<String, String>,
    /// The files at their new paths, with the users' content.
    pub(super) here: &'b Survey,
    pub(super) secrets: &'b [SecretFile],
    pub(super) request: &'b Request,
}

/// Adds notes about what stays unchanged, and the consequences.
pub(super) fn add(adoption: &mut Adoption, before: &Before, after: &Files, rendered: &[File]) {
    let Before { files, survey, layout, moves, .. } = before;
    let makefile =
        after.text("Makefile").ok().flatten().filter(|_| adoption.kept.contains("Makefile"));
    let notes = &mut adoption.plan.notes;
    for path in &adoption.kept {
        let missing =
            makefile.filter(|_| path == "Makefile").map(|text| missing_targets(text, rendered));
        let lacks = missing.filter(|all| !all.is_empty());
        let lacks = lacks
            .map_or(String::new(), |all| format!(", which lacks the targets {}", all.join(", ")));
        notes.push(format!("keeps `{path}`{lacks} (`--take {path}` replaces it)"));
    }
    notes.extend(of_the_cluster(&adoption.answers, before));
    let is_replaced = |path: &str| before.request.taken.contains(path);
    for (path, names) in mentions(files, moves).into_iter().filter(|(path, _)| !is_replaced(path)) {
        notes.push(format!("`{path}` refers to {names}, which will move: edit it"));
    }
    for path in &layout.left {
        let why =
            if layout.is_flat() { "it is encrypted by SOPS" } else { "no kustomization lists it" };
        notes.push(format!("`{path}` stays where it is: {why}"));
    }
    let links =
        files.iter().filter(|(path, found)| found.content.is_err() && objects::is_yaml(path));
    notes.extend(links.filter_map(|(path, found)| {
        found.content.as_ref().err().map(|why| format!("`{path}` stays unchanged: {why}"))
    }));
    let all =
        || survey.manifests.iter().flat_map(|(path, all)| all.iter().map(move |one| (path, one)));
    let hooks =
        all().filter(|(_, one)| text(one, &["metadata", "annotations", "helm.sh/hook"]).is_some());
    notes.extend(hooks.map(|(path, one)| {
        let kind = text(one, &["kind"]).unwrap_or_default();
        format!("`{path}`: {kind} is a Helm hook; `make deploy` applies it like any other object")
    }));
    let part_of = "app.kubernetes.io/part-of";
    let project = adoption.answers.project.as_str();
    let unlabelled = all().any(|(_, one)| {
        let labels = objects::at(one, &["spec", "template", "metadata", "labels"]);
        labels.is_some_and(|labels| text(labels, &[part_of]) != Some(project))
    });
    if unlabelled {
        notes.push(format!(
            "some pods lack the label `{part_of}: {project}`, so `make status` and `make logs` do \
             not show them"
        ));
    }
}

/// Assumptions about the cluster, and the alternatives.
fn of_the_cluster(answers: &Answers, before: &Before) -> Vec<String> {
    let Before { here, secrets, request, .. } = before;
    let mut notes = Vec::new();
    for environment in answers.environments.iter() {
        let (name, namespace) = (&environment.name, environment.namespace.as_str());
        if namespaces::is_assumed(here, &request.values, environment) {
            notes.push(format!(
                "no manifest sets the namespace of {name}, so `{namespace}` is assumed; objects \
                 that run in another namespace would be created again (use `--namespace`)"
            ));
        }
        for other in namespaces::foreign_subjects(here, namespace) {
            notes.push(format!(
                "a binding names an account in namespace `{other}`, which kustomize changes to \
                 `{namespace}`"
            ));
        }
    }
    if answers::has_other_tags(here, answers.image()) {
        let image = answers.image().name();
        notes.push(format!(
            "containers use several tags of `{image}`: the tags stay in the manifests, and `make \
             set-image` does not change them"
        ));
    }
    let others = secrets.iter().filter_map(|file| Some((&file.path, &file.pull.as_ref()?.name)));
    let others = others.filter(|(_, name)| *name != answers.secret_name.as_str());
    notes.extend(others.map(|(path, name)| {
        format!(
            "`{path}` is the pull Secret `{name}`, but `makeinfra rotate` replaces only `{}`",
            answers.secret_name
        )
    }));
    notes.extend(unread(before));
    notes
}

/// YAML files next to deployed ones that are not manifests, so that none is overlooked.
fn unread(before: &Before) -> Vec<String> {
    let Before { files, survey, layout, moves, .. } = before;
    let deployed =
        survey.manifests.keys().filter(|path| layout.is_deployed(path)).map(String::as_str);
    let dirs: BTreeSet<_> = moves
        .keys()
        .map(String::as_str)
        .chain(deployed)
        .map(|path| path.rsplit_once('/').map_or("", |(dir, _)| dir))
        .collect();
    let is_beside = |path: &str| dirs.contains(path.rsplit_once('/').map_or("", |(dir, _)| dir));
    let is_below =
        |path: &str| dirs.iter().any(|dir| !dir.is_empty() && survey::is_below(path, dir));
    let is_known = |path: &str| {
        survey.manifests.contains_key(path)
            || moves.contains_key(path)
            || survey.kustomizations.values().any(|one| one.path == path)
            || survey.named().contains(path)
            || path.split('/').any(|part| part.starts_with('.'))
    };
    let is_read =
        |path: &str| files.text(path).is_ok_and(|text| text.is_none_or(objects::is_readable));
    let yaml = files
        .iter()
        .filter(|(path, found)| found.content.is_ok() && objects::is_yaml(path) && !is_known(path));
    let notes = yaml.filter_map(|(path, _)| match is_read(path) {
        false if is_beside(path) || is_below(path) => {
            Some(format!("`{path}` stays and is not deployed: it is not valid YAML"))
        }
        true if is_beside(path) => Some(format!(
            "`{path}` stays and is not deployed: not every YAML document in it has a kind and a \
             name"
        )),
        _ => None,
    });
    notes.collect()
}

/// The targets of the generated Makefile that `text` lacks.
fn missing_targets(text: &str, rendered: &[File]) -> Vec<String> {
    let targets = |text: &str| {
        let heads = text.lines().filter_map(|line| line.split_once(':')).map(|(head, _)| head);
        let words = heads
            .filter(|head| !head.starts_with(['\t', '#', '.']))
            .flat_map(str::split_whitespace);
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    let generated = text_of(rendered, "Makefile").unwrap_or_default();
    let documented =
        generated.lines().filter(|line| line.contains(": ## ")).collect::<Vec<_>>().join("\n");
    let known = targets(text);
    targets(&documented).into_iter().filter(|target| !known.contains(target)).collect()
}

/// Files that users run and that mention a moved file, each with what it mentions.
fn mentions(files: &Files, moves: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let is_run = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or_default();
        name.to_lowercase().contains("makefile")
            || [".mk", ".sh", ".gitlab-ci.yml"].iter().any(|end| name.ends_with(end))
            || path.starts_with(".github/")
            || path.starts_with(".gitlab/")
    };
    let mut dirs: BTreeSet<&str> = BTreeSet::new();
    for from in moves.keys() {
        dirs.extend(from.rsplit_once('/').map(|(dir, _)| dir));
    }
    let mut found = Vec::new();
    for (path, file) in files.iter().filter(|(path, _)| is_run(path)) {
        let text = file.content.as_ref().ok().and_then(|bytes| std::str::from_utf8(bytes).ok());
        let Some(text) = text else { continue };
        let is_there = |name: &&str| {
            let is_word = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            text.match_indices(*name).any(|(at, _)| {
                !text[..at].ends_with(|c| is_word(c) || c == '/')
                    && !text[at + name.len()..].starts_with(is_word)
            })
        };
        let all: Vec<_> =
            moves.keys().map(String::as_str).chain(dirs.iter().copied()).filter(is_there).collect();
        // A mention of a file includes its directory.
        let is_alone = |name: &&&str| !all.iter().any(|other| survey::is_below(other, name));
        let all: Vec<_> = all.iter().filter(is_alone).map(|name| format!("`{name}`")).collect();
        found.extend((!all.is_empty()).then(|| (path.to_owned(), all.join(", "))));
    }
    found
}
