//! The only module that prints, prompts or reads standard input.
//!
//! Results go to standard output; prompts, warnings and errors to standard error. It decides
//! nothing: what to ask, and what an answer must look like, comes from the caller.

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
    /// What is asked.
    pub question: &'t str,
    /// What an empty answer means.
    pub default: Option<&'t str>,
    /// An answer as it could be, where there is no default.
    pub example: Option<&'t str>,
    /// Whether the answer may be empty.
    pub is_optional: bool,
    /// Whether Escape leads back to another question.
    pub has_back: bool,
}

/// What a question led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply<T> {
    /// An answer.
    Answer(T),
    /// The user wants to go back.
    Back,
}

/// Where a command talks to its user.
#[derive(Debug)]
pub struct Ui {
    can_ask: bool,
    /// Whether it only collects warnings.
    is_quiet: bool,
    /// Whether anybody is told what to type next.
    tells_next: bool,
    warnings: Vec<String>,
}

impl Ui {
    /// Asks only if both standard input and standard error are terminals, and never with
    /// `no_input`.
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

    /// Asks and shows nothing: for one of several that are worked on at the same time.
    #[must_use]
    pub fn quiet() -> Self {
        Self { can_ask: false, is_quiet: true, tells_next: true, warnings: Vec::new() }
    }

    /// The same where nobody is told what to type next: it need not be found out.
    #[must_use]
    pub fn brief() -> Self {
        Self { tells_next: false, ..Self::quiet() }
    }

    /// Whether anybody is told what to type next.
    #[must_use]
    pub fn tells_next(&self) -> bool {
        self.tells_next
    }

    /// Whether questions can be asked.
    #[must_use]
    pub fn can_ask(&self) -> bool {
        self.can_ask
    }

    /// Begins a conversation.
    pub fn intro(&self, title: &str) -> Result<()> {
        terminal::write(&format!("{}\n\n", style(format!(" {title} ")).for_stderr().reverse()))
    }

    /// Shows `body` below `title`.
    pub fn note(&self, title: &str, body: &str) -> Result<()> {
        let body: String =
            body.lines().map(|line| format!("  {line}").trim_end().to_owned() + "\n").collect();
        terminal::write(&format!("{}\n{body}\n", style(title).for_stderr().bold()))
    }

    /// Asks for a line of text, which `check` judges while it is typed: its error is a rule that
    /// begins with "must".
    pub fn text(
        &self,
        question: &Text,
        check: impl Fn(&str) -> std::result::Result<(), &'static str>,
    ) -> Result<Reply<String>> {
        prompt::text(question, &check)
    }

    /// Asks for one of `choices`, each with what it means; gives its place. The one at `chosen` is
    /// offered.
    pub fn choose(
        &self,
        question: &str,
        choices: &[(&str, &str)],
        chosen: usize,
        has_back: bool,
    ) -> Result<Reply<usize>> {
        prompt::choose(question, choices, chosen, has_back)
    }

    /// Asks for a secret, of which only dots are shown. One that is refused is asked for anew:
    /// nobody can mend what is not seen.
    pub fn hidden(
        &self,
        question: &str,
        check: impl Fn(&str) -> std::result::Result<(), &'static str>,
    ) -> Result<Zeroizing<String>> {
        prompt::hidden(question, &check)
    }

    /// Asks for one of `words`, each of which begins with another letter. Enter means the first.
    /// What was typed or pasted before the question is shown is no answer to it.
    pub fn decide(&self, question: &str, words: &[&'static str]) -> Result<&'static str> {
        prompt::decide(question, words)
    }

    /// Says that something deserves a look, at once but only once, and keeps it for
    /// [`Ui::into_warnings`].
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

    /// Shows on a terminal that `all` answers to `text` are waited for, as long as what it gives
    /// lives.
    #[must_use]
    pub fn wait(&self, text: &str, all: usize) -> Waiting {
        let term = Some(Term::stderr()).filter(|term| term.is_term() && !self.is_quiet);
        let waiting = Waiting { term, text: text.to_owned(), all, done: Mutex::new(0) };
        waiting.show(0);
        waiting
    }

    /// Everything on standard input. Fails if it is more than `limit` bytes.
    pub fn read_stdin(&self, limit: usize) -> Result<Zeroizing<Vec<u8>>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
        let read = io::stdin().lock().take(limit as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|error| {
            Failure::failed("cannot read standard input").because(error.to_string())
        })?;
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

    /// Prints a line of a result above it. Says whether anybody still reads.
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
            // Where that fails there is nobody to tell.
            let _ = term.clear_line();
            let _ = term.write_str(
                &style(format!("{}{count} …", self.text)).for_stderr().dim().to_string(),
            );
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

/// Columns that are as wide as they must be, for lines of one length.
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
    // Whoever closed the pipe has read enough.
    write_out(text).map(drop)
}

/// Writes to standard output. Says whether anybody reads it.
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
