//! Every hint that is a command is an argument list that its program accepts, once the placeholders
//! are filled.
//!
//! Hints are collected twice: from every run of the program in any test (see `support`), with their
//! values, and from the source, for those that no test has shown yet.

use super::support::Sandbox;
use clap::{CommandFactory, Parser};
use makeinfra::advice::{Advice, FOREIGN, PLACEHOLDERS};
use makeinfra::cli::{Cli, is_bare};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Fails if a program would not accept what a run told its user to type. `recorded` is the file
/// that `environment` names.
#[track_caller]
pub fn check_recorded(recorded: &str) {
    for line in recorded.lines() {
        // Concurrent runs write into each other's lines.
        let Ok(advice) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        let texts = |value: &serde_json::Value| -> Vec<String> {
            value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
        };
        for command in advice["commands"].as_array().unwrap() {
            accepts(&texts(command)).unwrap_or_else(|why| panic!("{why}: {command}"));
        }
        for words in texts(&advice["words"]) {
            assert_eq!(command_among(&words), None, "a command among the words of a hint: {words}");
        }
    }
}

/// Why the program in `arguments` would not accept the rest of them.
fn accepts(arguments: &[String]) -> Result<(), String> {
    let filled: Vec<String> = arguments.iter().map(|argument| fill(argument)).collect();
    let Some((program, rest)) = filled.split_first() else { return Err("no program".to_owned()) };
    match program.as_str() {
        "makeinfra" => match Cli::try_parse_from(&filled) {
            Err(error) if error.use_stderr() && !is_bare(&error) => Err(error.to_string()),
            _ => Ok(()),
        },
        "make" => {
            let targets = make_targets();
            let mut calls = rest.iter().filter(|word| !word.contains('=')).peekable();
            if calls.peek().is_none() {
                return Err("no target".to_owned());
            }
            let unknown = calls.find(|target| !targets.contains(*target));
            unknown.map_or(Ok(()), |target| Err(format!("there is no target `{target}`")))
        }
        "git" => match if rest[0] == "-C" { rest.get(2) } else { rest.first() } {
            Some(first) if GIT.contains(&first.as_str()) => Ok(()),
            _ => Err("not a git command that hints use".to_owned()),
        },
        foreign if FOREIGN.contains(&foreign) => Ok(()),
        other => Err(format!("`{other}` is not in the list of foreign programs")),
    }
}

/// Git's commands in hints. [`git_takes_every_command_that_a_hint_names`] runs them.
const GIT: [&str; 31] = [
    "add",
    "branch",
    "check-attr",
    "check-ignore",
    "checkout",
    "cherry-pick",
    "clone",
    "commit",
    "config",
    "diff",
    "fast-export",
    "fast-import",
    "fetch",
    "fsck",
    "init",
    "log",
    "ls-files",
    "ls-remote",
    "mv",
    "push",
    "refs",
    "remote",
    "reset",
    "restore",
    "rm",
    "sparse-checkout",
    "stash",
    "status",
    "symbolic-ref",
    "update-index",
    "worktree",
];

const KUBECTL: [&str; 15] = [
    "apply",
    "auth",
    "config",
    "create",
    "delete",
    "describe",
    "edit",
    "get",
    "kustomize",
    "label",
    "logs",
    "patch",
    "rollout",
    "run",
    "scale",
];

/// `argument` with each placeholder replaced by its example.
fn fill(argument: &str) -> String {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let mut filled = argument.to_owned();
    let mut names = PLACEHOLDERS;
    names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    for (name, example) in names {
        let Some(start) = filled.find(name) else { continue };
        let before = filled[..start].chars().next_back().is_none_or(|letter| !is_part(letter));
        let end = start + name.len();
        // `ENV=` is a make variable.
        let behind =
            filled[end..].chars().next().is_none_or(|letter| !is_part(letter) && letter != '=');
        if before && behind {
            filled.replace_range(start..end, example);
        }
    }
    filled
}

fn make_targets() -> BTreeSet<String> {
    let makefile = fs::read_to_string(root().join("templates/Makefile.tera")).unwrap();
    let names = makefile
        .lines()
        .filter_map(|line| line.split_once(": "))
        .filter(|(name, _)| !name.starts_with(['\t', ' ', '#', '.']));
    let rules = makefile.lines().filter_map(|line| line.strip_suffix(':').map(|name| (name, "")));
    names
        .chain(rules)
        .flat_map(|(names, _)| names.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

/// The command among `words`, which are text rather than an argument list.
fn command_among(words: &str) -> Option<String> {
    let commands: BTreeSet<String> =
        Cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let targets = make_targets();
    // Text in backquotes is quoted, and not a command to type.
    let told: String = words.split('`').step_by(2).collect::<Vec<_>>().join(" . ");
    let bare = told.replace(['(', ')', ',', ';', ':'], " ");
    let all: Vec<&str> = bare.split_whitespace().collect();
    all.windows(2).find_map(|pair| {
        let next = pair[1];
        let is_command = match pair[0] {
            "makeinfra" => commands.contains(next),
            "make" => targets.contains(next) && next != "all",
            "git" => GIT.contains(&next),
            "git-crypt" => ["init", "lock", "unlock", "status", "export-key"].contains(&next),
            "kubectl" => KUBECTL.contains(&next),
            "docker" => ["login", "logout", "push", "pull", "build", "buildx"].contains(&next),
            "glab" => next == "deploy-token",
            "ls" | "chmod" => true,
            _ => false,
        };
        is_command.then(|| pair.join(" "))
    })
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A call in the source with a text argument: the callee's name, the text with its interpolations
/// filled, and the position.
struct Call {
    callee: String,
    text: String,
    place: String,
    /// The source after the text.
    behind: String,
}

fn source_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            source_files(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

/// All texts in the source, with their callees.
fn calls() -> Vec<Call> {
    let mut files = Vec::new();
    source_files(&root().join("src"), &mut files);
    let mut found = Vec::new();
    for file in files {
        let source = fs::read_to_string(&file).unwrap();
        let code: String = source
            .split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap()
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .map(|line| format!("{line}\n"))
            .collect();
        let mut at = 0;
        while let Some(start) = code[at..].find('"').map(|found| at + found) {
            if code[..start].ends_with('\'') || code[..start].ends_with("b'") {
                at = start + 1;
                continue;
            }
            let bytes = code.as_bytes();
            let mut end = start + 1;
            while bytes[end] != b'"' {
                end += if bytes[end] == b'\\' { 2 } else { 1 };
            }
            let before = code[..start].trim_end();
            let is_format = ["format!(", "format_args!("].iter().any(|name| before.ends_with(name));
            let before = ["format!(", "format_args!("]
                .iter()
                .fold(before, |text, name| text.strip_suffix(name).unwrap_or(text));
            let callee = before.trim_end().strip_suffix('(').map_or("", |text| {
                text.rsplit(|letter: char| !letter.is_alphanumeric() && letter != '_')
                    .next()
                    .unwrap_or("")
            });
            let text = code[start + 1..end].replace("\\\"", "\"").replace("\\\\", "\\");
            let text = text.split("\\\n").map(str::trim_start).collect::<String>();
            found.push(Call {
                callee: callee.to_owned(),
                text: if is_format { interpolated(&text) } else { text },
                place: format!(
                    "{}: {}",
                    file.strip_prefix(root()).unwrap().display(),
                    code[..start].lines().count()
                ),
                behind: code[end + 1..].chars().take(300).collect(),
            });
            at = end + 1;
        }
    }
    found
}

/// `text` with examples in place of `format!` arguments.
fn interpolated(text: &str) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        match after.strip_prefix('{') {
            Some(after) => {
                filled.push('{');
                rest = after;
            }
            None => {
                filled.push_str("sample");
                rest = after.split_once('}').map_or("", |(_, rest)| rest);
            }
        }
    }
    format!("{filled}{rest}").replace("}}", "}")
}

/// All commands that the source builds, with their positions.
fn commands_in_source() -> Vec<(Advice, String)> {
    let mut found = Vec::new();
    for call in calls() {
        let advice = match call.callee.as_str() {
            "makeinfra" => {
                let with = call.behind.trim_start().trim_start_matches([')', ',']).trim_start();
                // Options that are also a text.
                let options =
                    with.strip_prefix(".with(\"").and_then(|rest| Some(rest.split_once('"')?.0));
                Advice::makeinfra(&call.text).with(options.unwrap_or_default())
            }
            "make" => Advice::make(&call.text),
            "git" => Advice::git(&call.text),
            "at_top" => Advice::at_top(&call.text),
            "anywhere" => Advice::anywhere(&call.text),
            _ if call.text.contains('{') => Advice::from(call.text.as_str()),
            _ => continue,
        };
        found.push((advice, call.place));
    }
    found
}

#[test]
fn every_command_in_the_source_is_one_that_its_program_takes() {
    let all = commands_in_source();
    let mut number = 0;
    for (advice, place) in &all {
        for command in advice.argument_lists() {
            number += 1;
            // A word in capitals is a placeholder that must have a name.
            for word in &command[1..] {
                let is_capital = word.len() > 1
                    && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
                let is_known = PLACEHOLDERS.iter().any(|(name, _)| name == word) || word == "HEAD";
                assert!(
                    !is_capital || is_known,
                    "{place}: `{word}` is not in the list of placeholders"
                );
            }
            // Arguments that are added one by one are only known at run time.
            let is_whole = command.len() > 1 || FOREIGN.contains(&command[0].as_str());
            assert!(is_whole, "{place}: {command:?}");
            if !is_open(&command) {
                accepts(&command).unwrap_or_else(|why| panic!("{place}: {command:?}: {why}"));
            }
        }
    }
    assert!(number > 150, "only {number} commands found in the source");
}

/// Whether arguments are added at run time, such as the name of a component.
fn is_open(command: &[String]) -> bool {
    let words: Vec<_> = command.iter().map(String::as_str).collect();
    matches!(
        words.as_slice(),
        ["makeinfra", "add" | "remove" | "completions"]
            | ["makeinfra", "env", "add" | "remove"]
            | ["makeinfra", "secret", "set"]
    ) || words.starts_with(&["makeinfra", "sample"])
        || matches!(
            words.as_slice(),
            ["git", "-C"] | ["git", "config", "--global"] | ["make", "deploysample"]
        )
        || words.iter().any(|word| word.starts_with("--sample"))
}

#[test]
fn no_hint_holds_a_command_as_text() {
    let hints = ["hint", "why", "aside", "say"];
    // In the table of causes, the hint is the last text of a row.
    let is_cause = |call: &Call| {
        call.place.starts_with("src/diagnosis/cause.rs") && call.behind.starts_with(";\n")
    };
    for call in
        calls().iter().filter(|call| is_cause(call) || hints.contains(&call.callee.as_str()))
    {
        let advice = Advice::from(call.text.as_str());
        for words in advice.words() {
            assert_eq!(command_among(words), None, "{}: {}", call.place, call.text);
        }
    }
}

/// Places with commands in texts that are not argument lists, each with the reason.
const TEXTS: [(&str, &str, &str); 14] = [
    ("src/answers/workload.rs", "kubectl get clusterissuers", "a rule, which is a text of its own"),
    (
        "src/answers/location.rs",
        "kubectl config rename-context OLD NEW",
        "a rule, which is a text of its own",
    ),
    ("src/repo/pick.rs", "makeinfra update", "what git's log of a reference says"),
    ("src/repo/unlock.rs", "git-crypt", "given to `at_top` by those who ask what unlocks a clone"),
    ("src/git_crypt.rs", "git-crypt", "given to `at_top` by those who ask what unlocks a clone"),
    ("src/commands/new/nested.rs", "git-crypt init", "given to `at_top`"),
    ("src/advice/unlock.rs", "git stash", "parts of a command, which are run in `hints_typed`"),
    ("src/cli/usage.rs", "makeinfra secret", "compared with what was typed"),
    ("src/cli.rs", "makeinfra new hello --image", "the end of the help page, which is tried below"),
    ("src/commands/man.rs", "makeinfra new", "the manual page"),
    ("src/commands/check/formats.rs", "makeinfra check", "the name of a test suite"),
    ("src/commands/new.rs", "makeinfra new", "the title of a conversation"),
    ("src/commands/rotate", "makeinfra rotate", "the title of a conversation"),
    ("src/commands/secrets/unset.rs", "makeinfra secret unset", "the title of a conversation"),
];

#[test]
fn no_other_text_holds_a_command() {
    let built = ["makeinfra", "make", "git", "at_top", "anywhere"];
    for call in calls().iter().filter(|call| !built.contains(&call.callee.as_str())) {
        let is_excepted = TEXTS
            .iter()
            .any(|(file, text, _)| call.place.starts_with(file) && call.text.contains(text));
        let advice = Advice::from(call.text.as_str());
        for words in advice.words().into_iter().filter(|_| !is_excepted) {
            assert_eq!(command_among(words), None, "{}: {}", call.place, call.text);
        }
    }
    let help = Cli::command().get_after_help().unwrap().to_string();
    let typed = help.strip_prefix("Start here: ").unwrap().split(' ').map(str::to_owned);
    accepts(&typed.collect::<Vec<_>>()).unwrap();
}

#[test]
fn every_option_in_a_hint_exists() {
    fn collect(command: &clap::Command, options: &mut BTreeSet<String>) {
        options.extend(
            command
                .get_arguments()
                .filter_map(|one| one.get_long())
                .map(|long| format!("--{long}")),
        );
        command.get_subcommands().for_each(|one| collect(one, options));
    }
    let mut options = BTreeSet::from(["--help".to_owned()]);
    collect(&Cli::whole(), &mut options);
    let of_others = ["--context", "--namespace"];
    for call in
        calls().iter().filter(|call| ["hint", "aside", "with"].contains(&call.callee.as_str()))
    {
        if call.text.contains("kubectl") {
            continue;
        }
        for word in call.text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-')
        {
            let is_option = word.starts_with("--") && word.len() > 2 && !word.starts_with("---");
            assert!(
                !is_option
                    || options.contains(word)
                    || of_others.contains(&word)
                    || word == "--sample",
                "{}: there is no option `{word}`",
                call.place
            );
        }
    }
}

#[test]
fn git_takes_every_command_that_a_hint_names() {
    let sandbox = Sandbox::with_hello();
    let mut ran = BTreeSet::new();
    for (advice, place) in commands_in_source() {
        for command in advice
            .argument_lists()
            .into_iter()
            .filter(|command| command[0] == "git" && !is_open(command))
        {
            let filled: Vec<String> = command.iter().map(|argument| fill(argument)).collect();
            if !ran.insert(filled.clone()) {
                continue;
            }
            let arguments: Vec<&str> = filled[1..].iter().map(String::as_str).collect();
            let output = sandbox.git(&arguments).env("GIT_EDITOR", "true").output();
            // 129 is git's exit code for a usage error.
            assert_ne!(output.code, Some(129), "{place}: {command:?}\n{}", output.stderr);
            assert!(!output.stderr.contains("is not a git command"), "{place}: {}", output.stderr);
        }
    }
    assert!(ran.len() > 20, "{ran:?}");
}
