//! Some lines of the terminal that are drawn again in place, each no wider than it: a line that a
//! terminal wraps by itself could not be found again.

use super::terminal::write;
use crate::error::Result;
use console::{Term, measure_text_width, truncate_str};

/// The width and height of a terminal that does not tell.
const UNKNOWN: (usize, usize) = (80, 24);

/// Lines that are on the screen. Dropped, at Ctrl-C or a signal, it has what follows begin on a
/// line of its own.
#[derive(Default)]
pub(super) struct Block {
    /// How far below its first line the cursor is.
    row: usize,
    /// How far below its first line the last one is; `None` if nothing is on the screen that has to
    /// stay.
    last: Option<usize>,
}

/// Where the cursor is left: in which line, behind how many columns.
pub(super) type Cursor = (usize, usize);

impl Block {
    /// Draws `lines` in place of those that are there. Of more than the terminal has, those around
    /// the line `focus` are shown.
    pub(super) fn draw(
        &mut self,
        lines: &[String],
        focus: usize,
        cursor: Option<Cursor>,
    ) -> Result<()> {
        let (width, height) = (width(), height());
        let mut text = self.erased();
        let first = (focus + 1).saturating_sub(height);
        let shown = lines.iter().skip(first).take(height);
        let shown: Vec<_> = shown.map(|line| truncate_str(line, width, "…")).collect();
        text.push_str(&shown.join("\n"));
        self.row = shown.len().saturating_sub(1);
        self.last = Some(self.row);
        let cursor = cursor.and_then(|(row, column)| Some((row.checked_sub(first)?, column)));
        if let Some((row, column)) = cursor.filter(|(row, _)| *row < shown.len()) {
            let up = self.row - row;
            text.push('\r');
            text.push_str(&moves(up, 'A'));
            text.push_str(&moves(column.min(width), 'C'));
            self.row = row;
        }
        write(&text)
    }

    /// Leaves `line` on the screen and goes on below it.
    pub(super) fn leave(mut self, line: String) -> Result<()> {
        self.draw(&[line], 0, None)?;
        self.last = None;
        write("\n")
    }

    /// Goes on in place of it.
    pub(super) fn remove(mut self) -> Result<()> {
        self.last = None;
        write(&self.erased())
    }

    fn erased(&self) -> String {
        format!("\r{}\x1b[J", moves(self.row, 'A'))
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if let Some(last) = self.last {
            // Nothing more can be done than to try.
            let _ = write(&format!("{}\r\n", moves(last - self.row, 'B')));
        }
    }
}

/// Moves the cursor `by` places.
fn moves(by: usize, direction: char) -> String {
    if by == 0 { String::new() } else { format!("\x1b[{by}{direction}") }
}

/// The columns that a line may take: one less than there are.
pub(super) fn width() -> usize {
    size().1.max(10) - 1
}

/// How many lines the terminal has.
pub(super) fn height() -> usize {
    size().0.max(2)
}

fn size() -> (usize, usize) {
    let (rows, columns) = Term::stderr().size();
    let of = |number: u16, unknown| if number == 0 { unknown } else { usize::from(number) };
    (of(rows, UNKNOWN.1), of(columns, UNKNOWN.0))
}

/// `text` in lines that fit, broken between words, each behind `indent`.
pub(super) fn wrapped(text: &str, indent: &str) -> Vec<String> {
    let width = width().saturating_sub(measure_text_width(indent)).max(10);
    textwrap::wrap(text, width).into_iter().map(|line| format!("{indent}{line}")).collect()
}
