//! Whether the pull secrets of all environments have entries for the same registries.

use super::{Check, Id};
use crate::advice::Advice;
use crate::answers::{Answer, Answers, Environment, RegistryKey};
use crate::inspection::Inspection;

/// A warning for each further entry that one environment lacks and another one has.
pub(super) fn lacking(inspection: &Inspection, answers: &Answers) -> Vec<Check> {
    let keys = |one: &Environment| -> Option<Vec<RegistryKey>> {
        let path = one.secret_file(&answers.secret_name);
        let secret = inspection.pull_secrets.iter().find(|secret| secret.path == path)?;
        let keys = secret.secret.is_readable().then(|| secret.secret.keys())?;
        Some(keys.filter_map(|key| RegistryKey::parse(key).ok()).collect())
    };
    let all: Vec<_> =
        answers.environments.iter().filter_map(|one| Some((one, keys(one)?))).collect();
    let mut found = Vec::new();
    for (environment, own) in &all {
        let mut listed: Vec<&RegistryKey> = vec![&answers.registry];
        for (other, keys) in all.iter().filter(|(other, _)| other.name != environment.name) {
            for key in keys {
                let is_same = |one: &RegistryKey| one.is_same(key);
                if own.iter().any(is_same) || listed.iter().any(|one| one.is_same(key)) {
                    continue;
                }
                listed.push(key);
                let path = environment.secret_file(&answers.secret_name);
                let message = format!(
                    "has no entry for `{key}`, but the pull secret of {} has one",
                    other.name
                );
                let hint = Advice::makeinfra("rotate").with(format_args!("--add-registry {key}"));
                let hint = hint.for_env(answers.choice(environment));
                found.push(Check::warning(Id::EnvironmentsAgree, path, message).hint(hint));
            }
        }
    }
    found
}
