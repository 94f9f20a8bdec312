//! Shell completion: options and values, and names from a repository, but never a value of a
//! Secret.

use super::environments::with_environments;
use super::support::*;

/// The words that bash offers for the last of `words`.
#[track_caller]
fn bash(sandbox: &Sandbox, words: &[&str]) -> Vec<String> {
    let script = "eval \"$(makeinfra completions bash)\"\n\
                  COMP_WORDS=(makeinfra \"$@\") COMP_CWORD=$# COMP_TYPE=9 COMP_LINE=\"makeinfra $*\" COMP_POINT=${#COMP_LINE}\n\
                  function=$(complete -p makeinfra | sed 's/.* -F \\([^ ]*\\) .*/\\1/')\n\
                  $function makeinfra \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD-1]}\"\n\
                  printf '%s\\n' \"${COMPREPLY[@]}\"";
    let own = std::path::Path::new(env!("CARGO_BIN_EXE_makeinfra"))
        .parent()
        .unwrap()
        .display()
        .to_string();
    let path = format!("{own}:{}", sandbox.own_path());
    let run = sandbox
        .run("bash", &[&["-c", script, "bash"], words].concat())
        .cwd(sandbox.hello(""))
        .env("PATH", path);
    let output = run.success();
    assert_eq!(output.stderr, "");
    assert_no_token(output.stdout.as_bytes(), "completions");
    let offered = output.stdout.lines().map(|line| line.trim().to_owned());
    offered.filter(|line| !line.is_empty() && !line.starts_with('-')).collect()
}

#[test]
fn names_of_the_repository_are_offered() {
    let sandbox = with_environments(&[]);
    let value = sandbox.write_private("value", "gldt-Marker_7Qx9vWk2").display().to_string();
    sandbox.makeinfra(&["add", "worker", "hello-infra", "--port", "none", "--yes"]).success();
    let set = [
        "secret",
        "set",
        "app",
        "DB_PASSWORD",
        "hello-infra",
        "--from-file",
        &value,
        "--all-environments",
    ];
    sandbox.makeinfra(&[&set[..], &["--no-input"]].concat()).success();
    for (words, offered) in [
        (&["rotate", "--env", ""][..], &["production", "staging"][..]),
        (&["rotate", "--env", "st"], &["staging"]),
        (&["check", "--running", "--env", "p"], &["production"]),
        (&["diagnose", "--env", "p"], &["production"]),
        (&["env", "add", "qa", "--like", ""], &["production", "staging"]),
        (&["env", "remove", "p"], &["production"]),
        (&["remove", "w"], &["worker"]),
        (&["secret", "set", "a"], &["app"]),
        (&["secret", "unset", "app", "DB"], &["DB_PASSWORD"]),
        (&["secret", "list", "--env", "s"], &["staging"]),
        (&["check", "--format", ""], &["gitlab", "junit"]),
    ] {
        let mut found = bash(&sandbox, words);
        found.sort();
        assert_eq!(found, offered, "{words:?}");
    }
    // The name of a new environment is not completed.
    assert_eq!(bash(&sandbox, &["new", "--env", "p"]), [""; 0]);
}

#[test]
fn each_shell_asks_the_program_and_no_repository_is_no_error() {
    let sandbox = with_environments(&[]);
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ask = |dir: &str| {
            let run = sandbox
                .makeinfra(&["--", "makeinfra", "rotate", "--env", "st"])
                .cwd(sandbox.work(dir));
            let run = run
                .env("MAKEINFRA_COMPLETE", shell)
                .env("_CLAP_COMPLETE_INDEX", "3")
                .env("_CLAP_IFS", "\n");
            let output = run.success();
            assert_eq!(output.stderr, "", "{shell}");
            output.stdout
        };
        assert!(ask("hello-infra").contains("staging"), "{shell}");
        assert!(!ask(".").contains("staging"), "{shell}");
    }
    sandbox.run("git-crypt", &["lock"]).cwd(sandbox.hello("")).success();
    assert_eq!(bash(&sandbox, &["rotate", "--env", "st"]), ["staging"]);
    assert_eq!(bash(&sandbox, &["secret", "unset", "a"]), [""; 0]);
    // An unknown shell.
    let output =
        sandbox.makeinfra(&["--", "makeinfra", ""]).env("MAKEINFRA_COMPLETE", "csh").output();
    assert_eq!(output.code, Some(1));
}
