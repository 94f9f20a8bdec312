//! A repository that is adopted already: refers to other commands for further changes.

use crate::advice::{Advice, shell_word};
use crate::answers::{Answers, Record};
use crate::cli::Adopt as Options;
use crate::error::{Failure, Result};
use std::path::Path;

/// Fails if an option differs from the record. Repeating the original command succeeds.
pub(super) fn check(options: &Options, record: &Record) -> Result<()> {
    let answers = &record.answers;
    let recorded = [
        ("--project", &options.project, vec![answers.project.to_string()]),
        (
            "--image",
            &options.image,
            vec![answers.image().to_string(), answers.image().name().to_owned()],
        ),
        ("--namespace", &options.namespace, namespaces(options, answers)),
        ("--ci", &options.ci, vec![answers.ci.as_str().to_owned()]),
    ];
    for (option, given, recorded) in recorded {
        let Some(given) = given.as_ref().filter(|given| !recorded.contains(given)) else {
            continue;
        };
        return Err(Failure::usage(format!(
            "`{option} {given}` has no effect: the repository is already adopted"
        ))
        .because(format!(
            "`{}` has `{}`",
            Record::FILE,
            recorded.first().map_or("", String::as_str)
        ))
        .hint(Advice::edit(Record::FILE).and(Advice::makeinfra("update")))
        .into());
    }
    if let Some(path) =
        super::below(&options.take).into_iter().find(|path| record.own.contains(path))
    {
        return Err(Failure::usage(format!(
            "`--take {path}` has no effect: the repository is already adopted"
        ))
        .hint(Advice::makeinfra("update").with(format!("--take {}", shell_word(Path::new(&path)))))
        .into());
    }
    Ok(())
}

/// Accepted values of `--namespace`: also the pattern that was typed, if all environments match it.
fn namespaces(options: &Options, answers: &Answers) -> Vec<String> {
    let all = || answers.environments.iter();
    let pattern = options.namespace.iter().filter(|pattern| {
        let is_it = |name: &str, namespace: &str| {
            pattern.replace("{project}", answers.project.as_str()).replace("{env}", name)
                == namespace
        };
        all().all(|one| is_it(one.name.as_str(), one.namespace.as_str()))
    });
    let recorded: Vec<_> = all().map(|one| one.namespace.to_string()).collect();
    std::iter::once(recorded.join(", ")).chain(pattern.cloned()).collect()
}
