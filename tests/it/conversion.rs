//! Attributes that make git alter ciphertext: `check` names them, and nothing is written with them
//! in effect.

use super::check::check;
use super::support::{SECRET, Sandbox, have};

const LINES: [(&str, &str); 6] = [
    ("* text", "text"),
    ("*.yaml text=input", "text"),
    ("* !text eol=lf", "eol"),
    // The generated file at the top has `eol=lf`.
    ("* !text", "eol"),
    ("* !text crlf", "text"),
    ("* working-tree-encoding=ISO-8859-1", "working-tree-encoding"),
];

/// A repository whose `secrets/.gitattributes` is `line`.
fn with_attributes(line: &str) -> Sandbox {
    let sandbox = Sandbox::with_hello();
    sandbox.write("work/hello-infra/secrets/.gitattributes", format!("{line}\n"));
    sandbox
}

#[test]
fn an_attribute_that_changes_ciphertext_is_a_problem_and_its_hint_ends_that() {
    for (line, attribute) in LINES {
        let sandbox = with_attributes(line);
        let refused = sandbox.rotate("gldt-Second", &["--no-input"]).failure(1);
        refused
            .says(&format!("git would damage `{SECRET}`"))
            .says(&format!("attribute `{attribute}`"));
        let hint = refused.stderr.lines().find_map(|line| line.strip_prefix("hint: ")).unwrap();
        assert!(hint.starts_with("echo "), "{line}: {hint}");
        let checked = check(&sandbox, &[]);
        assert!(
            checked.problems().contains(&"secrets-covered"),
            "{line}: {:?}",
            checked.problems()
        );
        let said = checked.messages("secrets-covered");
        assert!(
            said.contains(&format!("attribute `{attribute}` makes git change")),
            "{line}: {said}"
        );
        sandbox.run("sh", &["-c", hint]).cwd(sandbox.hello("")).success();
        let checked = check(&sandbox, &[]);
        assert!(
            !checked.problems().contains(&"secrets-covered"),
            "{line}: {}",
            checked.messages("secrets-covered")
        );
        sandbox.rotate("gldt-Second", &["--no-input"]).success();
    }
}

#[test]
fn what_git_leaves_to_its_look_at_the_bytes_is_no_problem() {
    let lines = ["* text=auto", "* text=auto eol=crlf", "* eol=crlf", "* ident"];
    for line in lines {
        let sandbox = with_attributes(line);
        let checked = check(&sandbox, &[]);
        assert!(
            !checked.problems().contains(&"secrets-covered"),
            "{line}: {}",
            checked.messages("secrets-covered")
        );
        sandbox.rotate("gldt-Second", &["--no-input"]).success();
    }
}

/// Verifies the claims about git: `git add` stores the bytes that git-crypt outputs, or different
/// ones.
#[test]
fn git_changes_ciphertext_by_these_attributes_and_by_no_others() {
    if !have("git-crypt") {
        return;
    }
    let changed = |line: &str| {
        let sandbox = with_attributes(line);
        // One in nine ciphertexts of this length contains a CRLF: none of 150 has one in fewer than
        // one of a million runs.
        let script = "for number in $(seq 150); do
                seq \"$number\" $((number + 1600)) > text
                stored=$(git hash-object --path secrets/a.yaml text)
                made=$(git-crypt clean < text | git hash-object --stdin)
                [ \"$stored\" = \"$made\" ] || { echo \"$number\"; break; }
            done";
        sandbox.run("sh", &["-c", script]).cwd(sandbox.hello("")).success().stdout.lines().count()
    };
    for (line, _) in LINES {
        assert!(changed(line) > 0, "{line}");
    }
    for line in ["* text=auto eol=crlf", "* eol=crlf"] {
        assert_eq!(changed(line), 0, "{line}");
    }
}
