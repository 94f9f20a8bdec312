//! Parses, runs, prints the one error, sets the exit code.

use clap::Parser;
use makeinfra::cli::{Cli, usage_failure};
use makeinfra::error::{Outcome, exit_code, report};
use makeinfra::ui::print_error;
use std::process::ExitCode;

fn main() -> ExitCode {
    let result = match Cli::try_parse() {
        Ok(cli) => makeinfra::run(&cli),
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
            print_error(&report(&error));
            ExitCode::from(exit_code(&error))
        }
    }
}
