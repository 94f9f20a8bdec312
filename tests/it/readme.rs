//! Every command of the README and of `docs/` runs, and their statements about the program are
//! true.

use super::docs::{commands, page, pages};
use super::examples::repo;
use super::support::{SECRET, Sandbox, TOKEN, USER, have};
use super::{finish, walkthrough};
use std::fs;

/// The sandbox with what the first command needs of a clone, as `work/clone`.
fn clone() -> Sandbox {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.work("clone/examples")).unwrap();
    for file in ["answers.yaml", "token"] {
        fs::copy(repo("examples").join(file), sandbox.work("clone/examples").join(file)).unwrap();
    }
    sandbox
}

#[test]
fn the_first_command_makes_a_repository() {
    let sandbox = clone();
    let first = commands(&page("README.md")).remove(0);
    // The program is built already; everything else is as in the line.
    let line = first.replace("cargo run --release --", env!("CARGO_BIN_EXE_makeinfra"));
    assert_ne!(line, first);
    let output = sandbox.run("sh", &["-c", &line]).cwd(sandbox.work("clone")).success();
    assert_eq!(output.stderr, "", "a new user sees no warning");
    assert!(sandbox.hello(SECRET).is_file() && sandbox.hello(".git").is_dir());
    sandbox.git(&["fsck", "--strict"]).success();
}

/// Whether a command of a page is run by a test that has a GitLab.
fn runs_elsewhere(path: &str, line: &str) -> bool {
    match path {
        "docs/tokens.md" => finish::DOCS.contains(&line),
        "docs/many-repositories.md" => finish::together::DOCS.contains(&line),
        // `tests/dist` installs the built packages on root file systems of its own.
        walkthrough::PAGE | "docs/install.md" => true,
        _ => false,
    }
}

#[test]
fn the_other_commands_do_what_the_pages_say() {
    let mut count = 0;
    for (path, text) in pages() {
        let sandbox = Sandbox::with_hello();
        let is_first = |line: &str| line.starts_with("cargo run ");
        let mut lines = commands(&text);
        lines.retain(|line| !is_first(line) && !runs_elsewhere(&path, line));
        for line in lines {
            assert!(does(&sandbox, &line), "a command of {path} without a test: {line}");
            count += 1;
        }
        assert_eq!(
            sandbox.git(&["status", "--porcelain"]).success().stdout,
            "",
            "{path}: all of them committed"
        );
    }
    assert!(count > 35, "{count}");
}

/// Runs `line` in the repository, answering prompts; `false` if it is unknown here.
fn does(sandbox: &Sandbox, line: &str) -> bool {
    let token = sandbox.path("token").display().to_string();
    let given = ["--token-username", USER, "--token-file", &token];
    let hello = sandbox.work("hello-infra");
    let words: Vec<_> = shlex::split(line).unwrap();
    let words: Vec<_> = words.iter().skip(1).map(String::as_str).collect();
    let answered =
        |answers: &[&str]| sandbox.makeinfra(&[&words[..], answers].concat()).cwd(&hello).success();
    let exists = |path: &str| hello.join(path).exists();
    match line {
        "make test" | "make lint" => {
            let plan = sandbox.run("make", &["-n", words[0]]).cwd(repo("")).success().stdout;
            let commands = if words[0] == "test" { "tests/tools cargo test" } else { "clippy fmt" };
            assert!(commands.split(' ').all(|command| plan.contains(command)), "{plan}");
        }
        // As in the README's first command; the tests have built the program.
        "cargo build --release" => {}
        "makeinfra rotate --commit" => {
            answered(&[&given[..], &["--email", "a@b.c"]].concat());
        }
        "makeinfra rotate --add-registry ghcr.io --token-username NAME --commit"
        | "makeinfra rotate --registry ghcr.io --token-username NAME --commit" => {
            answered(&["--token-file", &token]);
        }
        "makeinfra rotate --remove-registry ghcr.io --commit" => {
            answered(&["--no-input"]);
        }
        "makeinfra new shop --image registry.gitlab.com/group/shop:1.0.0"
        | "makeinfra new shop --image registry.gitlab.com/group/shop:1.0.0 --env staging --env production"
        | "makeinfra new mailer --image registry.gitlab.com/group/mailer:1.0.0 --workload cronjob --schedule '0 3 * * *'" =>
        {
            answered(&[&given[..], &["--output", ".."]].concat());
        }
        "makeinfra new shop --image registry.gitlab.com/group/shop:1.0.0 --ci-rotate" => {
            answered(&[&given[..], &["--output", ".."]].concat());
            assert!(sandbox.work("shop-infra/.gitlab/rotate.job.yml").is_file());
        }
        "makeinfra env add staging --like production --commit" => {
            answered(&["--yes"]);
            assert!(exists("kubernetes/overlays/staging") && exists(".gitlab/staging.yml"));
        }
        "makeinfra env list" => {
            answered(&[]).prints("staging ").prints("TOKEN EXPIRES");
        }
        "makeinfra env remove staging --commit" => {
            answered(&["--yes"]);
            assert!(
                !exists("kubernetes/overlays/staging") && !exists("secrets/kubernetes/staging")
            );
        }
        "makeinfra add worker --port none --arg work --commit" => {
            answered(&["--yes"]);
            assert!(exists("kubernetes/base/worker-deployment.yaml"));
        }
        "makeinfra remove worker --commit" => {
            answered(&["--yes"]);
            assert!(!exists("kubernetes/base/worker-deployment.yaml"));
        }
        "makeinfra update --dry-run --diff" | "makeinfra adopt --dry-run --diff" => {
            answered(&[]).prints("dry run");
        }
        "makeinfra update --commit" | "makeinfra adopt --commit" => {
            answered(&["--yes"]).prints("Nothing to do");
        }
        "makeinfra secret set database PASSWORD --commit" => {
            answered(&["--from-file", &token]);
            assert!(exists("secrets/kubernetes/database.env"));
        }
        "makeinfra secret list" => {
            answered(&[]).prints("PASSWORD");
        }
        "makeinfra secret unset database PASSWORD --commit" => {
            answered(&["--yes"]);
            assert!(!exists("secrets/kubernetes/database.env"));
        }
        "makeinfra check ../*-infra" | "makeinfra update ../*-infra --commit" => {
            // A second repository next to it.
            let other = sandbox.work("other-infra");
            if !other.exists() {
                sandbox.run("cp", &["-r", "hello-infra", "other-infra"]).success();
            }
            let line = line.replace("makeinfra", env!("CARGO_BIN_EXE_makeinfra"));
            let yes = if line.contains("update") { " --yes" } else { "" };
            let run = sandbox.run("sh", &["-c", &format!("{line}{yes}")]);
            run.cwd(&hello).success().prints("2 repositories: 2 ok");
        }
        "makeinfra check" => {
            answered(&["--strict"]);
        }
        "makeinfra diagnose" | "makeinfra check --running" => {
            // There is no cluster.
            sandbox.makeinfra(&words).cwd(&hello).env("KUBECONFIG", "/nowhere").failure(3);
        }
        "make set-image ENV=production FROM=staging" => {
            let shop = sandbox.work("shop-infra");
            sandbox.run("make", &["set-image", "ENV=staging", "TAG=1.1.0"]).cwd(&shop).success();
            sandbox.run("make", &words).cwd(&shop).success();
            let overlay = shop.join("kubernetes/overlays/production/kustomization.yaml");
            assert!(fs::read_to_string(overlay).unwrap().contains("newTag: \"1.1.0\""));
        }
        "make deploy" | "make deploy ENV=staging" | "make deploy ENV=production" => {
            let repository = if words.len() > 1 { "shop-infra" } else { "hello-infra" };
            let make = |words: &[&str]| sandbox.run("make", words).cwd(sandbox.work(repository));
            let environment =
                words.get(1).map_or("production", |word| word.strip_prefix("ENV=").unwrap());
            let overlay = format!("--kustomize=kubernetes/overlays/{environment}");
            assert!(make(&[&["-n"], &words[..]].concat()).success().stdout.contains(&overlay));
            // There is no cluster, and no terminal.
            if have("kubectl") {
                make(&words).env("KUBECONFIG", "/nowhere").failure(2);
            }
        }
        _ => return false,
    }
    true
}

#[test]
fn the_numbered_steps_work() {
    let sandbox = Sandbox::new();
    let text = page("README.md");
    let token = sandbox.path("token").display().to_string();
    let new = "makeinfra new shop --image registry.gitlab.com/group/shop:1.0.0";
    assert!(text.contains(&format!("`{new}`")));
    let args: Vec<_> = new.split(' ').skip(1).collect();
    sandbox
        .makeinfra(&[&args[..], &["--token-username", USER, "--token-file", &token]].concat())
        .success();
    let copy = text.split('`').find(|code| code.starts_with("cp -i shop-infra/.git")).unwrap();
    sandbox.run("sh", &["-c", copy]).success();
    assert_eq!(fs::metadata(sandbox.path("home/shop-infra.git-crypt-key")).unwrap().len(), 148);
}

#[test]
fn every_option_and_every_target_is_named() {
    let text: String = pages().into_iter().map(|(_, text)| text).collect();
    let sandbox = Sandbox::with_hello();
    for (command, prefixes) in [
        ("new", &["--token", "--from"][..]),
        ("rotate", &["--token", "--from"]),
        ("secret set", &["--stdin", "--from", "--env", "--all"]),
        ("add", &["--diff", "--yes", "--commit", "--dry-run"]),
        ("env add", &["--like", "--with", "--diff", "--yes", "--commit", "--dry-run"]),
        ("check", &["--"]),
        ("diagnose", &["--"]),
    ] {
        let words: Vec<_> = command.split(' ').chain(["--help"]).collect();
        let help = sandbox.makeinfra(&words).success().stdout;
        let told = |word: &&str| {
            prefixes.iter().any(|prefix| word.starts_with(prefix)) && *word != "--help"
        };
        for option in help.split_whitespace().filter(told) {
            let option = option.trim_end_matches([',', '.']).split(['[', '=']).next().unwrap();
            assert!(text.contains(option), "{option}");
        }
    }
    let targets = page("README.md")
        .split("lists its targets: ")
        .nth(1)
        .unwrap()
        .split('.')
        .next()
        .unwrap()
        .to_owned();
    let mut named: Vec<_> = targets.split('`').skip(1).step_by(2).collect();
    let makefile = fs::read_to_string(sandbox.hello("Makefile")).unwrap();
    let rules = makefile.lines().filter(|line| !line.starts_with('\t'));
    let mut targets: Vec<_> =
        rules.filter_map(|line| line.split_once(": ## ")).map(|(name, _)| name).collect();
    named.sort_unstable();
    targets.sort_unstable();
    assert_eq!(named, targets);
}

#[test]
fn the_config_file_in_the_docs_is_accepted() {
    let sandbox = Sandbox::new();
    let text = page("docs/answers.md");
    let yaml = text.split("```yaml\n").find(|block| block.starts_with("registry:")).unwrap();
    let yaml = yaml.split("```").next().unwrap();
    sandbox.write("home/.config/makeinfra/config.yaml", yaml);
    sandbox.write_private("token", TOKEN);
    sandbox.new_hello(&[]).success();
    let ingress = fs::read_to_string(sandbox.hello("kubernetes/base/ingress.yaml")).unwrap();
    assert!(ingress.contains("host: hello.apps.example.com"), "{ingress}");
}

#[test]
fn the_components_in_the_docs_are_accepted() {
    let sandbox = Sandbox::new();
    let text = page("docs/workloads.md");
    let yaml = text.split("```yaml\n").find(|block| block.starts_with("project: shop")).unwrap();
    let file =
        sandbox.write("answers.yaml", yaml.split("```").next().unwrap()).display().to_string();
    sandbox.makeinfra(&["new", "--answers", &file, "--no-token"]).success();
    for file in ["worker-deployment.yaml", "nightly-cronjob.yaml", "migrate-job.yaml"] {
        assert!(sandbox.work("shop-infra/kubernetes/base").join(file).is_file(), "{file}");
    }
}

#[test]
fn the_table_of_commands_is_the_programs() {
    let sandbox = Sandbox::new();
    let help = sandbox.makeinfra(&["--help"]).success().stdout;
    let commands = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    for line in commands.lines() {
        let command = line.split_whitespace().next().unwrap();
        assert!(page("README.md").contains(&format!("| `makeinfra {command}")), "{command}");
    }
}
