//! Parses, runs, prints the one error, sets the exit code.

use clap::Parser;
use makeinfra::cli::{Cli, usage_failure};
use makeinfra::commands::top;
use makeinfra::error::{Outcome, exit_code, explain};
use makeinfra::ui::print_error;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut root = None;
    let result = match Cli::try_parse() {
        Ok(cli) => {
            let result = makeinfra::run(&cli);
            root = cli.command.repository().filter(|_| result.is_err()).and_then(top);
            result
        }
        Err(asked) if !asked.use_stderr() => {
            // Help and version; whoever closed the pipe has read enough.
            let _ = asked.print();
            Ok(Outcome::Done)
        }
        Err(error) => Err(usage_failure(&error).into()),
    };
    match result {
        Ok(outcome) => ExitCode::from(outcome.exit_code()),
        Err(error) => {
            print_error(&explain(&error), root.as_deref());
            ExitCode::from(exit_code(&error))
        }
    }
}
