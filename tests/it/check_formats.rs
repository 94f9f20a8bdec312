//! `check --format`: GitLab's code quality report and JUnit XML have the same content and exit code
//! as the text.

use super::support::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// A name with characters that YAML, XML and a shell interpret.
const ODD: &str = "secrets/kubernetes/a<b>&\"c' ]]>\u{ffff}.env";

/// Containers of a workload whose images have no tag.
const TWO: &str = "      initContainers:\n        - {name: one, image: registry.gitlab.com/a/b}\n        \
                   - {name: two, image: registry.gitlab.com/a/c}\n      containers:\n";

fn with_faults() -> Sandbox {
    let sandbox = Sandbox::with_hello();
    fs::write(sandbox.hello(ODD), "A=1\n").unwrap();
    fs::set_permissions(sandbox.hello(".githooks/pre-commit"), fs::Permissions::from_mode(0o644))
        .unwrap();
    // Two with the same name.
    sandbox.edit("kubernetes/base/deployment.yaml", "      containers:\n", TWO);
    sandbox.edit("kubernetes/base/deployment.yaml", "name: gitlab", "name: other");
    sandbox
}

/// The output of `check` in `format`, with its exit code.
#[track_caller]
fn check(sandbox: &Sandbox, format: &str, more: &[&str]) -> (Option<i32>, String) {
    let output =
        sandbox.makeinfra(&[&["check", "hello-infra", "--format", format], more].concat()).output();
    assert_eq!(output.stderr, "");
    assert_no_token(output.stdout.as_bytes(), format);
    (output.code, output.stdout)
}

fn findings(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap()
}

#[test]
fn gitlab_gets_each_finding_with_a_file_that_exists() {
    let sandbox = Sandbox::with_hello();
    let output = sandbox.makeinfra(&["check", "hello-infra", "--json"]).success().json();
    let notes =
        output["checks"].as_array().unwrap().iter().filter(|check| check["status"] == "note");
    let (code, text) = check(&sandbox, "gitlab", &[]);
    assert_eq!((code, findings(&text).len()), (Some(0), notes.count()));
    let sandbox = with_faults();
    let output = sandbox.makeinfra(&["check", "hello-infra", "--json"]).failure(1).json();
    let (code, text) = check(&sandbox, "gitlab", &[]);
    assert_eq!(code, Some(1));
    let found = findings(&text);
    let checks = output["checks"].as_array().unwrap();
    let told: Vec<_> = checks.iter().filter(|check| check["status"] != "ok").collect();
    assert_eq!(found.len(), told.len());
    for (finding, check) in found.iter().zip(told) {
        assert_eq!(finding["check_name"], check["id"]);
        let severity = match check["status"].as_str().unwrap() {
            "problem" => "critical",
            "warning" => "minor",
            _ => "info",
        };
        assert_eq!(finding["severity"], severity);
        let description = finding["description"].as_str().unwrap();
        assert!(description.contains(check["message"].as_str().unwrap()), "{description}");
        let path = finding["location"]["path"].as_str().unwrap();
        assert!(sandbox.hello(path).is_file(), "{path}");
        assert_eq!(finding["location"]["lines"], json!({"begin": 1}));
    }
    let at = |id: &str| {
        let of = found.iter().filter(|finding| finding["check_name"] == id);
        of.map(|finding| finding["location"]["path"].as_str().unwrap().to_owned())
            .collect::<BTreeSet<_>>()
    };
    assert!(at("pull-secret-name").contains("kubernetes/base/deployment.yaml"), "{found:?}");
    assert!(at("secrets-listed").contains(ODD), "{found:?}");
    assert!(at("commit-hook").contains(".githooks/pre-commit"), "{found:?}");
    // Fingerprints are unique, and stable between runs.
    let prints = |found: &[Value]| {
        found.iter().map(|one| one["fingerprint"].to_string()).collect::<Vec<_>>()
    };
    let all = prints(&found);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    assert_eq!(prints(&findings(&check(&sandbox, "gitlab", &[]).1)), all);
}

#[test]
fn junit_has_a_test_a_check_and_a_failure_a_problem() {
    let read = "import sys, json, xml.etree.ElementTree as tree\n\
                root = tree.fromstring(sys.stdin.buffer.read())\n\
                suite = root.find('testsuite')\n\
                cases = [[case.get('classname'), case.get('name'), [child.tag for child in case]] for case in suite]\n\
                print(json.dumps([root.tag, root.attrib, suite.attrib, cases]))\n";
    let sandbox = with_faults();
    let json = sandbox.makeinfra(&["check", "hello-infra", "--json"]).failure(1).json();
    let checks = json["checks"].as_array().unwrap();
    for (more, bad) in [(&[][..], &["problem"][..]), (&["--strict"], &["problem", "warning"])] {
        let (code, text) = check(&sandbox, "junit", more);
        assert_eq!(code, Some(1));
        let output = sandbox.run("python3", &["-c", read]).stdin(&text).success();
        let [root, all, suite, cases]: [Value; 4] = serde_json::from_str(&output.stdout).unwrap();
        let is_bad = |check: &Value| bad.contains(&check["status"].as_str().unwrap());
        let failures = checks.iter().filter(|check| is_bad(check)).count();
        assert!(failures > 0);
        assert_eq!(root, "testsuites");
        for counts in [all, suite] {
            assert_eq!(counts["tests"], checks.len().to_string());
            assert_eq!(counts["failures"], failures.to_string());
        }
        let mut seen = BTreeMap::new();
        let expected: Vec<_> = checks
            .iter()
            .map(|check| {
                let child = match check["status"].as_str().unwrap() {
                    _ if is_bad(check) => json!(["failure"]),
                    "ok" => json!([]),
                    _ => json!(["system-out"]),
                };
                let number = seen
                    .entry((check["id"].clone().to_string(), check["subject"].to_string()))
                    .or_insert(0);
                *number += 1;
                let subject = check["subject"].as_str().unwrap().replace('\u{ffff}', "?");
                let name = if *number > 1 { format!("{subject} ({number})") } else { subject };
                json!([check["id"], name, child])
            })
            .collect();
        assert_eq!(cases, Value::Array(expected));
        assert!(text.contains(" (2)\""), "{text}");
        assert!(text.contains("a&lt;b&gt;&amp;"), "{text}");
    }
}

#[test]
fn a_document_is_of_one_repository_and_of_nothing_that_failed() {
    let sandbox = Sandbox::with_hello();
    let several = ["check", "hello-infra", ".", "--format", "gitlab"];
    let output = sandbox.makeinfra(&several).failure(2);
    output
        .says("`--format` takes one repository")
        .says("hint: makeinfra check PROJECT-infra --format gitlab");
    assert_eq!(output.stdout, "");
    for also in ["--json", "--verbose"] {
        sandbox.makeinfra(&["check", "hello-infra", "--format", "junit", also]).failure(2);
    }
    sandbox.makeinfra(&["check", "hello-infra", "--format", "sarif"]).failure(2);
    let output = sandbox.makeinfra(&["check", "..", "--format", "junit"]).failure(1);
    assert_eq!(output.stdout, "");
}

#[test]
fn paths_start_at_the_top_of_git() {
    let sandbox = Sandbox::new();
    sandbox.run("git", &["init", "-q", "mono"]).success();
    sandbox.new_without_token(&["--no-git", "--output", "mono"]).success();
    let output = sandbox.makeinfra(&["check", "mono/hello-infra", "--format", "gitlab"]).output();
    let found = findings(&output.stdout);
    assert!(!found.is_empty());
    for finding in found {
        let path = finding["location"]["path"].as_str().unwrap();
        assert!(
            path.starts_with("hello-infra/") && sandbox.work("mono").join(path).is_file(),
            "{path}"
        );
    }
}
