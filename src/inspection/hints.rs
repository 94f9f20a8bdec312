//! Hints adapted to the state of the repository. Pure.

use super::{Inspection, PullSecret};
use crate::advice::Advice;
use crate::answers::{Environment, Record};

impl Inspection {
    /// The pull secret in the directory of `path`, if the file `path` is missing because the record
    /// was edited, and workloads reference this pull secret instead of the recorded one.
    #[must_use]
    pub fn pull_secret_under_other_name(&self, path: &str) -> Option<&PullSecret> {
        let Some(Ok(record)) = &self.record else { return None };
        let recorded = record.answers.secret_name.as_str();
        let names: Vec<_> =
            self.manifests.workloads().flat_map(|workload| &workload.pull_secrets).collect();
        let dir = |path: &str| path.rsplit_once('/').map(|(dir, _)| dir.to_owned());
        let is_it = |secret: &&PullSecret| {
            let name = secret.secret.name.as_ref();
            dir(&secret.path) == dir(path) && name.is_some_and(|name| names.contains(&name))
        };
        let is_named = names.iter().any(|name| *name == recorded);
        if is_named { None } else { self.pull_secrets.iter().find(is_it) }
    }

    /// `hint`, which may rotate a token, preceded by `adopt` if makeinfra does not manage the
    /// repository yet.
    #[must_use]
    pub fn adopted(&self, hint: Advice) -> Advice {
        let default = Environment::default_secret_file();
        let is_known =
            self.record.is_some() || self.secret_files.iter().any(|file| file.path == default);
        if is_known || !hint.rotates() {
            hint
        } else {
            Advice::makeinfra("adopt").say(", then: ").say(hint)
        }
    }

    /// The command that restores the generated file `path`.
    #[must_use]
    pub fn restore_command(&self, path: &str) -> Advice {
        match &self.git {
            Some(git) if git.lost.contains(path) => Advice::git("checkout HEAD --").arg(path),
            Some(_) => Advice::makeinfra("update").option("--restore", path),
            None => "copy it from another project; {makeinfra new PROJECT} generates the same file"
                .into(),
        }
    }

    /// The command that restores the generated file `path` of `environment`. An update only knows
    /// committed environments.
    #[must_use]
    pub fn restore_command_in(&self, environment: &Environment, path: &str) -> Advice {
        let restore = self.restore_command(path);
        match &self.git {
            Some(git) if !git.environments.contains(environment.name.as_str()) => {
                let paths = format!("{} {}", Record::FILE, environment.overlay());
                let message = format!("Add environment {}", environment.name);
                let commit = Advice::git(format!("commit -m '{message}' -- {paths}"));
                Advice::git(format!("add -- {paths}")).and(commit).and(restore)
            }
            _ => restore,
        }
    }
}
