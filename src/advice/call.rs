//! One command as a list of arguments: parses it from a text, and renders it for a repository
//! elsewhere.

use super::shell_word;
use std::path::Path;

/// make targets that need `ENV=` if there are several environments.
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
/// makeinfra commands that need `--env` in that case.
const COMMANDS: [&str; 4] = ["rotate", "diagnose", "secret set", "secret unset"];
/// makeinfra commands that do not concern a repository.
const WITHOUT_REPOSITORY: [&str; 7] =
    ["new", "completions", "man", "schema", "help", "--help", "--version"];
/// Shell operators between or after commands.
const OPERATORS: [&str; 5] = ["&&", "||", "|", ">", ">>"];

/// The user's editor, in the form that crontab and git use.
pub(super) const EDITOR: &str = "${EDITOR:-vi}";

/// Further programs, besides make and git, that hints may contain.
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

/// How a command is told its repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    /// `-C DIR`
    Make,
    /// `-C DIR`
    Git,
    /// As an argument.
    Makeinfra,
    /// By the current directory. The arguments begin with the program.
    AtTop,
    /// Not at all: it does not concern a repository. The arguments begin with the program.
    Anywhere,
}

/// A command with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) program: Program,
    pub(super) words: Vec<Word>,
    /// The environment to name; `None` if there is only one.
    pub(super) environment: Option<String>,
    pub(super) options: Vec<Word>,
}

/// One argument, or a shell operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// The value that the program receives.
    text: String,
    /// The text to type for that value.
    typed: String,
}

impl Call {
    pub(super) fn new(program: Program, words: &str) -> Self {
        Self { program, words: Word::split(words), environment: None, options: Vec::new() }
    }

    /// Parses `text`; `None` unless it begins with a program that hints may contain.
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

    /// Whether it must name an environment if there are several.
    pub(super) fn takes_environment(&self) -> bool {
        let words = joined(&self.words);
        let begins = |command: &&str| format!("{words} ").starts_with(&format!("{command} "));
        match self.program {
            Program::Make => TARGETS.contains(&words.as_str()),
            Program::Makeinfra => COMMANDS.iter().any(begins),
            Program::Git | Program::AtTop | Program::Anywhere => false,
        }
    }

    /// Whether it only works in a repository, or with one as an argument.
    pub(super) fn is_for_a_repository(&self) -> bool {
        let first = self.words.first().map_or("", |word| word.text.as_str());
        match self.program {
            Program::Make | Program::Git | Program::AtTop => true,
            Program::Makeinfra => first != "diagnose" && !WITHOUT_REPOSITORY.contains(&first),
            Program::Anywhere => false,
        }
    }

    /// Whether it calls `makeinfra rotate`.
    pub(super) fn is_rotation(&self) -> bool {
        let first = self.words.first().map(|word| word.text.as_str());
        self.program == Program::Makeinfra && first == Some("rotate")
    }

    /// Whether it calls make's `target`.
    pub(super) fn is_target(&self, target: &str) -> bool {
        self.program == Program::Make && joined(&self.words) == target
    }

    /// Inserts the words of `text` at the index `place`.
    pub(super) fn add_words(&mut self, text: &str, place: usize) {
        self.words.splice(place..place, Word::split(text));
    }

    /// All arguments except for the directory, the program first.
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

    /// The argument lists, the program first; several if there are shell operators between them.
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
            // `NAME=value` before a program sets an environment variable.
            let program = arguments.iter().position(|word| !word.contains('=')).unwrap_or(0);
            arguments.split_off(program)
        };
        commands.map(arguments).collect()
    }

    /// The command as typed for the repository in `dir`, given as a shell word; `None` is the
    /// current directory.
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
    /// Splits `text` into words, interpreting quotes like a shell.
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

    /// Whether the value is `text`.
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
