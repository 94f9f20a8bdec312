//! Where a repository deploys to, as commands are told it.

use crate::answers::{Answers, Environment, EnvironmentName};
use crate::inspection::Inspection;

/// What needs `ENV=`, where there are several environments.
const TARGETS: [&str; 12] = [
    "deploy",
    "gitlab-secret",
    "namespace",
    "diff",
    "set-image",
    "restart",
    "rollback",
    "undeploy",
    "prune",
    "status",
    "logs",
    "run",
];
/// What needs `--env`.
const COMMANDS: [&str; 4] = ["rotate", "diagnose", "secret set", "secret unset"];

/// An environment among several; none where there is nothing to choose.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place<'a>(Option<&'a str>);

impl<'a> Place<'a> {
    /// The environment that deploys to `namespace`, if just one does.
    #[must_use]
    pub fn of_namespace(inspection: &'a Inspection, namespace: &str) -> Self {
        let mut found = environments(inspection).filter(|(_, one)| one.namespace.as_str() == namespace);
        match (found.next(), found.next()) {
            (Some((answers, only)), None) => Self::of(answers, only),
            _ => Self::default(),
        }
    }

    /// The environment whose pull secret is in the file `path`.
    #[must_use]
    pub fn of_file(inspection: &'a Inspection, path: &str) -> Self {
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        let mut all = environments(inspection);
        let found = all.find(|(_, one)| one.secrets == directory);
        found.map_or(Self::default(), |(answers, one)| Self::of(answers, one))
    }

    /// This environment, one of `answers`.
    #[must_use]
    pub fn of(answers: &Answers, environment: &'a Environment) -> Self {
        Self(answers.choice(environment).map(EnvironmentName::as_str))
    }

    /// `words` in which the commands that do not say so yet are about this environment.
    #[must_use]
    pub fn fills(self, words: &str) -> String {
        let Some(name) = self.0 else { return words.to_owned() };
        let targets =
            TARGETS.iter().map(|target| (format!("make {target}"), format!(" ENV={name}"), " ENV="));
        let commands =
            COMMANDS.iter().map(|one| (format!("makeinfra {one}"), format!(" --env {name}"), " --env "));
        targets.chain(commands).fold(words.to_owned(), |words, (command, choice, chosen)| {
            let mut filled = String::with_capacity(words.len() + choice.len());
            let mut rest = words.as_str();
            while let Some(at) = rest.find(&command) {
                let (before, after) = rest.split_at(at + command.len());
                filled.push_str(before);
                let goes_on = after.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '-');
                if !goes_on && !after.starts_with(chosen) {
                    filled.push_str(&choice);
                }
                rest = after;
            }
            filled + rest
        })
    }

    /// Whether there is one to choose.
    #[must_use]
    pub fn is_known(self) -> bool {
        self.0.is_some()
    }

    /// The environment behind a sentence about it: ` (staging)`.
    #[must_use]
    pub fn title(self) -> String {
        self.0.map_or_else(String::new, |name| format!(" ({name})"))
    }
}

fn environments(inspection: &Inspection) -> impl Iterator<Item = (&Answers, &Environment)> {
    let record = inspection.record.as_ref().and_then(|record| record.as_ref().ok());
    let answers = record.map(|record| &record.answers);
    answers.into_iter().flat_map(|answers| answers.environments.iter().map(move |one| (answers, one)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_get_it_once() {
        let place = Place(Some("qa"));
        for (words, filled) in [
            ("make deploy", "make deploy ENV=qa"),
            (
                "make set-image TAG=1, then: make deploy; make deployable",
                "make set-image ENV=qa TAG=1, then: make deploy ENV=qa; make deployable",
            ),
            (
                "make a new deploy token, then: makeinfra rotate --commit && make deploy",
                "make a new deploy token, then: makeinfra rotate --env qa --commit && make deploy ENV=qa",
            ),
            (
                "make prune ENV=live && makeinfra rotate --env live",
                "make prune ENV=live && makeinfra rotate --env live",
            ),
            ("makeinfra check", "makeinfra check"),
        ] {
            assert_eq!(place.fills(words), filled);
            assert_eq!(place.fills(filled), filled);
            assert_eq!(Place::default().fills(words), words);
        }
    }
}
