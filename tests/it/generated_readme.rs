//! Every command that the generated README tells a colleague to type exists, and what it does by hand works.

use super::support::{SECRET, Sandbox, TOKEN, USER, all_objects, assert_no_token, have, mode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rexpect::reader::Options;
use rexpect::session::spawn_with_options;
use std::fs;
use std::process::Stdio;

/// What `new` is given to make each variant of the README.
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

/// The lines of indented blocks and all inline code, without comments.
fn code(sandbox: &Sandbox) -> Vec<String> {
    let text = readme(sandbox);
    let (blocks, prose): (Vec<_>, Vec<_>) = text.lines().partition(|line| line.starts_with("    "));
    let inline: Vec<_> = prose.iter().flat_map(|line| line.split('`').skip(1).step_by(2)).collect();
    let blocks = blocks.iter().map(|line| line.split("  #").next().unwrap().trim());
    blocks.chain(inline).map(str::to_owned).collect()
}

#[test]
fn every_make_target_and_variable_exists() {
    for args in VARIANTS {
        let sandbox = sandbox(args);
        let makefile = fs::read_to_string(sandbox.hello("Makefile")).unwrap();
        let code = code(&sandbox);
        let commands: Vec<_> = code.iter().filter_map(|line| line.strip_prefix("make ")).collect();
        assert!(commands.len() > 8, "{commands:?}");
        for command in commands {
            sandbox.run("sh", &["-c", &format!("make -n {command}")]).cwd(sandbox.hello("")).success();
            let target = command.split(' ').next().unwrap();
            assert!(makefile.contains(&format!("\n{target}: ## ")), "{target}");
        }
        let variables = code.iter().flat_map(|line| line.split(' ')).filter_map(|word| word.split_once('='));
        for (variable, _) in
            variables.filter(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
        {
            assert!(makefile.contains(variable), "{variable}");
        }
    }
}

#[test]
fn every_makeinfra_command_and_option_exists() {
    let sandbox = sandbox(&[]);
    let mut count = 0;
    for line in code(&sandbox).iter().filter_map(|line| line.strip_prefix("makeinfra ")) {
        let mut words = line.split_whitespace();
        let command = words.next().unwrap();
        let help = sandbox.makeinfra(&[command, "--help"]).success().stdout;
        for option in words.filter(|word| word.starts_with('-')) {
            assert!(help.contains(&format!("{option} ")), "makeinfra {line}");
        }
        count += 1;
    }
    assert!(count >= 3, "{count}");
    let version = readme(&sandbox).contains(&format!("makeinfra {} or newer", env!("CARGO_PKG_VERSION")));
    assert!(version, "the version that the README asks for");
}

#[test]
fn every_git_and_git_crypt_command_exists() {
    if !have("git-crypt") {
        return;
    }
    let sandbox = sandbox(&[]);
    let code = code(&sandbox);
    let commands = |program: &str| -> Vec<String> {
        code.iter().filter_map(|line| line.strip_prefix(program)).map(str::to_owned).collect()
    };
    let (git, git_crypt) = (commands("git "), commands("git-crypt "));
    assert!(!git.is_empty() && git_crypt.len() >= 3, "{git:?} {git_crypt:?}");
    for command in git_crypt {
        let command = command.split(' ').next().unwrap();
        let output = sandbox.run("git-crypt", &["help", command]).output();
        assert_eq!(output.code, Some(0), "git-crypt {command}");
    }
    for command in git {
        assert!(command.starts_with("commit -m \"Rotate the deploy token\" secrets/"), "git {command}");
        sandbox.rotate("gldt-new", &[]).success();
        sandbox.run("sh", &["-c", &format!("git {command}")]).cwd(sandbox.hello("")).success();
        assert_no_token(&all_objects(&sandbox, &sandbox.hello("")), "the objects");
        assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "");
    }
}

#[test]
fn every_file_that_is_named_is_there() {
    for args in VARIANTS {
        let sandbox = sandbox(args);
        let named = code(&sandbox).into_iter().filter_map(|line| {
            let word = line.split(' ').next().unwrap().to_owned();
            let file =
                word.starts_with(['.', 's', 'k']) && (word.contains('/') || word.starts_with(".makeinfra"));
            (file && !word.contains('*')).then_some(word)
        });
        let named: Vec<_> = named.collect();
        assert!(named.len() > 7, "{named:?}");
        for file in named {
            assert!(sandbox.hello(&file).exists(), "{file} {args:?}");
        }
    }
}

/// The block that rotates the token by hand.
fn by_hand(sandbox: &Sandbox) -> String {
    let text = readme(sandbox);
    let block = text.split("\n\n").find(|block| block.starts_with("    (\n")).unwrap();
    block.lines().map(|line| format!("{}\n", line.strip_prefix("    ").unwrap())).collect()
}

/// Runs `script` in a folder of the repository, on a terminal, and answers it. Gives all that was shown.
fn on_a_terminal(sandbox: &Sandbox, shell: &str, script: &str, token: &str) -> String {
    let mut command = sandbox.run(shell, &["-c", script]).cwd(sandbox.hello("kubernetes")).command();
    command.stdin(Stdio::inherit());
    let mut terminal = spawn_with_options(command, Options::new().timeout_ms(Some(10_000))).unwrap();
    let mut shown = terminal.exp_string("User name: ").unwrap();
    terminal.send_line("gitlab+deploy-token-2").unwrap();
    shown += &terminal.exp_string("Token: ").unwrap();
    // The terminal is quiet by now or an instant later.
    std::thread::sleep(std::time::Duration::from_millis(300));
    terminal.send_line(token).unwrap();
    shown + &terminal.exp_eof().unwrap()
}

#[test]
fn the_token_can_be_rotated_without_makeinfra() {
    for args in VARIANTS {
        for shell in ["dash", "bash"].into_iter().filter(|shell| have(shell)) {
            let sandbox = sandbox(args);
            let file = match args.contains(&"pull") {
                true => "secrets/kubernetes/pull.secret.yaml",
                false => SECRET,
            };
            let before = fs::read_to_string(sandbox.hello(file)).unwrap();
            let shown = on_a_terminal(&sandbox, shell, &by_hand(&sandbox), r"gldt-New\n_7Qx%s9");
            assert!(!shown.contains("7Qx"), "the token was shown: {shown}");
            let after = fs::read_to_string(sandbox.hello(file)).unwrap();
            let is_data = |line: &&str| line.starts_with("  .docker");
            let (old, new): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
            let without = |lines: &[&str]| {
                lines.iter().filter(|line| !is_data(line)).map(|line| (*line).to_owned()).collect::<Vec<_>>()
            };
            assert_eq!(without(&new), without(&old));
            assert_eq!(new.last().unwrap().split(':').next(), old.last().unwrap().split(':').next());
            let data = STANDARD.decode(new.last().unwrap().rsplit(' ').next().unwrap()).unwrap();
            let mut config: serde_json::Value = serde_json::from_slice(&data).unwrap();
            if args.contains(&"dockerconfigjson") {
                config = config["auths"].take();
            }
            let auth = STANDARD.encode(r"gitlab+deploy-token-2:gldt-New\n_7Qx%s9");
            assert_eq!(config, serde_json::json!({"registry.gitlab.com": {"auth": auth}}));
            assert_eq!(mode(&sandbox.hello(file)), 0o600);
            assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, format!(" M {file}\n"));
            // The program understands what was written by hand.
            let output = sandbox.rotate(TOKEN, &["--token-username", USER]).output();
            assert_eq!(output.code, Some(2), "an option twice");
            sandbox.rotate(TOKEN, &[]).success();
        }
    }
}

#[test]
fn a_rotation_by_hand_takes_the_type_that_the_secret_has_by_now() {
    for (new, then, is_wrapped) in
        [(&[][..], "dockerconfigjson", true), (&["--secret-type", "dockerconfigjson"], "dockercfg", false)]
    {
        let sandbox = sandbox(new);
        sandbox.rotate(TOKEN, &["--secret-type", then]).success();
        on_a_terminal(&sandbox, "sh", &by_hand(&sandbox), "gldt-New");
        let text = fs::read_to_string(sandbox.hello(SECRET)).unwrap();
        assert_eq!(text.matches("\n  .docker").count(), 1, "{text}");
        let data = STANDARD.decode(text.trim_end().rsplit(' ').next().unwrap()).unwrap();
        let config: serde_json::Value = serde_json::from_slice(&data).unwrap();
        let entries = if is_wrapped { &config["auths"] } else { &config };
        let auth = STANDARD.encode("gitlab+deploy-token-2:gldt-New");
        assert_eq!(*entries, serde_json::json!({"registry.gitlab.com": {"auth": auth}}));
    }
}

#[test]
fn the_rotation_of_all_environments_reaches_each() {
    let text = readme(&sandbox(&["--env", "staging", "--env", "live"]));
    let block = text.split("\n\n").find(|block| block.starts_with("    makeinfra rotate")).unwrap();
    let commands: Vec<_> = block.lines().map(|line| line.split('#').next().unwrap().trim()).collect();
    assert_eq!(commands, ["makeinfra rotate --commit", "make deploy ENV=staging", "make deploy ENV=live"]);
    assert!(text.contains("in every environment"), "{text}");
}

#[test]
fn what_ends_serves_nobody() {
    for workload in [&["--workload", "job"][..], &["--workload", "cronjob", "--schedule", "@daily"]] {
        for environments in [&[][..], &["--env", "staging", "--env", "live"]] {
            let text = readme(&sandbox(&[workload, environments].concat()));
            for word in ["go on serving", "replaces the pods", "| pods |", "make rollback"] {
                assert!(!text.contains(word), "{word}: {text}");
            }
        }
    }
}

#[test]
fn a_rotation_by_hand_that_fails_leaves_the_old_file() {
    let sandbox = sandbox(&[]);
    let before = fs::read(sandbox.hello(SECRET)).unwrap();
    let script = by_hand(&sandbox);
    let unchanged = |what: &str| {
        assert!(fs::read(sandbox.hello(SECRET)).unwrap() == before, "{what}");
        assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout, "", "{what}");
    };
    on_a_terminal(&sandbox, "sh", &script, "");
    unchanged("no token");
    // No terminal to be quiet on, and no more to read.
    sandbox.run("sh", &["-c", &script]).cwd(sandbox.hello("")).stdin(USER).output();
    unchanged("no terminal");
    sandbox.run("sh", &["-c", &script]).stdin(format!("{USER}\n{TOKEN}\n")).output();
    unchanged("not in the repository");
    // What git has, as it lies in a locked clone.
    let blob = sandbox.git(&["cat-file", "blob", &format!("HEAD:{SECRET}")]).success().bytes;
    fs::write(sandbox.hello(SECRET), &blob).unwrap();
    sandbox.run("sh", &["-c", &script]).cwd(sandbox.hello("")).stdin(format!("{USER}\n{TOKEN}\n")).output();
    assert!(fs::read(sandbox.hello(SECRET)).unwrap() == blob, "a locked file");
    assert_eq!(fs::read_dir(sandbox.path("work")).unwrap().count(), 1);
}
