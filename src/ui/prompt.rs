//! The prompts: each is drawn in place, answered with keys or a paste, and leaves one line on the
//! screen.

use super::block::{self, Block, wrapped};
use super::keys::Key;
use super::terminal::Terminal;
use super::{Reply, Text};
use crate::error::Result;
use console::{measure_text_width, style, truncate_str};
use zeroize::{Zeroize, Zeroizing};

/// The text before the input.
const BEFORE: &str = "  > ";
/// The rule for a paste of several lines where one line is expected.
const ONE_LINE: &str = "must be one line: pasting several lines was refused";
/// The rule for lines after the first one, if the terminal does not support bracketed paste.
const CUT: &str = "must be one line: several lines were pasted and discarded";

/// The rule that an answer breaks.
type Checked = std::result::Result<(), &'static str>;

/// Asks for a line of text.
pub(super) fn text(question: &Text, check: &dyn Fn(&str) -> Checked) -> Result<Reply<String>> {
    let mut terminal = Terminal::begin()?;
    let mut block = Block::default();
    let mut line = Line::default();
    let mut refused: Option<&str> = None;
    loop {
        let typed = line.text();
        let rule = refused.or_else(|| check(&typed).err().filter(|_| !typed.is_empty()));
        let (shown, column) = line.visible(block::width() - BEFORE.len() - 1);
        let mut lines = wrapped_question(question.question);
        let row = lines.len();
        lines.push(match (typed.is_empty(), question.default) {
            (true, Some(default)) => format!("{BEFORE}{}", style(default).for_stderr().dim()),
            _ => format!("{BEFORE}{shown}"),
        });
        lines
            .extend(question.example.iter().flat_map(|example| dim(&format!("such as {example}"))));
        lines.extend(rule.iter().flat_map(|rule| yellow(rule)));
        lines.extend(dim(&keys(question.has_back, "Enter: continue")));
        block.draw(&lines, row, Some((row, BEFORE.len() + column)))?;
        refused = None;
        match terminal.key()? {
            Key::Enter => {
                let answer =
                    if typed.is_empty() { question.default.unwrap_or_default() } else { &typed };
                if answer.is_empty() && !question.is_optional {
                    refused = Some("is required");
                } else if let (false, Err(rule)) = (answer.is_empty(), check(answer)) {
                    refused = Some(rule);
                } else if terminal.forget()? {
                    // Anything that arrives with Enter is the rest of a paste.
                    refused = Some(CUT);
                    line = Line::default();
                } else {
                    let shown = if answer.is_empty() { "none" } else { answer };
                    block.leave(answered(question.question, shown))?;
                    return Ok(Reply::Answer(answer.to_owned()));
                }
            }
            Key::Escape if question.has_back => {
                block.remove()?;
                return Ok(Reply::Back);
            }
            Key::Paste(pasted) => match pasted.trim() {
                pasted if pasted.contains('\n') => refused = Some(ONE_LINE),
                pasted => line.insert(pasted),
            },
            key => line.edit(&key),
        }
    }
}

/// Asks for a secret, displayed as dots.
pub(super) fn hidden(question: &str, check: &dyn Fn(&str) -> Checked) -> Result<Zeroizing<String>> {
    let mut terminal = Terminal::begin()?;
    let mut block = Block::default();
    let mut secret = Zeroizing::new(String::with_capacity(8192));
    let mut refused: Option<&str> = None;
    loop {
        let dots = "•".repeat(secret.chars().count().min(block::width() - BEFORE.len() - 1));
        let mut lines = wrapped_question(question);
        let row = lines.len();
        lines.push(format!("{BEFORE}{dots}"));
        lines.extend(refused.iter().flat_map(|rule| yellow(rule)));
        lines.extend(dim(&keys(false, "Enter: continue")));
        block.draw(&lines, row, Some((row, BEFORE.len() + dots.chars().count())))?;
        let key = terminal.key()?;
        refused = None;
        match key {
            Key::Enter => {
                if terminal.forget()? {
                    refused = Some(CUT);
                } else if let Err(rule) = check(&secret) {
                    refused = Some(rule);
                } else {
                    block.leave(answered(question, "••••••••"))?;
                    return Ok(secret);
                }
                // A hidden text cannot be corrected.
                secret.zeroize();
            }
            // A line break that was copied along is not part of the secret.
            Key::Paste(pasted) => secret.push_str(pasted.trim_end_matches('\n')),
            Key::Char(letter) => secret.push(letter),
            Key::Back => drop(secret.pop()),
            Key::EraseLine | Key::EraseWord => secret.zeroize(),
            _ => {}
        }
    }
}

/// Asks for one of `words`, which have distinct initials. Enter selects the first. Ignores input
/// from before the question was displayed.
pub(super) fn decide(question: &str, words: &[&'static str]) -> Result<&'static str> {
    let mut terminal = Terminal::begin()?;
    let mut block = Block::default();
    let mut chosen = 0;
    terminal.forget()?;
    loop {
        let shown = words.iter().enumerate().map(|(place, word)| {
            if place == chosen {
                style(format!("[{word}]")).for_stderr().bold().to_string()
            } else {
                format!(" {word} ")
            }
        });
        let mut lines = wrapped_question(question);
        let focus = lines.len();
        lines.push(format!("    {}", shown.collect::<Vec<_>>().join("  ")));
        let letters: Vec<_> =
            words.iter().filter_map(|word| word.chars().next()).map(String::from).collect();
        lines.extend(dim(&format!(
            "{}, or Enter for {} · Ctrl-C: quit",
            letters.join(", "),
            words[chosen]
        )));
        block.draw(&lines, focus, None)?;
        let decided = match terminal.key()? {
            Key::Enter => Some(words[chosen]),
            Key::Char(letter) => {
                words.iter().find(|word| word.starts_with(letter.to_ascii_lowercase())).copied()
            }
            Key::Right | Key::Down => {
                chosen = (chosen + 1) % words.len();
                None
            }
            Key::Left | Key::Up => {
                chosen = (chosen + words.len() - 1) % words.len();
                None
            }
            // A paste is not an answer.
            _ => None,
        };
        if let Some(word) = decided {
            block.leave(answered(question, word))?;
            return Ok(word);
        }
    }
}

/// Asks for one of `choices`, each with its meaning, and returns its index. Starts at `chosen`.
pub(super) fn choose(
    question: &str,
    choices: &[(&str, &str)],
    mut chosen: usize,
    has_back: bool,
) -> Result<Reply<usize>> {
    let mut terminal = Terminal::begin()?;
    let mut block = Block::default();
    let column = choices.iter().map(|(label, _)| measure_text_width(label)).max().unwrap_or(0);
    terminal.forget()?;
    loop {
        let mut lines = wrapped_question(question);
        let room = block::height().saturating_sub(lines.len() + 2).max(3).min(choices.len());
        let first = chosen.saturating_sub(room / 2).min(choices.len() - room);
        let focus = lines.len() + chosen - first;
        for (place, (label, meaning)) in choices.iter().enumerate().skip(first).take(room) {
            let label = console::pad_str(label, column, console::Alignment::Left, None);
            let line = format!("{label}  {meaning}");
            let line = truncate_str(&line, block::width() - BEFORE.len(), "…").into_owned();
            lines.push(if place == chosen {
                format!("{BEFORE}{}", style(line).for_stderr().bold())
            } else {
                format!("    {line}")
            });
        }
        let more =
            if room < choices.len() { "arrows: more · Enter: choose" } else { "Enter: choose" };
        lines.extend(dim(&keys(has_back, more)));
        block.draw(&lines, focus, None)?;
        match terminal.key()? {
            Key::Enter => {
                block.leave(answered(question, choices[chosen].0))?;
                return Ok(Reply::Answer(chosen));
            }
            Key::Escape if has_back => {
                block.remove()?;
                return Ok(Reply::Back);
            }
            Key::Down => chosen = (chosen + 1).min(choices.len() - 1),
            Key::Up => chosen = chosen.saturating_sub(1),
            Key::Home => chosen = 0,
            Key::End => chosen = choices.len() - 1,
            Key::Char(letter) => {
                let begins = |(label, _): &(&str, &str)| label.starts_with(letter);
                // The next choice with that initial.
                let found =
                    choices.iter().skip(chosen + 1).position(begins).map(|at| at + chosen + 1);
                chosen = found.or_else(|| choices.iter().position(begins)).unwrap_or(chosen);
            }
            _ => {}
        }
    }
}

fn keys(has_back: bool, first: &str) -> String {
    format!("{first}{} · Ctrl-C: quit", if has_back { " · Esc: back" } else { "" })
}

fn wrapped_question(question: &str) -> Vec<String> {
    let mark = style("?").for_stderr().cyan().bold();
    let mut lines = wrapped(question, "  ");
    if let Some(first) = lines.first_mut() {
        *first = format!("{mark} {}", style(first.trim_start()).for_stderr().bold());
    }
    lines
}

/// An answered question.
fn answered(question: &str, answer: &str) -> String {
    format!("{} {question}: {}", style("✓").for_stderr().green(), style(answer).for_stderr().bold())
}

fn dim(text: &str) -> Vec<String> {
    wrapped(text, "    ")
        .into_iter()
        .map(|line| style(line).for_stderr().dim().to_string())
        .collect()
}

fn yellow(text: &str) -> Vec<String> {
    wrapped(text, "    ")
        .into_iter()
        .map(|line| style(line).for_stderr().yellow().to_string())
        .collect()
}

/// A line being typed.
#[derive(Default)]
struct Line {
    letters: Vec<char>,
    /// The index of the character after the cursor.
    cursor: usize,
}

impl Line {
    fn text(&self) -> String {
        self.letters.iter().collect()
    }

    fn insert(&mut self, text: &str) {
        for letter in text.chars().filter(|letter| !letter.is_control()) {
            self.letters.insert(self.cursor, letter);
            self.cursor += 1;
        }
    }

    fn edit(&mut self, key: &Key) {
        match key {
            Key::Char(letter) => self.insert(&letter.to_string()),
            Key::Back if self.cursor > 0 => {
                self.cursor -= 1;
                self.letters.remove(self.cursor);
            }
            Key::Delete if self.cursor < self.letters.len() => {
                self.letters.remove(self.cursor);
            }
            Key::Left => self.cursor = self.cursor.saturating_sub(1),
            Key::Right => self.cursor = (self.cursor + 1).min(self.letters.len()),
            Key::Home | Key::Up => self.cursor = 0,
            Key::End | Key::Down => self.cursor = self.letters.len(),
            Key::EraseLine => *self = Self::default(),
            Key::EraseWord => {
                let before: String = self.letters[..self.cursor].iter().collect();
                let kept =
                    before.trim_end().rfind(' ').map_or(0, |at| before[..=at].chars().count());
                self.letters.drain(kept..self.cursor);
                self.cursor = kept;
            }
            _ => {}
        }
    }

    /// The part around the cursor that fits into `width` columns, and the cursor's column in it.
    fn visible(&self, width: usize) -> (String, usize) {
        let columns = |from: usize, to: usize| {
            measure_text_width(&self.letters[from..to].iter().collect::<String>())
        };
        let mut first = 0;
        while columns(first, self.cursor) >= width {
            first += 1;
        }
        let mut last = self.cursor;
        while last < self.letters.len() && columns(first, last + 1) <= width {
            last += 1;
        }
        (self.letters[first..last].iter().collect(), columns(first, self.cursor))
    }
}
