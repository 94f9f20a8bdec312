//! What to type in a repository as it was found. Pure.

use super::Inspection;
use crate::advice::Advice;
use crate::answers::{Environment, Record};

impl Inspection {
    /// `hint`, which may rotate a token: makeinfra has to know the repository first.
    #[must_use]
    pub fn adopted(&self, hint: Advice) -> Advice {
        let default = Environment::default_secret_file();
        let is_known = self.record.is_some() || self.secret_files.iter().any(|file| file.path == default);
        match is_known || !hint.rotates() {
            true => hint,
            false => Advice::makeinfra("adopt").say(", then: ").say(hint),
        }
    }

    /// What brings back the generated file `path`.
    #[must_use]
    pub fn bring_back(&self, path: &str) -> Advice {
        match &self.git {
            Some(git) if git.lost.contains(path) => Advice::git("checkout HEAD --").arg(path),
            Some(_) => Advice::makeinfra("update").option("--restore", path),
            None => "copy it from another project: {makeinfra new PROJECT} makes the same one".into(),
        }
    }

    /// What brings back the generated file `path` of `environment`. An update knows those alone that are committed.
    #[must_use]
    pub fn bring_back_of(&self, environment: &Environment, path: &str) -> Advice {
        let restore = self.bring_back(path);
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
