//! Command lines: arguments that include a token, and paths for a shell.

use super::{MARKER, fuzz, quotes_no_token, text};
use clap::CommandFactory;
use makeinfra::advice::shell_word;
use makeinfra::cli::{Cli, is_bare, usage_failure};
use makeinfra::error::explain;
use std::cell::RefCell;
use std::ffi::OsString;
use std::path::Path;

#[test]
fn no_usage_error_quotes_a_token() {
    let words = [
        "new\n",
        "rotate\n",
        "secret\n",
        "set\n",
        "env\n",
        "add\n",
        "hello\n",
        "--token\n",
        "--token=",
        "--token-stdin\n",
        "--token-file\n",
        "--image\n",
        "--port=",
        "--env\n",
        "--\n",
        "-h\n",
        "--json\n",
        "check\n",
        "completions\n",
        "--from-literal=",
        "gldt-Marker_7Qx9vWk2Zq4T8\n",
        "--gldt-Marker_7Qx9vWk2Zq4T8\n",
        "man\n",
        "\n",
    ];
    // Built once, because that takes longer than parsing arguments.
    let command = RefCell::new(Cli::command());
    fuzz("arguments", &words, Vec::new(), |bytes| {
        let Some(text) = text(bytes) else { return };
        let words: Vec<_> =
            ["makeinfra"].into_iter().chain(text.lines().take(24)).map(OsString::from).collect();
        match command.borrow_mut().try_get_matches_from_mut(&words) {
            Err(error) if error.use_stderr() && !is_bare(&error) => {
                let said = explain(&usage_failure(&error, &words).into());
                quotes_no_token(&said);
                assert!(said.message.len() > 10 && said.message.len() < 1_000 && said.code == 2);
                assert!(!said.message.contains(char::is_control), "{}", said.message);
            }
            // Help contains no values.
            Err(error) => assert!(!error.to_string().contains(MARKER)),
            Ok(_) => {}
        }
    });
}

#[test]
fn a_path_is_one_word_to_a_shell() {
    fuzz(
        "shell-word",
        &["'", "\\", "$(x)", "`x`", "\n", "~", "!", "*", " ", "\"", "-"],
        Vec::new(),
        |bytes| {
            let Some(text) = text(bytes) else { return };
            let words = shlex::split(&shell_word(Path::new(text)));
            assert_eq!(words, Some(vec![text.to_owned()]));
        },
    );
}
