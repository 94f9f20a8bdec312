//! The only module that prints, prompts or reads standard input.
//!
//! Results go to standard output; prompts, warnings and errors to standard error. Makes no
//! decisions: the caller determines the questions and which answers are valid.

mod block;
mod keys;
mod prompt;
mod terminal;
mod tree;

pub use tree::tree;

use crate::error::{Explanation, Failure, Result};
use console::{Term, style};
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::sync::Mutex;
use zeroize::Zeroizing;

/// A question for a line of text.
#[derive(Debug, Default)]
pub struct Text<'t> {
    /// The question.
    pub question: &'t str,
    /// The value of an empty answer.
    pub default: Option<&'t str>,
    /// An example of an answer, if there is no default.
    pub example: Option<&'t str>,
    /// Whether the answer may be empty.
    pub is_optional: bool,
    /// Whether Escape leads back to the previous question.
    pub has_back: bool,
}

/// The reply to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply<T> {
    /// An answer.
    Answer(T),
    /// The user wants to go back.
    Back,
}

/// The interface between a command and its user.
#[derive(Debug)]
pub struct Ui {
    can_ask: bool,
    /// Whether warnings are only collected.
    is_quiet: bool,
    /// Whether the next commands are shown.
    tells_next: bool,
    warnings: Vec<String>,
}

impl Ui {
    /// Prompts only if standard input and standard error are terminals, and never with `no_input`.
    #[must_use]
    pub fn new(no_input: bool) -> Self {
        let terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
        Self {
            can_ask: terminal && !no_input,
            is_quiet: false,
            tells_next: true,
            warnings: Vec::new(),
        }
    }

    /// Neither prompts nor shows anything, for one of several repositories that are processed in
    /// parallel.
    #[must_use]
    pub fn quiet() -> Self {
        Self { can_ask: false, is_quiet: true, tells_next: true, warnings: Vec::new() }
    }

    /// Like [`Ui::quiet`], and the next commands need not be determined.
    #[must_use]
    pub fn brief() -> Self {
        Self { tells_next: false, ..Self::quiet() }
    }

    /// Whether the next commands are shown.
    #[must_use]
    pub fn tells_next(&self) -> bool {
        self.tells_next
    }

    /// Whether prompts are possible.
    #[must_use]
    pub fn can_ask(&self) -> bool {
        self.can_ask
    }

    /// Starts a dialogue.
    pub fn intro(&self, title: &str) -> Result<()> {
        terminal::write(&format!("{}\n\n", style(format!(" {title} ")).for_stderr().reverse()))
    }

    /// Shows `body` below `title`.
    pub fn note(&self, title: &str, body: &str) -> Result<()> {
        let body: String =
            body.lines().map(|line| format!("  {line}").trim_end().to_owned() + "\n").collect();
        terminal::write(&format!("{}\n{body}\n", style(title).for_stderr().bold()))
    }

    /// Asks for a line of text, which `check` validates while it is typed: its error is a rule that
    /// begins with "must".
    pub fn text(
        &self,
        question: &Text,
        check: impl Fn(&str) -> std::result::Result<(), &'static str>,
    ) -> Result<Reply<String>> {
        prompt::text(question, &check)
    }

    /// Asks for one of `choices`, each with its meaning, and returns its index. The one at `chosen`
    /// is preselected.
    pub fn choose(
        &self,
        question: &str,
        choices: &[(&str, &str)],
        chosen: usize,
        has_back: bool,
    ) -> Result<Reply<usize>> {
        prompt::choose(question, choices, chosen, has_back)
    }

    /// Asks for a secret, displayed as dots. A refused one must be entered anew, because hidden
    /// text cannot be corrected.
    pub fn hidden(
        &self,
        question: &str,
        check: impl Fn(&str) -> std::result::Result<(), &'static str>,
    ) -> Result<Zeroizing<String>> {
        prompt::hidden(question, &check)
    }

    /// Asks for one of `words`, which have distinct initials. Enter selects the first. Ignores
    /// input from before the question was displayed.
    pub fn decide(&self, question: &str, words: &[&'static str]) -> Result<&'static str> {
        prompt::decide(question, words)
    }

    /// Shows a warning immediately, but each one only once, and keeps it for [`Ui::into_warnings`].
    pub fn warn(&mut self, warning: impl Into<String>) {
        let warning = warning.into();
        if self.warnings.contains(&warning) {
            return;
        }
        if !self.is_quiet {
            say(format_args!("{} {warning}", style("warning:").for_stderr().yellow().bold()));
        }
        self.warnings.push(warning);
    }

    /// All warnings of the run.
    #[must_use]
    pub fn into_warnings(self) -> Vec<String> {
        self.warnings
    }

    /// The warnings so far.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Shows on a terminal that `all` answers to `text` are pending, until the returned value is
    /// dropped.
    #[must_use]
    pub fn wait(&self, text: &str, all: usize) -> WaitIndicator {
        let term = Some(Term::stderr()).filter(|term| term.is_term() && !self.is_quiet);
        let waiting = WaitIndicator { term, text: text.to_owned(), all, done: Mutex::new(0) };
        waiting.show(0);
        waiting
    }

    /// Reads all of standard input. Fails if it exceeds `limit` bytes.
    pub fn read_stdin(&self, limit: usize) -> Result<Zeroizing<Vec<u8>>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
        let read = io::stdin().lock().take(limit as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|error| {
            Failure::failed("cannot read standard input").because(error.to_string())
        })?;
        if bytes.len() > limit {
            return Err(Failure::failed("standard input is too large")
                .because(format!("it is larger than {limit} bytes"))
                .into());
        }
        Ok(bytes)
    }

    /// Whether standard input is a terminal, which would display a secret while it is typed.
    #[must_use]
    pub fn stdin_is_terminal(&self) -> bool {
        io::stdin().is_terminal()
    }
}

/// A line on the terminal during a wait.
pub struct WaitIndicator {
    term: Option<Term>,
    text: String,
    all: usize,
    done: Mutex<usize>,
}

impl WaitIndicator {
    /// Counts one more answer.
    pub fn step(&self) {
        // Held while the line is drawn, so that the numbers ascend.
        let mut done = self.done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *done += 1;
        self.show(*done);
    }

    /// Prints a line of output above it. Returns whether the output is still being read.
    pub fn print(&self, line: &str) -> Result<bool> {
        let done = self.done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(term) = &self.term {
            let _ = term.clear_line();
        }
        let is_read = write_out(line)?;
        self.show(*done);
        Ok(is_read)
    }

    fn show(&self, done: usize) {
        if let Some(term) = &self.term {
            let count =
                if self.all > 1 { format!(": {done} of {}", self.all) } else { String::new() };
            // Best effort.
            let _ = term.clear_line();
            let _ = term.write_str(
                &style(format!("{}{count} …", self.text)).for_stderr().dim().to_string(),
            );
        }
    }
}

impl Drop for WaitIndicator {
    fn drop(&mut self) {
        if let Some(term) = &self.term {
            let _ = term.clear_line();
        }
    }
}

/// Formats columns of minimal width.
#[must_use]
pub fn columns<const N: usize>(lines: &[[String; N]]) -> String {
    let width = |column: usize| {
        lines.iter().map(|line| console::measure_text_width(&line[column])).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..N).map(width).collect();
    let shown = |line: &[String; N]| {
        let pad = |(cell, width): (&String, &usize)| {
            format!("{cell}{}", " ".repeat(width.saturating_sub(console::measure_text_width(cell))))
        };
        let cells: Vec<_> = line.iter().zip(&widths).map(pad).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    lines.iter().map(shown).collect()
}

/// Bold text if standard output is a terminal.
#[must_use]
pub fn bold(text: &str) -> String {
    style(text).bold().to_string()
}

/// Red text if standard output is a terminal.
#[must_use]
pub fn red(text: &str) -> String {
    style(text).red().bold().to_string()
}

/// Yellow text if standard output is a terminal.
#[must_use]
pub fn yellow(text: &str) -> String {
    style(text).yellow().bold().to_string()
}

/// Green text if standard output is a terminal.
#[must_use]
pub fn green(text: &str) -> String {
    style(text).green().to_string()
}

/// Dimmed text if standard output is a terminal.
#[must_use]
pub fn dim(text: &str) -> String {
    style(text).dim().to_string()
}

/// Prints the result of a command.
pub fn print(text: &str) -> Result<()> {
    // If the pipe is closed, its reader has seen enough.
    write_out(text).map(drop)
}

/// Writes to standard output. Returns whether the output is still being read.
fn write_out(text: &str) -> Result<bool> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::failed("cannot write to standard output")
            .because(error.to_string())
            .into()),
        Ok(()) => Ok(true),
    }
}

/// Prints the error that ends a run, with hints for the repository at `root`.
pub fn print_error(error: &Explanation, root: Option<&Path>) {
    say(format_args!("{} {}", style("error:").for_stderr().red().bold(), error.message));
    for cause in &error.causes {
        say(format_args!("  {cause}"));
    }
    if let Some(hint) = &error.hint {
        say(format_args!("{} {}", style("hint:").for_stderr().cyan().bold(), hint.line(root)));
    }
}

/// Writes a line to standard error, ignoring errors.
fn say(line: std::fmt::Arguments) {
    let _ = writeln!(io::stderr(), "{line}");
}
