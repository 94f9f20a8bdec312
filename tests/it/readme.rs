//! Every command of the README runs, and what it says of the program is true.

use super::examples::repo;
use super::support::{SECRET, Sandbox, TOKEN, USER, have};
use std::fs;

fn readme() -> String {
    fs::read_to_string(repo("README.md")).unwrap()
}

/// The lines of the README's shell blocks, without comments.
fn commands() -> Vec<String> {
    let text = readme();
    let blocks = text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let lines = blocks.flat_map(str::lines).map(|line| line.split("  #").next().unwrap().trim().to_owned());
    lines.filter(|line| !line.is_empty()).collect()
}

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
    let first = commands().remove(0);
    // The program itself is built already; all else is the line as it stands.
    let line = first.replace("cargo run --release --", env!("CARGO_BIN_EXE_makeinfra"));
    assert_ne!(line, first);
    let output = sandbox.run("sh", &["-c", &line]).cwd(sandbox.work("clone")).success();
    assert_eq!(output.stderr, "", "a new user sees no warning");
    assert!(sandbox.hello(SECRET).is_file() && sandbox.hello(".git").is_dir());
    sandbox.git(&["fsck", "--strict"]).success();
}

#[test]
fn the_other_commands_do_what_the_readme_says() {
    let sandbox = Sandbox::with_hello();
    let token = sandbox.path("token").display().to_string();
    for line in commands().into_iter().skip(1) {
        match line.as_str() {
            line if line.starts_with("makeinfra new mailer ") => {
                let given = format!("--token-username {USER} --token-file '{token}'");
                let line = line.replace("makeinfra", env!("CARGO_BIN_EXE_makeinfra"));
                sandbox.run("sh", &["-c", &format!("{line} {given}")]).success();
                assert!(sandbox.work("mailer-infra/kubernetes/base/cronjob.yaml").is_file());
            }
            "make test" => {
                let plan = sandbox.run("make", &["-n", "test"]).cwd(repo("")).success().stdout;
                assert!(plan.contains("tests/tools") && plan.contains("cargo test"), "{plan}");
            }
            "makeinfra rotate --commit" => {
                let args = [
                    "rotate",
                    "--commit",
                    "--token-username",
                    USER,
                    "--token-file",
                    &token,
                    "--email",
                    "a@b.c",
                ];
                sandbox.makeinfra(&args).cwd(sandbox.work("hello-infra")).success();
            }
            "makeinfra secret set database PASSWORD --commit" => {
                let args = ["secret", "set", "database", "PASSWORD", "--commit", "--from-file", &token];
                sandbox.makeinfra(&args).cwd(sandbox.work("hello-infra")).success();
            }
            "makeinfra check" => {
                sandbox.makeinfra(&["check"]).cwd(sandbox.work("hello-infra")).success();
            }
            "makeinfra diagnose" => {
                // There is no cluster here: nobody can tell.
                let run = sandbox.makeinfra(&["diagnose"]).cwd(sandbox.work("hello-infra"));
                run.env("KUBECONFIG", "/nowhere").failure(3);
            }
            "makeinfra new shop --image registry.gitlab.com/group/shop:1.0.0 --env staging --env production" =>
            {
                let args: Vec<_> = line.split(' ').skip(1).collect();
                let given = ["--token-username", USER, "--token-file", &token];
                sandbox.makeinfra(&[&args[..], &given].concat()).success();
                assert!(sandbox.work("shop-infra/kubernetes/overlays/production").is_dir());
            }
            // It asks first, and there is nobody to ask.
            "make deploy ENV=production" if have("kubectl") => {
                let run = sandbox.run("make", &["deploy", "ENV=production"]).cwd(sandbox.work("shop-infra"));
                run.env("KUBECONFIG", "/nowhere").failure(2);
            }
            "make deploy" if have("kubectl") => {
                // There is no cluster here: it must get as far as asking for one.
                let output = sandbox.make(&["deploy"]).env("KUBECONFIG", "/nowhere").output();
                assert_eq!(output.code, Some(2));
            }
            // Without kubectl there is nothing to ask.
            "make deploy" | "make deploy ENV=production" => {}
            other => panic!("a README command without a test: {other}"),
        }
    }
}

#[test]
fn the_numbered_steps_work() {
    let sandbox = Sandbox::new();
    let text = readme();
    let token = sandbox.path("token").display().to_string();
    let new = "makeinfra new shop --image registry.gitlab.com/group/shop:1.0.0";
    assert!(text.contains(&format!("`{new}`")));
    let args: Vec<_> = new.split(' ').skip(1).collect();
    sandbox.makeinfra(&[&args[..], &["--token-username", USER, "--token-file", &token]].concat()).success();
    let copy = text.split('`').find(|code| code.starts_with("cp -i shop-infra/.git")).unwrap();
    sandbox.run("sh", &["-c", copy]).success();
    assert_eq!(fs::metadata(sandbox.path("home/shop-infra.git-crypt-key")).unwrap().len(), 148);
}

#[test]
fn every_option_and_every_target_is_named() {
    let text = readme();
    let sandbox = Sandbox::with_hello();
    for (command, prefixes) in [
        ("new", &["--token", "--from"][..]),
        ("rotate", &["--token", "--from"]),
        ("secret set", &["--stdin", "--from"]),
        ("check", &["--"]),
        ("diagnose", &["--"]),
    ] {
        let words: Vec<_> = command.split(' ').chain(["--help"]).collect();
        let help = sandbox.makeinfra(&words).success().stdout;
        let told = |word: &&str| prefixes.iter().any(|prefix| word.starts_with(prefix)) && *word != "--help";
        for option in help.split_whitespace().filter(told) {
            let option = option.trim_end_matches([',', '.']).split(['[', '=']).next().unwrap();
            assert!(text.contains(option), "{option}");
        }
    }
    let makefile = fs::read_to_string(sandbox.hello("Makefile")).unwrap();
    for line in makefile.lines().filter(|line| line.contains(": ") && line.contains(" ## ")) {
        let target = line.split(':').next().unwrap();
        assert!(text.contains(target), "{target}");
    }
}

#[test]
fn the_config_file_in_the_readme_is_accepted() {
    let sandbox = Sandbox::new();
    let text = readme();
    let yaml = text.split("```yaml\n").find(|block| block.starts_with("registry:")).unwrap();
    let yaml = yaml.split("```").next().unwrap();
    sandbox.write("home/.config/makeinfra/config.yaml", yaml);
    sandbox.write_private("token", TOKEN);
    sandbox.new_hello(&[]).success();
    let ingress = fs::read_to_string(sandbox.hello("kubernetes/base/ingress.yaml")).unwrap();
    assert!(ingress.contains("host: hello.apps.example.com"), "{ingress}");
}

#[test]
fn the_components_in_the_readme_are_accepted() {
    let sandbox = Sandbox::new();
    let text = readme();
    let yaml = text.split("```yaml\n").find(|block| block.starts_with("project: shop")).unwrap();
    let file = sandbox.write("answers.yaml", yaml.split("```").next().unwrap()).display().to_string();
    sandbox.makeinfra(&["new", "--answers", &file, "--no-token"]).success();
    for file in ["worker-deployment.yaml", "nightly-cronjob.yaml", "migrate-job.yaml"] {
        assert!(sandbox.work("shop-infra/kubernetes").join(file).is_file(), "{file}");
    }
}

#[test]
fn the_table_of_commands_is_the_programs() {
    let sandbox = Sandbox::new();
    let help = sandbox.makeinfra(&["--help"]).success().stdout;
    let commands = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    for line in commands.lines() {
        let command = line.split_whitespace().next().unwrap();
        assert!(readme().contains(&format!("| `makeinfra {command}")), "{command}");
    }
}
