//! The environment that a command must name.

use crate::advice::Advice;
use crate::answers::{Answers, Environment, EnvironmentName};
use crate::inspection::Inspection;

/// An environment among several; `None` if there is only one, or it is unknown which.
#[derive(Debug, Clone, Copy, Default)]
pub struct EnvironmentHint<'a>(Option<&'a str>);

impl<'a> EnvironmentHint<'a> {
    /// The environment that deploys to `namespace`, if exactly one does.
    #[must_use]
    pub fn of_namespace(inspection: &'a Inspection, namespace: &str) -> Self {
        let mut found =
            environments(inspection).filter(|(_, one)| one.namespace.as_str() == namespace);
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

    /// `environment`, which is one of `answers`.
    #[must_use]
    pub fn of(answers: &Answers, environment: &'a Environment) -> Self {
        Self(answers.choice(environment).map(EnvironmentName::as_str))
    }

    /// `advice` with this environment added, unless it names one.
    #[must_use]
    pub fn with_env(self, advice: impl Into<Advice>) -> Advice {
        advice.into().for_env(self.0)
    }

    /// Whether an environment must be named.
    #[must_use]
    pub fn is_known(self) -> bool {
        self.0.is_some()
    }

    /// The environment as an addition to a sentence: ` (staging)`.
    #[must_use]
    pub fn title(self) -> String {
        self.0.map_or_else(String::new, |name| format!(" ({name})"))
    }
}

fn environments(inspection: &Inspection) -> impl Iterator<Item = (&Answers, &Environment)> {
    let record = inspection.record.as_ref().and_then(|record| record.as_ref().ok());
    let answers = record.map(|record| &record.answers);
    answers
        .into_iter()
        .flat_map(|answers| answers.environments.iter().map(move |one| (answers, one)))
}
