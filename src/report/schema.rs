//! The JSON schema (draft 7) for the output of `--json`: one object, or one per line with several
//! repositories. Within a minor version, keys are only added, never removed or changed in meaning.

use serde_json::{Map, Value, json};

/// The schema.
#[must_use]
pub fn output() -> Value {
    let mut properties = Map::new();
    for (key, what, schema) in keys() {
        let mut schema = schema;
        schema["description"] = what.into();
        properties.insert(key.to_owned(), schema);
    }
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "What a command of makeinfra prints with --json",
        "type": "object",
        "required": ["repo", "changed", "files", "warnings", "next"],
        "properties": properties,
    })
}

fn objects(required: &[&str]) -> Value {
    let object = json!({"type": "object", "required": required});
    json!({"type": "array", "items": object})
}

/// Each key with its meaning and schema, those of all commands first.
fn keys() -> Vec<(&'static str, &'static str, Value)> {
    let text = || json!({"type": "string"});
    let text_or_null = || json!({"type": ["string", "null"]});
    let flag = || json!({"type": "boolean"});
    let texts = || json!({"type": "array", "items": {"type": "string"}});
    vec![
        ("repo", "The top directory of the repository, if known", text_or_null()),
        ("changed", "Whether anything was written", flag()),
        (
            "files",
            "Files that were written, or would be",
            json!({
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["path", "change"],
                    "properties": {
                        "path": {"type": "string"},
                        "change": {"enum": ["new", "changed", "deleted"]},
                        "bytes": {"type": "integer"},
                    },
                            },
            }),
        ),
        ("warnings", "The warnings", texts()),
        ("next", "Commands to type next", texts()),
        ("given", "The repository as named on the command line, with several repositories", text()),
        (
            "error",
            "Why the command failed, if it did",
            json!({
            "type": "object",
            "required": ["message", "cause", "hint", "code"],
            "properties": {
                "message": {"type": "string"},
                "cause": {"type": ["string", "null"]},
                "hint": {"type": ["string", "null"]},
                "code": {"description": "The exit code", "type": "integer"},
            },
                }),
        ),
        ("dry_run", "Whether this was a dry run", flag()),
        ("commit", "The id of the commit", text_or_null()),
        ("project", "new: the project", text()),
        (
            "hook",
            "new --no-git: the line for the commit hook of the enclosing repository",
            text_or_null(),
        ),
        ("exported_key", "new: where the key was stored", text_or_null()),
        (
            "check",
            "The registry's answer for the deploy token",
            json!({"type": ["object", "null"]}),
        ),
        ("changes", "rotate: what changes in the pull Secrets", texts()),
        ("proposed", "rotate --propose: whether a branch exists", flag()),
        ("taken_up", "rotate --propose: whether the branch existed before", flag()),
        ("branch", "rotate --propose: the branch", text_or_null()),
        ("target", "rotate --propose: the target branch", text_or_null()),
        ("due", "Whether there is something to do", flag()),
        ("decisions", "What the plan decides", objects(&["name", "value"])),
        ("notes", "Notes about the plan", texts()),
        ("diff", "What changes, as a diff", text()),
        ("moves", "adopt: files that move", objects(&["from", "to"])),
        ("created", "secret: whether the Secret is new", flag()),
        ("conflicts", "update: files with conflicts", objects(&["path", "why"])),
        ("environments", "The environments", objects(&[])),
        ("time", "Time of the result (RFC 3339)", text_or_null()),
        ("head", "rotate --finish: the commit that was verified", text_or_null()),
        ("tokens", "The deploy tokens", objects(&[])),
        ("gitlab", "token list: the GitLab", text()),
        ("owner", "token list: the project or group", text()),
        (
            "checks",
            "check: the findings",
            json!({
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["id", "status", "subject", "message", "hint"],
                    "properties": {
                        "id": {"type": "string"},
                        "status": {"enum": ["ok", "note", "warning", "problem"]},
                        "subject": {"type": "string"},
                        "message": {"type": "string"},
                        "hint": {"type": "string"},
                    },
                            },
            }),
        ),
        ("verdict", "diagnose: the result", json!({"enum": ["fine", "cause", "unknown"]})),
        ("context", "diagnose: the kubectl context", text_or_null()),
        ("namespace", "diagnose: the namespace", text_or_null()),
        ("pods", "diagnose: number of pods", json!({"type": "integer"})),
        (
            "causes",
            "diagnose: the findings, most likely first",
            objects(&["id", "message", "hint"]),
        ),
    ]
}
