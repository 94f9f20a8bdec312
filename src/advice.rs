//! What to type, as data: written for the top of a repository, and rendered last, for where the user is.

use std::fmt::Display;
use std::path::Path;

/// Something to type: commands of which each needs the one before, or words that are the same everywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    calls: Vec<Call>,
    /// What it is for; empty if that needs no words.
    why: String,
}

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Call {
    program: Program,
    words: String,
    /// The environment of the repository that is meant.
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
    /// Not at all.
    Anywhere,
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
        let call = Call { program, words: words.into(), environment: None, options: String::new() };
        Self { calls: vec![call], why: String::new() }
    }

    /// The same with options behind its arguments; for make, variables behind its target.
    #[must_use]
    pub fn with(mut self, options: impl Display) -> Self {
        if let Some(call) = self.calls.last_mut() {
            call.options.push_str(&format!(" {options}"));
        }
        self
    }

    /// The same for one environment of several; `None` if there is only one.
    #[must_use]
    pub fn for_env(mut self, name: Option<impl Display>) -> Self {
        if let Some(call) = self.calls.last_mut() {
            call.environment = name.map(|name| name.to_string());
        }
        self
    }

    /// The same, and then `next`.
    #[must_use]
    pub fn and(mut self, next: Self) -> Self {
        self.calls.extend(next.calls);
        self
    }

    /// The same with what it is for.
    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.why = why.into();
        self
    }

    /// What it is for; empty if that needs no words.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.why
    }

    /// The commands as the user types them for the repository at `root`; `None` is the current directory.
    #[must_use]
    pub fn typed(&self, root: Option<&Path>) -> String {
        let root = root.filter(|root| !is_here(root)).map(dir_word);
        let joined = |dir: Option<&str>| {
            self.calls.iter().map(|call| call.typed(dir)).collect::<Vec<_>>().join(" && ")
        };
        let needs_cd = self.calls.iter().any(|call| call.program == Program::AtTop);
        match root {
            Some(root) if needs_cd => format!("cd {root} && {}", joined(None)),
            root => joined(root.as_deref()),
        }
    }

    /// The same as a line, with what it is for.
    #[must_use]
    pub fn line(&self, root: Option<&Path>) -> String {
        let typed = self.typed(root);
        if self.why.is_empty() { typed } else { format!("{}: {typed}", self.why) }
    }
}

/// Words that are the same everywhere: an option, a sentence, a command that is about no repository.
impl From<String> for Advice {
    fn from(words: String) -> Self {
        Self::new(Program::Anywhere, words)
    }
}

impl From<&str> for Advice {
    fn from(words: &str) -> Self {
        words.to_owned().into()
    }
}

impl Call {
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
            Program::AtTop | Program::Anywhere => format!("{words}{options}"),
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
        let why = Advice::git("status").why("look first");
        assert_eq!(why.line(None), "look first: git status");
    }
}
