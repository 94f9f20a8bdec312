//! Edits `.makeinfra.yaml` and leaves everything else that users have written unchanged. Pure.

use super::not_edited;
use crate::answers::{Environment, Name, Record, Sheet};
use crate::error::Result;
use crate::yaml_edit::{self, Document, Step};
use std::collections::BTreeSet;

/// The mapping with all answers.
const ANSWERS: &str = "answers";
/// Its section of the environments.
const ENVIRONMENTS: &str = Sheet::SECTIONS[0];
const COMPONENTS: &str = Sheet::SECTIONS[1];

/// The text of `record` with the environment `to` and its answers `changed`; if `copied`, the
/// others are those of `from`.
pub(super) fn with_environment(
    record: &Record,
    from: &Environment,
    to: &Environment,
    changed: &[(Name, String)],
    copied: bool,
) -> Result<String> {
    let refused = |refusal| not_edited(Record::FILE, refusal);
    let section = |environment: &Environment| {
        [ANSWERS, ENVIRONMENTS, environment.name.as_str()].map(str::to_owned)
    };
    let mut text = record.text.clone();
    let is_there = {
        let document = Document::parse(&text).map_err(refused)?;
        document.keys(&[ANSWERS, ENVIRONMENTS]).contains(&from.name.as_str())
    };
    if !is_there {
        // `from` is the implicit environment, which the record does not mention.
        let own = [
            (Name::Namespace, from.namespace.to_string()),
            (Name::Protect, from.protect.to_string()),
            (Name::Secrets, from.secrets.clone()),
        ];
        text = with_values(&text, &section(from), &own)?;
    }
    let (source, target) = (section(from), section(to));
    if !copied {
        return with_values(&text, &target, changed);
    }
    let paths = [&target, &source].map(|path| path.each_ref().map(String::as_str));
    let text = yaml_edit::graft(&text, &paths[0], &text, &paths[1]).map_err(refused)?.to_string();
    with_values(&text, &target, changed)
}

/// `text` with `values` in the section `path`.
fn with_values(text: &str, path: &[String], values: &[(Name, String)]) -> Result<String> {
    let refused = |refusal| not_edited(Record::FILE, refusal);
    let mut text = text.to_owned();
    for (name, value) in values {
        let path: Vec<_> = path.iter().map(String::as_str).chain([name.as_str()]).collect();
        let steps: Vec<_> = path.iter().map(|key| Step::Key(key)).collect();
        let is_there = Document::parse(&text).map_err(refused)?.scalar_at(&steps).is_some();
        if !is_there {
            text = yaml_edit::set(&text, &path, value).map_err(refused)?.to_string();
        }
        text = match name {
            Name::Protect | Name::Replicas => {
                // Skipped if the value is already there in quotes.
                yaml_edit::replace(&text, &steps, "-")
                    .and_then(|text| yaml_edit::replace_literal(&text, &steps, value))
            }
            _ => yaml_edit::replace(&text, &steps, value),
        }
        .map_err(refused)?
        .to_string();
    }
    Ok(text)
}

/// `text` with the component `name` as in `rendered`, another record.
pub(super) fn with_component(text: &str, rendered: &str, name: &str) -> Result<String> {
    let path = [ANSWERS, COMPONENTS, name];
    Ok(yaml_edit::graft(text, &path, rendered, &path)
        .map_err(|refusal| not_edited(Record::FILE, refusal))?
        .to_string())
}

/// `text` with the version of `other`, another record.
pub(super) fn with_version(text: &str, other: &str) -> Result<String> {
    let refused = |refusal| not_edited(Record::FILE, refusal);
    let other = Document::parse(other).map_err(refused)?;
    let version = other.scalar(&["version"]).unwrap_or_default();
    Ok(yaml_edit::set(text, &["version"], version).map_err(refused)?.to_string())
}

/// `text` with `paths` added to the list `own`.
pub(super) fn with_own(text: &str, paths: &BTreeSet<String>) -> Result<String> {
    let refused = |refusal| not_edited(Record::FILE, refusal);
    let list = [Step::Key(Record::OWN)];
    let (has_list, known) = {
        let document = Document::parse(text).map_err(refused)?;
        let item = |at| document.scalar_at(&[list[0], Step::Item(at)]).map(str::to_owned);
        (
            document.keys(&[]).contains(&Record::OWN),
            (0..document.count(&list)).filter_map(item).collect::<Vec<_>>(),
        )
    };
    let mut text = text.to_owned();
    if !has_list && !paths.is_empty() {
        let items: String =
            paths.iter().map(|path| format!("  - {}\n", yaml_edit::scalar(path))).collect();
        let end = if text.ends_with('\n') { "" } else { "\n" };
        text.push_str(&format!(
            "{end}# Your own files, which `makeinfra update` does not change until `--take \
             PATH`.\n{}:\n{items}",
            Record::OWN
        ));
        return Ok(text);
    }
    for path in paths.iter().filter(|path| !known.contains(path)) {
        text =
            yaml_edit::push(&text, &list, &yaml_edit::scalar(path)).map_err(refused)?.to_string();
    }
    Ok(text)
}

/// `text` with `paths` removed from the list `own`.
pub(super) fn taken(text: &str, paths: &BTreeSet<String>) -> Result<String> {
    let refused = |refusal| not_edited(Record::FILE, refusal);
    let mut text = text.to_owned();
    for path in paths {
        let list = [Step::Key(Record::OWN)];
        let place = {
            let document = Document::parse(&text).map_err(refused)?;
            let item = |at: &usize| document.scalar_at(&[list[0], Step::Item(*at)]) == Some(path);
            (0..document.count(&list)).find(item)
        };
        if let Some(at) = place {
            text = yaml_edit::remove_item(&text, &[list[0], Step::Item(at)])
                .map_err(refused)?
                .to_string();
        }
    }
    Ok(text)
}

/// `text` without the environment `name`.
pub fn environment_dropped(text: &str, name: &str) -> Result<String> {
    dropped(text, ENVIRONMENTS, name)
}

/// `text` without the component `name`.
pub fn component_dropped(text: &str, name: &str) -> Result<String> {
    dropped(text, COMPONENTS, name)
}

fn dropped(text: &str, section: &str, name: &str) -> Result<String> {
    let edited = yaml_edit::remove(text, &[ANSWERS, section, name]);
    Ok(edited.map_err(|refusal| not_edited(Record::FILE, refusal))?.to_string())
}
