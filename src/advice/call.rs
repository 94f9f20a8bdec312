//! One command as a list of arguments: how a text is read as one, and how it is typed for a
//! repository elsewhere.

use super::shell_word;
use std::path::Path;

/// Targets of make that need `ENV=` if there are several environments.
const TARGETS: [&str; 12] = [
    "deploy",
    "gitlab-secret",
    "namespace",
    "diff",
    "set-image",
    "restart",
    "rollback",
    "undeploy",
    "prune",
    "status",
    "logs",
    "run",
];
/// Commands of makeinfra that need `--env` then.
const COMMANDS: [&str; 4] = ["rotate", "diagnose", "secret set", "secret unset"];
/// Commands of makeinfra that are about no repository.
const WITHOUT_REPOSITORY: [&str; 7] =
    ["new", "completions", "man", "schema", "help", "--help", "--version"];
/// What a shell reads between commands, or behind one, instead of an argument.
const OPERATORS: [&str; 5] = ["&&", "||", "|", ">", ">>"];

/// The user's editor, as crontab and git have it.
pub(super) const EDITOR: &str = "${EDITOR:-vi}";

/// The programs of others that a hint may have typed beside make and git.
pub const FOREIGN: [&str; 23] = [
    EDITOR,
    "apt-get",
    "cat",
    "cd",
    "chmod",
    "cp",
    "df",
    "docker",
    "echo",
    "file",
    "git-crypt",
    "glab",
    "grep",
    "helm",
    "iconv",
    "kubectl",
    "ls",
    "mv",
    "rm",
    "rmdir",
    "sed",
    "tail",
    "unset",
];

/// How a command is told which repository is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    /// `-C DIR`
    Make,
    /// `-C DIR`
    Git,
    /// An argument.
    Makeinfra,
    /// By the current directory; the arguments begin with the program.
    AtTop,
    /// Not at all: it is about no repository. The arguments begin with the program.
    Anywhere,
}

/// A command with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) program: Program,
    pub(super) words: Vec<Word>,
    /// The environment that is meant.
    pub(super) environment: Option<String>,
    pub(super) options: Vec<Word>,
}

/// One argument, or a shell's operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// What the program gets.
    text: String,
    /// What is typed for that.
    typed: String,
}

impl Call {
    pub(super) fn new(program: Program, words: &str) -> Self {
        Self { program, words: Word::split(words), environment: None, options: Vec::new() }
    }

    /// The command that `text` is, if it begins with a program that hints may name.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let first = text.split(' ').next()?;
        let program = match first {
            "make" => Program::Make,
            "git" => Program::Git,
            "makeinfra" => Program::Makeinfra,
            _ if FOREIGN.contains(&first) => return Some(Self::new(Program::Anywhere, text)),
            _ => return None,
        };
        let mut command = Self::new(program, text.strip_prefix(first)?);
        if program != Program::Git {
            let is_option = |word: &Word| word.text.starts_with("--") || word.text.contains('=');
            let place = command.words.iter().position(is_option).unwrap_or(command.words.len());
            command.options = command.words.split_off(place);
        }
        Some(command)
    }

    /// Whether it needs to be told an environment, if there are several.
    pub(super) fn takes_environment(&self) -> bool {
        let words = joined(&self.words);
        let begins = |command: &&str| format!("{words} ").starts_with(&format!("{command} "));
        match self.program {
            Program::Make => TARGETS.contains(&words.as_str()),
            Program::Makeinfra => COMMANDS.iter().any(begins),
            Program::Git | Program::AtTop | Program::Anywhere => false,
        }
    }

    /// Whether it works only in a repository, or with one named.
    pub(super) fn is_for_a_repository(&self) -> bool {
        let first = self.words.first().map_or("", |word| word.text.as_str());
        match self.program {
            Program::Make | Program::Git | Program::AtTop => true,
            Program::Makeinfra => first != "diagnose" && !WITHOUT_REPOSITORY.contains(&first),
            Program::Anywhere => false,
        }
    }

    /// Whether it is a call of `makeinfra rotate`.
    pub(super) fn is_rotation(&self) -> bool {
        let first = self.words.first().map(|word| word.text.as_str());
        self.program == Program::Makeinfra && first == Some("rotate")
    }

    /// Whether it is a call of make's `target`.
    pub(super) fn is_target(&self, target: &str) -> bool {
        self.program == Program::Make && joined(&self.words) == target
    }

    /// Adds what `text` says at `place` of its words.
    pub(super) fn add_words(&mut self, text: &str, place: usize) {
        self.words.splice(place..place, Word::split(text));
    }

    /// All arguments but the directory, the program first.
    fn all(&self) -> Vec<Word> {
        let program = match self.program {
            Program::Make => Some("make"),
            Program::Git => Some("git"),
            Program::Makeinfra => Some("makeinfra"),
            Program::AtTop | Program::Anywhere => None,
        };
        let chosen = self.environment.iter().flat_map(|name| match self.program {
            Program::Make => vec![Word::value(&format!("ENV={name}"))],
            _ => vec![Word::plain("--env"), Word::value(name)],
        });
        let first = program.map(Word::plain);
        first
            .into_iter()
            .chain(self.words.clone())
            .chain(chosen)
            .chain(self.options.clone())
            .collect()
    }

    /// The argument lists that it is, the program first: several where a shell's operators stand
    /// between them.
    pub(super) fn argument_lists(&self) -> Vec<Vec<String>> {
        let all = self.all();
        let commands = all.split(|word| ["&&", "||", "|"].contains(&word.typed.as_str()));
        let arguments = |words: &[Word]| {
            let mut behind = words.iter();
            let mut arguments = Vec::new();
            while let Some(word) = behind.next() {
                match word.typed.as_str() {
                    ">" | ">>" => drop(behind.next()),
                    typed if typed.starts_with('>') => {}
                    _ => arguments.push(word.text.clone()),
                }
            }
            // `NAME=value` before a program is its environment.
            let program = arguments.iter().position(|word| !word.contains('=')).unwrap_or(0);
            arguments.split_off(program)
        };
        commands.map(arguments).collect()
    }

    /// As it is typed for the repository in `dir`, a word for a shell; `None` is the current
    /// directory.
    pub(super) fn typed(&self, dir: Option<&str>) -> String {
        let dir = Word::split(dir.unwrap_or_default());
        let flag = Word::split(if dir.is_empty() { "" } else { "-C" });
        let mut all = self.all();
        match self.program {
            Program::Make | Program::Git => drop(all.splice(1..1, flag.into_iter().chain(dir))),
            Program::Makeinfra if self.is_about_a_repository() => {
                let place = 1 + self.words.len();
                all.splice(place..place, dir);
            }
            Program::Makeinfra | Program::AtTop | Program::Anywhere => {}
        }
        joined(&all)
    }

    fn is_about_a_repository(&self) -> bool {
        let all = self.words.iter().chain(&self.options);
        all.take(1).all(|word| !WITHOUT_REPOSITORY.contains(&word.text.as_str()))
            && self.options.iter().all(|word| word.text != "--help")
    }
}

impl Word {
    /// The words of `text`, in which quotes mean what they mean to a shell.
    pub(super) fn split(text: &str) -> Vec<Self> {
        let mut words = Vec::new();
        let (mut typed, mut quote) = (String::new(), None);
        for letter in text.chars() {
            match (letter, quote) {
                (' ', None) => words.push(std::mem::take(&mut typed)),
                (_, Some(open)) if letter == open => quote = None,
                ('\'' | '"', None) if !typed.ends_with('\\') => quote = Some(letter),
                _ => {}
            }
            if letter != ' ' || quote.is_some() {
                typed.push(letter);
            }
        }
        words.push(typed);
        words.into_iter().filter(|typed| !typed.is_empty()).map(Self::of).collect()
    }

    /// Whether the program gets `text`.
    pub(super) fn is(&self, text: &str) -> bool {
        self.text == text
    }

    fn of(typed: String) -> Self {
        let read = shlex::split(&typed).and_then(|words| words.into_iter().next());
        Self { text: read.unwrap_or_else(|| typed.clone()), typed }
    }

    fn plain(text: &str) -> Self {
        Self { text: text.to_owned(), typed: text.to_owned() }
    }

    /// An argument with exactly this value.
    pub(super) fn value(text: &str) -> Self {
        let typed = if OPERATORS.contains(&text) {
            format!("'{text}'")
        } else {
            shell_word(Path::new(text))
        };
        Self { text: text.to_owned(), typed }
    }
}

fn joined(words: &[Word]) -> String {
    words.iter().map(|word| word.typed.as_str()).collect::<Vec<_>>().join(" ")
}
