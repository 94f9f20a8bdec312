//! Parses the command line, runs the command, prints the report or the one error, and sets the exit
//! code.

use clap::Parser;
use makeinfra::cli::{Cli, is_bare, usage_failure};
use makeinfra::error::explain;
use makeinfra::report::Report;
use makeinfra::ui::{print, print_error};
use std::process::ExitCode;

/// `check` takes a fifth longer with glibc's allocator, and even longer with musl's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match makeinfra::completes(std::env::args_os(), std::env::current_dir().ok().as_deref()) {
        Ok(false) => {}
        Ok(true) => return ExitCode::SUCCESS,
        Err(error) => {
            let _ = error.print();
            return ExitCode::FAILURE;
        }
    }
    let (mut report, is_json) = match Cli::try_parse() {
        Ok(cli) => (makeinfra::run(&cli), cli.command.common().json),
        Err(asked) if !asked.use_stderr() => {
            // Help and version. If the pipe is closed, its reader has seen enough.
            let _ = asked.print();
            return ExitCode::SUCCESS;
        }
        Err(bare) if is_bare(&bare) => {
            let _ = print(&bare.render().to_string());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            let arguments: Vec<_> = std::env::args_os().collect();
            let is_json = arguments.iter().any(|argument| argument == "--json");
            (Report::failed(&usage_failure(&error, &arguments).into(), None), is_json)
        }
    };
    let text = if is_json { report.json() } else { report.text() };
    if let Err(error) = print(&text) {
        report.error.get_or_insert(explain(&error));
    }
    if let Some(error) = &report.error {
        print_error(error, report.repo.as_deref());
    }
    ExitCode::from(report.exit_code())
}
