//! Whether Makefile, overlays and `.makeinfra.yaml` agree on the environments, and whether
//! environments conflict with each other.

mod entries;
mod used;

use super::{Check, Id, count, or_ok};
use crate::advice::{Advice, shell_word};
use crate::answers::{Answers, Ci, Environment, ProjectName, Record, Setting};
use crate::inspection::{Inspection, OverlayFiles};
use crate::manifests::kustomization;
use crate::yaml_path::{list, text};
use serde_yaml::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// The label by which `make prune` and `make undeploy` find the objects of an environment.
const ENVIRONMENT: &str = "makeinfra/environment";
/// The expression with which the Makefile finds the environments.
const WILDCARD: &str = "kubernetes/overlays/*/environment.mk";

pub(super) fn checks(inspection: &Inspection) -> Vec<Check> {
    let Some(Ok(record)) = &inspection.record else { return Vec::new() };
    [
        agree(inspection, record),
        used::checks(inspection, &record.answers),
        hosts(inspection, &record.answers),
    ]
    .concat()
}

fn agree(inspection: &Inspection, record: &Record) -> Vec<Check> {
    let (answers, is_own) = (&record.answers, |path: &str| record.own.contains(path));
    let id = Id::EnvironmentsAgree;
    let mut found = Vec::new();
    for (name, files) in &inspection.overlays {
        match answers.environment(name) {
            Some(environment) => {
                found.extend(Compared { inspection, answers, environment, files }.differences());
            }
            None => found.push(
                Check::warning(
                    id,
                    format!("kubernetes/overlays/{name}"),
                    format!(
                        "not listed in `{}`, so `makeinfra rotate` does not change its pull secret",
                        Record::FILE
                    ),
                )
                .hint(Advice::makeinfra(format!("env add {}", shell_word(Path::new(name))))),
            ),
        }
    }
    // A user's own Makefile may deploy in any way.
    let generated = inspection.makefile.iter().filter(|(path, _)| !is_own(path));
    found.extend(generated.filter_map(|(path, text)| makefile(path, text, answers)));
    found.extend(entries::lacking(inspection, answers));
    or_ok(found, || {
        let environments = count(answers.environments.iter().count(), "environment");
        Check::ok(
            id,
            Record::FILE,
            format!("{environments}, same as in the overlays and the Makefile"),
        )
    })
}

fn makefile(path: &str, text: &str, answers: &Answers) -> Option<Check> {
    let id = Id::EnvironmentsAgree;
    let edit = Advice::edit(path);
    if !text.contains(WILDCARD) {
        let message = format!("does not list environments with `{WILDCARD}`");
        return Some(Check::problem(id, path, message).hint(edit));
    }
    let label = format!("{}={},", ProjectName::LABEL, answers.project);
    (!text.contains(&label)).then(|| {
        let message = format!(
            "does not select `{}={}`, the project in `{}`",
            ProjectName::LABEL,
            answers.project,
            Record::FILE
        );
        Check::problem(id, path, message).hint(edit)
    })
}

/// An environment in `.makeinfra.yaml`, with its directory.
struct Compared<'i> {
    inspection: &'i Inspection,
    answers: &'i Answers,
    environment: &'i Environment,
    files: &'i OverlayFiles,
}

impl Compared<'_> {
    fn differences(&self) -> Vec<Check> {
        let name = &self.environment.name;
        let missing = |path: String, what: &str| {
            let hint = self.inspection.restore_command_in(self.environment, &path);
            Check::problem(Id::EnvironmentsAgree, path, format!("file is missing: {what}"))
                .hint(hint)
        };
        let Some(kustomization) = &self.files.kustomization else {
            let what = format!("`{}` lists the environment `{name}`", Record::FILE);
            return vec![missing(self.path("kustomization.yaml"), &what)];
        };
        let Some(settings) = &self.files.settings else {
            return vec![missing(
                self.path(Environment::SETTINGS),
                "the Makefile cannot find the environment",
            )];
        };
        let mut found = self.namespace(kustomization, settings);
        found.extend(self.secrets(kustomization, settings));
        found.extend(self.protection(settings));
        found.extend(self.labels(kustomization));
        found.extend(self.pipeline());
        found
    }

    fn pipeline(&self) -> Option<Check> {
        if self.answers.ci != Ci::Gitlab || self.files.has_pipeline {
            return None;
        }
        let path = self.environment.pipeline_file();
        let message = "file is missing: the pipeline does not deploy the environment";
        let hint = self.inspection.restore_command_in(self.environment, &path);
        Some(Check::problem(Id::EnvironmentsAgree, path, message).hint(hint))
    }

    fn namespace(&self, kustomization: &Value, settings: &str) -> Vec<Check> {
        let here = Setting::Namespace.of(settings);
        let deployed = text(kustomization, &["namespace"]);
        if here.is_none() || here != deployed {
            let message = "NAMESPACE differs from `namespace` in kustomization.yaml; `make deploy` \
                           will refuse";
            return vec![self.edit(Environment::SETTINGS, message)];
        }
        if here == Some(self.environment.namespace.as_str()) {
            return Vec::new();
        }
        vec![self.record(&format!("with namespace `{}`", self.environment.namespace))]
    }

    fn secrets(&self, kustomization: &Value, settings: &str) -> Vec<Check> {
        let Some(dir) = Setting::Secrets.of(settings).filter(|dir| !dir.is_empty()) else {
            return vec![self.edit(Environment::SETTINGS, "SECRETS names no directory")];
        };
        let wanted = format!("../../../{dir}");
        if !kustomization::resources(kustomization, &self.environment.overlay())
            .any(|path| path == dir)
        {
            let message =
                format!("`resources` lacks `{wanted}`, so the cluster gets no pull secret");
            return vec![self.edit("kustomization.yaml", &message)];
        }
        if dir == self.environment.secrets {
            return Vec::new();
        }
        vec![self.record(&format!("with the secrets directory `{}`", self.environment.secrets))]
    }

    fn protection(&self, settings: &str) -> Option<Check> {
        let is_protected = Setting::Protected.of(settings).is_some_and(|value| !value.is_empty());
        (is_protected != self.environment.protect).then(|| {
            let recorded = if self.environment.protect { "protected" } else { "unprotected" };
            self.record(&format!("as {recorded}"))
        })
    }

    fn labels(&self, kustomization: &Value) -> Option<Check> {
        let label = |name: &str| {
            list(kustomization, "labels").filter_map(|one| text(one, &["pairs", name])).next_back()
        };
        let wanted = [
            (ProjectName::LABEL, self.answers.project.as_str()),
            (ENVIRONMENT, self.environment.name.as_str()),
        ];
        let (name, value) = wanted.into_iter().find(|(name, value)| label(name) != Some(value))?;
        let message = format!(
            "`labels` lacks `{name}: {value}`, so `make prune` cannot recognize the objects of \
             this environment"
        );
        Some(self.edit("kustomization.yaml", &message))
    }

    fn path(&self, file: &str) -> String {
        format!("{}/{file}", self.environment.overlay())
    }

    /// A problem in a file of the overlay.
    fn edit(&self, file: &str, message: &str) -> Check {
        let path = self.path(file);
        let hint = Advice::edit(&path);
        Check::problem(Id::EnvironmentsAgree, path, message).hint(hint)
    }

    /// A problem in the record: it contradicts the overlay.
    fn record(&self, message: &str) -> Check {
        let (name, settings) = (&self.environment.name, self.path(Environment::SETTINGS));
        let message = format!("records `{name}` {message}, but `{settings}` differs");
        Check::problem(Id::EnvironmentsAgree, Record::FILE, message)
            .hint(Advice::edit(Record::FILE))
    }
}

/// Environments that share a host: within a cluster, only one of them is reachable.
fn hosts(inspection: &Inspection, answers: &Answers) -> Vec<Check> {
    let id = Id::HostsDiffer;
    let mut by_host: BTreeMap<&str, Vec<&Environment>> = BTreeMap::new();
    for overlay in &inspection.manifests.overlays {
        let here = answers.environments.iter().find(|one| one.overlay() == overlay.path);
        for (environment, host) in
            here.into_iter().flat_map(|one| overlay.hosts.iter().map(move |host| (one, host)))
        {
            let all = by_host.entry(host).or_default();
            if all.iter().all(|other| other.name != environment.name) {
                all.push(environment);
            }
        }
    }
    let shared = by_host.iter().filter(|(_, all)| all.len() > 1).map(|(host, all)| {
        let names: Vec<_> = all.iter().map(|one| one.name.as_str()).collect();
        let message =
            format!("host `{host}` is also used by {}", names[..names.len() - 1].join(", "));
        let last = all[all.len() - 1];
        let subject = format!("{}/kustomization.yaml", last.overlay());
        let hint = Advice::edit(&subject);
        let mut contexts: Vec<_> =
            all.iter().filter_map(|one| one.context.as_ref()).map(ToString::to_string).collect();
        contexts.sort();
        contexts.dedup();
        // In clusters of their own they may take turns.
        if contexts.len() == all.len() {
            Check::warning(id, subject, message)
        } else {
            Check::problem(id, subject, message)
        }
        .hint(hint)
    });
    let found: Vec<_> = shared.collect();
    if by_host.is_empty() || answers.environments.rest.is_empty() {
        return found;
    }
    or_ok(found, || Check::ok(id, "kubernetes/overlays", "every environment has its own hosts"))
}
