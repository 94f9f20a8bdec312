//! Hints, typed as they are printed: they do what they are for.

use super::environments::with_environments;
use super::support::{Output, Run, Sandbox};
use std::fs;
use std::path::Path;

/// The hint of a command that failed.
#[track_caller]
pub fn hint(output: &Output) -> &str {
    let hint = output.stderr.lines().rev().find_map(|line| line.strip_prefix("hint: "));
    hint.unwrap_or_else(|| panic!("no hint in:\n{}", output.stderr))
}

/// `command` as somebody types it in the generated repository.
pub fn typed(sandbox: &Sandbox, command: &str) -> Run {
    let programs = Path::new(env!("CARGO_BIN_EXE_makeinfra")).parent().unwrap().display().to_string();
    let run = sandbox.run("sh", &["-ec", command]).cwd(sandbox.hello(""));
    run.env("PATH", format!("{programs}:{}", sandbox.own_path()))
}

/// Types a token's options behind `command`.
fn with_token(sandbox: &Sandbox, command: &str) -> String {
    let token = sandbox.write_private("token2", "gldt-new");
    format!("{command} --token-username x --expires-at never --token-file {}", token.display())
}

#[test]
fn a_secret_that_is_no_yaml_is_made_anew_in_its_own_environment() {
    for args in [
        &["--env", "staging"][..],
        &[],
        &["--env", "staging", "--add-registry", "ghcr.io"],
        &["--env", "production", "--env", "staging"],
    ] {
        let sandbox = with_environments(&[]);
        let file = "secrets/kubernetes/staging/gitlab.secret.yaml";
        let production = "secrets/kubernetes/production/gitlab.secret.yaml";
        let before = fs::read_to_string(sandbox.hello(production)).unwrap();
        fs::write(sandbox.hello(file), "kind: [\n").unwrap();
        let output = sandbox.rotate("gldt-new", args).failure(1);
        let (_, command) = hint(&output).split_once(": ").unwrap();
        assert_eq!(command, format!("rm {file} && makeinfra rotate --env staging"));
        typed(&sandbox, &with_token(&sandbox, command)).success().prints("Created");
        assert_eq!(fs::read_to_string(sandbox.hello(production)).unwrap(), before, "{args:?}");
    }
}

#[test]
fn hints_are_for_the_environment_of_the_command() {
    let sandbox = with_environments(&[]);
    let file = "secrets/kubernetes/staging/gitlab.secret.yaml";
    fs::remove_file(sandbox.hello(file)).unwrap();
    let keep = ["rotate", "hello-infra", "--env", "staging", "--keep-token", "--expires-at", "2027-01-01"];
    let output = sandbox.makeinfra(&keep).failure(1);
    assert_eq!(
        hint(&output),
        format!("makeinfra rotate {} --env staging", sandbox.work("hello-infra").display())
    );
    let set = ["secret", "set", "db", "PASSWORD", "hello-infra"];
    for (options, shown) in [
        (&["rotate", "hello-infra", "--env", "staging"][..], "--env staging --token-username NAME"),
        (&[&set[..], &["--env", "staging"]].concat(), "secret set db PASSWORD"),
        (&[&set[..], &["--env", "staging"]].concat(), "--env staging --from-file FILE"),
        (&[&set[..], &["--all-environments"]].concat(), "--all-environments --from-file FILE"),
        (&["secret", "set", "gitlab", "PASSWORD", "hello-infra", "--env", "staging"], "--env staging"),
    ] {
        let output = sandbox.makeinfra(options).failure(2);
        assert!(hint(&output).contains(shown), "{}", output.stderr);
    }
}
