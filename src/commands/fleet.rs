//! Runs a command over several repositories: prints a line for each, in the given order, and a
//! summary, and lists those that must be repeated.

mod places;
mod progress;

use super::{reported, top};
use crate::advice::Advice;
use crate::cli::{Common, Repositories};
use crate::error::{Failure, Outcome, Result, explain};
use crate::files;
use crate::interrupt::{Interrupts, Watch};
use crate::report::Report;
use crate::several::{parse, worst};
use crate::ui::{Ui, WaitIndicator};
use places::{FleetMember, places};
use progress::Progress;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

/// Size limit, above the paths of ten thousand repositories.
const LIST: usize = 16 << 20;
/// The signal that a shell reports for a program that writes to a closed pipe: SIGPIPE.
const CLOSED: i32 = 13;
/// How far work may be ahead of the output.
const AHEAD: usize = 256;

/// A command that runs on repositories.
pub trait Task: Sync {
    /// The command as typed.
    const COMMAND: &'static str;

    /// The repositories.
    fn repositories(&self) -> &Repositories;

    /// The environment that the command is about.
    fn environment(&self) -> Option<&str> {
        None
    }

    /// Whether it reads standard input, which then cannot provide the list.
    fn reads_stdin(&self) -> bool {
        false
    }

    /// Fails if an option only works for a single repository.
    fn check_several(&self) -> Result<()> {
        Ok(())
    }

    /// Runs on the repository at `repo`.
    fn one(&self, repo: &Path, ui: &mut Ui) -> Result<Report>;

    /// Runs on several repositories.
    fn several(&self, fleet: &Fleet, ui: &mut Ui) -> Result<()>;
}

/// Several repositories and their progress.
pub struct Fleet<'f> {
    pub(super) places: &'f [FleetMember],
    command: &'static str,
    environment: Option<&'f str>,
    json: bool,
    progress: &'f Progress,
    watch: &'f Watch,
    /// One lock for each git directory, in which only one command may run at a time.
    locks: Vec<Mutex<()>>,
}

/// The result of checking a repository before it is written.
pub(super) struct Preflight<T> {
    /// The line to print unless it is written.
    line: String,
    /// What was found; `None` if the checks failed.
    pub(super) known: Option<T>,
    /// Whether it is still to be written.
    is_pending: bool,
}

impl<T> Preflight<T> {
    /// What was found, if the repository is still to be written.
    pub(super) fn ready(&self) -> Option<&T> {
        self.known.as_ref().filter(|_| self.is_pending)
    }
}

/// Runs `task`.
pub fn run<T: Task>(task: &T, common: Common, ui: &mut Ui) -> Report {
    let options = task.repositories();
    match (options.one(), &options.failed_to) {
        (Some(one), None) => {
            let done = task.one(one, ui);
            reported(done, || top(one), task.environment())
        }
        (one, _) => begin(task, common, ui)
            .unwrap_or_else(|error| Report::failed(&error, one.and_then(top))),
    }
}

/// Finds the repositories, runs `task` and tracks progress.
fn begin<T: Task>(task: &T, common: Common, ui: &mut Ui) -> Result<Report> {
    let options = task.repositories();
    if task.reads_stdin() && options.repos_from.as_deref() == Some(Path::new("-")) {
        return Err(Failure::usage(
            "standard input cannot be both the token and the list of repositories",
        )
        .hint("--token-file FILE")
        .into());
    }
    let paths = listed(options, T::COMMAND, ui)?;
    let waiting = ui.wait("searching for repositories", paths.len());
    let places = places(paths, options.repos.len(), &waiting);
    drop(waiting);
    if places.len() > 1 {
        task.check_several()?;
    }
    let paths = places.iter().map(|place| place.path.clone()).collect();
    let progress = Arc::new(Progress::begin(T::COMMAND, paths, options.failed_to.clone())?);
    let watched = Arc::clone(&progress);
    let watch = Watch::begin(move || watched.interrupted())?;
    let report = match places.as_slice() {
        [one] => {
            let report = reported(task.one(&one.path, ui), || top(&one.path), task.environment());
            progress.set(0, &report);
            report
        }
        places => {
            let gits = places.iter().filter_map(|place| place.git).max().map_or(0, |last| last + 1);
            let fleet = Fleet {
                places,
                command: T::COMMAND,
                environment: task.environment(),
                json: common.json,
                progress: &progress,
                watch: &watch,
                locks: (0..gits).map(|_| Mutex::new(())).collect(),
            };
            let ended = task.several(&fleet, ui);
            fleet.summary(ended)
        }
    };
    watch.stop();
    progress.write()?;
    Ok(report)
}

/// The repositories in `options`, in order.
fn listed(options: &Repositories, command: &str, ui: &Ui) -> Result<Vec<PathBuf>> {
    let mut paths = options.repos.clone();
    let Some(file) = &options.repos_from else {
        let none = paths.is_empty();
        paths.extend(none.then(|| PathBuf::from(".")));
        return Ok(paths);
    };
    let list =
        if file == Path::new("-") { Some(ui.read_stdin(LIST)?) } else { files::read(file, LIST)? };
    // The text is not quoted: it may be a misplaced token.
    let list = list.ok_or_else(|| {
        Failure::usage("the `--repos-from` file does not exist")
            .hint(Advice::anywhere(format!("makeinfra {command}")).with("--repos-from FILE"))
    })?;
    let listed = parse(&list);
    if listed.is_empty() {
        return Err(Failure::usage("the `--repos-from` list contains no repository")
            .because("blank lines and lines that begin with `#` are skipped")
            .into());
    }
    paths.extend(listed);
    Ok(paths)
}

impl Fleet<'_> {
    /// The number of repositories written in parallel, above the number of cores because writing
    /// waits for the disk.
    pub(super) fn writers() -> usize {
        2 * Self::cores()
    }

    /// The number of CPU cores.
    pub(super) fn cores() -> usize {
        thread::available_parallelism().map_or(1, usize::from)
    }

    /// Runs `work`, which only reads, for each repository and reports the results.
    pub(super) fn read(
        &self,
        work: impl Fn(usize, &mut Ui) -> Result<Report> + Sync,
        text: &str,
        ui: &Ui,
    ) -> Result<()> {
        let waiting = ui.wait(text, self.places.len());
        let line_of = |at| {
            let report = self.report(at, |ui| work(at, ui));
            self.progress.set(at, &report);
            self.line(at, &report)
        };
        self.in_order(Self::cores(), line_of, |_, line| Self::print(&line, &waiting))
    }

    /// Runs `work` for each repository and returns the results in order.
    pub(super) fn gather<T: Send>(
        &self,
        jobs: usize,
        work: impl Fn(usize) -> T + Sync,
        text: &str,
        ui: &Ui,
    ) -> Result<Vec<T>> {
        let waiting = ui.wait(text, self.places.len());
        let mut all = Vec::new();
        self.in_order(jobs, work, |_, one| {
            waiting.step();
            all.push(one);
            Ok(())
        })?;
        Ok(all)
    }

    /// Reports the result of each repository.
    pub(super) fn report_results(
        &self,
        done: impl Iterator<Item = Result<Report>>,
        ui: &Ui,
    ) -> Result<()> {
        let waiting = ui.wait("telling", self.places.len());
        for (at, done) in done.enumerate() {
            let report = self.report(at, |_| done);
            self.progress.set(at, &report);
            Self::print(&self.line(at, &report), &waiting)?;
        }
        Ok(())
    }

    /// Checks all repositories, up to `jobs` at the same time, without writing anything: `look`
    /// returns what would be done and what was found. It must fail on anything that is known to go
    /// wrong.
    pub(super) fn look<T: Send>(
        &self,
        jobs: usize,
        look: impl Fn(&Path, &mut Ui) -> Result<(Report, T)> + Sync,
        ui: &Ui,
    ) -> Result<Vec<Preflight<T>>> {
        let look = |at: usize| {
            let _git = self.lock(at);
            let mut known = None;
            let report = self.report(at, |ui| {
                let (report, found) = look(&self.places[at].path, ui)?;
                known = Some(found);
                Ok(report)
            });
            let is_pending = known.is_some() && report.is_pending;
            if !is_pending {
                self.progress.set(at, &report);
            }
            Preflight { line: self.line(at, &report), known, is_pending }
        };
        self.gather(jobs, look, "reading repositories", ui)
    }

    /// Excludes the repositories `places`, which failed with `error` after the check. Fails itself
    /// if `error` must end the run.
    pub(super) fn refuse<T>(
        &self,
        preflights: &mut [Preflight<T>],
        places: &[usize],
        error: &anyhow::Error,
    ) -> Result<()> {
        let failure = Failure::from(error);
        if failure.signal().is_some() {
            return Err(failure.into());
        }
        for at in places {
            let report = self.report(*at, |_| Err(failure.clone().into()));
            self.progress.set(*at, &report);
            preflights[*at] =
                Preflight { line: self.line(*at, &report), known: None, is_pending: false };
        }
        Ok(())
    }

    /// Runs `write` on the repositories that `preflights` left pending, up to `jobs` at the same
    /// time, and reports the results.
    pub(super) fn carry_out<T: Sync>(
        &self,
        jobs: usize,
        preflights: &[Preflight<T>],
        write: impl Fn(usize, &mut Ui) -> Result<Report> + Sync,
        ui: &Ui,
    ) -> Result<()> {
        // Until everything is reported, signals only take effect between two repositories.
        let interrupts = Interrupts::hold()?;
        self.watch.stop();
        let waiting = ui.wait("writing", self.places.len());
        let write = |at: usize| {
            if !preflights[at].is_pending {
                return Ok(preflights[at].line.clone());
            }
            interrupts.check()?;
            let _git = self.lock(at);
            let report = self.report(at, |ui| write(at, ui));
            self.progress.set(at, &report);
            Ok::<_, anyhow::Error>(self.line(at, &report))
        };
        self.in_order(jobs, write, |_, line| Self::print(&line?, &waiting))
    }

    /// Asks for confirmation after `preflights`.
    pub(super) fn agree<T>(&self, preflights: &[Preflight<T>], ui: &mut Ui) -> Result<()> {
        let pending = preflights.iter().filter(|look| look.is_pending).count();
        if pending == 0 {
            return Ok(());
        }
        let table: String = preflights.iter().map(|look| look.line.as_str()).collect();
        let title = format!("{pending} of {} repositories will change", preflights.len());
        super::agree(&format!("makeinfra {}", self.command), &title, &table, None, ui)
    }

    /// Runs `work` on the repository with the index `at`.
    fn report(&self, at: usize, work: impl FnOnce(&mut Ui) -> Result<Report>) -> Report {
        let place = &self.places[at];
        let mut ui = if self.json { Ui::quiet() } else { Ui::brief() };
        let done = work(&mut ui);
        let report = reported(done, || top(&place.path), self.environment);
        Report { given: Some(place.name.clone()), warnings: ui.into_warnings(), ..report }
    }

    /// The line for a report.
    fn line(&self, at: usize, report: &Report) -> String {
        if self.json { report.json() } else { report.line(&self.places[at].name) }
    }

    fn print(line: &str, waiting: &WaitIndicator) -> Result<()> {
        waiting.step();
        if waiting.print(line)? { Ok(()) } else { Err(Failure::interrupted(CLOSED).into()) }
    }

    /// Keeps other makeinfra threads out of the git directory of the repository with the index
    /// `at`.
    fn lock(&self, at: usize) -> Option<std::sync::MutexGuard<'_, ()>> {
        let git = self.places[at].git?;
        Some(self.locks.get(git)?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs `work` for each repository, up to `jobs` at the same time, and passes the results to
    /// `then` in order. Starts no more once `then` fails.
    fn in_order<T: Send>(
        &self,
        jobs: usize,
        work: impl Fn(usize) -> T + Sync,
        mut then: impl FnMut(usize, T) -> Result<()>,
    ) -> Result<()> {
        let count = self.places.len();
        let (next, taken, is_over) =
            (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
        let (sender, receiver) = mpsc::channel();
        thread::scope(|scope| {
            let workers: Vec<_> = (0..jobs.clamp(1, count))
                .map(|_| {
                    let sender = sender.clone();
                    let (next, taken, is_over, work) = (&next, &taken, &is_over, &work);
                    scope.spawn(move || {
                        while !is_over.load(Ordering::Relaxed) {
                            let at = next.fetch_add(1, Ordering::Relaxed);
                            if at >= count {
                                break;
                            }
                            while at > taken.load(Ordering::Relaxed) + AHEAD
                                && !is_over.load(Ordering::Relaxed)
                            {
                                thread::park_timeout(std::time::Duration::from_millis(5));
                            }
                            if is_over.load(Ordering::Relaxed)
                                || sender.send((at, work(at))).is_err()
                            {
                                break;
                            }
                        }
                    })
                })
                .collect();
            drop(sender);
            let mut early = BTreeMap::new();
            let mut turn = 0;
            let mut ended = Ok(());
            for (at, done) in &receiver {
                early.insert(at, done);
                while let Some(done) = early.remove(&turn).filter(|_| ended.is_ok()) {
                    ended = then(turn, done);
                    turn += 1;
                    taken.store(turn, Ordering::Relaxed);
                }
                if ended.is_err() {
                    is_over.store(true, Ordering::Relaxed);
                }
            }
            drop(workers);
            ended
        })
    }

    /// The report of all repositories.
    fn summary(&self, ended: Result<()>) -> Report {
        let (tally, codes) = self.progress.tally();
        let mut report = Report { outcome: Outcome::Several(worst(codes)), ..Report::default() };
        report.text = format!("\n{}", tally.line());
        if let Err(error) = ended {
            let is_closed =
                error.downcast_ref::<Failure>().and_then(Failure::signal) == Some(CLOSED);
            // A pipe that was closed after the last line is not an error.
            if !is_closed || tally.left > 0 {
                report.error = Some(explain(&self.progress.explained(error)));
            }
        }
        let again = self.progress.again().filter(|_| tally.ok < self.places.len());
        report.next =
            again.map(|again| again.why("retry the remaining ones")).into_iter().collect();
        report
    }
}
