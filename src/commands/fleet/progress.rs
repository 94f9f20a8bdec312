//! The state of each repository, and the list of those to repeat, which is correct whenever the run
//! ends.

use super::CLOSED;
use crate::advice::Advice;
use crate::error::{Failure, Outcome, Result, explain};
use crate::files;
use crate::interrupt::Interrupts;
use crate::report::Report;
use crate::several::{Tally, written};
use crate::ui::print_error;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The progress of all repositories.
pub(super) struct Progress {
    command: &'static str,
    paths: Vec<PathBuf>,
    /// The file for the list of repositories to repeat.
    failed_to: Option<PathBuf>,
    ends: Mutex<Vec<Option<End>>>,
}

/// How a repository ended.
#[derive(Clone, Copy)]
struct End {
    code: u8,
    has_failed: bool,
    is_changed: bool,
    is_pending: bool,
    outcome: Outcome,
}

impl Progress {
    /// Starts with all of `paths` on the list. Writing it first reveals an unwritable file before
    /// anything else happens.
    pub(super) fn begin(
        command: &'static str,
        paths: Vec<PathBuf>,
        failed_to: Option<PathBuf>,
    ) -> Result<Self> {
        let ends = Mutex::new(vec![None; paths.len()]);
        let progress = Self { command, paths, failed_to, ends };
        let _held = Interrupts::hold()?;
        progress.write()?;
        Ok(progress)
    }

    /// Records that the repository with the index `at` ended as in `report`.
    pub(super) fn set(&self, at: usize, report: &Report) {
        self.ends()[at] = Some(End {
            code: report.exit_code(),
            has_failed: report.error.is_some(),
            is_changed: report.changed,
            is_pending: report.is_pending,
            outcome: report.outcome,
        });
    }

    /// Writes the list of repositories to repeat. The caller must defer signals.
    pub(super) fn write(&self) -> Result<()> {
        let Some(file) = &self.failed_to else { return Ok(()) };
        let ends = self.ends();
        let again = self.paths.iter().zip(ends.iter());
        let again = again.filter(|(_, end)| end.is_none_or(|end| end.code != 0));
        files::write(file, &written(again.map(|(path, _)| path.as_path())))
    }

    /// Finishes what is left to do before a signal ends the process.
    pub(super) fn interrupted(&self) {
        let (tally, _) = self.tally();
        let failure = Failure::failed("interrupted").because(left(tally.left));
        let failure = self.again().into_iter().fold(failure, Failure::hint);
        print_error(&explain(&failure.into()), None);
        if let Err(error) = self.write() {
            print_error(&explain(&error), None);
        }
    }

    /// Extends `error`, which ended the run, by the number of repositories left and the next
    /// command.
    pub(super) fn explained(&self, error: anyhow::Error) -> anyhow::Error {
        let left_over = self.tally().0.left;
        match error.downcast_ref::<Failure>().and_then(Failure::signal) {
            Some(signal) => {
                let what =
                    if signal == CLOSED { "standard output was closed" } else { "interrupted" };
                let failure = Failure::stopped(signal, what).because(left(left_over));
                self.again().into_iter().fold(failure, Failure::hint).into()
            }
            None => error,
        }
    }

    /// The command that repeats the listed repositories; `None` if there is no list.
    pub(super) fn again(&self) -> Option<Advice> {
        let file = self.failed_to.as_deref().filter(|file| *file != Path::new("-"))?;
        Some(Advice::anywhere(format!("makeinfra {} --repos-from", self.command)).path(file))
    }

    /// Counts by outcome, and the exit codes.
    pub(super) fn tally(&self) -> (Tally, Vec<u8>) {
        let ends = self.ends();
        let mut tally = Tally::default();
        for end in ends.iter() {
            match end {
                None => tally.left += 1,
                Some(End { has_failed: true, .. }) => tally.failed += 1,
                Some(End { outcome: Outcome::Problems | Outcome::Conflicts, .. }) => {
                    tally.problems += 1;
                }
                Some(End { outcome: Outcome::Unknown | Outcome::Several(_), .. }) => {
                    tally.unknown += 1;
                }
                Some(End { outcome: Outcome::Done, .. }) => tally.ok += 1,
            }
            tally.changed += usize::from(end.is_some_and(|end| end.is_changed));
            tally.pending += usize::from(end.is_some_and(|end| end.is_pending));
        }
        (tally, ends.iter().flatten().map(|end| end.code).collect())
    }

    fn ends(&self) -> MutexGuard<'_, Vec<Option<End>>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn left(count: usize) -> String {
    match count {
        0 => "all repositories are done".to_owned(),
        1 => "1 repository was not started or not finished".to_owned(),
        count => format!("{count} repositories were not started or not finished"),
    }
}
