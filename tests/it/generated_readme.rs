//! Every command in the generated README exists, and its promises hold.

use super::environments::with_environments;
use super::support::{SECRET, Sandbox, files_below, have};
use std::fs;

/// Arguments of `new` for each variant of the README.
const VARIANTS: [&[&str]; 3] = [
    &[],
    &["--ingress", "hello.example.com", "--pod-security", "baseline", "--ci", "none"],
    &["--secret-type", "dockerconfigjson", "--namespace", "shop", "--secret-name", "pull"],
];

fn sandbox(args: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.new_hello(args).success();
    sandbox
}

fn readme(sandbox: &Sandbox) -> String {
    fs::read_to_string(sandbox.hello("README.md")).unwrap()
}

/// The lines of indented blocks without comments, and all inline code.
fn code(text: &str) -> Vec<String> {
    let (blocks, prose): (Vec<_>, Vec<_>) = text.lines().partition(|line| line.starts_with("    "));
    let comments =
        blocks.iter().filter_map(|line| line.split_once("  #")).map(|(_, comment)| comment);
    let inline: Vec<_> = prose
        .into_iter()
        .chain(comments)
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .collect();
    let blocks = blocks.iter().map(|line| line.split("  #").next().unwrap().trim());
    blocks.chain(inline).map(str::to_owned).collect()
}

#[test]
fn every_make_target_and_variable_exists() {
    let several = with_environments(&[]);
    for args in VARIANTS {
        let sandbox = sandbox(args);
        let makefile = fs::read_to_string(sandbox.hello("Makefile")).unwrap();
        let code = code(&readme(&sandbox));
        let commands: Vec<_> = code.iter().filter_map(|line| line.strip_prefix("make ")).collect();
        assert!(commands.len() > 12, "{commands:?}");
        for command in commands {
            let place = if command.contains("ENV=") { &several } else { &sandbox };
            place.run("sh", &["-c", &format!("make -n {command}")]).cwd(place.hello("")).success();
        }
        let variables =
            code.iter().flat_map(|line| line.split(' ')).filter_map(|word| word.split_once('='));
        for (variable, _) in
            variables.filter(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
        {
            assert!(makefile.contains(variable) || variable == "KEY", "{variable}");
        }
    }
}

#[test]
fn every_target_is_named() {
    let sandbox = sandbox(&[]);
    let text = readme(&sandbox);
    let makefile = fs::read_to_string(sandbox.hello("Makefile")).unwrap();
    let targets = makefile.lines().filter(|line| line.contains(": ## ") && !line.starts_with('\t'));
    let targets: Vec<_> = targets.filter_map(|line| Some(line.split_once(':')?.0)).collect();
    assert!(targets.len() > 12, "{targets:?}");
    // `namespace` is a step of `deploy`, and `help` the default target.
    for target in targets.into_iter().filter(|target| !["namespace", "help"].contains(target)) {
        assert!(
            text.contains(&format!("`make {target}"))
                || text.contains(&format!("    make {target}")),
            "{target}"
        );
    }
}

#[test]
fn every_makeinfra_command_and_option_exists() {
    let sandbox = sandbox(&[]);
    let text = readme(&sandbox);
    let code = code(&text);
    // A comment lists the siblings of a command without the program.
    let commands = code.iter().filter_map(|line| {
        line.strip_prefix("makeinfra ")
            .or_else(|| line.starts_with("secret ").then_some(line.as_str()))
    });
    let mut named = Vec::new();
    for line in commands {
        let words: Vec<_> = line.split(' ').filter(|word| !word.is_empty()).collect();
        let depth = if ["secret", "env"].contains(&words[0]) { 2 } else { 1 };
        let help = sandbox.makeinfra(&[&words[..depth], &["--help"]].concat()).success().stdout;
        for option in words.iter().filter(|word| word.starts_with('-')) {
            assert!(help.contains(&format!("{option} ")), "makeinfra {line}");
        }
        named.push(words[..depth].join(" "));
    }
    named.sort();
    named.dedup();
    let all = [
        "add",
        "diagnose",
        "env add",
        "env remove",
        "remove",
        "rotate",
        "secret list",
        "secret set",
        "secret unset",
    ];
    assert_eq!(named, all);
    for option in ["--env", "--all-environments"] {
        let help = sandbox.makeinfra(&["secret", "set", "--help"]).success().stdout;
        assert!(text.contains(&format!("`{option}`")) && help.contains(option), "{option}");
    }
    for command in [&["rotate"][..], &["secret", "set"]] {
        let help = sandbox.makeinfra(&[command, &["--help"]].concat()).success().stdout;
        assert!(help.contains("--commit "), "{command:?}");
    }
    assert!(text.contains(&format!("makeinfra {}, ", env!("CARGO_PKG_VERSION"))), "{text}");
}

#[test]
fn every_git_crypt_command_exists() {
    if !have("git-crypt") {
        return;
    }
    let sandbox = sandbox(&[]);
    let code = code(&readme(&sandbox));
    let commands: Vec<_> = code.iter().filter_map(|line| line.strip_prefix("git-crypt ")).collect();
    assert!(commands.len() >= 3, "{commands:?}");
    for command in commands {
        let command = command.split(' ').next().unwrap();
        let output = sandbox.run("git-crypt", &["help", command]).output();
        assert_eq!(output.code, Some(0), "git-crypt {command}");
    }
}

#[test]
fn every_file_that_is_named_is_there() {
    for args in VARIANTS {
        let sandbox = sandbox(args);
        let text = readme(&sandbox).replace("/ENV", "/production");
        let begins = [".gitlab", ".makeinfra", "scripts/", "secrets/", "kubernetes/"];
        let words = code(&text)
            .into_iter()
            .flat_map(|line| line.split([' ', ')']).map(str::to_owned).collect::<Vec<_>>());
        let named: Vec<_> =
            words.filter(|word| begins.iter().any(|begin| word.starts_with(begin))).collect();
        assert!(named.len() > 3, "{named:?}");
        for file in named {
            assert!(sandbox.hello(&file).exists(), "{file} {args:?}");
        }
        let below = files_below(&sandbox.hello(""));
        for file in ["environment.mk", "kustomization.yaml"] {
            assert!(text.contains(file) && below.iter().any(|path| path.ends_with(file)), "{file}");
        }
    }
}

/// The secret files of two branches are ciphertext, which git cannot merge, and it says so.
#[test]
fn a_conflict_of_two_branches_is_resolved_as_it_says() {
    if !have("git-crypt") {
        return;
    }
    let sandbox = sandbox(&[]);
    let set = |key: &str, value: &str| {
        sandbox.write_private("value", value);
        let file = sandbox.path("value").display().to_string();
        let args = ["secret", "set", "database", key, "--from-file", &file, "--commit"];
        sandbox.makeinfra(&args).cwd(sandbox.hello("")).success();
    };
    sandbox.git(&["branch", "theirs"]).success();
    set("OURS", "one");
    sandbox.git(&["checkout", "-q", "theirs"]).success();
    set("THEIRS", "two");
    sandbox.git(&["checkout", "-q", "-"]).success();
    let output = sandbox.git(&["merge", "-q", "theirs"]).output();
    assert_eq!(output.code, Some(1), "{output:?}");
    let list = sandbox.git(&["diff", "--name-only", "--diff-filter=U"]).success().stdout;
    let text = readme(&sandbox);
    let command = text.split('`').find(|code| code.starts_with("git checkout --theirs ")).unwrap();
    for file in list.lines() {
        sandbox.run("sh", &["-c", &command.replace("FILE", file)]).cwd(sandbox.hello("")).success();
        sandbox.git(&["add", file]).success();
    }
    sandbox.git(&["commit", "-q", "--no-edit"]).success();
    set("OURS", "one");
    let values = fs::read_to_string(sandbox.hello("secrets/kubernetes/database.env")).unwrap();
    assert!(values.contains("OURS=one\n") && values.contains("THEIRS=two\n"), "{values}");
    sandbox.makeinfra(&["check"]).cwd(sandbox.hello("")).success().prints("0 problems");
    assert!(sandbox.hello(SECRET).is_file());
}

#[test]
fn without_ci_nothing_speaks_of_it() {
    let sandbox = sandbox(&["--ci", "none"]);
    for file in [".gitlab-ci.yml", ".gitlab"] {
        assert!(!sandbox.hello(file).exists(), "{file}");
    }
    let text = readme(&sandbox);
    for word in ["## CI", "GIT_CRYPT_KEY", ".gitlab/", "deployer"] {
        assert!(!text.contains(word), "{word}: {text}");
    }
}
