//! `examples/ansible`: the real Ansible runs the playbook.

use super::examples::repo;
use super::support::{Output, Run, Sandbox, TOKEN, all_objects, assert_no_token, cached, have};
use std::fs;
use std::path::PathBuf;

/// The token of another run, instead of [`TOKEN`].
const NEXT: &str = "gldt-Another_8Ry0xXl3";

/// The tasks of the playbook that run makeinfra.
const TASKS: [&str; 3] =
    ["Create the repository", "Write the deploy token", "Check the repository"];

/// The example with a token from a vault, and makeinfra on PATH.
struct Example {
    sandbox: Sandbox,
    programs: PathBuf,
}

impl Example {
    /// `None` if Ansible is missing.
    fn new() -> Option<Self> {
        let programs = cached("ansible-core-2.19.14/bin/ansible-playbook")?.parent()?.to_owned();
        let sandbox = Sandbox::new();
        for file in ["inventory.yml", "playbook.yml", "host_vars/hello.yml"] {
            sandbox.write(
                &format!("work/{file}"),
                fs::read(repo("examples/ansible").join(file)).unwrap(),
            );
        }
        fs::create_dir(sandbox.path("home/repositories")).unwrap();
        sandbox.write_private("vault", "password");
        sandbox.write_program(
            "makeinfra",
            &format!("#!/bin/sh\nexec {} \"$@\"\n", env!("CARGO_BIN_EXE_makeinfra")),
        );
        let example = Self { sandbox, programs };
        example.takes(TOKEN);
        Some(example)
    }

    /// Sets the token in the variables, as in the README.
    fn takes(&self, token: &str) {
        let encrypt =
            ["encrypt_string", "--stdin-name", "token", "--vault-password-file", "../vault"];
        let encrypted = self.ansible("ansible-vault", &encrypt).stdin(token).success().stdout;
        assert_no_token(encrypted.as_bytes(), "the vault");
        let file = self.sandbox.work("host_vars/hello.yml");
        let text = fs::read_to_string(&file).unwrap();
        let others = text.split("token: ").next().unwrap();
        fs::write(&file, format!("{others}{encrypted}")).unwrap();
    }

    fn ansible(&self, program: &str, args: &[&str]) -> Run {
        self.sandbox.run(self.programs.join(program), args).env("PATH", self.sandbox.own_path())
    }

    fn play(&self, args: &[&str]) -> Run {
        let play =
            ["playbook.yml", "-i", "inventory.yml", "--vault-password-file", "../vault", "-vvv"];
        self.ansible("ansible-playbook", &[&play[..], args].concat())
    }

    /// Runs the playbook, and expects these outcomes of [`TASKS`].
    #[track_caller]
    fn plays(&self, args: &[&str], outcomes: &str) {
        let output = self.play(args).success();
        no_token_in(&output);
        let words: Vec<_> = TASKS.iter().map(|task| outcome(&output.stdout, task)).collect();
        assert_eq!(words.join(" "), outcomes, "{args:?}: {}", output.stdout);
    }

    /// Everything in the directory of the repositories, with modification times.
    fn state(&self) -> String {
        let list = ["repositories", "-printf", r"%P %m %s %T@\n"];
        self.sandbox.run("find", &list).cwd(self.sandbox.path("home")).success().stdout
    }
}

/// Expects that a run fails and says `text`.
#[track_caller]
fn fails(run: Run, text: &str) {
    let output = run.output();
    no_token_in(&output);
    assert_eq!(output.code, Some(2), "{}{}", output.stdout, output.stderr);
    assert!((output.stdout.clone() + &output.stderr).contains(text), "no `{text}`: {output:?}");
}

#[track_caller]
fn no_token_in(output: &Output) {
    for text in [&output.stdout, &output.stderr] {
        assert_no_token(text.as_bytes(), "the output of Ansible");
        assert!(!text.contains(NEXT), "{text}");
    }
}

/// The outcome of a task in Ansible's output.
fn outcome<'t>(stdout: &'t str, task: &str) -> &'t str {
    let (_, after) = stdout.split_once(&format!("TASK [{task}]")).unwrap();
    let mut lines = after.lines().take_while(|line| !line.starts_with("TASK ["));
    lines.find_map(|line| Some(line.split_once(": [hello]")?.0)).unwrap()
}

#[test]
fn a_task_counts_as_changed_exactly_if_something_is_written_or_would_be() {
    let Some(example) = Example::new() else { return };
    let later = &["-e", "token_expires_at=2031-01-01"];
    let nothing = example.state();
    example.plays(&["--check"], "changed skipping skipping");
    assert_eq!(example.state(), nothing);
    example.plays(&[], "changed changed ok");
    let first = example.state();
    example.plays(&["--check"], "ok ok ok");
    example.plays(&[], "ok ok ok");
    assert_eq!(example.state(), first);
    example.plays(&[&later[..], &["--check"]].concat(), "ok changed ok");
    example.takes(NEXT);
    example.plays(&["--check"], "ok changed ok");
    assert_eq!(example.state(), first);
    example.plays(&[], "ok changed ok");
    example.plays(&[], "ok ok ok");
    let hello = example.sandbox.path("home/repositories/hello-infra");
    assert_no_token(&all_objects(&example.sandbox, &hello), "the objects");
    let git = |args: &[&str]| example.sandbox.run("git", args).cwd(&hello).success().stdout;
    assert_eq!(git(&["status", "--porcelain"]), "");
    assert_eq!(git(&["rev-list", "--count", "HEAD"]), "3\n");
}

#[test]
fn the_token_is_in_no_argument_variable_or_file() {
    let Some(example) = Example::new() else { return };
    if !have("strace") {
        return;
    }
    // The files that contain it while Ansible runs makeinfra. The pattern is not one of the forms
    // searched for below.
    let found = example.sandbox.path("found");
    example.sandbox.write_program(
        "makeinfra",
        &format!(
            "#!/bin/sh\ngrep -rl '[{}]{}' \"$HOME\" >>{}\nexec {} \"$@\"\n",
            &TOKEN[..1],
            &TOKEN[1..],
            found.display(),
            env!("CARGO_BIN_EXE_makeinfra")
        ),
    );
    let trace = example.sandbox.path("trace");
    let play = example.play(&["-v"]).command();
    let mut strace = std::process::Command::new("strace");
    strace.args(["-f", "-qq", "-v", "-s", "100000", "-e", "trace=execve", "-o"]).arg(&trace);
    strace.arg(play.get_program()).args(play.get_args()).current_dir(example.sandbox.path("work"));
    strace.env_clear().envs(play.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = Run::of(strace).success();
    no_token_in(&output);
    let trace = fs::read_to_string(trace).unwrap();
    assert!(trace.contains("\"--token-stdin\", \"--commit\""), "{trace}");
    assert_no_token(trace.as_bytes(), "an argument or a variable");
    assert_eq!(fs::read_to_string(found).unwrap(), "");
}

#[test]
fn a_failed_play_says_why() {
    let Some(example) = Example::new() else { return };
    example.plays(&[], "changed changed ok");
    let without = example.play(&[]).env("PATH", "/usr/bin:/bin");
    fails(without, "Is makeinfra on PATH?");
    let hello = example.sandbox.path("home/repositories/hello-infra");
    let lock = [
        "-c",
        "mv .git/git-crypt/keys/default ../key && rm .git/index && \
         git config --remove-section filter.git-crypt && git checkout -q -f HEAD",
    ];
    example.sandbox.run("sh", &lock).cwd(&hello).success();
    example.takes(NEXT);
    for args in [&[][..], &["--check"]] {
        fails(example.play(args), "error: cannot rotate `secrets/kubernetes/gitlab.secret.yaml`");
    }
    let unlock = ["-c", "git-crypt unlock ../key && echo 'no: [' >kubernetes/base/service.yaml"];
    if have("git-crypt") {
        example.sandbox.run("sh", &unlock).cwd(&hello).success();
        fails(example.play(&[]), "kubernetes/base/service.yaml");
    }
}

#[test]
fn its_linter_finds_nothing_in_the_example() {
    let Some(example) = Example::new() else { return };
    let lint = ["--offline", "--profile", "production", "--strict", "."];
    // Ansible runs the other programs of its own environment.
    let path = format!("{}:{}", example.programs.display(), example.sandbox.own_path());
    example.ansible("ansible-lint", &lint).env("PATH", path).success();
}
