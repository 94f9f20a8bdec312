//! The only module that prints, prompts or reads standard input.
//!
//! Results go to standard output; prompts, warnings and errors to standard error. It decides nothing:
//! what to ask, and what an answer must look like, comes from the caller.

mod tree;

pub use tree::{size, tree};

use crate::error::{Explanation, Failure, Result};
use crate::interrupt::Interrupts;
use console::{Term, style};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::sync::Mutex;
use zeroize::Zeroizing;

/// Checks an answer while it is typed; the error is a rule that follows "must".
pub type Check = Box<dyn Fn(&str) -> std::result::Result<(), &'static str>>;

/// Where a command talks to its user.
#[derive(Debug)]
pub struct Ui {
    can_ask: bool,
    warnings: Vec<String>,
}

impl Ui {
    /// Asks only if both standard input and standard error are terminals, and never with `no_input`.
    #[must_use]
    pub fn new(no_input: bool) -> Self {
        let terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
        Self { can_ask: terminal && !no_input, warnings: Vec::new() }
    }

    /// Whether questions can be asked.
    #[must_use]
    pub fn can_ask(&self) -> bool {
        self.can_ask
    }

    /// Begins a conversation.
    pub fn intro(&self, title: &str) -> Result<()> {
        asked(|| cliclack::intro(style(format!(" {title} ")).reverse()))
    }

    /// Shows `body` in a frame.
    pub fn note(&self, title: &str, body: &str) -> Result<()> {
        asked(|| cliclack::note(title, body))
    }

    /// Asks for a line of text. An empty answer is `default`, or nothing where there is none and
    /// `optional` allows it.
    pub fn text(
        &self,
        question: &str,
        default: Option<&str>,
        optional: bool,
        check: Check,
    ) -> Result<String> {
        let mut input =
            cliclack::input(question).required(!optional).validate_interactively(move |text: &String| {
                if optional && text.is_empty() { Ok(()) } else { check(text) }
            });
        if let Some(default) = default {
            input = input.default_input(default);
        } else if optional {
            input = input.placeholder("none");
        }
        asked(|| input.interact::<String>())
    }

    /// Asks for one of `choices`, each a value and what it means. The first is offered.
    pub fn choose(&self, question: &str, choices: &[(&'static str, &str)]) -> Result<&'static str> {
        let mut select = cliclack::select(question);
        for (value, meaning) in choices {
            select = select.item(*value, value, meaning);
        }
        asked(|| select.interact())
    }

    /// Asks for a secret, of which only dots are shown. One that is refused is asked for anew: nobody
    /// can mend what is not seen.
    pub fn hidden(
        &self,
        question: &str,
        check: impl Fn(&str) -> std::result::Result<(), &'static str>,
    ) -> Result<Zeroizing<String>> {
        loop {
            let text = Zeroizing::new(asked(|| cliclack::password(question).interact())?);
            match check(&text) {
                Ok(()) => return Ok(text),
                Err(rule) => asked(|| cliclack::log::error(format!("It {rule}. Once more:")))?,
            }
        }
    }

    /// Asks for a yes; `default` is what is offered.
    pub fn confirm(&self, question: &str, default: bool) -> Result<bool> {
        asked(|| cliclack::confirm(question).initial_value(default).interact())
    }

    /// Says that something deserves a look, at once but only once, and keeps it for [`Ui::into_warnings`].
    pub fn warn(&mut self, warning: impl Into<String>) {
        let warning = warning.into();
        if self.warnings.contains(&warning) {
            return;
        }
        say(format_args!("{} {warning}", style("warning:").for_stderr().yellow().bold()));
        self.warnings.push(warning);
    }

    /// All warnings of the run.
    #[must_use]
    pub fn into_warnings(self) -> Vec<String> {
        self.warnings
    }

    /// Shows on a terminal that `all` answers to `text` are waited for, as long as what it gives lives.
    #[must_use]
    pub fn wait(&self, text: &str, all: usize) -> Waiting {
        let term = Some(Term::stderr()).filter(Term::is_term);
        let waiting = Waiting { term, text: text.to_owned(), all, done: Mutex::new(0) };
        waiting.show(0);
        waiting
    }

    /// Everything on standard input. Fails if it is more than `limit` bytes.
    pub fn read_stdin(&self, limit: usize) -> Result<Zeroizing<Vec<u8>>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
        let read = io::stdin().lock().take(limit as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|error| Failure::failed("cannot read standard input").because(error.to_string()))?;
        if bytes.len() > limit {
            return Err(Failure::failed("standard input is too large")
                .because(format!("it has more than {limit} bytes"))
                .into());
        }
        Ok(bytes)
    }

    /// Whether standard input is a terminal, where a secret would be shown while it is typed.
    #[must_use]
    pub fn stdin_is_terminal(&self) -> bool {
        io::stdin().is_terminal()
    }
}

/// A line on the terminal that is there while something is waited for.
pub struct Waiting {
    term: Option<Term>,
    text: String,
    all: usize,
    done: Mutex<usize>,
}

impl Waiting {
    /// Counts one more answer.
    pub fn step(&self) {
        // Held while it is shown, so that the numbers rise.
        let mut done = self.done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *done += 1;
        self.show(*done);
    }

    fn show(&self, done: usize) {
        if let Some(term) = &self.term {
            let count = if self.all > 1 { format!(": {done} of {}", self.all) } else { String::new() };
            // Where that fails there is nobody to tell.
            let _ = term.clear_line();
            let _ = term.write_str(&style(format!("{}{count} …", self.text)).for_stderr().dim().to_string());
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(term) = &self.term {
            let _ = term.clear_line();
        }
    }
}

/// Bold text on standard output, where it is a terminal.
#[must_use]
pub fn bold(text: &str) -> String {
    style(text).bold().to_string()
}

/// Red text on standard output, where it is a terminal.
#[must_use]
pub fn red(text: &str) -> String {
    style(text).red().bold().to_string()
}

/// Yellow text on standard output, where it is a terminal.
#[must_use]
pub fn yellow(text: &str) -> String {
    style(text).yellow().bold().to_string()
}

/// Green text on standard output, where it is a terminal.
#[must_use]
pub fn green(text: &str) -> String {
    style(text).green().to_string()
}

/// Text that steps back on standard output, where it is a terminal.
#[must_use]
pub fn dim(text: &str) -> String {
    style(text).dim().to_string()
}

/// Prints the result of a command.
pub fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever closed the pipe has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => {
            Err(Failure::failed("cannot write to standard output").because(error.to_string()).into())
        }
        Ok(()) => Ok(()),
    }
}

/// Prints the one error that ends a run, which is about the repository at `root`.
pub fn print_error(error: &Explanation, root: Option<&Path>) {
    say(format_args!("{} {}", style("error:").for_stderr().red().bold(), error.message));
    for cause in &error.causes {
        say(format_args!("  {cause}"));
    }
    if let Some(hint) = &error.hint {
        say(format_args!("{} {}", style("hint:").for_stderr().cyan().bold(), hint.line(root)));
    }
}

/// Writes a line to standard error. Where that fails there is nobody to tell.
fn say(line: std::fmt::Arguments) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Turns a prompt that was left (Ctrl-C, Escape) into the failure that says so.
fn asked<T>(question: impl FnOnce() -> io::Result<T>) -> Result<T> {
    let quiet = Quiet::begin()?;
    let answer = question();
    quiet.interrupts.check()?;
    answer.map_err(|error| match error.kind() {
        io::ErrorKind::Interrupted => Failure::interrupted(2).into(),
        _ => Failure::failed("cannot ask on this terminal")
            .because(error.to_string())
            .hint("give every answer as an option, with `--no-input`")
            .into(),
    })
}

/// While it lives, the terminal shows nothing of what is typed, and Ctrl-C is a key. The prompts see to
/// that only while they wait for a key: of a token that is pasted, letters between two keys would show.
struct Quiet {
    before: Termios,
    /// A signal ends the waiting for a key instead of the process, which would leave the terminal quiet.
    interrupts: Interrupts,
}

impl Quiet {
    fn begin() -> Result<Self> {
        let failed = |error: rustix::io::Errno| {
            Failure::failed("cannot quieten the terminal").because(io::Error::from(error).to_string())
        };
        let interrupts = Interrupts::hold()?;
        let before = tcgetattr(io::stdin()).map_err(failed)?;
        let mut quiet = before.clone();
        quiet.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        tcsetattr(io::stdin(), OptionalActions::Now, &quiet).map_err(failed)?;
        Ok(Self { before, interrupts })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // Nothing more can be done than to try.
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.before);
    }
}
