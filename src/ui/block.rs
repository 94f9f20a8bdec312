//! Lines of the terminal that are redrawn in place. Each fits the width of the terminal: lines that
//! the terminal wraps itself could not be located again.

use super::terminal::write;
use crate::error::Result;
use console::{Term, measure_text_width, truncate_str};

/// Width and height of a terminal that does not report them.
const UNKNOWN: (usize, usize) = (80, 24);

/// Lines on the screen. When dropped, or at Ctrl-C or a signal, later output begins on a line of
/// its own.
#[derive(Default)]
pub(super) struct Block {
    /// The cursor's row, relative to the first line.
    row: usize,
    /// The last row, relative to the first line; `None` if nothing on the screen has to stay.
    last: Option<usize>,
}

/// A cursor position: row and column.
pub(super) type Cursor = (usize, usize);

impl Block {
    /// Draws `lines` over the existing ones. If there are more than fit the terminal, shows those
    /// around the line `focus`.
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

    /// Replaces the block by `line` and continues below it.
    pub(super) fn leave(mut self, line: String) -> Result<()> {
        self.draw(&[line], 0, None)?;
        self.last = None;
        write("\n")
    }

    /// Removes the block and continues in its place.
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
            // Best effort.
            let _ = write(&format!("{}\r\n", moves(last - self.row, 'B')));
        }
    }
}

/// Moves the cursor `by` places.
fn moves(by: usize, direction: char) -> String {
    if by == 0 { String::new() } else { format!("\x1b[{by}{direction}") }
}

/// The usable width of a line: one column less than the terminal has.
pub(super) fn width() -> usize {
    size().1.max(10) - 1
}

/// The number of lines of the terminal.
pub(super) fn height() -> usize {
    size().0.max(2)
}

fn size() -> (usize, usize) {
    let (rows, columns) = Term::stderr().size();
    let of = |number: u16, unknown| if number == 0 { unknown } else { usize::from(number) };
    (of(rows, UNKNOWN.1), of(columns, UNKNOWN.0))
}

/// `text` wrapped between words, each line after `indent`.
pub(super) fn wrapped(text: &str, indent: &str) -> Vec<String> {
    let width = width().saturating_sub(measure_text_width(indent)).max(10);
    textwrap::wrap(text, width).into_iter().map(|line| format!("{indent}{line}")).collect()
}
