//! JSON schemas (draft 7) of the files with answers, for editors: `.makeinfra.yaml` and the file of
//! `--answers`. Built from the one table of answers.
//!
//! They describe the form of values. Rules between answers, and most rules within a text, are only
//! checked by makeinfra.

use super::{Component, Environment, Name, Record, Sheet};
use serde_json::{Map, Value, json};

const DRAFT: &str = "http://json-schema.org/draft-07/schema#";

/// The schema of `.makeinfra.yaml`.
#[must_use]
pub fn record() -> Value {
    let mut recorded =
        answers(&[&Record::NAMES[..], &Component::NAMES].concat(), &["project", "image"]);
    // The path of the file is not recorded.
    let config = json!({"description": Name::Config.question(), "enum": [true, "yes"]});
    let further =
        &mut recorded["properties"][Sheet::SECTIONS[1]]["additionalProperties"]["properties"];
    further[Name::Config.as_str()] = config.clone();
    recorded["properties"][Name::Config.as_str()] = config;
    let lists =
        |what: &str| json!({"description": what, "type": "array", "items": {"type": "string"}});
    json!({
        "$schema": DRAFT,
        "title": "The answers that makeinfra generated a repository from",
        "type": "object",
        "required": ["answers"],
        "properties": {
            "template": {"const": Record::TEMPLATE},
            "version": {
                "description": "Version of makeinfra whose templates the files come from; \
                                `makeinfra update` raises it",
                "type": "string",
            },
            Record::OWN: lists("Generated files that `makeinfra update` does not change"),
            Record::PUBLIC: lists("Public images, without tags"),
            "answers": recorded,
        },
    })
}

/// The schema of the file of `makeinfra new --answers`.
#[must_use]
pub fn answers_file() -> Value {
    let mut schema = answers(&Name::ALL, &[]);
    schema["$schema"] = DRAFT.into();
    schema["title"] = "Answers for `makeinfra new`".into();
    schema
}

/// A mapping with the answers `names`, and the sections of environments and components.
fn answers(names: &[Name], required: &[&str]) -> Value {
    let [environments, components] = Sheet::SECTIONS;
    let mut properties = answers_of(names);
    for (section, names) in
        [(environments, &Environment::NAMES[..]), (components, &Component::NAMES)]
    {
        let entry = json!({
            "type": ["object", "null"],
            "properties": answers_of(names),
            "additionalProperties": false,
        });
        properties.insert(
            section.to_owned(),
            json!({"type": ["object", "null"], "properties": {}, "additionalProperties": entry}),
        );
    }
    json!({
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": false,
    })
}

fn answers_of(names: &[Name]) -> Map<String, Value> {
    names.iter().map(|name| (name.as_str().to_owned(), answer(*name))).collect()
}

fn answer(name: Name) -> Value {
    let mut schema = json!({"description": name.question()});
    let none = name.is_optional().then_some("null");
    let types = |types: &[&'static str]| types.iter().copied().chain(none).collect::<Vec<_>>();
    match name {
        Name::Args => {
            schema["type"] = "array".into();
            schema["items"] = json!({"type": "string"});
            schema["minItems"] = 1.into();
        }
        Name::Port | Name::Replicas => schema["type"] = types(&["integer", "string"]).into(),
        _ if name.is_switch() => {
            schema["enum"] = json!([true, false, "yes", "no", "true", "false"]);
        }
        _ if !name.choices().is_empty() => schema["enum"] = name.choices().into(),
        _ => schema["type"] = types(&["string"]).into(),
    }
    schema
}

/// `schema` as text, one property per line.
#[must_use]
pub fn text(schema: &Value) -> String {
    let mut text = String::new();
    write(schema, 0, false, &mut text);
    text + "\n"
}

fn write(value: &Value, depth: usize, is_properties: bool, text: &mut String) {
    let Some(fields) =
        value.as_object().filter(|fields| is_properties && !fields.is_empty() || nests(value))
    else {
        text.push_str(&value.to_string());
        return;
    };
    let indent = "  ".repeat(depth + 1);
    let mut before = "{\n";
    for (key, value) in fields {
        text.push_str(&format!("{before}{indent}{}: ", Value::from(key.as_str())));
        write(value, depth + 1, key == "properties", text);
        before = ",\n";
    }
    text.push_str(&format!("\n{}}}", "  ".repeat(depth)));
}

/// Whether `value` contains properties at any depth.
fn nests(value: &Value) -> bool {
    value
        .as_object()
        .is_some_and(|fields| fields.contains_key("properties") || fields.values().any(nests))
}
