//! The size of a generated repository: the same files whatever it deploys, and few lines.

use super::support::{Sandbox, files_below, have};
use std::fs;

/// Files that depend neither on the components nor on the environments, so that `add` and `env add`
/// do not change them.
const SAME: [&str; 6] = [
    "Makefile",
    "README.md",
    ".gitlab-ci.yml",
    "scripts/deploy.sh",
    ".githooks/pre-commit",
    ".gitignore",
];

/// Maximum lines of a default repository's files, with scripts formatted by `shfmt`. Exceeding an
/// original goal by a tenth is acceptable: readable beats short.
const BUDGETS: [(&str, usize); 5] = [
    // The goal was 90. One more line keeps MAKECMDGOALS from choosing what is checked, and two are
    // for `check-expiry`.
    ("Makefile", 93),
    // The goal was 180. Handling kubectl's pitfalls, with one statement per line and a blank line
    // between steps, takes 232; denser code takes longer to read. The rest computes when tokens
    // expire without GNU `date`.
    ("scripts/deploy.sh", 256),
    // The goal was 30. Four more lines give the reason and the hint, whatever the attributes are,
    // and fail if git cannot read.
    (".githooks/pre-commit", 34),
    ("README.md", 120),
    // 90, plus the scheduled job, which unlocks like the others.
    (".gitlab-ci.yml", 96),
];

const COLUMNS: usize = 110;
const SCHEMA: &str = ".makeinfra.schema.json";

const COMPONENTS: &str = "
components:
  worker: {port: null, args: [work]}
  nightly: {workload: cronjob, schedule: '@daily', image: 'registry.gitlab.com/group/other:2'}
  migrate: {workload: job}
";

fn sandbox(args: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.new_without_token(args).success();
    sandbox
}

#[test]
fn makefile_readme_script_and_pipeline_are_the_same_whatever_is_deployed_where() {
    let first = sandbox(&[]);
    let answers = Sandbox::new();
    let components = answers.write("answers.yaml", COMPONENTS).display().to_string();
    let config = answers.write("settings.env", "COLOUR=blue\n").display().to_string();
    let environments = ["--env", "staging", "--env", "production", "--context", "production=prod"];
    let cronjob = ["--workload", "cronjob", "--schedule", "@daily"];
    let served =
        ["--ingress", "hello.example.com", "--tls", "--service-account", "--config", &config];
    for args in
        [&environments[..], &["--env", "live"], &["--answers", &components], &cronjob, &served]
    {
        let other = sandbox(args);
        for file in SAME {
            let read = |sandbox: &Sandbox| fs::read_to_string(sandbox.hello(file)).unwrap();
            assert_eq!(read(&first), read(&other), "{file}, {args:?}");
        }
    }
}

#[test]
fn a_reader_has_few_lines_to_read() {
    let sandbox = Sandbox::with_hello();
    for (file, budget) in BUDGETS {
        let mut text = fs::read_to_string(sandbox.hello(file)).unwrap();
        if text.starts_with("#!") {
            if !have("shfmt") {
                continue;
            }
            text = sandbox.run("shfmt", &["-i", "4", "-ln", "posix"]).stdin(&text).success().stdout;
        }
        let lines = text.lines().count();
        assert!(lines <= budget + budget / 10, "{file} has {lines} lines, and {budget} are enough");
    }
}

#[test]
fn no_line_is_too_wide_to_read() {
    let served =
        ["--ingress", "hello.example.com", "--tls-issuer", "letsencrypt", "--service-account"];
    let environments = ["--env", "staging", "--env", "production", "--pod-security", "baseline"];
    let rotating = ["--ci-rotate", "--env", "staging", "--env", "production"];
    for args in [&[][..], &served, &environments, &rotating] {
        let sandbox = sandbox(args);
        // The schema is for editors.
        for file in files_below(&sandbox.hello("")).iter().filter(|file| *file != SCHEMA) {
            let text = fs::read_to_string(sandbox.hello(file)).unwrap();
            for (number, line) in text.lines().enumerate() {
                // A terminal shows a recipe's tab with eight columns.
                let columns = line.replace('\t', "        ").chars().count();
                assert!(columns <= COLUMNS, "{file}:{}: {columns} columns", number + 1);
            }
        }
    }
}
