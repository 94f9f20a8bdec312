//! What to type, as data: written for the top of a repository, and rendered for where the user is.
//!
//! A command is a list of arguments, in which a word such as `FILE` stands for a value that only
//! the user knows: see [`PLACEHOLDERS`].

mod call;
#[cfg(debug_assertions)]
mod recorded;
mod unlock;

pub use call::FOREIGN;
pub use unlock::Unlocking;

use call::{Call, EDITOR, Program, Word};
use std::fmt::Display;
use std::path::Path;

/// Words in commands that stand for values that only the user knows, each with an example.
pub const PLACEHOLDERS: [(&str, &str); 22] = [
    ("CONTAINER", "app"),
    ("DATE", "2027-12-31"),
    ("DIR", "."),
    ("ENV", "staging"),
    ("FILE", "token.txt"),
    ("HOST", "registry.example.com"),
    ("KEY", "PASSWORD"),
    ("KEY_FILE", "key"),
    ("NAME", "worker"),
    ("NAMESPACE", "hello"),
    ("PATH", "token.txt"),
    ("POD", "hello-6f7d9c-x2v8p"),
    ("PROJECT", "hello"),
    ("PROJECT-infra", "."),
    ("REF", "registry.example.com/group/hello:1.0.0"),
    ("REGISTRY/PATH:TAG", "registry.example.com/group/hello:1.0.0"),
    ("SHELL", "bash"),
    ("TAG", "1.2.3"),
    ("URL", "git@gitlab.com:group/hello-infra.git"),
    ("USER", "ada"),
    ("USERNAME", "gitlab+deploy-token-1"),
    ("YYYY-MM-DD", "2027-12-31"),
];

/// Something to type: commands, with words between them. Empty if there is nothing to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Advice {
    /// The purpose; empty if it needs no words.
    why: String,
    parts: Vec<Part>,
    /// An alternative.
    aside: String,
}

/// A command, or words.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Call(Call),
    Words(String),
}

impl Advice {
    /// A make target.
    #[must_use]
    pub fn make(target: impl AsRef<str>) -> Self {
        Self::new(Program::Make, target)
    }

    /// A git command with its arguments.
    #[must_use]
    pub fn git(words: impl AsRef<str>) -> Self {
        Self::new(Program::Git, words)
    }

    /// A makeinfra command with its arguments, except for the repository and options.
    #[must_use]
    pub fn makeinfra(words: impl AsRef<str>) -> Self {
        Self::new(Program::Makeinfra, words)
    }

    /// A command of one of the [`FOREIGN`] programs, to be run at the top of a repository.
    #[must_use]
    pub fn at_top(words: impl AsRef<str>) -> Self {
        Self::new(Program::AtTop, words)
    }

    /// A command that does not depend on the current directory.
    #[must_use]
    pub fn anywhere(words: impl AsRef<str>) -> Self {
        Self::new(Program::Anywhere, words)
    }

    /// Edits the repository's file `path`.
    #[must_use]
    pub fn edit(path: &str) -> Self {
        Self::edit_all([path])
    }

    /// Edits files of the repository.
    #[must_use]
    pub fn edit_all(paths: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        paths.into_iter().fold(Self::at_top(EDITOR), Self::arg)
    }

    /// Edits the files that match a shell `pattern`.
    #[must_use]
    pub fn edit_matching(pattern: &str) -> Self {
        Self::at_top(EDITOR).with(pattern)
    }

    fn new(program: Program, words: impl AsRef<str>) -> Self {
        Self { parts: vec![Part::Call(Call::new(program, words.as_ref()))], ..Self::default() }
    }

    /// Adds an argument, which may contain any characters.
    #[must_use]
    pub fn arg(mut self, value: impl AsRef<str>) -> Self {
        if let Some(command) = self.last() {
            command.words.push(Word::value(value.as_ref()));
        }
        self
    }

    /// Adds a path as an argument.
    #[must_use]
    pub fn path(self, path: &Path) -> Self {
        self.arg(path.display().to_string())
    }

    /// Adds options after the arguments; for make, variables after the target.
    #[must_use]
    pub fn with(mut self, options: impl Display) -> Self {
        if let Some(command) = self.last() {
            command.options.extend(Word::split(&options.to_string()));
        }
        self
    }

    /// Adds the option `name`, whose value may contain any characters.
    #[must_use]
    pub fn option(mut self, name: &str, value: impl AsRef<str>) -> Self {
        if let Some(command) = self.last() {
            command.options.extend(Word::split(name));
            command.options.push(Word::value(value.as_ref()));
        }
        self
    }

    /// The last command.
    fn last(&mut self) -> Option<&mut Call> {
        match self.parts.last_mut()? {
            Part::Call(command) => Some(command),
            Part::Words(_) => None,
        }
    }

    fn commands(&mut self) -> impl Iterator<Item = &mut Call> {
        self.parts.iter_mut().filter_map(|part| match part {
            Part::Call(command) => Some(command),
            Part::Words(_) => None,
        })
    }

    /// Adds `variable` to each call of make's `target`.
    #[must_use]
    pub fn with_variable(mut self, target: &str, variable: &str) -> Self {
        for call in self.commands().filter(|command| command.is_target(target)) {
            call.options.splice(0..0, Word::split(variable));
        }
        self
    }

    /// Whether a part of it only works in a repository, or with one as an argument.
    #[must_use]
    pub fn is_for_a_repository(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Call(call) if call.is_for_a_repository()))
    }

    /// Whether a part of it rotates a token.
    #[must_use]
    pub fn rotates(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Call(call) if call.is_rotation()))
    }

    /// Names an environment; `None` if there is only one.
    #[must_use]
    pub fn for_env(mut self, name: Option<impl Display>) -> Self {
        let name = name.map(|name| name.to_string());
        for command in self.commands().filter(|command| command.takes_environment()) {
            command.environment = command.environment.take().or_else(|| name.clone());
        }
        self
    }

    /// Appends more.
    #[must_use]
    pub fn say(mut self, more: impl Into<Self>) -> Self {
        self.parts.extend(more.into().parts);
        self
    }

    /// Appends `next`, to be run if this succeeds.
    #[must_use]
    pub fn and(self, next: Self) -> Self {
        self.say(" && ").say(next)
    }

    /// Appends `next`, unless the advice ends with it already.
    #[must_use]
    pub fn then(mut self, next: Self) -> Self {
        self.aside.clear();
        match self.parts.last() {
            None => next,
            last if last == next.parts.last() => self,
            Some(Part::Call(command)) if command.program == Program::Makeinfra => self.and(next),
            Some(_) => self.say(", then: ").say(next),
        }
    }

    /// Sets the purpose.
    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.why = why.into();
        self
    }

    /// Sets an alternative.
    #[must_use]
    pub fn aside(mut self, aside: impl Into<String>) -> Self {
        self.aside = aside.into();
        self
    }

    /// The purpose; empty if it needs no words.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.why
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The argument list of each command, the program first.
    #[must_use]
    pub fn argument_lists(&self) -> Vec<Vec<String>> {
        let lists = |part: &Part| match part {
            Part::Call(command) => command.argument_lists(),
            Part::Words(_) => Vec::new(),
        };
        self.parts.iter().flat_map(lists).collect()
    }

    /// All words that are not in an argument list.
    #[must_use]
    pub fn words(&self) -> Vec<&str> {
        let words = self.parts.iter().filter_map(|part| match part {
            Part::Call(_) => None,
            Part::Words(words) => Some(words.as_str()),
        });
        [self.why.as_str()].into_iter().chain(words).chain([self.aside.as_str()]).collect()
    }

    /// The commands as typed for the repository at `root`; `None` is the current directory.
    #[must_use]
    pub fn typed(&self, root: Option<&Path>) -> String {
        #[cfg(debug_assertions)]
        recorded::record(&self.argument_lists(), &self.words());
        let mut dir = root.filter(|root| !is_here(root)).map(dir_word);
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Words(words) => text.push_str(words),
                Part::Call(command) => {
                    // Later commands then run there as well.
                    if let Some(dir) = dir.take_if(|_| command.program == Program::AtTop) {
                        text.push_str(&format!("cd {dir} && "));
                    }
                    text.push_str(&command.typed(dir.as_deref()));
                }
            }
        }
        text
    }

    /// The advice on one line, with its purpose and the alternative.
    #[must_use]
    pub fn line(&self, root: Option<&Path>) -> String {
        let why = if self.why.is_empty() { String::new() } else { format!("{}: ", self.why) };
        let aside = if self.aside.is_empty() { String::new() } else { format!("; {}", self.aside) };
        format!("{why}{}{aside}", self.typed(root))
    }
}

/// Words with commands in braces: `push it, then: {make deploy}`.
impl From<&str> for Advice {
    fn from(text: &str) -> Self {
        let words = |words: &str| Part::Words(words.to_owned());
        let mut pieces = text.split('{');
        let mut parts = vec![words(pieces.next().unwrap_or_default())];
        for piece in pieces {
            let call =
                piece.split_once('}').and_then(|(call, behind)| Some((Call::parse(call)?, behind)));
            match call {
                Some((call, behind)) => parts.extend([Part::Call(call), words(behind)]),
                None => parts.push(Part::Words(format!("{{{piece}"))),
            }
        }
        parts.retain(|part| !matches!(part, Part::Words(words) if words.is_empty()));
        Self { parts, ..Self::default() }
    }
}

/// Words alone: a formatted text may contain braces.
impl From<String> for Advice {
    fn from(words: String) -> Self {
        Self { parts: vec![Part::Words(words)], ..Self::default() }
    }
}

/// Whether the current directory is `root`.
fn is_here(root: &Path) -> bool {
    Path::new(".").canonicalize().is_ok_and(|here| here == root)
}

/// The directory `dir` as a shell word, without a trailing slash.
fn dir_word(dir: &Path) -> String {
    shell_word(&dir.components().collect::<std::path::PathBuf>())
}

/// The line with which a larger repository's pre-commit hook runs that of its `folder`.
#[must_use]
pub fn hook_line(folder: &Path) -> String {
    format!("sh {} || exit 1", shell_word(&folder.join(".githooks/pre-commit")))
}

/// `path` as a shell word.
#[must_use]
pub fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+:@%,=".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests;
