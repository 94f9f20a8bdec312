//! `.makeinfra.yaml`: the answers from which a repository was generated.

use super::{
    Answers, Ci, Component, Environment, FileFault, ImageRef, Name, Rule, Sheet, Version, named,
};
use crate::advice::Advice;
use crate::error::{Failure, Result};
use crate::yaml;
use serde_yaml::Value;
use std::collections::BTreeSet;

/// The content of `.makeinfra.yaml`. Never contains a secret, or anything about a token.
#[derive(Debug)]
pub struct Record {
    /// The answers, with defaults for missing ones.
    pub answers: Answers,
    /// The answers as written in the file.
    pub sheet: Sheet,
    /// The version whose templates the files were rendered from; `None` if the file does not say.
    pub version: Option<Version>,
    /// Paths of generated files that users maintain themselves: updates leave them alone.
    pub own: BTreeSet<String>,
    /// Names or prefixes of images that anyone may pull, in addition to those of public components.
    pub public: BTreeSet<String>,
    /// The text of the file.
    pub text: String,
}

impl Record {
    /// The file's name, at the top of the repository.
    pub const FILE: &str = ".makeinfra.yaml";

    /// The only template.
    pub(super) const TEMPLATE: &str = "default";

    /// The list of the files that updates leave alone.
    pub const OWN: &str = "own";

    /// The list of public images.
    pub const PUBLIC: &str = "public";

    /// The recorded answers, in addition to those of the project's own component.
    pub(super) const NAMES: [Name; 9] = [
        Name::Project,
        Name::Registry,
        Name::PodSecurity,
        Name::SecretName,
        Name::SecretType,
        Name::Email,
        Name::Ci,
        Name::CiImage,
        Name::CiRotate,
    ];

    /// Parses `text`, the content of the file. Errors name the position, never a value.
    pub fn parse(text: String) -> Result<Self> {
        let file = named::from_yaml(&text);
        // Faults of the file as a whole are reported when its answers are parsed.
        let found = |key: &str| file.as_ref().ok()?.get(key);
        let version = found("version").map(version).transpose()?;
        let own = found(Self::OWN).map(own).transpose()?.unwrap_or_default();
        let public = found(Self::PUBLIC).map(public).transpose()?.unwrap_or_default();
        found("template").map_or(Ok(()), template)?;
        let sheet = Self::sheet(file);
        let answers = sheet.and_then(|sheet| {
            Ok((
                sheet.answers().map_err(|refused| {
                    let (name, rule) =
                        refused.explained(|name| format!("answers.{}", name.as_str()));
                    format!("`answers.{}` {rule}", name.as_str())
                })?,
                sheet,
            ))
        });
        let (answers, sheet) = answers.map_err(|cause| {
            Failure::failed(format!("cannot parse `{}`", Self::FILE))
                .because(cause)
                .hint(Advice::edit(Self::FILE))
        })?;
        Ok(Self { answers, sheet, version, own, public, text })
    }

    /// The failure for an option `--env` that names no environment of the repository.
    #[must_use]
    pub fn no_environment(&self) -> Failure {
        let failure = Failure::usage("the environment in `--env` does not exist");
        let names = self.answers.environments.iter().map(|one| one.name.as_str());
        failure
            .because(format!("existing environments: {}", names.collect::<Vec<_>>().join(", ")))
            .hint(format!("--env {}", self.answers.environments.first.name))
    }

    fn sheet(file: std::result::Result<Value, FileFault>) -> std::result::Result<Sheet, String> {
        let mut sheet = file.and_then(Self::read).map_err(fault_message)?;
        // The record has the exact name; parsing a name would strip an `-infra` suffix.
        if let Some(Some(project)) = sheet.values.get_mut(&Name::Project) {
            project.push_str("-infra");
        }
        // A record written by hand need not have it: nothing is generated without a request.
        sheet.values.entry(Name::Ci).or_insert_with(|| Some(Ci::None.as_str().into()));
        Ok(sheet)
    }

    fn read(mut file: Value) -> std::result::Result<Sheet, FileFault> {
        let answers = file.get_mut("answers").ok_or(FileFault::NotAMapping(None))?;
        Sheet::from_yaml(std::mem::take(answers), &[&Self::NAMES[..], &Component::NAMES].concat())
    }
}

/// The version in the file. Fails if this makeinfra cannot know the meaning of the rest.
fn version(value: &Value) -> Result<Version> {
    let cannot =
        |cause: String| Failure::failed(format!("cannot use `{}`", Record::FILE)).because(cause);
    let version = value
        .as_str()
        .ok_or("must be a version in quotes")
        .and_then(Version::parse)
        .map_err(|rule| cannot(format!("`version` {rule}")).hint(Advice::edit(Record::FILE)))?;
    let own = Version::own();
    if version > own {
        return Err(cannot(format!(
            "it was written by makeinfra {version}, which is newer than this makeinfra {own}"
        ))
        .hint(format!("install makeinfra {version} or newer"))
        .into());
    }
    if version.is_before_layout() {
        return Err(cannot(format!(
            "it was written by makeinfra {version}, whose layout makeinfra {own} does not support"
        ))
        .hint("{makeinfra new PROJECT} in another directory, then copy your additions")
        .into());
    }
    Ok(version)
}

/// Fails if the files were rendered from templates that this version does not have.
fn template(value: &Value) -> Result<()> {
    if value.as_str() == Some(Record::TEMPLATE) {
        return Ok(());
    }
    Err(Failure::failed(format!("cannot use `{}`", Record::FILE))
        .because(format!("`template` must be `{}`, the only template", Record::TEMPLATE))
        .hint(Advice::edit(Record::FILE))
        .into())
}

/// The paths in the list `own`.
fn own(value: &Value) -> Result<BTreeSet<String>> {
    let is_below = |path: &str| {
        !path.starts_with('/') && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
    };
    list(value, Record::OWN, "must be a list of paths below the top of the repository", is_below)
}

/// The names in the list `public`.
fn public(value: &Value) -> Result<BTreeSet<String>> {
    let is_name =
        |name: &str| ImageRef::parse_unpinned(name).is_ok_and(|image| image.name() == name);
    list(value, Record::PUBLIC, "must be a list of image names, without tags", is_name)
}

/// The strings in the list `value`, called `key`, each of which must be `right`.
fn list(
    value: &Value,
    key: &str,
    rule: Rule,
    right: impl Fn(&str) -> bool,
) -> Result<BTreeSet<String>> {
    let item = |item: &Value| item.as_str().filter(|text| right(text)).map(str::to_owned);
    let items = value.as_sequence().and_then(|items| items.iter().map(item).collect::<Option<_>>());
    Ok(items.ok_or_else(|| {
        Failure::failed(format!("cannot parse `{}`", Record::FILE))
            .because(format!("`{key}` {rule}"))
            .hint(Advice::edit(Record::FILE))
    })?)
}

/// The problem of the file, as a sentence.
fn fault_message(fault: FileFault) -> String {
    match fault {
        FileFault::NotAMapping(Some((line, column))) => {
            format!("invalid YAML at line {line}, column {column}")
        }
        FileFault::Depth => yaml::YamlError::Depth.to_string(),
        FileFault::NotAMapping(None) => "a mapping `answers` is required".into(),
        FileFault::Unknown(Some(name)) => {
            let known = [&Record::NAMES[..], &Component::NAMES, &Environment::NAMES].concat();
            let nearest = known.iter().max_by(|one, other| {
                let compare = |one: &Name| strsim::jaro_winkler(one.as_str(), &name);
                compare(one).total_cmp(&compare(other))
            });
            let nearest = nearest.map_or("", |nearest| nearest.as_str());
            format!("`answers.{name}` is not an answer in this version; did you mean `{nearest}`?")
        }
        FileFault::Unknown(None) => {
            "it contains an answer that does not exist in this version".into()
        }
        FileFault::Value(name, rule) => format!("`answers.{}` {rule}", name.as_str()),
        FileFault::Section(rule) | FileFault::EntryName(rule) => {
            format!("a section of `answers` {rule}")
        }
        FileFault::Twice => "it contains a name twice".into(),
        FileFault::In(section, entry, fault) => {
            let place = entry.map_or(section.to_owned(), |entry| format!("{section}.{entry}"));
            fault_message(*fault).replacen("`answers.", &format!("`answers.{place}."), 1)
        }
    }
}
