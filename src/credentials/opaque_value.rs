//! Sources for the value of a further Secret. Any bytes are valid, except for none.

use crate::advice::Advice;
use crate::error::{Failure, Result};
use crate::files;
use crate::opaque::{MAX_SIZE, Value};
use crate::ui::Ui;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Size limit: the largest value and a line break after it.
const LIMIT: usize = MAX_SIZE + 2;

/// The source of a value.
#[derive(Debug)]
pub enum OpaqueSource {
    /// Standard input, without one final line break.
    Stdin,
    /// A file, unchanged: its last byte may be part of a key.
    File(PathBuf),
    /// A hidden prompt.
    Prompt,
}

impl OpaqueSource {
    /// Reads the value; `question` is the text of the prompt.
    pub fn read(&self, question: &str, ui: &mut Ui) -> Result<Value> {
        let (name, bytes) = match self {
            Self::Stdin => ("the value on standard input".to_owned(), stdin(ui)?),
            Self::File(file) => {
                let bytes = files::read(file, LIMIT)?.ok_or_else(|| {
                    Failure::usage("`--from-file` must be the name of a file")
                        .because("the file does not exist")
                        .hint(Advice::anywhere("ls -l FILE"))
                })?;
                warn_of(file, &bytes, ui);
                (format!("the value in `{}`", file.display()), bytes)
            }
            Self::Prompt => {
                let text = ui.hidden(question, |text| Value::check(text.as_bytes()))?;
                ("the value".to_owned(), Zeroizing::new(text.as_bytes().to_owned()))
            }
        };
        // The shell's line break has been removed; any other whitespace reaches the application.
        let is_blank = |byte: &u8| byte.is_ascii_whitespace();
        let is_file = matches!(self, Self::File(_));
        if !is_file && (bytes.first().is_some_and(is_blank) || bytes.last().is_some_and(is_blank)) {
            ui.warn(format!(
                "{name} begins or ends with a blank or a line break, which becomes part of it"
            ));
        }
        Value::new(bytes).map_err(|rule| {
            Failure::usage(format!("{name} {rule}"))
                .hint(
                    "use --stdin or --from-file FILE; without them, makeinfra prompts for the \
                     value",
                )
                .into()
        })
    }
}

fn stdin(ui: &Ui) -> Result<Zeroizing<Vec<u8>>> {
    if ui.stdin_is_terminal() {
        return Err(Failure::usage("standard input is a terminal, which would show the value")
            .hint("omit `--stdin` to get a hidden prompt")
            .into());
    }
    let mut bytes = ui.read_stdin(LIMIT)?;
    // A lone CR may be part of a key.
    let length =
        bytes.strip_suffix(b"\r\n").or(bytes.strip_suffix(b"\n")).map_or(bytes.len(), <[u8]>::len);
    bytes.truncate(length);
    Ok(bytes)
}

/// Warns about what is easily overlooked in a file.
fn warn_of(file: &Path, bytes: &[u8], ui: &mut Ui) {
    if files::is_readable_by_others(file) {
        let close = Advice::anywhere("chmod 600").path(file).typed(None);
        ui.warn(format!("other users can read the value in `{}`: {close}", file.display()));
    }
    if bytes.iter().position(|byte| *byte == b'\n') == bytes.len().checked_sub(1) && bytes.len() > 1
    {
        ui.warn("the value ends with a line break, which is also stored; --stdin removes it");
    }
}
