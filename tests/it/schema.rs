//! `makeinfra schema`: valid schemas, to which everything that the program prints and reads
//! conforms.

use super::support::*;
use makeinfra::report;
use serde_json::Value;
use std::fs;

/// Expects that an object of `--json` conforms to the published schema.
#[track_caller]
pub fn is_as_published(object: &Value) {
    if let Err(fault) = keeps(&report::schema::output(), object, "") {
        panic!("{fault}: {object}");
    }
}

/// Whether `value` conforms to `schema`, as far as our schemas' keywords go.
fn keeps(schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    for word in schema.as_object().unwrap().keys() {
        let known = [
            "$schema",
            "title",
            "description",
            "type",
            "enum",
            "const",
            "required",
            "properties",
            "items",
        ];
        assert!(known.contains(&word.as_str()) || word == "additionalProperties", "{word}");
    }
    let is = |kind: &Value| match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        other => panic!("{other}"),
    };
    match &schema["type"] {
        Value::Null => {}
        Value::Array(kinds) if kinds.iter().any(is) => {}
        kind @ Value::String(_) if is(kind) => {}
        kind => return Err(format!("`{at}` is not {kind}")),
    }
    if schema["enum"].as_array().is_some_and(|all| !all.contains(value)) {
        return Err(format!("`{at}` is none of {}", schema["enum"]));
    }
    for required in schema["required"].as_array().into_iter().flatten() {
        if value.is_object() && value.get(required.as_str().unwrap()).is_none() {
            return Err(format!("`{at}` lacks {required}"));
        }
    }
    for (key, inner) in value.as_object().into_iter().flatten() {
        let at = format!("{at}.{key}");
        match (schema["properties"].get(key), &schema["additionalProperties"]) {
            (Some(schema), _) | (None, schema @ Value::Object(_)) => keeps(schema, inner, &at)?,
            // Only a later version may print more.
            (None, _) if schema["properties"].is_object() => {
                return Err(format!("`{at}` is not in the schema"));
            }
            _ => {}
        }
    }
    for (number, item) in value.as_array().into_iter().flatten().enumerate() {
        if schema["items"].is_object() {
            keeps(&schema["items"], item, &format!("{at}[{number}]"))?;
        }
    }
    Ok(())
}

/// Every answer, in the form that a file may have.
const ALL: &str = "project: shop
image: registry.gitlab.com/group/shop:1.0.0
registry: registry.gitlab.com
args: [serve, --quiet]
port: 8080
replicas: '3'
ingress: shop.example.com
tls: yes
health-path: ~
service-account: true
public: 'no'
pod-security: baseline
secret-name: gitlab
secret-type: dockercfg
email: a@example.com
expires-at: never
ci: gitlab
ci-image: registry.gitlab.com/group/ci:1
ci-rotate: true
environments:
  staging: ~
  production: {namespace: live, context: prod, protect: true, replicas: 4, ingress: ~}
components:
  worker: {port: ~, args: [work]}
  nightly: {workload: cronjob, schedule: '@daily', time-zone: Europe/Berlin}
";

/// Runs check-jsonschema with the schema of `of` on `file`; `None` if it is missing.
fn validated(sandbox: &Sandbox, of: &str, file: &str) -> Option<Output> {
    let program = cached("check-jsonschema-0.39.0/bin/check-jsonschema")?;
    let schema = sandbox.makeinfra(&["schema", of]).success().stdout;
    assert!(schema.lines().all(|line| line.len() < 250), "{schema}");
    let schema = sandbox.write("schema.json", schema).display().to_string();
    sandbox.run(&program, &["--check-metaschema", &schema]).success();
    Some(sandbox.run(&program, &["--schemafile", &schema, file]).output())
}

#[test]
fn every_repository_has_the_schema_of_its_record_for_editors() {
    let sandbox = Sandbox::new();
    let schema = sandbox.makeinfra(&["schema", "record"]).success().stdout;
    let template = super::examples::repo("templates/dot_makeinfra.schema.json");
    if super::examples::update() {
        fs::write(&template, &schema).unwrap();
    }
    assert_eq!(fs::read_to_string(template).unwrap(), schema);
    sandbox.new_without_token(&[]).success();
    let record = fs::read_to_string(sandbox.hello(".makeinfra.yaml")).unwrap();
    let named = record.lines().find_map(|line| line.split_once("$schema=")).unwrap().1;
    assert_eq!(fs::read_to_string(sandbox.hello(named)).unwrap(), schema);
}

#[test]
fn what_is_accepted_keeps_the_schemas() {
    let sandbox = Sandbox::new();
    let answers = sandbox.write("answers.yaml", ALL).display().to_string();
    sandbox.makeinfra(&["new", "--answers", &answers, "--no-token"]).success();
    for (of, file) in [
        ("answers", answers),
        ("record", sandbox.work("shop-infra/.makeinfra.yaml").display().to_string()),
    ] {
        let Some(output) = validated(&sandbox, of, &file) else { return };
        assert_eq!(output.code, Some(0), "{of}: {}{}", output.stdout, output.stderr);
    }
    let example = super::examples::repo("examples/answers.yaml").display().to_string();
    assert_eq!(validated(&sandbox, "answers", &example).unwrap().code, Some(0));
}

#[test]
fn what_is_refused_for_its_form_does_not() {
    let sandbox = Sandbox::new();
    for (before, after) in [
        ("port: 8080", "port: [8080]"),
        ("ci: gitlab", "ci: github"),
        ("project: shop", "project: shop\nimge: a/b:1"),
        ("tls: yes", "tls: 1"),
        ("protect: true", "port: 1"),
        ("args: [work]", "args: work"),
    ] {
        let text = ALL.replacen(before, after, 1);
        assert_ne!(text, ALL);
        let file = sandbox.write("answers.yaml", text).display().to_string();
        if after != "args: work" {
            sandbox.makeinfra(&["new", "--answers", &file, "--no-token"]).failure(2);
        }
        let Some(output) = validated(&sandbox, "answers", &file) else { return };
        assert_eq!(output.code, Some(1), "{after}");
    }
}

#[test]
fn the_validator_of_the_tests_agrees_with_another_one() {
    let sandbox = Sandbox::with_hello();
    let output = sandbox.makeinfra(&["check", "hello-infra", "--json"]).success().stdout;
    let mut object: Value = serde_json::from_str(&output).unwrap();
    is_as_published(&object);
    let file = sandbox.write("output.json", &output).display().to_string();
    let Some(found) = validated(&sandbox, "output", &file) else { return };
    assert_eq!(found.code, Some(0), "{}", found.stdout);
    object["checks"][0]["status"] = "bad".into();
    assert!(keeps(&report::schema::output(), &object, "").is_err());
    fs::write(&file, object.to_string()).unwrap();
    assert_eq!(validated(&sandbox, "output", &file).unwrap().code, Some(1));
}
