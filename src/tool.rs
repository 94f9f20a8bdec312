//! Runs programs: the one place that does. Nothing secret is ever in an argument, no variable is
//! set, standard input is empty. Decides nothing about what a program says.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How much of what a program complains is kept.
const COMPLAINT: usize = 64 << 10;

/// How a program is run.
#[derive(Debug)]
pub struct Tool<'t> {
    /// Its name, or a path; one with a slash in it begins at `dir`.
    pub program: &'t str,
    /// Its arguments.
    pub arguments: &'t [String],
    /// Where it runs.
    pub dir: &'t Path,
    /// The most that it may print, in bytes.
    pub limit: usize,
    /// How long it may take.
    pub patience: Duration,
}

/// What a program said that ended by itself.
pub struct Said {
    /// Whether it ended well.
    pub success: bool,
    /// What it printed; may be a secret.
    pub stdout: Zeroizing<Vec<u8>>,
    /// What it complained about, made text; may quote what it was given.
    pub stderr: String,
}

/// Why there is nothing to read.
#[derive(Debug)]
pub enum Trouble {
    /// It could not be started.
    NotStarted(io::Error),
    /// It was stopped: it took too long.
    TooLong,
    /// It was stopped: it printed too much.
    TooMuch,
    /// What it printed could not be read.
    Unread(io::Error),
}

impl Tool<'_> {
    /// Runs it to its end.
    pub fn run(&self) -> Result<Said, Trouble> {
        let mut command = Command::new(self.path());
        command.args(self.arguments).current_dir(self.dir);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = Running(command.spawn().map_err(Trouble::NotStarted)?);
        let end = Instant::now() + self.patience;
        let stdout = read(child.0.stdout.take(), self.limit);
        let stderr = read(child.0.stderr.take(), COMPLAINT);
        let stdout = wait(&stdout, end)?;
        if stdout.len() > self.limit {
            return Err(Trouble::TooMuch);
        }
        let stderr = wait(&stderr, end)?;
        let success = child.wait(end)?;
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        Ok(Said { success, stdout, stderr })
    }

    /// A path of its own kind begins where it runs, as for a shell there, and not where this
    /// program runs.
    fn path(&self) -> PathBuf {
        if self.program.contains('/') {
            self.dir.join(self.program)
        } else {
            PathBuf::from(self.program)
        }
    }
}

/// A program that does not outlive this.
struct Running(Child);

impl Running {
    fn wait(&mut self, end: Instant) -> Result<bool, Trouble> {
        loop {
            match self.0.try_wait() {
                Ok(Some(status)) => return Ok(status.success()),
                Ok(None) if Instant::now() >= end => return Err(Trouble::TooLong),
                // It has closed its output, so its end is near.
                Ok(None) => thread::sleep(Duration::from_millis(2)),
                Err(error) => return Err(Trouble::Unread(error)),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended, or it cannot be ended: either way nothing more can be done.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

type Bytes = io::Result<Zeroizing<Vec<u8>>>;

/// Reads all of `stream`, or one byte more than `limit`. A thread of its own, since both streams
/// must be emptied, and a program's own children may hold them open for longer than anybody waits.
fn read(stream: Option<impl Read + Send + 'static>, limit: usize) -> Receiver<Bytes> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Zeroizing::new(Vec::with_capacity(64 << 10));
        let read =
            stream.map_or(Ok(0), |stream| stream.take(limit as u64 + 1).read_to_end(&mut bytes));
        // Whoever has stopped waiting does not want it.
        let _ = sender.send(read.map(|_| bytes));
    });
    receiver
}

fn wait(receiver: &Receiver<Bytes>, end: Instant) -> Result<Zeroizing<Vec<u8>>, Trouble> {
    let left = end.saturating_duration_since(Instant::now());
    receiver.recv_timeout(left).map_err(|_| Trouble::TooLong)?.map_err(Trouble::Unread)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limit: usize) -> Result<Said, Trouble> {
        let arguments = ["-c".to_owned(), script.to_owned()];
        let dir = Path::new("/");
        Tool {
            program: "sh",
            arguments: &arguments,
            dir,
            limit,
            patience: Duration::from_millis(600),
        }
        .run()
    }

    #[test]
    fn gives_what_was_said_and_how_it_ended() {
        let said = sh("echo out; echo no >&2; exit 3", 100).unwrap();
        assert!(!said.success && *said.stdout == b"out\n" && said.stderr == "no\n");
        assert!(sh("exit 0", 0).unwrap().success);
    }

    #[test]
    fn stops_what_takes_too_long_or_prints_too_much() {
        let begin = Instant::now();
        assert!(matches!(sh("sleep 60", 100), Err(Trouble::TooLong)));
        // A child that keeps the streams open.
        assert!(matches!(sh("sleep 60 & exit 0", 100), Err(Trouble::TooLong)));
        assert!(matches!(sh("exec yes", 100_000), Err(Trouble::TooMuch)));
        assert!(begin.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn complaints_beyond_measure_do_not_stop_it() {
        let said = sh("head -c 1000000 /dev/zero >&2; echo done", 100);
        assert!(said.is_ok_and(|said| *said.stdout == b"done\n"));
    }
}
