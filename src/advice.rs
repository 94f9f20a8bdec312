//! What to type, as data: written for the top of a repository, and rendered last, for where the user is.

use std::fmt::Display;
use std::path::Path;

/// What needs `ENV=`, if there are several environments.
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
/// What needs `--env`.
const COMMANDS: [&str; 4] = ["rotate", "diagnose", "secret set", "secret unset"];

/// Something to type: commands, with words between them. Empty if there is nothing to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Advice {
    /// What it is for; empty if that needs no words.
    why: String,
    parts: Vec<Part>,
    /// What else could be done.
    aside: String,
}

/// A command, or words.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    program: Program,
    words: String,
    /// The environment that is meant.
    environment: Option<String>,
    options: String,
}

/// How a command is told which repository is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    /// `-C DIR`
    Make,
    /// `-C DIR`
    Git,
    /// An argument.
    Makeinfra,
    /// By the current directory.
    AtTop,
    /// Not at all: an option, a sentence, a command that is about no repository.
    Words,
}

impl Advice {
    /// A target of make.
    #[must_use]
    pub fn make(target: impl Into<String>) -> Self {
        Self::new(Program::Make, target)
    }

    /// A command of git with its arguments.
    #[must_use]
    pub fn git(words: impl Into<String>) -> Self {
        Self::new(Program::Git, words)
    }

    /// A command of makeinfra, with its arguments but for the repository and options.
    #[must_use]
    pub fn makeinfra(words: impl Into<String>) -> Self {
        Self::new(Program::Makeinfra, words)
    }

    /// Any other command that is for the top of a repository.
    #[must_use]
    pub fn at_top(words: impl Into<String>) -> Self {
        Self::new(Program::AtTop, words)
    }

    /// An edit of the file `path` of the repository.
    #[must_use]
    pub fn edit(path: &str) -> Self {
        Self::at_top(format!("$EDITOR {}", shell_word(Path::new(path))))
    }

    fn new(program: Program, words: impl Into<String>) -> Self {
        Self { parts: vec![Part::new(program, words)], ..Self::default() }
    }

    /// The same with options behind its arguments; for make, variables behind its target.
    #[must_use]
    pub fn with(mut self, options: impl Display) -> Self {
        if let Some(part) = self.parts.last_mut() {
            part.options.push_str(&format!(" {options}"));
        }
        self
    }

    /// The same with `variable` for each call of make's `target`.
    #[must_use]
    pub fn with_variable(mut self, target: &str, variable: &str) -> Self {
        let is_call = |part: &&mut Part| part.program == Program::Make && part.words == target;
        let calls = self.parts.iter_mut().filter(is_call);
        calls.for_each(|part| part.options.insert_str(0, &format!(" {variable}")));
        self
    }

    /// The same for one environment of several; `None` if there is only one.
    #[must_use]
    pub fn for_env(mut self, name: Option<impl Display>) -> Self {
        let name = name.map(|name| name.to_string());
        for part in self.parts.iter_mut().filter(|part| part.takes_environment()) {
            part.environment = part.environment.take().or_else(|| name.clone());
        }
        self
    }

    /// The same with more behind it.
    #[must_use]
    pub fn say(mut self, more: impl Into<Self>) -> Self {
        self.parts.extend(more.into().parts);
        self
    }

    /// The same, and then `next`, if it succeeds.
    #[must_use]
    pub fn and(self, next: Self) -> Self {
        self.say(" && ").say(next)
    }

    /// The same, and then `next`, unless it ends so already.
    #[must_use]
    pub fn then(mut self, next: Self) -> Self {
        self.aside.clear();
        match self.parts.last() {
            None => next,
            last if last == next.parts.last() => self,
            Some(part) if part.program == Program::Makeinfra => self.and(next),
            Some(_) => self.say(", then: ").say(next),
        }
    }

    /// The same with what it is for.
    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.why = why.into();
        self
    }

    /// The same with what else could be done.
    #[must_use]
    pub fn aside(mut self, aside: impl Into<String>) -> Self {
        self.aside = aside.into();
        self
    }

    /// What it is for; empty if that needs no words.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.why
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The commands as the user types them for the repository at `root`; `None` is the current directory.
    #[must_use]
    pub fn typed(&self, root: Option<&Path>) -> String {
        let mut dir = root.filter(|root| !is_here(root)).map(dir_word);
        let mut text = String::new();
        for part in &self.parts {
            // Whatever comes behind it is there, too.
            if let Some(dir) = dir.take_if(|_| part.program == Program::AtTop) {
                text.push_str(&format!("cd {dir} && "));
            }
            text.push_str(&part.typed(dir.as_deref()));
        }
        text
    }

    /// The same as a line, with what it is for and what else could be done.
    #[must_use]
    pub fn line(&self, root: Option<&Path>) -> String {
        let why = if self.why.is_empty() { String::new() } else { format!("{}: ", self.why) };
        let aside = if self.aside.is_empty() { String::new() } else { format!("; {}", self.aside) };
        format!("{why}{}{aside}", self.typed(root))
    }
}

/// Words, among which commands of make and makeinfra for a repository stand in braces: `push it, then: {make deploy}`.
impl From<&str> for Advice {
    fn from(text: &str) -> Self {
        let mut pieces = text.split('{');
        let mut all = Self::new(Program::Words, pieces.next().unwrap_or_default());
        for piece in pieces {
            let call = piece.split_once('}').and_then(|(call, behind)| Some((Part::parse(call)?, behind)));
            match call {
                Some((call, behind)) => all.parts.extend([call, Part::new(Program::Words, behind)]),
                None => all.parts.push(Part::new(Program::Words, format!("{{{piece}"))),
            }
        }
        all.parts.retain(|part| !part.words.is_empty());
        all
    }
}

/// Words alone: what is put together may hold any braces.
impl From<String> for Advice {
    fn from(words: String) -> Self {
        Self::new(Program::Words, words)
    }
}

impl Part {
    fn new(program: Program, words: impl Into<String>) -> Self {
        Self { program, words: words.into(), environment: None, options: String::new() }
    }

    fn parse(text: &str) -> Option<Self> {
        let (program, words) = match text.split_once(' ')? {
            ("make", words) => (Program::Make, words),
            ("makeinfra", words) => (Program::Makeinfra, words),
            _ => return None,
        };
        let mut call = Self::new(program, "");
        for word in words.split(' ') {
            let is_option = !call.options.is_empty() || word.starts_with("--") || word.contains('=');
            let list = if is_option { &mut call.options } else { &mut call.words };
            list.push_str(&format!(" {word}"));
        }
        call.words = call.words.trim_start().to_owned();
        Some(call)
    }

    fn takes_environment(&self) -> bool {
        let begins = |command: &&str| format!("{} ", self.words).starts_with(&format!("{command} "));
        match self.program {
            Program::Make => TARGETS.contains(&self.words.as_str()),
            Program::Makeinfra => COMMANDS.iter().any(begins),
            Program::Git | Program::AtTop | Program::Words => false,
        }
    }

    fn typed(&self, dir: Option<&str>) -> String {
        let Self { words, options, .. } = self;
        let before = dir.map_or_else(String::new, |dir| format!("-C {dir} "));
        let after = dir.map_or_else(String::new, |dir| format!(" {dir}"));
        let chosen = |prefix: &str| {
            self.environment.as_ref().map_or_else(String::new, |name| format!("{prefix}{name}"))
        };
        match self.program {
            Program::Make => format!("make {before}{words}{}{options}", chosen(" ENV=")),
            Program::Git => format!("git {before}{words}{options}"),
            Program::Makeinfra => format!("makeinfra {words}{after}{}{options}", chosen(" --env ")),
            Program::AtTop | Program::Words => format!("{words}{options}"),
        }
    }
}

/// Whether the user is at `root`.
fn is_here(root: &Path) -> bool {
    Path::new(".").canonicalize().is_ok_and(|here| here == root)
}

/// The directory `dir` as a word that can be pasted into a shell, without the slash at its end.
fn dir_word(dir: &Path) -> String {
    shell_word(&dir.components().collect::<std::path::PathBuf>())
}

/// The line by which the pre-commit hook of a larger repository runs that of its `folder`.
#[must_use]
pub fn hook_line(folder: &Path) -> String {
    format!("sh {} || exit 1", shell_word(&folder.join(".githooks/pre-commit")))
}

/// `path` as a word that can be pasted into a shell.
#[must_use]
pub fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+:@%,=".contains(&byte);
    match !text.is_empty() && text.bytes().all(plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_is_told_its_repository_in_its_own_way() {
        let root = Path::new("/srv/it's/");
        let and = Advice::git("add a").and(Advice::git("commit -m 'A' -- a"));
        for (advice, here, elsewhere) in [
            (
                Advice::make("diff").for_env(Some("qa")).with("CHANGES=ok"),
                "make diff ENV=qa CHANGES=ok",
                r"make -C '/srv/it'\''s' diff ENV=qa CHANGES=ok",
            ),
            (
                Advice::makeinfra("secret set a B").for_env(Some("qa")).with("--stdin"),
                "makeinfra secret set a B --env qa --stdin",
                r"makeinfra secret set a B '/srv/it'\''s' --env qa --stdin",
            ),
            (
                and,
                "git add a && git commit -m 'A' -- a",
                r"git -C '/srv/it'\''s' add a && git -C '/srv/it'\''s' commit -m 'A' -- a",
            ),
            (
                Advice::at_top("rm a").and(Advice::makeinfra("rotate")),
                "rm a && makeinfra rotate",
                r"cd '/srv/it'\''s' && rm a && makeinfra rotate",
            ),
            ("--env qa".into(), "--env qa", "--env qa"),
        ] {
            assert_eq!(advice.typed(None), here);
            assert_eq!(advice.typed(Some(root)), elsewhere);
        }
        let why = Advice::git("status").why("look first").aside("or not");
        assert_eq!(why.line(None), "look first: git status; or not");
    }

    #[test]
    fn commands_among_words_stand_in_braces() {
        let root = Path::new("/srv/qa");
        for (words, here, elsewhere) in [
            (
                "make a token, then: {makeinfra rotate --commit} && {make deploy}",
                "make a token, then: makeinfra rotate --env qa --commit && make deploy ENV=qa",
                "make a token, then: makeinfra rotate /srv/qa --env qa --commit && make -C /srv/qa deploy ENV=qa",
            ),
            (
                "{make set-image TAG=1}",
                "make set-image ENV=qa IMAGE=a TAG=1",
                "make -C /srv/qa set-image ENV=qa IMAGE=a TAG=1",
            ),
            (
                "{makeinfra check}, or [{name: a}]",
                "makeinfra check, or [{name: a}]",
                "makeinfra check /srv/qa, or [{name: a}]",
            ),
        ] {
            let advice = Advice::from(words).for_env(Some("qa")).with_variable("set-image", "IMAGE=a");
            assert_eq!(
                (advice.typed(None), advice.typed(Some(root))),
                (here.to_owned(), elsewhere.to_owned())
            );
        }
    }

    #[test]
    fn what_comes_next_is_said_once() {
        let deploy = || Advice::make("deploy");
        for (words, all) in [
            ("", "make deploy"),
            ("{makeinfra rotate} && {make deploy}", "makeinfra rotate && make deploy"),
            ("{makeinfra rotate}", "makeinfra rotate && make deploy"),
            ("list it", "list it, then: make deploy"),
        ] {
            assert_eq!(Advice::from(words).aside("or not").then(deploy()).line(None), all);
        }
    }
}
